"""Rule sets: load, lint, compose (core + organisation + domain), validate one document -> `model.Report`.

Rules are SHACL Core (W3C Recommendation of 2017-07-20); pyshacl evaluates them and is imported here alone. A rule is
one targeted `sh:NodeShape` with `fm:mode`; a rule set is a folder with `core/`, and where wanted `org/<org>/` and
`domains/<domain>/`, each with `shapes.ttl` and `vocabulary.ttl`. What SHACL Core cannot say (the tail of an IRI, the
order of two dates, duplicates) the engine computes and states with `fm:computed...` terms before the rules run.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

import rdflib
from pyshacl.constraints import CONSTRAINT_PARAMETERS_MAP
from pyshacl.constraints.core.other_constraints import ClosedConstraintComponent
from pyshacl.errors import (
    ConstraintLoadError,
    ConstraintLoadWarning,
    ReportableRuntimeError,
    ShapeLoadError,
    ValidationFailure,
)
from pyshacl.helper.path_helper import shacl_path_to_sparql_path
from pyshacl.pytypes import SHACLExecutor
from pyshacl.shape import Shape
from pyshacl.shapes_graph import ShapesGraph
from rdflib.plugins.stores.memory import SimpleMemory

from fairmesh.catalog import computed, rdf
from fairmesh.catalog.computed import Index
from fairmesh.catalog.errors import FairmeshError, InputError
from fairmesh.catalog.model import FM, LIVE_STATUSES, STATUS, Finding, Report, Severity
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.rulefiles import (
    FILE,
    Level,
    Mode,
    Rule,
    digest_of,
    lint,
    messages_of,
    read_levels,
    references,
    refusal,
)
from fairmesh.catalog.workers import Pool

DEFAULT_FOLDER = Path(__file__).parent.parent / "ontologies"
TIMEOUT = 20.0
"""Seconds a validation may take before its process is stopped."""

_SH = rdf.PREFIXES["sh"]
_XSD = rdf.PREFIXES["xsd"]
_TYPE = rdf.PREFIXES["rdf"] + "type"
_SUBCLASS = rdf.PREFIXES["rdfs"] + "subClassOf"

_Term = NamedNode | BlankNode | Literal

_engine = threading.Lock()
"""pyshacl and rdflib keep state per process; one validation at a time uses them."""

# An ill-typed literal is a finding of a rule, not a warning with a traceback on stderr.
logging.getLogger("rdflib.term").setLevel(logging.ERROR)


# -- rule sets --------------------------------------------------------------------------------------------------------


class RuleSet:
    """An immutable, linted rule set. `digest` is a SHA-256 over the paths and bytes of its `.ttl` files.

    `files` maps paths such as `core/shapes.ttl` to their bytes: all that `from_files` needs to build it again.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files: Mapping[str, bytes] = dict(sorted(files.items()))
        self.digest = digest_of(self.files)
        self._levels = read_levels(self.files)
        self.rules = tuple(lint(self._levels, self.files))
        self._composed: dict[str | None, _Composed] = {}
        for domain in {level.domain for level in self._levels}:
            self.composed(domain)

    @classmethod
    def load(cls, folder: Path = DEFAULT_FOLDER) -> RuleSet:
        """Read a folder. Raises `InputError` (code `rule-set`) with file, line where known, and remedy."""
        if not folder.is_dir():
            raise refusal(str(folder), "is not a folder", "Name the folder that holds core/shapes.ttl")
        files = {}
        for path in sorted(folder.rglob("*.ttl")):
            name = path.relative_to(folder).as_posix()
            if "examples" in path.relative_to(folder).parts[1:-1]:
                continue
            if not FILE.fullmatch(name):
                raise refusal(
                    name, "is not a file of a rule set",
                    "Rules go to shapes.ttl and terms to vocabulary.ttl in core/, org/<org>/ or domains/<domain>/",
                )  # fmt: skip
            files[name] = path.read_bytes()
        return cls.from_files(files)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> RuleSet:
        """Build from `files` of another; raises as `load`."""
        return cls(files)

    def __reduce__(self) -> tuple[Any, ...]:
        return RuleSet.from_files, (dict(self.files),)

    def levels(self, domain: str | None) -> list[Level]:
        """The levels in force for a domain: core, every organisation level, the domain's own."""
        return [level for level in self._levels if level.domain is None or level.domain == domain]

    def vocabulary(self, domain: str | None = None) -> list[Triple]:
        """The vocabulary statements in force for a domain; those of all levels when None."""
        levels = self._levels if domain is None else self.levels(domain)
        return [triple for level in levels for triple in level.vocabulary]

    def rule(self, iri: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.iri == iri), None)

    def rdf(self, rule_iri: str, media_type: str) -> bytes:
        """The rule's own statements: its node shape and what only its shapes lead to. Empty for an unknown rule."""
        index = Index(triple for level in self._levels for triple in level.shapes)
        found: list[Triple] = []
        others = {rule.iri for rule in self.rules} - {rule_iri}
        waiting: list[_Term] = [NamedNode(rule_iri)]
        seen = set(waiting)
        while waiting:
            node = waiting.pop()
            for predicate, values in index.subjects.get(node, {}).items():
                for value in values:
                    found.append(Triple(node, NamedNode(predicate), value))  # type: ignore[arg-type]
                    if not isinstance(value, Literal) and value not in seen and rdf.iri_of(value) not in others:
                        seen.add(value)
                        waiting.append(value)
        return rdf.serialize(found, media_type)

    def composed(self, domain: str | None) -> _Composed:
        """The rules in force for a domain, ready to run. A domain without rules of its own shares core's."""
        key = domain if any(level.domain == domain for level in self._levels) else None
        if key not in self._composed:
            with _engine:
                self._composed[key] = _Composed(self, key)
        return self._composed[key]


