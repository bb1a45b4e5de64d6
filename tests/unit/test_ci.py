"""In CI nothing may be left out: the plugin that `.ci/run` loads turns a skip into a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

RAN = "def test_ran():\n    pass\n"
SKIPPED = "import pytest\n\n@pytest.mark.skip(reason='today')\ndef test_left_out():\n    pass\n"
MODULE = "import pytest\n\npytest.skip('all of it', allow_module_level=True)\n"
EXPECTED = "import pytest\n\n@pytest.mark.xfail\ndef test_left_out():\n    assert False\n"


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [(RAN, 0, ""), (SKIPPED, 1, "test_left_out"), (MODULE, 1, "test_one.py"), (EXPECTED, 1, "test_left_out")],
    ids=["ran", "skipped", "module", "expected to fail"],
)
def test_what_is_left_out_fails_the_run_by_name(text: str, code: int, named: str, tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(text)
    (tmp_path / "test_two.py").write_text(RAN)
    command = [sys.executable, "-m", "pytest", "-p", "no_skips", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    run = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / ".ci")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == code, run.stdout + run.stderr
    assert ("not run, which CI does not accept" in run.stdout) == bool(named)
    assert named in run.stdout
    assert run.stdout.splitlines()[-1].startswith("="), "pytest's own closing line is the last"
