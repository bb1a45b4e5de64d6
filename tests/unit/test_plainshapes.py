"""Plain SHACL over any data: what is left out of the shapes, what findings are called and say, what cannot run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fairmesh.catalog import governance, plainshapes, rdf
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Severity
from fairmesh.catalog.plainshapes import Checked, PlainShapes
from fairmesh.catalog.rdf import Triple
from fairmesh.catalog.shacl.results import Engine, Unsupported

PREFIXES = """@prefix ex: <http://example.com/ns#> .
@prefix other: <http://example.com/other#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
DATA = "ex:one a ex:Thing . ex:two a ex:Thing ; ex:size 3 ."


def triples(text: str) -> list[Triple]:
    return [quad.triple for quad in rdf.parse((PREFIXES + text).encode(), rdf.TURTLE, "http://localhost/id/").quads]


@contextmanager
def made(*files: str, vocabulary: str = "", engine: str = "compiled") -> Iterator[PlainShapes]:
    shapes = PlainShapes(
        {f"{number}.ttl": (PREFIXES + text).encode() for number, text in enumerate(files)}, triples(vocabulary), engine
    )
    try:
        yield shapes
    finally:
        shapes.close()


def check(*files: str, data: str = DATA, vocabulary: str = "", engine: str = "compiled") -> Checked:
    with made(*files, vocabulary=vocabulary, engine=engine) as shapes:
        return shapes.check(triples(data))


@pytest.mark.parametrize("engine", ["compiled", "pyshacl"])
def test_severities_are_those_of_the_standard_and_others_refuse(engine: str) -> None:
    found = check(
        "ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property ex:p, ex:q, ex:r, ex:t ."
        " ex:p sh:path ex:p ; sh:minCount 1 . ex:q sh:path ex:q ; sh:minCount 1 ; sh:severity sh:Warning ."
        " ex:r sh:path ex:r ; sh:minCount 1 ; sh:severity sh:Info ."
        " ex:t sh:path ex:t ; sh:minCount 1 ; sh:severity ex:Dreadful .",
        data="ex:one a ex:Thing .", engine=engine,
    )  # fmt: skip
    severities = [(finding.rule, finding.severity) for finding in found.report.findings]
    assert severities == [
        ("p", Severity.VIOLATION), ("t", Severity.VIOLATION), ("q", Severity.WARNING), ("r", Severity.INFO),
    ]  # fmt: skip
    assert not found.report.conforms


def test_warnings_alone_conform() -> None:
    shape = "ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property ex:p ."
    found = check(shape + " ex:p sh:path ex:p ; sh:minCount 1 ; sh:severity sh:Warning .")
    assert found.report.conforms
    assert found.report.count(Severity.WARNING) == 2


def test_findings_group_by_shape_and_path() -> None:
    found = check(
        "ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property ex:p, [ sh:path ex:size ; sh:datatype xsd:string ]"
        " . ex:p sh:path ex:p ; sh:minCount 1 .",
        data=DATA + " ex:three a ex:Thing .",
    )
    groups = [(group.rule, group.path, group.count) for group in found.report.groups()]
    assert groups == [("S", "http://example.com/ns#size", 1), ("p", "http://example.com/ns#p", 3)]
    assert found.focus_nodes == 3


def test_a_shape_is_called_by_what_is_its_alone() -> None:
    found = check(
        "ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property ex:p, other:p, [ sh:path ex:r ; sh:minCount 1 ] ."
        " ex:p sh:path ex:p ; sh:minCount 1 . other:p sh:path ex:q ; sh:minCount 1 .",
        data="ex:one a ex:Thing .",
    )
    names = {finding.rule for finding in found.report.findings}
    assert names == {"S", "http://example.com/ns#p", "http://example.com/other#p"}


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ("sh:minCount 1", "sh:minCount 1 is not met"),
        ('sh:minCount 1 ; sh:message "Say p."@en, "Sag p."@de', "Say p."),
        ('sh:minCount 1 ; sh:name "pp" ; sh:description "What it is."', "pp: sh:minCount 1 is not met. What it is."),
        ('sh:name "nombre"@es, "name"@en ; sh:minCount 1', "name: sh:minCount 1 is not met"),
        ("sh:hasValue ex:Blue", "sh:hasValue <http://example.com/ns#Blue> is not met"),
        ("sh:qualifiedValueShape ex:Other ; sh:qualifiedMinCount 2", "sh:qualifiedMinCount 2 is not met"),
    ],
)
def test_messages_are_the_shapes_own_or_say_what_was_asked(constraint: str, said: str) -> None:
    found = check(
        f"ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property [ sh:path ex:p ; {constraint} ] ."
        " ex:Other a sh:NodeShape ; sh:nodeKind sh:IRI .",
        data="ex:one a ex:Thing .",
    )
    assert [finding.message for finding in found.report.findings] == [said]


