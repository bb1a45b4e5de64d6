"""`validate --shapes` through the console script: any RDF, any SHACL; and DCAT-AP as published on real catalogues."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from fairmesh.api.cli import main
from fairmesh.catalog import rdf

Run = Callable[..., tuple[int, str, str]]
SH = rdf.PREFIXES["sh"]
SMALL = ("validate", "--shapes", "shapes.ttl", "--vocabulary", "vocabulary.ttl")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A command's exit code, output and errors; it runs in a folder with a small profile and a catalogue."""
    shutil.copytree(ROOT / "tests" / "golden" / "shapes", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def ran(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return ran


@pytest.mark.parametrize("engine", ["compiled", "pyshacl"])
def test_findings_are_grouped_with_count_line_component_and_nodes(run: Run, engine: str) -> None:
    code, out, err = run(*SMALL, "--engine", engine, "catalogue.ttl")
    assert code == 1
    assert "refused    catalogue.ttl  (5 errors, 2 warnings, 1 advice)" in out
    asked = "title: sh:minCount 1 is not met. What people know the dataset by."
    assert f"catalogue.ttl:14:1: error [title] {asked} (dct:title); 2 times, also at line 18" in out
    town = "https://town.example/open"
    assert f"    sh:MinCountConstraintComponent on {town}/benches, {town}/wells\n" in out
    assert "catalogue.ttl:16:56: error [Distribution] sh:in (csv json parquet) is not met (dct:format)" in out
    assert "catalogue.ttl:19:17: error [publisher] Name an agent that publishes it." in out
    assert err.startswith("note: left out: shapes.ttl:10:49: sh:property leads to <https://profile.example/shapes#lic")


def test_warnings_and_advice_do_not_refuse(run: Run) -> None:
    Path("small.ttl").write_text(
        '@prefix d: <http://www.w3.org/ns/dcat#> . <http://a.example/x> a d:Dataset, d:Distribution ; '
        '<http://purl.org/dc/terms/publisher> [ a <http://xmlns.com/foaf/0.1/Agent> ] .'
    )  # fmt: skip
    shapes = Path("shapes.ttl")
    shapes.write_text(shapes.read_text().replace("ex:title sh:path", "ex:title sh:severity sh:Warning ; sh:path"))
    code, out, _ = run(*SMALL, "small.ttl")
    assert code == 0
    assert "ok         small.ttl  (2 warnings, 1 advice)" in out


def test_every_format_has_the_findings(run: Run) -> None:
    code, out, _ = run(*SMALL, "catalogue.ttl", "--format", "json")
    found = json.loads(out)
    (result,) = found["results"]
    assert (code, found["action"], result["verdict"]) == (1, "validate --shapes", "refused")
    assert [group["count"] for group in result["groups"]] == [1, 1, 1, 2, 2, 1]
    assert result["groups"][3]["component"] == "http://www.w3.org/ns/shacl#MinCountConstraintComponent"
    assert result["groups"][3]["lines"] == [14, 18]
    assert [note.partition(":")[0] for note in found["notes"]] == ["left out"]
    _, out, _ = run(*SMALL, "catalogue.ttl", "--format", "sarif")
    levels = Counter(each["level"] for each in json.loads(out)["runs"][0]["results"])
    assert levels == {"error": 5, "warning": 2, "note": 2}
    _, out, _ = run(*SMALL, "catalogue.ttl", "--format", "github")
    assert "::error file=catalogue.ttl,line=16,col=56,title=fairmesh Distribution::" in out
    _, out, _ = run(*SMALL, "catalogue.ttl", "--format", "junit")
    assert ET.fromstring(out).attrib["failures"] == "1"


def test_the_same_is_said_on_every_run_and_each_file_is_judged_alone(run: Run) -> None:
    shutil.copy("catalogue.ttl", "again.ttl")
    first = run(*SMALL, "catalogue.ttl", "again.ttl", "--format", "json")
    assert first == run(*SMALL, "catalogue.ttl", "again.ttl", "--format", "json")
    one, two = json.loads(first[1])["results"]
    assert one["findings"] == two["findings"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.nt", '<http://a.example/x> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{d}> .\n'),
        ("c.jsonld", '{{"@id": "http://a.example/x",\n "@type": "{d}"}}'),
        ("c.rdf", '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n<rdf:Description rdf:about='
                  '"http://a.example/x"><rdf:type rdf:resource="{d}"/></rdf:Description></rdf:RDF>'),
        ("c.trig", '<http://a.example/g> {{\n <http://a.example/x> a <{d}> . }}'),
    ],
)  # fmt: skip
def test_data_may_have_any_syntax(run: Run, name: str, content: str) -> None:
    Path(name).write_text(content.format(d="http://www.w3.org/ns/dcat#Dataset"))
    code, out, _ = run(*SMALL, name, "--format", "json")
    (result,) = json.loads(out)["results"]
    assert (code, {each["rule"] for each in result["groups"]}) == (1, {"title", "theme"})
    assert all(line is not None for each in result["groups"] for line in each["lines"] or [None])


def test_the_report_is_the_standards_own(run: Run) -> None:
    code, _, _ = run(*SMALL, "catalogue.ttl", "--report", "report.ttl")
    assert code == 1
    stated = rdf.parse(Path("report.ttl").read_bytes(), None, "http://localhost/id/").quads
    said = Counter(str(quad.object) for quad in stated if quad.predicate.value == SH + "resultSeverity")
    assert said == {f"<{SH}Violation>": 5, f"<{SH}Warning>": 2, f"<{SH}Info>": 1}
    focus = {quad.object for quad in stated if quad.predicate.value == SH + "focusNode"}
    assert sum(isinstance(node, rdf.BlankNode) for node in focus) == 1
    assert "<https://profile.example/shapes#Dataset>" in {str(quad.object) for quad in stated}
    for files, said_too in (
        (("a.ttl", "b.ttl"), "--report is of one document"),
        (("no.ttl",), "no report was written"),
    ):
        _, out, err = run(*SMALL, *files, "--report", "other.ttl")
        assert said_too in out + err
        assert not Path("other.ttl").exists()


def test_data_that_cannot_be_read_has_line_and_column_and_leaves_the_rest(run: Run) -> None:
    Path("broken.ttl").write_text("<http://a.example/x> a\n  <http://a.example/no good> .\n")
    Path("binary.ttl").write_bytes(bytes(range(256)))
    Path("empty.ttl").write_text("\n")
    code, out, _ = run(*SMALL, "broken.ttl", "binary.ttl", "empty.ttl", "no.ttl", ".")
    assert code == 2
    assert "broken.ttl:2:" in out
    for said in ("error [syntax]", "empty.ttl is empty", "there is no file no.ttl", ". is a directory"):
        assert said in out
    code, out, _ = run(*SMALL, "broken.ttl", "catalogue.ttl")
    assert (code, out.count("refused    ")) == (1, 3)


def test_a_file_over_the_limits_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRMESH_MAX_QUADS", "10")
    code, out, _ = run(*SMALL, "catalogue.ttl")
    assert code == 2
    assert "[too-large] more than 10 statements" in out


def test_nothing_checked_is_said(run: Run) -> None:
    code, out, _ = run(*SMALL, "vocabulary.ttl")
    assert code == 0
    assert "note: nothing was checked, for no shape targets anything there: vocabulary.ttl" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--server", "http://127.0.0.1:1"), "--server judges products"),
        (("--governance", "rules"), "--governance is a rule set"),
        (("--report", "report.txt"), "does not say in which syntax"),
        (("--min-fair", "0.5"), "--min-fair is a mark for products"),
        (("--shapes", "no.ttl"), "there is no file no.ttl"),
        (("--shapes", "vocabulary.ttl", "--vocabulary", "no.ttl"), "there is no file no.ttl"),
        (("--shapes", "broken.ttl"), "broken.ttl: "),
        (("--vocabulary", "broken.ttl"), "broken.ttl: "),
    ],
)
def test_options_and_files_that_cannot_be_used_are_refused_by_name(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    Path("broken.ttl").write_text("<http://a.example/x> a\n")
    code, out, err = run(*SMALL, *arguments, "catalogue.ttl")
    assert (code, out) == (2, "")
    assert said in err


def test_a_vocabulary_needs_shapes(run: Run) -> None:
    code, _, err = run("validate", "--vocabulary", "vocabulary.ttl", "catalogue.ttl")
    assert code == 2
    assert "--vocabulary is for --shapes" in err


def test_shapes_without_a_target_are_refused(run: Run) -> None:
    code, _, err = run("validate", "--shapes", "vocabulary.ttl", "catalogue.ttl")
    assert code == 2
    assert "nothing would be checked" in err


# -- DCAT-AP ----------------------------------------------------------------------------------------------------------


def dcat_ap(run: Run, shared: Path, files: list[Path], *more: str) -> dict[str, Any]:
    folder = shared / "conformance" / "dcat-ap-3.0.1" / "shacl"
    shapes = [word for name in ("dcat-ap-SHACL.ttl", *more) for word in ("--shapes", folder / name)]
    found: dict[str, dict[str, Any]] = {}
    for engine in ("compiled", "pyshacl") if more else ("compiled",):
        code, out, _ = run("validate", *shapes, "--engine", engine, "--format", "json", *files)
        assert code == 1
        found[engine] = json.loads(out)
    assert found["compiled"] == found.get("pyshacl", found["compiled"])
    return found["compiled"]


def left_out(answer: dict[str, Any]) -> Counter[str]:
    notes = [note for note in answer["notes"] if note.startswith("left out")]
    return Counter("dangling" if "which nothing describes" in note else "rdfs:Resource" for note in notes)


@pytest.mark.parametrize("more", [(), ("ranges.ttl",)], ids=["alone", "with ranges"])
def test_dcat_ap_judges_norwegian_catalogues(run: Run, shared: Path, more: tuple[str, ...]) -> None:
    files = sorted((shared / "data" / "fdk-no").rglob("*.ttl"))
    answer = dcat_ap(run, shared, files, *more)
    assert left_out(answer) == ({"dangling": 5, "rdfs:Resource": 2} if more else {"dangling": 2})
    codes = Counter(result["problem"]["code"] for result in answer["results"])
    assert codes == {"not-conforming": 36, "syntax": 2}
    judged = [result for result in answer["results"] if result["findings"]]
    assert sum(len(result["findings"]) for result in judged) == 451
    assert max(len(result["findings"]) for result in judged) == 42
    assert max(len(result["groups"]) for result in judged) == 16
    assert all(group["lines"] for result in judged for group in result["groups"])


@pytest.mark.parametrize("more", [(), ("ranges.ttl",)], ids=["alone", "with ranges"])
def test_dcat_ap_judges_australian_catalogues(run: Run, shared: Path, more: tuple[str, ...]) -> None:
    files = sorted((shared / "data" / "idn-au").rglob("*.ttl"))
    answer = dcat_ap(run, shared, files, *more)
    codes = Counter((result["problem"] or {}).get("code", "ok") for result in answer["results"])
    assert codes == {"ok": 142, "not-conforming": 6, "unreadable": 4}
    assert sum(len(result["findings"]) for result in answer["results"]) == 34
    assert max(len(result["groups"]) for result in answer["results"]) == 10
    assert any(note.startswith("nothing was checked") for note in answer["notes"])
