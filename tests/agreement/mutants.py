"""Mutants of data and shapes, made by chance from a seed: the same seed makes the same mutants everywhere.

Data mutants stay RDF; shapes mutants stay mostly well-formed, and some do not: what engines say of those is judged by
`known`, with the clause that leaves it to them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.triples import Index

RDF, RDFS, SH, XSD = (PREFIXES[name] for name in ("rdf", "rdfs", "sh", "xsd"))
TYPE, FIRST, REST, NIL = (NamedNode(RDF + name) for name in ("type", "first", "rest", "nil"))
SUBCLASS = NamedNode(RDFS + "subClassOf")

Term = NamedNode | BlankNode | Literal
Triples = list[Triple]

LEXICAL = {
    "integer": ("1", "01", "+1", "-0", "1.0", " 1 ", "1_000", "", "9999999999999999999999", "\u0661", "0x1"),
    "decimal": ("1.5", "1.", ".5", "+1.50", "1e0", "-0.0", "INF", "1,5", "0.1000000000000000055"),
    "double": ("1e0", "1", "INF", "+INF", "-INF", "NaN", "nan", "Infinity", "1E-400", "1.5e", "0.1"),
    "float": ("1e0", "16777217", "INF", "NaN", "1e39", "0.1", "1f"),
    "boolean": ("true", "false", "1", "0", "True", "yes", " true"),
    "date": ("2024-02-29", "2023-02-29", "2024-2-1", "2024-01-01Z", "2024-01-01+14:00", "2024-01-01+14:01",
             "-0001-01-01", "0000-01-01", "12024-01-01", "2024-01-01T00:00:00", "20240101"),
    "dateTime": ("2024-01-01T00:00:00", "2024-01-01T24:00:00", "2024-01-01T00:00:00Z", "2024-01-01T00:00:60",
                 "2024-01-01T00:00:00.123456789", "2024-01-01", "2024-01-01T00:00", "2023-12-31T23:00:00-01:00",
                 "2024-01-01 00:00:00"),
    "time": ("00:00:00", "24:00:00", "12:00", "12:00:00+02:00", "25:00:00"),
    "gYear": ("2024", "-2024", "24", "0000", "2024Z", "12024", "2024-01"),
    "gYearMonth": ("2024-01", "2024-13", "2024-1"),
    "gMonthDay": ("--02-29", "--02-30", "02-29"),
    "duration": ("P1Y", "P1M", "PT1S", "P", "P1Y2M3DT4H5M6S", "-P1D", "PT", "P1S", "P30D", "PT0.5S"),
    "dayTimeDuration": ("P1D", "PT24H", "P1Y"),
    "string": ("", "x", "a b", "\u00e9\U0001f600", "A", "line\nbreak", "1", " "),
    "normalizedString": ("a b", "a\tb"),
    "token": ("a b", " a", "a  b"),
    "language": ("en", "en-GB", "e n", "1"),
    "anyURI": ("http://example.org/", "", "a b", "%zz"),
    "byte": ("127", "128", "-128", "-129"),
    "unsignedByte": ("0", "255", "256", "-1", "-0"),
    "nonNegativeInteger": ("0", "-0", "-1", "+5"),
    "positiveInteger": ("1", "0"),
    "negativeInteger": ("-1", "0"),
    "int": ("2147483647", "2147483648"),
    "long": ("9223372036854775807", "9223372036854775808"),
    "hexBinary": ("0F", "0f", "0", "g0", ""),
    "base64Binary": ("AA==", "AA=", "A A==", "QQ"),
    "NCName": ("a", "a:b", "1a"),
    "QName": ("a:b", "a b"),
}  # fmt: skip
"""Forms at the edges of the lexical spaces of XSD 1.1 part 2, within and without."""

TAGS = ("en", "EN", "en-GB", "en-us", "de", "nb", "x-klingon", "fr-Latn-CA")
PATTERNS = (
    "^a",
    "x$",
    "",
    ".",
    "[0-9]+",
    "^[A-Z]",
    "\\d{2,4}",
    "(a|b)c?",
    "^\\S+@\\S+$",
    "\\p{Lu}",
    "e.e",
    "^$",
    "[^a]",
    "b",
)
FLAGS = ("i", "s", "m", "x", "q", "", "is")
PATHS = ("inversePath", "zeroOrMorePath", "oneOrMorePath", "zeroOrOnePath")
COUNTS = ("minCount", "maxCount", "minLength", "maxLength", "qualifiedMinCount", "qualifiedMaxCount")
RANGES = ("minInclusive", "maxInclusive", "minExclusive", "maxExclusive")
PAIRS = ("equals", "disjoint", "lessThan", "lessThanOrEquals")
SHAPE_LISTS = ("and", "or", "xone")
SWITCHES = ("closed", "uniqueLang", "deactivated", "qualifiedValueShapesDisjoint")
KINDS = ("IRI", "BlankNode", "Literal", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral")
SEVERITIES = ("Violation", "Warning", "Info")
TARGETS = ("targetNode", "targetClass", "targetSubjectsOf", "targetObjectsOf")


def sh(name: str) -> NamedNode:
    return NamedNode(SH + name)


def typed(text: str, datatype: str) -> Literal:
    return Literal(text, datatype=NamedNode(XSD + datatype))


def _unique(items: Iterable[Term]) -> list[Term]:
    return list(dict.fromkeys(items))


class _Maker:
    """Chance, and a place for terms that no graph has yet."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self._fresh = 0

    def fresh(self) -> BlankNode:
        self._fresh += 1
        return BlankNode(f"fresh{self._fresh}")

    def literal(self) -> Literal:
        kind = self.random.choice(tuple(LEXICAL))
        text = self.random.choice(LEXICAL[kind])
        chance = self.random.random()
        if chance < 0.15:
            return Literal(text, language=self.random.choice(TAGS))
        if chance < 0.3:
            return Literal(text)
        if chance < 0.4:
            return typed(text, self.random.choice(tuple(LEXICAL)))
        return typed(text, kind)

    def place(self, triples: Triples, wanted: Callable[[Triple], bool] = lambda triple: True) -> int | None:
        places = [number for number, triple in enumerate(triples) if wanted(triple)]
        return self.random.choice(places) if places else None


