"""Statements the engine computes about a document before its rules run: what SHACL Core cannot express.

Documents cannot state them: statements with these predicates in a document are not looked at. Each computed statement
remembers the statement it was computed from, so that a finding about it can show the reader's own words.
"""

from __future__ import annotations

import functools
import re
from calendar import isleap, monthrange
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fairmesh.catalog import lexical, rdf
from fairmesh.catalog.model import FM
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.triples import Index

_Term = NamedNode | BlankNode | Literal

_DCT, _DCAT, _DPROD = rdf.PREFIXES["dct"], rdf.PREFIXES["dcat"], rdf.PREFIXES["dprod"]
_PROV, _CSVW, _XSD = rdf.PREFIXES["prov"], rdf.PREFIXES["csvw"], rdf.PREFIXES["xsd"]
_TYPE = rdf.PREFIXES["rdf"] + "type"
_TRUE = Literal("true", datatype=NamedNode(_XSD + "boolean"))

PREFIX = FM + "computed"
"""Every computed predicate begins with this."""


@dataclass(frozen=True, slots=True)
class Computed:
    """One computed statement, and the predicate and value of the statement in the document that it is about."""

    triple: Triple
    predicate: str
    value: _Term


class Sources:
    """Finds the document's statements behind a validation result about computed ones."""

    def __init__(self, statements: Iterable[Computed]) -> None:
        self._found: dict[tuple[str, str], list[Computed]] = {}
        for statement in statements:
            predicate = statement.triple.predicate.value
            for end in (rdf.iri_of(statement.triple.subject) or "", str(statement.triple.object)):
                self._found.setdefault((predicate, end), []).append(statement)

    def behind(self, path: str, value: str | None, focus: str) -> Iterator[tuple[str, str]]:
        """Predicates and values (N-Triples) for a result whose path is, or ends in, a computed predicate.

        `path` and `value` are as in `model.Finding`; a result without a value stands for all values of the focus.
        """
        simple = path.startswith(PREFIX)
        predicate = path if simple else path.rpartition("<")[2].removesuffix(">")
        for statement in self._found.get((predicate, focus if value is None else value), ()):
            if not simple or rdf.iri_of(statement.triple.subject) == focus:
                yield statement.predicate, str(statement.value)


@dataclass(frozen=True, slots=True)
class Facts:
    """What computation may look at: the document's statements, the product's IRI, its own nodes, the mesh's base."""

    index: Index
    product: NamedNode
    own: Collection[str]
    iri_base: str
    now: datetime


def compute(facts: Facts) -> list[Computed]:
    """All computed statements about a document, see `TABLE`."""
    return [statement for function, _ in TABLE for statement in function(facts)]


def _text(subject: _Term, name: str, text: str, predicate: str, value: _Term) -> Computed:
    return Computed(Triple(subject, NamedNode(PREFIX + name), Literal(text)), predicate, value)  # type: ignore[arg-type]


def _key(facts: Facts) -> Iterator[Computed]:
    """`product fm:computedKey`: the product's IRI without `iri_base`; nothing for a product outside it."""
    if facts.product.value.startswith(facts.iri_base):
        key = facts.product.value.removeprefix(facts.iri_base)
        yield _text(facts.product, "Key", key, _DCT + "identifier", facts.product)


def _key_domain(facts: Facts) -> Iterator[Computed]:
    """`product fm:computedKeyDomain`: the part of each `dct:identifier` before its first dot."""
    for identifier in facts.index.objects(facts.product, _DCT + "identifier"):
        if isinstance(identifier, Literal):
            text = identifier.value.partition(".")[0]
            yield _text(facts.product, "KeyDomain", text, _DCT + "identifier", identifier)


def _domain_key(facts: Facts) -> Iterator[Computed]:
    """`product fm:computedDomainKey`: the last path segment of each `dprod:domain` IRI."""
    for domain in facts.index.objects(facts.product, _DPROD + "domain"):
        if isinstance(domain, NamedNode):
            text = re.split(r"[/#]", domain.value.rstrip("/#"))[-1]
            yield _text(facts.product, "DomainKey", text, _DPROD + "domain", domain)


def _names(facts: Facts, schema: _Term) -> list[str]:
    names: list[str] = []
    for column in facts.index.objects(schema, _CSVW + "column"):
        found = {t.value for t in facts.index.objects(column, _CSVW + "name") if isinstance(t, Literal)}
        names += sorted(found) if len(found) > 1 else found
    return names


