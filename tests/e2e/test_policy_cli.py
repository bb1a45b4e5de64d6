"""The loop of a policy's author through the console script: check, test, impact, publish, explain, on a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opa import POLICIES, opa_binary
from running import Ran, Server, run_inside, serving
from samples import DOMAINS, product

from fairmesh.api import policy_checks, policy_reads
from fairmesh.api.auth import Tokens
from fairmesh.api.client import Outgoing
from fairmesh.catalog import access
from fairmesh.catalog.access import EmbeddedEngine
from fairmesh.catalog.model import Subject
from fairmesh.catalog.rego import Coverage, RegoError

ASK = """package fairmesh.domains.sales

deny contains {"id": id, "reason": "ask-sales"} if {
	input.action == "read_data"
	not "sales" in input.subject.domains
	some id, _ in input.resources
}
"""
CLOSED = ASK.replace('\tinput.action == "read_data"\n', "").replace("ask-sales", "closed")
TABLE = """usual:
  subject: {kind: user, roles: [analyst], teams: [], domains: [], clearance: restricted}
  product: {domain: sales, classification: internal, status: consume, tags: [], owner: "", members: []}
subjects: {analyst: {}, seller: {domains: [sales]}}
products: {orders: {}}
decisions:
  - {who: analyst, does: discover, what: orders, answer: allow, because: [clearance-covers]}
  - {who: analyst, does: read_data, what: orders, answer: deny, because: [ask-sales]}
"""
TESTS = """package fairmesh.domains.sales_test

import data.fairmesh.domains.sales

