"""Who may do what: the only way to a policy decision, and the scope that every read takes.

The policy is Rego (`policies/`). Two engines evaluate the same files: an embedded one in this process, and an OPA
server. Whatever goes wrong in either (down, late, malformed) is `PolicyUnavailable`, alike for every resource;
only the literal `true` of a well-formed answer allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import aiohttp
import numpy as np
import numpy.typing as npt

from fairmesh.catalog.decisionlog import DecisionLog
from fairmesh.catalog.errors import ConfigError, PolicyUnavailable
from fairmesh.catalog.model import (
    ANONYMOUS,
    CLASSIFICATIONS,
    FIELD_NAMES,
    FIELDS,
    AccessKey,
    Action,
    Decision,
    Need,
    Obligations,
    Subject,
    granted_under,
)
from fairmesh.catalog.policyfiles import (
    ENTRY,
    RULE,
    PolicySet,
)
from fairmesh.catalog.rego import UNDEFINED, RegoError, compile_policies

__all__ = [
    "Access", "EmbeddedEngine", "Engine", "Facts", "OpaEngine", "PolicySet", "Scope", "may_be_asked", "open_engine",
    "subject_json",
]  # fmt: skip

MAX_CHUNK_RESOURCES = 80
MAX_CHUNK_BYTES = 64 * 1024
_MAX_TEXT = 512
_MAX_LIST = 256
_MAX_SUBJECT_BYTES = 16 * 1024
_MAX_TEXTS = 20_000
_MAX_RESOURCE_BYTES = 8 * 1024
_MAX_KEPT_GRANTS = 16_000_000
"""Numbers of all scopes that are kept, 8 bytes each: those of 3,000 askers of 5,000 access keys."""

_log = logging.getLogger("fairmesh")


# -- engines -------------------------------------------------------------------------------------------------------


class Engine(Protocol):
    """Evaluates `data.fairmesh.access.decisions`; safe to call from any thread."""

    def evaluate(self, inputs: Sequence[str]) -> list[object]:
        """The parsed answer to each input (JSON text of at most `MAX_CHUNK_BYTES`), in order.

        Raises `PolicyUnavailable` unless every input was answered in time. The answers are not checked here. Without
        an input nothing is asked, but an engine that is known to be down or to hold other policies still raises.
        """
        ...

    def close(self) -> None: ...


def _unavailable(detail: str) -> PolicyUnavailable:
    """The one error a caller sees, whatever happened and whatever was asked; the detail is for the log."""
    _log.warning("no policy decision: %s", detail)
    refusal = PolicyUnavailable(
        "access policy cannot be evaluated at the moment",
        remedy="Try again; if it lasts, the operator finds the cause in the service's log.",
    )
    refusal.add_note(detail)
    return refusal


class EmbeddedEngine:
    """Rego in this process (`fairmesh.catalog.rego`), in the thread that asks.

    Each chunk gets `chunk_seconds`, all chunks of one call `scope_seconds`; other threads go on meanwhile.
    Raises `ConfigError` for a policy that does not compile or uses what is not allowed.
    """

    def __init__(self, policies: PolicySet, *, chunk_seconds: float = 2.0, scope_seconds: float = 3.0) -> None:
        self._chunk_seconds = chunk_seconds
        self._scope_seconds = scope_seconds
        self.program = compile_policies(policies)

    def evaluate(self, inputs: Sequence[str]) -> list[object]:
        end = time.monotonic() + self._scope_seconds
        return [self._one(text, end) for text in inputs]

    def close(self) -> None:
        pass

    def _one(self, text: str, end: float) -> object:
        try:
            answer = self.program.evaluate(text, seconds=min(self._chunk_seconds, end - time.monotonic()))
        except RegoError as error:
            raise _unavailable(f"the policy raised an error: {error}") from error
        if answer is UNDEFINED:
            raise _unavailable("the policy is undefined")
        return answer


_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_MODULES_BYTES = 32 * 1024 * 1024
_RECHECK_SECONDS = 5.0
_PARALLEL = 4


class OpaEngine:
    """A real OPA server at `url` (http or https, may have a path prefix), holding the same policy files.

    Each chunk gets `chunk_seconds`, all chunks of one call `scope_seconds`; a connection that cannot be made is tried
    once more within them; redirects are not followed. The server's modules of the `fairmesh` packages must be exactly
    those of `policies`: that is checked before the first decision and again every five seconds of use. Raises
    `ConfigError` for a URL or a policy that cannot be used. The server need not be up yet.
    """

    def __init__(
        self, url: str, policies: PolicySet, *, chunk_seconds: float = 0.3, scope_seconds: float = 3.0
    ) -> None:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ConfigError(f"not the URL of an OPA server: {url}", remedy="Example: http://127.0.0.1:8181")
        self.program = compile_policies(policies)  # what is refused here is refused for every engine
        self._url = url.rstrip("/")
        self._texts = sorted(body.decode() for body in policies.files.values())
        self._chunk_seconds = chunk_seconds
        self._scope_seconds = scope_seconds
        self._checked: float | None = None
        self._session: aiohttp.ClientSession | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="opa", daemon=True)
        self._thread.start()

    def evaluate(self, inputs: Sequence[str]) -> list[object]:
        if not inputs and self._just_checked():
            return []
        work = asyncio.run_coroutine_threadsafe(self._all(inputs), self._loop)
        try:
            return work.result(self._scope_seconds + 1.0)  # the deadline itself is kept on the loop
        except PolicyUnavailable:
            raise
        except (TimeoutError, FutureTimeout) as error:
            work.cancel()
            raise _unavailable("the OPA server did not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            raise _unavailable(f"the OPA server: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Have connections and thread ended, without waiting for it: the garbage collector closes an engine in
        whatever thread it runs, which may be the engine's own."""
        with contextlib.suppress(RuntimeError):  # closed before
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _all(self, inputs: Sequence[str]) -> list[object]:
        async with asyncio.timeout(self._scope_seconds):
            await self._same_policies()
            lanes = asyncio.Semaphore(_PARALLEL)
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._one(text, lanes)) for text in inputs]
            except* Exception as errors:
                raise _first(errors) from errors
            return [task.result() for task in tasks]

    async def _one(self, text: str, lanes: asyncio.Semaphore) -> object:
        async with lanes, asyncio.timeout(self._chunk_seconds):
            body = b'{"input":' + text.encode("utf-8") + b"}"
            answer = await self._request(
                "POST", f"/v1/data/{ENTRY}?strict-builtin-errors=true", body, _MAX_ANSWER_BYTES
            )
        if set(answer) - {"result", "decision_id", "metrics", "warning"} or "result" not in answer:
            raise _unavailable("the OPA server's answer has no result: it does not hold the policy")
        return answer["result"]

    def _just_checked(self) -> bool:
        return self._checked is not None and time.monotonic() - self._checked < _RECHECK_SECONDS

    async def _same_policies(self) -> None:
        if self._just_checked():
            return
        answer = await self._request("GET", "/v1/policies", None, _MAX_MODULES_BYTES)
        try:
            texts = sorted(
                module["raw"]
                for module in answer["result"]
                if [part["value"] for part in module["ast"]["package"]["path"]][:2] == ["data", "fairmesh"]
            )
        except (KeyError, TypeError) as error:
            raise _unavailable("the OPA server does not list its policies") from error
        if texts != self._texts:
            raise _unavailable("the OPA server's fairmesh packages are not this service's policy files")
        self._checked = time.monotonic()

    async def _request(self, method: str, path: str, body: bytes | None, limit: int) -> dict[str, Any]:
        try:
            return await self._exchange(method, path, body, limit)
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError):
            return await self._exchange(method, path, body, limit)

    async def _exchange(self, method: str, path: str, body: bytes | None, limit: int) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Content-Type": "application/json"})
        async with self._session.request(method, self._url + path, data=body, allow_redirects=False) as response:
            if response.status != 200:
                raise _unavailable(f"the OPA server answered {response.status}")
            received = bytearray()
            async for piece in response.content.iter_chunked(65536):
                received += piece
                if len(received) > limit:
                    raise _unavailable("the OPA server's answer is too long")
        answer = json.loads(received.decode("utf-8"))
        if not isinstance(answer, dict):
            raise _unavailable("the OPA server's answer is not an object")
        return answer


