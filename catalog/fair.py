"""How FAIR the metadata of one product is, by the 41 indicators of the RDA FAIR Data Maturity Model (rda00050, 2020).

Each indicator rests on one basis:

- `PRODUCT` (16): computed on the product's visible statements.
- `PLATFORM` (10): met by fairmesh for every product, and tested on fairmesh itself.
- `DECLARED` (15): about the data, and never assessed, so `passed` is None. Twelve of these a product can declare, but
  nobody here can verify. Three no product can declare, for they need the data itself or the network: the published
  model has no basis of its own for them; their evidence begins with `NEVER` and they have no `fix`.

The score counts `PRODUCT` indicators alone. It is their weighted share that passed, with the weights of `WEIGHTS` by
priority: 3 essential, 2 important, 1 useful. F, A, I and R are the same share among their own indicators. A score is
between 0 and 1, with four decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fairmesh.catalog import fairchecks
from fairmesh.catalog.fairchecks import Facts, Found, Register, Vocabulary
from fairmesh.catalog.rdf import Triple

__all__ = [
    "BANDS", "CRITERIA", "PRODUCT_WEIGHT", "WEIGHTS", "Assessment", "Basis", "Criterion", "Indicator", "Register",
    "Scores", "Vocabulary", "assess", "fair_band", "score", "unassessed",
]  # fmt: skip


class Basis(StrEnum):
    """What a value of `Indicator.passed` rests on."""

    PRODUCT = "PRODUCT"
    PLATFORM = "PLATFORM"
    DECLARED = "DECLARED"


WEIGHTS: Mapping[str, int] = {"Essential": 3, "Important": 2, "Useful": 1}
"""What an indicator weighs in the scores, by the priority the model gives it."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator as it holds for one product.

    `passed` is None when it was not assessed. `evidence` says what was looked at and found; `fix` what to do about it,
    None when there is nothing to do.
    """

    code: str
    title: str
    priority: str
    passed: bool | None
    basis: Basis
    evidence: str
    fix: str | None


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares between 0 and 1."""

    score: float
    findable: float
    accessible: float
    interoperable: float
    reusable: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """`at` is when it was made; `indicators` are all 41, in the order of the model."""

    score: float
    findable: float
    accessible: float
    interoperable: float
    reusable: float
    at: datetime
    indicators: tuple[Indicator, ...]

    def failing(self) -> list[Indicator]:
        """What would raise the score: the product's failing indicators, heaviest first, then in the model's order."""
        found = [it for it in self.indicators if it.basis is Basis.PRODUCT and not it.passed]
        return sorted(found, key=lambda it: -WEIGHTS[it.priority])


def assess(
    statements: Iterable[Triple], *, product: str, iri_base: str, register: Register, at: datetime
) -> Assessment:
    """Assess the document that `statements` are: those of the product `product` that the reader may see.

    A pure function: no other product, no network, no order and no name of a blank node plays a part. Dates are judged
    as of `at`, with a day to spare.
    """
    facts = Facts(statements, product, iri_base, register, at)
    indicators = tuple(_indicator(criterion, facts) for criterion in CRITERIA)
    scores = _scores({it.code for it in indicators if it.passed and it.basis is Basis.PRODUCT})
    return Assessment(
        scores.score, scores.findable, scores.accessible, scores.interoperable, scores.reusable, at, indicators
    )


def unassessed(why: str, *, at: datetime) -> Assessment:
    """All indicators with `passed` None and `why` as evidence: its scores of 0 say nothing."""
    indicators = tuple(
        Indicator(it.code, it.title, it.priority, None, it.basis, f"not assessed: {why}", None) for it in CRITERIA
    )
    return Assessment(0.0, 0.0, 0.0, 0.0, 0.0, at, indicators)


def score(statements: Iterable[Triple], *, product: str, iri_base: str, register: Register, at: datetime) -> Scores:
    """The scores that `assess` gives, without telling why: for many products at once."""
    facts = Facts(statements, product, iri_base, register, at, explained=False)
    return _scores({code for code, check in _CHECKS if not check(facts).lacks})


BANDS = ("0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0")


def fair_band(score: float) -> str:
    """The band of `BANDS` that a score falls into. A mark between two bands belongs to the upper one."""
    return BANDS[next(n for n, mark in enumerate((0.2, 0.4, 0.6, 0.8, 2.0)) if score < mark)]


