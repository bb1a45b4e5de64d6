"""Full-text search with facets over exactly what a reader may see.

Every number that shows in an answer - term and document frequencies, average length, scores, counts - is taken from the
visible documents alone. An index with hidden documents answers as one that never held them, to the last bit of a score.

Ranking is BM25 (k1 1.2, b 0.6) with term frequencies weighted by predicate: title 8, label, keyword and identifier 5,
description 2, others 1. All sums are of integers, or run in the order of the query, so that neither the order of
writes nor the layout of the index shows. The collection whose statistics count is the visible documents of the types
asked for; filters take away from the answer and leave scores as they are.

A query word (see `words`) matches the same word, accents aside, words with the same stem and, for the last word of a
query that is still being typed, words it begins. A word that no document searched has stands for the nearest words they
have. A compound word such as `customer_id` matches as a whole or by all its parts.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from fairmesh.catalog.errors import InputError, TooLarge
from fairmesh.catalog.model import (
    FM,
    Facet,
    FacetBucket,
    FacetField,
    Highlight,
    SearchDocument,
    SearchHit,
    SearchOrder,
    SearchText,
)
from fairmesh.catalog.segments import BLOCK, DOCUMENT, FACET, POSTING, Segment, merge, sorted_segment
from fairmesh.catalog.words import (
    TYPO,
    Array,
    Finder,
    Names,
    Sorted,
    Vocabulary,
    Word,
    count_words,
    label_key,
    language_of,
    words_of,
)

Bools: TypeAlias = npt.NDArray[np.bool_]
Grants: TypeAlias = npt.NDArray[np.int64]
"""By slot: the bits of `Need` and `FIELDS` a reader is granted; a slot beyond the array is granted nothing."""
Cursor: TypeAlias = tuple[float | str, str]
"""(order and what it sorts by, IRI) of a hit: where the next page starts. The first part is the order's name, a space,
and the score, the epoch seconds or the label key, as a text. JSON carries it without loss."""

DATA_PRODUCT: Final = "https://ekgf.github.io/dprod/DataProduct"
MAX_FIRST: Final = 200
MAX_WORDS: Final = 32
FRAGMENT: Final = 200

_TITLE, _NAME, _DESCRIPTION, _OTHER = 8, 5, 2, 1
_DCT = "http://purl.org/dc/terms/"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_FIELD_WEIGHTS = {
    _DCT + "title": _TITLE,
    _DCT + "identifier": _NAME,
    "http://www.w3.org/ns/dcat#keyword": _NAME,
    "http://www.w3.org/ns/csvw#name": _NAME,
    "http://www.w3.org/ns/csvw#title": _NAME,
    "http://xmlns.com/foaf/0.1/name": _NAME,
    _RDFS + "label": _NAME,
    _SKOS + "prefLabel": _NAME,
    _SKOS + "altLabel": _NAME,
    FM + "physicalName": _NAME,
    _DCT + "description": _DESCRIPTION,
    _RDFS + "comment": _DESCRIPTION,
    _SKOS + "definition": _DESCRIPTION,
}
_K1, _B = 1.2, 0.6
_MAX_CORRECTIONS = 8
_MAX_SUGGESTIONS = 5
_FEW_HITS = 3
_FIELDS = {field: number for number, field in enumerate(FacetField)}


# -- what one reader sees -------------------------------------------------------------------------------------------


def _granted(visible: Grants, slots: Array, needs: Array) -> Bools:
    if not len(visible):
        return np.zeros(len(slots), np.bool_)
    granted: Bools = (visible.take(slots, mode="clip") & needs == needs) & (slots < len(visible))
    return granted


class _Population:
    """The visible documents of the types asked for: one member per IRI, numbered from 0 in the order of IRIs.

    Holds what it needs for as long as it lives: later writes do not reach it. Lazy parts may be computed twice by
    threads that race; both get the same.
    """

    def __init__(self, segments: Sequence[Segment], stamps: Array, visible: Grants, wanted: Bools, iris: Sorted):
        order = iris.order()
        seen = [
            (stamps[d["slot"]] == d["stamp"]) & _granted(visible, d["slot"], d["need"])
            for d in (s.documents for s in segments)
        ]
        member = np.zeros(len(order), np.bool_)
        for segment, ok in zip(segments, seen, strict=True):
            member[segment.documents["iri"][ok & wanted[segment.documents["types"]]]] = True
        self.iris = order[member[order]]
        self.size = len(self.iris)
        self.member_of_iri = np.full(len(order), -1, np.int32)
        self.member_of_iri[self.iris] = np.arange(self.size, dtype=np.int32)
        self._segments = segments
        self._visible = visible
        self._of_document = [
            np.where(ok, self.member_of_iri[s.documents["iri"]], -1) for s, ok in zip(segments, seen, strict=True)
        ]
        self._of_block = [self._members(s.blocks, s, of) for s, of in zip(segments, self._of_document, strict=True)]
        self.lengths = np.zeros(self.size)
        for segment, of in zip(segments, self._of_block, strict=True):
            kept = of >= 0
            self.lengths += np.bincount(of[kept], segment.blocks["length"][kept], self.size)
        self.average = float(self.lengths.sum()) / max(self.size, 1)
        self._facets: dict[FacetField, tuple[Array, Array, Array]] = {}

    def _members(self, rows: Array, segment: Segment, of_document: Array) -> Array:
        """The member each row counts for; -1 where the row or its document is hidden."""
        slots = segment.documents["slot"][rows["document"]]
        return np.where(_granted(self._visible, slots, rows["need"]), of_document[rows["document"]], -1)

    def _postings(self, terms: Array) -> tuple[Array, Array, Array]:
        """Visible postings of sorted terms: the members, their weights, the places of the terms."""
        found = []
        for segment, of in zip(self._segments, self._of_block, strict=True):
            postings, places = segment.select(terms)
            if len(postings):
                members = of[postings["block"]]
                kept = members >= 0
                found.append((members[kept], postings["weight"][kept], places[kept]))
        if not found:
            return np.empty(0, np.int32), np.empty(0, np.uint32), np.empty(0, np.int64)
        members, weights, places = (np.concatenate(column) for column in zip(*found, strict=True))
        return members, weights, places

    def marked(self, members: Array) -> Bools:
        marks = np.zeros(self.size, np.bool_)
        marks[members] = True
        return marks

    def frequencies(self, spellings: dict[int, int]) -> tuple[Array, Array]:
        """Members that have one of the terms, ascending, and how often, by weight."""
        terms = np.array(sorted(spellings), np.int32)
        eighths = np.array([spellings[term] for term in terms.tolist()], np.float64)
        members, weights, places = self._postings(terms)
        if not len(members):
            return members, np.empty(0)
        total = np.bincount(members, weights * eighths[places], self.size)
        having = np.flatnonzero(total)
        return having, total[having] / 8

    def counts(self, groups: Sequence[Sequence[int]]) -> list[int]:
        """For each group of terms, how many members have one of them."""
        group_of = {term: number for number, group in enumerate(groups) for term in group}
        terms = np.array(sorted(group_of), np.int32)
        members, _, places = self._postings(terms)
        numbers = np.array([group_of[term] for term in terms.tolist()], np.int64)
        pairs = np.unique(numbers[places] << 32 | members)
        return cast(list[int], np.bincount(pairs >> 32, minlength=len(groups)).tolist())

    def facets(self, field: FacetField) -> tuple[Array, Array, Array]:
        """Values, where the members of each start, and all members: `members[starts[i]:starts[i + 1]]`, each once."""
        if field not in self._facets:
            found: list[Array] = [np.empty(0, np.int64)]
            for segment, of_document in zip(self._segments, self._of_document, strict=True):
                bounds = np.searchsorted(segment.facets["field"], (_FIELDS[field], _FIELDS[field] + 1))
                rows = segment.facets[bounds[0] : bounds[1]]
                members = self._members(rows, segment, of_document)
                kept = members >= 0
                found.append(rows["value"][kept].astype(np.int64) << 32 | members[kept])
            pairs = np.sort(np.concatenate(found))
            pairs = pairs[np.diff(pairs, prepend=-1) > 0]
            starts = np.flatnonzero(np.diff(pairs >> 32, prepend=-1))
            self._facets[field] = pairs[starts] >> 32, np.append(starts, len(pairs)), pairs & 0xFFFFFFFF
        return self._facets[field]

    def allowed(self, slots: Bools) -> Bools:
        """Members that one of their visible documents in these slots describes."""
        result = np.zeros(self.size, np.bool_)
        for segment, of in zip(self._segments, self._of_document, strict=True):
            numbers = segment.documents["slot"]
            inside = (of >= 0) & (numbers < len(slots))
            result[of[inside][slots[numbers[inside]]]] = True
        return result

    def first_label(self, ranks: Array) -> Array:
        """The rank of each member's label, the first one where documents differ."""
        result = np.full(self.size, np.iinfo(np.int32).max, np.int32)
        for segment, of in zip(self._segments, self._of_document, strict=True):
            np.minimum.at(result, of[of >= 0], ranks[segment.documents["label"][of >= 0]])
        return result

    @functools.cached_property
    def updated(self) -> Array:
        result = np.full(self.size, -np.inf)
        for segment, of in zip(self._segments, self._of_document, strict=True):
            np.maximum.at(result, of[of >= 0], segment.documents["updated"][of >= 0])
        return result

    def best(self, ranks: Array) -> Array:
        """The greatest of the ranks of each member's slots; -1 for none."""
        result = np.full(self.size, -1.0)
        known = np.append(np.nan_to_num(ranks, nan=-1.0), -1.0)
        for segment, of in zip(self._segments, self._of_document, strict=True):
            slots = np.minimum(segment.documents["slot"][of >= 0], len(ranks))
            np.maximum.at(result, of[of >= 0], known[slots])
        return result


