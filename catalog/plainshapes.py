"""Plain SHACL: any shapes graph over any RDF, without modes, owners and the rest of what rule sets are held to.

Of shapes that cannot be used only those are left out that rest on what is wrong (`rulelint.usable`). Everything runs in
killable processes: shapes and data may be anybody's.
"""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairmesh.catalog import rdf
from fairmesh.catalog.errors import InputError, WorkerFailed
from fairmesh.catalog.governance import MEMORY, STOPPED, TIMEOUT, engine_that_runs
from fairmesh.catalog.model import Finding, Report, Severity
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.rulefiles import digest_of
from fairmesh.catalog.rulelint import Problem, usable
from fairmesh.catalog.shacl.results import Failed, Node, Result, Term
from fairmesh.catalog.shacl.syntax import name_of, references
from fairmesh.catalog.triples import Index
from fairmesh.catalog.workers import Pool

_SH = rdf.PREFIXES["sh"]
_SUBCLASS = rdf.PREFIXES["rdfs"] + "subClassOf"
_ALONE = 2.0
"""Seconds for a shape that is run alone because it may be to blame."""
_SEVERITIES = {_SH + "Warning": Severity.WARNING, _SH + "Info": Severity.INFO}
"""Severities that do not refuse; all others do, those that SHACL does not know among them (SHACL, section 2.1.4)."""
_LISTED = 5
"""Members of a list, such as that of sh:in, and problems, that a message shows."""
_LONG = 200
"""Characters of a description that a message shows."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What shapes say of one data graph. `focus_nodes` counts the nodes they were asked of; at 0 nothing was checked.

    In the report a finding's `rule` is the name of its source shape, or of the nearest shape above that has an IRI;
    `rule_iri` is that IRI. Focus nodes without an IRI are `_:label`, as are values. The order is that of severity, rule
    and path. `failed` are the IRIs of targeted shapes that could not be evaluated: none of their results are there.
    """

    report: Report
    focus_nodes: int


class PlainShapes:
    """A shapes graph ready to judge, in `size` processes; any number of threads may call `check` at the same time.

    `problems` are all that the lint finds, `unsupported` says why pyshacl runs where `compiled` was asked for.
    """

    def __init__(
        self, files: Mapping[str, bytes], vocabulary: Sequence[Triple] = (), engine: str = "compiled", size: int = 1
    ) -> None:
        """`files` are Turtle by name, taken together as one shapes graph. `vocabulary` is added to the data of every
        run, as are the class axioms (`rdfs:subClassOf`) of `files`; nodes that only the vocabulary mentions are not
        judged.

        Raises `InputError` for a file that does not parse, for shapes none of which has a target, and for what both
        engines refuse; `WorkerFailed`.
        """
        self._digest = digest_of(files)
        self._pool = Pool(
            size, warm_up=functools.partial(_warm_up, dict(files), list(vocabulary), engine), memory=MEMORY
        )
        try:
            triples, self.problems, self.unsupported, self._roots = self._pool.call(_made, timeout=TIMEOUT)
            if not self._roots:
                raise _nothing_checked(files, self.problems)
        except BaseException:
            self.close()
            raise
        self._names = _Names(Index(triples))

    def check(self, data: Sequence[Triple], timeout: float = TIMEOUT) -> Checked:
        """Judge one data graph. A shape that does not end, or brings its process down, is in `failed`; then this takes
        up to twice `timeout` seconds. Raises `WorkerFailed`."""
        try:
            results, failed, focus_nodes = self._run(data, None, timeout)
        except WorkerFailed as error:
            if error.code not in STOPPED:
                raise
            results, failed, focus_nodes = self._one_by_one(data, timeout)
        findings = tuple(sorted(map(self._names.finding, results), key=_order))
        named = tuple(sorted((self._names.iri(failure.root), failure.reason) for failure in failed))
        return Checked(Report(self._digest, findings, failed=named), len(focus_nodes))

    def close(self) -> None:
        self._pool.close()

    def _run(self, data: Sequence[Triple], roots: Sequence[Node] | None, timeout: float) -> _Ran:
        return self._pool.retried(_run, data, roots, timeout=timeout)

    def _one_by_one(self, data: Sequence[Triple], timeout: float) -> _Ran:
        results: list[Result] = []
        failed: list[Failed] = []
        focus_nodes: set[Term] = set()
        end = time.monotonic() + timeout
        for root in self._roots:
            if time.monotonic() > end:
                failed.append(Failed(root, "it was not run: other shapes had used up the time"))
                continue
            try:
                ran = self._run(data, [root], _ALONE)
            except WorkerFailed as error:
                if error.code not in STOPPED:
                    raise
                failed.append(Failed(root, STOPPED[error.code].format(limit=_ALONE)))
                continue
            results += ran[0]
            failed += ran[1]
            focus_nodes |= ran[2]
        return results, failed, focus_nodes


