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
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairmesh.catalog.policytables import Row, read_table

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
def opa_server(*paths: Path, config: Path | None = None) -> Iterator[str]:
    """A real OPA server on a free port that holds the modules below `paths`, and what its configuration says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ignored = [word for pattern in IGNORED for word in ("--ignore", pattern)]
    ignored += [] if config is None else ["--config-file", str(config)]
    command = [opa_binary(), "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error", *ignored]
    server = subprocess.Popen([*command, "--disable-telemetry", *map(str, paths)])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, server)
        yield url
    finally:
        server.kill()
        server.wait()


def opa_says_of(folder: Path, bundle: bytes, key: bytes) -> str:
    """What OPA says when it is started with this bundle, to be verified by the key; empty when it is content."""
    (folder / "bundle.tar.gz").write_bytes(bundle)
    (folder / "key.pem").write_bytes(key)
    command = [opa_binary(), "run", "--verification-key", "key.pem", "--verification-key-id", "fairmesh",
               "--signing-alg", "ES256", "--log-level", "error", "--bundle", "bundle.tar.gz"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, input="", capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stderr + done.stdout


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)  # nothing tells from outside when the port is open
    pytest.fail("the OPA server did not start")


def golden_rows() -> list[Row]:
    return read_table((POLICIES / "decisions" / "default.yaml").read_bytes(), "default.yaml")
