"""The reference engine: pyshacl, which alone is imported here (with rdflib), kept warm and made terse.

Shapes are read once: pyshacl reads a shape's constraints again for every focus node. SHACL-SPARQL constraints and
components run on rdflib's SPARQL engine; nothing in a query may lead out of the data of the run. Advanced features
(rules, functions, SPARQL targets) stay off: targets and constraints of these kinds are refused by name.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import rdflib
from pyshacl.constraints import CONSTRAINT_PARAMETERS_MAP
from pyshacl.constraints.core.other_constraints import ClosedConstraintComponent
from pyshacl.constraints.sparql.sparql_based_constraint_components import (
    AskConstraintValidator,
    BoundShapeValidatorComponent,
    SPARQLConstraintComponentValidator,
)
from pyshacl.constraints.sparql.sparql_based_constraints import SPARQLBasedConstraint
from pyshacl.errors import (
    ConstraintLoadError,
    ConstraintLoadWarning,
    ReportableRuntimeError,
    ShapeLoadError,
    ValidationFailure,
)
from pyshacl.pytypes import SHACLExecutor
from pyshacl.shape import Shape
from pyshacl.shapes_graph import ShapesGraph
from rdflib.plugins.sparql import prepareQuery
from rdflib.plugins.stores.memory import SimpleMemory

from fairmesh.catalog import lexical, rdf
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.shacl.paths import Shapes
from fairmesh.catalog.shacl.results import Failed, Node, Outcome, Result, Term, Unsupported
from fairmesh.catalog.shacl.syntax import REFUSED
from fairmesh.catalog.triples import Index

_SH = rdf.PREFIXES["sh"]
_XSD = rdf.PREFIXES["xsd"]
_TYPE = rdf.PREFIXES["rdf"] + "type"
_SUBCLASS = rdf.PREFIXES["rdfs"] + "subClassOf"

_engine = threading.RLock()
"""pyshacl and rdflib keep state per process; one thread at a time uses them."""

_ENGINE_ERRORS = (
    ShapeLoadError, ConstraintLoadError, ConstraintLoadWarning, ReportableRuntimeError, ValidationFailure,
    ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RuntimeError, re.error,
)  # fmt: skip
"""What pyshacl and rdflib raise on shapes they cannot work with, on purpose or by oversight."""

# An ill-typed literal is a finding of a rule, not a warning with a traceback on stderr.
logging.getLogger("rdflib.term").setLevel(logging.ERROR)


# -- terms and graphs -------------------------------------------------------------------------------------------------


class _Graph(rdflib.Graph):
    """A plain graph whose truth is not its length, which pyshacl asks for all the time and counting takes long."""

    def __bool__(self) -> bool:
        return True


class _Terms(dict[Any, Any]):
    """rdflib's terms by pyoxigraph's, made on first use. Lexical forms and blank node labels stay as they are."""

    def __missing__(self, term: Term) -> Any:
        made: Any
        if isinstance(term, NamedNode):
            made = rdflib.URIRef(term.value)
        elif isinstance(term, BlankNode):
            made = rdflib.BNode(term.value)
        elif term.language is not None:
            made = rdflib.Literal(term.value, lang=term.language)
        elif term.datatype.value == _XSD + "string":
            made = rdflib.Literal(term.value)  # rdflib holds "x" and "x"^^xsd:string for two
        elif lexical.well_formed(term):
            made = rdflib.Literal(term.value, datatype=self[term.datatype], normalize=False)
            if str(made) != term.value:  # rdflib takes the white space out of xsd:token and xsd:normalizedString
                made = _ill_typed(term.value, self[term.datatype])
        else:
            made = _ill_typed(term.value, self[term.datatype])
        self[term] = made
        return made

    def graph(self, triples: Iterable[Triple]) -> rdflib.Graph:
        graph = _Graph(SimpleMemory())
        add = graph.store.add
        for triple in triples:
            add((self[triple.subject], self[triple.predicate], self[triple.object]), graph)
        return graph


def _ill_typed(text: str, datatype: Any) -> Any:
    """A literal that rdflib knows for ill-typed; its own parsers let `"1_000"^^xsd:integer` and more pass."""
    literal: Any = rdflib.Literal(text)
    literal._datatype, literal._value, literal._ill_typed = datatype, None, True
    return literal


def _oxigraph(term: Any) -> Term:
    if isinstance(term, rdflib.URIRef):
        return NamedNode(str(term))
    if isinstance(term, rdflib.BNode):
        return BlankNode(str(term))
    if term.language is not None:
        return Literal(str(term), language=term.language)
    return Literal(str(term), datatype=None if term.datatype is None else NamedNode(str(term.datatype)))


# -- constraints ------------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """A validation result in rdflib's terms, in place of pyshacl's triples."""

    shape: Shape
    component: Any
    focus: Any
    value: Any
    path: Any
    messages: tuple[Any, ...]


_Report = tuple[str, _Found, list[Any]]
"""What pyshacl passes around: text, node and triples of a result; the node is ours, the others stay empty."""


class _Terse:
    """Answers `_Found` in place of triples and of the texts pyshacl composes for results, thrown away ones included."""

    shape: Any
    shacl_constraint_component: Any

    def make_v_result(
        self,
        datagraph: Any,
        focus_node: Any,
        value_node: Any = None,
        result_path: Any = None,
        constraint_component: Any = None,
    ) -> _Report:
        path = self.shape.path() if result_path is None else result_path
        component = constraint_component or self.shacl_constraint_component
        return "", _Found(self.shape, component, focus_node, value_node, path, tuple(self.shape.message)), []


class _BadQuery(ValueError):
    """A query that may not be asked, or that says itself that it failed."""


class _Closed(_Terse, ClosedConstraintComponent):  # type: ignore[misc]
    """Never minds the predicates the engine was told to ignore."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.ignored_props.update(shape.sg.ignored)  # type: ignore[attr-defined]


