"""Governing a running mesh over real sockets: rules that come by date, waivers that end, sets that are replaced in the
middle of everything, and a server that is killed while it judges."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from governing import COST, SHIPPED_FILES, SPATIAL, Rule, later, org, until
from running import Server, serving
from served import Mesh, document, listening, served

from fairmesh.api.client import Client, Outgoing
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import EntryKind

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
TURN = datetime(2027, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
PUBLISH = """mutation($files: [RuleFileInput!]!) { publishRules(input: {files: $files, allowRemoving: true}) {
  published digest problems { message } errors { message } } }"""
STANDS = """query($key: String!, $asOf: DateTime) {
  dataProduct(key: $key) { conformance { conforms shapesVersion } }
  search(filter: {conforms: false}, first: 50) { nodes { iri } facets(fields: [CONFORMS]) { buckets { key count } } }
  governance(asOf: $asOf) { products conforming pending shapesVersion failed { rule products }
    byShape { key products violations waived findings } }
  changes(kinds: [CONFORMANCE_CHANGED], first: 200) { nodes { at conforms resource { iri } } }
}"""


def sent(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    return [{"path": path, "content": body.decode()} for path, body in files.items()]


class Service:
    def __init__(self, mesh: Mesh, url: str, now: list[datetime]) -> None:
        self.mesh, self.url, self.now = mesh, url, now

    def post(self, path: str, role: str, content: str | bytes, kind: str = "text/turtle") -> httpx.Response:
        headers = {"content-type": kind, **self.mesh.headers(role)}
        return httpx.post(self.url + path, content=content, headers=headers, timeout=120)

    def ask(self, query: str, role: str = "analyst", **variables: object) -> Any:
        body = json.dumps({"query": query, "variables": variables})
        answer = self.post("/graphql", role, body, "application/json").json()
        assert "errors" not in answer, answer
        return answer["data"]

    def publish(self, files: Mapping[str, bytes]) -> str:
        done = self.ask(PUBLISH, "steward", files=sent(files))["publishRules"]
        assert done["errors"] == []
        assert done["published"]
        digest: str = done["digest"]
        return digest

    def stands(self, key: str, **asked: object) -> Any:
        until(lambda: self.ask("{ governance { pending } }")["governance"]["pending"] == 0)
        return self.ask(STANDS, key=key, **asked)

    def rule(self, found: Any, name: str) -> Any:
        return next((row for row in found["governance"]["byShape"] if row["key"] == f"org/acme/{name}"), None)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    now = [START]
    with served(tmp_path / "data", clock=lambda: now[0]) as mesh, listening(mesh.app) as url:
        yield Service(mesh, url, now)


KEY = "sales.returns"
RETURNS = document(KEY, "Returns")
IRI = "http://localhost/id/" + KEY


def test_a_rule_goes_from_a_warning_to_a_gate_on_its_day(service: Service) -> None:
    service.publish(org(later(COST, "2027-01-01")))
    accepted = service.post("/products", "sales", RETURNS)
    assert accepted.status_code == 201
    report = accepted.json()["report"]
    assert report["conforms"]
    assert [f["severity"] for f in report["findings"] if f["rule"] == "org/acme/cost"] == ["WARNING"]
    service.now[0] = TURN - TICK
    before = service.stands(KEY)
    assert before["dataProduct"]["conformance"]["conforms"]
    assert before["search"]["nodes"] == []
    assert service.rule(before, "cost")["violations"] == 0
    told = len(before["changes"]["nodes"])
    service.now[0] = TURN
    after = service.stands(KEY)
    assert not after["dataProduct"]["conformance"]["conforms"]
    assert IRI in [node["iri"] for node in after["search"]["nodes"]]
    assert {b["key"]: b["count"] for b in after["search"]["facets"][0]["buckets"]} == {
        "false": after["governance"]["products"]
    }
    assert service.rule(after, "cost")["violations"] == service.rule(after, "cost")["products"]
    mine = [c for c in after["changes"]["nodes"][told:] if c["resource"]["iri"] == IRI]
    assert [(c["at"], c["conforms"]) for c in mine] == [("2027-01-01T00:00:00Z", False)]
    past = service.stands(KEY, asOf=(TURN - TICK).isoformat())["governance"]
    assert (past["conforming"], past["products"]) == (past["products"], past["products"])
    refused = service.post("/products", "sales", RETURNS.replace("Returns table", "Returned"))
    assert refused.status_code == 422
    (gating,) = [f for f in refused.json()["report"]["findings"] if f["severity"] == "VIOLATION"]
    assert gating["rule"] == "org/acme/cost"
    assert "Meet the rule cost." in json.dumps(gating)
    mended = RETURNS + COST.met.format(k=KEY)
    assert service.post("/products", "sales", mended).status_code == 200
    assert service.stands(KEY)["dataProduct"]["conformance"]["conforms"]


GRANT = """mutation($input: GrantWaiverInput!) { grantWaiver(input: $input) { waiver { id } errors { message } } }"""


def test_a_waiver_ends_and_the_product_conforms_no_more(service: Service) -> None:
    assert service.post("/products", "sales", RETURNS).status_code == 201
    service.publish(org(COST))
    assert not service.stands(KEY)["dataProduct"]["conformance"]["conforms"]
    asked = {"key": KEY, "rule": "org/acme/cost", "reason": "costs are being sorted out", "expiresAt": TURN.isoformat()}
    assert service.ask(GRANT, "steward", input=asked)["grantWaiver"]["errors"] == []
    held = service.stands(KEY)
    assert held["dataProduct"]["conformance"]["conforms"]
    assert IRI not in [node["iri"] for node in held["search"]["nodes"]]
    assert service.rule(held, "cost")["violations"] == service.rule(held, "cost")["products"] - 1
    service.now[0] = TURN - TICK
    assert service.stands(KEY)["dataProduct"]["conformance"]["conforms"]
    service.now[0] = TURN
    ended = service.stands(KEY)
    assert not ended["dataProduct"]["conformance"]["conforms"]
    assert IRI in [node["iri"] for node in ended["search"]["nodes"]]

    def told() -> list[bool]:
        return [c["conforms"] for c in service.stands(KEY)["changes"]["nodes"] if c["resource"]["iri"] == IRI]

    until(lambda: len(told()) == 3)
    assert told() == [False, True, False]
    assert service.stands(KEY)["changes"]["nodes"][-1]["at"] == "2027-01-01T00:00:00Z"
    assert service.post("/products", "sales", RETURNS.replace("Returns table", "Other")).status_code == 422


REGISTER = """mutation($content: String!) { register(input: {metadata: {content: $content}}) {
  created errors { code } report { conforms shapesVersion results { nodes { shape { version } } } } } }"""
COUNT, WRITERS = 200, 8


def registered(service: Service, number: int) -> tuple[datetime, datetime, set[str], bool]:
    """When it was asked and answered, the rule sets that the answer names, and whether it was stored."""
    text = document(f"sales.n{number}", f"Number {number}")
    begun = datetime.now(UTC)
    if number % 2:
        answer = service.post("/products", "sales", text)
        assert answer.status_code in (201, 422), answer.text
        named, stored = {answer.json()["report"]["ruleset"]}, answer.status_code == 201
    else:
        done = service.ask(REGISTER, "sales", content=text)["register"]
        named = {done["report"]["shapesVersion"]}
        named |= {node["shape"]["version"] for node in done["report"]["results"]["nodes"] if node["shape"]}
        stored = done["created"]
    return begun, datetime.now(UTC), named, stored


def test_a_set_published_among_registrations_leaves_each_under_exactly_one(tmp_path: Path) -> None:
    with served(tmp_path / "data") as mesh, listening(mesh.app) as url:
        service = Service(mesh, url, [])
        sets = [org(SPATIAL), org(COST), SHIPPED_FILES]
        with ThreadPoolExecutor(WRITERS + 1) as threads:
            writing: list[Future[tuple[datetime, datetime, set[str], bool]]] = []
            share = COUNT // (len(sets) + 1)
            for files in (*sets, None):  # each is published in the middle of a share of its own
                more = [threads.submit(registered, service, len(writing) + number) for number in range(share)]
                wait(more, return_when=FIRST_COMPLETED)
                if files is not None:
                    service.publish(files)
                writing += more
            answers = [each.result() for each in writing]
        rules = list(mesh.catalog.journal.entries(kinds=[EntryKind.RULES]))
        spans = [
            (
                entry.draft.at,
                (rules[n + 1].draft.at if n + 1 < len(rules) else datetime.now(UTC)),
                entry.draft.detail["digest"],
            )
            for n, entry in enumerate(rules)
        ]
        assert len(spans) == 1 + len(sets)
        for begun, ended, named, _ in answers:
            (digest,) = named
            slack = timedelta(seconds=1)  # a set is in force from its journaling on, its time is taken before
            assert any(digest == each and start <= ended and end + slack >= begun for start, end, each in spans)
        in_force = ""
        stored = 0
        for entry in mesh.catalog.journal.entries():
            if entry.draft.kind is EntryKind.RULES:
                in_force = entry.draft.detail["digest"]
            elif entry.draft.kind is EntryKind.REGISTER:
                assert entry.draft.ruleset == in_force
                stored += entry.draft.key.startswith("sales.n")
        assert stored == sum(done for *_, done in answers)
        assert 0 < stored < COUNT
        assert len({next(iter(named)) for _, _, named, _ in answers}) > 1


MANY = 300
PRODUCER = ("--role", "producer", "--domain", "sales", "--clearance", "internal")


def publish(client: Client, files: Mapping[str, bytes]) -> str:
    done = client.graphql(PUBLISH, {"files": sent(files)})["publishRules"]
    assert done["published"], done
    return str(done["digest"])


def verdicts(data: Path, digest: str) -> int:
    """How many chunks of the pass by this rule set are journaled."""
    with closing(Journal.open(data, create=False)) as journal:
        kept = journal.entries(kinds=[EntryKind.CONFORMANCE])
        return sum(entry.draft.detail["edition"].startswith(digest) and "upto" in entry.draft.detail for entry in kept)


def head(server: Server) -> int:
    with closing(sqlite3.connect(server.data / "journal.sqlite")) as journal:
        found: int = journal.execute("SELECT seq FROM head").fetchone()[0]
        return found


OVERVIEW = "{ governance { products conforming pending byShape { key products violations findings } } }"


def test_judging_that_is_killed_is_completed_after_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        writer, steward = (
            server.token("w", *PRODUCER),
            server.token("s", "--role", "steward", "--clearance", "restricted"),
        )
        for start in range(0, MANY, 50):
            texts = [document(f"sales.n{n}", f"Number {n}") for n in range(start, start + 50)]
            texts = [t + COST.met.format(k=f"sales.n{start + n}") * (n % 3 == 0) for n, t in enumerate(texts)]
            server.client(writer).batch([Outgoing(text, "text/turtle") for text in texts], dry_run=False)
        digest = publish(server.client(steward), org(COST))
        written = head(server)
        until(lambda: head(server) > written)  # one chunk is kept
        server.kill()
    done = verdicts(data, digest)
    with serving(data) as again:
        client = again.client(steward)
        until(lambda: client.graphql(OVERVIEW, {})["governance"]["pending"] == 0)
        found = client.graphql(OVERVIEW, {})["governance"]
        broken = sum(n % 50 % 3 != 0 for n in range(MANY))
        assert (found["products"], found["conforming"]) == (MANY, MANY - broken)
        (row,) = [row for row in found["byShape"] if row["key"] == "org/acme/cost"]
        assert (row["products"], row["violations"]) == (broken, broken)
    assert verdicts(data, digest) >= max(done, 2)


SLOW = Rule(
    "slow",
    """sh:sparql [ sh:prefixes <http://example.org/p> ; sh:message "Meet the rule slow."@en ; sh:select \"\"\"
SELECT $this WHERE {
  { $this <http://purl.org/dc/terms/accrualPolicy> "bad" } UNION
  { $this <http://purl.org/dc/terms/accrualPolicy> "slow" . ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o
    FILTER(CONCAT(STR(?c), STR(?f), STR(?i), STR(?l), STR(?o)) = "never") } }\"\"\" ]""".replace(
        "sh:prefixes <http://example.org/p> ; ", ""
    ),
    broken='<{k}> dct:accrualPolicy "bad" .',
)  # fmt: skip


def test_a_rule_that_does_not_end_refuses_nobody_and_is_told_of(service: Service) -> None:
    service.publish(org(SLOW))
    accepted = service.post("/products", "sales", RETURNS + f'<{KEY}> dct:accrualPolicy "slow" .')
    assert accepted.status_code == 201, accepted.text
    assert [failure["rule"] for failure in accepted.json()["report"]["failed"]] == ["org/acme/slow"]
    overview = service.ask("{ governance { failed { rule products } } }", "sales")["governance"]
    assert overview["failed"] == [{"rule": "org/acme/slow", "products": 1}]
    assert service.post("/products", "sales", document("sales.other", "Other")).status_code == 201
