"""What is asked about a product, and how it is answered: the one place where stored products are judged.

A question holds what a view shows of a product (its document) and of the nodes it refers to (its background). What is
said of a node that belongs to no product may come from other products, which not every reader sees. So each question
also holds the background it would have *alone*, without that. Where the two differ the product is judged by both; when
the verdicts differ the standing is *tangled*, and is used for those alone from whom nothing is hidden. See
docs/decisions/010-standings.md.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from fairmesh.catalog import rdf
from fairmesh.catalog.document import own_nodes, references
from fairmesh.catalog.governance import Case, Stops
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.rdf import Triple
from fairmesh.catalog.registry import Product, Registry
from fairmesh.catalog.standing import Standing, edition_of

if TYPE_CHECKING:
    from fairmesh.catalog.ruling import Ruling
    from fairmesh.catalog.view import View

TIMEOUT = 120.0
"""Seconds that one process may take for what it is given at once."""
PART = 25
"""Products that are read, and that one process judges, without a break: how long a request may have to wait."""


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
    ticket: int = field(default_factory=itertools.count(1).__next__)
    """Questions are numbered as they are asked: of two answers about a product the one to the later question counts."""

    @property
    def fingerprint(self) -> int:
        """A hash of what is judged: a product of the same one has the same verdict by the same edition of the rules."""
        digest = hashlib.blake2b(self.case.document, digest_size=8)
        digest.update(b"\0" + self.case.background)
        return int.from_bytes(digest.digest(), "big")


class Asker:
    """Asks about products for one view, while its context is open.

    A document of which nothing is hidden is taken from the journal as it was stored; what the view says of a node is
    looked up once, however many products refer to it.
    """

    def __init__(self, view: View, journal: Journal, registry: Registry) -> None:
        self._view, self._journal, self._registry = view, journal, registry
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
        return Question(product, case, background, True, granted)

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
        return Question(product, case, alone, hidden, self._view.sight.grants(product))

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


class Bench:
    """Answers questions. Safe to use from any thread: it holds nothing but its threads."""

    def __init__(self, iri_base: str, workers: int) -> None:
        self._iri_base = iri_base
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="fairmesh-judge")

    def judge(self, ruling: Ruling, questions: Sequence[Question], now: datetime, stops: Stops) -> list[Standing]:
        """A standing for each question, in order, by the rules as of `now`. `stops` belongs to the pass that they are
        part of. Raises `WorkerFailed`."""
        parts = [questions[at : at + PART] for at in range(0, len(questions), PART)]
        run = map if len(parts) < 2 else self._threads.map
        judged = run(lambda part: self._judge_part(ruling, part, now, stops), parts)
        return [standing for part in judged for standing in part]

    def _judge_part(
        self, ruling: Ruling, questions: Sequence[Question], now: datetime, stops: Stops
    ) -> list[Standing]:  # fmt: skip
        edition = edition_of(ruling.rules, now)
        cases = [question.case for question in questions]
        doubtful = [n for n, question in enumerate(questions) if question.alone != question.case.background]
        cases += [replace(cases[n], background=questions[n].alone) for n in doubtful]
        judged = ruling.validator.judge_many(cases, iri_base=self._iri_base, now=now, timeout=TIMEOUT, stops=stops)
        found = [Standing.of(edition, *verdict, case.product) for verdict, case in zip(judged, cases, strict=True)]
        for number, alone in zip(doubtful, found[len(questions) :], strict=True):
            if not alone.same(found[number]):
                found[number] = replace(found[number], tangled=True)
        return found[: len(questions)]

    def close(self) -> None:
        """Begin no more, and wait for what is under way."""
        self._threads.shutdown(cancel_futures=True)
