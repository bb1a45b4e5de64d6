"""Plain HTML pages: a node's facts as a table, and the rules. Everything is escaped."""

from __future__ import annotations

from datetime import datetime
from html import escape
from urllib.parse import quote

from fairmesh.api.turtle import turtle
from fairmesh.api.wording import counts_text, finding_word, group_text, letters_text, path_text
from fairmesh.catalog.fair import Assessment
from fairmesh.catalog.model import Direction, FindingGroup, PageRequest, ProductInfo, Relation, Report, Severity
from fairmesh.catalog.rdf import compact
from fairmesh.catalog.rulefiles import Mode, Rule, Schedule
from fairmesh.catalog.rulelint import examples_of
from fairmesh.catalog.ruling import Ruling
from fairmesh.catalog.view import View

ROWS = PageRequest(first=200)


def product_page(view: View, product: ProductInfo, iri_base: str) -> bytes:
    """As `node_page`, and first what the rules in force find in what the reader sees of the product, and how FAIR that
    is."""
    above = _conformance(view.conformance(product.home)) + _fair(view.fair(product.home))
    return node_page(view, product.iri, iri_base, above=above)


def node_page(view: View, iri: str, iri_base: str, above: str = "") -> bytes:
    """What the reader may see of a node; long lists end with how many rows were left out. `above` is HTML."""
    label, description = view.label(iri), view.description(iri)
    types = ", ".join(_link(view, kind, iri_base) for kind in view.types(iri))
    properties = view.properties(iri, predicates=None, langs=None, page=ROWS)
    rows = [
        f"<tr><th>{_name(p.predicate)}</th><td>{escape(p.value.lexical)}"
        + (f" <small>{escape(p.value.lang)}</small>" if p.value.lang else "")
        + "</td></tr>"
        for p in properties.items
    ]
    parts = [_table("Facts", rows, properties.total)]
    for title, way in (("Refers to", Direction.OUT), ("Referred to by", Direction.IN)):
        found = view.relations(iri, predicates=None, direction=way, target_types=None, page=ROWS)
        parts.append(_table(title, [_relation(view, r, iri_base) for r in found.items], found.total))
    about = f"<p>{escape(description)}</p>" if description else ""
    return _page(label, f"<p><code>{escape(iri)}</code> {types}</p>{about}{above}{''.join(parts)}")


def _conformance(report: Report | None) -> str:
    """Nothing where nothing was found, or nothing may be read."""
    if report is None:
        return ""
    groups = report.groups()
    rows = [_finding(group) for group in groups]
    rows += [
        f"<tr><th>{_rule_link(rule)}</th><td>could not be evaluated: {escape(reason)} (it refuses nothing)</td></tr>"
        for rule, reason in report.failed
    ]
    if not rows:
        return ""
    waived = sum(group.count for group in groups if group.waived_until)
    errors, warnings, advice = map(report.count, (Severity.VIOLATION, Severity.WARNING, Severity.INFO))
    mark = "" if report.conforms else ' class="bad"'
    said = counts_text(errors - waived, warnings, advice, waived)
    return f"<h2>Conformance</h2><p{mark}>{said}</p><table>{''.join(rows)}</table>"


def _fair(assessment: Assessment | None) -> str:
    """The score, and behind it what would raise it. Nothing where nothing may be read."""
    if assessment is None:
        return ""
    letters = letters_text(
        assessment.findable, assessment.accessible, assessment.interoperable, assessment.reusable
    )  # fmt: skip
    said = f"FAIR {assessment.score:.2f} ({letters})"
    rows = [
        f"<tr><th>{escape(it.code)}</th><td>{escape(f'{it.title}: {it.evidence}. {it.fix}')}</td></tr>"
        for it in assessment.failing()
    ]
    if not rows:
        return f"<p>{said}</p>"
    return f"<details><summary>{said}</summary><table>{''.join(rows)}</table></details>"


def _finding(group: FindingGroup) -> str:
    word = finding_word(group.severity, group.waived_until)
    text = group_text(group.message, group.path, group.count, group.waived_until)
    mark = ' class="bad"' if word == "error" else ""
    return f"<tr><th>{_rule_link(group.rule)}</th><td><span{mark}>{word}</span>: {escape(text)}</td></tr>"


def _rule_link(rule: str) -> str:
    return f'<a href="/rules/{escape(quote(rule))}">{escape(rule)}</a>'


def _page(title: str, body: str, above: str = "") -> bytes:
    """`body` and `above`, the way back, are HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/portal/style.css"></head>
<body class="page"><main><p><a href="/">fairmesh</a>{f" / {above}" if above else ""}</p><h1>{escape(title)}</h1>
{body}</main></body></html>
""".encode()


def _table(title: str, rows: list[str], total: int) -> str:
    if not rows:
        return ""
    more = f"<p>{total - len(rows)} more are not shown.</p>" if total > len(rows) else ""
    return f"<h2>{title}</h2><table>{''.join(rows)}</table>{more}"


def _relation(view: View, relation: Relation, iri_base: str) -> str:
    return f"<tr><th>{_name(relation.predicate)}</th><td>{_link(view, relation.node, iri_base)}</td></tr>"


def _name(iri: str) -> str:
    return f'<span title="{escape(iri)}">{escape(compact(iri) or iri)}</span>'