def open_engine(policies: PolicySet, opa_url: str | None) -> Engine:
    """The OPA server at `opa_url`, or, without one, the embedded engine. Raises `ConfigError`."""
    return EmbeddedEngine(policies) if opa_url is None else OpaEngine(opa_url, policies)


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error


# -- questions -----------------------------------------------------------------------------------------------------


_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")


def _clean(value: object) -> bool:
    """A string both engines read alike: NFC, no control character, no lone surrogate, of bounded length."""
    return (
        isinstance(value, str)
        and len(value) <= _MAX_TEXT
        and (
            (value.isascii() and value.isprintable())  # most are: the rest need not be asked
            or (not _CONTROL.search(value) and unicodedata.is_normalized("NFC", value))
        )
    )


def _clean_list(values: object) -> bool:
    return isinstance(values, tuple) and len(values) <= _MAX_LIST and all(_clean(value) for value in values)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def subject_json(subject: Subject) -> str | None:
    """The subject as the policy sees it; None when it must not reach an engine."""
    texts = (subject.id, subject.kind, subject.clearance, subject.purpose or "")
    if not all(map(_clean, texts)) or not all(map(_clean_list, (subject.roles, subject.teams, subject.domains))):
        return None
    facts = {
        "id": subject.id, "kind": subject.kind, "roles": sorted(set(subject.roles)),
        "teams": sorted(set(subject.teams)), "domains": sorted(set(subject.domains)),
        "clearance": subject.clearance, "purpose": subject.purpose or "",
    }  # fmt: skip
    text = _json(facts)
    return text if len(text.encode()) <= _MAX_SUBJECT_BYTES else None