class _Sparql(_Terse, SPARQLBasedConstraint):  # type: ignore[misc]
    """`sh:sparql`: each solution is one result (SHACL, section 5.3)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        for helper in self.sparql_constraints:
            _make_ready(helper)

    def evaluate(
        self, executor: Any, target_graph: Any, focus_value_nodes: Mapping[Any, Any], _evaluation_path: list[Any]
    ) -> tuple[bool, list[Any]]:
        reports: list[_Report] = [
            ("", _selected(self, row, focus, {}, helper.unbound_messages), [])
            for helper in self.sparql_constraints
            if not helper.deactivated
            for focus in focus_value_nodes
            for row in _solutions(target_graph, *_query(helper, focus))
        ]
        return not reports, reports


class _Custom(_Terse, BoundShapeValidatorComponent):  # type: ignore[misc]
    """A SPARQL-based constraint component at one shape (SHACL, section 6.3)."""

    def __init__(self, constraint: Any, shape: Shape, validator: Any, parameters: Mapping[str, Any]) -> None:
        super().__init__(constraint, shape, validator)
        self.query_helper.param_bind_map = dict(parameters)
        self._asks = isinstance(validator, AskConstraintValidator)
        _make_ready(self.query_helper, rdflib.Literal("x") if self._asks else None)

    def evaluate(
        self, executor: Any, target_graph: Any, focus_value_nodes: Mapping[Any, Any], _evaluation_path: list[Any]
    ) -> tuple[bool, list[Any]]:
        helper, said = self.query_helper, self.validator.messages
        reports: list[Any] = []
        for focus, values in focus_value_nodes.items():
            if self._asks:
                for value in values:
                    query, bindings = _query(helper, focus, value)
                    if not target_graph.query(query, initBindings=bindings).askAnswer:
                        known = {**helper.param_bind_map, "this": focus, "value": value}
                        messages = _messages(self.shape, said, known)
                        path = self.shape.path()
                        reports.append(("", _Found(self.shape, self.constraint.node, focus, value, path, messages), []))
            else:
                for row in _solutions(target_graph, *_query(helper, focus)):
                    found = _selected(self, row, focus, helper.param_bind_map, said)
                    reports.append(("", found._replace(component=self.constraint.node), []))
        return not reports, reports


def _make_ready(helper: Any, value: Any = None) -> None:
    """Give a query the prefixes declared for it (SHACL, section 5.2.1) and prepare it once: a bad one raises.

    `value` is any term for a query that gets one.
    """
    graph = helper.shape.sg.graph
    groups = set(graph.objects(helper.node, rdflib.SH.prefixes))
    waiting = list(groups)
    while waiting:
        found = set(graph.objects(waiting.pop(), rdflib.OWL.imports)) - groups
        groups |= found
        waiting += found
    helper.prefixes = {
        str(graph.value(declared, rdflib.SH.prefix)): str(graph.value(declared, rdflib.SH.namespace))
        for group in sorted(groups)
        for declared in graph.objects(group, rdflib.SH.declare)
    }
    _query(helper, rdflib.URIRef("x:x"), value)


def _query(helper: Any, focus: Any, value: Any = None) -> tuple[Any, dict[str, Any]]:
    """The query of a constraint and what its variables are bound to before it runs."""
    parameters = helper.param_bind_map
    bindings, text = helper.pre_bind_variables(focus, valuenode=value, extravars=parameters.keys())
    bound = {**parameters, **bindings, "this": focus}
    return _prepared(helper.apply_prefixes(text)), bound if value is None else {**bound, "value": value}


def _solutions(data: Any, query: Any, bindings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a SELECT query finds, as pyshacl has it: equal solutions are one.

    Raises `_BadQuery` when a solution says so with `?failure`.
    """
    rows = (row.asdict() for row in data.query(query, initBindings=bindings))
    found = list({frozenset(row.items()): row for row in rows}.values())
    if any(getattr(row.get("failure"), "value", None) is True for row in found):
        raise _BadQuery("the query reports a failure")
    return found


