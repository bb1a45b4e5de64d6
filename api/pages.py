"""A plain HTML page for a node: its facts as a table, everything escaped."""

from __future__ import annotations

from html import escape

from fairmesh.catalog.model import Direction, PageRequest, Relation
from fairmesh.catalog.rdf import compact
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
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(label)}</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/portal/style.css"></head>
<body class="page"><main><p><a href="/">fairmesh</a></p><h1>{escape(label)}</h1>
<p><code>{escape(iri)}</code> {types}</p>{f"<p>{escape(description)}</p>" if description else ""}
{"".join(parts)}</main></body></html>
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
