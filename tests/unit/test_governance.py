"""Rule sets: loading, linting, composing, validating, reporting."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyshacl
import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import SH

from fairmesh.catalog import governance, rdf
from fairmesh.catalog.computed import Computed, Facts, compute
from fairmesh.catalog.errors import ConfigError, InputError
from fairmesh.catalog.examples import ExampleResult, check_examples
from fairmesh.catalog.governance import (
    ENGINES,
    RuleSet,
    Validator,
    validate,
)
from fairmesh.catalog.model import FM, Report, Severity
from fairmesh.catalog.rdf import PREFIXES, Literal, NamedNode, Triple
from fairmesh.catalog.reports import report_graph
from fairmesh.catalog.rulefiles import Mode, Scope, read_rules
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.results import Engine, Unsupported
from fairmesh.catalog.triples import Index

BASE = "http://localhost/id/"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRODUCT = BASE + "sales.orders"
DATASET = PRODUCT + "/data"
PREFIX_LINES = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items()) + (
    "@prefix core: <https://w3id.org/fairmesh/rules/core/> .\n"
    "@prefix sales: <https://w3id.org/fairmesh/rules/domains/sales/> .\n"
    "@prefix acme: <https://w3id.org/fairmesh/rules/org/acme/> .\n"
    "@prefix status: <https://w3id.org/fairmesh/status/> .\n"
)
TITLE = """
core:03 a sh:NodeShape ; sh:targetClass dprod:DataProduct , dcat:Dataset ; fm:mode fm:gate ;
  rdfs:label "Title"@en ; rdfs:comment "People find by title."@en ; dct:creator "Governance" ;
  sh:message "Add a title."@en , "Titel fehlt."@de ;
  sh:property [ sh:path dct:title ; sh:minCount 1 ] .
