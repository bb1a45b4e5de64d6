"""What another policy would change: who gains and who loses what, worked out before it is in force.

Exact for the subjects and products given, at the moment given: every class of subjects is asked about every access
key, under both policies. Nothing is cached or logged here beyond what the two `Access` do.
"""

from __future__ import annotations

import functools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.decisionlog import Recorded
from fairmesh.catalog.errors import PolicyUnavailable
from fairmesh.catalog.model import FIELDS, AccessKey, Action, Decision, Need, Subject, granted_under
from fairmesh.catalog.registry import Grants, Registry
from fairmesh.catalog.workers import Pool

CHANNELS = ("graphql", "http", "cli", "bundle")
EXAMPLES = 5
_ASKED = (Action.READ_DATA, Action.REGISTER, Action.UPDATE, Action.RETIRE)
_PRODUCT_ACTIONS = (Action.DISCOVER, Action.READ_METADATA, *_ASKED)
_MUCH = 20_000
"""Subjects times access keys times channels from which child processes are worth their start."""
_SECONDS = 240.0
"""A comparison that takes longer is given up."""
_ANY_FIELD = sum(FIELDS.values())
_OF_READING = Need.READ - Need.DISCOVER

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SubjectClass:
    """Subjects whom neither policy can tell apart; `facts` are those of one of them, `ids` names them all, sorted."""

    facts: Subject
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What one class of subjects gains, or loses, of one action.

    `count` products, of which `examples` (keys, in order) are the first. `partial`: the action is allowed before and
    after, and more (or less) of the products is seen by it: columns, fields, or rows; other rows are both more and
    less. Else the action itself comes to be allowed, or ceases to be. For GOVERN the things counted are no products:
    the rule sets, the policies, the policies of a domain, the waivers of a level's rules for a domain, the bundle.

    `subjects` is None where all classes are counted together.
    """

    subjects: SubjectClass | None
    action: Action
    gains: bool
    partial: bool
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """Recorded decisions, asked again: how many of them the proposed policy would answer otherwise.

    `skipped` got no answer, or were not asked again: newer ones used up the time.
    """

    decisions: int = 0
    to_allow: int = 0
    to_deny: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Impact:
    """The difference between two policies on one mesh. Revisions are digests.

    `changes` has gains first, then losses, by class and action. `widens`: somebody gains something. It may be something
    that `changes` does not count, as its reader must not know of it.
    """

    current: str
    proposed: str
    classes: int
    products: int
    changes: tuple[Change, ...]
    widens: bool
    replay: Replay = Replay()


def subject_classes(subjects: Iterable[Subject], *deciding: Access) -> list[SubjectClass]:
    """Subjects grouped by what their policies may look at, in the order of their first ids.

    Subjects that differ in their id alone are one class, unless a policy may look at ids.
    """
    by_id = any(access.program.may_read("subject", "id") for access in deciding)
    groups: dict[Subject, set[str]] = {}
    for subject in subjects:
        facts = replace(
            subject, id=subject.id if by_id else "", roles=_sorted(subject.roles), teams=_sorted(subject.teams),
            domains=_sorted(subject.domains),
        )  # fmt: skip
        groups.setdefault(facts, set()).add(subject.id)
    found = [SubjectClass(replace(facts, id=min(ids)), tuple(sorted(ids))) for facts, ids in groups.items()]
    return sorted(found, key=lambda each: (each.ids, repr(each.facts)))


def _sorted(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every subject is asked about: access keys, which of them are in use, and the domains of those."""

    keys: Sequence[AccessKey]
    used: Mask
    domains: Sequence[str]


class Mesh:
    """The products that an impact is worked out on: access keys, and the name of each live product with the place of
    its key."""

    def __init__(self, keys: Sequence[AccessKey], live: Iterable[tuple[str, int]]) -> None:
        self.keys = list(keys)
        named = sorted(live)
        self.names = [name for name, _ in named]
        self._places = np.array([place for _, place in named], dtype=np.int64)
        used = np.zeros(len(self.keys), dtype=np.bool_)
        used[self._places] = True
        domains = {self.keys[place].domain for place in np.flatnonzero(used)}
        self.asked = _Asked(self.keys, used, sorted(domains))

    @classmethod
    def of(cls, registry: Registry) -> Mesh:
        """The mesh at this moment, also while another thread writes it."""
        products = list(registry.slots)
        keys = list(registry.keys)  # after the products: it holds the key of each
        return cls(keys, ((product.key, product.key_id) for product in products if not product.retired))

    def count(self, changed: Mask, shown: Mask) -> tuple[int, tuple[str, ...]]:
        """How many products have one of the access keys, and the names of the first."""
        found = np.flatnonzero((changed & shown)[self._places])
        return len(found), tuple(self.names[place] for place in found[:EXAMPLES])


