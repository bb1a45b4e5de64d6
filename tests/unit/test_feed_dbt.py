"""dbt manifests as product documents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog import document, rdf
from fairmesh.catalog.errors import InputError, ParseError
from fairmesh.catalog.feeds import Completion, FeedDocument, Import, ImportOptions, dbt
from fairmesh.catalog.feeds.datatypes import datatype
from fairmesh.catalog.feeds.drafting import segment

BASE = "http://mesh.test/id/"
DCT, PROV, DPROD = rdf.PREFIXES["dct"], rdf.PREFIXES["prov"], rdf.PREFIXES["dprod"]
CSVW, FM, FOAF, DCAT = rdf.PREFIXES["csvw"], rdf.PREFIXES["fm"], rdf.PREFIXES["foaf"], rdf.PREFIXES["dcat"]
OWNED = ImportOptions("shop", owner="Shop team")

Node = dict[str, Any]


def node(id: str, *upstream: str, folder: str | None = "marts", **more: Any) -> Node:
    kind, package, *_, name = id.split(".")
    fqn = [package, folder, name] if folder else [package, name]
    config = {"materialized": "seed" if kind == "seed" else "table", **more.pop("config", {})}
    return {
        "unique_id": id, "resource_type": kind, "package_name": package, "name": name, "fqn": fqn, "config": config,
        "depends_on": {"nodes": list(upstream)}, "columns": {}, **more,
    }  # fmt: skip


def source(id: str, **more: Any) -> Node:
    return {**node(id, **more), "source_name": id.split(".")[2], "config": {}}


def manifest(*nodes: Node, **more: Any) -> bytes:
    return json.dumps({
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json", "project_name": "shop"},
        "nodes": {n["unique_id"]: n for n in nodes if n["resource_type"] != "source"},
        "sources": {n["unique_id"]: n for n in nodes if n["resource_type"] == "source"}, **more,
    }).encode()  # fmt: skip


def catalog(**columns: dict[str, str]) -> bytes:
    """A catalog.json by unique id (dots written as two underscores): column names and their types."""
    return json.dumps({
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json"},
        "nodes": {
            id.replace("__", "."): {"columns": {
                name: {"name": name, "type": kind, "index": n, "comment": None}
                for n, (name, kind) in enumerate(found.items(), 1)
            }} for id, found in columns.items()
        }, "sources": {},
    }).encode()  # fmt: skip


class Facts:
    """The statements of all documents of an import; each document is one that can be registered."""

    def __init__(self, documents: Iterable[FeedDocument]) -> None:
        self.triples = []
        for found in documents:
            read = document.read(found.turtle, rdf.TURTLE, BASE)
            assert read.key == found.key
            self.triples += rdf.load(read.nquads)

    def values(self, subject: str, predicate: str) -> list[str]:
        subject = subject if "://" in subject else BASE + subject
        return sorted(
            o.value.removeprefix(BASE) for s, p, o in self.triples if s.value == subject and p.value == predicate
        )

    def pairs(self, predicate: str) -> set[tuple[str, str]]:
        return {
            (s.value.removeprefix(BASE), o.value.removeprefix(BASE)) for s, p, o in self.triples if p.value == predicate
        }

    def lineage(self) -> set[tuple[str, str]]:
        ids = {s: o for s, o in self.pairs(DCT + "identifier") if s.count("/")}
        return {(ids[s], ids[o]) for s, o in self.pairs(PROV + "wasDerivedFrom")}


def read(*nodes: Node, options: ImportOptions = OWNED, described: bytes | None = None, **more: Any) -> Import:
    return dbt.read(manifest(*nodes, **more), described, options, "target/manifest.json")


def keys(found: Import) -> list[str]:
    return [d.key for d in found.documents]


def test_products_are_named_by_meta_then_group_then_folder_then_package() -> None:
    found = read(
        node("model.shop.a", meta={"fairmesh": {"product": "orders"}}, group="finance"),
        node("model.shop.b", config={"meta": {"fairmesh": {"product": "shop.orders"}}}),
        node("model.shop.c", group="finance"),
        node("model.shop.d", folder="marts"),
        node("model.shop.e", folder=None),
        source("source.shop.erp.f"),
    )
    assert keys(found) == ["shop.erp", "shop.finance", "shop.marts", "shop.orders", "shop.shop"]
    facts = Facts(found.documents)
    assert facts.values("shop.orders", DPROD + "outputDataset") == ["shop.orders/data/a", "shop.orders/data/b"]
    assert facts.values("shop.shop", DPROD + "outputDataset") == ["shop.shop/data/e"]


def test_products_of_one_name_are_kept_apart_and_noted() -> None:
    found = read(node("model.shop.a", folder=None), node("seed.other.b", folder="shop"), source("source.shop.shop.c"))
    assert keys(found) == ["shop.other-shop", "shop.shop", "shop.source-shop"]
    renamed = [n for n in found.notes if "is taken by another product" in n]
    assert renamed == [
        "folder shop of package other: its name is taken by another product, so it is shop.other-shop",
        "source shop of package shop: its name is taken by another product, so it is shop.source-shop",
    ]


def test_a_product_named_in_meta_takes_in_the_folder_of_that_name() -> None:
    found = read(node("model.shop.a", folder="x", meta={"fairmesh": {"product": "marts"}}), node("model.shop.b"))
    assert keys(found) == ["shop.marts"]
    assert "folder marts of package shop: joins product marts, both are shop.marts" in found.notes


def test_a_product_of_another_domain_is_a_problem_and_the_rest_goes_on() -> None:
    found = read(node("model.shop.a", meta={"fairmesh": {"product": "sales.x"}}), node("model.shop.b", "model.shop.a"))
    assert keys(found) == ["shop.marts"]
    assert [(p.record, p.reason) for p in found.problems] == [
        ("model.shop.a", "its product 'sales.x' is not in the domain 'shop'")
    ]
    assert "--domain sales" in found.problems[0].remedy


def test_outputs_are_materialised_and_public_or_leaves() -> None:
    found = read(
        node("model.shop.leaf", "model.shop.inner", "model.shop.open"),
        node("model.shop.inner"),
        node("model.shop.open", access="public"),
        node("model.shop.ghost", access="public", config={"materialized": "ephemeral"}),
        node("seed.shop.read_seed"),
        node("snapshot.shop.history", "seed.shop.read_seed"),
    )
    facts = Facts(found.documents)
    outputs, parts = (facts.values("shop.marts", p) for p in (DPROD + "outputDataset", DCT + "hasPart"))
    assert [o.rsplit("/")[-1] for o in outputs] == ["history", "leaf", "open"]
    assert [p.rsplit("/")[-1] for p in parts] == ["ghost", "inner", "read_seed"]


def test_source_tables_are_outputs_though_read() -> None:
    found = read(source("source.shop.erp.orders"), node("model.shop.a", "source.shop.erp.orders"))
    assert Facts(found.documents).values("shop.erp", DPROD + "outputDataset") == ["shop.erp/data/orders"]


def test_a_product_without_an_output_is_noted() -> None:
    found = read(node("model.shop.a", folder="staging"), node("model.shop.b", "model.shop.a"))
    assert "shop.staging: no output dataset, as none of its 1 datasets is public or a leaf" in found.notes


def test_lineage_is_depends_on_in_circles_too_and_nothing_else() -> None:
    found = read(
        node("model.shop.a", "model.shop.b", "model.shop.b", "macro.shop.m", "model.shop.gone"),
        node("model.shop.b", "model.shop.a", folder="other"),
        node("model.shop.self", "model.shop.self"),
    )
    assert Facts(found.documents).lineage() == {
        ("model.shop.a", "model.shop.b"), ("model.shop.b", "model.shop.a"), ("model.shop.self", "model.shop.self"),
    }  # fmt: skip
    assert any("model.shop.gone" in n and "left out of its lineage" in n for n in found.notes)


def test_columns_are_matched_without_regard_to_case() -> None:
    model = node("model.shop.a", columns={"id": {"name": "id", "description": "The key."}, "old": {"name": "old"}})
    found = read(model, described=catalog(MODEL__Shop__A={"ID": "NUMBER(38,0)", "_Loaded At": "TIMESTAMP_TZ"}))
    facts = Facts(found.documents)
    column = "shop.marts/data/a/column/"
    assert facts.values("shop.marts/data/a/schema", CSVW + "column") == [
        column + "_Loaded%20At", column + "id", column + "old",
    ]  # fmt: skip
    assert facts.values(column + "id", CSVW + "datatype") == [rdf.PREFIXES["xsd"] + "integer"]
    assert facts.values(column + "id", FM + "physicalName") == ["ID"]
    assert facts.values(column + "id", FM + "physicalType") == ["NUMBER(38,0)"]
    assert facts.values(column + "id", DCT + "description") == ["The key."]
    assert facts.values(column + "_Loaded%20At", CSVW + "name") == ["_Loaded At"]
    positions = [facts.values(column + c, FM + "position") for c in ("id", "_Loaded%20At", "old")]
    assert positions == [["1"], ["2"], ["3"]]
    assert "model.shop.a: columns of the manifest that catalog.json lacks, kept: old" in found.notes


def test_columns_that_differ_in_case_only_stay_apart() -> None:
    model = node("model.shop.a", columns={"ID": {"name": "ID", "description": "Big."}})
    found = read(model, described=catalog(model__shop__a={"id": "int", "ID": "text"}))
    facts = Facts(found.documents)
    assert facts.values("shop.marts/data/a/column/ID", FM + "physicalType") == ["text"]
    assert facts.values("shop.marts/data/a/column/id", DCT + "description") == []


def test_keys_and_required_columns_come_from_constraints_and_tests() -> None:
    def test_of(kind: str, column: str, **config: Any) -> Node:
        return {
            "unique_id": f"test.shop.{kind}_{column}", "resource_type": "test", "package_name": "shop", "name": kind,
            "column_name": column, "test_metadata": {"name": kind, "namespace": None}, "config": config,
            "depends_on": {"nodes": ["model.shop.a"]},
        }  # fmt: skip

    columns = {c: {"name": c} for c in ("ID", "code", "maybe")}
    found = read(
        node("model.shop.a", columns=columns), test_of("unique", "id"), test_of("not_null", "id"),
        test_of("not_null", "code"), test_of("not_null", "maybe", where="x > 1"),
    )  # fmt: skip
    facts = Facts(found.documents)
    assert facts.values("shop.marts/data/a/schema", CSVW + "primaryKey") == ["ID"]
    required = {s.rsplit("/")[-1] for s, _ in facts.pairs(CSVW + "required")}
    assert required == {"ID", "code"}


def test_a_stated_primary_key_wins_over_tests() -> None:
    constraints = [{"type": "primary_key", "columns": ["a", "b"]}]
    model = node("model.shop.m", columns={"a": {"name": "a"}, "b": {"name": "b"}}, constraints=constraints)
    facts = Facts(read(model).documents)
    assert facts.values("shop.marts/data/m/schema", CSVW + "primaryKey") == ["a", "b"]


@pytest.mark.parametrize(
    ("relation", "physical"),
    [
        ('"db"."Sch ema"."a""b"', 'db.Sch ema.a"b'),
        ("`my-project`.`ds`.`t`", "my-project.ds.t"),
        ("[db].[dbo].[t]", "db.dbo.t"),
        ("db.sch.t", "db.sch.t"),
    ],
)
def test_physical_names_lose_their_quotes(relation: str, physical: str) -> None:
    facts = Facts(read(node("model.shop.a", relation_name=relation)).documents)
    assert facts.values("shop.marts/data/a/table", FM + "physicalName") == [physical]


def test_owners_come_from_group_then_meta_then_exposure_then_option() -> None:
    owner = {"name": "Finance", "email": "fin@shop.test"}
    exposure = {"owner": {"name": "Ana", "email": "ana@shop.test"}, "depends_on": {"nodes": ["model.shop.c"]}}
    found = read(
        node("model.shop.a", group="finance"),
        node("model.shop.b", folder="stated", config={"meta": {"owner": "@stated"}}),
        node("model.shop.c", folder="shown"),
        node("model.shop.d", folder="rest"),
        groups={"group.shop.finance": {"name": "finance", "package_name": "shop", "owner": owner}},
        exposures={"exposure.shop.x": exposure},
    )
    facts = Facts(found.documents)
    names = {key: facts.values(facts.values(key, DPROD + "dataProductOwner")[0], FOAF + "name") for key in keys(found)}
    assert names == {
        "shop.finance": ["Finance"], "shop.stated": ["@stated"], "shop.shown": ["Ana"], "shop.rest": ["Shop team"],
    }  # fmt: skip
    said = {key: DPROD + "dataProductOwner" in facts.values(key + "/record", FM + "assertedPredicate") for key in names}
    assert said == {"shop.finance": False, "shop.stated": False, "shop.shown": True, "shop.rest": True}
    assert facts.values("shop.finance", DCAT + "contactPoint") == ["contact/fin-shop-test"]


def test_no_owner_is_a_problem_of_that_product_only() -> None:
    found = read(
        node("model.shop.a", meta={"owner": "Ana"}), node("model.shop.b", folder="x"), options=ImportOptions("shop")
    )
    assert keys(found) == ["shop.marts"]
    assert [p.record for p in found.problems] == ["shop.x (folder x of package shop)"]
    assert "--owner NAME" in found.problems[0].remedy


def test_what_the_importer_added_is_said_and_completions_fill_in() -> None:
    completions = {
        "shop.marts": Completion(owner="Marts", classification="restricted", license="https://l.test/1"),
        "*": Completion(owner="All", contact="a@b.test", endpoint="https://sql.test/", namespace="pg://x"),
        "shop.gone": Completion(),
    }
    options = ImportOptions("shop", owner="Option", status="design", completions=completions)
    found = read(node("model.shop.a", description="Every order once.", relation_name="d.s.a"), options=options)
    facts = Facts(found.documents)
    assert facts.values("team/marts", FOAF + "name") == ["Marts"]
    dataset = "shop.marts/data/a"
    assert facts.values(dataset, DPROD + "informationSensitivityClassification")[0].endswith("/restricted")
    assert facts.values("shop.marts", DPROD + "lifecycleStatus")[0].endswith("/design")
    assert facts.values("shop.marts", DCAT + "version") == ["0.1.0"]
    assert facts.values(dataset + "/table", DCAT + "accessService") == ["shop.marts/port"]
    assert facts.values("shop.marts/port", DCAT + "endpointURL") == ["https://sql.test/"]
    asserted = facts.values("shop.marts/record", FM + "assertedPredicate")
    assert {DCT + "description", DCT + "license", DCAT + "version", DCAT + "contactPoint"} <= set(asserted)
    assert DCT + "description" not in facts.values(dataset + "/record", FM + "assertedPredicate")
    assert facts.values("shop.marts/record", DCT + "source") == ["manifest.json"]
    assert "completed product shop.gone is not in this source" in found.notes


def test_a_composed_description_states_facts() -> None:
    models = [node(f"model.shop.m{n:02}") for n in range(14)]
    [text] = Facts(read(*models).documents).values("shop.marts", DCT + "description")
    assert text == (
        "Content of the folder marts of the dbt package shop (14 models): m00, m01, m02, m03, m04, m05, m06, m07, m08,"
        " m09, m10, m11 and 2 more. Described from the dbt manifest."
    )


def test_the_same_manifest_gives_the_same_bytes_wherever_it_lies() -> None:
    models = [node("model.shop.b", "model.shop.a", tags=["y", "x"]), node("model.shop.a"), source("source.shop.erp.t")]
    first = dbt.read(manifest(*models), None, OWNED, "/one/manifest.json")
    second = dbt.read(manifest(*reversed(models)), None, OWNED, "two/manifest.json")
    assert [d.turtle for d in first.documents] == [d.turtle for d in second.documents]


def test_everything_left_out_has_a_line() -> None:
    found = read(
        node("model.shop.a", raw_code="select 1", meta={"shown": 1, "fairmesh": {"colour": 2}}),
        node("test.shop.t"),
        macros={"macro.shop.m": {}}, metrics={"metric.shop.m": {}}, disabled={"model.shop.off": []},
    )  # fmt: skip
    for line in (
        "left out: 1 nodes of type test", "left out: 1 macros", "left out: 1 metrics",
        "left out, disabled in the project: model.shop.off", "left out: SQL code of model.shop.a",
        "left out: meta.shown of model.shop.a", "left out: meta.fairmesh.colour of model.shop.a",
    ):  # fmt: skip
        assert line in found.notes


def test_what_is_no_manifest_is_refused() -> None:
    with pytest.raises(InputError, match=r"no dataset found in m\.json"):
        dbt.read(manifest(), None, OWNED, "m.json")
    with pytest.raises(InputError, match="is not a dbt manifest"):
        dbt.read(b"{}", None, OWNED, "m.json")
    with pytest.raises(InputError, match="is not a dbt catalog"):
        dbt.read(manifest(node("model.shop.a")), manifest(), OWNED, "m.json")
    with pytest.raises(InputError, match="not shaped like a dbt manifest"):
        read(node("model.shop.a", columns=[1]))
    with pytest.raises(ParseError) as error:
        dbt.read(b'{\n "a": }', None, OWNED, "m.json")
    assert (error.value.line, error.value.column) == (2, 7)
    with pytest.raises(ParseError):
        dbt.read(b"[" * 100_000, None, OWNED, "m.json")


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=5, unique=True))
def test_any_column_and_table_name_makes_a_document(names: list[str]) -> None:
    columns = {name: {"name": name} for name in names}
    tables = [{**source(f"source.shop.erp.t{n}", columns=columns), "name": name} for n, name in enumerate(names)]
    facts = Facts(read(*tables).documents)
    assert len(facts.values("shop.erp", DPROD + "outputDataset")) == len(names)
    assert {o for _, o in facts.pairs(CSVW + "name")} == set(names)
    assert all(segment(name) for name in names)


@pytest.mark.parametrize(
    ("physical", "local"),
    [
        ("character varying(256)", "string"), ("NUMBER(38, 0)", "integer"), ("number(18,2)", "decimal"),
        ("INT64", "long"), ("timestamp without time zone", "dateTime"), ("timestamptz", "dateTimeStamp"),
        ("double precision", "double"), ("Nullable(LowCardinality(String))", "string"), ("bit", "boolean"),
        ("bit(8)", None), ("text[]", None), ("STRUCT<a INT64>", None), ("geography", None), ("", None),
    ],
)  # fmt: skip
def test_physical_types(physical: str, local: str | None) -> None:
    found = datatype(physical)
    assert (found and found.value) == (local and rdf.PREFIXES["xsd"] + local)


@pytest.mark.parametrize(
    ("folder", "edges", "datasets"),
    [("jaffle-shop-v1.11", 23, 27), ("shopify", 144, 159), ("dbtresto", 13, 25), ("facebookad", 37, 31)],
)
def test_real_projects_come_in_whole(shared: Path, folder: str, edges: int, datasets: int) -> None:
    place = shared / "data/dbt/dbterd/samples" / folder
    raw = (place / "manifest.json").read_bytes()
    found = dbt.read(raw, (place / "catalog.json").read_bytes(), OWNED, "manifest.json")
    facts = Facts(found.documents)

    loaded = json.loads(raw)
    nodes = {**loaded["nodes"], **loaded["sources"]}
    known = {id for id, n in nodes.items() if n["resource_type"] in ("model", "seed", "snapshot", "source")}
    expected = {(id, up) for id in known for up in nodes[id].get("depends_on", {}).get("nodes", ()) if up in known}
    assert facts.lineage() == expected
    assert {o for s, o in facts.pairs(DCT + "identifier") if "/" in s} == known
    assert (len(expected), len(known)) == (edges, datasets)
    assert not found.problems


def test_no_real_column_misses_its_type_for_its_case(shared: Path) -> None:
    place = shared / "data/dbt/dbterd/samples/jaffle-shop-v1.11"
    found = dbt.read(
        (place / "manifest.json").read_bytes(), (place / "catalog.json").read_bytes(), OWNED, "manifest.json"
    )
    facts = Facts(found.documents)
    column = "shop.marts/data/customers/column/customer_id"
    assert facts.values(column, FM + "physicalName") == ["CUSTOMER_ID"]
    assert facts.values(column, CSVW + "datatype") == [rdf.PREFIXES["xsd"] + "string"]
    assert len(facts.pairs(CSVW + "datatype")) == len(facts.pairs(CSVW + "name"))


@pytest.mark.parametrize("version", ["1.11", "1.12"])
def test_real_manifests_without_a_catalog(shared: Path, version: str) -> None:
    folder = shared / "data/dbt/artifacts-parser/tests/resources/manifest/v12/jaffle_shop"
    found = dbt.read((folder / f"manifest_{version}.json").read_bytes(), None, OWNED, "manifest.json")
    assert Facts(found.documents).values("shop.marts", DCT + "title") == ["Marts"]
    assert not found.problems
