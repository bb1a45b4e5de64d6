"""The catalog: the one way in. Every write passes parse -> authorize -> validate -> commit; a dry run stops before the
last step. Reads go through `Catalog.view`, which binds a `View` to a subject.

The journal is the truth. The graph, the registry, the text index and the lineage index are projections of it; all of
them reflect an entry before the write that made it is acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO

from fairmesh.catalog import rdf
from fairmesh.catalog.access import Access
from fairmesh.catalog.asking import Bench
from fairmesh.catalog.bundle import Bundles
from fairmesh.catalog.changes import Comparison, compare
from fairmesh.catalog.chronicle import Chronicle
from fairmesh.catalog.config import Settings
from fairmesh.catalog.dependents import Dependents, breaks, refusal
from fairmesh.catalog.document import ProductDocument
from fairmesh.catalog.errors import (
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
from fairmesh.catalog.fair import Assessment, assess
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.graph import Graph, OxigraphGraph
from fairmesh.catalog.intake import Intake, with_lines, with_places
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.judging import Judge, Judged
from fairmesh.catalog.model import (
    FM,
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
from fairmesh.catalog.opening import check_base, claim, load_rules
from fairmesh.catalog.places import Positions
from fairmesh.catalog.policing import Policies, Publishing
from fairmesh.catalog.projection import statement_changes
from fairmesh.catalog.rdf import Literal, NamedNode, Triple
from fairmesh.catalog.registry import Product
from fairmesh.catalog.ruling import RulePublishing, Ruling, Rulings, rules_of
from fairmesh.catalog.standing import Standing
from fairmesh.catalog.storage import Storage, alive
from fairmesh.catalog.verdicts import Verdicts
from fairmesh.catalog.view import View
from fairmesh.catalog.waivers import Waivers, apply, relied_on

log = logging.getLogger("fairmesh")
decisions = logging.getLogger("fairmesh.decisions")
"""One line for each decision about a write: who, what, which product, the verdict, why, under which policy."""


MAX_REASON = 500
_MARK = "judged"
"""The file of a data directory that says up to which entry of the journal every verdict was given."""


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
    judged: Judged
    standing: Standing


@dataclass(slots=True)
class _Attempt:
    """One submission on its way through the steps; `outcome` is set when the way ends."""

    submission: Submission
    document: ProductDocument | None = None
    stored: Product | None = None
    decision: Decision | None = None
    report: Report | None = None
    changes: tuple[StatementChange, ...] = ()
    comparison: Comparison | None = None
    breaks: Dependents = field(default_factory=Dependents)
    fair: Assessment | None = None
    same: bool = False
    """The stored document is this one to the letter."""
    approved: Approved | None = None
    outcome: Outcome | None = None

    def change(self) -> str:
        """What storing the document makes of the product."""
        if not alive(self.stored):
            return "created"
        return "unchanged" if self.same else "updated"

    def end(self, *, change: str | None = None, revision: int | None = None, error: Exception | None = None) -> None:
        document = self.document
        self.outcome = Outcome(
            document.key if document else None, document.product if document else None, change, revision,
            self.report, self.decision, self.changes, error, self.comparison, self.breaks, self.fair,
        )  # fmt: skip


class Catalog:
    """A mesh on one data directory. Thread-safe; blocking: an asynchronous caller uses threads."""

    def __init__(
        self, settings: Settings, journal: Journal, graph: Graph, rulings: Rulings, policies: Policies, lock: IO[str],
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self.settings = settings
        self.clock = clock
        self.rulings = rulings
        self.policies = policies
        self.iri_base = settings.iri_base
        self.storage = Storage(journal, graph, settings.iri_base, rulings.current.rules.vocabulary())
        self.journal = journal
        self.graph = graph
        self.registry = self.storage.registry
        self.search = self.storage.search
        self.lineage = self.storage.lineage
        self._intake = Intake(settings, max(1, settings.workers // 2))
        self._threads = ThreadPoolExecutor(settings.workers * 2, thread_name_prefix="fairmesh-prepare")
        self.bundles = Bundles(self.registry, self.storage.reading, settings.data)
        self._lock = lock
        record, ruleset = self.storage.record, lambda: self.ruleset_digest
        self.publishing = Publishing(policies, self.registry, record, ruleset, settings.workers, clock)
        self.waivers = Waivers(journal, settings.iri_base, lambda: rulings.current.rules, self._waive, clock)
        bench = Bench(settings.iri_base, settings.workers)
        self.verdicts = Verdicts(self, bench)
        self.judge = Judge(self, bench)
        self.chronicle = Chronicle(self.storage)
        self.rule_publishing = RulePublishing(rulings, settings, record, self.judge.nudge, clock)

    @property
    def access(self) -> Access:
        """Decisions by the policy in force now. What is to be of one policy takes it once."""
        return self.policies.access

    @property
    def policy_digest(self) -> str:
        return self.access.policy_digest

    @property
    def ruleset_digest(self) -> str:
        """The rule set in force now."""
        return self.rulings.current.digest

    # -- life --

    @classmethod
    def open(cls, settings: Settings, *, clock: Callable[[], datetime] = utcnow) -> Catalog:
        """Open the mesh in `settings.data`, making it when absent, and bring every projection up to date.

        Raises `ConfigError` (directory in use, other `iri_base`, bad rules or policies), `StorageUnavailable` or
        `JournalCorrupt`.
        """
        rules, examples = load_rules(settings)
        with ExitStack() as undo:
            lock = undo.enter_context(claim(settings.data))
            journal = undo.enter_context(closing(Journal.open(settings.data)))
            clock = journal.ascending(clock)
            check_base(journal, settings, clock)
            graph = undo.enter_context(closing(OxigraphGraph(settings.data / "graph")))
            policies = undo.enter_context(closing(Policies.open(settings, journal, now=clock())))
            rulings = Rulings.open(settings, journal, rules, examples, now=clock())
            catalog = cls(settings, journal, graph, rulings, policies, lock, clock)
            catalog._start()
            undo.pop_all()
        return catalog

    def _start(self) -> None:
        self.policies.note(self.ruleset_digest)  # the older of the two: the journal is in the order of time
        self.rulings.note(self.policy_digest)
        self.storage.start()
        if not self._was_settled():
            self.storage.standings.unsettle()
        self.judge.start()

    def _waive(self, draft: Draft, then: Callable[[Entry], None]) -> None:
        """Journal a waiver or its end, and with it what conforms otherwise since."""
        self.storage.record(draft, then)
        try:
            self.judge.note_waivers()
        except StorageUnavailable as error:  # the waiver is stored and holds: the background tells of it
            log.warning("what a waiver changed could not be journaled yet: %s", error)
            self.judge.nudge()

    def _was_settled(self) -> bool:
        """Whether the last process told, at its end, that no verdict was left to give: else a write may be stored whose
        effect on other products was not judged."""
        mark = self.settings.data / _MARK
        try:
            said = mark.read_text()
            mark.unlink()
        except OSError:
            return False
        return said == self._settled_at

    @property
    def _settled_at(self) -> str:
        head, digest = self.journal.head()
        return f"{head} {digest}"

    def close(self) -> None:
        """End the child processes and release the data directory. What is still being decided is not stored."""
        self.storage.close()
        self.judge.stop()
        self._threads.shutdown(cancel_futures=True)
        self._intake.close()
        self.rule_publishing.close()
        self.rulings.close()
        self.judge.join()
        if not self.judge.waiting:
            with suppress(OSError):  # without the mark all is judged again
                (self.settings.data / _MARK).write_text(self._settled_at)
        self.policies.close()
        self.graph.close()
        self.journal.close()
        self._lock.close()

    def ready(self) -> Mapping[str, str]:
        """Each part and "ok", or what is wrong with it."""
        head, _ = self.journal.head()
        parts = {"journal": "ok"}
        for name, reflects in (
            ("graph", self.graph.reflects()),
            ("search", self.storage.applied),
            ("lineage", self.storage.applied),
        ):
            parts[name] = "ok" if reflects >= head else "behind"
        try:
            self.access.probe(self.clock())
            parts["policy"] = "ok"
        except FairmeshError as error:
            parts["policy"] = error.message
        return parts

    # -- reading --

    @contextmanager
    def view(
        self, subject: Subject, *, channel: str, access: Access | None = None, ruling: Ruling | None = None
    ) -> Iterator[View]:
        """A view of the mesh as `subject` may see it. Nothing changes under it while the context is open.

        All of it is decided by one policy and judged by one rule set: `access` and `ruling`, taken from the catalog
        earlier in the same request, else those in force. Raises `PolicyUnavailable` when no decision can be had.
        """
        decider = access or self.access
        scope = decider.scope(subject, self.registry.keys, channel=channel, now=self.clock())
        with self.storage.reading.shared():
            yield View(self, subject, scope, channel, decider, ruling or self.rulings.current)

    # -- writing --

    def register(
        self, subject: Subject, submissions: Sequence[Submission], *, channel: str, dry_run: bool = False,
        access: Access | None = None,
    ) -> list[Outcome]:  # fmt: skip
        """Register documents, each on its own merits, in one durable commit. One outcome for each, in order.

        Documents of one call may refer to each other in any order. A dry run is the same, short of the commit.
        They are judged by `access`, taken from `Catalog.access` earlier in the same request, else by the policy in
        force, and by the rules in force; what is approved by a policy or rules that are replaced before the commit is
        judged again.
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
            self._prepare(subject, pending, channel, dry_run, access, self.rulings.current)
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
            decider, ruling = access or self.access, self.rulings.current
            if shapes is not None:
                ruling = self._trial(subject, shapes, channel, decider, ruling)
            self._prepare(subject, [attempt], channel, True, decider, ruling, offline=not mesh)
            if attempt.outcome is None:
                attempt.end(change=attempt.change())
        return _outcome(attempt)

    def read_rdf(self, submission: Submission) -> list[Triple]:
        """The statements of any RDF. Raises as `rdf.parse`, and `WorkerFailed`."""
        return self._intake.graph(submission.content, submission.media_type)

    def _trial(self, subject: Subject, shapes: Submission, channel: str, access: Access, ruling: Ruling) -> Ruling:
        decision = access.govern(subject, channel=channel, now=self.clock())
        if not decision.allowed:
            raise Forbidden("trying shapes of your own needs the govern action", decision)
        stated = self.read_rdf(shapes)
        owned = {t.subject for t in stated if t.predicate == _CREATOR}
        modes = [t.subject for t in stated if t.predicate.value == FM + "mode" and t.subject not in owned]
        stated += [Triple(rule, _CREATOR, Literal(subject.id)) for rule in modes]  # who tries a rule answers for it
        files = {**ruling.version.files, "org/trial/shapes.ttl": rdf.serialize(stated, rdf.TURTLE)}
        version = replace(ruling.version, files=files)
        return self.rulings.ruling(version, RuleSet(rules_of(version.files), self.settings.engine), size=1)

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
        with self.storage.writing:
            self.storage.catch_up()
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
                raise StillUsed(
                    f"{product.key} is still read by {len(users)} product{'s' if len(users) > 1 else ''}", users
                )
            detail = {"created": product.created_at.isoformat(), "reason": reason, "replaced_by": replaced_by,
                      "at": at.isoformat() if at else None}  # fmt: skip
            draft = Draft(
                EntryKind.RETIRE, product.home, product.key, product.revision + 1, b"", "", b"", subject.id,
                self.clock(),
                self.ruleset_digest, self.policy_digest, {k: v for k, v in detail.items() if v is not None},
            )  # fmt: skip
            changed = self._append([draft])
        self.judge.settle([], changed)
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
        self, subject: Subject, attempts: list[_Attempt], channel: str, dry_run: bool, access: Access, ruling: Ruling,
        *, offline: bool = False,
    ) -> None:  # fmt: skip
        """Authorize, compare and validate against the mesh as it is now, by one policy and one rule set."""
        self._each(lambda attempt: self._authorize(subject, attempt, channel, access, dry_run), attempts)
        open_attempts = [a for a in attempts if a.outcome is None]
        backgrounds = self._backgrounds(subject, open_attempts, channel, dry_run, access)
        now = self.clock()

        def judge(attempt: _Attempt) -> None:
            if attempt.outcome is None:
                if dry_run:
                    attempt.fair = self._assessed(attempt, ruling, now)
                judged = self._judge(attempt, backgrounds[id(attempt)], now, offline, ruling)
                if not dry_run:
                    self._approve(attempt, subject, judged, access.policy_digest, ruling, now)

        self._each(judge, open_attempts)

    def _authorize(self, subject: Subject, attempt: _Attempt, channel: str, access: Access, dry_run: bool) -> None:
        document = attempt.document
        assert document is not None
        held = self.registry.by_key.get(document.key)
        seen = held is not None and self._may_know(subject, held, channel, access)
        stored = attempt.stored = held if seen else None
        action = Action.UPDATE if alive(stored) else Action.REGISTER
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
        current = stored.revision if alive(stored) and stored is not None else 0
        if expected is not None and expected != current:
            raise _stale(stored, expected)
        self.waivers.check(attempt.submission.waivers, self.iri_base + document.key, self.clock())

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
        if not alive(attempt.stored):
            old: list[Triple] = []
        else:
            assert attempt.stored is not None
            attempt.same = rdf.canonical(self.graph.graph(attempt.stored.home)) == document.nquads
            old = view.statements(attempt.stored.home, coming)
        unseen = {
            iri for iri in document.references
            if iri not in coming and not self.registry.is_shared(iri) and not view.exists(iri)
        }  # fmt: skip
        new = [t for t in rdf.load(document.nquads) if rdf.iri_of(t.object) not in unseen]
        attempt.changes = () if attempt.same else statement_changes(old, new)
        if alive(attempt.stored):
            assert attempt.stored is not None
            attempt.comparison = self._compared(old, new, document.product, attempt.stored.home, view)
            attempt.breaks = breaks(view, attempt.comparison)

    def _compared(self, old: list[Triple], new: list[Triple], product: str, home: str, view: View) -> Comparison:
        """With the revision before. What a draft goes live with is measured by what was live last, too: else what was
        promised could be taken back by way of a draft."""
        found = compare(old, new, product=product, iri_base=self.iri_base)
        last = view.last_live(home) if found.live and not found.promised else None
        if last is None:
            return found
        number, promised = last
        again = compare(promised, new, product=product, iri_base=self.iri_base)
        if not again.unannounced:
            return found
        notes = again.version.note, f"compared with revision {number}, the last that was live"
        return replace(again, version=replace(again.version, note="; ".join(filter(None, notes))))

    def _judge(self, attempt: _Attempt, background: bytes, now: datetime, offline: bool, ruling: Ruling) -> Judged:
        document = attempt.document
        assert document is not None
        home = attempt.stored.home if attempt.stored is not None else self.iri_base + document.key
        bare = ruling.validator.validate(
            document.nquads, background, product=document.product, domain=document.access.domain, own=document.own,
            iri_base=self.iri_base, now=now, offline=offline,
        )  # fmt: skip
        report = apply(bare, self.waivers.in_force(home, now), now)
        places = Positions(
            attempt.submission.content, document.media_type, self.iri_base, lambda: rdf.load(document.nquads)
        )  # fmt: skip
        attempt.report = with_lines(report, places)
        if attempt.comparison is not None:
            attempt.comparison = with_places(attempt.comparison, places)
        if not report.conforms:
            broken = sorted({f.rule for f in report.findings if f.gates})
            raise NotConforming(
                f"{document.key} breaks {len(broken)} rule{'s' if len(broken) > 1 else ''}: " + ", ".join(broken),
                attempt.report, remedy="See the findings: each names its remedy",
            )  # fmt: skip
        comparison = attempt.comparison
        if self.settings.breaking == "refuse" and comparison is not None and comparison.unannounced:
            raise refusal(document.key, comparison, attempt.breaks)
        return Judged(home, bare, document.nquads, background)

    def _assessed(self, attempt: _Attempt, ruling: Ruling, now: datetime) -> Assessment:
        assert attempt.document is not None
        return assess(
            rdf.load(attempt.document.nquads), product=attempt.document.product, iri_base=self.iri_base,
            register=ruling.register, at=now,
        )  # fmt: skip

    def _approve(
        self, attempt: _Attempt, subject: Subject, judged: Judged, policy: str, ruling: Ruling, now: datetime
    ) -> None:
        assert attempt.document is not None
        attempt.approved = Approved(
            attempt.document, attempt.submission.content, subject.id, attempt.stored.revision if attempt.stored else 0,
            ruling.digest, policy, judged, self.judge.provisional(ruling, judged, attempt.document.product, now),
        )  # fmt: skip

    # -- commit --

    def _commit(self, subject: Subject, attempts: list[_Attempt]) -> None:
        """Store what was approved; what changed meanwhile stays open and is prepared again."""
        with self.storage.writing:
            ready = attempts
            try:
                self.storage.catch_up()
                now = self.clock()
                ready = [a for a in attempts if a.approved is not None and self._current(a.approved, now)]
                drafts = [self._draft(a.approved, now) for a in ready if a.approved is not None]
                changed = self._append(drafts)
            except FairmeshError as error:
                for attempt in ready:
                    attempt.end(error=error)
                return
            for attempt, draft in zip(ready, drafts, strict=True):
                attempt.end(change=attempt.change(), revision=draft.revision)
        self.judge.settle([a.approved.judged for a in ready if a.approved is not None], changed)

    def _append(self, drafts: Sequence[Draft]) -> set[str]:
        """Store the drafts; the nodes, referred to by other products, of which the mesh says something else since."""
        nodes = {t.subject.value for draft in drafts for t in self.graph.graph(draft.product)}
        nodes |= {t.subject.value for draft in drafts for t in rdf.load(draft.document)}
        before = self.judge.named(nodes)
        self.storage.append(drafts)
        return {iri for iri, _ in before ^ self.judge.named(nodes)}

    def _current(self, approved: Approved, now: datetime) -> bool:
        stored = self.registry.by_key.get(approved.document.key)
        in_force = (approved.policy, approved.standing.edition) == (self.policy_digest, self.judge.edition)
        same = in_force and (stored.revision if stored is not None else 0) == approved.base
        return same and self._excused(approved.judged, now).conforms

    def _excused(self, judged: Judged, now: datetime) -> Report:
        """The report with the waivers that hold now: one may have ended since the document was judged."""
        return apply(judged.report, self.waivers.in_force(judged.home, now), now)

    def _draft(self, approved: Approved, now: datetime) -> Draft:
        document = approved.document
        stored = self.registry.by_key.get(document.key)
        created = stored.created_at if stored is not None else now
        home = stored.home if stored is not None else self.iri_base + document.key
        used = sorted(relied_on(self._excused(approved.judged, now), self.waivers.in_force(home, now)))
        return Draft(
            EntryKind.REGISTER, home, document.key, approved.base + 1, document.nquads, document.media_type,
            approved.submitted, approved.actor, now, approved.ruleset, approved.policy,
            {"created": created.isoformat(), "standing": approved.standing.json()}
            | ({"waivers": used} if used else {}) | self._before(stored, now),
        )  # fmt: skip

    def _before(self, stored: Product | None, now: datetime) -> dict[str, bool]:
        """What the change feed tells of a registration: that it is an update, and whether the product conformed."""
        if stored is None or stored.retired:
            return {}
        standing = self.storage.standings.by_slot.get(stored.slot)
        if standing is None:
            return {"update": True}
        return {"update": True, "did": standing.conforms(self.waivers.in_force(stored.home, now).keys())}


class StillUsed(Conflict):
    """Products the caller can see still read the product; `still_used_by` lists them."""

    code = "still-used"

    def __init__(self, message: str, still_used_by: tuple[LineageNode, ...]) -> None:
        super().__init__(message, remedy="Move them to another product, or retire with force")
        self.still_used_by = still_used_by


_TYPE = NamedNode(rdf.PREFIXES["rdf"] + "type")
_CREATOR = NamedNode(rdf.PREFIXES["dct"] + "creator")


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
