"""What a new revision of a product changes, and what that means for those who use it.

Each statement that only one of two documents has belongs to exactly one `RevisionChange`, which is BREAKING (who relies
on the old revision may fail), ADDITIVE (there is more than before) or EDITORIAL (nobody has to do anything).
docs/changes.md lists what counts as what, and says how `dcat:version` has to move (Semantic Versioning 2.0.0).

Things are the same on both sides by what readers know them by: columns by name, for each dataset that has them;
schemas by IRI, or by dataset and columns; anonymous distributions and services by their addresses, all else by IRI.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache, cached_property

from fairmesh.catalog import retyping, rights, semver
from fairmesh.catalog.document import (
    COLUMN_CLASSIFICATION,
    CSVW,
    DCAT,
    DCT,
    DERIVED,
    DESCRIPTIONS,
    DPROD,
    DPROD_STATUS,
    FOAF,
    RDFS,
    SENSITIVITY,
    SHARED,
    TITLES,
    TYPE,
    Statements,
    tail,
)
from fairmesh.catalog.feeds.datatypes import datatype
from fairmesh.catalog.model import CLASSIFICATIONS, FM, LIVE_STATUSES, StatementChange
from fairmesh.catalog.parts import ADDRESSES, OUTPUTS, VERSION, Ident, Parts, Term, anonymous
from fairmesh.catalog.rdf import PREFIXES, Literal, NamedNode, Triple, compact
from fairmesh.catalog.retyping import Fit
from fairmesh.catalog.rights import ACCESS_RIGHTS, LICENCES, Terms
from fairmesh.catalog.semver import Step

CATALOG_RECORD = DCAT + "CatalogRecord"

_Slot = tuple[str, Ident, str]
"""A facet, the thing it is about, and a predicate where each predicate is a facet of its own."""


class Kind(StrEnum):
    BREAKING = "breaking"
    ADDITIVE = "additive"
    EDITORIAL = "editorial"


@dataclass(frozen=True, slots=True)
class RevisionChange:
    """One change in words. `what` is a stable code, `node` the IRI it is about (that of the old revision, if there was
    one), `label` that node for people. `before` and `after` are short texts, None where there is nothing to tell.
    `line` and `column`, from 1, are where the new revision says so as it was submitted, see `intake.with_places`."""

    kind: Kind
    what: str
    node: str
    label: str
    before: str | None
    after: str | None
    statements: tuple[StatementChange, ...]
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class VersionMove:
    """How `dcat:version` moved and how it should have. `required` is NONE, PATCH, MINOR or MAJOR.

    `enough` is true, too, when nothing can be asked: the old revision had no semantic version. `note` then says so, and
    says what else is not as usual; `proposed` is the lowest version that would do, when the one given does not. `line`
    and `column` are as a change has them.
    """

    before: str | None
    after: str | None
    required: Step
    moved: Step
    enough: bool
    note: str = ""
    proposed: str | None = None
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two revisions of a product. `changes` come breaking first, then by code and label.

    `broken` are the datasets and columns of the old revision that are not any more what they were, each with the
    datasets it belongs to (a dataset: itself); also internal datasets, whose changes are not breaking by themselves.
    `promised`: the old revision was live, which is when others may rely on it. `live`: the new one is.
    """

    product: str
    changes: tuple[RevisionChange, ...]
    version: VersionMove
    broken: Mapping[str, frozenset[str]]
    promised: bool
    live: bool

    @property
    def breaking(self) -> tuple[RevisionChange, ...]:
        return tuple(change for change in self.changes if change.kind is Kind.BREAKING)

    @property
    def unannounced(self) -> bool:
        """It breaks what a live revision promised, and the version does not say so."""
        return self.promised and bool(self.breaking) and not self.version.enough


def compare(old: Iterable[Triple], new: Iterable[Triple], *, product: str, iri_base: str) -> Comparison:
    """Compare two revisions in their normal form (`document.read`); none at all means not registered, or retired."""
    return _Comparer(Parts(old, product), Parts(new, product), product, iri_base).comparison()


# -- which statement belongs to which change --------------------------------------------------------------------------

