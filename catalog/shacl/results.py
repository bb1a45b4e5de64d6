"""What every SHACL engine takes and answers (W3C SHACL, Recommendation of 2017-07-20)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple

Node = NamedNode | BlankNode
Term = NamedNode | BlankNode | Literal


class Result(NamedTuple):
    """One validation result (SHACL, section 3.6).

    `root` is the targeted shape whose validation made it, `shape` its source shape. `path` is an IRI or, for other
    paths, a SPARQL 1.1 property path with IRIs in angle brackets. `component` and `severity` are IRIs. `messages` are
    the shape's own; empty when it has none.
    """

    focus: Term
    path: str | None
    value: Term | None
    component: str
    shape: Node
    severity: str
    messages: tuple[Literal, ...]
    root: Node


@dataclass(frozen=True, slots=True)
class Failed:
    """A targeted shape that could not be evaluated to its end; none of its results are reported."""

    root: Node
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything one run found, in no particular order."""

    results: tuple[Result, ...]
    failed: tuple[Failed, ...] = ()


class Unsupported(Exception):
    """An engine does not implement a construct of these shapes: `construct` names it (`sh:js`), `shape` where it is."""

    def __init__(self, construct: str, shape: Node) -> None:
        super().__init__(f"{construct} on {shape}")
        self.construct = construct
        self.shape = shape


class Engine(Protocol):
    """A shapes graph made ready to run, any number of times, by one thread at a time.

    Implementations are made from `shapes`, from `background` (statements added to the data of every run, such as
    vocabularies) and from `ignored` (predicates that `sh:closed` never minds), and raise `Unsupported` for what they
    do not implement and `InputError` (code `rule-set`) for shapes that SHACL calls ill-formed.
    """

    name: str

    @property
    def roots(self) -> Collection[Node]:
        """The targeted shapes."""
        ...

    def run(
        self,
        data: Iterable[Triple],
        *,
        own: Callable[[Term], bool] | None = None,
        roots: Collection[Node] | None = None,
    ) -> Outcome:
        """Validate the focus nodes of targeted shapes, as far as `own` holds for them (None: all of them).

        `roots` names the targeted shapes to run; None runs all. Data that are a `triples.Index` need not be indexed
        again.
        """
        ...
