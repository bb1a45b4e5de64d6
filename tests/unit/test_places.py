"""Where blank nodes stand in a submitted document, in every syntax."""

from __future__ import annotations

import re

import pytest

from fairmesh.catalog import document, rdf
from fairmesh.catalog.places import Positions

BASE = "http://localhost/id/"
DATA, DCAT, DCT = BASE + "sales.orders/data", rdf.PREFIXES["dcat"], rdf.PREFIXES["dct"]
TURTLE = r"""@prefix csvw: <http://www.w3.org/ns/csvw#> .
@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<sales.orders> a dprod:DataProduct ; dprod:outputDataset <sales.orders/data> .
<sales.orders/data> a dcat:Dataset ;
  dcat:distribution [ a dcat:Distribution ; dcat:byteSize 7 ;
      dcat:accessService [ dcat:endpointURL <https://x.example.org/a> ] ] , [
    a dcat:Distribution ; dcat:byteSize 7 ;
    dcat:accessService [
      dcat:endpointURL <https://x.example.org/b> ] ] ,
   _:third ;
  dct:conformsTo [ a csvw:Schema ;
    csvw:column (
      [ csvw:name "id" ; csvw:required true ]
      [ csvw:name "say \"hi\"" ; csvw:datatype xsd:string ; dct:issued "2026-01-01"^^xsd:date ]
    ) ] .
_:third a dcat:Distribution ;
  dct:format "n/a" .
"""
XML = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dcat="http://www.w3.org/ns/dcat#"
    xmlns:dct="http://purl.org/dc/terms/" xmlns:dprod="https://ekgf.github.io/dprod/">
 <dprod:DataProduct rdf:about="sales.orders"><dprod:outputDataset rdf:resource="sales.orders/data"/></dprod:DataProduct>
 <dcat:Dataset rdf:about="sales.orders/data">
  <dcat:distribution>
   <dcat:Distribution>
    <dct:title>\u00e9</dct:title>
   </dcat:Distribution>
  </dcat:distribution>
  <dcat:distribution rdf:parseType="Resource">
   <dct:title>y</dct:title>
   <dct:format>n/a</dct:format>
  </dcat:distribution>
  <dcat:distribution rdf:nodeID="third"/>
 </dcat:Dataset>
 <dcat:Distribution rdf:nodeID="third"><dct:title>z</dct:title></dcat:Distribution>
