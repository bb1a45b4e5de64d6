"""What a rule set would change: which products would newly fail it, be newly warned, or newly pass.

Counted are the products that the author may read, as far as they are seen; under the rules in force and the proposed
ones, at one and the same moment.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING

from fairmesh.catalog.access import Access
from fairmesh.catalog.document import DPROD
from fairmesh.catalog.governance import Stops
from fairmesh.catalog.judging import CHUNK, UNDER_WAY
from fairmesh.catalog.model import Subject
from fairmesh.catalog.registry import Product
from fairmesh.catalog.ruling import Proposal, RemovedTerms, RuleChange
from fairmesh.catalog.standing import Standing
from fairmesh.catalog.versions import Version

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog
    from fairmesh.catalog.view import View

_DOMAIN, _OWNER = DPROD + "domain", DPROD + "dataProductOwner"


@dataclass(frozen=True, slots=True)
class Effect:
    """One product that would newly fail, be newly warned or newly pass: by which rules. `owner` is an IRI, "" when none
    is seen."""

    iri: str
    key: str
    domain: str
    owner: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How many products of one rule, domain or owner would newly fail, be newly warned and newly pass; and, in all,
    `products`, with examples of keys: failing ones first, then warned ones."""

    key: str
    failing: int
    warned: int
    passing: int
    products: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleImpact:
    """What a rule set would change. `products` were judged; `failed` counts, by rule, the products on which it could
    not be evaluated. Effects are by key; counts by what they count.

    `changes` are the rules that it adds, removes or states otherwise: a product may newly pass because its rule is
    gone; `removed_terms` is the vocabulary that it removes. Newly warned are products in which a rule that found
    nothing would find something, and not refuse it: advice is counted like warnings.
    """

    digest: str
    at: datetime
    products: int
    failing_before: int
    failing_after: int
    changes: tuple[RuleChange, ...]
    removed_terms: tuple[RemovedTerms, ...]
    newly_failing: tuple[Effect, ...]
    newly_warned: tuple[Effect, ...]
    newly_passing: tuple[Effect, ...]
    by_rule: tuple[Count, ...]
    by_domain: tuple[Count, ...]
    by_owner: tuple[Count, ...]
    failed: Mapping[str, int]


_EXAMPLES = 5


def rule_impact(
    catalog: Catalog, subject: Subject, files: Mapping[str, bytes], access: Access, *, channel: str,
    domain: str | None = None, at: datetime | None = None,
) -> RuleImpact:  # fmt: skip
    """Judge every product that the subject may read under the proposed rules, as of `at` (now): a mode that changes by
    date has the one of that day. Waivers in force then count. `RulePublishing.impact_under_way` tells how far it is.

    Raises as `RulePublishing.propose`, and `PolicyUnavailable`.
    """
    proposal = catalog.rule_publishing.propose(subject, files, access, channel=channel, domain=domain, examples=False)
    moment = at or catalog.clock()
    version = Version(proposal.rules.digest, moment, subject.id, "proposed", domain, proposal.files)
    after = catalog.rulings.ruling(version, proposal.rules)
    before = catalog.rulings.current
    with catalog.view(subject, channel=channel, access=access) as view:
        slots = [product.slot for product in view.readable if not product.retired]
        places = {role: _places(view, role) for role in (_DOMAIN, _OWNER)}
    effects = _Effects(places, catalog.waivers.by_key(moment))
    stops = Stops(), Stops()  # a rule of the same id need not say the same
    done = 0
    waiting: deque[tuple[int, Future[list[_Judged]]]] = deque()
    told = catalog.rule_publishing.impact(subject, len(slots))
    with closing(after.validator), told as progress, ThreadPoolExecutor(UNDER_WAY) as threads:
        for start in range(0, len(slots), CHUNK):
            part = slots[start : start + CHUNK]
            with catalog.view(subject, channel=channel, access=access) as view:
                products = [catalog.registry.slots[slot] for slot in part]
                chunk = [product for product in products if view.may_read(product.home)]
                known = _settled(catalog, view.sighted.standings, chunk) if at is None else {}
                new = catalog.verdicts.foresee(view, after, chunk, moment, stops[0])
                rest = [product for product in chunk if product.slot not in known]
                old = catalog.verdicts.foresee(view, before, rest, moment, stops[1])
            waiting.append((len(part), threads.submit(_judged, known, old, new)))
            while waiting and (len(waiting) == UNDER_WAY or start + CHUNK >= len(slots)):
                size, judged = waiting.popleft()
                for product, before_it, after_it in judged.result():
                    effects.add(product, before_it, after_it)
                done += size
                progress(done)
    return effects.impact(proposal, moment)


