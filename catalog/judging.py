"""Keeping every product's standing up to date: after a write, after a change of rules or of the day, for one reader.

What is judged of a product is what a view shows of it, with what that view shows of the nodes it refers to. Standings
are those of a view from which nothing is hidden. A reader from whom something is hidden that a standing rests on gets
a verdict of their own: the same that a mesh without the hidden things would give.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from fairmesh.catalog import fair, history, rdf
from fairmesh.catalog.access import Scope
from fairmesh.catalog.document import own_nodes, references
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.governance import Case, RuleSet, validate
from fairmesh.catalog.intake import with_lines
from fairmesh.catalog.model import ANONYMOUS, EVERYTHING, Draft, Entry, EntryKind, Need, Report
from fairmesh.catalog.projection import remember
from fairmesh.catalog.rdf import Triple
from fairmesh.catalog.registry import Grants, Product
from fairmesh.catalog.ruling import Ruling
from fairmesh.catalog.sighted import Sighted
from fairmesh.catalog.standing import Standing, edition_of
from fairmesh.catalog.view import View
from fairmesh.catalog.waivers import Waivers, apply

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog

CHUNK = 200
"""Products that are judged together in the background: how long a write may have to wait for them to be read."""
AT_ONCE = 200
"""Products that a write may bring along to be judged before it is acknowledged; more are left to the background."""
TIMEOUT = 120.0
"""Seconds one chunk may take in a worker."""
_KEPT = 200_000
_TICK = 0.5
"""Seconds between two looks at the clock."""

_log = logging.getLogger("fairmesh")


@dataclass(frozen=True, slots=True)
class Judged:
    """A registration's verdict, and what it was given on: both as canonical N-Quads."""

    home: str
    report: Report
    document: bytes
    background: bytes


@dataclass(frozen=True, slots=True)
class _Question:
    """One product as a view shows it, and what it would be if no other product said anything of shared nodes."""

    product: Product
    case: Case
    triples: Sequence[Triple]
    alone: bytes

    @property
    def fingerprint(self) -> int:
        digest = hashlib.blake2b(self.case.document, digest_size=8)
        digest.update(b"\0" + self.case.background)
        return int.from_bytes(digest.digest(), "big")


@dataclass(frozen=True, slots=True)
class Progress:
    """Judging the mesh by an edition of the rules: how many products are, and how many there are."""

    edition: str
    done: int
    total: int


