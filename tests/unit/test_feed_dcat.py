"""DCAT files as product documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog import document, rdf
from fairmesh.catalog.errors import InputError, ParseError
from fairmesh.catalog.feeds import Completion, Import, ImportOptions, dcat
from fairmesh.catalog.feeds.drafting import slug

BASE = "http://mesh.test/id/"
DCT, DCAT, DPROD = rdf.PREFIXES["dct"], rdf.PREFIXES["dcat"], rdf.PREFIXES["dprod"]
FM, FOAF, VCARD = rdf.PREFIXES["fm"], rdf.PREFIXES["foaf"], rdf.PREFIXES["vcard"]
TYPE = rdf.PREFIXES["rdf"] + "type"
OWNED = ImportOptions("open", owner="Open data team")
PREFIXES = """
@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> . @prefix vcard: <http://www.w3.org/2006/vcard/ns#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix fm: <https://w3id.org/fairmesh/ns#> . @prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix : <https://data.test/> .
"""


def read(*texts: str, options: ImportOptions = OWNED) -> Import:
    """Files f1.ttl, f2.ttl, ... each with the prefixes above."""
    return dcat.read([(f"f{n}.ttl", (PREFIXES + text).encode()) for n, text in enumerate(texts, 1)], options)


class Facts:
    """The statements of an import's documents, each of which can be registered."""

    def __init__(self, found: Import) -> None:
        self.triples = []
        for one in found.documents:
            registered = document.read(one.turtle, rdf.TURTLE, BASE)
            assert registered.key == one.key
            self.triples += rdf.load(registered.nquads)

    def values(self, subject: str, predicate: str) -> list[str]:
        subject = subject if "://" in subject else BASE + subject
        return sorted(
            {o.value.removeprefix(BASE) for s, p, o in self.triples if s.value == subject and p.value == predicate}
        )

    def about(self, subject: str) -> set[str]:
        return {p.value for s, p, _ in self.triples if s.value == subject}


def test_a_dataset_keeps_its_iri_and_its_statements() -> None:
    found = read("""
        :one a dcat:Dataset ; dct:title "Roads"@en, "Routes"@fr ; dct:description "All public roads, one row each."@en ;
          dcat:keyword "road"@en ; dcat:theme <https://theme.test/t> ; dct:license <https://l.test/by> ;
          dct:issued "2020-01-02"^^xsd:date ; dcat:version "2.0.0" ;
          dcat:distribution [ a dcat:Distribution ; dcat:accessURL <https://data.test/one.csv> ] .""")
    facts = Facts(found)
    assert [d.key for d in found.documents] == ["open.one"]
    assert facts.values("open.one", DPROD + "outputDataset") == ["https://data.test/one"]
    assert facts.values("open.one", DCT + "title") == ["Roads", "Routes"]
    assert facts.values("open.one", DCT + "description") == ["All public roads, one row each."]
    assert facts.values("open.one", DCT + "license") == ["https://l.test/by"]
    assert facts.values("open.one", DCAT + "version") == ["2.0.0"]
    assert facts.values("https://data.test/one", DCT + "issued") == ["2020-01-02"]
    [distribution] = facts.values("https://data.test/one", DCAT + "distribution")
    assert facts.values(distribution, DCAT + "accessURL") == ["https://data.test/one.csv"]
    assert found.notes == ()


def test_what_was_added_is_told_from_what_was_said() -> None:
    facts = Facts(read(':one a dcat:Dataset ; dct:title "Roads"@en ; dct:description "Public roads, one a row."@en .'))
    dataset = facts.values("open.one/dataset-record", FM + "assertedPredicate")
    assert dataset == [DPROD + "informationSensitivityClassification"]
    assert facts.values("open.one/record", FM + "assertedPredicate") == sorted(
        [DCT + "identifier", DCAT + "version", *(DPROD + p for p in ("dataProductOwner", "domain", "lifecycleStatus"))]
    )
    assert facts.values("open.one/dataset-record", DCT + "source") == ["f1.ttl"]


