"""The FAIR assessment is not taken in: placeholders in a document count as nothing said."""

from __future__ import annotations

import pytest
from conftest import ROOT
from samples import BASE, PREFIXES
from test_fair import AT, ENDPOINT, FULL, PRODUCT, assess, failing, indicator, triples, without

from fairmesh.catalog import document, fair, licences, rdf, said
from fairmesh.catalog.fair import Basis
from fairmesh.catalog.governance import RuleSet, validate

CC_BY = "<https://creativecommons.org/licenses/by/4.0/>"
NO_SUCH = "<https://spdx.org/licenses/NO-SUCH-LICENCE>"
DESCRIPTION = "Confirmed orders, one row for each order line."
ERP = "prov:wasDerivedFrom <https://erp.example.org/orders>"
DAILY = "<http://publications.europa.eu/resource/authority/frequency/DAILY>"
VERSION, ISSUED = 'dcat:version "1.0.0"', 'dct:issued "2025-03-01"^^xsd:date'
LANDING = "dct:isVersionOf <https://www.example.org/orders>"
HOLLOW = {
    "F2-01M title": ('"Orders"', '"n/a"', 'title: "n/a" says nothing', "dct:title"),
    "F2-01M description": (DESCRIPTION, "." * 40, "is no text of 20 characters", "dct:description"),
    "F2-01M description of placeholders": (DESCRIPTION, "To be done. " * 9, "is no text of 20", "dct:description"),
    "F2-01M description of one letter": (DESCRIPTION, "a" + "." * 40, "is no text of 20", "dct:description"),
    "F2-01M keyword": ('"checkout"', '"-"', 'keyword, category or term: "-" says nothing', "dcat:keyword"),
    "F2-01M domain": (
        "<domain/sales> .\n<sales.orders> dprod:dataP",
        "<x:y> .\n<sales.orders> dprod:dataP",
        "domain: <x:y> says nothing",
        "dprod:domain",
    ),
    "F2-01M owner": ("Owner <team/sales>", "Owner <n/a>", "owner: <n/a> says nothing", "dprod:dataProductOwner"),
    "F3-01M": ("<sales.orders/data>", "<urn:x:data>", "it refers to nothing", "dprod:outputDataset"),
    "A1-01M": (ENDPOINT, "<x:y>", "<x:y> is no address", "dcat:accessURL"),
    "A1-01M host": (ENDPOINT, "<https://tbd/orders>", "<https://tbd/orders> is no address", "dcat:accessURL"),
    "A1-01M no host": (ENDPOINT, "<https://orders.invalid/>", "is no address", "dcat:accessURL"),
    "A1-01M contact": (f"dcat:endpointURL {ENDPOINT}", 'dct:accessRights "tbd"', "lacks address, or", "dcat:accessURL"),
    "I2-01M": ("dcat:keyword", "dcat:theme <urn:x:theme> ; dcat:keyword", "urn:x:theme (not in", "dcat:theme"),
    "I3-01M": (LANDING, "dct:subject <urn:x:nothing>", "<urn:x:nothing> refers to nothing", "dct:subject"),
    "I3-02M": (ERP, "prov:wasDerivedFrom <urn:x:nothing>", "<urn:x:nothing> refers to", "prov:wasDerivedFrom"),
    "I3-03M": (LANDING, "dct:subject <doi:n/a>", "<doi:n/a> refers to nothing", "dct:subject"),
    "I3-04M": (ERP, "dct:source <urn:example:orders>", "<urn:example:orders> refers to", "prov:wasDerivedFrom"),
    "R1-01M purpose": ('"Planning"', '"-"', 'purpose: "-" says nothing', "dprod:purpose"),
    "R1-01M version": (VERSION, 'dcat:version "n/a"', '"n/a" is no semantic version', "dcat:version"),
    "R1-01M two versions": (VERSION, VERSION + ', "1.1.0"', "one of several versions", "dcat:version"),
    "R1-01M status": ("s:consume", '"unknown"', 'status: "unknown" says', "dprod:lifecycleStatus"),
    "R1-01M contact": ("<contact/sales>", "[ a foaf:Agent ]", "contact: <a part without", "dcat:contactPoint"),
    "R1-01M coverage": (DAILY, '"n/a"', 'quality: "n/a" says nothing', "dct:accrualPeriodicity"),
    "R1-01M unknown": (DAILY, DAILY.replace("DAILY", "UNKNOWN"), "UNKNOWN> says nothing", "dct:accrualPeriodicity"),
    "R1-01M dataset": (
        'One row for each order line."@en .\n<sales.orders/data> dct:ac',
        'Orders"@en .\n<sales.orders/data> dct:ac',
        'description (sales.orders/data): "Orders" is no text of 20',
        "dct:description",
    ),
    "R1-01M classification": ("c:internal", '"todo"', '"todo" says', "informationSensitivityClassification"),
    "R1-01M format": ("csvw:column <sales.orders/data/column/id>", "csvw:column <x:y>", "columns or format", "columns"),
    "R1.1-01M": (CC_BY, NO_SUCH, "NO-SUCH-LICENCE> is not recognised", "dct:license"),
    "R1.1-01M words": (CC_BY, '"N/A"', '"N/A" is not recognised', "dct:license"),
    "R1.1-02M": (CC_BY, NO_SUCH, "NO-SUCH-LICENCE> is not recognised", "dct:license"),
    "R1.1-03M": (CC_BY, NO_SUCH, "NO-SUCH-LICENCE> is not recognised", "dct:license"),
    "R1.2-01M when": (ISSUED, 'dct:issued "n/a"', 'when: "n/a" is no date', "dct:issued"),
    "R1.2-01M future": (ISSUED, 'dct:issued "2099-03-01"^^xsd:date', "or in the future", "dct:issued"),
    "R1.2-01M who": ("Owner <team/sales>", 'Owner "none"', 'who made it: "none" says', "dprod:dataProductOwner"),
    "R1.2-01M whence": (
        ERP,
        "prov:wasDerivedFrom <urn:x:n>",
        "from what: <urn:x:n> says nothing",
        "dprod:inputDataset",
    ),
    "R1.2-02M": (ERP, "prov:wasDerivedFrom <urn:x:n>", "<urn:x:n> says nothing", "prov:wasDerivedFrom"),
    "R1.3-01M": ("a dcat:Dataset", "a <urn:x:Dataset>", "lacks dcat:Dataset (sales.orders/data)", "rdf:type"),
    "R1.3-02M": ("<https://ekgf.github.io/dprod/>", "<x:y>", "a registered standard", "dct:conformsTo"),
}
"""Placeholders in the full document: what each stands for, what evidence says of it, and the property of the remedy."""


