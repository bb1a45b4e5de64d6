"""Governance at a glance: how the products a reader may read stand, by domain, rule and owner; now and at any date.

Everything is counted from what the reader may see. Policy for the past is today's policy.
"""

from __future__ import annotations

import heapq
import json
import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fairmesh.catalog.document import DPROD
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.judging import waived_by_key
from fairmesh.catalog.model import Entry, EntryKind
from fairmesh.catalog.standing import Standing

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog
    from fairmesh.catalog.registry import Product
    from fairmesh.catalog.view import View

MAX_POINTS = 60
"""How many moments a trend may have."""
_DOMAIN, _OWNER = DPROD + "domain", DPROD + "dataProductOwner"


@dataclass(frozen=True, slots=True)
class Row:
    """The products of one domain or owner (`key` is its IRI, "" for those that name none), or those that one rule has
    found something in (`key` is its id).

    `violations` counts findings that gate and are not waived, `findings` all of them; `waived` products conform by
    waivers alone. `fair_mean` is None where no product has a score.
    """

    key: str
    products: int
    conforming: int
    violations: int
    findings: int
    waived: int
    fair_mean: float | None


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
class _Case:
    """One product at the moment in question: how it stands, and the rules waived for it."""

    product: Product
    standing: Standing
    waived: frozenset[str]

    @property
    def conforms(self) -> bool:
        return self.standing.conforms(self.waived)


@dataclass(slots=True)
class _Tally:
    products: int = 0
    conforming: int = 0
    violations: int = 0
    findings: int = 0
    waived: int = 0
    scores: list[float] = field(default_factory=list)

    def add(self, case: _Case, violations: int, findings: int, *, conforms: bool) -> None:
        self.products += 1
        self.conforming += conforms
        self.violations += violations
        self.findings += findings
        self.waived += case.conforms and not case.standing.conforms()
        if case.standing.fair is not None:
            self.scores.append(case.standing.fair.score)

    def row(self, key: str) -> Row:
        return Row(key, self.products, self.conforming, self.violations, self.findings, self.waived, _mean(self.scores))


def _mean(scores: Sequence[float]) -> float | None:
    return math.fsum(scores) / len(scores) if scores else None


def overview(view: View, catalog: Catalog, domain: str | None, at: datetime | None) -> Overview:
    """The overview of all products, or of those of a domain (IRI), now or at a moment.

    Raises `InputError` for a moment that is yet to come.
    """
    now = catalog.clock()
    moment = _checked(at, now)
    cases = list(_now(view, catalog, now) if moment is None else _then(view, catalog, moment))
    places = _statements(view, _DOMAIN, cases)
    if domain is not None:
        cases = [case for case in cases if domain in places[case.product.iri]]
    owners = _statements(view, _OWNER, cases)
    edition = catalog.judge.edition
    version = None if moment is None else catalog.rulings.in_force(moment)
    failed = Counter(rule for case in cases for rule in case.standing.failed)
    return Overview(
        moment or now, view.ruling.digest if version is None else version.digest, len(cases),
        sum(case.conforms for case in cases),
        0 if moment is not None else sum(
            not catalog.storage.standings.settled(case.product, edition) for case in cases
            if case.product.slot in catalog.storage.standings.by_slot
        ),
        _mean([case.standing.fair.score for case in cases if case.standing.fair is not None]),
        _by(cases, lambda case: places[case.product.iri]), _by_rule(cases),
        _by(cases, lambda case: owners[case.product.iri]), dict(sorted(failed.items())),
    )  # fmt: skip


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
    for moment, cases in _at_each(view, catalog, moments):
        places = {} if domain is None else _statements(view, _DOMAIN, cases)
        kept = [case for case in cases if domain is None or domain in places[case.product.iri]]
        scores = [case.standing.fair.score for case in kept if case.standing.fair is not None]
        found.append(Point(moment, len(kept), sum(case.conforms for case in kept), _mean(scores)))
    return found


def _checked(at: datetime | None, now: datetime) -> datetime | None:
    if at is None or at == now:
        return None
    if at > now:
        raise InputError(f"{at.isoformat()} is yet to come", remedy="Ask for a moment that is past, or leave it out")
    return at


