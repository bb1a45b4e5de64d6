"""Publishing where an OPA server decides: refused until it holds the same modules, and old requests end in peace."""

from __future__ import annotations

import gc
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opa import POLICIES, opa_server

from fairmesh.catalog.access import Access, OpaEngine, PolicySet
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import PolicyUnavailable
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import AccessKey, Action, Draft, Entry, EntryKind, Subject
from fairmesh.catalog.policing import Policies, Publishing, read_folder
from fairmesh.catalog.registry import Registry

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BASE = "http://localhost/id/"
STEWARD = Subject("stu", "service", ("steward",), clearance="restricted")
ANALYST = Subject("ann", "service", ("analyst",), clearance="internal")
INSIDE = AccessKey("sales", "internal", "design")
HOLD = b"""package fairmesh.org.acme

deny contains {"id": id, "reason": "legal-hold"} if {
	some id, resource in input.resources
	resource.status == "design"
}
"""


class Mesh:
    """Journal, policies and publishing over an OPA server."""

    def __init__(self, folder: Path, url: str) -> None:
        self.journal = Journal.open(folder)
        self.journal.append([
            Draft(EntryKind.GENESIS, "", "", 0, b"{}", "", b"", "fairmesh", NOW, "", "", {"iri_base": BASE})
        ])  # fmt: skip
        settings = Settings.read({"data": folder, "opa_url": url, "decision_log": "off"}, environment={})
        self.policies = Policies.open(settings, self.journal, now=NOW)
        self.policies.note("rules")
        self.publishing = Publishing(self.policies, Registry(BASE), self._commit, lambda: "rules", 1, lambda: NOW)

    def _commit(self, draft: Draft, then: Callable[[Entry], None]) -> None:
        then(self.journal.append([draft])[0])

    def close(self) -> None:
        self.policies.close()
        self.journal.close()


@pytest.fixture
def server() -> Iterator[str]:
    with opa_server(POLICIES) as url:
        yield url


@pytest.fixture
def mesh(tmp_path: Path, server: str) -> Iterator[Mesh]:
    made = Mesh(tmp_path / "data", server)
    yield made
    made.close()


def load(server: str, name: str, module: bytes) -> None:
    request = urllib.request.Request(f"{server}/v1/policies/{name}", module, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer) == {}


def reads(access: Access) -> bool:
    return access.decide(ANALYST, Action.READ_METADATA, INSIDE, channel="http", now=NOW).allowed


def opa_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "opa"}


def test_everything_is_refused_until_the_server_holds_what_was_published(mesh: Mesh, server: str) -> None:
    assert reads(mesh.policies.access)
    files = {**read_folder(POLICIES), "org/acme/hold.rego": HOLD}
    done = mesh.publishing.publish(STEWARD, files, channel="http")
    assert mesh.policies.access.policy_digest == done.digest
    for ask in (lambda: reads(mesh.policies.access), lambda: mesh.publishing.publish(STEWARD, files, channel="http")):
        with pytest.raises(PolicyUnavailable):
            ask()
    assert mesh.policies.access.bundle(STEWARD, now=NOW).allowed  # which is how the server comes to hold it
    load(server, "hold", HOLD)
    assert not reads(mesh.policies.access)


def test_requests_under_way_end_with_the_engine_they_began_with(mesh: Mesh, server: str) -> None:
    before = opa_threads()
    held = mesh.policies.access
    assert reads(held)
    mesh.publishing.publish(STEWARD, {**read_folder(POLICIES), "org/acme/hold.rego": HOLD}, channel="http")
    (old,), (new,) = before, opa_threads() - before
    assert reads(held)
    assert held.scope(ANALYST, [INSIDE], channel="http", now=NOW).grants[0] & 1
    del held
    gc.collect()
    old.join(30)  # it ends by itself: nobody waits for it
    assert opa_threads() == {new}


def test_an_engine_may_be_closed_in_its_own_thread(server: str) -> None:
    before = opa_threads()
    engine = OpaEngine(server, PolicySet.load())
    assert engine.evaluate([]) == []
    (thread,) = opa_threads() - before
    engine._loop.call_soon_threadsafe(engine.close)
    thread.join(30)
    assert not thread.is_alive()
    engine.close()


def test_a_refused_policy_leaves_no_engine_behind(mesh: Mesh) -> None:
    before = opa_threads()
    files = read_folder(POLICIES)
    assert mesh.publishing.publish(STEWARD, {**files, "org/acme/hold.rego": HOLD}, channel="http", dry_run=True)
    gc.collect()
    assert opa_threads() == before
    assert reads(mesh.policies.access)