@pytest.mark.parametrize("case", HOLLOW)
def test_a_placeholder_fails_its_indicator(case: str) -> None:
    meant, placeholder, evidence, remedy = HOLLOW[case]
    assert meant in FULL
    found = indicator(case.split()[0], FULL.replace(meant, placeholder))
    assert found.passed is False, found.evidence
    assert evidence in found.evidence
    assert remedy in (found.fix or "")


def test_every_computed_indicator_has_its_placeholder() -> None:
    counted = {c.code.removeprefix("RDA-") for c in fair.CRITERIA if c.basis is Basis.PRODUCT}
    assert {case.split()[0] for case in HOLLOW} == counted


def test_a_product_of_placeholders_scores_next_to_nothing() -> None:
    text = FULL
    for meant, placeholder, _, _ in HOLLOW.values():
        text = text.replace(meant, placeholder)
    assert assess(triples(text)).score == 0


@pytest.mark.parametrize(
    "text",
    ["", " ", "....", "-", "?", "\u2014", "n/a", "N.A.", "NA", "None.", "NULL", "(unknown)", "T.B.D", "tbd!", "ToDo",
     "to do", "test", "Test test", "Lorem ipsum dolor sit amet", "xxx", "XX", "not available", "n/a, n/a",
     "to_be_defined"],
)  # fmt: skip
def test_placeholders_say_nothing(text: str) -> None:
    assert said.nothing(text)


