"""The one way out: a `View` answers what one subject may see, and nothing else exists for it.

Every answer is built from `_match`, which drops statements whose document the reader may not see, or whose object is
a node of the mesh that is hidden, retired or unregistered; or from the search and lineage indexes, which take the
same grants. There is no second check anywhere above.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog import history, rdf, reading, walks
from fairmesh.catalog.document import (
    COLUMN,
    CONCEPT,
    CSVW,
    DATA_PRODUCT,
    DATASET,
    DCAT,
    DCT,
    DERIVED,
    DESCRIPTIONS,
    DPROD,
    EXTERNAL_DATASET,
    FOAF,
    SENSITIVITY,
    SKOS,
    TITLES,
    TYPE,
    VCARD,
    tail,
)
from fairmesh.catalog.errors import InputError, NotFound, Retired, TooLarge
from fairmesh.catalog.fair import Assessment, assess
from fairmesh.catalog.filters import Filters
from fairmesh.catalog.graph import VOCABULARY
from fairmesh.catalog.model import (
    CLASSIFICATION,
    FM,
    STATUS,
    AccessKey,
    Action,
    ColumnInfo,
    ConceptInfo,
    DatasetInfo,
    Decision,
    Direction,
    Kind,
    LineageDirection,
    LineageNode,
    LineageResult,
    LiteralValue,
    Need,
    Obligations,
    Page,
    PageRequest,
    PathStep,
    PortDirection,
    PortInfo,
    ProductFilter,
    ProductInfo,
    PropertyValue,
    Relation,
    RelationCount,
    Report,
    Resource,
    Revision,
    SearchOrder,
    ShapeInfo,
    ShapeScope,
    Subject,
    Walked,
    WalkStep,
    granted_under,
)
from fairmesh.catalog.paging import Cursors, page_size
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.registry import Grants, Product, Sight
from fairmesh.catalog.ruling import Ruling, shape_info
from fairmesh.catalog.search import SearchQuery
from fairmesh.catalog.sighted import Found, Sighted

if TYPE_CHECKING:
    from fairmesh.catalog.access import Access, Scope
    from fairmesh.catalog.catalog import Catalog

Term = NamedNode | BlankNode | Literal
Statement = tuple[str, str, Term, Product | None]
"""Subject, predicate, object, and the product whose document states it (None: a vocabulary)."""

_Link = tuple[str, str, str]
"""Predicate, direction, node."""

OUTPUTS, INPUTS, PARTS = DPROD + "outputDataset", DPROD + "inputDataset", DCT + "hasPart"
WALK_BUDGET = 20_000
"""Nodes a walk may visit; beyond it the answer says truncated."""
_DEFAULT_LANGS = (reading.DEFAULT_LANG,)
_MAIL = frozenset({VCARD + "hasEmail", FOAF + "mbox"})


class View:
    """What `subject` sees, at one moment. Made by `Catalog.view`; lives as long as that context."""

    def __init__(
        self, catalog: Catalog, subject: Subject, scope: Scope, channel: str, access: Access, ruling: Ruling
    ) -> None:
        self.subject = subject
        self.policy_revision = scope.policy_revision
        self.ruling = ruling
        self._catalog = catalog
        self._registry = catalog.registry
        self._graph = catalog.graph
        self._channel, self._access = channel, access
        self._grants = scope.grants
        sight = self.sight = Sight(self._registry, self._grants, self._graph.match)
        self._granted, self._node_visible, self._triple_visible = sight.granted, sight.node, sight.triple
        self._cursors = Cursors(catalog.iri_base)
        self._labels: dict[tuple[str, tuple[str, ...]], str] = {}
        self._read: dict[str, list[Statement]] = {}
        self._heads: dict[str, list[Statement]] = {}
        self._decided: dict[tuple[Action, int], Decision] = {}
        self._then: dict[AccessKey, int] = {}

    # -- visibility --

    def _match(self, subject: str | None, predicate: str | None = None, obj: str | None = None) -> Iterator[Statement]:
        """Visible statements that fit, in no particular order; one that several documents make comes several times."""
        if not all(term is None or reading.is_iri(term) for term in (subject, predicate, obj)):
            return
        by_home, need_of = self._registry.by_home, self._registry.statement_need
        for triple, graph in self._graph.match(subject, predicate, obj):
            said_of, word, value = triple.subject.value, triple.predicate.value, triple.object
            target = value.value if isinstance(value, NamedNode) else None
            product = None
            if graph != VOCABULARY:
                product = by_home[graph]
                if not self._granted(product, need_of(product, said_of, word, target)):
                    continue
            if target is not None and not self._node_visible(target):
                continue
            yield said_of, word, value, product

    def _all(self, iri: str) -> list[Statement]:
        """Everything visible that is said of a node, read once."""
        if iri not in self._read:
            self._read[iri] = list(self._match(iri))
        return self._read[iri]

    def _head(self, iri: str) -> list[Statement]:
        """What names a node and says what it is. Of one outside the mesh: what vocabularies say, and the first of the
        products that have it as their own and say something of it; whoever names it later changes nothing."""
        if iri not in self._heads:
            said = self._all(iri)
            by = {product.home for *_, product in said if product is not None}
            if len(by) > 1 and not iri.startswith(self._catalog.iri_base):
                first = next((owner for owner in self.describers(iri) if owner.home in by), None)
                said = [s for s in said if first is None or s[3] is None or s[3] is first]
            self._heads[iri] = said
        return self._heads[iri]

    def _stated(self, iri: str, predicate: str, form: type[NamedNode | Literal] = NamedNode) -> list[str]:
        return sorted({v.value for _, p, v, _ in self._head(iri) if p == predicate and isinstance(v, form)})

    def _objects(self, subject: str, predicate: str) -> list[Term]:
        return sorted({value for _, _, value, _ in self._match(subject, predicate)}, key=str)

    def _iris(self, subject: str, *predicates: str) -> list[str]:
        return sorted({o.value for p in predicates for o in self._objects(subject, p) if isinstance(o, NamedNode)})

    def _subjects(self, predicate: str, obj: str) -> list[str]:
        return sorted({s for s, _, _, _ in self._match(None, predicate, obj)})

    def _first(self, subject: str, predicate: str) -> str | None:
        found = self._objects(subject, predicate)
        return found[0].value if found else None

    # -- any node --

    def resource(self, iri: str) -> Resource | None:
        """The node, when a visible statement mentions it or the mesh's rules do."""
        if not self.exists(iri):
            return None
        return Resource(iri, self.kind(iri))

    def exists(self, iri: str) -> bool:
        if not reading.is_iri(iri) or not self._node_visible(iri):
            return False
        return next(self._match(iri), None) is not None or next(self._match(None, None, iri), None) is not None

    def kind(self, iri: str) -> Kind:
        types = set(self.types(iri))
        if DATA_PRODUCT in types and self._product_at(iri) is not None:
            return Kind.PRODUCT
        if COLUMN in types:
            return Kind.COLUMN
        if types & {DATASET, EXTERNAL_DATASET} or iri in self._datasets_mentioned(iri):
            return Kind.DATASET
        if iri.startswith(self._catalog.iri_base + "domain/") or next(self._match(None, DPROD + "domain", iri), None):
            return Kind.DOMAIN
        return Kind.TERM if CONCEPT in types else Kind.UNTYPED

    def _datasets_mentioned(self, iri: str) -> Collection[str]:
        # a dataset outside the mesh is known by what is derived from it, or by the product that puts it out
        links = (DERIVED, OUTPUTS, INPUTS)
        return (iri,) if any(next(self._match(None, p, iri), None) for p in links) else ()

    def types(self, iri: str) -> tuple[str, ...]:
        found = {v.value for p, v, _, _ in self._about(iri) if p == TYPE and isinstance(v, NamedNode)}
        return tuple(sorted(found))

    def _about(self, iri: str) -> Iterator[tuple[str, Term, bool, int]]:
        """What names a node and says what it is: predicate, object, whether a vocabulary does, and how
        many documents do."""
        if not self._registry.is_shared(iri) or not reading.is_iri(iri):
            for _, predicate, value, product in self._head(iri):
                yield predicate, value, product is None, 1
            return
        official = ((t.predicate.value, t.object, 0) for t, _ in self._graph.match(iri, graph=VOCABULARY))
        for predicate, value, count in (*official, *self._registry.said_of(iri, self._grants)):
            if not isinstance(value, NamedNode) or self._node_visible(value.value):
                yield predicate, value, not count, count or 1

    def label(self, iri: str, langs: Sequence[str] | None = None) -> str:
        """The vocabulary's label, else the one most visible documents give, else the last part of the IRI."""
        key = (iri, tuple(langs or _DEFAULT_LANGS))
        if key not in self._labels:
            self._labels[key] = self._best(iri, TITLES, key[1]) or tail(iri) or iri
        return self._labels[key]

    def description(self, iri: str, langs: Sequence[str] | None = None) -> str | None:
        return self._best(iri, DESCRIPTIONS, tuple(langs or _DEFAULT_LANGS))

    def _best(self, iri: str, predicates: Sequence[str], langs: tuple[str, ...]) -> str | None:
        said: Counter[tuple[bool, int, reading.LangRank, str]] = Counter()
        for predicate, value, official, count in self._about(iri):
            if predicate in predicates and isinstance(value, Literal):
                rank = reading.lang_rank(value.language, langs)
                said[not official, predicates.index(predicate), rank, value.value] += count
        if not said:
            return None
        return min(said, key=lambda c: (c[0], c[2], c[1], -said[c], c[3]))[3]

    def properties(
        self, iri: str, *, predicates: frozenset[str] | None, langs: Sequence[str] | None, page: PageRequest
    ) -> Page[PropertyValue]:
        """Literal-valued statements, by predicate, then text, then language. `langs` keeps those and untagged ones."""
        found = {
            PropertyValue(p, LiteralValue(v.value, v.datatype.value, v.language))
            for _, p, v, _ in self._all(iri)
            if isinstance(v, Literal) and (predicates is None or p in predicates)
            and (langs is None or reading.is_asked_for(v.language, tuple(langs)))
        }  # fmt: skip

        def key(p: PropertyValue) -> tuple[str, ...]:
            return (p.predicate, p.value.lexical, p.value.lang or "", p.value.datatype)

        return self._cursors.page(sorted(found, key=key), key, page)

    def _linked(self, iri: str, predicates: frozenset[str] | None, direction: Direction) -> dict[_Link, list[str]]:
        """Predicate, direction and node of each visible resource-valued statement, in order, and who states it."""
        found: dict[_Link, list[str]] = defaultdict(list)
        for way in (Direction.OUT, Direction.IN):
            if direction not in (way, Direction.BOTH):
                continue
            ends = (iri, None) if way is Direction.OUT else (None, iri)
            for wanted in [None] if predicates is None else sorted(predicates):
                for subject, predicate, value, product in self._match(ends[0], wanted, ends[1]):
                    if isinstance(value, NamedNode):
                        other = value.value if way is Direction.OUT else subject
                        found[predicate, way.value, other].append("" if product is None else product.iri)
        return dict(sorted(found.items()))

    def relations(
        self, iri: str, *, predicates: frozenset[str] | None, direction: Direction, target_types: frozenset[str] | None,
        page: PageRequest,
    ) -> Page[Relation]:  # fmt: skip
        """Resource-valued statements, by predicate, direction and node; each once, whoever states it."""
        linked = self._linked(iri, predicates, direction)
        keys = [k for k in linked if target_types is None or target_types.intersection(self.types(k[2]))]
        shown = self._cursors.page(keys, lambda key: key, page)
        items = tuple(self._relation(key, min(linked[key])) for key in shown.items)
        return Page(items, shown.cursors, shown.has_next, shown.has_previous, shown.total)

    def _relation(self, key: _Link, stated: str) -> Relation:
        owner = self._first(stated, DPROD + "dataProductOwner") if stated else None
        return Relation(key[0], Direction(key[1]), key[2], stated or None, owner)

    def relation_summary(self, iri: str, direction: Direction) -> tuple[RelationCount, ...]:
        grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
        for predicate, way, node in self._linked(iri, None, direction):
            grouped[predicate, way].append(node)
        return tuple(
            RelationCount(
                predicate, Direction(way), len(nodes), tuple(sorted({t for n in nodes for t in self.types(n)}))
            )
            for (predicate, way), nodes in sorted(grouped.items())
        )

    def describers(self, iri: str) -> list[Product]:
        """The products known to describe a node as their own: the reader sees what they say of it. The product itself
        first, others in the order they were created."""
        registry = self._registry
        seen = (p for p in registry.owners(iri) if self._granted(p, registry.owner_need(p, iri)))
        return sorted(seen, key=lambda p: (p.iri != iri, p.created_at, p.home))

    def viewer_can(self, iri: str, actions: Sequence[Action]) -> tuple[Decision, ...]:
        """What the subject may do with the product the node belongs to; nodes of no product are nobody's to change."""
        owners = self.describers(iri) if self.exists(iri) else []
        if not owners:
            return tuple(self._unowned(action) for action in actions)
        key = owners[0].key_id
        questions = [(a, self._registry.keys[key]) for a in dict.fromkeys(actions) if (a, key) not in self._decided]
        for decision in self._decide(questions):
            self._decided[decision.action, key] = decision
        return tuple(self._decided[action, key] for action in actions)

    def _decide(self, questions: Sequence[tuple[Action, AccessKey]]) -> list[Decision]:
        return self._access.decide_many(self.subject, questions, channel=self._channel, now=self._catalog.clock())

    def _unowned(self, action: Action) -> Decision:
        allowed = action in (Action.DISCOVER, Action.READ_METADATA)
        reason = "no-product" if not allowed else "visible"
        return Decision(action, allowed, (reason,), Obligations(), "fairmesh.access", self.policy_revision)

    # -- products --

    def product(self, *, key: str | None = None, iri: str | None = None) -> ProductInfo | None:
        """A product by key or IRI; None when hidden, absent or retired."""
        if (key is None) == (iri is None):
            raise InputError("a product is asked for by its key or its IRI", remedy="Give one of them")
        product = self._product_at(iri) if iri is not None else self._registry.by_key.get(key or "")
        if product is None or not self._granted(product, Need.DISCOVER):
            return None
        said: dict[str, list[Term]] = defaultdict(list)
        for _, predicate, value, by in self._all(product.iri):
            if by is product:
                said[predicate].append(value)

        def iris(predicate: str) -> list[str]:
            return sorted(v.value for v in said[predicate] if isinstance(v, NamedNode))

        facts = self._registry.keys[product.key_id]
        return ProductInfo(
            product.home, product.iri, product.key, product.revision, product.version, facts.status,
            next(iter(iris(DPROD + "domain")), None), CLASSIFICATION + facts.classification,
            next(iter(iris(DPROD + "dataProductOwner")), None), tuple(iris(DCT + "subject")),
            next(iter(iris(DCT + "license")), None), product.created_at, product.updated_at,
        )  # fmt: skip

    def _product_at(self, iri: str) -> Product | None:
        """The first product with this IRI that the subject may discover."""
        return next((p for p in self._registry.at(iri) if self._granted(p, Need.DISCOVER)), None)

    def _held(self, product: str, need: Need) -> Product | None:
        """The product with this home or, failing that, IRI, if the subject is granted so much of it."""
        found = self._registry.by_home.get(product) or self._product_at(product)
        return found if found is not None and self._granted(found, need) else None

    def may_read(self, home: str) -> bool:
        """Whether the subject may read the product with this home; False for hidden, retired and absent alike."""
        return self._held(home, Need.READ) is not None

    def raise_if_retired(self, iri: str) -> None:
        """Raise `Retired` when the home or IRI is a tombstone the subject could have seen under today's policy."""
        home = self._registry.by_home.get(iri)
        for product in self._registry.at(iri) if home is None else [home]:
            if product.retired and product.key_id < len(self._grants) and self._grants[product.key_id] & Need.DISCOVER:
                reason = f": {product.detail['reason']}" if product.detail.get("reason") else ""
                successor = product.detail.get("replaced_by")
                raise Retired(
                    f"{product.key} was retired by {product.by} on {product.updated_at:%Y-%m-%d}{reason}",
                    iri=product.iri, remedy=f"See {successor}" if self.exists(str(successor)) else "",
                )  # fmt: skip

    @cached_property
    def _visible_products(self) -> list[Product]:
        shown = (self.visible & Need.DISCOVER).tolist()
        return [product for product in self._registry.by_order() if shown[product.slot]]

    def products(
        self, filter: ProductFilter | None, page: PageRequest, *, domain: str | None = None, term: str | None = None
    ) -> Page[str]:
        """IRIs of visible products that pass the filter, in order of IRI."""
        found = [p.iri for p in self._filtered(filter)]
        if domain is not None:
            inside = set(self._subjects(DPROD + "domain", domain))
            found = [iri for iri in found if iri in inside]
        if term is not None:
            users = self._users_of(term)
            found = [iri for iri in found if iri in users]
        return self._cursors.page(found, lambda iri: (iri,), page)

    def _users_of(self, term: str) -> set[str]:
        """Products in whose documents a visible statement has the term as object."""
        return {p.iri for _, _, _, p in self._match(None, None, term) if p is not None}

    def _filtered(self, filter: ProductFilter | None) -> list[Product]:
        if filter is None:
            return self._visible_products
        test = Filters(self).test(filter)
        return [product for product in self._visible_products if test(product)]

    def facts(self, product: Product) -> AccessKey:
        return self._registry.keys[product.key_id]

    def literals(self, subject: str, predicate: str) -> list[str]:
        return [o.value for o in self._objects(subject, predicate) if isinstance(o, Literal)]

    def iris(self, subject: str, predicate: str) -> list[str]:
        return self._iris(subject, predicate)

    def subjects(self, predicate: str, objects: Collection[str]) -> set[str]:
        """What has one of these under the predicate."""
        return {subject for iri in objects for subject in self._subjects(predicate, iri)}

    def owners(self) -> set[str]:
        """Who owns a visible product."""
        return self._registry.listed(DPROD + "dataProductOwner", self._grants)

    def narrower_closure(self, iri: str) -> set[str]:
        """The concept and everything below it in the SKOS hierarchy."""
        found, waiting = {iri}, [iri]
        while waiting:
            for child in self._narrower(waiting.pop()):
                if child not in found:
                    found.add(child)
                    waiting.append(child)
        return found

    # -- ports, datasets, columns --

    def datasets(self, product: str, direction: PortDirection | None) -> tuple[str, ...]:
        """Datasets put out (parts included) and read; without a direction both."""
        found: list[str] = []
        if direction is not PortDirection.INPUT:
            found += self._iris(product, OUTPUTS, PARTS)
        if direction is not PortDirection.OUTPUT:
            found += [d for d in self._iris(product, INPUTS) if d not in found]
        return tuple(found)

    def ports(self, product: str, direction: PortDirection | None) -> tuple[PortInfo, ...]:
        found = []
        for way in PortDirection:
            if direction in (None, way):
                found += [self._port(iri, way) for iri in self._iris(product, f"{DPROD}{way.value.lower()}Port")]
        return tuple(found)

    def port(self, iri: str) -> PortInfo | None:
        if not self._node_visible(iri):
            return None
        if self._subjects(DPROD + "outputPort", iri) or self._subjects(DCAT + "accessService", iri):
            return self._port(iri, PortDirection.OUTPUT)
        return self._port(iri, PortDirection.INPUT) if self._subjects(DPROD + "inputPort", iri) else None

    def _port(self, iri: str, direction: PortDirection) -> PortInfo:
        distributions = self._subjects(DCAT + "accessService", iri)
        datasets = {d for distribution in distributions for d in self._subjects(DCAT + "distribution", distribution)}
        media = [m for d in distributions for m in self._iris(d, DCAT + "mediaType", DCT + "format")]
        names = [n for d in distributions for n in self.literals(d, FM + "physicalName")]
        return PortInfo(
            iri, tail(iri), direction, self._first(iri, DCAT + "endpointURL"), next(iter(media), None),
            next(iter(names), None), tuple(sorted(datasets | set(self._iris(iri, DCAT + "servesDataset")))),
        )  # fmt: skip

    def dataset(self, iri: str) -> DatasetInfo | None:
        resource = self.resource(iri)
        if resource is None or resource.kind is not Kind.DATASET:
            return None
        distributions = self._iris(iri, DCAT + "distribution")
        ports = {p for d in distributions for p in self._iris(d, DCAT + "accessService")}
        return DatasetInfo(
            iri, self._product_of(iri), next(iter(self._stated(iri, SENSITIVITY)), None),
            tuple(sorted(ports | set(self._subjects(DCAT + "servesDataset", iri)))),
        )  # fmt: skip

    def _product_of(self, iri: str) -> str | None:
        return next((p.iri for p in self.describers(iri)), None)

    def columns(self, dataset: str, page: PageRequest) -> Page[ColumnInfo]:
        """Columns by position, then name."""
        found = []
        for schema in self._stated(dataset, DCT + "conformsTo"):
            for column in self._stated(schema, CSVW + "column"):
                info = self.column(column)
                if info is not None:
                    found.append((reading.position(self._stated(column, FM + "position", Literal)), info))
        found.sort(key=lambda pair: (pair[0], pair[1].name, pair[1].iri))
        places = {info.iri: (place, info.name, info.iri) for place, info in found}
        return self._cursors.page([info for _, info in found], lambda info: places[info.iri], page)

    def column(self, iri: str) -> ColumnInfo | None:
        said: dict[str, list[Term]] = defaultdict(list)
        for _, predicate, value, _ in self._head(iri):
            said[predicate].append(value)
        if NamedNode(COLUMN) not in said[TYPE]:
            return None

        def first(predicate: str) -> Term | None:
            return min(said[predicate], key=str, default=None)

        name, datatype, classified = first(CSVW + "name"), first(CSVW + "datatype"), first(FM + "classification")
        schemas = self._subjects(CSVW + "column", iri)
        dataset = next((d for s in schemas for d in self._subjects(DCT + "conformsTo", s)), None)
        required = {v.value for v in said[CSVW + "required"]}
        return ColumnInfo(
            iri, name.value if name else tail(iri),
            (rdf.compact(datatype.value) or datatype.value) if datatype is not None else None,
            "true" not in required and "1" not in required,
            tuple(sorted(t.value for t in said[DCT + "subject"] if isinstance(t, NamedNode))),
            classified.value if classified is not None else None, dataset, self._product_of(iri),
        )  # fmt: skip

    # -- concepts and parties --

    def concept(self, iri: str) -> ConceptInfo | None:
        resource = self.resource(iri)
        if resource is None or resource.kind not in (Kind.DOMAIN, Kind.TERM):
            return None
        owners = self._iris(iri, DCT + "publisher", DCT + "creator", DPROD + "dataProductOwner")
        return ConceptInfo(iri, tuple(self._broader(iri)), tuple(self._narrower(iri)), next(iter(owners), None))

    def _broader(self, iri: str) -> list[str]:
        return sorted({*self._iris(iri, SKOS + "broader"), *self._subjects(SKOS + "narrower", iri)})

    def _narrower(self, iri: str) -> list[str]:
        return sorted({*self._iris(iri, SKOS + "narrower"), *self._subjects(SKOS + "broader", iri)})

    def email(self, party: str) -> str | None:
        return min((v.value.removeprefix("mailto:") for p, v, _, _ in self._about(party) if p in _MAIL), default=None)

    @cached_property
    def _domains(self) -> set[str]:
        return {iri for iri in self._registry.listed(DPROD + "domain", self._grants) if self._node_visible(iri)}

    @cached_property
    def _concepts(self) -> set[str]:
        """Concepts of the vocabularies."""
        return {t.subject.value for t, _ in self._graph.match(None, TYPE, CONCEPT, graph=VOCABULARY)}

    def domains(self, parent: str | None, page: PageRequest) -> Page[str]:
        """Domains by IRI: all, or the children of one."""
        if parent is not None:
            return self._cursors.page(self._narrower(parent), lambda iri: (iri,), page)
        folder = self._catalog.iri_base + "domain/"
        found = self._domains | {iri for iri in self._concepts if iri.startswith(folder)}
        return self._cursors.page(sorted(found), lambda iri: (iri,), page)

    def glossary_terms(self, text: str | None, page: PageRequest) -> Page[str]:
        """Concepts that are no domain, classification or status, by IRI; `text` must occur in label or description."""
        excluded = (CLASSIFICATION, STATUS, self._catalog.iri_base + "domain/")
        found = sorted(
            iri for iri in self._concepts | self._registry.listed(CONCEPT, self._grants)
            if iri not in self._domains and not iri.startswith(excluded)
        )  # fmt: skip
        if text:
            wanted = text.casefold()
            found = [t for t in found if wanted in f"{self.label(t)}\n{self.description(t) or ''}".casefold()]
        return self._cursors.page(found, lambda iri: (iri,), page)

    # -- rules and vocabulary --

    def vocabulary(self, prefix: str | None) -> tuple[str, ...]:
        """Terms the vocabularies define, by IRI. `prefix` is a compact prefix (`dcat`) or a namespace."""
        namespace = rdf.PREFIXES.get(prefix or "", prefix)
        defined = {t.subject.value for t, _ in self._graph.match(None, TYPE, graph=VOCABULARY)}
        return tuple(iri for iri in sorted(defined) if namespace is None or iri.startswith(namespace))

    def shapes(self, scope: ShapeScope | None, target: str | None) -> tuple[ShapeInfo, ...]:
        found = (self.shape(rule.iri) for rule in self.ruling.rules.rules)
        return tuple(
            s for s in found
            if s is not None and (scope is None or s.scope is scope) and (target is None or target in s.targets)
        )  # fmt: skip

    def shape(self, iri: str, ruleset: str | None = None) -> ShapeInfo | None:
        """A rule, of the rule set in force or of the one with this digest; None for one that it does not have."""
        ruling = self.ruling if ruleset in (None, self.ruling.digest) else self._catalog.rulings.known(ruleset)
        return None if ruling is None else shape_info(ruling.rules, iri, self._catalog.clock())

    def shape_rdf(self, iri: str, media_type: str) -> bytes:
        return self.ruling.rules.rdf(iri, media_type)

    # -- a product's document, history and conformance --

    def statements(self, product: str, coming: Collection[str] = ()) -> list[Triple]:
        """The visible statements of a product's document, nothing added. Nodes that are `coming` count as visible."""
        holder = self._held(product, Need.DISCOVER)
        if holder is None:
            return []
        return [t for t in self._graph.graph(holder.home) if self._triple_visible(holder, t, coming)]

    def rdf(self, product: str, media_type: str) -> bytes:
        """The product's visible statements; blank nodes are blank nodes again."""
        holder = self._held(product, Need.DISCOVER)
        node = product if holder is None else holder.iri
        return rdf.serialize(rdf.unskolemize(self.statements(product), node), media_type)

    def node_rdf(self, iri: str, media_type: str) -> bytes:
        """The visible statements about any node."""
        found = {Triple(NamedNode(s), NamedNode(p), v) for s, p, v, _ in self._match(iri)}
        return rdf.serialize(found, media_type)

    def etag(self, product: str, media_type: str) -> str:
        """`"<revision>-<media>-<hash of the visible statements relative to the base>"`."""
        holder = self._held(product, Need.DISCOVER)
        revision = 0 if holder is None else holder.revision
        kind = media_type.split("/")[-1].replace("+", "-")
        return f'"{revision}-{kind}-{self._digest(self.statements(product))[:32]}"'

    def _digest(self, triples: Iterable[Triple]) -> str:
        text = rdf.canonical(triples).replace(f"<{self._catalog.iri_base}".encode(), b"<")
        return hashlib.sha256(b"".join(sorted(text.splitlines(keepends=True)))).hexdigest()

    def revisions(self, product: str, page: PageRequest) -> Page[Revision]:
        """Revisions, newest first, with what each changed; those today's policy hides are left out."""
        past = self._past(product)
        return self._cursors.page([] if past is None else past.revisions(), lambda r: (-r.number,), page)

    def revision(self, product: str, number: int | None = None) -> Revision | None:
        """One of `revisions`, the current one when no number is given; None where these lack it."""
        past = self._past(product)
        return None if past is None else past.revision(number)

    def last_live(self, product: str) -> tuple[int, list[Triple]] | None:
        """See `History.last_live`; None, too, for who may not read the product."""
        past = self._past(product)
        return None if past is None else past.last_live()

    def _past(self, product: str) -> history.History | None:
        held = self._held(product, Need.READ)
        known = (self._catalog.journal, self._registry, self.sight, self.granted_then, self._digest)
        return None if held is None else history.History(held, *known)

    def granted_then(self, keys: Collection[AccessKey]) -> Mapping[AccessKey, int]:
        """What today's policy grants on documents that had these facts; 0: it hides them."""
        new = [key for key in keys if key not in self._then]
        for key, decision in zip(new, self._decide([(Action.READ_METADATA, key) for key in new]), strict=True):
            self._then[key] = granted_under(decision.obligations) if decision.allowed else 0
        return self._then

    def conformance(self, product: str) -> Report | None:
        """The rules in force against what is visible of the stored document; None for who may not read it. A finding
        about a field of the product that policy hides, such as that it is missing, is left out."""
        holder = self._held(product, Need.READ)
        return None if holder is None else self._catalog.verdicts.report(self, holder)

    def fair(self, product: str) -> Assessment | None:
        """The FAIR assessment of what is visible of the product; None for who may not read it."""
        holder = self._held(product, Need.READ)
        if holder is None:
            return None
        return assess(
            self.statements(product), product=holder.iri, iri_base=self._catalog.iri_base,
            register=self.ruling.register, at=self._catalog.clock(),
        )  # fmt: skip

    def background(self, references: Iterable[str]) -> list[Triple]:
        """What a submission may learn of the nodes it refers to, where visible: types, and names of shared nodes."""
        seen = (iri for iri in sorted(references) if self._node_visible(iri))
        return [Triple(NamedNode(iri), NamedNode(p), value) for iri in seen for p, value in self._background_of(iri)]

    def _background_of(self, iri: str) -> Iterator[tuple[str, Term]]:
        if self._registry.is_shared(iri):
            return ((p, value) for p, value, _, _ in self._about(iri) if p == TYPE or p in TITLES)
        said = self._match(iri, TYPE) if self._registry.is_owned(iri) else self._head(iri)
        return ((p, value) for _, p, value, _ in said if p == TYPE)

    @cached_property
    def readable(self) -> list[Product]:
        """The products that may be read, retired ones too."""
        by_key = (self._grants & int(Need.READ) == int(Need.READ)).tolist()
        return [product for product in self._registry.slots if product.key_id < len(by_key) and by_key[product.key_id]]

    def stated(self, role: str) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
        """The nodes that products visibly have in a role of `Projection.listed`: for each such statement the slot and
        the number of the node, and the nodes."""
        return self._registry.stated(role).seen(self.visible, self._node_visible)

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """A bool per slot: whether the subject sees all of a product that its standing rests on."""
        return self._catalog.storage.standings.whole(self._grants)

    @cached_property
    def sighted(self) -> Sighted:
        """How the products that may be read stand, see `Sighted`."""
        return self._catalog.verdicts.sighted(self, self._grants)

    # -- search, lineage, walks --

    @property
    def visible(self) -> Grants:
        """What is granted by slot; retired products grant nothing."""
        return self._registry.visible(self._grants)

    def search(
        self, text: str | None, *, types: frozenset[str] | None, filter: ProductFilter | None, order: SearchOrder,
        langs: Sequence[str] | None, page: PageRequest,
    ) -> Found:  # fmt: skip
        size = page_size(page)
        if page.last is not None or page.before is not None:
            raise InputError("search goes forward only", remedy="Ask with first and after")
        visible = self.visible
        slots = None if filter is None else self._registry.slots_of(self._filtered(filter))
        after = None if page.after is None else reading.search_cursor(self._cursors.read(page.after))
        words = text if text and not text.isspace() else None  # an empty search box lists all
        ranks = self.sighted.columns.score if order is SearchOrder.FAIR_SCORE else None
        query = SearchQuery(words, types, slots, order, tuple(langs or ()), ranks, size, after)
        result = self._catalog.search.search(query, visible)
        cursors = tuple(self._cursors.write(cursor) for cursor in result.cursors)
        return Found(
            Page(result.hits, cursors, result.has_next, page.after is not None, result.total),
            result,
            lambda: self.sighted,
        )

    def lineage(
        self, iri: str, *, direction: LineageDirection, depth: int, max_nodes: int, types: frozenset[str] | None
    ) -> LineageResult:
        """Lineage on the level of `iri`; see `LineageIndex.walk`."""
        kept: Callable[[str], bool] | None = None
        if types is not None:
            kept = lambda node: bool(types.intersection(self.types(node)))  # noqa: E731
        if not self.exists(iri):
            raise NotFound(f"no lineage is known of {iri}", iri=iri, remedy="Check the IRI.")
        try:
            return self._catalog.lineage.walk(iri, None, direction, depth, max_nodes, self.visible, kept)
        except NotFound:
            alone = (LineageNode(iri, 0, 0, 0),) if kept is None or kept(iri) else ()
            return LineageResult(alone, (), False, 0, 0)  # no dataset: nothing flows here

    def _neighbours(self, node: str, predicates: frozenset[str] | None, direction: Direction) -> Iterable[PathStep]:
        return [PathStep(node, p, Direction(way), other) for p, way, other in self._linked(node, predicates, direction)]

    def _ways(self, node: str, predicates: frozenset[str] | None, direction: Direction) -> Iterable[PathStep]:
        steps = self._neighbours(node, predicates, direction)
        return steps if predicates is not None else [step for step in steps if step.predicate != TYPE]

    def traverse(
        self, start: Sequence[str], steps: Sequence[WalkStep], *, filter: ProductFilter | None, distinct: bool,
        page: PageRequest,
    ) -> tuple[Page[Walked], bool]:  # fmt: skip
        """Walk step by step over visible statements. `filter` keeps ends that belong to a product that passes it.

        Raises `InputError` for more than 20 steps, or more than 50 hops in one.
        """
        reading.check_walk(steps)
        visible = [iri for iri in start if self.exists(iri)]
        walk = walks.traverse(
            visible, steps, self._neighbours, lambda iri: set(self.types(iri)), distinct=distinct, limit=WALK_BUDGET
        )
        items = list(walk.items)
        if filter is not None:
            kept = {p.iri for p in self._filtered(filter)}
            items = [w for w in items if any(o.iri in kept for o in self.describers(w.node))]
        items.sort(key=reading.walk_key)
        return self._cursors.page(items, reading.walk_key, page), walk.truncated

    def paths(
        self, start: str, end: str, *, predicates: frozenset[str] | None, direction: Direction, max_length: int, k: int
    ) -> list[tuple[PathStep, ...]]:
        """The `k` shortest ways from one node to another, none through a hidden node.

        Without `predicates` all statements count but those of `rdf:type`: a class would join any two of its members.
        Raises `InputError` unless `k` and `max_length` are 1 to 20.
        """
        reading.check_paths(k, max_length)
        if not self.exists(start) or not self.exists(end):
            return []
        found = walks.shortest_paths(
            start, end, self._ways, predicates=predicates, direction=direction, max_length=max_length, k=k,
            budget=WALK_BUDGET,
        )  # fmt: skip
        if found.truncated:
            raise TooLarge(
                f"more than {WALK_BUDGET:,} nodes lie between the two", remedy="Name predicates, or a shorter maxLength"
            )
        return list(found.items)

    def crosses_domains(self, walked: Walked) -> tuple[str, ...]:
        """The domains of the products along a walk, first to last, each once."""
        nodes = [walked.path[0].source, *(step.target for step in walked.path)] if walked.path else [walked.node]
        found: dict[str, None] = {}
        for node in nodes:
            product = self._product_of(node)
            if product is not None:
                found |= dict.fromkeys(self._iris(product, DPROD + "domain"))
        return tuple(found)
