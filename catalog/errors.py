"""Every refusal and failure fairmesh raises on purpose.

    FairmeshError
    |- InputError            what was sent cannot be used
    |  |- ParseError         not well-formed RDF, JSON or YAML (has line and column)
    |  |- TooLarge           over a stated limit of bytes, depth or statements
    |  |- UnsupportedMedia   a media type or a construct fairmesh does not read
    |  `- InvalidDocument    well-formed, but not one data product of this mesh
    |- NotConforming         a rule that gates was violated (has the report)
    |- Forbidden             access policy says no (has the decision)
    |- NotFound              nothing here for this caller: hidden and absent read alike
    |- Retired               the product is retired (410)
    |- Conflict              the change contradicts what is stored
    |  |- StaleRevision      the caller's revision is not the current one
    |  `- BreakingChange     what others rely on goes, and the version does not say so (has the comparison)
    |- PolicyUnavailable     no policy decision could be had; everything is refused
    |- StorageUnavailable    the journal cannot be written; reads go on
    |- JournalCorrupt        the journal's hash chain is broken (names the entry)
    |- ConfigError           a setting, option or data directory that cannot be used
    `- WorkerFailed          a child process died or ran out of time

Each carries what happened (`message`), where (`line`, `column`, `iri`, where known) and what to do (`remedy`).
`code` is a stable word for programs. Errors cross process borders, so they pickle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairmesh.catalog.changes import Comparison
    from fairmesh.catalog.model import Decision, Report


class FairmeshError(Exception):
    """The root. `str(error)` is the message, its place and the remedy on one line."""

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        line: int | None = None,
        column: int | None = None,
        iri: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.line = line
        self.column = column
        self.iri = iri
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        place = (
            "" if self.line is None else f" (line {self.line}" + (f", column {self.column})" if self.column else ")")
        )
        return f"{self.message}{place}" + (f". {self.remedy}" if self.remedy else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, dict(self.__dict__))


def _revive(kind: type[FairmeshError], args: tuple[Any, ...], state: dict[str, Any]) -> FairmeshError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class InputError(FairmeshError):
    code = "invalid"


class ParseError(InputError):
    code = "syntax"


class TooLarge(InputError):
    code = "too-large"


class UnsupportedMedia(InputError):
    code = "unsupported"


class InvalidDocument(InputError):
    """`code` names the broken rule of the document: `no-product`, `several-products`, `foreign-node`, ..."""

    code = "invalid-document"


class NotConforming(FairmeshError):
    code = "not-conforming"

    def __init__(self, message: str, report: Report, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.report = report


class Forbidden(FairmeshError):
    code = "forbidden"

    def __init__(self, message: str, decision: Decision, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.decision = decision


class NotFound(FairmeshError):
    code = "not-found"


class Retired(FairmeshError):
    code = "retired"


class Conflict(FairmeshError):
    code = "conflict"


class StaleRevision(Conflict):
    code = "stale-revision"


class BreakingChange(Conflict):
    code = "breaking-change"

    def __init__(self, message: str, comparison: Comparison, *, remedy: str = "") -> None:
        version = comparison.version
        super().__init__(message, remedy=remedy, line=version.line, column=version.column)
        self.comparison = comparison


class PolicyUnavailable(FairmeshError):
    code = "policy-unavailable"


class StorageUnavailable(FairmeshError):
    code = "storage-unavailable"


class JournalCorrupt(FairmeshError):
    code = "journal-corrupt"


class ConfigError(FairmeshError):
    code = "config"


class WorkerFailed(FairmeshError):
    code = "worker-failed"
