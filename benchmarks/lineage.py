"""Lineage walks beside a plain breadth-first search over a dict of lists, in the same run.

    python benchmarks/lineage.py [--seed N] [--rounds N]

Prints, for each shape of graph, the median time of the plain search and the ratio to it of: the index's own search
with everything visible and with half of the documents hidden, a whole walk (both ways counted, first 200 nodes
returned with their edges), and a whole walk that returns every node. Then the cost of one document's `put` and the
memory per edge.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from fairmesh.catalog.lineage import LineageIndex, Visible
from fairmesh.catalog.model import EVERYTHING, Level, LineageDirection, LineageStatement, Need

BASE = "http://localhost/id/"
DERIVED = "http://www.w3.org/ns/prov#wasDerivedFrom"
PER_DOCUMENT = 5
ALL = 10**9

Edges = list[tuple[int, int]]


def dataset(number: int) -> str:
    return f"{BASE}domain.product{number // PER_DOCUMENT}/dataset{number}"


def chain(size: int) -> Edges:
    return [(n, n + 1) for n in range(size)]


def hub(size: int) -> Edges:
    return [(0, n) for n in range(1, size + 1)]


def layers(size: int, rng: random.Random) -> Edges:
    """A mesh as it grows: each dataset is derived from up to three of the 2,000 before it."""
    return [(s, n) for n in range(1, size) for s in {rng.randrange(max(0, n - 2000), n) for _ in range(3)}]


def index_of(edges: Edges) -> tuple[LineageIndex, int]:
    index = LineageIndex(lambda iri: iri.startswith(BASE))
    count = 1 + max(max(edge) for edge in edges)
    stated: dict[int, list[LineageStatement]] = {}
    for source, target in edges:
        statement = LineageStatement(dataset(source), dataset(target), DERIVED, Level.DATASET)
        stated.setdefault(target // PER_DOCUMENT, []).append(statement)
    for slot in range(1 + (count - 1) // PER_DOCUMENT):
        put(index, slot, stated.get(slot, []))
    return index, 1 + (count - 1) // PER_DOCUMENT


def put(index: LineageIndex, slot: int, statements: list[LineageStatement]) -> None:
    product = f"{BASE}domain.product{slot}"
    owned = [dataset(n) for n in range(slot * PER_DOCUMENT, (slot + 1) * PER_DOCUMENT)]
    index.put(slot, product, dict.fromkeys(owned, Need.READ), statements, dict.fromkeys(owned, product))


def plain(edges: Edges) -> Callable[[], object]:
    around: dict[str, list[str]] = {}
    for source, target in edges:
        around.setdefault(dataset(source), []).append(dataset(target))

    def search() -> dict[str, int]:
        distances = {dataset(0): 0}
        queue = [dataset(0)]
        for node in queue:
            for other in around.get(node, ()):
                if other not in distances:
                    distances[other] = distances[node] + 1
                    queue.append(other)
        return distances

    return search


def medians(rounds: int, calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Interleaved, so that whatever else the machine does falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in times.items()}


def compare(name: str, edges: Edges, rng: random.Random, rounds: int) -> None:
    index, slots = index_of(edges)
    everything = np.full(slots, EVERYTHING)
    half = everything.copy()
    half[[slot for slot in range(1, slots) if rng.random() < 0.5]] = 0

    def search(visible: Visible) -> Callable[[], object]:
        start = index._nodes.ids[dataset(0)]
        return lambda: index._graph(Level.DATASET, index._granted(visible)).reach(start, upstream=False)

    def walk(visible: Visible, level: Level, start: str, max_nodes: int) -> Callable[[], object]:
        return lambda: index.walk(start, level, LineageDirection.DOWNSTREAM, ALL, max_nodes, visible)

    product = f"{BASE}domain.product0"
    taken = medians(
        rounds,
        {
            "plain": plain(edges),
            "search": search(everything),
            "half hidden": search(half),
            "walk of 200": walk(everything, Level.DATASET, dataset(0), 200),
            "walk of all": walk(everything, Level.DATASET, dataset(0), ALL),
            "products, 200": walk(everything, Level.PRODUCT, product, 200),
        },
    )
    base = taken.pop("plain")
    ratios = "  ".join(f"{label} {seconds / base:.2f}x" for label, seconds in taken.items())
    print(f"{name:<28} plain {base * 1e3:7.2f} ms   {ratios}")


def upkeep(edges: Edges) -> None:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    index, slots = index_of(edges)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    statement = LineageStatement(dataset(0), dataset((slots - 1) * PER_DOCUMENT), DERIVED, Level.DATASET)
    taken = medians(200, {"put": lambda: put(index, slots - 1, [statement])})
    each = held / len(edges)
    print(f"one small put beside {len(edges):,} edges: {taken['put'] * 1e6:.0f} us; {each:.0f} bytes per edge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    for name, edges in {
        "chain of 10,000": chain(10_000),
        "hub of 100,000": hub(100_000),
        "mesh of 100,000 datasets": layers(100_000, rng),
    }.items():
        compare(name, edges, rng, options.rounds)
    upkeep(layers(20_000, rng))
    upkeep(hub(20_000))


if __name__ == "__main__":
    main()
