"""Disagreements that are understood: what they are, the clause that says who is right, and how one is recognised.

Sections are those of SHACL, W3C Recommendation of 2017-07-20. Two kinds leave the answer open and are recognised by
the shapes alone. The others are recognised by ablation: without the statements they are about, the engines agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from pathlib import Path

from agreement.judges import Judge, Rules, Run, agree, compiled
from agreement.reports import Term
from agreement.suites import read
from fairmesh.catalog.computed import Index
from fairmesh.catalog.lexical import well_formed
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Triple

SH, RDF, RDFS, XSD = (PREFIXES[name] for name in ("sh", "rdf", "rdfs", "xsd"))
SHARED = Path(__file__).parent.parent.parent.parent / "shared"
META_SHAPES = SHARED / "conformance/shacl/tests/core/complex/shacl-shacl-data-shapes.ttl"
NESTING = ("property", "node", "not", "and", "or", "xone", "qualifiedValueShape")
QUALIFIED = ("qualifiedValueShape", "qualifiedMinCount", "qualifiedMaxCount", "qualifiedValueShapesDisjoint")
STRUCTURE = (RDF + "type", RDFS + "subClassOf")
PAIRS = ("lessThan", "lessThanOrEquals")
RANGES = ("minInclusive", "maxInclusive", "minExclusive", "maxExclusive")

Ablation = Callable[[Rules, Sequence[Triple]], tuple[Rules, Sequence[Triple]]]


@dataclass(frozen=True)
class Known:
    """One kind of disagreement. `right` is `compiled`, `pyshacl`, or `neither` where the standard leaves it open."""

    name: str
    what: str
    clause: str
    right: str


ILL_FORMED = Known(
    "ill-formed",
    "the shapes break SHACL's own syntax rules: one engine refuses them, or both make different sense of them",
    "3.4.2: the result of validation is undefined, a processor should report a failure",
    "neither",
)
RECURSIVE = Known(
    "recursive",
    "a shape refers to itself: the compiled engine takes a node in progress for conforming, pyshacl gives up by depth",
    "3.4.3: validation with recursive shapes is not defined and left to implementations",
    "neither",
)
INCOMPARABLE = Known(
    "incomparable",
    "pyshacl orders terms of different or unordered datatypes and calls some of them conforming",
    "4.3.1-4.3.4, 4.5.3, 4.5.4: what SPARQL's < or <= cannot compare (SPARQL 1.1, 17.3) is a result",
    "compiled",
)
RESOURCE = Known(
    "closed-resource",
    "pyshacl lets closed shapes have rdf:type rdfs:Resource whatever they allow",
    "4.8.1: only the shape's property paths and sh:ignoredProperties are exempt",
    "compiled",
)
REGEX = Known(
    "regex",
    "pyshacl reads sh:pattern as a Python expression: it refuses character classes by property such as \\p{Lu}",
    "4.4.3: patterns are those of SPARQL's REGEX, which are XPath's (XQuery and XPath functions 3.1, 5.6.1)",
    "compiled",
)
HALF = Known(
    "half-declared",
    "pyshacl refuses sh:qualifiedValueShape without a count, counts without it, sh:ignoredProperties without sh:closed",
    "2.1.1: a component counts where all its mandatory parameters have values; elsewhere nothing is declared",
    "compiled",
)
INVERSE = Known(
    "inverse-of-path",
    "pyshacl finds no or other values on the inverse of a path that is itself more than an IRI, as ^(p/^p)",
    "2.3.1.4: the mapping to SPARQL is ^, and SPARQL 1.1, 18.4, turns the whole inner path round",
    "compiled",
)
UNDECLARED = Known(
    "undeclared-class",
    "pyshacl gives a class that is a shape, but has no type sh:NodeShape or sh:PropertyShape, no implicit target",
    "2.1.3.3 with 2.1: a subject of a parameter is a shape, whatever its types",
    "compiled",
)
FAR_YEARS = Known(
    "far-years",
    "pyshacl calls dates ill-formed that Python cannot hold: years before 1 and after 9999",
    "4.1.2 with XML Schema 1.1 part 2, 3.3.7 and 3.3.9: these years are in the lexical space",
    "compiled",
)
EMPTY_PATH = Known(
    "empty-path",
    "the compiled engine refuses rdf:nil as a path: it is what an empty list, sh:path (), comes to",
    "2.3.1.1: any IRI is a predicate path, also this one",
    "pyshacl",
)
FALSE = Known(
    "false-filter",
    "rdflib, which evaluates pyshacl's queries, lets every solution through FILTER (false)",
    "5.3.2, SPARQL 1.1 17.2: a filter keeps the solutions for which it is true",
    "compiled",
)
ONCE = Known(
    "equal-solutions",
    "pyshacl makes one result of the solutions of a query that bind the same focus, path and value",
    "5.3.2: there is one validation result for each solution",
    "compiled",
)
KNOWN = (
    ILL_FORMED, RECURSIVE, INCOMPARABLE, RESOURCE, REGEX, HALF, INVERSE, UNDECLARED, FAR_YEARS, EMPTY_PATH, FALSE, ONCE,
)  # fmt: skip


FAMILIES = (
    frozenset(("integer", "decimal", "double", "float", "int", "long", "byte", "unsignedByte", "nonNegativeInteger",
               "positiveInteger", "negativeInteger")),
    frozenset(("string",)), frozenset(("boolean",)), frozenset(("dateTime",)), frozenset(("date",)),
)  # fmt: skip
"""Datatypes whose well-formed values can be compared with each other."""


def _only(family: frozenset[str]) -> Ablation:
    """Leaves nothing to compare but values of a family: what is compared wrongly within it still shows."""

    def strange(term: Term) -> bool:
        if not isinstance(term, Literal):
            return True
        within = term.language is None and term.datatype.value.removeprefix(XSD) in family
        zoned = "date" in term.datatype.value and re.search(r"Z|[+-]\d\d:\d\d$", term.value)  # or not: no order
        return not within or not well_formed(term) or bool(zoned)

    def ablate(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
        routes = {triple.subject: triple.object for triple in rules.shapes if triple.predicate.value == SH + "path"}

        def kept(triple: Triple) -> bool:
            name = triple.predicate.value.removeprefix(SH)
            if name in PAIRS:  # other paths may lead to things, and these are not among the data that stay
                return isinstance(routes.get(triple.subject), NamedNode) and triple.object.value not in STRUCTURE
            if name == "targetNode":
                return not isinstance(triple.object, Literal) or not strange(triple.object)
            return name not in RANGES or not strange(triple.object)

        rest = [triple for triple in data if triple.predicate.value in STRUCTURE or not strange(triple.object)]
        return replace(rules, shapes=[triple for triple in rules.shapes if kept(triple)]), rest

    return ablate


def _without_classes_by_property(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    patterns = {t.subject for t in rules.shapes if t.predicate.value == SH + "pattern" and "\\p" in t.object.value}
    names = (SH + "pattern", SH + "flags")
    return replace(
        rules, shapes=[t for t in rules.shapes if t.predicate.value not in names or t.subject not in patterns]
    ), data


def _without_half(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    stated = {(triple.subject, triple.predicate.value.removeprefix(SH)) for triple in rules.shapes}

    def whole(triple: Triple) -> bool:
        has = {name for name in QUALIFIED if (triple.subject, name) in stated}
        name = triple.predicate.value.removeprefix(SH)
        if name == "ignoredProperties":
            return (triple.subject, "closed") in stated
        return name not in QUALIFIED or (QUALIFIED[0] in has and len(has & set(QUALIFIED[1:3])) > 0)

    return replace(rules, shapes=[triple for triple in rules.shapes if whole(triple)]), data


def _without_inverses(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    index = Index(rules.shapes)

    def turned(node: Term, depth: int = 0) -> bool:
        if not isinstance(node, BlankNode) or depth > 30:
            return False
        parts = index.subjects.get(node, {})
        return any(isinstance(inner, BlankNode) for inner in parts.get(SH + "inversePath", ())) or any(
            turned(value, depth + 1) for values in parts.values() for value in values
        )

    return _rerouted(rules, {shape for shape, path in index.pairs[SH + "path"] if turned(path)}), data


def _rerouted(rules: Rules, shapes: Collection[Term]) -> Rules:
    """With a path that leads nowhere for these shapes; without them, lists of shapes would be broken."""
    nowhere = NamedNode("http://example.org/nowhere")
    return replace(
        rules,
        shapes=[
            Triple(t.subject, t.predicate, nowhere) if t.predicate.value == SH + "path" and t.subject in shapes else t
            for t in rules.shapes
        ],
    )


def _without_undeclared(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    kinds = [triple for triple in rules.shapes if triple.predicate.value == RDF + "type"]
    declared = {triple.subject for triple in kinds if triple.object.value in (SH + "NodeShape", SH + "PropertyShape")}
    classes = {t for t in kinds if t.object.value == RDFS + "Class" and t.subject not in declared}
    return replace(rules, shapes=[triple for triple in rules.shapes if triple not in classes]), data


def _without_far_years(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    def far(term: Term) -> bool:
        return isinstance(term, Literal) and re.match(r"-\d{4}|0000|\d{5,}-", term.value) is not None

    kept = [triple for triple in rules.shapes if not far(triple.object)]
    return replace(rules, shapes=kept), [triple for triple in data if not far(triple.object)]


def _without_empty_paths(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    index, nil = Index(rules.shapes), NamedNode(RDF + "nil")

    def empty(node: Term, depth: int = 0) -> bool:
        parts = index.subjects.get(node, {}).items() if isinstance(node, BlankNode) and depth < 30 else ()
        return node == nil or any(
            empty(value, depth + 1)
            for name, values in parts
            for value in values
            if (name, value) != (RDF + "rest", nil)
        )

    return _rerouted(rules, {shape for shape, path in index.pairs[SH + "path"] if empty(path)}), data


def _without_false(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    queries = {triple.subject for triple in rules.shapes if "FILTER (false)" in str(triple.object)}
    kept = [t for t in rules.shapes if t.predicate.value != SH + "sparql" or t.object not in queries]
    return replace(rules, shapes=kept), data


def _untyped(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    kept = [t for t in data if not (t.predicate.value == RDF + "type" and t.object == NamedNode(RDFS + "Resource"))]
    return rules, kept


ABLATIONS: dict[str, tuple[Ablation, ...]] = {
    INCOMPARABLE.name: tuple(_only(family) for family in FAMILIES),
    RESOURCE.name: (_untyped,),
    REGEX.name: (_without_classes_by_property,),
    HALF.name: (_without_half,),
    INVERSE.name: (_without_inverses,),
    UNDECLARED.name: (_without_undeclared,),
    FAR_YEARS.name: (_without_far_years,),
    EMPTY_PATH.name: (_without_empty_paths,),
    FALSE.name: (_without_false,),
}
"""What to leave out; where there are several ways, the engines have to agree after each."""


def explain(rules: Rules, data: Sequence[Triple], first: Judge, second: Judge) -> str | None:
    """The names of the known kinds that account for a disagreement, or None."""
    if ill_formed(rules.shapes):
        return ILL_FORMED.name
    if recursive(rules.shapes):
        return RECURSIVE.name
    one, other = first(rules)(data), second(rules)(data)
    unequal = (one.rows - other.rows) + (other.rows - one.rows)
    if (
        unequal
        and set(one.rows) == set(other.rows)
        and all(row[2] == SH + "SPARQLConstraintComponent" for row in unequal)
    ):
        return ONCE.name
    for size in (1, 2):
        for names in combinations(ABLATIONS, size):
            if all(
                _accounts(ways, rules, data, first, second) for ways in product(*(ABLATIONS[name] for name in names))
            ):
                return " + ".join(names)
    return None


def _accounts(ways: Iterable[Ablation], rules: Rules, data: Sequence[Triple], first: Judge, second: Judge) -> bool:
    less, rest = rules, data
    for ablate in ways:
        less, rest = ablate(less, rest)
    return (less.shapes, rest) != (rules.shapes, data) and agree(first(less)(rest), second(less)(rest))


@cache
def _meta() -> Run:
    return compiled(Rules(read(META_SHAPES)))


def ill_formed(shapes: Sequence[Triple]) -> bool:
    """Whether SHACL's shapes for shapes (appendix C) refuse these, or what those do not see is wrong with them.

    That is: a prefix declared by halves (5.2.1), a literal in the place of a shape (2.1), two parameters of one name
    in a component (6.2.1).
    """
    index = Index(shapes)
    declared = (value for _, value in index.pairs[SH + "declare"])
    halves = any(len(index.objects(d, SH + name)) != 1 for d in declared for name in ("prefix", "namespace"))
    literals = any(isinstance(value, Literal) for name in NESTING for _, value in index.pairs[SH + name])
    return halves or literals or _twice(index) or bool(_meta()(shapes).rows)


def _twice(index: Index) -> bool:
    named: dict[Term, list[str]] = {}
    for component, parameter in index.pairs[SH + "parameter"]:
        named.setdefault(component, []).extend(
            re.split("[#/]", path.value)[-1] for path in index.objects(parameter, SH + "path")
        )
    return any(len(set(names)) < len(names) for names in named.values())


def recursive(shapes: Sequence[Triple]) -> bool:
    """Whether some shape leads to itself."""
    index = Index(shapes)
    state: dict[object, bool] = {}  # being followed, or done

    def circles(node: object) -> bool:
        if node in state:
            return state[node]
        state[node] = True
        for name in NESTING:
            for value in index.objects(node, SH + name):  # type: ignore[arg-type]
                members = index.items(value) if name in ("and", "or", "xone") else [value]
                if any(circles(member) for member in members):
                    return True
        state[node] = False
        return False

    return any(circles(subject) for subject in index.subjects)
