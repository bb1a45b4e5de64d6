"""Publishing policies: what is refused and what stays, what takes effect when, and which policy was in force when."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from samples import BASE, STEWARD, producer, product, register

from fairmesh.catalog import Catalog, Settings
from fairmesh.catalog.access import Access
from fairmesh.catalog.errors import ConfigError, Conflict, Forbidden, InputError, StorageUnavailable, TooLarge
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import (
    ANONYMOUS,
    AccessKey,
    Action,
    Draft,
    Entry,
    EntryKind,
    PageRequest,
    Subject,
    Submission,
)
from fairmesh.catalog.policing import POLICY_FILES, Policies, Published, Publishing, Widens, read_folder
from fairmesh.catalog.policyfiles import POLICIES
from fairmesh.catalog.policytests import is_rule
from fairmesh.catalog.registry import Registry

SHIPPED = read_folder(POLICIES)
SALES = producer("sales")
ANALYST = Subject("ann", "service", ("analyst",), clearance="internal")
AUDITOR = Subject("aud", "service", ("auditor",), clearance="restricted")
KNOWN = (STEWARD, SALES, ANALYST, AUDITOR)
INSIDE = AccessKey("sales", "internal", "design")
HOLD = b"""package fairmesh.org.acme

deny contains {"id": id, "reason": "legal-hold"} if {
	some id, resource in input.resources
	resource.type == "product"
	resource.status == "design"
}
"""
CLOSED = b"""package fairmesh.domains.sales

deny contains {"id": id, "reason": "closed"} if {
	some id, resource in input.resources
	resource.status == "design"
}
"""
PLACE = "domains/sales/closed.rego"


@dataclass
class Desk:
    """The parts that publishing needs, with a clock that the test moves, and no mesh around them."""

    folder: Path
    policies: Path | None = None
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    registry: Registry = field(default_factory=lambda: Registry(BASE))

    def open(self) -> None:
        options = {"data": self.folder, "policies": self.policies, "decision_log": "off"}
        settings = Settings.read(options, environment={})
        self.journal = Journal.open(self.folder)
        if self.journal.iri_base is None:
            before, detail = self.now - timedelta(days=9), {"iri_base": BASE}
            genesis = Draft(EntryKind.GENESIS, "", "", 0, b"{}", "", b"", "fairmesh", before, "", "", detail)
            self.journal.append([genesis])
        self.kept = Policies.open(settings, self.journal, now=self.now)
        self.kept.note("rules")
        self.publishing = Publishing(self.kept, self.registry, self.commit, lambda: "rules", 1, lambda: self.now)

    def commit(self, draft: Draft, then: Callable[[Entry], None]) -> None:
        then(self.journal.append([draft])[0])

    def close(self) -> None:
        self.kept.close()
        self.journal.close()

    def again(self) -> None:
        """Stop and start."""
        self.close()
        self.open()

    def publish(
        self, subject: Subject, files: Mapping[str, bytes], domain: str | None = None, *, dry_run: bool = False,
        allow_widening: bool = False,
    ) -> Published:  # fmt: skip
        return self.publishing.publish(
            subject, files, channel="http", domain=domain, known=KNOWN, dry_run=dry_run, allow_widening=allow_widening
        )

    @property
    def entries(self) -> int:
        return len(list(self.journal.entries(kinds=[EntryKind.POLICY])))

    def may(self, subject: Subject, action: Action = Action.READ_METADATA, key: AccessKey = INSIDE) -> bool:
        return self.kept.access.decide(subject, action, key, channel="http", now=self.now).allowed


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "data")
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One at which nothing comes to be published."""
    made = Desk(tmp_path_factory.mktemp("still") / "data")
    made.open()
    digest = made.kept.access.policy_digest
    yield made
    assert (made.kept.access.policy_digest, made.entries) == (digest, 1)
    made.close()


# -- taking effect ----------------------------------------------------------------------------------------------------


