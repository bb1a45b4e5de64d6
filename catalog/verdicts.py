"""How stored products stand for a reader, now and in the past, and how they would under other rules.

A standing speaks of the whole document. A reader from whom something is hidden that it rests on gets a verdict of their
own: the same that a mesh without the hidden things would give. From whom a field of the product is hidden is told
nothing of what is found about it: whether it is there is not theirs to know. See docs/decisions/010-standings.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from fairmesh.catalog import history, rdf
from fairmesh.catalog.asking import TIMEOUT, Asker, Bench, Question
from fairmesh.catalog.governance import Stops
from fairmesh.catalog.intake import with_lines
from fairmesh.catalog.model import Need, Report
from fairmesh.catalog.places import Positions
from fairmesh.catalog.projection import remember
from fairmesh.catalog.registry import Grants, Product
from fairmesh.catalog.sighted import Sighted
from fairmesh.catalog.standing import Standing, edition_of, field_need
from fairmesh.catalog.waivers import apply

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog
    from fairmesh.catalog.ruling import Ruling
    from fairmesh.catalog.view import View

_KEPT = 200_000
"""Verdicts on products judged apart that are remembered."""
_AT_A_TIME = 5_000
"""Documents that are held in memory to be judged for one reader."""
_READERS = 16
"""Readers whose standings are remembered."""


class Verdicts:
    """Tells views how products stand. All of it is called while the view is open: `Storage.reading` is held, shared.

    Safe to use from any thread. `_guard` protects `_given` and `_sights`, what is remembered; nothing is judged, and no
    other lock taken, while it is held. Two who ask the same at once may both have it judged.
    """

    def __init__(self, catalog: Catalog, bench: Bench) -> None:
        self._catalog = catalog
        self._bench = bench
        self._standings = catalog.storage.standings
        self._guard = threading.Lock()
        self._given: dict[tuple[str, int, int, str], Standing] = {}
        """By home, revision, fingerprint and edition, the verdicts on products judged apart, with all findings."""
        self._sights: list[tuple[Grants, tuple[object, ...], Sighted]] = []
        """For readers with these grants, and the state of the mesh in which it holds; the last one is the newest."""

    def report(self, view: View, product: Product) -> Report:
        """The stored document under the rules in force, as far as this view shows it, without findings about fields
        that it hides."""
        ruling, now = view.ruling, self._catalog.clock()
        (question,) = self._asker(view).ask([product])
        (judgement,) = ruling.validator.judge_many(
            [question.case], iri_base=self._catalog.iri_base, now=now, timeout=TIMEOUT
        )
        shown = (f for f in judgement.report.findings if not field_need(f, product.iri) & ~question.granted)
        report = replace(judgement.report, findings=tuple(shown))
        report = apply(report, self._catalog.waivers.in_force(product.home, now), now)
        entry = self._catalog.journal.product_head(product.home)
        if entry is None or question.hidden:  # lines would count what is hidden
            return report
        draft = entry.draft
        return with_lines(report, Positions(
            draft.submitted, draft.media_type, self._catalog.iri_base, lambda: rdf.load(draft.document)
        ))  # fmt: skip

    def _asker(self, view: View) -> Asker:
        return Asker(view, self._catalog.journal, self._catalog.registry)

    def sighted(self, view: View, grants: Grants) -> Sighted:
        """How every product stands for the reader."""
        waived = self._catalog.waivers.by_key(self._catalog.clock())
        state = (self._catalog.registry.revision, self._standings.revision, waived, view.ruling.digest)
        with self._guard:
            known = next((s for g, at, s in self._sights if g is grants and at == state), None)
        if known is None:
            known = self._look(view, grants, waived)
            with self._guard:
                self._sights = [*self._sights[1 - _READERS :], (grants, state, known)]
        return known

    def _look(self, view: View, grants: Grants, waived: Mapping[str, frozenset[str]]) -> Sighted:
        registry, standings = self._catalog.registry, self._standings
        granted = registry.visible(grants)
        readable = granted & Need.READ == Need.READ
        columns = standings.seen(readable & standings.whole(grants))
        known = columns.conforms >= 0
        mine = {slot: standings.by_slot[slot] for slot in np.flatnonzero(known).tolist()}
        for slot in np.flatnonzero(columns.need & ~granted).tolist():
            mine[slot] = mine[slot].seen(int(granted[slot]))
            columns.put(slot, mine[slot])
        rest = [registry.slots[slot] for slot in np.flatnonzero(readable & ~known).tolist()]
        stops = Stops()
        for at in range(0, len(rest), _AT_A_TIME):
            for slot, standing in self._apart(view, rest[at : at + _AT_A_TIME], stops):
                mine[slot] = standing
                columns.put(slot, standing)
        for key, rules in waived.items():
            product = registry.by_key.get(key)
            if product is not None and product.slot in mine:
                columns.put(product.slot, mine[product.slot], rules)
        return Sighted(columns, mine)

    def _apart(self, view: View, products: Sequence[Product], stops: Stops) -> Iterator[tuple[int, Standing]]:
        """The verdicts on products of which the reader does not see all; given once, then remembered as they are for
        whoever sees the same and all that is found."""
        now = self._catalog.clock()
        edition = edition_of(view.ruling.rules, now)
        missing: list[tuple[tuple[str, int, int, str], Question]] = []
        for question in self._asker(view).ask(products):
            key = (question.product.home, question.product.revision, question.fingerprint, edition)
            with self._guard:
                known = self._given.get(key)
            if known is None:
                missing.append((key, question))
            else:
                yield question.product.slot, known.seen(question.granted)
        judged = self._bench.judge(view.ruling, [question for _, question in missing], now, stops)
        for (key, question), standing in zip(missing, judged, strict=True):
            with self._guard:
                if len(self._given) >= _KEPT:
                    del self._given[next(iter(self._given))]
                self._given[key] = standing
            yield question.product.slot, standing.seen(question.granted)

    def then(
        self, view: View, asked: Sequence[tuple[Product, int, Standing]], moment: datetime
    ) -> list[Standing | None]:
        """How products stood for the reader at a moment: for each its revision then, and how the whole of it stood.
        None for what today's policy hides."""
        asker = self._asker(view)
        found = [self._shown_then(view, asker, *each) for each in asked]
        questions = [each for each in found if isinstance(each, Question)]
        if not questions:
            return [each for each in found if not isinstance(each, Question)]
        version = self._catalog.rulings.versions.in_force(moment)
        ruling = None if version is None else self._catalog.rulings.known(version.digest)
        judged = iter([] if ruling is None else self._bench.judge(ruling, questions, moment, Stops()))
        return [
            (None if ruling is None else next(judged).seen(each.granted)) if isinstance(each, Question) else each
            for each in found
        ]

    def _shown_then(
        self, view: View, asker: Asker, product: Product, revision: int, standing: Standing
    ) -> Question | Standing | None:
        """How a product stood, when that follows from how the whole of it stood, else what is to be judged."""
        granted = view.sight.grants(product)
        if revision == product.revision and view.whole[product.slot]:
            return standing.seen(granted)
        (entry,) = self._catalog.journal.product_history(product.home, first=1, after=revision + 1)
        past = remember(entry)
        granted_then = 0 if past.access is None else view.granted_then([past.access])[past.access]
        if granted_then & Need.READ != Need.READ:
            return None
        alive = replace(product, retired=False)
        triples = history.seen_then(alive, past, granted_then, self._catalog.registry, view.sight)
        granted &= granted_then
        if len(triples) == len(past.triples) and not standing.tangled:
            return standing.seen(granted)
        return asker.past(product, triples, granted)

    def foresee(
        self, view: View, ruling: Ruling, products: Sequence[Product], now: datetime, stops: Stops
    ) -> Callable[[], list[tuple[Product, Standing]]]:
        """How products would stand for the reader under other rules, in the pass that `stops` belongs to. What the view
        shows of them is taken now; the function that is returned judges it, and needs no view any more."""
        questions = self._asker(view).ask(products)
        return lambda: [
            (question.product, standing.seen(question.granted))
            for question, standing in zip(questions, self._bench.judge(ruling, questions, now, stops), strict=True)
        ]