# -- queries --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class SearchQuery:
    """What to look for.

    text: words; None lists all. A text without a word (punctuation, blanks) finds nothing. At most 32 words. The last
        word also matches words it begins, unless something follows it.
    types: resources with at least one of exactly these types; None: data products.
    slots: a filter, a bool per slot. It does not change scores.
    order: RELEVANCE (best first; all equal where text is None), LABEL (case and accents folded), UPDATED (newest
        first). Ties break by IRI.
    langs: language tags of the reader; stems of other languages count less.
    ranks: for the order FAIR_SCORE, a number per slot, not a number for none; best first, those without last.
    first: 0 to 200 hits; after: the cursor of the hit before the first one.
    """

    text: str | None = None
    types: frozenset[str] | None = None
    slots: Bools | None = None
    order: SearchOrder = SearchOrder.RELEVANCE
    langs: tuple[str, ...] = ()
    ranks: Array | None = None
    first: int = 20
    after: Cursor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Match:
    """One word of a query: the terms that stand for it, the members that have them and how often."""

    word: str
    terms: frozenset[int]
    members: Array
    frequencies: Array


@dataclass(frozen=True, slots=True)
class _Clause:
    """One word as typed: a document meets it with the whole or with all parts (a simple word is its only part)."""

    whole: _Match | None
    parts: tuple[_Match, ...]

    def matches(self) -> Iterator[_Match]:
        if self.whole is not None:
            yield self.whole
        yield from self.parts

    def met(self, population: _Population) -> Bools:
        met = population.marked(self.parts[0].members)
        for part in self.parts[1:]:
            met &= population.marked(part.members)
        return met if self.whole is None else met | population.marked(self.whole.members)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of hits, with a cursor each. `total` is exact.

    `facets` and `suggestions` may be asked for later; they speak of the moment of the search, whatever was written
    since.
    """

    hits: tuple[SearchHit, ...]
    cursors: tuple[Cursor, ...]
    total: int
    has_next: bool
    _index: Index
    _population: _Population
    _found: Array
    _matches: tuple[_Match, ...]

    def facets(self, fields: Sequence[FacetField], size: int) -> tuple[Facet, ...]:
        """For each field the `size` most frequent values among all that was found; each IRI counts once a value.

        Ties break by value. Values that nothing found has are left out.
        """
        if size < 0:
            raise InputError("facet size is negative", remedy="Ask for 0 or more buckets.")
        return tuple(self._facet(field, size) for field in fields)

    def count(self, slots: Bools) -> int:
        """How many of all that was found are described in one of these slots."""
        return int(np.count_nonzero(self._population.allowed(slots)[self._found]))

    def suggestions(self) -> tuple[str, ...]:
        """Words the reader may have meant, at most 5: nearest first, then the more frequent, then by alphabet.

        There are some for words that nothing searched has and, when at most 3 hits were found, for words that are
        rarer than their neighbours.
        """
        found: list[tuple[int, int, str]] = []
        for match in self._matches:
            own = self._index._count_of(self._population, match.word)
            if own == 0 or self.total <= _FEW_HITS:
                near = self._index._corrections(self._population, match.word)
                found.extend((n.errors, -n.members, n.word) for n in near if n.members > own)
        words = dict.fromkeys(word for _, _, word in sorted(found))
        return tuple(words)[:_MAX_SUGGESTIONS]

    def _facet(self, field: FacetField, size: int) -> Facet:
        values, starts, members = self._population.facets(field)
        found = np.flatnonzero(self._population.marked(self._found)[members])
        counts = np.diff(np.searchsorted(found, starts))
        at = np.flatnonzero(counts)
        if len(at) > size > 0:
            at = at[counts[at] >= np.partition(counts[at], -size)[-size]]
        names = self._index._facet_values.texts
        order = sorted(at.tolist(), key=lambda n: (-counts[n], names[values[n]]))[:size]
        rest = self._population.marked(members[found])
        for n in order:
            rest[members[starts[n] : starts[n + 1]]] = False
        buckets = tuple(FacetBucket(names[values[n]], int(counts[n])) for n in order)
        return Facet(field, buckets, int(np.count_nonzero(rest)))


class _Correction(NamedTuple):
    errors: int
    members: int
    word: str


# -- the index ------------------------------------------------------------------------------------------------------


class Index:
    """Search documents by the slot of the product they come from.

    `put` and `load` need exclusive access; any number of threads may search between them. A write is seen by every
    search after it. Documents of several slots with one IRI are one resource: what is visible of them is searched
    and shown together.

    `visible` says what a reader is granted; see `Grants`. An array is recognised by
    identity from one search to the next and must not be changed once it was used. Words, labels and IRIs that were
    once seen stay in memory, unseen by readers, for as long as the index lives.
    """

    def __init__(self) -> None:
        self._documents: dict[int, tuple[SearchDocument, ...]] = {}
        self._segments: tuple[Segment, ...] = ()
        self._stamps: Array = np.zeros(64, np.int64)  # by slot: the write whose rows count
        self._writes = 0
        self._alive = 0  # documents held
        self._vocabulary = Vocabulary()
        self._iris = Names()
        self._labels = Names()
        self._facet_values = Names()
        self._types: dict[frozenset[str], int] = {}
        self._slots_of_iri: dict[int, tuple[int, ...]] = {}
        self._populations: list[tuple[Grants, frozenset[str], _Population]] = []
        self._lock = threading.Lock()

    def put(self, slot: int, documents: Sequence[SearchDocument]) -> None:
        """Replace all documents of the slot; none takes it out."""
        self.load({slot: documents})

    def load(self, by_slot: Mapping[int, Sequence[SearchDocument]]) -> None:
        """Replace all documents of several slots: quicker than one after the other."""
        if by_slot and min(by_slot) < 0:
            raise ValueError(f"slot {min(by_slot)} is negative")
        self._writes += 1
        segment = self._segment(by_slot)
        for slot, documents in by_slot.items():
            self._forget(slot)
            if documents:
                self._documents[slot] = tuple(documents)
                self._alive += len(documents)
                self._stamps[slot] = self._writes
        for slot, number in set(zip(*(segment.documents[name].tolist() for name in ("slot", "iri")), strict=True)):
            self._slots_of_iri[number] = tuple(sorted((*self._slots_of_iri.get(number, ()), slot)))
        if len(segment.documents):
            self._segments = (*self._segments, segment)
        self._tidy()

    def digest(self) -> str:
        """SHA-256 of the documents held, whatever their order and slots."""
        digests = sorted(_digest(document) for documents in self._documents.values() for document in documents)
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def search(self, query: SearchQuery, visible: Grants) -> SearchResult:
        """Find, rank and page what the reader may see.

        Documents that meet all words; where there is none among the visible documents of the types asked for, filters
        aside, those that meet any. Raises InputError for a page size or cursor that is none, TooLarge for a text of
        more than 32 words.
        """
        if not 0 <= query.first <= MAX_FIRST:
            raise InputError(f"first is {query.first}", remedy=f"Ask for 0 to {MAX_FIRST} hits a page.")
        population = self._population(visible, frozenset({DATA_PRODUCT}) if query.types is None else query.types)
        clauses = [] if query.text is None else self._clauses(query, population)
        found, scores = self._found(query, population, clauses)
        kept = self._allowed(query, population)[found]
        found, scores = found[kept], scores[kept]
        keys = self._sort_keys(query, population, found, scores)
        page, has_next = self._page(query, population, found, keys)
        finder = self._finder(clauses)
        return SearchResult(
            tuple(self._hit(int(population.iris[found[at]]), float(scores[at]), finder, visible) for at in page),
            tuple((self._key(query.order, keys[at]), self._iris.texts[population.iris[found[at]]]) for at in page),
            len(found),
            has_next,
            self,
            population,
            found,
            tuple(part for clause in clauses for part in clause.parts),
        )

    def _count_of(self, population: _Population, word: str) -> int:
        """How many members have the word or its stem."""
        return population.counts([list(self._vocabulary.spellings(word, False, frozenset()))])[0]

    def _corrections(self, population: _Population, word: str) -> list[_Correction]:
        """The words of the population nearest to this one: fewest errors, then most members, then by alphabet."""
        near: dict[str, tuple[int, list[int]]] = {}
        for errors, term in self._vocabulary.near(word):
            near.setdefault(self._vocabulary.folded(term), (errors, []))[1].append(term)
        if not near:
            return []
        counts = population.counts([terms for _, terms in near.values()])
        found = [
            _Correction(errors, count, text)
            for (text, (errors, _)), count in zip(near.items(), counts, strict=True)
            if count
        ]
        return sorted(found, key=lambda c: (c.errors, -c.members, c.word))[:_MAX_CORRECTIONS]

    # writing

    def _segment(self, by_slot: Mapping[int, Sequence[SearchDocument]]) -> Segment:
        rows: list[tuple[Any, ...]] = []
        blocks: list[tuple[int, int, int]] = []
        facets: dict[tuple[int, int, int, int], None] = {}
        terms: list[int] = []
        postings: list[tuple[int, int]] = []
        for slot, document in ((slot, document) for slot, documents in by_slot.items() for document in documents):
            number = len(rows)
            rows.append((
                document.need, self._writes, slot, self._iris.number(document.iri),
                self._types.setdefault(frozenset(document.types), len(self._types)),
                self._labels.number(label_key(document.label)), document.updated,
            ))  # fmt: skip
            for need in sorted({text.need for text in document.texts}):
                weights, length = self._weights(text for text in document.texts if text.need == need)
                terms.extend(weights)
                postings.extend((len(blocks), weight) for weight in weights.values())
                blocks.append((need, length, number))
            for facet in document.facets:
                facets[facet.need, number, _FIELDS[facet.field], self._facet_values.number(facet.value)] = None
        return sorted_segment(
            np.array(rows, DOCUMENT),
            np.array(blocks, BLOCK),
            np.array(terms, np.int32),
            np.array(postings, POSTING),
            np.array(list(facets), FACET),
        )

    def _weights(self, texts: Iterable[SearchText]) -> tuple[dict[int, int], int]:
        weights: dict[int, int] = {}
        length = 0
        for text in texts:
            language, weight = language_of(text.lang), _FIELD_WEIGHTS.get(text.predicate, _OTHER)
            for word, times in count_words(text.text).items():
                term = self._vocabulary.add(word, language)
                weights[term] = weights.get(term, 0) + weight * times
                length += times
        return weights, length

    def _forget(self, slot: int) -> None:
        if slot >= len(self._stamps):
            self._stamps = np.concatenate((self._stamps, np.zeros(max(len(self._stamps), slot), np.int64)))
        self._stamps[slot] = 0
        forgotten = self._documents.pop(slot, ())
        self._alive -= len(forgotten)
        for iri in {document.iri for document in forgotten}:
            number = self._iris.number(iri)
            self._slots_of_iri[number] = tuple(s for s in self._slots_of_iri[number] if s != slot)
        with self._lock:
            self._populations.clear()

    def _tidy(self) -> None:
        """Merge segments so that few are left, each row a logarithmic number of times, and drop dead rows in time."""
        segments = list(self._segments)
        while segments:
            tier = segments[-1].tier
            run = next((n for n, s in enumerate(reversed(segments)) if s.tier > tier), len(segments))
            if run < 4:
                break
            segments[-run:] = [merge(segments[-run:], self._stamps)]
        held = sum(len(segment.documents) for segment in segments)
        if held > 2 * self._alive + 64:
            segments = [merge(segments, self._stamps)]
        self._segments = tuple(segments)

    # reading

    def _population(self, visible: Grants, types: frozenset[str]) -> _Population:
        with self._lock:
            for known_visible, known_types, population in self._populations:
                if known_visible is visible and known_types == types:
                    return population
        wanted = np.array([not types.isdisjoint(kinds) for kinds in self._types], np.bool_)
        population = _Population(self._segments, self._stamps, visible, wanted, self._iris)
        with self._lock:
            self._populations = [(visible, types, population), *self._populations[:7]]
        return population

    def _clauses(self, query: SearchQuery, population: _Population) -> list[_Clause]:
        text = query.text or ""
        words: dict[str, Word] = {}
        for word in words_of(text):
            words[word.text] = word  # the later one: it may be the last
            if len(words) > MAX_WORDS:
                raise TooLarge(f"the search text has more than {MAX_WORDS} words", remedy="Search for fewer words.")
        preferred = frozenset(map(language_of, query.langs))
        return [self._clause(word, word.end == len(text), preferred, population) for word in words.values()]

    def _clause(self, word: Word, prefix: bool, preferred: frozenset[str], population: _Population) -> _Clause:
        def match(text: str, unfinished: bool) -> _Match:
            spellings = self._vocabulary.spellings(text, unfinished, preferred)
            return _Match(text, frozenset(spellings), *population.frequencies(spellings))

        if not word.parts:
            return _Clause(None, (self._corrected(match(word.text, prefix), population),))
        whole = match(word.text, prefix)
        parts = [match(part.text, prefix and part is word.parts[-1]) for part in word.parts]
        if not len(whole.members):
            parts = [self._corrected(part, population) for part in parts]
        return _Clause(whole, tuple(parts))

    def _corrected(self, match: _Match, population: _Population) -> _Match:
        near = [] if len(match.members) else self._corrections(population, match.word)
        if not near:
            return match
        meant = [correction for correction in near if correction.errors == near[0].errors]
        terms = (self._vocabulary.spellings(correction.word, False, frozenset()) for correction in meant)
        spellings = dict.fromkeys(itertools.chain.from_iterable(terms), TYPO[near[0].errors])
        return _Match(match.word, frozenset(spellings), *population.frequencies(spellings))

    def _found(self, query: SearchQuery, population: _Population, clauses: list[_Clause]) -> tuple[Array, Array]:
        """Members found, ascending, and their scores."""
        if query.text is None:
            return np.arange(population.size), np.zeros(population.size)
        if not clauses:
            return np.empty(0, np.int64), np.empty(0)
        met = [clause.met(population) for clause in clauses]
        found = np.flatnonzero(np.logical_and.reduce(met))
        if not len(found):
            found = np.flatnonzero(np.logical_or.reduce(met))
        scores = np.zeros(population.size)
        for clause in clauses:
            for match in clause.matches():
                scores[match.members] += _bm25(match, population)
        return found, scores[found]

    def _allowed(self, query: SearchQuery, population: _Population) -> Bools:
        return np.ones(population.size, np.bool_) if query.slots is None else population.allowed(query.slots)

    def _sort_keys(self, query: SearchQuery, population: _Population, found: Array, scores: Array) -> Array:
        """What the found sort by, ascending; ties are left in the order of IRIs."""
        if query.order is SearchOrder.LABEL:
            return population.first_label(self._labels.ranks())[found]
        if query.ranks is not None:
            return -population.best(query.ranks)[found]
        return -population.updated[found] if query.order is SearchOrder.UPDATED else -scores

    def _key(self, order: SearchOrder, key: Any) -> str:
        by_label = order is SearchOrder.LABEL
        # never the negative zero; the shortest text of a float reads back as the same float
        text = self._labels.texts[self._labels.order()[key]] if by_label else repr(0.0 - float(key))
        return f"{order.value} {text}"

    def _page(self, query: SearchQuery, population: _Population, found: Array, keys: Array) -> tuple[list[int], bool]:
        """Places in `found` of the page's hits, in order, and whether more follow."""
        places = np.arange(len(found))
        if query.after is not None:
            key, iri = self._position(query.order, query.after)
            bound = self._iris.place(population.iris, iri + "\0")
            places = places[(keys > key) | ((keys == key) & (found >= bound))]
            keys = keys[places]
        count = query.first + 1
        if len(keys) > count and keys.min() < keys.max():
            near = np.flatnonzero(keys <= np.partition(keys, count - 1)[count - 1])
            places, keys = places[near], keys[near]
            places = places[np.argsort(keys, kind="stable")]
        elif len(keys) <= count:
            places = places[np.argsort(keys, kind="stable")]
        return places[: query.first].tolist(), len(places) > query.first

    def _position(self, order: SearchOrder, after: Cursor) -> tuple[float, str]:
        """The cursor as a sort key."""
        key, iri = after if len(after) == 2 else (None, None)
        made_for, _, text = key.partition(" ") if isinstance(key, str) else ("", "", "")
        if made_for == order.value and isinstance(iri, str):
            if order is SearchOrder.LABEL:
                labels = self._labels.order()
                place = self._labels.place(labels, text)
                known = place < len(labels) and self._labels.texts[labels[place]] == text
                return place if known else place - 0.5, iri
            with suppress(ValueError):
                return -float(text), iri
        raise InputError(
            "the cursor is not one of this order",
            remedy="Pass a cursor as it was answered, with the same order.",
            code="cursor",
        )

    def _finder(self, clauses: list[_Clause]) -> Finder | None:
        wanted: dict[str, set[str]] = {}
        for match in itertools.chain.from_iterable(clause.matches() for clause in clauses):
            for term in match.terms:
                word, language = self._vocabulary.terms[term]
                wanted.setdefault(language, set()).add(word)
        return Finder(wanted) if wanted else None

    def _hit(self, number: int, score: float, finder: Finder | None, visible: Grants) -> SearchHit:
        iri = self._iris.texts[number]
        found: list[tuple[int, int, Highlight]] = []
        for slot in self._slots_of_iri[number]:
            granted = int(visible[slot]) if slot < len(visible) else 0
            for document in self._documents[slot]:
                if document.iri == iri and granted & document.need == document.need:
                    texts = (text for text in document.texts if granted & text.need == text.need)
                    found.extend(_matches(texts, finder) if finder else ())
        found.sort(key=lambda match: (-match[0], -match[1], match[2].predicate, match[2].fragment))
        highlights = tuple(dict.fromkeys(highlight for _, _, highlight in found))[:3]
        return SearchHit(iri, score, highlights, tuple(dict.fromkeys(highlight.predicate for _, _, highlight in found)))


