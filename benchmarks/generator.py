"""A mesh for benchmarks: believable product documents, the same for the same seed.

python benchmarks/generator.py 1000 --triples 50 --seed 1 --out FOLDER
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PREFIXES = """@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix prov: <http://www.w3.org/ns/prov#> .
@prefix csvw: <http://www.w3.org/ns/csvw#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix vcard: <http://www.w3.org/2006/vcard/ns#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
"""

DOMAINS = ("retail", "treasury", "logistics", "customer", "product", "people", "risk", "marketing", "support", "energy")
THINGS = (
    "order", "invoice", "payment", "shipment", "return", "customer", "contract", "campaign", "ticket", "employee",
    "meter", "price", "supplier", "warehouse", "session", "claim", "forecast", "budget", "visit", "subscription",
)  # fmt: skip
SHAPES = ("events", "daily", "snapshot", "history", "summary", "master", "changes", "scores", "balances", "lines")
MARKETS = ("north", "south", "east", "west", "online", "stores", "partners", "wholesale")
GRAINS = ("event", "day", "customer", "region", "order line", "month", "contract", "store")
USES = ("Demand planning", "Revenue analysis", "Service levels", "Regulatory reporting", "Churn prevention")
COLUMNS = {
    "id": "xsd:string", "amount": "xsd:decimal", "currency": "xsd:string", "created_at": "xsd:dateTime",
    "quantity": "xsd:integer", "region": "xsd:string", "status": "xsd:string", "valid_from": "xsd:date",
    "valid_to": "xsd:date", "channel": "xsd:string", "score": "xsd:double", "is_active": "xsd:boolean",
}  # fmt: skip

TRIPLES_PER_COLUMN = 6
TRIPLES_WITHOUT_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class Product:
    """A document with relative IRIs; each lineage statement has a line of its own."""

    key: str
    turtle: bytes


def products(count: int, *, triples: int, seed: int) -> Iterator[Product]:
    """`count` products of about `triples` statements each, all of which conform to the core rules.

    Products read up to three earlier ones, as far as those are of this run: the lineage has no circles.
    """
    chance = random.Random(f"{seed}/{triples}")
    columns = max(1, round((triples - TRIPLES_WITHOUT_COLUMNS) / TRIPLES_PER_COLUMN))
    keys: list[str] = []
    for number in range(count):
        key = _key(number, chance)
        sources = chance.sample(keys[-400:], min(len(keys), chance.choice((0, 1, 1, 2, 3))))
        yield Product(key, _document(key, sources, columns, chance).encode())
        keys.append(key)


def _key(number: int, chance: random.Random) -> str:
    name = f"{chance.choice(THINGS)}-{chance.choice(SHAPES)}-{chance.choice(MARKETS)}-{number}"
    return f"{chance.choice(DOMAINS)}.{name}"


def _document(key: str, sources: list[str], columns: int, chance: random.Random) -> str:
    domain, name = key.split(".")
    thing, shape, market, _ = name.split("-")
    title = f"{thing.title()} {shape} {market}"
    grain, use, classification = chance.choice(GRAINS), chance.choice(USES), chance.choice(("public", "internal"))
    about = (
        f"Every {thing} of the {market} market as {shape}, one row per {grain}, kept by the {domain} team since 2019; "
        "corrections arrive within two days."
    )
    names = _column_names(columns, chance)
    head = f"""{PREFIXES}
<{key}> a dprod:DataProduct ; dct:identifier "{key}" ; dct:title "{title}"@en ;
  dct:description "{about}"@en ;
  dcat:version "{chance.randrange(1, 5)}.{chance.randrange(10)}.0" ; dprod:purpose "{use}"@en ;
  dprod:lifecycleStatus <https://w3id.org/fairmesh/status/{chance.choice(("build", "deploy", "consume"))}> ;
  dprod:domain <domain/{domain}> ; dprod:dataProductOwner <team/{domain}> ; dcat:contactPoint <contact/{domain}> ;
  dct:license <https://creativecommons.org/licenses/by/4.0/> ; dct:subject <term/{thing}> ;
  dprod:outputDataset <{key}/data> ; dprod:outputPort <{key}/sql> .
<{key}/data> a dcat:Dataset ; dct:title "{title}"@en ; dct:description "One row per {grain}, without gaps."@en ;
  dprod:informationSensitivityClassification <https://w3id.org/fairmesh/classification/{classification}> ;
  dct:conformsTo <{key}/data/schema> ; dcat:distribution <{key}/table> .
<{key}/table> a dcat:Distribution ; dct:title "Table"@en ; dcat:accessService <{key}/sql> ;
  dcat:mediaType <https://www.iana.org/assignments/media-types/application/vnd.apache.parquet> .
<{key}/sql> a dcat:DataService ; dct:title "SQL"@en ; dcat:endpointURL <https://warehouse.example.org/{domain}/{name}> .
<team/{domain}> a foaf:Agent ; foaf:name "{domain.title()} data team" .
<contact/{domain}> a vcard:Kind ; vcard:fn "{domain.title()} data team" ; vcard:hasEmail <mailto:{domain}@example.org> .
<domain/{domain}> a skos:Concept ; skos:prefLabel "{domain.title()}"@en .
<term/{thing}> a skos:Concept ; skos:prefLabel "{thing.title()}"@en .
<{key}/data/schema> a csvw:Schema , dct:Standard .
"""
    lines = [head]
    lines += [f"<{key}/data> prov:wasDerivedFrom <{source}/data> ." for source in sources]
    for position, (column, datatype) in enumerate(names, 1):
        lines.append(
            f"<{key}/data/schema> csvw:column <{key}/data/column/{column}> .\n"
            f'<{key}/data/column/{column}> a csvw:Column ; csvw:name "{column}" ; csvw:datatype {datatype} ;\n'
            f'  fm:position {position} ; dct:description "The {column.replace("_", " ")} of the {thing}."@en .'
        )
    return "\n".join(lines)


def _column_names(count: int, chance: random.Random) -> list[tuple[str, str]]:
    known = list(COLUMNS.items())
    chance.shuffle(known)
    rounds = range(1, count // len(known) + 2)
    return [(name if turn == 1 else f"{name}_{turn}", datatype) for turn in rounds for name, datatype in known][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--triples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for one .ttl file per product")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for product in products(options.count, triples=options.triples, seed=options.seed):
        (options.out / f"{product.key}.ttl").write_bytes(product.turtle)


if __name__ == "__main__":
    main()
