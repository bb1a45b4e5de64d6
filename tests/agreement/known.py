"""Disagreements that are understood: what they are, the clause that says who is right, and how one is recognised.

Sections are those of SHACL, W3C Recommendation of 2017-07-20. Two kinds leave the answer open and are recognised by
the shapes alone. The others are recognised by ablation: without what they are about, and nothing else, the engines
agree; and only results of the components that they can change are unequal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from pathlib import Path

from agreement.judges import Judge, Rules, Run, Verdict, agree, compiled
from agreement.reports import Term
from agreement.suites import read
from fairmesh.catalog.lexical import well_formed
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.triples import Index

SH, RDF, RDFS, XSD, OWL = (PREFIXES[name] for name in ("sh", "rdf", "rdfs", "xsd", "owl"))
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
    "pyshacl orders terms of different or unordered datatypes and calls some of them conforming, or fails the rule: on "
    "a blank node with sh:lessThan, on NaN beside a decimal bound",
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
    "pyshacl reads sh:pattern as a Python expression: it refuses or misreads \\p{Lu}, \\i, \\c and [a-z-[aeiou]], has "
    "other characters in \\w and \\s, lets $ match before a last line break, and passes over sh:flags s, x and q",
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
OWL_CLASS = Known(
    "owl-class",
    "pyshacl gives a node shape that is an owl:Class, and no rdfs:Class, an implicit target",
    "2.1.3.3: only instances of rdfs:Class in the shapes graph are implicit targets",
    "compiled",
)
FAR_YEARS = Known(
    "far-years",
    "pyshacl calls dates ill-formed that Python cannot hold: years before 1 and after 9999",
    "4.1.2 with XML Schema 1.1 part 2, 3.3.7 and 3.3.9: these years are in the lexical space",
    "compiled",
)
END_OF_DAY = Known(
    "end-of-day",
    "pyshacl calls dates and times ill-formed that have 24:00:00",
    "4.1.2 with XML Schema 1.1 part 2, 3.3.7 and 3.3.8: the end of a day is in the lexical space",
    "compiled",
)
MARKUP = Known(
    "markup",
    "pyshacl calls literals of rdf:HTML and rdf:XMLLiteral ill-formed that its parsers do not take",
    "4.1.2: lexical forms are checked for the datatypes that SPARQL supports (SPARQL 1.1, 17.1)",
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
ORDERED = Known(
    "ordered-in-a-query",
    "rdflib, which evaluates pyshacl's queries, orders with <, <=, > and >= what SPARQL cannot compare: texts and "
    "ill-formed literals count as greater than a number",
    "5.3.2, SPARQL 1.1 17.3 and 17.2: operands of no operator are a type error, and a filter drops the solution",
    "compiled",
)
MEMBERS = Known(
    "members-by-term",
    "rdflib, which evaluates pyshacl's queries, compares terms and not values in IN and NOT IN, and knows no errors "
    "there: 5.0 IN (5) is false, an ill-formed integer NOT IN (5) true",
    "5.3.2, SPARQL 1.1 17.4.1.9 and 17.4.1.10: IN is = with one of the members, NOT IN its negation, errors included",
    "compiled",
)
NEGATED = Known(
    "negated-inverse",
    "rdflib, which evaluates pyshacl's queries, has no inverse predicates in negated property sets: with !(^ex:p) "
    "the rule fails",
    "5.3.2, SPARQL 1.1 9.1 and 18.2.2.3: !(^iri) is a property path like others",
    "compiled",
)
PREFIXED = Known(
    "undeclared-prefix",
    "rdflib, which evaluates pyshacl's queries, knows xsd:, rdf:, rdfs:, owl: and more that nothing declares",
    "5.2.1: the prefixes of a query are those that sh:prefixes declares for it",
    "compiled",
)
ONCE = Known(
    "equal-solutions",
    "pyshacl makes one result of the solutions of a query that bind the same focus, path and value",
    "5.3.2: there is one validation result for each solution",
    "compiled",
)
KNOWN = (
    ILL_FORMED, RECURSIVE, INCOMPARABLE, RESOURCE, REGEX, HALF, INVERSE, UNDECLARED, OWL_CLASS, FAR_YEARS,
    END_OF_DAY, MARKUP, EMPTY_PATH, FALSE, ORDERED, MEMBERS, NEGATED, PREFIXED, ONCE,
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
        return not within or not well_formed(term) or bool(zoned) or term.value == "NaN"

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


def _without_comparisons(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    """All data stay: whatever else the engines make of what cannot be compared still shows."""
    compared = {SH + name for name in (*PAIRS, *RANGES)}
    return replace(rules, shapes=[t for t in rules.shapes if t.predicate.value not in compared]), data


def _without_patterns_of_its_own(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    """Without the patterns that Python reads otherwise than XPath, or that these data show to be read otherwise."""
    texts = [term.value for triple in data for term in (triple.subject, triple.object)]
    spelt = [r"\\[pPicIC]|-\["]
    if any(map(_odd, {character for text in texts for character in text})):
        spelt.append(r"\\[wWsS]")
    if any(text.endswith("\n") for text in texts):
        spelt.append(r"\$")
    own = {
        t.subject
        for t in rules.shapes
        if (t.predicate.value == SH + "pattern" and re.search("|".join(spelt), t.object.value))
        or (t.predicate.value == SH + "flags" and set(t.object.value) & set("sxq"))
    }
    names = (SH + "pattern", SH + "flags")
    return replace(
        rules, shapes=[t for t in rules.shapes if t.predicate.value not in names or t.subject not in own]
    ), data


def _odd(character: str) -> bool:
    """Whether \\w or \\s has this character in one of the two languages only."""
    word = unicodedata.category(character)[0] not in "PZC"
    return word != bool(re.match(r"\w", character)) or (character.isspace() and character not in " \t\n\r")


def _without_half(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    stated = {(triple.subject, triple.predicate.value.removeprefix(SH)) for triple in rules.shapes}

    def whole(triple: Triple) -> bool:
        has = {name for name in QUALIFIED if (triple.subject, name) in stated}
        name = triple.predicate.value.removeprefix(SH)
        if name == "ignoredProperties":
            return (triple.subject, "closed") in stated
        return name not in QUALIFIED or (QUALIFIED[0] in has and len(has & set(QUALIFIED[1:3])) > 0)

    return replace(rules, shapes=[triple for triple in rules.shapes if whole(triple)]), data


def _turned_inwards(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    """With paths that mean the same and invert predicates only: ^(p/^q) is q/^p."""
    index, made = Index(rules.shapes), _Paths(Index(rules.shapes))
    routes = {shape: path for shape, path in index.pairs[SH + "path"] if made.inverts(path)}
    shapes = [
        Triple(t.subject, t.predicate, made.path(t.object))
        if t.predicate.value == SH + "path" and t.subject in routes
        else t
        for t in rules.shapes
    ]
    return replace(rules, shapes=[*shapes, *made.triples]), data


class _Paths:
    """Paths written anew, with their inverses pushed inwards."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.triples: list[Triple] = []

    def inverts(self, node: Term, depth: int = 0) -> bool:
        """Whether somewhere in a path more than an IRI is inverted."""
        if not isinstance(node, BlankNode) or depth > 30:
            return False
        parts = self._index.subjects.get(node, {})
        return any(isinstance(inner, BlankNode) for inner in parts.get(SH + "inversePath", ())) or any(
            self.inverts(value, depth + 1) for values in parts.values() for value in values
        )

    def path(self, node: Term, *, back: bool = False) -> Term:
        if isinstance(node, NamedNode):
            return self._node(SH + "inversePath", node) if back else node
        parts = self._index.subjects[node]
        if RDF + "first" in parts:
            members = list(self._index.items(node))
            return self._list(reversed(members) if back else members, back=back)
        if inverted := parts.get(SH + "inversePath"):
            return self.path(inverted[0], back=not back)
        if choice := parts.get(SH + "alternativePath"):
            return self._node(SH + "alternativePath", self._list(self._index.items(choice[0]), back=back))
        ((name, (inner,)),) = parts.items()
        return self._node(name, self.path(inner, back=back))

    def _list(self, members: Iterable[Term], *, back: bool) -> Term:
        head: Term = NamedNode(RDF + "nil")
        for member in reversed([self.path(member, back=back) for member in members]):
            cell = self._node(RDF + "first", member)
            self.triples.append(Triple(cell, NamedNode(RDF + "rest"), head))
            head = cell
        return head

    def _node(self, name: str, value: Term) -> BlankNode:
        made = BlankNode(f"turned{len(self.triples)}")
        self.triples.append(Triple(made, NamedNode(name), value))
        return made


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


