"""The shape of the code: imports point one way, each engine has one owner, modules stay small."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import ROOT

import fairmesh.catalog

LAYERS = {
    "catalog": (
        {"errors"},
        {"model", "workers", "locking", "signing"},
        {"config", "rdf", "paging"},
        {"marks", "semver", "lexical", "triples", "said", "spdx"},
        {"places", "statementplaces"},
        {"document", "words", "walks", "reading", "policyfiles", "computed", "feeds", "licences"},
        {"tables", "fairchecks", "parts", "retyping", "segments"},
        {"rights"},
        {"rulefiles", "projection", "decisionlog", "rego", "shacl", "changes", "fair"},
        {"patterns"},
        {"rulelint", "reports"},
        {"registry", "intake"},
        {"journal", "graph", "governance", "access", "search", "lineage"},
        {"filters", "policytables", "impact", "bundle", "dependents", "plainshapes", "examples", "versions"},
        {"policytests"},
        {"policing", "opening", "waivers", "standing"},
        {"storage", "ruling", "sighted", "history", "asking"},
        {"view", "chronicle", "verdicts"},
        {"judging"},
        {"overview", "ruleimpact", "events"},
        {"catalog"},
        {"__init__"},
    ),
    "catalog/feeds": (
        {"datatypes", "completion"},
        {"drafting"},
        {"dbt_manifest"},
        {"dbt", "dcat"},
        {"__init__"},
    ),
    "catalog/shacl": (
        {"results", "verbatim"},
        {"paths", "sparqltext", "syntax"},
        {"sparql", "regexes"},
        {"shapes"},
        {"core"},
        {"compiled", "reference"},
        {"__init__"},
    ),
    "catalog/rego": (
        {"values"},
        {"builtins", "syntax"},
        {"names"},
        {"order", "gate"},
        {"code"},
        {"link"},
        {"uses"},
        {"program"},
        {"__init__"},
    ),
    "api": (
        {"holders", "questions", "comparisons", "turtle", "wording"},
        {"auth", "client", "opa", "pages", "schema"},
        {"problems", "reads"},
        {"web", "verdicts", "policy_reads"},
        {"graphql", "products", "bundles", "decisions", "output", "submissions"},
        {"resources", "offline", "commands", "policy_checks", "rules_reads"},
        {"report_files"},
        {"app", "policy_cli", "diff_cli", "rules_cli", "waiver_cli", "governance_cli", "shape_cli"},
        {"serve"},
        {"cli"},
        {"__init__"},
    ),
    "api/schema": (
        {"inputs", "limits"},
        {"operation"},
        {"resources"},
        {"reports", "fair"},
        {"waivers"},
        {"types"},
        {"failures"},
        {"policies", "waiver_writes", "rules", "events"},
        {"queries", "mutations"},
        {"execution"},
        {"__init__"},
    ),
}
"""A module imports from the layers above its own, never from beside or below; imports for types alone are free."""

OWNERS = {
    "pyoxigraph": {"catalog/rdf.py", "catalog/graph.py", "catalog/shacl/sparql.py"},  # terms and parsers; stores
    "rdflib": {"catalog/shacl/reference.py"},
    "pyshacl": {"catalog/shacl/reference.py"},
    "aiohttp": {"catalog/access.py"},
    "cryptography": {"catalog/signing.py"},
    "sqlalchemy": {"catalog/journal.py"},
    "snowballstemmer": {"catalog/words.py"},
    "regex": {"catalog/words.py", "catalog/shacl/regexes.py"},  # words; searches that can be stopped
    "yaml": {"catalog/feeds/completion.py", "catalog/policytables.py"},  # each format keeps its own lines
    "strawberry": {"api/schema"},
    "graphql": {"api/schema"},
    "starlette": {
        f"api/{part}.py" for part in ("app", "bundles", "decisions", "graphql", "products", "resources", "serve", "web")
    },
    "uvicorn": {"api/serve.py"},
}
"""Each third-party engine and the places that know it: modules, or a package as one place."""

INDIRECT = {"python-multipart"}
"""Needed at run time, imported by a library and not by us."""

TOOLS = {"build", "mypy", "pytest-xdist", "ruff", "setuptools", "types-pyyaml", "types-regex", "httpx"}
"""Needed for development, imported by no test."""


def modules() -> Iterator[Path]:
    for folder in ("catalog", "api"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def scripts() -> Iterator[Path]:
    for folder in ("tests", "benchmarks", ".ci"):
        yield from sorted((ROOT / folder).rglob("*.py"))


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Names imported at run time."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
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


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def parts(folder: str) -> set[str]:
    """The modules and packages directly in a folder."""
    here = ROOT / folder
    return {path.stem for path in here.glob("*.py")} | {path.parent.name for path in here.glob("*/__init__.py")}


def imported_parts(path: Path, folder: str) -> set[str]:
    """Which parts of its own folder's package a module, or any module of a package, imports."""
    package = "fairmesh." + folder.replace("/", ".") + "."
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    names = {name.removeprefix(package) for file in files for name in imports(file) if name.startswith(package)}
    return {name.split(".")[0] for name in names} & parts(folder)


