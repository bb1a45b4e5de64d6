"""Statements by subject and predicate, and SHACL property paths over them (SHACL, section 2.3.1)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.shacl.results import Node, Term
from fairmesh.catalog.triples import Index, Values

SH, RDF = PREFIXES["sh"], PREFIXES["rdf"]
TYPE, SUBCLASS = (sys.intern(iri) for iri in (RDF + "type", PREFIXES["rdfs"] + "subClassOf"))
_FIRST, _REST, _NIL = NamedNode(RDF + "first"), NamedNode(RDF + "rest"), NamedNode(RDF + "nil")

Properties = Mapping[str, Values]
"""What is said about one node: values by predicate IRI."""

_NOTHING: Properties = MappingProxyType({})
_NO_VALUES: Values = ()


# -- the data ---------------------------------------------------------------------------------------------------------

_Nodes = Mapping[Term, Properties]


class _Layer:
    """Statements laid over those of `below`: a subject of both is held once more, with all its values."""

    __slots__ = ("_heads", "_own", "nodes", "turned")

    def __init__(self, index: Index, below: _Nodes) -> None:
        self._own: _Nodes = index.subjects
        self._heads: dict[str, list[Term]] = {}  # by predicate, as they are asked for: a run asks for a few of many
        self.nodes: _Nodes = index.subjects
        if both := index.subjects.keys() & below.keys():
            self.nodes = {**index.subjects, **{node: _joint(below[node], index.subjects[node]) for node in both}}
        self.turned: dict[str, dict[Term, dict[Term, None]]] = {}
        """Subjects by predicate and value, for the predicates that `turn` was asked for."""

    def __bool__(self) -> bool:
        return bool(self._own)

    def heads(self, predicate: str) -> list[Term]:
        """The subjects of a predicate, each once, but for those of `below` alone."""
        found = self._heads.get(predicate)
        if found is None:
            found = self._heads[predicate] = [node for node, facts in self._own.items() if predicate in facts]
        return found

    def turn(self, predicate: str) -> dict[Term, dict[Term, None]]:
        turned = self.turned[predicate] = {}
        for subject in self.heads(predicate):
            for value in self.nodes[subject][predicate]:
                turned.setdefault(value, {})[subject] = None
        return turned


class Graph:
    """The statements of a run, laid over those of the background; neither is copied nor changed.

    Of a run that is not indexed yet only statements with the predicates that `want` was told are kept, unless
    `everything` is set.
    """

    def __init__(self, background: Index) -> None:
        self.everything = False
        self._wanted = {NamedNode(TYPE): TYPE, NamedNode(SUBCLASS): SUBCLASS}
        self._base, self._none = _Layer(background, {}), _Layer(Index(), {})
        self._base_kinds: dict[str, frozenset[Term]] = {}
        self.clear()

    def want(self, predicate: str) -> str:
        """Keep statements with this predicate; returns it interned."""
        return self._wanted.setdefault(NamedNode(predicate), sys.intern(predicate))

    def lay(self, triples: Iterable[Triple]) -> None:
        """Take the statements of a run in, in place of those of the run before."""
        wanted = None if self.everything else self._wanted
        index = triples if isinstance(triples, Index) else Index(triples, wanted)
        self._top = _Layer(index, self._base.nodes)
        self._kinds = {} if self.axioms else self._base_kinds

    def clear(self) -> None:
        """Forget the statements of the run."""
        self._top, self._kinds = self._none, self._base_kinds

    def at(self, node: Term) -> Properties:
        """What is said about a node."""
        found = self._top.nodes.get(node)
        return self._base.nodes.get(node, _NOTHING) if found is None else found

    def heads(self, predicate: str) -> Sequence[Term]:
        """Every subject of a predicate; some come twice."""
        above, below = self._top.heads(predicate), self._base.heads(predicate)
        return [*above, *below] if above and below else above or below

    def says(self, predicate: str) -> bool:
        """Whether there is any statement with a predicate."""
        return bool(self._top.heads(predicate) or self._base.heads(predicate))

    def subjects(self, predicate: str, value: Term) -> Values:
        """The subjects that have a value."""
        turned = self._top.turned.get(predicate)
        found = (self._top.turn(predicate) if turned is None else turned).get(value, _NO_VALUES)
        turned = self._base.turned.get(predicate)
        if turned is None:
            turned = self._base.turn(predicate)
        below = turned.get(value) if turned else None
        return dict.fromkeys((*found, *below)) if found and below else found or below or _NO_VALUES

    @property
    def axioms(self) -> bool:
        """Whether the run has subclasses of its own."""
        return bool(self._top.heads(SUBCLASS))

    def types(self) -> Collection[Term]:
        """The classes that have direct instances in the run; those of the background before a run."""
        layer = self._top or self._base
        turned = layer.turned.get(TYPE)
        return layer.turn(TYPE) if turned is None else turned

    def kinds(self, iri: str) -> frozenset[Term]:
        """A class and all its direct and indirect subclasses."""
        found = self._kinds.get(iri)
        if found is None:
            found = self._kinds[iri] = frozenset(_reached((NamedNode(iri),), lambda c: self.subjects(SUBCLASS, c)))
        return found


def _joint(one: Properties, other: Properties) -> Properties:
    both = {predicate: dict.fromkeys((*one[predicate], *other[predicate])) for predicate in one.keys() & other.keys()}
    return {**one, **other, **both}


def _reached(start: Iterable[Term], step: Callable[[Term], Values]) -> dict[Term, None]:
    """The start and everything that can be reached from it."""
    found = dict.fromkeys(start)
    waiting = list(found)
    while waiting:
        for value in step(waiting.pop()):
            if value not in found:
                found[value] = None
                waiting.append(value)
    return found


# -- the shapes graph -------------------------------------------------------------------------------------------------


class Shapes:
    """A shapes graph: values and subjects of a predicate, lists, and errors that say where they are."""

    def __init__(self, triples: Iterable[Triple]) -> None:
        self.nodes: dict[Node, dict[NamedNode, dict[Term, None]]] = {}
        self._subjects: dict[tuple[NamedNode, Term], dict[Node, None]] = {}
        for triple in triples:
            subject, predicate, value = triple.subject, triple.predicate, triple.object
            self.nodes.setdefault(subject, {}).setdefault(predicate, {})[value] = None
            self._subjects.setdefault((predicate, value), {})[subject] = None

    def objects(self, subject: Term, predicate: NamedNode) -> list[Term]:
        if isinstance(subject, Literal):
            return []
        return list(self.nodes.get(subject, {}).get(predicate, ()))

    def subjects(self, predicate: NamedNode, object: Term) -> list[Node]:
        return list(self._subjects.get((predicate, object), ()))

    def members(self, shape: Node, head: Term, what: str) -> list[Term]:
        """The members of a well-formed SHACL list. Raises `InputError`: `what` says whose list it is."""
        found: list[Term] = []
        seen: set[Term] = set()
        while head != _NIL:
            first, rest = self.objects(head, _FIRST), self.objects(head, _REST)
            if head in seen or len(first) != 1 or len(rest) != 1:
                raise self.refusal(shape, f"{what} is not a list", f"Write {what} ( ... ) with its members in brackets")
            seen.add(head)
            found.append(first[0])
            head = rest[0]
        return found

    def refusal(self, shape: Term, problem: str, remedy: str) -> InputError:
        """The error for an ill-formed shape. `iri` is the shape's, or that of the nearest named node it belongs to."""
        name = self._name(shape)
        place = "a shape" if name is None else f"<{name}>" if isinstance(shape, NamedNode) else f"a part of <{name}>"
        return InputError(f"{place}: {problem}", remedy=remedy, iri=name, code="rule-set")

    def _name(self, node: Term) -> str | None:
        owners: dict[Term, list[Term]] = {}
        for (_, value), subjects in self._subjects.items():
            if isinstance(value, BlankNode):
                owners.setdefault(value, []).extend(subjects)
        above = _reached((node,), lambda n: owners.get(n, ()))
        return next((term.value for term in above if isinstance(term, NamedNode)), None)


