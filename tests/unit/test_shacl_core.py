"""SHACL Core on the compiled engine, component by component. tests/contract/ runs the W3C suite."""

from __future__ import annotations

from collections import Counter

import pytest

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import PREFIXES, Literal, NamedNode, Triple, parse
from fairmesh.catalog.shacl import core, syntax
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.reference import Reference
from fairmesh.catalog.shacl.results import Failed, Outcome, Unsupported

EX, SH = "http://example.org/", PREFIXES["sh"]
HEAD = f"@prefix ex: <{EX}> .\n" + "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items())


def triples(text: str) -> list[Triple]:
    return [quad.triple for quad in parse((HEAD + text).encode(), "text/turtle", EX).quads]


def run(shapes: str, data: str, background: str = "") -> Outcome:
    return Compiled(triples(shapes), triples(background)).run(triples(data))


def short(term: object) -> str:
    text = str(term)
    return text.strip("<>").replace(EX, "").replace(SH, "")


def found(outcome: Outcome) -> Counter[tuple[str, str, str]]:
    """Focus, value and component of all results, by their short names."""
    assert not outcome.failed
    return Counter(
        (short(r.focus), "" if r.value is None else short(r.value), short(r.component)[: -len("ConstraintComponent")])
        for r in outcome.results
    )


def on_property(constraint: str, statements: str, background: str = "") -> list[str]:
    """The values (empty where a result has none) that violate a constraint on ex:p of ex:x."""
    shape = f"ex:S sh:targetNode ex:x ; sh:property [ sh:path ex:p ; {constraint} ] ."
    return sorted(value for _, value, _ in found(run(shape, statements, background)).elements())


def value_passes(constraint: str, value: str) -> bool:
    return not on_property(constraint, f"ex:x ex:p {value} .")


