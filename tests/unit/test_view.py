"""Views by themselves: single ways in which something hidden could show, and odd requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from meshes import NOW, Mesh, open_access, parsed, register_entry
from samples import ANALYST, BASE, STEWARD, product

from fairmesh.catalog.access import Access
from fairmesh.catalog.document import TYPE
from fairmesh.catalog.errors import InputError, NotFound, Retired
from fairmesh.catalog.model import (
    Action,
    Direction,
    Entry,
    FacetField,
    IriFilter,
    LineageDirection,
    PageRequest,
    ProductFilter,
    PropertyTest,
    SearchOrder,
    Subject,
    WalkStep,
)

DCT = "http://purl.org/dc/terms/"
DPROD = "https://ekgf.github.io/dprod/"
LAKE = "https://ext.example/lake"
SECRET = "people.salaries"


@pytest.fixture(scope="module")
def access() -> Iterator[Access]:
    opened = open_access()
    yield opened
    opened.close()


@pytest.fixture
def mesh(access: Access) -> Mesh:
    return Mesh(access)


def secret(word: str = "restricted", extra: str = "") -> bytes:
    return product(SECRET, classification=word, extra=extra)


def test_a_tombstone_names_no_hidden_successor(mesh: Mesh) -> None:
    mesh.load([product("web.clicks"), secret()])
    mesh.retire(BASE + "web.clicks", replaced_by=BASE + SECRET)
    for subject, named in ((ANALYST, False), (STEWARD, True)):
        with mesh.reading(subject) as view, pytest.raises(Retired) as gone:
            view.raise_if_retired(BASE + "web.clicks")
        assert (SECRET in gone.value.remedy) is named


def test_listing_a_hidden_dataset_as_ones_own_does_not_show_it(mesh: Mesh) -> None:
    mesh.load([
        secret(),
        product("finance.costs", sources=[f"{SECRET}/data"]),
        product("finance.thief", extra=f"<finance.thief> dct:hasPart <{SECRET}/data> .").replace(
            b"<finance.thief/data> ; ", b""
        ),
    ])  # fmt: skip
    owner = Subject("owner", "user", ("analyst",), domains=("finance",), clearance="public")
    with mesh.reading(owner) as view:
        assert view.product(key="finance.thief") is not None
        with pytest.raises(NotFound):
            view.lineage(f"{BASE}{SECRET}/data", direction=LineageDirection.BOTH, depth=3, max_nodes=9, types=None)


def test_a_product_outside_the_mesh_is_described_by_its_own_document_alone(mesh: Mesh) -> None:
    outside = "https://a.example/web.f"
    taken = f"<web.a> dprod:inputPort <{outside}> . <{outside}> dprod:dataProductOwner <team/a> ."
    mesh.load([product("web.f").replace(b"<web.f", b"<https://a.example/web.f"), product("web.a", extra=taken)])
    with mesh.reading(STEWARD) as view:
        info = view.product(key="web.f")
    assert info is not None
    assert info.owner == BASE + "team/web"


def test_who_describes_an_outside_node_is_no_news_to_those_who_may_not_read_it(mesh: Mesh) -> None:
    lake = f"<{SECRET}> dct:hasPart <{LAKE}> . <{LAKE}> a dcat:Dataset ; "
    lake += "dprod:informationSensitivityClassification c:confidential ."
    mesh.load([secret("confidential", lake), product("web.a", sources=[LAKE])])
    people = ProductFilter(domain=IriFilter((BASE + "domain/people",)))
    step = WalkStep(frozenset({"http://www.w3.org/ns/prov#wasDerivedFrom"}))
    for subject, known in ((ANALYST, False), (STEWARD, True)):
        with mesh.reading(subject) as view:
            assert view.product(key=SECRET) is not None
            page, _ = view.traverse([BASE + "web.a/data"], [step], filter=people, distinct=True, page=PageRequest())
            assert (page.total == 1) is known
            assert (view.viewer_can(LAKE, [Action.READ_METADATA])[0].reasons != ("visible",)) is known


def test_columns_are_masked_wherever_they_hang(mesh: Mesh) -> None:
    extra = """<web.a/data> dcat:distribution <web.a/file> . <web.a/file> dct:conformsTo <web.a/file/schema> .
      <web.a/file/schema> csvw:column <web.a/file/pin> .
      <web.a/file/pin> a csvw:Column ; csvw:name "pin" ; fm:classification c:internal , c:restricted ;
        dct:relation [ dct:title "four digits" ] ."""
    mesh.load([product("web.a", extra=extra)])
    with mesh.reading(ANALYST) as view:
        text = view.rdf(BASE + "web.a", "text/turtle")
        assert view.column(BASE + "web.a/file/pin") is None
    assert b"pin" not in text
    assert b"digits" not in text


def test_a_key_that_names_a_masked_column_is_masked_too(mesh: Mesh) -> None:
    extra = '<web.a/data/schema> csvw:primaryKey "id, pay" .'
    mesh.load([product("web.a", masked=["pay"], extra=extra)])
    for subject, shown in ((ANALYST, False), (STEWARD, True)):
        with mesh.reading(subject) as view:
            assert (b'"id, pay"' in view.rdf(BASE + "web.a", "text/turtle")) is shown
            found = view.search(
                "pay", types=frozenset({"http://www.w3.org/ns/csvw#Schema"}), filter=None, order=SearchOrder.RELEVANCE,
                langs=None, page=PageRequest(),
            )  # fmt: skip
            assert (found.page.total == 1) is shown


def test_facets_name_no_hidden_node(mesh: Mesh) -> None:
    mesh.load([secret(), product("web.a", extra=f"<web.a> dct:subject <{SECRET}/data> .")])
    with mesh.reading(ANALYST) as view:
        found = view.search(None, types=None, filter=None, order=SearchOrder.LABEL, langs=None, page=PageRequest())
        assert found.page.total == 1
        assert found.facets([FacetField.TERM], 5)[0].buckets == ()


def test_a_node_that_only_leads_to_hidden_ones_is_not_there(mesh: Mesh) -> None:
    extra = f"<web.a/alone> dct:relation <{SECRET}/data> . <web.a/before> dct:relation <{SECRET}/data>, <web.a> ."
    mesh.load([secret(), product("web.a", extra=extra)])
    for subject, there in ((ANALYST, False), (STEWARD, True)):
        with mesh.reading(subject) as view:
            assert [view.exists(BASE + "web.a/" + n) for n in ("alone", "before")] == [there, True]


def test_a_node_its_own_document_names_is_there_described_or_not(mesh: Mesh) -> None:
    extra = "<web.a> dct:relation [], <web.a/one> . <web.a/one> dct:relation <web.a/two> ."
    extra += f"<web.a/two> dct:relation <{SECRET}/data> ."
    mesh.load([secret(), product("web.a", extra=extra)])
    for subject, leads in ((ANALYST, 0), (STEWARD, 1)):
        with mesh.reading(subject) as view:
            assert all(view.exists(BASE + "web.a/" + n) for n in ("one", "two"))
            kept = [t for t in view.statements(BASE + "web.a") if t.predicate.value.endswith("relation")]
            assert len(kept) == 3 + leads


def test_whoever_may_discover_a_product_finds_its_contact(mesh: Mesh) -> None:
    contact = f"<{SECRET}> dcat:contactPoint [ a foaf:Agent ; foaf:name 'Pay desk' ] ."
    mesh.load([secret("confidential", contact)])
    with mesh.reading(ANALYST) as view:
        page = view.relations(
            BASE + SECRET, predicates=frozenset({"http://www.w3.org/ns/dcat#contactPoint"}), direction=Direction.OUT,
            target_types=None, page=PageRequest(),
        )  # fmt: skip
        assert [view.label(r.node) for r in page.items] == ["Pay desk"]


def test_the_retirement_of_a_hidden_revision_is_hidden_with_it(mesh: Mesh) -> None:
    mesh.load([product("web.a", classification="restricted")])
    mesh.retire(BASE + "web.a")
    mesh.load([product("web.a", classification="internal")])
    for subject, numbers in ((ANALYST, [3]), (STEWARD, [3, 2, 1])):
        with mesh.reading(subject) as view:
            assert [r.number for r in view.revisions(BASE + "web.a", PageRequest()).items] == numbers


def test_reports_name_nothing_hidden(mesh: Mesh) -> None:
    """A rule finds fault with a masked column, which it names, and with another; its owner is told of both."""
    extra = f"""<web.a/data/schema> csvw:column <web.a/data/column/pay> , <web.a/data/column/odd> .
      <web.a/data/column/pay> a csvw:Column ; csvw:name "pay" ; fm:classification c:restricted .
      <web.a/data/column/odd> a csvw:Column ; csvw:name "odd" ; dct:relation <{SECRET}> ."""
    mesh.load([secret(), product("web.a", extra=extra)])
    pay, odd = (f"{BASE}web.a/data/column/{name}" for name in ("pay", "odd"))
    for subject, named in ((ANALYST, {odd}), (STEWARD, {odd, pay})):
        with mesh.reading(subject) as view:
            report = view.conformance(BASE + "web.a")
            assert report is not None
            assert {f.focus for f in report.findings if f.rule == "core/22"} == named
            assert view.conformance(BASE + "nowhere.x") is None
            assert (view.conformance(BASE + SECRET) is None) is (subject is ANALYST)
            assert subject is STEWARD or (pay not in str(report) and SECRET not in str(report))


@pytest.mark.parametrize(("word", "told"), [("internal", True), ("confidential", False), ("restricted", False)])
def test_a_product_is_judged_and_assessed_for_who_may_read_it(mesh: Mesh, word: str, told: bool) -> None:
    mesh.load([secret(word)])
    with mesh.reading(ANALYST) as view:
        assert (view.product(key=SECRET) is not None) is (word != "restricted")
        judged = (view.conformance(BASE + SECRET), view.fair(BASE + SECRET))
        assert [found is not None for found in judged] == [told, told]


@pytest.mark.parametrize("iri", ["", "x", "not an iri", "http://[bad", "http://a/%zz", BASE + "term/a b"])
def test_what_is_no_iri_is_nowhere(mesh: Mesh, iri: str) -> None:
    mesh.load([product("web.a", term="t")])
    every = PageRequest()
    with mesh.reading(STEWARD) as view:
        assert view.resource(iri) is None
        assert view.types(iri) == ()
        assert view.products(None, every, domain=iri, term=iri).total == 0
        assert view.products(ProductFilter(term=IriFilter(None, iri)), every).total == 0
        assert view.products(ProductFilter(property=((iri, PropertyTest(exists=True)),)), every).total == 0
        assert view.relations(
            BASE + "web.a", predicates=frozenset({iri}), direction=Direction.BOTH, target_types=None, page=every
        ).total == 0  # fmt: skip
        with pytest.raises(NotFound):
            view.lineage(iri, direction=LineageDirection.BOTH, depth=1, max_nodes=1, types=None)


def test_search_goes_forward_only(mesh: Mesh) -> None:
    with mesh.reading(STEWARD) as view:
        for page in (PageRequest(first=None, last=3), PageRequest(before="WzFd")):
            with pytest.raises(InputError, match="forward"):
                view.search(None, types=None, filter=None, order=SearchOrder.LABEL, langs=None, page=page)


def test_a_position_that_is_no_number_comes_last(mesh: Mesh) -> None:
    extra = '<web.a/data/column/a> fm:position "²" . <web.a/data/column/b> fm:position 2 .'
    mesh.load([product("web.a", columns=["a", "b"], extra=extra)])
    with mesh.reading(STEWARD) as view:
        assert [c.name for c in view.columns(BASE + "web.a/data", PageRequest()).items] == ["b", "a"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (None, "Book"),
        (["de-AT"], "Buch"),
        (["en-GB"], "Book"),
        (["zz", "FR"], "Livre"),
        (["es-419"], "Libro"),
        (["es"], "Libro"),
        (["zz"], "Book"),
    ],
)
def test_a_language_is_looked_up_by_shortening_what_was_asked_for(
    mesh: Mesh, asked: list[str] | None, shown: str
) -> None:
    node = "<web.a/part>"
    texts = "'Buch'@de , 'Book'@en , 'Livre'@fr , 'Libro'@es-419 , 'Aklat'@tl"
    mesh.load([product("web.a", extra=f"<web.a> dct:hasPart {node} . {node} dct:title {texts} .")])
    with mesh.reading(STEWARD) as view:
        assert view.label(BASE + "web.a/part", asked) == shown


def test_untagged_text_comes_before_english_and_english_before_the_rest(mesh: Mesh) -> None:
    extra = "<web.a> dct:hasPart <web.a/p> , <web.a/q> . <web.a/p> dct:title 'plain' , 'A'@en . "
    extra += "<web.a/q> dct:title 'Z'@da , 'A'@sv ."
    mesh.load([product("web.a", extra=extra)])
    with mesh.reading(STEWARD) as view:
        assert [view.label(BASE + "web.a/p", langs) for langs in (["zz"], None)] == ["plain", "A"]
        assert view.label(BASE + "web.a/q", ["zz"]) == "Z"


def test_an_outside_node_is_what_the_first_product_says_it_is(mesh: Mesh) -> None:
    def lake(key: str, title: str, column: str, word: str) -> bytes:
        extra = f"""<{key}> dprod:outputDataset <{LAKE}> .
          <{LAKE}> a dcat:Dataset ; dct:title "{title}"@en ; dct:description "A {title}"@en ;
            dprod:informationSensitivityClassification c:{word} ; dct:conformsTo <{LAKE}/schema> .
          <{LAKE}/schema> a csvw:Schema ; csvw:column <{LAKE}/id> , <{LAKE}/{column}> .
          <{LAKE}/id> a csvw:Column ; csvw:name "{column}-id" . <{LAKE}/{column}> a csvw:Column ."""
        return product(key, classification=word, extra=extra)

    def seen(subject: Subject) -> tuple[object, ...]:
        with mesh.reading(subject) as view:
            names = [c.name for c in view.columns(LAKE, PageRequest()).items]
            info = view.dataset(LAKE)
            assert info is not None
            titles = view.properties(LAKE, predicates=frozenset({DCT + "title"}), langs=None, page=PageRequest())
            word = (info.classification or "").split("/")[-1]
            return view.label(LAKE), view.description(LAKE), word, names, info.product, titles.total

    def told(title: str, column: str, word: str, key: str, titles: int) -> tuple[object, ...]:
        return title, f"A {title}", word, [column, f"{column}-id"], BASE + key, titles

    mesh.load([product("ops.y"), lake("web.z", "Lake", "size", "internal")])
    later = NOW + timedelta(days=1)
    mesh.add(entry_of(lake("web.a", "Mine", "gold", "internal"), 3, later))
    first = told("Lake", "size", "internal", "web.z", 2)
    assert seen(ANALYST) == seen(STEWARD) == first
    mesh.add(entry_of(lake("people.b", "Secret", "gem", "restricted"), 4, NOW - timedelta(days=900)))
    assert seen(ANALYST) == first
    assert seen(STEWARD) == told("Secret", "gem", "restricted", "people.b", 3)


def entry_of(data: bytes, number: int, created: datetime) -> Entry:
    document = parsed(data)
    return register_entry(number, document.nquads, document.product, document.key, 1, created)


def test_a_class_joins_nothing_unless_it_is_asked_to(mesh: Mesh) -> None:
    mesh.load([product("web.a"), product("ops.b", classification="public")])
    ends = (BASE + "web.a/data/schema", BASE + "ops.b/data/schema")
    with mesh.reading(STEWARD) as view:
        for predicates, length in ((None, 0), (frozenset({TYPE}), 2)):
            found = view.paths(*ends, predicates=predicates, direction=Direction.BOTH, max_length=2, k=1)
            assert sum(map(len, found)) == length


def test_walks_have_limits(mesh: Mesh) -> None:
    mesh.load([product("web.a")])
    start = BASE + "web.a"
    with mesh.reading(STEWARD) as view:
        for k, length in ((0, 5), (21, 5), (5, 0), (5, 21)):
            with pytest.raises(InputError, match=r"k is|maxLength is") as refused:
                view.paths(start, start, predicates=None, direction=Direction.OUT, max_length=length, k=k)
            assert refused.value.remedy == "Give 1 to 20."
        for steps in ([WalkStep()] * 21, [WalkStep(max_hops=51)]):
            with pytest.raises(InputError, match=r"21 steps|51 hops") as refused:
                view.traverse([start], steps, filter=None, distinct=True, page=PageRequest())
            assert refused.value.remedy.startswith("Give at most")
