"""What the terminal says of how a product stands, and of the overview."""

from __future__ import annotations

from typing import Any

from fairmesh.api.reads import product_lines
from fairmesh.api.rules_reads import governance_lines, in_force_lines

NOTHING = dict.fromkeys(("description", "version", "domain", "owner", "classification", "license", "updatedAt"))


def group(severity: str, rule: str, **more: object) -> dict[str, Any]:
    found = {"rule": rule, "severity": severity, "path": None, "count": 1, "fix": "Say so.", "waivedUntil": None}
    return {**found, **more}


def lines(counts: dict[str, int], *groups: dict[str, Any], failed: tuple[dict[str, str], ...] = ()) -> list[str]:
    standing = {"conforms": True, "counts": counts, "groups": groups, "failed": failed}
    product = {
        **NOTHING, "label": "A", "key": "a.a", "iri": "urn:a", "status": "BUILD", "terms": [], "conformance": standing,
        "waivers": [], "ports": [], "inputs": [], "datasets": [], "fair": {"indicators": []},
    }  # fmt: skip
    return list(product_lines(product))[3:]


def test_a_product_says_which_rules_found_what_and_what_to_do() -> None:
    counts = {"violation": 3, "warning": 1, "info": 0}
    said = lines(
        counts,
        group("VIOLATION", "core/03", path="http://purl.org/dc/terms/title", count=2),
        group("VIOLATION", "core/04", waivedUntil="2027-01-01T00:00:00Z"),
        group("WARNING", "core/05"),
        failed=({"rule": "core/06", "reason": "it took 2 s"},),
    )
    assert said == [
        "  conformance     2 errors, 1 waived, 1 warning, 0 advice",
        "    error [core/03] Say so. (dct:title); 2 times",
        "    waived [core/04] Say so.; waived until 2027-01-01T00:00:00Z",
        "    warning [core/05] Say so.",
        "    could not be evaluated [core/06] it took 2 s (it refuses nothing)",
    ]


def test_a_product_that_nothing_is_found_in_conforms() -> None:
    assert lines({"violation": 0, "warning": 0, "info": 0}) == ["  conformance     conforms, 0 warnings, 0 advice"]


def report(**more: object) -> dict[str, Any]:
    empty = {
        "at": "2020-01-01T00:00:00Z", "shapesVersion": "", "products": 0, "conforming": 0, "pending": 0,
        "fairMean": None, "byDomain": [], "byShape": [], "byOwner": [], "failed": [],
    }  # fmt: skip
    return {**empty, **more}


def test_before_the_first_rule_set_there_was_none() -> None:
    assert next(governance_lines(report())) == "no rule set was in force at 2020-01-01T00:00:00Z"
    nothing = {**dict.fromkeys(("digest", "at", "by", "source", "domain")), "rules": [], "files": []}
    assert list(in_force_lines(nothing)) == ["no rule set was in force"]


def test_the_overview_names_products_of_each_rule_and_how_many_more() -> None:
    row = {"key": "core/03", "label": "Title", "products": 9, "conforming": 2, "violations": 8, "findings": 12}
    warned = {**row, "key": "core/05", "products": 1, "conforming": 1, "examples": ["a.z"]}
    rows = [{**row, "examples": ["a.a", "a.b", "a.c", "a.d", "a.e"]}, warned]
    first, second = list(governance_lines(report(byShape=rows)))[-2:]
    assert first.endswith("Title  a.a, a.b, a.c, a.d, a.e and 2 more")
    assert second.endswith("Title  a.z")