def test_records_without_a_type_are_known_by_their_distribution() -> None:
    found = read("""
        :one <http://purl.org/dc/elements/1.1/title> "Cells" ; dcat:distribution :one.owl ;
          <http://purl.org/dc/elements/1.1/description> "Types of cells, with their names and parents." ;
          <http://purl.org/dc/terms/1.1/license> <https://l.test/by> .
        :one.owl dcat:accessURL "https://data.test/one.owl" .
        :series a dcat:DatasetSeries ; dcat:distribution :one.owl .
        :resource a dcat:Resource ; dct:title "A resource" .
        :service a dcat:Resource , dcat:DataService ; dct:title "A service" .""")
    facts = Facts(found)
    assert [d.key for d in found.documents] == ["open.one", "open.resource"]
    assert facts.values("https://data.test/one", TYPE) == [DCAT + "Dataset"]
    assert facts.values("open.one", DCT + "title") == ["Cells"]
    assert facts.values("open.one", DCT + "license") == ["https://l.test/by"]
    said = facts.values("open.one/record", FM + "assertedPredicate")
    assert {DCT + "title", DCT + "description", DCT + "license"} <= set(said)
    assert TYPE in facts.values("open.one/dataset-record", FM + "assertedPredicate")
    assert "http://purl.org/dc/terms/1.1/license" in facts.about("https://data.test/one")
    assert "f1.ttl: 1 addresses (dcat:accessURL) are texts at the source, not IRIs, and stay so" in found.notes
    assert any("<https://data.test/series>" in n and "is no dataset" in n for n in found.notes)
    assert any("<https://data.test/service>" in n and "is no dataset" in n for n in found.notes)


def test_the_catalogs_publisher_is_carried_down_to_datasets_without_one() -> None:
    found = read("""
        :catalog a dcat:Catalog ; dct:title "All"@en ; dct:publisher :city ; dcat:dataset :one , :two .
        :city foaf:name "City"@en . :state foaf:name "State"@en .
        :one a dcat:Dataset ; dct:title "One"@en . :two a dcat:Dataset ; dct:title "Two"@en ; dct:publisher :state .""")
    facts = Facts(found)
    assert facts.values("https://data.test/one", DCT + "publisher") == ["https://data.test/city"]
    assert facts.values("https://data.test/two", DCT + "publisher") == ["https://data.test/state"]
    assert facts.values("https://data.test/city", FOAF + "name") == ["City"]
    assert DCT + "publisher" in facts.values("open.one/dataset-record", FM + "assertedPredicate")
    assert DCT + "publisher" not in facts.values("open.two/dataset-record", FM + "assertedPredicate")
    assert facts.values("open.one/record", DCT + "source") == ["https://data.test/catalog"]


def test_a_publisher_without_an_iri_is_described_where_it_is_carried_to() -> None:
    facts = Facts(read("""
        :catalog a dcat:Catalog ; dct:publisher [ foaf:name "City"@en ] ; dcat:dataset :one .
        :one a dcat:Dataset ; dct:title "One"@en .""", options=ImportOptions("open")))  # fmt: skip
    [publisher] = facts.values("https://data.test/one", DCT + "publisher")
    assert facts.values(publisher, FOAF + "name") == ["City"]
    assert facts.values(facts.values("open.one", DPROD + "dataProductOwner")[0], FOAF + "name") == ["City"]


def test_a_dataset_without_any_owner_is_a_problem_and_others_go_on() -> None:
    found = read(
        ':one a dcat:Dataset ; dct:title "One" . :two a dcat:Dataset ; dct:publisher [ foaf:name "Them" ] .',
        options=ImportOptions("open"),
    )
    assert [d.key for d in found.documents] == ["open.two"]
    assert [(p.file, p.record) for p in found.problems] == [("f1.ttl", "https://data.test/one")]
    assert "--owner NAME" in found.problems[0].remedy
    assert found.notes == ()


def test_completions_fill_in_what_the_source_lacks() -> None:
    completions = {"open.one": Completion(description="Everything known about the roads.", classification="public")}
    options = ImportOptions("open", owner="Team", contact="https://help.test/", completions=completions)
    facts = Facts(read(":one a dcat:Dataset . :two a dcat:Dataset .", options=options))
    assert facts.values("open.one", DCT + "description") == ["Everything known about the roads."]
    classified = [
        facts.values(f"https://data.test/{n}", DPROD + "informationSensitivityClassification") for n in ("one", "two")
    ]
    assert [words[0].rsplit("/")[-1] for words in classified] == ["public", "internal"]
    assert facts.values(facts.values("open.two", DCAT + "contactPoint")[0], VCARD + "hasURL") == ["https://help.test/"]


def test_an_endpoint_becomes_a_port_that_reaches_the_dataset() -> None:
    options = ImportOptions("open", owner="T", completions={"*": Completion(endpoint="https://sql.test/")})
    facts = Facts(read(":one a dcat:Dataset .", options=options))
    [port] = facts.values("open.one", DPROD + "outputPort")
    [distribution] = facts.values("https://data.test/one", DCAT + "distribution")
    assert facts.values(distribution, DCAT + "accessService") == [port]
    assert DCAT + "distribution" in facts.values("open.one/dataset-record", FM + "assertedPredicate")