def test_a_published_policy_decides_from_then_on_and_after_a_restart(desk: Desk) -> None:
    before = desk.kept.access
    assert desk.may(ANALYST)
    desk.now += timedelta(seconds=1)
    done = desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD})
    assert (done.change, done.digest) == ("published", desk.kept.access.policy_digest)
    assert done.digest != before.policy_digest
    assert not desk.may(ANALYST)
    assert before.decide(ANALYST, Action.READ_METADATA, INSIDE, channel="http", now=desk.now).allowed
    entry = desk.journal.last(EntryKind.POLICY)
    assert entry is not None
    assert (entry.draft.actor, entry.draft.at, entry.draft.policy) == (STEWARD.id, desk.now, before.policy_digest)
    assert entry.draft.detail == {"digest": done.digest, "source": "published"}
    assert json.loads(entry.draft.document).keys() == {*SHIPPED, "org/acme/hold.rego"}
    desk.again()
    assert desk.kept.access.policy_digest == done.digest
    assert not desk.may(ANALYST)
    assert desk.entries == 2


def test_an_unchanged_set_says_so_and_is_not_journaled(still: Desk) -> None:
    assert still.publish(STEWARD, SHIPPED).change == "unchanged"
    assert still.entries == 1


def test_a_dry_run_says_what_would_be_and_changes_nothing(desk: Desk) -> None:
    files = {**SHIPPED, "org/acme/hold.rego": HOLD}
    dry = desk.publish(STEWARD, files, dry_run=True)
    assert dry.change == "publishable"
    assert desk.entries == 1
    assert desk.may(ANALYST)
    assert desk.publish(STEWARD, files).digest == dry.digest


def test_other_tests_alone_leave_the_revision_as_it_is(desk: Desk) -> None:
    digest, access = desk.kept.access.policy_digest, desk.kept.access
    fewer = {path: body for path, body in SHIPPED.items() if not path.endswith("_test.rego")}
    assert desk.publish(STEWARD, fewer).digest == digest
    assert desk.kept.access is access
    assert desk.entries == 2
    assert set(desk.kept.current.files) == set(fewer)


def test_a_scope_that_was_cached_is_not_used_any_more(desk: Desk) -> None:
    keys = [INSIDE]
    assert desk.kept.access.scope(ANALYST, keys, channel="http", now=desk.now).grants[0] & 1
    desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD})
    found = desk.kept.access.scope(ANALYST, keys, channel="http", now=desk.now)
    assert found.grants[0] == 0
    assert found.policy_revision == desk.kept.access.policy_digest


def test_two_publishers_do_not_lose_each_others_files(desk: Desk) -> None:
    inside, go_on = threading.Event(), threading.Event()
    commit = desk.publishing._commit

    def slow(draft: Draft, then: Callable[[Entry], None]) -> None:
        inside.set()
        assert go_on.wait(30)
        commit(draft, then)

    desk.publishing._commit = slow
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(desk.publish, SALES, {PLACE: CLOSED}, "sales")
        assert inside.wait(30)
        with pytest.raises(Conflict, match="being published"):
            desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD})
        with pytest.raises(Forbidden):
            desk.publish(ANALYST, {PLACE: CLOSED}, "sales")
        go_on.set()
        assert first.result().change == "published"
    assert PLACE in desk.kept.current.files


def test_an_impact_is_worked_out_on_one_policy_though_another_comes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorize, before = desk.publishing._authorize, desk.kept.access.policy_digest

    def overtaken(*asked: Any) -> bool:
        monkeypatch.setattr(desk.publishing, "_authorize", authorize)
        desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD})
        return authorize(*asked)

    monkeypatch.setattr(desk.publishing, "_authorize", overtaken)
    found = desk.publishing.impact(STEWARD, {}, channel="http", domain="sales", known=KNOWN)
    assert (found.current, found.proposed) == (before, before)
    assert desk.kept.access.policy_digest != before


def test_a_start_reads_the_policies_of_the_journal_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD})
    read: list[int] = []
    entries = desk.journal.entries

    def counted(**asked: Any) -> Iterator[Entry]:
        for entry in entries(**asked):
            read.append(entry.seq)
            yield entry

    monkeypatch.setattr(desk.journal, "entries", counted)
    settings = Settings.read({"data": desk.folder, "decision_log": "off"}, environment={})
    again = Policies.open(settings, desk.journal, now=desk.now)
    assert again.access.policy_digest == desk.kept.access.policy_digest
    assert read == sorted(set(read))
    assert len(read) == 2
    again.close()


