"""The FAIR assessment: each indicator computed on the product is passed and failed by documents made for it."""

from __future__ import annotations

import functools
import random
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import strawberry
from conftest import ROOT
from graphql import GraphQLEnumType, GraphQLObjectType, build_schema
from hypothesis import given
from hypothesis import strategies as st
from samples import BASE, PREFIXES, product

from fairmesh import api
from fairmesh.api.problems import fair_json
from fairmesh.api.schema.fair import FairAssessment
from fairmesh.api.verdicts import Verdict
from fairmesh.catalog import document, fair, licences, rdf
from fairmesh.catalog.fair import Assessment, Basis, Indicator, Register, Vocabulary
from fairmesh.catalog.fairchecks import persistent
from fairmesh.catalog.governance import ENGINES, Case, RuleSet, judge, validate
from fairmesh.catalog.rdf import BlankNode, Triple

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRODUCT = BASE + "sales.orders"
DEMO = sorted((Path(api.__file__).parent / "demo").glob("*.ttl"))

FULL = """
<sales.orders> a dprod:DataProduct ; dct:identifier "sales.orders" .
<sales.orders> dct:title "Orders"@en .
<sales.orders> dct:description "Confirmed orders, one row for each order line."@en .
<sales.orders> dcat:keyword "checkout"@en .
<sales.orders> dprod:domain <domain/sales> .
<sales.orders> dprod:dataProductOwner <team/sales> .
<sales.orders> dct:issued "2025-03-01"^^xsd:date .
<sales.orders> dprod:purpose "Planning"@en .
<sales.orders> dcat:version "1.0.0" .
<sales.orders> dprod:lifecycleStatus s:consume .
<sales.orders> dcat:contactPoint <contact/sales> .
<sales.orders> dct:license <https://creativecommons.org/licenses/by/4.0/> .
<sales.orders> dct:isVersionOf <https://www.example.org/orders> .
<sales.orders> dct:conformsTo <https://ekgf.github.io/dprod/> .
<sales.orders> dprod:outputDataset <sales.orders/data> .
<sales.orders> dprod:outputPort <sales.orders/sql> .
<sales.orders/data> a dcat:Dataset .
<sales.orders/data> dct:description "One row for each order line."@en .
<sales.orders/data> dct:accrualPeriodicity <http://publications.europa.eu/resource/authority/frequency/DAILY> .
<sales.orders/data> dprod:informationSensitivityClassification c:internal .
<sales.orders/data> dct:conformsTo <sales.orders/data/schema> .
<sales.orders/data> dcat:distribution <sales.orders/table> .
<sales.orders/data> prov:wasDerivedFrom <https://erp.example.org/orders> .
<sales.orders/data/schema> a csvw:Schema ; csvw:column <sales.orders/data/column/id> .
<sales.orders/data/column/id> a csvw:Column ; csvw:name "id" ; csvw:datatype xsd:long .
<sales.orders/table> a dcat:Distribution .
<sales.orders/table> dcat:accessService <sales.orders/sql> .
<sales.orders/sql> a dcat:DataService .
<sales.orders/sql> dcat:endpointURL <https://warehouse.example.org/orders> .
<team/sales> a foaf:Agent ; foaf:name "Sales team" .
<domain/sales> a skos:Concept ; skos:prefLabel "Sales"@en .
"""
"""A document with full marks, one statement a line. It tells of no column's format: the columns are enough."""


@functools.cache
def register() -> Register:
    files = sorted((ROOT / "ontologies").rglob("vocabulary.ttl"))
    return Register.of(q.triple for f in files for q in rdf.parse(f.read_bytes(), rdf.TURTLE, iri_base=BASE).quads)


def triples(text: str) -> list[Triple]:
    return rdf.load(document.read((PREFIXES + text).encode(), rdf.TURTLE, BASE).nquads)


def assess(statements: list[Triple], at: str = PRODUCT, base: str = BASE) -> Assessment:
    return fair.assess(statements, product=at, iri_base=base, register=register(), at=AT)


def failing(text: str) -> set[str]:
    return {indicator.code.removeprefix("RDA-") for indicator in assess(triples(text)).failing()}


def indicator(code: str, text: str) -> Indicator:
    return next(it for it in assess(triples(text)).indicators if it.code == "RDA-" + code)


def without(*lines: str) -> str:
    """The full document without the lines that have one of these texts, each of which must be there."""
    assert all(line in FULL for line in lines)
    return "\n".join(line for line in FULL.splitlines() if not any(text in line for text in lines))


# -- the table --------------------------------------------------------------------------------------------------------


def test_the_full_document_has_full_marks() -> None:
    found = assess(triples(FULL))
    assert [(it.code, it.evidence) for it in found.failing()] == []
    assert (found.score, found.findable, found.accessible, found.interoperable, found.reusable) == (1, 1, 1, 1, 1)
    assert found.at == AT


