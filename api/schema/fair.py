"""The FAIR assessment of a product, as GraphQL tells it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from fairmesh.api.schema.inputs import shown
from fairmesh.catalog import fair
from fairmesh.catalog.fair import Basis

FairBasis = strawberry.enum(
    Basis,
    name="FairBasis",
    description="Computed on the product; met by the platform for all; declared by the product and not verifiable"
    " here.",
)


@strawberry.type
class FairIndicator:
    code: str
    title: str
    priority: str
    passed: bool | None = strawberry.field(description="Null: not assessed.")
    basis: Basis = strawberry.field(
        description="DECLARED also stands for the three that no product can declare, for they need the data or the"
        f" network: their evidence begins with {fair.NEVER.partition(',')[0]!r}."
    )
    evidence: str | None
    fix: str | None


@strawberry.type
class FairAssessment:
    score: float = strawberry.field(description="Means nothing where every indicator's `passed` is null: it is 0 then.")
    findable: float
    accessible: float
    interoperable: float
    reusable: float
    at: datetime
    indicators: list[FairIndicator]

    @classmethod
    def maybe(cls, found: fair.Assessment | None, at: datetime, why: str) -> FairAssessment:
        """Where nothing was assessed, `why` is the evidence of every indicator."""
        found = found or fair.unassessed(why, at=at)
        return shown(cls, found, {"indicators": [shown(FairIndicator, each) for each in found.indicators]})
