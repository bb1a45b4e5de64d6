"""A product document: what may be said in one, and what the rest of the catalog needs to know of it.

`read` turns submitted bytes into a `ProductDocument` or refuses them, by the profile of a mesh: one data product, its
own nodes described, shared nodes named, nothing said about anybody else's node.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import normpath
from unicodedata import normalize
from urllib.parse import unquote

from fairmesh.catalog.errors import InvalidDocument
from fairmesh.catalog.model import CLASSIFICATION, CLASSIFICATIONS, FM, STATUS, STATUSES, AccessKey
from fairmesh.catalog.places import Positions
from fairmesh.catalog.rdf import (
    DEFAULT_LIMITS,
    PREFIXES,
    BlankNode,
    DefaultGraph,
    Limits,
    Literal,
    NamedNode,
    Quad,
    Triple,
    canonical,
    compact,
    parse,
    skolemize,
    unskolemize,
)

DCAT, DCT, DPROD, PROV = PREFIXES["dcat"], PREFIXES["dct"], PREFIXES["dprod"], PREFIXES["prov"]
CSVW, SKOS, FOAF, VCARD = PREFIXES["csvw"], PREFIXES["skos"], PREFIXES["foaf"], PREFIXES["vcard"]
RDF, RDFS, OWL, SH = PREFIXES["rdf"], PREFIXES["rdfs"], PREFIXES["owl"], PREFIXES["sh"]

TYPE, LABEL = RDF + "type", RDFS + "label"
DATA_PRODUCT, DATASET, COLUMN, CONCEPT = DPROD + "DataProduct", DCAT + "Dataset", CSVW + "Column", SKOS + "Concept"
EXTERNAL_DATASET = FM + "ExternalDataset"
DERIVED = PROV + "wasDerivedFrom"
TITLES = (
    DCT + "title",
    SKOS + "prefLabel",
    LABEL,
    FOAF + "name",
    VCARD + "fn",
    PREFIXES["schema"] + "name",
    CSVW + "name",
)
"""Predicates that name a node, best first."""
DESCRIPTIONS = (DCT + "description", SKOS + "definition", RDFS + "comment")
SENSITIVITY = DPROD + "informationSensitivityClassification"
COLUMN_CLASSIFICATION = FM + "classification"

SHARED = ("domain/", "team/", "contact/", "term/")
"""Folders under the base whose nodes belong to everybody: documents name them, vocabularies describe them."""
_SHARED_PREDICATES = frozenset(
    {TYPE, *TITLES, *DESCRIPTIONS, VCARD + "hasEmail", VCARD + "hasURL", FOAF + "mbox", FOAF + "homepage"}
)
_OTHER_PREDICATES = frozenset({TYPE, *TITLES})

OWNING = frozenset(DPROD + p for p in ("outputDataset", "outputPort", "inputPort")) | {
    DCT + "hasPart",
    DCAT + "distribution",
    DCAT + "accessService",
    DCT + "conformsTo",
    CSVW + "column",
}
_INVERSES = {DPROD + "isDistributionOf": DCAT + "distribution", DPROD + "isAccessServiceOf": DCAT + "accessService"}
_RESERVED = (
    *(iri for prefix, iri in PREFIXES.items() if prefix != "schema"),
    "https://w3id.org/fairmesh/",  # the terms, both schemes, and the names of the store's own graphs
)
_AXIOM_NAMESPACES = (RDFS, OWL, SH)
_AXIOM_FREE = frozenset(
    {RDFS + "label", RDFS + "comment", RDFS + "seeAlso", RDFS + "isDefinedBy", OWL + "versionInfo", OWL + "sameAs"}
)

_PRODUCT = NamedNode(DATA_PRODUCT)

DISCOVER_PREDICATES = frozenset(
    {
        TYPE,
        DCT + "identifier",
        DCT + "title",
        DPROD + "domain",
        DPROD + "dataProductOwner",
        DPROD + "lifecycleStatus",
        DCAT + "version",
        DCT + "issued",
        DCT + "modified",
        DCAT + "contactPoint",
    }
)
"""What a product says of itself to readers who may discover but not read it: enough to find it and ask for access."""

_STATUS_WORDS = {
    **{word: word for word in STATUSES},
    "proposed": "ideation",
    "draft": "design",
    "development": "build",
    "test": "build",
    "testing": "build",
    "active": "consume",
    "production": "consume",
    "released": "consume",
    "sunset": "deprecated",
    "retire": "deprecated",
}
"""Status words of DPROD's example scheme and of ODCS/ODPS, and what they are called here."""
_STATUS_ALIAS = "https://ekgf.github.io/dprod/data/lifecycle-status/"

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+")
MAX_KEY = 200
DPROD_STATUS = DPROD + "lifecycleStatus"


