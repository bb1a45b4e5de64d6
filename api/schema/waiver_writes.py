"""Granting and withdrawing waivers. Expected refusals are values in `errors`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import strawberry
from strawberry import UNSET

from fairmesh.api.schema.failures import UserError, user_error
from fairmesh.api.schema.inputs import Cost, field
from fairmesh.api.schema.operation import CHANNEL, Info, Operation
from fairmesh.api.schema.waivers import Waiver, read_id
from fairmesh.catalog import errors, waivers


@strawberry.input(
    description="For a product, by its key; it need not be registered yet. A waiver that holds for the same product and"
    " rule is replaced."
)
class GrantWaiverInput:
    key: str
    rule: str = strawberry.field(description="The rule's id, like core/12.")
    reason: str = strawberry.field(description="10 to 500 characters on one line.")
    expires_at: datetime = strawberry.field(description="At most 366 days ahead.")
    requested_by: str | None = strawberry.field(
        description="The id of the subject who asked for it, and may see it whatever becomes of the product.",
        default=UNSET,
    )
    client_mutation_id: str | None = UNSET


@strawberry.input
class WithdrawWaiverInput:
    id: strawberry.ID
    client_mutation_id: str | None = UNSET


@strawberry.type
class GrantWaiverPayload:
    waiver: Waiver | None
    errors: list[UserError]
    client_mutation_id: str | None


@strawberry.type
class WithdrawWaiverPayload:
    waiver: Waiver | None
    errors: list[UserError]
    client_mutation_id: str | None


def _attempt(operation: Operation, work: Callable[[], waivers.Waiver]) -> tuple[Waiver | None, list[UserError]]:
    try:
        return Waiver.show(operation, work()), []
    except errors.FairmeshError as error:
        return None, [user_error(operation, error, ["input"], None)]


@strawberry.type
class WaiverMutations:
    @field(
        description="Excuse a product from a rule. Needs the govern action on the waiver; who produces for the domain"
        " never has it.",
        cost=Cost(weight=10),
    )
    def grant_waiver(self, info: Info, input: GrantWaiverInput) -> GrantWaiverPayload:
        operation = info.context

        def grant() -> waivers.Waiver:
            return operation.change().waivers.grant(
                operation.subject,
                operation.access,
                input.key,
                input.rule,
                reason=input.reason,
                expires=input.expires_at,
                channel=CHANNEL,
                requested_by=input.requested_by if isinstance(input.requested_by, str) else None,
            )

        waiver, refusals = _attempt(operation, grant)
        return GrantWaiverPayload(waiver=waiver, errors=refusals, client_mutation_id=input.client_mutation_id or None)

    @field(description="End a waiver now. Needs the govern action on it.", cost=Cost(weight=10))
    def withdraw_waiver(self, info: Info, input: WithdrawWaiverInput) -> WithdrawWaiverPayload:
        operation = info.context

        def withdraw() -> waivers.Waiver:
            id = read_id(operation, input.id)
            return operation.change().waivers.withdraw(operation.subject, operation.access, id, channel=CHANNEL)

        waiver, refusals = _attempt(operation, withdraw)
        return WithdrawWaiverPayload(
            waiver=waiver, errors=refusals, client_mutation_id=input.client_mutation_id or None
        )
