"""Policy engines for tests: a real OPA server, and the golden table's words as values."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairmesh.catalog.model import AccessKey, Subject

POLICIES = Path(__file__).parent.parent / "policies"
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
IGNORED = ("*_test.rego", "*.yaml", "*.json")


def opa_binary() -> str:
    """The OPA executable; without one the test is skipped, in CI it fails."""
    places = [os.environ.get("FAIRMESH_OPA_BIN"), shutil.which("opa"), _from_go()]
    found = next((place for place in places if place and os.access(place, os.X_OK)), None)
    if found is None:
        reason = "no OPA binary: set FAIRMESH_OPA_BIN or run `go install github.com/open-policy-agent/opa@latest`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _from_go() -> str | None:
    if shutil.which("go") is None:
        return None
    root = subprocess.run(["go", "env", "GOPATH"], capture_output=True, text=True, check=False).stdout.strip()
    return f"{root}/bin/opa" if root else None


@contextmanager
def opa_server(*paths: Path) -> Iterator[str]:
    """A real OPA server on a free port that holds the modules below `paths`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ignored = [word for pattern in IGNORED for word in ("--ignore", pattern)]
    command = [opa_binary(), "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error", *ignored]
    server = subprocess.Popen([*command, "--disable-telemetry", *map(str, paths)])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, server)
        yield url
    finally:
        server.kill()
        server.wait()


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)  # nothing tells from outside when the port is open
    pytest.fail("the OPA server did not start")


@dataclass(frozen=True)
class Row:
    """One line of a golden table, with its names resolved."""

    name: str
    subject: Subject
    action: Any
    key: AccessKey
    allow: bool
    because: tuple[str, ...]
    masks: tuple[str, ...]


def golden_rows(path: Path = POLICIES / "decisions" / "default.yaml") -> list[Row]:
    table = yaml.safe_load(path.read_text("utf-8"))
    usual = table["usual"]
    return [
        Row(
            f"{row['who']} {row['does']} {row['what']}",
            _subject(row["who"], {**usual["subject"], **table["subjects"][row["who"]]}),
            row["does"],
            _key({**usual["product"], **table["products"][row["what"]]}),
            {"allow": True, "deny": False}[row["answer"]],
            tuple(row["because"]),
            tuple(row.get("masks", ())),
        )
        for row in table["decisions"]
    ]


def _subject(name: str, facts: dict[str, Any]) -> Subject:
    roles, teams, domains = (tuple(facts[word]) for word in ("roles", "teams", "domains"))
    return Subject(facts.get("id", name), facts["kind"], roles, teams, domains, facts["clearance"])


def _key(facts: dict[str, Any]) -> AccessKey:
    return AccessKey(
        facts["domain"], facts["classification"], facts["status"], tuple(facts["tags"]), facts["owner"],
        tuple(facts["members"]),
    )  # fmt: skip