def _nothing_checked(files: Mapping[str, bytes], problems: Sequence[Problem]) -> InputError:
    """What to say where no shape with a target is left, and what was found wrong with the shapes."""
    found = [
        f"{p.file}{'' if p.line is None else f', line {p.line}'}: {p.what} ({p.remedy})" for p in problems[:_LISTED]
    ]
    if len(problems) > _LISTED:
        found.append(f"and {len(problems) - _LISTED} more")
    return InputError(
        "; ".join((f"nothing would be checked: no shape of {', '.join(files)} that can be used has a target", *found)),
        remedy=("Correct what is named, or give" if problems else "Give") + " a shape a target, such as sh:targetClass",
        code="rule-set",
    )  # fmt: skip


def _refuse_unread(problems: Sequence[Problem]) -> None:
    for problem in problems:
        if problem.rule == "syntax":
            raise InputError(
                f"{problem.file}: {problem.what}", remedy=problem.remedy, line=problem.line, column=problem.column,
                code="unreadable",
            )  # fmt: skip


def _order(finding: Finding) -> tuple[object, ...]:
    return (
        list(Severity).index(finding.severity), finding.rule, finding.path or "", finding.component, finding.focus,
        finding.value or "", finding.messages,
    )  # fmt: skip


# -- in worker processes ----------------------------------------------------------------------------------------------

_Ran = tuple[list[Result], list[Failed], set[Term]]
"""Results, what failed, and the focus nodes."""


class _Made:
    """What can be used of shapes, and an engine made ready for it: pyshacl when the one that was asked for does not
    implement them."""

    def __init__(self, files: Mapping[str, bytes], vocabulary: Sequence[Triple], name: str) -> None:
        self.shapes, found = usable(files)
        self.problems = tuple(found)
        _refuse_unread(self.problems)
        background = [triple for triple in self.shapes if triple.predicate.value == _SUBCLASS] + list(vocabulary)
        self.background = {term for triple in background for term in (triple.subject, triple.object)}
        self.engine, lacking = engine_that_runs(name, self.shapes, background)
        self.unsupported: str | None = None
        if lacking is not None:
            what = f"{lacking.construct} in {name_of(lacking.shape)}"
            self.unsupported = f"{what} is not compiled: all shapes run on pyshacl, which is slower"


_in_worker: list[_Made | InputError] = []
"""What this worker process runs, or why it cannot, once warmed up."""


def _warm_up(files: Mapping[str, bytes], vocabulary: Sequence[Triple], name: str) -> None:
    try:
        _in_worker[:] = [_Made(files, vocabulary, name)]
    except InputError as error:  # to be raised where it is asked for: a child that does not start says nothing
        _in_worker[:] = [error]


def _ready() -> _Made:
    made = _in_worker[0]
    if isinstance(made, InputError):
        raise made
    return made


def _made() -> tuple[list[Triple], tuple[Problem, ...], str | None, list[Node]]:
    made = _ready()
    return made.shapes, made.problems, made.unsupported, list(made.engine.roots)


def _run(data: Sequence[Triple], roots: Sequence[Node] | None) -> _Ran:
    made = _ready()
    foreign: set[Term] = set()
    if made.background:
        foreign = made.background.difference(term for triple in data for term in (triple.subject, triple.object))
    focus_nodes: set[Term] = set()

    def own(node: Term) -> bool:
        if node in foreign:
            return False
        focus_nodes.add(node)
        return True

    outcome = made.engine.run(data, own=own, roots=roots)
    return list(outcome.results), list(outcome.failed), focus_nodes


