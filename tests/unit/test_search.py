"""Search: what is found, in what order, and what is said about it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from fairmesh.catalog.errors import InputError, TooLarge
from fairmesh.catalog.model import (
    EVERYTHING,
    FacetBucket,
    FacetField,
    Need,
    SearchDocument,
    SearchFacet,
    SearchOrder,
    SearchText,
)
from fairmesh.catalog.search import DATA_PRODUCT, Bools, Cursor, Index, SearchQuery, SearchResult
from fairmesh.catalog.words import words_of

DCT = "http://purl.org/dc/terms/"
TITLE, DESCRIPTION, IDENTIFIER = DCT + "title", DCT + "description", DCT + "identifier"
KEYWORD = "http://www.w3.org/ns/dcat#keyword"
COLUMN = "http://www.w3.org/ns/csvw#Column"
ALL = np.full(50, EVERYTHING)


def text(value: str, predicate: str = DESCRIPTION, lang: str = "en", need: int = Need.DISCOVER) -> SearchText:
    return SearchText(need, predicate, value, lang)


def document(
    iri: str,
    *texts: SearchText | str,
    need: int = Need.DISCOVER,
    types: tuple[str, ...] = (DATA_PRODUCT,),
    label: str = "",
    updated: float = 0.0,
    facets: Sequence[tuple[FacetField, str]] = (),
) -> SearchDocument:
    return SearchDocument(
        iri,
        need,
        types,
        label or iri,
        updated,
        tuple(t if isinstance(t, SearchText) else text(t) for t in texts),
        tuple(SearchFacet(Need.DISCOVER, field, value) for field, value in facets),
    )


def index_of(*documents: SearchDocument) -> Index:
    """Each document in a slot of its own, from 0."""
    index = Index()
    for slot, each in enumerate(documents):
        index.put(slot, [each])
    return index


def found(index: Index, query: str | SearchQuery | None, visible: Bools = ALL) -> list[str]:
    asked = query if isinstance(query, SearchQuery) else SearchQuery(query)
    return [hit.iri for hit in index.search(asked, visible).hits]


def corpus(*values: str, lang: str = "en") -> Index:
    """Documents a, b, c, ... with one description each."""
    return index_of(*(document(chr(97 + n), text(value, lang=lang)) for n, value in enumerate(values)))


# -- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("customer_id", ["customer_id(customer id)"]),
        ("_loaded_at", ["loaded_at(loaded at)"]),
        ("__typename", ["typename"]),
        ("orderLineItem", ["orderlineitem(order line item)"]),
        ("HTTPServer2Config", ["httpserver2config(http server2 config)"]),
        ("warehouse.sales.orders", ["warehouse.sales.orders(warehouse sales orders)"]),
        ("e-mail", ["e", "mail"]),
        ("don’t", ["don't(don)"]),
        ("l'ordre d'achat", ["l'ordre(ordre)", "d'achat(achat)"]),
        ("ＡＢＣ ﬁle", ["abc", "file"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("订单", ["订", "单"]),
        ("___ ... --- 😀", []),
        ("x" * 1000, ["x" * 64]),
    ],
)
def test_words(written: str, words: list[str]) -> None:
    shown = [w.text + (f"({' '.join(p.text for p in w.parts)})" if w.parts else "") for w in words_of(written)]
    assert shown == words


def test_word_positions_are_code_points_of_the_text() -> None:
    written = "😀 Été_2024 — customerName"
    marked = [(written[w.start : w.end], [written[p.start : p.end] for p in w.parts]) for w in words_of(written)]
    assert marked == [("Été_2024", ["Été", "2024"]), ("customerName", ["customer", "Name"])]


def test_long_runs_of_marks_and_punctuation_take_linear_work() -> None:
    for run in ("a\u0301.\u0301", "a.", "_", "a'", "\u0301", "\u200d", "aB"):
        assert sum(len(w.text) for w in words_of(run * 50_000)) >= 0


# -- what matches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "hit"),
    [
        ("customer", True),
        ("CUSTOMERS", True),
        ("cust", True),
        ("cust ", False),
        ("customer_id", True),
        ("customerId", True),
        ("customer id", True),
        ("id", True),
        ("réclamations", True),
        ("reclamation", True),
        ("tax", False),
        ("c", False),
    ],
)
def test_ways_to_find_an_identifier_and_a_word(query: str, hit: bool) -> None:
    index = corpus("customer_id", "something else entirely")
    index.put(2, [document("c", text("réclamation", lang="fr"))])
    assert bool(found(index, query)) is hit


@pytest.mark.parametrize(
    ("lang", "stated", "query"),
    [
        ("en", "ordering", "orders "),
        ("", "ordering", "orders "),
        ("de-AT", "Häuser", "Haus "),
        ("fr", "commandes", "commande "),
        ("ru", "заказы", "заказов "),
        ("nb", "ordrene", "ordre "),
    ],
)
def test_stems_follow_the_language_tag(lang: str, stated: str, query: str) -> None:
    assert found(corpus(stated, lang=lang), query) == ["a"]


def test_text_in_a_language_without_stemmer_matches_as_written() -> None:
    index = corpus("orders", lang="mt")
    assert found(index, "orders ") == ["a"]
    assert found(index, "ordering ") == []


def test_stems_of_the_readers_languages_count_more() -> None:
    index = index_of(document("a", text("commandes", lang="fr")), document("b", text("commanded", lang="en")))
    assert found(index, SearchQuery("commande ", langs=("fr-CA",))) == ["a", "b"]
    assert found(index, SearchQuery("commande ", langs=("en",))) == ["b", "a"]
    assert found(index, SearchQuery("commande ")) == ["a", "b"]


def test_compound_words_match_as_a_whole_or_by_all_their_parts() -> None:
    index = corpus("graphql", "GraphQL", "graph ql", "graph")
    assert set(found(index, "GraphQL ")) == {"a", "b", "c"}
    assert found(index, "GraphQL ")[0] == "b"
    assert set(found(index, "graphql ")) == {"a", "b"}


def test_all_words_are_needed_where_some_document_has_them() -> None:
    assert found(corpus("red wine", "red", "wine"), "red wine ") == ["a"]


def test_any_word_will_do_where_no_document_has_all() -> None:
    assert set(found(corpus("red", "wine", "beer"), "red wine ")) == {"a", "b"}


def test_whether_all_words_are_needed_does_not_depend_on_filters() -> None:
    index = corpus("red wine", "red", "wine")
    assert found(index, SearchQuery("red wine ", slots=np.array([False, True, True]))) == []


def test_whether_all_words_are_needed_depends_on_the_visible_only() -> None:
    index = corpus("red wine", "red", "wine")
    visible = ALL.copy()
    visible[0] = False
    assert set(found(index, "red wine ", visible)) == {"b", "c"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("custmer", True),
        ("cutsomer", True),
        ("custommer", True),
        ("cxstxmer", True),
        ("cxstxm", False),
        ("2025", False),
    ],
)
def test_misspelt_words_stand_for_the_nearest(typed: str, meant: bool) -> None:
    assert (found(corpus("customer of 2024"), typed + " ") == ["a"]) is meant


def test_misspelt_words_find_what_the_right_word_would() -> None:
    index = corpus("customer", "customers", "other")
    assert set(found(index, "custmer ")) == set(found(index, "customer ")) == {"a", "b"}


def test_a_misspelt_word_that_occurs_is_no_mistake() -> None:
    assert found(corpus("custmer", "customer"), "custmer ") == ["a"]


def test_misspelt_words_stand_for_visible_words_only() -> None:
    index = corpus("customer", "costumer")
    visible = ALL.copy()
    visible[0] = False
    assert found(index, "custumer ", visible) == ["b"]
    assert index.search(SearchQuery("custumer "), visible).suggestions() == ("costumer",)


def test_a_hidden_word_that_is_nearer_does_not_shadow_a_visible_one() -> None:
    index = corpus("customers", "costomers")
    visible = ALL.copy()
    visible[0] = False
    assert found(index, "customerz ") == ["a"]
    assert found(index, "customerz ", visible) == ["b"]


def test_text_without_a_word_finds_nothing_and_no_text_lists_all_by_iri() -> None:
    index = index_of(document("b", "x"), document("c"), document("a", "y"))
    assert found(index, "  ?! ") == found(index, "") == []
    assert found(index, None) == ["a", "b", "c"]


# -- ranking --------------------------------------------------------------------------------------------------------


def test_titles_rank_before_keywords_before_descriptions_before_the_rest() -> None:
    index = index_of(
        *(
            document(iri, text("order", predicate), text("something quite different", "https://example.org/x"))
            for iri, predicate in zip("dcba", (TITLE, KEYWORD, DESCRIPTION, "https://example.org/note"), strict=True)
        )
    )
    assert found(index, "order") == ["d", "c", "b", "a"]


def test_the_same_word_ranks_before_its_stem_before_what_it_begins() -> None:
    index = corpus("ordering", "order", "orderly")
    assert found(index, "order") == ["b", "a", "c"]


def test_scores_are_bm25() -> None:
    index = corpus("apple pear", "apple apple plum fig", "fig")
    scores = {hit.iri: hit.score for hit in index.search(SearchQuery("apple fig "), ALL).hits}
    average = 7 / 3

    def part(times: int, length: int, having: int) -> float:
        frequency = times * 2.0  # a description counts twice
        rarity = math.log(1 + (3 - having + 0.5) / (having + 0.5))
        return rarity * frequency * 2.2 / (frequency + 1.2 * (0.4 + 0.6 * length / average))

    assert scores == pytest.approx({"b": part(2, 4, 2) + part(1, 4, 2)})
    assert list(scores) == ["b"]


def test_equal_scores_come_in_order_of_iri() -> None:
    index = index_of(*(document(iri, "order") for iri in "zcyab"))
    assert found(index, "order") == ["a", "b", "c", "y", "z"]


def test_labels_sort_without_case_and_accents() -> None:
    index = index_of(
        document("1", label="Zebra"), document("2", label="épée"), document("3", label="Epa"), document("4", label="eq")
    )
    assert found(index, SearchQuery(order=SearchOrder.LABEL)) == ["3", "2", "4", "1"]


def test_updated_sorts_newest_first() -> None:
    index = index_of(document("a", updated=1.0), document("b", updated=3.0), document("c", updated=3.0))
    assert found(index, SearchQuery(order=SearchOrder.UPDATED)) == ["b", "c", "a"]


# -- types, filters, several documents of one resource --------------------------------------------------------------


def test_types_are_exact_and_default_to_data_products() -> None:
    index = Index()
    index.put(0, [document("p", "order"), document("c", "order", types=(COLUMN, "https://example.org/T"))])
    assert found(index, "order") == ["p"]
    assert found(index, SearchQuery("order", types=frozenset({COLUMN}))) == ["c"]
    assert found(index, SearchQuery("order", types=frozenset({COLUMN, DATA_PRODUCT}))) == ["c", "p"]
    assert found(index, SearchQuery("order", types=frozenset())) == []


def test_filters_leave_scores_alone() -> None:
    index = corpus("order", "order and more", "order and more words")
    free = {hit.iri: hit.score for hit in index.search(SearchQuery("order"), ALL).hits}
    by_slot = index.search(SearchQuery("order", slots=np.array([False, True])), ALL)
    assert {hit.iri: hit.score for hit in by_slot.hits} == {"b": free["b"]}


def test_documents_with_one_iri_are_one_resource() -> None:
    index = Index()
    types = ("http://www.w3.org/ns/dcat#Dataset",)
    domain = (FacetField.DOMAIN, "d")
    index.put(4, [document("x", "red", types=types, label="B", updated=1.0, facets=[domain])])
    index.put(2, [document("x", "wine", types=(), label="A", updated=2.0, facets=[domain])])
    index.put(3, [document("y", "red", types=types)])
    result = index.search(SearchQuery("red wine ", types=frozenset(types)), ALL)
    assert [hit.iri for hit in result.hits] == ["x"]
    assert result.facets([FacetField.DOMAIN], 5)[0].buckets == (FacetBucket("d", 1),)
    visible = ALL.copy()
    visible[2] = False
    alone = index.search(SearchQuery("red wine ", types=frozenset(types)), visible)
    assert [hit.iri for hit in alone.hits] == ["x", "y"]


# -- scope ----------------------------------------------------------------------------------------------------------


def test_a_part_counts_only_for_readers_with_its_need() -> None:
    index = Index()
    secret = document("a", "open", text("hidden", need=Need.RESTRICTED))
    index.put(0, [replace(secret, facets=(SearchFacet(Need.READ, FacetField.TERM, "t"),))])
    visible = ALL.copy()
    visible[0] = Need.DISCOVER
    assert found(index, "hidden") == ["a"]
    assert found(index, "hidden", visible) == []
    assert index.search(SearchQuery("open"), visible).facets([FacetField.TERM], 5)[0].buckets == ()


def test_a_hidden_document_hides_its_parts() -> None:
    index = index_of(document("a", "order", need=Need.READ, facets=[(FacetField.TERM, "t")]))
    visible = ALL.copy()
    visible[0] = Need.DISCOVER
    result = index.search(SearchQuery(None), visible)
    assert (result.hits, result.total, result.facets([FacetField.TERM], 1)[0].buckets) == ((), 0, ())


def test_slots_beyond_the_scope_are_hidden() -> None:
    index = corpus("order", "order")
    assert found(index, "order", ALL[:1].copy()) == ["a"]
    assert found(index, "order", ALL[:0].copy()) == []


# -- highlights -----------------------------------------------------------------------------------------------------


def highlighted(index: Index, query: str) -> list[tuple[str, list[str]]]:
    hit = index.search(SearchQuery(query), ALL).hits[0]
    return [(h.predicate, [h.fragment[s:e] for s, e in h.spans]) for h in hit.highlights]


def test_highlights_mark_what_matched_best_predicates_first() -> None:
    index = index_of(
        document("a", text("Ordering of customerOrders 😀 order_id"), text("Orders", TITLE), text("nothing here"))
    )
    assert highlighted(index, "order") == [
        (TITLE, ["Orders"]),
        (DESCRIPTION, ["Ordering", "customerOrders"[8:], "order_id"]),
    ]
    hit = index.search(SearchQuery("order "), ALL).hits[0]
    assert hit.matched_on == (TITLE, DESCRIPTION)


def test_highlights_know_the_language_of_the_text() -> None:
    assert highlighted(index_of(document("a", text("Die Häuser", lang="de"))), "haus ") == [(DESCRIPTION, ["Häuser"])]


def test_highlights_of_many_different_words() -> None:
    stated = " ".join(chr(97 + n) + chr(98 + n) * 3 for n in range(20))
    assert highlighted(index_of(document("a", stated)), stated) == [(DESCRIPTION, stated.split())]


def test_long_texts_are_cut_between_words_where_most_matches_are() -> None:
    stated = "order " + "filler words " * 40 + "an order of orders ordered in good order " + "more filler " * 40
    hit = index_of(document("a", stated)).search(SearchQuery("order "), ALL).hits[0]
    (highlight,) = hit.highlights
    assert len(highlight.fragment) <= 200
    assert [highlight.fragment[s:e] for s, e in highlight.spans] == ["order", "orders", "ordered", "order"]
    assert f" {highlight.fragment} " in stated


def test_a_word_longer_than_a_fragment_is_cut() -> None:
    hit = index_of(document("a", "y" * 30 + " " + "x" * 900)).search(SearchQuery("x" * 900), ALL).hits[0]
    assert [(h.fragment, h.spans) for h in hit.highlights] == [("x" * 200, ((0, 200),))]


def test_at_most_three_highlights_but_every_predicate() -> None:
    predicates = [f"https://example.org/{n}" for n in range(5)]
    hit = index_of(document("a", *(text("order", p) for p in predicates))).search(SearchQuery("order"), ALL).hits[0]
    assert len(hit.highlights) == 3
    assert hit.matched_on == tuple(predicates)


def test_hidden_text_is_not_highlighted() -> None:
    index = index_of(document("a", "order", text("secret order", TITLE, need=Need.RESTRICTED)))
    visible = ALL.copy()
    visible[0] = Need.CONFIDENTIAL
    hit = index.search(SearchQuery("order"), visible).hits[0]
    assert hit.matched_on == (DESCRIPTION,)
    assert [h.fragment for h in hit.highlights] == ["order"]


# -- facets and suggestions -----------------------------------------------------------------------------------------


def test_facets_count_all_that_was_found_not_only_the_page() -> None:
    index = index_of(*(document(f"p{n}", "order", facets=[(FacetField.DOMAIN, f"d{n % 3}")]) for n in range(10)))
    result = index.search(SearchQuery("order", first=1), ALL)
    facet, empty = result.facets([FacetField.DOMAIN, FacetField.OWNER], 2)
    assert facet.buckets == (FacetBucket("d0", 4), FacetBucket("d1", 3))
    assert facet.other == 3
    assert (empty.field, empty.buckets, empty.other) == (FacetField.OWNER, (), 0)


def test_other_counts_documents_with_no_value_shown() -> None:
    domain = FacetField.DOMAIN
    index = index_of(
        document("a", facets=[(domain, "x"), (domain, "y")]), document("b", facets=[(domain, "y")]), document("c")
    )
    (facet,) = index.search(SearchQuery(None), ALL).facets([domain], 1)
    assert (facet.buckets, facet.other) == ((FacetBucket("y", 2),), 0)
    (facet,) = index.search(SearchQuery(None), ALL).facets([domain], 0)
    assert (facet.buckets, facet.other) == ((), 2)


def test_suggestions_are_near_words_most_used_first() -> None:
    index = corpus("customer", "customer", "costumer", "custom")
    assert index.search(SearchQuery("custumer "), ALL).suggestions() == ("customer", "costumer")
    assert index.search(SearchQuery("costumer "), ALL).suggestions() == ("customer",)
    assert index.search(SearchQuery("customer "), ALL).suggestions() == ()


def test_a_result_answers_for_its_moment() -> None:
    index = corpus("customer", "customer")
    index.put(2, [document("c", "customer", facets=[(FacetField.DOMAIN, "d")])])
    before = index.search(SearchQuery("custumer "), ALL)
    index.put(2, [document("z", "costumer", facets=[(FacetField.DOMAIN, "e")])])
    index.put(0, ())
    assert before.suggestions() == ("customer",)
    assert before.facets([FacetField.DOMAIN], 5)[0].buckets == (FacetBucket("d", 1),)
    after = index.search(SearchQuery("custumer "), ALL)
    assert after.suggestions() == ("costumer", "customer")


# -- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(SearchOrder))
@pytest.mark.parametrize("words", [None, "order"])
def test_cursors_survive_json_and_lead_on(order: SearchOrder, words: str | None) -> None:
    index = index_of(
        *(document(f"p{n:02}", "order " * (n % 4 + 1), label=f"l{n % 3}", updated=n % 5) for n in range(17))
    )
    query = SearchQuery(words, order=order, first=5)
    whole = found(index, replace(query, first=200))
    iris: list[str] = []
    page: SearchResult = index.search(query, ALL)
    iris.extend(hit.iri for hit in page.hits)
    while page.has_next:
        key, iri = json.loads(json.dumps(page.cursors[-1]))
        page = index.search(replace(query, after=(key, iri)), ALL)
        iris.extend(hit.iri for hit in page.hits)
    assert iris == whole
    assert len(whole) == page.total == 17


def test_a_cursor_of_a_document_that_is_gone_still_leads_on() -> None:
    held = {iri: document(iri, label=iri.upper(), updated=-ord(iri)) for iri in "abcd"}
    for order in SearchOrder:
        cursor = index_of(*held.values()).search(SearchQuery(order=order, first=2), ALL).cursors[-1]
        restarted = index_of(held["d"], held["a"])
        assert found(restarted, SearchQuery(order=order, after=cursor)) == ["d"]


@pytest.mark.parametrize(
    "cursor",
    [(), ("x", "y", "z"), ("text", "iri"), (1.0, 2), (True, "iri", 1), (None, "iri"), ("RELEVANCE x", "iri"),
     ("UPDATED 1.0", "iri"), ("LABEL 1.0", "iri")],
)  # fmt: skip
def test_foreign_cursors_are_refused(cursor: Cursor) -> None:
    with pytest.raises(InputError, match="cursor") as refused:
        corpus("order").search(SearchQuery("order", after=cursor), ALL)
    assert refused.value.remedy


def test_limits_are_told() -> None:
    index = corpus("order")
    with pytest.raises(InputError, match="first is 201"):
        index.search(SearchQuery("order", first=201), ALL)
    with pytest.raises(InputError, match="first is -1"):
        index.search(SearchQuery("order", first=-1), ALL)
    with pytest.raises(TooLarge, match="more than 32 words"):
        index.search(SearchQuery(" ".join(f"w{n}" for n in range(33))), ALL)
    with pytest.raises(InputError, match="negative"):
        index.search(SearchQuery("order"), ALL).facets([FacetField.DOMAIN], -1)
    with pytest.raises(ValueError, match="slot -1"):
        index.put(-1, [])


# -- writes ---------------------------------------------------------------------------------------------------------


def test_put_replaces_and_remove_forgets() -> None:
    index = corpus("red", "green")
    index.put(0, [document("a", "blue"), document("a2", "red")])
    assert (found(index, "red"), found(index, "blue")) == (["a2"], ["a"])
    index.put(0, [])
    index.put(17, ())
    assert found(index, None) == ["b"]


def test_loading_many_is_putting_each() -> None:
    documents = {
        0: [document("a", "red", text("hidden", need=1 << 40)), document("shared", "one")],
        3: [document("b", "green", "green", facets=[(FacetField.LICENSE, "mit")])],
        5: [document("shared", "two")],
        7: (),
    }
    apart, together = corpus("old"), corpus("old")
    for slot, each in documents.items():
        apart.put(slot, each)
    together.load(documents)
    assert together.digest() == apart.digest()
    for query in ("red", "green", "two", "old", "hidden", None):
        answers = [index.search(SearchQuery(query), ALL) for index in (apart, together)]
        assert answers[0].hits == answers[1].hits
        facets = [answer.facets([FacetField.LICENSE, FacetField.TYPE], 5) for answer in answers]
        assert facets[0] == facets[1]
    together.load({0: (), 5: [document("c", "red")]})
    assert found(together, "red") == ["c"]
    assert found(together, None) == ["b", "c"]


def test_many_rewrites_stay_small() -> None:
    index = Index()
    for n in range(600):
        index.put(n % 3, [document(f"p{n}", f"word{n} order")])
    assert found(index, "order") == ["p597", "p598", "p599"]
    assert sum(len(segment.documents) for segment in index._segments) < 100
    assert len(index._segments) < 20


def test_digest_tells_content_not_place() -> None:
    one, other = document("a", "red", "green"), document("b", "blue")
    index = index_of(one, other)
    turned = index_of(other, replace(one, texts=tuple(reversed(one.texts))))
    assert index.digest() == turned.digest()
    assert index.digest() != index_of(one).digest()
    turned.put(1, [replace(one, label="B")])
    assert index.digest() != turned.digest()


def test_many_threads_read_the_same() -> None:
    index = corpus(*(f"order number{n} réclamation customer_{n}" for n in range(50)))
    queries = ["order", "reclamations ", "custmer ", "number7", "customer_1", "ord", None]
    expected = [index.search(SearchQuery(q), ALL).hits for q in queries]

    def read(number: int) -> bool:
        fresh = ALL.copy()
        result = index.search(SearchQuery(queries[number % 7]), fresh)
        return result.hits == expected[number % 7] and result.total >= len(result.hits)

    for n in range(50, 60):
        index.put(n, [document(f"~{n}", "unrelated thing")])
    hidden = ALL.copy()
    hidden[50:] = False
    index.put(60, [document("~", "more")])  # beyond the scope

    def read_hidden(number: int) -> bool:
        return index.search(SearchQuery(queries[number % 7]), hidden).hits == expected[number % 7]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))
        assert all(pool.map(read_hidden, range(200)))
