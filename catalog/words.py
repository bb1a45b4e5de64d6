"""Words of text: how it is cut, folded and stemmed, and which known words a typed one may stand for.

Words are those of Unicode (UAX 29), in NFKC, case folded. Compound words such as `customer_id`, `customerId`,
`sales.orders` and `l'ordre` count as a whole and by their parts. Stems are Snowball's, by language tag; text without a
tag counts as English, text in a language without a stemmer is not stemmed.
"""

from __future__ import annotations

import bisect
import functools
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import regex
import snowballstemmer

Array: TypeAlias = npt.NDArray[Any]

# How much of a full match a spelling counts, in eighths: sums stay exact in binary floating point.
SAME, STEM, FOREIGN_STEM, PREFIX, TYPO = 8, 6, 4, 4, (8, 3, 2)
_LONG_WORD = 8  # from this length on two typing errors are forgiven instead of one
_WORD_LENGTH = 64  # longer words are told apart by this many characters

_SNOWBALL = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "st": "sesotho", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_UNSTEMMED = "und"
_WORD = regex.compile(r"(?w)\b(?=\w).+?\b", regex.DOTALL)
_BREAK = regex.compile(
    r"[^\p{L}\p{M}\p{N}]+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})"
)  # snake_case, dotted.names, camelCase, HTTPServer
_stemming = threading.Lock()  # Snowball's stemmers keep the word they work on


class Word(NamedTuple):
    """`start` and `end` are code points of the text it was found in; `parts` those of a compound word."""

    start: int
    end: int
    text: str
    parts: tuple[Word, ...] = ()


def language_of(tag: str) -> str:
    """The language whose stemmer serves text with this tag (BCP 47)."""
    primary = tag.partition("-")[0].lower() or "en"
    return primary if primary in _SNOWBALL else _UNSTEMMED


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.replace("’", "'")[:_WORD_LENGTH]