_FACETS: Mapping[str, Mapping[str, str]] = {
    "product": {DPROD_STATUS: "status", VERSION: "version", SENSITIVITY: "class", DPROD + "outputPort": "access"},
    "dataset": {SENSITIVITY: "class", DCAT + "distribution": "access", DCT + "conformsTo": "standard"},
    "schema": {CSVW + "primaryKey": "key"},
    "column": {
        CSVW + "datatype": "type", FM + "physicalType": "type", CSVW + "required": "required", CSVW + "name": "name",
        CSVW + "separator": "type", FM + "physicalName": "name", DCT + "isPartOf": "name",
        COLUMN_CLASSIFICATION: "class",
    },
    "distribution": {
        **dict.fromkeys((*ADDRESSES, DCAT + "mediaType", DCT + "format", DCAT + "accessService"), "access"),
        **dict.fromkeys((DCAT + "packageFormat", DCAT + "compressFormat", DPROD + "protocol"), "access"),
        DCT + "conformsTo": "standard",
    },
    "service": {
        **dict.fromkeys((*ADDRESSES, DCAT + "mediaType", DCT + "format", DCAT + "servesDataset"), "access"),
        DPROD + "protocol": "access", DCT + "conformsTo": "standard",
    },
}  # fmt: skip
_LINKS = frozenset(
    {
        *(OUTPUTS, DCT + "hasPart", DPROD + "outputPort", DCT + "conformsTo", CSVW + "column", DCT + "isPartOf"),
        *(DCAT + "distribution", DCAT + "accessService", DCAT + "servesDataset"),
    }
)
_APART = frozenset(("access", "standard", "said"))
"""Facets in which each predicate is told by itself."""
_TERMS = {**dict.fromkeys(LICENCES, "licence"), ACCESS_RIGHTS: "rights"}
"""Predicates that say the same of whatever has them."""

_TOLD = (
    *TITLES[:-1], *DESCRIPTIONS, DCAT + "keyword", DCAT + "theme", DCT + "subject", DCAT + "landingPage",
    FOAF + "page", RDFS + "seeAlso", DCAT + "contactPoint", DPROD + "dataProductOwner", DPROD + "purpose",
    DCT + "creator", DCT + "publisher", DCT + "contributor", DCT + "source",
    DCT + "provenance", DCT + "relation", DCT + "isReplacedBy", DCT + "replaces", DCT + "accrualPeriodicity",
    PREFIXES["dqv"] + "hasQualityMeasurement", FM + "tag",
)  # fmt: skip
_FLOWS = (DERIVED, DPROD + "inputDataset", DPROD + "inputPort")
_KNOWN = {
    **dict.fromkeys(_TOLD, "description-changed"), **dict.fromkeys(_FLOWS, "lineage-changed"),
    **dict.fromkeys((DCT + "issued", DCT + "modified"), "date-changed"), FM + "position": "column-moved",
}  # fmt: skip
"""Predicates that describe and promise nothing: whatever becomes of them is editorial."""
_FREE = frozenset(("version-changed", "version-lowered", "version-removed", "date-changed", "record-changed"))
"""What asks for no other version by itself: it comes with any revision, or is about the version."""


class _Sorter:
    """Says of a statement that one side has and the other has not to which slot it belongs."""

    def __init__(self, side: Parts, other: Parts, terms: Mapping[str, tuple[str, Ident]]) -> None:
        """`terms`: the nodes that spell out terms, each with the facet and the thing they are the terms of."""
        self.side, self.other, self._terms = side, other, terms

    def slot(self, triple: Triple) -> _Slot:
        side, other = self.side, self.other
        subject, predicate = side.holder(triple.subject.value, triple.predicate.value)
        value = triple.object if subject == triple.subject.value else None
        me = side.known(subject, other)
        if me is not None and me not in other.at:
            return "whole", side.outermost(me, other), ""
        target = side.known(value.value, other) if isinstance(value, NamedNode) and predicate in _LINKS else None
        if target is not None and target not in other.at:
            return "whole", side.outermost(target, other), ""
        facet, holder = self._terms.get(subject, ("", ("",)))
        if me is None and holder in side.at:
            return (facet, holder, "") if holder in other.at else ("whole", side.outermost(holder, other), "")
        if me is None and any(CATALOG_RECORD in each.graph.iris(subject, TYPE) for each in (side, other)):
            return "record", ("", side.product), ""
        if me is None:
            known = subject in other.graph.by_subject
            return ("said", ("", subject), predicate) if known else ("node", ("", subject), "")
        if self._only_readdressed(me, predicate, value, target):
            return "address", me if other.at[me] != subject else target or me, ""
        if target is not None and target[0] == "dataset" and me[0] == "product":
            return "exposure", target, ""
        if target is not None and target[0] == "schema" and me[0] == "dataset":
            return "schemas", me, ""
        facet = _TERMS.get(predicate) or _FACETS[me[0]].get(predicate, "said")
        return facet, me, predicate if facet in _APART else ""

    def _only_readdressed(self, me: Ident, predicate: str, value: Term | None, target: Ident | None) -> bool:
        """Whether the other side says the same of the same thing, by other IRIs."""
        said = value if target is None else NamedNode(self.other.at[target])
        if said is None:
            return False
        return Triple(NamedNode(self.other.at[me]), NamedNode(predicate), said) in self.other.triples