def test_an_old_engine_is_closed_when_the_last_request_lets_go(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    made = desk.kept.open_access

    def watched(policies: Any) -> Access:
        access = made(policies)
        monkeypatch.setattr(access._engine, "close", lambda: None)
        weakref.finalize(access, closed.append, policies.digest)
        return access

    monkeypatch.setattr(desk.kept, "open_access", watched)
    first = desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD}).digest
    held = desk.kept.access
    desk.publish(STEWARD, SHIPPED, allow_widening=True)
    assert closed == []
    assert not held.decide(ANALYST, Action.READ_METADATA, INSIDE, channel="http", now=desk.now).allowed
    del held
    assert closed == [first]


# -- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "domain"),
    [(SALES, None), (SALES, "hr"), (SALES, "nowhere"), (ANALYST, "sales"), (AUDITOR, None), (AUDITOR, "sales"),
     (ANONYMOUS, None), (ANONYMOUS, "sales"), (SALES, "")],
)  # fmt: skip
def test_who_may_not_publish_learns_nothing(still: Desk, subject: Subject, domain: str | None) -> None:
    said = set()
    for files in ({}, SHIPPED, {"../x": b"\xff"}, {"org/acme/hold.rego": b"package"}):
        with pytest.raises(Forbidden) as refused:
            still.publish(subject, files, domain)
        said.add(str(refused.value))
        with pytest.raises(Forbidden):
            still.publishing.impact(subject, files, channel="http", domain=domain, known=KNOWN)
    assert said == {"publishing policies needs the govern action on them"}
    assert still.entries == 1


def test_a_steward_publishes_for_a_domain_too(desk: Desk) -> None:
    assert desk.publish(STEWARD, {PLACE: CLOSED}, "sales").change == "published"
    assert desk.kept.current.domain == "sales"


# -- domains ----------------------------------------------------------------------------------------------------------


def test_a_domain_narrows_its_own_products_and_takes_that_back(desk: Desk) -> None:
    desk.publish(SALES, {PLACE: CLOSED}, "sales")
    assert not desk.may(ANALYST)
    assert not desk.may(STEWARD)
    assert desk.may(ANALYST, key=AccessKey("hr", "internal", "design"))
    assert desk.publish(SALES, {}, "sales", dry_run=True).change == "publishable"  # nothing in the mesh is widened
    desk.publish(SALES, {}, "sales")
    assert desk.may(ANALYST)
    assert dict(desk.kept.current.files) == SHIPPED


def test_publishing_for_a_domain_leaves_the_files_of_others(desk: Desk) -> None:
    desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD})
    desk.publish(STEWARD, {"domains/hr/closed.rego": CLOSED.replace(b"sales", b"hr")}, "hr")
    desk.publish(SALES, {PLACE: CLOSED}, "sales")
    assert {"org/acme/hold.rego", "domains/hr/closed.rego", PLACE} < set(desk.kept.current.files)


WIDENING = {
    "the package of the decision": b"package fairmesh.access\n\nmore := 1\n",
    "a grant in the decision": b'package fairmesh.access\n\ngrants(who, r) := {"own-domain"}\n',
    "another domain's package": CLOSED.replace(b"domains.sales", b"domains.hr"),
    "the organisation's package": CLOSED.replace(b"domains.sales", b"org.acme"),
    "the package of all domains": b'package fairmesh.domains\n\nhr := {"deny": set()}\n',
    "a package beside the domain's": b"package fairmesh.domains.sales2\n\nx := 1\n",
}


@pytest.mark.parametrize("name", WIDENING)
def test_a_domain_that_reaches_further_is_refused(still: Desk, name: str) -> None:
    with pytest.raises(InputError) as refused:
        still.publish(SALES, {PLACE: WIDENING[name]}, "sales")
    assert refused.value.remedy
    assert "closed.rego" in refused.value.message
    assert still.entries == 1
    assert still.may(ANALYST)


