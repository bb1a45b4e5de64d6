"""What policy hides does not exist for the caller: `answer(W, s, q) == answer(W without what s may not see, s, q)`.

Meshes, subjects, policies and requests are drawn; requests are made from the served schema, so that a new field is
asked for the day it appears, and over HTTP. Both meshes answer through the real service, under both policy engines.
Leaks planted on purpose must be found. `FAIRMESH_SOAK=1` draws ten times as many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from law.asking import ANYTHING, Focus
from law.leaks import PLANTS
from law.meshes import SUBJECTS, Case, cases
from law.policies import POOL
from law.trial import Difference, Trial, embedded, open_trial
from opa import opa_server

from fairmesh.catalog.access import Engine, OpaEngine, PolicySet

SOAK = bool(os.environ.get("FAIRMESH_SOAK"))
START = Random().getrandbits(32) if SOAK else 0
"""The seed of the first round."""
PAIRS = 1000 if SOAK else 100
LEAST_COMPARISONS = 20 * PAIRS
PLANTED_PAIRS = 150
"""Pairs of meshes that may be drawn until a planted leak shows; most show in the first few."""


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Under the embedded engine."""
    with open_trial(embedded, tmp_path_factory.mktemp("embedded")) as made:
        yield made


@pytest.fixture(scope="module")
def trial_by_opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Under a real OPA server for each policy."""

    def engine(opened: ExitStack, place: Path, policies: PolicySet) -> Engine:
        url = opened.enter_context(opa_server(place))
        return OpaEngine(url, policies, chunk_seconds=10, scope_seconds=30)

    with open_trial(engine, tmp_path_factory.mktemp("opa")) as made:
        yield made


ROUND = 5
OFTEN = (*POOL, "fields", "links")
"""The policies in turn; those with most to hide come twice."""


def first_difference(trial: Trial, pairs: int, focus: Focus = ANYTHING) -> Difference | None:
    """Draw pairs of meshes, `ROUND` of them under one policy after the other, until a pair differs. What is drawn is
    the same in every run, but for a soak."""
    names, policies = focus.names or tuple(SUBJECTS), focus.policies or OFTEN
    for place in range(START, START + pairs // ROUND):
        drawn = cases(names, (policies[place % len(policies)],), focus.traps)
        found = _round(trial, place, drawn, focus)
        if found is not None:
            return found
    return None


def _round(trial: Trial, place: int, drawn: st.SearchStrategy[Case], focus: Focus) -> Difference | None:
    found: list[Difference] = []

    @seed(place)
    @settings(max_examples=ROUND, deadline=None, database=None, phases=(Phase.generate,),
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=drawn, number=st.integers(0, 2**32))
    def hear(case: Case, number: int) -> None:
        if not found:
            found.extend(filter(None, [trial.hear(case, number, focus)]))

    hear()
    return found[0] if found else None


def insist(trial: Trial) -> None:
    """No pair of meshes may differ, and enough must have been asked."""
    difference = first_difference(trial, PAIRS)
    assert difference is None, str(trial.least(difference))
    asked = f"{trial.comparisons} comparisons on {trial.pairs} pairs of meshes, {trial.unequal} of them unequal"
    print(f"from {START}: {asked}: {dict(trial.statuses)} {dict(trial.drawn)}")
    assert trial.faults == []
    assert trial.pairs >= PAIRS
    assert trial.comparisons >= LEAST_COMPARISONS
    assert trial.unequal == trial.pairs
    assert set(trial.drawn) == {*SUBJECTS, *POOL}


def test_what_is_hidden_shows_in_no_answer(trial: Trial) -> None:
    insist(trial)


def test_nor_when_an_opa_server_decides(trial_by_opa: Trial) -> None:
    insist(trial_by_opa)


def test_both_engines_gave_the_same_answers(trial: Trial, trial_by_opa: Trial) -> None:
    asked = 20 * PAIRS
    for each in (trial, trial_by_opa):
        if len(each.record) < asked:
            insist(each)
    assert trial.record[:asked] == trial_by_opa.record[:asked]


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_leak_is_found(trial: Trial, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = PLANTS[name]
    plant.put(monkeypatch)
    before = trial.pairs
    found = first_difference(trial, PLANTED_PAIRS, plant.focus)
    print(f"{name}: found after {trial.pairs - before} pairs" if found else f"{name}: not found")
    assert found is not None
    assert found.whole.status < 500
    assert b"INTERNAL" not in found.whole.body
