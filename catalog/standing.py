"""How every product stands: what the rules and the FAIR indicators say of it, kept up to date.

A `Standing` speaks of the whole document, as somebody sees it from whom nothing is hidden. For a reader who sees less
of a product, or less of what its verdict rests on, it is not used: see `Standings.whole`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog.fair import Scores
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.model import EVERYTHING, Need, Report, Severity
from fairmesh.catalog.registry import Grants, Product, Registry

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Standing:
    """The verdict on one product. `edition` is that of the rules it was judged by, see `edition_of`.

    `broken` counts, by rule, the findings that gate when they are not waived, and the others. `failed` are rules that
    could not be evaluated. `fair` is None while no assessment is known. `tangled`: the verdict rests on what other
    products say of shared nodes.
    """

    edition: str
    broken: tuple[tuple[str, int, int], ...] = ()
    failed: tuple[str, ...] = ()
    fair: Scores | None = None
    tangled: bool = False

    @classmethod
    def of(cls, edition: str, report: Report, fair: Scores | None, *, tangled: bool = False) -> Standing:
        """The standing that a report, with or without waivers applied, comes to."""
        counts: dict[str, list[int]] = {}
        for finding in report.findings:
            counts.setdefault(finding.rule, [0, 0])[finding.severity is not Severity.VIOLATION] += 1
        broken = tuple((rule, gating, other) for rule, (gating, other) in sorted(counts.items()))
        return cls(edition, broken, tuple(sorted(rule for rule, _ in report.failed)), fair, tangled)

    def conforms(self, waived: Collection[str] = ()) -> bool:
        """Whether no rule refuses the product, but for those that are waived for it."""
        return not any(gating and rule not in waived for rule, gating, _ in self.broken)

    def same(self, other: Standing | None) -> bool:
        """Whether the verdict is the same, whatever edition gave it."""
        return other is not None and replace(self, edition=other.edition) == other

    def json(self) -> dict[str, Any]:
        """As the journal keeps it; `read` is the way back."""
        kept: dict[str, Any] = {"edition": self.edition}
        if self.broken:
            kept["broken"] = {rule: [gating, other] for rule, gating, other in self.broken}
        if self.failed:
            kept["failed"] = list(self.failed)
        if self.fair is not None:
            kept["fair"] = list(astuple(self.fair))
        if self.tangled:
            kept["tangled"] = True
        return kept

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Standing:
        broken = tuple((rule, gating, other) for rule, (gating, other) in kept.get("broken", {}).items())
        fair = kept.get("fair")
        scores = None if fair is None else Scores(*fair)
        return cls(kept["edition"], broken, tuple(kept.get("failed", ())), scores, kept.get("tangled", False))


def edition_of(rules: RuleSet, now: datetime) -> str:
    """Names what the rules say on a day: the digest and, once a mode has changed by its date, the last such date."""
    past = [day for day in rules.turns if day <= now.date()]
    return rules.digest + (f"@{past[-1].isoformat()}" if past else "")


class Standings:
    """The standing of every product, by slot. Written under the catalog's exclusive lock."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.by_slot: dict[int, Standing] = {}
        self.judged: dict[int, int] = {}
        """By slot: a hash of what was judged, its statements and what the mesh said of what it refers to."""
        self.revision = 0
        """Counts changes; what is derived from standings is cached by it."""
        self.edition = ""
        self.upto = ""
        """All products whose home is not after `upto` stand as `edition` has it, when it is under way or done."""
        self._tangled: set[int] = set()
        self._referring: dict[str, set[int]] = {}
        self._references: dict[int, frozenset[str]] = {}
        self._edges: tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64]] | None = None

    def put(self, product: Product, standing: Standing) -> None:
        """Note how a product stands."""
        self.by_slot[product.slot] = standing
        (self._tangled.add if standing.tangled else self._tangled.discard)(product.slot)
        self.revision += 1

    def settled(self, product: Product, edition: str) -> bool:
        """Whether the product was judged by this edition."""
        known = self.by_slot.get(product.slot)
        by_pass = self.edition == edition and product.home <= self.upto
        return known is not None and (known.edition == edition or by_pass)

    def refer(self, product: Product) -> None:
        """Note what a product refers to, before it is judged."""
        old = self._references.get(product.slot, frozenset())
        if product.references != old:
            for iri in old - product.references:
                self._referring[iri].discard(product.slot)
            for iri in product.references - old:
                self._referring.setdefault(iri, set()).add(product.slot)
            self._references[product.slot] = product.references
            self.revision += 1

    def forget(self, product: Product) -> None:
        """A product was retired, or changed and is not judged yet."""
        self.by_slot.pop(product.slot, None)
        self.judged.pop(product.slot, None)
        self._tangled.discard(product.slot)
        self.revision += 1

    def referring(self, nodes: Iterable[str]) -> set[int]:
        """The slots of products that refer to one of these nodes."""
        return {slot for node in nodes for slot in self._referring.get(node, ())}

    def whole(self, grants: Grants) -> Bools:
        """A bool per slot: whether a reader with these grants sees everything that the standing rests on."""
        products = self._registry.slots
        visible = self._registry.visible(grants)
        need = np.array([p.need for p in products], np.int64)
        sees: Bools = (visible & Need.READ == Need.READ) & (visible & need == need)
        alive = np.array([not p.retired for p in products], np.bool_)
        if bool(np.all((visible[alive] & EVERYTHING) == EVERYTHING)):
            return sees
        result = sees.copy()
        sources, targets = self._edge_arrays()
        result[sources[~sees[targets]]] = False
        result[[slot for slot in self._tangled if slot < len(result)]] = False
        return result

    def _edge_arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which product refers to nodes of which other one, as two arrays of slots."""
        state = (self.revision, self._registry.revision)
        if self._edges is None or self._edges[0] != state:
            pairs = {
                (slot, holder.slot)
                for iri, slots in self._referring.items()
                if slots and (holder := self._registry.holder(iri)) is not None
                for slot in slots
            }
            both = np.array(sorted(pairs), np.int64).reshape(-1, 2)
            self._edges = (state, both[:, 0], both[:, 1])
        return self._edges[1], self._edges[2]