@dataclass(frozen=True, slots=True)
class ProductDocument:
    """One product document in its normal form.

    `nquads` is canonical; `own` are the nodes it may describe; `references` the IRIs under the base it points to;
    `access` what policy may look at; `stated_domain` the last segment of its `dprod:domain`, which rules compare with
    the key's prefix.
    """

    product: str
    key: str
    nquads: bytes
    media_type: str
    own: frozenset[str]
    references: frozenset[str]
    access: AccessKey
    stated_domain: str | None


def read(data: bytes, media_type: str | None, iri_base: str, limits: Limits = DEFAULT_LIMITS) -> ProductDocument:
    """Parse, normalise and check one product document.

    Raises the errors of `rdf.parse`, and `InvalidDocument` with one of the codes `no-product`, `several-products`,
    `bad-key`, `named-graph`, `foreign-node`, `shared-node`, `other-node`, `look-alike`, `reserved-namespace`, `axiom`,
    `blank-cycle`, `bad-list`, `reserved-status`.
    """
    parsed = parse(data, media_type, iri_base=iri_base, limits=limits)
    return _Reader(iri_base, data, parsed.media_type).read([_unnamed(quad) for quad in parsed.quads])


def _unnamed(quad: Quad) -> Triple:
    if not isinstance(quad.graph_name, DefaultGraph):
        raise InvalidDocument(
            f"the document has a named graph {quad.graph_name}",
            code="named-graph",
            remedy="State everything in the default graph: fairmesh names the graph after the product",
        )
    return quad.triple


