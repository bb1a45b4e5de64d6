"""Policies over GraphQL: who may ask, what is answered, and that a published policy is there to stay."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import serving
from served import SUBJECTS, Mesh, document, served

from fairmesh.catalog.model import Subject, Submission
from fairmesh.catalog.policing import read_folder
from fairmesh.catalog.policyfiles import POLICIES

SHIPPED = {path: body.decode() for path, body in read_folder(POLICIES).items()}
CLOSED = """package fairmesh.domains.sales

deny contains {"id": id, "reason": "closed"} if {
	some id, resource in input.resources
	resource.classification == "internal"
}
"""
SECRET = "<https://w3id.org/fairmesh/classification/restricted>"
POLICY_LIST = "query($at: DateTime) { policies(asOf: $at) { id name path version description tests publishedBy } }"
DECIDE = """query($subject: JSON, $resource: ID!, $action: Action!) {
  decide(subject: $subject, resource: $resource, action: $action) { action allowed reasons policy revision } }"""
WHO = "query($product: String!) { whoCanSee(product: $product) { subjects { ids } decisions { action allowed } } }"
EXPLAIN = """query($actor: String!, $key: String!) { explain(actor: $actor, action: READ_METADATA, key: $key) {
  decision { allowed reasons } facts rules { file row rule value } } }"""
IMPACT = """impact {
  widens changes { action gains partial count examples subjects { ids roles } } replay { decisions toDeny } }"""
PROPOSE = f"""mutation($input: ProposePoliciesInput!) {{
  proposePolicies(input: $input) {{ {IMPACT} errors {{ code message path }} clientMutationId }} }}"""
PUBLISH = f"""mutation($input: PublishPoliciesInput!) {{ publishPolicies(input: $input) {{
  published unchanged revision {IMPACT} clientMutationId
  errors {{ code message path ... on InputError {{ line }} ... on Forbidden {{ decision {{ reasons }} }} }} }} }}"""


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with served(tmp_path / "data") as made:
        yield made


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that no test of this module changes."""
    with served(tmp_path_factory.mktemp("still") / "data") as made:
        yield made


def node_id(letter: str, mesh: Mesh, iri: str) -> str:
    """The global id of a node; see `Operation.id`."""
    base = mesh.catalog.iri_base
    text = letter + iri.removeprefix(base) if iri.startswith(base) else letter.upper() + iri
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def files(texts: dict[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "content": text} for path, text in texts.items()]


def publish(mesh: Mesh, role: str | None, texts: dict[str, str], **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = mesh.data(PUBLISH, role, input={"files": files(texts), **more})["publishPolicies"]
    return answer


def id_of(mesh: Mesh, key: str, role: str = "steward") -> str:
    found: str = mesh.data("query($key: String) { dataProduct(key: $key) { id } }", role, key=key)["dataProduct"]["id"]
    return found


NOTHING_FOR_OTHERS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "policies": (POLICY_LIST, [{}, {"at": "2020-01-01T00:00:00Z"}]),
    "whoCanSee": (WHO, [{"product": key} for key in ("sales.orders", "hr.salaries", "hr.nothing", "\0")]),
    "explain": (
        EXPLAIN,
        [{"actor": a, "key": k} for a in ("ann", "nobody") for k in ("sales.orders", "hr.salaries", "hr.no")],
    ),
}


@pytest.mark.parametrize("name", NOTHING_FOR_OTHERS)
@pytest.mark.parametrize("role", ["analyst", "sales", None])
def test_who_may_not_govern_learns_nothing(still: Mesh, role: str | None, name: str) -> None:
    query, asked = NOTHING_FOR_OTHERS[name]
    bodies = [still.ask(query, role, **variables) for variables in asked]
    assert all(body["errors"][0]["extensions"]["code"] == "FORBIDDEN" for body in bodies)
    assert len({str(body) for body in bodies}) == 1


def test_deciding_for_others_needs_govern_whatever_the_node(still: Mesh) -> None:
    ids = [id_of(still, "sales.orders"), id_of(still, "hr.salaries"), "bm8", ""]
    other = {"id": "x", "kind": "user"}
    for subject in (other, {}, [], {"id": "x", "kind": "user", "rights": "all"}):
        bodies = {
            str(still.ask(DECIDE, "analyst", subject=subject, resource=id, action="DISCOVER")["errors"]) for id in ids
        }
        assert len(bodies) == 1
        assert "FORBIDDEN" in bodies.pop()