class DataMutator(_Maker):
    """Mutants of one data graph. `named` are the terms its shapes name: what they name is changed more often."""

    def __init__(self, seed: str, data: Sequence[Triple], shapes: Sequence[Triple]) -> None:
        super().__init__(seed)
        self.data = data
        objects = [triple.object for triple in shapes]
        named = {term for term in objects if isinstance(term, NamedNode) and not term.value.startswith(SH)}
        self.predicates = _unique([t.predicate for t in data] + [term for term in objects if term in named])
        self.watched = named
        self.resources = _unique(t for triple in data for t in (triple.subject, triple.object) if not _plain(t))
        self.classes = _unique(
            t.object
            for t in (*data, *shapes)
            if t.predicate == TYPE or t.predicate.value in (SH + "class", SH + "targetClass")
        )
        self.values = _unique(t.object for t in (*data, *shapes) if not isinstance(t.object, BlankNode))

    def mutant(self) -> Triples:
        """The graph with one to four changes."""
        triples = list(self.data)
        for _ in range(self.random.choice((1, 1, 2, 3, 4))):
            self.random.choice(self._changes)(self, triples)
        return list(dict.fromkeys(triples))

    def _some(self, triples: Triples) -> int | None:
        if self.random.random() < 0.7:
            at = self.place(triples, lambda t: t.predicate in self.watched or t.object in self.watched)
            if at is not None:
                return at
        return self.place(triples)

    def _value(self) -> Term:
        chance = self.random.random()
        if chance < 0.4:
            return self.literal()
        if chance < 0.7 and self.resources:
            return self.random.choice(self.resources)
        return self.random.choice(self.values) if self.values else self.literal()

    def _drop(self, triples: Triples) -> None:
        at = self._some(triples)
        if at is not None:
            del triples[at]

    def _replace(self, triples: Triples) -> None:
        at = self._some(triples)
        if at is not None:
            triples[at] = Triple(triples[at].subject, triples[at].predicate, self._value())

    def _add(self, triples: Triples) -> None:
        at = self._some(triples)
        if at is not None:
            triples.append(Triple(triples[at].subject, triples[at].predicate, self._value()))

    def _state(self, triples: Triples) -> None:
        """A statement with a predicate from elsewhere."""
        at = self.place(triples)
        if at is not None and self.predicates:
            triples.append(Triple(triples[at].subject, self.random.choice(self.predicates), self._value()))  # type: ignore[arg-type]

    def _swap(self, triples: Triples) -> None:
        one, other = self._some(triples), self._some(triples)
        if one is not None and other is not None:
            a, b = triples[one], triples[other]
            triples[one] = Triple(a.subject, a.predicate, b.object)
            triples[other] = Triple(b.subject, b.predicate, a.object)

    def _spell(self, triples: Triples) -> None:
        """Another lexical form, datatype or language tag for a literal."""
        at = self.place(triples, lambda t: isinstance(t.object, Literal))
        if at is None:
            return
        old = triples[at].object
        forms = LEXICAL.get(old.datatype.value.removeprefix(XSD), LEXICAL["string"])
        new = self.random.choice(
            (
                Literal(self.random.choice(forms), datatype=old.datatype)
                if old.language is None
                else Literal(old.value),
                Literal(old.value, language=self.random.choice(TAGS)),
                typed(old.value, self.random.choice(tuple(LEXICAL))),
                Literal(old.value.swapcase(), language=old.language) if old.language else typed(old.value, "string"),
            )
        )
        triples[at] = Triple(triples[at].subject, triples[at].predicate, new)

    def _tag_again(self, triples: Triples) -> None:
        """The same subject and predicate with the same language once more, in another case."""
        at = self.place(triples, lambda t: isinstance(t.object, Literal))
        if at is not None:
            tag = triples[at].object.language or self.random.choice(TAGS)
            word = Literal("again", language=self.random.choice((tag, tag.upper(), self.random.choice(TAGS))))
            triples.append(Triple(triples[at].subject, triples[at].predicate, word))

    def _rename(self, triples: Triples) -> None:
        """A resource becomes another one, or a blank node, wherever it stands."""
        if not self.resources:
            return
        old = self.random.choice(self.resources)
        new = self.fresh() if self.random.random() < 0.5 else self.random.choice(self.resources)
        triples[:] = [
            Triple(new if t.subject == old else t.subject, t.predicate, new if t.object == old else t.object)  # type: ignore[arg-type]
            for t in triples
        ]

    def _classify(self, triples: Triples) -> None:
        at = self.place(triples)
        if at is not None and self.classes:
            triples.append(Triple(triples[at].subject, TYPE, self.random.choice(self.classes)))

    def _derive(self, triples: Triples) -> None:
        """A subclass axiom, circles included."""
        classes = [c for c in self.classes if isinstance(c, NamedNode)]
        if classes:
            triples.append(Triple(self.random.choice(classes), SUBCLASS, self.random.choice(classes)))

    def _turn(self, triples: Triples) -> None:
        at = self.place(triples, lambda t: not isinstance(t.object, Literal))
        if at is not None:
            triples[at] = Triple(triples[at].object, triples[at].predicate, triples[at].subject)

    _changes = (
        _drop, _drop, _replace, _replace, _add, _add, _state, _swap, _spell, _spell, _tag_again, _rename, _classify,
        _derive, _turn,
    )  # fmt: skip


