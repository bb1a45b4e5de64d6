"""The FAIR assessment of a product, as GraphQL tells it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from fairmesh.api.schema.inputs import field
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
    of: strawberry.Private[fair.Indicator]

    @strawberry.field
    def code(self) -> str:
        return self.of.code

    @strawberry.field
    def title(self) -> str:
        return self.of.title

    @strawberry.field
    def priority(self) -> str:
        return self.of.priority

    @field(description="Null: not assessed.")
    def passed(self) -> bool | None:
        return self.of.passed

    @strawberry.field
    def basis(self) -> Basis:
        return self.of.basis

    @strawberry.field
    def evidence(self) -> str | None:
        return self.of.evidence

    @strawberry.field
    def fix(self) -> str | None:
        return self.of.fix


@strawberry.type
class FairAssessment:
    of: strawberry.Private[fair.Assessment]

    @strawberry.field
    def score(self) -> float:
        return self.of.score

    @strawberry.field
    def findable(self) -> float:
        return self.of.findable

    @strawberry.field
    def accessible(self) -> float:
        return self.of.accessible

    @strawberry.field
    def interoperable(self) -> float:
        return self.of.interoperable

    @strawberry.field
    def reusable(self) -> float:
        return self.of.reusable

    @strawberry.field
    def at(self) -> datetime:
        return self.of.at

    @strawberry.field
    def indicators(self) -> list[FairIndicator]:
        return [FairIndicator(of=indicator) for indicator in self.of.indicators]


def unassessed(at: datetime) -> fair.Assessment:
    """What is said of a document that could not be judged."""
    return fair.Assessment(0.0, 0.0, 0.0, 0.0, 0.0, at, ())
