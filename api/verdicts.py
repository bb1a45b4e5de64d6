"""What became of documents, wherever it was decided: here without a server, or by one. And the exit code it makes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fairmesh.api.comparisons import version_line
from fairmesh.api.problems import problem_of, report_json
from fairmesh.api.wording import letters_text
from fairmesh.catalog.errors import BreakingChange, FairmeshError
from fairmesh.catalog.fair import PRODUCT_WEIGHT, WEIGHTS, Basis
from fairmesh.catalog.model import Report, Severity
from fairmesh.catalog.rulefiles import RULES

VERSION_STEP = "version-step"
"""The advice, or warning, that the version does not move as the changes demand."""
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
    """One result of a rule. `severity` is a word of `Severity`; `path` and `value` as in `model.Finding`.

    `waived_until` is a moment as ISO 8601 has it: a violation that does not gate until then. `component` is the IRI of
    the constraint component, where it is known.
    """

    rule: str
    severity: str
    message: str
    focus: str
    path: str | None
    value: str | None
    line: int | None
    column: int | None
    waived_until: str | None = None
    component: str | None = None

    @property
    def gates(self) -> bool:
        return self.severity == Severity.VIOLATION.value and self.waived_until is None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Finding:
        return cls(
            found["rule"], found["severity"], found["message"], found["focus"], found["path"], found["value"],
            found["line"], found["column"], found.get("waived_until"), found.get("component"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """One document. `file` (and `record` in it) is where it came from.

    `status` is that of the HTTP contract. `change` is created, updated, unchanged or written; None when it was only
    checked, or refused: then `problem` says why. `findings` are there whether or not they refuse. `stopped` are rules
    that could not be evaluated, `{rule, reason}`. `fair` is its FAIR
    assessment as `fair_json` has it; None when it was not assessed. `product` is its IRI; `comparison` with the
    revision before, and whom that `breaks`, are as `comparison_json` and `breaks_json` have them; None: not compared.
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
    fair: Mapping[str, Any] | None = None
    product: str | None = None
    comparison: Mapping[str, Any] | None = None
    breaks: tuple[Mapping[str, Any], ...] = ()
    breaks_truncated: bool = False
    stopped: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def of(cls, file: str, result: Mapping[str, Any], *, key: str | None = None, record: str = "") -> Verdict:
        """From a result of the server; `key` is what the document is called when the server does not say."""
        report = result.get("report") or {}
        return cls(
            file, result["status"], result.get("key") or key, record, result.get("change"), result.get("revision"),
            tuple(result.get("changes") or ()), tuple(Finding.of(found) for found in report.get("findings", ())),
            tuple(report.get("not_checked", ())), result.get("problem"), result.get("fair"),
            result.get("product"), result.get("comparison"), tuple(result.get("breaks") or ()),
            bool(result.get("breaks_truncated")), tuple(report.get("failed", ())),
        )  # fmt: skip

    @classmethod
    def judged(cls, file: str, key: str, report: Report, *, record: str = "") -> Verdict:
        """From a report made without a server."""
        gates = sorted({finding.rule for finding in report.findings if finding.gates})
        problem = {"code": "not-conforming", "detail": f"{key} breaks " + rules_text(gates)} if gates else None
        result = {"status": 422 if gates else 200, "key": key, "report": report_json(report), "problem": problem}
        return cls.of(file, result, record=record)

    @classmethod
    def failed(cls, file: str, error: FairmeshError, *, key: str | None = None, record: str = "") -> Verdict:
        """From an error that ended it. An error of no HTTP kind of its own counts as 503."""
        problem = problem_of(error)
        return cls(file, 503 if problem["status"] == 500 else problem["status"], key, record, problem=problem)

    def at_least(self, mark: float, place: tuple[int, int] | None = None) -> Verdict:
        """Refused, with the code `fair-too-low`, when its FAIR score is under `mark`; nothing passes unassessed.

        What would raise the score comes as findings of advice, at `place` (line and column) where that is known.
        """
        if self.fair is None:
            unknown = {"code": "fair-unknown", "detail": "the server did not assess how FAIR this is",
                       "remedy": "Leave out --min-fair, or --server"}  # fmt: skip
            return replace(self, status=503, problem=unknown) if self.ok else self
        if self.fair["score"] >= mark:
            return self
        line, column = place or (None, None)
        advice = tuple(_raise(indicator, self.key or "", line, column) for indicator in _failing(self.fair))
        letters = letters_text(*(self.fair[name] for name in _LETTERS))
        problem = {
            "code": "fair-too-low", "detail": f"its FAIR score is {self.fair['score']:.4g}, under {mark:g} ({letters})",
            "remedy": "Mend what the advice names", "line": line, "column": column,
        }  # fmt: skip
        found = replace(self, findings=self.findings + advice)
        return replace(found, status=422, problem=problem) if self.ok else found

    def at_version(self) -> Verdict:
        """With a step of the version that is missing and refuses nothing as a finding `version-step`, where
        `dcat:version` is stated: a warning when something live breaks, else advice."""
        if self.comparison is None or self.comparison["version"]["enough"] or self.code == BreakingChange.code:
            return self
        line, column = (self.comparison["version"].get(name) for name in ("line", "column"))
        severity = Severity.WARNING if self.comparison["unannounced"] else Severity.INFO
        said, focus = version_line(self.comparison), self.product or self.key or ""
        step = Finding(VERSION_STEP, severity.value, said, focus, None, None, line, column)
        return replace(self, findings=(*self.findings, step))

    def unplaced(self) -> Verdict:
        """Without lines and columns: those of a converted document mean nothing in its source."""
        nowhere = {"line": None, "column": None}
        findings = tuple(replace(finding, line=None, column=None) for finding in self.findings)
        problem = None if self.problem is None else {**self.problem, **nowhere}
        if problem is not None and "breaking" in problem:
            problem["breaking"] = [{**change, **nowhere} for change in problem["breaking"]]
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

    def groups(self) -> list[list[Finding]]:
        """Findings that say the same together: of one rule, path and message, in the order of severity and these; what
        is waived comes after what gates."""
        order = [severity.value for severity in Severity]
        found: dict[tuple[int, str, str, str, str], list[Finding]] = defaultdict(list)
        for finding in self.findings:
            place = (
                order.index(finding.severity), finding.waived_until or "", finding.rule, finding.path or "",
                finding.message,
            )  # fmt: skip
            found[place].append(finding)
        return [sorted(found[place], key=lambda f: (f.line is None, f.line or 0)) for place in sorted(found)]


