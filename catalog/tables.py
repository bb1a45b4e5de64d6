"""The tables behind a product's datasets, by their physical names: (namespace, name), as OpenLineage has them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from fairmesh.catalog.document import CSVW, DCAT, DCT, Statements
from fairmesh.catalog.model import CLASSIFICATIONS, FM, Need, column_need

_PHYSICAL = FM + "physicalName"
_WORDS = tuple((word, column_need(word)) for word in CLASSIFICATIONS)


@dataclass(frozen=True, slots=True)
class Table:
    """A table as one product describes it.

    `entry` is a JSON object, keys in order: the product's key, the dataset's IRI, and by the physical name of each
    column the classifications a reader needs for it. A column nested in another counts as part of that one.
    """

    namespace: str
    name: str
    entry: bytes


def tables_of(
    graph: Statements, key: str, columns: Mapping[str, Collection[str]], needs: Mapping[str, int]
) -> Iterator[Table]:
    """The tables of a product with this key; `columns` are those of each dataset, `needs` as in a projection."""
    for dataset, listed in columns.items():
        places = {
            (namespace, name)
            for distribution in graph.iris(dataset, DCAT + "distribution")
            for _, name, _ in graph.texts(distribution, _PHYSICAL)
            for service in graph.iris(distribution, DCAT + "accessService")
            for _, namespace, _ in graph.texts(service, FM + "namespace")
        }
        if places:
            words = {
                name: [word for word, asked in _WORDS if need & asked == asked]
                for name, need in _columns(graph, listed, needs).items()
            }
            entry = {"columns": words, "dataset": dataset, "product": key}
            text = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            yield from (Table(namespace, name, text) for namespace, name in sorted(places))


def _columns(graph: Statements, listed: Collection[str], needs: Mapping[str, int]) -> dict[str, int]:
    """What is needed for each column of a table, by its physical name."""
    found: dict[str, int] = defaultdict(int)
    for column in listed:
        for top in _tops(graph, column, listed):
            for _, name, _ in graph.texts(top, _PHYSICAL) or graph.texts(top, CSVW + "name"):
                found[name] |= needs.get(column, Need.READ)
    return found


def _tops(graph: Statements, column: str, listed: Collection[str]) -> list[str]:
    """The columns of the table that this one is nested in, itself when it is in none."""
    found, waiting, passed = [], [column], {column}
    while waiting:
        inner = waiting.pop()
        above = [iri for iri in graph.iris(inner, DCT + "isPartOf") if iri in listed]
        if not above:
            found.append(inner)
        waiting += [iri for iri in above if iri not in passed]
        passed |= set(above)
    return found or [column]
