"""What the FAIR assessment finds in one product document: the checks behind its indicators, and the register they ask.

A check answers what of that which it looks for is there and what is not; it passes when nothing is lacking. A find
answers what a document declares about its data. Both are pure functions of the document and the register.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from fairmesh.catalog.document import (
    CSVW,
    DATA_PRODUCT,
    DATASET,
    DCAT,
    DCT,
    DPROD,
    DPROD_STATUS,
    EXTERNAL_DATASET,
    FOAF,
    PROV,
    RDFS,
    SENSITIVITY,
    TYPE,
)
from fairmesh.catalog.model import FM
from fairmesh.catalog.rdf import GENID, PREFIXES, Literal, Triple, compact


class Text(str):
    """A literal's text without space around it, to tell it from nodes: plain strings, IRIs and names of blank nodes."""

    __slots__ = ()


Said = dict[str, dict[str, list[str]]]
"""Values by subject and predicate."""


# -- the register -----------------------------------------------------------------------------------------------------

_VOID, _CC, _ODRL = "http://rdfs.org/ns/void#", "http://creativecommons.org/ns#", PREFIXES["odrl"]
VOCABULARY = "http://purl.org/vocommons/voaf#Vocabulary"
_POLICIES = frozenset(_ODRL + name for name in ("Policy", "Set", "Offer", "Agreement"))
_TERMS_OF_USE = tuple(_ODRL + name for name in ("permission", "prohibition", "obligation"))


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An entry of the register. Terms belong to it that begin with `namespace`; `source` is where its RDF is got."""

    namespace: str
    label: str
    source: str | None
    licence: str | None

    @property
    def fair(self) -> bool:
        return self.source is not None and self.licence is not None


@dataclass(frozen=True, slots=True)
class Register:
    """What a mesh takes for FAIR: vocabularies by namespace, standards of metadata, and its own terms of use.

    `policies` says of each of these whether a machine can tell what it permits.
    """

    vocabularies: Mapping[str, Vocabulary]
    standards: frozenset[str]
    policies: Mapping[str, bool]

    @classmethod
    def of(cls, vocabulary: Iterable[Triple]) -> Register:
        """From the vocabulary statements of a rule set.

        A vocabulary is a `voaf:Vocabulary` whose IRI is its namespace, with `rdfs:label`, its source (where its RDF is
        got: `void:dataDump` or `void:sparqlEndpoint`) and `cc:license` or `dct:license`. A standard of metadata is a
        `dct:Standard` with a source.
        Terms of use are an `odrl:Policy`, `odrl:Set`, `odrl:Offer` or `odrl:Agreement`; `odrl:permission`,
        `odrl:prohibition` or `odrl:obligation` make them readable for machines.
        """
        said = _by_subject(vocabulary)
        found: dict[str, Vocabulary] = {}
        standards, policies = set(), {}
        for subject, facts in said.items():
            types = set(facts.get(TYPE, ()))
            source = _least(facts, _VOID + "dataDump", _VOID + "sparqlEndpoint")
            if VOCABULARY in types:
                label = _least(facts, RDFS + "label") or subject
                licence = _least(facts, _CC + "license", DCT + "license")
                found[subject] = Vocabulary(subject, label, source, licence)
            if DCT + "Standard" in types and source is not None:
                standards.add(subject)
            if types & _POLICIES:
                policies[subject] = any(predicate in facts for predicate in _TERMS_OF_USE)
        return cls(found, frozenset(standards), policies)

    def vocabulary_of(self, term: str) -> Vocabulary | None:
        """The entry with the longest namespace that a term, or a namespace, begins with."""
        found = self.vocabularies.get(_namespace(term))
        if found is not None:
            return found
        namespaces = [namespace for namespace in self.vocabularies if term.startswith(namespace)]
        return self.vocabularies[max(namespaces, key=len)] if namespaces else None


def _least(facts: Mapping[str, Sequence[str]], *predicates: str) -> str | None:
    return min((value for predicate in predicates for value in facts.get(predicate, ())), default=None)


def _by_subject(statements: Iterable[Triple]) -> Said:
    said: Said = {}
    for statement in statements:  # taken apart by name: unpacking takes twice as long
        subject, value = statement.subject, statement.object
        if isinstance(value, Triple) or isinstance(subject, Triple):
            continue  # RDF 1.2 triple terms: no parser of ours lets one through
        text = Text(value.value.strip()) if isinstance(value, Literal) else value.value
        said.setdefault(subject.value, {}).setdefault(statement.predicate.value, []).append(text)
    return said


# -- what a document says ---------------------------------------------------------------------------------------------

_ABOUT, _COLUMN, _ENDPOINT = FOAF + "primaryTopic", CSVW + "column", DCAT + "endpointURL"
_OWNERS = (DPROD + "dataProductOwner", DCT + "publisher", DCT + "creator")
_TOPICS = (DCAT + "keyword", DCAT + "theme", DCT + "subject")
_RIGHTS = (DCT + "accessRights", DCT + "rights", _ODRL + "hasPolicy")
_LICENCES = (DCT + "license", _ODRL + "hasPolicy")
_ADDRESSES, _SERVES = (DCAT + "downloadURL", DCAT + "accessURL"), DCAT + "servesDataset"
_ADDRESS = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*:\S+$|https?://[^\s/?#]\S*$", re.IGNORECASE)
"""An address, whether IRI or text: a scheme and what follows it, which for the web begins with a host."""
_FORMATS = (DCAT + "mediaType", DCT + "format")
_DATES = (DCT + "issued", DCT + "modified", PROV + "generatedAtTime")
_COVERAGE = (DCT + "accrualPeriodicity", DCT + "temporal", DCT + "spatial", PREFIXES["dqv"] + "hasQualityMeasurement")
_ORIGINS = (
    DPROD + "inputDataset", DPROD + "inputPort", DCT + "source", DCT + "provenance",
    *(PROV + name for name in (
        "wasDerivedFrom", "hadPrimarySource", "wasRevisionOf", "wasQuotedFrom", "wasGeneratedBy", "wasInfluencedBy",
        "qualifiedDerivation", "qualifiedPrimarySource", "qualifiedRevision", "qualifiedQuotation",
        "qualifiedGeneration", "qualifiedInfluence",
    )),
)  # fmt: skip
"""What data comes from. The rest of PROV-O says when, by whom, or more about one of these."""
_CODED = frozenset((
    DCAT + "theme", DCT + "format", DCT + "accrualPeriodicity", DCT + "language", DCT + "spatial", DPROD_STATUS,
    SENSITIVITY, FM + "classification",
))  # fmt: skip
"""Predicates whose values are terms of code lists. Media types are not: DCAT wants IANA's, which are no vocabulary."""