# -- paths ------------------------------------------------------------------------------------------------------------

Step = Callable[[Term, Properties], Values]
"""From a node and what is said about it to the values of a path."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled property path. `text` is as in `Result.path`; `predicate` is the interned IRI of a predicate path."""

    text: str
    predicate: str | None
    step: Step


_MOST_DEPTH = 50
_SUFFIXES = {"zeroOrMorePath": "*", "oneOrMorePath": "+", "zeroOrOnePath": "?"}
_FORMS = tuple((name, NamedNode(SH + name)) for name in ("inversePath", "alternativePath", *_SUFFIXES))


def compile_path(shapes: Shapes, graph: Graph, shape: Node, node: Term) -> Path:
    """The path `node`, a value of `shape`'s `sh:path`. Raises `InputError` (code `rule-set`) for ill-formed ones."""
    text, step = _Paths(shapes, graph, shape).compile(node)
    return Path(node.value, sys.intern(node.value), step) if isinstance(node, NamedNode) else Path(text, None, step)


class _Paths:
    """Compiles the paths of one shape; `back` means from values to subjects, as below an inverse path."""

    def __init__(self, shapes: Shapes, graph: Graph, shape: Node) -> None:
        self.shapes, self.graph, self.shape = shapes, graph, shape

    def _refusal(self, problem: str) -> InputError:
        return self.shapes.refusal(self.shape, problem, "Write one path as section 2.3.1 of SHACL has it")

    def compile(self, node: Term, depth: int = 0, *, back: bool = False) -> tuple[str, Step]:
        """SPARQL text and closure; the text of a sequence or alternative within another path is in brackets."""
        if depth > _MOST_DEPTH:
            raise self._refusal("sh:path turns back on itself or is nested too deep")
        if isinstance(node, NamedNode) and node != _NIL:
            return f"<{node.value}>", self._predicate(node.value, back)
        if not isinstance(node, BlankNode):
            raise self._refusal("sh:path has an empty list" if node == _NIL else f"{node} is not a path")
        if self.shapes.objects(node, _FIRST):  # first: the W3C suite has lists with other forms beside them
            parts = self._parts(node, depth, back)
            steps = [step for _, step in (parts[::-1] if back else parts)]
            return _joined(" / ", parts, depth), self._sequence(steps, self._last(node, back))
        forms = [(name, value) for name, form in _FORMS for value in self.shapes.objects(node, form)]
        if len(forms) != 1:
            raise self._refusal("sh:path has several forms at once" if forms else "sh:path leads to an empty node")
        name, value = forms[0]
        if name == "alternativePath":
            parts = self._parts(value, depth, back)
            return _joined(" | ", parts, depth), _alternative([step for _, step in parts])
        text, inner = self.compile(value, depth + 1, back=back != (name == "inversePath"))
        if name == "inversePath":
            return "^" + (f"({text})" if text[0] == "^" else text), inner
        return (f"({text})" if text[-1] in "*+?" else text) + _SUFFIXES[name], self._repeated(name, inner)

    def _parts(self, head: Term, depth: int, back: bool) -> list[tuple[str, Step]]:
        members = self.shapes.members(self.shape, head, "sh:path")
        if len(members) < 2:
            raise self._refusal("a sequence or alternative in sh:path has fewer than two members")
        return [self.compile(member, depth + 1, back=back) for member in members]

    def _predicate(self, iri: str, back: bool) -> Step:
        key, graph = self.graph.want(iri), self.graph
        if back:
            return lambda node, properties: graph.subjects(key, node)
        return lambda node, properties: properties.get(key, _NO_VALUES)

    def _last(self, head: Term, back: bool) -> str | None:
        """The IRI that a sequence of single values cannot do without at its end, if that is a predicate."""
        last = self.shapes.members(self.shape, head, "sh:path")[-1]
        return last.value if isinstance(last, NamedNode) and not back else None

    def _sequence(self, steps: list[Step], last: str | None) -> Step:
        graph, at = self.graph, self.graph.at

        def sequence(node: Term, properties: Properties) -> Values:
            if last is not None and not graph.says(last):
                return _NO_VALUES
            values = steps[0](node, properties)
            for step in steps[1:]:
                if not values:
                    return _NO_VALUES
                if len(values) == 1:
                    (value,) = values
                    values = step(value, at(value))
                else:
                    values = {found: None for value in values for found in step(value, at(value))}
            return values

        return sequence

    def _repeated(self, name: str, inner: Step) -> Step:
        at = self.graph.at

        def zero_or_one(node: Term, properties: Properties) -> Values:
            found = inner(node, properties)
            return dict.fromkeys((node, *found)) if found else (node,)

        def zero_or_more(node: Term, properties: Properties) -> Values:
            return _reached((node,), lambda n: inner(n, at(n)))

        def one_or_more(node: Term, properties: Properties) -> Values:
            return _reached(inner(node, properties), lambda n: inner(n, at(n)))

        return {"zeroOrOnePath": zero_or_one, "zeroOrMorePath": zero_or_more, "oneOrMorePath": one_or_more}[name]


def _joined(separator: str, parts: list[tuple[str, Step]], depth: int) -> str:
    text = separator.join(text for text, _ in parts)
    return f"({text})" if depth else text


def _alternative(steps: list[Step]) -> Step:
    def alternative(node: Term, properties: Properties) -> Values:
        found = [values for step in steps if (values := step(node, properties))]
        if len(found) < 2:
            return found[0] if found else _NO_VALUES
        return {value: None for values in found for value in values}

    return alternative
