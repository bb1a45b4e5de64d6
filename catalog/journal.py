"""The journal: every accepted document, rule set and policy, in order, for good. All else is derived from it.

One SQLite file, `journal.sqlite` in the data directory, in WAL mode with `synchronous=FULL`: what `append` returned
survives kill -9 and power loss. (An append that failed while the disk was failing may still be there after a crash.)

Each entry carries the SHA-256 of its own fields and of the entry before it. The hash is taken over the line
`fairmesh journal 1`, then for each name of `SEALED` in that order the line `<name> <i|s|b> <length>` and the field's
bytes: integers in decimal, text in UTF-8, blobs as stored (zlib). Lines end with LF; the field's bytes do not.

What `verify` can and cannot show: an entry that was altered, removed, added or moved breaks the chain. Removed newest
entries leave the chain whole, so the head (sequence and hash) is kept in a row of its own, changed by the same commit.
Whoever rewrites *everything*, hashes and head included, leaves no trace in the file: keep the printed head hash
elsewhere and give it to `verify(expect=...)` later.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    inspect,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError

from fairmesh.catalog.errors import (
    ConfigError,
    Conflict,
    FairmeshError,
    InputError,
    JournalCorrupt,
    StaleRevision,
    StorageUnavailable,
)
from fairmesh.catalog.model import Draft, Entry, EntryKind

FORMAT = 1
SEALED = (
    "seq", "kind", "product", "key", "revision", "actor", "at", "media_type", "ruleset", "policy", "detail",
    "previous", "document", "submitted",
)  # fmt: skip
"""The fields an entry's hash covers, in order: every column but the hash itself."""

_TEXTS = ("kind", "product", "key", "actor", "media_type", "ruleset", "policy")
_EMPTY = zlib.compress(b"")
_CHUNK_ROWS = 200
_CHUNK_BYTES = 8_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TOLERATED = timedelta(minutes=1)
"""How far clocks may be apart without a word."""
_log = logging.getLogger("fairmesh")
_INT64 = 2**63 - 1
_PRODUCT_KINDS = (EntryKind.REGISTER, EntryKind.RETIRE)

