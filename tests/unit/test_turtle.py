"""Turtle for people says what the statements say, and says it without cells of lists."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import CanonicalizationAlgorithm, Dataset, Quad

from fairmesh.api.turtle import turtle
from fairmesh.catalog import rdf
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.rulefiles import SHIPPED, read_rules

BASE = "https://w3id.org/fairmesh/rules/core/06"
HEAD = "".join(f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in PREFIXES.items()) + f"@base <{BASE}> .\n"


def read(text: str) -> list[Triple]:
    quads = rdf.parse(text.encode(), rdf.TURTLE, iri_base="https://w3id.org/fairmesh/rules/").quads
    return [Triple(q.subject, q.predicate, q.object) for q in quads]


def named(triples: list[Triple]) -> set[object]:
    """The statements, with blank nodes named by what is said of them."""
    dataset = Dataset(Quad(*triple) for triple in triples)
    dataset.canonicalize(CanonicalizationAlgorithm.UNSTABLE)
    return set(dataset)


def same(triples: list[Triple], base: str = BASE) -> str:
    """The Turtle, which reads as these statements again."""
    text = turtle(triples, base)
    assert named(read(text)) == named(triples), text
    return text


def test_every_rule_that_ships_reads_as_it_was() -> None:
    rules = RuleSet(read_rules(SHIPPED).files)
    assert rules.rules
    for rule in rules.rules:
        assert "rdf:first" not in same(rules.triples(rule.iri), rule.iri)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("<> sh:or ( <#a> <#b> ) .", "sh:or ( <#a> <#b> )"),
        ("<> sh:in () .", "sh:in ()"),
        ("<> sh:path ( [ sh:inversePath dct:title ] dct:subject ) .", "( [ sh:inversePath dct:title ] dct:subject )"),
        ("<> sh:in ( ( 1 true ) 'x'@en '2026-01-01'^^xsd:date 2.5 ) .", '( ( 1 true ) "x"@en "2026-01-01"^^xsd:date'),
        ("<> sh:in ( 1 1 ) .", "( 1 1 )"),
        ("<> sh:in _:a ; sh:or _:a . _:a rdf:first 1 ; rdf:rest () .", "rdf:rest ()"),
        ("<> sh:in _:a . _:a rdf:first 1 ; rdf:rest _:a .", "rdf:rest _:"),
        ("<> sh:in _:a . _:a rdf:first 1, 2 ; rdf:rest () .", "[ rdf:first 1, 2 ;"),
        ("_:a sh:node _:b . _:b sh:node _:a .", "sh:node [ sh:node _:"),
        ("<> sh:select '''a \"b\" \\\\\n c \"\"\"\"''' .", '"""a \\"b\\" \\\\\n c '),
        ("<> rdfs:label 'tab\\t line\\r end' .", "rdfs:label"),
        ("<> a sh:NodeShape .", "<> a sh:NodeShape ."),
        ("<other> sh:node rdf:nil .", "sh:node ()"),
        ("rdf:nil sh:node <> .", "rdf:nil sh:node <>"),
    ],
)
def test_how_it_is_written(said: str, written: str) -> None:
    assert written in same(read(HEAD + said))


def test_what_is_deeply_nested_gets_names() -> None:
    nodes = [BlankNode(f"n{number}") for number in range(500)]
    node = NamedNode(PREFIXES["sh"] + "node")
    deep = [Triple(one, node, other) for one, other in itertools.pairwise(nodes)]
    assert "_:n" in same([Triple(NamedNode(BASE), node, nodes[0]), *deep])


TERMS = st.sampled_from([NamedNode(BASE), NamedNode(BASE + "#a"), *(BlankNode(name) for name in "abc")])
PREDICATES = st.sampled_from([NamedNode(PREFIXES["rdf"] + name) for name in ("first", "rest", "type")])
NIL = NamedNode(PREFIXES["rdf"] + "nil")
VALUES = st.one_of(TERMS, st.just(NIL), st.text('"\\\n\r\tx\x7fé').map(Literal))


@given(st.lists(st.builds(Triple, TERMS, PREDICATES, VALUES), max_size=8))
def test_any_statements_read_as_they_were(triples: list[Triple]) -> None:
    assert same(list(dict.fromkeys(triples)))
