"""Compiled shapes: what they are made of, and how a node is held against them.

A check takes a focus node, what is said about it and its value nodes, and answers what violates it: nothing for most,
the offending values, or one None where a result has no value. Everything else about a result is known at compile time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fairmesh.catalog.rdf import Literal
from fairmesh.catalog.shacl.paths import SH, TYPE, Graph, Path, Properties
from fairmesh.catalog.shacl.results import Node, Result, Term
from fairmesh.catalog.shacl.sparql import Found
from fairmesh.catalog.triples import Values

Check = Callable[[Term, Properties, Values], Collection[Term | Found | None]]

About = Sequence[tuple[Term, Properties]]
"""Nodes, each with what is said about it."""

_TARGET_CLASS, _TARGET_NODE, _TARGET_SUBJECTS = (
    SH + name for name in ("targetClass", "targetNode", "targetSubjectsOf")
)
_MUCH = 6
"""Shapes with fewer constraints than this, those of inner shapes counted, are checked again sooner than remembered."""
_MOST_STEPS = 1_000_000
"""How often one root may enter shapes that lead back to themselves."""


class OutOfLimits(Exception):
    """A root shape cannot be evaluated to its end; `str(error)` is the reason."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A check and the IRI of its component.

    `always`: it can fail without any value node. `blind`: it looks at nothing but the value nodes themselves.
    """

    component: str
    check: Check
    always: bool = False
    blind: bool = False


@dataclass(slots=True)
class Cycle:
    """What is being evaluated of shapes that lead back to themselves: pairs of a shape and a node.

    SHACL leaves the meaning of such shapes open (section 3.4.3). Here a node conforms to a shape while that very
    question is being answered.
    """

    active: set[tuple[Node, Term]] = field(default_factory=set)
    steps: int = 0

    def clear(self) -> None:
        self.active.clear()
        self.steps = 0

    def enter(self, shape: Node, focus: Term) -> bool:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise OutOfLimits(f"shapes that lead back to themselves took more than {_MOST_STEPS:,} steps")
        if (shape, focus) in self.active:
            return False
        self.active.add((shape, focus))
        return True

    def leave(self, shape: Node, focus: Term) -> None:
        self.active.discard((shape, focus))


class Shape:
    """One compiled shape. Ready for use after `finish`, which comes after all shapes it refers to were made.

    `parts` are the property shapes of `sh:property`, `inner` all shapes it refers to.
    """

    __slots__ = (
        "_always", "_cycle", "_each", "_graph", "_key", "_memo", "_needed", "_optional", "_parts", "_step",
        "_with_parts", "conforms", "constraints", "deactivated", "inner", "messages", "node", "parts", "path",
        "report", "severity",
    )  # fmt: skip

    def __init__(self, node: Node, graph: Graph) -> None:
        self.node = node
        self.path: Path | None = None
        self.severity = SH + "Violation"
        self.messages: tuple[Literal, ...] = ()
        self.deactivated = False
        self.constraints: list[Constraint] = []
        self.parts: list[Shape] = []
        self.inner: list[Shape] = []
        self._graph = graph
        self._memo: dict[Term, bool] = {}
        self._cycle = Cycle()

    def finish(self, cycle: Cycle) -> None:
        """Settle how it is evaluated. `cycle` is shared by all shapes that lead back to themselves."""
        self._cycle = cycle
        active = [] if self.deactivated else self.constraints
        self._always = [(constraint.component, constraint.check) for constraint in active if constraint.always]
        self._each = [(constraint.component, constraint.check) for constraint in active if not constraint.always]
        parts = [] if self.deactivated else [part for part in self.parts if not part.deactivated]
        self._needed, self._optional = _leaf_checks(parts)
        self._parts = [part for part in parts if not part._is_leaf()]
        """Property shapes that are no leaves, those whose checks are in neither of the two above."""
        self._with_parts = bool(self._needed or self._optional or self._parts)
        self._key = None if self.path is None else self.path.predicate
        self._step = None if self.path is None else self.path.step
        circular = self in _reached(self)
        self.conforms: Callable[[Term, Properties], bool]
        """Whether a node, about which `Properties` are said, conforms; remembered until `forget` where it took long."""
        self.conforms = (
            self._guarded if circular else self._remembered if self._weight() >= _MUCH and self.inner else self._holds
        )
        self.report: Callable[[About, list[Violation]], None]
        """Adds the violations at focus nodes, each check made at all of them before the next."""
        self.report = self._report_guarded if circular else self._report if active or self.path else self._report_parts

    def _is_leaf(self) -> bool:
        return self.path is not None and self.path.predicate is not None and not self.parts

    @property
    def blind(self) -> bool:
        """Whether it looks at a node itself and not at what is said about it; known once it is compiled."""
        return self.path is None and not self.parts and all(constraint.blind for constraint in self.constraints)

    def _weight(self) -> int:
        return len(self.constraints) + sum(len(inner.constraints) for inner in _reached(self))

    def forget(self) -> None:
        self._memo.clear()

    def _holds(self, focus: Term, properties: Properties) -> bool:
        if self._key is not None:  # as in `_report`; a call for each would cost a tenth of a run
            values = properties.get(self._key, ())
        else:
            values = (focus,) if self._step is None else self._step(focus, properties)
        for _, check in self._always:
            if check(focus, properties, values):
                return False
        if not values:
            return True
        for _, check in self._each:
            if check(focus, properties, values):
                return False
        if self._with_parts:
            at = self._graph.at
            for value in values:
                about = properties if self._step is None else at(value)
                for key, checks in self._needed:
                    theirs = about.get(key, ())
                    for _, _, check in checks:
                        if check(value, about, theirs):
                            return False
                for key, theirs in about.items() if self._optional else ():
                    for _, _, check in self._optional.get(key, ()):
                        if check(value, about, theirs):
                            return False
                for part in self._parts:
                    if not part.conforms(value, about):
                        return False
        return True

    def _remembered(self, focus: Term, properties: Properties) -> bool:
        known = self._memo.get(focus)
        if known is None:
            known = self._memo[focus] = self._holds(focus, properties)
        return known

    def _guarded(self, focus: Term, properties: Properties) -> bool:
        known = self._memo.get(focus)
        if known is not None:
            return known
        outermost = not self._cycle.active
        if not self._cycle.enter(self.node, focus):
            return True
        try:
            holds = self._holds(focus, properties)
        finally:
            self._cycle.leave(self.node, focus)
        if outermost:  # answers found on the way may rest on what was taken for granted
            self._memo[focus] = holds
        return holds

    def _report(self, nodes: About, found: list[Violation]) -> None:
        key, step = self._key, self._step
        if self._always or self._each or (step is not None and self._with_parts):
            if key is not None:
                valued = [(focus, about, about.get(key, ())) for focus, about in nodes]
            elif step is not None:
                valued = [(focus, about, step(focus, about)) for focus, about in nodes]
            else:
                valued = [(focus, about, (focus,)) for focus, about in nodes]
            for component, check in self._always:
                for focus, about, values in valued:
                    if wrong := check(focus, about, values):
                        found += [Violation(self, focus, component, what) for what in wrong]
            for component, check in self._each:
                for focus, about, values in valued:
                    if values and (wrong := check(focus, about, values)):
                        found += [Violation(self, focus, component, what) for what in wrong]
        if self._with_parts:
            if step is not None:
                at = self._graph.at
                nodes = [(value, at(value)) for _, _, values in valued for value in values]
            self._report_parts(nodes, found)

    def _report_parts(self, nodes: About, found: list[Violation]) -> None:
        for key, checks in self._needed:
            for focus, about in nodes:
                values = about.get(key, ())
                for part, component, check in checks:
                    if wrong := check(focus, about, values):
                        found += [Violation(part, focus, component, what) for what in wrong]
        for key, checks in self._optional.items():
            for focus, about in nodes:
                if key in about:
                    values = about[key]
                    for part, component, check in checks:
                        if wrong := check(focus, about, values):
                            found += [Violation(part, focus, component, what) for what in wrong]
        for part in self._parts:
            part.report(nodes, found)

    def _report_guarded(self, nodes: About, found: list[Violation]) -> None:
        for focus, about in nodes:
            if self._cycle.enter(self.node, focus):
                try:
                    self._report([(focus, about)], found)
                finally:
                    self._cycle.leave(self.node, focus)


_PartCheck = tuple[Shape, str, Check]


def _leaf_checks(parts: Iterable[Shape]) -> tuple[list[tuple[str, list[_PartCheck]]], dict[str, list[_PartCheck]]]:
    """What property shapes check that need no more than the values of one predicate, by that predicate.

    First what can fail without values, then what cannot: a node has fewer predicates than most shapes name.
    """
    needed: dict[str, list[_PartCheck]] = {}
    optional: dict[str, list[_PartCheck]] = {}
    for part in parts:
        if part.path is not None and part.path.predicate is not None and part._is_leaf():
            for constraint in part.constraints:
                checks = (needed if constraint.always else optional).setdefault(part.path.predicate, [])
                checks.append((part, constraint.component, constraint.check))
    return list(needed.items()), optional


def _reached(shape: Shape) -> set[Shape]:
    """The shapes that evaluating a shape can lead to."""
    found: set[Shape] = set()
    waiting = list(shape.inner)
    while waiting:
        inner = waiting.pop()
        if inner not in found:
            found.add(inner)
            waiting += inner.inner
    return found


class Violation(NamedTuple):
    """What a check found at a focus node."""

    shape: Shape
    focus: Term
    component: str
    what: Term | Found | None

    def result(self, root: Node) -> Result:
        """The validation result, as one of a targeted shape (section 3.6.2)."""
        shape, value = self.shape, self.what
        path = None if shape.path is None else shape.path.text
        messages = shape.messages
        if isinstance(value, Found):
            path, messages, value = value.path or path, messages or value.messages, value.value
        return Result(self.focus, path, value, self.component, shape.node, shape.severity, messages, root)


@dataclass(frozen=True, slots=True)
class Target:
    """Where focus nodes come from: `predicate` is one of SHACL's for it, `sh:targetClass` for classes that are shapes.

    `key` is the IRI of `value`, for predicates as `Graph.want` returns it.
    """

    predicate: str
    value: Term
    key: str = ""

    @property
    def of_class(self) -> bool:
        return self.predicate == _TARGET_CLASS

    def nodes(self, graph: Graph) -> Values:
        """The focus nodes in the data; some may come twice (SHACL, section 2.1.3)."""
        if self.of_class:
            kinds = graph.kinds(self.key)
            if len(kinds) == 1:
                return graph.subjects(TYPE, self.value)
            return [node for kind in kinds for node in graph.subjects(TYPE, kind)]
        if self.predicate == _TARGET_NODE:
            return (self.value,)
        heads = graph.heads(self.key)
        if self.predicate == _TARGET_SUBJECTS:
            return heads
        return [value for node in heads for value in graph.at(node)[self.key]]


@dataclass(frozen=True, slots=True)
class Root:
    """A targeted shape and its targets."""

    shape: Shape
    targets: frozenset[Target]