# -- words ------------------------------------------------------------------------------------------------------------


_UNNAMED = "urn:fairmesh:shape-without-iri"
"""Stands for a shape that has no IRI, and none above it."""


class _Names:
    """What shapes are called, and what is said of their results."""

    def __init__(self, index: Index) -> None:
        self._index = index
        iris = sorted({iri for node in index.subjects if (iri := rdf.iri_of(node))})
        called: dict[str, list[str]] = defaultdict(list)
        for iri in iris:
            called[_tail(iri)].append(iri)
        self._short = {iris[0]: tail for tail, iris in called.items() if len(iris) == 1}
        self._above: dict[Term, Term] = {}
        for node in index.subjects:
            for _, inner in references(index, node):
                self._above.setdefault(inner, node)
        self._said: dict[tuple[Node, str], tuple[tuple[str, str], ...]] = {}

    def of(self, shape: Term) -> str:
        """The name of the shape, or of the nearest above that has one: what follows the last `#` or `/` of its IRI,
        the whole IRI where that is not its alone."""
        iri = self.iri(shape)
        return self._short.get(iri, iri)

    def iri(self, shape: Term) -> str:
        node: Term | None = shape
        seen = set()
        while node is not None and node not in seen:
            seen.add(node)
            if (iri := rdf.iri_of(node)) is not None:
                return iri
            node = self._above.get(node)
        return _UNNAMED

    def finding(self, result: Result) -> Finding:
        return Finding(
            self.of(result.shape), self.iri(result.shape), _SEVERITIES.get(result.severity, Severity.VIOLATION),
            tuple(sorted((m.language or "", m.value) for m in result.messages)) or self._made_up(result),
            _text(result.focus), result.path, None if result.value is None else str(result.value), result.component,
        )  # fmt: skip

    def _made_up(self, result: Result) -> tuple[tuple[str, str], ...]:
        """A message for a shape without one: what was asked for, after its sh:name and before its sh:description."""
        key = (result.shape, result.component)
        if key not in self._said:
            self._said[key] = (("", self._sentence(*key)),)
        return self._said[key]

    def _sentence(self, shape: Node, component: str) -> str:
        name, about = self._english(shape, "name"), self._english(shape, "description")
        said = f"{self._asked(shape, component)} is not met"
        about = about if len(about) <= _LONG else about[: _LONG - 1].rstrip() + "…"
        return (f"{name}: " if name else "") + said + (f". {about}" if about else "")

    def _english(self, shape: Node, name: str) -> str:
        """One value of sh:name or sh:description: in English, without a language, or any."""
        texts = [term for term in self._index.objects(shape, _SH + name) if isinstance(term, Literal)]
        texts.sort(key=lambda t: (t.language not in ("en", None), t.language or "", t.value))
        return " ".join(texts[0].value.split()) if texts else ""

    def _asked(self, shape: Node, component: str) -> str:
        """`sh:minCount 1`, for a component and a shape that has it; the component's name where it is no such word."""
        if not component.startswith(_SH):
            return rdf.compact(component) or f"<{component}>"
        local = component.removeprefix(_SH).removesuffix("ConstraintComponent")
        word = local[:1].lower() + local[1:]
        values = self._index.objects(shape, _SH + word)
        shown = ", ".join(filter(None, map(self._value, values)))
        return f"sh:{word} {shown}".rstrip()

    def _value(self, term: Term) -> str:
        items = list(self._index.items(term)) if isinstance(term, BlankNode) else []
        if items:
            more = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
            return "(" + " ".join(map(self._value, items[:_LISTED])) + more + ")"
        if isinstance(term, NamedNode):
            return self._short[term.value] if self._is_shape(term) else rdf.compact(term.value) or str(term)
        return term.value if isinstance(term, Literal) else ""

    def _is_shape(self, term: NamedNode) -> bool:
        return term in self._above and term.value in self._short


def _tail(iri: str) -> str:
    _, mark, after = iri.rpartition("#")
    return after if mark and after else iri.rstrip("/").rpartition("/")[2] or iri


def _text(term: Term) -> str:
    return term.value if isinstance(term, NamedNode) else str(term)
