"""What is computed rather than stored: lineage graphs, shapes and validation reports."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from urllib.parse import quote

import strawberry
from strawberry import UNSET

from fairmesh.api.schema.inputs import IRI, LineageInput, RdfFormat, field, frozen
from fairmesh.api.schema.operation import Info
from fairmesh.api.schema.resources import Counted, Langs, Node, Resource, Term, resource
from fairmesh.catalog import errors, model, rdf
from fairmesh.catalog.model import Severity, ShapeScope
from fairmesh.catalog.reports import report_graph
from fairmesh.catalog.rulefiles import RULES

# -- lineage ----------------------------------------------------------------------------------------------------------


@strawberry.type
class LineageNode:
    of: strawberry.Private[model.LineageNode]

    @strawberry.field
    def resource(self, info: Info) -> Resource:
        return resource(info, self.of.iri)

    @strawberry.field
    def distance(self) -> int:
        return self.of.distance

    @field(description="Neighbours the caller may see that this page left out, for an expand button.")
    def more_upstream(self) -> int:
        return self.of.more_upstream

    @strawberry.field
    def more_downstream(self) -> int:
        return self.of.more_downstream


@strawberry.type(description="Data flows from -> to: from is upstream, to is derived from it.")
class LineageEdge:
    of: strawberry.Private[model.LineageEdge]

    @field(name="from")
    def source(self, info: Info) -> strawberry.ID:
        return info.context.id(Resource.letter, self.of.source)

    @field(name="to")
    def target(self, info: Info) -> strawberry.ID:
        return info.context.id(Resource.letter, self.of.target)

    @strawberry.field
    def predicate(self) -> Term:
        return Term(iri=IRI(self.of.predicate))


@strawberry.type
class LineageSummary:
    upstream_count: int
    downstream_count: int


@strawberry.type
class Lineage:
    of: strawberry.Private[model.LineageResult]

    @strawberry.field
    def nodes(self) -> list[LineageNode]:
        return [LineageNode(of=node) for node in self.of.nodes]

    @strawberry.field
    def edges(self) -> list[LineageEdge]:
        return [LineageEdge(of=edge) for edge in self.of.edges]

    @field(description="True when depth or maxNodes cut the graph.")
    def truncated(self) -> bool:
        return self.of.truncated

    @strawberry.field
    def summary(self) -> LineageSummary:
        return LineageSummary(upstream_count=self.of.upstream_count, downstream_count=self.of.downstream_count)


def lineage(info: Info, iri: str, input: LineageInput) -> Lineage:
    """The lineage around a node the caller may see. Raises `InputError` for a depth over the service's limit."""
    limit = info.context.limits.max_lineage_depth
    if input.depth > limit:
        raise errors.InputError(f"a depth of {input.depth} is over the limit of {limit}", remedy="Ask for fewer hops")
    return Lineage(
        of=info.context.view.lineage(
            iri,
            direction=input.direction,
            depth=input.depth,
            max_nodes=input.max_nodes,
            types=frozen(input.types),
        )
    )


# -- validation -------------------------------------------------------------------------------------------------------