def test_deciding_for_oneself_is_what_the_viewer_can(still: Mesh) -> None:
    orders = id_of(still, "sales.orders")
    found = still.ask(DECIDE, "analyst", resource=orders, action="UPDATE")
    assert found["data"]["decide"] == {
        "action": "UPDATE", "allowed": False, "reasons": ["role-may-not"],
        "policy": "data.fairmesh.access.decisions", "revision": found["extensions"]["fairmesh"]["policyRevision"],
    }  # fmt: skip
    hidden, absent = (
        still.ask(DECIDE, "analyst", resource=id, action="DISCOVER") for id in (id_of(still, "hr.salaries"), "bm8")
    )
    assert hidden == absent
    assert hidden["errors"][0]["extensions"]["code"] == "NOT_FOUND"


def test_a_steward_decides_for_anyone(still: Mesh) -> None:
    salaries = id_of(still, "hr.salaries")
    insider = {"id": "x", "kind": "user", "domains": ["hr"], "roles": ["analyst"]}
    for subject, allowed in ((insider, True), ({**insider, "domains": []}, False), (None, True)):
        asked = still.data(DECIDE, "steward", subject=subject, resource=salaries, action="READ_METADATA")
        assert asked["decide"]["allowed"] is allowed
    for wrong, words in (({"id": "x"}, "no kind"), ({**insider, "rights": 1}, "unknown field 'rights'"),
                         (3, "an object"), ({**insider, "roles": "steward"}, "list of texts")):  # fmt: skip
        body = still.ask(DECIDE, "steward", subject=wrong, resource=salaries, action="DISCOVER")
        assert words in body["errors"][0]["message"]
        assert body["errors"][0]["extensions"]["code"] == "INVALID"


def test_a_column_is_decided_as_its_product_masks_it(mesh: Mesh) -> None:
    deals = document("sales.deals", "Deals").replace("fm:position 2 ;", f"fm:position 2 ; fm:classification {SECRET} ;")
    assert mesh.put(deals, "sales").status_code == 201
    outsider = {"id": "x", "kind": "user", "roles": ["analyst"], "clearance": "internal"}
    column = mesh.catalog.iri_base + "sales.deals/data/column/"
    for name, answer in (("id", (True, ["clearance-covers"])), ("a%20b", (False, ["masked"]))):
        id = node_id("r", mesh, column + name)
        found = mesh.data(DECIDE, "steward", subject=outsider, resource=id, action="DISCOVER")["decide"]
        assert (found["allowed"], found["reasons"]) == answer
        assert found["action"] == "DISCOVER"
        asked = {"v": 1, "action": "discover", "resources": {column + name: None}, "subject": outsider}
        told = mesh.client.post("/v1/decisions", json=asked, headers=mesh.headers("steward")).json()[column + name]
        assert (told["allow"], told["reasons"]) == answer


