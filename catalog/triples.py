"""Statements indexed in one pass, for all that looks into them: rules, computed statements, FAIR checks, the lint."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from fairmesh.catalog import rdf
from fairmesh.catalog.rdf import NamedNode, Term, Triple

Values = Collection[Term]
"""Distinct terms."""

_NOTHING: Mapping[str, Values] = MappingProxyType({})
_FIRST, _REST = rdf.PREFIXES["rdf"] + "first", rdf.PREFIXES["rdf"] + "rest"
_LONG = 16
"""Values of one subject and predicate are a tuple, from two on a list, from this number on a dict: a hub's are many."""
_MANY, _SHARED = 20_000, 4_096
"""Of more than `_MANY` statements the first `_SHARED` different values are held once: types, licences, ..."""


class _Pairs:
    """Subjects and values by predicate."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __getitem__(self, predicate: str) -> list[tuple[Term, Term]]:
        subjects = self._index.subjects
        return [
            (subject, value)
            for subject in self._index.heads.get(predicate, ())
            for value in subjects[subject][predicate]
        ]


class Index:
    """A set of triples, by subject and predicate, and by predicate; predicates are interned IRI strings.

    `subjects` has the values of every subject by predicate.
    """

    def __init__(self, triples: Iterable[Triple] = (), only: Mapping[NamedNode, str] | None = None) -> None:
        """`only` has the predicates to keep, and their interned IRIs; None keeps all."""
        self.subjects: dict[Term, dict[str, Values]] = {}
        self._all = only is None
        self._names: dict[NamedNode, str] = {} if only is None else dict(only)
        """The names of predicates."""
        self._heads: dict[str, list[Term]] | None = None
        self.add(triples)

    @classmethod
    def of(cls, triples: Iterable[Triple]) -> Index:
        """The triples themselves where they are indexed already."""
        return triples if isinstance(triples, Index) else cls(triples)

    def add(self, triples: Iterable[Triple]) -> None:
        """Add statements; what is there already is kept once. It goes fastest where they keep to one subject."""
        subjects, names, keep_all = self.subjects, self._names, self._all
        shared: dict[Term, Values] | None = {} if isinstance(triples, list) and len(triples) > _MANY else None
        self._heads = None
        last: object = None
        for triple in triples:  # taken apart by name: unpacking takes twice as long
            name = names.get(triple.predicate)
            if name is None:
                if not keep_all:
                    continue
                predicate = triple.predicate
                name = names[predicate] = sys.intern(predicate.value)
            subject, value = triple.subject, triple.object
            if subject != last:
                facts, last = subjects.setdefault(subject, {}), subject
            values = facts.get(name)
            if values is None:
                facts[name] = (value,) if shared is None else _one(shared, value)
            elif value not in values:
                facts[name] = _more(values, value)

    def drop(self, unwanted: Callable[[str], bool]) -> None:
        """Take out all statements with predicates that are unwanted."""
        names = set(filter(unwanted, self._names.values()))
        for subject, facts in list(self.subjects.items()) if names else ():
            if not names.isdisjoint(facts):
                kept = {name: values for name, values in facts.items() if name not in names}
                if kept:
                    self.subjects[subject] = kept
                else:
                    del self.subjects[subject]
        self._heads = None

    @property
    def heads(self) -> Mapping[str, Sequence[Term]]:
        """The subjects of every predicate, each once."""
        if self._heads is None:
            heads = defaultdict(list)
            for subject, facts in self.subjects.items():
                for name in facts:
                    heads[name].append(subject)
            self._heads = dict(heads)
        return self._heads

    @property
    def pairs(self) -> _Pairs:
        """Subjects and values of every predicate."""
        return _Pairs(self)  # kept here it would make a cycle, and memory would come back late

    def __iter__(self) -> Iterator[Triple]:
        for subject, facts in self.subjects.items():
            for name, values in facts.items():
                predicate = NamedNode(name)
                for value in values:
                    yield Triple(subject, predicate, value)  # type: ignore[arg-type]

    def objects(self, subject: Term, predicate: str) -> list[Term]:
        return list(self.subjects.get(subject, _NOTHING).get(predicate, ()))

    def items(self, head: Term) -> Iterator[Term]:
        """The members of an RDF list; ends where the list is broken or turns back on itself."""
        seen = set()
        while head not in seen:
            seen.add(head)
            yield from self.objects(head, _FIRST)
            rest = self.objects(head, _REST)
            if not rest:
                return
            head = rest[0]


def _one(shared: dict[Term, Values], value: Term) -> Values:
    found = shared.get(value)
    if found is None:
        found = (value,)
        if len(shared) < _SHARED:
            shared[value] = found
    return found


def _more(values: Values, value: Term) -> Values:
    if isinstance(values, list):
        values.append(value)
        return values if len(values) < _LONG else dict.fromkeys(values)
    if isinstance(values, dict):
        values[value] = None
        return values
    return [*values, value]
