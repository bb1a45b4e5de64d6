"""What a new revision changes and whom it breaks, as JSON and in lines for people: one shape for every answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fairmesh.catalog.changes import Comparison
from fairmesh.catalog.dependents import Dependents

SHOWN = 10
"""Dependents that are named to people."""


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """`{changes: [{kind, what, node, label, before, after, statements, line, column}], version: {before, after,
    required, moved, enough, note, proposed, line, column}, broken: [iri], promised, unannounced}`; see docs/changes.md.
    """
    return {
        "changes": [asdict(change) for change in comparison.changes],
        "version": asdict(comparison.version),
        "broken": list(comparison.broken),
        "promised": comparison.promised,
        "unannounced": comparison.unannounced,
    }


def breaks_json(dependents: Dependents | None) -> dict[str, Any]:
    """`{breaks: [{iri, key, label, domain, owner, distance}], breaks_truncated}`: the products that depend on what
    breaks. Nobody does when nothing was compared. `domain` and `owner` are labels; null where the reader sees none."""
    dependents = dependents or Dependents()
    return {
        "breaks": [
            {"iri": node.iri, **asdict(name), "distance": node.distance}
            for node, name in zip(dependents.nodes, dependents.names, strict=True)
        ],
        "breaks_truncated": dependents.truncated,
    }


def breaking(comparison: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The breaking changes of a comparison as `comparison_json` has it."""
    return [] if comparison is None else [change for change in comparison["changes"] if change["kind"] == "breaking"]


def change_line(change: Mapping[str, Any]) -> str:
    """`column-retyped data.amount: long -> string`."""
    before, after = change["before"], change["after"]
    moved = f"{before} -> {after}" if before and after else f"was {before}" if before else after
    return f"{change['what']} {change['label']}" + (f": {moved}" if moved else "")


def version_line(comparison: Mapping[str, Any]) -> str:
    """What the version does, and what it should do."""
    version = comparison["version"]
    said = f"version {version['before'] or 'none'} -> {version['after'] or 'none'}"
    if not version["enough"]:
        step = "" if version["required"] == "none" else f"{version['required']} step needed, "
        said += f": {step}{version['proposed']} or later"
    if version["note"]:
        said += f" ({version['note']})"
    if breaking(comparison) and not comparison["promised"]:
        said += "; the old revision was not live: nothing was promised yet"
    return said


def breaks_lines(breaks: Sequence[Mapping[str, Any]], truncated: bool) -> Iterator[str]:
    """How many products depend on what breaks, then the first of `breaks_json`, each with its distance:
    `breaks: 2 products`, `  1  finance.revenue  Revenue  (Finance | Controlling)`."""
    yield f"breaks: {len(breaks)}{' or more' if truncated else ''} product{'s' if len(breaks) != 1 else ''}"
    for product in breaks[:SHOWN]:
        kept = " | ".join(part for part in (product["domain"], product["owner"]) if part)
        named = f"  {product['distance']}  {product['key']}  {product['label']}"
        yield f"{named}  ({kept})" if kept else named
    if len(breaks) > SHOWN:
        yield f"  and {len(breaks) - SHOWN} more"
