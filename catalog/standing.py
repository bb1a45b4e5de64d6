"""How every product stands: what the rules and the FAIR indicators say of it, kept up to date.

A `Standing` speaks of the whole document, as somebody sees it from whom nothing is hidden. For a reader who sees less
of a product, or less of what its verdict rests on, it is not used: see `Standings.whole`. What is found about a field
that policy hides from a reader is nothing to that reader, whether or not the document has it: see `Standing.seen`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog.fair import Scores
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.model import EVERYTHING, FIELDS, Finding, Need, Report, Severity
from fairmesh.catalog.registry import Grants, Product, Registry

Bools = NDArray[np.bool_]
_ROOM = 64


def field_need(finding: Finding, product: str) -> int:
    """What a reader needs, as bits of `FIELDS`, to be told of a finding on a product (IRI): that of the product's field
    it is about; 0 when it is about none that policy can hide."""
    return FIELDS.get(finding.path or "", 0) if finding.focus == product else 0


_Counts = tuple[tuple[str, int, int], ...]
"""By rule, in order: how many findings gate when they are not waived, and how many others there are."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The verdict on one product. `edition` is that of the rules it was judged by, see `edition_of`.

    `broken` counts the findings by rule. `failed` are rules that could not be evaluated. `fair` is None while no
    assessment is known. `tangled`: the verdict rests on what other products say of shared nodes. `fields` are the
    counts in `broken` that are about fields of the product which policy can hide, by predicate.
    """

    edition: str
    broken: _Counts = ()
    failed: tuple[str, ...] = ()
    fair: Scores | None = None
    tangled: bool = False
    fields: tuple[tuple[str, _Counts], ...] = ()

    @classmethod
    def of(cls, edition: str, report: Report, fair: Scores | None, product: str) -> Standing:
        """The standing that a report on a product (IRI), with or without waivers applied, comes to."""
        about: dict[str, list[Finding]] = {}
        for finding in report.findings:
            if finding.path is not None and field_need(finding, product):
                about.setdefault(finding.path, []).append(finding)
        fields = tuple((field, _counted(findings)) for field, findings in sorted(about.items()))
        failed = tuple(sorted(rule for rule, _ in report.failed))
        return cls(edition, _counted(report.findings), failed, fair, fields=fields)

    @property
    def need(self) -> int:
        """What a reader needs, as bits of `FIELDS`, to be told of all that was found."""
        return sum(FIELDS.get(field, 0) for field, _ in self.fields)

    def seen(self, granted: int) -> Standing:
        """For a reader with these grants on the product: without the findings about fields that are hidden from them.
        The same when there are none."""
        kept = tuple(each for each in self.fields if not FIELDS.get(each[0], 0) & ~granted)
        if kept == self.fields:
            return self
        left = {rule: [gating, other] for rule, gating, other in self.broken}
        for rule, gating, other in (count for each in self.fields if each not in kept for count in each[1]):
            left[rule][0] -= gating
            left[rule][1] -= other
        broken = tuple((rule, gating, other) for rule, (gating, other) in left.items() if gating or other)
        return replace(self, broken=broken, fields=kept)

    def conforms(self, waived: Collection[str] = ()) -> bool:
        """Whether no rule refuses the product, but for those that are waived for it."""
        return not any(gating and rule not in waived for rule, gating, _ in self.broken)

    def same(self, other: Standing | None) -> bool:
        """Whether the verdict is the same, whatever edition gave it."""
        return other is not None and replace(self, edition=other.edition) == other

    def json(self) -> dict[str, Any]:
        """As the journal keeps it; `read` is the way back."""
        kept: dict[str, Any] = {"edition": self.edition}
        if self.broken:
            kept["broken"] = _written(self.broken)
        if self.fields:
            kept["fields"] = {field: _written(counts) for field, counts in self.fields}
        if self.failed:
            kept["failed"] = list(self.failed)
        if self.fair is not None:
            kept["fair"] = list(astuple(self.fair))
        if self.tangled:
            kept["tangled"] = True
        return kept

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Standing:
        broken = _read(kept.get("broken", {}))
        fields = tuple((field, _read(counts)) for field, counts in kept.get("fields", {}).items())
        fair = kept.get("fair")
        scores = None if fair is None else Scores(*fair)
        return cls(kept["edition"], broken, tuple(kept.get("failed", ())), scores, kept.get("tangled", False), fields)


def _counted(findings: Iterable[Finding]) -> _Counts:
    counts: dict[str, list[int]] = {}
    for finding in findings:
        counts.setdefault(finding.rule, [0, 0])[finding.severity is not Severity.VIOLATION] += 1
    return tuple((rule, gating, other) for rule, (gating, other) in sorted(counts.items()))


def _written(counts: _Counts) -> dict[str, list[int]]:
    return {rule: [gating, other] for rule, gating, other in counts}


def _read(written: Mapping[str, Sequence[int]]) -> _Counts:
    return tuple((rule, gating, other) for rule, (gating, other) in written.items())


_FORM = 2
"""Counts changes of how products are judged by the same rules: after one, all are judged again."""


def edition_of(rules: RuleSet, now: datetime) -> str:
    """Names what the rules say on a day: the digest, how products are judged by it and, once a mode has changed by its
    date, the last such date."""
    past = [day for day in rules.turns if day <= now.date()]
    return f"{rules.digest}/{_FORM}" + (f"@{past[-1].isoformat()}" if past else "")


class Columns:
    """How products stand, in numbers by slot, to be counted at once.

    `conforms` is 1 or 0, and -1 where nothing is known; `score` is the FAIR score, not a number where there is none;
    `gating` counts findings that gate and are not waived, `findings` all of them; `excused` are those that conform by
    waivers alone; `need` is that of `Standing`.
    """

    def __init__(self, size: int) -> None:
        self.conforms = np.full(size, -1, np.int8)
        self.score = np.full(size, np.nan)
        self.gating = np.zeros(size, np.int32)
        self.findings = np.zeros(size, np.int32)
        self.excused = np.zeros(size, np.bool_)
        self.need = np.zeros(size, np.int64)

    def put(self, slot: int, standing: Standing, waived: Collection[str] = ()) -> None:
        gating = sum(n for rule, n, _ in standing.broken if rule not in waived)
        self.conforms[slot] = not gating
        self.score[slot] = np.nan if standing.fair is None else standing.fair.score
        self.gating[slot] = gating
        self.findings[slot] = sum(n + other for _, n, other in standing.broken)
        self.excused[slot] = not gating and not standing.conforms()
        self.need[slot] = standing.need

    def forget(self, slot: int) -> None:
        self.conforms[slot], self.score[slot], self.gating[slot] = -1, np.nan, 0
        self.findings[slot], self.excused[slot], self.need[slot] = 0, False, 0

    def of(self, slots: NDArray[np.intp], size: int) -> Columns:
        """Columns of this size that know of these slots alone."""
        found = Columns(size)
        for name, values in vars(found).items():
            values[slots] = getattr(self, name)[slots]
        return found

    def joined(self, others: Columns) -> Columns:
        """These, and the others after them."""
        found = Columns(0)
        for name in vars(found):
            setattr(found, name, np.concatenate([getattr(self, name), getattr(others, name)]))
        return found

    def packed(self, slots: NDArray[np.intp]) -> Columns:
        """These slots one after the other, from 0 on."""
        found = Columns(0)
        for name in vars(found):
            setattr(found, name, getattr(self, name)[slots])
        return found


class Standings:
    """The standing of every product, by slot. Written under the catalog's exclusive lock."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.by_slot: dict[int, Standing] = {}
        self.judged: dict[int, int] = {}
        """By slot: a hash of what was judged, its statements and what the mesh said of what it refers to."""
        self.revision = 0
        """Counts changes; what is derived from standings is cached by it."""
        self.edition = ""
        self.upto = ""
        """All products whose home is not after `upto` stand as `edition` has it, when it is under way or done."""
        self._fresh: set[int] = set()
        """Slots whose verdict was given since the rule set in force came into force: one that returns says nothing of
        what happened meanwhile."""
        self._tangled: set[int] = set()
        self._referring: dict[str, set[int]] = {}
        self._references: dict[int, frozenset[str]] = {}
        self._linked = 0
        """Counts changes of references."""
        self._edges: tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64]] | None = None
        self._needs: tuple[int, NDArray[np.int64], Bools] | None = None
        self._columns = Columns(_ROOM)

    def put(self, product: Product, standing: Standing) -> None:
        """Note how a product stands."""
        self.by_slot[product.slot] = standing
        self._fresh.add(product.slot)
        self._room(product.slot).put(product.slot, standing)
        (self._tangled.add if standing.tangled else self._tangled.discard)(product.slot)
        self.revision += 1

    def _room(self, slot: int) -> Columns:
        size = len(self._columns.conforms)
        if slot >= size:
            self._columns = self._columns.of(np.arange(size), max(2 * size, slot + 1))
        return self._columns

    def seen(self, slots: Bools) -> Columns:
        """How products stand, of these slots alone; `slots` is a bool per slot."""
        self._room(len(slots))
        return self._columns.of(np.flatnonzero(slots), len(slots))

    def unsettle(self) -> None:
        """Another rule set came into force: everything is to be judged by it."""
        self._fresh.clear()
        self.edition = self.upto = ""
        self.revision += 1

    def settled(self, product: Product, edition: str) -> bool:
        """Whether the product was judged by this edition."""
        known = self.by_slot.get(product.slot)
        by_pass = self.edition == edition and product.home <= self.upto
        return known is not None and ((known.edition == edition and product.slot in self._fresh) or by_pass)

    def refer(self, product: Product) -> None:
        """Note what a product refers to, before it is judged."""
        old = self._references.get(product.slot, frozenset())
        if product.references != old:
            for iri in old - product.references:
                self._referring[iri].discard(product.slot)
            for iri in product.references - old:
                self._referring.setdefault(iri, set()).add(product.slot)
            self._references[product.slot] = product.references
            self._linked += 1
            self.revision += 1

    def forget(self, product: Product) -> None:
        """A product was retired, or changed and is not judged yet."""
        self.by_slot.pop(product.slot, None)
        self._room(product.slot).forget(product.slot)
        self.judged.pop(product.slot, None)
        self._fresh.discard(product.slot)
        self._tangled.discard(product.slot)
        self.revision += 1

    def referring(self, nodes: Iterable[str]) -> set[int]:
        """The slots of products that refer to one of these nodes."""
        return {slot for node in nodes for slot in self._referring.get(node, ())}

    def whole(self, grants: Grants) -> Bools:
        """A bool per slot: whether a reader with these grants sees everything that the standing rests on."""
        visible = self._registry.visible(grants)
        need, alive = self._need_arrays()
        sees: Bools = (visible & Need.READ == Need.READ) & (visible & need == need)
        if bool(np.all((visible[alive] & EVERYTHING) == EVERYTHING)):
            return sees
        result = sees.copy()
        sources, targets = self._edge_arrays()
        result[sources[~sees[targets]]] = False
        result[[slot for slot in self._tangled if slot < len(result)]] = False
        return result

    def _need_arrays(self) -> tuple[NDArray[np.int64], Bools]:
        """What it takes to see all of each product, and which are not retired."""
        if self._needs is None or self._needs[0] != self._registry.revision:
            products = self._registry.slots
            need = np.array([product.need for product in products], np.int64)
            alive = np.array([not product.retired for product in products], np.bool_)
            self._needs = self._registry.revision, need, alive
        return self._needs[1], self._needs[2]

    def _edge_arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which product refers to nodes of which other one, as two arrays of slots."""
        state = (self._linked, len(self._registry.slots))  # who holds a node changes when there is a new product
        if self._edges is None or self._edges[0] != state:
            pairs = {
                (slot, holder.slot)
                for iri, slots in self._referring.items()
                if slots and (holder := self._registry.holder(iri)) is not None
                for slot in slots
            }
            both = np.array(sorted(pairs), np.int64).reshape(-1, 2)
            self._edges = (state, both[:, 0], both[:, 1])
        return self._edges[1], self._edges[2]
