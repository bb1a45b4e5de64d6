"""Regular expressions of `sh:pattern`: those of SPARQL's REGEX, which are XPath's, brought to Python.

Syntax and meaning: XML Schema 1.1, part 2, appendix G, with the anchors, reluctant quantifiers and flags of XPath
Functions and Operators, section 5.6.1. Unlike Python's: `$` is the very end, `\\s` four characters, `\\w` has no
punctuation (so no underscore) and has symbols, `[a-z-[aeiou]]` subtracts. Beyond XPath, a backslash may stand before
any ASCII punctuation, as all engines have it.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

import regex

from fairmesh.catalog import lexical

_SECONDS = 1.0
"""How long one search may take, where it can take long."""
_STEPS = 10_000_000
"""An expression that repeats k parts is taken to need the k-th power of the length of the text."""
_KEPT, _SHORT = 1_024, 64
"""On how many texts of how many characters at most the answers of one expression are kept."""


MAX_DEPTH = 50
"""Groups, and classes taken from classes, inside each other: reading an expression takes as deep a stack."""


class NotRegex(ValueError):
    """Not a regular expression at all; says why."""


class NotXPath(ValueError):
    """XPath has no such construct; names it."""


class NotRead(ValueError):
    """Not implemented here, or Python's and not XPath's; names the construct."""


class TooHard(Exception):
    """A search ran out of time."""


@dataclass(frozen=True, slots=True)
class Translation:
    """An expression of XPath as Python's `re` has it: its `text` and the flags to compile it with. `loops` is how many
    of its parts repeat without limit; `hard`, whether one of them repeats what matches in more than one way."""

    text: str
    options: int
    loops: int = 0
    hard: bool = False


def translated(pattern: str, flags: str = "") -> Translation:
    """An expression with XPath's `flags` (`s`, `m`, `i`, `x`, `q`), read; the one reading that there is of it here.

    It is not compiled: a count or a range may still be upside down. Raises `NotXPath`, `NotRegex` for a flag that there
    is not, and `NotRead` for what XPath has and this has not.
    """
    unknown = sorted(set(flags) - set("smixq"))
    if unknown:
        raise NotRegex(f"the unknown flag {unknown[0]}")
    options = (re.IGNORECASE if "i" in flags else 0) | (re.DOTALL if "s" in flags else 0)
    if "q" in flags:
        return Translation(re.escape(pattern), options)
    reader = _Reader(pattern, flags)
    text = reader.read()
    return Translation(text, options, reader.loops, reader.hard)


def searcher(pattern: str, flags: str = "") -> Callable[[str], object]:
    """A function that says, by the truth of its answer, whether a text has a match (`fn:matches`).

    `flags` are XPath's: `s`, `m`, `i`, `x`, `q`. Raises `NotRegex` and `NotRead`. The function raises `TooHard` after
    about a second.
    """
    try:
        made = translated(pattern, flags)
        quick = re.compile(made.text, made.options).search
    except (NotXPath, re.error, OverflowError) as error:
        _refuse_unless_pythons(pattern)
        raise NotRead(str(error)) from error
    longest = 0 if made.hard else sys.maxsize if made.loops < 2 else int(_STEPS ** (1 / made.loops))
    return _remembered(quick if longest == sys.maxsize else _timed(quick, made, longest))


def _remembered(search: Callable[[str], object]) -> Callable[[str], object]:
    """Keeps answers on short texts: names of columns, versions and media types come again and again."""
    known = functools.lru_cache(_KEPT)(lambda text: search(text) is not None)
    return lambda text: known(text) if len(text) <= _SHORT else search(text)


def _refuse_unless_pythons(pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(pattern)
        except (re.error, OverflowError) as error:
            raise NotRegex(str(error)) from error


def _timed(quick: Callable[[str], object], made: Translation, longest: int) -> Callable[[str], object]:
    patient = regex.compile(made.text, made.options)  # same syntax, and it can be stopped

    def search(subject: str) -> object:
        if len(subject) <= longest:
            return quick(subject)
        try:
            return patient.search(subject, timeout=_SECONDS)
        except TimeoutError:
            raise TooHard(
                f"sh:pattern took more than {_SECONDS:.0f} s on a text of {len(subject):,} characters"
            ) from None

    return search


# -- characters -------------------------------------------------------------------------------------------------------

_Ranges = tuple[tuple[int, int], ...]


@functools.cache
def _categories() -> dict[str, _Ranges]:
    """The code points of every general category of Unicode, by its two letters and by its first."""
    found: dict[str, list[tuple[int, int]]] = {}
    start = 0
    for name, run in groupby(map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))):
        end = start + sum(1 for _ in run)
        for key in (name, name[0]):
            found.setdefault(key, []).append((start, end - 1))
        start = end
    return {name: tuple(ranges) for name, ranges in found.items()}


def _named(characters: str) -> _Ranges:
    """The ranges of a class as `lexical` writes it."""
    found = re.findall(r"\\?(.)(?:-(.))?", characters)
    return tuple((ord(low), ord(high or low)) for low, high in found)


def _complement(ranges: Iterable[tuple[int, int]]) -> _Ranges:
    found, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    return (*found, (start, sys.maxunicode)) if start <= sys.maxunicode else tuple(found)


def _written(ranges: _Ranges) -> str:
    """Ranges as they stand between the brackets of a Python class."""
    return "".join(
        f"\\U{low:08x}" if low == high else f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges
    )  # fmt: skip


@functools.cache
def _class_escape(letter: str) -> str | None:
    """A class escape as it stands between brackets; None when there is no such escape."""
    plain = letter.lower()
    if plain == "d":
        return "\\" + letter
    if plain == "s":
        ranges: _Ranges = ((9, 10), (13, 13), (32, 32))
    elif plain == "w":
        groups = _categories()
        ranges = _complement((*groups["P"], *groups["Z"], *groups["C"]))
    elif plain in ("i", "c"):
        ranges = _named(lexical.NAME_START if plain == "i" else lexical.NAME)
    else:
        return None
    return _written(ranges if letter == plain else _complement(ranges))


_SINGLE = {"n": "\\n", "r": "\\r", "t": "\\t"}
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~")


class _Reader:
    """Reads an expression and writes Python's. `loops` and `hard` tell how long a search may take."""

    _QUANTIFIER = re.compile(r"(?:[?*+]|\{(?P<least>[0-9]+)(?P<comma>,(?P<most>[0-9]+)?)?\})\??")
    _OPENING = re.compile(r"\?(?:<[=!]|P[<=]|[^)])?")
    """What Python has behind a bracket and XPath has not."""

    def __init__(self, pattern: str, flags: str) -> None:
        self.text = pattern
        self.at = 0
        self.depth = 0
        self.flags = flags
        self.loops = 0
        self.hard = False
        self.variable = False
        """Whether the part being read can match in more than one way."""

    def read(self) -> str:
        found = self._branches()
        if self.at < len(self.text):
            raise NotXPath(f"an unmatched {self.text[self.at]}")
        return found

    def _next(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _branches(self) -> str:
        branches = [self._branch()]
        while self._next() == "|":
            self.at += 1
            self.variable = True
            branches.append(self._branch())
        return "|".join(branches)

    def _skip(self) -> None:
        while "x" in self.flags and self._next() and self._next() in " \t\n\r":
            self.at += 1

    def _branch(self) -> str:
        found = []
        self._skip()
        while self._next() not in ("", "|", ")"):
            before, self.variable = self.variable, False
            atom = self._atom()
            self._skip()
            found.append(atom + self._quantifier())
            self._skip()
            self.variable |= before
        return "".join(found)

    def _quantifier(self) -> str:
        found = self._QUANTIFIER.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        if self._next() == "+":
            raise NotXPath(f"the possessive {found[0]}+")
        sign, least = found[0][0], int(found["least"] or 0)
        most = {"?": 1, "*": None, "+": None}.get(sign, int(found["most"]) if found["most"] else least)
        if found["comma"] and not found["most"]:
            most = None
        if most is None:
            self.loops += 1
        if self.variable and (most is None or most > 5):
            self.hard = True
        self.variable |= most is None or (sign in "?{" and most != least)
        return found[0]

    def _atom(self) -> str:
        character = self._next()
        self.at += 1
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character == ".":
            return "."
        if character == "^":
            return r"(?<![^\n])(?<!\n\Z)" if "m" in self.flags else r"\A"
        if character == "$":
            return r"(?=\n|\Z)" if "m" in self.flags else r"\Z"
        if character in "?*+{}]":
            raise NotXPath(f"an unescaped {character}")
        return re.escape(character)

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotRead(f"groups more than {MAX_DEPTH} deep inside each other")

    def _group(self) -> str:
        if self._next() == "?":
            if not self.text.startswith("?:", self.at):
                raise NotXPath("(" + self._OPENING.match(self.text, self.at)[0])  # type: ignore[index]
            self.at += 2
        self._deeper()
        inner = self._branches()
        if self._next() != ")":
            raise NotXPath("an open bracket")
        self.at += 1
        self.depth -= 1
        return f"(?:{inner})"

    def _escape(self) -> str:
        """An escape outside brackets."""
        character = self._next()
        if character.isdigit():
            raise NotRead("a back-reference")
        inner = self._escaped()
        return inner if len(inner) == 2 else f"[{inner}]"

    def _escaped(self) -> str:
        """What is behind a backslash, as it stands between brackets."""
        character = self._next()
        self.at += 1
        if character in ("p", "P"):
            return self._category(character)
        found = _SINGLE.get(character) or _class_escape(character)
        if found is None:
            if character not in _PUNCTUATION:
                raise NotXPath("\\" + character)
            found = "\\" + character
        return found

    def _category(self, letter: str) -> str:
        found = re.compile(r"\{([A-Za-z0-9-]+)\}").match(self.text, self.at)
        ranges = _categories().get(found[1]) if found else None
        if found is None or ranges is None:
            raise NotRead(f"\\{letter}{found[0] if found else ''}")
        if "i" in self.flags and found[1] in ("Lu", "Ll", "Lt"):
            raise NotRead(f"\\{letter}{found[0]} and the flag i")
        self.at = found.end()
        return _written(ranges if letter == "p" else _complement(ranges))

    def _class(self) -> str:
        """A class in brackets, the first of which was read."""
        self._deeper()
        negated = self._next() == "^"
        self.at += negated
        members: list[str] = []
        while True:
            character = self._next()
            if character == "":
                raise NotXPath("an open bracket")
            if character == "]" and members:
                self.at += 1
                self.depth -= 1
                return f"[{'^' if negated else ''}{''.join(members)}]"
            if character == "-" and members and self.text.startswith("-[", self.at):
                self.at += 2
                taken = self._class()
                if self._next() != "]":
                    raise NotXPath("a subtraction that does not end its class")
                self.at += 1
                self.depth -= 1
                return f"(?:(?!{taken})[{'^' if negated else ''}{''.join(members)}])"
            members.append(self._member(first=not members))

    def _member(self, *, first: bool) -> str:
        """A character, an escape or a range."""
        low = self._class_character(first=first)
        if len(low) > 2 or self._next() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", "[", ""):
            return low
        self.at += 1
        high = self._class_character(first=False)
        if len(high) > 2 or "\\d" in (low.lower(), high.lower()):
            raise NotXPath("a range that ends in a class")
        return f"{low}-{high}"

    def _class_character(self, *, first: bool) -> str:
        character = self._next()
        self.at += 1
        if character == "\\":
            return self._escaped()
        if character == "[" or character == "]":
            raise NotXPath(f"an unescaped {character} in brackets")
        if character == "-" and not first and self._next() != "]":
            raise NotXPath("an unescaped - in brackets")
        return "\\" + character if character in _PUNCTUATION else character
