"""The journal and its projections: the graph, the registry, the text index and the lineage index.

The journal is the truth. Each projection reflects an entry before the write that made it is acknowledged; one that
could not be brought up to date is caught up with before the next write, or at the next start.
"""

from __future__ import annotations

import gc
import heapq
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from fairmesh.catalog import rdf
from fairmesh.catalog.document import TITLES
from fairmesh.catalog.errors import ConfigError, FairmeshError, StorageUnavailable
from fairmesh.catalog.graph import Graph
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.lineage import LineageIndex
from fairmesh.catalog.locking import SharedLock
from fairmesh.catalog.model import Draft, Entry, EntryKind, SearchDocument
from fairmesh.catalog.opening import catch_up, project_graph, vocabulary_in
from fairmesh.catalog.projection import Projection, project
from fairmesh.catalog.registry import Product, Registry
from fairmesh.catalog.search import Index
from fairmesh.catalog.standing import Standing, Standings

log = logging.getLogger("fairmesh")

Find = Callable[[int, Sequence[SearchDocument]], None]
"""Takes what is found of a product, by its slot, instead of what was found before."""
_BATCH = 500
"""Products that are brought into the text index together at a start."""
_TOLD = 10_000
"""Entries after which a start says how far it is."""


class Storage:
    """What is stored, in all its forms. `writing` is held by the one writer, `reading` by who reads several of them."""

    def __init__(self, journal: Journal, graph: Graph, iri_base: str, vocabulary: Iterable[rdf.Triple]) -> None:
        self.journal = journal
        self.graph = graph
        self.registry = Registry(iri_base)
        self.search = Index()
        self.lineage = LineageIndex(lambda iri: iri.startswith(iri_base))
        self.standings = Standings(self.registry)
        self.writing = threading.Lock()
        self.reading = SharedLock()
        self.applied = 0
        self._iri_base = iri_base
        self._labels = _labels(vocabulary)
        self._closed = False

    def start(self) -> None:
        """Bring every projection to where the journal is. Raises `ConfigError` or `StorageUnavailable`."""
        head, _ = self.journal.head()
        if self.graph.reflects() > head:
            raise ConfigError(
                f"the graph reflects entry {self.graph.reflects()}, the journal ends at {head}",
                remedy="Run `fairmesh rebuild` on this data directory",
            )
        catch_up(self.graph, self.journal)
        with _uncollected():
            self._restore_all()
        self.applied = head

    def _restore_all(self) -> None:
        verdicts = self.journal.entries(kinds=[EntryKind.CONFORMANCE])
        rules = self.journal.headlines([EntryKind.RULES])
        found: dict[int, Sequence[SearchDocument]] = {}
        entries = heapq.merge(self.journal.heads(), verdicts, rules, key=lambda entry: entry.seq)
        for count, entry in enumerate(entries, 1):
            self._restore(entry, found.__setitem__)
            if count % _TOLD == 0:
                log.info("opening the mesh: %s entries of the journal are read", f"{count:,}")
            if len(found) == _BATCH:
                self.search.load(found)
                found.clear()
        self.search.load(found)

    def close(self) -> None:
        """Take no more writes. What is under way is finished."""
        with self.writing:
            self._closed = True

    def append(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Journal the drafts and show them. The caller holds `writing` and has caught up."""
        if not drafts:
            return []
        self._refuse_when_closed()
        entries = self.journal.append(drafts)
        self._apply_all(entries, "stored, but not yet visible", "the next write or start completes it")
        return entries

    def record(self, draft: Draft, then: Callable[[Entry], None]) -> None:
        """Journal what is no product; `then` is called with the entry before anything else is written."""
        with self.writing:
            self.catch_up()
            self._refuse_when_closed()
            entries = self.journal.append([draft])
            then(entries[0])
            self._apply_all(entries, "stored and in force", "the next write or start completes it")

    def catch_up(self) -> None:
        """Show what was stored while the graph could not be written. The caller holds `writing`."""
        if self.applied < self.journal.head()[0]:
            self._apply_all(
                self.journal.entries(after=self.applied),
                "nothing stored: an earlier entry cannot be shown",
                "try again",
            )

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StorageUnavailable("the service is stopping; nothing was stored", remedy="Try again when it is back")

    def _apply_all(self, entries: Iterable[Entry], message: str, then: str) -> None:
        try:
            for entry in entries:
                self._apply(entry)
        except FairmeshError:
            raise
        except Exception as error:
            log.exception("an entry of the journal could not be applied")
            raise StorageUnavailable(
                f"{message}: {error}", remedy=f"Free space on the disk of the data directory; {then}"
            ) from error

    def _apply(self, entry: Entry) -> None:
        projection = self._projection(entry)
        relabelled = self._relabelled(entry)
        with self.reading.exclusive():
            project_graph(self.graph, entry)
            self._place(entry, projection)
            for again in relabelled:
                self.place(again)
            self.applied = entry.seq

    def place(self, entry: Entry) -> None:
        """Show an entry in all projections but the graph."""
        self._place(entry, self._projection(entry))

    def _projection(self, entry: Entry) -> Projection | None:
        """What is derived from the document of an entry; None when it has none."""
        draft = entry.draft
        if draft.kind is not EntryKind.REGISTER:
            return None
        return project(
            draft.key, rdf.load(draft.document), iri_base=self._iri_base, updated=draft.at.timestamp(),
            label_of=self._labels.get,
        )  # fmt: skip

    def _relabelled(self, entry: Entry) -> list[Entry]:
        """The products that are found under other words since this rule set: its vocabularies name things anew."""
        if entry.draft.kind is not EntryKind.RULES:
            return []
        labels = _labels(vocabulary_in(entry))
        changed = {iri for iri in {*labels, *self._labels} if labels.get(iri) != self._labels.get(iri)}
        self._labels = labels
        homes = {graph for iri in changed for _, graph in self.graph.match(None, None, iri)}
        live = [home for home in sorted(homes) if home in self.registry.by_home]
        heads = [self.journal.product_head(home) for home in live if not self.registry.by_home[home].retired]
        return [head for head in heads if head is not None]

    def _place(self, entry: Entry, projection: Projection | None, find: Find | None = None) -> None:
        draft, find = entry.draft, find or self.search.put
        if draft.kind is EntryKind.RETIRE:
            product = self.registry.retire(
                draft.product, revision=draft.revision, at=draft.at, by=draft.actor, detail=draft.detail
            )
            find(product.slot, ())
            self.lineage.remove(product.slot)
            self.standings.refer(product)
            self.standings.forget(product)
        elif draft.kind is EntryKind.CONFORMANCE:
            self._stand(draft)
        elif draft.kind is EntryKind.RULES:
            self.standings.unsettle()
        elif projection is not None:
            product = self.registry.put(draft.product, projection, revision=draft.revision, at=draft.at, by=draft.actor)
            product.created_at = datetime.fromisoformat(draft.detail["created"])
            find(product.slot, projection.search)
            self.lineage.put(
                product.slot, projection.product, projection.lineage_nodes, projection.lineage, projection.parents
            )
            self.standings.refer(product)
            self.standings.forget(product)
            if "standing" in draft.detail:
                self.standings.put(product, Standing.read(draft.detail["standing"]))

    def _stand(self, draft: Draft) -> None:
        """Note verdicts that were given apart from a registration."""
        for home, kept in json.loads(draft.document).items():
            product = self.registry.by_home.get(home)
            if product is not None and product.revision == kept["revision"] and not product.retired:
                self.standings.put(product, Standing.read(kept["standing"]))
        if "upto" in draft.detail:
            self.standings.edition, self.standings.upto = draft.detail["edition"], draft.detail["upto"]

    def _restore(self, head: Entry, find: Find) -> None:
        """Place a product as its newest entry has it; of a retired one its last document gives key and facts."""
        if head.draft.kind is EntryKind.RETIRE:
            last = self.journal.product_history(head.draft.product, first=2)[1]
            self._place(last, self._projection(last), find)
        self._place(head, self._projection(head), find)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look through all that is read, again and again, and find nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def alive(product: Product | None) -> bool:
    """Whether there is a product and it is not retired."""
    return product is not None and not product.retired


def _labels(vocabulary: Iterable[rdf.Triple]) -> Mapping[str, str]:
    return {t.subject.value: t.object.value for t in vocabulary if t.predicate.value in TITLES}
