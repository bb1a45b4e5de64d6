"""Policies as GraphQL shows them: which are in force, what others would change, publishing them, and why they answer
as they do. All but `decide` about oneself is for who may govern; a refusal is the same whatever exists."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from urllib.parse import quote

import strawberry
from strawberry import UNSET

from fairmesh.api.holders import Holder, decide, holder, of_product
from fairmesh.api.questions import read_subject
from fairmesh.api.schema.failures import UserError, user_error
from fairmesh.api.schema.inputs import JSON, Cost, field, read_files, shown
from fairmesh.api.schema.operation import CHANNEL, Info, Operation
from fairmesh.api.schema.resources import Decision, Node
from fairmesh.catalog import errors, model
from fairmesh.catalog.impact import Change, Impact, SubjectClass, subject_classes
from fairmesh.catalog.model import ANONYMOUS, Action
from fairmesh.catalog.policing import Explanation as Explained
from fairmesh.catalog.policing import Widens
from fairmesh.catalog.policytests import count_tests, is_rego_test, is_rule
from fairmesh.catalog.rego import Step
from fairmesh.catalog.versions import Version

POLICY = "https://w3id.org/fairmesh/policy/"
"""Policy files are named by this and their path."""
_PRODUCT_ACTIONS = tuple(action for action in Action if action is not Action.GOVERN)


# -- in force ---------------------------------------------------------------------------------------------------------


@strawberry.type
class Policy(Node):
    letter: ClassVar[str] = "p"
    path: str
    version: str
    source: str
    tests: int
    published_at: datetime = strawberry.field(description="When the set that holds this file came into force.")
    published_by: str

    @field(description="The package of the rules.")
    def name(self) -> str:
        return next((line.split()[1] for line in self.source.splitlines() if line.startswith("package ")), "")

    @strawberry.field
    def description(self) -> str | None:
        return _description(self.source)

    @classmethod
    def all(cls, version: Version) -> list[Policy]:
        return [cls._of(version, path) for path in version.files if is_rule(path)]

    @classmethod
    def maybe(cls, info: Info, iri: str) -> Policy | None:
        """The file of the policy in force with this name; None for who may not govern, too."""
        try:
            info.context.govern()
        except errors.Forbidden:
            return None
        version = _in_force(info.context)
        return next((cls._of(version, path) for path in version.files if is_rule(path) and _iri(path) == iri), None)

    @classmethod
    def _of(cls, version: Version, path: str) -> Policy:
        folder = path.rpartition("/")[0]
        beside = (p for p in version.files if is_rego_test(p) and p.rpartition("/")[0] == folder)
        return cls(
            at=_iri(path),
            path=path,
            version=version.digest,
            source=version.files[path].decode(),
            tests=sum(count_tests(version.files[name]) for name in beside),
            published_at=version.at,
            published_by=version.author,
        )


def _iri(path: str) -> str:
    return POLICY + quote(path)


def _in_force(operation: Operation) -> Version:
    return operation.catalog.policies.version(operation.policy_revision)


def _description(source: str) -> str | None:
    """The `description` of the first METADATA block."""
    lines = iter(source.splitlines())
    for line in lines:
        if line.startswith("# description:"):
            text = [line.removeprefix("# description:").strip()]
            for more in lines:
                if not more.startswith("#  "):
                    break
                text.append(more.removeprefix("#").strip())
            return " ".join(part for part in text if part not in ("|", ">", "")) or None
        if line and not line.startswith("#"):
            return None
    return None


# -- who --------------------------------------------------------------------------------------------------------------


@strawberry.type(description="Subjects whom the policies cannot tell apart, and the facts they look at.")
class SubjectGroup:
    ids: list[str]
    kind: str
    roles: list[str]
    teams: list[str]
    domains: list[str]
    clearance: str
    purpose: str | None

    @classmethod
    def of(cls, found: SubjectClass) -> SubjectGroup:
        return shown(cls, found.facts, {"ids": found.ids})


@strawberry.type
class SubjectAccess:
    subjects: SubjectGroup
    decisions: list[Decision]


@strawberry.type(description="A rule that was defined, and neither false nor empty.")
class FiredRule:
    file: str
    row: int
    rule: str
    value: JSON | None

    @classmethod
    def of(cls, step: Step) -> FiredRule:
        return shown(cls, step)


@strawberry.type
class Explanation:
    decision: Decision
    facts: JSON | None = strawberry.field(
        description="The input as the policy saw it; null when it was denied without asking."
    )
    rules: list[FiredRule] = strawberry.field(description="In the order they ended, inner ones first.")

    @classmethod
    def of(cls, found: Explained) -> Explanation:
        return cls(
            decision=Decision.of(found.decision),
            facts=None if found.facts is None else JSON(found.facts),
            rules=[FiredRule.of(step) for step in found.rules],
        )


def _actor(operation: Operation, id: str) -> list[model.Subject]:
    """The known subjects with this id, one for each set of rights. Raises `NotFound`."""
    found = [subject for subject in (*operation.known(), ANONYMOUS) if subject.id == id]
    if not found:
        raise errors.NotFound(
            f"no token stands for {id[:200]!r}", remedy="Name a subject with a token, or anonymous; or use decide"
        )
    return found


def _holder(operation: Operation, iri: str) -> Holder:
    """The product a node belongs to, among those the caller sees. Raises `InputError` for a node of none."""
    found = holder(operation.catalog.registry, operation.view, iri)
    if found is None:
        raise errors.InputError("the node belongs to no product", remedy="Name a product, or a part of one")
    return found


def _product(operation: Operation, name: str) -> model.AccessKey:
    """The access key of a product, by its key, IRI or id. Raises `NotFound`: hidden and absent alike."""
    read = operation.read_id(name)
    known = read[1] if read is not None else name
    found = operation.find_product(name, None) or operation.find_product(None, known)
    if found is None:
        raise errors.NotFound("there is no such product", remedy="Give its key, IRI or id")
    return of_product(operation.catalog.registry, found).key


# -- what would change ------------------------------------------------------------------------------------------------


@strawberry.type(
    description="What a class of subjects gains or loses of one action: how many products, and the keys of the first."
    " For GOVERN the things counted are rule sets, policies and the bundle."
)
class PolicyChange:
    subjects: SubjectGroup | None = strawberry.field(
        description="Null when all are counted together: only who governs the whole policy is told who others are."
    )
    action: Action
    gains: bool
    partial: bool = strawberry.field(
        description="The action is allowed before and after; what is seen by it changes: columns, fields, or rows."
    )
    count: int
    examples: list[str]

    @classmethod
    def of(cls, found: Change) -> PolicyChange:
        return shown(cls, found, {"subjects": None if found.subjects is None else SubjectGroup.of(found.subjects)})


@strawberry.type(description="Recorded decisions, asked again under the proposed policy.")
class PolicyReplay:
    decisions: int
    to_allow: int
    to_deny: int
    skipped: int = strawberry.field(description="Got no answer, or were not asked again: newer ones used up the time.")


@strawberry.type(description="The difference between the policy in force and a proposed one, on the whole mesh.")
class PolicyImpact:
    of: strawberry.Private[Impact]
    current: str
    proposed: str
    widens: bool = strawberry.field(description="Somebody gains something.")
    classes: int = strawberry.field(description="Classes of subjects that were asked for.")
    products: int = strawberry.field(description="Products of the mesh.")

    @strawberry.field
    def change_count(self) -> int:
        return len(self.of.changes)

    @field(description="Gains first, then losses, by class and action.", cost=Cost(weight=1, slicing=["first"]))
    def changes(self, first: int | None = 200) -> list[PolicyChange]:
        wanted = 200 if first is None else first
        if wanted < 0:
            raise errors.InputError(f"cannot list {wanted} changes", remedy="Ask for 0 or more")
        return [PolicyChange.of(found) for found in self.of.changes[:wanted]]

    @strawberry.field
    def replay(self) -> PolicyReplay:
        return shown(PolicyReplay, self.of.replay)


# -- what clients send and get ----------------------------------------------------------------------------------------


@strawberry.input(description="Rego, its tests (`*_test.rego`) or a golden table (`decisions/*.yaml`).")
class PolicyFileInput:
    path: str
    content: str


@strawberry.input(description="The whole set; or, with a domain, all that lies below `domains/<domain>/`.")
class ProposePoliciesInput:
    files: list[PolicyFileInput]
    domain: str | None = UNSET
    client_mutation_id: str | None = UNSET


@strawberry.input(description="The whole set; or, with a domain, all that lies below `domains/<domain>/`.")
class PublishPoliciesInput:
    files: list[PolicyFileInput]
    domain: str | None = UNSET
    dry_run: bool | None = strawberry.field(description="All of it, short of putting it in force.", default=False)
    allow_widening: bool | None = strawberry.field(
        description="Accept that somebody comes to see or do more than now.", default=False
    )
    client_mutation_id: str | None = UNSET


@strawberry.type
class ProposePoliciesPayload:
    impact: PolicyImpact | None
    errors: list[UserError]
    client_mutation_id: str | None


@strawberry.type
class PublishPoliciesPayload:
    published: bool = strawberry.field(description="False for a dry run, a set that is in force already, and errors.")
    unchanged: bool = strawberry.field(description="The set is in force already.")
    revision: str | None = strawberry.field(description="The policy revision of the set; null when it is refused.")
    impact: PolicyImpact | None
    errors: list[UserError]
    client_mutation_id: str | None


def _shown(found: Impact | None) -> PolicyImpact | None:
    return None if found is None else shown(PolicyImpact, found, {"of": found})


# -- fields -----------------------------------------------------------------------------------------------------------


@strawberry.type
class PolicyQueries:
    @field(cost=Cost(weight=5))
    def policies(self, info: Info, as_of: datetime | None = UNSET) -> list[Policy]:
        operation = info.context
        operation.govern()
        version = operation.catalog.policies.versions.in_force(as_of) if as_of else _in_force(operation)
        return [] if version is None else Policy.all(version)

    @field(cost=Cost(weight=2))
    def decide(self, info: Info, resource: strawberry.ID, action: Action, subject: JSON | None = UNSET) -> Decision:
        operation = info.context
        if subject is UNSET or subject is None:
            return Decision.of(operation.view.viewer_can(operation.iri(resource), [action])[0])
        operation.govern()
        asker, asked = read_subject(subject), _holder(operation, operation.iri(resource))
        now = operation.catalog.clock()
        return Decision.of(decide(operation.access, asker, action, [asked], channel=CHANNEL, now=now)[0])

    @field(
        description="What the subjects that have a token, and the anonymous one, may do with a product (key, IRI or"
        " id). Needs the govern action.",
        cost=Cost(weight=50),
    )
    def who_can_see(self, info: Info, product: str) -> list[SubjectAccess]:
        operation = info.context
        operation.govern()
        key, now = _product(operation, product), operation.catalog.clock()
        access = operation.catalog.policies.quiet(operation.access)
        questions = [(action, key) for action in _PRODUCT_ACTIONS]
        return [
            SubjectAccess(
                subjects=SubjectGroup.of(each),
                decisions=[
                    Decision.of(found) for found in access.decide_many(each.facts, questions, channel=CHANNEL, now=now)
                ],
            )
            for each in subject_classes([*operation.known(), ANONYMOUS], access)
        ]

    @field(
        description="Why an actor (the id of a subject with a token, or anonymous) may or may not do something with a"
        " product (key, IRI or id): one explanation for each set of rights the actor has. Needs the govern action.",
        cost=Cost(weight=20),
    )
    def explain(self, info: Info, actor: str, action: Action, key: str) -> list[Explanation]:
        operation = info.context
        operation.govern()
        product, subjects = _product(operation, key), _actor(operation, actor)
        now = operation.catalog.clock()
        return [
            Explanation.of(
                operation.catalog.policies.explain(operation.access, subject, action, product, channel=CHANNEL, now=now)
            )
            for subject in subjects
        ]


@strawberry.type
class PolicyMutations:
    @field(description="What a policy would change. Writes nothing; tests are not run.", cost=Cost(weight=50))
    def propose_policies(self, info: Info, input: ProposePoliciesInput) -> ProposePoliciesPayload:
        operation = info.context
        failure: UserError | None = None
        found: Impact | None = None
        try:
            with operation.untimed():
                found = operation.change().publishing.impact(
                    operation.subject,
                    read_files(input.files),
                    channel=CHANNEL,
                    domain=input.domain if isinstance(input.domain, str) else None,
                    known=operation.known(),
                )
        except errors.FairmeshError as error:
            failure = user_error(operation, error, ["input", "files"], None)
        return ProposePoliciesPayload(
            impact=_shown(found),
            errors=[] if failure is None else [failure],
            client_mutation_id=input.client_mutation_id or None,
        )

    @field(
        description="Put a policy in force: checked, tested and compared first. The policy in force stays when it is"
        " refused. Needs the govern action on policies, or on those of the domain.",
        cost=Cost(weight=50),
    )
    def publish_policies(self, info: Info, input: PublishPoliciesInput) -> PublishPoliciesPayload:
        operation = info.context
        try:
            with operation.untimed():
                done = operation.change().publishing.publish(
                    operation.subject,
                    read_files(input.files),
                    channel=CHANNEL,
                    domain=input.domain if isinstance(input.domain, str) else None,
                    known=operation.known(),
                    dry_run=bool(input.dry_run),
                    allow_widening=bool(input.allow_widening),
                )
        except errors.FairmeshError as error:
            return PublishPoliciesPayload(
                published=False,
                unchanged=False,
                revision=None,
                impact=_shown(error.impact) if isinstance(error, Widens) else None,
                errors=[user_error(operation, error, ["input", "files"], None)],
                client_mutation_id=input.client_mutation_id or None,
            )
        return PublishPoliciesPayload(
            published=done.change == "published",
            unchanged=done.change == "unchanged",
            revision=done.digest,
            impact=_shown(done.impact),
            errors=[],
            client_mutation_id=input.client_mutation_id or None,
        )