def test_the_model_is_whole_and_split_by_basis() -> None:
    codes = [criterion.code for criterion in fair.CRITERIA]
    assert len(set(codes)) == len(codes) == 41
    assert Counter(code[4] for code in codes) == {"F": 7, "A": 12, "I": 12, "R": 10}
    assert Counter(c.priority for c in fair.CRITERIA) == {"Essential": 20, "Important": 14, "Useful": 7}
    assert Counter(c.basis for c in fair.CRITERIA) == {Basis.PRODUCT: 16, Basis.PLATFORM: 10, Basis.DECLARED: 15}
    assert all((code[-1] == "D") == (c.basis is Basis.DECLARED) for code, c in zip(codes, fair.CRITERIA, strict=True))
    never = [c.code for c in fair.CRITERIA if c.basis is Basis.DECLARED and not c.remedy]
    assert never == ["RDA-A1-03D", "RDA-I3-01D", "RDA-I3-02D"]


def test_every_letter_has_something_to_score() -> None:
    counted = {c.code[4] for c in fair.CRITERIA if c.basis is Basis.PRODUCT}
    assert counted == set("FAIR")


def test_an_empty_view_fails_all_that_is_computed() -> None:
    found = assess([])
    assert len(found.failing()) == 16
    assert (found.score, found.findable, found.accessible, found.interoperable, found.reusable) == (0, 0, 0, 0, 0)


# -- each of the sixteen, failed alone --------------------------------------------------------------------------------

ENDPOINT = "<https://warehouse.example.org/orders>"
ALONE = {
    "F2-01M no title": (without("dct:title"), {"F2-01M"}),
    "F2-01M blank title": (FULL.replace('"Orders"', '" "'), {"F2-01M"}),
    "F2-01M blank description": (
        FULL.replace("Confirmed orders, one row for each order line.", " " * 25 + "A" + " " * 25 + "B"),
        {"F2-01M"},
    ),
    "F2-01M short description": (FULL.replace("Confirmed orders, one row for each order line.", "Orders."), {"F2-01M"}),
    "F2-01M nothing to find it by": (without("dcat:keyword"), {"F2-01M"}),
    "F2-01M no domain": (without("dprod:domain"), {"F2-01M"}),
    "F3-01M data without an IRI": (re.sub(r"<sales.orders/data>", "_:data", FULL), {"F3-01M"}),
    "A1-01M no address": (without("dcat:endpointURL"), {"A1-01M"}),
    "A1-01M a word for an address": (FULL.replace(ENDPOINT, '"n/a"'), {"A1-01M"}),
    "A1-01M an address without a host": (FULL.replace(ENDPOINT, '"https://"'), {"A1-01M"}),
    "A1-01M a nameless node for an address": (FULL.replace(ENDPOINT, "[]"), {"A1-01M"}),
    "I2-01M a term of nobody": (FULL + "<sales.orders> <https://nobody.test/ns#x> 1 .", {"I2-01M"}),
    "I2-01M a type of nobody": (FULL + "<sales.orders> a <https://nobody.test/ns#X> .", {"I2-01M"}),
    "I2-01M a code of nobody": (FULL + "<sales.orders> dcat:theme <https://nobody.test/x> .", {"I2-01M"}),
    "I3-01M no link": (without("dct:isVersionOf"), {"I3-01M", "I3-03M"}),
    "I3-03M a link that says nothing": (
        without("dct:isVersionOf") + "<sales.orders> rdfs:seeAlso <https://www.example.org/x> .",
        {"I3-03M"},
    ),
    "I3-02M no source": (
        without("prov:wasDerivedFrom") + "<sales.orders> prov:wasAttributedTo <team/sales> .",
        {"I3-02M", "I3-04M", "R1.2-01M"},
    ),
    "I3-04M a source that says nothing": (
        without("prov:wasDerivedFrom")
        + "<sales.orders> prov:wasAttributedTo <team/sales> ; dct:relation <https://erp.example.org/orders> ."
        + "<https://erp.example.org/orders> a dcat:Dataset .",
        {"I3-04M", "R1.2-01M"},
    ),
    "R1-01M no purpose": (without("dprod:purpose"), {"R1-01M"}),
    "R1-01M no version": (without("dcat:version"), {"R1-01M"}),
    "R1-01M no status": (without("dprod:lifecycleStatus"), {"R1-01M"}),
    "R1-01M no contact": (without("dcat:contactPoint"), {"R1-01M"}),
    "R1-01M no frequency": (without("dct:accrualPeriodicity"), {"R1-01M"}),
    "R1-01M undescribed data": (without("One row for"), {"R1-01M"}),
    "R1-01M unclassified data": (without("dprod:informationSensitivity"), {"R1-01M"}),
    "R1-01M no columns": (without("csvw:column"), {"R1-01M"}),
    "R1.1-01M no licence": (without("dct:license"), {"R1.1-01M", "R1.1-02M", "R1.1-03M"}),
    "R1.1-02M a licence of one's own": (
        FULL.replace("https://creativecommons.org/licenses/by/4.0/", "sales.orders/terms")
        + "<sales.orders/terms> a odrl:Set ; odrl:permission [ odrl:action odrl:use ] .",
        {"R1.1-02M"},
    ),
    "R1.1-03M a licence in words": (
        FULL.replace("https://creativecommons.org/licenses/by/4.0/", "https://opendatacommons.org/licenses/odbl/1-0/"),
        {"R1.1-03M"},
    ),
    "R1.2-01M no date": (without("dct:issued"), {"R1.2-01M"}),
    "R1.2-01M when and by whom, from nothing": (
        without("prov:wasDerivedFrom") + "<sales.orders> prov:wasAttributedTo <team/sales> ;"
        ' prov:generatedAtTime "2025-03-01T00:00:00Z"^^xsd:dateTime .',
        {"I3-02M", "I3-04M", "R1.2-01M"},
    ),
    "R1.2-02M a source, not in PROV-O": (
        FULL.replace("prov:wasDerivedFrom", "dct:source"),
        {"R1.2-02M"},
    ),
    "R1.3-01M an untyped dataset": (without("a dcat:Dataset"), {"R1.3-01M"}),
    "R1.3-01M an untyped distribution": (without("a dcat:Distribution"), {"R1.3-01M"}),
    "R1.3-01M an untyped port": (without("a dcat:DataService"), {"R1.3-01M"}),
    "R1.3-02M no standard": (without("dprod/> ."), {"R1.3-02M"}),
}
"""Documents and what they fail. A reference or licence that is not there cannot be qualified or standard either."""
PREFIXES_TOO = (
    "@prefix odrl: <http://www.w3.org/ns/odrl/2/> .\n@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
)


