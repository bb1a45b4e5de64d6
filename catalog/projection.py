"""What search, lineage and access keep of an accepted product document."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from sys import intern

from fairmesh.catalog.document import (
    COLUMN_CLASSIFICATION,
    CONCEPT,
    CSVW,
    DCAT,
    DCT,
    DERIVED,
    DISCOVER_PREDICATES,
    DPROD,
    OWNING,
    SENSITIVITY,
    SHARED,
    TITLES,
    TYPE,
    Statements,
    access_key,
    own_nodes,
    product_of,
    references,
    tail,
)
from fairmesh.catalog.model import (
    CLASSIFICATION,
    CLASSIFICATIONS,
    FIELDS,
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
from fairmesh.catalog.rdf import GENID, PREFIXES, BlankNode, Literal, NamedNode, Triple, load
from fairmesh.catalog.tables import Table, tables_of

_FACETS = {
    FacetField.LICENSE: (DCT + "license",),
    FacetField.TERM: (DCT + "subject",),
    FacetField.FORMAT: (DCAT + "mediaType", DCT + "format"),
}
_STRING = NamedNode(PREFIXES["xsd"] + "string")
_COLUMN_LISTS = (CSVW + "primaryKey", CSVW + "rowTitle")
_OWN_CLASSIFICATION = {FacetField.CLASSIFICATION: (SENSITIVITY, COLUMN_CLASSIFICATION)}


Said = tuple[str, str, NamedNode | BlankNode | Literal]
"""Subject, predicate and object."""
Listed = tuple[str, str, int]
"""Role (a predicate or class), node, and what a reader needs to see it in that role."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Everything derived from one accepted document.

    `needs` lists what needs more than READ: see `needs_of`; `discover_nodes` the nodes a discovering reader may look
    up; `outside` the own nodes whose IRIs do not lie under the mesh's base: see `outside_needs`; `said` what it says of
    shared nodes; `listed` the product's domains and owners, by predicate, and all concepts, by class; `need` what takes
    seeing all of it; `references` the nodes of the mesh it points to and does not own.
    """

    product: str
    key: str
    access: AccessKey
    version: str | None
    outside: Mapping[str, int]
    said: tuple[Said, ...]
    listed: frozenset[Listed]
    needs: Mapping[str, int]
    discover_nodes: frozenset[str]
    search: tuple[SearchDocument, ...]
    lineage: tuple[LineageStatement, ...]
    lineage_nodes: Mapping[str, int]
    parents: Mapping[str, str]
    tables: tuple[Table, ...]
    need: int
    references: frozenset[str]


def project(
    key: str, triples: list[Triple], *, iri_base: str, updated: float,
    label_of: Callable[[str], str | None],
) -> Projection:  # fmt: skip
    """Derive the projections. `label_of` gives the label a vocabulary has for a concept; `updated` is epoch seconds."""
    return _Projector(product_of(triples), key, triples, iri_base, updated, label_of).projection()


def dataset_columns(graph: Statements, product: str) -> dict[str, list[str]]:
    """The columns of each dataset of the product."""
    return {
        dataset: [c for schema in graph.iris(dataset, DCT + "conformsTo") for c in graph.iris(schema, CSVW + "column")]
        for dataset in graph.datasets(product)
    }


def needs_of(graph: Statements, product: str) -> dict[str, int]:
    """What needs more than READ, by IRI: classified columns, wherever in the document they hang, and what hangs below
    them (columns nested in them, IRIs below theirs, their blank nodes); and what the product's `FIELDS` alone lead to.

    A text that names classified columns, such as `csvw:primaryKey`, is listed as "<subject> <predicate>".
    """
    needs = _column_needs(graph, product)
    said = graph.by_subject[product]
    leading = [(target, bit) for field, bit in FIELDS.items() if field in said for target in graph.iris(product, field)]
    if any(target in graph.by_subject for target, _ in leading):
        links = {subject: graph.iris(subject, *said) for subject, said in graph.by_subject.items()}
        links[product] = graph.iris(product, *(p for p in graph.by_subject[product] if p not in FIELDS))
        plain = _reached([product], links)
        for target, bit in leading:
            for node in _reached([target], links, closed=plain):
                needs[node] = needs.get(node, 0) | bit
    return needs


def _reached(starts: Iterable[str], links: Mapping[str, list[str]], closed: Collection[str] = frozenset()) -> set[str]:
    """The starts and what they link to, directly or not; what is closed is neither reached nor passed."""
    found = {node for node in starts if node not in closed}
    waiting = list(found)
    while waiting:
        for target in links.get(waiting.pop(), ()):
            if target not in found and target not in closed:
                found.add(target)
                waiting.append(target)
    return found


def _column_needs(graph: Statements, product: str) -> dict[str, int]:
    whole = {product, *graph.datasets(product)}
    needs: dict[str, int] = {}
    waiting: list[tuple[str, int]] = []
    parts: dict[str, list[str]] = defaultdict(list)
    for subject, said in graph.by_subject.items():
        words = [iri.removeprefix(CLASSIFICATION) for iri in graph.iris(subject, COLUMN_CLASSIFICATION)]
        if subject not in whole and said.get(COLUMN_CLASSIFICATION):
            known = {word if word in CLASSIFICATIONS else CLASSIFICATIONS[-1] for word in words}
            waiting += [(subject, column_need(word)) for word in known or CLASSIFICATIONS[-1:]]
        for above in graph.iris(subject, DCT + "isPartOf"):
            parts[above].append(subject)
    if not waiting:
        return needs
    nodes = sorted({*graph.by_subject, *graph.named()})
    while waiting:
        column, need = waiting.pop()
        known_need = needs.get(column, Need.READ)
        if column in whole or known_need | need == known_need:
            continue
        needs[column] = known_need | need
        blank = (iri for said in graph.by_subject.get(column, {}) for iri in graph.iris(column, said))
        below = nodes[bisect_left(nodes, column + "/") : bisect_left(nodes, column + "0")]
        inside = (*parts[column], *below, *(iri for iri in blank if iri.startswith(product + GENID)))
        waiting += [(iri, need) for iri in inside]
    return needs | _naming(graph, needs)


def _naming(graph: Statements, needs: Mapping[str, int]) -> dict[str, int]:
    """Keys of a schema that list the names of classified columns."""
    found: dict[str, int] = {}
    for schema in graph.by_subject:
        for predicate in _COLUMN_LISTS:
            listed = {name.strip() for _, text, _ in graph.texts(schema, predicate) for name in text.split(",")}
            for column in graph.iris(schema, CSVW + "column") if listed else ():
                named = {text for _, text, _ in graph.texts(column, CSVW + "name")}
                if column in needs and not named.isdisjoint(listed):
                    place = f"{schema} {predicate}"
                    found[place] = needs[column] | found.get(place, Need.READ)
    return found


def outside_needs(
    graph: Statements, product: str, owned: Collection[str], needs: Mapping[str, int], iri_base: str
) -> dict[str, int]:
    """The own nodes whose IRIs do not lie under the mesh's base, and what a reader needs, beside the node's own need,
    to see that they are."""
    found = {node: needs.get(node, 0) for node in owned if not node.startswith(iri_base)}
    masked = [node for node in needs if node in owned and node in graph.by_subject]
    if found and masked:
        links = {subject: graph.iris(subject, *OWNING) for subject in graph.by_subject if subject in owned}
        below = (product + "/", product + "#")
        plain = _reached((n for n in links if n == product or n.startswith(below)), links, closed=masked)
        for column in masked:
            for node in found.keys() & _reached(links[column], links, closed=plain):
                found[node] |= needs[column]
    return found


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
        self.references = references(triples, self.owned, iri_base)
        self.datasets = [dataset for dataset in self.graph.datasets(product) if dataset in self.owned]
        self.needs = needs_of(self.graph, product)
        # a document that lists another one's dataset or column as its own does not make it so
        self.columns = {
            dataset: [column for column in columns if column in self.owned]
            for dataset, columns in dataset_columns(self.graph, product).items()
            if dataset in self.owned
        }
        heading = (DPROD + "domain", DPROD + "dataProductOwner", DCAT + "contactPoint")
        self.discover = frozenset(self.graph.iris(product, *heading))
        self.shared = tuple(iri_base + folder for folder in SHARED)
        self._made: dict[tuple[str, int], list[SearchText]] = {}

    def need(self, iri: str) -> int:
        need = Need.DISCOVER if iri == self.product or iri in self.discover else Need.READ
        return need | self.needs.get(iri, 0)

    def field(self, subject: str, predicate: str) -> int:
        """The bit of a field that policy may hide."""
        return FIELDS.get(predicate, 0) if subject == self.product else 0

    def nameable(self, iri: str) -> bool:
        """Whether search may name the node: one of another product's may be hidden from who reads this document."""
        return not iri.startswith(self.iri_base) or iri.startswith(self.shared) or iri in self.owned

    def projection(self) -> Projection:
        lineage_nodes: dict[str, int] = dict.fromkeys(self.datasets, Need.READ)
        lineage_nodes |= {c: self.need(c) for columns in self.columns.values() for c in columns}
        versions = self.graph.texts(self.product, DCAT + "version")
        return Projection(
            product=self.product,
            key=self.key,
            access=self.access,
            version=versions[0][1] if versions else None,
            outside=outside_needs(self.graph, self.product, self.owned, self.needs, self.iri_base),
            said=tuple(self._said()),
            listed=frozenset(self._listed()),
            needs=self.needs,
            discover_nodes=self.discover,
            search=tuple(self._search()),
            lineage=tuple(self._lineage(lineage_nodes)),
            lineage_nodes=lineage_nodes,
            parents=dict.fromkeys(self.datasets, self.product),
            tables=tuple(tables_of(self.graph, self.key, dataset_columns(self.graph, self.product), self.needs)),
            need=self.whole_need(),
            references=self.references,
        )

    def whole_need(self) -> int:
        """What a reader must be granted to see every statement of the document."""
        need: int = Need.READ
        for bits in (*self.needs.values(), *(FIELDS.get(said, 0) for said in self.graph.by_subject[self.product])):
            need |= bits
        return need

    def _lineage(self, nodes: Mapping[str, int]) -> Iterable[LineageStatement]:
        for subject in (self.product, *nodes):
            level = (
                Level.PRODUCT if subject == self.product else Level.DATASET if subject in self.columns else Level.COLUMN
            )
            for source in self.graph.iris(subject, DERIVED):
                # an end outside the mesh is no secret, but that a classified column is one is
                need = nodes.get(subject, Need.READ) | self.needs.get(source, 0) | self.field(subject, DERIVED)
                yield LineageStatement(source, subject, DERIVED, level, need)
        for source in self.graph.iris(self.product, DPROD + "inputDataset"):
            need = Need.READ | self.field(self.product, DPROD + "inputDataset")
            yield LineageStatement(source, self.product, DPROD + "inputDataset", Level.PRODUCT, need)

    def _said(self) -> Iterable[Said]:
        for subject, said in self.graph.by_subject.items():
            if subject.startswith(self.shared):
                for predicate, objects in said.items():
                    yield from ((subject, predicate, value) for value in objects)

    def _listed(self) -> Iterable[Listed]:
        for role in (DPROD + "domain", DPROD + "dataProductOwner"):
            yield from ((role, iri, Need.DISCOVER) for iri in self.graph.iris(self.product, role))
        for subject in self.graph.by_subject:
            if CONCEPT in self.graph.iris(subject, TYPE):
                yield CONCEPT, subject, self.need(subject)

    # -- search --

    def _search(self) -> Iterable[SearchDocument]:
        common = list(self._common_facets())
        inherited: dict[int, list[SearchFacet]] = {}
        distributions = {d: self.graph.iris(d, DCAT + "distribution") for d in self.datasets}
        for subject in self.graph.by_subject:
            types = tuple(intern(t) for t in self.graph.iris(subject, TYPE) if self.nameable(t))
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
                if need not in inherited:
                    inherited[need] = [
                        SearchFacet(need | f.need, f.field, f.value)
                        for f in common
                        if f.field is not FacetField.CLASSIFICATION
                    ]
                facets += inherited[need] + self._facets(subject, need, _FACETS | _OWN_CLASSIFICATION)
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

    def _texts(self, subject: str, need: int) -> list[SearchText]:
        """Its texts by predicate. A column's are found under its dataset and its product, too: they are made once."""
        if (subject, need) not in self._made:
            said = self.graph.by_subject.get(subject, {})
            self._made[subject, need] = [
                text for predicate in sorted(said) for text in self._stated(subject, predicate, said[predicate], need)
            ]
        return self._made[subject, need]

    def _stated(
        self, subject: str, predicate: str, objects: list[NamedNode | BlankNode | Literal], need: int
    ) -> Iterable[SearchText]:
        texts = [o for o in objects if isinstance(o, Literal) and _is_text(o)]
        if texts:
            at = Need.READ if subject == self.product and predicate not in DISCOVER_PREDICATES else need
            at |= self.needs.get(f"{subject} {predicate}", 0) | self.field(subject, predicate)
            for literal in sorted(texts, key=str):
                yield SearchText(at, predicate, literal.value, literal.language or "")

    def _product_texts(self) -> list[SearchText]:
        found = []
        for predicate in (DPROD + "dataProductOwner", DPROD + "domain"):
            for target in self.graph.iris(self.product, predicate):
                found += [SearchText(Need.DISCOVER, predicate, text) for text in self._names(target)]
        for predicate in (DCT + "subject", DCAT + "theme"):
            for target in self.graph.iris(self.product, predicate):
                at = Need.READ | self.need(target) | self.field(self.product, predicate)
                found += [SearchText(at, predicate, text) for text in self._names(target)]
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
        for name, predicate in ((FacetField.DOMAIN, DPROD + "domain"), (FacetField.OWNER, DPROD + "dataProductOwner")):
            for iri in filter(self.nameable, graph.iris(product, predicate)):
                yield SearchFacet(Need.DISCOVER, name, iri)

    def _facets(self, subject: str, need: int, fields: Mapping[FacetField, tuple[str, ...]]) -> list[SearchFacet]:
        return [
            SearchFacet(need | self.needs.get(iri, 0) | self.field(subject, predicate), name, iri)
            for name, predicates in fields.items()
            for predicate in predicates
            for iri in map(intern, self.graph.iris(subject, predicate))
            if self.nameable(iri)
        ]


def product_status(word: str) -> str:
    """The GraphQL word for a status of the scheme: ideation, design, build and deploy are DRAFT; consume is ACTIVE."""
    return {"consume": "ACTIVE", "deprecated": "DEPRECATED", "retired": "RETIRED"}.get(word, "DRAFT")


def _is_text(literal: Literal) -> bool:
    return literal.language is not None or literal.datatype == _STRING


# -- the past ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Past:
    """What a journal entry said; a retirement says nothing and has no access key."""

    triples: tuple[Triple, ...]
    access: AccessKey | None
    needs: Mapping[str, int]
    version: str


def remember(entry: Entry) -> Past:
    """Read the document of a product's journal entry as it was."""
    draft = entry.draft
    if draft.kind is not EntryKind.REGISTER:
        return Past((), None, {}, "")
    triples = load(draft.document)
    graph, product = Statements(triples), product_of(triples)
    versions = graph.texts(product, DCAT + "version")
    return Past(
        tuple(triples), access_key(graph, product, draft.key), needs_of(graph, product),
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
