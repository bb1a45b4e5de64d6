"""Terms of use and access rights: what a document says of them, and what another statement means for who relies on it.

Licences are told apart by what their addresses stand for, those of Creative Commons by what they ask, and the access
rights of the EU's authority table by how far they let in. Terms in words cannot be read: any other wording may bind
otherwise, and counts so.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fairmesh.catalog import licences
from fairmesh.catalog.document import DCT, RDFS, TYPE, Statements
from fairmesh.catalog.parts import Term, anonymous
from fairmesh.catalog.rdf import PREFIXES, Literal
from fairmesh.catalog.retyping import Fit

LICENCES = (DCT + "license", DCT + "rights", PREFIXES["odrl"] + "hasPolicy")
ACCESS_RIGHTS = DCT + "accessRights"

_DATES = frozenset((DCT + "created", DCT + "issued", DCT + "modified"))
_NOTES = frozenset((DCT + "identifier", RDFS + "seeAlso"))
"""Predicates that keep the books of a node, and bind nobody, unless they name a licence."""
_QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2039\u203a", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"')
)
_CC = re.compile(r"cc-(by[a-z-]*)-(\d.*)")
_EU = "publications.europa.eu/resource/authority/access-right/"
_RANKS = {_EU + name: rank for rank, name in enumerate(("PUBLIC", "RESTRICTED", "NON_PUBLIC"))}
"""Access rights of the EU's authority table, from those that let everybody in."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said: `named` are IRIs, values and whole policies, `texts` wordings by language; both with the predicate
    that says them within a node that spells the terms out, "" for what is stated outright."""

    named: frozenset[tuple[str, str]] = frozenset()
    texts: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.named or self.texts)


def read(graph: Statements, values: Iterable[Term], own: Callable[[str], bool]) -> Terms:
    """Terms that are stated by these values.

    Anonymous nodes, and those that are the document's `own`, count by what they say, or by name when they say nothing.
    Their dates never count, their identifiers and links only where they name a licence, or are all there is. Order,
    spacing, case, quotation marks and Unicode form of texts make no difference, nor do the addresses of one licence.
    """
    named: set[tuple[str, str]] = set()
    texts: dict[str, set[tuple[str, str]]] = defaultdict(set)
    shape = _Shape(graph, own)
    waiting = [("", value) for value in values]
    passed: set[str] = set()
    while waiting:
        predicate, value = waiting.pop()
        if isinstance(value, Literal):
            if _is_text(value):
                texts[(value.language or "").lower().partition("-")[0]].add((predicate, _folded(value)))
            else:
                named.add((predicate, value.value))
            continue
        stated = shape.stated(value.value) if shape.inner(value) else []
        said = [(p, o) for p, o in stated if p != TYPE]
        if not said and not anonymous(value):
            named.add((predicate, licences.same_as(value.value)))
        if not said or value.value in passed:
            continue
        passed.add(value.value)
        if any(shape.inner(o) for _, o in stated):
            named.add((predicate, shape.digest(value.value)))
        else:
            waiting += said
    return Terms(frozenset(named), {language: frozenset(each) for language, each in texts.items()})


class _Shape:
    """Digests of nodes by what they say, those within them included."""

    def __init__(self, graph: Statements, own: Callable[[str], bool]) -> None:
        self._graph, self._own = graph, own
        self._known: dict[str, str] = {}

    def inner(self, value: Term) -> bool:
        """Whether it counts by what it says."""
        if isinstance(value, Literal) or value.value not in self._graph.by_subject:
            return False
        return anonymous(value) or self._own(value.value)

    def stated(self, node: str) -> list[tuple[str, Term]]:
        """What an inner node says, its dates left out: notes that spell nothing out only if there is nothing else."""
        said = self._graph.by_subject[node].items()
        stated = [(p, o) for p, objects in said if p not in _DATES for o in objects]
        told = [(p, o) for p, o in stated if p not in _NOTES or self.inner(o) or licences.named(o.value)]
        return told if any(p != TYPE for p, _ in told) else stated

    def digest(self, root: str) -> str:
        waiting = [(root, False)]
        while waiting:
            node, ready = waiting.pop()
            said = self.stated(node)
            if ready:
                lines = sorted(f"{p} {self._word(o)}" for p, o in said)
                self._known[node] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
            elif node not in self._known:
                self._known[node] = node  # where a circle ends
                waiting.append((node, True))
                waiting += [(o.value, False) for _, o in said if self.inner(o)]
        return self._known[root]

    def _word(self, value: Term) -> str:
        if isinstance(value, Literal):
            return f"{_folded(value)!r}@{value.language or value.datatype.value}"
        return self._known[value.value] if self.inner(value) else licences.same_as(value.value)


def named_nodes(graph: Statements, values: Iterable[Term], own: Callable[[str], bool]) -> Iterator[str]:
    """The nodes with IRIs of the document's own that spell the terms out."""
    shape, passed = _Shape(graph, own), set[str]()
    waiting = [value for value in values if shape.inner(value)]
    while waiting:
        node = waiting.pop()
        if node.value not in passed:
            passed.add(node.value)
            if not anonymous(node):
                yield node.value
            said = graph.by_subject[node.value].values()
            waiting += [o for objects in said for o in objects if shape.inner(o)]


