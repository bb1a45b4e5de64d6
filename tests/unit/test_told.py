"""What a reader is told of how products stand is one thing, wherever it is asked and whatever is hidden from them: the
report of a product, the facets, the filters, the order, the overview now and for the past, the feed, the foreseen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

import pytest
from governing import DAY, START, Governed, Rule, governed, org
from law.meshes import SUBJECTS
from samples import ANALYST, BASE, STEWARD, product, register

from fairmesh.catalog import View
from fairmesh.catalog.events import EventKind, events
from fairmesh.catalog.fair import fair_band
from fairmesh.catalog.governance import Stops
from fairmesh.catalog.model import FacetField, PageRequest, ProductFilter, Report, SearchOrder, Severity, Subject
from fairmesh.catalog.overview import overview
from fairmesh.catalog.policyfiles import POLICIES
from fairmesh.catalog.standing import Standing

HIDE = """
package fairmesh.org.acme

hide contains {"id": id, "field": "dct:description"} if {
	not "steward" in input.subject.roles
	some id, _ in input.resources
}

hide contains {"id": id, "field": "dcat:landingPage"} if {
	not "steward" in input.subject.roles
	not "producer" in input.subject.roles
	some id, _ in input.resources
}
"""
TWO = """@prefix csvw: <http://www.w3.org/ns/csvw#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<{k}/data> dct:conformsTo <{k}/data/schema> . <{k}/data/schema> a csvw:Schema ; csvw:column <{k}/data/column/a> ,
<{k}/data/column/b> . <{k}/data/column/a> a csvw:Column ; csvw:name 'a' ; csvw:datatype xsd:string ; dct:description
'The first one.'@en . <{k}/data/column/b> a csvw:Column ; csvw:name 'b' ; csvw:datatype xsd:string ; dct:description
'The other one.'@en ."""
RULES = (
    Rule("page", "sh:property [ sh:path dcat:landingPage ; sh:minCount 1 ]",
         met="<{k}> dcat:landingPage <https://www.example/> ."),
    Rule("columns", "sh:property [ sh:path ( dprod:outputDataset dct:conformsTo csvw:column ) ; sh:maxCount 1 ]",
         broken=TWO),
    Rule("alone", "sh:property [ sh:path dct:relation ; sh:maxCount 0 ]", broken="<{k}> dct:relation <https://a.b/> ."),
    Rule("linked", "sh:property [ sh:path dct:source ; sh:minCount 1 ]", mode="warn",
         met="<{k}> dct:source <https://a.example/> ."),
)  # fmt: skip
PAGE = "<{k}> dcat:landingPage <https://www.example/> ."


def made(key: str, extra: str = "", masked: Sequence[str] = ()) -> bytes:
    return product(key, classification="public", masked=masked, extra=extra.format(k=key))


PRODUCTS = {
    "sales.whole": made("sales.whole", extra=PAGE),
    "sales.bare": made("sales.bare"),
    "sales.masked": made("sales.masked", masked=("pay",), extra=PAGE),
    "sales.next": made("sales.next", extra=PAGE + "<sales.next> dct:relation <ops.secret> ."),
    "sales.waits": made("sales.waits", extra="<sales.waits> dct:source <ops.secret> ."),
    "sales.both": made("sales.both", masked=("pay",), extra="<sales.both> dct:relation <https://a.example/> ."),
    "sales.odd": made("sales.odd", masked=("pay",)),
}
"""Nothing hidden but fields; a field that is not there, either; a masked column; a hidden neighbour, that breaks a rule
or meets one; what fails for everybody; a masked column and a field that is not there."""
SECRET = product("ops.secret", classification="restricted", extra=PAGE.format(k="ops.secret"))
CONFORM = {
    STEWARD.id: {"sales.whole"},
    ANALYST.id: {"sales.whole", "sales.bare", "sales.masked", "sales.next", "sales.waits", "sales.odd"},
}
READERS = (STEWARD, ANALYST, *SUBJECTS.values())


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    """Registered on day 0; on day 1 the rules are in force; day 2."""
    folder = tmp_path_factory.mktemp("told")
    shutil.copytree(POLICIES / "fairmesh", folder / "policies" / "fairmesh")
    (folder / "policies" / "org" / "acme").mkdir(parents=True)
    (folder / "policies" / "org" / "acme" / "rules.rego").write_text(HIDE)
    with governed(folder / "data", policies=folder / "policies") as made:
        register(made.catalog, SECRET, *PRODUCTS.values())
        made.move(DAY)
        made.publish(org(*RULES))
        made.settle()
        made.move(DAY)
        yield made


def reports(view: View) -> dict[str, Report]:
    """The report of each product that may be read, by key."""
    found = {held.key: view.conformance(held.home) for held in view.readable}
    return {key: report for key, report in found.items() if report is not None}


def listed(view: View, filter: ProductFilter | None = None, order: SearchOrder = SearchOrder.LABEL) -> list[str]:
    hits = view.search(
        None, types=frozenset({"https://ekgf.github.io/dprod/DataProduct"}), filter=filter, order=order, langs=None,
        page=PageRequest(first=50),
    )  # fmt: skip
    return [hit.iri.removeprefix(BASE) for hit in hits.page.items]


def facets(view: View, field: FacetField) -> dict[str, int]:
    found = view.search(
        None, types=frozenset({"https://ekgf.github.io/dprod/DataProduct"}), filter=None, order=SearchOrder.LABEL,
        langs=None, page=PageRequest(),
    )  # fmt: skip
    (facet,) = found.facets([field], 10)
    return {bucket.key: bucket.count for bucket in facet.buckets}


def counted(numbers: list[str]) -> dict[str, int]:
    return {each: numbers.count(each) for each in numbers}


def test_the_story_is_one_of_things_hidden(mesh: Governed) -> None:
    for reader in (STEWARD, ANALYST):
        with mesh.view(reader) as view:
            conforming = {key for key, report in reports(view).items() if report.conforms}
            assert conforming - {"ops.secret"} == CONFORM[reader.id]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.id)
def test_facet_filter_and_overview_count_what_reports_say(mesh: Governed, reader: Subject) -> None:
    with mesh.view(reader) as view:
        told = reports(view)
        conforming = {key for key, report in told.items() if report.conforms}
        assert set(listed(view, ProductFilter(conforms=True))) == conforming
        assert set(listed(view, ProductFilter(conforms=False))) == told.keys() - conforming
        assert facets(view, FacetField.CONFORMS) == counted(
            ["true" if report.conforms else "false" for report in told.values()]
        )
        for moment in (None, START + 1.1 * DAY, START + 1.9 * DAY):
            seen = overview(view, mesh.catalog, None, moment)
            assert (seen.products, seen.conforming) == (len(told), len(conforming)), moment
            assert {row.key: (row.violations, row.findings) for row in seen.by_rule} == {
                rule: (
                    sum(f.rule == rule and f.severity is Severity.VIOLATION for r in told.values() for f in r.findings),
                    sum(f.rule == rule for r in told.values() for f in r.findings),
                )
                for rule in {f.rule for report in told.values() for f in report.findings}
            }


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.id)
def test_scores_bands_and_order_are_those_of_the_assessment(mesh: Governed, reader: Subject) -> None:
    with mesh.view(reader) as view:
        scores = {}
        for held in view.readable:
            assessment = view.fair(held.home)
            assert assessment is not None
            scores[held.key] = assessment.score
            assert view.sighted.columns.score[held.slot] == assessment.score
        assert facets(view, FacetField.FAIR_BAND) == counted([fair_band(score) for score in scores.values()])
        ordered = [scores[key] for key in listed(view, order=SearchOrder.FAIR_SCORE) if key in scores]
        assert ordered == sorted(scores.values(), reverse=True)
        for mark in {*scores.values()}:
            assert set(listed(view, ProductFilter(fair_at_least=mark))) == {k for k, s in scores.items() if s >= mark}


def test_a_hidden_description_lowers_the_score_of_who_may_not_see_it(mesh: Governed) -> None:
    score = {}
    for reader in (STEWARD, ANALYST):
        with mesh.view(reader) as view:
            assessment = view.fair(BASE + "sales.whole")
            assert assessment is not None
            score[reader.id] = assessment.score
    assert score[ANALYST.id] < score[STEWARD.id]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.id)
def test_what_is_foreseen_under_the_rules_in_force_is_how_products_stand(mesh: Governed, reader: Subject) -> None:
    with mesh.view(reader) as view:
        products = [held for held in view.readable if not held.retired]
        foreseen = mesh.catalog.verdicts.foresee(view, view.ruling, products, mesh.now[0], Stops())
        known = view.sighted.standings
        assert [(p.key, s.broken, s.fair) for p, s in foreseen()] == [
            (p.key, known[p.slot].broken, known[p.slot].fair) for p in products
        ]


def test_the_feed_tells_of_no_change_of_what_stays_as_it_is_for_the_reader(mesh: Governed) -> None:
    for reader in (STEWARD, ANALYST):
        with mesh.view(reader) as view:
            page = events(view, mesh.catalog, kinds=[EventKind.CONFORMANCE_CHANGED], domain=None, home=None, first=200,
                          after=None)  # fmt: skip
        turned = {event.home.removeprefix(BASE) for event in page.items} - {"ops.secret"}
        assert turned == PRODUCTS.keys() - CONFORM[reader.id]


def test_readers_from_whom_other_fields_are_hidden_are_not_mixed_up(mesh: Governed) -> None:
    """What is remembered of a product judged apart is told to each as it is for them, in any order of asking."""
    other = SUBJECTS["people"]  # sees the same of sales.odd as the analyst, and is told of the field it lacks
    for _ in range(2):
        for reader, conforms in ((ANALYST, True), (other, False)):
            assert mesh.conforms("sales.odd", reader) is conforms
        for reader in READERS:
            with mesh.view(reader) as view:
                assert {held.key for held in view.readable if view.sighted.columns.conforms[held.slot] == 1} == {
                    key for key, report in reports(view).items() if report.conforms
                }


def test_a_standing_comes_back_from_the_journal_with_what_its_findings_are_about(mesh: Governed) -> None:
    standing = mesh.catalog.storage.standings.by_slot[mesh.catalog.registry.by_key["sales.bare"].slot]
    assert [field for field, _ in standing.fields if field.endswith("landingPage")]
    assert Standing.read(standing.json()) == standing
    assert standing.seen(standing.need) is standing
    assert not {"org/acme/page"} & {rule for rule, *_ in standing.seen(0).broken}
