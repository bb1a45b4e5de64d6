"""What a dbt manifest and its catalog say, before it becomes RDF: datasets, their products, columns, keys, owners."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fairmesh.catalog.errors import InputError, ParseError, TooLarge
from fairmesh.catalog.feeds.drafting import digest
from fairmesh.catalog.model import CLASSIFICATIONS

_MAX_BYTES = 500_000_000
KINDS = ("model", "seed", "snapshot", "source")
REBUILD = "Give the manifest.json that `dbt parse`, `dbt build` or `dbt docs generate` wrote to target/"

Json = Mapping[str, Any]


def load(data: bytes | None, name: str, artifact: str) -> Json:
    """A dbt artifact (`manifest` or `catalog`) as JSON; {} for no bytes. Raises as `dbt.read` does."""
    if data is None:
        return {}
    if len(data) > _MAX_BYTES:
        raise TooLarge(f"{name} has {len(data):,} bytes; the limit is {_MAX_BYTES:,}", remedy="Split the dbt project")
    try:
        value = json.loads(data)
    except json.JSONDecodeError as error:
        raise ParseError(
            f"{name} is not JSON: {error.msg}", line=error.lineno, column=error.colno, remedy=REBUILD
        ) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"{name} is not JSON: {type(error).__name__}", remedy=REBUILD) from None
    schema = at(value, "metadata", "dbt_schema_version") if isinstance(value, dict) else None
    if not isinstance(schema, str) or f"/{artifact}/" not in schema or not isinstance(value.get("nodes"), dict):
        raise InputError(f"{name} is not a dbt {artifact}", remedy=REBUILD)
    found: Json = value
    return found


def at(value: Any, *names: str) -> Any:
    """What lies at a path of nested objects, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def texts(value: Any) -> list[str]:
    """The non-empty texts in a value that may be a text, a list of texts, or an owner object."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("email")
    values = value if isinstance(value, list) else [value]
    return [v.strip() for v in values if isinstance(v, str) and v.strip()]


# -- what the manifest says -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owner:
    name: str
    email: str | None
    asserted: bool


@dataclass(frozen=True, slots=True, order=True)
class Home:
    """What makes datasets one product. `rank` says who keeps the plain name when two are alike."""

    rank: int
    kind: str
    package: str
    name: str

    def names(self) -> tuple[str, ...]:
        """Names to try, the plain one first; the last is unique."""
        unique = f"{self.name}-{digest(f'{self.kind}/{self.package}/{self.name}')}"
        prefix = "source" if self.kind == "source" else self.package
        return (self.name, f"{prefix}-{self.name}", f"{self.kind}-{self.package}-{self.name}", unique)

    def __str__(self) -> str:
        inside = "" if self.kind in ("package", "product") else f" of package {self.package}"
        return f"{self.kind} {self.name}{inside}"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    physical: str | None
    type: str | None
    description: str
    position: int
    required: bool
    classification: str | None


@dataclass(slots=True)
class Dataset:
    id: str
    kind: str
    node: Json
    home: Home
    name: str
    upstream: tuple[str, ...]
    materialised: bool
    public: bool
    columns: list[Column] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    exposed: bool = False
    """Whether it is an output dataset of its product; else it is a part."""

    @property
    def output(self) -> bool:
        return self.kind == "source" or (self.materialised and self.exposed)

    @property
    def package(self) -> str:
        return str(self.node.get("package_name") or "")

    @property
    def description(self) -> str:
        return str(self.node.get("description") or "").strip()

    @property
    def group(self) -> str | None:
        return _group(self.node)

    @property
    def tags(self) -> list[str]:
        return sorted({*texts(self.node.get("tags")), *texts(at(self.node, "config", "tags"))})

    @property
    def relation(self) -> str:
        """The table's full name in the warehouse, quoted as dbt quotes it; "" where there is no table."""
        return str(self.node.get("relation_name") or "")

    @property
    def stated_columns(self) -> list[Json]:
        return list((self.node.get("columns") or {}).values())