def test_long_lists_and_descriptions_are_cut_short() -> None:
    found = check(
        "ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property"
        f' [ sh:path ex:size ; sh:in ( 10 20 30 40 50 60 70 ) ; sh:description "{"long " * 100}" ] .'
    )
    message = found.report.findings[0].message
    assert message.startswith("sh:in (10 20 30 40 50 and 2 more) is not met. long long")
    assert message.endswith("…")
    assert len(message) < 260


# -- shapes that cannot be used ---------------------------------------------------------------------------------------

SOUND = (
    "ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property ex:p, ex:gone . ex:p sh:path ex:p ; sh:minCount 1 ."
)


def test_what_is_wrong_is_left_out_and_the_rest_judges() -> None:
    with made(SOUND) as shapes:
        assert [(each.rule, each.line) for each in shapes.problems] == [("dangling", 6)]
        assert len(shapes.check(triples(DATA)).report.findings) == 2


@pytest.mark.parametrize("engine", ["compiled", "pyshacl"])
def test_a_query_may_ask_the_clock_and_nobody_outside(engine: str) -> None:
    """What `check` answers is of its moment, and kept by nobody."""
    shape = "ex:%s a sh:NodeShape ; sh:targetClass ex:Thing ; sh:sparql [ sh:select '''SELECT $this WHERE { %s }''' ] ."
    clock = f'$this a ?kind FILTER (NOW() > "2020-01-01T00:00:00Z"^^<{rdf.PREFIXES["xsd"]}dateTime>)'
    with made(shape % ("S", clock) + shape % ("T", "SERVICE <http://x> { $this a ?kind }"), engine=engine) as shapes:
        told = [(each.rule, each.error, each.what.partition(" ")[0]) for each in shapes.problems]
        assert told == [("sparql", False, "NOW()"), ("sparql", True, "SERVICE")]
        assert [finding.rule for finding in shapes.check(triples(DATA)).report.findings] == ["S", "S"]


@pytest.mark.parametrize(
    ("constraint", "rule", "what"),
    [
        ("sh:path () ; sh:minCount 9", "ill-formed", "sh:path is an empty list"),
        ("sh:path [ sh:inversePath () ] ; sh:minCount 9", "ill-formed", "sh:path has an empty list in it"),
        ("sh:path [ sh:alternativePath () ] ; sh:minCount 9", "ill-formed", "fewer than two members"),
        *((f"sh:pattern '{'(' * deep}a{')' * deep}'", "pattern", "more than 50 deep") for deep in (60, 300, 2_000)),
    ],
    ids=["path", "inverse", "choice", "60 groups", "300 groups", "2000 groups"],
)
@pytest.mark.parametrize("engine", ["compiled", "pyshacl"])
def test_what_an_engine_would_stumble_over_is_left_out_with_its_line(
    engine: str, constraint: str, rule: str, what: str
) -> None:
    sound = SOUND.replace(", ex:gone", "")
    with made(f"{sound}\nex:E sh:targetClass ex:Thing ;\n {constraint} .", engine=engine) as it:
        (found,) = it.problems
        assert (found.file, found.line, found.rule) == ("0.ttl", PREFIXES.count("\n") + 3, rule)
        assert what in found.what
        assert len(found.what) < 400
        assert found.remedy
        assert len(it.check(triples(DATA)).report.findings) == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ex:S a sh:NodeShape ; sh:targetClass ex:Thing", "0.ttl: "),
        ("ex:S a sh:NodeShape ; sh:nodeKind sh:IRI .", "no shape of 0.ttl that can be used has a target"),
        ("ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:nodeKind ex:Odd .", "nothing would be checked"),
    ],
)
def test_shapes_that_would_check_nothing_are_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as refused, made(text):
        pass
    assert refused.value.remedy


def test_where_nothing_is_left_to_check_what_was_found_wrong_is_named() -> None:
    parts = " , ".join(f"[ sh:path ex:p{number} ; sh:singleLine true ]" for number in range(5))
    shapes = f"ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property {parts} ; sh:minCuont 1 ."
    with pytest.raises(InputError) as refused, made(shapes):
        pass
    assert "0.ttl, line 6: sh:singleLine is no term of SHACL (Remove it, or check its spelling)" in str(refused.value)
    assert "; and 1 more. Correct what is named" in str(refused.value)