def test_a_domains_entries_that_are_no_denies_hit_only_its_own_products(desk: Desk) -> None:
    broken = b'package fairmesh.domains.sales\n\ndeny contains "everything"\n'
    desk.publish(SALES, {PLACE: broken}, "sales")
    assert not desk.may(STEWARD)
    assert desk.may(ANALYST, key=AccessKey("hr", "internal", "design"))
    desk.publish(SALES, {}, "sales")  # its policy files stay in its hands
    assert desk.may(STEWARD)


def test_files_of_a_domain_lie_in_its_folder(still: Desk) -> None:
    for path in ("org/acme/x.rego", "domains/hr/x.rego", "x.rego", "domains/sales.rego"):
        with pytest.raises(InputError, match="below domains/sales/"):
            still.publish(SALES, {path: CLOSED}, "sales")


# -- bad policies -----------------------------------------------------------------------------------------------------

BAD = {
    "does not compile": b"package fairmesh.org.acme\n\ndeny contains {\n",
    "recurses": b"package fairmesh.org.acme\n\nx := y\n\ny := x\n\ndeny contains x\n",
    "unknown function": b"package fairmesh.org.acme\n\nx := regex.match(`a`, input.action)\n\ndeny contains x\n",
    "unset variable": b"package fairmesh.org.acme\n\ndeny contains 1 if not nothing_of_the_kind\n",
    "reads the environment": b"package fairmesh.org.acme\n\ndeny contains opa.runtime()\n",
    "conflicts": b"package fairmesh.org.acme\n\nx := 1 if input.v\n\nx := 2 if input.action\n\ndeny contains x\n",
    "takes for ever": b"""package fairmesh.org.acme

n := [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]

deny contains a if {
	some a in n
	some b in n
	some c in n
	some d in n
	some e in n
	some f in n
	some g in n
	some h in n
	((((((a + b) + c) + d) + e) + f) + g) + h == 1000
}
""",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_policy_is_refused_and_the_old_one_stays(still: Desk, name: str) -> None:
    digest = still.kept.access.policy_digest
    with pytest.raises(InputError) as refused:
        still.publish(STEWARD, {**SHIPPED, "org/acme/bad.rego": BAD[name]})
    assert refused.value.remedy
    assert still.kept.access.policy_digest == digest
    still.again()
    assert still.kept.access.policy_digest == digest
    assert still.entries == 1
    assert still.may(ANALYST)


def test_where_a_bad_policy_is_bad(still: Desk) -> None:
    with pytest.raises(InputError) as refused:
        still.publish(STEWARD, {**SHIPPED, "org/acme/bad.rego": BAD["unknown function"]})
    assert "org/acme/bad.rego" in refused.value.message
    assert refused.value.line == 3


def test_failing_tests_refuse_the_policy_and_name_their_place(desk: Desk) -> None:
    table = b"""usual:
  subject: {kind: user, roles: [analyst], teams: [], domains: [], clearance: internal}
  product: {domain: sales, classification: internal, status: design, tags: [], owner: "", members: []}
subjects: {ann: {}}
products: {orders: {}, open: {status: build}}
decisions:
  - {who: ann, does: discover, what: orders, answer: deny, because: [closed]}
  - {who: ann, does: discover, what: open, answer: deny, because: [closed]}
"""
    with pytest.raises(InputError, match=r"domains/sales/decisions/own\.yaml:8: ann discover open: allow") as refused:
        desk.publish(SALES, {PLACE: CLOSED, "domains/sales/decisions/own.yaml": table}, "sales")
    assert refused.value.line == 8
    right = table.replace(b"what: open, answer: deny, because: [closed]", b"what: open, answer: allow, because: "
                          b"[clearance-covers], masks: [confidential, restricted]")  # fmt: skip
    assert desk.publish(SALES, {PLACE: CLOSED, "domains/sales/decisions/own.yaml": right}, "sales").change


def test_a_rego_test_that_fails_refuses_the_policy(still: Desk) -> None:
    failing = (
        b"package fairmesh.org.acme_test\n\nimport data.fairmesh.org.acme\n\ntest_quiet if count(acme.deny) == 9\n"
    )
    with pytest.raises(InputError, match=r"hold_test\.rego:5: test_quiet"):
        still.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD, "org/acme/hold_test.rego": failing})


