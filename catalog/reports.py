"""Validation reports as RDF: a `model.Report` as the W3C's `sh:ValidationReport` (SHACL, section 3.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from fairmesh.catalog import rdf
from fairmesh.catalog.model import FM, Finding, Report, Severity
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.rulefiles import RULES
from fairmesh.catalog.shacl.results import Term

_SH = rdf.PREFIXES["sh"]
_XSD = rdf.PREFIXES["xsd"]
_TYPE = rdf.PREFIXES["rdf"] + "type"
_SEVERITIES = {Severity.VIOLATION: "Violation", Severity.WARNING: "Warning", Severity.INFO: "Info"}
_BOOLEAN = NamedNode(_XSD + "boolean")


def report_graph(report: Report) -> list[Triple]:
    """The report as a W3C `sh:ValidationReport`. `sh:sourceShape` is the rule, severities are the modes'.

    `sh:conforms` is SHACL's: false when there is any result, warnings, advice and waived findings included. A waived
    finding has `fm:waivedUntil`. Each rule that failed is a `fm:failedRule` of the report, with the rule in
    `sh:sourceShape` and the reason in `rdfs:comment`; SHACL has no word for it.
    """
    root = BlankNode("report")
    triples = [
        Triple(root, NamedNode(_TYPE), NamedNode(_SH + "ValidationReport")),
        Triple(root, NamedNode(_SH + "conforms"), Literal(str(not report.findings).lower(), datatype=_BOOLEAN)),
    ]
    for number, (rule, reason) in enumerate(report.failed, 1):
        failure = BlankNode(f"failure{number}")
        triples += [
            Triple(root, NamedNode(FM + "failedRule"), failure),
            Triple(failure, NamedNode(_SH + "sourceShape"), NamedNode(rule if ":" in rule else RULES + rule)),
            Triple(failure, NamedNode(rdf.PREFIXES["rdfs"] + "comment"), Literal(reason)),
        ]
    for number, finding in enumerate(report.findings, 1):
        result = BlankNode(f"result{number}")
        triples += [Triple(root, NamedNode(_SH + "result"), result), *_result_triples(result, finding)]
    return triples


def _result_triples(result: BlankNode, finding: Finding) -> Iterator[Triple]:
    def say(name: str, value: Term) -> Triple:
        return Triple(result, NamedNode(_SH + name), value)

    yield Triple(result, NamedNode(_TYPE), NamedNode(_SH + "ValidationResult"))
    yield say("focusNode", _term(finding.focus if finding.focus.startswith(("_:", '"')) else f"<{finding.focus}>"))
    yield say("resultSeverity", NamedNode(_SH + _SEVERITIES[finding.severity]))
    yield say("sourceConstraintComponent", NamedNode(finding.component))
    yield say("sourceShape", NamedNode(finding.rule_iri))
    for language, text in finding.messages:
        yield say("resultMessage", Literal(text, language=language or None))
    if finding.value is not None:
        yield say("value", _term(finding.value))
    if finding.waived_until is not None:
        until = Literal(finding.waived_until.isoformat(), datatype=NamedNode(_XSD + "dateTime"))
        yield Triple(result, NamedNode(FM + "waivedUntil"), until)
    if finding.path is not None:
        path, triples = _PathReader(finding.path, str(result.value)).read()
        yield say("resultPath", path)
        yield from triples


def _term(text: str) -> Term:
    """A term from N-Triples; a blank node of the document under a name that none of the report has."""
    term: Term = rdf.load(f"<x:x> <x:x> {text} .".encode())[0].object
    return BlankNode(f"data-{term.value}") if isinstance(term, BlankNode) else term


class _PathReader:
    """SPARQL path text, as in `Finding.path`, back to SHACL's path nodes (SHACL, section 2.3.1)."""

    _TOKEN = re.compile(r"<[^>]*>|[\^/|*+?()]")
    _SUFFIXES: ClassVar = {"*": "zeroOrMorePath", "+": "oneOrMorePath", "?": "zeroOrOnePath"}

    def __init__(self, text: str, prefix: str) -> None:
        self.tokens = self._TOKEN.findall(text) if "<" in text else [f"<{text}>"]
        self.prefix = prefix
        self.triples: list[Triple] = []
        self.count = 0

    def read(self) -> tuple[NamedNode | BlankNode, list[Triple]]:
        return self._alternatives(), self.triples

    def _blank(self) -> BlankNode:
        self.count += 1
        return BlankNode(f"{self.prefix}path{self.count}")

    def _wrap(self, name: str, inner: NamedNode | BlankNode) -> BlankNode:
        node = self._blank()
        self.triples.append(Triple(node, NamedNode(_SH + name), inner))
        return node

    def _list(self, members: Sequence[NamedNode | BlankNode]) -> NamedNode | BlankNode:
        rest: NamedNode | BlankNode = NamedNode(rdf.PREFIXES["rdf"] + "nil")
        for member in reversed(members):
            cell = self._blank()
            self.triples.append(Triple(cell, NamedNode(rdf.PREFIXES["rdf"] + "first"), member))
            self.triples.append(Triple(cell, NamedNode(rdf.PREFIXES["rdf"] + "rest"), rest))
            rest = cell
        return rest

    def _joined(self, separator: str, part: Callable[[], NamedNode | BlankNode]) -> list[NamedNode | BlankNode]:
        members = [part()]
        while self.tokens[:1] == [separator]:
            self.tokens.pop(0)
            members.append(part())
        return members

    def _alternatives(self) -> NamedNode | BlankNode:
        members = self._joined("|", self._sequence)
        return members[0] if len(members) == 1 else self._wrap("alternativePath", self._list(members))

    def _sequence(self) -> NamedNode | BlankNode:
        members = self._joined("/", self._step)
        return members[0] if len(members) == 1 else self._list(members)

    def _step(self) -> NamedNode | BlankNode:
        token = self.tokens.pop(0)
        if token == "^":
            return self._wrap("inversePath", self._step())
        if token == "(":
            node = self._alternatives()
            self.tokens.pop(0)
        else:
            node = NamedNode(token[1:-1])
        while self.tokens and self.tokens[0] in self._SUFFIXES:
            node = self._wrap(self._SUFFIXES[self.tokens.pop(0)], node)
        return node
