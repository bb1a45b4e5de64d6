"""An OPA executable on this machine, asked about policy files: it checks, tests and answers as the servers will."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairmesh.catalog.errors import ConfigError, InputError
from fairmesh.catalog.policyfiles import POLICIES, RULE

_SECONDS = 120
_VERSION = re.compile(r"(?m)^Version: (\d+)\.(\S+)")


@dataclass(frozen=True, slots=True)
class OpaFinding:
    """What OPA has against a file. `name` is that of a test, or empty."""

    file: str
    line: int
    column: int
    name: str
    message: str


class Opa:
    """An OPA executable. It is given copies of the files, in a folder of their own."""

    def __init__(self, binary: str, version: str) -> None:
        self.binary = binary
        self.version = version

    def check(self, files: Mapping[str, bytes]) -> list[OpaFinding]:
        """What `opa check --strict` finds, with the functions that fairmesh allows and the input it sends."""
        options = ["--capabilities", str(POLICIES / "capabilities.json")]
        with _copied(files) as folder:
            ran = self._run(folder, "check", "--strict", *options, *_schema(), "--format", "json", *_rego(files))
        if ran.returncode == 0:
            return []
        return [_finding(error, error["message"]) for error in _json(ran)["errors"]]

    def test(self, files: Mapping[str, bytes]) -> tuple[int, list[OpaFinding]]:
        """How many tests pass, and those that do not."""
        with _copied(files) as folder:
            ran = self._run(folder, "test", "--format", "json", *_rego(files))
        found = _json(ran)
        if isinstance(found, dict):
            return 0, [_finding(error, error["message"]) for error in found["errors"]]
        failed = [result for result in found or () if result.get("fail") or result.get("error")]
        return len(found or ()) - len(failed), [_finding(result, _failure(result)) for result in failed]

    def answers(self, rules: Mapping[str, bytes], inputs: Sequence[str]) -> list[object]:
        """The decision on each input (JSON text); None where it is undefined. Raises `InputError` when OPA fails."""
        query = f'[{{"at": at, "said": said}} | some at, asked in input; said := {RULE} with input as asked]'
        with _copied(rules) as folder:
            data = [word for path in rules for word in ("--data", path)]
            ran = self._run(
                folder, "eval", "--strict-builtin-errors", "--stdin-input", "--format", "json", *data, query,
                stdin="[" + ",".join(inputs) + "]",
            )  # fmt: skip
        found = _json(ran)
        if "result" not in found:
            said = "; ".join(error["message"] for error in found.get("errors", ())) or "no answer"
            raise InputError(f"OPA cannot answer the rows of the tables: {said}", remedy="Mend the policy")
        answers: list[object] = [None] * len(inputs)
        for each in found["result"][0]["expressions"][0]["value"]:
            answers[each["at"]] = each["said"]
        return answers

    def _run(self, folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self.binary, *arguments], cwd=folder, input=stdin, capture_output=True, encoding="utf-8",
                timeout=_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(
                f"{self.binary} {arguments[0]} failed: {error}", remedy="Check FAIRMESH_OPA_BIN"
            ) from None


def find_opa() -> tuple[Opa | None, str]:
    """The OPA that FAIRMESH_OPA_BIN names, else the one on the PATH; or None, and why.

    Raises `ConfigError` when the one that is named cannot be used.
    """
    named = os.environ.get("FAIRMESH_OPA_BIN")
    binary = named or shutil.which("opa")
    if binary is None:
        return None, "there is no `opa` on the PATH, and FAIRMESH_OPA_BIN is not set"
    version = _version(binary)
    if version is not None:
        return Opa(binary, version), ""
    why = f"{binary} is not OPA 1.0 or later"
    if named:
        raise ConfigError(f"FAIRMESH_OPA_BIN: {why}", remedy="Name an OPA executable, or unset it")
    return None, why


def _version(binary: str) -> str | None:
    with suppress(OSError, UnicodeDecodeError, subprocess.TimeoutExpired):
        ran = subprocess.run(
            [binary, "version"], capture_output=True, encoding="utf-8", timeout=_SECONDS, check=False
        )  # fmt: skip
        found = _VERSION.search(ran.stdout)
        if found is not None and int(found[1]) >= 1:
            return f"{found[1]}.{found[2]}"
    return None


@contextmanager
def _copied(files: Mapping[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for path, body in files.items():
            place = Path(folder) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
        yield Path(folder)


def _rego(files: Mapping[str, bytes]) -> list[str]:
    return [path for path in files if path.endswith(".rego")]


def _schema() -> list[str]:
    return ["--schema", str(POLICIES / "schemas" / "input.json")]


def _json(ran: subprocess.CompletedProcess[str]) -> Any:
    """What OPA wrote: refusals come on either stream. Raises `ConfigError` for what is not JSON."""
    for said in (ran.stdout, ran.stderr):
        with suppress(ValueError):
            return json.loads(said)
    raise ConfigError(f"OPA failed: {(ran.stderr or ran.stdout).strip()[-300:]}", remedy="Try the command by hand")


def _finding(found: Mapping[str, Any], message: str) -> OpaFinding:
    place = found.get("location") or {}
    return OpaFinding(place.get("file", ""), place.get("row", 0), place.get("col", 0), found.get("name", ""), message)


def _failure(result: Mapping[str, Any]) -> str:
    error = result.get("error")
    if error:
        return str(error.get("message", error))
    cases = sorted(name for name, each in (result.get("sub_results") or {}).items() if each.get("fail"))
    return "it is not true" + (f" for {', '.join(cases)}" if cases else "")