@dataclass(frozen=True, slots=True)
class Facts:
    """A product reduced to what the policy may look at: products with equal facts share one decision.

    `is_owner` and `is_member` say how the subject who asks stands to it; `type` is product, dataset, column, ruleset,
    policy or waiver.
    """

    domain: str
    classification: str
    tags: tuple[str, ...]
    status: str
    is_owner: bool
    is_member: bool
    type: str = "product"

    def json(self) -> str:
        facts = {
            "type": self.type, "domain": self.domain, "classification": self.classification, "tags": self.tags,
            "status": self.status, "is_owner": self.is_owner, "is_member": self.is_member,
        }  # fmt: skip
        return _json(facts)


def _facts(key: AccessKey, teams: frozenset[str]) -> Facts | None:
    """None when the key must not reach an engine."""
    if not _clean(key.owner) or not _clean_list(key.members):
        return None
    is_member = any(_is_of(member, teams) for member in key.members)
    return _askable(Facts(key.domain, key.classification, key.tags, key.status, _is_of(key.owner, teams), is_member))


def _askable(facts: Facts) -> Facts | None:
    """None when the facts must not reach an engine."""
    try:
        return None if _text(facts) is None else facts
    except TypeError:  # a list where a word should be
        return None


@lru_cache(maxsize=_MAX_TEXTS)
def _text(facts: Facts) -> str | None:
    """The facts as an engine gets them; None when they must not reach one. Kept, as every subject is asked about the
    same ones."""
    if not all(map(_clean, (facts.domain, facts.classification, facts.status, facts.type))):
        return None
    if not _clean_list(facts.tags):
        return None
    text = facts.json()
    return text if len(text.encode()) <= _MAX_RESOURCE_BYTES else None


def may_be_asked(key: AccessKey) -> bool:
    """Whether a product with this key reaches the policy; one that does not is denied to everyone."""
    return _facts(key, frozenset()) is not None


FILES = ("policy", "ruleset")
"""What is governed by files: the types of resources that stand for them."""
_GOVERNED = Facts("", CLASSIFICATIONS[-1], (), "", False, False, "ruleset")
_BUNDLE = Facts("", CLASSIFICATIONS[-1], (), "", False, False, "policy")


def _teams(subject: Subject) -> frozenset[str]:
    return frozenset(subject.teams) if _clean_list(subject.teams) else frozenset()


def _is_of(team: str, teams: frozenset[str]) -> bool:
    """`team` is a key or an IRI whose last segment is the key."""
    return bool(team) and (team in teams or team.rstrip("/").rpartition("/")[2] in teams)


def _minute(now: datetime) -> int:
    """Nanoseconds since 1970, rounded down to the minute."""
    if now.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return int(now.timestamp()) // 60 * 60 * 1_000_000_000


# -- answers -------------------------------------------------------------------------------------------------------


_NO_OBLIGATIONS = Obligations()


@dataclass(frozen=True, slots=True)
class _Verdict:
    allowed: bool
    reasons: tuple[str, ...]
    obligations: Obligations = _NO_OBLIGATIONS


