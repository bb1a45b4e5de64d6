"""Access decisions in batches, close to the policy's own input: `POST /v1/decisions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from fairmesh.api.holders import Holder, decide, holder, of_product
from fairmesh.api.questions import read_object, read_subject, read_text, read_texts, wrong
from fairmesh.api.web import CHANNEL, Service, json_response, media_type, options, read_body
from fairmesh.catalog import errors
from fairmesh.catalog.access import Access, Facts
from fairmesh.catalog.model import Action, Decision, Obligations, Subject
from fairmesh.catalog.view import View

MAX_BYTES = 64 * 1024
MAX_DEPTH = 16
CHANNELS = ("graphql", "http", "cli", "bundle")
_LAST_NS = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 10**9


@dataclass(frozen=True, slots=True)
class _Asked:
    """A body that can be answered. `resources` are facts, or None where the id is to be looked up."""

    action: Action
    resources: Mapping[str, Facts | None]
    subject: Subject | None
    channel: str
    now: datetime | None

    def is_about_another(self, caller: Subject) -> bool:
        """Whether the question is one for those who govern: another subject, channel or moment, or made-up facts."""
        other = self.subject is not None and replace(self.subject, purpose=caller.purpose) != caller
        made_up = any(facts is not None for facts in self.resources.values())
        return other or made_up or self.channel != CHANNEL or self.now is not None


class DecisionEndpoint:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._catalog = service.catalog

    async def decide(self, request: Request) -> Response:
        """`{"<id>": {allow, reasons, obligations}}` for each resource of the body, under the policy the header names.

        A resource that the caller may not know of is denied in the words of one that does not exist. Questions about
        another subject, another channel or moment, or made-up facts need the govern action (403).
        """
        options(request)
        if media_type(request) != "application/json":
            raise errors.UnsupportedMedia("the question is not declared as JSON", remedy="Send application/json")
        caller = await run_in_threadpool(self._service.subject, request)
        asked = _read(await read_body(request, MAX_BYTES))
        return await run_in_threadpool(self._answer, caller, asked)

    def _answer(self, caller: Subject, asked: _Asked) -> Response:
        access, now = self._catalog.access, asked.now or self._catalog.clock()
        if asked.is_about_another(caller):
            decision = access.govern(caller, channel=CHANNEL, now=self._catalog.clock())
            if not decision.allowed:
                raise errors.Forbidden(
                    "asking for another subject, channel or moment, or about made-up facts, needs the govern action",
                    decision, remedy="Ask for yourself, about what is registered",
                )  # fmt: skip
        elif asked.subject is not None:
            caller = asked.subject  # the caller, with a purpose
        found = self._find(caller, [id for id, facts in asked.resources.items() if facts is None], access)
        decisions = _decide(access, asked, asked.subject or caller, found, now)
        return json_response(
            {id: _json(decisions[id]) for id in asked.resources},
            headers={"Fairmesh-Policy-Revision": access.policy_digest},
        )

    def _find(self, caller: Subject, ids: Sequence[str], access: Access) -> dict[str, Holder]:
        if not ids:
            return {}
        with self._catalog.view(caller, channel=CHANNEL, access=access) as view:
            found = {id: self._seen(view, id) for id in ids}
        return {id: place for id, place in found.items() if place is not None}

    def _seen(self, view: View, id: str) -> Holder | None:
        """What a key or an IRI of a product, dataset or column stands for; None when the caller sees none of these."""
        registry = self._catalog.registry
        if ":" not in id:
            info = view.product(key=id)
            return None if info is None else of_product(registry, info)
        found = holder(registry, view, id)
        is_known = found is None or not found.is_part or view.column(id) or view.dataset(id)
        return found if is_known else None


def _decide(
    access: Access, asked: _Asked, subject: Subject, found: Mapping[str, Holder], now: datetime
) -> dict[str, Decision]:
    decisions = {
        id: Decision(asked.action, False, ("no-decision",), Obligations(), "", access.policy_digest)
        for id in asked.resources
    }
    answers = decide(access, subject, asked.action, list(found.values()), channel=asked.channel, now=now)
    decisions |= dict(zip(found, answers, strict=True))
    made_up = {id: facts for id, facts in asked.resources.items() if facts is not None}
    answers = access.decide_facts(subject, asked.action, list(made_up.values()), channel=asked.channel, now=now)
    return decisions | dict(zip(made_up, answers, strict=True))


def _json(decision: Decision) -> dict[str, Any]:
    demands = decision.obligations if decision.allowed else Obligations()
    return {
        "allow": decision.allowed,
        "reasons": decision.reasons,
        "obligations": {
            "mask_columns": demands.mask_columns,
            "hide_fields": demands.hide_fields,
            "row_filter": demands.row_filter,
        },
    }


# -- the body ---------------------------------------------------------------------------------------------------------


def _read(body: bytes) -> _Asked:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.ParseError(
            f"the body is not JSON: {error.msg}", line=error.lineno, column=error.colno, remedy="Correct the JSON"
        ) from None
    _check_depth(asked)
    fields = read_object(asked, "the body", required=("v", "action", "resources"), optional=("subject", "context"))
    if fields["v"] != 1 or isinstance(fields["v"], bool):
        raise wrong("v", "1")
    action = read_text(fields["action"], "action")
    if action not in list(Action):
        raise errors.InputError(f"unknown action {action[:80]!r}", remedy=f"Known: {', '.join(Action)}")
    resources = fields["resources"]
    if not isinstance(resources, dict):
        raise wrong("resources", "an object: id -> null, or facts")
    channel, now = _context(fields.get("context", {}))
    return _Asked(
        Action(action),
        {id: _facts(facts, f"resource {id[:80]!r}") for id, facts in resources.items()},
        read_subject(fields["subject"]) if fields.get("subject") is not None else None,
        channel,
        now,
    )


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise errors.TooLarge(f"the body is nested more than {MAX_DEPTH} deep", remedy="Send a flat question")


def _inside(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _facts(value: object, where: str) -> Facts | None:
    """None when there are none: the id is to be looked up."""
    if value is None or value == {}:
        return None
    known = ("type", "tags", "status", "is_owner", "is_member")
    fields = read_object(value, where, required=("domain", "classification"), optional=known)
    for name in ("is_owner", "is_member"):
        if not isinstance(fields.get(name, False), bool):
            raise wrong(f"{name} of {where}", "true or false")
    return Facts(
        read_text(fields["domain"], f"domain of {where}"),
        read_text(fields["classification"], f"classification of {where}"),
        read_texts(fields.get("tags", []), f"tags of {where}"),
        read_text(fields.get("status", ""), f"status of {where}"),
        fields.get("is_owner", False),
        fields.get("is_member", False),
        read_text(fields.get("type", "product"), f"type of {where}"),
    )


def _context(value: object) -> tuple[str, datetime | None]:
    fields = read_object(value, "context", required=(), optional=("channel", "now_ns"))
    channel, now = fields.get("channel", CHANNEL), fields.get("now_ns")
    if channel not in CHANNELS:
        raise wrong("channel of context", " or ".join(CHANNELS))
    if now is None:
        return channel, None
    if not isinstance(now, int) or isinstance(now, bool) or not 0 <= now <= _LAST_NS:
        raise wrong("now_ns of context", f"a whole number from 0 to {_LAST_NS}")
    return channel, datetime.fromtimestamp(now // 10**9, UTC)
