"""Whether a shapes graph is well-formed SHACL, and what in it can never be met (W3C Recommendation of 2017-07-20).

Every syntax rule of the Recommendation (its appendix A) is checked here but those of SPARQL texts. All faults are told,
not the first one only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from fairmesh.catalog import rdf
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.shacl.results import Term
from fairmesh.catalog.triples import Index

SH = rdf.PREFIXES["sh"]
_RDF, _RDFS, _XSD = rdf.PREFIXES["rdf"], rdf.PREFIXES["rdfs"], rdf.PREFIXES["xsd"]
_TYPE, _NIL = _RDF + "type", NamedNode(_RDF + "nil")
_BOOLEANS = frozenset(Literal(word, datatype=NamedNode(_XSD + "boolean")) for word in ("true", "false"))
_NODE_KINDS = ("IRI", "BlankNode", "Literal", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral")
MAX_NESTING = 10
"""Shapes may refer to shapes so many deep."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with `node`: what, what to do, and the kind of check that found it.

    `statement` is the one it is about, when there is one. `whole` says that the node as a shape cannot be used; else
    leaving out the statement is enough. What is no `error` can be used as it is.
    """

    kind: str
    node: Term
    statement: Triple | None
    what: str
    remedy: str
    whole: bool = True
    error: bool = True


# -- the terms --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parameter:
    """What a predicate of a shape may have for values: of which kind, at most one or any number, on which shapes."""

    kind: str
    single: bool = False
    on_paths: bool = False


def _parameters() -> Iterator[tuple[str, _Parameter]]:
    for name in ("targetClass", "targetSubjectsOf", "targetObjectsOf", "class", "equals", "disjoint"):
        yield name, _Parameter("iri")
    for name in ("lessThan", "lessThanOrEquals"):
        yield name, _Parameter("iri", on_paths=True)
    yield "targetNode", _Parameter("iri or literal")
    for name in ("datatype", "severity"):
        yield name, _Parameter("iri", single=True)
    yield "nodeKind", _Parameter("node kind", single=True)
    for name in ("minCount", "maxCount", "qualifiedMinCount", "qualifiedMaxCount"):
        yield name, _Parameter("integer", single=True, on_paths=True)
    for name in ("minLength", "maxLength"):
        yield name, _Parameter("integer", single=True)
    for name in ("minExclusive", "minInclusive", "maxExclusive", "maxInclusive"):
        yield name, _Parameter("literal", single=True)
    for name in ("pattern", "flags"):
        yield name, _Parameter("string", single=True)
    for name in ("uniqueLang", "qualifiedValueShapesDisjoint"):
        yield name, _Parameter("boolean", single=True, on_paths=True)
    for name in ("closed", "deactivated"):
        yield name, _Parameter("boolean", single=True)
    for name in ("message", "name", "description"):
        yield name, _Parameter("text")
    yield "languageIn", _Parameter("list of strings", single=True)
    yield "ignoredProperties", _Parameter("list of IRIs", single=True)
    yield "in", _Parameter("list", single=True)
    for name in ("and", "or", "xone"):
        yield name, _Parameter("list of shapes")
    for name in ("node", "not"):
        yield name, _Parameter("shape")
    yield "property", _Parameter("property shape")
    yield "qualifiedValueShape", _Parameter("shape", single=True, on_paths=True)
    yield "sparql", _Parameter("node")
    yield "path", _Parameter("node", single=True)
    for name in ("hasValue", "defaultValue", "group", "order"):
        yield name, _Parameter("anything")


PARAMETERS = {SH + name: parameter for name, parameter in _parameters()}
"""What the predicates of shapes may have for values, by IRI."""
TARGETS = ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf")
_STEPS = tuple(SH + name for name in (
    "alternativePath", "inversePath", "zeroOrMorePath", "oneOrMorePath", "zeroOrOnePath",
))  # fmt: skip
_OTHERS = (
    "NodeShape", "PropertyShape", "Shape", "PropertyGroup", "Violation", "Warning", "Info", "Severity", "NodeKind",
    *_NODE_KINDS, "SPARQLConstraint", "SPARQLSelectValidator", "SPARQLAskValidator", "SPARQLExecutable",
    "SPARQLSelectExecutable", "SPARQLAskExecutable", "ConstraintComponent", "Parameter", "Parameterizable", "Validator",
    "select", "ask", "prefixes", "prefix", "namespace", "declare", "PrefixDeclaration", "parameter", "optional",
    "validator", "nodeValidator", "propertyValidator", "labelTemplate", "nodeShape", "entailment", "shapesGraph",
    "suggestedShapesGraph", "shapesGraphWellFormed",
)  # fmt: skip
_REPORTED = (
    "ValidationReport", "ValidationResult", "AbstractResult", "conforms", "result", "resultPath", "resultMessage",
    "resultSeverity", "focusNode", "value", "detail", "sourceShape", "sourceConstraint", "sourceConstraintComponent",
    *(f"{name}ConstraintComponent" for name in (
        "And", "Class", "Closed", "Datatype", "Disjoint", "Equals", "HasValue", "In", "LanguageIn", "LessThan",
        "LessThanOrEquals", "MaxCount", "MaxExclusive", "MaxInclusive", "MaxLength", "MinCount", "MinExclusive",
        "MinInclusive", "MinLength", "Node", "NodeKind", "Not", "Or", "Pattern", "Property", "QualifiedMaxCount",
        "QualifiedMinCount", "SPARQL", "UniqueLang", "Xone",
    )),
)  # fmt: skip
KNOWN = frozenset((*PARAMETERS, *_STEPS, *(SH + name for name in (*_OTHERS, *_REPORTED))))
"""The terms of SHACL Core and SHACL-SPARQL, as IRIs."""

REFUSED = {
    SH + name: remedy
    for remedy, names in {
        "Write it with SHACL Core or SPARQL: JavaScript is not run": (
            "js", "JSConstraint", "JSValidator", "JSTarget", "JSTargetType", "JSRule", "JSFunction", "JSLibrary",
            "JSExecutable", "jsFunctionName", "jsLibrary", "jsLibraryURL",
        ),
        "State it in the data: shapes check, they add nothing": (
            "rule", "Rule", "TripleRule", "SPARQLRule", "construct", "subject", "predicate", "object", "condition",
            "Rules", "values", "update",
        ),
        "Use sh:targetClass, sh:targetNode, sh:targetSubjectsOf or sh:targetObjectsOf": (
            "target", "Target", "TargetType", "SPARQLTarget", "SPARQLTargetType",
        ),
        "Write it with SHACL Core or SPARQL": (
            "expression", "Function", "SPARQLFunction", "returnType", "filterShape", "nodes", "intersection", "union",
            "if", "then", "else", "exists", "this", "resultAnnotation", "annotationProperty", "annotationVarName",
            "annotationValue", "ResultAnnotation",
        ),
    }.items()
    for name in names
}  # fmt: skip
"""Terms of SHACL's extensions, which no engine runs, as IRIs, with what to do instead."""
_IMPORTS = rdf.PREFIXES["owl"] + "imports"
_DASH = "http://datashapes.org/dash#"
_DASH_COMPONENTS = frozenset(_DASH + name for name in (
    "closedByTypes", "coExistsWith", "hasClass", "hasMaxCount", "hasMinCount", "hasValueIn", "hasValueWithClass",
    "nonRecursive", "reifiableBy", "rootClass", "singleLine", "stem", "subSetOf", "symmetric", "uniqueMembers",
    "uniqueValueForClass", "uriStart",
))  # fmt: skip
_EXPECTED = {
    "iri": "an IRI", "iri or literal": "an IRI or a literal", "node kind": "one of SHACL's six node kinds",
    "integer": "an xsd:integer", "literal": "a literal", "string": "a plain text", "boolean": "true or false",
    "text": "a text", "list": "a list", "list of strings": "a list of texts", "list of IRIs": "a list of IRIs",
    "list of shapes": "a list of shapes", "shape": "a shape", "property shape": "a property shape", "node": "a node",
}  # fmt: skip


