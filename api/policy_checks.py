"""Policy files judged on this machine: by the gate that a server has, by their tests, and by OPA where there is one."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from fairmesh.api.opa import Opa, OpaFinding, find_opa
from fairmesh.api.problems import problem
from fairmesh.api.verdicts import Finding, Run, Verdict
from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.errors import ConfigError, FairmeshError, InputError, PolicyUnavailable
from fairmesh.catalog.policing import POLICY_FILES, TEST_SECONDS, read_folder, rules_of
from fairmesh.catalog.policyfiles import POLICIES
from fairmesh.catalog.policytables import Row, read_table
from fairmesh.catalog.policytests import entries, is_rego_test, is_table, run_tests
from fairmesh.catalog.rego import RegoError, compile_policies

WORDS = ("ok", "refused")


# -- what is judged ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proposal:
    """Policy files on disk: `files` by their path in a policy set, and `base`, the rules they are judged among."""

    folder: str
    domain: str | None
    files: Mapping[str, bytes]
    base: Mapping[str, bytes]

    @classmethod
    def read(cls, folder: str | None, domain: str | None) -> Proposal:
        """The files of a folder: a whole policy set (None: the one that ships) or, with a domain, that domain's files,
        judged beside the set that ships. Raises `InputError` (code `unreadable`)."""
        place = Path(folder) if folder else POLICIES
        if not place.is_dir():
            raise _unreadable(f"there is no folder {place}", "Name the folder that holds the *.rego files")
        if domain is not None and (place / "domains").is_dir():
            raise _unreadable(
                f"{place} is more than the files of the domain {domain}", f"Name {place / 'domains' / domain}"
            )
        try:
            found = read_folder(place)
        except ConfigError as error:
            raise _unreadable(error.message, error.remedy) from error
        if domain is None and not any(path.endswith(".rego") for path in found):
            raise _unreadable(f"no policy in {place}", "Name a folder that holds *.rego files")
        name = place.resolve().name
        if (
            domain is None
            and name in _OWNED
            and not any(path.startswith("fairmesh/") or "/" not in path for path in found)
        ):
            raise _unreadable(
                f"{place} is a part of a policy set", f"Name the folder above {name}/, which holds the whole set"
            )
        prefix = _prefix(domain)
        files = {prefix + path: body for path, body in found.items()}
        kept = {} if domain is None else rules_of(read_folder(POLICIES)).files
        return cls(
            str(place), domain, files, {path: body for path, body in kept.items() if not path.startswith(prefix)}
        )

    @property
    def whole(self) -> dict[str, bytes]:
        """All files, as a server would have them in force."""
        return {**self.base, **self.files}

    def shown(self, path: str) -> str:
        """Where a file of the set lies on disk; a file of the base has the path it ships under."""
        own = str(Path(self.folder) / path.removeprefix(_prefix(self.domain)))
        return own if path in self.files else str(POLICIES / path)

    def named(self, message: str) -> str | None:
        """The file that a message is about: the first of the set that it names."""
        named = [(message.index(path), -len(path), path) for path in self.whole if path in message]
        return min(named)[2] if named else None

    def told(self, message: str, line: int | None) -> list[str]:
        """What a server says of a set, with the files on this disk that it is about: a line for each fault whose place
        it gives, and one for all of them."""
        path = self.named(message)
        if path is None:
            return [message]
        paths = "|".join(map(re.escape, sorted(self.whole, reverse=True)))
        if not re.search(rf"(?:{paths}):\d", message):
            return [f"{self.shown(path)}{f':{line}' if line else ''}: {message.replace(f'{path}: ', '', 1)}"]
        head, *faults = re.split(rf"(?:: |; )(?=(?:{paths}):\d+: )", message)
        return [*(re.sub(paths, lambda found: self.shown(found[0]), fault, count=1) for fault in faults), head]


_OWNED = ("org", "domains")
"""Folders of a set whose place tells whose rules they hold."""


def _prefix(domain: str | None) -> str:
    return "" if domain is None else f"domains/{domain}/"


def _unreadable(message: str, remedy: str) -> InputError:
    return InputError(message, remedy=remedy, code="unreadable")


# -- judging ----------------------------------------------------------------------------------------------------------


class _Judge:
    """Gathers findings by file of the set, and makes a run of them."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.notes: list[str] = []
        self._found: dict[str, list[Finding]] = defaultdict(list)

    def add(self, path: str | None, finding: Finding) -> None:
        """`path` None: it is about the set as a whole."""
        self._found[path or ""].append(finding)

    def refuse(
        self, rule: str, path: str | None, message: str, *, line: int | None, column: int | None = None, name: str = ""
    ) -> None:
        where = self.proposal.folder if path is None else self.proposal.shown(path)
        self.add(path, Finding(rule, "VIOLATION", message, where, name or None, None, line, column))

    def error(self, rule: str, error: FairmeshError) -> None:
        path = self.proposal.named(error.message)
        message = f"{error.message}. {error.remedy}" if error.remedy else error.message
        message = message.replace(f"{path}: ", "", 1).removeprefix("the policy cannot be used: ")
        self.refuse(rule, path, message, line=error.line, column=error.column)

    def opa(self, rule: str, found: Iterable[OpaFinding]) -> None:
        """What OPA finds; not once more what was found without it in the same line."""
        for each in found:
            path = each.file if each.file in self.proposal.whole else None
            if rule == "policy/opa-test" and any(known.line == each.line for known in self._found.get(path or "", ())):
                continue
            self.refuse(rule, path, each.message, line=each.line, column=each.column, name=each.name)

    @property
    def refused(self) -> bool:
        return any(finding.severity == "VIOLATION" for found in self._found.values() for finding in found)

    def run(self, action: str) -> Run:
        paths = [*self.proposal.files, *(path for path in self._found if path not in self.proposal.files)]
        verdicts = tuple(self._verdict(path, self._found.get(path, [])) for path in paths)
        return Run(action, verdicts, WORDS, tuple(self.notes))

    def _verdict(self, path: str, found: list[Finding]) -> Verdict:
        file = self.proposal.shown(path) if path else self.proposal.folder
        gates = [finding for finding in found if finding.severity == "VIOLATION"]
        if not gates:
            return Verdict(file, 200, findings=tuple(found))
        count = f"{len(gates)} finding{'s' if len(gates) > 1 else ''}"
        return Verdict(
            file, 422, findings=tuple(found), problem=problem(422, "not-conforming", f"{count} in {file}")
        )  # fmt: skip


