"""SHACL Core: a shapes graph compiled to closures (SHACL, sections 2 to 4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from fairmesh.catalog import lexical, rdf
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode
from fairmesh.catalog.shacl import regexes, sparql, syntax
from fairmesh.catalog.shacl.paths import SH, SUBCLASS, TYPE, Graph, Path, Properties, Shapes, compile_path
from fairmesh.catalog.shacl.results import Node, Term, Unsupported
from fairmesh.catalog.shacl.shapes import Check, Constraint, Cycle, OutOfLimits, Root, Shape, Target
from fairmesh.catalog.shacl.sparql import Found
from fairmesh.catalog.triples import Values

_XSD = PREFIXES["xsd"]
_TRUE = Literal("true", datatype=NamedNode(_XSD + "boolean"))
_FALSE = Literal("false", datatype=NamedNode(_XSD + "boolean"))
_BOOLEAN, _INTEGER, _STRING = (_XSD + name for name in ("boolean", "integer", "string"))


_NOTHING: Properties = {}
_FINE: tuple[()] = ()
_BROKEN = (None,)


# -- vocabulary -------------------------------------------------------------------------------------------------------


def _constraint(name: str, check: Check) -> Constraint:
    """A constraint of the component whose parameter is `name`."""
    return Constraint(
        f"{SH}{name[0].upper()}{name[1:]}ConstraintComponent", check, name in _WITHOUT_VALUES, name in _BLIND
    )


_WITHOUT_VALUES = frozenset(("equals", "hasValue", "minCount", "qualifiedMinCount"))
"""Parameters whose constraints can fail at a focus node without value nodes."""
_BLIND = frozenset(
    (
        "datatype", "in", "languageIn", "maxExclusive", "maxInclusive", "maxLength", "minExclusive", "minInclusive",
        "minLength", "nodeKind", "pattern",
    )
)  # fmt: skip
"""Parameters whose constraints look at nothing but the value nodes themselves."""
_OPTIONAL = ("flags", "ignoredProperties", "qualifiedMinCount", "qualifiedMaxCount", "qualifiedValueShapesDisjoint")
_ONCE = frozenset(iri.removeprefix(SH) for iri, parameter in syntax.PARAMETERS.items() if parameter.single)
_OF_PROPERTIES = tuple(
    name
    for iri, parameter in syntax.PARAMETERS.items()
    if parameter.on_paths and (name := iri.removeprefix(SH)) not in _OPTIONAL
)
"""Parameters that node shapes cannot have. The counts of sh:qualifiedValueShape say nothing without it."""
_ADVANCED = syntax.REFUSED.keys() | {SH + "entailment"}
"""Terms of SHACL's extensions, which are refused wherever they stand."""


def _local(term: Term) -> str | None:
    """The local name of a term of SHACL."""
    return term.value.removeprefix(SH) if isinstance(term, NamedNode) and term.value.startswith(SH) else None


def _term(name: str) -> NamedNode:
    return NamedNode(SH + name)


# -- compiling --------------------------------------------------------------------------------------------------------