# -- counting ---------------------------------------------------------------------------------------------------------


def _by(cases: Iterable[_Case], keys: Callable[[_Case], Iterable[str]]) -> tuple[Row, ...]:
    found: dict[str, _Tally] = defaultdict(_Tally)
    for case in cases:
        gating = sum(n for rule, n, _ in case.standing.broken if rule not in case.waived)
        every = sum(n + other for _, n, other in case.standing.broken)
        for key in keys(case) or ("",):
            found[key].add(case, gating, every, conforms=case.conforms)
    return tuple(found[key].row(key) for key in sorted(found))


def _by_rule(cases: Iterable[_Case]) -> tuple[Row, ...]:
    found: dict[str, _Tally] = defaultdict(_Tally)
    for case in cases:
        for rule, gating, other in case.standing.broken:
            held = 0 if rule in case.waived else gating
            found[rule].add(case, held, gating + other, conforms=not held)
    return tuple(found[rule].row(rule) for rule in sorted(found))


def _statements(view: View, predicate: str, cases: Iterable[_Case]) -> dict[str, set[str]]:
    """The values the reader may see, by product."""
    wanted: dict[str, set[str]] = {case.product.iri: set() for case in cases}
    for product, value in view.pairs(predicate):
        if product in wanted:
            wanted[product].add(value)
    return wanted


# -- now and then -----------------------------------------------------------------------------------------------------


def _now(view: View, catalog: Catalog, now: datetime) -> Iterator[_Case]:
    waived = waived_by_key(catalog.waivers, now)
    for slot, standing in view.sighted.standings.items():
        product = catalog.registry.slots[slot]
        yield _Case(product, standing, waived.get(product.key, frozenset()))


def _then(view: View, catalog: Catalog, moment: datetime) -> list[_Case]:
    ((_, cases),) = _at_each(view, catalog, [moment])
    return cases


def _at_each(view: View, catalog: Catalog, moments: Sequence[datetime]) -> Iterator[tuple[datetime, list[_Case]]]:
    """What stood at each of the moments, in order: products that the reader may read today, as they were."""
    lines: dict[str, list[tuple[datetime, int, Standing | None]]] = {product.home: [] for product in view.readable}
    for at, home, revision, standing in _chronicle(catalog, moments[-1]):
        if home in lines:
            lines[home].append((at, revision, standing))
    products = {product.home: product for product in view.readable}
    for moment in moments:
        waived = waived_by_key(catalog.waivers, moment)
        cases = []
        for home, line in lines.items():
            place = bisect_right(line, moment, key=lambda event: event[0])
            _, revision, standing = line[place - 1] if place else (moment, 0, None)
            if standing is not None:
                seen = catalog.judge.then(view, products[home], revision, standing, moment)
                if seen is not None:
                    rules = waived.get(products[home].key, frozenset())
                    cases.append(_Case(products[home], seen, rules))
        yield moment, cases


def _chronicle(catalog: Catalog, until: datetime) -> Iterator[tuple[datetime, str, int, Standing | None]]:
    """Every event that changed how a product stood: when, its home, its revision, how it stands; None: retired."""
    changes = catalog.journal.headlines([EntryKind.REGISTER, EntryKind.RETIRE])
    verdicts = catalog.journal.entries(kinds=[EntryKind.CONFORMANCE])
    for entry in heapq.merge(changes, verdicts, key=lambda entry: entry.seq):
        if entry.draft.at > until:
            return
        yield from _events(entry)


def _events(entry: Entry) -> Iterator[tuple[datetime, str, int, Standing | None]]:
    draft = entry.draft
    if draft.kind is EntryKind.CONFORMANCE:
        for home, kept in json.loads(draft.document).items():
            yield draft.at, home, kept["revision"], Standing.read(kept["standing"])
    elif draft.kind is EntryKind.RETIRE:
        yield draft.at, draft.product, draft.revision, None
    else:  # what was registered before standings were kept had passed every gate
        kept = draft.detail.get("standing", {"edition": draft.ruleset})
        yield draft.at, draft.product, draft.revision, Standing.read(kept)