def check(proposal: Proposal) -> Run:
    """The gate that a server has at publish, and `opa check` where there is an OPA. Raises `ConfigError` (OPA)."""
    judge = _Judge(proposal)
    _gate(judge)
    opa, why = find_opa()
    if opa is None:
        judge.notes.append(f"not checked by OPA: {why}")
    else:
        judge.opa("policy/opa", opa.check(proposal.whole))
        judge.notes.append(f"also checked by OPA {opa.version}")
    return judge.run("policy check")


def _gate(judge: _Judge) -> _Listening | None:
    """The engine of the policies; None when there cannot be one."""
    proposal = judge.proposal
    engine: _Listening | None = None
    if not proposal.files:
        judge.notes.append(f"there is no policy in {proposal.folder}")
    try:
        POLICY_FILES.check(proposal.files)
        engine = _Listening(rules_of(proposal.whole))
    except (ConfigError, InputError) as error:
        judge.error("policy/load", error)
    for path, body in proposal.files.items():
        if is_table(path):
            try:
                read_table(body, path)
            except InputError as error:
                judge.error("policy/table", error)
    return engine


def test(proposal: Proposal, *, coverage: bool) -> Run:
    """The tests among the files, in process and in OPA where there is one; both must give the same answers.

    With `coverage` there is advice on each file with rows that no test reached. Raises `ConfigError` (OPA).
    """
    judge = _Judge(proposal)
    engine = _gate(judge)
    if engine is None or judge.refused:
        judge.notes.append("no test was run: the policy cannot be used as it is")
        return judge.run("policy test")
    _own_tests(judge, engine)
    asked = _questions(proposal, engine)
    opa, why = find_opa()
    if opa is None:
        judge.notes.append(f"not tested in OPA: {why}")
    else:
        _opa_tests(judge, opa, asked)
    if coverage and judge.refused:
        judge.notes.append("no coverage: it is measured on tests that pass")
    elif coverage:
        _cover(judge, asked)
    return judge.run("policy test")


def _own_tests(judge: _Judge, engine: _Listening) -> None:
    try:
        found = run_tests(Access(engine, engine.policies), judge.proposal.files, seconds=TEST_SECONDS)
    except InputError as error:
        judge.error("policy/test", error)
        return
    for failure in found.failures:
        name, _, message = failure.message.partition(": ")
        judge.refuse("policy/test", failure.file, message or name, line=failure.line, name=name if message else "")
    judge.notes.append(f"{_tests(found.passed)} passed in process")


