"""What became of documents, wherever it was decided: here without a server, or by one. And the exit code it makes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairmesh.api.problems import problem_of, report_json
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.model import Report, Severity

OK, REFUSED, UNREADABLE, DENIED, CONFLICT, UNAVAILABLE = range(6)
"""The exit codes of the command line."""

_CODES = {401: DENIED, 403: DENIED, 409: CONFLICT, 412: CONFLICT, 413: UNREADABLE, 415: UNREADABLE}
_UNREADABLE = ("syntax", "too-large", "unsupported", "invalid", "unreadable", "limit")
"""Codes of documents and options nobody can read; the other 400s are rules of documents that were broken."""


def exit_code(status: int, code: str) -> int:
    """The exit code of one failure, given its HTTP status and its problem's code."""
    if status >= 500 or status == 429:
        return UNAVAILABLE
    if status in _CODES:
        return _CODES[status]
    return UNREADABLE if code in _UNREADABLE or 300 <= status < 400 else REFUSED


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a rule. `severity` is a word of `Severity`; `path` and `value` as in `model.Finding`."""

    rule: str
    severity: str
    message: str
    focus: str
    path: str | None
    value: str | None
    line: int | None
    column: int | None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Finding:
        return cls(
            found["rule"], found["severity"], found["message"], found["focus"], found["path"], found["value"],
            found["line"], found["column"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """One document. `file` (and `record` in it) is where it came from.

    `status` is that of the HTTP contract. `change` is created, updated, unchanged or written; None when it was only
    checked, or refused: then `problem` says why. `findings` are there whether or not they refuse.
    """

    file: str
    status: int
    key: str | None = None
    record: str = ""
    change: str | None = None
    revision: int | None = None
    changes: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[str, ...] = ()
    problem: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, file: str, result: Mapping[str, Any], *, key: str | None = None, record: str = "") -> Verdict:
        """From a result of the server; `key` is what the document is called when the server does not say."""
        report = result.get("report") or {}
        return cls(
            file, result["status"], result.get("key") or key, record, result.get("change"), result.get("revision"),
            tuple(result.get("changes") or ()), tuple(Finding.of(found) for found in report.get("findings", ())),
            tuple(report.get("not_checked", ())), result.get("problem"),
        )  # fmt: skip

    @classmethod
    def judged(cls, file: str, key: str, report: Report, *, record: str = "") -> Verdict:
        """From a report made without a server."""
        gates = sorted({finding.rule for finding in report.findings if finding.severity is Severity.VIOLATION})
        problem = {"code": "not-conforming", "detail": f"{key} breaks " + rules_text(gates)} if gates else None
        result = {"status": 422 if gates else 200, "key": key, "report": report_json(report), "problem": problem}
        return cls.of(file, result, record=record)

    @classmethod
    def failed(cls, file: str, error: FairmeshError, *, key: str | None = None, record: str = "") -> Verdict:
        """From an error that ended it. An error of no HTTP kind of its own counts as 503."""
        problem = problem_of(error)
        return cls(file, 503 if problem["status"] == 500 else problem["status"], key, record, problem=problem)

    def unplaced(self) -> Verdict:
        """Without lines and columns: those of a converted document mean nothing in its source."""
        findings = tuple(replace(finding, line=None, column=None) for finding in self.findings)
        problem = self.problem and {**self.problem, "line": None, "column": None}
        return replace(self, findings=findings, problem=problem)

    @property
    def ok(self) -> bool:
        return self.problem is None

    @property
    def word(self) -> str:
        """created, updated, unchanged or written; ok for what was only checked; refused."""
        return (self.change or "ok") if self.ok else "refused"

    @property
    def code(self) -> str:
        return str((self.problem or {}).get("code", ""))

    @property
    def exit_code(self) -> int:
        return OK if self.ok else exit_code(self.status, self.code)

    @property
    def line(self) -> int | None:
        return (self.problem or {}).get("line")

    @property
    def column(self) -> int | None:
        return (self.problem or {}).get("column")

    @property
    def why(self) -> str:
        """The problem and its remedy, on one line; empty when there is none."""
        if self.problem is None:
            return ""
        detail, remedy = str(self.problem.get("detail", "")), str(self.problem.get("remedy") or "")
        return f"{detail}. {remedy}" if remedy else detail

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity.value for finding in self.findings)

    def groups(self) -> list[list[Finding]]:
        """Findings that say the same together: of one rule, path and message, in the order of severity and these."""
        order = [severity.value for severity in Severity]
        found: dict[tuple[int, str, str, str], list[Finding]] = defaultdict(list)
        for finding in self.findings:
            found[order.index(finding.severity), finding.rule, finding.path or "", finding.message].append(finding)
        return [sorted(found[place], key=lambda f: f.line or 0) for place in sorted(found)]


def rules_text(rules: Sequence[str]) -> str:
    """`rule 04`, `rules 04, 12`."""
    return ("rule " if len(rules) == 1 else "rules ") + ", ".join(rules)


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one command has to say. `action` is its name, such as validate or policy test; `words` what a document
    can become in it, in the order of the closing table."""

    action: str
    verdicts: tuple[Verdict, ...]
    words: tuple[str, ...]
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def exit_code(self) -> int:
        """5 when the service failed anywhere; the failures' own code when they are all alike; else 1."""
        codes = {verdict.exit_code for verdict in self.verdicts} - {OK}
        if UNAVAILABLE in codes:
            return UNAVAILABLE
        return codes.pop() if len(codes) == 1 else (REFUSED if codes else OK)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why documents were refused: how many documents, and how often."""

    rule: str
    message: str
    documents: int
    times: int


def reasons(verdicts: Iterable[Verdict]) -> list[Reason]:
    """Why documents were refused, most documents first: by rule and message, or by the problem's code and text."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, verdict in enumerate(verdict for verdict in verdicts if not verdict.ok):
        gates = [f for f in verdict.findings if f.severity == Severity.VIOLATION.value]
        for rule, message in [(f.rule, f.message) for f in gates] or [(verdict.code, verdict.why)]:
            found[rule, message].append(number)
    every = [Reason(rule, message, len(set(where)), len(where)) for (rule, message), where in found.items()]
    return sorted(every, key=lambda reason: (-reason.documents, reason.rule, reason.message))
