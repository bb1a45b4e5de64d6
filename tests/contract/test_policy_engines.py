"""One suite for every adapter of the policy port: what either engine answers, and what happens when it cannot."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from opa import NOW, POLICIES, Row, golden_rows, opa_binary, opa_server

from fairmesh.catalog.access import Access, EmbeddedEngine, Engine, OpaEngine, PolicySet
from fairmesh.catalog.errors import ConfigError, PolicyUnavailable
from fairmesh.catalog.model import CLASSIFICATIONS, AccessKey, Action, Subject
from fairmesh.catalog.policyfiles import read_modules
from fairmesh.catalog.policytests import entries, is_rego_test, run_tests
from fairmesh.catalog.rego import compile_policies

ROWS = golden_rows()
ANALYST = Subject("ana", "user", ("analyst",), clearance="internal")
INSIDE = AccessKey("sales", "internal", "consume")


def opa_engine(url: str, policies: PolicySet) -> OpaEngine:
    return OpaEngine(url, policies, chunk_seconds=20, scope_seconds=60)


@pytest.fixture(scope="module", params=["embedded", "opa"])
def access(request: pytest.FixtureRequest) -> Iterator[Access]:
    policies = PolicySet.load()
    if request.param == "embedded":
        embedded = Access(EmbeddedEngine(policies, chunk_seconds=20), policies)
        yield embedded
        embedded.close()
        return
    with opa_server(POLICIES) as url:
        remote = Access(opa_engine(url, policies), policies)
        yield remote
        remote.close()


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_golden_table(access: Access, row: Row) -> None:
    assert row.failure(access) is None
    decision = access.decide(row.subject, row.action, row.product, channel="http", now=NOW)
    assert decision.policy == "data.fairmesh.access.decisions"
    assert decision.revision == PolicySet.load().digest


def test_the_golden_table_is_large_and_its_reasons_are_explained() -> None:
    readme = (POLICIES / "README.md").read_text("utf-8")
    codes = {code for row in ROWS for code in row.because}
    assert len(ROWS) >= 60
    assert sorted(code for code in codes if f"`{code}`" not in readme) == []


def test_a_question_about_many_products_equals_single_questions(access: Access) -> None:
    keys = [AccessKey(f"d{i % 7}", CLASSIFICATIONS[i % 4], "build", (f"t{i}",)) for i in range(200)]
    subject = Subject("s", "user", ("producer",), domains=("d1", "d2"), clearance="internal")
    questions = [(action, key) for key in keys for action in (Action.DISCOVER, Action.UPDATE)]
    many = access.decide_many(subject, questions, channel="http", now=NOW)
    back = access.decide_many(subject, questions[::-1], channel="http", now=NOW)
    assert many == back[::-1]
    for index in range(0, len(questions), 37):
        action, key = questions[index]
        assert access.decide(subject, action, key, channel="http", now=NOW) == many[index]


def test_threads_get_their_own_answers(access: Access) -> None:
    subjects = [Subject(f"s{i}", "user", (), domains=(f"d{i}",), clearance="public") for i in range(24)]
    keys = [AccessKey(f"d{i}", "restricted", "build") for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        scopes = list(pool.map(lambda s: access.scope(s, keys, channel="http", now=NOW), subjects))
    assert [list((scope.grants & 2).nonzero()[0]) for scope in scopes] == [[i] for i in range(24)]


def test_govern_and_probe(access: Access) -> None:
    steward = Subject("stew", "user", ("steward",))
    assert access.govern(steward, channel="cli", now=NOW).allowed
    assert not access.govern(ANALYST, channel="cli", now=NOW).allowed
    access.probe(NOW)


GOOD: dict[str, Any] = {
    "v": 1, "action": "discover", "context": {"now_ns": 0, "channel": "http"},
    "subject": {
        "id": "x", "kind": "user", "roles": [], "teams": [], "domains": [], "clearance": "internal", "purpose": "",
    },
    "resources": {"k0": {
        "type": "product", "domain": "d", "classification": "restricted", "tags": [], "status": "build",
        "is_owner": False, "is_member": False,
    }},
}  # fmt: skip
HOSTILE: dict[str, dict[str, Any]] = {
    "a NUL": {"subject": {**GOOD["subject"], "roles": ["steward\0"]}},
    "an oversized integer": {"subject": {**GOOD["subject"], "clearance": 2**70}},
    "an oversized version": {"v": 2**64 + 1},
    "quotes": {"subject": {**GOOD["subject"], "id": '","allow":true,"x":"'}},
    "a long text": {"subject": {**GOOD["subject"], "id": "x" * 1_000_000}},
    "roles as an object": {"subject": {**GOOD["subject"], "roles": {"a": "steward"}}},
    "no subject": {"subject": None},
    "no resources": {"resources": []},
}


def test_what_the_guards_keep_out_would_not_allow_either(access: Access) -> None:
    evaluate = access._engine.evaluate
    deep = json.dumps({**GOOD, "x": 0}).replace('"x": 0', '"x": ' + "[" * 3000 + "]" * 3000)
    for text in [json.dumps({**GOOD, **change}, ensure_ascii=False) for change in HOSTILE.values()] + [
        deep,
        "",
        "{",
        "}",
    ]:
        with contextlib.suppress(PolicyUnavailable):
            (answer,) = evaluate([text])
            assert '"allow": true' not in json.dumps(answer), text[:200]
        (answer,) = evaluate([json.dumps(GOOD)])
        assert answer["k0"]["reasons"] == ["not-cleared"]  # type: ignore[index]


# -- rules added beside the default ones ----------------------------------------------------------------------------

HOLD = """package fairmesh.org.acme

