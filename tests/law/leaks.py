"""Leaks to plant: each breaks the law in one way that a catalog might, and is to be found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fairmesh.api.products import Products
from fairmesh.api.schema.execution import Engine
from fairmesh.catalog import history, registry
from fairmesh.catalog.access import Access, Scope
from fairmesh.catalog.catalog import Catalog
from fairmesh.catalog.document import DCAT, DCT, DPROD
from fairmesh.catalog.errors import FairmeshError, Forbidden, Retired
from fairmesh.catalog.model import EVERYTHING, FIELDS, Action, Need
from fairmesh.catalog.rdf import NamedNode, Triple
from fairmesh.catalog.registry import Registry, Sight
from fairmesh.catalog.search import SearchResult
from fairmesh.catalog.standing import Columns, Standings
from fairmesh.catalog.verdicts import Verdicts
from fairmesh.catalog.view import Found, View
from law.asking import Focus

Patching = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Plant:
    """A leak, and what to draw more often to find it soon."""

    put: Patching
    focus: Focus


PLANTS: dict[str, Plant] = {}
TYPOS = "custmer payrol ledgr visti warehosue retruns"


def plant(
    *fields: str,
    given: str = "",
    kinds: str = "",
    names: str = "",
    policies: str = "",
    traps: tuple[int, ...] = (),
    words: str = "",
    predicates: tuple[str, ...] = (),
) -> Callable[[Patching], Patching]:
    """Register a leak and its focus: see `Focus`. Several words of one kind are parted by spaces."""
    split = (tuple(text.split()) for text in (given, kinds, names, policies))
    focus = Focus(fields, *split, traps, tuple(words.split()), predicates)

    def planting(function: Patching) -> Patching:
        PLANTS[function.__name__] = Plant(function, focus)
        return function

    return planting


def _seeing_all(view: View) -> View:
    """The same view with every grant, for what reads an index."""
    other = copy.copy(view)
    other._grants = np.full_like(view._grants, EVERYTHING)
    return other


@plant("dataProducts", "totalCount")
def count_before_filter(patch: pytest.MonkeyPatch) -> None:
    honest = View.products

    def products(self: View, *args: Any, **kwargs: Any) -> Any:
        return replace(honest(self, *args, **kwargs), total=len(list(self._registry.live())))

    patch.setattr(View, "products", products)


def _search(patch: pytest.MonkeyPatch, mix: Callable[[Found, Found], Found]) -> None:
    honest = View.search

    def search(self: View, *args: Any, **kwargs: Any) -> Found:
        return mix(honest(self, *args, **kwargs), honest(_seeing_all(self), *args, **kwargs))

    patch.setattr(View, "search", search)


def _result(facets: SearchResult, suggestions: SearchResult) -> Any:
    return SimpleNamespace(facets=facets.facets, suggestions=suggestions.suggestions, count=facets.count)


@plant("search", "facets", "buckets")
def facets_over_all(patch: pytest.MonkeyPatch) -> None:
    _search(patch, lambda seen, all: replace(seen, result=_result(all.result, seen.result)))


@plant("search", "suggestions", given="text", words=TYPOS)
def suggestions_over_all(patch: pytest.MonkeyPatch) -> None:
    _search(patch, lambda seen, all: replace(seen, result=_result(seen.result, all.result)))


@plant("score")
def scores_with_hidden_statistics(patch: pytest.MonkeyPatch) -> None:
    def mix(seen: Found, all: Found) -> Found:
        scores = {hit.iri: hit.score for hit in all.page.items}
        items = tuple(replace(hit, score=scores.get(hit.iri, hit.score)) for hit in seen.page.items)
        return replace(seen, page=replace(seen.page, items=items))

    _search(patch, mix)


@plant("lineage", "moreUpstream")
def lineage_counts_hidden_neighbours(patch: pytest.MonkeyPatch) -> None:
    honest = View.lineage

    def lineage(self: View, *args: Any, **kwargs: Any) -> Any:
        seen = honest(self, *args, **kwargs)
        all = {node.iri: node for node in honest(_seeing_all(self), *args, **kwargs).nodes}
        nodes = tuple(replace(n, more_upstream=all.get(n.iri, n).more_upstream) for n in seen.nodes)
        return replace(seen, nodes=nodes)

    patch.setattr(View, "lineage", lineage)


@plant("upstreamCount")
def lineage_counts_hidden_ancestors(patch: pytest.MonkeyPatch) -> None:
    honest = View.lineage

    def lineage(self: View, *args: Any, **kwargs: Any) -> Any:
        all = honest(_seeing_all(self), *args, **kwargs)
        return replace(honest(self, *args, **kwargs), upstream_count=all.upstream_count)

    patch.setattr(View, "lineage", lineage)


@plant(kinds="product")
def tag_of_the_whole_document(patch: pytest.MonkeyPatch) -> None:
    def etag(self: View, product: str, media_type: str) -> str:
        return f'"{self._digest(self._graph.graph(product))}-{media_type}"'

    patch.setattr(View, "etag", etag)


@plant(kinds="product")
def hidden_nodes_named_in_rdf(patch: pytest.MonkeyPatch) -> None:
    def statements(self: View, product: str, *coming: Any) -> list[Triple]:
        return [t for t in self._graph.graph(product) if self._granted(self._registry.by_home[product], Need.READ)]

    patch.setattr(View, "statements", statements)


@plant("revisions", "changes")
def hidden_nodes_named_in_changes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history, "_was_visible", lambda *_: True)


@plant("governance", "products", "conforming")
def overviews_of_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "whole", property(lambda self: np.ones(len(self._registry.slots), np.bool_)))
    honest = Verdicts.sighted
    patch.setattr(Verdicts, "sighted", lambda self, view, grants: honest(self, view, np.full_like(grants, EVERYTHING)))


@plant("search", "facets", given="fields")
def verdicts_on_what_is_hidden(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Standings, "whole", lambda self, grants: self._registry.visible(grants) & Need.READ == Need.READ)


@plant("search", "facets", given="fields", policies="fields links")
def verdicts_on_fields_that_are_not_there(patch: pytest.MonkeyPatch) -> None:
    """A finding about a hidden field counts where the document lacks the field, and not where the field is hidden."""
    honest = Standings.seen

    def seen(self: Standings, slots: Any) -> Columns:
        columns = honest(self, slots)
        columns.need[:] = 0
        return columns

    patch.setattr(Standings, "seen", seen)


@plant("changes", "edges")
def events_of_hidden_products(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "readable", property(lambda self: self._registry.slots))


@plant("relations")
def walks_through_hidden_nodes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sight, "node", lambda *_: True)


@plant("owner", "label")
def labels_by_hidden_majority(patch: pytest.MonkeyPatch) -> None:
    honest = Registry.said_of

    def said_of(self: Registry, shared: str, grants: Any) -> Any:
        seen = {(predicate, value) for predicate, value, _ in honest(self, shared, grants)}
        return [said for said in honest(self, shared, np.full_like(grants, EVERYTHING)) if said[:2] in seen]

    patch.setattr(Registry, "said_of", said_of)


@plant("domains")
def domains_of_hidden_products(patch: pytest.MonkeyPatch) -> None:
    honest = Registry.listed
    patch.setattr(Registry, "listed", lambda self, role, grants: honest(self, role, np.full_like(grants, EVERYTHING)))


@plant("columns", "name", names="public anonymous internal nobody", traps=(15, 12))
def masked_columns_shown(patch: pytest.MonkeyPatch) -> None:
    honest = Registry.node_need
    patch.setattr(Registry, "node_need", lambda self, product, iri: honest(self, product, iri) & Need.READ)


@plant(kinds="product")
def tombstones_for_all(patch: pytest.MonkeyPatch) -> None:
    def raise_if_retired(self: View, iri: str) -> None:
        product = self._registry.by_home.get(iri)
        if product is not None and product.retired:
            raise Retired("it was retired", iri=iri)

    patch.setattr(View, "raise_if_retired", raise_if_retired)


@plant(kinds="product")
def forbidden_where_there_is_something(patch: pytest.MonkeyPatch) -> None:
    honest = Products._find

    def find(self: Products, view: View, key: str) -> Any:
        try:
            return honest(self, view, key)
        except FairmeshError as error:
            product = view._registry.by_key.get(key)
            if product is None or product.retired:
                raise
            (decision,) = view._decide([(Action.DISCOVER, view.facts(product))])
            raise Forbidden("not for you", decision) from error

    patch.setattr(Products, "_find", find)


@plant(kinds="validate register", names="people sales")
def rules_told_of_hidden_nodes(patch: pytest.MonkeyPatch) -> None:
    def background(self: View, references: Any) -> list[Triple]:
        found = (t for iri in references for t, _ in self._graph.match(iri))
        return [t for t in found if t.predicate == NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")]

    patch.setattr(View, "background", background)


# -- hidden fields ----------------------------------------------------------------------------------------------------

_ALL_FIELDS = sum(FIELDS.values())
HIDDEN = (DCT + "description", DCT + "subject", DCAT + "keyword", DPROD + "purpose")


def _seeing_fields(view: View) -> View:
    """The same view, with nothing hidden but what belongs to no field."""
    other = copy.copy(view)
    other._grants = np.where(view._grants > 0, view._grants | _ALL_FIELDS, view._grants)
    sight = Sight(other._registry, other._grants, other._graph.match)
    other._granted, other._node_visible, other._triple_visible = sight.granted, sight.node, sight.triple
    other._read, other._heads = {}, {}
    return other


def _search_fields(patch: pytest.MonkeyPatch, mix: Callable[[Found, Found], Found]) -> None:
    honest = View.search

    def search(self: View, *args: Any, **kwargs: Any) -> Found:
        return mix(honest(self, *args, **kwargs), honest(_seeing_fields(self), *args, **kwargs))

    patch.setattr(View, "search", search)


@plant("search", "totalCount", given="text", policies="fields", words="everything kept testing payroll")
def hidden_fields_searched(patch: pytest.MonkeyPatch) -> None:
    _search_fields(patch, lambda seen, all: replace(seen, page=all.page, result=_result(seen.result, seen.result)))


@plant("search", "facets", "buckets", policies="fields")
def hidden_fields_as_facets(patch: pytest.MonkeyPatch) -> None:
    _search_fields(patch, lambda seen, all: replace(seen, result=_result(all.result, seen.result)))


@plant(
    "dataProducts",
    "totalCount",
    given="filter property",
    policies="fields",
    predicates=HIDDEN,
    words="everything testing row",
)
def hidden_fields_filtered_by(patch: pytest.MonkeyPatch) -> None:
    honest = View._filtered

    def filtered(self: View, filter: Any) -> Any:
        return honest(_seeing_fields(self), filter)

    patch.setattr(View, "_filtered", filtered)


@plant("label", kinds="node product", policies="fields links")
def what_hidden_fields_lead_to(patch: pytest.MonkeyPatch) -> None:
    honest = Registry.node_need
    patch.setattr(Registry, "node_need", lambda self, product, iri: honest(self, product, iri) & ~_ALL_FIELDS)


@plant("dataProducts", "description", names="public internal nobody")
def descriptions_of_what_may_be_discovered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(registry, "DISCOVER_PREDICATES", registry.DISCOVER_PREDICATES | {DCT + "description"})


@plant("search", "totalCount", given="text", names="public internal nobody", words="everything testing lowest")
def discoverable_products_searched_whole(patch: pytest.MonkeyPatch) -> None:
    honest = View.search

    def search(self: View, *args: Any, **kwargs: Any) -> Found:
        other = copy.copy(self)
        other._grants = np.where(self._grants > 0, self._grants | Need.READ, self._grants)
        return honest(other, *args, **kwargs)

    patch.setattr(View, "search", search)


# -- what is kept between requests ------------------------------------------------------------------------------------


@plant(kinds="query read")
def scopes_kept_for_all_subjects(patch: pytest.MonkeyPatch) -> None:
    honest = Access.scope
    kept: dict[object, Scope] = {}

    def scope(self: Access, subject: Any, keys: Any, **kwargs: Any) -> Scope:
        place = (self.policy_digest, tuple(keys))
        if place not in kept:
            kept[place] = honest(self, subject, keys, **kwargs)
        return kept[place]

    patch.setattr(Access, "scope", scope)


@plant(kinds="query query read")
def answers_kept_for_all_subjects(patch: pytest.MonkeyPatch) -> None:
    honest = Engine.run
    kept: dict[str, Any] = {}

    def run(self: Engine, subject: Any, request: Any, **kwargs: Any) -> Any:
        place = f"{id(self)} {request.query} {request.variables}"
        if place not in kept:
            kept[place] = honest(self, subject, request, **kwargs)
        return kept[place]

    patch.setattr(Engine, "run", run)


# -- cursors, counts, the past, writes --------------------------------------------------------------------------------


@plant("search", "cursor")
def cursors_that_count_hidden_hits(patch: pytest.MonkeyPatch) -> None:
    def mix(seen: Found, all: Found) -> Found:
        places = {hit.iri: place for place, hit in enumerate(all.page.items)}
        cursors = (
            f"{cursor}.{places.get(hit.iri)}" for cursor, hit in zip(seen.page.cursors, seen.page.items, strict=True)
        )
        return replace(seen, page=replace(seen.page, cursors=tuple(cursors)))

    _search(patch, mix)


@plant("dataProducts", "hasNextPage")
def pages_that_know_of_hidden_products(patch: pytest.MonkeyPatch) -> None:
    honest = View.products

    def products(self: View, *args: Any, **kwargs: Any) -> Any:
        page = honest(self, *args, **kwargs)
        return replace(page, has_next=len(page.items) < len(list(self._registry.live())))

    patch.setattr(View, "products", products)


@plant("relationSummary", "count")
def relations_counted_before_filter(patch: pytest.MonkeyPatch) -> None:
    honest = View.relation_summary

    def relation_summary(self: View, iri: str, direction: Any) -> Any:
        other = copy.copy(self)
        other._granted, other._node_visible = (lambda *_: True), (lambda *_: True)
        counts = {(c.predicate, c.direction): c.count for c in honest(other, iri, direction)}
        return tuple(replace(c, count=counts[c.predicate, c.direction]) for c in honest(self, iri, direction))

    patch.setattr(View, "relation_summary", relation_summary)


@plant("revisions", "number")
def revisions_by_the_policy_of_their_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "granted_then", lambda self, keys: dict.fromkeys(keys, EVERYTHING))


@plant("conformance", policies="fields links")
def rules_judge_what_is_hidden(patch: pytest.MonkeyPatch) -> None:
    honest = View.statements
    patch.setattr(View, "statements", lambda self, *product: honest(_seeing_fields(self), *product))


def _reading(view: View) -> View:
    """The same view, with the right to read what may only be discovered."""
    other = copy.copy(view)
    other._grants = np.where(view._grants > 0, view._grants | Need.READ, view._grants)
    sight = other.sight = Sight(other._registry, other._grants, other._graph.match)
    other._granted, other._node_visible, other._triple_visible = sight.granted, sight.node, sight.triple
    other._read, other._heads = {}, {}
    return other


@plant("conformance", names="public internal nobody")
def discoverable_products_judged(patch: pytest.MonkeyPatch) -> None:
    honest = View.conformance
    patch.setattr(View, "conformance", lambda self, product: honest(_reading(self), product))


@plant("fair", names="public internal nobody")
def discoverable_products_assessed(patch: pytest.MonkeyPatch) -> None:
    honest = View.fair
    patch.setattr(View, "fair", lambda self, product: honest(_reading(self), product))


@plant(kinds="validate register", names="people sales")
def submissions_compared_with_hidden_nodes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "exists", lambda self, iri: iri in self._registry.by_home or bool(self.types(iri)))


@plant(kinds="retire", names="people sales")
def hidden_readers_keep_a_product(patch: pytest.MonkeyPatch) -> None:
    honest = Catalog._retirable

    def retirable(self: Catalog, view: View, iri: str) -> Any:
        return honest(self, view, iri)[0] or honest(self, _seeing_all(view), iri)[0], honest(self, view, iri)[1]

    patch.setattr(Catalog, "_retirable", retirable)
