"""SHACL-SPARQL: `sh:sparql` constraints and SPARQL-based constraint components (SHACL, sections 5 and 6, appendix A).

Made once from a shapes graph, checked many times. An engine uses it like this:

    declared = components(shapes)                         # once for a shapes graph
    background = Background(vocabulary)
    checks = [constraint(shapes, shape, node, path) ...]  # for every shape: its values of sh:sparql
    checks += uses(shapes, shape, declared, path)         # and what it says with declared components
    data = Data(triples, background)                      # once for a run
    for found in check.find(data, focus, values): ...     # for every focus node

Queries run on a store in memory that holds the data of the run and the background, filled when the first query asks
for it. They see no other graph and no network. A query has no time limit of its own: run it where it can be killed.

Terms stay what they are, though the store keeps values: see `verbatim`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple, NoReturn, Protocol

from pyoxigraph import QuerySolutions, Store

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Quad, Triple
from fairmesh.catalog.shacl.results import Node, Term, Unsupported
from fairmesh.catalog.shacl.sparqltext import Form, Query, is_variable_name, read, written
from fairmesh.catalog.shacl.verbatim import FUNCTIONS, is_kept, kept, original

MAX_ROWS = 10_000
"""Solutions of one constraint at one focus node."""
MAX_STATEMENTS = 3_000_000
"""Statements queries run over, background included."""
MAX_TEXT = 64_000_000
"""Characters a query may come to make out of the longest text it reads, at worst."""
REFILLED_AFTER = 50_000
"""Statements put into a store and taken out again before a new one is made: the store frees no memory before that."""

SH, RDF, RDFS, OWL, XSD = (PREFIXES[name] for name in ("sh", "rdf", "rdfs", "owl", "xsd"))


class Statements(Protocol):
    """A shapes graph as this module reads it."""

    def objects(self, subject: Node, predicate: NamedNode) -> Sequence[Term]: ...

    def subjects(self, predicate: NamedNode, object: Term) -> Sequence[Node]: ...


class QueryFailed(Exception):
    """A query could not be run to its end or ran into a limit; the whole root shape is `Failed` with `str(error)`."""


class Found(NamedTuple):
    """One violation. `path` is as in `Result.path`; `messages` hold where the shape has no `sh:message` of its own."""

    value: Term | None
    path: str | None
    messages: tuple[Literal, ...]


# -- data -------------------------------------------------------------------------------------------------------------


class Background:
    """Statements that every run sees beside its own. One thread at a time."""

    def __init__(self, triples: Iterable[Triple] = ()) -> None:
        self.triples = frozenset(triples)
        self.keeps = any(is_kept(kept(triple.object)) for triple in self.triples)
        self._store: Store | None = None
        self._added: list[Quad] = []
        self._spent = 0
        self._holder: Data | None = None

    def store_for(self, data: Data) -> Store:
        """A store that holds the background and these data, until it is asked for others."""
        if self._store is not None and self._holder is data:
            return self._store
        if self._store is None or self._spent > REFILLED_AFTER:
            self._store, self._spent = Store(), 0
            self._store.extend(map(_quad, self.triples))
        else:
            for quad in self._added:
                self._store.remove(quad)
        self._added = [_quad(triple) for triple in data.triples if triple not in self.triples]
        self._spent += len(self._added)
        self._store.extend(self._added)
        self._holder = data
        return self._store


def _quad(triple: Triple) -> Quad:
    return Quad(triple.subject, triple.predicate, kept(triple.object))


class Data:
    """What the queries of one run see: its own statements and the background; loaded at the first query."""

    def __init__(self, triples: Sequence[Triple], background: Background | None = None) -> None:
        self.triples = triples
        self._background = background or Background()

    def solve(self, query: Query, known: Mapping[str, Term]) -> Iterator[Mapping[str, Term]] | bool:
        """The solutions of a SELECT, the answer of an ASK, with `known` pre-bound. Raises `QueryFailed`."""
        if len(self.triples) + len(self._background.triples) > MAX_STATEMENTS:
            raise QueryFailed(f"queries run over at most {MAX_STATEMENTS:,} statements")
        known = {name: term for name, term in known.items() if name in query.names}
        self._refuse_swelling(query, known)
        texts = {name: written(term) or f"{_function(name)} ( )" for name, term in known.items()}
        exact = self._keeps or any(is_kept(kept(term)) for term in known.values())
        functions: dict[NamedNode, Callable[..., Term | None]] = dict(FUNCTIONS) if exact else {}
        functions |= {_function(name): partial(kept, term) for name, term in known.items() if written(term) is None}
        try:
            answer = self._background.store_for(self).query(query.bound(texts, exact=exact), custom_functions=functions)
            return _rows(answer) if isinstance(answer, QuerySolutions) else bool(answer)
        except (SyntaxError, RuntimeError, OSError, ValueError) as error:
            raise QueryFailed(f"the query failed: {error}") from error

    def _refuse_swelling(self, query: Query, known: Mapping[str, Term]) -> None:
        if query.growth > 1 or query.power:
            texts = (*query.strings, *(term.value for term in known.values()))
            longest = max(self.longest, *map(len, texts), 1)
            if query.growth * longest ** (query.power + 1) > MAX_TEXT:
                raise QueryFailed("the query joins texts over and over, and one in the data is too long for that")

    @cached_property
    def _keeps(self) -> bool:
        return self._background.keeps or any(is_kept(kept(triple.object)) for triple in self.triples)

    @cached_property
    def longest(self) -> int:
        """The length of the longest text in a statement."""
        ends = (end for t in (*self.triples, *self._background.triples) for end in (t.subject, t.object))
        return max((len(end.value) for end in ends), default=0)


_STRING = NamedNode(XSD + "string")


def _rows(answer: QuerySolutions) -> Iterator[Mapping[str, Term]]:
    names = [variable.value for variable in answer.variables]
    try:
        for count, solution in enumerate(answer):
            if count == MAX_ROWS:
                raise QueryFailed(f"the query has more than {MAX_ROWS:,} solutions at one focus node")
            yield {name: original(term) for name in names if (term := solution[name]) is not None}
    except (RuntimeError, OSError, ValueError) as error:
        raise QueryFailed(f"the query failed: {error}") from error


def _function(name: str) -> NamedNode:
    return NamedNode(f"urn:fairmesh:bound:{name}")


# -- constraints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Constraint:
    """A query of one shape, what is bound whatever the focus node, and its messages."""

    component: str
    query: Query
    path: str | None
    fixed: Mapping[str, Term]
    messages: tuple[Literal, ...]


class _Select(_Constraint):
    """A SELECT: each solution is a violation (SHACL, sections 5.3.2 and 6.2.4)."""

    __slots__ = ()

    def find(self, data: Data, focus: Term, values: Sequence[Term]) -> Iterator[Found]:
        rows = data.solve(self.query, {"this": focus, **self.fixed})
        assert not isinstance(rows, bool)
        for row in rows:
            if _is_true(row.get("failure")):
                raise QueryFailed("the query reports a failure")
            value, path, message = row.get("value"), row.get("path"), row.get("message")
            value = value or (focus if self.path is None else None)
            said = {"this": focus, **self.fixed, **row} | ({"value": value} if value else {})
            yield Found(
                value,
                path.value if isinstance(path, NamedNode) else self.path,
                (message,) if isinstance(message, Literal) else _filled(self.messages, said, self.path),
            )


class _Ask(_Constraint):
    """An ASK: each value node it denies is a violation (SHACL, section 6.2.4)."""

    __slots__ = ()

    def find(self, data: Data, focus: Term, values: Sequence[Term]) -> Iterator[Found]:
        for value in values:
            known = {"this": focus, "value": value, **self.fixed}
            if not data.solve(self.query, known):
                yield Found(value, self.path, _filled(self.messages, known, self.path))


Constraint = _Select | _Ask
"""A compiled constraint of one shape: `component` is the IRI for `Result.component`; `find(data, focus, values)` gives
the violations at one focus node with these value nodes (in a node shape: itself) and raises `QueryFailed`."""


def _is_true(term: Term | None) -> bool:
    return isinstance(term, Literal) and term.datatype.value == XSD + "boolean" and term.value in ("true", "1")


_PLACEHOLDER = re.compile(r"\{[?$](\w+)\}")


def _filled(templates: tuple[Literal, ...], said: Mapping[str, Term], path: str | None) -> tuple[Literal, ...]:
    """Messages with `{?name}` and `{$name}` replaced by what the variable is bound to, where it is."""

    def shown(match: re.Match[str]) -> str:
        if match[1] == "PATH" and path is not None:
            return path
        term = said.get(match[1])
        return match[0] if term is None else str(term) if isinstance(term, BlankNode) else term.value

    return tuple(
        Literal(_PLACEHOLDER.sub(shown, template.value), language=template.language)
        if template.language
        else Literal(_PLACEHOLDER.sub(shown, template.value))
        for template in templates
    )


# -- compiling --------------------------------------------------------------------------------------------------------


def constraint(shapes: Statements, shape: Node, node: Term, path: str | None) -> Constraint | None:
    """The value `node` of `sh:sparql` at `shape`, ready to run; None when it is deactivated.

    `path` is the path of a property shape as in `Result.path`, None in a node shape. Raises `InputError` (code
    `rule-set`; `iri` is the shape, line and column count in the query) for what the standard or `sparqltext.read`
    refuses, `Unsupported` for `$shapesGraph`.
    """
    if isinstance(node, Literal):
        _ill_formed(shape, f"sh:sparql {node}: a constraint is no literal", "Write sh:sparql [ sh:select ... ]")
    if any(_is_true(value) for value in _terms(shapes, node, "deactivated")):
        return None
    text = _text(shapes, shape, node, "select")
    query = _query(shapes, shape, node, text, "SELECT", path, {})
    return _Select(SH + "SPARQLConstraintComponent", query, path, *_said(shapes, shape, node, query, {}, ()))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a component: `name` is the variable its value is bound to."""

    path: NamedNode
    name: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Component:
    """A declared `sh:ConstraintComponent` (SHACL, section 6.2): its validators by the property that names them."""

    iri: NamedNode
    parameters: tuple[Parameter, ...]
    validators: Mapping[str, tuple[Node, ...]]
    messages: tuple[Literal, ...] = field(default=())

    def validators_at(self, path: str | None) -> tuple[Node, ...]:
        """Those for a property shape with this path, for a node shape where it is None (SHACL, section 6.2.3)."""
        own = self.validators["nodeValidator" if path is None else "propertyValidator"]
        return own or self.validators["validator"]


