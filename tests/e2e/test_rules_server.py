"""Rolling out rules through the console script against a real server: impact, publish, show; then how the mesh stands,
what happened, and judging it anew when it is stopped."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from running import Ran, run_inside
from served import Mesh, document, listening, served
from starlette.applications import Starlette

from fairmesh.api.cli import main
from fairmesh.api.client import Client
from fairmesh.api.rules_reads import impact_progress
from fairmesh.api.serve import _Server
from fairmesh.api.verdicts import Run
from fairmesh.catalog import rdf
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.governance import Validator
from fairmesh.catalog.rulefiles import RULES, SHIPPED

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULE = """@prefix acme: <https://w3id.org/fairmesh/rules/org/acme/> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .

acme:title a sh:NodeShape ; fm:mode fm:gate ;
  rdfs:label "Short title"@en ; rdfs:comment "Lists show seven letters."@en ;
  dct:creator "controlling" ; dct:issued "2026-11-21"^^xsd:date ;
  sh:targetClass dprod:DataProduct ;
  sh:property [ sh:path dct:title ; sh:maxLength 7 ] ;
  sh:message "Shorten dct:title to 7 characters."@en .
"""
_FREQUENCY = "http://publications.europa.eu/resource/authority/frequency/"
GONE = [
    "  - domains/finance/retention    warn",
    "  - domains/finance/sensitivity  gate",
    "  - domains/sales/frequency      gate",
    "  - domains/sales/freshness      warn",
]
LOST = [
    "  - domains/finance/vocabulary.ttl  2 terms: <https://w3id.org/fairmesh/ns/finance#>,"
    " <https://w3id.org/fairmesh/ns/finance#retention>",
    f"  - domains/sales/vocabulary.ttl  10 terms: <{_FREQUENCY}ANNUAL>, <{_FREQUENCY}CONT>, <{_FREQUENCY}DAILY>"
    " and 7 more",
]
"""What an organisation's repository alone would remove: rules, and vocabulary terms."""
LONG = ["hr.salaries", "ops.calendar", "sales.customers"]
"""The products whose title is longer than the rule wants."""
COUNTED = {"key": "org/acme/title", "failing": 3, "warned": 0, "passing": 0, "products": 3, "examples": LONG}
EXAMPLE = (SHIPPED / "core" / "examples" / "ok-04-one-long-enough.ttl").read_text()


def rule_set(folder: Path, rule: str = RULE) -> Path:
    """An organisation's repository with one rule."""
    examples = folder / "org" / "acme" / "examples"
    examples.mkdir(parents=True)
    (folder / "org" / "acme" / "shapes.ttl").write_text(rule)
    lines = EXAMPLE.splitlines()
    titled = next(n for n, line in enumerate(lines) if "dct:title" in line)
    for name, title in (("ok-title-short", "Stops"), ("bad-title-long", "Stops of all lines")):
        lines[titled] = f'  dct:title "{title}"@en ;'
        (examples / f"{name}.ttl").write_text("\n".join(lines) + "\n")
    return folder


@dataclass
class Service:
    """A mesh on a socket, and the command line as one of its subjects."""

    mesh: Mesh
    url: str
    ran: Callable[..., Ran]
    stack: ExitStack
    data: Path

    def run(self, *arguments: str | Path, role: str | None = "steward") -> Ran:
        return self.ran(*arguments, "--server", self.url, token="" if role is None else self.mesh.tokens[role])

    def json(self, *arguments: str | Path, role: str | None = "steward") -> Any:
        return self.run(*arguments, "--format", "json", role=role).json()

    def stop(self) -> None:
        self.stack.close()


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command in this process, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("FAIRMESH_WORKERS", "2")

    def run(*arguments: str | Path, token: str = "") -> Ran:
        monkeypatch.setenv("FAIRMESH_TOKEN", token)
        return run_inside(capsys, *arguments)

    return run


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mesh, str]]:
    """A mesh that no test changes, and its URL."""
    with served(tmp_path_factory.mktemp("still")) as mesh, listening(mesh.app) as url:
        yield mesh, url


