"""Regular expressions that rules may use: those for which matching takes bounded time on every text.

A pattern is read once, as XPath's, by `shacl.regexes`; what is judged is what that makes of it and runs. A backtracking
matcher tries every way in which a text can run through a pattern. A pattern is accepted when no text, of any length,
reaches one place of it in more than `WAYS` ways, or all its places in more than `WAYS_IN_ALL`: then one attempt takes
time linear in the text, and a search, which makes an attempt at every character, at most quadratic time. Bounded work
decides that; a pattern which it cannot decide is refused.
"""

from __future__ import annotations

import functools
import re
import sys
from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from fairmesh.catalog.shacl import regexes

WAYS = 10
"""In so many ways at most may one text reach one place of a pattern."""

WAYS_IN_ALL = 300
"""And so many ways at most all of its places together."""
_MAX_PLACES = 3_000
_MAX_WORK = 60_000
_SMALLER = "Use smaller counts in { } and fewer alternatives"
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)
_LAST = sys.maxunicode

_TESTS = (sre.AT, sre.ASSERT, sre.ASSERT_NOT)
"""What reads no character: anchors, and a class that is taken from the next one."""

_FOREIGN = tuple((re.compile(construct), what, remedy) for construct, what, remedy in (
    (r"\(\?<?=", "looks ahead or behind", "Write what may stand there instead, or use two patterns"),
    (r"\(\?<?!", "looks ahead or behind", "Put what must not match into sh:not with a pattern of its own"),
    (r"\(\?P=", "refers back to a group", "Write the text out"),
    (r"\(\?\(", "refers back to a group", "Write both cases as alternatives"),
    (r"\(\?>", "has an atomic group", "Use a plain group"),
    (r"\(\?P?<", "names a group", "Use a plain group"),
    (r"\(\?#", "has a comment", "Put it into rdfs:comment"),
    (r"\(\?[a-zA-Z-]", "sets flags inside", "Use sh:flags"),
    (r"\\[bBAZ]", "uses \\b, \\B, \\A or \\Z", "Use ^ and $, or the class"),
    ("the possessive ", "has a possessive repetition", "Remove the second +"),
))  # fmt: skip
"""What Python has and XPath has not, as `regexes.NotXPath` names it."""
_WITHOUT = {"a back-reference": "Compare two values with sh:equals, or write the text out"}
_PLAIN = b"a0 -"
"""Characters that show a letter best, where they belong to it."""


class _Refused(Exception):
    """`args` are what is wrong and the remedy."""


@functools.lru_cache(maxsize=1024)
def check_pattern(text: str, flags: str = "") -> tuple[str, str] | None:
    """What is wrong with a regular expression of `sh:pattern` with these `sh:flags`, and the remedy; None when it may
    be used.

    Refused are what is no regular expression of XPath (XQuery and XPath Functions 3.1, section 5.6.1), with words of
    their own for what Python knows and XPath does not; what XPath has and the compiled engine has not; and patterns
    whose matching time is not bounded (see above).
    """
    try:
        made = regexes.translated(text, flags)
        parsed = parser.parse(made.text, made.options)
        _check_repeats(parsed)
        _check_ways(parsed, made.options)
    except _Refused as refused:
        return refused.args[0], refused.args[1]
    except regexes.NotXPath as error:
        return _not_xpath(str(error))
    except regexes.NotRegex as error:
        return f"has {error}", "Known are s, m, i, x and q"
    except regexes.NotRead as error:
        return f"has {error}, which is outside the safe subset", _WITHOUT.get(str(error), "Write it without")
    except (re.error, OverflowError) as error:
        return f"is not a regular expression: {getattr(error, 'msg', error)}", "Correct it"
    except RecursionError:
        return "is too large", _SMALLER
    return None


def _not_xpath(construct: str) -> tuple[str, str]:
    for known, what, remedy in _FOREIGN:
        if known.match(construct):
            return f"{what}, which the standard does not know", remedy
    remedy = "Put a backslash before it" if construct.startswith("an unescaped") else "Correct it"
    return f"is not a regular expression of XPath: {construct}", remedy


def _check_repeats(parsed: Any) -> None:
    for operator, argument in _elements(parsed):
        if operator in _REPEATS and argument[1] > 1 and _nullable(argument[2]):
            raise _Refused(
                "repeats what can be empty, which can take for ever on some texts",
                "Let what is repeated match one character at least: (a?)* is a*",
            )


def _elements(pattern: Any) -> Iterator[tuple[Any, Any]]:
    """Every parsed element, outer ones first."""
    for operator, argument in pattern:
        yield operator, argument
        for part in _parts(argument):
            yield from _elements(part)


