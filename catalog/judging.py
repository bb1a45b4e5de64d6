"""Keeping every product's standing up to date: after a write, after a change of rules or of the day, for one reader.

What is judged of a product is what a view shows of it, with what that view shows of the nodes it refers to. Standings
are those of a view from which nothing is hidden. A reader from whom something is hidden that a standing rests on gets
a verdict of their own: the same that a mesh without the hidden things would give. From whom a field of the product is
hidden is told nothing of what is found about it: whether it is there is not theirs to know.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from fairmesh.catalog import fair, history, rdf
from fairmesh.catalog.access import Scope
from fairmesh.catalog.asking import Asker, Question
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.governance import Stops
from fairmesh.catalog.intake import with_lines
from fairmesh.catalog.model import ANONYMOUS, EVERYTHING, Draft, Entry, EntryKind, Need, Report
from fairmesh.catalog.places import Positions
from fairmesh.catalog.projection import remember
from fairmesh.catalog.registry import Grants, Product
from fairmesh.catalog.ruling import Ruling
from fairmesh.catalog.sighted import Sighted
from fairmesh.catalog.standing import Standing, edition_of, field_need
from fairmesh.catalog.view import View
from fairmesh.catalog.waivers import Waivers, apply

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog

CHUNK = 200
"""Products whose verdicts the background keeps together."""
_PART = 25
"""Products that are read, and that one process judges, without a break: how long a request may have to wait."""
UNDER_WAY = 3
"""Chunks of a pass that are judged while others are read and kept."""
AT_ONCE = 200
"""Products that a write may bring along to be judged before it is acknowledged; more are left to the background."""
TIMEOUT = 120.0
"""Seconds one chunk may take in a worker."""
_KEPT = 200_000
_AT_A_TIME = 5_000
"""Documents that are held in memory to be judged for one reader."""
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
class Progress:
    """Judging the mesh by an edition of the rules: how many products are, and how many there are."""

    edition: str
    done: int
    total: int


class _Pass:
    """A way through products, in order of home, by one edition of the rules."""

    def __init__(self, ruling: Ruling, edition: str, products: Iterable[Product]) -> None:
        homes = sorted(product.home for product in products)
        parts = [homes[at : at + CHUNK] for at in range(0, len(homes), CHUNK)]
        self.ruling = ruling
        self.edition = edition
        self.chunks = deque((ALL if part is parts[-1] else part[-1], part) for part in parts)
        """Homes to come, and up to where all are judged once these are."""
        self.stops = Stops()
        self.under_way: deque[tuple[str, list[Question], Future[list[Standing]]]] = deque()

    @property
    def over(self) -> bool:
        return not self.chunks and not self.under_way


class Judge:
    """Gives verdicts on stored products. Safe to use from any thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._standings = catalog.storage.standings
        self._given: dict[tuple[str, int, int, str], Standing] = {}
        self._sights: list[tuple[Grants, tuple[object, ...], Sighted]] = []
        self._queue: set[int] = set()
        self._queue_stops = Stops()
        """Of the pass through what is queued, which ends when nothing is."""
        self._under_way: frozenset[int] = frozenset()
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._keeping = threading.Lock()
        self._noting = threading.Lock()
        self._pass: _Pass | None = None
        self._quiet: tuple[object, ...] = ()
        """The state of the mesh in which nothing was left to judge."""
        self._tickets = itertools.count(1)
        self._asked: dict[int, tuple[int, str]] = {}
        """By slot, the last question put about the whole of a product, and for which edition."""
        self._active: Mapping[str, frozenset[str]] = {}
        self._threads = ThreadPoolExecutor(catalog.settings.workers, thread_name_prefix="fairmesh-judge")
        self._passing = ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="fairmesh-pass")

    # -- life --

    def start(self) -> None:
        """Begin to judge, in the background, what is not judged by the edition in force."""
        told = self._catalog.journal.last(EntryKind.CONFORMANCE)  # what waivers did since is not told of yet
        self._active = {} if told is None else waived_by_key(self._catalog.waivers, told.draft.at)
        self._thread = threading.Thread(target=self._run, name="fairmesh-judging", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin no more background work; what is not done goes on at the next start."""
        self._stopped = True
        self._wake.set()

    def join(self) -> None:
        """Wait for what was under way when it was told to stop. The processes that judge may have ended before."""
        if self._thread is not None:
            self._thread.join()
        self._passing.shutdown(cancel_futures=True)
        self._threads.shutdown(cancel_futures=True)

    def nudge(self) -> None:
        """The rules or the waivers changed: look now."""
        self._wake.set()

    @property
    def edition(self) -> str:
        """The edition of the rules in force now."""
        return edition_of(self._catalog.rulings.current.rules, self._catalog.clock())

    @property
    def waiting(self) -> int:
        """How many products are left to the background since a write."""
        with self._guard:
            return len(self._queue | self._under_way)

    def progress(self, products: Iterable[Product]) -> Progress:
        """How far the judging of these products is."""
        edition, found = self.edition, list(products)
        return Progress(edition, sum(self._standings.settled(p, edition) for p in found), len(found))

    # -- one product --

    def report(self, view: View, product: Product) -> Report:
        """The stored document under the rules in force, as far as this view shows it, without findings about fields
        that it hides. For views: they hold the lock."""
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
        return Asker(view, self._catalog.journal, self._catalog.registry, self._tickets)

    def _judge(
        self, ruling: Ruling, questions: Sequence[Question], now: datetime, stops: Stops
    ) -> list[Standing]:  # fmt: skip
        """A standing for each question. Raises `WorkerFailed`."""
        parts = [questions[at : at + _PART] for at in range(0, len(questions), _PART)]
        run = map if len(parts) < 2 else self._threads.map
        judged = run(lambda part: self._judge_part(ruling, part, now, stops), parts)
        return [standing for part in judged for standing in part]

    def _judge_part(
        self, ruling: Ruling, questions: Sequence[Question], now: datetime, stops: Stops
    ) -> list[Standing]:  # fmt: skip
        edition, base = edition_of(ruling.rules, now), self._catalog.iri_base
        cases = [question.case for question in questions]
        loose = [n for n, q in enumerate(questions) if q.alone != q.case.background]
        apart = [replace(cases[n], background=questions[n].alone) for n in loose]
        judged = ruling.validator.judge_many([*cases, *apart], iri_base=base, now=now, timeout=TIMEOUT, stops=stops)
        found = [
            Standing.of(edition, *judgement, case.product)
            for judgement, case in zip(judged, [*cases, *apart], strict=True)
        ]
        for number, standing in zip(loose, found[len(cases) :], strict=True):
            if not standing.same(found[number]):
                found[number] = replace(found[number], tangled=True)
        return found[: len(cases)]

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
        missing: list[Question] = []
        for question in self._asker(view).ask(products):
            product = question.product
            known = self._given.get((product.home, product.revision, question.fingerprint, edition))
            if known is None:
                missing.append(question)
            else:
                yield product.slot, known.seen(question.granted)
        for question, standing in zip(missing, self._judge(view.ruling, missing, now, stops), strict=True):
            if len(self._given) >= _KEPT:
                self._given.pop(next(iter(self._given)), None)
            product = question.product
            self._given[product.home, product.revision, question.fingerprint, edition] = standing
            yield product.slot, standing.seen(question.granted)

    def then(
        self, view: View, asked: Sequence[tuple[Product, int, Standing]], moment: datetime
    ) -> list[Standing | None]:
        """How products stood for the reader at a moment: for each its revision then, and how the whole of it stood.
        None for what today's policy hides. For views: they hold the lock."""
        asker = self._asker(view)
        found = [self._shown_then(view, asker, *each) for each in asked]
        questions = [each for each in found if isinstance(each, Question)]
        version = self._catalog.rulings.versions.in_force(moment)
        ruling = None if version is None else self._catalog.rulings.known(version.digest)
        judged = iter([] if ruling is None else self._judge(ruling, questions, moment, Stops()))
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
            for question, standing in zip(questions, self._judge(ruling, questions, now, stops), strict=True)
        ]

    # -- after a write --

    def provisional(self, ruling: Ruling, judged: Judged, product: str, now: datetime) -> Standing:
        """How a product will stand if the mesh knows as much of what it refers to as the submitter does."""
        triples = rdf.load(judged.document)
        scores = fair.score(triples, product=product, iri_base=self._catalog.iri_base, register=ruling.register, at=now)
        return Standing.of(edition_of(ruling.rules, now), judged.report, scores, product)

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
        try:
            self._judge_again(sorted(slots), stored, Stops())
        except FairmeshError as error:  # what is stored is stored: it is judged as soon as that can be done
            _log.warning("a write could not be judged at once: %s", error)
            with self._guard:
                self._queue |= slots

    def _judge_again(self, slots: Sequence[int], stored: Mapping[str, Judged], stops: Stops) -> None:
        """Judge products as the mesh is now, and journal how they stand where that is news."""
        ruling, now = self._catalog.rulings.current, self._catalog.clock()
        edition = edition_of(ruling.rules, now)
        asked: list[Question] = []
        with self._everything(ruling) as view:
            products = [self._catalog.registry.slots[slot] for slot in slots]
            for question in self._ask(view, [product for product in products if not product.retired], edition):
                product = question.product
                same = self._standings.judged.get(product.slot) == question.fingerprint
                if not (same and self._standings.settled(product, edition)):
                    asked.append(question)
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
        standings = self._judge(ruling, left, now, stops)
        if self.edition != edition:  # the rules changed meanwhile: by which these verdicts are none
            with self._guard:
                self._queue |= set(slots)
            return
        self._keep(left, standings, edition, now)

    def _ask(self, view: View, products: Sequence[Product], edition: str) -> list[Question]:
        """Questions about the whole of products, the answers to which are to be kept."""
        questions = self._asker(view).ask(products)
        self._asked.update((question.product.slot, (question.ticket, edition)) for question in questions)
        return questions

    def _keep(
        self, asked: Sequence[Question], standings: Sequence[Standing], edition: str, now: datetime,
        upto: str | None = None,
    ) -> None:  # fmt: skip
        """Journal the verdicts that are news; with `upto`, that all products up to this home are judged."""
        with self._keeping:  # who asked later compares with what was kept before
            news = self._news(asked, standings)
            if news or upto is not None:
                self._note(news, edition, now, upto)

    def _news(self, asked: Sequence[Question], standings: Sequence[Standing]) -> dict[str, tuple[Product, Standing]]:
        """The verdicts that differ from what was known, by home."""
        found = {}
        for question, standing in zip(asked, standings, strict=True):
            product = question.product
            ticket, edition = self._asked[product.slot]
            if ticket != question.ticket and edition == standing.edition:
                continue  # it was asked again, as the mesh is since then: that verdict will count
            self._standings.judged[product.slot] = question.fingerprint
            if not standing.same(self._standings.by_slot.get(product.slot)):
                found[product.home] = (product, standing)
        return found

    @contextmanager
    def _everything(self, ruling: Ruling | None = None) -> Iterator[View]:
        """A view from which nothing is hidden."""
        catalog = self._catalog
        rules = ruling or catalog.rulings.current
        with catalog.storage.reading.shared():
            grants = np.full(len(catalog.registry.keys), EVERYTHING, np.int64)
            scope = Scope(grants, catalog.policy_digest, ANONYMOUS)
            yield View(catalog, ANONYMOUS, scope, "http", catalog.access, rules)

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

    # -- all at once --

    def everything(self, progress: Callable[[int], None]) -> None:
        """Judge every product by the rules in force, whatever it was judged by before, on all processors. `progress` is
        told of each chunk how many products it had. For a mesh that nobody writes meanwhile; the background waits.

        Raises `WorkerFailed` or `StorageUnavailable`; what is not done then is left to the next start.
        """
        with self._turn:
            ruling, now = self._catalog.rulings.current, self._catalog.clock()
            going = _Pass(ruling, edition_of(ruling.rules, now), self._catalog.registry.live())
            while not going.over:
                progress(self._advance(going, now))

    # -- in the background --

    def _run(self) -> None:
        while not self._stopped:
            try:
                with self._turn:
                    worked = self.step()
            except FairmeshError as error:
                if not self._stopped:
                    _log.warning("products could not be judged: %s", error)
                worked = False
            except Exception:
                _log.exception("products could not be judged")
                worked = False
            if not worked:
                self._wake.wait(_TICK)
                self._wake.clear()

    def step(self) -> bool:
        """Judge one chunk of what waits; whether there was any."""
        self.note_waivers()
        with self._guard:
            queued = sorted(self._queue)[:CHUNK]
            self._queue -= set(queued)
            self._under_way = frozenset(queued)
        if queued:
            try:
                self._judge_again(queued, {}, self._queue_stops)
            except BaseException:
                with self._guard:
                    self._queue |= self._under_way
                raise
            finally:
                self._under_way = frozenset()
            return True
        self._queue_stops = Stops()
        ruling, now = self._catalog.rulings.current, self._catalog.clock()
        edition = edition_of(ruling.rules, now)
        going, self._pass = self._pass, None  # after a failure another begins, with what is left
        if going is None or going.edition != edition:
            going = self._begin(ruling, edition)
        if going is None:
            return False
        self._advance(going, now)
        self._pass = None if going.over else going
        return True

    def _begin(self, ruling: Ruling, edition: str) -> _Pass | None:
        """A pass through all products that are not judged by this edition; None when there are none."""
        standings, registry = self._standings, self._catalog.registry
        with self._catalog.storage.reading.shared():
            state = (registry.revision, standings.revision, edition)
            if state == self._quiet:
                return None
            left = [product for product in registry.live() if not standings.settled(product, edition)]
        if not left:
            self._quiet = state
            return None
        return _Pass(ruling, edition, left)

    def _advance(self, going: _Pass, now: datetime) -> int:
        """Keep all processors busy with the next products, and the verdicts on the first of those under way; how many
        those were."""
        by_home = self._catalog.registry.by_home
        while going.chunks and len(going.under_way) < UNDER_WAY:
            last, homes = going.chunks.popleft()
            questions: list[Question] = []
            for at in range(0, len(homes), _PART):  # a write waits for one part to be read, not for all
                with self._everything(going.ruling) as view:
                    products = [by_home[home] for home in homes[at : at + _PART] if not by_home[home].retired]
                    questions += self._ask(view, products, going.edition)
            judging = self._passing.submit(self._judge, going.ruling, questions, now, going.stops)
            going.under_way.append((last, questions, judging))
        last, questions, judging = going.under_way.popleft()
        standings = judging.result()
        if self.edition == going.edition:  # else the next step begins anew
            self._keep(questions, standings, going.edition, now, last)
        return len(questions)

    def _waived_now(self) -> Mapping[str, frozenset[str]]:
        return waived_by_key(self._catalog.waivers, self._catalog.clock())

    def note_waivers(self) -> None:
        """Journal which products conform otherwise since waivers were given, withdrawn or ended."""
        with self._noting:
            before, after = self._active, self._waived_now()
            if before != after:
                self._note_turned(before, after)

    def _note_turned(self, before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> None:
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


ALL = "\U0010ffff"
"""After the home of every product."""


def _nothing(_: Entry) -> None:
    """A verdict has no effect of its own beside its place in the projections."""