"""
DOCUMENT = "<sales.orders> a dprod:DataProduct ; dct:title 'Orders' ; dprod:outputDataset <sales.orders/data> ."


ENGINE = [ENGINES[0]]
"""What rules run on: every test here is run with each."""


@pytest.fixture(params=ENGINES, autouse=True, scope="module")
def engine(request: pytest.FixtureRequest) -> str:
    ENGINE[:] = [request.param]
    return ENGINE[0]


def rules(core: str = TITLE, **more: str) -> RuleSet:
    """A rule set of these shapes; `more` maps `domains_sales_shapes` to the content of domains/sales/shapes.ttl."""
    files = {"core/shapes.ttl": core} | {name.replace("_", "/") + ".ttl": text for name, text in more.items()}
    return RuleSet({name: (PREFIX_LINES + text).encode() for name, text in files.items()}, ENGINE[0])


def nquads(text: str) -> bytes:
    quads = rdf.parse((PREFIX_LINES + text).encode(), rdf.TURTLE, iri_base=BASE).quads
    return rdf.canonical(q.triple for q in quads)


def own_of(document: bytes) -> frozenset[str]:
    return frozenset(iri for t in rdf.load(document) if (iri := rdf.iri_of(t.subject) or "").startswith(PRODUCT))


def check(
    ruleset: RuleSet,
    text: str,
    *,
    background: str = "",
    offline: bool = False,
    domain: str = "sales",
    now: datetime = NOW,
) -> Report:
    document = nquads(text)
    return validate(
        ruleset,
        document,
        nquads(background),
        product=PRODUCT,
        domain=domain,
        own=own_of(document),
        iri_base=BASE,
        now=now,
        offline=offline,
    )


def rule(body: str, mode: str = "gate", target: str = "dprod:DataProduct", name: str = "core:01") -> str:
    return (
        f'{name} a sh:NodeShape ; sh:targetClass {target} ; fm:mode fm:{mode} ; dct:creator "Governance" ;'
        f' sh:message "Mend it." ; {body} .\n'
    )


# -- loading ----------------------------------------------------------------------------------------------------------


def test_a_rule_says_what_it_is() -> None:
    (found,) = rules().rules
    assert (found.id, found.mode, found.scope, found.domain) == ("core/03", Mode.GATE, Scope.CORE, None)
    assert (found.label, found.comment, found.owner) == ("Title", "People find by title.", "Governance")
    assert found.messages == (("de", "Titel fehlt."), ("en", "Add a title."))
    assert found.message == "Add a title."
    assert found.targets == (PREFIXES["dcat"] + "Dataset", PREFIXES["dprod"] + "DataProduct")
    assert found.file == "core/shapes.ttl"
    assert found.line == PREFIX_LINES.count("\n") + 2


def test_folder_and_files_give_the_same_rule_set(tmp_path: Path) -> None:
    for name, data in rules(domains_sales_shapes=rule("sh:minLength 1", name="sales:x")).files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "core" / "examples").mkdir()
    (tmp_path / "core" / "examples" / "ok-x.ttl").write_text("not read")
    loaded = RuleSet.load(tmp_path)
    again = pickle.loads(pickle.dumps(loaded))
    assert loaded.digest == again.digest == RuleSet(loaded.files).digest
    assert [r.id for r in again.rules] == ["core/03", "domains/sales/x"]


def test_the_digest_changes_with_every_byte_and_name() -> None:
    one = rules().files
    digests = {
        RuleSet(files).digest
        for files in (
            one,
            {"core/shapes.ttl": one["core/shapes.ttl"] + b"\n"},
            {**one, "core/vocabulary.ttl": b""},
            {**one, "org/acme/vocabulary.ttl": b""},
        )
    }
    assert len(digests) == 4


@pytest.mark.parametrize("name", ["core/shape.ttl", "shapes.ttl", "domain/sales/shapes.ttl", "org/shapes.ttl"])
def test_a_misplaced_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    with pytest.raises(InputError, match=name) as caught:
        RuleSet.load(tmp_path)
    assert caught.value.code == "rule-set"
    assert caught.value.remedy


def test_a_missing_folder_and_missing_core_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is neither a folder nor a bundle"):
        RuleSet.load(tmp_path / "none")
    with pytest.raises(InputError, match="holds no rule set"):
        RuleSet.load(tmp_path)
    with pytest.raises(InputError, match=r"core/shapes\.ttl: is missing"):
        RuleSet({"core/vocabulary.ttl": b""})


MESSAGE = 'sh:message "Mend it."'
REFUSED = {
    "syntax": ("core:01 a sh:NodeShape", "core/shapes.ttl"),
    "no mode": (f"core:01 a sh:NodeShape ; sh:targetClass dcat:Dataset ; {MESSAGE} .", "no fm:mode on the rule"),
    "two modes": (rule("fm:mode fm:warn"), "more than one fm:mode"),
    "unknown mode": (rule("", mode="gates"), "an unknown mode.*gates"),
    "no message": ("core:01 a sh:NodeShape ; sh:targetClass dcat:Dataset ; fm:mode fm:gate .", "no sh:message"),
    "foreign name": (rule("", name="sales:01"), "outside its level's namespace"),
    "blank rule": (f"[] a sh:NodeShape ; sh:targetClass dcat:Dataset ; fm:mode fm:gate ; {MESSAGE} .", "outside"),
    "property shape rule": (
        f"core:01 a sh:PropertyShape ; sh:path dct:title ; sh:targetClass dcat:Dataset ; fm:mode fm:gate ; {MESSAGE} .",
        "no sh:NodeShape",
    ),
    "sparql target": (rule("sh:target [ a sh:SPARQLTarget ]"), "sh:SPARQLTarget|sh:target"),
    "javascript": (rule("sh:js [ ]"), "sh:js"),
    "imports": ("<x> owl:imports <http://127.0.0.1:9/x> ." + TITLE, "imports"),
    "severity": (rule("sh:severity sh:Warning"), "severity"),
    "deactivated": (rule("sh:deactivated true"), "deactivated"),
    "misspelt sh": (rule("sh:property [ sh:path dct:title ; sh:minCont 1 ]"), "minCont"),
    "misspelt fm": (rule("fm:needMesh true"), "needMesh"),
    "unknown computed": (rule("sh:property [ sh:path fm:computedNothing ; sh:maxCount 0 ]"), "computedNothing"),
    "odd flag": (rule("sh:property [ sh:path dct:title ; sh:uniqueLang '1'^^xsd:boolean ]"), "neither true nor false"),
    "dangling": (rule("sh:node core:Nowhere"), "Nowhere.* which nothing describes"),
    "recursion": (rule("sh:node core:a") + "core:a a sh:NodeShape ; sh:node core:a .", "refers to itself"),
    "unused": (TITLE + "core:helper a sh:NodeShape ; sh:minLength 1 .", "no rule uses this shape.*helper"),
    "mode in or": (rule("sh:or ( [ fm:mode fm:warn ; sh:minLength 1 ] )"), "fm:mode on a shape inside"),
    "bad regex": (rule("sh:property [ sh:path dct:title ; sh:pattern '(' ]"), "not a regular expression"),
    "slow regex": (rule("sh:property [ sh:path dct:title ; sh:pattern '^(a+)+$' ]"), "repeats a repetition"),
    "two paths": (rule("sh:property [ sh:path dct:title , dct:type ]"), "more than one sh:path"),
    "text count": (rule("sh:property [ sh:path dct:title ; sh:minCount 'one' ]"), "sh:minCount is not an xsd:integer"),
    "no list": (rule("sh:property [ sh:path dct:title ; sh:or dct:title ]"), "sh:or has no well-formed list"),
    "no list of tags": (rule("sh:property [ sh:path dct:title ; sh:languageIn 'en' ]"), "sh:languageIn has no well"),
    "qualified on a node": (
        rule("sh:qualifiedValueShape [ sh:minLength 1 ] ; sh:qualifiedMinCount 1"),
        "on a shape without sh:path",
    ),
}


@pytest.mark.parametrize(("core", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_honoured_is_refused_with_file_and_remedy(core: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rules(core)
    assert caught.value.code == "rule-set"
    assert caught.value.message.startswith("core/shapes.ttl: ")
    assert caught.value.remedy


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(InputError) as caught:
        rules(TITLE + "\n" + rule("sh:property [ sh:path dct:title ;\n sh:pattern '(a+)+' ]"))
    assert caught.value.line == PREFIX_LINES.count("\n") + TITLE.count("\n") + 3


def test_a_lower_level_only_adds() -> None:
    with pytest.raises(InputError, match="outside its level's namespace"):
        rules(domains_sales_shapes=rule("sh:minCount 1", name="core:03"))


def test_rule_rdf_holds_the_rule_and_its_shapes_only() -> None:
    ruleset = rules(TITLE + rule("sh:node core:helper") + "core:helper a sh:NodeShape ; sh:nodeKind sh:IRI .")
    text = ruleset.rdf("https://w3id.org/fairmesh/rules/core/03", rdf.N_TRIPLES).decode()
    assert "minCount" in text
    assert "helper" not in text
    assert "nodeKind" in ruleset.rdf("https://w3id.org/fairmesh/rules/core/01", rdf.N_TRIPLES).decode()
    assert text == rules().rdf("https://w3id.org/fairmesh/rules/core/03", rdf.N_TRIPLES).decode()


def test_vocabulary_by_domain() -> None:
    ruleset = rules(
        core_vocabulary="fm:a a rdfs:Class .",
        org_acme_vocabulary="fm:b a rdfs:Class .",
        domains_sales_vocabulary="fm:c a rdfs:Class .",
        domains_hr_vocabulary="fm:d a rdfs:Class .",
    )

    def names(domain: str | None) -> list[str]:
        return [str(rdf.iri_of(t.subject)).removeprefix(FM) for t in ruleset.vocabulary(domain)]

    assert names("sales") == ["a", "b", "c"]
    assert names("nowhere") == ["a", "b"]
    assert names(None) == ["a", "b", "d", "c"]


# -- validating -------------------------------------------------------------------------------------------------------


def test_a_finding_says_rule_focus_path_and_remedy() -> None:
    report = check(rules(), "<sales.orders> a dprod:DataProduct .")
    (finding,) = report.findings
    assert (finding.rule, finding.severity, finding.focus) == ("core/03", Severity.VIOLATION, PRODUCT)
    assert (finding.path, finding.value) == (PREFIXES["dct"] + "title", None)
    assert finding.message == "Add a title."
    assert finding.component == PREFIXES["sh"] + "MinCountConstraintComponent"
    assert not report.conforms
    assert report.ruleset == rules().digest


def test_a_value_keeps_the_form_it_was_written_in() -> None:
    ruleset = rules(rule("sh:property [ sh:path dct:extent ; sh:maxInclusive 5 ]"))
    (finding,) = check(ruleset, DOCUMENT + '<sales.orders> dct:extent "0012"^^xsd:integer .').findings
    assert finding.value == '"0012"^^<http://www.w3.org/2001/XMLSchema#integer>'


def test_a_complex_path_is_sparql_text() -> None:
    ruleset = rules(
        rule("sh:property [ sh:path ( dprod:outputDataset [ sh:inversePath dct:isPartOf ] ) ; sh:minCount 1 ]")
    )
    (finding,) = check(ruleset, DOCUMENT).findings
    dprod, dct = PREFIXES["dprod"], PREFIXES["dct"]
    assert finding.path == f"<{dprod}outputDataset> / ^<{dct}isPartOf>"


@pytest.mark.parametrize("datatype", ["", "^^xsd:string"])
def test_a_plain_literal_is_an_xsd_string(datatype: str) -> None:
    ruleset = rules(rule(f"sh:property [ sh:path dct:title ; sh:datatype xsd:string ; sh:in ( 'Orders'{datatype} ) ]"))
    assert check(ruleset, DOCUMENT).findings == ()


@pytest.mark.parametrize("text", ["1_000", " 1", "1.0", "", "٣"])
def test_an_ill_typed_number_is_found(text: str) -> None:
    ruleset = rules(rule("sh:property [ sh:path dct:extent ; sh:datatype xsd:integer ]"))
    assert len(check(ruleset, DOCUMENT + f'<sales.orders> dct:extent "{text}"^^xsd:integer .').findings) == 1


def test_an_ill_typed_boolean_is_found_without_a_warning() -> None:
    ruleset = rules(rule("sh:property [ sh:path dct:extent ; sh:datatype xsd:boolean ]"))
    assert len(check(ruleset, DOCUMENT + "<sales.orders> dct:extent 'maybe'^^xsd:boolean .").findings) == 1


MODES = [
    ("gate", "build", Severity.VIOLATION),
    ("warn", "consume", Severity.WARNING),
    ("advise", "consume", Severity.INFO),
    ("gateWhenLive", "build", Severity.WARNING),
    ("gateWhenLive", "retired", Severity.WARNING),
    *(("gateWhenLive", status, Severity.VIOLATION) for status in ("deploy", "consume", "deprecated")),
]


@pytest.mark.parametrize(("mode", "status", "severity"), MODES)
def test_the_mode_decides_the_severity(mode: str, status: str, severity: Severity) -> None:
    ruleset = rules(rule("sh:property [ sh:path dct:license ; sh:minCount 1 ]", mode=mode))
    report = check(ruleset, DOCUMENT + f"<sales.orders> dprod:lifecycleStatus status:{status} .")
    assert [f.severity for f in report.findings] == [severity]
    assert report.conforms is (severity is not Severity.VIOLATION)


def test_a_part_may_have_a_mode_and_a_message_of_its_own() -> None:
    ruleset = rules(
        rule(
            "sh:property [ sh:path dcat:version ; sh:minCount 1 ; fm:mode fm:warn ; sh:message 'Say which version.' ] ,"
            " [ sh:path dct:license ; sh:minCount 1 ]"
        )
    )
    found = {(f.path or "").rpartition("#")[2].rpartition("/")[2]: f for f in check(ruleset, DOCUMENT).findings}
    assert (found["version"].severity, found["version"].message) == (Severity.WARNING, "Say which version.")
    assert (found["license"].severity, found["license"].message) == (Severity.VIOLATION, "Mend it.")
    assert {f.rule for f in found.values()} == {"core/01"}


def test_findings_inside_logic_belong_to_the_rule() -> None:
    ruleset = rules(
        rule("sh:or ( [ sh:property [ sh:path dct:license ; sh:minCount 1 ] ] [ sh:node core:rights ] )")
        + ("core:rights a sh:NodeShape ; sh:property [ sh:path dct:rights ; sh:minCount 1 ] .")
    )
    (finding,) = check(ruleset, DOCUMENT).findings
    assert (finding.rule, finding.path, finding.message) == ("core/01", None, "Mend it.")
    assert check(ruleset, DOCUMENT + "<sales.orders> dct:rights 'ours' .").findings == ()


def test_two_rules_sharing_a_shape_each_report() -> None:
    shared = "core:s a sh:PropertyShape ; sh:path dct:license ; sh:minCount 1 ."
    ruleset = rules(rule("sh:property core:s") + rule("sh:property core:s", "warn", name="core:02") + shared)
    found = [(f.rule, f.severity) for f in check(ruleset, DOCUMENT).findings]
    assert found == [("core/01", Severity.VIOLATION), ("core/02", Severity.WARNING)]


def test_only_own_nodes_are_judged() -> None:
    report = check(
        rules(),
        DOCUMENT + "<sales.orders> dprod:inputDataset <hr.people/data> .",
        background="<hr.people/data> a dcat:Dataset .",
    )
    assert report.findings == ()


def test_background_counts_as_data() -> None:
    ruleset = rules(rule("sh:property [ sh:path ( dprod:inputDataset dct:title ) ; sh:minCount 1 ]"))
    text = DOCUMENT + "<sales.orders> dprod:inputDataset <hr.people/data> ."
    assert len(check(ruleset, text).findings) == 1
    assert check(ruleset, text, background="<hr.people/data> dct:title 'People' .").findings == ()


def test_classes_come_from_the_vocabulary_alone() -> None:
    vocabulary = "fm:Stream rdfs:subClassOf dcat:Dataset ."
    document = "<sales.orders> a fm:Stream ."
    assert len(check(rules(core_vocabulary=vocabulary), document).findings) == 1
    assert check(rules(), document + vocabulary).findings == ()
    assert check(rules(), document, background=vocabulary).findings == ()


def test_computed_statements_cannot_be_stated() -> None:
    ruleset = rules(rule("sh:property [ sh:path fm:computedKey ; sh:hasValue 'x' ]"))
    text = "<sales.orders> fm:computedKey 'x' ."
    assert len(check(ruleset, DOCUMENT + text).findings) == 1
    assert len(check(ruleset, DOCUMENT, background=text).findings) == 1


def test_a_domain_sees_its_own_rules_and_the_organisations() -> None:
    ruleset = rules(
        rule("sh:property [ sh:path dct:a ; sh:minCount 1 ]"),
        org_acme_shapes=rule("sh:property [ sh:path dct:b ; sh:minCount 1 ]", name="acme:b"),
        domains_sales_shapes=rule("sh:property [ sh:path dct:c ; sh:minCount 1 ]", name="sales:c"),
    )
    assert [f.rule for f in check(ruleset, DOCUMENT).findings] == ["core/01", "domains/sales/c", "org/acme/b"]
    assert [f.rule for f in check(ruleset, DOCUMENT, domain="hr").findings] == ["core/01", "org/acme/b"]


def test_offline_leaves_out_what_needs_the_mesh_and_says_so() -> None:
    ruleset = rules(TITLE + rule("fm:needsMesh true ; sh:property [ sh:path dct:a ; sh:minCount 1 ]"))
    online, offline = check(ruleset, DOCUMENT), check(ruleset, DOCUMENT, offline=True)
    assert ([f.rule for f in online.findings], online.not_checked) == (["core/01"], ())
    assert (offline.findings, offline.not_checked) == ((), ("core/01",))


def test_findings_come_in_one_order_and_grouped() -> None:
    ruleset = rules(
        TITLE
        + rule("sh:property [ sh:path dct:language ; sh:maxLength 2 ]", "advise")
        + rule("sh:property [ sh:path dct:a ; sh:minCount 1 ]", "warn", name="core:02")
    )
    text = "<sales.orders> a dprod:DataProduct ; dct:language 'bbb', 'aaa' . <sales.orders/data> a dcat:Dataset ."
    first, again = check(ruleset, text), check(rules(ruleset.files["core/shapes.ttl"].decode()), text)
    assert [(f.rule, f.focus.removeprefix(BASE), f.value) for f in first.findings] == [
        ("core/03", "sales.orders", None),
        ("core/03", "sales.orders/data", None),
        ("core/02", "sales.orders", None),
        ("core/01", "sales.orders", '"aaa"'),
        ("core/01", "sales.orders", '"bbb"'),
    ]
    assert first.findings == again.findings
    assert [(g.rule, g.count) for g in first.groups()] == [("core/03", 2), ("core/02", 1), ("core/01", 2)]


FAILING = "sh:sparql [ sh:select 'SELECT $this (true AS ?failure) WHERE { }' ]"


def test_a_rule_that_cannot_be_evaluated_is_reported_and_refuses_nothing() -> None:
    report = check(rules(TITLE + rule(FAILING)), DOCUMENT)
    assert report.failed == (("core/01", "the query reports a failure"),)
    assert (report.findings, report.conforms) == ((), True)


def test_other_rules_gate_when_one_cannot_be_evaluated() -> None:
    report = check(rules(TITLE + rule(FAILING)), "<sales.orders> a dprod:DataProduct .")
    assert ([f.rule for f in report.findings], [name for name, _ in report.failed]) == (["core/03"], ["core/01"])
    assert not report.conforms


CHEAPER = """sh:sparql [ sh:message 'Reduced to {?value}.' ; sh:select '''
  SELECT $this ?value WHERE { $this <http://purl.org/dc/terms/extent> ?value , ?other FILTER (?value < ?other) }''' ]"""


def test_a_query_is_a_rule() -> None:
    ruleset = rules(rule(CHEAPER, "warn"))
    text = DOCUMENT + "<sales.orders> dct:extent 3, 30 ."
    (finding,) = check(ruleset, text).findings
    assert (finding.rule, finding.severity, finding.focus) == ("core/01", Severity.WARNING, PRODUCT)
    assert finding.value == '"3"^^<http://www.w3.org/2001/XMLSchema#integer>'
    assert finding.component == PREFIXES["sh"] + "SPARQLConstraintComponent"
    assert finding.message == "Mend it."


def test_a_query_sees_the_background_and_the_vocabulary() -> None:
    query = "SELECT $this WHERE { $this ?p ?o . ?o a ?kind . ?kind rdfs:label 'Stream' }".replace(
        "rdfs:", "<" + PREFIXES["rdfs"]
    ).replace("label ", "label> ")
    ruleset = rules(
        rule(f'sh:sparql [ sh:select "{query}" ]'), core_vocabulary="fm:Stream a rdfs:Class ; rdfs:label 'Stream' ."
    )
    text = DOCUMENT + "<sales.orders> dprod:inputDataset <hr.people/data> ."
    assert check(ruleset, text).findings == ()
    assert [f.rule for f in check(ruleset, text, background="<hr.people/data> a fm:Stream .").findings] == ["core/01"]


LATER = "fm:nextMode fm:gate ; fm:nextModeFrom '2027-01-01'^^xsd:date"


@pytest.mark.parametrize(
    ("now", "severity"),
    [
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), Severity.WARNING),
        (datetime(2027, 1, 1, tzinfo=UTC), Severity.VIOLATION),
        (datetime(2027, 1, 1, 0, 59, tzinfo=timezone(timedelta(hours=1))), Severity.WARNING),
    ],
)
def test_the_next_mode_holds_from_its_day_on(now: datetime, severity: Severity) -> None:
    ruleset = rules(
        rule(f"{LATER} ; sh:property [ sh:path dct:license ; sh:minCount 1 ]", "warn")
        + rule(f"sh:property [ sh:path dct:a ; sh:minCount 1 ; fm:mode fm:warn ; {LATER} ]", "advise", name="core:02")
        + rule(f"{LATER} ; sh:property [ sh:path dct:b ; sh:minCount 1 ; fm:mode fm:warn ]", "warn", name="core:04")
    )
    found = {f.rule: f.severity for f in check(ruleset, DOCUMENT, now=now).findings}
    assert found == {"core/01": severity, "core/02": severity, "core/04": Severity.WARNING}
    assert ruleset.turns == (date(2027, 1, 1),)


def test_a_rule_set_takes_its_engine_along(engine: str) -> None:
    ruleset = rules()
    assert (ruleset.engine, pickle.loads(pickle.dumps(ruleset)).engine) == (engine, engine)
    assert ruleset.unsupported == ()
    with pytest.raises(ConfigError, match="no engine fast"):
        RuleSet(ruleset.files, "fast")


def test_what_is_not_compiled_runs_on_the_reference_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    core, sales = TITLE, rule("sh:property [ sh:path dct:a ; sh:minCount 1 ]", name="sales:x")
    known = rules(core, domains_sales_shapes=sales)

    class Lacking(Compiled):
        """Does not implement what only the domain's rules use."""

        def __init__(self, shapes: Sequence[Triple], *more: Any) -> None:
            for triple in shapes:
                if triple.object == NamedNode(PREFIXES["dct"] + "a"):
                    raise Unsupported("sh:new", triple.subject)  # type: ignore[arg-type]
            super().__init__(shapes, *more)

    monkeypatch.setattr(governance, "Compiled", Lacking)
    ruleset = RuleSet(known.files)
    (lacking,) = ruleset.unsupported
    assert (lacking.domain, lacking.construct, lacking.rule) == ("sales", "sh:new", ruleset.rules[1])
    assert "sh:new in rule domains/sales/x (domains/sales/shapes.ttl:" in str(lacking)
    assert {d: ruleset.composed(d).engine.name for d in ("sales", "hr")} == {"sales": "pyshacl", "hr": "compiled"}
    assert check(ruleset, DOCUMENT) == check(known, DOCUMENT)