@pytest.mark.parametrize("text", ["TBC", "Todo", "Nil", "NA", "Test", "null"])
def test_words_of_other_languages_are_placeholders_in_english_only(text: str) -> None:
    assert said.nothing(text)
    assert said.nothing(text, "en-GB")
    assert not said.nothing(text, "es")
    assert said.nothing("n/a", "es")
    assert said.nothing("T.B.C.", "es")
    keyword = without("dcat:keyword") + f'<sales.orders> dcat:keyword "{text}"'
    assert "F2-01M" in failing(keyword + " .")
    assert "F2-01M" not in failing(keyword + "@es .")
    assert "F2-01M" not in failing(without("dct:title") + f'<sales.orders> dct:title "{text}"@pt .')


@pytest.mark.parametrize(
    "text",
    [
        "Orders",
        "test results",
        "X",
        "AAA",
        "0",
        "\u9867\u5ba2",
        "National accounts",
        "nothing but orders",
        "Unknown callers",
    ],
)
def test_other_words_are_taken_for_what_they_are(text: str) -> None:
    assert not said.nothing(text)


@pytest.mark.parametrize(
    ("iri", "connects", "refers"),
    [
        ("https://warehouse.example.org/x", True, True),
        ("http://[::1]:8080/x", True, True),
        ("jdbc:postgresql://db.example.org/x", True, True),
        ("abfss://raw@acme.dfs.core.windows.net/x", True, True),
        ("kafka://broker:9092/orders", True, True),
        ("postgresql+psycopg2://db.example.org/x", True, True),
        ("redis://cache.example.org:6379/0", True, True),
        ("jdbc:aws-wrapper:postgresql://db.example.org/x", True, True),
        ("jdbc:h2:~/test", True, True),
        ("arn:aws:s3:::bucket/orders", True, True),
        ("arn:aws:s3:::tbd", False, True),
        ("s3://test/orders", True, True),
        ("s3n://bucket/orders", True, True),
        ("trino+https://warehouse.example.org/x", True, True),
        ("kafka+ssl://broker:9092/orders", True, True),
        ("oss://bucket/orders", True, True),
        ("r2://bucket/orders", True, True),
        ("dynamodb://orders", True, True),
        ("dbfs:/mnt/orders", True, True),
        ("dbfs:/-", False, False),
        ("ivo://org.gavo.dc/tap", False, True),
        ("swh:1:cnt:94a9ed024d3859793618152ea559a168bbcbb5e2", False, True),
        ("oai:arXiv.org:1703.01234", False, True),
        ("geo:52.5,13.4", False, True),
        ("https://", False, False),
        ("https://none:8080/x", False, False),
        ("https://n/a", False, False),
        ("https://.../x", False, False),
        ("https://orders.invalid/x", False, False),
        ("https://warehouse example", False, False),
        ("jdbc:postgresql", False, False),
        ("jdbc:postgresql:-", False, False),
        ("file:///tmp/x", False, False),
        ("x:y", False, False),
        ("urn:isbn:9780131103627", False, True),
        ("urn:x:nothing", False, False),
        ("urn:X-acme:orders", False, False),
        ("urn:example:orders", False, False),
        ("urn:isbn:-", False, False),
        ("doi:10.15497/rda00050", False, True),
        ("doi:n/a", False, False),
        ("mailto:sales@example.org", False, True),
        ("http://publications.europa.eu/resource/authority/frequency/DAILY", True, True),
        ("http://publications.europa.eu/resource/authority/frequency/UNKNOWN", True, False),
        ("http://www.w3.org/1999/02/22-rdf-syntax-ns#nil", True, False),
    ],
)
def test_addresses_and_references(iri: str, connects: bool, refers: bool) -> None:
    assert (said.address(iri), said.reference(iri)) == (connects, refers)


def test_addresses_begin_as_rule_17_wants_it() -> None:
    shapes = rdf.parse(
        (ROOT / "ontologies" / "core" / "shapes.ttl").read_bytes(), rdf.TURTLE, BASE, any_base=True
    ).quads
    (pattern,) = [
        quad.object.value
        for quad in shapes
        if quad.subject.value.endswith("17#address") and quad.predicate.value.endswith("#pattern")
    ]
    assert pattern == f"^({said.ADDRESS})"


