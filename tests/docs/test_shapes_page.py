"""The page about plain SHACL shows what the command prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ROOT
from test_readme import blocks, same

PAGE = ROOT / "docs" / "dcat-ap.md"


def test_the_first_example_prints_what_the_page_shows(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "golden" / "shapes", tmp_path, dirs_exist_ok=True)
    ((command, answer),) = blocks(PAGE)[0].commands()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert same(answer, run.stdout)
