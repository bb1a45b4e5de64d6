"""A real OPA server that polls the service for its bundle, and answers what Trino asks."""

from __future__ import annotations

import gzip
import io
import json
import queue
import re
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import ROOT
from opa import opa_says_of, opa_server
from samples import product
from served import SUBJECTS, Mesh, listening, served
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairmesh.api.app import create_app
from fairmesh.api.auth import Tokens
from fairmesh.catalog import Catalog, Settings
from fairmesh.catalog.model import Subject
from fairmesh.catalog.signing import SigningKey

CLUSTER = "trino://coordinator.example.org:8443"
BUNDLE = "/bundles/access.tar.gz"
LOADER = Subject("loader", "service", ("producer",), (), ("sales", "hr", "finance", "ops"), "restricted")
WAIT = 60
"""Seconds after which something that does not come fails its test."""


def table(key: str, classification: str, *names: str, masked: tuple[str, ...] = ()) -> str:
    """A product with one table that Trino knows by each of these names."""
    name = ", ".join(f'"{name}"' for name in names)
    return product(key, classification=classification, columns=("id", "Note"), masked=masked, extra=f"""
        <{key}> dprod:outputPort <{key}/sql> .
        <{key}/data> dcat:distribution <{key}/table> .
        <{key}/table> a dcat:Distribution ; dcat:accessService <{key}/sql> ; fm:physicalName {name} .
        <{key}/sql> a dcat:DataService ; dct:title "SQL"@en ; dcat:endpointURL <https://lake.example.org/> ;
          fm:namespace "{CLUSTER}" .
    """).decode()  # fmt: skip


TABLES = {
    "sales.deals": table("sales.deals", "internal", "lake.sales.Deals", masked=("card",)),
    "hr.pay": table("hr.pay", "restricted", "lake.hr.pay"),
    "finance.plan": table("finance.plan", "confidential", "lake.finance.plan", "lake.sales.plan"),
    "ops.days": table("ops.days", "public", "lake.ops.days"),
}


@dataclass
class Watched:
    """The application, noting how it answered for the bundle; `change` may alter what it answers."""

    app: ASGIApp
    answers: queue.Queue[int] = field(default_factory=queue.Queue)
    change: Callable[[bytes], bytes] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != BUNDLE:
            await self.app(scope, receive, send)
            return
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, keep)
        start, body = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
        if self.change is not None and start["status"] == 200:
            body = self.change(body)
            start["headers"] = [
                (n, str(len(body)).encode() if n == b"content-length" else v) for n, v in start["headers"]
            ]
        await send(start)
        await send({"type": "http.response.body", "body": body})
        self.answers.put(start["status"])

    def next(self, status: int) -> None:
        """Wait until the service has answered so."""
        while self.answers.get(timeout=WAIT) != status:
            pass


@dataclass
class Polling:
    """A mesh, and an OPA server that takes the bundle from it."""

    mesh: Mesh
    watched: Watched
    tokens: Tokens
    loader: dict[str, str]
    opa: httpx.Client

    def put(self, text: str) -> None:
        made = self.mesh.client.post("/products", content=text, headers={"Content-Type": "text/turtle"} | self.loader)
        assert made.status_code in (200, 201), made.text

    def ask(self, rule: str, user: str, operation: str, **action: Any) -> Any:
        """What the OPA server answers to Trino; None when the rule is undefined."""
        asked = {
            "context": {"identity": {"user": user, "groups": []}, "softwareStack": {"trinoVersion": "480"}},
            "action": {"operation": operation, **action},
        }
        answer = self.opa.post(f"/v1/data/trino/{rule}", json={"input": asked})
        assert answer.status_code == 200, answer.text
        return answer.json().get("result")

    def selects(self, user: str, schema: str, name: str, *columns: str) -> bool:
        place = {"catalogName": "lake", "schemaName": schema, "tableName": name, "columns": list(columns)}
        answer: bool = self.ask("allow", user, "SelectFromColumns", resource={"table": place})
        return answer

    def revision(self) -> str | None:
        found: str | None = self.opa.get("/v1/data/system/bundles/access/manifest/revision").json().get("result")
        return found

    def offered(self) -> str:
        """The revision the service has now."""
        answer = self.mesh.client.get(BUNDLE, headers=self.mesh.headers("steward"))
        return str(answer.headers["etag"].strip('"'))

    def catch_up(self) -> None:
        """Wait until the OPA server has what the service has."""
        wanted, deadline = self.offered(), time.monotonic() + WAIT
        while self.revision() != wanted:
            assert time.monotonic() < deadline, "the OPA server does not take the bundle"
            time.sleep(0.05)  # nothing tells from outside when it has


