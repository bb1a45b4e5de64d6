"""The policy in force: where it comes from, how another one takes its place, and which one was in force when.

A policy set is journaled with its author and time before it takes effect. Whoever holds an `Access` goes on with it
to the end of the request; whoever asks for one after `publish` returned gets the new one, with no cache of the old.
An old engine is closed when the last request that uses it is done.
"""

from __future__ import annotations

import json
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fairmesh.catalog.access import Access, EmbeddedEngine, Engine, PolicySet, open_engine
from fairmesh.catalog.config import Settings
from fairmesh.catalog.decisionlog import DecisionLog, RecordedDecisions
from fairmesh.catalog.errors import ConfigError, Conflict, Forbidden, InputError, PolicyUnavailable
from fairmesh.catalog.impact import Impact, Mesh, impact, replay, subject_classes
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import (
    ANONYMOUS,
    CLASSIFICATIONS,
    AccessKey,
    Action,
    Decision,
    Draft,
    Entry,
    EntryKind,
    Subject,
)
from fairmesh.catalog.policyfiles import POLICIES, read_modules
from fairmesh.catalog.policytests import is_rule, is_table, run_tests
from fairmesh.catalog.registry import Registry
from fairmesh.catalog.rego import Step
from fairmesh.catalog.versions import SetKind, Version, Versions, folder_of

DECISIONS = "decisions"
"""The folder of a data directory that keeps the decision log."""
TEST_SECONDS = 30.0
"""What all tests of a set may take together."""
_SHOWN_FAILURES = 10
_MAX_OTHERS = 100
"""Access keys of other domains on which a domain's policy is tried."""
_SEGMENT = r"\w[\w.-]*"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")

POLICY_FILES = SetKind(
    "policy", EntryKind.POLICY, "policies", max_files=300, max_file_bytes=200_000, max_bytes=2_000_000,
    holds=lambda path: _PATH.fullmatch(path) and (path.endswith(".rego") or is_table(path)),
    paths="*.rego and decisions/*.yaml at relative paths of letters, digits, `_`, `-`, `.` and `/`, like"
    " org/acme/hold.rego",
)  # fmt: skip
"""What a published set of policies may hold: rules with their tests, and golden tables."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, the input the policy was given (None: it was denied without asking) and the rules that fired."""

    subject: Subject
    decision: Decision
    facts: Mapping[str, Any] | None
    rules: tuple[Step, ...]


