"""What goes wrong while writing: killed processes, full disks, a graph that cannot be written, writers in a race."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from samples import BASE, STEWARD, producer, product, register
from sqlalchemy import event

from fairmesh.catalog import Catalog, Settings, rdf, rebuild
from fairmesh.catalog import document as documents
from fairmesh.catalog.errors import (
    ConfigError,
    Conflict,
    InputError,
    StorageUnavailable,
    WorkerFailed,
)
from fairmesh.catalog.graph import OxigraphGraph
from fairmesh.catalog.model import LineageDirection, Outcome, PageRequest, SearchOrder, Submission
from fairmesh.catalog.workers import Pool

SALES = producer("sales")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """One mesh for all tests that leave it working; each uses product keys of its own."""
    folder = tmp_path_factory.mktemp("faults")
    opened = Catalog.open(Settings.read({"data": folder / "data", "workers": 2}, environment={}))
    yield opened
    opened.close()


def submit(catalog: Catalog, *data: bytes) -> list[Outcome]:
    return catalog.register(SALES, [Submission(d) for d in data], channel="http")


def keys(catalog: Catalog, text: str) -> set[str]:
    with catalog.view(STEWARD, channel="http") as view:
        found = view.search(
            text, types=None, filter=None, order=SearchOrder.RELEVANCE, langs=None, page=PageRequest(first=100)
        )
        return {hit.iri.removeprefix(BASE) for hit in found.page.items}


def digests(catalog: Catalog) -> tuple[str, str, str]:
    return catalog.graph.digest(), catalog.search.digest(), catalog.lineage.digest()


# -- kill -9 ----------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from samples import product, register
from fairmesh.catalog import Catalog, Settings
catalog = Catalog.open(Settings.read({"data": Path(sys.argv[1]), "workers": 1}, environment={}))
start = int(sys.argv[3])
for batch in range(start, start + 1000):
    names = [f"sales.p{batch}x{n}" for n in range(3)]
    register(catalog, *(product(name, sources=["sales.p0x0/data"] if name != "sales.p0x0" else ()) for name in names))
    print(*names, flush=True)
"""


