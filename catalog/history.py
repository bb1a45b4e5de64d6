"""What became of a product over time, as far as today's policy shows it to a reader."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fairmesh.catalog.document import DPROD_STATUS, Statements, product_of
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import LIVE_STATUSES, STATUS, AccessKey, Entry, EntryKind, Revision
from fairmesh.catalog.projection import Past, remember, statement_changes
from fairmesh.catalog.rdf import NamedNode, Triple
from fairmesh.catalog.registry import Product, Registry, Sight

_LIVE = tuple(f"<{STATUS}{status}>".encode() for status in LIVE_STATUSES)
_CHUNK = 100
"""Entries read at once."""
_MOST = 10_000
"""Revisions that are looked at."""


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of a product that today's policy shows to a reader who may read the product.

    `granted` says what today's policy grants on documents with these facts; `digest` names what is seen of one.
    """

    holder: Product
    journal: Journal
    registry: Registry
    sight: Sight
    granted: Callable[[Collection[AccessKey]], Mapping[AccessKey, int]]
    digest: Callable[[Iterable[Triple]], str]

    def revisions(self) -> list[Revision]:
        """All of them, newest first, with what each changed."""
        return self._shown(self.journal.product_history(self.holder.home, first=_MOST))

    def revision(self, number: int | None = None) -> Revision | None:
        """The one with this number, without a number the current one; None when it is hidden or not there.

        Reads back to the last one shown before it, which is what its changes are against.
        """
        wanted, size = self.holder.revision if number is None else number, 2
        while True:
            entries = self.journal.product_history(self.holder.home, first=size, after=wanted + 1)
            found = self._shown(entries)
            if len(found) > 1 or len(entries) < size or size >= _MOST:
                return next((revision for revision in found if revision.number == wanted), None)
            size = min(size * 4, _MOST)

    def last_live(self) -> tuple[int, list[Triple]] | None:
        """The last revision before the current one that was live: its number, and the statements shown. None when there
        was none since the product was last retired, or when it is hidden."""
        number = self.holder.revision
        while entries := self.journal.product_history(self.holder.home, first=_CHUNK, after=number):
            for entry in entries:
                number = entry.draft.revision
                if entry.draft.kind is not EntryKind.REGISTER:
                    return None
                if any(status in entry.draft.document for status in _LIVE):  # else not parsed: there may be many drafts
                    past = remember(entry)
                    statuses = Statements(past.triples).iris(product_of(past.triples), DPROD_STATUS)
                    if any(iri.removeprefix(STATUS) in LIVE_STATUSES for iri in statuses):
                        granted = self.granted([past.access])[past.access] if past.access is not None else 0
                        seen = seen_then(self.holder, past, granted, self.registry, self.sight) if granted else []
                        return (number, seen) if seen else None
        return None

    def _shown(self, entries: Sequence[Entry]) -> list[Revision]:
        """Of entries of the product, newest first; the oldest is taken for its first."""
        pasts = [remember(entry) for entry in entries]
        grants = self.granted({past.access for past in pasts if past.access is not None})
        found: list[Revision] = []
        before: list[Triple] = []
        then_granted = 0
        for entry, past in zip(reversed(entries), reversed(pasts), strict=True):
            if past.access is not None:
                then_granted = grants[past.access]
            if not then_granted:  # hidden, and so is its retirement: the next is compared with the last one shown
                continue
            after = seen_then(self.holder, past, then_granted, self.registry, self.sight)
            found.append(Revision(
                entry.draft.revision, entry.draft.at, entry.draft.actor, past.version, self.digest(after),
                statement_changes(before, after),
            ))  # fmt: skip
            before = after
        found.reverse()
        return found


def seen_then(holder: Product, past: Past, granted: int, registry: Registry, sight: Sight) -> list[Triple]:
    """The statements of a past document that today's policy shows."""
    needs = {iri: past.needs.get(iri, 0) | need for iri, need in {**past.needs, **holder.needs}.items()}
    then = replace(holder, needs=needs)
    return [t for t in past.triples if _was_visible(then, t, granted, registry, sight)]


def _was_visible(then: Product, triple: Triple, granted: int, registry: Registry, sight: Sight) -> bool:
    """As `Sight.triple`, for a document of the past: its own nodes need not be there any more."""
    target = triple.object.value if isinstance(triple.object, NamedNode) else None
    need = registry.statement_need(then, triple.subject.value, triple.predicate.value, target)
    own = target is not None and target.startswith((then.iri + "/", then.iri + "#"))
    return need & granted == need and sight.granted(then, need) and (target is None or own or sight.node(target))
