"""What the FAIR assessment finds in one product document: the checks behind its indicators, and the register they ask.

A check answers what of that which it looks for is there and what is not; it passes when nothing is lacking. A find
answers what a document declares about its data. Both are pure functions of the document and the register.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from ipaddress import ip_address
from itertools import chain
from urllib.parse import urlsplit

from fairmesh.catalog import licences, semver
from fairmesh.catalog.computed import date_span
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
from fairmesh.catalog.rdf import GENID, PREFIXES, Literal, NamedNode, Term, Triple, compact
from fairmesh.catalog.said import address, nothing, reaches, reference
from fairmesh.catalog.triples import Index, Values


class Text(str):
    """A literal's text without space around it, to tell it from nodes: plain strings, IRIs and names of blank nodes."""

    __slots__ = ()


Said = Mapping[str, Values]
"""What is said about one node: values by predicate."""


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
        found: dict[str, Vocabulary] = {}
        standards, policies = set(), {}
        for node, facts in Index(vocabulary).subjects.items():
            subject, types = node.value, {kind.value for kind in facts.get(TYPE, ())}
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


def _least(facts: Said, *predicates: str) -> str | None:
    return min((_plain(value) for predicate in predicates for value in facts.get(predicate, ())), default=None)


def _plain(value: Term) -> str:
    return Text(value.value.strip()) if isinstance(value, Literal) else value.value


# -- what a document says ---------------------------------------------------------------------------------------------

_ABOUT, _COLUMN, _ENDPOINT = FOAF + "primaryTopic", CSVW + "column", DCAT + "endpointURL"
_RECORD, _ROLE = DCAT + "CatalogRecord", DCAT + "hadRole"
_OWNERS = (DPROD + "dataProductOwner", DCT + "publisher", DCT + "creator")
_TOPICS = (DCAT + "keyword", DCAT + "theme", DCT + "subject")
_RIGHTS = (DCT + "accessRights", DCT + "rights", _ODRL + "hasPolicy")
_LICENCES = (DCT + "license", _ODRL + "hasPolicy")
_ADDRESSES, _SERVES = (DCAT + "downloadURL", DCAT + "accessURL"), DCAT + "servesDataset"
_FORMATS = (DCAT + "mediaType", DCT + "format")
_DATES = (DCT + "issued", DCT + "modified", PROV + "generatedAtTime")
_SKEW = timedelta(days=1)
"""How far ahead of now a date may lie, as for rule 26 of ontologies/core."""
_COVERAGE = (DCT + "accrualPeriodicity", DCT + "temporal", DCT + "spatial", PREFIXES["dqv"] + "hasQualityMeasurement")
_ORIGINS = frozenset((
    DPROD + "inputDataset", DPROD + "inputPort", DCT + "source", DCT + "provenance",
    *(PROV + name for name in (
        "wasDerivedFrom", "hadPrimarySource", "wasRevisionOf", "wasQuotedFrom", "wasGeneratedBy", "wasInfluencedBy",
        "qualifiedDerivation", "qualifiedPrimarySource", "qualifiedRevision", "qualifiedQuotation",
        "qualifiedGeneration", "qualifiedInfluence",
    )),
))  # fmt: skip
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
_LONGEST = 200
"""How much of a value evidence shows."""


@dataclass(slots=True)
class References:
    """Targets outside the product, by what they are and whether the link says what the relation is."""

    metadata: set[str]
    qualified_metadata: set[str]
    data: set[str]
    qualified_data: set[str]


