"""Laws of lineage on random meshes: what is hidden is absent, and answers equal those of a naive walk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import networkx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog.errors import NotFound
from fairmesh.catalog.lineage import LineageIndex, Visible
from fairmesh.catalog.model import (
    EVERYTHING,
    FIELDS,
    Level,
    LineageDirection,
    LineageEdge,
    LineageNode,
    LineageResult,
    LineageStatement,
    Need,
)

PRODUCTS = ("mesh:p0", "mesh:p1", "mesh:p2", "out:p3")
DATASETS = ("mesh:d0", "mesh:d1", "mesh:d2", "out:d3")
COLUMNS = ("mesh:c0", "mesh:c1", "mesh:c2", "out:c3")
STRANGERS = ("mesh:nobody", "out:nobody")
PREDICATES = ("p:derived", "p:read")
# what documents name as ends: products read datasets, and datasets are said to be derived from products
POOLS = {Level.PRODUCT: PRODUCTS + DATASETS, Level.DATASET: DATASETS + DATASETS + PRODUCTS, Level.COLUMN: COLUMNS}
SLOTS = 5


def is_mesh(iri: str) -> bool:
    return iri.startswith("mesh:")


FIELD = max(FIELDS.values())


@dataclass(frozen=True)
class Document:
    product: str
    nodes: Mapping[str, int]
    statements: tuple[LineageStatement, ...]
    parents: Mapping[str, str]


@st.composite
def statements(draw: st.DrawFn) -> LineageStatement:
    # datasets most often: product edges follow from them
    level = draw(st.sampled_from([Level.DATASET, Level.DATASET, Level.COLUMN, Level.PRODUCT]))
    ends = st.sampled_from(POOLS[level] + STRANGERS)
    need = draw(st.sampled_from([Need.READ, Need.READ, Need.CONFIDENTIAL, Need.READ | FIELD]))
    return LineageStatement(draw(ends), draw(ends), draw(st.sampled_from(PREDICATES)), level, need)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    product = draw(st.sampled_from(PRODUCTS))
    datasets = draw(st.sets(st.sampled_from(DATASETS), max_size=3))
    columns = draw(st.sets(st.sampled_from(COLUMNS), max_size=2))
    nodes = dict.fromkeys(sorted(datasets), Need.READ)
    nodes |= {iri: draw(st.sampled_from([Need.READ, Need.INTERNAL, Need.CONFIDENTIAL])) for iri in sorted(columns)}
    return Document(product, nodes, tuple(draw(st.lists(statements(), max_size=5))), dict.fromkeys(datasets, product))


@st.composite
def grants(draw: st.DrawFn) -> Visible:
    """Rows as a policy makes them: nothing, discover, or read up to some classification. Some slots lie beyond."""
    upto = Need.READ | Need.PUBLIC | Need.INTERNAL
    reach = st.sampled_from([0, 0, Need.DISCOVER, upto, upto | Need.CONFIDENTIAL, EVERYTHING, EVERYTHING - FIELD])
    return np.array(draw(st.lists(reach, min_size=SLOTS - 1, max_size=SLOTS)), np.int64)


meshes = st.dictionaries(st.integers(0, SLOTS - 1), documents(), max_size=SLOTS)


@dataclass(frozen=True)
class Question:
    start: str
    level: Level | None
    direction: LineageDirection
    depth: int
    max_nodes: int
    types: Callable[[str], bool] | None


def even(iri: str) -> bool:
    return iri[-1] in "02"


questions = st.builds(
    Question,
    start=st.sampled_from(PRODUCTS + DATASETS + COLUMNS + STRANGERS),
    level=st.sampled_from([None, *Level]),
    direction=st.sampled_from(LineageDirection),
    depth=st.integers(0, 4) | st.just(99),
    max_nodes=st.integers(1, 5) | st.just(99),
    types=st.sampled_from([None, None, even]),
)


def index_of(mesh: Mapping[int, Document]) -> LineageIndex:
    index = LineageIndex(is_mesh)
    for slot, document in mesh.items():
        index.put(slot, document.product, document.nodes, document.statements, document.parents)
    return index


def answer(index: LineageIndex, question: Question, visible: Visible) -> LineageResult | str:
    q = question
    try:
        return index.walk(q.start, q.level, q.direction, q.depth, q.max_nodes, visible, q.types)
    except NotFound as error:
        return str(error)


def sees(visible: Visible, slot: int, need: int) -> bool:
    return int(visible[slot]) & need == need


class Naive:
    """The rules, word for word, over sets."""

    def __init__(self, mesh: Mapping[int, Document], visible: Visible) -> None:
        self.documents = {
            slot: d for slot, d in mesh.items() if slot < len(visible) and sees(visible, slot, Need.DISCOVER)
        }
        self.visible = visible

    def owned(self, iri: str) -> bool:
        return any(
            iri == d.product or (iri in d.nodes and sees(self.visible, slot, d.nodes[iri]))
            for slot, d in self.documents.items()
        )

    def shown(self, iri: str) -> bool:
        return not is_mesh(iri) or self.owned(iri)

    def products_of(self, dataset: str) -> set[str]:
        return {
            d.parents[dataset]
            for slot, d in self.documents.items()
            if dataset in d.parents and sees(self.visible, slot, d.nodes[dataset])
        }

    def stated(self, level: Level) -> set[tuple[str, str, str]]:
        return {
            (s.source, s.target, s.predicate)
            for slot, d in self.documents.items()
            for s in d.statements
            if s.level is level and sees(self.visible, slot, s.need) and self.shown(s.source) and self.shown(s.target)
        }

    def edges(self, level: Level) -> set[tuple[str, str, str]]:
        if level is not Level.PRODUCT:
            return self.stated(level)
        projected = {
            (source, target, predicate)
            for s, t, predicate in self.stated(Level.DATASET)
            for source in self.holders(s)
            for target in self.holders(t)
        } | {
            (source, target, predicate)
            for s, t, predicate in self.stated(Level.PRODUCT)
            for source in self.holders(s) or {s}
            for target in self.holders(t) or {t}
        }
        return {edge for edge in projected if edge[0] != edge[1]}

    def holders(self, iri: str) -> set[str]:
        return self.products_of(iri) | {d.product for d in self.documents.values() if d.product == iri}

    def level(self, iri: str) -> Level:
        if iri in self.holders(iri):
            return Level.PRODUCT
        if self.holders(iri):
            return Level.DATASET
        if self.owned(iri):
            return Level.COLUMN
        order = (Level.DATASET, Level.COLUMN, Level.PRODUCT)
        mentioned = [level for level in order if any(iri in edge[:2] for edge in self.stated(level))]
        return mentioned[0] if mentioned else Level.DATASET

    def walk(self, q: Question) -> LineageResult:
        edges = self.edges(q.level or self.level(q.start))
        flow = networkx.DiGraph()
        flow.add_node(q.start)
        flow.add_edges_from(edge[:2] for edge in edges)
        down = networkx.single_source_shortest_path_length(flow, q.start)
        up = networkx.single_source_shortest_path_length(flow.reverse(), q.start)
        ways = [] if q.direction is LineageDirection.DOWNSTREAM else [(up, 1)]
        ways += [] if q.direction is LineageDirection.UPSTREAM else [(down, 0)]

        def cut(depth: int, max_nodes: int) -> tuple[list[tuple[int, str]], list[tuple[str, str, str]]]:
            distances = {n: min(way[n] for way, _ in ways if n in way) for way, _ in ways for n in way}
            near = sorted((d, n) for n, d in distances.items() if d <= depth and (q.types is None or q.types(n)))
            nodes = near[:max_nodes]
            kept = {n for _, n in nodes}
            walked = [e for e in edges if any(way.get(e[end], depth) < depth for way, end in ways)]
            return nodes, sorted(e for e in walked if {*e[:2]} <= kept)

        nodes, found = cut(q.depth, q.max_nodes)
        kept = {n for _, n in nodes}
        return LineageResult(
            tuple(
                LineageNode(n, d, len(set(flow.predecessors(n)) - kept), len(set(flow.successors(n)) - kept))
                for d, n in nodes
            ),
            tuple(LineageEdge(*edge) for edge in found),
            (nodes, found) != cut(10**6, 10**6),
            len(up) - 1,
            len(down) - 1,
        )


def without_hidden(mesh: Mapping[int, Document], visible: Visible) -> dict[int, Document]:
    """The mesh as if the hidden things had never been registered, nor anything said about them."""
    naive = Naive(mesh, visible)
    left = {}
    for slot, d in naive.documents.items():
        nodes = {iri: need for iri, need in d.nodes.items() if sees(visible, slot, need)}
        said = tuple(
            s for s in d.statements if sees(visible, slot, s.need) and naive.shown(s.source) and naive.shown(s.target)
        )
        left[slot] = Document(d.product, nodes, said, {iri: p for iri, p in d.parents.items() if iri in nodes})
    return left


@given(meshes, grants(), questions)
def test_what_is_hidden_is_absent(mesh: dict[int, Document], visible: Visible, question: Question) -> None:
    left = without_hidden(mesh, visible)
    renumbered = dict(enumerate(left[slot] for slot in sorted(left, reverse=True)))
    everything = np.full(SLOTS, EVERYTHING)
    assert answer(index_of(mesh), question, visible) == answer(index_of(renumbered), question, everything)


@given(meshes, grants(), st.sampled_from(Level))
def test_edges_of_hidden_things_are_absent(mesh: dict[int, Document], visible: Visible, level: Level) -> None:
    index, left = index_of(mesh), index_of(without_hidden(mesh, visible))
    everything = np.full(SLOTS, EVERYTHING)
    assert list(index.edges(level, visible)) == list(left.edges(level, everything))


@given(meshes, grants(), questions)
def test_walks_equal_the_naive_walk(mesh: dict[int, Document], visible: Visible, question: Question) -> None:
    found = answer(index_of(mesh), question, visible)
    naive = Naive(mesh, visible)
    if naive.shown(question.start):
        assert found == naive.walk(question)
    else:
        assert isinstance(found, str)


@given(meshes, grants(), st.sampled_from(Level))
def test_edges_equal_the_naive_edges(mesh: dict[int, Document], visible: Visible, level: Level) -> None:
    found = [(e.source, e.target, e.predicate) for e in index_of(mesh).edges(level, visible)]
    assert found == sorted(Naive(mesh, visible).edges(level))


@given(
    st.lists(st.tuples(st.integers(0, SLOTS - 1), st.none() | documents()), max_size=12),
    grants(),
    questions,
)
def test_an_index_kept_up_to_date_equals_one_built_anew(
    changes: list[tuple[int, Document | None]], visible: Visible, question: Question
) -> None:
    kept = LineageIndex(is_mesh)
    mesh: dict[int, Document] = {}
    for slot, document in changes:
        if document is None:
            kept.remove(slot)
            mesh.pop(slot, None)
        else:
            kept.put(slot, document.product, document.nodes, document.statements, document.parents)
            mesh[slot] = document
    anew = index_of(dict(sorted(mesh.items())))
    assert kept.digest() == anew.digest()
    assert answer(kept, question, visible) == answer(anew, question, visible)
    for level in Level:
        assert list(kept.edges(level, visible)) == list(anew.edges(level, visible))


@given(meshes, grants(), questions)
def test_no_node_returned_lies_outside_the_scope(
    mesh: dict[int, Document], visible: Visible, question: Question
) -> None:
    found = answer(index_of(mesh), question, visible)
    shown = Naive(mesh, visible).shown
    named = set() if isinstance(found, str) else {node.iri for node in found.nodes}
    assert all(shown(iri) for iri in named)
    assert isinstance(found, str) or all({edge.source, edge.target} <= named for edge in found.edges)
