"""A waiver from the first refusal to its end: over GraphQL, HTTP and the command line, on a real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from running import Ran, Server, fairmesh, serving
from served import Mesh, document, listening, served

from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import EntryKind

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
UNTIL = datetime(2027, 1, 1, tzinfo=UTC)
WHY = "the text is being translated"
KEY = "sales.returns"
RULE = "core/04"
GOOD = document(KEY, "Returns")
BAD = GOOD.replace(
    "Returns: what the sales team knows of them, one row for each, kept for tests of the service.", "Soon"
)
assert BAD != GOOD

GRANT = """
mutation($input: GrantWaiverInput!) {
  grantWaiver(input: $input) {
    waiver { id key ruleId reason approvedBy requestedBy grantedAt expiresAt active rule { label } product { iri } }
    errors { code message path ... on Forbidden { decision { reasons } } }
    clientMutationId
  }
}
"""
WITHDRAW = """
mutation($id: ID!) {
  withdrawWaiver(input: {id: $id}) { waiver { id active endedBy } errors { code message } }
}
"""
REGISTER = """
mutation($content: String!, $waivers: [ID!]) {
  register(input: {metadata: {content: $content}, waivers: $waivers}) {
    created dataProduct { key }
    report { conforms results(severity: [VIOLATION]) { nodes { waivedUntil shape { iri } } } }
    errors { code message path }
  }
}
"""
PRODUCT = """
query($key: String!) {
  dataProduct(key: $key) {
    waivers { id ruleId active } every: waivers(active: null) { id active }
    conformance { conforms results(severity: [VIOLATION]) { nodes { waivedUntil } } }
  }
}
"""
LIST = """
query($domain: String, $active: Boolean, $first: Int, $after: String) {
  waivers(domain: $domain, active: $active, first: $first, after: $after) {
    totalCount nodes { id key ruleId active product { iri } } pageInfo { hasNextPage endCursor }
  }
}
"""


@dataclass
class Service:
    """The service on a socket, and a clock that the test moves."""

    mesh: Mesh
    url: str
    now: list[datetime] = field(default_factory=list)

    def grant(self, role: str | None = "steward", **more: object) -> dict[str, Any]:
        asked = {"key": KEY, "rule": RULE, "reason": WHY, "expiresAt": UNTIL.isoformat(), **more}
        found: dict[str, Any] = self.mesh.data(GRANT, role, input=asked)["grantWaiver"]
        return found

    def register(self, content: str = BAD, role: str = "sales", **more: object) -> dict[str, Any]:
        found: dict[str, Any] = self.mesh.data(REGISTER, role, content=content, **more)["register"]
        return found

    def product(self, key: str = KEY, role: str = "analyst") -> Any:
        return self.mesh.data(PRODUCT, role, key=key)["dataProduct"]

    def listed(self, role: str | None = "analyst", **asked: object) -> list[str]:
        return [each["key"] for each in self.mesh.data(LIST, role, **asked)["waivers"]["nodes"]]

    def run(self, *arguments: str | Path, role: str = "steward") -> Ran:
        return fairmesh(*arguments, "--server", self.url, token=self.mesh.tokens[role])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    now = [START]
    with served(tmp_path / "data", clock=lambda: now[0]) as mesh, listening(mesh.app) as url:
        yield Service(mesh, url, now)


# -- from refusal to refusal ------------------------------------------------------------------------------------------


def test_a_waiver_lets_a_product_in_until_its_end_and_gates_again_at_that_instant(service: Service) -> None:
    refused = service.register()
    assert [error["code"] for error in refused["errors"]] == ["NOT_CONFORMING"]
    given = service.grant()["waiver"]
    assert given == {
        "id": given["id"], "key": KEY, "ruleId": RULE, "reason": WHY, "approvedBy": "stu", "requestedBy": None,
        "grantedAt": given["grantedAt"], "expiresAt": "2027-01-01T00:00:00Z", "active": True,
        "rule": {"label": "Description"}, "product": None,
    }  # fmt: skip
    assert given["grantedAt"].startswith("2026-11-21T12:00:00"), "a clock that stands still: entries are a moment apart"
    done = service.register()
    assert (done["errors"], done["created"]) == ([], True)
    assert done["report"]["conforms"]
    entry, (kept,) = service.mesh.catalog.journal.last(EntryKind.REGISTER), service.mesh.catalog.waivers.all()
    assert entry is not None
    assert entry.draft.detail["waivers"] == [kept.id], "what was relied on is journaled"
    assert {each["waivedUntil"] for each in done["report"]["results"]["nodes"]} == {"2027-01-01T00:00:00Z"}
    service.now[0] = UNTIL - TICK
    held = service.product()
    assert held["waivers"] == [{"id": given["id"], "ruleId": RULE, "active": True}]
    assert held["conformance"]["conforms"]
    assert service.register(BAD.replace("Soon", "Later"))["errors"] == []
    service.now[0] = UNTIL
    ended = service.product()
    assert (ended["waivers"], ended["every"]) == ([], [{"id": given["id"], "active": False}])
    assert not ended["conformance"]["conforms"]
    assert {each["waivedUntil"] for each in ended["conformance"]["results"]["nodes"]} == {None}
    assert [error["code"] for error in service.register()["errors"]] == ["NOT_CONFORMING"]


def test_over_http_findings_say_until_when_and_refusals_name_what_gates(service: Service) -> None:
    service.grant()
    answer = service.mesh.put(BAD, "sales")
    assert answer.status_code == 201, answer.text
    other = document("sales.refunds", "Refunds").replace('dct:title "Refunds"@en ;', "")
    assert service.mesh.put(other, "sales").status_code == 422
    worse = BAD.replace('dct:title "Returns"@en ;', "")
    report = service.mesh.put(worse, "sales").json()["report"]
    gating = {f["rule"] for f in report["findings"] if f["severity"] == "VIOLATION" and f["waived_until"] is None}
    waived = {f["rule"]: f["waived_until"] for f in report["findings"] if f["waived_until"]}
    assert gating == {"core/03"}
    assert waived == {RULE: "2027-01-01T00:00:00+00:00"}


def test_a_waiver_that_was_withdrawn_or_is_of_another_product_or_rule_excuses_nothing(service: Service) -> None:
    service.grant(key="sales.orders")
    service.grant(rule="core/03")
    id = service.grant()["waiver"]["id"]
    found = service.mesh.data(WITHDRAW, "steward", id=id)["withdrawWaiver"]
    assert found == {"waiver": {"id": id, "active": False, "endedBy": "stu"}, "errors": []}
    assert [error["code"] for error in service.register()["errors"]] == ["NOT_CONFORMING"]
    again = service.mesh.data(WITHDRAW, "steward", id=id)["withdrawWaiver"]["errors"]
    assert [error["code"] for error in again] == ["CONFLICT"]


def test_a_waiver_that_ends_between_judging_and_storing_lets_nothing_in(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.grant()
    storage = service.mesh.catalog.storage
    catch_up = storage.catch_up

    def late() -> None:
        service.now[0] = UNTIL
        catch_up()

    monkeypatch.setattr(storage, "catch_up", late)  # the first step of a commit
    assert [error["code"] for error in service.register()["errors"]] == ["NOT_CONFORMING"]
    assert service.product() is None


# -- named by a submission --------------------------------------------------------------------------------------------


def test_a_submission_may_name_the_waivers_it_relies_on(service: Service) -> None:
    id = service.grant()["waiver"]["id"]
    other = service.grant(key="sales.orders")["waiver"]["id"]
    for wrong in (
        other,
        "nonsense",
        service.mesh.data('{ dataProduct(key: "sales.orders") { id } }')["dataProduct"]["id"],
    ):
        (error,) = service.register(waivers=[id, wrong])["errors"]
        assert (error["code"], error["path"]) == ("INVALID", ["input", "waivers"])
        assert error["message"].startswith(f"'{wrong}' is no active waiver of {KEY}.")
    for named in ([id], ["nonsense"], []):  # who may not register is told nothing of waivers
        assert [error["code"] for error in service.register(role="finance", waivers=named)["errors"]] == ["FORBIDDEN"]
    assert service.register(waivers=[id])["created"]
    service.now[0] = UNTIL
    (error,) = service.register(GOOD, waivers=[id])["errors"]
    assert error["code"] == "INVALID"
    assert service.register(GOOD, waivers=[])["errors"] == []


# -- who gives, who sees ----------------------------------------------------------------------------------------------


def test_only_stewards_give_waivers(service: Service) -> None:
    refused = {"sales": "own-waiver", "finance": "role-may-not", "analyst": "role-may-not", None: "role-may-not"}
    for role, reason in refused.items():
        found = service.grant(role)
        (error,) = found["errors"]
        assert (found["waiver"], error["code"], error["decision"]["reasons"]) == (None, "FORBIDDEN", [reason])


def test_a_waiver_shows_to_readers_of_the_product_and_to_who_asked_for_it(service: Service) -> None:
    """`hr.salaries` is hidden from the analyst, `sales.returns` is not registered."""
    hidden = service.grant(key="hr.salaries")["waiver"]["id"]
    service.grant(requestedBy="sam")
    open_ = service.grant(key="sales.orders")["waiver"]["id"]
    assert service.listed("steward") == ["hr.salaries", "sales.orders", KEY]
    assert service.listed("sales") == ["sales.orders", KEY]
    assert service.listed("analyst") == ["sales.orders"]
    assert service.listed("analyst", domain="hr") == []
    assert service.listed(None) == []
    assert service.product("hr.salaries") is None
    node = "query($id: ID!) { node(id: $id) { id ... on Waiver { key } } }"
    assert service.mesh.data(node, id=hidden)["node"] is None
    assert service.mesh.data(node, id=open_)["node"] == {"id": open_, "key": "sales.orders"}
    nothing = service.mesh.data(WITHDRAW, "analyst", id="nonsense")["withdrawWaiver"]["errors"]
    assert service.mesh.data(WITHDRAW, "analyst", id=hidden)["withdrawWaiver"]["errors"] == nothing
    assert [error["code"] for error in nothing] == ["NOT_FOUND"]
    seen = service.mesh.data(WITHDRAW, "analyst", id=open_)["withdrawWaiver"]["errors"]
    assert [error["code"] for error in seen] == ["FORBIDDEN"]


def test_waivers_are_paged_in_order_and_told_by_whether_they_hold(service: Service) -> None:
    for key in ("sales.orders", "ops.calendar", "finance.revenue"):
        service.grant(key=key)
    service.mesh.data(WITHDRAW, "steward", id=service.grant(key="ops.calendar", rule="core/03")["waiver"]["id"])
    page = service.mesh.data(LIST, "steward", first=3)["waivers"]
    assert page["totalCount"] == 4
    assert [each["key"] for each in page["nodes"]] == ["finance.revenue", "ops.calendar", "ops.calendar"]
    rest = service.mesh.data(LIST, "steward", first=3, after=page["pageInfo"]["endCursor"])["waivers"]
    assert [each["key"] for each in rest["nodes"]] == ["sales.orders"]
    assert service.listed("steward", active=False) == ["ops.calendar"]
    assert service.listed("steward", active=True, domain="ops") == ["ops.calendar"]


# -- the command line -------------------------------------------------------------------------------------------------


def test_a_grant_that_is_refused_says_what_to_do(service: Service) -> None:
    asked = ("waiver", "grant", KEY, "domains/sales/fresh", "--reason", WHY, "--until", "2027-01-01")
    steward = service.run(*asked)
    assert steward.code != 0
    assert "Name one like domains/sales/freshness" in steward.err
    assert "`fairmesh rules show` lists them" in steward.err
    anonymous = fairmesh(*asked, "--server", service.url)
    assert anonymous.code == 3
    assert anonymous.err.rstrip().endswith("There is no token: set FAIRMESH_TOKEN")


def test_the_command_line_grants_lists_and_withdraws(service: Service, tmp_path: Path) -> None:
    ran = service.run("waiver", "grant", KEY, RULE, "--reason", WHY, "--until", "2027-01-01", "--for", "sam")
    assert ran.code == 0, ran.err
    first, second, note = ran.out.splitlines()
    assert first == f"granted    {KEY}  {RULE}  until 2027-01-01T00:00:00Z"
    id = second.split()[-1]
    assert note == f"  note     no product {KEY} is registered, as far as you may see: check the key"
    listed = service.run("waiver", "list", "--domain", "sales", role="sales")
    assert listed.out.splitlines() == [
        f"{KEY}  {RULE}  until 2027-01-01T00:00:00Z  stu  {id}", f"    {WHY} (asked for by sam)",
    ]  # fmt: skip
    place = tmp_path / "returns.ttl"
    place.write_text(BAD)
    judged = service.run("validate", place, role="sales")
    assert judged.code == 0, judged.out + judged.err
    assert "1 waived" in judged.out
    line = next(line for line in judged.out.splitlines() if f"[{RULE}]" in line)
    assert ": waived [core/04] " in line
    assert line.endswith("; waived until 2027-01-01T00:00:00Z")
    sarif = json.loads(service.run("validate", place, "--format", "sarif", role="sales").out)
    (result,) = [each for each in sarif["runs"][0]["results"] if each["ruleId"] == RULE]
    assert result["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "waived until 2027-01-01T00:00:00Z"}
    ]
    github = service.run("validate", place, "--format", "github", role="sales").out
    assert f"::notice file={place}" in next(line for line in github.splitlines() if RULE in line)
    assert "waived until 2027-01-01T00:00:00Z" in service.run("validate", place, "--format", "junit", role="sales").out
    assert service.run("register", place, role="sales").code == 0
    assert f"  waived          {RULE} until 2027-01-01T00:00:00Z: {WHY}" in service.run("show", KEY).out.splitlines()
    assert service.run("waiver", "withdraw", id).out == f"withdrawn  {KEY}  {RULE}\n"
    assert service.run("waiver", "list").out == "no waivers\n"
    for name in ("sales", "Sales", "http://localhost/id/domain/sales"):
        assert service.run("waiver", "list", "--all", "--domain", name).out.startswith(f"{KEY}  {RULE}  ended ")
    assert service.run("waiver", "list", "--domain", "finance").out == "no waivers\n"
    unknown = service.run("waiver", "list", "--domain", "sale")
    assert (unknown.code, "no product of a domain sale is here for you. Name one of:" in unknown.err) == (1, True)
    every = service.run("waiver", "list", "--all").out
    assert "ended 2026-11-21T12:00:00Z by stu" in every
    place.write_text(BAD.replace("Soon", "Later"))
    assert service.run("validate", place, role="sales").code == 1


def test_the_command_line_says_why_it_did_not(service: Service) -> None:
    words = ("waiver", "grant", KEY, RULE, "--reason", WHY, "--until")
    denied = service.run(*words, "2027-01-01", role="sales")
    assert (denied.code, "own-waiver" in denied.err) == (3, True)
    past = service.run(*words, "2026-01-01")
    assert (past.code, "which is past" in past.err) == (2, True)
    assert service.run(*words, "soon").code == 2
    gone = service.run("waiver", "withdraw", "nonsense")
    assert (gone.code, "there is no such waiver" in gone.err) == (1, True)
    assert "`fairmesh waiver list`" in gone.err


# -- kill -9 ----------------------------------------------------------------------------------------------------------


def test_what_was_granted_outlives_kill_9(tmp_path: Path) -> None:
    place = tmp_path / "returns.ttl"
    place.write_text(BAD)
    until = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()

    def registered(server: Server, token: str) -> int:
        return server.run("register", place, token=token).code

    with serving(tmp_path / "data") as server:
        steward = server.token("stu", "--role", "steward", "--clearance", "restricted")
        sales = server.token("sam", "--role", "producer", "--domain", "sales", "--clearance", "internal")
        assert registered(server, sales) == 1
        granted = server.run("waiver", "grant", KEY, RULE, "--reason", WHY, "--until", until, token=steward)
        assert granted.code == 0, granted.err
        server.kill()
    with serving(tmp_path / "data") as server:
        assert server.run("waiver", "list", token=steward).out.startswith(f"{KEY}  {RULE}  until {until}")
        assert registered(server, sales) == 0
    journal = Journal.open(tmp_path / "data", create=False)
    assert journal.verify().ok
    journal.close()