def components(shapes: Statements) -> Mapping[NamedNode, Component]:
    """The constraint components the shapes graph declares, by IRI, those of SHACL itself left out.

    Raises `InputError` (code `rule-set`) for ill-formed ones.
    """
    classes = _subclasses(shapes, NamedNode(SH + "ConstraintComponent"))
    nodes = {node for kind in classes for node in shapes.subjects(NamedNode(RDF + "type"), kind)}
    named = (node for node in sorted(nodes, key=str) if not str(node).startswith("<" + SH))
    return {component.iri: component for component in (_component(shapes, node) for node in named)}


def _subclasses(shapes: Statements, kind: NamedNode) -> list[Node]:
    found: list[Node] = [kind]
    for above in found:  # grows meanwhile
        found += (node for node in shapes.subjects(NamedNode(RDFS + "subClassOf"), above) if node not in found)
    return found


def _component(shapes: Statements, node: Node) -> Component:
    if not isinstance(node, NamedNode):
        _ill_formed(node, "a constraint component without an IRI", "Give it one")
    parameters = tuple(
        sorted((_parameter(shapes, node, one) for one in _terms(shapes, node, "parameter")), key=lambda one: one.name)
    )
    if all(one.optional for one in parameters):
        _ill_formed(node, "a constraint component without a mandatory parameter", "Declare one with sh:parameter")
    if len({one.name for one in parameters}) < len(parameters):
        _ill_formed(node, "two parameters of one name", "Parameters need different local names")
    names = ("nodeValidator", "propertyValidator", "validator")
    validators = {name: tuple(sorted(map(_node, _terms(shapes, node, name)), key=str)) for name in names}
    return Component(node, parameters, validators, _messages(shapes, node, node))


