"""Where mutants come from: our profile with its examples, DCAT-AP with real catalogues, W3C's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from agreement.judges import Rules
from agreement.suites import cases, read, relabelled
from fairmesh.catalog import computed, document, rdf
from fairmesh.catalog.rdf import PREFIXES, NamedNode, Triple
from fairmesh.catalog.triples import Index

ROOT = Path(__file__).parent.parent.parent
SH, SUBCLASS = PREFIXES["sh"], PREFIXES["rdfs"] + "subClassOf"
BASE = "http://localhost/id/"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
ONTOLOGIES = ROOT / "ontologies"

Complete = Callable[[Sequence[Triple]], list[Triple]]


@dataclass(frozen=True)
class Seed:
    """Rules and data that fit each other.

    `complete` adds what the platform computes about data before rules run. `mutable` are the rules to make mutants of,
    where all of them would take too long to prepare for each mutant.
    """

    name: str
    rules: Rules
    data: Sequence[Triple]
    complete: Complete = list
    mutable: Rules | None = None


# -- our profile ------------------------------------------------------------------------------------------------------


@cache
def profile_rules(domain: str) -> Rules:
    """Core rules and, where a domain is named, its own."""
    folders = [ONTOLOGIES / "core", *([ONTOLOGIES / "domains" / domain] if domain else [])]
    shapes, vocabulary = (
        [t for folder in folders for t in read(folder / name)] for name in ("shapes.ttl", "vocabulary.ttl")
    )
    return Rules(shapes, vocabulary, computed.PREDICATES)


def profile() -> Iterator[Seed]:
    """Every example of every rule, and the demo's documents."""
    for file in sorted((ONTOLOGIES / "core" / "examples").glob("*.ttl")):
        yield _product(file, "")
    for file in sorted(ONTOLOGIES.glob("domains/*/examples/*.ttl")):
        yield _product(file, file.parent.parent.name)
    for file in sorted((ROOT / "api" / "demo").rglob("*.ttl")):
        yield _product(file, "")


def _product(file: Path, domain: str) -> Seed:
    return product_seed(file.relative_to(ROOT).as_posix(), file.read_bytes(), domain)


def product_seed(name: str, turtle: bytes, domain: str = "") -> Seed:
    """A product document as the platform validates it: without class axioms of its own, with what is computed."""
    product = document.read(turtle, rdf.TURTLE, BASE)

    def complete(data: Sequence[Triple]) -> list[Triple]:
        stated = [
            t for t in data if t.predicate.value != SUBCLASS and not t.predicate.value.startswith(computed.PREFIX)
        ]
        facts = computed.Facts(Index(stated), NamedNode(product.product), product.own, BASE, NOW)
        return list(dict.fromkeys([*stated, *(statement.triple for statement in computed.compute(facts))]))

    return Seed(name, profile_rules(domain), relabelled(rdf.load(product.nquads)), complete)


# -- DCAT-AP ----------------------------------------------------------------------------------------------------------


def usable(shapes: Sequence[Triple]) -> list[Triple]:
    """The shapes without links to property shapes that have no path: DCAT-AP's published files have such."""
    paths = {triple.subject for triple in shapes if triple.predicate.value == SH + "path"}
    return [t for t in shapes if t.predicate.value != SH + "property" or t.object in paths]


NOT_TURTLE = ("all_datasets.ttl", "harvest_response_error.ttl")
"""Files among the real ones that are no Turtle, the second on purpose."""


def dcat_ap(shared: Path, *, largest: int = 250) -> list[Seed]:
    """DCAT-AP 3.0.1, constraints and ranges, on real catalogues of up to `largest` statements."""
    folder = shared / "conformance" / "dcat-ap-3.0.1" / "shacl"
    rules = Rules(usable([t for name in ("dcat-ap-SHACL.ttl", "ranges.ttl") for t in read(folder / name)]))
    data = shared / "data"
    files = sorted([*data.glob("fdk-no/src/test/resources/*.ttl"), *data.glob("idn-au/data/catalogues/*/*.ttl")])
    graphs = {f.relative_to(data).as_posix(): read(f) for f in files if f.name not in NOT_TURTLE}
    return [
        Seed(name, rules, graph, mutable=_targeted(rules, graph))
        for name, graph in graphs.items()
        if 5 < len(graph) <= largest
    ]


def _targeted(rules: Rules, data: Sequence[Triple]) -> Rules:
    """The shapes whose target class some of the data has, with their property shapes: small enough to mutate often."""
    index = Index(rules.shapes)
    types = {triple.object for triple in data if triple.predicate.value == PREFIXES["rdf"] + "type"}
    kept = {shape for shape, kind in index.pairs[SH + "targetClass"] if kind in types}
    kept |= {inner for shape, inner in index.pairs[SH + "property"] if shape in kept}
    return Rules([triple for triple in rules.shapes if triple.subject in kept])


# -- W3C --------------------------------------------------------------------------------------------------------------


def w3c(shared: Path, part: str = "core") -> list[Seed]:
    """The suite's cases that expect a report, each with its data as far as that is no test manifest."""
    manifest = shared / "conformance" / "shacl" / "tests" / part / "manifest.ttl"
    return [
        Seed(case.name, Rules(_without_manifest(case.shapes)), _without_manifest(case.data))
        for case in cases(manifest)
        if case.expected is not None
    ]


def _without_manifest(triples: Sequence[Triple]) -> list[Triple]:
    """The statements that no test manifest makes and that its entries do not lead to."""
    index = Index(triples)
    waiting = [s for s, o in index.pairs[PREFIXES["rdf"] + "type"] if o.value.endswith(("#Manifest", "#Validate"))]
    dropped = set(waiting)
    while waiting:
        for values in index.subjects.get(waiting.pop(), {}).values():
            new = [value for value in values if isinstance(value, rdf.BlankNode) and value not in dropped]
            dropped.update(new)
            waiting += new
    return [triple for triple in triples if triple.subject not in dropped]