_Judged = tuple[Product, Standing, Standing]
_Foreseen = Callable[[], list[tuple[Product, Standing]]]


def _settled(catalog: Catalog, standings: Mapping[int, Standing], products: Iterable[Product]) -> dict[int, Standing]:
    """How those products stand that were judged by the rules in force: others still stand as earlier rules had it."""
    edition, settled = catalog.judge.edition, catalog.storage.standings.settled
    return {
        product.slot: standing
        for product in products
        if (standing := standings.get(product.slot)) is not None
        and (standing.edition == edition or settled(product, edition))
    }


def _judged(known: Mapping[int, Standing], old: _Foreseen, new: _Foreseen) -> list[_Judged]:
    """Products with how they stand and how they would."""
    stood = {product.slot: standing for product, standing in old()}
    return [(product, known.get(product.slot) or stood[product.slot], standing) for product, standing in new()]


def _places(view: View, role: str) -> dict[int, str]:
    """By slot, the first of the nodes that a product has in a role."""
    slots, numbers, nodes = view.stated(role)
    stated = ((slot, nodes[number]) for slot, number in zip(slots.tolist(), numbers.tolist(), strict=True))
    return dict(sorted(stated, reverse=True))


class _Effects:
    """Gathers what changes, product by product."""

    def __init__(self, places: Mapping[str, Mapping[int, str]], waived: Mapping[str, frozenset[str]]) -> None:
        self._places = places
        self._waived = waived
        self._products = self._before = self._after = 0
        self._failing: list[Effect] = []
        self._warned: list[Effect] = []
        self._passing: list[Effect] = []
        self._failed: dict[str, int] = defaultdict(int)

    def add(self, product: Product, old: Standing, new: Standing) -> None:
        waived = self._waived.get(product.key, frozenset())
        did, does = (
            {rule for rule, gating, _ in standing.broken if gating and rule not in waived} for standing in (old, new)
        )
        self._products += 1
        self._before += bool(did)
        self._after += bool(does)
        for rule in new.failed:
            self._failed[rule] += 1
        found_before = {rule for rule, *_ in old.broken}
        warned = {rule for rule, gating, _ in new.broken if not gating and rule not in found_before}
        for found, rules in ((self._failing, does - did), (self._warned, warned), (self._passing, did - does)):
            if rules:
                domain, owner = (self._places[role].get(product.slot, "") for role in (_DOMAIN, _OWNER))
                found.append(Effect(product.iri, product.key, domain, owner, tuple(sorted(rules))))

    def impact(self, proposal: Proposal, at: datetime) -> RuleImpact:
        failing, warned, passing = every = [
            tuple(sorted(found, key=lambda e: e.key)) for found in (self._failing, self._warned, self._passing)
        ]
        return RuleImpact(
            proposal.rules.digest, at, self._products, self._before, self._after, proposal.changes,
            proposal.removed_terms, failing, warned, passing,
            _counts(every, lambda e: e.rules), _counts(every, lambda e: (e.domain,)),
            _counts(every, lambda e: (e.owner,)), dict(sorted(self._failed.items())),
        )  # fmt: skip


def _counts(
    every: Sequence[Sequence[Effect]], keys: Callable[[Effect], Iterable[str]]
) -> tuple[Count, ...]:  # fmt: skip
    """Of what newly fails, is newly warned and newly passes, in this order."""
    found: dict[str, tuple[list[str], list[str], list[str]]] = defaultdict(lambda: ([], [], []))
    for place, effects in enumerate(every):
        for effect in effects:
            for key in keys(effect):
                found[key][place].append(effect.key)
    counts = []
    for key, (failing, warned, passing) in sorted(found.items()):
        products = list(dict.fromkeys(chain(failing, warned, passing)))
        counts.append(
            Count(key, len(failing), len(warned), len(passing), len(products), tuple(products[:_EXAMPLES]))
        )  # fmt: skip
    return tuple(counts)
