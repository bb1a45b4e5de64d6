"""The Query type: search, walks, and the ways in to everything else."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import strawberry
from strawberry import UNSET

from fairmesh.api.schema.events import EventQueries
from fairmesh.api.schema.inputs import (
    IRI,
    Cost,
    LanguageTag,
    LineageInput,
    PathInput,
    ProductFilter,
    TraversalInput,
    field,
    frozen,
    page,
)
from fairmesh.api.schema.operation import Info
from fairmesh.api.schema.policies import Policy, PolicyQueries
from fairmesh.api.schema.reports import Lineage, Shape, lineage
from fairmesh.api.schema.resources import (
    Counted,
    Langs,
    Node,
    Paged,
    Resource,
    Term,
    both_ways,
    resource,
    resource_or_none,
)
from fairmesh.api.schema.rules import RuleQueries
from fairmesh.api.schema.types import (
    DataProduct,
    Domain,
    DomainConnection,
    GlossaryTermConnection,
    Port,
    ProductConnection,
)
from fairmesh.api.schema.waivers import Waiver, WaiverQueries
from fairmesh.catalog import Found, errors, model
from fairmesh.catalog.model import Direction, FacetField, SearchOrder, ShapeScope

# -- search -----------------------------------------------------------------------------------------------------------


@strawberry.type(description="Offsets, not HTML: a portal never has to trust markup.")
class Span:
    start: int
    end: int


@strawberry.type
class Highlight:
    predicate: Term
    fragment: str
    spans: list[Span] = strawberry.field(
        description="Parts of the fragment that matched: the first Unicode code point, and the one after the last."
        " JavaScript counts UTF-16 units instead: take [...fragment] first."
    )

    @classmethod
    def of(cls, found: model.Highlight) -> Highlight:
        spans = [Span(start=start, end=end) for start, end in found.spans]
        return cls(predicate=Term(iri=IRI(found.predicate)), fragment=found.fragment, spans=spans)


@strawberry.type
class SearchEdge:
    cursor: str
    of: strawberry.Private[model.SearchHit]

    @strawberry.field
    def node(self, info: Info) -> Resource:
        return resource(info, self.of.iri)

    @strawberry.field
    def score(self) -> float:
        return self.of.score

    @strawberry.field
    def highlights(self) -> list[Highlight]:
        return [Highlight.of(found) for found in self.of.highlights]

    @field(description="Why it matched.")
    def matched_on(self) -> list[Term]:
        return Term.all(self.of.matched_on)


_WORDS = (FacetField.STATUS, FacetField.CONFORMS, FacetField.FAIR_BAND)
"""Facets whose values are words, not IRIs."""


@strawberry.type
class FacetBucket:
    key: str
    count: int
    field: strawberry.Private[model.FacetField]

    @strawberry.field
    def label(self, info: Info, lang: Langs = UNSET) -> str:
        if self.field in _WORDS:
            return self.key
        return info.context.view.label(self.key, lang or None)

    @strawberry.field
    def resource(self, info: Info) -> Resource | None:
        return None if self.field in _WORDS else resource_or_none(info, self.key)


@strawberry.type
class Facet:
    field: FacetField
    buckets: list[FacetBucket]
    other_count: int = strawberry.field(description="Documents with a value in none of the buckets shown.")

    @classmethod
    def of(cls, found: model.Facet) -> Facet:
        buckets = [FacetBucket(key=bucket.key, count=bucket.count, field=found.field) for bucket in found.buckets]
        return cls(field=found.field, buckets=buckets, other_count=found.other)


@strawberry.type(description="One box, one filter, facets and highlights in one request.")
class SearchConnection(Counted[model.SearchHit]):
    found: strawberry.Private[Found]

    @strawberry.field
    def edges(self) -> list[SearchEdge]:
        return [SearchEdge(cursor=cursor, of=hit) for cursor, hit in self.rows()]

    @strawberry.field
    def nodes(self, info: Info) -> list[Resource]:
        return [resource(info, hit.iri) for hit in self.page.items]

    @strawberry.field
    def total_is_exact(self) -> bool:
        return True

    @field(cost=Cost(weight=5, slicing=["size"]))
    def facets(self, fields: list[FacetField], size: int | None = 10) -> list[Facet]:
        asked = list(dict.fromkeys(fields))
        return [Facet.of(found) for found in self.found.facets(asked, 10 if size is None else size)]

    @strawberry.field
    def suggestions(self) -> list[str]:
        return list(self.found.suggestions())


# -- walks ------------------------------------------------------------------------------------------------------------


@strawberry.type
class PathStep:
    of: strawberry.Private[model.PathStep]

    @field(name="from")
    def source(self, info: Info) -> Resource:
        return resource(info, self.of.source)

    @strawberry.field
    def predicate(self) -> Term:
        return Term(iri=IRI(self.of.predicate))

    @strawberry.field
    def direction(self) -> Direction:
        return self.of.direction

    @field(name="to")
    def target(self, info: Info) -> Resource:
        return resource(info, self.of.target)

    @classmethod
    def all(cls, steps: Sequence[model.PathStep]) -> list[PathStep]:
        return [cls(of=step) for step in steps]


@strawberry.type
class TraversalEdge:
    cursor: str
    of: strawberry.Private[model.Walked]

    @strawberry.field
    def node(self, info: Info) -> Resource:
        return resource(info, self.of.node)

    @field(description="The statements walked, first to last.")
    def path(self) -> list[PathStep]:
        return PathStep.all(self.of.path)

    @strawberry.field
    def crosses_domains(self, info: Info) -> list[Domain]:
        return [Domain(at=iri) for iri in info.context.view.crosses_domains(self.of)]


@strawberry.type
class TraversalConnection(Paged[model.Walked]):
    truncated: bool

    @strawberry.field
    def edges(self) -> list[TraversalEdge]:
        return [TraversalEdge(cursor=cursor, of=walked) for cursor, walked in self.rows()]

    @strawberry.field
    def nodes(self, info: Info) -> list[Resource]:
        return [resource(info, walked.node) for walked in self.page.items]


@strawberry.type
class Path:
    length: int
    steps: list[PathStep]


# -- the service ------------------------------------------------------------------------------------------------------


@strawberry.type
class Limits:
    max_depth: int
    max_cost: int
    max_tokens: int
    max_page_size: int
    max_lineage_depth: int
    timeout_ms: int


@strawberry.type
class Service:
    version: str
    schema_hash: str
    shapes_version: str
    policy_revision: str
    limits: Limits


def _node(info: Info, id: str) -> Node | None:
    """The node a global id stands for; None for one that is hidden, absent or no id of ours."""
    found = info.context.read_id(id)
    if found is None:
        return None
    letter, iri = found
    if letter == Port.letter:
        port = info.context.view.port(iri)
        return Port(at=iri, of=port) if port is not None else None
    if letter == Shape.letter:
        return Shape.maybe(info.context.view.shape(iri))
    if letter == Policy.letter:
        return Policy.maybe(info, iri)
    if letter == Waiver.letter:
        return Waiver.maybe(info.context, iri)
    return resource_or_none(info, iri)


# -- the way in -------------------------------------------------------------------------------------------------------


@strawberry.type
class Query(EventQueries, PolicyQueries, RuleQueries, WaiverQueries):
    @strawberry.field
    def node(self, info: Info, id: strawberry.ID) -> Node | None:
        return _node(info, id)

    @field(cost=Cost(weight=1, slicing=["ids"]))
    def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        limit = info.context.limits.max_page_size
        if len(ids) > limit:
            raise errors.InputError(f"{len(ids)} ids at once", remedy=f"Ask for at most {limit}")
        return [_node(info, id) for id in ids]

    @field(description="Any IRI in the graph.")
    def resource(self, info: Info, iri: IRI) -> Resource | None:
        return resource_or_none(info, iri)

    @field(description="One product: by key or IRI.")
    def data_product(self, info: Info, key: str | None = UNSET, iri: IRI | None = UNSET) -> DataProduct | None:
        found = info.context.find_product(None if key is UNSET else key, None if iri is UNSET else iri)
        return DataProduct(at=found.iri) if found is not None else None

    @field(cost=Cost(weight=2, slicing=["first", "last"]))
    def data_products(
        self,
        info: Info,
        filter: ProductFilter | None = UNSET,
        first: int | None = 20,
        after: str | None = UNSET,
        last: int | None = UNSET,
        before: str | None = UNSET,
    ) -> ProductConnection:
        asked = both_ways(info, first, after, last, before)
        return ProductConnection(page=info.context.view.products(filter.read() if filter else None, asked))

    @field(
        description="Data products, or resources of exactly the rdf:types asked for. text null lists all, by IRI;"
        " ties break by IRI; first is at most 200.",
        cost=Cost(weight=5, slicing=["first"]),
    )
    def search(
        self,
        info: Info,
        text: str | None = UNSET,
        types: list[IRI] | None = UNSET,
        filter: ProductFilter | None = UNSET,
        order_by: SearchOrder | None = SearchOrder.RELEVANCE,
        lang: list[LanguageTag] | None = UNSET,
        first: int | None = 20,
        after: str | None = UNSET,
    ) -> SearchConnection:
        found = info.context.view.search(
            None if text is UNSET else text,
            types=frozen(types),
            filter=filter.read() if filter else None,
            order=order_by or SearchOrder.RELEVANCE,
            langs=lang or None,
            page=page(first, after),
        )
        return SearchConnection(page=found.page, found=found)

    @field(cost=Cost(weight=10))
    def lineage(self, info: Info, id: strawberry.ID, input: LineageInput) -> Lineage:
        return lineage(info, info.context.iri(id), input)

    @field(cost=Cost(weight=10, slicing=["first"]))
    def traverse(
        self, info: Info, input: TraversalInput, first: int | None = 20, after: str | None = UNSET
    ) -> TraversalConnection:
        found, truncated = info.context.view.traverse(
            [info.context.iri(id) for id in input.start],
            [step.read() for step in input.steps],
            filter=input.filter.read() if input.filter else None,
            distinct=input.distinct,
            page=page(first, after),
        )
        return TraversalConnection(page=found, truncated=truncated)

    @field(cost=Cost(weight=20))
    def paths(self, info: Info, input: PathInput) -> list[Path]:
        found = info.context.view.paths(
            info.context.iri(input.start),
            info.context.iri(input.to),
            predicates=frozen(input.predicates),
            direction=input.direction,
            max_length=input.max_length,
            k=input.k,
        )
        return [Path(length=len(steps), steps=PathStep.all(steps)) for steps in found]

    @field(cost=Cost(weight=1, slicing=["first"]))
    def domains(
        self, info: Info, parent: strawberry.ID | None = UNSET, first: int | None = 50, after: str | None = UNSET
    ) -> DomainConnection:
        above = info.context.iri(parent) if parent else None
        asked = page(50 if first is None else first, after)
        return DomainConnection(page=info.context.view.domains(above, asked))

    @field(cost=Cost(weight=1, slicing=["first"]))
    def glossary_terms(
        self, info: Info, text: str | None = UNSET, first: int | None = 20, after: str | None = UNSET
    ) -> GlossaryTermConnection:
        return GlossaryTermConnection(page=info.context.view.glossary_terms(text or None, page(first, after)))

    @strawberry.field
    def vocabulary(self, info: Info, prefix: str | None = UNSET) -> list[Term]:
        return Term.all(info.context.view.vocabulary(prefix or None))

    @strawberry.field
    def shapes(self, info: Info, scope: ShapeScope | None = UNSET, target: IRI | None = UNSET) -> list[Shape]:
        found = info.context.view.shapes(scope or None, target or None)
        return [Shape(at=shape.iri, of=shape) for shape in found]

    @strawberry.field
    def service(self, info: Info) -> Service:
        limits = info.context.limits
        return Service(
            version=version("fairmesh"),
            schema_hash=info.context.schema_hash,
            shapes_version=info.context.view.ruling.digest,
            policy_revision=info.context.policy_revision,
            limits=Limits(
                max_depth=limits.max_depth,
                max_cost=limits.max_cost,
                max_tokens=limits.max_tokens,
                max_page_size=limits.max_page_size,
                max_lineage_depth=limits.max_lineage_depth,
                timeout_ms=limits.timeout_ms,
            ),
        )