_MALFORMED = _Verdict(False, ("malformed-input",))
_UNANSWERED = _Verdict(False, ("no-decision",))
_UNSUPPORTED = _Verdict(False, ("unsupported-obligation",))
_FAILED = _Verdict(False, ("domain-policy-failed",))
_SUSPENDED_SECONDS = 60.0
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def _verdict(answer: object) -> _Verdict:
    """One resource's answer. Raises `PolicyUnavailable` when it is not a decision at all."""
    if not isinstance(answer, dict) or set(answer) != {"allow", "reasons", "obligations"}:
        raise _unavailable("a decision has not the agreed fields")
    allow, reasons, obligations = answer["allow"], answer["reasons"], answer["obligations"]
    if not isinstance(allow, bool) or not isinstance(obligations, dict) or not isinstance(reasons, list):
        raise _unavailable("a decision's fields have not the agreed types")
    if not all(isinstance(code, str) and len(code) <= 64 and _CODE.fullmatch(code) for code in reasons):
        raise _unavailable("a decision's reasons are not codes")
    codes = tuple(reasons)
    if allow is not True:
        return _Verdict(False, codes)
    demanded = _obligations(obligations)
    return _UNSUPPORTED if demanded is None else _Verdict(True, codes, demanded)


_FIELD_OF = {name: name for name in FIELD_NAMES} | {iri: name for name, iri in FIELD_NAMES.items()}


def _obligations(stated: Mapping[str, object]) -> Obligations | None:
    """None when something is demanded that cannot be done."""
    masked, hidden, rows = stated.get("mask_columns", []), stated.get("hide_fields", []), stated.get("row_filter")
    if stated.keys() - {"mask_columns", "hide_fields", "row_filter"}:
        return None
    if not isinstance(masked, list) or not all(isinstance(word, str) and word in CLASSIFICATIONS for word in masked):
        return None
    if not isinstance(hidden, list) or not all(isinstance(name, str) and name in _FIELD_OF for name in hidden):
        return None
    if rows is not None and not (_clean(rows) and rows):
        return None
    return Obligations(
        tuple(word for word in CLASSIFICATIONS if word in masked),
        tuple(sorted({_FIELD_OF[name] for name in hidden})),
        rows if isinstance(rows, str) else None,
    )


def _verdicts(answer: object, count: int) -> list[_Verdict]:
    ids = [f"k{i}" for i in range(count)]
    if not isinstance(answer, dict) or not set(answer) <= set(ids):
        raise _unavailable("the answer is not a decision per resource")
    return [_verdict(answer[id]) if id in answer else _UNANSWERED for id in ids]


# -- scope ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What one subject may see, by access-key id (the position in the list of keys it was made for).

    `grants[id]` holds the granted bits of `Need` and `FIELDS`; 0 is nothing at all. Read-only. DISCOVER: discover or
    read_metadata is allowed; READ: read_metadata is. The other bits are what its obligations leave; who may discover
    only has the bits of fields that are not hidden from the discoverer.
    """

    grants: npt.NDArray[np.int64]
    policy_revision: str
    subject: Subject


_NO_GRANTS: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
_ANY_FIELD = sum(FIELDS.values())


def _row(read: _Verdict, discover: _Verdict) -> int:
    if read.allowed:
        return granted_under(read.obligations)
    return Need.DISCOVER | granted_under(discover.obligations) & _ANY_FIELD if discover.allowed else 0


@dataclass(frozen=True, slots=True)
class _Input:
    """What an engine is asked at once: the text, about how many resources, and the domain whose policy it involves."""

    group: str
    text: str
    size: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What is decided for one asker: the scope of a list of keys. Replaced, never changed."""

    keys: list[AccessKey]
    scope: Scope


