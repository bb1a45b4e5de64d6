"""What clients send to GraphQL: scalars, enums, input types, and their reading into the domain's values.

The names are those of the published schema. Python names differ only where GraphQL's are reserved words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, NewType, Protocol, TypeVar, cast

import strawberry
from strawberry import UNSET
from strawberry.schema_directive import Location
from strawberry.types.scalar import ScalarDefinition

from fairmesh.catalog import errors, model
from fairmesh.catalog.model import (
    Action,
    Direction,
    FacetField,
    LineageDirection,
    PortDirection,
    SearchOrder,
    Severity,
    ShapeScope,
)
from fairmesh.catalog.rdf import JSON_LD, N_QUADS, N_TRIPLES, RDF_XML, TRIG, TURTLE, node

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")

# -- directives -------------------------------------------------------------------------------------------------------


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="cost",
    description="Cost of a field: `weight`, multiplied by the named slicing arguments (default page size when absent).",
)
class Cost:
    weight: int = 1
    slicing: list[str] | None = UNSET


@strawberry.schema_directive(
    locations=[Location.OBJECT, Location.INTERFACE, Location.FIELD_DEFINITION, Location.ENUM_VALUE],
    name="rdf",
    description="The RDF predicate or class behind a schema element (published so that clients can round-trip to RDF).",
)
class Rdf:
    iri: str
    inverse: bool | None = False


def field(
    *, name: str | None = None, description: str | None = None, cost: Cost | None = None, rdf: str | None = None
) -> Callable[[F], F]:
    """Publish a resolver as a field; `rdf` is the predicate it reads."""
    directives: list[object] = [] if cost is None else [cost]
    if rdf is not None:
        directives.append(Rdf(iri=rdf))
    decorate: Callable[[F], F] = strawberry.field(name=name, description=description, directives=directives)
    return decorate


def shown(kind: type[T], found: object, also: Mapping[str, object] = MappingProxyType({})) -> T:
    """An object of a published type: its fields are `found`'s attributes of the same names, but for those in `also`."""
    made: Callable[..., T] = kind
    names = {each.name for each in fields(cast(Any, kind)) if each.init} - also.keys()
    return made(**{name: getattr(found, name) for name in names}, **also)


class _File(Protocol):
    path: str
    content: str


def read_files(sent: Sequence[_File]) -> dict[str, bytes]:
    """The files by path. Raises `InputError` for one that is given twice."""
    files: dict[str, bytes] = {}
    for file in sent:
        if file.path in files:
            raise errors.InputError(f"{file.path[:200]!r} is given twice", remedy="Give each file once")
        files[file.path] = file.content.encode("utf-8", "surrogatepass")
    return files


# -- scalars ----------------------------------------------------------------------------------------------------------

IRI = NewType("IRI", str)
LanguageTag = NewType("LanguageTag", str)
JSON = NewType("JSON", object)

_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


def is_iri(text: str) -> bool:
    """Whether the store can hold a node of this name."""
    try:
        node(text)
    except ValueError:
        return False
    return True


def _read_iri(value: object) -> str:
    if not isinstance(value, str) or not is_iri(value):
        raise ValueError("an IRI is absolute and holds no spaces, quotes or angle brackets")
    return value


def _read_language(value: object) -> str:
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
        raise ValueError("a language tag looks like en or pt-BR (BCP 47)")
    return value


def _read_time(value: object) -> datetime:
    expected = "a time looks like 2026-09-14T12:30:00Z, with its offset"
    if not isinstance(value, str):
        raise ValueError(expected)
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(expected) from None
    if time.tzinfo is None or "T" not in value:
        raise ValueError(expected)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time lies in the years 1 to 9999, in UTC") from None


def _write_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _as_is(value: object) -> object:
    return value


SCALARS: dict[object, ScalarDefinition] = {
    IRI: strawberry.scalar(
        name="IRI", specified_by_url="https://www.rfc-editor.org/rfc/rfc3987", serialize=str, parse_value=_read_iri
    ),
    LanguageTag: strawberry.scalar(
        name="LanguageTag", description="BCP 47 language tag.", serialize=str, parse_value=_read_language
    ),
    JSON: strawberry.scalar(name="JSON", serialize=_as_is, parse_value=_as_is),
    datetime: strawberry.scalar(
        name="DateTime",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=_write_time,
        parse_value=_read_time,
    ),
}

# -- enums ------------------------------------------------------------------------------------------------------------

for _enum in (Action, Direction, FacetField, LineageDirection, PortDirection, SearchOrder, Severity, ShapeScope):
    strawberry.enum(_enum)


