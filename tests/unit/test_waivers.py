"""Waivers: what is refused, who may give and see one, when it holds to the instant, and that the journal keeps it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANALYST, BASE, STEWARD, producer

from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.errors import Conflict, Forbidden, InputError, NotFound, StorageUnavailable
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.graph import OxigraphGraph
from fairmesh.catalog.impact import Mesh, impact, subject_classes
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import (
    ANONYMOUS,
    AccessKey,
    Action,
    Draft,
    Entry,
    EntryKind,
    Finding,
    Report,
    Severity,
    Subject,
)
from fairmesh.catalog.opening import project_graph
from fairmesh.catalog.waivers import (
    MAX_REASON,
    MAX_TIME,
    NEVER_WAIVED,
    NotWaived,
    Waiver,
    Waivers,
    apply,
    relied_on,
)

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
WHY = "the contact is being appointed"
HOME = BASE + "sales.orders"
AUDITOR = Subject("aud", "service", ("auditor",), clearance="restricted")
PRODUCING = Subject("both", "service", ("producer", "steward"), domains=("sales",), clearance="restricted")


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return RuleSet.load()


@pytest.fixture(scope="module")
def access() -> Access:
    policies = PolicySet.load()
    return Access(EmbeddedEngine(policies), policies)


class Desk:
    """The parts that waivers need, with a clock that the test moves, and no mesh around them."""

    def __init__(self, folder: Path, rules: RuleSet, access: Access) -> None:
        self.folder, self.rules, self.access = folder, rules, access
        self.now = START
        self.open()

    def open(self) -> None:
        self.journal = Journal.open(self.folder)
        if self.journal.iri_base is None:
            before = self.now - DAY
            genesis = Draft(EntryKind.GENESIS, "", "", 0, b"{}", "", b"", "x", before, "", "", {"iri_base": BASE})
            self.journal.append([genesis])
        self.clock = self.journal.ascending(lambda: self.now)
        self.waivers = Waivers(self.journal, BASE, lambda: self.rules, self.commit, self.clock)

    def commit(self, draft: Draft, then: Callable[[Entry], None]) -> None:
        then(self.journal.append([draft])[0])

    def again(self) -> None:
        """Stop and start."""
        self.journal.close()
        self.open()

    def grant(
        self, key: str = "sales.orders", rule: str = "core/07", *, subject: Subject = STEWARD, reason: str = WHY,
        expires: datetime | None = None, requested_by: str | None = None,
    ) -> Waiver:  # fmt: skip
        return self.waivers.grant(
            subject, self.access, key, rule, reason=reason, expires=expires or self.now + DAY, channel="http",
            requested_by=requested_by,
        )  # fmt: skip

    def withdraw(self, id: str, subject: Subject = STEWARD) -> Waiver:
        return self.waivers.withdraw(subject, self.access, id, channel="http")

    def seen(self, subject: Subject, *readable: str) -> set[str]:
        """Ids of what the subject sees, which may read products with these keys."""
        homes = {BASE + key for key in readable}
        found = self.waivers.visible(
            self.waivers.all(), subject, self.access, homes.__contains__, channel="http"
        )  # fmt: skip
        return {waiver.id for waiver in found}

    @property
    def entries(self) -> int:
        return len(list(self.journal.entries(kinds=[EntryKind.WAIVER])))


@pytest.fixture
def desk(tmp_path: Path, rules: RuleSet, access: Access) -> Iterator[Desk]:
    made = Desk(tmp_path / "data", rules, access)
    yield made
    made.journal.close()


# -- when it holds ----------------------------------------------------------------------------------------------------


def test_a_waiver_holds_from_when_it_is_given_up_to_its_end_and_not_at_it(desk: Desk) -> None:
    given_ = desk.grant()
    assert (given_.home, given_.approved_by, given_.granted_at) == (HOME, STEWARD.id, START)
    held = desk.waivers.in_force
    assert held(HOME, START) == {"core/07": given_} == held(HOME, START + DAY - TICK)
    assert held(HOME, START + DAY) == {} == held(HOME, START - TICK)
    assert held(BASE + "sales.others", START) == {}


def test_a_withdrawn_waiver_held_until_then(desk: Desk) -> None:
    given_ = desk.grant()
    desk.now = START + DAY / 2
    ended = desk.withdraw(given_.id, Subject("other", "user", ("steward",)))
    assert (ended.ended_at, ended.ended_by) == (desk.now, "other")
    assert desk.waivers.in_force(HOME, desk.now) == {}
    assert set(desk.waivers.in_force(HOME, desk.now - TICK)) == {"core/07"}
    with pytest.raises(Conflict, match="has ended already"):
        desk.withdraw(given_.id)
    assert desk.entries == 2


def test_another_waiver_for_the_same_product_and_rule_takes_the_place_of_the_first(desk: Desk) -> None:
    first, aside = desk.grant(expires=START + 3 * DAY), desk.grant(rule="core/12")
    desk.now = START + timedelta(hours=1)
    second = desk.grant(expires=START + 2 * DAY)
    assert desk.waivers.in_force(HOME, desk.now) == {"core/07": second, "core/12": aside}
    assert desk.waivers.in_force(HOME, desk.now - TICK)["core/07"].id == first.id
    assert desk.waivers.in_force(HOME, START + 2 * DAY) == {}
    desk.withdraw(second.id)
    assert set(desk.waivers.in_force(HOME, desk.clock())) == {"core/12"}, "the first does not come back"


def test_a_clock_that_was_set_back_brings_no_replaced_waiver_back(desk: Desk) -> None:
    desk.grant(expires=START + 3 * DAY)
    desk.now = START - timedelta(hours=1)
    second = desk.grant(expires=START + DAY)
    assert desk.waivers.in_force(HOME, desk.clock()) == {"core/07": second}
    desk.now = START
    desk.withdraw(second.id)
    assert desk.waivers.in_force(HOME, START + DAY) == {}


def test_a_restart_keeps_them_as_they_were(desk: Desk) -> None:
    desk.grant(requested_by="producer", expires=(START + DAY).astimezone(UTC))
    desk.now += timedelta(minutes=1)
    desk.grant(reason="another reason, as good as the first")
    desk.withdraw(desk.grant("hr.salaries", "core/12").id)
    before = desk.waivers.all()
    assert [waiver.requested_by for waiver in before] == [None, "producer", None]
    desk.again()
    assert desk.waivers.all() == before


def test_the_journal_says_who_and_when_and_under_what(desk: Desk) -> None:
    waiver = desk.grant(requested_by="producer")
    entry = desk.journal.last(EntryKind.WAIVER)
    assert entry is not None
    draft = entry.draft
    assert (draft.actor, draft.at, draft.product, draft.key) == (STEWARD.id, START, "", "")
    assert (draft.ruleset, draft.policy) == (desk.rules.digest, desk.access.policy_digest)
    assert draft.detail == {
        "change": "granted", "id": waiver.id, "key": "sales.orders", "rule": "core/07", "reason": WHY,
        "requested_by": "producer", "expires_at": "2026-11-22T12:00:00+00:00",
    }  # fmt: skip


def test_the_graph_passes_over_them(desk: Desk, tmp_path: Path) -> None:
    desk.grant()
    graph = OxigraphGraph(tmp_path / "graph")
    empty = graph.digest()
    for entry in desk.journal.entries():
        project_graph(graph, entry)
    assert graph.reflects() == desk.journal.head()[0]
    assert graph.digest() == empty
    graph.close()


def test_what_could_not_be_journaled_is_not_in_force(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    given_ = desk.grant(rule="core/12")

    def full(draft: Draft, then: Callable[[Entry], None]) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(desk.waivers, "_commit", full)
    with pytest.raises(StorageUnavailable):
        desk.grant()
    with pytest.raises(StorageUnavailable):
        desk.withdraw(given_.id)
    assert desk.waivers.in_force(HOME, START) == {"core/12": given_}


def test_of_many_given_at_once_one_holds_and_none_is_lost(desk: Desk) -> None:
    go = threading.Barrier(8)

    def give(number: int) -> Waiver:
        go.wait(30)
        return desk.grant(reason=f"reason number {number:03}")

    with ThreadPoolExecutor(8) as pool:
        given_ = list(pool.map(give, range(8)))
    assert {waiver.id for waiver in desk.waivers.all()} == {waiver.id for waiver in given_}
    assert len([waiver for waiver in desk.waivers.all() if waiver.ended_at is None]) == 1
    before = desk.waivers.all()
    desk.again()
    assert desk.waivers.all() == before


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sales.orders", "sales.customers"]), st.sampled_from(["core/07", "core/12"]),
        st.integers(0, 5), st.integers(1, 6), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(STEPS)
def test_what_held_at_a_moment_is_told_later_and_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, rules: RuleSet, access: Access,
    steps: list[tuple[str, str, int, int, bool]],
) -> None:  # fmt: skip
    desk = Desk(tmp_path_factory.mktemp("law"), rules, access)
    seen: dict[datetime, Mapping[str, object]] = {}
    for key, rule, wait, length, ends in steps:
        desk.now += timedelta(hours=wait)
        held = desk.waivers.in_force(BASE + key, desk.now).get(rule)
        if ends and held is not None:
            desk.withdraw(held.id)
        else:
            desk.grant(key, rule, expires=desk.now + timedelta(hours=length))
        homes = {waiver.home for waiver in desk.waivers.all()}
        seen[desk.now] = {home: set(_ids(desk.waivers.in_force(home, desk.now))) for home in homes}
    before = desk.waivers.all()
    desk.again()
    assert desk.waivers.all() == before
    for moment, held_then in seen.items():
        for home, ids in held_then.items():
            assert set(_ids(desk.waivers.in_force(home, moment))) == ids
            active = [waiver.rule for waiver in desk.waivers.of(home) if waiver.active(moment)]
            assert len(active) == len(set(active)), "one for a product and rule"
    desk.journal.close()


def _ids(found: Mapping[str, Waiver]) -> list[str]:
    return [waiver.id for waiver in found.values()]


# -- what is refused --------------------------------------------------------------------------------------------------


REFUSED: Mapping[str, tuple[dict[str, object], str]] = {
    "no key": ({"key": "orders"}, "cannot be the key"),
    "an IRI": ({"key": HOME}, "cannot be the key"),
    "a long key": ({"key": "sales." + "x" * 200}, "cannot be the key"),
    "no rule": ({"rule": "core/99"}, "is no rule"),
    "a rule's IRI": ({"rule": "https://w3id.org/fairmesh/rules/core/07"}, "is no rule"),
    "a rule of another domain": ({"rule": "domains/finance/retention"}, "is no rule"),
    "the key": ({"rule": "core/01"}, "cannot be waived"),
    "the domain": ({"rule": "core/02"}, "cannot be waived"),
    "no reason": ({"reason": ""}, "a reason of 0 characters"),
    "blanks": ({"reason": " " * 20}, "a reason of 0 characters"),
    "one character": ({"reason": "x"}, "a reason of 1 character. Say in 10 to 500 characters"),
    "nine characters": ({"reason": "x" * 9}, "a reason of 9 characters"),
    "a long reason": ({"reason": "x" * (MAX_REASON + 1)}, "a reason of 501 characters"),
    "two lines": ({"reason": "first line\nsecond line"}, "line breaks"),
    "a NUL": ({"reason": "nothing\0in here"}, "control characters"),
    "half a pair": ({"reason": "nothing\ud800in here"}, "control characters"),
    "now": ({"expires": START}, "which is past"),
    "yesterday": ({"expires": START - DAY}, "which is past"),
    "no zone": ({"expires": datetime(2026, 12, 1)}, "without a time zone"),
    "too long": ({"expires": START + MAX_TIME + TICK}, "a waiver until"),
    "a strange asker": ({"requested_by": "a\0b"}, "has no such id"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_waiver_is_refused_with_a_remedy_and_not_journaled(desk: Desk, case: str) -> None:
    wrong, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        desk.grant(**wrong)  # type: ignore[arg-type]
    assert caught.value.remedy
    assert desk.entries == 0


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("domains/sales/fresh", r"Name one like domains/sales/freshness"),
        (
            "domains/sales/x",
            r"Name one like domains/sales/freshness or domains/sales/frequency; `fairmesh rules show` lists them$",
        ),
        ("core/99", r"Name one like core/\d\d or core/\d\d or core/\d\d; `fairmesh rules show`"),
        ("whatever", r"Name one like core/03"),
    ],
)
def test_in_place_of_what_is_no_rule_those_are_named_that_it_may_have_meant(desk: Desk, rule: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        desk.grant(rule=rule)
    assert re.match(named, caught.value.remedy)
    assert "finance" not in caught.value.remedy


def test_the_longest_that_may_be_is_accepted(desk: Desk) -> None:
    waiver = desk.grant("sales.orders", "domains/sales/freshness", reason="x" * MAX_REASON, expires=START + MAX_TIME)
    assert waiver.active(START + MAX_TIME - TICK)
    assert desk.grant(reason="0123456789").reason == "0123456789"


def test_rules_that_are_never_waived_exist(rules: RuleSet) -> None:
    assert {rule.id for rule in rules.rules} > NEVER_WAIVED


@pytest.mark.parametrize("subject", [producer("sales"), PRODUCING, ANALYST, AUDITOR, ANONYMOUS], ids=lambda s: s.id)
def test_who_may_not_is_refused_before_anything_is_looked_at(desk: Desk, subject: Subject) -> None:
    waiver = desk.grant()
    texts = set()
    for wrong in ({}, {"rule": "core/99"}, {"rule": "core/01"}, {"reason": ""}, {"expires": START}):
        with pytest.raises(Forbidden) as caught:
            desk.grant(subject=subject, **wrong)  # type: ignore[arg-type]
        texts.add((caught.value.message, caught.value.decision.reasons))
    with pytest.raises(Forbidden):
        desk.withdraw(waiver.id, subject)
    assert len(texts) == 1
    assert desk.entries == 1


def test_a_steward_who_produces_elsewhere_may(desk: Desk) -> None:
    assert desk.grant("finance.revenue", subject=PRODUCING).approved_by == PRODUCING.id


def test_withdrawing_what_is_not_there(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.withdraw("0123456789abcdef")


# -- who sees it ------------------------------------------------------------------------------------------------------


def test_a_waiver_is_seen_by_readers_of_the_product_by_who_may_give_it_and_by_who_asked(desk: Desk) -> None:
    orders, salaries = desk.grant(requested_by=producer("sales").id).id, desk.grant("hr.salaries", "core/12").id
    assert desk.seen(STEWARD) == {orders, salaries}
    assert desk.seen(ANALYST) == set()
    assert desk.seen(ANALYST, "sales.orders") == {orders}
    assert desk.seen(producer("sales")) == {orders}
    assert desk.seen(replace(producer("sales"), id="someone-else")) == set()
    assert desk.seen(PRODUCING) == {salaries}, "of the own domain only with the product"
    assert desk.seen(PRODUCING, "sales.orders") == {orders, salaries}


def test_nobody_is_the_anonymous_who_asked(desk: Desk) -> None:
    desk.grant(requested_by=ANONYMOUS.id)
    assert desk.seen(ANONYMOUS) == set()


def test_whether_a_hidden_product_is_there_changes_nothing(desk: Desk) -> None:
    """Who may give waivers and does not see the product gives one, sees it and ends it, whatever is there."""
    waiver = desk.grant("sales.hidden")
    assert desk.seen(STEWARD) == {waiver.id}
    assert desk.withdraw(waiver.id).ended_by == STEWARD.id


def test_a_policy_that_lets_a_domain_waive_for_itself_widens(access: Access) -> None:
    files = dict(access.policies.files)
    place = "fairmesh/access/rules.rego"
    for old, new in (
        (b'"producer" in who.roles\n\tr.domain in who.domains', b"false"),
        (b'"ruleset"}\n', b'"ruleset", "waiver"}\n'),
    ):
        assert files[place].count(old) == 1
        files[place] = files[place].replace(old, new)
    policies = PolicySet.from_files(files)
    proposed = Access(EmbeddedEngine(policies), policies)
    mesh = Mesh([AccessKey("sales", "internal", "build")], [("sales.orders", 0)])
    classes = subject_classes([producer("sales")], access, proposed)
    found = impact(access, proposed, classes, mesh, now=START, workers=1)
    assert found.widens
    (change,) = found.changes
    assert (change.action, change.gains) == (Action.GOVERN, True)
    assert change.examples == tuple(f"waivers of {level} rules for sales" for level in ("core", "org", "domains"))


# -- what a submission relies on --------------------------------------------------------------------------------------


def test_named_waivers_must_hold_for_the_product(desk: Desk) -> None:
    waiver, other = desk.grant(), desk.grant("sales.customers")
    desk.waivers.check([waiver.id], HOME, START)
    for id, at in ((other.id, START), ("unknown", START), (waiver.id, START + DAY)):
        with pytest.raises(NotWaived, match=rf"^'{id}' is no active waiver of sales\.orders\. Leave"):
            desk.waivers.check([waiver.id, id], HOME, at)


# -- reports ----------------------------------------------------------------------------------------------------------


def finding(rule: str, severity: Severity) -> Finding:
    iri = "https://w3id.org/fairmesh/rules/" + rule
    return Finding(rule, iri, severity, (("", "Mend it"),), HOME, None, None, "http://www.w3.org/ns/shacl#MinCount")


IDS = st.sampled_from(["core/03", "core/07", "org/acme/x"])
FINDINGS = st.lists(st.builds(finding, IDS, st.sampled_from(list(Severity))), max_size=8).map(tuple)
HOURS = st.integers(-4, 4).map(lambda hours: START + timedelta(hours=hours))


@st.composite
def waivers_by_rule(draw: st.DrawFn) -> dict[str, Waiver]:
    return {
        rule: Waiver(f"w-{rule}", HOME, "sales.orders", rule, WHY, None, "stu", draw(HOURS), draw(HOURS),
                     draw(st.none() | HOURS), "stu")
        for rule in draw(st.sets(IDS))
    }  # fmt: skip


@given(FINDINGS, waivers_by_rule(), waivers_by_rule(), HOURS, HOURS)
def test_applying_waives_violations_of_waived_rules_and_nothing_else(
    findings: tuple[Finding, ...], held: dict[str, Waiver], before: dict[str, Waiver], now: datetime, then: datetime
) -> None:
    report = Report("rules", findings)
    found = apply(report, held, now)
    for old, new in zip(findings, found.findings, strict=True):
        waiver = held.get(old.rule)
        excused = old.severity is Severity.VIOLATION and waiver is not None and waiver.active(now)
        assert new.waived_until == (waiver.expires_at if excused and waiver is not None else None)
        assert replace(new, waived_until=None) == old
    assert apply(found, held, now) == found
    assert apply(apply(report, before, then), held, now) == found, "what was waived before does not matter"
    assert apply(found, {}, now) == report
    assert found.conforms == all(f.severity is not Severity.VIOLATION or f.waived_until for f in found.findings)
    used = relied_on(found, held)
    assert used <= {waiver.id for waiver in held.values() if waiver.active(now)}
    without = {rule: waiver for rule, waiver in held.items() if waiver.id in used}
    assert apply(report, without, now) == found
