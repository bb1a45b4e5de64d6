"""Fields that a policy hides, in views: they are not shown, named, searched, filtered, counted or led through."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from meshes import Mesh
from samples import ANALYST, BASE, STEWARD, product

from fairmesh.catalog import View
from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.model import (
    FIELD_NAMES,
    Action,
    Direction,
    FacetField,
    PageRequest,
    ProductFilter,
    PropertyTest,
    SearchOrder,
)
from fairmesh.catalog.policyfiles import POLICIES

HIDDEN = ("dct:description", "dct:subject", "dcat:keyword", "dcat:contactPoint", "dct:license", "dprod:inputDataset")
RULE = """
package fairmesh.org.acme

hide contains {"id": id, "field": field} if {
	not "steward" in input.subject.roles
	some id, _ in input.resources
	some field in [FIELDS]
}

rows contains {"id": id, "filter": "region = 'EU'"} if {
	input.action == "read_data"
	some id, _ in input.resources
}
""".replace("FIELDS", ", ".join(f'"{name}"' for name in HIDDEN))
EXTRA = """
<sales.orders> dcat:keyword "zebra" ; dcat:contactPoint <contact/orders> ; 
  dprod:inputDataset <https://ext.example/lake> ;
  dcat:contactPoint [ a foaf:Agent ; foaf:name "Quagga" ] ; dcat:theme <term/shared> .
<sales.orders/data> dcat:contactPoint <contact/both> . <sales.orders> dcat:contactPoint <contact/both> .
<contact/orders> a foaf:Agent ; foaf:name "Okapi" . <contact/both> a foaf:Agent ; foaf:name "Bongo" .
<https://ext.example/lake> a fm:ExternalDataset ; dct:title "Gnu lake" .
"""


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    folder = tmp_path_factory.mktemp("policies")
    shutil.copytree(POLICIES / "fairmesh", folder / "fairmesh")
    (folder / "org" / "acme").mkdir(parents=True)
    (folder / "org" / "acme" / "rules.rego").write_text(RULE)
    policies = PolicySet.load(folder)
    opened = Access(EmbeddedEngine(policies), policies)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def mesh(access: Access) -> Mesh:
    made = Mesh(access)
    made.load([product("sales.orders", term="impala", extra=EXTRA), product("ops.plain")])
    return made


def found(view: View, text: str | None, filter: ProductFilter | None = None) -> list[str]:
    hits = view.search(
        text, types=None, filter=filter, order=SearchOrder.RELEVANCE, langs=None, page=PageRequest(first=20)
    )
    return [hit.iri.removeprefix(BASE) for hit in hits.page.items]


def test_hidden_fields_are_not_in_the_document(mesh: Mesh) -> None:
    with mesh.reading(ANALYST) as view, mesh.reading(STEWARD) as all:
        said, whole = (v.rdf(BASE + "sales.orders", "text/turtle").decode() for v in (view, all))
        predicates = {
            t.predicate.value for t in view.statements(BASE + "sales.orders") if "data" not in t.subject.value
        }
        assert not predicates & {FIELD_NAMES[name] for name in HIDDEN}
    for word in ("zebra", "Okapi", "Quagga", "impala", "Gnu", "creativecommons", "Everything known"):
        assert word in whole
        assert word not in said
    assert "One row for each orders" in said, "the description of the dataset is no field of the product"


def test_what_something_visible_leads_to_as_well_stays(mesh: Mesh) -> None:
    with mesh.reading(ANALYST) as view:
        said = view.rdf(BASE + "sales.orders", "text/turtle").decode()
        assert "Bongo" in said
        linked = view.relations(
            BASE + "contact/both", predicates=None, direction=Direction.IN, target_types=None, page=PageRequest()
        )
        assert [r.node for r in linked.items] == [BASE + "sales.orders/data"]


def test_hidden_fields_are_not_searched_counted_or_filtered(mesh: Mesh) -> None:
    keyword = (FIELD_NAMES["dcat:keyword"], PropertyTest(exists=True))
    for subject, seen in ((ANALYST, False), (STEWARD, True)):
        with mesh.reading(subject) as view:
            for word in ("zebra", "known", "impala"):
                assert ("sales.orders" in found(view, word)) is seen, word
            assert ("sales.orders" in found(view, None, ProductFilter(property=(keyword,)))) is seen
            listing = view.search(
                None, types=None, filter=None, order=SearchOrder.RELEVANCE, langs=None, page=PageRequest(first=20)
            )
            facets = listing.facets([FacetField.TERM, FacetField.LICENSE], 10)
            assert [bool(facet.buckets) for facet in facets] == [seen, seen]
            assert bool(view.glossary_terms(None, PageRequest()).items) is seen
            assert (view.label(BASE + "contact/orders") == "Okapi") is seen
            info = view.product(key="sales.orders")
            assert info is not None
            assert (bool(info.terms), info.license is not None) == (seen, seen)
            assert len(view.datasets(info.iri, None)) == 1 + seen


def test_what_everybody_may_know_stays(mesh: Mesh) -> None:
    with mesh.reading(ANALYST) as view:
        info = view.product(key="sales.orders")
        assert info is not None
        assert (info.key, info.domain, info.owner) == ("sales.orders", BASE + "domain/sales", BASE + "team/sales")
        assert found(view, "Orders") == ["sales.orders"]


def test_the_past_hides_what_is_hidden_today(mesh: Mesh) -> None:
    with mesh.reading(ANALYST) as view, mesh.reading(STEWARD) as all:
        for v, seen in ((view, False), (all, True)):
            changes = v.revisions(BASE + "sales.orders", PageRequest()).items[0].changes
            assert any("zebra" in change.object for change in changes) is seen
            assert any("Okapi" in change.object for change in changes) is seen


def test_a_row_filter_is_passed_on_to_who_reads_the_data(mesh: Mesh) -> None:
    with mesh.reading(ANALYST) as view:
        data, metadata = view.viewer_can(BASE + "sales.orders", [Action.READ_DATA, Action.READ_METADATA])
    assert (data.allowed, data.obligations.row_filter) == (True, "region = 'EU'")
    assert metadata.obligations.row_filter is None
    assert metadata.obligations.hide_fields == tuple(sorted(HIDDEN))