def same(old: Terms, new: Terms) -> bool:
    """Whether the new terms say what the old ones did, perhaps in one more language."""
    return old.named == new.named and _same_texts(old.texts, new.texts)


def licence(old: Terms, new: Terms) -> Fit:
    """WIDER: a Creative Commons licence took the place of one that asks more, and all else stayed."""
    if same(old, new):
        return Fit.SAME
    gone, come = old.named - new.named, new.named - old.named
    if len(gone) == len(come) == 1 and _same_texts(old.texts, new.texts):
        (before,), (after,) = gone, come
        if before[0] == after[0] == "" and _opens(before[1], after[1]):
            return Fit.WIDER
    return Fit.OTHER


def access(old: Terms, new: Terms) -> Fit:
    """WIDER: more people are let in. Nothing stated before is read as no restriction, for nobody was told of one; OTHER
    when nothing is stated any more."""
    if same(old, new):
        return Fit.SAME
    ranks = [_rank(terms) for terms in (old, new)]
    if ranks[0] is None or ranks[1] is None or ranks[1] > ranks[0] or not new:
        return Fit.OTHER
    return Fit.WIDER if ranks[1] < ranks[0] or not old else Fit.SAME


def ranked(terms: Terms) -> bool:
    """Whether access rights are such as the EU's authority table puts in an order, or nothing at all."""
    return _rank(terms) is not None


def _rank(terms: Terms) -> int | None:
    """The strictest of several; None for what cannot be ranked."""
    if terms.texts or any(predicate or name not in _RANKS for predicate, name in terms.named):
        return None
    return max((_RANKS[name] for _, name in terms.named), default=0)


def _same_texts(
    before: Mapping[str, frozenset[tuple[str, str]]], after: Mapping[str, frozenset[tuple[str, str]]]
) -> bool:
    """All texts stay, each language as it was; texts in a language that comes are a translation, if one that stays has
    as many. What had no language may get one. A language that goes takes with it what was agreed to."""
    if frozenset[tuple[str, str]]().union(*before.values()) == frozenset[tuple[str, str]]().union(*after.values()):
        return True
    come = after.keys() - before.keys()
    fullest = 0
    for language, texts in before.items():
        tagged = not language and any(after[word] == texts for word in come)
        if not tagged and after.get(language) != texts:
            return False
        if tagged or language:
            fullest = max(fullest, len(texts))
    return "" not in come and all(len(after[word]) <= fullest for word in come)


def _folded(literal: Literal) -> str:
    """Without what makes no difference: spacing, case (Unicode 3.13, D145), the shape of quotation marks."""
    if not _is_text(literal):
        return literal.value
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", literal.value).casefold())
    return " ".join(folded.translate(_QUOTES).split())


def _is_text(literal: Literal) -> bool:
    return literal.language is not None or literal.datatype.value == PREFIXES["xsd"] + "string"


def _opens(before: str, after: str) -> bool:
    """Whether a Creative Commons licence asks for less than the one before, in the same version; CC0 asks nothing."""
    old, new = _CC.fullmatch(before), _CC.fullmatch(after)
    if old is None or new is None:
        return old is not None and after == "cc0-1.0"
    return set(new[1].split("-")) < set(old[1].split("-")) and old[2] == new[2]
