"""Plain HTML pages: a node's facts as a table, and the rules. Everything is escaped."""

from __future__ import annotations

from datetime import datetime
from html import escape
from urllib.parse import quote

from fairmesh.catalog.model import Direction, PageRequest, Relation
from fairmesh.catalog.rdf import TURTLE, compact
from fairmesh.catalog.rulefiles import Rule
from fairmesh.catalog.ruling import Ruling
from fairmesh.catalog.view import View

ROWS = PageRequest(first=200)


def node_page(view: View, iri: str, iri_base: str) -> bytes:
    """What the reader may see of a node; long lists end with how many rows were left out."""
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
    return _page(label, f"<p><code>{escape(iri)}</code> {types}</p>{about}{''.join(parts)}")


def _page(title: str, body: str) -> bytes:
    """`body` is HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/portal/style.css"></head>
<body class="page"><main><p><a href="/">fairmesh</a></p><h1>{escape(title)}</h1>
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
    today = rule.schedule.at(now.date())
    facts = [("What it does", _modes(rule, now)), ("Kept by", rule.owner or "nobody")]
    facts += [("Since", rule.since.isoformat())] if rule.since is not None else []
    facts += [("About", ", ".join(compact(target) or target for target in rule.targets))] if rule.targets else []
    facts += [("Rule set", ruling.digest)]
    rows = [f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts]
    remedies = "".join(f"<li>{escape(text)}</li>" for _, text in dict.fromkeys(rule.messages))
    body = (
        f"<p>{escape(rule.comment)}</p><h2>What to do</h2><ul>{remedies}</ul>"
        f"<table>{''.join(rows)}</table>{_examples(ruling, rule)}"
        f"<h2>As SHACL</h2><pre>{escape(ruling.rules.rdf(rule.iri, TURTLE).decode())}</pre>"
    )
    return _page(f"{rule.id}: {rule.label}", f"<p><code>{escape(rule.iri)}</code> {escape(today.value)}</p>{body}")


def rules_page(ruling: Ruling, now: datetime) -> bytes:
    """All rules in force, with what they do today."""
    rows = [
        f'<tr><th><a href="/rules/{escape(quote(rule.id))}">{escape(rule.id)}</a></th><td>{escape(rule.label)}</td>'
        f"<td>{escape(_modes(rule, now))}</td><td>{escape(rule.owner or '')}</td></tr>"
        for rule in ruling.rules.rules
    ]
    return _page("Rules", f"<p>Rule set <code>{escape(ruling.digest)}</code></p><table>{''.join(rows)}</table>")


def _modes(rule: Rule, now: datetime) -> str:
    """`warn; gate from 2027-01-01`."""
    schedule, today = rule.schedule, rule.schedule.at(now.date())
    if schedule.next_mode is None or schedule.next_from is None or today is schedule.next_mode:
        return today.value
    return f"{today.value}; {schedule.next_mode.value} from {schedule.next_from.isoformat()}"


def _examples(ruling: Ruling, rule: Rule) -> str:
    level, _, tail = rule.id.rpartition("/")
    found = []
    for word, title in (("ok", "Meets it"), ("bad", "Breaks it")):
        start = f"{level}/examples/{word}-{tail}"
        for path, text in ruling.version.files.items():
            if path == f"{start}.ttl" or path.startswith(f"{start}-"):
                found.append(
                    f"<details><summary>{title}: {escape(path.rpartition('/')[2])}</summary>"
                    f"<pre>{escape(text.decode())}</pre></details>"
                )
    return f"<h2>Examples</h2>{''.join(found)}" if found else ""
