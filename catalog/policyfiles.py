"""The policy files: read, digested, and checked before an engine may run them. Imports no engine."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairmesh.catalog.errors import ConfigError

ENTRY = "fairmesh/access/decisions"
RULE = "data." + ENTRY.replace("/", ".")
POLICIES = Path(__file__).parent.parent / "policies"
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The Rego modules of one folder, without their tests: bytes by path relative to the folder, sorted.

    `digest` is the SHA-256 over paths and bytes: the policy revision that decisions name.
    """

    files: Mapping[str, bytes]
    digest: str

    @classmethod
    def load(cls, folder: Path = POLICIES) -> PolicySet:
        """Read every `*.rego` below `folder` but `*_test.rego`. Raises `ConfigError` when there is none."""
        files = {path: body for path, body in read_modules(folder).items() if not path.endswith("_test.rego")}
        if not files:
            raise ConfigError(f"no policy in {folder}", remedy="Name a folder that holds *.rego files.")
        digest = hashlib.sha256()
        for path, body in files.items():
            digest.update(f"{path}\0{len(body)}\0".encode() + body)
        return cls(files, digest.hexdigest())

    @property
    def reads_time(self) -> bool:
        """Whether a decision can depend on `input.context.now_ns`. Errs on the side of yes."""
        code = [re.sub(r'"[^"\n]*"|(?m:^\s*#.*$)', "", body.decode()) for body in self.files.values()]
        return any("now_ns" in text or _READS_CONTEXT.search(text) for text in code)


_READS_CONTEXT = re.compile(r"\binput\b(?!\.(?!context\b(?!\.channel\b)))")
"""`input` by itself, or `input.context` but not `input.context.channel`."""


def read_modules(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.rglob("*.rego"), key=lambda path: path.relative_to(folder).as_posix()):
        try:
            body = path.read_bytes()
            body.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the policy {path}: {error}", remedy="Rego files are UTF-8.") from error
        found[path.relative_to(folder).as_posix()] = body
    return found


# -- what a policy may use -----------------------------------------------------------------------------------------

# Both engines agree on these, they end quickly, and they reach nothing outside the input.
_BUILTINS = """
    eq equal neq lt lte gt gte assign plus minus mul div rem abs round ceil floor
    and or count sum max min sort union intersection internal.member_2 internal.member_3
    concat contains startswith endswith lower upper trim trim_left trim_right trim_prefix trim_suffix trim_space
    split replace substring indexof format_int to_number strings.any_prefix_match strings.any_suffix_match
    array.concat array.reverse array.slice object.get object.keys object.union object.remove object.filter object.subset
    is_array is_boolean is_null is_number is_object is_set is_string type_name crypto.sha256
"""
_WRITTEN = {"CallStmt": ("result",), "CallDynamicStmt": ("result",), "ScanStmt": ("key", "value")}
_STATEMENTS = """
    ArrayAppendStmt AssignVarOnceStmt AssignVarStmt BlockStmt BreakStmt CallDynamicStmt CallStmt DotStmt
    EqualStmt IsArrayStmt IsDefinedStmt IsObjectStmt IsSetStmt IsUndefinedStmt LenStmt MakeArrayStmt MakeNullStmt
    MakeNumberRefStmt MakeObjectStmt MakeSetStmt NopStmt NotEqualStmt NotStmt ObjectInsertOnceStmt
    ObjectInsertStmt ObjectMergeStmt ResetLocalStmt ResultSetAddStmt ReturnLocalStmt ScanStmt SetAddStmt
"""
_LOCAL_FIELDS = ("source", "array", "set", "object", "a", "b", "value", "key")


def plan_problems(plan: Mapping[str, Any]) -> list[str]:
    """What is wrong with a compiled policy (the IR's `plan.json`), in words; empty when it may be loaded.

    The embedded compiler accepts calls of functions that do not exist and variables nothing sets: under `not` they
    hold. OPA refuses them when it compiles; so is done here, beside builtins that are not allowed and recursion.
    """
    functions = {f["name"]: f for f in plan.get("funcs", {}).get("funcs", [])}
    files = [f["value"] for f in plan.get("static", {}).get("files", [])]
    problems: list[str] = []
    calls: dict[str, set[str]] = {}
    for name, function in functions.items():
        walk = _PlanWalk(functions, files)
        walk.blocks(function["blocks"], set(function["params"]))
        calls[name] = walk.calls
        problems += walk.problems
    if f"g0.{RULE}" not in functions:
        problems.append(f"no rule {RULE}")
    problems += _cycles(calls)
    return sorted(set(problems))


