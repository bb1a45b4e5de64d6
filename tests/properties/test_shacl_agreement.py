"""Mutants of W3C's tests: both engines say the same, or the difference is listed. How the fuzzing itself is tested.

The parts of the fuzzing lie in files of their own, so that they run beside each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from agreement import trials
from agreement.judges import Rules, Run, Verdict, compiled
from agreement.known import KNOWN
from agreement.reports import SH
from agreement.seeds import ROOT, w3c

from fairmesh.catalog.rdf import Triple


def test_w3c(shared: Path) -> None:
    tally = trials.run(w3c(shared), number=trials.PARTS["W3C's tests"])
    trials.check("W3C's tests", tally)


def test_w3c_sparql(shared: Path) -> None:
    tally = trials.run(w3c(shared, "sparql"), number=trials.PARTS["W3C's SPARQL tests"])
    trials.check("W3C's SPARQL tests", tally)


def test_there_are_enough_mutants() -> None:
    assert sum(trials.PARTS.values()) >= 2000


@pytest.mark.parametrize("kind", ["MaxLength", "MinInclusive", "LessThan", "Pattern", "Closed", "Or"])
def test_an_engine_that_forgets_one_kind_of_constraint_is_found_out(kind: str, shared: Path) -> None:
    def forgetful(rules: Rules) -> Run:
        run, component = compiled(rules), f"{SH}{kind}ConstraintComponent"

        def forget(data: Sequence[Triple]) -> Verdict:
            found = run(data)
            return replace(found, rows=Counter({r: n for r, n in found.rows.items() if r[2] != component}))

        return forget

    tally = trials.run(w3c(shared), number=600, first=compiled, second=forgetful)
    assert tally.unlisted
    assert all(f"#{kind}ConstraintComponent" in text for text in tally.unlisted)


def test_the_same_seeds_make_the_same_mutants(shared: Path) -> None:
    seeds = w3c(shared)[::10]
    one, other = (str(trials.run(seeds, number=60, first=compiled, second=compiled)) for _ in range(2))
    assert one == other


def test_each_known_disagreement_names_its_clause_and_who_is_right() -> None:
    assert len({known.name for known in KNOWN}) == len(KNOWN)
    for known in KNOWN:
        assert known.clause[0].isdigit(), known
        assert known.right in ("compiled", "pyshacl", "neither"), known


def test_the_page_states_what_is_tested() -> None:
    page = (ROOT / "docs" / "validator.md").read_text("utf-8")
    for part, number in trials.PARTS.items():
        assert f"| {part} | {number} | 0 |" in page
    for known in KNOWN:
        assert f"| {known.name} | {known.what} | {known.clause} | {known.right} |" in page
