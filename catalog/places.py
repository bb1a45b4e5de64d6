"""Where a submitted document says what it says: the line and column of a statement."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from fairmesh.catalog.marks import (
    ADDED,
    FIRST,
    REST,
    JsonMarks,
    Marks,
    TurtleMarks,
    XmlMarks,
    is_blank,
    tail,
)
from fairmesh.catalog.rdf import GENID, JSON_LD, PREFIXES, RDF_XML, NamedNode, Term, Triple

_SCANS: dict[str, type[Marks]] = {JSON_LD: JsonMarks, RDF_XML: XmlMarks}
_ROUNDS = 3
"""How many levels below a blank node help to tell it from others."""
_NIL = PREFIXES["rdf"] + "nil"
_BOOLEAN = NamedNode(PREFIXES["xsd"] + "boolean")


class Positions:
    """Where a submitted document mentions a statement: line and column, both from 1.

    In JSON-LD the place is the node's key that looks like the predicate, else its `@id`. `stated` gives the statements
    the document was read as, with IRIs for its blank nodes: without them it is not known where these stand. The
    document is scanned on first use: only those with findings pay for it.
    """

    def __init__(
        self, data: bytes, media_type: str, iri_base: str, stated: Callable[[], Iterable[Triple]] = tuple
    ) -> None:
        self._data, self._media_type, self._base, self._stated = data, media_type, iri_base, stated

    @cached_property
    def _marks(self) -> Marks:
        return _SCANS.get(self._media_type, TurtleMarks)(self._data, self._base)

    @cached_property
    def _blanks(self) -> _Blanks:
        return _Blanks(self._marks, self._stated())

    def find(self, subject: str, predicate: str | None = None) -> tuple[int, int] | None:
        """The place of the statement, else of the subject; of a blank node else of what leads to it, else of the
        product; else None."""
        marks = self._marks
        ways = [(subject, predicate)]
        if GENID in subject:
            ways = [*self._blanks.ways(subject, predicate), (subject.partition(GENID)[0], None)]
        at = next((at for node, word in ways if (at := marks.find(node, word)) >= 0), -1)
        if at < 0:
            return None
        line = bisect_right(self._lines, at)
        before = (marks.data if marks.in_bytes else marks.text)[self._lines[line - 1] : at]
        return line, len(before.decode("utf-8", "replace") if isinstance(before, bytes) else before) + 1

    @cached_property
    def _lines(self) -> list[int]:
        """Where the lines begin, in what the marks are places of."""
        marks = self._marks
        breaks = re.finditer(rb"\n", marks.data) if marks.in_bytes else re.finditer("\n", marks.text)
        return [0, *(match.end() for match in breaks)]


class _Blanks:
    """Which node of the scan each blank node is: told by what leads to it, if anything, and by what it says."""

    def __init__(self, marks: Marks, stated: Iterable[Triple]) -> None:
        self._marks = marks
        self._names: dict[str, str] = {}
        self._users: dict[str, tuple[str, str]] = {}
        self._inner: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._says: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._read(stated)
        self._here, self._there = _signs(self._inner, self._says), _signs(marks.inner, marks.says)
        self._follow()

    def ways(self, node: str, predicate: str | None) -> Iterable[tuple[str, str | None]]:
        """Nodes of the scan, and predicates, to look for: the node's own, then those of what leads to it."""
        met = set()
        while node not in met:
            met.add(node)
            if not is_blank(node) or node in self._names:
                yield self._names.get(node, node), predicate
            node, predicate = self._users.get(node, (node, predicate))

    def _read(self, stated: Iterable[Triple]) -> None:
        cells: dict[str, dict[str, Term]] = defaultdict(dict)
        links: list[tuple[str, str, Term]] = []
        subjects: dict[str, None] = {}
        for triple in stated:
            subject, word = triple.subject.value, triple.predicate.value
            if word in (FIRST, REST):
                cells[subject][word] = triple.object
            else:
                subjects[subject] = None
                links.append((subject, word, triple.object))
        for subject, word, target in links:
            for value, cell in _values(target, cells):
                name = getattr(value, "value", "")
                if cell or (isinstance(value, NamedNode) and is_blank(name)):
                    self._users.setdefault(name, (subject, word))
                    if not cell:
                        subjects[name] = None
                        self._inner[subject].append((self._marks.predicate(word), name))
                elif word not in ADDED and getattr(value, "datatype", None) != _BOOLEAN and name != _NIL:
                    self._says[subject].add((tail(word), tail(name)))
        self._roots = [node for node in subjects if is_blank(node) and node not in self._users]

    def _follow(self) -> None:
        """From the named nodes, and from those that nothing leads to, down."""
        self._names.update(self._pairs(self._roots, self._marks.loose()))
        queue = [subject for subject in self._inner if not is_blank(subject) or subject in self._names]
        for subject in queue:  # grows meanwhile
            name = self._names.get(subject, subject)
            ours, theirs = _by_predicate(self._inner.get(subject, ())), _by_predicate(self._marks.inner.get(name, ()))
            for predicate, nodes in ours.items():
                new = [node for node in nodes if node not in self._names]
                for node, found in self._pairs(new, theirs.get(predicate, [])):
                    self._names[node] = found
                    queue.append(node)

    def _pairs(self, nodes: Sequence[str], marked: Sequence[str]) -> Iterable[tuple[str, str]]:
        """Those that say the same, and those that are left where each side has one."""
        free: dict[int, list[str]] = defaultdict(list)
        for name in reversed(list(dict.fromkeys(marked))):
            free[self._there[name]].append(name)
        left = []
        for node in dict.fromkeys(nodes):
            if free[self._here[node]]:
                yield node, free[self._here[node]].pop()
            else:
                left.append(node)
        others = [name for names in free.values() for name in names]
        if len(left) == len(others) == 1:
            yield left[0], others[0]


def _values(target: Term, cells: Mapping[str, Mapping[str, Term]]) -> Iterable[tuple[Term, bool]]:
    """What a list, and the lists in it, hold, or the value that is no list; and the cells: which of them it tells."""
    met, left = set[str](), [target]
    while left:
        value = left.pop()
        name = getattr(value, "value", "") if isinstance(value, NamedNode) else ""
        if name not in cells:
            yield value, False
        elif name not in met:
            met.add(name)
            yield value, True
            left += [cells[name][word] for word in (REST, FIRST) if word in cells[name]]


def _by_predicate(links: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for predicate, node in links:
        found[predicate].append(node)
    return found


def _signs(inner: Mapping[str, list[tuple[str, str]]], says: Mapping[str, set[tuple[str, str]]]) -> dict[str, int]:
    """A number for each node: the same where it and what it leads to say the same."""
    nothing = hash(frozenset())
    own = defaultdict(lambda: nothing, {node: hash(frozenset(said)) for node, said in says.items()})
    signs = own
    for _ in range(_ROUNDS):
        below = {
            node: hash((own[node], frozenset((tail(word), signs[other]) for word, other in links)))
            for node, links in inner.items()
        }
        signs = defaultdict(lambda: nothing, {**own, **below})
    return signs
