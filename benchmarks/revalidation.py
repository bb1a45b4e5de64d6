"""Judging a whole mesh again: after a change of rules, and before it (impact). Prints times, rates and memory.

    python benchmarks/revalidation.py [--products 10000] [--triples 50]

The mesh is written straight into a journal, as registrations that were never judged, so that opening it leaves all of
them to be judged. The plain side is `pyshacl.validate` on one product's text, times the number of products.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyshacl
from generator import DOMAINS, products

from fairmesh.catalog import Catalog, Settings, document
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import Draft, EntryKind, FacetField, PageRequest, SearchOrder, Subject, Submission
from fairmesh.catalog.opening import check_base
from fairmesh.catalog.overview import overview, trend
from fairmesh.catalog.rdf import TURTLE
from fairmesh.catalog.rulefiles import read_rules
from fairmesh.catalog.ruleimpact import rule_impact

NOW = datetime.now(UTC)
STEWARD = Subject("bench", "service", ("steward",), clearance="restricted")
ANALYST = Subject("reader", "service", ("analyst",), clearance="internal")
PRODUCER = Subject("ci", "service", ("producer",), domains=DOMAINS, clearance="restricted")
USED = b"Demand planning"
FEW = 30
"""Registrations that are timed."""
RULE = b"""@base <https://w3id.org/fairmesh/rules/org/bench/> .
@prefix bench: <https://w3id.org/fairmesh/rules/org/bench/> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
bench:uses a sh:NodeShape ; fm:mode fm:gate ; rdfs:label "Purpose"@en ; rdfs:comment "Uses are planned for."@en ;
  dct:creator "bench" ; dct:issued "2026-01-01"^^xsd:date ; sh:targetClass dprod:DataProduct ;
  sh:property <uses#planned> ; sh:message "State another dprod:purpose than demand planning."@en .
<uses#planned> sh:path dprod:purpose ; sh:not <uses#demand> ;
  sh:message "State another dprod:purpose than demand planning."@en .
<uses#demand> sh:in ( "Demand planning"@en ) .
"""


def fill(settings: Settings, count: int, triples: int) -> None:
    """Write registrations into the journal of a data directory that is not there yet."""
    journal = Journal.open(settings.data)
    check_base(journal, settings, lambda: NOW)
    drafts: list[Draft] = []
    for product in products(count, triples=triples, seed=1):
        read = document.read(product.turtle, TURTLE, settings.iri_base)
        home = settings.iri_base + read.key
        drafts.append(Draft(
            EntryKind.REGISTER, home, read.key, 1, read.nquads, TURTLE, product.turtle, "bench", NOW, "", "",
            {"created": NOW.isoformat()},
        ))  # fmt: skip
        if len(drafts) == 1000:
            journal.append(drafts)
            drafts = []
    journal.append(drafts)
    journal.close()


def written(catalog: Catalog, name: str) -> Iterator[float]:
    """Seconds that each of a few registrations takes until it is acknowledged and shown; `RULE` refuses none."""
    fine = (product for product in products(2 * FEW, triples=50, seed=3) if USED not in product.turtle)
    for product in itertools.islice(fine, FEW):
        text = product.turtle.replace(product.key.encode(), f"{product.key}-{name}".encode())
        start = time.perf_counter()
        (outcome,) = catalog.register(PRODUCER, [Submission(text)], channel="http")
        yield time.perf_counter() - start
        assert outcome.error is None, outcome.error


def memory() -> float:
    """Resident megabytes of this process at their highest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plain(triples: int) -> float:
    """Seconds `pyshacl.validate(text, text)` takes for one product."""
    shapes = read_rules().files["core/shapes.ttl"].decode()
    times = []
    for product in products(5, triples=triples, seed=2):
        text = "@base <http://localhost/id/> .\n" + product.turtle.decode()
        start = time.perf_counter()
        pyshacl.validate(text, shacl_graph=shapes, data_graph_format="turtle", shacl_graph_format="turtle")
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def judged(catalog: Catalog, count: int) -> float:
    """Seconds until every product stands as the rules in force have it."""
    start = time.perf_counter()
    while catalog.judge.progress(catalog.registry.live()).done < count:
        time.sleep(0.25)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--triples", type=int, default=50)
    options = parser.parse_args()
    count = options.products
    one = plain(options.triples)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.read({"data": str(Path(folder) / "mesh")}, environment={})
        start = time.perf_counter()
        fill(settings, count, options.triples)
        print(f"journal of {count:,} products written in {time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        catalog = Catalog.open(settings)
        before = memory()
        print(f"opened in {time.perf_counter() - start:.1f} s, {before:.0f} MB")
        took = judged(catalog, count)
        ratio = one * count / took
        print(f"judged in {took:.1f} s, {count / took:,.0f} a second, {ratio:.0f}x of pyshacl.validate(text, text)")
        print(f"memory grew by {memory() - before:.0f} MB")
        reads(catalog)
        changed(catalog, count)
        catalog.close()


def reads(catalog: Catalog) -> None:
    for subject in (STEWARD, ANALYST):
        for attempt in ("first", "again"):
            with catalog.view(subject, channel="http") as view:
                start = time.perf_counter()
                found = view.search(
                    None, types=None, filter=None, order=SearchOrder.LABEL, langs=None, page=PageRequest()
                )
                found.facets([FacetField.CONFORMS, FacetField.FAIR_BAND], 5)
                facets = time.perf_counter() - start
                start = time.perf_counter()
                shown = overview(view, catalog, None, None)
                took = time.perf_counter() - start
                start = time.perf_counter()
                overview(view, catalog, None, NOW)
                then = time.perf_counter() - start
                start = time.perf_counter()
                trend(view, catalog, None, None, 12)
                points = time.perf_counter() - start
            print(
                f"{subject.id}, {attempt}: two facets {facets * 1e3:.0f} ms, overview of {shown.products:,} products"
                f" {took * 1e3:.0f} ms, of a past moment {then * 1e3:.0f} ms, a trend of 12 {points * 1e3:.0f} ms"
            )


def changed(catalog: Catalog, count: int) -> None:
    """Impact of a rule that a fifth of the products breaks, and then publishing it."""
    found = read_rules()
    bad = found.examples["core/examples/ok-05-eighty.ttl"]
    examples = {
        "org/bench/examples/ok-uses.ttl": bad,
        "org/bench/examples/bad-uses-demand.ttl": bad.replace(b'"Flood warning"@en', b'"Demand planning"@en'),
    }
    files = {**found.files, **found.examples, "org/bench/shapes.ttl": RULE, **examples}
    start = time.perf_counter()
    impact = rule_impact(catalog, STEWARD, files, catalog.access, channel="http")
    took = time.perf_counter() - start
    print(
        f"impact of one rule on {impact.products:,} products: {took:.1f} s, {len(impact.newly_failing):,} newly failing"
    )
    idle = list(written(catalog, "idle"))
    start = time.perf_counter()
    catalog.rule_publishing.publish(STEWARD, files, catalog.access, channel="http")
    print(f"published in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    busy = list(written(catalog, "busy"))
    judged(catalog, count)
    print(f"all judged again in {time.perf_counter() - start:.1f} s")
    for name, times in (("idle", idle), ("meanwhile", busy)):
        print(
            f"a registration, {name}: median {statistics.median(times) * 1e3:.0f} ms, slowest {max(times) * 1e3:.0f} ms"
        )
    print(f"ratio of the medians {statistics.median(busy) / statistics.median(idle):.1f}")


if __name__ == "__main__":
    main()
