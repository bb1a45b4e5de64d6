"""Products over HTTP: register, read, retire."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from urllib.parse import quote

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from fairmesh.api.pages import product_page
from fairmesh.api.problems import outcome_json
from fairmesh.api.web import CHANNEL, Service, choose, flag, json_response, matches, media_type, options, read_body
from fairmesh.catalog import errors, rdf
from fairmesh.catalog.model import Outcome, ProductInfo, Submission
from fairmesh.catalog.view import View

BATCH_BYTES = 64_000_000
BATCH_DOCUMENTS = 1_000
HTML = "text/html"
READABLE = (rdf.TURTLE, HTML, rdf.JSON_LD, rdf.N_TRIPLES, rdf.RDF_XML)
"""What a product or node can be had as; the first when the client does not care."""

_REVISION = re.compile(r'"?(\d{1,9})"?')
_ETAG = re.compile(r'"\d{1,9}-([a-z-]+)-[0-9a-f]+"')
_TAGGED = {kind.partition("/")[2].replace("+", "-"): kind for kind in READABLE}
"""Media types by their name in an ETag."""

_UNAVAILABLE = (errors.PolicyUnavailable, errors.StorageUnavailable, errors.WorkerFailed)


class Products:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._catalog = service.catalog

    async def register(self, request: Request) -> Response:
        """Register the document in the body; 201 created, 200 updated or unchanged (or a dry run that would do)."""
        dry_run = flag(options(request, "dry_run"), "dry_run")
        condition = _condition(request)
        content = await read_body(request, self._service.body_limit)
        submission = Submission(content, media_type(request) or None)
        outcome = await run_in_threadpool(lambda: self._register_one(request, submission, condition, dry_run))
        headers = {"Fairmesh-Revision": _token([outcome])}
        created = outcome.change == "created" and not dry_run
        if created:
            headers["Location"] = "/products/" + quote(outcome.key or "", safe="")
        return json_response(outcome_json(outcome, dry_run=dry_run), 201 if created else 200, headers=headers)

    async def register_batch(self, request: Request) -> Response:
        """Register many documents in one commit: a result for each, in order, the good ones standing."""
        dry_run = flag(options(request, "dry_run"), "dry_run")
        body = await read_body(request, BATCH_BYTES)
        kind = media_type(request)
        if kind == "multipart/form-data":
            submissions = await _from_parts(request, body)
        elif kind == "application/json":
            submissions = _from_json(body)
        else:
            raise errors.UnsupportedMedia(
                f"a batch is not {kind or 'without a Content-Type'}",
                remedy="Send application/json or multipart/form-data",
            )
        if len(submissions) > BATCH_DOCUMENTS:
            raise errors.TooLarge(f"{len(submissions)} documents", remedy=f"Send at most {BATCH_DOCUMENTS} at once")
        outcomes = await run_in_threadpool(lambda: self._register(request, submissions, dry_run))
        first = next((o.error for o in outcomes if o.error is not None), None)
        if isinstance(first, _UNAVAILABLE) and all(isinstance(o.error, _UNAVAILABLE) for o in outcomes):
            raise first
        results = [outcome_json(outcome, dry_run=dry_run) for outcome in outcomes]
        return json_response({"results": results}, headers={"Fairmesh-Revision": _token(outcomes)})

    def _register_one(
        self, request: Request, submission: Submission, condition: int | str | None, dry_run: bool
    ) -> Outcome:
        """Raises what the document was refused for."""
        expected = condition
        if isinstance(expected, str):
            # which product is meant, only the document says: a dry run reads it
            meant = _done(self._register(request, [submission], True)[0])
            with self._catalog.view(self._service.subject(request), channel=CHANNEL) as view:
                product = view.product(iri=meant.product)
                if product is None:
                    raise errors.StaleRevision(f"there is no product {meant.key!r} here for you yet")
                self._agree(view, product, expected)
                expected = product.revision
        return _done(self._register(request, [replace(submission, if_revision=expected)], dry_run)[0])

    def _agree(self, view: View, product: ProductInfo, match: str) -> None:
        """Raises `StaleRevision` unless `match` is `*` or the ETag the reader would be given now."""
        tag = _ETAG.fullmatch(match)
        kind = _TAGGED.get(tag[1]) if tag is not None else None
        if match != "*" and (kind is None or self._shown(view, product, kind)[1] != match):
            raise errors.StaleRevision(f"{match[:80]} is not the product's current ETag")

    def _register(self, request: Request, submissions: list[Submission], dry_run: bool) -> list[Outcome]:
        subject = self._service.subject(request)
        return self._catalog.register(subject, submissions, channel=CHANNEL, dry_run=dry_run)

    async def one(self, request: Request) -> Response:
        """`GET` or `DELETE` of one product."""
        return await (self._retire(request) if request.method == "DELETE" else self._get(request))

    async def _get(self, request: Request) -> Response:
        """The visible statements of a product's document, in the form the client likes best."""
        options(request)
        kind = choose(request, READABLE)
        return await run_in_threadpool(lambda: self._read(request, request.path_params["key"], kind))

    def _read(self, request: Request, key: str, kind: str) -> Response:
        subject = self._service.subject(request)
        with self._catalog.view(subject, channel=CHANNEL) as view:
            body, etag = self._shown(view, self._find(view, key), kind)
        headers = {"ETag": etag}
        if matches(request, etag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=kind)

    def _shown(self, view: View, product: ProductInfo, kind: str) -> tuple[bytes, str]:
        """A representation and its ETag."""
        if kind != HTML:
            return view.rdf(product.home, kind), view.etag(product.home, kind)
        # the page also shows what others and the rules say of the product, so the page itself is the tag
        body = product_page(view, product, self._catalog.iri_base)
        return body, f'"{product.revision}-html-{hashlib.sha256(body).hexdigest()[:32]}"'

    async def _retire(self, request: Request) -> Response:
        """Leave a tombstone. `If-Match` names the revision that is meant (`*`: whichever is current).

        `replaced_by` is the key or the IRI of the product that takes over.
        """
        asked = options(request, "reason", "replaced_by", "force")
        force = flag(asked, "force")
        match = request.headers.get("if-match")
        if match is None:
            raise HTTPException(428, "If-Match must name the revision that is retired; read the product to learn it")
        condition = _match(match)
        await read_body(request, 0)

        def work() -> int:
            subject = self._service.subject(request)
            with self._catalog.view(subject, channel=CHANNEL) as view:
                product = self._find(view, request.path_params["key"])
                expected = condition if isinstance(condition, int) else None
                if isinstance(condition, str) and condition != "*":
                    self._agree(view, product, condition)
                    expected = product.revision
                successor = _successor(view, asked)
            return self._catalog.retire(
                subject,
                product.iri,
                channel=CHANNEL,
                reason=asked.get("reason"),
                replaced_by=successor,
                at=None,
                force=force,
                if_revision=expected,
            ).revision

        number = await run_in_threadpool(work)
        return Response(
            status_code=204, headers={"Fairmesh-Revision": _digest(f"{request.path_params['key']} {number}")}
        )

    def _find(self, view: View, key: str) -> ProductInfo:
        """Raises `Retired`, or `NotFound` in the same words for hidden and absent."""
        product = view.product(key=key)
        if product is None:
            view.raise_if_retired(self._catalog.iri_base + key)
            raise errors.NotFound(f"there is no product {key!r} here for you", remedy="Check the key")
        return product


