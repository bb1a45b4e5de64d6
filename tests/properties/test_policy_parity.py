"""Laws of the policy: both engines give the same answers, and adding a deny never shows more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opa import NOW, POLICIES, opa_server

from fairmesh.catalog.access import Access, EmbeddedEngine, OpaEngine, PolicySet
from fairmesh.catalog.model import CLASSIFICATIONS, AccessKey, Action, Need, Subject

HOSTILE = [
    "steward\0",
    '","allow":true,"x":"',
    "\ud800",
    "\u2028",
    "\x7f",
    "${input}",
    "`",
    "\\",
    '"',
    "e\u0301",
    "𝒳",
    "*",
    "",
]
words = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))


def usually(*usual: str) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), st.sampled_from(usual), words)


def some_of(*usual: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(usually(*usual), max_size=3).map(tuple)


domains = ("sales", "hr", "caf\u00e9")
teams = ("crew", "http://x/id/team/crew", "other")
subjects = st.builds(
    Subject,
    id=usually("ana"),
    kind=usually("user", "service", "anonymous"),
    roles=some_of("analyst", "producer", "steward", "auditor"),
    teams=some_of(*teams),
    domains=some_of(*domains),
    clearance=usually(*CLASSIFICATIONS),
    purpose=st.one_of(st.none(), words),
)
keys = st.builds(
    AccessKey,
    domain=usually(*domains),
    classification=usually(*CLASSIFICATIONS),
    status=usually("build", "retired"),
    tags=some_of("pii", "frozen"),
    owner=usually(*teams),
    members=some_of(*teams),
)
actions = st.sampled_from(list(Action))
questions = st.lists(st.tuples(actions, keys), min_size=1, max_size=12)
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def embedded() -> Iterator[Access]:
    policies = PolicySet.load()
    access = Access(EmbeddedEngine(policies, chunk_seconds=20), policies)
    yield access
    access.close()


@pytest.fixture(scope="module")
def remote() -> Iterator[Access]:
    policies = PolicySet.load()
    with opa_server(POLICIES) as url:
        access = Access(OpaEngine(url, policies, chunk_seconds=20, scope_seconds=60), policies)
        yield access
        access.close()


@pytest.fixture(scope="module")
def stricter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    folder: Path = tmp_path_factory.mktemp("stricter")
    for path in (POLICIES / "fairmesh").rglob("*.rego"):
        if not path.name.endswith("_test.rego"):
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "org" / "x").mkdir(parents=True)
    (folder / "org" / "x" / "extra.rego").write_text(
        'package fairmesh.org.x\n\ndeny contains {"id": id, "reason": "frozen"} if {\n'
        '\tsome id, r in input.resources\n\t"frozen" in r.tags\n}\n'
    )
    policies = PolicySet.load(folder)
    access = Access(EmbeddedEngine(policies, chunk_seconds=20), policies)
    yield access
    access.close()


@relaxed
@given(subject=subjects, asked=questions)
def test_both_engines_agree(
    embedded: Access, remote: Access, subject: Subject, asked: list[tuple[Action, AccessKey]]
) -> None:
    here = embedded.decide_many(subject, asked, channel="http", now=NOW)
    assert here == remote.decide_many(subject, asked, channel="http", now=NOW)


@relaxed
@given(subject=subjects, listed=st.lists(keys, max_size=12))
def test_adding_a_deny_never_enlarges(
    embedded: Access, stricter: Access, subject: Subject, listed: list[AccessKey]
) -> None:
    wide = embedded.scope(subject, listed, channel="http", now=NOW).grants
    narrow = stricter.scope(subject, listed, channel="http", now=NOW).grants
    assert not (narrow & ~wide).any()
    assert not any(narrow[i].any() for i, key in enumerate(listed) if "frozen" in key.tags)


@relaxed
@given(subject=subjects, asked=questions, data=st.data())
def test_answers_do_not_depend_on_company(
    embedded: Access, subject: Subject, asked: list[tuple[Action, AccessKey]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(asked))))
    together = embedded.decide_many(subject, asked, channel="http", now=NOW)
    shuffled = embedded.decide_many(subject, [asked[i] for i in order], channel="http", now=NOW)
    assert [together[i] for i in order] == shuffled
    alone = data.draw(st.integers(0, len(asked) - 1))
    assert embedded.decide(subject, *asked[alone], channel="http", now=NOW) == together[alone]


@relaxed
@given(subject=subjects, listed=st.lists(keys, min_size=1, max_size=12), cut=st.integers(0, 12))
def test_a_scope_grown_step_by_step_equals_one_made_at_once(
    embedded: Access, subject: Subject, listed: list[AccessKey], cut: int
) -> None:
    embedded.scope(subject, listed[:cut], channel="cli", now=NOW)
    grown = embedded.scope(subject, listed, channel="cli", now=NOW)
    at_once = embedded.scope(subject, listed, channel="graphql", now=NOW)
    assert grown.grants.tolist() == at_once.grants.tolist()
    assert all(bits == 0 or bits & Need.DISCOVER for bits in grown.grants.tolist())
    assert all(bits & Need.READ == Need.READ for bits in grown.grants.tolist() if bits & 0b111110)


@relaxed
@given(subject=subjects, key=keys)
def test_no_hostile_subject_changes_anything(embedded: Access, subject: Subject, key: AccessKey) -> None:
    known = {"analyst", "producer", "steward", "auditor"}
    for action in (Action.REGISTER, Action.RETIRE, Action.GOVERN):
        decision = embedded.decide(subject, action, key, channel="http", now=NOW)
        if decision.allowed:
            assert set(subject.roles) <= known
            assert subject.kind in ("user", "service")
            assert "steward" in subject.roles if action is Action.GOVERN else key.domain in subject.domains
