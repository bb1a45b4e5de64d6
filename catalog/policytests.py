"""The tests that policies bring along, run in process: golden tables, cases, and rules named `test_...`.

A file `*_test.rego` may hold `cases`, an object of name -> {"input": ..., "answer": ...}: the answer is the whole
decision on the input's one resource, `r`. Rules named `test_...` must be true; a rule `test_...[case]` must be true for
every case, and have one. They may say `with`, but not replace functions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from fairmesh.catalog.access import Access, PolicySet
from fairmesh.catalog.errors import ConfigError, InputError, PolicyUnavailable, TooLarge
from fairmesh.catalog.policytables import read_table
from fairmesh.catalog.rego import Program, RegoError, RegoSyntaxError, Rule, compile_policies, read

MAX_ROWS = 5_000
"""Rows that all golden tables of a set may have together."""
_FAILS = "the policy cannot be evaluated: it conflicts, fails, or takes too long"
_SHOWN_CASES = 5


@dataclass(frozen=True, slots=True)
class TestFailure:
    """A test that did not pass: where it stands and what happened instead."""

    __test__ = False

    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class TestRun:
    """How many tests passed, a rule with cases counting once, and what is known of the others."""

    __test__ = False

    passed: int
    failures: tuple[TestFailure, ...]


@dataclass(frozen=True, slots=True)
class RegoEntry:
    """What is run of a file `*_test.rego`: the rule at the path `rule` (with slashes).

    `kind` is `test`, a rule that must be true, `keyed`, one that must be true for every case, or `cases`.
    """

    line: int
    rule: str
    kind: str

    @property
    def name(self) -> str:
        return self.rule.rpartition("/")[2]


def is_rule(path: str) -> bool:
    return path.endswith(".rego") and not is_rego_test(path)


def is_rego_test(path: str) -> bool:
    return path.endswith("_test.rego")


def is_table(path: str) -> bool:
    """A golden table: `decisions/*.yaml`, at any depth."""
    return path.endswith(".yaml") and PurePosixPath(path).parent.name == "decisions"


@lru_cache(maxsize=512)
def count_tests(body: bytes) -> int:
    """How many rules of a `*_test.rego` file are tests; 0 when it cannot be read."""
    try:
        return len({entry.rule for entry in entries("", body) if entry.kind != "cases"})
    except InputError:
        return 0


def run_tests(access: Access, tests: Mapping[str, bytes], *, seconds: float) -> TestRun:
    """Run the tests among these files against the policies of `access`, all of them within `seconds`.

    Raises `InputError` for a test file that cannot be read, with its line.
    """
    run = _Run(access, time.monotonic() + seconds)
    try:
        for path, body in tests.items():
            if is_table(path):
                run.table(path, body)
        run.rego({path: body for path, body in tests.items() if is_rego_test(path)})
    except _Hopeless as end:
        run.failures.append(end.failure)
    return TestRun(run.passed, tuple(run.failures))


class _Hopeless(Exception):
    """No further test is worth its time: the time for all of them is over, or the policy cannot be evaluated."""

    def __init__(self, path: str, line: int, message: str) -> None:
        self.failure = TestFailure(path, line, message)


class _Run:
    def __init__(self, access: Access, end: float) -> None:
        self.passed = 0
        self.failures: list[TestFailure] = []
        self._access = access
        self._end = end
        self._rows = 0

    def table(self, path: str, body: bytes) -> None:
        rows = read_table(body, path)
        self._rows += len(rows)
        if self._rows > MAX_ROWS:
            raise TooLarge(f"more than {MAX_ROWS:,} rows in golden tables", remedy="Keep those that tell most")
        for row in rows:
            self._in_time(path, row.line)
            try:
                self._count(path, row.line, row.name, row.failure(self._access))
            except PolicyUnavailable:
                raise _Hopeless(path, row.line, f"{row.name}: {_FAILS}") from None

    def rego(self, files: Mapping[str, bytes]) -> None:
        if not files:
            return
        program = self._program(files)
        run: set[str] = set()
        for path, body in files.items():
            for entry in entries(path, body):
                self._in_time(path, entry.line)
                if entry.rule in run:
                    self._count(path, entry.line, entry.name, "another test has this name: give it one of its own")
                else:
                    self._entry(program, path, entry)
                run.add(entry.rule)

    def _program(self, files: Mapping[str, bytes]) -> Program:
        try:
            return compile_policies(PolicySet.from_files({**self._access.policies.files, **files}))
        except ConfigError as error:
            raise InputError(error.message, line=error.line, column=error.column, remedy=error.remedy) from error

    def _entry(self, program: Program, path: str, entry: RegoEntry) -> None:
        try:
            if entry.kind == "cases":
                self._cases(program, path, entry, program.evaluate(None, entry.rule))
                return
            failure = _keyed(program, entry.rule) if entry.kind == "keyed" else _plain(program, entry.rule)
        except RegoError as error:
            failure = f"it cannot be evaluated: {error}"
        self._count(path, entry.line, entry.name, failure)

    def _cases(self, program: Program, path: str, entry: RegoEntry, cases: object) -> None:
        if not isinstance(cases, dict):
            self._count(path, entry.line, entry.name, "it is not an object of cases")
            return
        for case, stated in cases.items():
            self._in_time(path, entry.line)
            try:
                self._count(path, entry.line, case, _case(program, stated))
            except RegoError as error:
                raise _Hopeless(path, entry.line, f"{case}: {_FAILS}") from error

    def _in_time(self, path: str, line: int) -> None:
        if time.monotonic() > self._end:
            raise _Hopeless(path, line, "not reached in time: the tests take too long")

    def _count(self, path: str, line: int, name: str, failure: str | None) -> None:
        if failure is None:
            self.passed += 1
        else:
            self.failures.append(TestFailure(path, line, f"{name}: {failure}"))


def entries(path: str, body: bytes) -> Iterator[RegoEntry]:
    """What is run of a file `*_test.rego`, in the order it stands there. Raises `InputError`."""
    try:
        module = read(body.decode())
    except RegoSyntaxError as error:
        line, column = error.place
        raise InputError(
            f"{path}: {error.message}", line=line, column=column, remedy=error.remedy or "Mend the file"
        ) from None
    package, stated = "/".join(module.package), {rule.name for rule in module.rules if not rule.default}
    has_cases = False
    for rule in module.rules:
        if rule.name == ("cases",) and not has_cases:
            has_cases = True
            yield RegoEntry(rule.place[0], f"{package}/cases", "cases")
        name = _test_name(rule)
        if name and not (rule.default and rule.name in stated):  # a default is a part of the test
            yield RegoEntry(rule.place[0], f"{package}/{name}", "keyed" if rule.keys else "test")


def _test_name(rule: Rule) -> str:
    """The name up to the first part that makes it one of a test, as in OPA; empty for other rules."""
    at = next((i for i, part in enumerate(rule.name) if part.startswith("test_")), None)
    return "" if at is None else "/".join(rule.name[: at + 1])


def _plain(program: Program, rule: str) -> str | None:
    """What is wrong with a test. Raises `RegoError`."""
    return None if program.evaluate(None, rule) is True else "it is not true"


def _keyed(program: Program, rule: str) -> str | None:
    """What is wrong with a test that has cases. Raises `RegoError`."""
    cases = program.cases(rule)
    if not cases:
        return "it has no case"
    failed = sorted(case for case, holds in cases.items() if not holds)
    more = f" and {len(failed) - _SHOWN_CASES} more" if len(failed) > _SHOWN_CASES else ""
    return f"it is not true for {', '.join(failed[:_SHOWN_CASES])}{more}" if failed else None


def _case(program: Program, stated: object) -> str | None:
    """What is wrong with a case. Raises `RegoError`."""
    if not isinstance(stated, dict) or set(stated) != {"input", "answer"}:
        return "a case has `input` and `answer`, nothing else"
    answer = program.evaluate(json.dumps(stated["input"], ensure_ascii=False))
    return None if answer == {"r": stated["answer"]} else f"the answer is {json.dumps(answer)}"