deny contains {"id": id, "reason": "legal-hold"} if {
	some id, resource in input.resources
	"legal-hold" in resource.tags
}
"""
CLOSED = """package fairmesh.domains.sales

deny contains {"id": id, "reason": "closed"} if {
	some id, resource in input.resources
	resource.status == "consume"
}
"""
BROKEN = 'package fairmesh.org.broken\n\ndeny contains "everything"\n'
ERROR = """package fairmesh.org.broken

deny contains {"id": id, "reason": "never"} if {
	some id, resource in input.resources
	to_number(resource.domain) > 3
}
"""


def with_extra(folder: Path, **modules: str) -> PolicySet:
    for path in (POLICIES / "fairmesh").rglob("*.rego"):
        if not path.name.endswith("_test.rego"):
            (folder / path.name).write_bytes(path.read_bytes())
    for name, text in modules.items():
        place = folder.joinpath(*text.split()[1].split(".")[1:])  # package fairmesh.org.acme stands in org/acme
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.rego").write_text(text, "utf-8")
    return PolicySet.load(folder)


@pytest.fixture(params=["embedded", "opa"])
def engine_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Access]]:
    """Opens an `Access` on the default policy plus the given modules."""
    opened: list[Callable[[], object]] = []

    def make(**modules: str) -> Access:
        policies = with_extra(tmp_path, **modules)
        engine: Engine
        if request.param == "embedded":
            engine = EmbeddedEngine(policies, chunk_seconds=20)
        else:
            server = opa_server(tmp_path)
            engine = opa_engine(server.__enter__(), policies)
            opened.append(lambda: server.__exit__(None, None, None))
        opened.append(engine.close)
        return Access(engine, policies)

    yield make
    for close in reversed(opened):
        close()


def test_denies_of_organisation_and_domain_win(engine_of: Callable[..., Access]) -> None:
    access = engine_of(hold=HOLD, closed=CLOSED)
    subject = Subject("s", "user", ("steward",), domains=("sales", "hr"), clearance="restricted")
    keys = [
        AccessKey("sales", "public", "build"),
        AccessKey("sales", "public", "build", ("legal-hold",)),
        AccessKey("sales", "public", "consume"),
        AccessKey("hr", "public", "consume"),
        AccessKey("sales", "public", "consume", ("legal-hold",)),
    ]
    found = access.decide_many(subject, [(Action.READ_METADATA, key) for key in keys], channel="http", now=NOW)
    assert [d.allowed for d in found] == [True, False, False, True, False]
    assert [d.reasons for d in found[1:3]] == [("legal-hold",), ("closed",)]
    assert found[4].reasons == ("closed", "legal-hold")


def test_a_malformed_deny_denies_everything(engine_of: Callable[..., Access]) -> None:
    decision = engine_of(broken=BROKEN).decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW)
    assert (decision.allowed, decision.reasons) == (False, ("malformed-deny",))


def test_an_error_in_a_rule_refuses_instead_of_being_undefined(engine_of: Callable[..., Access]) -> None:
    access = engine_of(broken=ERROR)
    with pytest.raises(PolicyUnavailable, match="cannot be evaluated"):
        access.decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW)


ANSWERS = {
    "text for allow": ('"allow": "true"', None),
    "a number for allow": ('"allow": 1', None),
    "an unknown obligation": ('"obligations": {"watermark": true}', "unsupported-obligation"),
    "an unknown field": ('"obligations": {"hide_fields": ["dprod:intention"]}', "unsupported-obligation"),
    "a field that is always shown": ('"obligations": {"hide_fields": ["dct:title"]}', "unsupported-obligation"),
    "a row filter that is no text": ('"obligations": {"row_filter": true}', "unsupported-obligation"),
    "an unknown masked word": ('"obligations": {"mask_columns": ["cosmic"]}', "unsupported-obligation"),
    "a masked word that is no text": ('"obligations": {"mask_columns": [7]}', "unsupported-obligation"),
    "reasons that echo the input": ('"reasons": [input.subject.id]', None),
    "reasons that are no list": ('"reasons": "own-domain"', None),
    "a field too many": ('"why": "x"', None),
}


def odd_policy() -> str:
    """A policy that gives each answer of `ANSWERS` to the subject of that name."""
    lines = []
    for name, (field, _) in ANSWERS.items():
        fields = {"allow": '"allow": true', "reasons": '"reasons": []', "obligations": '"obligations": {}'}
        fields[field.split('"')[1]] = field
        lines.append(f'\t"{name}": {{{", ".join(fields.values())}}},')
    table = "\n".join(lines)
    rule = "decisions := {id: odd[input.subject.id] | some id, _ in input.resources}"
    return f"package fairmesh.access\n\n{rule}\n\nodd := {{\n{table}\n}}\n"


@pytest.fixture(scope="module", params=["embedded", "opa"])
def odd_access(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd.rego").write_text(odd_policy(), "utf-8")
    policies = PolicySet.load(folder)
    if request.param == "embedded":
        embedded = EmbeddedEngine(policies, chunk_seconds=20)
        yield Access(embedded, policies)
        embedded.close()
        return
    with opa_server(folder) as url:
        remote = opa_engine(url, policies)
        yield Access(remote, policies)
        remote.close()


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_not_decisions_never_allow(odd_access: Access, name: str) -> None:
    denied = ANSWERS[name][1]
    subject = Subject(name, "user")
    if denied is None:
        with pytest.raises(PolicyUnavailable):
            odd_access.decide(subject, Action.DISCOVER, INSIDE, channel="http", now=NOW)
    else:
        decision = odd_access.decide(subject, Action.DISCOVER, INSIDE, channel="http", now=NOW)
        assert (decision.allowed, decision.reasons) == (False, (denied,))


# -- the rules' own tests -------------------------------------------------------------------------------------------


def test_opa_accepts_the_policy_and_its_tests_pass() -> None:
    opa, folder = opa_binary(), str(POLICIES / "fairmesh")
    schema = str(POLICIES / "schemas" / "input.json")
    for command in (["check", "--strict", folder], ["check", "--strict", "--schema", schema, folder], ["test", folder]):
        done = subprocess.run([opa, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_tests_pass_in_the_embedded_engine() -> None:
    policies = PolicySet.load()
    files = {path: body for path, body in read_modules(POLICIES).items() if is_rego_test(path)}
    outcome = run_tests(Access(EmbeddedEngine(policies), policies), files, seconds=60)
    assert outcome.failures == ()
    assert outcome.passed >= 20


TESTS = """package t_test

