"""Leaks to plant: each breaks the law in one way that a catalog might, and is to be found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fairmesh.api.products import Products
from fairmesh.catalog.errors import FairmeshError, Forbidden, Retired
from fairmesh.catalog.model import Need
from fairmesh.catalog.rdf import NamedNode, Triple
from fairmesh.catalog.registry import Registry, Sight
from fairmesh.catalog.search import SearchResult
from fairmesh.catalog.view import Found, View

Plant = Callable[[pytest.MonkeyPatch], None]
PLANTS: dict[str, Plant] = {}


def plant(function: Plant) -> Plant:
    PLANTS[function.__name__] = function
    return function


def _seeing_all(view: View) -> View:
    """The same view with every grant, for what reads an index."""
    other = copy.copy(view)
    other._grants = np.ones_like(view._grants)
    return other


@plant
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
    return SimpleNamespace(facets=facets.facets, suggestions=suggestions.suggestions)


@plant
def facets_over_all(patch: pytest.MonkeyPatch) -> None:
    _search(patch, lambda seen, all: Found(seen.page, _result(all.result, seen.result)))


@plant
def suggestions_over_all(patch: pytest.MonkeyPatch) -> None:
    _search(patch, lambda seen, all: Found(seen.page, _result(seen.result, all.result)))


@plant
def scores_with_hidden_statistics(patch: pytest.MonkeyPatch) -> None:
    def mix(seen: Found, all: Found) -> Found:
        scores = {hit.iri: hit.score for hit in all.page.items}
        items = tuple(replace(hit, score=scores.get(hit.iri, hit.score)) for hit in seen.page.items)
        return Found(replace(seen.page, items=items), seen.result)

    _search(patch, mix)


@plant
def lineage_counts_hidden_neighbours(patch: pytest.MonkeyPatch) -> None:
    honest = View.lineage

    def lineage(self: View, *args: Any, **kwargs: Any) -> Any:
        seen = honest(self, *args, **kwargs)
        all = {node.iri: node for node in honest(_seeing_all(self), *args, **kwargs).nodes}
        nodes = tuple(replace(n, more_upstream=all.get(n.iri, n).more_upstream) for n in seen.nodes)
        return replace(seen, nodes=nodes)

    patch.setattr(View, "lineage", lineage)


@plant
def lineage_counts_hidden_ancestors(patch: pytest.MonkeyPatch) -> None:
    honest = View.lineage

    def lineage(self: View, *args: Any, **kwargs: Any) -> Any:
        all = honest(_seeing_all(self), *args, **kwargs)
        return replace(honest(self, *args, **kwargs), upstream_count=all.upstream_count)

    patch.setattr(View, "lineage", lineage)


@plant
def tag_of_the_whole_document(patch: pytest.MonkeyPatch) -> None:
    def etag(self: View, product: str, media_type: str) -> str:
        return f'"{self._digest(self._graph.graph(product))}-{media_type}"'

    patch.setattr(View, "etag", etag)


@plant
def hidden_nodes_named_in_rdf(patch: pytest.MonkeyPatch) -> None:
    def statements(self: View, product: str) -> list[Triple]:
        return [t for t in self._graph.graph(product) if self._granted(self._registry.by_iri[product], Need.READ)]

    patch.setattr(View, "statements", statements)


@plant
def hidden_nodes_named_in_changes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "_was_visible", lambda *_: True)


@plant
def walks_through_hidden_nodes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sight, "node", lambda *_: True)


@plant
def labels_by_hidden_majority(patch: pytest.MonkeyPatch) -> None:
    honest = Registry.said_of

    def said_of(self: Registry, shared: str, grants: Any) -> Any:
        seen = {(predicate, value) for predicate, value, _ in honest(self, shared, grants)}
        return [said for said in honest(self, shared, np.ones_like(grants)) if said[:2] in seen]

    patch.setattr(Registry, "said_of", said_of)


@plant
def domains_of_hidden_products(patch: pytest.MonkeyPatch) -> None:
    honest = Registry.listed
    patch.setattr(Registry, "listed", lambda self, role, grants: honest(self, role, np.ones_like(grants)))


@plant
def masked_columns_shown(patch: pytest.MonkeyPatch) -> None:
    honest = Registry.node_need
    patch.setattr(Registry, "node_need", lambda self, product, iri: min(honest(self, product, iri), Need.READ))


@plant
def tombstones_for_all(patch: pytest.MonkeyPatch) -> None:
    def raise_if_retired(self: View, iri: str) -> None:
        product = self._registry.by_iri.get(iri)
        if product is not None and product.retired:
            raise Retired("it was retired", iri=iri)

    patch.setattr(View, "raise_if_retired", raise_if_retired)


@plant
def forbidden_where_there_is_something(patch: pytest.MonkeyPatch) -> None:
    honest = Products._find

    def find(self: Products, view: View, key: str) -> Any:
        try:
            return honest(self, view, key)
        except FairmeshError as error:
            product = view._registry.by_key.get(key)
            if product is None or product.retired:
                raise
            (decision,) = view._decide([(view_action(), view.facts(product))])
            raise Forbidden("not for you", decision) from error

    patch.setattr(Products, "_find", find)


def view_action() -> Any:
    from fairmesh.catalog.model import Action

    return Action.DISCOVER


@plant
def rules_told_of_hidden_nodes(patch: pytest.MonkeyPatch) -> None:
    def background(self: View, references: Any) -> list[Triple]:
        found = (t for iri in references for t, _ in self._graph.match(iri))
        return [t for t in found if t.predicate == NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")]

    patch.setattr(View, "background", background)


NAMED: Mapping[str, Plant] = PLANTS