_GENERIC = frozenset((DCT + "relation", DCT + "references", RDFS + "seeAlso"))
"""Links that do not say what the relation is."""
_TO_METADATA = frozenset(
    DCT + name for name in (
        "subject", "isReplacedBy", "replaces", "isVersionOf", "hasVersion", "isPartOf", "isReferencedBy", "spatial",
        "conformsTo",
    )
) | {DCAT + name for name in ("theme", "landingPage", "previousVersion", "prev", "inSeries")} | {
    FOAF + "page", FOAF + "isPrimaryTopicOf",
}  # fmt: skip
"""Links to what is described elsewhere. Domain and owner are left out: every product must name them."""
_TO_DATA = frozenset((DPROD + "inputDataset", DCT + "source")) | {
    PROV + name for name in ("wasDerivedFrom", "hadPrimarySource", "wasRevisionOf", "wasQuotedFrom", "used", "entity")
}
_DATA_TYPES = frozenset((DATASET, EXTERNAL_DATASET, DCAT + "DatasetSeries"))
_MIN_DESCRIPTION = 20


@dataclass(slots=True)
class References:
    """Targets outside the product, by what they are and whether the link says what the relation is."""

    metadata: set[str]
    qualified_metadata: set[str]
    data: set[str]
    qualified_data: set[str]


