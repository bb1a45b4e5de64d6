"""`fairmesh diff` on files and against a server, and what a server makes of a breaking change."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import Ran, Server, fairmesh, serving
from samples import DOMAINS, PREFIXES, product

MANIFESTS = "data/dbt/artifacts-parser/tests/resources/manifest/v12/jaffle_shop"
LIVE = """
@prefix vcard: <http://www.w3.org/2006/vcard/ns#> .
<sales.orders> dcat:contactPoint <contact/sales> ; dprod:outputPort <sales.orders/sql> .
<contact/sales> a vcard:Kind ; vcard:fn "Sales" ; vcard:hasEmail <mailto:sales@example.org> .
<sales.orders/data> dcat:distribution <sales.orders/table> .
<sales.orders/table> a dcat:Distribution ; dct:title "Table"@en ; dcat:accessService <sales.orders/sql> ;
  dcat:mediaType <https://www.iana.org/assignments/media-types/text/csv> .
<sales.orders/sql> a dcat:DataService ; dct:title "SQL"@en ; dcat:endpointURL <https://wh.example.org/orders> .
"""
Write = Callable[[str, bytes], Path]


def orders(*columns: str, version: str = "1.0.0", status: str = "consume") -> bytes:
    """A live product with a port."""
    return product("sales.orders", columns=columns, version=version, status=status, extra=LIVE)


def line_of(content: bytes, word: str) -> int:
    """The first line with this word."""
    return next(number for number, line in enumerate(content.decode().splitlines(), 1) if word in line)


def revenue() -> bytes:
    """A product that derives its column `b` from the column `b` of orders."""
    derived = "<finance.revenue/data/column/b> prov:wasDerivedFrom <sales.orders/data/column/b> ."
    return product("finance.revenue", columns=("b",), sources=("sales.orders/data",), extra=derived)


# -- two files --------------------------------------------------------------------------------------------------------


def test_two_files_that_say_the_same(write: Write) -> None:
    one, two = write("a.ttl", orders("a")), write("b.ttl", PREFIXES.encode() + orders("a"))
    ran = fairmesh("diff", one, two)
    assert (ran.code, ran.out) == (0, "sales.orders  version 1.0.0 -> 1.0.0\n  nothing differs\n")


def test_a_breaking_change_without_a_major_version_ends_in_4(write: Write) -> None:
    old, new = write("old.ttl", orders("a", "b")), write("new.ttl", orders("a", "c", version="1.1.0"))
    ran = fairmesh("diff", old, new)
    assert ran.code == 4
    lines = [line.strip() for line in ran.out.splitlines()]
    assert lines[0] == "sales.orders  version 1.0.0 -> 1.1.0: major step needed, 2.0.0 or later"
    assert "breaking  column-dropped data.b" in lines
    assert "additive  column-added data.c" in lines
    assert '- <sales.orders/data/column/b> csvw:name "b"' in lines
    enough = write("enough.ttl", orders("a", "c", version="2.0.0"))
    assert fairmesh("diff", old, enough).code == 0


def test_a_draft_has_promised_nothing(write: Write) -> None:
    old, new = (write(f"{len(c)}.ttl", orders(*c, status="build")) for c in (("a", "b"), ("a",)))
    ran = fairmesh("diff", old, new)
    assert ran.code == 0
    assert "the old revision was not live" in ran.out


def test_programs_and_ci_systems_are_told_too(write: Write) -> None:
    old, new = write("old.ttl", orders("a", "b")), write("new.ttl", orders("a"))

    def run(form: str) -> Ran:
        ran = fairmesh("diff", old, new, "--format", form)
        assert ran.code == 4
        return ran

    found = run("json").json()
    assert found["comparison"]["version"]["required"] == "major"
    assert [change["what"] for change in found["comparison"]["changes"]] == ["column-dropped"]
    assert found["comparison"]["broken"] == ["http://localhost/id/sales.orders/data/column/b"]
    results = run("sarif").json()["runs"][0]["results"]
    assert [(r["ruleId"], r["level"]) for r in results] == [("column-dropped", "error"), ("breaking-change", "error")]
    assert results[0]["locations"][0]["physicalLocation"]["region"]["startLine"] > 1
    assert [case.tag for case in ET.fromstring(run("junit").out).iter("failure")] == ["failure"]
    said = run("github").out
    assert re.search(r"^::error file=.*title=fairmesh column-dropped::breaking: column-dropped data.b$", said, re.M)
    (refused,) = [line for line in said.splitlines() if "title=fairmesh breaking-change" in line]
    assert f",line={line_of(orders('a'), 'dcat:version')}," in refused
    assert refused.endswith(
        "::sales.orders: 1 breaking change; version 1.0.0 -> 1.0.0: major step needed, 2.0.0 or later. "
        "Raise dcat:version to 2.0.0, or keep what others rely on"
    )


def test_a_step_that_is_missing_and_breaks_nothing_is_advice_for_ci_systems(write: Write) -> None:
    old, new = write("old.ttl", orders("a")), write("new.ttl", orders("a", "b"))
    ran = fairmesh("diff", old, new, "--format", "github")
    assert ran.code == 0
    (advice,) = [line for line in ran.out.splitlines() if "title=fairmesh version-step" in line]
    assert advice.startswith("::notice ")
    assert f",line={line_of(orders('a'), 'dcat:version')}," in advice
    assert advice.endswith("::version 1.0.0 -> 1.0.0: minor step needed, 1.1.0 or later")


@pytest.mark.parametrize(
    "files", [("a.ttl",), ("a.ttl", "b.ttl", "a.ttl"), ("a.ttl", "gone.ttl"), ("a.ttl", "other.ttl")]
)
def test_what_cannot_be_compared(write: Write, tmp_path: Path, files: tuple[str, ...]) -> None:
    for name, content in (("a.ttl", orders("a")), ("b.ttl", orders("a")), ("other.ttl", product("web.visits"))):
        write(name, content)
    ran = fairmesh("diff", *files, cwd=tmp_path)
    assert ran.code == 2
    assert ran.out == ""
    assert re.search(r"files? to compare|no file gone.ttl|a.ttl describes sales.orders, other.ttl web.visits", ran.err)


# -- real metadata ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jaffle(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions of one dbt project, imported."""
    folder = tmp_path_factory.mktemp("jaffle")
    for version in ("1.11", "1.12"):
        manifest = shared / MANIFESTS / f"manifest_{version}.json"
        ran = fairmesh("import", "dbt", manifest, "--domain", "jaffle", "--owner", "Jaffle", "--out", folder / version)
        assert ran.code == 0, ran.out
    return folder / "1.11", folder / "1.12"