def _selected(
    constraint: _Terse, row: Mapping[str, Any], focus: Any, parameters: Mapping[str, Any], said: Any
) -> _Found:
    """The result a solution stands for (SHACL, section 5.3.2)."""
    shape = constraint.shape
    value = row.get("value", None if shape.is_property_shape else focus)
    path = row["path"] if isinstance(row.get("path"), rdflib.URIRef) else shape.path()
    known = {**parameters, "this": focus, "value": value, **row}
    messages = _messages(shape, [row["message"]] if "message" in row else said, known)
    return _Found(shape, constraint.shacl_constraint_component, row.get("this", focus), value, path, messages)


def _messages(shape: Shape, said: Iterable[Any], variables: Mapping[str, Any]) -> tuple[Any, ...]:
    """The shape's own messages; when it has none the constraint's, `{$name}` and `{?name}` replaced by their values."""
    own = tuple(shape.message)
    return own or tuple(
        rdflib.Literal(
            re.sub(r"\{[?$](\w+)\}", lambda found: str(variables.get(found[1], found[0])), str(message)),
            lang=message.language,
        )
        for message in said or ()
    )


@functools.lru_cache(maxsize=1000)
def _prepared(text: str) -> Any:
    """A parsed query that stays inside the data it is asked of. Raises `_BadQuery` for others."""
    try:
        query: Any = prepareQuery(text)
    except Exception as error:  # rdflib raises plain ones too
        raise _BadQuery(f"the query cannot be parsed: {error}") from error
    waiting: list[Any] = [query.algebra]
    while waiting:
        part = waiting.pop()
        if getattr(part, "name", None) in ("ServiceGraphPattern", "Graph"):
            raise _BadQuery("a query may not use SERVICE or GRAPH")
        if isinstance(part, dict):
            if dict.get(part, "datasetClause"):
                raise _BadQuery("a query may not use FROM")
            waiting += part.values()
        elif isinstance(part, (list, tuple, set)):
            waiting += part
    return query


_CONSTRAINTS: Mapping[Any, Any] = {
    parameter: {ClosedConstraintComponent: _Closed, SPARQLBasedConstraint: _Sparql}.get(kind)
    or type(kind.__name__, (_Terse, kind), {})
    for parameter, kind in CONSTRAINT_PARAMETERS_MAP.items()
}


# -- shapes -----------------------------------------------------------------------------------------------------------


class _WarmGraph(ShapesGraph):
    """A shapes graph that knows which predicates `sh:closed` never minds."""

    def __init__(self, graph: rdflib.Graph, ignored: frozenset[Any]) -> None:
        super().__init__(graph)
        self.ignored = ignored


class _WarmShape(Shape):
    """A shape that keeps its constraints: pyshacl reads them from the shapes graph again for every focus node."""

    __slots__ = ("_constraints",)

    def constraints(self) -> list[Any]:
        """Its constraints, read once."""
        if not hasattr(self, "_constraints"):
            parameters = sorted(set(self.sg.graph.predicates(self.node)) & _CONSTRAINTS.keys(), key=str)
            kinds = {CONSTRAINT_PARAMETERS_MAP[parameter]: _CONSTRAINTS[parameter] for parameter in parameters}
            self._constraints = list(self._custom())
            for kind in kinds.values():
                with suppress(ConstraintLoadWarning):  # qualified value shapes say nothing on a node shape
                    self._constraints.append(kind(self))
        return self._constraints

    def _custom(self) -> Iterator[_Custom]:
        components = sorted(self.find_custom_constraints(), key=lambda c: str(c.node))  # type: ignore[no-untyped-call]
        for component in components:
            own = component.property_validators if self.is_property_shape else component.node_validators
            if not own and not component.validators:
                continue  # pyshacl refuses it; a processor ignores the constraint (SHACL, section 6.2.3)
            bound = component.make_validator_for_shape(self)
            required = [parameter for parameter in component.parameters if not parameter.optional]
            known = bound.query_helper.param_bind_map
            if len(required) > 1:
                yield _Custom(component, self, bound.validator, known)
                continue
            (parameter,) = required  # each value of an only parameter makes a constraint of its own
            values = self.sg.objects(self.node, parameter.path())  # type: ignore[no-untyped-call]
            for value in sorted(set(values)):
                yield _Custom(component, self, bound.validator, {**known, parameter.localname: value})

    def validate(
        self, executor: Any, target_graph: Any, focus: Any = None, _evaluation_path: list[Any] | None = None
    ) -> tuple[bool, list[Any]]:
        """As the overridden method, for given focus nodes, without its debugging and SPARQL modes."""
        if self.deactivated:
            return True, []
        path = [*(_evaluation_path or ()), self]
        if len(path) > 2 * executor.max_validation_depth:
            raise ReportableRuntimeError("shapes are nested too deep")
        nodes = [focus] if isinstance(focus, rdflib.term.Identifier) else list(focus)
        values = self.value_nodes(target_graph, nodes)
        reports = []
        for constraint in self.constraints():
            _, found = constraint.evaluate(executor, target_graph, values, [*path, constraint])
            reports += found
        return not reports, reports