class Facts:
    """One document; parts are nodes by their names, whether IRIs or of blank nodes."""

    def __init__(
        self,
        statements: Iterable[Triple],
        product: str,
        iri_base: str,
        register: Register,
        at: datetime,
        explained: bool = True,
    ) -> None:
        """Dates are judged as of `at`. `explained`: evidence tells what is stated and does not count."""
        self.index = Index.of(statements)
        self._said: Mapping[str, Said] = {node.value: facts for node, facts in self.index.subjects.items()}
        self.product, self.iri_base, self.register, self.at = product, iri_base, register, at
        self.explained = explained
        self._standards = register.standards  # what metadata follows is asked for by an indicator of its own
        self._below: tuple[str, ...] = (product + "/", product + "#")
        if not product.startswith(iri_base) and iri_base.startswith(self._below):
            self._below = ()  # an IRI above the mesh's base does not own the mesh
        self.outputs = self.nodes(product, DPROD + "outputDataset")
        self.distributions = {dataset: self.nodes(dataset, DCAT + "distribution") for dataset in self.outputs}
        self.ports = self.nodes(product, DPROD + "outputPort")

    def terms(self, subject: str, *predicates: str) -> list[Term]:
        said = self._said.get(subject)
        return [value for p in predicates if p in said for value in said[p]] if said else []

    def objects(self, subject: str, *predicates: str) -> list[str]:
        return [_plain(value) for value in self.terms(subject, *predicates)]

    def nodes(self, subject: str, *predicates: str) -> list[str]:
        found = self.terms(subject, *predicates)
        return sorted({value.value for value in found if not isinstance(value, Literal)}) if found else []

    def refers(self, node: str) -> bool:
        """Whether a node's name refers to something: a name in the mesh is judged by what follows the base."""
        if node.startswith(self.iri_base):
            return GENID not in node and not nothing(node[len(self.iri_base) :])
        return reference(node)

    def tells(self, node: str) -> bool:
        """Whether naming the node says something: by its name or, without one, by what is said of it."""
        return self.refers(node) if _is_name(node) else node in self._described

    def _means(self, value: Term) -> bool:
        if isinstance(value, Literal):
            return not nothing(value.value, value.language)
        return self.tells(value.value)

    @cached_property
    def _described(self) -> frozenset[str]:
        """Nodes without a name of which something is said beside a type, if through others without a name."""
        found, within = set[str](), dict[str, list[str]]()
        ready: list[str] = []
        for node, said in self._said.items():
            if not _is_name(node):
                for value in chain.from_iterable(values for predicate, values in said.items() if predicate != TYPE):
                    if not isinstance(value, Literal) and not _is_name(value.value):
                        within.setdefault(value.value, []).append(node)
                    elif self._means(value):
                        ready.append(node)
        while ready:
            node = ready.pop()
            if node not in found:
                found.add(node)
                ready += within.get(node, ())
        return frozenset(found)

    def texts(self, subject: str, *predicates: str) -> list[str]:
        """Texts that say something."""
        literals = (value for value in self.terms(subject, *predicates) if isinstance(value, Literal))
        return [_plain(value) for value in literals if self._means(value)]

    def values(self, subjects: Iterable[str], *predicates: str) -> list[str]:
        """IRIs and texts that say something, sorted; nodes without a name are left out."""
        found = (value for subject in subjects for value in self.terms(subject, *predicates))
        return sorted({
            _plain(v) for v in found if (self._means(v) if isinstance(v, Literal) else self.refers(v.value))
        })  # fmt: skip

    def says(self, subject: str, *predicates: str) -> bool:
        """Whether one of the predicates has a value that says something."""
        said = self._said.get(subject, {})
        for predicate in predicates:  # asked for far more often than anything else
            for value in said.get(predicate, ()):
                if self._means(value):
                    return True
        return False

    def shown(self, nodes: Iterable[str], *predicates: str) -> str | None:
        """One of the values, for evidence of what does not count."""
        found = {value for node in nodes for value in self.objects(node, *predicates)}
        return min((f'"{v}"' if isinstance(v, Text) else f"<{self.name(v)}>" for v in found), default=None)

    def typed(self, subject: str, *kinds: str) -> bool:
        return any(kind.value in kinds for kind in self.terms(subject, TYPE))

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
        return any(address(value) and GENID not in value for value in self.objects(subject, *predicates))

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
        return sorted(record.value for record, topic in self.index.pairs[_ABOUT] if topic.value == self.product)

    @cached_property
    def own(self) -> frozenset[str]:
        columns = (column for schema in self.schemas for column in self.nodes(schema, _COLUMN))
        internal = self.nodes(self.product, DCT + "hasPart")
        return frozenset((self.product, *self.outputs, *internal, *self.forms, *self.services, *self.schemas, *columns))

    def outside(self, node: str) -> bool:
        """Whether a node has a name and is no part of the product."""
        known = node.startswith(self._below) or node in self.own or node in self._standards
        return not known and self.refers(node)

    @cached_property
    def references(self) -> References:
        found = References(set(), set(), set(), set())
        for predicate in self.index.heads.keys() & _LINKS:
            for subject, value in self.index.pairs[predicate]:
                if not isinstance(value, Literal) and self.outside(value.value):
                    to_data = not self.typed(subject.value, _RECORD) and self._is_data(predicate, value.value)
                    qualified = predicate not in _GENERIC or self.says(subject.value, _ROLE)
                    self._note(found, value.value, to_data=to_data, qualified=qualified)
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
    """What of that which was looked for is there, and what is lacking, with what is stated and does not count."""

    has: list[str]
    lacks: list[str]


