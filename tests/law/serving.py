"""Two meshes behind the real application, the same request to both, and the smallest request that tells them apart."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from graphql import (
    REMOVE,
    ArgumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    Visitor,
    build_client_schema,
    get_introspection_query,
    parse,
    print_ast,
    visit,
)
from samples import DOMAINS, STEWARD, producer

from fairmesh.api.app import create_app
from fairmesh.api.auth import Tokens
from fairmesh.catalog import Settings
from law.asking import Request
from law.meshes import SUBJECTS, Mesh, Pair

VOLATILE = frozenset({b"date"})
"""Headers that may differ. Servers set a Date; nothing else of an answer depends on when or where it was made."""

BYSTANDER = "bystander"
"""The name of one from whom nothing is hidden."""
WRITER = "writer"
"""The name of one who may change every product."""

STORED = re.compile(rb'"change":"(updated|unchanged)"')
"""Whether a document is what is stored, to the letter, is for those to know who may update the product: they learn from
it that their own product says something of what they cannot see."""


TREND = re.compile(rb'"trend(_\d+)?":\[[^\[\]]*\]')
"""How products stood between two writes rests on the mesh of today where something of them is hidden."""


@dataclass(frozen=True)
class Answer:
    """All of a response but `VOLATILE` headers, and without the word of `STORED` and what `TREND` finds."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def tag(self) -> str | None:
        return next((value.decode() for name, value in self.headers if name.lower() == b"etag"), None)


class _Stage:
    """Stands for a catalog, so that one application serves one mesh after the other."""

    mesh: Mesh

    def __getattr__(self, name: str) -> Any:
        return getattr(self.mesh, name)


class Side:
    """One application and the mesh it serves at the moment."""

    def __init__(self, settings: Settings, tokens: Tokens, loop: asyncio.AbstractEventLoop) -> None:
        self._stage = _Stage()
        self._loop = loop
        self._app = create_app(self._stage, settings, tokens)  # type: ignore[arg-type]

    def show(self, mesh: Mesh) -> None:
        self._stage.mesh = mesh

    def ask(self, request: Request, authorization: str | None) -> Answer:
        headers = [*request.headers, *([("authorization", authorization)] if authorization else [])]
        status, sent, body = self._loop.run_until_complete(_call(self._app, request, headers))
        body, words = STORED.subn(b'"change":"stored"', body)
        body, trends = TREND.subn(b'"trend":[]', body)
        left_out = VOLATILE | {b"content-length"} if words or trends else VOLATILE
        kept = tuple((name, value) for name, value in sent if name.lower() not in left_out)
        return Answer(status, kept, body)


async def _call(app: Any, request: Request, headers: list[tuple[str, str]]) -> tuple[int, list[Any], bytes]:
    """One request as an ASGI server would hand it on: status, headers and body of what the application sends."""
    path, _, query = request.path.partition("?")
    raw = quote(path.partition("#")[0], safe="/%:@!$&'()*+,;=")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method, "scheme": "http",
        "path": unquote(raw), "raw_path": raw.encode(), "query_string": quote(query, safe="=&%").encode(),
        "root_path": "", "server": ("service", 80), "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"service"), *((n.encode(), v.encode("latin-1", "replace")) for n, v in headers)],
    }  # fmt: skip
    coming = [{"type": "http.request", "body": request.body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop() if coming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], list(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


class Court:
    """Shows both meshes of a pair the same requests."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        settings = Settings.read({"data": folder, "workers": 1}, environment={})
        self._tokens = Tokens.open(folder)
        self._known = {
            n: None if s.kind == "anonymous" else f"Bearer {self._tokens.create(s)}"
            for n, s in {**SUBJECTS, BYSTANDER: STEWARD, WRITER: producer(*DOMAINS)}.items()
        }
        self.whole, self.less = (Side(settings, self._tokens, loop) for _ in range(2))

    def close(self) -> None:
        self._tokens.close()

    def open(self, pair: Pair) -> None:
        self.whole.show(pair.whole)
        self.less.show(pair.less)

    def answers(self, request: Request, name: str) -> tuple[Answer, Answer]:
        """Of the whole mesh and of the other."""
        known = self.authorization(name)
        return self.whole.ask(request, known), self.less.ask(request, known)

    def authorization(self, name: str) -> str | None:
        """The header that stands for a subject."""
        return self._known[name]

    def schema(self) -> GraphQLSchema:
        """The schema as the service publishes it."""
        body = json.dumps({"query": get_introspection_query(one_of=True)}).encode()
        headers = (("content-type", "application/json"),)
        answer = self.whole.ask(Request("POST", "/graphql", headers, body), None)
        return build_client_schema(json.loads(answer.body)["data"])


@contextmanager
def open_court(folder: Path) -> Iterator[Court]:
    """`folder` holds the tokens."""
    loop = asyncio.new_event_loop()
    made = Court(folder, loop)
    try:
        yield made
    finally:
        made.close()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def shrunk(request: Request) -> Iterator[Request]:
    """Requests with one field, fragment, argument, value or line less; some are not valid."""
    operation = request.operation
    if operation is not None:
        for query in _shorter(operation["query"]):
            yield replace(request, body=json.dumps(operation | {"query": query}).encode())
        for variables in _less(operation["variables"]):
            yield replace(request, body=json.dumps(operation | {"variables": variables}).encode())
    elif ("content-type", "application/json") in request.headers:
        for value in _less(json.loads(request.body)):
            yield replace(request, body=json.dumps(value).encode())
    else:
        for text in _less(request.body.decode()):
            yield replace(request, body=text.encode())
        for place in range(len(request.headers)):
            yield replace(request, headers=request.headers[:place] + request.headers[place + 1 :])


def _less(value: Any) -> Iterator[Any]:
    """The JSON value with one member, item or line less."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            yield from (value | {name: smaller} for smaller in _less(inner))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield value[:place] + value[place + 1 :]
            yield from ([*value[:place], smaller, *value[place + 1 :]] for smaller in _less(inner))
    elif isinstance(value, str) and "\n" in value:
        lines = value.splitlines()
        yield from ("\n".join(lines[:place] + lines[place + 1 :]) for place in reversed(range(len(lines))))


def _shorter(query: str) -> Iterator[str]:
    tree = parse(query)
    place = 0
    while True:
        dropping = _Dropping(place)
        smaller = visit(tree, dropping)
        if dropping.left >= 0:
            return
        yield print_ast(smaller)
        place += 1


class _Dropping(Visitor):
    """Takes out what comes at one place of a document."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.left = place

    def enter(self, node: Node, *_: Any) -> Any:
        if isinstance(node, FieldNode | ArgumentNode | InlineFragmentNode | FragmentSpreadNode):
            self.left -= 1
            if self.left == -1:
                return REMOVE
        return None