ASKS = b"""package acme_test

import data.fairmesh.access
import data.fairmesh.access_test.asked
import data.fairmesh.access_test.resource

test_held[status] if {
	some status, held in {"design": true, "build": false}
	resources := {"r": object.union(resource, {"status": status})}
	found := access.decisions with input as object.union(asked, {"resources": resources})
	found.r.allow != held
}
"""


def test_rego_tests_may_ask_for_whole_decisions(still: Desk) -> None:
    files = {**SHIPPED, "org/acme/hold_test.rego": ASKS}
    done = still.publish(STEWARD, {**files, "org/acme/hold.rego": HOLD}, dry_run=True)
    assert done.change == "publishable"
    late = HOLD.replace(b'"design"', b'"deploy"')
    with pytest.raises(InputError, match=r"hold_test\.rego:7: test_held: it is not true for design \(line 7\)"):
        still.publish(STEWARD, {**files, "org/acme/hold.rego": late}, dry_run=True)


def test_nobody_locks_themselves_out(still: Desk) -> None:
    lock = HOLD.replace(b'"product"', b'"policy"').replace(b'\tresource.status == "design"\n', b"")
    rules = {path: body for path, body in SHIPPED.items() if is_rule(path)}
    with pytest.raises(InputError, match="could not publish another one"):
        still.publish(STEWARD, {**rules, "org/acme/lock.rego": lock})


REFUSED_FILES: dict[str, tuple[dict[str, bytes], str]] = {
    "a path upwards": ({"../x.rego": HOLD}, "not a file of a policy"),
    "an absolute path": ({"/etc/x.rego": HOLD}, "not a file of a policy"),
    "a path with a NUL": ({"a\0.rego": HOLD}, "not a file of a policy"),
    "a hidden file": ({"org/.x.rego": HOLD}, "not a file of a policy"),
    "another kind of file": ({"data.json": b"{}"}, "not a file of a policy"),
    "a table elsewhere": ({"table.yaml": b"{}"}, "not a file of a policy"),
    "no UTF-8": ({"x.rego": b"package x\n# \xff"}, "not UTF-8"),
    "a large file": ({"x.rego": b"#" * 200_001}, "too large"),
    "much together": ({f"x{n}.rego": b"#" * 190_000 for n in range(12)}, "too large"),
    "many files": ({f"x{n}.rego": b"" for n in range(POLICY_FILES.max_files + 1)}, "files of one policy"),
    "no policy at all": ({}, "no rule|no policy|compile"),
    "no decision": ({"org/acme/hold.rego": HOLD}, "no rule|compile"),
}


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_files_that_no_set_may_hold(still: Desk, name: str) -> None:
    files, words = REFUSED_FILES[name]
    with pytest.raises(InputError, match=words) as refused:
        still.publish(STEWARD, files)
    assert refused.value.remedy
    assert isinstance(refused.value, TooLarge) == (name in ("a large file", "much together", "many files"))
    assert still.entries == 1


# -- history ----------------------------------------------------------------------------------------------------------


def test_which_policy_was_in_force_on_a_date(desk: Desk) -> None:
    start, shipped = desk.now, desk.kept.access.policy_digest
    desk.now = start + timedelta(days=10)
    held = desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD}).digest
    desk.now = start + timedelta(days=20)
    desk.publish(SALES, {PLACE: CLOSED}, "sales")
    for _ in range(2):
        days = {-1: None, 0: shipped, 9: shipped, 10: held, 19: held, 20: desk.kept.access.policy_digest}
        for day, digest in days.items():
            found = desk.kept.versions.in_force(start + timedelta(days=day))
            assert (found.digest if found else None) == digest, day
        newest = desk.kept.versions.in_force(start + timedelta(days=500))
        assert newest == desk.kept.current
        assert (newest.author, newest.source, newest.domain) == (SALES.id, "published", "sales")
        desk.again()


