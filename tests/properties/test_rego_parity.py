"""Random programs and hostile inputs: the embedded engine answers as a real OPA server does, or refuses."""

from __future__ import annotations

import http.client
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opa import opa_server

from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.policyfiles import PolicySet
from fairmesh.catalog.rego import UNDEFINED, Program, RegoError, compile_policies

PROGRAMS = 6_000 if os.environ.get("FAIRMESH_SOAK") else 1_200
ONLY_OURS = (
    "a key that is no text", "fraction", "between -1 and 0", "rounded exactly", "array and a set", "is taken",
    "object.subset takes", "the empty text", "other case", "states no number", "two values", "divided by zero",
    "where a place",
)  # fmt: skip
"""Errors where OPA may have an answer: what is not exact, what OPA leaves undefined, what it does not reach."""

FUNCTIONS: dict[str, int] = {
    "count": 1, "sum": 1, "max": 1, "min": 1, "sort": 1, "upper": 1, "type_name": 1, "is_string": 1, "object.keys": 1,
    "to_number": 1, "round": 1, "abs": 1, "array.reverse": 1, "concat": 2, "split": 2, "array.concat": 2,
    "object.union": 2, "object.remove": 2, "object.filter": 2, "object.subset": 2, "contains": 2, "startswith": 2,
    "indexof": 2, "trim": 2, "object.get": 3, "array.slice": 3, "substring": 3, "replace": 3,
}  # fmt: skip
SCALARS = ("0", "1", "2", "3", "-1", "1.5", "1.0", '"a"', '"b"', '"ab"', '""', "true", "false", "null")
STEPS = (".a", ".b", ".c", "[0]", "[1]", ".xs", ".m")


