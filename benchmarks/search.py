"""Search over a seeded mesh: what a scope costs, what a filter, facets and a write cost. Prints; asserts nothing.

    python benchmarks/search.py [documents] [seed]

Times are medians of rounds that take turns; read the ratios, not the milliseconds.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from fairmesh.catalog.model import EVERYTHING, FacetField, Need, SearchDocument, SearchFacet, SearchText, column_need
from fairmesh.catalog.search import DATA_PRODUCT, Index, SearchQuery

DCT = "http://purl.org/dc/terms/"
SYLLABLES = [
    "an", "ber", "con", "da", "el", "fi", "gor", "ha", "in", "jo", "ka", "lum", "men", "nor", "or", "pre", "qua",
    "ris", "sta", "tur", "ul", "ver", "wen", "yo", "zet",
]  # fmt: skip
FACETS = (FacetField.DOMAIN, FacetField.OWNER, FacetField.STATUS)
ROUNDS = 15


class Mesh:
    """Products with a title, a description of some forty words and facets; words follow Zipf's law."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = sorted(
            {"".join(self.random.choices(SYLLABLES, k=self.random.randint(1, 4))) for _ in range(60_000)}
        )
        self.random.shuffle(self.words)
        self.steps = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(self.words))))

    def text(self, length: int) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self.steps, k=length))

    def product(self, number: int) -> SearchDocument:
        domain = f"http://localhost/id/domain/{number % 40}"
        return SearchDocument(
            f"http://localhost/id/d{number % 40}.p{number}",
            Need.DISCOVER,
            (DATA_PRODUCT,),
            self.text(2),
            1.7e9 + self.random.randrange(10**7),
            (
                SearchText(Need.DISCOVER, DCT + "title", self.text(3), "en"),
                SearchText(Need.READ, DCT + "description", self.text(self.random.randint(20, 60)), "en"),
            ),
            (
                SearchFacet(Need.DISCOVER, FacetField.DOMAIN, domain),
                SearchFacet(Need.DISCOVER, FacetField.OWNER, f"http://localhost/id/team/{self.random.randrange(300)}"),
                SearchFacet(Need.DISCOVER, FacetField.STATUS, self.random.choice(["build", "deploy", "consume"])),
            ),
        )

    def resources(self, number: int) -> list[SearchDocument]:
        """A product with three datasets and twenty columns, as one registration puts it."""
        product = self.product(number)
        parts = [("Dataset", f"/data{n}", Need.READ, "") for n in range(3)]
        parts += [
            ("Column", f"/data{n % 3}/column/{n}", column_need(None if n % 5 else "confidential"), "en")
            for n in range(20)
        ]
        return [product] + [
            SearchDocument(
                product.iri + path, need, (f"https://example.org/{kind}",), self.text(2), product.updated,
                (
                    SearchText(need, DCT + "title", self.text(2).replace(" ", "_"), lang),
                    SearchText(need, DCT + "description", self.text(8), "en"),
                ),
                (SearchFacet(need, FacetField.TYPE, f"https://example.org/{kind}"),),
            )
            for kind, path, need, lang in parts
        ]  # fmt: skip


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            taken[name].append(milliseconds(call))
    return {name: statistics.median(times) for name, times in taken.items()}


def reads(index: Index, mesh: Mesh, count: int) -> None:
    everything = np.full(count, EVERYTHING)
    half = everything.copy()
    half[np.random.default_rng(1).random(count) < 0.5] = 0
    half_of_domains = np.arange(count) % 2 == 0
    queries = {
        "rare word": mesh.words[3000],
        "common word": mesh.words[5],
        "three words": " ".join(mesh.words[n] for n in (3, 40, 400)),
        "three common words": " ".join(mesh.words[n] for n in (0, 1, 2)),
        "two letters being typed": "st",
        "misspelt word": next(w for w in mesh.words[2000:] if len(w) > 8).replace("a", "aa", 1) + "x",
        "no text": None,
    }

    def run(query: SearchQuery, visible: np.typing.NDArray[np.int64]) -> int:
        result = index.search(query, visible)
        result.facets(FACETS, 10)
        return result.total

    print(f"{'top 20 with 3 facets':26}{'hits':>9}{'ms':>9}{'scope/all':>11}{'filter/all':>12}{'no facets':>11}")
    for name, text in queries.items():
        ended = None if text is None else text + ("" if "typed" in name else " ")
        query = SearchQuery(ended)
        filtered = SearchQuery(ended, slots=half_of_domains)
        hits = run(query, everything)
        times = in_turns({
            "all": lambda q=query: run(q, everything),  # type: ignore[misc]
            "scope": lambda q=query: run(q, half),  # type: ignore[misc]
            "filter": lambda q=filtered: run(q, everything),  # type: ignore[misc]
            "bare": lambda q=query: index.search(q, everything),  # type: ignore[misc]
        })  # fmt: skip
        print(
            f"{name:26}{hits:9}{times['all']:9.2f}{times['scope'] / times['all']:11.2f}"
            f"{times['filter'] / times['all']:12.2f}{times['bare'] / times['all']:11.2f}"
        )
    warm = SearchQuery(mesh.words[40] + " ")
    times = in_turns({
        "known scope": lambda: run(warm, everything),
        "new scope": lambda: run(warm, everything.copy()),
    })  # fmt: skip
    print(f"first query of a scope / later ones: {times['new scope'] / times['known scope']:.1f}"
          f" ({times['new scope']:.1f} ms)")  # fmt: skip


def writes(index: Index, mesh: Mesh, count: int) -> None:
    products = [mesh.resources(n) for n in range(count, count + 400)]
    empty = Index()
    small = [milliseconds(lambda n=n: empty.put(n, products[n])) for n in range(400)]  # type: ignore[misc]
    large = [milliseconds(lambda n=n: index.put(count + n, products[n])) for n in range(400)]  # type: ignore[misc]
    again = [milliseconds(lambda n=n: index.put(count + n, products[n])) for n in range(400)]  # type: ignore[misc]
    new, grown, replaced = (statistics.mean(times) for times in (small, large, again))
    print(f"put of a product, 3 datasets, 20 columns, mean of 400: empty index {new:.2f} ms, large/empty "
          f"{grown / new:.2f}, replace/new {replaced / grown:.2f}, slowest {max(large):.1f} ms")  # fmt: skip


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    mesh = Mesh(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    index = Index()
    documents = [mesh.product(n) for n in range(count)]
    taken = [milliseconds(lambda n=n: index.put(n, [documents[n]])) for n in range(count)]  # type: ignore[misc]
    print(f"{count} documents put one by one in {sum(taken) / 1000:.1f} s, slowest {max(taken):.0f} ms")
    reads(index, mesh, count)
    writes(index, mesh, count)


if __name__ == "__main__":
    main()
