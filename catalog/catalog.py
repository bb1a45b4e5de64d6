"""The catalog: the one way in. Every write passes parse -> authorize -> validate -> commit; a dry run stops before the
last step. Reads go through `Catalog.view`, which binds a `View` to a subject.

The journal is the truth. The graph, the registry, the text index and the lineage index are projections of it; all of
them reflect an entry before the write that made it is acknowledged.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO

from fairmesh.catalog import rdf
from fairmesh.catalog.access import Access
from fairmesh.catalog.bundle import Bundles
from fairmesh.catalog.config import Settings
from fairmesh.catalog.document import TITLES, ProductDocument, own_nodes, references
from fairmesh.catalog.errors import (
    ConfigError,
    Conflict,
    FairmeshError,
    Forbidden,
    InputError,
    NotConforming,
    NotFound,
    StaleRevision,
    StorageUnavailable,
    WorkerFailed,
)
from fairmesh.catalog.governance import RuleSet, Validator
from fairmesh.catalog.graph import Graph, OxigraphGraph
from fairmesh.catalog.intake import Intake, with_lines
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.lineage import LineageIndex
from fairmesh.catalog.locking import SharedLock
from fairmesh.catalog.model import (
    AccessKey,
    Action,
    Decision,
    Draft,
    Entry,
    EntryKind,
    LineageDirection,
    LineageNode,
    Obligations,
    Outcome,
    Report,
    StatementChange,
    Subject,
    Submission,
)
from fairmesh.catalog.opening import check_base, claim, load_rules, project_graph
from fairmesh.catalog.policing import Policies, Publishing
from fairmesh.catalog.projection import Projection, project, statement_changes
from fairmesh.catalog.rdf import NamedNode, Triple
from fairmesh.catalog.registry import Product, Registry
from fairmesh.catalog.search import Index
from fairmesh.catalog.view import View

log = logging.getLogger("fairmesh")
decisions = logging.getLogger("fairmesh.decisions")
"""One line for each decision about a write: who, what, which product, the verdict, why, under which policy."""


MAX_REASON = 500


def utcnow() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Retirement:
    product: str
    revision: int
    still_used_by: tuple[LineageNode, ...]


@dataclass(frozen=True, slots=True)
class Approved:
    """A document that passed every step. Only `Catalog._approve` makes one, and only these are stored."""

    document: ProductDocument
    submitted: bytes
    actor: str
    base: int
    """The product's revision all of this was judged on; 0 when there was none."""
    ruleset: str
    policy: str


@dataclass(slots=True)
class _Attempt:
    """One submission on its way through the steps; `outcome` is set when the way ends."""

    submission: Submission
    document: ProductDocument | None = None
    stored: Product | None = None
    decision: Decision | None = None
    report: Report | None = None
    changes: tuple[StatementChange, ...] = ()
    same: bool = False
    """The stored document is this one to the letter."""
    approved: Approved | None = None
    outcome: Outcome | None = None

    def change(self) -> str:
        """What storing the document makes of the product."""
        if not _alive(self.stored):
            return "created"
        return "unchanged" if self.same else "updated"

    def end(self, *, change: str | None = None, revision: int | None = None, error: Exception | None = None) -> None:
        document = self.document
        self.outcome = Outcome(
            document.key if document else None, document.product if document else None, change, revision,
            self.report, self.decision, self.changes, error,
        )  # fmt: skip