def _opa_tests(judge: _Judge, opa: Opa, asked: Sequence[_Question]) -> None:
    files = judge.proposal.files
    if any(is_rego_test(path) for path in files):
        passed, failed = opa.test({**judge.proposal.base, **files})
        judge.opa("policy/opa-test", failed)
        judge.notes.append(f"{_tests(passed)} passed in OPA {opa.version}")
    try:
        answers = opa.answers(rules_of(judge.proposal.whole).files, [question.text for question in asked])
    except InputError as error:
        judge.error("policy/opa-test", error)
        return
    differ = [pair for pair in zip(asked, answers, strict=True) if pair[1] != pair[0].answer]
    for question, answer in differ:
        judge.refuse(
            "policy/engines", question.file, f"OPA answers {_short(answer)}, fairmesh {_short(question.answer)}",
            line=question.row.line, name=question.row.name,
        )  # fmt: skip
    if asked:
        alike = f"{len(asked) - len(differ)} of {len(asked)}"
        judge.notes.append(f"OPA {opa.version} answers {alike} questions of the tables alike")


def _tests(count: int) -> str:
    return f"{count} test{'' if count == 1 else 's'}"


def _short(answer: object) -> str:
    return "nothing" if answer is None else orjson.dumps(answer).decode()[:300]


@dataclass(frozen=True, slots=True)
class _Question:
    """What a row of a table made the embedded engine answer; None: nothing."""

    file: str
    row: Row
    text: str
    answer: object


class _Listening(EmbeddedEngine):
    """The embedded engine, with an ear for what it is asked and a memory for what it answers."""

    def __init__(self, policies: PolicySet) -> None:
        super().__init__(policies)
        self.policies = policies
        self.heard: list[tuple[str, object]] = []
        self._known: dict[str, object] = {}

    def evaluate(self, inputs: Sequence[str]) -> list[object]:
        answers = [self._answer(text) for text in inputs]
        failed = [answer for answer in answers if isinstance(answer, PolicyUnavailable)]
        self.heard += [(text, None if failed else answer) for text, answer in zip(inputs, answers, strict=True)]
        if failed:
            raise failed[0]
        return answers

    def _answer(self, text: str) -> object:
        if text not in self._known:
            try:
                (self._known[text],) = super().evaluate([text])
            except PolicyUnavailable as error:
                self._known[text] = error
        return self._known[text]


def _questions(proposal: Proposal, engine: _Listening) -> list[_Question]:
    """Every question that the tables put to an engine; rows that ask the same as one before, and rows that are denied
    without asking, put none."""
    access = Access(engine, engine.policies)
    engine.heard.clear()
    found: list[_Question] = []
    for path, body in proposal.files.items():
        for row in read_table(body, path) if is_table(path) else ():
            with suppress(PolicyUnavailable):
                row.failure(access)
            found += [_Question(path, row, text, answer) for text, answer in engine.heard]
            engine.heard.clear()
    return found


# -- coverage ---------------------------------------------------------------------------------------------------------


def _cover(judge: _Judge, asked: Sequence[_Question]) -> None:
    """Run all tests again, watched: tables by what they ask, Rego tests by name, cases by their inputs."""
    files = judge.proposal.files
    tests = {path: body for path, body in files.items() if is_rego_test(path)}
    found = [entry for path, body in tests.items() for entry in entries(path, body)]
    program = compile_policies(PolicySet.from_files({**rules_of(judge.proposal.whole).files, **tests}))
    coverage = program.coverage()
    for question in asked:
        with suppress(RegoError):
            coverage.evaluate(question.text)
    for entry in found:
        with suppress(RegoError):
            value = coverage.evaluate(None, entry.rule)
            for case in value.values() if entry.kind == "cases" and isinstance(value, dict) else ():
                coverage.evaluate(json.dumps(case["input"]))
    for path, rows in coverage.rows().items():
        if path in files and not is_rego_test(path):
            missed = [row for row, reached in rows.items() if not reached]
            share = f"{100 * (len(rows) - len(missed)) // len(rows)} % of {len(rows)} rows"
            judge.notes.append(f"coverage of {judge.proposal.shown(path)}: {share}")
            if missed:
                message = f"no test reaches {_ranges(missed)} ({share} reached)"
                judge.add(path, Finding("policy/coverage", "INFO", message, path, None, None, missed[0], None))


def _ranges(rows: Sequence[int]) -> str:
    """`row 3`, `rows 3, 5-7`."""
    spans: list[list[int]] = []
    for row in rows:
        if spans and spans[-1][1] == row - 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    return f"row{'s' if len(rows) > 1 else ''} {shown}"
