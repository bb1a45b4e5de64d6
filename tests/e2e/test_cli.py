"""The console script against a real server: usage, tokens, reading, the service and its data directory."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from running import COMMAND, Ran, Server, environment, fairmesh, run_inside, serving
from samples import DOMAINS, product

from fairmesh.api.wording import counts_text
from fairmesh.catalog import rdf
from fairmesh.catalog.config import SETTINGS

COMMANDS = (
    "serve", "token create", "token revoke", "validate", "register", "import dbt", "import dcat", "show", "search",
    "lineage", "explain", "policy check", "policy test", "policy impact", "policy publish", "policy show", "policy who",
    "policy bundle", "rebuild", "verify", "config", "diff",
)  # fmt: skip
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


@pytest.fixture(scope="module")
def mesh(server: Server, producer: str, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The server with three products in a row."""
    folder = tmp_path_factory.mktemp("products")
    files = {
        "web.visits": product("web.visits", masked=("ip",)),
        "sales.baskets": product("sales.baskets", sources=("web.visits/data",), term="basket"),
        "finance.revenue": product("finance.revenue", sources=("sales.baskets/data",), classification="restricted"),
    }
    for key, content in files.items():
        (folder / f"{key}.ttl").write_bytes(content)
    ran = server.run("register", *sorted(folder.iterdir()), token=producer)
    assert ran.code == 0, ran.out
    return server


# -- help and usage ----------------------------------------------------------------------------------------------------


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command in this process, in an empty folder: for the many that end before they do anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    return partial(run_inside, capsys)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_says_what_it_does_and_what_the_exit_codes_mean(command: str, inside: Callable[..., Ran]) -> None:
    ran = inside(*command.split(), "--help")
    assert ran.code == 0
    assert ran.out.startswith("usage: fairmesh " + command)
    assert "exit codes:" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 120


def test_counts_of_findings_are_words_and_numbers_that_agree() -> None:
    assert counts_text(1, 2, 1, 0) == "1 error, 2 warnings, 1 advice"
    assert counts_text(0, 1, 0, 2) == "conforms, 2 waived, 1 warning, 0 advice"


