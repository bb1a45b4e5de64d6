"""The rule set in force: where it comes from, how another one takes its place, and which one was in force when.

A rule set is journaled with its author and time before it takes effect. Whoever holds a `Ruling` goes on with it to
the end of the request; whoever asks for one after `publish` returned gets the new one. The processes that judge by an
old one are ended when the last request that uses it is done.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby
from operator import itemgetter

from fairmesh.catalog.access import Access
from fairmesh.catalog.config import Settings
from fairmesh.catalog.document import SKOS
from fairmesh.catalog.errors import Conflict, Forbidden, InputError, InvalidDocument, WorkerFailed
from fairmesh.catalog.examples import check_examples, problems_of
from fairmesh.catalog.fair import Register
from fairmesh.catalog.governance import STOPPED, RuleSet, Stops, Validator
from fairmesh.catalog.intake import Intake
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import FM, Action, Draft, Entry, EntryKind, ShapeInfo, ShapeScope, Subject
from fairmesh.catalog.rdf import TURTLE, Triple, canonical, compact, serialize, skolemize
from fairmesh.catalog.rulefiles import EXAMPLE, FILE, RULES, Schedule
from fairmesh.catalog.rulelint import Problem, lint
from fairmesh.catalog.versions import SetKind, Version, Versions, folder_of
from fairmesh.catalog.workers import Pool

TRIAL_SECONDS = 60.0
"""Seconds that linting a set may take, and that trying its examples may."""
TRIAL_MEMORY = 4 * 2**30
"""Bytes of address space that linting a set may take."""

_SHOWN = 10
_RECALLED = 4
"""Rule sets of the past that are kept ready to judge by."""
_LEVEL = re.compile(r"(?P<level>core|org/[^/]+|domains/[^/]+)/[^/]+")

RULE_FILES = SetKind(
    "rule set", EntryKind.RULES, "governance", max_files=2_000, max_file_bytes=1_000_000, max_bytes=10_000_000,
    holds=lambda path: FILE.fullmatch(path) or EXAMPLE.fullmatch(path),
    paths="shapes.ttl, vocabulary.ttl and examples/*.ttl of core/, org/<org>/ and domains/<domain>/",
)  # fmt: skip
"""What a published rule set may hold: shapes and vocabularies, and their examples."""


@dataclass(frozen=True)
class Ruling:
    """A rule set in force and who judges by it: what belongs together, at one moment."""

    version: Version
    rules: RuleSet
    validator: Validator

    @property
    def digest(self) -> str:
        return self.rules.digest

    @cached_property
    def vocabulary(self) -> frozenset[Triple]:
        """The statements of its vocabularies, of all levels."""
        return frozenset(self.rules.vocabulary())

    @cached_property
    def official(self) -> frozenset[bytes]:
        """The same statements as lines of `rdf.canonical`."""
        return frozenset(canonical(self.vocabulary).splitlines(keepends=True))

    @cached_property
    def register(self) -> Register:
        """The vocabularies it knows for FAIR ones."""
        return self.rules.register


def rules_of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Shapes and vocabularies, without examples."""
    return {path: body for path, body in files.items() if FILE.fullmatch(path)}


