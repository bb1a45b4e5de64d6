"""Rules that do not end, in a mesh: who is told what, who waits, and how often they are run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from governing import COST, Governed, Rule, governed, org, rule_files, until
from samples import STEWARD, producer, product, register

from fairmesh.catalog import governance, ruling
from fairmesh.catalog.errors import Conflict, FairmeshError, InputError, WorkerFailed
from fairmesh.catalog.governance import Case, Judgement, Validator
from fairmesh.catalog.model import EntryKind
from fairmesh.catalog.ruleimpact import rule_impact
from fairmesh.catalog.ruling import RefusedRules, RulesPublished
from fairmesh.catalog.workers import Pool

MOBILITY = producer("mobility")
OTHER = replace(STEWARD, id="another-steward")
EXTENT = "<{k}> <http://purl.org/dc/terms/extent> 1 ."
ENDLESS = Rule(
    "endless",
    """sh:sparql [ sh:select '''SELECT $this WHERE { $this <http://purl.org/dc/terms/extent> 1 .
  ?a ?p ?b . ?c ?q ?d . ?e ?r ?f . ?g ?s ?h . ?i ?t ?j . ?k ?u ?l
  FILTER (STRLEN(CONCAT(STR(?b), STR(?d), STR(?f), STR(?h), STR(?j), STR(?l))) = 0) }''' ]""",
    broken=EXTENT,
)
"""Ends on products without `EXTENT` alone."""
FILES = rule_files(ENDLESS, level="domains/mobility")
LATE = "it took longer than 0.5 s and was stopped"


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Governed]:
    monkeypatch.setattr(governance, "_FIRST", 2.0)
    monkeypatch.setattr(governance, "_ALONE", 0.5)
    with governed(tmp_path / "data") as made:
        yield made


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often the endless rule was run alone, by the number of products."""
    found: Counter[int] = Counter()
    call = Pool.call

    def noting(self: Pool, function: Callable[..., Any], *args: Any, timeout: float) -> Any:
        if getattr(args[-1], "only", None) == "org/acme/endless":
            found[len(args[0])] += 1
        return call(self, function, *args, timeout=timeout)

    monkeypatch.setattr(Pool, "call", noting)
    return found


# -- publishing -------------------------------------------------------------------------------------------------------


def test_a_set_with_a_rule_that_does_not_end_is_refused_and_the_rule_named_with_file_and_line(mesh: Governed) -> None:
    with pytest.raises(RefusedRules) as refused:
        mesh.publish(FILES, MOBILITY, domain="mobility")
    (problem,) = [each for each in refused.value.problems if each.error]
    shapes = "domains/mobility/shapes.ttl"
    lines = FILES[shapes].decode().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "domains/mobility/endless" in text)
    example = "domains/mobility/examples/bad-endless-so.ttl"
    assert (problem.file, problem.line) == (shapes, line)
    assert problem.what == f"domains/mobility/endless could not be evaluated on {example}: {LATE}"
    assert "Narrow the rule's query" in problem.remedy
    assert len(mesh.entries(EntryKind.RULES)) == 1, "the folder's"