class _Reader:
    def __init__(self, iri_base: str, data: bytes, media_type: str) -> None:
        self.base = iri_base
        self.media_type = media_type
        self.triples: list[Triple] = []
        self.places = Positions(data, media_type, iri_base, lambda: self.triples)
        self.plain_base = _plain(iri_base)
        self.plain: set[str] = set()
        """IRIs outside the mesh that do not look as if they were inside."""

    def refuse(
        self, code: str, message: str, remedy: str, subject: str = "", predicate: str | None = None
    ) -> InvalidDocument:
        place = self.places.find(subject, predicate) if subject else None
        line, column = place or (None, None)
        return InvalidDocument(message, code=code, remedy=remedy, iri=subject or None, line=line, column=column)

    def read(self, triples: list[Triple]) -> ProductDocument:
        product = self._product(triples)
        triples = self.triples = skolemize(self._normalise(unskolemize(triples, product), product), product)
        key = self._key(triples, product)
        own = own_nodes(triples, product, self.base)
        for triple in triples:
            self._check(triple, own)
            self._check_looks(triple)
        graph = Statements(triples)
        stated = graph.iris(product, DPROD + "domain")
        return ProductDocument(
            product=product,
            key=key,
            nquads=canonical(triples),
            media_type=self.media_type,
            own=frozenset(own),
            references=references(triples, own, self.base),
            access=access_key(graph, product, key),
            stated_domain=tail(stated[0]) if stated else None,
        )

    def _product(self, triples: list[Triple]) -> str:
        found = {t.subject for t in triples if t.predicate.value == TYPE and t.object == NamedNode(DATA_PRODUCT)}
        if not found:
            raise self.refuse(
                "no-product",
                "the document describes no data product",
                "State one subject as `a dprod:DataProduct`; RDF of any other kind is for `fairmesh validate --shapes`",
            )
        if len(found) > 1:
            second = sorted(str(s) for s in found)[1]
            raise self.refuse(
                "several-products",
                f"the document describes {len(found)} data products; {second} is the second",
                "Send one document for each product",
                second.strip("<>"),
                TYPE,
            )
        product = found.pop()
        if not isinstance(product, NamedNode):
            raise self.refuse(
                "no-product", "the data product is a blank node", "Give it an IRI: `<domain.name> a dprod:DataProduct`"
            )
        return product.value

    def _key(self, triples: list[Triple], product: str) -> str:
        stated = sorted(
            t.object.value
            for t in triples
            if t.subject.value == product and t.predicate.value == DCT + "identifier" and isinstance(t.object, Literal)
        )
        if product.startswith(self.base):
            key = product[len(self.base) :]
        elif len(stated) == 1:
            key = stated[0]
        else:
            raise self.refuse(
                "bad-key",
                f"the product has {len(stated)} keys",
                'State one: dct:identifier "domain.name"',
                product,
                DCT + "identifier",
            )
        if len(key) > MAX_KEY or not KEY.fullmatch(key):
            raise self.refuse(
                "bad-key",
                f"{key[:MAX_KEY]!r} is not a product key",
                f"A key is `domain.name`: letters, digits, '-' and '_', parted by dots, up to {MAX_KEY} characters",
                product,
            )
        return key

    def _check(self, triple: Triple, own: set[str]) -> None:
        subject, predicate = triple.subject.value, triple.predicate.value
        kind = triple.object.value if predicate == TYPE and isinstance(triple.object, NamedNode) else None
        word = compact(predicate) or f"<{predicate}>"
        if subject.startswith(_RESERVED):
            raise self.refuse(
                "reserved-namespace",
                f"<{subject}> is a term of a vocabulary; documents do not describe it",
                "Propose the change to the governance team's vocabulary",
                subject,
                predicate,
            )
        if (predicate.startswith(_AXIOM_NAMESPACES) and predicate not in _AXIOM_FREE) or (
            kind is not None and (kind.startswith(_AXIOM_NAMESPACES) or kind == RDF + "Property")
        ):
            what = word if kind is None else f"a {compact(kind)}"
            raise self.refuse(
                "axiom",
                f"{what} is an axiom or a shape; product documents state none",
                "Move it to a rule set",
                subject,
                predicate,
            )
        if predicate.startswith(FM + "computed"):
            raise self.refuse(
                "reserved-namespace", f"{word} is computed, never stated", "Leave it out", subject, predicate
            )
        if subject in own:
            return
        if not subject.startswith(self.base):
            if predicate not in _OTHER_PREDICATES:
                raise self.refuse(
                    "other-node",
                    f"{word} about <{subject}>, which is not part of this product",
                    "Keep type and label, or make it part: dataset, port, distribution, service, schema, column",
                    subject,
                    predicate,
                )
        elif not subject[len(self.base) :].startswith(SHARED):
            raise self.refuse(
                "foreign-node",
                f"<{subject}> is not a node of this product",
                "Describe it in the document of the product it belongs to",
                subject,
                predicate,
            )
        elif predicate not in _SHARED_PREDICATES:
            raise self.refuse(
                "shared-node",
                f"{word} about the shared node <{subject}>",
                "Documents give shared nodes a type, label, definition and e-mail; the rest comes from vocabularies",
                subject,
                predicate,
            )

    def _check_looks(self, triple: Triple) -> None:
        """No IRI may pass for one of the mesh's own by another spelling of scheme, host, port or path."""
        for term in (triple.subject, triple.object):
            if not isinstance(term, NamedNode) or term.value in self.plain or term.value.startswith(self.base):
                continue
            if (_plain(term.value) + "/").startswith(self.plain_base + "/"):
                raise self.refuse(
                    "look-alike",
                    f"<{term.value}> is another way to write an IRI of this mesh",
                    f"Write it relative, or with <{self.base}> letter by letter",
                    triple.subject.value,
                    triple.predicate.value,
                )
            self.plain.add(term.value)

    # -- normal form --

    def _normalise(self, triples: list[Triple], product: str) -> list[Triple]:
        return self._flat_columns([self._one_way(t, product) for t in triples])

    def _one_way(self, t: Triple, product: str) -> Triple:
        predicate = t.predicate.value
        forward = _INVERSES.get(predicate)
        if forward and isinstance(t.object, NamedNode | BlankNode):
            return Triple(t.object, NamedNode(forward), t.subject)
        if predicate == DCT + "isPartOf" and t.object == NamedNode(product):
            return Triple(t.object, NamedNode(DCT + "hasPart"), t.subject)
        if predicate == DPROD_STATUS:
            word = t.object.value.removeprefix(STATUS).removeprefix(_STATUS_ALIAS).lower()
            known = _STATUS_WORDS.get(word)
            if known == "retired":
                raise self.refuse(
                    "reserved-status",
                    "a product is not registered as retired",
                    "Use `DELETE /products/{key}` or the retire mutation",
                    t.subject.value,
                    predicate,
                )
            if known and t.object.value != STATUS + known:
                return Triple(t.subject, t.predicate, NamedNode(STATUS + known))
        return t

    def _flat_columns(self, triples: list[Triple]) -> list[Triple]:
        cells: dict[object, dict[str, object]] = defaultdict(dict)
        for t in triples:
            if t.predicate.value in (RDF + "first", RDF + "rest") and isinstance(t.subject, BlankNode):
                if t.predicate.value in cells[t.subject]:
                    raise self.refuse(
                        "bad-list",
                        "a list has a node with two values",
                        "Correct the list",
                        getattr(t.subject, "value", ""),
                    )
                cells[t.subject][t.predicate.value] = t.object
        if not cells:
            return triples
        heads = [
            t
            for t in triples
            if t.predicate.value == CSVW + "column" and (t.object in cells or t.object == NamedNode(RDF + "nil"))
        ]
        placed = {t.subject for t in triples if t.predicate.value == FM + "position"}
        gone: set[object] = set()
        flat: list[Triple] = []
        for head in heads:
            for position, column in enumerate(self._items(head.object, cells, gone), 1):
                flat.append(Triple(head.subject, head.predicate, column))  # type: ignore[arg-type]
                if column not in placed and not isinstance(column, Literal):
                    flat.append(Triple(column, NamedNode(FM + "position"), Literal(position)))  # type: ignore[arg-type]
        dropped = set(heads)
        return [
            t for t in triples if t not in dropped and not (t.subject in gone and t.predicate.value.startswith(RDF))
        ] + flat

    def _items(self, cell: object, cells: Mapping[object, Mapping[str, object]], gone: set[object]) -> Iterable[object]:
        while cell != NamedNode(RDF + "nil"):
            parts = cells.get(cell)
            if cell in gone or not parts or RDF + "first" not in parts or RDF + "rest" not in parts:
                raise self.refuse(
                    "bad-list", "a list of columns is broken or runs in a circle", "Write it as ( <a> <b> )"
                )
            gone.add(cell)
            yield parts[RDF + "first"]
            cell = parts[RDF + "rest"]


