"""The rule set in force: where it comes from, how another one takes its place, and which one was in force when.

A rule set is journaled with its author and time before it takes effect. Whoever holds a `Ruling` goes on with it to
the end of the request; whoever asks for one after `publish` returned gets the new one. The processes that judge by an
old one are ended when the last request that uses it is done.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from fairmesh.catalog.access import Access
from fairmesh.catalog.config import Settings
from fairmesh.catalog.document import SKOS, read
from fairmesh.catalog.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    InputError,
    InvalidDocument,
    TooLarge,
    WorkerFailed,
)
from fairmesh.catalog.examples import check_examples
from fairmesh.catalog.fair import Register
from fairmesh.catalog.governance import RuleSet, Validator
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import FM, Action, Draft, Entry, EntryKind, ShapeInfo, ShapeScope, Subject
from fairmesh.catalog.rdf import TURTLE, Triple, canonical, compact, serialize, skolemize
from fairmesh.catalog.rulefiles import EXAMPLE, FILE, RULES, Schedule
from fairmesh.catalog.rulelint import Problem, lint
from fairmesh.catalog.workers import Pool

MAX_FILES = 2_000
MAX_FILE_BYTES = 1_000_000
MAX_BYTES = 10_000_000
"""Limits of a published set: files, bytes of one and of all."""

TRIAL_SECONDS = 60.0
TRIAL_MEMORY = 4 * 2**30
"""What linting a set and trying its examples may take: seconds, and bytes of address space."""

_MAX_PATH = 200
_SHOWN = 10
_LEVEL = re.compile(r"(?P<level>core|org/[^/]+|domains/[^/]+)/[^/]+")
_KEY = re.compile(r"\w[\w-]{0,99}")

_log = logging.getLogger("fairmesh")


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """A rule set as it was put in force: shapes, vocabularies and examples, as bytes by path, sorted.

    `digest` is the revision that reports name; it covers shapes and vocabularies alone. `source` is `folder` for a set
    read at a start, else `published`; `domain` names the domain whose files alone were replaced. `at` is the journal's
    time.
    """

    digest: str
    at: datetime
    author: str
    source: str
    domain: str | None
    files: Mapping[str, bytes]

    @property
    def rules(self) -> dict[str, bytes]:
        """The files that the digest covers."""
        return rules_of(self.files)


@dataclass(frozen=True)
class Ruling:
    """A rule set in force and who judges by it: what belongs together, at one moment."""

    version: RulesVersion
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


@dataclass(frozen=True, slots=True)
class _Past:
    """An entry of the journal that put a rule set in force, without the rules themselves."""

    at: datetime
    seq: int
    digest: str
    source: str


class Rulings:
    """The rule set in force and those that were. `current` may be replaced at any moment: take it once a request."""

    def __init__(
        self, settings: Settings, journal: Journal, shipped: RuleSet, start: RulesVersion, past: Sequence[_Past], *,
        noted: bool,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._shipped = shipped
        self._journal = journal
        self._noted = noted
        self._past = list(past)
        self._known: dict[str, RuleSet] = {}
        self._current = self.ruling(start, self.rule_set(start))

    @classmethod
    def open(
        cls, settings: Settings, journal: Journal, shipped: RuleSet, examples: Mapping[str, bytes], *, now: datetime
    ) -> Rulings:
        """The rule set of the folder (`shipped`, with its examples) when it is not the one last taken from a folder;
        else the newest of the journal.

        Raises `ConfigError` for rules that cannot be used.
        """
        newest: Entry | None = None
        past = []
        for newest in journal.entries(kinds=[EntryKind.RULES]):
            past.append(_past(newest))
        taken = next((each.digest for each in reversed(past) if each.source == "folder"), None)
        if newest is None or taken != shipped.digest:
            if past and past[-1].digest not in (taken, shipped.digest):
                _log.warning("the rules of the folder take the place of the published ones")
            files = dict(sorted({**shipped.files, **examples}.items()))
            start = RulesVersion(shipped.digest, now, "fairmesh", "folder", None, files)
            return cls(settings, journal, shipped, start, past, noted=False)
        try:
            return cls(settings, journal, shipped, _version(newest), past, noted=True)
        except InputError as error:
            raise ConfigError(
                f"the rule set of the journal (entry {newest.seq}) cannot be used: {error.message}", line=error.line,
                remedy="Set `governance` to a folder that was not used before and holds one that can",
            ) from error  # fmt: skip

    @property
    def current(self) -> Ruling:
        """The rule set in force."""
        return self._current

    def known(self, digest: str) -> RuleSet | None:
        """A rule set that was in force at any time, by its digest; None for one that never was."""
        if digest == self._current.digest:
            return self._current.rules
        if digest not in self._known:
            seq = next((each.seq for each in reversed(self._past) if each.digest == digest), None)
            entry = None if seq is None else self._journal.entry(seq)
            if entry is None:
                return None
            self._known = {digest: self.rule_set(_version(entry))}  # one is asked about for a while, then another
        return self._known[digest]

    def in_force(self, at: datetime) -> RulesVersion | None:
        """The rule set that was in force at a moment; None when it is before the first. `at` has a time zone."""
        seq = next((each.seq for each in reversed(self._past) if each.at <= at), None)
        entry = None if seq is None else self._journal.entry(seq)
        return None if entry is None else _version(entry)

    def note(self, policy: str) -> None:
        """Journal the rule set in force when it was taken from the folder and is not journaled yet."""
        if not self._noted:
            (entry,) = self._journal.append([draft_of(self.current.version, self.current.digest, policy)])
            self.take(entry, self.current)

    def take(self, entry: Entry, ruling: Ruling) -> None:
        """Put a journaled rule set in force."""
        self._noted = True
        self._past = [*self._past, _past(entry)]
        self._current = replace(ruling, version=_version(entry))

    def rule_set(self, version: RulesVersion) -> RuleSet:
        """The rules of a version that passed the lint, by the engine of the settings. Raises `InputError`."""
        if version.digest == self._shipped.digest:
            return self._shipped
        return RuleSet(version.rules, self._settings.engine, linted=True)

    def ruling(self, version: RulesVersion, rules: RuleSet, size: int | None = None) -> Ruling:
        """Rules with `size` processes to judge by them, which end when nobody holds the validator any more."""
        # one more than judge many at once, so that a request finds one free
        validator = Validator(rules, size or self._settings.workers + 1)
        weakref.finalize(validator, validator.processes.close)
        return Ruling(version, rules, validator)


def _past(entry: Entry) -> _Past:
    detail = entry.draft.detail
    return _Past(entry.draft.at, entry.seq, detail["digest"], detail.get("source", "folder"))


def _version(entry: Entry) -> RulesVersion:
    draft, past = entry.draft, _past(entry)
    files = {name: text.encode() for name, text in json.loads(draft.document).items()}
    return RulesVersion(past.digest, past.at, draft.actor, past.source, draft.detail.get("domain"), files)


def draft_of(version: RulesVersion, ruleset: str, policy: str) -> Draft:
    """The journal entry that puts a version in force, decided by `policy` while `ruleset` was in force."""
    texts = {name: text.decode() for name, text in version.files.items()}
    document = json.dumps(texts, sort_keys=True, ensure_ascii=False).encode()
    detail: dict[str, Any] = {"digest": version.digest, "source": version.source, "domain": version.domain}
    return Draft(
        EntryKind.RULES, "", "", 0, document, "application/json", b"", version.author, version.at, ruleset, policy,
        {name: value for name, value in detail.items() if value is not None},
    )  # fmt: skip


# -- publishing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule set that passed every check but its impact. `same` when it is what is in force, to the letter; `changes`
    are the rules in which it differs from that."""

    files: Mapping[str, bytes]
    rules: RuleSet
    problems: tuple[Problem, ...]
    same: bool
    changes: tuple[RuleChange, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesPublished:
    """What became of a set: `change` is published, unchanged or, of a dry run, publishable.

    `digest` is the revision that is, or would be, in force; `problems` are the warnings of its lint; `changes` are the
    rules that it adds, removes or states otherwise.
    """

    change: str
    digest: str
    problems: tuple[Problem, ...]
    changes: tuple[RuleChange, ...] = ()


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
    """A rule set without rules that are in force, which was not said to be meant; `changes` are all of its changes."""

    code = "removes-rules"

    def __init__(self, changes: Sequence[RuleChange]) -> None:
        gone = [change.rule for change in changes if change.removes]
        more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
        super().__init__(
            f"the set would remove {len(gone)} rule{'s' if len(gone) > 1 else ''} in force:"
            f" {', '.join(gone[:_SHOWN])}{more}",
            remedy="Send their files, too, or only those of one domain; publish with allowRemoving if it is meant",
        )
        self.changes = tuple(changes)


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
        self._iri_base, self._engine = settings.iri_base, settings.engine
        self._processes = Pool(1, memory=TRIAL_MEMORY)
        self._commit = commit
        self._published = published
        self._clock = clock
        self._busy = threading.Lock()

    def publish(
        self, subject: Subject, files: Mapping[str, bytes], access: Access, *, channel: str,
        domain: str | None = None, dry_run: bool = False, allow_removing: bool = False,
    ) -> RulesPublished:  # fmt: skip
        """Put a rule set in force: `files` by path, shapes and vocabularies with their examples.

        Without `domain` it replaces the whole set. With it, what lies below `domains/<domain>/`, and all `files` must
        lie there. A dry run is the same, short of the journal. Products that no longer conform stay registered.

        Raises `Forbidden` before it looks at anything; `RefusedRules`, `InputError` or `TooLarge` for a set that cannot
        be used; `RemovesRules` for one that lacks a rule in force, unless `allow_removing` is given; `Conflict` while
        another set is being published; `PolicyUnavailable`. Whatever is raised, the set in force stays in force, except
        by `StorageUnavailable` saying that it is stored.
        """
        self._authorize(access, subject, domain, channel, "publishing rules")  # who may not is not told that it is busy
        with self._alone():
            proposal = self._proposal(subject, files, domain, examples=True)
            digest, changes = proposal.rules.digest, proposal.changes
            if proposal.same:
                return RulesPublished("unchanged", digest, proposal.problems)
            if not allow_removing and any(change.removes for change in changes):
                raise RemovesRules(changes)
            if dry_run:
                return RulesPublished("publishable", digest, proposal.problems, changes)
            version = RulesVersion(digest, self._clock(), subject.id, "published", domain, proposal.files)
            ruling = self._rulings.ruling(version, proposal.rules)
            ruling.validator.start()  # whoever is judged first by the new rules does not wait for a process
            draft = draft_of(version, self._rulings.current.digest, access.policy_digest)
            self._commit(draft, lambda entry: self._rulings.take(entry, ruling))
        self._published()
        return RulesPublished("published", digest, proposal.problems, changes)

    def propose(
        self, subject: Subject, files: Mapping[str, bytes], access: Access, *, channel: str, domain: str | None = None,
        examples: bool = True,
    ) -> Proposal:  # fmt: skip
        """The whole set as it would be in force, linted and with its `examples` tried. Removing rules is as good as
        anything else; else raises as `publish`."""
        self._authorize(access, subject, domain, channel, "asking what other rules would change")
        return self._proposal(subject, files, domain, examples=examples)

    def _proposal(
        self, subject: Subject, files: Mapping[str, bytes], domain: str | None, *, examples: bool
    ) -> Proposal:  # fmt: skip
        ruling = self._rulings.current
        current = ruling.version
        proposed = _proposed(files, domain, current.files)
        if proposed == dict(current.files):
            return Proposal(proposed, ruling.rules, (), True)
        problems = self._problems(proposed, files if examples else None)
        problems = [p for p in problems if domain is None or p.file.startswith(_of(domain))]
        if any(problem.error for problem in problems):
            raise RefusedRules(problems)
        version = RulesVersion("", self._clock(), subject.id, "published", domain, proposed)
        rules = self._rulings.rule_set(version)
        foreign = [] if domain is None else list(_foreign_words(rules, domain, self._iri_base))
        if foreign:
            raise RefusedRules([*problems, *foreign])
        return Proposal(proposed, rules, tuple(problems), False, rule_changes(ruling.rules, rules))

    def _problems(self, proposed: Mapping[str, bytes], sent: Mapping[str, bytes] | None) -> list[Problem]:
        """What is wrong with a set, and with how the examples among the files `sent` do. Told by a process that may
        end: what is sent may be anything."""
        args = (dict(proposed), None if sent is None else _examples(sent), self._engine, self._iri_base, self._clock())
        try:
            return self._processes.call(_tried, *args, timeout=TRIAL_SECONDS)
        except WorkerFailed as error:
            if error.code not in ("worker-late", "worker-died", "worker-memory"):
                raise
            raise InputError(
                f"the rule set could not be tried: {error.message}", code="rule-set",
                remedy="Try it with `fairmesh rules lint` and `fairmesh rules test`; make queries and patterns cheaper",
            ) from error  # fmt: skip

    def close(self) -> None:
        """End the process that tries rule sets."""
        self._processes.close()

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

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time; who comes meanwhile is refused, not queued."""
        if not self._busy.acquire(blocking=False):
            raise Conflict("another rule set is being published", remedy="Try again in a moment")
        try:
            yield
        finally:
            self._busy.release()


def _tried(
    proposed: Mapping[str, bytes], examples: Mapping[str, bytes] | None, engine: str, iri_base: str, now: datetime
) -> list[Problem]:
    """In a process of its own: the lint of a set and, when there is no error, what its examples do."""
    rules = rules_of(proposed)
    problems = lint(rules, None if examples is None else _examples(proposed))
    if examples is None or any(problem.error for problem in problems):
        return problems
    results = check_examples(
        RuleSet(rules, engine, linted=True), examples, lambda data: read(data, TURTLE, iri_base), iri_base=iri_base,
        now=now,
    )  # fmt: skip
    remedy = "Correct the rule, or the example"
    return problems + [Problem(r.file, None, None, None, r.problem, remedy, True) for r in results if r.problem]


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


def _of(domain: str) -> str:
    return f"domains/{domain}/"


def _examples(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: body for path, body in files.items() if EXAMPLE.fullmatch(path)}


def _proposed(files: Mapping[str, bytes], domain: str | None, current: Mapping[str, bytes]) -> dict[str, bytes]:
    """All files as they would be in force in the place of `current`. Raises `InputError`."""
    _check_files(files)
    if domain is None:
        if not any(path.startswith("core/") for path in files):  # an organisation keeps its own rules, not core's
            files = {**{path: body for path, body in current.items() if path.startswith("core/")}, **files}
        return dict(sorted(files.items()))
    if not _KEY.fullmatch(domain):
        raise InputError(f"{domain[:100]!r} is no domain key", remedy="Name one like sales")
    for path in files:
        if not path.startswith(_of(domain)):
            raise InputError(f"{path} is not a file of the domain {domain}", remedy=f"Put it below {_of(domain)}")
    others = {path: body for path, body in current.items() if not path.startswith(_of(domain))}
    return dict(sorted({**others, **files}.items()))


def _check_files(files: Mapping[str, bytes]) -> None:
    """Raise `InputError` or `TooLarge`, naming the file, for what no rule set may hold."""
    if len(files) > MAX_FILES:
        raise TooLarge(f"{len(files)} files of rules", remedy=f"A set has at most {MAX_FILES:,}")
    total = 0
    for path, body in files.items():
        if len(path) > _MAX_PATH or not (FILE.fullmatch(path) or EXAMPLE.fullmatch(path)):
            raise InputError(
                f"{path[:_MAX_PATH]!r} is not a file of a rule set",
                remedy="Send shapes.ttl, vocabulary.ttl and examples/*.ttl of core/, org/<org>/ and domains/<domain>/",
            )
        total += len(body)
        if len(body) > MAX_FILE_BYTES or total > MAX_BYTES:
            raise TooLarge(
                f"{path} makes the rule set too large",
                remedy=f"A file has at most {MAX_FILE_BYTES:,} bytes, all together {MAX_BYTES:,}",
            )
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8", remedy="Save it as UTF-8") from None
