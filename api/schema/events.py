"""The change feed, as GraphQL shows it."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry import UNSET

from fairmesh.api.schema.failures import revision_of
from fairmesh.api.schema.inputs import Cost, field
from fairmesh.api.schema.operation import DomainId, Info
from fairmesh.api.schema.resources import Counted, Resource, resource_or_none
from fairmesh.api.schema.types import Revision
from fairmesh.catalog import events
from fairmesh.catalog.events import EventKind

strawberry.enum(EventKind, name="ChangeKind")


@strawberry.type
class Change:
    of: strawberry.Private[events.Event]
    cursor: str = strawberry.field(description="Position in the feed: go on with after.")

    @strawberry.field
    def kind(self) -> EventKind:
        return self.of.kind

    @strawberry.field
    def at(self) -> datetime:
        return self.of.at

    @strawberry.field
    def by(self) -> str | None:
        return self.of.by

    @field(description="The product; null when it is no longer there for you, or the change is about none.")
    def resource(self, info: Info) -> Resource | None:
        found = info.context.find_product(self.of.home.removeprefix(info.context.catalog.iri_base), None)
        return None if found is None else resource_or_none(info, found.iri)

    @strawberry.field
    def revision(self, info: Info) -> Revision | None:
        return revision_of(info.context, self.of.home or None, self.of.revision)

    @field(description="Whether the product conforms since; null for other changes.")
    def conforms(self) -> bool | None:
        return self.of.conforms

    @field(description="Digest of the rule set in force since; null unless the rules changed.")
    def shapes_version(self) -> str | None:
        return self.of.ruleset

    @field(description="Key of the domain whose rules alone were replaced; null for a whole set and other changes.")
    def rules_domain(self) -> str | None:
        return self.of.rules_of


@strawberry.type
class ChangeEdge:
    cursor: str
    node: Change


@strawberry.type
class ChangeConnection(Counted[events.Event]):
    @strawberry.field
    def edges(self) -> list[ChangeEdge]:
        return [ChangeEdge(cursor=cursor, node=Change(of=found, cursor=cursor)) for cursor, found in self.rows()]

    @strawberry.field
    def nodes(self) -> list[Change]:
        return [Change(of=found, cursor=cursor) for cursor, found in self.rows()]


@strawberry.type
class EventQueries:
    @field(
        description="What happened, oldest first, as far as the caller may know of it. totalCount is that of the page:"
        " how many there are in all is not told.",
        cost=Cost(weight=5, slicing=["first"]),
    )
    def changes(
        self,
        info: Info,
        kinds: list[EventKind] | None = UNSET,
        domain: DomainId = UNSET,
        resource: strawberry.ID | None = UNSET,
        first: int | None = 20,
        after: str | None = UNSET,
    ) -> ChangeConnection:
        operation = info.context
        product = operation.product(operation.iri(resource)) if isinstance(resource, str) else None
        page = events.events(
            operation.view,
            operation.catalog,
            kinds=frozenset(kinds) if isinstance(kinds, list) else None,
            domain=operation.domain(domain) if isinstance(domain, str) else None,
            home=None if product is None else product.home,
            first=20 if first is None else first,
            after=after or None,
        )
        return ChangeConnection(page=page)