# -- looking into a document ------------------------------------------------------------------------------------------


def tail(iri: str) -> str:
    """The last path segment or fragment of an IRI."""
    return re.split(r"[/#]", iri.rstrip("/#"))[-1]


_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _plain(iri: str) -> str:
    """What an IRI reads like (RFC 3986, 6.2, and Unicode's compatible forms), without user, query and fragment."""
    scheme, _, rest = normalize("NFKC", unquote(iri)).partition(":")
    scheme = scheme.lower()
    if not rest.startswith("//"):
        return f"{scheme}:{rest.rstrip('/')}"
    authority, _, path = re.split(r"[?#]", rest[2:])[0].partition("/")
    host = authority.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(scheme, ":")).rstrip(":.")
    return f"{scheme}://{host}{normpath('/' + path.lstrip('/'))}".rstrip("/")


def product_of(triples: Iterable[Triple]) -> str:
    """The product of an accepted document."""
    return next(t.subject.value for t in triples if t.object == _PRODUCT and t.predicate.value == TYPE)


def own_nodes(triples: Iterable[Triple], product: str, iri_base: str) -> set[str]:
    """The nodes a document may describe: the product, IRIs below it, and outside IRIs that it links as parts."""
    below: tuple[str, ...] = (product + "/", product + "#")
    foreign = (iri_base, *_RESERVED)
    if not product.startswith(iri_base) and iri_base.startswith(below):
        below = ()  # an IRI above the mesh's base does not own the mesh
    links: dict[str, list[str]] = defaultdict(list)
    own = {product}
    for t in triples:
        subject, value = t.subject.value, t.object
        if subject.startswith(below):
            own.add(subject)
        if isinstance(value, NamedNode):
            named = value.value
            if named.startswith(below):
                own.add(named)
            if t.predicate.value in OWNING:
                links[subject].append(named)
    waiting = list(own)
    while waiting:
        for target in links.get(waiting.pop(), ()):
            if target not in own and not target.startswith(foreign):
                own.add(target)
                waiting.append(target)
    return own