# -- the table ------------------------------------------------------------------------------------------------------


def _indicator(criterion: Criterion, facts: Facts) -> Indicator:
    passed, evidence, fix = criterion.look(facts)
    return Indicator(
        criterion.code, criterion.title, criterion.priority, passed, criterion.basis, evidence, fix
    )  # fmt: skip


_Look = Callable[[Facts], tuple[bool | None, str, str | None]]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One row of the model: what every assessment says of the indicator, and how it is looked at.

    `looks_at` and `remedy` are the words of docs/fair.md.
    """

    code: str
    title: str
    priority: str
    basis: Basis
    looks_at: str
    remedy: str
    look: _Look


_SHOWN, _LONGEST = 8, 200


NEVER = "never assessed, and nothing a product can declare: "
"""How the evidence begins of an indicator that needs the data itself or the network."""


def _list(names: Iterable[str]) -> str:
    found = sorted(set(names))
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(name if len(name) <= _LONGEST else name[:_LONGEST] + "..." for name in found[:_SHOWN]) + more


_CHECKS: list[tuple[str, Callable[[Facts], Found]]] = []


def _on_product(
    code: str, priority: str, title: str, check: Callable[[Facts], Found], looks_at: str,
    remedy: str | Mapping[str, str],
) -> Criterion:  # fmt: skip
    """`remedy` by what the check may find lacking, where each has one of its own."""
    parts = {} if isinstance(remedy, str) else remedy
    whole = remedy if isinstance(remedy, str) else f"State what is lacking: {'; '.join(parts.values())}"

    def look(facts: Facts) -> tuple[bool, str, str | None]:
        found = check(facts)
        has, lacks = f"has {_list(found.has)}", f"lacks {_list(found.lacks)}"
        if not found.lacks:
            return True, has, None
        asked = [part for what, part in parts.items() if any(lack.startswith(what) for lack in found.lacks)]
        return False, f"{has}; {lacks}" if found.has else lacks, f"State {'; '.join(asked)}" if asked else whole

    _CHECKS.append((code, check))
    return Criterion(code, title, priority, Basis.PRODUCT, looks_at, whole, look)


def _on_platform(code: str, priority: str, title: str, evidence: str) -> Criterion:
    def look(_: Facts) -> tuple[bool, str, None]:
        return True, evidence, None

    return Criterion(code, title, priority, Basis.PLATFORM, evidence, "", look)


def _declared(
    code: str, priority: str, title: str, find: Callable[[Facts], list[str]], looks_at: str, remedy: str
) -> Criterion:
    def look(facts: Facts) -> tuple[None, str, str | None]:
        found = find(facts)
        if not found:
            return None, "not assessed: nothing is declared", remedy
        return None, f"not assessed: declared is {_list(found)}; nobody verified it here", None

    return Criterion(code, title, priority, Basis.DECLARED, looks_at, remedy, look)


def _never(code: str, priority: str, title: str, why: str) -> Criterion:
    def look(_: Facts) -> tuple[None, str, None]:
        return None, NEVER + why, None

    return Criterion(code, title, priority, Basis.DECLARED, why, "", look)


_BASE = "Set iri_base (FAIRMESH_IRI_BASE) to an https address under a domain you keep, before the mesh is first used"


def _persistent_name(facts: Facts) -> tuple[bool, str, str | None]:
    if not facts.product.startswith(facts.iri_base):
        passed, where = fairchecks.persistent(facts.product), "the product's own IRI"
    else:
        passed, where = fairchecks.persistent(facts.iri_base), "the mesh's base"
    if passed:
        return True, f"{where} is an http or https IRI under a registered host", None
    return False, f"{where} is not an http or https IRI under a registered host", _BASE


_E, _I, _U = WEIGHTS

CRITERIA: tuple[Criterion, ...] = (
    Criterion(
        "RDA-F1-01M", "The metadata has a persistent identifier", _E, Basis.PLATFORM,
        "iri_base (or the product's own IRI outside it) is http or https and its host is registered, not local", _BASE,
        _persistent_name,
    ),
    _declared(
        "RDA-F1-01D", _E, "The data has a persistent identifier", fairchecks.declared_identifiers,
        "IRIs of output datasets, dct:identifier", "Give each output dataset an IRI",
    ),
    _on_platform(
        "RDA-F1-02M", _E, "The metadata has a globally unique identifier",
        "one product, one IRI: a second product under the same IRI is refused",
    ),
    _declared(
        "RDA-F1-02D", _E, "The data has a globally unique identifier", fairchecks.dataset_iris,
        "IRIs of output datasets", "Give each output dataset an IRI",
    ),
    _on_product(
        "RDA-F2-01M", _E, "The metadata is rich enough to find the data", fairchecks.rich,
        "dct:title, dct:description of 20 characters, dcat:keyword, dcat:theme or dct:subject, dprod:domain, an owner",
        {
            "title": "dct:title",
            "description": "dct:description",
            "keyword": "dcat:keyword (or dcat:theme, dct:subject)",
            "domain": "dprod:domain",
            "owner": "dprod:dataProductOwner",
        },
    ),
    _on_product(
        "RDA-F3-01M", _E, "The metadata names the identifier of the data", fairchecks.identifier,
        "dprod:outputDataset, each an IRI that refers to something, and no blank node",
        "Link each dataset on offer by its IRI with dprod:outputDataset",
    ),
    _on_platform(
        "RDA-F4-01M", _E, "The metadata can be harvested and indexed",
        "GET /products/{key} gives RDF to programs, and search finds the product",
    ),
    _on_product(
        "RDA-A1-01M", _I, "The metadata says how to get access to the data", fairchecks.access,
        "for each output dataset an address with a scheme that rule 17 knows, and a host: dcat:accessURL or"
        " dcat:downloadURL of a distribution, dcat:endpointURL of the service behind it or of a port that serves it"
        " (dcat:servesDataset; a port that names none serves all); else access rights (dct:accessRights, dct:rights,"
        " odrl:hasPolicy) and dcat:contactPoint",
        "Give each output dataset a distribution with dcat:accessURL or dcat:accessService, or say dct:accessRights and"
        " dcat:contactPoint",
    ),
    _on_platform(
        "RDA-A1-02M", _E, "A person can get the metadata",
        "fairmesh show, and GET /products/{key} in any browser",
    ),
    _declared(
        "RDA-A1-02D", _E, "A person can get the data", fairchecks.declared_pages,
        "dcat:landingPage, foaf:page", "Name a page for people with dcat:landingPage",
    ),
    _on_platform(
        "RDA-A1-03M", _E, "The identifier of the metadata resolves to it",
        "GET of the product's IRI leads to its document by 303",
    ),
    _never(
        "RDA-A1-03D", _E, "The identifier of the data resolves to the data",
        "it takes the network to see what the identifier of the data resolves to",
    ),
    _on_platform(
        "RDA-A1-04M", _E, "The metadata is got by a standard protocol", "HTTP/1.1 (RFC 9110) with content negotiation",
    ),
    _declared(
        "RDA-A1-04D", _E, "The data is got by a standard protocol", fairchecks.declared_protocols,
        "schemes of addresses, dprod:protocol or dct:conformsTo of ports",
        "Give each port dcat:endpointURL and dprod:protocol",
    ),
    _declared(
        "RDA-A1-05D", _I, "A program can get the data", fairchecks.declared_addresses,
        "addresses and endpoints", "Give each output dataset dcat:downloadURL, or a port with dcat:endpointURL",
    ),
    _on_platform(
        "RDA-A1.1-01M", _E, "The metadata is got by a free protocol",
        "HTTP: open, and free to implement; no client of ours is needed",
    ),
    _declared(
        "RDA-A1.1-01D", _I, "The data is got by a free protocol", fairchecks.declared_protocols,
        "schemes of addresses, dprod:protocol or dct:conformsTo of ports",
        "Give each port dcat:endpointURL and dprod:protocol",
    ),
    _declared(
        "RDA-A1.2-01D", _U, "The protocol of the data authenticates and authorises where it must",
        fairchecks.declared_restrictions, "dct:accessRights, dct:rights, odrl:hasPolicy, classification",
        "State dct:accessRights and the classification of each output dataset",
    ),
    _on_platform(
        "RDA-A2-01M", _E, "The metadata outlives the data",
        "a retired product answers 410 with who and when, and its revisions stay in the journal",
    ),
    _on_platform(
        "RDA-I1-01M", _I, "The metadata is expressed in a standard format",
        "RDF 1.1 as Turtle, JSON-LD, RDF/XML or N-Triples",
    ),
    _declared(
        "RDA-I1-01D", _I, "The data is expressed in a standard format", fairchecks.declared_formats,
        "dcat:mediaType, dct:format", "State dcat:mediaType or dct:format on each distribution",
    ),
    _on_platform(
        "RDA-I1-02M", _I, "Machines understand how the metadata is expressed",
        "every statement is RDF with terms that /ns describes; the same graph comes back in every format",
    ),
    _declared(
        "RDA-I1-02D", _I, "Machines understand how the data is expressed", fairchecks.declared_columns,
        "columns of csvw:Schema", "Describe the columns: dct:conformsTo a csvw:Schema with csvw:column",
    ),
    _on_product(
        "RDA-I2-01M", _I, "The metadata uses FAIR vocabularies", fairchecks.vocabularies,
        "predicates, types and values of code lists: their namespaces are in the register, resolve to RDF and have a"
        " licence",
        "Use terms of registered vocabularies (codes for dcat:theme, dct:format and the like too), or have the"
        " governance team register theirs: a voaf:Vocabulary with void:dataDump and cc:license in a vocabulary.ttl",
    ),
    _declared(
        "RDA-I2-01D", _U, "The data uses FAIR vocabularies", fairchecks.declared_terms,
        "dct:subject of columns", "Bind columns to glossary terms with dct:subject",
    ),
    _on_product(
        "RDA-I3-01M", _I, "The metadata refers to other metadata",
        fairchecks.metadata_links,
        "links other than domain and owner, to IRIs that refer to something: dct:subject, dcat:theme, dct:conformsTo,"
        " dcat:landingPage, rdfs:seeAlso and the like",
        "Link glossary terms with dct:subject, or categories with dcat:theme",
    ),
    _never(
        "RDA-I3-01D", _U, "The data refers to other data", "it takes the data to see what it refers to",
    ),
    _on_product(
        "RDA-I3-02M", _U, "The metadata refers to other data",
        fairchecks.data_links,
        "prov:wasDerivedFrom, dprod:inputDataset, dct:source, or any link to a dataset, to IRIs that refer to"
        " something",
        "Name what the data is derived from: prov:wasDerivedFrom or dprod:inputDataset",
    ),
    _never(
        "RDA-I3-02D", _U, "The data refers to other data and says how", "it takes the data to see what it refers to",
    ),
    _on_product(
        "RDA-I3-03M", _I, "The metadata refers to other metadata and says how",
        fairchecks.qualified_metadata_links,
        "the links of I3-01M other than dct:relation, dct:references and rdfs:seeAlso; these with dcat:hadRole",
        "Replace dct:relation and rdfs:seeAlso by a link that says more, such as dct:subject or dct:isVersionOf",
    ),
    _on_product(
        "RDA-I3-04M", _U, "The metadata refers to other data and says how",
        fairchecks.qualified_data_links,
        "the links of I3-02M other than dct:relation, dct:references and rdfs:seeAlso; these with dcat:hadRole",
        "Replace dct:relation and rdfs:seeAlso by a link that says more, such as prov:wasDerivedFrom",
    ),
    _on_product(
        "RDA-R1-01M", _E, "Many accurate and relevant attributes allow reuse", fairchecks.attributes,
        "purpose, one semantic version, status, contact; update frequency, coverage or quality; for each output dataset"
        " a description of 20 characters, classification, and columns or, for each distribution, the IRI of a format",
        {
            "purpose": "dprod:purpose",
            "version": "one dcat:version",
            "status": "dprod:lifecycleStatus",
            "contact": "dcat:contactPoint",
            "update frequency": "dct:accrualPeriodicity",
            "description": "dct:description of each output dataset",
            "classification": "dprod:informationSensitivityClassification of each output dataset",
            "columns": "dct:conformsTo of each output dataset, with columns (or dcat:mediaType of its distributions)",
        },
    ),
    _on_product(
        "RDA-R1.1-01M", _E, "The metadata says under which licence the data may be reused",
        fairchecks.licence,
        "dct:license, odrl:hasPolicy or dct:rights on the product, or on each output dataset or its distributions; an"
        " address at spdx.org only with an id of the SPDX list",
        "Add dct:license with the IRI of a licence; if it is one at spdx.org, with an id of the SPDX list",
    ),
    _on_product(
        "RDA-R1.1-02M", _I, "The licence is a standard one", fairchecks.standard_licence,
        "a licence that is known everywhere, by an address that rule 15 knows (at spdx.org and opensource.org with"
        " an id of the SPDX list), or terms of use (odrl:Policy) that a vocabulary of the mesh describes",
        "Name a standard licence with dct:license, such as <https://creativecommons.org/licenses/by/4.0/>, or have the"
        " terms described as an odrl:Policy in a vocabulary.ttl",
    ),
    _on_product(
        "RDA-R1.1-03M", _I, "Machines understand the licence", fairchecks.machine_licence,
        "a licence that is published as RDF too, or terms of use with odrl:permission, odrl:prohibition or"
        " odrl:obligation",
        "Name with dct:license one that is published as RDF, such as Creative Commons, or say the terms with"
        " odrl:permission",
    ),
    _on_product(
        "RDA-R1.2-01M", _I, "The provenance is told the way the community tells it", fairchecks.provenance,
        "who (owner, publisher or creator), when (dct:issued, dct:modified or prov:generatedAtTime, all of them"
        " dates that rule 26 lets pass), and from what (dprod:inputDataset, dprod:inputPort, dct:source,"
        " dct:provenance; of PROV-O prov:wasDerivedFrom, prov:wasGeneratedBy and the like)",
        {
            "who": "dprod:dataProductOwner",
            "when": "dct:issued as an xsd:date",
            "from what": "dprod:inputDataset or dct:provenance",
        },
    ),
    _on_product(
        "RDA-R1.2-02M", _U, "The provenance is told in a language across communities", fairchecks.cross_provenance,
        "any statement with a predicate of PROV-O and a value that says something", "Name sources with"
        " prov:wasDerivedFrom, or the job with prov:wasGeneratedBy",
    ),
    _on_product(
        "RDA-R1.3-01M", _E, "The metadata follows a standard of the community", fairchecks.structure,
        "the structure of DPROD and DCAT: product, output datasets, distributions and ports have their types",
        "State rdf:type of the parts: dprod:DataProduct, dcat:Dataset, dcat:Distribution, dcat:DataService",
    ),
    _declared(
        "RDA-R1.3-01D", _E, "The data follows a standard of the community", fairchecks.declared_standards,
        "dct:conformsTo of output datasets, their own schemas aside",
        "Name the standard the data follows with dct:conformsTo on the dataset",
    ),
    _on_product(
        "RDA-R1.3-02M", _E, "The metadata follows a standard that machines understand", fairchecks.stated_standard,
        "dct:conformsTo of the product, or of the catalog record about it, names a registered standard",
        "Add dct:conformsTo <https://ekgf.github.io/dprod/> to the product",
    ),
    _declared(
        "RDA-R1.3-02D", _I, "The data follows a standard that machines understand", fairchecks.declared_formats,
        "dcat:mediaType, dct:format", "State dcat:mediaType or dct:format on each distribution",
    ),
)  # fmt: skip
"""The 41 indicators, in the order of the model."""


def _weighed(letter: str) -> tuple[list[tuple[str, int]], int]:
    rows = [
        (it.code, WEIGHTS[it.priority])
        for it in CRITERIA
        if it.basis is Basis.PRODUCT and it.code.startswith("RDA-" + letter)
    ]
    return rows, sum(weight for _, weight in rows)


_WEIGHED = [_weighed(letter) for letter in "FAIR"]
"""Codes and weights of the indicators that count, and their sum, for each letter."""
PRODUCT_WEIGHT = sum(whole for _, whole in _WEIGHED)
"""What all indicators weigh together that count in the score."""


def _scores(passed: set[str]) -> Scores:
    parts = [(sum(weight for code, weight in rows if code in passed), whole) for rows, whole in _WEIGHED]
    findable, accessible, interoperable, reusable = (round(part / of, 4) for part, of in parts)
    return Scores(
        round(sum(part for part, _ in parts) / PRODUCT_WEIGHT, 4), findable, accessible, interoperable, reusable
    )
