"""SHACL-SPARQL: the text gate, pre-binding, constraints and components, and what ends at its limits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import RdfFormat, parse

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.shacl import sparql, verbatim
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.paths import Shapes
from fairmesh.catalog.shacl.results import Outcome, Unsupported
from fairmesh.catalog.shacl.sparqltext import MAX_DEPTH, MAX_GROUPS, MAX_TERMS, MAX_TOKENS, Query, read

EX, XSD = "http://example.org/", "http://www.w3.org/2001/XMLSchema#"
PREFIXES = f"""
@prefix ex: <{EX}> . @prefix sh: <http://www.w3.org/ns/shacl#> . @prefix xsd: <{XSD}> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
"""
DECLARED = f'ex: sh:declare [ sh:prefix "ex" ; sh:namespace "{EX}"^^xsd:anyURI ] .'


def ttl(text: str) -> list[Triple]:
    return [quad.triple for quad in parse(f"{PREFIXES}\n{text}".encode(), format=RdfFormat.TURTLE)]


def ex(name: str) -> NamedNode:
    return NamedNode(EX + name)


def run(shapes: str, data: str) -> Outcome:
    return Compiled(ttl(f"{DECLARED}\n{shapes}")).run(ttl(data))


def select(text: str, more: str = "", target: str = "sh:targetClass ex:T") -> str:
    return f"""
    ex:S a sh:NodeShape ; {target} ; sh:sparql [ sh:prefixes ex: ; sh:select {json.dumps(text)} {more} ] .
    """


def found(text: str, data: str, target: str = "sh:targetClass ex:T") -> list[tuple[str, str]]:
    """Focus nodes and values of what a query finds."""
    outcome = run(select(text, target=target), data)
    assert not outcome.failed
    return sorted((str(result.focus), str(result.value)) for result in outcome.results)


def ask(text: str, **more: object) -> Query:
    return read(text, "ASK", prefixes={"ex": EX}, bound={"this", "value"}, **more)  # type: ignore[arg-type]


def refusal(text: str, form: str = "ASK") -> InputError:
    with pytest.raises(InputError) as caught:
        read(text, form, prefixes={"ex": EX, "SERVICEex": EX}, bound={"this", "value"})  # type: ignore[arg-type]
    assert caught.value.code == "rule-set"
    assert caught.value.remedy
    assert caught.value.line
    assert caught.value.column
    return caught.value


# -- the gate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ("ASK { SERVICE <http://a/> { ?s ?p ?o } }", "SERVICE"),
        ("ask { service silent <http://a/> {} }", "SERVICE"),
        (r"ASK { SERV\u0049CE <http://a/> {} }", "SERVICE"),
        (r"ASK { \U00000053ERVICE <http://a/> {} }", "SERVICE"),
        (r'ASK { ?s ?p "a\u0022 . SERVICE <http://a/> {} # "}', "SERVICE"),
        ("ASK { ?s ?p 1SERVICE<http://a/>{} }", "SERVICE"),
        ("ASK { ?s ?p trueSERVICE<http://a/>{} }", "trueSERVICE"),
        ("ASK { SERVICESILENT <http://a/> {} }", "SERVICESILENT"),
        ("ASK FROM <http://a/> {}", "FROM"),
        ("ASK FROM NAMED <http://a/> {}", "FROM"),
        ("ASK FROMex:a {}", "FROMex:"),
        ("ASK { GRAPH ?g { ?s ?p ?o } }", "GRAPH"),
        ("ASK { GRAPHex:g { ?s ?p ?o } }", "GRAPHex:"),
        ("LOAD <http://a/>", "LOAD"),
        ("INSERT DATA { <a:a> <a:b> 1 }", "INSERT"),
        ("delete where { ?s ?p ?o }", "DELETE"),
        ("CLEAR ALL", "CLEAR"),
        ("CONSTRUCT {} WHERE {}", "CONSTRUCT"),
        ("DESCRIBE <a:b>", "DESCRIBE"),
        ("ASK { ?s ?p ?o MINUS { ?s ?p 1 } }", "MINUS"),
        ("ASK { VALUES ?s { 1 } }", "VALUES"),
        ("ASK { ?s ?p ?o } vAlUeS ?s { 1 }", "VALUES"),
        ("ASK { BIND(1 AS $this) }", "AS ?this"),
        ("ASK { BIND(1 AS ?value) }", "AS ?value"),
        ("ASK { { SELECT ?s { ?s ?p ?o } } }", "subquery"),
        ("ASK { { SELECT * { ?s ?p ?o } } }", "SELECT *"),
        ("ASK { { SELECT $this (1 AS ?a) { $this ?p ?o } } }", "subquery"),
        ("ASK { ?s ?p ?o LATERAL { ?s ?p 1 } }", "LATERAL"),
        ("ASK { << ?s ?p ?o >> ?p ?o }", "<<"),
        ("BASE <http://a/> ASK {}", "BASE"),
        ("ASK { ?s <relative> ?o }", "<relative>"),
        ("ASK { FILTER(?a<?b&&?c>?d) }", "<?b&&?c>"),
        ("ASK { ?s nope:p ?o }", "nope:"),
        ("ASK { ?s $PATH ?o }", "$PATH"),
        ("SELECT $this { $this ?p ?o }", "ASK"),
        (r"ASK { ?s ?p '\uD800' }", r"\uD800"),
        (r'ASK { ?s ?p "\u005Cu0041" }', "escape"),
        ("ASK { ?s ?p 'open }", "string"),
        ("ASK { ?s ?p ?o", "{"),
        ("ASK { ?s ?p ?o } }", "}"),
        ("ASK { ?s ?p ?o ) }", ")"),
        ("ASK {} ASK {}", "ASK"),
        ("ASK", "WHERE"),
        ("", "ASK"),
    ],
)
def test_the_gate_names_what_it_refuses(text: str, construct: str) -> None:
    assert construct in refusal(text).message


@pytest.mark.parametrize(
    "text",
    [
        "ASK { ?s ?p ?o } # SERVICE <http://a/> {} \\u0020",
        'ASK { ?s ?p "SERVICE", \'MINUS\', \'\'\'VALUES \' " \'\'\', """FROM " x""" }',
        "ASK { ?s <http://service/GRAPH?x=(LOAD)> ?o }",
        "ASK { ?service ex:values ?minus . ?graph ex:FROM $load }",
        "ASK { ?s !(ex:a|^ex:b)/ex:c*|^(ex:d/ex:e)+|ex:f? ?o }",
        "PREFIX : <http://a/> prefix a.b: <http://b/> ASK { :a a.b:c\\-d ex:%41, :1a.b, ex:x . }",
        r"ASK { ?s <http://\u0061/> ?\u006f }",
        "ASK { { SELECT $this $value (COUNT(?o) AS ?n) { $this ?p ?o } GROUP BY $this $value } }",
        "ASK WHERE { FILTER (?a < ?b && ?c > -1 || COALESCE (?d, 1.5e3) NOT IN (1, 2)) FILTER CONCAT ('a', ?b) }",
        'ASK { ?s ?p "a"@en-GB, "1"^^<http://www.w3.org/2001/XMLSchema#int>, (1 [ ex:p [] ]) ; ex:q ?z . }',
    ],
)
def test_what_only_looks_like_a_forbidden_word_passes(text: str) -> None:
    assert sparql.Data([]).solve(ask(text), {}) in (True, False)