def name_of(term: object) -> str:
    """How a message names a term: an IRI prefixed, else in full; a literal by its text."""
    if isinstance(term, Literal):
        return f'"{term.value}"'
    iri = rdf.iri_of(term)
    return "a blank node" if iri is None else rdf.compact(iri) or f"<{iri}>"


def is_list(index: Index, head: Term) -> bool:
    """Whether a well-formed RDF list begins here."""
    seen: set[Term] = set()
    while head != _NIL:
        first, rest = index.objects(head, _RDF + "first"), index.objects(head, _RDF + "rest")
        if head in seen or len(set(first)) != 1 or len(set(rest)) != 1:
            return False
        seen.add(head)
        head = rest[0]
    return True


# -- syntax -----------------------------------------------------------------------------------------------------------


def faults(index: Index, nodes: Collection[Term] | None = None) -> list[Fault]:
    """Everything wrong with a shapes graph, in the order of its statements; the texts of queries are not looked at.

    `nodes` limits it to what is said about these, None does not.
    """
    return list(dict.fromkeys(_Check(index, index.subjects if nodes is None else nodes).faults()))


class _Check:
    def __init__(self, index: Index, nodes: Collection[Term]) -> None:
        self._index = index
        self._nodes = nodes
        self._parameters = {parameter for _, parameter in index.pairs[SH + "parameter"]}
        self._declared = {
            iri for _, parameter in index.pairs[SH + "parameter"] for iri in index.objects(parameter, SH + "path")
        }

    def faults(self) -> Iterator[Fault]:
        for node in self._nodes:
            facts = self._index.subjects[node]
            yield from self._terms(node)
            if not self._is_shape(node):
                continue
            yield from self._path(node)
            for predicate in facts:
                if predicate in PARAMETERS:
                    yield from self._values(node, predicate, PARAMETERS[predicate])
            yield from self._together(node)
            yield from self._owl_class(node)
            yield from _Unmeetable(self._index, node).faults()
        yield from self._declarations()
        yield from self._recursion()

    def _is_shape(self, node: Term) -> bool:
        facts = self._index.subjects[node]
        kinds = {rdf.iri_of(kind) for kind in facts.get(_TYPE, ())}
        if SH + "Parameter" in kinds or node in self._parameters:
            return False
        return bool(kinds & {SH + "NodeShape", SH + "PropertyShape"}) or any(
            predicate in PARAMETERS and predicate[len(SH) :] not in ("message", "name", "description", "order")
            for predicate in facts
        )

    def _at(self, node: Term, predicate: str, value: Term | None = None) -> Triple | None:
        found = self._index.objects(node, predicate)
        if not found:
            return None
        return Triple(node, NamedNode(predicate), found[0] if value is None else value)  # type: ignore[arg-type]

    def _terms(self, node: Term) -> Iterator[Fault]:
        for predicate, values in self._index.subjects[node].items():
            for value in values:
                for iri in (predicate, value.value if isinstance(value, NamedNode) else ""):
                    if (iri.startswith(SH) and iri not in KNOWN) or iri in _DASH_COMPONENTS or iri == _IMPORTS:
                        yield from self._term(node, iri, self._at(node, predicate, value))

    def _term(self, node: Term, iri: str, at: Triple | None) -> Iterator[Fault]:
        name = name_of(NamedNode(iri))
        if iri == _IMPORTS:
            yield Fault(
                "imports", node, at, "owl:imports is not followed", "Put the statements into the file itself",
                whole=False,
            )  # fmt: skip
        elif iri in REFUSED:
            yield Fault("unsupported", node, at, f"{name} is not supported", REFUSED[iri])
        elif iri.startswith(SH):
            close = difflib.get_close_matches(iri[len(SH) :], sorted(known[len(SH) :] for known in KNOWN), 1, 0.75)
            remedy = f"Did you mean sh:{close[0]}?" if close else "Remove it, or check its spelling"
            yield Fault("unknown-term", node, at, f"{name} is no term of SHACL", remedy)
        elif NamedNode(iri) not in self._declared:
            yield Fault(
                "unknown-component", node, at, f"{name} belongs to a component that is not declared here",
                "Declare the sh:ConstraintComponent with its validator, or say it with SHACL Core",
            )  # fmt: skip

    def _path(self, node: Term) -> Iterator[Fault]:
        paths = self._index.objects(node, SH + "path")
        kinds = {rdf.iri_of(kind) for kind in self._index.objects(node, _TYPE)}
        if paths and SH + "NodeShape" in kinds:
            yield Fault(
                "ill-formed", node, self._at(node, SH + "path"), "a node shape with sh:path",
                "Make it a sh:PropertyShape, or take sh:path away",
            )  # fmt: skip
        if not paths and SH + "PropertyShape" in kinds:
            yield Fault("dangling", node, self._at(node, _TYPE), "a property shape without sh:path", "Give it sh:path")
        for path in paths:
            if why := self._wrong_path(path, ()):
                yield Fault("ill-formed", node, self._at(node, SH + "path", path), f"sh:path {why}", _PATH_REMEDY)

    def _wrong_path(self, path: Term, above: tuple[Term, ...]) -> str:
        """What is wrong with a path (SHACL, section 2.3.1); empty when nothing is."""
        if path == _NIL:  # an IRI to the letter; whoever wrote () meant another
            return "has an empty list in it" if above else "is an empty list"
        if isinstance(path, NamedNode):
            return ""
        if isinstance(path, Literal):
            return "is a literal"
        if path in above:
            return "contains itself"
        facts = self._index.subjects.get(path, {})
        steps = [step for step in _STEPS if step in facts]
        if _RDF + "first" in facts:
            return self._wrong_members(path, "sequence", (*above, path))
        if len(steps) != 1 or len(facts[steps[0]]) != 1:
            return (
                "is none of SHACL's forms of a path"
                if len(steps) != 1
                else f"has two values of {name_of(NamedNode(steps[0]))}"
            )
        (inner,) = facts[steps[0]]
        if steps[0] == _STEPS[0]:
            return self._wrong_members(inner, "choice", (*above, path))
        return self._wrong_path(inner, (*above, path))

    def _wrong_members(self, head: Term, what: str, above: tuple[Term, ...]) -> str:
        if not is_list(self._index, head):
            return f"has a {what} that is no well-formed list"
        members = list(self._index.items(head))
        if len(members) < 2:
            return f"has a {what} of fewer than two members"
        return next((why for member in members if (why := self._wrong_path(member, above))), "")

    def _values(self, node: Term, predicate: str, parameter: _Parameter) -> Iterator[Fault]:
        values = list(dict.fromkeys(self._index.objects(node, predicate)))
        name = name_of(NamedNode(predicate))
        if parameter.single and len(values) > 1:
            yield Fault(
                "ill-formed", node, self._at(node, predicate, values[1]), f"more than one {name}", "Leave one of them"
            )
        if parameter.on_paths and not self._index.objects(node, SH + "path"):
            yield Fault(
                "ill-formed", node, self._at(node, predicate), f"{name} on a shape without sh:path",
                "Put it on a property shape",
            )  # fmt: skip
        for value in values:
            at = self._at(node, predicate, value)
            if parameter.kind in ("shape", "property shape", "list of shapes"):
                yield from self._shapes(node, predicate, parameter.kind, value, at)
            elif not self._fits(parameter.kind, value):
                yield Fault("ill-formed", node, at, f"{name} {self._misfit(parameter.kind, value)}",
                            f"Write {_EXPECTED[parameter.kind]}")  # fmt: skip

    def _misfit(self, kind: str, value: Term) -> str:
        if kind.startswith("list") and not is_list(self._index, value):
            return "has no well-formed list"
        return "is neither true nor false" if kind == "boolean" else f"is not {_EXPECTED[kind]}"

    def _fits(self, kind: str, value: Term) -> bool:
        if kind == "iri":
            return isinstance(value, NamedNode)
        if kind == "iri or literal":
            return not isinstance(value, BlankNode)
        if kind == "node kind":
            return (rdf.iri_of(value) or "").removeprefix(SH) in _NODE_KINDS
        if kind == "boolean":
            return value in _BOOLEANS
        if kind.startswith("list"):
            return is_list(self._index, value) and all(self._member(kind, item) for item in self._index.items(value))
        if kind in ("node", "anything"):
            return kind == "anything" or not isinstance(value, Literal)
        if not isinstance(value, Literal):
            return False
        datatype = value.datatype.value
        if kind == "integer":
            return datatype == _XSD + "integer" and re.fullmatch(r"[+-]?[0-9]+", value.value) is not None
        texts = {"string": (_XSD + "string",), "text": (_XSD + "string", _RDF + "langString", _RDF + "HTML")}
        return kind == "literal" or datatype in texts[kind]

    @staticmethod
    def _member(kind: str, item: Term) -> bool:
        if kind == "list of strings":
            return isinstance(item, Literal) and item.datatype.value == _XSD + "string"
        return kind != "list of IRIs" or isinstance(item, NamedNode)

    def _shapes(self, node: Term, predicate: str, kind: str, value: Term, at: Triple | None) -> Iterator[Fault]:
        name = name_of(NamedNode(predicate))
        if kind == "list of shapes":
            if not is_list(self._index, value):
                yield Fault("ill-formed", node, at, f"{name} has no well-formed list", "Write ( one two ... )")
                return
            members = list(self._index.items(value))
            if not members:
                yield Fault("unmeetable" if name != "sh:and" else "ill-formed", node, at, f"{name} of no shapes",
                            "Name the shapes in it")  # fmt: skip
        else:
            members = [value]
        for member in members:
            if isinstance(member, Literal):
                yield Fault("ill-formed", node, at, f"{name} leads to a literal", f"Write {_EXPECTED['shape']}")
            elif member not in self._index.subjects:
                yield Fault(
                    "dangling", node, at, f"{name} leads to {name_of(member)}, which nothing describes",
                    "Describe it, or take the reference away", whole=kind != "property shape",
                )  # fmt: skip
            elif kind == "property shape" and not self._index.objects(member, SH + "path"):
                yield Fault(
                    "dangling", node, at, f"sh:property leads to {name_of(member)}, which has no sh:path",
                    "Give it sh:path, or use sh:node", whole=False,
                )  # fmt: skip

    def _together(self, node: Term) -> Iterator[Fault]:
        """Parameters that need each other."""
        for needed, needing in (("pattern", "flags"), ("closed", "ignoredProperties")):
            if self._index.objects(node, SH + needing) and not self._index.objects(node, SH + needed):
                at = self._at(node, SH + needing)
                what = f"sh:{needing} without sh:{needed} does nothing"
                yield Fault("idle", node, at, what, f"Add sh:{needed}", error=False)
        counts = [SH + "qualifiedMinCount", SH + "qualifiedMaxCount"]
        shape = self._index.objects(node, SH + "qualifiedValueShape")
        counted = [name for name in counts if self._index.objects(node, name)]
        if bool(shape) != bool(counted):
            at = self._at(node, SH + "qualifiedValueShape" if shape else counted[0])
            missing = "sh:qualifiedMinCount or sh:qualifiedMaxCount" if shape else "sh:qualifiedValueShape"
            yield Fault("ill-formed", node, at, f"nothing is counted: {missing} is missing", f"Add {missing}")

    def _owl_class(self, node: Term) -> Iterator[Fault]:
        """OWL's classes are no implicit targets: only instances of rdfs:Class are (SHACL, section 2.1.3.3)."""
        kinds = self._index.objects(node, _TYPE)
        owl_class = NamedNode(rdf.PREFIXES["owl"] + "Class")
        if (
            isinstance(node, BlankNode)
            or owl_class not in kinds
            or any(self._index.objects(node, SH + name) for name in TARGETS)
        ):
            return
        above, waiting = set(kinds), list(kinds)
        while waiting:
            new = set(self._index.objects(waiting.pop(), _RDFS + "subClassOf")) - above
            above |= new
            waiting += new
        if NamedNode(_RDFS + "Class") not in above:
            yield Fault(
                "idle", node, Triple(node, NamedNode(_TYPE), owl_class),  # type: ignore[arg-type]
                f"{name_of(node)} targets nothing: an owl:Class that is a shape is no implicit target",
                f"Add sh:targetClass {name_of(node)}, or the type rdfs:Class", error=False,
            )  # fmt: skip

    def _declarations(self) -> Iterator[Fault]:
        """Prefixes for queries (SHACL, section 5.2.1), and values of a shapes graph itself."""
        for _, declaration in self._index.pairs[SH + "declare"]:
            for name, datatype in (("prefix", "string"), ("namespace", "anyURI")):
                values = self._index.objects(declaration, SH + name)
                if [getattr(value, "datatype", None) for value in values] != [NamedNode(_XSD + datatype)]:
                    yield Fault(
                        "ill-formed", declaration, self._at(declaration, SH + name),
                        f"a declaration of a prefix needs one sh:{name}", f"Write one xsd:{datatype}", whole=False,
                    )  # fmt: skip
        for name in ("shapesGraph", "entailment"):
            for node, value in self._index.pairs[SH + name]:
                if not isinstance(value, NamedNode):
                    yield Fault("ill-formed", node, self._at(node, SH + name, value), f"sh:{name} is no IRI",
                                "Write an IRI", whole=False)  # fmt: skip
                elif name == "entailment":
                    yield Fault("unsupported", node, self._at(node, SH + name, value), "sh:entailment is not supported",
                                "State what should follow", whole=False)  # fmt: skip

    def _recursion(self) -> Iterator[Fault]:
        """Shapes that lead back to themselves (SHACL, section 3.4.3), each circle once, and too deep nesting."""
        done: set[Term] = set()
        for start in self._nodes:
            stack: list[tuple[Term, Iterator[tuple[str, Term]]]] = []
            if start not in done:
                stack.append((start, references(self._index, start)))
            while stack:
                node, inner = stack[-1]
                found = next(inner, None)
                if found is None:
                    done.add(node)
                    stack.pop()
                    continue
                open_nodes = [each for each, _ in stack]
                if found[1] in open_nodes:
                    circle = open_nodes[open_nodes.index(found[1]) :]
                    named = next((each for each in circle if isinstance(each, NamedNode)), found[1])
                    yield Fault(
                        "recursion", node, self._at(node, found[0]), f"a shape that refers to itself: {name_of(named)}",
                        "Remove the circle",
                    )  # fmt: skip
                elif len(stack) > MAX_NESTING:
                    yield Fault(
                        "nesting", start, None, f"shapes nested more than {MAX_NESTING} deep", "Split the shape"
                    )
                    done.update(open_nodes)
                    stack.clear()
                elif found[1] not in done and found[1] in self._index.subjects:
                    stack.append((found[1], references(self._index, found[1])))


