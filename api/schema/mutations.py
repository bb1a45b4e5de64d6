"""The Mutation type. A write is made with no view held; what the client selects of its answer is read from a fresh one.

Expected refusals are values in `errors`. A policy engine or a disk that fails is not expected: it fails the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import strawberry

from fairmesh.api.schema.failures import UserError, revision_of, user_error
from fairmesh.api.schema.fair import FairAssessment
from fairmesh.api.schema.inputs import (
    Cost,
    RegisterInput,
    RetireInput,
    ValidateAgainst,
    ValidateInput,
    field,
)
from fairmesh.api.schema.operation import CHANNEL, Info, Operation
from fairmesh.api.schema.policies import PolicyMutations
from fairmesh.api.schema.reports import LineageNode, ValidationReport
from fairmesh.api.schema.resources import Decision
from fairmesh.api.schema.rules import RuleMutations
from fairmesh.api.schema.types import DataProduct, Revision, StatementChange
from fairmesh.api.schema.waiver_writes import WaiverMutations
from fairmesh.api.schema.waivers import read_ids
from fairmesh.catalog import StillUsed, errors, model
from fairmesh.catalog.waivers import NotWaived


@strawberry.type
class RegisterPayload:
    data_product: DataProduct | None
    revision: Revision | None
    created: bool
    report: ValidationReport | None
    errors: list[UserError]
    client_mutation_id: str | None


@strawberry.type(description="Writes nothing; the whole answer a CI job needs, including what would break downstream.")
class ValidatePayload:
    would_register: bool
    report: ValidationReport
    decision: Decision
    changes: list[StatementChange]
    breaks: list[LineageNode] = strawberry.field(
        description="Products that depend on what the change breaks, by distance: 1 reads it, 2 what was made of it."
    )
    fair: FairAssessment
    errors: list[UserError]
    client_mutation_id: str | None


@strawberry.type
class RetirePayload:
    data_product: DataProduct | None
    still_used_by: list[LineageNode]
    errors: list[UserError]
    client_mutation_id: str | None


def _attempt(operation: Operation, work: Callable[[], model.Outcome]) -> model.Outcome:
    try:
        with operation.untimed():  # a rule that has to be stopped takes its time
            return work()
    except errors.FairmeshError as error:
        decision = error.decision if isinstance(error, errors.Forbidden) else None
        return model.Outcome(None, None, None, None, None, decision, (), error)


_DOCUMENT = ["input", "metadata"]


def _refusal(
    operation: Operation, error: Exception, product: str | None, named: Mapping[str, strawberry.ID]
) -> UserError:
    """Why a document was not registered; a waiver is named as the client named it."""
    if isinstance(error, NotWaived):
        return user_error(operation, NotWaived(named[error.waiver], error.key), ["input", "waivers"], product)
    return user_error(operation, error, _DOCUMENT, product)


@strawberry.type
class Mutation(PolicyMutations, RuleMutations, WaiverMutations):
    @field(cost=Cost(weight=20))
    def validate(self, info: Info, input: ValidateInput) -> ValidatePayload:
        operation = info.context
        catalog = operation.change()
        outcome = _attempt(
            operation,
            lambda: catalog.validate(
                operation.subject,
                input.metadata.read(),
                channel=CHANNEL,
                shapes=input.shapes.read() if input.shapes else None,
                mesh=input.against is not ValidateAgainst.SHAPES_ONLY,
                access=operation.access,
            ),
        )
        operation.decided(outcome.decision)
        operation.judged(outcome.report)
        report, decision = outcome.report, outcome.decision
        undecided = model.Decision(
            model.Action.REGISTER, False, ("undecided",), model.Obligations(), "", operation.policy_revision
        )
        return ValidatePayload(
            would_register=outcome.error is None,
            report=ValidationReport.maybe(report, catalog.ruleset_digest),
            decision=Decision.of(decision or undecided),
            changes=StatementChange.all(outcome.changes),
            breaks=[LineageNode(of=node) for node in outcome.breaks.nodes] if outcome.breaks is not None else [],
            fair=FairAssessment.maybe(outcome.fair, catalog.clock(), "the document was not judged, see errors"),
            errors=[user_error(operation, outcome.error, _DOCUMENT, outcome.product)] if outcome.error else [],
            client_mutation_id=input.client_mutation_id or None,
        )

    @field(cost=Cost(weight=30))
    def register(self, info: Info, input: RegisterInput) -> RegisterPayload:
        operation = info.context
        revision = input.if_revision if isinstance(input.if_revision, int) else None
        named = read_ids(operation, input.waivers or [])
        submission = replace(input.metadata.read(revision), waivers=tuple(named))
        with operation.untimed():
            outcome = operation.change().register(
                operation.subject, [submission], channel=CHANNEL, access=operation.access
            )[0]
        operation.decided(outcome.decision)
        operation.judged(outcome.report)
        failure = None if outcome.error is None else _refusal(operation, outcome.error, outcome.product, named)
        product = outcome.product if failure is None else None
        seen = operation.view.product(iri=product) if product is not None else None
        return RegisterPayload(
            data_product=DataProduct(at=seen.iri) if seen is not None else None,
            revision=revision_of(operation, product, outcome.revision),
            created=outcome.change == "created",
            report=ValidationReport(of=outcome.report) if outcome.report is not None else None,
            errors=[] if failure is None else [failure],
            client_mutation_id=input.client_mutation_id or None,
        )

    @field(cost=Cost(weight=20))
    def retire(self, info: Info, input: RetireInput) -> RetirePayload:
        operation = info.context
        users: tuple[model.LineageNode, ...] = ()
        failure: UserError | None = None
        product: str | None = None
        try:
            product = operation.iri(input.id)
            successor = operation.iri(input.replaced_by) if isinstance(input.replaced_by, str) else None
            users = (
                operation.change()
                .retire(
                    operation.subject,
                    product,
                    channel=CHANNEL,
                    reason=input.reason,
                    replaced_by=successor,
                    at=input.at or None,
                    force=bool(input.force),
                    if_revision=None,
                )
                .still_used_by
            )
        except errors.FairmeshError as error:
            users = error.still_used_by if isinstance(error, StillUsed) else ()
            failure = user_error(operation, error, ["input"], product)
        left = operation.view.product(iri=product) if product is not None else None
        return RetirePayload(
            data_product=DataProduct(at=left.iri) if left is not None else None,
            still_used_by=[LineageNode(of=node) for node in users],
            errors=[] if failure is None else [failure],
            client_mutation_id=input.client_mutation_id or None,
        )
