"""The compiled SHACL engine beside pyshacl: interleaved rounds, medians, ratios, with the targets printed beside.

    python benchmarks/shacl.py [--rounds 9] [--products 1000] [--full]

Per product, on our profile and on DCAT-AP: both engines warm from the same parsed statements, and the compiled engine
from Turtle beside `pyshacl.validate(text, text)`; and one judgement as the platform makes it, from N-Quads to report,
without and with FAIR scores, on either engine. Then many products in one graph, with the growth of memory; pyshacl
gets 1,000 of them unless `--full` gives it as many as the compiled engine (10,000; some minutes). Then products a
second through the worker pool. DCAT-AP needs the files of ../shared, and is left out where they are missing.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyshacl
import rdflib
from generator import Product, products

from fairmesh.catalog import computed, document, rdf
from fairmesh.catalog.governance import Case, RuleSet, Validator, judge, validate
from fairmesh.catalog.rdf import NamedNode, Triple
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.reference import Reference
from fairmesh.catalog.triples import Index

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
BASE = "http://localhost/id/"
NOW = datetime.now(UTC)
WARM, TEXT, DCAT_AP, MANY, GROWTH = 10, 20, 15, 15, 100


def medians(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Median milliseconds of each call, in turn; short calls are repeated in a round until they take 20 ms."""
    repeats = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        repeats.append(max(1, round(0.02 / (time.perf_counter() - start))))
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for times, call, repeat in zip(taken, calls, repeats, strict=True):
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            times.append((time.perf_counter() - start) * 1000 / repeat)
    return [statistics.median(times) for times in taken]


def verdict(ratio: float, target: float) -> str:
    return f"{ratio:.1f}x (target {target}x{'' if ratio >= target else ', MISSED'})"


def statements(product: Product) -> list[Triple]:
    """A product as rules see it: its document in normal form, and what is computed about it."""
    read = document.read(product.turtle, rdf.TURTLE, BASE)
    stated = rdf.load(read.nquads)
    facts = computed.Facts(Index(stated), NamedNode(read.product), read.own, BASE, NOW)
    return [*stated, *(statement.triple for statement in computed.compute(facts))]


def turtle(files: Sequence[Path]) -> list[Triple]:
    return [q.triple for f in files for q in rdf.parse(f.read_bytes(), rdf.TURTLE, iri_base=f.as_uri() + "/").quads]


def compare(
    name: str, data: Sequence[Triple], shapes: Sequence[Triple], background: Sequence[Triple], rounds: int,
    targets: tuple[int, int],
) -> None:  # fmt: skip
    """Both engines on the same statements, warm; pyshacl as it comes on parsed graphs; then both from text."""
    compiled = Compiled(shapes, background=background, ignored=computed.PREDICATES)
    warm = Reference(shapes, background=background, ignored=computed.PREDICATES)
    data_text, shapes_text, more_text = (
        rdf.serialize(dict.fromkeys(t), rdf.TURTLE) for t in (data, shapes, background)
    )
    data_graph, shapes_graph, more_graph = (graph(t) for t in (data, shapes, background))

    def parsed() -> object:
        return pyshacl.validate(data_graph, shacl_graph=shapes_graph, ont_graph=more_graph)

    def from_text() -> object:
        return compiled.run([quad.triple for quad in rdf.parse(data_text, rdf.TURTLE, iri_base=BASE).quads])

    def plain() -> object:
        return pyshacl.validate(
            data_text, shacl_graph=shapes_text, ont_graph=more_text or None, data_graph_format="turtle",
            shacl_graph_format="turtle", ont_graph_format="turtle",
        )  # fmt: skip

    a, b, c, d, e = medians(rounds, lambda: compiled.run(data), lambda: warm.run(data), parsed, from_text, plain)
    print(
        f"{name:<8} {len(data):>5} {a:>9.2f} {b:>9.2f} {verdict(b / a, targets[0]):<26} {c:>9.1f} {c / a:>6.0f}x"
        f" {d:>10.2f} {e:>9.1f} {verdict(e / d, targets[1])}"
    )


def whole(product: Product, compiled: RuleSet, warm: RuleSet, rounds: int) -> None:
    """A whole judgement on both engines; what is not the engine's takes both equally long."""
    read = document.read(product.turtle, rdf.TURTLE, BASE)
    case = Case(read.nquads, b"", read.product, read.key.partition(".")[0], read.own)

    def report(rules: RuleSet) -> object:
        return validate(
            rules, case.document, b"", product=case.product, domain=case.domain, own=read.own, iri_base=BASE, now=NOW
        )

    def both(rules: RuleSet) -> object:
        return judge(rules, case, iri_base=BASE, now=NOW)

    calls = [functools.partial(call, rules) for call in (report, both) for rules in (compiled, warm)]
    a, b, c, d = medians(rounds, *calls)
    size = read.nquads.count(b"\n")
    print(f"judged   {size:>5} {a:>9.2f} {b:>9.2f} {verdict(b / a, WARM):<26}")
    print(f" + FAIR  {size:>5} {c:>9.2f} {d:>9.2f} {d / c:.1f}x (pyshacl gives no scores: ours are added to both)")


