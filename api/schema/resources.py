"""Any node of the graph as GraphQL shows it: the Resource interface and what its fields answer.

Object types are light handles on IRIs that read from the operation's View when asked. Nothing here checks access: a
View shows only what its subject may see, so a handle that exists may be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import strawberry
from graphql import VariableNode
from strawberry import UNSET

from fairmesh.api.schema.inputs import IRI, JSON, Cost, LanguageTag, field, frozen, page
from fairmesh.api.schema.operation import Info
from fairmesh.catalog import errors, model
from fairmesh.catalog.model import Action, Direction
from fairmesh.catalog.rdf import PREFIXES, compact

T = TypeVar("T")
Langs = list[LanguageTag] | None


# -- terms, literals, people ------------------------------------------------------------------------------------------


@strawberry.type(description="A predicate or class, with its own documentation.")
class Term:
    iri: IRI

    @strawberry.field
    def curie(self) -> str:
        return compact(self.iri) or self.iri

    @strawberry.field
    def label(self, info: Info, lang: Langs = UNSET) -> str:
        return info.context.view.label(self.iri, lang or None)

    @strawberry.field
    def comment(self, info: Info, lang: Langs = UNSET) -> str | None:
        return info.context.view.description(self.iri, lang or None)

    @classmethod
    def all(cls, iris: Sequence[str]) -> list[Term]:
        return [cls(iri=IRI(iri)) for iri in iris]


_XSD = PREFIXES["xsd"]
_INTEGERS = frozenset(
    _XSD + name
    for name in (
        "integer", "long", "int", "short", "byte", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger",
        "negativeInteger", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte",
    )
)  # fmt: skip
_NUMBERS = _INTEGERS | {_XSD + name for name in ("decimal", "double", "float")}


@strawberry.type
class Literal:
    of: strawberry.Private[model.LiteralValue]

    @strawberry.field
    def lexical(self) -> str:
        return self.of.lexical

    @strawberry.field
    def datatype(self) -> IRI:
        return IRI(self.of.datatype)

    @strawberry.field
    def lang(self) -> LanguageTag | None:
        return LanguageTag(self.of.lang) if self.of.lang else None

    @field(name="int")
    def integer(self) -> int | None:
        if self.of.datatype not in _INTEGERS or len(self.of.lexical) > 12:
            return None
        value = _number(self.of.lexical, int)
        return value if value is not None and abs(value) < 2**31 else None  # GraphQL's Int has 32 bits

    @field(name="float")
    def number(self) -> float | None:
        if self.of.datatype not in _NUMBERS:
            return None
        value = _number(self.of.lexical, float)
        return value if value is not None and abs(value) < float("inf") else None

    @strawberry.field
    def boolean(self) -> bool | None:
        if self.of.datatype != _XSD + "boolean":
            return None
        return {"true": True, "1": True, "false": False, "0": False}.get(self.of.lexical)

    @strawberry.field
    def date_time(self) -> datetime | None:
        if self.of.datatype not in (_XSD + "dateTime", _XSD + "dateTimeStamp"):
            return None
        time = _number(self.of.lexical, datetime.fromisoformat)
        return time if time is not None and time.tzinfo is not None else None


def _number(text: str, read: Any) -> Any:
    try:
        return read(text)
    except (ValueError, OverflowError):
        return None


@strawberry.type
class Party:
    at: strawberry.Private[str]

    @strawberry.field
    def iri(self) -> IRI | None:
        return IRI(self.at)

    @strawberry.field
    def label(self, info: Info, lang: Langs = UNSET) -> str:
        return info.context.view.label(self.at, lang or None)

    @strawberry.field
    def email(self, info: Info) -> str | None:
        return info.context.view.email(self.at)

    @classmethod
    def maybe(cls, iri: str | None) -> Party | None:
        return cls(at=iri) if iri else None


# -- pages ------------------------------------------------------------------------------------------------------------


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Paged(Generic[T]):
    """What every connection has; not published itself."""

    page: strawberry.Private[model.Page[T]]

    @strawberry.field
    def page_info(self) -> PageInfo:
        cursors = self.page.cursors
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )

    def rows(self) -> Iterator[tuple[str, T]]:
        return zip(self.page.cursors, self.page.items, strict=True)


@strawberry.type
class Counted(Paged[T]):
    @strawberry.field
    def total_count(self) -> int:
        return self.page.total


# -- any resource -----------------------------------------------------------------------------------------------------


@strawberry.interface
class Node:
    letter: ClassVar[str] = "r"
    at: strawberry.Private[str]

    @field(description="Opaque, stable global id; never parse it.")
    def id(self, info: Info) -> strawberry.ID:
        return info.context.id(self.letter, self.at)


@strawberry.type
class Property:
    predicate: Term
    value: Literal

    @classmethod
    def of(cls, found: model.PropertyValue) -> Property:
        return cls(predicate=Term(iri=IRI(found.predicate)), value=Literal(of=found.value))


@strawberry.type
class PropertyEdge:
    cursor: str
    node: Property


@strawberry.type
class PropertyConnection(Counted[model.PropertyValue]):
    @strawberry.field
    def edges(self) -> list[PropertyEdge]:
        return [PropertyEdge(cursor=cursor, node=Property.of(found)) for cursor, found in self.rows()]

    @strawberry.field
    def nodes(self) -> list[Property]:
        return [Property.of(found) for found in self.page.items]


@strawberry.type(description="The statement itself: predicate, way, where it was said and by whom.")
class RelationEdge:
    cursor: str
    of: strawberry.Private[model.Relation]

    @strawberry.field
    def predicate(self) -> Term:
        return Term(iri=IRI(self.of.predicate))

    @strawberry.field
    def direction(self) -> Direction:
        return self.of.direction

    @strawberry.field
    def node(self, info: Info) -> Resource:
        return resource(info, self.of.node)

    @strawberry.field
    def inferred(self) -> bool:
        return False  # only what documents and vocabularies state is stored

    @strawberry.field
    def stated_in(self) -> IRI | None:
        return IRI(self.of.stated_in) if self.of.stated_in else None

    @strawberry.field
    def stated_by(self) -> Party | None:
        return Party.maybe(self.of.stated_by)


@strawberry.type
class RelationConnection(Counted[model.Relation]):
    @strawberry.field
    def edges(self) -> list[RelationEdge]:
        return [RelationEdge(cursor=cursor, of=found) for cursor, found in self.rows()]

    @strawberry.field
    def nodes(self, info: Info) -> list[Resource]:
        return [resource(info, found.node) for found in self.page.items]


@strawberry.type
class RelationSummary:
    predicate: Term
    direction: Direction
    count: int
    target_types: list[Term]


@strawberry.type
class Obligation:
    kind: str
    detail: JSON | None


@strawberry.type
class Decision:
    action: Action
    allowed: bool
    reasons: list[str]
    obligations: list[Obligation]
    policy: str
    revision: str

    @classmethod
    def of(cls, decision: model.Decision) -> Decision:
        due = decision.obligations
        details: Mapping[str, object] = {
            "mask_columns": list(due.mask_columns),
            "hide_fields": list(due.hide_fields),
            "row_filter": due.row_filter,
        }
        return cls(
            action=decision.action,
            allowed=decision.allowed,
            reasons=list(decision.reasons),
            obligations=[Obligation(kind=kind, detail=JSON(detail)) for kind, detail in details.items() if detail],
            policy=decision.policy,
            revision=decision.revision,
        )


@strawberry.interface(
    description="Every IRI the caller may see. A type the schema does not know is an UntypedResource, never a bare id."
)
class Resource(Node):
    @strawberry.field
    def iri(self) -> IRI:
        return IRI(self.at)

    @field(description="Compact form (dcat:Dataset).")
    def curie(self) -> str | None:
        return compact(self.at)

    @field(description="All rdf:type values.")
    def types(self, info: Info) -> list[Term]:
        return Term.all(info.context.view.types(self.at))

    @field(description="Best label for the languages asked for, never null (falls back to the IRI's last segment).")
    def label(self, info: Info, lang: Langs = UNSET) -> str:
        return info.context.view.label(self.at, lang or None)

    @strawberry.field
    def description(self, info: Info, lang: Langs = UNSET) -> str | None:
        return info.context.view.description(self.at, lang or None)

    @field(description="Literal-valued statements, of any predicate.", cost=Cost(weight=1, slicing=["first"]))
    def properties(
        self,
        info: Info,
        predicates: list[IRI] | None = UNSET,
        lang: Langs = UNSET,
        first: int | None = 20,
        after: str | None = UNSET,
    ) -> PropertyConnection:
        asked = page(first, after)
        found = info.context.view.properties(self.at, predicates=frozen(predicates), langs=lang or None, page=asked)
        return PropertyConnection(page=found)

    @field(
        description="Resource-valued statements, of any predicate, both ways.",
        cost=Cost(weight=2, slicing=["first"]),
    )
    def relations(
        self,
        info: Info,
        predicates: list[IRI] | None = UNSET,
        direction: Direction | None = Direction.OUT,
        target_types: list[IRI] | None = UNSET,
        first: int | None = 20,
        after: str | None = UNSET,
    ) -> RelationConnection:
        found = info.context.view.relations(
            self.at,
            predicates=frozen(predicates),
            direction=direction or Direction.OUT,
            target_types=frozen(target_types),
            page=page(first, after),
        )
        return RelationConnection(page=found)

    @field(description="Predicates present on this node with counts: what a portal needs to draw 'expand' buttons.")
    def relation_summary(self, info: Info, direction: Direction | None = Direction.BOTH) -> list[RelationSummary]:
        return [
            RelationSummary(
                predicate=Term(iri=IRI(found.predicate)),
                direction=found.direction,
                count=found.count,
                target_types=Term.all(found.target_types),
            )
            for found in info.context.view.relation_summary(self.at, direction or Direction.BOTH)
        ]

    @field(description="What the caller may do here, and why not.", cost=Cost(weight=2))
    def viewer_can(self, info: Info, actions: list[Action]) -> list[Decision]:
        return [Decision.of(found) for found in info.context.view.viewer_can(self.at, actions)]


@strawberry.type(description="A class no shape describes.")
class UntypedResource(Resource):
    pass


CLASSES: dict[model.Kind, type[Resource]] = {model.Kind.UNTYPED: UntypedResource}
"""The object type of each kind of node; `types` adds its own."""


def resource_or_none(info: Info, iri: str) -> Resource | None:
    """The handle of a node of any type, if the caller may see it."""
    found = info.context.view.resource(iri)
    return None if found is None else CLASSES[found.kind](at=iri)


def resource(info: Info, iri: str) -> Resource:
    """The handle of a node that a page of the View has shown."""
    return resource_or_none(info, iri) or UntypedResource(at=iri)


def both_ways(
    info: Info, first: int | None, after: str | None, last: int | None, before: str | None
) -> model.PageRequest:
    """A page forwards or backwards. Raises `InputError` when a query asks for both at once."""
    if last or last == 0:
        sent = info.variable_values
        given = {
            a.name.value for node in info._raw_info.field_nodes for a in node.arguments or ()
            if not isinstance(a.value, VariableNode) or a.value.name.value in sent
        }  # fmt: skip
        if ("first" in given and first is not None) or isinstance(after, str):
            raise errors.InputError("a page goes forwards or backwards, not both", remedy="Leave out first and after")
    return page(first, after, None if last is UNSET else last, before)