_LETTERS = ("findable", "accessible", "interoperable", "reusable")


def _failing(fair: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [it for it in fair["indicators"] if it["basis"] == Basis.PRODUCT and not it["passed"]]


def _raise(indicator: Mapping[str, Any], focus: str, line: int | None, column: int | None) -> Finding:
    weight = WEIGHTS[indicator["priority"]] / PRODUCT_WEIGHT
    message = f"{indicator['title']} (+{weight:.2f}): {indicator['evidence']}. {indicator['fix']}"
    return Finding(indicator["code"], Severity.INFO.value, message, focus, None, None, line, column)


def rules_text(rules: Sequence[str]) -> str:
    """`rule 04`, `rules 04, 12`."""
    return ("rule " if len(rules) == 1 else "rules ") + ", ".join(rules)


_RULE = re.compile("core/|org/[^/]+/|domains/[^/]+/")
"""What the ids of a mesh's rules begin with."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one command has to say. `action` is its name, such as validate or policy test; `words` what a document
    can become in it, in the order of the closing table; `pages` what the addresses of rules' pages begin with, empty
    where findings are of no rule that has one."""

    action: str
    verdicts: tuple[Verdict, ...]
    words: tuple[str, ...]
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    pages: str = ""

    def page(self, rule: str) -> str | None:
        """The address of a rule's page; None when it has none. An organisation's own rules have theirs on its servers
        alone, not where the ones that ship have them."""
        if not self.pages or not _RULE.match(rule) or (self.pages == RULES and not rule.startswith("core/")):
            return None
        return self.pages + quote(rule)

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
        gates = [f for f in verdict.findings if f.gates]
        for rule, message in [(f.rule, f.message) for f in gates] or [(verdict.code, verdict.why)]:
            found[rule, message].append(number)
    every = [Reason(rule, message, len(set(where)), len(where)) for (rule, message), where in found.items()]
    return sorted(every, key=lambda reason: (-reason.documents, reason.rule, reason.message))
