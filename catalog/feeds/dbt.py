"""dbt: a manifest.json, and the catalog.json beside it, as one document per product.

Models, seeds, snapshots and source tables are datasets; `depends_on` among them is their lineage, exactly. A dataset
belongs to the product that `meta.fairmesh.product` names, else to its dbt group, else to its package's top folder
(at the package's root: to a product named after the package); a source's tables to a product for that source.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import PurePath

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.feeds import FeedDocument, Import, ImportOptions, Problem, address
from fairmesh.catalog.feeds.datatypes import datatype
from fairmesh.catalog.feeds.dbt_manifest import KINDS, REBUILD, Column, Dataset, Home, Owner, Project, at, load
from fairmesh.catalog.feeds.drafting import (
    TYPE,
    Draft,
    Keys,
    describes,
    english,
    humanised,
    mesh,
    segment,
    slug,
    term,
)
from fairmesh.catalog.model import CLASSIFICATION
from fairmesh.catalog.rdf import Literal, NamedNode

_NAMED_IN_TEXT = 12
_DERIVED = frozenset({"metadata", "nodes", "sources", "parent_map", "child_map", "group_map", "docs", "disabled"})
_META_READ = frozenset({"fairmesh", "owner", "classification"})
_FAIRMESH_READ = frozenset({"product", "owner", "classification"})
_QUOTED_PART = re.compile(r'"((?:[^"]|"")*)"|`([^`]*)`|\[([^\]]*)\]|([^.\s]+)')


def read(manifest: bytes, catalog: bytes | None, options: ImportOptions, source: str) -> Import:
    """Product documents of a dbt project. `source` is the manifest's file name; its folder does not matter.

    Raises `ParseError` (line, column) for what is not JSON, `TooLarge` over 500 MB, and `InputError` when it is no
    manifest, or holds no model, seed, snapshot or source ("no dataset found").
    """
    loaded, described = load(manifest, source, "manifest"), load(catalog, "catalog.json", "catalog")
    try:
        project = Project(loaded, described, options.domain)
        if not project.datasets and not project.problems:
            raise InputError(f"no dataset found in {source}: no model, seed, snapshot or source", remedy=REBUILD)
        return _Reading(project, options, source).result()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # the published JSON schemas of these files are long and vary; whatever is shaped otherwise ends here
        raise InputError(f"{source} is not shaped like a dbt manifest: {error!r}", remedy=REBUILD) from error


class _Reading:
    def __init__(self, project: Project, options: ImportOptions, source: str) -> None:
        self._project = project
        self._options = options
        self._source = source
        self._notes = list(project.notes)
        self._unmapped: Counter[str] = Counter()
        self._products = self._group()
        self._iris = {
            d.id: iri for key, (_, members) in self._products.items() for d, iri in _dataset_iris(key, members)
        }

    def result(self) -> Import:
        documents: list[FeedDocument] = []
        problems = [Problem(self._source, *problem) for problem in self._project.problems]
        for key, (home, members) in sorted(self._products.items()):
            owner = self._owner(key, home, members)
            if owner is None:
                problems.append(Problem(
                    self._source, f"{key} ({home})", "no owner is named by a group, meta.owner or an exposure",
                    "Give --owner NAME, or an owner for it in the --complete file",
                ))  # fmt: skip
                continue
            documents.append(FeedDocument(key, self._document(key, home, members, owner), self._source, str(home)))
        if self._unmapped:
            types = ", ".join(f"{name} ({n} columns)" for name, n in sorted(self._unmapped.items()))
            self._notes.append(f"column types without a datatype, kept as physical types: {types}")
        return Import(
            tuple(documents),
            (*self._notes, *self._left_out(), *self._options.unmatched(self._products)),
            tuple(problems),
        )

    # -- products ---------------------------------------------------------------------------------------------------

    def _group(self) -> dict[str, tuple[Home, list[Dataset]]]:
        """Datasets by product key. A product named in meta takes in the first other one of that name."""
        main = at(self._project.manifest, "metadata", "project_name")
        homes = sorted(
            {d.home for d in self._project.datasets.values()}, key=lambda h: (h.rank, h.package != main, h)
        )  # fmt: skip
        keys = Keys(self._options.domain)
        key_of: dict[Home, str] = {}
        open_names: dict[str, Home] = {}
        for home in homes:
            named = open_names.pop(slug(home.name), None) if home.rank else None
            if named is not None:
                key_of[home] = key_of[named]
                self._notes.append(f"{home}: joins {named}, both are {key_of[named]}")
                continue
            if home.rank == 0 and slug(home.name) in open_names:
                key_of[home] = key_of[open_names[slug(home.name)]]
                continue
            key_of[home] = keys.claim(*home.names())
            if home.rank == 0:
                open_names[slug(home.name)] = home
            elif key_of[home] != f"{self._options.domain}.{slug(home.name)}":
                self._notes.append(f"{home}: its name is taken by another product, so it is {key_of[home]}")
        products: dict[str, tuple[Home, list[Dataset]]] = {}
        for home in homes:
            products.setdefault(key_of[home], (home, []))
        for dataset in self._project.datasets.values():
            products[key_of[dataset.home]][1].append(dataset)
        return products

    def _owner(self, key: str, home: Home, members: list[Dataset]) -> Owner | None:
        known = self._project.owner(home, members)
        default = self._options.defaults(key).owner
        return known or (Owner(default, None, True) if default else None)

    def _document(self, key: str, home: Home, members: list[Dataset], owner: Owner) -> bytes:
        facts = self._options.defaults(key)
        draft = Draft(key, Literal(PurePath(self._source).name))
        title = facts.title or humanised(home.name)
        draft.begin(title)
        stated = self._project.description(home, members)
        if describes(stated, title):
            draft.state(draft.product, "dct:description", Literal(stated))
        draft.complete(facts, _composed(home, members, stated))
        draft.owner(owner.name, asserted=owner.asserted)
        stated_place = address(owner.email or "")
        place = stated_place or address(facts.contact or "")
        if place is not None:
            draft.contact(owner.name, place, asserted=stated_place is None)
        port = draft.port(facts)
        for dataset in members:
            self._dataset(draft, dataset, facts.classification or "internal", port)
        if not any(d.output for d in members):
            self._notes.append(f"{key}: no output dataset, as none of its {len(members)} datasets is public or a leaf")
        return draft.turtle()

    # -- datasets ---------------------------------------------------------------------------------------------------

    def _dataset(self, draft: Draft, dataset: Dataset, classification: str, port: NamedNode | None) -> None:
        iri = self._iris[dataset.id]
        draft.state(draft.product, "dprod:outputDataset" if dataset.output else "dct:hasPart", iri)
        draft.state(iri, TYPE, term("dcat:Dataset"))
        draft.state(iri, "dct:identifier", Literal(dataset.id))
        draft.add(iri, "dct:title", english(humanised(dataset.name)))
        if dataset.description:
            draft.state(iri, "dct:description", Literal(dataset.description))
        stated = self._project.classification(dataset)
        draft.classify(iri, stated or classification, asserted=stated is None)
        for tag in dataset.tags:
            draft.state(iri, "dcat:keyword", Literal(tag))
        for upstream in dataset.upstream:
            if upstream in self._iris:
                draft.state(iri, "prov:wasDerivedFrom", self._iris[upstream])
        self._schema(draft, iri, dataset)
        if dataset.materialised and dataset.relation:
            _table(draft, iri, dataset, port)

    def _schema(self, draft: Draft, iri: NamedNode, dataset: Dataset) -> None:
        if not dataset.columns:
            return
        schema = NamedNode(iri.value + "/schema")
        draft.state(iri, "dct:conformsTo", schema)
        draft.state(schema, TYPE, term("csvw:Schema"))
        draft.state(schema, TYPE, term("dct:Standard"))
        for name in dataset.keys:
            draft.state(schema, "csvw:primaryKey", Literal(name))
        nodes = {c.name: NamedNode(f"{iri.value}/column/{segment(c.name)}") for c in dataset.columns}
        for column in dataset.columns:
            draft.state(schema, "csvw:column", nodes[column.name])
            self._column(draft, nodes[column.name], column)
            parent = nodes.get(column.name.rpartition(".")[0])
            if parent is not None:
                draft.state(nodes[column.name], "dct:isPartOf", parent)

    def _column(self, draft: Draft, node: NamedNode, column: Column) -> None:
        draft.state(node, TYPE, term("csvw:Column"))
        draft.state(node, "csvw:name", Literal(column.name))
        draft.state(node, "fm:position", Literal(column.position))
        if column.physical and column.physical != column.name:
            draft.state(node, "fm:physicalName", Literal(column.physical))
        if column.type:
            draft.state(node, "fm:physicalType", Literal(column.type))
            known = datatype(column.type)
            if known is None:
                self._unmapped[column.type] += 1
            else:
                draft.state(node, "csvw:datatype", known)
        if column.required:
            draft.state(node, "csvw:required", Literal(True))
        if column.description:
            draft.state(node, "dct:description", Literal(column.description))
        if column.classification:
            draft.state(node, "fm:classification", NamedNode(CLASSIFICATION + column.classification))

    # -- what is not in a document ------------------------------------------------------------------------------------

    def _left_out(self) -> Iterator[str]:
        manifest = self._project.manifest
        nodes = manifest["nodes"].values()
        kinds = Counter(str(at(node, "resource_type")) for node in nodes)
        for kind, count in sorted(kinds.items()):
            if kind not in KINDS:
                yield f"left out: {count} nodes of type {kind}"
        for name, value in manifest.items():
            if name not in _DERIVED and isinstance(value, dict | list) and value:
                also = ", but for their owners" if name in ("exposures", "groups") else ""
                yield f"left out: {len(value)} {name}{also}"
        disabled = manifest.get("disabled") or {}
        if disabled:
            names = (
                sorted(disabled) if isinstance(disabled, dict) else sorted(str(at(n, "unique_id")) for n in disabled)
            )
            yield f"left out, disabled in the project: {', '.join(names)}"
        yield from self._left_out_of_datasets()

    def _left_out_of_datasets(self) -> Iterator[str]:
        unread: dict[str, set[str]] = defaultdict(set)
        for dataset in self._project.datasets.values():
            for where, node in (("", dataset.node), *(("column ", c) for c in dataset.stated_columns)):
                for found in (at(node, "meta") or {}, at(node, "config", "meta") or {}):
                    for name in found:
                        if name not in _META_READ:
                            unread[f"{where}meta.{name}"].add(dataset.id)
                    for name in set(at(found, "fairmesh") or {}) - _FAIRMESH_READ:
                        unread[f"{where}meta.fairmesh.{name}"].add(dataset.id)
            if dataset.node.get("raw_code") or dataset.node.get("raw_sql"):
                unread["SQL code"].add(dataset.id)
        for name, ids in sorted(unread.items()):
            some = f"{len(ids)} datasets" if len(ids) > _NAMED_IN_TEXT else ", ".join(sorted(ids))
            yield f"left out: {name} of {some}"
        yield "left out of every dataset: configuration, checksums, paths, hooks, statistics and run details"


def _dataset_iris(key: str, members: list[Dataset]) -> Iterator[tuple[Dataset, NamedNode]]:
    taken: set[str] = set()
    for dataset in sorted(members, key=lambda d: (KINDS.index(d.kind), d.id)):
        names = (dataset.name, f"{dataset.kind}-{dataset.package}-{dataset.name}", dataset.id)
        name = next(n for n in names if n not in taken)
        taken.add(name)
        yield dataset, mesh(f"{key}/data/{segment(name)}")


def _table(draft: Draft, iri: NamedNode, dataset: Dataset, port: NamedNode | None) -> None:
    table = NamedNode(iri.value + "/table")
    draft.state(iri, "dcat:distribution", table)
    draft.state(table, TYPE, term("dcat:Distribution"))
    parts = ("".join(found).replace('""', '"') for found in _QUOTED_PART.findall(dataset.relation))
    draft.state(table, "fm:physicalName", Literal(".".join(parts)))
    if port is not None:
        draft.add(table, "dcat:accessService", port)


def _composed(home: Home, members: list[Dataset], stated: str) -> str:
    """A description out of facts, for a product that has none of its own."""
    names = [d.name for d in members]
    listed = ", ".join(names[:_NAMED_IN_TEXT])
    more = len(names) - _NAMED_IN_TEXT
    kinds = Counter(d.kind for d in members)
    content = ", ".join(
        f"{n} {'source table' if kind == 'source' else kind}{'s' * (n > 1)}" for kind, n in sorted(kinds.items())
    )
    where = {
        "source": f"Tables of the dbt source {home.name}, declared in the package {home.package}",
        "folder": f"Content of the folder {home.name} of the dbt package {home.package}",
        "package": f"Content of the top folder of the dbt package {home.package}",
        "group": f"Content of the dbt group {home.name} of the package {home.package}",
        "product": f"Content of the dbt project that is marked as the product {home.name}",
    }[home.kind]
    rest = f" and {more} more" if more > 0 else ""
    lead = f"{stated.rstrip('. ')}. " if stated else ""
    return f"{lead}{where} ({content}): {listed}{rest}. Described from the dbt manifest."
