"""`fairmesh waiver ...`: excusing a product from a rule for a time, as who may do that; and what is excused."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import Any

from fairmesh.api.client import Client, Refused
from fairmesh.api.commands import Commands, add_reader, add_text_or_json, command, print_found, reader
from fairmesh.api.output import table
from fairmesh.api.rules_reads import domain_named
from fairmesh.api.wording import moment_text

_WAIVER = """
fragment Shown on Waiver {
  id key ruleId reason requestedBy approvedBy grantedAt expiresAt endedAt endedBy active
}
fragment Failures on UserError {
  code message ... on Forbidden { decision { reasons } }
}
"""
_LIST = """
query Waivers($domain: String, $active: Boolean, $after: String) {
  waivers(domain: $domain, active: $active, first: 200, after: $after) {
    nodes { ...Shown } pageInfo { hasNextPage endCursor }
  }
}
""" + _WAIVER.split("fragment Failures", maxsplit=1)[0]
_GRANT = (
    """
mutation Grant($input: GrantWaiverInput!) {
  grantWaiver(input: $input) { waiver { ...Shown product { iri } } errors { ...Failures } }
}
"""
    + _WAIVER
)
_WITHDRAW = (
    """
mutation Withdraw($input: WithdrawWaiverInput!) {
  withdrawWaiver(input: $input) { waiver { ...Shown } errors { ...Failures } }
}
"""
    + _WAIVER
)
_STATUS = {"FORBIDDEN": 403, "CONFLICT": 409, "NOT_FOUND": 404}
"""The HTTP status that an expected failure stands for; any other is 400."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    parser = commands.add_parser("waiver", help="excuse a product from a rule for a time", allow_abbrev=False)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    grant = command(
        actions, "grant", _grant, "excuse a product from a rule",
        "Excuse a product from a rule for a time. The product need not be registered yet. A waiver that holds for the\n"
        "same product and rule is replaced. Stewards may, unless policy says otherwise; the domain's producers never.",
    )  # fmt: skip
    grant.add_argument("key", metavar="KEY", help="the product's key")
    grant.add_argument("rule", metavar="RULE", help="the rule's id, such as core/12")
    grant.add_argument("--reason", required=True, metavar="TEXT", help="why: 10 to 500 characters")
    grant.add_argument(
        "--until", required=True, metavar="DATE", type=_moment,
        help="from then on the rule gates again: 2027-01-01 (its beginning, UTC) or 2027-01-01T12:00:00Z",
    )  # fmt: skip
    grant.add_argument("--for", dest="requested_by", metavar="SUBJECT", help="who asked for it; may always see it")
    listed = command(
        actions, "list", _list, "which products are excused from which rules",
        "The waivers that hold, of the products you may read and those you may give. --all adds those that ended.",
    )  # fmt: skip
    listed.add_argument("--domain", metavar="D", help="of products of this domain: its key, label or IRI")
    listed.add_argument("--all", action="store_true", help="also those that expired, were withdrawn or replaced")
    withdraw = command(actions, "withdraw", _withdraw, "end a waiver now")
    withdraw.add_argument("id", metavar="ID", help="as `waiver list` shows it")
    for parser in (grant, listed, withdraw):
        add_text_or_json(parser)
        add_reader(parser)


def _moment(text: str) -> str:
    """A point in time, as GraphQL reads it; a date stands for its beginning, in UTC."""
    with suppress(ValueError):
        if len(text) == len("2027-01-01"):
            return datetime.combine(date.fromisoformat(text), time.min, UTC).isoformat()
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.isoformat()
    raise argparse.ArgumentTypeError(f"{text!r} is neither a date nor a time with its zone")


def _grant(options: argparse.Namespace) -> int:
    asked = {
        "key": options.key, "rule": options.rule, "reason": options.reason, "expiresAt": options.until,
        "requestedBy": options.requested_by,
    }  # fmt: skip
    found = _changed(reader(options), _GRANT, "grantWaiver", asked)
    return print_found(found, _granted_lines, options.format)


def _withdraw(options: argparse.Namespace) -> int:
    found = _changed(reader(options), _WITHDRAW, "withdrawWaiver", {"id": options.id})
    return print_found(found, _withdrawn_lines, options.format)


def _changed(client: Client, mutation: str, name: str, asked: Mapping[str, object]) -> Mapping[str, Any]:
    answer = client.graphql(mutation, {"input": asked})[name]
    for error in answer["errors"]:
        code = str(error["code"])
        reasons = (error.get("decision") or {}).get("reasons") or ()
        detail = error["message"] + (f" ({', '.join(reasons)})" if reasons else "")
        if code == "FORBIDDEN" and client.anonymous:
            detail += ". There is no token: set FAIRMESH_TOKEN"
        raise Refused(_STATUS.get(code, 400), {"detail": detail, "code": code.lower().replace("_", "-")})
    found: Mapping[str, Any] = answer["waiver"]
    return found


def _list(options: argparse.Namespace) -> int:
    client = reader(options)
    found = _every(client, options.domain, options.all)
    if not found and options.domain is not None:  # another name for it, or no domain: waivers go by its key
        key = domain_named(client, options.domain)[1]
        found = _every(client, key, options.all) if key != options.domain else found
    return print_found({"waivers": found}, _list_lines, options.format)


def _every(client: Client, domain: str | None, ended: bool) -> list[Mapping[str, Any]]:
    """The waivers of one domain, by its key, or of all; with those that ended, too."""
    asked: dict[str, object] = {"domain": domain, "active": None if ended else True}
    found: list[Mapping[str, Any]] = []
    more = True
    while more:
        answer = client.graphql(_LIST, asked)["waivers"]
        found += answer["nodes"]
        more, asked["after"] = answer["pageInfo"]["hasNextPage"], answer["pageInfo"]["endCursor"]
    return found


def _granted_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"granted    {found['key']}  {found['ruleId']}  until {moment_text(found['expiresAt'])}"
    yield f"  id       {found['id']}"
    if found["product"] is None:
        yield f"  note     no product {found['key']} is registered, as far as you may see: check the key"


def _withdrawn_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"withdrawn  {found['key']}  {found['ruleId']}"


def _list_lines(found: Mapping[str, Any]) -> Iterator[str]:
    waivers = found["waivers"]
    if not waivers:
        yield "no waivers"
        return
    rows = table((each["key"], each["ruleId"], _state(each), each["approvedBy"], each["id"]) for each in waivers)
    for each, row in zip(waivers, rows, strict=True):
        yield row
        yield f"    {each['reason']}" + (f" (asked for by {each['requestedBy']})" if each["requestedBy"] else "")


def _state(waiver: Mapping[str, Any]) -> str:
    if waiver["active"]:
        return f"until {moment_text(waiver['expiresAt'])}"
    if waiver["endedAt"] and datetime.fromisoformat(waiver["endedAt"]) < datetime.fromisoformat(waiver["expiresAt"]):
        return f"ended {moment_text(waiver['endedAt'])} by {waiver['endedBy']}"
    return f"expired {moment_text(waiver['expiresAt'])}"
