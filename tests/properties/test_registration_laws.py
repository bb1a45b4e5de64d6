"""Laws of registration: whatever is sent is stored whole or refused with a reason, and comes back as it went in."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import BASE, PREFIXES, STEWARD, producer, product, register

from fairmesh.catalog import Catalog, Settings, document, rdf
from fairmesh.catalog.errors import FairmeshError, Forbidden, InvalidDocument, ParseError, TooLarge, UnsupportedMedia
from fairmesh.catalog.graph import VOCABULARY
from fairmesh.catalog.model import Outcome, Submission
from fairmesh.catalog.places import Positions
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple

SALES = producer("sales")
GOOD = product("sales.orders").decode()
XML = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="http://x/"'
XSD = rdf.PREFIXES["xsd"]
MEDIA = sorted(rdf.MEDIA_TYPES)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder = tmp_path_factory.mktemp("laws")
    opened = Catalog.open(Settings.read({"data": folder / "data", "workers": 2}, environment={}))
    yield opened
    opened.close()


def submit(catalog: Catalog, *data: bytes, media_type: str | None = None) -> list[Outcome]:
    return catalog.register(SALES, [Submission(d, media_type) for d in data], channel="http")


def read(text: str | bytes, media_type: str | None = None) -> document.ProductDocument:
    return document.read(text.encode() if isinstance(text, str) else text, media_type, BASE)


# -- hostile bytes ----------------------------------------------------------------------------------------------------

DEEP = 20_000
TERMS = "<<( <a> <b> " * DEEP + "<c>" + " )>>" * DEEP + " ."
HOSTILE: dict[str, tuple[bytes | str, type[FairmeshError]]] = {
    "triple terms behind an escaped IRI": (r"<\u0061#> <p> " + TERMS, TooLarge),
    "triple terms behind an escaped name": (PREFIXES + r"dct:a\# <p> " + TERMS, TooLarge),
    "triple terms behind an escaped quote": (PREFIXES + r"dct:a\' <p> " + TERMS + r" dct:b\' <p> <q> .", TooLarge),
    "triple terms behind a comment that a CR ends": ("# x\r<a> <p> " + TERMS, TooLarge),
    "lists after closing brackets": ("]" * 500 + "[" * 600, TooLarge),
    "elements behind a bracket in an attribute": (XML + ">" + '<x:a x:b="/>"><x:p>' * 300, TooLarge),
    "JSON behind escaped quotes": ('{"\\"":' + '["\\"",' * 300, TooLarge),
    "a string that never ends, full of escapes": ('<a> <b> "' + '\\"' * 2_000_000, ParseError),
    "a long string that never ends": ('<a> <b> """' + '\\"""' * 1_000_000 + "\\", ParseError),
    "a JSON string that never ends": ('{"a": "' + '\\"' * 2_000_000, ParseError),
    "comments that never end": (XML + ">" + "<!--" * 1_000_000, ParseError),
    "CDATA that never ends": (XML + ">" + "<![CDATA[" * 500_000, ParseError),
    "instructions that never end": (XML + ">" + "<?" * 1_000_000, ParseError),
    "a prefix that swells": (
        "@prefix p: <http://x/" + "a" * 100_000 + "> . p:a p:b " + ",".join(f"p:{n}" for n in range(20_000)) + " .",
        TooLarge,
    ),
    "50,001 statements": (GOOD + "<sales.orders> dct:x " + ",".join(str(n) for n in range(50_001)) + ".", TooLarge),
    "5 MB and a byte": (b"x" * 5_000_001, TooLarge),
    "nothing": ("", InvalidDocument),
    "only a byte order mark": ("\ufeff", InvalidDocument),
    "NUL": (b"\0", ParseError),
    "UTF-16": (GOOD.encode("utf-16"), ParseError),
    "UTF-16 that is UTF-8 too": (GOOD.encode("utf-16-le"), ParseError),
    "Latin-1": (GOOD.replace("Orders", "Ordérs").encode("latin-1"), ParseError),
    "XML that breaks off": (XML + '>\n<x:a rdf:about="a"><x:p>half', ParseError),
    "XML in an unknown encoding": ('<?xml version="1.0" encoding="none"?>' + XML + "/>", ParseError),
    "an entity": ('<!DOCTYPE x [<!ENTITY a "b">]>' + XML + "/>", UnsupportedMedia),
    "an entity in small letters": ('<!doctype x [<!entity a "b">]>' + XML + "/>", UnsupportedMedia),
    "another base, then the mesh's again": (
        "@base <http://other/> .\n<a> <b> <c> .\n@base <http://localhost/id/> .\n<d> <e> <f> .", InvalidDocument),
    "another base in an inner element": (XML + '>\n<x:a xml:base="http://other/" rdf:about="a"/></rdf:RDF>',
                                         InvalidDocument),
    "another base in an inner object": (
        '{"@id":"b",\n"http://x/p":{"@context":{"@base":"http://other/"},"@id":"a","http://x/q":1}}', InvalidDocument),
    "an escaped @base": ('{"@context":{"\\u0040base":"http://other/"},"@id":"a","http://x/q":1}', InvalidDocument),
    "no base at all": ('{"@context":{"@base":null},"@id":"a","http://x/q":1}', ParseError),
    "a remote import": ('{"@context":{"@import":"file:///etc/passwd"},"@id":"a","http://x/q":1}', ParseError),
    "a term without an IRI": ('{"@id":"a",\n"title":"x","http://x/q":1}', ParseError),
    "a broken IRI in JSON": ('{"@id":"http://x/a> <b> <c> . } ; DROP ALL #","http://x/p":1}', ParseError),
    "a broken language in JSON": ('{"@id":"a","http://x/p":{"@value":"v","@language":"e n"}}', ParseError),
    "a predicate that is a blank node": ('{"@id":"a","_:p":1}', ParseError),
    "a language tag of rubbish": ('<a> <b> "x"@abcdefghijkl .', ParseError),
    "RDF 1.2 annotations": ('<a> <b> "x" {| <q> <r> |} .', UnsupportedMedia),
    "RDF 1.2 directions": ('<a> <b> "x"@en--ltr .', UnsupportedMedia),
    "a graph named by a blank node": ("_:g { <a> <b> <c> }", InvalidDocument),
    "YAML": ("id: sales.orders\nname: x\n", ParseError),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), ParseError),
    "an unknown media type's worth of HTML": ("<!DOCTYPE html><html></html>", UnsupportedMedia),
}  # fmt: skip


def test_hostile_bytes_are_refused_with_a_remedy_and_the_service_goes_on(mesh: Catalog) -> None:
    outcomes = submit(mesh, *(d.encode() if isinstance(d, str) else d for d, _ in HOSTILE.values()))
    for (name, (_, kind)), outcome in zip(HOSTILE.items(), outcomes, strict=True):
        assert type(outcome.error) is kind, (name, str(outcome.error))
        assert outcome.error.message, name
        assert outcome.error.remedy, name
        assert "fairmesh-base" not in str(outcome.error), name
    assert [o.change for o in register(mesh, product("sales.alive"))] == ["created"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("another base, then the mesh's again", 1),
        ("another base in an inner element", 2),
        ("another base in an inner object", 2),
        ("a term without an IRI", 2),
        ("XML that breaks off", 2),
        ("a language tag of rubbish", 1),
    ],
)
def test_refusals_name_the_line(name: str, line: int) -> None:
    data = HOSTILE[name][0]
    with pytest.raises(FairmeshError) as caught:
        read(data)
    assert caught.value.line == line


def test_a_context_that_swells_costs_a_child_and_not_the_service(mesh: Catalog) -> None:
    bomb = {"p": "http://x/" + "a" * 100_000 + "/"} | {f"t{n}": f"p:{n}" for n in range(30_000)}
    outcome = submit(mesh, json.dumps({"@context": bomb, "@id": "a", "p:x": 1}).encode())[0]
    assert outcome.error is not None
    assert outcome.error.code == "invalid"
    assert outcome.error.remedy
    assert register(mesh, product("sales.after-the-bomb"))[0].error is None


def test_odd_bytes_that_are_fine() -> None:
    plain = read(GOOD).nquads
    for text in ("\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("\n", "\r")):
        assert read(text).nquads == plain
    entries = "".join(
        f'<rdf:Description rdf:about="http://x/{n}"><x:p x:q="a>b"/></rdf:Description>' for n in range(300)
    )
    assert len(rdf.parse((XML + ">" + entries + "</rdf:RDF>").encode(), None, BASE).quads) == 600
    assert len(rdf.parse(('<a> <b> "' + "x" * 4_900_000 + '" .').encode(), None, BASE).quads) == 1
    assert rdf.parse(b'<a> <b> "1"^^<type> .', None, BASE).quads[0].object == Literal(
        "1", datatype=NamedNode(BASE + "type")
    )


RICH = product(
    "sales.rich", sources=["x.y/data"], columns=["a", "b"], masked=["c"], term="t",
    extra="""<sales.rich> dcat:contactPoint [ dct:title "x"@en ; dct:relation [ dct:issued "2024-01-01"^^xsd:date ] ] ;
      dct:x 1.50 , 01 , true , "q\\"\\n'"@fr .
      <sales.rich/data/schema> csvw:column ( <sales.rich/data/column/z> [ csvw:name "q" ] ) .""",
)  # fmt: skip
SEEDS = [(media, rdf.serialize([q.triple for q in rdf.parse(RICH, None, BASE).quads], media)) for media in MEDIA] + [
    (rdf.TURTLE, RICH)
]
TOKENS = st.sampled_from([
    *(bytes([b]) for b in b"<>\"'\\[]{}(),;.:#@=&\0\r\n\xff"), b'"""', b"\\uD800", b"<<(", b")>>", b"{|", b"_:a", b"a",
    b"@base <http://x/> .", b"@prefix", b"GRAPH", b"&#1;", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x ", b'"@id"',
    b'"@context":', b'"@base":', b'"@reverse":', b'"@list":', b'"@graph":', b'"@language":"e n",', b"null", b"1e999",
    b"xml:base='http://x/'", b"rdf:parseType='Collection'", b"rdf:ID='a'", b"../", b"//", b"%2e%2e/", b"finance.x",
    b"/.well-known/genid/z", b"http://localhost/id", b"--ltr", b"\xe2\x80\xae", b"\xef\xbb\xbf",
])  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str | None, bytes]:
    media, data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 3, 20, 200])))
        data = data[:start] + draw(TOKENS) * draw(st.sampled_from([0, 1, 1, 300])) + data[end:]
    return draw(st.sampled_from([media, None])), data