def test_what_a_hidden_product_says_of_an_outside_node_decides_nothing(mesh: Mesh) -> None:
    """Not even for who may govern: a policy may hide products from stewards too."""
    outside = "https://lake.example.org/table"
    hold = CLOSED.replace("sales", "finance").replace('"internal"', '"confidential"')
    mine, theirs = (
        document(key, "Lake", classification=word).replace(f"<{key}/data>", f"<{outside}>")
        for key, word in (("sales.lake", "internal"), ("finance.lake", "confidential"))
    )
    assert mesh.put(mine, "sales").status_code == 201
    assert publish(mesh, "steward", {"domains/finance/hold.rego": hold}, domain="finance")["published"]
    outsider = {"id": "x", "kind": "user", "roles": ["analyst"], "clearance": "internal"}

    def answers() -> list[dict[str, Any]]:
        found = [
            mesh.ask(DECIDE, "steward", subject=outsider, resource=node_id("r", mesh, outside), action=action)["data"]
            for action in ("DISCOVER", "READ_METADATA", "READ_DATA", "UPDATE")
        ]
        return [*found, mesh.ask(WHO, "steward", product="sales.lake")["data"]]

    before = answers()
    assert before[1]["decide"]["allowed"]
    confidential = Subject("fay", "service", ("producer",), ("finance",), ("finance",), "restricted")
    with_hold = publish(mesh, "steward", {}, domain="finance", allowWidening=True)
    assert with_hold["published"]
    done = mesh.catalog.register(confidential, [Submission(theirs.encode())], channel="http")[0]
    assert done.error is None
    assert publish(mesh, "steward", {"domains/finance/hold.rego": hold}, domain="finance")["published"]
    hidden = mesh.ask(WHO, "steward", product="finance.lake")
    assert hidden["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert answers() == before


def test_the_policies_in_force_and_on_a_date(still: Mesh) -> None:
    body = still.ask(POLICY_LIST, "steward")
    found = {policy["path"]: policy for policy in body["data"]["policies"]}
    assert set(found) == {path for path in SHIPPED if path.endswith(".rego") and "_test" not in path}
    assert {p["version"] for p in found.values()} == {body["extensions"]["fairmesh"]["policyRevision"]}
    decisions = found["fairmesh/access/decisions.rego"]
    assert decisions["name"] == "fairmesh.access"
    assert decisions["description"].startswith("One decision per resource.")
    assert (decisions["tests"], decisions["publishedBy"]) == (8, "fairmesh")
    node = "query($id: ID!) { node(id: $id) { ... on Policy { path source } } }"
    assert still.data(node, "steward", id=decisions["id"])["node"] == {
        "path": decisions["path"], "source": SHIPPED[decisions["path"]],
    }  # fmt: skip
    assert still.data(node, "analyst", id=decisions["id"])["node"] is None
    assert still.data(POLICY_LIST, "steward", at="2020-01-01T00:00:00Z")["policies"] == []
    assert len(still.data(POLICY_LIST, "steward", at="2999-01-01T00:00:00Z")["policies"]) == len(found)


def test_who_can_see_a_product(still: Mesh) -> None:
    for name in ("hr.salaries", "http://localhost/id/hr.salaries", id_of(still, "hr.salaries")):
        found = {
            tuple(row["subjects"]["ids"]): {d["action"] for d in row["decisions"] if d["allowed"]}
            for row in still.data(WHO, "steward", product=name)["whoCanSee"]
        }
        assert found[("setup",)] == {"DISCOVER", "READ_METADATA", "READ_DATA", "REGISTER", "UPDATE", "RETIRE"}
        assert found[("stu",)] == {"DISCOVER", "READ_METADATA", "READ_DATA"}
        assert found[("anonymous",)] == found[("ann",)] == set()
    body = still.ask(WHO, "steward", product="hr.nothing")
    assert body["errors"][0]["extensions"]["code"] == "NOT_FOUND"


def test_why_an_actor_may_or_may_not(still: Mesh) -> None:
    (found,) = still.data(EXPLAIN, "steward", actor="ann", key="hr.salaries")["explain"]
    assert found["decision"] == {"allowed": False, "reasons": ["not-cleared"]}
    assert found["facts"]["subject"]["clearance"] == SUBJECTS["analyst"].clearance
    assert found["facts"]["resources"]["k0"]["classification"] == "restricted"
    fired = {rule["rule"].rpartition(".")[2]: rule for rule in found["rules"]}
    assert fired["shortfall"]["value"] == "not-cleared"
    assert SHIPPED[fired["shortfall"]["file"]].splitlines()[fired["shortfall"]["row"] - 1].startswith("shortfall(")
    body = still.ask(EXPLAIN, "steward", actor="nobody", key="hr.salaries")
    assert body["errors"][0]["extensions"]["code"] == "NOT_FOUND"


def test_a_domain_team_closes_its_products_and_everyone_sees_that_at_once(mesh: Mesh) -> None:
    listing = "{ dataProducts { totalCount nodes { key } } service { policyRevision } }"
    before = mesh.ask(listing, "analyst")
    assert before["data"]["dataProducts"]["totalCount"] == 5
    proposed = mesh.data(PROPOSE, "steward", input={
        "files": files({"domains/sales/closed.rego": CLOSED}), "domain": "sales", "clientMutationId": "1",
    })["proposePolicies"]  # fmt: skip
    assert (proposed["errors"], proposed["clientMutationId"]) == ([], "1")
    assert not proposed["impact"]["widens"]
    assert proposed["impact"]["replay"]["decisions"] > proposed["impact"]["replay"]["toDeny"] > 0
    losses = {(c["action"], *c["subjects"]["ids"]): c for c in proposed["impact"]["changes"] if not c["gains"]}
    assert losses["READ_METADATA", "ann"]["examples"] == ["sales.customers", "sales.orders"]
    assert ("GOVERN", "sam") not in losses
    assert mesh.ask(listing, "analyst") == before

    done = publish(mesh, "sales", {"domains/sales/closed.rego": CLOSED}, domain="sales")
    assert (done["published"], done["errors"]) == (True, [])
    assert {c["subjects"] for c in map(dict, done["impact"]["changes"]) if c["subjects"]} == set()
    after = mesh.ask(listing, "analyst")
    assert after["extensions"]["fairmesh"]["policyRevision"] == done["revision"]
    assert after["data"]["service"]["policyRevision"] == done["revision"]
    assert [node["key"] for node in after["data"]["dataProducts"]["nodes"]] == [
        "finance.margin", "finance.revenue", "ops.calendar",
    ]  # fmt: skip
    refused = mesh.put("", "sales")
    assert refused.status_code == 400

    again = publish(mesh, "sales", {"domains/sales/closed.rego": CLOSED}, domain="sales")
    assert (again["published"], again["unchanged"], again["revision"]) == (False, True, done["revision"])
    back = publish(mesh, "sales", {}, domain="sales")
    assert back["errors"][0]["code"] == "INVALID"
    assert back["impact"]["widens"]
    assert publish(mesh, "sales", {}, domain="sales", allowWidening=True)["published"]
    assert mesh.ask(listing, "analyst")["data"] == {
        **before["data"], "service": {"policyRevision": before["extensions"]["fairmesh"]["policyRevision"]},
    }  # fmt: skip


def test_what_is_refused_is_said_and_changes_nothing(mesh: Mesh) -> None:
    digest = mesh.catalog.policy_digest
    refused = publish(mesh, "steward", {**SHIPPED, "org/acme/bad.rego": "package fairmesh.org.acme\n\nx := nope(1)\n"})
    (error,) = refused["errors"]
    assert (error["code"], error["path"], error["line"]) == ("INVALID", ["input", "files"], 3)
    assert "org/acme/bad.rego" in error["message"]
    twice = mesh.data(PUBLISH, "steward", input={"files": files({"a.rego": ""}) * 2})["publishPolicies"]
    assert "given twice" in twice["errors"][0]["message"]
    forbidden = [
        mesh.data(PUBLISH, "analyst", input={"files": files(texts), "domain": domain})["publishPolicies"]["errors"]
        for texts in ({}, SHIPPED, {"domains/sales/closed.rego": CLOSED}) for domain in ("sales", "nowhere", None)
    ]  # fmt: skip
    assert all(found == forbidden[0] for found in forbidden)
    assert forbidden[0][0]["code"] == "FORBIDDEN"
    dry = publish(mesh, "sales", {"domains/sales/closed.rego": CLOSED}, domain="sales", dryRun=True)
    assert (dry["published"], dry["unchanged"], dry["errors"]) == (False, False, [])
    assert dry["revision"] != digest
    assert mesh.catalog.policy_digest == digest


def test_an_acknowledged_policy_survives_kill_9(tmp_path: Path) -> None:
    variables = {"input": {"files": files({"domains/sales/closed.rego": CLOSED}), "domain": "sales"}}
    with serving(tmp_path / "data") as server:
        client = server.client(server.token("stu", "--role", "steward", "--clearance", "restricted"))
        answer = client.graphql(PUBLISH, variables)["publishPolicies"]
        assert answer["published"], answer["errors"]
        server.kill()
    with serving(tmp_path / "data") as server:
        client = server.client(server.token("stu", "--role", "steward", "--clearance", "restricted"))
        found = client.graphql(POLICY_LIST, {})["policies"]
        assert {policy["version"] for policy in found} == {answer["revision"]}
        assert "domains/sales/closed.rego" in {policy["path"] for policy in found}