def _node(term: Term) -> Node:
    if isinstance(term, Literal):
        raise InputError(f"{term} is no validator", code="rule-set", remedy="Write [ sh:ask ... ] or [ sh:select ... ]")
    return term


_LOCAL_NAME = re.compile(r"[^\W\d][\w.\u00b7-]*\Z")
_NIL = NamedNode(RDF + "nil")
_RESERVED = frozenset(("this", "shapesGraph", "currentShape", "path", "PATH", "value"))


def _parameter(shapes: Statements, component: NamedNode, node: Term) -> Parameter:
    paths = () if isinstance(node, Literal) else _terms(shapes, node, "path")
    if len(paths) != 1 or not isinstance(paths[0], NamedNode) or paths[0] == _NIL or isinstance(node, Literal):
        _ill_formed(component, f"the parameter {node} has no IRI as its one sh:path", "sh:path names the property")
    local = _LOCAL_NAME.search(paths[0].value)
    name = local[0] if local else ""
    if name in _RESERVED or not is_variable_name(name):
        _ill_formed(component, f"{paths[0]} cannot be a parameter: {name!r} is no free variable name", "Rename it")
    return Parameter(paths[0], name, any(_is_true(value) for value in _terms(shapes, node, "optional")))


def uses(
    shapes: Statements, shape: Node, declared: Mapping[NamedNode, Component], path: str | None
) -> list[Constraint]:
    """The constraints a shape makes by having values for all mandatory parameters of declared components.

    A component without a validator for this kind of shape makes none (SHACL, section 6.2.3). `path` and what is raised
    are as in `constraint`; `Unsupported` names validators in other languages too.
    """
    made = (
        _used(shapes, shape, component, values, path)
        for component in declared.values()
        for values in _parameter_values(shapes, shape, component)
    )
    return [constraint for constraint in made if constraint]


