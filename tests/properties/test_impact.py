"""What a policy change is said to do equals what every single question says, on drawn meshes, subjects and policies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product as pairs
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairmesh.catalog import impact as module
from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.decisionlog import Recorded
from fairmesh.catalog.impact import EXAMPLES, Impact, Mesh, Replay, impact, replay, subject_classes
from fairmesh.catalog.model import ANONYMOUS, CLASSIFICATIONS, AccessKey, Action, Decision, Need, Subject

NOW = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
SHIPPED = PolicySet.load()
ENTRY = """package fairmesh.org.acme

%s contains {"id": id, "%s": "%s"} if {
	some id, resource in input.resources
	%s
}
"""
POOL: Mapping[str, str] = {
    "shipped": "",
    "hold": ENTRY % ("deny", "reason", "hold", '"hold" in resource.tags'),
    "others hold": ENTRY % ("deny", "reason", "hold", '"hold" in resource.tags\n\tresource.is_owner == false'),
    "no writes": ENTRY % ("deny", "reason", "frozen", 'input.action in {"register", "update"}'),
    "masked": ENTRY % ("mask", "classification", "internal", 'resource.domain == "hr"'),
    "hidden": ENTRY % ("hide", "field", "dct:description", 'resource.domain == "hr"'),
    "filtered": ENTRY % ("rows", "filter", "region = 'EU'", 'resource.domain == "hr"'),
    "filtered otherwise": ENTRY % ("rows", "filter", "region = 'US'", 'resource.domain == "hr"'),
    "by id": ENTRY % ("deny", "reason", "hold", 'input.subject.id == "ana"'),
    "by id, odd texts": ENTRY
    % ("deny", "reason", "hold", 'q := "\\""\n\tinput.subject.id == "ana"\n\tp := "x"\n\tp != q'),
    "by channel": ENTRY % ("deny", "reason", "hold", 'input.context.channel == "cli"'),
    "nobody governs": ENTRY % ("deny", "reason", "hold", 'resource.type in {"policy", "ruleset"}'),
}


@cache
def access(name: str) -> Access:
    files = dict(SHIPPED.files) | ({"org/acme/rules.rego": POOL[name].encode()} if POOL[name] else {})
    policies = PolicySet.from_files(files)
    return Access(EmbeddedEngine(policies), policies)


SUBJECTS = st.builds(
    Subject,
    id=st.sampled_from(["ana", "bob", "cyd"]),
    kind=st.sampled_from(["user", "service"]),
    roles=st.sampled_from([(), ("analyst",), ("producer",), ("steward",), ("auditor",), ("king",)]),
    teams=st.sampled_from([(), ("hr-data",), ("hr-data", "web-data")]),
    domains=st.sampled_from([(), ("hr",), ("web",), ("web", "hr")]),
    clearance=st.sampled_from(CLASSIFICATIONS),
)
KEYS = st.builds(
    AccessKey,
    domain=st.sampled_from(["hr", "web"]),
    classification=st.sampled_from(CLASSIFICATIONS),
    status=st.just("build"),
    tags=st.sampled_from([(), ("hold",)]),
    owner=st.sampled_from(["", "hr-data", "web-data"]),
)


@dataclass(frozen=True)
class Drawn:
    keys: list[AccessKey]
    live: list[tuple[str, int]]
    subjects: list[Subject]
    old: str
    new: str


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    keys = draw(st.lists(KEYS, min_size=1, max_size=6, unique=True))
    places = draw(st.lists(st.integers(0, len(keys) - 1), max_size=12))
    live = [(f"p{number:02}", place) for number, place in enumerate(places)]
    subjects = [ANONYMOUS, *draw(st.lists(SUBJECTS, max_size=4))]
    return Drawn(keys, live, subjects, draw(st.sampled_from(sorted(POOL))), draw(st.sampled_from(sorted(POOL))))


def seen(decision: Decision) -> set[str]:
    """What an answer lets be seen, as words that can be compared."""
    if not decision.allowed:
        return set()
    due = decision.obligations
    columns = {f"column {word}" for word in CLASSIFICATIONS if word not in due.mask_columns}
    fields = set() if "dct:description" in due.hide_fields else {"description"}
    return {"allowed"} | columns | fields


def allowed(action: Action, side: Mapping[Action, Decision]) -> bool:
    return side[action].allowed or (action is Action.DISCOVER and side[Action.READ_METADATA].allowed)


def gains(action: Action, old: Mapping[Action, Decision], new: Mapping[Action, Decision]) -> bool:
    before, after = old[action], new[action]
    if action is Action.READ_DATA:
        other_rows = before.obligations.row_filter is not None and before.obligations != after.obligations
        rows = other_rows and before.obligations.row_filter != after.obligations.row_filter
        return bool(seen(after) - seen(before)) or (after.allowed and before.allowed and rows)
    if action is Action.READ_METADATA:
        return bool(seen(after) - seen(before))
    if action is Action.DISCOVER:

        def found(side: Mapping[Action, Decision]) -> set[str]:
            reads, discovers = side[Action.READ_METADATA], side[Action.DISCOVER]
            return seen(reads) if reads.allowed else seen(discovers) & {"allowed", "description"}

        more = found(new) - found(old)
        return "allowed" in more or (more != set() and not new[Action.READ_METADATA].allowed)
    return after.allowed and not before.allowed


def brute(mesh: Drawn) -> dict[tuple[str, Action, bool, bool], set[str]]:
    """(subject's id and facts, action, gained, partly) -> products, by a question of its own for everything."""
    found: dict[tuple[str, Action, bool, bool], set[str]] = {}
    actions = [action for action in Action if action is not Action.GOVERN]
    for subject, (name, place), channel in pairs(mesh.subjects, mesh.live, module.CHANNELS):
        sides = [
            {a: access(side).decide(subject, a, mesh.keys[place], channel=channel, now=NOW) for a in actions}
            for side in (mesh.old, mesh.new)
        ]
        for action in actions:
            for gained, (old, new) in ((True, sides), (False, sides[::-1])):
                if gains(action, old, new):
                    partly = allowed(action, old) and allowed(action, new)
                    found.setdefault((repr(plain(subject)), action, gained, partly), set()).add(name)
    return found


def plain(subject: Subject) -> Subject:
    words = {name: tuple(sorted(getattr(subject, name))) for name in ("roles", "teams", "domains")}
    return replace(subject, **words)  # type: ignore[arg-type]


def told(found: Impact) -> dict[tuple[str, Action, bool, bool], tuple[int, tuple[str, ...]]]:
    return {
        (repr(replace(plain(change.subjects.facts), id=id)), change.action, change.gains, change.partial): (
            change.count, change.examples,
        )
        for change in found.changes if change.subjects is not None and change.action is not Action.GOVERN
        for id in change.subjects.ids
    }  # fmt: skip


def worked_out(mesh: Drawn, **more: Any) -> Impact:
    sides = access(mesh.old), access(mesh.new)
    classes = subject_classes(mesh.subjects, *sides)
    return impact(*sides, classes, Mesh(mesh.keys, mesh.live), now=NOW, **more)


@given(drawn())
@settings(max_examples=60, deadline=None)
def test_the_impact_is_what_single_questions_say(mesh: Drawn) -> None:
    expected = brute(mesh)
    found = worked_out(mesh)
    assert told(found) == {place: (len(names), tuple(sorted(names)[:EXAMPLES])) for place, names in expected.items()}
    governs = [change for change in found.changes if change.action is Action.GOVERN]
    assert found.widens == (any(gained for _, _, gained, _ in expected) or any(change.gains for change in governs))
    assert [change.gains for change in found.changes] == sorted((c.gains for c in found.changes), reverse=True)


@given(drawn())
@settings(max_examples=30, deadline=None)
def test_the_way_back_is_the_opposite(mesh: Drawn) -> None:
    there, back = worked_out(mesh), worked_out(replace(mesh, old=mesh.new, new=mesh.old))

    def rows(found: Impact, turned: bool) -> set[Any]:
        return {(c.subjects, c.action, c.gains is not turned, c.partial, c.count, c.examples) for c in found.changes}

    assert rows(there, False) == rows(back, True)


@given(drawn())
@settings(max_examples=30, deadline=None)
def test_together_is_the_union_and_only_what_is_shown_is_counted(mesh: Drawn) -> None:
    expected: dict[tuple[Action, bool, bool], set[str]] = {}
    for (_, action, gained, partly), names in brute(mesh).items():
        expected.setdefault((action, gained, partly), set()).update(names)
    scope = access(mesh.old).scope(ANONYMOUS, mesh.keys, channel="http", now=NOW).grants
    visible = {name for name, place in mesh.live if scope[place] & Need.DISCOVER}
    whole, part = worked_out(mesh, together=True), worked_out(mesh, together=True, shown=scope)
    for found, kept in ((whole, {name for name, _ in mesh.live}), (part, visible)):
        counted = {(c.action, c.gains, c.partial): c.count for c in found.changes if c.action is not Action.GOVERN}
        assert counted == {place: len(names & kept) for place, names in expected.items() if names & kept}
        assert all(change.subjects is None for change in found.changes)
        assert found.products == len(kept)
        assert found.widens == any(change.gains for change in found.changes)


@pytest.mark.parametrize(("policy", "action"), [
    ("masked", Action.READ_METADATA), ("masked", Action.READ_DATA), ("hidden", Action.READ_METADATA),
    ("filtered", Action.READ_DATA),
])  # fmt: skip
def test_what_stays_allowed_and_shows_less_is_no_denial(policy: str, action: Action) -> None:
    who = Subject("ana", "user", ("analyst",), clearance="internal")
    changes = worked_out(Drawn([AccessKey("hr", "internal", "build")], [("p", 0)], [who], "shipped", policy)).changes
    assert all(change.partial and not change.gains for change in changes)
    assert action in {change.action for change in changes}


def test_children_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [AccessKey(domain, word, "build", tags) for domain in ("hr", "web") for word in CLASSIFICATIONS
            for tags in ((), ("hold",))]  # fmt: skip
    live = [(f"p{number:02}", number) for number in range(len(keys))]
    subjects = [ANONYMOUS, Subject("ana", "user", ("producer",), (), ("hr",)), Subject("stu", "user", ("steward",))]
    mesh = Drawn(keys, live, subjects, "hold", "masked")
    alone = worked_out(mesh)
    monkeypatch.setattr(module, "_MUCH", 0)
    assert worked_out(mesh, workers=2) == alone
    assert alone.widens
    assert {change.action for change in alone.changes} >= {Action.DISCOVER, Action.READ_METADATA, Action.UPDATE}


def test_who_ceases_to_govern_is_told() -> None:
    mesh = Drawn([AccessKey("hr", "public", "build")], [("p", 0)], [
        Subject("pia", "user", ("producer",), (), ("hr",)), Subject("stu", "user", ("steward",)),
    ], "shipped", "nobody governs")  # fmt: skip
    lost = {c.subjects.ids: c.examples for c in worked_out(mesh).changes if c.subjects and not c.gains}
    assert lost == {("pia",): ("policies of hr",), ("stu",): ("rule sets", "policies", "policies of hr", "bundle")}
    assert worked_out(replace(mesh, old="nobody governs", new="shipped")).widens


@pytest.mark.parametrize(
    ("policy", "apart"), [("shipped", False), ("hold", False), ("by id", True), ("by id, odd texts", True)]
)
def test_subjects_are_told_apart_where_the_policy_may_tell_them_apart(policy: str, apart: bool) -> None:
    subjects = [Subject(id, "user", roles, ("t",)) for id in ("b", "a") for roles in (("analyst",),)]
    subjects += [Subject("c", "user", ("steward", "producer")), Subject("d", "user", ("producer", "steward"))]
    found = [each.ids for each in subject_classes(subjects, access(policy))]
    assert found == ([("a",), ("b",), ("c",), ("d",)] if apart else [("a", "b"), ("c", "d")])


# -- recorded decisions -----------------------------------------------------------------------------------------------


def lines(old: Access, subjects: Sequence[Subject], keys: Sequence[AccessKey]) -> Iterator[Recorded]:
    for number, (subject, key) in enumerate(pairs(subjects, keys)):
        question = old.question(subject, Action.DISCOVER, key, channel="http", now=NOW)
        assert question is not None
        allowed = old.decide(subject, Action.DISCOVER, key, channel="http", now=NOW).allowed
        at = NOW + timedelta(minutes=number)
        yield Recorded(at, "r1", subject, json.loads(question), {"k0": {"allow": allowed}}, None)


@given(drawn())
@settings(max_examples=30, deadline=None)
def test_recorded_decisions_are_asked_again(mesh: Drawn) -> None:
    old, new = access(mesh.old), access(mesh.new)
    flips = [
        new.decide(s, Action.DISCOVER, k, channel="http", now=NOW).allowed
        for s, k in pairs(mesh.subjects, mesh.keys)
        if new.decide(s, Action.DISCOVER, k, channel="http", now=NOW).allowed
        != old.decide(s, Action.DISCOVER, k, channel="http", now=NOW).allowed
    ]
    found = replay(new, lines(old, mesh.subjects, mesh.keys))
    count = len(mesh.subjects) * len(mesh.keys)
    assert found == Replay(count, flips.count(True), flips.count(False), 0)


def test_lines_that_cannot_be_asked_again_are_counted() -> None:
    (line,) = lines(access("shipped"), [ANONYMOUS], [AccessKey("hr", "public", "build")])
    resource = line.input["resources"]["k0"]
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    broken = [
        replace(line, result=None), replace(line, error="late"),
        replace(line, input={**line.input, "resources": {"other": resource}}),
        replace(line, input={**line.input, "action": deep}),
        replace(line, result={"k0": "yes"}),
    ]  # fmt: skip
    assert replay(access("hold"), [line, *broken]) == Replay(1, 0, 0, len(broken))


def test_a_chunk_is_asked_again_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = access("shipped"), access("hold")
    keys = [AccessKey("hr", "public", "build", tags) for tags in ((), ("hold",), ("other",))]
    asked = [json.loads(old.question(ANONYMOUS, Action.DISCOVER, key, channel="http", now=NOW) or "") for key in keys]
    resources = {f"k{number}": each["resources"]["k0"] for number, each in enumerate(asked)}
    line = Recorded(
        NOW, "r1", ANONYMOUS, {**asked[0], "resources": resources}, {id: {"allow": True} for id in resources}, None
    )
    questions: list[Sequence[str]] = []
    evaluate = new._engine.evaluate
    monkeypatch.setattr(new._engine, "evaluate", lambda inputs: questions.append(inputs) or evaluate(inputs))
    assert replay(new, [line]) == Replay(3, 0, 1, 0)
    assert [len(inputs) for inputs in questions] == [1]


def test_what_there_is_no_time_for_is_skipped() -> None:
    recorded = list(lines(access("shipped"), [ANONYMOUS], [AccessKey("hr", "public", "build", ("hold",))])) * 5
    assert replay(access("hold"), recorded, seconds=0.0) == Replay(0, 0, 0, 5)
    assert replay(access("hold"), recorded, most=2) == Replay(2, 0, 2, 3)
