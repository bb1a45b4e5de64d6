"""Terms of use and access rights: what a document says of them, and what another statement means for who relies on it.

Licences are told apart by IRI, those of Creative Commons by what they ask, and the access rights of the EU's authority
table by how far they let in. Terms in words cannot be read: any other wording may bind otherwise, and counts so.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fairmesh.catalog.document import DCT, TYPE, Statements
from fairmesh.catalog.parts import Term, anonymous
from fairmesh.catalog.rdf import PREFIXES, Literal
from fairmesh.catalog.retyping import Fit

LICENCES = (DCT + "license", DCT + "rights", PREFIXES["odrl"] + "hasPolicy")
ACCESS_RIGHTS = DCT + "accessRights"

_CC = "creativecommons.org/"
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
    """Terms that are stated by these values. Anonymous nodes, and those that are the document's `own`, count by what
    they say; order, spacing and case of texts and the many addresses of one licence make no difference."""
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
        if not anonymous(value):
            named.add((predicate, _address(value.value)))
        if value.value in passed or not shape.inner(value):
            continue
        passed.add(value.value)
        said = [(p, o) for p, objects in graph.by_subject[value.value].items() for o in objects]
        if any(shape.inner(o) for _, o in said):
            named.add((predicate, shape.digest(value.value)))
        else:
            waiting += [(p, o) for p, o in said if p != TYPE]
    return Terms(frozenset(named), {language: frozenset(said) for language, said in texts.items()})


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

    def digest(self, root: str) -> str:
        waiting = [(root, False)]
        while waiting:
            node, ready = waiting.pop()
            said = self._graph.by_subject[node].items()
            if ready:
                lines = sorted(f"{p} {self._word(o)}" for p, objects in said for o in objects)
                self._known[node] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
            elif node not in self._known:
                self._known[node] = node  # where a circle ends
                waiting.append((node, True))
                waiting += [(o.value, False) for _, objects in said for o in objects if self.inner(o)]
        return self._known[root]

    def _word(self, value: Term) -> str:
        if isinstance(value, Literal):
            return f"{_folded(value)!r}@{value.language or value.datatype.value}"
        return self._known[value.value] if self.inner(value) else _address(value.value)


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
    """Whether they say the same, perhaps in one more language or one less."""
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
    """A text in a language that only one side has counts as a translation, if all texts in those that both have stay,
    and one of these says as many pieces."""
    old, new = (frozenset().union(*texts.values()) for texts in (before, after))
    if old == new:
        return True
    both = (before.keys() & after.keys()) - {""}
    if before.get("") != after.get("") or not both or any(before[word] != after[word] for word in both):
        return False
    fullest = max(len(before[word]) for word in both)
    return all(len(texts) <= fullest for side in (before, after) for word, texts in side.items() if word)


def _folded(literal: Literal) -> str:
    return " ".join(literal.value.split()).casefold() if _is_text(literal) else literal.value


def _is_text(literal: Literal) -> bool:
    return literal.language is not None or literal.datatype.value == PREFIXES["xsd"] + "string"


def _address(iri: str) -> str:
    """Without what makes no difference: scheme, `www`, the page of the deed or the legal code, a closing slash."""
    text = iri.split("://", 1)[-1].removeprefix("www.").rstrip("/")
    if text.startswith(_CC):
        text = text.split("/deed")[0].split("/legalcode")[0].rstrip("/").lower()
    return text


def _opens(before: str, after: str) -> bool:
    """Whether a Creative Commons licence asks for less than the one before, in the same version; CC0 asks nothing."""
    if not before.startswith(_CC + "licenses/"):
        return False
    if after.startswith(_CC + "publicdomain/zero"):
        return True
    old, new = (text.removeprefix(_CC + "licenses/").partition("/") for text in (before, after))
    asked, asks = set(old[0].split("-")), set(new[0].split("-"))
    return after.startswith(_CC + "licenses/") and asks < asked and old[2] == new[2]
