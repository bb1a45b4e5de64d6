"""Expected refusals of writes, as values in a payload's `errors`."""

from __future__ import annotations

import strawberry

from fairmesh.api.schema.inputs import UserErrorCode
from fairmesh.api.schema.operation import Operation
from fairmesh.api.schema.reports import ValidationReport
from fairmesh.api.schema.resources import Decision
from fairmesh.api.schema.types import Revision
from fairmesh.catalog import errors


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


def revision_of(operation: Operation, product: str | None, number: int | None = None) -> Revision | None:
    """A revision of a product the caller may read: the one with this number, else the newest."""
    found = None if product is None else operation.view.revision(product, number)
    return None if found is None else Revision.of(found)


def user_error(operation: Operation, error: Exception, path: list[str], product: str | None) -> UserError:
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
        current = revision_of(operation, product)
        if current is not None:
            return Conflict(code=code, message=message, path=path, current=current)
    return InputError(code=code, message=message, path=path, line=error.line)