def impact(
    current: Access, proposed: Access, classes: Sequence[SubjectClass], mesh: Mesh, *, now: datetime,
    shown: Grants | None = None, together: bool = False, workers: int = 1,
) -> Impact:  # fmt: skip
    """What `classes` gain and lose when `proposed` takes the place of `current`.

    `shown`: only the products that these grants let discover are counted and named in `changes` (None: all).
    `together`: the classes are not told apart, and the rest of the mesh is as if it were not there. What is much is
    shared among `workers` child processes, which evaluate both policies anew.
    Raises `PolicyUnavailable`, and `WorkerFailed` when a child does not finish.
    """
    may_show = np.ones(len(mesh.keys), dtype=np.bool_) if shown is None else shown & Need.DISCOVER != 0
    by_channel = any(access.program.may_read("context", "channel") for access in (current, proposed))
    channels = CHANNELS if by_channel else CHANNELS[:1]
    found: list[Change] = []
    merged = _Compared({}, {})
    widens = False
    compared = _all_compared(current, proposed, [each.facts for each in classes], mesh.asked, channels, now, workers)
    for each, one in zip(classes, compared, strict=True):
        widens = widens or one.widens
        if together:
            merged = merged | one
        else:
            found += _changes(each, one, mesh, may_show)
    products = len(mesh.names)
    if together:
        found = list(_changes(None, merged, mesh, may_show))
        products, _ = mesh.count(may_show, may_show)
        widens = any(change.gains for change in found)
    found.sort(key=lambda change: not change.gains)  # the order within is kept
    return Impact(current.policy_digest, proposed.policy_digest, len(classes), products, tuple(found), widens)


def replay(
    proposed: Access, newest_first: Iterable[Recorded], *, seconds: float = 10.0, most: int = 100_000
) -> Replay:  # fmt: skip
    """Ask recorded questions again, each as it was put, at its moment, until time or number is used up; the rest is
    skipped. Pseudonyms stay pseudonyms."""
    until = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    for each in newest_first:
        resources = each.input["resources"]
        late = counts["decisions"] >= most or time.monotonic() >= until
        allowed = None if late or each.error is not None else _asked_again(proposed, each)
        if allowed is None:
            counts["skipped"] += len(resources)
            continue
        counts["decisions"] += len(allowed)
        for before, after in allowed:
            if after is not before:
                counts["to_allow" if after else "to_deny"] += 1
    return Replay(counts["decisions"], counts["to_allow"], counts["to_deny"], counts["skipped"])


def _asked_again(access: Access, line: Recorded) -> list[tuple[bool, bool]] | None:
    """Whether each resource was allowed, and would be; None when it cannot be had."""
    if line.result is None:
        return None
    ids = [f"k{number}" for number in range(len(line.input["resources"]))]
    try:
        before = [id in line.result and line.result[id]["allow"] is True for id in ids]
        return list(zip(before, access.allows(json.dumps(line.input), len(ids)), strict=True))
    except (PolicyUnavailable, LookupError, TypeError, ValueError, RecursionError):  # or a line that is not ours
        return None


@dataclass(frozen=True, slots=True)
class _Compared:
    """What one subject gains (True) and loses: access keys in use by action, and other things it governs.

    `masks` is by action, whether it is a gain, and whether it is a partial one.
    """

    masks: Mapping[tuple[Action, bool, bool], Mask]
    governs: Mapping[bool, tuple[str, ...]]

    @property
    def widens(self) -> bool:
        return bool(self.governs[True]) or any(mask.any() for (_, gains, _), mask in self.masks.items() if gains)

    def __or__(self, other: _Compared) -> _Compared:
        masks = {place: mask | self.masks.get(place, False) for place, mask in other.masks.items()}
        governs = {
            gains: tuple(dict.fromkeys([*self.governs.get(gains, ()), *things]))
            for gains, things in other.governs.items()
        }
        return _Compared(masks, governs)


def _all_compared(
    current: Access, proposed: Access, subjects: Sequence[Subject], asked: _Asked, channels: Sequence[str],
    now: datetime, workers: int,
) -> Iterator[_Compared]:  # fmt: skip
    """One for each subject, in order. Raises `PolicyUnavailable` when it takes more than `_SECONDS`."""
    end = time.monotonic() + _SECONDS
    if workers < 2 or len(subjects) * len(asked.keys) * len(channels) < _MUCH:
        for subject in subjects:
            _check_time(end)
            yield _compared(current, proposed, subject, asked, channels, now)
        return
    warm_up = functools.partial(_prepare, current.policies, proposed.policies, asked, channels, now)
    pool = Pool(min(workers, len(subjects)), warm_up=warm_up)

    def compare(subject: Subject) -> _Compared:
        _check_time(end)
        return pool.call(_in_child, subject, timeout=max(1.0, end - time.monotonic()))

    try:
        with ThreadPoolExecutor(pool.size) as threads:
            yield from threads.map(compare, subjects)
    finally:
        pool.close()


def _check_time(end: float) -> None:
    if time.monotonic() > end:
        raise PolicyUnavailable(f"comparing the policies takes more than {_SECONDS:.0f} seconds")


_task: Callable[[Subject], _Compared]


def _prepare(current: PolicySet, proposed: PolicySet, asked: _Asked, channels: Sequence[str], now: datetime) -> None:
    """In a child: make both policies ready."""
    global _task
    old = Access(EmbeddedEngine(current), current)
    new = Access(EmbeddedEngine(proposed), proposed, strict=True)
    _task = lambda subject: _compared(old, new, subject, asked, channels, now)  # noqa: E731 - a name of the module


