"""What every HTTP endpoint shares: who calls, what the body may weigh, which form the answer takes, how it fails."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fairmesh.api.auth import Tokens, Unauthenticated, authenticate
from fairmesh.api.problems import problem, problem_of, status_of
from fairmesh.catalog import Catalog, Settings, errors
from fairmesh.catalog.model import Subject

log = logging.getLogger("fairmesh")

CHANNEL = "http"
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Service:
    """What the endpoints work on. Its methods block: call them from a worker thread."""

    catalog: Catalog
    settings: Settings
    tokens: Tokens

    def subject(self, request: Request) -> Subject:
        """Raises `Unauthenticated` for an Authorization header that proves nothing."""
        return authenticate(request.headers.get("authorization"), self.tokens)

    @property
    def body_limit(self) -> int:
        """Bytes a request body may have: one document and what wraps it."""
        return self.settings.max_bytes + 1_000_000


# -- requests ---------------------------------------------------------------------------------------------------------


async def read_body(request: Request, limit: int) -> bytes:
    """The body, refused while it streams in once it is over `limit` bytes (`TooLarge`)."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise errors.UnsupportedMedia("compressed bodies are not read", remedy="Send the body as it is")
    too_large = errors.TooLarge(f"the body has more than {limit:,} bytes", remedy="Send less at once")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > limit:
        raise too_large
    parts: list[bytes] = []
    total = 0
    async for part in request.stream():
        total += len(part)
        if total > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def options(request: Request, *known: str) -> Mapping[str, str]:
    """The query parameters. Raises `InputError`, by name, for one that is unknown or given twice."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise errors.InputError(
                f"unknown query parameter {name!r}",
                remedy=f"Known here: {', '.join(known)}" if known else "This path takes none",
            )
        if name in found:
            raise errors.InputError(f"query parameter {name!r} is given twice", remedy="Give it once")
        found[name] = value
    return found


def flag(values: Mapping[str, str], name: str) -> bool:
    value = values.get(name, "false")
    if value not in ("true", "false"):
        raise errors.InputError(f"query parameter {name!r} cannot be {value!r}", remedy="Use true or false")
    return value == "true"


def media_type(request: Request) -> str:
    """The body's declared type, without parameters; empty when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def negotiate(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer the client likes best (RFC 9110, 12.5.1); the first of equals; None when it accepts none."""
    ranges = [_range(part) for part in (accept or "*/*").split(",") if part.strip()]

    def quality(offer: str) -> float:
        main = offer.partition("/")[0]
        for wanted in (offer, f"{main}/*", "*/*"):  # the most specific range counts
            given = [q for name, q in ranges if name == wanted]
            if given:
                return max(given)
        return 0.0

    best = max(offers, key=quality)
    return best if quality(best) > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return name, min(1.0, max(0.0, float(quality)))
    except ValueError:
        return name, 0.0


def choose(request: Request, offers: Sequence[str]) -> str:
    """Like `negotiate`, but 406 when the client accepts none of the offers."""
    found = negotiate(request.headers.get("accept"), offers)
    if found is None:
        raise HTTPException(406, f"this can be had as {', '.join(offers)}")
    return found


def matches(request: Request, etag: str) -> bool:
    """Whether the client already has what the ETag stands for (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in tags or "*" in tags


# -- answers ----------------------------------------------------------------------------------------------------------


def json_response(
    body: object, status: int = 200, *, type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Response:
    return Response(orjson.dumps(body), status, headers, f"{type}; charset=utf-8")


def problem_response(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), body["status"], headers, "application/problem+json")


def failure(error: Exception) -> Response:
    """An error as an answer. What is not an expected refusal is masked by an id that the log explains."""
    if isinstance(error, errors.FairmeshError) and status_of(error) < 500:
        headers = {"WWW-Authenticate": 'Bearer realm="fairmesh"'} if isinstance(error, Unauthenticated) else None
        return problem_response(problem_of(error), headers)
    if isinstance(error, errors.FairmeshError) and status_of(error) == 503:
        log.error("unavailable: %s", error)
        return problem_response(problem_of(error), {"Retry-After": "5"})
    if isinstance(error, HTTPException):
        return problem_response(
            problem(error.status_code, _CODES.get(error.status_code, "http"), error.detail), error.headers
        )
    fault = secrets.token_hex(8)
    log.error("fault %s", fault, exc_info=error)
    return problem_response(problem(500, "internal", f"internal fault {fault}", "Report this id", id=fault))


_CODES = {404: "not-found", 405: "method-not-allowed", 406: "not-acceptable", 428: "precondition-required"}


def endpoint(work: Endpoint) -> Endpoint:
    """An endpoint whose errors become answers, and whose answers no shared cache keeps."""

    async def guarded(request: Request) -> Response:
        try:
            response = await work(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            response = failure(error)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guarded


_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Accept",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}
