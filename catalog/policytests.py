"""The tests that policies bring along, run in process: golden tables, cases, and rules named `test_...`.

A file `*_test.rego` may hold `cases`, an object of name -> {"input": ..., "answer": ...}: the answer is the whole
decision on the input's one resource, `r`. Rules named `test_...` must be true. What says `with` cannot be run here:
OPA runs it (`opa test`).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from fairmesh.catalog.access import Access, PolicySet
from fairmesh.catalog.errors import ConfigError, InputError, PolicyUnavailable, TooLarge
from fairmesh.catalog.policyfiles import ENTRY
from fairmesh.catalog.policytables import read_table
from fairmesh.catalog.rego import Program, RegoError, compile_policies

MAX_ROWS = 5_000
"""Rows that all golden tables of a set may have together."""
_FAILS = "the policy cannot be evaluated: it conflicts, fails, or takes too long"
_PACKAGE = re.compile(r"(?m)^package\s+([\w.]+)")
_TEST = re.compile(r"(?m)^(test_\w+)(.?)")
_CASES = re.compile(r"(?m)^cases\b")
_WITH = re.compile(r"\bwith\b")


@dataclass(frozen=True, slots=True)
class TestFailure:
    """A test that did not pass: where it stands and what happened instead."""

    __test__ = False

    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class TestRun:
    """What became of the tests. `not_run` names those that only OPA can run, as `file: rule`."""

    __test__ = False

    passed: int
    failures: tuple[TestFailure, ...]
    not_run: tuple[str, ...]


def is_rule(path: str) -> bool:
    return path.endswith(".rego") and not is_rego_test(path)


def is_rego_test(path: str) -> bool:
    return path.endswith("_test.rego")


def is_table(path: str) -> bool:
    """A golden table: `decisions/*.yaml`, at any depth."""
    return path.endswith(".yaml") and PurePosixPath(path).parent.name == "decisions"


def count_tests(body: bytes) -> int:
    """How many rules of a `*_test.rego` file are tests."""
    return len({name for name, _ in _TEST.findall(body.decode())})


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
    return TestRun(run.passed, tuple(run.failures), tuple(run.not_run))


class _Hopeless(Exception):
    """No further test is worth its time: the time for all of them is over, or the policy cannot be evaluated."""

    def __init__(self, path: str, line: int, message: str) -> None:
        self.failure = TestFailure(path, line, message)


class _Run:
    def __init__(self, access: Access, end: float) -> None:
        self.passed = 0
        self.failures: list[TestFailure] = []
        self.not_run: list[str] = []
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
        """Files that say `with` are left to OPA, but for their cases: the planner cannot read them."""
        readable = {}
        for path, body in files.items():
            if _WITH.search("".join(PolicySet({path: body}, "").code())):
                self.not_run += [f"{path}: {name}" for name, _ in _TEST.findall(body.decode())]
            else:
                readable[path] = body
        found_in = {path: list(entries(path, body)) for path, body in readable.items()}
        if any(found_in.values()):
            program = self._program(readable, [entry for found in found_in.values() for _, entry, _ in found])
            for path, found in found_in.items():
                for line, entry, is_cases in found:
                    self._in_time(path, line)
                    self._entry(program, path, line, entry, is_cases)

    def _program(self, files: Mapping[str, bytes], entries: list[str]) -> Program:
        policies = PolicySet.from_files({**self._access.policies.files, **files})
        try:
            return compile_policies(policies, (ENTRY, *dict.fromkeys(entries)))
        except ConfigError as error:
            raise InputError(error.message, line=error.line, column=error.column, remedy=error.remedy) from error

    def _entry(self, program: Program, path: str, line: int, entry: str, is_cases: bool) -> None:
        name = entry.rpartition("/")[2]
        try:
            value = program.evaluate("{}", entry)
        except RegoError as error:
            self._count(path, line, name, f"it cannot be evaluated: {error}")
            return
        if not is_cases:
            self._count(path, line, name, None if value is True else "it is not true")
        elif isinstance(value, dict):
            for case, stated in value.items():
                self._in_time(path, line)
                try:
                    self._count(path, line, case, _case(program, stated))
                except RegoError as error:
                    raise _Hopeless(path, line, f"{case}: {_FAILS}") from error
        else:
            self._count(path, line, name, "it is not an object of cases")

    def _in_time(self, path: str, line: int) -> None:
        if time.monotonic() > self._end:
            raise _Hopeless(path, line, "not reached in time: the tests take too long")

    def _count(self, path: str, line: int, name: str, failure: str | None) -> None:
        if failure is None:
            self.passed += 1
        else:
            self.failures.append(TestFailure(path, line, f"{name}: {failure}"))


def entries(path: str, body: bytes) -> Iterator[tuple[int, str, bool]]:
    """Line, entry point, and whether it holds cases, of what can be run in a test file. Raises `InputError`."""
    text = body.decode()
    package = _PACKAGE.search(text)
    if package is None:
        raise InputError(f"{path} has no package", line=1, remedy="Begin it with `package` and a name")
    folder = package[1].replace(".", "/")
    for found in _TEST.finditer(text):
        if found[2] != "[":  # a test of many cases is an object, in which a case that fails is only missing
            yield text.count("\n", 0, found.start()) + 1, f"{folder}/{found[1]}", False
    cases = _CASES.search(text)
    if cases is not None:
        yield text.count("\n", 0, cases.start()) + 1, f"{folder}/cases", True


def _case(program: Program, stated: object) -> str | None:
    """What is wrong with a case. Raises `RegoError`."""
    if not isinstance(stated, dict) or set(stated) != {"input", "answer"}:
        return "a case has `input` and `answer`, nothing else"
    answer = program.evaluate(json.dumps(stated["input"], ensure_ascii=False))
    return None if answer == {"r": stated["answer"]} else f"the answer is {json.dumps(answer)}"