def differences(jaffle: tuple[Path, Path], key: str, *, back: bool = False) -> dict[str, Any]:
    files = [folder / f"{key}.ttl" for folder in jaffle]
    ran = fairmesh("diff", *(files[::-1] if back else files), "--format", "json")
    assert ran.code == 0, "what dbt imports is a draft"
    found: dict[str, Any] = json.loads(ran.out)["comparison"]
    return found


def codes(comparison: dict[str, Any]) -> Counter[str]:
    return Counter(f"{change['kind']} {change['what']}" for change in comparison["changes"])


def test_a_new_version_of_a_dbt_project(jaffle: tuple[Path, Path]) -> None:
    assert codes(differences(jaffle, "jaffle.staging")) == {"editorial record-changed": 1}
    seeds = differences(jaffle, "jaffle.jaffle-data")
    assert codes(seeds)["breaking dataset-removed"] == 1
    assert seeds["version"]["required"] == "minor", "before 1.0.0 a minor version may break"
    marts = codes(differences(jaffle, "jaffle.marts"))
    assert marts["additive column-added"] > 10
    assert not any(code.startswith("breaking") for code in marts)


def test_the_way_back_drops_what_the_way_there_added(jaffle: tuple[Path, Path]) -> None:
    there, back = (codes(differences(jaffle, "jaffle.marts", back=back)) for back in (False, True))
    dropped = back["breaking column-dropped"] + back["editorial column-dropped"]  # of output and internal datasets
    assert dropped == there["additive column-added"]


