"""Real dbt manifests and DCAT catalogues, imported by the real command into a real server, and read over GraphQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from running import Ran, Server, serving

DBT = "data/dbt/dbterd/samples"
MANIFESTS = {"jaffle": "jaffle-shop-v1.11", "shopify": "shopify", "resto": "dbtresto", "facebook": "facebookad"}
"""Folders of manifests by the domain they are imported into."""
PRODUCTS = {"jaffle": 4, "shopify": 7, "resto": 7, "facebook": 6}
DCAT = {
    "democat": "data/idn-au/data/catalogues/democat/*.ttl",
    "fdk": "data/fdk-no/src/test/resources/*.ttl",
    "obo": "data/obofoundry/registry/ontologies.ttl",
}
CREATED = {"democat": 28, "fdk": 23, "obo": 232}
REFUSED = {
    "democat": {"core/26": 1},
    "fdk": {"no dataset found": 9, "Invalid IRI code point": 1, "not a valid RDF object": 1, "no IRI of its own": 1},
    "obo": {},
}  # fmt: skip
"""How many documents or files were refused, by the rule or a piece of the reason."""
KINDS = ("model", "seed", "snapshot")
IDENTIFIER = "http://purl.org/dc/terms/identifier"
DATASETS = """query($key: String!, $identifiers: [IRI!]) { dataProduct(key: $key) { datasets {
  id iri dataProduct { key } properties(predicates: $identifiers) { nodes { value { lexical } } }
  columns(first: 1) { totalCount } } } }"""
LINEAGE = """query($id: ID!, $input: LineageInput!) { lineage(id: $id, input: $input) {
  truncated nodes { distance resource { id } } edges { from to } } }"""
Edges = set[tuple[str, str]]


@dataclass
class Imported:
    server: Server
    token: str
    shared: Path

    def run(self, kind: str, domain: str, *options: str) -> Ran:
        sources = self.sources(kind, domain)
        return self.server.run(
            "import", kind, *sources, "--domain", domain, "--owner", f"{domain} team", *options, token=self.token
        )

    def sources(self, kind: str, domain: str) -> list[Path]:
        if kind == "dbt":
            return [self.shared / DBT / MANIFESTS[domain] / "manifest.json"]
        return sorted(self.shared.glob(DCAT[domain]))

    def graphql(self, query: str, **variables: object) -> Mapping[str, Any]:
        return self.server.client(self.token).graphql(query, variables)

    def lineage(self, start: str, direction: str, depth: int) -> Mapping[str, Any]:
        asked = {"direction": direction, "depth": depth, "maxNodes": 1000}
        found: Mapping[str, Any] = self.graphql(LINEAGE, id=start, input=asked)["lineage"]
        return found


@pytest.fixture(scope="module")
def imported(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """A server into which nothing has been imported yet, and a producer of every domain used here."""
    domains = [option for domain in (*MANIFESTS, *DCAT) for option in ("--domain", domain)]
    with serving(tmp_path_factory.mktemp("real") / "data") as server:
        yield Imported(server, server.token("importer", "--role", "producer", *domains), shared)


@pytest.fixture(scope="module")
def first(imported: Imported) -> Mapping[str, Ran]:
    """The first import of everything, by domain."""
    dbt = {domain: imported.run("dbt", domain, "--format", "json") for domain in MANIFESTS}
    return dbt | {domain: imported.run("dcat", domain, "--format", "json") for domain in DCAT}


def verdicts(ran: Ran) -> dict[str, int]:
    found: dict[str, int] = {}
    for result in ran.json()["results"]:
        found[result["verdict"]] = found.get(result["verdict"], 0) + 1
    return found


def manifest(imported: Imported, domain: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(imported.sources("dbt", domain)[0].read_bytes())
    return found


def expected_edges(found: Mapping[str, Any]) -> Edges:
    """`depends_on` among models, seeds, snapshots and sources."""
    nodes = {id: node for id, node in found["nodes"].items() if node["resource_type"] in KINDS}
    known = {*nodes, *found["sources"]}
    return {(up, id) for id, node in nodes.items() for up in node["depends_on"].get("nodes", ()) if up in known}


def datasets(imported: Imported, ran: Ran) -> dict[str, str]:
    """dbt's unique id of every imported dataset, by its global id."""
    found = {}
    for key in [result["key"] for result in ran.json()["results"]]:
        page = imported.graphql(DATASETS, key=key, identifiers=[IDENTIFIER])["dataProduct"]
        for dataset in page["datasets"]:
            if dataset["dataProduct"]["key"] == key:
                (identifier,) = dataset["properties"]["nodes"]
                found[dataset["id"]] = identifier["value"]["lexical"]
    return found


def reachable(start: str, edges: Edges) -> tuple[set[str], Edges]:
    """What `start` is derived from through any number of edges, and those edges."""
    nodes, used, waiting = {start}, set(), [start]
    while waiting:
        here = waiting.pop()
        for up, down in edges:
            if down == here:
                used.add((up, down))
                if up not in nodes:
                    nodes.add(up)
                    waiting.append(up)
    return nodes, used


# -- dbt --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", MANIFESTS)
def test_every_product_of_a_manifest_is_registered(domain: str, first: Mapping[str, Ran]) -> None:
    ran = first[domain]
    assert ran.code == 0, ran.out
    assert verdicts(ran) == {"created": PRODUCTS[domain]}
    assert ran.json()["notes"], "what was left out is said"


