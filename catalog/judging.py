"""Keeping every product's standing up to date: after a write, after a change of rules or of the day.

What is judged of a product is what a view from which nothing is hidden shows of it, and of the nodes it refers to.
What readers are told of standings is in `verdicts`; the words of questions are explained in `asking`.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from fairmesh.catalog import fair, rdf
from fairmesh.catalog.access import Scope
from fairmesh.catalog.asking import PART, Asker, Bench, Question
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.governance import Stops
from fairmesh.catalog.model import ANONYMOUS, EVERYTHING, Draft, Entry, EntryKind, Report
from fairmesh.catalog.registry import Product
from fairmesh.catalog.ruling import Ruling
from fairmesh.catalog.standing import Standing, edition_of
from fairmesh.catalog.view import View

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog

CHUNK = 200
"""Products whose verdicts the background keeps together."""
UNDER_WAY = 3
"""Chunks of a pass that are judged while others are read and kept."""
AT_ONCE = 200
"""Products that a write may bring along to be judged before it is acknowledged; more are left to the background."""
ALL = "\U0010ffff"
"""After the home of every product."""
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

    def answers(self, question: Question, ruling: Ruling) -> bool:
        """Whether the standing that was stored with it is the answer: these rules were asked the same, byte by byte."""
        case = question.case
        same = (self.document, self.background) == (case.document, case.background)
        return same and question.alone == case.background and self.report.ruleset == ruling.digest


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
    """Brings standings up to date. Safe to use from any thread.

    What its locks protect. Who holds one takes only those below it, and `Storage.writing` and `.reading` come between
    `_keeping` and `_guard`:

    - `_turn`, held while a step or a pass of all is made: `_pass`, `_quiet`, `_queue_stops`.
    - `_keeping`, held from comparing with what is known until the difference is journaled: `_active`, and the order of
      CONFORMANCE entries.
    - `_guard`, held for a moment: `_queue`, `_under_way`, `_asked`.
    """

    def __init__(self, catalog: Catalog, bench: Bench) -> None:
        self._catalog = catalog
        self._bench = bench
        self._standings = catalog.storage.standings
        self._turn = threading.Lock()
        self._pass: _Pass | None = None
        self._quiet: tuple[object, ...] = ()
        """The state of the mesh in which nothing was left to judge."""
        self._queue_stops = Stops()
        """Of the pass through what is queued, which ends when nothing is."""
        self._keeping = threading.Lock()
        self._active: Mapping[str, frozenset[str]] = {}
        """The waived rules, by key, that all of the journal's verdicts and events reckon with."""
        self._guard = threading.Lock()
        self._queue: set[int] = set()
        self._under_way: frozenset[int] = frozenset()
        self._asked: dict[int, tuple[int, str]] = {}
        """By slot, the last question put about the whole of a product, and for which edition."""
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._passing = ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="fairmesh-pass")

    # -- life --

    def start(self) -> None:
        """Begin to judge, in the background, what is not judged by the edition in force."""
        told = self._catalog.journal.last(EntryKind.CONFORMANCE)  # what waivers did since is not told of yet
        self._active = {} if told is None else self._catalog.waivers.by_key(told.draft.at)
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
        self._bench.close()

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
        answered: list[Question] = []
        asked: list[Question] = []
        with self._everything(ruling) as view:
            products = [self._catalog.registry.slots[slot] for slot in slots]
            for question in self._ask(view, [product for product in products if not product.retired], edition):
                product = question.product
                judged = self._standings.judged.get(product.slot) == question.fingerprint
                if not (judged and self._standings.settled(product, edition)):
                    known = stored.get(product.home)
                    (answered if known is not None and known.answers(question, ruling) else asked).append(question)
        standings = self._bench.judge(ruling, asked, now, stops)
        if self.edition != edition:  # the rules changed meanwhile: by which these verdicts are none
            with self._guard:
                self._queue |= set(slots)
            return
        self._keep([*asked, *answered], [*standings, *(None for _ in answered)], edition, now)

    def _ask(self, view: View, products: Sequence[Product], edition: str) -> list[Question]:
        """Questions about the whole of products, the answers to which are to be kept."""
        questions = Asker(view, self._catalog.journal, self._catalog.registry).ask(products)
        with self._guard:
            self._asked.update((question.product.slot, (question.ticket, edition)) for question in questions)
        return questions

    def _keep(
        self, asked: Sequence[Question], standings: Sequence[Standing | None], edition: str, now: datetime,
        upto: str | None = None,
    ) -> None:  # fmt: skip
        """Journal the verdicts that are news, None for one that is stored; with `upto`, that all products up to this
        home are judged."""
        with self._keeping:  # who asked later compares with what was kept before
            self._tell_waivers()  # a start goes on from the last verdict: none comes before what waivers did until then
            self._catch_up()
            news = self._news(asked, standings, edition)
            if news or upto is not None:
                detail = {"edition": edition} | ({} if upto is None else {"upto": upto})
                self._record(news, detail, now, self._active)

    def _catch_up(self) -> None:
        """Show what was stored when it could not be shown: it would be news once more."""
        with self._catalog.storage.writing:
            self._catalog.storage.catch_up()

    def _news(
        self, asked: Sequence[Question], standings: Sequence[Standing | None], edition: str
    ) -> dict[str, _Kept]:  # fmt: skip
        """The verdicts that differ from what was known, by home."""
        with self._guard:
            last = [self._asked[question.product.slot] for question in asked]
        found = {}
        for question, standing, (ticket, asked_for) in zip(asked, standings, last, strict=True):
            if ticket != question.ticket and asked_for == edition:
                continue  # it was asked again, as the mesh is since then: that verdict will count
            product = question.product
            self._standings.judged[product.slot] = question.fingerprint
            before = self._standings.by_slot.get(product.slot)
            if standing is not None and not standing.same(before):
                rules = self._active.get(product.key, frozenset())
                did = None if before is None else before.conforms(rules)
                found[product.home] = _kept(product, standing, did, standing.conforms(rules))
        return found

    # -- as waivers begin and end --

    def note_waivers(self) -> None:
        """Journal which products conform otherwise since waivers were given, withdrawn or ended."""
        with self._keeping:
            self._tell_waivers()

    def _tell_waivers(self) -> None:
        """The same, for who holds `_keeping`. What cannot be journaled is left to the next time."""
        before, after = self._active, self._catalog.waivers.by_key(self._catalog.clock())
        if before == after:
            return
        self._catch_up()
        turned: dict[str, _Kept] = {}
        for key in sorted(key for key in {*before, *after} if before.get(key) != after.get(key)):
            product = self._catalog.registry.by_key.get(key)
            standing = None if product is None else self._standings.by_slot.get(product.slot)
            if product is not None and standing is not None:
                did, does = (standing.conforms(each.get(key, frozenset())) for each in (before, after))
                if did != does:
                    turned[product.home] = _kept(product, standing, did, does)
        if turned:
            self._record(turned, {"edition": self.edition}, self._catalog.clock(), after)
        else:
            self._active = after

    def _record(
        self, kept: Mapping[str, _Kept], detail: Mapping[str, str], now: datetime,
        active: Mapping[str, frozenset[str]],
    ) -> None:  # fmt: skip
        """Journal verdicts, for which these waivers are reckoned with: from when they are stored, shown or not."""

        def told(_: Entry) -> None:
            self._active = active

        document = json.dumps(kept, sort_keys=True).encode()
        catalog = self._catalog
        catalog.storage.record(
            Draft(EntryKind.CONFORMANCE, "", "", 0, document, "application/json", b"", "fairmesh", now,
                  catalog.rulings.current.digest, catalog.policy_digest, detail),
            told,
        )  # fmt: skip

    @contextmanager
    def _everything(self, ruling: Ruling | None = None) -> Iterator[View]:
        """A view from which nothing is hidden."""
        catalog = self._catalog
        rules = ruling or catalog.rulings.current
        with catalog.storage.reading.shared():
            grants = np.full(len(catalog.registry.keys), EVERYTHING, np.int64)
            scope = Scope(grants, catalog.policy_digest, ANONYMOUS)
            yield View(catalog, ANONYMOUS, scope, "http", catalog.access, rules)

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
        with self._turn:
            self.note_waivers()
            return self._step_of_queue() or self._step_of_pass()

    def _step_of_queue(self) -> bool:
        with self._guard:
            queued = sorted(self._queue)[:CHUNK]
            self._queue -= set(queued)
            self._under_way = frozenset(queued)
        if not queued:
            self._queue_stops = Stops()
            return False
        try:
            self._judge_again(queued, {}, self._queue_stops)
        except BaseException:
            with self._guard:
                self._queue |= self._under_way
            raise
        finally:
            with self._guard:
                self._under_way = frozenset()
        return True

    def _step_of_pass(self) -> bool:
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
            for at in range(0, len(homes), PART):  # a write waits for one part to be read, not for all
                with self._everything(going.ruling) as view:
                    products = [by_home[home] for home in homes[at : at + PART] if not by_home[home].retired]
                    questions += self._ask(view, products, going.edition)
            judging = self._passing.submit(self._bench.judge, going.ruling, questions, now, going.stops)
            going.under_way.append((last, questions, judging))
        last, questions, judging = going.under_way.popleft()
        standings = judging.result()
        if self.edition == going.edition:  # else the next step begins anew
            self._keep(questions, standings, going.edition, now, last)
        return len(questions)


_Kept = dict[str, object]


def _kept(product: Product, standing: Standing, did: bool | None, does: bool) -> _Kept:
    """A verdict as the journal has it: whether the product conforms by it and, None where that was not known, did."""
    return {"revision": product.revision, "standing": standing.json(), "conforms": does, "did": did}