def shape_info(rules: RuleSet, iri: str, now: datetime) -> ShapeInfo | None:
    """A rule as it is at a moment; None for one the set does not have."""
    rule = rules.rule(iri)
    if rule is None:
        return None
    schedule = rule.schedule
    today = schedule.at(now.date())
    coming = schedule.next_mode if today is not schedule.next_mode else None
    return ShapeInfo(
        rule.iri, rule.id, rule.label, today.severity(live=True), rule.targets, ShapeScope(rule.scope.value),
        rule.domain, rules.digest, today.value, coming.value if coming else None,
        schedule.next_from if coming else None, rule.owner, rule.since,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that another set adds, removes or states otherwise.

    `before` and `after` say what it does, such as `warn, gate from 2027-01-01`; None where the set does not have it.
    They are equal when something else about the rule changes.
    """

    rule: str
    before: str | None
    after: str | None

    @property
    def removes(self) -> bool:
        return self.after is None


def rule_changes(old: RuleSet, new: RuleSet) -> tuple[RuleChange, ...]:
    """How the rules of a set differ from those of the one it would replace, by id."""
    sets = [{rule.iri: rule for rule in each.rules} for each in (old, new)]
    changes = []
    for iri in sorted(sets[0].keys() | sets[1].keys()):
        before, after = (found.get(iri) for found in sets)
        if before and after and before.schedule == after.schedule and _stated(old, iri) == _stated(new, iri):
            continue
        does = [_does(rule.schedule) if rule else None for rule in (before, after)]
        changes.append(RuleChange(iri.removeprefix(RULES), *does))
    return tuple(changes)


@dataclass(frozen=True, slots=True)
class RemovedTerms:
    """Vocabulary terms, by IRI in order, that a level describes and in another set describes no more."""

    level: str
    terms: tuple[str, ...]


def removed_terms(old: RuleSet, new: RuleSet) -> tuple[RemovedTerms, ...]:
    """The vocabulary terms that a set lacks of the one it would replace, by level."""
    gone = groupby(sorted(old.terms() - new.terms()), key=itemgetter(0))
    return tuple(RemovedTerms(level, tuple(iri for _, iri in terms)) for level, terms in gone)


def _stated(rules: RuleSet, iri: str) -> bytes:
    """What a rule says, however its blank nodes are called."""
    triples = rules.triples(iri)
    try:
        return canonical(skolemize(triples, iri))
    except InvalidDocument:
        return canonical(triples)


def _does(schedule: Schedule) -> str:
    coming = f", {schedule.next_mode} from {schedule.next_from}" if schedule.next_mode else ""
    return f"{schedule.mode}{coming}"


# -- in force ---------------------------------------------------------------------------------------------------------


class Rulings:
    """The rule set in force and, in `versions`, those that were. `current` may be replaced at any moment: take it once
    a request."""

    def __init__(self, settings: Settings, versions: Versions, shipped: RuleSet, start: Version) -> None:
        self.versions = versions
        self._settings = settings
        self._shipped = shipped
        self._recalling = threading.Lock()
        """Held while `known` looks or makes a ruling anew, before `_guard`: `_past` is its alone."""
        self._past: dict[str, Ruling] = {}
        """Those of the past that were asked about, by digest, the last one last: what is asked about lies together."""
        self._validators: weakref.WeakSet[Validator] = weakref.WeakSet()
        self._ending = False
        self._guard = threading.Lock()
        self._current = self.ruling(start, self.rule_set(start))

    @classmethod
    def open(
        cls, settings: Settings, journal: Journal, shipped: RuleSet, examples: Mapping[str, bytes], *, now: datetime
    ) -> Rulings:
        """The rule set of the folder (`shipped`, with its examples) when it is not the one last taken from a folder;
        else the newest of the journal.

        Raises `ConfigError` for rules that cannot be used.
        """
        versions = Versions(journal, RULE_FILES)
        start = versions.start(shipped.digest, "the rules of the folder")
        if start is None:
            files = dict(sorted({**shipped.files, **examples}.items()))
            return cls(settings, versions, shipped, Version(shipped.digest, now, "fairmesh", "folder", None, files))
        try:
            return cls(settings, versions, shipped, start)
        except InputError as error:
            raise versions.unusable(error) from error

    @property
    def current(self) -> Ruling:
        """The rule set in force."""
        return self._current

    def known(self, digest: str) -> Ruling | None:
        """A rule set that was in force at any time, by its digest; None for one that never was. Its processes live as
        long as somebody holds what is returned."""
        current = self._current
        if digest == current.digest:
            return current
        with self._recalling:
            ruling = self._past.pop(digest, None)
            if ruling is None:
                version = self.versions.of(digest)
                if version is None:
                    return None
                ruling = self.ruling(version, self.rule_set(version), 1)
            self._past[digest] = ruling
            if len(self._past) > _RECALLED:
                del self._past[next(iter(self._past))]
            return ruling

    def note(self, policy: str) -> None:
        """Journal the rule set in force when it was taken from the folder and is not journaled yet."""
        version = self.current.version
        if self.versions.newest is not version:
            self.take(self.versions.append(version, ruleset=version.digest, policy=policy), self.current)

    def take(self, entry: Entry, ruling: Ruling) -> None:
        """Put a journaled rule set in force."""
        self._current = replace(ruling, version=self.versions.add(entry))

    def rule_set(self, version: Version) -> RuleSet:
        """The rules of a version that passed the lint, by the engine of the settings. Raises `InputError`."""
        if version.digest == self._shipped.digest:
            return self._shipped
        return RuleSet(rules_of(version.files), self._settings.engine, linted=True)

    def ruling(self, version: Version, rules: RuleSet, size: int | None = None) -> Ruling:
        """Rules with a `validator`: by default one process more than judge many at once, so that a request finds one
        free."""
        return Ruling(version, rules, self.validator(rules, size or self._settings.workers + 1))

    def validator(self, rules: RuleSet, size: int) -> Validator:
        """So many processes to judge by the rules, which end when nobody holds the validator any more."""
        validator = Validator(rules, size)
        weakref.finalize(validator, validator.processes.close)
        with self._guard:
            self._validators.add(validator)
            if self._ending:
                validator.close()
        return validator

    def end_trials(self) -> None:
        """End the processes that judge by any other rules than those in force, and let none begin: what takes long and
        is for nothing when the service ends. Whoever waits for them gets `WorkerFailed`."""
        with self._guard:
            self._ending = True
            validators = list(self._validators)
        for validator in validators:
            if validator is not self._current.validator:
                validator.close()

    def close(self) -> None:
        """End the processes of all rulings, whoever still judges by them."""
        self.end_trials()
        self._current.validator.close()


# -- publishing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule set that passed every check but its impact. `same` when it is `base`, which was in force, to the letter;
    `changes` are the rules in which it differs from that, `removed_terms` the vocabulary that it lacks."""

    base: Version
    files: Mapping[str, bytes]
    rules: RuleSet
    problems: tuple[Problem, ...]
    same: bool
    changes: tuple[RuleChange, ...] = ()
    removed_terms: tuple[RemovedTerms, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesPublished:
    """What became of a set: `change` is published, unchanged or, of a dry run, publishable.

    `digest` is the revision that is, or would be, in force; `problems` are the warnings of its lint; `changes` are the
    rules that it adds, removes or states otherwise; `removed_terms` is the vocabulary that it removes.
    """

    change: str
    digest: str
    problems: tuple[Problem, ...]
    changes: tuple[RuleChange, ...] = ()
    removed_terms: tuple[RemovedTerms, ...] = ()


class RefusedRules(InputError):
    """A rule set that does not lint, or whose examples do not do what their names say; `problems` lists it all."""

    code = "rule-set"

    def __init__(self, problems: Sequence[Problem]) -> None:
        errors = [problem for problem in problems if problem.error]
        told = "; ".join(f"{p.file}:{p.line or 1}: {p.what}" for p in errors[:_SHOWN])
        more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        super().__init__(
            f"the rule set has {len(errors)} problem{'s' if len(errors) > 1 else ''}: {told}{more}",
            line=errors[0].line, remedy=errors[0].remedy,
        )  # fmt: skip
        self.problems = tuple(problems)


class RemovesRules(InputError):
    """A rule set without rules or vocabulary terms that are in force, which was not said to be meant; `changes` are all
    of its changes."""

    code = "removes-rules"

    def __init__(self, changes: Sequence[RuleChange], terms: Sequence[RemovedTerms]) -> None:
        rules = [change.rule for change in changes if change.removes]
        iris = [f"<{iri}> ({each.level})" for each in terms for iri in each.terms]
        told = [_named(what, gone) for what, gone in (("rule", rules), ("vocabulary term", iris)) if gone]
        super().__init__(
            f"the set would remove {'; and '.join(told)}",
            remedy="Send their files, too, or only those of one domain; publish with allowRemoving if it is meant",
        )
        self.changes = tuple(changes)
        self.removed_terms = tuple(terms)


def _named(what: str, gone: Sequence[str]) -> str:
    more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
    return f"{len(gone)} {what}{'s' if len(gone) > 1 else ''} in force: {', '.join(gone[:_SHOWN])}{more}"


class RulePublishing:
    """The one way a rule set comes into force while the mesh is running. Safe to call from any thread; blocking.

    `commit` journals a draft, and calls its second argument with the entry before anything else is written;
    `published` is called when the set is in force.
    """

    def __init__(
        self, rulings: Rulings, settings: Settings, commit: Callable[[Draft, Callable[[Entry], None]], None],
        published: Callable[[], None], clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._rulings = rulings
        self._iri_base = settings.iri_base
        self._linters = Pool(settings.workers, memory=TRIAL_MEMORY)
        self._intake = Intake(settings, settings.workers)
        self._commit = commit
        self._published = published
        self._clock = clock
        self._busy = threading.Lock()
        self._guard = threading.Lock()
        self._authors: set[str] = set()
        """Those of whom a set is being tried."""
        self._impacts: dict[str, tuple[int, int]] = {}

    def publish(
        self, subject: Subject, files: Mapping[str, bytes], access: Access, *, channel: str,
        domain: str | None = None, dry_run: bool = False, allow_removing: bool = False,
    ) -> RulesPublished:  # fmt: skip
        """Put a rule set in force: `files` by path, shapes and vocabularies with their examples.

        Without `domain` it replaces the whole set. With it, what lies below `domains/<domain>/`, and all `files` must
        lie there. A dry run is the same, short of the journal. Products that no longer conform stay registered.

        Raises `Forbidden` before it looks at anything; `RefusedRules`, `InputError` or `TooLarge` for a set that cannot
        be used; `RemovesRules` for one that lacks a rule or a vocabulary term in force, unless `allow_removing` is
        given; `Conflict` while another set of the subject is being tried, or any is being put in force;
        `PolicyUnavailable`. Whatever is raised, the set in force stays in force, except by `StorageUnavailable` saying
        that it is stored.
        """
        self._authorize(access, subject, domain, channel, "publishing rules")  # who may not is not told that it is busy
        with self._only_one_of(subject):
            while True:
                proposal = self._proposal(subject, files, domain, examples=True)  # takes long, and keeps nobody out
                if dry_run:
                    return _outcome(proposal, "publishable", allow_removing)
                with self._busy:
                    if self._rulings.current.version is proposal.base:  # else it is not known what would change
                        done = _outcome(proposal, "published", allow_removing)
                        if not proposal.same:
                            self._put_in_force(proposal, subject, domain, access)
                        break
        if not proposal.same:
            self._published()
        return done

    def _put_in_force(self, proposal: Proposal, subject: Subject, domain: str | None, access: Access) -> None:
        digest = proposal.rules.digest
        version = Version(digest, self._clock(), subject.id, "published", domain, proposal.files)
        ruling = self._rulings.ruling(version, proposal.rules)
        ruling.validator.start()  # whoever is judged first by the new rules does not wait for a process
        draft = RULE_FILES.draft(version, ruleset=self._rulings.current.digest, policy=access.policy_digest)
        self._commit(draft, lambda entry: self._rulings.take(entry, ruling))

    @contextmanager
    def _only_one_of(self, subject: Subject) -> Iterator[None]:
        """Nobody keeps all processes busy that try sets: a second set of theirs meanwhile is refused."""
        with self._guard:
            if subject.id in self._authors:
                raise Conflict("another rule set of yours is being tried", remedy="Try again when that is done")
            self._authors.add(subject.id)
        try:
            yield
        finally:
            with self._guard:
                self._authors.remove(subject.id)

    def propose(
        self, subject: Subject, files: Mapping[str, bytes], access: Access, *, channel: str, domain: str | None = None,
        examples: bool = True,
    ) -> Proposal:  # fmt: skip
        """The whole set as it would be in force, linted and with its `examples` tried. Removing rules or terms is as
        good as anything else; else raises as `publish`."""
        self._authorize(access, subject, domain, channel, "asking what other rules would change")
        with self._only_one_of(subject):
            return self._proposal(subject, files, domain, examples=examples)

    @contextmanager
    def impact(self, subject: Subject, products: int) -> Iterator[Callable[[int], None]]:
        """While what a set of theirs would change is found out; the function is told how many products are done."""

        def done(count: int) -> None:
            self._impacts[subject.id] = (count, products)

        done(0)
        try:
            yield done
        finally:
            self._impacts.pop(subject.id, None)

    def impact_under_way(self, subject: Subject) -> tuple[int, int] | None:
        """How many products are judged, and of how many, for the impact that they wait for; None when they do not."""
        return self._impacts.get(subject.id)

    def _proposal(
        self, subject: Subject, files: Mapping[str, bytes], domain: str | None, *, examples: bool
    ) -> Proposal:  # fmt: skip
        ruling = self._rulings.current
        current = ruling.version
        proposed = RULE_FILES.replaced(current.files, files, domain)
        if not any(path.startswith("core/") for path in proposed):  # an organisation keeps its own rules, not core's
            core = {path: body for path, body in current.files.items() if path.startswith("core/")}
            proposed = {**core, **proposed}
        if proposed == dict(current.files):
            return Proposal(current, proposed, ruling.rules, (), True)
        problems = _of(domain, self._linted(rules_of(proposed), _examples(proposed) if examples else None))
        _refuse(problems)
        version = Version("", self._clock(), subject.id, "published", domain, proposed)
        rules = self._rulings.rule_set(version)
        if examples:
            problems += _of(domain, self._tried(rules, files))
        if domain is not None:
            problems += _foreign_words(rules, domain, self._iri_base)
        _refuse(problems)
        changes, gone = rule_changes(ruling.rules, rules), removed_terms(ruling.rules, rules)
        return Proposal(current, proposed, rules, tuple(problems), False, changes, gone)

    def _linted(self, rules: Mapping[str, bytes], examples: Mapping[str, bytes] | None) -> list[Problem]:
        """Told by a process that may end: what is sent may be anything."""
        try:
            return self._linters.call(lint, rules, examples, timeout=TRIAL_SECONDS)
        except WorkerFailed as error:
            if error.code not in STOPPED:
                raise
            raise InputError(
                f"the rule set could not be linted: {STOPPED[error.code].format(limit=TRIAL_SECONDS)}",
                code="rule-set", remedy="Simplify its shapes, queries and patterns",
            ) from error  # fmt: skip

    def _tried(self, rules: RuleSet, sent: Mapping[str, bytes]) -> list[Problem]:
        """What the examples among the files `sent` do that their names do not say."""
        with closing(self._rulings.validator(rules, 1)) as validator:
            results = check_examples(
                validator, _examples(sent), lambda data: self._intake.document(data, TURTLE), iri_base=self._iri_base,
                now=self._clock(), stops=Stops(TRIAL_SECONDS),
            )  # fmt: skip
            return problems_of(results, rules)

    def close(self) -> None:
        """End the processes that lint rule sets and read their examples."""
        self._linters.close()
        self._intake.close()

    def with_shapes(self, triples: Sequence[Triple]) -> dict[str, bytes]:
        """All files in force, with these shapes in the place of those of the level that their rules are named in.

        Raises `InputError` for shapes that name rules of no level, or of several.
        """
        named = {t.subject.value.removeprefix(RULES) for t in triples if t.predicate.value == FM + "mode"}
        levels = {found["level"] for name in named if (found := _LEVEL.match(name))}
        if len(levels) != 1:
            raise InputError(
                "the shapes name rules of no level" if not levels else "the shapes name rules of several levels",
                remedy=f"Name rules like <{RULES}org/acme/retention>, and propose one level at a time",
            )
        return {**self._rulings.current.version.files, f"{levels.pop()}/shapes.ttl": serialize(triples, TURTLE)}

    def _authorize(self, access: Access, subject: Subject, domain: str | None, channel: str, what: str) -> None:
        """Raise `Forbidden`, saying `what` is denied, for who may not publish this."""
        decision = access.on_files(
            subject, Action.GOVERN, "ruleset", domain or "", channel=channel, now=self._clock()
        )  # fmt: skip
        if not decision.allowed:
            of = f"those of the domain {domain[:100]}" if domain else "the whole rule set"
            remedy = f"Ask the mesh's stewards{'' if domain else ', or name the domain whose rules alone you keep'}"
            raise Forbidden(f"{what} needs the govern action on {of}", decision, remedy=remedy)


def _outcome(proposal: Proposal, change: str, allow_removing: bool) -> RulesPublished:
    """What becomes of a set; raises `RemovesRules` for one that may not."""
    if not allow_removing and (proposal.removed_terms or any(change.removes for change in proposal.changes)):
        raise RemovesRules(proposal.changes, proposal.removed_terms)
    return RulesPublished(
        "unchanged" if proposal.same else change, proposal.rules.digest, proposal.problems, proposal.changes,
        proposal.removed_terms,
    )  # fmt: skip


def _of(domain: str | None, problems: Sequence[Problem]) -> list[Problem]:
    """Those that are the domain's to mend."""
    return [each for each in problems if domain is None or each.file.startswith(folder_of(domain))]


def _refuse(problems: Sequence[Problem]) -> None:
    if any(problem.error for problem in problems):
        raise RefusedRules(problems)


def _foreign_words(rules: RuleSet, domain: str, iri_base: str) -> Iterator[Problem]:
    """What a domain's vocabulary says that is not the domain's to say: labels and hierarchy hold for the whole mesh."""
    levels = rules.levels(domain)
    described = {t.subject for level in levels if level.domain is None for t in level.vocabulary}
    home = f"{iri_base}domain/{domain}"
    for level in levels:
        for triple in level.vocabulary if level.domain == domain else ():
            iri, value = triple.subject.value, getattr(triple.object, "value", "")
            mesh = iri.startswith(iri_base) and iri != home and not iri.startswith((home + "/", iri_base + "term/"))
            below = triple.predicate.value == SKOS + "narrower" and value.startswith(iri_base + "domain/")
            if mesh or triple.subject in described or (below and not value.startswith(home + "/")):
                yield Problem(
                    f"{level.name}/vocabulary.ttl", None, None, None,
                    f"says {compact(triple.predicate.value) or triple.predicate.value} of <{iri}>, which is not the"
                    f" domain's to describe",
                    f"Describe terms of the domain's own, below <{home}/>, <{iri_base}term/> or a namespace of yours",
                    True,
                )  # fmt: skip


def _examples(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: body for path, body in files.items() if EXAMPLE.fullmatch(path)}
