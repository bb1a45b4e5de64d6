"""Lineage case by case. tests/properties/test_lineage_laws.py holds the laws."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fairmesh.catalog.errors import InputError, NotFound
from fairmesh.catalog.lineage import LineageIndex, Visible
from fairmesh.catalog.model import EVERYTHING as EVERY_BIT
from fairmesh.catalog.model import (
    Level,
    LineageDirection,
    LineageEdge,
    LineageResult,
    LineageStatement,
    Need,
)

DERIVED = "http://www.w3.org/ns/prov#wasDerivedFrom"
UP, DOWN, BOTH = LineageDirection.UPSTREAM, LineageDirection.DOWNSTREAM, LineageDirection.BOTH
ALL = 10**9


def new_index() -> LineageIndex:
    return LineageIndex(lambda iri: iri.startswith("m/"))


def seeing(*slots: int, size: int = 16) -> Visible:
    visible = np.zeros(size, dtype=np.int64)
    visible[list(slots)] = EVERY_BIT
    return visible


EVERYTHING = np.full(16, EVERY_BIT)


def put(index: LineageIndex, slot: int, product: str, datasets: str, derived: str = "") -> None:
    """`datasets`: names; `derived`: "a>b" (b was derived from a) between datasets, "a->b" between products."""
    statements = []
    for edge in derived.split():
        level = Level.PRODUCT if "->" in edge else Level.DATASET
        source, target = edge.replace("->", ">").split(">")
        statements.append(LineageStatement(source, target, DERIVED, level))
    owned = datasets.split()
    index.put(slot, product, dict.fromkeys(owned, Need.READ), statements, dict.fromkeys(owned, product))


def walk(
    index: LineageIndex,
    start: str,
    direction: LineageDirection = BOTH,
    depth: int = ALL,
    max_nodes: int = ALL,
    visible: Visible = EVERYTHING,
) -> LineageResult:
    return index.walk(start, None, direction, depth, max_nodes, visible)


def distances(result: LineageResult) -> list[tuple[int, str]]:
    return [(node.distance, node.iri) for node in result.nodes]


def pairs(edges: Iterable[LineageEdge]) -> list[str]:
    return [f"{edge.source}>{edge.target}" for edge in edges]


@pytest.fixture
def line() -> LineageIndex:
    """Five products in a row, one dataset each: m/a > m/b > m/c > m/d > m/e."""
    index = new_index()
    names = "abcde"
    for slot, name in enumerate(names):
        before = f"m/{names[slot - 1]}>m/{name}" if slot else ""
        put(index, slot, f"m/p{name}", f"m/{name}", before)
    return index


def test_both_ways_from_the_middle(line: LineageIndex) -> None:
    result = walk(line, "m/c")
    assert distances(result) == [(0, "m/c"), (1, "m/b"), (1, "m/d"), (2, "m/a"), (2, "m/e")]
    assert pairs(result.edges) == ["m/a>m/b", "m/b>m/c", "m/c>m/d", "m/d>m/e"]
    assert (result.truncated, result.upstream_count, result.downstream_count) == (False, 2, 2)


def test_one_way_counts_the_other(line: LineageIndex) -> None:
    result = walk(line, "m/c", UP)
    assert distances(result) == [(0, "m/c"), (1, "m/b"), (2, "m/a")]
    assert (result.truncated, result.upstream_count, result.downstream_count) == (False, 2, 2)
    assert [(n.more_upstream, n.more_downstream) for n in result.nodes] == [(0, 1), (0, 0), (0, 0)]


def test_depth_counts_edges_and_says_what_it_cut(line: LineageIndex) -> None:
    result = walk(line, "m/c", depth=1)
    assert distances(result) == [(0, "m/c"), (1, "m/b"), (1, "m/d")]
    assert [(n.more_upstream, n.more_downstream) for n in result.nodes] == [(0, 0), (1, 0), (0, 1)]
    assert result.truncated
    assert distances(walk(line, "m/c", depth=0)) == [(0, "m/c")]
    assert not walk(line, "m/c", depth=2).truncated


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 5])
def test_the_budget_is_exact_and_takes_the_nearest_by_iri(line: LineageIndex, budget: int) -> None:
    result = walk(line, "m/c", max_nodes=budget)
    assert [node.iri for node in result.nodes] == ["m/c", "m/b", "m/d", "m/a", "m/e"][:budget]
    assert result.truncated is (budget < 5)
    assert (result.upstream_count, result.downstream_count) == (2, 2)


def test_an_edge_beyond_the_depth_between_returned_nodes_is_a_cut() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a m/b m/c", "m/a>m/c m/b>m/c m/a>m/b")
    result = walk(index, "m/c", UP, depth=1)
    assert pairs(result.edges) == ["m/a>m/c", "m/b>m/c"]
    assert result.truncated
    whole = walk(index, "m/c", UP, depth=2)
    assert pairs(whole.edges) == ["m/a>m/b", "m/a>m/c", "m/b>m/c"]
    assert not whole.truncated


def test_cycles_and_self_loops_are_ordinary() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a m/b m/c m/d", "m/a>m/b m/b>m/c m/c>m/a m/d>m/d m/c>m/d")
    result = walk(index, "m/a")
    assert distances(result) == [(0, "m/a"), (1, "m/b"), (1, "m/c"), (3, "m/d")]
    assert pairs(result.edges) == ["m/a>m/b", "m/b>m/c", "m/c>m/a", "m/c>m/d", "m/d>m/d"]
    assert (result.upstream_count, result.downstream_count) == (2, 3)
    alone = walk(index, "m/d", DOWN)
    assert (distances(alone), pairs(alone.edges), alone.downstream_count) == ([(0, "m/d")], ["m/d>m/d"], 0)


def test_a_chain_of_10_000() -> None:
    index = new_index()
    names = [f"m/{n:05}" for n in range(10_001)]
    put(index, 0, "m/p", " ".join(names), " ".join(f"{a}>{b}" for a, b in pairwise(names)))
    result = walk(index, names[0])
    assert [node.iri for node in result.nodes] == names
    assert (len(result.edges), result.downstream_count, result.truncated) == (10_000, 10_000, False)
    assert result.nodes[-1].distance == 10_000


def test_a_hub_of_100_000() -> None:
    index = new_index()
    children = [f"m/{n:06}" for n in range(100_000)]
    put(index, 0, "m/p", "m/hub " + " ".join(children), " ".join(f"m/hub>{child}" for child in children))
    result = walk(index, "m/hub", depth=1, max_nodes=200)
    assert [node.iri for node in result.nodes] == ["m/hub", *children[:199]]
    assert (len(result.edges), result.downstream_count, result.truncated) == (199, 100_000, True)
    assert result.nodes[0].more_downstream == 100_000 - 199
    put(index, 1, "m/q", "m/late", "m/hub>m/late")
    index.remove(0)
    assert walk(index, "m/late").upstream_count == 0


def test_a_hidden_node_in_the_middle_ends_the_walk(line: LineageIndex) -> None:
    result = walk(line, "m/b", visible=seeing(0, 1, 3, 4))
    assert distances(result) == [(0, "m/b"), (1, "m/a")]
    assert (result.truncated, result.downstream_count, result.nodes[0].more_downstream) == (False, 0, 0)
    products = walk(line, "m/pd", visible=seeing(0, 1, 3, 4))
    assert distances(products) == [(0, "m/pd"), (1, "m/pe")]


def test_hidden_and_absent_starts_read_alike(line: LineageIndex) -> None:
    messages = []
    for start in ("m/c", "m/z"):
        with pytest.raises(NotFound) as refused:
            walk(line, start, visible=seeing(0, 1))
        messages.append(str(refused.value).replace(start, "START"))
    assert messages[0] == messages[1]


def test_slots_beyond_the_grants_are_invisible(line: LineageIndex) -> None:
    assert distances(walk(line, "m/a", visible=seeing(0, 1, size=2))) == [(0, "m/a"), (1, "m/b")]
    with pytest.raises(NotFound):
        walk(line, "m/a", visible=np.zeros(0, dtype=np.int64))


def test_a_statement_is_hidden_with_the_document_that_makes_it() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a")
    put(index, 1, "m/q", "m/b")
    put(index, 2, "m/r", "m/c", "m/a>m/b")
    assert pairs(walk(index, "m/a").edges) == ["m/a>m/b"]
    assert pairs(walk(index, "m/a", visible=seeing(0, 1)).edges) == []


def test_one_edge_stated_by_two_documents_is_one_edge() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a", "m/a>m/b m/a>m/b")
    put(index, 1, "m/q", "m/b", "m/a>m/b")
    for visible in (EVERYTHING, seeing(0, 1)):
        assert pairs(walk(index, "m/a", visible=visible).edges) == ["m/a>m/b"]
        assert pairs(index.edges(Level.DATASET, visible)) == ["m/a>m/b"]
    assert walk(index, "m/a", depth=0).nodes[0].more_downstream == 1


def test_predicates_make_edges_of_their_own_in_order() -> None:
    index = new_index()
    statements = [LineageStatement("m/a", "m/b", p, Level.DATASET) for p in ("p:z", "p:a")]
    index.put(0, "m/p", {"m/a": Need.READ, "m/b": Need.READ}, statements, {"m/a": "m/p", "m/b": "m/p"})
    assert [edge.predicate for edge in walk(index, "m/a").edges] == ["p:a", "p:z"]


def test_an_outside_dataset_stays_whoever_describes_it() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a", "http://out/x>m/a")
    put(index, 1, "m/q", "http://out/x", "http://out/y>http://out/x")
    assert distances(walk(index, "m/a", UP, visible=seeing(0))) == [(0, "m/a"), (1, "http://out/x")]
    assert distances(walk(index, "m/a", UP))[-1] == (2, "http://out/y")
    assert distances(walk(index, "m/p", UP, visible=seeing(0))) == [(0, "m/p")]
    assert distances(walk(index, "m/p", UP)) == [(0, "m/p"), (1, "m/q")]


def test_an_unregistered_node_of_the_mesh_is_not_there() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a", "m/nobody>m/a")
    result = walk(index, "m/a")
    assert (distances(result), result.upstream_count, result.truncated) == ([(0, "m/a")], 0, False)
    put(index, 1, "m/q", "m/nobody")
    assert walk(index, "m/a").upstream_count == 1


def test_an_outside_start_nobody_mentions_stands_alone(line: LineageIndex) -> None:
    result = walk(line, "http://out/x")
    assert (distances(result), result.edges, result.truncated) == ([(0, "http://out/x")], (), False)
    assert line.walk("http://out/x", None, BOTH, 1, 1, EVERYTHING, lambda iri: False).nodes == ()


def test_product_edges_follow_from_dataset_edges_without_self_loops() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a m/b", "m/a>m/b")
    put(index, 1, "m/q", "m/c", "m/b>m/c http://out/x>m/c")
    put(index, 2, "m/r", "", "m/q->m/r m/r->m/r")
    result = walk(index, "m/p")
    assert distances(result) == [(0, "m/p"), (1, "m/q"), (2, "m/r")]
    assert pairs(result.edges) == ["m/p>m/q", "m/q>m/r"]
    assert pairs(index.edges(Level.PRODUCT, EVERYTHING)) == ["m/p>m/q", "m/q>m/r"]


def test_product_edges_lead_through_products_outside() -> None:
    index = new_index()
    put(index, 0, "m/p", "", "m/p->http://out/x")
    put(index, 1, "m/q", "", "http://out/x->m/q")
    assert distances(walk(index, "m/p")) == [(0, "m/p"), (1, "http://out/x"), (2, "m/q")]
    assert distances(walk(index, "http://out/x")) == [(0, "http://out/x"), (1, "m/p"), (1, "m/q")]


def test_a_dataset_of_two_products_stands_for_those_that_visibly_own_it() -> None:
    index = new_index()
    put(index, 0, "m/p", "http://out/x")
    put(index, 1, "m/q", "http://out/x")
    put(index, 2, "m/r", "m/c", "http://out/x>m/c")
    assert pairs(walk(index, "m/r").edges) == ["m/p>m/r", "m/q>m/r"]
    assert pairs(walk(index, "m/r", visible=seeing(1, 2)).edges) == ["m/q>m/r"]


def test_a_dataset_named_by_a_product_edge_stands_for_its_products() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a http://out/y")
    put(index, 1, "m/q", "", "m/a->m/q http://out/x->m/q http://out/y->m/q")
    assert pairs(walk(index, "m/q").edges) == ["http://out/x>m/q", "m/p>m/q"]
    assert pairs(walk(index, "m/a").edges) == []
    assert pairs(walk(index, "m/q", visible=seeing(1)).edges) == ["http://out/x>m/q", "http://out/y>m/q"]


def test_a_dataset_derived_from_a_product_makes_a_product_edge() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a")
    put(index, 1, "m/q", "m/b", "m/p>m/b")
    assert pairs(walk(index, "m/q").edges) == ["m/p>m/q"]
    assert pairs(walk(index, "m/b").edges) == ["m/p>m/b"]


def test_a_product_that_can_only_be_discovered_has_no_edges() -> None:
    index = new_index()
    put(index, 0, "m/p", "m/a")
    put(index, 1, "m/q", "m/b", "m/a>m/b")
    visible = seeing(1)
    visible[0] = Need.DISCOVER
    assert distances(walk(index, "m/p", visible=visible)) == [(0, "m/p")]
    assert distances(walk(index, "m/q", visible=visible)) == [(0, "m/q")]


def columns_index() -> LineageIndex:
    index = new_index()
    for slot, (column, need, sources) in enumerate(
        [("m/a.x", Need.READ, []), ("m/b.x", Need.CONFIDENTIAL, ["m/a.x"]), ("m/c.x", Need.READ, ["m/b.x", "m/a.x"])]
    ):
        dataset, product = column[:3], f"m/p{slot}"
        said = [LineageStatement(source, column, DERIVED, Level.COLUMN, need) for source in sources]
        said += [LineageStatement(source[:3], dataset, DERIVED, Level.DATASET) for source in sources]
        index.put(slot, product, {dataset: Need.READ, column: need}, said, {dataset: product})
    return index


def test_column_lineage_stops_at_masked_columns() -> None:
    index = columns_index()
    assert pairs(walk(index, "m/a.x").edges) == ["m/a.x>m/b.x", "m/a.x>m/c.x", "m/b.x>m/c.x"]
    masked = EVERYTHING & ~(Need.CONFIDENTIAL - Need.READ)
    assert pairs(walk(index, "m/a.x", visible=masked).edges) == ["m/a.x>m/c.x"]
    assert pairs(walk(index, "m/a", visible=masked).edges) == ["m/a>m/b", "m/a>m/c", "m/b>m/c"]


def test_levels_never_mix_and_follow_from_the_start() -> None:
    index = columns_index()
    for start, ending in (("m/p0", "m/p2"), ("m/a", "m/c"), ("m/a.x", "m/c.x")):
        result = walk(index, start)
        assert len(result.nodes) == 3
        assert result.edges[-1].target == ending
    assert index.walk("m/a", Level.COLUMN, BOTH, ALL, ALL, EVERYTHING).edges == ()


def test_types_leave_nodes_out_and_walk_through_them(line: LineageIndex) -> None:
    result = line.walk("m/a", None, DOWN, ALL, ALL, EVERYTHING, lambda iri: iri not in ("m/a", "m/c"))
    assert distances(result) == [(1, "m/b"), (3, "m/d"), (4, "m/e")]
    assert pairs(result.edges) == ["m/d>m/e"]
    assert (result.truncated, result.downstream_count) == (False, 4)
    assert [(n.more_upstream, n.more_downstream) for n in result.nodes] == [(1, 1), (1, 0), (0, 0)]
    cut = line.walk("m/a", None, DOWN, 3, ALL, EVERYTHING, lambda iri: iri in ("m/a", "m/e"))
    assert (distances(cut), cut.truncated) == ([(0, "m/a")], True)
    whole = line.walk("m/a", None, DOWN, 3, ALL, EVERYTHING, lambda iri: iri == "m/a")
    assert not whole.truncated


def test_put_replaces_and_remove_leaves_nothing(line: LineageIndex) -> None:
    put(line, 2, "m/pc", "m/c")
    assert pairs(line.edges(Level.DATASET, EVERYTHING)) == ["m/a>m/b", "m/c>m/d", "m/d>m/e"]
    empty = new_index().digest()
    for slot in range(5):
        assert line.digest() != empty
        line.remove(slot)
    line.remove(77)
    assert line.digest() == empty
    assert line._nodes.ids == {}
    assert list(line.edges(Level.DATASET, EVERYTHING)) == []


def test_the_digest_knows_neither_order_nor_slots() -> None:
    one, other = new_index(), new_index()
    put(one, 0, "m/p", "m/a m/b", "m/a>m/b m/b>m/a")
    put(one, 1, "m/q", "m/c")
    put(other, 3, "m/q", "m/c")
    put(other, 2, "m/p", "m/b m/a", "m/b>m/a m/a>m/b m/a>m/b")
    assert one.digest() == other.digest()
    put(other, 2, "m/p", "m/b m/a", "m/b>m/a")
    assert one.digest() != other.digest()


@pytest.mark.parametrize(
    ("depth", "max_nodes", "words"), [(-1, 10, "depth -1"), (1, 0, "0 nodes"), (1, -5, "-5 nodes")]
)
def test_limits_out_of_range_are_refused(line: LineageIndex, depth: int, max_nodes: int, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        walk(line, "m/a", depth=depth, max_nodes=max_nodes)
    assert refused.value.remedy


def test_what_cannot_be_put_is_refused_and_changes_nothing(line: LineageIndex) -> None:
    before = line.digest()
    with pytest.raises(InputError, match="slot -1"):
        put(line, -1, "m/p", "m/a")
    with pytest.raises(InputError, match="m/y has a product"):
        line.put(0, "m/pa", {}, [], {"m/y": "m/pa"})
    assert line.digest() == before
    with pytest.raises(InputError, match=r"grants of shape \(1, 16\)"):
        walk(line, "m/a", visible=EVERYTHING[None])


def test_readers_side_by_side_get_the_same_answers(line: LineageIndex) -> None:
    scopes = [EVERYTHING, seeing(0, 1, 3, 4), seeing(1, 2)]
    alone = [walk(line, "m/b", visible=scope) for scope in scopes]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda n: walk(line, "m/b", visible=scopes[n % 3]), range(300)))
    assert together == [alone[n % 3] for n in range(300)]


@pytest.mark.parametrize("project", ["shopify", "jaffle-shop-v1.11", "dbtresto", "facebookad"])
def test_real_dbt_projects_walk_along_exactly_their_depends_on(shared: Path, project: str) -> None:
    manifest = json.loads((shared / "data/dbt/dbterd/samples" / project / "manifest.json").read_bytes())
    kinds = ("model", "seed", "snapshot", "source")
    nodes = {i: n for i, n in (manifest["nodes"] | manifest["sources"]).items() if n["resource_type"] in kinds}
    depends = {
        (f"m/{source}", f"m/{target}")
        for target, node in nodes.items()
        for source in node.get("depends_on", {}).get("nodes", ())
        if source in nodes
    }
    index = new_index()
    by_folder: dict[str, list[str]] = {}
    for name, node in nodes.items():
        by_folder.setdefault(node["path"].split("/")[0], []).append(f"m/{name}")
    for slot, (folder, owned) in enumerate(sorted(by_folder.items())):
        said = " ".join(f"{source}>{target}" for source, target in sorted(depends) if target in owned)
        put(index, slot, f"m/{folder}", " ".join(owned), said)
    visible = np.full(len(by_folder), EVERY_BIT)
    assert depends
    assert {(e.source, e.target) for e in index.edges(Level.DATASET, visible)} == depends
    for name in nodes:
        result = walk(index, f"m/{name}", UP, visible=visible)
        above = {node.iri for node in result.nodes}
        assert {(e.source, e.target) for e in result.edges} == {edge for edge in depends if edge[1] in above}
        assert len(above) == result.upstream_count + 1
