"""Walks over any graph given by its neighbours: step by step with conditions, and the shortest ways between two nodes.

Knows no store and no policy: the caller's `Neighbours` yields only what the reader may see, so nothing hidden is
entered, counted or passed through. Everything is iterative and bounded by the number of nodes visited; answers depend
on the neighbours alone, never on timing or hashing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Direction, PathStep, Walked, WalkStep

Path = tuple[PathStep, ...]
Neighbours = Callable[[str, frozenset[str] | None, Direction], Iterable[PathStep]]
"""The visible steps from a node by the given predicates (None: any), in any order. BOTH gives OUT and IN steps."""


@dataclass(frozen=True, slots=True)
class Traversal:
    """`truncated`: the limit was reached before the walk was over; the items are the first of what there is."""

    items: tuple[Walked, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Paths:
    """`truncated`: the budget was spent before `k` paths were found or all were looked at."""

    items: tuple[Path, ...]
    truncated: bool


_Position = tuple[int, int]
"""Index of a leg and hops made in it; one leg beyond the last: the walk is complete."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A node at the end of one path from `origin`, and the positions in the walk which that path allows."""

    node: str
    origin: str
    before: _Place | None
    step: PathStep | None
    positions: Collection[_Position]

    def path(self) -> Path:
        steps: list[PathStep] = []
        place: _Place | None = self
        while place is not None and place.step is not None:
            steps.append(place.step)
            place = place.before
        return tuple(reversed(steps))

    def passed(self, node: str) -> bool:
        place: _Place | None = self
        while place is not None:
            if place.node == node:
                return True
            place = place.before
        return False


def traverse(
    starts: Collection[str],
    steps: Sequence[WalkStep],
    neighbours: Neighbours,
    types_of: Callable[[str], AbstractSet[str]],
    *,
    distinct: bool,
    limit: int,
) -> Traversal:
    """Walk `steps` one after the other from each of `starts`; each step begins where the one before ended.

    `distinct`: each end once, with its shortest path, the first in lexical order among equals (by start, then by
    predicate, direction and target of each statement). A walk never comes back to the node it began at, but may pass
    another node again in a later step. Otherwise: every path that passes no node twice. Items come by length of path,
    then in lexical order.

    At most `limit` nodes are visited: a start counts, and a node counts once for each path taken to it (`distinct`:
    only when it opens something new). Raises `InputError` without a step, or for a limit below 1.
    """
    if not steps:
        raise InputError("a walk without a step", remedy="Give at least one step.")
    if limit < 1:
        raise InputError(f"a walk of at most {limit} nodes", remedy="Give 1 or more.")
    walk = _Walk(steps, neighbours, types_of, distinct)
    items: dict[object, Walked] = {}
    for visited, place in enumerate(walk.places(starts)):
        if visited == limit:
            return Traversal(tuple(items.values()), True)
        if (len(steps), 0) in place.positions:
            path = place.path()
            items.setdefault(place.node if distinct else (place.origin, path), Walked(place.node, path))
    return Traversal(tuple(items.values()), False)


class _Walk:
    """A breadth-first search over paths. Positions are followed side by side, so that each path is met once."""

    def __init__(
        self,
        legs: Sequence[WalkStep],
        neighbours: Neighbours,
        types_of: Callable[[str], AbstractSet[str]],
        distinct: bool,
    ) -> None:
        self._legs = legs
        self._neighbours = neighbours
        self._types_of = cache(types_of)
        self._distinct = distinct
        self._seen: dict[tuple[str, str], dict[_Position, int]] = {}

    def places(self, starts: Collection[str]) -> Iterator[_Place]:
        """All places, by length of path and then in lexical order: a queue keeps the order its heads were in."""
        queue: deque[_Place] = deque()
        for start in sorted(set(starts)):
            place = _Place(start, start, None, None, self._settle(start, start, [(0, 0)]))
            yield place
            queue.append(place)
        while queue:
            for place in self._after(queue.popleft()):
                yield place
                queue.append(place)

    def _after(self, place: _Place) -> Iterator[_Place]:
        asked: dict[tuple[frozenset[str] | None, Direction], list[_Position]] = {}
        for leg, hops in place.positions:
            if leg < len(self._legs) and hops < self._legs[leg].max_hops:
                asked.setdefault((self._legs[leg].predicates, self._legs[leg].direction), []).append((leg, hops + 1))
        found: dict[PathStep, list[_Position]] = {}
        for (predicates, direction), positions in asked.items():
            for step in dict.fromkeys(self._neighbours(place.node, predicates, direction)):
                found.setdefault(step, []).extend(positions)
        for step in _in_order(found):
            if step.target == place.origin if self._distinct else place.passed(step.target):
                continue
            if settled := self._settle(place.origin, step.target, found[step]):
                yield _Place(step.target, place.origin, place, step, settled)

    def _settle(self, origin: str, node: str, arrived: list[_Position]) -> Collection[_Position]:
        """The positions that are open at a node, those included that begin the next leg here; only new ones count
        when ends are distinct."""
        seen = self._seen.setdefault((origin, node), {}) if self._distinct else {}
        settled: dict[_Position, None] = {}
        pending = list(arrived)
        while pending:
            leg, hops = pending.pop()
            enough = self._legs[leg].min_hops if leg < len(self._legs) else 0
            # beyond enough hops, having made fewer allows all that having made more does
            if seen.get((leg, min(hops, enough)), hops + 1) <= hops:
                continue
            seen[leg, min(hops, enough)] = hops
            settled[leg, hops] = None
            if leg < len(self._legs) and hops >= enough and self._fits(leg, node):
                pending.append((leg + 1, 0))
        return settled

    def _fits(self, leg: int, node: str) -> bool:
        wanted = self._legs[leg].target_types
        return wanted is None or not wanted.isdisjoint(self._types_of(node))