def _look(wanted: Iterable[tuple[str, bool]]) -> Found:
    found = Found([], [])
    for name, there in wanted:
        (found.has if there else found.lacks).append(name)
    return found


_Asked = tuple[str, bool]
"""What was looked for, and whether it is there; if not, the name goes on with what is stated and does not count."""


def _but(facts: Facts, what: str, why: str, nodes: Iterable[str], *predicates: str) -> _Asked:
    """What is lacking, and why that which is stated does not count."""
    value = facts.shown(nodes, *predicates) if facts.explained else None
    return (what if value is None else f"{what}: {value[:_LONGEST]} {why}"), False


def _stated(facts: Facts, what: str, nodes: Collection[str], *predicates: str) -> _Asked:
    if any(facts.says(node, *predicates) for node in nodes):
        return what, True
    return _but(facts, what, "says nothing", nodes, *predicates)


def _sentence(facts: Facts, what: str, node: str) -> _Asked:
    """A description as rules 4 and 19 of ontologies/core want it."""
    if any(reaches(text, _MIN_DESCRIPTION) for text in facts.texts(node, DCT + "description")):
        return what, True
    return _but(facts, what, f"is no text of {_MIN_DESCRIPTION} characters", [node], DCT + "description")


def _each(facts: Facts, what: str, ask: Callable[[str, str], _Asked]) -> Found:
    """Something that each output dataset needs, of which there must be one; `ask` gets its name and the dataset."""
    if not facts.outputs:
        return Found([], [f"{what}: there is no output dataset"])
    return _look(ask(f"{what} ({facts.name(dataset)})", dataset) for dataset in facts.outputs)


def rich(facts: Facts) -> Found:
    product = [facts.product]
    return _look((
        _stated(facts, "title", product, DCT + "title"),
        _sentence(facts, f"description of {_MIN_DESCRIPTION} characters", facts.product),
        _stated(facts, "keyword, category or term", (facts.product, *facts.outputs), *_TOPICS),
        _stated(facts, "domain", product, DPROD + "domain"),
        _stated(facts, "owner", product, *_OWNERS),
    ))  # fmt: skip


def identifier(facts: Facts) -> Found:
    def named(what: str, dataset: str) -> _Asked:
        if facts.refers(dataset) or not _is_name(dataset):
            return what, _is_name(dataset)
        return f"{what}: it refers to nothing", False

    return _each(facts, "IRI of the dataset", named)