def test_a_prefix_cannot_hide_a_keyword() -> None:
    # the store's parser reads SERVICEex:x as SERVICE and ex:x
    query = read("ASK { SERVICEex:x { ?s ?p ?o } }", "ASK", prefixes={"ex": EX, "SERVICEex": EX}, bound=())
    assert "SERVICE" not in query.bound({})


def test_a_refusal_counts_lines_and_columns_in_the_text_as_written() -> None:
    error = refusal("# \\u0041 comment\nASK {\n  ?\\u0073 ?p ?o . MINUS {} }")
    assert (error.line, error.column) == (3, 19)


def test_what_the_parser_refuses_is_shown_where_it_stands() -> None:
    shapes = Shapes(ttl(DECLARED + select("SELECT $this {\n  $this ex:p ex:o ex:q }")))
    (node,) = shapes.objects(ex("S"), NamedNode("http://www.w3.org/ns/shacl#sparql"))
    with pytest.raises(InputError) as caught:
        sparql.constraint(shapes, ex("S"), node, None)
    assert (caught.value.line, caught.value.iri) == (2, EX + "S")


@pytest.mark.parametrize("name", ["http://example.org/fn", XSD + "nope"])
def test_unknown_functions_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        Compiled(ttl(DECLARED + select(f"SELECT $this {{ FILTER(<{name}>($this)) }}")))


