"""Bytes to RDF: what is recognised, refused, and where errors point."""

from __future__ import annotations

import random

import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib.compare import isomorphic

from fairmesh.catalog import rdf
from fairmesh.catalog.errors import InputError, InvalidDocument, ParseError, TooLarge, UnsupportedMedia
from fairmesh.catalog.places import Positions
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple

BASE = "http://localhost/id/"
XML = b'<?xml version="1.0"?>\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'


def read(data: bytes, media: str | None = None) -> rdf.Parsed:
    return rdf.parse(data, media, iri_base=BASE)


@pytest.mark.parametrize(
    ("data", "declared", "found"),
    [
        (b"<a> a <b> .", None, rdf.TURTLE),
        (b"# a comment\n@prefix x: <http://x/> . x:a a x:b .", "application/rdf+xml", rdf.TURTLE),
        (b"[ a <b> ] .", None, rdf.TURTLE),
        (b'{"@id": "a", "@type": "b"}', "text/turtle", rdf.JSON_LD),
        (b'[{"@id": "a", "@type": "b"}]', None, rdf.JSON_LD),
        (XML + b"</rdf:RDF>", "text/turtle", rdf.RDF_XML),
        (b'<rdf:RDF\n xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>', None, rdf.RDF_XML),
        (b"GRAPH <g> { <a> a <b> }", "text/turtle", rdf.TRIG),
        (b"<http://a> <http://b> <http://c> <http://d> .", None, rdf.N_QUADS),
        (b"\xef\xbb\xbf<a> a <b> .", None, rdf.TURTLE),
    ],
)
def test_bytes_are_sniffed_rather_than_trusted(data: bytes, declared: str | None, found: str) -> None:
    assert read(data, declared).media_type == found


