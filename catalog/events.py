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
from fairmesh.catalog.judging import waived_by_key
from fairmesh.catalog.model import Entry, EntryKind, Need, Page
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


class ChangeKind(StrEnum):
    REGISTERED = "REGISTERED"
    UPDATED = "UPDATED"
    RETIRED = "RETIRED"
    CONFORMANCE_CHANGED = "CONFORMANCE_CHANGED"
    SHAPES_CHANGED = "SHAPES_CHANGED"
    POLICY_CHANGED = "POLICY_CHANGED"


@dataclass(frozen=True, slots=True)
class Change:
    """One event. `home` and `revision` are those of the product, "" and 0 where it is about none; `conforms` is set
    when its conformance changed. When rules changed, which everybody may read, `ruleset` is the digest of those in
    force since, and `rules_of` the domain whose rules alone were replaced, if so."""

    kind: ChangeKind
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


def changes(
    view: View, catalog: Catalog, *, kinds: Collection[ChangeKind] | None, domain: str | None, home: str | None,
    first: int, after: str | None,
) -> Page[Change]:  # fmt: skip
    """At most `first` events after a cursor, oldest first; `total` is how many are on the page.

    `domain` (IRI) and `home` keep those of one domain or product. Raises `InputError` for a bad cursor or size.
    """
    if not 0 <= first <= MAX_FIRST:
        raise InputError(f"a page has 0 to {MAX_FIRST} changes, not {first}", remedy="Change first")
    cursors = Cursors(catalog.iri_base)
    start = None if after is None else _place(cursors.read(after))
    inside = None if domain is None else view.subjects(DPROD + "domain", [domain])
    found: list[Change] = []
    for change in _visible(view, catalog, None if start is None else datetime.fromisoformat(start[0])):
        product = catalog.registry.by_home.get(change.home)
        if (
            (start is None or change.place > start)
            and (kinds is None or change.kind in kinds)
            and (home is None or change.home == home)
            and (inside is None or (product is not None and product.iri in inside))
        ):
            found.append(change)
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


def _visible(view: View, catalog: Catalog, since: datetime | None) -> Iterator[Change]:
    """All events since a moment that the reader may know of, in their order."""
    kinds = (EntryKind.REGISTER, EntryKind.RETIRE, EntryKind.RULES, EntryKind.POLICY)
    plain = catalog.journal.headlines(kinds, since=since)
    verdicts = (
        e for e in catalog.journal.entries(kinds=[EntryKind.CONFORMANCE]) if since is None or e.draft.at >= since
    )
    sight = _Sight(view, catalog)
    waiting: list[Change] = []
    for entry in heapq.merge(plain, verdicts, key=lambda entry: entry.seq):
        if waiting and waiting[0].at != entry.draft.at:
            yield from sorted(waiting, key=lambda change: change.place)
            waiting = []
        waiting += [change for change in _changes(entry) if sight.shows(change)]
    yield from sorted(waiting, key=lambda change: change.place)


def _changes(entry: Entry) -> Iterator[Change]:
    draft = entry.draft
    if draft.kind is EntryKind.RULES:
        yield Change(
            ChangeKind.SHAPES_CHANGED, draft.at, draft.actor, "", 0, ruleset=draft.detail["digest"],
            rules_of=draft.detail.get("domain"),
        )  # fmt: skip
    elif draft.kind is EntryKind.POLICY:
        yield Change(ChangeKind.POLICY_CHANGED, draft.at, None, "", 0)
    elif draft.kind is EntryKind.RETIRE:
        yield Change(ChangeKind.RETIRED, draft.at, draft.actor, draft.product, draft.revision)
    elif draft.kind is EntryKind.REGISTER:
        kind = ChangeKind.UPDATED if draft.detail.get("update") else ChangeKind.REGISTERED
        yield Change(kind, draft.at, draft.actor, draft.product, draft.revision)
        if draft.detail.get("did") is False:  # what is registered conforms
            yield Change(ChangeKind.CONFORMANCE_CHANGED, draft.at, None, draft.product, draft.revision, True)
    else:
        for home, kept in json.loads(draft.document).items():
            if kept["did"] is not None and kept["did"] != kept["conforms"]:
                yield Change(
                    ChangeKind.CONFORMANCE_CHANGED, draft.at, None, home, kept["revision"], kept["conforms"],
                    judged_again="upto" in draft.detail,
                )  # fmt: skip


class _Sight:
    """Which events the reader may know of."""

    def __init__(self, view: View, catalog: Catalog) -> None:
        self._view, self._catalog = view, catalog
        self._readable = {product.home for product in view.readable}
        self._past: dict[tuple[str, int], bool] = {}
        self._whole = view.whole

    def shows(self, change: Change) -> bool:
        if not change.home:
            return True
        product = self._catalog.registry.by_home.get(change.home)
        if product is None or change.home not in self._readable:
            return False
        if change.kind is ChangeKind.CONFORMANCE_CHANGED and not (product.retired or self._whole[product.slot]):
            return self._turned(product, change)
        if change.revision == product.revision:
            return True
        return self._showed(product, change.revision)

    def _turned(self, product: Product, change: Change) -> bool:
        """Whether the conformance of what the reader sees of a product changed as that of all of it did."""
        before, after = (self._conformed(product, change, at) for at in (self._cause(change), change.at))
        return after is change.conforms and before is not after

    def _conformed(self, product: Product, change: Change, moment: datetime) -> bool | None:
        """Whether the product conformed at a moment, as the reader sees it; None for what today's policy hides."""
        stood = self._catalog.judge.then(self._view, product, change.revision, _UNSEEN, moment)
        if stood is _UNSEEN:  # all of it was seen then
            return change.conforms if moment == change.at else not change.conforms
        waived = waived_by_key(self._catalog.waivers, moment).get(product.key, frozenset())
        return None if stood is None else stood.conforms(waived)

    def _cause(self, change: Change) -> datetime:
        """Just before what made the conformance change: other rules, a day on which a mode turned, or a waiver."""
        rulings = self._catalog.rulings
        version = rulings.in_force(change.at)
        rules = None if version is None or not change.judged_again else rulings.known(version.digest)
        if version is None or rules is None:
            return change.at - _MOMENT
        turns = [datetime.combine(day, time.min, UTC) for day in rules.turns]
        return max([version.at, *(turn for turn in turns if turn <= change.at)]) - _MOMENT

    def _showed(self, product: Product, revision: int) -> bool:
        """Whether today's policy shows that revision of the document."""
        known = self._past.get((product.home, revision))
        if known is None:
            found = self._catalog.journal.product_history(product.home, first=1, after=revision + 1)
            past = remember(found[0]) if found else None
            granted = 0 if past is None or past.access is None else self._view.granted_then(past.access)
            retired = past is not None and past.access is None
            known = self._past[product.home, revision] = retired or granted & Need.READ == Need.READ
        return known
