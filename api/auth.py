"""Who is calling: service tokens, and the subject an Authorization header stands for."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sqlite3
import string
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fairmesh.catalog.errors import ConfigError, FairmeshError, InputError, StorageUnavailable
from fairmesh.catalog.model import ANONYMOUS, CLASSIFICATIONS, Subject

ROLES = ("analyst", "producer", "steward", "auditor")
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32  # of 62 characters: 190 bits
_TOKEN = re.compile(f"fm_[A-Za-z0-9]{{{_LENGTH}}}")
_BEARER = re.compile("bearer +([^ ]+)", re.IGNORECASE)
_KEY = re.compile(r"\w[\w-]{0,99}")
_LOCK_SECONDS = 5.0


class Unauthenticated(FairmeshError):
    """An Authorization header that proves nothing. Never names the token."""

    code = "unauthenticated"


class Tokens:
    """The service tokens of a data directory, in `tokens.sqlite`, readable by its owner only.

    Only the SHA-256 of a token is kept: a token has 190 bits of chance, so the hash cannot be searched, and looking
    it up tells nothing by its timing. Safe to use from any thread, and from other processes beside a running server:
    a token made or revoked there counts from the next `lookup` on, because nothing is cached.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reader = _connect(path)

    @classmethod
    def open(cls, folder: Path) -> Tokens:
        """Open the tokens of the data directory `folder`; make both when absent.

        Raises `ConfigError` when the folder or the file cannot be used, `StorageUnavailable` when the disk refuses.
        """
        path = folder / "tokens.sqlite"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # before SQLite makes it readable to all
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be opened: {error.strerror}", remedy="Choose another data directory with --data."
            ) from error
        with _storage(path):
            return cls(path)

    def close(self) -> None:
        with self._lock:
            self._reader.close()

    def create(self, subject: Subject) -> str:
        """Make a token for a service and return it; it can never be read again. A subject may have several tokens,
        each with the rights it was made with. Raises `InputError` for a subject policy could not know."""
        _check(subject)
        token = "fm_" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        claims = {
            "roles": sorted(set(subject.roles)),
            "teams": sorted(set(subject.teams)),
            "domains": sorted(set(subject.domains)),
            "clearance": subject.clearance,
        }
        with self._writer() as connection:
            connection.execute("INSERT INTO token VALUES (?, ?, ?)", (_hash(token), subject.id, json.dumps(claims)))
        return token

    def lookup(self, token: str) -> Subject | None:
        """The service a token stands for, with sorted roles, teams and domains; None when the token is not known."""
        if not _TOKEN.fullmatch(token):
            return None
        row = self._read("SELECT subject, claims FROM token WHERE hash = ?", _hash(token))
        return None if row is None else _subject(row[0], row[1])

    def subjects(self) -> list[Subject]:
        """Everyone a token stands for, in order; an id comes once for each set of rights it has."""
        with _storage(self._path), self._lock:
            rows = self._reader.execute(
                "SELECT DISTINCT subject, claims FROM token ORDER BY subject, claims"
            ).fetchall()
        return [_subject(*row) for row in rows]

    def revoke(self, subject_id: str) -> int:
        """End all tokens of this subject, at once; how many there were."""
        _check_name(subject_id)
        with self._writer() as connection:
            return connection.execute("DELETE FROM token WHERE subject = ?", (subject_id,)).rowcount

    def any(self) -> bool:
        """Whether there is a token at all."""
        return self._read("SELECT 1 FROM token LIMIT 1") is not None

    def _read(self, query: str, *values: bytes) -> tuple[str, ...] | None:
        with _storage(self._path), self._lock:
            row: tuple[str, ...] | None = self._reader.execute(query, values).fetchone()
            return row

    @contextmanager
    def _writer(self) -> Iterator[sqlite3.Connection]:
        # A connection of its own, so that a disk that fails a write leaves the one for lookups alone.
        with _storage(self._path), closing(_connect(self._path)) as connection, connection:
            yield connection


def authenticate(authorization: str | None, tokens: Tokens) -> Subject:
    """The subject of an `Authorization` header: `Bearer <service token>`; without a header the anonymous subject.

    Anything else raises `Unauthenticated`: a caller who shows a bad token is not served as if they had shown none.
    """
    if authorization is None:
        return ANONYMOUS
    bearer = _BEARER.fullmatch(authorization)
    if bearer is None:
        raise Unauthenticated(
            "the Authorization header is not a bearer token", remedy="Send `Authorization: Bearer <token>`, or none."
        )
    subject = tokens.lookup(bearer[1])
    if subject is None:
        raise Unauthenticated(
            "the token is not known here", remedy="Ask the mesh's operators for one (`fairmesh token create`)."
        )
    return subject


def _subject(id: str, stored: str) -> Subject:
    claims = json.loads(stored)
    return Subject(
        id=id,
        kind="service",
        roles=tuple(claims["roles"]),
        teams=tuple(claims["teams"]),
        domains=tuple(claims["domains"]),
        clearance=claims["clearance"],
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _check_name(name: str) -> None:
    clean = name.isprintable() and name == name.strip() and unicodedata.is_normalized("NFC", name)
    if not clean or not 0 < len(name) <= 200 or name == ANONYMOUS.id:
        raise InputError(
            f"{name!r} cannot name a subject",
            remedy=f"Use 1 to 200 printable characters (NFC), no outer spaces, not {ANONYMOUS.id!r}.",
        )


def _check(subject: Subject) -> None:
    if subject.kind != "service":
        raise InputError(f"a token cannot stand for a subject of kind {subject.kind}", remedy="Use kind service.")
    if subject.purpose is not None:
        raise InputError("a token has no purpose", remedy="State the purpose with each request.")
    _check_name(subject.id)
    for role in subject.roles:
        if role not in ROLES:
            raise InputError(f"unknown role {role!r}", remedy=f"Choose from {', '.join(ROLES)}.")
    for what, keys in (("team", subject.teams), ("domain", subject.domains)):
        for key in keys:
            if not _KEY.fullmatch(key) or not unicodedata.is_normalized("NFC", key):
                raise InputError(
                    f"{key!r} is no {what} key", remedy="Use letters, digits, - and _ (the key, not the IRI)."
                )
    if subject.clearance not in CLASSIFICATIONS:
        raise InputError(
            f"unknown clearance {subject.clearance!r}", remedy=f"Choose from {', '.join(CLASSIFICATIONS)}."
        )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCK_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # a revoked token stays revoked after a power loss
        connection.execute(
            "CREATE TABLE IF NOT EXISTS token"
            " (hash BLOB NOT NULL PRIMARY KEY, subject TEXT NOT NULL, claims TEXT NOT NULL) STRICT, WITHOUT ROWID"
        )
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    """Failures of SQLite as fairmesh's own. A lookup that fails is never an answer."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageUnavailable(
            f"the tokens in {path} cannot be used: {error}",
            remedy="Check that the disk of the data directory is writable and has space.",
        ) from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(
            f"{path} is not a usable token file: {error}",
            remedy="Restore it from a backup, or remove it and create the tokens anew.",
        ) from error
