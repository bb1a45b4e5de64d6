"""Waivers: one product is excused from one rule until a moment, for a reason, by somebody whom policy lets do that.

A waiver names its product by key, so that it can be given before the first registration. It is journaled with its
author and time before it takes effect, and so is its withdrawal; all that ever were are kept in memory, as `in_force`
answers for any moment. From `expires_at` on, to the instant, the rule gates again: nothing has to happen for it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from fairmesh.catalog.access import Access
from fairmesh.catalog.document import KEY, MAX_KEY
from fairmesh.catalog.errors import Conflict, Forbidden, InputError, NotFound
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import ANONYMOUS, Action, Draft, Entry, EntryKind, Finding, Report, Severity, Subject
from fairmesh.catalog.rulefiles import RULES

MIN_REASON, MAX_REASON = 10, 500
"""Characters of a reason."""
MAX_TIME = timedelta(days=366)
"""A waiver ends this long after it is given, at the latest: a year, be it a leap year."""
NEVER_WAIVED = frozenset({"core/01", "core/02"})
"""Key and domain: the journal, the product's IRI and every access decision go by them. Without them a product is stored
under a name, or judged as one of a domain, that it does not state."""
_MAX_NAME = 200
_NAMED = 3
"""Rules that a remedy names."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """One product excused from one rule. `home` is the product's: the base of the mesh and its key. Times are UTC.

    `ended_at` and `ended_by` are set when it was withdrawn or, by another waiver for the same rule, replaced; that
    may be after it had expired.
    """

    id: str
    home: str
    key: str
    rule: str
    reason: str
    requested_by: str | None
    approved_by: str
    granted_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None

    def active(self, now: datetime) -> bool:
        """Whether it holds: from the moment it was given, up to but not at its end."""
        end = self.expires_at if self.ended_at is None else min(self.ended_at, self.expires_at)
        return self.granted_at <= now < end


class NotWaived(InputError):
    """A submission names a waiver that does not hold for its product, or does not exist."""

    def __init__(self, waiver: str, key: str) -> None:
        super().__init__(
            f"{waiver[:_MAX_NAME]!r} is no active waiver of {key}",
            remedy="Leave it out, or ask for a new one: `fairmesh waiver list` shows those there are",
        )
        self.waiver = waiver
        self.key = key


# -- reports ----------------------------------------------------------------------------------------------------------


def apply(report: Report, waivers: Mapping[str, Waiver], now: datetime) -> Report:
    """The report with `waived_until` on each violation of a waived rule, and on nothing else.

    `waivers` are those of the report's product by rule id, as `Waivers.in_force` gives them. What the report said of
    waivers before does not matter, so that a kept report can be applied to again.
    """

    def judged(finding: Finding) -> Finding:
        waiver = waivers.get(finding.rule) if finding.severity is Severity.VIOLATION else None
        until = waiver.expires_at if waiver is not None and waiver.active(now) else None
        return finding if finding.waived_until == until else replace(finding, waived_until=until)

    findings = tuple(judged(finding) for finding in report.findings)
    return report if findings == report.findings else replace(report, findings=findings)


def relied_on(report: Report, waivers: Mapping[str, Waiver]) -> frozenset[str]:
    """The ids of the waivers without which the report would not conform as it does."""
    return frozenset(waivers[f.rule].id for f in report.findings if f.waived_until is not None)


# -- in force ---------------------------------------------------------------------------------------------------------


class Waivers:
    """The waivers of a mesh. Safe to use from any thread; reading takes no lock.

    `rules` gives the rule set in force. `commit` journals a draft, and calls its second argument with the entry before
    anything else is written.
    """

    def __init__(
        self, journal: Journal, iri_base: str, rules: Callable[[], RuleSet],
        commit: Callable[[Draft, Callable[[Entry], None]], None], clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._iri_base = iri_base
        self._rules = rules
        self._commit = commit
        self._clock = clock
        self._by_id: dict[str, Waiver] = {}
        self._by_home: dict[str, tuple[str, ...]] = {}
        self._changing = threading.Lock()
        for entry in journal.entries(kinds=[EntryKind.WAIVER]):
            self._take(entry)

    # -- reading --

    def find(self, id: str) -> Waiver | None:
        return self._by_id.get(id)

    def all(self) -> list[Waiver]:
        """Every waiver there ever was, by key, rule and time."""
        return sorted(self._by_id.values(), key=order)

    def of(self, home: str) -> list[Waiver]:
        """Every waiver a product ever had, by rule and time."""
        return sorted((self._by_id[id] for id in self._by_home.get(home, ())), key=order)

    def in_force(self, home: str, at: datetime) -> Mapping[str, Waiver]:
        """The waivers of a product at a moment, by rule id. `at` has a time zone."""
        found = (self._by_id[id] for id in self._by_home.get(home, ()))
        return {waiver.rule: waiver for waiver in found if waiver.active(at)}

    def by_key(self, at: datetime) -> dict[str, frozenset[str]]:
        """The ids of the rules waived at a moment, by the key of the product. `at` has a time zone."""
        found: dict[str, set[str]] = {}
        for waiver in self.all():
            if waiver.active(at):
                found.setdefault(waiver.key, set()).add(waiver.rule)
        return {key: frozenset(rules) for key, rules in found.items()}

    def visible(
        self, waivers: Iterable[Waiver], subject: Subject, access: Access, reads: Callable[[str], bool], *, channel: str
    ) -> list[Waiver]:
        """Those that the subject may see: of products it may read, those it may grant, and those it asked for.

        `reads` says of a home whether the subject may read the product there: False for hidden and absent alike. The
        other two do not depend on the product, so that none of this tells whether a hidden one is there.
        Raises `PolicyUnavailable`.
        """
        listed = list(waivers)
        read = {home: reads(home) for home in {waiver.home for waiver in listed}}
        known = subject.kind != ANONYMOUS.kind

        def shown(waiver: Waiver) -> bool:
            return read[waiver.home] or (known and waiver.requested_by == subject.id)

        about = sorted({_about(waiver.key, waiver.rule) for waiver in listed if not shown(waiver)})
        decisions = access.on_waivers(subject, Action.GOVERN, about, channel=channel, now=self._clock())
        govern = {place for place, decision in zip(about, decisions, strict=True) if decision.allowed}
        return [waiver for waiver in listed if shown(waiver) or _about(waiver.key, waiver.rule) in govern]

    def check(self, ids: Collection[str], home: str, now: datetime) -> None:
        """Raise `NotWaived`, naming the first, unless each is the id of a waiver of this product that holds."""
        held = {waiver.id for waiver in self.in_force(home, now).values()}
        for id in ids:
            if id not in held:
                raise NotWaived(id, home.removeprefix(self._iri_base))

    # -- changing --

    def grant(
        self, subject: Subject, access: Access, key: str, rule: str, *, reason: str, expires: datetime, channel: str,
        requested_by: str | None = None,
    ) -> Waiver:  # fmt: skip
        """Excuse the product with this key from the rule with this id, from now until `expires`.

        One that holds for the same product and rule is replaced. Whether there is such a product is not looked at, nor
        told. Raises `Forbidden` before it looks at anything; `InputError` for what is no key, no rule in force for the
        product, a rule of `NEVER_WAIVED`, a reason of fewer than `MIN_REASON` or more than `MAX_REASON` characters or
        not on one line, and an end that is past or more than `MAX_TIME` ahead; `PolicyUnavailable`,
        `StorageUnavailable`.
        """
        self._authorize(access, subject, key, rule, channel)
        _check_key(key)
        self._check_rule(rule, domain_of(key))
        reason, asker = _reason(reason), _name(requested_by)
        with self._changing:
            now = self._clock()
            _check_end(expires, now)
            id = secrets.token_hex(8)
            detail = {
                "change": "granted", "id": id, "key": key, "rule": rule, "reason": reason, "requested_by": asker,
                "expires_at": expires.astimezone(UTC).isoformat(),
            }  # fmt: skip
            self._commit(self._draft(subject, access, now, detail), self._take)
            return self._by_id[id]

    def withdraw(self, subject: Subject, access: Access, id: str, *, channel: str) -> Waiver:
        """End a waiver now. Who calls has made sure that the subject may see it.

        Raises `NotFound`, `Forbidden`, `Conflict` when it has ended already, `PolicyUnavailable`, `StorageUnavailable`.
        """
        found = self._by_id.get(id)
        if found is None:
            raise NotFound("there is no such waiver", remedy="Take its id from `fairmesh waiver list`")
        self._authorize(access, subject, found.key, found.rule, channel)
        with self._changing:
            now = self._clock()
            if not self._by_id[id].active(now):
                raise Conflict(f"the waiver of {found.rule} for {found.key} has ended already")
            self._commit(self._draft(subject, access, now, {"change": "withdrawn", "id": id}), self._take)
            return self._by_id[id]

    def _authorize(self, access: Access, subject: Subject, key: str, rule: str, channel: str) -> None:
        about = [_about(key, rule)]
        (decision,) = access.on_waivers(subject, Action.GOVERN, about, channel=channel, now=self._clock())
        if not decision.allowed:
            raise Forbidden(
                "waiving a rule needs the govern action on the waiver", decision, remedy="Ask the mesh's stewards"
            )

    def _check_rule(self, id: str, domain: str) -> None:
        rules = self._rules()
        rule = rules.rule(RULES + id)
        if rule is None or rule.domain not in (None, domain):
            raise InputError(
                f"{id[:_MAX_NAME]!r} is no rule that is in force for the domain {domain}",
                remedy=_instead(id, [rule.id for rule in rules.rules if rule.domain in (None, domain)]),
            )
        if id in NEVER_WAIVED:
            raise InputError(
                f"{id} cannot be waived: storage and access go by what it demands", remedy="Correct the document"
            )

    def _draft(self, subject: Subject, access: Access, now: datetime, detail: Mapping[str, str | None]) -> Draft:
        stated = {name: value for name, value in detail.items() if value is not None}
        return Draft(
            EntryKind.WAIVER, "", "", 0, b"{}", "application/json", b"", subject.id, now, self._rules().digest,
            access.policy_digest, stated,
        )  # fmt: skip

    # -- from the journal --

    def _take(self, entry: Entry) -> None:
        """Bring a journaled change into force: what is read afterwards has it."""
        draft, detail = entry.draft, entry.draft.detail
        if detail["change"] == "withdrawn":
            self._end(detail["id"], draft)
            return
        waiver = _granted(draft, detail, self._iri_base)
        before = self._by_home.get(waiver.home, ())
        # the new one first: whoever reads meanwhile finds one of the two, and of both the later
        self._by_id[waiver.id] = waiver
        self._by_home[waiver.home] = (*before, waiver.id)
        for other in before:
            if self._by_id[other].rule == waiver.rule and self._by_id[other].ended_at is None:
                self._end(other, draft)

    def _end(self, id: str, draft: Draft) -> None:
        self._by_id[id] = replace(self._by_id[id], ended_at=draft.at, ended_by=draft.actor)


def order(waiver: Waiver) -> tuple[str, str, datetime, str]:
    return waiver.key, waiver.rule, waiver.granted_at, waiver.id


def domain_of(key: str) -> str:
    """The domain a product with this key belongs to."""
    return key.partition(".")[0]


def _about(key: str, rule: str) -> tuple[str, str]:
    """What policy is asked about a waiver."""
    return domain_of(key), rule


def _granted(draft: Draft, detail: Mapping[str, Any], iri_base: str) -> Waiver:
    return Waiver(
        detail["id"], iri_base + detail["key"], detail["key"], detail["rule"], detail["reason"],
        detail.get("requested_by"), draft.actor, draft.at, datetime.fromisoformat(detail["expires_at"]),
    )  # fmt: skip


def _instead(id: str, rules: Sequence[str]) -> str:
    """What to name in place of something that is no rule: the rules that read most like it, else those of the level it
    is looked for on, else any."""
    waived = sorted(rule for rule in rules if rule not in NEVER_WAIVED)
    level = id.rpartition("/")[0] + "/"
    near = get_close_matches(id[:_MAX_NAME], waived, _NAMED) or [rule for rule in waived if rule.startswith(level)]
    near = near or waived
    named = f"Name one like {' or '.join(near[:_NAMED])}; " if near else ""
    return f"{named}`fairmesh rules show` lists them"


# -- what is refused --------------------------------------------------------------------------------------------------


def _check_key(key: str) -> None:
    if len(key) > MAX_KEY or not KEY.fullmatch(key):
        raise InputError(f"{key[:MAX_KEY]!r} cannot be the key of a product", remedy="Name one like sales.orders")


def _reason(text: str) -> str:
    said = text.strip()
    if not MIN_REASON <= len(said) <= MAX_REASON:
        raise InputError(
            f"a reason of {len(said):,} character{'' if len(said) == 1 else 's'}",
            remedy=f"Say in {MIN_REASON} to {MAX_REASON} characters why the rule is waived",
        )
    if not said.isprintable():
        raise InputError("a reason with line breaks or control characters", remedy="Say it on one line of plain text")
    return said


def _name(text: str | None) -> str | None:
    said = (text or "").strip()
    if len(said) > _MAX_NAME or not said.isprintable():
        raise InputError(
            "whoever asked for the waiver has no such id", remedy="Give the id of a subject, like sales-ci"
        )
    return said or None


def _check_end(expires: datetime, now: datetime) -> None:
    if expires.tzinfo is None:
        raise InputError("a waiver's end without a time zone", remedy="Give it in UTC, like 2027-01-01T00:00:00Z")
    end = f"a waiver until {expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if expires <= now:
        raise InputError(f"{end}, which is past", remedy="Let it end in the future")
    if expires - now > MAX_TIME:
        raise InputError(end, remedy=f"Let it end within {MAX_TIME.days} days; renew it then")