class Facts:
    """One document, indexed; parts are nodes by their names, whether IRIs or of blank nodes."""

    def __init__(self, statements: Iterable[Triple], product: str, iri_base: str, register: Register) -> None:
        self.said = _by_subject(statements)
        self.predicates: set[str] = set().union(*self.said.values())
        self.product, self.iri_base, self.register = product, iri_base, register
        self._standards = register.standards  # what metadata follows is asked for by an indicator of its own
        self._below: tuple[str, ...] = (product + "/", product + "#")
        if not product.startswith(iri_base) and iri_base.startswith(self._below):
            self._below = ()  # an IRI above the mesh's base does not own the mesh
        self.outputs = self.nodes(product, DPROD + "outputDataset")
        self.distributions = {dataset: self.nodes(dataset, DCAT + "distribution") for dataset in self.outputs}
        self.ports = self.nodes(product, DPROD + "outputPort")

    def objects(self, subject: str, *predicates: str) -> list[str]:
        said = self.said.get(subject)
        return [value for p in predicates if p in said for value in said[p]] if said else []

    def nodes(self, subject: str, *predicates: str) -> list[str]:
        found = self.objects(subject, *predicates)
        return sorted({value for value in found if not isinstance(value, Text)}) if found else found

    def texts(self, subject: str, *predicates: str) -> list[str]:
        """Texts that are not blank."""
        return [value for value in self.objects(subject, *predicates) if value and isinstance(value, Text)]

    def values(self, subjects: Iterable[str], *predicates: str) -> list[str]:
        """IRIs and texts, sorted; nodes without a name and empty texts are left out."""
        found = (value for subject in subjects for value in self.objects(subject, *predicates))
        return sorted({value for value in found if (value if isinstance(value, Text) else _is_name(value))})

    def says(self, subject: str, *predicates: str) -> bool:
        said = self.said.get(subject)
        return said is not None and any(p in said and any(said[p]) for p in predicates)

    def typed(self, subject: str, *kinds: str) -> bool:
        said = self.said.get(subject)
        return said is not None and TYPE in said and any(kind in kinds for kind in said[TYPE])

    def name(self, subject: str) -> str:
        """What to call a node in evidence: relative to the base, and the same however a blank node is named."""
        iri = subject.removeprefix(self.iri_base)
        return iri if _is_name(subject) else "a part without an IRI"

    def parts(self, dataset: str) -> list[str]:
        return [self.product, dataset, *self.distributions[dataset]]

    @cached_property
    def forms(self) -> list[str]:
        """The distributions of all output datasets."""
        return sorted({form for found in self.distributions.values() for form in found})

    @cached_property
    def services(self) -> list[str]:
        """The product's ports and the services behind its distributions."""
        return sorted({s for form in self.forms for s in self.nodes(form, DCAT + "accessService")}.union(self.ports))

    @cached_property
    def schemas(self) -> list[str]:
        found = {schema for dataset in self.outputs for schema in self.nodes(dataset, DCT + "conformsTo")}
        return sorted(schema for schema in found if self.typed(schema, CSVW + "Schema") or self.says(schema, _COLUMN))

    def addressed(self, subject: str, *predicates: str) -> bool:
        """Whether one of these predicates gives an address: "n/a" and a node without a name are none."""
        return any(_ADDRESS.match(value) and GENID not in value for value in self.objects(subject, *predicates))

    @cached_property
    def _reachable(self) -> frozenset[str]:
        """Output datasets with an address: of a distribution, of the service behind it, or of a port that serves them.

        A port of which nobody says what it serves serves them all.
        """
        found, behind = set(), set()
        for dataset in self.outputs:
            for form in self.distributions[dataset]:
                services = self.nodes(form, DCAT + "accessService")
                behind.update(services)
                if self.addressed(form, *_ADDRESSES) or any(self.addressed(it, _ENDPOINT) for it in services):
                    found.add(dataset)
        for service in self.services:
            if self.addressed(service, _ENDPOINT):
                found.update(self.nodes(service, _SERVES) or (() if service in behind else self.outputs))
        return frozenset(found)

    def reachable(self, dataset: str) -> bool:
        """Whether there is an address for the output dataset."""
        return dataset in self._reachable

    @cached_property
    def records(self) -> list[str]:
        """Catalog records about the product."""
        return sorted(s for s, facts in self.said.items() if self.product in facts.get(_ABOUT, ()))

    @cached_property
    def own(self) -> frozenset[str]:
        columns = (column for schema in self.schemas for column in self.nodes(schema, _COLUMN))
        internal = self.nodes(self.product, DCT + "hasPart")
        return frozenset((self.product, *self.outputs, *internal, *self.forms, *self.services, *self.schemas, *columns))

    def outside(self, value: str) -> bool:
        """Whether a value names something that is no part of the product."""
        name = not isinstance(value, Text) and _is_name(value)
        return name and not value.startswith(self._below) and value not in self.own and value not in self._standards

    @cached_property
    def references(self) -> References:
        found = References(set(), set(), set(), set())
        for subject, facts in self.said.items():
            if _LINKS.isdisjoint(facts):
                continue
            record = self.typed(subject, DCAT + "CatalogRecord")
            role = DCAT + "hadRole" in facts
            for predicate in facts.keys() & _LINKS:
                qualified = predicate not in _GENERIC or role
                for value in facts[predicate]:
                    if self.outside(value):
                        to_data = not record and self._is_data(predicate, value)
                        self._note(found, value, to_data=to_data, qualified=qualified)
        return found

    def _is_data(self, predicate: str, target: str) -> bool:
        return predicate in _TO_DATA or (predicate not in _TO_METADATA and self.typed(target, *_DATA_TYPES))

    def _note(self, found: References, target: str, *, to_data: bool, qualified: bool) -> None:
        (found.data if to_data else found.metadata).add(target)
        if qualified:
            (found.qualified_data if to_data else found.qualified_metadata).add(target)