@given(st.text(alphabet="ASK{}()<>?$:ex.\\u0041SERVICE \n#'\"|^*/,;=!&@-1_", max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_passes_asks_nobody(text: str) -> None:
    try:
        written = ask("ASK {" + text).bound({})
    except InputError:
        return
    assert all(word.upper() not in ("SERVICE", "FROM", "GRAPH", "LOAD") for word in written.split(" "))


# -- pre-binding ------------------------------------------------------------------------------------------------------

DATA = """
ex:a a ex:T ; ex:p 1, 2 ; ex:q ex:b ; ex:self ex:a . ex:b a ex:T ; ex:p 2 ; ex:q ex:a, _:x .
_:x a ex:T ; ex:p 1 ; ex:q _:y . _:y a ex:T .
"""
BODIES = {
    "pattern": "$this ex:p 1",
    "filter": "FILTER($this = ex:a)",
    "bound": "FILTER(bound($this) && isBlank($this))",
    "bind": "BIND($this AS ?x) FILTER(?x = ex:b)",
    "empty group": "{ FILTER(bound($this)) } $this ex:p 2",
    "optional": "OPTIONAL { ?x ex:q ?y FILTER(?y = $this) } FILTER(!bound(?x))",
    "union": "{ $this ex:p 1 } UNION { ?x ex:self $this }",
    "exists": "FILTER EXISTS { ?x ex:q ?y FILTER(?y = $this) }",
    "not exists": "FILTER NOT EXISTS { $this ex:p ?o }",
    "nested exists": "FILTER EXISTS { ?x ex:p 2 FILTER NOT EXISTS { ?x ex:q $this } }",
    "subquery": "{ SELECT $this (COUNT(?o) AS ?n) { $this ex:q ?o } GROUP BY $this } FILTER(?n > 1)",
    "subquery with a filter": "{ SELECT $this { FILTER($this != ex:a) } }",
    "object": "?x ex:q $this . ?x ex:p 1",
    "path": "$this ex:q+ $this",
}
EXPECTED = {
    "pattern": "ax", "filter": "a", "bound": "xy", "bind": "b", "empty group": "ab", "optional": "", "union": "ax",
    "exists": "abxy", "not exists": "y", "nested exists": "abxy", "subquery": "b", "subquery with a filter": "bxy",
    "object": "by", "path": "ab",
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_the_focus_node_is_known_everywhere(body: str) -> None:
    assert {focus.strip("<>_:").removeprefix(EX) for focus, _ in found(f"SELECT $this {{ {BODIES[body]} }}", DATA)} == {
        *EXPECTED[body]
    }


@pytest.mark.parametrize("body", [body for body in BODIES if "SELECT" not in BODIES[body]])
@pytest.mark.parametrize("name", ["a", "b"])
def test_pre_binding_is_as_if_the_value_stood_there(body: str, name: str) -> None:
    data = sparql.Data(ttl(DATA))
    there = BODIES[body].replace("bound($this)", "true").replace("$this", f"ex:{name}")
    plain = read(f"ASK {{ {there} }}", "ASK", prefixes={"ex": EX}, bound=())
    query = read(f"ASK {{ {BODIES[body]} }}", "ASK", prefixes={"ex": EX}, bound={"this"})
    assert data.solve(query, {"this": ex(name)}) == data.solve(plain, {})


def test_literals_and_odd_iris_are_bound_as_they_are() -> None:
    odd = parse(b"<http://e/a b> <http://e/p> 1 .", format=RdfFormat.TURTLE, lenient=True)
    for term in (
        Literal('quote " and \\ and \n'), Literal("x", language="en-GB"), Literal("1.0", datatype=ex("d")),
        Literal("01", datatype=NamedNode(XSD + "int")), Literal("}", datatype=ex("d")), BlankNode("x"),
        next(odd).subject,
    ):  # fmt: skip
        query = read("SELECT $this ?x { BIND($this AS ?x) }", "SELECT", prefixes={}, bound={"this"})
        rows = sparql.Data([]).solve(query, {"this": term})
        assert not isinstance(rows, bool)
        assert list(rows) == [{"this": term, "x": term}]


def test_a_value_adds_nothing_to_the_query() -> None:
    query = read("SELECT $this { $this ?p ?o }", "SELECT", prefixes={}, bound={"this"})
    rows = sparql.Data(ttl("ex:a ex:p 1 .")).solve(query, {"this": Literal('" } UNION { ?this ?p ?o } #')})
    assert not isinstance(rows, bool)
    assert list(rows) == []


# -- terms as written -------------------------------------------------------------------------------------------------

NUMBERS = 'ex:a a ex:T ; ex:n "01"^^xsd:integer, 1, "5"^^xsd:int, "1.50"^^xsd:decimal, "1"^^xsd:boolean .'


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("$this ex:n ?value", ['"01"', '"1"', '"1"^^boolean', '"1.50"', '"5"^^int']),
        ("$this ex:n ?value FILTER(?value = 1)", ['"01"', '"1"']),
        ("$this ex:n ?value FILTER(?value > 1.4)", ['"1.50"', '"5"^^int']),
        (f"$this ex:n ?value FILTER(DATATYPE(?value) = <{XSD}int>)", ['"5"^^int']),
        ("$this ex:n ?value FILTER(STR(?value) = '01')", ['"01"']),
        ("$this ex:n ?value FILTER(sameTerm(?value, 01))", ['"01"']),
        ("?this ex:n ?value, 1.50 FILTER(?value)", ['"01"', '"1"', '"1"^^boolean', '"1.50"', '"5"^^int']),
        ("$this ex:n 01, ?x BIND(?x AS ?value) FILTER(STRLEN(STR(?x)) = 2)", ['"01"']),
        (f"$this ex:n '1'^^<{XSD}int> , ?value", []),
    ],
)
def test_numbers_keep_how_they_are_written(body: str, values: list[str]) -> None:
    shown = [
        value.replace(f"^^<{XSD}integer>", "").replace(f"^^<{XSD}decimal>", "").replace(f"<{XSD}", "").replace(">", "")
        for _, value in found(f"SELECT $this ?value {{ {body} }}", NUMBERS)
    ]
    assert sorted(shown) == sorted(values)


@given(
    st.text(alphabet="0123456789.-+eEtrufalsTZPYMD: \n", max_size=12),
    st.sampled_from(
        ["integer", "int", "decimal", "double", "boolean", "dateTime", "date", "duration", "string", "token"]
    ),
)
@settings(max_examples=200, deadline=None)
def test_any_literal_comes_back_as_it_went_in(text: str, name: str) -> None:
    literal = Literal(text, datatype=NamedNode(XSD + name))
    query = read("SELECT $this ?value { $this ?p ?value }", "SELECT", prefixes={}, bound={"this"})
    rows = sparql.Data([Triple(ex("a"), ex("p"), literal)]).solve(query, {"this": ex("a")})
    assert not isinstance(rows, bool)
    assert [row["value"] for row in rows] == [literal]


def test_data_cannot_pretend_to_be_something_kept() -> None:
    forged = Literal("nonsense", datatype=NamedNode("urn:fairmesh:written"))
    assert verbatim.original(verbatim.kept(forged)) == forged
    query = read(
        "SELECT $this ?value { $this ?p ?value FILTER(STR(?value) != '') }", "SELECT", prefixes={}, bound={"this"}
    )
    rows = sparql.Data([Triple(ex("a"), ex("p"), forged)]).solve(query, {"this": ex("a")})
    assert not isinstance(rows, bool)
    assert [row["value"] for row in rows] == [forged]


# -- constraints ------------------------------------------------------------------------------------------------------


def test_a_solution_says_value_path_and_message() -> None:
    text = "SELECT $this ?path ?value ?message { $this ?path ?value FILTER(isLiteral(?value)) BIND('no' AS ?message) }"
    (result,) = run(select(text), "ex:a a ex:T ; ex:p 7 .").results
    assert (result.path, result.value) == (EX + "p", Literal(7))
    assert [message.value for message in result.messages] == ["no"]


def test_messages_are_filled_in() -> None:
    more = '; sh:message "{?value} of {$this}, {?nothing}"@en, "plain"'
    (result,) = run(select("SELECT $this ?value { $this ex:p ?value }", more), "ex:a a ex:T ; ex:p 7 .").results
    assert {*result.messages} == {Literal(f"7 of {EX}a, {{?nothing}}", language="en"), Literal("plain")}


def test_the_shape_has_the_last_word_on_messages() -> None:
    shape = select("SELECT $this { }", '; sh:message "of the constraint"') + 'ex:S sh:message "of the shape" .'
    (result,) = run(shape, "ex:a a ex:T .").results
    assert [message.value for message in result.messages] == ["of the shape"]


def test_every_solution_is_a_violation() -> None:
    assert len(found("SELECT $this { $this ex:p ?o }", "ex:a a ex:T ; ex:p 1, 2, 3 .")) == 3


def test_deactivated_constraints_do_not_run() -> None:
    assert not run(select("SELECT $this { }", "; sh:deactivated true"), "ex:a a ex:T .").results


@pytest.mark.parametrize("path", ["ex:p", "[ sh:inversePath ex:q ]", "( ex:q ex:p )", "[ sh:zeroOrMorePath ex:q ]"])
def test_path_stands_for_the_path_of_the_shape(path: str) -> None:
    core = f"ex:S a sh:NodeShape ; sh:targetNode ex:a ; sh:property [ sh:path {path} ; sh:in () ] ."
    query = "SELECT DISTINCT $this ?value { $this $PATH ?value }"
    own = core.replace("sh:in ()", f'sh:sparql [ sh:prefixes ex: ; sh:select "{query}" ]')
    there = {(result.path, result.value) for result in run(core, DATA).results}
    assert {(result.path, result.value) for result in run(own, DATA).results} == there != set()


@pytest.mark.parametrize("body", ["$PATH ex:p ?o", "$this ex:p $PATH", "FILTER($PATH = ex:p)", "BIND($PATH AS ?x)"])
def test_path_is_a_predicate_and_nothing_else(body: str) -> None:
    text = f"SELECT $this {{ {body} }}"
    with pytest.raises(InputError):
        run(f'ex:S sh:targetNode ex:a ; sh:path ex:p ; sh:sparql [ sh:prefixes ex: ; sh:select "{text}" ] .', "")


def test_the_current_shape_is_known_and_the_shapes_graph_is_not() -> None:
    assert found("SELECT $this ?value { BIND($currentShape AS ?value) }", "ex:a a ex:T .") == [(f"<{EX}a>", f"<{EX}S>")]
    with pytest.raises(Unsupported) as caught:
        run(select("SELECT $this { FILTER(bound($shapesGraph)) }"), "")
    assert (caught.value.construct, caught.value.shape) == ("$shapesGraph", ex("S"))


def test_prefixes_come_from_imported_ontologies_too() -> None:
    shape = select("SELECT $this { $this other:p 1 }").replace("sh:prefixes ex:", "sh:prefixes ex:more")
    more = "ex:more owl:imports ex:far . ex:far owl:imports ex:more ; "
    more += f'sh:declare [ sh:prefix "other" ; sh:namespace "{EX}" ] .'
    assert len(run(shape + more, "ex:a a ex:T ; ex:p 1 .").results) == 1


@pytest.mark.parametrize(
    "constraint",
    [
        'sh:sparql "text"',
        "sh:sparql [ ]",
        'sh:sparql [ sh:select "SELECT $this {}", "SELECT $this { }" ]',
        'sh:sparql [ sh:select "SELECT $this {}"@en ]',
        'sh:sparql [ sh:select "SELECT ?x { ?x ?y ?z }" ]',
        'sh:sparql [ sh:select "ASK {}" ]',
        'sh:sparql [ sh:select "SELECT $this {}" ; sh:message 1 ]',
        'sh:sparql [ sh:select "SELECT $this {}" ; sh:prefixes [ sh:declare [ sh:prefix "x" ] ] ]',
        'sh:sparql [ sh:select "SELECT $this {}" ; sh:prefixes ex:, ex:2 ] . ex:2 sh:declare ex:3 . '
        'ex:3 sh:prefix "ex" ; sh:namespace "a:"',
    ],
)
def test_ill_formed_constraints_are_refused(constraint: str) -> None:
    with pytest.raises(InputError) as caught:
        run(f"ex:S a sh:NodeShape ; sh:targetNode ex:a ; {constraint} .", "")
    assert (caught.value.code, caught.value.iri) == ("rule-set", EX + "S")
    assert caught.value.remedy


# -- components -------------------------------------------------------------------------------------------------------


def component(validator: str, parameters: str = "sh:parameter [ sh:path ex:least ]") -> str:
    return f"ex:C a sh:ConstraintComponent ; {parameters} ; {validator} ."


ASKS = component(
    'sh:validator [ sh:prefixes ex: ; sh:ask "ASK { FILTER($value >= $least) }" ; sh:message "{$value} < {$least}" ]'
)


def test_an_ask_validator_judges_every_value() -> None:
    shape = "ex:S a sh:NodeShape ; sh:targetNode ex:a ; sh:property [ sh:path ex:p ; ex:least 5 ] ."
    results = run(ASKS + shape, "ex:a ex:p 1, 5, 6, 3 .").results
    assert {(r.path, str(r.value), r.component, r.messages[0].value) for r in results} == {
        (EX + "p", str(Literal(1)), EX + "C", "1 < 5"), (EX + "p", str(Literal(3)), EX + "C", "3 < 5"),
    }  # fmt: skip


def test_one_parameter_makes_a_constraint_for_each_value() -> None:
    results = run(ASKS + "ex:S a sh:NodeShape ; sh:targetNode 4 ; ex:least 5, 3, 9 .", "").results
    assert sorted(r.messages[0].value for r in results) == ["4 < 5", "4 < 9"]


def test_select_validators_go_by_the_kind_of_shape() -> None:
    validators = """
    sh:nodeValidator [ sh:prefixes ex: ; sh:select "SELECT $this { $this ex:p $least }" ] ;
    sh:propertyValidator [ sh:prefixes ex: ; 
        sh:select "SELECT $this ?value { $this $PATH ?value FILTER(?value < $least) }" ]
    """
    shape = "ex:S a sh:NodeShape ; sh:targetNode ex:a ; ex:least 2 ; sh:property [ sh:path ex:p ; ex:least 2 ] ."
    results = run(component(validators) + shape, "ex:a ex:p 1, 2, 3 .").results
    assert {(r.path, str(r.value)) for r in results} == {(None, f"<{EX}a>"), (EX + "p", str(Literal(1)))}


def test_optional_parameters_are_unbound_without_a_value() -> None:
    declared = component(
        'sh:validator [ sh:ask "ASK { FILTER($value > $least && $value < COALESCE($most, 100)) }" ]',
        "sh:parameter [ sh:path ex:least ], [ sh:path ex:most ; sh:optional true ]",
    )
    shapes = (
        "ex:A sh:targetNode 5, 50 ; ex:least 1 ; a sh:NodeShape . ex:B sh:targetNode 5, 50 ; ex:least 1 ; ex:most 9 ."
    )
    results = run(
        declared + shapes + "ex:B a sh:NodeShape . ex:D a sh:NodeShape ; ex:most 1 ; sh:targetNode 5 .", ""
    ).results
    assert [(r.shape, r.value) for r in results] == [(ex("B"), Literal(50))]


def test_subclasses_of_the_component_class_declare_components() -> None:
    declared = (
        ASKS.replace("a sh:ConstraintComponent", "a ex:Kind") + "ex:Kind rdfs:subClassOf sh:ConstraintComponent ."
    )
    assert len(run(declared + "ex:S a sh:NodeShape ; sh:targetNode 4 ; ex:least 5 .", "").results) == 1


def test_the_message_of_the_component_stands_in() -> None:
    declared = component('sh:message "at least {$least}" ; sh:validator [ sh:ask "ASK { FILTER($value >= $least) }" ]')
    (result,) = run(declared + "ex:S a sh:NodeShape ; sh:targetNode 4 ; ex:least 5 .", "").results
    assert [message.value for message in result.messages] == ["at least 5"]


def test_a_component_without_a_validator_for_the_kind_of_shape_is_passed_over() -> None:
    declared = component('sh:propertyValidator [ sh:select "SELECT $this { }" ]')
    assert not run(declared + "ex:S a sh:NodeShape ; sh:targetNode 4 ; ex:least 5 .", "").results


@pytest.mark.parametrize(
    "declared",
    [
        component("rdfs:label 'x'", "rdfs:label 'y'"),
        component("rdfs:label 'x'", "sh:parameter [ sh:path ex:p ; sh:optional true ]"),
        component("rdfs:label 'x'", "sh:parameter [ sh:path ex:this ]"),
        component("rdfs:label 'x'", "sh:parameter [ sh:path ex:with-dash ]"),
        component("rdfs:label 'x'", "sh:parameter [ sh:path ( ex:a ) ]"),
        component("rdfs:label 'x'", "sh:parameter [ sh:path ex:p ], [ sh:path <http://other/p> ]"),
        component("sh:validator 'text'"),
        "[] a sh:ConstraintComponent ; sh:parameter [ sh:path ex:p ] .",
    ],
)
def test_ill_formed_components_are_refused(declared: str) -> None:
    with pytest.raises(InputError) as caught:
        run(declared, "")
    assert (caught.value.code, bool(caught.value.remedy)) == ("rule-set", True)


def test_several_values_for_one_of_several_parameters_are_refused() -> None:
    declared = component('sh:validator [ sh:ask "ASK {}" ]', "sh:parameter [ sh:path ex:a ], [ sh:path ex:b ]")
    with pytest.raises(InputError, match="several values for b"):
        run(declared + "ex:S a sh:NodeShape ; sh:targetNode 1 ; ex:a 1 ; ex:b 1, 2 .", "")


def test_validators_in_other_languages_are_named() -> None:
    with pytest.raises(Unsupported):
        sparql.uses(
            shapes := Shapes(ttl(component("sh:validator [ rdfs:label 'in JavaScript' ]") + "ex:S ex:least 1 .")),
            ex("S"), sparql.components(shapes), None,
        )  # fmt: skip


# -- data and limits --------------------------------------------------------------------------------------------------


def test_queries_see_the_background_and_the_run_and_nothing_of_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Compiled(
        ttl(DECLARED + select("SELECT $this ?value { ?value ex:known $this }")), background=ttl("ex:v ex:known ex:a .")
    )
    for refilled_after in (sparql.REFILLED_AFTER, 0):
        monkeypatch.setattr(sparql, "REFILLED_AFTER", refilled_after)
        for other in ("ex:w", "ex:v", "ex:u"):
            results = engine.run(ttl(f"ex:a a ex:T . {other} ex:known ex:a .")).results
            assert {result.value for result in results} == {ex("v"), ex(other[3:])}


def test_a_query_with_too_many_solutions_fails_its_shape_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparql, "MAX_ROWS", 2)
    other = select("SELECT $this { }").replace("ex:S", "ex:Other")
    outcome = run(select("SELECT $this { $this ex:p ?o }") + other, "ex:a a ex:T ; ex:p 1, 2, 3 .")
    assert [(failed.root, "more than 2 solutions" in failed.reason) for failed in outcome.failed] == [(ex("S"), True)]
    assert [result.root for result in outcome.results] == [ex("Other")]


