"""The Mutation type. A write is made with no view held; what the client selects of its answer is read from a fresh one.

Expected refusals are values in `errors`. A policy engine or a disk that fails is not expected: it fails the request.
"""

from __future__ import annotations

from collections.abc import Callable

import strawberry

from fairmesh.api.schema.inputs import (
    Cost,
    RegisterInput,
    RetireInput,
    UserErrorCode,
    ValidateAgainst,
    ValidateInput,
    field,
)
from fairmesh.api.schema.operation import Info, Operation
from fairmesh.api.schema.reports import LineageNode, ValidationReport
from fairmesh.api.schema.resources import Decision
from fairmesh.api.schema.types import DataProduct, Revision, StatementChange
from fairmesh.catalog import StillUsed, errors, model

CHANNEL = "graphql"


@strawberry.interface(
    description="Shared by every expected failure; new kinds never break a client that selects only these."
)
class UserError:
    code: UserErrorCode
    message: str
    path: list[str] | None


@strawberry.type
class InputError(UserError):
    line: int | None


@strawberry.type
class NotConforming(UserError):
    report: ValidationReport


@strawberry.type
class Forbidden(UserError):
    decision: Decision


@strawberry.type
class Conflict(UserError):
    current: Revision


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
    errors: list[UserError]
    client_mutation_id: str | None


@strawberry.type
class RetirePayload:
    data_product: DataProduct | None
    still_used_by: list[LineageNode]
    errors: list[UserError]
    client_mutation_id: str | None


def _revision(operation: Operation, product: str | None, number: int | None = None) -> Revision | None:
    """A revision of a product the caller may read: the one with this number, else the newest."""
    if product is None:
        return None
    found = operation.view.revisions(product, model.PageRequest()).items
    return next((Revision.of(r) for r in found if number is None or r.number == number), None)


def _user_error(operation: Operation, error: Exception, path: list[str], product: str | None) -> UserError:
    """An expected failure as a value. Raises any other."""
    code = UserErrorCode.of(error)
    if code is None or not isinstance(error, errors.FairmeshError):
        raise error
    message = f"{error.message}. {error.remedy}" if error.remedy else error.message
    if isinstance(error, errors.NotConforming):
        return NotConforming(code=code, message=message, path=path, report=ValidationReport(of=error.report))
    if isinstance(error, errors.Forbidden):
        return Forbidden(code=code, message=message, path=path, decision=Decision.of(error.decision))
    if isinstance(error, errors.Conflict):
        current = _revision(operation, product)
        if current is not None:
            return Conflict(code=code, message=message, path=path, current=current)
    return InputError(code=code, message=message, path=path, line=error.line)


def _attempt(work: Callable[[], model.Outcome]) -> model.Outcome:
    try:
        return work()
    except errors.FairmeshError as error:
        decision = error.decision if isinstance(error, errors.Forbidden) else None
        return model.Outcome(None, None, None, None, None, decision, (), error)


_DOCUMENT = ["input", "metadata"]


@strawberry.type
class Mutation:
    @field(cost=Cost(weight=20))
    def validate(self, info: Info, input: ValidateInput) -> ValidatePayload:
        operation = info.context
        catalog = operation.change()
        outcome = _attempt(
            lambda: catalog.validate(
                operation.subject,
                input.metadata.read(),
                channel=CHANNEL,
                shapes=input.shapes.read() if input.shapes else None,
                mesh=input.against is not ValidateAgainst.SHAPES_ONLY,
            )
        )
        report, decision = outcome.report, outcome.decision
        undecided = model.Decision(
            model.Action.REGISTER, False, ("undecided",), model.Obligations(), "", catalog.policy_digest
        )
        return ValidatePayload(
            would_register=outcome.error is None,
            report=ValidationReport(of=report or model.Report(catalog.ruleset_digest), checked=report is not None),
            decision=Decision.of(decision or undecided),
            changes=StatementChange.all(outcome.changes),
            errors=[_user_error(operation, outcome.error, _DOCUMENT, outcome.product)] if outcome.error else [],
            client_mutation_id=input.client_mutation_id or None,
        )

    @field(cost=Cost(weight=30))
    def register(self, info: Info, input: RegisterInput) -> RegisterPayload:
        operation = info.context
        revision = input.if_revision if isinstance(input.if_revision, int) else None
        outcome = operation.change().register(operation.subject, [input.metadata.read(revision)], channel=CHANNEL)[0]
        failure = (
            _user_error(operation, outcome.error, _DOCUMENT, outcome.product) if outcome.error is not None else None
        )
        product = outcome.product if failure is None else None
        seen = operation.view.product(iri=product) if product is not None else None
        return RegisterPayload(
            data_product=DataProduct(at=seen.iri) if seen is not None else None,
            revision=_revision(operation, product, outcome.revision),
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
            failure = _user_error(operation, error, ["input"], product)
        left = operation.view.product(iri=product) if product is not None else None
        return RetirePayload(
            data_product=DataProduct(at=left.iri) if left is not None else None,
            still_used_by=[LineageNode(of=node) for node in users],
            errors=[] if failure is None else [failure],
            client_mutation_id=input.client_mutation_id or None,
        )
