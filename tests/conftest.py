"""Fixtures every suite shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairmesh.catalog import Catalog, Settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real metadata and conformance suites that lies beside a development checkout.

    A user's machine does not have it: tests that read it are skipped there. In CI its absence is an error.
    """
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail("../shared is missing in CI")
        pytest.skip("real metadata (../shared) is not beside this checkout")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read({"data": tmp_path / "data", "workers": 2}, environment={})


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    """An empty mesh on disk, with the rules and policies that ship."""
    opened = Catalog.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file to the test's own folder."""

    def _write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write
