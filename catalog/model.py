"""Values that every layer shares. No behaviour beyond what they are; no third-party import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fairmesh.catalog.errors import InputError

if TYPE_CHECKING:
    from fairmesh.catalog.changes import Comparison
    from fairmesh.catalog.dependents import Dependents
    from fairmesh.catalog.fair import Assessment

T = TypeVar("T")

FM = "https://w3id.org/fairmesh/ns#"
CLASSIFICATION = "https://w3id.org/fairmesh/classification/"
STATUS = "https://w3id.org/fairmesh/status/"
CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")
"""Words of the classification scheme, least sensitive first."""
STATUSES = ("ideation", "design", "build", "deploy", "consume", "deprecated", "retired")
LIVE_STATUSES = frozenset({"deploy", "consume", "deprecated"})
"""Statuses in which rules of mode `gate-when-live` gate."""


class Action(StrEnum):
    DISCOVER = "discover"
    READ_METADATA = "read_metadata"
    READ_DATA = "read_data"
    REGISTER = "register"
    UPDATE = "update"
    RETIRE = "retire"
    GOVERN = "govern"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks. `kind` is user, service or anonymous; `teams` and `domains` are keys (`sales`), not IRIs."""

    id: str
    kind: str
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    clearance: str = "public"
    purpose: str | None = None


ANONYMOUS = Subject("anonymous", "anonymous")


@dataclass(frozen=True, slots=True, order=True)
class AccessKey:
    """The facts of a product that policy may look at. Products with equal keys get equal decisions.

    `owner` and `members` are team keys or IRIs; policy sees only whether the subject is among them.
    """

    domain: str
    classification: str
    status: str
    tags: tuple[str, ...] = ()
    owner: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Obligations:
    """`mask_columns` holds words of the classification scheme: columns so classified are hidden. `hide_fields` holds
    names of `FIELD_NAMES`. `row_filter` is a condition in SQL for the engine that reads the data, passed on as it is.
    """

    mask_columns: tuple[str, ...] = ()
    hide_fields: tuple[str, ...] = ()
    row_filter: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the policy. `policy` is the entry point that decided, `revision` the digest of the policy set."""

    action: Action
    allowed: bool
    reasons: tuple[str, ...]
    obligations: Obligations
    policy: str
    revision: str


class Need(IntEnum):
    """What a reader must be granted on a product to see a part of it, as bits: `granted & need == need`.

    DISCOVER: the product node with key, title, domain, owner, status. READ: everything else but classified columns.
    PUBLIC..RESTRICTED: a column that carries that `fm:classification` of its own. Needs combine with `|`; the bits of
    `FIELDS` combine with each of them.
    """

    DISCOVER = 0b1
    READ = 0b11
    PUBLIC = 0b111
    INTERNAL = 0b1011
    CONFIDENTIAL = 0b10011
    RESTRICTED = 0b100011


def column_need(classification: str | None) -> int:
    """The need of a column with this classification word of its own (None: it has none)."""
    return Need.READ if classification is None else Need.READ | 4 << CLASSIFICATIONS.index(classification)


_DCT, _DCAT, _DPROD = "http://purl.org/dc/terms/", "http://www.w3.org/ns/dcat#", "https://ekgf.github.io/dprod/"
FIELD_NAMES: Mapping[str, str] = {
    "dct:description": _DCT + "description",
    "dct:subject": _DCT + "subject",
    "dct:license": _DCT + "license",
    "dct:rights": _DCT + "rights",
    "dct:accessRights": _DCT + "accessRights",
    "dct:creator": _DCT + "creator",
    "dct:publisher": _DCT + "publisher",
    "dct:contributor": _DCT + "contributor",
    "dct:language": _DCT + "language",
    "dct:spatial": _DCT + "spatial",
    "dct:temporal": _DCT + "temporal",
    "dct:accrualPeriodicity": _DCT + "accrualPeriodicity",
    "dct:provenance": _DCT + "provenance",
    "dct:relation": _DCT + "relation",
    "dct:source": _DCT + "source",
    "dcat:contactPoint": _DCAT + "contactPoint",
    "dcat:keyword": _DCAT + "keyword",
    "dcat:landingPage": _DCAT + "landingPage",
    "dcat:theme": _DCAT + "theme",
    "dprod:inputDataset": _DPROD + "inputDataset",
    "dprod:purpose": _DPROD + "purpose",
    "dqv:hasQualityMeasurement": "http://www.w3.org/ns/dqv#hasQualityMeasurement",
    "fm:tag": FM + "tag",
    "foaf:page": "http://xmlns.com/foaf/0.1/page",
    "odrl:hasPolicy": "http://www.w3.org/ns/odrl/2/hasPolicy",
    "prov:wasDerivedFrom": "http://www.w3.org/ns/prov#wasDerivedFrom",
    "rdfs:seeAlso": "http://www.w3.org/2000/01/rdf-schema#seeAlso",
}
"""What a policy may name in `hide_fields`, and the predicate of a product each stands for.