def test_another_folder_takes_over_at_a_start_and_the_same_folder_does_not(desk: Desk, tmp_path: Path) -> None:
    published = desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD}).digest
    desk.again()
    assert desk.kept.access.policy_digest == published
    for path, body in SHIPPED.items():
        (tmp_path / "own" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / path).write_bytes(body + b"\n# ours\n")
    desk.policies = tmp_path / "own"
    desk.again()
    assert desk.kept.current.source == "folder"
    assert desk.kept.access.policy_digest not in (published, None)
    own = desk.kept.access.policy_digest
    assert desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD}).digest == published
    desk.again()
    assert desk.kept.access.policy_digest == published
    assert [entry.draft.detail["digest"] for entry in desk.journal.entries(kinds=[EntryKind.POLICY])][2:] == [
        own, published,
    ]  # fmt: skip


def test_a_journal_from_before_sources_were_noted_is_of_a_folder(tmp_path: Path) -> None:
    old = Desk(tmp_path / "data")
    old.open()
    rules = {path: body.decode() for path, body in old.kept.access.policies.files.items()}
    detail = {"digest": old.kept.access.policy_digest}
    old.journal.append([
        Draft(EntryKind.POLICY, "", "", 0, json.dumps(rules).encode(), "application/json", b"", "fairmesh", old.now, "",
              "", detail)
    ])  # fmt: skip
    old.again()
    assert old.kept.current.source == "folder"
    assert old.entries == 2
    old.close()


def test_a_journaled_policy_that_can_no_longer_be_used(desk: Desk) -> None:
    bad = json.dumps({"x.rego": "package x\n\ny := http.send({})\n"}).encode()
    detail = {"digest": "bad", "source": "published"}
    desk.journal.append([
        Draft(EntryKind.POLICY, "", "", 0, bad, "application/json", b"", "stew", desk.now, "", "", detail)
    ])  # fmt: skip
    with pytest.raises(ConfigError, match=r"policy of the journal \(entry 3\)") as refused:
        Policies.open(Settings.read({"data": desk.folder}, environment={}), desk.journal, now=desk.now)
    assert "folder" in refused.value.remedy


# -- widening and explaining ------------------------------------------------------------------------------------------


def test_a_policy_that_widens_needs_saying_so(catalog: Catalog) -> None:
    register(catalog, product("sales.orders", status="design"))
    publish = catalog.publishing.publish
    held = {**SHIPPED, "org/acme/hold.rego": HOLD}
    assert publish(STEWARD, held, channel="http", known=KNOWN).change == "published"
    with pytest.raises(Widens) as refused:
        publish(STEWARD, SHIPPED, channel="http", known=KNOWN)
    gains = [change for change in refused.value.impact.changes if change.gains]
    assert {change.action for change in gains} >= {Action.DISCOVER, Action.READ_METADATA, Action.READ_DATA}
    assert {change.examples for change in gains} == {("sales.orders",)}
    assert publish(STEWARD, SHIPPED, channel="http", known=KNOWN, allow_widening=True).change == "published"


def test_why_a_decision_comes_about(desk: Desk) -> None:
    desk.publish(STEWARD, {**SHIPPED, "org/acme/hold.rego": HOLD})
    found = desk.kept.explain(desk.kept.access, ANALYST, Action.READ_METADATA, INSIDE, channel="http", now=desk.now)
    assert found.decision.reasons == ("legal-hold",)
    assert found.facts is not None
    assert found.facts["resources"]["k0"]["classification"] == "internal"
    fired = {(step.file, step.rule.rpartition(".")[2]) for step in found.rules}
    assert ("org/acme/hold.rego", "deny") in fired
    malformed = Subject("a\0b", "service")
    asked = desk.kept.explain(desk.kept.access, malformed, Action.DISCOVER, INSIDE, channel="http", now=desk.now)
    assert (asked.decision.reasons, asked.facts, asked.rules) == (("malformed-input",), None, ())


# -- among readers and writers ----------------------------------------------------------------------------------------