def _in_child(subject: Subject) -> _Compared:
    return _task(subject)


def _compared(
    current: Access, proposed: Access, subject: Subject, asked: _Asked, channels: Sequence[str], now: datetime
) -> _Compared:
    found: dict[tuple[Action, bool, bool], Mask] = {}
    for channel in channels:
        sides = [_granted(access, subject, asked.keys, channel, now) for access in (current, proposed)]
        for gains, (old, new) in ((True, sides), (False, sides[::-1])):
            for action in _PRODUCT_ACTIONS:
                for partial, more in enumerate(_more(action, old, new)):
                    place = (action, gains, bool(partial))
                    found[place] = found.get(place, False) | more & asked.used
    return _Compared(found, _governs(current, proposed, subject, asked, channels, now))


@dataclass(frozen=True, slots=True)
class _Granted:
    """What one subject is granted, by access key: as in `Scope.grants`, and for the other actions alike."""

    scope: Grants
    asked: Mapping[Action, Grants]
    filters: npt.NDArray[np.object_]


def _granted(access: Access, subject: Subject, keys: Sequence[AccessKey], channel: str, now: datetime) -> _Granted:
    scope = access.scope(subject, keys, channel=channel, now=now).grants
    questions = [(action, key) for action in _ASKED for key in keys]
    decisions = access.decide_many(subject, questions, channel=channel, now=now)
    asked = {
        action: np.array([_bits(d) for d in decisions[place * len(keys) :][: len(keys)]], dtype=np.int64)
        for place, action in enumerate(_ASKED)
    }
    filters = np.array([d.obligations.row_filter if d.allowed else None for d in decisions[: len(keys)]], dtype=object)
    return _Granted(scope, asked, filters)


def _bits(decision: Decision) -> int:
    if not decision.allowed:
        return 0
    return granted_under(decision.obligations) if decision.action is Action.READ_DATA else 1


def _more(action: Action, old: _Granted, new: _Granted) -> tuple[Mask, Mask]:
    """Where `new` allows this action and `old` does not; and where both do, but `new` lets more be seen."""
    if action in old.asked:
        before, after = old.asked[action], new.asked[action]
        allowed, more = before != 0, after & ~before != 0
        if action is Action.READ_DATA:  # rows that are left out otherwise may be more, or others
            more |= (old.filters != None) & (old.filters != new.filters) & (after != 0)  # noqa: E711
        return more & ~allowed, more & allowed
    old_reads, new_reads = (side.scope & _OF_READING != 0 for side in (old, new))
    gained = new.scope & ~old.scope
    if action is Action.READ_METADATA:
        return new_reads & ~old_reads, new_reads & old_reads & (gained != 0)
    comes = gained & Need.DISCOVER != 0
    return comes, (gained & _ANY_FIELD != 0) & ~new_reads & ~comes


def _governs(
    current: Access, proposed: Access, subject: Subject, asked: _Asked, channels: Sequence[str], now: datetime
) -> dict[bool, tuple[str, ...]]:
    """What else than products the subject comes, or ceases, to govern."""
    found: dict[bool, dict[str, None]] = {True: {}, False: {}}
    for name, ask in _governed(subject, asked.domains, now):
        for channel in channels:
            old, new = ask(current, channel), ask(proposed, channel)
            if old != new:
                found[new][name] = None
    about = [(domain, f"{level}/any") for domain in asked.domains for level in ("core", "org/any", f"domains/{domain}")]
    for channel in channels:
        sides = (a.on_waivers(subject, Action.GOVERN, about, channel=channel, now=now) for a in (current, proposed))
        for (domain, rule), was, is_ in zip(about, *sides, strict=True):
            if was.allowed != is_.allowed:
                found[is_.allowed][f"waivers of {rule.partition('/')[0]} rules for {domain}"] = None
    return {gains: tuple(names) for gains, names in found.items()}


def _governed(
    subject: Subject, domains: Sequence[str], now: datetime
) -> Iterator[tuple[str, Callable[[Access, str], bool]]]:
    yield "rule sets", lambda access, channel: access.govern(subject, channel=channel, now=now).allowed
    for domain in ("", *domains):

        def may(access: Access, channel: str, domain: str = domain) -> bool:
            return access.on_files(subject, Action.GOVERN, "policy", domain, channel=channel, now=now).allowed

        yield (f"policies of {domain}" if domain else "policies"), may

    yield "bundle", lambda access, channel: access.bundle(subject, now=now).allowed


def _changes(subjects: SubjectClass | None, compared: _Compared, mesh: Mesh, shown: Mask) -> Iterator[Change]:
    for (action, gains, partial), mask in compared.masks.items():
        count, examples = mesh.count(mask, shown)
        if count:
            yield Change(subjects, action, gains, partial, count, examples)
    for gains, things in compared.governs.items():
        if things:
            yield Change(subjects, Action.GOVERN, gains, False, len(things), things[:EXAMPLES])