def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half(tmp_path: Path) -> None:
    settings = Settings.read({"data": tmp_path / "data", "workers": 1}, environment={})
    acknowledged: set[str] = set()
    for start, lines in ((0, 2), (5000, 4)):
        command = [sys.executable, "-c", WRITER, str(settings.data), str(Path(__file__).parent.parent), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                acknowledged.update(writer.stdout.readline().split())
            writer.send_signal(signal.SIGKILL)  # in the middle of the next batch
            acknowledged.update(writer.stdout.read().split())
    assert len(acknowledged) >= 18

    catalog = Catalog.open(settings)
    stored = {p.key for p in catalog.registry.live()}
    assert acknowledged <= stored
    for key in stored:
        expected = documents.read(
            product(key, sources=["sales.p0x0/data"] if key != "sales.p0x0" else ()), None, BASE
        ).nquads
        assert rdf.canonical(catalog.graph.graph(BASE + key)) == expected
    with catalog.view(STEWARD, channel="http") as view:
        downstream = view.lineage(
            BASE + "sales.p0x0/data", direction=LineageDirection.DOWNSTREAM, depth=1, max_nodes=10_000, types=None
        )
    assert {n.iri for n in downstream.nodes} == {f"{BASE}{key}/data" for key in stored}
    before = digests(catalog)
    catalog.close()
    assert rebuild(settings).same
    again = Catalog.open(settings)
    assert digests(again) == before
    assert keys(again, "p5000x0 data") & {"sales.p5000x0", "sales.p5000x0/data"}
    again.close()


# -- disks ------------------------------------------------------------------------------------------------------------


@contextmanager
def full_journal(catalog: Catalog) -> Iterator[None]:
    """SQLite refuses to let the journal grow: its own error for a full disk."""
    engine = catalog.journal._database.engine

    def shrink(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # the size it has, when that is more

    def lift(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1073741823")

    event.listen(engine, "checkout", shrink)
    try:
        yield
    finally:
        event.remove(engine, "checkout", shrink)
        event.listen(engine, "checkout", lift)


def test_a_full_disk_refuses_the_write_and_reads_go_on(mesh: Catalog) -> None:
    register(mesh, product("sales.full", title="Before the flood"))
    big = b'<sales.full> <http://purl.org/dc/terms/abstract> "' + os.urandom(100_000).hex().encode() + b'" .'
    changed = product("sales.full", title="After the flood") + big
    with full_journal(mesh):
        outcome = submit(mesh, changed)[0]
        assert isinstance(outcome.error, StorageUnavailable)
        assert outcome.error.remedy
        assert "sales.full" in keys(mesh, "before flood")
    assert submit(mesh, changed)[0].revision == 2
    assert "sales.full" in keys(mesh, "after flood")


class Broken:
    """A fault injected into one method of the graph: it raises while `on`."""

    def __init__(self, graph: object, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        self.on = True
        whole = graph.replace  # type: ignore[attr-defined]

        def replace(product: str, nquads: bytes, seq: int) -> None:
            if self.on:
                raise error
            whole(product, nquads, seq)

        monkeypatch.setattr(graph, "replace", replace)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("store broken")])
def test_a_graph_that_fails_after_the_journal_is_caught_up_by_the_next_write(
    mesh: Catalog, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    name = type(error).__name__.lower()
    broken = Broken(mesh.graph, monkeypatch, error)
    first, second = submit(mesh, product(f"sales.{name}-a"), product(f"sales.{name}-b"))
    for outcome in (first, second):
        assert isinstance(outcome.error, StorageUnavailable)
        assert "stored" in outcome.error.message
    assert keys(mesh, name) == set()
    assert mesh.ready()["search"] == "behind"
    blocked = submit(mesh, product(f"sales.{name}-c"))[0]
    assert isinstance(blocked.error, StorageUnavailable)
    assert "nothing stored" in blocked.error.message

    broken.on = False
    outcomes = submit(mesh, product(f"sales.{name}-a"), product(f"sales.{name}-b"), product(f"sales.{name}-c"))
    assert [(o.change, o.revision) for o in outcomes] == [("unchanged", 1), ("unchanged", 1), ("created", 1)]
    assert {f"sales.{name}-{x}" for x in "abc"} <= keys(mesh, name)
    assert mesh.ready()["search"] == mesh.ready()["graph"] == "ok"


def test_a_graph_that_fails_after_the_journal_is_caught_up_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.read({"data": tmp_path / "data", "workers": 1}, environment={})
    catalog = Catalog.open(settings)
    Broken(catalog.graph, monkeypatch, OSError(28, "No space left on device"))
    assert isinstance(submit(catalog, product("sales.late"))[0].error, StorageUnavailable)
    with pytest.raises(StorageUnavailable):
        catalog.retire(SALES, BASE + "sales.late", channel="http")
    catalog.close()

    with monkeypatch.context() as patched:
        patched.setattr(OxigraphGraph, "load", lambda self, _, seq: catalog.graph.replace("", b"", seq))
        with pytest.raises(StorageUnavailable, match="brought up to date"):
            Catalog.open(settings)
    again = Catalog.open(settings)  # the failed start let go of the folder
    assert "sales.late" in keys(again, "late")
    again.close()


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be used"):
        Catalog.open(Settings.read({"data": tmp_path / "file", "workers": 1}, environment={}))


# -- workers ----------------------------------------------------------------------------------------------------------


def end(*pools: Pool) -> int:
    workers = [worker for pool in pools for worker in tuple(pool._alive)]
    for worker in workers:
        worker.process.kill()
        worker.process.wait()
    return len(workers)


def test_children_killed_between_calls_are_replaced(mesh: Catalog) -> None:
    register(mesh, product("sales.idle"))
    end(mesh._intake._parsers)
    end(mesh.rulings.current.validator.processes)
    assert [o.change for o in register(mesh, product("sales.idle", title="Still there"))] == ["updated"]


def test_children_killed_in_the_middle_cost_at_most_one_document(mesh: Catalog) -> None:
    register(mesh, product("sales.warm"))
    done = threading.Event()
    killed = 0

    def kill() -> None:
        nonlocal killed
        while not done.wait(0.3):
            killed += end(mesh._intake._parsers, mesh.rulings.current.validator.processes)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        outcomes = submit(mesh, *(product(f"sales.mid{n}") for n in range(30)))
    finally:
        done.set()
        killer.join()
    assert killed
    for outcome in outcomes:
        assert outcome.error is None or isinstance(outcome.error, WorkerFailed | InputError)
        assert outcome.error is None or outcome.error.remedy
    retried = submit(mesh, *(product(f"sales.mid{n}") for n in range(30)))
    assert [o.error for o in retried] == [None] * 30


def test_a_pool_outlives_what_happens_to_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(1, memory=2**31, first_imports=("fairmesh.catalog.document",))
    with pytest.raises(WorkerFailed, match="died") as died:
        pool.call(os._exit, 3, timeout=60)
    assert (died.value.code, bool(died.value.remedy)) == ("worker-died", True)
    with pytest.raises(WorkerFailed, match="too much memory"):
        pool.call(bytearray, 2**33, timeout=60)
    assert pool.call(len, b"abc", timeout=60) == 3
    assert end(pool) == 1
    with monkeypatch.context() as patched:

        def refuse(*_: object, **__: object) -> None:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        patched.setattr(subprocess, "Popen", refuse)
        with pytest.raises(WorkerFailed, match="cannot be started"):
            pool.call(len, b"abc", timeout=60)
        with pytest.raises(WorkerFailed, match="cannot be started"):
            pool.start()
    pool.start()
    assert pool.call(len, b"abc", timeout=60) == 3
    pool.close()
    with pytest.raises(WorkerFailed, match="closed"):
        pool.call(len, b"abc", timeout=60)


def test_an_interrupted_call_does_not_answer_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(1)
    assert pool.call(len, b"abc", timeout=60) == 3
    worker = next(iter(pool._alive))

    monkeypatch.setattr(worker, "calls", Interrupted(worker.calls))
    with pytest.raises(KeyboardInterrupt):
        pool.call(len, b"abc", timeout=60)
    assert pool.call(len, b"abcd", timeout=60) == 4
    pool.close()


class Interrupted:
    """A connection on which Ctrl-C arrives while an answer is waited for."""

    def __init__(self, calls: object) -> None:
        self.send = calls.send  # type: ignore[attr-defined]
        self.close = calls.close  # type: ignore[attr-defined]

    def poll(self, _: float) -> bool:
        raise KeyboardInterrupt


def test_a_fault_of_ours_ends_one_document_and_not_the_call(mesh: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mesh._authorize

    def faulty(subject: object, attempt: object, *rest: object) -> None:
        if attempt.document.key == "sales.unlucky":  # type: ignore[attr-defined]
            raise KeyError("a bug")
        whole(subject, attempt, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(mesh, "_authorize", faulty)
    unlucky, lucky = submit(mesh, product("sales.unlucky"), product("sales.lucky"))
    assert isinstance(unlucky.error, WorkerFailed)
    assert unlucky.error.remedy
    assert lucky.change == "created"


# -- races ------------------------------------------------------------------------------------------------------------


def test_two_products_that_want_one_key_at_the_same_time(mesh: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are approved before either is stored."""
    together, first = threading.Barrier(2), threading.Semaphore(2)
    whole = mesh._commit

    def commit(subject: object, attempts: list[object]) -> None:
        if first.acquire(blocking=False):
            together.wait(timeout=60)
        whole(subject, attempts)  # type: ignore[arg-type]

    monkeypatch.setattr(mesh, "_commit", commit)
    inside = product("sales.wanted")
    outside = inside.replace(b"<sales.wanted", b"<https://sales.example/wanted")
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda d=d: outcomes.extend(submit(mesh, d))) for d in (inside, outside)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {o.change for o in outcomes} == {"created", None}
    assert [type(o.error) for o in outcomes if o.error is not None] == [Conflict]
    assert len([p for p in mesh.registry.live() if p.key == "sales.wanted"]) == 1


def test_readers_never_see_half_a_product(mesh: Catalog) -> None:
    """Graph, search and lineage of one view tell of the same revision, whatever is being written."""
    versions = {
        n: product("sales.flip", title=f"Flip{n}", sources=[f"sales.source{n}/data"], columns=[f"c{n}"])
        for n in range(2)
    }
    register(mesh, product("sales.source0"), product("sales.source1"), versions[0])
    done = threading.Event()
    seen: set[tuple[str, ...]] = set()

    def read() -> None:
        while not done.is_set():
            with mesh.view(STEWARD, channel="http") as view:
                titles = [view.label(BASE + "sales.flip")]
                for n in range(2):
                    hits = view.search(
                        f"flip{n}", types=None, filter=None, order=SearchOrder.RELEVANCE, langs=None,
                        page=PageRequest(),
                    ).page.items  # fmt: skip
                    titles += [f"Flip{n}"] * (BASE + "sales.flip" in {h.iri for h in hits})
                walk = view.lineage(
                    BASE + "sales.flip/data", direction=LineageDirection.UPSTREAM, depth=1, max_nodes=9, types=None
                )
                titles += [f"Flip{e.source[-6]}" for e in walk.edges]
                titles += [f"Flip{n}" for n in range(2) if view.column(f"{BASE}sales.flip/data/column/c{n}")]
            seen.add(tuple(titles))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(1, 21):
        register(mesh, versions[turn % 2])
    done.set()
    for reader in readers:
        reader.join()
    assert seen <= {("Flip0",) * 4, ("Flip1",) * 4}
    assert seen