def references(triples: Iterable[Triple], own: Collection[str], iri_base: str) -> frozenset[str]:
    """The nodes of the mesh a document points to and does not own."""
    objects = (t.object.value for t in triples if isinstance(t.object, NamedNode))
    return frozenset(iri for iri in objects if iri.startswith(iri_base) and iri not in own)


class Statements:
    """Triples indexed by subject and predicate, for reading one document."""

    def __init__(self, triples: Iterable[Triple]) -> None:
        self.by_subject: dict[str, dict[str, list[NamedNode | BlankNode | Literal]]] = {}
        for t in triples:
            said = self.by_subject.setdefault(t.subject.value, {})
            said.setdefault(sys.intern(t.predicate.value), []).append(t.object)

    def objects(self, subject: str, predicate: str) -> list[NamedNode | BlankNode | Literal]:
        return self.by_subject.get(subject, {}).get(predicate, [])

    def iris(self, subject: str, *predicates: str) -> list[str]:
        """Sorted IRIs."""
        said = self.by_subject.get(subject)
        if said is None or said.keys().isdisjoint(predicates):
            return []
        found = [o.value for p in predicates for o in said.get(p, ()) if isinstance(o, NamedNode)]
        return found if len(found) < 2 else sorted(set(found))

    def texts(self, subject: str, *predicates: str) -> list[tuple[str, str, str]]:
        """(predicate, text, language or "") of literals, in the order of `predicates`, then sorted."""
        said = self.by_subject.get(subject)
        if said is None or said.keys().isdisjoint(predicates):
            return []
        return [
            (p, text, lang)
            for p in predicates
            if p in said
            for text, lang in sorted((o.value, o.language or "") for o in said[p] if isinstance(o, Literal))
        ]

    def named(self) -> Iterator[str]:
        """Every IRI that is an object, as often as it is one."""
        for said in self.by_subject.values():
            yield from (o.value for objects in said.values() for o in objects if isinstance(o, NamedNode))

    def datasets(self, product: str) -> list[str]:
        return self.iris(product, DPROD + "outputDataset", DCT + "hasPart")


def access_key(graph: Statements, product: str, key: str) -> AccessKey:
    """The facts of a product that policy sees. A classification that is missing or unknown counts as `restricted`."""
    words = [classification(graph, dataset, SENSITIVITY) for dataset in graph.datasets(product)]
    words = words or [classification(graph, product, SENSITIVITY)]
    known = [CLASSIFICATIONS.index(word) if word else len(CLASSIFICATIONS) - 1 for word in words]
    status = next((tail(s) for s in graph.iris(product, DPROD_STATUS)), "")
    owners = graph.iris(product, DPROD + "dataProductOwner")
    return AccessKey(
        domain=key.split(".", 1)[0],
        classification=CLASSIFICATIONS[max(known)],
        status=status if status in STATUSES else "",
        tags=tuple(sorted({text for _, text, _ in graph.texts(product, FM + "tag")})),
        owner=owners[0] if owners else "",
        members=tuple(graph.iris(product, DCT + "contributor")),
    )


def classification(graph: Statements, subject: str, predicate: str) -> str | None:
    """The one classification stated; None when it is missing, unknown, or one of several."""
    stated = graph.iris(subject, predicate)
    word = stated[0].removeprefix(CLASSIFICATION) if len(stated) == 1 else None
    return word if word in CLASSIFICATIONS else None
