"""The parts of a product that a document describes, and what they are known by from one revision to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache, cached_property

from fairmesh.catalog.document import (
    CSVW,
    DATA_PRODUCT,
    DCAT,
    DCT,
    DPROD,
    DPROD_STATUS,
    TITLES,
    TYPE,
    Statements,
    access_key,
    tail,
)
from fairmesh.catalog.model import CLASSIFICATION, CLASSIFICATIONS, FM, STATUS
from fairmesh.catalog.rdf import GENID, BlankNode, Literal, NamedNode, Triple

OUTPUTS = DPROD + "outputDataset"
VERSION = DCAT + "version"

MAX_PATH = 20
"""Beyond so many levels, columns of one name in columns of the same names are told apart by IRI."""

Ident = tuple[str, ...]
"""What a thing is known by: its role (product, dataset, schema, column, distribution, service), then what tells it from
others in that role."""
Term = NamedNode | BlankNode | Literal

ADDRESSES = (DCAT + "accessURL", DCAT + "downloadURL", DCAT + "endpointURL", FM + "physicalName", FM + "namespace")


class Parts:
    """One of the two documents, and the part each node plays in it."""

    def __init__(self, triples: Iterable[Triple], product: str) -> None:
        self.triples = frozenset(triples)
        self.graph = graph = Statements(sorted(self.triples, key=str))
        self.product = product
        self.there = DATA_PRODUCT in graph.iris(product, TYPE)
        self.outputs = frozenset(graph.iris(product, OUTPUTS))
        self.ident: dict[str, Ident] = {}
        self.at: dict[Ident, str] = {}
        self._schemas: dict[str, set[str]] = defaultdict(set)
        """The datasets that a schema is for."""
        self._listed: dict[str, set[str]] = defaultdict(set)
        """The schemas that list a column, or the one it is nested in."""
        self._with_schemas = cache(self._read_with_schemas)
        self.served: dict[str, set[str]] = defaultdict(set)
        """The datasets behind a distribution or service."""
        self._nested: dict[str, list[str]] = defaultdict(list)
        for subject in graph.by_subject:
            for above in graph.iris(subject, DCT + "isPartOf"):
                self._nested[above].append(subject)
        self._place(product, ("product",))
        for dataset in graph.datasets(product):
            self._place(dataset, ("dataset", dataset))
        for dataset in graph.datasets(product):
            self._read_dataset(dataset)
        for service in graph.iris(product, DPROD + "outputPort"):
            self._place_service(service)
        self._hangs = self._parents()
        self._held: dict[str, tuple[str, str]] = {}

    def _place(self, node: str, *idents: Ident) -> None:
        """Give a node the first of these identities that is free."""
        if node not in self.ident:
            ident = next((ident for ident in idents if ident not in self.at), (idents[0][0], node, node))
            self.ident[node], self.at[ident] = ident, node

    def _read_dataset(self, dataset: str) -> None:
        graph = self.graph
        for schema in graph.iris(dataset, DCT + "conformsTo"):
            if schema in self._schemas:
                self._schemas[schema].add(dataset)
            elif (columns := graph.iris(schema, CSVW + "column")) or CSVW + "Schema" in graph.iris(schema, TYPE):
                self._schemas[schema].add(dataset)
                self._place(schema, ("schema", dataset), ("schema", dataset, schema))
                self._place_columns(dataset, schema, columns)
        for distribution in graph.iris(dataset, DCAT + "distribution"):
            services = graph.iris(distribution, DCAT + "accessService")
            named = ("distribution", dataset, distribution)
            address = self._address(distribution, *services)
            self._place(distribution, ("distribution", dataset, *address) if address else named, named)
            self.served[distribution].add(dataset)
            for service in services:
                self._place_service(service)
                self.served[service].add(dataset)

    def _place_columns(self, dataset: str, schema: str, columns: list[str]) -> None:
        """The columns that a schema lists, and those that only say which of them they are part of."""
        waiting = list(columns)
        for column in waiting:
            if schema not in self._listed[column]:
                self._listed[column].add(schema)
                path = self._path(column)
                self._place(column, ("column", dataset, *path), ("column", dataset, *path, column))
                waiting += self._nested.get(column, ())

    def holders(self, column: str) -> frozenset[str]:
        """The datasets a column belongs to."""
        return self._with_schemas(frozenset(self._listed.get(column, ())))

    def _read_with_schemas(self, schemas: frozenset[str]) -> frozenset[str]:
        return frozenset(dataset for schema in schemas for dataset in self._schemas[schema])

    def _path(self, column: str) -> tuple[str, ...]:
        """The names of the columns it is nested in, the `MAX_PATH` nearest, outermost first, and its own."""
        path: list[str] = []
        passed: set[str] = set()
        here: str | None = column
        while here is not None and here not in passed and len(path) <= MAX_PATH:
            passed.add(here)
            names = self.graph.texts(here, CSVW + "name")
            path.append(names[0][1] if names else tail(here))
            above = [iri for iri in self.graph.iris(here, DCT + "isPartOf") if self.graph.objects(iri, CSVW + "name")]
            here = above[0] if above else None
        return tuple(reversed(path))

    def _place_service(self, service: str) -> None:
        self._place(service, ("service", *(self._address(service) or (service,))), ("service", service))

    def _address(self, *nodes: str) -> tuple[str, ...]:
        """By what an anonymous thing can be reached; nothing for one that has an IRI."""
        if not anonymous(nodes[0]):
            return ()
        return tuple(sorted({str(value) for node in nodes for p in ADDRESSES for value in self.graph.objects(node, p)}))

    def _parents(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for subject, said in self.graph.by_subject.items():
            for predicate in said:
                for target in self.graph.objects(subject, predicate):
                    if not isinstance(target, Literal) and anonymous(target) and target.value not in self.ident:
                        found[target.value] = min(found.get(target.value, (subject, predicate)), (subject, predicate))
        return found

    def holder(self, subject: str, predicate: str) -> tuple[str, str]:
        """Whom a statement about an anonymous node is really about, and by which predicate."""
        passed: list[str] = []
        while subject in self._hangs and subject not in self._held:
            passed.append(subject)
            self._held[subject] = (subject, predicate)  # where a circle ends
            subject, predicate = self._hangs[subject]
        found = self._held.get(subject, (subject, predicate))
        self._held.update(dict.fromkeys(passed, found))
        return found

    def rename(self, node: str, ident: Ident) -> None:
        """A column that kept its IRI goes by the name it had."""
        now = self.ident[node]
        del self.at[now]
        self.ident[node], self.at[ident] = ident, node

    def label(self, node: str) -> str:
        """A name for people; of what has no title, with the dataset it belongs to."""
        ident = self.ident.get(node, ("",))
        if ident[0] == "column":
            return ".".join((tail(ident[1]), *self._path(node)))
        named = self.graph.texts(node, *TITLES)
        best = next((text for _, text, lang in named if lang in ("", "en")), named[0][1] if named else None)
        if best is not None or anonymous(node):
            return best or "(anonymous)"
        return f"{tail(ident[1])}/{tail(node)}" if ident[0] in ("schema", "distribution") else tail(node)

    def classified(self, node: str, predicate: str) -> str | None:
        """The classification stated: the most sensitive of several, an unknown one as the highest."""
        words = [iri.removeprefix(CLASSIFICATION) for iri in self.graph.iris(node, predicate)]
        ranks = [CLASSIFICATIONS.index(w) if w in CLASSIFICATIONS else len(CLASSIFICATIONS) - 1 for w in words]
        return CLASSIFICATIONS[max(ranks)] if ranks else None

    def version(self) -> str | None:
        found = self.graph.texts(self.product, VERSION)
        return found[0][1] if len(found) == 1 else None

    def status(self) -> str:
        return next((iri.removeprefix(STATUS) for iri in self.graph.iris(self.product, DPROD_STATUS)), "")

    @cached_property
    def level(self) -> str:
        """The product's classification as policy sees it."""
        return access_key(self.graph, self.product, "").classification


def anonymous(node: str | Term) -> bool:
    return isinstance(node, BlankNode) or GENID in (node if isinstance(node, str) else node.value)
