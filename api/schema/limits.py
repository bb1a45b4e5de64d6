"""What a GraphQL document may ask: bytes, tokens, depth, repetition and cost, all known before it runs.

Validation itself is quadratic in repeated fields and nested fragments multiply, so these limits come first, in one pass
that looks at every fragment once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    ValueNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

DEFAULT_PAGE = 20
UNSLICED = 5
"""Assumed length of a list that takes no slicing argument."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one operation; `Service.limits` publishes the first six."""

    max_depth: int = 20
    max_cost: int = 500_000
    max_tokens: int = 4_000
    max_page_size: int = 200
    max_lineage_depth: int = 100
    timeout_ms: int = 10_000
    max_query_bytes: int = 100_000
    max_fragments: int = 100
    max_repeats: int = 200
    """Fields that repeat a response name of their own selection set, in the whole document."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Cost of a field as its `@cost` directive publishes it."""

    weight: int
    slicing: tuple[str, ...] = ()


Weights = Mapping[tuple[str, str], Weight]
"""(type name, field name) -> weight; fields without one cost 1 when they have sub-fields and 0 when not."""


@dataclass(frozen=True, slots=True)
class Measure:
    """`sliced` tells whether the cost depends on the values of variables."""

    cost: int
    depth: int
    sliced: bool


class _Measurer:
    """One pass over one operation. Cycles of fragments count as nothing here: validation refuses them."""

    def __init__(
        self, schema: GraphQLSchema, weights: Weights, document: DocumentNode, variables: Mapping[str, object] | None
    ) -> None:
        self.schema = schema
        self.weights = weights
        self.variables = variables
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.defaults: dict[str, ValueNode | None] = {}
        self.known: dict[str, tuple[int, int]] = {}
        self.open: set[str] = set()
        self.sliced = False

    def operation(self, node: OperationDefinitionNode) -> Measure:
        self.defaults = {v.variable.name.value: v.default_value for v in node.variable_definitions or ()}
        cost, depth = self.selection(node.selection_set, self.schema.get_root_type(node.operation))
        return Measure(cost, depth, self.sliced)

    def selection(self, node: SelectionSetNode, parent: GraphQLNamedType | None) -> tuple[int, int]:
        """(cost, depth) of a selection set."""
        cost = depth = 0
        for item in node.selections:
            if isinstance(item, FieldNode):
                one = self.field(item, parent)
            elif isinstance(item, InlineFragmentNode):
                kind = self.schema.get_type(item.type_condition.name.value) if item.type_condition else parent
                one = self.selection(item.selection_set, kind)
            else:
                assert isinstance(item, FragmentSpreadNode)
                one = self.fragment(item.name.value)
            cost += one[0]
            depth = max(depth, one[1])
        return cost, depth

    def fragment(self, name: str) -> tuple[int, int]:
        fragment = self.fragments.get(name)
        if fragment is None or name in self.open:
            return 0, 0
        if name not in self.known:
            self.open.add(name)
            self.known[name] = self.selection(
                fragment.selection_set, self.schema.get_type(fragment.type_condition.name.value)
            )
            self.open.discard(name)
        return self.known[name]

    def field(self, node: FieldNode, parent: GraphQLNamedType | None) -> tuple[int, int]:
        definition = self.definition(node.name.value, parent)
        if definition is None or parent is None:  # an unknown field: validation says so
            inner = self.selection(node.selection_set, None) if node.selection_set else (0, 0)
            return inner[0], inner[1] + 1
        kind = get_named_type(definition.type)
        weight = self.weights.get((parent.name, node.name.value)) or Weight(0 if is_leaf_type(kind) else 1)
        size = self.size(node, parent, definition, weight)
        if node.selection_set is None:
            return weight.weight * size, 1
        cost, depth = self.selection(node.selection_set, kind)
        return size * (weight.weight + cost), depth + 1

    def definition(self, name: str, parent: GraphQLNamedType | None) -> GraphQLField | None:
        if parent is self.schema.query_type:
            meta = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}.get(name)
            if meta is not None:
                return meta
        if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            found: GraphQLField | None = parent.fields.get(name)
            return found
        return None

    def size(self, node: FieldNode, parent: GraphQLNamedType, definition: GraphQLField, weight: Weight) -> int:
        if weight.slicing:
            given = {a.name.value: self.number(a.value) for a in node.arguments or ()}
            asked = [given[name] for name in weight.slicing if given.get(name) is not None]
            defaults = [definition.args[name].default_value for name in weight.slicing if name in definition.args]
            default = next((d for d in defaults if isinstance(d, int)), DEFAULT_PAGE)
            return max(1, max((n for n in asked if n is not None), default=default))
        kind = definition.type.of_type if is_non_null_type(definition.type) else definition.type
        # what a connection lists was counted where it was sliced; introspection has rules of its own
        counted = parent.name.endswith("Connection") or parent.name.startswith("__") or node.selection_set is None
        return UNSLICED if is_list_type(kind) and not counted else 1

    def number(self, value: ValueNode) -> int | None:
        """The size an argument asks for: a number, or the length of a list."""
        if isinstance(value, VariableNode):
            self.sliced = True
            if self.variables is None:
                return 1
            name = value.name.value
            if name in self.variables:
                found = self.variables[name]
                if isinstance(found, list):
                    return len(found)
                return found if isinstance(found, int) and not isinstance(found, bool) else None
            default = self.defaults.get(name)
            return None if default is None or isinstance(default, VariableNode) else self.number(default)
        if isinstance(value, IntValueNode):
            return int(value.value[:12])
        return len(value.values) if isinstance(value, ListValueNode) else None


