"""A mesh in memory, past the gate: the real projections, views and access policy, without worker processes or a disk.

Documents are read, normalised and projected by the catalog's own code; they are not validated against rules, so that a
mesh costs milliseconds and may hold documents which a gate would refuse today.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import ClassVar

from pyoxigraph import NamedNode, Quad, Store
from samples import BASE

from fairmesh.catalog import Settings, View
from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.asking import Bench
from fairmesh.catalog.catalog import Catalog
from fairmesh.catalog.chronicle import Chronicle
from fairmesh.catalog.decisionlog import RecordedDecisions
from fairmesh.catalog.document import ProductDocument, read
from fairmesh.catalog.errors import StorageUnavailable
from fairmesh.catalog.governance import Case, Judgement, RuleSet, Stops, Validator, judge
from fairmesh.catalog.graph import VOCABULARY, OxigraphGraph
from fairmesh.catalog.judging import Judge
from fairmesh.catalog.model import Draft, Entry, EntryKind, Subject
from fairmesh.catalog.policing import InUse, Policies, Publishing
from fairmesh.catalog.ruling import RulePublishing, Ruling, Rulings
from fairmesh.catalog.storage import Storage
from fairmesh.catalog.verdicts import Verdicts
from fairmesh.catalog.versions import Version, Versions
from fairmesh.catalog.waivers import Waivers

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHANNEL = "http"


@cache
def rules() -> RuleSet:
    return RuleSet.load()


@cache
def _vocabulary() -> list[Quad]:
    name = NamedNode(VOCABULARY)
    return [Quad(t.subject, t.predicate, t.object, name) for t in rules().vocabulary()]


@cache
def parsed(data: bytes) -> ProductDocument:
    return read(data, "text/turtle", BASE)


def open_access() -> Access:
    """The policies that ship, by the real engine."""
    policies = PolicySet.load()
    return Access(EmbeddedEngine(policies), policies)


class MemoryGraph(OxigraphGraph):
    """The embedded adapter over a store in memory, with the vocabularies in it."""

    def __init__(self) -> None:
        self._store, self._closed = Store(), False
        self._store.extend(_vocabulary())


class History:
    """What views ask of a journal."""

    def __init__(self) -> None:
        self.all: list[Entry] = []

    def product_history(self, product: str, *, first: int = 20, after: int | None = None) -> list[Entry]:
        mine = [e for e in reversed(self.all) if e.draft.product == product]
        return [e for e in mine if after is None or e.draft.revision < after][:first]

    def documents(self, revisions: Collection[tuple[str, int]]) -> dict[str, bytes]:
        wanted = set(revisions)
        return {e.draft.product: e.draft.document for e in self.all if (e.draft.product, e.draft.revision) in wanted}

    def entry(self, seq: int) -> Entry | None:
        return next((e for e in self.all if e.seq == seq), None)

    def product_head(self, product: str) -> Entry | None:
        return next(iter(self.product_history(product)), None)

    def entries(self, after: int = 0, kinds: Collection[EntryKind] = tuple(EntryKind)) -> Iterator[Entry]:
        return iter([entry for entry in self.all if entry.draft.kind in kinds and entry.seq > after])

    def headlines(
        self, kinds: Collection[EntryKind], *, since: datetime | None = None, after: int = 0
    ) -> Iterator[Entry]:
        return iter([e for e in self.entries(after, kinds) if since is None or e.draft.at >= since])


def register_entry(number: int, document: bytes, product: str, key: str, revision: int, created: datetime) -> Entry:
    draft = Draft(
        EntryKind.REGISTER, product, key, revision, document, "text/turtle", document, "producer",
        NOW - timedelta(days=300) + timedelta(hours=number), "rules", "policy", {"created": created.isoformat()},
    )  # fmt: skip
    return Entry(number, draft, "", "")


class OneVersion(Versions):
    """One version, which is all there ever was, without a journal."""

    def __init__(self, only: Version) -> None:
        self.newest = self._only = only

    def of(self, digest: str) -> Version | None:
        return self._only if digest == self._only.digest else None

    def in_force(self, at: datetime) -> Version | None:
        return self._only if at >= self._only.at else None


class Standing(Policies):
    """One policy, which is all there ever was, without a journal."""

    _twins: ClassVar[dict[str, tuple[Access, EmbeddedEngine]]] = {}

    def __init__(self, access: Access) -> None:
        self._log = None
        start = NOW - timedelta(days=300)
        version = Version(access.policy_digest, start, "fairmesh", "folder", None, access.policies.files)
        self.versions = OneVersion(version)
        self._in_use = InUse(version, access)

    def recorded(self) -> RecordedDecisions:
        return RecordedDecisions(Path("/nowhere"))

    def _twin(self, access: Access) -> tuple[Access, EmbeddedEngine]:
        """Made once for all meshes: compiling takes longer than most of them live."""
        if access.policy_digest not in self._twins:
            engine = EmbeddedEngine(access.policies)
            self._twins[access.policy_digest] = Access(engine, access.policies), engine
        return self._twins[access.policy_digest]


class Here(Validator):
    """Judges in this process: what these tests send is no danger to it."""

    def judge_many(
        self, cases: Sequence[Case], *, iri_base: str, now: datetime, offline: bool = False, timeout: float = 0,
        stops: Stops | None = None,
    ) -> list[Judgement]:  # fmt: skip
        return [judge(self.rules, case, iri_base=iri_base, now=now, offline=offline) for case in cases]


@cache
def settings() -> Settings:
    return Settings.read({"workers": 1}, environment={})


@cache
def ruling() -> Ruling:
    """The rules that ship, as if they had been in force for long."""
    start = NOW - timedelta(days=300)
    return Ruling(Version(rules().digest, start, "fairmesh", "folder", None, rules().files), rules(), Here(rules(), 1))


class OneRuling(Rulings):
    """One rule set, which is all there ever was, without a journal."""

    def __init__(self, only: Ruling) -> None:
        self.versions, self._past, self._current = OneVersion(only.version), {}, only


def _unpublished(draft: Draft, then: Callable[[Entry], None]) -> None:
    raise StorageUnavailable("this mesh keeps its policy")


class Mesh(Catalog):
    """A catalog that only reads; entries are put in by hand."""

    def __init__(self, access: Access, entries: Iterable[Entry] = ()) -> None:
        self.policies = Standing(access)
        self.iri_base = BASE
        self.clock = lambda: NOW
        self.settings = settings()
        self.rulings = OneRuling(ruling())
        self.graph = MemoryGraph()
        self.keep(History())
        for entry in entries:
            self.add(entry)

    def keep(self, journal: History) -> None:
        """Begin anew, with this journal."""
        self.journal = journal  # type: ignore[assignment]
        self.storage = Storage(self.journal, self.graph, BASE, rules().vocabulary())
        self.registry, self.search, self.lineage = self.storage.registry, self.storage.search, self.storage.lineage
        self.waivers = Waivers(self.journal, BASE, rules, _unpublished, self.clock)
        bench = Bench(BASE, self.settings.workers)
        self.verdicts = Verdicts(self, bench)
        self.judge = Judge(self, bench)
        self.chronicle = Chronicle(self.storage)

    @property
    def publishing(self) -> Publishing:  # type: ignore[override]
        return Publishing(self.policies, self.registry, _unpublished, lambda: self.ruleset_digest, 1, self.clock)

    @property
    def rule_publishing(self) -> RulePublishing:  # type: ignore[override]
        return RulePublishing(self.rulings, self.settings, _unpublished, self.judge.nudge, self.clock)

    def add(self, entry: Entry) -> None:
        self.graph.replace(entry.draft.product, entry.draft.document, entry.seq)
        self.storage.place(entry)
        self.storage.applied = entry.seq
        self.journal.all.append(entry)  # type: ignore[attr-defined]

    def load(self, documents: Sequence[bytes]) -> None:
        """Put in documents as they would be registered one after the other."""
        for number, data in enumerate(documents, len(self.journal.all) + 1):  # type: ignore[attr-defined]
            document = parsed(data)
            old = self.registry.by_home.get(document.product)
            self.add(register_entry(
                number, document.nquads, document.product, document.key, 1 if old is None else old.revision + 1,
                NOW - timedelta(days=300) if old is None else old.created_at,
            ))  # fmt: skip

    def retire(self, product: str, **detail: str) -> None:  # type: ignore[override]
        number, old = len(self.journal.all) + 1, self.registry.by_home[product]  # type: ignore[attr-defined]
        draft = Draft(
            EntryKind.RETIRE, product, old.key, old.revision + 1, b"", "", b"", "producer",
            NOW - timedelta(days=300) + timedelta(hours=number), "rules", "policy",
            {"created": old.created_at.isoformat(), **detail},
        )  # fmt: skip
        self.add(Entry(number, draft, "", ""))

    @contextmanager
    def reading(self, subject: Subject) -> Iterator[View]:
        with self.view(subject, channel=CHANNEL) as view:
            yield view
