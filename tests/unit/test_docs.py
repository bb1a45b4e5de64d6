"""Pages tell what is there: links lead somewhere, every error code has its line, decisions have their parts."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import ROOT

from fairmesh.catalog.config import SETTINGS

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "ontologies/**/*.md", "policies/**/*.md")
    for path in ROOT.glob(pattern)
    if ".venv" not in path.parts
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"[a-z]+(-[a-z]+)*")


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in ("catalog", "api"):
        for path in (ROOT / folder).rglob("*.py"):
            yield path, ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / unquote(target.partition("#")[0])).exists(), f"{page}: {target}"


# -- errors -----------------------------------------------------------------------------------------------------------


def error_codes() -> Iterator[str]:
    """Codes as the source states them: of classes, as a keyword, as the first argument of `refuse`, in a table."""
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name != "FairmeshError":
                yield from _texts(
                    s.value for s in node.body if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "code"
                )
            elif isinstance(node, ast.Call):
                yield from _texts(k.value for k in node.keywords if k.arg == "code")
                if ast.unparse(node.func) == "self.refuse":
                    yield from _texts(node.args[:1])
                elif ast.unparse(node.func) == "problem":
                    yield from _texts(node.args[1:2])
            elif isinstance(node, ast.Dict):
                yield from _texts(
                    value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == "code"
                )


def _texts(nodes: Iterator[ast.expr] | list[ast.expr]) -> Iterator[str]:
    found = [node.value for node in nodes if isinstance(node, ast.Constant)]
    yield from (text for text in found if isinstance(text, str) and CODE.fullmatch(text))


def documented_codes() -> list[str]:
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def test_every_error_code_is_explained_once() -> None:
    documented = documented_codes()
    assert len(documented) == len(set(documented))
    assert set(error_codes()) - {"invalid-document"} <= set(documented)


def test_every_explained_error_code_exists() -> None:
    text = "".join(path.read_text("utf-8") for path, _ in sources())
    assert not [code for code in documented_codes() if f'"{code}"' not in text]


# -- decisions and changes --------------------------------------------------------------------------------------------


def test_decisions_are_numbered_and_listed() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{n:03}-" for n in range(1, len(DECISIONS) + 1)]
    listed = LINK.findall((ROOT / "docs" / "decisions" / "README.md").read_text("utf-8"))
    assert listed == [path.name for path in DECISIONS]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_parts_on_one_page(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^#+ .*", text, re.MULTILINE)[1:] == ["## Context", "## Decision", "## Consequences"]
    assert text.startswith(f"# {path.name[:3]} ")
    assert len(text.splitlines()) <= 60


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1] == version


# -- settings ---------------------------------------------------------------------------------------------------------


def test_every_setting_is_one_sentence() -> None:
    for setting in SETTINGS:
        assert setting.doc.endswith("."), setting.name
        assert "\n" not in setting.doc, setting.name