@pytest.mark.parametrize("case", ALONE)
def test_a_document_fails_exactly_that(case: str) -> None:
    text, expected = ALONE[case]
    assert failing(PREFIXES_TOO + text) == expected
    assert case.split()[0] in expected


def test_every_computed_indicator_has_its_failing_document() -> None:
    counted = {c.code.removeprefix("RDA-") for c in fair.CRITERIA if c.basis is Basis.PRODUCT}
    assert {case.split()[0] for case in ALONE} == counted


MENDED = {
    "F2-01M": "<sales.orders> dct:subject <term/order> . <term/order> a skos:Concept .",
    "A1-01M": '<sales.orders/table> dct:accessRights "Ask the team"@en .',
    "I3-01M": "<sales.orders> dcat:landingPage <https://www.example.org/page> .",
    "I3-02M": "<sales.orders> dprod:inputDataset <https://erp.example.org/orders> .",
    "R1-01M": "<sales.orders> dct:spatial <http://publications.europa.eu/resource/authority/country/NOR> .",
    "R1.1-01M": "<sales.orders/table> dct:license <https://spdx.org/licenses/CC0-1.0> .",
    "R1.2-02M": "<sales.orders> prov:wasGeneratedBy <https://ci.example.org/job> .",
    "R1.3-02M": "<sales.orders> dct:conformsTo <https://www.w3.org/TR/vocab-dcat-3/> .",
}
"""Another way to meet an indicator than the one of the full document."""
BROKEN = {
    "F2-01M": without("dcat:keyword"),
    "A1-01M": without("dcat:endpointURL"),
    "I3-01M": without("dct:isVersionOf"),
    "I3-02M": without("prov:wasDerivedFrom"),
    "R1-01M": without("dct:accrualPeriodicity"),
    "R1.1-01M": without("dct:license"),
    "R1.2-02M": without("prov:wasDerivedFrom"),
    "R1.3-02M": without("dprod/> ."),
}


@pytest.mark.parametrize("code", MENDED)
def test_there_is_another_way(code: str) -> None:
    assert code in failing(BROKEN[code])
    assert code not in failing(BROKEN[code] + MENDED[code])


def test_a_role_qualifies_a_relation() -> None:
    bare = without("dct:isVersionOf")
    relation = "<sales.orders> dcat:qualifiedRelation [ dct:relation <https://www.example.org/x> {} ] ."
    assert "I3-03M" in failing(bare + relation.format(""))
    assert not failing(bare + relation.format("; dcat:hadRole <https://www.example.org/twin>")) & {"I3-01M", "I3-03M"}


def test_a_catalog_record_may_name_the_standard() -> None:
    record = (
        "<sales.orders/record> a dcat:CatalogRecord ; foaf:primaryTopic <sales.orders> ;"
        " dct:conformsTo <http://data.europa.eu/r5r/> ."
    )
    assert "R1.3-02M" not in failing(without("dprod/> .") + record)


def test_each_dataset_must_be_reachable_and_licensed() -> None:
    second = (
        "<sales.orders> dprod:outputDataset <sales.orders/more> . <sales.orders/more> a dcat:Dataset ;"
        ' dct:description "The rest of the order lines."@en ; dprod:informationSensitivityClassification c:internal ;'
        " dcat:distribution <sales.orders/file> . <sales.orders/file> a dcat:Distribution ; dct:format <{}> ."
    ).format("http://publications.europa.eu/resource/authority/file-type/CSV")
    own = (
        without("dct:license", "dprod:outputPort") + "<sales.orders/data> dct:license <https://spdx.org/licenses/MIT> ."
    )
    assert failing(own) == set()
    assert failing(own + second) == {"A1-01M", "R1.1-01M", "R1.1-02M", "R1.1-03M"}
    found = indicator("A1-01M", own + second)
    assert found.evidence.endswith("lacks address, or access rights and a contact (sales.orders/more)")
    mended = (
        "<sales.orders/file> dcat:downloadURL <https://files.example.org/x> ;"
        " dct:license <https://spdx.org/licenses/MIT> ."
    )
    assert failing(own + second + mended) == set()