# -- running ----------------------------------------------------------------------------------------------------------


class _Graph(rdflib.Graph):
    """A plain graph whose truth is not its length, which pyshacl asks for all the time and counting takes long."""

    def __bool__(self) -> bool:
        return True


class _Terms(dict[Any, Any]):
    """rdflib's terms by pyoxigraph's, made on first use. Lexical forms and blank node labels stay as they are."""

    def __missing__(self, term: _Term) -> Any:
        made: Any
        if isinstance(term, NamedNode):
            made = rdflib.URIRef(term.value)
        elif isinstance(term, BlankNode):
            made = rdflib.BNode(term.value)
        elif term.language is not None:
            made = rdflib.Literal(term.value, lang=term.language)
        elif term.datatype.value == _XSD + "string":
            made = rdflib.Literal(term.value)  # rdflib holds "x" and "x"^^xsd:string for two
        elif computed.well_formed(term):
            made = rdflib.Literal(term.value, datatype=self[term.datatype], normalize=False)
        else:
            made = _ill_typed(term.value, self[term.datatype])
        self[term] = made
        return made

    def graph(self, triples: Iterable[Triple]) -> rdflib.Graph:
        graph = _Graph(SimpleMemory())
        add = graph.store.add
        for triple in triples:
            add((self[triple.subject], self[triple.predicate], self[triple.object]), graph)
        return graph


def _ill_typed(text: str, datatype: Any) -> Any:
    """A literal that rdflib knows for ill-typed; its own parsers let `"1_000"^^xsd:integer` and more pass."""
    literal: Any = rdflib.Literal(text)
    literal._datatype, literal._value, literal._ill_typed = datatype, None, True
    return literal


_FLAGS = frozenset(_SH + name for name in ("uniqueLang", "closed", "deactivated", "qualifiedValueShapesDisjoint"))
_ON, _OFF = (Literal(word, datatype=NamedNode(_XSD + "boolean")) for word in ("true", "false"))


class _Terse:
    """Leaves out the texts pyshacl composes for every result, also those it throws away: rules bring their own."""

    def make_v_result_description(self, *_: Any, **__: Any) -> str:
        return ""

    def make_generic_messages(self, *_: Any) -> list[Any]:
        return []


