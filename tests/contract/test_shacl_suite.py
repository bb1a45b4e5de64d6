"""The W3C SHACL test suite's core part, run through the engine call that every validation uses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyoxigraph import RdfFormat, parse

from fairmesh.catalog import governance
from fairmesh.catalog.computed import Index
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Triple

RDF, SH = PREFIXES["rdf"], PREFIXES["sh"]
MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
SHT = "http://www.w3.org/ns/shacl-test#"

CORE_TESTS = 98
EXCEPTIONS: dict[str, str] = {}
"""Tests that do not pass, by path, each with the reason."""

Term = NamedNode | BlankNode | Literal
Outcome = tuple[str, str | None, str | None, str, str, str | None]
"""Focus, path, value, component, severity, and the source shape where it has an IRI. All blank nodes are alike."""


@dataclass(frozen=True)
class Case:
    name: str
    data: Path
    shapes: Path
    conforms: bool
    expected: Counter[Outcome]


def _triples(path: Path) -> list[Triple]:
    return [q.triple for q in parse(path=path, format=RdfFormat.TURTLE, base_iri=path.as_uri())]


def _file(term: Term) -> Path:
    return Path(term.value.removeprefix("file://"))


def _manifests(manifest: Path) -> list[Path]:
    included = sorted(_file(path) for _, path in Index(_triples(manifest)).pairs[MF + "include"])
    return [manifest, *(inner for path in included for inner in _manifests(path))]


def _cases(manifest: Path, root: Path) -> list[Case]:
    graph = Index(_triples(manifest))
    cases = []
    for test, kind in graph.pairs[RDF + "type"]:
        if kind == NamedNode(SHT + "Validate"):
            (action,), (result,) = graph.objects(test, MF + "action"), graph.objects(test, MF + "result")
            (conforms,) = graph.objects(result, SH + "conforms")
            data, shapes = (_file(graph.objects(action, SHT + name)[0]) for name in ("dataGraph", "shapesGraph"))
            expected = Counter(_expected(graph, node) for node in graph.objects(result, SH + "result"))
            name = manifest.relative_to(root).as_posix()
            cases.append(Case(name, data, shapes, conforms.value in ("true", "1"), expected))
    return cases


def _expected(graph: Index, result: Term) -> Outcome:
    def one(name: str) -> Term | None:
        return next(iter(graph.objects(result, SH + name)), None)

    focus, path, value, shape = (one(name) for name in ("focusNode", "resultPath", "value", "sourceShape"))
    return (
        _alike(str(focus)),
        None if path is None else _path(graph, path),
        None if value is None else _alike(str(value)),
        str(one("sourceConstraintComponent")),
        str(one("resultSeverity")),
        _named(str(shape)),
    )


def _alike(text: str) -> str:
    return "_:" if text.startswith("_:") else text


def _named(shape: str) -> str | None:
    return shape if shape.startswith("<") else None


def _path(graph: Index, node: Term, *, top: bool = True) -> str:
    """SPARQL path text of an expected path (SHACL, section 2.3.1)."""
    if isinstance(node, NamedNode):
        return node.value if top else str(node)
    facts = graph.subjects[node]
    if RDF + "first" in facts:
        return _joined(graph, " / ", node, top)
    if SH + "alternativePath" in facts:
        return _joined(graph, " | ", facts[SH + "alternativePath"][0], top)
    if SH + "inversePath" in facts:
        return "^" + _path(graph, facts[SH + "inversePath"][0], top=False)
    suffixes = {"zeroOrMorePath": "*", "oneOrMorePath": "+", "zeroOrOnePath": "?"}
    name = next(name for name in suffixes if SH + name in facts)
    return _path(graph, facts[SH + name][0], top=False) + suffixes[name]


def _joined(graph: Index, separator: str, members: Term, top: bool) -> str:
    text = separator.join(_path(graph, member, top=False) for member in graph.items(members))
    return text if top else f"({text})"


def _found(case: Case) -> Counter[Outcome]:
    results = governance.conformance(_triples(case.data), _triples(case.shapes))
    return Counter(
        (
            _alike(r.focus),
            r.path,
            None if r.value is None else _alike(r.value),
            f"<{r.component}>",
            f"<{r.severity}>",
            _named(r.shape),
        )
        for r in results
    )


def test_w3c_core_suite(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = shared / "conformance" / "shacl" / "tests" / "core"
    cases = [case for manifest in _manifests(root / "manifest.ttl") for case in _cases(manifest, root)]
    failed = {}
    for case in cases:
        found = _found(case)
        if found != case.expected or case.conforms != (not found):
            failed[case.name] = f"missing {case.expected - found}, too many {found - case.expected}"
    with capsys.disabled():
        print(f"\nW3C SHACL core: {len(cases) - len(failed)} of {len(cases)}")
        for name, reason in EXCEPTIONS.items():
            print(f"  except {name}: {reason}")
    assert len(cases) == CORE_TESTS
    assert {name: what for name, what in failed.items() if name not in EXCEPTIONS} == {}
    assert EXCEPTIONS.keys() <= failed.keys(), "an exception passes now: remove it"