def test_every_answer_is_of_one_policy_while_others_are_published(catalog: Catalog) -> None:
    """Readers and writers on the real catalog: what each is told is what the policy it names says."""
    register(catalog, product("sales.orders", status="design"))
    iri = BASE + "sales.orders"
    shipped = catalog.policy_digest
    held = {**SHIPPED, "org/acme/hold.rego": HOLD}
    no_updates = {**SHIPPED, "org/acme/frozen.rego": HOLD.replace(b'"legal-hold"', b'"frozen"')}
    digests = {
        catalog.publishing.publish(STEWARD, files, channel="http", dry_run=True).digest for files in (held, no_updates)
    }
    stop = threading.Event()
    seen: set[tuple[str, bool]] = set()
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            with catalog.view(ANALYST, channel="http") as view:
                visible = view.product(iri=iri) is not None
                decisions = view.viewer_can(iri, [Action.READ_DATA]) if visible else ()
                if visible != (view.policy_revision == shipped):
                    wrong.append((visible, view.policy_revision))
                wrong.extend(d for d in decisions if d.revision != view.policy_revision or not d.allowed)
                seen.add((view.policy_revision, visible))

    def write(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            data = product("sales.orders", title=f"Orders {number} {turn}", status="design")
            outcome = catalog.register(SALES, [Submission(data)], channel="http")[0]
            decision = outcome.decision
            assert decision is not None
            if (outcome.error is None) != (decision.revision == shipped):
                wrong.append((outcome.error, decision))

    with ThreadPoolExecutor(5) as pool:
        jobs = [pool.submit(read) for _ in range(3)] + [pool.submit(write, number) for number in range(2)]
        try:
            for files in (held, SHIPPED, no_updates, SHIPPED):
                digests.add(catalog.publishing.publish(STEWARD, files, channel="http", allow_widening=True).digest)
        finally:
            stop.set()
        for job in jobs:
            job.result()
    assert not wrong
    assert len(digests) == 3
    assert {visible for _, visible in seen} == {True, False}
    for entry in catalog.journal.entries(kinds=[EntryKind.REGISTER]):
        assert entry.draft.policy == shipped  # nothing was stored under a policy that forbids it
        in_force = catalog.policies.versions.in_force(entry.draft.at)
        assert in_force is not None


def test_what_was_judged_under_a_replaced_policy_is_judged_again(catalog: Catalog) -> None:
    """A policy that forbids the registration comes between its approval and its commit."""
    commit, published = catalog._commit, []

    def late(subject: Subject, attempts: Any) -> None:
        if not published:
            files = {**SHIPPED, "org/acme/hold.rego": HOLD}
            published.append(catalog.publishing.publish(STEWARD, files, channel="http").digest)
        commit(subject, attempts)

    catalog._commit = late  # type: ignore[method-assign]
    data = product("sales.orders", status="design")
    outcome = catalog.register(SALES, [Submission(data)], channel="http")[0]
    assert isinstance(outcome.error, Forbidden)
    assert outcome.decision is not None
    assert (outcome.decision.reasons, outcome.decision.revision) == (("legal-hold",), published[0])
    assert not catalog.registry.by_home


def test_a_disk_that_refuses_leaves_the_policy_as_it_is(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = catalog.policy_digest

    def full(drafts: Any) -> list[Entry]:
        raise StorageUnavailable("no space", remedy="Make some")

    files = {**SHIPPED, "org/acme/hold.rego": HOLD}
    with monkeypatch.context() as patched:
        patched.setattr(catalog.journal, "append", full)
        with pytest.raises(StorageUnavailable):
            catalog.publishing.publish(STEWARD, files, channel="http")
    assert catalog.policy_digest == digest
    assert catalog.publishing.publish(STEWARD, files, channel="http").digest == catalog.policy_digest != digest


def test_a_view_decides_by_one_policy_to_its_end(catalog: Catalog) -> None:
    register(catalog, product("sales.orders", status="design"))
    with catalog.view(ANALYST, channel="http") as view, ThreadPoolExecutor(1) as pool:
        before = view.policy_revision
        files = {**SHIPPED, "org/acme/hold.rego": HOLD}
        catalog.storage._apply_all = lambda *_: None  # type: ignore[method-assign, assignment]
        done = pool.submit(catalog.publishing.publish, STEWARD, files, channel="http").result()
        assert catalog.policy_digest == done.digest != before
        assert view.product(key="sales.orders") is not None
        (decision,) = view.viewer_can(BASE + "sales.orders", [Action.READ_DATA])
        assert (decision.allowed, decision.revision) == (True, before)
        assert view.conformance(BASE + "sales.orders") is not None
        assert view.revisions(BASE + "sales.orders", PageRequest()).total == 1
