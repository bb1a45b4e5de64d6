"""The loop of a rule's author through the console script: lint and test, of files, folders and bundles."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from fairmesh.api.cli import main
from fairmesh.catalog import governance
from fairmesh.catalog.rulefiles import SHIPPED

RULE = """@prefix acme: <https://w3id.org/fairmesh/rules/org/acme/> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .

acme:cost-centre a sh:NodeShape ; fm:mode fm:advise ;
  fm:nextMode fm:gate ; fm:nextModeFrom "2027-01-01"^^xsd:date ;
  rdfs:label "Cost centre"@en ; rdfs:comment "Costs are charged by cost centre."@en ;
  dct:creator "controlling" ; dct:issued "2026-11-21"^^xsd:date ;
  sh:targetClass dprod:DataProduct ;
  sh:property [ sh:path dct:accrualMethod ; sh:minCount 1 ] ;
  sh:message "Add the cost centre, such as dct:accrualMethod <https://acme.example/cost/4711>."@en .
"""
EXAMPLE = SHIPPED / "core" / "examples" / "ok-04-one-long-enough.ttl"
OK = EXAMPLE.read_text().replace(
    "dct:identifier", "<http://purl.org/dc/terms/accrualMethod> <https://acme.example/cost/4711> ; dct:identifier", 1
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A command's exit code, output and errors; it runs in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def ran(*arguments: str) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return ran


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """An organisation's repository, with one rule and its examples."""
    folder = tmp_path / "acme"
    examples = folder / "ontologies" / "org" / "acme" / "examples"
    examples.mkdir(parents=True)
    shapes(folder).write_text(RULE)
    (examples / "ok-stated.ttl").write_text(OK)
    (examples / "bad-cost-centre-none.ttl").write_text(EXAMPLE.read_text())
    return folder


def shapes(folder: Path) -> Path:
    return folder / "ontologies" / "org" / "acme" / "shapes.ttl"


def spoilt(folder: Path, old: str, new: str) -> None:
    text = shapes(folder).read_text()
    assert old in text
    shapes(folder).write_text(text.replace(old, new))


def test_sound_rules_lint_and_do_what_their_examples_say(run: Run, rules: Path) -> None:
    code, out, _ = run("rules", "lint", str(rules))
    assert (code, out) == (0, f"ok         {shapes(rules)}\n")
    code, out, _ = run("rules", "test", str(rules))
    assert code == 0
    assert out.split()[-4:] == ["ok", "2", "refused", "0"]


@pytest.mark.parametrize("engine", ["compiled", "pyshacl"])
def test_the_rules_that_ship_pass_on_both_engines(run: Run, engine: str) -> None:
    assert run("rules", "lint", str(SHIPPED))[0] == 0
    code, out, _ = run("rules", "test", "--engine", engine, "--format", "json")
    verdicts = [each["verdict"] for each in json.loads(out)["results"]]
    assert (code, set(verdicts)) == (0, {"ok"})
    assert len(verdicts) > 90


def test_lint_names_the_line_and_the_remedy_of_everything_wrong(run: Run, rules: Path) -> None:
    spoilt(rules, 'dct:creator "controlling" ; ', "")
    spoilt(rules, "sh:minCount 1", "sh:minCount 2 ; sh:maxCount 1 ; sh:node acme:none")
    code, out, _ = run("rules", "lint", str(rules))
    assert code == 1
    place = str(shapes(rules))
    assert f"{place}:9:1: error [rules/owner] no owner, in org/acme/cost-centre. Name who answers for it" in out
    assert f"{place}:14:73: error [rules/unmeetable] unsatisfiable: sh:minCount 2 and sh:maxCount 1" in out
    assert "[rules/dangling] sh:node leads to " in out


def test_rules_that_do_not_lint_are_not_tried(run: Run, rules: Path) -> None:
    spoilt(rules, "sh:minCount 1", "sh:minCount 'one'")
    code, out, _ = run("rules", "test", str(rules))
    assert code == 1
    assert "[rules/ill-formed] sh:minCount is not an xsd:integer" in out
    assert "note: no example was tried" in out


def test_an_example_that_breaks_another_rule_is_named(run: Run, rules: Path) -> None:
    bad = rules / "ontologies/org/acme/examples/bad-cost-centre-none.ttl"
    bad.write_text(OK)
    ok = rules / "ontologies/org/acme/examples/ok-stated.ttl"
    ok.write_text(OK.replace("dct:title", "dct:alternative"))
    code, out, _ = run("rules", "test", str(rules))
    assert code == 1
    assert f"{bad}:1: error [rules/example] does not break org/acme/cost-centre" in out
    assert f"{ok}:1: error [rules/example] breaks core/03" in out


def test_a_rule_that_does_not_end_is_stopped_and_named_with_its_place_and_example(
    run: Run, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governance, "_FIRST", 2.0)
    monkeypatch.setattr(governance, "_ALONE", 0.5)
    query = """sh:sparql [ sh:select '''SELECT $this WHERE { $this <http://purl.org/dc/terms/extent> 1 .
      ?a ?p ?b . ?c ?q ?d . ?e ?r ?f . ?g ?s ?h . ?i ?t ?j . ?k ?u ?l
      FILTER (STRLEN(CONCAT(STR(?b), STR(?d), STR(?f), STR(?h), STR(?j), STR(?l))) = 0) }''' ] ; sh:property ["""
    spoilt(rules, "sh:property [", query)
    bad = rules / "ontologies/org/acme/examples/bad-cost-centre-none.ttl"
    bad.write_text(EXAMPLE.read_text().replace("dct:identifier", "dct:extent 1 ; dct:identifier", 1))
    code, out, _ = run("rules", "test", str(rules))
    assert code == 1
    assert (
        f"{bad}:1: error [rules/example] org/acme/cost-centre could not be evaluated (org/acme/shapes.ttl:9): it took"
        " longer than 0.5 s and was stopped. Narrow the rule's query"
    ) in out
    assert f"ok         {rules / 'ontologies/org/acme/examples/ok-stated.ttl'}" in out