Never among them: key, label, domain, owner, classification, status, version and dates, and what the product consists
of. What only a hidden field leads to is hidden with it.
"""
FIELDS: Mapping[str, int] = {iri: 64 << place for place, iri in enumerate(FIELD_NAMES.values())}
"""The bit of each such predicate."""
EVERYTHING = Need.RESTRICTED | Need.CONFIDENTIAL | Need.INTERNAL | Need.PUBLIC | sum(FIELDS.values())


def granted_under(obligations: Obligations) -> int:
    """The bits of `Need` and `FIELDS` that a reader has who is allowed to read under these obligations."""
    hidden = sum(FIELDS[FIELD_NAMES[name]] for name in obligations.hide_fields)
    masked = sum(column_need(word) - Need.READ for word in obligations.mask_columns)
    return EVERYTHING - hidden - masked


class Severity(StrEnum):
    """SHACL's severities; a rule's mode decides: gate is VIOLATION, warn WARNING, advise INFO."""

    VIOLATION = "VIOLATION"
    WARNING = "WARNING"
    INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Finding:
    """One SHACL validation result. `value` is a term in N-Triples syntax; `path` an IRI or a SPARQL path text.

    `messages` are (language tag or "", text); `line`/`column` point into the submitted file, when known. A finding
    with `waived_until` does not gate until then.
    """

    rule: str
    rule_iri: str
    severity: Severity
    messages: tuple[tuple[str, str], ...]
    focus: str
    path: str | None
    value: str | None
    component: str
    line: int | None = None
    column: int | None = None
    waived_until: datetime | None = None

    @property
    def message(self) -> str:
        return next((text for lang, text in self.messages if lang in ("", "en")), self.messages[0][1])

    @property
    def gates(self) -> bool:
        """Whether it refuses: a violation that is not waived."""
        return self.severity is Severity.VIOLATION and self.waived_until is None


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """All findings of one rule and path: what a person reads. `waived_until` is set when all of them are waived."""

    rule: str
    path: str | None
    severity: Severity
    message: str
    count: int
    lines: tuple[int, ...]
    examples: tuple[str, ...]
    waived_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of validation under one rule set. `not_checked` names rules that need the mesh (offline only).

    `failed` are rules that could not be evaluated on this document, and why; they refuse nothing.
    """

    ruleset: str
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def conforms(self) -> bool:
        """No finding gates: none is a violation that is not waived."""
        return not any(finding.gates for finding in self.findings)

    def count(self, severity: Severity) -> int:
        return sum(f.severity is severity for f in self.findings)

    def groups(self) -> list[FindingGroup]:
        """Findings by (rule, path), gates first, then by rule; at most three examples each."""
        found: dict[tuple[str, str | None], list[Finding]] = {}
        for finding in self.findings:
            found.setdefault((finding.rule, finding.path), []).append(finding)
        order = list(Severity)
        groups = [
            FindingGroup(
                rule, path, members[0].severity, members[0].message, len(members),
                tuple(sorted({f.line for f in members if f.line is not None})),
                tuple(f.value or f.focus for f in members[:3]),
                None if any(f.waived_until is None for f in members) else members[0].waived_until,
            )
            for (rule, path), members in found.items()
        ]  # fmt: skip
        return sorted(groups, key=lambda g: (order.index(g.severity), g.rule, g.path or ""))


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of an ordered list. `cursors` runs beside `items`; `total` counts the whole visible list."""

    items: tuple[T, ...]
    cursors: tuple[str, ...]
    has_next: bool
    has_previous: bool
    total: int


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Relay arguments. `first`/`last` at most 200; one of them, not both."""

    first: int | None = 20
    after: str | None = None
    last: int | None = None
    before: str | None = None


# -- filters and requests ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IriFilter:
    any_of: tuple[str, ...] | None = None
    descendants_of: str | None = None


@dataclass(frozen=True, slots=True)
class StringFilter:
    eq: str | None = None
    any_of: tuple[str, ...] | None = None
    prefix: str | None = None
    contains: str | None = None


