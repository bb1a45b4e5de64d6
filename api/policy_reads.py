"""Policies on the terminal: what is in force, what others would change, who may do what and why. Asked over GraphQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairmesh.api.client import Client, Refused
from fairmesh.api.reads import nothing

_IN_FORCE = """
query InForce($asOf: DateTime) {
  policies(asOf: $asOf) { path version publishedAt publishedBy tests source }
}
"""
_IMPACT = """
fragment Impact on PolicyImpact {
  current proposed widens classes products changeCount
  changes { action gains partial count examples subjects { ids kind roles teams domains clearance } }
  replay { decisions toAllow toDeny skipped }
}
fragment Failures on UserError {
  code message ... on InputError { line } ... on Forbidden { decision { reasons } }
}
"""
_PROPOSE = (
    """
mutation Propose($input: ProposePoliciesInput!) {
  proposePolicies(input: $input) { impact { ...Impact } errors { ...Failures } }
}
"""
    + _IMPACT
)
_PUBLISH = (
    """
mutation Publish($input: PublishPoliciesInput!) {
  publishPolicies(input: $input) { published unchanged revision impact { ...Impact } errors { ...Failures } }
}
"""
    + _IMPACT
)
_DECISION = """
fragment Decided on Decision { action allowed reasons obligations { kind detail } policy revision }
"""
_WHO = (
    """
query Who($product: String!) {
  whoCanSee(product: $product) {
    subjects { ids kind roles teams domains clearance } decisions { ...Decided }
  }
}
"""
    + _DECISION
)
_EXPLAIN = (
    """
query Explain($actor: String!, $action: Action!, $key: String!) {
  explain(actor: $actor, action: $action, key: $key) {
    decision { ...Decided } facts rules { file row rule value }
  }
}
"""
    + _DECISION
)
_FIND = """
query Find($key: String, $iri: IRI) { dataProduct(key: $key, iri: $iri) { id } }
"""
_DECIDE = (
    """
