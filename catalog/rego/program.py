"""Compiled policies and their evaluation, under a budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.policyfiles import ENTRY, PolicySet
from fairmesh.catalog.rego.code import MISSING, Code, Group, InFile
from fairmesh.catalog.rego.gate import check_module
from fairmesh.catalog.rego.link import Linked, link
from fairmesh.catalog.rego.names import Path, fixed_path, inputs_of
from fairmesh.catalog.rego.syntax import Body, Every, Literal, Not, RegoSyntaxError, With, read
from fairmesh.catalog.rego.uses import check_linked
from fairmesh.catalog.rego.values import HOLDING, TRUE, UNDEFINED, Object, RegoError, dot, parse, plain, upsert, weight

MAX_STEPS = 20_000_000
MAX_INPUT = 10_000_000
_MAX_TRACED = 10_000
_MAX_CASES = 10_000
_GRAIN = 256
_FIXED_SECONDS = 0.5
"""For all rules together that are worked out when a policy is loaded."""
_NO_DATA = Object()


@dataclass(frozen=True, slots=True)
class Step:
    """What a rule gave, unless it is false, null or empty: its file and row, its name, and its JSON value.

    Of a set it is one member.
    """

    file: str
    row: int
    rule: str
    value: object


class _Budget:
    """What one evaluation may still spend. `left` counts down to the next look at the clock."""

    __slots__ = ("compiled", "end", "left", "steps")

    def __init__(self, compiled: _Compiled, seconds: float) -> None:
        self.compiled = compiled
        self.end = time.monotonic() + seconds
        self.steps = 0
        self.left = 0

    def charge(self, *operands: Any) -> None:
        """Spend for what goes through its operands: a function, a comparison, a set that takes one in."""
        self.left -= 1 + sum(map(weight, operands))
        if self.left < 0:
            self.renew()

    def made(self, result: Any) -> None:
        """Spend for what a function made: for its room more than for its time."""
        kind = type(result)
        if kind is str:
            self.left -= len(result) >> 2
        elif kind in HOLDING:
            self.left -= len(result) << 2
        if self.left < 0:
            self.renew()

    def renew(self) -> None:
        self.steps += _GRAIN - self.left
        self.left = _GRAIN
        if self.steps > MAX_STEPS:
            raise RegoError(f"more than {MAX_STEPS} steps")
        if time.monotonic() > self.end:
            raise RegoError("out of time")

    def under(
        self, memo: list[Any], input: Any, data: Any, changes: Iterable[tuple[tuple[str, ...], Any]]
    ) -> tuple[list[Any], Any, Any]:
        """Memo, input and data for what stands under `with`."""
        replaced = list(memo[-1])
        for path, value in changes:
            if path[0] == "input":
                input = upsert(input, path[1:], value)
            else:
                data = upsert(data, path[1:], value)
                replaced.append((path[1:], value))
        return self.compiled.begin(self, replaced), input, data


class _Watch(_Budget):
    """A budget that also takes down what watched code says."""

    __slots__ = ("cases", "given", "reached")

    def __init__(self, compiled: _Compiled, seconds: float) -> None:
        super().__init__(compiled, seconds)
        self.reached: set[tuple[int, int]] = set()
        self.given: list[tuple[str, tuple[int, int], Any]] = []
        self.cases: dict[Path, dict[tuple[Any, ...], None]] = {}

    def gave(self, rule: str, place: tuple[int, int], value: Any) -> None:
        if len(self.given) < _MAX_TRACED:
            self.given.append((rule, place, value))

    def meet(self, rule: Path, case: tuple[Any, ...]) -> None:
        met = self.cases.setdefault(rule, {})
        met[case] = None
        if len(met) > _MAX_CASES:
            raise RegoError(f"more than {_MAX_CASES} cases")


class _Compiled:
    """The functions of the rules, and the values of those that never change."""

    def __init__(self, code: Code) -> None:
        space = dict(code.constants)
        exec(compile(code.source, "<policy>", "exec"), space)
        self.slots = code.slots
        self.functions: dict[Path, Callable[..., Any]] = {path: space[name] for path, name in code.names.items()}
        self.unknown: list[Any] = [None, *([MISSING] * len(code.slots)), ()]
        self.memo = self.unknown
        budget = _Budget(self, _FIXED_SECONDS)
        for path in () if code.watched else code.fixed():
            memo = self.begin(budget)
            try:
                self.functions[path](memo, UNDEFINED, _NO_DATA)
            except (RegoError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError, RecursionError):
                continue  # it fails in each evaluation that needs it, and only there
            self.memo = self.memo.copy()
            self.memo[self.slots[path]] = memo[self.slots[path]]

    def ask(self, budget: _Budget, path: Path, input: Any, data: Object) -> Any:
        """The value of a rule for an input, over data that the rules may look into. Raises `RegoError`."""
        if path not in self.slots:
            raise RegoError(f"no rule {'.'.join(path)}")
        try:
            return self.functions[path](self.begin(budget), input, data)
        except RecursionError:
            raise RegoError("nested too deeply") from None
        except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
            raise RegoError(f"{type(error).__name__}: {error}") from error

    def begin(self, budget: _Budget, replaced: Sequence[tuple[Path, Any]] = ()) -> list[Any]:
        """What an evaluation starts with; `replaced` are the parts of data that `with` gives other values."""
        memo = (self.unknown if replaced else self.memo).copy()
        memo[0], memo[-1] = budget, replaced
        for where, value in replaced:
            for path, slot in self.slots.items():
                if path[: len(where)] == where:
                    memo[slot] = _at(value, path[len(where) :])
                elif where[: len(path)] == path:
                    raise RegoError("`with` replaces a part of what a rule gives")
        return memo


def _at(value: Any, path: Iterable[Any]) -> Any:
    for name in path:
        value = dot(value, name)
    return value


class Program:
    """A policy that can be asked. Any number of threads may ask at once.

    `reads`: the paths below `input` that its rules name, () for all of it. A path ends before the first key that is no
    constant text, as what follows may be anything.
    """

    def __init__(self, files: Sequence[str], linked: Linked) -> None:
        self._files = files
        self._linked = linked
        rules = (rule for group in linked.groups.values() for _, rule in group.rules)
        self.reads: frozenset[Path] = frozenset(fixed_path(ref) for rule in rules for ref in inputs_of(rule))
        self._compiled = _Compiled(_code(files, linked, watched=False))
        self._watching: _Compiled | None = None

    def may_read(self, *path: str) -> bool:
        """Whether an answer can depend on what the input holds at a path, in it or around it. Errs on the side of
        yes."""
        return any(read[: len(path)] == path[: len(read)] for read in self.reads)

    def evaluate(self, text: str | None, entry: str = ENTRY, *, seconds: float = 2.0) -> object:
        """The JSON value of a rule (its path with slashes) for an input (JSON text, or None: there is none), or
        `UNDEFINED`.

        Sets are sorted lists. Raises `RegoError` when rules conflict, a function fails, or the evaluation takes more
        than `seconds`, 20 million steps, texts of a million characters or built collections of 200,000 items.
        """
        return _answer(self._compiled, _Budget(self._compiled, seconds), entry, text)

    def trace(self, text: str, entry: str = ENTRY, *, seconds: float = 2.0) -> tuple[object, list[Step]]:
        """As `evaluate`, with what the rules and functions gave, in that order; 10,000 steps at most."""
        compiled = self._watched()
        watch = _Watch(compiled, seconds)
        answer = _answer(compiled, watch, entry, text)
        steps = []
        for rule, (file, row), value in watch.given:
            watch.charge(value)
            steps.append(Step(self._files[file], row, f"data.{rule}", _shown(value)))
        return answer, [step for step in steps if step.value is True or (step.value not in (False, None, [], {}, ""))]

    def cases(self, entry: str, *, seconds: float = 2.0) -> dict[str, bool]:
        """The cases of a rule `test_x[case]`, asked without input, and whether each is true.

        A case is there once its name is known, whatever becomes of the rest of the body. Names that are no text are
        JSON; several keys are joined by slashes. Raises `RegoError` as `evaluate` does, and for more than 10,000 cases.
        """
        watch = _Watch(self._watched(), seconds)
        path = tuple(entry.split("/"))
        found = watch.compiled.ask(watch, path, UNDEFINED, _NO_DATA)
        return {"/".join(map(_name, case)): _at(found, case) is TRUE for case in watch.cases.get(path, ())}

    def coverage(self) -> Coverage:
        """An empty record of the rows that evaluations reach."""
        return Coverage(self._watched(), self._files, self._linked.groups)

    def _watched(self) -> _Compiled:
        if self._watching is None:
            self._watching = _Compiled(_code(self._files, self._linked, watched=True))
        return self._watching


class Coverage:
    """Which rows of which policy file hold lines of rules, and which of them evaluations through this record reached.

    Not for several threads at once.
    """

    def __init__(self, compiled: _Compiled, files: Sequence[str], groups: Mapping[Path, Group]) -> None:
        self._compiled = compiled
        self._files = files
        self._reached: set[tuple[int, int]] = set()
        self._all = {
            (file, row)
            for group in groups.values()
            for file, rule in group.rules
            for branch in rule.branches
            for row in (branch.place[0], *_rows(branch.body))
        }

    def evaluate(self, text: str | None, entry: str = ENTRY, *, seconds: float = 2.0) -> object:
        """As `Program.evaluate`."""
        watch = _Watch(self._compiled, seconds)
        try:
            return _answer(self._compiled, watch, entry, text)
        finally:
            self._reached |= watch.reached

    def rows(self) -> dict[str, dict[int, bool]]:
        """By file, the rows with lines of rules in order, and whether each was reached."""
        found: dict[str, dict[int, bool]] = {}
        for file, row in sorted(self._all):
            found.setdefault(self._files[file], {})[row] = (file, row) in self._reached
        return found


def _rows(body: Body) -> Iterable[int]:
    for literal in body:
        yield literal.place[0]
        yield from _rows(_inside(literal))


def _inside(literal: Literal) -> Body:
    return literal.body if isinstance(literal, Every | Not | With) else ()


def _shown(value: Any) -> Any:
    """The JSON value, for people; an object that JSON cannot hold as a list of its keys and values."""
    try:
        return plain(value)
    except RegoError:
        pairs = value.items() if isinstance(value, Object) else enumerate(value)
        return [[_shown(key), _shown(item)] for key, item in pairs]


def _name(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(plain(key), ensure_ascii=False)


def _answer(compiled: _Compiled, budget: _Budget, entry: str, text: str | None) -> object:
    if text is not None and len(text) > MAX_INPUT:
        raise RegoError("the input is too long")
    given = UNDEFINED if text is None else parse(text)
    found = compiled.ask(budget, tuple(entry.split("/")), given, _NO_DATA)
    try:
        budget.charge(found)
        return UNDEFINED if found is UNDEFINED else plain(found)
    except RecursionError:
        raise RegoError("nested too deeply") from None


# -- the load gate -------------------------------------------------------------------------------------------------


def compile_policies(policies: PolicySet, entries: tuple[str, ...] = (ENTRY,)) -> Program:
    """The policy files, checked and made ready to be asked for `entries` (paths of rules, with slashes).

    Raises `ConfigError`, with file, line and column, for what is no Rego, a function or name that does not exist or is
    not allowed, a variable nothing gives a value, recursion, rules that contradict each other, `with` (tests,
    `*_test.rego`, may say it), and packages that stand in the wrong folder, look into others' or are the bundle's;
    and, outside of tests, for a rule of the organisation or a domain that nothing uses, an entry that says nothing
    that can be done, and a look at what `policies/schemas/input.json` does not have (packages below `fairmesh`).
    """
    files = list(policies.files)
    modules = []
    for file, (path, body) in enumerate(policies.files.items()):
        try:
            module = read(body.decode("utf-8"))
            if not path.endswith("_test.rego"):
                check_module(path, module)
            modules.append(module)
        except RegoSyntaxError as error:
            raise _config_error(files, InFile(file, error)) from None
        except RecursionError:
            raise _config_error(files, InFile(file, RegoSyntaxError("nested too deeply", (1, 1)))) from None
    try:
        linked = link(modules)
        check_linked(linked, files)
    except InFile as error:
        raise _config_error(files, error) from None
    except RecursionError:
        raise _too_deep() from None
    for entry in entries:
        group = linked.groups.get(tuple(entry.split("/")))
        if group is None or group.kind == "function":
            raise ConfigError(
                f"the policy has no rule data.{entry.replace('/', '.')}", remedy="Keep the files that fairmesh ships."
            )
    return Program(files, linked)


def _code(files: Sequence[str], linked: Linked, *, watched: bool) -> Code:
    try:
        code = Code(linked.groups, linked.tree, watched=watched)
        code.order()
        return code
    except InFile as error:
        raise _config_error(files, error) from None
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> ConfigError:
    return ConfigError("the policy is nested too deeply", remedy="Give the inner parts rules of their own.")


def _config_error(files: Sequence[str], refused: InFile) -> ConfigError:
    error = refused.error
    return ConfigError(
        f"the policy cannot be used: {files[refused.file]}: {error.message}",
        line=error.place[0],
        column=error.place[1],
        remedy=error.remedy or "`opa check --strict` tells more about the language.",
    )
