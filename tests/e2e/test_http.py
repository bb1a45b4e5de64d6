"""The HTTP contract: statuses, headers, representations, preconditions, refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import BASE, PRODUCTS, Mesh, document, listening, served

from fairmesh.api.products import READABLE
from fairmesh.api.web import negotiate
from fairmesh.catalog import Catalog, errors
from fairmesh.catalog import rdf as RDF

TURTLE = "text/turtle"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with served(tmp_path_factory.mktemp("mesh")) as made:
        yield made


def _problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"].endswith(code)
    assert (body["code"], body["status"]) == (code, status)
    assert body["title"]
    assert body["detail"]
    assert body["remedy"]
    return body


# -- registering ------------------------------------------------------------------------------------------------------


def test_register_update_repeat(mesh: Mesh) -> None:
    text = document("sales.leads", "Leads")
    made = mesh.put(text, "sales", If_None_Match="*")
    assert made.status_code == 201
    assert made.headers["location"] == "/products/sales.leads"
    assert made.headers["fairmesh-revision"]
    assert (made.json()["change"], made.json()["revision"], made.json()["key"]) == ("created", 1, "sales.leads")
    assert made.json()["report"]["conforms"] is True
    same = mesh.put(text, "sales")
    assert (same.status_code, same.json()["change"]) == (200, "unchanged")
    changed = mesh.put(document("sales.leads", "Leads", version="1.1.0"), "sales", If_Match='"1"')
    assert (changed.status_code, changed.json()["change"], changed.json()["revision"]) == (200, "updated", 2)
    assert changed.json()["changes"]
    assert changed.headers["fairmesh-revision"] != made.headers["fairmesh-revision"]


def test_preconditions_of_a_write(mesh: Mesh) -> None:
    mesh.put(document("sales.quotes", "Quotes"), "sales")
    newer = document("sales.quotes", "Quotes", version="2.0.0")
    _problem(mesh.put(newer, "sales", If_None_Match="*"), 412, "stale-revision")
    _problem(mesh.put(newer, "sales", If_Match="7"), 412, "stale-revision")
    etag = mesh.client.get("/products/sales.quotes", headers=mesh.headers("sales")).headers["etag"]
    _problem(mesh.put(newer, "sales", If_Match="W/" + etag), 400, "invalid")
    _problem(mesh.put(newer, "sales", If_Match="1", If_None_Match="*"), 400, "invalid")
    _problem(mesh.put(newer, "sales", If_None_Match=etag), 400, "invalid")
    assert mesh.put(newer, "sales", If_Match=etag).status_code == 200


@pytest.mark.parametrize("kind", [*READABLE])
def test_an_etag_counts_whole(mesh: Mesh, kind: str) -> None:
    key = "sales.tag-" + kind.partition("/")[2].replace("+", "-")
    mesh.put(document(key, "Tags"), "sales")
    etag = mesh.client.get(f"/products/{key}", headers=mesh.headers("sales") | {"Accept": kind}).headers["etag"]
    newer = document(key, "Tags", version="2.0.0")
    last = etag[-2]
    for wrong in (etag[:-2] + ("0" if last != "0" else "1") + '"', '"1-' + etag[3:].replace("-", "-x-", 1),
                  '"1-none-00"', '"2' + etag[2:]):  # fmt: skip
        _problem(mesh.put(newer, "sales", If_Match=wrong), 412, "stale-revision")
        deleted = mesh.client.request("DELETE", f"/products/{key}", headers=mesh.headers("sales") | {"If-Match": wrong})
        _problem(deleted, 412, "stale-revision")
    assert mesh.put(newer, "sales", If_Match=etag).json()["revision"] == 2
    _problem(mesh.put(document(key, "Tags", version="3.0.0"), "sales", If_Match=etag), 412, "stale-revision")
    etag = mesh.client.get(f"/products/{key}", headers=mesh.headers("sales") | {"Accept": kind}).headers["etag"]
    deleted = mesh.client.request("DELETE", f"/products/{key}", headers=mesh.headers("sales") | {"If-Match": etag})
    assert deleted.status_code == 204


def test_if_match_any_takes_a_product_that_is_there(mesh: Mesh) -> None:
    text = document("sales.any", "Any")
    _problem(mesh.put(text, "sales", If_Match="*"), 412, "stale-revision")
    _problem(mesh.put(text, "sales", If_Match='"1-turtle-00"'), 412, "stale-revision")
    _problem(mesh.put("nonsense", "sales", If_Match="*"), 400, "syntax")
    _problem(mesh.put(document("hr.any", "Any"), "sales", If_Match="*"), 403, "forbidden")
    assert mesh.put(text, "sales").status_code == 201
    changed = mesh.put(document("sales.any", "Any", version="2.0.0"), "sales", If_Match="*")
    assert (changed.status_code, changed.json()["change"]) == (200, "updated")


def test_dry_run_writes_nothing(mesh: Mesh) -> None:
    answer = mesh.client.post(
        "/products?dry_run=true", content=document("sales.maybe", "Maybe"), headers=mesh.headers("sales")
    )
    assert (answer.status_code, answer.json()["status"], answer.json()["change"]) == (200, 200, "created")
    batch = mesh.client.post(
        "/products:batch?dry_run=true",
        json=[{"content": document("sales.maybe", "Maybe")}],
        headers=mesh.headers("sales"),
    )
    assert [(result["status"], result["change"]) for result in batch.json()["results"]] == [(200, "created")]
    assert mesh.client.get("/products/sales.maybe", headers=mesh.headers("sales")).status_code == 404


@pytest.mark.parametrize("kind", [RDF.JSON_LD, RDF.N_TRIPLES, RDF.RDF_XML, RDF.TRIG])
def test_every_rdf_syntax_registers(mesh: Mesh, kind: str) -> None:
    key = "sales.as-" + kind.partition("/")[2].replace("+", "-").replace("ld-json", "json")
    parsed = RDF.parse(document(key, "Syntax").encode(), TURTLE, iri_base=BASE)
    content = RDF.serialize((quad.triple for quad in parsed.quads), kind)
    headers = mesh.headers("sales") | {"Content-Type": kind}
    assert mesh.client.post("/products", content=content, headers=headers).status_code == 201


BAD = {
    "syntax": ("<a> <b> <c> .\n<a> <b> ;;\n", 400, "syntax"),
    "empty": ("", 400, None),
    "no product": ("<http://x.org/a> a <http://x.org/B> .", 400, None),
    "two products": (document("sales.one", "One") + document("sales.two", "Two"), 400, None),
    "foreign node": (document("sales.one", "One") + '<hr.salaries> dct:title "Mine"@en .', 400, "foreign-node"),
    "climbing": (document("sales.one", "One") + '<../x> dct:title "Out"@en .', 400, "escapes-base"),
    "language": (document("sales.one", "One") + '<sales.one> dct:title "x"@no_such .', 400, "syntax"),
    "deep": (document("sales.one", "One") + "<sales.one> dct:relation " + "[ dct:relation " * 300, 413, "too-large"),
    "literal": (f'<a> <http://x.org/b> "{"x" * 5_000_000}" .', 413, "too-large"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_with_its_place(mesh: Mesh, name: str) -> None:
    text, status, code = BAD[name]
    answer = mesh.put(text, "sales")
    body = _problem(answer, status, code or answer.json()["code"])
    assert body["remedy"]
    if code == "syntax":
        assert body["line"] >= 1
        assert body["column"] >= 1


def test_the_other_refusals_of_a_write(mesh: Mesh) -> None:
    wrong = document("sales.wrong", "Wrong").replace('dct:title "Wrong"@en ;', "")
    report = _problem(mesh.put(wrong, "sales"), 422, "not-conforming")["report"]
    assert not report["conforms"]
    assert report["counts"]["violation"] == sum(
        group["count"] for group in report["groups"] if group["severity"] == "VIOLATION"
    )
    assert report["groups"][0]["severity"] == "VIOLATION"
    assert report["groups"][0]["lines"]
    assert report["findings"][0]["message"]
    denied = _problem(mesh.put(document("finance.x", "Xs"), "sales"), 403, "forbidden")
    assert denied["decision"]["reasons"]
    yaml = mesh.put("kind: DataProduct", "sales", Content_Type="application/yaml")
    assert _problem(yaml, 415, "unsupported")["remedy"]
    unknown = mesh.client.post("/products?dryrun=true", content="", headers=mesh.headers("sales"))
    assert "dryrun" in _problem(unknown, 400, "invalid")["detail"]
    twice = mesh.client.post("/products?dry_run=true&dry_run=false", content="", headers=mesh.headers("sales"))
    _problem(twice, 400, "invalid")
    packed = mesh.put("", "sales", Content_Encoding="gzip")
    _problem(packed, 415, "unsupported")


def test_a_body_over_the_limit_is_refused_while_it_streams(mesh: Mesh) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1_000_000
            yield b" " * 1_000_000

    answer = mesh.client.post("/products", content=endless(), headers=mesh.headers("sales"))
    _problem(answer, 413, "too-large")
    assert sent <= 8_000_000
    answer = mesh.client.post("/graphql", content=endless(), headers={"Content-Type": "application/json"})
    _problem(answer, 413, "too-large")


def test_who_calls(mesh: Mesh) -> None:
    for header in ("Bearer fm_" + "x" * 32, "Basic abc", "Bearer"):
        for method, path in (
            ("GET", "/products/ops.calendar"),
            ("POST", "/products"),
            ("GET", "/graphql?query={__typename}"),
        ):
            answer = mesh.client.request(method, path, headers={"Authorization": header})
            _problem(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert mesh.client.get("/products/ops.calendar").status_code == 200


def test_batch_as_json_and_multipart(mesh: Mesh) -> None:
    good, bad = document("sales.batch-a", "Batches"), "nonsense"
    answer = mesh.client.post(
        "/products:batch",
        json=[{"media_type": TURTLE, "content": good}, {"content": bad}, {"content": good, "if_revision": 0}],
        headers=mesh.headers("sales"),
    )
    assert answer.status_code == 200
    assert answer.headers["fairmesh-revision"]
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 400, 412]
    assert results[1]["problem"]["line"] == 1
    files = [
        ("document", ("b.ttl", document("sales.batch-b", "Batches"), TURTLE)),
        ("document", ("c.ttl", bad, TURTLE)),
    ]
    answer = mesh.client.post("/products:batch", files=files, headers=mesh.headers("sales"))
    assert [result["status"] for result in answer.json()["results"]] == [201, 400]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'[{"content": 1}]', "application/json", 400),
        (b'[{"content": "", "mediatype": ""}]', "application/json", 400),
        (b'[{"content": "", "if_revision": true}]', "application/json", 400),
        (json.dumps([{"content": ""}] * 1001).encode(), "application/json", 413),
        (b"", "text/turtle", 415),
        (b"nonsense", "multipart/form-data; boundary=x", 400),
        (b"nonsense", "multipart/form-data", 400),
    ],
)
def test_batches_that_are_none(mesh: Mesh, body: bytes, kind: str, status: int) -> None:
    headers = mesh.headers("sales") | {"Content-Type": kind}
    answer = mesh.client.post("/products:batch", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["remedy"]


def test_a_multipart_batch_that_was_cut_short_is_refused_whole(mesh: Mesh) -> None:
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="document"; filename="{key}.ttl"\r\n'
        f"Content-Type: text/turtle\r\n\r\n{document(key, 'Parts')}\r\n"
        for key in ("sales.part-a", "sales.part-b")
    ).encode()
    headers = mesh.headers("sales") | {"Content-Type": "multipart/form-data; boundary=x"}
    for cut in (parts, parts + b"--x", parts + b"--x\r\n", parts + b"--x-", parts[: len(parts) // 2], parts[:20],
                parts[:700], b""):  # fmt: skip
        _problem(mesh.client.post("/products:batch", content=cut, headers=headers), 400, "syntax")
    assert mesh.client.get("/products/sales.part-a", headers=mesh.headers("sales")).status_code == 404
    whole = mesh.client.post("/products:batch", content=parts + b"--x--", headers=headers)
    assert [result["status"] for result in whole.json()["results"]] == [201, 201]
    again = mesh.client.post("/products:batch", content=parts + b"--x--\r\nepilogue", headers=headers)
    assert [result["status"] for result in again.json()["results"]] == [200, 200]


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", RDF.TURTLE),
        ("text/turtle", RDF.TURTLE),
        ("application/ld+json", RDF.JSON_LD),
        ("application/n-triples", RDF.N_TRIPLES),
        ("application/rdf+xml", RDF.RDF_XML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/rdf+xml;q=0.5, application/ld+json;q=0.6, text/plain", RDF.JSON_LD),
    ],
)
def test_representations(mesh: Mesh, accept: str, kind: str) -> None:
    answer = mesh.client.get("/products/sales.orders", headers=mesh.headers("analyst") | {"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "Authorization, Accept"
    etag = answer.headers["etag"]
    again = mesh.client.get(
        "/products/sales.orders", headers=mesh.headers("analyst") | {"Accept": accept, "If-None-Match": f'"x", {etag}'}
    )
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    if kind != "text/html":
        parsed = RDF.parse(answer.content, kind, iri_base=BASE)
        assert any(quad.subject.value == BASE + "sales.orders" for quad in parsed.quads)


def test_tags_are_per_form_and_never_name_the_base(mesh: Mesh) -> None:
    tags = {
        mesh.client.get("/products/sales.orders", headers=mesh.headers("analyst") | {"Accept": kind}).headers["etag"]
        for kind in (RDF.TURTLE, RDF.JSON_LD, "text/html")
    }
    assert len(tags) == 3
    assert all(tag.startswith('"1-') and "localhost" not in tag for tag in tags)


def test_reading_refuses(mesh: Mesh) -> None:
    headers = mesh.headers("analyst")
    _problem(
        mesh.client.get("/products/sales.orders", headers=headers | {"Accept": "image/png"}), 406, "not-acceptable"
    )
    for parameter in ("revision=1", "as_of=2026-01-01"):
        answer = mesh.client.get(f"/products/sales.orders?{parameter}", headers=headers)
        assert parameter.partition("=")[0] in _problem(answer, 400, "invalid")["detail"]
    _problem(mesh.client.get("/nowhere"), 404, "not-found")
    answer = mesh.client.request("PUT", "/products/sales.orders")
    _problem(answer, 405, "method-not-allowed")
    assert "DELETE" in answer.headers["allow"]


def test_hidden_and_absent_read_alike(mesh: Mesh) -> None:
    for path, hidden, absent in (
        ("/products/{}", "hr.salaries", "hr.nothings"),
        ("/id/{}", "hr.salaries", "hr.nothings"),
        ("/id/{}/data", "hr.salaries", "hr.nothings"),
    ):
        answers = [mesh.client.get(path.format(key), headers=mesh.headers("analyst")) for key in (hidden, absent)]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].text.replace(hidden, absent) == answers[1].text
        assert dict(answers[0].headers) == dict(answers[1].headers)
        deleted = [
            mesh.client.request("DELETE", f"/products/{key}", headers=mesh.headers("sales") | {"If-Match": "*"})
            for key in (hidden, absent)
        ]
        assert deleted[0].text.replace(hidden, absent) == deleted[1].text
    assert mesh.client.get("/products/hr.salaries", headers=mesh.headers("steward")).status_code == 200


def test_nodes_by_their_address(mesh: Mesh) -> None:
    headers = mesh.headers("analyst")
    for path in ("sales.orders", "sales.orders/data", "sales.orders/data/column/a%20b", "sales.orders/sql"):
        answer = mesh.client.get("/id/" + path, headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, "/products/sales.orders"), path
    shared = mesh.client.get("/id/domain/sales", headers=headers)
    assert shared.status_code == 200
    assert b"Sales" in shared.content
    page = mesh.client.get("/id/domain/sales", headers=headers | {"Accept": "text/html"})
    assert '<a href="/id/sales.orders">Orders</a>' in page.text
    assert mesh.client.get("/id/domain/hr", headers=headers).status_code == 404
    for path in ("", "..%2Fproducts", "domain/%00", "a b", "%ff"):
        assert mesh.client.get("/id/" + path, headers=headers).status_code in (404, 400)


def test_the_page_escapes_what_documents_say(mesh: Mesh) -> None:
    text = document("sales.script", "<script>alert(1)</script>")
    assert mesh.put(text, "sales").status_code == 201
    page = mesh.client.get("/products/sales.script", headers=mesh.headers("sales") | {"Accept": "text/html"})
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_vocabulary(mesh: Mesh) -> None:
    whole = mesh.client.get("/ns")
    assert whole.status_code == 200
    assert b"physicalName" in whole.content
    for path in ("physicalName", "classification", "classification/internal", "status/consume"):
        part = mesh.client.get("/ns/" + path, headers={"Accept": RDF.N_TRIPLES})
        assert part.status_code == 200
        assert 0 < len(part.content) < len(whole.content)
    assert mesh.client.get("/ns/nothing").status_code == 404


# -- retiring ---------------------------------------------------------------------------------------------------------


def test_retire(mesh: Mesh) -> None:
    mesh.put(document("sales.gone", "Gone things"), "sales")
    mesh.put(document("sales.uses", "Users", derived=("sales.gone",)), "sales")

    def delete(role: str | None, query: str = "", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return mesh.client.request("DELETE", "/products/sales.gone" + query, headers=mesh.headers(role) | sent)

    _problem(delete("sales"), 428, "precondition-required")
    _problem(delete("sales", If_Match="5"), 412, "stale-revision")
    _problem(delete("analyst", If_Match="1", query="?force=true"), 403, "forbidden")
    _problem(delete(None, If_Match="1"), 404, "not-found")
    used = _problem(delete("sales", If_Match="1"), 409, "still-used")
    assert used["still_used_by"] == [BASE + "sales.uses"]
    _problem(delete("sales", If_Match="1", query="?forced=true"), 400, "invalid")
    done = delete("sales", If_Match="1", query="?force=true&reason=replaced")
    assert (done.status_code, done.content) == (204, b"")
    assert done.headers["fairmesh-revision"]
    for path in ("/products/sales.gone", "/id/sales.gone"):
        gone = _problem(mesh.client.get(path, headers=mesh.headers("analyst")), 410, "retired")
        assert "sam" in gone["detail"]
        assert "replaced" in gone["detail"]
        _problem(mesh.client.get(path), 404, "not-found")
    _problem(delete("sales", If_Match="*"), 410, "retired")
    assert mesh.put(document("sales.gone", "Gone things"), "sales").json()["revision"] == 3


def test_what_takes_over_is_a_product_the_caller_sees(mesh: Mesh) -> None:
    for key in ("sales.from-a", "sales.from-b", "sales.to"):
        mesh.put(document(key, "Moves"), "sales")

    def delete(key: str, **asked: str) -> httpx.Response:
        headers = mesh.headers("sales") | {"If-Match": "*"}
        return mesh.client.request("DELETE", f"/products/{key}", params=asked, headers=headers)

    refused = [
        _problem(delete("sales.from-a", replaced_by=name), 400, "invalid")["detail"].replace(name, "")
        for name in ("hr.salaries", "hr.nothings", "", "no key")
    ]
    assert len(set(refused)) == 1
    for iri in (BASE + "hr.salaries", BASE + "hr.nothings", "no:iri at all"):
        _problem(delete("sales.from-a", replaced_by=iri), 400, "invalid")
    _problem(delete("sales.from-a", reason="x" * 501), 400, "invalid")
    for key, name in (("sales.from-a", "sales.to"), ("sales.from-b", BASE + "sales.to")):
        assert delete(key, replaced_by=name).status_code == 204
        gone = _problem(mesh.client.get(f"/products/{key}", headers=mesh.headers("sales")), 410, "retired")
        assert BASE + "sales.to" in gone["remedy"]
    assert "sales.to" not in _problem(delete("sales.to", replaced_by="sales.from-a"), 400, "invalid")["remedy"]


# -- GraphQL over HTTP ------------------------------------------------------------------------------------------------

RESPONSE = "application/graphql-response+json"


@pytest.mark.parametrize(
    ("accept", "kind", "status"),
    [
        (None, "application/json", 400),
        ("*/*", "application/json", 400),
        ("application/json", "application/json", 200),
        (RESPONSE, RESPONSE, 400),
        (f"{RESPONSE}, application/json;q=0.9", RESPONSE, 400),
        ("text/html, */*", "application/json", 400),
    ],
)
@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{", {}),
        ("{ nothing }", {}),
        ("query($id: ID!) { node(id: $id) { id } }", {}),
        ("query($iri: IRI!) { resource(iri: $iri) { id } }", {"iri": "no iri"}),
        ("query A { __typename } query B { __typename }", {}),
        ('{ resource(iri: "no iri") { id } }', {}),
        ('{ search(lang: "no lang") { totalCount } }', {}),
        ('{ dataProducts(filter: { updated: { from: "yesterday" } }) { totalCount } }', {}),
        (
            '{ search(filter: { property: { predicate: "a:b", test: { exists: true, iri: "a:b" } } }) { totalCount } }',
            {},
        ),
        (
            'query($t: PropertyTest!) { search(filter: { property: { predicate: "a:b", test: $t } }) { totalCount } }',
            {"t": {"exists": True, "equals": "x"}},
        ),
    ],
)
def test_requests_that_cannot_run(
    mesh: Mesh, query: str, variables: dict[str, str], accept: str | None, kind: str, status: int
) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = mesh.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, kind)
    assert set(answer.json()) == {"errors"}
    assert "internal" not in answer.text


def test_graphql_requests(mesh: Mesh) -> None:
    client = mesh.client
    assert client.get("/graphql", params={"query": "{ __typename }"}).json()["data"] == {"__typename": "Query"}
    answer = client.get(
        "/graphql",
        params={
            "query": "query A($id: ID!) { node(id: $id) { id } } query B { __typename }",
            "operationName": "A",
            "variables": '{"id": "x"}',
            "extensions": "{}",
        },
    )
    assert answer.json()["data"] == {"node": None}
    nulls = {"query": "{ __typename }", "variables": None, "operationName": None, "extensions": None}
    assert client.post("/graphql", json=nulls).json()["data"] == {"__typename": "Query"}
    utf8 = {"Content-Type": "application/json; charset=utf-8"}
    assert client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=utf8).status_code == 200


def test_graphql_requests_that_are_none(mesh: Mesh) -> None:
    client = mesh.client
    mutation = client.get(
        "/graphql", params={"query": 'mutation { validate(input: { metadata: { content: "" } }) { wouldRegister } }'}
    )
    _problem(mutation, 405, "method-not-allowed")
    assert mutation.headers["allow"] == "POST"
    _problem(client.request("PUT", "/graphql"), 405, "method-not-allowed")
    _problem(client.get("/graphql"), 400, "invalid")
    _problem(client.get("/graphql", params={"query": "{ __typename }", "x": "1"}), 400, "invalid")
    _problem(client.get("/graphql?query={__typename}&query={__typename}"), 400, "invalid")
    _problem(client.get("/graphql", params={"query": "{ __typename }", "variables": "{"}), 400, "syntax")
    _problem(client.post("/graphql", content=b"query=x"), 415, "unsupported")
    _problem(client.post("/graphql", data={"query": "{ __typename }"}), 415, "unsupported")
    _problem(client.post("/graphql", content=b"{", headers={"Content-Type": "application/json"}), 400, "syntax")
    body: object
    for body in ([], {}, {"query": 1}, {"query": ""}, {"query": "{__typename}", "variables": []},
                 {"query": "{__typename}", "operationName": 1}, {"query": "{__typename}", "extensions": "x"},
                 {"query": "{__typename}", "persist": 1}):  # fmt: skip
        _problem(client.post("/graphql", json=body), 400, "invalid")
    picture = client.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": "image/png"})
    _problem(picture, 406, "not-acceptable")


def test_the_page_for_browsers_needs_no_other_host(mesh: Mesh) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = mesh.client.get("/graphql", headers=accept)
    assert page.headers["content-type"].startswith("text/html")
    assert "<textarea" in page.text
    for path in ("/portal/graphql.js", "/portal/style.css", "/"):
        part = mesh.client.get(path)
        assert part.status_code == 200
        assert "//cdn" not in part.text
        assert "https://unpkg" not in part.text
    assert mesh.client.get("/portal/../app.py").status_code == 404
    assert mesh.client.get("/graphql?query={__typename}", headers=accept).json()["data"]


# -- the service itself -----------------------------------------------------------------------------------------------


def test_health(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mesh.client.get("/livez").status_code == 200
    ready = mesh.client.get("/readyz")
    assert ready.status_code == 200
    assert set(ready.json().values()) == {"ok"}
    monkeypatch.setattr(Catalog, "ready", lambda self: {"policy": "down"})
    assert mesh.client.get("/readyz").status_code == 503


def test_faults_are_masked(mesh: Mesh, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(self: Catalog, *_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Catalog, "view", broken)
    body = _problem(mesh.client.get("/products/sales.orders"), 500, "internal")
    assert "secret" not in str(body)
    assert body["id"] in caplog.text


def test_an_engine_that_is_down_refuses_everything(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(self: Catalog, *_: Any, **__: Any) -> None:
        raise errors.PolicyUnavailable("the policy engine does not answer", remedy="Try again later")

    monkeypatch.setattr(Catalog, "view", down)
    for key in ("sales.orders", "hr.salaries", "no.such"):
        answer = mesh.client.get(f"/products/{key}", headers=mesh.headers("steward"))
        _problem(answer, 503, "policy-unavailable")
        assert answer.headers["retry-after"]


@given(st.text(max_size=60))
def test_any_accept_header_is_read(text: str) -> None:
    offers = ("text/turtle", "text/html")
    assert negotiate(text, offers) in (None, *offers)


@pytest.fixture
def address(mesh: Mesh) -> Iterator[str]:
    with listening(mesh.app) as url:
        yield url


def test_over_a_socket(mesh: Mesh, address: str) -> None:
    with httpx.Client(base_url=address, headers=mesh.headers("sales"), trust_env=False) as client:
        made = client.post("/products", content=document("sales.wire", "Wire"), headers={"Content-Type": TURTLE})
        assert made.status_code == 201
        found = client.post("/graphql", json={"query": '{ search(text: "wire") { nodes { label } } }'}).json()
        assert found["data"]["search"]["nodes"][0]["label"] == "Wire"
        assert client.head("/products/sales.wire").status_code == 200
        assert client.get("/id/sales.wire/data/column/a%20b").status_code == 303
        too_much = client.post("/products", content=iter([b" " * 1_000_000] * 7))
        assert too_much.status_code == 413
        assert client.get("/products/sales.wire").status_code == 200


def test_readers_and_writers_at_once(mesh: Mesh, address: str) -> None:
    failures: list[object] = []

    def work(number: int) -> None:
        with httpx.Client(base_url=address, headers=mesh.headers("sales"), trust_env=False, timeout=60) as client:
            for turn in range(4):
                text = document(f"sales.load-{number}", "Load", version=f"{turn}.0.0")
                made = client.post("/products", content=text, headers={"Content-Type": TURTLE})
                query = f'{{ dataProduct(key: "sales.load-{number}") {{ version }} }}'
                read = client.post("/graphql", json={"query": query}).json()
                if made.status_code > 201 or read["data"]["dataProduct"]["version"] != f"{turn}.0.0":
                    failures.append((number, turn, made.text, read))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_mesh_is_as_it_was(mesh: Mesh) -> None:
    for key in PRODUCTS:
        assert mesh.client.get(f"/products/{key}", headers=mesh.headers("steward")).status_code == 200