_metadata = MetaData()
_integer = BigInteger().with_variant(Integer(), "sqlite")
_entries = Table(
    "entry",
    _metadata,
    Column("seq", _integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("revision", _integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", _integer, nullable=False),  # microseconds since 1970-01-01T00:00:00Z
    Column("media_type", Text, nullable=False),
    Column("ruleset", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    # Last, so that reading the other columns does not walk through them.
    Column("document", LargeBinary, nullable=False),
    Column("submitted", LargeBinary, nullable=False),
    sqlite_strict=True,
)
_no_product: ColumnElement[str] = literal_column(
    "''", Text
)  # a bound value would keep SQLite from using the partial indexes
_is_product = _entries.c.product != _no_product
Index(
    "entry_product_revision",
    _entries.c.product,
    _entries.c.revision,
    unique=True,
    sqlite_where=_is_product,
    postgresql_where=_is_product,
)
Index("entry_kind", _entries.c.kind, _entries.c.seq)
_heads = Table(
    "head",
    _metadata,
    Column("id", _integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("format", _integer, nullable=False),
    Column("seq", _integer, nullable=False),
    Column("hash", Text, nullable=False),
    sqlite_strict=True,
)


@dataclass(frozen=True, slots=True)
class Verification:
    """`ok` with the number of entries and the head's hash, or what is wrong with the first bad entry.

    Then `count` is the number of entries before the bad one and `head` is "". `seq` and `product` name the bad entry;
    `seq` is None when no single entry is to blame, `product` "" when the entry is missing or belongs to no product.
    """

    count: int
    head: str
    problem: str = ""
    seq: int | None = None
    product: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


class Journal:
    """Append and read. Safe to use from any thread, and from other processes on the same file."""

    def __init__(self, database: _Sqlite, newest: datetime = _EPOCH) -> None:
        self._database = database
        self._appending = threading.Lock()
        self._newest = newest

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> Journal:
        """Open the journal of the data directory `folder`; make both when absent and `create` is true.

        Raises `ConfigError` (no such journal, unusable folder, written by a newer fairmesh), `StorageUnavailable`,
        or `JournalCorrupt` when the file is no journal.
        """
        path = folder / "journal.sqlite"
        if not os.path.exists(path):
            if not create:
                raise ConfigError(f"{folder} holds no journal", remedy="Name a data directory fairmesh has written.")
            _make_folder(folder)
        database = _Sqlite(path)
        try:
            database.prepare()
            with database.transaction() as connection:
                written = connection.scalar(select(_heads.c.format))
                newest = connection.scalar(select(func.max(_entries.c.at)))
        except BaseException:
            database.close()
            raise
        if written is not None and written > FORMAT:
            database.close()
            raise ConfigError(
                f"{path} was written by a newer fairmesh (format {written}, known: {FORMAT})",
                remedy="Start the newer version on this data directory.",
            )
        return cls(database, _EPOCH + (newest or 0) * _MICROSECOND)

    def close(self) -> None:
        self._database.close()

    # -- writing

    def append(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Add entries in one durable commit: all of them or, when anything is raised, none.

        The first entry of a journal, and no other, is of kind GENESIS with `{"iri_base": ...}` in its detail.
        A draft of a product must carry the revision after the product's newest (from 1); else `StaleRevision`.
        Raises `StorageUnavailable` when the disk refuses; reads go on, and a later append may succeed.
        Times are stored in UTC with microseconds, and ascend from call to call: drafts from before the newest entry,
        or from its very microsecond, waited for their turn or were told the time by a clock that went back, and are
        given the next one. Within a call they do not descend, and equal ones stay equal: gaps between them would count
        what a reader may not see. `detail` comes back as JSON has it (tuples as lists).
        """
        if not drafts:
            return []
        rows = [_row(draft) for draft in drafts]
        with self._appending, self._database.transaction(write=True) as connection:
            seq, previous, at = _sound_head(connection)
            at += 1
            _check_places(connection, seq, rows)
            for row in rows:
                seq, at = seq + 1, max(row["at"], at)
                row["seq"], row["previous"], row["at"] = seq, previous, at
                row["hash"] = previous = _seal(row)
            connection.execute(insert(_entries), rows)
            connection.execute(update(_heads).values(seq=seq, hash=previous))
            self._newest = max(self._newest, _EPOCH + at * _MICROSECOND)
        return [_entry(row) for row in rows]

    def ascending(self, clock: Callable[[], datetime]) -> Callable[[], datetime]:
        """The clock, but never before the newest entry this process knows: what is stored has happened. Logs a warning
        when that one is of a time yet to come."""
        ahead = self._newest - clock()
        if ahead > _TOLERATED:
            _log.warning(
                "the newest entry of the journal is of %s, %s ahead of the clock: the time stays there until the clock"
                " has caught up. Set the clock right, or restore a backup from before it was wrong",
                self._newest.isoformat(), ahead,
            )  # fmt: skip
        return lambda: max(clock(), self._newest)

    # -- reading

    @property
    def iri_base(self) -> str | None:
        """The base IRI this mesh was created with; None while the journal is empty."""
        genesis = self.entry(1)
        return None if genesis is None else str(genesis.draft.detail["iri_base"])

    def head(self) -> tuple[int, str]:
        """Sequence and hash of the newest entry; (0, "") when there is none."""
        with self._database.transaction() as connection:
            return _head(connection)

    def entry(self, seq: int) -> Entry | None:
        return self._one(select(_entries).where(_entries.c.seq == seq)) if 0 < seq <= _INT64 else None

    def entries(self, after: int = 0, kinds: Collection[EntryKind] | None = None) -> Iterator[Entry]:
        """Entries with a sequence above `after`, in order, those appended meanwhile included.

        Reads in chunks (a few MB in memory) and holds no lock in between. Raises `JournalCorrupt` at an entry that
        was altered and, unless `kinds` picks some, at one that does not follow the entry before it.
        """
        query = select(_entries)
        if kinds is not None:
            query = query.where(_entries.c.kind.in_([kind.value for kind in kinds]))
        after = max(0, min(after, _INT64))
        previous = "" if after == 0 else None
        while chunk := self._chunk(query.where(_entries.c.seq > after).order_by(_entries.c.seq)):
            for row in chunk:
                entry = _entry(row)
                if kinds is None and (entry.seq != after + 1 or previous not in (None, entry.previous)):
                    raise _corrupt(after + 1, "", "is missing or was replaced")
                yield entry
                after, previous = entry.seq, entry.hash

    def headlines(
        self, kinds: Collection[EntryKind], *, since: datetime | None = None, after: int = 0
    ) -> Iterator[Entry]:
        """All entries of these kinds (since a moment, above a sequence number), in order, without their documents:
        quick to read, and not checked for damage."""
        columns = [literal(_EMPTY).label(c.name) if c.name in ("document", "submitted") else c for c in _entries.c]
        query = select(*columns).where(_entries.c.kind.in_([kind.value for kind in kinds]))
        if since is not None:
            query = query.where(_entries.c.at >= (since - _EPOCH) // _MICROSECOND)
        while chunk := self._chunk(query.where(_entries.c.seq > after).order_by(_entries.c.seq)):
            yield from map(_unsealed, chunk)
            after = chunk[-1]["seq"]

    def last(self, kind: EntryKind) -> Entry | None:
        """The newest entry of this kind."""
        return self._one(select(_entries).where(_entries.c.kind == kind.value).order_by(_entries.c.seq.desc()))

    def product_head(self, product: str) -> Entry | None:
        """The newest entry of the product with this IRI; of kind RETIRE when it is retired."""
        return next(iter(self.product_history(product, first=1)), None)

    def product_history(self, product: str, *, first: int = 20, after: int | None = None) -> list[Entry]:
        """At most `first` entries of the product, newest first; `after` is the revision the list goes on from.

        Revisions have no gaps, so `product_head(...).draft.revision` is their number.
        """
        if first < 0:
            raise InputError(f"cannot list {first} revisions", remedy="Ask for 0 or more.")
        query = select(_entries).where(_entries.c.product == product, _is_product)
        if after is not None:
            query = query.where(_entries.c.revision < max(0, min(after, _INT64)))
        query = query.order_by(_entries.c.revision.desc()).limit(min(first, _INT64))
        if not _storable(product):
            return []
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [_entry(row._asdict()) for row in rows]

    def documents(self, revisions: Collection[tuple[str, int]]) -> dict[str, bytes]:
        """The documents of these revisions (product and number), by product; what is not there is left out."""
        products, numbered = [product for product, _ in revisions], tuple_(_entries.c.product, _entries.c.revision)
        found: dict[str, bytes] = {}
        with self._database.transaction() as connection:
            for at in range(0, len(products), _CHUNK_ROWS):
                part = slice(at, at + _CHUNK_ROWS)
                query = select(_entries.c.product, _entries.c.document).where(
                    _is_product, _entries.c.product.in_(products[part]), numbered.in_(list(revisions)[part])
                )  # the first list finds the products by their index, the second picks the revisions
                found.update((row.product, zlib.decompress(row.document)) for row in connection.execute(query))
        return found

    def heads(self) -> Iterator[Entry]:
        """The newest entry (REGISTER or RETIRE) of every product, in sequence order, as of the moment of the call's
        first step: later appends do not change what is listed."""
        newest = select(func.max(_entries.c.seq)).where(_is_product).group_by(_entries.c.product)
        with self._database.transaction() as connection:
            pending = sorted(connection.scalars(newest))
        while pending:
            chosen = select(_entries).where(_entries.c.seq.in_(pending[:_CHUNK_ROWS]))
            chunk = self._chunk(chosen.order_by(_entries.c.seq))
            if [row["seq"] for row in chunk] != pending[: len(chunk)] or not chunk:
                raise _corrupt(pending[0], "", "is missing")
            pending = pending[len(chunk) :]
            yield from map(_entry, chunk)

    def verify(self, *, expect: str | None = None) -> Verification:
        """Read everything and check the chain, the head and the file. `expect` is a head hash kept from earlier: it
        must be the hash of some entry. See the module's text for what cannot be seen. Raises nothing for damage."""
        walk = _Walk(expect)
        try:
            with self._database.transaction() as connection:
                head = connection.execute(select(_heads.c.seq, _heads.c.hash)).first()
                walk.follow(_sturdy_rows(connection), (head.seq, head.hash) if head else None)
                if not walk.problem and (damage := self._database.damage(connection)):
                    walk.blame(None, "", f"the database file is damaged: {damage}")
        except JournalCorrupt as error:
            walk.blame(walk.count + 1, "", error.message)
        if not walk.problem:
            return Verification(walk.count, walk.hash)
        sound = walk.count if walk.seq is None else max(0, walk.seq - 1)
        return Verification(sound, "", walk.problem, walk.seq, walk.product)

    def _one(self, query: Select[Any]) -> Entry | None:
        with self._database.transaction() as connection:
            row: Row[Any] | None = connection.execute(query.limit(1)).first()
        return None if row is None else _entry(row._asdict())

    def _chunk(self, query: Select[Any]) -> list[Mapping[str, Any]]:
        """The first rows of `query`: at most `_CHUNK_ROWS`, and no more once they hold `_CHUNK_BYTES`."""
        rows: list[Mapping[str, Any]] = []
        size = 0
        with self._database.transaction() as connection:
            for row in connection.execution_options(yield_per=10).execute(query.limit(_CHUNK_ROWS)):
                rows.append(row._asdict())
                size += len(row.document) + len(row.submitted)
                if size >= _CHUNK_BYTES:
                    break
        return rows


class _Walk:
    """One pass over the chain: how far it is sound, and the first bad entry."""

    def __init__(self, expect: str | None) -> None:
        self._awaited = None if expect is None else expect.strip().lower()
        self.count, self.hash = 0, ""
        self._last = ""  # product of the last sound entry
        self.problem, self.product = "", ""
        self.seq: int | None = None

    def blame(self, seq: int | None, product: str, problem: str) -> None:
        self.seq, self.product, self.problem = seq, product, problem

    def follow(self, rows: Iterator[Mapping[str, Any]], head: tuple[int, str] | None) -> None:
        for row in rows:
            seq, product, expected = row["seq"], row["product"], self.count + 1
            if seq < expected:
                return self.blame(seq, product, "was added before the first entry")
            if seq > expected:
                return self.blame(expected, "", f"is missing: removed or moved; the next one is {seq}")
            if _seal(row) != row["hash"]:
                return self.blame(seq, product, "was altered or moved: its fields do not match its hash")
            if row["previous"] != self.hash:
                following = next(rows, None)
                confirmed = following["previous"] if following else head[1] if head else ""
                return self._blame_link(row, confirmed)
            self.count, self.hash, self._last = seq, row["hash"], product
            if self.hash == self._awaited:
                self._awaited = None
        if head is None:
            return self.blame(None, "", "the head row is missing")
        return self._compare(*head)

    def _blame_link(self, row: Mapping[str, Any], confirmed: str) -> None:
        """Two entries are sound in themselves but do not join. If what comes next confirms the second, it is the first
        that was rewritten."""
        if self.count and confirmed == row["hash"]:
            self.blame(self.count, self._last, f"was rewritten: entry {row['seq']} was chained to another")
        else:
            self.blame(row["seq"], row["product"], "was rewritten: it is not chained to the entry before it")

    def _compare(self, seq: int, digest: str) -> None:
        """The end of the chain with the head kept apart, and whether `expect` was met."""
        if seq > self.count:
            self.blame(self.count + 1, "", f"is missing: the newest entries, up to {seq}, were removed")
        elif seq < self.count:
            self.blame(seq + 1, "", f"was not added by fairmesh: the head is entry {seq}")
        elif digest != self.hash:
            self.blame(seq, self._last, "was rewritten: it is not the entry the head names")
        elif self._awaited is not None:
            self.blame(None, "", "no entry has the expected hash: another journal, or it was rewritten")


# -- rows and entries -----------------------------------------------------------------------------------------------


def _storable(text: str) -> bool:
    """Text every database keeps as it is: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _row(draft: Draft) -> dict[str, Any]:
    """The columns of a draft but seq, previous and hash. Refuses what would not come back as it went in."""
    texts = {name: str(getattr(draft, name)) for name in _TEXTS}
    for name, text in texts.items():
        if not _storable(text):
            raise InputError(f"the {name} of an entry holds a NUL or half a surrogate pair", remedy="Take it out.")
    if draft.at.utcoffset() is None:
        raise InputError("the time of an entry has no time zone", remedy="Give the time in UTC.")
    named = (bool(draft.product), bool(draft.key), draft.revision > 0)
    if named != (draft.kind in _PRODUCT_KINDS,) * 3 or draft.revision < 0:
        raise InputError(
            f"a {draft.kind} entry with product {draft.product!r}, key {draft.key!r}, revision {draft.revision}",
            remedy="REGISTER and RETIRE name product, key and revision; other kinds none of them.",
        )
    if draft.kind is EntryKind.GENESIS and not isinstance(draft.detail.get("iri_base"), str):
        raise InputError("the genesis entry states no iri_base", remedy='Put {"iri_base": ...} in its detail.')
    try:
        detail = json.dumps(dict(draft.detail), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the detail of an entry is not JSON: {error}", remedy="Use plain JSON values.") from error
    return texts | {
        "revision": draft.revision,
        "at": (draft.at - _EPOCH) // _MICROSECOND,
        "detail": detail,
        "document": zlib.compress(draft.document),
        "submitted": zlib.compress(draft.submitted),
    }


def _seal(row: Mapping[str, Any]) -> str:
    """The hash of an entry as the module's text defines it. The tag keeps 1, "1" and b"1" apart."""
    digest = hashlib.sha256(b"fairmesh journal 1\n")
    for name in SEALED:
        value = row[name]
        if isinstance(value, bytes):
            tag, data = "b", value
        else:
            tag, data = ("s" if isinstance(value, str) else "i"), str(value).encode(errors="surrogateescape")
        digest.update(f"{name} {tag} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def _sturdy_rows(connection: Connection) -> Iterator[dict[str, Any]]:
    """All rows in order, up to the very one that cannot be read: what was fetched ahead of it is not lost."""
    query = select(_entries).order_by(_entries.c.seq)
    last = -_INT64
    try:
        for row in connection.execution_options(yield_per=20).execute(query):
            yield row._asdict()
            last = row.seq
    except DBAPIError:
        while (found := connection.execute(query.where(_entries.c.seq > last).limit(1)).first()) is not None:
            yield found._asdict()
            last = found.seq


def _entry(row: Mapping[str, Any]) -> Entry:
    """The entry a row holds, or `JournalCorrupt`: nothing altered is ever handed out."""
    if _seal(row) != row["hash"]:
        raise _corrupt(row["seq"], row["product"], "was altered: its fields do not match its hash")
    return _unsealed(row)


def _unsealed(row: Mapping[str, Any]) -> Entry:
    draft = Draft(
        kind=EntryKind(row["kind"]),
        product=row["product"],
        key=row["key"],
        revision=row["revision"],
        document=zlib.decompress(row["document"]),
        media_type=row["media_type"],
        submitted=zlib.decompress(row["submitted"]),
        actor=row["actor"],
        at=_EPOCH + row["at"] * _MICROSECOND,
        ruleset=row["ruleset"],
        policy=row["policy"],
        detail=json.loads(row["detail"]),
    )
    return Entry(row["seq"], draft, row["previous"], row["hash"])


def _corrupt(seq: int, product: str, problem: str) -> JournalCorrupt:
    of_product = f" ({product})" if product else ""
    return JournalCorrupt(
        f"journal entry {seq}{of_product} {problem}",
        iri=product or None,
        remedy="Stop the service, run `fairmesh verify`, and restore the data directory from a backup.",
    )


def _head(connection: Connection) -> tuple[int, str]:
    row = connection.execute(select(_heads.c.seq, _heads.c.hash)).first()
    if row is None:
        raise JournalCorrupt("the journal's head row is missing", remedy="Restore the data directory from a backup.")
    return row.seq, row.hash


def _sound_head(connection: Connection) -> tuple[int, str, int]:
    """Sequence, hash and time of the head, after making sure that it is the newest entry: a broken chain is not
    continued."""
    head = _head(connection)
    newest = connection.execute(
        select(_entries.c.seq, _entries.c.hash, _entries.c.at).order_by(_entries.c.seq.desc()).limit(1)
    ).first()
    seq, digest, at = tuple(newest) if newest else (0, "", -_INT64)
    if (seq, digest) != head:
        raise _corrupt(head[0], "", "is the head but not the newest entry")
    return seq, digest, at


def _check_places(connection: Connection, seq: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Compare-and-set: each row must be the next revision of its product, counting rows before it in the batch."""
    products = sorted({row["product"] for row in rows} - {""})
    newest: dict[str, int] = {}
    for start in range(0, len(products), 500):  # databases limit the number of bound values
        query = select(_entries.c.product, func.max(_entries.c.revision)).group_by(_entries.c.product)
        chosen = _entries.c.product.in_(products[start : start + 500])
        newest.update((product, revision) for product, revision in connection.execute(query.where(chosen, _is_product)))
    for place, row in enumerate(rows, seq + 1):
        if (place == 1) != (row["kind"] == EntryKind.GENESIS):
            raise Conflict(
                f"entry {place} of a journal cannot be of kind {row['kind']}",
                remedy="The first entry, and no other, is the genesis entry.",
            )
        product, revision = row["product"], row["revision"]
        current = newest.get(product, 0)
        if product and revision != current + 1:
            raise StaleRevision(
                f"product {product} is at revision {current}, so the next is {current + 1}, not {revision}",
                iri=product,
                remedy="Read the product again and repeat the change on its current revision.",
            )
        newest[product] = revision


# -- SQLite ---------------------------------------------------------------------------------------------------------


def _make_folder(folder: Path) -> None:
    """Make the data directory, for its owner only, and its name in the parent as durable as what goes into it."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in missing:
            handle = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as error:
        raise ConfigError(
            f"the data directory {folder} cannot be made: {error.strerror}", remedy="Choose another with --data."
        ) from error


_APPEND_ONLY = (
    """CREATE TRIGGER IF NOT EXISTS entry_update BEFORE UPDATE ON entry
       BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS entry_delete BEFORE DELETE ON entry
       BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    # INSERT OR REPLACE deletes without firing delete triggers.
    """CREATE TRIGGER IF NOT EXISTS entry_insert BEFORE INSERT ON entry
       WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entry)
         OR EXISTS (SELECT 1 FROM entry
                    WHERE product = NEW.product AND revision = NEW.revision AND product <> '')
       BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS head_update BEFORE UPDATE ON head WHEN NEW.seq <= OLD.seq
       BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS head_delete BEFORE DELETE ON head
       BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
)
_LOCK_SECONDS = 5.0
_FAILURES: dict[int, tuple[type[FairmeshError], str, str]] = {
    sqlite3.SQLITE_FULL: (StorageUnavailable, "the disk is full", "Free space on the disk of the data directory."),
    sqlite3.SQLITE_READONLY: (StorageUnavailable, "it is read-only", "Make the data directory writable."),
    sqlite3.SQLITE_PERM: (StorageUnavailable, "access is denied", "Make the data directory writable."),
    sqlite3.SQLITE_CANTOPEN: (
        StorageUnavailable, "the file cannot be opened", "Check the data directory's path and permissions.",
    ),
    sqlite3.SQLITE_BUSY: (
        StorageUnavailable, "another process holds its lock", "Try again; end the other process if it stays.",
    ),
    sqlite3.SQLITE_PROTOCOL: (StorageUnavailable, "it is locked", "Try again."),
    sqlite3.SQLITE_LOCKED: (StorageUnavailable, "it is locked", "Try again."),
    sqlite3.SQLITE_IOERR: (StorageUnavailable, "the disk reports an error", "Check the disk of the data directory."),
    sqlite3.SQLITE_CORRUPT: (JournalCorrupt, "the file is damaged", "Restore the data directory from a backup."),
    sqlite3.SQLITE_NOTADB: (JournalCorrupt, "the file is no database", "Restore the data directory from a backup."),
    sqlite3.SQLITE_CONSTRAINT: (
        StaleRevision, "another writer was faster", "Read the products again and repeat the change.",
    ),
}  # fmt: skip


def _text(data: bytes) -> str:
    """Text as stored, altered bytes included, so that they are found by their hash and not by a decoding error."""
    return data.decode(errors="surrogateescape")


class _Sqlite:
    """All that is particular to SQLite: connections, transactions, triggers, failures."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # No limit on connections: readers never wait for one another, and idle ones beyond the pool are closed.
        self.engine = create_engine(
            URL.create("sqlite", database=str(path)), connect_args={"timeout": _LOCK_SECONDS}, max_overflow=-1
        )
        event.listen(self.engine, "connect", self._configure)
        event.listen(self.engine, "begin", self._begin)

    def close(self) -> None:
        self.engine.dispose()

    def _configure(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.text_factory = _text
        connection.isolation_level = None  # the driver's own BEGIN comes too late and cannot be IMMEDIATE
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StorageUnavailable(
                f"{self._path} cannot use a write-ahead log (mode {mode})",
                remedy="Put the data on a local, writable disk.",
            )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA fullfsync=ON")  # macOS: through the drive's cache too

    @staticmethod
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("fairmesh_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    def prepare(self) -> None:
        """Create tables and triggers where missing. A complete file is not written to, so it may be read-only."""
        with self.transaction() as connection:
            ready = inspect(connection).has_table(_heads.name)
        with self.transaction(write=not ready) as connection:
            _metadata.create_all(connection)
            for statement in _APPEND_ONLY:
                connection.exec_driver_sql(statement)
            if not ready and connection.execute(select(_heads)).first() is None:
                connection.execute(insert(_heads).values(id=1, format=FORMAT, seq=0, hash=""))

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Connection]:
        """A snapshot to read, or the write lock from the start. A connection that failed is not used again."""
        connection: Connection | None = None
        try:
            connection = self.engine.connect()
            if write:
                connection = connection.execution_options(fairmesh_write=True)
            with connection.begin():
                yield connection
        except (DBAPIError, sqlite3.Error) as error:
            if connection is not None:
                connection.invalidate()
            failure = self._failure(error, "written" if write else "read")
            if failure is None:
                raise
            raise failure from error
        finally:
            if connection is not None:
                connection.close()

    def _failure(self, error: DBAPIError | sqlite3.Error, verb: str) -> FairmeshError | None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        known = _FAILURES.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)  # the low byte is the primary code
        if known is None:
            return None
        kind, what, remedy = known
        return kind(f"the journal {self._path} cannot be {verb}: {what} ({cause})", remedy=remedy)

    def damage(self, connection: Connection) -> str | None:
        """What SQLite finds wrong with its file, indexes included; None if nothing."""
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        return None if found == "ok" else str(found)
