"""The shape of the code: imports point one way, each engine has one owner, modules stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import fairmesh.catalog
import pytest
from conftest import ROOT

LAYERS = (
    {"errors"},
    {"model", "workers", "locking"},
    {"config", "rdf", "paging", "patterns"},
    {"document", "words", "walks", "policies", "rulefiles", "computed", "feeds"},
    {"projection"},
    {"registry"},
    {"journal", "graph", "governance", "access", "search", "lineage"},
    {"filters"},
    {"view"},
    {"catalog"},
    {"__init__"},
)
"""A module imports from layers above its own, never from beside or below; type-checking imports are free."""

BESIDE = {("rulefiles", "computed"), ("governance", "rulefiles"), ("rulefiles", "patterns")}

OWNERS = {
    "pyoxigraph": {"catalog/rdf.py", "catalog/graph.py"},  # terms and parsers; the store
    "pyshacl": {"catalog/governance.py"},
    "regopy": {"catalog/access.py"},
    "opa_client": {"catalog/access.py"},
    "aiohttp": {"catalog/access.py"},
    "sqlalchemy": {"catalog/journal.py"},
    "networkx": {"catalog/lineage.py"},
    "snowballstemmer": {"catalog/words.py"},
    "starlette": {"api/app.py"},
    "uvicorn": {"api/cli.py"},
}
"""Each third-party engine and the one place that knows it."""


def modules() -> Iterator[Path]:
    for folder in ("catalog", "api"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Names imported at run time."""
    tree = ast.parse(path.read_text())
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def catalog_parts(path: Path) -> set[str]:
    found = {name.split(".")[2] for name in imports(path) if name.startswith("fairmesh.catalog.")}
    return found & {part for layer in LAYERS for part in layer}


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", sorted((ROOT / "catalog").glob("*.py")), ids=lambda path: path.stem)
def test_imports_point_one_way(path: Path) -> None:
    part = path.stem
    for other in catalog_parts(path) - {part}:
        assert layer_of(other) < layer_of(part) or (part, other) in BESIDE, f"{part} imports {other}"


def test_the_domain_knows_nothing_of_the_api() -> None:
    for path in (ROOT / "catalog").rglob("*.py"):
        assert not any(name.startswith("fairmesh.api") for name in imports(path)), path


def test_feeds_know_only_documents() -> None:
    for path in (ROOT / "catalog" / "feeds").glob("*.py"):
        assert catalog_parts(path) <= {"errors", "model", "rdf", "feeds"}, path


@pytest.mark.parametrize("engine", sorted(OWNERS))
def test_each_engine_has_one_owner(engine: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(name == engine or name.startswith(engine + ".") for name in imports(path))
    }
    assert users == OWNERS[engine]


def test_nobody_imports_the_folders_by_their_bare_names() -> None:
    for path in [*modules(), *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]:
        bare = {name for name in imports(path) if name.split(".")[0] in ("catalog", "api", "ontologies", "policies")}
        assert not bare, f"{path}: import fairmesh.{min(bare)} instead"


def test_modules_stay_small() -> None:
    long = {str(path): count for path in modules() if (count := len(path.read_text().splitlines())) > 800}
    assert not long


def test_the_public_surface_is_one_sorted_list() -> None:
    names = fairmesh.catalog.__all__
    assert names == sorted(names)
    assert all(hasattr(fairmesh.catalog, name) for name in names)
