"""Turtle the way people write it: lists as ( ... ), blank nodes where they are used, long texts over several lines.

W3C RDF 1.1 Turtle. For reading on a page; what programs get is written by `fairmesh.catalog.rdf`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from fairmesh.catalog import rdf
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple

Term = NamedNode | BlankNode | Literal

_RDF, _XSD = rdf.PREFIXES["rdf"], rdf.PREFIXES["xsd"]
_TYPE, _FIRST, _REST, _NIL = (_RDF + name for name in ("type", "first", "rest", "nil"))
_BARE = {_XSD + "integer": re.compile(r"[+-]?[0-9]+"), _XSD + "boolean": re.compile("true|false")}
_DEPTH = 12
"""Blank nodes inside one another; deeper ones get a name."""


def turtle(triples: Iterable[Triple], base: str) -> str:
    """The statements as Turtle, those about `base` first, then by IRI. IRIs that are `base` or a fragment of it are
    written relative to it."""
    return _Writer(triples, base).text()


class _Writer:
    def __init__(self, triples: Iterable[Triple], base: str) -> None:
        self._base = base
        self._facts: dict[Term, dict[str, list[Term]]] = defaultdict(lambda: defaultdict(list))
        uses: Counter[Term] = Counter()
        for triple in sorted(set(triples), key=str):
            self._facts[triple.subject][triple.predicate.value].append(triple.object)
            uses[triple.object] += 1
        self._named = {node for node in self._facts if isinstance(node, BlankNode) and uses[node] != 1}
        self._written: set[Term] = set()
        self._prefixes: dict[str, str] = {}

    def text(self) -> str:
        first = [node for node in self._facts if not isinstance(node, BlankNode)]
        first.sort(key=lambda node: (rdf.iri_of(node) != self._base, str(node)))
        blocks = [self._block(node) for node in (*first, *sorted(self._named, key=str))]
        for node in sorted((node for node in self._facts if isinstance(node, BlankNode)), key=str):
            if node not in self._written:  # in a circle, or too deep inside
                self._named.add(node)
                blocks.append(self._block(node))
        head = [f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in sorted(self._prefixes.items())]
        return "".join(head) + f"@base <{self._base}> .\n\n" + "\n".join(blocks)

    def _block(self, node: Term) -> str:
        self._written.add(node)
        return f"{self._term(node, 0)} {self._properties(node, 1)} .\n"

    def _properties(self, node: Term, depth: int) -> str:
        gap = " ;\n" + "  " * depth
        return gap.join(
            f"{'a' if predicate == _TYPE else self._iri(predicate)} "
            + ", ".join(self._term(value, depth) for value in values)
            for predicate, values in sorted(self._facts[node].items(), key=lambda item: (item[0] != _TYPE, item[0]))
        )

    def _term(self, term: Term, depth: int) -> str:
        if isinstance(term, NamedNode):
            return "()" if term.value == _NIL and depth else self._iri(term.value)
        if isinstance(term, Literal):
            return self._literal(term)
        if term in self._named or term not in self._facts or term in self._written:
            return str(term)
        members = self._members(term)
        if members is not None:
            return "( " + " ".join(self._term(member, depth + 1) for member in members) + " )"
        if depth > _DEPTH:
            self._named.add(term)
            return str(term)
        self._written.add(term)
        return f"[ {self._properties(term, depth + 1)} ]"

    def _members(self, head: Term) -> list[Term] | None:
        """What a list holds whose cells say nothing else and are referred to once; None for anything else."""
        cells: dict[Term, Term] = {}
        cell = head
        while rdf.iri_of(cell) != _NIL:
            facts = self._facts.get(cell, {})
            plain = set(facts) == {_FIRST, _REST} and len(facts[_FIRST]) == len(facts[_REST]) == 1
            if not plain or cell in self._named or cell in self._written or cell in cells:
                return None
            cells[cell] = facts[_FIRST][0]
            cell = facts[_REST][0]
        self._written.update(cells)
        return list(cells.values())

    def _iri(self, iri: str) -> str:
        short = rdf.compact(iri)
        if short is not None:
            prefix = short.partition(":")[0]
            self._prefixes[prefix] = rdf.PREFIXES[prefix]
            return short
        if "#" not in self._base and (iri == self._base or iri.startswith(self._base + "#")):
            return f"<{iri.removeprefix(self._base)}>"
        return f"<{iri}>"

    def _literal(self, literal: Literal) -> str:
        kind, text = literal.datatype.value, literal.value
        if kind in _BARE and _BARE[kind].fullmatch(text):
            return text
        written = "".join(_quoted(text))
        if literal.language:
            return f"{written}@{literal.language}"
        return written if kind == _XSD + "string" else f"{written}^^{self._iri(kind)}"


def _quoted(text: str) -> Iterator[str]:
    long = "\n" in text
    yield '"""' if long else '"'
    for character in text:
        if character in '\\"':
            yield "\\" + character
        elif character < " " and character not in "\t\n":
            yield f"\\u{ord(character):04X}"
        else:
            yield character
    yield '"""' if long else '"'