class Catalog:
    """A mesh on one data directory. Thread-safe; blocking: an asynchronous caller uses threads."""

    def __init__(
        self, settings: Settings, journal: Journal, graph: Graph, rules: RuleSet, policies: Policies, lock: IO[str],
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self.settings = settings
        self.clock = clock
        self.rules = rules
        self.policies = policies
        self.iri_base = settings.iri_base
        self.ruleset_digest = rules.digest
        self.journal = journal
        self.graph = graph
        self.registry = Registry(settings.iri_base)
        self.search = Index()
        self.lineage = LineageIndex(lambda iri: iri.startswith(settings.iri_base))
        self.validator = Validator(rules, settings.workers)
        self._intake = Intake(settings, max(1, settings.workers // 2))
        self._threads = ThreadPoolExecutor(settings.workers * 2, thread_name_prefix="fairmesh-prepare")
        self._writing = threading.Lock()
        self._closed = False
        self._reading = SharedLock()
        self.bundles = Bundles(self.registry, self._reading, settings.data)
        self._applied = 0
        self._lock = lock
        self.publishing = Publishing(policies, self.registry, self._record, rules.digest, settings.workers, clock)
        self._labels = {t.subject.value: t.object.value for t in rules.vocabulary() if t.predicate.value in TITLES}

    @property
    def access(self) -> Access:
        """Decisions by the policy in force now. What is to be of one policy takes it once."""
        return self.policies.access

    @property
    def policy_digest(self) -> str:
        return self.access.policy_digest

    # -- life --

    @classmethod
    def open(cls, settings: Settings, *, clock: Callable[[], datetime] = utcnow) -> Catalog:
        """Open the mesh in `settings.data`, making it when absent, and bring every projection up to date.

        Raises `ConfigError` (directory in use, other `iri_base`, bad rules or policies), `StorageUnavailable` or
        `JournalCorrupt`.
        """
        rules = load_rules(settings)
        with ExitStack() as undo:
            lock = undo.enter_context(claim(settings.data))
            journal = undo.enter_context(closing(Journal.open(settings.data)))
            check_base(journal, settings, clock)
            graph = undo.enter_context(closing(OxigraphGraph(settings.data / "graph")))
            policies = undo.enter_context(closing(Policies.open(settings, journal, now=clock())))
            catalog = cls(settings, journal, graph, rules, policies, lock, clock)
            catalog._start()
            undo.pop_all()
        return catalog

    def _start(self) -> None:
        self._note_rules()
        self.policies.note(self.ruleset_digest)
        head, _ = self.journal.head()
        if self.graph.reflects() > head:
            raise ConfigError(
                f"the graph reflects entry {self.graph.reflects()}, the journal ends at {head}",
                remedy="Run `fairmesh rebuild` on this data directory",
            )
        try:
            for entry in self.journal.entries(after=self.graph.reflects()):
                project_graph(self.graph, entry)
        except OSError as error:
            raise StorageUnavailable(
                f"the graph cannot be brought up to date: {error}",
                remedy="Make room and write access for the data directory, then start again",
            ) from error
        for entry in self.journal.heads():
            self._restore(entry)
        self._applied = head

    def _note_rules(self) -> None:
        """Journal the rule set in force when it is not the one in force before."""
        last = self.journal.last(EntryKind.RULES)
        if last is not None and last.draft.detail["digest"] == self.rules.digest:
            return
        texts = {name: text.decode() for name, text in self.rules.files.items()}
        document = json.dumps(texts, sort_keys=True, ensure_ascii=False).encode()
        self.journal.append([
            Draft(EntryKind.RULES, "", "", 0, document, "application/json", b"", "fairmesh", self.clock(),
                  self.rules.digest, self.policy_digest, {"digest": self.rules.digest})
        ])  # fmt: skip

    def close(self) -> None:
        """End the child processes and release the data directory. What is still being decided is not stored."""
        with self._writing:
            self._closed = True
        self._threads.shutdown(cancel_futures=True)
        self._intake.close()
        self.validator.close()
        self.policies.close()
        self.graph.close()
        self.journal.close()
        self._lock.close()

    def ready(self) -> Mapping[str, str]:
        """Each part and "ok", or what is wrong with it."""
        head, _ = self.journal.head()
        parts = {"journal": "ok"}
        for name, reflects in (("graph", self.graph.reflects()), ("search", self._applied), ("lineage", self._applied)):
            parts[name] = "ok" if reflects >= head else "behind"
        try:
            self.access.probe(self.clock())
            parts["policy"] = "ok"
        except FairmeshError as error:
            parts["policy"] = error.message
        return parts

    # -- reading --

    @contextmanager
    def view(self, subject: Subject, *, channel: str, access: Access | None = None) -> Iterator[View]:
        """A view of the mesh as `subject` may see it. Nothing changes under it while the context is open.

        All of it is decided by one policy: `access`, taken from `Catalog.access` earlier in the same request, else the
        one in force. Raises `PolicyUnavailable` when no decision can be had.
        """
        decider = access or self.access
        scope = decider.scope(subject, self.registry.keys, channel=channel, now=self.clock())
        with self._reading.shared():
            yield View(self, subject, scope, channel, decider)

    def judge_stored(self, view: View, product: Product) -> Report:
        """The stored document under the rules in force, as far as this view shows it. For views: they hold the lock."""
        triples = view.statements(product.home)
        own = own_nodes(triples, product.iri, self.iri_base)
        background = view.background(references(triples, own, self.iri_base))
        report = self.validator.validate(
            rdf.canonical(triples), rdf.canonical(background), product=product.iri, domain=product.key.split(".")[0],
            own=frozenset(own), iri_base=self.iri_base, now=self.clock(),
        )  # fmt: skip
        entry = self.journal.product_head(product.home)
        if entry is None or len(triples) < len(self.graph.graph(product.home)):  # lines would count what is hidden
            return report
        return with_lines(report, entry.draft.submitted, entry.draft.media_type, self.iri_base)

    # -- writing --

    def register(
        self, subject: Subject, submissions: Sequence[Submission], *, channel: str, dry_run: bool = False,
        access: Access | None = None,
    ) -> list[Outcome]:  # fmt: skip
        """Register documents, each on its own merits, in one durable commit. One outcome for each, in order.

        Documents of one call may refer to each other in any order. A dry run is the same, short of the commit.
        They are judged by `access`, taken from `Catalog.access` earlier in the same request, else by the policy in
        force; what is approved by a policy that is replaced before the commit is judged again.
        """
        attempts = [_Attempt(submission) for submission in submissions]
        self._each(self._parse, attempts)
        for wave in _waves(attempts):
            self._register_wave(subject, wave, channel, dry_run, access or self.access)
        return [_outcome(attempt) for attempt in attempts]

    def _register_wave(
        self, subject: Subject, wave: list[_Attempt], channel: str, dry_run: bool, access: Access
    ) -> None:
        pending = wave
        while pending := [a for a in pending if a.outcome is None]:
            self._prepare(subject, pending, channel, dry_run, access)
            if dry_run:
                for attempt in pending:
                    if attempt.outcome is None:
                        attempt.end(change=attempt.change())
            else:
                self._commit(subject, [a for a in pending if a.outcome is None])
                access = self.access

    def validate(
        self,
        subject: Subject,
        submission: Submission,
        *,
        channel: str,
        shapes: Submission | None = None,
        mesh: bool = True,
        access: Access | None = None,
    ) -> Outcome:
        """What registering would say, writing nothing.

        `mesh` False leaves out the rules that need the mesh. Own `shapes` (Turtle, SHACL Core) are tried on top of
        the rules in force and need the govern action. `access` as in `register`.
        """
        attempt = _Attempt(submission)
        self._each(self._parse, [attempt])
        if attempt.outcome is None:
            decider = access or self.access
            trial = None if shapes is None else self._trial(subject, shapes, channel, decider)
            try:
                self._prepare(subject, [attempt], channel, True, decider, offline=not mesh, trial=trial)
            finally:
                if trial is not None:
                    trial.close()
            if attempt.outcome is None:
                attempt.end(change=attempt.change())
        return _outcome(attempt)

    def _trial(self, subject: Subject, shapes: Submission, channel: str, access: Access) -> Validator:
        decision = access.govern(subject, channel=channel, now=self.clock())
        if not decision.allowed:
            raise Forbidden("trying shapes of your own needs the govern action", decision)
        stated = self._intake.graph(shapes.content, shapes.media_type)
        files = {**self.rules.files, "org/trial/shapes.ttl": rdf.serialize(stated, rdf.TURTLE)}
        return Validator(RuleSet.from_files(files), 1)

    def retire(
        self, subject: Subject, iri: str, *, channel: str, reason: str | None = None, replaced_by: str | None = None,
        at: datetime | None = None, force: bool = False, if_revision: int | None = None,
    ) -> Retirement:  # fmt: skip
        """Retire a product: a tombstone stays, the IRI answers 410 to those who could see it.

        Raises `NotFound` (hidden and absent alike), `Retired`, `Forbidden`, `StaleRevision`, and `Conflict` (with
        `still_used_by`) when products the subject can see still read it and `force` is not given. A retirement takes
        effect at once: `InputError` for an `at` that is yet to come, a `replaced_by` that is no product the subject
        can see, or a reason of more than `MAX_REASON` characters.
        """
        if at is not None and at > self.clock():
            raise InputError(f"a retirement at {at.isoformat()}, which is yet to come", remedy="Retire it on that day")
        if reason is not None and len(reason) > MAX_REASON:
            raise InputError(f"a reason of {len(reason):,} characters", remedy=f"Say it in {MAX_REASON}, or link to it")
        with self._writing:
            self._catch_up()
            with self.view(subject, channel=channel) as view:
                users, product = self._retirable(view, iri)
                if replaced_by is not None and (replaced_by == iri or view.product(iri=replaced_by) is None):
                    raise InputError(f"{replaced_by} is no other product", remedy="Name the product that takes over")
            decision = self.access.decide(
                subject, Action.RETIRE, self.registry.keys[product.key_id], channel=channel, now=self.clock()
            )
            _note_decision(subject, decision, product.key)
            if not decision.allowed:
                raise Forbidden(f"{product.key} may not be retired by {subject.id}", decision)
            if if_revision is not None and if_revision != product.revision:
                raise _stale(product, if_revision)
            if users and not force:
                raise StillUsed(f"{product.key} is still read by {len(users)} products", users)
            detail = {"created": product.created_at.isoformat(), "reason": reason, "replaced_by": replaced_by,
                      "at": at.isoformat() if at else None}  # fmt: skip
            draft = Draft(
                EntryKind.RETIRE, product.home, product.key, product.revision + 1, b"", "", b"", subject.id,
                self.clock(),
                self.ruleset_digest, self.policy_digest, {k: v for k, v in detail.items() if v is not None},
            )  # fmt: skip
            self._append([draft])
            return Retirement(product.iri, draft.revision, users)

    def _retirable(self, view: View, iri: str) -> tuple[tuple[LineageNode, ...], Product]:
        info = view.product(iri=iri)
        if info is None:
            view.raise_if_retired(iri)
            raise NotFound(f"there is no product {iri}", iri=iri)
        below = view.lineage(info.iri, direction=LineageDirection.DOWNSTREAM, depth=1, max_nodes=1000, types=None)
        return tuple(n for n in below.nodes if n.iri != info.iri), self.registry.by_home[info.home]

    # -- the steps --

    def _each(self, step: Callable[[_Attempt], None], attempts: Iterable[_Attempt]) -> None:
        """Run a step for every attempt still under way; a fault ends that attempt alone."""

        def guarded(attempt: _Attempt) -> None:
            try:
                step(attempt)
            except FairmeshError as error:
                attempt.end(error=error)
            except Exception as error:
                log.exception("a submission could not be processed")
                attempt.end(error=WorkerFailed(
                    f"the document could not be processed: {type(error).__name__}",
                    remedy="Report it: the service's log has the details",
                ))  # fmt: skip

        list(self._threads.map(guarded, [a for a in attempts if a.outcome is None]))

    def _parse(self, attempt: _Attempt) -> None:
        attempt.document = self._intake.document(attempt.submission.content, attempt.submission.media_type)

    def _prepare(
        self, subject: Subject, attempts: list[_Attempt], channel: str, dry_run: bool, access: Access, *,
        offline: bool = False, trial: Validator | None = None,
    ) -> None:  # fmt: skip
        """Authorize, compare and validate against the mesh as it is now, by one policy from first to last."""
        self._each(lambda attempt: self._authorize(subject, attempt, channel, access, dry_run), attempts)
        open_attempts = [a for a in attempts if a.outcome is None]
        backgrounds = self._backgrounds(subject, open_attempts, channel, dry_run, access)
        now = self.clock()

        def judge(attempt: _Attempt) -> None:
            if attempt.outcome is None:
                self._judge(attempt, backgrounds[id(attempt)], now, offline, trial or self.validator)
                self._approve(attempt, subject, access.policy_digest)

        self._each(judge, open_attempts)

    def _authorize(self, subject: Subject, attempt: _Attempt, channel: str, access: Access, dry_run: bool) -> None:
        document = attempt.document
        assert document is not None
        held = self.registry.by_key.get(document.key)
        seen = held is not None and self._may_know(subject, held, channel, access)
        stored = attempt.stored = held if seen else None
        action = Action.UPDATE if _alive(stored) else Action.REGISTER
        keys = [document.access]
        if document.stated_domain not in (None, document.access.domain):
            keys.append(replace(document.access, domain=document.stated_domain or ""))
        if stored is not None:
            keys.append(self.registry.keys[stored.key_id])
        attempt.decision, denied = self._decided(subject, action, keys, channel, access)
        if held is not None and not seen and not denied and not dry_run:
            # a trial does not tell that something is there; storing over it is not to be had
            decided = attempt.decision
            attempt.decision, denied = (
                Decision(action, False, ("key-not-available",), Obligations(), decided.policy, decided.revision),
                True,
            )
        _note_decision(subject, attempt.decision, document.key)
        if denied:
            raise Forbidden(
                f"{document.key} may not be registered by {subject.id}: " + ", ".join(attempt.decision.reasons),
                attempt.decision,
                remedy="Ask the domain's team or the governance team; it takes the producer role in the domain",
            )
        if stored is not None and stored.iri != document.product:
            raise Conflict(
                f"the key {document.key} belongs to <{stored.iri}>", iri=document.product, remedy="Choose another key"
            )
        expected = attempt.submission.if_revision
        current = stored.revision if _alive(stored) and stored is not None else 0
        if expected is not None and expected != current:
            raise _stale(stored, expected)

    def _may_know(self, subject: Subject, product: Product, channel: str, access: Access) -> bool:
        """Whether the subject may discover the product or, if it is retired, its tombstone."""
        key = self.registry.keys[product.key_id]
        questions = [(Action.DISCOVER, key), (Action.READ_METADATA, key)]
        return any(d.allowed for d in access.decide_many(subject, questions, channel=channel, now=self.clock()))

    def _decided(
        self, subject: Subject, action: Action, keys: list[AccessKey], channel: str, access: Access
    ) -> tuple[Decision, bool]:
        """The first decision that denies, else the first; and whether it denies."""
        decisions = access.decide_many(subject, [(action, key) for key in keys], channel=channel, now=self.clock())
        decision = next((d for d in decisions if not d.allowed), decisions[0])
        return decision, not decision.allowed

    def _backgrounds(
        self, subject: Subject, attempts: list[_Attempt], channel: str, dry_run: bool, access: Access
    ) -> dict[int, bytes]:
        """What the mesh knows of the things each document refers to; ends attempts that change nothing."""
        siblings = {iri: a.document for a in attempts if a.document for iri in a.document.own}
        loaded: dict[str, list[Triple]] = {}
        backgrounds: dict[int, bytes] = {}
        if not attempts:
            return backgrounds
        with self.view(subject, channel=channel, access=access) as view:
            for attempt in attempts:
                document = attempt.document
                assert document is not None
                other = view.product(iri=document.product)
                if other is not None and other.key != document.key:
                    attempt.end(error=_taken(document.product, other.key))
                    continue
                self._compare(attempt, document, view, siblings.keys())
                if attempt.change() == "unchanged" and not dry_run:
                    attempt.end(change="unchanged", revision=attempt.stored.revision if attempt.stored else None)
                    continue
                known = view.background(document.references)
                for iri in document.references & siblings.keys():
                    sibling = siblings[iri]
                    if sibling.product not in loaded:
                        loaded[sibling.product] = rdf.load(sibling.nquads)
                    known += [t for t in loaded[sibling.product] if (t.subject, t.predicate) == (NamedNode(iri), _TYPE)]
                backgrounds[id(attempt)] = rdf.canonical(known)
        return backgrounds

    def _compare(self, attempt: _Attempt, document: ProductDocument, view: View, coming: Collection[str]) -> None:
        """What the document changes, as far as the subject may see: nodes hidden from it are named on neither side."""
        if not _alive(attempt.stored):
            old: list[Triple] = []
        else:
            assert attempt.stored is not None
            attempt.same = rdf.canonical(self.graph.graph(attempt.stored.home)) == document.nquads
            old = view.statements(attempt.stored.home, coming)
        unseen = {
            iri for iri in document.references
            if iri not in coming and not self.registry.is_shared(iri) and not view.exists(iri)
        }  # fmt: skip
        new = (t for t in rdf.load(document.nquads) if rdf.iri_of(t.object) not in unseen)
        attempt.changes = () if attempt.same else statement_changes(old, new)

    def _judge(self, attempt: _Attempt, background: bytes, now: datetime, offline: bool, validator: Validator) -> None:
        document = attempt.document
        assert document is not None
        report = validator.validate(
            document.nquads, background, product=document.product, domain=document.access.domain, own=document.own,
            iri_base=self.iri_base, now=now, offline=offline,
        )  # fmt: skip
        attempt.report = with_lines(report, attempt.submission.content, document.media_type, self.iri_base)
        if not report.conforms:
            broken = sorted({f.rule for f in report.findings if f.severity is f.severity.VIOLATION})
            raise NotConforming(
                f"{document.key} breaks {len(broken)} rule{'s' if len(broken) > 1 else ''}: " + ", ".join(broken),
                attempt.report, remedy="See the findings: each names its remedy",
            )  # fmt: skip

    def _approve(self, attempt: _Attempt, subject: Subject, policy: str) -> None:
        assert attempt.document is not None
        attempt.approved = Approved(
            attempt.document, attempt.submission.content, subject.id, attempt.stored.revision if attempt.stored else 0,
            self.ruleset_digest, policy,
        )  # fmt: skip

    # -- commit --

    def _commit(self, subject: Subject, attempts: list[_Attempt]) -> None:
        """Store what was approved; what changed meanwhile stays open and is prepared again."""
        with self._writing:
            ready = attempts
            try:
                self._catch_up()
                ready = [a for a in attempts if a.approved is not None and self._current(a.approved)]
                now = self.clock()
                drafts = [self._draft(a.approved, now) for a in ready if a.approved is not None]
                self._append(drafts)
            except FairmeshError as error:
                for attempt in ready:
                    attempt.end(error=error)
                return
            for attempt, draft in zip(ready, drafts, strict=True):
                attempt.end(change=attempt.change(), revision=draft.revision)

    def _current(self, approved: Approved) -> bool:
        stored = self.registry.by_key.get(approved.document.key)
        return (stored.revision if stored is not None else 0) == approved.base and approved.policy == self.policy_digest

    def _draft(self, approved: Approved, now: datetime) -> Draft:
        document = approved.document
        stored = self.registry.by_key.get(document.key)
        created = stored.created_at if stored is not None else now
        home = stored.home if stored is not None else self.iri_base + document.key
        return Draft(
            EntryKind.REGISTER, home, document.key, approved.base + 1, document.nquads, document.media_type,
            approved.submitted, approved.actor, now, approved.ruleset, approved.policy,
            {"created": created.isoformat()},
        )  # fmt: skip

    def _append(self, drafts: list[Draft]) -> None:
        """Journal the drafts and show them. The caller has caught up: what is applied next follows what was before."""
        if drafts:
            self._refuse_when_closed()
            self._apply_all(
                self.journal.append(drafts), "stored, but not yet visible", "the next write or start completes it"
            )

    def _record(self, draft: Draft, then: Callable[[Entry], None]) -> None:
        """Journal what is no product; `then` is called with the entry before anything else is written."""
        with self._writing:
            self._catch_up()
            self._refuse_when_closed()
            entries = self.journal.append([draft])
            then(entries[0])
            self._apply_all(entries, "stored and in force", "the next write or start completes it")

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StorageUnavailable("the service is stopping; nothing was stored", remedy="Try again when it is back")

    def _catch_up(self) -> None:
        """Show what was stored while the graph could not be written."""
        if self._applied < self.journal.head()[0]:
            self._apply_all(
                self.journal.entries(after=self._applied),
                "nothing stored: an earlier entry cannot be shown",
                "try again",
            )

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

    # -- projections --

    def _apply(self, entry: Entry) -> None:
        projection = self._projection(entry)
        with self._reading.exclusive():
            project_graph(self.graph, entry)
            self._place(entry, projection)
            self._applied = entry.seq

    def _projection(self, entry: Entry) -> Projection | None:
        """What is derived from the document of an entry; None when it has none."""
        draft = entry.draft
        if draft.kind is not EntryKind.REGISTER:
            return None
        return project(
            draft.key, rdf.load(draft.document), iri_base=self.iri_base, updated=draft.at.timestamp(),
            label_of=self._labels.get,
        )  # fmt: skip

    def _place(self, entry: Entry, projection: Projection | None) -> None:
        draft = entry.draft
        if draft.kind is EntryKind.RETIRE:
            product = self.registry.retire(
                draft.product, revision=draft.revision, at=draft.at, by=draft.actor, detail=draft.detail
            )
            self.search.remove(product.slot)
            self.lineage.remove(product.slot)
        elif projection is not None:
            product = self.registry.put(draft.product, projection, revision=draft.revision, at=draft.at, by=draft.actor)
            product.created_at = datetime.fromisoformat(draft.detail["created"])
            self.search.put(product.slot, projection.search)
            self.lineage.put(
                product.slot, projection.product, projection.lineage_nodes, projection.lineage, projection.parents
            )

    def _restore(self, head: Entry) -> None:
        """Place a product as its newest entry has it; of a retired one its last document gives key and facts."""
        if head.draft.kind is EntryKind.RETIRE:
            last = self.journal.product_history(head.draft.product, first=2)[1]
            self._place(last, self._projection(last))
        self._place(head, self._projection(head))


class StillUsed(Conflict):
    """Products the caller can see still read the product; `still_used_by` lists them."""

    code = "still-used"

    def __init__(self, message: str, still_used_by: tuple[LineageNode, ...]) -> None:
        super().__init__(message, remedy="Move them to another product, or retire with force")
        self.still_used_by = still_used_by


_TYPE = NamedNode(rdf.PREFIXES["rdf"] + "type")


def _alive(product: Product | None) -> bool:
    return product is not None and not product.retired


def _note_decision(subject: Subject, decision: Decision, key: str) -> None:
    decisions.info(
        "actor=%s action=%s product=%s allowed=%s reasons=%s policy=%s",
        subject.id, decision.action, key, decision.allowed, ",".join(decision.reasons), decision.revision,
    )  # fmt: skip


def _taken(iri: str, key: str) -> Conflict:
    # to who cannot see that product the IRI is free: a refusal would tell that it is there
    return Conflict(
        f"<{iri}> is the IRI of {key}", iri=iri, remedy="Give it another, or a relative one: the product's key"
    )


def _stale(product: Product | None, expected: int) -> StaleRevision:
    current = product.revision if product is not None and not product.retired else 0
    return StaleRevision(
        f"revision {expected} was expected, {current or 'none'} is current", remedy="Read the product again, then retry"
    )


def _outcome(attempt: _Attempt) -> Outcome:
    assert attempt.outcome is not None
    return attempt.outcome


def _waves(attempts: list[_Attempt]) -> Iterator[list[_Attempt]]:
    """Attempts in groups in which no product occurs twice, in the order given."""
    wave: list[_Attempt] = []
    seen: set[str] = set()
    for attempt in attempts:
        if attempt.document is None:
            continue
        names = {attempt.document.product, attempt.document.key}
        if names & seen:
            yield wave
            wave, seen = [], set()
        wave.append(attempt)
        seen |= names
    if wave:
        yield wave