@relaxed
@given(st.lists(mutated(), min_size=5, max_size=5))
def test_broken_documents_end_in_reasons_only(mesh: Catalog, documents: list[tuple[str | None, bytes]]) -> None:
    submissions = [Submission(data, media) for media, data in documents]
    for outcome in mesh.register(SALES, submissions, channel="http", dry_run=True):
        if outcome.error is not None:
            assert isinstance(outcome.error, FairmeshError)
            assert not outcome.error.code.startswith("worker")
            assert outcome.error.remedy


# -- the profile ------------------------------------------------------------------------------------------------------


def at(iri: str) -> str:
    """The good document, for a product with another IRI."""
    return GOOD.replace("<sales.orders>", f"<{iri}>").replace("<sales.orders/", f"<{iri}/")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("look-alike", at("http://localhost/id") + '<http://localhost/id/finance.ledger> dct:title "mine" .'),
        ("foreign-node", at("http://localhost") + '<http://localhost/id/finance.ledger> dct:title "mine" .'),
        ("escapes-base", at("http://localhost/id/")),
        ("reserved-namespace", at(VOCABULARY)),
        ("reserved-namespace", at("https://w3id.org/fairmesh/graph/meta")),
        ("foreign-node", at("https://sales.example/o").replace("<https://sales.example/o/data", "<finance.l/data")),
        ("foreign-node", GOOD + '<sales.%6Frders> dct:title "x" .'),
        ("foreign-node", GOOD + '<Sales.orders> dct:title "x" .'),
        ("foreign-node", GOOD + '<sales.orders?x> dct:title "x" .'),
        ("foreign-node", GOOD + '<> dct:title "x" .'),
        ("foreign-node", GOOD + '<finance.ledger/.well-known/genid/z> dct:title "x" .'),
        ("foreign-node", GOOD + "<sales.orders/d> dprod:isDistributionOf <finance.ledger/data> ."),
        (
            "foreign-node",
            GOOD + "<sales.orders/data/schema> csvw:column <finance.l> . <finance.l> "
            "<http://www.w3.org/1999/02/22-rdf-syntax-ns#first> <sales.orders/c> ; "
            "<http://www.w3.org/1999/02/22-rdf-syntax-ns#rest> () .",
        ),
        *(
            ("look-alike", GOOD + f"<sales.orders> dct:hasPart <{iri}> . <{iri}> dct:license <http://x/> .")
            for iri in (
                "HTTP://localhost/id/finance.ledger",
                "http://LOCALHOST/id/finance.ledger",
                "http://localhost:80/id/finance.ledger",
                "http://localhost./id/finance.ledger",
                "http://me@localhost/id/finance.ledger",
                "http://localhost/x/../id/finance.ledger",
                "http://localhost//id/finance.ledger",
                "http://localhost/%69d/finance.ledger",
                "http://\uff4cocalhost/id/finance.ledger",
            )
        ),
        ("bad-key", at("https://x.example/p").replace('dct:identifier "sales.orders"', 'dct:identifier "sales.o\\n"')),
        ("bad-key", product("sales." + "o" * 300).decode()),
        ("blank-cycle", GOOD + "<sales.orders/.well-known/genid/1> dct:relation <sales.orders/.well-known/genid/1> ."),
        ("axiom", GOOD + "<sales.orders> dct:relation [ <http://www.w3.org/2002/07/owl#onProperty> dct:title ] ."),
        (
            "axiom",
            GOOD
            + "@prefix dct: <http://www.w3.org/2000/01/rdf-schema#> . <sales.orders/x> dct:subClassOf dcat:Dataset .",
        ),
        ("reserved-namespace", GOOD + "<sales.orders> dct:relation [ fm:computedKey 'x' ] ."),
    ],
)
def test_a_document_speaks_for_its_own_nodes_only(code: str, text: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(text)
    assert caught.value.code == code
    assert caught.value.remedy


def test_two_classifications_count_as_restricted() -> None:
    assert read(GOOD.replace("c:internal", "c:internal, c:public")).access.classification == "restricted"


def test_a_refusal_does_not_tell_whether_the_product_exists(mesh: Catalog) -> None:
    register(mesh, product("people.there", classification="restricted"), subject=producer("people"))
    there, absent = submit(mesh, product("people.there"), product("people.absent"))
    assert isinstance(there.error, Forbidden)
    assert there.decision == absent.decision
    assert str(there.error).replace("there", "absent") == str(absent.error)


# -- what goes in comes out -------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn"]), max_size=8) | st.sampled_from(
    ['"', "\\", "\\u0022 . } ; DROP ALL #", "\r\n\t", "'''", "]]>", "&amp;", " x ", "", "\u2028", "{}"]
)
NUMBERS = st.sampled_from(["01", "1.50", "+1", "1.0E0", "-0.0", "1", "true", "0", "2024-01-01", "x"])
TYPES = st.sampled_from(["integer", "decimal", "double", "boolean", "date", "string"])
LITERALS = (
    st.builds(Literal, TEXTS)
    | st.builds(lambda text, tag: Literal(text, language=tag), TEXTS, st.sampled_from(["en", "en-us", "zh-hant"]))
    | st.builds(lambda text, kind: Literal(text, datatype=NamedNode(XSD + kind)), NUMBERS, TYPES)
)
PREDICATES = st.sampled_from([NamedNode("http://x/p"), NamedNode("http://x/q"), NamedNode("urn:r:s")])