def _link(view: View, iri: str, iri_base: str) -> str:
    text = escape(view.label(iri))
    if iri.startswith(iri_base):
        return f'<a href="/id/{escape(iri[len(iri_base) :])}">{text}</a>'
    if iri.startswith(("https://", "http://")):
        return f'<a href="{escape(iri)}" rel="noreferrer">{text}</a>'
    return f"{text} <code>{escape(iri)}</code>"


# -- rules ------------------------------------------------------------------------------------------------------------


def rule_page(ruling: Ruling, rule: Rule, now: datetime) -> bytes:
    """What a rule asks for and why, what meets and breaks it, who keeps it, and what it does today."""
    facts = [("What it does", escape(_modes(ruling, rule, now))), ("Kept by", escape(rule.owner or "nobody"))]
    facts += [("Since", rule.since.isoformat())] if rule.since is not None else []
    facts += [("Looks at", _targets(rule))] if rule.targets or rule.reaches else []
    facts += [("IRI", f"<code>{escape(rule.iri)}</code>"), ("Rule set", f"<code>{escape(ruling.digest)}</code>")]
    rows = [f"<tr><th>{escape(name)}</th><td>{html}</td></tr>" for name, html in facts]
    shown = turtle(ruling.rules.triples(rule.iri), rule.iri)
    body = (
        f"<p>{escape(rule.comment)}</p><h2>What to do</h2>{_remedies(ruling, rule, now)}"
        f"<h2>The rule</h2><table>{''.join(rows)}</table>{_examples(ruling, rule)}"
        f"<h2>As SHACL</h2><pre>{escape(shown)}</pre>"
    )
    return _page(f"{rule.id}: {rule.label}", body, above='<a href="/rules">Rules</a>')


def rules_page(ruling: Ruling, now: datetime) -> bytes:
    """All rules in force by level, with what they do today and whom to ask."""
    levels: dict[str, list[str]] = {}
    for rule in ruling.rules.rules:
        levels.setdefault(rule.id.rpartition("/")[0], []).append(
            f'<tr><td><a href="/rules/{escape(quote(rule.id))}">{escape(rule.id.rpartition("/")[2])}</a></td>'
            f"<td>{escape(rule.label)}</td><td>{escape(_modes(ruling, rule, now))}</td>"
            f"<td>{escape(rule.owner or '')}</td></tr>"
        )
    head = "<tr><th>Rule</th><th>About</th><th>What it does</th><th>Kept by</th></tr>"
    tables = "".join(
        f'<h2>{escape(level)}</h2><table class="rules">{head}{"".join(rows)}</table>' for level, rows in levels.items()
    )
    return _page("Rules", f"<p>In force: rule set <code>{escape(ruling.digest)}</code></p>{tables}")


_WORDS = {
    Mode.GATE: "refuses",
    Mode.GATE_WHEN_LIVE: "refuses live products, warns others",
    Mode.WARN: "warns",
    Mode.ADVISE: "advises",
}


def _remedies(ruling: Ruling, rule: Rule, now: datetime) -> str:
    """What findings of each part of the rule say, about what and with what effect; first what only the rule says."""
    parts = ruling.rules.parts(rule)
    told = {text for part in parts for text in part.messages}
    lead = [f"<p>{escape(said[1])}</p>" for said in rule.messages if said not in told]
    rows = [
        f"<tr><th>{escape(path_text(part.path) or 'the node itself')}</th><td>{_mode(part.schedule, now)}</td>"
        f"<td>{'<br>'.join(escape(text) for _, text in part.messages)}</td></tr>"
        for part in parts
    ]
    head = "<tr><th>About</th><th>What it does</th><th>What to do</th></tr>"
    return "".join(lead) + (f'<table class="rules">{head}{"".join(rows)}</table>' if rows else "")


def _modes(ruling: Ruling, rule: Rule, now: datetime) -> str:
    """`refuses; in part: warns`: what the rule's own mode does, if any part of it goes by that, before the others."""
    schedules = [part.schedule for part in ruling.rules.parts(rule)] or [rule.schedule]
    own = sorted(schedules, key=lambda schedule: schedule != rule.schedule)
    first, *others = dict.fromkeys(_mode(schedule, now) for schedule in own)
    return f"{first}; in part: {', '.join(others)}" if others else first


def _mode(schedule: Schedule, now: datetime) -> str:
    """`warns; from 2027-01-01: refuses`."""
    today = schedule.at(now.date())
    if schedule.next_mode is None or schedule.next_from is None or today is schedule.next_mode:
        return _WORDS[today]
    return f"{_WORDS[today]}; from {schedule.next_from.isoformat()}: {_WORDS[schedule.next_mode]}"


def _targets(rule: Rule) -> str:
    reached = [_REACHED[word].format(_name(iri)) for word, iri in rule.reaches]
    return "; ".join([*map(_name, rule.targets), *reached])


_REACHED = {
    "targetNode": "the node {}",
    "targetSubjectsOf": "whatever states {}",
    "targetObjectsOf": "whatever {} leads to",
}


def _examples(ruling: Ruling, rule: Rule) -> str:
    ok, bad = examples_of(rule, ruling.rules.rules, ruling.version.files)
    found = "".join(
        f"<details><summary>{title}: {escape(path.rpartition('/')[2])}</summary>"
        f"<pre>{escape(ruling.version.files[path].decode())}</pre></details>"
        for title, paths in (("Meets it", ok), ("Breaks it", bad))
        for path in paths
    )
    return f"<h2>Examples</h2>{found}" if found else ""