class _Closed(_Terse, ClosedConstraintComponent):
    """Is not bothered by what the engine adds."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.ignored_props.update(rdflib.URIRef(iri) for iri in computed.PREDICATES)


_CONSTRAINTS: Mapping[Any, Any] = {
    parameter: _Closed if kind is ClosedConstraintComponent else type(kind.__name__, (_Terse, kind), {})
    for parameter, kind in CONSTRAINT_PARAMETERS_MAP.items()
}


class _WarmShape(Shape):
    """A shape that keeps its constraints: pyshacl reads them from the shapes graph again for every focus node."""

    __slots__ = ("_constraints",)

    def constraints(self, *, strict: bool) -> list[Any]:
        """Its constraints, read once. Those that pyshacl warns about and skips raise when `strict`."""
        if not hasattr(self, "_constraints"):
            parameters = sorted(set(self.sg.graph.predicates(self.node)) & _CONSTRAINTS.keys(), key=str)
            kinds = {CONSTRAINT_PARAMETERS_MAP[parameter]: _CONSTRAINTS[parameter] for parameter in parameters}
            self._constraints = []
            for kind in kinds.values():
                try:
                    self._constraints.append(kind(self))
                except ConstraintLoadWarning:
                    if strict:
                        raise
        return self._constraints

    def validate(
        self, executor: Any, target_graph: Any, focus: Any = None, _evaluation_path: list[Any] | None = None
    ) -> tuple[bool, list[Any]]:
        """As the overridden method, for given focus nodes, without its debugging and SPARQL modes."""
        if self.deactivated:
            return True, []
        path = [*(_evaluation_path or ()), self]
        if len(path) > 2 * executor.max_validation_depth:
            raise ReportableRuntimeError("shapes are nested too deep")
        nodes = [focus] if isinstance(focus, rdflib.term.Identifier) else list(focus)
        values = self.value_nodes(target_graph, nodes)
        reports = []
        for constraint in self.constraints(strict=False):
            _, found = constraint.evaluate(executor, target_graph, values, [*path, constraint])
            reports += found
        return not reports, reports


def _shapes_graph(triples: Iterable[Triple], terms: _Terms) -> ShapesGraph:
    """A warm shapes graph. SHACL's flags are on when they are the term `true`, and no other spelling of it."""
    graph = ShapesGraph(
        terms.graph(
            Triple(t.subject, t.predicate, _OFF) if t.predicate.value in _FLAGS and t.object != _ON else t
            for t in triples
        )
    )
    cache = graph._node_shape_cache
    for shape in list(graph.shapes):
        path = shape.path()
        cache[shape.node] = _WarmShape(graph, shape.node, p=shape.is_property_shape, path=path, logger=graph.logger)
    return graph


def _oxigraph(term: Any) -> _Term:
    if isinstance(term, rdflib.URIRef):
        return NamedNode(str(term))
    if isinstance(term, rdflib.BNode):
        return BlankNode(str(term))
    if term.language is not None:
        return Literal(str(term), language=term.language)
    return Literal(str(term), datatype=None if term.datatype is None else NamedNode(str(term.datatype)))


@dataclass(frozen=True, slots=True)
class Result:
    """One validation result as SHACL defines it, in N-Triples syntax; `path` is an IRI or a SPARQL path."""

    focus: str
    path: str | None
    value: str | None
    component: str
    shape: str
    severity: str
    messages: tuple[str, ...]


_EXECUTOR = SHACLExecutor(max_validation_depth=32)
_PARTS = {
    rdflib.URIRef(_SH + name): name
    for name in ("focusNode", "resultPath", "value", "sourceConstraintComponent", "sourceShape", "resultSeverity")
}


def _run(
    shapes: Iterable[Shape], data: rdflib.Graph, own: Callable[[Any], bool]
) -> Iterator[tuple[Shape, dict[str, Any]]]:
    """Evaluate shapes on their targets for which `own` holds: (the targeted shape, a result's parts by SHACL's names).

    Every validation goes through here. The caller holds `_engine`.
    """
    for shape in shapes:
        focus = [node for node in shape.focus_nodes(data) if own(node)]  # type: ignore[no-untyped-call]
        if not focus:
            continue
        _, reports = shape.validate(_EXECUTOR, data, focus=focus)
        for _, result, triples in reports:
            parts: dict[str, Any] = {"messages": []}
            for subject, predicate, value in triples:
                if subject is result or subject == result:
                    node = value[1] if isinstance(value, tuple) else value
                    if predicate in _PARTS:
                        parts[_PARTS[predicate]] = node
                    elif predicate == rdflib.SH.resultMessage:
                        parts["messages"].append(str(node))
            yield shape, parts


