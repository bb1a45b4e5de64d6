"""Runs of the search index: documents, their words and facets, as columns of numbers; small runs merge into larger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairmesh.catalog.words import Array

DOCUMENT = np.dtype(
    [
        ("need", "i8"),
        ("stamp", "i8"),
        ("slot", "i4"),
        ("iri", "i4"),
        ("types", "i4"),
        ("label", "i4"),
        ("updated", "f8"),
    ],
    align=True,
)
BLOCK = np.dtype([("need", "i8"), ("length", "i8"), ("document", "i4")], align=True)
POSTING = np.dtype([("block", "u4"), ("weight", "u4")])
FACET = np.dtype([("need", "i8"), ("document", "i4"), ("field", "i4"), ("value", "i4")], align=True)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of documents with their postings; never changed, only merged into larger ones.

    A block is the text of one document for one need. `postings[starts[i]:starts[i + 1]]` are those of `terms[i]`.
    Facets are sorted by field.
    """

    documents: Array
    blocks: Array
    terms: Array
    starts: Array
    postings: Array
    facets: Array

    @property
    def size(self) -> int:
        return len(self.postings) + len(self.documents)

    @property
    def tier(self) -> int:
        """Runs of one tier are at most four times as large as one another."""
        return self.size.bit_length() // 2

    def select(self, terms: Array) -> tuple[Array, Array]:
        """Postings of these (sorted) terms, and for each the place of its term in `terms`."""
        if not len(self.terms):
            return self.postings, np.empty(0, np.int64)
        at = np.searchsorted(self.terms, terms)
        at[at == len(self.terms)] = 0
        which = np.flatnonzero(self.terms[at] == terms)
        at = at[which]
        counts = self.starts[at + 1] - self.starts[at]
        if len(at) == 1:
            chosen = self.postings[self.starts[at[0]] : self.starts[at[0] + 1]]
        else:
            skipped = self.starts[at] - (np.cumsum(counts) - counts)
            chosen = self.postings[np.repeat(skipped, counts) + np.arange(counts.sum())]
        return chosen, np.repeat(which, counts)


def sorted_segment(documents: Array, blocks: Array, terms: Array, postings: Array, facets: Array) -> Segment:
    """`terms` runs beside `postings`, in any order."""
    order = np.argsort(terms, kind="stable")
    terms = terms[order]
    starts = np.flatnonzero(np.diff(terms, prepend=-1))
    facets = facets[np.argsort(facets["field"], kind="stable")]
    return Segment(documents, blocks, terms[starts], np.append(starts, len(terms)), postings[order], facets)


def merge(segments: Sequence[Segment], stamps: Array) -> Segment:
    """One segment with what is still alive of these."""

    def moved(rows: Array, column: str, by: int) -> Array:
        rows = rows.copy()
        rows[column] += by
        return rows

    first_document = np.cumsum([0, *(len(s.documents) for s in segments)]).tolist()
    first_block = np.cumsum([0, *(len(s.blocks) for s in segments)]).tolist()
    documents = np.concatenate([s.documents for s in segments])
    blocks = np.concatenate([moved(s.blocks, "document", n) for s, n in zip(segments, first_document, strict=False)])
    facets = np.concatenate([moved(s.facets, "document", n) for s, n in zip(segments, first_document, strict=False)])
    postings = np.concatenate([moved(s.postings, "block", n) for s, n in zip(segments, first_block, strict=False)])
    terms = np.concatenate([np.repeat(s.terms, np.diff(s.starts)) for s in segments])

    alive = stamps[documents["slot"]] == documents["stamp"]
    if not alive.all():
        documents, new_document = documents[alive], np.cumsum(alive) - 1
        alive_blocks = alive[blocks["document"]]
        blocks, new_block = blocks[alive_blocks], np.cumsum(alive_blocks) - 1
        blocks["document"] = new_document[blocks["document"]]
        facets = facets[alive[facets["document"]]]
        facets["document"] = new_document[facets["document"]]
        alive_postings = alive_blocks[postings["block"]]
        postings, terms = postings[alive_postings], terms[alive_postings]
        postings["block"] = new_block[postings["block"]]
    return sorted_segment(documents, blocks, terms, postings, facets)
