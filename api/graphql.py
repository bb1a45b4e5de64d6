"""GraphQL over HTTP (the GraphQL foundation's draft): which requests are well-formed, and how answers are labelled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from fairmesh.api import schema
from fairmesh.api.web import Service, json_response, media_type, negotiate, read_body
from fairmesh.catalog import errors

GRAPHQL = "application/graphql-response+json"
PAGE = Path(__file__).parent / "portal" / "graphql.html"
_PARAMETERS = ("query", "variables", "operationName", "extensions")


class GraphQLEndpoint:
    """`GET` (queries only) and `POST application/json`; browsers that ask for a page get the one in `portal/`."""

    def __init__(self, service: Service, engine: schema.Engine) -> None:
        self._service = service
        self._engine = engine

    async def __call__(self, request: Request) -> Response:
        if request.method == "POST":
            parameters = await self._posted(request)
        elif negotiate(request.headers.get("accept"), ("application/json", "text/html")) == "text/html" and (
            "query" not in request.query_params
        ):
            return FileResponse(PAGE, media_type="text/html")
        else:
            parameters = _from_url(request)
        accept = request.headers.get("accept")
        # clients that name neither type get plain JSON, as the draft's servers do
        label = negotiate(accept, ("application/json", GRAPHQL))
        if label is None:
            raise HTTPException(406, f"answers are {GRAPHQL} or application/json")
        asked = _read(parameters)
        get = request.method != "POST"
        answer = await run_in_threadpool(
            lambda: self._engine.run(self._service.subject(request), asked, queries_only=get)
        )
        if answer.mutation:
            raise HTTPException(405, "a mutation needs POST", {"Allow": "POST"})
        refused = 200 if _names_json_only(accept) else 400
        return json_response(answer.body, 200 if answer.executed else refused, type=label)

    async def _posted(self, request: Request) -> Mapping[str, Any]:
        if media_type(request) != "application/json":
            raise errors.UnsupportedMedia(
                f"a GraphQL request cannot be {media_type(request) or 'without a Content-Type'}",
                remedy="Send JSON with Content-Type: application/json",
            )
        body = await read_body(request, self._service.body_limit)
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise errors.ParseError(
                f"the body is not JSON: {error.msg}", line=error.lineno, column=error.colno, remedy="Correct the JSON"
            ) from None
        if not isinstance(found, dict):
            raise errors.InputError("the body is not a JSON object", remedy='Send {"query": "..."}')
        return found


def _names_json_only(accept: str | None) -> bool:
    # draft 6.4.1: clients of the older label read errors from a 200 and may drop the body of a 400
    return accept is not None and "application/json" in accept.lower() and "*/*" not in accept and GRAPHQL not in accept


def _from_url(request: Request) -> Mapping[str, Any]:
    try:
        pairs = parse_qsl(request.url.query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise errors.InputError("the query string is not UTF-8", remedy="Percent-encode UTF-8") from None
    found: dict[str, Any] = dict(pairs)
    if len(found) < len(pairs):
        raise errors.InputError("a parameter is given twice", remedy="Give each once")
    for name in ("variables", "extensions"):
        if name in found:
            try:
                found[name] = orjson.loads(found[name]) if found[name] else None
            except orjson.JSONDecodeError as error:
                raise errors.ParseError(f"{name} is not JSON: {error.msg}", remedy="Correct it") from None
    return found


def _read(parameters: Mapping[str, Any]) -> schema.Request:
    for name in parameters:
        if name not in _PARAMETERS:
            raise errors.InputError(f"unknown parameter {name!r}", remedy=f"Known: {', '.join(_PARAMETERS)}")
    query, variables, operation_name = (parameters.get(name) for name in _PARAMETERS[:3])
    if not isinstance(query, str) or not query.strip():
        raise errors.InputError("there is no query", remedy="Give the document as `query`")
    for name in ("variables", "extensions"):
        if not isinstance(parameters.get(name), dict | None):
            raise errors.InputError(f"{name} is not a map", remedy="Give an object, or leave it out")
    if not isinstance(operation_name, str | None):
        raise errors.InputError("operationName is not a text", remedy="Give a name, or leave it out")
    return schema.Request(query, variables or {}, operation_name or None)