</rdf:RDF>"""
JSON = """{"@context": {"dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/",
   "dprod": "https://ekgf.github.io/dprod/", "files": {"@id": "dcat:distribution"}, "words": "dct:title"},
 "@graph": [
  {"@id": "sales.orders", "@type": "dprod:DataProduct", "dprod:outputDataset": {"@id": "sales.orders/data"}},
  {"@type": "dcat:Dataset", "files": [
    {"@type": "dcat:Distribution",
     "words": {"@value": "x", "@language": "en"}},
    {"@type": "dcat:Distribution",
     "words": "y", "dcat:byteSize": 7,
     "dct:format": "n/a"},
    {"@id": "_:third"}],
   "@id": "sales.orders/data"},
  {"@id": "_:third", "words": "z"}
 ]}"""


def lines(text: str, media_type: str) -> dict[tuple[str, str], int | None]:
    """For each statement of a blank node, by predicate and object, the line where it is placed."""
    read = document.read(text.encode(), media_type, BASE)
    stated = rdf.load(read.nquads)
    places = Positions(text.encode(), read.media_type, BASE, lambda: stated)
    return {
        (t.predicate.value.removeprefix(DCAT).removeprefix(DCT), getattr(t.object, "value", "")):
            (places.find(t.subject.value, t.predicate.value) or (None,))[0]
        for t in stated if rdf.GENID in t.subject.value
    }  # fmt: skip


def test_blank_nodes_of_turtle_are_told_apart_by_what_they_lead_to() -> None:
    found = lines(TURTLE, rdf.TURTLE)
    assert found["endpointURL", "https://x.example.org/a"] == 9
    assert found["endpointURL", "https://x.example.org/b"] == 12
    assert found["format", "n/a"] == 20
    assert found["http://www.w3.org/ns/csvw#name", "id"] == 16
    assert found["http://www.w3.org/ns/csvw#name", 'say "hi"'] == 17
    assert found["issued", "2026-01-01"] == 17


@pytest.mark.parametrize(("text", "media_type", "expected"), [
    (XML, rdf.RDF_XML, {("title", "\u00e9"): 7, ("title", "y"): 11, ("format", "n/a"): 12, ("title", "z"): 16}),
    (JSON, rdf.JSON_LD, {("title", "x"): 7, ("title", "y"): 9, ("format", "n/a"): 10, ("title", "z"): 13}),
])  # fmt: skip
def test_blank_nodes_of_other_syntaxes(text: str, media_type: str, expected: dict[tuple[str, str], int]) -> None:
    found = lines(text, media_type)
    assert {key: found[key] for key in expected} == expected


def test_blank_nodes_of_n_triples_as_they_were_given_out() -> None:
    read = document.read(TURTLE.encode(), rdf.TURTLE, BASE)
    text = read.nquads.decode()
    found = lines(text, rdf.N_TRIPLES)
    stated = [line for line in text.splitlines() if "endpointURL" in line]
    for address in ("https://x.example.org/a", "https://x.example.org/b"):
        place = next(line for line in stated if address in line)
        assert found["endpointURL", address] == text.splitlines().index(place) + 1


def test_what_is_not_said_of_a_blank_node_is_placed_at_its_bracket() -> None:
    stated = rdf.load(document.read(TURTLE.encode(), rdf.TURTLE, BASE).nquads)
    services = {t.object.value: t.subject.value for t in stated if t.predicate.value == DCAT + "endpointURL"}
    places = Positions(TURTLE.encode(), rdf.TURTLE, BASE, lambda: stated)
    assert places.find(services["https://x.example.org/a"], DCT + "title") == (9, 26)
    assert places.find(services["https://x.example.org/b"]) == (11, 24)
    assert places.find(services["https://x.example.org/b"], DCAT + "endpointURL|" + DCT + "title") == (11, 24)


def test_blank_nodes_that_cannot_be_told_apart_are_placed_at_what_leads_to_them() -> None:
    text = TURTLE.replace("dcat:byteSize 7", "dcat:byteSize 07")  # what is read is another number
    stated = [t for t in rdf.load(document.read(TURTLE.encode(), rdf.TURTLE, BASE).nquads) if t.object.value != "7"]
    first = next(t.object.value for t in stated if t.predicate.value == DCAT + "accessService")
    places = Positions(text.encode(), rdf.TURTLE, BASE, lambda: stated)
    assert places.find(first) == (8, 3)
    assert Positions(text.encode(), rdf.TURTLE, BASE).find(first) == (6, 1)  # the product's


LOOSE = (
    TURTLE
    + """[] a dcat:Distribution ; dct:isPartOf <sales.orders/data> ; dcat:mediaType "csv" .