@st.composite
def branches(draw: st.DrawFn, root: str) -> list[Triple]:
    """Statements of a product with blank nodes that several others may point to, but never in a circle."""
    blanks = [BlankNode(f"b{n}") for n in range(draw(st.integers(0, 6)))]
    subjects: list[NamedNode | BlankNode] = [NamedNode(root), NamedNode(root + "/more"), *blanks]
    triples = [
        Triple(parent, draw(PREDICATES), blank)
        for number, blank in enumerate(blanks)
        for parent in draw(st.lists(st.sampled_from(subjects[: number + 2]), min_size=1, max_size=3))
    ]
    for subject in subjects:
        least = int(isinstance(subject, BlankNode))  # readers are not shown links to nodes of which nothing is said
        triples += [
            Triple(subject, draw(PREDICATES), value) for value in draw(st.lists(LITERALS, min_size=least, max_size=2))
        ]
    return triples


def renamed(triples: list[Triple], rng: random.Random) -> list[Triple]:
    """The same statements with other labels, in another order, some of them twice."""
    names = [f"z{n}" for n in range(10)]
    rng.shuffle(names)

    def moved(term: object) -> object:
        return BlankNode(names[int(term.value[1:])]) if isinstance(term, BlankNode) else term

    again = [Triple(moved(t.subject), t.predicate, moved(t.object)) for t in triples]  # type: ignore[arg-type]
    again += rng.sample(again, len(again) // 2)
    rng.shuffle(again)
    return again


@relaxed
@given(branches(BASE + "sales.a"), st.randoms(use_true_random=False))
def test_names_of_blank_nodes_depend_on_nothing_but_the_statements(triples: list[Triple], rng: random.Random) -> None:
    named = rdf.skolemize(triples, BASE + "sales.a")
    assert len(set(named)) == len(set(triples))
    assert rdf.canonical(rdf.skolemize(renamed(triples, rng), BASE + "sales.a")) == rdf.canonical(named)
    again = rdf.skolemize(rdf.unskolemize(named, BASE + "sales.a"), BASE + "sales.a")
    assert rdf.canonical(again) == rdf.canonical(named)


def test_twins_whose_children_differ_only_by_who_else_points_to_them() -> None:
    text = "<x> <p> _:{0}, _:{1} . _:{0} <p> _:{2} . _:{1} <p> _:{3} . <y> <p> _:{2} ."
    names = {
        rdf.canonical(
            rdf.skolemize([q.triple for q in rdf.parse(text.format(*n).encode(), None, BASE).quads], "http://a")
        )
        for n in ("abcd", "bacd", "abdc", "badc", "zycd")
    }
    assert len(names) == 1


def test_many_equal_blank_nodes_are_named_and_mirrors_that_never_end_are_refused() -> None:
    def pairs(names: list[tuple[str, str]]) -> list[Triple]:
        return [Triple(BlankNode(a), NamedNode("http://x/p"), BlankNode(b)) for a, b in names]

    for twins in (
        pairs([(f"a{n}", f"b{n}") for n in range(5000)]),
        pairs([(f"a{n}", f"a{n + 1}") for n in range(5000)]),
        pairs([(f"{c}a{n}", f"{c}b{(n + d) % 8}") for c in range(100) for n in range(8) for d in (0, 1)]),
    ):
        assert len(set(rdf.skolemize(twins, "http://a"))) == len(twins)
    with pytest.raises(InvalidDocument, match="too much alike"):
        rdf.skolemize(pairs([(f"a{n}", f"b{m}") for n in range(70) for m in range(70)]), "http://a")


@settings(relaxed, max_examples=40)
@given(branches(BASE + "sales.law"), st.sampled_from(MEDIA), st.randoms(use_true_random=False))
def test_what_is_registered_is_read_back_in_every_syntax(
    mesh: Catalog, triples: list[Triple], media: str, rng: random.Random
) -> None:
    iri = BASE + "sales.law"
    whole = [q.triple for q in rdf.parse(product("sales.law"), None, BASE).quads] + triples
    expected = read(rdf.serialize(whole, rdf.N_TRIPLES)).nquads
    outcome = submit(mesh, rdf.serialize(whole, media), media_type=media)[0]
    assert outcome.error is None, str(outcome.error)
    assert rdf.canonical(mesh.graph.graph(iri)) == expected
    again = [rdf.serialize(renamed(whole, rng), rdf.TURTLE)]
    with mesh.view(STEWARD, channel="http") as view:
        again += [view.rdf(iri, kind) for kind in MEDIA]
    assert [o.change for o in submit(mesh, *again)] == ["unchanged"] * (len(MEDIA) + 1)


def test_literals_are_kept_as_written(mesh: Catalog) -> None:
    odd = '<sales.kept> dct:x 01 , 1.50 , 1.0E0 , "1"^^xsd:boolean , "2024-01-01T00:00:00.000+00:00"^^xsd:dateTime .'
    data = product("sales.kept", extra=odd)
    assert [o.change for o in register(mesh, data)] == ["created"]
    assert [o.change for o in register(mesh, data)] == ["unchanged"]
    with mesh.view(STEWARD, channel="http") as view:
        assert b'"1.50"^^' in view.rdf(BASE + "sales.kept", rdf.N_TRIPLES)
    disguised = '"x"^^<https://w3id.org/fairmesh/graph/written?http://www.w3.org/2001/XMLSchema#integer>'
    register(mesh, product("sales.kept", extra=f"<sales.kept> dct:x {disguised} ."))
    assert any(str(t.object) == disguised for t in mesh.graph.graph(BASE + "sales.kept"))


def test_skolem_iris_written_by_hand_are_blank_nodes(mesh: Catalog) -> None:
    by_hand = product("sales.hand", extra='<sales.hand/.well-known/genid/a%20b/c> dct:title "x" .')
    register(mesh, by_hand)
    with mesh.view(STEWARD, channel="http") as view:
        text = view.rdf(BASE + "sales.hand", rdf.TURTLE)
    assert b"genid" not in text
    assert [o.change for o in register(mesh, text)] == ["unchanged"]


def test_texts_and_names_xml_cannot_carry_are_refused_in_rdf_xml_only() -> None:
    for predicate, text in (("http://x/p", "\x01"), ("http://x/1", "x"), ("http://x/", "x")):
        triple = Triple(NamedNode(BASE + "a.b"), NamedNode(predicate), Literal(text))
        with pytest.raises(UnsupportedMedia, match="XML"):
            rdf.serialize([triple], rdf.RDF_XML)
        for media in set(MEDIA) - {rdf.RDF_XML}:
            assert rdf.parse(rdf.serialize([triple], media), media, BASE).quads[0].triple == triple


# -- places -----------------------------------------------------------------------------------------------------------

DCT, DATA = rdf.PREFIXES["dct"], BASE + "sales.orders/data"
TURTLE_TEXT = r'''@prefix dct: <http://purl.org/dc/terms/> .
PREFIX x: <http://x/>
@base <http://localhost/id/sales.orders/> .
# comment: <data> dct:title "no"
<data> dct:title """many
lines ; . [ <data> dct:license "q" \""" x """@en , "b" ;
  dct:description 'it' ; # ; dct:license
  dct:license [ a x:L ; dct:title "in" ;
     dct:rights "r" ] ;
  dct:subject ( <a> <b> [ dct:format "f" ] ) , <c> ;
  dct:issued 1.5 ; dct:extent .5e3 ;
  x:a\.b 3 ;
  dct:valid -1.0e3 .
<\u0064ata> dct:abstract "z"@en;.
'''
JSON_TEXT = """{
 "@context": {"dct": "http://purl.org/dc/terms/", "title": "dct:title"},
 "@graph": [
  {"@id": "sales.orders",
   "title": "x",
   "dct:hasPart": {"@id": "sales.orders/data"},
   "@type": "http://x/T"},
  {"@id": "sales.orders/data",
   "http://purl.org/dc/terms/license": "y",
   "title": "y"}
 ]}"""
XML_TEXT = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dct="http://purl.org/dc/terms/">
 <rdf:Description rdf:about="sales.orders">
  <dct:title>\u00e9</dct:title>
  <dct:hasPart rdf:resource="sales.orders/data"/>
  <dct:relation rdf:parseType="Resource">
    <dct:rights>r</dct:rights></dct:relation>
 </rdf:Description>
 <rdf:Description rdf:about="sales.orders/data">
  <dct:title>y</dct:title>
  <dct:hasPart><rdf:Description rdf:about="sales.orders/in">
     <dct:title>y</dct:title></rdf:Description></dct:hasPart>
  <dct:license>y</dct:license>
 </rdf:Description>
</rdf:RDF>"""
BLANK = "the blank node that says it"


@pytest.mark.parametrize(
    ("text", "media", "lines"),
    [
        (
            TURTLE_TEXT,
            rdf.TURTLE,
            {
                (DATA, DCT + "title"): 5, (DATA, DCT + "description"): 7, (DATA, DCT + "license"): 8,
                (BLANK, DCT + "rights"): 9, (DATA, DCT + "subject"): 10, (BLANK, DCT + "format"): 10,
                (DATA, DCT + "issued"): 11, (DATA, DCT + "extent"): 11, (DATA, "http://x/a.b"): 12,
                (DATA, DCT + "valid"): 13, (DATA, DCT + "abstract"): 14, (DATA, DCT + "unknown"): 5,
            },
        ),
        (
            JSON_TEXT,
            rdf.JSON_LD,
            {
                (BASE + "sales.orders", DCT + "title"): 5, (BASE + "sales.orders", DCT + "hasPart"): 6,
                (BASE + "sales.orders", rdf.PREFIXES["rdf"] + "type"): 7, (DATA, None): 8, (DATA, DCT + "license"): 9,
                (DATA, DCT + "title"): 10, (DATA, DCT + "unknown"): 8,
            },
        ),
        (
            XML_TEXT,
            rdf.RDF_XML,
            {
                (BASE + "sales.orders", DCT + "title"): 4, (BASE + "sales.orders", DCT + "hasPart"): 5,
                (BLANK, DCT + "rights"): 7, (DATA, None): 9, (DATA, DCT + "title"): 10,
                (BASE + "sales.orders/in", DCT + "title"): 12, (DATA, DCT + "license"): 13,
            },
        ),
        (
            "<http://localhost/id/a> <http://x/p> \"a . b\" .\n<http://localhost/id/a> <http://x/q> 'z'@en .",
            rdf.TRIG,
            {(BASE + "a", "http://x/p"): 1, (BASE + "a", "http://x/q"): 2},
        ),
    ],
)  # fmt: skip
def test_places_of_statements(text: str, media: str, lines: dict[tuple[str, str | None], int]) -> None:
    stated = rdf.skolemize((quad.triple for quad in rdf.parse(text.encode(), media, BASE).quads), BASE + "sales.orders")
    blank = {t.predicate.value: t.subject.value for t in stated if rdf.GENID in t.subject.value}
    places = Positions(text.encode(), media, BASE, lambda: stated)
    found = {key: (places.find(blank[key[1] or ""] if key[0] == BLANK else key[0], key[1]) or (None,))[0]
             for key in lines}  # fmt: skip
    assert found == lines
