"""The products of the mesh in memory: slots, access keys, and who needs what to see which part.

A product occupies a slot for good, also after its retirement. Slots point to access keys; a reader's `Scope` has a
row of grants for each key. A fact that changes moves the slot to another key, and a scope that does not know the key
yet grants nothing on it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog.document import DISCOVER_PREDICATES, SHARED
from fairmesh.catalog.model import FIELDS, AccessKey, Need
from fairmesh.catalog.projection import Listed, Projection, Said
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.tables import Table

Grants = NDArray[np.int64]
"""By access key: the bits of `Need` and `FIELDS` a reader is granted; 0 is nothing at all."""


@dataclass(slots=True)
class Product:
    """One registered product. `revision` counts retirements too; a retired one keeps its last access key.

    `home` names its graph and its entries in the journal: the mesh's base and the key. `iri` is the same, or lies
    outside the mesh; then another product may have it as well, hidden from who registered this one.
    """

    slot: int
    home: str
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
    outside: Mapping[str, int]
    said: tuple[Said, ...]
    listed: frozenset[Listed]
    needs: Mapping[str, int]
    tables: tuple[Table, ...]
    need: int
    references: frozenset[str]
    detail: Mapping[str, object]


class Stated(NamedTuple):
    """Statements of products about themselves, one to a row: slot, number of the node in `nodes`, what it takes to see
    it."""

    revision: int
    slots: NDArray[np.int64]
    numbers: NDArray[np.int64]
    needs: NDArray[np.int64]
    nodes: tuple[str, ...]

    def seen(
        self, visible: Grants, node_visible: Callable[[str], bool]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
        """Slots, numbers and nodes of the statements that a reader sees."""
        shown = np.array([node_visible(node) for node in self.nodes], np.bool_)
        seen = (visible[self.slots] & self.needs == self.needs) & shown[self.numbers]
        return self.slots[seen], self.numbers[seen], self.nodes


class Registry:
    """All products by IRI, key and slot. Written by one thread under the catalog's exclusive lock."""

    def __init__(self, iri_base: str) -> None:
        self.iri_base = iri_base
        self.slots: list[Product] = []
        self.by_home: dict[str, Product] = {}
        self.by_key: dict[str, Product] = {}
        self.keys: list[AccessKey] = []
        self.revision = 0
        """Counts changes of slots and keys; what is derived from them is cached by it."""
        self._key_ids: dict[AccessKey, int] = {}
        self._key_of_slot = np.zeros(64, dtype=np.int32)
        self._at: dict[str, list[int]] = {}
        self._outside: dict[str, set[int]] = {}
        self._said: dict[str, dict[Said, Counter[tuple[int, int]]]] = {}
        self._listed: dict[str, dict[str, Counter[tuple[int, int]]]] = {}
        self._stated: dict[str, Stated] = {}
        self._interned: dict[Said, Said] = {}
        self._shared = tuple(iri_base + folder for folder in SHARED)
        self._visible: dict[int, tuple[Grants, int, Grants]] = {}
        self._order: tuple[int, list[Product]] = (-1, [])
        self._guard = threading.Lock()

    def key_id(self, key: AccessKey) -> int:
        known = self._key_ids.get(key)
        if known is None:
            known = self._key_ids[key] = len(self.keys)
            self.keys.append(key)
        return known

    def put(self, home: str, projection: Projection, *, revision: int, at: datetime, by: str) -> Product:
        """Register or update a product; gives it a slot on first sight."""
        old = self.by_home.get(home)
        slot = old.slot if old is not None else self._new_slot()
        product = Product(
            slot, home, projection.product, projection.key, revision, projection.version,
            self.key_id(projection.access), old.created_at if old is not None else at, at, by, False,
            projection.discover_nodes, projection.outside,
            tuple(self._interned.setdefault(said, said) for said in projection.said), projection.listed,
            projection.needs, projection.tables, projection.need, projection.references, {},
        )  # fmt: skip
        self._place(product, old)
        return product

    def retire(self, home: str, *, revision: int, at: datetime, by: str, detail: Mapping[str, object]) -> Product:
        """Turn a product into its tombstone."""
        old = self.by_home[home]
        product = Product(
            old.slot, home, old.iri, old.key, revision, old.version, old.key_id, old.created_at, at, by, True,
            frozenset(), {}, (), frozenset(), {}, (), 0, frozenset(), detail,
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
            self._at.setdefault(product.iri, []).append(product.slot)
        else:
            self.slots[product.slot] = product
            self._count(old, -1)
            for node in old.outside:
                self._outside[node].discard(product.slot)
        self._count(product, 1)
        for node in product.outside:
            self._outside.setdefault(node, set()).add(product.slot)
        self.by_home[product.home] = self.by_key[product.key] = product
        self._key_of_slot[product.slot] = product.key_id
        self.revision += 1

    def _count(self, product: Product, by: int) -> None:
        """Add what the document says of shared nodes, and what it lists, to the counts by access key and need."""
        for said in product.said:
            value = said[2].value if isinstance(said[2], NamedNode) else None
            need = self.statement_need(product, said[0], said[1], value)
            _add(self._said.setdefault(said[0], {}), said, (product.key_id, need), by)
        for role, iri, need in product.listed:
            _add(self._listed.setdefault(role, {}), iri, (product.key_id, need), by)

    def said_of(self, shared: str, grants: Grants) -> Iterator[tuple[str, NamedNode | BlankNode | Literal, int]]:
        """What visible documents say of a shared node: predicate, object, and in how many of them.

        Thousands of documents repeat the label of their domain; this answers without reading them all.
        """
        for (_, predicate, value), counts in self._said.get(shared, {}).items():
            seen = _seen(counts, grants)
            if seen:
                yield predicate, value, seen

    def listed(self, role: str, grants: Grants) -> set[str]:
        """The nodes that visible documents use in this role; see `Projection.listed`."""
        return {iri for iri, counts in self._listed.get(role, {}).items() if _seen(counts, grants)}

    def stated(self, role: str) -> Stated:
        """The nodes that products themselves have in a role; see `Projection.listed`."""
        known = self._stated.get(role)
        if known is None or known.revision != self.revision:
            numbers: dict[str, int] = {}
            rows = [
                (product.slot, numbers.setdefault(iri, len(numbers)),
                 self.statement_need(product, product.iri, role, iri))
                for product in self.slots for listed, iri, _ in product.listed if listed == role
            ]  # fmt: skip
            columns = np.array(rows, np.int64).reshape(-1, 3).T
            known = self._stated[role] = Stated(self.revision, columns[0], columns[1], columns[2], tuple(numbers))
        return known

    def live(self) -> Iterator[Product]:
        return (product for product in self.slots if not product.retired)

    def by_order(self) -> list[Product]:
        """All products, retired ones too, by IRI."""
        revision, products = self._order
        if revision != self.revision:
            products = sorted(self.slots, key=lambda product: (product.iri, product.slot))
            self._order = (self.revision, products)
        return products

    # -- who sees what --

    def visible(self, grants: Grants) -> Grants:
        """The grants spread over slots; retired products grant nothing. Cached by the scope's array."""
        with self._guard:
            known = self._visible.get(id(grants))
            if known is not None and known[0] is grants and known[1] == self.revision:
                return known[2]
        ids = self._key_of_slot[: len(self.slots)]
        rows = np.append(grants, np.int64(0))[np.minimum(ids, len(grants))]
        rows[[product.slot for product in self.slots if product.retired]] = 0
        rows.flags.writeable = False
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

    def node_need(self, product: Product, iri: str) -> int:
        """What a reader needs on the product to see this node of its document."""
        need = Need.DISCOVER if iri == product.iri or iri in product.discover_nodes else Need.READ
        return need | product.needs.get(iri, 0)

    def statement_need(self, product: Product, subject: str, predicate: str, obj: str | None) -> int:
        """What a reader needs on the product whose document states this. `obj` is an IRI, or None for a literal."""
        need = self.node_need(product, subject)
        if subject == product.iri:
            need |= FIELDS.get(predicate, 0)
            if predicate not in DISCOVER_PREDICATES:
                need |= Need.READ
        if product.needs:
            need |= product.needs.get(f"{subject} {predicate}", 0)
            if obj is not None:
                need |= product.needs.get(obj, 0)
        return need

    def owner_need(self, product: Product, iri: str) -> int:
        """What a reader needs on the product to see that it has this node as its own."""
        return self.node_need(product, iri) | product.outside.get(iri, 0)

    def is_shared(self, iri: str) -> bool:
        return iri.startswith(self._shared)

    def is_owned(self, iri: str) -> bool:
        """Whether a node is one product's alone to speak of: it is neither shared nor from outside the mesh."""
        return iri.startswith(self.iri_base) and not self.is_shared(iri)

    def holder(self, iri: str) -> Product | None:
        """The product whose IRI this is or begins with; None for shared, outside and unregistered nodes."""
        if iri.startswith(self.iri_base):
            head = iri[len(self.iri_base) :].split("/", 1)[0].split("#", 1)[0]
            product = self.by_home.get(self.iri_base + head)
            return product if product is not None and product.iri == product.home else None
        return None

    def at(self, iri: str) -> list[Product]:
        """The products with this IRI, retired ones too, in the order of their first registration."""
        return [self.slots[slot] for slot in self._at.get(iri, ())]

    def owners(self, iri: str) -> list[Product]:
        """The live products that describe this node as their own: the product itself first, others by IRI."""
        if iri.startswith(self.iri_base):
            product = self.holder(iri)
            return [] if product is None or product.retired else [product]
        return sorted((self.slots[slot] for slot in self._outside.get(iri, ())), key=lambda p: (p.iri != iri, p.home))


class Sight:
    """What one reader may see: of products by what they are granted, of nodes by what is said of them.

    `match` gives the statements about a subject, or naming an object, in a product's graph.
    """

    def __init__(self, registry: Registry, grants: Grants, match: _Match) -> None:
        self._registry = registry
        self._grants = grants.tolist()  # numbers of Python's own are quicker to look up one by one
        self._match = match
        self._described: dict[str, bool] = {}
        self._naming: dict[str, bool] = {}

    def granted(self, product: Product, need: int) -> bool:
        row = product.key_id
        return not product.retired and row < len(self._grants) and self._grants[row] & need == need

    def grants(self, product: Product) -> int:
        """The bits of `Need` and `FIELDS` that are granted on a product, retired or not."""
        return self._grants[product.key_id] if product.key_id < len(self._grants) else 0

    def whole(self, product: Product) -> bool:
        """Whether every statement of the product's document is visible."""
        return self.granted(product, product.need) and all(map(self.node, product.references))

    def triple(self, product: Product, triple: Triple, coming: Collection[str] = ()) -> bool:
        """Whether the statement of this product's document is visible, if the nodes that are `coming` are."""
        target = triple.object.value if isinstance(triple.object, NamedNode) else None
        need = self._registry.statement_need(product, triple.subject.value, triple.predicate.value, target)
        return self.granted(product, need) and (target is None or target in coming or self.node(target))

    def node(self, iri: str) -> bool:
        """Whether a node may be named.

        IRIs from outside the mesh and shared ones always; a product's when the reader may discover it; nodes of a
        product when they are granted and a visible statement of its document names them or is about them. A statement
        that names a node which fails this is not visible, so that one hidden node may take others with it; nodes that
        describe each other in a circle stay.
        """
        by = self._describer(iri)
        return by if isinstance(by, bool) else self._stands(iri, by)

    def _describer(self, iri: str) -> Product | bool:
        """Whether a node may be named or, where that takes a visible statement about it, the product to make one."""
        registry = self._registry
        if not iri.startswith(registry.iri_base) or registry.is_shared(iri):
            return True
        product = registry.holder(iri)
        if product is None or not self.granted(product, registry.node_need(product, iri)):
            return False
        return iri == product.iri or self._named(iri, product) or product

    def _named(self, iri: str, product: Product) -> bool:
        """Whether the product's own document names the node in a granted statement, describing it or not."""
        if iri not in self._naming:
            need_of = self._registry.statement_need
            self._naming[iri] = any(
                self.granted(product, need_of(product, t.subject.value, t.predicate.value, iri))
                for t, _ in self._match(None, obj=iri, graph=product.home)
            )
        return self._naming[iri]

    def _stands(self, iri: str, product: Product) -> bool:
        known = self._described
        path = [] if iri in known else [(iri, self._rests_on(iri, product))]
        passed = {iri}
        while path:
            node, targets = path[-1]
            target, by = next(targets, (None, False))
            if target is None:
                known[node] = False
                path.pop()
            elif by is True or (by and known.get(target, target in passed)):
                known.update((stands, True) for stands, _ in path)
                break
            elif isinstance(by, Product) and target not in known:
                passed.add(target)
                path.append((target, self._rests_on(target, by)))
        return known[iri]

    def _rests_on(self, iri: str, product: Product) -> Iterator[tuple[str | None, Product | bool]]:
        """For each granted statement of a node's document about it: what it names, and who is to describe that."""
        for triple, _ in self._match(iri, graph=product.home):
            target = triple.object.value if isinstance(triple.object, NamedNode) else ""
            if self.granted(product, self._registry.statement_need(product, iri, triple.predicate.value, target)):
                yield target, self._describer(target)


class _Match(Protocol):
    def __call__(self, subject: str | None, *, obj: str | None = None, graph: str) -> Iterator[tuple[Triple, str]]: ...


_Counts = Counter[tuple[int, int]]
_Counted = TypeVar("_Counted")


def _add(counted: dict[_Counted, _Counts], what: _Counted, place: tuple[int, int], by: int) -> None:
    counts = counted.setdefault(what, Counter())
    counts[place] += by
    if not counts[place]:
        del counts[place]
    if not counts:
        del counted[what]


def _seen(counts: _Counts, grants: Grants) -> int:
    """How many of the documents counted the reader may see."""
    return sum(n for (key, need), n in counts.items() if key < len(grants) and grants[key] & need == need)
