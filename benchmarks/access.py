"""What access costs at scale: scopes of new and of known subjects; reads under a scope beside all-true ones.

    python benchmarks/access.py [--products 100000] [--keys 5000] [--subjects 1000] [--rounds 15] [--seed 1]

The policy is the one that ships, evaluated in process. Times are medians; reads take turns with the same code under a
scope that grants everything: read the ratios.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType

import lineage as lineages
import numpy as np
import search as searches

from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.impact import Mesh, impact, subject_classes
from fairmesh.catalog.lineage import LineageIndex
from fairmesh.catalog.model import (
    CLASSIFICATIONS,
    EVERYTHING,
    STATUSES,
    AccessKey,
    LineageDirection,
    Need,
    SearchDocument,
    Subject,
)
from fairmesh.catalog.projection import Projection
from fairmesh.catalog.registry import Grants, Registry
from fairmesh.catalog.search import Index, SearchQuery

BASE = "http://localhost/id/"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DOMAINS = 40
TEAMS = 300
Word = Callable[[], object]


def keys(count: int, rng: random.Random) -> list[AccessKey]:
    """Distinct facts, as a mesh of many domains and teams has them."""
    found: dict[AccessKey, None] = {}
    while len(found) < count:
        domain = f"d{rng.randrange(DOMAINS)}"
        tags = tuple(sorted(rng.sample(["pii", "gdpr", "finance", "daily"], rng.choice([0, 0, 1, 2]))))
        key = AccessKey(
            domain, rng.choice(CLASSIFICATIONS), rng.choice(STATUSES[:-1]), tags, f"{BASE}team/t{rng.randrange(TEAMS)}"
        )
        found[key] = None
    return list(found)


def subjects(count: int, rng: random.Random) -> list[Subject]:
    """People, most of them without a role, in up to three domains and two teams."""
    return [
        Subject(
            f"person{n}", "user", rng.choice([(), (), ("analyst",), ("producer",), ("steward",), ("auditor",)]),
            tuple(f"t{rng.randrange(TEAMS)}" for _ in range(rng.randrange(3))),
            tuple(f"d{rng.randrange(DOMAINS)}" for _ in range(rng.randrange(4))), rng.choice(CLASSIFICATIONS[:3]),
        )
        for n in range(count)
    ]  # fmt: skip


def registry_of(products: int, listed: list[AccessKey], rng: random.Random) -> Registry:
    registry = Registry(BASE)
    nothing: MappingProxyType[str, int] = MappingProxyType({})
    for number in range(products):
        key = listed[number] if number < len(listed) else rng.choice(listed)
        name = f"{key.domain}.p{number}"
        projection = Projection(
            BASE + name, name, key, None, nothing, (), frozenset(), nothing, frozenset(), (), (), nothing, nothing, ()
        )
        registry.put(BASE + name, projection, revision=1, at=NOW, by="")
    return registry


def milliseconds(call: Word) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def show(name: str, times: list[float]) -> None:
    ranked = sorted(times)
    print(f"{name:44} median {statistics.median(ranked):8.3f} ms   slowest {ranked[-1]:8.3f} ms")


def scopes(access: Access, registry: Registry, people: list[Subject]) -> list[Grants]:
    def scope(subject: Subject) -> Grants:
        return access.scope(subject, registry.keys, channel="http", now=NOW).grants

    show(f"scope of a new subject, {len(registry.keys):,} keys", [milliseconds(lambda s=s: scope(s)) for s in people])
    show("the same from cache", [milliseconds(lambda s=s: scope(s)) for s in people])
    registry.key_id(AccessKey("d0", "public", "build", ("just-registered",)))
    show("the same after one more key", [milliseconds(lambda s=s: scope(s)) for s in people[:100]])
    found = [scope(subject) for subject in people]
    show("spread over the products", [milliseconds(lambda g=g: registry.visible(g)) for g in found[:100]])
    return found


def in_turns(name: str, rounds: int, plain: Word, filtered: Word) -> None:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, times in zip((plain, filtered), taken, strict=True):
            times.append(milliseconds(call))
    everything, scoped = map(statistics.median, taken)
    print(f"{name:44} all-true {everything:8.2f} ms   scoped {scoped / everything:5.2f}x")


def reads(registry: Registry, grants: Grants, rounds: int, seed: int) -> None:
    """Of a subject that may read about half of the products."""
    products = len(registry.slots)
    everything = np.full(products, EVERYTHING)
    visible = registry.visible(grants)
    print(f"\nreads of a subject who sees {(visible & Need.DISCOVER).sum():,} of {products:,} products")
    mesh, index = searches.Mesh(seed), Index()
    documents: list[SearchDocument] = [mesh.product(number) for number in range(products)]
    for slot, document in enumerate(documents):
        index.put(slot, [document])

    def search(text: str | None, scope: Grants, *, facets: bool = True) -> Word:
        def run() -> object:
            result = index.search(SearchQuery(text), scope)
            return result.facets(searches.FACETS, 10) if facets else result

        return run

    for name, text in {"rare word": mesh.words[3000], "common word": mesh.words[5], "all products": None}.items():
        search(text, everything)()
        search(text, visible)()
        title = f"search, {name}"
        in_turns(title, rounds, search(text, everything, facets=False), search(text, visible, facets=False))
        in_turns(f"{title}, three facets", rounds, search(text, everything), search(text, visible))

    lineage, slots = lineages.index_of(lineages.layers(products, random.Random(seed)))
    below = lineages.dataset(products // 2)

    def walk(scope: Grants, depth: int, nodes: int) -> Word:
        return lambda: lineage.walk(below, None, LineageDirection.BOTH, depth, nodes, scope)

    seen = _seeing(lineage, visible[:slots], below)
    in_turns("lineage, 3 steps", rounds, walk(everything[:slots], 3, 200), walk(seen, 3, 200))
    in_turns("lineage, all of it", rounds, walk(everything[:slots], 10**6, 200), walk(seen, 10**6, 200))
    all_but_one = everything[:slots].copy()
    all_but_one[-1] = 0  # hidden halves end walks early: this one goes as far
    in_turns(
        "lineage, all of it, one hidden", rounds, walk(everything[:slots], 10**6, 200), walk(all_but_one, 10**6, 200)
    )


def _seeing(index: LineageIndex, visible: Grants, dataset: str) -> Grants:
    """The same scope, and the product of the dataset where the walk begins."""
    copy = visible.copy()
    copy[int(dataset.split("product")[1].split("/")[0])] = EVERYTHING
    return copy


EMBARGO = b"""package fairmesh.org.acme

