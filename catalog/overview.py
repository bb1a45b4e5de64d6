"""Governance at a glance: how the products a reader may read stand, by domain, rule and owner; now and at any date.

Everything is counted from what the reader may see. Policy for the past is today's policy.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog.document import DPROD
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.judging import ALL
from fairmesh.catalog.standing import Columns, Standing

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog
    from fairmesh.catalog.registry import Product
    from fairmesh.catalog.view import View

MAX_POINTS = 60
"""How many moments a trend may have."""
EXAMPLES = 5
"""Products that are named for one rule."""
_DOMAIN, _OWNER = DPROD + "domain", DPROD + "dataProductOwner"


@dataclass(frozen=True, slots=True)
class Row:
    """The products of one domain or owner (`key` is its IRI, "" for those that name none), or those that one rule has
    found something in (`key` is its id).

    `violations` counts findings that gate and are not waived, `findings` all of them; `waived` products conform by
    waivers alone. `fair_mean` is None where no product has a score. `examples`, of a rule alone, are keys of products
    that fail it, or, when none does, of those it found something in: the first `EXAMPLES` of them.
    """

    key: str
    products: int
    conforming: int
    violations: int
    findings: int
    waived: int
    fair_mean: float | None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """How the mesh stands at a moment. `pending` products still stand as earlier rules had it; `failed` counts, by
    rule, the products on which it could not be evaluated."""

    at: datetime
    ruleset: str
    products: int
    conforming: int
    pending: int
    fair_mean: float | None
    by_domain: tuple[Row, ...]
    by_rule: tuple[Row, ...]
    by_owner: tuple[Row, ...]
    failed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a trend."""

    at: datetime
    products: int
    conforming: int
    fair_mean: float | None


@dataclass(frozen=True, slots=True)
class _Counted:
    """Products at the moment in question, row by row."""

    slots: NDArray[np.int64]
    columns: Columns
    standings: Sequence[Standing]
    waived: Mapping[int, frozenset[str]]
    """By row, the rules waived there."""

    @property
    def conforming(self) -> int:
        return int(np.count_nonzero(self.columns.conforms == 1))

    def mean(self) -> float | None:
        return _mean(self.columns.score)

    def kept(self, rows: NDArray[np.intp]) -> _Counted:
        """These rows alone, in order."""
        places = {row: place for place, row in enumerate(rows.tolist())}
        return _Counted(
            self.slots[rows], self.columns.packed(rows),
            [self.standings[row] for row in places],
            {places[row]: rules for row, rules in self.waived.items() if row in places},
        )  # fmt: skip


_TENTHS = 10_000
"""FAIR scores have four decimals: whole numbers of these add up to the same in any order."""


def _mean(scores: NDArray[np.float64]) -> float | None:
    known = scores[~np.isnan(scores)]
    return int(np.rint(known * _TENTHS).sum()) / _TENTHS / len(known) if len(known) else None


def overview(view: View, catalog: Catalog, domain: str | None, at: datetime | None) -> Overview:
    """The overview of all products, or of those of a domain (IRI), now or at a moment.

    Raises `InputError` for a moment that is yet to come.
    """
    now = catalog.clock()
    moment = _checked(at, now)
    counted = _now(view, catalog, now) if moment is None else _then(view, catalog, moment)
    counted = _of_domain(view, domain, counted)
    version = view.ruling.version if moment is None else catalog.rulings.versions.in_force(moment)
    digest = "" if version is None else version.digest
    failed = Counter(rule for standing in counted.standings for rule in standing.failed)
    return Overview(
        moment or now, digest, len(counted.slots),
        counted.conforming, 0 if moment is not None else _pending(catalog, counted), counted.mean(),
        _by(counted, _stated(view, _DOMAIN, counted)), _by_rule(counted, catalog.registry.slots),
        _by(counted, _stated(view, _OWNER, counted)), dict(sorted(failed.items())),
    )  # fmt: skip


def _pending(catalog: Catalog, counted: _Counted) -> int:
    standings, edition, products = catalog.storage.standings, catalog.judge.edition, catalog.registry.slots
    if standings.edition == edition and standings.upto == ALL:
        return 0
    known = (slot for slot in counted.slots.tolist() if slot in standings.by_slot)
    return sum(not standings.settled(products[slot], edition) for slot in known)


def trend(view: View, catalog: Catalog, domain: str | None, until: datetime | None, points: int) -> list[Point]:
    """`points` moments at equal distances, from the first registration the reader may know of to `until` (now).

    Raises `InputError` for fewer than 2 or more than `MAX_POINTS`, or a moment that is yet to come.
    """
    if not 2 <= points <= MAX_POINTS:
        raise InputError(f"a trend of {points} points", remedy=f"Ask for 2 to {MAX_POINTS}")
    end = _checked(until, catalog.clock()) or catalog.clock()
    visible = view.readable
    if not visible:
        return []
    start = min(min(product.created_at for product in visible), end)
    moments = [start + timedelta(seconds=(end - start).total_seconds() * n / (points - 1)) for n in range(points)]
    found = []
    for moment in moments:
        counted = _of_domain(view, domain, _then(view, catalog, moment))
        found.append(Point(moment, len(counted.slots), counted.conforming, counted.mean()))
    return found


def _checked(at: datetime | None, now: datetime) -> datetime | None:
    if at is None or at == now:
        return None
    if at > now:
        raise InputError(f"{at.isoformat()} is yet to come", remedy="Ask for a moment that is past, or leave it out")
    return at


# -- counting ---------------------------------------------------------------------------------------------------------


_Stated = tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]
"""Rows and numbers, pair by pair, and what the numbers stand for."""