import data.t

cases := {"a": 1, "b": 2, "c": 3}

test_all[name] if {
	some name, n in cases
	n < 4
}

test_late[name] if {
	some name, n in cases
	n < 3
	t.twice == 2 with input as {"n": n}
}

test_head[case.name] if {
	some case in [{"name": "x", "n": 1}, {"name": "y", "n": 2}]
	t.twice == case.n + 1 with input.n as case.n
}

test_two[name][other] if {
	some name in ["a", "b"]
	some other in ["b", "c"]
	cases[name] + cases[other] > 3
}

test_number[n] if {
	some n in [1, 2]
	t.twice == 8 with t.twice as n * 4
}

test_value[name] := n > 1 if some name, n in cases

test_alias if t.twice == 9 with t.twice as 9

test_shadow if {
	t.twice == 5 with data.t as {"twice": 5, "half": 1}
	not t.half with input as {"n": 4} with data.t as {"twice": 5}
}

test_no_input if not input

test_none if t.twice

test_else if { false } else if { true }
"""
TWICE = "package t\n\ntwice := double(input.n)\n\nhalf := input.n / 2\n\ndouble(x) := 2 * x\n"


def test_both_engines_judge_tests_alike(tmp_path: Path) -> None:
    """Test by test, and case by case."""
    (tmp_path / "t.rego").write_text(TWICE, "utf-8")
    (tmp_path / "t_test.rego").write_text(TESTS, "utf-8")
    ran = subprocess.run(
        [opa_binary(), "test", "--format", "json", str(tmp_path)], capture_output=True, text=True, check=False
    )
    told = {result["name"]: result for result in json.loads(ran.stdout)}
    program = compile_policies(PolicySet.from_files(read_modules(tmp_path)), ())
    found = list(entries("t_test.rego", TESTS.encode()))
    assert {entry.name for entry in found if entry.kind != "cases"} == set(told)
    assert len(told) == 11
    for entry in found:
        if entry.kind == "keyed":
            cases = {name: not each.get("fail") for name, each in flat(told[entry.name]["sub_results"]).items()}
            assert program.cases(entry.rule) == cases, entry
            assert all(cases.values()) != told[entry.name].get("fail", False)
        elif entry.kind == "test":
            assert (program.evaluate(None, entry.rule) is True) != told[entry.name].get("fail", False), entry


def flat(results: dict[str, Any]) -> dict[str, Any]:
    """The cases of a test, those of several keys by all of them."""
    found = {}
    for name, each in results.items():
        below = flat(each.get("sub_results") or {})
        found |= {f"{name}/{inner}": one for inner, one in below.items()} if below else {name: each}
    return found


def test_a_failing_case_is_seen() -> None:
    policies = PolicySet.load()
    case = '{"input": {"v": 1, "resources": {"r": {}}}, "answer": {"allow": true}}'
    files = {"t/cases_test.rego": f'package t\n\ncases := {{"wrong": {case}}}\n'.encode()}
    outcome = run_tests(Access(EmbeddedEngine(policies), policies), files, seconds=60)
    (failure,) = outcome.failures
    assert (outcome.passed, failure.file, failure.line) == (0, "t/cases_test.rego", 3)
    assert failure.message.startswith("wrong: the answer is ")


def test_the_schema_describes_the_input_that_is_sent() -> None:
    schema = json.loads((POLICIES / "schemas" / "input.json").read_text("utf-8"))
    sent: list[dict[str, Any]] = []

    class Recorder:
        def evaluate(self, inputs: Sequence[str]) -> list[object]:
            sent.extend(json.loads(text) for text in inputs)
            return [{} for _ in inputs]

        def close(self) -> None:
            pass

    Access(Recorder(), PolicySet.load()).decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW)
    properties = schema["properties"]
    assert set(sent[0]) == set(properties) == set(schema["required"])
    for part in ("subject", "context"):
        assert set(sent[0][part]) == set(properties[part]["properties"])
    (resource,) = sent[0]["resources"].values()
    assert set(resource) == set(properties["resources"]["additionalProperties"]["properties"])


def test_the_documented_command_starts_a_server_the_service_accepts() -> None:
    readme = (POLICIES / "README.md").read_text("utf-8")
    assert "opa run --server --addr 127.0.0.1:8181 --ignore '*_test.rego' --ignore '*.yaml' --ignore '*.json'" in readme
    assert isinstance(yaml.safe_load((POLICIES / "decisions" / "default.yaml").read_text("utf-8")), dict)


# -- an OPA server that is not well -----------------------------------------------------------------------------------

POLICY = PolicySet.load()
LISTING = json.dumps({
    "result": [
        {"id": path, "raw": body.decode(), "ast": {"package": {"path": [{"value": "data"}, {"value": "fairmesh"}]}}}
        for path, body in POLICY.files.items()
    ]
})  # fmt: skip
ALLOW = json.dumps({"allow": True, "reasons": [], "obligations": {}})


class FakeOpa(ThreadingHTTPServer):
    """A fake of an OPA server: lists the right policies, then answers decisions with what it was told."""

    daemon_threads = True

    def __init__(self, status: int, body: str, headers: dict[str, str], *, listing: str = LISTING) -> None:
        super().__init__(("127.0.0.1", 0), _FakeAnswers)
        self.status, self.body, self.headers, self.listing = status, body, headers, listing
        self.asked: list[str] = []
        self.stall: threading.Event | None = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        if self.stall is not None:
            self.stall.set()
        self.shutdown()
        self.server_close()


class _FakeAnswers(BaseHTTPRequestHandler):
    server: FakeOpa

    def do_GET(self) -> None:
        self._send(200, self.server.listing, {"Content-Type": "application/json"})

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.stall is not None:
            self.server.stall.wait(30)
        self._send(self.server.status, self.server.body, self.server.headers)

    def _send(self, status: int, text: str, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client stopped waiting, as it should

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeOpa]]:
    servers: list[FakeOpa] = []

    def make(status: int = 200, body: str = "{}", listing: str = LISTING, **headers: str) -> FakeOpa:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        servers.append(FakeOpa(status, body, named, listing=listing))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def refused(url: str, *, chunk_seconds: float = 20, scope_seconds: float = 60) -> str:
    engine = OpaEngine(url, POLICY, chunk_seconds=chunk_seconds, scope_seconds=scope_seconds)
    try:
        with pytest.raises(PolicyUnavailable) as caught:
            Access(engine, POLICY).decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW)
    finally:
        engine.close()
    return str(caught.value)


def test_the_fake_is_believed_when_it_answers_well(fake: Callable[..., FakeOpa]) -> None:
    server = fake(body=f'{{"result": {{"k0": {ALLOW}}}}}')
    engine = opa_engine(server.url, POLICY)
    decision = Access(engine, POLICY).decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW)
    engine.close()
    assert decision.allowed
    assert server.asked == ["/v1/data/fairmesh/access/decisions?strict-builtin-errors=true"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, '{"code": "internal_error"}'),
        (404, "{}"),
        (200, "<html>Welcome</html>"),
        (200, ""),
        (200, "{}"),
        (200, "null"),
        (200, "true"),
        (200, '{"result": true}'),
        (200, '{"result": "true"}'),
        (200, '{"result": null}'),
        (200, '{"result": []}'),
        (200, '{"result": {"k0": true}}'),
        (200, '{"result": {"k0": "true"}}'),
        (200, '{"result": {"k0": {"allow": "true", "reasons": [], "obligations": {}}}}'),
        (200, '{"result": {"k0": {"allow": true}}}'),
        (200, f'{{"result": {{"k0": {ALLOW}, "k1": {ALLOW}}}}}'),
        (200, f'{{"result": {{"k0": {ALLOW}}}'),
        (200, f'{{"result": {{"k0": {ALLOW}}}, "allow": true}}'),
        (200, '{"result": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        (200, '{"result": {"k0": "' + "x" * 2_000_000 + '"}}'),
        (201, f'{{"result": {{"k0": {ALLOW}}}}}'),
    ],
    ids=lambda value: str(value)[:60],
)
def test_answers_of_a_sick_server_refuse(fake: Callable[..., FakeOpa], status: int, body: str) -> None:
    assert "cannot be evaluated" in refused(fake(status, body).url)


def test_a_missing_resource_is_denied(fake: Callable[..., FakeOpa]) -> None:
    engine = opa_engine(fake(body='{"result": {}}').url, POLICY)
    decision = Access(engine, POLICY).decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW)
    engine.close()
    assert (decision.allowed, decision.reasons) == (False, ("no-decision",))


def test_redirects_are_not_followed(fake: Callable[..., FakeOpa]) -> None:
    elsewhere = fake(body=f'{{"result": {{"k0": {ALLOW}}}}}')
    for status in (301, 302, 307, 308):
        refused(fake(status, "", Location=f"{elsewhere.url}/v1/data/fairmesh/access/decisions").url)
    assert elsewhere.asked == []


def test_a_slow_server_refuses(fake: Callable[..., FakeOpa]) -> None:
    server = fake(body=f'{{"result": {{"k0": {ALLOW}}}}}')
    server.stall = threading.Event()
    assert "cannot be evaluated" in refused(server.url, chunk_seconds=0.2)
    assert "cannot be evaluated" in refused(server.url, scope_seconds=0.2)


def test_a_server_that_is_down_refuses_in_the_same_words(fake: Callable[..., FakeOpa]) -> None:
    server = fake(500, "")
    sick = refused(server.url)
    server.stop()
    assert refused(server.url) == sick


def test_a_server_with_other_policies_refuses(fake: Callable[..., FakeOpa]) -> None:
    for listing in ('{"result": []}', "{}", '{"result": [{"raw": 1}]}', LISTING.replace("restricted", "public")):
        server = fake(body=f'{{"result": {{"k0": {ALLOW}}}}}', listing=listing)
        assert "cannot be evaluated" in refused(server.url)
        assert server.asked == []


@pytest.mark.parametrize("url", ["", "opa:8181", "ftp://x/", "http://u@h/", "http://h/?q=1", "file:///etc/passwd"])
def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="not the URL"):
        OpaEngine(url, POLICY)


def test_a_server_that_comes_back_is_used_again() -> None:
    with opa_server(POLICIES) as url:
        engine = opa_engine(url, POLICY)
        access = Access(engine, POLICY)
        assert access.decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW).allowed
    with pytest.raises(PolicyUnavailable):
        access.decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW)
    engine.close()


# -- an embedded policy that is not well ---------------------------------------------------------------------------

SLOW = """package fairmesh.access

