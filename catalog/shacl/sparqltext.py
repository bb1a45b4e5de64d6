"""The text of a SPARQL query inside a shape: what it may say, and the same query with variables pre-bound.

What comes from a shapes graph is never handed to the query engine as written. It is cut into tokens, checked, and
written again from them: prefixed names in full, one space between tokens, no comments. So what was checked is what
runs, however an engine would have read the original (some take `SERVICEex:x` for SERVICE and `ex:x`).

Pre-binding (SHACL, appendix A) gives variables their values before a query runs, everywhere in it. Here each group
graph pattern that has to do with a pre-bound variable begins with a `BIND` of its value, which is the same, because
everything that could tell the difference is refused: `MINUS`, `VALUES`, `SERVICE`, `AS` a pre-bound variable, and
subqueries that do not return all of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal as OneOf
from typing import NamedTuple, NoReturn

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode
from fairmesh.catalog.shacl.results import Term
from fairmesh.catalog.shacl.verbatim import TWINS, VALUE, XSD, kept

Form = OneOf["SELECT", "ASK"]

MAX_LENGTH = 20_000
"""Characters of a query."""
MAX_TOKENS = 1_000
"""Tokens of a query, with `$PATH` written out."""
MAX_TERMS = 150
"""Terms and variables in its patterns and paths: engines take time in the cube of it to put them in order."""
MAX_DEPTH = 32
"""Brackets, braces and parentheses inside each other, and signs of negation in a row."""
MAX_GROUPS = 64
"""Groups (`{ ... }`) of a query."""

MAX_GROWTH, MAX_POWER = 100_000, 2
"""How much longer texts may become than those they are made of; see `Query`."""

OPTIONAL_IN_SUBQUERIES = frozenset(("shapesGraph", "currentShape"))
"""Pre-bound variables a subquery need not return (SHACL, appendix A)."""


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query, ready for values.

    `names` are the variables it mentions, `strings` the strings it holds. What it joins texts to is at most `growth`
    times as long as the longest text it reads, times that length again `power` times. `unsteady` are its calls of
    functions that answer anew each time (`UNSTEADY`): the name, and line and column in the original.
    """

    names: frozenset[str]
    strings: tuple[str, ...]
    growth: int
    power: int
    unsteady: tuple[tuple[str, int, int], ...]
    _pieces: tuple[str, ...]
    _exact: tuple[str, ...]
    _slots: tuple[frozenset[str], ...]
    _places: tuple[tuple[int, int, int], ...]

    def place(self, column: int) -> tuple[int, int]:
        """Line and column in the original of a column (from 1) of the text with nothing bound."""
        _, *place = self._places[max(0, bisect_right(self._places, column, key=lambda token: token[0]) - 1)]
        return place[0], place[1]

    def bound(self, values: Mapping[str, str], *, exact: bool = False) -> str:
        """The text to run, with `values` (SPARQL expressions by variable name) pre-bound.

        `exact` is for data in which something is `verbatim.kept`: the text calls `verbatim.FUNCTIONS`.
        """
        pieces = self._exact if exact else self._pieces
        parts = [pieces[0]]
        for names, piece in zip(self._slots, pieces[1:], strict=True):
            parts.extend(f" BIND ( {text} AS ?{name} )" for name, text in values.items() if name in names)
            parts.append(piece)
        return "".join(parts)


_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\]*")
_TAG = re.compile(r"[A-Za-z]+(?:-[A-Za-z0-9]+)*")
_NAME = re.compile(r"[A-Za-z_0-9][\w\u00b7]*")


def written(term: Term) -> str | None:
    """A term as SPARQL writes it; None for blank nodes, and for terms that no SPARQL text can say."""
    term = kept(term)
    if isinstance(term, BlankNode):
        return None
    if isinstance(term, NamedNode):
        return f"<{term.value}>" if _IRI.fullmatch(term.value) else None
    sayable = _TAG.fullmatch(term.language) if term.language else _IRI.fullmatch(term.datatype.value)
    return str(term) if sayable and not term.direction else None


def is_variable_name(text: str) -> bool:
    """Whether `?text` is a variable."""
    return _NAME.fullmatch(text) is not None