@pytest.mark.parametrize(
    ("ports", "reached"),
    [
        ("", False),  # the only port is behind a distribution of the first dataset
        ("<sales.orders/sql> dcat:servesDataset <sales.orders/data> .", False),
        ("<sales.orders/sql> dcat:servesDataset <sales.orders/data> , <sales.orders/more> .", True),
        ("<sales.orders> dprod:outputPort <sales.orders/api> .", False),
        ("<sales.orders> dprod:outputPort <sales.orders/api> . <sales.orders/api> dcat:endpointURL {} .", True),
        (
            "<sales.orders> dprod:outputPort <sales.orders/api> . <sales.orders/api> dcat:endpointURL {} ;"
            " dcat:servesDataset <sales.orders/data> .",
            False,
        ),
        ("<sales.orders/more> dcat:distribution [ dcat:downloadURL 'ftp://files.example.org/x' ] .", True),
        ("<sales.orders/more> dcat:distribution [ dcat:accessURL <jdbc:postgresql://db.example.org/x> ] .", True),
        ("<sales.orders/more> dcat:distribution [ dcat:accessURL 'not yet: ask' ] .", False),
    ],
)
def test_a_port_reaches_what_it_serves(ports: str, reached: bool) -> None:
    second = "<sales.orders> dprod:outputDataset <sales.orders/more> . " + ports.format(ENDPOINT)
    found = indicator("A1-01M", FULL + second)
    assert found.passed is reached
    assert ("lacks address, or access rights and a contact (sales.orders/more)" in found.evidence) is not reached


@pytest.mark.parametrize(
    ("licence", "known", "readable"),
    [
        ("http://creativecommons.org/publicdomain/zero/1.0/", True, True),
        ("http://publications.europa.eu/resource/authority/licence/CC_BY_4_0", True, True),
        ("https://data.norge.no/nlod/en/2.0", True, False),
        ("https://www.opensource.org/licenses/MIT", True, False),
        ("https://mesh.example.org/terms/internal-use", True, True),
        ("https://mesh.example.org/terms/nobody-wrote-it", False, False),
        ("https://creativecommons.org.evil.test/licenses/by/4.0/", False, False),
        ("https://creativecommons.org/licenses/nonsense", False, False),
        ("https://creativecommons.org/licenses/", False, False),
        ("https://opensource.org/licenses/", False, False),
        ("https://spdx.org/licenses/MIT", True, True),
        ("https://spdx.org/licenses/gpl-3.0-or-later.html", True, True),
        ("https://spdx.org/licenses/NO-SUCH-LICENCE", False, False),
        ("https://spdx.org/licenses/LicenseRef-acme", False, False),
        ("https://opensource.org/license/apache-2-0", True, False),
        ("https://opensource.org/licenses/mit-license.php", True, False),
        ("https://opensource.org/licenses/NO-SUCH-LICENCE", False, False),
    ],
)
def test_licences(licence: str, known: bool, readable: bool) -> None:
    found = failing(FULL.replace("https://creativecommons.org/licenses/by/4.0/", licence))
    assert ("R1.1-02M" not in found, "R1.1-03M" not in found) == (known, readable)


@pytest.mark.parametrize(
    ("licence", "exists"),
    [
        ("<https://spdx.org/licenses/LicenseRef-acme>", False),
        ("<https://spdx.org/licenses/NO-SUCH-LICENCE#text>", False),
        ("'https://spdx.org/licenses/NO-SUCH-LICENCE'", False),
        ("'MIT'", True),
        ("<terms/acme>", True),
    ],
)
def test_a_licence_that_the_spdx_list_lacks_is_none(licence: str, exists: bool) -> None:
    text = FULL.replace("<https://creativecommons.org/licenses/by/4.0/>", licence)
    assert ("R1.1-01M" not in failing(text)) is exists


def test_terms_under_a_licence_ref_are_terms_once_a_vocabulary_says_them() -> None:
    ref = "https://spdx.org/licenses/LicenseRef-acme"
    known = replace(register(), policies={ref: True})
    statements = triples(FULL.replace("https://creativecommons.org/licenses/by/4.0/", ref))
    assert fair.assess(statements, product=PRODUCT, iri_base=BASE, register=known, at=AT).failing() == []
    assert len(assess(statements).failing()) == 3