_FLAGS = frozenset(_SH + name for name in ("uniqueLang", "closed", "deactivated", "qualifiedValueShapesDisjoint"))
_ON, _OFF = (Literal(word, datatype=NamedNode(_XSD + "boolean")) for word in ("true", "false"))
_QUERIES = frozenset((_SH + "select", _SH + "ask"))


def _warm(triples: Sequence[Triple], terms: _Terms, ignored: Collection[str]) -> ShapesGraph:
    """A warm shapes graph. SHACL's flags are on when they are the term `true`, and no other spelling of it."""
    graph = _WarmGraph(
        terms.graph(
            Triple(t.subject, t.predicate, _OFF) if t.predicate.value in _FLAGS and t.object != _ON else t
            for t in triples
        ),
        frozenset(rdflib.URIRef(iri) for iri in ignored),
    )
    cache = graph._node_shape_cache
    for shape in list(graph.shapes):
        path = shape.path()
        cache[shape.node] = _WarmShape(graph, shape.node, p=shape.is_property_shape, path=path, logger=graph.logger)
    return graph


def _observable(background: Sequence[Triple], shapes: Sequence[Triple]) -> list[Triple]:
    """The background statements that the shapes can notice; the rest would only be carried along.

    Noticed are statements whose predicate the shapes name, class axioms, and types that are or lead to a class the
    shapes name. A closed shape and a query notice every predicate, and a path over `rdf:type` every type.
    """
    if any(triple.predicate.value == _SH + "closed" or triple.predicate.value in _QUERIES for triple in shapes):
        return list(background)
    named = {triple.object.value for triple in shapes if isinstance(triple.object, NamedNode)}
    above = Index(triple for triple in background if triple.predicate.value == _SUBCLASS)

    def matters(kind: object, seen: frozenset[object] = frozenset()) -> bool:
        wider = above.objects(kind, _SUBCLASS) if isinstance(kind, (NamedNode, BlankNode)) else ()
        return rdf.iri_of(kind) in named or any(matters(w, seen | {kind}) for w in wider if w not in seen)

    return [
        triple
        for triple in background
        if triple.predicate.value in named
        or triple.predicate.value == _SUBCLASS
        or (triple.predicate.value == _TYPE and matters(triple.object))
    ]


# -- the engine -------------------------------------------------------------------------------------------------------


_EXECUTOR = SHACLExecutor(max_validation_depth=32)


