"""The law: for every mesh W, subject s and request q, the answer of W is, byte for byte, the answer of W without what
s may not see.

(to write)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from law.asking import Known, Request, Values, Walker, Writer
from law.meshes import SUBJECTS, RememberingValidator, histories, make_pair, write_policies
from law.serving import Answer, Court, court
from meshes import RememberingEngine
from opa import opa_server

from fairmesh.catalog.access import Access, OpaEngine, PolicySet

SOAK = bool(os.environ.get("FAIRMESH_SOAK"))
PAIRS = {"embedded": 90, "opa": 30}
OPERATIONS, PLAIN = 14, 8
"""GraphQL operations and other requests that each pair of meshes is asked."""


@dataclass
class Bench:
    """What the comparisons share, and what they have covered."""

    court: Court
    access: Access
    validator: RememberingValidator
    writer: Writer
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    differing: int = 0
    pairs: int = 0


@pytest.fixture(scope="module", params=["embedded", "opa"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = write_policies(tmp_path_factory.mktemp("policies"))
    policies = PolicySet.load(folder)
    if request.param == "opa":
        with opa_server(folder) as url:
            engine = OpaEngine(url, policies, chunk_seconds=10, scope_seconds=30)
            yield from _bench(Access(engine, policies), tmp_path_factory)
    else:
        yield from _bench(Access(RememberingEngine(policies, workers=1), policies), tmp_path_factory)


def _bench(access: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    validator = RememberingValidator(2)
    try:
        with court(tmp_path_factory.mktemp("data")) as both:
            writer = Writer(both.schema(make_pair(access, validator, [], SUBJECTS["nobody"]).whole))
            yield Bench(both, access, validator, writer)
    finally:
        validator.close()
        access.close()


cases = st.sampled_from(sorted(SUBJECTS)).flatmap(lambda name: st.tuples(st.just(name), histories(name)))


def compare(bench: Bench, name: str, request: Request, known: Known, story: object) -> Answer:
    one, other = bench.court.answers(request, name)
    if one != other:
        small = bench.court.smallest(request, name)
        one, other = bench.court.answers(small, name)
        raise AssertionError(f"{name} on {story}\n{small}\n{one}\n{other}")
    bench.statuses[request.path.split("?")[0].split("/")[1], one.status] += 1
    assert one.status != 500, (request, one)
    if request.operation is not None:
        assert b'"INTERNAL"' not in one.body, (request, one)
        known.learn(one.json())
    if one.tag():
        known.tags.append(one.tag() or "")
    return one


def test_the_law(bench: Bench, request: pytest.FixtureRequest) -> None:
    count = PAIRS["opa" if "opa" in request.node.name else "embedded"] * (10 if SOAK else 1)

    @settings(
        max_examples=count, deadline=None, derandomize=not SOAK, phases=(Phase.explicit, Phase.generate), database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, seed=st.integers(0, 2**32))
    def holds(case: tuple[str, list[object]], seed: int) -> None:
        name, history = case
        subject = SUBJECTS[name]
        pair = make_pair(bench.access, bench.validator, history, subject)
        bench.pairs += 1
        bench.differing += pair.differs
        bench.court.open(pair)
        random = Random(seed)
        documents = [e.draft.document for e in pair.whole.journal.all]
        known = Known.of(history, documents, random)
        schema = bench.writer.schema
        plain = iter(Walker(random, known, subject))
        for _ in range(OPERATIONS):
            compare(bench, name, bench.writer.query(random, known), known, history)
        for _ in range(2):
            compare(bench, name, bench.writer.mutation(random, known, "validate"), known, history)
        for _ in range(PLAIN):
            compare(bench, name, next(plain), known, history)

    holds()
    print(bench.pairs, bench.differing, bench.statuses)
    print("unasked", sorted(bench.writer.fields - set(bench.writer.asked)))


def test_values_are_known_for_every_scalar_arguments_take(bench: Bench) -> None:
    assert bench.writer.input_scalars() <= set(Values.SCALARS)