def access(facts: Facts) -> Found:
    def reachable(what: str, dataset: str) -> _Asked:
        asked = facts.says(facts.product, DCAT + "contactPoint") or facts.says(dataset, DCAT + "contactPoint")
        rights = any(facts.says(part, *_RIGHTS) for part in facts.parts(dataset))
        if facts.reachable(dataset) or (asked and rights):
            return what, True
        near = (*facts.distributions[dataset], *facts.services)
        places = [place for place in near if not facts.addressed(place, *_ADDRESSES, _ENDPOINT)]
        return _but(facts, what, "is no address that clients connect to", places, *_ADDRESSES, _ENDPOINT)

    return _each(facts, "address, or access rights and a contact", reachable)


def vocabularies(facts: Facts) -> Found:
    index = facts.index
    terms = index.heads.keys() | {kind.value for _, kind in index.pairs[TYPE]}
    for predicate in index.heads.keys() & _CODED:
        coded = {value.value for _, value in index.pairs[predicate] if isinstance(value, NamedNode)}
        terms.update(iri for iri in coded if _is_name(iri) and not iri.startswith(facts.iri_base))
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


def _targets(facts: Facts, found: set[str], what: str, *predicates: str) -> Found:
    if found:
        return Found(sorted(map(facts.name, found)), [])
    if not facts.explained:
        return Found([], [what])
    idle = {
        value.value
        for predicate in facts.index.heads.keys() & set(predicates)
        for _, value in facts.index.pairs[predicate]
        if isinstance(value, NamedNode) and _is_name(value.value) and not facts.refers(value.value)
    }
    return Found([], [f"{what}: <{min(idle)[:_LONGEST]}> refers to nothing" if idle else what])


def metadata_links(facts: Facts) -> Found:
    what = "a link to a concept, page, standard or product"
    return _targets(facts, facts.references.metadata, what, *_TO_METADATA, *_GENERIC)


def qualified_metadata_links(facts: Facts) -> Found:
    what = "a link to other metadata that says what the relation is"
    return _targets(facts, facts.references.qualified_metadata, what, *_TO_METADATA)


def data_links(facts: Facts) -> Found:
    return _targets(facts, facts.references.data, "a link to a dataset of others", *_TO_DATA)


def qualified_data_links(facts: Facts) -> Found:
    what = "a link to other data that says what the relation is"
    return _targets(facts, facts.references.qualified_data, what, *_TO_DATA)


def attributes(facts: Facts) -> Found:
    product = [facts.product]
    near = (facts.product, *facts.outputs)
    found = _look((
        _stated(facts, "purpose", product, DPROD + "purpose"),
        _version(facts),
        _stated(facts, "status", product, DPROD_STATUS),
        _stated(facts, "contact", near, DCAT + "contactPoint"),
        _stated(facts, "update frequency, coverage or quality", near, *_COVERAGE),
    ))  # fmt: skip
    for more in (
        _each(facts, "description", lambda what, dataset: _sentence(facts, what, dataset)),
        _each(facts, "classification", lambda what, dataset: _stated(facts, what, [dataset], SENSITIVITY)),
        _each(facts, "columns or format", lambda what, dataset: _readable(facts, what, dataset)),
    ):
        found.has += more.has
        found.lacks += more.lacks
    return found


def _version(facts: Facts) -> _Asked:
    """One semantic version, as rule 25 of ontologies/core wants it."""
    stated = facts.terms(facts.product, DCAT + "version")
    if len(stated) == 1 and isinstance(stated[0], Literal) and semver.read(stated[0].value):
        return "version", True
    why = "is one of several versions" if len(stated) > 1 else "is no semantic version"
    return _but(facts, "version", why, [facts.product], DCAT + "version")


def _readable(facts: Facts, what: str, dataset: str) -> _Asked:
    """Columns; or of each distribution a format by its IRI, as rule 18 of ontologies/core wants it."""
    forms = facts.distributions[dataset]
    if any(facts.says(schema, _COLUMN) for schema in facts.nodes(dataset, DCT + "conformsTo")):
        return what, True
    bare = [form for form in forms if not any(facts.refers(iri) for iri in facts.nodes(form, *_FORMATS))]
    return _but(facts, what, "is no IRI of a format", bare, *_FORMATS) if bare or not forms else (what, True)