_PATH_REMEDY = (
    "Write a predicate, a list of two paths or more, or one of sh:alternativePath, sh:inversePath, sh:zeroOrMorePath,"
    " sh:oneOrMorePath and sh:zeroOrOnePath"
)


def references(index: Index, shape: Term) -> Iterator[tuple[str, Term]]:
    """The shapes that a shape refers to, each with the predicate that does."""
    for predicate in index.subjects.get(shape, {}):
        kind = PARAMETERS[predicate].kind if predicate in PARAMETERS else ""
        if kind in ("shape", "property shape"):
            yield from ((predicate, inner) for inner in index.objects(shape, predicate))
        elif kind == "list of shapes":
            for head in index.objects(shape, predicate):
                yield from ((predicate, inner) for inner in index.items(head))


# -- what cannot be met -----------------------------------------------------------------------------------------------


class _Unmeetable:
    """Constraints of one shape that no value, or no number of values, can meet."""

    def __init__(self, index: Index, node: Term) -> None:
        self._index, self._node = index, node

    def _all(self, name: str) -> list[Term]:
        return self._index.objects(self._node, SH + name)

    def _fault(self, name: str, what: str, remedy: str) -> Fault:
        """A fault about the values of `sh:<name>`."""
        values = self._all(name)
        at = Triple(self._node, NamedNode(SH + name), values[0])  # type: ignore[arg-type]
        return Fault("unmeetable", self._node, at, f"unsatisfiable: {what}", remedy)

    def faults(self) -> Iterator[Fault]:
        yield from self._ranges()
        yield from self._classes()
        yield from self._kinds()
        yield from self._members()
        if any(rdf.iri_of(term) == _RDFS + "Literal" for term in self._all("targetClass")):
            yield replace(
                self._fault(
                    "targetClass", "sh:targetClass rdfs:Literal, and no literal has a type",
                    "Test literals where they are values, with sh:datatype or sh:nodeKind",
                ),
                error=False,
            )  # fmt: skip

    def _ranges(self) -> Iterator[Fault]:
        for low, high, strict in (
            ("minCount", "maxCount", False), ("qualifiedMinCount", "qualifiedMaxCount", False),
            ("minLength", "maxLength", False), ("minInclusive", "maxInclusive", False),
            ("minInclusive", "maxExclusive", True), ("minExclusive", "maxInclusive", True),
            ("minExclusive", "maxExclusive", True),
        ):  # fmt: skip
            least, most = (_number(self._all(name)) for name in (low, high))
            if least is not None and most is not None and (least > most or (strict and least == most)):
                yield self._fault(high, f"sh:{low} {least} and sh:{high} {most}", "Correct one of them")
        most = _number(self._all("maxCount"))
        values = set(self._all("hasValue"))
        if most is not None and len(values) > most:
            yield self._fault(
                "hasValue", f"{len(values)} values of sh:hasValue and sh:maxCount {most}", "Correct one of them"
            )

    def _classes(self) -> Iterator[Fault]:
        for kind in self._all("class"):
            iri = rdf.iri_of(kind) or ""
            if iri == _RDFS + "Resource":
                yield self._fault(
                    "class", "sh:class rdfs:Resource asks for a type that no data states",
                    "Leave it out: everything is a resource; or ask for sh:nodeKind sh:BlankNodeOrIRI",
                )  # fmt: skip
            elif iri == _RDFS + "Literal" or iri.startswith(_XSD):
                yield self._fault(
                    "class", f"sh:class {name_of(kind)}: no literal has a type",
                    "Use sh:datatype, or sh:nodeKind sh:Literal",
                )  # fmt: skip
            elif self._all("datatype"):
                yield self._fault(
                    "class", f"sh:class {name_of(kind)} and sh:datatype {name_of(self._all('datatype')[0])}:"
                    " literals have no class", "Leave one of them",
                )  # fmt: skip

    def _kinds(self) -> Iterator[Fault]:
        kinds = {(rdf.iri_of(kind) or "").removeprefix(SH) for kind in self._all("nodeKind")}
        if kinds and all("Literal" not in kind for kind in kinds):
            for name in ("datatype", "languageIn", "minInclusive", "minExclusive", "maxInclusive", "maxExclusive"):
                if self._all(name):
                    yield self._fault("nodeKind", f"sh:nodeKind sh:{min(kinds)} and sh:{name}", "Leave one of them")
        if kinds == {"Literal"} and self._all("class"):
            yield self._fault("nodeKind", "sh:nodeKind sh:Literal and sh:class", "Leave one of them")
        if kinds == {"BlankNode"} and (self._all("pattern") or self._all("minLength") or self._all("maxLength")):
            yield self._fault("nodeKind", "sh:nodeKind sh:BlankNode and a test of text", "Leave one of them")
        datatypes = {rdf.iri_of(kind) for kind in self._all("datatype")}
        if self._all("languageIn") and datatypes and datatypes != {_RDF + "langString"}:
            yield self._fault("datatype", "sh:languageIn and a sh:datatype without languages", "Leave one of them")

    def _members(self) -> Iterator[Fault]:
        for head in self._all("in"):
            members = set(self._index.items(head))
            if not members and is_list(self._index, head):
                yield self._fault("in", "sh:in of nothing", "Name the values, or use sh:maxCount 0")
            elif not members.issuperset(self._all("hasValue")):
                yield self._fault("hasValue", "sh:hasValue that sh:in does not list", "Add it to the list")
        for head in self._all("languageIn"):
            if head == _NIL:
                yield self._fault("languageIn", "sh:languageIn of nothing", "Name the languages")


def _number(values: Sequence[Term]) -> Decimal | None:
    for value in values:
        if isinstance(value, Literal):
            try:
                number = Decimal(value.value)
            except InvalidOperation:
                continue
            if number.is_finite():
                return number
    return None