def shortest_paths(
    start: str,
    end: str,
    neighbours: Neighbours,
    *,
    predicates: frozenset[str] | None = None,
    direction: Direction = Direction.BOTH,
    max_length: int,
    k: int,
    budget: int,
) -> Paths:
    """The `k` shortest paths from `start` to `end` that pass no node twice, of at most `max_length` statements.

    Paths come by length, then in lexical order by predicate, direction and target of each statement; two statements
    between the same nodes make two paths. From a node to itself there is one path, the empty one. At most `budget`
    nodes are visited: once each when distances to the end are measured, and once for each path tried through them.
    Raises `InputError` when a limit is below 1.
    """
    for name, limit in (("maxLength", max_length), ("k", k), ("budget", budget)):
        if limit < 1:
            raise InputError(f"{name} is {limit}", remedy="Give 1 or more.")
    if start == end:
        return Paths(((),), False)
    search = _Search(start, end, lambda node, way: _in_order(set(neighbours(node, predicates, way))), direction, budget)
    items: list[Path] = []
    try:
        for length in range(1, max_length + 1):
            if length > 1 and not search.widen():
                break
            for path in search.paths(length):
                items.append(path)
                if len(items) == k:
                    return Paths(tuple(items), False)
    except _Spent:
        return Paths(tuple(items), True)
    return Paths(tuple(items), False)


class _Spent(Exception):
    """The budget is spent."""


class _Search:
    """Paths of one exact length after the other, kept on course by the distance of each node to the end.

    Distances are measured backwards from the end, one ring for each length tried and no further.
    """

    def __init__(
        self,
        start: str,
        end: str,
        around: Callable[[str, Direction], list[PathStep]],
        direction: Direction,
        budget: int,
    ) -> None:
        self._start = start
        self._end = end
        self._forward: Callable[[str], list[PathStep]] = cache(lambda node: around(node, direction))
        self._backward: Callable[[str], list[PathStep]] = lambda node: around(node, _REVERSED[direction])
        self._budget = budget
        self._distances = {end: 0}
        self._ring = [end]

    def widen(self) -> bool:
        """Measure one ring more; False when no path of any length remains to be found."""
        ring: list[str] = []
        for node in self._ring:
            for step in self._backward(node):
                if step.target not in self._distances:
                    self._spend()
                    self._distances[step.target] = self._distances[node] + 1
                    ring.append(step.target)
        self._ring = ring
        return bool(ring) or self._start in self._distances

    def paths(self, length: int) -> Iterator[Path]:
        """All paths of this length in lexical order. Distances up to `length` - 1 must have been measured."""
        path: list[PathStep] = []
        passed = {self._start}
        pending = [iter(self._forward(self._start))]
        while pending:
            step = next(pending[-1], None)
            if step is None:
                pending.pop()
                if path:
                    passed.remove(path.pop().target)
                continue
            left = length - len(path) - 1
            if step.target == self._end:
                if left == 0:
                    yield (*path, step)
            elif step.target not in passed and self._distances.get(step.target, left + 1) <= left:
                self._spend()
                path.append(step)
                passed.add(step.target)
                pending.append(iter(self._forward(step.target)))

    def _spend(self) -> None:
        if not self._budget:
            raise _Spent
        self._budget -= 1


_REVERSED = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT, Direction.BOTH: Direction.BOTH}


def _in_order(steps: Iterable[PathStep]) -> list[PathStep]:
    return sorted(steps, key=lambda step: (step.predicate, step.direction, step.target))