decisions := {id: {"allow": true, "reasons": [], "obligations": {}} | some id, _ in input.resources; fine}

fine if input.context.channel == "http"

fine if {
	input.context.channel == "cli"
	digits := [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
	some a in digits
	some b in digits
	some c in digits
	some d in digits
	some e in digits
	some f in digits
	some g in digits
	some h in digits
	((((((a + b) + c) + d) + e) + f) + g) + h == 100
}
"""


def test_a_policy_that_takes_too_long_refuses_and_later_requests_go_on(tmp_path: Path) -> None:
    (tmp_path / "slow.rego").write_text(SLOW, "utf-8")
    policies = PolicySet.load(tmp_path)
    access = Access(EmbeddedEngine(policies, chunk_seconds=1.0), policies)
    for _ in range(2):
        with pytest.raises(PolicyUnavailable):
            access.decide(ANALYST, Action.DISCOVER, INSIDE, channel="cli", now=NOW)
        assert access.decide(ANALYST, Action.DISCOVER, INSIDE, channel="http", now=NOW).allowed


REFUSED = {
    "a misspelt rule under not": "decisions := 1 if not blockd",
    "a misspelt input": "decisions := 1 if not inptu.x",
    "a function that does not exist": "decisions := 1 if not foo(1)",
    "a builtin that does not exist": "decisions := 1 if not strings.foo(1)",
    "the network": 'decisions := http.send({"url": "http://localhost", "method": "get"})',
    "name lookups": 'decisions := net.lookup_ip_addr("localhost")',
    "the environment": "decisions := opa.runtime()",
    "a clock of its own": "decisions := time.now_ns()",
    "regular expressions": 'decisions := regex.match("^(a+)+$", input.action)',
    "yaml": "decisions := yaml.unmarshal(input.action)",
    "randomness": 'decisions := rand.intn("x", 3)',
    "a variable used before it is set": "decisions := 1 if {\n\tnot y\n\ty := 3\n}",
    "an unsafe variable": "decisions := x if input.y",
    "recursion": "decisions := f(1)\n\nf(x) := f(x)",
    "rules in a circle": "decisions := 1 if not a\n\na if b\n\nb if a",
    "with": "decisions := 1 if x with data.fairmesh.y as {}\n\nx if input.y",
    "no entry point": "other := 1",
    "a syntax error": "decisions := ",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_dangerous_policy_is_refused_when_loaded(name: str, tmp_path: Path) -> None:
    (tmp_path / "bad.rego").write_text(f"package fairmesh.access\n\n{REFUSED[name]}\n", "utf-8")
    with pytest.raises(ConfigError, match="polic") as caught:
        EmbeddedEngine(PolicySet.load(tmp_path))
    assert caught.value.remedy


def test_an_opa_server_does_not_excuse_a_dangerous_policy(tmp_path: Path) -> None:
    (tmp_path / "bad.rego").write_text("package fairmesh.access\n\ndecisions := opa.runtime()\n", "utf-8")
    with pytest.raises(ConfigError, match=r"opa\.runtime"):
        OpaEngine("http://127.0.0.1:1", PolicySet.load(tmp_path))