def test_what_no_engine_implements_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    known = rules(TITLE)

    def lacking(name: str, *given: Any) -> Engine:
        raise Unsupported("sh:new", NamedNode(known.rules[0].iri))

    monkeypatch.setattr(governance, "engine_for", lacking)
    with pytest.raises(InputError, match=r"sh:new in .*core/03> is not implemented") as refused:
        RuleSet(known.files, engine)
    assert (refused.value.code, refused.value.line) == ("rule-set", known.rules[0].line)


STATEMENTS = [
    'a dprod:DataProduct', 'a dcat:Dataset', 'a fm:Stream', "dct:title 'Orders'", 
    "dct:title 'Orders'@en", "dct:title 'O'@en",
    "dct:extent 3", "dct:extent 30", "dct:extent 'many'", "dct:license <https://x.example/l>", "dct:license 'free'",
    "dprod:outputDataset <sales.orders/data>", "dct:hasPart <sales.orders>", "dct:issued '2024-01-01'^^xsd:date",
]  # fmt: skip
SHAPES = (
    rule("sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:uniqueLang true ; sh:minLength 3 ]")
    + rule(
        "sh:property [ sh:path dct:extent ; sh:datatype xsd:integer ; sh:maxInclusive 9 ]",
        "warn",
        "dcat:Dataset",
        "core:02",
    )
    + rule(
        "sh:or ( [ sh:property [ sh:path dct:license ; sh:minCount 1 ] ] [ sh:class dcat:Dataset ] )", name="core:03"
    )
    + rule("sh:property [ sh:path ( dprod:outputDataset dct:title ) ; sh:minCount 1 ; sh:maxCount 1 ]", name="core:04")
    + rule("sh:not [ sh:property [ sh:path dct:license ; sh:nodeKind sh:Literal ; sh:minCount 1 ] ]", name="core:05")
    + rule("sh:xone ( [ sh:node core:issued ] [ sh:closed true ; sh:ignoredProperties ( rdf:type ) ] )", name="core:06")
    + rule(
        "sh:property [ sh:path [ sh:zeroOrMorePath dct:hasPart ] ; sh:qualifiedValueShape [ sh:class dcat:Dataset ] ;"
        " sh:qualifiedMinCount 1 ]",
        name="core:07",
    )
    + "core:issued a sh:NodeShape ; sh:property [ sh:path dct:issued ; sh:minCount 1 ; sh:datatype xsd:date ] ."
)
SUBCLASS = "fm:Stream rdfs:subClassOf dcat:Dataset ."