def _parameter_values(shapes: Statements, shape: Node, component: Component) -> Iterator[dict[str, Term]]:
    values = {one.name: shapes.objects(shape, one.path) for one in component.parameters}
    if any(not values[one.name] for one in component.parameters if not one.optional):
        return
    if len(values) == 1:
        ((name, all_values),) = values.items()
        yield from ({name: value} for value in sorted(all_values, key=str))
        return
    for name, several in values.items():
        if len(several) > 1:
            _ill_formed(shape, f"several values for {name} of {component.iri}", "State one; use sh:and for more")
    yield {name: several[0] for name, several in values.items() if several}


def _used(
    shapes: Statements, shape: Node, component: Component, values: dict[str, Term], path: str | None
) -> Constraint | None:
    validators = component.validators_at(path)
    if not validators:
        return None
    for node in validators:
        asks, selects = _terms(shapes, node, "ask"), _terms(shapes, node, "select")
        if asks and selects:
            _ill_formed(shape, f"a validator of {component.iri} has sh:ask and sh:select", "State one of them")
        if not asks and not selects:
            continue
        text = _text(shapes, shape, node, "ask" if asks else "select")
        bound = {one.name: values.get(one.name) for one in component.parameters}
        query = _query(shapes, shape, node, text, "ASK" if asks else "SELECT", path, bound)
        kind = _Ask if asks else _Select
        said = _said(shapes, shape, node, query, values, component.messages)
        return kind(component.iri.value, query, path, *said)
    raise Unsupported("sh:validator without sh:ask or sh:select", shape)


