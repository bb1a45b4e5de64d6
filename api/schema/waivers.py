"""Waivers as GraphQL shows them: to who may read the product, who may grant the waiver, and who asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar

import strawberry
from strawberry import UNSET

from fairmesh.api.schema.inputs import Cost, field, page
from fairmesh.api.schema.operation import CHANNEL, Info, Operation
from fairmesh.api.schema.reports import Shape
from fairmesh.api.schema.resources import Counted, Node, Resource, resource_or_none
from fairmesh.catalog import errors, waivers
from fairmesh.catalog.paging import Cursors
from fairmesh.catalog.rulefiles import RULES

_FOLDER = "waiver/"
"""Waivers are named by the mesh's base, this and their id. No product can be: its key has a dot before any slash."""


@strawberry.type(description="One product excused from one rule until a moment.")
class Waiver(Node):
    letter: ClassVar[str] = "w"
    of: strawberry.Private[waivers.Waiver]

    @strawberry.field
    def key(self) -> str:
        return self.of.key

    @field(description="Null while there is no such product that the caller may see.")
    def product(self, info: Info) -> Resource | None:
        found = info.context.find_product(self.of.key, None)
        return None if found is None else resource_or_none(info, found.iri)

    @field(description="The rule's id, like core/12.")
    def rule_id(self) -> str:
        return self.of.rule

    @field(description="Null when the rule set in force has no such rule any more.")
    def rule(self, info: Info) -> Shape | None:
        return Shape.maybe(info.context.view.shape(RULES + self.of.rule))

    @strawberry.field
    def reason(self) -> str:
        return self.of.reason

    @strawberry.field
    def requested_by(self) -> str | None:
        return self.of.requested_by

    @strawberry.field
    def approved_by(self) -> str:
        return self.of.approved_by

    @strawberry.field
    def granted_at(self) -> datetime:
        return self.of.granted_at

    @field(description="From this moment on the rule gates again.")
    def expires_at(self) -> datetime:
        return self.of.expires_at

    @field(description="When it was withdrawn or replaced.")
    def ended_at(self) -> datetime | None:
        return self.of.ended_at

    @strawberry.field
    def ended_by(self) -> str | None:
        return self.of.ended_by

    @strawberry.field
    def active(self, info: Info) -> bool:
        return self.of.active(info.context.catalog.clock())

    @classmethod
    def show(cls, operation: Operation, found: waivers.Waiver) -> Waiver:
        return cls(at=operation.catalog.iri_base + _FOLDER + found.id, of=found)

    @classmethod
    def maybe(cls, operation: Operation, iri: str) -> Waiver | None:
        """The waiver with this name; None for one that is hidden or absent."""
        found = operation.catalog.waivers.find(iri.removeprefix(operation.catalog.iri_base + _FOLDER))
        return next((cls.show(operation, one) for one in visible(operation, [found] if found else [])), None)


@strawberry.type
class WaiverEdge:
    cursor: str
    node: Waiver


@strawberry.type
class WaiverConnection(Counted[waivers.Waiver]):
    @strawberry.field
    def edges(self, info: Info) -> list[WaiverEdge]:
        return [WaiverEdge(cursor=cursor, node=Waiver.show(info.context, found)) for cursor, found in self.rows()]

    @strawberry.field
    def nodes(self, info: Info) -> list[Waiver]:
        return [Waiver.show(info.context, found) for found in self.page.items]


def visible(operation: Operation, found: Iterable[waivers.Waiver]) -> list[waivers.Waiver]:
    """Those that the caller may see, in the order given."""
    return operation.catalog.waivers.visible(
        found, operation.subject, operation.access, operation.view.may_read, channel=CHANNEL
    )


def of_product(info: Info, home: str, active: bool | None) -> list[Waiver]:
    """A product's waivers by rule and time: those that hold, those that do not, or (None) both."""
    found = _held(info.context, info.context.catalog.waivers.of(home), active)
    return [Waiver.show(info.context, one) for one in visible(info.context, found)]


def read_id(operation: Operation, id: str) -> str:
    """The catalog's id of a waiver the caller may see. Raises `NotFound`: bad ids, hidden and absent ones alike."""
    found = operation.read_id(id)
    shown = Waiver.maybe(operation, found[1]) if found is not None and found[0] == Waiver.letter else None
    if shown is None:
        raise errors.NotFound("there is no such waiver", remedy="Take its id from `waivers` (`fairmesh waiver list`)")
    return shown.of.id


def read_ids(operation: Operation, ids: Iterable[strawberry.ID]) -> dict[str, strawberry.ID]:
    """The catalog's ids behind global ones. What is no id of a waiver stays as it is, to be refused by its name."""
    prefix = operation.catalog.iri_base + _FOLDER
    read = ((id, operation.read_id(id)) for id in ids)
    return {id if known is None else known[1].removeprefix(prefix): id for id, known in read}


def _held(operation: Operation, found: Iterable[waivers.Waiver], active: bool | None) -> list[waivers.Waiver]:
    now = operation.catalog.clock()
    return [one for one in found if active is None or one.active(now) is active]


def _cursor_key(found: waivers.Waiver) -> tuple[str, ...]:
    key, rule, at, id = waivers.order(found)
    return key, rule, at.isoformat(timespec="microseconds"), id


@strawberry.type
class WaiverQueries:
    @field(
        description="Waivers the caller may see, by product key, rule and time: of one domain (its key), those that"
        " hold or those that do not.",
        cost=Cost(weight=2, slicing=["first"]),
    )
    def waivers(
        self,
        info: Info,
        domain: Annotated[
            str | None, strawberry.argument(description="The domain's key, such as sales: no id and no IRI.")
        ] = UNSET,
        active: bool | None = UNSET,
        first: int | None = 20,
        after: str | None = UNSET,
    ) -> WaiverConnection:
        operation = info.context
        everything = operation.catalog.waivers.all()
        chosen = [one for one in everything if not isinstance(domain, str) or waivers.domain_of(one.key) == domain]
        shown = visible(operation, _held(operation, chosen, active if isinstance(active, bool) else None))
        return WaiverConnection(page=Cursors(operation.catalog.iri_base).page(shown, _cursor_key, page(first, after)))