def test_a_missing_example_is_found_by_both(run: Run, rules: Path) -> None:
    (rules / "ontologies/org/acme/examples/ok-stated.ttl").unlink()
    for action in ("lint", "test"):
        code, out, _ = run("rules", action, str(rules))
        assert code == 1
        assert "[rules/example] no example that org/acme accepts. Add org/acme/examples/ok-<what>.ttl" in out


def test_a_day_decides_which_mode_holds(run: Run, rules: Path) -> None:
    """Advice does not count against an ok example; the gate of the next year does."""
    ok = rules / "ontologies/org/acme/examples/ok-stated.ttl"
    ok.write_text(EXAMPLE.read_text())
    for day, expected in (("2026-12-31", 0), ("2027-01-01", 1)):
        code, out, _ = run("rules", "test", "--at", day, str(rules))
        assert code == expected, out
        assert f"note: judged as on {day}" in out
    assert "breaks org/acme/cost-centre" in out


def test_bundles_are_read_as_folders_are(run: Run, rules: Path, tmp_path: Path) -> None:
    git = ["git", "-C", str(rules), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    for form in ("tar", "tar.gz", "zip"):
        bundle = tmp_path / f"rules.{form}"
        subprocess.run([*git, "archive", "-o", str(bundle), "HEAD"], check=True)
        assert run("rules", "lint", str(bundle))[0] == 0
        code, out, _ = run("rules", "test", str(bundle))
        assert code == 0
        assert f"{bundle}/ontologies/org/acme/examples/ok-stated.ttl" in out


def test_shacl_files_of_others_are_held_to_shacl_alone(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "shapes.ttl"
    place.write_text(
        "@base <http://example.org/> .\n@prefix sh: <http://www.w3.org/ns/shacl#> .\n"
        "<s> a sh:NodeShape ; sh:targetClass <C> ; sh:property <p> .\n"
    )
    code, out, _ = run("rules", "lint", str(place))
    assert code == 1
    assert f"{place}:3:55: error [rules/dangling] sh:property leads to <http://example.org/p>" in out
    assert "note: SHACL files: modes, owners, dates, remedies and examples are asked of rule sets alone" in out
    place.write_text(place.read_text() + "<p> sh:path <q> .")
    assert run("rules", "lint", str(place))[0] == 0


def test_a_file_of_a_rule_set_is_judged_as_part_of_it(run: Run, rules: Path) -> None:
    spoilt(rules, "sh:minCount 1", "sh:minCount 1 ; sh:node <https://w3id.org/fairmesh/rules/core/15#known>")
    spoilt(rules, 'dct:creator "controlling" ; ', "")
    code, out, _ = run("rules", "lint", str(shapes(rules)))
    assert (code, out.count("[rules/")) == (1, 2)
    assert "[rules/owner]" in out
    assert "note: SHACL files" not in out
    code, out, _ = run("rules", "lint", str(SHIPPED / "domains" / "sales" / "shapes.ttl"))
    assert (code, out) == (0, f"ok         {SHIPPED / 'domains' / 'sales' / 'shapes.ttl'}\n")


def test_dcat_ap_is_linted_as_one_shapes_graph(run: Run, shared: Path) -> None:
    folder = shared / "conformance" / "dcat-ap-3.0.1" / "shacl"
    code, out, _ = run("rules", "lint", str(folder / "dcat-ap-SHACL.ttl"))
    assert (code, out.count("[rules/dangling]"), out.count("[rules/")) == (1, 2, 2)
    code, out, _ = run("rules", "lint", str(folder / "dcat-ap-SHACL.ttl"), str(folder / "ranges.ttl"))
    assert (code, out.count("[rules/dangling]"), out.count("unsatisfiable: sh:class rdfs:Resource")) == (1, 5, 2)


def test_findings_are_told_to_programs(run: Run, rules: Path) -> None:
    spoilt(rules, "sh:minCount 1", "sh:minCount 2 ; sh:maxCount 1")
    found = json.loads(run("rules", "lint", str(rules), "--format", "sarif")[1])
    (result,) = found["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("rules/unmeetable", "error")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 14, "startColumn": 73}
    assert ET.fromstring(run("rules", "lint", str(rules), "--format", "junit")[1]).find(".//failure") is not None
    assert run("rules", "lint", str(rules), "--format", "github")[1].startswith("::error file=")
    assert "rules/unmeetable" in run("rules", "lint", str(rules), "--format", "json")[1]


def test_what_nobody_can_read_has_a_code_of_its_own(run: Run, rules: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttl"
    broken.write_text("<s> a")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (broken, empty, tmp_path / "none", tmp_path / "none.ttl"):
        code, out, _ = run("rules", "lint", str(path))
        assert (code, str(path) in out) == (2, True)
    code, _, err = run("rules", "test", str(empty))
    assert (code, "holds no rule set" in err) == (2, True)
    shapes(rules).write_text("acme:x a")
    assert run("rules", "lint", str(rules))[0] == 2


def test_a_day_is_a_date(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("rules", "test", "--at", "2027-02-30")
    assert caught.value.code == 2
    assert "is no date such as 2027-01-01" in capsys.readouterr().err


def test_the_console_script_has_the_commands() -> None:
    script = Path(sys.executable).parent / "fairmesh"
    ran = subprocess.run([script, "rules", "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert {"lint", "test"} <= set(ran.stdout.split())