GUIDE = (ROOT / "docs" / "enforcement.md").read_text("utf-8")


def block(language: str) -> str:
    """The first code block of the guide in this language."""
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


def configuration(folder: Path, service: str, token: str, key: str) -> Path:
    """The configuration that the guide shows, for this service and with a short interval."""
    shown = yaml.safe_load(block("yaml"))
    shown["services"]["mesh"] |= {"url": service, "credentials": {"bearer": {"token": token}}}
    shown["keys"]["fairmesh"]["key"] = key
    shown["bundles"]["access"]["polling"] = {"min_delay_seconds": 1, "max_delay_seconds": 1}
    path = folder / "opa.json"
    path.write_text(json.dumps(shown))
    return path


@pytest.fixture(scope="module")
def polling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Polling]:
    with ExitStack() as stack:
        mesh = stack.enter_context(served(tmp_path_factory.mktemp("mesh")))
        tokens = stack.enter_context(closing(Tokens.open(mesh.catalog.settings.data)))
        loader = {"Authorization": f"Bearer {tokens.create(LOADER)}"}
        watched = Watched(mesh.app)
        url = stack.enter_context(listening(watched))
        key = mesh.client.get("/bundles/key.pem").text
        config = configuration(tmp_path_factory.mktemp("opa"), url, mesh.tokens["steward"], key)
        opa = stack.enter_context(
            httpx.Client(base_url=stack.enter_context(opa_server(config=config)), trust_env=False)
        )
        polling = Polling(mesh, watched, tokens, loader, opa)
        for text in TABLES.values():
            polling.put(text)
        polling.catch_up()
        yield polling


PLACES = (("sales", "deals"), ("finance", "plan"), ("sales", "plan"), ("hr", "pay"), ("ops", "days"), ("ops", "none"))


def test_each_role_reads_the_tables_the_mesh_grants(polling: Polling) -> None:
    assert {user: [polling.selects(user, *place) for place in PLACES] for user in ("ann", "fin", "stu", "who")} == {
        "ann": [True, False, False, False, True, False],  # an analyst, clearance internal
        "fin": [True, True, True, False, True, False],  # a producer of finance
        "stu": [True, True, True, True, True, False],  # a steward, clearance restricted
        "who": [False, False, False, False, True, False],  # nobody the mesh knows
    }


def test_lists_masks_and_row_filters(polling: Polling) -> None:
    tables = [{"table": {"catalogName": "lake", "schemaName": s, "tableName": t}} for s, t in PLACES]
    assert polling.ask("batch", "ann", "FilterTables", filterResources=tables) == [0, 4]
    assert polling.ask("batch", "stu", "FilterTables", filterResources=tables) == [0, 1, 2, 3, 4]
    schemas = [{"schema": {"catalogName": "lake", "schemaName": s}} for s in ("hr", "sales", "finance", "ops")]
    assert polling.ask("batch", "ann", "FilterSchemas", filterResources=schemas) == [1, 3]
    deals = {**tables[0]["table"], "columns": ["card", "id", "note", "undescribed"]}
    assert polling.ask("batch", "ann", "FilterColumns", filterResources=[{"table": deals}]) == [1, 2]
    columns = [{"column": {**tables[0]["table"], "columnName": c, "columnType": "varchar"}} for c in deals["columns"]]
    null = {"expression": "NULL"}
    masks = [{"index": 0, "viewExpression": null}, {"index": 3, "viewExpression": null}]
    assert polling.ask("batchColumnMasks", "ann", "GetColumnMask", filterResources=columns) == masks
    assert polling.ask("batchColumnMasks", "stu", "GetColumnMask", filterResources=columns) == []
    assert polling.ask("columnMask", "ann", "GetColumnMask", resource=columns[0]) == null
    assert polling.ask("columnMask", "ann", "GetColumnMask", resource=columns[1]) is None
    assert polling.ask("rowFilters", "ann", "GetRowFilters", resource=tables[0]) == []
    assert polling.ask("rowFilters", "ann", "GetRowFilters", resource=tables[3]) == [{"expression": "false"}]