class Author:
    """Writes a module of `package p`. Terms mostly come from the input, of which OPA's types say nothing."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0
        self.rules: list[str] = []
        self.functions: list[str] = []

    def one(self, *makers: Callable[[], str]) -> str:
        return self.chance.choice(makers)()

    def often(self, share: float) -> bool:
        return self.chance.random() < share

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def several(self, maker: Callable[[], str], least: int, most: int) -> str:
        return ", ".join(maker() for _ in range(self.chance.randint(least, most)))

    def term(self, depth: int, known: list[str]) -> str:
        if depth <= 0 or self.often(0.3):
            return self.chance.choice(known) if known and self.often(0.8) else self.chance.choice(SCALARS)
        if self.often(0.4):
            return "input" + "".join(self.chance.choice(STEPS) for _ in range(self.chance.randint(1, 2)))

        def inner() -> str:
            return self.term(depth - 1, known)

        return self.one(
            lambda: self.chance.choice(self.rules or ["input.a"]),
            lambda: f"{self.chance.choice(self.functions)}({inner()})" if self.functions else inner(),
            lambda: f"[{self.several(inner, 0, 2)}]",
            lambda: f"{{{self.several(inner, 1, 2)}}}",
            lambda: f'{{"a": {inner()}, "b": {inner()}}}',
            lambda: self.comprehension(depth - 1, known),
            lambda: self.comprehension(depth - 1, known),
            lambda: self.call(depth - 1, known),
            lambda: self.call(depth - 1, known),
            lambda: f"({inner()} {self.chance.choice('+-*&|%/')} {inner()})",
        )

    def call(self, depth: int, known: list[str]) -> str:
        name = self.chance.choice(list(FUNCTIONS))
        return f"{name}({', '.join(self.term(depth, known) for _ in range(FUNCTIONS[name]))})"

    def comprehension(self, depth: int, known: list[str]) -> str:
        inside = list(known)
        body = self.body(depth, inside, self.chance.randint(1, 2))

        def head() -> str:
            return self.chance.choice(inside) if inside and self.often(0.8) else self.chance.choice(SCALARS)

        return self.one(
            lambda: f"[{head()} | {body}]", lambda: f"{{{head()} | {body}}}", lambda: f"{{{head()}: {head()} | {body}}}"
        )

    def pattern(self, known: list[str]) -> str:
        if self.often(0.7):
            known.append(self.fresh())
            return known[-1]
        return self.one(
            lambda: f"[{self.several(lambda: self.pattern(known), 1, 2)}]", lambda: f'{{"a": {self.pattern(known)}}}'
        )

    def line(self, depth: int, known: list[str]) -> str:
        value = self.term(depth, known)
        return self.one(
            lambda: f"{self.name(known)} := {value}",
            lambda: f"{value} = {self.pattern(known)}",
            lambda: f"some {self.pattern(known)} in {value}",
            lambda: f"some {self.pattern(known)}, {self.pattern(known)} in {value}",
            lambda: self.enumeration(depth, known),
            lambda: f"not {self.condition(depth - 1, known)}",
            lambda: self.every(depth, value, known),
            lambda: self.condition(depth, known),
            lambda: self.condition(depth, known),
        )

    def name(self, known: list[str]) -> str:
        known.append(self.fresh())
        return known[-1]

    def enumeration(self, depth: int, known: list[str]) -> str:
        base = self.chance.choice(["input.xs", "input.m", "input.a", *self.rules])
        condition = f" {self.chance.choice(('==', '>', '!='))} {self.term(depth - 1, known)}"
        return f"{base}[{self.name(known)}]" + self.one(
            lambda: "", lambda: condition, lambda: f"[_] = {self.pattern(known)}"
        )

    def every(self, depth: int, domain: str, known: list[str]) -> str:
        name = self.fresh()
        inside = [*known, name]
        return f"every {name} in {domain} {{ {self.body(depth - 1, inside, 1)}; {name} != {self.term(0, inside)} }}"

    def condition(self, depth: int, known: list[str]) -> str:
        left, right = self.term(depth, known), self.term(depth, known)
        operator = self.chance.choice(("==", "!=", "<", "<=", ">", ">=", "in", "in", ""))
        return f"{left} {operator} {right}" if operator else left

    def body(self, depth: int, known: list[str], lines: int) -> str:
        before = len(known)
        found = [self.line(depth, known) for _ in range(lines)]
        if known[before:]:  # a declared name that nothing uses is refused
            found.append(f"[{', '.join(known[before:])}] != 0")
        if self.often(0.05):
            self.chance.shuffle(found)
        return "; ".join(found)

    def definition(self, name: str, kind: str) -> str:
        known = ["x"] if kind == "function" else []
        body = self.body(2, known, self.chance.randint(1, 3))
        value = self.term(1, known)
        if kind == "set":
            return f"{name} contains {value} if {{ {body} }}"
        if kind == "object":
            return f"{name}[{self.term(1, known)}] := {value} if {{ {body} }}"
        known = ["x"] if kind == "function" else []
        head = f"{name}(x)" if kind == "function" else name
        other = f" else := {self.term(1, known)} if {{ {self.body(1, known, 1)} }}" if self.often(0.4) else ""
        return f"{head} := {value} if {{ {body} }}{other}"

    def module(self) -> str:
        parts = ["package p"]
        for index in range(self.chance.randint(1, 4)):
            name, kind = f"r{index}", self.chance.choice(("complete", "complete", "set", "object", "function"))
            parts += [self.definition(name, kind) for _ in range(self.chance.randint(1, 2))]
            if kind == "complete" and self.often(0.3):
                parts.append(f"default {name} := {self.chance.choice(SCALARS)}")
            (self.functions if kind == "function" else self.rules).append(name)
        return "\n\n".join(parts) + "\n"


def some_value(chance: random.Random, depth: int) -> Any:
    if depth <= 0 or chance.random() < 0.4:
        return chance.choice([0, 1, 2, 3, -1, 1.5, "a", "b", "ab", "", True, False, None, "aba"])
    if chance.random() < 0.5:
        return [some_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    return {chance.choice("abxs0"): some_value(chance, depth - 1) for _ in range(chance.randint(0, 3))}


def some_input(chance: random.Random) -> dict[str, Any]:
    found = {key: some_value(chance, 2) for key in "abc" if chance.random() < 0.8}
    found["xs"] = [some_value(chance, 1) for _ in range(chance.randint(0, 4))]
    found["m"] = {chance.choice("abcd"): some_value(chance, 1) for _ in range(chance.randint(0, 3))}
    return found


class Opa:
    """One connection to a server."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"))

    def request(self, method: str, path: str, body: str, kind: str) -> tuple[int, Any]:
        self.connection.request(method, path, body.encode(), {"Content-Type": kind})
        response = self.connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")

    def load(self, text: str) -> bool:
        return self.request("PUT", "/v1/policies/p", text, "text/plain")[0] == 200

    def ask(self, rule: str, text: str) -> tuple[int, Any]:
        path = f"/v1/data/p/{rule}?strict-builtin-errors=true"
        status, found = self.request("POST", path, f'{{"input": {text}}}', "application/json")
        return status, found.get("result", UNDEFINED)


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opa]:
    with opa_server(tmp_path_factory.mktemp("empty")) as url:
        opened = Opa(url)
        yield opened
        opened.connection.close()


def compiled(text: str, rules: list[str]) -> Program | None:
    try:
        return compile_policies(PolicySet.from_files({"p.rego": text.encode()}), tuple(f"p/{rule}" for rule in rules))
    except ConfigError:
        return None


def same(left: object, right: object) -> bool:
    return left is right if UNDEFINED in (left, right) else normal(left) == normal(right)