@pytest.fixture
def asked(ran: Callable[..., Ran], still: tuple[Mesh, str]) -> Service:
    """For tests that only ask."""
    return Service(*still, ran, ExitStack(), Path())


@pytest.fixture
def service(ran: Callable[..., Ran], tmp_path: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        mesh = stack.enter_context(served(tmp_path / "data"))
        url = stack.enter_context(listening(mesh.app))
        yield Service(mesh, url, ran, stack, tmp_path / "data")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return rule_set(tmp_path / "acme")


def test_how_far_an_impact_is_can_be_asked_while_it_is_waited_for(
    asked: Service, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, another = (Client(asked.url, asked.mesh.tokens[role]) for role in ("steward", "sales"))
    told: list[tuple[int, int] | None] = []
    honest = Validator.judge_many

    def judge_many(validator: Validator, *args: Any, **more: Any) -> Any:
        told.extend(map(impact_progress, (author, another)))
        return honest(validator, *args, **more)

    monkeypatch.setattr(Validator, "judge_many", judge_many)
    assert asked.run("rules", "impact", rules, "--allow-failing").code == 0
    assert told[:2] == [(0, 6), None]
    assert impact_progress(author) is None


def test_a_server_that_is_told_to_stop_ends_what_would_take_long() -> None:
    ended = threading.Event()
    server = _Server(uvicorn.Config(Starlette()), ended.set)
    server.handle_exit(signal.SIGTERM, None)
    assert ended.wait(60)
    assert server.should_exit


# -- impact -----------------------------------------------------------------------------------------------------------


def test_impact_names_who_would_newly_fail_by_rule_domain_and_owner_and_ends_with_1(
    asked: Service, rules: Path
) -> None:
    ran = asked.run("rules", "impact", rules)
    assert ran.code == 1, ran
    lines = ran.out.splitlines()
    assert lines[0].endswith("6 products judged")
    assert lines[1:12] == [
        *GONE, "  + org/acme/title  gate", *LOST,
        "failing        0 -> 3", "newly failing  3", "newly warned   0", "newly passing  0",
    ]  # fmt: skip
    rows = {tuple(line.split()[:3]): line for line in lines}
    assert rows["org/acme/title", "3", "0"].endswith(", ".join(LONG))
    assert {("Hr", "1", "0"), ("Sales", "1", "0")} <= rows.keys()
    assert any(line.startswith("sales team") and line.endswith("sales.customers") for line in lines)
    assert "4 rules and 12 vocabulary terms in force would be removed" in ran.err
    assert "3 products would newly fail" in ran.err
    assert "--allow-failing" in ran.err
    assert asked.run("rules", "impact", rules, "--allow-failing").code == 0
    found = asked.json("rules", "impact", rules)
    assert (found["failingBefore"], found["failingAfter"], found["newlyFailing"]) == (0, 3, 3)
    assert found["byDomain"][0]["key"].startswith("http://localhost/id/domain/")
    assert found["byRule"] == [COUNTED]
    assert asked.json("governance")["conforming"] == 6, "nothing was changed"


def test_impact_is_0_where_nothing_newly_fails_and_goes_by_the_modes_of_a_day(asked: Service, tmp_path: Path) -> None:
    later = RULE.replace(
        "fm:mode fm:gate", 'fm:mode fm:warn ; fm:nextMode fm:gate ; fm:nextModeFrom "2031-01-01"^^xsd:date'
    )
    place = rule_set(tmp_path / "later", later)
    warned = asked.run("rules", "impact", place)
    assert (warned.code, "newly failing  0\nnewly warned   3\n" in warned.out) == (0, True), warned
    assert "  + org/acme/title  warn, gate from 2031-01-01\n" in warned.out
    assert asked.json("rules", "impact", place)["byRule"] == [{**COUNTED, "failing": 0, "warned": 3}]
    ran = asked.run("rules", "impact", place, "--at", "2031-01-01")
    assert (ran.code, "on 2031-01-01" in ran.out, "newly failing  3" in ran.out) == (1, True, True)


def test_what_passes_because_its_rule_is_gone_says_so(service: Service, rules: Path) -> None:
    service.run("rules", "publish", rules, "--allow-removing", "--wait")
    shutil.rmtree(rules / "org")
    shutil.copytree(SHIPPED / "core", rules / "core")
    ran = service.run("rules", "impact", rules)
    assert (ran.code, "  - org/acme/title  gate\n" in ran.out, "newly passing  3\n" in ran.out) == (0, True, True), ran
    row = next(line.split() for line in ran.out.splitlines() if line.startswith("org/acme/title"))
    assert row == ["org/acme/title", "(removed)", "0", "0", "3", *", ".join(LONG).split()]
    assert "1 rule in force would be removed; what passes by that is not mended" in ran.err


@pytest.mark.parametrize("command", ["impact", "publish"])
def test_a_refused_set_shows_every_problem_with_the_authors_own_file_and_line(
    asked: Service, tmp_path: Path, command: str
) -> None:
    bad = RULE.replace(" fm:mode fm:gate ;", "").replace("sh:maxLength", "sh:maxLenght")
    place = rule_set(tmp_path / "bad", bad)
    ran = asked.run("rules", command, place)
    assert ran.code == 1, ran
    shapes = f"{place}/org/acme/shapes.ttl"
    assert f"{shapes}:9: error [rules/mode]" in ran.out
    assert f"{shapes}:13: error [rules/unknown-term] sh:maxLenght" in ran.out
    found = asked.json("rules", command, place)["problems"]
    assert {(each["file"], each["line"]) for each in found if each["refuses"]} >= {(shapes, 9), (shapes, 13)}
    assert all(each["fix"] for each in found)


def test_an_example_that_does_not_do_what_its_name_says_is_named(asked: Service, rules: Path) -> None:
    examples = rules / "org" / "acme" / "examples"
    shutil.copy(examples / "ok-title-short.ttl", examples / "bad-title-none.ttl")
    ran = asked.run("rules", "publish", rules)
    assert (ran.code, f"{examples}/bad-title-none.ttl: error [rules/example]" in ran.out) == (1, True), ran
    assert asked.json("rules", "show")["source"] == "folder"


@pytest.mark.parametrize("command", ["impact", "publish"])
def test_who_may_not_publish_is_denied(asked: Service, rules: Path, command: str) -> None:
    denied = asked.run("rules", command, rules, role="analyst")
    words = {"impact": "asking what other rules would change", "publish": "publishing rules"}
    assert (denied.code, f"{words[command]} needs the govern action on the whole rule set" in denied.err) == (3, True)
    assert "Ask the mesh's stewards, or name the domain whose rules alone you keep" in denied.err
    ran = asked.run("rules", command, rules, role=None)
    assert (ran.code, "set FAIRMESH_TOKEN" in ran.err) == (3, True), ran


def test_what_is_no_rule_set_is_2_and_a_server_that_is_not_there_5(ran: Callable[..., Ran], rules: Path) -> None:
    assert ran("rules", "impact", "nowhere").code == 2
    no_domain = ran("rules", "publish", rules, "--domain", "sales")
    assert (no_domain.code, "domains/sales/" in no_domain.err) == (2, True), no_domain
    assert ran("rules", "impact", rules, "--server", "http://127.0.0.1:1").code == 5


# -- publish and show -------------------------------------------------------------------------------------------------


def test_a_published_set_is_shown_judged_by_and_can_be_taken_back(
    service: Service, rules: Path, tmp_path: Path
) -> None:
    before = service.json("rules", "show")
    dry = service.run("rules", "publish", rules, "--dry-run", "--allow-removing")
    assert (dry.code, dry.out.split()[0], "dry run" in dry.out) == (0, "publishable", True), dry
    assert dry.out.splitlines()[1:-1] == [*GONE, "  + org/acme/title  gate", *LOST]
    done = service.run("rules", "publish", rules, "--wait", "--allow-removing")
    assert (done.code, done.out.split()[0], done.out.splitlines()[-1]) == (0, "published", "3 of 6 products conform")
    again = service.json("rules", "publish", rules)
    assert (again["unchanged"], again["published"]) == (True, False)
    assert again["governance"] == {"products": 6, "conforming": 3, "pending": 0}
    shown = service.json("rules", "show")
    assert (shown["digest"], shown["by"], shown["source"]) == (again["digest"], "stu", "published")
    rule = next(rule for rule in shown["rules"] if rule["id"] == "org/acme/title")
    assert (rule["mode"], rule["owner"], rule["since"]) == ("gate", "controlling", "2026-11-21")
    assert "org/acme/title" in service.run("rules", "show").out
    then = service.json("rules", "show", "--as-of", before["at"])
    assert (then["digest"], [r["id"] for r in then["rules"]]) == (before["digest"], [r["id"] for r in before["rules"]])
    assert service.run("rules", "show", "--as-of", "2020-01-01").out == "no rule set was in force\n"
    old = tmp_path / "old"
    assert service.run("rules", "show", "--as-of", before["at"], "--out", old).code == 0
    assert {path.relative_to(old).as_posix(): path.read_text() for path in old.rglob("*.ttl")} == {
        file["path"]: file["content"] for file in before["files"]
    }
    full = service.run("rules", "show", "--out", old)
    assert (full.code, "is not an empty folder" in full.err) == (2, True)
    back = ("rules", "publish", old, "--wait", "--allow-removing")
    assert service.run(*back).out.splitlines()[-1] == "6 of 6 products conform"


def test_one_rule_is_shown_with_its_parts_examples_and_page(asked: Service) -> None:
    ran = asked.run("rules", "show", "core/25")
    assert ran.code == 0, ran
    lines = ran.out.splitlines()
    assert lines[:4] == [
        "core/25  Version",
        "  why       Semantic versioning lets a consumer see in three numbers whether a change can break them.",
        "  kept by   governance, since 2026-11-21",
        "  mode      gate",
    ]
    at = lines.index("  dcat:version: warn")
    assert lines[at + 1].startswith("    Add a version, such as dcat:version")
    assert lines[at + 2] == "  dcat:version: gate"
    assert "  meets it  core/examples/ok-25-release-candidate.ttl" in lines
    assert lines[-1] == f"  page      {asked.url}/rules/core/25"
    (key, _) = asked.json("rules", "show", "https://w3id.org/fairmesh/rules/core/01")["parts"]
    assert key["path"] is None or key["messages"], key
    unknown = asked.run("rules", "show", "domains/sales/freshnes")
    assert (unknown.code, "Name one like domains/sales/freshness" in unknown.err) == (1, True), unknown
    assert asked.run("rules", "show", "core/25", "--out", "somewhere").code == 2


def test_a_set_that_lacks_rules_in_force_is_refused_unless_that_is_meant(service: Service, rules: Path) -> None:
    before = service.json("rules", "show")["digest"]
    for options in ((), ("--dry-run",), ("--wait",)):
        ran = service.run("rules", "publish", rules, *options)
        assert (ran.code, ran.out.splitlines()) == (1, [*GONE, "  + org/acme/title  gate", *LOST]), ran
        assert "4 rules and 12 vocabulary terms in force would be removed, and nothing was published" in ran.err
        assert "--allow-removing" in ran.err
    assert service.json("rules", "show")["digest"] == before
    shutil.copytree(SHIPPED / "domains", rules / "domains")
    words = rules / "domains" / "finance" / "vocabulary.ttl"
    kept = words.read_text()
    words.unlink()
    ran = service.run("rules", "publish", rules)
    assert (ran.code, ran.out.splitlines()) == (1, ["  + org/acme/title  gate", LOST[0]]), ran
    assert "fairmesh: 2 vocabulary terms in force would be removed, and nothing was published" in ran.err
    words.write_text(kept)
    added = service.json("rules", "publish", rules)
    assert (added["published"], added["changes"]) == (
        True, [{"rule": "org/acme/title", "before": None, "after": "gate"}],
    )  # fmt: skip
    shapes = rules / "org" / "acme" / "shapes.ttl"
    shapes.write_text(RULE.replace("fm:mode fm:gate", "fm:mode fm:warn"))
    assert "  ~ org/acme/title  gate -> warn\n" in service.run("rules", "publish", rules).out


def test_a_domain_publishes_its_own_rules_alone_and_not_others(service: Service, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    shutil.copytree(SHIPPED / "domains" / "sales", place / "domains" / "sales")
    shapes = place / "domains" / "sales" / "shapes.ttl"
    shapes.write_text("# ours\n" + shapes.read_text().replace("fm:gate", "fm:warn"))
    for named in (place, place / "domains" / "sales"):
        ran = service.run("rules", "impact", named, "--domain", "sales", role="sales")
        assert ran.code == 0, ran
    assert service.run("rules", "publish", place, role="sales").code == 3
    assert service.run("rules", "publish", place, "--domain", "sales", role="sales").code == 0
    shown = service.json("rules", "show")
    files = {file["path"]: file["content"] for file in shown["files"]}
    assert (shown["domain"], files["domains/sales/shapes.ttl"]) == ("sales", shapes.read_text())
    assert files["core/shapes.ttl"] == (SHIPPED / "core" / "shapes.ttl").read_text()


# -- the overview and the feed ----------------------------------------------------------------------------------------


def test_the_overview_counts_by_domain_rule_and_owner_now_and_then(service: Service, rules: Path) -> None:
    start = datetime.now(UTC).isoformat()
    service.run("rules", "publish", rules, "--wait", "--allow-removing")
    ran = service.run("governance", "--trend", "3")
    assert ran.code == 0, ran
    lines = ran.out.splitlines()
    rule_set = service.json("rules", "show")["digest"][:12]
    assert re.fullmatch(rf"at \S+Z, by rule set {rule_set}", lines[0])
    assert re.match(r"3 of 6 products \(50\.0 %\) conform, \d+ findings, 3 of them refusing, FAIR 0\.", lines[1])
    rows = {" ".join(line.split()[:3]): line.split() for line in lines}
    assert rows["Sales 1 2"][3:6] == ["1", rows["Sales 1 2"][4], "0"]
    assert rows["org/acme/title 3 3"][5:7] == ["Short", "title"]
    trend = lines[next(n for n, line in enumerate(lines) if line.startswith("trend")) + 1 :]
    assert [line.split()[1] for line in trend][-1] == "3"
    assert trend[-1].endswith("#" * 10)
    sales = service.json("governance", "--domain", "sales")
    assert (sales["products"], sales["conforming"]) == (2, 1)
    assert service.json("governance", "--domain", "Sales")["products"] == 2
    assert service.json("governance", "--domain", "http://localhost/id/domain/sales")["products"] == 2
    before = service.json("governance", "--as-of", start)
    assert (before["products"], before["conforming"]) == (6, 6)
    today = service.json("governance", "--as-of", datetime.now(UTC).date().isoformat())
    assert today["conforming"] == 3, "today is now, not its end"
    for name in ("sales", "http://localhost/id/domain/sales"):
        for field in ("governance(domain: $d) { at }", "changes(domain: $d) { totalCount }"):
            client = Client(service.url, service.mesh.tokens["steward"])
            with pytest.raises(FairmeshError, match=r"no node with this id.*`domains`"):
                client.graphql(f"query($d: ID) {{ {field} }}", {"d": name})
    unknown = service.run("governance", "--domain", "nosuch")
    assert (unknown.code, "sales" in unknown.err) == (1, True), unknown
    hidden = service.json("governance", role="analyst")
    assert hidden["products"] == 5
    assert "hr" not in [row["key"].rpartition("/")[2] for row in hidden["byDomain"]]
    assert service.run("governance", "--trend", "1").code == 2


def test_the_feed_is_read_on_from_a_cursor(service: Service, rules: Path) -> None:
    first = service.json("changes", "--first", "3")
    assert (len(first["changes"]), first["more"]) == (3, True)
    rest = service.json("changes", "--first", "200", "--after", first["next"])
    assert rest["more"] is False
    keys = [e["resource"]["key"] for e in [*first["changes"], *rest["changes"]] if e["kind"] == "REGISTERED"]
    assert sorted(keys) == sorted(["finance.margin", "finance.revenue", "sales.orders", *LONG])
    service.run("rules", "publish", rules, "--wait", "--allow-removing")
    news = service.json("changes", "--after", rest["next"], "--kind", "rules", "--kind", "conformance")
    assert [each["kind"] for each in news["changes"]] == ["SHAPES_CHANGED"] + ["CONFORMANCE_CHANGED"] * 3
    assert (news["changes"][0]["by"], news["changes"][0]["rulesDomain"]) == ("stu", None)
    digest = news["changes"][0]["shapesVersion"]
    assert digest == service.json("rules", "show")["digest"]
    told = service.run("changes", "--kind", "rules").out.splitlines()[-2]
    assert told.split(maxsplit=1)[1].split("  ") == ["new rules", f"rule set {digest[:12]}", "by stu"]
    text = service.run("changes", "--kind", "conformance").out
    assert [line.split()[1:3] for line in text.splitlines()[:3]] == [["fails", key] for key in LONG]
    assert text.splitlines()[-1] == f"later: --after {service.json('changes', '--kind', 'conformance')['next']}"
    assert service.run("changes", "--after", news["next"]).out.startswith("nothing happened since\n")
    assert service.run("changes", "--after", "nonsense").code == 2


# -- judging anew -----------------------------------------------------------------------------------------------------


def test_a_stopped_mesh_is_judged_anew_and_by_other_rules(service: Service, rules: Path) -> None:
    busy = service.ran("revalidate", "--data", service.data)
    assert (busy.code, "in use" in busy.err) == (2, True), busy
    service.stop()
    fine = service.ran("revalidate", "--data", service.data)
    assert (fine.code, fine.out.splitlines()[0][:23]) == (0, "6 of 6 products conform"), fine
    ran = service.ran("revalidate", "--data", service.data, "--governance", rules)
    assert ran.code == 1, ran
    lines = ran.out.splitlines()
    assert lines[:4] == [
        "3 products fail org/acme/title", "  Shorten dct:title to 7 characters.", f"  {', '.join(LONG)}",
        "  https://w3id.org/fairmesh/rules/org/acme/title",
    ]  # fmt: skip
    assert lines[4].startswith("3 of 6 products conform by rule set ")
    assert lines[5].endswith(" products a second")
    found = service.ran("revalidate", "--data", service.data, "--governance", rules, "--format", "json").json()
    assert (found["products"], found["failing"], found["rules"][0]["examples"]) == (6, 3, LONG)
    assert service.ran("verify", "--data", service.data).out.startswith("ok: ")
    assert service.ran("revalidate", "--data", "nowhere").code == 2


# -- reports ----------------------------------------------------------------------------------------------------------

BAD = document("sales.returns", "Returns").replace('dct:title "Returns"@en ;', "").replace("xsd:long", '"long"')
SYNTAXES = {"ttl": rdf.TURTLE, "jsonld": rdf.JSON_LD, "rdf": rdf.RDF_XML, "nt": rdf.N_TRIPLES, "trig": rdf.TRIG}


@pytest.mark.parametrize("suffix", SYNTAXES)
def test_the_whole_report_is_written_in_the_syntax_of_its_name(
    ran: Callable[..., Ran], tmp_path: Path, suffix: str
) -> None:
    file, out = tmp_path / "bad.ttl", tmp_path / f"report.{suffix}"
    file.write_text(BAD)
    found = ran("validate", file, "--report", out, "--format", "json").json()
    quads = rdf.parse(out.read_bytes(), SYNTAXES[suffix], iri_base="http://localhost/id/").quads
    shapes = [q.object.value for q in quads if q.predicate.value.endswith("#sourceShape")]
    assert sorted(shapes) == sorted(
        "https://w3id.org/fairmesh/rules/" + finding["rule"] for finding in found["results"][0]["findings"]
    )
    assert "https://w3id.org/fairmesh/rules/core/03" in shapes


def test_a_servers_report_is_that_of_its_rules(asked: Service, tmp_path: Path) -> None:
    file, out = tmp_path / "bad.ttl", tmp_path / "report.nt"
    file.write_text(BAD)
    ran = asked.run("validate", file, "--report", out, role="sales")
    assert ran.code == 1, ran
    assert b"<https://w3id.org/fairmesh/rules/core/03>" in out.read_bytes()
    assert f"  more on core/03: {asked.url}/rules/core/03" in ran.out.splitlines()
    groups = asked.run("validate", file, "--format", "json", role="sales").json()["results"][0]["groups"]
    assert {(group["rule"], group["page"]) for group in groups} >= {("core/03", f"{asked.url}/rules/core/03")}


def test_there_is_one_report_of_one_document_that_was_judged(ran: Callable[..., Ran], tmp_path: Path) -> None:
    good, broken, out = tmp_path / "good.ttl", tmp_path / "broken.ttl", tmp_path / "report.ttl"
    good.write_text(document("sales.returns", "Returns"))
    broken.write_text("<x> <y> .")
    several = ran("validate", good, broken, "--report", out)
    assert (several.code, "of one document, not 2" in several.err) == (2, True), several
    strange = ran("validate", good, "--report", tmp_path / "report.pdf")
    assert (strange.code, ".ttl, .jsonld" in strange.err) == (2, True), strange
    unread = ran("validate", broken, "--report", out)
    assert (unread.code, "no report was written" in unread.err, out.exists()) == (2, True, False), unread
    assert ran("validate", good, "--report", out).code == 0
    assert "sh:ValidationReport" in out.read_text()


def test_every_format_leads_to_the_rules_page(ran: Callable[..., Ran], tmp_path: Path) -> None:
    file = tmp_path / "bad.ttl"
    file.write_text(BAD)
    page = "https://w3id.org/fairmesh/rules/core/03"
    assert f"  more on core/03: {page}" in ran("validate", file).out.splitlines()
    sarif = json.loads(ran("validate", file, "--format", "sarif").out)
    assert {"id": "core/03", "helpUri": page} in sarif["runs"][0]["tool"]["driver"]["rules"]
    for form in ("github", "junit"):
        assert page in ran("validate", file, "--format", form).out


@pytest.mark.parametrize(
    ("pages", "rule", "page"),
    [
        (RULES, "core/03", RULES + "core/03"),
        (RULES, "org/acme/names", None),
        (RULES, "domains/sales/fresh", None),
        ("http://127.0.0.1:8000/rules/", "domains/sales/fresh", "http://127.0.0.1:8000/rules/domains/sales/fresh"),
        ("", "core/03", None),
    ],
)
def test_an_organisations_own_rules_have_pages_on_its_servers_alone(pages: str, rule: str, page: str | None) -> None:
    assert Run("validate", (), (), pages=pages).page(rule) == page


@pytest.mark.parametrize("command", ["impact", "publish"])
def test_a_file_that_is_no_text_is_refused_before_anything_is_sent(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "org" / "acme").mkdir(parents=True)
    (tmp_path / "org" / "acme" / "shapes.ttl").write_bytes(b"# \xff\n")
    assert main(["rules", command, str(tmp_path), "--server", "http://127.0.0.1:1"]) == 2
    assert "org/acme/shapes.ttl is not UTF-8. Save it as UTF-8" in capsys.readouterr().err
