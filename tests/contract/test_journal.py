"""What every journal promises, whatever database is behind it. One suite, run on each adapter."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from fairmesh.catalog import journal as module
from fairmesh.catalog.errors import (
    ConfigError,
    Conflict,
    FairmeshError,
    InputError,
    JournalCorrupt,
    StaleRevision,
    StorageUnavailable,
)
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import Draft, Entry, EntryKind

BASE = "http://localhost/id/"
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)


def genesis() -> Draft:
    return Draft(EntryKind.GENESIS, "", "", 0, b"", "", b"", "system", NOON, "", "", {"iri_base": BASE})


def registration(name: str = "orders", revision: int = 1, document: bytes = b"<a> <b> <c> .\n") -> Draft:
    return Draft(
        kind=EntryKind.REGISTER,
        product=f"{BASE}sales.{name}",
        key=f"sales.{name}",
        revision=revision,
        document=document,
        media_type="text/turtle",
        submitted=b"# as it came\n" + document,
        actor="sales-ci",
        at=NOON,
        ruleset="r" * 64,
        policy="p" * 64,
    )


def moments(drafts: Sequence[Draft], after: datetime = NOON) -> list[Draft]:
    """The drafts at the time a journal gives them when the newest entry is of their time, too."""
    return [replace(draft, at=after + timedelta(microseconds=1)) for draft in drafts]


# -- adapters -------------------------------------------------------------------------------------------------------


@dataclass
class SqliteAdapter:
    """How the suite opens, hinders and tampers with a journal in SQLite."""

    folder: Path

    def open(self) -> Journal:
        return Journal.open(self.folder)

    @contextmanager
    def _on_each_connection(self, journal: Journal, before: str, after: str) -> Iterator[None]:
        engine = journal._database.engine

        def hinder(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(before)

        def lift(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(after)

        event.listen(engine, "checkout", hinder)
        try:
            yield
        finally:
            event.remove(engine, "checkout", hinder)
            event.listen(engine, "checkout", lift)

    @contextmanager
    def disk_full(self, journal: Journal) -> Iterator[None]:
        """SQLite refuses to let the file grow: its own error for a full disk."""
        with self.raw() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
        limits = (f"PRAGMA max_page_count={pages}", "PRAGMA max_page_count=1073741823")
        with self._on_each_connection(journal, *limits):
            yield

    @contextmanager
    def read_only(self, journal: Journal) -> Iterator[None]:
        with self._on_each_connection(journal, "PRAGMA query_only=ON", "PRAGMA query_only=OFF"):
            yield

    @contextmanager
    def locked(self, journal: Journal) -> Iterator[None]:
        """Another process holds the write lock, and nobody waits for it."""
        with (
            self._on_each_connection(journal, "PRAGMA busy_timeout=0", "PRAGMA busy_timeout=5000"),
            self.raw() as connection,
        ):
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.folder / "journal.sqlite", isolation_level=None)) as connection:
            yield connection

    @contextmanager
    def unprotected(self) -> Iterator[sqlite3.Connection]:
        """A connection on which the append-only triggers are gone."""
        with self.raw() as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            yield connection


@pytest.fixture(params=[SqliteAdapter])
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteAdapter:
    made: SqliteAdapter = request.param(tmp_path / "data")
    return made


@pytest.fixture
def journal(adapter: SqliteAdapter) -> Iterator[Journal]:
    opened = adapter.open()
    opened.append([genesis()])
    yield opened
    opened.close()


# -- what goes in comes out -----------------------------------------------------------------------------------------


def test_an_empty_journal(adapter: SqliteAdapter) -> None:
    journal = adapter.open()
    assert journal.head() == (0, "")
    assert journal.iri_base is None
    assert journal.append([]) == []
    assert list(journal.entries()) == list(journal.heads()) == []
    assert journal.verify().ok
    journal.close()


def test_entries_come_back_as_they_went_in(adapter: SqliteAdapter, journal: Journal) -> None:
    drafts = [registration("orders"), registration("orders", 2), registration("returns")]
    written = journal.append(drafts)
    assert [entry.seq for entry in written] == [2, 3, 4]
    assert [entry.draft for entry in written] == moments(drafts)
    assert journal.head() == (4, written[-1].hash)
    assert journal.iri_base == BASE
    journal.close()
    again = adapter.open()
    assert list(again.entries(after=1)) == written
    assert [again.entry(seq) for seq in (0, 1, 2, 5, -1, 2**80)][2:] == [written[0], None, None, None]
    assert again.verify() == module.Verification(4, written[-1].hash)
    again.close()


def test_times_ascend_whatever_the_clock_says(adapter: SqliteAdapter, journal: Journal) -> None:
    hour = timedelta(hours=1)
    told = [NOON + hour, NOON, NOON + hour, NOON + 2 * hour, NOON - hour]
    for number, at in enumerate(told):
        journal.append([replace(registration(f"p{number}"), at=at)])
    one = timedelta(microseconds=1)
    expected = [NOON + hour, NOON + hour + one, NOON + hour + 2 * one, NOON + 2 * hour, NOON + 2 * hour + one]
    assert [entry.draft.at for entry in journal.entries(after=1)] == expected
    assert journal.verify().ok


def test_the_time_is_never_before_what_has_happened_and_a_start_says_so(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    clock = journal.ascending(lambda: NOON)
    assert clock() == NOON
    assert not caplog.records
    later = NOON + timedelta(days=2)
    journal.append([replace(registration(), at=later)])
    assert clock() == later
    assert journal.ascending(lambda: later + timedelta(hours=1))() == later + timedelta(hours=1)
    assert not caplog.records
    journal.ascending(lambda: NOON)
    assert "2 days, 0:00:00 ahead of the clock" in caplog.text


def test_what_is_written_at_once_is_of_one_time(journal: Journal) -> None:
    """Else the gaps between the times of what a reader sees would count what they do not."""
    hour, one = timedelta(hours=1), timedelta(microseconds=1)
    journal.append([replace(registration(f"a{n}"), at=NOON + hour) for n in range(3)])
    journal.append([replace(registration(f"b{n}"), at=NOON) for n in range(3)])
    journal.append([replace(registration(f"c{n}"), at=NOON + 2 * hour * n) for n in range(3)])
    early, late = NOON + hour + one, NOON + hour + 2 * one
    expected = [NOON + hour] * 3 + [early] * 3 + [late, NOON + 2 * hour, NOON + 4 * hour]
    assert [entry.draft.at for entry in journal.entries(after=1)] == expected


def test_the_chain(journal: Journal) -> None:
    journal.append([registration("orders")])
    journal.append([registration("orders", 2), registration("returns")])
    entries = list(journal.entries())
    assert [entry.previous for entry in entries] == ["", *(entry.hash for entry in entries[:-1])]
    assert len({entry.hash for entry in entries}) == 4


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
DRAFTS = st.builds(
    Draft,
    kind=st.sampled_from([EntryKind.REGISTER, EntryKind.RETIRE]),
    product=TEXT.filter(bool),
    key=TEXT.filter(bool),
    revision=st.just(1),
    document=st.binary(),
    media_type=TEXT,
    submitted=st.binary(),
    actor=TEXT,
    at=st.datetimes(datetime(1, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)),
    ruleset=TEXT,
    policy=TEXT,
    detail=st.dictionaries(st.text(), JSON, max_size=3),
)


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    opened = Journal.open(tmp_path_factory.mktemp("journal"))
    opened.append([genesis()])
    yield opened
    assert opened.verify().ok
    opened.close()


@given(DRAFTS)
def test_any_field_comes_back_as_it_went_in(long_lived: Journal, draft: Draft) -> None:
    newest = long_lived.product_head(draft.product)
    last = long_lived.entry(long_lived.head()[0])
    assert last is not None
    draft = replace(draft, revision=newest.draft.revision + 1 if newest else 1)
    (written,) = long_lived.append([draft])
    draft = replace(draft, at=max(draft.at, last.draft.at + timedelta(microseconds=1)))
    read = long_lived.entry(written.seq)
    assert read == written
    assert read.draft == draft
    assert read.draft.at.tzinfo is UTC
    assert long_lived.product_head(draft.product) == written


@given(
    st.lists(st.text("ab12", max_size=3), min_size=7, max_size=7),
    st.lists(st.text("ab12", max_size=3), min_size=7, max_size=7),
)
def test_different_fields_have_different_hashes(one: list[str], other: list[str]) -> None:
    rows = [dict.fromkeys(module.SEALED, b"") | dict(zip(module.SEALED, texts, strict=False)) for texts in (one, other)]
    assert (module._seal(rows[0]) == module._seal(rows[1])) == (one == other)


def test_the_hash_is_what_the_text_says(adapter: SqliteAdapter, journal: Journal) -> None:
    """Recomputed here from the stored columns alone: anyone can check the chain without fairmesh."""
    (written,) = journal.append([registration()])
    with adapter.raw() as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM entry WHERE seq = 2").fetchone()
    data = b"fairmesh journal 1\n"
    for name in module.SEALED:
        value = row[name]
        tag = {int: "i", str: "s", bytes: "b"}[type(value)]
        field = value if isinstance(value, bytes) else str(value).encode()
        data += f"{name} {tag} {len(field)}\n".encode() + field
    assert hashlib.sha256(data).hexdigest() == written.hash
    assert set(row.keys()) == {*module.SEALED, "hash"}


def test_times_are_kept_in_utc(journal: Journal) -> None:
    later = NOON + timedelta(hours=1)
    east = later.astimezone(timezone(timedelta(hours=5, minutes=45)))
    (written,) = journal.append([replace(registration(), at=east)])
    assert written.draft.at == later
    assert written.draft.at.tzinfo is UTC


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": NOON.replace(tzinfo=None)}, {"product": ""}, {"key": ""}, {"revision": 0}, {"revision": -1},
        {"kind": EntryKind.RULES},
        {"actor": "a\0b"}, {"product": "http://x/\ud800"}, {"detail": {"x": float("nan")}}, {"detail": {"x": b""}},
        {"detail": {"x": NOON}},
    ],
)  # fmt: skip
def test_what_would_not_come_back_is_refused(wrong: dict[str, Any], journal: Journal) -> None:
    with pytest.raises(InputError) as caught:
        journal.append([registration("fine"), replace(registration(), **wrong)])
    assert caught.value.remedy
    assert journal.head()[0] == 1


def test_the_first_entry_is_the_genesis_and_no_other(adapter: SqliteAdapter) -> None:
    journal = adapter.open()
    with pytest.raises(Conflict):
        journal.append([registration()])
    with pytest.raises(InputError, match="iri_base"):
        journal.append([replace(genesis(), detail={})])
    journal.append([genesis(), registration()])
    with pytest.raises(Conflict):
        journal.append([genesis()])
    assert journal.head()[0] == 2
    journal.close()


# -- reading --------------------------------------------------------------------------------------------------------


def test_products_and_their_history(journal: Journal) -> None:
    for revision in (1, 2, 3):
        journal.append([registration("orders", revision), registration("returns", revision)])
    retirement = replace(registration("orders", 4), kind=EntryKind.RETIRE, document=b"", submitted=b"")
    journal.append([retirement])
    orders = f"{BASE}sales.orders"
    head = journal.product_head(orders)
    assert head is not None
    assert head.draft == replace(retirement, at=NOON + timedelta(microseconds=4))
    assert [entry.draft.revision for entry in journal.product_history(orders)] == [4, 3, 2, 1]
    assert [entry.draft.revision for entry in journal.product_history(orders, first=2, after=4)] == [3, 2]
    assert journal.product_history(orders, first=5, after=1) == []
    assert len(journal.product_history(orders, first=2**70, after=2**70)) == 4
    assert [(entry.seq, entry.draft.key) for entry in journal.heads()] == [(7, "sales.returns"), (8, "sales.orders")]
    with pytest.raises(InputError):
        journal.product_history(orders, first=-1)


@pytest.mark.parametrize("text", ["", "nowhere", "\ud800", "a\0b", "' OR 1=1 --"])
def test_what_is_not_there_is_not_found(text: str, journal: Journal) -> None:
    assert journal.product_head(text) is None
    assert journal.product_history(text) == []


def test_kinds(journal: Journal) -> None:
    rules = Draft(EntryKind.RULES, "", "", 0, b"{}", "application/json", b"", "steward", NOON, "r2", "", {"n": 1})
    journal.append([rules, registration(), replace(rules, detail={"n": 2})])
    newest = journal.last(EntryKind.RULES)
    assert newest is not None
    assert (newest.seq, newest.draft.detail) == (4, {"n": 2})
    assert journal.last(EntryKind.POLICY) is None
    kinds = [EntryKind.GENESIS, EntryKind.RULES]
    assert [entry.seq for entry in journal.entries(kinds=kinds)] == [1, 2, 4]
    assert list(journal.entries(kinds=[])) == []


def test_long_lists_are_read_in_chunks(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append([registration(f"p{number}") for number in range(25)])
    monkeypatch.setattr(module, "_CHUNK_ROWS", 10)
    assert [entry.seq for entry in journal.entries(after=3)] == list(range(4, 27))
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1)
    assert [entry.seq for entry in journal.entries(kinds=[EntryKind.REGISTER])] == list(range(2, 27))
    assert [entry.seq for entry in journal.heads()] == list(range(2, 27))
    assert [entry.seq for entry in journal.entries(after=-5)][:1] == [1]
    assert list(journal.entries(after=2**70)) == []


def test_readers_see_later_entries_but_heads_do_not(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_ROWS", 1)
    journal.append([registration("a"), registration("b")])
    everything, heads = journal.entries(), journal.heads()
    assert (next(everything).seq, next(heads).seq) == (1, 2)
    journal.append([registration("b", 2), registration("c")])
    assert [entry.seq for entry in everything] == [2, 3, 4, 5]
    assert [entry.seq for entry in heads] == [3]


def test_products_are_found_by_index(adapter: SqliteAdapter, journal: Journal) -> None:
    """The partial indexes serve the statements the journal really sends."""
    sent: list[str] = []

    def trace(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(sent.append)

    event.listen(journal._database.engine, "checkout", trace)
    journal.product_head("x")
    list(journal.heads())
    journal.append([registration()])
    with adapter.raw() as connection:
        queries = [statement for statement in sent if statement.startswith("SELECT") and "product !=" in statement]
        plans = {row[3] for query in queries for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")}
    assert len(queries) == 3
    assert all("INDEX" in plan or "SUBQUERY" in plan for plan in plans), plans


# -- compare and set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [1, 2, 4, 2**62])
def test_only_the_next_revision_is_taken(revision: int, journal: Journal) -> None:
    journal.append([registration(revision=1), registration(revision=2)])
    before = journal.head()
    with pytest.raises(StaleRevision) as caught:
        journal.append([registration("other"), registration(revision=revision)])
    error = caught.value
    assert error.iri == f"{BASE}sales.orders"
    assert "revision 2" in error.message
    assert str(revision) in error.message
    assert error.remedy
    assert journal.head() == before
    assert journal.product_head(f"{BASE}sales.other") is None


def test_one_of_two_threads_wins_every_revision(journal: Journal) -> None:
    rounds, barrier = 20, threading.Barrier(2)
    won: list[tuple[int, str]] = []
    lost: list[FairmeshError] = []

    def write(name: str) -> None:
        for revision in range(1, rounds + 1):
            barrier.wait()
            try:
                journal.append([replace(registration(revision=revision), actor=name)])
                won.append((revision, name))
            except StaleRevision as error:
                lost.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(revision for revision, _ in won) == list(range(1, rounds + 1))
    assert len(lost) == rounds
    history = journal.product_history(f"{BASE}sales.orders", first=100)
    assert [(entry.draft.revision, entry.draft.actor) for entry in reversed(history)] == sorted(won)
    assert journal.verify().ok


def test_two_journals_on_one_file_do_not_overwrite_each_other(adapter: SqliteAdapter, journal: Journal) -> None:
    beside = adapter.open()
    beside.append([registration()])
    with pytest.raises(StaleRevision):
        journal.append([registration()])
    journal.append([registration(revision=2)])
    assert beside.head() == journal.head()
    assert beside.verify().count == 3
    beside.close()


def test_readers_go_on_while_a_writer_writes(journal: Journal) -> None:
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not done.is_set():
            seen.append(sum(1 for _ in journal.entries()))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(40):
        journal.append([registration(f"p{number}")])
    done.set()
    for reader in readers:
        reader.join()
    assert all(1 <= count <= 41 for count in seen)
    assert sum(1 for _ in journal.entries()) == 41


# -- durable --------------------------------------------------------------------------------------------------------


def test_commits_are_synced(journal: Journal) -> None:
    """WAL and synchronous=FULL on a connection that writes: each commit is on disk before it returns."""
    with journal._database.transaction(write=True) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


WRITER = """
import sys
from pathlib import Path
from test_journal import registration
from fairmesh.catalog.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
revision = 0 if (head := journal.product_head(registration("p0").product)) is None else head.draft.revision
while True:
    revision += 1
    entries = journal.append([registration(f"p{n}", revision, b"x" * 2000) for n in range(5)])
    print(entries[-1].seq, entries[-1].hash, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_kill_9_keeps_every_acknowledged_entry(acknowledged: int, adapter: SqliteAdapter, journal: Journal) -> None:
    journal.close()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    for _ in range(2):  # the second writer starts on what the first left
        command = [sys.executable, "-c", WRITER, str(adapter.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(acknowledged)]
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.read().splitlines()
        assert child.returncode == -signal.SIGKILL
        promised = [line.split() for line in lines]
        assert len(promised) >= acknowledged
        assert all(len(words) == 2 for words in promised)
        again = adapter.open()
        for seq, digest in promised:
            entry = again.entry(int(seq))
            assert entry is not None
            assert entry.hash == digest
        count = again.verify().count
        assert again.verify().ok
        assert count >= int(promised[-1][0])
        assert (count - 1) % 5 == 0, "a batch is half there"
        again.close()


# -- a disk that refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("obstacle", ["disk_full", "read_only", "locked"])
def test_a_disk_that_refuses_writes_still_serves_reads(obstacle: str, adapter: SqliteAdapter, journal: Journal) -> None:
    journal.append([registration()])
    before = list(journal.entries())
    incompressible = os.urandom(200_000)
    with getattr(adapter, obstacle)(journal):
        for _ in range(2):
            with pytest.raises(StorageUnavailable) as caught:
                journal.append([registration("small"), registration("big", document=incompressible)])
            assert caught.value.remedy
            assert list(journal.entries()) == before
            assert journal.product_head(f"{BASE}sales.orders") == before[-1]
    journal.append([registration("small"), registration("big", document=incompressible)])
    assert journal.head()[0] == 4
    assert journal.verify().ok


FILE_SIZE = """
import resource, sys, os
from pathlib import Path
from test_journal import registration
from fairmesh.catalog.errors import StorageUnavailable
from fairmesh.catalog.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
journal.append([registration()])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
refused = 0
for _ in range(2):
    try:
        journal.append([registration("big", document=os.urandom(300_000))])
    except StorageUnavailable:
        refused += 1
    assert [entry.seq for entry in journal.entries()] == [1, 2]
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
journal.append([registration("big", document=os.urandom(300_000))])
assert journal.verify().ok
print(refused, journal.head()[0])
"""


def test_writes_the_kernel_refuses(adapter: SqliteAdapter, journal: Journal) -> None:
    """A real failing write(2), by the limit on file sizes, in the middle of a transaction."""
    journal.close()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", FILE_SIZE, str(adapter.folder)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (ran.stdout.split(), ran.returncode) == (["2", "3"], 0), ran.stderr


# -- tampering ------------------------------------------------------------------------------------------------------


@pytest.fixture
def chain(adapter: SqliteAdapter, journal: Journal) -> list[Entry]:
    """Six entries: the genesis and five products."""
    journal.append([registration(f"p{number}", document=b"<a> <b> <c> .\n" * number) for number in range(5)])
    return list(journal.entries())


@pytest.mark.parametrize("statement", [
    "UPDATE entry SET actor = 'me' WHERE seq = 3", "DELETE FROM entry WHERE seq = 6", "DELETE FROM entry",
    "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 3",
    "INSERT OR REPLACE INTO entry SELECT 7, kind, product, key, revision, actor, at, media_type, ruleset, policy,"
    " detail, previous, hash, document, submitted FROM entry WHERE seq = 3",
    "UPDATE OR REPLACE entry SET seq = 4 WHERE seq = 3", "DELETE FROM head", "UPDATE head SET seq = 3",
    "UPDATE head SET hash = 'x'",
])  # fmt: skip
def test_the_database_itself_refuses_changes(
    statement: str, adapter: SqliteAdapter, journal: Journal, chain: list[Entry]
) -> None:
    with adapter.raw() as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    assert list(journal.entries()) == chain


COLUMNS = {
    "kind": "'retire'", "product": "product || 'x'", "key": "key || 'x'", "revision": "revision + 1", "actor": "'me'",
    "at": "at + 1", "media_type": "'text/plain'", "ruleset": "''", "policy": "''", "detail": "'{ }'",
    "previous": "hash", "hash": "previous", "document": "submitted", "submitted": "document",
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_an_altered_field_is_named(column: str, adapter: SqliteAdapter, journal: Journal, chain: list[Entry]) -> None:
    with adapter.unprotected() as connection:
        connection.execute(f"UPDATE entry SET {column} = {COLUMNS[column]} WHERE seq = 4")
    found = journal.verify()
    assert (found.ok, found.seq, found.count) == (False, 4, 3)
    assert found.product.startswith(chain[3].draft.product)
    with pytest.raises(JournalCorrupt, match="entry 4"):
        journal.entry(4)
    with pytest.raises(JournalCorrupt, match="entry 4"):
        list(journal.entries())


@given(st.data())
def test_any_altered_byte_of_a_document_is_found(tampered: SqliteAdapter, data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(["document", "submitted", "actor", "detail"]))
    with tampered.raw() as connection:
        kept = connection.execute(f"SELECT {column} FROM entry WHERE seq = 3").fetchone()[0]
        stored = kept if isinstance(kept, bytes) else kept.encode()
        place = data.draw(st.integers(0, len(stored) - 1))
        altered = bytearray(stored)
        altered[place] ^= data.draw(st.integers(1, 255))
        cast = "?" if isinstance(kept, bytes) else "CAST(? AS TEXT)"
        connection.execute(f"UPDATE entry SET {column} = {cast} WHERE seq = 3", (bytes(altered),))
        try:
            with closing(Tampered(tampered.folder)) as opened:
                found = opened.journal.verify()
        finally:
            connection.execute(f"UPDATE entry SET {column} = ? WHERE seq = 3", (kept,))
    assert (found.ok, found.seq) == (False, 3)


class Tampered:
    """A journal opened without putting the triggers back."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(module._Sqlite(folder / "journal.sqlite"))

    def close(self) -> None:
        self.journal.close()


@pytest.fixture(scope="module")
def tampered(tmp_path_factory: pytest.TempPathFactory) -> SqliteAdapter:
    adapter = SqliteAdapter(tmp_path_factory.mktemp("tampered"))
    with closing(adapter.open()) as journal:
        journal.append([genesis()])
        journal.append([replace(registration(f"p{number}"), detail={"n": number}) for number in range(5)])
    with adapter.unprotected() as connection:
        connection.execute("PRAGMA journal_mode")
    return adapter


Attack = Callable[[sqlite3.Connection], object]


def run(*statements: str) -> Attack:
    return lambda connection: [connection.execute(statement) for statement in statements]


def reseal(seq: int) -> Attack:
    """Alter an entry and give it the hash of its new content."""

    def attack(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE entry SET actor = 'me' WHERE seq = ?", (seq,))
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM entry WHERE seq = ?", (seq,)).fetchone()
        connection.execute("UPDATE entry SET hash = ? WHERE seq = ?", (module._seal(dict(row)), seq))

    return attack


def unchain(seq: int) -> Attack:
    """Chain an entry to another one than the one before it, with a hash that fits."""

    def attack(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE entry SET previous = 'x' WHERE seq = ?", (seq,))
        reseal(seq)(connection)

    return attack


SWAP = ("UPDATE entry SET seq = 100 WHERE seq = 3", "UPDATE entry SET seq = 3 WHERE seq = 5",
        "UPDATE entry SET seq = 5 WHERE seq = 100")  # fmt: skip
CLOSE_GAP = ("DELETE FROM entry WHERE seq = 3", "UPDATE entry SET seq = 3 WHERE seq = 4",
             "UPDATE entry SET seq = 4 WHERE seq = 5", "UPDATE entry SET seq = 5 WHERE seq = 6")  # fmt: skip
ADD = ("INSERT INTO entry SELECT 7, kind, 'http://x/', key, 1, actor, at, media_type, ruleset, policy, detail,"
       " previous, hash, document, submitted FROM entry WHERE seq = 6")  # fmt: skip


@pytest.mark.parametrize(
    ("attack", "seq", "words"),
    [
        (run("DELETE FROM entry WHERE seq = 3"), 3, "missing"),
        (run("DELETE FROM entry WHERE seq = 1"), 1, "missing"),
        (run(*SWAP), 3, "altered or moved"),
        (run(*CLOSE_GAP), 3, "altered or moved"),
        (run("DELETE FROM entry WHERE seq >= 5"), 5, "newest entries, up to 6, were removed"),
        (run("DELETE FROM entry"), 1, "removed"),
        (run("UPDATE entry SET seq = 0 WHERE seq = 1"), 0, "before the first"),
        (run(ADD), 7, "altered"),
        (run("DELETE FROM entry WHERE seq = 6", "UPDATE head SET seq = 5"), 5, "not the entry the head names"),
        (run("UPDATE head SET seq = 4"), 5, "not added by fairmesh"),
        (run("UPDATE head SET hash = 'x'"), 6, "not the entry the head names"),
        (run("DELETE FROM head"), None, "head row is missing"),
        (reseal(3), 3, "rewritten"),
        (reseal(6), 6, "rewritten"),
        (reseal(1), 1, "rewritten"),
        (unchain(4), 4, "rewritten"),
        (unchain(1), 1, "rewritten"),
        (unchain(6), 6, "rewritten"),
    ],
)  # fmt: skip
def test_verify_names_the_first_bad_entry(
    attack: Attack, seq: int | None, words: str, adapter: SqliteAdapter, journal: Journal, chain: list[Entry]
) -> None:
    assert journal.verify().ok
    with adapter.unprotected() as connection:
        attack(connection)
    found = journal.verify()
    assert not found.ok
    assert found.seq == seq
    assert words in found.problem
    assert found.count == (len(chain) if seq is None else max(0, seq - 1))
    assert found.head == ""


def test_replay_stops_at_a_gap(adapter: SqliteAdapter, journal: Journal, chain: list[Entry]) -> None:
    with adapter.unprotected() as connection:
        connection.execute("DELETE FROM entry WHERE seq = 3")
    replay = journal.entries()
    assert [next(replay).seq, next(replay).seq] == [1, 2]
    with pytest.raises(JournalCorrupt, match="entry 3"):
        next(replay)
    with pytest.raises(JournalCorrupt, match="entry 3"):
        list(journal.entries(after=2))


def test_a_broken_end_is_not_continued(adapter: SqliteAdapter, journal: Journal, chain: list[Entry]) -> None:
    with adapter.unprotected() as connection:
        connection.execute("DELETE FROM entry WHERE seq = 6")
    with pytest.raises(JournalCorrupt, match="entry 6"):
        journal.append([registration("new")])
    assert journal.verify().seq == 6


def test_a_kept_head_hash_shows_a_whole_rewrite(adapter: SqliteAdapter, journal: Journal, chain: list[Entry]) -> None:
    kept = journal.verify().head
    journal.append([registration("later")])
    assert journal.verify(expect=kept).ok
    assert journal.verify(expect=f" {kept.upper()}\n").ok
    found = journal.verify(expect="0" * 64)
    assert (found.ok, found.seq) == (False, None)
    assert "expected hash" in found.problem


def test_a_damaged_file_is_reported_not_raised(adapter: SqliteAdapter, journal: Journal, chain: list[Entry]) -> None:
    journal.append([registration("big", document=os.urandom(100_000))])
    journal.close()
    path = adapter.folder / "journal.sqlite"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096  # a page in the middle of the big document
    path.write_bytes(bytes(content))
    with closing(adapter.open()) as damaged:
        found = damaged.verify()
        assert (found.ok, found.seq, found.count) == (False, 7, 6)
        assert damaged.entry(6) == chain[5]


# -- opening --------------------------------------------------------------------------------------------------------


def test_folders_and_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no journal"):
        Journal.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        Journal.open(tmp_path / "file")
    (tmp_path / "journal.sqlite").write_bytes(b"not a database at all " * 1000)
    with pytest.raises(JournalCorrupt, match="no database"):
        Journal.open(tmp_path)
    (tmp_path / "folder" / "journal.sqlite").mkdir(parents=True)
    with pytest.raises(StorageUnavailable):
        Journal.open(tmp_path / "folder")


def test_a_journal_of_a_newer_version_is_refused(adapter: SqliteAdapter, journal: Journal) -> None:
    with adapter.unprotected() as connection:
        connection.execute("UPDATE head SET format = 2")
    with pytest.raises(ConfigError, match="newer fairmesh"):
        adapter.open()


def test_the_data_directory_is_private_and_made_with_its_parents(adapter: SqliteAdapter, journal: Journal) -> None:
    assert adapter.folder.stat().st_mode & 0o077 == 0


def test_missing_triggers_come_back(adapter: SqliteAdapter, journal: Journal) -> None:
    with adapter.unprotected():
        journal.close()
    with closing(adapter.open()), adapter.raw() as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM entry")