test_others_are_denied if {
	found := sales.deny with input as {"action": "read_data", "subject": {"domains": []}, "resources": {"r": {}}}
	found == {{"id": "r", "reason": "ask-sales"}}
}
"""


def folder(place: Path, **files: str) -> Path:
    """A folder of policy files; `__` in a name stands for a slash, the suffix is that of its kind."""
    for name, text in files.items():
        path = place / (name.replace("__", "/") + (".yaml" if name.startswith("decisions") else ".rego"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command in this process, in an empty folder, without an OPA unless one is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.path.dirname(shutil.which("env") or "/usr/bin"))
    monkeypatch.delenv("FAIRMESH_OPA_BIN", raising=False)
    return partial(run_inside, capsys)


@pytest.fixture(scope="session")
def binary() -> str:
    return opa_binary()


@pytest.fixture
def opa(binary: str, inside: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> str:
    """A real OPA, named by FAIRMESH_OPA_BIN for what runs `inside`."""
    monkeypatch.setenv("FAIRMESH_OPA_BIN", binary)
    return binary


# -- check ------------------------------------------------------------------------------------------------------------


def test_the_shipped_policy_is_sound_and_it_is_said_that_opa_was_not_asked(inside: Callable[..., Ran]) -> None:
    ran = inside("policy", "check")
    assert ran.code == 0, ran
    assert "not checked by OPA: there is no `opa` on the PATH, and FAIRMESH_OPA_BIN is not set" in ran.out


def test_the_shipped_policy_passes_its_tests_in_both_engines(opa: str, inside: Callable[..., Ran]) -> None:
    assert opa
    checked = inside("policy", "check", POLICIES)
    assert (checked.code, "also checked by OPA 1." in checked.out) == (0, True), checked
    ran = inside("policy", "test", "--coverage", "--format", "json")
    found = ran.json()
    assert ran.code == 0, ran.out
    said = " ".join(found["notes"])
    assert " passed in process" in said
    assert " passed in OPA 1." in said
    rows = found["results"]
    missed = {Path(r["file"]).name: [f["message"] for f in r["findings"]] for r in rows if r["findings"]}
    assert set(missed) <= {"decisions.rego", "rules.rego"}
    assert all(message.startswith("no test reaches row") for found in missed.values() for message in found)


BROKEN = {
    "unknown": (ASK.replace("some id,", "nosuch(1)\n\tsome id,"), 6, "nosuch"),
    "network": (ASK.replace("some id,", "http.send({})\n\tsome id,"), 6, "http.send"),
    "syntax": (ASK.replace("contains {", "contains {{{"), 3, ""),
    "package": (ASK.replace("domains.sales", "domains.finance"), 1, "domains/sales"),
    "granting": (ASK.replace("fairmesh.domains.sales", "fairmesh.access"), 1, "domains/sales"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_has_file_line_and_remedy(name: str, inside: Callable[..., Ran], tmp_path: Path) -> None:
    text, line, word = BROKEN[name]
    place = folder(tmp_path / "sales", rules=text)
    ran = inside("policy", "check", place, "--domain", "sales")
    assert ran.code == 1, ran
    assert f"{place}/rules.rego:{line}:" in ran.out
    assert word in ran.out
    tested = inside("policy", "test", place, "--domain", "sales")
    assert (tested.code, "no test was run" in tested.out) == (1, True)


def test_findings_come_in_every_format(inside: Callable[..., Ran], tmp_path: Path) -> None:
    place = folder(tmp_path / "sales", rules=BROKEN["unknown"][0], decisions__sales=TABLE)
    found = {
        form: inside("policy", "check", place, "--domain", "sales", "--format", form)
        for form in ("json", "sarif", "junit", "github")
    }
    assert {ran.code for ran in found.values()} == {1}
    (refused,) = [r for r in found["json"].json()["results"] if r["verdict"] == "refused"]
    assert [(f["rule"], f["line"]) for f in refused["findings"]] == [("policy/load", 6)]
    (result,) = [r for r in found["sarif"].json()["runs"][0]["results"] if r["ruleId"] == "policy/load"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 6
    assert ET.fromstring(found["junit"].out).attrib == {"tests": "2", "failures": "1", "errors": "0"}
    assert f"::error file={place}/rules.rego,line=6," in found["github"].out


def test_a_part_of_a_set_is_not_taken_for_the_whole(inside: Callable[..., Ran], tmp_path: Path) -> None:
    folder(tmp_path / "mesh" / "org" / "acme", rules="package fairmesh.org.acme\n")
    for command in ("check", "test", "impact", "publish"):
        ran = inside("policy", command, tmp_path / "mesh" / "org")
        assert (ran.code, "Name the folder above org/" in ran.err) == (2, True), ran


@pytest.mark.parametrize("command", ["impact", "publish", "show", "who", "bundle"])
def test_the_server_is_that_of_the_settings_unless_one_is_named(
    command: str, inside: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRMESH_PORT", "1")
    place = folder(tmp_path / "sales", rules=ASK)
    options = {"impact": [place], "publish": [place], "who": ["sales.orders"]}.get(command, [])
    ran = inside("policy", command, *options)
    assert (ran.code, "no answer from http://127.0.0.1:1" in ran.err) == (5, True), ran


def test_every_fault_that_opa_finds_is_told(opa: str, inside: Callable[..., Ran], tmp_path: Path) -> None:
    assert opa
    twice = ASK.replace("some id,", "nosuch(1)\n\tneither(2)\n\tsome id,")
    place = folder(tmp_path / "sales", rules=twice)
    ran = inside("policy", "check", place, "--domain", "sales")
    assert ran.code == 1
    for line, word in ((6, "nosuch"), (7, "neither")):
        assert f"{place}/rules.rego:{line}:2: error [policy/opa] undefined function {word}" in ran.out


def test_a_table_nobody_can_read_has_its_line(inside: Callable[..., Ran], tmp_path: Path) -> None:
    place = folder(tmp_path / "sales", rules=ASK, decisions__sales=TABLE.replace("who: analyst", "woh: analyst"))
    ran = inside("policy", "check", place, "--domain", "sales")
    assert ran.code == 1
    assert f"{place}/decisions/sales.yaml:7: error [policy/table]" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["policy"], ["policy", "frobnicate"], ["policy", "check", "no-such-folder"], ["policy", "test", "."],
        ["policy", "check", "--server", "x"], ["policy", "impact", "."], ["policy", "publish", "."],
        ["policy", "show", "--as-of", "yesterday"], ["policy", "show", "--as-of", "2026-01-01T00:00:00"],
        ["policy", "impact", "no-such-folder", "--server", "http://127.0.0.1:1"], ["explain", "ana", "discover"],
        ["explain", "ana", "govern", "sales.orders"], ["explain", "{", "discover", "sales.orders"],
        ["policy", "who"], ["policy", "bundle", "--out"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_2_and_says_what_to_do(arguments: list[str], inside: Callable[..., Ran]) -> None:
    ran = inside(*arguments)
    assert (ran.code, ran.out) == (2, ""), ran
    assert "fairmesh" in ran.err


def test_an_opa_that_is_none_is_refused(inside: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRMESH_OPA_BIN", shutil.which("env") or "/usr/bin/env")
    ran = inside("policy", "check")
    assert (ran.code, "is not OPA 1.0 or later" in ran.err) == (2, True), ran


# -- test -------------------------------------------------------------------------------------------------------------


def test_a_row_that_fails_shows_itself_what_was_expected_and_what_came(
    opa: str, inside: Callable[..., Ran], tmp_path: Path
) -> None:
    assert opa
    wrong = TABLE.replace("answer: deny, because: [ask-sales]", "answer: allow, because: [clearance-covers]")
    place = folder(tmp_path / "sales", rules=ASK, rules_test=TESTS, decisions__sales=wrong)
    ran = inside("policy", "test", place, "--domain", "sales", "--coverage")
    assert ran.code == 1
    assert (
        f"{place}/decisions/sales.yaml:8: error [policy/test] deny because [ask-sales] instead of allow because"
        " [clearance-covers] (analyst read_data orders)"
    ) in ran.out
    assert "policy/engines" not in ran.out, "OPA says the same"
    right = folder(place, decisions__sales=TABLE)
    passed = inside("policy", "test", right, "--domain", "sales", "--coverage")
    assert passed.code == 0, passed.out
    assert "coverage of" in passed.out
    assert "100 %" in passed.out


def test_rows_that_fail_come_in_the_order_of_the_file_and_once(inside: Callable[..., Ran], tmp_path: Path) -> None:
    wrong = TABLE.replace("clearance-covers", "zoo").replace("ask-sales", "answers")
    place = folder(tmp_path / "sales", rules=ASK, decisions__sales=wrong)
    ran = inside("policy", "test", place, "--domain", "sales")
    told = [line for line in ran.out.splitlines() if "instead of" in line]
    assert [line.strip().split(": ")[0] for line in told] == [f"{place}/decisions/sales.yaml:{n}" for n in (7, 8)]
    assert len(told) == 2


def test_a_set_is_compiled_once_and_a_row_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    asked: list[str] = []

    evaluate = EmbeddedEngine.evaluate

    def noted(self: EmbeddedEngine, inputs: Sequence[str]) -> list[object]:
        asked.extend(inputs)
        return evaluate(self, inputs)

    monkeypatch.setattr(EmbeddedEngine, "evaluate", noted)
    compile_policies = access.compile_policies
    monkeypatch.setattr(access, "compile_policies", lambda *told: compiled.append(told) or compile_policies(*told))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FAIRMESH_OPA_BIN", raising=False)
    place = folder(tmp_path / "sales", rules=ASK, decisions__sales=TABLE)
    run = policy_checks.test(policy_checks.Proposal.read(str(place), "sales"), coverage=False)
    assert run.exit_code == 0
    assert len(compiled) == 1
    assert len(asked) == len(set(asked)) == 2


def test_coverage_bears_what_fails_while_it_is_watched(
    inside: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a test may that passes just in time, and takes longer when it is watched."""

    def fail(self: Coverage, text: str | None, entry: str = "") -> object:
        raise RegoError("too long")

    monkeypatch.setattr(Coverage, "evaluate", fail)
    place = folder(tmp_path / "sales", rules=ASK, rules_test=TESTS, decisions__sales=TABLE)
    ran = inside("policy", "test", place, "--domain", "sales", "--coverage")
    assert (ran.code, "rules.rego: 0 % of " in ran.out) == (0, True), ran