ADDRESSES = {
    "cc-by-4.0": """https://creativecommons.org/licenses/by/4.0/ http://www.creativecommons.org/licenses/by/4.0
        https://creativecommons.org/licenses/by/4.0/legalcode.en https://creativecommons.org/licenses/by/4.0/legalcode.de
        https://creativecommons.org/licenses/by/4.0/deed.pt-br https://creativecommons.org/licenses/by/4.0/deed.zh-hans
        https://creativecommons.org/licenses/by/4.0/deed.zh_TW https://creativecommons.org/licenses/by/4.0/rdf
        http://publications.europa.eu/resource/authority/licence/CC_BY_4_0 https://spdx.org/licenses/CC-BY-4.0
        http://dcat-ap.de/def/licenses/cc-by/4.0 http://purl.org/NET/rdflicense/cc-by4.0""",
    "cc-by-nc-sa-4.0": """https://creativecommons.org/licenses/by-nc-sa/4.0/
        http://publications.europa.eu/resource/authority/licence/CC_BYNCSA_4_0""",
    "cc-by-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "cc-by-3.0-igo": "https://creativecommons.org/licenses/by/3.0/igo/ https://spdx.org/licenses/CC-BY-3.0-IGO",
    "cc-by-3.0-de": """https://creativecommons.org/licenses/by/3.0/de/deed.en
        http://dcat-ap.de/def/licenses/cc-by-de/3.0""",
    "cc-by-2.1-jp": "https://creativecommons.org/licenses/by/2.1/jp https://creativecommons.org/licenses/by/2.1/jp/",
    "cc0-1.0": """https://creativecommons.org/publicdomain/zero/1.0/legalcode.en http://dcat-ap.de/def/licenses/cc-zero
        http://publications.europa.eu/resource/authority/licence/CC0 http://www.opendefinition.org/licenses/cc-zero""",
    "mit": """https://spdx.org/licenses/MIT https://spdx.org/licenses/MIT.html https://spdx.org/licenses/MIT/
        https://www.spdx.org/licenses/MIT https://opensource.org/license/mit https://opensource.org/license/mit/
        https://opensource.org/licenses/MIT https://www.opensource.org/licenses/mit-license.php""",
    "apache-2.0": """https://www.apache.org/licenses/LICENSE-2.0 http://apache.org/licenses/LICENSE-2.0.txt
        https://opensource.org/license/apache-2-0 https://spdx.org/licenses/Apache-2.0
        http://publications.europa.eu/resource/authority/licence/APACHE_2_0""",
    "dl-de-by-2.0": "http://dcat-ap.de/def/licenses/dl-by-de/2.0 https://www.govdata.de/dl-de/by-2-0",
    "dl-de-zero-2.0": "https://www.dcat-ap.de/def/licenses/dl-zero-de/2.0 https://spdx.org/licenses/DL-DE-ZERO-2.0",
    "odbl-1.0": """https://opendatacommons.org/licenses/odbl/1-0/ http://opendefinition.org/licenses/odc-odbl
        http://publications.europa.eu/resource/authority/licence/ODC_BL""",
    "odc-by-1.0": "https://opendatacommons.org/licenses/by/1.0/ https://spdx.org/licenses/ODC-By-1.0",
    "dbcl-1.0": "https://opendatacommons.org/licenses/dbcl/1-0/",
    "nlod-2.0": "https://data.norge.no/nlod/nn/2.0 https://data.norge.no/nlod/en/2.0/",
    "ogl-uk-3.0": """http://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/
        http://publications.europa.eu/resource/authority/licence/OGL_3_0""",
    "cdla-permissive-2.0": "https://cdla.dev/permissive-2-0 https://spdx.org/licenses/CDLA-Permissive-2.0",
    "gnu.org/gpl-3.0": "https://www.gnu.org/licenses/gpl-3.0.html https://gnu.org/licenses/gpl-3.0.en.html",
    "gnu.org/fdl-1.2": "https://www.gnu.org/licenses/old-licenses/fdl-1.2.txt",
    "gnu.org/agpl": "https://www.gnu.org/licenses/agpl.html",
    "dcat-ap.de/def/licenses/officialWork": "http://dcat-ap.de/def/licenses/officialWork",
    "data.norge.no/nlod/no": "https://data.norge.no/nlod/no",
}
"""Licences by their one name, each with addresses."""


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_licence_is_standard_and_the_same_by_all_its_addresses(name: str) -> None:
    for address in ADDRESSES[name].split():
        assert licences.standard(address), address
        assert licences.same_as(address) == name, address