@settings(max_examples=30, deadline=None)
@given(st.sets(st.tuples(st.sampled_from([PRODUCT, DATASET]), st.sampled_from(STATEMENTS))))
def test_results_are_those_of_plain_pyshacl(chosen: set[tuple[str, str]]) -> None:
    text = "\n".join(f"<{subject}> {statement} ." for subject, statement in sorted(chosen))
    found = [(f.focus, f.path, f.component) for f in check(rules(SHAPES, core_vocabulary=SUBCLASS), text).findings]
    data = rdflib.Graph().parse(data=PREFIX_LINES + f"@base <{BASE}> ." + text + SUBCLASS, format="turtle")
    shapes = rdflib.Graph().parse(data=PREFIX_LINES + SHAPES, format="turtle")
    _, report, _ = pyshacl.validate(data, shacl_graph=shapes)
    expected = [
        (str(report.value(r, SH.focusNode)), path, str(report.value(r, SH.sourceConstraintComponent)))
        for r in report.objects(None, SH.result)
        for path in [report.value(r, SH.resultPath)]
    ]
    assert sorted((focus, component) for focus, _, component in found) == sorted((f, c) for f, _, c in expected)
    simple = {path for _, path, _ in expected if isinstance(path, rdflib.URIRef)}
    assert {path for _, path, _ in found if path and "<" not in path} == {str(path) for path in simple}