# -- what it means ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    kind: Kind
    what: str
    before: str | None = None
    after: str | None = None


class _Comparer:
    def __init__(self, old: Parts, new: Parts, product: str, iri_base: str) -> None:
        self.old, self.new, self.product = old, new, product
        self.shared = tuple(iri_base + folder for folder in SHARED)
        self._match_schemas()
        self._match_renamed()
        self.broken: dict[str, frozenset[str]] = {}
        self.noted: set[frozenset[str]] = set()
        self._lost = cache(self._read_lost)
        self._both = cache(frozenset[str].intersection)
        self._datasets = frozenset(ident[1] for ident in self.old.at if ident[0] == "dataset")
        self.judges: dict[str, Callable[[Ident, str, list[Triple], list[Triple]], _Judged]] = {
            "whole": self._whole, "address": self._address, "exposure": self._exposure, "status": self._status,
            "version": self._version, "class": self._class, "access": self._access, "standard": self._access,
            "key": self._key, "type": self._type, "required": self._required, "name": self._name,
            "licence": self._licence, "rights": self._rights, "said": self._said, "node": self._node,
            "record": self._record, "schemas": self._schemas,
        }  # fmt: skip

    def _match_schemas(self) -> None:
        """A schema is the same under the same IRI; else with the same columns for the same dataset; else as the only
        one left that a dataset has on either side."""
        old, new = self.old, self.new
        pairs = {node: node for node in old.schemas if node in new.schemas and not anonymous(node)}
        shapes = (self._by_shape(old, pairs.keys()), self._by_shape(new, pairs.keys()))
        left = tuple({place[0] for place in shape} for shape in shapes)
        paired = set(pairs)
        alike = sorted(shapes[0].keys() & shapes[1].keys(), key=lambda place: (place[0], shapes[0][place]))
        candidates = [(shapes[0][place], shapes[1][place]) for place in alike]
        for dataset in sorted(left[0] & left[1]):
            before, after = ([s for s in side.schemas_of[dataset] if s not in paired] for side in (old, new))
            if len(before) == len(after) == 1:
                candidates.append((before[0], after[0]))
        for was, now in candidates:
            if was not in pairs and now not in paired:
                pairs[was] = now
                paired.add(now)
        new.rename_schemas({now: old.ident[was] for was, now in pairs.items()}, old.at)

    def _by_shape(self, side: Parts, known: Set[str]) -> dict[tuple[str, frozenset[tuple[str, ...]]], str]:
        """The schemas that are not known yet, by dataset and columns."""
        found: dict[tuple[str, frozenset[tuple[str, ...]]], str] = {}
        for schema, datasets in side.schemas.items():
            if schema not in known:
                columns = frozenset(side.columns[schema])
                for dataset in datasets:
                    found.setdefault((dataset, columns), schema)
        return found

    def _match_renamed(self) -> None:
        """A column under the same IRI and another name is that column, renamed; names that both sides have go first."""
        old, new = self.old, self.new
        for node, ident in sorted(old.ident.items()):
            if ident[0] != "column" or node not in new.ident or new.ident[node][0] != "column" or anonymous(node):
                continue
            gone = old.known(node, new) not in new.at and new.known(node, old) not in old.at
            if gone and not old.holders(node).isdisjoint(new.holders(node)):
                new.rename(node, ident)

    def comparison(self) -> Comparison:
        old, new = self.old, self.new
        slots: dict[_Slot, tuple[list[Triple], list[Triple]]] = defaultdict(lambda: ([], []))
        whole: _Slot = ("product", ("product",), "")
        terms = self._spelled_out()
        for number, (side, other) in enumerate(((old, new), (new, old))):
            sorter = _Sorter(side, other, terms)
            for triple in sorted(side.triples - other.triples, key=str):
                slot = sorter.slot(triple) if old.there and new.there else whole
                slots[slot][number].append(triple)
        if old.there and new.there:
            changes = [self._change(slot, *statements) for slot, statements in slots.items()]
        else:
            changes = [self._life(*statements) for statements in slots.values()]
        order = list(Kind)
        changes.sort(key=lambda c: (order.index(c.kind), c.what, c.label, c.node))
        return Comparison(
            self.product, tuple(changes), self._move(changes),
            dict(sorted(self.broken.items())),
            old.status() in LIVE_STATUSES, new.status() in LIVE_STATUSES,
        )  # fmt: skip

    def _life(self, removed: list[Triple], added: list[Triple]) -> RevisionChange:
        """Of a product that is not there on one side."""
        side = self.old if self.old.there else self.new
        judged = _Judged(Kind.ADDITIVE, "product-added")
        if self.old.there:
            judged = _Judged(Kind.BREAKING, "product-retired")
            self._break_all(self.old.outputs)
        return _stated(judged, self.product, side.label(self.product), removed, added)

    def _change(self, slot: _Slot, removed: list[Triple], added: list[Triple]) -> RevisionChange:
        facet, ident, predicate = slot
        judged = self.judges[facet](ident, predicate, removed, added)
        side = self.old if ident in self.old.at else self.new
        node = ident[1] if ident[0] == "" else side.at[ident]
        label = (self.old if node in self.old.graph.by_subject else self.new).label(node, ident)
        if judged.kind is Kind.BREAKING and facet != "version":  # the data is what it was
            lost = {t.object.value for t in removed} if predicate == DCAT + "servesDataset" else set()
            held = (
                self._break_all(frozenset(lost & self._datasets)) if lost & self._datasets else self._break(ident, node)
            )
            # a product is as sensitive as its internal datasets, too: readers of its outputs may be shut out
            raised = (facet, ident[0]) == ("class", "dataset") and _rank(self.new.level) > _rank(self.old.level)
            if held and not raised and held.isdisjoint(self.old.outputs):
                judged, label = _Judged(Kind.EDITORIAL, judged.what, judged.before, judged.after), f"{label} (internal)"
        return _stated(judged, node, label, removed, added)

    def _break(self, ident: Ident, node: str) -> frozenset[str]:
        """Note what breaks; returns the datasets concerned, none when it is all of them."""
        if ident[0] == "column" and ident in self.old.at:
            held = self.old.holders(node)
            if ident in self.new.at:
                # where it became another column; a dataset that has it as it was breaks nobody
                held = self._both(held, self.new.holders(self.new.at[ident])) or held
            self.broken[node] = self.broken[node] | held if node in self.broken else held
            return held
        if ident[0] == "schema" and node in self.old.schemas:
            return self._break_all(frozenset(self.old.schemas[node]))
        if ident[0] == "dataset" and ident in self.old.at:
            return self._break_all(frozenset(ident[1:2]))
        if served := self.old.served.get(node, set()) & self._datasets:
            return self._break_all(frozenset(served))
        self._break_all(self.old.outputs)
        return frozenset()

    def _break_all(self, datasets: frozenset[str]) -> frozenset[str]:
        if datasets not in self.noted:  # a set keeps its hash, so that asking again costs nothing
            self.noted.add(datasets)
            self.broken.update({dataset: frozenset((dataset,)) for dataset in datasets})
        return datasets

    def _move(self, changes: Iterable[RevisionChange]) -> VersionMove:
        """By clauses 4 (0.y.z), 6, 7 and 8. What only dates or renumbers the revision asks for nothing."""
        kinds = {change.kind for change in changes if change.what not in _FREE}
        required = (
            Step.MAJOR if Kind.BREAKING in kinds else Step.MINOR if Kind.ADDITIVE in kinds
            else Step.PATCH if kinds else Step.NONE
        )  # fmt: skip
        before, after = self.old.version(), self.new.version()
        old, new = semver.read(before), semver.read(after)
        moved = semver.moved(old, new)
        if not self.old.there or not self.new.there:
            return VersionMove(before, after, Step.NONE, moved, True)
        if old is None:
            said = f"was {before!r}, which is no semantic version" if before else "was not stated"
            if several := self.old.versions()[1:]:
                said = f"was stated {len(several) + 1} times"
            return VersionMove(before, after, required, moved, True, f"the version {said}: nothing is asked of it")
        note = ""
        if old.core[0] == 0 and required in (Step.MAJOR, Step.MINOR):
            required = Step.MINOR if required is Step.MAJOR else Step.PATCH
            note = "before 1.0.0 a minor version may break"
        enough = moved.reaches(required)
        if new is None:
            note = f"the version is {after!r}, which is no semantic version" if after else "the version is not stated"
            if several := self.new.versions()[1:]:
                note = f"the version is stated {len(several) + 1} times"
        proposed = None if enough else before if required is Step.NONE else old.after(required)
        return VersionMove(before, after, required, moved, enough, note, proposed)

    # -- judges: what the statements of one slot mean --

    def _whole(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        role, gone = ident[0], ident in self.old.at
        if role == "column":
            return _Judged(Kind.BREAKING, "column-dropped") if gone else _Judged(Kind.ADDITIVE, "column-added")
        if role == "dataset":
            if gone:
                return _Judged(Kind.BREAKING, "dataset-removed")
            levels = self.old.level, self.new.level
            if _rank(levels[1]) > _rank(levels[0]) and self.new.classified(self.new.at[ident], SENSITIVITY) in (
                None, levels[1]
            ):  # fmt: skip
                # the product is as sensitive as its most sensitive dataset: who saw it may not any more
                return _Judged(Kind.BREAKING, "classification-raised", *levels)
            return _Judged(Kind.ADDITIVE, "dataset-added")
        if role == "service":
            return _Judged(Kind.BREAKING, "port-removed") if gone else _Judged(Kind.ADDITIVE, "port-added")
        if role == "distribution":
            return _Judged(Kind.BREAKING, "port-narrowed") if gone else _Judged(Kind.ADDITIVE, "port-widened")
        if gone and self.old.graph.iris(self.old.at[ident], CSVW + "column"):
            return _Judged(Kind.BREAKING, "schema-removed")
        return _Judged(Kind.EDITORIAL, "schema-removed") if gone else _Judged(Kind.ADDITIVE, "schema-added")

    def _address(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        before, after = self.old.at[ident], self.new.at[ident]
        return _Judged(Kind.EDITORIAL, "address-changed", _shown(before), _shown(after))

    def _exposure(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        before, after = (ident[1] in side.outputs for side in (self.old, self.new))
        if before and not after:
            return _Judged(Kind.BREAKING, "dataset-removed", "output", "internal")
        if after and not before:
            return _Judged(Kind.ADDITIVE, "dataset-added", "internal", "output")
        return _Judged(Kind.EDITORIAL, "description-changed")

    def _status(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        before, after = self.old.status(), self.new.status()
        if before in LIVE_STATUSES and after not in LIVE_STATUSES:
            what = "product-retired" if after == "retired" else "product-withdrawn"
            return _Judged(Kind.BREAKING, what, before, after or None)
        if after == "deprecated" and before != after:  # clause 7: deprecation takes a minor version
            return _Judged(Kind.ADDITIVE, "product-deprecated", before or None, after)
        return _Judged(Kind.EDITORIAL, "status-changed", before or None, after or None)

    def _version(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        """One that goes back, or away, breaks: else what a version promised could be taken from behind it."""
        texts = _values(removed), _values(added)
        before, after = (semver.read(side.version()) for side in (self.old, self.new))
        if before is not None and after is None:
            return _Judged(Kind.BREAKING, "version-removed", *texts)
        if semver.moved(before, after) is Step.BACK:
            return _Judged(Kind.BREAKING, "version-lowered", *texts)
        return _Judged(Kind.EDITORIAL, "version-changed", *texts)

    def _class(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        predicate = COLUMN_CLASSIFICATION if ident[0] == "column" else SENSITIVITY
        stated = [side.classified(side.at[ident], predicate) for side in (self.old, self.new)]
        weighed = list(stated)
        if ident[0] == "column":  # one without its own has its dataset's
            weighed = [
                word or side.classified(ident[1], SENSITIVITY)
                for side, word in zip((self.old, self.new), stated, strict=True)
            ]
        elif ident[0] == "product" and None in stated:
            weighed = [self.old.level, self.new.level]
        ranks = [_rank(word) for word in weighed]
        if ranks[1] > ranks[0]:
            return _Judged(Kind.BREAKING, "classification-raised", *stated)
        if ranks[1] < ranks[0]:
            return _Judged(Kind.ADDITIVE, "classification-lowered", *stated)
        return _Judged(Kind.EDITORIAL, "classification-restated", *stated)

    def _access(self, ident: Ident, predicate: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        noun = "standard" if _FACETS[ident[0]].get(predicate) == "standard" else "port"
        old, new = ({_spelled(o) for o in self._objects(s, ident, predicate)} for s in (self.old, self.new))
        texts = _values(removed), _values(added)
        if old == new:
            return _Judged(Kind.EDITORIAL, "spelling-changed", *texts)
        if old <= new:
            return _Judged(Kind.ADDITIVE, "port-widened" if noun == "port" else "standard-added", *texts)
        return _Judged(Kind.BREAKING, "port-narrowed" if noun == "port" else "standard-removed", *texts)

    def _objects(self, side: Parts, ident: Ident, *predicates: str) -> list[Term]:
        return [value for predicate in predicates for value in side.graph.objects(side.at[ident], predicate)]

    def _key(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        old, new = (
            {name.strip() for o in self._objects(side, ident, CSVW + "primaryKey") for name in o.value.split(",")}
            for side in (self.old, self.new)
        )
        texts = ", ".join(sorted(old)) or None, ", ".join(sorted(new)) or None
        if old == new:
            return _Judged(Kind.EDITORIAL, "spelling-changed", *texts)
        return _Judged(
            Kind.BREAKING if old else Kind.ADDITIVE, "primary-key-changed" if old else "primary-key-added", *texts
        )

    def _type(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        old, new = (_Types.of(side.graph, side.at[ident]) for side in (self.old, self.new))
        texts: tuple[str | None, ...] = old.text() or None, new.text() or None
        fit = old.fit(new)
        apart = [{o.value for o in self._objects(s, ident, CSVW + "separator")} for s in (self.old, self.new)]
        if apart[0] != apart[1]:  # a list of values where there was one, or told apart by something else
            texts = tuple(
                " ".join(filter(None, (text, *(f"(separator {mark!r})" for mark in sorted(marks))))) or None
                for text, marks in zip(texts, apart, strict=True)
            )
            fit = Fit.OTHER
        if fit is Fit.OTHER:
            return _Judged(Kind.BREAKING, "column-retyped", *texts)
        if fit is Fit.WIDER:
            return _Judged(Kind.ADDITIVE, "column-widened" if texts[0] else "column-typed", *texts)
        return _Judged(Kind.EDITORIAL, "spelling-changed", *texts)

    def _schemas(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        """Of a dataset that takes up, or gives up, a schema that there is on both sides."""
        texts = _values(removed), _values(added)
        schemas = [tuple(sorted(side.schemas_of.get(ident[1], ()))) for side in (self.old, self.new)]
        dropped, retyped = self._lost(schemas[0], schemas[1])
        if dropped:
            names = ", ".join(dropped)
            return _Judged(Kind.BREAKING, "column-dropped" if schemas[1] else "schema-removed", names)
        if retyped:
            return _Judged(Kind.BREAKING, "column-retyped", ", ".join(retyped))
        if added and not removed:
            return _Judged(Kind.ADDITIVE, "schema-added", *texts)
        return _Judged(Kind.EDITORIAL, "address-changed", *texts)

    def _read_lost(self, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns of the old schemas that the new ones have not, or of another type: columns that did not change
        themselves, for those that did are told apart."""
        had, has = ({p: c for schema in reversed(them) for p, c in side.columns[schema].items()}
                    for side, them in ((self.old, before), (self.new, after)))  # fmt: skip
        dropped = tuple(".".join(path) for path in sorted(had.keys() - has.keys()) if had[path] in self.new.ident)
        retyped = tuple(
            ".".join(path) for path in sorted(had.keys() & has.keys())
            if had[path] != has[path] and has[path] in self.old.ident
            and _Types.of(self.old.graph, had[path]).fit(_Types.of(self.new.graph, has[path])) is Fit.OTHER
        )  # fmt: skip
        return dropped, retyped

    def _required(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        old, new = (
            any(o.value in ("true", "1") for o in self._objects(side, ident, CSVW + "required"))
            for side in (self.old, self.new)
        )
        if old == new:
            return _Judged(Kind.EDITORIAL, "spelling-changed", _values(removed), _values(added))
        if old:
            return _Judged(Kind.BREAKING, "column-nullable", "required", "nullable")
        return _Judged(Kind.ADDITIVE, "column-required", "nullable", "required")

    def _name(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        texts = _values(removed), _values(added)
        if not removed and all(t.predicate.value == FM + "physicalName" for t in added):
            return _Judged(Kind.ADDITIVE, "column-name-added", *texts)
        return _Judged(Kind.BREAKING, "column-renamed", *texts)

    def _licence(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        old, new = self._terms(self.old, ident, LICENCES), self._terms(self.new, ident, LICENCES)
        texts = _values(removed), _values(added)
        if rights.same(old, new):  # said of the product, or of each dataset, it is the same
            return _Judged(Kind.EDITORIAL, "licence-reworded", *texts)
        if not new:
            return _Judged(Kind.BREAKING, "licence-removed", *texts)
        if not old:  # without any terms nobody may use it
            return _Judged(Kind.ADDITIVE, "licence-added", *texts)
        if rights.licence(old, new) is Fit.WIDER:
            return _Judged(Kind.ADDITIVE, "licence-opened", *texts)
        return _Judged(Kind.BREAKING, "licence-changed", *texts)

    def _rights(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        old, new = (self._terms(side, ident, (ACCESS_RIGHTS,)) for side in (self.old, self.new))
        texts = _values(removed), _values(added)
        fit = rights.access(old, new)
        if fit is Fit.SAME:
            return _Judged(Kind.EDITORIAL, "access-rights-restated", *texts)
        if not new:
            return _Judged(Kind.BREAKING, "access-rights-removed", *texts)
        if fit is Fit.WIDER:
            return _Judged(Kind.ADDITIVE, "access-rights-widened", *texts)
        known = rights.ranked(old) and rights.ranked(new)
        return _Judged(Kind.BREAKING, "access-rights-narrowed" if known else "access-rights-changed", *texts)

    def _terms(self, side: Parts, ident: Ident, predicates: tuple[str, ...]) -> Terms:
        """The terms a thing comes under: its own; else its dataset's and its product's; a product's without any, those
        that all its datasets have."""
        own = self._own_terms(side, ident, predicates)
        if own or ident[0] not in ("product", "dataset", "distribution"):
            return own
        if ident[0] == "product":
            each = [self._own_terms(side, ("dataset", dataset), predicates) for dataset in sorted(side.outputs)]
            return each[0] if each and all(terms == each[0] for terms in each) else Terms()
        if ident[0] == "distribution":
            return self._terms(side, ("dataset", ident[1]), predicates)
        return self._own_terms(side, ("product",), predicates)

    def _own_terms(self, side: Parts, ident: Ident, predicates: tuple[str, ...]) -> Terms:
        values = self._objects(side, ident, *predicates) if ident in side.at else []
        return rights.read(side.graph, values, side.inner)

    def _spelled_out(self) -> dict[str, tuple[str, Ident]]:
        """The nodes that spell out terms, each with the facet and the thing they are the terms of: by preference one
        that is there on both sides."""
        found: dict[str, tuple[str, Ident]] = {}
        for side, other in ((self.old, self.new), (self.new, self.old)):
            for ident, node in sorted(side.at.items(), key=lambda item: (item[0] not in other.at, item[0])):
                for predicate, facet in _TERMS.items():
                    values = side.graph.objects(node, predicate)
                    for named in rights.named_nodes(side.graph, values, side.inner) if values else ():
                        if named not in found or (found[named][1] not in other.at and ident in other.at):
                            found[named] = facet, ident
        return found

    def _said(self, ident: Ident, predicate: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        texts = _values(removed), _values(added)
        if predicate in _KNOWN:
            return _Judged(Kind.EDITORIAL, _KNOWN[predicate], *texts)
        if all(_is_text(t.object) for t in (*removed, *added)) or self._elsewhere(ident):
            return _Judged(Kind.EDITORIAL, "description-changed", *texts)
        if not removed:
            return _Judged(Kind.ADDITIVE, "statement-added", *texts)
        return _Judged(Kind.EDITORIAL, "statement-changed" if added else "statement-removed", *texts)

    def _elsewhere(self, ident: Ident) -> bool:
        """Whether it is about a node that tells and is no part of what is offered: a contact, a measurement, a term."""
        node = ident[-1]
        if ident[0] or node.startswith(self.shared):
            return not ident[0]
        return not node.startswith((self.product + "/", self.product + "#")) or self._only_told(node)

    def _only_told(self, node: str) -> bool:
        """Whether all that points to it are predicates that describe."""
        return node in self._links and self._links[node] <= _KNOWN.keys()

    @cached_property
    def _links(self) -> dict[str, set[str]]:
        """By node, the predicates that point to it on either side."""
        found: dict[str, set[str]] = defaultdict(set)
        for t in (*self.old.triples, *self.new.triples):
            if isinstance(t.object, NamedNode):
                found[t.object.value].add(t.predicate.value)
        return found

    def _record(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        return _Judged(Kind.EDITORIAL, "record-changed")

    def _node(self, ident: Ident, _: str, removed: list[Triple], added: list[Triple]) -> _Judged:
        what = "node-removed" if removed else "node-added"
        return _Judged(Kind.EDITORIAL if removed or self._elsewhere(ident) else Kind.ADDITIVE, what)


def _stated(judged: _Judged, node: str, label: str, removed: list[Triple], added: list[Triple]) -> RevisionChange:
    statements = tuple(
        StatementChange(new, t.subject.value, t.predicate.value, str(t.object))
        for new, triples in ((False, removed), (True, added)) for t in triples
    )  # fmt: skip
    return RevisionChange(judged.kind, judged.what, node, label, judged.before, judged.after, statements)


@dataclass(frozen=True, slots=True)
class _Types:
    """The types of a column: the datatype by its name, the physical one as stated, and what narrows a datatype."""

    logical: str | None
    physical: str | None
    narrowed: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, graph: Statements, column: str) -> _Types:
        stated = sorted(graph.objects(column, CSVW + "datatype"), key=str)
        names, narrowed = [], set()
        for value in stated:
            inner = graph.by_subject.get(value.value, {}) if not isinstance(value, Literal) else {}
            bases = [o.value for o in inner.get(CSVW + "base", ())]
            narrowed |= {
                (p, o.value) for p, objects in inner.items() if p not in (CSVW + "base", TYPE) for o in objects
            }
            names += bases or ([CSVW + "string"] if inner else [value.value])
        physical = graph.texts(column, FM + "physicalType")
        logical = " | ".join(sorted(map(retyping.spelled, names))) or None
        return cls(logical, " | ".join(text for _, text, _ in physical) or None, frozenset(narrowed))

    def text(self) -> str:
        narrowed = ", ".join(sorted(f"{tail(p)} {value}" for p, value in self.narrowed))
        extra = "; ".join(filter(None, (self.physical, narrowed)))
        return " ".join(filter(None, (self.logical, f"({extra})" if extra else "")))

    def fit(self, new: _Types) -> Fit:
        fits = [
            _fit(retyping.logical, self.logical, new.logical),
            _narrows(self.narrowed, new.narrowed),
        ]
        stored = _fit(retyping.physical, self.physical, new.physical)
        if stored is Fit.OTHER and new.physical is None:
            stored = Fit.SAME if new.logical is not None else Fit.OTHER  # the datatype still says what it is
        if stored is Fit.WIDER and self.physical and self._follows() and new._follows():
            return Fit.WIDER  # int to bigint is wider, though xsd:integer to xsd:long, their usual names, is not
        return max(*fits, stored)

    def _follows(self) -> bool:
        """Whether the datatype is nothing but the usual one for the physical type."""
        usual = datatype(self.physical or "")
        return not self.narrowed and usual is not None and retyping.spelled(usual.value) == self.logical


def _fit(judge: Callable[[str, str], Fit], before: str | None, after: str | None) -> Fit:
    if before == after:
        return Fit.SAME
    if before is None or after is None:
        return Fit.WIDER if before is None else Fit.OTHER
    return judge(before, after)


def _narrows(before: frozenset[tuple[str, str]], after: frozenset[tuple[str, str]]) -> Fit:
    """Of what narrows a datatype: less of it, or a bound further out, is wider."""
    if before == after:
        return Fit.SAME
    for name, value in after - before:
        had = [old for key, old in before if key == name]
        bound = _BOUNDS.get(name)
        if bound is None or len(had) != 1 or not _further(had[0], value, bound):
            return Fit.OTHER
    return Fit.WIDER


_BOUNDS = {
    **{CSVW + name: 1 for name in ("maxLength", "maximum", "maxInclusive", "maxExclusive")},
    **{CSVW + name: -1 for name in ("minLength", "minimum", "minInclusive", "minExclusive")},
}
"""Which way a bound has to move to let more through."""


def _further(before: str, after: str, way: int) -> bool:
    try:
        old, new = Decimal(before), Decimal(after)
    except InvalidOperation:
        return False
    return old.is_finite() and new.is_finite() and (new - old) * way > 0


def _rank(word: str | None) -> int:
    """What is not classified counts as the most sensitive, as it does for access."""
    return len(CLASSIFICATIONS) - 1 if word is None else CLASSIFICATIONS.index(word)


_MEDIA = ("https://www.iana.org/assignments/media-types/", "http://www.iana.org/assignments/media-types/")


def _spelled(value: Term) -> str:
    """An address or format, however it is written: IANA's IRI and the bare name of a media type are one."""
    text = value.value
    for prefix in _MEDIA:
        text = text.removeprefix(prefix)
    return text.strip().lower() if "/" in text and ":" not in text else text.strip()


def _is_text(value: Term) -> bool:
    return isinstance(value, Literal) and (
        value.language is not None or value.datatype.value == PREFIXES["xsd"] + "string"
    )


def _values(triples: list[Triple]) -> str | None:
    return ", ".join(sorted({_shown(t.object) for t in triples})) or None


def _shown(value: Term | str) -> str:
    text = value if isinstance(value, str) else value.value
    if isinstance(value, Literal):
        return text if len(text) <= 80 else text[:79] + "\N{HORIZONTAL ELLIPSIS}"
    return "(anonymous)" if anonymous(value) else compact(text) or text