def test_addresses_of_creative_commons_and_spdx_answer_to_machines() -> None:
    readable = ("creativecommons.org", "spdx.org", "publications.europa.eu", "purl.org/NET/rdflicense")
    for address in " ".join(ADDRESSES.values()).split():
        assert licences.machine_readable(address) is any(host in address for host in readable), address


@pytest.mark.parametrize(
    "address",
    [
        "https://creativecommons.org/licenses/by/4.0/deed.",
        "https://creativecommons.org/licenses/by/3.0/igo/free-for-all",
        "https://creativecommons.org/licenses/by/4.2/",
        "https://www.creativecommons.org.evil.test/licenses/by/4.0/",
        "http://dcat-ap.de/def/licenses/other-closed",
        "https://www.gnu.org/licenses/",
        "https://cdla.dev/",
        "https://opensource.org/license/no-such-licence/",
        "https://www.spdx.org/licenses/LicenseRef-MIT/",
    ],
)
def test_addresses_of_no_licence(address: str) -> None:
    assert not licences.standard(address)
    assert licences.same_as(address) not in ADDRESSES


@pytest.mark.parametrize(
    ("nameless", "says"),
    [
        ("[]", False),
        ("[ a dct:PeriodOfTime ]", False),
        ("[ dcat:startDate 'n/a' ]", False),
        ("[ dct:relation [ dct:relation [] ] ]", False),
        ("[ dct:relation [ dct:relation [ dcat:startDate '2020-01-01'^^xsd:date ] ] ]", True),
        ("()", False),
        ("( 'n/a' )", False),
        ("( '2020' )", True),
        ("<term/coverage>", True),
        ("<n/a>", False),
    ],
)
def test_a_node_without_a_name_says_what_is_said_of_it(nameless: str, says: bool) -> None:
    text = without("dct:accrualPeriodicity") + f"<sales.orders> dct:temporal {nameless} ."
    assert ("R1-01M" not in failing(text)) is says


def test_dates_out_of_order_are_no_provenance() -> None:
    found = indicator("R1.2-01M", FULL + '<sales.orders> dct:modified "2024-03-01"^^xsd:date .')
    assert found.passed is False
    assert "when: dct:modified is before dct:issued" in found.evidence


RESTING = {"04": "F2-01M", "18": "R1-01M", "19": "R1-01M", "25": "R1-01M", "26": "R1.2-01M"}
"""Core rules, and the indicators that rest on the same statements."""
BARE = {
    "04": "<sales.orders> dct:description", "18": "csvw:column", "19": "<sales.orders/data> dct:description",
    "25": "dcat:version", "26": "dct:issued",
}  # fmt: skip
"""Lines of the full document that give way to those of an example."""
OBJECTED = {
    "04": "<sales.orders> dct:description 'Orders of all'@en .",
    "18": "<sales.orders/table> dct:format 'CSV' . <sales.orders/data> dcat:distribution <sales.orders/other> ."
    " <sales.orders/other> a dcat:Distribution ; dcat:mediaType"
    " <https://www.iana.org/assignments/media-types/text/csv> .",
    "19": "<sales.orders/data> dct:description 'Orders' .",
    "25": "<sales.orders> dcat:version '1.02.0' .",
    "26": "<sales.orders> dct:issued '2025-03-01' , '2024-03-01'^^xsd:date .",
}


@pytest.mark.parametrize("rule", OBJECTED)
def test_no_indicator_passes_on_what_a_core_rule_objects_to(rule: str) -> None:
    text = without(BARE[rule]) + OBJECTED[rule]
    read = document.read((PREFIXES + text).encode(), rdf.TURTLE, BASE)
    report = validate(
        RuleSet.load(), read.nquads, b"", product=PRODUCT, domain="sales", own=read.own, iri_base=BASE, now=AT
    )
    assert f"core/{rule}" in {finding.rule for finding in report.findings}
    assert RESTING[rule] in failing(text)
