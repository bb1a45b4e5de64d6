"""Who depends on what a change breaks: products downstream, as one view shows them, however many steps away.

Where it is known from which columns a dataset was derived, it depends on these alone; else on the whole dataset. A
product that only says that it reads another one's dataset, or product, depends on that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from fairmesh.catalog.document import CSVW, DCAT, DCT, DERIVED, DPROD
from fairmesh.catalog.errors import BreakingChange
from fairmesh.catalog.model import LineageDirection, LineageNode, PortDirection
from fairmesh.catalog.semver import Step

if TYPE_CHECKING:
    from fairmesh.catalog.changes import Comparison
    from fairmesh.catalog.view import View

BUDGET = 20_000
"""Datasets, columns and products visited; beyond it the answer says truncated."""
SHOWN = 10
"""Changes and dependents that a refusal names."""


@dataclass(frozen=True, slots=True)
class Name:
    """What to call a product: its key, and the labels of it, its domain and its owner, as far as they are visible."""

    key: str
    label: str
    domain: str | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class Dependents:
    """Products by distance, then IRI: 1 reads what breaks, 2 reads what was made of it, and so on; what a product makes
    of its own data takes no step. Each with the number of its visible neighbours that are not among these; `names` run
    beside. `truncated`: there may be more."""

    nodes: tuple[LineageNode, ...] = ()
    names: tuple[Name, ...] = ()
    truncated: bool = False


def breaks(view: View, comparison: Comparison) -> Dependents:
    """The products that depend on what the comparison says is broken, without the product itself.

    What the product derives from its own data is its own affair: its new document says what becomes of that.
    """
    product = comparison.product
    if not comparison.broken or not view.exists(product):
        return Dependents()
    below = view.lineage(
        product, direction=LineageDirection.DOWNSTREAM, depth=BUDGET, max_nodes=BUDGET, types=None
    )  # fmt: skip
    walk = _Walk(view, product)
    found = walk.run(comparison)
    shown = {node.iri: node for node in below.nodes}
    beside = {end: set[str]() for end in found}, {end: set[str]() for end in found}
    for edge in below.edges:
        for end, other, around in ((edge.target, edge.source, beside[0]), (edge.source, edge.target, beside[1])):
            if end in found and other not in found:
                around[end].add(other)
    nodes = []
    for iri, distance in sorted(found.items(), key=lambda pair: (pair[1], pair[0])):
        node = shown.get(iri)
        more = (0, 0) if node is None else (node.more_upstream, node.more_downstream)
        nodes.append(LineageNode(iri, distance, more[0] + len(beside[0][iri]), more[1] + len(beside[1][iri])))
    return Dependents(tuple(nodes), tuple(_name(view, node.iri) for node in nodes), walk.truncated)


def _name(view: View, iri: str) -> Name:
    stated = (view.iris(iri, DPROD + word) for word in ("domain", "dataProductOwner"))
    domain, owner = (view.label(min(found)) if found else None for found in stated)
    return Name(view.describers(iri)[0].key, view.label(iri), domain, owner)


class _Walk:
    """Breadth first over columns, datasets and products, by visible statements alone."""

    def __init__(self, view: View, product: str) -> None:
        self._view = view
        self._product = product
        self.truncated = False
        self._owners = cache(self._read_owners)
        self._readers = cache(self._read_readers)
        self._columns = cache(self._read_columns)
        self._datasets = cache(self._read_datasets)
        self._uninformed = cache(self._read_uninformed)

    def run(self, comparison: Comparison) -> dict[str, int]:
        """The products reached, and how far away each is: by steps from one product to another."""
        found: dict[str, int] = {}
        seen = set(comparison.broken)
        layer = {
            reader for iri, held in comparison.broken.items() for reader in self._after(iri, _of_column(iri, held))
        }
        layer |= self._after_product(self._product)
        waiting, distance = set[str](), 1
        while layer:
            within, beyond = set[str](), set[str]()
            for node in sorted(layer - seen):
                owners = self._owners(node)
                if self._product in owners:
                    continue
                if len(seen) >= BUDGET:
                    self.truncated = True
                    return found
                seen.add(node)
                for owner in owners:
                    found.setdefault(owner, distance)
                for reader in self._following(node, owners):
                    (beyond if owners.isdisjoint(self._owners(reader)) else within).add(reader)
            waiting |= beyond
            layer = within - seen
            if not layer:
                layer, waiting, distance = waiting, set(), distance + 1
        return found

    def _read_owners(self, node: str) -> frozenset[str]:
        return frozenset(owner.iri for owner in self._view.describers(node))

    def _following(self, node: str, owners: Iterable[str]) -> set[str]:
        """What is made of a thing, or of the products that it is a part of."""
        return set(self._after(node, self._holders(node))).union(*map(self._after_product, owners))

    def _after(self, node: str, datasets: frozenset[str] = frozenset()) -> Set[str]:
        """What is made of a thing: of a column, with the `datasets` that hold it; of a dataset; of a whole product."""
        if datasets:
            return self._readers(node) | self._uninformed(datasets)
        if self._view.product(iri=node) is not None:
            return {reader for dataset in self._datasets(node) for reader in self._after(dataset)}
        columns = {reader for column in self._columns(node) for reader in self._readers(column)}
        return columns | {reader for reader in self._readers(node) if not self._vague(reader, (node,))}

    def _read_uninformed(self, datasets: frozenset[str]) -> frozenset[str]:
        """Who reads the datasets without a word of their columns."""
        found = ((reader, dataset) for dataset in datasets for reader in self._readers(dataset))
        return frozenset(reader for reader, dataset in found if not self._knows(reader, (dataset,)))

    def _after_product(self, product: str) -> set[str]:
        """Who says that it reads the product, and of none of its datasets that it reads it."""
        datasets = self._datasets(product)
        named = {reader for dataset in datasets for reader in self._readers(dataset)}
        ports = self._view.iris(product, DPROD + "outputPort")
        unsaid = {port for port in ports if not self._behind(port)}
        readers = self._readers(product) | self._view.subjects(DPROD + "inputPort", unsaid)
        return {
            reader for reader in readers if reader not in named and not self._vague(reader, datasets)
        }  # fmt: skip

    def _behind(self, port: str) -> bool:
        """Whether it is said which datasets the port gives."""
        return bool(
            self._view.iris(port, DCAT + "servesDataset") or self._view.subjects(DCAT + "accessService", (port,))
        )

    def _knows(self, reader: str, datasets: Collection[str]) -> bool:
        """Whether it is stated from which columns of the datasets the reader, or a dataset of it, was derived."""
        derived = {
            holder
            for dataset in datasets for column in self._columns(dataset) for other in self._readers(column)
            for holder in (other, *self._holders(other))
        }  # fmt: skip
        return reader in derived or self._vague(reader, datasets)

    def _vague(self, reader: str, datasets: Collection[str]) -> bool:
        """Whether the reader is a product of which a dataset says the same, more exactly."""
        own = self._datasets(reader)
        if not own:
            return False
        return any(
            other in own or not own.isdisjoint(self._holders(other))
            for dataset in datasets for place in (dataset, *self._columns(dataset)) for other in self._readers(place)
        )  # fmt: skip

    def _read_readers(self, node: str) -> frozenset[str]:
        view = self._view
        ports = {node, *view.subjects(DCAT + "servesDataset", (node,))}
        for distribution in view.iris(node, DCAT + "distribution"):
            ports |= {distribution, *view.iris(distribution, DCAT + "accessService")}
        return frozenset(
            view.subjects(DERIVED, (node,)) | view.subjects(DPROD + "inputDataset", (node,))
            | view.subjects(DPROD + "inputPort", ports)
        )  # fmt: skip

    def _read_columns(self, dataset: str) -> frozenset[str]:
        view = self._view
        waiting = [c for s in view.iris(dataset, DCT + "conformsTo") for c in view.iris(s, CSVW + "column")]
        found = set(waiting)
        while waiting:
            inner = view.subjects(DCT + "isPartOf", (waiting.pop(),)) - found
            found |= inner
            waiting += inner
        return frozenset(found)

    def _read_datasets(self, product: str) -> frozenset[str]:
        """Nothing for what is no product."""
        if self._view.product(iri=product) is None:
            return frozenset()
        return frozenset(self._view.datasets(product, PortDirection.OUTPUT))

    def _holders(self, column: str) -> frozenset[str]:
        """The datasets that have this column, or one that it is nested in; none for what is no column."""
        view, found, waiting = self._view, {column}, [column]
        while waiting:
            above = set(view.iris(waiting.pop(), DCT + "isPartOf")) - found
            found |= above
            waiting += above
        return frozenset(view.subjects(DCT + "conformsTo", view.subjects(CSVW + "column", found)))


def _of_column(iri: str, datasets: frozenset[str]) -> frozenset[str]:
    return frozenset() if iri in datasets else datasets


def refusal(key: str, comparison: Comparison, dependents: Dependents) -> BreakingChange:
    """Why a breaking change without a major version is refused: what breaks, whom, and what to do."""
    breaking, version, count = comparison.breaking, comparison.version, len(dependents.nodes)
    changes = _some([f"{change.what} {change.label}" for change in breaking])
    note = f" ({version.note})" if version.note else ""
    stated = version.note if version.moved is Step.UNKNOWN else f"dcat:version is {version.after}{note}"
    depend = "product depends" if count == 1 else f"{'or more ' if dependents.truncated else ''}products depend"
    whom = f"; {count} {depend} on it: {_some([f'{it.label} ({it.key})' for it in dependents.names])}" if count else ""
    return BreakingChange(
        f"{key}: {len(breaking)} breaking change{'s' if len(breaking) > 1 else ''} ({changes}), and {stated}{whom}",
        comparison,
        remedy=remedy((change.what for change in breaking), version.proposed or ""),
    )


def remedy(broken: Iterable[str], version: str) -> str:
    """What to do about breaking changes with these codes, `version` being the lowest that would do."""
    if all(what in ("version-lowered", "version-removed") for what in broken):
        return f"State one dcat:version, {version} or later: what was there before comes back under a new one"
    return f"Raise dcat:version to {version}, or keep what others rely on"


def _some(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
