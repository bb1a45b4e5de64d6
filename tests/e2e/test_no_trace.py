"""What policy hides is absent: every answer equals, byte for byte, that of a mesh which never had it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import BASE, PRODUCTS, Mesh, served

NODE = """__typename id iri label description types { curie }
  properties { totalCount nodes { predicate { curie } value { lexical } } }
  out: relations { totalCount edges { cursor predicate { curie } node { iri label } statedIn } }
  in: relations(direction: IN) { totalCount edges { cursor predicate { curie } node { iri label } statedBy { label } } }
  relationSummary { predicate { curie } direction count targetTypes { curie } }
  viewerCan(actions: [DISCOVER, UPDATE, RETIRE]) { allowed reasons }"""
LINEAGE = """lineage(input: { depth: 9 }) { truncated summary { upstreamCount downstreamCount }
  nodes { distance moreUpstream moreDownstream resource { iri } } edges { from to } }"""
SEARCH = """totalCount pageInfo { hasNextPage endCursor } suggestions
  facets(fields: [DOMAIN, OWNER, STATUS, CLASSIFICATION, TERM, TYPE, LICENSE, FORMAT]) {
    field otherCount buckets { key label count } }
  edges { cursor score node { iri } matchedOn { curie } highlights { fragment spans { start end } } }"""
QUERIES = {
    "products": f"{{ dataProducts {{ totalCount edges {{ cursor node {{ {NODE} key version status rdf"
    f" {LINEAGE} }} }} }} }}",
    "datasets": f"{{ dataProducts {{ nodes {{ datasets {{ {NODE} {LINEAGE} }}"
    " ports { id label datasets { iri } } conformance { conforms results { nodes { message value } } } } } }",
    "columns": "{ dataProducts { nodes { datasets { columns(first: 5) { totalCount edges { cursor node {"
    f" {NODE} name dataset {{ iri }} }} }} }} }} }} }} }}",
    "filtered": '{ dataProducts(filter: { not: { owner: { contains: "sales" } } }) { totalCount nodes { key } } }',
    "search": f'{{ all: search {{ {SEARCH} }} one: search(text: "salaries table") {{ {SEARCH} }}'
    f' typo: search(text: "salarie") {{ {SEARCH} }} two: search(text: "team one row", first: 2) {{ {SEARCH} }} }}',
    "domains": "{ domains { totalCount edges { cursor node { iri label dataProducts { totalCount } } } } }",
    "terms": "{ glossaryTerms { totalCount nodes { iri label usedBy { totalCount nodes { key } } } } }",
    "shared": f'{{ a: resource(iri: "{BASE}domain/hr") {{ {NODE} }} b: resource(iri: "{BASE}team/hr") {{ {NODE} }}'
    f' c: resource(iri: "{BASE}term/order") {{ {NODE} }}'
    f' d: resource(iri: "{BASE}hr.salaries/data") {{ {NODE} }} }}',
    "walk": """{ traverse(input: { from: ["START"], steps: [{ direction: BOTH, maxHops: 2 }] }, first: 200) {
      truncated edges { cursor node { iri } path { predicate { curie } to { iri } } crossesDomains { label } } } }""",
    "vocabulary": "{ vocabulary { iri label } shapes { iri } service { policyRevision } }",
}
PATHS = (
    *(f"/products/{key}" for key in PRODUCTS),
    *(f"/id/{path}" for path in ("domain/hr", "team/hr", "term/order", "hr.salaries/data", "finance.margin/data")),
    "/ns",
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with served(tmp_path_factory.mktemp("mesh")) as made:
        yield made


@pytest.fixture(scope="module")
def poorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that never had the product most callers cannot see."""
    with served(tmp_path_factory.mktemp("poorer"), without="hr.salaries") as made:
        yield made


@pytest.mark.parametrize("role", [None, "analyst", "finance"])
@pytest.mark.parametrize("name", QUERIES)
def test_graphql_answers_are_those_of_a_mesh_without_it(mesh: Mesh, poorer: Mesh, name: str, role: str | None) -> None:
    start = "{ dataProducts(first: 1) { nodes { id } } }"
    id = mesh.data(start, role)["dataProducts"]["nodes"][0]["id"]
    query = QUERIES[name].replace("START", id)
    found = mesh.ask(query, role)
    assert found.get("errors") is None
    assert found == poorer.ask(query, role)


def test_those_who_may_see_it_do(mesh: Mesh, poorer: Mesh) -> None:
    differing = [name for name, query in QUERIES.items() if mesh.ask(query, "steward") != poorer.ask(query, "steward")]
    assert {"products", "datasets", "search", "domains", "terms", "shared"} <= set(differing)


@pytest.mark.parametrize("role", [None, "analyst", "finance"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", ["text/turtle", "application/ld+json", "text/html"])
def test_http_answers_are_those_of_a_mesh_without_it(
    mesh: Mesh, poorer: Mesh, path: str, accept: str, role: str | None
) -> None:
    answers = [m.client.get(path, headers=m.headers(role) | {"Accept": accept}) for m in (mesh, poorer)]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content == answers[1].content
    assert dict(answers[0].headers) == dict(answers[1].headers)
