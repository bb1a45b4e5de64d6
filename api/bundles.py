"""The OPA bundle over HTTP, and the key that verifies it."""

from __future__ import annotations

import asyncio

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from fairmesh.api.web import Service, matches, options
from fairmesh.catalog import errors
from fairmesh.catalog.access import Access
from fairmesh.catalog.bundle import Bundle

GZIP = "application/gzip"
PEM = "application/x-pem-file"


class BundleEndpoints:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._catalog = service.catalog
        self._making = asyncio.Lock()

    async def bundle(self, request: Request) -> Response:
        """The signed bundle; its ETag is its revision. For those who may read every product: 403 for all others."""
        options(request)
        access = await run_in_threadpool(self._granted, request)
        async with self._making:  # so that who waits for a large one takes no worker thread
            bundle = await run_in_threadpool(self._current, access)
        headers = {"ETag": f'"{bundle.revision}"'}
        if matches(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(bundle.content, headers=headers, media_type=GZIP)

    def _granted(self, request: Request) -> Access:
        """What decided that the caller may have the bundle, and is to be in it: both are of one policy."""
        subject = self._service.subject(request)
        access = self._catalog.access
        decision = access.bundle(subject, now=self._catalog.clock())
        if not decision.allowed:
            raise errors.Forbidden(
                f"{subject.id} may not have the bundle: {', '.join(decision.reasons)}", decision,
                remedy="It holds the facts of every product: use the token of a steward or auditor",
            )  # fmt: skip
        return access

    def _current(self, access: Access) -> Bundle:
        return self._catalog.bundles.current(access.policies, self._service.tokens.subjects())

    async def key(self, request: Request) -> Response:
        """The public key, for anyone: it says nothing of the mesh."""
        options(request)
        pem = await run_in_threadpool(self._catalog.bundles.public_pem)
        return Response(pem, media_type=PEM)
