"""Rules and how the mesh stands by them, on the terminal: what is in force, what others would change, the overview and
the change feed. Asked over GraphQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fairmesh.api.client import Client
from fairmesh.api.output import table
from fairmesh.api.policy_reads import refuse
from fairmesh.api.wording import moment_text, path_text
from fairmesh.catalog.errors import FairmeshError, InputError, NotFound

if TYPE_CHECKING:
    from fairmesh.catalog.rulefiles import Schedule

PATIENCE = 3600.0
"""Seconds without an answer after which a server that judges its whole mesh counts as gone."""
_PROGRESS_PATIENCE = 2.0
SHOWN = 20
"""Rows that one table of text shows; JSON has them all."""
_TERMS = 3
"""Removed terms of one level that are named; JSON has them all."""
_NONE = "no rule set was in force"

_PROBLEMS = """
fragment Changed on RuleChange { rule before after }
fragment Problem on RuleProblem { file line rule message fix refuses }
fragment Failures on UserError {
  code message ... on InputError { line } ... on Forbidden { decision { reasons } }
}
"""
_PROPOSE = (
    """
mutation Propose($input: ProposeRulesInput!) {
  proposeRules(input: $input) {
    impact {
      proposed at products failingBefore failingAfter newlyFailing newlyWarned newlyPassing changes { ...Changed }
      removedTerms { level terms }
      byRule { ...Counts } byDomain { ...Counts } byOwner { ...Counts } failed { rule products }
    }
    problems { ...Problem } errors { ...Failures }
  }
}
fragment Counts on RuleImpactRow { key failing warned passing products examples }
"""
    + _PROBLEMS
)
_PUBLISH = (
    """