def _query(
    shapes: Statements, shape: Node, node: Node, text: str, form: Form, path: str | None,
    parameters: Mapping[str, Term | None],
) -> Query:  # fmt: skip
    bound = {"this", "shapesGraph", "currentShape", *parameters} | ({"value"} if form == "ASK" else set())
    prefixes = _prefixes(shapes, shape, node)
    try:
        query = read(text, form, prefixes=prefixes, bound=bound, path=path)
        if path is not None and "<" not in path:  # an inverse path can be nothing but a predicate
            _parsed(read(text, form, prefixes=prefixes, bound=bound, path=f"^<{path}>"))
        _parsed(query)
    except InputError as error:
        error.iri = shape.value if isinstance(shape, NamedNode) else None
        raise
    if "shapesGraph" in query.names:
        raise Unsupported("$shapesGraph", shape)
    return query


_POSITION = re.compile(r"error at (\d+):(\d+): ")


def _parsed(query: Query) -> None:
    """Let the engine read it, over nothing."""
    try:
        Store().query(query.bound({}))
        Store().query(query.bound({}, exact=True), custom_functions=FUNCTIONS)
    except SyntaxError as error:
        found = _POSITION.match(str(error))
        line, column = query.place(int(found[2])) if found else (None, None)
        raise InputError(
            "the query is no SPARQL 1.1 from here on", code="rule-set", line=line, column=column, remedy="Mend it"
        ) from error
    except RuntimeError as error:
        remedy = "Use the functions of SPARQL 1.1 only"
        raise InputError(f"the query cannot be run: {error}", code="rule-set", remedy=remedy) from error


def _said(
    shapes: Statements, shape: Node, node: Node, query: Query, values: Mapping[str, Term],
    otherwise: tuple[Literal, ...],
) -> tuple[Mapping[str, Term], tuple[Literal, ...]]:  # fmt: skip
    """What is bound whatever the focus node, and the messages."""
    fixed = {**values, "currentShape": shape} if "currentShape" in query.names else values
    return fixed, _messages(shapes, shape, node) or otherwise


def _messages(shapes: Statements, shape: Node, node: Node) -> tuple[Literal, ...]:
    found = _terms(shapes, node, "message")
    texts = [one for one in found if isinstance(one, Literal) and (one.language or one.datatype == _STRING)]
    if len(texts) < len(found):
        _ill_formed(shape, "a sh:message that is no text", "Write it as a string")
    return tuple(sorted(texts, key=str))


def _text(shapes: Statements, shape: Node, node: Node, name: str) -> str:
    texts = _terms(shapes, node, name)
    if len(texts) != 1 or not isinstance(texts[0], Literal) or texts[0].datatype != _STRING:
        _ill_formed(shape, f"{len(texts)} values of sh:{name}, or none that is a string", f"State one sh:{name}")
    return texts[0].value


def _prefixes(shapes: Statements, shape: Node, node: Node) -> dict[str, str]:
    """What `sh:prefixes` declares, imported ontologies included (SHACL, section 5.2.1)."""
    ontologies = list(_terms(shapes, node, "prefixes"))
    for ontology in ontologies:  # grows meanwhile
        if not isinstance(ontology, Literal):
            imported = shapes.objects(ontology, NamedNode(OWL + "imports"))
            ontologies += (other for other in imported if other not in ontologies)
    found: dict[str, str] = {}
    for declaration in (one for node in ontologies for one in _terms(shapes, node, "declare")):
        names, namespaces = (_terms(shapes, declaration, name) for name in ("prefix", "namespace"))
        if len(names) != 1 or len(namespaces) != 1:
            _ill_formed(shape, "a sh:declare without one sh:prefix and one sh:namespace", "State both")
        prefix, namespace = names[0].value, namespaces[0].value
        if found.setdefault(prefix, namespace) != namespace:
            _ill_formed(shape, f"the prefix {prefix}: is declared twice, differently", "Keep one declaration")
    return found


def _terms(shapes: Statements, subject: Term, name: str) -> Sequence[Term]:
    return () if isinstance(subject, Literal) else shapes.objects(subject, NamedNode(SH + name))


def _ill_formed(shape: Node, message: str, remedy: str) -> NoReturn:
    iri = shape.value if isinstance(shape, NamedNode) else None
    raise InputError(message, code="rule-set", iri=iri, remedy=remedy)