def test_a_rego_test_that_fails_is_named(opa: str, inside: Callable[..., Ran], tmp_path: Path) -> None:
    assert opa
    place = folder(tmp_path / "sales", rules=ASK, rules_test=TESTS.replace('"ask-sales"', '"other"'))
    ran = inside("policy", "test", place, "--domain", "sales")
    assert ran.code == 1
    assert f"{place}/rules_test.rego:5" in ran.out
    assert ran.out.count("test_others_are_denied") == 1, "both engines say so, it is told once"


def test_engines_that_differ_are_a_failure(
    inside: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An OPA that answers something else, as one of another version might."""
    place = folder(tmp_path / "sales", rules=ASK, decisions__sales=TABLE)
    said = {"result": [{"expressions": [{"value": [{"at": 0, "said": {"k0": {"allow": True}}}]}]}]}
    script = tmp_path / "opa"
    script.write_text(f"#!/bin/sh\ncase $1 in version) echo Version: 1.0.0;; *) echo '{json.dumps(said)}';; esac\n")
    script.chmod(0o755)
    monkeypatch.setenv("FAIRMESH_OPA_BIN", str(script))
    ran = inside("policy", "test", place, "--domain", "sales")
    assert ran.code == 1
    assert f"{place}/decisions/sales.yaml:7: error [policy/engines] OPA answers " in ran.out
    assert f"{place}/decisions/sales.yaml:8" in ran.out
    assert "OPA 1.0.0 answers 0 of 2 questions of the tables alike" in ran.out


# -- on a server ------------------------------------------------------------------------------------------------------


WHO = {
    "loader": Subject("loader", "service", ("producer",), (), DOMAINS),
    "steward": Subject("stu", "service", ("steward",), clearance="restricted"),
    "analyst": Subject("ann", "service", ("analyst",), clearance="internal"),
    "sales": Subject("sal", "service", ("producer",), (), ("sales",), "internal"),
    "finance": Subject("fin", "service", ("producer",), (), ("finance",), "internal"),
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is running."""
    with serving(tmp_path_factory.mktemp("policy-cli") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def who(mesh: Server) -> dict[str, str]:
    """Tokens. There is a product of sales and one of finance."""
    tokens = Tokens.open(mesh.data)
    known = {name: tokens.create(subject) for name, subject in WHO.items()}
    tokens.close()
    documents = [Outgoing(product(key).decode(), "text/turtle") for key in ("sales.orders", "finance.revenue")]
    results = mesh.client(known["loader"]).batch(documents, dry_run=False)
    assert [result["status"] for result in results] == [201, 201]
    return known


class Author:
    """Runs commands against the server, in this process."""

    def __init__(self, url: str, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
        self._url, self._run, self._monkeypatch = url, run, monkeypatch

    def run(self, *arguments: str | Path, token: str) -> Ran:
        self._monkeypatch.setenv("FAIRMESH_TOKEN", token)
        return self._run(*arguments, "--server", self._url)

    def publish(self, place: Path, token: str, *options: str) -> Ran:
        return self.run("policy", "publish", place, "--domain", "sales", *options, token=token)


@pytest.fixture
def author(mesh: Server, inside: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> Author:
    return Author(mesh.url, inside, monkeypatch)


@pytest.fixture
def fresh(author: Author, who: dict[str, str], tmp_path: Path) -> Iterator[Author]:
    """Without a policy of the sales domain, before and after."""
    yield author
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    assert author.publish(nothing, who["sales"], "--allow-widening").code == 0


def test_the_loop_of_a_domain(fresh: Author, who: dict[str, str], tmp_path: Path) -> None:
    """Impact, a dry run, publishing, visible at once, unchanged; then back, which has to be meant."""
    place = folder(tmp_path / "sales", rules=CLOSED)
    assert fresh.run("show", "sales.orders", token=who["analyst"]).code == 0
    impact = fresh.run("policy", "impact", place, "--domain", "sales", token=who["steward"])
    assert impact.code == 0, impact
    assert (
        "loses  discover       ann (service; roles analyst; clearance internal)\n    1 product: sales.orders"
        in impact.out
    )
    assert "gains" not in impact.out
    dry = fresh.publish(place, who["sales"], "--dry-run")
    assert (dry.code, dry.out.startswith("publishable  ")) == (0, True), dry
    assert "dry run: nothing was published" in dry.out
    assert fresh.run("show", "sales.orders", token=who["analyst"]).code == 0
    done = fresh.publish(place, who["sales"])
    assert (done.code, done.out.split()[0]) == (0, "published"), done
    assert fresh.run("show", "sales.orders", token=who["analyst"]).code == 1
    assert fresh.run("show", "finance.revenue", token=who["analyst"]).code == 0
    assert fresh.publish(place, who["sales"]).out.startswith("unchanged  ")
    shown = fresh.run("policy", "show", "--format", "json", token=who["steward"]).json()
    assert (shown["digest"], shown["author"]) == (done.out.split()[1], "sal")
    assert [f["source"] for f in shown["files"] if f["path"] == "domains/sales/rules.rego"] == [CLOSED]


def test_a_change_that_widens_is_refused_until_it_is_meant(fresh: Author, who: dict[str, str], tmp_path: Path) -> None:
    closed, open_again = folder(tmp_path / "closed", rules=CLOSED), folder(tmp_path / "open", rules=ASK)
    assert fresh.publish(closed, who["sales"]).code == 0
    impact = fresh.run("policy", "impact", open_again, "--domain", "sales", token=who["steward"])
    assert (impact.code, "access widens" in impact.out, "--allow-widening" in impact.err) == (1, True, True)
    first = next(line for line in impact.out.splitlines()[1:])
    assert first.startswith("gains  discover"), "gains come first"
    meant = fresh.run("policy", "impact", open_again, "--domain", "sales", "--allow-widening", token=who["steward"])
    assert meant.code == 0
    refused = fresh.publish(open_again, who["sales"])
    assert (refused.code, "nothing was published" in refused.err) == (1, True), refused
    assert "sales.orders" in refused.out
    assert fresh.run("show", "sales.orders", token=who["analyst"]).code == 1
    assert fresh.publish(open_again, who["sales"], "--allow-widening").code == 0
    assert fresh.run("show", "sales.orders", token=who["analyst"]).code == 0


@pytest.mark.parametrize("name", BROKEN)
def test_a_server_refuses_what_cannot_be_used_with_file_and_line(
    name: str, author: Author, who: dict[str, str], tmp_path: Path
) -> None:
    text, line, word = BROKEN[name]
    place = folder(tmp_path / "sales", rules=text)
    for command in ("impact", "publish"):
        ran = author.run("policy", command, place, "--domain", "sales", token=who["sales"])
        assert (ran.code, ran.out) == (1, ""), ran
        assert f"{place}/rules.rego:{line}: " in ran.err
        assert word in ran.err


def test_a_server_refuses_a_policy_whose_tests_fail(author: Author, who: dict[str, str], tmp_path: Path) -> None:
    wrong = TABLE.replace("answer: allow", "answer: deny")
    place = folder(tmp_path / "sales", rules=ASK, decisions__sales=wrong)
    ran = author.publish(place, who["sales"])
    assert ran.code == 1
    assert f"{place}/decisions/sales.yaml:7: analyst discover orders: " in ran.err


def test_who_may_not_is_denied(author: Author, who: dict[str, str], tmp_path: Path, inside: Callable[..., Ran]) -> None:
    place = folder(tmp_path / "sales", rules=ASK)
    for name in ("analyst", "finance"):
        ran = author.publish(place, who[name])
        assert (ran.code, "needs the govern action" in ran.err) == (3, True), ran
        assert "--domain" not in ran.err, "a domain was named"
        impact = author.run("policy", "impact", place, "--domain", "sales", token=who[name])
        assert impact.code == 3
    for command in (
        ["policy", "show"],
        ["policy", "who", "sales.orders"],
        ["explain", "ann", "discover", "sales.orders"],
    ):
        ran = author.run(*command, token=who["sales"])
        assert (ran.code, ran.out) == (3, ""), ran
    assert author.run("policy", "bundle", "--out", tmp_path / "x", token=who["sales"]).code == 3
    assert not (tmp_path / "x").exists()
    assert inside("policy", "show", "--server", "http://127.0.0.1:1").code == 5


def test_who_may_not_is_told_what_would_help(author: Author, who: dict[str, str], tmp_path: Path) -> None:
    place = folder(tmp_path / "whole", rules=ASK)
    for command in ("impact", "publish"):
        whole = author.run("policy", command, place, token=who["sales"])
        assert (whole.code, "name your domain with --domain" in whole.err) == (3, True), whole
        nobody = author.run("policy", command, place, token="")
        assert (nobody.code, "There is no token: set FAIRMESH_TOKEN" in nobody.err) == (3, True), nobody


def test_each_test_that_fails_has_its_line(author: Author, who: dict[str, str], tmp_path: Path) -> None:
    wrong = TABLE.replace("clearance-covers", "zoo").replace("ask-sales", "answers")
    ran = author.publish(folder(tmp_path / "sales", rules=ASK, decisions__sales=wrong), who["sales"])
    told = ran.err.splitlines()
    assert ran.code == 1
    assert [line.split(": ")[0] for line in told[:2]] == [f"{tmp_path}/sales/decisions/sales.yaml:{n}" for n in (7, 8)]
    assert told[2].startswith("fairmesh: 2 tests of the policy fail"), told
    assert len(told) == 3


MASKING = """package fairmesh.domains.sales

mask contains {"id": id, "classification": "internal"} if {
	input.subject.kind != "robot"
	not "sales" in input.subject.domains
	some id, _ in input.resources
}
"""


def test_what_is_still_allowed_but_shows_less_is_told_as_that(
    author: Author, who: dict[str, str], tmp_path: Path
) -> None:
    place = folder(tmp_path / "sales", rules=MASKING)
    ran = author.run("policy", "impact", place, "--domain", "sales", token=who["steward"])
    assert ran.code == 0, ran
    assert "sees less of read_metadata  ann (service; roles analyst; clearance internal)\n    1 product: " in ran.out
    assert "loses  read_metadata" not in ran.out


def test_what_widens_unseen_is_told_as_that() -> None:
    change = {"action": "DISCOVER", "partial": False, "gains": False, "count": 1, "examples": ["a.b"], "subjects": None}
    found = {
        "current": "a" * 64, "proposed": "b" * 64, "products": 1, "classes": 1, "widens": True, "changes": [change],
        "changeCount": 2, "replay": {"decisions": 3, "toAllow": 1, "toDeny": 2, "skipped": 0},
    }  # fmt: skip
    lines = list(policy_reads.impact_lines(found))
    assert lines[-1] == "access widens for products you may not see"
    assert "and 1 more change" in lines
    assert "recorded decisions: 3 asked again, 1 becomes allow, 2 become deny" in lines
    seen = {**found, "changes": [{**change, "gains": True, "partial": True}, change]}
    told = list(policy_reads.impact_lines(seen))
    assert told[-1] == "access widens"
    assert "sees more of discover  all classes of subjects together" in told


def test_explain_names_rule_and_facts(fresh: Author, who: dict[str, str], tmp_path: Path) -> None:
    steward = who["steward"]
    before = fresh.run("explain", "ann", "read_data", "sales.orders", token=steward)
    assert before.out.startswith("allowed  ann  read_data  sales.orders\n  because   clearance-covers\n")
    assert fresh.publish(folder(tmp_path / "sales", rules=ASK), who["sales"]).code == 0
    after = fresh.run("explain", "ann", "read_data", "sales.orders", token=steward)
    assert after.out.startswith("denied  ann  read_data  sales.orders\n  because   ask-sales\n")
    assert "domains/sales/rules.rego:3  data.fairmesh.domains.sales.deny  {id: k0, reason: ask-sales}" in after.out
    assert "  subject   id=ann  kind=service  roles=[analyst]  clearance=internal\n" in after.out
    asked = fresh.run("explain", "ann", "read_data", "sales.orders", "--format", "json", token=steward).json()
    assert asked["explanations"][0]["facts"]["resources"]["k0"]["domain"] == "sales"
    supposed = '{"id": "new", "kind": "user", "roles": ["analyst"], "clearance": "internal", "domains": ["sales"]}'
    guess = fresh.run("explain", supposed, "read_data", "sales.orders", token=steward)
    assert guess.out.startswith("allowed  new  read_data  sales.orders"), guess
    for arguments in (("nobody", "read_data", "sales.orders"), ("ann", "read_data", "sales.none")):
        ran = fresh.run("explain", *arguments, token=steward)
        assert (ran.code, ran.out) == (1, ""), ran
        assert ("facts as JSON" in ran.err, "decide" in ran.err) == (arguments[0] == "nobody", False), ran
    bad = fresh.run("explain", '{"id": "x", "kind": "user", "shoes": 4}', "discover", "sales.orders", token=steward)
    assert (bad.code, "shoes" in bad.err) == (2, True), bad


def test_who_may_do_what(author: Author, who: dict[str, str]) -> None:
    ran = author.run("policy", "who", "sales.orders", token=who["steward"])
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[lines.index("anonymous (anonymous; clearance public)") + 1] == "    nothing"
    assert lines[lines.index("ann (service; roles analyst; clearance internal)") + 1].startswith("    discover, ")
    assert author.run("policy", "who", "sales.none", token=who["steward"]).code == 1


def test_what_was_in_force_can_be_written_and_published_again(
    fresh: Author, who: dict[str, str], tmp_path: Path
) -> None:
    steward, now = who["steward"], datetime.now(UTC).isoformat()
    assert fresh.publish(folder(tmp_path / "sales", rules=CLOSED), who["sales"]).code == 0
    shown = fresh.run("policy", "show", "--as-of", now, "--out", tmp_path / "old", token=steward)
    assert shown.code == 0, shown
    files = {path.relative_to(tmp_path / "old").as_posix() for path in (tmp_path / "old").rglob("*.rego")}
    assert "fairmesh/access/rules.rego" in files
    assert "domains/sales/rules.rego" not in files
    assert fresh.run("policy", "show", "--out", tmp_path / "old", token=steward).code == 2, "the folder is not empty"
    undone = fresh.run("policy", "publish", tmp_path / "old", "--allow-widening", token=steward)
    assert (undone.code, undone.out.split()[0]) == (0, "published"), undone
    assert fresh.run("show", "sales.orders", token=who["analyst"]).code == 0
    assert fresh.run("policy", "show", "--as-of", "2020-01-01", token=steward).out == "no policy was in force\n"


def test_a_server_cannot_make_show_write_elsewhere(inside: Callable[..., Ran], tmp_path: Path) -> None:
    """It answers as a server does, and names a file outside of the folder."""
    file = {"path": "../outside.rego", "version": "", "publishedAt": "", "publishedBy": "", "tests": 0, "source": "x"}
    body = json.dumps({"data": {"policies": [file]}}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            ran = inside("policy", "show", "--out", tmp_path / "out", "--server", url)
        finally:
            server.shutdown()
            thread.join()
    assert (ran.code, "../outside.rego" in ran.err) == (2, True), ran
    assert list(tmp_path.iterdir()) == []


def test_the_bundle_is_one_that_opa_accepts(opa: str, author: Author, who: dict[str, str], tmp_path: Path) -> None:
    bundle, key = tmp_path / "access.tar.gz", tmp_path / "key.pem"
    ran = author.run("policy", "bundle", "--out", bundle, "--public-key", key, token=who["steward"])
    assert ran.code == 0, ran
    with tarfile.open(bundle) as archive:
        assert "policies/fairmesh/access/rules.rego" in archive.getnames()
    verified = subprocess.run(
        [opa, "eval", "--bundle", str(bundle), "--format", "raw", "count(data.fairmesh.catalog.products)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert verified.stdout.strip() == "2"
    assert key.read_text().startswith("-----BEGIN PUBLIC KEY-----")
