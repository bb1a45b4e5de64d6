"""Journaled versions of a set of files, the policies or the rules: what a set may hold, one domain's folder put in the
place of another, and which version was in force when.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fairmesh.catalog.errors import ConfigError, FairmeshError, InputError, TooLarge
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import Draft, Entry, EntryKind

_MAX_PATH = 200
_KEY = re.compile(r"\w[\w-]{0,99}")

_log = logging.getLogger("fairmesh")


@dataclass(frozen=True, slots=True)
class Version:
    """A set of files as it was put in force, as bytes by path, sorted.

    `digest` is the revision that decisions or reports name; it covers what takes effect, not the tests and examples
    beside it. `source` is `folder` for a set read at a start, else `published`; `domain` names the domain whose files
    alone were replaced. `at` is the journal's time.
    """

    digest: str
    at: datetime
    author: str
    source: str
    domain: str | None
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class SetKind:
    """A kind of file set that has versions, with its limits: files, bytes of one and of all.

    `name` is what errors call it; `holds` tells which paths it may hold, and `paths` says so in words. Entries of
    `entries` put a version in force; `setting` names the folder that is read at a start.
    """

    name: str
    entries: EntryKind
    setting: str
    max_files: int
    max_file_bytes: int
    max_bytes: int
    holds: Callable[[str], object]
    paths: str

    def check(self, files: Mapping[str, bytes]) -> None:
        """Raise `InputError` or `TooLarge`, naming the file, for what no set of this kind may hold."""
        if len(files) > self.max_files:
            raise TooLarge(f"{len(files)} files of one {self.name}", remedy=f"It has at most {self.max_files:,}")
        total = 0
        for path, body in files.items():
            if len(path) > _MAX_PATH or not self.holds(path):
                raise InputError(f"{path[:_MAX_PATH]!r} is not a file of a {self.name}", remedy=f"Send {self.paths}")
            total += len(body)
            if len(body) > self.max_file_bytes or total > self.max_bytes:
                raise TooLarge(
                    f"{path} makes the {self.name} too large",
                    remedy=f"A file has at most {self.max_file_bytes:,} bytes, all together {self.max_bytes:,}",
                )
            try:
                body.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError(f"{path} is not UTF-8", remedy="Save it as UTF-8") from None

    def replaced(
        self, current: Mapping[str, bytes], files: Mapping[str, bytes], domain: str | None
    ) -> dict[str, bytes]:
        """All files as they would be in force in the place of `current`: `files` alone or, with a domain, in the place
        of those in its folder.

        Raises `InputError` or `TooLarge` for files that the set, or the domain, may not hold.
        """
        self.check(files)
        if domain is None:
            return dict(sorted(files.items()))
        if not _KEY.fullmatch(domain):
            raise InputError(f"{domain[:100]!r} is no domain key", remedy="Name one like sales")
        folder = folder_of(domain)
        for path in files:
            if not path.startswith(folder):
                raise InputError(f"{path} is not a file of the domain {domain}", remedy=f"Put it below {folder}")
        others = {path: body for path, body in current.items() if not path.startswith(folder)}
        return dict(sorted({**others, **files}.items()))

    def draft(self, version: Version, *, ruleset: str, policy: str) -> Draft:
        """The journal entry that puts a version in force, decided by `policy` while `ruleset` was in force."""
        texts = {name: text.decode() for name, text in version.files.items()}
        document = json.dumps(texts, sort_keys=True, ensure_ascii=False).encode()
        detail = {"digest": version.digest, "source": version.source, "domain": version.domain}
        return Draft(
            self.entries, "", "", 0, document, "application/json", b"", version.author, version.at, ruleset, policy,
            {name: value for name, value in detail.items() if value is not None},
        )  # fmt: skip


def folder_of(domain: str) -> str:
    """Where the files of a domain lie in a set."""
    return f"domains/{domain}/"


@dataclass(frozen=True, slots=True)
class _Past:
    """An entry of the journal that put a version in force, without its files."""

    at: datetime
    seq: int
    digest: str
    source: str


class Versions:
    """The versions of one kind that a journal has. `newest` is the last of them, if any. Threads may read them while
    one of them adds another."""

    newest: Version | None

    def __init__(self, journal: Journal, kind: SetKind) -> None:
        self._journal = journal
        self._kind = kind
        newest: Entry | None = None
        self._past: list[_Past] = []
        for newest in journal.entries(kinds=[kind.entries]):
            self._past.append(_past(newest))
        self.newest = None if newest is None else _version(newest)

    def start(self, digest: str, folder: str) -> Version | None:
        """The version that a start goes on with; None when it takes that of the folder, which has this digest, since
        it is not the one last taken from a folder. `folder` is how the log calls what is in it."""
        taken = next((each.digest for each in reversed(self._past) if each.source == "folder"), None)
        if taken == digest:
            return self.newest
        if self._past and self._past[-1].digest not in (taken, digest):
            _log.warning("%s take the place of the published ones", folder)
        return None

    def unusable(self, error: FairmeshError) -> ConfigError:
        """The newest version can no longer be used, for this reason."""
        return ConfigError(
            f"the {self._kind.name} of the journal (entry {self._past[-1].seq}) cannot be used: {error.message}",
            line=error.line,
            remedy=f"Set `{self._kind.setting}` to a folder that was not used before and holds one that can",
        )

    def of(self, digest: str) -> Version | None:
        """The newest version with this digest; None when there was none."""
        return self._read(lambda each: each.digest == digest)

    def in_force(self, at: datetime) -> Version | None:
        """The version that was in force at a moment; None when it is before the first. `at` has a time zone."""
        return self._read(lambda each: each.at <= at)

    def append(self, version: Version, *, ruleset: str, policy: str) -> Entry:
        """Journal a version, decided by `policy` while `ruleset` was in force; `add` it then."""
        (entry,) = self._journal.append([self._kind.draft(version, ruleset=ruleset, policy=policy)])
        return entry

    def add(self, entry: Entry) -> Version:
        """Take in an entry that was journaled, as the newest version."""
        self._past = [*self._past, _past(entry)]
        self.newest = _version(entry)
        return self.newest

    def _read(self, chosen: Callable[[_Past], bool]) -> Version | None:
        seq = next((each.seq for each in reversed(self._past) if chosen(each)), None)
        entry = None if seq is None else self._journal.entry(seq)
        return None if entry is None else _version(entry)


def _past(entry: Entry) -> _Past:
    detail = entry.draft.detail
    return _Past(entry.draft.at, entry.seq, detail["digest"], detail.get("source", "folder"))


def _version(entry: Entry) -> Version:
    draft, past = entry.draft, _past(entry)
    files = {name: text.encode() for name, text in json.loads(draft.document).items()}
    return Version(past.digest, past.at, draft.actor, past.source, draft.detail.get("domain"), files)