def _duplicate_names(facts: Facts) -> Iterator[Computed]:
    """`schema fm:computedDuplicateName`: a `csvw:name` that two of its `csvw:column` share."""
    for schema in facts.index.heads.get(_CSVW + "column", ()):
        names = _names(facts, schema)
        if len(set(names)) < len(names):
            for name in [name for name, count in Counter(names).items() if count > 1]:
                yield _text(schema, "DuplicateName", name, _CSVW + "name", Literal(name))


def _unknown_keys(facts: Facts) -> Iterator[Computed]:
    """`schema fm:computedUnknownKey`: a name in `csvw:primaryKey` (comma-separated) that none of its columns has."""
    names: dict[_Term, set[str]] = {}
    for schema, key in facts.index.pairs[_CSVW + "primaryKey"]:
        if schema not in names:
            names[schema] = set(_names(facts, schema))
        known = names[schema]
        if isinstance(key, Literal):
            for name in dict.fromkeys(part.strip() for part in key.value.split(",")):
                if name not in known:
                    yield _text(schema, "UnknownKey", name, _CSVW + "primaryKey", key)


def _dates(facts: Facts) -> Iterator[Computed]:
    """`node fm:computedUntypedDate`, `...FutureDate`, `...DateDisorder` for an own node's `dct:issued`, `dct:modified`.

    Untyped: no valid xsd:date, dateTime, gYearMonth or gYear. Future: more than a day after now. Disorder: issued
    after modified, with the less exact of the two given the benefit of the doubt. No time zone is read as UTC.
    """
    spans: dict[_Term, dict[str, list[tuple[_Term, datetime, datetime]]]] = {}
    for predicate in (_DCT + "issued", _DCT + "modified"):
        for subject, value in facts.index.pairs[predicate]:
            if rdf.iri_of(subject) not in facts.own:
                continue
            span = date_span(value)
            text = value.value
            if span is None:
                yield _text(subject, "UntypedDate", text, predicate, value)
                continue
            spans.setdefault(subject, {}).setdefault(predicate, []).append((value, *span))
            if span[0] > facts.now + timedelta(days=1):
                yield _text(subject, "FutureDate", text, predicate, value)
    for subject, found in spans.items():
        first_end = min((end for _, _, end in found.get(_DCT + "modified", ())), default=_LAST)
        for issued, start, _ in found.get(_DCT + "issued", ()):
            if start >= first_end and _DCT + "modified" in found:
                yield _text(subject, "DateDisorder", issued.value, _DCT + "issued", issued)


def _language_tags(facts: Facts) -> Iterator[Computed]:
    """`node fm:computedBadLanguageTag`: a tag on one of an own node's texts that is not well-formed by BCP 47."""
    for subject, statements in facts.index.subjects.items():
        if rdf.iri_of(subject) in facts.own:
            for predicate, values in statements.items():
                for value in values:
                    tag = value.language if isinstance(value, Literal) else None
                    if tag is not None and not well_formed_tag(tag):
                        yield _text(subject, "BadLanguageTag", tag, predicate, value)


def _external(facts: Facts) -> Iterator[Computed]:
    """`target a fm:ExternalDataset`: what own datasets and products read that lies outside `iri_base`."""
    column = NamedNode(_CSVW + "Column")
    external = NamedNode(FM + "ExternalDataset")
    for predicate in (_PROV + "wasDerivedFrom", _DPROD + "inputDataset"):
        for subject, target in facts.index.pairs[predicate]:
            if (
                isinstance(target, NamedNode)
                and not target.value.startswith(facts.iri_base)
                and target.value not in facts.own
                and column not in facts.index.objects(subject, _TYPE)
            ):
                yield Computed(Triple(target, NamedNode(_TYPE), external), _TYPE, external)


_TABULAR_MEDIA = re.compile(
    r"text/(csv|tab-separated-values)|application/(x-|vnd\.apache\.)?(parquet|orc|avro|arrow\.(file|stream))"
    r"|application/vnd\.ms-excel|application/vnd\.(openxmlformats-officedocument\.spreadsheetml\.sheet|oasis\.opendocument\.spreadsheet)"
    r"|(.*/)?(CSV|TSV|PARQUET|ORC|AVRO|XLS|XLSX|ODS)"
)
"""Tails of media type and EU file type IRIs that hold rows and columns."""