def _parts(argument: Any) -> Iterator[Any]:
    """The sub-patterns of a parsed element, however deep they lie in its arguments."""
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, (list, tuple)):
        for part in argument:
            yield from _parts(part)


def _nullable(pattern: Any) -> bool:
    return all(_can_be_empty(operator, argument) for operator, argument in pattern)


def _can_be_empty(operator: Any, argument: Any) -> bool:
    if operator in _REPEATS:
        return argument[0] == 0 or _nullable(argument[2])
    if operator is sre.SUBPATTERN:
        return _nullable(argument[3])
    if operator is sre.BRANCH:
        return any(_nullable(part) for part in argument[1])
    return operator in _TESTS


# -- ways -------------------------------------------------------------------------------------------------------------


def _check_ways(parsed: Any, options: int) -> None:
    """Refuse a pattern that some text can run through in too many ways, by the innermost part that is to blame."""
    ambiguous = _ambiguity([parsed], options)
    if ambiguous is None:
        return
    for operator, argument in reversed(list(_elements(parsed))):
        if operator in _REPEATS and (inner := _ambiguity([[(operator, argument)]], options)) is not None:
            nested = any(name in _REPEATS and repeat[1] > 1 for name, repeat in _elements(argument[2]))
            if nested:
                raise _Refused(
                    f"repeats a repetition, which can take for ever on some texts, such as {inner}",
                    "Let each round start or end with a character that the repetition inside cannot match",
                )
            raise _Refused(
                f"repeats alternatives that match the same text, such as {inner}",
                "Let no alternative match what another one, or several in a row, match",
            )
    raise _Refused(
        f"has repetitions side by side that match the same characters, such as {ambiguous}",
        "Put a character between them that the first cannot match, or merge them",
    )


def _ambiguity(pattern: Sequence[Any], options: int) -> str | None:
    """A text that reaches a place of the pattern in more than `WAYS` ways, quoted; None when there is none."""
    return _Places(pattern, options).ambiguous_text()


class _Places:
    """A pattern as a nondeterministic automaton: a place reads one character of a class, or forks, or ends.

    Classes are lists of ranges; all characters that the same classes hold are one letter.
    """

    def __init__(self, parts: Sequence[Any], options: int) -> None:
        self._options = options
        self._classes: dict[tuple[tuple[int, int], ...], int] = {}
        self._reads: list[int | None] = []
        self._next: list[list[int]] = []
        self._closures: dict[int, Counter[int]] = {}
        end = self._add(None, [])
        for part in reversed(parts):
            end = self._sequence(part, end)
        self._start = end

    def _add(self, reads: int | None, following: list[int]) -> int:
        if len(self._reads) >= _MAX_PLACES:
            raise _Refused("is too large", _SMALLER)
        self._reads.append(reads)
        self._next.append(following)
        return len(self._reads) - 1

    def _sequence(self, pattern: Any, then: int) -> int:
        items = list(pattern)
        for at in reversed(range(len(items))):
            then = self._element(items[max(at - 1, 0) : at + 1], then)
        return then

    def _element(self, items: Sequence[Any], then: int) -> int:
        """The last of these elements; what is before it may take characters away from it."""
        operator, argument = items[-1]
        if operator in _REPEATS:
            return self._repeat(argument[0], argument[1], argument[2], then)
        if operator is sre.SUBPATTERN:
            return self._sequence(argument[3], then)
        if operator is sre.BRANCH:
            return self._add(None, [self._sequence(part, then) for part in argument[1]])
        if operator in _TESTS:
            return then
        return self._add(self._class(items), [then])

    def _repeat(self, least: int, most: Any, body: Any, then: int) -> int:
        if most is sre.MAXREPEAT:
            loop = self._add(None, [then])
            self._next[loop].append(self._sequence(body, loop))
            then = loop
        else:
            end = then
            for _ in range(most - least):
                then = self._add(None, [end, self._sequence(body, then)])
        for _ in range(least):
            then = self._sequence(body, then)
        return then

    def _class(self, items: Sequence[Any]) -> int:
        ranges = _read_last(items, self._options)
        return self._classes.setdefault(ranges, len(self._classes))

    def _letters(self) -> dict[frozenset[int], int]:
        """One character for each set of classes that some character belongs to."""
        edges = [
            *_PLAIN,
            *sorted({edge for ranges in self._classes for low, high in ranges for edge in (low, high + 1)}),
        ]
        lows = {number: [low for low, _ in ranges] for ranges, number in self._classes.items()}
        every = {number: ranges for ranges, number in self._classes.items()}
        letters: dict[frozenset[int], int] = {}
        for code in (*_PLAIN, *sorted(edges)):
            held = frozenset(number for number, ranges in every.items() if _holds(lows[number], ranges, code))
            if held:
                letters.setdefault(held, code)
        return letters

    def _closure(self, place: int) -> Counter[int]:
        """The reading places that can come next, and in how many ways each."""
        if place not in self._closures:
            found: Counter[int] = Counter()
            if self._reads[place] is not None:
                found[place] = 1
            else:
                for following in self._next[place]:
                    found.update(self._closure(following))
            self._closures[place] = found
        return self._closures[place]

    def ambiguous_text(self) -> str | None:
        letters = self._letters()
        start = self._closure(self._start)
        seen = {frozenset(start.items())}
        waiting = deque([(start, "")])
        work = 0
        while waiting:
            ways, text = waiting.popleft()
            if ways and (max(ways.values()) > WAYS or sum(ways.values()) > WAYS_IN_ALL):
                return _shown(text)
            for held, code in letters.items():
                then: Counter[int] = Counter()
                for place, count in ways.items():
                    if self._reads[place] in held:
                        for following, more in self._closure(self._next[place][0]).items():
                            then[following] += count * more
                work += 1 + len(then)
                key = frozenset(then.items())
                if then and key not in seen:
                    seen.add(key)
                    waiting.append((then, text + chr(code)))
            if work > _MAX_WORK:
                raise _Refused("is too intricate to be judged", _SMALLER)
        return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


