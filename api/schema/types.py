"""Data products, their datasets, ports and columns, and the concepts they share, as GraphQL shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import strawberry
from strawberry import UNSET

from fairmesh.api.schema.fair import FairAssessment
from fairmesh.api.schema.inputs import (
    IRI,
    Cost,
    LineageInput,
    ProductFilter,
    ProductStatus,
    Rdf,
    RdfFormat,
    field,
    page,
)
from fairmesh.api.schema.operation import Info, there
from fairmesh.api.schema.reports import Lineage, ValidationReport, lineage
from fairmesh.api.schema.resources import CLASSES, Counted, Langs, Node, Party, Resource, Term, both_ways
from fairmesh.api.schema.waivers import Waiver, of_product
from fairmesh.catalog import model
from fairmesh.catalog.model import PortDirection
from fairmesh.catalog.rdf import PREFIXES

# -- products ---------------------------------------------------------------------------------------------------------


@strawberry.type
class StatementChange:
    added: bool
    predicate: Term
    object: str

    @classmethod
    def all(cls, changes: Sequence[model.StatementChange]) -> list[StatementChange]:
        return [cls(added=c.added, predicate=Term(iri=IRI(c.predicate)), object=c.object) for c in changes]


@strawberry.type
class Revision:
    number: int
    at: datetime
    by: str
    version: str
    digest: str
    changes: list[StatementChange]

    @classmethod
    def of(cls, found: model.Revision) -> Revision:
        return cls(
            number=found.number,
            at=found.at,
            by=found.by,
            version=found.version,
            digest=found.digest,
            changes=StatementChange.all(found.changes),
        )


@strawberry.type
class RevisionEdge:
    cursor: str
    node: Revision


@strawberry.type
class RevisionConnection(Counted[model.Revision]):
    @strawberry.field
    def edges(self) -> list[RevisionEdge]:
        return [RevisionEdge(cursor=cursor, node=Revision.of(found)) for cursor, found in self.rows()]

    @strawberry.field
    def nodes(self) -> list[Revision]:
        return [Revision.of(found) for found in self.page.items]


@strawberry.type(directives=[Rdf(iri=PREFIXES["dprod"] + "DataProduct")])
class DataProduct(Resource):
    @strawberry.field
    def key(self, info: Info) -> str:
        return info.context.product(self.at).key

    @strawberry.field
    def version(self, info: Info) -> str | None:
        return info.context.product(self.at).version

    @strawberry.field
    def status(self, info: Info) -> ProductStatus:
        return ProductStatus.of(info.context.product(self.at).status)

    @field(rdf=PREFIXES["dprod"] + "domain")
    def domain(self, info: Info) -> Domain | None:
        return Domain.maybe(info.context.product(self.at).domain)

    @field(description="The highest of its datasets'.")
    def classification(self, info: Info) -> GlossaryTerm | None:
        return GlossaryTerm.maybe(info.context.product(self.at).classification)

    @field(rdf=PREFIXES["dprod"] + "dataProductOwner")
    def owner(self, info: Info) -> Party | None:
        return Party.maybe(info.context.product(self.at).owner)

    @field(rdf=PREFIXES["dct"] + "subject")
    def terms(self, info: Info) -> list[GlossaryTerm]:
        return GlossaryTerm.all(info.context.product(self.at).terms)

    @strawberry.field
    def license(self, info: Info) -> IRI | None:
        found = info.context.product(self.at).license
        return IRI(found) if found else None

    @strawberry.field
    def created_at(self, info: Info) -> datetime:
        return info.context.product(self.at).created_at

    @strawberry.field
    def updated_at(self, info: Info) -> datetime:
        return info.context.product(self.at).updated_at

    @strawberry.field
    def ports(self, info: Info, direction: PortDirection | None = UNSET) -> list[Port]:
        return [Port(at=found.iri, of=found) for found in info.context.view.ports(self.at, direction or None)]

    @strawberry.field
    def datasets(self, info: Info, direction: PortDirection | None = UNSET) -> list[Dataset]:
        return [Dataset(at=iri) for iri in info.context.view.datasets(self.at, direction or None)]

    @field(cost=Cost(weight=2, slicing=["first"]))
    def revisions(self, info: Info, first: int | None = 20, after: str | None = UNSET) -> RevisionConnection:
        return RevisionConnection(
            page=info.context.view.revisions(info.context.product(self.at).home, page(first, after))
        )

    @field(cost=Cost(weight=3))
    def conformance(self, info: Info) -> ValidationReport:
        view = info.context.view
        return ValidationReport.maybe(view.conformance(info.context.product(self.at).home), view.ruling.digest)

    @field(cost=Cost(weight=5))
    def fair(self, info: Info) -> FairAssessment:
        operation = info.context
        found = operation.view.fair(operation.product(self.at).home)
        return FairAssessment.maybe(found, operation.catalog.clock(), "this product may be found, and not read, by you")

    @field(description="Those that hold; with active false those that do not, with null both.", cost=Cost(weight=2))
    def waivers(self, info: Info, active: bool | None = True) -> list[Waiver]:
        return of_product(info, info.context.product(self.at).home, active)

    @field(cost=Cost(weight=10))
    def lineage(self, info: Info, input: LineageInput) -> Lineage:
        return lineage(info, self.at, input)

    @field(description="The product's own RDF.", cost=Cost(weight=3))
    def rdf(self, info: Info, format: RdfFormat | None = RdfFormat.TURTLE) -> str:
        return info.context.view.rdf(info.context.product(self.at).home, (format or RdfFormat.TURTLE).value).decode()


@strawberry.type
class ProductEdge:
    cursor: str
    node: DataProduct


@strawberry.type
class ProductConnection(Counted[str]):
    @strawberry.field
    def edges(self) -> list[ProductEdge]:
        return [ProductEdge(cursor=cursor, node=DataProduct(at=iri)) for cursor, iri in self.rows()]

    @strawberry.field
    def nodes(self) -> list[DataProduct]:
        return [DataProduct(at=iri) for iri in self.page.items]


@strawberry.type
class Port(Node):
    letter: ClassVar[str] = "o"
    of: strawberry.Private[model.PortInfo]

    @strawberry.field
    def iri(self) -> IRI:
        return IRI(self.at)

    @strawberry.field
    def key(self) -> str:
        return self.of.key

    @strawberry.field
    def direction(self) -> PortDirection:
        return self.of.direction

    @strawberry.field
    def label(self, info: Info, lang: Langs = UNSET) -> str:
        return info.context.view.label(self.at, lang or None)

    @strawberry.field
    def endpoint(self) -> IRI | None:
        return IRI(self.of.endpoint) if self.of.endpoint else None

    @strawberry.field
    def media_type(self) -> str | None:
        return self.of.media_type

    @strawberry.field
    def physical_name(self) -> str | None:
        return self.of.physical_name

    @strawberry.field
    def datasets(self) -> list[Dataset]:
        return [Dataset(at=iri) for iri in self.of.datasets]


@strawberry.type(directives=[Rdf(iri=PREFIXES["dcat"] + "Dataset")])
class Dataset(Resource):
    @field(description="Null for a dataset outside the mesh that lineage mentions.")
    def data_product(self, info: Info) -> DataProduct | None:
        found = info.context.view.dataset(self.at)
        return DataProduct(at=found.product) if found and found.product else None

    @strawberry.field
    def classification(self, info: Info) -> GlossaryTerm | None:
        found = info.context.view.dataset(self.at)
        return GlossaryTerm.maybe(found.classification) if found else None

    @strawberry.field
    def ports(self, info: Info) -> list[Port]:
        view = info.context.view
        found = view.dataset(self.at)
        ports = (view.port(iri) for iri in found.ports) if found else ()
        return [Port(at=port.iri, of=port) for port in ports if port is not None]

    @field(cost=Cost(weight=1, slicing=["first"]))
    def columns(self, info: Info, first: int | None = 100, after: str | None = UNSET) -> ColumnConnection:
        asked = page(100 if first is None else first, after)
        return ColumnConnection(page=info.context.view.columns(self.at, asked))

    @field(cost=Cost(weight=10))
    def lineage(self, info: Info, input: LineageInput) -> Lineage:
        return lineage(info, self.at, input)


@strawberry.type
class Column(Resource):
    of: strawberry.Private[model.ColumnInfo | None] = None

    def read(self, info: Info) -> model.ColumnInfo:
        if self.of is None:
            self.of = there(info.context.view.column(self.at))
        return self.of

    @strawberry.field
    def name(self, info: Info) -> str:
        return self.read(info).name

    @strawberry.field
    def datatype(self, info: Info) -> str | None:
        return self.read(info).datatype

    @strawberry.field
    def nullable(self, info: Info) -> bool:
        return self.read(info).nullable

    @strawberry.field
    def terms(self, info: Info) -> list[GlossaryTerm]:
        return GlossaryTerm.all(self.read(info).terms)

    @strawberry.field
    def classification(self, info: Info) -> GlossaryTerm | None:
        return GlossaryTerm.maybe(self.read(info).classification)

    @field(description="The dataset and product that carry this column.")
    def dataset(self, info: Info) -> Dataset | None:
        found = self.read(info).dataset
        return Dataset(at=found) if found else None

    @strawberry.field
    def data_product(self, info: Info) -> DataProduct | None:
        found = self.read(info).product
        return DataProduct(at=found) if found else None


@strawberry.type
class ColumnEdge:
    cursor: str
    node: Column


@strawberry.type
class ColumnConnection(Counted[model.ColumnInfo]):
    @strawberry.field
    def edges(self) -> list[ColumnEdge]:
        return [ColumnEdge(cursor=cursor, node=Column(at=found.iri, of=found)) for cursor, found in self.rows()]

    @strawberry.field
    def nodes(self) -> list[Column]:
        return [Column(at=found.iri, of=found) for found in self.page.items]


# -- concepts ---------------------------------------------------------------------------------------------------------


@strawberry.type
class Domain(Resource):
    @strawberry.field
    def parent(self, info: Info) -> Domain | None:
        found = info.context.view.concept(self.at)
        return Domain.maybe(found.broader[0] if found and found.broader else None)

    @strawberry.field
    def children(self, info: Info) -> list[Domain]:
        found = info.context.view.concept(self.at)
        return [Domain(at=iri) for iri in found.narrower] if found else []

    @strawberry.field
    def owner(self, info: Info) -> Party | None:
        found = info.context.view.concept(self.at)
        return Party.maybe(found.owner) if found else None

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
        return ProductConnection(
            page=info.context.view.products(filter.read() if filter else None, asked, domain=self.at)
        )

    @classmethod
    def maybe(cls, iri: str | None) -> Domain | None:
        return cls(at=iri) if iri else None


@strawberry.type(directives=[Rdf(iri=PREFIXES["skos"] + "Concept")])
class GlossaryTerm(Resource):
    @strawberry.field
    def broader(self, info: Info) -> list[GlossaryTerm]:
        found = info.context.view.concept(self.at)
        return GlossaryTerm.all(found.broader) if found else []

    @strawberry.field
    def narrower(self, info: Info) -> list[GlossaryTerm]:
        found = info.context.view.concept(self.at)
        return GlossaryTerm.all(found.narrower) if found else []

    @field(cost=Cost(weight=2, slicing=["first"]))
    def used_by(self, info: Info, first: int | None = 20, after: str | None = UNSET) -> ProductConnection:
        return ProductConnection(page=info.context.view.products(None, page(first, after), term=self.at))

    @classmethod
    def maybe(cls, iri: str | None) -> GlossaryTerm | None:
        return cls(at=iri) if iri else None

    @classmethod
    def all(cls, iris: Sequence[str]) -> list[GlossaryTerm]:
        return [cls(at=iri) for iri in iris]


@strawberry.type
class DomainEdge:
    cursor: str
    node: Domain


@strawberry.type
class DomainConnection(Counted[str]):
    @strawberry.field
    def edges(self) -> list[DomainEdge]:
        return [DomainEdge(cursor=cursor, node=Domain(at=iri)) for cursor, iri in self.rows()]

    @strawberry.field
    def nodes(self) -> list[Domain]:
        return [Domain(at=iri) for iri in self.page.items]


@strawberry.type
class GlossaryTermEdge:
    cursor: str
    node: GlossaryTerm


@strawberry.type
class GlossaryTermConnection(Counted[str]):
    @strawberry.field
    def edges(self) -> list[GlossaryTermEdge]:
        return [GlossaryTermEdge(cursor=cursor, node=GlossaryTerm(at=iri)) for cursor, iri in self.rows()]

    @strawberry.field
    def nodes(self) -> list[GlossaryTerm]:
        return [GlossaryTerm(at=iri) for iri in self.page.items]


CLASSES.update(
    {
        model.Kind.PRODUCT: DataProduct,
        model.Kind.DATASET: Dataset,
        model.Kind.COLUMN: Column,
        model.Kind.DOMAIN: Domain,
        model.Kind.TERM: GlossaryTerm,
    }
)
