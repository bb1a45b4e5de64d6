"""What search, lineage and access keep of an accepted product document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fairmesh.catalog.document import (
    COLUMN_CLASSIFICATION,
    CSVW,
    DCAT,
    DCT,
    DERIVED,
    DISCOVER_PREDICATES,
    DPROD,
    SENSITIVITY,
    SHARED,
    TITLES,
    TYPE,
    Statements,
    access_key,
    classification,
    own_nodes,
    tail,
)
from fairmesh.catalog.model import (
    CLASSIFICATION,
    AccessKey,
    Entry,
    EntryKind,
    FacetField,
    Level,
    LineageStatement,
    Need,
    SearchDocument,
    SearchFacet,
    SearchText,
    StatementChange,
    column_need,
)
from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode, Triple, load

_FACETS = {
    FacetField.LICENSE: (DCT + "license",),
    FacetField.TERM: (DCT + "subject",),
    FacetField.FORMAT: (DCAT + "mediaType", DCT + "format"),
}
_OWN_CLASSIFICATION = {FacetField.CLASSIFICATION: (SENSITIVITY, COLUMN_CLASSIFICATION)}


Said = tuple[str, str, NamedNode | BlankNode | Literal]
"""Subject, predicate and object."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Everything derived from one accepted document.

    `needs` lists the classified columns, which need more than READ; `discover_nodes` the shared nodes a discovering
    reader may look up; `outside` the own nodes whose IRIs do not lie under the mesh's base; `said` what the document
    says of shared nodes.
    """

    key: str
    access: AccessKey
    version: str | None
    outside: frozenset[str]
    said: tuple[Said, ...]
    needs: Mapping[str, Need]
    discover_nodes: frozenset[str]
    search: tuple[SearchDocument, ...]
    lineage: tuple[LineageStatement, ...]
    lineage_nodes: Mapping[str, Need]
    parents: Mapping[str, str]


def project(
    product: str, key: str, triples: list[Triple], *, iri_base: str, updated: float,
    label_of: Callable[[str], str | None],
) -> Projection:  # fmt: skip
    """Derive the projections. `label_of` gives the label a vocabulary has for a concept; `updated` is epoch seconds."""
    return _Projector(product, key, triples, iri_base, updated, label_of).projection()


def dataset_columns(graph: Statements, product: str) -> dict[str, list[str]]:
    """The columns of each dataset of the product."""
    return {
        dataset: [c for schema in graph.iris(dataset, DCT + "conformsTo") for c in graph.iris(schema, CSVW + "column")]
        for dataset in graph.datasets(product)
    }


def column_needs(graph: Statements, product: str) -> dict[str, Need]:
    """What readers need for classified columns. A nested column is as sensitive as what it lies in."""
    needs: dict[str, Need] = {}
    for column in (c for columns in dataset_columns(graph, product).values() for c in columns):
        chain, seen, need = [column], set[str](), Need.READ
        while chain:
            iri = chain.pop()
            if iri not in seen:
                seen.add(iri)
                if graph.iris(iri, COLUMN_CLASSIFICATION):
                    need = max(need, column_need(classification(graph, iri, COLUMN_CLASSIFICATION) or "restricted"))
                chain += graph.iris(iri, DCT + "isPartOf")
        if need is not Need.READ:
            needs[column] = need
    return needs


class _Projector:
    def __init__(
        self,
        product: str,
        key: str,
        triples: list[Triple],
        iri_base: str,
        updated: float,
        label_of: Callable[[str], str | None],
    ) -> None:
        self.product, self.key, self.updated, self.label_of = product, key, updated, label_of
        self.iri_base = iri_base
        self.graph = Statements(triples)
        self.access = access_key(self.graph, product, key)
        self.owned = own_nodes(triples, product, iri_base)
        self.datasets = self.graph.datasets(product)
        self.needs = column_needs(self.graph, product)
        self.columns = dataset_columns(self.graph, product)

    def need(self, iri: str) -> Need:
        return Need.DISCOVER if iri == self.product else self.needs.get(iri, Need.READ)

    def projection(self) -> Projection:
        discover = self.graph.iris(self.product, DPROD + "domain", DPROD + "dataProductOwner", DCAT + "contactPoint")
        lineage_nodes = dict.fromkeys(self.datasets, Need.READ)
        lineage_nodes |= {c: self.need(c) for columns in self.columns.values() for c in columns}
        versions = self.graph.texts(self.product, DCAT + "version")
        return Projection(
            key=self.key,
            access=self.access,
            version=versions[0][1] if versions else None,
            outside=frozenset(n for n in self.owned if not n.startswith(self.iri_base)),
            said=tuple(self._said()),
            needs=self.needs,
            discover_nodes=frozenset(discover),
            search=tuple(self._search()),
            lineage=tuple(self._lineage(lineage_nodes)),
            lineage_nodes=lineage_nodes,
            parents=dict.fromkeys(self.datasets, self.product),
        )

    def _lineage(self, nodes: Mapping[str, Need]) -> Iterable[LineageStatement]:
        for subject in (self.product, *nodes):
            level = (
                Level.PRODUCT if subject == self.product else Level.DATASET if subject in self.columns else Level.COLUMN
            )
            for source in self.graph.iris(subject, DERIVED):
                yield LineageStatement(source, subject, DERIVED, level, nodes.get(subject, Need.READ))
        for source in self.graph.iris(self.product, DPROD + "inputDataset"):
            yield LineageStatement(source, self.product, DPROD + "inputDataset", Level.PRODUCT)

    def _said(self) -> Iterable[Said]:
        shared = tuple(self.iri_base + folder for folder in SHARED)
        for subject, said in self.graph.by_subject.items():
            if subject.startswith(shared):
                for predicate, objects in said.items():
                    yield from ((subject, predicate, value) for value in objects)

    # -- search --

    def _search(self) -> Iterable[SearchDocument]:
        common = list(self._common_facets())
        distributions = {d: self.graph.iris(d, DCAT + "distribution") for d in self.datasets}
        for subject in self.graph.by_subject:
            types = tuple(self.graph.iris(subject, TYPE))
            if not types:
                continue
            need = self.need(subject)
            texts = list(self._texts(subject, need))
            facets = [SearchFacet(need, FacetField.TYPE, t) for t in types]
            if subject == self.product:
                texts += self._product_texts()
                facets += common + self._facets(subject, Need.READ, _FACETS)
                for dataset in self.datasets:
                    facets += self._facets(dataset, Need.READ, _FACETS)
                    for distribution in distributions[dataset]:
                        facets += self._facets(distribution, Need.READ, _FACETS)
            elif self._is_own(subject):
                facets += [
                    SearchFacet(max(need, f.need), f.field, f.value)
                    for f in common
                    if f.field is not FacetField.CLASSIFICATION
                ]
                facets += self._facets(subject, need, _FACETS | _OWN_CLASSIFICATION)
                if subject in self.columns:
                    texts += [t for c in self.columns[subject] for t in self._texts(c, self.need(c))]
                    facets += [f for d in distributions[subject] for f in self._facets(d, need, _FACETS)]
            yield SearchDocument(
                iri=subject, need=need, types=types, label=self._label(subject), updated=self.updated,
                texts=tuple(texts), facets=tuple(dict.fromkeys(facets)),
            )  # fmt: skip

    def _is_own(self, subject: str) -> bool:
        return subject in self.owned

    def _label(self, subject: str) -> str:
        named = self.graph.texts(subject, *TITLES)
        return next((text for _, text, lang in named if lang in ("", "en")), named[0][1] if named else tail(subject))

    def _texts(self, subject: str, need: Need) -> Iterable[SearchText]:
        for predicate, objects in sorted(
            self.graph.by_subject[subject].items() if subject in self.graph.by_subject else ()
        ):
            for literal in sorted((o for o in objects if isinstance(o, Literal) and _is_text(o)), key=str):
                at = Need.READ if subject == self.product and predicate not in DISCOVER_PREDICATES else need
                yield SearchText(at, predicate, literal.value, literal.language or "")

    def _product_texts(self) -> list[SearchText]:
        found = []
        for predicate in (DPROD + "dataProductOwner", DPROD + "domain"):
            for target in self.graph.iris(self.product, predicate):
                found += [SearchText(Need.DISCOVER, predicate, text) for text in self._names(target)]
        for predicate in (DCT + "subject", DCAT + "theme"):
            for target in self.graph.iris(self.product, predicate):
                found += [SearchText(Need.READ, predicate, text) for text in self._names(target)]
        for dataset in self.datasets:
            found += self._texts(dataset, Need.READ)
            for column in self.columns[dataset]:
                found += self._texts(column, self.need(column))
        return found

    def _names(self, concept: str) -> list[str]:
        vocabulary = self.label_of(concept)
        return [vocabulary] if vocabulary else [text for _, text, _ in self.graph.texts(concept, *TITLES)][:1]

    def _common_facets(self) -> Iterable[SearchFacet]:
        graph, product = self.graph, self.product
        yield SearchFacet(Need.DISCOVER, FacetField.CLASSIFICATION, CLASSIFICATION + self.access.classification)
        if self.access.status:
            yield SearchFacet(Need.DISCOVER, FacetField.STATUS, product_status(self.access.status))
        for domain in graph.iris(product, DPROD + "domain"):
            yield SearchFacet(Need.DISCOVER, FacetField.DOMAIN, domain)
        for owner in graph.iris(product, DPROD + "dataProductOwner"):
            yield SearchFacet(Need.DISCOVER, FacetField.OWNER, owner)

    def _facets(self, subject: str, need: Need, fields: Mapping[FacetField, tuple[str, ...]]) -> list[SearchFacet]:
        found = [
            SearchFacet(need, name, iri)
            for name, predicates in fields.items()
            for iri in self.graph.iris(subject, *predicates)
        ]
        if need is Need.READ and subject in self.datasets:
            # the product's own classification facet is the highest of its datasets', and stands for them
            return found
        return found


def product_status(word: str) -> str:
    """The GraphQL word for a status of the scheme: ideation, design, build and deploy are DRAFT; consume is ACTIVE."""
    return {"consume": "ACTIVE", "deprecated": "DEPRECATED", "retired": "RETIRED"}.get(word, "DRAFT")


def _is_text(literal: Literal) -> bool:
    return literal.language is not None or literal.datatype.value == PREFIXES["xsd"] + "string"


# -- the past ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Past:
    """What a journal entry said; a retirement says nothing and has no access key."""

    triples: tuple[Triple, ...]
    access: AccessKey | None
    needs: Mapping[str, Need]
    version: str


def remember(entry: Entry) -> Past:
    """Read the document of a product's journal entry as it was."""
    draft = entry.draft
    if draft.kind is not EntryKind.REGISTER:
        return Past((), None, {}, "")
    triples = load(draft.document)
    graph = Statements(triples)
    versions = graph.texts(draft.product, DCAT + "version")
    return Past(
        tuple(triples), access_key(graph, draft.product, draft.key), column_needs(graph, draft.product),
        versions[0][1] if versions else "",
    )  # fmt: skip


def statement_changes(before: Iterable[Triple], after: Iterable[Triple]) -> tuple[StatementChange, ...]:
    """The statements two documents do not share: removed first, then added, each sorted."""
    old, new = set(before), set(after)
    return tuple(
        StatementChange(added, t.subject.value, t.predicate.value, str(t.object))
        for added, triples in ((False, old - new), (True, new - old))
        for t in sorted(triples, key=str)
    )