VALUES: list[tuple[str, list[str], list[str]]] = [
    ("sh:datatype xsd:integer", ["1", '"-07"^^xsd:integer'], ['"x"^^xsd:integer', "1.5", '"1"', "ex:a", "[]"]),
    ("sh:datatype xsd:date", ['"2024-02-29"^^xsd:date'], ['"2023-02-29"^^xsd:date', '"2024-02-29"']),
    ("sh:datatype xsd:string", ['"a"', '"a"^^xsd:string'], ['"a"@en', "1"]),
    ("sh:datatype rdf:langString", ['"a"@en'], ['"a"']),
    ("sh:datatype ex:type", ['"any"^^ex:type'], ['"any"']),
    ("sh:nodeKind sh:IRI", ["ex:a"], ["[]", '"a"']),
    ("sh:nodeKind sh:BlankNode", ["[]"], ["ex:a", '"a"']),
    ("sh:nodeKind sh:Literal", ['"a"', "1"], ["ex:a", "[]"]),
    ("sh:nodeKind sh:BlankNodeOrIRI", ["ex:a", "[]"], ['"a"']),
    ("sh:nodeKind sh:BlankNodeOrLiteral", ["1", "[]"], ["ex:a"]),
    ("sh:nodeKind sh:IRIOrLiteral", ["1", "ex:a"], ["[]"]),
    ("sh:minInclusive 3", ["3", "3.0", "3e0", '"INF"^^xsd:double'], ["2", '"3"', '"NaN"^^xsd:double', "ex:a", "[]"]),
    ("sh:minExclusive 3", ["4", "3.1"], ["3", "3.0"]),
    ("sh:maxInclusive 3", ["3", "-1"], ["4", '"4"^^xsd:byte', '"x"^^xsd:integer']),
    ("sh:maxExclusive 3", ["2.9"], ["3"]),
    (
        'sh:minInclusive "2024-01-02T00:00:00Z"^^xsd:dateTime',
        ['"2024-01-02T02:00:00+02:00"^^xsd:dateTime', '"2024-01-03T00:00:00"^^xsd:dateTime'],
        ['"2024-01-02T00:00:00"^^xsd:dateTime', '"2024-01-03"^^xsd:date', '"2024-01-02T00:00:00+01:00"^^xsd:dateTime'],
    ),
    ("sh:minLength 2", ['"ab"', "ex:a", "12", '"\U0001f600\U0001f600"'], ['"a"', "1", "[]", '"\U0001f600"']),
    ("sh:minLength 0", ['""'], ["[]"]),
    ("sh:maxLength 2", ['""', "12"], ['"abc"', "ex:a", "[]"]),
    ('sh:pattern "^a.c$"', ['"abc"', '"a-c"@en'], ['"abc\\n"', '"xabc"', '"a\\nc"', "[]"]),
    ('sh:pattern "example"', ["ex:a"], ["<http://other.org/>"]),
    ('sh:pattern "^ab$" ; sh:flags "im"', ['"x\\nAB\\ny"'], ['"xab"']),
    ('sh:pattern "a.b" ; sh:flags "s"', ['"a\\nb"'], ['"ab"']),
    ('sh:pattern "a b" ; sh:flags "x"', ['"ab"'], ['"a b"']),
    ('sh:pattern "a.b" ; sh:flags "q"', ['"a.b"'], ['"axb"']),
    ('sh:languageIn ( "en" "fr" )', ['"a"@en', '"a"@EN-gb', '"a"@fr'], ['"a"', '"a"@de', '"a"@enx', "ex:a"]),
    ("sh:in ( ex:a 1 )", ["ex:a", "1"], ["1.0", '"01"^^xsd:integer', "ex:b"]),
    ("sh:hasValue ex:a", ["ex:a", "ex:a , ex:b"], ["ex:b"]),
    ("sh:not [ sh:nodeKind sh:IRI ]", ["1"], ["ex:a"]),
    ("sh:and ( [ sh:nodeKind sh:Literal ] [ sh:minInclusive 2 ] )", ["2"], ["1", "ex:a"]),
    ("sh:and ( )", ["1"], []),
    ("sh:or ( [ sh:nodeKind sh:IRI ] [ sh:minInclusive 2 ] )", ["2", "ex:a"], ["1", "[]"]),
    ("sh:or ( )", [], ["1"]),
    ("sh:xone ( [ sh:nodeKind sh:Literal ] [ sh:datatype xsd:string ] )", ["1"], ['"a"', "ex:a"]),
    ("sh:node [ sh:property [ sh:path ex:q ; sh:minCount 1 ] ]", ["[ ex:q 1 ]"], ["[]", "ex:a", "1"]),
    ("sh:minCount 2", ["1 , 2", "1 , 1.0"], ["1", "1 , 1"]),
    ("sh:maxCount 1", ["1"], ["1 , 2"]),
    ("sh:uniqueLang true", ['"a"@en , "b"@fr , "c" , "d"'], ['"a"@en , "b"@en']),
    ('sh:uniqueLang "1"^^xsd:boolean', ['"a"@en , "b"@en'], []),
    ("sh:class ex:C", ["[ a ex:C ]"], ["[ a ex:D ]", "ex:a", "1"]),
    (
        "sh:qualifiedValueShape [ sh:nodeKind sh:IRI ] ; sh:qualifiedMinCount 1 ; sh:qualifiedMaxCount 2",
        ["ex:a , 1 , 2 , 3", "ex:a , ex:b"],
        ["1", "ex:a , ex:b , ex:c"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("constraint", "good", "bad"), VALUES, ids=[row[0] for row in VALUES])
def test_components_on_values(constraint: str, good: list[str], bad: list[str]) -> None:
    assert {value: value_passes(constraint, value) for value in good} == dict.fromkeys(good, True)
    assert {value: value_passes(constraint, value) for value in bad} == dict.fromkeys(bad, False)


def test_each_component_reports_what_the_standard_says() -> None:
    assert on_property("sh:minCount 1", "") == [""]
    assert on_property("sh:hasValue 1", "ex:x ex:p 2 .") == [""]
    assert on_property("sh:uniqueLang true", 'ex:x ex:p "a"@en , "b"@en , "c"@fr , "d"@fr , "e"@fr .') == ["", ""]
    assert on_property("sh:in ( 1 ) ; sh:nodeKind sh:IRI", "ex:x ex:p ex:a , ex:b .") == ["a", "b"]
    assert on_property("sh:qualifiedValueShape [] ; sh:qualifiedMinCount 1", "") == [""]
    assert on_property("sh:class ex:C , ex:D", "ex:x ex:p ex:a . ex:a a ex:C .") == ["a"]


def test_pairs_of_properties() -> None:
    assert on_property("sh:equals ex:q", "ex:x ex:p ex:a , ex:b ; ex:q ex:b , ex:c .") == ["a", "c"]
    assert on_property("sh:equals ex:q", "ex:x ex:q ex:c .") == ["c"]
    assert on_property("sh:disjoint ex:q", "ex:x ex:p ex:a , ex:b ; ex:q ex:b .") == ["b"]
    assert len(on_property("sh:lessThan ex:q", "ex:x ex:p 1 , 5 ; ex:q 5 , 6 .")) == 1
    assert len(on_property("sh:lessThan ex:q", "ex:x ex:p 7 ; ex:q 5 , 6 .")) == 2, "one result for each pair"
    assert len(on_property("sh:lessThanOrEquals ex:q", "ex:x ex:p 1 , 5 ; ex:q 5 .")) == 0
    assert len(on_property("sh:lessThan ex:q", "ex:x ex:p ex:a , 1 ; ex:q 'b' .")) == 2, "cannot be compared"
    assert on_property("sh:lessThan ex:q", "ex:x ex:p 1 .") == []


def test_node_shapes_may_have_most_components() -> None:
    shapes = "ex:S sh:targetNode ex:x , 1 ; sh:nodeKind sh:IRI ; sh:equals ex:p ; sh:hasValue ex:x ; sh:in ( ex:x ) ."
    results = found(run(shapes, "ex:x ex:p ex:y ."))
    one = str(Literal("1", datatype=NamedNode(PREFIXES["xsd"] + "integer")))
    assert results == Counter(
        {
            ("x", "x", "Equals"): 1, ("x", "y", "Equals"): 1, (short(one), short(one), "Equals"): 1,
            (short(one), short(one), "NodeKind"): 1, (short(one), "", "HasValue"): 1, (short(one), short(one), "In"): 1,
        }
    )  # fmt: skip


def test_closed_shapes() -> None:
    shapes = (
        "ex:S sh:targetNode ex:x ; sh:closed true ; sh:ignoredProperties ( rdf:type ) ; sh:property ex:P ."
        "ex:P sh:path ex:p . ex:T sh:targetNode ex:x ; sh:closed false ."
    )
    data = triples("ex:x a ex:C ; ex:p 1 ; ex:q 2 , 3 ; ex:computed 4 .")
    results = Compiled(triples(shapes), ignored=[EX + "computed"]).run(data).results
    assert sorted((r.path, short(r.component)) for r in results) == [(EX + "q", "ClosedConstraintComponent")] * 2
    assert len(Compiled(triples(shapes)).run(data).results) == 3


def test_qualified_value_shapes_that_exclude_each_other() -> None:
    shapes = """
    ex:Hand sh:targetNode ex:x ; sh:property ex:Thumbs , ex:Fingers .
    ex:Thumbs sh:path ex:digit ; sh:qualifiedValueShape ex:Thumb ; sh:qualifiedValueShapesDisjoint true ;
      sh:qualifiedMinCount 1 ; sh:qualifiedMaxCount 1 .
    ex:Fingers sh:path ex:digit ; sh:qualifiedValueShape ex:Finger ; sh:qualifiedValueShapesDisjoint true ;
      sh:qualifiedMinCount 1 .
    ex:Thumb sh:class ex:T . ex:Finger sh:class ex:F .
    """
    types = "ex:a a ex:T . ex:b a ex:F . ex:c a ex:T , ex:F ."
    assert found(run(shapes, f"ex:x ex:digit ex:a , ex:b , ex:c . {types}")) == Counter()
    missing = [("x", "", "QualifiedMinCount")] * 2
    assert found(run(shapes, f"ex:x ex:digit ex:c . {types}")) == Counter(missing)


TARGETS = [
    ("sh:targetNode ex:none , 'text'", {"none", '"text"'}),
    ("sh:targetClass ex:C", {"c", "d", "both"}),
    ("a rdfs:Class", {"shape"}),
    ("sh:targetSubjectsOf ex:p", {"c", "n"}),
    ("sh:targetObjectsOf ex:p", {'"1"', "both"}),
    ("sh:targetClass ex:C , ex:D ; sh:targetNode ex:c", {"c", "d", "both"}),
]


@pytest.mark.parametrize(("target", "focus"), TARGETS)
@pytest.mark.parametrize("split", [0, 3, 7])
def test_targets(target: str, focus: set[str], split: int) -> None:
    """Each node once, however data are spread over the run and its background."""
    statements = triples(
        "ex:D rdfs:subClassOf ex:E . ex:E rdfs:subClassOf ex:C . ex:c a ex:C ; ex:p '1' . ex:both a ex:C , ex:D ."
        "ex:d a ex:D . ex:n ex:p ex:both . ex:shape a ex:S ."
    )
    shapes = triples(f"ex:S {target} ; a sh:NodeShape ; sh:not [] .")
    outcome = Compiled(shapes, background=statements[:split]).run(statements[split:])
    assert sorted(short(r.focus) for r in outcome.results) == sorted(focus)


PATHS = [
    ("ex:p", EX + "p", "x", {"a", "b"}),
    ("[ sh:inversePath ex:p ]", "^<ex:p>", "a", {"x"}),
    ("( ex:p ex:p )", "<ex:p> / <ex:p>", "x", {"c", "x"}),
    ("( ex:p [ sh:inversePath ex:p ] )", "<ex:p> / ^<ex:p>", "x", {"x", "c"}),
    ("[ sh:alternativePath ( ex:p ex:q ) ]", "<ex:p> | <ex:q>", "x", {"a", "b", "z"}),
    ("[ sh:zeroOrMorePath ex:p ]", "<ex:p>*", "x", {"x", "a", "b", "c"}),
    ("[ sh:oneOrMorePath ex:p ]", "<ex:p>+", "c", {"b", "x", "a", "c"}),
    ("[ sh:zeroOrOnePath ex:p ]", "<ex:p>?", "x", {"x", "a", "b"}),
    ("[ sh:zeroOrMorePath ( ex:p ex:p ) ]", "(<ex:p> / <ex:p>)*", "x", {"x", "c"}),
    ("[ sh:inversePath ( ex:p ex:p ) ]", "^(<ex:p> / <ex:p>)", "c", {"x"}),
    ("[ sh:inversePath [ sh:oneOrMorePath ex:q ] ]", "^<ex:q>+", "z", {"x"}),
    ("[ sh:inversePath [ sh:inversePath ex:q ] ]", "^(^<ex:q>)", "x", {"z"}),
    ("( [ sh:alternativePath ( ex:p ex:q ) ] ex:p )", "(<ex:p> | <ex:q>) / <ex:p>", "x", {"c", "x"}),
    ("[ sh:zeroOrOnePath [ sh:oneOrMorePath ex:q ] ]", "(<ex:q>+)?", "x", {"x", "z"}),
]


@pytest.mark.parametrize(("path", "text", "focus", "values"), PATHS, ids=[row[1] for row in PATHS])
def test_paths(path: str, text: str, focus: str, values: set[str]) -> None:
    data = "ex:x ex:p ex:a , ex:b ; ex:q ex:z . ex:a ex:p ex:c . ex:b ex:p ex:x . ex:c ex:p ex:b , ex:c ."
    outcome = run(f"ex:S sh:targetNode ex:{focus} ; sh:path {path} ; sh:not [] .", data.replace(", ex:c .", "."))
    assert {r.path for r in outcome.results} == {text.replace("ex:", EX)}
    assert sorted(short(r.value) for r in outcome.results) == sorted(values)


def test_results_name_shape_root_severity_and_messages() -> None:
    shapes = (
        "ex:S sh:targetNode ex:x ; sh:severity sh:Info ; sh:message 'outer' ; sh:property ex:P ; sh:in () ."
        "ex:P sh:path ex:p ; sh:minCount 1 ; sh:severity ex:Odd ; sh:message 'b'@en , 'a' ."
    )
    by_shape = {short(r.shape): r for r in run(shapes, "").results}
    inner, outer = by_shape["P"], by_shape["S"]
    assert (inner.severity, inner.messages) == (EX + "Odd", (Literal("a"), Literal("b", language="en")))
    assert (outer.severity, outer.messages) == (SH + "Info", (Literal("outer"),))
    assert inner.root == outer.root == NamedNode(EX + "S")
    assert (inner.path, outer.path, inner.value, outer.value) == (EX + "p", None, None, NamedNode(EX + "x"))


@pytest.mark.parametrize("where", ["ex:S", "ex:P", "ex:N"])
def test_deactivated_shapes_find_nothing(where: str) -> None:
    shapes = "ex:S sh:targetNode ex:x ; sh:property ex:P . ex:P sh:path ex:p ; sh:node ex:N . ex:N sh:nodeKind sh:IRI ."
    assert len(run(shapes, "ex:x ex:p 1 .").results) == 1
    assert run(f"{shapes} {where} sh:deactivated true .", "ex:x ex:p 1 .").results == ()
    assert len(run(f"{shapes} {where} sh:deactivated false .", "ex:x ex:p 1 .").results) == 1


def test_roots_and_own_limit_a_run() -> None:
    engine = Compiled(triples("ex:A sh:targetClass ex:C ; sh:not [] . ex:B sh:targetNode ex:y ; sh:not [] ."))
    data = triples("ex:x a ex:C . ex:y a ex:C .")
    only_x = engine.run(data, own=lambda node: node == NamedNode(EX + "x"))
    assert [(short(r.focus), short(r.root)) for r in only_x.results] == [("x", "A")]
    only_b = engine.run(data, roots=[NamedNode(EX + "B")])
    assert [(short(r.focus), short(r.root)) for r in only_b.results] == [("y", "B")]
    with pytest.raises(InputError, match="not a targeted shape"):
        engine.run(data, roots=[NamedNode(EX + "Z")])


def test_runs_do_not_see_each_other() -> None:
    shapes = "ex:S sh:targetSubjectsOf ex:p ; sh:property [ sh:path ex:p ; sh:class ex:C ; sh:maxCount 2 ] ."
    engine = Compiled(triples(shapes), triples("ex:a a ex:D . ex:x ex:p ex:a . ex:D rdfs:subClassOf ex:E ."))
    first = triples("ex:x ex:p ex:a , ex:b , ex:b . ex:b a ex:C . ex:E rdfs:subClassOf ex:C .")
    assert engine.run(first).results == ()
    assert found(engine.run([])) == Counter([("x", "a", "Class")])
    assert found(engine.run(triples("ex:x ex:p ex:b , ex:c ."))) == Counter(
        [("x", "a", "Class"), ("x", "b", "Class"), ("x", "c", "Class"), ("x", "", "MaxCount")]
    )
    assert engine.run(first).results == ()


def test_a_statement_said_twice_is_one() -> None:
    many = " , ".join(f"ex:v{n}" for n in range(40))
    assert on_property("sh:maxCount 40", f"ex:x ex:p {many} . ex:x ex:p {many} .", f"ex:x ex:p {many} .") == []
    assert on_property("sh:maxCount 39", f"ex:x ex:p {many} .") == [""]


# -- shapes that lead back to themselves ------------------------------------------------------------------------------

PERSON = (
    "ex:P sh:targetNode ex:a ; sh:property [ sh:path ex:name ; sh:minCount 1 ] , [ sh:path ex:knows ; sh:node ex:P ] ."
)


def test_recursive_shapes_take_for_granted_what_they_are_asked() -> None:
    named = "ex:a ex:name 'a' ; ex:knows ex:b . ex:b ex:knows ex:a ; ex:name 'b' ."
    assert run(PERSON, named).results == ()
    assert found(run(PERSON, "ex:a ex:name 'a' ; ex:knows ex:b . ex:b ex:knows ex:a .")) == Counter(
        [("a", "b", "Node")]
    )


def test_a_chain_longer_than_the_stack_fails_that_root_only() -> None:
    chain = " ".join(f"ex:n{n} ex:name 'n' ; ex:knows ex:n{n + 1} ." for n in range(2000))
    outcome = run(
        PERSON + "ex:Q sh:targetNode ex:a ; sh:nodeKind sh:Literal .", "ex:a ex:name 'a' ; ex:knows ex:n0 ." + chain
    )
    assert outcome.failed == (Failed(NamedNode(EX + "P"), "its evaluation is nested too deep"),)
    assert [short(r.root) for r in outcome.results] == ["Q"]


def test_a_web_of_nodes_runs_into_the_limit() -> None:
    names = [f"ex:n{n}" for n in range(14)]
    web = " ".join(f"{one} ex:name 'n' ; ex:knows {' , '.join(names)} ." for one in names)
    outcome = run(PERSON, "ex:a ex:name 'a' ; ex:knows ex:n0 ." + web)
    assert [(short(failed.root), "steps" in failed.reason) for failed in outcome.failed] == [("P", True)]
    assert outcome.results == ()


def test_a_pattern_that_takes_forever_fails_its_root() -> None:
    outcome = run("ex:S sh:targetNode 'x' ; sh:pattern '^(a|a)*$' . ", "")
    assert len(outcome.results) == 1
    outcome = run(f"ex:S sh:targetNode '{'a' * 60}b' ; sh:pattern '^(a|a)*$' . ", "")
    assert [(short(failed.root), "60" in failed.reason or "61" in failed.reason) for failed in outcome.failed] == [
        ("S", True)
    ]


# -- regular expressions ----------------------------------------------------------------------------------------------

MATCHES = [
    (r"^\\w+$", "é$", True),
    (r"^\\w+$", "a_b", False),
    (r"^\\W$", "_", True),
    (r"^\\s$", "\\u00a0", False),
    (r"^[\\s\\S]$", "\\n", True),
    (r"^\\d$", "٣", True),
    (r"^\\i\\c*$", "a-1", True),
    (r"^\\i\\c*$", "1a", False),
    (r"^\\I$", "1", True),
    (r"^[\\i-[:]][\\c-[:]]*$", "a:b", False),
    (r"^\\p{Lu}\\p{L}+$", "Élan", True),
    (r"^\\P{L}$", "a", False),
    (r"^[^\\p{L}]$", "1", True),
    (r"^[a-z-[aeiou]]+$", "xyz", True),
    (r"^[a-z-[aeiou]]+$", "xyzu", False),
    (r"^[-+.]$", "-", True),
    (r"^[+.-]$", "-", True),
    (r"^[a\\-z]$", "b", False),
    (r"^(?:a|b){2,3}?$", "aba", True),
    (r"^a{2}$", "aaa", False),
    (r"\\/\\.", "/.", True),
    (r"[&&||~~]", "&", True),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), MATCHES)
def test_patterns_are_xpaths(pattern: str, text: str, matches: bool) -> None:
    assert value_passes(f'sh:pattern "{pattern}"', f'"{text}"') == matches


OTHER_DIALECTS = [
    "(?=a)", "(?i)a", r"\\bword", "a++", "a{,3}", "{x}", "[a-z-_]", r"(a)\\1", r"\\p{IsGreek}", "[[:alpha:]]",
    r"\\x41", "(?P<n>a)",
]  # fmt: skip


@pytest.mark.parametrize("pattern", OTHER_DIALECTS)
def test_patterns_of_other_dialects_are_named(pattern: str) -> None:
    with pytest.raises(Unsupported, match="sh:pattern with"):
        run(f'ex:S sh:targetNode ex:x ; sh:pattern "{pattern}" .', "")


# -- refused ----------------------------------------------------------------------------------------------------------

UNSUPPORTED = [
    ("ex:S sh:js [] ; sh:targetNode ex:x .", "sh:js"),
    ("ex:S sh:rule [] ; a sh:NodeShape .", "sh:rule"),
    ("ex:S sh:target [] .", "sh:target"),
    ("ex:S sh:expression [] .", "sh:expression"),
    ("ex:S a sh:NodeShape ; sh:reifierShape ex:T .", "sh:reifierShape"),
    ("ex:S a sh:NodeShape ; sh:minCuont 1 .", "sh:minCuont"),
    ("ex:f a sh:SPARQLFunction .", "sh:SPARQLFunction"),
    ("<> sh:entailment <http://www.w3.org/ns/entailment/RDFS> .", "sh:entailment"),
]


@pytest.mark.parametrize(("shapes", "construct"), UNSUPPORTED)
def test_what_is_not_implemented_is_named(shapes: str, construct: str) -> None:
    with pytest.raises(Unsupported) as caught:
        run(shapes, "")
    assert caught.value.construct == construct


@pytest.mark.parametrize("engine", [Compiled, Reference])
def test_both_engines_refuse_what_none_runs(engine: type[Compiled | Reference]) -> None:
    for iri in syntax.REFUSED:
        for shapes in (f"ex:S a sh:NodeShape ; <{iri}> ex:x .", f"ex:x a <{iri}> . ex:S a sh:NodeShape ."):
            with pytest.raises(Unsupported) as caught:
                engine(triples(shapes))
            assert caught.value.construct == "sh:" + iri.removeprefix(SH)


def test_every_parameter_is_compiled_or_constrains_nothing() -> None:
    read = {"path", "property", "sparql", "severity", "deactivated", "message"}
    compiled = read.union(core._BUILDERS, core._OPTIONAL, syntax.TARGETS)
    assert {iri.removeprefix(SH) for iri in syntax.PARAMETERS} - compiled == {
        "name", "description", "defaultValue", "group", "order",
    }  # fmt: skip


ILL_FORMED = [
    "sh:property [ sh:path () ]",
    "a sh:PropertyShape",
    "sh:property ex:none",
    "sh:property [ sh:minCount 1 ]",
    "sh:property 'text'",
    "sh:property [ sh:path ex:p , ex:q ]",
    "sh:property [ sh:path 'p' ]",
    "sh:property [ sh:path ( ex:p ) ]",
    "sh:property [ sh:path () ]",
    "sh:property [ sh:path [ sh:inversePath ex:p ; sh:zeroOrMorePath ex:q ] ]",
    "sh:property [ sh:path [] ]",
    "sh:property [ sh:path [ sh:alternativePath ex:p ] ]",
    "a sh:NodeShape ; sh:path ex:p",
    "sh:minCount 1",
    "sh:lessThan ex:q",
    "sh:property [ sh:path ex:p ; sh:minCount 1 , 2 ]",
    "sh:property [ sh:path ex:p ; sh:minCount 'one' ]",
    "sh:property [ sh:path ex:p ; sh:maxCount -1 ]",
    "sh:property [ sh:path ex:p ; sh:uniqueLang 1 ]",
    "sh:in ex:a",
    "sh:in [ rdf:first 1 ]",
    "sh:or ( 'text' )",
    "sh:or ex:a",
    "sh:node [ sh:path ex:p ]",
    "sh:nodeKind sh:Iri",
    "sh:class 'C'",
    "sh:datatype 'string'",
    "sh:datatype xsd:string , xsd:date",
    "sh:pattern '(' ",
    "sh:pattern 'a' , 'b'",
    "sh:pattern 'a' ; sh:flags 'g'",
    "sh:pattern 'a'@en",
    "sh:languageIn ( ex:en )",
    "sh:minInclusive ex:a",
    "sh:minLength 1.5",
    "sh:closed 'true'",
    "sh:closed true ; sh:ignoredProperties ( 'p' )",
    "sh:deactivated 1",
    "sh:severity 'high'",
    "sh:message 1",
    "sh:targetClass 'C'",
    "sh:targetNode []",
]


@pytest.mark.parametrize("body", ILL_FORMED)
def test_ill_formed_shapes_are_refused_with_place_and_remedy(body: str) -> None:
    with pytest.raises(InputError) as caught:
        run(f"ex:S sh:node [] ; {body} .", "")
    assert (caught.value.code, caught.value.iri) == ("rule-set", EX + "S")
    assert caught.value.remedy


def test_a_list_that_bites_its_tail_is_refused() -> None:
    with pytest.raises(InputError, match="is not a list"):
        run("ex:S sh:in _:l . _:l rdf:first 1 ; rdf:rest _:l .", "")


def test_a_path_that_bites_its_tail_is_refused() -> None:
    with pytest.raises(InputError, match="turns back on itself"):
        run("ex:S a sh:PropertyShape ; sh:path _:p . _:p sh:inversePath _:p .", "")


def test_shapes_nested_too_deep_are_refused() -> None:
    shapes = "".join(f"ex:S{n} sh:not ex:S{n + 1} . " for n in range(3000))
    with pytest.raises(InputError, match="nested too deep"):
        run(shapes, "")


def test_terms_that_say_nothing_pass() -> None:
    shapes = (
        "ex:S sh:targetNode ex:x ; sh:name 'n' ; sh:description 'd' ; sh:order 1 ; sh:property [ sh:path ex:p ; "
        "sh:group ex:g ; sh:defaultValue 3 ] . ex:g a sh:PropertyGroup . ex:r a sh:ValidationResult ; sh:value 1 . "
        "ex:any sh:odd 1 ."
    )
    assert run(shapes, "").results == ()
