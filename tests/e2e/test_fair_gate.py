"""`fairmesh validate --min-fair`: a document under the mark is refused, and told what would raise its score."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Server, fairmesh, serving
from samples import product

from fairmesh.api.cli import main

FORMATS = ("text", "json", "sarif", "junit", "github")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A document that conforms, with much to mend: no keyword, no address, no source, no standard."""
    path = tmp_path / "orders.ttl"
    path.write_bytes(product("sales.orders"))
    return path


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a refusal says, in every format."""
    path = tmp_path_factory.mktemp("fair") / "orders.ttl"
    path.write_bytes(product("sales.orders"))
    found = {}
    for form in FORMATS:
        ran = fairmesh("validate", path, "--min-fair", "0.8", "--format", form)
        assert ran.code == 1, ran.err
        found[form] = ran.out
    return found


def test_text(said: dict[str, str]) -> None:
    assert re.search(r"^refused +sales\.orders .*  FAIR 0\.\d\d", said["text"], re.MULTILINE)
    assert re.search(
        r"orders\.ttl:\d+:\d+: error \[fair-too-low\] its FAIR score is 0\.\d+, under 0\.8 \(F ", said["text"]
    )
    assert re.search(r"orders\.ttl:\d+:\d+: advice \[RDA-F2-01M\] .*\(\+0\.09\): .* lacks keyword", said["text"])
    assert "Add dct:conformsTo <https://ekgf.github.io/dprod/> to the product" in said["text"]
    assert re.search(r"^refused .*\(1 error, ", said["text"], re.MULTILINE), "what refuses is counted"


def test_json(said: dict[str, str]) -> None:
    (result,) = json.loads(said["json"])["results"]
    assert (result["verdict"], result["problem"]["code"]) == ("refused", "fair-too-low")
    assert 0 < result["fair"]["score"] < 0.8
    failing = {it["code"] for it in result["fair"]["indicators"] if it["basis"] == "PRODUCT" and not it["passed"]}
    assert failing == {found["rule"] for found in result["findings"] if found["rule"].startswith("RDA-")}


def test_sarif(said: dict[str, str]) -> None:
    results = json.loads(said["sarif"])["runs"][0]["results"]
    levels = {result["ruleId"]: result["level"] for result in results}
    assert (levels["fair-too-low"], levels["RDA-R1.3-02M"]) == ("error", "note")
    assert all("region" in r["locations"][0]["physicalLocation"] for r in results if r["ruleId"].startswith("RDA-"))


def test_junit(said: dict[str, str]) -> None:
    failure = ET.fromstring(said["junit"]).find(".//failure")
    assert failure is not None
    assert failure.get("type") == "fair-too-low"
    assert "RDA-F2-01M" in (failure.text or "")


def test_github(said: dict[str, str]) -> None:
    assert re.search(r"^::error file=.*title=fairmesh fair-too-low::", said["github"], re.MULTILINE)
    assert re.search(r"^::notice file=.*line=\d+.*title=fairmesh RDA-F2-01M::", said["github"], re.MULTILINE)


def test_a_mark_that_is_reached_lets_pass(file: Path) -> None:
    ran = fairmesh("validate", file, "--min-fair", "0.1")
    assert ran.code == 0
    assert re.search(r"^ok +sales\.orders .*  FAIR 0\.\d\d", ran.out, re.MULTILINE)
    assert "RDA-" not in ran.out


def test_without_the_option_nothing_is_assessed(file: Path) -> None:
    ran = fairmesh("validate", file, "--format", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["results"][0]["fair"] is None


def test_a_file_that_fails_leaves_the_others_standing(file: Path) -> None:
    broken = file.with_name("broken.ttl")
    broken.write_text("<a")
    ran = fairmesh("validate", broken, file, "--min-fair", "0.1")
    assert "ok" in ran.out
    assert "[syntax]" in ran.out
    assert ran.code == 2


@pytest.mark.parametrize("mark", ["1.01", "-0.1", "nan", "high", ""])
def test_a_mark_is_a_share(mark: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["validate", "orders.ttl", f"--min-fair={mark}"])
    assert (ended.value.code, "is not a number from 0 to 1" in capsys.readouterr().err) == (2, True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("fair-server") / "data") as started:
        yield started


def test_a_server_s_verdict_fails_the_gate_like_that_without_a_server(server: Server, file: Path) -> None:
    token = server.token("producer", "--role", "producer", "--domain", "sales", "--clearance", "restricted")
    gate = ("validate", file, "--min-fair", "0.8", "--format", "json")
    asked, alone = fairmesh(*gate, "--server", server.url, token=token), fairmesh(*gate)
    assert (asked.code, alone.code) == (1, 1), asked.err
    (there,), (here,) = json.loads(asked.out)["results"], json.loads(alone.out)["results"]
    assert (there["verdict"], there["problem"]["code"]) == ("refused", "fair-too-low")
    assert there["problem"] == here["problem"]
    assert 0 < there["fair"]["score"] == here["fair"]["score"] < 0.8
    passes = fairmesh(*gate[:3], str(there["fair"]["score"]), "--server", server.url, token=token)
    assert passes.code == 0, passes.out + passes.err