def _done(outcome: Outcome) -> Outcome:
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _successor(view: View, asked: Mapping[str, str]) -> str | None:
    """The IRI of the product named by `replaced_by`, which is a key unless it has a colon."""
    name = asked.get("replaced_by")
    if name is None or ":" in name:
        return name
    product = view.product(key=name)
    if product is None:
        raise errors.InputError(f"replaced_by: there is no product {name!r} here for you", remedy="Check the key")
    return product.iri


# -- preconditions ----------------------------------------------------------------------------------------------------


def _condition(request: Request) -> int | str | None:
    """What a write expects: as `_match`, 0 (no revision yet) for `If-None-Match: *`, or None (anything)."""
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if match is not None and none_match is not None:
        raise errors.InputError("If-Match and If-None-Match contradict each other", remedy="Send one of them")
    if none_match is not None:
        if none_match.strip() != "*":
            raise errors.InputError("If-None-Match of a write can only be *", remedy="Use If-Match for a revision")
        return 0
    return None if match is None else _match(match)


def _match(match: str) -> int | str:
    """The number of a revision, a whole ETag, or `*` for whatever is there (RFC 9110, 13.1.1)."""
    match = match.strip()
    if match == "*" or _ETAG.fullmatch(match):
        return match
    found = _REVISION.fullmatch(match)
    if found is None:
        raise errors.InputError(
            f"If-Match cannot be {match[:80]!r}", remedy="Send the revision's number, the ETag of the product, or *"
        )
    return int(found[1])


def _token(outcomes: list[Outcome]) -> str:
    return _digest(" ".join(f"{o.product} {o.revision}" for o in outcomes if o.error is None))


def _digest(text: str) -> str:
    # opaque on purpose: positions in the journal would count writes the caller cannot see
    return hashlib.sha256(text.encode()).hexdigest()[:24]


# -- batches ----------------------------------------------------------------------------------------------------------


def _from_json(body: bytes) -> list[Submission]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.ParseError(
            f"the batch is not JSON: {error.msg}", line=error.lineno, column=error.colno, remedy="Correct the JSON"
        ) from None
    if not isinstance(found, list):
        raise errors.InputError("the batch is not a JSON array", remedy='Send [{"media_type": ..., "content": ...}]')
    return [_one(number, item) for number, item in enumerate(found)]


def _one(number: int, item: object) -> Submission:
    if not isinstance(item, dict) or not isinstance(item.get("content"), str):
        raise errors.InputError(f"item {number} of the batch has no text `content`", remedy="Send the document as text")
    for name in item:
        if name not in ("media_type", "content", "if_revision"):
            raise errors.InputError(f"item {number} has an unknown key {name!r}", remedy="Leave it out")
    kind, expected = item.get("media_type"), item.get("if_revision")
    if not isinstance(kind, str | None) or not isinstance(expected, int | None) or isinstance(expected, bool):
        raise errors.InputError(f"item {number}: media_type is a text, if_revision a number", remedy="Correct it")
    return Submission(item["content"].encode(), kind, expected)


class _Parts(MultiPartParser):
    """Knows whether the closing boundary came: without it, the last parts may be missing."""

    complete = False

    def on_end(self) -> None:
        self.complete = True


async def _from_parts(request: Request, body: bytes) -> list[Submission]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        if not parser.complete:
            raise MultiPartException("it ends before its closing boundary")

    parser = _Parts(
        request.headers, stream(), max_files=BATCH_DOCUMENTS + 1, max_fields=BATCH_DOCUMENTS + 1,
        max_part_size=BATCH_BYTES,
    )  # fmt: skip
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise errors.ParseError(
            f"the batch is not multipart: {error}", remedy="Send every part whole, and --boundary-- after the last"
        ) from None
    found = []
    for _, part in form.multi_items():
        if isinstance(part, UploadFile):
            kind = (part.content_type or "").partition(";")[0].strip().lower()
            found.append(Submission(await part.read(), kind or rdf.media_type_for_path(part.filename or "")))
        else:
            found.append(Submission(part.encode(), None))
    await form.close()
    return found
