"""What is asked about a product before it is judged: what a view shows of it, and of the nodes it refers to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairmesh.catalog import rdf
from fairmesh.catalog.document import own_nodes, references
from fairmesh.catalog.governance import Case
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.rdf import Triple
from fairmesh.catalog.registry import Product, Registry

if TYPE_CHECKING:
    from fairmesh.catalog.view import View


@dataclass(frozen=True, slots=True)
class Question:
    """One product as a view shows it. `alone` is the background it would have if no other product said anything of
    shared nodes; `hidden` says whether the view leaves out some of the document; `granted` is what it grants on the
    product."""

    product: Product
    case: Case
    alone: bytes
    hidden: bool
    granted: int
    ticket: int
    """Questions are numbered as they are asked."""

    @property
    def fingerprint(self) -> int:
        digest = hashlib.blake2b(self.case.document, digest_size=8)
        digest.update(b"\0" + self.case.background)
        return int.from_bytes(digest.digest(), "big")


class Asker:
    """Asks about products for one view, while its context is open.

    A document of which nothing is hidden is taken from the journal as it was stored; what the view says of a node is
    looked up once, however many products refer to it.
    """

    def __init__(self, view: View, journal: Journal, registry: Registry, tickets: Iterator[int]) -> None:
        self._view, self._journal, self._registry, self._tickets = view, journal, registry, tickets
        self._official = view.ruling.official
        self._said: dict[str, tuple[bytes, ...]] = {}

    def ask(self, products: Sequence[Product]) -> list[Question]:
        """A question about each, in order."""
        whole = [(p.home, p.revision) for p in products if self._view.sight.whole(p)]
        documents = self._journal.documents(whole)
        return [self._question(product, documents) for product in products]

    def past(self, product: Product, triples: Sequence[Triple], granted: int) -> Question:
        """A question about what the product once said, as far as it is shown, with what the mesh says today."""
        base, document = self._registry.iri_base, rdf.canonical(triples)
        mentioned = references(triples, own_nodes(triples, product.iri, base), base)
        background, _ = self._backgrounds(document, mentioned)
        case = Case(document, background, product.iri, product.key.partition(".")[0], None)
        return Question(product, case, background, True, granted, next(self._tickets))

    def _question(self, product: Product, documents: Mapping[str, bytes]) -> Question:
        document = documents.get(product.home)
        hidden = document is None
        if document is None:
            triples = self._view.statements(product.home)
            document = rdf.canonical(triples)
            base = self._registry.iri_base
            mentioned: Iterable[str] = references(triples, own_nodes(triples, product.iri, base), base)
        else:
            mentioned = product.references
        background, alone = self._backgrounds(document, mentioned)
        case = Case(document, background, product.iri, product.key.partition(".")[0], None)
        return Question(product, case, alone, hidden, self._view.sight.grants(product), next(self._tickets))

    def _backgrounds(self, document: bytes, mentioned: Iterable[str]) -> tuple[bytes, bytes]:
        """What the view says of nodes, and what of that does not rest on other products' words alone."""
        stated: set[bytes] = set()
        doubtful: set[bytes] = set()
        for iri in mentioned:
            lines = self._said.get(iri)
            if lines is None:
                lines = self._said[iri] = tuple(rdf.canonical(self._view.background((iri,))).splitlines(keepends=True))
            stated.update(lines)
            if not self._registry.is_owned(iri):
                doubtful.update(lines)
        background = b"".join(sorted(stated))
        doubtful -= self._official
        if doubtful:
            doubtful.difference_update(document.splitlines(keepends=True))
        return background, b"".join(sorted(stated - doubtful)) if doubtful else background