def test_licences_are_known_here_and_to_rule_15_alike() -> None:
    shapes = (ROOT / "ontologies" / "core" / "shapes.ttl").read_text("utf-8")
    rule = shapes[shapes.index("<15#creative-commons> sh:pattern") : shapes.index("#### Access")]
    patterns = [pattern.replace("\\\\", "\\") for pattern in re.findall(r'"(\^https.*)"', rule)]
    assert patterns == list(licences.LICENCES)
    for licence in (
        "https://creativecommons.org/licenses/by/4.0/", "http://purl.org/NET/rdflicense/cc-by4.0",
        "https://opendatacommons.org/licenses/odbl/1-0/", "http://www.opendefinition.org/licenses/cc-by",
        "https://spdx.org/licenses/MIT", "https://opensource.org/license/mit",
        "https://www.apache.org/licenses/LICENSE-2.0", "https://data.norge.no/nlod/no/2.0",
        "http://publications.europa.eu/resource/authority/licence/CC_BY_4_0",
        "http://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/",
        "https://www.govdata.de/dl-de/by-2-0", "https://open.canada.ca/en/open-government-licence-canada",
        "https://www.etalab.gouv.fr/licence-ouverte-open-licence/", "https://acme.com/terms",
    ):  # fmt: skip
        known = any(re.match(pattern, licence) for pattern in patterns)
        found = failing(FULL.replace("https://creativecommons.org/licenses/by/4.0/", licence))
        assert ("R1.1-02M" not in found) is known, licence


# -- what a failing indicator says ------------------------------------------------------------------------------------


def test_a_failing_indicator_says_what_is_there_what_is_not_and_what_to_do() -> None:
    found = indicator("F2-01M", without("dcat:keyword", "dct:title"))
    assert found.passed is False
    assert found.evidence == ("has description of 20 characters, domain, owner; lacks keyword, category or term, title")
    assert found.fix is not None
    assert "dcat:keyword" in found.fix
    assert indicator("F2-01M", FULL).fix is None


@pytest.mark.parametrize(
    ("code", "lacking", "fix"),
    [
        ("R1.2-01M", ["dct:issued"], "State dct:issued as an xsd:date"),
        ("F2-01M", ["dcat:keyword", "dct:title"], "State dct:title; dcat:keyword (or dcat:theme, dct:subject)"),
        ("R1-01M", ["dprod:purpose", "dcat:version"], "State dprod:purpose; one dcat:version"),
    ],
)
def test_a_remedy_names_only_what_is_lacking(code: str, lacking: list[str], fix: str) -> None:
    assert indicator(code, without(*lacking)).fix == fix


def test_whatever_may_be_lacking_has_a_remedy_of_its_own() -> None:
    bare = "<sales.orders> a dprod:DataProduct ; dprod:outputDataset <sales.orders/data> ."
    for code in ("R1.2-01M", "F2-01M", "R1-01M"):
        found = indicator(code, bare)
        (whole,) = [c.remedy for c in fair.CRITERIA if c.code == found.code]
        assert (found.fix or "").removeprefix("State ") == whole.removeprefix("State what is lacking: ")


def test_evidence_names_what_the_register_lacks() -> None:
    found = indicator("I2-01M", FULL + "<sales.orders> <https://nobody.test/ns#x> 1 .")
    assert "https://nobody.test/ns# (not in the register)" in found.evidence


def test_long_lists_are_cut_and_counted() -> None:
    more = "".join(f"<sales.orders> dcat:landingPage <https://www.example.org/{n:02}> ." for n in range(20))
    found = indicator("A1-02D", FULL + more)
    assert found.evidence.count("https://www.example.org/") == 8
    assert "and 12 more" in found.evidence
    rights = f'<sales.orders> dct:accessRights "{"x" * 10_000}" .'
    assert len(indicator("A1.2-01D", FULL + rights).evidence) < 500


def test_what_is_declared_is_told_and_not_assessed() -> None:
    found = indicator("A1-04D", FULL)
    assert (found.passed, found.fix) == (None, None)
    assert found.evidence == "not assessed: declared is https; nobody verified it here"
    nothing = indicator("A1-04D", without("dcat:endpointURL"))
    assert nothing.passed is None
    assert nothing.fix is not None


def test_only_the_product_counts() -> None:
    found = assess(triples(FULL))
    assert all(it.passed is None for it in found.indicators if it.basis is Basis.DECLARED)
    assert [it.code for it in found.indicators if it.basis is Basis.PLATFORM and not it.passed] == ["RDA-F1-01M"]
    assert found.score == 1


def test_the_weights_are_those_of_the_priorities() -> None:
    found = assess(triples(without("dprod/> .")))
    assert found.score == round(32 / 35, 4)
    assert found.reusable == round(16 / 19, 4)
    assert fair.PRODUCT_WEIGHT == 35


def test_the_heaviest_come_first() -> None:
    order = [it.priority for it in assess([]).failing()]
    assert order == sorted(order, key=list(fair.WEIGHTS).index)


# -- persistence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "persists"),
    [
        ("http://localhost/id/", False),
        ("https://mesh/id/", False),
        ("https://mesh.local/", False),
        ("https://data.internal/id/", False),
        ("https://127.0.0.1/", False),
        ("https://[::1]/", False),
        ("https://data.example.org/id/", False),
        ("urn:mesh:id/", False),
        ("ftp://data.acme.com/", False),
        ("https://data.acme.com/id/", True),
        ("https://w3id.org/acme/", True),
        ("http://Data.Acme.com:8080/id/", True),
    ],
)
def test_a_persistent_base(base: str, persists: bool) -> None:
    assert persistent(base) is persists
    found = assess([], base + "sales.orders", base).indicators[0]
    assert (found.code, found.passed, found.fix is None) == ("RDA-F1-01M", persists, persists)