def test_the_policy_answers_there_as_it_does_here(polling: Polling) -> None:
    facts = polling.opa.get("/v1/data/fairmesh/catalog/products").json()["result"]
    known = polling.opa.get("/v1/data/fairmesh/subjects").json()["result"]
    assert set(TABLES) < set(facts)
    for user in ("ann", "sam", "fin", "stu"):
        (subject,) = known[user]
        asked = {}
        for key, found in facts.items():
            asked[key] = {name: found[name] for name in ("domain", "classification", "status", "tags")}
            is_owner = found["owner"].rpartition("/")[2] in subject["teams"]
            asked[key] |= {"type": "product", "is_owner": is_owner, "is_member": False}
        question = {"v": 1, "subject": subject, "action": "read_data", "resources": asked,
                    "context": {"now_ns": 0, "channel": "bundle"}}  # fmt: skip
        there = polling.opa.post("/v1/data/fairmesh/access/decisions", json={"input": question}).json()["result"]
        role = next(role for role, made in SUBJECTS.items() if made.id == user)
        body = {"v": 1, "action": "read_data", "resources": dict.fromkeys(asked)}
        here = polling.mesh.client.post("/v1/decisions", json=body, headers=polling.mesh.headers(role)).json()
        seen = {key for key, decision in here.items() if decision["reasons"] != ["no-decision"]}
        assert {key: there[key] for key in seen} == {key: here[key] for key in seen}
        assert not any(there[key]["allow"] for key in set(there) - seen)


def test_the_guide_names_addresses_that_answer(polling: Polling) -> None:
    addresses = dict(
        re.findall(r"^(opa\.policy\S*uri)=http://127\.0\.0\.1:8181(\S+)$", block("properties"), re.MULTILINE)
    )
    assert len(addresses) == 5
    place = {"catalogName": "lake", "schemaName": "hr", "tableName": "pay", "columnName": "id", "columnType": "bigint"}
    for address in addresses.values():
        asked = {"context": {"identity": {"user": "ann"}}, "action": {"operation": "", "resource": {"column": place}}}
        assert "result" in polling.opa.post(address, json={"input": asked}).json(), address


def test_a_poll_without_news_gets_304(polling: Polling) -> None:
    polling.catch_up()
    polling.watched.next(304)
    polling.watched.next(304)


def test_the_next_poll_brings_what_changed(polling: Polling) -> None:
    assert not polling.selects("who", "ops", "fresh")
    polling.put(table("ops.fresh", "public", "lake.ops.fresh"))
    polling.catch_up()
    assert polling.selects("who", "ops", "fresh")
    polling.put(table("ops.fresh", "internal", "lake.ops.fresh"))
    polling.tokens.create(Subject("newcomer", "service", ("analyst",), clearance="internal"))
    polling.catch_up()
    assert [polling.selects(user, "ops", "fresh") for user in ("who", "newcomer")] == [False, True]
    polling.tokens.create(Subject("newcomer", "service", ("analyst",), clearance="public"))
    polling.catch_up()
    assert not polling.selects("newcomer", "ops", "fresh"), "a name with two tokens may do what each of them may"
    polling.tokens.revoke("newcomer")
    gone = polling.mesh.client.request("DELETE", "/products/ops.fresh", headers={"If-Match": "*"} | polling.loader)
    assert gone.status_code == 204
    polling.catch_up()
    assert not polling.selects("ann", "ops", "fresh")


HOLD = """package fairmesh.org.acme

deny contains {"id": id, "reason": "on-hold"} if {
	some id, resource in input.resources
	resource.domain == "ops"
}
"""


def test_the_next_poll_brings_another_policy(polling: Polling) -> None:
    assert polling.selects("ann", "ops", "days")
    catalog, steward = polling.mesh.catalog, SUBJECTS["steward"]
    before = dict(catalog.policies.current.files)
    catalog.publishing.publish(steward, {**before, "org/acme/hold.rego": HOLD.encode()}, channel="http")
    polling.catch_up()
    assert [polling.selects("ann", "ops", "days"), polling.selects("ann", "sales", "deals")] == [False, True]
    catalog.publishing.publish(steward, before, channel="http", allow_widening=True)
    polling.catch_up()
    assert polling.selects("ann", "ops", "days")


# -- bundles that are not what was signed -----------------------------------------------------------------------------


