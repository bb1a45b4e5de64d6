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
        self.schemas: dict[str, set[str]] = defaultdict(set)
        """The datasets that a schema is for."""
        self.schemas_of: dict[str, list[str]] = defaultdict(list)
        self.columns: dict[str, dict[tuple[str, ...], str]] = defaultdict(dict)
        """The columns of a schema, nested ones too, by their paths."""
        self.named: set[tuple[str, ...]] = set()
        """The paths of all columns."""
        self._paths: dict[str, tuple[str, ...]] = {}
        self._kept: dict[frozenset[str], str | None] = {}
        self._met: dict[frozenset[str], tuple[tuple[str, str], ...]] = {}
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
            if schema not in self.schemas:
                columns = graph.iris(schema, CSVW + "column")
                if not columns and CSVW + "Schema" not in graph.iris(schema, TYPE):
                    continue
                self._place(schema, ("schema", dataset, schema))
                self._place_columns(dataset, schema, columns)
            self.schemas[schema].add(dataset)
            self.schemas_of[dataset].append(schema)
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
                self.columns[schema].setdefault(path, column)
                self.named.add(path)
                self._place(column, ("column", dataset, *path), ("column", dataset, *path, column))
                waiting += self._nested.get(column, ())

    def holders(self, column: str) -> frozenset[str]:
        """The datasets a column belongs to."""
        return self._with_schemas(frozenset(self._listed.get(column, ())))

    def _read_with_schemas(self, schemas: frozenset[str]) -> frozenset[str]:
        return frozenset(dataset for schema in schemas for dataset in self.schemas[schema])

    def known(self, node: str, other: Parts) -> Ident | None:
        """The identity of a node, of a column by preference one that the other side has, too: a column is known by
        every dataset it belongs to, and the other side need not have all of these."""
        me = self.ident.get(node)
        if me is None or me in other.at or me[0] != "column":
            return me
        path = self._path(node)
        if me[2:] != path or path not in other.named:  # one of several by this name, or gone
            return me
        for schema, dataset in self._meets(self.holders(node), other):
            there = other.columns[schema].get(path)
            if there is not None:
                ident = ("column", dataset, *path)
                self.at.setdefault(ident, node)
                other.at.setdefault(ident, there)
                return ident
        return me

    def _meets(self, datasets: frozenset[str], other: Parts) -> tuple[tuple[str, str], ...]:
        """The schemas that the other side has for these datasets, each with the first dataset that has it."""
        if datasets not in self._met:
            found: dict[str, str] = {}
            for dataset in sorted(datasets):
                for schema in other.schemas_of.get(dataset, ()):
                    found.setdefault(schema, dataset)
            self._met[datasets] = tuple(found.items())
        return self._met[datasets]

    def outermost(self, ident: Ident, other: Parts) -> Ident:
        """Of what the other side has not, the largest thing that it has not: a column goes with its last dataset."""
        if ident[0] not in ("schema", "column", "distribution"):
            return ident
        if ("dataset", ident[1]) in other.at:
            return ident
        node = self.at[ident]
        datasets = self.holders(node) if ident[0] == "column" else frozenset(self.schemas.get(node, ()))
        kept = self._first_kept(datasets, other)
        if kept is None:
            return ("dataset", ident[1])
        here = (ident[0], kept, *ident[2:])
        self.at.setdefault(here, node)
        return here

    def _first_kept(self, datasets: frozenset[str], other: Parts) -> str | None:
        if datasets not in self._kept:
            kept = (dataset for dataset in datasets if ("dataset", dataset) in other.at)
            self._kept[datasets] = min(kept, default=None)
        return self._kept[datasets]

    def _path(self, column: str) -> tuple[str, ...]:
        if column not in self._paths:
            self._paths[column] = self._read_path(column)
        return self._paths[column]

    def _read_path(self, column: str) -> tuple[str, ...]:
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
        self.served[service].update(self.graph.iris(service, DCAT + "servesDataset"))
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

    def rename_schemas(self, names: dict[str, Ident], taken: Iterable[Ident]) -> None:
        """Schemas go by these identities, and those not named by none that is taken."""
        for node in self.schemas:
            self.at.pop(self.ident[node], None)
        reserved = frozenset(taken)
        for node in self.schemas:
            ident = names.get(node, self.ident[node])
            if node not in names and ident in reserved:
                ident = (*ident, node)
            self.ident[node], self.at[ident] = ident, node

    def label(self, node: str, known: Ident = ("",)) -> str:
        """A name for people; of what has no title, with the dataset it belongs to, or that of the identity given."""
        ident = self.ident.get(node, ("",))
        if known[0] == ident[0]:
            ident = known
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

    def inner(self, node: str) -> bool:
        """Whether it is the product's own node and none of its parts: a policy, or a statement of rights."""
        return node not in self.ident and node.startswith((self.product + "/", self.product + "#"))

    def versions(self) -> list[str]:
        return sorted({text for _, text, _ in self.graph.texts(self.product, VERSION)})

    def version(self) -> str | None:
        """None for several, too: no one can tell which of them holds."""
        found = self.versions()
        return found[0] if len(found) == 1 else None

    def status(self) -> str:
        return next((iri.removeprefix(STATUS) for iri in self.graph.iris(self.product, DPROD_STATUS)), "")

    @cached_property
    def level(self) -> str:
        """The product's classification as policy sees it."""
        return access_key(self.graph, self.product, "").classification


def anonymous(node: str | Term) -> bool:
    return isinstance(node, BlankNode) or GENID in (node if isinstance(node, str) else node.value)
