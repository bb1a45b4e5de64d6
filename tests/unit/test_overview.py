"""The overview, its past and its trend, the feed of changes, and what a rule set would change: counted from what a
reader may see, and equal to counting by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from governing import COST, DAY, SPATIAL, START, Governed, governed, later, org
from samples import ANALYST, BASE, DOMAINS, STEWARD, producer, product, register

from fairmesh.catalog import events
from fairmesh.catalog.errors import Forbidden, InputError
from fairmesh.catalog.events import Event, EventKind
from fairmesh.catalog.model import Entry, Page, Subject
from fairmesh.catalog.overview import MAX_POINTS, Overview, Point, overview, trend
from fairmesh.catalog.ruleimpact import RuleImpact, rule_impact

ALL = producer(*DOMAINS)
MOMENT = timedelta(milliseconds=1)
"""Everything that is written while the clock stands still has happened after this long."""
OPS, SALES = BASE + "domain/ops", BASE + "domain/sales"


@contextmanager
def story(folder: Path) -> Iterator[Governed]:
    """Day 0: sales.d, and ops.a which is restricted. Day 1: `COST` gates. Day 2: sales.e meets it. Day 3: sales.d is
    retired. Day 4: nothing more."""
    with governed(folder) as made:
        register(made.catalog, product("sales.d"), product("ops.a", classification="restricted"))
        made.move(DAY)
        made.publish(org(COST))
        made.settle()
        made.move(DAY)
        register(made.catalog, product("sales.e", extra=COST.met.format(k="sales.e")))
        made.move(DAY)
        made.catalog.retire(ALL, BASE + "sales.d", channel="http", force=True)
        made.move(DAY + MOMENT)
        made.settle()
        yield made


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    """For tests that read only."""
    with story(tmp_path_factory.mktemp("story") / "data") as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Governed]:
    with story(tmp_path / "data") as made:
        yield made


def seen(mesh: Governed, subject: Subject = STEWARD, day: float | None = None, domain: str | None = None) -> Overview:
    at = None if day is None else START + day * DAY + MOMENT
    with mesh.view(subject) as view:
        return overview(view, mesh.catalog, domain, at)


def test_now_and_at_any_moment_before(mesh: Governed) -> None:
    counts = [
        (o.products, o.conforming, o.pending) for o in (seen(mesh, day=day) for day in (-1, 0, 0.5, 1, 2.5, 3, 4))
    ]
    assert counts == [(0, 0, 0), (2, 2, 0), (2, 2, 0), (2, 0, 0), (3, 1, 0), (2, 1, 0), (2, 1, 0)]
    assert (seen(mesh).products, seen(mesh).conforming) == (2, 1)
    first, second = (seen(mesh, day=day).ruleset for day in (0.5, 2))
    assert first != second == mesh.catalog.ruleset_digest
    with pytest.raises(InputError, match="yet to come"):
        seen(mesh, day=5)


def test_by_domain_rule_and_owner(mesh: Governed) -> None:
    found = seen(mesh)
    assert [(row.key, row.products, row.conforming, row.violations) for row in found.by_domain] == [
        (OPS, 1, 0, 1), (SALES, 1, 1, 0),
    ]  # fmt: skip
    assert [(row.key, row.products) for row in found.by_owner] == [(BASE + "team/ops", 1), (BASE + "team/sales", 1)]
    (cost,) = [row for row in found.by_rule if row.key == "org/acme/cost"]
    assert (cost.products, cost.conforming, cost.violations, cost.findings) == (1, 0, 1, 1)
    assert cost.examples == ("ops.a",)
    assert all(row.violations == 0 for row in found.by_rule if row is not cost)
    assert seen(mesh, domain=SALES).products == 1
    assert found.fair_mean is not None
    assert 0 <= found.fair_mean <= 1


def test_a_rule_names_the_first_products_that_fail_it_else_those_it_found_something_in(fresh: Governed) -> None:
    fine = [product(f"web.{letter}", extra=COST.met.format(k=f"web.{letter}")) for letter in "gfe"]
    broken = f"{COST.met} {SPATIAL.broken}"
    failing = [product(f"sales.{letter}", extra=broken.format(k=f"sales.{letter}")) for letter in "zyxwvu"]
    register(fresh.catalog, *fine, *failing)
    fresh.publish(org(COST, SPATIAL))
    fresh.settle()
    rows = {row.key: row for row in seen(fresh).by_rule}
    assert rows["org/acme/spatial"].products - rows["org/acme/spatial"].conforming == 6
    assert rows["org/acme/spatial"].examples == tuple(f"sales.{letter}" for letter in "uvwxy")
    assert rows["org/acme/cost"].examples == ("ops.a",)
    assert [row.key for row in seen(fresh, ANALYST).by_rule if "ops.a" in row.examples] == []
    fresh.catalog.waivers.grant(
        STEWARD, fresh.catalog.access, "ops.a", "org/acme/cost", reason="it is being mended", expires=START + 9 * DAY,
        channel="http",
    )  # fmt: skip
    cost = next(row for row in seen(fresh).by_rule if row.key == "org/acme/cost")
    assert (cost.products, cost.conforming, cost.examples) == (1, 1, ("ops.a",))


def test_what_is_hidden_is_never_counted(mesh: Governed) -> None:
    counts = [(o.products, o.conforming) for o in (seen(mesh, ANALYST, day) for day in (0, 1, 2.5, 3, None))]
    assert counts == [(1, 1), (1, 0), (2, 1), (1, 1), (1, 1)]
    assert [row.key for row in seen(mesh, ANALYST).by_domain] == [SALES]
    assert "org/acme/cost" not in [row.key for row in seen(mesh, ANALYST).by_rule]


def test_a_product_that_became_secret_is_gone_from_the_past_too(fresh: Governed) -> None:
    secret = product("sales.e", classification="restricted", extra=COST.met.format(k="sales.e"))
    register(fresh.catalog, secret)
    assert [seen(fresh, ANALYST, day).products for day in (2.5, 3, None)] == [1, 0, 0]


def test_waivers_count_in_their_time_only(fresh: Governed) -> None:
    fresh.catalog.waivers.grant(
        STEWARD, fresh.catalog.access, "ops.a", "org/acme/cost", reason="it is being mended", expires=START + 6 * DAY,
        channel="http",
    )  # fmt: skip
    assert (seen(fresh).conforming, sum(row.waived for row in seen(fresh).by_domain)) == (2, 1)
    assert seen(fresh, day=3.5).conforming == 1
    fresh.move(2 * DAY)
    assert (seen(fresh).conforming, seen(fresh, day=5).conforming) == (1, 2)


def points(mesh: Governed, subject: Subject, count: int) -> list[Point]:
    with mesh.view(subject) as view:
        return trend(view, mesh.catalog, None, None, count)


def test_a_trend_is_the_overview_at_each_of_its_moments(mesh: Governed) -> None:
    for subject in (STEWARD, ANALYST):
        found = points(mesh, subject, 9)
        assert [(point.at - START) / DAY for point in found] == pytest.approx([n / 2 for n in range(9)], abs=1e-6)
        for point in found:
            with mesh.view(subject) as view:
                then = overview(view, mesh.catalog, None, point.at)
            assert (point.products, point.conforming, point.fair_mean) == (
                then.products,
                then.conforming,
                then.fair_mean,
            )
    for count in (1, MAX_POINTS + 1):
        with pytest.raises(InputError):
            points(mesh, STEWARD, count)


# -- the feed ---------------------------------------------------------------------------------------------------------


def feed(mesh: Governed, subject: Subject, size: int = 200, **asked: object) -> list[Event]:
    """All pages."""
    found: list[Event] = []
    after = None
    while True:
        with mesh.view(subject) as view:
            page = events.events(
                view,
                mesh.catalog,
                **{"kinds": None, "domain": None, "home": None, **asked},
                first=size,
                after=after,  # type: ignore[arg-type]
            )
        found += page.items
        if not page.has_next:
            return found
        after = page.cursors[-1]


def told(changes: list[Event]) -> list[tuple[float, str, str]]:
    return [(round((c.at - START) / DAY, 6), c.kind.value, c.home.removeprefix(BASE)) for c in changes]


def test_the_feed_tells_what_happened_in_order(mesh: Governed) -> None:
    start = [
        (0, "POLICY_CHANGED", ""),
        (0, "SHAPES_CHANGED", ""),
        (0, "REGISTERED", "ops.a"),
        (0, "REGISTERED", "sales.d"),
    ]
    assert told(feed(mesh, STEWARD)) == [
        *start, (1, "SHAPES_CHANGED", ""), (1, "CONFORMANCE_CHANGED", "ops.a"), (1, "CONFORMANCE_CHANGED", "sales.d"),
        (2, "REGISTERED", "sales.e"), (3, "RETIRED", "sales.d"),
    ]  # fmt: skip
    assert [entry for entry in told(feed(mesh, ANALYST)) if entry[2] == "ops.a"] == []
    assert len(feed(mesh, ANALYST)) == len(feed(mesh, STEWARD)) - 2


def test_new_rules_are_told_to_everybody_with_digest_author_and_domain_and_a_policy_without(mesh: Governed) -> None:
    for subject in (STEWARD, ANALYST):
        first, second = feed(mesh, subject, kinds=[EventKind.SHAPES_CHANGED])
        assert (second.by, second.ruleset, second.rules_of) == (STEWARD.id, mesh.catalog.ruleset_digest, None)
        assert (first.by, first.ruleset == second.ruleset) == ("fairmesh", False)
        (policy,) = feed(mesh, subject, kinds=[EventKind.POLICY_CHANGED])
        assert (policy.by, policy.ruleset) == (None, None)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("subject", [STEWARD, ANALYST], ids=["steward", "analyst"])
def test_paging_neither_loses_nor_repeats(mesh: Governed, size: int, subject: Subject) -> None:
    assert feed(mesh, subject, size) == feed(mesh, subject)


def test_what_happens_after_a_cursor_is_told_after_it_whatever_the_clock_says(fresh: Governed) -> None:
    def read(after: str | None) -> Page[Event]:
        with fresh.view() as view:
            return events.events(view, fresh.catalog, kinds=None, domain=None, home=None, first=200, after=after)

    before = read(None)
    fresh.move(-2 * DAY)
    register(fresh.catalog, product("sales.f", extra=COST.met.format(k="sales.f")))
    fresh.publish(org(SPATIAL))
    fresh.settle()
    fresh.move(DAY)
    register(fresh.catalog, product("sales.a"))
    later = read(before.cursors[-1])
    assert [(e.kind.value, e.home.removeprefix(BASE)) for e in later.items] == [
        ("REGISTERED", "sales.f"), ("SHAPES_CHANGED", ""), ("CONFORMANCE_CHANGED", "ops.a"), ("REGISTERED", "sales.a"),
    ]  # fmt: skip
    assert read(None).items == before.items + later.items


def test_an_event_whose_effect_is_not_shown_yet_is_told_later_not_passed_over(fresh: Governed) -> None:
    before = feed(fresh, STEWARD)
    apply = fresh.catalog.storage._apply
    between: list[list[Event]] = []

    def applied(entry: Entry) -> None:
        between.append(feed(fresh, STEWARD))
        apply(entry)

    fresh.catalog.storage._apply = applied  # type: ignore[method-assign]
    register(
        fresh.catalog,
        product("sales.f", extra=COST.met.format(k="sales.f")),
        product("ops.a", classification="restricted", extra=COST.met.format(k="ops.a")),
    )
    whole = feed(fresh, STEWARD)
    assert between[:2] == [before, before], "they were stored at once: half of them would have a place of its own"
    assert {event.kind for event in whole[len(before) : len(before) + 3]} == {
        EventKind.REGISTERED, EventKind.UPDATED, EventKind.CONFORMANCE_CHANGED,
    }  # fmt: skip


def test_times_do_not_count_what_is_hidden(fresh: Governed) -> None:
    classes = ["internal", "restricted", "internal", "restricted", "restricted", "internal"]
    made = [
        product(f"web.{letter}", classification=each, extra=COST.met.format(k=f"web.{letter}"))
        for letter, each in zip("abcdef", classes, strict=True)
    ]
    register(fresh.catalog, *made)
    shown = [event for event in feed(fresh, ANALYST, kinds=[EventKind.REGISTERED]) if "web." in event.home]
    assert len(shown) == 3
    assert len({event.at for event in shown}) == 1


def test_the_feed_can_be_narrowed(mesh: Governed) -> None:
    assert {c.kind for c in feed(mesh, STEWARD, kinds=[EventKind.RETIRED])} == {EventKind.RETIRED}
    assert {c.home for c in feed(mesh, STEWARD, home=BASE + "sales.d")} == {BASE + "sales.d"}
    assert {c.home for c in feed(mesh, STEWARD, domain=OPS)} == {BASE + "ops.a"}
    with mesh.view() as view, pytest.raises(InputError):
        events.events(view, mesh.catalog, kinds=None, domain=None, home=None, first=10, after="AAAA")


def test_an_update_that_mends_a_product_is_two_events(fresh: Governed) -> None:
    before = len(feed(fresh, STEWARD))
    register(fresh.catalog, product("ops.a", classification="restricted", extra=COST.met.format(k="ops.a")))
    assert [(c.kind.value, c.conforms) for c in feed(fresh, STEWARD)[before:]] == [
        ("CONFORMANCE_CHANGED", True), ("UPDATED", None),
    ]  # fmt: skip


# -- impact -----------------------------------------------------------------------------------------------------------


def impact(mesh: Governed, files: dict[str, bytes], subject: Subject = STEWARD, **asked: object) -> RuleImpact:
    return rule_impact(mesh.catalog, subject, files, mesh.catalog.access, channel="http", **asked)  # type: ignore[arg-type]


def test_impact_is_what_publishing_then_does(fresh: Governed) -> None:
    register(fresh.catalog, product("web.f", extra=f"{COST.met} {SPATIAL.broken}".format(k="web.f")))
    before = {key: fresh.conforms(key) for key in ("ops.a", "sales.e", "web.f")}
    foreseen = impact(fresh, org(SPATIAL))
    fresh.publish(org(SPATIAL))
    fresh.settle()
    after = {key: fresh.conforms(key) for key in before}
    assert [e.key for e in foreseen.newly_failing] == [k for k in before if before[k] and not after[k]] == ["web.f"]
    assert [e.key for e in foreseen.newly_passing] == [k for k in before if after[k] and not before[k]] == ["ops.a"]
    assert (foreseen.products, foreseen.failing_before, foreseen.failing_after) == (3, 1, 1)
    assert [(c.rule, c.before, c.after) for c in foreseen.changes] == [
        ("org/acme/cost", "gate", None),
        ("org/acme/spatial", None, "gate"),
    ]
    assert [(c.key, c.failing, c.passing) for c in foreseen.by_rule] == [
        ("org/acme/cost", 0, 1),
        ("org/acme/spatial", 1, 0),
    ]
    assert [(c.key, c.failing, c.passing) for c in foreseen.by_domain] == [(OPS, 0, 1), (BASE + "domain/web", 1, 0)]
    assert foreseen.digest == fresh.catalog.ruleset_digest


def test_impact_on_a_day_has_the_modes_of_that_day(fresh: Governed) -> None:
    coming = org(COST, later(SPATIAL, "2026-03-01"))
    register(fresh.catalog, product("web.f", extra=f"{COST.met} {SPATIAL.broken}".format(k="web.f")))
    today = impact(fresh, coming)
    assert (today.newly_failing, [e.key for e in today.newly_warned]) == ((), ["web.f"])
    (counted,) = today.by_rule
    assert (counted.key, counted.failing, counted.warned, counted.products) == ("org/acme/spatial", 0, 1, 1)
    assert counted.examples == ("web.f",)
    assert [e.key for e in impact(fresh, coming, at=START + timedelta(days=90)).newly_failing] == ["web.f"]


def test_impact_counts_what_its_author_may_read(mesh: Governed) -> None:
    with pytest.raises(Forbidden):
        impact(mesh, org(SPATIAL), ANALYST)
    narrow = Subject("sue", "service", roles=("steward",), clearance="internal")
    with mesh.view(narrow) as view:
        readable = {held.key for held in view.readable if not held.retired}
    found = impact(mesh, org(SPATIAL), narrow)
    assert found.products == len(readable)
    assert {e.key for e in found.newly_passing} == readable & {"ops.a"}
