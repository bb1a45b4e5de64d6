"""Refusals and reports as JSON: one shape for every HTTP answer (RFC 9457), batch result and command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fairmesh.api.auth import Unauthenticated
from fairmesh.api.comparisons import breaking, breaks_json, comparison_json
from fairmesh.catalog import errors, fair, model
from fairmesh.catalog.model import Severity

PROBLEM = "https://w3id.org/fairmesh/problem/"
"""Problem types are this plus the error's code."""

_STATUS: tuple[tuple[type[errors.FairmeshError], int], ...] = (
    (errors.TooLarge, 413),
    (errors.UnsupportedMedia, 415),
    (errors.InputError, 400),
    (errors.NotConforming, 422),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Retired, 410),
    (errors.StaleRevision, 412),
    (errors.Conflict, 409),
    (Unauthenticated, 401),
    (errors.PolicyUnavailable, 503),
    (errors.StorageUnavailable, 503),
    (errors.WorkerFailed, 503),
)


def status_of(error: Exception) -> int:
    """The HTTP status of an error; 500 for one that is not expected."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


_REMEDY = {
    400: "Correct the request",
    401: "Send a token that is known: Authorization: Bearer fm_...",
    403: "Ask the domain's team, or use a token with the role and the domain it takes",
    404: "Check the address",
    405: "Use a method of the Allow header",
    406: "Accept one of these types, or send no Accept header",
    409: "Read what is stored, then change the request",
    410: "Look for another product; registering its document again brings it back",
    412: "Read the product again, then retry with its current ETag",
    413: "Send less at once",
    415: "Send one of the types this path reads",
    422: "See the findings: each names its remedy",
    428: "Send If-Match with the product's current ETag, or * for whichever is current",
    503: "Try again in a few seconds",
}
"""What to do where the error itself does not say."""


def problem(status: int, code: str, detail: str, remedy: str = "", **members: object) -> dict[str, Any]:
    """A problem document. Without a remedy it has the one of its status. Members that are None are left out."""
    found = {
        "type": PROBLEM + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "remedy": remedy or _REMEDY.get(status, "Report it: the service's log has the details"),
        "code": code,
    }
    return found | {name: value for name, value in members.items() if value is not None}


def problem_of(error: errors.FairmeshError) -> dict[str, Any]:
    """The problem document of an error: with its place, its report, its decision or the `breaking` changes of a
    comparison, where it has one."""
    used_by = getattr(error, "still_used_by", None)
    return problem(
        status_of(error),
        error.code,
        error.message,
        error.remedy,
        line=error.line,
        column=error.column,
        report=report_json(error.report) if isinstance(error, errors.NotConforming) else None,
        decision=decision_json(error.decision) if isinstance(error, errors.Forbidden) else None,
        breaking=breaking(comparison_json(error.comparison)) if isinstance(error, errors.BreakingChange) else None,
        still_used_by=[node.iri for node in used_by] if used_by is not None else None,
    )


def report_json(report: model.Report) -> dict[str, Any]:
    """`{conforms, ruleset, counts, groups: [...], findings: [...], not_checked, failed}`; groups are what a person
    reads. `failed` are `{rule, reason}` of rules that could not be evaluated: they refuse nothing."""
    return {
        "conforms": report.conforms,
        "ruleset": report.ruleset,
        "counts": {severity.value.lower(): report.count(severity) for severity in Severity},
        "groups": [asdict(group) for group in report.groups()],
        "findings": [_finding(finding) for finding in report.findings],
        "not_checked": list(report.not_checked),
        "failed": [{"rule": rule, "reason": reason} for rule, reason in report.failed],
    }


def _finding(finding: model.Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "message": finding.message,
        "focus": finding.focus,
        "path": finding.path,
        "value": finding.value,
        "component": finding.component,
        "line": finding.line,
        "column": finding.column,
        "waived_until": None if finding.waived_until is None else finding.waived_until.isoformat(),
    }


def fair_json(assessment: fair.Assessment) -> dict[str, Any]:
    """`{score, findable, accessible, interoperable, reusable, at, indicators: [...]}`, `at` as ISO 8601 has it."""
    found = asdict(assessment)
    return {**found, "at": assessment.at.isoformat(), "indicators": list(found["indicators"])}


def decision_json(decision: model.Decision) -> dict[str, Any]:
    return {
        "action": decision.action.value,
        "allowed": decision.allowed,
        "reasons": list(decision.reasons),
        "policy": decision.policy,
        "revision": decision.revision,
    }


def outcome_json(outcome: model.Outcome, *, dry_run: bool) -> dict[str, Any]:
    """What became of one document: `{status, key, product, change, revision, changes, comparison, breaks,
    report, fair, problem}`.

    `change` is created, updated, unchanged or null; `problem` says why when null. `status` is 201 for what was
    created; a dry run creates nothing, so 200.
    """
    done = 201 if outcome.change == "created" and not dry_run else 200
    fault: Mapping[str, Any] | None = None
    if isinstance(outcome.error, errors.FairmeshError):
        fault = problem_of(outcome.error)
    elif outcome.error is not None:
        fault = problem(500, "internal", "internal fault")
    return {
        "status": done if outcome.error is None else status_of(outcome.error),
        "key": outcome.key,
        "product": outcome.product,
        "change": outcome.change,
        "revision": outcome.revision,
        "changes": [asdict(change) for change in outcome.changes],
        "comparison": comparison_json(outcome.comparison) if outcome.comparison is not None else None,
        **breaks_json(outcome.breaks),
        "report": report_json(outcome.report) if outcome.report is not None else None,
        "fair": fair_json(outcome.fair) if outcome.fair is not None else None,
        "problem": fault,
    }