def test_too_many_statements_fail_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparql, "MAX_STATEMENTS", 1)
    (failed,) = run(select("SELECT $this { }"), "ex:a a ex:T ; ex:p 1 .").failed
    assert "at most 1 statements" in failed.reason


def test_a_reported_failure_fails_the_shape() -> None:
    (failed,) = run(select("SELECT $this ?failure { BIND(true AS ?failure) }"), "ex:a a ex:T .").failed
    assert failed.root == ex("S")


def test_texts_that_would_swell_fail_the_shape() -> None:
    joins = "".join(f"BIND(CONCAT(?t{n}, ?t{n}) AS ?t{n + 1}) " for n in range(14))
    text = f"SELECT $this {{ $this ex:p ?t0 {joins} FILTER(STRLEN(?t14) > 1) }}"
    assert not run(select(text), 'ex:a a ex:T ; ex:p "short" .').failed
    (failed,) = run(select(text), f'ex:a a ex:T ; ex:p "{"long" * 10_000}" .').failed
    assert "too long" in failed.reason


def test_texts_that_swell_by_replacement_are_refused() -> None:
    swelling = "".join(f"BIND(REPLACE(?t{n}, '.', ?t{n}) AS ?t{n + 1}) " for n in range(3))
    assert "swell" in refusal(f"ASK {{ ?s ?p ?t0 {swelling} }}").message
    harmless = "".join(f"BIND(REPLACE(?t{n}, '-', '') AS ?t{n + 1}) " for n in range(3))
    assert not sparql.Data([]).solve(ask(f"ASK {{ ?s ?p ?t0 {harmless} }}"), {})


