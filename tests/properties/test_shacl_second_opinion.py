"""pyrudof as a second opinion: how often it agrees with our engines, and what it is known to get wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from agreement import trials
from agreement.judges import Rules, agree, compiled, reference, rudof
from agreement.reports import alike
from agreement.seeds import dcat_ap, profile, w3c
from pyoxigraph import RdfFormat, parse

from fairmesh.catalog.rdf import PREFIXES

SHAPES = "ex:S a sh:NodeShape ; sh:targetClass ex:T ; sh:property [ sh:path ex:p ; {} ] ."
ERRORS = {
    "accepts ill-formed dates (4.1.2)": (
        SHAPES.format("sh:datatype xsd:date"), 'ex:a a ex:T ; ex:p "2023-02-30"^^xsd:date .',
    ),
    "changes the lexical forms of values (3.6.2.3)": (
        SHAPES.format("sh:nodeKind sh:IRI"), 'ex:a a ex:T ; ex:p "1"^^xsd:boolean .',
    ),
    "passes over properties of literals (2.3, 4.2.1)": (
        "ex:S a sh:NodeShape ; sh:targetObjectsOf ex:p ; sh:property [ sh:path ex:q ; sh:minCount 1 ] .",
        'ex:a ex:p "x" .',
    ),
    "skips custom components in silence (6)": (
        """ex:C a sh:ConstraintComponent ; sh:parameter [ sh:path ex:forbidden ] ;
             sh:validator [ a sh:SPARQLAskValidator ; sh:ask "ASK { FILTER ($value != $forbidden) }" ] .
           ex:S a sh:NodeShape ; sh:targetObjectsOf ex:p ; ex:forbidden "x" .""",
        'ex:a ex:p "x" .',
    ),
}  # fmt: skip
"""What pyrudof gets wrong, with the section of SHACL: shapes and data on which our engines agree and it differs."""


@pytest.mark.parametrize("error", ERRORS)
def test_known_error(error: str) -> None:
    head = f"@prefix ex: <http://example.org/> . @prefix sh: <{PREFIXES['sh']}> . @prefix xsd: <{PREFIXES['xsd']}> ."
    shapes, data = ([q.triple for q in parse((head + text).encode(), RdfFormat.TURTLE)] for text in ERRORS[error])
    ours = compiled(Rules(shapes))(data)
    assert agree(ours, reference(Rules(shapes))(data))
    assert len(ours.rows) == 1
    assert not agree(ours, rudof(Rules(shapes))(data)), "it is right now: remove it from the list"


@pytest.mark.parametrize("part", ["our profile", "DCAT-AP", "W3C's tests"])
def test_how_often_it_agrees(part: str, shared: Path) -> None:
    seeds = {
        "our profile": lambda: list(profile()),
        "DCAT-AP": lambda: dcat_ap(shared),
        "W3C's tests": lambda: w3c(shared),
    }
    engines = [trials.Bench(judge) for judge in (compiled, reference, rudof)]
    tally: Counter[str] = Counter()
    for mutant in trials.mutants(seeds[part]()[::3], 60 * trials.SOAK):
        verdicts = [engine.judge(mutant) for engine in engines]
        one, other, third = (type(v)(alike(v.rows), v.refused, v.kind) for v in verdicts)
        if not agree(one, other):
            side = (
                "with the compiled engine" if agree(one, third) else "with pyshacl" if agree(other, third) else "alone"
            )
            tally[f"ours differ: {side}"] += 1
        else:
            tally["agrees" if agree(one, third) else "refuses" if third.refused else "differs"] += 1
    print(f"{part}: {dict(tally)}")
    assert tally["agrees"] > 0.75 * tally.total()