def test_short_descriptions_are_made_longer_for_the_product_only() -> None:
    facts = Facts(read(':one a dcat:Dataset ; dct:title "Roads"@en ; dct:description "All roads"@en .'))
    assert facts.values("https://data.test/one", DCT + "description") == ["All roads"]
    [text] = facts.values("open.one", DCT + "description")
    assert text.startswith("Roads: All roads. Imported from the DCAT record https://data.test/one")
    assert DCT + "description" in facts.values("open.one/record", FM + "assertedPredicate")


def test_one_text_of_a_language_goes_to_the_product() -> None:
    found = read(':one a dcat:Dataset ; dct:title "B"@en , "A"@EN , "C"@de .')
    facts = Facts(found)
    assert facts.values("open.one", DCT + "title") == ["A", "C"]
    assert facts.values("https://data.test/one", DCT + "title") == ["A", "B", "C"]
    assert [n for n in found.notes if "second dct:title in 'en'" in n]


def test_files_are_one_graph_and_the_first_file_settles_contradictions() -> None:
    first = ':one a dcat:Dataset ; dct:title "Old"@en ; dcat:contactPoint [ vcard:fn "Desk" ] ; dcat:distribution :d .'
    second = ':one a dcat:Dataset ; dct:title "New"@en , "Neu"@de ; dcat:contactPoint [ vcard:fn "Desk" ] .'
    third = ":d a dcat:Distribution ; dcat:downloadURL <https://data.test/d.csv> ."
    found = read(first, second, third)
    facts = Facts(found)
    assert len(found.documents) == 1
    assert facts.values("https://data.test/one", DCT + "title") == ["Neu", "Old"]
    assert len(facts.values("https://data.test/one", DCAT + "contactPoint")) == 1
    assert facts.values("https://data.test/d", DCAT + "downloadURL") == ["https://data.test/d.csv"]
    assert 'f2.ttl: <https://data.test/one> dct:title "New"@en left out, f1.ttl says otherwise' in found.notes
    assert "<https://data.test/one> is described in 2 files, read as one: f1.ttl, f2.ttl" in found.notes
    assert not found.problems


def test_names_that_collide_get_keys_of_their_own() -> None:
    text = """
        :a a dcat:Dataset ; dct:identifier "Same" . :b a dcat:Dataset ; dct:identifier "same" .
        <https://data.test/x/7> a dcat:Dataset . :c a dcat:Dataset ; dct:identifier "https://id.test/c/long-name" .
        :d a dcat:Dataset ; dct:identifier "u"^^:own , "plain" ."""
    found = read(text)
    keys = {d.record: d.key for d in found.documents}
    assert keys["https://data.test/a"] == "open.same"
    assert keys["https://data.test/b"].startswith("open.same-")
    assert keys["https://data.test/x/7"] == "open.x-7"
    assert keys["https://data.test/c"] == "open.long-name"
    assert keys["https://data.test/d"] == "open.plain"
    assert any("is taken by <https://data.test/a>" in n for n in found.notes)
    assert [d.turtle for d in read(text).documents] == [d.turtle for d in found.documents]


def test_contacts_reach_the_product_with_their_address() -> None:
    found = read("""
        :one a dcat:Dataset ; dcat:contactPoint :desk .
        :desk a vcard:Kind ; vcard:fn "Desk" ; vcard:hasEmail "D@x.test" ; vcard:tel "112" .""")
    facts = Facts(found)
    assert facts.values("open.one", DCAT + "contactPoint") == ["contact/d-x-test"]
    assert facts.values("contact/d-x-test", VCARD + "hasEmail") == ["mailto:D@x.test"]
    assert facts.about("https://data.test/desk") == {TYPE, VCARD + "fn"}
    assert [n for n in found.notes if "<https://data.test/desk>: 1 statements left out (vcard:tel)" in n]


def test_what_a_document_may_not_say_is_left_out_with_a_line() -> None:
    found = read("""
        :one a dcat:Dataset , owl:Thing , dprod:DataProduct ; rdfs:subClassOf :x ; fm:position 1 ; foaf:page <page> ;
          dprod:informationSensitivityClassification :secret ; dct:spatial :place ; dct:relation dct:title .
        :place a skos:Concept ; skos:prefLabel "Here"@en ; skos:broader :there . dct:title rdfs:label "Mine" .
        :record a dcat:CatalogRecord ; foaf:primaryTopic :one .""")
    facts = Facts(found)
    assert facts.about("https://data.test/place") == {TYPE, rdf.PREFIXES["skos"] + "prefLabel"}
    assert facts.values("https://data.test/one", TYPE) == [DCAT + "Dataset"]
    notes = "\n".join(found.notes)
    for piece in (
        "(rdf:type, rdfs:subClassOf): an axiom", "(rdf:type): the product is another node",
        "(fm:position): a statement in fairmesh's own terms",
        "(foaf:page): a relative IRI", "(dprod:informationSensitivityClassification): a classification",
        "(skos:broader): a node outside", "<http://purl.org/dc/terms/title>: 1 statements left out",
        "<https://data.test/record>: 2 statements left out",
    ):  # fmt: skip
        assert piece in notes


