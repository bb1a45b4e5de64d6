"""The products of the mesh in memory: slots, access keys, and who needs what to see which part.

A product occupies a slot for good, also after its retirement. Slots point to access keys; a reader's `Scope` has a
row of grants for each key. A fact that changes moves the slot to another key, and a scope that does not know the key
yet grants nothing on it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog.document import DISCOVER_PREDICATES, SHARED
from fairmesh.catalog.model import AccessKey, Need
from fairmesh.catalog.projection import Projection, Said
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode

Grants = NDArray[np.bool_]
"""[access key, Need] -> may the reader see it."""


@dataclass(slots=True)
class Product:
    """One registered product. `revision` counts retirements too; a retired one keeps its last access key."""

    slot: int
    iri: str
    key: str
    revision: int
    version: str | None
    key_id: int
    created_at: datetime
    updated_at: datetime
    by: str
    retired: bool
    discover_nodes: frozenset[str]
    outside: frozenset[str]
    said: tuple[Said, ...]
    needs: Mapping[str, Need]
    detail: Mapping[str, object]


class Registry:
    """All products by IRI, key and slot. Written by one thread under the catalog's exclusive lock."""

    def __init__(self, iri_base: str) -> None:
        self.iri_base = iri_base
        self.slots: list[Product] = []
        self.by_iri: dict[str, Product] = {}
        self.by_key: dict[str, Product] = {}
        self.keys: list[AccessKey] = []
        self.revision = 0
        """Counts changes of slots and keys; what is derived from them is cached by it."""
        self._key_ids: dict[AccessKey, int] = {}
        self._key_of_slot = np.zeros(64, dtype=np.int32)
        self._outside: dict[str, set[int]] = {}
        self._said: dict[str, dict[Said, Counter[tuple[int, Need]]]] = {}
        self._interned: dict[Said, Said] = {}
        self._shared = tuple(iri_base + folder for folder in SHARED)
        self._visible: dict[int, tuple[Grants, int, Grants]] = {}
        self._guard = threading.Lock()

    def key_id(self, key: AccessKey) -> int:
        known = self._key_ids.get(key)
        if known is None:
            known = self._key_ids[key] = len(self.keys)
            self.keys.append(key)
        return known

    def put(self, iri: str, projection: Projection, *, revision: int, at: datetime, by: str) -> Product:
        """Register or update a product; gives it a slot on first sight."""
        old = self.by_iri.get(iri)
        slot = old.slot if old is not None else self._new_slot()
        product = Product(
            slot, iri, projection.key, revision, projection.version, self.key_id(projection.access),
            old.created_at if old is not None else at, at, by, False,
            projection.discover_nodes, projection.outside,
            tuple(self._interned.setdefault(said, said) for said in projection.said), projection.needs, {},
        )  # fmt: skip
        self._place(product, old)
        return product

    def retire(self, iri: str, *, revision: int, at: datetime, by: str, detail: Mapping[str, object]) -> Product:
        """Turn a product into its tombstone."""
        old = self.by_iri[iri]
        product = Product(
            old.slot, iri, old.key, revision, old.version, old.key_id, old.created_at, at, by, True,
            frozenset(), frozenset(), (), {}, detail,
        )  # fmt: skip
        self._place(product, old)
        return product

    def _new_slot(self) -> int:
        slot = len(self.slots)
        if slot == len(self._key_of_slot):
            self._key_of_slot = np.concatenate([self._key_of_slot, np.zeros_like(self._key_of_slot)])
        return slot

    def _place(self, product: Product, old: Product | None) -> None:
        if old is None:
            self.slots.append(product)
        else:
            self.slots[product.slot] = product
            self._count_said(old, -1)
            for node in old.outside:
                self._outside[node].discard(product.slot)
        self._count_said(product, 1)
        for node in product.outside:
            self._outside.setdefault(node, set()).add(product.slot)
        self.by_iri[product.iri] = self.by_key[product.key] = product
        self._key_of_slot[product.slot] = product.key_id
        self.revision += 1

    def _count_said(self, product: Product, by: int) -> None:
        for said in product.said:
            need = Need.DISCOVER if said[0] in product.discover_nodes else Need.READ
            counts = self._said.setdefault(said[0], {}).setdefault(said, Counter())
            counts[product.key_id, need] += by
            if not counts[product.key_id, need]:
                del counts[product.key_id, need]

    def said_of(self, shared: str, grants: Grants) -> Iterator[tuple[str, NamedNode | BlankNode | Literal, int]]:
        """What visible documents say of a shared node: predicate, object, and in how many of them.

        Thousands of documents repeat the label of their domain; this answers without reading them all.
        """
        for (_, predicate, value), counts in self._said.get(shared, {}).items():
            seen = sum(n for (key, need), n in counts.items() if key < len(grants) and grants[key, need])
            if seen:
                yield predicate, value, seen

    def live(self) -> Iterator[Product]:
        return (product for product in self.slots if not product.retired)

    # -- who sees what --

    def visible(self, grants: Grants) -> Grants:
        """[slot, Need]: grants spread over slots; retired products grant nothing. Cached by the scope's array."""
        with self._guard:
            known = self._visible.get(id(grants))
            if known is not None and known[0] is grants and known[1] == self.revision:
                return known[2]
        ids = self._key_of_slot[: len(self.slots)]
        rows = np.zeros((len(ids), len(Need)), dtype=np.bool_)
        held = ids < len(grants)
        rows[held] = grants[ids[held]]
        retired = [product.slot for product in self.slots if product.retired]
        rows[retired] = False
        with self._guard:
            if len(self._visible) >= 64:
                self._visible.pop(next(iter(self._visible)))
            self._visible[id(grants)] = (grants, self.revision, rows)
        return rows

    def slots_of(self, products: Iterable[Product]) -> NDArray[np.bool_]:
        """A bool per slot: true for these products."""
        marks = np.zeros(len(self.slots), dtype=np.bool_)
        marks[[product.slot for product in products]] = True
        return marks

    def statement_need(self, product: Product, subject: str, predicate: str, obj: str | None) -> Need:
        """What a reader needs on the product whose document states this. `obj` is an IRI, or None for a literal."""
        if subject == product.iri:
            return Need.DISCOVER if predicate in DISCOVER_PREDICATES else Need.READ
        if subject in product.discover_nodes:
            return Need.DISCOVER
        if product.needs:
            need = product.needs.get(subject, Need.READ)
            return need if obj is None else max(need, product.needs.get(obj, Need.READ))
        return Need.READ

    def is_shared(self, iri: str) -> bool:
        return iri.startswith(self._shared)

    def holder(self, iri: str) -> Product | None:
        """The product whose IRI this is or begins with; None for shared, outside and unregistered nodes."""
        product = self.by_iri.get(iri)
        if product is not None:
            return product
        if iri.startswith(self.iri_base):
            head = iri[len(self.iri_base) :].split("/", 1)[0].split("#", 1)[0]
            return self.by_iri.get(self.iri_base + head)
        return None

    def owners(self, iri: str) -> list[Product]:
        """The live products that describe this node as their own, by IRI."""
        product = self.holder(iri)
        if product is not None:
            return [] if product.retired else [product]
        return sorted((self.slots[slot] for slot in self._outside.get(iri, ())), key=lambda p: p.iri)
