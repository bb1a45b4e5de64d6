"""Lineage: what was derived from what, as one reader may see it.

Three levels (product, dataset, column) that never mix. Each product document fills one slot with the nodes it owns and
the derivations it states; every question brings the reader's grants, and what these hide is absent from the answer:
it equals the answer of an index that was never given the hidden things.

- A derivation is visible when the document that states it grants `LineageStatement.need`, and both ends are visible.
- A node of the mesh is visible when some document that owns it grants what that document says the node needs. A node
  of the mesh that nobody owns is not there. A node from outside the mesh is always visible: the document that
  mentions it can be read, so leaving it out would tell that some hidden document describes it.
- Product edges are those stated between products, and those that follow from visible dataset edges: from each product
  that visibly owns the source to each that visibly owns the target. A dataset named by a product edge stands for the
  products that visibly own it. Self-loops are left out at product level only.

Walks are iterative and cost time in proportion to what can be reached; `put` and `remove` in proportion to the
document. Any number of threads may read at once; `put` and `remove` need the index for themselves.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fairmesh.catalog.errors import InputError, NotFound
from fairmesh.catalog.model import (
    Level,
    LineageDirection,
    LineageEdge,
    LineageNode,
    LineageResult,
    LineageStatement,
    Need,
)

Visible = npt.NDArray[np.int64]
"""By slot: the bits of `Need` and `FIELDS` a reader is granted; a slot beyond the array is granted nothing."""

_SHUT, _OPEN = 0, 1
_SEVERAL = -1
_FEW = 8


class _Cells:
    """Pairs of a slot and what is needed on it, by number; a question works out once which of them are granted.

    A pair keeps its number for good. SHUT and OPEN stand for what nobody and what everybody may see.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._slots = np.zeros(64, np.int64)
        self._needs = np.zeros(64, np.int64)

    def number(self, slot: int, need: int) -> int:
        known = self._numbers.get((slot, need))
        if known is None:
            known = self._numbers[slot, need] = len(self._numbers) + _OPEN + 1
            if known == len(self._slots):
                self._slots, self._needs = (np.append(row, np.zeros_like(row)) for row in (self._slots, self._needs))
            self._slots[known], self._needs[known] = slot, need
        return known

    def granted(self, visible: Visible) -> bytes:
        """One byte per number, for quick lookup."""
        count = len(self._numbers) + _OPEN + 1
        slots, needs = self._slots[:count], self._needs[:count]
        held = np.append(visible, np.int64(0))[np.minimum(slots, len(visible))] & needs == needs
        held[_SHUT], held[_OPEN] = False, True
        return bytes(held.tobytes())


class _Nodes:
    """IRIs as small integers, counted by use, and the cells that show them."""

    def __init__(self, is_mesh: Callable[[str], bool]) -> None:
        self.is_mesh = is_mesh
        self.ids: dict[str, int] = {}
        self.iris: list[str] = []
        self.owners: list[tuple[int, ...]] = []
        self.gates: list[int] = []
        """The one cell to look at: OPEN outside the mesh, SHUT without an owner, _SEVERAL: see `owners`."""
        self._uses: list[int] = []
        self._free: list[int] = []

    def use(self, iri: str) -> int:
        node = self.ids.get(iri)
        if node is None:
            node = self._place()
            self.ids[iri] = node
            self.iris[node] = iri
            self.gates[node] = _SHUT if self.is_mesh(iri) else _OPEN
        self._uses[node] += 1
        return node

    def release(self, node: int) -> None:
        self._uses[node] -= 1
        if not self._uses[node]:
            del self.ids[self.iris[node]]
            self.iris[node] = ""
            self._free.append(node)

    def own(self, node: int, cell: int) -> None:
        self._set_owners(node, (*self.owners[node], cell))

    def disown(self, node: int, cell: int) -> None:
        self._set_owners(node, tuple(other for other in self.owners[node] if other != cell))

    def shown(self, node: int, granted: bytes) -> bool:
        gate = self.gates[node]
        return bool(granted[gate]) if gate != _SEVERAL else self.owned(node, granted)

    def owned(self, node: int, granted: bytes) -> bool:
        """Whether a document the reader may see owns this node."""
        return any(granted[cell] for cell in self.owners[node])

    def _place(self) -> int:
        if self._free:
            return self._free.pop()
        self.iris.append("")
        self.owners.append(())
        self.gates.append(_SHUT)
        self._uses.append(0)
        return len(self.iris) - 1

    def _set_owners(self, node: int, owners: tuple[int, ...]) -> None:
        self.owners[node] = owners
        if self.gates[node] != _OPEN:
            self.gates[node] = _SHUT if not owners else owners[0] if len(owners) == 1 else _SEVERAL


