"""A small mesh behind the real service: real catalog, policy, rules and tokens in a fresh directory."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.applications import Starlette
from starlette.types import ASGIApp

from fairmesh.api.app import create_app
from fairmesh.api.auth import Tokens
from fairmesh.catalog import Catalog, Settings
from fairmesh.catalog.catalog import utcnow
from fairmesh.catalog.model import Subject

BASE = "http://localhost/id/"
PREFIXES = """@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix prov: <http://www.w3.org/ns/prov#> .
@prefix csvw: <http://www.w3.org/ns/csvw#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix vcard: <http://www.w3.org/2006/vcard/ns#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
"""


def document(
    key: str, title: str, *, classification: str = "internal", derived: tuple[str, ...] = (), term: str = "order",
    version: str = "1.0.0", status: str = "build",
) -> str:  # fmt: skip
    """A product document without a gating finding: one output dataset with two columns, one port."""
    domain, _, _ = key.partition(".")
    sources = "".join(f" ;\n  prov:wasDerivedFrom <{source}/data>" for source in derived)
    return f"""{PREFIXES}
<{key}> a dprod:DataProduct ;
  dct:identifier "{key}" ; dct:title "{title}"@en ; dcat:version "{version}" ;
  dct:description "{title}: what the {domain} team knows of them, one row for each, kept for tests of the service."@en ;
  dprod:purpose "To be read in tests"@en ;
  dprod:lifecycleStatus <https://w3id.org/fairmesh/status/{status}> ;
  dprod:domain <domain/{domain}> ; dprod:dataProductOwner <team/{domain}> ; dcat:contactPoint <contact/{domain}> ;
  dct:license <https://mesh.example.org/terms/internal-use> ; dct:subject <term/{term}> ;
  dprod:outputDataset <{key}/data> ; dprod:outputPort <{key}/sql> .
<{key}/data> a dcat:Dataset ;
  dct:title "{title} table"@en ; dct:description "One row for each of the {title}."@en ;
  dprod:informationSensitivityClassification <https://w3id.org/fairmesh/classification/{classification}> ;
  dct:conformsTo <{key}/data/schema> ; dcat:distribution <{key}/table>{sources} .
<{key}/data/schema> a csvw:Schema , dct:Standard ;
  csvw:column <{key}/data/column/id> , <{key}/data/column/a%20b> .
<{key}/data/column/id> a csvw:Column ; fm:position 1 ; csvw:name "id" ; csvw:datatype xsd:long ;
  csvw:required true ; dct:description "Number, unique in the table."@en .
<{key}/data/column/a%20b> a csvw:Column ; fm:position 2 ; csvw:name "a b" ; csvw:datatype xsd:decimal ;
  dct:description "Amount in the currency of the order."@en .
<{key}/table> a dcat:Distribution ;
  dct:title "{title} table"@en ;
  dcat:mediaType <https://www.iana.org/assignments/media-types/application/vnd.apache.parquet> ;
  dcat:accessService <{key}/sql> ; fm:physicalName "warehouse.{key}" .
<{key}/sql> a dcat:DataService ;
  dct:title "{title} over SQL"@en ;
  dcat:endpointURL <https://warehouse.example.org/{key}> ; fm:namespace "snowflake://acme" .