class Widens(InputError):
    """The proposed policy lets somebody do or see more than the one in force, and that was not asked for."""

    code = "widens"

    def __init__(self, message: str, found: Impact) -> None:
        super().__init__(message, remedy="Look at the impact; publish with allow_widening if it is meant")
        self.impact = found


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a set: `change` is published, unchanged or, of a dry run, publishable.

    `digest` is the policy revision that is, or would be, in force. `impact` is None when nothing changes.
    """

    change: str
    digest: str
    impact: Impact | None = None


# -- files ------------------------------------------------------------------------------------------------------------


def rules_of(files: Mapping[str, bytes]) -> PolicySet:
    """The rules among the files of a version. Raises `ConfigError` when there are none."""
    return PolicySet.from_files({path: body for path, body in files.items() if is_rule(path)})


def read_folder(folder: Path) -> dict[str, bytes]:
    """What a version keeps of a policy folder: Rego with its tests, and golden tables. Raises `ConfigError`."""
    found = dict(read_modules(folder))
    for path in folder.rglob("*.yaml"):
        name = path.relative_to(folder).as_posix()
        if is_table(name):
            try:
                found[name] = path.read_bytes()
                found[name].decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"cannot read the table {path}: {error}", remedy="Tables are UTF-8") from error
    return dict(sorted(found.items()))


# -- in force ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InUse:
    """A policy set and the decisions by it."""

    version: Version
    access: Access


class Policies:
    """The policy set in force and, in `versions`, those that were. `access` may be replaced at any moment: take it
    once a request."""

    def __init__(self, settings: Settings, versions: Versions, start: Version) -> None:
        self.versions = versions
        self._settings = settings
        self._log = _open_log(settings)
        self._in_use = InUse(start, self.open_access(rules_of(start.files)))
        self._quiet: tuple[Access, EmbeddedEngine] | None = None

    @classmethod
    def open(cls, settings: Settings, journal: Journal, *, now: datetime) -> Policies:
        """The policy of the folder (`settings.policies`, else the one that ships) when it is not the one last taken
        from a folder; else the newest of the journal.

        Raises `ConfigError` for a policy that cannot be used.
        """
        folder = settings.policies or POLICIES
        digest = PolicySet.load(folder).digest
        versions = Versions(journal, POLICY_FILES)
        start = versions.start(digest, f"the policies of {folder}")
        if start is None:
            return cls(settings, versions, Version(digest, now, "fairmesh", "folder", None, read_folder(folder)))
        try:
            return cls(settings, versions, start)
        except ConfigError as error:
            raise versions.unusable(error) from error

    @property
    def in_use(self) -> InUse:
        """The policy in force and the decisions by it: what belongs together, at one moment."""
        return self._in_use

    @property
    def access(self) -> Access:
        """Decisions by the policy in force."""
        return self._in_use.access

    @property
    def current(self) -> Version:
        """The policy in force."""
        return self._in_use.version

    def version(self, digest: str) -> Version:
        """The newest version with this digest, which was in force since this process started."""
        current = self.current
        if current.digest == digest:
            return current
        found = self.versions.of(digest)
        assert found is not None  # entries stay
        return found

    def note(self, ruleset: str) -> None:
        """Journal the policy in force when it was taken from the folder and is not journaled yet."""
        if self.versions.newest is not self.current:
            entry = self.versions.append(self.current, ruleset=ruleset, policy=self.current.digest)
            self.take(entry, self.access)

    def take(self, entry: Entry, access: Access) -> None:
        """Put a journaled policy in force; `access` decides by it."""
        self._in_use = InUse(self.versions.add(entry), access)

    def open_access(self, policies: PolicySet) -> Access:
        """Decisions by these policies, by the engine of the settings, recorded in the log.

        An OPA server must come to hold the same modules: until it does, every question is refused as unavailable.
        Raises `ConfigError`.
        """
        return closing_access(open_engine(policies, self._settings.opa_url), policies, self._log)

    def quiet(self, access: Access) -> Access:
        """The decisions of `access`, made in process and not recorded: for comparing and explaining, at any volume."""
        return self._twin(access)[0]

    def explain(
        self, access: Access, subject: Subject, action: Action, key: AccessKey, *, channel: str, now: datetime
    ) -> Explanation:
        """What `access` decides, and how it comes about. Raises `PolicyUnavailable`."""
        quiet, engine = self._twin(access)
        decision = quiet.decide(subject, action, key, channel=channel, now=now)
        question = quiet.question(subject, action, key, channel=channel, now=now)
        if question is None:
            return Explanation(subject, decision, None, ())
        _, steps = engine.program.trace(question)
        return Explanation(subject, decision, json.loads(question), tuple(steps))

    def recorded(self) -> RecordedDecisions:
        """The decisions recorded so far."""
        if self._log is not None:
            self._log.flush()
        return RecordedDecisions(self._settings.data / DECISIONS)

    def _twin(self, access: Access) -> tuple[Access, EmbeddedEngine]:
        twin = self._quiet
        if twin is None or twin[0].policy_digest != access.policy_digest:
            engine = EmbeddedEngine(access.policies)
            twin = self._quiet = closing_access(engine, access.policies, None), engine
        return twin

    def close(self) -> None:
        self.access.close()
        if self._log is not None:
            self._log.close()


def _open_log(settings: Settings) -> DecisionLog | None:
    kind = settings.decision_log
    return None if kind == "off" else DecisionLog(settings.data / DECISIONS, masked=kind == "masked")


def closing_access(engine: Engine, policies: PolicySet, log: DecisionLog | None, *, strict: bool = False) -> Access:
    """An `Access` whose engine is closed when nobody holds the `Access` any more."""
    access = Access(engine, policies, log, strict=strict)
    weakref.finalize(access, engine.close)
    return access


# -- publishing -------------------------------------------------------------------------------------------------------


class Publishing:
    """The one way a policy comes into force while the mesh is running. Safe to call from any thread; blocking.

    `commit` journals a draft, and calls its second argument with the entry before anything else is written.
    """

    def __init__(
        self, policies: Policies, registry: Registry, commit: Callable[[Draft, Callable[[Entry], None]], None],
        ruleset: Callable[[], str], workers: int, clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._policies = policies
        self._registry = registry
        self._commit = commit
        self._ruleset = ruleset
        self._workers = workers
        self._clock = clock
        self._busy = threading.Lock()

    def publish(
        self, subject: Subject, files: Mapping[str, bytes], *, channel: str, domain: str | None = None,
        known: Sequence[Subject] = (), dry_run: bool = False, allow_widening: bool = False,
    ) -> Published:  # fmt: skip
        """Put a policy set in force: `files` by path, rules with their tests and golden tables.

        Without `domain` it replaces the whole set. With it, what lies below `domains/<domain>/`, and all `files` must
        lie there; they narrow access to products of that domain and do nothing else. It is compared for the subjects
        of `known`. A dry run is the same, short of the journal.

        Raises `Forbidden` before it looks at anything; `InputError` (`TooLarge`) with file, line and remedy for a set
        that does not load, fails its tests or reaches beyond its domain; `Widens` when it lets somebody do more and
        `allow_widening` is not given; `Conflict` while another set is being published; `PolicyUnavailable`. Whatever is
        raised, the policy in force stays in force, except by `StorageUnavailable` saying that it is stored.
        """
        self._authorize(self._policies.access, subject, domain, channel)  # who may not is not told that it is busy
        with self._alone():
            in_use = self._policies.in_use
            old = in_use.access
            whole = self._authorize(old, subject, domain, channel)
            proposed = POLICY_FILES.replaced(in_use.version.files, files, domain)
            if proposed == dict(in_use.version.files):
                return Published("unchanged", old.policy_digest)
            access = _load(proposed)
            _test(access if domain is None else _load(_seen_by(domain, proposed)), files)
            self._check_reach(access, subject, domain, known, channel, proposed)
            found = self._compare(old, access, subject, known, channel, whole)
            if found.widens and not allow_widening:
                raise Widens("the policy lets somebody do more than the one in force", found)
            if dry_run:
                return Published("publishable", access.policy_digest, found)
            version = Version(access.policy_digest, self._clock(), subject.id, "published", domain, proposed)
            self._put_in_force(version, old, access.policies)
            return Published("published", version.digest, found)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time; who comes meanwhile is refused, not queued."""
        if not self._busy.acquire(blocking=False):
            raise Conflict("another policy set is being published", remedy="Try again in a moment")
        try:
            yield
        finally:
            self._busy.release()

    def impact(
        self, subject: Subject, files: Mapping[str, bytes], *, channel: str, domain: str | None = None,
        known: Sequence[Subject] = (),
    ) -> Impact:  # fmt: skip
        """What publishing `files` would change. Raises as `publish` does, but for tests and widening."""
        in_use = self._policies.in_use
        whole = self._authorize(in_use.access, subject, domain, channel)
        access = _load(POLICY_FILES.replaced(in_use.version.files, files, domain))
        return self._compare(in_use.access, access, subject, known, channel, whole)

    def _may(self, access: Access, subject: Subject, domain: str | None, channel: str) -> Decision:
        return access.on_files(subject, Action.GOVERN, "policy", domain or "", channel=channel, now=self._clock())

    def _authorize(self, access: Access, subject: Subject, domain: str | None, channel: str) -> bool:
        """Raise `Forbidden` for who may not publish this; whether it is somebody who may publish anything."""
        decision = self._may(access, subject, domain, channel)
        if not decision.allowed:
            raise Forbidden("publishing policies needs the govern action on them", decision)
        return domain is None or self._may(access, subject, None, channel).allowed

    def _check_reach(
        self, access: Access, subject: Subject, domain: str | None, known: Sequence[Subject], channel: str,
        files: Mapping[str, bytes],
    ) -> None:  # fmt: skip
        """Raise `InputError` for a policy its author could not replace again, and for a domain's that does more than
        narrow access to products of the domain."""
        try:
            if domain is not None:
                self._check_domain(access, files, domain, known)
            if not self._may(access, subject, domain, channel).allowed:
                raise InputError(
                    "under this policy you could not publish another one",
                    remedy="Keep the govern action for resources of type policy",
                )
        except PolicyUnavailable as error:
            raise _fails() from error

    def _check_domain(self, access: Access, files: Mapping[str, bytes], domain: str, known: Sequence[Subject]) -> None:
        without = _load({path: body for path, body in files.items() if not path.startswith(folder_of(domain))})
        known_keys = list(self._registry.keys)
        samples = list(_sample_keys(domain))
        own = dict.fromkeys(key for key in [*known_keys, *samples] if key.domain == domain)
        others = [key for key in [*samples, *known_keys] if key.domain != domain][:_MAX_OTHERS]
        classes = subject_classes([*known, ANONYMOUS, *_sample_subjects(domain)], without, access)
        for keys, outside in ((list(own), False), (others, True)):
            mesh = Mesh(keys, [(str(place), place) for place in range(len(keys))])
            found = impact(without, access, classes, mesh, now=self._clock(), workers=self._workers)
            if found.widens:
                raise _beyond(domain, "allows what is denied without it")
            if found.changes and outside:
                raise _beyond(domain, "reaches beyond the domain's own products")

    def _compare(
        self, old: Access, new: Access, subject: Subject, known: Sequence[Subject], channel: str, whole: bool
    ) -> Impact:
        """Counts and names the products the author may discover under either policy. Classes of subjects and recorded
        decisions are for whoever governs the whole policy."""
        now, mesh, quiet = self._clock(), Mesh.of(self._registry), self._policies.quiet(old)
        classes = subject_classes([*known, ANONYMOUS], old, new)
        try:
            before, after = (a.scope(subject, mesh.keys, channel=channel, now=now).grants for a in (quiet, new))
            found = impact(
                quiet, new, classes, mesh, now=now, shown=before | after, together=not whole, workers=self._workers
            )
            return replace(found, replay=replay(new, reversed(self._policies.recorded()))) if whole else found
        except PolicyUnavailable as error:
            raise _fails() from error

    def _put_in_force(self, version: Version, old: Access, policies: PolicySet) -> None:
        access = old if version.digest == old.policy_digest else self._policies.open_access(policies)
        draft = POLICY_FILES.draft(version, ruleset=self._ruleset(), policy=old.policy_digest)
        self._commit(draft, lambda entry: self._policies.take(entry, access))


