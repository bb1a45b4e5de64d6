"""What every graph store must do; run on each adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairmesh.catalog import rdf
from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.graph import VOCABULARY, Graph, OxigraphGraph
from fairmesh.catalog.rdf import Literal, NamedNode, Triple

A, B, C = "http://localhost/id/a.one", "http://localhost/id/a.two", "http://localhost/id/a.three"
INTEGER = NamedNode("http://www.w3.org/2001/XMLSchema#integer")
TITLE, PART = "http://purl.org/dc/terms/title", "http://purl.org/dc/terms/hasPart"
Open = Callable[[], Graph]


def triple(subject: str, predicate: str, obj: str | Literal) -> Triple:
    return Triple(NamedNode(subject), NamedNode(predicate), NamedNode(obj) if isinstance(obj, str) else obj)


FIRST = rdf.canonical([triple(A, TITLE, Literal('quote " and \\ and\nline', language="en")), triple(A, PART, B)])
SECOND = rdf.canonical([triple(A, TITLE, Literal("Other"))])


@pytest.fixture(params=[OxigraphGraph])
def open_graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Graph] = []

    def make() -> Graph:
        graph: Graph = request.param(tmp_path / "graph")
        opened.append(graph)
        return graph

    yield make
    for graph in opened:
        graph.close()


def test_empty(open_graph: Open) -> None:
    graph = open_graph()
    assert graph.reflects() == 0
    assert list(graph.match(None)) == []


def test_replace_is_whole_and_moves_the_sequence(open_graph: Open) -> None:
    graph = open_graph()
    graph.replace(A, FIRST, 1)
    assert rdf.canonical(graph.graph(A)) == FIRST
    graph.replace(A, SECOND, 2)
    assert rdf.canonical(graph.graph(A)) == SECOND
    assert graph.reflects() == 2


def test_an_empty_document_removes(open_graph: Open) -> None:
    graph = open_graph()
    graph.replace(A, FIRST, 1)
    graph.replace(A, b"", 2)
    assert graph.graph(A) == []
    assert graph.reflects() == 2


def test_loading_many_is_replacing_each(open_graph: Open) -> None:
    numbers = rdf.canonical([triple(A, TITLE, Literal(n, datatype=INTEGER)) for n in ("1", "01", "+1")])
    graph = open_graph()
    for seq, (name, nquads) in enumerate([(A, numbers), (B, SECOND), (VOCABULARY, FIRST)], 1):
        graph.replace(name, nquads, seq)
    digest = graph.digest()
    graph.clear()
    graph.replace(A, FIRST, 1)
    graph.replace(C, FIRST, 2)
    graph.load({A: numbers, B: SECOND, VOCABULARY: FIRST, C: b""}, 9)
    assert (graph.digest(), graph.reflects()) == (digest, 9)
    assert rdf.canonical(graph.graph(A)) == numbers
    graph.load({}, 10)
    assert (graph.digest(), graph.reflects()) == (digest, 10)


def test_a_load_that_was_cut_off_is_made_up_for_by_the_next(open_graph: Open) -> None:
    graph = open_graph()
    graph.replace(A, FIRST, 1)
    with pytest.raises(SyntaxError):
        graph.load({A: SECOND, B: b"no statement .\n"}, 3)
    assert graph.reflects() == 1
    graph.load({A: SECOND, B: FIRST}, 3)
    assert (rdf.canonical(graph.graph(A)), rdf.canonical(graph.graph(B)), graph.reflects()) == (SECOND, FIRST, 3)


def test_advancing_changes_nothing_else(open_graph: Open) -> None:
    graph = open_graph()
    graph.replace(A, FIRST, 1)
    before = graph.digest()
    graph.advance(7)
    assert (graph.reflects(), graph.digest()) == (7, before)


def test_match_by_each_position_names_the_graph(open_graph: Open) -> None:
    graph = open_graph()
    graph.replace(A, FIRST, 1)
    graph.replace(B, rdf.canonical([triple(B, PART, A)]), 2)
    graph.replace(VOCABULARY, rdf.canonical([triple(TITLE, TITLE, Literal("title"))]), 3)
    assert {g for _, g in graph.match(None)} == {A, B, VOCABULARY}
    assert [g for _, g in graph.match(None, PART, B)] == [A]
    assert [t.subject for t, _ in graph.match(None, None, A)] == [NamedNode(B)]
    assert [t.predicate for t, _ in graph.match(A, TITLE)] == [NamedNode(TITLE)]
    assert list(graph.match(A, "http://x/none")) == []


def test_content_and_sequence_outlive_the_process(open_graph: Open) -> None:
    graph = open_graph()
    graph.replace(A, FIRST, 5)
    digest = graph.digest()
    graph.close()
    again = open_graph()
    assert (again.reflects(), again.digest()) == (5, digest)


def test_the_digest_does_not_depend_on_order(open_graph: Open) -> None:
    graph = open_graph()
    graph.replace(A, FIRST, 1)
    graph.replace(B, SECOND, 2)
    digest = graph.digest()
    graph.clear()
    assert graph.reflects() == 0
    graph.replace(B, SECOND, 1)
    graph.replace(A, SECOND, 2)
    assert graph.digest() != digest
    graph.replace(A, FIRST, 3)
    assert graph.digest() == digest


def test_a_second_opener_is_refused(open_graph: Open) -> None:
    open_graph()
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_graph()


class Sick:
    """A store whose disk was full once: it refuses every write until it is opened again."""

    def update(self, text: str) -> None:
        raise OSError("no space left when the last write was made")


def test_a_store_that_failed_is_opened_again_when_there_is_room(tmp_path: Path) -> None:
    graph = OxigraphGraph(tmp_path / "graph")
    graph.replace(A, FIRST, 1)
    graph._store = Sick()  # type: ignore[assignment]
    graph.replace(A, SECOND, 2)
    assert (rdf.canonical(graph.graph(A)), graph.reflects()) == (SECOND, 2)
    graph.close()
    with pytest.raises(ConfigError, match="closed"):
        graph.reflects()
