"""How products stand for one reader, and what search counts by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.fair import BANDS, fair_band
from fairmesh.catalog.model import Facet, FacetBucket, FacetField, Page, SearchHit
from fairmesh.catalog.search import SearchResult
from fairmesh.catalog.standing import Columns, Standing

JUDGED = frozenset({FacetField.CONFORMS, FacetField.FAIR_BAND})
"""The facets that no document states: they follow from how its product stands."""


@dataclass(frozen=True, slots=True)
class Sighted:
    """How products stand for one reader, by slot; `columns` know of nothing that the reader may not read or that is not
    judged yet (`conforms` -1, `score` not a number), and count waivers."""

    columns: Columns
    standings: Mapping[int, Standing]


def judged_facet(result: SearchResult, field: FacetField, sighted: Sighted, size: int) -> Facet:
    """The facet as `SearchResult.facets` gives others. Raises `InputError` for a negative size."""
    if size < 0:
        raise InputError("facet size is negative", remedy="Ask for 0 or more buckets.")
    counts = {
        value: result.count(slots) for value, slots in _values(field, sighted).items()
    }  # fmt: skip
    found = sorted(((n, value) for value, n in counts.items() if n), key=lambda pair: (-pair[0], pair[1]))
    buckets = tuple(FacetBucket(value, n) for n, value in found[:size])
    return Facet(field, buckets, sum(n for n, _ in found[size:]))


def _values(field: FacetField, sighted: Sighted) -> dict[str, NDArray[np.bool_]]:
    if field is FacetField.CONFORMS:
        return {"true": sighted.columns.conforms == 1, "false": sighted.columns.conforms == 0}
    scores, places = np.unique(sighted.columns.score, return_inverse=True)
    bands = np.array([fair_band(score) if score == score else "" for score in scores.tolist()])[places]
    return {band: bands == band for band in BANDS}


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, and what can be asked of everything that was found."""

    page: Page[SearchHit]
    result: SearchResult
    sighted: Callable[[], Sighted]

    def facets(self, fields: Sequence[FacetField], size: int) -> tuple[Facet, ...]:
        """As `SearchResult.facets`; CONFORMS and FAIR_BAND are those of the products that describe what was found."""
        stated = iter(self.result.facets([f for f in fields if f not in JUDGED], size))
        return tuple(
            judged_facet(self.result, f, self.sighted(), size) if f in JUDGED else next(stated) for f in fields
        )

    def suggestions(self) -> tuple[str, ...]:
        return self.result.suggestions()