class Reference:
    """pyshacl as a `results.Engine`: the reference that the compiled engine is held against.

    `background` statements are data of every run; `ignored` are predicate IRIs that `sh:closed` never minds. Any
    number of threads may call `run`: they take turns, with those of every other `Reference`.

    Raises `InputError` (code `rule-set`) for shapes that cannot be used, and `Unsupported` for JavaScript, rules,
    node expressions and targets other than SHACL Core's.
    """

    name = "pyshacl"

    def __init__(
        self, shapes: Iterable[Triple], background: Iterable[Triple] = (), ignored: Collection[str] = ()
    ) -> None:
        triples = list(shapes)
        for triple in triples:
            if triple.predicate.value == _SH + "entailment":
                raise Unsupported("sh:entailment", triple.subject)
            for term in (triple.predicate, triple.object):
                if (iri := rdf.iri_of(term) or "") in REFUSED and not isinstance(triple.subject, Triple):
                    raise Unsupported(f"sh:{iri.removeprefix(_SH)}", triple.subject)
        self._terms = _Terms()
        self._paths: dict[Any, str | None] = {}
        self._background = _observable(list(background), triples)
        with _engine:
            try:
                self._graph = _warm(triples, self._terms, ignored)
            except _ENGINE_ERRORS as error:
                raise InputError(_first_line(error), remedy="Correct the shapes", code="rule-set") from error
            try:
                for shape in self._graph.shapes:
                    self._prepare(shape, triples)
            finally:
                # pyshacl keeps validators by the address of their graph, which the next graph may have again
                SPARQLConstraintComponentValidator.validator_cache.clear()
            self._targeted: dict[Node, Any] = {
                _node(shape.node): shape for shape in self._graph.shapes if any(map(list, shape.target()))
            }
            self._terms.graph(self._background)

    def _prepare(self, shape: Any, triples: Sequence[Triple]) -> None:
        """Read what there is to a shape, so that a bad one is known now and not when it first has a focus node."""
        try:
            shape.constraints()
            self._path(shape.path())
        except _ENGINE_ERRORS as error:
            problem = _first_line(error)
            raise Shapes(triples).refusal(_node(shape.node), problem, "Correct the shape") from error

    @property
    def roots(self) -> Collection[Node]:
        return self._targeted.keys()

    def run(
        self,
        data: Iterable[Triple],
        *,
        own: Callable[[Term], bool] | None = None,
        roots: Collection[Node] | None = None,
    ) -> Outcome:
        """As `results.Engine.run`. A shape that cannot be evaluated, for whatever reason, is in `failed`."""
        results: list[Result] = []
        failed: list[Failed] = []
        with _engine:
            terms = _Terms(self._terms)
            graph = terms.graph([*self._background, *data])
            for root, shape in self._targeted.items():
                if roots is None or root in roots:
                    try:
                        results += list(self._results(root, shape, graph, own))
                    except Exception as error:
                        failed.append(Failed(root, _first_line(error)))
        return Outcome(tuple(results), tuple(failed))

    def _results(
        self, root: Node, shape: Any, graph: rdflib.Graph, own: Callable[[Term], bool] | None
    ) -> Iterator[Result]:
        focus = [node for node in shape.focus_nodes(graph) if own is None or own(_oxigraph(node))]
        if not focus:
            return
        _, found = shape.validate(_EXECUTOR, graph, focus=focus)
        for _, result, _ in found:
            yield Result(
                _oxigraph(result.focus), self._path(result.path),
                None if result.value is None else _oxigraph(result.value), str(result.component),
                _node(result.shape.node), str(result.shape.severity),
                tuple(Literal(str(m), language=m.language) for m in result.messages), root,
            )  # fmt: skip

    def _path(self, node: Any) -> str | None:
        if node not in self._paths:
            plain = node is None or isinstance(node, rdflib.URIRef)
            text = node if plain else _unbracketed(_path_text(self._graph.graph, node))
            self._paths[node] = None if text is None else str(text)
        return self._paths[node]


def _path_text(graph: rdflib.Graph, node: Any) -> str:
    """A path as `Result.path` has it; pyshacl's own text leaves out the brackets of `(<a>*)+`, which SPARQL needs."""
    if isinstance(node, rdflib.URIRef):
        return f"<{node}>"
    if graph.value(node, rdflib.RDF.first) is not None:
        return "(" + " / ".join(_path_text(graph, part) for part in graph.items(node)) + ")"
    alternatives = graph.value(node, rdflib.SH.alternativePath)
    if alternatives is not None:
        return "(" + " | ".join(_path_text(graph, part) for part in graph.items(alternatives)) + ")"
    inverse = graph.value(node, rdflib.SH.inversePath)
    if inverse is not None:
        text = _path_text(graph, inverse)
        return f"^({text})" if text.startswith("^") else f"^{text}"
    form = next((form for form in _SUFFIXES if graph.value(node, form) is not None), None)
    if form is None:
        raise ValueError("sh:path leads to a node that is no path")
    text = _path_text(graph, graph.value(node, form))
    return (f"({text})" if text[-1] in "*+?" else text) + _SUFFIXES[form]


def _unbracketed(text: str) -> str:
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


_SUFFIXES = {rdflib.SH.zeroOrMorePath: "*", rdflib.SH.oneOrMorePath: "+", rdflib.SH.zeroOrOnePath: "?"}


def _first_line(error: Exception) -> str:
    """What pyshacl says of an error, without the address of the standard's section that it adds."""
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


def _node(term: Any) -> Node:
    return NamedNode(str(term)) if isinstance(term, rdflib.URIRef) else BlankNode(str(term))