query Decide($subject: JSON!, $resource: ID!, $action: Action!) {
  decide(subject: $subject, resource: $resource, action: $action) { ...Decided }
}
"""
    + _DECISION
)
_FACTS_HINT = 'Name a subject with a token, or anonymous; or give facts as JSON, like {"id": "x", "kind": "user"}'
_NAMES_SHOWN = 3
_WIDTH = 80
_RESOURCE = "k0"
"""What the product is called in the question."""


# -- what is in force -------------------------------------------------------------------------------------------------


def in_force(client: Client, as_of: str | None) -> Mapping[str, Any]:
    """`{digest, since, author, files: [{path, tests, source}]}` of the policy in force at a moment, now without one.

    Without a policy at that moment there are no files, and the rest is None. Raises `Refused` (403).
    """
    files = client.graphql(_IN_FORCE, {"asOf": as_of})["policies"]
    first = files[0] if files else {}
    kept = [{name: file[name] for name in ("path", "tests", "source")} for file in files]
    return {
        "digest": first.get("version"), "since": first.get("publishedAt"), "author": first.get("publishedBy"),
        "files": kept,
    }  # fmt: skip


def in_force_lines(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["files"]:
        yield "no policy was in force"
        return
    yield f"revision  {found['digest']}"
    yield f"since     {found['since']}, by {found['author']}"
    for file in found["files"]:
        tests = f"  ({_count(file['tests'], 'test')} beside it)" if file["tests"] else ""
        yield f"  {file['path']}{tests}"


# -- what would change ------------------------------------------------------------------------------------------------


def propose(client: Client, files: Mapping[str, bytes], domain: str | None) -> Mapping[str, Any]:
    """What publishing these files would change, as GraphQL gives it.

    Raises `Refused`: 403, 409, and 422 for a policy that cannot be used.
    """
    answer = client.graphql(_PROPOSE, {"input": _input(files, domain)})["proposePolicies"]
    refuse(answer["errors"])
    return dict(answer["impact"])


def publish(
    client: Client, files: Mapping[str, bytes], domain: str | None, *, dry_run: bool, allow_widening: bool
) -> Mapping[str, Any]:
    """`{published, unchanged, revision, impact}`. When it was refused because somebody would gain something,
    `revision` is None and `impact` says what. Raises as `propose`."""
    asked = {**_input(files, domain), "dryRun": dry_run, "allowWidening": allow_widening}
    answer = dict(client.graphql(_PUBLISH, {"input": asked})["publishPolicies"])
    failed = answer.pop("errors")
    if answer["impact"] is None or not answer["impact"]["widens"]:
        refuse(failed)
    return answer


def _input(files: Mapping[str, bytes], domain: str | None) -> dict[str, object]:
    sent = [{"path": path, "content": body.decode()} for path, body in files.items()]
    return {"files": sent, "domain": domain}


_REFUSALS = {"FORBIDDEN": (403, "forbidden"), "CONFLICT": (409, "conflict")}


def refuse(errors: Sequence[Mapping[str, Any]]) -> None:
    """Raise the first of a payload's failures as `Refused`, with its exit code's status."""
    for error in errors:
        status, code = _REFUSALS.get(error["code"], (422, "not-conforming"))
        reasons = (error.get("decision") or {}).get("reasons") or ()
        detail = error["message"] + (f" ({', '.join(reasons)})" if reasons else "")
        raise Refused(status, {"detail": detail, "code": code, "line": error.get("line")})


def impact_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Who gains what, then who loses what, by class of subjects and action."""
    asked = f"{_count(found['products'], 'product')}, {_count(found['classes'], 'class', 'classes')} of subjects"
    yield f"{_short(found['current'])} -> {_short(found['proposed'])}  {asked}"
    for word, gains in (("gains", True), ("loses", False)):
        for change in found["changes"]:
            if change["gains"] is gains:
                action, whom = change["action"].lower(), _who(change["subjects"])
                seen = f"sees {'more' if gains else 'less'} of {action}"
                yield f"{seen}  {whom}" if change["partial"] else f"{word:<5}  {action:<13}  {whom}"
                yield f"    {_things(change)}"
    if not found["changes"]:
        yield "nobody gains or loses anything you may see"
    left_out = found["changeCount"] - len(found["changes"])
    if left_out > 0:
        yield f"and {_count(left_out, 'more change')}"
    again = found["replay"]
    if again["decisions"] or again["skipped"]:
        skipped = f", {again['skipped']} could not be asked" if again["skipped"] else ""
        become = [f"{_count(again[name], 'becomes', 'become')} {word}" for name, word in _REPLAYED]
        yield f"recorded decisions: {again['decisions']} asked again, {', '.join(become)}{skipped}"
    if found["widens"]:
        yield "access widens" + (" for products you may not see" if widens_unseen(found) else "")


_REPLAYED = (("toAllow", "allow"), ("toDeny", "deny"))


def widens_unseen(found: Mapping[str, Any]) -> bool:
    """Somebody gains something, and none of it is among what is listed; gains are listed first."""
    return bool(found["widens"]) and not any(change["gains"] for change in found["changes"])


def _things(change: Mapping[str, Any]) -> str:
    kind = "right" if change["action"] == "GOVERN" else "product"
    more = change["count"] - len(change["examples"])
    named = ", ".join(change["examples"]) + (f" and {more} more" if more else "")
    return f"{_count(change['count'], kind)}: {named}"


# -- who may, and why -------------------------------------------------------------------------------------------------


def who(client: Client, name: str) -> Mapping[str, Any]:
    """`{product, subjects: [{subjects, decisions}]}`: what each class of known subjects may do with a product."""
    return {"product": name, "subjects": client.graphql(_WHO, {"product": name})["whoCanSee"]}