def conformance(data: Iterable[Triple], shapes: Iterable[Triple]) -> list[Result]:
    """All results of plain SHACL Core validation, for conformance suites: no lint, no modes, every focus node.

    Raises `InputError` where pyshacl refuses the shapes.
    """
    terms = _Terms()
    with _engine:
        try:
            graph = _shapes_graph(shapes, terms)
            found = list(_run(list(graph.shapes), terms.graph(data), lambda node: True))
            return [
                Result(
                    str(_oxigraph(parts["focusNode"])), _path_text(graph, parts.get("resultPath")),
                    str(_oxigraph(parts["value"])) if "value" in parts else None,
                    str(parts["sourceConstraintComponent"]), str(_oxigraph(parts["sourceShape"])),
                    str(parts["resultSeverity"]), tuple(sorted(parts["messages"])),
                )
                for _, parts in found
            ]  # fmt: skip
        except _ENGINE_ERRORS as error:
            raise InputError(f"the shapes cannot be used: {error}", remedy="Correct them", code="rule-set") from error


_ENGINE_ERRORS = (
    ShapeLoadError, ConstraintLoadError, ConstraintLoadWarning, ReportableRuntimeError, ValidationFailure,
    ArithmeticError, AssertionError, LookupError, TypeError, ValueError, re.error,
)  # fmt: skip
"""What pyshacl and rdflib raise on shapes or data they cannot work with, on purpose or by oversight."""


def _path_text(graph: ShapesGraph, path: Any) -> str | None:
    if path is None or isinstance(path, rdflib.URIRef):
        return None if path is None else str(path)
    return str(shacl_path_to_sparql_path(graph, path))


@dataclass(frozen=True, slots=True)
class _Attribution:
    """What a finding takes from the shape it came from, or from the nearest shape above it that says it."""

    mode: Mode
    messages: tuple[tuple[str, str], ...]


def _unusable(place: str, error: Exception, line: int | None = None) -> InputError:
    first = str(error).partition("\n")[0].rstrip(".")
    return refusal(place, f"SHACL refuses it: {first}", "Correct the shape", line=line)


class _Composed:
    """The rules in force for one domain, parsed and warm."""

    def __init__(self, rules: RuleSet, domain: str | None) -> None:
        levels = rules.levels(domain)
        shapes = [triple for level in levels for triple in level.shapes]
        index = Index(shapes)
        self.rules = {rule.iri: rule for rule in rules.rules if rule.domain in (None, domain)}
        self.terms = _Terms()
        self.paths: dict[Any, str | None] = {}
        try:
            self.graph = _shapes_graph(shapes, self.terms)
        except _ENGINE_ERRORS as error:
            raise _unusable(levels[-1].name + "/shapes.ttl", error) from error
        self.attribution = {
            (iri, self.terms[shape]): attribution
            for iri, rule in self.rules.items()
            for shape, attribution in _attributions(index, NamedNode(iri), _Attribution(rule.mode, rule.messages))
        }
        self.shapes = self._checked_shapes()
        self.vocabulary = _observable([t for level in levels for t in level.vocabulary], shapes)
        self.terms.graph(self.vocabulary)

    def _checked_shapes(self) -> dict[str, Shape]:
        """Shapes by rule IRI, after every constraint of every rule was read once: bad ones are known at load."""
        for iri, node in self.attribution:
            shape: Any = self.graph.lookup_shape_from_node(node)
            rule = self.rules[iri]
            try:
                shape.constraints(strict=True)
                self.path(shape.path())
            except _ENGINE_ERRORS as error:
                raise _unusable(f"{rule.file}: rule {rule.id}", error, rule.line) from error
        return {iri: self.graph.lookup_shape_from_node(rdflib.URIRef(iri)) for iri in sorted(self.rules)}

    def path(self, node: Any) -> str | None:
        if node not in self.paths:
            self.paths[node] = _path_text(self.graph, node)
        return self.paths[node]


