"""The pages say what a rule does today and later, with its examples, and what rules find in a product; all escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from conftest import ROOT
from samples import ANALYST, producer, product, register

from fairmesh.api.pages import product_page, rule_page, rules_page
from fairmesh.catalog import Catalog, document
from fairmesh.catalog.examples import check_examples
from fairmesh.catalog.model import Subject
from fairmesh.catalog.rdf import TURTLE
from fairmesh.catalog.rulefiles import RULES
from fairmesh.catalog.rulelint import examples_of
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


def test_each_part_of_a_rule_says_what_it_does_and_what_to_do(ruling: Ruling) -> None:
    text = unescape(page(ruling, "core/25", NOW))
    assert "<td>refuses; in part: warns</td>" in text
    assert "<tr><th>dcat:version</th><td>warns</td><td>Add a version, such as" in text
    assert "<tr><th>dcat:version</th><td>refuses</td><td>State one version as" in text
    listed = re.findall(r'/rules/(core/2[578])".*?</td><td>.*?</td><td>(.*?)</td>', rules_page(ruling, NOW).decode())
    assert listed == [
        ("core/25", "refuses; in part: warns"), ("core/27", "refuses; in part: advises"), ("core/28", "warns"),
    ]  # fmt: skip


def test_what_a_finding_says_is_on_the_page_of_its_rule(catalog: Catalog, ruling: Ruling) -> None:
    def read(data: bytes) -> document.ProductDocument:
        return document.read(data, TURTLE, catalog.iri_base)

    examples = {path: text for path, text in ruling.version.files.items() if "/examples/bad-" in path}
    results = check_examples(ruling.validator, examples, read, iri_base=catalog.iri_base, now=NOW)
    found = {(f.rule, f.message) for result in results if result.report for f in result.report.findings}
    assert len(found) > 40
    assert [(rule, said) for rule, said in sorted(found) if said not in unescape(page(ruling, rule, NOW))] == []


def test_a_rule_without_an_ok_example_of_its_own_shows_one_of_its_level(ruling: Ruling) -> None:
    text = page(ruling, "domains/sales/frequency", NOW)
    assert re.findall(r"<summary>(.*?)</summary>", text) == [
        "Meets it: ok-frequency-irregular.ttl", "Breaks it: bad-frequency-text.ttl",
    ]  # fmt: skip
    rules = ruling.rules.rules
    rule = next(rule for rule in rules if rule.id == "domains/sales/frequency")
    given = [f"domains/sales/examples/{name}.ttl" for name in ("ok-a", "ok-freshness-x", "bad-frequency", "bad-x")]
    assert examples_of(rule, rules, given) == (given[:1], [given[2]])


def test_texts_of_rules_are_escaped(ruling: Ruling) -> None:
    text = page(ruling, "core/06", NOW)
    assert "<team/sales>" not in text
    assert "<team/sales>" in unescape(text)


def test_a_rule_says_what_it_looks_at_whichever_way_it_is_targeted(ruling: Ruling) -> None:
    text = re.sub("<span[^>]*>|</span>", "", page(ruling, "core/17", NOW))
    assert "<td>dcat:DataService; whatever states dcat:endpointURL; whatever dprod:outputPort leads to</td>" in text
    freshness = re.sub("<span[^>]*>|</span>", "", page(ruling, "domains/logistics/freshness", NOW))
    assert "<th>Looks at</th><td>whatever dprod:outputDataset leads to</td>" in freshness


def test_shapes_are_shown_with_their_lists_rolled_up(ruling: Ruling) -> None:
    text = unescape(page(ruling, "core/17", NOW))
    assert "sh:or ( <#container> <#no-user> )" in text
    assert "rdf:first" not in text
    assert "_:" not in text


def shown(catalog: Catalog, key: str, subject: Subject) -> str:
    with catalog.view(subject, channel="http") as view:
        found = view.product(key=key)
        assert found is not None
        return product_page(view, found, catalog.iri_base).decode()


def test_a_product_shows_what_rules_find_in_it_until_when_it_is_waived_and_what_to_do(catalog: Catalog) -> None:
    register(catalog, product("logistics.a"), subject=producer("logistics"))
    assert "freshness" not in shown(catalog, "logistics.a", STEWARD)
    files = {path.relative_to(TOUR).as_posix(): path.read_bytes() for path in TOUR.rglob("*.ttl")}
    name = "domains/logistics/shapes.ttl"
    files[name] = files[name].replace(
        b"fm:mode fm:warn ; fm:nextMode fm:gateWhenLive", b"fm:mode fm:gate ; fm:nextMode fm:warn"
    )
    catalog.rule_publishing.publish(STEWARD, files, catalog.access, channel="http", domain="logistics")
    text = shown(catalog, "logistics.a", STEWARD)
    assert '<p class="bad">1 error, ' in text
    assert '<a href="/rules/domains/logistics/freshness">domains/logistics/freshness</a>' in text
    assert '<span class="bad">error</span>: State how often data comes in, such as dct:accrualPeriodicity &lt;' in text
    end = catalog.clock() + timedelta(days=9)
    catalog.waivers.grant(
        STEWARD, catalog.access, "logistics.a", "domains/logistics/freshness", reason="it is being mended",
        expires=end, channel="http",
    )  # fmt: skip
    text = shown(catalog, "logistics.a", STEWARD)
    assert "<p>conforms, 1 waived, " in text
    assert f"; waived until {end:%Y-%m-%dT%H:%M:%SZ}" in text


def test_a_product_shows_how_fair_it_is_to_who_may_read_it(catalog: Catalog) -> None:
    register(catalog, product("web.fair", classification="confidential"))
    text = shown(catalog, "web.fair", STEWARD)
    assert re.search(r"<details><summary>FAIR 0\.\d\d \(F 0\.50, A [^)]*\)</summary>", text)
    assert "<th>RDA-R1.3-02M</th><td>The metadata follows a standard that machines understand: lacks" in text
    assert "Add dct:conformsTo &lt;https://ekgf.github.io/dprod/&gt; to the product" in text
    assert "FAIR" not in shown(catalog, "web.fair", ANALYST)
