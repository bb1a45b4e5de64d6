"""Access without an engine: guards, scopes, caches, the policy files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opa import NOW

from fairmesh.catalog import access as module
from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet, Scope
from fairmesh.catalog.errors import ConfigError, PolicyUnavailable
from fairmesh.catalog.model import ANONYMOUS, CLASSIFICATIONS, FIELDS, AccessKey, Action, Need, Subject

POLICY = PolicySet({"a.rego": b"package fairmesh.access\n"}, "digest")
TIMED = PolicySet({"a.rego": b"package fairmesh.access\nx := input.context.now_ns\n"}, "timed")
ANA = Subject("ana", "user", ("analyst",), ("crew",), ("sales",), "internal")


class Clearance:
    """An engine made of one rule: what is not restricted is readable, `private` domains are only discoverable."""

    def __init__(self) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.down = False

    def evaluate(self, inputs: Sequence[str]) -> list[object]:
        if self.down:
            raise PolicyUnavailable("down")
        asked = [json.loads(text) for text in inputs]
        self.inputs += asked
        return [{id: self.decision(doc, r) for id, r in doc["resources"].items()} for doc in asked]

    def decision(self, document: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
        readable = resource["classification"] != "restricted" and resource["domain"] != "private"
        allow = readable or (document["action"] == "discover" and resource["domain"] == "private")
        masked = ["restricted", "confidential"] if allow else []
        return {"allow": allow, "reasons": ["by-rule"], "obligations": {"mask_columns": masked}}

    @property
    def asked(self) -> int:
        return sum(len(document["resources"]) for document in self.inputs)

    def close(self) -> None:
        pass


@pytest.fixture
def engine() -> Clearance:
    return Clearance()


@pytest.fixture
def access(engine: Clearance) -> Access:
    return Access(engine, POLICY)


def scope(access: Access, keys: Sequence[AccessKey], subject: Subject = ANA, channel: str = "http") -> Scope:
    return access.scope(subject, keys, channel=channel, now=NOW)


KEYS = [
    AccessKey("sales", "internal", "build"),
    AccessKey("x", "restricted", "build"),
    AccessKey("private", "internal", ""),
]


def test_a_scope_grants_bits_per_key(access: Access) -> None:
    found = scope(access, KEYS)
    fields = sum(FIELDS.values())
    assert found.grants.tolist() == [Need.INTERNAL | Need.PUBLIC | fields, 0, Need.DISCOVER | fields]
    assert (found.policy_revision, found.subject) == ("digest", ANA)
    assert scope(access, []).grants.tolist() == []


def test_a_scope_cannot_be_changed(access: Access) -> None:
    found = scope(access, KEYS)
    with pytest.raises(ValueError, match="read-only"):
        found.grants[1] = 1
    with pytest.raises(FrozenInstanceError):
        found.subject = ANONYMOUS  # type: ignore[misc]


def test_an_unchanged_list_costs_nothing(access: Access, engine: Clearance) -> None:
    first = scope(access, KEYS)
    asked = engine.asked
    assert scope(access, list(KEYS)) is first
    assert engine.asked == asked


def test_a_list_that_grew_costs_what_is_new(access: Access, engine: Clearance) -> None:
    small = scope(access, KEYS[:2])
    asked = engine.asked
    grown = scope(access, [*KEYS[:2], AccessKey("new", "public", "build"), AccessKey("sales", "internal", "build")])
    assert engine.asked == asked + 2
    assert grown.grants[:2].tolist() == small.grants.tolist()
    assert grown.grants[3].tolist() == small.grants[0].tolist()


def test_a_list_that_was_reordered_is_not_mixed_up(access: Access) -> None:
    forward = scope(access, KEYS)
    assert scope(access, KEYS[::-1]).grants.tolist() == forward.grants[::-1].tolist()
    assert scope(access, KEYS[:1]).grants.tolist() == forward.grants[:1].tolist()


def test_owners_collapse_to_whether_it_is_mine(access: Access, engine: Clearance) -> None:
    keys = [AccessKey("d", "internal", "build", (), f"team{i}") for i in range(50)]
    mine = [AccessKey("d", "internal", "build", (), owner) for owner in ("crew", "http://x/id/team/crew", "crew/")]
    members = [AccessKey("d", "internal", "build", (), "", (f"http://x/team/{t}",)) for t in ("crew", "other")]
    scope(access, [*keys, *mine, *members])
    asked = [d for d in engine.inputs if d["action"] == "read_metadata"]
    facts = [(r["is_owner"], r["is_member"]) for r in asked[0]["resources"].values()]
    assert facts == [(False, False), (True, False), (False, True)]


def test_caches_never_cross_subjects_channels_or_purposes(access: Access, engine: Clearance) -> None:
    askers = [(ANA, "http"), (ANA, "cli"), (ANONYMOUS, "http"), (Subject("ana", "user", purpose="audit"), "http")]
    for count, (subject, channel) in enumerate(askers, 1):
        found = access.scope(subject, KEYS[:1], channel=channel, now=NOW)
        assert found.subject == subject
        assert engine.asked == count


def test_time_counts_only_when_the_policy_reads_it(engine: Clearance) -> None:
    later = NOW + timedelta(minutes=1)
    for policies, expected in ((POLICY, 1), (TIMED, 2)):
        engine.inputs.clear()
        access = Access(engine, policies)
        for now in (NOW, NOW.replace(second=59), later):
            access.scope(ANA, KEYS[:1], channel="http", now=now)
        assert engine.asked == expected
    assert engine.inputs[0]["context"]["now_ns"] % 60_000_000_000 == 0


def test_text_that_looks_like_a_quote_hides_no_reading_of_time(engine: Clearance) -> None:
    odd = b'package fairmesh.access\n\nx if { q := "\\""; input.context.now_ns > 1; q == "x" }\n'
    access = Access(engine, PolicySet({"a.rego": odd}, "odd"))
    for now in (NOW, NOW + timedelta(minutes=1)):
        access.scope(ANA, KEYS[:1], channel="http", now=now)
    assert engine.asked == 2


def test_all_chunks_of_a_call_share_a_time() -> None:
    engine = EmbeddedEngine(PolicySet.load(), scope_seconds=0.0)
    assert engine.evaluate(()) == []
    with pytest.raises(PolicyUnavailable) as refused:
        engine.evaluate(['{"v": 1, "resources": {"k0": {}}}'])
    assert "out of time" in str(refused.value.__notes__)


def test_a_failed_extension_keeps_what_was_known(access: Access, engine: Clearance) -> None:
    before = scope(access, KEYS[:1])
    engine.down = True
    with pytest.raises(PolicyUnavailable):
        scope(access, KEYS)
    with pytest.raises(PolicyUnavailable):
        scope(access, KEYS[:1])  # what was decided before does not outlive the engine that decided it
    engine.down = False
    assert scope(access, KEYS[:1]) is before


def test_many_subjects_do_not_pile_up(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KEPT_GRANTS", 30)
    for number in range(300):
        scope(access, KEYS, Subject(f"s{number}", "user"))
    assert sum(len(known.scope.grants) for known in access._known.values()) == access._kept == 30
    assert scope(access, KEYS, Subject("s299", "user")) is scope(access, KEYS, Subject("s299", "user"))


def test_one_scope_is_kept_whatever_its_size(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KEPT_GRANTS", 1)
    assert scope(access, KEYS) is scope(access, KEYS)


def test_chunks_are_bounded(access: Access, engine: Clearance) -> None:
    long = "é" * 500
    keys = [AccessKey(f"d{i}", "internal", "build", (long, long)) for i in range(170)]
    assert (scope(access, keys).grants & Need.READ == Need.READ).all()
    inputs = [json.dumps(document, ensure_ascii=False, separators=(",", ":")) for document in engine.inputs]
    assert max(len(text.encode()) for text in inputs) <= 64 * 1024
    assert max(len(json.loads(text)["resources"]) for text in inputs) <= 80


BAD_TEXTS = ["a\0b", "tab\t", "\ud800", "e\u0301", "x" * 1_000_000, "\x85", 2**70, ["x"], None, {"a": 1}, 1.5, True]


@pytest.mark.parametrize("bad", BAD_TEXTS, ids=lambda value: repr(value)[:20])
def test_odd_values_are_denied_without_asking(access: Access, engine: Clearance, bad: Any) -> None:
    subjects = [
        Subject(bad, "user"), Subject("x", bad), Subject("x", "user", (bad,)), Subject("x", "user", (), (bad,)),
        Subject("x", "user", (), (), (bad,)), Subject("x", "user", clearance=bad),
        Subject("x", "user", bad), Subject("x", "user", (), bad), Subject("x", "user", (), (), bad),
    ]  # fmt: skip
    if bad is not None:
        subjects.append(Subject("x", "user", purpose=bad))
    keys = [
        AccessKey(bad, "internal", "build"), AccessKey("d", bad, "build"), AccessKey("d", "internal", bad),
        AccessKey("d", "internal", "build", (bad,)), AccessKey("d", "internal", "build", bad),
        AccessKey("d", "internal", "build", (), bad), AccessKey("d", "internal", "build", (), "", (bad,)),
    ]  # fmt: skip
    asked = [(subject, KEYS[0]) for subject in subjects] + [(ANA, key) for key in keys]
    for subject, key in asked:
        decision = access.decide(subject, Action.DISCOVER, key, channel="http", now=NOW)
        assert (decision.allowed, decision.reasons) == (False, ("malformed-input",))
        assert not scope(access, [key], subject).grants.any()
    assert engine.inputs == []


def test_one_odd_key_leaves_the_others_standing(access: Access) -> None:
    found = scope(access, [KEYS[0], AccessKey("a\0", "public", "build"), KEYS[0]])
    assert (found.grants & Need.READ == Need.READ).tolist() == [True, False, True]


def test_too_much_is_denied(access: Access, engine: Clearance) -> None:
    tags = tuple(f"{'t' * 500}{i}" for i in range(20))
    crowd = Subject("x", "user", (), tuple(f"{'t' * 500}{i}" for i in range(40)))
    legion = Subject("x", "user", (), (), tuple(map(str, range(300))))
    assert not scope(access, [AccessKey("d", "public", "build", tags)]).grants.any()
    assert not scope(access, KEYS, crowd).grants.any()
    assert not scope(access, KEYS, legion).grants.any()
    assert engine.inputs == []


def test_a_moment_without_a_time_zone_is_a_mistake(access: Access) -> None:
    with pytest.raises(ValueError, match="time zone"):
        access.scope(ANA, KEYS, channel="http", now=datetime(2026, 1, 1))


def test_decisions_keep_order_and_ask_each_action_once(access: Access, engine: Clearance) -> None:
    questions = [(action, key) for key in KEYS for action in (Action.READ_METADATA, Action.DISCOVER)] * 2
    found = access.decide_many(ANA, questions, channel="http", now=NOW)
    assert [d.action for d in found] == [action for action, _ in questions]
    assert [d.allowed for d in found] == [True, True, False, False, False, True] * 2
    assert engine.asked == 6
    assert found[0].obligations.mask_columns == ("confidential", "restricted")
    assert access.decide_many(ANA, [], channel="http", now=NOW) == []


def test_a_denied_decision_carries_no_obligations(access: Access) -> None:
    decision = access.decide(ANA, Action.DISCOVER, KEYS[1], channel="http", now=NOW)
    assert decision.obligations.mask_columns == ()


def test_needs_and_classifications_line_up() -> None:
    assert [Need[word.upper()] for word in CLASSIFICATIONS] == list(Need)[2:]


# -- policy files ---------------------------------------------------------------------------------------------------


def test_the_shipped_policy_loads() -> None:
    policies = PolicySet.load()
    assert list(policies.files) == ["fairmesh/access/decisions.rego", "fairmesh/access/rules.rego"]
    assert len(policies.digest) == 64
    assert policies == PolicySet.load()


def test_the_digest_changes_with_any_byte_or_name(tmp_path: Path) -> None:
    digests: set[str] = set()
    for name, text in (("a.rego", "x"), ("b.rego", "x"), ("a.rego", "y"), ("sub/a.rego", "x")):
        folder = tmp_path / f"{len(digests)}"
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
        (folder / "a_test.rego").write_text("not part of it")
        digests.add(PolicySet.load(folder).digest)
    assert len(digests) == 4


def test_a_folder_without_policies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no policy"):
        PolicySet.load(tmp_path)
    (tmp_path / "latin.rego").write_bytes(b"package x # \xe9")
    with pytest.raises(ConfigError, match="cannot read"):
        PolicySet.load(tmp_path)