<team/{domain}> a prov:Agent , foaf:Agent ; foaf:name "{domain} team" .
<contact/{domain}> a vcard:Kind ; vcard:fn "{domain} team" ; vcard:hasEmail <mailto:{domain}@example.org> .
<domain/{domain}> a skos:Concept ; skos:prefLabel "{domain.title()}"@en .
<term/{term}> a skos:Concept ; skos:prefLabel "{term.title()}"@en .
"""


PRODUCTS = {
    "sales.orders": document("sales.orders", "Orders"),
    "sales.customers": document("sales.customers", "Customers", term="customer"),
    "hr.salaries": document("hr.salaries", "Salaries", classification="restricted", derived=("sales.customers",)),
    "finance.revenue": document("finance.revenue", "Revenue", derived=("sales.orders", "sales.customers")),
    "finance.margin": document("finance.margin", "Margin", derived=("finance.revenue", "hr.salaries")),
    "ops.calendar": document("ops.calendar", "Calendar", classification="public"),
}
"""`hr.salaries` is for stewards and its own domain only, and lies in the middle of a lineage."""

SUBJECTS = {
    "analyst": Subject("ann", "service", roles=("analyst",), clearance="internal"),
    "sales": Subject("sam", "service", ("producer",), ("sales",), ("sales",), "internal"),
    "finance": Subject("fin", "service", ("producer",), ("finance",), ("finance",), "internal"),
    "steward": Subject("stu", "service", roles=("steward",), clearance="restricted"),
}


class Client:
    """A blocking client of an application in this process; faults come as answers, redirects as they are."""

    def __init__(self, app: Starlette, portal: BlockingPortal) -> None:
        self._portal = portal
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://service")

    def request(self, method: str, url: str, **request: Any) -> httpx.Response:
        answer: httpx.Response = self._portal.call(partial(self._client.request, method, url, **request))
        return answer

    def get(self, url: str, **request: Any) -> httpx.Response:
        return self.request("GET", url, **request)

    def post(self, url: str, **request: Any) -> httpx.Response:
        return self.request("POST", url, **request)


@dataclass
class Mesh:
    """The service and who may call it."""

    catalog: Catalog
    app: Starlette
    client: Client
    tokens: Mapping[str, str] = field(repr=False)

    def headers(self, role: str | None) -> dict[str, str]:
        return {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}

    def ask(self, query: str, role: str | None = "analyst", **variables: object) -> dict[str, Any]:
        """The whole body of a GraphQL answer."""
        response = self.client.post(
            "/graphql", json={"query": query, "variables": variables}, headers=self.headers(role)
        )
        body: dict[str, Any] = response.json()
        return body

    def data(self, query: str, role: str | None = "analyst", **variables: object) -> dict[str, Any]:
        """The data of a GraphQL answer that has no errors."""
        body = self.ask(query, role, **variables)
        assert "errors" not in body, body["errors"]
        found: dict[str, Any] = body["data"]
        return found

    def put(self, text: str, role: str, **headers: str) -> httpx.Response:
        """`POST /products`; underscores in the names of headers are hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(
            "/products", content=text, headers={"Content-Type": "text/turtle"} | self.headers(role) | sent
        )


@contextmanager
def served(folder: Path, *, without: str | None = None, clock: Callable[[], datetime] = utcnow) -> Iterator[Mesh]:
    """The service over a fresh directory that holds `PRODUCTS`, or all but one of them."""
    settings = Settings.read({"data": folder, "workers": 2}, environment={})
    catalog = Catalog.open(settings, clock=clock)
    tokens = Tokens.open(folder)
    try:
        known = {role: tokens.create(subject) for role, subject in SUBJECTS.items()}
        app = create_app(catalog, settings, tokens)
        with start_blocking_portal() as portal:
            made = Mesh(catalog, app, Client(app, portal), known)
            everywhere = Subject("setup", "service", ("producer",), (), ("sales", "hr", "finance", "ops"), "restricted")
            documents = [
                {"media_type": "text/turtle", "content": text} for key, text in PRODUCTS.items() if key != without
            ]
            headers = {"Authorization": f"Bearer {tokens.create(everywhere)}"}
            answer = made.client.post("/products:batch", json=documents, headers=headers)
            assert [result["status"] for result in answer.json()["results"]] == [201] * len(documents), answer.text
            yield made
    finally:
        catalog.close()
        tokens.close()


@contextmanager
def listening(app: ASGIApp, listener: socket.socket | None = None) -> Iterator[str]:
    """The application on a real socket, a free one unless one is given; its URL."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    listener = listener or socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: server.run([listener]))
    thread.start()
    try:
        assert started.wait(30)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
    assert not thread.is_alive()