class Compiler:
    """Compiles all shapes of a shapes graph, and refuses what it cannot.

    Raises `Unsupported` for terms of SHACL's namespace that are not implemented, `InputError` (code `rule-set`) for
    ill-formed shapes.
    """

    def __init__(
        self, shapes: Shapes, graph: Graph, ignored: Collection[str], queries: Callable[[], sparql.Data]
    ) -> None:
        self.shapes, self.graph, self.queries = shapes, graph, queries
        self.ignored = frozenset(ignored)
        self.complete: set[Shape] = set()
        """Shapes that are compiled to the end; those that lead to the one at hand are not."""
        self.cycle = Cycle()
        self.compiled: dict[Node, Shape] = {}
        self._refuse_types()
        self.components = sparql.components(shapes)

    def roots(self) -> list[Root]:
        """Every shape with a target, after all shapes of the graph were compiled."""
        found = []
        for node in [node for node in self.shapes.nodes if self._is_shape(node)]:
            shape = self.shape(node, node)
            targets = self._targets(node)
            if targets:
                found.append(Root(shape, targets))
        for shape in self.compiled.values():
            shape.finish(self.cycle)
        return found

    def _is_shape(self, node: Node) -> bool:
        return (
            any(predicate.value in _MARKS for predicate in self.shapes.nodes[node])
            or self._is_a(node, _term("NodeShape"))
            or self._is_a(node, _term("PropertyShape"))
        )

    def _is_a(self, node: Node, kind: NamedNode) -> bool:
        """Whether a node is a SHACL instance of a class in the shapes graph."""
        waiting = self.shapes.objects(node, NamedNode(TYPE))
        seen: set[Term] = set()
        while waiting:
            found = waiting.pop()
            if found == kind:
                return True
            if found not in seen:
                seen.add(found)
                waiting += self.shapes.objects(found, NamedNode(SUBCLASS))
        return False

    def _refuse_types(self) -> None:
        """Refuse what is typed with a term of SHACL that is not implemented, and terms of its extensions."""
        for node, statements in self.shapes.nodes.items():
            for predicate, values in statements.items():
                if predicate.value in _ADVANCED:
                    raise Unsupported(f"sh:{_local(predicate)}", node)
                for kind in values if predicate.value == TYPE else ():
                    if _local(kind) is not None and rdf.iri_of(kind) not in syntax.KNOWN:
                        raise Unsupported(f"sh:{_local(kind)}", node)

    def _refuse_terms(self, node: Node) -> None:
        """Refuse unknown terms of SHACL on a shape; elsewhere they are data."""
        for predicate in self.shapes.nodes.get(node, {}):
            name = _local(predicate)
            if name is not None and predicate.value not in syntax.KNOWN:
                raise Unsupported(f"sh:{name}", node)

    # -- one shape

    def shape(self, node: Term, user: Node) -> Shape:
        """The compiled shape at `node`, which the shape `user` refers to."""
        if isinstance(node, Literal):
            raise self.shapes.refusal(user, f"{node} is not a shape", "Refer to a shape")
        known = self.compiled.get(node)
        if known is not None:
            return known
        self._refuse_terms(node)
        shape = self.compiled[node] = Shape(node, self.graph)
        shape.path = self._path(node, user)
        shape.deactivated = self._deactivated(node)
        shape.severity = self._severity(node)
        shape.messages = self._messages(node)
        self._constrain(shape)
        self.complete.add(shape)
        return shape

    def _path(self, node: Node, user: Node) -> Path | None:
        found = self.shapes.objects(node, _term("path"))
        if not found:
            if self._is_a(node, _term("PropertyShape")):
                raise self.shapes.refusal(node, "a property shape without sh:path", "Give it one sh:path")
            return None
        if len(found) > 1:
            raise self.shapes.refusal(node, "several values of sh:path", "Keep one sh:path")
        if self._is_a(node, _term("NodeShape")):
            raise self.shapes.refusal(node, "a sh:NodeShape with sh:path", "Make it a sh:PropertyShape")
        return compile_path(self.shapes, self.graph, node, found[0])

    def values(self, node: Node, name: str) -> list[Term]:
        """The values of a parameter. Raises `InputError` for a second one where SHACL allows one."""
        found = self.shapes.objects(node, _term(name))
        if name in _ONCE and len(found) > 1:
            raise self.shapes.refusal(node, f"several values of sh:{name}", f"Keep one sh:{name}")
        return found

    def _deactivated(self, node: Node) -> bool:
        found = self.values(node, "deactivated")
        if found and found[0] not in (_TRUE, _FALSE):
            raise self.shapes.refusal(node, f"sh:deactivated is {found[0]}", "Write true or false")
        return bool(found) and found[0] == _TRUE

    def _severity(self, node: Node) -> str:
        found = self.values(node, "severity")
        return self.iri(node, "severity", found[0]) if found else SH + "Violation"

    def _messages(self, node: Node) -> tuple[Literal, ...]:
        found = []
        for text in self.shapes.objects(node, _term("message")):
            if not isinstance(text, Literal) or (text.language is None and text.datatype.value != _STRING):
                raise self.shapes.refusal(node, f"sh:message is {text}", "Write a text, with a language tag or without")
            found.append(text)
        return tuple(sorted(found, key=str))

    def _constrain(self, shape: Shape) -> None:
        node = shape.node
        if shape.path is None:
            for name in _OF_PROPERTIES:
                if self.values(node, name):
                    raise self.shapes.refusal(
                        node, f"a node shape with sh:{name}", "Move it to a property shape, one with sh:path"
                    )
        for name in _OPTIONAL:
            self.values(node, name)
        for name, build in _BUILDERS.items():
            for value in self.values(node, name):
                shape.constraints += build(self, shape, value)
        for value in self.shapes.objects(node, _term("property")):
            part = self.shape(value, node)
            if part.path is None:
                raise self.shapes.refusal(
                    node, f"sh:property leads to {value}, which has no sh:path",
                    "Define that property shape, or take it out",
                )  # fmt: skip
            shape.parts.append(part)
            shape.inner.append(part)
        self._query(shape)

    def _query(self, shape: Shape) -> None:
        """The SHACL-SPARQL constraints."""
        text = None if shape.path is None else shape.path.text
        constraints = [
            constraint
            for value in self.shapes.objects(shape.node, _term("sparql"))
            if (constraint := sparql.constraint(self.shapes, shape.node, value, text)) is not None
        ]
        constraints += sparql.uses(self.shapes, shape.node, self.components, text)
        for constraint in constraints:
            shape.constraints.append(Constraint(constraint.component, self._queried(constraint), always=True))

    def _queried(self, constraint: sparql.Constraint) -> Check:
        queries = self.queries

        def check(focus: Term, properties: Properties, values: Values) -> list[Found]:
            return list(constraint.find(queries(), focus, tuple(values)))

        return check

    # -- parameters

    def iri(self, node: Node, name: str, value: Term) -> str:
        if not isinstance(value, NamedNode):
            raise self.shapes.refusal(node, f"sh:{name} is {value}", "Write an IRI")
        return value.value

    def integer(self, node: Node, name: str, value: Term) -> int:
        if isinstance(value, Literal) and value.datatype.value == _INTEGER and lexical.well_formed(value):
            number = int(value.value) if len(value.value) <= 18 else -1
            if number >= 0:
                return number
        raise self.shapes.refusal(node, f"sh:{name} is {value}", "Write an integer from 0 on, such as 1")

    def literal(self, node: Node, name: str, value: Term) -> Literal:
        if not isinstance(value, Literal):
            raise self.shapes.refusal(node, f"sh:{name} is {value}", "Write a literal")
        return value

    def text(self, node: Node, name: str, value: Term) -> str:
        if not isinstance(value, Literal) or value.datatype.value != _STRING:
            raise self.shapes.refusal(node, f"sh:{name} is {value}", "Write a text without a language tag")
        return value.value

    def flag(self, node: Node, name: str, value: Term) -> bool:
        """Only the term `true` is on: the W3C suite has `"1"^^xsd:boolean` as off."""
        if not isinstance(value, Literal) or value.datatype.value != _BOOLEAN:
            raise self.shapes.refusal(node, f"sh:{name} is {value}", "Write true or false")
        return value == _TRUE

    def listed(self, shape: Shape, name: str, head: Term) -> list[Shape]:
        members = self.shapes.members(shape.node, head, f"sh:{name}")
        found = [self.shape(member, shape.node) for member in members]
        shape.inner += found
        return found

    def about(self, *inner: Shape) -> Callable[[Term], Properties]:
        """Looks up what is said about a node for shapes that need it."""
        if all(shape.blind and shape in self.complete for shape in inner):
            return lambda node: _NOTHING
        return self.graph.at

    # -- targets

    def _targets(self, node: Node) -> frozenset[Target]:
        found = set()
        for name in syntax.TARGETS:
            for value in self.shapes.objects(node, _term(name)):
                if name == "targetNode":
                    if isinstance(value, BlankNode):
                        raise self.shapes.refusal(node, "sh:targetNode is a blank node", "Name an IRI or a literal")
                    found.add(Target(SH + name, value))
                    continue
                iri = self.iri(node, name, value)
                key = iri if name == "targetClass" else self.graph.want(iri)
                found.add(Target(SH + name, value, key))
        if self._is_a(node, NamedNode(PREFIXES["rdfs"] + "Class")):
            if isinstance(node, BlankNode):
                raise self.shapes.refusal(node, "a shape that is a class has no IRI", "Give it an IRI")
            found.add(Target(SH + "targetClass", node, node.value))
        return frozenset(found)


