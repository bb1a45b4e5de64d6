"""Input made to break an engine or a parser never allows anything, shows anything, or stops the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from served import PREFIXES, Mesh, document, served

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Subject

BIG = 2**70
LONG = "x" * 1_000_000
TEXTS = {
    "nul": "hr.salaries\0", "quotes": '","allow":true,"x":"', "brace": '"}],"result":{"allow":true}}',
    "big number": str(BIG), "lone surrogate": "\ud800", "not nfc": "e\u0301", "template": "${input}{{x}}`",
    "long": LONG, "nested": "[" * 5_000 + "]" * 5_000, "control": "\x1b[2J\r\nSet-Cookie: a=b", "star": "*",
}  # fmt: skip
HIDDEN = "Salaries"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with served(tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture(autouse=True)
def as_before(mesh: Mesh) -> Iterator[None]:
    """The service answers after the test what it answered before it, and the hidden product is still hidden."""

    def state() -> tuple[object, ...]:
        rows = mesh.data("{ dataProducts { totalCount nodes { key rdf } } domains { totalCount } }")
        page = mesh.client.get("/products/hr.salaries", headers=mesh.headers("analyst"))
        return rows, page.status_code, mesh.client.get("/livez").status_code

    before = state()
    yield
    assert state() == before
    assert before[1:] == (404, 200)


def bodies(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("name", TEXTS)
def test_in_tokens_and_subject_facts(mesh: Mesh, name: str) -> None:
    text = TEXTS[name]
    for value in (b"Bearer " + text.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass")):
        answer = mesh.client.get("/products/hr.salaries", headers={"Authorization": value})  # type: ignore[dict-item]
        assert answer.status_code == 401, answer.text
    asked = {"v": 1, "action": "read_metadata", "resources": {"hr.salaries": None}}
    own = {"id": "ann", "kind": "service", "roles": ["analyst"], "clearance": "internal"}
    for fact in ("id", "kind", "clearance", "purpose"):
        body = bodies(asked | {"subject": own | {fact: text}})
        answer = mesh.client.post("/v1/decisions", content=body, headers=mesh.headers("analyst") | JSON)
        assert answer.status_code in (200, 400, 403, 413), answer.text
        assert b'"allow":true' not in answer.content
    for fact in ("roles", "teams", "domains"):
        body = bodies(asked | {"subject": own | {fact: [text]}})
        answer = mesh.client.post("/v1/decisions", content=body, headers=mesh.headers("analyst") | JSON)
        assert answer.status_code in (400, 403, 413), answer.text


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("big number", "star", "nested", "brace")])
def test_in_the_claims_of_a_token(mesh: Mesh, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from fairmesh.api.auth import Tokens

    tokens = Tokens.open(tmp_path_factory.mktemp("tokens"))
    text = TEXTS[name]
    for subject in (
        Subject("x", "service", roles=(text,)), Subject("x", "service", teams=(text,)),
        Subject("x", "service", domains=(text,)), Subject("x", "service", clearance=text),
    ):  # fmt: skip
        with pytest.raises(InputError):
            tokens.create(subject)
    assert not tokens.any()
    tokens.close()


@pytest.mark.parametrize("name", TEXTS)
def test_in_keys_addresses_and_parameters(mesh: Mesh, name: str) -> None:
    text = quote(TEXTS[name].encode("utf-8", "surrogatepass")[:20_000], safe="")
    for path in (f"/products/{text}", f"/id/{text}", f"/ns/{text}", f"/products/hr.salaries?{text}={text}",
                 f"/graphql?query={text}"):  # fmt: skip
        answer = mesh.client.get(path, headers=mesh.headers("analyst"))
        assert 400 <= answer.status_code < 500, (path[:80], answer.text)
        assert HIDDEN not in answer.text
    for header in ("If-None-Match", "Accept"):
        value = TEXTS[name].encode("utf-8", "surrogatepass")[:60_000]
        answer = mesh.client.get("/products/hr.salaries", headers=mesh.headers("analyst") | {header: value})  # type: ignore[dict-item]
        assert answer.status_code in (404, 406)


@pytest.mark.parametrize("name", TEXTS)
def test_in_graphql_variables(mesh: Mesh, name: str) -> None:
    text = TEXTS[name]
    for query, variables in (
        ("query($v: String) { dataProduct(key: $v) { key } }", {"v": text}),
        ("query($v: String) { search(text: $v) { nodes { iri } suggestions } }", {"v": text}),
        ("query($v: IRI!) { resource(iri: $v) { label } }", {"v": text}),
        ("query($v: ID!) { node(id: $v) { id } }", {"v": text}),
        ("query($v: ID!) { decide(resource: $v, action: READ_METADATA) { allowed } }", {"v": text}),
        ("query($v: JSON) { decide(resource: \"x\", action: DISCOVER, subject: $v) { allowed } }", {"v": {"id": text}}),
        ("query($v: String) { dataProducts(after: $v) { totalCount } }", {"v": text}),
        ("query($v: Int) { dataProducts(first: $v) { totalCount } }", {"v": BIG}),
        ("mutation($v: String!) { register(input: {metadata: {content: $v}}) { created } }", {"v": text}),
    ):  # fmt: skip
        body = bodies({"query": query, "variables": variables})
        answer = mesh.client.post("/graphql", content=body, headers=mesh.headers("analyst") | JSON)
        assert answer.status_code < 500, (query, answer.text[:500])
        assert b'"allowed":true' not in answer.content
        assert b"INTERNAL" not in answer.content, (query, answer.text[:500])
        assert HIDDEN not in answer.text


def test_operations_and_variables_nested_deep(mesh: Mesh) -> None:
    deep = 5_000
    nested: object = "x"
    for _ in range(300):
        nested = {"and": [nested]}
    for body in (
        bodies({"query": "{" * deep + "a" + "}" * deep}),
        bodies({"query": "query($v: JSON) { decide(resource: \"x\", action: DISCOVER, subject: $v) { allowed } }",
                "variables": {"v": nested}}),
        bodies({"query": "query($v: ProductFilter) { dataProducts(filter: $v) { totalCount } }",
                "variables": {"v": nested}}),
        b'{"query": "{ domains { totalCount } }", "variables": {"v": ' + b"[" * deep + b"]" * deep + b"}}",
        b'{"query": "' + b"\xff\xfe" + b'"}',
        b"\0" * 1000,
    ):  # fmt: skip
        answer = mesh.client.post("/graphql", content=body, headers=mesh.headers("analyst") | JSON)
        assert answer.status_code < 500, answer.text[:500]
        assert b'"allowed":true' not in answer.content
        assert b"INTERNAL" not in answer.content, answer.text[:500]


@pytest.mark.parametrize("name", TEXTS)
def test_in_documents(mesh: Mesh, name: str) -> None:
    text = TEXTS[name]
    literal = json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")
    body = document("sales.orders", "Orders").encode() + b"<sales.orders> dct:alternative " + literal + b" ."
    answer = mesh.client.post("/products?dry_run=true", content=body, headers=mesh.headers("analyst") | TURTLE)
    assert answer.status_code in (400, 403, 413, 422), answer.text[:500]
    answer = mesh.client.post(
        "/products:batch?dry_run=true", content=bodies([{"content": text, "if_revision": BIG}]),
        headers=mesh.headers("sales") | JSON,
    )  # fmt: skip
    assert answer.status_code in (200, 400, 413), answer.text[:500]
    assert b'"status":201' not in answer.content


TURTLE = {"Content-Type": "text/turtle"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/turtle", PREFIXES.encode() + b"<sales.x> a dprod:DataProduct ; dct:title '\xff\xfe' ."),
        ("text/turtle", PREFIXES.encode() + b"<sales.x> dct:relation " + b"(" * 50_000),
        ("text/turtle", PREFIXES.encode() + b"<sales.x> dct:relation " + b"[ a " * 20_000),
        ("application/ld+json", b'{"@graph": ' * 5_000 + b"1" + b"}" * 5_000),
        ("application/ld+json", b"[" * 100_000),
        ("application/n-triples", b"\xff" * 1000),
        ("application/rdf+xml", b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'),
    ],
)
def test_documents_that_break_parsers(mesh: Mesh, kind: str, body: bytes) -> None:
    answer = mesh.client.post("/products", content=body, headers=mesh.headers("sales") | {"Content-Type": kind})
    assert answer.status_code in (400, 413, 415, 422), answer.text[:500]