mutation Publish($input: PublishRulesInput!) {
  publishRules(input: $input) {
    published unchanged digest changes { ...Changed } removedTerms { level terms } problems { ...Problem }
    errors { ...Failures }
  }
}
"""
    + _PROBLEMS
)
_PROGRESS = "query Progress { ruleImpactProgress { done total } }"
_PENDING = "query Pending { governance { products conforming pending } }"
_IN_FORCE = """
query InForce($asOf: DateTime) { ruleSet(asOf: $asOf) { digest at by source domain files { path content } } }
"""
_GOVERNANCE = """
query Governance($domain: ID, $asOf: DateTime, $points: Int!, $trend: Boolean!) {
  governance(domain: $domain, asOf: $asOf) {
    at shapesVersion products conforming pending fairMean
    byDomain { ...Row } byShape { ...Row } byOwner { ...Row } failed { rule products }
    trend(points: $points) @include(if: $trend) { at products conforming fairMean }
  }
}
fragment Row on GovernanceRow { key label products conforming violations findings waived fairMean examples }
"""
_DOMAINS = "query Domains { governance { byDomain { key label } } }"
_NODE = "query Node($iri: IRI!) { resource(iri: $iri) { id } }"
_CHANGES = """
query Changes($kinds: [ChangeKind!], $domain: ID, $first: Int, $after: String) {
  changes(kinds: $kinds, domain: $domain, first: $first, after: $after) {
    nodes {
      cursor kind at by conforms shapesVersion rulesDomain revision { number }
      resource { iri label ... on DataProduct { key } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


class Unusable(Exception):
    """The server refused a rule set; `problems` are those of its lint, as GraphQL has them."""

    def __init__(self, problems: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("the rule set was refused")
        self.problems = problems


# -- what would change ------------------------------------------------------------------------------------------------


def propose(client: Client, files: Mapping[str, bytes], domain: str | None, at: datetime | None) -> Mapping[str, Any]:
    """What these files would change, as GraphQL's `RuleSetImpact` has it; domains and owners have a `label` beside.

    Raises `Unusable` for a set that does not lint or whose examples fail, else `Refused`.
    """
    asked = {"input": {**_sent(files, domain), "at": None if at is None else at.isoformat()}}
    impact = dict(_usable(client.graphql(_PROPOSE, asked, timeout=PATIENCE)["proposeRules"])["impact"])
    for name in ("byDomain", "byOwner"):
        rows = sorted(impact[name], key=_worst_first)
        labels = _labels(client, [row["key"] for row in rows[:SHOWN]])
        impact[name] = [{**row, "label": labels.get(row["key"], row["key"])} for row in rows]
    impact["byRule"] = sorted(impact["byRule"], key=_worst_first)
    return impact


def publish(
    client: Client, files: Mapping[str, bytes], domain: str | None, *, dry_run: bool, allow_removing: bool
) -> dict[str, Any]:
    """`{published, unchanged, digest, changes, removedTerms, problems}`, problems being warnings. Without a digest it
    was refused for what it removes. Raises as `propose`."""
    asked = {"input": {**_sent(files, domain), "dryRun": dry_run, "allowRemoving": allow_removing}}
    done = dict(client.graphql(_PUBLISH, asked, timeout=PATIENCE)["publishRules"])
    if not done["changes"] and not done["removedTerms"]:
        _usable(done)
    del done["errors"]
    return done


def impact_progress(client: Client) -> tuple[int, int] | None:
    """How many products are judged, and of how many, for what the caller waits for; None when nothing is told."""
    try:
        found = client.graphql(_PROGRESS, {}, timeout=_PROGRESS_PATIENCE)["ruleImpactProgress"]
    except FairmeshError:  # it is the answer that matters
        return None
    return None if found is None else (found["done"], found["total"])


def pending(client: Client) -> Mapping[str, int]:
    """`{products, conforming, pending}` of the products the caller may read."""
    found: Mapping[str, int] = client.graphql(_PENDING, {})["governance"]
    return found


def _sent(files: Mapping[str, bytes], domain: str | None) -> dict[str, object]:
    """What is sent of a set. Raises `InputError` for a file that is not UTF-8."""
    sent = []
    for path, body in files.items():
        try:
            sent.append({"path": path, "content": body.decode("utf-8")})
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8", remedy="Save it as UTF-8") from None
    return {"files": sent, "domain": domain}


def _usable(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if answer["errors"] and answer["problems"]:
        raise Unusable(answer["problems"])
    refuse(answer["errors"])
    return answer


def _labels(client: Client, iris: Sequence[str]) -> Mapping[str, str]:
    """What the nodes are called; those that are hidden are left out."""
    wanted = [iri for iri in iris if iri]
    if not wanted:
        return {}
    declared = ", ".join(f"$i{n}: IRI!" for n in range(len(wanted)))
    asked = " ".join(f"r{n}: resource(iri: $i{n}) {{ label }}" for n in range(len(wanted)))
    found = client.graphql(f"query Labels({declared}) {{ {asked} }}", {f"i{n}": iri for n, iri in enumerate(wanted)})
    return {iri: found[f"r{n}"]["label"] for n, iri in enumerate(wanted) if found[f"r{n}"]}


def _worst_first(row: Mapping[str, Any]) -> tuple[object, ...]:
    return -row["failing"], -row["warned"], -row["passing"], row["key"]


def impact_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The rules that change and how many fail before and after, then by rule, domain and owner, most newly failing
    first."""
    yield f"rule set {_short(found['proposed'])} on {found['at'][:10]}, {_count(found['products'], 'product')} judged"
    yield from changed(found)
    yield f"failing        {found['failingBefore']} -> {found['failingAfter']}"
    yield f"newly failing  {found['newlyFailing']}"
    yield f"newly warned   {found['newlyWarned']}"
    yield f"newly passing  {found['newlyPassing']}"
    removed = {change["rule"] for change in found["changes"] if change["after"] is None}
    for title, name in (("by rule", "byRule"), ("by domain", "byDomain"), ("by owner", "byOwner")):
        rows = found[name]
        if rows:
            yield ""
            head = (title, "failing", "warned", "passing", "examples")
            cells = [
                (_impacted(row, removed), str(row["failing"]), str(row["warned"]), str(row["passing"]), _examples(row))
                for row in rows[:SHOWN]
            ]
            yield from _grid([head, *cells], texts=(0, 4))
            yield from _more(rows)
    yield from _failed(found["failed"])


def changed(found: Mapping[str, Any]) -> Iterator[str]:
    """Every rule that a set removes, adds or states otherwise, in this order, each with what it does; then, by level,
    the vocabulary terms that it removes."""
    changes: Sequence[Mapping[str, Any]] = found["changes"]
    for sign, chosen in (
        ("-", [each for each in changes if each["after"] is None]),
        ("+", [each for each in changes if each["before"] is None]),
        ("~", [each for each in changes if each["before"] is not None and each["after"] is not None]),
    ):
        for line in table([(each["rule"], _becomes(each)) for each in chosen]):
            yield f"  {sign} {line}"
    for each in found["removedTerms"]:
        terms = each["terms"]
        more = f" and {len(terms) - _TERMS} more" if len(terms) > _TERMS else ""
        told = ", ".join(f"<{iri}>" for iri in terms[:_TERMS])
        yield f"  - {each['level']}/vocabulary.ttl  {_count(len(terms), 'term')}: {told}{more}"


def _becomes(change: Mapping[str, Any]) -> str:
    before, after = change["before"], change["after"]
    if before is None or after is None:
        return str(after or before)
    return f"{before}, but stated otherwise" if before == after else f"{before} -> {after}"


def _impacted(row: Mapping[str, Any], removed: Collection[str]) -> str:
    if row["key"] in removed:
        return f"{row['key']} (removed)"
    return row.get("label", row["key"]) or "(none)"


def _examples(row: Mapping[str, Any]) -> str:
    more = row["products"] - len(row["examples"])
    return ", ".join(row["examples"]) + (f" and {more} more" if more else "")


def _failed(failed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if failed:
        yield ""
        for each in failed:
            yield f"could not be evaluated: {each['rule']} on {_count(each['products'], 'product')} (it refuses none)"


# -- in force ---------------------------------------------------------------------------------------------------------


def in_force(client: Client, as_of: str | None, today: date) -> Mapping[str, Any]:
    """`{digest, at, by, source, domain, rules, files: [{path, content}]}` of the rule set in force at a moment, now
    without one. `rules` have `{id, label, mode, next_mode, next_mode_from, owner, since, message}` as of `today`.

    Before the first rule set there are no rules and files, and the rest is None.
    """
    found = client.graphql(_IN_FORCE, {"asOf": as_of})["ruleSet"]
    if found is None:
        return {**dict.fromkeys(("digest", "at", "by", "source", "domain")), "rules": [], "files": []}
    files = found.pop("files")
    read = {file["path"]: file["content"].encode() for file in files}
    return {**found, "rules": list(_rules(read, _day(as_of, today))), "files": files}


def one_rule(client: Client, name: str, as_of: str | None, today: date) -> Mapping[str, Any]:
    """A rule, by its id or IRI, as `in_force` has it, and of it `{iri, why, page, parts, examples, ruleset}`: `parts`
    are what findings come from, as `{path, mode, next_mode, next_mode_from, messages}`, the path None for the node that
    is looked at; `examples` are `{meet, break}`, paths in the rule set; `page` is None for a past moment.

    Raises `NotFound`.
    """
    from fairmesh.catalog.governance import RuleSet  # the engines take as long to load as all the rest
    from fairmesh.catalog.rulefiles import FILE, RULES
    from fairmesh.catalog.rulelint import examples_of

    found = in_force(client, as_of, today)
    id = name.removeprefix(RULES)
    shown = next((rule for rule in found["rules"] if rule["id"] == id), None)
    if shown is None:
        near = get_close_matches(id, [rule["id"] for rule in found["rules"]], 3)
        like = f"Name one like {' or '.join(near)}; " if near else ""
        raise NotFound(
            f"there is no rule {id!r} in force" + (" then" if as_of else ""),
            remedy=f"{like}`fairmesh rules show` lists them",
        )
    files = {file["path"]: file["content"].encode() for file in found["files"]}
    rules = RuleSet({path: body for path, body in files.items() if FILE.fullmatch(path)}, linted=True)
    rule = rules.rule(RULES + id)
    assert rule is not None
    parts = [
        {
            "path": part.path, **_modes(part.schedule, _day(as_of, today)),
            "messages": [text for _, text in part.messages],
        }
        for part in rules.parts(rule)
    ]  # fmt: skip
    meet, broken = examples_of(rule, rules.rules, files)
    return {
        **shown, "iri": rule.iri, "why": rule.comment, "page": None if as_of else f"{client.url}/rules/{quote(id)}",
        "parts": parts, "examples": {"meet": meet, "break": broken}, "ruleset": found["digest"],
    }  # fmt: skip


def _rules(files: Mapping[str, bytes], day: date) -> Iterator[Mapping[str, Any]]:
    from fairmesh.catalog import rulefiles  # reads SHACL: nothing else here needs it

    shapes = {path: body for path, body in files.items() if rulefiles.FILE.fullmatch(path)}
    for level in rulefiles.read_levels(shapes):
        for rule in rulefiles.rules_of(level, shapes):
            yield {
                "id": rule.id, "label": rule.label, **_modes(rule.schedule, day), "owner": rule.owner,
                "since": rule.since and rule.since.isoformat(), "message": rule.message,
            }  # fmt: skip


def _modes(schedule: Schedule, day: date) -> dict[str, str | None]:
    now = schedule.at(day)
    coming = schedule.next_mode if now is not schedule.next_mode else None
    if coming is None or schedule.next_from is None:
        return {"mode": now.value, "next_mode": None, "next_mode_from": None}
    return {"mode": now.value, "next_mode": coming.value, "next_mode_from": schedule.next_from.isoformat()}


def _day(as_of: str | None, today: date) -> date:
    return today if as_of is None else datetime.fromisoformat(as_of).astimezone(UTC).date()


def in_force_lines(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["digest"]:
        yield _NONE
        return
    how = f"of the domain {found['domain']}" if found["domain"] else "from a folder, at a start"
    yield f"rule set  {found['digest']}"
    by = found["by"] + (f" ({how})" if found["domain"] or _read(found) else "")
    yield f"since     {moment_text(found['at'])}, by {by}"
    yield ""
    head = ("rule", "mode", "label", "kept by", "since")
    rows = [(r["id"], _mode(r), r["label"], r["owner"] or "", r["since"] or "") for r in found["rules"]]
    yield from table([head, *rows])


def rule_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The rule, then each part of it, then where there is more."""
    yield f"{found['id']}  {found['label']}"
    since = f", since {found['since']}" if found["since"] else ""
    for name, text in (
        ("why", found["why"]), ("kept by", f"{found['owner'] or 'nobody'}{since}"), ("mode", _mode(found)),
        ("remedy", found["message"]),
    ):  # fmt: skip
        yield f"  {name:<10}{text}"
    for part in found["parts"]:
        yield f"  {path_text(part['path']) or 'the node itself'}: {_mode(part)}"
        for text in part["messages"]:
            yield f"    {text}"
    for name, paths in (("meets it", found["examples"]["meet"]), ("breaks it", found["examples"]["break"])):
        if paths:
            yield f"  {name:<10}{', '.join(paths)}"
    if found["page"]:
        yield f"  {'page':<10}{found['page']}"


def _read(found: Mapping[str, Any]) -> bool:
    return bool(found["source"] == "folder")


def _mode(rule: Mapping[str, Any]) -> str:
    coming = f", {rule['next_mode']} from {rule['next_mode_from']}" if rule["next_mode"] else ""
    return f"{rule['mode']}{coming}"


# -- the overview -----------------------------------------------------------------------------------------------------


def governance(client: Client, domain: str | None, as_of: str | None, points: int) -> Mapping[str, Any]:
    """How the products stand, as GraphQL's `GovernanceReport` has it; `trend` is there when points are asked for.

    Raises `NotFound` for a domain (its key, label or IRI) that is not there for the caller.
    """
    asked = {
        "domain": None if domain is None else domain_named(client, domain)[0], "asOf": as_of, "points": points or 2,
        "trend": points > 0,
    }  # fmt: skip
    found: Mapping[str, Any] = client.graphql(_GOVERNANCE, asked, timeout=PATIENCE)["governance"]
    return found


def domain_named(client: Client, name: str) -> tuple[str, str]:
    """GraphQL's id of a domain and its key, by its IRI, by the last part of that, which is its key, or by its label.
    Raises `NotFound`."""
    iri = name
    if ":" not in name:
        known = [row for row in client.graphql(_DOMAINS, {})["governance"]["byDomain"] if row["key"]]
        matches = [row["key"] for row in known if row["key"].rpartition("/")[2] == name]
        matches += [row["key"] for row in known if row["label"].casefold() == name.casefold()]
        if not matches:
            names = ", ".join(row["key"].rpartition("/")[2] for row in known[:SHOWN])
            raise NotFound(f"no product of a domain {name} is here for you", remedy=f"Name one of: {names or 'none'}")
        iri = matches[0]
    node = client.graphql(_NODE, {"iri": iri})["resource"]
    if node is None:
        raise NotFound(f"there is no {iri} here for you", remedy="Check the IRI")
    return str(node["id"]), iri.rpartition("/")[2]


def governance_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The whole, then by domain, rule and owner, those with most products that do not conform first."""
    said = [f"{_share(found)} conform", _findings(found["byDomain"]), f"FAIR {_mean(found['fairMean'])}"]
    if found["pending"]:
        said.append(f"{found['pending']} still to be judged by these rules")
    digest = found["shapesVersion"]
    at = moment_text(found["at"])
    yield f"at {at}, by rule set {_short(digest)}" if digest else f"{_NONE} at {at}"
    yield ", ".join(said)
    for title, name in (("by domain", "byDomain"), ("by owner", "byOwner")):
        yield from _standing_rows(title, found[name])
    rules = sorted(found["byShape"], key=lambda row: (-_failing(row), row["key"]))
    if rules:
        yield ""
        head = ("by rule", "fail", "found in", "violations", "findings", "label", "examples")
        cells = [
            (row["key"], str(_failing(row)), str(row["products"]), str(row["violations"]), str(row["findings"]),
             row["label"], _named(row))
            for row in rules[:SHOWN]
        ]  # fmt: skip
        yield from _grid([head, *cells], texts=(0, 5, 6))
        yield from _more(rules)
    yield from _failed(found["failed"])
    if "trend" in found:
        yield ""
        yield from _trend(found["trend"])


def _findings(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many findings all products have, and how many of them refuse."""
    violations, findings = (sum(row[name] for row in rows) for name in ("violations", "findings"))
    if not findings:
        return "no findings"
    return f"{_count(findings, 'finding')}, {violations or 'none'} of {'it' if findings == 1 else 'them'} refusing"


def _failing(row: Mapping[str, Any]) -> int:
    return int(row["products"] - row["conforming"])


def _named(row: Mapping[str, Any]) -> str:
    """Products that fail a rule, or else those it found something in, and how many more there are."""
    more = (_failing(row) or row["products"]) - len(row["examples"])
    return ", ".join(row["examples"]) + (f" and {more} more" if more > 0 else "")


def _standing_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    head = (title, "conform", "products", "violations", "findings", "waived", "FAIR")
    worst = sorted(rows, key=lambda row: (-_failing(row), row["label"], row["key"]))
    cells = [
        (row["label"] or "(none)", str(row["conforming"]), str(row["products"]), str(row["violations"]),
         str(row["findings"]), str(row["waived"]), _mean(row["fairMean"]))
        for row in worst[:SHOWN]
    ]  # fmt: skip
    yield from _grid([head, *cells])
    yield from _more(rows)


def _trend(points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    head = ("trend", "conform", "products", "FAIR", "")
    cells = [
        (moment_text(point["at"]), str(point["conforming"]), str(point["products"]), _mean(point["fairMean"]),
         "#" * round(20 * point["conforming"] / point["products"]) if point["products"] else "")
        for point in points
    ]  # fmt: skip
    yield from _grid([head, *cells], texts=(0, 4))


# -- the feed ---------------------------------------------------------------------------------------------------------


def changes(
    client: Client, kinds: Sequence[str], domain: str | None, first: int, after: str | None
) -> Mapping[str, Any]:
    """`{changes, next, more}`: events as GraphQL has them, oldest first, the cursor to go on with, and whether there
    are more now. Raises as `governance`, and `Refused` for a cursor of another list."""
    asked = {
        "kinds": list(kinds) or None, "domain": None if domain is None else domain_named(client, domain)[0],
        "first": first, "after": after,
    }  # fmt: skip
    page = client.graphql(_CHANGES, asked, timeout=PATIENCE)["changes"]
    info = page["pageInfo"]
    return {"changes": page["nodes"], "next": info["endCursor"] or after, "more": info["hasNextPage"]}


def change_lines(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (moment_text(each["at"]), _word(each), _subject(each), f"by {each['by']}" if each["by"] else "")
        for each in found["changes"]
    ]
    if rows:
        yield from table(rows)
    else:
        yield "nothing happened" + (" since" if found["next"] else "")
    if found["more"]:
        yield f"there is more: --after {found['next']}"
    elif found["next"]:
        yield f"later: --after {found['next']}"


_WORDS = {"SHAPES_CHANGED": "new rules", "POLICY_CHANGED": "new policy"}


def _word(change: Mapping[str, Any]) -> str:
    if change["kind"] == "CONFORMANCE_CHANGED":
        return "conforms" if change["conforms"] else "fails"
    return _WORDS.get(change["kind"], str(change["kind"]).lower())


def _subject(change: Mapping[str, Any]) -> str:
    resource, revision = change["resource"], change["revision"]
    if change["shapesVersion"]:
        of = f" (of the domain {change['rulesDomain']})" if change["rulesDomain"] else ""
        return f"rule set {_short(change['shapesVersion'])}{of}"
    if resource is None:
        return ""
    name = resource.get("key") or resource["iri"]
    return f"{name} revision {revision['number']}" if revision else str(name)


# -- words ------------------------------------------------------------------------------------------------------------


def _grid(rows: Sequence[Sequence[str]], texts: Iterable[int] = (0,)) -> Iterator[str]:
    """Rows as lines; columns of numbers, all but `texts`, are aligned to the right."""
    left = set(texts)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _more(rows: Sequence[object]) -> Iterator[str]:
    if len(rows) > SHOWN:
        yield f"and {len(rows) - SHOWN} more (--format json)"


def _share(found: Mapping[str, Any]) -> str:
    percent = f" ({100 * found['conforming'] / found['products']:.1f} %)" if found["products"] else ""
    return f"{found['conforming']} of {_count(found['products'], 'product')}{percent}"


def _mean(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _short(digest: str) -> str:
    return digest[:12]


def _count(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"