@strawberry.type
class Shape(Node):
    letter: ClassVar[str] = "s"
    of: strawberry.Private[model.ShapeInfo]

    @strawberry.field
    def iri(self) -> IRI:
        return IRI(self.at)

    @strawberry.field
    def label(self, lang: Langs = UNSET) -> str:
        return self.of.label

    @strawberry.field
    def severity(self) -> Severity:
        return self.of.severity

    @strawberry.field
    def targets(self) -> list[Term]:
        return Term.all(self.of.targets)

    @strawberry.field
    def scope(self) -> ShapeScope:
        return self.of.scope

    @field(description="What it does when it is broken: gate, gateWhenLive, warn or advise.")
    def mode(self) -> str:
        return self.of.mode

    @field(description="What it will do from `nextModeFrom` on.")
    def next_mode(self) -> str | None:
        return self.of.next_mode

    @field(description="A day, in UTC.")
    def next_mode_from(self) -> str | None:
        return None if self.of.next_from is None else self.of.next_from.isoformat()

    @field(description="Who answers for it.")
    def owner(self) -> str | None:
        return self.of.owner

    @strawberry.field
    def since(self) -> str | None:
        return None if self.of.since is None else self.of.since.isoformat()

    @field(description="Where the service shows it to people: a path.")
    def page(self) -> str:
        return "/rules/" + quote(self.of.id)

    @strawberry.field
    def version(self) -> str:
        return self.of.version

    @strawberry.field
    def rdf(self, info: Info, format: RdfFormat | None = RdfFormat.TURTLE) -> str:
        return info.context.view.shape_rdf(self.at, (format or RdfFormat.TURTLE).value).decode()

    @classmethod
    def maybe(cls, found: model.ShapeInfo | None) -> Shape | None:
        return cls(at=found.iri, of=found) if found else None


@strawberry.type
class SeverityCounts:
    info: int
    warning: int
    violation: int


@strawberry.type
class ValidationResult:
    of: strawberry.Private[model.Finding]
    ruleset: strawberry.Private[str]

    @strawberry.field
    def severity(self) -> Severity:
        return self.of.severity

    @strawberry.field
    def message(self, lang: Langs = UNSET) -> str:
        return _in_language(self.of, lang or [])

    @strawberry.field
    def focus_node(self) -> IRI | None:
        return IRI(self.of.focus)

    @strawberry.field
    def path(self) -> str | None:
        return self.of.path

    @strawberry.field
    def value(self) -> str | None:
        return self.of.value

    @strawberry.field
    def shape(self, info: Info) -> Shape | None:
        return Shape.maybe(info.context.view.shape(self.of.rule_iri, self.ruleset))

    @strawberry.field
    def constraint(self) -> IRI:
        return IRI(self.of.component)

    @field(description="Line in the submitted document, when known.")
    def line(self) -> int | None:
        return self.of.line

    @field(description="What to do about it.")
    def fix(self) -> str | None:
        return self.of.message  # a rule's message is its remedy

    @strawberry.field
    def waived_until(self) -> datetime | None:
        return self.of.waived_until


def _in_language(finding: model.Finding, langs: Sequence[str]) -> str:
    texts = {tag.lower(): text for tag, text in finding.messages}
    for lang in (wanted.lower() for wanted in langs):
        if lang in texts or (lang := lang.split("-")[0]) in texts:
            return texts[lang]
    return finding.message


@strawberry.type
class ValidationResultEdge:
    cursor: str
    node: ValidationResult


@strawberry.type
class ValidationResultConnection(Counted[model.Finding]):
    ruleset: strawberry.Private[str]

    @strawberry.field
    def edges(self) -> list[ValidationResultEdge]:
        return [ValidationResultEdge(cursor=cursor, node=self._result(found)) for cursor, found in self.rows()]

    @strawberry.field
    def nodes(self) -> list[ValidationResult]:
        return [self._result(found) for found in self.page.items]

    def _result(self, found: model.Finding) -> ValidationResult:
        return ValidationResult(of=found, ruleset=self.ruleset)


@strawberry.type(description="All findings of one rule about one path: what a person reads.")
class FindingGroup:
    of: strawberry.Private[model.FindingGroup]
    ruleset: strawberry.Private[str]

    @strawberry.field
    def shape(self, info: Info) -> Shape | None:
        return Shape.maybe(info.context.view.shape(RULES + self.of.rule, self.ruleset))

    @field(description="The rule's id, such as core/06.")
    def rule(self) -> str:
        return self.of.rule

    @strawberry.field
    def path(self) -> str | None:
        return self.of.path

    @strawberry.field
    def severity(self) -> Severity:
        return self.of.severity

    @field(description="What to do about it.")
    def fix(self) -> str:
        return self.of.message

    @strawberry.field
    def count(self) -> int:
        return self.of.count

    @field(description="Lines in the submitted document, when known.")
    def lines(self) -> list[int]:
        return list(self.of.lines)

    @field(description="At most three values or nodes it was found at.")
    def examples(self) -> list[str]:
        return list(self.of.examples)

    @field(description="Until when none of them refuses.")
    def waived_until(self) -> datetime | None:
        return self.of.waived_until


