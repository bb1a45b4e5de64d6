"""Pages that are tours, run from top to bottom: the commands as printed, and the answers compared with those printed.

A line `...` in a page stands for any lines. Tokens, hashes, times and the port differ from run to run and are compared
as such. With `FAIRMESH_README=write` the answers are put into the pages, to be reviewed as a diff.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import ROOT

README = ROOT / "README.md"
POLICIES = ROOT / "docs" / "policies.md"
GOVERNANCE = ROOT / "docs" / "governance.md"
LANGUAGES = {
    README: {"console", "graphql", "json"},
    POLICIES: {"console", "rego", "yaml"},
    GOVERNANCE: {"console", "rego", "turtle"},
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = "http://127.0.0.1:8000"
STARTS = "make run"
MARK = "\x1e"
CHANGING = (
    (r"fm_(?:[A-Za-z0-9]{32}|\.\.\.)", "fm_..."),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-01-01T00:00:00Z"),
    (r"\b[0-9a-f]{64}\b", "0" * 64),
    (r"\b[0-9a-f]{12}\b", "0" * 12),
    (r"until \d{4}-\d\d-\d\d", "until 2027-01-01"),
    (r"\bd3dhaXZlci\w+", "d3dhaXZlci84ODBmZDQ1YjYzMWI1NDQ1"),
    (r"--after \w+", "--after WyJ0"),
    (f"{datetime.now(UTC):%Y-%m-%d}", "2026-11-21"),
)
"""What differs between two runs, and what stands for it."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    start: int
    end: int

    def commands(self) -> list[tuple[str, str]]:
        """Each `$ command` of a console block with the answer below it."""
        found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", self.text, re.MULTILINE)
        return [(command, answer) for command, answer in found]


def blocks(page: Path) -> list[Block]:
    return [Block(m[1], m[2], m.start(2), m.end(2)) for m in FENCE.finditer(page.read_text("utf-8"))]


def settled(text: str) -> str:
    for pattern, constant in CHANGING:
        text = re.sub(pattern, constant, text)
    return text


def same(expected: str, answer: str) -> bool:
    lines = [".*" if line == "..." else re.escape(line + "\n") for line in settled(expected).splitlines()]
    return re.fullmatch("".join(lines), settled(answer), re.DOTALL) is not None