deny contains {"id": id, "reason": "embargo"} if {
	some id, resource in input.resources
	"pii" in resource.tags
	not "steward" in input.subject.roles
}
"""


def proposal(access: Access, registry: Registry, people: list[Subject]) -> None:
    """What `policy impact` works out on the server, for 50 classes of subjects."""
    policies = PolicySet.from_files({**access.policies.files, "org/acme/embargo.rego": EMBARGO})
    proposed = Access(EmbeddedEngine(policies), policies)
    classes = subject_classes(people, access, proposed)[:50]
    mesh = Mesh.of(registry)
    start = time.perf_counter()
    found = impact(access, proposed, classes, mesh, now=NOW, workers=os.cpu_count() or 1)
    seconds = time.perf_counter() - start
    print(
        f"\nimpact of a policy on {found.products:,} products, {len(mesh.keys):,} keys, {found.classes} classes: "
        f"{seconds:.1f} s, {len(found.changes)} changes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for option, default in {"products": 100_000, "keys": 5_000, "subjects": 1_000, "rounds": 15, "seed": 1}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    policies = PolicySet.load()
    access = Access(EmbeddedEngine(policies), policies)
    registry = registry_of(options.products, keys(options.keys, rng), rng)
    people = subjects(options.subjects, rng)
    found = scopes(access, registry, people)
    middle = min(found, key=lambda grants: abs(int((registry.visible(grants) & 1).sum()) - options.products // 2))
    reads(registry, middle, options.rounds, options.seed)
    proposal(access, registry, people)
    access.close()


if __name__ == "__main__":
    main()
