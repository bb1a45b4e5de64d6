"""The compiled SHACL engine: Core as closures over dicts, SHACL-SPARQL on a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import Triple
from fairmesh.catalog.shacl import sparql
from fairmesh.catalog.shacl.core import Compiler
from fairmesh.catalog.shacl.paths import Graph, Shapes
from fairmesh.catalog.shacl.results import Failed, Node, Outcome, Result, Term
from fairmesh.catalog.shacl.shapes import About, OutOfLimits, Shape, Target, Violation
from fairmesh.catalog.triples import Index

_AT_ONCE = 1_000
"""Focus nodes that a shape is held against together; what is known of their values is in memory meanwhile."""


class Compiled:
    """Shapes compiled once, run any number of times; one thread at a time. See `results.Engine`.

    Memory of a run is given back when it ends. Shapes that refer to themselves are evaluated, with a node taken to
    conform to a shape while that is being found out; SHACL leaves their meaning open (section 3.4.3).
    """

    name = "compiled"

    def __init__(
        self, shapes: Iterable[Triple], background: Iterable[Triple] = (), ignored: Collection[str] = ()
    ) -> None:
        self._background = sparql.Background(background)
        self._graph = Graph(Index(self._background.triples))
        self._queries: sparql.Data | None = None
        self._data: Iterable[Triple] = ()
        try:
            compiler = Compiler(Shapes(shapes), self._graph, ignored, self._queried)
            roots = compiler.roots()
        except RecursionError as error:
            raise InputError(
                "shapes are nested too deep", remedy="Refer to fewer shapes within shapes", code="rule-set"
            ) from error
        self._targets = list(dict.fromkeys(root.targets for root in roots))
        """Different sets of targets; most are those of several roots, and looked up once for them."""
        numbers = {targets: number for number, targets in enumerate(self._targets)}
        self._roots: dict[Node, tuple[Shape, int]] = {
            root.shape.node: (root.shape, numbers[root.targets]) for root in roots
        }
        self._by_class = self._groups_by_class()
        self._always = self._groups_of_all_runs()
        self._remembering = [shape for shape in compiler.compiled.values() if shape.inner]
        self._cycle = compiler.cycle

    def _queried(self) -> sparql.Data:
        """The data as queries see it, made when the first one asks."""
        if self._queries is None:
            self._queries = sparql.Data(list(self._data), self._background)
        return self._queries

    @property
    def roots(self) -> Collection[Node]:
        return self._roots.keys()

    def run(
        self,
        data: Iterable[Triple],
        *,
        own: Callable[[Term], bool] | None = None,
        roots: Collection[Node] | None = None,
    ) -> Outcome:
        """See `results.Engine.run`. Raises `InputError` (code `rule-set`) for a root that is not a targeted shape."""
        chosen = self._roots.values() if roots is None else [self._root(node) for node in roots]
        results: list[Result] = []
        failed: list[Failed] = []
        focus_nodes: dict[int, About] = {}
        self._data = data
        self._graph.lay(data)
        try:
            present = self._present()
            for shape, group in chosen:
                if group not in present:
                    continue
                nodes = focus_nodes.get(group)
                if nodes is None:
                    nodes = focus_nodes[group] = self._focus_nodes(self._targets[group], own)
                if nodes:
                    try:
                        results += _evaluate(shape, nodes)
                    except (OutOfLimits, sparql.QueryFailed) as error:
                        failed.append(Failed(shape.node, str(error)))
                    except RecursionError:
                        failed.append(Failed(shape.node, "its evaluation is nested too deep"))
        finally:
            self._data, self._queries = (), None
            self._graph.clear()
            self._cycle.clear()
            for shape in self._remembering:
                shape.forget()
        return Outcome(tuple(results), tuple(failed))

    def _groups_by_class(self) -> dict[Term, list[int]]:
        """Which groups of targets a class brings focus nodes to, as far as the background knows subclasses."""
        found: dict[Term, list[int]] = {}
        for group, targets in enumerate(self._targets):
            for target in targets:
                for kind in self._graph.kinds(target.key) if target.of_class else ():
                    found.setdefault(kind, []).append(group)
        return found

    def _groups_of_all_runs(self) -> frozenset[int]:
        """Groups that are not of classes alone, or of classes with instances in the background."""
        found = {group for kind in self._graph.types() for group in self._by_class.get(kind, ())}
        found.update(n for n, targets in enumerate(self._targets) if not all(target.of_class for target in targets))
        return frozenset(found)

    def _present(self) -> Collection[int]:
        """The groups of targets that can have focus nodes in this run."""
        if self._graph.axioms:
            return range(len(self._targets))
        return self._always.union(*(self._by_class.get(kind, ()) for kind in self._graph.types()))

    def _root(self, node: Node) -> tuple[Shape, int]:
        if node not in self._roots:
            raise InputError(
                f"{node} is not a targeted shape of these shapes", remedy="Name one that has a target", code="rule-set"
            )
        return self._roots[node]

    def _focus_nodes(self, targets: Iterable[Target], own: Callable[[Term], bool] | None) -> About:
        graph, at = self._graph, self._graph.at
        several = [nodes for target in targets if (nodes := target.nodes(graph))]
        if not several:
            return []
        nodes = dict.fromkeys(several[0] if len(several) == 1 else (node for nodes in several for node in nodes))
        return [(node, at(node)) for node in nodes if own is None or own(node)]


def _evaluate(shape: Shape, nodes: About) -> list[Result]:
    found: list[Violation] = []
    if len(nodes) <= _AT_ONCE:
        shape.report(nodes, found)
    else:
        for start in range(0, len(nodes), _AT_ONCE):
            shape.report(nodes[start : start + _AT_ONCE], found)
    return [violation.result(shape.node) for violation in found] if found else []