_Ends = dict[int, "tuple[int, ...] | dict[int, None]"]


class _Links:
    """Stated edges of one kind. An edge is a number; its facts lie in four lists.

    The edges at a node are a tuple while they are few, which is small, and a dict beyond that, so that one edge can
    be taken from a node with many.
    """

    def __init__(self) -> None:
        self.sources: list[int] = []
        self.targets: list[int] = []
        self.predicates: list[str] = []
        self.cells: list[int] = []
        self.outgoing: _Ends = {}
        self.incoming: _Ends = {}
        self._free: list[int] = []

    def add(self, source: int, target: int, predicate: str, cell: int) -> int:
        if self._free:
            edge = self._free.pop()
            self.sources[edge], self.targets[edge] = source, target
            self.predicates[edge], self.cells[edge] = predicate, cell
        else:
            edge = len(self.sources)
            self.sources.append(source)
            self.targets.append(target)
            self.predicates.append(predicate)
            self.cells.append(cell)
        _attach(self.outgoing, source, edge)
        _attach(self.incoming, target, edge)
        return edge

    def drop(self, edge: int) -> None:
        _detach(self.outgoing, self.sources[edge], edge)
        _detach(self.incoming, self.targets[edge], edge)
        self.cells[edge] = _SHUT
        self._free.append(edge)


def _attach(ends: _Ends, node: int, edge: int) -> None:
    held = ends.get(node, ())
    if isinstance(held, dict):
        held[edge] = None
    elif len(held) < _FEW:
        ends[node] = (*held, edge)
    else:
        ends[node] = dict.fromkeys((*held, edge))


def _detach(ends: _Ends, node: int, edge: int) -> None:
    held = ends[node]
    if isinstance(held, dict):
        del held[edge]
    else:
        held = ends[node] = tuple(other for other in held if other != edge)
    if not held:
        del ends[node]


class _Graph(Protocol):
    """One level as one reader sees it."""

    def reach(self, start: int, upstream: bool) -> dict[int, int]:
        """Every node that can be reached, the start included, with its distance, in order of distance."""

    def steps(self, node: int, upstream: bool) -> Sequence[tuple[int, str]]:
        """The (neighbour, predicate) one edge away, possibly several times."""

    def nodes(self) -> Collection[int]:
        """All nodes that may have an edge, visible or not."""


class _Stated:
    """The graph of the edges as they are stated."""

    def __init__(self, nodes: _Nodes, links: _Links, granted: bytes) -> None:
        self._nodes = nodes
        self._links = links
        self._granted = granted
        self._ways = {True: (links.incoming, links.sources), False: (links.outgoing, links.targets)}

    def reach(self, start: int, upstream: bool) -> dict[int, int]:
        links, granted, gates = self._links, self._granted, self._nodes.gates
        ends, others = self._ways[upstream]
        cells, shown = links.cells, self._nodes.shown
        distances = {start: 0}
        queue = [start]
        for node in queue:  # grows while it is read
            distance = distances[node] + 1
            for edge in ends.get(node, ()):
                other = others[edge]
                if other not in distances and granted[cells[edge]]:
                    gate = gates[other]
                    # the first half is `shown` without the call: this line runs once per node of the mesh
                    if granted[gate] if gate >= 0 else shown(other, granted):
                        distances[other] = distance
                        queue.append(other)
        return distances

    def around(self, node: int, upstream: bool) -> list[int]:
        """The neighbours one edge away, each as often as there are edges to it."""
        ends, others = self._ways[upstream]
        if node not in ends:
            return []
        granted, cells, gates, shown = self._granted, self._links.cells, self._nodes.gates, self._nodes.shown
        return [
            other
            for edge in ends[node]
            if granted[cells[edge]]
            and (granted[gate] if (gate := gates[other := others[edge]]) >= 0 else shown(other, granted))
        ]

    def steps(self, node: int, upstream: bool) -> Sequence[tuple[int, str]]:
        ends, others = self._ways[upstream]
        if node not in ends:
            return ()
        granted, cells, gates, shown = self._granted, self._links.cells, self._nodes.gates, self._nodes.shown
        predicates = self._links.predicates
        return [
            (other, predicates[edge])
            for edge in ends[node]
            if granted[cells[edge]]
            and (granted[gate] if (gate := gates[other := others[edge]]) >= 0 else shown(other, granted))
        ]

    def nodes(self) -> Collection[int]:
        return self._links.outgoing.keys()