# -- a server ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("diff") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def token(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A producer's, after orders and revenue were registered."""
    domains = [option for domain in DOMAINS for option in ("--domain", domain)]
    made = server.token("producer", "--role", "producer", *domains, "--clearance", "restricted")
    folder = tmp_path_factory.mktemp("registered")
    (folder / "orders.ttl").write_bytes(orders("a", "b"))
    (folder / "revenue.ttl").write_bytes(revenue())
    ran = server.run("register", *sorted(folder.iterdir()), token=made)
    assert ran.code == 0, ran.out
    return made


def test_a_server_names_whom_it_breaks(server: Server, token: str, write: Write) -> None:
    ran = server.run("diff", write("new.ttl", orders("a")), token=token)
    assert ran.code == 4, ran.out + ran.err
    assert "  breaking  column-dropped data.b" in ran.out
    assert ran.out.endswith("breaks: 1 product\n  1  finance.revenue  Revenue  (Finance | Finance team)\n")
    other = server.run("diff", write("new.ttl", orders("b")), token=token)
    assert other.out.endswith("breaks: 0 products\n")


@pytest.mark.parametrize(("version", "kind"), [("1.0.0", "error"), ("2.0.0", "warning")])
def test_ci_systems_are_told_whom_it_breaks(
    server: Server, token: str, write: Write, version: str, kind: str
) -> None:  # fmt: skip
    content = orders("a", version=version)
    ran = server.run("diff", write("new.ttl", content), "--format", "github", token=token)
    (told,) = [said for said in ran.out.splitlines() if "title=fairmesh breaks" in said]
    assert told.startswith(f"::{kind} file=")
    assert f",line={line_of(content, 'dcat:version')}," in told
    assert told.endswith("::breaks: 1 product%0A  1  finance.revenue  Revenue  (Finance | Finance team)")
    nobody = server.run("diff", write("new.ttl", orders("b")), "--format", "github", token=token)
    assert "title=fairmesh breaks" not in nobody.out


def test_a_breaking_change_is_refused_until_the_version_says_so(server: Server, token: str, write: Write) -> None:
    new = write("new.ttl", orders("a"))
    for command in ("validate", "register"):
        ran = server.run(command, new, token=token)
        assert ran.code == 4, ran.out
        assert "[breaking-change] sales.orders: 1 breaking change (column-dropped data.b)" in ran.out
        assert "1 product depends on it: Revenue (finance.revenue). Raise dcat:version to 2.0.0" in ran.out
        assert "  breaks: 1 product\n    1  finance.revenue  Revenue  (Finance | Finance team)\n" in ran.out
        assert ran.out.splitlines()[0].endswith("(1 error, 1 warning, 1 advice)"), "what refuses is counted"
        line = line_of(orders("a"), "dcat:version")
        assert re.search(rf"new\.ttl:{line}:\d+: error \[breaking-change\]", ran.out)
        annotations = server.run(command, new, "--format", "github", token=token).out.splitlines()
        (told,) = [said for said in annotations if "title=fairmesh breaking-change" in said]
        assert f",line={line}," in told
        assert "::sales.orders: 1 breaking change (" in told, "the key is named once"
        root = ET.fromstring(server.run(command, new, "--format", "junit", token=token).out)
        assert (root.get("failures"), root.get("errors")) == ("1", "0")
    draft = server.run("validate", write("major.ttl", orders("a", version="2.0.0")), token=token)
    assert draft.code == 0, draft.out
    assert "breaks: 1 product\n    1  finance.revenue  Revenue" in draft.out


def named(key: str, *columns: str, title: str = "Orders", version: str, status: str = "consume") -> bytes:
    """A product like orders."""
    content = orders(*columns, version=version, status=status)
    return content.replace(b"sales.orders", key.encode()).replace(b'"Orders"@en', f'"{title}"@en'.encode())