@dataclass(frozen=True, slots=True)
class PropertyTest:
    """Exactly one field is set."""

    exists: bool | None = None
    equals: str | None = None
    iri: str | None = None
    contains: str | None = None
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """All given tests must hold. `owner` compares the owner's label or IRI."""

    domain: IriFilter | None = None
    owner: StringFilter | None = None
    status: tuple[str, ...] | None = None
    """Words DRAFT, ACTIVE, DEPRECATED, RETIRED."""
    classification: IriFilter | None = None
    term: IriFilter | None = None
    conforms: bool | None = None
    fair_at_least: float | None = None
    """Of 0 to 1. Products the reader may not read, or that are not judged yet, pass neither test."""
    updated_from: datetime | None = None
    updated_until: datetime | None = None
    property: tuple[tuple[str, PropertyTest], ...] = ()
    all_of: tuple[ProductFilter, ...] = ()
    any_of: tuple[ProductFilter, ...] = ()
    none_of: tuple[ProductFilter, ...] = ()


class Direction(StrEnum):
    OUT = "OUT"
    IN = "IN"
    BOTH = "BOTH"


class LineageDirection(StrEnum):
    UPSTREAM = "UPSTREAM"
    DOWNSTREAM = "DOWNSTREAM"
    BOTH = "BOTH"


class FacetField(StrEnum):
    TYPE = "TYPE"
    DOMAIN = "DOMAIN"
    OWNER = "OWNER"
    STATUS = "STATUS"
    LICENSE = "LICENSE"
    CLASSIFICATION = "CLASSIFICATION"
    TERM = "TERM"
    FORMAT = "FORMAT"
    CONFORMS = "CONFORMS"
    FAIR_BAND = "FAIR_BAND"


class SearchOrder(StrEnum):
    RELEVANCE = "RELEVANCE"
    LABEL = "LABEL"
    UPDATED = "UPDATED"
    FAIR_SCORE = "FAIR_SCORE"


@dataclass(frozen=True, slots=True)
class SearchText:
    """One searchable piece: the text that `predicate` states, visible to readers with `need` on the product."""

    need: int
    predicate: str
    text: str
    lang: str = ""


@dataclass(frozen=True, slots=True)
class SearchFacet:
    """One facet value of a search document: an IRI, or a word for STATUS."""

    need: int
    field: FacetField
    value: str


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """A resource as search sees it. `need` makes it findable at all; texts and facets may need more.

    `label` orders `SearchOrder.LABEL`; `updated` (epoch seconds) orders UPDATED.
    """

    iri: str
    need: int
    types: tuple[str, ...]
    label: str
    updated: float
    texts: tuple[SearchText, ...]
    facets: tuple[SearchFacet, ...]


@dataclass(frozen=True, slots=True)
class Highlight:
    """`spans` are (start, end) offsets in code points into `fragment`."""

    predicate: str
    fragment: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class SearchHit:
    iri: str
    score: float
    highlights: tuple[Highlight, ...]
    matched_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FacetBucket:
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class Facet:
    """`other` counts the documents with a value in none of the buckets shown."""

    field: FacetField
    buckets: tuple[FacetBucket, ...]
    other: int


# -- lineage --------------------------------------------------------------------------------------------------------


class Level(StrEnum):
    PRODUCT = "product"
    DATASET = "dataset"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class LineageStatement:
    """`target` was derived from `source`, as one product document states it with `predicate`.

    `need` is what a reader needs on *that* document's product; either end may also be hidden by its own document.
    """

    source: str
    target: str
    predicate: str
    level: Level
    need: int = Need.READ


@dataclass(frozen=True, slots=True)
class LineageNode:
    iri: str
    distance: int
    more_upstream: int
    more_downstream: int


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """Data flows source -> target."""

    source: str
    target: str
    predicate: str


@dataclass(frozen=True, slots=True)
class LineageResult:
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    truncated: bool
    upstream_count: int
    downstream_count: int


# -- journal --------------------------------------------------------------------------------------------------------


class EntryKind(StrEnum):
    GENESIS = "genesis"
    RULES = "rules"
    POLICY = "policy"
    REGISTER = "register"
    RETIRE = "retire"
    WAIVER = "waiver"
    CONFORMANCE = "conformance"


@dataclass(frozen=True, slots=True)
class Draft:
    """A journal entry before it has a place in the chain. `product`, `key` and `revision` are "", "", 0 where none.

    `document` is canonical (sorted) N-Quads of a product, or the canonical JSON of another kind of entry;
    `submitted` the bytes as they came. `detail` is small JSON for people (reason of a retirement, iri_base, ...).
    """

    kind: EntryKind
    product: str
    key: str
    revision: int
    document: bytes
    media_type: str
    submitted: bytes
    actor: str
    at: datetime
    ruleset: str
    policy: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A durable journal entry: the draft, its sequence number (from 1, no gaps) and its place in the hash chain."""

    seq: int
    draft: Draft
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class StatementChange:
    added: bool
    subject: str
    predicate: str
    object: str
    """In N-Triples syntax."""


@dataclass(frozen=True, slots=True)
class Revision:
    number: int
    at: datetime
    by: str
    version: str
    digest: str
    changes: tuple[StatementChange, ...]


# -- what reads answer ------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a node of the graph is to a reader; decides the GraphQL type."""

    PRODUCT = "product"
    DATASET = "dataset"
    COLUMN = "column"
    DOMAIN = "domain"
    TERM = "term"
    UNTYPED = "untyped"