def _tabular(facts: Facts) -> Iterator[Computed]:
    """`dataset fm:computedTabular true`: it conforms to a csvw:Schema or a distribution of it is a table.

    A distribution is a table when it has `fm:physicalName`, or a `dcat:mediaType` that is a tabular format.
    """
    schema = NamedNode(_CSVW + "Schema")
    datasets: dict[_Term, tuple[str, _Term]] = {}
    for dataset, standard in facts.index.pairs[_DCT + "conformsTo"]:
        if schema in facts.index.objects(standard, _TYPE):
            datasets.setdefault(dataset, (_DCT + "conformsTo", standard))
    for dataset, distribution in facts.index.pairs[_DCAT + "distribution"]:
        media = facts.index.objects(distribution, _DCAT + "mediaType")
        tabular = any(_TABULAR_MEDIA.fullmatch(_media_tail(rdf.iri_of(m) or m.value)) for m in media)
        if tabular or facts.index.objects(distribution, FM + "physicalName"):
            datasets.setdefault(dataset, (_DCAT + "distribution", distribution))
    for dataset, (predicate, value) in datasets.items():
        yield Computed(Triple(dataset, NamedNode(PREFIX + "Tabular"), _TRUE), predicate, value)  # type: ignore[arg-type]


def _media_tail(media: str) -> str:
    return re.sub(r"^.*/(?:media-types|file-type)/", "", media).split(";")[0].strip()


TABLE: tuple[tuple[Callable[[Facts], Iterator[Computed]], tuple[str, ...]], ...] = (
    (_key, ("computedKey",)),
    (_key_domain, ("computedKeyDomain",)),
    (_domain_key, ("computedDomainKey",)),
    (_duplicate_names, ("computedDuplicateName",)),
    (_unknown_keys, ("computedUnknownKey",)),
    (_dates, ("computedUntypedDate", "computedFutureDate", "computedDateDisorder")),
    (_language_tags, ("computedBadLanguageTag",)),
    (_tabular, ("computedTabular",)),
    (_external, ()),
)
"""Each function, and the local names of the predicates it states in the fm namespace."""

PREDICATES = frozenset(FM + name for _, names in TABLE for name in names)


# -- lexical forms ---------------------------------------------------------------------------------------------------

_DATES = frozenset(_XSD + name for name in ("dateTime", "date", "gYearMonth", "gYear"))
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def date_span(value: _Term) -> tuple[datetime, datetime] | None:
    """From when until before when a date literal may mean (XML Schema 1.1, part 2); None if it is not a valid date."""
    if not isinstance(value, Literal) or value.datatype.value not in _DATES:
        return None
    parts = lexical.temporal(value)
    if parts is None:
        return None
    if not 1 < (year := int(parts["year"][:9])) < 9999:
        return (_FIRST, _FIRST) if year < 2 else (_LAST, _LAST)
    start = datetime(year, int(parts.get("month", 1)), int(parts.get("day", 1)), tzinfo=UTC)
    start -= _offset(parts.get("zone"))
    if "midnight" in parts:
        start += timedelta(days=1)
    elif "hour" in parts:
        start += timedelta(hours=int(parts["hour"]), minutes=int(parts["minute"]), seconds=int(parts["second"][:2]))
    if "midnight" in parts or "hour" in parts:
        return start, start + timedelta(seconds=1)
    return start, start + timedelta(days=_length(year, parts))


def _length(year: int, parts: Mapping[str, str]) -> int:
    """How many days a date means."""
    if "day" in parts:
        return 1
    return monthrange(year, int(parts["month"]))[1] if "month" in parts else 365 + isleap(year)


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    return timedelta(hours=int(zone[1:3]), minutes=int(zone[4:])) * (-1 if zone[0] == "-" else 1)


_LANGUAGE_TAG = re.compile(
    r"""
    (?: (?:[a-z]{2,3}(?:-[a-z]{3}){0,3} | [a-z]{4} | [a-z]{5,8})   # language, extended language
        (?:-[a-z]{4})?                                             # script
        (?:-(?:[a-z]{2}|[0-9]{3}))?                                # region
        (?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*                   # variants
        (?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*                       # extensions
        (?:-x(?:-[a-z0-9]{1,8})+)?                                 # private use
      | x(?:-[a-z0-9]{1,8})+
      | en-gb-oed | i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)
      | sgn-(?:be-fr|be-nl|ch-de) | art-lojban | cel-gaulish | no-(?:bok|nyn) | zh-(?:guoyu|hakka|min|min-nan|xiang)
    )""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


@functools.lru_cache(maxsize=1000)
def well_formed_tag(tag: str) -> bool:
    """Whether a language tag follows the grammar of RFC 5646, section 2.1; the registry is not consulted."""
    return _LANGUAGE_TAG.fullmatch(tag) is not None
