"""The demo mesh: every file registers, and together they show what the guides promise of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import networkx
import pytest

from fairmesh import api
from fairmesh.catalog import rdf
from fairmesh.catalog.document import (
    COLUMN_CLASSIFICATION,
    CSVW,
    DCAT,
    DCT,
    DERIVED,
    DPROD,
    EXTERNAL_DATASET,
    SHARED,
    TYPE,
    ProductDocument,
    Statements,
    read,
)
from fairmesh.catalog.governance import RuleSet, validate
from fairmesh.catalog.model import CLASSIFICATIONS
from fairmesh.catalog.rdf import Triple

BASE = "http://localhost/id/"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
FILES = sorted((Path(api.__file__).parent / "demo").glob("*.ttl"))
READABLE = {"public", "internal"}
"""Classifications that the analyst and the sales producer of the demo are cleared for."""


class Mesh:
    """All demo documents, read once."""

    def __init__(self) -> None:
        self.documents: dict[str, ProductDocument] = {
            path.name: read(path.read_bytes(), rdf.TURTLE, BASE) for path in FILES
        }
        self.triples: dict[str, list[Triple]] = {name: rdf.load(d.nquads) for name, d in self.documents.items()}
        self.graphs = {d.key: Statements(self.triples[name]) for name, d in self.documents.items()}
        self.access = {d.key: d.access for d in self.documents.values()}
        self.types: dict[str, list[Triple]] = defaultdict(list)
        for name, document in self.documents.items():
            for triple in self.triples[name]:
                if triple.predicate.value == TYPE and triple.subject.value in document.own:
                    self.types[triple.subject.value].append(triple)
        self.product_of = {
            node: key for key, graph in self.graphs.items() for node in (*graph.datasets(BASE + key), *columns(graph))
        }

    def values(self, key: str, predicate: str) -> list[str]:
        return self.graphs[key].iris(BASE + key, predicate)

    def lineage(self) -> networkx.DiGraph:
        """Datasets of the mesh, edges from source to derived."""
        edges = networkx.DiGraph()
        for key, graph in self.graphs.items():
            for dataset in graph.datasets(BASE + key):
                edges.add_edges_from((s, dataset) for s in graph.iris(dataset, DERIVED) if s in self.product_of)
        return edges

    def readable(self, dataset: str) -> bool:
        return self.access[self.product_of[dataset]].classification in READABLE


def columns(graph: Statements) -> list[str]:
    return [s for s in graph.by_subject if CSVW + "Column" in graph.iris(s, TYPE)]


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return Mesh()


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return RuleSet.load()


def test_there_are_enough_domains_products_and_deprecated_products(mesh: Mesh) -> None:
    statuses = Counter(access.status for access in mesh.access.values())
    assert len(mesh.access) >= 32
    assert len({access.domain for access in mesh.access.values()}) >= 7
    assert statuses["deprecated"] == 2
    assert {"consume", "deploy", "build", "design"} <= statuses.keys()
    assert {access.classification for access in mesh.access.values()} == set(CLASSIFICATIONS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_named_by_its_key_and_has_no_finding(path: Path, mesh: Mesh, rules: RuleSet) -> None:
    document = mesh.documents[path.name]
    background = rdf.canonical(t for iri in document.references for t in mesh.types.get(iri, ()))
    report = validate(
        rules, document.nquads, background, product=document.product, domain=document.access.domain, own=document.own,
        iri_base=BASE, now=NOW,
    )  # fmt: skip
    assert path.name == document.key + ".ttl"
    assert [(f.rule, f.focus, f.message) for f in report.findings] == []


def test_every_reference_into_the_mesh_leads_to_something(mesh: Mesh) -> None:
    described = {t.subject.value for triples in mesh.triples.values() for t in triples}
    dangling = {
        (name, iri) for name, document in mesh.documents.items() for iri in document.references if iri not in described
    }
    assert dangling == set()


def test_lineage_ends_at_datasets_and_columns_of_the_mesh_or_at_declared_external_datasets(mesh: Mesh) -> None:
    external = 0
    for graph in mesh.graphs.values():
        for subject in graph.by_subject:
            for source in graph.iris(subject, DERIVED):
                if source.startswith(BASE):
                    assert source in mesh.product_of
                else:
                    assert graph.iris(source, TYPE) == [EXTERNAL_DATASET]
                    external += 1
    assert external >= 10


def test_a_reader_of_internal_data_sees_lineage_of_four_hops_that_each_enter_another_domain(mesh: Mesh) -> None:
    lineage = mesh.lineage()
    domain = {dataset: mesh.access[key].domain for dataset, key in mesh.product_of.items()}
    crossing = networkx.DiGraph(
        (s, t) for s, t in lineage.edges if domain[s] != domain[t] and mesh.readable(s) and mesh.readable(t)
    )
    assert networkx.is_directed_acyclic_graph(lineage)
    assert networkx.dag_longest_path_length(crossing) >= 4


def test_orders_are_a_hub(mesh: Mesh) -> None:
    readers = {mesh.product_of[t] for t in mesh.lineage().successors(BASE + "sales.orders/data")}
    assert len(readers) >= 8
    assert len({mesh.access[key].domain for key in readers}) >= 5


def test_one_product_is_hidden_between_sources_and_derived_data_that_are_not(mesh: Mesh) -> None:
    hidden = [key for key, access in mesh.access.items() if access.classification == "restricted"]
    assert hidden == ["risk.fraud-scores"]
    assert mesh.access["risk.fraud-scores"].domain != "sales"
    lineage = mesh.lineage()
    (dataset,) = mesh.graphs["risk.fraud-scores"].datasets(BASE + "risk.fraud-scores")
    assert any(mesh.readable(source) for source in lineage.predecessors(dataset))
    assert any(mesh.readable(derived) for derived in lineage.successors(dataset))


def test_no_other_text_gives_the_hidden_product_away(mesh: Mesh) -> None:
    telling = {
        (name, t.object.value) for name, triples in mesh.triples.items() for t in triples
        if isinstance(t.object, rdf.Literal) and name != "risk.fraud-scores.ttl" and "fraud" in t.object.value.lower()
    }  # fmt: skip
    comments = {path.name for path in FILES if "fraud" in path.read_text("utf-8").split("@prefix")[0].lower()}
    assert telling == set()
    assert comments <= {"risk.fraud-scores.ttl"}


def test_deprecated_products_name_a_successor_in_the_mesh(mesh: Mesh) -> None:
    for key, access in mesh.access.items():
        successors = mesh.values(key, DCT + "isReplacedBy")
        assert bool(successors) == (access.status == "deprecated")
        assert all(s.removeprefix(BASE) in mesh.access for s in successors)


def test_shared_nodes_are_described_alike_wherever_they_are_named(mesh: Mesh) -> None:
    descriptions: dict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    for triples in mesh.triples.values():
        about: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for t in triples:
            if t.subject.value.removeprefix(BASE).startswith(SHARED):
                about[t.subject.value].append((t.predicate.value, str(t.object)))
        for node, statements in about.items():
            descriptions[node].add(tuple(sorted(statements)))
    assert {node for node, versions in descriptions.items() if len(versions) > 1} == set()


def test_products_meet_in_terms_owners_and_publishers(mesh: Mesh) -> None:
    for predicate, shared, least in (
        (DCT + "subject", 10, 12), (DPROD + "dataProductOwner", 6, 10), (DCT + "publisher", 3, 3),
    ):  # fmt: skip
        uses = Counter(value for key in mesh.access for value in mesh.values(key, predicate))
        assert len(uses) >= least
        assert sum(count > 1 for count in uses.values()) >= shared


def test_columns_and_ports_are_described(mesh: Mesh) -> None:
    personal = masked = 0
    for key, graph in mesh.graphs.items():
        for dataset in graph.iris(BASE + key, DPROD + "outputDataset"):
            found = [c for s in graph.iris(dataset, DCT + "conformsTo") for c in graph.iris(s, CSVW + "column")]
            positions = sorted(int(o.value) for c in found for o in graph.objects(c, rdf.PREFIXES["fm"] + "position"))
            assert 4 <= len(found) <= 10
            assert positions == list(range(1, len(found) + 1))
            assert all(graph.objects(c, CSVW + "required") for c in found)
            personal += sum(bool(graph.iris(c, rdf.PREFIXES["dpv"] + "hasPersonalData")) for c in found)
            masked += sum(bool(graph.iris(c, COLUMN_CLASSIFICATION)) for c in found)
        for port in graph.iris(BASE + key, DPROD + "outputPort"):
            assert graph.iris(port, DCAT + "endpointURL")
            assert graph.objects(port, rdf.PREFIXES["fm"] + "namespace")
    assert personal >= 20
    assert masked > personal


def test_customer_is_a_word_found_across_the_mesh(mesh: Mesh) -> None:
    found = {
        document.key for name, document in mesh.documents.items()
        if any("customer" in t.object.value.lower() for t in mesh.triples[name] if isinstance(t.object, rdf.Literal))
    }  # fmt: skip
    assert len(found) >= 15
    assert len({mesh.access[key].domain for key in found}) >= 7
    assert len({mesh.access[key].owner for key in found}) >= 7
    assert {mesh.access[key].classification for key in found} == set(CLASSIFICATIONS)
