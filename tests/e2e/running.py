"""The real `fairmesh` command in processes of its own: one-shot commands, and servers that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fairmesh.api.cli import main
from fairmesh.api.client import Client

COMMAND = str(Path(sys.executable).parent / "fairmesh")
TIMEOUT = 120
"""Seconds after which a hanging command fails its test."""


def environment(**more: str) -> dict[str, str]:
    """The process's environment without fairmesh's own variables and proxies, plus `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAIRMESH_") or "OPA" in name}
    return {**kept, "FAIRMESH_WORKERS": "2", **more}


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def fairmesh(
    *arguments: str | Path, cwd: Path | None = None, token: str = "", variables: Mapping[str, str] | None = None
) -> Ran:
    """Run the console script to its end."""
    asked = [COMMAND, *map(str, arguments)]
    variables = {**(variables or {}), **({"FAIRMESH_TOKEN": token} if token else {})}
    done = subprocess.run(
        asked, cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def run_inside(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Ran:
    """Run a command in this process: for the many that end before they do anything."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    return Ran(code, *capsys.readouterr())


@dataclass
class Server:
    """A running `fairmesh serve`. `said` is what it printed before the URL."""

    process: subprocess.Popen[str]
    data: Path
    url: str
    said: list[str]

    def token(self, subject: str, *options: str) -> str:
        made = fairmesh("token", "create", subject, *options, "--data", self.data)
        assert made.code == 0, made.err
        return made.out.strip()

    def run(self, *arguments: str | Path, token: str = "") -> Ran:
        """A command that talks to this server."""
        return fairmesh(*arguments, "--server", self.url, token=token)

    def client(self, token: str) -> Client:
        return Client(self.url, token)

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT)


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Server]:
    """A server on a free port, stopped by SIGTERM if it still runs in the end."""
    log = data.parent / f"{data.name}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", "--data", str(data), "--port", "0", *options],
            stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(),
        )  # fmt: skip
        with process:
            try:
                yield _started(process, data, log)
            finally:
                if process.poll() is None:
                    process.terminate()
                    assert process.wait(TIMEOUT) == 0, log.read_text()


def _started(process: subprocess.Popen[str], data: Path, log: Path) -> Server:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        name, found, page = line.strip().partition("GraphQL page: ")
        if found:
            return Server(process, data, page.removesuffix("/graphql"), said)
        said.append(name)
    raise AssertionError(f"the server did not start: {log.read_text()}")