def test_a_product_outside_the_base_persists_by_its_own_iri() -> None:
    assert assess([], "https://data.acme.com/orders").indicators[0].passed is True
    assert assess([], "https://localhost/orders", "https://data.acme.com/id/").indicators[0].passed is False


# -- the register -----------------------------------------------------------------------------------------------------


def read_register(text: str) -> Register:
    prefixes = (
        "@prefix voaf: <http://purl.org/vocommons/voaf#> . @prefix void: <http://rdfs.org/ns/void#> ."
        " @prefix cc: <http://creativecommons.org/ns#> . @prefix odrl: <http://www.w3.org/ns/odrl/2/> ."
        " @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix dct: <http://purl.org/dc/terms/> ."
    )
    return Register.of(q.triple for q in rdf.parse((prefixes + text).encode(), rdf.TURTLE, iri_base=BASE).quads)


def test_every_vocabulary_with_a_prefix_is_registered() -> None:
    known = set(register().vocabularies)
    assert set(rdf.PREFIXES.values()) - known == {rdf.PREFIXES["xsd"]}
    assert all(entry.fair for entry in register().vocabularies.values())


def test_an_organisation_adds_its_own() -> None:
    added = read_register(
        '<https://acme.com/ns#> a voaf:Vocabulary ; rdfs:label "Acme" ; void:dataDump <https://acme.com/ns.ttl> ;'
        " cc:license <https://spdx.org/licenses/MIT> ."
        " <https://acme.com/terms> a odrl:Offer . <https://acme.com/profile> a dct:Standard ; void:dataDump <x> ."
        " <https://acme.com/paper> a dct:Standard ."
    )
    acme = Vocabulary("https://acme.com/ns#", "Acme", "https://acme.com/ns.ttl", "https://spdx.org/licenses/MIT")
    assert added.vocabularies == {"https://acme.com/ns#": acme}
    assert added.standards == {"https://acme.com/profile"}
    assert added.policies == {"https://acme.com/terms": False}
    assert added.vocabulary_of("https://acme.com/ns#color") == acme
    assert added.vocabulary_of("https://acme.com/other#color") is None


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("void:dataDump <https://nobody.test/ns.ttl>", "no licence"),
        ("cc:license <https://spdx.org/licenses/MIT>", "does not resolve to RDF"),
    ],
)
def test_an_entry_that_is_known_and_not_fair(entry: str, why: str) -> None:
    known = read_register(f'<https://nobody.test/ns#> a voaf:Vocabulary ; rdfs:label "Nobody" ; {entry} .')
    both = Register({**register().vocabularies, **known.vocabularies}, register().standards, register().policies)
    statements = triples(FULL + "<sales.orders> <https://nobody.test/ns#x> 1 .")
    found = fair.assess(statements, product=PRODUCT, iri_base=BASE, register=both, at=AT)
    (lacking,) = found.failing()
    assert (lacking.code, f"https://nobody.test/ns# ({why})" in lacking.evidence) == ("RDA-I2-01M", True)


def test_the_longest_namespace_holds() -> None:
    entries = '<https://a.test/> a voaf:Vocabulary ; rdfs:label "{}" . <https://a.test/b/> a voaf:Vocabulary .'
    found = read_register(entries.format("A")).vocabulary_of("https://a.test/b/c/d")
    assert found is not None
    assert found.namespace == "https://a.test/b/"


# -- scores and bands -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "band"),
    [(0.0, "0.0-0.2"), (0.1999, "0.0-0.2"), (0.2, "0.2-0.4"), (0.5, "0.4-0.6"), (0.8, "0.8-1.0"), (1.0, "0.8-1.0")],
)
def test_bands(score: float, band: str) -> None:
    assert fair.fair_band(score) == band
    assert band in fair.BANDS


def test_shipped_products_score_plausibly() -> None:
    scores = {}
    for file in DEMO:
        read = document.read(file.read_bytes(), rdf.TURTLE, BASE)
        scores[read.key] = assess(rdf.load(read.nquads), read.product).score
    assert len(scores) > 30
    assert all(0.6 <= score < 1 for score in scores.values()), scores
    assert len(set(scores.values())) > 3


def test_the_worked_example(shared: Path) -> None:
    read = document.read((shared / "contract" / "product.ttl").read_bytes(), rdf.TURTLE, BASE)
    found = assess(rdf.load(read.nquads), read.product)
    assert (found.findable, found.accessible) == (1, 1)
    assert [it.code for it in found.failing()] == [
        "RDA-R1.3-02M", "RDA-R1.2-01M", "RDA-I3-02M", "RDA-I3-04M", "RDA-R1.2-02M",
    ]  # fmt: skip


# -- laws -------------------------------------------------------------------------------------------------------------