# -- computed statements ----------------------------------------------------------------------------------------------


def computed_of(text: str, product: str = PRODUCT, now: datetime = NOW) -> list[Computed]:
    document = nquads(text)
    facts = Facts(Index(rdf.load(document)), NamedNode(product), own_of(document), BASE, now)
    return compute(facts)


def said(text: str, name: str, product: str = PRODUCT) -> set[tuple[str, str]]:
    return {
        (str(rdf.iri_of(c.triple.subject)).removeprefix(BASE), c.triple.object.value)
        for c in computed_of(text, product)
        if c.triple.predicate.value == FM + name
    }


def test_keys() -> None:
    text = "<sales.orders> dct:identifier 'sales.orders' ; dprod:domain <domain/sales>, <http://x.example/d#hr> ."
    assert said(text, "computedKey") == {("sales.orders", "sales.orders")}
    assert said(text, "computedKeyDomain") == {("sales.orders", "sales")}
    assert said(text, "computedDomainKey") == {("sales.orders", "sales"), ("sales.orders", "hr")}
    assert said(text, "computedKey", "http://elsewhere.example/orders") == set()


def test_columns_and_keys_of_a_schema() -> None:
    text = """<sales.orders/s> csvw:primaryKey 'a, c' .
      <sales.orders/s> csvw:column <sales.orders/1>, <sales.orders/2>, <sales.orders/3> .
      <sales.orders/1> csvw:name 'a' . <sales.orders/2> csvw:name 'b' . <sales.orders/3> csvw:name 'b' ."""
    assert said(text, "computedDuplicateName") == {("sales.orders/s", "b")}
    assert said(text, "computedUnknownKey") == {("sales.orders/s", "c")}