class Judge:
    """Gives verdicts on stored products. Safe to use from any thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._standings = catalog.storage.standings
        self._given: dict[tuple[str, int, int, str], Standing] = {}
        self._sights: list[tuple[Grants, tuple[object, ...], Sighted]] = []
        self._queue: set[int] = set()
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._active: Mapping[str, frozenset[str]] = {}
        self._threads = ThreadPoolExecutor(catalog.settings.workers, thread_name_prefix="fairmesh-judge")

    # -- life --

    def start(self) -> None:
        """Begin to judge, in the background, what is not judged by the edition in force."""
        self._active = self._waived_now()
        self._thread = threading.Thread(target=self._run, name="fairmesh-judging", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the background work; what is not done goes on at the next start."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._threads.shutdown(cancel_futures=True)

    def nudge(self) -> None:
        """The rules or the waivers changed: look now."""
        self._wake.set()

    @property
    def edition(self) -> str:
        """The edition of the rules in force now."""
        return edition_of(self._catalog.rulings.current.rules, self._catalog.clock())

    def progress(self, products: Iterable[Product]) -> Progress:
        """How far the judging of these products is."""
        edition, found = self.edition, list(products)
        return Progress(edition, sum(self._standings.settled(p, edition) for p in found), len(found))

    # -- one product --

    def report(self, view: View, product: Product) -> Report:
        """The stored document under the rules in force, as far as this view shows it. For views: they hold the lock."""
        ruling, now = view.ruling, self._catalog.clock()
        question = self._question(view, product)
        (report,) = ruling.validator.validate_many(
            [question.case], iri_base=self._catalog.iri_base, now=now, timeout=TIMEOUT
        )
        report = apply(report, self._catalog.waivers.in_force(product.home, now), now)
        entry = self._catalog.journal.product_head(product.home)
        graph = self._catalog.graph.graph(product.home)
        if entry is None or len(question.triples) < len(graph):  # lines would count what is hidden
            return report
        return with_lines(report, entry.draft.submitted, entry.draft.media_type, self._catalog.iri_base)

    def _question(self, view: View, product: Product) -> _Question:
        base = self._catalog.iri_base
        triples = view.statements(product.home)
        own = own_nodes(triples, product.iri, base)
        background = rdf.canonical(view.background(references(triples, own, base)))
        case = Case(rdf.canonical(triples), background, product.iri, product.key.split(".")[0], frozenset(own))
        return _Question(product, case, triples, self._alone(view, triples, background))

    def _alone(self, view: View, triples: Sequence[Triple], background: bytes) -> bytes:
        """The background without what only other products say of shared nodes; the same bytes when that is nothing."""
        said = set(triples)
        official, is_shared = view.ruling.vocabulary, self._catalog.registry.is_shared
        stated = rdf.load(background)
        kept = [t for t in stated if not is_shared(t.subject.value) or t in official or t in said]
        return background if len(kept) == len(stated) else rdf.canonical(kept)

    def _judge(self, ruling: Ruling, questions: Sequence[_Question], now: datetime) -> list[Standing]:
        """A standing for each question. Raises `WorkerFailed`."""
        edition, base = edition_of(ruling.rules, now), self._catalog.iri_base
        cases = [question.case for question in questions]
        loose = [n for n, q in enumerate(questions) if q.alone != q.case.background]
        cases += [replace(questions[n].case, background=questions[n].alone) for n in loose]
        chunks = [cases[at : at + CHUNK] for at in range(0, len(cases), CHUNK)]
        base = self._catalog.iri_base
        judge = lambda part: ruling.validator.validate_many(part, iri_base=base, now=now, timeout=TIMEOUT)  # noqa: E731
        run = map if len(chunks) < 2 else self._threads.map
        reports = [report for part in run(judge, chunks) for report in part]
        found = []
        for number, question in enumerate(questions):
            scores = fair.score(
                question.triples, product=question.product.iri, iri_base=self._catalog.iri_base,
                register=ruling.register,
            )  # fmt: skip
            found.append(Standing.of(edition, reports[number], scores))
        for number, report in zip(loose, reports[len(questions) :], strict=True):
            if not Standing.of(edition, report, found[number].fair).same(found[number]):
                found[number] = replace(found[number], tangled=True)
        return found

    # -- for a reader --

    def sighted(self, view: View, grants: Grants) -> Sighted:
        """How every product stands for the reader. For views: they hold the lock."""
        waived = self._waived_now()
        state = (self._catalog.registry.revision, self._standings.revision, waived, view.ruling.digest)
        with self._guard:
            known = next((s for g, at, s in self._sights if g is grants and at == state), None)
        if known is None:
            known = self._look(view, grants, waived)
            with self._guard:
                self._sights = [*self._sights[-15:], (grants, state, known)]
        return known

    def _look(self, view: View, grants: Grants, waived: Mapping[str, frozenset[str]]) -> Sighted:
        registry, standings = self._catalog.registry, self._standings
        visible = registry.visible(grants)
        whole = standings.whole(grants)
        readable = np.flatnonzero(visible & Need.READ == Need.READ).tolist()
        mine: dict[int, Standing] = {}
        apart: list[Product] = []
        for slot in readable:
            known = standings.by_slot.get(slot) if whole[slot] else None
            if known is None:
                apart.append(registry.slots[slot])
            else:
                mine[slot] = known
        mine.update(self._apart(view, apart))
        conforms = np.full(len(registry.slots), -1, np.int8)
        score = np.full(len(registry.slots), np.nan)
        for slot, standing in mine.items():
            conforms[slot] = not any(gating for _, gating, _ in standing.broken)
            if standing.fair is not None:
                score[slot] = standing.fair.score
        for key, rules in waived.items():
            product = registry.by_key.get(key)
            if product is not None and product.slot in mine:
                conforms[product.slot] = mine[product.slot].conforms(rules)
        return Sighted(conforms, score, mine)

    def _apart(self, view: View, products: Sequence[Product]) -> Iterator[tuple[int, Standing]]:
        """The verdicts on products of which the reader does not see all; given once, then remembered."""
        now = self._catalog.clock()
        edition = edition_of(view.ruling.rules, now)
        missing: list[_Question] = []
        for product in products:
            question = self._question(view, product)
            known = self._given.get((product.home, product.revision, question.fingerprint, edition))
            if known is None:
                missing.append(question)
            else:
                yield product.slot, known
        for question, standing in zip(missing, self._judge(view.ruling, missing, now), strict=True):
            if len(self._given) >= _KEPT:
                self._given.pop(next(iter(self._given)), None)
            product = question.product
            self._given[product.home, product.revision, question.fingerprint, edition] = standing
            yield product.slot, standing

    def then(
        self, view: View, product: Product, revision: int, standing: Standing, moment: datetime
    ) -> Standing | None:
        """How a product stood for the reader at a moment, given how the whole of it stood; None for what today's policy
        hides. For views: they hold the lock."""
        known = view.sighted.standings.get(product.slot)
        if revision == product.revision and known is not None and known is self._standings.by_slot.get(product.slot):
            return standing
        (entry,) = self._catalog.journal.product_history(product.home, first=1, after=revision + 1)
        past = remember(entry)
        granted = 0 if past.access is None else view.granted_then(past.access)
        if granted & Need.READ != Need.READ:
            return None
        triples = history.seen_then(replace(product, retired=False), past, granted, self._catalog.registry, view.sight)
        if len(triples) == len(past.triples) and not standing.tangled:
            return standing
        version = self._catalog.rulings.in_force(moment)
        rules = None if version is None else self._catalog.rulings.known(version.digest)
        if rules is None:
            return standing
        return self._judge_then(view, rules, product, triples, moment)

    def _judge_then(
        self, view: View, rules: RuleSet, product: Product, triples: Sequence[Triple], moment: datetime
    ) -> Standing:
        base = self._catalog.iri_base
        own = frozenset(own_nodes(triples, product.iri, base))
        background = rdf.canonical(view.background(references(triples, own, base)))
        report = validate(
            rules, rdf.canonical(triples), background, product=product.iri, domain=product.key.split(".")[0], own=own,
            iri_base=base, now=moment,
        )  # fmt: skip
        register = fair.Register.of(rules.vocabulary())
        return Standing.of(
            edition_of(rules, moment),
            report,
            fair.score(triples, product=product.iri, iri_base=base, register=register),
        )

    def foresee(
        self, view: View, ruling: Ruling, products: Sequence[Product], now: datetime
    ) -> Callable[[], list[tuple[Product, Standing]]]:
        """How products would stand for the reader under other rules. What the view shows of them is taken now; the
        function that is returned judges it, and needs no view any more."""
        questions = [self._question(view, product) for product in products]
        return lambda: list(zip(products, self._judge(ruling, questions, now), strict=True))

    # -- after a write --

    def provisional(self, ruling: Ruling, judged: Judged, product: str, now: datetime) -> Standing:
        """How a product will stand if the mesh knows as much of what it refers to as the submitter does."""
        triples = rdf.load(judged.document)
        scores = fair.score(triples, product=product, iri_base=self._catalog.iri_base, register=ruling.register)
        return Standing.of(edition_of(ruling.rules, now), judged.report, scores)

    def named(self, nodes: Iterable[str]) -> set[tuple[str, str]]:
        """What the mesh says, by type and name, of those of the nodes that some product refers to: as statements, to be
        compared with those of another moment."""
        watched = {iri for iri in nodes if self._standings.referring((iri,))}
        if not watched:
            return set()
        with self._everything() as view:
            there = {(iri, "") for iri in watched if view.exists(iri)}
            return there | {(t.subject.value, str(t)) for t in view.background(watched)}

    def settle(self, judged: Sequence[Judged], changed: Collection[str]) -> None:
        """Bring standings up to date after a write that is shown: of what was stored, and of products that refer to
        `changed` nodes, of which the mesh says something else now, see `named`."""
        stored = {each.home: each for each in judged}
        slots = self._standings.referring(changed)
        slots |= {self._catalog.registry.by_home[home].slot for home in stored}
        if len(slots) > AT_ONCE:
            with self._guard:
                self._queue |= slots
            self._wake.set()
            return
        self._judge_again(sorted(slots), stored)

    def _judge_again(self, slots: Sequence[int], stored: Mapping[str, Judged], upto: str | None = None) -> None:
        """Judge products as the mesh is now, and journal how they stand where that is news."""
        ruling, now = self._catalog.rulings.current, self._catalog.clock()
        edition = edition_of(ruling.rules, now)
        asked: list[_Question] = []
        with self._everything() as view:
            for slot in slots:
                product = self._catalog.registry.slots[slot]
                if product.retired:
                    continue
                question = self._question(view, product)
                same = self._standings.judged.get(slot) == question.fingerprint
                if not (same and self._standings.settled(product, edition) and upto is None):
                    asked.append(question)
        news: dict[str, tuple[Product, Standing]] = {}
        left = []
        for question in asked:
            known = stored.get(question.product.home)
            plain = question.alone == question.case.background
            if known is not None and plain and (known.document, known.background) == (
                question.case.document, question.case.background,
            ) and known.report.ruleset == ruling.digest:  # fmt: skip
                self._standings.judged[question.product.slot] = question.fingerprint
            else:
                left.append(question)
        for question, standing in zip(left, self._judge(ruling, left, now), strict=True):
            slot = question.product.slot
            before = self._standings.by_slot.get(slot)
            self._standings.judged[slot] = question.fingerprint
            if not standing.same(before):
                news[question.product.home] = (question.product, standing)
        if news or upto is not None:
            self._note(news, edition, now, upto)

    @contextmanager
    def _everything(self) -> Iterator[View]:
        """A view from which nothing is hidden."""
        catalog = self._catalog
        with catalog.storage.reading.shared():
            grants = np.full(len(catalog.registry.keys), EVERYTHING, np.int64)
            yield View(catalog, ANONYMOUS, Scope(grants, catalog.policy_digest, ANONYMOUS), "http", catalog.access)

    def _note(
        self, news: Mapping[str, tuple[Product, Standing]], edition: str, now: datetime, upto: str | None
    ) -> None:
        kept = {}
        for home, (product, standing) in sorted(news.items()):
            rules = self._active.get(product.key, frozenset())
            before = self._standings.by_slot.get(product.slot)
            kept[home] = {
                "revision": product.revision, "standing": standing.json(), "conforms": standing.conforms(rules),
                "did": None if before is None else before.conforms(rules),
            }  # fmt: skip
        self._record(kept, {"edition": edition} | ({} if upto is None else {"upto": upto}), now)

    def _record(self, kept: Mapping[str, object], detail: Mapping[str, str], now: datetime) -> None:
        document = json.dumps(kept, sort_keys=True).encode()
        catalog = self._catalog
        catalog.storage.record(
            Draft(EntryKind.CONFORMANCE, "", "", 0, document, "application/json", b"", "fairmesh", now,
                  catalog.rulings.current.digest, catalog.policy_digest, detail),
            _nothing,
        )  # fmt: skip

    # -- in the background --

    def _run(self) -> None:
        while not self._stopped:
            try:
                worked = self._step()
            except FairmeshError as error:
                _log.warning("products could not be judged: %s", error)
                worked = False
            except Exception:
                _log.exception("products could not be judged")
                worked = False
            if not worked:
                self._wake.wait(_TICK)
                self._wake.clear()

    def _step(self) -> bool:
        """Judge one chunk of what waits; whether there was any."""
        self._note_waivers()
        with self._guard:
            queued = sorted(self._queue)[:CHUNK]
            self._queue -= set(queued)
        if queued:
            self._judge_again(queued, {})
            return True
        edition = self.edition
        with self._catalog.storage.reading.shared():
            live = sorted(p.home for p in self._catalog.registry.live() if not self._standings.settled(p, edition))
            by_home = self._catalog.registry.by_home
            chunk = [by_home[home].slot for home in live[:CHUNK]]
        if not chunk:
            return False
        last = _ALL if len(live) <= CHUNK else live[CHUNK - 1]
        self._judge_again(chunk, {}, upto=last)
        return True

    def _waived_now(self) -> Mapping[str, frozenset[str]]:
        return waived_by_key(self._catalog.waivers, self._catalog.clock())

    def _note_waivers(self) -> None:
        """Journal which products conform otherwise since waivers were given, withdrawn or ended."""
        before, after = self._active, self._waived_now()
        if before == after:
            return
        kept = {}
        for key in sorted(key for key in {*before, *after} if before.get(key) != after.get(key)):
            product = self._catalog.registry.by_key.get(key)
            standing = None if product is None else self._standings.by_slot.get(product.slot)
            if product is None or standing is None:
                continue
            did, does = (standing.conforms(each.get(key, frozenset())) for each in (before, after))
            if did != does:
                kept[product.home] = {
                    "revision": product.revision, "standing": standing.json(), "conforms": does, "did": did,
                }  # fmt: skip
        self._active = after
        if kept:
            self._record(kept, {"edition": self.edition}, self._catalog.clock())


def waived_by_key(waivers: Waivers, at: datetime) -> dict[str, frozenset[str]]:
    """The rules waived at a moment, by the key of the product."""
    found: dict[str, set[str]] = {}
    for waiver in waivers.all():
        if waiver.active(at):
            found.setdefault(waiver.key, set()).add(waiver.rule)
    return {key: frozenset(rules) for key, rules in found.items()}


_ALL = "\U0010ffff"


def _nothing(_: Entry) -> None:
    """A verdict has no effect of its own beside its place in the projections."""