@strawberry.type(description="A rule that ran into its limits: it refuses nothing, and its owner is to mend it.")
class FailedEvaluation:
    of: strawberry.Private[tuple[str, str]]
    ruleset: strawberry.Private[str]

    @strawberry.field
    def shape(self, info: Info) -> Shape | None:
        return Shape.maybe(info.context.view.shape(RULES + self.of[0], self.ruleset))

    @strawberry.field
    def rule(self) -> str:
        return self.of[0]

    @strawberry.field
    def reason(self) -> str:
        return self.of[1]


@strawberry.type
class ValidationReport:
    of: strawberry.Private[model.Report]
    checked: bool = strawberry.field(
        default=True, description="False: nothing was judged, and `conforms` is false for want of a verdict."
    )

    @classmethod
    def maybe(cls, found: model.Report | None, ruleset: str) -> ValidationReport:
        """Where nothing was judged: nothing is found, and nothing is said to conform."""
        return cls(of=found or model.Report(ruleset), checked=found is not None)

    @strawberry.field
    def conforms(self) -> bool:
        return self.checked and self.of.conforms

    @strawberry.field
    def shapes_version(self) -> str:
        return self.of.ruleset

    @strawberry.field
    def counts(self) -> SeverityCounts:
        count = self.of.count
        return SeverityCounts(
            info=count(Severity.INFO),
            warning=count(Severity.WARNING),
            violation=count(Severity.VIOLATION),
        )

    @strawberry.field
    def results(
        self,
        info: Info,
        severity: list[Severity] | None = UNSET,
        first: int | None = 50,
        after: str | None = UNSET,
    ) -> ValidationResultConnection:
        found = [f for f in self.of.findings if not severity or f.severity in severity]
        size = 50 if first is None else first
        if not 0 <= size <= info.context.limits.max_page_size:
            raise errors.InputError(
                f"a page has 0 to {info.context.limits.max_page_size} results, not {size}", remedy="Change first"
            )
        shown = _slice(found, size, None if after is UNSET else after)
        return ValidationResultConnection(page=shown, ruleset=self.of.ruleset)

    @field(description="Findings by rule and path, those that refuse first.")
    def groups(self) -> list[FindingGroup]:
        return [FindingGroup(of=group, ruleset=self.of.ruleset) for group in self.of.groups()]

    @field(description="Rules that could not be evaluated; they refused nothing.")
    def failed(self) -> list[FailedEvaluation]:
        return [FailedEvaluation(of=failed, ruleset=self.of.ruleset) for failed in self.of.failed]

    @strawberry.field
    def rdf(self, info: Info, format: RdfFormat | None = RdfFormat.TURTLE) -> str:
        found = report_graph(self.of) if self.checked else ()
        return rdf.serialize(found, (format or RdfFormat.TURTLE).value).decode()


def _slice(found: Sequence[model.Finding], size: int, after: str | None) -> model.Page[model.Finding]:
    start = 0 if after is None else _position(after)
    part = tuple(found[start : start + size])
    cursors = tuple(_cursor(start + i + 1) for i in range(len(part)))
    return model.Page(part, cursors, start + len(part) < len(found), start > 0, len(found))


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(b"f%d" % position).decode().rstrip("=")


def _position(cursor: str) -> int:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        text = b""
    position = int(text[1:]) if text[:1] == b"f" and text[1:].isdigit() and len(text) < 10 else -1
    if position < 0 or _cursor(position) != cursor:
        raise errors.InputError("this cursor was not made here", remedy="Take it from pageInfo or an edge")
    return position