def level(folder: str, part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS[folder]) if part in layer)


@pytest.mark.parametrize("folder", LAYERS)
def test_every_part_has_its_layer(folder: str) -> None:
    placed = [part for layer in LAYERS[folder] for part in layer]
    assert sorted(placed) == sorted(parts(folder))


@pytest.mark.parametrize("folder", LAYERS)
def test_imports_point_one_way(folder: str) -> None:
    for part in sorted(parts(folder)):
        path = ROOT / folder / part
        for other in imported_parts(path if path.is_dir() else path.with_suffix(".py"), folder) - {part}:
            assert level(folder, other) < level(folder, part), f"{folder}/{part} imports {other}"


def test_the_domain_knows_nothing_of_the_api() -> None:
    for path in (ROOT / "catalog").rglob("*.py"):
        assert not any(name.startswith("fairmesh.api") for name in imports(path)), path


def test_feeds_know_only_documents() -> None:
    for path in (ROOT / "catalog" / "feeds").glob("*.py"):
        assert imported_parts(path, "catalog") <= {"errors", "model", "rdf", "feeds"}, path


@pytest.mark.parametrize("engine", sorted(OWNERS))
def test_each_engine_has_one_owner(engine: str) -> None:
    users = {path.relative_to(ROOT).as_posix() for path in modules() if engine in tops(path)}
    owners = OWNERS[engine]
    assert {next((owner for owner in owners if user.startswith(owner)), user) for user in users} == owners


def test_nobody_imports_the_folders_by_their_bare_names() -> None:
    for path in [*modules(), *scripts()]:
        bare = tops(path) & {"catalog", "api", "ontologies", "policies"}
        assert not bare, f"{path}: import fairmesh.{min(bare)} instead"


def test_modules_stay_small() -> None:
    long = {str(path): count for path in modules() if (count := len(path.read_text("utf-8").splitlines())) > 800}
    assert not long


def test_the_public_surface_is_one_sorted_list() -> None:
    names = fairmesh.catalog.__all__
    assert names == sorted(names)
    assert all(hasattr(fairmesh.catalog, name) for name in names)


# -- dependencies -----------------------------------------------------------------------------------------------------


def declared() -> tuple[set[str], set[str]]:
    """Names of the run-time and of the development dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return _names(project["dependencies"]), _names(project["optional-dependencies"]["dev"])


def _names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {match[0].lower() for match in found if match}


def distributions(paths: Iterator[Path]) -> set[str]:
    """Names of the distributions whose modules are imported, our own and the standard library's left out."""
    known = packages_distributions()
    ours = {name for path in scripts() for name in (path.stem, path.parent.name)} | {"fairmesh", "__future__"}
    names = {name for path in paths for name in tops(path)} - ours - sys.stdlib_module_names
    return {known.get(name, [name])[0].lower() for name in names}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    runtime, development = declared()
    assert distributions(modules()) | INDIRECT == runtime
    assert distributions(scripts()) | TOOLS == development | (distributions(scripts()) & runtime)


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "names and exact versions, nothing else"
    runtime, development = declared()
    assert {name.replace("_", "-") for name in runtime | development} <= {
        pin.split("==")[0].lower().replace("_", "-") for pin in pins
    }
