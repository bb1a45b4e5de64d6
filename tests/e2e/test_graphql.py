"""GraphQL end to end: what each role sees, ids and pages, writes, limits, faults."""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from graphql import build_client_schema, get_introspection_query
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import BASE, PRODUCTS, SUBJECTS, Mesh, document, served

from fairmesh.api.schema import Limits
from fairmesh.api.schema.execution import Engine, Request
from fairmesh.catalog import Catalog, View, errors
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import ANONYMOUS, SearchOrder, Subject, Submission

IDS = """{ dataProducts { nodes {
  id key datasets { id columns { nodes { id } } } ports { id } domain { id } terms { id } } } }"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with served(tmp_path_factory.mktemp("mesh")) as made:
        yield made


def _keys(mesh: Mesh, role: str | None) -> list[str]:
    nodes = mesh.data("{ dataProducts { nodes { key } } }", role)["dataProducts"]["nodes"]
    return [node["key"] for node in nodes]


def test_the_samples_of_the_page_are_answered(mesh: Mesh) -> None:
    script = (ROOT / "api" / "portal" / "graphql.js").read_text("utf-8")
    found = re.findall(r'^  "([^"]+)": \[\s*`([^`]+)`, (\{.*?\})\],$', script, re.MULTILINE | re.DOTALL)
    assert len(found) == len(re.findall(r'^  "(.+)": \[', script, re.MULTILINE)) > 5
    for name, query, variables in found:
        stated = json.loads(re.sub(r"(\w+): ", r'"\1": ', variables))
        assert mesh.data(query, "steward", **stated), name


# -- reading ----------------------------------------------------------------------------------------------------------


def test_each_role_sees_its_products(mesh: Mesh) -> None:
    visible = sorted(set(PRODUCTS) - {"hr.salaries"})
    assert _keys(mesh, "analyst") == visible
    assert _keys(mesh, None) == ["ops.calendar"]
    assert _keys(mesh, "steward") == sorted(PRODUCTS)


def test_product_page(mesh: Mesh) -> None:
    page = mesh.data(
        """{ dataProduct(key: "sales.orders") {
          __typename iri label(lang: ["en"]) description version status license
          domain { label iri } owner { label iri } classification { label iri } terms { label }
          ports(direction: OUTPUT) { key direction label endpoint mediaType physicalName datasets { label } }
          datasets(direction: OUTPUT) { label dataProduct { key } classification { label } ports { key }
            columns { totalCount nodes { name datatype nullable dataset { label } dataProduct { key } } } }
          revisions { totalCount nodes { number by version changes { added predicate { curie } object } } }
          conformance { conforms counts { violation } results { totalCount } }
          viewerCan(actions: [READ_METADATA, UPDATE]) { action allowed reasons }
          rdf(format: N_TRIPLES)
        } }"""
    )["dataProduct"]
    assert (page["__typename"], page["label"], page["status"], page["version"]) == (
        "DataProduct",
        "Orders",
        "DRAFT",
        "1.0.0",
    )
    assert page["domain"] == {"label": "Sales", "iri": BASE + "domain/sales"}
    assert page["owner"]["label"] == "sales team"
    assert page["classification"]["iri"].endswith("/internal")
    assert [term["label"] for term in page["terms"]] == ["Order"]
    assert page["ports"] == [
        {
            "key": "sql",
            "direction": "OUTPUT",
            "label": "Orders over SQL",
            "endpoint": "https://warehouse.example.org/sales.orders",
            "mediaType": "https://www.iana.org/assignments/media-types/application/vnd.apache.parquet",
            "physicalName": "warehouse.sales.orders",
            "datasets": [{"label": "Orders table"}],
        }
    ]
    columns = page["datasets"][0]["columns"]
    assert [(c["name"], c["nullable"]) for c in columns["nodes"]] == [("id", False), ("a b", True)]
    assert columns["totalCount"] == 2
    assert page["revisions"]["nodes"][0]["by"] == "setup"
    assert page["revisions"]["nodes"][0]["changes"][0]["added"] is True
    assert page["conformance"]["conforms"] is True
    assert [decision["allowed"] for decision in page["viewerCan"]] == [True, False]
    assert f"<{BASE}sales.orders>" in page["rdf"]


def test_search_with_facets_and_highlights(mesh: Mesh) -> None:
    found = mesh.data(
        """{ search(text: "revenue", first: 5) {
          totalCount totalIsExact suggestions
          facets(fields: [DOMAIN, STATUS, CLASSIFICATION, TYPE]) {
            field otherCount buckets { key label count resource { label } } }
          edges { score node { ... on DataProduct { key } } matchedOn { curie }
            highlights { fragment spans { start end } } }
        } }"""
    )["search"]
    assert found["edges"][0]["node"]["key"] == "finance.revenue"
    highlight = found["edges"][0]["highlights"][0]
    span = highlight["spans"][0]
    assert highlight["fragment"][span["start"] : span["end"]].lower() == "revenue"
    facets = {facet["field"]: facet["buckets"] for facet in found["facets"]}
    assert facets["DOMAIN"][0]["label"] == "Finance"
    assert facets["STATUS"][0]["label"] == facets["STATUS"][0]["key"]


def test_lineage_stops_at_what_is_hidden(mesh: Mesh) -> None:
    query = """query($id: ID!) { lineage(id: $id, input: { direction: UPSTREAM, depth: 9 }) {
      truncated summary { upstreamCount downstreamCount } edges { from to predicate { curie } }
      nodes { distance moreUpstream resource { id ... on DataProduct { key } } } } }"""
    margin = mesh.data('{ dataProduct(key: "finance.margin") { id } }')["dataProduct"]["id"]

    def upstream(role: str) -> set[str]:
        found = mesh.data(query, role, id=margin)["lineage"]
        ids = {node["resource"]["id"] for node in found["nodes"]}
        assert {end for edge in found["edges"] for end in (edge["from"], edge["to"])} <= ids
        assert not found["truncated"]
        return {node["resource"]["key"] for node in found["nodes"] if node["distance"]}

    assert upstream("analyst") == {"finance.revenue", "sales.orders", "sales.customers"}
    assert upstream("steward") == {"finance.revenue", "sales.orders", "sales.customers", "hr.salaries"}


def test_walk_to_products_of_the_same_term(mesh: Mesh) -> None:
    start = mesh.data('{ dataProduct(key: "sales.orders") { id } }')["dataProduct"]["id"]
    found = mesh.data(
        """query($id: ID!) { traverse(input: { from: [$id], steps: [
            { predicates: ["http://purl.org/dc/terms/subject"] }
            { predicates: ["http://purl.org/dc/terms/subject"], direction: IN } ] }) {
          truncated
          edges { node { ... on DataProduct { key } } crossesDomains { label } path { from { label } direction } }
        } }""",
        id=start,
    )["traverse"]
    assert {edge["node"]["key"] for edge in found["edges"]} >= {"finance.revenue", "ops.calendar"}
    assert "hr.salaries" not in str(found)
    assert [step["direction"] for step in found["edges"][0]["path"]] == ["OUT", "IN"]


def test_paths(mesh: Mesh) -> None:
    ids = {n["key"]: n["id"] for n in mesh.data(IDS)["dataProducts"]["nodes"]}
    paths = mesh.data(
        "query($a: ID!, $b: ID!) { paths(input: { from: $a, to: $b, k: 2 }) { length steps { predicate { curie } } } }",
        a=ids["sales.orders"],
        b=ids["ops.calendar"],
    )["paths"]
    assert paths[0]["length"] == len(paths[0]["steps"]) == 2


def test_relations_of_any_node(mesh: Mesh) -> None:
    found = mesh.data(
        """query($iri: IRI!) { resource(iri: $iri) { __typename label
          relationSummary { predicate { curie } direction count }
          relations(direction: IN, first: 2) { totalCount pageInfo { hasNextPage } edges {
            predicate { curie label } node { label } inferred statedIn statedBy { label } } }
          properties { nodes { predicate { curie } value { lexical lang datatype int } } } } }""",
        iri=BASE + "domain/sales",
    )["resource"]
    assert found["__typename"] == "Domain"
    assert found["relations"]["totalCount"] == 2
    assert found["relations"]["edges"][0]["statedBy"]["label"] == "sales team"
    assert found["properties"]["nodes"][0]["value"]["lexical"] == "Sales"


def test_concepts_rules_and_vocabulary(mesh: Mesh) -> None:
    found = mesh.data(
        """{ domains { nodes { label parent { label } children { label } owner { label } dataProducts { totalCount } } }
             glossaryTerms(text: "cust") { nodes { label broader { label } usedBy { nodes { key } } } }
             shapes(scope: CORE) { id iri label severity targets { curie } version rdf(format: N_TRIPLES) }
             vocabulary(prefix: "fm") { curie label comment }
             service { version schemaHash shapesVersion policyRevision limits { maxPageSize } } }"""
    )
    assert {d["label"]: d["dataProducts"]["totalCount"] for d in found["domains"]["nodes"]} == {
        "Finance": 2, "Ops": 1, "Sales": 2,
    }  # fmt: skip
    assert found["glossaryTerms"]["nodes"][0]["usedBy"]["nodes"] == [{"key": "sales.customers"}]
    assert len(found["shapes"]) == 31
    assert all(shape["rdf"] for shape in found["shapes"])
    assert all(term["label"] and term["comment"] for term in found["vocabulary"])
    assert found["service"]["limits"]["maxPageSize"] == 200


# -- what is hidden is absent -----------------------------------------------------------------------------------------


def test_hidden_and_absent_read_alike(mesh: Mesh) -> None:
    hidden = mesh.data('{ dataProduct(key: "hr.salaries") { id } }', "steward")["dataProduct"]["id"]
    absent = base64.urlsafe_b64encode(b"rhr.nothinghere").decode().rstrip("=")
    query = """query($id: ID!, $iri: IRI!, $key: String!) {
      node(id: $id) { id } nodes(ids: [$id]) { id } resource(iri: $iri) { id } dataProduct(key: $key) { id }
      byIri: dataProduct(iri: $iri) { id } }"""
    answers = [
        mesh.ask(query, id=node, iri=BASE + key, key=key)
        for node, key in ((hidden, "hr.salaries"), (absent, "hr.nothinghere"))
    ]
    assert answers[0] == answers[1]
    assert answers[0]["data"] == {"node": None, "nodes": [None], "resource": None, "dataProduct": None, "byIri": None}
    failing = "query($id: ID!) { lineage(id: $id, input: {}) { truncated } }"
    refusals = [mesh.ask(failing, id=node) for node in (hidden, absent, "garbage")]
    assert refusals[0] == refusals[1] == refusals[2]
    assert refusals[0]["errors"][0]["extensions"]["code"] == "NOT_FOUND"


def test_each_change_has_its_revision_however_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = """query($id: ID!) { changes(kinds: [REGISTERED, UPDATED], resource: $id, first: 200) { nodes {
      kind at revision { number at version changes { added object } } } } }"""
    read: Counter[str] = Counter()
    honest = Journal.product_history

    def counted(self: Journal, product: str, **which: Any) -> Any:
        found = honest(self, product, **which)
        read[product] += len(found)
        return found

    with served(tmp_path) as mesh:
        for number in range(1, 60):
            assert mesh.put(document("sales.orders", f"Orders {number}"), "sales").status_code == 200
        id = mesh.data('{ dataProduct(key: "sales.orders") { id } }')["dataProduct"]["id"]
        listed = """{ dataProduct(key: "sales.orders") { revisions(first: 200) { nodes {
          number at version changes { added object } } } } }"""
        revisions = mesh.data(listed)["dataProduct"]["revisions"]["nodes"]
        monkeypatch.setattr(Journal, "product_history", counted)
        nodes = mesh.data(feed, id=id)["changes"]["nodes"]
    assert [node["revision"] for node in nodes] == revisions[::-1]
    assert [node["revision"]["number"] for node in nodes] == list(range(1, 61))
    assert all(node["at"] == node["revision"]["at"] for node in nodes)
    assert sum(read.values()) <= 3 * 60, "each reads itself and the one before, not the whole history"


REFUSED = """mutation($content: String!) { validate(input: {metadata: {content: $content}}) {
  wouldRegister errors { code } report { checked conforms results { totalCount } }
  fair { score indicators { passed evidence } } } }"""


def test_what_is_refused_is_assessed_and_what_was_not_judged_says_so(tmp_path: Path) -> None:
    live = document("sales.live", "Live orders", status="consume")
    with served(tmp_path) as mesh:
        assert mesh.put(live, "sales").status_code == 201
        found = {
            name: mesh.data(REFUSED, role, content=text)["validate"]
            for name, role, text in (
                ("fine", "sales", live),
                ("breaking", "sales", live.replace("csvw:datatype xsd:decimal", "csvw:datatype xsd:int")),
                ("not conforming", "sales", live.replace('dct:title "Live orders"@en ;', "")),
                ("forbidden", "finance", live),
                ("syntax", "sales", "<a> <b"),
            )
        }
    codes = {name: [error["code"] for error in answer["errors"]] for name, answer in found.items()}
    assert codes == {
        "fine": [], "breaking": ["CONFLICT"], "not conforming": ["NOT_CONFORMING"], "forbidden": ["FORBIDDEN"],
        "syntax": ["SYNTAX"],
    }  # fmt: skip
    assert found["breaking"]["fair"]["score"] == found["fine"]["fair"]["score"] > 0.5
    assert found["not conforming"]["fair"]["score"] > 0.5
    checked = {name: (it["report"]["checked"], it["report"]["conforms"]) for name, it in found.items()}
    assert checked == {
        "fine": (True, True), "breaking": (True, True), "not conforming": (True, False), "forbidden": (False, False),
        "syntax": (False, False),
    }  # fmt: skip
    for name in ("forbidden", "syntax"):
        indicators = found[name]["fair"]["indicators"]
        assert {(it["passed"], it["evidence"]) for it in indicators} == {
            (None, "not assessed: the document was not judged, see errors")
        }
        assert len(indicators) == 41


def test_how_a_product_stands_is_for_who_may_read_it(tmp_path: Path) -> None:
    query = """{ dataProduct(key: "finance.plans") {
      conformance { checked conforms counts { violation warning info } results { totalCount } groups { rule } rdf }
      fair { score reusable indicators { passed evidence } } }
      dataProducts { nodes { key } } conforming: dataProducts(filter: {conforms: true}) { nodes { key } } }"""
    with served(tmp_path, without="hr.salaries") as mesh:
        producer = Subject("planner", "service", ("producer",), (), ("finance",), "restricted")
        plans = Submission(document("finance.plans", "Plans", classification="confidential").encode())
        assert mesh.catalog.register(producer, [plans], channel="http")[0].error is None
        found, pages = {}, []
        for role in ("analyst", "steward"):
            found[role] = mesh.data(query, role)
            headers = {"accept": "text/html"} | mesh.headers(role)
            pages.append(mesh.client.get("/products/finance.plans", headers=headers).text)
    assert {"key": "finance.plans"} in found["analyst"]["dataProducts"]["nodes"], "it may be discovered"
    unseen = {"passed": None, "evidence": "not assessed: this product may be found, and not read, by you"}
    assert found["analyst"]["dataProduct"] == {
        "conformance": {"checked": False, "conforms": False, "counts": {"violation": 0, "warning": 0, "info": 0},
                        "results": {"totalCount": 0}, "groups": [], "rdf": ""},
        "fair": {"score": 0.0, "reusable": 0.0, "indicators": [unseen] * 41},
    }  # fmt: skip
    assert {"key": "finance.plans"} not in found["analyst"]["conforming"]["nodes"]
    seen = found["steward"]["dataProduct"]
    assert seen["conformance"]["checked"]
    assert seen["conformance"]["conforms"]
    assert seen["conformance"]["results"]["totalCount"] > 0
    assert seen["fair"]["score"] > 0.5
    assert {"key": "finance.plans"} in found["steward"]["conforming"]["nodes"]
    assert ["Conformance" in page for page in pages] == [False, True]


# -- ids and pages ----------------------------------------------------------------------------------------------------


def test_ids_are_opaque_and_lead_back(mesh: Mesh) -> None:
    product = next(n for n in mesh.data(IDS)["dataProducts"]["nodes"] if n["key"] == "sales.orders")
    shape = mesh.data("{ shapes { id } }")["shapes"][0]
    nodes = [
        (product["id"], "DataProduct"),
        (product["datasets"][0]["id"], "Dataset"),
        (product["datasets"][0]["columns"]["nodes"][0]["id"], "Column"),
        (product["ports"][0]["id"], "Port"),
        (product["domain"]["id"], "Domain"),
        (product["terms"][0]["id"], "GlossaryTerm"),
        (shape["id"], "Shape"),
    ]
    found = mesh.data("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=[id for id, _ in nodes])
    assert found["nodes"] == [{"__typename": kind, "id": id} for id, kind in nodes]
    for id, _ in nodes:
        assert b"localhost" not in base64.urlsafe_b64decode(id + "==")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text(max_size=40)
    | st.binary(max_size=30).map(lambda b: base64.urlsafe_b64encode(b).decode())
    | st.builds(
        lambda letter, rest: base64.urlsafe_b64encode(f"{letter}{rest}".encode()).decode().rstrip("="),
        st.sampled_from("rosROSx"),
        st.text(st.characters(codec="utf-8"), max_size=20),
    )
)
def test_garbage_is_no_node(mesh: Mesh, id: str) -> None:
    assert mesh.data("query($id: ID!) { node(id: $id) { id } }", id=id) == {"node": None}


def test_pages_forwards_and_backwards(mesh: Mesh) -> None:
    query = """query($first: Int, $after: String, $last: Int, $before: String) {
      dataProducts(first: $first, after: $after, last: $last, before: $before) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { key } } }"""
    seen: list[str] = []
    after = None
    while True:
        page = mesh.data(query, first=2, after=after)["dataProducts"]
        seen += [node["key"] for node in page["nodes"]]
        assert page["totalCount"] == 5
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == _keys(mesh, "analyst")
    back = mesh.data("{ dataProducts(last: 2) { nodes { key } pageInfo { hasPreviousPage } } }")["dataProducts"]
    assert [node["key"] for node in back["nodes"]] == seen[-2:]
    assert back["pageInfo"]["hasPreviousPage"]


@pytest.mark.parametrize(
    "arguments",
    ["first: 201", "first: -1", 'after: "nonsense"', "first: 1, last: 1", 'last: 1, after: "x"', 'after: ""',
     'last: 1, before: ""', 'last: 1, after: ""'],
)  # fmt: skip
def test_bad_pages_are_refused_with_a_remedy(mesh: Mesh, arguments: str) -> None:
    error = mesh.ask(f"{{ dataProducts({arguments}) {{ totalCount }} }}")["errors"][0]
    assert error["extensions"]["code"] == "INVALID"
    assert error["extensions"]["remedy"]


@pytest.mark.parametrize(
    "query",
    [
        'search(text: "orders", after: "") { totalCount }',
        'dataProduct(key: "sales.orders") { relations(after: "") { totalCount } }',
        'domains(after: "") { totalCount }',
        'glossaryTerms(after: "") { totalCount }',
        'dataProduct(key: "sales.orders") { revisions(after: "") { totalCount } }',
        'dataProduct(key: "sales.orders") { datasets { columns(after: "") { totalCount } } }',
        'dataProduct(key: "sales.orders") { properties(after: "") { totalCount } }',
        'dataProduct(key: "sales.orders") { conformance { results(after: "") { totalCount } } }',
    ],
)
def test_an_empty_cursor_is_no_cursor(mesh: Mesh, query: str) -> None:
    error = mesh.ask(f"{{ {query} }}")["errors"][0]
    assert "cursor" in error["message"]
    assert error["extensions"]["code"] == "INVALID"


@pytest.mark.parametrize("made_for", list(SearchOrder))
def test_a_cursor_leads_on_in_its_own_order_only(mesh: Mesh, made_for: SearchOrder) -> None:
    query = """query($order: SearchOrder!, $after: String) {
      search(text: "team", first: 1, orderBy: $order, after: $after) { nodes { iri } pageInfo { endCursor } } }"""
    first = mesh.data(query, order=made_for)["search"]
    for order in SearchOrder:
        answer = mesh.ask(query, order=order, after=first["pageInfo"]["endCursor"])
        if order is made_for:
            assert answer["data"]["search"]["nodes"] not in ([], first["nodes"])
        else:
            assert "cursor" in answer["errors"][0]["message"]
            assert answer["errors"][0]["extensions"]["code"] == "INVALID"


def test_results_of_a_report_are_paged(mesh: Mesh) -> None:
    mutation = """mutation($text: String!, $after: String) { validate(input: { metadata: { content: $text } }) {
      report { results(first: 1, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } nodes { message line } } } } }"""
    text = (
        document("sales.bad", "Bad")
        .replace('dct:title "Bad"@en ;', "")
        .replace('dprod:purpose "To be read in tests"@en ;', "")
    )
    first = mesh.data(mutation, "sales", text=text)["validate"]["report"]["results"]
    assert first["totalCount"] >= 2
    assert first["pageInfo"]["hasNextPage"]
    second = mesh.data(mutation, "sales", text=text, after=first["pageInfo"]["endCursor"])["validate"]["report"][
        "results"
    ]
    assert second["nodes"] != first["nodes"]
    refused = mesh.ask(mutation, "sales", text=text, after="x")["errors"][0]
    assert refused["extensions"]["code"] == "INVALID"


# -- writing ----------------------------------------------------------------------------------------------------------

ERRORS = """errors { __typename code message path ... on InputError { line }
  ... on NotConforming { report { counts { violation } results { nodes {
    severity message focusNode path line constraint shape { iri } } } } }
  ... on Forbidden { decision { allowed reasons policy } } ... on Conflict { current { number } } }"""
REGISTER = f"""mutation($text: String!, $revision: Int) {{
  register(input: {{ metadata: {{ content: $text }}, ifRevision: $revision, clientMutationId: "m1" }}) {{
    created clientMutationId dataProduct {{ key version }} revision {{ number by }} report {{ conforms }}
    {ERRORS} }} }}"""
VALIDATE = f"""mutation($text: String!) {{ validate(input: {{ metadata: {{ content: $text }} }}) {{
  wouldRegister report {{ conforms shapesVersion }} decision {{ action allowed }} changes {{ added }} {ERRORS} }} }}"""
RETIRE = f"""mutation($id: ID!, $force: Boolean) {{
  retire(input: {{ id: $id, reason: "replaced", force: $force }}) {{
    dataProduct {{ key }} stillUsedBy {{ resource {{ ... on DataProduct {{ key }} }} }} {ERRORS} }} }}"""


def test_register_reads_its_own_write(mesh: Mesh) -> None:
    made = mesh.data(REGISTER, "sales", text=document("sales.returns", "Returns"))["register"]
    assert made == {
        "created": True,
        "clientMutationId": "m1",
        "dataProduct": {"key": "sales.returns", "version": "1.0.0"},
        "revision": {"number": 1, "by": "sam"},
        "report": {"conforms": True},
        "errors": [],
    }
    again = mesh.data(REGISTER, "sales", text=document("sales.returns", "Returns", version="1.1.0"), revision=1)
    assert again["register"]["created"] is False
    assert again["register"]["dataProduct"]["version"] == "1.1.0"
    assert again["register"]["revision"]["number"] == 2
    stale = mesh.data(REGISTER, "sales", text=document("sales.returns", "Returns", version="1.2.0"), revision=1)
    assert stale["register"]["dataProduct"] is None
    error = stale["register"]["errors"][0]
    assert (error["__typename"], error["code"], error["current"]) == ("Conflict", "CONFLICT", {"number": 2})


def test_several_writes_of_one_operation_see_each_other(mesh: Mesh) -> None:
    found = mesh.data(
        """mutation($a: String!, $b: String!) {
          a: register(input: { metadata: { content: $a } }) { dataProduct { version } revision { number } }
          b: register(input: { metadata: { content: $b } }) { dataProduct { version } revision { number } } }""",
        "sales",
        a=document("sales.twice", "Twice", version="1.0.0"),
        b=document("sales.twice", "Twice", version="2.0.0"),
    )
    assert found["a"] == {"dataProduct": {"version": "1.0.0"}, "revision": {"number": 1}}
    assert found["b"] == {"dataProduct": {"version": "2.0.0"}, "revision": {"number": 2}}


def test_refusals_are_typed(mesh: Mesh) -> None:
    broken = mesh.data(REGISTER, "sales", text="<a> <b> <c> .\n<a> <b> ;;")["register"]["errors"][0]
    assert (broken["__typename"], broken["code"], broken["line"]) == ("InputError", "SYNTAX", 2)
    bad = document("sales.bad", "Bad").replace('dct:title "Bad"@en ;', "")
    refused = mesh.data(REGISTER, "sales", text=bad)["register"]["errors"][0]
    assert refused["code"] == "NOT_CONFORMING"
    gates = [r for r in refused["report"]["results"]["nodes"] if r["severity"] == "VIOLATION"]
    assert gates[0]["line"]
    assert gates[0]["shape"]["iri"]
    denied = mesh.data(REGISTER, "sales", text=document("finance.mine", "Mine"))["register"]["errors"][0]
    assert (denied["code"], denied["decision"]["allowed"]) == ("FORBIDDEN", False)
    assert denied["decision"]["reasons"]
    assert (
        mesh.data(REGISTER, None, text=document("sales.mine", "Mine"))["register"]["errors"][0]["code"] == "FORBIDDEN"
    )


def test_validate_writes_nothing(mesh: Mesh) -> None:
    found = mesh.data(VALIDATE, "sales", text=document("sales.draft", "Drafts"))["validate"]
    assert found["wouldRegister"]
    assert found["decision"] == {"action": "REGISTER", "allowed": True}
    assert found["changes"]
    assert mesh.data('{ dataProduct(key: "sales.draft") { id } }', "sales") == {"dataProduct": None}
    broken = mesh.data(VALIDATE, "sales", text="nonsense")["validate"]
    assert not broken["wouldRegister"]
    assert not broken["report"]["conforms"]
    assert not broken["decision"]["allowed"]
    assert broken["errors"][0]["code"] == "SYNTAX"


def test_own_shapes_need_the_govern_action(mesh: Mesh) -> None:
    query = f"""mutation($text: String!, $shapes: String!) {{ validate(input: {{
      metadata: {{ content: $text }}, shapes: {{ content: $shapes }} }}) {{ wouldRegister {ERRORS} }} }}"""
    denied = mesh.data(query, "sales", text=document("sales.draft", "Drafts"), shapes="")["validate"]
    assert denied["errors"][0]["code"] == "FORBIDDEN"
    assert not denied["wouldRegister"]


def test_retire_names_who_still_reads(mesh: Mesh) -> None:
    mesh.put(document("sales.old", "Old"), "sales")
    mesh.put(document("finance.reader", "Reader", derived=("sales.old",)), "finance")
    id = mesh.data('{ dataProduct(key: "sales.old") { id } }')["dataProduct"]["id"]
    refused = mesh.data(RETIRE, "sales", id=id, force=False)["retire"]
    assert refused["errors"][0]["code"] == "CONFLICT"
    assert refused["stillUsedBy"] == [{"resource": {"key": "finance.reader"}}]
    assert refused["dataProduct"] == {"key": "sales.old"}
    done = mesh.data(RETIRE, "sales", id=id, force=True)["retire"]
    assert done["errors"] == []
    assert done["dataProduct"] is None
    assert mesh.data("query($id: ID!) { node(id: $id) { id } }", id=id) == {"node": None}
    again = mesh.data(RETIRE, "sales", id=id, force=True)["retire"]
    assert again["errors"][0]["code"] == "NOT_FOUND"
    assert mesh.data(RETIRE, "sales", id="nonsense")["retire"]["errors"][0]["code"] == "NOT_FOUND"


def test_a_retirement_that_cannot_be_is_refused_as_a_value(mesh: Mesh) -> None:
    mesh.put(document("sales.leaving", "Leaving"), "sales")
    hidden = mesh.data('{ dataProduct(key: "hr.salaries") { id } }', "steward")["dataProduct"]["id"]
    product = mesh.data('{ dataProduct(key: "sales.leaving") { id domain { id } } }')["dataProduct"]
    id, domain = product["id"], product["domain"]["id"]
    mutation = """mutation($input: RetireInput!) { retire(input: $input) {
      dataProduct { key } errors { __typename code message } } }"""
    for wrong, said in (
        ({"at": "2999-01-01T00:00:00Z"}, "INVALID"),
        ({"reason": "x" * 501}, "INVALID"),
        ({"replacedBy": id}, "INVALID"),
        ({"replacedBy": domain}, "INVALID"),
        ({"replacedBy": hidden}, "NOT_FOUND"),
        ({"replacedBy": ""}, "NOT_FOUND"),
    ):
        done = mesh.data(mutation, "sales", input={"id": id, "reason": "no use"} | wrong)["retire"]
        assert (done["errors"][0]["__typename"], done["errors"][0]["code"]) == ("InputError", said), wrong
        assert done["dataProduct"] == {"key": "sales.leaving"}


def test_the_schema_says_what_offsets_rests_and_own_rules_are(mesh: Mesh) -> None:
    query = """query($name: String!) { __type(name: $name) {
      fields { name description } inputFields { name description } } }"""
    for kind, field, said in (
        ("Highlight", "spans", "Unicode code point"),
        ("Facet", "otherCount", "none of the buckets shown"),
        ("ValidateInput", "shapes", "https://w3id.org/fairmesh/rules/org/trial/"),
    ):
        found = mesh.data(query, name=kind)["__type"]
        fields = found["fields"] or found["inputFields"]
        assert said in next(f["description"] for f in fields if f["name"] == field)


def test_own_rules_are_named_as_the_schema_says(mesh: Mesh) -> None:
    shapes = """@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix dprod: <https://ekgf.github.io/dprod/> .
      @prefix fm: <https://w3id.org/fairmesh/ns#> .
      <https://w3id.org/fairmesh/rules/org/trial/purpose> a sh:NodeShape ; fm:mode fm:gate ;
        sh:targetClass dprod:DataProduct ; sh:message "It needs two purposes."@en ;
        sh:property [ sh:path dprod:purpose ; sh:minCount 2 ; sh:message "It needs two purposes."@en ] ."""
    mutation = """mutation($text: String!, $shapes: String!) { validate(input: {
      metadata: { content: $text }, shapes: { content: $shapes } }) {
        errors { code } } }"""
    codes = [
        mesh.data(mutation, "steward", text=PRODUCTS["sales.orders"], shapes=own)["validate"]["errors"][0]["code"]
        for own in (shapes, shapes.replace("rules/org/trial/", "rules/mine/"), shapes.replace("fm:gate", '"gate"'))
    ]
    assert codes == ["FORBIDDEN", "INVALID", "INVALID"], "good rules are read, then policy says who may register"


# -- limits -----------------------------------------------------------------------------------------------------------


def _nested(levels: int) -> str:
    return "{ domains { nodes " + "{ children " * levels + "{ id }" + " }" * levels + " } }"


def _fragments(levels: int) -> str:
    spread = "".join(
        f"fragment F{n} on Domain {{ a: children {{ ...F{n + 1} }} b: children {{ ...F{n + 1} }} }} "
        for n in range(levels)
    )
    return "{ domains { nodes { ...F0 } } } " + spread + f"fragment F{levels} on Domain {{ id }}"


@pytest.mark.parametrize(
    "query",
    [
        _nested(19),
        _nested(3_000),
        _fragments(40),
        "{ search(first: 200) { nodes { relations(first: 200) { nodes { relations(first: 200) { totalCount } } } } } }",
        "{ " + "__typename " * 4_001 + "}",
        "{ " + "service { version } " * 300 + "}",
        "{ __typename } #" + "x" * 100_000,
        "{ __typename } " + "".join(f"fragment F{n} on Query {{ __typename }} " for n in range(101)),
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
        "query($a: [Int] = " + "[" * 900 + "]" * 900 + ") { __typename }",
    ],
    ids=lambda query: f"{query[:20]}...{len(query)}",
)
def test_greedy_documents_are_refused_before_they_run(mesh: Mesh, query: str) -> None:
    response = mesh.client.post("/graphql", json={"query": query}, headers=mesh.headers("analyst"))
    assert response.status_code == 400
    assert "data" not in response.json()
    assert response.json()["errors"][0]["message"]


def test_cost_counts_the_values_of_variables(mesh: Mesh) -> None:
    query = "query($n: Int) { dataProducts(first: $n) { nodes { domain { id } } } }"
    costs = [mesh.ask(query, n=n)["extensions"]["fairmesh"]["cost"] for n in (1, 10, 1)]
    assert costs == [4, 40, 4]
    ids = ["x"] * 200
    deep = """query($ids: [ID!]!) { nodes(ids: $ids) { ... on Dataset { columns(first: 200) { nodes {
      relations(first: 200) { totalCount } } } } } }"""
    assert mesh.ask(deep, ids=ids)["errors"][0]["extensions"]["code"] == "LIMIT"
    assert mesh.data(deep, ids=["x"]) == {"nodes": [None]}


def test_cost_tells_nothing_of_what_is_there(mesh: Mesh) -> None:
    query = "{ dataProducts { nodes { datasets { columns { nodes { name } } } } } }"
    assert len({mesh.ask(query, role)["extensions"]["fairmesh"]["cost"] for role in (None, "analyst", "steward")}) == 1


def test_the_deadline_ends_an_operation(mesh: Mesh) -> None:
    engine = Engine(mesh.catalog, Limits(timeout_ms=0), list)
    answer = engine.run(ANONYMOUS, Request("{ dataProducts { nodes { key } } service { version } }"))
    assert answer.body["data"] is None
    assert answer.body["errors"][0]["extensions"]["code"] == "TIMEOUT"


@pytest.mark.parametrize("query", [
    "{ dataProducts { nodes { key } } dataProduct(key: \"sales.orders\") { id } }",
    "{ dataProduct(key: \"sales.orders\") { id } dataProducts { nodes { key } } }",
])  # fmt: skip
def test_a_resolver_that_takes_too_long_ends_in_a_timeout(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    honest, never = View.product, threading.Event()

    def slow(self: View, **which: Any) -> Any:
        never.wait(0.3)
        return honest(self, **which)

    monkeypatch.setattr(View, "product", slow)
    answer = Engine(mesh.catalog, Limits(timeout_ms=200), list).run(SUBJECTS["steward"], Request(query))
    assert answer.executed
    assert answer.body["data"] is None
    assert [error["extensions"]["code"] for error in answer.body["errors"]] == ["TIMEOUT"]


def test_a_policy_engine_that_is_gone_for_too_long_is_no_timeout(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def down(self: View, **_: Any) -> None:
        never.wait(0.3)
        raise errors.PolicyUnavailable("the policy engine does not answer", remedy="Try again later")

    monkeypatch.setattr(View, "product", down)
    with pytest.raises(errors.PolicyUnavailable):
        Engine(mesh.catalog, Limits(timeout_ms=200), list).run(
            SUBJECTS["steward"], Request('{ dataProduct(key: "sales.orders") { id } }')
        )


def test_introspection_is_allowed(mesh: Mesh) -> None:
    found = mesh.data(get_introspection_query(specified_by_url=True, directive_is_repeatable=True), None)
    assert "DataProduct" in build_client_schema(found).type_map  # type: ignore[arg-type]


def test_documents_are_cached_but_not_without_end(mesh: Mesh) -> None:
    engine = Engine(mesh.catalog, Limits(), list)
    for number in range(600):
        assert engine.run(ANONYMOUS, Request(f"{{ a{number}: __typename }}")).executed
    assert len(engine._documents) == 500


# -- faults -----------------------------------------------------------------------------------------------------------


def test_faults_are_masked_and_logged(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: View, **_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(View, "product", broken)
    with caplog.at_level(logging.ERROR, "fairmesh"):
        body = mesh.ask('{ dataProduct(key: "sales.orders") { id } service { version } }')
    error = body["errors"][0]
    assert "secret" not in str(body)
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["path"] == ["dataProduct"]
    assert body["data"]["service"]["version"]
    assert error["extensions"]["id"] in caplog.text
    assert "secret detail" in caplog.text


def test_without_a_policy_engine_nothing_is_answered(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(self: Catalog, *_: Any, **__: Any) -> None:
        raise errors.PolicyUnavailable("the policy engine does not answer", remedy="Try again later")

    monkeypatch.setattr(Catalog, "view", down)
    response = mesh.client.post("/graphql", json={"query": "{ dataProducts { totalCount } service { version } }"})
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "policy-unavailable"
    assert mesh.client.post("/graphql", json={"query": "{ __typename }"}).status_code == 200