def normal(found: object) -> str:
    """JSON in which 1.0 is 1."""
    return json.dumps(json.loads(json.dumps(found), parse_float=_number), sort_keys=True)


def _number(text: str) -> float:
    return int(float(text)) if float(text).is_integer() else float(text)


def compare(opa: Opa, program: Program, rule: str, text: str) -> str:
    """What came of one question: same, refused here, refused by both, or a difference in words."""
    status, wanted = opa.ask(rule, text)
    try:
        found = program.evaluate(text, f"p/{rule}", seconds=20.0)
    except RegoError as error:
        if status != 200:
            return "refused by both"
        return "refused here" if any(words in str(error) for words in ONLY_OURS) else f"{rule}: {error} for {wanted}"
    if status != 200:
        return f"{rule}: {found} where OPA fails"
    return "same" if same(found, wanted) else f"{rule}: {found} for {wanted}"


def test_random_programs_give_what_opa_gives(opa: Opa) -> None:
    seen: Counter[str] = Counter()
    differences = []
    for seed in range(PROGRAMS):
        chance = random.Random(seed)
        author = Author(chance)
        text = author.module()
        program, accepted = compiled(text, author.rules), opa.load(text)
        seen["programs"] += accepted and program is not None
        for _ in range(3 if accepted and program is not None else 0):
            given = json.dumps(some_input(chance))
            for rule in author.rules:
                assert program is not None
                outcome = compare(opa, program, rule, given)
                if outcome in ("same", "refused here", "refused by both"):
                    seen[outcome] += 1
                else:
                    differences.append((seed, outcome, given))
    print(dict(seen))
    assert differences == []
    assert seen["programs"] >= PROGRAMS // 12
    assert seen["same"] >= 3 * seen["refused here"]


ANY = """package p

r0 := input

r1 := [sort(input), count(input)]

r2 contains {k: v} if some k, v in input

r3 := {"is": type_name(input.a), "in": {v | some v in input.a}, "at": [k | input.a[k]], "same": input.a == input.b}

r4 := "more" if input.a > input.b

else := "less" if input.a < input.b

r5[k] := v if some k, v in input.a

r6 := [upper(input.a), split(input.a, input.b), indexof(input.a, input.b), trim(input.a, input.b), count(input.a)]

r7 := [input.a + input.b, input.a * input.b, input.a - input.b]

r8 if not input.a == input.b

r9 := format_int(input.a, 10)
"""
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([2**53 + 1, 2**63, 2**64 + 1, 2**70, -(2**70), 10**30]),
    st.decimals(-1000, 1000, allow_nan=False, places=3).map(float), texts,
    st.sampled_from(["\0", '"', "\\", "\u2028", "𝒳", "ß"]),
)  # fmt: skip
values = st.recursive(leaves, lambda of: st.one_of(st.lists(of, max_size=4), st.dictionaries(texts, of, max_size=4)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.one_of(st.lists(values, max_size=4), st.fixed_dictionaries({"a": values, "b": values})))
def test_hostile_values_give_what_opa_gives(opa: Opa, given: object) -> None:
    rules = [f"r{index}" for index in range(10)]
    program = compiled(ANY, rules)
    assert program is not None
    assert opa.load(ANY)
    for rule in rules:
        outcome = compare(opa, program, rule, json.dumps(given, ensure_ascii=False))
        assert outcome in ("same", "refused here", "refused by both")


HOSTILE = {
    "a million characters": json.dumps({"a": "x" * 1_000_000, "b": "x"}),
    "a deep nest": '{"a": ' + "[" * 90 + "]" * 90 + "}",
    "a deeper nest": '{"a": ' + "[" * 3_000 + "]" * 3_000 + "}",
    "a number of many digits": '{"a": ' + "9" * 900 + "}",
    "a number of too many digits": '{"a": ' + "9" * 5_000 + "}",
    "a great exponent": '{"a": 1e400}',
    "one key twice": '{"a": 1, "a": 2}',
    "a lone surrogate": '{"a": "\\ud800"}',
    "surrogates in pairs": '{"a": "\\ud83d\\ude00", "b": "\U0001f600"}',
    "minus zero": '{"a": -0, "b": 0}',
    "one and one": '{"a": 1.0, "b": 1}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_give_what_opa_gives_or_are_refused(opa: Opa, name: str) -> None:
    program = compiled(ANY, ["r3", "r4", "r8"])
    assert program is not None
    assert opa.load(ANY)
    for rule in ("r3", "r4", "r8"):
        status, wanted = opa.ask(rule, HOSTILE[name])
        try:
            found = program.evaluate(HOSTILE[name], f"p/{rule}")
        except RegoError:
            continue
        assert status == 200
        assert same(found, wanted)