class Project:
    """A manifest with its catalog: datasets by unique id, and notes of what is not among them."""

    def __init__(self, manifest: Json, catalog: Json, domain: str) -> None:
        self.manifest = manifest
        self.notes: list[str] = []
        self.problems: list[tuple[str, str, str]] = []
        self._domain = domain
        self._catalog = self._fold_catalog(catalog)
        self.datasets: dict[str, Dataset] = {}
        for id, node in sorted(self._nodes()):
            home = self._home(id, node)
            if home is not None:
                self.datasets[id] = self._dataset(id, node, home)
        self._expose()
        self._constrain()
        if catalog:
            strangers = sorted(set(self._catalog) - {id.lower() for id in self.datasets})
            self._note_list("catalog.json: not in the manifest, left out", strangers)

    def _nodes(self) -> Iterator[tuple[str, Json]]:
        for group in ("nodes", "sources"):
            nodes = self.manifest.get(group) or {}
            if not isinstance(nodes, dict):
                raise InputError(f"the manifest's {group!r} is not an object", remedy=REBUILD)
            for id, node in nodes.items():
                if not isinstance(node, dict):
                    raise InputError(f"the manifest's node {id!r} is not an object", remedy=REBUILD)
                if node.get("resource_type") in KINDS:
                    yield id, node

    @staticmethod
    def _fold_catalog(catalog: Json) -> dict[str, Json]:
        nodes = {**(catalog.get("nodes") or {}), **(catalog.get("sources") or {})}
        return {id.lower(): node for id, node in nodes.items() if isinstance(node, dict)}

    def _note_list(self, what: str, items: Iterable[str]) -> None:
        if items := list(items):
            self.notes.append(f"{what}: {', '.join(items)}")

    # -- products ---------------------------------------------------------------------------------------------------

    def _home(self, id: str, node: Json) -> Home | None:
        package = str(node.get("package_name") or id.split(".")[1])
        named = meta(node, "fairmesh", "product")
        if named is not None:
            return self._named_home(id, named)
        if group := _group(node):
            return Home(1, "group", package, group)
        if node["resource_type"] == "source":
            return Home(4, "source", package, str(node.get("source_name") or id.split(".")[2]))
        fqn = node.get("fqn") or []
        if len(fqn) > 2:
            return Home(3, "folder", package, str(fqn[1]))
        return Home(2, "package", package, package)

    def _named_home(self, id: str, named: Any) -> Home | None:
        if not isinstance(named, str) or not named.strip():
            self.problems.append((id, "meta.fairmesh.product is not a name", "Give it the product's name"))
            return None
        domain, dot, name = named.strip().rpartition(".")
        if dot and domain != self._domain:
            remedy = f"Import it with --domain {domain}, or correct meta.fairmesh.product"
            self.problems.append((id, f"its product {named!r} is not in the domain {self._domain!r}", remedy))
            return None
        return Home(0, "product", "", name)

    # -- datasets ---------------------------------------------------------------------------------------------------

    def _dataset(self, id: str, node: Json, home: Home) -> Dataset:
        kind = str(node["resource_type"])
        name = str(node.get("name") or id.rsplit(".", 1)[-1])
        if node.get("version") is not None:
            name = f"{name}_v{node['version']}"
        access = node.get("access") or at(node, "config", "access")
        return Dataset(
            id, kind, node, home, name,
            upstream=tuple(dict.fromkeys(at(node, "depends_on", "nodes") or ())),
            materialised=at(node, "config", "materialized") != "ephemeral",
            public=access == "public",
            columns=self._columns(id, node),
        )  # fmt: skip

    def _columns(self, id: str, node: Json) -> list[Column]:
        """Columns of manifest and catalog, matched by name: exactly, else without regard to case if that is one."""
        stated = {str(c.get("name") or name): c for name, c in (node.get("columns") or {}).items()}
        real = {str(c.get("name") or n): c for n, c in (at(self._catalog.get(id.lower()), "columns") or {}).items()}
        folded = _by_fold(real)
        match = {name: name if name in real else folded.get(name.lower()) for name in stated}
        named = {physical: name for name, physical in match.items() if physical is not None}
        if real:
            self._note_list(
                f"{id}: columns of the manifest that catalog.json lacks, kept", (n for n in stated if match[n] is None)
            )
        rows: list[tuple[str, str | None, Json, Json]] = [
            (named.get(name, name), name, stated.get(named.get(name, name), {}), column)
            for name, column in sorted(real.items(), key=lambda item: (item[1].get("index") or 0, item[0]))
        ]
        rows += [
            (name, None, column, {})
            for name, column in stated.items()
            if match[name] is None or named[str(match[name])] != name
        ]
        return [self._column(id, n, *row) for n, row in enumerate(rows, 1)]

    def _column(self, id: str, position: int, name: str, physical: str | None, stated: Json, real: Json) -> Column:
        word = meta(stated, "fairmesh", "classification") or meta(stated, "classification")
        classification = self._word(f"{id}, column {name}", word)
        required = any(at(c, "type") == "not_null" for c in stated.get("constraints") or ())
        return Column(
            name, physical, real.get("type") or stated.get("data_type"),
            str(stated.get("description") or real.get("comment") or "").strip(), position, required, classification,
        )  # fmt: skip

    def _word(self, place: str, word: Any) -> str | None:
        if word is None:
            return None
        if str(word).lower() in CLASSIFICATIONS:
            return str(word).lower()
        self.notes.append(f"{place}: classification {word!r} is not a word of the scheme, left out")
        return None

    def classification(self, dataset: Dataset) -> str | None:
        """What the dataset's own meta says, if it is a word of the scheme."""
        word = meta(dataset.node, "fairmesh", "classification") or meta(dataset.node, "classification")
        return self._word(dataset.id, word)

    def _expose(self) -> None:
        read_by_others = {up for d in self.datasets.values() for up in d.upstream if up != d.id}
        for id, dataset in self.datasets.items():
            dataset.exposed = dataset.public or id not in read_by_others
            other = [up for up in dataset.upstream if up not in self.datasets]
            self._note_list(f"{id}: depends on what is no dataset here, left out of its lineage", other)

    # -- keys and required columns ------------------------------------------------------------------------------------

    def _constrain(self) -> None:
        """Primary keys: constraints, else what dbt worked out, else the one column tested both unique and not null."""
        tested = self._tested()
        for id, dataset in self.datasets.items():
            exact = {c.name: c for c in dataset.columns}
            folded = _by_fold(exact)
            needed = {n if n in exact else folded.get(n.lower()) for n in tested["not_null"][id]}
            dataset.columns = [replace(c, required=c.required or c.name in needed) for c in dataset.columns]
            both = tested["unique"][id] & tested["not_null"][id]
            stated = _stated_key(dataset.node) or (sorted(both) if len(both) == 1 else [])
            keys = [name if name in exact else folded.get(name.lower()) for name in stated]
            if None in keys:
                self.notes.append(f"{id}: primary key {stated} names columns that are not known, left out")
            else:
                dataset.keys = [k for k in keys if k is not None]

    def _tested(self) -> dict[str, dict[str, set[str]]]:
        """Columns by generic test and dataset; a test with a filter says nothing about the whole."""
        found: dict[str, dict[str, set[str]]] = {"unique": defaultdict(set), "not_null": defaultdict(set)}
        count = 0
        for node in self.manifest["nodes"].values():
            name = at(node, "test_metadata", "name")
            if name not in found or at(node, "test_metadata", "namespace") or at(node, "config", "where"):
                continue
            column = node.get("column_name") or at(node, "test_metadata", "kwargs", "column_name")
            on = [node["attached_node"]] if node.get("attached_node") else at(node, "depends_on", "nodes") or []
            if isinstance(column, str) and len(on) == 1 and on[0] in self.datasets:
                found[name][on[0]].add(column.strip('"`[]'))
                count += 1
        if count:
            self.notes.append(f"{count} tests for unique or not_null were read for keys and required columns only")
        return found

    # -- owners -------------------------------------------------------------------------------------------------------

    def owner(self, home: Home, members: list[Dataset]) -> Owner | None:
        """Whom the project names: the group's owner, else `meta.owner` of members, else owners of exposures."""
        for group in self._groups(members):
            if names := texts(at(group, "owner")):
                return Owner(names[0], next(iter(texts(at(group, "owner", "email"))), None), False)
        stated = [n for d in members for n in self._stated_owners(d)]
        if stated:
            return Owner(self._choose(home, "meta.owner", stated), None, False)
        ids = {d.id for d in members}
        exposures = [
            e["owner"] for e in (self.manifest.get("exposures") or {}).values()
            if ids & set(at(e, "depends_on", "nodes") or ()) and texts(e.get("owner"))
        ]  # fmt: skip
        if not exposures:
            return None
        name = self._choose(home, "owner of an exposure", [texts(o)[0] for o in exposures])
        emails = sorted(e for o in exposures if texts(o)[0] == name for e in texts(at(o, "email")))
        return Owner(name, emails[0] if emails else None, True)

    @staticmethod
    def _stated_owners(dataset: Dataset) -> list[str]:
        node = dataset.node
        own = meta(node, "fairmesh", "owner") or meta(node, "owner")
        return texts(own) or texts(at(node, "source_meta", "owner"))

    def description(self, home: Home, members: list[Dataset]) -> str:
        """What the project says about a group or source as a whole, else ""."""
        stated: set[str] = set()
        if home.kind == "group":
            stated = {str(group.get("description") or "").strip() for group in self._groups(members)}
        elif home.kind == "source":
            stated = {str(d.node.get("source_description") or "").strip() for d in members}
        return min(stated - {""}, default="")

    def _groups(self, members: list[Dataset]) -> list[Json]:
        """The dbt groups that members are in, by name."""
        named = {(d.package, d.group) for d in members}
        groups = (self.manifest.get("groups") or {}).values()
        found = [g for g in groups if (g.get("package_name"), g.get("name")) in named]
        return sorted(found, key=lambda g: (g["package_name"], g["name"]))

    def _choose(self, home: Home, what: str, names: list[str]) -> str:
        ranked = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
        self._note_list(f"{home}: {what} is {ranked[0][0]!r} most often; left out", (repr(n) for n, _ in ranked[1:]))
        return ranked[0][0]


def meta(node: Json, *path: str) -> Any:
    """A value under `meta`, which dbt has kept in two places over time."""
    value = at(node, "meta", *path)
    return value if value is not None else at(node, "config", "meta", *path)


def _group(node: Json) -> str | None:
    group = node.get("group") or at(node, "config", "group")
    return group if isinstance(group, str) and group else None


def _by_fold(names: Iterable[str]) -> dict[str, str]:
    """Names by their lower case, where that is unambiguous."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[name.lower()].append(name)
    return {folded: same[0] for folded, same in found.items() if len(same) == 1}


def _stated_key(node: Json) -> list[str]:
    for constraint in node.get("constraints") or ():
        if at(constraint, "type") == "primary_key":
            return [str(c) for c in constraint.get("columns") or ()]
    columns = [
        str(column.get("name") or name) for name, column in (node.get("columns") or {}).items()
        if any(at(c, "type") == "primary_key" for c in column.get("constraints") or ())
    ]  # fmt: skip
    return columns or [str(c) for c in node.get("primary_key") or ()]