def measure(
    schema: GraphQLSchema,
    weights: Weights,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object] | None,
) -> Measure:
    """Cost and depth of an operation. While its variables are unknown (None), a size they give counts as one."""
    return _Measurer(schema, weights, document, variables).operation(operation)


def check_shape(document: DocumentNode, limits: Limits) -> None:
    """Refuse what would make validation itself slow. Raises `GraphQLError`."""
    fragments = sum(isinstance(d, FragmentDefinitionNode) for d in document.definitions)
    if fragments > limits.max_fragments:
        raise refusal(f"the document has {fragments} fragments; the limit is {limits.max_fragments}")
    repeats = sum(
        _repeats(d.selection_set)
        for d in document.definitions
        if isinstance(d, FragmentDefinitionNode | OperationDefinitionNode)
    )
    if repeats > limits.max_repeats:
        raise refusal(f"the document repeats fields {repeats} times; the limit is {limits.max_repeats}")


def _repeats(node: SelectionSetNode) -> int:
    names: set[str] = set()
    total = 0
    waiting = [node]
    while waiting:
        for item in waiting.pop().selections:
            if isinstance(item, InlineFragmentNode):
                waiting.append(item.selection_set)
            elif isinstance(item, FieldNode):
                name = item.alias.value if item.alias else item.name.value
                total += name in names
                names.add(name)
                total += _repeats(item.selection_set) if item.selection_set else 0
    return total


def check_measure(found: Measure, limits: Limits) -> None:
    """Raises `GraphQLError` for an operation that is too deep or too costly."""
    if found.depth > limits.max_depth:
        raise refusal(f"the operation is {found.depth} fields deep; the limit is {limits.max_depth}")
    if found.cost > limits.max_cost:
        raise refusal(
            f"the operation costs {found.cost}; the limit is {limits.max_cost}",
            remedy="Ask for smaller pages, or fewer lists inside lists",
        )


def refusal(message: str, *, remedy: str = "Split the operation") -> GraphQLError:
    """An operation over a limit, as a GraphQL error with code LIMIT."""
    return GraphQLError(f"{message}. {remedy}", extensions={"code": "LIMIT", "remedy": remedy})
