"""What policy hides does not exist for the caller: `answer(W, s, q) == answer(W without what s may not see, s, q)`.

Meshes, subjects and requests are drawn; requests are made from the served schema, so that a new field is asked for the
day it appears, and over HTTP. Both meshes answer through the real service. Leaks planted on purpose must be found.
`FAIRMESH_SOAK=1` draws ten times as many and plants every leak, not only the quickly found.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from law.leaks import PLANTS
from law.meshes import SUBJECTS, Event, histories, write_policies
from law.trial import Difference, Trial, open_trial
from meshes import RememberingEngine
from opa import opa_server

from fairmesh.catalog.access import Access, OpaEngine, PolicySet

SOAK = bool(os.environ.get("FAIRMESH_SOAK"))


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Under the embedded engine."""
    policies = PolicySet.load(write_policies(tmp_path_factory.mktemp("policies")))
    access = Access(RememberingEngine(policies, workers=1), policies)
    with open_trial(access, tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture(scope="module")
def trial_by_opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Under a real OPA server."""
    folder = write_policies(tmp_path_factory.mktemp("policies"))
    policies = PolicySet.load(folder)
    with opa_server(folder) as url:
        access = Access(OpaEngine(url, policies, chunk_seconds=10, scope_seconds=30), policies)
        with open_trial(access, tmp_path_factory.mktemp("data")) as made:
            yield made


cases = st.sampled_from([*SUBJECTS, "people", "sales"]).flatmap(lambda name: st.tuples(st.just(name), histories(name)))


def first_difference(trial: Trial, pairs: int, *, soak: bool = SOAK) -> Difference | None:
    """Draw pairs of meshes until one differs; what is found has been made small already."""
    found: list[Difference] = []

    @settings(
        max_examples=pairs * (10 if soak else 1), deadline=None, derandomize=not soak, database=None,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, seed=st.integers(0, 2**32))
    def hear(case: tuple[str, list[Event]], seed: int) -> None:
        if not found:
            found.extend(filter(None, [trial.hear(*case, seed)]))

    hear()
    return found[0] if found else None


def test_what_is_hidden_shows_in_no_answer(trial: Trial) -> None:
    difference = first_difference(trial, 40)
    assert difference is None, str(difference)


def test_nor_when_an_opa_server_decides(trial_by_opa: Trial) -> None:
    difference = first_difference(trial_by_opa, 12)
    assert difference is None, str(difference)


QUICK = ("count_before_filter", "facets_over_all")
"""Plants that few meshes bring to light; the others take minutes each."""


@pytest.mark.parametrize("name", PLANTS if SOAK else QUICK)
def test_a_planted_leak_is_found(trial: Trial, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTS[name](monkeypatch)
    assert first_difference(trial, 60, soak=False) is not None
