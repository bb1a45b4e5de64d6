"""Validating one product: the engine, warm, beside plain `pyshacl.validate(text, text)`; prints times and ratios.

    python benchmarks/validation.py [--rounds N]

The plain side gets the same Turtle and the same shapes as text. Rounds are interleaved and medians are shown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pyshacl

from fairmesh.catalog import document, rdf
from fairmesh.catalog.governance import RuleSet, Validator, validate

BASE = "http://localhost/id/"
NOW = datetime.now(UTC)


def product(columns: int) -> str:
    """A finding-free product document with that many columns, as Turtle with absolute IRIs."""
    prefixes = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in rdf.PREFIXES.items())
    names = [f"column_{n}" for n in range(columns)]
    cells = "".join(
        f"<sales.orders/data/column/{name}> a csvw:Column ; fm:position {n} ; csvw:name '{name}' ;\n"
        f"  csvw:datatype xsd:string ; dct:description 'What {name} holds in each row.'@en .\n"
        for n, name in enumerate(names, 1)
    )
    links = ", ".join(f"<sales.orders/data/column/{name}>" for name in names)
    return (
        f"@base <{BASE}> .\n{prefixes}"
        f"""
<sales.orders> a dprod:DataProduct ; dct:identifier "sales.orders" ; dct:title "Orders"@en ;
  dct:description "Confirmed customer orders, one row per order line, from checkout to invoice."@en ;
  dcat:version "2.1.0" ; dct:issued "2025-03-01"^^xsd:date ; dct:modified "2026-09-14"^^xsd:date ;
  dprod:purpose "Revenue analysis"@en ; dprod:lifecycleStatus <https://w3id.org/fairmesh/status/consume> ;
  dprod:domain <domain/sales> ; dprod:dataProductOwner <team/sales> ; dcat:contactPoint <contact/sales> ;
  dct:license <https://creativecommons.org/licenses/by/4.0/> ; dct:subject <term/order> ;
  dprod:outputDataset <sales.orders/data> ; dprod:outputPort <sales.orders/sql> .
<sales.orders/data> a dcat:Dataset ; dct:title "Orders"@en ; dct:description "One row per confirmed order line."@en ;
  dprod:informationSensitivityClassification <https://w3id.org/fairmesh/classification/internal> ;
  dct:conformsTo <sales.orders/data/schema> ; dcat:distribution <sales.orders/table> .
<sales.orders/data/schema> a csvw:Schema, dct:Standard ; csvw:column {links} .
{cells}
<sales.orders/table> a dcat:Distribution ; dct:title "Table"@en ; dcat:accessService <sales.orders/sql> ;
  dcat:mediaType <https://www.iana.org/assignments/media-types/application/vnd.apache.parquet> .
<sales.orders/sql> a dcat:DataService ; dct:title "SQL"@en ; dcat:endpointURL <https://warehouse.example.org/orders> .
<team/sales> a prov:Agent ; foaf:name "Sales data team" .
<contact/sales> a vcard:Kind ; vcard:fn "Sales" ; vcard:hasEmail <mailto:sales@example.org> .
<domain/sales> a skos:Concept ; skos:prefLabel "Sales"@en .
<term/order> a skos:Concept ; skos:prefLabel "Order"@en .
"""
    )


def medians(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Median milliseconds of each call, run in turn."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for times, call in zip(taken, calls, strict=True):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1000)
    return [statistics.median(times) for times in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    rules = RuleSet.load()
    shapes = b"\n".join(data for name, data in rules.files.items() if name.startswith("core/shapes")).decode()
    vocabulary = rules.files.get("core/vocabulary.ttl", b"").decode()
    validator = Validator(rules, 1)
    validator.start()
    print(f"{'triples':>8} {'plain ms':>9} {'warm ms':>8} {'in worker ms':>13} {'ratio':>6}")
    for columns in (1, 4, 30):
        text = product(columns)
        read = document.read(text.encode(), rdf.TURTLE, BASE)
        places = {"product": read.product, "domain": "sales", "own": read.own, "iri_base": BASE, "now": NOW}

        def plain(text: str = text) -> object:
            return pyshacl.validate(text, shacl_graph=shapes, ont_graph=vocabulary, data_graph_format="turtle",
                                    shacl_graph_format="turtle", ont_graph_format="turtle")  # fmt: skip

        def warm(read: document.ProductDocument = read, places: dict[str, object] = places) -> object:
            return validate(rules, read.nquads, b"", **places)  # type: ignore[arg-type]

        def worker(read: document.ProductDocument = read, places: dict[str, object] = places) -> object:
            return validator.validate(read.nquads, b"", **places)  # type: ignore[arg-type]

        warm()
        worker()
        a, b, c = medians(rounds, plain, warm, worker)
        print(f"{read.nquads.count(10):>8} {a:>9.1f} {b:>8.1f} {c:>13.1f} {a / b:>5.1f}x")
    validator.close()


if __name__ == "__main__":
    main()
