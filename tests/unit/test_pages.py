"""The pages about rules say what a rule does today and later, show its examples, and escape everything."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from conftest import ROOT

from fairmesh.api.pages import rule_page, rules_page
from fairmesh.catalog import Catalog
from fairmesh.catalog.model import Subject
from fairmesh.catalog.rulefiles import RULES
from fairmesh.catalog.ruling import Ruling

TOUR = ROOT / "docs" / "tour" / "rules"
STEWARD = Subject("steward", "user", roles=("steward",), clearance="restricted")
NOW, LATER = datetime(2026, 11, 21, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def ruling(catalog: Catalog) -> Ruling:
    """What ships, and the rules of the governance tour."""
    files = {path.relative_to(TOUR).as_posix(): path.read_bytes() for path in TOUR.rglob("*.ttl")}
    catalog.rule_publishing.publish(STEWARD, files, catalog.access, channel="http", domain="logistics")
    return catalog.rulings.current


def page(ruling: Ruling, name: str, now: datetime) -> str:
    rule = ruling.rules.rule(RULES + name)
    assert rule is not None
    return rule_page(ruling, rule, now).decode()


def test_all_rules_are_listed_by_level_with_a_link(ruling: Ruling) -> None:
    text = rules_page(ruling, NOW).decode()
    assert re.findall(r'href="/rules/([^"]+)"', text) == [rule.id for rule in ruling.rules.rules]
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["core", "domains/finance", "domains/logistics", "domains/sales"]
    assert ruling.digest in text


def test_a_mode_that_changes_by_date_is_told_until_it_has(ruling: Ruling) -> None:
    name = "domains/logistics/freshness"
    assert "<td>warns; from 2030-01-01: refuses live products, warns others</td>" in page(ruling, name, NOW)
    assert "<td>refuses live products, warns others</td>" in page(ruling, name, LATER)


def test_a_rule_shows_remedy_owner_examples_and_shapes(ruling: Ruling) -> None:
    text = page(ruling, "domains/logistics/freshness", NOW)
    assert re.findall(r"<summary>(.*?)</summary>", text) == [
        "Meets it: ok-freshness-irregular.ttl", "Breaks it: bad-freshness-unsaid.ttl",
    ]  # fmt: skip
    for shown in ("State how often data comes in", "logistics-data", "<pre>@prefix", "sh:path dct:accrualPeriodicity"):
        assert shown in text


def test_texts_of_rules_are_escaped(ruling: Ruling) -> None:
    text = page(ruling, "core/06", NOW)
    assert "<team/sales>" not in text
    assert "<team/sales>" in unescape(text)
