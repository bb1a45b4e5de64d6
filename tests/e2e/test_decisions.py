"""`POST /v1/decisions`: what is asked, what is answered, and who may ask for whom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import product
from served import BASE, Mesh, served

from fairmesh.catalog.errors import PolicyUnavailable
from fairmesh.catalog.model import Action

PLAIN = {"mask_columns": [], "hide_fields": [], "row_filter": None}
ABSENT = {"allow": False, "reasons": ["no-decision"], "obligations": PLAIN}
DEALS = BASE + "sales.deals"
OTHER = {"id": "eve", "kind": "user", "roles": ["analyst"], "teams": [], "domains": [], "clearance": "internal"}
MADE_UP = {"type": "product", "domain": "sales", "classification": "restricted", "tags": [], "status": "consume",
           "is_owner": False, "is_member": False}  # fmt: skip


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with served(tmp_path_factory.mktemp("mesh")) as made:
        deals = product("sales.deals", columns=("id",), masked=("card",)).decode()
        plans = product("finance.plans", classification="confidential").decode()
        assert [made.put(deals, "sales").status_code, made.put(plans, "finance").status_code] == [201, 201]
        yield made


def ask(mesh: Mesh, role: str | None, action: str, resources: object, **more: object) -> httpx.Response:
    body = {"v": 1, "action": action, "resources": resources, **more}
    return mesh.client.post("/v1/decisions", json=body, headers=mesh.headers(role))


def decided(mesh: Mesh, role: str | None, action: str, *ids: str, **more: object) -> dict[str, Any]:
    answer = ask(mesh, role, action, dict.fromkeys(ids), **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["fairmesh-policy-revision"] == mesh.catalog.policy_digest
    found: dict[str, Any] = answer.json()
    assert list(found) == list(ids)
    return found


def test_a_batch_for_oneself(mesh: Mesh) -> None:
    found = decided(mesh, "analyst", "read_metadata", "sales.orders", "finance.plans", "hr.salaries", "no.such")
    assert found == {
        "sales.orders": {"allow": True, "reasons": ["clearance-covers"],
                         "obligations": PLAIN | {"mask_columns": ["confidential", "restricted"]}},
        "finance.plans": {"allow": False, "reasons": ["not-cleared"], "obligations": PLAIN},
        "hr.salaries": ABSENT,
        "no.such": ABSENT,
    }  # fmt: skip
    assert decided(mesh, "analyst", "discover", "finance.plans")["finance.plans"]["allow"]
    assert decided(mesh, None, "read_data", "ops.calendar", "sales.orders") == {
        "ops.calendar": {"allow": True, "reasons": ["clearance-covers"],
                         "obligations": PLAIN | {"mask_columns": ["internal", "confidential", "restricted"]}},
        "sales.orders": ABSENT,
    }  # fmt: skip


def test_the_example_of_the_guide(mesh: Mesh) -> None:
    question, answer = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs" / "enforcement.md").read_text("utf-8"), re.DOTALL
    )
    asked = json.loads(question)
    assert ask(mesh, "analyst", asked["action"], asked["resources"]).json() == json.loads(answer)


@pytest.mark.parametrize("action", Action)
def test_hidden_missing_and_retired_read_alike(mesh: Mesh, action: str) -> None:
    gone = product("ops.gone").decode()
    ids = (
        "hr.salaries",
        "no.such",
        BASE + "hr.salaries",
        BASE + "hr.salaries/data",
        BASE + "no.such/data",
        "",
        "x:y z",
    )
    assert mesh.put(gone, "sales").status_code == 403
    assert set(map(json.dumps, decided(mesh, "analyst", action, *ids).values())) == {json.dumps(ABSENT)}


def test_parts_follow_their_product(mesh: Mesh) -> None:
    data, card = DEALS + "/data", DEALS + "/data/column/card"
    ids = ("sales.deals", DEALS, data, data + "/column/id", card)
    for action in ("discover", "read_metadata", "read_data"):
        found = decided(mesh, "analyst", action, *ids)
        assert [found[id]["allow"] for id in ids] == [True, True, True, True, False], action
        assert found[card] == ABSENT, "the asker's own masked column is not there"
        found = decided(mesh, "sales", action, *ids)
        assert [found[id]["allow"] for id in ids] == [True] * 5, action
    assert [d["allow"] for d in decided(mesh, "sales", "update", *ids).values()] == [True] * 5
    other = decided(mesh, "steward", "read_data", *ids, subject=OTHER)
    assert [other[id]["allow"] for id in ids] == [True, True, True, True, False]
    assert other[card]["reasons"] == ["masked"]


def test_discovering_a_product_shows_no_part_of_it(mesh: Mesh) -> None:
    ids = ("finance.plans", BASE + "finance.plans/data", BASE + "finance.plans/data/column/id")
    other = decided(mesh, "steward", "discover", *ids, subject=OTHER)
    assert [other[id]["allow"] for id in ids] == [True, False, False]
    own = decided(mesh, "analyst", "discover", *ids)
    assert [own[id]["allow"] for id in ids] == [True, False, False]


def test_nodes_of_no_product_are_not_asked_about(mesh: Mesh) -> None:
    ids = (BASE + "domain/sales", BASE + "term/order", "https://creativecommons.org/licenses/by/4.0/")
    assert list(decided(mesh, "steward", "discover", *ids).values()) == [ABSENT] * 3


def test_what_takes_the_govern_action(mesh: Mesh) -> None:
    questions: list[dict[str, Any]] = [
        {"resources": {"sales.orders": None}, "subject": OTHER},
        {"resources": {"no.such": {}}, "subject": OTHER},
        {"resources": {}, "subject": {"id": "ann", "kind": "service", "roles": ["analyst"], "clearance": "restricted"}},
        {"resources": {"x": MADE_UP}},
        {"resources": {"x": {"domain": "sales", "classification": "public"}, "sales.orders": None}},
        {"resources": {"sales.orders": None}, "context": {"channel": "bundle"}},
        {"resources": {"sales.orders": None}, "context": {"now_ns": 0}},
    ]
    for question in questions:
        refused = [ask(mesh, role, "read_data", **question) for role in (None, "analyst", "sales")]
        assert {answer.status_code for answer in refused} == {403}
        assert {answer.json()["detail"] for answer in refused} == {
            "asking for another subject, channel or moment, or about made-up facts, needs the govern action"
        }
        assert refused[0].json()["decision"]["reasons"] == ["role-may-not"]
        assert ask(mesh, "steward", "read_data", **question).status_code == 200


def test_made_up_facts_are_decided_as_the_policy_would(mesh: Mesh) -> None:
    shared = {"a": MADE_UP, "b": MADE_UP | {"is_owner": True}, "c": {"domain": "x", "classification": "public"}}
    found = ask(mesh, "steward", "read_data", shared, subject=OTHER).json()
    assert {id: (d["allow"], d["reasons"]) for id, d in found.items()} == {
        "a": (False, ["not-cleared"]), "b": (True, ["team-owns"]), "c": (True, ["clearance-covers"]),
    }  # fmt: skip
    policy = MADE_UP | {"type": "policy", "domain": ""}
    assert ask(mesh, "steward", "govern", {"p": policy}).json()["p"]["reasons"] == ["role-steward"]
    assert ask(mesh, "steward", "discover", {"p": MADE_UP | {"type": "planet"}}).json()["p"]["reasons"] == [
        "unknown-type"
    ]


@pytest.mark.parametrize("text", ["sa\0les", "x\n", "e\u0301", "x" * 600, '","classification":"public'])
def test_hostile_facts_never_allow(mesh: Mesh, text: str) -> None:
    for change in ({"domain": text}, {"classification": text}, {"status": text}, {"type": text}, {"tags": [text]}):
        assert not ask(mesh, "steward", "discover", {"x": MADE_UP | change}, subject=OTHER).json()["x"]["allow"]
    for name in ("id", "clearance", "kind"):
        answer = ask(mesh, "steward", "discover", {"x": MADE_UP}, subject=OTHER | {name: text})
        assert not answer.json()["x"]["allow"]


def test_the_own_purpose_may_be_stated(mesh: Mesh) -> None:
    own = {"id": "sam", "kind": "service", "roles": ["producer"], "teams": ["sales"], "domains": ["sales"],
           "clearance": "internal", "purpose": "analytics"}  # fmt: skip
    assert decided(mesh, "sales", "read_data", "sales.orders", subject=own)["sales.orders"]["allow"]
    assert ask(mesh, "sales", "read_data", {}, subject=own | {"domains": ["sales", "hr"]}).status_code == 403


BAD: dict[str, tuple[object, str]] = {
    "a list": ([], "the body is not an object"),
    "no action": ({"v": 1, "resources": {}}, "the body has no action"),
    "another version": ({"v": 2, "action": "discover", "resources": {}}, "v is not 1"),
    "true for a version": ({"v": True, "action": "discover", "resources": {}}, "v is not 1"),
    "an unknown action": ({"v": 1, "action": "destroy", "resources": {}}, "unknown action 'destroy'"),
    "an action that is no text": ({"v": 1, "action": ["govern"], "resources": {}}, "action is not a text"),
    "an unknown field": ({"v": 1, "action": "discover", "resources": {}, "who": 1}, "unknown field 'who'"),
    "a list of resources": ({"v": 1, "action": "discover", "resources": ["a"]}, "resources is not an object"),
    "a resource that is a text": ({"v": 1, "action": "discover", "resources": {"a": "b"}}, "'a' is not an object"),
    "a resource that is false": ({"v": 1, "action": "discover", "resources": {"a": False}}, "'a' is not an object"),
    "an unknown fact": (
        {"v": 1, "action": "discover", "resources": {"a": MADE_UP | {"colour": "red"}}}, "unknown field 'colour'",
    ),
    "a fact of another type": (
        {"v": 1, "action": "discover", "resources": {"a": MADE_UP | {"is_owner": "true"}}}, "is_owner of resource 'a'",
    ),
    "tags that are a text": (
        {"v": 1, "action": "discover", "resources": {"a": MADE_UP | {"tags": "pii"}}}, "tags of resource 'a'",
    ),
    "a subject without a kind": (
        {"v": 1, "action": "discover", "resources": {}, "subject": {"id": "x"}}, "subject has no kind",
    ),
    "an unknown field of the subject": (
        {"v": 1, "action": "discover", "resources": {}, "subject": OTHER | {"age": 7}}, "unknown field 'age'",
    ),
    "roles of numbers": (
        {"v": 1, "action": "discover", "resources": {}, "subject": OTHER | {"roles": [2**70]}},
        "roles of subject is not a text",
    ),
    "an unknown channel": (
        {"v": 1, "action": "discover", "resources": {}, "context": {"channel": "radio"}}, "channel of context",
    ),
    "a time before 1970": (
        {"v": 1, "action": "discover", "resources": {}, "context": {"now_ns": -1}}, "now_ns of context",
    ),
    "an unknown context": (
        {"v": 1, "action": "discover", "resources": {}, "context": {"ip": "::1"}}, "unknown field 'ip'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_questions_that_cannot_be_used_are_refused_by_name(mesh: Mesh, name: str) -> None:
    body, said = BAD[name]
    answer = mesh.client.post("/v1/decisions", json=body, headers=mesh.headers("steward"))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
    assert said in answer.json()["detail"]
    assert answer.json()["remedy"]


def test_limits_and_forms(mesh: Mesh) -> None:
    def post(content: bytes, kind: str = "application/json", **headers: str) -> httpx.Response:
        return mesh.client.post("/v1/decisions", content=content, headers={"Content-Type": kind, **headers})

    assert post(b'{"v":1,\n"action" 1}').json()["line"] == 2
    assert post(b"{}", "text/plain").status_code == 415
    assert post(b'{"v":1,"action":"discover","resources":{"' + b"x" * 65536 + b'":null}}').status_code == 413
    deep = post(b'{"v":1,"action":"discover","resources":{"a":' + b"[" * 20 + b"]" * 20 + b"}}")
    assert (deep.status_code, "16 deep" in deep.json()["detail"]) == (413, True)
    assert post(b"[" * 30_000 + b"]" * 30_000).status_code == 400
    assert post(b"{}", Authorization="Bearer fm_" + "x" * 32).status_code == 401
    assert mesh.client.get("/v1/decisions").status_code == 405
    assert mesh.client.post("/v1/decisions?x=1", json={}).status_code == 400
    many = decided(mesh, "steward", "discover", *(f"sales.p{i}" for i in range(2000)), "sales.orders")
    assert [id for id, decision in many.items() if decision["allow"]] == ["sales.orders"]


def test_without_a_decision_everything_is_refused(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(inputs: Sequence[str]) -> list[object]:
        raise PolicyUnavailable("access policy cannot be evaluated at the moment")

    monkeypatch.setattr(mesh.catalog.access._engine, "evaluate", down)
    answers = [ask(mesh, "analyst", "discover", {id: None}) for id in ("sales.orders", "hr.salaries", "no.such")]
    assert {answer.status_code for answer in answers} == {503}
    assert len({answer.text for answer in answers}) == 1


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=_json
    | st.fixed_dictionaries(
        {"v": st.just(1), "action": st.sampled_from(["discover", "govern"]), "resources": _json},
        optional={"subject": _json, "context": _json},
    )
)
def test_no_body_is_a_fault(mesh: Mesh, body: object) -> None:
    headers = {"Content-Type": "application/json"} | mesh.headers("steward")
    answer = mesh.client.post("/v1/decisions", content=json.dumps(body), headers=headers)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert not any(decision["allow"] for decision in answer.json().values())
