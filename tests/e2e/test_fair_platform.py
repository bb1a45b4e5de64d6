"""The FAIR indicators that fairmesh meets for every product, each shown on the service over a real socket."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import pytest
from served import BASE, PRODUCTS, Mesh, document, listening, served

from fairmesh.catalog import fair, rdf
from fairmesh.catalog.fair import Basis
from fairmesh.catalog.fairchecks import persistent

FORMATS = ("text/turtle", "application/ld+json", "application/rdf+xml", "application/n-triples")
KEY = "sales.orders"


@dataclass(frozen=True)
class Answer:
    status: int
    type: str
    location: str
    body: bytes


@dataclass(frozen=True)
class Visitor:
    """Someone with nothing but the standard library's HTTP, and a token."""

    url: str
    token: str

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"} | sent)
            found = connection.getresponse()
            kind = found.headers.get_content_type()
            return Answer(found.status, kind, found.headers.get("Location", ""), found.read())
        finally:
            connection.close()

    def graph(self, media_type: str) -> bytes:
        answer = self.ask("GET", f"/products/{KEY}", Accept=media_type)
        assert (answer.status, answer.type) == (200, media_type)
        return rdf.canonical(q.triple for q in rdf.parse(answer.body, media_type, iri_base=BASE).quads)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with served(tmp_path_factory.mktemp("fair")) as made:
        yield made


@pytest.fixture(scope="module")
def url(mesh: Mesh) -> Iterator[str]:
    with listening(mesh.app) as where:
        yield where


@pytest.fixture
def analyst(mesh: Mesh, url: str) -> Visitor:
    return Visitor(url, mesh.tokens["analyst"])


@pytest.fixture
def producer(mesh: Mesh, url: str) -> Visitor:
    return Visitor(url, mesh.tokens["sales"])


def test_every_platform_indicator_is_shown_here() -> None:
    claimed = {c.code.removeprefix("RDA-") for c in fair.CRITERIA if c.basis is Basis.PLATFORM}
    module = sys.modules[__name__]
    shown = {
        name.split("_")[1].replace("dot", ".") for name in vars(module) if name.startswith("test_") and "M_" in name
    }
    assert {code.replace("-", "") for code in claimed} == shown


def test_F101M_the_base_of_the_mesh_decides_whether_identifiers_persist(analyst: Visitor) -> None:
    assert not persistent(BASE)
    assert f"<{BASE}{KEY}>".encode() in analyst.ask("GET", f"/products/{KEY}", Accept="application/n-triples").body


def test_F102M_no_two_products_have_one_identifier(mesh: Mesh, analyst: Visitor, producer: Visitor) -> None:
    other = document(KEY, "Other orders").replace(f"<{KEY}>", f"<{BASE}{KEY}>")
    again = producer.ask("POST", "/products", other.encode(), Content_Type="text/turtle", If_None_Match="*")
    assert again.status == 412
    same = document("sales.twin", "Twin").replace("<sales.twin>", f"<{BASE}{KEY}>")
    assert producer.ask("POST", "/products", same.encode(), Content_Type="text/turtle").status in (400, 422)
    assert mesh.data("{ dataProducts(filter: {}) { totalCount } }", "steward") == {
        "dataProducts": {"totalCount": len(PRODUCTS)}
    }


def test_F401M_metadata_is_harvested_and_found(analyst: Visitor) -> None:
    question = {"query": '{ search(text: "orders") { edges { node { iri } } } }'}
    answer = analyst.ask("POST", "/graphql", json.dumps(question).encode(), Content_Type="application/json")
    found = [edge["node"]["iri"] for edge in json.loads(answer.body)["data"]["search"]["edges"]]
    assert BASE + KEY in found
    harvested = [analyst.ask("GET", "/products/" + quote(iri.removeprefix(BASE)), Accept=FORMATS[0]) for iri in found]
    assert {answer.status for answer in harvested} == {200}


def test_A102M_a_person_reads_it_in_a_browser(analyst: Visitor) -> None:
    page = analyst.ask("GET", f"/products/{KEY}", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (page.status, page.type) == (200, "text/html")
    assert "Orders" in page.body.decode()


def test_A103M_the_identifier_leads_to_the_record(analyst: Visitor) -> None:
    led = analyst.ask("GET", urlsplit(BASE + KEY).path)
    assert (led.status, led.location) == (303, f"/products/{KEY}")
    assert analyst.ask("GET", led.location, Accept="text/turtle").status == 200


def test_A104M_the_protocol_is_standard(analyst: Visitor) -> None:
    for media_type in FORMATS:
        assert analyst.ask("GET", f"/products/{KEY}", Accept=media_type).type == media_type
    assert analyst.ask("HEAD", f"/products/{KEY}").status in (200, 405)
    assert analyst.ask("GET", f"/products/{KEY}", Accept="image/png").status == 406


def test_A1dot101M_the_protocol_is_free(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", "/products/ops.calendar", headers={"Accept": "text/turtle"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert (answer.status, b"Calendar" in body) == (200, True), "public metadata needs no token and no client of ours"


def test_A201M_metadata_outlives_the_data(mesh: Mesh, producer: Visitor, analyst: Visitor) -> None:
    text = document("sales.gone", "Gone").encode()
    assert producer.ask("POST", "/products", text, Content_Type="text/turtle").status == 201
    assert producer.ask("DELETE", "/products/sales.gone", If_Match="*").status == 204
    for path in ("/products/sales.gone", "/id/sales.gone"):
        answer = analyst.ask("GET", path, Accept="text/turtle")
        assert (answer.status, json.loads(answer.body)["code"]) == (410, "retired")
    kept = mesh.catalog.journal.product_history(BASE + "sales.gone")
    assert any(b"kept for tests of the service" in entry.draft.document for entry in kept)


def test_I101M_metadata_is_in_standard_formats(analyst: Visitor) -> None:
    for media_type in FORMATS:
        assert len(rdf.load(analyst.graph(media_type))) > 20


def test_I102M_every_format_says_the_same_with_terms_that_are_described(analyst: Visitor) -> None:
    assert len({analyst.graph(media_type) for media_type in FORMATS}) == 1
    own = {
        t.predicate.value
        for t in rdf.load(analyst.graph("text/turtle"))
        if t.predicate.value.startswith(rdf.PREFIXES["fm"])
    }
    assert own
    described = analyst.ask("GET", "/ns", Accept="application/n-triples")
    assert described.status == 200
    assert all(f"<{term}> <{rdf.PREFIXES['rdfs']}comment>".encode() in described.body for term in own)