def read(
    text: str, form: Form, *, prefixes: Mapping[str, str], bound: Collection[str], path: str | None = None
) -> Query:
    """Check a query of the given form and make it ready.

    `prefixes` are declared outside the text, `bound` the potentially pre-bound variables, `path` the SPARQL property
    path `$PATH` stands for (a plain IRI without angle brackets, as in `Result.path`); None where there is none.

    Raises `InputError` (code `rule-set`) for what SHACL forbids with pre-binding (appendix A), for whatever reads
    beyond the data (SERVICE, FROM, GRAPH, updates), for what SPARQL 1.1 does not know, and for more than `MAX_LENGTH`,
    `MAX_TOKENS`, `MAX_TERMS`, `MAX_DEPTH`, `MAX_GROUPS`, `MAX_GROWTH` or `MAX_POWER`. Its line and column count in
    `text`. It does not say that the rest is SPARQL: that is for its parser.
    """
    source = _Source(text)
    if len(text) > MAX_LENGTH:
        source.refuse(0, f"a query of {len(text):,} characters; the limit is {MAX_LENGTH:,}", "Split it into several")
    tokens = list(_tokens(source))
    tokens = _resolved(source, tokens, prefixes)
    tokens = list(_literals(source, tokens))
    if path is not None:
        tokens = list(_with_path(source, tokens, path))
    if len(tokens) > MAX_TOKENS:
        source.refuse(0, f"a query of {len(tokens):,} tokens; the limit is {MAX_TOKENS:,}", "Split it into several")
    return _Reader(source, tokens, form, frozenset(bound)).query()


# -- places -----------------------------------------------------------------------------------------------------------

_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
_LEFT_OVER = re.compile(r"\\[uU]")


