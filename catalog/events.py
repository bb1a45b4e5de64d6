"""The change feed: what happened in the mesh, in order, as far as a reader may know of it.

An event of a product is seen by who may read the document it is about, under today's policy. That its conformance
changed is an event for who sees all of it; for who sees less, when the conformance of what they see changed with it.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from fairmesh.catalog.document import DPROD
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import FIELDS, Entry, EntryKind, Need, Page
from fairmesh.catalog.paging import Cursors
from fairmesh.catalog.projection import remember
from fairmesh.catalog.standing import Standing

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog
    from fairmesh.catalog.registry import Product
    from fairmesh.catalog.view import View

MAX_FIRST = 200
_MOMENT = timedelta(microseconds=1)
_UNSEEN = Standing("")
_FIELDS = sum(FIELDS.values())


class EventKind(StrEnum):
    REGISTERED = "REGISTERED"
    UPDATED = "UPDATED"
    RETIRED = "RETIRED"
    CONFORMANCE_CHANGED = "CONFORMANCE_CHANGED"
    SHAPES_CHANGED = "SHAPES_CHANGED"
    POLICY_CHANGED = "POLICY_CHANGED"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `home` and `revision` are those of the product, "" and 0 where it is about none; `conforms` is set
    when its conformance changed. When rules changed, which everybody may read, `ruleset` is the digest of those in
    force since, and `rules_of` the domain whose rules alone were replaced, if so."""

    kind: EventKind
    at: datetime
    by: str | None
    home: str
    revision: int
    conforms: bool | None = None
    ruleset: str | None = None
    rules_of: str | None = None
    judged_again: bool = False
    """It came of judging the whole mesh again, by other rules or on another day."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands in the feed: no number that would count what others may not see."""
        return self.at.isoformat(), self.kind.value, f"{self.home} {self.revision} {self.conforms}"


def events(
    view: View, catalog: Catalog, *, kinds: Collection[EventKind] | None, domain: str | None, home: str | None,
    first: int, after: str | None,
) -> Page[Event]:  # fmt: skip
    """At most `first` events after a cursor, oldest first; `total` is how many are on the page.

    `domain` (IRI) and `home` keep those of one domain or product. Raises `InputError` for a bad cursor or size.
    """
    if not 0 <= first <= MAX_FIRST:
        raise InputError(f"a page has 0 to {MAX_FIRST} changes, not {first}", remedy="Change first")
    cursors = Cursors(catalog.iri_base)
    start = None if after is None else _place(cursors.read(after))
    inside = None if domain is None else view.subjects(DPROD + "domain", [domain])
    found: list[Event] = []
    for event in _visible(view, catalog, None if start is None else datetime.fromisoformat(start[0])):
        product = catalog.registry.by_home.get(event.home)
        if (
            (start is None or event.place > start)
            and (kinds is None or event.kind in kinds)
            and (home is None or event.home == home)
            and (inside is None or (product is not None and product.iri in inside))
        ):
            found.append(event)
            if len(found) > first:
                break
    shown = tuple(found[:first])
    return Page(shown, tuple(cursors.write(c.place) for c in shown), len(found) > first, start is not None, len(shown))


def _place(read: tuple[str | float, ...]) -> tuple[str, str, str]:
    try:
        at, kind, home = read
        if datetime.fromisoformat(str(at)).tzinfo is None:
            raise ValueError
    except ValueError:
        raise InputError("the cursor belongs to another list", remedy="Use one from pageInfo or an edge") from None
    return str(at), str(kind), str(home)


def _visible(view: View, catalog: Catalog, since: datetime | None) -> Iterator[Event]:
    """All events since a moment that the reader may know of, in their order."""
    kinds = (EntryKind.REGISTER, EntryKind.RETIRE, EntryKind.RULES, EntryKind.POLICY)
    plain = catalog.journal.headlines(kinds, since=since)
    verdicts = (
        e for e in catalog.journal.entries(kinds=[EntryKind.CONFORMANCE]) if since is None or e.draft.at >= since
    )
    sight = _Sight(view, catalog)
    waiting: list[Event] = []
    for entry in heapq.merge(plain, verdicts, key=lambda entry: entry.seq):
        if entry.seq > catalog.storage.applied:
            # it is not shown yet: what else happened at its time, and may have its place after it, waits for it
            waiting = [event for event in waiting if event.at != entry.draft.at]
            break
        if waiting and waiting[0].at != entry.draft.at:
            yield from sorted(waiting, key=lambda event: event.place)
            waiting = []
        waiting += [event for event in _events(entry) if sight.shows(event)]
    yield from sorted(waiting, key=lambda event: event.place)


