"""What a resource that is asked about stands for: a product, or a part of one, and how that is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fairmesh.catalog.access import Access
from fairmesh.catalog.model import AccessKey, Action, Decision, Obligations, ProductInfo, Subject, granted_under
from fairmesh.catalog.registry import Registry
from fairmesh.catalog.view import View

_READING = (Action.DISCOVER, Action.READ_METADATA, Action.READ_DATA)


@dataclass(frozen=True, slots=True)
class Holder:
    """A product, or the one that a part belongs to. `need` is what a reader has to be granted to see the part."""

    key: AccessKey
    need: int
    is_part: bool


def of_product(registry: Registry, info: ProductInfo) -> Holder:
    product = registry.by_home[info.home]
    return Holder(registry.keys[product.key_id], registry.node_need(product, info.iri), False)


def holder(registry: Registry, view: View, iri: str) -> Holder | None:
    """What an IRI stands for, among the products that the viewer sees; None when the viewer sees none that has it."""
    info = view.product(iri=iri)
    if info is not None:
        return of_product(registry, info)
    owner = next(iter(view.describers(iri)), None) if view.exists(iri) else None
    return None if owner is None else Holder(registry.keys[owner.key_id], registry.owner_need(owner, iri), True)


def decide(
    access: Access, subject: Subject, action: Action, holders: Sequence[Holder], *, channel: str, now: datetime
) -> list[Decision]:
    """May `subject` do it, in order: a part is decided as its product, unless that one masks or hides the part from
    readers. Raises `PolicyUnavailable`."""
    # to see a part takes reading: who may only discover a product sees none
    reading = [Action.READ_METADATA if each.is_part and action is Action.DISCOVER else action for each in holders]
    questions = [(asked, each.key) for asked, each in zip(reading, holders, strict=True)]
    answers = access.decide_many(subject, questions, channel=channel, now=now)
    return [replace(_of(each, answer), action=action) for each, answer in zip(holders, answers, strict=True)]


def _of(place: Holder, decision: Decision) -> Decision:
    if not place.is_part or decision.action not in _READING or not decision.allowed:
        return decision
    if place.need & granted_under(decision.obligations) == place.need:
        return decision
    return Decision(decision.action, False, ("masked",), Obligations(), decision.policy, decision.revision)
