"""Statements, indexed."""

from __future__ import annotations

import gc
import weakref

from fairmesh.catalog.rdf import Literal, NamedNode, Triple
from fairmesh.catalog.triples import Index

A, B, P, Q = (NamedNode(f"https://example.org/{name}") for name in "abpq")


def test_a_statement_is_kept_once() -> None:
    index = Index([Triple(A, P, B), Triple(B, P, A), Triple(A, P, B), Triple(A, P, A)])
    assert index.objects(A, P.value) == [B, A]
    assert index.heads == {P.value: [A, B]}
    assert index.pairs[P.value] == [(A, B), (A, A), (B, A)]
    assert set(index) == {Triple(A, P, B), Triple(A, P, A), Triple(B, P, A)}


def test_a_hub_has_all_its_values_in_order() -> None:
    values = [Literal(number) for number in range(40)]
    index = Index(Triple(A, P, value) for value in [*values, *values])
    assert index.objects(A, P.value) == values


def test_what_is_added_is_seen_from_both_ends() -> None:
    index = Index([Triple(A, P, B)])
    assert index.pairs[Q.value] == []
    index.add([Triple(A, P, B), Triple(B, Q, A)])
    assert index.pairs[Q.value] == [(B, A)]
    assert index.heads == {P.value: [A], Q.value: [B]}


def test_dropped_predicates_leave_nothing() -> None:
    index = Index([Triple(A, P, B), Triple(B, Q, A), Triple(A, Q, A)])
    assert index.heads.keys() == {P.value, Q.value}
    index.drop(lambda predicate: predicate == Q.value)
    assert list(index) == [Triple(A, P, B)]
    assert index.subjects.keys() == {A}
    assert index.heads == {P.value: [A]}
    index.add([Triple(B, Q, A)])
    assert index.pairs[Q.value] == [(B, A)]


def test_only_some_predicates_are_kept() -> None:
    assert list(Index([Triple(A, P, B), Triple(B, Q, A)], {P: P.value})) == [Triple(A, P, B)]


def test_what_is_indexed_is_not_indexed_again() -> None:
    index = Index([Triple(A, P, B)])
    assert Index.of(index) is index


def test_memory_is_given_back_at_once() -> None:
    index = Index([Triple(A, P, B)])
    assert index.pairs[P.value] == [(A, B)]
    gone = weakref.ref(index)
    gc.disable()
    try:
        del index
        assert gone() is None
    finally:
        gc.enable()
