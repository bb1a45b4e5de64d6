"""Walks case by case, and beside a search that tries everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Direction, PathStep, WalkStep
from fairmesh.catalog.walks import Neighbours, Path, Traversal, shortest_paths, traverse

OUT, IN, BOTH = Direction.OUT, Direction.IN, Direction.BOTH
PLENTY = 10**6


def graph(*statements: str) -> Neighbours:
    """Statements as "subject predicate object"."""
    return neighbours_of([tuple(statement.split()) for statement in statements])


def neighbours_of(triples: Sequence[tuple[str, ...]]) -> Neighbours:
    def neighbours(node: str, predicates: frozenset[str] | None, direction: Direction) -> Iterator[PathStep]:
        for s, p, o in triples:
            if predicates is None or p in predicates:
                if s == node and direction is not IN:
                    yield PathStep(s, p, OUT, o)
                if o == node and direction is not OUT:
                    yield PathStep(o, p, IN, s)

    return neighbours


def leg(
    predicate: str | None = None,
    direction: Direction = OUT,
    types: str | None = None,
    hops: tuple[int, int] = (1, 1),
) -> WalkStep:
    predicates = None if predicate is None else frozenset({predicate})
    return WalkStep(predicates, direction, None if types is None else frozenset({types}), *hops)


def type_of(node: str) -> set[str]:
    """The letter a node begins with."""
    return {node[0]}


def go(
    starts: str, steps: list[WalkStep], neighbours: Neighbours, *, distinct: bool = True, limit: int = PLENTY
) -> Traversal:
    return traverse(starts.split(), steps, neighbours, type_of, distinct=distinct, limit=limit)


def ends(traversal: Traversal) -> list[str]:
    return [item.node for item in traversal.items]


def shown(path: Path) -> str:
    """a -p> b <q- c"""
    words = [path[0].source] if path else []
    for step in path:
        words += [f"-{step.predicate}>" if step.direction is OUT else f"<{step.predicate}-", step.target]
    return " ".join(words)


def paths(traversal: Traversal) -> list[str]:
    return [shown(item.path) for item in traversal.items]


PUBLISHED = graph(
    "p1 publisher u1", "p2 publisher u1", "p3 publisher u1", "p3 publisher u2", "p4 publisher u2", "p1 subject t1",
    "p4 subject t1",
)  # fmt: skip


def test_others_that_share_a_publisher_leave_out_the_start() -> None:
    found = go("p1", [leg("publisher"), leg("publisher", IN)], PUBLISHED)
    assert paths(found) == ["p1 -publisher> u1 <publisher- p2", "p1 -publisher> u1 <publisher- p3"]
    assert not found.truncated


def test_each_of_several_starts_may_be_reached_from_the_others() -> None:
    found = go("p3 p1 p1", [leg("publisher"), leg("publisher", IN)], PUBLISHED)
    assert paths(found) == [
        "p1 -publisher> u1 <publisher- p2",
        "p1 -publisher> u1 <publisher- p3",
        "p3 -publisher> u1 <publisher- p1",
        "p3 -publisher> u2 <publisher- p4",
    ]


def test_target_types_choose_where_a_step_ends_but_not_what_it_passes() -> None:
    chain = graph("a1 r b1", "b1 r a2", "a2 r b2", "b2 r a3")
    assert ends(go("a1", [leg("r", hops=(1, 4))], chain)) == ["b1", "a2", "b2", "a3"]
    assert ends(go("a1", [leg("r", types="a", hops=(1, 4))], chain)) == ["a2", "a3"]
    assert ends(go("a1", [leg("r", types="b"), leg("r", types="a")], chain)) == ["a2"]
    assert ends(go("a1", [leg("r", types="a"), leg("r")], chain)) == []


def test_min_and_max_hops() -> None:
    chain = graph("a r b", "b r c", "c r d", "d r e")
    assert ends(go("a", [leg("r", hops=(2, 3))], chain)) == ["c", "d"]
    assert paths(go("a", [leg("r", hops=(0, 1))], chain)) == ["", "a -r> b"]
    assert ends(go("a", [leg("r", hops=(0, 0))], chain)) == ["a"]
    assert ends(go("a", [leg("r", hops=(0, 2)), leg("r", hops=(2, 2))], chain)) == ["c", "d", "e"]


def test_more_hops_than_needed_are_found_on_the_longer_way() -> None:
    """The short way to c ends the step too early for min_hops; the long way does not."""
    both_ways = graph("a r c", "a r b", "b r d", "d r c", "c r e")
    assert paths(go("a", [leg("r", hops=(3, 3))], both_ways)) == ["a -r> b -r> d -r> c"]


def test_distinct_takes_the_shortest_then_the_first_path() -> None:
    diamond = graph("a z b", "a y c", "b r d", "c r d", "a x d", "d r e", "a q f", "f q g", "g q e")
    found = go("a", [leg(hops=(1, 3))], diamond)
    assert paths(found)[:4] == ["a -q> f", "a -x> d", "a -y> c", "a -z> b"]
    assert [shown(item.path) for item in found.items if item.node in "eg"] == ["a -q> f -q> g", "a -x> d -r> e"]


def test_every_simple_path_when_not_distinct() -> None:
    triangle = graph("a r b", "b r c", "c r a", "a r c")
    found = go("a", [leg("r", hops=(1, 5))], triangle, distinct=False)
    assert paths(found) == ["a -r> b", "a -r> c", "a -r> b -r> c"]
    assert ends(go("a", [leg("r", hops=(1, 5))], triangle)) == ["b", "c"]


def test_a_path_that_fits_in_several_ways_comes_once() -> None:
    chain = graph("a r b", "b r c", "c r d")
    found = go("a", [leg("r", hops=(1, 2)), leg("r", hops=(1, 2))], chain, distinct=False)
    assert paths(found) == ["a -r> b -r> c", "a -r> b -r> c -r> d"]


@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 50, 100, 101, 102])
def test_the_limit_is_exact(distinct: bool, limit: int) -> None:
    hub = graph(*(f"hub r n{n:03}" for n in range(100)))
    found = go("hub", [leg("r")], hub, distinct=distinct, limit=limit)
    assert ends(found) == [f"n{n:03}" for n in range(min(limit - 1, 100))]
    assert found.truncated is (limit < 101)


def test_a_chain_of_10_000() -> None:
    around = {f"n{n:05}": [PathStep(f"n{n:05}", "r", OUT, f"n{n + 1:05}")] for n in range(10_000)}
    found = go("n00000", [leg("r", hops=(9_998, 10_000))], lambda node, _p, _d: around.get(node, []))
    assert [len(item.path) for item in found.items] == [9_998, 9_999, 10_000]
    assert go("n00000", [leg("r", types="x", hops=(1, 10_000))], lambda node, _p, _d: around.get(node, [])).items == ()
    way = shortest_paths(
        "n00000",
        "n00300",
        lambda node, _p, way: (
            around[node]
            if way is OUT
            else [PathStep(node, "r", IN, s) for s in [f"n{int(node[1:]) - 1:05}"] if s in around]
        ),
        direction=OUT, max_length=300, k=1, budget=1000,
    )  # fmt: skip
    assert len(way.items[0]) == 300


def test_starts_without_neighbours() -> None:
    assert go("x", [leg()], graph("a r b")) == Traversal((), False)
    assert go("", [leg()], graph("a r b")) == Traversal((), False)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (2, 1), (0, -1)])
def test_hops_the_wrong_way_round_are_refused(low: int, high: int) -> None:
    with pytest.raises(InputError, match=f"{low} to {high} hops") as refused:
        leg(hops=(low, high))
    assert refused.value.remedy


def test_a_walk_without_steps_or_limit_is_refused() -> None:
    with pytest.raises(InputError, match="without a step"):
        go("a", [], graph())
    with pytest.raises(InputError, match="at most 0 nodes"):
        go("a", [leg()], graph(), limit=0)


# -- shortest paths ------------------------------------------------------------------------------------------------


def test_paths_by_length_then_in_order() -> None:
    found = shortest_paths("p1", "p4", PUBLISHED, max_length=6, k=5, budget=PLENTY)
    assert [shown(path) for path in found.items] == [
        "p1 -subject> t1 <subject- p4",
        "p1 -publisher> u1 <publisher- p3 -publisher> u2 <publisher- p4",
    ]
    assert not found.truncated
    assert len(shortest_paths("p1", "p4", PUBLISHED, max_length=6, k=1, budget=PLENTY).items) == 1
    assert len(shortest_paths("p1", "p4", PUBLISHED, max_length=3, k=5, budget=PLENTY).items) == 1


def test_direction_and_predicates_bound_the_paths() -> None:
    two = graph("a r b", "b s c", "c r a")
    assert [shown(p) for p in shortest_paths("a", "c", two, max_length=4, k=3, budget=99).items] == [
        "a <r- c", "a -r> b -s> c",
    ]  # fmt: skip
    one_way = shortest_paths("a", "c", two, direction=OUT, max_length=4, k=3, budget=99)
    assert [shown(p) for p in one_way.items] == ["a -r> b -s> c"]
    backwards = shortest_paths("a", "c", two, direction=IN, max_length=4, k=3, budget=99)
    assert [shown(p) for p in backwards.items] == ["a <r- c"]
    assert shortest_paths("b", "a", two, predicates=frozenset({"s"}), max_length=4, k=3, budget=99).items == ()


def test_two_statements_between_the_same_nodes_are_two_paths() -> None:
    double = graph("a s b", "a r b", "b r a")
    found = shortest_paths("a", "b", double, max_length=2, k=9, budget=99)
    assert [shown(path) for path in found.items] == ["a <r- b", "a -r> b", "a -s> b"]


def test_from_a_node_to_itself() -> None:
    assert shortest_paths("a", "a", graph("a r a"), max_length=1, k=3, budget=1).items == ((),)


def test_ways_longer_than_any_distance_are_found() -> None:
    near = graph("a r z", "b r z", "c r z", "a r b", "b r c")
    found = shortest_paths("a", "z", near, direction=OUT, max_length=6, k=9, budget=99)
    assert [shown(path) for path in found.items] == ["a -r> z", "a -r> b -r> z", "a -r> b -r> c -r> z"]


def test_a_spent_budget_is_said() -> None:
    wide = graph(*(f"a r m{n}" for n in range(20)), *(f"m{n} r b" for n in range(20)))
    enough = shortest_paths("a", "b", wide, max_length=2, k=20, budget=41)
    assert (len(enough.items), enough.truncated) == (20, False)
    short = shortest_paths("a", "b", wide, max_length=2, k=20, budget=30)
    assert short.truncated
    assert short.items == enough.items[: len(short.items)]
    assert shortest_paths("a", "b", wide, max_length=2, k=1, budget=5).truncated


def test_a_direct_statement_to_a_hub_costs_nothing_of_the_hub() -> None:
    hub = graph("a r hub", *(f"n{n} r hub" for n in range(1000)))
    found = shortest_paths("a", "hub", hub, max_length=6, k=1, budget=1)
    assert ([shown(path) for path in found.items], found.truncated) == (["a -r> hub"], False)


@pytest.mark.parametrize("name", ["max_length", "k", "budget"])
def test_limits_below_one_are_refused(name: str) -> None:
    limits = {"max_length": 1, "k": 1, "budget": 1} | {name: 0}
    with pytest.raises(InputError, match="is 0"):
        shortest_paths("a", "b", graph(), max_length=limits["max_length"], k=limits["k"], budget=limits["budget"])


# -- beside a search that tries everything --------------------------------------------------------------------------

NODES = ("a1", "a2", "b1", "b2", "b3")
triples = st.lists(
    st.tuples(st.sampled_from(NODES), st.sampled_from("pq"), st.sampled_from(NODES)), max_size=9, unique=True
)


def _legs() -> st.SearchStrategy[WalkStep]:
    hops = st.sampled_from([(1, 1), (1, 1), (0, 1), (1, 2), (2, 2), (0, 2), (2, 3)])
    predicates, types = st.sampled_from([None, "p", "q"]), st.sampled_from([None, None, "a", "b"])
    return st.builds(leg, predicates, st.sampled_from(Direction), types, hops)


def order(path: Path) -> tuple[int, str, list[tuple[str, str, str]]]:
    start = path[0].source if path else ""
    return len(path), start, [(step.predicate, step.direction, step.target) for step in path]


def all_walks(start: str, legs: Sequence[WalkStep], neighbours: Neighbours) -> set[tuple[str, Path]]:
    """Every (end, walk) that makes the legs one after the other, nodes repeated freely."""
    done: set[tuple[str, Path]] = {(start, ())}
    for one in legs:
        made, reached = done, set(done) if one.min_hops == 0 else set()
        for hop in range(1, one.max_hops + 1):
            made = {
                (step.target, (*path, step))
                for node, path in made
                for step in neighbours(node, one.predicates, one.direction)
            }
            reached |= made if hop >= one.min_hops else set()
        done = {(n, p) for n, p in reached if one.target_types is None or type_of(n) & one.target_types}
    return done


@given(triples, st.lists(_legs(), min_size=1, max_size=2), st.sets(st.sampled_from(NODES), max_size=2))
def test_traversals_equal_a_search_that_tries_everything(
    statements: list[tuple[str, str, str]], legs: list[WalkStep], starts: set[str]
) -> None:
    neighbours = neighbours_of(statements)
    walks = [
        (end, path, [start, *(step.target for step in path)])
        for start in starts
        for end, path in all_walks(start, legs, neighbours)
    ]
    simple = [(end, path) for end, path, passed in walks if len(set(passed)) == len(passed)]
    every = traverse(starts, legs, neighbours, type_of, distinct=False, limit=PLENTY)
    assert sorted((i.node, order(i.path)) for i in every.items) == sorted((e, order(p)) for e, p in simple)
    keys = [order(item.path) for item in every.items if item.path]
    assert keys == sorted(keys)

    best: dict[str, Path] = {}
    for end, path, passed in walks:
        if passed[0] not in passed[1:] and (end not in best or order(path) < order(best[end])):
            best[end] = path
    once = traverse(starts, legs, neighbours, type_of, distinct=True, limit=PLENTY)
    assert {item.node: item.path for item in once.items} == best
    assert len(once.items) == len(best)
    assert not every.truncated
    assert not once.truncated


@given(triples, st.integers(1, 40), st.booleans(), st.lists(_legs(), min_size=1, max_size=2))
def test_a_limited_traversal_begins_like_the_whole(
    statements: list[tuple[str, str, str]], limit: int, distinct: bool, legs: list[WalkStep]
) -> None:
    neighbours = neighbours_of(statements)
    whole = traverse(["a1"], legs, neighbours, type_of, distinct=distinct, limit=PLENTY)
    some = traverse(["a1"], legs, neighbours, type_of, distinct=distinct, limit=limit)
    assert some.items == whole.items[: len(some.items)]
    assert some.truncated or some == whole


@given(triples, st.sampled_from(Direction), st.integers(1, 5), st.integers(1, 4))
def test_shortest_paths_equal_a_search_that_tries_everything(
    statements: list[tuple[str, str, str]], direction: Direction, max_length: int, k: int
) -> None:
    neighbours = neighbours_of(statements)
    every = traverse(
        ["a1"], [WalkStep(None, direction, None, 1, max_length)], neighbours, type_of, distinct=False, limit=PLENTY
    )
    expected = [item.path for item in every.items if item.node == "b2"][:k]
    found = shortest_paths("a1", "b2", neighbours, direction=direction, max_length=max_length, k=k, budget=PLENTY)
    assert (list(found.items), found.truncated) == (expected, False)