def _events(entry: Entry) -> Iterator[Event]:
    draft = entry.draft
    if draft.kind is EntryKind.RULES:
        yield Event(
            EventKind.SHAPES_CHANGED, draft.at, draft.actor, "", 0, ruleset=draft.detail["digest"],
            rules_of=draft.detail.get("domain"),
        )  # fmt: skip
    elif draft.kind is EntryKind.POLICY:
        yield Event(EventKind.POLICY_CHANGED, draft.at, None, "", 0)
    elif draft.kind is EntryKind.RETIRE:
        yield Event(EventKind.RETIRED, draft.at, draft.actor, draft.product, draft.revision)
    elif draft.kind is EntryKind.REGISTER:
        kind = EventKind.UPDATED if draft.detail.get("update") else EventKind.REGISTERED
        yield Event(kind, draft.at, draft.actor, draft.product, draft.revision)
        if draft.detail.get("did") is False:  # what is registered conforms
            yield Event(EventKind.CONFORMANCE_CHANGED, draft.at, None, draft.product, draft.revision, True)
    else:
        for home, kept in json.loads(draft.document).items():
            if kept["did"] is not None and kept["did"] != kept["conforms"]:
                yield Event(
                    EventKind.CONFORMANCE_CHANGED, draft.at, None, home, kept["revision"], kept["conforms"],
                    judged_again="upto" in draft.detail,
                )  # fmt: skip


class _Sight:
    """Which events the reader may know of."""

    def __init__(self, view: View, catalog: Catalog) -> None:
        self._view, self._catalog = view, catalog
        self._readable = {product.home for product in view.readable}
        self._past: dict[tuple[str, int], bool] = {}
        self._whole = view.whole

    def shows(self, event: Event) -> bool:
        if not event.home:
            return True
        product = self._catalog.registry.by_home.get(event.home)
        if product is None or event.home not in self._readable:
            return False
        if event.kind is EventKind.CONFORMANCE_CHANGED and not (product.retired or self._told_all(product)):
            return self._turned(product, event)
        if event.revision == product.revision:
            return True
        return self._showed(product, event.revision)

    def _told_all(self, product: Product) -> bool:
        """Whether the reader sees all that a standing of the product rests on and is told of all that is found."""
        return bool(self._whole[product.slot]) and not _FIELDS & ~self._view.sight.grants(product)

    def _turned(self, product: Product, event: Event) -> bool:
        """Whether the conformance of what the reader sees of a product changed as that of all of it did."""
        before, after = (self._conformed(product, event, at) for at in (self._cause(event), event.at))
        return after is event.conforms and before is not after

    def _conformed(self, product: Product, event: Event, moment: datetime) -> bool | None:
        """Whether the product conformed at a moment, as the reader sees it; None for what today's policy hides."""
        whole = _UNSEEN
        if _FIELDS & ~self._view.sight.grants(product):
            whole = self._catalog.chronicle.of(product.slot, moment) or _UNSEEN
        (stood,) = self._catalog.verdicts.then(self._view, [(product, event.revision, whole)], moment)
        if stood is _UNSEEN:  # all of it was seen then
            return event.conforms if moment == event.at else not event.conforms
        waived = self._catalog.waivers.by_key(moment).get(product.key, frozenset())
        return None if stood is None else stood.conforms(waived)

    def _cause(self, event: Event) -> datetime:
        """Just before what made the conformance change: other rules, a day on which a mode turned, or a waiver."""
        rulings = self._catalog.rulings
        version = rulings.versions.in_force(event.at)
        ruling = None if version is None or not event.judged_again else rulings.known(version.digest)
        if version is None or ruling is None:
            return event.at - _MOMENT
        turns = [datetime.combine(day, time.min, UTC) for day in ruling.rules.turns]
        return max([version.at, *(turn for turn in turns if turn <= event.at)]) - _MOMENT

    def _showed(self, product: Product, revision: int) -> bool:
        """Whether today's policy shows that revision of the document."""
        known = self._past.get((product.home, revision))
        if known is None:
            found = self._catalog.journal.product_history(product.home, first=1, after=revision + 1)
            past = remember(found[0]) if found else None
            granted = 0 if past is None or past.access is None else self._view.granted_then([past.access])[past.access]
            retired = past is not None and past.access is None
            known = self._past[product.home, revision] = retired or granted & Need.READ == Need.READ
        return known