_LINKS = _GENERIC | _TO_METADATA | _TO_DATA


def _is_name(iri: str) -> bool:
    return ":" in iri and GENID not in iri


# -- the sixteen that are computed on the product ---------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """What of that which was looked for is there, and what is not."""

    has: list[str]
    lacks: list[str]


def _look(wanted: Iterable[tuple[str, bool]]) -> Found:
    found = Found([], [])
    for name, there in wanted:
        (found.has if there else found.lacks).append(name)
    return found


def _each(facts: Facts, what: str, holds: Callable[[str], bool]) -> Found:
    """Something that each output dataset needs, of which there must be one."""
    if not facts.outputs:
        return Found([], [f"{what}: there is no output dataset"])
    return _look((f"{what} ({facts.name(dataset)})", holds(dataset)) for dataset in facts.outputs)


def rich(facts: Facts) -> Found:
    product = facts.product
    long_enough = any(len(" ".join(t.split())) >= _MIN_DESCRIPTION for t in facts.texts(product, DCT + "description"))
    return _look((
        ("title", bool(facts.texts(product, DCT + "title"))),
        (f"description of {_MIN_DESCRIPTION} characters", long_enough),
        ("keyword, category or term", any(facts.says(node, *_TOPICS) for node in (product, *facts.outputs))),
        ("domain", facts.says(product, DPROD + "domain")),
        ("owner", facts.says(product, *_OWNERS)),
    ))  # fmt: skip


def identifier(facts: Facts) -> Found:
    return _each(facts, "IRI of the dataset", _is_name)


