"""Where a submitted document says what it says: the line and column of a statement."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

from fairmesh.catalog.marks import (
    ADDED,
    COMMENT,
    FIRST,
    IN_FULL,
    QUOTED,
    REST,
    JsonMarks,
    Marks,
    TurtleMarks,
    XmlMarks,
    is_blank,
    tail,
)
from fairmesh.catalog.rdf import GENID, JSON_LD, PREFIXES, RDF_XML, NamedNode, Triple

_SCANS: dict[str, type[Marks]] = {JSON_LD: JsonMarks, RDF_XML: XmlMarks}
_ROUNDS = 3
"""How many levels below a blank node help to tell it from others."""
_BOOLEAN = NamedNode(PREFIXES["xsd"] + "boolean")


def _line_and_column(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


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
        """The place of the statement, else of the subject, else (of a blank node) of what leads to it; else None."""
        marks = self._marks
        ways = self._blanks.ways(subject, predicate) if GENID in subject else [(subject, predicate)]
        at = next((at for node, word in ways if (at := marks.find(node, word)) >= 0), -1)
        if at < 0:
            return None
        return _line_and_column(marks.text, len(self._data[:at].decode("utf-8", "replace")) if marks.in_bytes else at)


class _Blanks:
    """Which node of the scan each blank node is: told by what leads to it and, among several, by what it says."""

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
        cells: dict[str, dict[str, str]] = defaultdict(dict)
        links: list[tuple[str, str, str]] = []
        for triple in stated:
            subject, word, value = triple.subject.value, triple.predicate.value, triple.object
            if word in (FIRST, REST):
                cells[subject][word] = getattr(value, "value", "")
            elif isinstance(value, NamedNode) and is_blank(value.value):
                links.append((subject, word, value.value))
            elif word not in ADDED and getattr(value, "datatype", None) != _BOOLEAN:
                self._says[subject].add((tail(word), tail(getattr(value, "value", ""))))
        for subject, word, target in links:
            members = list(_members(target, cells))
            for node in dict.fromkeys([target, *members]):
                self._users.setdefault(node, (subject, word))
            self._inner[subject] += [(self._marks.predicate(word), node) for node in members]

    def _follow(self) -> None:
        """From the named nodes down."""
        queue = [subject for subject in self._inner if not is_blank(subject)]
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


def _members(value: str, cells: dict[str, dict[str, str]]) -> Iterable[str]:
    """The blank nodes in a list, or the one that is no list."""
    if value not in cells:
        yield value
    met = set()
    while value in cells and value not in met:
        met.add(value)
        if is_blank(cells[value].get(FIRST, "")):
            yield cells[value][FIRST]
        value = cells[value].get(REST, "")


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


# -- statements that were parsed --------------------------------------------------------------------------------------

_TOKEN = re.compile(
    rf"{COMMENT}|(?P<text>{QUOTED})|(?P<suffix>@[A-Za-z][A-Za-z0-9-]*+|\^\^)|(?P<iri>{IN_FULL})|(?P<mark>[\[\](),;])"
    r"|(?P<name>(?!\.[^0-9])(?:\\.|[^\s\[\](){},;.\"'<>^@#\\]|\.(?=[^\s\[\](){},;\"'<>^@#]))++)|(?P<dot>\.)",
    re.DOTALL,
)
_LIST_TERMS = frozenset(PREFIXES["rdf"] + name for name in ("first", "rest"))
_LIST_WORDS = frozenset(("rdf:first", "rdf:rest", *(f"<{iri}>" for iri in _LIST_TERMS)))


class StatementPlaces:
    """Line and column, both from 1, of every statement in a Turtle file, in the order that a parser reads them.

    `statements` are what the parser made of `data`. Where the two do not fit together, or brackets stand very deep in
    each other, nothing is placed.
    """

    def __init__(self, data: bytes, statements: tuple[Triple, ...]) -> None:
        self._text = data.decode("utf-8", "replace").removeprefix("\ufeff")
        self._at: dict[Triple, int] = {}
        self._subjects: dict[object, int] = {}
        read: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        with suppress(RecursionError):
            for inside, subject, value in _Scan(self._text).found:
                read[inside].append((subject, value))
        for inside in (True, False):
            ours = [t for t in statements if (t.predicate.value in _LIST_TERMS) is inside]
            if len(ours) == len(read[inside]):
                for triple, (subject, value) in zip(ours, read[inside], strict=True):
                    self._at.setdefault(triple, value)
                    self._subjects.setdefault(triple.subject, subject)

    def find(self, subject: object, statement: Triple | None = None) -> tuple[int, int] | None:
        """The place of a statement's object, else where its subject begins, else None."""
        at = self._at.get(statement) if statement is not None else None
        at = self._subjects.get(subject) if at is None else at
        return None if at is None else _line_and_column(self._text, at)


