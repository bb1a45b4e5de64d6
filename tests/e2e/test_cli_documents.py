"""Documents through the console script: validate, register and import, every format and exit code, bad input."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from running import COMMAND, Ran, Server, environment, fairmesh, serving
from samples import DOMAINS, product

from fairmesh.api.cli import main
from fairmesh.api.output import show
from fairmesh.api.verdicts import Finding, Run, Verdict

FORMATS = ("text", "json", "sarif", "junit", "github")
ALL_DOMAINS = [option for domain in DOMAINS for option in ("--domain", domain)]
Write = Callable[[str, bytes | str], Path]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("cli") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def producer(server: Server) -> str:
    """A token for every domain."""
    return server.token("producer", "--role", "producer", *ALL_DOMAINS, "--clearance", "restricted")


def bad_17(key: str) -> bytes:
    """A document that breaks rule 17 and no other."""
    return product(
        key,
        extra=f"""
        <{key}> dprod:outputPort <{key}/sql> . <{key}/data> dcat:distribution <{key}/table> .
        <{key}/table> a dcat:Distribution ; dct:title "Table"@en ; dcat:accessService <{key}/sql> .
        <{key}/sql> a dcat:DataService ; dct:title "SQL"@en ; dcat:endpointURL <https://a:secret@db.example.org/> .""",
    )


# -- validate ----------------------------------------------------------------------------------------------------------


def test_a_good_document_is_ok_offline_and_says_what_was_not_checked(write: Write) -> None:
    ran = fairmesh("validate", write("orders.ttl", product("sales.orders")))
    assert ran.code == 0
    assert re.match(r"ok +sales\.orders  .*orders\.ttl", ran.out)
    assert "not checked: core/29" in ran.out


def test_a_finding_has_its_place_its_rule_and_its_remedy(write: Write) -> None:
    document = bad_17("sales.orders")
    ran = fairmesh("validate", write("orders.ttl", document))
    assert ran.code == 1
    line = next(n for n, text in enumerate(document.decode().splitlines(), 1) if "secret" in text)
    assert re.search(rf"orders\.ttl:{line}:\d+: error \[core/17\] .+\(dcat:endpointURL\)", ran.out)
    assert "a:secret" not in ran.out


PLAIN = product("sales.a")
BAD: dict[str, tuple[bytes, str, int]] = {
    "syntax.ttl": (b"<a> <b>\n<c> . .", "syntax", 2),
    "not-utf8.ttl": (PLAIN.replace(b"Testing", b"T\xe9sting"), "syntax", 2),
    "language.ttl": (PLAIN.replace(b'"Testing"@en', b'"Testing"@e_n'), "syntax", 2),
    "page.html": (b"<!doctype html><html><body>Sign in</body></html>", "unsupported", 2),
    "literal.ttl": (PLAIN.replace(b"Testing", b"x" * 5_000_001), "too-large", 2),
    "remote.jsonld": (b'{"@context": "http://127.0.0.1:1/context", "@id": "a"}', "syntax", 2),
    "doctype.rdf": (b'<!DOCTYPE rdf [<!ENTITY a "b">]><rdf:RDF xmlns:rdf="http://x/"/>', "unsupported", 2),
    "none.ttl": (b'<a> <http://purl.org/dc/terms/title> "A" .', "no-product", 1),
    "two.ttl": (PLAIN + product("sales.b"), "several-products", 1),
    "foreign.ttl": (PLAIN + b'<sales.orders> dct:title "Mine"@en .', "foreign-node", 1),
    "climbs.ttl": (PLAIN + b"<sales.a> dct:relation <../../x> .", "escapes-base", 1),
    "axiom.ttl": (PLAIN + b"c:internal <http://www.w3.org/2000/01/rdf-schema#subClassOf> c:public .", "", 1),
    "other-domain.ttl": (PLAIN.replace(b"domain/sales", b"domain/finance"), "not-conforming", 1),
}
"""File, content, the problem's code ("" where either of two rules may see it first), exit code."""


