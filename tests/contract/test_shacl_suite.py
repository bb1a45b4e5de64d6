"""W3C's SHACL test suite on both engines: Core in full, SPARQL-based constraints as far as listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from agreement.judges import Rules, Run, compiled, reference, rudof
from agreement.reports import alike
from agreement.suites import Case, cases

CORE_TESTS, SPARQL_TESTS = 98, 22
ENGINES = {"compiled": compiled, "pyshacl": reference}

NO_GRAPH = "GRAPH and $shapesGraph lead out of the data: refused by design; optional in SHACL, sections 3.1 and 5.3.1"
EXCEPTIONS: dict[str, dict[str, str]] = {
    "compiled": {"pre-binding/shapesGraph-001.ttl": NO_GRAPH},
    "pyshacl": {"pre-binding/shapesGraph-001.ttl": NO_GRAPH},
}
"""SPARQL tests that an engine does not pass, by file, each with the reason. The Core suite has no exceptions."""


def _wrong(case: Case, judge: Callable[[Rules], Run]) -> str:
    """How an engine's answer differs from the expected one; empty when it does not."""
    verdict = judge(Rules(case.shapes))(case.data)
    if case.expected is None:
        return "" if verdict.refused else f"a failure is expected, got {sorted(verdict.rows, key=str)}"
    if verdict.refused:
        return f"refused: {verdict.refused}"
    found, expected = alike(verdict.rows), alike(case.expected)
    return "" if found == expected else f"missing {expected - found}, too many {found - expected}"


def _failures(folder: Path, judge: Callable[[Rules], Run], count: int) -> dict[str, str]:
    every = cases(folder / "manifest.ttl")
    assert len(every) == count
    return {case.name: wrong for case in every if (wrong := _wrong(case, judge))}


@pytest.fixture
def suite(shared: Path) -> Path:
    return shared / "conformance" / "shacl" / "tests"


@pytest.mark.parametrize("engine", ENGINES)
def test_core(engine: str, suite: Path) -> None:
    assert _failures(suite / "core", ENGINES[engine], CORE_TESTS) == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_sparql(engine: str, suite: Path) -> None:
    failures = _failures(suite / "sparql", ENGINES[engine], SPARQL_TESTS)
    listed = EXCEPTIONS[engine]
    assert {name: wrong for name, wrong in failures.items() if name not in listed} == {}
    assert listed.keys() <= failures.keys(), "an exception passes now: remove it"


def test_rudof_passes_core(suite: Path) -> None:
    assert _failures(suite / "core", rudof, CORE_TESTS) == {}


def test_the_page_states_the_figures() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "validator.md").read_text("utf-8")
    passed = " | ".join(str(SPARQL_TESTS - len(EXCEPTIONS[engine])) for engine in ENGINES)
    assert f"| Core | {CORE_TESTS} | {CORE_TESTS} | {CORE_TESTS} |" in page
    assert f"| SPARQL, expected failures included | {SPARQL_TESTS} | {passed} |" in page
    assert all(name in page for listed in EXCEPTIONS.values() for name in listed)
