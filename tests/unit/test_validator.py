"""Validation in killable processes: what a rule may cost, and who pays for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fairmesh.catalog import governance, rdf
from fairmesh.catalog.errors import WorkerFailed
from fairmesh.catalog.governance import ENGINES, Case, RuleSet, Stops, Validator, validate
from fairmesh.catalog.model import Report
from fairmesh.catalog.rdf import PREFIXES

BASE = "http://localhost/id/"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRODUCT = BASE + "sales.orders"
PREFIX_LINES = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items())


def rule(number: int, body: str, message: str = "Add a title.") -> str:
    return (
        f"<https://w3id.org/fairmesh/rules/core/0{number}> a sh:NodeShape ; sh:targetClass dprod:DataProduct ;"
        f" fm:mode fm:gate ; dct:creator 'Governance' ; sh:message '{message}' ; {body} .\n"
    )


ENDLESS = rule(1, """sh:sparql [ sh:select '''SELECT $this WHERE { $this <http://purl.org/dc/terms/extent> 1 .
  ?a ?p ?b . ?c ?q ?d . ?e ?r ?f . ?g ?s ?h . ?i ?t ?j . ?k ?u ?l
  FILTER (STRLEN(CONCAT(STR(?b), STR(?d), STR(?f), STR(?h), STR(?j), STR(?l))) = 0) }''' ]""")  # fmt: skip
"""Does not end on a product with `dct:extent 1`."""
FAILING = rule(2, "sh:sparql [ sh:select 'SELECT $this (true AS ?failure) WHERE { }' ]")
TITLE = rule(3, "sh:property [ sh:path dct:title ; sh:minCount 1 ]")
SMALL = rule(4, "sh:property [ sh:path dct:extent ; sh:maxInclusive 5 ]")
WIDE = " ".join(f"<sales.orders/{n}> dct:title 'x{n}' ." for n in range(60))


def rules(shapes: str, engine: str = "compiled") -> RuleSet:
    return RuleSet({"core/shapes.ttl": (PREFIX_LINES + shapes).encode()}, engine)


def case(extent: int) -> Case:
    """A product without a title."""
    text = f"{PREFIX_LINES} <sales.orders> a dprod:DataProduct ; dct:extent {extent} . {WIDE}"
    triples = [q.triple for q in rdf.parse(text.encode(), rdf.TURTLE, iri_base=BASE).quads]
    own = frozenset(rdf.iri_of(triple.subject) or "" for triple in triples)
    return Case(rdf.canonical(triples), b"", PRODUCT, "sales", own)


def judged(rules: RuleSet, given: Case) -> Report:
    return validate(
        rules, given.document, b"", product=PRODUCT, domain="sales", own=given.own, iri_base=BASE, now=NOW
    )  # fmt: skip


def judge(validator: Validator, *cases: Case, timeout: float = 20.0, stops: Stops | None = None) -> list[Report]:
    judged = validator.judge_many(cases, iri_base=BASE, now=NOW, timeout=timeout, stops=stops)
    return [found.report for found in judged]


# -- what ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_validator_answers_many_threads_as_the_function_does(engine: str) -> None:
    ruleset = rules(TITLE + SMALL, engine)
    cases = [case(extent) for extent in range(12)]
    answers: dict[int, Report] = {}
    with closing(Validator(ruleset, 2)) as validator:

        def ask(number: int) -> None:
            given = cases[number]
            answers[number] = validator.validate(
                given.document, b"", product=PRODUCT, domain="sales", own=given.own, iri_base=BASE, now=NOW
            )

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(cases))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        together = judge(validator, *cases)
    expected = [judged(ruleset, given) for given in cases]
    assert [answers[number] for number in range(len(cases))] == expected == together
    assert {len(report.findings) for report in expected} == {1, 2}


def test_no_cases_have_no_reports() -> None:
    with closing(Validator(rules(TITLE), 1)) as validator:
        assert judge(validator) == []


def test_a_closed_validator_says_so() -> None:
    validator = Validator(rules(TITLE), 1)
    validator.close()
    with pytest.raises(WorkerFailed, match="closed"):
        judge(validator, case(1))


# -- what does not end ------------------------------------------------------------------------------------------------

SHORT = 0.5
"""Seconds for rules that end at once; the endless one would take years."""
ENDED = (("core/02", "the query reports a failure"),)
STOPPED = (("core/01", f"it took longer than {SHORT} s and was stopped"), *ENDED)


@pytest.fixture
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Validator]:
    monkeypatch.setattr(governance, "_ALONE", SHORT)
    with closing(Validator(rules(ENDLESS + FAILING + TITLE, getattr(request, "param", "compiled")), 1)) as validator:
        yield validator


@pytest.mark.parametrize("impatient", ENGINES, indirect=True)
def test_a_rule_that_does_not_end_is_stopped_and_all_others_are_decided_on(impatient: Validator) -> None:
    given = case(1)
    report = impatient.validate(
        given.document, b"", product=PRODUCT, domain="sales", own=given.own, iri_base=BASE, now=NOW, timeout=1.0
    )
    assert report.failed == STOPPED
    assert [f.rule for f in report.findings] == ["core/03"]
    assert judge(impatient, case(2))[0].failed == ENDED


def test_a_rule_that_does_not_end_is_stopped_for_its_product_alone(impatient: Validator) -> None:
    reports = judge(impatient, *(case(extent) for extent in (2, 1, 3)), timeout=1.0)
    assert [report.failed for report in reports] == [ENDED, STOPPED, ENDED]
    assert {tuple(f.rule for f in report.findings) for report in reports} == {("core/03",)}


def test_nobody_waits_long_for_a_rule_that_was_stopped_often(
    impatient: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    call = impatient.processes.call

    def noting(*args: Any, timeout: float) -> Any:
        limits.append(timeout)
        return call(*args, timeout=timeout)

    monkeypatch.setattr(impatient.processes, "call", noting)
    monkeypatch.setattr(governance, "_PATIENCE", 2)
    for _ in range(2):
        assert judge(impatient, case(1), timeout=1.0)[0].failed == STOPPED
    limits.clear()
    assert judge(impatient, case(1))[0].failed == STOPPED
    assert limits == [governance._FIRST, SHORT], "the others at once, and the slow one alone"


def test_a_rule_that_was_stopped_on_three_products_of_a_pass_is_not_run_on_those_that_are_left(
    impatient: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[int] = []
    call = impatient.processes.call

    def noting(function: Any, cases: Any, terms: Any, *, timeout: float) -> Any:
        if terms.only == "core/01":
            alone.append(len(cases))
        return call(function, cases, terms, timeout=timeout)

    monkeypatch.setattr(impatient.processes, "call", noting)
    stops = Stops()
    first = judge(impatient, *(case(extent) for extent in (1, 2, 1)), timeout=1.0, stops=stops)
    assert [report.failed for report in first] == [STOPPED, ENDED, STOPPED]
    second = judge(impatient, *(case(extent) for extent in (1, 2)), timeout=1.0, stops=stops)
    left = (("core/01", "it was not run: it was stopped on 3 other products"), *ENDED)
    assert [report.failed for report in second] == [STOPPED, left]
    alone.clear()
    (third,) = judge(impatient, case(2), stops=stops)
    assert (third.failed, [f.rule for f in third.findings], alone) == (left, ["core/03"], [])
    assert judge(impatient, case(2))[0].failed == ENDED, "another pass"


def test_no_rule_is_run_alone_when_the_time_of_a_pass_is_over(impatient: Validator) -> None:
    assert judge(impatient, case(1), timeout=1.0, stops=Stops(60))[0].failed == STOPPED
    (report,) = judge(impatient, case(1), stops=Stops(-1))
    assert report.failed == (("core/01", "it was not run: the time for all products was used up"), *ENDED)


def test_a_rule_that_was_stopped_is_no_matter_of_other_domains() -> None:
    files = {"core/shapes.ttl": TITLE, "domains/ops/shapes.ttl": ENDLESS.replace("core/01", "domains/ops/01")}
    ruleset = RuleSet({path: (PREFIX_LINES + text).encode() for path, text in files.items()})
    stops = Stops()
    for _ in range(3):
        stops.add("domains/ops/01")
    with closing(Validator(ruleset, 1)) as validator:
        validator._stopped.add("domains/ops/01")
        reports = judge(validator, case(2), replace(case(2), domain="ops"), stops=stops)
    assert [[rule for rule, _ in report.failed] for report in reports] == [[], ["domains/ops/01"]]


def test_once_the_rule_is_known_the_rest_of_a_chunk_is_judged_together(
    impatient: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    call = impatient.processes.call

    def noting(function: Any, cases: Any, terms: Any, *, timeout: float) -> Any:
        sizes.append(len(cases))
        return call(function, cases, terms, timeout=timeout)

    monkeypatch.setattr(impatient.processes, "call", noting)
    monkeypatch.setattr(governance, "_PATIENCE", 1)
    reports = judge(impatient, *(case(extent) for extent in (1, 2, 3, 4)), timeout=1.0)
    assert [report.failed for report in reports] == [STOPPED, ENDED, ENDED, ENDED]
    assert sizes == [4, 4, 4, 1, 1, 1, 1, 4], "all rules; the safe ones; the one of risk, and by product; the other"
    sizes.clear()
    assert [report.failed for report in judge(impatient, *(case(extent) for extent in (2, 3)))] == [ENDED, ENDED]
    assert sizes == [2, 2], "the others; it"


def test_lateness_that_no_rule_is_to_blame_for_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = Validator(rules(TITLE), 1)
    late = WorkerFailed("late", code="worker-late")

    def never(*args: Any, timeout: float) -> Any:
        raise late

    monkeypatch.setattr(validator.processes, "call", never)
    with pytest.raises(WorkerFailed) as raised:
        judge(validator, case(1))
    assert raised.value is late


def test_a_process_ended_by_chance_is_no_rules_fault(impatient: Validator, monkeypatch: pytest.MonkeyPatch) -> None:
    died = [WorkerFailed("died", code="worker-died")]
    call = impatient.processes.call

    def once(*args: Any, timeout: float) -> Any:
        if died:
            raise died.pop()
        return call(*args, timeout=timeout)

    monkeypatch.setattr(impatient.processes, "call", once)
    assert judge(impatient, case(2))[0].failed == ENDED
    assert not died


def _swallow_memory() -> None:
    kept = []
    while True:
        kept.append(bytearray(1 << 28))


def test_a_process_that_takes_too_much_memory_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governance, "MEMORY", 1 << 30)
    with closing(Validator(rules(TITLE), 1)) as validator:
        with pytest.raises(WorkerFailed) as caught:
            validator.processes.call(_swallow_memory, timeout=60)
        assert caught.value.code in ("worker-memory", "worker-died")
        assert [f.rule for f in judge(validator, case(1))[0].findings] == ["core/03"]