def test_bad_documents_have_the_same_verdict_here_and_at_the_server(
    server: Server, producer: str, tmp_path: Path
) -> None:
    for name, (content, _, _) in BAD.items():
        (tmp_path / name).write_bytes(content)
    files = [tmp_path / name for name in BAD]
    here = fairmesh("validate", *files, "--format", "json")
    there = server.run("validate", *files, "--format", "json", token=producer)
    registered = server.run("register", *files, "--format", "json", token=producer)
    assert (here.code, there.code, registered.code) == (1, 1, 1)
    for one, other, third in zip(*(ran.json()["results"] for ran in (here, there, registered)), strict=True):
        name = Path(one["file"]).name
        code = BAD[name][1]
        assert one["problem"]["code"] in (code, *([] if code else ["reserved-namespace", "axiom"])), one
        for found in (one, other, third):
            assert found["verdict"] == "refused"
            assert found["status"] == one["status"], name
            for member in ("code", "line", "column"):
                assert found["problem"].get(member) == one["problem"].get(member), (name, member)
            gates = [f for f in found["findings"] if f["severity"] == "VIOLATION"]
            assert gates == [f for f in one["findings"] if f["severity"] == "VIOLATION"]
    lines = {Path(r["file"]).name: r["problem"].get("line") for r in here.json()["results"]}
    for name in ("syntax.ttl", "not-utf8.ttl", "language.ttl", "foreign.ttl", "two.ttl"):
        assert lines[name], name


@pytest.mark.parametrize("name", ["syntax.ttl", "page.html", "none.ttl", "foreign.ttl", "other-domain.ttl"])
def test_a_bad_document_alone_has_its_exit_code(name: str, tmp_path: Path) -> None:
    content, _, code = BAD[name]
    (tmp_path / name).write_bytes(content)
    assert fairmesh("validate", tmp_path / name).code == code


def test_what_nobody_can_read_is_2_and_named_and_leaves_the_rest_standing(write: Write, tmp_path: Path) -> None:
    good = write("good.ttl", product("sales.good"))
    files = [tmp_path, write("empty.ttl", b""), write("blank.ttl", b" \n"), tmp_path / "none.ttl"]
    ran = fairmesh("validate", *files, good)
    assert ran.code == 2
    for file, reason in zip(files, ("is a directory", "is empty", "is empty", "there is no file"), strict=True):
        assert re.search(f"{re.escape(str(file))}.*{reason}|{reason} {re.escape(str(file))}", ran.out), reason
    assert re.search(r"^ok +sales\.good", ran.out, re.MULTILINE)


def test_a_suffix_that_lies_does_not_matter(write: Write) -> None:
    assert fairmesh("validate", write("orders.rdf", product("sales.orders"))).code == 0