LINES = [line for line in FULL.strip().splitlines() if not line.startswith("<sales.orders> a ")]
HEAD = '<sales.orders> a dprod:DataProduct ; dct:identifier "sales.orders" .\n'


NAMING = ("dprod:outputDataset", "dprod:outputPort", "dcat:distribution", "dcat:accessService")
"""What names a part of the product. A part is asked for its type, so to name one can lower a score."""


@given(st.sets(st.sampled_from(LINES)), st.sampled_from(LINES))
def test_a_statement_lowers_a_score_only_when_it_names_a_part_without_its_type(lines: set[str], more: str) -> None:
    before = assess(triples(HEAD + "\n".join(sorted(lines))))
    after = assess(triples(HEAD + "\n".join(sorted({*lines, more}))))
    lowered = {it.code for it in after.failing()} - {it.code for it in before.failing()}
    assert lowered <= ({"RDA-R1.3-01M"} if any(predicate in more for predicate in NAMING) else set())


def test_an_untyped_part_lowers_a_score() -> None:
    bare = without("dcat:distribution", "a dcat:Distribution")
    assert "R1.3-01M" not in failing(bare)
    assert "R1.3-01M" in failing(bare + "<sales.orders/data> dcat:distribution <sales.orders/table> .")


TYPES = "".join(line + "\n" for line in LINES if re.search(r" a dcat:(Dataset|Distribution|DataService) ", line))


@given(st.sets(st.sampled_from(LINES)), st.sampled_from(LINES))
def test_where_parts_have_types_no_statement_lowers_a_score(lines: set[str], more: str) -> None:
    before = assess(triples(HEAD + TYPES + "\n".join(sorted(lines))))
    after = assess(triples(HEAD + TYPES + "\n".join(sorted({*lines, more}))))
    assert {it.code for it in after.failing()} <= {it.code for it in before.failing()}
    assert after.score >= before.score


@given(st.lists(st.sampled_from(LINES), unique=True))
def test_the_quick_score_is_the_assessment_s(lines: list[str]) -> None:
    statements = triples(HEAD + "\n".join(lines))
    found = assess(statements)
    quick = fair.score(statements, product=PRODUCT, iri_base=BASE, register=register(), at=AT)
    assert (quick.score, quick.findable, quick.accessible, quick.interoperable, quick.reusable) == (
        found.score, found.findable, found.accessible, found.interoperable, found.reusable,
    )  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_a_judgement_scores_the_document_and_nothing_beside_it(engine: str) -> None:
    rules = RuleSet.load(engine=engine)
    stated = document.read((PREFIXES + HEAD).encode(), rdf.TURTLE, BASE)
    beside = rdf.canonical(triples(FULL))
    case = Case(stated.nquads, beside, PRODUCT, "sales", None)
    judged = judge(rules, case, iri_base=BASE, now=AT)
    alone = rdf.load(stated.nquads)
    assert judged.scores == fair.score(alone, product=PRODUCT, iri_base=BASE, register=rules.register, at=AT)
    assert judged.report == validate(
        rules, stated.nquads, beside, product=PRODUCT, domain="sales", own=stated.own, iri_base=BASE, now=AT
    )
    assert judged.scores != judge(rules, replace(case, document=beside), iri_base=BASE, now=AT).scores


BLANK = re.sub(r"<sales.orders/(data|table|sql|data/schema|data/column/id)>", r"_:\1", FULL).replace("_:data/", "_:")
BLANK = BLANK.replace("_:column/id", "_:column").replace("<sales.orders/more>", "_:more") + (
    "<sales.orders> dprod:outputDataset _:more . _:more a dcat:Dataset ; dcat:distribution _:other ."
    " _:other a dcat:Distribution ; dct:license _:terms . _:terms a dct:LicenseDocument ."
)


@given(st.randoms(use_true_random=False))
def test_neither_order_nor_names_of_blank_nodes_play_a_part(chance: random.Random) -> None:
    statements = [q.triple for q in rdf.parse((PREFIXES + BLANK).encode(), rdf.TURTLE, iri_base=BASE).quads]
    names: dict[str, BlankNode] = {}
    letters = iter(chance.sample(range(10_000), 100))

    def renamed(term: object) -> object:
        if not isinstance(term, BlankNode):
            return term
        return names.setdefault(term.value, BlankNode(f"b{next(letters)}"))

    other = [Triple(renamed(t.subject), t.predicate, renamed(t.object)) for t in statements]  # type: ignore[arg-type]
    chance.shuffle(other)
    assert len(names) >= 5
    assert assess(other) == assess(statements)
    stored = triples(BLANK)  # where blank nodes have got IRIs
    assert assess(stored).failing() == assess(statements).failing()


# -- the gate ---------------------------------------------------------------------------------------------------------


def judged(text: str) -> Verdict:
    return Verdict("orders.ttl", 200, "sales.orders", fair=fair_json(assess(triples(text))))