def _without_owl_classes(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    kind = (RDF + "type", OWL + "Class")
    return replace(rules, shapes=[t for t in rules.shapes if (t.predicate.value, t.object.value) != kind]), data


def _respelt(spell: Callable[[Literal], str]) -> Ablation:
    """Literals keep their datatypes and places: only their texts are others."""

    def again(triple: Triple) -> Triple:
        old = triple.object
        if not isinstance(old, Literal) or old.language is not None or (text := spell(old)) == old.value:
            return triple
        return Triple(triple.subject, triple.predicate, Literal(text, datatype=old.datatype))

    return lambda rules, data: (replace(rules, shapes=list(map(again, rules.shapes))), list(map(again, data)))


def _near(literal: Literal) -> str:
    dated = literal.datatype.value.removeprefix(XSD) in ("date", "dateTime", "gYear", "gYearMonth")
    return re.sub(r"^(-\d{4,}|0000|\d{5,})(?=-|$)", "2024", literal.value) if dated else literal.value


def _earlier(literal: Literal) -> str:
    timed = literal.datatype.value.removeprefix(XSD) in ("time", "dateTime")
    return re.sub(r"(^|T)24:00:00", r"\g<1>00:00:00", literal.value) if timed else literal.value


def _unmarked(literal: Literal) -> str:
    return "x" if literal.datatype.value in (RDF + "HTML", RDF + "XMLLiteral") else literal.value


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


_HIDING = re.compile(r"""<[^<>"{}|^`\\\s]*>|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|#[^\n]*""")
"""What in a query is none of its own words and signs: IRIs, texts and comments."""


def _without_queries(form: str) -> Ablation:
    """Leaves out the constraints and the validators with such a word or sign in the query."""

    def ablate(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
        queries = {
            t.subject
            for t in rules.shapes
            if t.predicate.value in (SH + "select", SH + "ask") and re.search(form, _HIDING.sub(" ", t.object.value))
        }
        uses = {SH + name for name in ("sparql", "validator", "nodeValidator", "propertyValidator")}
        kept = [t for t in rules.shapes if t.predicate.value not in uses or t.object not in queries]
        return replace(rules, shapes=kept), data

    return ablate


def _untyped(rules: Rules, data: Sequence[Triple]) -> tuple[Rules, Sequence[Triple]]:
    kept = [t for t in data if not (t.predicate.value == RDF + "type" and t.object == NamedNode(RDFS + "Resource"))]
    return rules, kept


COMPARING = frozenset(name[0].upper() + name[1:] for name in (*PAIRS, *RANGES))
NESTED = frozenset(("Node", "Not", "And", "Or", "Xone", "QualifiedMinCount", "QualifiedMaxCount"))
"""Components whose results depend on those of other shapes."""


@dataclass(frozen=True)
class Reach:
    """How a kind is recognised: `ways` to leave it out, after each of which the engines have to agree; the `components`
    whose results it changes, besides those of shapes around them, None if any, with declared ones as `SPARQL`; whether
    it makes one engine refuse."""

    ways: tuple[Ablation, ...]
    components: frozenset[str] | None = None
    refuses: bool = False

    def covers(self, component: str) -> bool:
        local = component.removeprefix(SH).removesuffix("ConstraintComponent") if component.startswith(SH) else "SPARQL"
        return self.components is None or local in self.components | NESTED


REACHES: dict[str, Reach] = {
    INCOMPARABLE.name: Reach((_without_comparisons, *map(_only, FAMILIES)), COMPARING, refuses=True),
    RESOURCE.name: Reach((_untyped,), frozenset(("Closed",))),
    REGEX.name: Reach((_without_patterns_of_its_own,), frozenset(("Pattern",)), refuses=True),
    HALF.name: Reach((_without_half,), frozenset(("Closed",)), refuses=True),
    INVERSE.name: Reach((_turned_inwards,)),
    UNDECLARED.name: Reach((_without_undeclared,)),
    OWL_CLASS.name: Reach((_without_owl_classes,)),
    FAR_YEARS.name: Reach((_respelt(_near),), COMPARING | {"Datatype"}),
    END_OF_DAY.name: Reach((_respelt(_earlier),), COMPARING | {"Datatype"}),
    MARKUP.name: Reach((_respelt(_unmarked),), frozenset(("Datatype",))),
    EMPTY_PATH.name: Reach((_without_empty_paths,), refuses=True),
    FALSE.name: Reach((_without_queries(r"FILTER \(false\)"),), frozenset(("SPARQL",))),
    ORDERED.name: Reach((_without_queries("[<>]"),), frozenset(("SPARQL",))),
    MEMBERS.name: Reach((_without_queries(r"(?i)\bIN\s*\("),), frozenset(("SPARQL",))),
    NEGATED.name: Reach((_without_queries(r"!\s*(?:\^|\([^)]*\^)"),), frozenset(("SPARQL",)), refuses=True),
    PREFIXED.name: Reach((_without_queries(r"\b(?:owl|rdfs?|xsd):"),), frozenset(("SPARQL",)), refuses=True),
}


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
        for names in combinations(REACHES, size):
            reaches = [REACHES[name] for name in names]
            if _within(reaches, one, other) and all(
                _accounts(ways, rules, data, first, second) for ways in product(*(reach.ways for reach in reaches))
            ):
                return " + ".join(names)
    return None


def _within(reaches: Sequence[Reach], one: Verdict, other: Verdict) -> bool:
    """Whether these kinds can make two verdicts unequal in this way."""
    if one.refused or other.refused:
        return any(reach.refuses for reach in reaches)
    unequal = (one.rows - other.rows) + (other.rows - one.rows)
    return all(any(reach.covers(row[2]) for reach in reaches) for row in unequal)


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
    in a component (6.2.1), several values for one of more parameters (2.1.1).
    """
    index = Index(shapes)
    declared = (value for _, value in index.pairs[SH + "declare"])
    halves = any(len(index.objects(d, SH + name)) != 1 for d in declared for name in ("prefix", "namespace"))
    literals = any(isinstance(value, Literal) for name in NESTING for _, value in index.pairs[SH + name])
    return halves or literals or _twice(index) or bool(_meta()(shapes).rows)


def _twice(index: Index) -> bool:
    paths: dict[Term, list[str]] = {}
    for component, parameter in index.pairs[SH + "parameter"]:
        paths.setdefault(component, []).extend(path.value for path in index.objects(parameter, SH + "path"))
    for iris in paths.values():
        if len({re.split("[#/]", iri)[-1] for iri in iris}) < len(iris):
            return True
        if len(iris) > 1 and any(len(index.objects(shape, iri)) > 1 for iri in iris for shape, _ in index.pairs[iri]):
            return True
    return False


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
