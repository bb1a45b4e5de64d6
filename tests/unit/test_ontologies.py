"""The rules and vocabularies that ship: complete, explained, and doing what their examples say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from fairmesh.catalog import document, governance, rdf
from fairmesh.catalog.computed import PREDICATES
from fairmesh.catalog.examples import ExampleResult, check_examples
from fairmesh.catalog.governance import RuleSet, Validator
from fairmesh.catalog.model import CLASSIFICATION, CLASSIFICATIONS, FM, STATUS, STATUSES, Report, Severity
from fairmesh.catalog.rdf import PREFIXES, Literal, NamedNode
from fairmesh.catalog.rulefiles import SHIPPED, Mode, Rule, read_rules
from fairmesh.catalog.triples import Index

FOLDER = SHIPPED
RULES = "https://w3id.org/fairmesh/rules/"
BASE = "http://localhost/id/"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FINANCE = "https://w3id.org/fairmesh/ns/finance#"

G, W, A, L = Mode.GATE, Mode.WARN, Mode.ADVISE, Mode.GATE_WHEN_LIVE
CORE_MODES = {
    "01": G, "02": G, "03": G, "04": G, "05": A, "06": G, "07": L, "08": G, "09": L, "10": G, "11": G, "12": G, "13": A,
    "14": L, "15": A, "16": L, "17": G, "18": W, "19": W, "20": L, "21": G, "22": W, "23": W, "24": G, "25": G, "26": G,
    "27": G, "28": W, "29": W, "30": W, "31": A,
}  # fmt: skip
MODES = {f"core/{tail}": mode for tail, mode in CORE_MODES.items()}
"""Only core rules are pinned: a domain adds, changes and ends its own without asking here."""

PART_MODES = {
    "core/25#present": W,
    "core/27#tagged-title": A,
    "core/27#tagged-description": A,
    "core/27#tagged-purpose": A,
    "core/27#tagged-keyword": A,
}
UNSHOWN = {
    # The Turtle parser refuses such a tag before any rule sees it; feeds of other formats can still bring one.
    "core/27#tag",
}


@cache
def rules() -> RuleSet:
    return RuleSet.load()


def core_rules() -> list[Rule]:
    return [rule for rule in rules().rules if rule.id.startswith("core/")]


@cache
def shapes() -> Index:
    return Index(triple for path in FOLDER.rglob("shapes.ttl") for triple in turtle(path))


@cache
def vocabulary() -> Index:
    return Index(triple for path in FOLDER.rglob("vocabulary.ttl") for triple in turtle(path))


def turtle(path: Path) -> list[rdf.Triple]:
    return [quad.triple for quad in rdf.parse(path.read_bytes(), rdf.TURTLE, iri_base=RULES).quads]


def read(data: bytes) -> document.ProductDocument:
    return document.read(data, rdf.TURTLE, BASE)


def judge(text: str, domain: str = "") -> Report:
    it = read(text.encode())
    return governance.validate(
        rules(), it.nquads, b"", product=it.product, domain=domain, own=it.own, iri_base=BASE, now=NOW
    )


def example(name: str) -> str:
    return (FOLDER / name).read_text()


@cache
def results() -> dict[str, ExampleResult]:
    examples = read_rules(FOLDER).examples
    with closing(Validator(rules(), 1)) as validator:
        return {r.file: r for r in check_examples(validator, examples, read, iri_base=BASE, now=NOW)}


def example_files() -> list[str]:
    return sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("**/examples/*.ttl"))


def rule_of(file: str) -> str:
    """`domains/sales/examples/bad-frequency-text.ttl` is about `domains/sales/frequency`."""
    level, _, name = file.partition("/examples/")
    words = name.removesuffix(".ttl").split("-")[1:]
    ids = [f"{level}/{'-'.join(words[:end])}" for end in range(len(words), 0, -1)]
    known = {rule.id for rule in rules().rules}
    return next((it for it in ids if it in known), ids[-1])


def parts(rule: NamedNode) -> Iterator[NamedNode]:
    """The shapes of a rule that report: itself where it tests the node, and what sh:property leads to."""
    facts = shapes().subjects[rule]
    if any(PREFIXES["sh"] + name in facts for name in ("or", "and", "not", "xone", "node")):
        yield rule
    for inner in shapes().objects(rule, PREFIXES["sh"] + "property"):
        assert isinstance(inner, NamedNode), f"{rule}: a part without an IRI"
        yield inner


def text_of(index: Index, subject: object, predicate: str) -> list[str]:
    return [term.value for term in index.objects(subject, predicate) if isinstance(term, Literal)]  # type: ignore[arg-type]


# -- rules ------------------------------------------------------------------------------------------------------------


def test_the_promised_core_rules_are_there_with_their_modes() -> None:
    assert {rule.id: rule.mode for rule in core_rules()} == MODES


def test_every_rule_has_a_mode_and_a_level() -> None:
    assert len(rules().rules) > len(MODES), "the sample domains have rules"
    for rule in rules().rules:
        assert rule.mode in Mode
        assert re.fullmatch(r"core/\d\d|(domains|org)/[^/]+/[^/]+", rule.id), rule.id


def test_core_parts_with_a_mode_of_their_own() -> None:
    rule_iris = {rule.iri for rule in rules().rules}
    own = {
        subject.value.removeprefix(RULES): Mode(mode.value.removeprefix(FM))
        for subject, mode in shapes().pairs[FM + "mode"]
        if isinstance(subject, NamedNode) and isinstance(mode, NamedNode) and subject.value not in rule_iris
    }
    assert {part: mode for part, mode in own.items() if part.startswith("core/")} == PART_MODES


@pytest.mark.parametrize("rule", rules().rules, ids=lambda rule: rule.id)
def test_a_rule_is_explained_owned_and_dated(rule: Rule) -> None:
    node = NamedNode(rule.iri)
    assert rule.label
    assert len(rule.comment) > 30
    assert rule.owner
    dates = shapes().objects(node, PREFIXES["dct"] + "issued")
    assert [d.datatype.value for d in dates if isinstance(d, Literal)] == [PREFIXES["xsd"] + "date"]
    for part in {node, *parts(node)}:
        (message,) = text_of(shapes(), part, PREFIXES["sh"] + "message")
        assert message.endswith("."), f"{part}: a remedy is a sentence"
        assert re.search(r"\b[a-z]+:[A-Za-z]+|@en", message), f"{part}: a remedy names the predicate"


def test_core_rules_that_need_the_mesh() -> None:
    assert [rule.id for rule in core_rules() if rule.needs_mesh] == ["core/29"]


def test_every_shape_has_an_iri_under_its_rule() -> None:
    rule_iris = {rule.iri for rule in rules().rules}
    shape_predicates = {PREFIXES["sh"] + name for name in ("path", "pattern", "in", "class", "nodeKind", "hasValue")}
    for subject, facts in shapes().subjects.items():
        if shape_predicates & set(facts):
            assert isinstance(subject, NamedNode)
            assert subject.value.partition("#")[0] in rule_iris


def test_retired_cannot_be_stated() -> None:
    status = NamedNode(RULES + "core/08#status")
    (head,) = shapes().objects(status, PREFIXES["sh"] + "in")
    words = {rdf.iri_of(term) for term in shapes().items(head)}
    assert words == {STATUS + word for word in STATUSES} - {STATUS + "retired"}


# -- vocabulary -------------------------------------------------------------------------------------------------------


def described() -> set[str]:
    needed = [PREFIXES["rdfs"] + name for name in ("label", "comment", "isDefinedBy")]
    return {s.value for s, facts in vocabulary().subjects.items() if all(p in facts for p in needed)}


def own_terms() -> set[str]:
    """Every fm and fin term that a rule, a vocabulary, an example or the engine uses."""
    used = {*PREDICATES, *(FM + str(mode) for mode in Mode)}
    for index in (shapes(), vocabulary()):
        for subject, facts in index.subjects.items():
            used |= {subject.value, *facts}
            used |= {o.value for objects in facts.values() for o in objects if isinstance(o, NamedNode)}
    for file in example_files():
        used |= {q.predicate.value for q in rdf.parse(example(file).encode(), rdf.TURTLE, iri_base=BASE).quads}
    return {iri for iri in used if iri.startswith((FM, FINANCE))}


def test_own_terms_are_described() -> None:
    assert own_terms() - described() == set()
    assert FM + "physicalName" in own_terms()


def test_every_described_thing_is_described_whole() -> None:
    concept = NamedNode(PREFIXES["skos"] + "Concept")
    concepts = {s for s, facts in vocabulary().subjects.items() if concept in facts.get(document.TYPE, ())}
    assert {s.value for s in vocabulary().subjects if s not in concepts} == described()
    for subject in concepts:
        assert text_of(vocabulary(), subject, PREFIXES["skos"] + "prefLabel"), subject
        assert text_of(vocabulary(), subject, PREFIXES["skos"] + "definition"), subject
        assert vocabulary().objects(subject, PREFIXES["rdfs"] + "isDefinedBy"), subject


def path_predicates(node: rdf.NamedNode | rdf.BlankNode | rdf.Literal) -> Iterator[str]:
    iri = rdf.iri_of(node)
    if iri is not None:
        yield iri
        return
    for inner in shapes().items(node):
        if inner != node:
            yield from path_predicates(inner)
    for name in ("inversePath", "zeroOrOnePath"):
        for inner in shapes().objects(node, PREFIXES["sh"] + name):
            yield from path_predicates(inner)
    for head in shapes().objects(node, PREFIXES["sh"] + "alternativePath"):
        yield from path_predicates(head)


def test_predicates_in_rules_are_described() -> None:
    used = {iri for _, path in shapes().pairs[PREFIXES["sh"] + "path"] for iri in path_predicates(path)}
    for name in ("targetClass", "targetSubjectsOf", "targetObjectsOf", "class", "equals", "disjoint"):
        used |= {term.value for _, term in shapes().pairs[PREFIXES["sh"] + name] if isinstance(term, NamedNode)}
    assert PREFIXES["vcard"] + "value" in used, "lists in paths are read"
    known = described()
    assert {iri for iri in used if iri not in known} == set()


def test_predicates_in_examples_and_in_the_contract_product_are_described() -> None:
    known = described()
    for file in example_files():
        used = {q.predicate.value for q in rdf.parse(example(file).encode(), rdf.TURTLE, iri_base=BASE).quads}
        lists = {document.TYPE, PREFIXES["rdf"] + "first", PREFIXES["rdf"] + "rest"}
        assert {iri for iri in used if iri not in known | lists} == set(), file


def test_schemes_are_those_of_the_model_in_order() -> None:
    def words(kind: str, prefix: str) -> list[str]:
        of_kind = NamedNode(PREFIXES["dprod"] + kind)
        found = [s for s, facts in vocabulary().subjects.items() if of_kind in facts.get(document.TYPE, ())]
        found.sort(key=lambda s: int(text_of(vocabulary(), s, FM + "rank")[0]))
        return [s.value.removeprefix(prefix) for s in found]

    assert words("InformationSensitivityClassification", CLASSIFICATION) == list(CLASSIFICATIONS)
    assert words("DataProductLifecycleStatus", STATUS) == list(STATUSES)


# -- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", example_files())
def test_an_example_does_what_its_name_says(file: str) -> None:
    """For core stricter than `check_examples`: a bad one breaks its rule and nothing else, advice included."""
    result = results()[file]
    assert result.problem == ""
    assert result.report is not None
    assert example(file).startswith("# "), "the first line says why"
    if not file.startswith("core/"):
        return
    expected = {rule_of(file)} if "/bad-" in file else set()
    assert {finding.rule for finding in result.report.findings} == expected
    assert example(file).startswith(f"# {rule_of(file)} "), "the first line says what it shows"


def test_every_rule_has_an_ok_and_a_bad_example() -> None:
    assert [result.file for result in results().values() if result.report is None] == []
    for kind in ("ok", "bad"):
        shown = {rule_of(file) for file in example_files() if f"/{kind}-" in file}
        assert {rule.id for rule in rules().rules} - shown == set(), f"rules without an {kind}- example"


@pytest.mark.parametrize("rule", core_rules(), ids=lambda rule: rule.id)
def test_every_part_of_a_core_rule_has_an_example_that_it_refuses(rule: Rule) -> None:
    shown = {
        finding.message
        for file, result in results().items()
        if rule_of(file) == rule.id and result.report is not None
        for finding in result.report.findings
    }
    for part in parts(NamedNode(rule.iri)):
        (message,) = text_of(shapes(), part, PREFIXES["sh"] + "message")
        assert (message in shown) != (part.value.removeprefix(RULES) in UNSHOWN), part


def test_the_contract_product_has_no_finding_but_its_untagged_purpose(shared: Path) -> None:
    report = judge((shared / "contract" / "product.ttl").read_text(), "sales")
    assert [(f.rule, f.severity, f.path) for f in report.findings] == [
        ("core/27", Severity.INFO, PREFIXES["dprod"] + "purpose")
    ]


def test_rules_that_gate_live_products_only_warn_before() -> None:
    live = [rule.id.removeprefix("core/") for rule in core_rules() if rule.mode is L]
    for tail in live:
        for file in example_files():
            if f"core/examples/bad-{tail}-" in file:
                assert not judge(example(file)).conforms, file
                early = judge(example(file).replace("status/consume>", "status/build>"))
                assert {f.severity for f in early.findings} == {Severity.WARNING}, file


def test_a_dataset_cannot_leave_a_rule_by_leaving_out_its_type() -> None:
    text = example("core/examples/bad-10-none.ttl").replace(
        "<people.org-chart/data> a dcat:Dataset ;", "<people.org-chart/data>"
    )
    assert {f.rule for f in judge(text).findings} == {"core/10"}


# -- readings of single rules -----------------------------------------------------------------------------------------


def found_in(file: str, old: str, new: str) -> set[str]:
    text = example(f"core/examples/{file}")
    assert text.count(old) == 1
    return {finding.rule for finding in judge(text.replace(old, new)).findings}


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("https://api.example.org/v1?page=1", True),
        ("http://10.0.0.7:8080/sparql", True),
        ("jdbc:postgresql://db.example.org:5432/press", True),
        ("jdbc:oracle:thin:@db.example.org:1521/press", True),
        ("jdbc:oracle:thin:@//db.example.org:1521/press", True),
        ("s3://lake/press/", True),
        ("gs://lake/press", True),
        ("abfss://press@lake.dfs.core.windows.net/readings", True),
        ("kafka://bus.example.org:9092", True),
        ("snowflake://acme.eu-central-1/PRESS", True),
        ("https://example.org/users/@press", True),
        ("https://example.org/find?mail=a@b.example", True),
        ("HTTPS://API.EXAMPLE.ORG/", True),
        ("postgresql+psycopg2://db.example.org/press", True),
        ("jdbc:aws-wrapper:postgresql://db.example.org/press", True),
        ("jdbc:h2:~/test", True),
        ("dbfs:/mnt/press", True),
        ("arn:aws:s3:::lake/press", True),
        ("rediss://cache.example.org/0", True),
        ("https://user:pw@example.org/", False),
        ("https://token@example.org/", False),
        ("sftp://press@files.example.org/out", False),
        ("jdbc:postgresql://press:pw@db.example.org/press", False),
        ("jdbc:oracle:thin:press/pw@db.example.org:1521/press", False),
        ("jdbc:oracle:thin:press@db.example.org:1521/press", False),
        ("jdbc:sqlserver://db.example.org;user=press;password=pw", False),
        ("https://blob.example.org/press?sv=2024&sig=c2VjcmV0", False),
        ("abfss://press:key@lake.dfs.core.windows.net/readings", False),
        ("postgresql+psycopg2://press:pw@db.example.org/press", False),
        ("jdbc:aws-wrapper:postgresql://press:pw@db.example.org/press", False),
        ("rediss://:pw@cache.example.org/0", False),
        ("arn:lake", False),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("https:///nohost", False),
        ("urn:press:readings", False),
    ],
)
def test_endpoints(address: str, fine: bool) -> None:
    old = "<abfss://sensors@presslake.dfs.core.windows.net/readings>"
    assert found_in("ok-17-container.ttl", old, f"<{address}>") == (set() if fine else {"core/17"})


@pytest.mark.parametrize(
    ("licence", "known"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", True),
        ("http://creativecommons.org/licenses/by-sa/4.0", True),
        ("http://creativecommons.org/licenses/by/3.0/au/", True),
        ("https://creativecommons.org/publicdomain/zero/1.0/", True),
        ("http://opendatacommons.org/licenses/odbl/1.0/", True),
        ("https://opendatacommons.org/licenses/pddl/1-0/", True),
        ("https://spdx.org/licenses/Apache-2.0", True),
        ("http://spdx.org/licenses/MIT.html", True),
        ("https://opensource.org/licenses/MIT", True),
        ("http://publications.europa.eu/resource/authority/licence/CC_BY_4_0", True),
        ("http://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/", True),
        ("https://data.norge.no/nlod/no", True),
        ("https://purl.org/NET/rdflicense/cc-by4.0", True),
        ("https://mesh.example.org/terms/internal-use", True),
        ("https://creativecommons.org/", False),
        ("https://creativecommons.org/licenses/by/5.0/", False),
        ("https://creativecommons.org.example.net/licenses/by/4.0/", False),
        ("https://mesh.example.org/terms/other", False),
        ("http://localhost/id/terms", False),
    ],
)
def test_licences(licence: str, known: bool) -> None:
    old = "<https://partners.example.org/terms/consortium> ;"
    assert found_in("bad-15-unknown.ttl", old, f"<{licence}> ;") == (set() if known else {"core/15"})


@pytest.mark.parametrize(
    ("name", "personal"),
    [
        ("email", True),
        ("EMAIL_ADDRESS", True),
        ("customerPhone", True),
        ("billing_address_line1", True),
        ("last name", True),
        ("date_of_birth", True),
        ("dob", True),
        ("contact.mobile", True),
        ("ip_address", True),
        ("order_id", False),
        ("address_type", False),
        ("product_name", False),
        ("latest_change", False),
        ("plot", False),
        ("adobe_id", False),
    ],
)
def test_personal_looking_names(name: str, personal: bool) -> None:
    assert found_in("bad-13-unsaid.ttl", 'csvw:name "email_count"', f'csvw:name "{name}"') == (
        {"core/13"} if personal else set()
    )


@pytest.mark.parametrize(
    ("version", "fine"),
    [
        ("0.1.0", True),
        ("10.20.30", True),
        ("1.0.0-alpha.1", True),
        ("1.0.0-0A.is.legal", True),
        ("1.0.0+build.007", True),
        ("1.0.0--", True),
        ("1", False),
        ("1.0", False),
        ("v1.0.0", False),
        ("01.0.0", False),
        ("1.0.0-01", False),
        ("1.0.0-", False),
        ("1.0.0+a+b", False),
        ("1.0.0 ", False),
    ],
)
def test_versions(version: str, fine: bool) -> None:
    assert found_in("ok-25-release-candidate.ttl", "2.0.0-rc.1+2026.03", version) == (set() if fine else {"core/25"})


@pytest.mark.parametrize(("length", "rule"), [(19, "core/04"), (20, "core/05"), (79, "core/05"), (80, None)])
def test_description_lengths(length: int, rule: str | None) -> None:
    old = "Rain gauges with position and type."
    assert found_in("bad-05-one-line.ttl", old, "x" * length) == ({rule} if rule else set())
    padded = " " * 40 + "x" * length + " " * 40
    assert found_in("bad-05-one-line.ttl", old, padded) == ({rule} if rule else set()), "blanks do not count"


def test_a_duplicate_name_is_found_where_it_stands() -> None:
    """At the columns that share it, not at the others of the schema."""
    report = judge(example("core/examples/bad-21-twice.ttl"))
    assert {f.focus.rpartition("/")[2] for f in report.findings} == {"tour", "stop"}
    assert {f.value for f in report.findings} == {'"tour"'}


# -- the guide --------------------------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^   ```{language}\n(.*?)^   ```$", (FOLDER / "README.md").read_text(), re.S | re.M)
    return [re.sub(r"^   ", "", block, flags=re.M) for block in found]


def test_the_rule_in_the_guide_is_one() -> None:
    (block,) = blocks("turtle")
    added = RuleSet({**rules().files, "domains/logistics/shapes.ttl": block.encode()})
    (rule,) = [rule for rule in added.rules if rule.domain == "logistics"]
    assert (rule.id, rule.mode, rule.owner) == ("domains/logistics/area", W, "logistics-data")


def run_guide(folder: Path) -> subprocess.CompletedProcess[str]:
    """The guide's command, run where `ontologies` is `folder`."""
    (block,) = blocks("bash")
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-c", block], cwd=folder.parent, env=os.environ | {"PATH": paths}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_the_command_in_the_guide_passes_what_ships() -> None:
    run = run_guide(FOLDER)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(rf"^ok +{len(example_files())}$", run.stdout, re.MULTILINE)
    assert re.findall(r"^refused +(\d+)$", run.stdout, re.MULTILINE) == ["0", "0"]


def test_the_command_in_the_guide_names_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "ontologies"
    shutil.copytree(FOLDER / "core", folder / "core")
    (block,) = blocks("turtle")
    domain = folder / "domains" / "logistics"
    domain.mkdir(parents=True)
    (domain / "shapes.ttl").write_text(block)
    run = run_guide(folder)
    assert run.returncode == 1
    assert "no example that breaks domains/logistics/area" in run.stdout


def test_the_guide_lists_every_mode_and_computed_statement() -> None:
    guide = (FOLDER / "README.md").read_text()
    for name in [*(iri.removeprefix(FM) for iri in PREDICATES), "ExternalDataset", *Mode]:
        assert f"fm:{name}" in guide