def _attributions(index: Index, shape: _Term, inherited: _Attribution) -> Iterator[tuple[_Term, _Attribution]]:
    modes = [Mode(m.value.removeprefix(FM)) for m in index.objects(shape, FM + "mode") if isinstance(m, NamedNode)]
    here = _Attribution(modes[0] if modes else inherited.mode, messages_of(index, shape) or inherited.messages)
    yield shape, here
    for _, inner in references(index, shape):
        yield from _attributions(index, inner, here)


def _observable(vocabulary: Sequence[Triple], shapes: Sequence[Triple]) -> list[Triple]:
    """The vocabulary statements that the shapes can notice; the rest would only be carried along.

    Noticed are statements whose predicate the shapes name, class axioms, and types that are or lead to a class the
    shapes name. A closed shape notices every predicate, and a path over `rdf:type` every type.
    """
    if any(triple.predicate.value == _SH + "closed" for triple in shapes):
        return list(vocabulary)
    named = {triple.object.value for triple in shapes if isinstance(triple.object, NamedNode)}
    above = Index(triple for triple in vocabulary if triple.predicate.value == _SUBCLASS)

    def matters(kind: object, seen: frozenset[object] = frozenset()) -> bool:
        wider = above.objects(kind, _SUBCLASS) if isinstance(kind, (NamedNode, BlankNode)) else ()
        return rdf.iri_of(kind) in named or any(matters(w, seen | {kind}) for w in wider if w not in seen)

    return [
        triple
        for triple in vocabulary
        if triple.predicate.value in named
        or triple.predicate.value == _SUBCLASS
        or (triple.predicate.value == _TYPE and matters(triple.object))
    ]


# -- validation -------------------------------------------------------------------------------------------------------


def validate(
    rules: RuleSet,
    document: bytes,
    background: bytes,
    *,
    product: str,
    domain: str,
    own: frozenset[str],
    iri_base: str,
    now: datetime,
    offline: bool = False,
) -> Report:
    """The findings of the rules in force for `domain` about the nodes in `own`; a pure function of its arguments.

    `document` and `background` are `rdf.canonical` bytes: the submission, and what the mesh knows of the things it
    refers to. Class axioms (`rdfs:subClassOf`) and `fm:computed...` statements in either are not looked at: they come
    from the rule set and the engine. `offline` leaves out rules that need the mesh and names them in `not_checked`.
    Findings are ordered by severity, rule, focus, path, value and carry no lines.

    Raises `FairmeshError` (code `rule-failed`) when a rule cannot be evaluated on this document.
    """
    composed = rules.composed(domain)
    stated = [t for t in rdf.load(document) if _admissible(t)]
    known = [t for t in rdf.load(background) if _admissible(t)]
    facts = computed.Facts(Index(stated), NamedNode(product), own, iri_base, now)
    statements = computed.compute(facts)
    skipped = tuple(sorted(rule.id for rule in composed.rules.values() if offline and rule.needs_mesh))
    live = any(
        (rdf.iri_of(status) or "").removeprefix(STATUS) in LIVE_STATUSES
        for status in facts.index.objects(facts.product, rdf.PREFIXES["dprod"] + "lifecycleStatus")
    )
    shapes = [shape for iri, shape in composed.shapes.items() if composed.rules[iri].id not in skipped]
    sources = computed.Sources(statements)
    found: dict[Finding, None] = {}
    with _engine:
        try:
            data = _Terms(composed.terms).graph(
                [*composed.vocabulary, *known, *stated, *(s.triple for s in statements)]
            )
            for shape, parts in _run(shapes, data, lambda node: str(node) in own):
                for finding in _findings(composed, shape, parts, live, sources):
                    found[finding] = None
        except _ENGINE_ERRORS as error:
            raise FairmeshError(
                f"a rule could not be evaluated on <{product}>: {error}", iri=product, code="rule-failed",
                remedy="Nothing was decided; tell those who keep the rule set",
            ) from error  # fmt: skip
    return Report(rules.digest, tuple(sorted(found, key=_order)), skipped)


def _admissible(triple: Triple) -> bool:
    predicate = triple.predicate.value
    return predicate != _SUBCLASS and not predicate.startswith(computed.PREFIX)


