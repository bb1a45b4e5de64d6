"""Registrations per second, durable, on a mesh of many products; beside a plain pipeline in the same run.

    python benchmarks/registration.py [--products 1000] [--rounds 7] [--seed 1]

The plain pipeline is what a script would do: parse with rdflib, `pyshacl.validate` with data and core shapes as text,
add to an rdflib `Dataset` in memory. It asks no policy, keeps no history, indexes nothing and loses all at the end; it
runs on one processor, as do single registrations, while the documents of a batch are validated side by side. The rounds
are interleaved and medians are shown; a ratio above 1 says the catalog is faster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyshacl
import rdflib
from generator import DOMAINS, Product, products

from fairmesh.catalog import Catalog, Settings
from fairmesh.catalog.model import Subject, Submission

BASE = "http://localhost/id/"
PRODUCER = Subject("benchmark", "service", roles=("producer",), domains=DOMAINS, clearance="internal")
SHAPES = (Path(__file__).parent.parent / "ontologies" / "core" / "shapes.ttl").read_text("utf-8")
BATCH = 50
SINGLES = 10


@dataclass
class Plain:
    dataset: rdflib.Dataset = field(default_factory=rdflib.Dataset)

    def register(self, product: Product) -> None:
        # it knows no other product, so lineage would only earn it a finding
        lines = [line for line in product.turtle.decode().splitlines() if "prov:wasDerivedFrom" not in line]
        text = "\n".join([f"@base <{BASE}> .", *lines])
        parsed = rdflib.Graph().parse(data=text, format="turtle")
        conforms, _, report = pyshacl.validate(
            text, shacl_graph=SHAPES, data_graph_format="turtle", shacl_graph_format="turtle"
        )
        if not conforms:
            raise SystemExit(f"{product.key} is refused by the plain pipeline: {report}")
        graph = self.dataset.graph(rdflib.URIRef(BASE + product.key))
        for triple in parsed:
            graph.add(triple)


def register(catalog: Catalog, batch: Sequence[Product]) -> None:
    outcomes = catalog.register(PRODUCER, [Submission(p.turtle, "text/turtle") for p in batch], channel="http")
    refused = [outcome.error for outcome in outcomes if outcome.error is not None]
    if refused:
        raise SystemExit(f"{len(refused)} of {len(batch)} refused, the first: {refused[0]}")


def per_second(count: int, call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return count / (time.perf_counter() - start)


def measure(folder: Path, triples: int, size: int, rounds: int, seed: int) -> None:
    supply = products(size + rounds * SINGLES, triples=triples, seed=seed)
    catalog = Catalog.open(Settings.read({"data": folder}, environment={}))
    plain = Plain()
    filling = size - rounds * (BATCH + SINGLES)
    started = time.perf_counter()
    while filling > 0:
        batch = list(islice(supply, min(BATCH, filling)))
        register(catalog, batch)
        filling -= len(batch)
    filled = time.perf_counter() - started
    rates: dict[str, list[float]] = {"plain": [], "single": [], "batch": []}
    for _ in range(rounds):
        for name, rate in one_round(catalog, plain, supply):
            rates[name].append(rate)
    catalog.close()
    plain_rate, single, batched = (statistics.median(rates[name]) for name in ("plain", "single", "batch"))
    print(
        f"{triples:>8}{size:>10}{plain_rate:>10.1f}{single:>10.1f}{batched:>10.1f}"
        f"{single / plain_rate:>9.2f}x{batched / plain_rate:>9.2f}x{filled:>9.0f} s"
    )


def one_round(catalog: Catalog, plain: Plain, supply: Iterator[Product]) -> Iterator[tuple[str, float]]:
    alone = list(islice(supply, SINGLES))
    yield "plain", per_second(SINGLES, lambda: [plain.register(product) for product in alone])
    alone = list(islice(supply, SINGLES))
    yield "single", per_second(SINGLES, lambda: [register(catalog, [product]) for product in alone])
    batch = list(islice(supply, BATCH))
    yield "batch", per_second(BATCH, lambda: register(catalog, batch))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=500, help="products in the mesh at the end")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    smallest = options.rounds * (BATCH + SINGLES)
    if options.products < smallest:
        parser.error(f"{options.rounds} rounds register {smallest} products: ask for that many, or for fewer rounds")
    print(f"registrations per second, {os.cpu_count()} processors, batches of {BATCH}; ratios to the plain pipeline")
    columns = ("triples", "products", "plain", "single", "batch", "single", "batch", "filled in")
    widths = (8, 10, 10, 10, 10, 10, 10, 11)
    print("".join(f"{name:>{width}}" for name, width in zip(columns, widths, strict=True)))
    for triples in (50, 200):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder) / "data", triples, options.products, options.rounds, options.seed)


if __name__ == "__main__":
    main()
