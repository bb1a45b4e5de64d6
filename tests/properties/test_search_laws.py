"""What holds of search for any documents, any scope, any query."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairmesh.catalog.model import (
    EVERYTHING,
    FIELDS,
    FacetField,
    Need,
    SearchDocument,
    SearchFacet,
    SearchHit,
    SearchOrder,
    SearchText,
)
from fairmesh.catalog.search import DATA_PRODUCT, Grants, Index, SearchQuery, SearchResult

DCT = "http://purl.org/dc/terms/"
SLOTS = 6
Mesh = dict[int, list[SearchDocument]]

words = st.sampled_from(
    ["order", "orders", "ordre", "customer", "customers", "customer_id", "customerName", "custmer", "sales.orders",
     "réclamation", "reclamation", "Kunden", "Kunde", "données", "analytics", "l'ordre", "invoice", "2024", "x"]
)  # fmt: skip
needs = st.builds(int.__or__, st.sampled_from(list(Need)), st.sampled_from([0, 0, *FIELDS.values()]))
fields = st.sampled_from([FacetField.DOMAIN, FacetField.TERM, FacetField.STATUS])
texts = st.builds(
    SearchText,
    needs,
    st.sampled_from([DCT + "title", DCT + "description", DCT + "identifier", "https://example.org/note"]),
    st.lists(words, max_size=6).map(" ".join),
    st.sampled_from(["", "en", "fr", "de-AT", "xx"]),
)
documents = st.builds(
    SearchDocument,
    iri=st.sampled_from([f"http://localhost/id/{letter}" for letter in "abcdefgh"]),
    need=needs,
    types=st.sampled_from([(DATA_PRODUCT,), ("https://example.org/T",), (DATA_PRODUCT, "https://example.org/T")]),
    label=st.sampled_from(["Orders", "orders", "Été", "ete", "Kunden", ""]),
    updated=st.sampled_from([0.0, 1.5, 1.7e9]),
    texts=st.lists(texts, max_size=4).map(tuple),
    facets=st.lists(st.builds(SearchFacet, needs, fields, st.sampled_from("abcd")), max_size=4).map(tuple),
)
meshes = st.dictionaries(st.integers(0, SLOTS - 1), st.lists(documents, min_size=1, max_size=3), max_size=SLOTS)


@st.composite
def scopes(draw: st.DrawFn, partial: bool = False) -> Grants:
    if not partial and draw(st.booleans()):
        return np.full(SLOTS, EVERYTHING)
    rows = draw(st.integers(0, SLOTS))
    bits = st.integers(0, EVERYTHING) | st.sampled_from([0, *Need, EVERYTHING])
    return np.array(draw(st.lists(bits, min_size=rows, max_size=rows)), np.int64)


queries = st.builds(
    SearchQuery,
    text=st.lists(words | words.map(lambda w: w[:-1] + "q") | words.map(lambda w: w[:3]), min_size=1, max_size=3).map(
        " ".join
    )
    | st.text(max_size=8)
    | st.none(),
    types=st.none() | st.sets(st.sampled_from([DATA_PRODUCT, "https://example.org/T"])).map(frozenset),
    slots=st.none() | st.lists(st.booleans(), max_size=SLOTS).map(lambda bits: np.array(bits, np.bool_)),
    order=st.sampled_from(list(SearchOrder)),
    langs=st.sampled_from([(), ("en",), ("fr", "de")]),
    first=st.integers(0, 9),
)


def index_of(mesh: Mesh) -> Index:
    index = Index()
    for slot, held in mesh.items():
        index.put(slot, held)
    return index


def everything(result: SearchResult) -> tuple[object, ...]:
    facets = tuple(result.facets(list(FacetField), size) for size in (0, 1, 9))
    return result.hits, result.cursors, result.total, result.has_next, facets, result.suggestions()


def only_visible(mesh: Mesh, visible: Grants) -> Mesh:
    def sees(slot: int, need: int) -> bool:
        return slot < len(visible) and int(visible[slot]) & need == need

    kept: Mesh = {}
    for slot, held in mesh.items():
        for document in held:
            if sees(slot, document.need):
                kept.setdefault(slot, []).append(
                    replace(
                        document,
                        texts=tuple(text for text in document.texts if sees(slot, text.need)),
                        facets=tuple(facet for facet in document.facets if sees(slot, facet.need)),
                    )
                )
    return kept


@settings(max_examples=300)
@given(meshes, scopes(partial=True), queries)
def test_hidden_things_are_absent(mesh: Mesh, visible: Grants, query: SearchQuery) -> None:
    never_held = only_visible(mesh, visible)
    all_granted = np.full(SLOTS, EVERYTHING)
    expected = everything(index_of(never_held).search(query, all_granted))
    assert everything(index_of(mesh).search(query, visible)) == expected


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, SLOTS - 1), st.lists(documents, max_size=3)), max_size=25),
    st.randoms(use_true_random=False),
    queries,
)
def test_history_and_layout_do_not_show(
    writes: list[tuple[int, list[SearchDocument]]], random: Random, query: SearchQuery
) -> None:
    lived = Index()
    held: Mesh = {}
    visible = np.full(SLOTS, EVERYTHING)
    for slot, put in writes:
        lived.put(slot, put)
        held.pop(slot, None)
        if put:
            held[slot] = put
        lived.search(query, visible)
    order = list(held)
    random.shuffle(order)
    rebuilt = Index()
    middle = random.randint(0, len(order))
    rebuilt.load({slot: held[slot] for slot in order[:middle]})
    rebuilt.load({slot: held[slot] for slot in order[middle:]})
    assert everything(lived.search(query, visible)) == everything(rebuilt.search(query, visible))
    assert lived.digest() == rebuilt.digest()


@given(meshes, scopes(), queries, st.integers(1, 3))
def test_pages_make_up_the_whole(mesh: Mesh, visible: Grants, query: SearchQuery, size: int) -> None:
    index = index_of(mesh)
    whole = index.search(replace(query, first=200), visible)
    hits: list[SearchHit] = []
    after = None
    while True:
        page = index.search(replace(query, first=size, after=after), visible)
        hits.extend(page.hits)
        assert page.total == whole.total
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert tuple(hits) == whole.hits
    assert whole.total == len(whole.hits)
    assert len({hit.iri for hit in hits}) == len(hits)


@given(meshes, scopes(), queries)
def test_facets_count_each_found_resource_once(mesh: Mesh, visible: Grants, query: SearchQuery) -> None:
    result = index_of(mesh).search(replace(query, first=200), visible)
    found = {hit.iri for hit in result.hits}
    seen = [document for held in only_visible(mesh, visible).values() for document in held if document.iri in found]
    for facet in result.facets(list(FacetField), 9):
        pairs = {(d.iri, f.value) for d in seen for f in d.facets if f.field is facet.field}
        assert {bucket.key: bucket.count for bucket in facet.buckets} == Counter(value for _, value in pairs)
        assert list(facet.buckets) == sorted(facet.buckets, key=lambda bucket: (-bucket.count, bucket.key))
        assert facet.other == 0
    for facet, full in zip(result.facets(list(FacetField), 1), result.facets(list(FacetField), 9), strict=True):
        pairs = {(d.iri, f.value) for d in seen for f in d.facets if f.field is facet.field}
        shown = {bucket.key for bucket in facet.buckets}
        assert facet.buckets == full.buckets[:1]
        assert facet.other == len({iri for iri, _ in pairs} - {iri for iri, value in pairs if value in shown})


@given(meshes, scopes(), queries)
def test_filters_only_take_away(mesh: Mesh, visible: Grants, query: SearchQuery) -> None:
    index = index_of(mesh)
    filtered = index.search(replace(query, first=200), visible)
    free = index.search(replace(query, first=200, slots=None), visible)
    slots = set(range(SLOTS)) if query.slots is None else set(np.flatnonzero(query.slots).tolist())
    held = only_visible(mesh, visible)
    allowed = {d.iri for slot in slots for d in held.get(slot, [])}
    assert filtered.hits == tuple(hit for hit in free.hits if hit.iri in allowed)


@given(meshes, scopes(), scopes(), queries)
def test_a_wider_scope_lists_no_less(mesh: Mesh, one: Grants, other: Grants, query: SearchQuery) -> None:
    wide = np.zeros(SLOTS, np.int64)
    wide[: len(one)] |= one
    wide[: len(other)] |= other
    index = index_of(mesh)
    listing = replace(query, text=None, first=200)
    assert {hit.iri for hit in index.search(listing, one).hits} <= {hit.iri for hit in index.search(listing, wide).hits}


@given(meshes, scopes(), queries)
def test_highlights_point_into_visible_text(mesh: Mesh, visible: Grants, query: SearchQuery) -> None:
    held = only_visible(mesh, visible)
    for hit in index_of(mesh).search(query, visible).hits:
        stated = {(t.predicate, t.text) for docs in held.values() for d in docs if d.iri == hit.iri for t in d.texts}
        assert len(hit.highlights) <= 3
        assert {highlight.predicate for highlight in hit.highlights} <= set(hit.matched_on)
        for highlight in hit.highlights:
            assert any(p == highlight.predicate and highlight.fragment in text for p, text in stated)
            assert list(highlight.spans) == sorted(highlight.spans)
            assert all(0 <= start < end <= len(highlight.fragment) for start, end in highlight.spans)
        assert query.text is None or hit.matched_on