# -- characters -------------------------------------------------------------------------------------------------------


def _holds(lows: Sequence[int], ranges: Sequence[tuple[int, int]], code: int) -> bool:
    at = bisect_right(lows, code) - 1
    return at >= 0 and code <= ranges[at][1]


def _read_last(items: Sequence[Any], options: int) -> tuple[tuple[int, int], ...]:
    """The characters that the last of these elements reads: without those that a class just before it takes away. With
    the flag i nothing is taken away: at least these."""
    operator, argument = items[-1]
    found = _ranges(operator, argument, options)
    if len(items) == 1 or items[-2][0] is not sre.ASSERT_NOT or options & re.IGNORECASE:
        return found
    ahead, taken = items[-2][1]
    return _without([*_without(found), *_read_last(list(taken), options)]) if ahead > 0 else found


def _ranges(operator: Any, argument: Any, options: int) -> tuple[tuple[int, int], ...]:
    """The characters that a parsed element matches; with the flag i at least these."""
    ignore_case = options & re.IGNORECASE
    if operator is sre.ANY:
        return ((0, _LAST),) if options & re.DOTALL else _without([(10, 10)])
    if operator is sre.NOT_LITERAL:
        return _without([(argument, argument)])
    if operator is sre.LITERAL:
        return _merged(_other_case([(argument, argument)]) if ignore_case else [(argument, argument)])
    items = list(argument)
    negated = items[0][0] is sre.NEGATE
    found = [pair for kind, value in items[negated:] for pair in _item(kind, value)]
    if negated:
        return _without(found)  # the other case is left in: at least these
    return _merged(_other_case(found) if ignore_case else found)


def _item(kind: Any, value: Any) -> Iterable[tuple[int, int]]:
    if kind is sre.LITERAL:
        return [(value, value)]
    if kind is sre.RANGE:
        return [value]
    name = str(value).rpartition("_")[2][0].lower()
    ranges = _category(name)
    return _without(ranges) if "NOT" in str(value) else ranges


@functools.cache
def _category(letter: str) -> tuple[tuple[int, int], ...]:
    """The characters of `\\d`, `\\s` or `\\w`."""
    return tuple((match.start(), match.end() - 1) for match in re.finditer(rf"\{letter}+", _all_characters()))


@functools.cache
def _all_characters() -> str:
    return array("I", range(_LAST + 1)).tobytes().decode(f"utf-32-{sys.byteorder[0]}e", "surrogatepass")


def _merged(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _without(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found, low = [], 0
    for first, last in _merged(pairs):
        if low < first:
            found.append((low, first - 1))
        low = last + 1
    if low <= _LAST:
        found.append((low, _LAST))
    return tuple(found)


_ODD_CASES = {ord("i"): (0x130, 0x131), ord("s"): (0x17F, 0x17F), ord("k"): (0x212A, 0x212A)}
"""Letters beyond ASCII that are another case of one in it."""


def _other_case(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """These and everything that could be another case of them; beyond ASCII generously."""
    found = list(pairs)
    for low, high in pairs:
        for offset, first in ((32, 65), (-32, 97)):
            start, end = max(low, first), min(high, first + 25)
            if start <= end:
                found.append((start + offset, end + offset))
                found += [odd for code, odd in _ODD_CASES.items() if start <= code - (97 - first) <= end]
        if high > 127:
            found += [(65, 90), (97, 122), (128, _LAST)]
    return found