def access(facts: Facts) -> Found:
    def reachable(dataset: str) -> bool:
        asked = facts.says(facts.product, DCAT + "contactPoint") or facts.says(dataset, DCAT + "contactPoint")
        rights = any(facts.says(part, *_RIGHTS) for part in facts.parts(dataset))
        return facts.reachable(dataset) or (asked and rights)

    return _each(facts, "address, or access rights and a contact", reachable)


def vocabularies(facts: Facts) -> Found:
    terms = facts.predicates.union(*(said[TYPE] for said in facts.said.values() if TYPE in said))
    if not _CODED.isdisjoint(facts.predicates):
        coded = (
            value for said in facts.said.values() for predicate in said.keys() & _CODED for value in said[predicate]
        )
        terms.update(v for v in coded if not isinstance(v, Text) and _is_name(v) and not v.startswith(facts.iri_base))
    entries = {namespace: facts.register.vocabulary_of(namespace) for namespace in {_namespace(term) for term in terms}}
    has, lacks = set(), set()
    for namespace, entry in entries.items():
        if entry is None:
            lacks.add(f"{namespace} (not in the register)")
        elif entry.fair:
            has.add(entry.label)
        else:
            lacks.add(f"{entry.namespace} ({'no licence' if entry.source else 'does not resolve to RDF'})")
    return Found(sorted(has), sorted(lacks)) if terms else Found([], ["any term of a vocabulary"])


@lru_cache(maxsize=4096)  # documents use the same few hundred terms
def _namespace(term: str) -> str:
    return term[: max(term.rfind("#"), term.rfind("/")) + 1] or term


def _targets(facts: Facts, found: set[str], what: str) -> Found:
    return Found(sorted(facts.name(iri) for iri in found), [] if found else [what])


def metadata_links(facts: Facts) -> Found:
    return _targets(facts, facts.references.metadata, "a link to a concept, page, standard or product")


def qualified_metadata_links(facts: Facts) -> Found:
    lacking = "a link to other metadata that says what the relation is"
    return _targets(facts, facts.references.qualified_metadata, lacking)


def data_links(facts: Facts) -> Found:
    return _targets(facts, facts.references.data, "a link to a dataset of others")


def qualified_data_links(facts: Facts) -> Found:
    lacking = "a link to other data that says what the relation is"
    return _targets(facts, facts.references.qualified_data, lacking)


def attributes(facts: Facts) -> Found:
    product = facts.product
    near = (product, *facts.outputs)
    found = _look((
        ("purpose", facts.says(product, DPROD + "purpose")),
        ("version", facts.says(product, DCAT + "version")),
        ("status", facts.says(product, DPROD_STATUS)),
        ("contact", any(facts.says(node, DCAT + "contactPoint") for node in near)),
        ("update frequency, coverage or quality", any(facts.says(node, *_COVERAGE) for node in near)),
    ))  # fmt: skip
    for what, holds in (
        ("description", lambda dataset: facts.says(dataset, DCT + "description")),
        ("classification", lambda dataset: facts.says(dataset, SENSITIVITY)),
        ("columns or format", lambda dataset: _has_columns(facts, dataset) or _has_format(facts, dataset)),
    ):
        more = _each(facts, what, holds)
        found.has += more.has
        found.lacks += more.lacks
    return found


def _has_columns(facts: Facts, dataset: str) -> bool:
    return any(facts.says(schema, _COLUMN) for schema in facts.nodes(dataset, DCT + "conformsTo"))


def _has_format(facts: Facts, dataset: str) -> bool:
    return any(facts.says(distribution, *_FORMATS) for distribution in facts.distributions[dataset])