def _fold(word: str) -> str:
    """Without the accents of Latin, Greek and Cyrillic; marks that spell vowels in other scripts stay."""
    if word.isascii():
        return word
    bare = "".join(c for c in unicodedata.normalize("NFD", word) if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", bare)


@functools.cache
def _stemmer(language: str) -> Any:
    return snowballstemmer.stemmer(_SNOWBALL[language])


@functools.lru_cache(1 << 14)
def _stem(language: str, word: str) -> str:
    if language == _UNSTEMMED or (word.isascii() and not word.isalpha()):  # codes and compounds have no stem
        return _fold(word)
    with _stemming:
        return _fold(_stemmer(language).stemWord(word))


def _cut(raw: str) -> tuple[str, tuple[Word, ...]]:
    edges = [0, *(edge for found in _BREAK.finditer(raw) for edge in found.span()), len(raw)]
    pieces = [(s, e) for s, e in zip(edges[::2], edges[1::2], strict=True) if s < e]
    if len(pieces) == 1:
        return _normal(raw[slice(*pieces[0])]), ()
    if "'" in raw or "’" in raw:  # the l of l'ordre and the t of don't are no words
        pieces = [(s, e) for s, e in pieces if e - s > 1]
    return _normal(raw.strip("_")), tuple(Word(s, e, _normal(raw[s:e])) for s, e in pieces)


_cut_known = functools.lru_cache(1 << 15)(_cut)


def _cuts(text: str) -> Iterator[tuple[int, str, str, tuple[Word, ...]]]:
    """(start, as written, word, its parts, counted from the start of the word) of each word."""
    for found in _WORD.finditer(text):
        raw = found.group()
        word, parts = (_cut_known if len(raw) <= _WORD_LENGTH else _cut)(raw)
        if word:
            yield found.start(), raw, word, parts


def words_of(text: str) -> list[Word]:
    """The words of a text in order. A compound word carries its parts."""
    return [
        Word(at, at + len(raw), word, tuple(Word(at + p.start, at + p.end, p.text) for p in parts))
        for at, raw, word, parts in _cuts(text)
    ]


def count_words(text: str) -> dict[str, int]:
    """How often each word occurs, parts of compound words included."""
    counts: dict[str, int] = {}
    for raw in _WORD.findall(text):
        word, parts = (_cut_known if len(raw) <= _WORD_LENGTH else _cut)(raw)
        if word:
            counts[word] = counts.get(word, 0) + 1
        for part in parts:
            counts[part.text] = counts.get(part.text, 0) + 1
    return counts


class Finder:
    """Finds words of a vocabulary again in the texts they may have come from; `wanted` has them by language."""

    def __init__(self, wanted: Mapping[str, Set[str]]) -> None:
        self._wanted = {language: (words, _needles(words)) for language, words in wanted.items()}

    def spans(self, text: str, tag: str) -> list[tuple[int, int]]:
        """Where they stand, in code points and in order; of a compound word that is not one of them, its parts."""
        wanted, needles = self._wanted.get(language_of(tag), (frozenset(), ()))
        if not wanted or (text.isascii() and not any(needle in text.lower() for needle in needles)):
            return []
        spans = []
        for at, raw, word, parts in _cuts(text):
            if word in wanted:
                spans.append((at, at + len(raw)))
            else:
                spans.extend((at + part.start, at + part.end) for part in parts if part.text in wanted)
        return spans


def _needles(words: Set[str]) -> tuple[str, ...]:
    """A few strings of which plain text has one if it has any of the words: most texts need no closer look."""
    for length in (_WORD_LENGTH, 8, 6, 5, 4, 3, 2):
        needles = {word[:length] for word in words}
        if len(needles) <= 16:
            return tuple(needles)
    return ("",)


def label_key(label: str) -> str:
    """Orders labels without regard to case and accents, then as they are."""
    return _fold(unicodedata.normalize("NFKC", label).casefold()) + "\0" + label


def _distances(word: str, others: Sequence[str]) -> Array:
    """Typing errors (insert, delete, replace, swap of neighbours) between `word` and each of the others."""
    width = max(map(len, others))
    table = np.array(others, dtype=f"U{width}").view(np.uint32).reshape(len(others), width).T
    rows = [np.repeat(np.arange(width + 1, dtype=np.int16)[:, None], len(others), axis=1)]
    for i, letter in enumerate(word):
        same = table == ord(letter)
        above, row = rows[-1], np.empty_like(rows[-1])
        row[0] = i + 1
        for j in range(width):
            row[j + 1] = np.minimum(np.minimum(above[j + 1], row[j]) + 1, above[j] + ~same[j])
            if i and j:
                swapped = same[j - 1] & (table[j] == ord(word[i - 1]))
                row[j + 1] = np.where(swapped, np.minimum(row[j + 1], rows[-2][j - 1] + 1), row[j + 1])
        rows = [above, row]
    lengths = np.fromiter(map(len, others), np.int64, len(others))
    result: Array = rows[-1][lengths, np.arange(len(others))]
    return result


class Sorted:
    """Texts by number, as added from 0, and their numbers in lexical order. Only ever grows.

    The order is brought up to date by whoever asks first, so that loading many is one sort.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._order: Array = np.empty(0, np.int32)
        self._lock = threading.Lock()

    def add(self, text: str) -> int:
        self.texts.append(text)
        return len(self.texts) - 1

    def order(self) -> Array:
        with self._lock:
            known, count = len(self._order), len(self.texts)
            if count - known > known >> 4:
                self._order = np.array(sorted(range(count), key=self.texts.__getitem__), np.int32)
            elif count > known:
                fresh = sorted(range(known, count), key=self.texts.__getitem__)
                places = [self.place(self._order, self.texts[number]) for number in fresh]
                self._order = np.insert(self._order, places, fresh)
            return self._order

    def place(self, numbers: Array, text: str) -> int:
        """How many of these numbers, in lexical order, have texts before this one."""
        return bisect.bisect_left(numbers, text, key=self.texts.__getitem__)

    def between(self, low: str, high: str) -> Array:
        """Numbers of texts from `low` on and before `high`."""
        order = self.order()
        return order[self.place(order, low) : self.place(order, high)]

    def ranks(self) -> Array:
        order = self.order()
        ranks = np.empty(len(order), np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        return ranks


class Names(Sorted):
    """Texts that each have one number."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The text's number, a new one if it is new."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = self.add(text)
        return number


class Vocabulary:
    """Terms: a word in a language. Knows hidden words too; who asks keeps only terms with visible postings."""

    def __init__(self) -> None:
        self.terms: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._folded = Sorted()
        self._stems: dict[tuple[str, str], list[int]] = {}
        self._languages: tuple[str, ...] = ()
        self._letters: Array = np.empty(0, np.uint64)
        self._lengths: Array = np.empty(0, np.uint8)
        self._lock = threading.Lock()

    def add(self, word: str, language: str) -> int:
        number = self._numbers.get((word, language))
        if number is None:
            number = self._numbers[word, language] = self._folded.add(_fold(word))
            self.terms.append((word, language))
            self._stems.setdefault((language, _stem(language, word)), []).append(number)
            if language not in self._languages:
                self._languages = (*self._languages, language)
        return number

    def folded(self, number: int) -> str:
        return self._folded.texts[number]

    def spellings(self, word: str, prefix: bool, preferred: frozenset[str]) -> dict[int, int]:
        """Terms that stand for a query word, each with its eighths."""
        folded = _fold(word)
        found: dict[int, int] = {}
        if prefix and len(folded) > 1:
            found.update(dict.fromkeys(self._folded.between(folded, folded + "\U0010ffff").tolist(), PREFIX))
        for language in self._languages:
            weight = STEM if not preferred or language in preferred else FOREIGN_STEM
            found.update(dict.fromkeys(self._stems.get((language, _stem(language, word)), ()), weight))
        found.update(dict.fromkeys(self._folded.between(folded, folded + "\0").tolist(), SAME))
        return found

    def near(self, word: str) -> list[tuple[int, int]]:
        """(number of typing errors, term) of the terms a misspelt word may mean. Short words and numbers have none."""
        folded = _fold(word)
        if len(folded) < 3 or not folded.isalpha():
            return []
        most = 2 if len(folded) >= _LONG_WORD else 1
        letters, lengths = self._shapes()
        own, _ = _shapes([folded])
        # One error changes at most two letters of the set, so that few terms are left to compare in full.
        close = (np.bitwise_count(letters ^ own[0]) <= 2 * most) & (
            np.abs(lengths.astype(np.int16) - len(folded)) <= most
        )
        numbers = np.flatnonzero(close).tolist()
        if not numbers:
            return []
        distances = _distances(folded, [self.folded(number) for number in numbers]).tolist()
        return [pair for pair in zip(distances, numbers, strict=True) if 0 < pair[0] <= most]

    def _shapes(self) -> tuple[Array, Array]:
        with self._lock:
            fresh = self._folded.texts[len(self._letters) :]
            for start in range(0, len(fresh), 1 << 13):
                letters, lengths = _shapes(fresh[start : start + (1 << 13)])
                self._letters = np.concatenate((self._letters, letters))
                self._lengths = np.concatenate((self._lengths, lengths))
            return self._letters, self._lengths


def _shapes(words: Sequence[str]) -> tuple[Array, Array]:
    """For each word the set of its letters, as 64 bits, and its length."""
    width = max(map(len, words))
    table = np.array(words, dtype=f"U{width}").view(np.uint32).reshape(len(words), width)
    bits = np.where(table > 0, np.uint64(1) << (table & 63).astype(np.uint64), np.uint64(0))
    return np.bitwise_or.reduce(bits, axis=1), np.count_nonzero(table, axis=1).astype(np.uint8)
