"""Regular expressions that rules may use: what is refused by name, and that what is accepted never runs away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairmesh.catalog.patterns import check_pattern
from fairmesh.catalog.rdf import PREFIXES, Literal
from fairmesh.catalog.rulefiles import read_levels, read_rules

REFUSED = {
    "nested": ("^(a+)+$", "", "repeats a repetition"),
    "nested in a group": ("((a+b?)*c)?", "", "repeats a repetition"),
    "nested star": ("([a-z]+)*", "", "repeats a repetition"),
    "nested twins": ("(x+x+)+y", "", "repeats a repetition"),
    "nested optional tail": (r"(\w+\s?)*", "", "repeats a repetition"),
    "mail by the book": (r"^(([a-z])+.)+[A-Z]([a-z])+$", "", "repeats a repetition"),
    "same alternatives": ("(a|a)*", "", "alternatives that match the same text"),
    "one alternative and two": ("^(a|aa)*$", "", "alternatives that match the same text"),
    "a class and its member": (r"(\w|ax)*$", "", "alternatives that match the same text"),
    "alternatives that add up": ("(a|b|ab)*", "", "alternatives that match the same text"),
    "side by side": (r"\s*\s*x", "", "side by side"),
    "side by side, apart": ("^.*a.*b", "", "side by side"),
    "side by side, in part": ("[a-m]*[h-z]*[a-z]*$", "", "side by side"),
    "counted, side by side": ("a{0,40}a{0,40}a{0,40}", "", "side by side"),
    "by case": ("(x[A-Z]+)*", "i", "repeats a repetition"),
    "by far case": ("(ka|\u212aa)*", "i", "alternatives that match the same text"),
    "empty": ("(a*)*", "", "repeats what can be empty"),
    "empty, counted": ("(a?){30}a{30}", "", "repeats what can be empty"),
    "empty alternative": ("(a|)+", "", "repeats what can be empty"),
    "nested, of what a subtraction leaves": ("^([A-[b]]+)+$", "", "repeats a repetition"),
    "side by side, of what a subtraction leaves": ("[a-z-[m-z-[x]]]*[x]*[a-z]*$", "", "side by side"),
    "a subtraction by case": ("[A-Z-[IO]]*[io]*[A-Z]*$", "i", "side by side"),
    "back": (r"(a)\1", "", "a back-reference, which is outside the safe subset"),
    "block": (r"\p{IsGreek}", "", r"has \p{IsGreek}, which is outside the safe subset"),
    "category by case": (r"\p{Lu}", "i", r"has \p{Lu} and the flag i, which is outside the safe subset"),
    "back by name": ("(?P<n>a)(?P=n)", "", "names a group"),
    "conditional": (r"(a)?(?(1)b|c)", "", "refers back"),
    "ahead": ("(?=a)b", "", "looks ahead or behind"),
    "not ahead": ("^(?!a)", "", "looks ahead or behind"),
    "behind": ("(?<=a)b", "", "looks ahead or behind"),
    "atomic": ("(?>a)", "", "atomic group"),
    "possessive": ("a++", "", "possessive"),
    "named": ("(?P<n>a)", "", "names a group"),
    "flags": ("(?i)a", "", "sets flags inside"),
    "flags of a group": ("(?i:a)b", "", "sets flags inside"),
    "boundary": (r"\bx", "", r"uses \\b"),
    "unknown flag": ("a", "u", "unknown flag u"),
    "syntax": ("(", "", "not a regular expression"),
    "counted upside down": ("a{3,1}", "", "not a regular expression"),
    "hyphen": (r"[\w-.]", "", "not a regular expression of XPath: an unescaped -"),
    "count without a least": ("a{,3}", "", "not a regular expression of XPath: an unescaped {"),
    "deep in classes": ("[a-" * 600 + "[b" + "]" * 601, "", "more than 50 deep"),
    "comment": ("a(?#b)", "", "has a comment"),
    "deep": ("(" * 51 + "a" + ")" * 51, "", "more than 50 deep"),
    "deep, after what hides nothing": (r"\\[(](?:" + "(" * 600 + "a", "", "more than 50 deep"),
    "large": ("(a{1,100}b){1,100}", "", "too large"),
    "intricate": ("^.*a.{30}$", "", "too intricate"),
}


@pytest.mark.parametrize(("pattern", "flags", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_a_pattern_is_refused_by_name_with_a_remedy(pattern: str, flags: str, what: str) -> None:
    found = check_pattern(pattern, flags)
    assert found is not None
    assert what.replace("\\\\", "\\") in found[0]
    assert found[1]


def test_a_refusal_shows_a_text_that_is_to_blame() -> None:
    assert "'aaaaa" in (check_pattern("^(a+)+$") or ("", ""))[0]


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        ("", ""),
        ("a{3}", ""),
        (r"[a-z]+(\.[a-z]+)*", ""),
        (r"^https?://[^@\s]+$", ""),
        (r"^\d+\.\d+\.\d+(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$", ""),
        ("([^,]*,)*", ""),
        ("(a|ab)*c", ""),  # no text has two readings
        ("foo.*bar", ""),
        (r"^\s*\S[\s\S]{78,}\S", ""),
        ("(x[a-w]+)*", ""),
        ("(abc|abd)+?", "i"),
        ("(a+)+", "q"),
        ("(" * 50 + "a" + ")" * 50, ""),
        (r"[(]" * 60 + r"\(" * 60 + r"[^\](]" * 60, ""),
        (r"^\p{Lu}+$", ""),
        (r"^\i\c*$", ""),
        ("^[a-z-[aeiou]]+$", ""),
        ("([a-z-[aeiou]]+[aeiou])*$", ""),  # what is taken away ends each round
        ("^a$\n^b", "m"),
        ("a b c # d", "x"),
    ],
)
def test_a_pattern_is_accepted(pattern: str, flags: str) -> None:
    assert check_pattern(pattern, flags) is None


def shipped() -> Iterator[tuple[str, str]]:
    for level in read_levels(read_rules().files):
        flags = {t.subject: t.object for t in level.shapes if t.predicate.value == PREFIXES["sh"] + "flags"}
        for triple in level.shapes:
            if triple.predicate.value == PREFIXES["sh"] + "pattern" and isinstance(triple.object, Literal):
                flag = flags.get(triple.subject)
                yield triple.object.value, flag.value if isinstance(flag, Literal) else ""


def test_every_pattern_of_the_rules_that_ship_is_accepted() -> None:
    patterns = list(shipped())
    assert len(patterns) > 20
    assert [(pattern, wrong) for pattern, flags in patterns if (wrong := check_pattern(pattern, flags))] == []


# -- the law ----------------------------------------------------------------------------------------------------------


class TooMany(Exception):
    pass


class Backtracking:
    """The plainest matcher there is: it tries every way, in turn, and counts the characters that it looks at."""

    def __init__(self, pattern: str, budget: int) -> None:
        self.parsed = list(parser.parse(pattern))
        self.left = budget

    def fails_within(self, text: str) -> bool:
        """Whether all ways to match at the start of the text are tried within the budget. None is taken."""
        try:
            self._sequence(self.parsed, text, 0, lambda at: False)
        except TooMany:
            return False
        return True

    def _sequence(self, items: list[Any], text: str, at: int, then: Callable[[int], bool]) -> bool:
        if not items:
            return then(at)
        (operator, argument), *rest = items
        return self._one(operator, argument, text, at, lambda end: self._sequence(rest, text, end, then))

    def _one(self, operator: Any, argument: Any, text: str, at: int, then: Callable[[int], bool]) -> bool:
        if operator is sre.MAX_REPEAT:
            return self._repeat(argument[0], argument[1], list(argument[2]), text, at, then)
        if operator is sre.SUBPATTERN:
            return self._sequence(list(argument[3]), text, at, then)
        if operator is sre.BRANCH:
            return any(self._sequence(list(part), text, at, then) for part in argument[1])
        self.left -= 1
        if self.left < 0:
            raise TooMany
        return at < len(text) and self._reads(operator, argument, text[at]) and then(at + 1)

    def _repeat(self, least: int, most: Any, body: list[Any], text: str, at: int, then: Callable[[int], bool]) -> bool:
        if most == 0:
            return then(at)
        fewer = most if most is sre.MAXREPEAT else most - 1
        more = self._sequence(
            body, text, at, lambda end: end > at and self._repeat(max(least - 1, 0), fewer, body, text, end, then)
        )
        return more or (least == 0 and then(at))

    @staticmethod
    def _reads(operator: Any, argument: Any, character: str) -> bool:
        code = ord(character)
        if operator is sre.IN:
            return any(
                code == value if kind is sre.LITERAL else value[0] <= code <= value[1] for kind, value in argument
            )
        return operator is sre.ANY or code == argument


ATOMS = st.sampled_from(["a", "b", "[ab]", ".", "ab"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,3}", "{2}"])).map(lambda pair: f"({pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
)
LENGTH = 24
# An attempt reads each character once for each way to be at each of a pattern's places; patterns here have few.
BUDGET = 100 * 4 * LENGTH


@settings(max_examples=400, deadline=None)
@given(pattern=PATTERNS, texts=st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3))
def test_an_accepted_pattern_gives_up_on_every_text_in_linear_time(pattern: str, texts: list[str]) -> None:
    if check_pattern(pattern) is None:
        for text in texts:
            repeated = (text * LENGTH)[:LENGTH]
            assert Backtracking(pattern, BUDGET).fails_within(repeated), (pattern, repeated)


@pytest.mark.parametrize("name", ["nested", "same alternatives", "one alternative and two", "nested twins"])
def test_the_count_tells_patterns_that_run_away(name: str) -> None:
    pattern = REFUSED[name][0].strip("^$")
    assert not Backtracking(pattern, BUDGET).fails_within(("x" if "x" in pattern else "a") * LENGTH)


def test_the_judgement_itself_is_bounded() -> None:
    assert check_pattern("(" + "|".join(f"a{n}b" for n in range(200)) + ")") is None
    for count in (20, 900, 4000):
        assert check_pattern("[ab]?" * count) is not None
    assert check_pattern("(" * 4000 + "a" + ")" * 4000) is not None
