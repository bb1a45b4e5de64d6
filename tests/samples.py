"""Small product documents for tests, and a shorthand to register them."""

from __future__ import annotations

from collections.abc import Sequence

from fairmesh.catalog import Catalog
from fairmesh.catalog.model import Outcome, Subject, Submission

BASE = "http://localhost/id/"
PREFIXES = """
@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix prov: <http://www.w3.org/ns/prov#> .
@prefix csvw: <http://www.w3.org/ns/csvw#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
@prefix c: <https://w3id.org/fairmesh/classification/> .
@prefix s: <https://w3id.org/fairmesh/status/> .
"""

STEWARD = Subject("steward", "service", roles=("steward",), clearance="restricted")
ANALYST = Subject("analyst", "user", roles=("analyst",), clearance="internal")


def producer(*domains: str) -> Subject:
    return Subject("producer", "service", roles=("producer",), domains=domains, clearance="internal")


def product(
    key: str,
    *,
    title: str | None = None,
    classification: str = "internal",
    status: str = "build",
    sources: Sequence[str] = (),
    columns: Sequence[str] = ("id",),
    masked: Sequence[str] = (),
    extra: str = "",
    owner: str | None = None,
    term: str | None = None,
    version: str = "1.0.0",
) -> bytes:
    """A document that conforms. `sources` are relative IRIs of datasets; `masked` columns are restricted."""
    domain, name = key.split(".", 1)
    title = title or name.replace("-", " ").title()
    owner = owner or domain
    lines = [
        PREFIXES,
        f'<{key}> a dprod:DataProduct ; dct:identifier "{key}" ; dct:title "{title}"@en ;',
        f'  dct:description "Everything known about {name}, one row for each, kept by the {domain} team."@en ;',
        f'  dcat:version "{version}" ; dprod:purpose "Testing"@en ; dprod:domain <domain/{domain}> ;',
        f"  dprod:dataProductOwner <team/{owner}> ; dprod:lifecycleStatus s:{status} ;",
        "  dct:license <https://creativecommons.org/licenses/by/4.0/> ;",
        f"  dprod:outputDataset <{key}/data> .",
        f'<team/{owner}> a foaf:Agent ; foaf:name "{owner.title()} team" .',
        f'<domain/{domain}> a skos:Concept ; skos:prefLabel "{domain.title()}"@en .',
        f'<{key}/data> a dcat:Dataset ; dct:title "{title} data"@en ;',
        f'  dct:description "One row for each {name}, without gaps."@en ;',
        f"  dprod:informationSensitivityClassification c:{classification} ; dct:conformsTo <{key}/data/schema> .",
        f"<{key}/data/schema> a csvw:Schema .",
    ]
    lines += [f"<{key}/data> prov:wasDerivedFrom <{source}> ." for source in sources]
    for column in (*columns, *masked):
        lines += [
            f"<{key}/data/schema> csvw:column <{key}/data/column/{column}> .",
            f'<{key}/data/column/{column}> a csvw:Column ; csvw:name "{column}" ; csvw:datatype xsd:string ;',
            f'  dct:description "The {column} of the row."@en .',
        ]
    lines += [f"<{key}/data/column/{column}> fm:classification c:restricted ." for column in masked]
    if term:
        lines.append(f'<{key}> dct:subject <term/{term}> . <term/{term}> a skos:Concept ; skos:prefLabel "{term}"@en .')
    return "\n".join([*lines, extra]).encode()


def register(catalog: Catalog, *documents: bytes, subject: Subject | None = None) -> list[Outcome]:
    """Register as a producer of every domain named, and insist that all were accepted."""
    outcomes = catalog.register(subject or producer(*DOMAINS), [Submission(d) for d in documents], channel="http")
    assert [o.error for o in outcomes] == [None] * len(documents), [str(o.error) for o in outcomes]
    return outcomes


DOMAINS = ("sales", "finance", "people", "ops", "web")