def _licensed(facts: Facts, what: str, holds: Callable[[str], bool], *, words: bool = False) -> Found:
    """Whether each output dataset, or the product that has none, is under terms of which one `holds`."""

    def terms_of(part: str) -> str | None:
        held = [facts.name(iri) for iri in facts.nodes(part, *_LICENCES) if facts.tells(iri) and holds(iri)]
        if (
            words
            and not held
            and (facts.says(part, DCT + "rights") or any(map(holds, facts.texts(part, _LICENCES[0]))))
        ):
            return "a statement in words"
        return min(held, default=None)

    parts = {dataset: facts.parts(dataset) for dataset in facts.outputs} or {facts.product: [facts.product]}
    told = {part: terms_of(part) for part in {part for found in parts.values() for part in found}}
    has, lacks = set(), []
    for dataset, found in parts.items():
        terms = {term for part in found if (term := told[part]) is not None}
        has |= terms
        if not terms:
            lacks.append(_but(facts, f"{what} ({facts.name(dataset)})", "is not recognised", found, *_LICENCES)[0])
    return Found(sorted(has), lacks)


def licence(facts: Facts) -> Found:
    def exists(licence: str) -> bool:
        return licences.listed(licence) or licence in facts.register.policies

    return _licensed(facts, "licence", exists, words=True)


def standard_licence(facts: Facts) -> Found:
    def standard(iri: str) -> bool:
        return licences.standard(iri) or iri in facts.register.policies

    return _licensed(facts, "standard licence", standard)


def machine_licence(facts: Facts) -> Found:
    def readable(iri: str) -> bool:
        known = licences.machine_readable(iri) or facts.register.policies.get(iri, False)
        return known or facts.says(iri, *_TERMS_OF_USE)

    return _licensed(facts, "licence a machine can read", readable)


def provenance(facts: Facts) -> Found:
    near = (facts.product, *facts.outputs)
    told = facts.index.heads.keys() & _ORIGINS
    sources = sorted({node.value for name in told for node in facts.index.heads[name]} & facts.own)
    return _look((
        _stated(facts, "who made it", near, *_OWNERS),
        _dated(facts, "when", near),
        _stated(facts, "from what", sources, *told),
    ))  # fmt: skip


def _dated(facts: Facts, what: str, nodes: Collection[str]) -> _Asked:
    """Dates, and none that rule 26 of ontologies/core refuses: text, in the future, or changed before it was issued."""
    stated = [predicate for predicate in _DATES if predicate in facts.index.heads]
    dated = False
    for node in nodes if stated else ():
        spans = {}
        for predicate in stated:
            found = [date_span(value) for value in facts.terms(node, predicate)]
            spans[predicate] = known = [span for span in found if span and span[0] <= facts.at + _SKEW]
            if len(known) < len(found):
                return _but(facts, what, "is no date, or in the future", [node], predicate)
        issued, modified = spans.get(DCT + "issued"), spans.get(DCT + "modified")
        if issued and modified and max(start for start, _ in issued) >= min(end for _, end in modified):
            return f"{what}: dct:modified is before dct:issued", False
        dated = dated or any(spans.values())
    return what, dated


def cross_provenance(facts: Facts) -> Found:
    stated = [predicate for predicate in facts.index.heads if predicate.startswith(PROV)]
    nodes = sorted({node.value for predicate in stated for node in facts.index.heads[predicate]})
    found = [predicate for predicate in stated if any(facts.says(node, predicate) for node in nodes)]
    if found:
        return Found(sorted(compact(predicate) or predicate for predicate in found), [])
    return _look([_but(facts, "a statement of PROV-O", "says nothing", nodes, *stated)])


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
    return sorted(set(filter(address, found)))


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