def test_there_is_no_way_around_by_a_version_that_goes_back(server: Server, token: str, write: Write) -> None:
    def register(*columns: str, title: str, version: str) -> Ran:
        content = named("sales.visits", *columns, title=title, version=version)
        return server.run("register", write("visits.ttl", content), token=token)

    assert register("a", "b", title="Visits", version="1.6.1").code == 0
    back = register("a", "b", title="Visits!", version="0.1.0")
    assert back.code == 4, back.out
    assert "1 breaking change (version-lowered Visits" in back.out
    assert "State one dcat:version, 1.6.2 or later: what was there before comes back under a new one" in back.out
    again = named("sales.visits", "a", "b", title="Visits", version="1.6.1")
    both = write("both.ttl", again + b'<sales.visits> dcat:version "2.0.0" .')
    several = server.run("diff", both, token=token)
    assert several.code == 4, several.out + several.err
    first = several.out.splitlines()[0]
    assert first == "sales.visits  version 1.6.1 -> none: 1.6.1 or later (the version is stated 2 times)"
    assert register("a", title="Visits", version="2.0.0-alpha").code == 0, "a pre-release of the next major version"
    last = register("a", title="Visits", version="1.6.2")
    assert last.code == 4, last.out
    assert register("a", title="Visits", version="2.0.0").code == 0


def test_there_is_no_way_around_by_a_draft(server: Server, token: str, write: Write) -> None:
    def register(*columns: str, version: str, status: str = "consume") -> Ran:
        content = named("sales.drafts", *columns, version=version, status=status)
        return server.run("register", write("drafts.ttl", content), token=token)

    assert register("a", "b", version="1.6.1").code == 0
    assert register("a", "b", version="1.6.2", status="build").code == 4
    assert register("a", "b", version="2.0.0", status="build").code == 0
    assert register("a", version="1.6.2", status="build").code == 0, "drafts may go back"
    live = register("a", version="1.6.2")
    assert live.code == 4, live.out
    assert "1 breaking change (column-dropped data.b)" in live.out
    assert "(compared with revision 1, the last that was live)" in live.out
    assert register("a", "b", "c", version="1.7.0").code == 0, "what keeps the promise may come back"


def test_a_refused_change_is_placed_by_the_service(server: Server, token: str) -> None:
    text = orders("a").replace(b"csvw:datatype xsd:string", b"csvw:datatype xsd:integer")
    headers = {"content-type": "text/turtle", "authorization": f"Bearer {token}"}
    answer = httpx.post(f"{server.url}/products", content=text, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "breaking-change")
    assert problem["line"] == line_of(text, "dcat:version")
    assert problem["column"] > 1
    assert [(change["what"], change["line"]) for change in problem["breaking"]] == [
        ("column-dropped", line_of(text, "a dprod:DataProduct")), ("column-retyped", line_of(text, "csvw:datatype")),
    ]  # fmt: skip


def test_a_step_that_is_missing_is_told_at_its_line(server: Server, token: str, write: Write) -> None:
    content = orders("a", "b", "c")
    new, line = write("new.ttl", content), line_of(content, "dcat:version")
    said = "version 1.0.0 -> 1.0.0: minor step needed, 1.1.0 or later"
    for command in (("validate",), ("register", "--dry-run")):
        ran = server.run(*command, new, token=token)
        assert ran.code == 0, ran.out
        assert re.search(rf"new\.ttl:{line}:\d+: advice \[version-step\] {re.escape(said)}$", ran.out, re.M)
        told = server.run(*command, new, "--format", "github", token=token).out
        assert re.search(
            rf"^::notice file=.*,line={line},.*title=fairmesh version-step::{re.escape(said)}$", told, re.M
        )
    enough = server.run("validate", write("new.ttl", orders("a", "b", "c", version="1.1.0")), token=token)
    assert "version-step" not in enough.out


def test_what_is_not_registered_cannot_be_compared(server: Server, token: str, write: Write) -> None:
    ran = server.run("diff", write("new.ttl", product("web.new")), token=token)
    assert (ran.code, ran.out) == (1, "")
    assert "there is no web.new here for you yet" in ran.err


def test_a_server_denies_a_comparison_to_whom_it_denies_the_change(server: Server, token: str, write: Write) -> None:
    ran = server.run("diff", write("new.ttl", orders("a")))
    assert ran.code == 3
    assert "to compare takes the right to register: sales.orders may not be registered by anonymous" in ran.err
    assert ran.err.rstrip().endswith("There is no token: set FAIRMESH_TOKEN")
    other = server.token("stranger", "--role", "producer", "--domain", "web")
    assert "FAIRMESH_TOKEN" not in server.run("diff", write("new.ttl", orders("a")), token=other).err