def _order(finding: Finding) -> tuple[object, ...]:
    return (
        list(Severity).index(finding.severity), finding.rule, finding.focus, finding.path or "", finding.value or "",
        finding.component, finding.messages,
    )  # fmt: skip


def _findings(
    composed: _Composed, shape: Shape, parts: Mapping[str, Any], live: bool, sources: computed.Sources
) -> Iterator[Finding]:
    """One finding per result; a result about computed statements becomes one for each statement they came from."""
    rule = composed.rules[str(shape.node)]
    attribution = composed.attribution[rule.iri, parts["sourceShape"]]
    focus = str(parts["focusNode"])
    path = composed.path(parts.get("resultPath"))
    value = str(_oxigraph(parts["value"])) if "value" in parts else None
    places = [(path, value)]
    if path is not None and computed.PREFIX in path:
        places = list(sources.behind(path, value, focus)) or places
    for path, value in places:
        yield Finding(
            rule.id, rule.iri, attribution.mode.severity(live=live), attribution.messages, focus, path, value,
            str(parts["sourceConstraintComponent"]),
        )  # fmt: skip


# -- in worker processes ----------------------------------------------------------------------------------------------

_in_worker: list[RuleSet] = []
"""The rule set of this worker process, once warmed up."""


def _warm_up(files: Mapping[str, bytes]) -> None:
    _in_worker[:] = [RuleSet.from_files(files)]


def _validate_in_worker(
    document: bytes,
    background: bytes,
    product: str,
    domain: str,
    own: frozenset[str],
    iri_base: str,
    now: datetime,
    offline: bool,
) -> Report:
    return validate(
        _in_worker[0], document, background, product=product, domain=domain, own=own, iri_base=iri_base, now=now,
        offline=offline,
    )  # fmt: skip


class Validator:
    """Validates under one rule set in killable processes; any number of threads may call it at the same time."""

    def __init__(self, rules: RuleSet, size: int | None = None) -> None:
        """`size` is the number of processes, by default one per processor and at most four."""
        self.rules = rules
        files = dict(rules.files)
        self._pool = Pool(size or min(4, os.cpu_count() or 1), warm_up=functools.partial(_warm_up, files))

    def start(self) -> None:
        """Start all processes now, so that the first validations do not wait for one."""
        self._pool.start()

    def validate(
        self,
        document: bytes,
        background: bytes,
        *,
        product: str,
        domain: str,
        own: frozenset[str],
        iri_base: str,
        now: datetime,
        offline: bool = False,
        timeout: float = TIMEOUT,
    ) -> Report:
        """As the function `validate`. Raises `WorkerFailed` after `timeout` seconds or when the process dies."""
        args = (document, background, product, domain, own, iri_base, now, offline)
        return self._pool.call(_validate_in_worker, *args, timeout=timeout)

    def close(self) -> None:
        self._pool.close()


# -- reports as RDF ---------------------------------------------------------------------------------------------------

_SEVERITIES = {Severity.VIOLATION: "Violation", Severity.WARNING: "Warning", Severity.INFO: "Info"}
_BOOLEAN = NamedNode(_XSD + "boolean")


def report_graph(report: Report) -> list[Triple]:
    """The report as a W3C `sh:ValidationReport`. `sh:sourceShape` is the rule, severities are the modes'.

    `sh:conforms` is SHACL's: false when there is any result, warnings and advice included.
    """
    root = BlankNode("report")
    triples = [
        Triple(root, NamedNode(_TYPE), NamedNode(_SH + "ValidationReport")),
        Triple(root, NamedNode(_SH + "conforms"), Literal(str(not report.findings).lower(), datatype=_BOOLEAN)),
    ]
    for number, finding in enumerate(report.findings, 1):
        result = BlankNode(f"result{number}")
        triples += [Triple(root, NamedNode(_SH + "result"), result), *_result_triples(result, finding)]
    return triples


