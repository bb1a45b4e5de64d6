"""Where a Turtle file that was parsed says what it says: the line and column of each statement, exactly."""

from __future__ import annotations

import re
from contextlib import suppress

from fairmesh.catalog.marks import COMMENT, FIRST, IN_FULL, QUOTED, REST
from fairmesh.catalog.rdf import Triple

_TOKEN = re.compile(
    rf"{COMMENT}|(?P<text>{QUOTED})|(?P<suffix>@[A-Za-z][A-Za-z0-9-]*+|\^\^)|(?P<iri>{IN_FULL})|(?P<mark>[\[\](),;])"
    r"|(?P<name>(?!\.[^0-9])(?:\\.|[^\s\[\](){},;.\"'<>^@#\\]|\.(?=[^\s\[\](){},;\"'<>^@#]))++)|(?P<dot>\.)",
    re.DOTALL,
)
_LIST_WORDS = frozenset(("rdf:first", "rdf:rest", f"<{FIRST}>", f"<{REST}>"))


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
            ours = [t for t in statements if (t.predicate.value in (FIRST, REST)) is inside]
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


def _line_and_column(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
