"""A policy that takes something away shows nothing more anywhere, and nothing of the policy before it stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import meshes
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from law.asking import Known, Walker
from law.meshes import SUBJECTS, Case, cases, entries_of, make_pair
from law.policies import POOL
from law.trial import Trial, embedded, open_trial

from fairmesh.catalog import View
from fairmesh.catalog.model import (
    Action,
    Direction,
    FacetField,
    LineageDirection,
    PageRequest,
    SearchOrder,
)
from fairmesh.catalog.rdf import NamedNode, load
from fairmesh.catalog.sighted import JUDGED

ALL = PageRequest(first=200)
TYPES = frozenset({
    "https://ekgf.github.io/dprod/DataProduct", "http://www.w3.org/ns/dcat#Dataset", "http://www.w3.org/ns/csvw#Column",
    "http://www.w3.org/2004/02/skos/core#Concept", "http://xmlns.com/foaf/0.1/Agent",
})  # fmt: skip
NARROWER = [name for name in POOL if name != "default"]

relaxed = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with open_trial(embedded, tmp_path_factory.mktemp("embedded")) as made:
        yield made


def shown(view: View, nodes: list[str]) -> Iterator[tuple[str, Any]]:
    """All there is to see, each thing by itself, and named by what it is."""
    for iri in view.products(None, ALL).items:
        yield "product", iri
    for iri in view.domains(None, ALL).items:
        yield "domain", iri
    for iri in view.glossary_terms(None, ALL).items:
        yield "term", iri
    for hit in view.search(None, types=TYPES, filter=None, order=SearchOrder.LABEL, langs=None, page=ALL).page.items:
        yield "hit", hit.iri
    for iri in nodes:
        if view.resource(iri) is not None:
            yield "node", iri
        for triple in view.statements(iri):
            yield "statement", (iri, str(triple))
        for p in view.properties(iri, predicates=None, langs=None, page=ALL).items:
            yield "property", (iri, p)
        for r in view.relations(iri, predicates=None, direction=Direction.BOTH, target_types=None, page=ALL).items:
            yield "relation", (iri, r.predicate, r.direction, r.node)
        for column in view.columns(iri, ALL).items:
            yield "column", (iri, column.iri)
        for revision in view.revisions(iri, ALL).items:
            yield "revision", (iri, revision.number)
        for decision in view.viewer_can(iri, list(Action)):
            if decision.allowed and decision.reasons != ("visible",):
                yield "allowed", (iri, decision.action)
        if view.exists(iri):
            lineage = view.lineage(iri, direction=LineageDirection.BOTH, depth=99, max_nodes=500, types=None)
            for edge in lineage.edges:
                yield "edge", (edge.source, edge.target)


def counts(view: View) -> Iterator[tuple[object, int]]:
    found = view.search(None, types=TYPES, filter=None, order=SearchOrder.LABEL, langs=None, page=ALL)
    yield "hits", found.page.total
    yield "products", view.products(None, PageRequest(first=0)).total
    stated = [field for field in FacetField if field not in JUDGED]  # a verdict on less may be another
    for facet in found.facets(stated, 1000):
        for bucket in facet.buckets:
            yield (facet.field, bucket.key), bucket.count


def nodes_of(mesh: meshes.Mesh) -> list[str]:
    said = [t for entry in mesh.journal.all for t in load(entry.draft.document)]  # type: ignore[attr-defined]
    named = {t.object.value for t in said if isinstance(t.object, NamedNode)}
    return sorted(iri for iri in named | {t.subject.value for t in said} if "/id/" in iri or "ext.example" in iri)


@relaxed
@given(case=cases(policies=("default",)), policy=st.sampled_from(NARROWER))
def test_a_narrower_policy_shows_nothing_more(trial: Trial, case: Case, policy: str) -> None:
    entries, subject = entries_of(case.history), SUBJECTS[case.name]
    wide, narrow = (meshes.Mesh(trial.access(name), entries) for name in ("default", policy))
    nodes = nodes_of(wide)
    with wide.reading(subject) as all, narrow.reading(subject) as some:
        assert {*shown(some, nodes)} <= {*shown(all, nodes)}
        most = dict(counts(all))
        assert [(what, n) for what, n in counts(some) if n > most.get(what, 0)] == []


@relaxed
@given(case=cases(), policy=st.sampled_from(list(POOL)), number=st.integers(0, 2**32))
def test_nothing_of_the_policy_before_stays(trial: Trial, case: Case, policy: str, number: int) -> None:
    random, pair = Random(number), make_pair(trial.access(case.policy), trial.validator, case)
    trial.court.open(pair)
    known = Known.of(pair, SUBJECTS[case.name])
    walker = Walker(random, known)
    requests = [trial.writer.query(random, known) if random.random() < 0.6 else walker.read() for _ in range(8)]
    for request in requests:
        trial.court.answers(request, case.name)
    pair.whole.decide_by(trial.access(policy))
    before = pair.whole
    fresh = make_pair(trial.access(policy), trial.validator, case).whole
    trial.court.whole.show(before)
    trial.court.less.show(fresh)
    for request in requests:
        changed, anew = trial.court.answers(request, case.name)
        assert changed == anew, f"{case}\n{policy}\n{request}"