def test_dates() -> None:
    text = """<sales.orders> dct:issued '2026-02-30'^^xsd:date, 'soon' ; dct:modified '2026-11-23'^^xsd:date .
      <sales.orders/a> dct:issued '2026-03-02'^^xsd:date ; dct:modified '2026-03-01T23:59:59Z'^^xsd:dateTime .
      <sales.orders/b> dct:issued '2026-03-02'^^xsd:date ; dct:modified '2026'^^xsd:gYear, '2026-03'^^xsd:gYearMonth .
      <hr.people> dct:issued 'soon' ."""
    assert said(text, "computedUntypedDate") == {("sales.orders", "2026-02-30"), ("sales.orders", "soon")}
    assert said(text, "computedFutureDate") == {("sales.orders", "2026-11-23")}
    assert said(text, "computedDateDisorder") == {("sales.orders/a", "2026-03-02")}


def test_external_and_tabular() -> None:
    text = """<sales.orders/a> prov:wasDerivedFrom <hr.people/data>, <https://lake.example/t> .
      <sales.orders/a> dct:conformsTo <sales.orders/s> .
      <sales.orders/s> a csvw:Schema . <sales.orders> dprod:inputDataset <https://lake.example/u> .
      <sales.orders/c> a csvw:Column ; prov:wasDerivedFrom <https://lake.example/t/c> .
      <sales.orders/b> dcat:distribution <sales.orders/f> .
      <sales.orders/f> dcat:mediaType <https://www.iana.org/assignments/media-types/text/csv> .
      <sales.orders/d> dcat:distribution <sales.orders/g> . <sales.orders/g> fm:physicalName 'a.b' .
      <sales.orders/e> dcat:distribution <sales.orders/h> .
      <sales.orders/h> dcat:mediaType <https://www.iana.org/assignments/media-types/application/pdf> ."""
    assert said(text, "computedTabular") == {(f"sales.orders/{x}", "true") for x in "abd"}
    external = {
        str(rdf.iri_of(c.triple.subject))
        for c in computed_of(text)
        if c.triple.object == NamedNode(FM + "ExternalDataset")
    }
    assert external == {"https://lake.example/t", "https://lake.example/u"}


