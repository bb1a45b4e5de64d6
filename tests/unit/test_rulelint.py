"""The lint of rules: every finding with its place and remedy, and what is left of shapes that cannot all be used."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import zipfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog import rdf, rulelint
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import PREFIXES
from fairmesh.catalog.rulefiles import (
    SHIPPED,
    Mode,
    Schedule,
    read_levels,
    read_rules,
    rules_of,
    shapes_graph_of,
)
from fairmesh.catalog.rulelint import Problem, lint, lint_shapes, says_remedy, usable
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.reference import Reference
from fairmesh.catalog.statementplaces import StatementPlaces
from fairmesh.catalog.triples import Index

PREFIX_LINES = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items()) + (
    "@prefix core: <https://w3id.org/fairmesh/rules/core/> .\n"
    "@prefix sales: <https://w3id.org/fairmesh/rules/domains/sales/> .\n"
    "@prefix ex: <http://example.org/> .\n"
)
FIRST = PREFIX_LINES.count("\n") + 1
"""The first line after the prefixes."""
NOTE = "dcat:Dataset a rdfs:Class . dcat:dataset a rdf:Property ."


def rule(body: str = "", *, name: str = "core:01", mode: str = "fm:gate", **given: str) -> str:
    facts = {
        "target": "sh:targetClass dcat:Dataset", "mode": f"fm:mode {mode}", "owner": 'dct:creator "governance"',
        "since": 'dct:issued "2026-11-21"^^xsd:date', "message": 'sh:message "Add dct:title."',
        "label": 'rdfs:label "Title"', "reason": 'rdfs:comment "People read it."',
    } | given  # fmt: skip
    said = " ; ".join(fact for fact in (*facts.values(), body) if fact)
    return f"{name} a sh:NodeShape ; {said} .\n"


def files(shapes: str, **more: str) -> dict[str, bytes]:
    """A set with these core shapes; `more` maps `domains_sales_shapes` to the text of domains/sales/shapes.ttl."""
    texts = {"core/shapes.ttl": shapes, "core/vocabulary.ttl": NOTE}
    texts |= {name.replace("_", "/") + ".ttl": text for name, text in more.items()}
    return {name: (PREFIX_LINES + text).encode() for name, text in texts.items()}


def found(problems: list[Problem]) -> list[tuple[str | None, bool]]:
    return [(each.rule, each.error) for each in problems]


def query(text: str) -> str:
    return f'sh:sparql [ sh:select """{text}""" ]'


TITLE = "sh:property [ sh:path dct:title ; sh:minCount 1 ]"
COMPONENT = """ex:C a sh:ConstraintComponent ; sh:parameter [ sh:path ex:word ] ;
 sh:validator [ a sh:SPARQLAskValidator ; sh:ask "ASK { %s FILTER (STR($value) != $word) }" ] .