def who_lines(found: Mapping[str, Any]) -> Iterator[str]:
    for row in found["subjects"]:
        allowed = [decision["action"].lower() for decision in row["decisions"] if decision["allowed"]]
        yield _who(row["subjects"])
        yield f"    {', '.join(allowed) or 'nothing'}"


def explain(client: Client, actor: str, action: str, name: str) -> Mapping[str, Any]:
    """`{actor, product, explanations: [{decision, facts, rules}]}`, one for each set of rights the actor has."""
    asked = {"actor": actor, "action": action.upper(), "key": name}
    try:
        found = client.graphql(_EXPLAIN, asked)["explain"]
    except Refused as error:
        if not error.message.startswith("no token stands for"):
            raise
        raise Refused(error.status, {**error.problem, "remedy": _FACTS_HINT}) from None
    return {"actor": actor, "product": name, "explanations": found}


def suppose(client: Client, facts: Mapping[str, object], action: str, name: str) -> Mapping[str, Any]:
    """As `explain` for a subject that need not exist, given by its facts: the decision alone."""
    product = client.graphql(_FIND, {"iri" if ":" in name else "key": name})["dataProduct"]
    if product is None:
        raise nothing(client, name)
    asked = {"subject": facts, "action": action.upper(), "resource": product["id"]}
    decision = client.graphql(_DECIDE, asked)["decide"]
    explanation = {"decision": decision, "facts": None, "rules": []}
    return {"actor": str(facts.get("id", "")), "product": name, "explanations": [explanation]}


def explain_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The decision, what was asked, and the rules that gave its reasons and nothing else, inner ones first."""
    for explanation in found["explanations"]:
        decision = explanation["decision"]
        word = "allowed" if decision["allowed"] else "denied"
        yield f"{word}  {found['actor']}  {decision['action'].lower()}  {found['product']}"
        yield f"  because   {', '.join(decision['reasons'])}"
        for obligation in decision["obligations"]:
            yield f"  {obligation['kind']}  {_value(obligation['detail'])}"
        yield f"  policy    {decision['policy']} at {_short(decision['revision'])}"
        yield from _facts(explanation["facts"])
        rules = explanation["rules"]
        telling = [rule for rule in rules if _tells(rule["value"], {*decision["reasons"]})]
        for rule in telling:
            yield f"  {rule['file']}:{rule['row']}  {rule['rule']}  {_cut(_value(rule['value']))}"
        if len(telling) < len(rules):
            yield f"  and {_count(len(rules) - len(telling), 'other rule')} (--format json)"


def _tells(value: object, reasons: set[str]) -> bool:
    found = _texts(value)
    return bool(found & reasons) and found <= {*reasons, _RESOURCE}


def _texts(value: object) -> set[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*map(_texts, value))
    return {value} if isinstance(value, str) else set()


def _facts(asked: Mapping[str, Any] | None) -> Iterator[str]:
    if asked is not None:
        yield f"  subject   {_members(asked['subject'])}"
        for resource in asked["resources"].values():
            yield f"  resource  {_members(resource)}"


def _members(facts: Mapping[str, Any]) -> str:
    return "  ".join(f"{name}={_value(value)}" for name, value in facts.items() if value not in ("", [], None))


# -- words ------------------------------------------------------------------------------------------------------------


def _value(value: object) -> str:
    """JSON without quotes."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_value(item)}" for name, item in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def _who(subjects: Mapping[str, Any] | None) -> str:
    if subjects is None:
        return "all classes of subjects together"
    ids = subjects["ids"]
    named = ", ".join(ids[:_NAMES_SHOWN]) + (f" and {len(ids) - _NAMES_SHOWN} more" if len(ids) > _NAMES_SHOWN else "")
    lists = [f"{word} {', '.join(subjects[word])}" for word in ("roles", "teams", "domains") if subjects[word]]
    return f"{named} ({'; '.join([subjects['kind'], *lists, 'clearance ' + subjects['clearance']])})"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _short(digest: str) -> str:
    return digest[:12]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