def _matches(texts: Iterable[SearchText], finder: Finder) -> Iterator[tuple[int, int, Highlight]]:
    """For texts with a match: the weight of the predicate, the number of matches, the fragment with most of them."""
    for text in texts:
        spans = finder.spans(text.text, text.lang)
        if spans:
            yield _FIELD_WEIGHTS.get(text.predicate, _OTHER), len(spans), _highlight(text, spans)


def _bm25(match: _Match, population: _Population) -> Array:
    count = len(match.members)
    rarity = math.log(1 + (population.size - count + 0.5) / (count + 0.5))
    lengths = population.lengths[match.members] / (population.average or 1.0)
    weighted: Array = match.frequencies * (_K1 + 1) / (match.frequencies + _K1 * (1 - _B + _B * lengths))
    return rarity * weighted


def _highlight(text: SearchText, spans: list[tuple[int, int]]) -> Highlight:
    """The stretch of at most 200 code points with most matches, the first of equals, cut between words."""
    if len(text.text) <= FRAGMENT:
        return Highlight(text.predicate, text.text, tuple(spans))
    ends = [end for _, end in spans]
    first = max(range(len(spans)), key=lambda n: (bisect.bisect_right(ends, spans[n][0] + FRAGMENT) - n, -n))
    last = max(first + 1, bisect.bisect_right(ends, spans[first][0] + FRAGMENT))
    left, right = spans[first][0], min(spans[last - 1][1], spans[first][0] + FRAGMENT)
    start = max(0, min(left - (FRAGMENT - (right - left)) // 2, len(text.text) - FRAGMENT))
    end = min(start + FRAGMENT, len(text.text))
    while 0 < start < left and not text.text[start - 1].isspace():
        start += 1
    while right < end < len(text.text) and not text.text[end].isspace():
        end -= 1
    shown = [(max(s, start), min(e, end)) for s, e in spans if s < end and e > start]
    return Highlight(text.predicate, text.text[start:end], tuple((s - start, e - start) for s, e in shown))


def _digest(document: SearchDocument) -> bytes:
    parts = (
        document.iri, int(document.need), sorted(document.types), document.label, float(document.updated),
        sorted((int(t.need), t.predicate, t.text, t.lang) for t in document.texts),
        sorted((int(f.need), f.field.value, f.value) for f in document.facets),
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()
