"""What became of a product over time, as far as today's policy shows it to a reader."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from fairmesh.catalog.model import AccessKey, Entry, Revision
from fairmesh.catalog.projection import Past, remember, statement_changes
from fairmesh.catalog.rdf import NamedNode, Triple
from fairmesh.catalog.registry import Product, Registry, Sight


def revisions(
    holder: Product, entries: Sequence[Entry], registry: Registry, sight: Sight,
    granted: Callable[[Collection[AccessKey]], Mapping[AccessKey, int]], digest: Callable[[Iterable[Triple]], str],
) -> list[Revision]:  # fmt: skip
    """Revisions, newest first, with what each changed; those today's policy hides are left out.

    `entries` are the product's, newest first; `granted` says what today's policy grants on documents with these facts.
    """
    pasts = [remember(entry) for entry in entries]
    grants = granted({past.access for past in pasts if past.access is not None})
    found: list[Revision] = []
    before: list[Triple] = []
    then_granted = 0
    for entry, past in zip(reversed(entries), reversed(pasts), strict=True):
        if past.access is not None:
            then_granted = grants[past.access]
        if not then_granted:  # hidden, and so is its retirement: the next is compared with the last one shown
            continue
        after = seen_then(holder, past, then_granted, registry, sight)
        found.append(Revision(
            entry.draft.revision, entry.draft.at, entry.draft.actor, past.version, digest(after),
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