def _result_triples(result: BlankNode, finding: Finding) -> Iterator[Triple]:
    def say(name: str, value: _Term) -> Triple:
        return Triple(result, NamedNode(_SH + name), value)

    yield Triple(result, NamedNode(_TYPE), NamedNode(_SH + "ValidationResult"))
    yield say("focusNode", NamedNode(finding.focus))
    yield say("resultSeverity", NamedNode(_SH + _SEVERITIES[finding.severity]))
    yield say("sourceConstraintComponent", NamedNode(finding.component))
    yield say("sourceShape", NamedNode(finding.rule_iri))
    for language, text in finding.messages:
        yield say("resultMessage", Literal(text, language=language or None))
    if finding.value is not None:
        yield say("value", rdf.load(f"<x:x> <x:x> {finding.value} .".encode())[0].object)
    if finding.path is not None:
        path, triples = _PathReader(finding.path, str(result.value)).read()
        yield say("resultPath", path)
        yield from triples


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


# -- examples ---------------------------------------------------------------------------------------------------------


class Example(Protocol):
    """What `check_examples` needs of a document; `document.ProductDocument` has it."""

    @property
    def product(self) -> str: ...
    @property
    def nquads(self) -> bytes: ...
    @property
    def own(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """One example file against its level's rules. `problem` is empty when it behaved as its name says."""

    file: str
    problem: str
    report: Report | None


def check_examples(
    folder: Path, read: Callable[[bytes], Example], *, iri_base: str, now: datetime, rules: RuleSet | None = None
) -> list[ExampleResult]:
    """Run every `examples/*.ttl` of a rule set folder under core, organisation and its own domain's rules.

    `ok-*.ttl` must have no violation and no warning. `bad-<rule>-*.ttl` must break that rule and, advice aside, no
    other. `<rule>` is the rest of a rule's id in the same level. Each level with rules has an `ok-` file, each rule a
    `bad-` one; a missing one is a result with a problem. `read` turns bytes into a document (it may refuse).
    """
    rules = rules or RuleSet.load(folder)
    results = []
    for level in sorted({rule.id.rpartition("/")[0] for rule in rules.rules}):
        tails = {rule.id.rpartition("/")[2]: rule for rule in rules.rules if rule.id.rpartition("/")[0] == level}
        domain = level.partition("/")[2] if level.startswith("domains/") else ""
        shown: set[Rule | None] = set()
        for path in sorted((folder / level / "examples").glob("*.ttl")):
            rule = _example_rule(path.name, tails)
            shown.add(rule)
            problem, report = "neither ok-... nor bad-<rule>-... of a rule of this level", None
            if rule is not None or path.name.startswith("ok-"):
                problem, report = _try_example(path, rule, read, rules, domain, iri_base, now)
            results.append(ExampleResult(path.relative_to(folder).as_posix(), problem, report))
        missing = [f"bad-{tail}-..." for tail, rule in tails.items() if rule not in shown]
        missing += [] if None in shown else ["ok-..."]
        results += [ExampleResult(f"{level}/examples", f"no {name} file", None) for name in missing]
    return results


def _try_example(
    path: Path,
    rule: Rule | None,
    read: Callable[[bytes], Example],
    rules: RuleSet,
    domain: str,
    iri_base: str,
    now: datetime,
) -> tuple[str, Report | None]:
    """What is wrong with an example (empty: nothing), and its report."""
    try:
        example = read(path.read_bytes())
    except InputError as error:
        return f"not a product document: {error}", None
    report = validate(
        rules, example.nquads, b"", product=example.product, domain=domain, own=example.own, iri_base=iri_base, now=now
    )
    found = {finding.rule for finding in report.findings}
    strict = {finding.rule for finding in report.findings if finding.severity is not Severity.INFO}
    if rule is not None and rule.id not in found:
        return f"does not break {rule.id}", report
    others = sorted(strict - ({rule.id} if rule else set()))
    return (f"breaks {', '.join(others)}" if others else ""), report


def _example_rule(name: str, tails: Mapping[str, Rule]) -> Rule | None:
    """The rule a `bad-` file is about: the longest id tail its name begins with."""
    stem = name.removesuffix(".ttl")
    fits = [tail for tail in tails if stem == f"bad-{tail}" or stem.startswith(f"bad-{tail}-")]
    return tails[max(fits, key=len)] if fits else None