class _Projected:
    """The graph of products: edges stated between them, and those that follow from their datasets' edges.

    `holds` leads from each product to itself and to its datasets, so that whatever an edge names, its holders are the
    products it is about. Only an edge stated on this level may have an end that nobody holds: a product outside.
    """

    def __init__(self, products: _Stated, holds: _Stated, datasets: _Stated) -> None:
        self._products = products
        self._holds = holds
        self._datasets = datasets

    def reach(self, start: int, upstream: bool) -> dict[int, int]:
        distances = {start: 0}
        queue = [start]
        met: set[int] = set()
        for node in queue:  # grows while it is read
            found: list[int] = []
            held = self._holds.around(node, upstream=False)
            for part in held:
                for other in self._datasets.around(part, upstream):
                    if other not in met:  # once met, all that hold it are reached
                        met.add(other)
                        found += self._holders(other)
            for part in held or self._outsider(node):
                for other in self._products.around(part, upstream):
                    found += self._holders(other) or [other]
            distance = distances[node] + 1
            for product in found:
                if product not in distances:
                    distances[product] = distance
                    queue.append(product)
        return distances

    def steps(self, node: int, upstream: bool) -> Sequence[tuple[int, str]]:
        found: set[tuple[int, str]] = set()
        held = self._holds.around(node, upstream=False)
        for part in held:
            for other, predicate in self._datasets.steps(part, upstream):
                found.update((product, predicate) for product in self._holders(other))
        for part in held or self._outsider(node):
            for other, predicate in self._products.steps(part, upstream):
                found.update((product, predicate) for product in self._holders(other) or [other])
        return [step for step in found if step[0] != node]

    def nodes(self) -> Collection[int]:
        return {*self._products.nodes(), *self._holds.nodes()}

    def _holders(self, node: int) -> list[int]:
        return self._holds.around(node, upstream=True)

    def _outsider(self, node: int) -> list[int]:
        """The node itself if nobody holds it; a dataset that is held speaks through its products alone."""
        return [] if self._holders(node) else [node]


@dataclass(frozen=True, slots=True)
class _Document:
    """What one slot put in, by number, so that it can be taken out again."""

    owned: tuple[tuple[int, int], ...]
    held: tuple[int, ...]
    stated: tuple[tuple[Level, int], ...]
    digest: bytes