@pytest.mark.parametrize(
    ("data", "error", "line", "part"),
    [
        (b'<a> a <b> .\n<c> <d> "x"@rubbish_tag! .', ParseError, 2, ""),
        (b"<a> a <b c> .", ParseError, 1, "IRI"),
        (XML + b"\n<x></rdf:RDF>", ParseError, 3, ""),
        (b'{"@id": "a",\n "http://x/y": ', ParseError, 2, ""),
        (b'{\n"@context": "http://example.org/c", "@id": "a"}', ParseError, 2, "never fetched"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>\n<x/>", UnsupportedMedia, 1, "DOCTYPE"),
        (b"[" * 300, TooLarge, 1, "256 deep"),
        (b'{"a":' * 300, TooLarge, 1, "256 deep"),
        (b"<a>" * 0 + XML + b"<a>" * 300, TooLarge, 2, "256 deep"),
        (b"\xff\xfe", ParseError, 1, "UTF-8"),
        (b"<html><body>hello", UnsupportedMedia, None, "HTML"),
        (b"<a> <p> <<( <a> <b> <c> )>> .", UnsupportedMedia, None, "triple terms"),
    ],
)
def test_errors_say_what_and_where(data: bytes, error: type[InputError], line: int | None, part: str) -> None:
    with pytest.raises(error) as caught:
        read(data)
    assert part in caught.value.message
    assert caught.value.line == line
    assert caught.value.remedy


@pytest.mark.parametrize(
    "data",
    [
        b"<../x> a <y> .",
        b"<a/../../x> a <y> .",
        b"<a> a <//host/x> .",
        b"<a//b> a <x> .",
        b"</x> a <y> .",
        b"<http://localhost/id/a/../../x> a <y> .",
        b"<a/%2e%2e/b> a <x> .",
        b"@base <http://other.example/> . <a> a <b> .",
        b'{"@context": {"@base": "http://other.example/"}, "@id": "a", "@type": "b"}',
        b'{"@id": "../a", "@type": "b"}',
    ],
)
def test_relative_iris_stay_under_the_base(data: bytes) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(data)
    assert caught.value.code == "escapes-base"


LD = b'{"@context": {"p": "http://x/"},\n'


@pytest.mark.parametrize(
    ("data", "line", "column", "written"),
    [
        (b'<x> a <y> ;\n # <../x>\n <p> "<../x>", <a/x> .\n<b> <p> 1, <../x> .', 4, 12, "<../x>"),
        (b"<x> a <y> .\n<a> a <//host/x> .", 2, 7, "<//host/x>"),
        (b"<a/b> a <y> .\n<q> a <a//b> .", 2, 7, "<a//b>"),
        (b"<x> a <y> .\n  </x> a <y> .", 2, 3, "</x>"),
        (b"<x> a <y> .\n<a> a <\\u002e./x> .", 2, 7, "<\\u002e./x>"),
        (b"<x> a <y> .\n<a> <p> '''\n<../x>'''@en ; a <a/../../x> .", 3, 18, "<a/../../x>"),
        (b"@base <a/b/> .\n<../x> a <y> .\nbase <c> <../../x> a <y> .\n<../../../x> a <y> .", 4, 1, "<../../../x>"),
        (b"@prefix up: <../> . @prefix : <x/> .\n:x a _:up .\n:y a up:x .", 3, 6, "up:x"),
        ("\ufeff<é> a <ü>, <../x> .".encode(), 1, 12, "<../x>"),
        (b'<x> <p> "1"^^<y/x> .\n<x> <p> "1"^^<../x> .', 2, 14, "<../x>"),
        (b"<x> a <http://other.example/y> .\n@base <http://other.example/> .\n<a> a <b> .", 2, 7, "<http://other."),
        (b"<x> a <y> .\n@base <../> .\n<a> a <b> .", 2, 7, "<../>"),
        (LD + b'"@id": "x", "p:t": "../x",\n "p:a": {"@id": "..\\/x"}}', 3, 17, '"..\\/x"'),
        (LD + b'"@id": "x", "@type": ["p:x", "a//x"]}', 2, 30, '"a//x"'),
        (b'{"@id": "http://o.example/",\n "@context": {"@base": "http://o.example/"}}', 2, 24, '"http://o.example/"'),
        (
            XML + b"\n<!-- rdf:about='../x' --><rdf:Bag rdf:about='x'"
            b" xmlns:p='http://x/' p:t='a rdf:about=&quot;../x'>\n"
            b"<p:t>../x</p:t>\n<p:o rdf:resource='&#46;./x'/></rdf:Bag></rdf:RDF>", 5, 19, "'&#46;./x'",
        ),
        (
            XML + b"\n<rdf:Bag rdf:about='http://o.example/'/>\n<rdf:Bag rdf:about='a'\n xml:base='http://o.example/'/>"
            b"</rdf:RDF>", 5, 11, "'http://o.example/'",
        ),
    ],
)  # fmt: skip
def test_a_reference_that_climbs_out_is_quoted_where_it_stands(
    data: bytes, line: int, column: int, written: str
) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(data)
    assert caught.value.code == "escapes-base"
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f" {written}" in caught.value.message


def test_a_reference_found_nowhere_has_no_place() -> None:
    with pytest.raises(InvalidDocument, match="ending in 'x'") as caught:
        read(b'{"@context": {"@vocab": "../"},\n"@id": "x", "@type": "x"}')
    assert (caught.value.line, caught.value.column) == (None, None)


def test_the_base_may_be_named() -> None:
    named = read(b"@base <http://localhost/id/> . <a> a <b> .")
    assert named.quads == read(b"<a> a <b> .").quads


def test_limits_of_bytes_and_statements() -> None:
    small = rdf.Limits(max_bytes=100, max_quads=2)
    with pytest.raises(TooLarge, match="bytes"):
        rdf.parse(b'<a> <b> "' + b"x" * 100 + b'" .', None, iri_base=BASE, limits=small)
    with pytest.raises(TooLarge, match="statements"):
        rdf.parse(b"<a> a <b>, <c>, <d> .", None, iri_base=BASE, limits=small)


def test_a_literal_of_five_megabytes_is_too_large() -> None:
    with pytest.raises(TooLarge, match="5,000,000"):
        read(b'<a> <b> "' + b"x" * 5_000_000 + b'" .')


def test_brackets_inside_literals_do_not_nest() -> None:
    assert len(read(b'<a> <b> "' + b"[" * 1000 + b'" .').quads) == 1


@pytest.mark.parametrize("media", sorted(rdf.MEDIA_TYPES))
def test_every_syntax_comes_back(media: str) -> None:
    triples = [
        Triple(NamedNode(BASE + "a"), NamedNode("http://x/p"), Literal("é\n\"'\\", language="fr")),
        Triple(NamedNode(BASE + "a"), NamedNode("http://x/q"), NamedNode("http://x/o")),
    ]
    again = [q.triple for q in read(rdf.serialize(triples, media), media).quads]
    assert rdf.canonical(again) == rdf.canonical(triples)


def test_relative_turtle_registers_in_any_mesh() -> None:
    triples = [Triple(NamedNode(BASE + "a.b"), NamedNode("http://x/p"), NamedNode(BASE + "team/x"))]
    text = rdf.serialize(triples, rdf.TURTLE, relative_to=BASE)
    assert b"<a.b>" in text
    assert b"<team/x>" in text
    elsewhere = rdf.parse(text, None, iri_base="https://mesh.example/").quads
    assert elsewhere[0].subject == NamedNode("https://mesh.example/a.b")


def test_serialising_is_deterministic() -> None:
    triples = [Triple(NamedNode(f"http://x/{n}"), NamedNode("http://x/p"), Literal(n)) for n in range(20)]
    shuffled = triples * 2
    random.Random(1).shuffle(shuffled)
    assert rdf.serialize(triples, rdf.TURTLE) == rdf.serialize(shuffled, rdf.TURTLE)


def test_places_of_statements() -> None:
    text = b'@prefix x: <http://x/> .\n# <a> x:q\n<a> a x:T ;\n  x:p "a . b ; c" ;\n  x:q [ x:p 1 ] .\nx:s x:p 2 .\n'
    places = Positions(text, rdf.TURTLE, BASE)
    assert places.find(BASE + "a") == (3, 1)
    assert places.find(BASE + "a", "http://x/p") == (4, 3)
    assert places.find(BASE + "a", "http://x/q") == (5, 3)
    assert places.find("http://x/s", "http://x/p") == (6, 5)
    assert places.find(BASE + "a", "http://x/unknown") == (3, 1)
    assert places.find("http://nowhere/") is None


def test_places_in_json_and_xml() -> None:
    assert Positions(b'{\n "@id": "a.b" }', rdf.JSON_LD, BASE).find(BASE + "a.b") == (2, 9)
    assert Positions(XML + b"\n<x rdf:about='a.b'/>", rdf.RDF_XML, BASE).find(BASE + "a.b") == (3, 14)


def test_blank_cycles_are_refused() -> None:
    with pytest.raises(InvalidDocument, match="circle"):
        rdf.skolemize([q.triple for q in read(b"_:a <x> _:b . _:b <x> _:a .").quads], BASE + "a.b")


PREDICATES = st.sampled_from([NamedNode(f"http://x/p{n}") for n in range(2)])
LEAVES = st.sampled_from([Literal("1"), Literal("2"), NamedNode("http://x/leaf")])


@st.composite
def trees(draw: st.DrawFn) -> list[Triple]:
    """Statements whose blank nodes point only to later ones, as documents without circles do."""
    count = draw(st.integers(0, 6))
    blanks = [BlankNode(f"b{n}") for n in range(count)]
    triples = []
    for number, blank in enumerate(blanks):
        parents: list[NamedNode | BlankNode] = [NamedNode("http://x/root"), *blanks[:number]]
        triples.append(Triple(draw(st.sampled_from(parents)), draw(PREDICATES), blank))
        triples += [Triple(blank, draw(PREDICATES), leaf) for leaf in draw(st.lists(LEAVES, max_size=2))]
    return triples


def as_graph(triples: list[Triple]) -> rdflib.Graph:
    return rdflib.Graph().parse(data=rdf.canonical(triples), format="nt")


@settings(deadline=None)
@given(trees(), st.randoms())
def test_blank_nodes_survive_and_names_do_not_matter(triples: list[Triple], rng: random.Random) -> None:
    stored = rdf.skolemize(triples, BASE + "a.b")
    assert isomorphic(as_graph(rdf.unskolemize(stored, BASE + "a.b")), as_graph(triples))

    names = [f"n{n}" for n in range(6)]
    rng.shuffle(names)
    renamed = [
        Triple(
            BlankNode(names[int(t.subject.value[1:])]) if isinstance(t.subject, BlankNode) else t.subject,
            t.predicate,
            BlankNode(names[int(t.object.value[1:])]) if isinstance(t.object, BlankNode) else t.object,
        )
        for t in triples
    ]
    rng.shuffle(renamed)
    assert rdf.canonical(rdf.skolemize(renamed, BASE + "a.b")) == rdf.canonical(stored)