_NEWER = re.compile(
    rf"{QUOTED}|{IN_FULL}|{COMMENT}|(?P<newer><<|\{{\||@[A-Za-z]+(?:-[A-Za-z0-9]+)*--(?:ltr|rtl))", re.DOTALL
)


def place_of_newer(data: bytes) -> tuple[int, int] | None:
    """Line and column where Turtle text first writes what RDF 1.1 has not: a triple term, a base direction."""
    text = data.decode("utf-8", "replace")
    at = next((match.start() for match in _NEWER.finditer(text) if match["newer"]), None)
    return None if at is None else _line_and_column(text, at)


def place_of_statement(data: bytes, number: int) -> tuple[int, int] | None:
    """Line and column of the object of one statement of Turtle text that parses, counted from 0."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    with suppress(RecursionError):
        found = _Scan(text).found
        return _line_and_column(text, found[number][2]) if number < len(found) else None
    return None


class _Scan:
    """Walks Turtle text that has been parsed before. `found` lists (is it rdf:first or rdf:rest, where the subject
    begins, where the object begins) in the order in which the parser gives statements out: that of a text without a
    suffix before a closing bracket comes after what the bracket gives."""

    def __init__(self, text: str) -> None:
        self.found: list[tuple[bool, int, int]] = []
        self._tokens = [(m.group(), m.start()) for m in _TOKEN.finditer(text) if m.lastgroup is not None]
        self._next = 0
        self._late: tuple[bool, int, int] | None = None
        while self._next < len(self._tokens):
            self._statement()

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> int:
        """The place of the next token, which is passed."""
        self._next += 1
        return self._tokens[min(self._next, len(self._tokens)) - 1][1]

    def _statement(self) -> None:
        word = self._peek().lower().removeprefix("@")
        if word in ("prefix", "base"):
            while self._peek() and not self._peek().startswith("<"):
                self._take()
            self._take()
        elif word != ".":
            subject = self._subject()
            if self._peek() != ".":
                self._properties(subject)
        if self._peek() == ".":
            self._take()

    def _emit(self, inside: bool, subject: int, value: int) -> None:
        self.found.append((inside, subject, value))
        self._flush()

    def _flush(self) -> None:
        if self._late is not None:
            self.found.append(self._late)
            self._late = None

    def _subject(self) -> int:
        opening, at = self._peek(), self._take()
        if opening == "[":
            self._properties(at)
            self._take()
            self._flush()
        elif opening == "(":
            self._members(at)
        return at

    def _properties(self, subject: int) -> None:
        """A list of predicates and objects, up to what ends it."""
        while self._peek() not in ("]", ".", ")", ""):
            if self._peek() == ";":
                self._take()
                continue
            inside = self._peek() in _LIST_WORDS
            self._take()
            self._object(subject, inside=inside)
            while self._peek() == ",":
                self._take()
                self._object(subject, inside=inside)

    def _object(self, subject: int, *, inside: bool) -> None:
        opening, at = self._peek(), self._take()
        if opening == "(":
            simple = self._peek()[:1] not in ("[", "(", ")", "'", '"')
            if not simple:
                self._emit(inside, subject, at)
            self._members(at, (inside, subject, at) if simple else None)
            return
        if opening == "[":
            self._properties(at)
            self._take()
        elif self._peek() == "^^":
            self._take()
            self._take()
        elif self._peek().startswith("@"):
            self._take()
        elif opening[:1] in ("'", '"') and self._peek() in ("]", ")"):
            self._late = (inside, subject, at)
            return
        self._emit(inside, subject, at)

    def _members(self, cell: int, leading: tuple[bool, int, int] | None = None) -> None:
        """The rest of a list that begins at `cell`; each of its cells begins at its member. `leading` is what leads to
        the list and is given out after its first member."""
        if self._peek() == ")":
            self._take()
            return
        while self._peek() not in (")", ""):
            self._object(cell, inside=True)
            if leading is not None:
                self._emit(*leading)
                leading = None
            following = self._tokens[min(self._next, len(self._tokens) - 1)][1]
            self._emit(True, cell, following)
            cell = following
        self._take()
