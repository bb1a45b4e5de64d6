"""Mutants of W3C's tests: both engines say the same, or the difference is listed. How the fuzzing itself is tested.

The parts of the fuzzing lie in files of their own, so that they run beside each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from agreement import trials
from agreement.judges import Judge, Rules, Run, Verdict, agree, compiled, reference
from agreement.known import COMPARING, ILL_FORMED, KNOWN, explain
from agreement.reports import SH
from agreement.seeds import ROOT, w3c
from agreement.suites import relabelled
from pyoxigraph import RdfFormat, parse

from fairmesh.catalog.rdf import PREFIXES, Triple

KINDS = (
    "MaxLength", "MinInclusive", "LessThan", "Pattern", "Closed", "Or", "Node", "Class", "NodeKind", "Datatype", "Not",
)  # fmt: skip
HEAD = "@prefix : <http://example.org/> ." + "".join(f"@prefix {name}: <{iri}> ." for name, iri in PREFIXES.items())


def at(constraint: str) -> str:
    return f":s sh:targetNode :x ; sh:property [ sh:path :p ; {constraint} ] ."


def select(where: str) -> str:
    text = f"SELECT ?this ?value {{ {where} }}"
    return f'{DECLARED} :s sh:targetNode :x ; sh:sparql [ sh:prefixes : ; sh:select "{text}" ] .'


DECLARED = ": sh:declare [ sh:prefix '' ; sh:namespace 'http://example.org/'^^xsd:anyURI ] ."
MIXED = ":x :p '1', 'x'@en, :b, 5, 5.0, 'abc'^^xsd:integer ; :q '1' ."
COMPONENT = """:C a sh:ConstraintComponent ; sh:parameter [ sh:path :max ], [ sh:path :more ; sh:optional true ] ;
    sh:validator [ sh:ask 'ASK { FILTER (STRLEN(STR($value)) <= $max) }' ] .