def test_a_shape_that_is_a_class_of_owl_only_is_told_to_target_nothing() -> None:
    shape = "ex:Thing a owl:Class, sh:NodeShape ; sh:property [ sh:path ex:p ; sh:minCount 1 ] ."
    owl = "@prefix owl: <http://www.w3.org/2002/07/owl#> . "
    with pytest.raises(InputError, match="targets nothing: an owl:Class that is a shape is no implicit target"):
        check(owl + shape)
    with made(owl + shape, SOUND.replace(", ex:gone", "")) as shapes:
        assert [(each.rule, each.error, each.what.partition(":")[0]) for each in shapes.problems] == [
            ("idle", False, "<http"),
        ]  # fmt: skip
    for more in (
        "ex:Thing sh:targetClass ex:Thing .",
        "ex:Thing a rdfs:Class .",
        "owl:Class rdfs:subClassOf rdfs:Class .",
    ):
        with made(owl + shape + more) as shapes:
            assert not shapes.problems
            assert len(shapes.check(triples(DATA)).report.findings) == 2


def test_what_the_engine_does_not_compile_runs_on_pyshacl(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"compiled"}
    engine_for = governance.engine_for

    def refusing(name: str, *given: Any) -> Engine:
        if name in refused:
            raise Unsupported("sh:pattern", rdf.NamedNode("http://example.com/ns#S"))
        return engine_for(name, *given)

    monkeypatch.setattr(governance, "engine_for", refusing)
    found = plainshapes._Made({"a.ttl": (PREFIXES + SOUND).encode()}, (), "compiled")
    assert found.engine.name == "pyshacl"
    assert found.unsupported is not None
    assert "sh:pattern in <http://example.com/ns#S> is not compiled" in found.unsupported
    refused.add("pyshacl")
    with pytest.raises(InputError, match="is not implemented"):
        plainshapes._Made({"a.ttl": (PREFIXES + SOUND).encode()}, (), "compiled")


SLOW = """ex:Slow a sh:NodeShape ; sh:targetClass ex:Thing ; sh:sparql [ sh:select
  "SELECT $this WHERE { $this ?p ?o . ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . FILTER (?a = ?l && ?c = ?j) }" ] ."""


def test_a_shape_that_does_not_end_is_named_and_the_others_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plainshapes, "_ALONE", 1.5)
    data = triples(" ".join(f"ex:n{number} a ex:Thing ; ex:size {number} ." for number in range(150)))
    with made(SOUND, SLOW, engine="pyshacl") as shapes:
        found = shapes.check(data, timeout=4)
    (failed,) = found.report.failed
    assert failed[0] == "http://example.com/ns#Slow"
    assert "took longer" in failed[1]
    assert {finding.rule for finding in found.report.findings} == {"p"}
    assert len(found.report.findings) == 150


# -- vocabularies -----------------------------------------------------------------------------------------------------

CLASS = (
    "ex:S a sh:NodeShape ; sh:targetClass ex:Thing ; sh:property [ sh:path ex:by ; sh:class ex:Agent ] ,"
    " [ sh:path rdfs:label ; sh:minCount 1 ; sh:severity sh:Warning ] ."
)
BY = 'ex:one a ex:Thing ; rdfs:label "One" ; ex:by ex:town . ex:town a ex:Town .'


@pytest.mark.parametrize("engine", ["compiled", "pyshacl"])
def test_class_axioms_come_from_the_vocabulary_and_from_the_shapes(engine: str) -> None:
    axiom = "ex:Town rdfs:subClassOf ex:Agent ."
    assert not check(CLASS, data=BY, engine=engine).report.conforms
    assert check(CLASS, data=BY, vocabulary=axiom, engine=engine).report.findings == ()
    assert check(CLASS, axiom, data=BY, engine=engine).report.findings == ()


@pytest.mark.parametrize("engine", ["compiled", "pyshacl"])
def test_what_only_the_vocabulary_mentions_is_not_judged(engine: str) -> None:
    vocabulary = "ex:Town rdfs:subClassOf ex:Agent . ex:known a ex:Thing . ex:seen a ex:Thing ."
    found = check(CLASS, data=BY + " ex:town ex:knows ex:seen .", vocabulary=vocabulary, engine=engine)
    assert [finding.focus for finding in found.report.findings] == ["http://example.com/ns#seen"]
    assert found.focus_nodes == 2


def test_a_target_that_no_data_mentions_is_judged() -> None:
    shape = "ex:S a sh:NodeShape ; sh:targetNode ex:root ; sh:property [ sh:path ex:p ; sh:minCount 1 ] ."
    found = check(shape, data="ex:one a ex:Thing .")
    assert [finding.focus for finding in found.report.findings] == ["http://example.com/ns#root"]


def test_nothing_targeted_is_told_from_nothing_wrong() -> None:
    found = check(SOUND, data='ex:one rdfs:label "One" .')
    assert (found.report.findings, found.focus_nodes) == ((), 0)