@pytest.mark.parametrize("domain", MANIFESTS)
def test_datasets_and_edges_are_the_manifests_exactly(
    domain: str, imported: Imported, first: Mapping[str, Ran]
) -> None:
    found = manifest(imported, domain)
    ids = datasets(imported, first[domain])
    wanted = {id for id, node in found["nodes"].items() if node["resource_type"] in KINDS} | {*found["sources"]}
    assert sorted(ids.values()) == sorted(wanted)
    edges: Edges = set()
    for id in ids:
        for edge in imported.lineage(id, "UPSTREAM", 1)["edges"]:
            edges.add((ids[edge["from"]], ids[edge["to"]]))
    assert edges == expected_edges(found)


@pytest.mark.parametrize("direction", ["UPSTREAM", "DOWNSTREAM"])
def test_lineage_of_a_shopify_model_across_all_hops(
    direction: str, imported: Imported, first: Mapping[str, Ran]
) -> None:
    ids = datasets(imported, first["shopify"])
    edges = expected_edges(manifest(imported, "shopify"))
    name = {"UPSTREAM": "model.shopify.shopify__customers", "DOWNSTREAM": "source.shopify_source.shopify.order"}
    start = name[direction]
    if direction == "UPSTREAM":
        nodes, used = reachable(start, edges)
    else:
        nodes, turned = reachable(start, {(down, up) for up, down in edges})
        used = {(up, down) for down, up in turned}
    (id,) = [global_id for global_id, unique_id in ids.items() if unique_id == start]
    found = imported.lineage(id, direction, 100)
    assert not found["truncated"]
    assert {ids[node["resource"]["id"]] for node in found["nodes"]} == nodes
    assert {(ids[edge["from"]], ids[edge["to"]]) for edge in found["edges"]} == used
    assert max(node["distance"] for node in found["nodes"]) >= 3


def test_the_command_shows_the_same_lineage(imported: Imported, first: Mapping[str, Ran]) -> None:
    shown = imported.server.run("lineage", "shopify.shopify", "--format", "json", token=imported.token).json()
    keys = {result["key"] for result in first["shopify"].json()["results"]}
    assert shown["UPSTREAM"]["edges"]
    assert {node["resource"]["key"] for node in shown["UPSTREAM"]["nodes"]} <= keys


def test_columns_come_from_the_catalog_beside_the_manifest(imported: Imported, first: Mapping[str, Ran]) -> None:
    keys = [result["key"] for result in first["jaffle"].json()["results"]]
    pages = [imported.graphql(DATASETS, key=key, identifiers=[IDENTIFIER])["dataProduct"] for key in keys]
    counts = {d["iri"]: d["columns"]["totalCount"] for page in pages for d in page["datasets"]}
    assert all(counts.values()), "every jaffle dataset has columns in catalog.json"


# -- DCAT -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DCAT)
def test_every_record_is_registered_or_refused_with_its_reason(domain: str, first: Mapping[str, Ran]) -> None:
    ran = first[domain]
    reasons = ran.json()["reasons"]
    assert verdicts(ran).get("created") == CREATED[domain], reasons
    assert verdicts(ran).get("refused", 0) == sum(REFUSED[domain].values()), reasons
    for piece, count in REFUSED[domain].items():
        matching = [reason["documents"] for reason in reasons if piece in f"{reason['rule']} {reason['message']}"]
        assert sum(matching) == count, (piece, reasons)
    assert ran.code == (1 if REFUSED[domain] else 0)


def test_the_table_at_the_end_counts_and_groups(imported: Imported, first: Mapping[str, Ran]) -> None:
    ran = imported.run("dcat", "democat")
    assert ran.code == 1
    table = ran.out[ran.out.rindex("\n\n") + 2 :].splitlines()
    assert table[:4] == ["created        0", "updated        0", "unchanged     28", "refused        1"]
    assert table[4].startswith("  [core/26] ")
    assert len(table) == 5


def test_a_source_without_a_record_is_1(imported: Imported, shared: Path) -> None:
    source = shared / "conformance" / "shacl" / "tests" / "manifest.ttl"
    ran = imported.server.run("import", "dcat", source, "--domain", "fdk", "--owner", "X", token=imported.token)
    assert (ran.code, "no dataset found" in ran.out) == (1, True)


# -- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", [*MANIFESTS, *DCAT])
def test_importing_again_changes_nothing_and_says_so(domain: str, imported: Imported, first: Mapping[str, Ran]) -> None:
    again = imported.run("dbt" if domain in MANIFESTS else "dcat", domain, "--format", "json")
    before = verdicts(first[domain])
    assert verdicts(again) == {"unchanged": before.pop("created"), **before}
    assert again.code == first[domain].code


def test_what_was_imported_is_found(imported: Imported, first: Mapping[str, Ran]) -> None:
    query = "query($text: String) { search(text: $text, first: 5) { totalCount nodes { iri } } }"
    assert imported.graphql(query, text="customer")["search"]["totalCount"] > 0
    total = sum(verdicts(ran)["created"] for ran in first.values())
    assert imported.graphql(query, text=None)["search"]["totalCount"] == total