:s sh:targetNode :x ; sh:property [ sh:path :p ; :max '2' ] ."""

EXAMPLES = [
    ("incomparable", at("sh:minInclusive 'b'"), ":x :p 'c', 'c'@en ."),
    ("incomparable", at("sh:lessThan :q"), ":x :p [] ; :q 2 ."),
    ("incomparable", at("sh:minInclusive 2.0"), ":x :p 'NaN'^^xsd:double ."),
    ("regex", at(r"sh:pattern '^\\p{Lu}$'"), ":x :p 'A' ."),
    ("regex", at(r"sh:pattern '^\\i\\c*$'"), ":x :p 'a1' ."),
    ("regex", at("sh:pattern '^[a-z-[aeiou]]$'"), ":x :p 'b' ."),
    ("regex", at(r"sh:pattern '^\\w$'"), ":x :p '_', '$' ."),
    ("regex", at(r"sh:pattern '^\\s$'"), r":x :p '\u00a0' ."),
    ("regex", at("sh:pattern '^b$'"), r":x :p 'b\n' ."),
    ("regex", at("sh:pattern 'a b' ; sh:flags 'x'"), ":x :p 'ab' ."),
    ("regex", at("sh:pattern 'a.b' ; sh:flags 'q'"), ":x :p 'axb' ."),
    ("regex", at("sh:pattern 'a.b' ; sh:flags 's'"), r":x :p 'a\nb' ."),
    ("owl-class", ":C a owl:Class, sh:NodeShape ; sh:nodeKind sh:Literal .", ":x a :C ."),
    ("far-years", at("sh:datatype xsd:date"), ":x :p '12024-01-01'^^xsd:date ."),
    ("end-of-day", at("sh:datatype xsd:time"), ":x :p '24:00:00'^^xsd:time ."),
    ("end-of-day", at("sh:datatype xsd:dateTime"), ":x :p '2024-01-01T24:00:00Z'^^xsd:dateTime ."),
    ("markup", at("sh:datatype rdf:HTML"), ":x :p '<b>'^^rdf:HTML ."),
    ("markup", at("sh:datatype rdf:XMLLiteral"), ":x :p '<b>'^^rdf:XMLLiteral ."),
    ("ordered-in-a-query", select("?this :p ?value FILTER (?value > 4)"), MIXED),
    ("ordered-in-a-query", select("?this :p ?value FILTER (!(?value <= 4))"), MIXED),
    ("ordered-in-a-query", COMPONENT, ":x :p 'a' ."),
    ("members-by-term", select("?this :p ?value FILTER (?value IN (5, '1'))"), MIXED),
    ("members-by-term", select("?this :p ?value FILTER (?value NOT IN (5, '1'))"), MIXED),
    ("negated-inverse", select("?this !(^:p|:q) ?value"), MIXED),
    ("negated-inverse", select("?this !(^:p) ?value"), MIXED),
    ("negated-inverse", select("?this !^:p ?value"), MIXED),
    ("undeclared-prefix", select("?this :p ?value FILTER (datatype(?value) = xsd:integer)"), MIXED),
]


def parsed(text: str, prefix: str = "b") -> list[Triple]:
    return relabelled([quad.triple for quad in parse((HEAD + text).encode(), RdfFormat.TURTLE)], prefix)


def forgetting(kind: str) -> Judge:
    """The compiled engine without the results of one kind of constraint."""

    def forgetful(rules: Rules) -> Run:
        run, component = compiled(rules), f"{SH}{kind}ConstraintComponent"

        def forget(data: Sequence[Triple]) -> Verdict:
            found = run(data)
            return replace(found, rows=Counter({r: n for r, n in found.rows.items() if r[2] != component}))

        return forget

    return forgetful


def test_w3c(shared: Path) -> None:
    tally = trials.run(w3c(shared), number=trials.PARTS["W3C's tests"])
    trials.check("W3C's tests", tally)


def test_w3c_sparql(shared: Path) -> None:
    tally = trials.run(w3c(shared, "sparql"), number=trials.PARTS["W3C's SPARQL tests"])
    trials.check("W3C's SPARQL tests", tally)


def test_there_are_enough_mutants() -> None:
    assert sum(trials.PARTS.values()) >= 2000


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_that_forgets_one_kind_of_constraint_is_found_out(kind: str, shared: Path) -> None:
    tally = trials.run(w3c(shared), number=300, first=compiled, second=forgetting(kind))
    assert tally.unlisted
    assert all(f"#{kind}ConstraintComponent" in text for text in tally.unlisted)
    excused = {name for name in tally.known if name != ILL_FORMED.name}  # these are recognised by the shapes alone
    if kind in COMPARING:
        assert tally.known["incomparable"] < len(tally.unlisted)
        excused.discard("incomparable")
    assert not excused


@pytest.mark.parametrize(("name", "shape", "data"), EXAMPLES)
def test_a_known_disagreement_is_recognised_and_excuses_no_other(name: str, shape: str, data: str) -> None:
    rules, graph = Rules(parsed(shape)), parsed(data)
    assert not agree(compiled(rules)(graph), reference(rules)(graph)), "they agree now: remove it from the list"
    assert explain(rules, graph, compiled, reference) == name
    # whatever these engines made of the same shapes, forgetting other results there would not be excused
    more = Rules([*rules.shapes, *parsed(":t sh:targetNode :x ; sh:property [ sh:path :none ; sh:minCount 1 ] .", "t")])
    assert explain(more, graph, compiled, forgetting("MinCount")) is None


def test_several_values_for_one_of_more_parameters_are_ill_formed() -> None:
    rules, graph = Rules(parsed(COMPONENT.replace(":max '2'", ":max 2, 3"))), parsed(":x :p 'abc' .")
    assert compiled(rules)(graph).kind == "ill-formed"
    assert explain(rules, graph, compiled, reference) == "ill-formed"


@pytest.mark.parametrize(
    "validator", ["", "sh:propertyValidator [ sh:select 'SELECT $this { $this $PATH ?value }' ] ;"]
)
def test_a_component_without_a_validator_for_the_shape_is_ignored_by_both(validator: str) -> None:
    component = f":C a sh:ConstraintComponent ; {validator} sh:parameter [ sh:path :word ] . "
    rules = Rules(parsed(component + ":s sh:targetNode :x ; :word 'a' ; sh:class :K ."))
    verdicts = [judge(rules)(parsed(":x :p 'b' .")) for judge in (compiled, reference)]
    assert agree(*verdicts)
    assert [row[2] for row in verdicts[0].rows] == [SH + "ClassConstraintComponent"]


def test_entailment_is_refused_by_both() -> None:
    rules = Rules(parsed(at("sh:minCount 1") + ":g sh:entailment <http://www.w3.org/ns/entailment/RDFS> ."))
    assert [judge(rules)([]).kind for judge in (compiled, reference)] == ["unsupported", "unsupported"]


def test_refusals_of_different_kinds_are_no_agreement() -> None:
    one, other = (Verdict(Counter(), "because", kind) for kind in ("unsupported", "failed"))
    assert agree(one, replace(one, refused="in other words"))
    assert not agree(one, other)


def test_the_same_seeds_make_the_same_mutants(shared: Path) -> None:
    seeds = w3c(shared)[::10]
    one, other = (str(trials.run(seeds, number=60, first=compiled, second=compiled)) for _ in range(2))
    assert one == other


def test_each_known_disagreement_names_its_clause_and_who_is_right() -> None:
    assert len({known.name for known in KNOWN}) == len(KNOWN)
    for known in KNOWN:
        assert known.clause[0].isdigit(), known
        assert known.right in ("compiled", "pyshacl", "neither"), known


def test_the_page_states_what_is_tested() -> None:
    page = (ROOT / "docs" / "validator.md").read_text("utf-8")
    for part, number in trials.PARTS.items():
        assert f"| {part} | {number} | 0 |" in page
    for known in KNOWN:
        assert f"| {known.name} | {known.what} | {known.clause} | {known.right} |" in page