def test_own_rules_take_the_place_of_those_that_ship(write: Write, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    (rules / "core").mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "ontologies" / "core"
    (rules / "core" / "vocabulary.ttl").write_bytes((shipped / "vocabulary.ttl").read_bytes())
    (rules / "core" / "shapes.ttl").write_text("")
    bad = write("bad.ttl", bad_17("sales.orders"))
    assert fairmesh("validate", bad, "--governance", rules).code == 0
    assert fairmesh("validate", bad, "--governance", tmp_path / "none").code == 2


def test_both_engines_give_the_same_verdict(write: Write) -> None:
    bad = write("bad.ttl", bad_17("sales.orders"))
    compiled, reference = (fairmesh("validate", bad, "--engine", engine) for engine in ("compiled", "pyshacl"))
    assert (compiled.code, compiled.err) == (1, "")
    assert (reference.code, reference.out) == (1, compiled.out)


def test_an_engine_is_chosen_for_judging_here_alone(write: Write) -> None:
    ran = fairmesh(
        "validate", write("a.ttl", product("sales.a")), "--engine", "pyshacl", "--server", "http://x.invalid"
    )
    assert ran.code == 2
    assert "--engine is for judging here" in ran.err
    assert fairmesh("validate", "a.ttl", "--engine", "fast").code == 2


# -- formats -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """One run over a refused, a warned and an unreadable file, in each format."""
    folder = tmp_path_factory.mktemp("formats")
    (folder / "a b.ttl").write_bytes(bad_17("sales.refused"))
    (folder / "warned.ttl").write_bytes(product("sales.warned").replace(b'dprod:purpose "Testing"@en ;', b""))
    (folder / "broken.ttl").write_bytes(b"<a> <b> ")
    files = ("a b.ttl", "warned.ttl", "broken.ttl")
    return {form: fairmesh("validate", *files, "--format", form, cwd=folder) for form in FORMATS}


def test_every_format_has_the_same_exit_code(findings: dict[str, Ran]) -> None:
    assert {form: (ran.code, ran.err) for form, ran in findings.items()} == dict.fromkeys(FORMATS, (1, ""))


def test_json_has_everything(findings: dict[str, Ran]) -> None:
    found = findings["json"].json()
    assert found["exit_code"] == 1
    assert [(r["file"], r["key"], r["verdict"]) for r in found["results"]] == [
        ("a b.ttl", "sales.refused", "refused"), ("warned.ttl", "sales.warned", "ok"), ("broken.ttl", None, "refused"),
    ]  # fmt: skip
    assert found["results"][0]["findings"][0]["rule"] == "core/17"
    purpose = next(f for f in found["results"][1]["findings"] if f["rule"] == "core/28")
    assert (purpose["severity"], purpose["focus"]) == ("WARNING", "http://localhost/id/sales.warned")
    assert purpose["line"]
    assert purpose["message"]
    assert {reason["rule"] for reason in found["reasons"]} == {"core/17", "syntax"}


def test_sarif_places_each_result(findings: dict[str, Ran]) -> None:
    sarif = findings["sarif"].json()
    assert sarif["version"] == "2.1.0"
    run = sarif["runs"][0]
    places = {}
    for result in run["results"]:
        location = result["locations"][0]["physicalLocation"]
        places[result["ruleId"]] = (
            result["level"],
            location["artifactLocation"]["uri"],
            "startLine" in location["region"],
        )
        assert result["message"]["text"]
    assert places["core/17"] == ("error", "a%20b.ttl", True)
    assert places["core/28"] == ("warning", "warned.ttl", True)
    assert places["syntax"] == ("error", "broken.ttl", True)
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(places)


def test_junit_parts_refused_from_unreadable(findings: dict[str, Ran]) -> None:
    root = ET.fromstring(findings["junit"].out)
    assert root.attrib == {"tests": "3", "failures": "1", "errors": "1"}
    kinds = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert kinds == {"sales.refused": ["failure"], "sales.warned": ["system-out"], "broken.ttl": ["error"]}


def test_github_annotates_lines(findings: dict[str, Ran]) -> None:
    lines = findings["github"].out.splitlines()
    assert any(re.match(r"::error file=a b\.ttl,line=\d+,col=\d+,title=fairmesh core/17::.", line) for line in lines)
    assert any(
        re.match(r"::warning file=warned\.ttl,line=\d+,col=\d+,title=fairmesh core/28::", line) for line in lines
    )
    assert any(re.match(r"::error file=broken\.ttl,line=\d+.*title=fairmesh syntax::", line) for line in lines)
    assert all(line.startswith("::") for line in lines)


def render(run: Run, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    show(run, form)
    return capsys.readouterr().out


def test_metadata_cannot_speak_to_the_terminal_or_break_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "a\n::error::x\x1b[2J\0" + "31\0,:%<&]]>"
    finding = Finding("core/04", "VIOLATION", evil, evil, None, evil, 3, 4)
    verdict = Verdict(
        evil, 422, evil, evil, findings=(finding,), problem={"code": evil, "detail": evil, "remedy": evil}
    )
    run = Run("validate", (verdict, verdict), ("ok", "refused"), (evil,))
    lines = render(run, "text", capsys).splitlines()
    assert not any(line.startswith("::error") or "\x1b" in line or "\0" in line for line in lines)
    annotations = render(run, "github", capsys).splitlines()
    assert len(annotations) == 5
    assert all(re.match(r"::(error file=[^:,]*,line=|error file=|notice )", line) for line in annotations)
    cases = list(ET.fromstring(render(run, "junit", capsys)).iter("testcase"))
    assert [case.get("name") for case in cases] == [evil.replace("\x1b", "\ufffd").replace("\0", "\ufffd")] * 2
    results = json.loads(render(run, "sarif", capsys))["runs"][0]["results"]
    assert [result["message"]["text"] for result in results if result["ruleId"] == "core/04"] == [evil] * 2
    assert json.loads(render(run, "json", capsys))["results"][0]["key"] == evil


def in_terminal(*arguments: str | Path, **variables: str) -> str:
    """What the command writes to a terminal."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdout=side,
        stderr=side,
        stdin=side,
        env=environment(TERM="xterm", **variables),
    )
    os.close(side)
    parts = []
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other end is closed: on Linux that is an error
            break
        if not part:
            break
        parts.append(part)
    os.close(main)
    process.wait(60)
    return b"".join(parts).decode()


def test_colour_and_progress_are_for_terminals_and_no_color_is_honoured(write: Write) -> None:
    files = [write(f"{name}.ttl", product(f"sales.{name}")) for name in ("a", "b")]
    colored = in_terminal("validate", *files)
    assert "\x1b[32mok" in colored
    assert "checking [" in colored
    plain = in_terminal("validate", *files, NO_COLOR="1")
    assert "\x1b[32m" not in plain
    piped = fairmesh("validate", *files)
    assert "\x1b" not in piped.out
    assert piped.err == ""


# -- register ----------------------------------------------------------------------------------------------------------


def test_registering_creates_updates_and_then_changes_nothing(server: Server, producer: str, write: Write) -> None:
    file = write("loop.ttl", product("ops.loop"))
    dry = server.run("register", file, "--dry-run", token=producer)
    assert (dry.code, dry.out.splitlines()[-1]) == (0, "dry run: nothing was stored")
    assert dry.out.startswith("created")
    first = server.run("register", file, token=producer)
    assert re.match(r"created +ops\.loop  revision 1  \+\d+ -0 statements", first.out)
    again = server.run("register", file, token=producer)
    assert (again.code, bool(re.match(r"unchanged +ops\.loop  revision 1", again.out))) == (0, True)
    file.write_bytes(product("ops.loop", version="1.1.0"))
    changed = server.run("register", file, token=producer)
    assert re.match(r"updated +ops\.loop  revision 2  \+1 -1 statements", changed.out)
    assert '  - http://localhost/id/ops.loop dcat:version "1.0.0"' in changed.out.splitlines()
    assert '  + http://localhost/id/ops.loop dcat:version "1.1.0"' in changed.out.splitlines()


def test_a_stale_revision_is_a_conflict(server: Server, producer: str, write: Write) -> None:
    file = write("stale.ttl", product("ops.stale"))
    assert server.run("register", file, "--if-revision", "1", token=producer).code == 4
    assert server.run("register", file, "--if-revision", "0", token=producer).code == 0
    file.write_bytes(product("ops.stale", version="2.0.0"))
    stale = server.run("register", file, "--if-revision", "0", token=producer)
    assert (stale.code, "stale-revision" in stale.out) == (4, True)
    assert server.run("register", file, "--if-revision", "1", token=producer).code == 0


def test_a_key_of_another_product_is_a_conflict(server: Server, producer: str, write: Write) -> None:
    assert server.run("register", write("a.ttl", product("ops.held")), token=producer).code == 0
    other = product("ops.held").replace(b"<ops.held", b"<https://elsewhere.example.org/held")
    ran = server.run("register", write("b.ttl", other), token=producer)
    assert (ran.code, "[conflict]" in ran.out) == (4, True), ran.out


def test_who_may_not_is_denied(server: Server, write: Write) -> None:
    file = write("denied.ttl", product("sales.denied"))
    stranger = server.token("stranger", "--role", "producer", "--domain", "finance")
    ran = server.run("register", file, token=stranger)
    assert (ran.code, "not-your-domain" in ran.out) == (3, True)
    assert server.run("register", file).code == 3
    unknown = server.run("register", file, token="fm_" + "x" * 32)
    assert (unknown.code, "unauthenticated" in unknown.out) == (3, True)
    assert server.run("show", "sales.denied", token="fm_" + "x" * 32).code == 3
    assert server.run("register", file, token="two words").code == 2


def test_different_failures_together_are_1_and_the_good_ones_stand(
    server: Server, write: Write, tmp_path: Path
) -> None:
    token = server.token("mixed", "--role", "producer", "--domain", "ops")
    files = [
        write("good.ttl", product("ops.mixed")), write("denied.ttl", product("sales.mixed")),
        write("bad.ttl", bad_17("ops.bad")), tmp_path / "none.ttl",
    ]  # fmt: skip
    ran = server.run("register", *files, token=token)
    assert ran.code == 1
    words = [line.split()[0] for line in ran.out.splitlines() if line and not line.startswith(" ")]
    assert words == ["created", "refused", "refused", "refused", "created", "updated", "unchanged", "refused"]
    assert server.run("register", files[0], token=token).out.startswith("unchanged")


def test_more_than_a_batch_in_any_order(server: Server, producer: str, tmp_path: Path) -> None:
    """A chain of 60 products, each derived from the next one: references go from batch to batch."""
    for n in range(60):
        sources = (f"ops.chain-{n + 1:02}/data",) if n < 59 else ()
        (tmp_path / f"{n:02}.ttl").write_bytes(product(f"ops.chain-{n:02}", sources=sources))
    ran = server.run("register", *sorted(tmp_path.iterdir()), "--format", "json", token=producer)
    assert ran.code == 0
    assert [r["key"] for r in ran.json()["results"]] == [f"ops.chain-{n:02}" for n in range(60)]
    line = server.run("lineage", "ops.chain-00", "--upstream", token=producer)
    assert "upstream: 59 nodes, 59 edges" in line.out


def test_no_server_is_5(write: Write) -> None:
    with socket.socket() as free:  # bound, not listening: nobody else can be there
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        file = write("a.ttl", product("sales.a"))
        for arguments in (
            ["register", str(file)], ["validate", str(file)], ["show", "sales.a"], ["search", "a"], ["lineage", "a.b"],
        ):  # fmt: skip
            ran = fairmesh(*arguments, "--server", url)
            assert ran.code == 5, ran
            assert f"no answer from {url}" in ran.out + ran.err


class _Strange(BaseHTTPRequestHandler):
    """Not a fairmesh server: a redirect, a page, rubbish, half an answer, by the first part of the path."""

    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.path.split("/")[1]
        type(self).seen.append(f"{kind} {self.headers.get('Authorization')}")
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", "/stolen/products:batch")
            self.end_headers()
            return
        body = {"page": b"<html>Welcome</html>", "list": b"[]", "busy": b"{}"}.get(kind, b"{")
        self.send_response(503 if kind == "busy" else 200)
        self.send_header("Content-Length", str(len(body) + (10 if kind == "half" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    ("kind", "code"), [("page", 5), ("list", 5), ("half", 5), ("busy", 5), ("redirect", 2)]
)  # fmt: skip
def test_what_is_no_fairmesh_server_is_told_apart_and_never_followed(kind: str, code: int, write: Write) -> None:
    _Strange.seen = []
    with HTTPServer(("127.0.0.1", 0), _Strange) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/{kind}"
            proxies = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
            ran = fairmesh("register", write("a.ttl", PLAIN), "--server", url, token="fm_x", variables=proxies)
        finally:
            server.shutdown()
            thread.join()
    assert ran.code == code, ran
    assert _Strange.seen == [f"{kind} Bearer fm_x"]


# -- import ------------------------------------------------------------------------------------------------------------

DCAT = """
@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
<https://data.example.org/rain> a dcat:Dataset ; dct:title "Rain gauges"@en ;
  dct:description "Rainfall by hour and station."@en ; dct:license <https://creativecommons.org/licenses/by/4.0/> .
<https://data.example.org/wind> a dcat:Dataset ; dct:title "Wind"@en ;
  dct:description "Wind by hour and station."@en ; dct:issued "2999-01-01"^^<http://www.w3.org/2001/XMLSchema#date> .
"""
MANIFEST = {
    "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json", "project_name": "shop"},
    "nodes": {
        "model.shop.orders": {
            "unique_id": "model.shop.orders", "resource_type": "model", "package_name": "shop", "name": "orders",
            "fqn": ["shop", "marts", "orders"], "config": {"materialized": "table"}, "depends_on": {"nodes": []},
            "columns": {},
        }
    },
    "sources": {},
}  # fmt: skip


def test_import_dbt_registers_says_unchanged_and_needs_an_owner(server: Server, producer: str, write: Write) -> None:
    manifest = write("manifest.json", json.dumps(MANIFEST))
    write("catalog.json", json.dumps({
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json"}, "sources": {},
        "nodes": {"model.shop.orders": {"columns": {"ID": {"name": "ID", "type": "bigint", "index": 1}}}},
    }))  # fmt: skip
    arguments = ["import", "dbt", str(manifest), "--domain", "sales"]
    ownerless = server.run(*arguments, token=producer)
    assert (ownerless.code, "no owner" in ownerless.out, "--owner" in ownerless.out) == (1, True, True)
    first = server.run(*arguments, "--owner", "Shop team", token=producer)
    assert first.code == 0
    assert first.out.startswith("created    sales.marts  revision 1")
    assert f"columns and types also from {manifest.parent / 'catalog.json'}" in first.out
    again = server.run(*arguments, "--owner", "Shop team", token=producer)
    assert (again.code, again.out.startswith("unchanged  sales.marts")) == (0, True)
    assert "ID" in server.run("show", "sales.marts", token=producer).out
    bad = server.run(*arguments, "--owner", "Shop team", "--format", "json", token="fm_" + "0" * 32)
    assert (bad.code, bad.json()["results"][0]["problem"]["code"]) == (3, "unauthenticated")


def test_import_dcat_ends_with_a_table_and_its_reasons(server: Server, producer: str, write: Write) -> None:
    source = write("weather.ttl", DCAT)
    ran = server.run("import", "dcat", source, "--domain", "ops", "--owner", "Weather", token=producer)
    assert ran.code == 1
    tail = ran.out[ran.out.index("\n\n") + 2 :].splitlines()
    assert tail[:4] == ["created        1", "updated        0", "unchanged      0", "refused        1"]
    assert re.match(r"  \[core/26\] .+ \(1 document\)$", tail[4])
    assert not re.search(r"weather\.ttl:\d", ran.out), "lines of the converted document mean nothing in the source"


def test_import_without_a_server_checks_and_keeps_nothing(write: Write, tmp_path: Path) -> None:
    source = write("weather.ttl", DCAT)
    ran = fairmesh("import", "dcat", source, "--domain", "ops", "--owner", "Weather", cwd=tmp_path)
    assert ran.code == 1
    assert re.search(r"^ok +1$", ran.out, re.MULTILINE)
    assert re.search(r"^refused +1$", ran.out, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == ["weather.ttl"]


def test_import_to_files_and_what_complete_adds(write: Write, tmp_path: Path) -> None:
    source = write("weather.ttl", DCAT)
    facts = write("facts.yaml", '"*":\n  owner: Weather team\nops.rain:\n  status: consume\n')
    out = tmp_path / "deep" / "out"
    ran = fairmesh("import", "dcat", source, "--domain", "ops", "--complete", facts, "--out", out)
    assert ran.code == 0
    assert re.search(r"^written +2$", ran.out, re.MULTILINE)
    files = sorted(path.name for path in out.iterdir())
    assert files == ["ops.rain.ttl", "ops.wind.ttl"]
    assert "status/consume" in (out / files[0]).read_text() or "status:consume" in (out / files[0]).read_text()
    assert fairmesh("validate", out / files[0]).code in (0, 1)
    write("not-a-folder", "x")
    blocked = fairmesh(
        "import", "dcat", source, "--domain", "ops", "--owner", "W", "--out", tmp_path / "not-a-folder" / "x"
    )
    assert blocked.code == 2


def test_import_formats_drop_no_problem_and_no_note(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    good, bad = write("weather.ttl", DCAT), write("broken.ttl", "<a> <b> ")
    arguments = ("import", "dcat", str(good), str(bad), "--domain", "ops", "--owner", "Weather")
    assert main([*arguments, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    verdicts = tuple(_verdict(result) for result in found["results"])
    run = Run("import", verdicts, ("ok", "refused"), ("something was left out", *found["notes"]))
    for form in FORMATS:
        said = render(run, form, capsys)
        for piece in ("core/26", "Correct the document here", "broken.ttl", "something was left out"):
            assert piece in said, (form, piece)


def _verdict(result: Mapping[str, Any]) -> Verdict:
    findings = tuple(Finding.of(found) for found in result["findings"])
    return Verdict(result["file"], result["status"], result["key"], findings=findings, problem=result["problem"])


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("dcat", "<a> <b> <c> .", 1), ("dbt", json.dumps({**MANIFEST, "nodes": {}}), 1), ("dbt", "{", 2),
        ("dcat", "<a> <b> ", 2), ("dcat", "", 2), ("dbt", "[]", 1), ("dbt", "", 2),
    ],
)  # fmt: skip
def test_a_source_without_a_record_is_1_and_one_nobody_can_read_is_2(
    kind: str, content: str, code: int, write: Write
) -> None:
    ran = fairmesh("import", kind, write("source", content), "--domain", "ops", "--owner", "X")
    assert ran.code == code, ran.out
    assert ("[not-imported]" in ran.out) == (code == 1)
    assert ("no dataset found" in ran.out) == (code == 1 and content != "[]")


def test_two_manifests_never_overwrite_each_other(write: Write) -> None:
    files = [write(name, json.dumps(MANIFEST)) for name in ("one.json", "two.json")]
    ran = fairmesh("import", "dbt", *files, "--domain", "sales", "--owner", "X")
    assert ran.code == 1
    assert f"sales.marts is taken by a product of {files[0]}" in ran.out


def test_a_bad_complete_file_is_2_at_its_line(write: Write) -> None:
    source, facts = write("weather.ttl", DCAT), write("facts.yaml", '"*":\n  onwer: X\n')
    ran = fairmesh("import", "dcat", source, "--domain", "ops", "--complete", facts)
    assert (ran.code, "onwer" in ran.err, "line 2" in ran.err) == (2, True, True)