LICENCES = (
    r"^https?://(creativecommons\.org/(licenses/(by|by-sa|by-nc|by-nd|by-nc-sa|by-nc-nd)/[1-4]\.[05](/[a-z][a-z])?"
    r"|publicdomain/(zero|mark)/1\.0)(/|/deed(\.[a-z][a-z])?|/legalcode)?|purl\.org/NET/rdflicense/(cc|odc)[a-z0-9.-]+)$",
    r"^https?://(www\.)?opend(atacommons|efinition)\.org/licenses/"
    r"(odbl|by|pddl|odc-odbl|odc-by|odc-pddl|cc-by|cc-by-sa|cc-zero)(/|/1[.-]0/?|/summary/?)?$",
    r"^https?://(spdx\.org/licenses/[A-Za-z0-9.+-]+|(www\.)?opensource\.org/licenses?/[A-Za-z0-9.-]+"
    r"|www\.apache\.org/licenses/LICENSE-2\.0(\.html|\.txt)?)$",
    r"^https?://(publications\.europa\.eu/resource/authority/licence/[A-Z0-9_.-]+"
    r"|(www\.)?nationalarchives\.gov\.uk/doc/(open|non-commercial)-government-licence(/version/[1-3])?/?"
    r"|data\.norge\.no/nlod/(no|en)(/[12]\.0)?/?|(www\.)?govdata\.de/dl-de/(by|zero)-2-0"
    r"|open\.canada\.ca/(en|fr)/open-government-licence-canada"
    r"|(www\.)?etalab\.gouv\.fr/licence-ouverte-open-licence/?)$",
)
"""Addresses of licences that are known everywhere: the patterns of rule 15 of ontologies/core."""
_LICENCE = re.compile("|".join(LICENCES))
_MACHINE_LICENCE = re.compile(
    r"https?://(creativecommons\.org|purl\.org/NET/rdflicense|spdx\.org|publications\.europa\.eu)/"
)
"""Where those of them are that also answer with RDF or JSON-LD about what they permit."""


def _licensed(facts: Facts, what: str, holds: Callable[[str], bool], *, words: bool = False) -> Found:
    """Whether each output dataset, or the product that has none, is under terms of which one `holds`."""

    @cache  # datasets may share distributions
    def terms_of(part: str) -> str | None:
        held = [facts.name(iri) for iri in facts.nodes(part, *_LICENCES) if holds(iri)]
        if words and not held and facts.says(part, DCT + "rights", DCT + "license"):
            return "a statement in words"
        return min(held, default=None)

    has, lacks = set(), []
    for dataset in facts.outputs or [facts.product]:
        parts = facts.parts(dataset) if dataset in facts.distributions else [facts.product]
        terms = {found for part in parts if (found := terms_of(part)) is not None}
        has |= terms
        if not terms:
            lacks.append(f"{what} ({facts.name(dataset)})")
    return Found(sorted(has), lacks)


def licence(facts: Facts) -> Found:
    return _licensed(facts, "licence", bool, words=True)


def standard_licence(facts: Facts) -> Found:
    def standard(iri: str) -> bool:
        return bool(_LICENCE.match(iri)) or iri in facts.register.policies

    return _licensed(facts, "standard licence", standard)


def machine_licence(facts: Facts) -> Found:
    def readable(iri: str) -> bool:
        known = bool(_LICENCE.match(iri) and _MACHINE_LICENCE.match(iri)) or facts.register.policies.get(iri, False)
        return known or facts.says(iri, *_TERMS_OF_USE)

    return _licensed(facts, "licence a machine can read", readable)


def provenance(facts: Facts) -> Found:
    nodes = (facts.product, *facts.outputs)
    origin = any(facts.says(node, *_ORIGINS) for node in facts.own)
    return _look((
        ("who made it", any(facts.says(node, *_OWNERS) for node in nodes)),
        ("when", any(facts.says(node, *_DATES) for node in nodes)),
        ("from what", origin),
    ))  # fmt: skip


def _prov(facts: Facts) -> list[str]:
    return sorted(compact(predicate) or predicate for predicate in facts.predicates if predicate.startswith(PROV))


def cross_provenance(facts: Facts) -> Found:
    found = _prov(facts)
    return Found(found, [] if found else ["a statement of PROV-O"])


