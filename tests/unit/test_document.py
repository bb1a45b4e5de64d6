"""What may stand in a product document, and what becomes of it."""

from __future__ import annotations

import pytest
from samples import BASE, PREFIXES, product

from fairmesh.catalog import document, rdf
from fairmesh.catalog.errors import InvalidDocument
from fairmesh.catalog.model import FM, STATUS, AccessKey


def read(data: bytes | str) -> document.ProductDocument:
    return document.read(data.encode() if isinstance(data, str) else data, None, BASE)


def lines(doc: document.ProductDocument) -> set[str]:
    return set(doc.nquads.decode().splitlines())


GOOD = product("sales.orders").decode()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("no-product", "<a> a <b> ."),
        ("no-product", ""),
        ("no-product", PREFIXES + "[] a dprod:DataProduct ."),
        ("several-products", GOOD + "<sales.other> a dprod:DataProduct ."),
        ("bad-key", GOOD.replace("sales.orders", "orders")),
        ("bad-key", GOOD.replace("sales.orders", "sales.orders/more")),
        ("bad-key", PREFIXES + "<http://elsewhere.example/p> a dprod:DataProduct ."),
        ("named-graph", PREFIXES + "GRAPH <g> { <sales.orders> a dprod:DataProduct }"),
        ("foreign-node", GOOD + '<finance.ledger> dct:title "Mine now"@en .'),
        ("foreign-node", GOOD + '<finance.ledger/data> dct:title "Mine now"@en .'),
        ("foreign-node", GOOD + "<sales.orders2/data> a dcat:Dataset ."),
        ("foreign-node", GOOD + "<unknown> a dcat:Dataset ."),
        ("shared-node", GOOD + "<domain/sales> skos:broader <domain/all> ."),
        ("shared-node", GOOD + "<team/sales> foaf:member <team/x> ."),
        ("other-node", GOOD + '<http://elsewhere.example/x> dct:license "free" .'),
        ("reserved-namespace", GOOD + '<http://www.w3.org/ns/dcat#Dataset> dct:title "x" .'),
        ("reserved-namespace", GOOD + 'c:public skos:prefLabel "Secret"@en .'),
        ("reserved-namespace", GOOD + '<sales.orders> fm:computedKey "sales.orders" .'),
        ("axiom", GOOD + "<sales.orders/x> <http://www.w3.org/2000/01/rdf-schema#subClassOf> dcat:Dataset ."),
        ("axiom", GOOD + "<sales.orders/x> a <http://www.w3.org/2002/07/owl#Class> ."),
        ("axiom", GOOD + "<sales.orders/x> a <http://www.w3.org/ns/shacl#NodeShape> ."),
        ("axiom", GOOD + "<sales.orders> <http://www.w3.org/2002/07/owl#equivalentClass> <sales.orders/x> ."),
        ("blank-cycle", GOOD + "_:a dct:relation _:b . _:b dct:relation _:a ."),
        (
            "bad-list",
            GOOD + "<sales.orders/data/schema> csvw:column _:l . _:l " + f"<{rdf.PREFIXES['rdf']}first> <x> .",
        ),
        ("reserved-status", GOOD.replace("s:build", "s:retired")),
    ],
)
def test_refused_by_name_with_a_remedy(code: str, text: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(text)
    assert caught.value.code == code
    assert caught.value.remedy


def test_what_describes_no_product_is_led_to_plain_shapes() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read("<a> a <b> .")
    assert caught.value.remedy.endswith("RDF of any other kind is for `fairmesh validate --shapes`")


def test_the_error_points_at_the_line() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(GOOD + '\n\n<finance.ledger>\n  dct:title "Mine now"@en .')
    assert caught.value.line == GOOD.count("\n") + 4
    assert caught.value.iri == BASE + "finance.ledger"


def test_only_type_and_label_are_accepted_on_other_nodes() -> None:
    doc = read(GOOD + '<http://elsewhere.example/org> a <http://x/Org> ; dct:title "An organisation" .')
    assert "http://elsewhere.example/org" not in doc.own


def test_outside_nodes_linked_as_parts_are_the_products_own() -> None:
    doc = read(GOOD + '<sales.orders> dct:hasPart <http://out.example/d> . <http://out.example/d> dct:abstract "x" .')
    assert "http://out.example/d" in doc.own


def test_a_product_may_have_an_iri_of_its_own() -> None:
    doc = read(GOOD.replace("<sales.orders", "<https://sales.example/orders"))
    assert (doc.product, doc.key) == ("https://sales.example/orders", "sales.orders")


def test_lists_of_columns_become_links_with_positions() -> None:
    listed = GOOD.replace(
        "<sales.orders/data/schema> csvw:column <sales.orders/data/column/id> .",
        "<sales.orders/data/schema> csvw:column ( <sales.orders/data/column/id> <sales.orders/data/column/b> ) .",
    )
    found = lines(read(listed))
    position = f"<{FM}position>"
    assert f'<{BASE}sales.orders/data/column/id> {position} "1"^^<http://www.w3.org/2001/XMLSchema#integer> .' in found
    assert f'<{BASE}sales.orders/data/column/b> {position} "2"^^<http://www.w3.org/2001/XMLSchema#integer> .' in found
    assert not any("rdf-syntax-ns#first" in line for line in found)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("<https://ekgf.github.io/dprod/data/lifecycle-status/Consume>", "consume"),
        ('"active"', "consume"),
        ('"draft"', "design"),
        ("<https://w3id.org/fairmesh/status/build>", "build"),
    ],
)
def test_status_words_of_other_standards_are_understood(said: str, word: str) -> None:
    doc = read(GOOD.replace("s:build", said))
    assert doc.access.status == word
    assert any(f"<{STATUS}{word}>" in line for line in lines(doc))


def test_inverses_are_stored_one_way() -> None:
    doc = read(GOOD + "<sales.orders/file> dprod:isDistributionOf <sales.orders/data> .")
    assert f"<{BASE}sales.orders/data> <http://www.w3.org/ns/dcat#distribution> <{BASE}sales.orders/file> ." in lines(
        doc
    )


def test_equal_documents_in_two_syntaxes_are_the_same_document() -> None:
    doc = read(GOOD + "<sales.orders> dcat:contactPoint [ dct:title 'x' ] .")
    triples = rdf.unskolemize(rdf.load(doc.nquads), doc.product)
    for media in (rdf.JSON_LD, rdf.RDF_XML, rdf.N_TRIPLES):
        assert document.read(rdf.serialize(triples, media), media, BASE).nquads == doc.nquads


def test_what_policy_may_look_at() -> None:
    extra = """<sales.orders> fm:tag "pii", "eu" ; dct:hasPart <sales.orders/raw> ; dct:contributor <team/ops> .
    <sales.orders/raw> dprod:informationSensitivityClassification c:confidential ."""
    assert read(GOOD + extra).access == AccessKey(
        "sales", "confidential", "build", ("eu", "pii"), BASE + "team/sales", (BASE + "team/ops",)
    )


@pytest.mark.parametrize("classified", ["", "dprod:informationSensitivityClassification c:unheard-of ;"])
def test_a_classification_that_is_missing_or_unknown_counts_as_restricted(classified: str) -> None:
    text = GOOD.replace("dprod:informationSensitivityClassification c:internal ;", classified)
    assert read(text).access.classification == "restricted"