def test_a_finding_about_a_computed_statement_shows_the_documents_own_words() -> None:
    ruleset = rules(
        rule("sh:property [ sh:path fm:computedUntypedDate ; sh:maxCount 0 ]", target="dcat:Dataset")
        + rule("sh:property [ sh:path fm:computedUnknownKey ; sh:maxCount 0 ]", target="csvw:Schema", name="core:02")
    )
    text = """<sales.orders/data> a dcat:Dataset ; dct:issued 'soon' ; dct:modified 'later' .
      <sales.orders/s> a csvw:Schema ; csvw:primaryKey 'a' ."""
    dct, csvw = PREFIXES["dct"], PREFIXES["csvw"]
    assert [(f.rule, f.path, f.value) for f in check(ruleset, text).findings] == [
        ("core/01", dct + "issued", '"soon"'),
        ("core/01", dct + "modified", '"later"'),
        ("core/02", csvw + "primaryKey", '"a"'),
    ]


def test_a_finding_about_a_duplicate_name_points_at_the_columns_name() -> None:
    path = "( [ sh:inversePath csvw:column ] fm:computedDuplicateName )"
    one_of = f"sh:property [ sh:path {path} ; sh:disjoint csvw:name ]"
    text = """<sales.orders/s> csvw:column <sales.orders/1>, <sales.orders/2>, <sales.orders/3> .
      <sales.orders/1> a csvw:Column ; csvw:name 'a' . <sales.orders/2> a csvw:Column ; csvw:name 'a' .
      <sales.orders/3> a csvw:Column ; csvw:name 'b' ."""
    found = check(rules(rule(one_of, target="csvw:Column")), text).findings
    name = PREFIXES["csvw"] + "name"
    assert [(f.focus, f.path, f.value) for f in found] == [(f"{PRODUCT}/{n}", name, '"a"') for n in (1, 2)]


# -- reports ----------------------------------------------------------------------------------------------------------


def test_a_report_as_rdf() -> None:
    report = check(rules(), "<sales.orders> a dprod:DataProduct .")
    sh = PREFIXES["sh"]
    index = Index(report_graph(report))
    ((root, _),) = [
        pair for pair in index.pairs[PREFIXES["rdf"] + "type"] if pair[1] == NamedNode(sh + "ValidationReport")
    ]
    assert [t.value for t in index.objects(root, sh + "conforms")] == ["false"]
    (result,) = index.objects(root, sh + "result")
    assert index.objects(result, sh + "focusNode") == [NamedNode(PRODUCT)]
    assert index.objects(result, sh + "resultPath") == [NamedNode(PREFIXES["dct"] + "title")]
    assert index.objects(result, sh + "resultSeverity") == [NamedNode(sh + "Violation")]
    assert set(index.objects(result, sh + "resultMessage")) == {
        Literal("Add a title.", language="en"),
        Literal("Titel fehlt.", language="de"),
    }


