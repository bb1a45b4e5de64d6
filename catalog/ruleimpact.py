"""What a rule set would change: which products would newly fail it, and which would newly pass.

Counted are the products that the author may read, as far as they are seen; under the rules in force and the proposed
ones, at one and the same moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fairmesh.catalog.access import Access
from fairmesh.catalog.document import DPROD
from fairmesh.catalog.judging import CHUNK, waived_by_key
from fairmesh.catalog.model import Subject
from fairmesh.catalog.registry import Product
from fairmesh.catalog.ruling import RulesVersion
from fairmesh.catalog.standing import Standing

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog

_DOMAIN, _OWNER = DPROD + "domain", DPROD + "dataProductOwner"


@dataclass(frozen=True, slots=True)
class Effect:
    """One product that would newly fail, or newly pass: by which rules. `owner` is an IRI, "" when none is seen."""

    iri: str
    key: str
    domain: str
    owner: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How many products of one rule, domain or owner would newly fail, and newly pass, with examples of keys."""

    key: str
    failing: int
    passing: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleImpact:
    """What a rule set would change. `products` were judged; `failed` counts, by rule, the products on which it could
    not be evaluated. Effects are by key; counts by what they count."""

    digest: str
    at: datetime
    products: int
    failing_before: int
    failing_after: int
    newly_failing: tuple[Effect, ...]
    newly_passing: tuple[Effect, ...]
    by_rule: tuple[Count, ...]
    by_domain: tuple[Count, ...]
    by_owner: tuple[Count, ...]
    failed: Mapping[str, int]


_EXAMPLES = 5


def rule_impact(
    catalog: Catalog, subject: Subject, files: Mapping[str, bytes], access: Access, *, channel: str,
    domain: str | None = None, at: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RuleImpact:  # fmt: skip
    """Judge every product that the subject may read under the proposed rules, as of `at` (now): a mode that changes by
    date has the one of that day. Waivers in force then count. `progress` is told how many are done, of how many.

    Raises as `RulePublishing.propose`, and `PolicyUnavailable`.
    """
    proposal = catalog.rule_publishing.propose(subject, files, access, channel=channel, domain=domain)
    moment = at or catalog.clock()
    version = RulesVersion(proposal.rules.digest, moment, subject.id, "proposed", domain, proposal.files)
    after = catalog.rulings.ruling(version, proposal.rules)
    before = catalog.rulings.current
    with catalog.view(subject, channel=channel, access=access) as view:
        slots = [product.slot for product in view.readable if not product.retired]
        places = {}
        for predicate in (_DOMAIN, _OWNER):
            places[predicate] = dict(sorted(view.pairs(predicate), reverse=True))
    effects = _Effects(places, waived_by_key(catalog.waivers, moment))
    for start in range(0, len(slots), CHUNK):
        with catalog.view(subject, channel=channel, access=access) as view:
            readable = {product.slot for product in view.readable if not product.retired}
            chunk = [catalog.registry.slots[slot] for slot in slots[start : start + CHUNK] if slot in readable]
            new = catalog.judge.foresee(view, after, chunk, moment)
            known = view.sighted.standings if at is None else {}
            old = catalog.judge.foresee(view, before, [p for p in chunk if p.slot not in known], moment)
        stood = {product.slot: standing for product, standing in old()}
        for product, standing in new():
            effects.add(product, known.get(product.slot) or stood[product.slot], standing)
        progress(min(start + CHUNK, len(slots)), len(slots))
    after.validator.close()
    return effects.impact(proposal.rules.digest, moment)


class _Effects:
    """Gathers what changes, product by product."""

    def __init__(self, places: Mapping[str, Mapping[str, str]], waived: Mapping[str, frozenset[str]]) -> None:
        self._places = places
        self._waived = waived
        self._products = self._before = self._after = 0
        self._failing: list[Effect] = []
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
        for found, rules in ((self._failing, does - did), (self._passing, did - does)):
            if rules:
                domain, owner = (self._places[predicate].get(product.iri, "") for predicate in (_DOMAIN, _OWNER))
                found.append(Effect(product.iri, product.key, domain, owner, tuple(sorted(rules))))

    def impact(self, digest: str, at: datetime) -> RuleImpact:
        failing, passing = (tuple(sorted(found, key=lambda e: e.key)) for found in (self._failing, self._passing))
        return RuleImpact(
            digest, at, self._products, self._before, self._after, failing, passing,
            _counts(failing, passing, lambda e: e.rules), _counts(failing, passing, lambda e: (e.domain,)),
            _counts(failing, passing, lambda e: (e.owner,)), dict(sorted(self._failed.items())),
        )  # fmt: skip


def _counts(
    failing: Sequence[Effect], passing: Sequence[Effect], keys: Callable[[Effect], Iterable[str]]
) -> tuple[Count, ...]:
    found: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for place, effects in enumerate((failing, passing)):
        for effect in effects:
            for key in keys(effect):
                found[key][place].append(effect.key)
    return tuple(
        Count(key, len(bad), len(good), tuple([*bad, *good][:_EXAMPLES])) for key, (bad, good) in sorted(found.items())
    )