def _fails() -> InputError:
    return InputError(
        "the policy cannot be evaluated for every subject and product: it conflicts, fails, or takes too long",
        remedy="Try it with `fairmesh policy test`",
    )


def _beyond(domain: str, what: str) -> InputError:
    return InputError(
        f"the policy of the domain {domain} {what}",
        remedy='A domain narrows access to its own products, by entries like {"id": id, "reason": "a-code"} of `deny`',
    )


def _sample_keys(domain: str) -> Iterator[AccessKey]:
    """Products that need not exist, of the domain and of another one."""
    for each in (domain, f"not-{domain}"):
        for status in ("build", "consume"):
            yield from (AccessKey(each, word, status) for word in CLASSIFICATIONS)


def _sample_subjects(domain: str) -> Iterator[Subject]:
    for role in ("analyst", "producer", "steward", "auditor"):
        for domains in ((), (domain,), (f"not-{domain}",)):
            yield Subject("sample", "service", (role,), (), domains, "internal")


# -- loading and testing ----------------------------------------------------------------------------------------------


def _seen_by(domain: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Everybody's files and the domain's own: a domain's tests could ask what the rules of others say."""
    own = folder_of(domain)
    return {p: body for p, body in files.items() if p.startswith(own) or not p.startswith(("domains/", "org/"))}


def _load(files: Mapping[str, bytes]) -> Access:
    """Decisions by the rules among the files, in process and not recorded. Raises `InputError`."""
    try:
        policies = rules_of(files)
        return closing_access(EmbeddedEngine(policies), policies, None, strict=True)
    except ConfigError as error:
        raise InputError(error.message, line=error.line, column=error.column, remedy=error.remedy) from error


def _test(access: Access, files: Mapping[str, bytes]) -> None:
    """Raise `InputError`, with the place of the first failure, unless all tests among the files pass in time.

    A domain's set is not held to the tables of the organisation and of other domains: their rows may state the very
    access to its products that it is free to narrow, and that it does no more than that is checked apart.
    """
    run = run_tests(access, files, seconds=TEST_SECONDS)
    if run.failures:
        count, shown = len(run.failures), run.failures[:_SHOWN_FAILURES]
        told = "; ".join(f"{f.file}:{f.line}: {f.message}" for f in shown)
        raise InputError(
            f"{count} test{'s' if count > 1 else ''} of the policy fail{'' if count > 1 else 's'}: {told}"
            + (f"; and {count - len(shown)} more" if count > len(shown) else ""),
            line=run.failures[0].line, remedy="Correct the policy, or the test",
        )  # fmt: skip