def repacked(content: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """The bundle with other files in it, signature and all else as they were."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    change(files)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()


def cleared(files: dict[str, bytes]) -> None:
    files["data.json"] = files["data.json"].replace(b'"clearance":"internal"', b'"clearance":"restricted"')


TAMPERED: dict[str, Callable[[dict[str, bytes]], object]] = {
    "facts": cleared,
    "a policy": lambda files: files.update({"enforcement/trino.rego": b"package trino\n\nallow := true\n"}),
    "a policy more": lambda files: files.update({"x.rego": b"package trino\n\nallow := true\n"}),
    "a file less": lambda files: files.pop("policies/fairmesh/access/rules.rego"),
    "the revision": lambda files: files.update({".manifest": files[".manifest"].replace(b"revision", b"revision_")}),
    "no signature": lambda files: files.pop(".signatures.json"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_opa_refuses_what_was_not_signed(polling: Polling, name: str, tmp_path: Path) -> None:
    content = polling.mesh.client.get(BUNDLE, headers=polling.mesh.headers("steward")).content
    key = polling.mesh.client.get("/bundles/key.pem").content
    assert opa_says_of(tmp_path, repacked(content, lambda files: None), key) == ""
    said = opa_says_of(tmp_path, repacked(content, TAMPERED[name]), key)
    assert any(word in said for word in ("digest mismatch", "not included in bundle signature", "signature")), said


def test_opa_refuses_another_key(polling: Polling, tmp_path: Path) -> None:
    content = polling.mesh.client.get(BUNDLE, headers=polling.mesh.headers("steward")).content
    other = SigningKey.open(tmp_path / "other.pem").public_pem
    assert "failed to verify" in opa_says_of(tmp_path, content, other)


def test_a_tampered_bundle_never_replaces_a_good_one(polling: Polling) -> None:
    polling.catch_up()
    held = polling.revision()
    assert not polling.selects("ann", "hr", "pay")
    polling.watched.change = lambda body: repacked(body, cleared)
    try:
        polling.put(table("ops.more", "public", "lake.ops.more"))
        polling.watched.next(200)
        polling.watched.next(200)  # it asks for the whole bundle again, so it did not keep what came
        assert polling.revision() == held
        assert not polling.selects("ann", "hr", "pay")
    finally:
        polling.watched.change = None
    polling.catch_up()
    assert polling.selects("who", "ops", "more")


# -- who may have it --------------------------------------------------------------------------------------------------


def test_the_bundle_is_for_those_who_may_read_everything(polling: Polling) -> None:
    mesh = polling.mesh
    assert {role: mesh.client.get(BUNDLE, headers=mesh.headers(role)).status_code
            for role in (None, "analyst", "sales", "finance", "steward")} == {
        None: 403, "analyst": 403, "sales": 403, "finance": 403, "steward": 200,
    }  # fmt: skip
    problem = mesh.client.get(BUNDLE, headers=mesh.headers("analyst")).json()
    assert (problem["code"], problem["decision"]["reasons"]) == ("forbidden", ["not-cleared"])
    assert mesh.client.get(BUNDLE, headers={"Authorization": "Bearer fm_x"}).status_code == 401
    assert mesh.client.get(BUNDLE + "?x=1", headers=mesh.headers("steward")).status_code == 400
    assert mesh.client.post(BUNDLE, headers=mesh.headers("steward")).status_code == 405
    assert mesh.client.get("/bundles/key.pem").text.startswith("-----BEGIN PUBLIC KEY-----")


def test_a_mesh_that_decides_by_the_opa_server_it_feeds(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    key = SigningKey.open(data / "bundle-key.pem").public_pem.decode()
    with ExitStack() as stack:
        tokens = stack.enter_context(closing(Tokens.open(data)))
        headers = {"Authorization": f"Bearer {tokens.create(SUBJECTS['steward'])}"}
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        service = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = configuration(tmp_path, service, headers["Authorization"].removeprefix("Bearer "), key)
        opa = stack.enter_context(opa_server(config=config))
        settings = Settings.read({"data": data, "workers": 1, "opa_url": opa}, environment={})
        catalog = stack.enter_context(closing(Catalog.open(settings)))
        stack.enter_context(listening(create_app(catalog, settings, tokens), listener))
        client = stack.enter_context(httpx.Client(base_url=service, headers=headers, trust_env=False))
        assert client.get(BUNDLE).status_code == 200
        deadline = time.monotonic() + WAIT
        while (ready := client.get("/readyz")).status_code != 200:
            assert time.monotonic() < deadline, ready.text
            time.sleep(0.05)  # nothing tells from outside when the OPA server has the policy
        assert client.get("/products/no.such").status_code == 404, "decided by the OPA server"