def test_fair_json_is_plain() -> None:
    found = fair_json(assess(triples(FULL)))
    assert list(found) == [
        "score", "findable", "accessible", "interoperable", "reusable", "at", "indicators",
    ]  # fmt: skip
    assert found["at"] == "2026-11-21T12:00:00+00:00"
    assert found["indicators"][4] == {
        "code": "RDA-F2-01M", "title": "The metadata is rich enough to find the data", "priority": "Essential",
        "passed": True, "basis": "PRODUCT",
        "evidence": "has description of 20 characters, domain, keyword, category or term, owner, title", "fix": None,
    }  # fmt: skip


def test_the_gate_lets_pass_what_reaches_the_mark() -> None:
    assert judged(FULL).at_least(1.0) == judged(FULL)
    low = judged(product("sales.orders").decode())
    assert low.at_least(low.fair["score"] if low.fair else 0) == low


def test_the_gate_refuses_and_says_what_would_raise_the_score() -> None:
    found = judged(without("dprod/> .", "dcat:keyword")).at_least(0.9, (3, 1))
    assert (found.ok, found.status, found.code, found.exit_code) == (False, 422, "fair-too-low", 1)
    assert found.why == (
        "its FAIR score is 0.8286, under 0.9 (F 0.50, A 1.00, I 1.00, R 0.84). Mend what the advice names"
    )
    assert [(f.rule, f.severity, f.line) for f in found.findings] == [
        ("RDA-F2-01M", "INFO", 3), ("RDA-R1.3-02M", "INFO", 3),
    ]  # fmt: skip
    assert "(+0.09)" in found.findings[0].message
    assert "dcat:keyword" in found.findings[0].message


def test_a_document_refused_by_rules_keeps_its_problem() -> None:
    refused = Verdict(
        "orders.ttl", 422, "sales.orders", problem={"code": "not-conforming"}, fair=judged(HEAD).fair
    )  # fmt: skip
    found = refused.at_least(0.9)
    assert (found.code, bool(found.findings)) == ("not-conforming", True)


def test_nothing_passes_unassessed() -> None:
    found = Verdict("orders.ttl", 200, "sales.orders").at_least(0.0)
    assert (found.code, found.exit_code) == ("fair-unknown", 5)
    failed = Verdict("orders.ttl", 400, problem={"code": "syntax"})
    assert failed.at_least(0.5) == failed


# -- GraphQL ----------------------------------------------------------------------------------------------------------


@strawberry.type
class _Query:
    @strawberry.field
    def fair(self) -> FairAssessment:
        found = assess(triples(without("dprod/> .")))
        return FairAssessment.maybe(found, found.at, "not asked")


def test_graphql_tells_what_the_contract_promises(shared: Path) -> None:
    served = build_schema(strawberry.Schema(_Query).as_str())
    contract = (shared / "contract" / "fairmesh.graphql").read_text("utf-8")
    for name in ("FairAssessment", "FairIndicator"):
        promised = re.search(rf"^type {name} {{(.*)}}$", contract, re.MULTILINE)
        assert promised is not None
        kind = served.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        fields = dict(re.findall(r"(\w+): (\S+)", re.sub(r'".*?"', "", promised[1])))
        assert {field: str(found.type) for field, found in kind.fields.items()} == fields
    basis = served.type_map["FairBasis"]
    assert isinstance(basis, GraphQLEnumType)
    assert list(basis.values) == ["PRODUCT", "PLATFORM", "DECLARED"]


def test_what_was_not_assessed_says_so_of_every_indicator() -> None:
    found = fair.unassessed("nobody looked", at=AT)
    assert [it.code for it in found.indicators] == [c.code for c in fair.CRITERIA]
    assert {(it.passed, it.evidence, it.fix) for it in found.indicators} == {
        (None, "not assessed: nobody looked", None)
    }
    assert (found.score, found.at) == (0.0, AT)


def test_the_three_that_nobody_can_declare_are_told_from_the_twelve_declared() -> None:
    found = assess(triples(FULL)).indicators
    never = [it.code for it in found if it.evidence.startswith(fair.NEVER)]
    declared = [it for it in found if it.basis is Basis.DECLARED]
    assert (never, len(declared)) == (["RDA-A1-03D", "RDA-I3-01D", "RDA-I3-02D"], 15)
    assert all(it.passed is None for it in declared)


def test_graphql_answers() -> None:
    asked = "{ fair { score reusable at indicators { code title priority passed basis evidence fix } } }"
    answer = strawberry.Schema(_Query).execute_sync(asked)
    assert answer.errors is None
    assert answer.data is not None
    expected = fair_json(assess(triples(without("dprod/> ."))))
    assert answer.data["fair"] == {name: expected[name] for name in ("score", "reusable", "at", "indicators")}


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_table() -> None:
    text = (ROOT / "docs" / "fair.md").read_text("utf-8")
    rows = [tuple(cell.strip() for cell in row.split("|")[1:-1]) for row in re.findall(r"^\| RDA-.*", text, re.M)]
    words = {Basis.PRODUCT: "product", Basis.PLATFORM: "platform", Basis.DECLARED: "declared"}
    expected = []
    for c in fair.CRITERIA:
        basis = words[c.basis] if c.remedy or c.basis is not Basis.DECLARED else "never"
        expected.append((c.code, c.title, c.priority, basis, c.looks_at, c.remedy))
    assert rows == expected
