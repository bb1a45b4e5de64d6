"""W3C's SHACL test manifests, read into cases: data, shapes, and what a processor has to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pyoxigraph import RdfFormat, parse

from agreement.reports import RDF, SH, Row, Term, report_rows
from fairmesh.catalog.rdf import BlankNode, NamedNode, Triple
from fairmesh.catalog.triples import Index

MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
SHT = "http://www.w3.org/ns/shacl-test#"


@dataclass(frozen=True)
class Case:
    """One `sht:Validate`. `expected` is None where a failure is expected (`sht:Failure`), and no report."""

    name: str
    data: Sequence[Triple]
    shapes: Sequence[Triple]
    expected: Counter[Row] | None


def relabelled(triples: Iterable[Triple], prefix: str = "b") -> list[Triple]:
    """The triples with blank nodes named by their order: the parser's own labels differ from run to run."""
    names: dict[BlankNode, BlankNode] = {}

    def name(term: Term) -> Term:
        return names.setdefault(term, BlankNode(f"{prefix}{len(names)}")) if isinstance(term, BlankNode) else term

    return [Triple(name(t.subject), t.predicate, name(t.object)) for t in triples]  # type: ignore[arg-type]


@cache
def read(path: Path) -> tuple[Triple, ...]:
    """A Turtle file with its own address as base; once, so that a graph used twice has the same blank nodes."""
    triples = [quad.triple for quad in parse(path=path, format=RdfFormat.TURTLE, base_iri=path.as_uri())]
    return tuple(relabelled(triples, path.stem.replace("-", "_") + "_"))


def cases(manifest: Path) -> list[Case]:
    """The cases of a manifest and of all it includes, named by their files relative to it."""
    return [case for inner in _manifests(manifest) for case in _cases(inner, manifest.parent)]


def _file(term: Term) -> Path:
    return Path(term.value.removeprefix("file://"))


def _manifests(manifest: Path) -> Iterator[Path]:
    yield manifest
    for included in sorted(_file(path) for _, path in Index(read(manifest)).pairs[MF + "include"]):
        yield from _manifests(included)


def _cases(manifest: Path, root: Path) -> Iterator[Case]:
    graph = Index(read(manifest))
    for test, kind in graph.pairs[RDF + "type"]:
        if kind == NamedNode(SHT + "Validate"):
            (action,), (result,) = graph.objects(test, MF + "action"), graph.objects(test, MF + "result")
            data, shapes = (_file(graph.objects(action, SHT + name)[0]) for name in ("dataGraph", "shapesGraph"))
            name = manifest.relative_to(root).as_posix()
            yield Case(name, read(data), read(shapes), _expected(graph, result))


def _expected(graph: Index, result: Term) -> Counter[Row] | None:
    if result == NamedNode(SHT + "Failure"):
        return None
    rows, (conforms,) = report_rows(graph, result), graph.objects(result, SH + "conforms")
    assert (conforms.value in ("true", "1")) == (not rows), "a report that contradicts itself"
    return rows