def _plain(term: Term) -> bool:
    return isinstance(term, Literal)


class ShapesMutator(_Maker):
    """Mutants of one shapes graph, with values for its constraints taken from `data` too."""

    def __init__(self, seed: str, shapes: Sequence[Triple], data: Sequence[Triple]) -> None:
        super().__init__(seed)
        self.shapes = shapes
        index = Index(shapes)
        self.node_shapes = _unique(
            s for s, _ in _kinds(index, "NodeShape", ("property", "node", "and", "or", "not", "xone"))
        )
        self.property_shapes = _unique(subject for subject, _ in index.pairs[SH + "path"])
        self.all = _unique([*self.node_shapes, *self.property_shapes]) or [self.fresh()]
        stated = {triple.predicate for triple in data}
        self.noticed = _unique(subject for subject, path in index.pairs[SH + "path"] if path in stated)
        mentioned = _unique(
            t.object for t in shapes if isinstance(t.object, NamedNode) and not t.object.value.startswith(SH)
        )
        self.predicates = _unique(t.predicate for t in data if not t.predicate.value.startswith((RDF, SH))) or [TYPE]
        self.classes = _unique(
            [t.object for t in data if t.predicate == TYPE and isinstance(t.object, NamedNode)] or mentioned
        )
        self.values = _unique(t.object for t in data if not isinstance(t.object, BlankNode)) or mentioned
        self.nodes = _unique(t.subject for t in data if isinstance(t.subject, NamedNode)) or mentioned

    def mutant(self) -> Triples:
        """The graph with one to three changes."""
        triples = list(self.shapes)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            self.random.choice(self._changes)(self, triples)
        return list(dict.fromkeys(triples))

    def _say(self, triples: Triples, subject: Term, name: str, value: Term, *, only: bool = False) -> None:
        if only:
            triples[:] = [t for t in triples if not (t.subject == subject and t.predicate == sh(name))]
        triples.append(Triple(subject, sh(name), value))  # type: ignore[arg-type]

    def _list(self, triples: Triples, members: Sequence[Term]) -> Term:
        head: Term = NIL
        for member in reversed(members):
            cell = self.fresh()
            triples += [Triple(cell, FIRST, member), Triple(cell, REST, head)]  # type: ignore[arg-type]
            head = cell
        return head

    def _shape(self) -> Term:
        """Any shape, more often one whose path the data has."""
        return self.random.choice(self.noticed if self.noticed and self.random.random() < 0.4 else self.all)

    def _some_values(self) -> list[Term]:
        return [self.random.choice(self.values) for _ in range(self.random.choice((0, 1, 2, 3)))]

    def _drop(self, triples: Triples) -> None:
        at = self.place(triples, lambda t: t.predicate.value.startswith(SH) and t.predicate not in _PATHS)
        if at is not None:
            del triples[at]

    def _drop_any(self, triples: Triples) -> None:
        at = self.place(triples)
        if at is not None:
            del triples[at]

    def _constrain(self, triples: Triples) -> None:
        """One more constraint on a shape, or another value for one it has."""
        shape = self._shape()
        name, value = self.random.choice(self._constraints)(self, triples)
        once = name in _ONCE
        self._say(triples, shape, name, value, only=once)

    def _count(self, triples: Triples) -> tuple[str, Term]:
        name = self.random.choice(("minCount", "maxCount"))
        return name, typed(self.random.choice(("0", "1", "2", "3")), "integer")

    def _length(self, triples: Triples) -> tuple[str, Term]:
        name = self.random.choice(("minLength", "maxLength"))
        return name, typed(self.random.choice(("0", "1", "3", "10")), "integer")

    def _range(self, triples: Triples) -> tuple[str, Term]:
        literals = [value for value in self.values if isinstance(value, Literal)]
        value = self.random.choice(literals) if literals and self.random.random() < 0.6 else self.literal()
        return self.random.choice(RANGES), value

    def _datatype(self, triples: Triples) -> tuple[str, Term]:
        known = [value.datatype for value in self.values if isinstance(value, Literal)]
        pool = [NamedNode(XSD + name) for name in LEXICAL] + known * 3 + [NamedNode(RDF + "langString")]
        return "datatype", self.random.choice(pool)

    def _kind(self, triples: Triples) -> tuple[str, Term]:
        return "nodeKind", sh(self.random.choice(KINDS))

    def _class(self, triples: Triples) -> tuple[str, Term]:
        return "class", self.random.choice(self.classes)

    def _pattern(self, triples: Triples) -> tuple[str, Term]:
        return "pattern", Literal(self.random.choice(PATTERNS))

    def _pair(self, triples: Triples) -> tuple[str, Term]:
        return self.random.choice(PAIRS), self.random.choice(self.predicates)

    def _member(self, triples: Triples) -> tuple[str, Term]:
        return "in", self._list(triples, self._some_values())

    def _has_value(self, triples: Triples) -> tuple[str, Term]:
        return "hasValue", self.random.choice(self.values)

    def _languages(self, triples: Triples) -> tuple[str, Term]:
        return "languageIn", self._list(triples, [Literal(tag) for tag in self.random.sample(TAGS, 2)])

    def _switch(self, triples: Triples) -> tuple[str, Term]:
        return self.random.choice(SWITCHES), typed(self.random.choice(("true", "true", "true", "false")), "boolean")

    def _negate(self, triples: Triples) -> tuple[str, Term]:
        return self.random.choice(("not", "node")), self._shape()

    def _combine(self, triples: Triples) -> tuple[str, Term]:
        members = [
            self._inline(triples) if self.random.random() < 0.7 else self._shape()
            for _ in range(self.random.choice((1, 2, 3)))
        ]
        return self.random.choice(SHAPE_LISTS), self._list(triples, members)

    def _inline(self, triples: Triples) -> BlankNode:
        """A small new node shape."""
        shape = self.fresh()
        for _ in range(self.random.choice((1, 1, 2))):
            name, value = self.random.choice(self._simple)(self, triples)
            if name not in ("minCount", "maxCount", "lessThan", "lessThanOrEquals", "uniqueLang"):
                self._say(triples, shape, name, value, only=name in _ONCE)
        return shape

    def _nested(self, triples: Triples) -> tuple[str, Term]:
        shape = self.fresh()
        self._say(triples, shape, "path", self._path(triples))
        for _ in range(self.random.choice((1, 2))):
            name, value = self.random.choice(self._simple)(self, triples)
            self._say(triples, shape, name, value, only=name in _ONCE)
        return "property", shape

    def _path(self, triples: Triples, depth: int = 0) -> Term:
        step: Term = self.random.choice(self.predicates)
        chance = self.random.random()
        if chance < 0.4 or depth > 2:
            return step
        node = self.fresh()
        if chance < 0.7:
            self._say(triples, node, self.random.choice(PATHS), self._path(triples, depth + 1))
            return node
        members = [self._path(triples, depth + 1) for _ in range(2)]
        if chance < 0.85:
            return self._list(triples, members)
        self._say(triples, node, "alternativePath", self._list(triples, members))
        return node

    def _reroute(self, triples: Triples) -> None:
        """Another path for a property shape."""
        if self.property_shapes:
            self._say(triples, self.random.choice(self.property_shapes), "path", self._path(triples), only=True)

    def _qualify(self, triples: Triples) -> None:
        if self.property_shapes:
            shape = self.random.choice(self.property_shapes)
            self._say(triples, shape, "qualifiedValueShape", self._inline(triples), only=True)
            name = self.random.choice(("qualifiedMinCount", "qualifiedMaxCount"))
            self._say(triples, shape, name, typed(self.random.choice(("0", "1", "2")), "integer"), only=True)
            if self.random.random() < 0.3:
                self._say(triples, shape, "qualifiedValueShapesDisjoint", typed("true", "boolean"), only=True)

    def _flag(self, triples: Triples) -> None:
        at = self.place(triples, lambda t: t.predicate == sh("pattern"))
        if at is not None:
            self._say(triples, triples[at].subject, "flags", Literal(self.random.choice(FLAGS)), only=True)

    def _close(self, triples: Triples) -> None:
        if self.node_shapes:
            shape = self.random.choice(self.node_shapes)
            self._say(triples, shape, "closed", typed("true", "boolean"), only=True)
            ignored = [self.random.choice(self.predicates) for _ in range(self.random.choice((0, 1, 2)))]
            self._say(triples, shape, "ignoredProperties", self._list(triples, ignored), only=True)

    def _grade(self, triples: Triples) -> None:
        grade = (
            sh(self.random.choice(SEVERITIES)) if self.random.random() < 0.8 else NamedNode("http://example.org/Grave")
        )
        self._say(triples, self._shape(), "severity", grade, only=True)

    def _sleep(self, triples: Triples) -> None:
        self._say(
            triples, self._shape(), "deactivated", typed(self.random.choice(("true", "false")), "boolean"), only=True
        )

    def _target(self, triples: Triples) -> None:
        name = self.random.choice(TARGETS)
        pool = {"targetNode": [*self.nodes, *self.values], "targetClass": self.classes}.get(name, self.predicates)
        self._say(triples, self._shape(), name, self.random.choice(pool))

    def _number(self, triples: Triples) -> None:
        """Another number for a constraint that counts or compares."""
        at = self.place(triples, lambda t: t.predicate.value.removeprefix(SH) in (*COUNTS, *RANGES))
        if at is not None:
            old = triples[at]
            new = typed(self.random.choice(("0", "1", "2", "5")), "integer")
            triples[at] = Triple(old.subject, old.predicate, new)

    def _exchange(self, triples: Triples) -> None:
        """One parameter for another of its kind, with the same value."""
        for group in self.random.sample(
            (RANGES, PAIRS, SHAPE_LISTS, ("minCount", "maxCount"), ("minLength", "maxLength")), 5
        ):
            at = self.place(triples, lambda t, group=group: t.predicate.value.removeprefix(SH) in group)  # type: ignore[misc]
            if at is not None:
                old = triples[at]
                self._say(triples, old.subject, self.random.choice(group), old.object)
                del triples[at]
                return

    def _lend(self, triples: Triples) -> None:
        """A constraint of one shape goes to another too."""
        at = self.place(triples, lambda t: t.predicate.value.removeprefix(SH) in _LENT)
        if at is not None:
            triples.append(Triple(self._shape(), triples[at].predicate, triples[at].object))  # type: ignore[arg-type]

    def _break_list(self, triples: Triples) -> None:
        at = self.place(triples, lambda t: t.predicate in (FIRST, REST))
        if at is not None:
            old = triples[at]
            if self.random.random() < 0.5:
                del triples[at]
            else:
                triples[at] = Triple(old.subject, old.predicate, self.random.choice((old.subject, NIL, self._shape())))  # type: ignore[arg-type]

    def _misuse(self, triples: Triples) -> None:
        """A value of the wrong kind for a parameter."""
        at = self.place(triples, lambda t: t.predicate.value.startswith(SH))
        if at is not None:
            old = triples[at]
            triples[at] = Triple(old.subject, old.predicate, self.random.choice((self.literal(), *self.nodes[:3])))

    _simple = (_count, _length, _range, _datatype, _kind, _class, _pattern, _pair, _member, _has_value, _languages)
    _constraints = (*_simple, *_simple, _switch, _negate, _combine, _combine, _nested, _nested)
    _changes = (
        *(_constrain,) * 8, _drop, _drop, _drop_any, _reroute, _reroute, _qualify, _flag, _close, _grade, _sleep,
        _target, _target, _number, _number, _exchange, _exchange, _lend, _break_list, _misuse,
    )  # fmt: skip


_PATHS = frozenset(sh(name) for name in (*PATHS, "alternativePath", "path"))
_ONCE = frozenset((*COUNTS, *RANGES, "datatype", "nodeKind", "in", "languageIn", "uniqueLang", "closed", "deactivated",
                   "qualifiedValueShapesDisjoint", "pattern"))  # fmt: skip
_LENT = frozenset((*RANGES, *SHAPE_LISTS, *PAIRS, "datatype", "nodeKind", "class", "hasValue", "in", "not", "node",
                   "property", "pattern", "minLength", "maxLength"))  # fmt: skip


def _kinds(index: Index, kind: str, leading: Sequence[str]) -> Iterable[tuple[Term, Term]]:
    yield from ((s, o) for s, o in index.pairs[RDF + "type"] if o == sh(kind))
    for name in (*leading, *TARGETS):
        yield from index.pairs[SH + name]