def _stated(view: View, role: str, counted: _Counted) -> _Stated:
    """What the reader sees the products to have in a role, by row."""
    slots, numbers, nodes = view.stated(role)
    rows = np.full(max(slots.max(initial=-1), counted.slots.max(initial=-1)) + 1, -1, np.int64)
    rows[counted.slots] = np.arange(len(counted.slots))
    found = rows[slots]
    return found[found >= 0], numbers[found >= 0], nodes


def _of_domain(view: View, domain: str | None, counted: _Counted) -> _Counted:
    if domain is None:
        return counted
    rows, numbers, nodes = _stated(view, _DOMAIN, counted)
    wanted = np.array([node == domain for node in nodes], np.bool_)
    return counted.kept(np.unique(rows[wanted[numbers]]))


def _by(counted: _Counted, stated: _Stated) -> tuple[Row, ...]:
    """A row for each node, and one for the products that have none."""
    rows, numbers, nodes = stated
    without = np.ones(len(counted.slots), np.bool_)
    without[rows] = False
    alone = np.flatnonzero(without)
    places = np.concatenate([rows, alone])
    keys = np.concatenate([numbers, np.full(len(alone), len(nodes))])
    columns, size = counted.columns, len(nodes) + 1

    def sums(values: NDArray[Any]) -> list[int]:
        return [int(total) for total in np.bincount(keys, values[places].astype(np.float64), size).tolist()]

    scored = ~np.isnan(columns.score)
    tenths = sums(np.rint(np.where(scored, columns.score, 0) * _TENTHS))
    several = zip(
        (*nodes, ""), sums(np.ones(len(counted.slots))), sums(columns.conforms == 1), sums(columns.gating),
        sums(columns.findings), sums(columns.excused), tenths, sums(scored), strict=True,
    )  # fmt: skip
    found = (
        Row(key, products, conforming, gating, findings, excused, total / _TENTHS / scores if scores else None)
        for key, products, conforming, gating, findings, excused, total, scores in several
        if products
    )
    return tuple(sorted(found, key=lambda row: row.key))


def _by_rule(counted: _Counted, products: Sequence[Product]) -> tuple[Row, ...]:
    names: dict[str, int] = {}
    broken: list[tuple[int, int, int, int]] = []
    for row in np.flatnonzero(counted.columns.findings).tolist():
        waived = counted.waived.get(row, ())
        for rule, gating, other in counted.standings[row].broken:
            held = 0 if rule in waived else gating
            broken.append((row, names.setdefault(rule, len(names)), held, gating + other))
    rows, rules, gates, every = np.array(broken, np.int64).reshape(-1, 4).T
    columns = counted.columns.packed(rows)
    columns.conforms[:], columns.gating[:], columns.findings[:] = gates == 0, gates, every
    alone = _Counted(counted.slots[rows], columns, (), {})
    found = _by(alone, (np.arange(len(rows)), rules, tuple(names)))
    keys = {row.key: _examples(alone, rules == names[row.key], products) for row in found}
    return tuple(replace(row, examples=keys[row.key]) for row in found)


def _examples(alone: _Counted, of_rule: NDArray[np.bool_], products: Sequence[Product]) -> tuple[str, ...]:
    """Keys, in order, of the first products that fail a rule, or else of those it found something in."""
    failing = of_rule & (alone.columns.gating > 0)
    slots = alone.slots[failing if failing.any() else of_rule]
    return tuple(heapq.nsmallest(EXAMPLES, (products[slot].key for slot in slots.tolist())))


# -- now and then -----------------------------------------------------------------------------------------------------


def _now(view: View, catalog: Catalog, now: datetime) -> _Counted:
    sighted = view.sighted
    slots = np.flatnonzero(sighted.columns.conforms >= 0)
    standings = [sighted.standings[slot] for slot in slots.tolist()]
    return _Counted(slots, sighted.columns.packed(slots), standings, _waived(catalog, slots, now))


def _then(view: View, catalog: Catalog, moment: datetime) -> _Counted:
    """Products that the reader may read today, as they were."""
    chronicle, products = catalog.chronicle, catalog.registry.slots
    rows = chronicle.at(moment)
    readable = np.zeros(len(products), np.bool_)
    readable[[product.slot for product in view.readable]] = True
    rows = rows[readable[chronicle.slots[rows]] & (chronicle.columns.conforms[rows] >= 0)]
    slots, columns = chronicle.slots[rows], chronicle.columns.packed(rows)
    standings = [cast(Standing, chronicle.standings[row]) for row in rows.tolist()]
    as_now = np.array([product.revision for product in products], np.int64)[slots] == chronicle.revisions[rows]
    all_told = as_now & view.whole[slots] & (columns.need & ~view.visible[slots] == 0)
    hidden = []
    partly = np.flatnonzero(~all_told).tolist()
    asked = [(products[slots[row]], int(chronicle.revisions[rows[row]]), standings[row]) for row in partly]
    for row, seen in zip(partly, catalog.verdicts.then(view, asked, moment), strict=True):
        if seen is None:
            hidden.append(row)
        else:
            standings[row] = seen
            columns.put(row, seen)
    waived = _waived(catalog, slots, moment)
    for row, rules in waived.items():
        columns.put(row, standings[row], rules)
    return _Counted(slots, columns, standings, waived).kept(np.delete(np.arange(len(slots)), hidden))


def _waived(catalog: Catalog, slots: NDArray[np.int64], moment: datetime) -> dict[int, frozenset[str]]:
    """By row, the rules that were waived for the product there at a moment."""
    by_key = catalog.waivers.by_key(moment)
    known = {key: product.slot for key in by_key if (product := catalog.registry.by_key.get(key)) is not None}
    rows = {slot: row for row, slot in enumerate(slots.tolist())} if known else {}
    return {rows[slot]: by_key[key] for key, slot in known.items() if slot in rows}