def structure(facts: Facts) -> Found:
    def typed(kind: str, nodes: Iterable[str], *types: str) -> list[tuple[str, bool]]:
        return [(f"{kind} ({facts.name(node)})", facts.typed(node, *types)) for node in nodes]

    wanted = [
        *typed("dprod:DataProduct", [facts.product], DATA_PRODUCT),
        *typed("dcat:Dataset", facts.outputs, *_DATA_TYPES),
        *typed("dcat:Distribution", facts.forms, DCAT + "Distribution"),
        *typed("dcat:DataService", facts.services, DCAT + "DataService"),
    ]
    found = _look(wanted)
    if not facts.outputs:
        found.lacks.append("dcat:Dataset: there is no output dataset")
    return found


def stated_standard(facts: Facts) -> Found:
    stated = facts.values((facts.product, *facts.records), DCT + "conformsTo")
    known = [iri for iri in stated if iri in facts.register.standards]
    return Found(known, [] if known else ["a registered standard of metadata"])


# -- the twelve a product can declare ---------------------------------------------------------------------------------


def dataset_iris(facts: Facts) -> list[str]:
    return [facts.name(dataset) for dataset in facts.outputs if _is_name(dataset)]


def declared_identifiers(facts: Facts) -> list[str]:
    return dataset_iris(facts) + facts.values(facts.outputs, DCT + "identifier")


def declared_pages(facts: Facts) -> list[str]:
    return facts.values((facts.product, *facts.outputs), DCAT + "landingPage", FOAF + "page")


def declared_addresses(facts: Facts) -> list[str]:
    found = (*facts.values(facts.forms, *_ADDRESSES), *facts.values(facts.services, _ENDPOINT))
    return sorted({address for address in found if _ADDRESS.match(address)})


def declared_protocols(facts: Facts) -> list[str]:
    schemes = {address.partition(":")[0].lower() for address in declared_addresses(facts)}
    return sorted(schemes) + facts.values(facts.services, DPROD + "protocol", DCT + "conformsTo")


def declared_restrictions(facts: Facts) -> list[str]:
    return facts.values((facts.product, *facts.outputs, *facts.forms), *_RIGHTS, SENSITIVITY)


def declared_formats(facts: Facts) -> list[str]:
    return facts.values(facts.forms, *_FORMATS)


def _columns(facts: Facts) -> set[str]:
    return {column for schema in facts.schemas for column in facts.nodes(schema, _COLUMN)}


def declared_columns(facts: Facts) -> list[str]:
    count = len(_columns(facts))
    return [f"{count} column{'s' if count > 1 else ''}"] if count else []


def declared_terms(facts: Facts) -> list[str]:
    return facts.values(_columns(facts), DCT + "subject")


def declared_standards(facts: Facts) -> list[str]:
    return [iri for iri in facts.values(facts.outputs, DCT + "conformsTo") if iri not in facts.own]


# -- the ten the platform meets ---------------------------------------------------------------------------------------

_NOT_REGISTERED = frozenset(
    ("test", "example", "invalid", "localhost", "local", "internal", "onion", "alt", "arpa", "lan", "home", "corp")
)
"""Last labels of hosts that nobody can register (RFC 2606, 6761, 6762, 8375, 9476) or that are local by habit."""
_EXAMPLES = frozenset(("example.com", "example.net", "example.org"))


def persistent(iri: str) -> bool:
    """Whether an IRI can persist: http or https, with a host that is registered rather than local or an address."""
    parts = urlsplit(iri)
    host = (parts.hostname or "").rstrip(".")
    labels = host.split(".")
    if parts.scheme not in ("http", "https") or len(labels) < 2 or labels[-1] in _NOT_REGISTERED:
        return False
    try:
        ip_address(host)
    except ValueError:
        return ".".join(labels[-2:]) not in _EXAMPLES
    return False