class _PlanWalk:
    """Goes through one function's statements in the order they run, with the locals that are set so far."""

    def __init__(self, functions: Mapping[str, Mapping[str, Any]], files: Sequence[str]) -> None:
        self.functions = functions
        self.files = files
        self.calls: set[str] = set()
        self.problems: list[str] = []

    def blocks(self, blocks: Iterable[Mapping[str, Any]], known: set[int]) -> None:
        for block in blocks:
            for statement in block["stmts"]:
                self.statement(statement["type"], statement["stmt"], known)

    def statement(self, kind: str, stmt: Mapping[str, Any], known: set[int]) -> None:
        where = self.place(stmt)
        if kind not in _STATEMENTS.split():
            self.problems.append(f"{where}: the construct {kind} is not supported")
            return
        if kind in ("CallStmt", "CallDynamicStmt"):
            self.call(kind, stmt, where)
        written = _WRITTEN.get(kind, ("target",))
        if unset := self.reads(stmt, written) - known:
            self.problems.append(f"{where}: a variable or rule is used that nothing defines")
            known |= unset
        if kind == "NotStmt":  # what is set inside a negation is not set after it
            self.blocks([stmt["block"]], set(known))
            return
        known |= {stmt[name] for name in written if name in stmt}
        if "block" in stmt:
            self.blocks([stmt["block"]], known)
        self.blocks(stmt.get("blocks", ()), known)

    def call(self, kind: str, stmt: Mapping[str, Any], where: str) -> None:
        name = stmt.get("func")
        if kind == "CallDynamicStmt" or not isinstance(name, str):
            self.problems.append(f"{where}: a function chosen at run time is not supported")
        elif name in self.functions:
            self.calls.add(name)
            if len(stmt["args"]) != len(self.functions[name]["params"]):
                self.problems.append(f"{where}: {name.removeprefix('g0.')} takes another number of arguments")
        elif name not in _BUILTINS.split():
            self.problems.append(f"{where}: the function {name} does not exist or is not allowed")

    def place(self, stmt: Mapping[str, Any]) -> str:
        index = stmt.get("file")
        if not isinstance(index, int) or index >= len(self.files):
            return "policy"
        return f"{self.files[index]}:{stmt.get('row', 0)}"

    @staticmethod
    def reads(stmt: Mapping[str, Any], written: tuple[str, ...]) -> set[int]:
        found = set()
        fields = [stmt[name] for name in _LOCAL_FIELDS if name in stmt and name not in written]
        for operand in [*fields, *stmt.get("args", ())]:
            if isinstance(operand, int):
                found.add(operand)
            elif operand["type"] == "local":
                found.add(operand["value"])
        return found


def _cycles(calls: Mapping[str, set[str]]) -> list[str]:
    done: set[str] = set()
    problems = []
    for start in calls:
        path: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(calls[start]))] if start not in done else []
        path += [name for name, _ in stack]
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif following in path:
                problems.append(f"{following.removeprefix('g0.')} calls itself")
            elif following not in done:
                stack.append((following, iter(calls[following])))
                path.append(following)
    return problems


_SETS_BY_KEY = re.compile(r"(?m)^[\w.]+\[.*\]\s*contains\b")

_PLANNER = """
import json, sys, regopy
interpreter = regopy.Interpreter()
try:
    for path, text in json.load(sys.stdin).items():
        interpreter.add_module(path, text)
    interpreter.save_bundle(sys.argv[1], interpreter.build(None, [sys.argv[2]]))
except regopy.RegoError as error:
    sys.exit(str(error))
"""


def check_policies(policies: PolicySet) -> None:
    """Raise `ConfigError` for a policy that does not compile or uses what is not allowed.

    Writing the plan crashes in a process that loaded another C++ extension before regopy: it gets one of its own.
    """
    for path, body in policies.files.items():
        if _SETS_BY_KEY.search(body.decode()):  # compiles, and then answers with every key's elements at once
            raise ConfigError(
                f"{path}: `rule[key] contains` is not supported in policies", remedy="Write a partial set of objects."
            )
    modules = json.dumps({path: body.decode() for path, body in policies.files.items()})
    with tempfile.TemporaryDirectory() as folder:
        for path in policies.files:
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-I", "-c", _PLANNER, folder, ENTRY]
        try:
            done = subprocess.run(
                command, input=modules, capture_output=True, encoding="utf-8", timeout=START_SECONDS, check=False
            )
            if done.returncode:
                raise does_not_compile(done.stderr)
            plan = json.loads((Path(folder) / "plan.json").read_bytes())
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise does_not_compile(type(error).__name__) from error
    if problems := plan_problems(plan):
        raise ConfigError(
            "the policy cannot be used: " + "; ".join(problems),
            remedy="Use only what policies/README.md lists; facts come from `input`.",
        )


def does_not_compile(detail: str) -> ConfigError:
    found = re.search(r"errormsg \d+:([^)\n]*)", detail)
    where = re.search(r"error \d+:([^|\n]*)\|", detail)
    message = (f"{where[1]}: " if where else "") + (found[1] if found else detail.strip()[-200:])
    return ConfigError(
        f"the policy does not compile: {message}", remedy="`opa check --strict policies/fairmesh` shows the place."
    )