class Access:
    """Decisions of one policy set by one engine. Safe to call from any thread; a new policy set needs a new one.

    `program` is the policy set compiled, whichever engine decides: what it reads can be asked of it. `strict` is for
    trying a policy: then a domain's own policy that fails is a failure like any other.
    """

    def __init__(
        self, engine: Engine, policies: PolicySet, log: DecisionLog | None = None, *, strict: bool = False
    ) -> None:
        self.policies = policies
        self.policy_digest = policies.digest
        self._engine = engine
        self._own: Engine | None = None if isinstance(engine, OpaEngine) else engine
        self._own_lock = threading.Lock()
        self._log = log
        self.program = (
            engine.program if isinstance(engine, EmbeddedEngine | OpaEngine) else compile_policies(policies, ())
        )
        self._reads_time = self.program.may_read("context", "now_ns")
        paths = [path.split("/") for path in policies.files]
        self._domains = frozenset(parts[1] for parts in paths if parts[0] == "domains" and len(parts) > 2)
        self._strict = strict
        self._suspended: dict[str, float] = {}
        self._known: OrderedDict[tuple[str, str, int], _Known] = OrderedDict()
        self._kept = 0
        self._keys: list[AccessKey] = []
        self._lock = threading.Lock()

    def decide(self, subject: Subject, action: Action, key: AccessKey, *, channel: str, now: datetime) -> Decision:
        """May `subject` do `action` to a product with this key? Raises `PolicyUnavailable`.

        `channel` is graphql, http, cli or bundle; `now` has a time zone.
        """
        return self.decide_many(subject, [(action, key)], channel=channel, now=now)[0]

    def govern(self, subject: Subject, *, channel: str, now: datetime) -> Decision:
        """May `subject` change rule sets and policies, and ask for others? Raises `PolicyUnavailable`."""
        return self._decide(subject, [(Action.GOVERN, _GOVERNED)], channel, now)[0]

    def bundle(self, subject: Subject, *, now: datetime) -> Decision:
        """May `subject` have the bundle for OPA servers, which holds every policy and the facts of every product?

        Always decided in process: an OPA server that decides for the mesh may be waiting for this very bundle.
        Raises `PolicyUnavailable`.
        """
        with self._own_lock:
            if self._own is None:
                self._own = EmbeddedEngine(self.policies)
        return self._decide(subject, [(Action.READ_METADATA, _BUNDLE)], "bundle", now, self._own)[0]

    def on_files(
        self, subject: Subject, action: Action, kind: str, domain: str, *, channel: str, now: datetime
    ) -> Decision:
        """May `subject` do `action` to the files of this kind, one of `FILES`, of a domain (key; "": to all)?

        Raises `PolicyUnavailable`.
        """
        facts = replace(_GOVERNED, type=kind, domain=domain)
        return self.decide_facts(subject, action, [facts], channel=channel, now=now)[0]

    def on_waivers(
        self, subject: Subject, action: Action, about: Sequence[tuple[str, str]], *, channel: str, now: datetime
    ) -> list[Decision]:
        """May `subject` do `action` to waivers for products of a domain (key) of the rule with an id, for each of these
        pairs? Nothing else of a product is looked at, as it need not exist. Raises `PolicyUnavailable`."""
        facts = [replace(_GOVERNED, type="waiver", domain=domain, tags=(rule,)) for domain, rule in about]
        return self.decide_facts(subject, action, facts, channel=channel, now=now)

    def probe(self, now: datetime) -> None:
        """Ask the engine one question, past every cache. Raises `PolicyUnavailable` when it cannot answer."""
        self._ask(ANONYMOUS, Action.DISCOVER, [_GOVERNED], "http", now, recorded=False)

    def decide_many(
        self, subject: Subject, questions: Sequence[tuple[Action, AccessKey]], *, channel: str, now: datetime
    ) -> list[Decision]:
        """`decide` for many products, in order. Raises `PolicyUnavailable` for all when one cannot be had."""
        teams = _teams(subject)
        return self._decide(subject, [(action, _facts(key, teams)) for action, key in questions], channel, now)

    def decide_facts(
        self, subject: Subject, action: Action, facts: Sequence[Facts], *, channel: str, now: datetime
    ) -> list[Decision]:
        """`decide` for things that need not exist, in order. Raises `PolicyUnavailable`."""
        return self._decide(subject, [(action, _askable(fact)) for fact in facts], channel, now)

    def question(self, subject: Subject, action: Action, key: AccessKey, *, channel: str, now: datetime) -> str | None:
        """What an engine is asked about one product, `k0`, as JSON; None for what is denied without asking."""
        facts, frame = _facts(key, _teams(subject)), _frame(subject, action, channel, now)
        return None if facts is None or frame is None else f'{frame}"k0":{facts.json()}}}}}'

    def allows(self, question: str, count: int) -> list[bool]:
        """Whether each of the resources `k0`, `k1`, ... of a question that was recorded (its JSON text) is allowed.
        Nothing is recorded. Raises `PolicyUnavailable`."""
        (answer,) = self._engine.evaluate([question])
        return [verdict.allowed for verdict in _verdicts(answer, count)]

    def scope(self, subject: Subject, keys: Sequence[AccessKey], *, channel: str, now: datetime) -> Scope:
        """What `subject` may see of products with these access keys. Raises `PolicyUnavailable`.

        The policy runs once per distinct set of facts; what was decided for this subject, channel, purpose and (when
        the policy reads time) minute is kept, so that a list that grew costs only what is new.
        """
        asker = hashlib.sha256(repr(subject).encode("utf-8", "backslashreplace")).hexdigest()
        self._engine.evaluate(())  # what was decided before holds only while the engine stands by it
        # a domain that failed may have been slow for once: what was decided then holds for the minute
        place = (asker, channel, _minute(now) if self._reads_time or self._suspended else 0)
        with self._lock:
            known = self._known.get(place) or _Known([], Scope(_NO_GRANTS, self.policy_digest, subject))
            if self._keys != keys:
                self._keys = list(keys)
            wanted = self._keys
        if wanted is not known.keys and wanted != known.keys:
            start = len(known.keys) if wanted[: len(known.keys)] == known.keys else 0
            known = self._extend(known, start, wanted, channel, now)
        with self._lock:
            self._keep(place, known)
        return known.scope

    def close(self) -> None:
        self._engine.close()
        if self._own is not None and self._own is not self._engine:
            self._own.close()

    def _keep(self, place: tuple[str, str, int], known: _Known) -> None:
        """Remember it as the latest used; what was not used for longest goes when there is too much."""
        replaced = self._known.pop(place, None)
        self._known[place] = known
        self._kept += len(known.keys) - (0 if replaced is None else len(replaced.keys))
        while self._kept > _MAX_KEPT_GRANTS and len(self._known) > 1:
            self._kept -= len(self._known.popitem(last=False)[1].keys)

    def _extend(self, known: _Known, start: int, keys: list[AccessKey], channel: str, now: datetime) -> _Known:
        """`known` for `keys`, of which the first `start` are those it was made for."""
        subject = known.scope.subject
        teams = _teams(subject)
        facts = [_facts(key, teams) for key in keys[start:]]
        new = list(dict.fromkeys(facts))
        rows = dict(zip(new, self._rows(subject, new, channel, now), strict=True))
        added = np.array([rows[fact] for fact in facts], dtype=np.int64)
        grants = np.concatenate([known.scope.grants[:start], added])
        grants.flags.writeable = False
        return _Known(keys, Scope(grants, self.policy_digest, subject))

    def _rows(self, subject: Subject, facts: Sequence[Facts | None], channel: str, now: datetime) -> list[int]:
        read = self._ask(subject, Action.READ_METADATA, facts, channel, now)
        unread = [fact for fact, verdict in zip(facts, read, strict=True) if not verdict.allowed]
        discover = dict(zip(unread, self._ask(subject, Action.DISCOVER, unread, channel, now), strict=True))
        return [_row(verdict, discover.get(fact, verdict)) for fact, verdict in zip(facts, read, strict=True)]

    def _decide(
        self, subject: Subject, questions: Sequence[tuple[Action, Facts | None]], channel: str, now: datetime,
        engine: Engine | None = None,
    ) -> list[Decision]:  # fmt: skip
        found: dict[tuple[Action, Facts | None], _Verdict] = {}
        for action in dict.fromkeys(action for action, _ in questions):
            facts = list(dict.fromkeys(fact for other, fact in questions if other == action))
            answers = self._ask(subject, action, facts, channel, now, engine)
            found |= {(action, fact): verdict for fact, verdict in zip(facts, answers, strict=True)}
        return [self._decision(action, found[action, fact]) for action, fact in questions]

    def _decision(self, action: Action, verdict: _Verdict) -> Decision:
        return Decision(action, verdict.allowed, verdict.reasons, verdict.obligations, RULE, self.policy_digest)

    def _ask(
        self, subject: Subject, action: Action, facts: Sequence[Facts | None], channel: str, now: datetime,
        engine: Engine | None = None, *, recorded: bool = True,
    ) -> list[_Verdict]:  # fmt: skip
        """One verdict per element of `facts`. What must not reach an engine is denied without asking it."""
        frame = _frame(subject, action, channel, now)
        verdicts = [_MALFORMED] * len(facts)
        texts = [None if fact is None else _text(fact) for fact in facts]
        askable = [(index, text) for index, text in enumerate(texts) if text is not None]
        if frame is None or not askable:
            return verdicts
        groups: dict[str, list[tuple[int, str]]] = {}
        for index, text in askable:
            groups.setdefault(self._group(facts[index]), []).append((index, text))
        room = MAX_CHUNK_BYTES - len(frame.encode()) - 2
        chunks = [(group, chunk) for group, listed in groups.items() for chunk in _chunks(listed, room)]
        inputs = [
            _Input(group, frame + ",".join(f'"k{i}":{text}' for i, (_, text) in enumerate(chunk)) + "}}", len(chunk))
            for group, chunk in chunks
        ]
        log = self._log if recorded else None
        try:
            found = self._evaluate(engine or self._engine, inputs, now, log)
        except PolicyUnavailable:
            isolated = isinstance(engine or self._engine, EmbeddedEngine) and not self._strict
            if not isolated or not groups.keys() & self._domains:
                raise
            found = [self._apart(input, now, log) for input in inputs]
        for (_, chunk), answers in zip(chunks, found, strict=True):
            for (index, _), verdict in zip(chunk, answers, strict=True):
                verdicts[index] = verdict
        return verdicts

    def _group(self, facts: Facts | None) -> str:
        """The domain whose own policy is asked about this; what no domain's policy is asked about goes together."""
        if facts is None or facts.type in (*FILES, "waiver") or facts.domain not in self._domains:
            return ""
        return facts.domain

    def _apart(self, input: _Input, now: datetime, log: DecisionLog | None) -> list[_Verdict]:
        """The verdicts on one chunk when something failed: a domain whose policy fails loses its own products only.

        It is not asked again for `_SUSPENDED_SECONDS`, as it may be slow to fail.
        """
        refused = [_FAILED] * input.size
        if self._suspended.get(input.group, 0.0) > time.monotonic():
            return refused
        try:
            return self._evaluate(self._engine, [input], now, log)[0]
        except PolicyUnavailable:
            if input.group not in self._domains:
                raise
            below = f"domains/{input.group}/"
            others = {path: body for path, body in self.policies.files.items() if not path.startswith(below)}
            self._evaluate(EmbeddedEngine(PolicySet.from_files(others)), [input], now, None)  # else it is not its fault
            _log.error("the policy of the domain %s fails: its products are denied to everyone", input.group)
            self._suspended[input.group] = time.monotonic() + _SUSPENDED_SECONDS
            return refused

    def _evaluate(
        self, engine: Engine, inputs: Sequence[_Input], now: datetime, log: DecisionLog | None
    ) -> list[list[_Verdict]]:
        """The verdicts on each input's resources. What was asked is recorded, however it ended."""
        answers: Sequence[object] = [None] * len(inputs)
        error: str | None = "the policy engine failed"
        try:
            answers = engine.evaluate([input.text for input in inputs])
            found = [_verdicts(answer, input.size) for answer, input in zip(answers, inputs, strict=True)]
            error = None
            return found
        except PolicyUnavailable as refusal:
            error = " ".join(getattr(refusal, "__notes__", [refusal.message]))
            raise
        finally:
            if log is not None:
                for input, answer in zip(inputs, answers, strict=False):
                    log.record(input.text, answer, revision=self.policy_digest, at=now, error=error)


def _frame(subject: Subject, action: Action, channel: str, now: datetime) -> str | None:
    """The text of a question up to its resources; None when the subject, action or channel must not reach an engine."""
    who = subject_json(subject)
    if who is None or not _clean(channel) or not _clean(action):
        return None
    context = _json({"now_ns": _minute(now), "channel": channel})
    return f'{{"v":1,"subject":{who},"action":{_json(action)},"context":{context},"resources":{{'


def _chunks(resources: Sequence[tuple[int, str]], room: int) -> Iterator[list[tuple[int, str]]]:
    """Groups of at most `MAX_CHUNK_RESOURCES` that stay within `room` bytes with their ids."""
    chunk: list[tuple[int, str]] = []
    used = 0
    for index, text in resources:
        size = len(text.encode()) + len('"k00":,')
        if chunk and (len(chunk) == MAX_CHUNK_RESOURCES or used + size > room):
            yield chunk
            chunk, used = [], 0
        chunk.append((index, text))
        used += size
    if chunk:
        yield chunk