KILLERS = {
    "parentheses": lambda n: f"FILTER({'(' * n}1{')' * n})",
    "groups": lambda n: "{" * n + "}" * n,
    "negations": lambda n: f"FILTER({'!' * n}true)",
    "functions": lambda n: f"FILTER({'STR(' * n}1{')' * n} = '')",
    "exists": lambda n: "FILTER NOT EXISTS { ?s ?p ?o " * n + "}" * n,
    "optionals": lambda n: "?s ?p ?o " + "OPTIONAL { ?s <a:b> ?x } " * n,
    "blank nodes": lambda n: f"?s ?p {'[ <a:b> ' * n}1{']' * n}",
    "lists": lambda n: f"?s ?p ({' 1' * n})",
    "paths": lambda n: f"?s {'/'.join(['<a:b>'] * n)} ?o",
    "inverse paths": lambda n: f"?s {'^(' * n}<a:b>{')' * n} ?o",
    "repeated paths": lambda n: f"?s {'(' * n}<a:b>{')*' * n} ?o",
    "triples": lambda n: " . ".join(f"?s{i} <a:b> ?s{i + 1}" for i in range(n)),
    "stars": lambda n: "?s " + " ; ".join(f"<a:p{i}> ?o{i}" for i in range(n)),
    "sums": lambda n: f"FILTER({'+'.join(['?x'] * n)} > 1)",
    "binds": lambda n: " ".join(f"BIND({i} AS ?b{i})" for i in range(n)),
    "joined texts": lambda n: (
        "BIND('ab' AS ?b0)" + "".join(f"BIND(CONCAT(?b{i},?b{i}) AS ?b{i + 1})" for i in range(n))
    ),
}
"""Queries whose parser, planner or result brings down the process, given enough of them."""


