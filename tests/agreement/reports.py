"""Validation results as rows that can be counted and compared, and W3C report graphs read into them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode
from fairmesh.catalog.triples import Index

RDF, SH = PREFIXES["rdf"], PREFIXES["sh"]

Term = NamedNode | BlankNode | Literal
Row = tuple[str, str | None, str, str, str | None]
"""Focus, path, component, severity, value: terms in N-Triples syntax, component, severity and simple paths bare."""


def row(focus: Term, path: str | None, component: str, severity: str, value: Term | None) -> Row:
    """One result; the spaces of a SPARQL path, which mean nothing, are dropped."""
    spelt = re.sub(r"\s+", "", path) if path is not None and "<" in path else path
    return str(focus), spelt, component, severity, None if value is None else str(value)


def alike(rows: Counter[Row]) -> Counter[Row]:
    """The rows with all blank nodes named alike: for reports whose writer names them anew."""
    counted: Counter[Row] = Counter()
    for (focus, path, component, severity, value), count in rows.items():
        counted[_unnamed(focus) or "", path, component, severity, _unnamed(value)] += count
    return counted


def _unnamed(term: str | None) -> str | None:
    return "_:" if term is not None and term.startswith("_:") else term


def report_rows(graph: Index, report: Term) -> Counter[Row]:
    """The results of an `sh:ValidationReport`."""
    return Counter(_row(graph, node) for node in graph.objects(report, SH + "result"))


def _row(graph: Index, result: Term) -> Row:
    def given(name: str) -> Iterable[Term]:
        return graph.objects(result, SH + name)

    (focus,), (component,), (severity,) = (
        given(name) for name in ("focusNode", "sourceConstraintComponent", "resultSeverity")
    )
    path = next((_path(graph, path) for path in given("resultPath")), None)
    return row(focus, path, component.value, severity.value, next(iter(given("value")), None))


def _path(graph: Index, node: Term, *, top: bool = True) -> str:
    """SPARQL path text of a path (SHACL, section 2.3.1)."""
    if isinstance(node, NamedNode):
        return node.value if top else str(node)
    facts = graph.subjects[node]
    if RDF + "first" in facts:
        return _joined(graph, "/", node, top)
    if SH + "alternativePath" in facts:
        return _joined(graph, "|", facts[SH + "alternativePath"][0], top)
    if SH + "inversePath" in facts:
        return "^" + _path(graph, facts[SH + "inversePath"][0], top=False)
    suffixes = {"zeroOrMorePath": "*", "oneOrMorePath": "+", "zeroOrOnePath": "?"}
    name = next(name for name in suffixes if SH + name in facts)
    return _path(graph, facts[SH + name][0], top=False) + suffixes[name]


def _joined(graph: Index, separator: str, members: Term, top: bool) -> str:
    text = separator.join(_path(graph, member, top=False) for member in graph.items(members))
    return text if top else f"({text})"
