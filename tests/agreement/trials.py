"""Mutants run through two engines and counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from agreement import known
from agreement.judges import Judge, Rules, Run, Verdict, agree, compiled, reference
from agreement.mutants import DataMutator, ShapesMutator
from agreement.reports import Row
from agreement.seeds import Seed
from fairmesh.catalog.rdf import Triple

SOAK = 40 if os.environ.get("FAIRMESH_SOAK") else 1
"""How many times as many mutants."""

PARTS = {"our profile": 400, "DCAT-AP": 450, "W3C's tests": 1200, "W3C's SPARQL tests": 150}
"""Mutants by part of the fuzzing, as docs/validator.md states them."""

LEFT_OPEN: dict[str, tuple[int, dict[str, int]]] = {
    "DCAT-AP": (12, {"ill-formed": 6, "recursive": 3, "regex": 3}),
    "W3C's tests": (69, {
        "ill-formed": 51, "recursive": 18, "closed-resource": 7, "incomparable": 6, "regex": 6, "half-declared": 3,
    }),
    "W3C's SPARQL tests": (27, {"ill-formed": 15, "closed-resource": 3, "false-filter": 3}),
}  # fmt: skip
"""Mutants that both engines refuse and known disagreements, by part: of our profile, which changes, a share is told."""

PER_RULES = 3
"""Mutants of data under one set of shapes: preparing shapes takes longer than running them once."""


@dataclass
class Tally:
    """What a part of the fuzzing saw. `unlisted` are the disagreements nothing explains, ready to be read."""

    mutants: int = 0
    with_results: int = 0
    changed: int = 0
    refused: int = 0
    known: Counter[str] = field(default_factory=Counter)
    unlisted: list[str] = field(default_factory=list)

    def add(self, mutant: Mutant, one: Verdict, other: Verdict, before: Verdict) -> None:
        self.mutants += 1
        self.with_results += bool(one.rows)
        self.changed += one != before
        self.refused += bool(one.refused and other.refused)

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {count}" for name, count in self.known.most_common()) or "none"
        return (
            f"{self.mutants} mutants, {self.changed} judged unlike their seed, {self.with_results} with results, "
            f"{self.refused} refused by both; known disagreements: {listed}; unlisted: {len(self.unlisted)}"
        )


@dataclass(frozen=True)
class Mutant:
    """Rules and data to judge; at least one of them is a mutant of the seed's."""

    name: str
    seed: Seed
    rules: Rules
    data: list[Triple]


def mutants(seeds: Sequence[Seed], number: int) -> Iterator[Mutant]:
    """`number` mutants of the seeds in turn: of the data under the seed's rules, then under mutated ones."""
    left = number
    for turn in count():
        for seed in seeds:
            rules = _rules(seed, turn)
            for at in range(min(PER_RULES, left)):
                name = f"{seed.name} {turn}.{at}"
                # mutated shapes meet the data as it was, too
                data = seed.data if turn and not at else DataMutator(name, seed.data, rules.shapes).mutant()
                yield Mutant(name, seed, rules, seed.complete(data))
                left -= 1
            if not left:
                return


def _rules(seed: Seed, turn: int) -> Rules:
    """The seed's own rules at first, then mutants of them."""
    if turn == 0:
        return seed.rules
    base = seed.mutable or seed.rules
    shapes = ShapesMutator(f"{seed.name} {turn}", base.shapes, seed.data).mutant()
    return Rules(shapes, base.background, base.ignored)


class Bench:
    """A judge that keeps what it prepared for the last rules and for those that many seeds share."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._kept: dict[int, tuple[Rules, Run]] = {}
        self._last: tuple[Rules, Run] | None = None

    def __call__(self, rules: Rules, data: Sequence[Triple], *, shared: bool) -> Verdict:
        kept = self._kept.get(id(rules)) if shared else self._last
        if kept is None or kept[0] is not rules:
            kept = (rules, self._judge(rules))
            if shared:
                self._kept[id(rules)] = kept
            else:
                self._last = kept
        return kept[1](data)

    def judge(self, mutant: Mutant) -> Verdict:
        return self(mutant.rules, mutant.data, shared=mutant.rules is mutant.seed.rules)


def run(seeds: Sequence[Seed], *, number: int, first: Judge = compiled, second: Judge = reference) -> Tally:
    """Judge `number` mutants twice."""
    tally, one, other = Tally(), Bench(first), Bench(second)
    before = {seed.name: one(seed.rules, seed.complete(seed.data), shared=True) for seed in seeds}
    for mutant in mutants(seeds, number * SOAK):
        verdicts = one.judge(mutant), other.judge(mutant)
        tally.add(mutant, *verdicts, before[mutant.seed.name])
        if not agree(*verdicts):
            reason = known.explain(mutant.rules, mutant.data, first, second)
            if reason is None:
                tally.unlisted.append(describe(mutant.name, *verdicts))
            else:
                tally.known[reason] += 1
    return tally


def check(part: str, tally: Tally) -> None:
    """Fail on a disagreement that is not listed, and on fuzzing that hardly changes anything."""
    print(f"{part}: {tally}")
    assert not tally.unlisted, "\n".join(tally.unlisted[:5])
    assert tally.mutants == PARTS[part] * SOAK
    assert tally.changed > tally.mutants / 4
    assert tally.with_results > tally.mutants / 2
    if part in LEFT_OPEN and SOAK == 1:
        assert (tally.refused, dict(tally.known)) == LEFT_OPEN[part], "other mutants than before are left open"
    share = 3 if part in LEFT_OPEN else 10
    assert sum(tally.known.values()) + tally.refused < tally.mutants / share, "too much is left open to judge the rest"


def describe(name: str, one: Verdict, other: Verdict) -> str:
    def lines(rows: Counter[Row]) -> str:
        return "".join(f"\n    {count} x {row}" for row, count in sorted(rows.items(), key=str)) or " none"

    return (
        f"{name}\n  first refuses: {one.refused or 'no'}\n  second refuses: {other.refused or 'no'}"
        f"\n  only the first:{lines(one.rows - other.rows)}\n  only the second:{lines(other.rows - one.rows)}"
    )