def test_a_source_may_have_a_base_of_its_own() -> None:
    found = read('@base <https://base.test/set/> . <roads> a dcat:Dataset ; dct:title "Roads"@en .')
    assert [d.record for d in found.documents] == ["https://base.test/set/roads"]


def test_datasets_without_a_lasting_iri_are_problems() -> None:
    found = read('[] a dcat:Dataset ; dct:title "Nameless" . <near> a dcat:Dataset . :one a dcat:Dataset .')
    assert [d.key for d in found.documents] == ["open.one"]
    assert {(p.record, p.reason) for p in found.problems} == {
        ("Nameless", "the dataset has no IRI of its own"), ("near", "the dataset's IRI is relative"),
    }  # fmt: skip


def test_files_that_cannot_be_read_or_hold_nothing_leave_the_rest_standing() -> None:
    found = read(":one a dcat:Dataset .", ":one a ;", ":x a foaf:Agent .", "_:a :p _:b . _:b :p _:a .")
    assert [d.key for d in found.documents] == ["open.one"]
    assert [(p.file, p.reason) for p in found.problems][2] == ("f3.ttl", "no dataset found")
    broken = found.problems[0]
    assert (broken.file, broken.line) == ("f2.ttl", 8)
    assert broken.column
    assert "circle" in found.problems[1].reason


def test_alone_such_files_are_errors() -> None:
    with pytest.raises(ParseError) as error:
        read(":one a ;")
    assert error.value.line == 8
    with pytest.raises(InputError, match=r"no dataset found in f1\.ttl"):
        read(":x a foaf:Agent .")
    with pytest.raises(InputError, match=r"no dataset found in f1\.ttl, f2\.ttl"):
        read(":x a foaf:Agent .", ":y a foaf:Agent .")
    found = read(":x a foaf:Agent .", ":y a ;")
    assert not found.documents
    assert [p.file for p in found.problems] == ["f2.ttl", "f1.ttl"]


@given(st.text(max_size=100))
def test_any_name_can_be_part_of_a_key(text: str) -> None:
    assert document.KEY.fullmatch("open." + slug(text))
    assert len(slug(text)) <= 60


def real(shared: Path, pattern: str, options: ImportOptions = OWNED) -> Import:
    folder = shared / "data"
    return dcat.read([(f.name, f.read_bytes()) for f in sorted(folder.glob(pattern))], options)


@pytest.mark.parametrize(
    ("pattern", "documents", "problems"),
    [
        ("idn-au/data/catalogues/democat/*.ttl", 29, 0),
        ("fdk-no/src/test/resources/*.ttl", 23, 12),
        ("obofoundry/registry/ontologies.ttl", 232, 0),
        ("linkedpipes-nkod/lp-etl/test.trig", 36, 0),
    ],
)
def test_real_catalogs_come_in_whole(shared: Path, pattern: str, documents: int, problems: int) -> None:
    found = real(shared, pattern)
    facts = Facts(found)
    assert (len(found.documents), len(found.problems)) == (documents, problems)
    outputs = {o.value for _, p, o in facts.triples if p.value == DPROD + "outputDataset"}
    assert outputs == {d.record for d in found.documents}


def test_real_files_that_do_not_parse_say_where(shared: Path) -> None:
    found = real(shared, "fdk-no/src/test/resources/*.ttl")
    places = {(p.file, p.line, p.column) for p in found.problems if p.line}
    assert places == {("all_datasets.ttl", 62, 9), ("harvest_response_error.ttl", 6, 35)}


def test_every_real_statement_is_in_a_document_or_in_a_line(shared: Path) -> None:
    place = shared / "data/obofoundry/registry/ontologies.ttl"
    found = dcat.read([(place.name, place.read_bytes())], OWNED)
    kept = {str(t) for t in Facts(found).triples}
    noted = "\n".join(found.notes)
    for quad in rdf.parse(place.read_bytes(), None, iri_base=BASE).quads:
        if isinstance(quad.subject, rdf.NamedNode) and isinstance(quad.object, rdf.NamedNode | rdf.Literal):
            assert str(quad.triple) in kept or f"<{quad.subject.value}>" in noted