[ a dcat:DataService ; dct:isPartOf <sales.orders/data> ;
  dcat:endpointURL <https://x.example.org/loose> ] .
<sales.orders/data> dct:provenance ( ( "a" [ a dcat:DataService ;
  dcat:endpointURL <https://x.example.org/deep> ] ) [
  dct:title "next" ] ) .
_:loose dct:isPartOf <sales.orders/data> ; dct:relation [
  dct:title "below" ] .
( [ a dcat:DataService ;
  dcat:endpointURL <https://x.example.org/listed> ] ) dct:isPartOf <sales.orders/data> .
"""
)


def test_nodes_that_nothing_leads_to_are_told_by_what_they_say() -> None:
    found = lines(LOOSE, rdf.TURTLE)
    assert found["mediaType", "csv"] == 21
    assert found["endpointURL", "https://x.example.org/loose"] == 23
    assert found["endpointURL", "https://x.example.org/deep"] == 25
    assert found["title", "next"] == 26
    assert found["title", "below"] == 28
    assert found["endpointURL", "https://x.example.org/listed"] == 30
    assert found["format", "n/a"] == 20
    assert found["http://www.w3.org/ns/csvw#name", "id"] == 16


def test_nodes_of_other_syntaxes_that_nothing_leads_to() -> None:
    xml = XML.replace("</rdf:RDF>", """ <dcat:Distribution>
  <dct:format>x</dct:format><dct:isPartOf rdf:resource="sales.orders/data"/></dcat:Distribution>
 <dcat:Distribution><dct:isPartOf rdf:resource="sales.orders/data"/>
  <dct:format>y</dct:format></dcat:Distribution>
</rdf:RDF>""")  # fmt: skip
    found = lines(xml, rdf.RDF_XML)
    assert (found["format", "x"], found["format", "y"]) == (18, 20)


def test_lists_that_are_stated_cell_by_cell() -> None:
    text = document.read(LOOSE.encode(), rdf.TURTLE, BASE).nquads.decode()
    found = lines(text, rdf.N_TRIPLES)
    for value in ("https://x.example.org/deep", "https://x.example.org/listed", "next", "id"):
        (line,) = (at for (_, said), at in found.items() if said == value)
        assert line is not None
        assert re.search(rf'["<]{value}[">]', text.splitlines()[line - 1])


@pytest.mark.parametrize(
    "text",
    ['{"@context": {"a": 5, "b": {"@id": 7, "@container": [{}]}}, "b": {"a": [{"@id":', "[[{", '{"@reverse": {}}'],
)
def test_json_that_is_no_json_ld_is_scanned(text: str) -> None:
    places = Positions(text.encode(), rdf.JSON_LD, BASE)
    assert places.find(BASE + "sales.orders" + rdf.GENID + "1") is None


JSON_MORE = """{"@context": {"dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/",
   "dprod": "https://ekgf.github.io/dprod/", "Dist": "dcat:Distribution", "format": "dct:format", "words": "dct:title",
   "files": {"@id": "dcat:distribution", "@container": "@index"}, "parts": {"@reverse": "dct:isPartOf"},
   "says": {"@id": "dct:abstract", "@container": "@language"},
   "Service": {"@id": "dcat:DataService", "@context": {"words": "dct:abstract"}},
   "about": {"@id": "dct:relation", "@context": {"words": "dct:abstract"}}},
 "@graph": [
  {"@id": "sales.orders", "@type": "dprod:DataProduct", "dprod:outputDataset": {"@id": "sales.orders/data"}},
  {"@id": "sales.orders/data", "@type": "dcat:Dataset",
   "files": {
    "one": {"@type": "Dist", "words": "x"},
    "two": [{"@type": "Dist", "words": "y"},
      {"@type": "Dist", "words": "z"}]},
   "@reverse": {
    "dct:isPartOf": [{"@type": "Dist",
      "format": "n/a"},
     {"@type": "Service",
      "words": "s",
      "dct:relation": {"words": "t"}}]},
   "parts": {"@type": "Dist",
     "format": "turned"},
   "about": {
     "words": "u", "says": {"en": "v",
       "de": "w"}}},
  {"dct:isPartOf": {"@id": "sales.orders/data"},
   "format": "loose"},
  {"@context": {"words": "dct:abstract"}, "dct:isPartOf": {"@id": "sales.orders/data"},
   "words": "own"}
 ]}"""


def test_json_ld_turned_around_indexed_and_with_contexts_within() -> None:
    found = lines(JSON_MORE, rdf.JSON_LD)
    expected = {
        ("title", "x"): 11, ("title", "y"): 12, ("title", "z"): 13, ("format", "n/a"): 16,
        ("abstract", "s"): 18, ("title", "t"): 19, ("format", "turned"): 21, ("abstract", "u"): 23,
        ("abstract", "v"): 23, ("format", "loose"): 26, ("abstract", "own"): 28,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert found["isPartOf", DATA] is not None