@dataclass
class Tour:
    """A folder as the reader has it, a service running in it, and a shell that keeps its variables."""

    folder: Path
    url: str
    greeting: str

    def shell(self, commands: list[str]) -> list[str]:
        """What each command printed, in a bash with the variables that the one before exported."""
        variables = self.folder.parent / f"{self.folder.name}-variables"
        before = f". {variables}\n" if variables.exists() else ""
        script = before + "".join(f"{command}\nlast=$?\nprintf '{MARK}'\n(exit $last)\n" for command in commands)
        script += f"export -p > {variables}\n"
        run = subprocess.run(
            ["bash", "-c", script.replace(PAGE, self.url)], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
        )  # fmt: skip
        return run.stdout.replace(self.url, PAGE).split(MARK)[:-1]

    @property
    def environment(self) -> dict[str, str]:
        port = self.url.rpartition(":")[2]  # commands that name no server go to the configured port
        return clean_environment() | {"FAIRMESH_PORT": port}

    def graphql(self, query: str, token: str) -> str:
        request = urllib.request.Request(
            f"{self.url}/graphql", json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as response:
            text = json.dumps(json.load(response)["data"], indent=2, ensure_ascii=False)
        return re.sub(r"\{[^{}\[\]]*\}", lambda small: re.sub(r"\s+", " ", small[0]), text) + "\n"


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FAIRMESH_")}


@pytest.fixture
def tour(tmp_path: Path) -> Iterator[Tour]:
    if shutil.which("curl") is None:
        pytest.skip("no curl: the tour calls it")
    for folder in ("api", "docs", "policies"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    command = [".venv/bin/fairmesh", "serve", "--demo", "--data", "data", "--port"]
    recipe = subprocess.run(
        ["make", "--dry-run", "run", "PORT=0"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert " ".join([*command, "0"]) in recipe, "`make run` starts something else"
    server = subprocess.Popen(
        [*command, "0"], cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert server.stdout is not None
    greeting = ""
    try:
        for line in server.stdout:
            greeting += line
            if page := re.match(r"GraphQL page: (http://\S+)/graphql$", line):
                yield Tour(tmp_path, page[1], greeting.replace(page[1], PAGE))
                break
        else:
            pytest.fail(f"the service ended before it was up: {greeting}")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
        server.stdout.close()


def answers(tour: Tour, page: Path) -> list[str]:
    """What each block should hold, asked in the order of the page, as each changes the mesh for the next."""
    query = ""
    texts = []
    for block in blocks(page):
        if block.language == "console":
            commands = [command for command, _ in block.commands()]
            printed = [tour.greeting] if commands == [STARTS] else tour.shell(commands)
            texts.append("".join(f"$ {it}\n{answer}" for it, answer in zip(commands, printed, strict=True)))
        elif block.language == "json":
            (token,) = tour.shell(['printf "%s" "$ANALYST"'])
            texts.append(tour.graphql(query, token))
        else:
            query = block.text
            texts.append(block.text)
    return texts


@pytest.mark.parametrize("page", LANGUAGES, ids=lambda page: page.name)
def test_the_tour_answers_as_printed(tour: Tour, page: Path) -> None:
    texts = answers(tour, page)
    found = blocks(page)
    if os.environ.get("FAIRMESH_README") == "write":
        _write(page, found, texts)
        found = blocks(page)
    for block, text in zip(found, texts, strict=True):
        if block.language == "console":
            for (command, expected), (_, answer) in zip(
                block.commands(), Block("", text, 0, 0).commands(), strict=True
            ):
                assert same(expected, answer), f"$ {command}\n{answer}\n-- the page says --\n{expected}"
        else:
            assert block.text == text


def _write(page: Path, found: list[Block], texts: list[str]) -> None:
    written = page.read_text("utf-8")
    for block, text in reversed(list(zip(found, texts, strict=True))):
        written = written[: block.start] + settled(text) + written[block.end :]
    page.write_text(written, "utf-8")


@pytest.mark.parametrize("page", LANGUAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_is_run(page: Path) -> None:
    assert {block.language for block in blocks(page)} == LANGUAGES[page]
    assert [command for block in blocks(page) for command, _ in block.commands()].count(STARTS) == 1


def test_the_policy_that_is_shown_is_the_one_that_is_published() -> None:
    shown = [block.text for block in blocks(POLICIES) if block.language != "console"]
    files = ("sales/rules.rego", "sales/decisions/sales.yaml", "acme/rules.rego", "acme/decisions/acme.yaml")
    assert shown == [(ROOT / "docs" / "tour" / "policies" / file).read_text("utf-8") for file in files]


def test_the_rules_that_are_shown_are_those_that_are_published() -> None:
    (shown,) = [block.text for block in blocks(GOVERNANCE) if block.language == "turtle"]
    folder = ROOT / "docs" / "tour" / "rules" / "domains" / "logistics"
    assert shown == (folder / "shapes.ttl").read_text("utf-8")


def test_the_rules_of_an_organisation_that_are_shown_leave_the_shipped_tests_as_they_are(tmp_path: Path) -> None:
    (rules,) = [block.text for block in blocks(ROOT / "policies" / "README.md") if block.language == "rego"]
    copy = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "org" / "acme").mkdir(parents=True)
    (copy / "org" / "acme" / "rules.rego").write_text(rules)
    command = [Path(sys.executable).parent / "fairmesh", "policy", "test", copy]
    ran = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_an_answer_that_differs_is_seen() -> None:
    assert same("a\n...\nz\n", "a\nb\nc\nz\n")
    assert same("analyst fm_...\n", f"analyst fm_{'x' * 32}\n")
    assert not same("a\nz\n", "a\nb\nz\n")
    assert not same("1 found\n", "2 found\n")
