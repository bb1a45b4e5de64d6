"""Rule sets and how the mesh stands by them, as GraphQL shows it: what is in force, what another set would change,
publishing it, and the overview by domain, rule and owner over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import strawberry
from strawberry import UNSET

from fairmesh.api.schema.failures import UserError, user_error
from fairmesh.api.schema.inputs import Cost, ValidateInput, field, read_files, shown
from fairmesh.api.schema.inputs import page as page_of
from fairmesh.api.schema.operation import CHANNEL, DomainId, Info, Operation
from fairmesh.api.schema.reports import Shape
from fairmesh.api.schema.types import ProductConnection
from fairmesh.api.schema.waivers import Waiver, visible
from fairmesh.catalog import errors
from fairmesh.catalog.document import tail
from fairmesh.catalog.overview import Overview, Row, overview, trend
from fairmesh.catalog.paging import Cursors
from fairmesh.catalog.rulefiles import RULES
from fairmesh.catalog.ruleimpact import Count, RuleImpact, rule_impact
from fairmesh.catalog.rulelint import Problem
from fairmesh.catalog.ruling import RefusedRules, RemovesRules
from fairmesh.catalog.ruling import RemovedTerms as Removed
from fairmesh.catalog.ruling import RuleChange as Changed
from fairmesh.catalog.versions import Version
from fairmesh.catalog.waivers import domain_of

# -- in force ---------------------------------------------------------------------------------------------------------


@strawberry.type(description="A file of a rule set: shapes, a vocabulary or an example.")
class RuleFile:
    path: str
    content: str


@strawberry.type(description="A rule set that was put in force.")
class RuleSetVersion:
    of: strawberry.Private[Version]

    @field(description="What reports name as shapesVersion.")
    def digest(self) -> str:
        return self.of.digest

    @field(description="When it came into force.")
    def at(self) -> datetime:
        return self.of.at

    @strawberry.field
    def by(self) -> str:
        return self.of.author

    @field(description="folder: read at a start; published: put in force while the mesh was running.")
    def source(self) -> str:
        return self.of.source

    @field(description="The domain whose rules alone it replaced.")
    def domain(self) -> str | None:
        return self.of.domain

    @strawberry.field
    def files(self, prefix: str | None = UNSET) -> list[RuleFile]:
        return [
            RuleFile(path=path, content=data.decode())
            for path, data in self.of.files.items()
            if path.startswith(prefix or "")
        ]


# -- the overview -----------------------------------------------------------------------------------------------------


@strawberry.type
class GovernanceRow:
    rule: strawberry.Private[bool]
    key: str = strawberry.field(
        description="IRI of the domain or owner, empty for products that name none; or the rule's id."
    )
    products: int = strawberry.field(
        description="Products of the domain or owner; of a rule, those in which it found something."
    )
    conforming: int
    violations: int = strawberry.field(description="Findings that gate and are not waived.")
    findings: int = strawberry.field(description="All findings, warnings and advice included.")
    waived: int = strawberry.field(description="Products that conform by waivers alone.")
    examples: list[str] = strawberry.field(
        description="Of a rule: at most five keys of products that fail it, or else that it found something in."
    )
    fair_mean: float | None

    @strawberry.field
    def label(self, info: Info) -> str:
        if self.rule:
            shape = info.context.view.shape(RULES + self.key)
            return shape.label if shape is not None else self.key
        return info.context.view.label(self.key) if self.key else ""

    @classmethod
    def all(cls, rows: Sequence[Row], *, rules: bool = False) -> list[GovernanceRow]:
        return [shown(cls, row, {"rule": rules}) for row in rows]


@strawberry.type(description="One moment of a trend.")
class GovernancePoint:
    at: datetime
    products: int
    conforming: int
    fair_mean: float | None


@strawberry.type
class FailedRule:
    rule: str
    version: strawberry.Private[str]
    products: int = strawberry.field(description="On so many it ran into its limits; it refused none of them.")

    @field(description="The rule, which names its owner; null for a proposed one.")
    def shape(self, info: Info) -> Shape | None:
        return Shape.maybe(info.context.view.shape(RULES + self.rule, self.version))

    @classmethod
    def all(cls, failed: Mapping[str, int], version: str) -> list[FailedRule]:
        return [cls(rule=rule, products=count, version=version) for rule, count in failed.items()]


@strawberry.type
class GovernanceReport:
    of: strawberry.Private[Overview]
    within: strawberry.Private[str | None]
    until: strawberry.Private[datetime | None]

    @strawberry.field
    def at(self) -> datetime:
        return self.of.at

    @field(description="Digest of the rule set in force then.")
    def shapes_version(self) -> str:
        return self.of.ruleset

    @field(description="Products the caller may read.")
    def products(self) -> int:
        return self.of.products

    @strawberry.field
    def conforming(self) -> int:
        return self.of.conforming

    @field(description="Products not judged by the rules in force yet: they stand as earlier rules had it.")
    def pending(self) -> int:
        return self.of.pending

    @strawberry.field
    def fair_mean(self) -> float | None:
        return self.of.fair_mean

    @strawberry.field
    def by_domain(self) -> list[GovernanceRow]:
        return GovernanceRow.all(self.of.by_domain)

    @strawberry.field
    def by_shape(self) -> list[GovernanceRow]:
        return GovernanceRow.all(self.of.by_rule, rules=True)

    @strawberry.field
    def by_owner(self) -> list[GovernanceRow]:
        return GovernanceRow.all(self.of.by_owner)

    @field(description="Rules that could not be evaluated on some product.")
    def failed(self) -> list[FailedRule]:
        return FailedRule.all(self.of.failed, self.of.ruleset)

    @field(description="Those that held then, as far as the caller may see them.")
    def waivers(self, info: Info) -> list[Waiver]:
        held = [one for one in info.context.catalog.waivers.all() if one.active(self.of.at)]
        if self.within is not None:
            held = [one for one in held if domain_of(one.key) == tail(self.within)]
        return [Waiver.show(info.context, one) for one in visible(info.context, held)]

    @field(
        description="How it came about: points at equal distances, from the first registration on.",
        cost=Cost(weight=20),
    )
    def trend(self, info: Info, points: int = 12) -> list[GovernancePoint]:
        operation = info.context
        return [
            shown(GovernancePoint, point)
            for point in trend(operation.view, operation.catalog, self.within, self.until, points)
        ]


# -- impact -----------------------------------------------------------------------------------------------------------


@strawberry.type(description="A rule that another set adds, removes or states otherwise.")
class RuleChange:
    rule: str
    before: str | None = strawberry.field(description="What it does, with its dates; null when it is added.")
    after: str | None = strawberry.field(
        description="What it would do; null when it is removed, and as before when something else about it changes."
    )

    @classmethod
    def all(cls, changes: Sequence[Changed]) -> list[RuleChange]:
        return [shown(cls, change) for change in changes]


@strawberry.type(description="Vocabulary terms that a level describes, and in another set describes no more.")
class RemovedTerms:
    level: str
    terms: list[str] = strawberry.field(description="Their IRIs.")

    @classmethod
    def all(cls, removed: Sequence[Removed]) -> list[RemovedTerms]:
        return [cls(level=each.level, terms=list(each.terms)) for each in removed]


@strawberry.type(
    description="How many products of one rule, domain or owner would newly fail, be newly warned, and newly pass."
)
class RuleImpactRow:
    key: str
    failing: int
    warned: int = strawberry.field(description="Newly found something in, warnings and advice, without refusing them.")
    passing: int
    products: int = strawberry.field(description="In all: one product may newly fail one rule and pass another.")
    examples: list[str] = strawberry.field(description="Keys of products, those that would fail first.")

    @classmethod
    def all(cls, counts: Sequence[Count]) -> list[RuleImpactRow]:
        return [shown(cls, count) for count in counts]


@strawberry.type(description="What a rule set would change, among the products the author may read.")
class RuleSetImpact:
    of: strawberry.Private[RuleImpact]

    @field(description="Digest of the proposed set.")
    def proposed(self) -> str:
        return self.of.digest

    @field(description="The day whose modes count.")
    def at(self) -> datetime:
        return self.of.at

    @strawberry.field
    def products(self) -> int:
        return self.of.products

    @strawberry.field
    def failing_before(self) -> int:
        return self.of.failing_before

    @strawberry.field
    def failing_after(self) -> int:
        return self.of.failing_after

    @strawberry.field
    def newly_failing(self) -> int:
        return len(self.of.newly_failing)

    @field(description="Products in which a rule would newly find something, warnings and advice, and not refuse them.")
    def newly_warned(self) -> int:
        return len(self.of.newly_warned)

    @field(description="A product may pass because its rule is removed: see `changes`.")
    def newly_passing(self) -> int:
        return len(self.of.newly_passing)

    @field(description="The rules that the set adds, removes or states otherwise.")
    def changes(self) -> list[RuleChange]:
        return RuleChange.all(self.of.changes)

    @strawberry.field
    def removed_terms(self) -> list[RemovedTerms]:
        return RemovedTerms.all(self.of.removed_terms)

    @strawberry.field
    def by_rule(self) -> list[RuleImpactRow]:
        return RuleImpactRow.all(self.of.by_rule)

    @strawberry.field
    def by_domain(self) -> list[RuleImpactRow]:
        return RuleImpactRow.all(self.of.by_domain)

    @strawberry.field
    def by_owner(self) -> list[RuleImpactRow]:
        return RuleImpactRow.all(self.of.by_owner)

    @field(description="Rules that could not be evaluated on some product.")
    def failed(self) -> list[FailedRule]:
        return FailedRule.all(self.of.failed, self.of.digest)


@strawberry.type(description="How far an impact is that is being found out.")
class ImpactProgress:
    done: int = strawberry.field(description="Products that are judged.")
    total: int


# -- what clients send and get ----------------------------------------------------------------------------------------


@strawberry.type(description="What the lint of a rule set found.")
class RuleProblem:
    file: str
    line: int | None
    rule: str | None
    message: str
    fix: str
    refuses: bool

    @classmethod
    def all(cls, problems: Sequence[Problem]) -> list[RuleProblem]:
        return [
            cls(file=p.file, line=p.line, rule=p.rule, message=p.what, fix=p.remedy, refuses=p.error)
            for p in problems
        ]  # fmt: skip


@strawberry.input(description="`<level>/shapes.ttl`, `vocabulary.ttl` or `examples/*.ttl`, as Turtle.")
class RuleFileInput:
    path: str
    content: str


@strawberry.input(description="The whole set; or, with a domain, all that lies below `domains/<domain>/`.")
class ProposeRulesInput:
    files: list[RuleFileInput]
    domain: str | None = strawberry.field(description="The domain's key, such as sales.", default=UNSET)
    at: datetime | None = strawberry.field(description="As of this day: a mode may change by date.", default=UNSET)
    client_mutation_id: str | None = UNSET


@strawberry.input(description="The whole set; or, with a domain, all that lies below `domains/<domain>/`.")
class PublishRulesInput:
    files: list[RuleFileInput]
    domain: str | None = strawberry.field(description="The domain's key, such as sales.", default=UNSET)
    dry_run: bool | None = strawberry.field(description="All of it, short of putting it in force.", default=False)
    allow_removing: bool | None = strawberry.field(
        description="Rules and vocabulary terms in force that the set lacks may go: without it, such a set is refused.",
        default=False,
    )
    client_mutation_id: str | None = UNSET


@strawberry.type(description="Which products a shape change would newly fail, and which it would newly pass.")
class ShapeImpactPayload:
    newly_failing: ProductConnection
    newly_passing: ProductConnection
    impact: RuleSetImpact | None
    problems: list[RuleProblem]
    errors: list[UserError]
    client_mutation_id: str | None


@strawberry.type
class PublishRulesPayload:
    published: bool = strawberry.field(description="False for a dry run, a set that is in force already, and errors.")
    unchanged: bool = strawberry.field(description="The set is in force already.")
    digest: str | None = strawberry.field(description="The digest of the set; null when it is refused.")
    changes: list[RuleChange] = strawberry.field(
        description="The rules that it adds, removes or states otherwise; also when it is refused for what it removes."
    )
    removed_terms: list[RemovedTerms]
    problems: list[RuleProblem]
    errors: list[UserError]
    client_mutation_id: str | None


def propose(
    operation: Operation, files: dict[str, bytes], domain: str | None, at: datetime | None, mutation: str | None,
    path: list[str],
) -> ShapeImpactPayload:  # fmt: skip
    """What the files would change, as a payload."""
    catalog, access = operation.change(), operation.access
    try:
        with operation.untimed():
            found = rule_impact(catalog, operation.subject, files, access, channel=CHANNEL, domain=domain, at=at)
    except errors.FairmeshError as error:
        problems = error.problems if isinstance(error, RefusedRules) else ()
        failure = user_error(operation, error, path, None)
        return ShapeImpactPayload(
            newly_failing=_connection(operation, ()),
            newly_passing=_connection(operation, ()),
            impact=None,
            problems=RuleProblem.all(problems),
            errors=[failure],
            client_mutation_id=mutation,
        )
    return ShapeImpactPayload(
        newly_failing=_connection(operation, [effect.iri for effect in found.newly_failing]),
        newly_passing=_connection(operation, [effect.iri for effect in found.newly_passing]),
        impact=RuleSetImpact(of=found),
        problems=[],
        errors=[],
        client_mutation_id=mutation,
    )


def _connection(operation: Operation, iris: Sequence[str]) -> ProductConnection:
    """The first page of these products, as far as they are still to be seen: counts are in `impact`."""
    seen = [iri for iri in iris if operation.view.product(iri=iri) is not None]
    cursors = Cursors(operation.catalog.iri_base)
    asked = page_of(min(operation.limits.max_page_size, max(len(seen), 1)), None)
    return ProductConnection(page=cursors.page(sorted(set(seen)), lambda iri: (iri,), asked))


# -- fields -----------------------------------------------------------------------------------------------------------


@strawberry.type
class RuleQueries:
    @field(
        description="How the products the caller may read stand by the rules: now, or as of a moment.",
        cost=Cost(weight=20),
    )
    def governance(self, info: Info, domain: DomainId = UNSET, as_of: datetime | None = UNSET) -> GovernanceReport:
        operation = info.context
        within = operation.domain(domain) if isinstance(domain, str) else None
        moment = as_of or None
        return GovernanceReport(
            of=overview(operation.view, operation.catalog, within, moment), within=within, until=moment
        )

    @field(description="The rule set in force now, or as of a moment; null before the first.", cost=Cost(weight=5))
    def rule_set(self, info: Info, as_of: datetime | None = UNSET) -> RuleSetVersion | None:
        operation = info.context
        version = operation.catalog.rulings.versions.in_force(as_of) if as_of else operation.view.ruling.version
        return None if version is None else RuleSetVersion(of=version)

    @field(description="Of the proposeRules or proposeShapes that the caller waits for; null when there is none.")
    def rule_impact_progress(self, info: Info) -> ImpactProgress | None:
        operation = info.context
        found = operation.catalog.rule_publishing.impact_under_way(operation.subject)
        return None if found is None else ImpactProgress(done=found[0], total=found[1])


@strawberry.type
class RuleMutations:
    @field(
        description="What shapes would change. `metadata`, or `shapes` when given, takes the place of the rules of the"
        " level its rules are named in. Writes nothing. Needs the govern action.",
        cost=Cost(weight=50),
    )
    def propose_shapes(self, info: Info, input: ValidateInput) -> ShapeImpactPayload:
        operation = info.context
        content = (input.shapes or input.metadata).read()
        mutation = input.client_mutation_id or None
        path = ["input", "shapes" if input.shapes else "metadata"]
        try:
            operation.govern()
            stated = operation.catalog.read_rdf(content)
            files = operation.catalog.rule_publishing.with_shapes(stated)
        except errors.FairmeshError as error:
            return ShapeImpactPayload(
                newly_failing=_connection(operation, ()),
                newly_passing=_connection(operation, ()),
                impact=None,
                problems=[],
                errors=[user_error(operation, error, path, None)],
                client_mutation_id=mutation,
            )
        return propose(operation, files, None, None, mutation, path)

    @field(description="What a rule set would change. Writes nothing.", cost=Cost(weight=50))
    def propose_rules(self, info: Info, input: ProposeRulesInput) -> ShapeImpactPayload:
        domain = input.domain if isinstance(input.domain, str) else None
        files = read_files(input.files)
        return propose(
            info.context, files, domain, input.at or None, input.client_mutation_id or None, ["input", "files"]
        )

    @field(
        description="Put a rule set in force: linted, its examples tried. The set in force stays when it is refused."
        " Products that no longer conform stay registered, and are marked. Needs the govern action on rule sets, or on"
        " those of the domain.",
        cost=Cost(weight=50),
    )
    def publish_rules(self, info: Info, input: PublishRulesInput) -> PublishRulesPayload:
        operation = info.context
        mutation = input.client_mutation_id or None
        try:
            with operation.untimed():
                access = operation.access
                done = operation.change().rule_publishing.publish(
                    operation.subject,
                    read_files(input.files),
                    access,
                    channel=CHANNEL,
                    domain=input.domain if isinstance(input.domain, str) else None,
                    dry_run=bool(input.dry_run),
                    allow_removing=bool(input.allow_removing),
                )
        except errors.FairmeshError as error:
            return PublishRulesPayload(
                published=False,
                unchanged=False,
                digest=None,
                changes=RuleChange.all(error.changes if isinstance(error, RemovesRules) else ()),
                removed_terms=RemovedTerms.all(error.removed_terms if isinstance(error, RemovesRules) else ()),
                problems=RuleProblem.all(error.problems if isinstance(error, RefusedRules) else ()),
                errors=[user_error(operation, error, ["input", "files"], None)],
                client_mutation_id=mutation,
            )
        return PublishRulesPayload(
            published=done.change == "published",
            unchanged=done.change == "unchanged",
            digest=done.digest,
            changes=RuleChange.all(done.changes),
            removed_terms=RemovedTerms.all(done.removed_terms),
            problems=RuleProblem.all(done.problems),
            errors=[],
            client_mutation_id=mutation,
        )
