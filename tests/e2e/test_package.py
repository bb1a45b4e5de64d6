"""What is installed is what lies in the tree: wheel, sdist, editable install and console script, from a real build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT

FOLDERS = ("catalog", "api", "ontologies", "policies")
BUILD_FILES = ("pyproject.toml", "README.md", "LICENSE")
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def clean_environment() -> dict[str, str]:
    """Variables that tell nothing of this checkout, and keep pip off the network."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FAIRMESH_", "PYTHON", "PIP_"))}
    return kept | {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    """What a command printed that ended with this code."""
    done = subprocess.run(command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shipped() -> set[str]:
    """Every file of the four folders, under its installed name. Nothing in them is for development only."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file())
    return {f"fairmesh/{path.relative_to(ROOT)}" for path in files if "__pycache__" not in path.parts}


def contents(wheel: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@dataclass(frozen=True)
class Built:
    source: Path
    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    source = tmp_path_factory.mktemp("source")
    for folder in (*FOLDERS, "tests", "benchmarks", "docs"):
        shutil.copytree(ROOT / folder, source / folder, ignore=NOT_SHIPPED)
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", cwd=source)
    [wheel], [sdist] = (source / "dist").glob("*.whl"), (source / "dist").glob("*.tar.gz")
    return Built(source, wheel, sdist)


@dataclass(frozen=True)
class Environment:
    """A virtual environment that has fairmesh's dependencies, but no fairmesh yet."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        run(self.python, "-m", "pip", "install", "--quiet", "--no-deps", *what, cwd=self.folder)

    def fairmesh(self, *arguments: str | Path, cwd: Path, code: int = 0) -> str:
        return run(self.folder / "bin" / "fairmesh", *arguments, cwd=cwd, code=code)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = _environment(tmp_path_factory.mktemp("wheel"))
    environment.install(built.wheel)
    return environment


def _environment(folder: Path) -> Environment:
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    found = Environment(folder)
    site = run(found.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # a path file makes packages of the other folder importable and runs none of its path files: no editable fairmesh
    (Path(site) / "dependencies.pth").write_text("\n".join({sysconfig.get_path(k) for k in ("purelib", "platlib")}))
    return found


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(built: Built) -> None:
    files = {name for name in contents(built.wheel) if ".dist-info/" not in name}
    assert files == shipped()
    assert {"fairmesh/api/portal/index.html", "fairmesh/ontologies/core/shapes.ttl"} <= files


def test_the_sdist_is_enough_to_build_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", cwd=unpacked)
    [wheel] = (unpacked / "dist").glob("*.whl")
    assert contents(wheel) == contents(built.wheel)


def test_the_wheel_carries_its_licence_and_readme(built: Built) -> None:
    files = contents(built.wheel)
    [metadata] = [text.decode() for name, text in files.items() if name.endswith(".dist-info/METADATA")]
    assert "License-Expression: Apache-2.0" in metadata
    assert (ROOT / "README.md").read_text("utf-8").splitlines()[0] in metadata
    [licence] = [text for name, text in files.items() if name.endswith("licenses/LICENSE")]
    assert b"Apache License" in licence
    assert b"END OF TERMS AND CONDITIONS" in licence


def test_the_installed_command_works_from_an_empty_folder(installed: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert "validate" in installed.fairmesh("--help", cwd=folder)
    where = run(installed.python, "-c", "import fairmesh.catalog as c; print(c.__file__)", cwd=folder)
    assert where.startswith(str(installed.folder))
    assert not list(folder.iterdir())


def test_the_installed_package_finds_its_rules(installed: Environment, tmp_path: Path) -> None:
    good = ROOT / "ontologies" / "core" / "examples" / "ok-05-eighty.ttl"
    bad = ROOT / "ontologies" / "core" / "examples" / "bad-06-none.ttl"
    assert "ok" in installed.fairmesh("validate", good, cwd=tmp_path)
    assert "core/06" in installed.fairmesh("validate", bad, cwd=tmp_path, code=1)


def test_the_installed_service_starts_with_its_demo(installed: Environment, tmp_path: Path) -> None:
    """Policies, demo documents and portal are found where the wheel puts them."""
    command = [installed.folder / "bin" / "fairmesh", "serve", "--demo", "--port", "0", "--data", "data"]
    server = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        said = iter(server.stdout.readline, "")
        url = next(line for line in said if line.startswith("GraphQL page: ")).split()[-1].removesuffix("/graphql")
        with urllib.request.urlopen(f"{url}/", timeout=60) as page:
            assert page.read() == (ROOT / "api" / "portal" / "index.html").read_bytes()
        public = installed.fairmesh("search", "products", "--server", url, cwd=tmp_path)
        assert "catalog.products" in public
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()


def test_an_editable_install_serves_the_tree(built: Built, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(built.source, tree, ignore=shutil.ignore_patterns("dist", "build", "*.egg-info"))
    folder = tmp_path / "environment"
    folder.mkdir()
    environment = _environment(folder)
    environment.install("--no-build-isolation", "--editable", tree)
    where = run(environment.python, "-c", "import fairmesh.api.cli as c; print(c.__file__)", cwd=tmp_path)
    assert where.strip() == str(tree / "api" / "cli.py")
    assert "validate" in environment.fairmesh("--help", cwd=tmp_path)


def test_files_of_the_working_directory_are_never_imported(installed: Environment, tmp_path: Path) -> None:
    """A team's repository may well have a `queue.py` or `regex.py`; fairmesh runs in it."""
    for name in ("queue", "regex", "rdflib", "catalog", "api", "subprocess", "fairmesh"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the working directory was imported')\n")
    sample = ROOT / "ontologies" / "core" / "examples" / "ok-05-eighty.ttl"
    assert "ok" in installed.fairmesh("validate", sample, cwd=tmp_path)