# -- constraint components (section 4) --------------------------------------------------------------------------------

_Built = Iterator[Constraint]


def _class(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    kind, graph = compiler.iri(shape.node, "class", value), compiler.graph

    def check(focus: Term, properties: Properties, values: Values) -> Collection[Term]:
        kinds, at = graph.kinds(kind), graph.at
        for value in values:
            if kinds.isdisjoint((properties if value is focus else at(value)).get(TYPE, ())):
                return [v for v in values if kinds.isdisjoint(at(v).get(TYPE, ()))]
        return _FINE

    yield _constraint("class", check)


def _datatype(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    datatype = NamedNode(compiler.iri(shape.node, "datatype", value))
    fits = lexical.lexical_space(datatype.value) or (lambda text: True)

    def check(focus: Term, properties: Properties, values: Values) -> Collection[Term]:
        for value in values:
            if type(value) is not Literal or value.datatype != datatype or not fits(value.value):
                return [v for v in values if type(v) is not Literal or v.datatype != datatype or not fits(v.value)]
        return _FINE

    yield _constraint("datatype", check)


_KINDS: Mapping[str, tuple[type, ...]] = {
    "IRI": (NamedNode,), "BlankNode": (BlankNode,), "Literal": (Literal,), "BlankNodeOrIRI": (BlankNode, NamedNode),
    "BlankNodeOrLiteral": (BlankNode, Literal), "IRIOrLiteral": (NamedNode, Literal),
}  # fmt: skip


def _node_kind(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    kinds = _KINDS.get(value.value.removeprefix(SH)) if isinstance(value, NamedNode) else None
    if kinds is None:
        raise compiler.shapes.refusal(shape.node, f"sh:nodeKind is {value}", "Write one of sh:" + ", sh:".join(_KINDS))

    def check(focus: Term, properties: Properties, values: Values) -> Collection[Term]:
        for value in values:
            if type(value) not in kinds:
                return [v for v in values if type(v) not in kinds]
        return _FINE

    yield _constraint("nodeKind", check)


def _min_count(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    yield _constraint("minCount", _at_least(compiler.integer(shape.node, "minCount", value), len))


def _max_count(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    yield _constraint("maxCount", _at_most(compiler.integer(shape.node, "maxCount", value), len))


def _at_least(least: int, count: Callable[[Values], int]) -> Check:
    return lambda focus, properties, values: _BROKEN if count(values) < least else _FINE


def _at_most(most: int, count: Callable[[Values], int]) -> Check:
    return lambda focus, properties, values: _BROKEN if count(values) > most else _FINE


def _range(name: str, orders: tuple[int, ...]) -> Callable[[Compiler, Shape, Term], _Built]:
    """`orders`: how a value may compare to the parameter (section 4.3)."""

    def build(compiler: Compiler, shape: Shape, value: Term) -> _Built:
        bound = lexical.value_of(compiler.literal(shape.node, name, value))

        def check(focus: Term, properties: Properties, values: Values) -> list[Term]:
            return [value for value in values if _compared(value, bound) not in orders]

        yield _constraint(name, check)

    return build


def _compared(value: Term, bound: lexical.Value | None) -> int | None:
    return lexical.compare(lexical.value_of(value), bound) if isinstance(value, Literal) else None


def _length(name: str, *, least: bool) -> Callable[[Compiler, Shape, Term], _Built]:
    def build(compiler: Compiler, shape: Shape, value: Term) -> _Built:
        bound = compiler.integer(shape.node, name, value)

        def check(focus: Term, properties: Properties, values: Values) -> list[Term]:
            return [
                value
                for value in values
                if type(value) is BlankNode or (len(value.value) < bound if least else len(value.value) > bound)
            ]

        yield _constraint(name, check)

    return build


def _pattern(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    node = shape.node
    flags = [compiler.text(node, "flags", flags) for flags in compiler.values(node, "flags")]
    try:
        search = regexes.searcher(compiler.text(node, "pattern", value), *flags)
    except regexes.NotRegex as error:
        raise compiler.shapes.refusal(node, f"sh:pattern {value}: {error}", "Correct the regular expression") from error
    except regexes.NotRead as error:
        raise Unsupported(f"sh:pattern with {error}", node) from error

    def check(focus: Term, properties: Properties, values: Values) -> Collection[Term]:
        try:
            for value in values:
                if type(value) is BlankNode or not search(value.value):
                    return [v for v in values if type(v) is BlankNode or not search(v.value)]
            return _FINE
        except regexes.TooHard as error:
            raise OutOfLimits(str(error)) from error

    yield _constraint("pattern", check)


def _language_in(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    members = compiler.shapes.members(shape.node, value, "sh:languageIn")
    ranges = [compiler.text(shape.node, "languageIn", member).lower() for member in members]

    def matches(tag: str) -> bool:
        return any(tag == r or tag.startswith(r + "-") or r == "*" for r in ranges)

    def check(focus: Term, properties: Properties, values: Values) -> list[Term]:
        return [
            value
            for value in values
            if type(value) is not Literal or value.language is None or not matches(value.language.lower())
        ]

    yield _constraint("languageIn", check)


def _unique_lang(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    def check(focus: Term, properties: Properties, values: Values) -> Collection[None]:
        if len(values) < 2:
            return _FINE
        seen: set[str] = set()
        twice: set[str] = set()
        for value in values:
            if type(value) is Literal and value.language is not None:
                tag = value.language.lower()
                (twice if tag in seen else seen).add(tag)
        return (None,) * len(twice)

    if compiler.flag(shape.node, "uniqueLang", value):
        yield _constraint("uniqueLang", check)


def _equals(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    key = compiler.graph.want(compiler.iri(shape.node, "equals", value))

    def check(focus: Term, properties: Properties, values: Values) -> list[Term]:
        others = properties.get(key, ())
        missing = [value for value in values if value not in others]
        return missing + [other for other in others if other not in values]

    yield _constraint("equals", check)


def _disjoint(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    key = compiler.graph.want(compiler.iri(shape.node, "disjoint", value))

    def check(focus: Term, properties: Properties, values: Values) -> list[Term]:
        others = properties.get(key, ())
        return [value for value in values if value in others] if others else []

    yield _constraint("disjoint", check)


def _less(name: str, orders: tuple[int, ...]) -> Callable[[Compiler, Shape, Term], _Built]:
    def build(compiler: Compiler, shape: Shape, value: Term) -> _Built:
        key = compiler.graph.want(compiler.iri(shape.node, name, value))

        def check(focus: Term, properties: Properties, values: Values) -> list[Term]:
            others = properties.get(key, ())
            if not others:
                return []
            bounds = [lexical.value_of(other) if isinstance(other, Literal) else None for other in others]
            return [value for value in values for bound in bounds if _compared(value, bound) not in orders]

        yield _constraint(name, check)

    return build


def _not(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    inner = compiler.shape(value, shape.node)
    shape.inner.append(inner)
    at = compiler.about(inner)
    yield _constraint("not", lambda focus, properties, values: [v for v in values if inner.conforms(v, at(v))])


def _node(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    inner = compiler.shape(value, shape.node)
    if inner.path is not None:
        raise compiler.shapes.refusal(
            shape.node, f"sh:node leads to {value}, which has sh:path", "Refer to it with sh:property"
        )
    shape.inner.append(inner)
    at = compiler.about(inner)
    yield _constraint("node", lambda focus, properties, values: [v for v in values if not inner.conforms(v, at(v))])


def _logical(name: str, least: int | None, most: int | None) -> Callable[[Compiler, Shape, Term], _Built]:
    """A value conforms to at least and at most so many of the listed shapes; None stands for all of them."""

    def build(compiler: Compiler, shape: Shape, value: Term) -> _Built:
        listed = compiler.listed(shape, name, value)
        at = compiler.about(*listed)
        needed = len(listed) if least is None else least
        enough = needed if most is None else most + 1

        def wrong(value: Term, about: Properties) -> bool:
            fitting = 0
            for inner in listed:
                if inner.conforms(value, about):
                    fitting += 1
                    if fitting == enough:
                        return most is not None
                elif least is None:
                    return True
            return fitting < needed

        def check(focus: Term, properties: Properties, values: Values) -> list[Term]:
            return [value for value in values if wrong(value, properties if value is focus else at(value))]

        yield _constraint(name, check)

    return build


def _qualified(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    inner, node = compiler.shape(value, shape.node), shape.node
    siblings = _siblings(compiler, shape, value)
    shape.inner += [inner, *siblings]
    at = compiler.about(inner, *siblings)

    def count(values: Values) -> int:
        fitting = 0
        for value in values:
            about = at(value)
            if inner.conforms(value, about) and not any(other.conforms(value, about) for other in siblings):
                fitting += 1
        return fitting

    for bound in compiler.values(node, "qualifiedMinCount"):
        least = compiler.integer(node, "qualifiedMinCount", bound)
        yield _constraint("qualifiedMinCount", _at_least(least, count))
    for bound in compiler.values(node, "qualifiedMaxCount"):
        most = compiler.integer(node, "qualifiedMaxCount", bound)
        yield _constraint("qualifiedMaxCount", _at_most(most, count))


def _siblings(compiler: Compiler, shape: Shape, value: Term) -> list[Shape]:
    """The other qualified value shapes beside this one (section 4.7.3)."""
    shapes, node, name = compiler.shapes, shape.node, "qualifiedValueShapesDisjoint"
    if not any(compiler.flag(node, name, found) for found in compiler.values(node, name)):
        return []
    found: dict[Term, None] = {}
    for parent in shapes.subjects(_term("property"), node):
        for part in shapes.objects(parent, _term("property")):
            found.update(dict.fromkeys(shapes.objects(part, _term("qualifiedValueShape"))))
    return [compiler.shape(other, node) for other in found if other != value]


def _closed(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    node, shapes = shape.node, compiler.shapes
    allowed = set(compiler.ignored)
    for head in compiler.values(node, "ignoredProperties"):
        members = shapes.members(node, head, "sh:ignoredProperties")
        allowed.update(compiler.iri(node, "ignoredProperties", member) for member in members)
    for part in shapes.objects(node, _term("property")):
        allowed.update(path.value for path in shapes.objects(part, _term("path")) if isinstance(path, NamedNode))
    at = compiler.graph.at

    def check(focus: Term, properties: Properties, values: Values) -> list[Found]:
        return [
            Found(found, predicate, ())
            for value in values
            for predicate, objects in at(value).items()
            if predicate not in allowed
            for found in objects
        ]

    if compiler.flag(node, "closed", value):
        compiler.graph.everything = True
        yield _constraint("closed", check)


def _has_value(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    yield _constraint("hasValue", lambda focus, properties, values: _FINE if value in values else _BROKEN)


def _in(compiler: Compiler, shape: Shape, value: Term) -> _Built:
    allowed = frozenset(compiler.shapes.members(shape.node, value, "sh:in"))

    def check(focus: Term, properties: Properties, values: Values) -> Collection[Term]:
        for value in values:
            if value not in allowed:
                return [v for v in values if v not in allowed]
        return _FINE

    yield _constraint("in", check)


_BUILDERS: Mapping[str, Callable[[Compiler, Shape, Term], _Built]] = {
    "minCount": _min_count,
    "maxCount": _max_count,
    "hasValue": _has_value,
    "nodeKind": _node_kind,
    "datatype": _datatype,
    "in": _in,
    "minExclusive": _range("minExclusive", (1,)),
    "minInclusive": _range("minInclusive", (0, 1)),
    "maxExclusive": _range("maxExclusive", (-1,)),
    "maxInclusive": _range("maxInclusive", (-1, 0)),
    "minLength": _length("minLength", least=True),
    "maxLength": _length("maxLength", least=False),
    "pattern": _pattern,
    "languageIn": _language_in,
    "uniqueLang": _unique_lang,
    "class": _class,
    "equals": _equals,
    "disjoint": _disjoint,
    "lessThan": _less("lessThan", (-1,)),
    "lessThanOrEquals": _less("lessThanOrEquals", (-1, 0)),
    "closed": _closed,
    "not": _not,
    "and": _logical("and", None, None),
    "or": _logical("or", 1, None),
    "xone": _logical("xone", 1, 1),
    "node": _node,
    "qualifiedValueShape": _qualified,
}
"""The components by their parameter, those that are checked fastest first."""

_MARKS = frozenset(SH + name for name in (*_BUILDERS, *_OPTIONAL, *syntax.TARGETS, "property", "sparql"))
"""A subject of one of these is a shape (section 2.1)."""