@strawberry.enum(description="ideation, design, build and deploy are DRAFT; consume is ACTIVE.")
class ProductStatus(Enum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    DEPRECATED = "DEPRECATED"
    RETIRED = "RETIRED"

    @staticmethod
    def of(word: str) -> ProductStatus:
        """The status clients see for a word of the lifecycle scheme."""
        return _STATUS.get(word, ProductStatus.DRAFT)


_STATUS = {
    "consume": ProductStatus.ACTIVE,
    "deprecated": ProductStatus.DEPRECATED,
    "retired": ProductStatus.RETIRED,
}


@strawberry.enum
class RdfFormat(Enum):
    TURTLE = TURTLE
    JSON_LD = JSON_LD
    N_TRIPLES = N_TRIPLES
    N_QUADS = N_QUADS
    TRIG = TRIG
    RDF_XML = RDF_XML


@strawberry.enum
class UserErrorCode(Enum):
    INVALID = "INVALID"
    NOT_CONFORMING = "NOT_CONFORMING"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    FORBIDDEN = "FORBIDDEN"
    SYNTAX = "SYNTAX"
    UNSUPPORTED = "UNSUPPORTED"

    @staticmethod
    def of(error: Exception) -> UserErrorCode | None:
        """The code of an expected failure; None for a fault of the service."""
        return next((code for kind, code in _CODES if isinstance(error, kind)), None)


_CODES: tuple[tuple[type[Exception], UserErrorCode], ...] = (
    (errors.ParseError, UserErrorCode.SYNTAX),
    (errors.UnsupportedMedia, UserErrorCode.UNSUPPORTED),
    (errors.InputError, UserErrorCode.INVALID),
    (errors.NotConforming, UserErrorCode.NOT_CONFORMING),
    (errors.Forbidden, UserErrorCode.FORBIDDEN),
    (errors.NotFound, UserErrorCode.NOT_FOUND),
    (errors.Retired, UserErrorCode.NOT_FOUND),
    (errors.Conflict, UserErrorCode.CONFLICT),
)


@strawberry.enum
class ValidateAgainst(Enum):
    SHAPES_ONLY = "SHAPES_ONLY"
    MESH = "MESH"


# -- filters ----------------------------------------------------------------------------------------------------------


@strawberry.input
class IriFilter:
    any_of: list[IRI] | None = strawberry.field(name="in", default=UNSET)
    descendants_of: IRI | None = UNSET

    def read(self) -> model.IriFilter:
        return model.IriFilter(_tuple(self.any_of), self.descendants_of or None)


@strawberry.input
class StringFilter:
    eq: str | None = UNSET
    any_of: list[str] | None = strawberry.field(name="in", default=UNSET)
    prefix: str | None = UNSET
    contains: str | None = UNSET

    def read(self) -> model.StringFilter:
        return model.StringFilter(_set(self.eq), _tuple(self.any_of), _set(self.prefix), _set(self.contains))


@strawberry.input
class DateRange:
    since: datetime | None = strawberry.field(name="from", default=UNSET)
    until: datetime | None = UNSET


@strawberry.input(one_of=True)
class PropertyTest:
    exists: bool | None = UNSET
    equals: str | None = UNSET
    iri: IRI | None = UNSET
    contains: str | None = UNSET
    at_least: float | None = UNSET
    at_most: float | None = UNSET

    def read(self) -> model.PropertyTest:
        return model.PropertyTest(
            _set(self.exists),
            _set(self.equals),
            _set(self.iri),
            _set(self.contains),
            _set(self.at_least),
            _set(self.at_most),
        )


@strawberry.input(description="Any predicate. Exactly one test.")
class PropertyFilter:
    predicate: IRI
    test: PropertyTest


@strawberry.input
class ProductFilter:
    domain: IriFilter | None = strawberry.field(
        description="By the `iri` of `domains`: not their id, nor their key.", default=UNSET
    )
    owner: StringFilter | None = UNSET
    status: list[ProductStatus] | None = UNSET
    classification: IriFilter | None = UNSET
    term: IriFilter | None = UNSET
    conforms: bool | None = UNSET
    fair_at_least: float | None = UNSET
    updated: DateRange | None = UNSET
    property: list[PropertyFilter] | None = UNSET
    all_of: list[ProductFilter] | None = strawberry.field(name="and", default=UNSET)
    any_of: list[ProductFilter] | None = strawberry.field(name="or", default=UNSET)
    none_of: ProductFilter | None = strawberry.field(name="not", default=UNSET)

    def read(self) -> model.ProductFilter:
        updated = self.updated or DateRange()
        return model.ProductFilter(
            domain=self.domain.read() if self.domain else None,
            owner=self.owner.read() if self.owner else None,
            status=tuple(s.value for s in self.status) if isinstance(self.status, list) else None,
            classification=self.classification.read() if self.classification else None,
            term=self.term.read() if self.term else None,
            conforms=self.conforms if isinstance(self.conforms, bool) else None,
            fair_at_least=None if self.fair_at_least is UNSET else self.fair_at_least,
            updated_from=updated.since or None,
            updated_until=updated.until or None,
            property=tuple((p.predicate, p.test.read()) for p in self.property or ()),
            all_of=tuple(f.read() for f in self.all_of or ()),
            any_of=self._alternatives(),
            none_of=(self.none_of.read(),) if self.none_of else (),
        )

    def _alternatives(self) -> tuple[model.ProductFilter, ...]:
        if isinstance(self.any_of, list) and not self.any_of:
            raise errors.InputError("`or` without alternatives matches nothing", remedy="Leave it out, or list some")
        return tuple(f.read() for f in self.any_of or ())


# -- walks and lineage ------------------------------------------------------------------------------------------------


@strawberry.input(
    description="Edges are of the start node's level (product, dataset, column); product edges are projected from"
    " dataset edges, self-loops left out; depth counts edges of that level; types keeps only nodes of exactly these"
    " rdf:types."
)
class LineageInput:
    direction: LineageDirection = LineageDirection.BOTH
    depth: int = 1
    types: list[IRI] | None = UNSET
    max_nodes: int = 200


@strawberry.input(description="One step of a walk; `repeat` is bounded by the server.")
class TraversalStep:
    predicates: list[IRI] | None = UNSET
    direction: Direction = Direction.OUT
    target_types: list[IRI] | None = UNSET
    min_hops: int = 1
    max_hops: int = 1

    def read(self) -> model.WalkStep:
        return model.WalkStep(
            frozen(self.predicates), self.direction, frozen(self.target_types), self.min_hops, self.max_hops
        )


@strawberry.input
class TraversalInput:
    start: list[strawberry.ID] = strawberry.field(name="from")
    steps: list[TraversalStep]
    filter: ProductFilter | None = UNSET
    distinct: bool = True


@strawberry.input
class PathInput:
    start: strawberry.ID = strawberry.field(name="from")
    to: strawberry.ID
    predicates: list[IRI] | None = UNSET
    direction: Direction = Direction.BOTH
    max_length: int = 6
    k: int = 1


# -- writes -----------------------------------------------------------------------------------------------------------


@strawberry.input
class MetadataInput:
    content: str
    format: RdfFormat = RdfFormat.TURTLE

    def read(self, if_revision: int | None = None) -> model.Submission:
        return model.Submission(self.content.encode("utf-8", "surrogatepass"), self.format.value, if_revision)


@strawberry.input
class RegisterInput:
    metadata: MetadataInput
    if_revision: int | None = strawberry.field(description="Optimistic lock.", default=UNSET)
    waivers: list[strawberry.ID] | None = UNSET
    client_mutation_id: str | None = UNSET


@strawberry.input
class ValidateInput:
    metadata: MetadataInput
    shapes: MetadataInput | None = strawberry.field(
        description="Rules of your own (SHACL Core), tried on top of those in force. Each is a shape named under"
        " https://w3id.org/fairmesh/rules/org/trial/ with fm:mode (fm:gate, fm:gateWhenLive, fm:warn or fm:advise) and"
        " sh:message.",
        default=UNSET,
    )
    against: ValidateAgainst | None = ValidateAgainst.MESH
    client_mutation_id: str | None = UNSET


@strawberry.input
class RetireInput:
    id: strawberry.ID
    reason: str
    replaced_by: strawberry.ID | None = UNSET
    at: datetime | None = UNSET
    force: bool | None = False
    client_mutation_id: str | None = UNSET


# -- reading ----------------------------------------------------------------------------------------------------------


def _set(value: Any) -> Any:
    """None for an argument that was left out."""
    return None if value is UNSET else value


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if isinstance(values, list) else None


def frozen(values: Sequence[str] | None) -> frozenset[str] | None:
    """A set of the values given; None (any) when the argument was left out, null or empty."""
    return frozenset(values) if values else None


def page(first: int | None, after: str | None, last: int | None = None, before: str | None = None) -> model.PageRequest:
    """Relay's arguments as one value. Null means the default page size. An empty cursor is none that was made here."""
    after, before = _set(after), _set(before)
    if last is not None:
        return model.PageRequest(None, after, last, before)
    return model.PageRequest(20 if first is None else first, after, None, before)
