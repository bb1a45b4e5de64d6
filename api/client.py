"""Talking to a fairmesh server: plain HTTP, a bearer token, and failures that say what to do."""

from __future__ import annotations

import http.client
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

import orjson

from fairmesh.catalog.errors import ConfigError, FairmeshError

TIMEOUT = 300.0
"""Seconds without a byte from the server after which it counts as gone; a batch of 50 takes a few at most."""
BATCH_DOCUMENTS = 50
BATCH_BYTES = 30_000_000
"""Most documents, and most bytes of JSON, sent at once; a document that is larger travels alone."""


class Unreachable(FairmeshError):
    """No answer from the server. What was sent may have been done; registering again does no harm."""

    code = "unreachable"


class Refused(FairmeshError):
    """The server answered with a problem. `status` is the HTTP status, `problem` the whole document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(
            str(problem.get("detail") or problem.get("title") or f"status {status}"),
            remedy=str(problem.get("remedy") or ""),
            line=problem.get("line"),
            column=problem.get("column"),
            code=str(problem.get("code") or "http"),
        )
        self.status = status
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A document to send. `if_revision`: the revision it replaces (0: none yet)."""

    content: str
    media_type: str | None = None
    if_revision: int | None = None

    def json(self) -> dict[str, object]:
        found: dict[str, object] = {"content": self.content, "media_type": self.media_type}
        return found if self.if_revision is None else found | {"if_revision": self.if_revision}


class Client:
    """One server, one caller. Never follows a redirect: the token is for this server alone."""

    def __init__(self, url: str, token: str | None) -> None:
        """Raises `ConfigError` for what is not an http(s) URL of a server, or not a token."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not _host(url) or "@" in parts.netloc or parts.query:
            raise ConfigError(f"{url!r} is not the URL of a server", remedy="Give it as http://127.0.0.1:8000")
        if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ConfigError("FAIRMESH_TOKEN holds something that is no token", remedy="Set it to the token alone")
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._opener = _opener(_host(url) or "")

    @property
    def anonymous(self) -> bool:
        """Whether it asks without a token."""
        return not self._headers

    def batch(self, documents: Sequence[Outgoing], *, dry_run: bool) -> list[Mapping[str, Any]]:
        """Register documents in one commit; one result of `POST /products:batch` for each, in order."""
        path = "/products:batch" + ("?dry_run=true" if dry_run else "")
        body = orjson.dumps([document.json() for document in documents])
        answer = self._json("POST", path, body, {"Content-Type": "application/json"})
        results = answer.get("results")
        if not isinstance(results, list) or len(results) != len(documents):
            raise Unreachable(f"{self.url} did not answer like a fairmesh server", remedy="Check the URL")
        return results

    def document(self, key: str, media_type: str) -> bytes:
        """A product's visible statements."""
        return self._send("GET", "/products/" + quote(key, safe=""), None, {"Accept": media_type})

    def bundle(self) -> bytes:
        """The signed OPA bundle. Raises `Refused` (403) for who may not have it."""
        return self._send("GET", "/bundles/access.tar.gz", None, {"Accept": "application/gzip"})

    def bundle_key(self) -> bytes:
        """The public key that verifies the bundle, as PEM."""
        return self._send("GET", "/bundles/key.pem", None, {"Accept": "application/x-pem-file"})

    def graphql(
        self, query: str, variables: Mapping[str, object], *, timeout: float = TIMEOUT
    ) -> Mapping[str, Any]:  # fmt: skip
        """The data of a query. `timeout` as `TIMEOUT`. Raises `Refused` with the first error of one that failed."""
        body = orjson.dumps({"query": query, "variables": variables})
        answer = self._json("POST", "/graphql", body, {"Content-Type": "application/json"}, timeout)
        if answer.get("errors"):
            raise _graphql_error(200, answer)
        return _mapping(answer.get("data"))

    def _json(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float = TIMEOUT
    ) -> Mapping[str, Any]:
        content = self._send(method, path, body, headers, timeout)
        try:
            return _mapping(orjson.loads(content))
        except orjson.JSONDecodeError:
            raise Unreachable(f"{self.url} did not answer like a fairmesh server", remedy="Check the URL") from None

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float = TIMEOUT
    ) -> bytes:
        request = Request(self.url + path, data=body, headers={**self._headers, **headers}, method=method)
        try:
            with self._opener.open(request, timeout=timeout) as response:
                content: bytes = response.read()
                return content
        except HTTPError as error:
            with error:
                problem = _problem(error)
            raise (
                _graphql_error(error.code, problem) if "errors" in problem else Refused(error.code, problem)
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(
                f"no answer from {self.url}: {getattr(reason, 'strerror', None) or reason}",
                remedy="Check the URL, and that the server runs (`fairmesh serve`); sending again does no harm",
            ) from error


_STATUS = {"TIMEOUT": 503, "INTERNAL": 503, "FORBIDDEN": 403, "NOT_FOUND": 404, "CONFLICT": 409}
"""The HTTP status that a GraphQL error of a code stands for, where the answer's own does not say."""


def batches(documents: Sequence[Outgoing]) -> list[list[int]]:
    """Positions of the documents, in order, in groups no larger than a batch may be."""
    groups: list[list[int]] = []
    size = 0
    for number, document in enumerate(documents):
        bytes_here = len(orjson.dumps(document.content))
        if not groups or len(groups[-1]) == BATCH_DOCUMENTS or size + bytes_here > BATCH_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(number)
        size += bytes_here
    return groups


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str) -> None:
        return None


def _opener(host: str) -> OpenerDirector:
    # a proxy of the environment is for the world outside; what listens on this machine is spoken to directly
    return build_opener(_NoRedirect(), *([ProxyHandler({})] if _loopback(host) else []))


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.port != 0 else None
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _problem(error: HTTPError) -> Mapping[str, Any]:
    try:
        return _mapping(orjson.loads(error.read()))
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError, Unreachable):
        return {"detail": f"the server answered {error.code} {error.reason}"}


def _graphql_error(status: int, answer: Mapping[str, Any]) -> Refused:
    """The first error of an answer, as a problem."""
    first = answer["errors"][0]
    extensions = first.get("extensions") or {}
    code = extensions.get("code")
    problem = {"detail": first["message"], "code": str(code or "http").lower(), "remedy": extensions.get("remedy")}
    return Refused(_STATUS.get(str(code), max(status, 400)), problem)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unreachable("the server did not answer like a fairmesh server", remedy="Check the URL")
    return value