class LineageIndex:
    """The lineage of all documents. `is_mesh` tells whether an IRI lies under the mesh's base."""

    def __init__(self, is_mesh: Callable[[str], bool]) -> None:
        self._nodes = _Nodes(is_mesh)
        self._links = {level: _Links() for level in Level}
        self._holds = _Links()
        self._documents: dict[int, _Document] = {}
        self._cells = _Cells()

    def put(
        self,
        slot: int,
        product_iri: str,
        nodes: Mapping[str, int],
        statements: Sequence[LineageStatement],
        parents: Mapping[str, str],
    ) -> None:
        """Replace everything of `slot`.

        `nodes` are the datasets and columns this document owns, with what a reader needs on it to see them; those in
        `parents` (dataset IRI -> product IRI) are the datasets. The product itself needs DISCOVER unless `nodes`
        says otherwise. Raises `InputError` for a negative slot or a parent of a dataset not in `nodes`.
        """
        if slot < 0:
            raise InputError(f"slot {slot} is negative", remedy="Number the documents from 0.")
        if strange := parents.keys() - nodes.keys():
            iri = min(strange)
            raise InputError(
                f"{iri} has a product but is no node of the document", iri=iri, remedy="List it among the nodes."
            )
        self.remove(slot)
        needs: dict[str, int] = {product_iri: Need.DISCOVER, **nodes}
        distinct = dict.fromkeys(statements)
        cells = {need: self._cells.number(slot, need) for need in (*needs.values(), *(s.need for s in distinct))}
        owned = tuple((self._nodes.use(iri), cells[need]) for iri, need in needs.items())
        for node, cell in owned:
            self._nodes.own(node, cell)
        held = tuple(
            self._link(self._holds, product, iri, "", cells[needs[iri]])
            for iri, product in {**parents, product_iri: product_iri}.items()
        )
        stated = tuple(
            (s.level, self._link(self._links[s.level], s.source, s.target, s.predicate, cells[s.need]))
            for s in distinct
        )
        digest = _digest_of(product_iri, needs, distinct, parents)
        self._documents[slot] = _Document(owned, held, stated, digest)

    def remove(self, slot: int) -> None:
        """Take out everything of `slot`; a slot without a document is left as it is."""
        document = self._documents.pop(slot, None)
        if document is None:
            return
        for level, edge in document.stated:
            self._unlink(self._links[level], edge)
        for edge in document.held:
            self._unlink(self._holds, edge)
        for node, cell in document.owned:
            self._nodes.disown(node, cell)
            self._nodes.release(node)

    def walk(
        self,
        start: str,
        level: Level | None,
        direction: LineageDirection,
        depth: int,
        max_nodes: int,
        visible: Visible,
        types: Callable[[str], bool] | None = None,
    ) -> LineageResult:
        """What lies upstream and downstream of `start`.

        `level` None: the level of the start. Distances count edges of that level from the start, which has 0; with
        BOTH the two walks are separate, and a node in both has the lesser distance. Nodes come by (distance, IRI);
        those at most `depth` (>= 0) away are returned, the first `max_nodes` (>= 1) of them. With `types`, only nodes
        it accepts are returned, the start included; the walk passes through all.

        Edges are those the walk went along, between returned nodes: upstream, each edge into a node less than `depth`
        away; downstream, each edge out of one. They come by (source, target, predicate), each once.

        `truncated`: without the two limits there would be more nodes or edges. `more_upstream` and `more_downstream`
        count a node's visible neighbours that are not returned, whichever way the walk went. `upstream_count` and
        `downstream_count` count all visible nodes on that side of the start without limits, types or the start.

        Raises `NotFound` for a start of the mesh the reader cannot see, `InputError` for a limit out of range.
        """
        _check_limits(depth, max_nodes)
        granted = self._granted(visible)
        node = self._nodes.ids.get(start)
        if node is None and not self._nodes.is_mesh(start):
            alone = () if types is not None and not types(start) else (LineageNode(start, 0, 0, 0),)
            return LineageResult(alone, (), False, 0, 0)
        if node is None or not self._nodes.shown(node, granted):
            raise NotFound(f"no lineage is known of {start}", iri=start, remedy="Check the IRI.")
        graph = self._graph(level or self._level(node, granted), granted)
        return self._result(graph, node, direction, depth, max_nodes, types)

    def edges(self, level: Level, visible: Visible) -> Iterator[LineageEdge]:
        """All visible edges of a level, by (source, target, predicate)."""
        graph = self._graph(level, granted := self._granted(visible))
        return self._in_words(
            {
                (node, other, predicate)
                for node in graph.nodes()
                if self._nodes.shown(node, granted)
                for other, predicate in graph.steps(node, upstream=False)
            }
        )

    def digest(self) -> str:
        """SHA-256 (hex) of all content, whatever the order and the slots it was put in."""
        return hashlib.sha256(b"".join(sorted(d.digest for d in self._documents.values()))).hexdigest()

    def _link(self, links: _Links, source: str, target: str, predicate: str, cell: int) -> int:
        return links.add(self._nodes.use(source), self._nodes.use(target), sys.intern(predicate), cell)

    def _unlink(self, links: _Links, edge: int) -> None:
        links.drop(edge)
        self._nodes.release(links.sources[edge])
        self._nodes.release(links.targets[edge])

    def _granted(self, visible: Visible) -> bytes:
        if visible.ndim != 1:
            raise InputError(f"grants of shape {visible.shape}", remedy="Give an array of bits by slot.")
        return self._cells.granted(visible)

    def _graph(self, level: Level, granted: bytes) -> _Graph:
        stated = _Stated(self._nodes, self._links[level], granted)
        if level is not Level.PRODUCT:
            return stated
        holds = _Stated(self._nodes, self._holds, granted)
        return _Projected(stated, holds, _Stated(self._nodes, self._links[Level.DATASET], granted))

    def _level(self, node: int, granted: bytes) -> Level:
        """What a visible node is: by the documents that own it, else by the edges that mention it."""
        holders = _Stated(self._nodes, self._holds, granted).around(node, upstream=True)
        if holders:
            return Level.PRODUCT if node in holders else Level.DATASET
        if self._nodes.owned(node, granted):
            return Level.COLUMN
        for level in (Level.DATASET, Level.COLUMN, Level.PRODUCT):
            stated = _Stated(self._nodes, self._links[level], granted)
            if stated.around(node, upstream=True) or stated.around(node, upstream=False):
                return level
        return Level.DATASET

    def _result(
        self,
        graph: _Graph,
        start: int,
        direction: LineageDirection,
        depth: int,
        max_nodes: int,
        types: Callable[[str], bool] | None,
    ) -> LineageResult:
        reached = {upstream: graph.reach(start, upstream) for upstream in (True, False)}
        walked = {
            upstream: distances
            for upstream, distances in reached.items()
            if direction is not (LineageDirection.DOWNSTREAM if upstream else LineageDirection.UPSTREAM)
        }
        accepted = None if types is None else cache(types)
        nearest = _nearest(list(walked.values()))
        chosen = self._choose(nearest, depth, max_nodes, accepted)
        kept = set(chosen)
        nodes: list[LineageNode] = []
        within: set[tuple[int, int, str]] = set()
        beyond: set[tuple[int, int, str]] = set()
        for node in chosen:
            more = {True: 0, False: 0}
            for upstream in (True, False):
                if not (steps := graph.steps(node, upstream)):
                    continue
                more[upstream] = len({other for other, _ in steps if other not in kept})
                distance = walked[upstream].get(node) if upstream in walked else None
                if distance is not None:
                    edges = within if distance < depth else beyond
                    edges.update((o, node, p) if upstream else (node, o, p) for o, p in steps if o in kept)
            nodes.append(LineageNode(self._nodes.iris[node], nearest[node], more[True], more[False]))
        return LineageResult(
            nodes=tuple(nodes),
            edges=tuple(self._in_words(within)),
            truncated=not beyond <= within or self._leaves_out(nearest, kept, accepted),
            upstream_count=len(reached[True]) - 1,
            downstream_count=len(reached[False]) - 1,
        )

    def _leaves_out(self, nearest: Mapping[int, int], kept: set[int], accepted: Callable[[str], bool] | None) -> bool:
        if accepted is None:
            return len(nearest) > len(kept)
        return any(node not in kept and accepted(self._nodes.iris[node]) for node in nearest)

    def _choose(
        self, nearest: Mapping[int, int], depth: int, max_nodes: int, accepted: Callable[[str], bool] | None
    ) -> list[int]:
        iris = self._nodes.iris
        layers: dict[int, list[int]] = {}
        for node, distance in nearest.items():
            if distance <= depth:
                layers.setdefault(distance, []).append(node)
        chosen: list[int] = []
        for distance in sorted(layers):
            layer = layers[distance]
            if accepted is not None:
                layer = [node for node in layer if accepted(iris[node])]
            chosen += heapq.nsmallest(max_nodes - len(chosen), layer, key=iris.__getitem__)
            if len(chosen) == max_nodes:
                break
        return chosen

    def _in_words(self, edges: set[tuple[int, int, str]]) -> Iterator[LineageEdge]:
        iris = self._nodes.iris
        return (LineageEdge(*edge) for edge in sorted((iris[s], iris[t], predicate) for s, t, predicate in edges))


def _check_limits(depth: int, max_nodes: int) -> None:
    if depth < 0:
        raise InputError(f"depth {depth} is negative", remedy="Give 0 or more; 0 is the start alone.")
    if max_nodes < 1:
        raise InputError(f"{max_nodes} nodes at most leaves no room for the start", remedy="Give 1 or more.")


def _nearest(walks: Sequence[dict[int, int]]) -> dict[int, int]:
    nearest = walks[0]
    for distances in walks[1:]:
        nearest = dict(nearest)
        for node, distance in distances.items():
            if distance < nearest.get(node, distance + 1):
                nearest[node] = distance
    return nearest


def _digest_of(
    product_iri: str, needs: Mapping[str, int], statements: Collection[LineageStatement], parents: Mapping[str, str]
) -> bytes:
    content = [
        product_iri,
        sorted(needs.items()),
        sorted((s.level, s.source, s.target, s.predicate, s.need) for s in statements),
        sorted(parents.items()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).digest()