"""

BROKEN = {
    # the mesh's own demands
    "no mode": (rule().replace("fm:mode fm:gate ; ", ""), "mode", "no fm:mode"),
    "two modes": (rule(mode="fm:gate , fm:warn"), "mode", "more than one fm:mode"),
    "unknown mode": (rule(mode="fm:gates"), "mode", "unknown mode"),
    "mode inside": (
        rule("sh:or ( [ fm:mode fm:warn ; sh:minLength 1 ] [ sh:minLength 2 ] )"), "mode", "on a shape inside",
    ),
    "no owner": (rule(owner=""), "owner", "no owner"),
    "empty owner": (rule(owner='dct:creator ""'), "owner", "no owner"),
    "blank owner": (rule(owner='dct:creator " \\t", []'), "owner", "no owner"),
    "empty message": (rule(message='sh:message " "'), "message", "an empty sh:message"),
    "empty message in one language": (
        rule(message='sh:message "Add dct:title."@en , ""@de'), "message", "an empty sh:message",
    ),
    "empty message of a part": (
        rule("sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:message '' ]"), "message", "an empty sh:message",
    ),
    "mode in quotes": (rule(mode='"gate"'), "mode", 'an unknown mode: "gate"'),
    "two owners": (rule(owner='dct:creator "a", "b"'), "owner", "more than one owner"),
    "no date": (rule(since='dct:issued "soon"'), "since", "no date"),
    "no message": (rule(message=""), "message", "no sh:message"),
    "foreign name": (rule(name="sales:01"), "level", "outside its level's namespace"),
    "blank rule": (rule(name="[]").replace("[] a", "[] rdf:type"), "level", "outside its level's namespace"),
    "target on a property shape": (
        rule("sh:path dct:title").replace("sh:NodeShape", "sh:PropertyShape"), "ill-formed", "no sh:NodeShape",
    ),
    "severity": (rule("sh:severity sh:Warning"), "house", "sh:severity"),
    "deactivated": (rule("sh:deactivated true"), "house", "sh:deactivated"),
    "misspelt fm": (rule("fm:needMesh true"), "unknown-term", "needMesh"),
    "unknown computed": (
        rule("sh:property [ sh:path fm:computedNothing ; sh:maxCount 0 ]"), "unknown-term", "computedNo",
    ),
    "unused": (rule() + "core:help a sh:NodeShape ; sh:minLength 1 .", "unused", "no rule uses this shape"),
    "mode on no rule": (rule() + "core:help fm:mode fm:warn .", "unused", "no rule"),
    "next mode without a date": (rule("fm:nextMode fm:warn"), "schedule", "without a date"),
    "date without a next mode": (rule('fm:nextModeFrom "2027-01-01"^^xsd:date'), "schedule", "without fm:nextMode"),
    "no next date": (rule('fm:nextMode fm:warn ; fm:nextModeFrom "soon"'), "schedule", "is no date"),
    "no such day": (rule('fm:nextMode fm:warn ; fm:nextModeFrom "2027-02-30"^^xsd:date'), "schedule", "is no date"),
    "before it holds": (
        rule('fm:nextMode fm:warn ; fm:nextModeFrom "2026-11-21"^^xsd:date'), "schedule", "and the rule on 2026-11-21",
    ),
    "same mode": (rule('fm:nextMode fm:gate ; fm:nextModeFrom "2027-01-01"^^xsd:date'), "schedule", "the mode it has"),
    "unknown next mode": (rule('fm:nextMode fm:x ; fm:nextModeFrom "2027-01-01"^^xsd:date'), "mode", "unknown mode"),
    "next mode of a part without one": (
        rule('sh:property [ sh:path dct:title ; fm:nextMode fm:warn ; fm:nextModeFrom "2027-01-01"^^xsd:date ]'),
        "schedule", "without a mode",
    ),
    # SHACL's syntax
    "no Turtle": ("core:01 a sh:NodeShape", "syntax", ""),
    "nul": (rule().replace("Title", "Ti\0tle"), "ill-formed", "U+0000"),
    "escaped nul": (rule().replace("Title", r"Ti\u0000tle"), "ill-formed", "U+0000"),
    "triple term": (rule() + "# << >>\nex:a ex:b '<<', <<( ex:a ex:b ex:c )>> .", "syntax", "triple terms"),
    "base direction": (rule() + "ex:a ex:b 'x'@en--ltr .", "syntax", "base directions"),
    "two paths": (rule("sh:property [ sh:path dct:title , dct:type ]"), "ill-formed", "more than one sh:path"),
    "literal path": (rule("sh:property [ sh:path 'x' ]"), "ill-formed", "sh:path is not a node"),
    "empty path": (rule("sh:property [ sh:path () ]"), "ill-formed", "sh:path is an empty list"),
    "empty step": (rule("sh:property [ sh:path [ sh:inversePath () ] ]"), "ill-formed", "sh:path has an empty list"),
    "short sequence": (rule("sh:property [ sh:path ( dct:title ) ]"), "ill-formed", "fewer than two members"),
    "path of two forms": (
        rule("sh:property [ sh:path [ sh:inversePath dct:a ; sh:zeroOrMorePath dct:b ] ]"),
        "ill-formed", "none of SHACL",
    ),
    "path in a circle": (
        rule("sh:property [ sh:path _:p ]") + "_:p sh:inversePath _:p .", "ill-formed", "contains itself",
    ),
    "path without a list": (
        rule("sh:property [ sh:path [ sh:alternativePath dct:a ] ]"), "ill-formed", "well-formed list",
    ),
    "path on a node shape": (rule("sh:path dct:title"), "ill-formed", "a node shape with sh:path"),
    "count on a node shape": (rule("sh:minCount 1"), "ill-formed", "sh:minCount on a shape without sh:path"),
    "text count": (rule("sh:property [ sh:path dct:title ; sh:minCount 'one' ]"), "ill-formed", "not an xsd:integer"),
    "decimal count": (rule("sh:property [ sh:path dct:title ; sh:minCount 1.0 ]"), "ill-formed", "not an xsd:integer"),
    "two counts": (
        rule("sh:property [ sh:path dct:title ; sh:minCount 1, 2 ]"), "ill-formed", "more than one sh:minCount",
    ),
    "two datatypes": (rule("sh:datatype xsd:date, xsd:string"), "ill-formed", "more than one sh:datatype"),
    "two patterns": (rule("sh:pattern 'a', 'b'"), "ill-formed", "more than one sh:pattern"),
    "node kind": (rule("sh:nodeKind sh:Iri"), "unknown-term", "sh:Iri"),
    "no node kind": (rule("sh:nodeKind xsd:string"), "ill-formed", "one of SHACL's six node kinds"),
    "class text": (rule("sh:class 'Dataset'"), "ill-formed", "sh:class is not an IRI"),
    "target text": (rule(target="sh:targetClass 'Dataset'"), "ill-formed", "sh:targetClass is not an IRI"),
    "target blank": (rule(target="sh:targetNode []"), "ill-formed", "sh:targetNode is not an IRI or a literal"),
    "flag": (
        rule("sh:property [ sh:path dct:title ; sh:uniqueLang '1'^^xsd:boolean ]"), "ill-formed", "true nor false",
    ),
    "closed": (rule("sh:closed 'yes'"), "ill-formed", "neither true nor false"),
    "no list": (rule("sh:or dct:title"), "ill-formed", "sh:or has no well-formed list"),
    "endless list": (
        rule("sh:in _:l") + "_:l rdf:first 1 ; rdf:rest _:l .", "ill-formed", "sh:in has no well-formed list",
    ),
    "languages": (rule("sh:languageIn ( ex:en )"), "ill-formed", "a list of texts"),
    "ignored": (rule("sh:closed true ; sh:ignoredProperties ( 'a' )"), "ill-formed", "a list of IRIs"),
    "literal shape": (rule("sh:node 'x'"), "ill-formed", "leads to a literal"),
    "message": (rule(message="sh:message ex:x"), "ill-formed", "sh:message is not a text"),
    "equals": (rule("sh:equals 'x'"), "ill-formed", "sh:equals is not an IRI"),
    "less than on a node": (rule("sh:lessThan dct:title"), "ill-formed", "on a shape without sh:path"),
    "qualified without a count": (
        rule("sh:property [ sh:path dct:title ; sh:qualifiedValueShape [ sh:minLength 1 ] ]"),
        "ill-formed", "nothing is counted",
    ),
    "count of nothing": (
        rule("sh:property [ sh:path dct:title ; sh:qualifiedMinCount 1 ]"), "ill-formed", "nothing is counted",
    ),
    "prefix": (
        rule() + "ex: sh:declare [ sh:prefix 'ex' ; sh:namespace 'http://x/' ] .", "ill-formed", "sh:namespace",
    ),
    # what leads nowhere, or back
    "dangling": (rule("sh:node core:Nowhere"), "dangling", "nothing describes"),
    "dangling property": (rule("sh:property core:Nowhere"), "dangling", "nothing describes"),
    "dangling in a list": (rule("sh:or ( core:Nowhere [ sh:minLength 1 ] )"), "dangling", "nothing describes"),
    "property without a path": (rule("sh:property [ sh:minLength 1 ]"), "dangling", "no sh:path"),
    "property shape without a path": (
        rule("sh:node core:p") + "core:p a sh:PropertyShape ; sh:minLength 1 .", "dangling", "without sh:path",
    ),
    "recursion": (rule("sh:node core:a") + "core:a a sh:NodeShape ; sh:not core:a .", "recursion", "refers to itself"),
    "long recursion": (
        rule("sh:node core:a") + "core:a a sh:NodeShape ; sh:and ( core:b ) . core:b a sh:NodeShape ; sh:node core:a .",
        "recursion", "refers to itself",
    ),
    "nesting": (rule("sh:not [ " * 11 + "sh:minLength 1 " + "] " * 11), "nesting", "more than 10 deep"),
    # terms
    "misspelt sh": (rule("sh:property [ sh:path dct:title ; sh:minCont 1 ]"), "unknown-term", "sh:minCont"),
    "javascript": (rule("sh:js [ ]"), "unsupported", "sh:js"),
    "rules": (rule("sh:rule [ a sh:TripleRule ]"), "unsupported", "sh:rule"),
    "advanced target": (rule("sh:target [ a sh:SPARQLTarget ]"), "unsupported", "sh:target"),
    "unknown component": (rule("<http://datashapes.org/dash#stem> 'http://x'"), "unknown-component", "dash"),
    "imports": (rule() + "ex: owl:imports <http://127.0.0.1:9/x> .", "imports", "owl:imports"),
    # what can never be met
    "counts": (
        rule("sh:property [ sh:path dct:title ; sh:minCount 2 ; sh:maxCount 1 ]"), "unmeetable", "sh:minCount 2",
    ),
    "lengths": (rule("sh:minLength 3 ; sh:maxLength 2"), "unmeetable", "sh:minLength 3 and sh:maxLength 2"),
    "range": (rule("sh:minExclusive 3 ; sh:maxInclusive 3"), "unmeetable", "sh:minExclusive 3"),
    "class and datatype": (
        rule("sh:class dcat:Dataset ; sh:datatype xsd:date"), "unmeetable", "literals have no class",
    ),
    "class of everything": (rule("sh:class rdfs:Resource"), "unmeetable", "sh:class rdfs:Resource"),
    "class of literals": (rule("sh:class xsd:date"), "unmeetable", "no literal has a type"),
    "kind and datatype": (rule("sh:nodeKind sh:IRI ; sh:datatype xsd:date"), "unmeetable", "sh:nodeKind sh:IRI"),
    "kind and class": (rule("sh:nodeKind sh:Literal ; sh:class dcat:Dataset"), "unmeetable", "sh:nodeKind sh:Literal"),
    "one of nothing": (rule("sh:in ()"), "unmeetable", "sh:in of nothing"),
    "value not listed": (rule("sh:in ( 1 2 ) ; sh:hasValue 3"), "unmeetable", "sh:hasValue"),
    "too many values": (
        rule("sh:property [ sh:path dct:title ; sh:maxCount 1 ; sh:hasValue 1, 2 ]"),
        "unmeetable", "2 values of sh:hasValue",
    ),
    "languages of numbers": (rule("sh:languageIn ( 'en' ) ; sh:datatype xsd:date"), "unmeetable", "sh:languageIn"),
    "either of none": (rule("sh:or ()"), "unmeetable", "sh:or of no shapes"),
    # patterns and queries
    "bad regex": (rule("sh:pattern '('"), "pattern", "not a regular expression"),
    "slow regex": (rule("sh:pattern '^(a+)+$'"), "pattern", "repeats a repetition"),
    "deep regex": (rule(f"sh:pattern '{'(' * 300}a{')' * 300}'"), "pattern", "more than 50 deep"),
    "slow with a flag": (rule("sh:pattern '(x[A-Z]+)*' ; sh:flags 'i'"), "pattern", "repeats a repetition"),
    "service": (rule(query("SELECT $this WHERE { SERVICE <http://x> { $this ?p ?o } }")), "sparql", "SERVICE"),
    "escaped service": (
        rule(query(r"SELECT $this WHERE { SERV\\u0049CE <http://x> { $this ?p ?o } }")), "sparql", "SERVICE",
    ),
    "from": (rule(query("SELECT $this FROM <http://x> WHERE { $this ?p ?o }")), "sparql", "FROM"),
    "graph": (rule(query("SELECT $this WHERE { GRAPH ?g { $this ?p ?o } }")), "sparql", "GRAPH"),
    "clock": (rule(query("SELECT $this WHERE { $this ?p ?o FILTER (?o > now()) }")), "sparql", "NOW()"),
    "escaped clock": (
        rule(query(r"SELECT $this WHERE { $this ?p ?o FILTER (?o > N\\u004FW()) }")), "sparql", "NOW()",
    ),
    "chance": (rule(query("SELECT $this WHERE { BIND (RAND() AS ?r) FILTER (?r < 0.5) }")), "sparql", "RAND()"),
    "name made up": (rule(query("SELECT $this (UUID() AS ?value) WHERE { $this ?p ?o }")), "sparql", "UUID()"),
    "text made up": (rule(query("SELECT $this (STRUUID() AS ?value) WHERE { $this ?p ?o }")), "sparql", "STRUUID()"),
    "node made up": (rule(query("SELECT $this (BNODE() AS ?value) WHERE { $this ?p ?o }")), "sparql", "BNODE()"),
    "no query": (rule(query("SELECT $this WHERE {")), "sparql", ""),
    "component without a parameter": (
        rule() + "ex:C a sh:ConstraintComponent ; sh:validator [ sh:ask 'ASK {}' ] .", "sparql", "without a mandatory",
    ),
    "parameter without a path": (
        rule() + "ex:C a sh:ConstraintComponent ; sh:parameter [ sh:name 'x' ] .", "sparql", "",
    ),
    "parameter with an empty path": (
        rule() + "ex:C a sh:ConstraintComponent ; sh:parameter [ sh:path () ] .", "sparql", "no IRI as its one sh:path",
    ),
    "component without a validator": (
        rule("ex:word 'x'") + "ex:C a sh:ConstraintComponent ; sh:parameter [ sh:path ex:word ] .", "idle",
        "<http://example.org/C> has no validator: what uses it is not checked",
    ),
    "component without a validator for node shapes": (
        rule("ex:word 'x'") + (COMPONENT % "").replace("sh:validator [ a sh:SPARQLAskValidator ; sh:ask 'ASK", "")
        .replace("sh:validator", "sh:propertyValidator"), "idle", "no validator for node shapes",
    ),
    "component in another language": (
        rule("ex:word 'x'") + "ex:C a sh:ConstraintComponent ; sh:parameter [ sh:path ex:word ] ;"
        " sh:validator [ a sh:JSValidator ; sh:jsFunctionName 'f' ] .", "unsupported", "",
    ),
    "service in a component": (
        rule("ex:word 'x'") + COMPONENT % "SERVICE <http://x> { ?s ?p ?o }", "sparql", "SERVICE",
    ),
    "clock in a component": (
        rule("ex:word 'x'") + COMPONENT % "?s ?p ?o FILTER (?o > NOW())", "sparql", "NOW()",
    ),
    "clock in a component that no rule uses": (
        rule() + COMPONENT % "?s ?p ?o FILTER (?o > NOW())", "sparql", "NOW()",
    ),
    "clock in one of two validators": (
        rule() + (COMPONENT % "").replace("sh:validator", "sh:nodeValidator").replace(
            "] .\n", "] ;\n sh:propertyValidator [ sh:ask 'ASK { FILTER (NOW() > $word) }' ] ."
        ),
        "sparql", "NOW()",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("shapes", "check", "what"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_found_with_its_place_and_remedy(shapes: str, check: str, what: str) -> None:
    problems = [each for each in lint(files(shapes)) if each.error]
    fitting = [each for each in problems if each.rule == check and what in each.what]
    assert fitting, problems
    for each in problems:
        assert each.file == "core/shapes.ttl"
        assert each.line is not None
        assert each.remedy
    assert fitting[0].line is not None
    assert FIRST <= fitting[0].line <= FIRST + shapes.count("\n")


@pytest.mark.parametrize(("shapes", "check", "what"), BROKEN.values(), ids=BROKEN.keys())
def test_a_rule_set_with_an_error_is_refused_with_the_first_one(shapes: str, check: str, what: str) -> None:
    given = files(shapes)
    if check == "syntax":
        with pytest.raises(InputError) as caught:
            read_levels(given)
    else:
        with pytest.raises(InputError) as caught:
            rulelint.checked_rules(read_levels(given), given)
    assert caught.value.code == "rule-set"
    assert caught.value.line
    assert caught.value.remedy


def test_the_guide_lists_every_check() -> None:
    sources = (Path(rulelint.__file__), Path(rulelint.__file__).parent / "shacl" / "syntax.py")
    made = r"(?:\bFault|_InText)\(\s*\"([a-z-]+)\"|Problem\([^\"]*?\"([a-z-]+)\""
    kinds = {kind for path in sources for pair in re.findall(made, path.read_text()) for kind in pair if kind}
    kinds |= {check for _, check, _ in BROKEN.values()}
    table = (SHIPPED / "README.md").read_text().partition("## What lint finds")[2].partition("SHACL files")[0]
    assert {"dangling", "unmeetable", "since", "example"} <= kinds
    assert {word for word in kinds if f"`{word}`" not in table} == set()


def test_a_sound_rule_has_no_finding() -> None:
    assert lint(files(rule(TITLE))) == []


def test_queries_and_components_are_part_of_rules() -> None:
    declared = "ex: sh:declare [ sh:prefix 'dct' ; sh:namespace 'http://purl.org/dc/terms/'^^xsd:anyURI ] .\n"
    select = "SELECT $this WHERE { $this dct:title ?t . FILTER (STRLEN(?t) > 9) }"
    constraint = f'sh:sparql [ sh:prefixes ex: ; sh:select "{select}" ]'
    assert lint(files(declared + rule(constraint) + rule("ex:word 'x'", name="core:02") + COMPONENT % "")) == []


def test_words_of_the_clock_are_no_calls_in_texts_comments_and_iris() -> None:
    said = r"""
        SELECT $this ?now WHERE { $this <http://x/NOW()> ?now . # RAND()
            FILTER (?now != 'NOW()' && ?now != 'UUID() \\\\u0027 BNODE()') }"""
    assert lint(files(rule(query(said)))) == []


def test_answers_that_change_by_themselves_are_placed_one_by_one() -> None:
    text = "SELECT $this WHERE {\n $this ?p ?o\n  FILTER (?o > NOW()\n || ?o < rand()) }"
    problems = [each for each in lint(files(rule(query(text)))) if each.error]
    assert [(each.rule, each.line, each.column, each.what.partition(" ")[0]) for each in problems] == [
        ("sparql", FIRST + 2, 16, "NOW()"), ("sparql", FIRST + 3, 10, "RAND()"),
    ]  # fmt: skip
    assert "stated date" in problems[0].remedy


@pytest.mark.parametrize(("text", "line"), [("<a> a <b> .", FIRST), ("# nothing yet", None)])
def test_a_file_without_a_rule_is_remarked(text: str, line: int | None) -> None:
    given = files(rule(TITLE), domains_sales_shapes=text, domains_sales_vocabulary="ex:a a ex:b .")
    given["domains/hr/shapes.ttl"] = b""
    found = [(each.file, each.line, each.rule, each.error) for each in lint(given)]
    assert found == [("domains/sales/shapes.ttl", line, "unused", False)]


def test_a_file_of_very_many_statements_is_refused_with_a_place_and_a_remedy_for_rules() -> None:
    shape = "<s> sh:in (" + "".join(f"\n{number}" for number in range(30_000)) + "\n) ."
    with pytest.raises(InputError) as caught:
        shapes_graph_of("shapes.ttl", (PREFIX_LINES + shape).encode())
    assert "more than 50,000 statements" in caught.value.message
    assert caught.value.line is not None
    assert FIRST + 24_990 < caught.value.line < FIRST + 25_010
    assert "sh:class" in (caught.value.remedy or "")
    assert "product" not in (caught.value.remedy or "")


def test_text_about_the_character_nul_is_no_such_character() -> None:
    assert lint(files(rule(TITLE, reason=r'rdfs:comment "Not \\u0000."'))) == []


@pytest.mark.parametrize("pattern", [r"^\\p{Lu}+$", "^[a-z-[aeiou]]+$", r"^\\i\\c*$"])
def test_patterns_that_xpath_has_are_kept(pattern: str) -> None:
    text = f'ex:s sh:targetNode ex:a ; sh:property [ sh:path ex:p ; sh:pattern "{pattern}" ] .'
    kept, problems = usable({"shapes.ttl": (PREFIX_LINES + text).encode()})
    assert problems == []
    assert len(kept) == 4


def test_a_component_of_others_without_a_validator_is_remarked_and_kept() -> None:
    text = "ex:C a sh:ConstraintComponent ; sh:parameter [ sh:path ex:word ] . ex:s sh:targetNode ex:a ; ex:word 'x' ."
    kept, problems = usable({"shapes.ttl": (PREFIX_LINES + text).encode()})
    assert found(problems) == [("idle", False)]
    assert len(kept) == 5


def test_all_findings_of_all_files_are_told() -> None:
    given = files(
        rule("sh:class rdfs:Resource", owner="") + rule("sh:node core:Nowhere", name="core:02"),
        domains_sales_shapes=rule("sh:minLength 'x'", name="sales:a"),
        domains_hr_shapes="not Turtle",
    )
    problems = lint(given)
    assert [(each.file, each.rule, each.iri and each.iri.rpartition("/")[2]) for each in problems] == [
        ("core/shapes.ttl", "owner", "01"),
        ("core/shapes.ttl", "unmeetable", "01"),
        ("core/shapes.ttl", "dangling", "02"),
        ("domains/sales/shapes.ttl", "ill-formed", "a"),
        ("domains/hr/shapes.ttl", "syntax", None),
    ]
    assert [each.line for each in problems[:4]] == [FIRST, FIRST, FIRST + 1, FIRST]


@pytest.mark.parametrize(
    ("shapes", "what"),
    [
        (rule(target="sh:targetClass ex:Unheard"), "no vocabulary describes the target"),
        (rule(target="sh:targetSubjectsOf ex:unheard"), "no vocabulary describes the target"),
        (rule(message='sh:message "Titel fehlt."@de'), "says nothing to do"),
        (rule(message='sh:message "Wrong."'), "says nothing to do"),
        (rule("sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:message 'Bad title' ]"), "says nothing to do"),
        (rule(since=""), "no date since when"),
        (rule(label=""), "no name"),
        (rule(label='rdfs:label " "'), "no name"),
        (rule(reason='rdfs:comment ""@en'), "no reason"),
        (rule(reason=""), "no reason"),
        (rule("sh:flags 'i'"), "does nothing"),
    ],
)
def test_advice_refuses_nothing(shapes: str, what: str) -> None:
    given = files(shapes)
    assert [(each.error, what in each.what, each.line) for each in lint(given)] == [(False, True, FIRST)]
    assert len(rulelint.checked_rules(read_levels(given), given)) == 1


@pytest.mark.parametrize(
    ("text", "language", "fine"),
    [
        ("Add a title.", "", True),
        ("add a title", "en-GB", True),
        ("If it is live, name an owner.", "en", True),
        ("The title is missing.", "en", False),
        ("Titel fehlt.", "de", False),
        ("Ergänze dct:title.", "de", True),
        ('Schreibe "ja" oder "nein".', "de", True),
        ("Voir <https://example.org/x>.", "fr", True),
        ("", "", False),
    ],
)
def test_a_remedy_is_an_instruction_or_names_what_to_write(text: str, language: str, fine: bool) -> None:
    assert says_remedy(text, language) is fine


# -- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "file"),
    [
        (rule(name="core:01"), "shapes"),
        ("core:01 sh:deactivated true .", "shapes"),
        ("core:01 fm:mode fm:advise .", "shapes"),
        ("core:title sh:minCount 0 .", "shapes"),
        ("core:01 rdfs:label 'x' .", "vocabulary"),
        ("core:new sh:minLength 1 .", "shapes"),
    ],
)
def test_a_lower_level_changes_nothing_above_it(text: str, file: str) -> None:
    core = (
        rule("sh:property core:title") + 'core:title sh:path dct:title ; sh:minCount 1 ; sh:message "Add dct:title." .'
    )
    assert lint(files(core)) == []
    problems = lint(files(core, **{f"domains_sales_{file}": text}))
    assert "level" in {each.rule for each in problems if each.error and each.file == f"domains/sales/{file}.ttl"}
    assert all(each.file != "core/shapes.ttl" for each in problems)


def test_a_lower_level_may_use_shapes_and_words_of_a_higher_one() -> None:
    core = rule("sh:node core:titled") + "core:titled a sh:NodeShape ; sh:minLength 1 ."
    assert lint(files(core, domains_sales_shapes=rule("sh:node core:titled", name="sales:a"))) == []
    (problem,) = lint(files(core, domains_sales_shapes=rule("sh:node ex:nowhere", name="sales:a")))
    assert (problem.rule, problem.iri) == ("dangling", "https://w3id.org/fairmesh/rules/domains/sales/a")


def test_domains_do_not_see_each_other() -> None:
    hr = rule("sh:node ex:shared", name="<https://w3id.org/fairmesh/rules/domains/hr/a>") + "ex:shared sh:minLength 1 ."
    problems = lint(files(rule(), domains_hr_shapes=hr, domains_sales_shapes=rule("sh:node ex:shared", name="sales:a")))
    assert [(each.file, each.rule) for each in problems] == [("domains/sales/shapes.ttl", "dangling")]


# -- examples ---------------------------------------------------------------------------------------------------------


def test_rules_need_examples_where_examples_are_given() -> None:
    given = files(rule() + rule(name="core:02"), domains_sales_shapes=rule(name="sales:due-date"))
    sales = "domains/sales/examples/"
    whole = dict.fromkeys(
        ["core/examples/ok-1.ttl", "core/examples/bad-01-x.ttl", "core/examples/bad-02.ttl", f"{sales}ok-all.ttl",
         f"{sales}bad-due-date-none.ttl"], b"",
    )  # fmt: skip
    assert lint(given) == lint(given, whole) == []
    for name in whole:
        (problem,) = lint(given, {other: b"" for other in whole if other != name})
        assert (problem.rule, problem.error, bool(problem.remedy)) == ("example", True, True)
    for name in ("core/examples/bad-03-x.ttl", "core/examples/good.ttl", "domains/hr/examples/ok-1.ttl"):
        (problem,) = lint(given, whole | {name: b""})
        assert (problem.file, problem.rule, problem.error) == (name, "example", True)


def test_a_borrowed_core_brings_no_examples() -> None:
    given = files(rule(), domains_sales_shapes=rule(name="sales:a"))
    sales = {"domains/sales/examples/ok-1.ttl": b"", "domains/sales/examples/bad-a-1.ttl": b""}
    assert lint(given, sales) == []


def test_the_rules_that_ship_have_no_finding() -> None:
    shipped = read_rules()
    assert lint(shipped.files, shipped.examples) == []
    assert shipped.core
    assert len(shipped.examples) > 90


# -- schedules --------------------------------------------------------------------------------------------------------


def test_a_rule_carries_its_owner_date_and_schedule() -> None:
    given = files(rule('fm:nextMode fm:gate ; fm:nextModeFrom "2027-01-01"^^xsd:date', mode="fm:warn"))
    (level,) = read_levels(given)
    (found,) = rules_of(level, given)
    assert (found.owner, found.since, found.mode, found.line) == ("governance", date(2026, 11, 21), Mode.WARN, FIRST)
    assert found.schedule == Schedule(Mode.WARN, Mode.GATE, date(2027, 1, 1))
    assert lint(given) == []


@given(start=st.dates(date(2000, 1, 1), date(2100, 1, 1)), days=st.integers(-400, 400))
def test_the_next_mode_holds_from_its_day_on(start: date, days: int) -> None:
    schedule = Schedule(Mode.WARN, Mode.GATE, start)
    assert schedule.at(start + timedelta(days)) is (Mode.GATE if days >= 0 else Mode.WARN)
    assert Schedule(Mode.WARN).at(start) is Mode.WARN


# -- shapes of others -------------------------------------------------------------------------------------------------


def left(text: str) -> tuple[Index, list[Problem]]:
    triples, problems = usable({"x.ttl": (PREFIX_LINES + text).encode()})
    return Index(triples), problems


def test_rule_sets_demands_are_not_made_of_others() -> None:
    text = (
        "ex:s a sh:NodeShape ; sh:targetClass ex:C ; sh:severity sh:Warning ; sh:deactivated false ; sh:minLength 1 ."
    )
    assert lint_shapes({"x.ttl": (PREFIX_LINES + text).encode()}) == []


def test_a_dangling_property_shape_costs_the_reference_alone() -> None:
    index, problems = left("ex:s a sh:NodeShape ; sh:property ex:none , ex:p . ex:p sh:path ex:a ; sh:minCount 1 .")
    assert found(problems) == [("dangling", True)]
    assert index.objects(rdf.node("http://example.org/s"), PREFIXES["sh"] + "property") == [
        rdf.node("http://example.org/p")
    ]


BAD = "ex:bad a sh:NodeShape ; sh:in () ."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ex:s sh:minLength 1 ; sh:property ex:p . ex:p sh:path ex:a ; sh:node ex:bad .", {"s"}),
        ("ex:s sh:node ex:bad .", set()),
        ("ex:s sh:or ( ex:bad [ sh:minLength 1 ] ) .", set()),
        ("ex:s sh:not ex:t . ex:t sh:minLength 1 ; sh:property ex:p . ex:p sh:path ex:a ; sh:node ex:bad .", {"t"}),
        ("ex:s sh:node ex:t . ex:t sh:minLength 1 ; sh:property ex:p . ex:p sh:path ex:a ; sh:node ex:bad .",
         {"s", "t"}),
        ("ex:s sh:closed true ; sh:property ex:p . ex:p sh:path ex:a ; sh:node ex:bad .", set()),
        ("ex:s sh:closed false ; sh:property ex:p . ex:p sh:path ex:a ; sh:node ex:bad .", {"s"}),
        ("ex:s sh:minLength 1 ; sh:property ex:p . ex:p sh:path ex:a ; sh:qualifiedMinCount 1 ; sh:qualifiedValueShape"
         " ex:t . ex:t sh:minLength 1 ; sh:property ex:none .", {"s", "t"}),
        ("ex:s sh:minLength 1 .", {"s"}),
        ("ex:s ex:word 'x' ; sh:minLength 1 . ex:t sh:minLength 1 ." + COMPONENT % "SERVICE <http://x> { }", {"t"}),
    ],
)  # fmt: skip
def test_what_is_left_never_asks_for_more(text: str, kept: set[str]) -> None:
    index, problems = left(f"{BAD}\n{text}")
    assert [each.line for each in problems][:1] == [FIRST]
    names = {rdf.iri_of(node) or "" for node in index.subjects}
    assert {name.removeprefix("http://example.org/") for name in names if name} == kept


def dcat_ap(shared: Path, *names: str) -> dict[str, bytes]:
    folder = shared / "conformance" / "dcat-ap-3.0.1" / "shacl"
    return {name: (folder / name).read_bytes() for name in names}


def test_dcat_ap_has_two_dangling_property_shapes_and_the_rest_is_usable(shared: Path) -> None:
    given = dcat_ap(shared, "dcat-ap-SHACL.ttl")
    triples, problems = usable(given)
    assert found(problems) == [("dangling", True)] * 2
    assert {(each.line, re.findall(r"Shape/(\w{6})", each.what)[0]) for each in problems} == {
        (564, "dc08f4"), (566, "eb3ac4"),
    }  # fmt: skip
    assert len(triples) == len(set(shapes_graph_of("x", given["dcat-ap-SHACL.ttl"]))) - 2


def test_dcat_ap_with_ranges_has_five_and_asks_for_what_no_data_has(shared: Path) -> None:
    triples, problems = usable(dcat_ap(shared, "dcat-ap-SHACL.ttl", "ranges.ttl"))
    assert Counter(found(problems)) == {("dangling", True): 5, ("unmeetable", True): 2, ("unmeetable", False): 2}
    named = [each for each in problems if "sh:class rdfs:Resource" in each.what]
    assert [(each.file, each.line, "unsatisfiable" in each.what) for each in named] == [
        ("ranges.ttl", 412, True), ("ranges.ttl", 424, True),
    ]  # fmt: skip
    index = Index(triples)
    sh = PREFIXES["sh"]
    assert all(index.objects(shape, sh + "path") for _, shape in index.pairs[sh + "property"])
    assert lint_errors(triples) == []


def test_what_is_left_of_dcat_ap_runs_alike_on_both_engines(shared: Path) -> None:
    triples, _ = usable(dcat_ap(shared, "dcat-ap-SHACL.ttl", "ranges.ttl"))
    paths = sorted((shared / "data" / "idn-au" / "data" / "catalogues").rglob("*.ttl"))[:40]
    data = [triple for path in paths for triple in shapes_graph_of(path.stem, path.read_bytes())]
    assert len(data) > 500
    told = []
    for engine in (Compiled(triples), Reference(triples)):
        outcome = engine.run(data)
        assert outcome.failed == ()
        told.append(Counter((str(r.focus), r.path, str(r.value), r.component, r.severity) for r in outcome.results))
    assert told[0] == told[1]
    assert told[0].total() > 50


def lint_errors(triples: list[rdf.Triple]) -> list[Problem]:
    """The errors in statements that have been linted before."""
    return [each for each in lint_shapes({"left.ttl": rdf.serialize(triples, rdf.TURTLE)}) if each.error]


def test_the_standards_own_suite_is_well_formed_but_where_it_means_not_to_be(shared: Path) -> None:
    meant = {"qualified-001-shapes.ttl", "uniqueLang-002-shapes.ttl", "shacl-shacl-data-shapes.ttl"}
    folder = shared / "conformance" / "shacl" / "tests" / "core"
    paths = [path for path in folder.rglob("*.ttl") if path.name != "manifest.ttl"]
    assert len(paths) > 100
    wrong = {path.name for path in paths if any(each.error for each in lint_shapes({path.name: path.read_bytes()}))}
    assert wrong == meant


# -- places -----------------------------------------------------------------------------------------------------------


ODD = """@prefix : <http://x/> . PREFIX k: <http://k/>
@base <http://x/y/> .
:s :p ( 1 ) , ( [ :p ( 2 3 ) ] [ :p "4" ] ) , () , 5.5, "a]"^^:dt, "b"@en . # )
( [ :p 6 ] ( "x" ) ) :p 7 ; a :X , <z#z> ; .
[ :only [ :x 1e3 ; :y ( ( 1 2 ) 3 ( "u" ) ) ; :z \"\"\"long
text\"\"\" ] ] .
_:b :p true, [], [ :q "in" ] .
:l <http://www.w3.org/1999/02/22-rdf-syntax-ns#first> 1 .
"""


def test_every_statement_is_placed_where_its_object_stands() -> None:
    check_places(ODD.encode(), least=45)


def test_the_places_of_files_that_ship() -> None:
    for path in sorted(SHIPPED.rglob("*.ttl")):
        check_places(path.read_bytes(), least=1)


def test_brackets_deeper_than_can_be_followed_are_not_placed() -> None:
    deep = "[ :p " * 2_000 + "1 " + "] " * 2_000
    assert StatementPlaces(f"@prefix : <http://x/> . :s :p {deep}.".encode(), ()).find(rdf.node("http://x/s")) is None


def check_places(data: bytes, *, least: int) -> None:
    statements = shapes_graph_of("x.ttl", data)
    places, lines = StatementPlaces(data, statements), data.decode().splitlines()
    assert len(statements) >= least
    for triple in statements:
        place = places.find(triple.subject, triple)
        assert place is not None
        written = lines[place[0] - 1][place[1] - 1 :]
        assert begins(triple, written), (triple, place, written)


def begins(triple: rdf.Triple, written: str) -> bool:
    term = triple.object
    if triple.predicate.value.endswith("#rest"):
        return bool(written)
    if isinstance(term, rdf.Literal):
        return written[0] in "\"'" or written.startswith(term.value)
    if isinstance(term, rdf.BlankNode):
        return written[0] in "[(_"
    iri = rdf.iri_of(term) or ""
    if iri.endswith("#nil"):
        return written.startswith("(")
    return written.startswith(("<", "a ")) or written.split()[0].partition(":")[2].replace("\\", "")[:3] in iri


# -- folders and bundles ----------------------------------------------------------------------------------------------

ORGANISATION = {
    "org/acme/shapes.ttl": (PREFIX_LINES + rule(name="<https://w3id.org/fairmesh/rules/org/acme/a>")).encode(),
    "org/acme/examples/ok-1.ttl": b"",
    "domains/sales/vocabulary.ttl": b"",
    "README.md": b"",
}


def tar(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return written.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return written.getvalue()


def laid(folder: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("named", ["org/acme", "org", "domains/sales", "domains"])
def test_whoever_names_a_level_is_told_the_folder_above(tmp_path: Path, named: str) -> None:
    laid(tmp_path, ORGANISATION)
    with pytest.raises(InputError, match="of what was named") as caught:
        read_rules(tmp_path / named)
    assert caught.value.remedy == f"Name the folder above {named.partition('/')[0]}/: {tmp_path}"


@pytest.mark.parametrize("around", ["", "ontologies/", "repo-main/", "repo-main/ontologies/"])
@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "zip"])
def test_an_organisations_rules_stand_on_the_core_that_ships(tmp_path: Path, kind: str, around: str) -> None:
    members = {around + name: data for name, data in ORGANISATION.items()} | {around + ".git/x.ttl": b""}
    if around.endswith("ontologies/"):
        members |= {around.removesuffix("ontologies/") + "docs/x.ttl": b""}
    place = tmp_path / f"rules.{kind}"
    if kind == "folder":
        laid(place, members)
        place /= "repo-main" if "repo-main" in around else ""
    else:
        del members[around + ".git/x.ttl"]
        place.write_bytes(zipped(members) if kind == "zip" else tar(members, "w" if kind == "tar" else "w:gz"))
    found = read_rules(place)
    shipped = read_rules()
    assert not found.core
    own = {"org/acme/shapes.ttl", "domains/sales/vocabulary.ttl"}
    assert found.files == {name: data for name, data in shipped.files.items() if name.startswith("core/")} | {
        name: ORGANISATION[name] for name in own
    }
    assert found.examples.keys() == {"org/acme/examples/ok-1.ttl"}
    assert found.shown("core/shapes.ttl") == str(SHIPPED / "core/shapes.ttl")
    assert found.shown("org/acme/shapes.ttl").endswith("org/acme/shapes.ttl")


def test_a_set_with_a_core_of_its_own_replaces_the_one_that_ships(tmp_path: Path) -> None:
    found = read_rules(laid(tmp_path, files(rule())))
    assert found.core
    assert found.files == files(rule())


def test_what_git_archive_makes_is_read(tmp_path: Path) -> None:
    repository = laid(tmp_path / "repo", {f"ontologies/{name}": data for name, data in ORGANISATION.items()})
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    for form in ("tar", "tar.gz", "zip"):
        place = tmp_path / f"rules.{form}"
        subprocess.run([*git, "archive", "--prefix=repo/", "-o", str(place), "HEAD"], check=True)
        assert read_rules(place).files == read_rules(repository).files


def link(name: str, target: str) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)
    return written.getvalue()


def zipped_link() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        member = zipfile.ZipInfo("core/shapes.ttl")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    return written.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (tar({"../core/shapes.ttl": b""}), "leads out of it"),
        (tar({"core/../../shapes.ttl": b""}), "leads out of it"),
        (tar({"/core/shapes.ttl": b""}), "leads out of it"),
        (zipped({"..\\core\\shapes.ttl": b""}), "leads out of it"),
        (link("core/shapes.ttl", "/etc/passwd"), "a link or a device"),
        (zipped_link(), "a link or a device"),
        (tar({"core/shapes.ttl": b" " * (33 << 20)}), "larger than a rule set may be"),
        (zipped({"core/shapes.ttl": b" " * (33 << 20)}), "larger than a rule set may be"),
        (tar({f"core/examples/{n}.txt": b"" for n in range(5_001)}), "larger than a rule set may be"),
        (tar({"core/shapes.ttl": b"x"})[:40], "no bundle that can be read"),
        (zipped({"core/shapes.ttl": b"x"})[:40], "no bundle that can be read"),
        (b"Turtle?", "no bundle that can be read"),
        (tar({"x.md": b""}), "holds no rule set"),
        (tar({"core/shape.ttl": b""}), "is not a file of a rule set"),
    ],
    ids=["up", "up within", "absolute", "backslashes", "link", "zipped link", "large", "zipped large", "many",
         "cut off", "zipped cut off", "text", "no rules", "misnamed"],
)  # fmt: skip
def test_a_bundle_that_is_none_or_hides_something_is_refused(tmp_path: Path, data: bytes, what: str) -> None:
    place = tmp_path / "rules.tar.gz"
    place.write_bytes(data)
    with pytest.raises(InputError, match=what) as caught:
        read_rules(place)
    assert caught.value.code == "rule-set"
    assert caught.value.remedy
