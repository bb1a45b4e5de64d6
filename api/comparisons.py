"""What a new revision changes and whom it breaks, as JSON and in lines for people: one shape for every answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fairmesh.catalog.changes import Comparison
from fairmesh.catalog.dependents import Dependents

SHOWN = 10
"""Dependents that one line names."""


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
    """`{breaks: [{iri, label, distance}], breaks_truncated}`: the products that depend on what breaks. Nobody does when
    nothing was compared."""
    dependents = dependents or Dependents()
    return {
        "breaks": [
            {"iri": node.iri, "label": label, "distance": node.distance}
            for node, label in zip(dependents.nodes, dependents.labels, strict=True)
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


def breaks_line(breaks: Sequence[Mapping[str, Any]], truncated: bool) -> str:
    """`breaks: 2 products: Revenue, Board (2 steps away)`."""
    count = f"{len(breaks)}{' or more' if truncated else ''} product{'s' if len(breaks) != 1 else ''}"
    names = list(_names(breaks[:SHOWN]))
    more = f" and {len(breaks) - SHOWN} more" if len(breaks) > SHOWN else ""
    return f"breaks: {count}" + (f": {', '.join(names)}{more}" if names else "")


def _names(breaks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for product in breaks:
        far = product["distance"]
        yield product["label"] + (f" ({far} steps away)" if far > 1 else "")