def graph(triples: Sequence[Triple]) -> rdflib.Graph:
    return rdflib.Graph().parse(data=rdf.serialize(dict.fromkeys(triples), rdf.N_TRIPLES), format="nt")


def resident(field: str) -> float:
    """Megabytes of this process now (`VmRSS`) or at most since `forget_peak` (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def one_graph(count: int, shapes: Sequence[Triple], vocabulary: Sequence[Triple], full: bool) -> None:
    """`count` products in one graph; pyshacl gets a part of them when that takes too long."""
    each = [statements(product) for product in products(count, triples=50, seed=1)]
    compiled = Compiled(shapes, background=vocabulary, ignored=computed.PREDICATES)
    compiled.run(each[0])
    data = list(dict.fromkeys(triple for product in each for triple in product))
    gc.collect()
    forget_peak()
    before, start = resident("VmRSS"), time.perf_counter()
    found = len(compiled.run(data).results)
    taken, growth = time.perf_counter() - start, resident("VmHWM") - before
    print(
        f"one graph of {count:,} products, {len(data):,} triples: compiled {taken:.2f} s, {found} results, "
        f"{taken / count * 1e6:.0f} us a product, grew by {growth:.0f} MB (target below {GROWTH} MB"
        f"{'' if growth < GROWTH else ', MISSED'})"
    )
    part = count if full else min(count, 1000)
    data = list(dict.fromkeys(triple for product in each[:part] for triple in product))
    graphs = [graph(triples) for triples in (data, shapes, vocabulary)]
    start = time.perf_counter()
    compiled.run(data)
    middle = time.perf_counter()
    pyshacl.validate(graphs[0], shacl_graph=graphs[1], ont_graph=graphs[2], inplace=True)
    ours, theirs = middle - start, time.perf_counter() - middle
    print(
        f"one graph of {part:,} products, {len(data):,} triples: compiled {ours:.2f} s, "
        f"pyshacl.validate {theirs:.1f} s, {verdict(theirs / ours, MANY)}"
    )


def throughput(count: int) -> None:
    """Products a second through the worker pool, from N-Quads to report: in one process, and in one per processor."""
    rules = RuleSet.load()
    reads = [document.read(product.turtle, rdf.TURTLE, BASE) for product in products(count, triples=50, seed=1)]
    cases = [Case(read.nquads, b"", read.product, read.key.partition(".")[0], read.own) for read in reads]
    parts = [cases[start : start + 50] for start in range(0, count, 50)]
    rates = []
    for size in (1, os.cpu_count() or 1):
        validator = Validator(rules, size)
        validator.start()
        judged = functools.partial(validator.judge_many, iri_base=BASE, now=NOW)
        with ThreadPoolExecutor(size) as threads:
            list(threads.map(judged, parts[:size]))
            start = time.perf_counter()
            judgements = [judgement for done in threads.map(judged, parts) for judgement in done]
            rates.append(count / (time.perf_counter() - start))
        validator.close()
        failed = sum(bool(judgement.report.findings) for judgement in judgements)
        print(f"pool of {size}: {rates[-1]:,.0f} products a second, {failed} with findings")
    print(f"all processors: {rates[1] / rates[0]:.1f}x one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--products", type=int, default=1000, help="products in one graph")
    parser.add_argument("--full", action="store_true", help="10,000 products in one graph, for pyshacl too")
    given = parser.parse_args()
    gc.freeze()  # as the processes do that judge
    gc.set_threshold(50_000)
    rules = RuleSet.load()
    levels = rules.levels(None)
    shapes = [triple for level in levels for triple in level.shapes]
    vocabulary = [triple for level in levels for triple in level.vocabulary]
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, pyshacl {pyshacl.__version__}")
    print("milliseconds, medians; warm: the reference engine, pyshacl with all that can be kept kept; graphs and text:")
    print("pyshacl.validate on parsed graphs and on Turtle; from text: the compiled engine with parsing")
    print("         size  compiled      warm ratio                         graphs   ratio  from text      text ratio")
    warm = RuleSet.load(engine="pyshacl")
    for size in (50, 200, 1000):
        (product,) = products(1, triples=size, seed=1)
        compare("profile", statements(product), shapes, vocabulary, given.rounds, (WARM, TEXT))
        whole(product, rules, warm, given.rounds)
    folder = SHARED / "conformance" / "dcat-ap-3.0.1" / "shacl"
    if folder.is_dir():
        published = turtle([folder / "dcat-ap-SHACL.ttl", folder / "ranges.ttl"])
        paths = {triple.subject for triple in published if triple.predicate.value == rdf.PREFIXES["sh"] + "path"}
        # links to property shapes that have no path: five of those, which no engine can use
        usable = [t for t in published if t.predicate.value != rdf.PREFIXES["sh"] + "property" or t.object in paths]
        catalogues = turtle(sorted((SHARED / "data" / "idn-au" / "data" / "catalogues" / "democat").glob("*.ttl")))
        for size in (50, 100, 200):
            compare("DCAT-AP", catalogues[:size], usable, (), given.rounds, (DCAT_AP, DCAT_AP))
    else:
        print("DCAT-AP: ../shared is not there")
    one_graph(10_000 if given.full else given.products, shapes, vocabulary, given.full)
    throughput(given.products)


if __name__ == "__main__":
    main()