def test_the_first_help_lists_every_command() -> None:
    out = fairmesh("--help").out
    assert {line.split()[0] for line in out.splitlines() if re.match(r"    \w", line)} >= {
        command.split()[0] for command in COMMANDS
    }


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["frobnicate"], ["validate"], ["validate", "a.ttl", "--nonsense"], ["validate", "a.ttl", "--form", "json"],
        ["validate", "a.ttl", "--format", "xml"], ["register", "a.ttl"], ["import"], ["import", "dbt", "m.json"],
        ["import", "excel", "x"], ["token"], ["token", "create"], ["serve", "extra"], ["serve", "--port", "many"],
        ["serve", "--port", "70000"], ["lineage", "x", "--upstream", "--downstream"], ["lineage", "x", "--depth", "0"],
        ["search", "x", "--first", "-1"], ["register", "a.ttl", "--server", "ftp://x"],
        ["show", "a.b", "--server", "x"],
        ["import", "dbt", "m.json", "--domain", "d", "--server", "http://x", "--out", "y"],
        ["import", "dbt", "m.json", "--domain", "Not A Key"],
        ["import", "dbt", "m.json", "--domain", "d", "--classification", "secret"],
        ["register", "a.ttl", "b.ttl", "--if-revision", "1", "--server", "http://127.0.0.1:1"],
        ["verify", "--data", "no-such-folder"], ["rebuild", "--data", "no-such-folder"],
        ["token", "revoke", "x", "--data", "no-such-folder"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_2_with_a_message_and_makes_nothing(
    arguments: list[str], inside: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = inside(*arguments)
    assert ran.code == 2, ran
    assert "fairmesh" in ran.err
    assert ran.out == ""
    assert list(tmp_path.iterdir()) == []


def test_unknown_settings_are_refused_by_name(tmp_path: Path) -> None:
    by_variable = fairmesh("config", cwd=tmp_path, variables={"FAIRMESH_PROT": "1"})
    assert (by_variable.code, "FAIRMESH_PROT" in by_variable.err) == (2, True)
    (tmp_path / "fairmesh.toml").write_text("prot = 1\n")
    by_file = fairmesh("config", cwd=tmp_path)
    assert (by_file.code, "prot" in by_file.err) == (2, True)


def test_config_shows_every_setting_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "fairmesh.toml").write_text("port = 8123\n")
    ran = fairmesh("config", cwd=tmp_path, variables={"FAIRMESH_LOG_LEVEL": "error"})
    assert ran.code == 0
    rows = {line.split()[0]: line for line in ran.out.splitlines()}
    assert list(rows) == [setting.name for setting in SETTINGS]
    assert re.search(r"8123 .*fairmesh\.toml", rows["port"])
    assert re.search(r"error +FAIRMESH_LOG_LEVEL", rows["log_level"])


def test_version() -> None:
    ran = fairmesh("--version")
    assert (ran.code, bool(re.fullmatch(r"fairmesh \d+\.\d+\.\d+\n", ran.out))) == (0, True)


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_is_all_that_is_printed_and_works_on_an_empty_folder(tmp_path: Path) -> None:
    ran = fairmesh("token", "create", "ci", "--role", "producer", "--domain", "sales", "--data", tmp_path / "new")
    assert ran.code == 0
    assert re.fullmatch(r"fm_[A-Za-z0-9]{32}\n", ran.out)
    assert ran.err == f"note: there was no data directory {tmp_path / 'new'}; it was made\n"
    again = fairmesh("token", "create", "ci", "--data", tmp_path / "new")
    assert (again.code, again.err) == (0, "")


@pytest.mark.parametrize(
    "options", [["--role", "king"], ["--clearance", "secret"], ["--domain", "a b"], ["--team", "http://x"]]
)
def test_a_token_that_policy_cannot_know_is_refused(options: list[str], inside: Callable[..., Ran]) -> None:
    ran = inside("token", "create", "ci", *options)
    assert (ran.code, ran.out) == (2, "")
    assert options[1] in ran.err


def test_a_token_counts_and_ends_beside_a_running_server(mesh: Server) -> None:
    token = mesh.token("short-lived", "--clearance", "internal")
    assert mesh.run("show", "web.visits", token=token).code == 0
    ended = fairmesh("token", "revoke", "short-lived", "--data", mesh.data)
    assert (ended.code, ended.out) == (0, "1 token of short-lived ended\n")
    assert mesh.run("show", "web.visits", token=token).code == 3
    assert fairmesh("token", "revoke", "short-lived", "--data", mesh.data).code == 1


# -- reading -----------------------------------------------------------------------------------------------------------


def test_show_is_the_page_of_what_the_caller_may_see(mesh: Server, producer: str) -> None:
    full = mesh.run("show", "web.visits", token=producer)
    assert full.code == 0
    for piece in ("Visits  web.visits", "version         1.0.0", "owner           Web team", "id ", "ip "):
        assert piece in full.out, piece
    masked = mesh.run("show", "web.visits", token=mesh.token("reader", "--clearance", "internal"))
    assert "id " in masked.out
    assert "ip " not in masked.out
    by_iri = mesh.run("show", "http://localhost/id/web.visits", token=producer)
    assert by_iri.out == full.out
    page = mesh.run("show", "web.visits", "--format", "json", token=producer).json()
    assert page["key"] == "web.visits"


def test_how_a_product_stands_is_shown_to_who_may_read_it(mesh: Server, producer: str, write: Write) -> None:
    plans = write("plans.ttl", product("web.plans", classification="confidential"))
    assert mesh.run("register", plans, token=producer).code == 0
    read = mesh.run("show", "web.plans", token=producer).out
    assert "  conformance     conforms" in read
    assert re.search(
        r"^  FAIR            0\.\d\d \(F \d\.\d\d, A [^)]+, R [^)]+\); every indicator: --form", read, re.M
    )
    indicators = mesh.run("show", "web.plans", "--format", "json", token=producer).json()["fair"]["indicators"]
    assert len(indicators) == 41
    discovered = mesh.run("show", "web.plans", token=mesh.token("passer-by", "--clearance", "internal"))
    assert "classification" in discovered.out
    assert "conformance" not in discovered.out
    assert "FAIR" not in discovered.out


def test_show_as_turtle_registers_as_unchanged(mesh: Server, producer: str, write: Write) -> None:
    turtle = mesh.run("show", "sales.baskets", "--format", "turtle", token=producer)
    assert rdf.parse(turtle.out.encode(), "text/turtle", iri_base="http://localhost/id/").quads
    again = mesh.run("register", write("again.ttl", turtle.out), token=producer)
    assert again.out.startswith("unchanged"), again.out


def test_hidden_and_absent_are_both_1_in_the_same_words(mesh: Server, producer: str) -> None:
    token = mesh.token("low", "--clearance", "internal")
    for command in ("show", "lineage"):
        hidden = mesh.run(command, "finance.revenue", token=token)
        absent = mesh.run(command, "finance.nothing", token=token)
        assert (hidden.code, absent.code) == (1, 1)
        assert hidden.err.replace("finance.revenue", "finance.nothing") == absent.err
        assert mesh.run(command, "finance.revenue", token=producer).code == 0


def test_what_is_retired_says_when_and_why(mesh: Server, producer: str, write: Write) -> None:
    assert mesh.run("register", write("gone.ttl", product("sales.gone")), token=producer).code == 0
    mesh.client(producer)._send("DELETE", "/products/sales.gone?reason=no+readers", None, {"If-Match": "*"})
    for command in (["show"], ["show", "--format", "turtle"], ["lineage"]):
        ran = mesh.run(*command, "sales.gone", token=producer)
        assert (ran.code, ran.out) == (1, "")
        assert re.match(r"fairmesh: sales\.gone was retired by producer on [-0-9]+: no readers", ran.err)
    nobody = mesh.run("show", "sales.gone")
    assert (nobody.code, "there is no sales.gone" in nobody.err) == (1, True)


def test_search_finds_shows_where_and_counts(mesh: Server, producer: str) -> None:
    ran = mesh.run("search", "baskets", token=producer)
    assert ran.code == 0
    assert ran.out.startswith("sales.baskets  Baskets  (Sales | Sales team)\n")
    assert ran.out.splitlines()[-1].endswith("found")
    one = mesh.run("search", "data", "--first", "1", token=producer)
    assert re.search(r"^\d+ found, 1 shown$", one.out, re.MULTILINE)
    nothing = mesh.run("search", "zzzyyy", token=producer)
    assert (nothing.code, nothing.out.splitlines()[0]) == (0, "0 found")
    assert "A search without a hit is no failure: 0" in fairmesh("search", "--help").out
    assert mesh.run("search", "baskets", "--format", "json", token=producer).json()["totalCount"] >= 1
    assert mesh.run("search", "x", "--first", "100000", token=producer).code == 2


def test_lineage_goes_both_ways_or_one(mesh: Server, producer: str) -> None:
    both = mesh.run("lineage", "sales.baskets", token=producer)
    assert "upstream: 1 nodes, 1 edges\n    1  Visits  <http://localhost/id/web.visits>" in both.out
    assert "downstream: 1 nodes, 1 edges\n    1  Revenue  <http://localhost/id/finance.revenue>" in both.out
    up = mesh.run("lineage", "sales.baskets", "--upstream", token=producer)
    assert "downstream" not in up.out
    data = mesh.run("lineage", "http://localhost/id/finance.revenue/data", "--upstream", "--depth", "1", token=producer)
    assert "Baskets data  <http://localhost/id/sales.baskets/data>  in sales.baskets" in data.out
    assert "cut: 1 more" in data.out
    found = mesh.run("lineage", "sales.baskets", "--downstream", "--format", "json", token=producer).json()
    assert sorted(found) == ["DOWNSTREAM", "start"]
    assert mesh.run("lineage", "sales.baskets", "--depth", "101", token=producer).code == 2


def test_reading_goes_to_the_settings_server_unless_told(mesh: Server, producer: str) -> None:
    port = mesh.url.rpartition(":")[2]
    assert fairmesh("show", "web.visits", token=producer, variables={"FAIRMESH_PORT": port}).code == 0


def test_a_reader_that_leaves_early_is_no_fault(mesh: Server) -> None:
    process = subprocess.Popen(
        [COMMAND, "search", "data", "--server", mesh.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), said) == (0, b"")


# -- serve and operations ----------------------------------------------------------------------------------------------


def test_demo_prints_one_token_for_each_role_and_they_work(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--demo") as demo:
        roles = dict(line.split(" ") for line in demo.said)
        assert list(roles) == ["analyst", "producer", "steward", "auditor"]
        assert all(re.fullmatch(r"fm_[A-Za-z0-9]{32}", token) for token in roles.values())
        counts = {role: demo.run("search", "--format", "json", token=token).json() for role, token in roles.items()}
        files = list((Path(__file__).parents[2] / "api" / "demo").glob("*.ttl"))
        assert counts["steward"]["totalCount"] == counts["auditor"]["totalCount"] == len(files)
        assert 0 < counts["analyst"]["totalCount"] < len(files)
        update = next(file for file in files if file.name.startswith("sales."))
        assert demo.run("register", update, token=roles["producer"]).out.startswith("unchanged")
        assert demo.run("register", update, token=roles["analyst"]).code == 3
        assert "refused" not in (tmp_path / "data.log").read_text()
    with serving(tmp_path / "data", "--demo") as again:
        fresh = dict(line.split(" ") for line in again.said)
        assert set(fresh) == set(roles)
        assert again.run("search", token=fresh["steward"]).out == again.run("search", token=fresh["auditor"]).out
        assert again.run("search", token=roles["steward"]).code == 3


@pytest.mark.parametrize(
    ("host", "said"),
    [("0.0.0.0", "fairmesh token create"), ("203.0.113.1", "203.0.113.1"), ("no.such.host.invalid", "--host")],
)
def test_an_address_that_cannot_be_used_is_2(host: str, said: str, inside: Callable[..., Ran]) -> None:
    ran = inside("serve", "--host", host, "--port", "0")
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_port_in_use_is_2(inside: Callable[..., Ran]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = inside("serve", "--port", str(port))
    assert (ran.code, f"port {port} on 127.0.0.1 is in use" in ran.err) == (2, True)


def test_an_open_address_is_served_once_there_is_a_token(tmp_path: Path) -> None:
    assert fairmesh("token", "create", "ops", "--data", tmp_path / "data").code == 0
    with serving(tmp_path / "data", "--host", "0.0.0.0") as started:
        assert started.url.startswith("http://0.0.0.0:")


def test_a_second_service_on_the_folder_is_refused_and_so_is_rebuild(server: Server) -> None:
    for arguments in (["serve", "--port", "0"], ["rebuild"]):
        ran = fairmesh(*arguments, "--data", server.data)
        assert (ran.code, f"in use by process {server.process.pid}" in ran.err) == (2, True)


def test_a_life_of_a_mesh(tmp_path: Path) -> None:
    """Stopped by Ctrl-C and by SIGTERM, started again, verified, rebuilt, tampered with."""
    data = tmp_path / "data"
    (tmp_path / "a.ttl").write_bytes(product("sales.a"))
    with serving(data) as started:
        token = started.token("p", "--role", "producer", "--domain", "sales")
        assert started.run("register", tmp_path / "a.ttl", token=token).code == 0
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(60) == 0
    with serving(data) as again:
        assert again.run("register", tmp_path / "a.ttl", token=token).out.startswith("unchanged")
    sound = fairmesh("verify", "--data", data)
    head = re.fullmatch(r"ok: (\d+) entries, head ([0-9a-f]{64})\n", sound.out)
    assert head, sound
    assert fairmesh("verify", "--data", data, "--expect", head[2]).code == 0
    other = fairmesh("verify", "--data", data, "--expect", "0" * 64)
    assert (other.code, other.out.startswith("bad: ")) == (1, True)
    rebuilt = fairmesh("rebuild", "--data", data).out.splitlines()
    assert rebuilt[0] == f"rebuilt from {head[1]} entries"
    assert rebuilt[1].split()[1] == rebuilt[2].split()[1]
    tamper(data / "journal.sqlite", int(head[1]))
    altered = fairmesh("verify", "--data", data)
    assert altered.code == 1
    assert altered.out.startswith(f"bad: entry {head[1]} (product <http://localhost/id/sales.a>)")


def tamper(path: Path, seq: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute("UPDATE entry SET actor = 'mallory' WHERE seq = ?", (seq,)).rowcount == 1