class PortDirection(StrEnum):
    INPUT = "INPUT"
    OUTPUT = "OUTPUT"


class ShapeScope(StrEnum):
    CORE = "CORE"
    ORGANISATION = "ORGANISATION"
    DOMAIN = "DOMAIN"


@dataclass(frozen=True, slots=True)
class Resource:
    """A node the reader may see."""

    iri: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class LiteralValue:
    lexical: str
    datatype: str
    lang: str | None = None


@dataclass(frozen=True, slots=True)
class PropertyValue:
    predicate: str
    value: LiteralValue


@dataclass(frozen=True, slots=True)
class Relation:
    """A resource-valued statement seen from one end. `stated_in` is the product whose document states it (None: a
    vocabulary), `stated_by` that product's owner."""

    predicate: str
    direction: Direction
    node: str
    stated_in: str | None
    stated_by: str | None


@dataclass(frozen=True, slots=True)
class RelationCount:
    predicate: str
    direction: Direction
    count: int
    target_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductInfo:
    """A product's head data. IRIs throughout; `status` is a word of STATUSES; times are those of the journal.

    `home` is the product's own for certain; an `iri` from outside the mesh may be another's as well.
    """

    home: str
    iri: str
    key: str
    revision: int
    version: str | None
    status: str
    domain: str | None
    classification: str | None
    owner: str | None
    terms: tuple[str, ...]
    license: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PortInfo:
    iri: str
    key: str
    direction: PortDirection
    endpoint: str | None
    media_type: str | None
    physical_name: str | None
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    iri: str
    product: str | None
    classification: str | None
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    iri: str
    name: str
    datatype: str | None
    nullable: bool
    terms: tuple[str, ...]
    classification: str | None
    dataset: str | None
    product: str | None


@dataclass(frozen=True, slots=True)
class ConceptInfo:
    """A domain or glossary term with its neighbours in the hierarchy."""

    iri: str
    broader: tuple[str, ...]
    narrower: tuple[str, ...]
    owner: str | None


@dataclass(frozen=True, slots=True)
class ShapeInfo:
    """A rule, as it is on a day. `mode` and `next_mode` are words of `rulefiles.Mode`."""

    iri: str
    id: str
    label: str
    severity: Severity
    targets: tuple[str, ...]
    scope: ShapeScope
    domain: str | None
    version: str
    mode: str
    next_mode: str | None
    next_from: date | None
    owner: str | None
    since: date | None


@dataclass(frozen=True, slots=True)
class PathStep:
    """One statement walked: from `source` along `predicate` (OUT) or against it (IN) to `target`."""

    source: str
    predicate: str
    direction: Direction
    target: str


@dataclass(frozen=True, slots=True)
class Walked:
    node: str
    path: tuple[PathStep, ...]


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One leg of a walk: `min_hops` to `max_hops` statements, ending at a node of any of `target_types` (None: any).

    Raises `InputError` when the hops are negative or the wrong way round.
    """

    predicates: frozenset[str] | None = None
    direction: Direction = Direction.OUT
    target_types: frozenset[str] | None = None
    min_hops: int = 1
    max_hops: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.min_hops <= self.max_hops:
            raise InputError(
                f"a step of {self.min_hops} to {self.max_hops} hops", remedy="Give 0 <= minHops <= maxHops."
            )


# -- what writes take and answer --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submission:
    """One document to register. `if_revision`: refuse unless this is the current revision (0: must not exist yet).

    `waivers` are ids of waivers it relies on: refuse unless all of them hold for the product. Others apply as well.
    """

    content: bytes
    media_type: str | None = None
    if_revision: int | None = None
    waivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became, or would become, of one submission.

    `error` is None when it was (or would be) registered; then `change` is created, updated or unchanged. `report`,
    `decision` and `changes` are there as far as the pipeline got; `comparison` with the revision before, and who
    depends on what breaks, when there was one and the subject may see it; `fair` on a dry run, when it was judged,
    conforming or not.
    """

    key: str | None
    product: str | None
    change: str | None
    revision: int | None
    report: Report | None
    decision: Decision | None
    changes: tuple[StatementChange, ...]
    error: Exception | None
    comparison: Comparison | None = None
    breaks: Dependents | None = None
    fair: Assessment | None = None
