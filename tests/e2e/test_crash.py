"""kill -9 of a real server while a client registers: what was acknowledged is there, whole, and nothing is half."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from running import Server, fairmesh, serving
from samples import product

from fairmesh.api.client import Outgoing, Unreachable
from fairmesh.catalog import rdf
from fairmesh.catalog.document import read

BASE = "http://localhost/id/"
BATCH = 5
PRODUCER = ("--role", "producer", "--domain", "ops", "--clearance", "restricted")
PAGE = """query($after: String) { dataProducts(first: 200, after: $after) {
  pageInfo { hasNextPage endCursor } nodes { key id revisions { nodes { number } } } } }"""
UPSTREAM = """query($id: ID!) { lineage(id: $id, input: {direction: UPSTREAM, depth: 1}) { edges { from to } } }"""


UNRELATED = 3
"""Entries a new journal has before any product: its beginning, the rules and the policy."""


def key(number: int) -> str:
    return f"ops.step-{number:04}"


def document(number: int) -> bytes:
    """Product `number` of a chain, derived from the one before; its title holds a word no other has."""
    sources = (f"{key(number - 1)}/data",) if number else ()
    columns = tuple(f"column_{n}" for n in range(1, number % 7 + 2))
    return product(key(number), title=f"Step word{number:04}", sources=sources, columns=columns)


def head(journal: sqlite3.Connection) -> int:
    found: int = journal.execute("SELECT seq FROM head").fetchone()[0]
    return found


def write_until_killed(server: Server, token: str, kill_after: int, moment: str) -> tuple[int, int]:
    """Send batches without a pause and kill the server while the next one after `kill_after` products is under way.

    `moment` is `sent` (at once, while it is read and judged) or `stored` (the journal has it, and the graph, search and
    lineage may not yet). Gives the number of products acknowledged, and of entries in the journal before that batch.
    """
    client = server.client(token)
    acknowledged = 0
    enough = threading.Event()
    before = 0

    def killer() -> None:
        nonlocal before
        assert enough.wait(60)
        with closing(sqlite3.connect(server.data / "journal.sqlite")) as journal:
            before = head(journal)
            while moment == "stored" and head(journal) == before:
                pass
        server.kill()

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        for start in range(0, 5_000, BATCH):
            sent = [Outgoing(document(n).decode(), "text/turtle") for n in range(start, start + BATCH)]
            results = client.batch(sent, dry_run=False)
            assert [result["change"] for result in results] == ["created"] * BATCH
            acknowledged += BATCH
            if acknowledged >= kill_after:
                enough.set()
    except Unreachable:
        return acknowledged, before
    finally:
        enough.set()
        thread.join()
    raise AssertionError("the server outlived its killing")


def products(server: Server, token: str) -> dict[str, Mapping[str, Any]]:
    """Every product there is, by key."""
    found: dict[str, Mapping[str, Any]] = {}
    after = None
    while True:
        page = server.client(token).graphql(PAGE, {"after": after})["dataProducts"]
        found |= {node["key"]: node for node in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def check_whole(server: Server, token: str, number: int, node: Mapping[str, Any]) -> None:
    """The product is what was sent: statements, revision, search, lineage."""
    client = server.client(token)
    served = client.document(key(number), rdf.TURTLE)
    assert read(served, rdf.TURTLE, BASE).nquads == read(document(number), rdf.TURTLE, BASE).nquads
    assert [revision["number"] for revision in node["revisions"]["nodes"]] == [1]
    hits = client.graphql(
        "query($text: String) { search(text: $text) { totalCount nodes { iri } } }", {"text": f"word{number:04}"}
    )["search"]
    assert hits == {"totalCount": 1, "nodes": [{"iri": BASE + key(number)}]}
    assert len(client.graphql(UPSTREAM, {"id": node["id"]})["lineage"]["edges"]) == (1 if number else 0)


@pytest.mark.parametrize(("kill_after", "moment"), [(BATCH, "sent"), (2 * BATCH, "stored"), (6 * BATCH, "stored")])
def test_what_was_acknowledged_survives_kill_9_whole(kill_after: int, moment: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        token = server.token("producer", *PRODUCER)
        acknowledged, before = write_until_killed(server, token, kill_after, moment)
    assert acknowledged >= kill_after
    with closing(sqlite3.connect(data / "journal.sqlite")) as journal:
        stored = head(journal)
    assert moment == "sent" or stored > before
    with serving(data) as again:
        found = products(again, token)
        present = sorted(found)
        assert len(present) == stored - UNRELATED
        # a batch is one commit: either all of the one under way is there or nothing of it
        assert present in ([key(n) for n in range(count)] for count in (acknowledged, acknowledged + BATCH))
        for number, name in enumerate(present):
            check_whole(again, token, number, found[name])
        assert again.client(token).graphql("{ search { totalCount } }", {})["search"]["totalCount"] == len(present)
        ready = again.run("lineage", key(len(present) - 1), "--upstream", token=token)
        assert f"upstream: {min(100, len(present) - 1)} nodes" in ready.out
        continued = Outgoing(document(len(present)).decode())
        assert again.client(token).batch([continued], dry_run=False)[0]["change"] == "created"
    verified = fairmesh("verify", "--data", data)
    assert (verified.code, verified.out[:4]) == (0, "ok: "), verified
    rebuilt = fairmesh("rebuild", "--data", data)
    digests = re.findall("[0-9a-f]{64}", rebuilt.out)
    assert (rebuilt.code, len(digests)) == (0, 2)
    assert digests[0] == digests[1]