@pytest.mark.parametrize("name", KILLERS)
def test_what_kills_a_process_is_refused_long_before(name: str) -> None:
    assert any(
        word in refusal(f"ASK {{ {KILLERS[name](5_000)} }}").message for word in ("more than", "limit", "swell", "deep")
    )


_CHILD = """
import json, sys
from fairmesh.catalog.rdf import Literal, NamedNode, Triple
from fairmesh.catalog.shacl.sparql import Data
from fairmesh.catalog.shacl.sparqltext import read
data = Data([Triple(NamedNode(f"a:{n}"), NamedNode("a:b"), Literal(n)) for n in range(20)])
for text in json.load(sys.stdin):
    print(data.solve(read(text, "ASK", prefixes={}, bound=["this"]), {"this": NamedNode("a:1")}), flush=True)
"""


def _most(name: str) -> str:
    """The largest query of a kind that the gate lets through."""
    low, high = 1, 5_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            ask(f"ASK {{ {KILLERS[name](middle)} }}")
            low = middle
        except InputError:
            high = middle
    return f"ASK {{ {KILLERS[name](low)} }}"


def test_what_the_gate_lets_through_kills_no_process() -> None:
    texts = [_most(name) for name in KILLERS]
    child = subprocess.run([sys.executable, "-c", _CHILD], input=json.dumps(texts), capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    assert len(child.stdout.split()) == len(KILLERS)


def test_the_limits_are_named() -> None:
    assert str(MAX_DEPTH) in refusal("ASK " + "{" * 100).message
    assert str(MAX_TERMS) in refusal("ASK {" + " ?s ?p ?o ." * 100).message
    assert str(MAX_GROUPS) in refusal("ASK {" + " {}" * 100 + "}").message
    assert f"{MAX_TOKENS:,}" in refusal("ASK {" + " FILTER(1)" * 500 + "}").message
    assert "characters" in refusal("ASK {" + " " * 30_000 + "}").message