class _Source:
    """The text with its codepoint escapes decoded (SPARQL 1.1, section 19.2), and the way back to lines and columns."""

    def __init__(self, text: str) -> None:
        self.original = text
        self._decoded_at, self._original_at = [0], [0]
        self.text = text
        parts, end, length = [], 0, 0
        for match in _ESCAPE.finditer(text):
            code = int(match[1] or match[2], 16)
            if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
                self.refuse(length + match.start() - end, f"{match[0]} is no character", "Write the character itself")
            parts += [text[end : match.start()], chr(code)]
            length += match.start() - end + 1
            end = match.end()
            self._decoded_at.append(length)
            self._original_at.append(end)
        self.text = "".join([*parts, text[end:]])
        if left := _LEFT_OVER.search(self.text):
            self.refuse(left.start(), "an escape inside an escape", "Write the character itself")

    def refuse(self, offset: int, message: str, remedy: str) -> NoReturn:
        """Raise what says so; `offset` counts in the decoded text."""
        line, column = self.place(offset)
        raise InputError(message, code="rule-set", line=line, column=column, remedy=remedy)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column in the original of an offset in the decoded text."""
        known = bisect_right(self._decoded_at, offset) - 1
        return self._line_and_column(self._original_at[known] + offset - self._decoded_at[known])

    def _line_and_column(self, offset: int) -> tuple[int, int]:
        return self.original.count("\n", 0, offset) + 1, offset - self.original.rfind("\n", 0, offset)


# -- tokens -----------------------------------------------------------------------------------------------------------

_LEXER = re.compile(
    r"""
      (?P<space>[ \t\r\n]+|\#[^\r\n]*)
    | (?P<string>\"{3}(?:[^"\\]|\\.|"(?!""))*"{3}|'{3}(?:[^'\\]|\\.|'(?!''))*'{3}
        |"(?!"")(?:[^"\\\r\n]|\\.)*"|'(?!'')(?:[^'\\\r\n]|\\.)*')
    | (?P<iri><[^\x00-\x20<>"{}|^`\\]*>)
    | (?P<variable>[?$][A-Za-z_0-9\u00b7-\uffff][\w\u00b7]*)
    | (?P<blank>_:[\w](?:[\w\u00b7-]|\.+(?=[\w\u00b7-]))*)
    | (?P<name>(?:[^\W\d_](?:[\w\u00b7-]|\.+(?=[\w\u00b7-]))*)?:
        (?:[\w:\u00b7-]|%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%]|\.+(?=[\w:\u00b7%\\-]))*)
    | (?P<number>[+-]?(?:[0-9]+\.[0-9]*[eE][+-]?[0-9]+|\.?[0-9]+[eE][+-]?[0-9]+|[0-9]*\.[0-9]+|[0-9]+))
    | (?P<tag>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
    | (?P<word>[A-Za-z][A-Za-z0-9_]*)
    | (?P<mark><<|>>|\{\||\|\}|&&|\|\||!=|<=|>=|\^\^|[{}()\[\],;.=<>!+\-*/^|?])
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int
    term: Literal | None = None

    @property
    def word(self) -> str:
        """The keyword in capitals, or nothing."""
        return self.text.upper() if self.kind == "word" else ""


def _tokens(source: _Source) -> Iterator[_Token]:
    at, text = 0, source.text
    while at < len(text):
        match = _LEXER.match(text, at)
        if match is None:
            what = "a string that does not end" if text[at] in "\"'" else f"the character {text[at]!r}"
            source.refuse(at, f"{what} in a query", "Write SPARQL 1.1")
        kind = match.lastgroup or ""
        if kind != "space":
            yield _Token(kind, match[0], at)
        at = match.end()


_LOCAL_ESCAPE = re.compile(r"\\(.)")


def _resolved(source: _Source, tokens: list[_Token], prefixes: Mapping[str, str]) -> list[_Token]:
    """The query behind its prologue, with prefixed names as IRIs."""
    known, start = dict(prefixes), 0
    while start < len(tokens) and tokens[start].word == "PREFIX":
        declared = tokens[start : start + 3]
        if [token.kind for token in declared] != ["word", "name", "iri"] or declared[1].text[-1] != ":":
            source.refuse(tokens[start].at, "PREFIX is not followed by a prefix and an IRI", "PREFIX ex: <http://...>")
        known[declared[1].text[:-1]] = declared[2].text[1:-1]
        start += 3
    return [_in_full(source, token, known) for token in tokens[start:]]


def _is_iri(text: str) -> bool:
    try:
        NamedNode(text)
    except ValueError:
        return False
    return True


def _in_full(source: _Source, token: _Token, prefixes: Mapping[str, str]) -> _Token:
    if token.kind == "iri":
        iri = token.text[1:-1]
    elif token.kind == "name":
        prefix, _, local = token.text.partition(":")
        if prefix not in prefixes:
            source.refuse(token.at, f"the prefix {prefix}: is not declared", "Declare it: sh:prefixes, sh:declare")
        iri = prefixes[prefix] + _LOCAL_ESCAPE.sub(r"\1", local)
    else:
        return token
    if not _IRI.fullmatch(iri) or not _is_iri(iri):
        remedy = "Write the whole IRI; where < compares, put a space behind it"
        source.refuse(token.at, f"<{iri}> is no absolute IRI", remedy)
    return _Token("iri", f"<{iri}>", token.at)


_NUMBERS = (("e", "double"), (".", "decimal"), ("", "integer"))
_STRING_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


def _literals(source: _Source, tokens: list[_Token]) -> Iterator[_Token]:
    """The tokens with each typed literal in one, of the kind `typed`."""
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "number":
            datatype = next(name for mark, name in _NUMBERS if mark in token.text.lower())
            yield token._replace(kind="typed", term=Literal(token.text, datatype=NamedNode(XSD + datatype)))
        elif [after.text if after.kind == "mark" else after.kind for after in tokens[index : index + 3]] == [
            "string", "^^", "iri",
        ]:  # fmt: skip
            datatype = tokens[index + 2].text
            yield _Token("typed", token.text + "^^" + datatype, token.at, _literal(token.text, datatype[1:-1]))
            index += 2
        else:
            yield token
        index += 1


def _literal(quoted: str, datatype: str) -> Literal:
    inner = quoted[3:-3] if quoted[:3] in ('"""', "'''") else quoted[1:-1]
    text = _STRING_ESCAPE.sub(lambda match: _CONTROLS.get(match[1], match[1]), inner)
    return Literal(text, datatype=NamedNode(datatype))


def _with_path(source: _Source, tokens: list[_Token], path: str) -> Iterator[_Token]:
    plain = _IRI.fullmatch(path)
    steps = list(_tokens(_Source(f"<{path}>" if plain else f"( {path} )")))
    if any(step.kind not in ("iri", "mark") for step in steps):
        source.refuse(0, f"$PATH stands for {path!r}, which is no property path", "State the path with IRIs")
    for token in tokens:
        if token.kind == "variable" and token.text[1:] == "PATH":
            yield from (step._replace(at=token.at) for step in steps)
        else:
            yield token


# -- structure --------------------------------------------------------------------------------------------------------

_WORDS = frozenset(
    re.findall(
        r"\w+",
        "SELECT ASK DISTINCT REDUCED WHERE AS OPTIONAL UNION FILTER BIND EXISTS NOT IN GROUP BY HAVING ORDER ASC DESC "
        "LIMIT OFFSET SEPARATOR A TRUE FALSE STR LANG LANGMATCHES DATATYPE BOUND IRI URI BNODE RAND ABS CEIL FLOOR "
        "ROUND CONCAT STRLEN UCASE LCASE ENCODE_FOR_URI CONTAINS STRSTARTS STRENDS STRBEFORE STRAFTER YEAR MONTH DAY "
        "HOURS MINUTES SECONDS TIMEZONE TZ NOW UUID STRUUID MD5 SHA1 SHA256 SHA384 SHA512 COALESCE IF STRLANG STRDT "
        "SAMETERM ISIRI ISURI ISBLANK ISLITERAL ISNUMERIC REGEX SUBSTR REPLACE COUNT SUM MIN MAX AVG SAMPLE "
        "GROUP_CONCAT ",
    )
)

_OF_TERMS = frozenset(("SAMETERM", "BOUND", "COUNT", "SAMPLE"))
"""Functions of terms, whatever their value."""

UNSTEADY = frozenset(("NOW", "RAND", "UUID", "STRUUID", "BNODE"))
"""Functions of SPARQL 1.1 whose answer is not that of the time before, though the data are the same."""

_OUTSIDE = "A rule reads its data and nothing else: take it out"
_REFUSED = {
    **dict.fromkeys(("SERVICE", "LOAD"), "A rule asks nobody else: take it out"),
    **dict.fromkeys(("FROM", "NAMED", "GRAPH"), _OUTSIDE),
    **dict.fromkeys(("CONSTRUCT", "DESCRIBE"), "Use SELECT, or ASK in a validator that says sh:ask"),
    **dict.fromkeys(
        ("INSERT", "DELETE", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH", "USING", "DATA", "SILENT"),
        "A rule changes nothing: use SELECT",
    ),
    "MINUS": "SHACL forbids it with pre-bound variables (appendix A): use FILTER NOT EXISTS",
    "VALUES": "SHACL forbids it with pre-bound variables (appendix A): use FILTER with IN, or UNION with BIND",
    "LATERAL": "It is not SPARQL 1.1: use OPTIONAL or a subquery",
    "BASE": "Write whole IRIs",
    "PREFIX": "Declare prefixes before SELECT or ASK, or with sh:declare",
    "UNDEF": "SHACL forbids VALUES",
}
_STARS = frozenset(("<<", ">>", "{|", "|}"))
_CLOSED_BY = {"{": "}", "(": ")", "[": "]"}


@dataclass(slots=True)
class _Select:
    """A SELECT, or the ASK on top."""

    at: int
    projected: dict[str, None] = field(default_factory=dict)
    star: bool = False
    body: _Group | None = None


@dataclass(slots=True)
class _Group:
    """A group graph pattern: the token that opens it, and the variables that have to do with it."""

    token: int
    names: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Frame:
    """What an open bracket holds so far."""

    opener: str
    expression: bool = False
    function: str = ""
    commas: list[int] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    select: _Select | None = None
    group: _Group | None = None


class _Reader:
    """One pass over the tokens of a query."""

    def __init__(self, source: _Source, tokens: list[_Token], form: Form, bound: frozenset[str]) -> None:
        self.source, self.tokens, self.form, self.bound = source, tokens, form, bound
        self.frames = [_Frame("")]
        self.groups: list[_Group] = []
        self.growth, self.power = 1, 0
        self.signs = self.terms = 0
        self.unsteady: list[tuple[str, int, int]] = []
        self.exact: dict[int, str] = {}

    def query(self) -> Query:
        start = self.tokens[0] if self.tokens else _Token("word", "", 0)
        if start.word != self.form:
            self._word(start)
            self.refuse(start, f"the query does not begin with {self.form}", f"{self.form} ...")
        kinds = {"variable": self._variable, "word": self._word, "mark": self._mark}
        for index, token in enumerate(self.tokens):
            kinds.get(token.kind, self._term)(token, index)
        if len(self.frames) > 1:
            self.refuse(self.tokens[-1], f"{self.frames[-1].opener} is not closed", "Close it")
        top = self.frames[0]
        self._end_of_select(top)
        if top.select is None or top.select.body is None:
            self.refuse(start, "the query has no WHERE", "Write a pattern in braces")
        return self._made(top.names, top.select)

    def refuse(self, token: _Token, message: str, remedy: str) -> NoReturn:
        self.source.refuse(token.at, message, remedy)

    # one method for each kind of token

    def _term(self, token: _Token, index: int) -> None:
        self.signs = 0
        frame = self.frames[-1]
        self.terms += not frame.expression
        if token.term and (not frame.expression or frame.function == "SAMETERM"):
            term = kept(token.term)
            self.tokens[index] = token if term == token.term else token._replace(text=str(term))
        if self.terms > MAX_TERMS:
            self.refuse(token, f"more than {MAX_TERMS} terms in patterns", "Split the query into several")

    def _variable(self, token: _Token, index: int) -> None:
        self._term(token, index)
        name, before = token.text[1:], self.tokens[index - 1].word
        frame = self.frames[-1]
        if frame.expression and before != "AS":
            self._reckon(token, index, frame)
        if name == "PATH":
            self.refuse(token, "$PATH outside a property shape", "Only property shapes have a path")
        if before == "AS" and name in self.bound:
            self.refuse(
                token, f"AS ?{name}: the variable is pre-bound", "SHACL forbids it (appendix A): use another name"
            )
        frame.names.add(name)
        if self._projecting(frame):
            assert frame.select
            frame.select.projected[name] = None
        outer = self.frames[-2] if len(self.frames) > 1 else frame
        if before == "AS" and frame.opener == "(" and self._projecting(outer):
            assert outer.select
            outer.select.projected[name] = None

    def _reckon(self, token: _Token, index: int, frame: _Frame) -> None:
        """Where a query asks for the value of a variable, and where for the term."""
        before, after = self.tokens[index - 1], self.tokens[index + 1] if index + 1 < len(self.tokens) else token
        alone = before.text == "("
        if frame.function in TWINS and alone and after.text == ")":
            self.exact[index - 2] = f" {TWINS[frame.function]}"
        elif frame.function in _OF_TERMS or (alone and after.word == "AS") or before.word == "DISTINCT":
            return
        else:
            self.exact[index] = f" {VALUE} ( {token.text} )"

    def _word(self, token: _Token, index: int = 0) -> None:
        self.signs = 0
        word = token.word
        if word in _REFUSED:
            self.refuse(token, f"{word} in a query of a shape", _REFUSED[word])
        if word and word not in _WORDS:
            self.refuse(token, f"{token.text} is no word of SPARQL 1.1", "Put spaces between words; declare prefixes")
        if word in UNSTEADY:
            self.unsteady.append((word, *self.source.place(token.at)))
        if word in ("SELECT", "ASK"):
            frame = self.frames[-1]
            if index and (word == "ASK" or self.tokens[index - 1].text != "{" or frame.opener != "{"):
                self.refuse(token, f"{word} in an odd place", "A subquery is { SELECT ... }")
            frame.select, frame.group = _Select(token.at), None

    def _mark(self, token: _Token, index: int) -> None:
        self.signs = self.signs + 1 if token.text in "!+-^" else 0
        if self.signs > MAX_DEPTH:
            self.refuse(token, f"more than {MAX_DEPTH} signs in a row", "Take them out in pairs")
        frame = self.frames[-1]
        if token.text in _STARS:
            self.refuse(token, f"{token.text}: statements about statements", "They are not SPARQL 1.1")
        if token.text in _CLOSED_BY:
            self._open(token, index)
        elif token.text in "})]":
            self._close(token)
        elif token.text == ",":
            frame.commas.append(index)
        elif token.text == "*" and self._projecting(frame):
            assert frame.select
            frame.select.star = True

    @staticmethod
    def _projecting(frame: _Frame) -> bool:
        return frame.select is not None and frame.select.body is None

    def _open(self, token: _Token, index: int) -> None:
        if len(self.frames) > MAX_DEPTH:
            self.refuse(token, f"nested more than {MAX_DEPTH} deep", "Take it apart")
        outer, word = self.frames[-1], self.tokens[index - 1].word if index else ""
        called = index > 1 and self.tokens[index - 1].kind == "iri" and bool(self.tokens[index - 2].word)
        reckoned = bool(word or called or outer.expression or self._projecting(outer))
        frame = _Frame(token.text, token.text == "(" and reckoned, word)
        if token.text == "{":
            frame.group = _Group(index)
            if self._projecting(outer):
                assert outer.select
                outer.select.body = frame.group
        self.frames.append(frame)

    def _close(self, token: _Token) -> None:
        frame = self.frames[-1]
        if _CLOSED_BY.get(frame.opener) != token.text:
            self.refuse(token, f"{token.text} closes nothing", "Count the brackets")
        self.frames.pop()
        self.frames[-1].names |= frame.names
        if frame.group:
            frame.group.names = frozenset(frame.names)
            self.groups.append(frame.group)
            if len(self.groups) > MAX_GROUPS:
                self.refuse(token, f"more than {MAX_GROUPS} groups", "Split the query into several")
        self._end_of_select(frame)
        self._swell(frame)
        if self.growth > MAX_GROWTH or self.power > MAX_POWER:
            self.refuse(token, "texts that swell: functions that join texts, over and over", "Join fewer texts")

    def _end_of_select(self, frame: _Frame) -> None:
        select = frame.select
        if select is None:
            return
        if select.body:  # what the SELECT and its modifiers mention has to do with its body
            select.body.names = frozenset(frame.names)
        returned = self.bound - OPTIONAL_IN_SUBQUERIES
        if frame.opener and (select.star or not returned <= select.projected.keys()):
            what = (
                "SELECT * in a subquery" if select.star else "a subquery that does not return all pre-bound variables"
            )
            names = " ".join(f"${name}" for name in sorted(returned))
            self.source.refuse(select.at, what, f"SHACL demands it (appendix A): SELECT {names} ...")

    def _swell(self, frame: _Frame) -> None:
        if frame.function == "CONCAT":
            self.growth *= len(frame.commas) + 1
        elif frame.function == "REPLACE" and len(frame.commas) > 1:
            by, behind = self.tokens[frame.commas[1] + 1 : frame.commas[1] + 3]
            if by.kind == "string" and behind.text in ",)":
                self.growth *= len(by.text)
            else:
                self.power += 1
        elif frame.function == "ENCODE_FOR_URI":
            self.growth *= 3

    def _made(self, names: set[str], top: _Select) -> Query:
        if self.form == "SELECT" and not top.star and "this" not in top.projected:
            self.source.refuse(top.at, "the query does not return $this", "SELECT $this ...")
        slots = sorted((group.token, group.names & self.bound) for group in self.groups)
        slots = [(index, used) for index, used in slots if used]
        plain = list(_spaced(self.tokens))
        exact = [self.exact.get(index, text) for index, text in enumerate(plain)]
        cuts = [0, *(index + 1 for index, _ in slots), len(plain)]
        pieces, others = (["".join(texts[i:j]) for i, j in pairwise(cuts)] for texts in (plain, exact))
        return Query(
            frozenset(names), tuple(t.text for t in self.tokens if t.kind in ("string", "typed")), self.growth,
            self.power, tuple(self.unsteady), tuple(pieces), tuple(others), tuple(used for _, used in slots),
            tuple(self._places()),
        )  # fmt: skip

    def _places(self) -> Iterator[tuple[int, int, int]]:
        column = 1
        for token, text in zip(self.tokens, _spaced(self.tokens), strict=True):
            yield column, *self.source.place(token.at)
            column += len(text)


_TIGHT = frozenset(("CONCAT", "COALESCE", "BNODE"))
"""Functions that one parser knows only with their parenthesis right behind them."""


def _spaced(tokens: list[_Token]) -> Iterator[str]:
    """The tokens with a space before each that may have one."""
    before = _Token("", "", 0)
    for token in tokens:
        tight = (
            token.kind == "tag" or "^^" in (token.text, before.text) or (token.text == "(" and before.word in _TIGHT)
        )
        yield token.text if tight else f" {token.text}"
        before = token