def test_a_report_as_rdf_names_failed_rules_and_waivers() -> None:
    report = check(rules(TITLE + rule(FAILING)), "<sales.orders> a dprod:DataProduct .")
    (finding,) = report.findings
    until = datetime(2027, 1, 1, tzinfo=UTC)
    index = Index(report_graph(replace(report, findings=(replace(finding, waived_until=until),))))
    sh = PREFIXES["sh"]
    ((_, moment),) = index.pairs[FM + "waivedUntil"]
    assert moment == Literal("2027-01-01T00:00:00+00:00", datatype=NamedNode(PREFIXES["xsd"] + "dateTime"))
    ((root, failure),) = index.pairs[FM + "failedRule"]
    assert index.objects(failure, sh + "sourceShape") == [NamedNode("https://w3id.org/fairmesh/rules/core/01")]
    assert index.objects(failure, PREFIXES["rdfs"] + "comment") == [Literal("the query reports a failure")]
    assert [t.value for t in index.objects(root, sh + "conforms")] == ["false"], "SHACL knows no waivers"


PATHS = [
    "dct:a",
    "[ sh:inversePath dct:a ]",
    "( dct:a dct:b )",
    "[ sh:alternativePath ( dct:a ( dct:b dct:c ) ) ]",
    "[ sh:zeroOrMorePath [ sh:inversePath dct:a ] ]",
    "( dct:a [ sh:oneOrMorePath [ sh:alternativePath ( dct:a dct:b ) ] ] )",
    "[ sh:inversePath ( dct:a [ sh:zeroOrOnePath dct:b ] ) ]",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_complex_path_comes_back_as_the_path_it_was(path: str) -> None:
    ruleset = rules(rule(f"sh:property [ sh:path {path} ; sh:minCount 9 ]"))
    (finding,) = (report := check(ruleset, DOCUMENT)).findings
    index = Index(report_graph(report))
    ((_, node),) = index.pairs[PREFIXES["sh"] + "resultPath"]
    shape = Triple(NamedNode(PRODUCT), NamedNode(PREFIXES["sh"] + "path"), node)
    again = governance.conformance(
        rdf.load(nquads(DOCUMENT)),
        [
            *report_graph(report),
            shape,
            Triple(NamedNode(PRODUCT), NamedNode(PREFIXES["sh"] + "targetNode"), NamedNode(PRODUCT)),
            Triple(
                NamedNode(PRODUCT),
                NamedNode(PREFIXES["sh"] + "minCount"),
                Literal("9", datatype=NamedNode(PREFIXES["xsd"] + "integer")),
            ),
        ],
        ENGINE[0],
    )
    assert [r.path for r in again] == [finding.path]


# -- examples ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    product: str
    nquads: bytes
    own: frozenset[str]


def read(data: bytes) -> Document:
    if not data.strip():
        raise InputError("the file is empty", remedy="Describe a product")
    document = nquads(data.decode())
    return Document(PRODUCT, document, own_of(document))


def example_folder(tmp_path: Path, examples: dict[str, str]) -> Path:
    texts = {
        "core/shapes.ttl": TITLE + rule("sh:property [ sh:path dct:a ; sh:minCount 1 ]", "warn"),
        "domains/sales/shapes.ttl": rule(
            "sh:property [ sh:path dct:b ; sh:minCount 1 ]", "advise", name="sales:due-date"
        ),
    }
    for name, text in (texts | examples).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PREFIX_LINES + text if text else "")
    return tmp_path


GOOD = "<sales.orders> a dprod:DataProduct ; dct:title 't' ; dct:a 1 ."
EXAMPLES = {
    "core/examples/ok-all.ttl": GOOD,
    "core/examples/bad-01-none.ttl": "<sales.orders> a dprod:DataProduct ; dct:title 't' .",
    "core/examples/bad-03-none.ttl": "<sales.orders> a dprod:DataProduct ; dct:a 1 .",
    "domains/sales/examples/ok-all.ttl": GOOD,
    "domains/sales/examples/bad-due-date-none.ttl": GOOD,
}


def tried(folder: Path) -> list[ExampleResult]:
    with closing(Validator(RuleSet.load(folder, ENGINE[0]), 1)) as validator:
        return list(check_examples(validator, read_rules(folder).examples, read, iri_base=BASE, now=NOW))


def test_good_examples_have_no_problem(tmp_path: Path) -> None:
    results = tried(example_folder(tmp_path, EXAMPLES))
    assert {result.file: result.problem for result in results} == dict.fromkeys(EXAMPLES, "")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("core/examples/bad-01-none.ttl", GOOD, "does not break core/01"),
        ("core/examples/bad-01-none.ttl", "<sales.orders> a dprod:DataProduct .", "breaks core/03"),
        ("core/examples/ok-all.ttl", "<sales.orders> a dprod:DataProduct ; dct:title 't' .", "breaks core/01"),
        ("core/examples/bad-99-x.ttl", GOOD, "neither ok-"),
        ("core/examples/ok-empty.ttl", "", "not a product document: the file is empty"),
    ],
)
def test_an_example_that_is_not_what_its_name_says(tmp_path: Path, name: str, text: str, problem: str) -> None:
    folder = example_folder(tmp_path, EXAMPLES | {name: text})
    problems = {r.file: r.problem for r in tried(folder) if r.problem}
    assert problems.keys() == {name}
    assert problems[name].startswith(problem)


def test_now_plus_a_day_is_not_the_future() -> None:
    tomorrow = (NOW + timedelta(hours=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert said(f"<sales.orders> dct:issued '{tomorrow}'^^xsd:dateTime .", "computedFutureDate") == set()