def test_examples_that_take_too_long_together_are_not_all_tried(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruling, "TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(ruling.RulePublishing, "_linted", lambda *_: [])
    with pytest.raises(RefusedRules, match="it was not tried: the time for all examples was used up"):
        mesh.publish(FILES, MOBILITY, domain="mobility")


def test_a_set_that_cannot_be_linted_in_time_is_refused_in_the_words_of_its_author(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruling, "TRIAL_SECONDS", 0.0)
    with pytest.raises(InputError, match="the rule set could not be linted: it took longer than 0 s") as refused:
        mesh.publish(FILES, MOBILITY, domain="mobility")
    assert refused.value.code == "rule-set"


class Trial:
    """A producer publishes rules of their domain, and the first example is being tried until `finish`."""

    def __init__(self, mesh: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
        self._inside, self._go = threading.Event(), threading.Event()
        self._mesh = mesh
        self.found: list[RulesPublished | FairmeshError] = []
        honest = Validator.judge_many

        def judge_many(validator: Validator, cases: Sequence[Case], **asked: Any) -> list[Judgement]:
            if not self._inside.is_set():
                self._inside.set()
                assert self._go.wait(60)
            return honest(validator, cases, **asked)

        monkeypatch.setattr(Validator, "judge_many", judge_many)
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()
        assert self._inside.wait(60)

    def _publish(self) -> None:
        try:
            done = self._mesh.publish(rule_files(COST, level="domains/mobility"), MOBILITY, domain="mobility")
        except FairmeshError as error:
            self.found.append(error)
        else:
            self.found.append(done)

    def finish(self) -> RulesPublished | FairmeshError:
        self._go.set()
        self._thread.join(60)
        (found,) = self.found
        return found


def test_nobody_is_kept_from_publishing_by_a_set_that_is_being_tried(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(mesh, monkeypatch)
    assert mesh.publish(org(COST), STEWARD).change == "published"
    done = trial.finish()
    assert isinstance(done, RulesPublished)
    assert [(change.rule, change.after) for change in done.changes] == [("domains/mobility/cost", "gate")]
    in_force = mesh.catalog.rulings.current
    assert in_force.digest == done.digest
    assert {"org/acme/cost", "domains/mobility/cost"} <= {rule.id for rule in in_force.rules.rules}


def test_what_is_tried_is_compared_with_the_set_that_came_into_force_meanwhile(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(mesh, monkeypatch)
    mesh.publish(rule_files(COST, level="domains/mobility"), STEWARD, domain="mobility")
    done = trial.finish()
    assert isinstance(done, RulesPublished)
    assert (done.change, len(mesh.entries(EntryKind.RULES))) == ("unchanged", 2)


def test_of_one_author_one_set_is_tried_at_a_time(mesh: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(mesh, monkeypatch)
    for dry_run in (False, True):
        with pytest.raises(Conflict, match="another rule set of yours is being tried"):
            mesh.publish({}, MOBILITY, domain="mobility", dry_run=dry_run)
    assert isinstance(trial.finish(), RulesPublished)
    assert mesh.publish({}, MOBILITY, domain="mobility").change == "published"


# -- passes -----------------------------------------------------------------------------------------------------------


def load(mesh: Governed, count: int) -> None:
    keys = [f"sales.p{number}" for number in range(count)]
    register(mesh.catalog, *(product(key, extra=EXTENT.format(k=key)) for key in keys))


def test_impact_runs_a_rule_that_does_not_end_on_three_products(mesh: Governed, runs: Counter[int]) -> None:
    load(mesh, 6)
    found = rule_impact(mesh.catalog, STEWARD, org(ENDLESS, COST), mesh.catalog.access, channel="http")
    assert (found.products, found.failed) == (6, {"org/acme/endless": 6})
    assert [(row.key, row.failing) for row in found.by_rule] == [("org/acme/cost", 6)], "all else is decided on"
    assert runs[1] == 3


def test_judging_all_anew_runs_a_rule_that_does_not_end_on_three_products(
    mesh: Governed, runs: Counter[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(mesh, 6)
    monkeypatch.setattr(ruling, "check_examples", lambda *_, **__: ())
    mesh.publish(org(ENDLESS))
    mesh.settle()
    assert runs.pop(1) == 3
    standings = mesh.catalog.storage.standings.by_slot.values()
    assert [standing.failed for standing in standings] == [("org/acme/endless",)] * 6
    mesh.catalog.judge.everything(lambda _: None)
    assert runs[1] == 3
    assert [standing.failed for standing in standings] == [("org/acme/endless",)] * 6


def test_a_service_that_ends_does_not_wait_for_what_is_tried(mesh: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    load(mesh, 2)
    for name in ("_FIRST", "TIMEOUT"):
        monkeypatch.setattr(governance, name, 600.0)
    found: list[FairmeshError] = []

    def ask() -> None:
        try:
            rule_impact(mesh.catalog, STEWARD, org(ENDLESS), mesh.catalog.access, channel="http")
        except FairmeshError as error:
            found.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: len(mesh.catalog.rulings._validators) == 2)
    mesh.catalog.rulings.end_trials()
    asking.join(60)
    (error,) = found
    assert isinstance(error, WorkerFailed)
    load(mesh, 3)
    with pytest.raises(WorkerFailed):
        mesh.publish(org(COST), OTHER)
