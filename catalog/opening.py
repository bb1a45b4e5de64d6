"""Data directories: one process at a time, one base of IRIs for good, and a graph that can be made anew."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import ConfigError, StorageUnavailable
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.graph import VOCABULARY, Graph, OxigraphGraph
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import Draft, Entry, EntryKind
from fairmesh.catalog.rdf import Triple, canonical
from fairmesh.catalog.rulefiles import FILE, SHIPPED, read_rules, vocabulary_of

log = logging.getLogger("fairmesh")

_BATCH = 16 * 2**20
"""Bytes of documents that are brought into the graph together at a start: a part of what that takes in memory."""


def load_rules(settings: Settings) -> tuple[RuleSet, Mapping[str, bytes]]:
    """The rule set the settings name, else the one that ships, and its examples. Logs what of it is not compiled."""
    found = read_rules(settings.governance or SHIPPED)
    rules = RuleSet(found.files, settings.engine)
    for uncompiled in rules.unsupported:
        log.warning("%s", uncompiled)
    return rules, found.examples


def project_graph(graph: Graph, entry: Entry) -> None:
    """Bring the graph to where the journal is at this entry."""
    stated = _stated(entry)
    if stated is None:
        graph.advance(entry.seq)
    else:
        graph.replace(*stated, entry.seq)


def catch_up(graph: Graph, journal: Journal) -> int:
    """Bring the graph, which nobody reads, to the end of the journal. Returns how many entries it had not reflected.

    Raises `StorageUnavailable` when the disk refuses.
    """
    count = 0
    try:
        for documents, seq, entries in _batches(journal.entries(after=graph.reflects())):
            graph.load(documents, seq)
            count += entries
    except OSError as error:
        raise StorageUnavailable(
            f"the graph cannot be brought up to date: {error}",
            remedy="Make room and write access for the data directory, then start again",
        ) from error
    return count


def _batches(entries: Iterable[Entry]) -> Iterator[tuple[dict[str, bytes], int, int]]:
    """What graphs hold after so many entries, the last of which has the sequence number."""
    documents: dict[str, bytes] = {}
    size = count = seq = 0
    for entry in entries:
        stated = _stated(entry)
        if stated is not None:
            documents[stated[0]] = stated[1]
            size += len(stated[1])
        count, seq = count + 1, entry.seq
        if size >= _BATCH:
            yield documents, seq, count
            documents, size, count = {}, 0, 0
    if count:
        yield documents, seq, count


def _stated(entry: Entry) -> tuple[str, bytes] | None:
    """The graph that an entry is about, and what it holds since."""
    draft = entry.draft
    if draft.kind is EntryKind.RULES:
        return VOCABULARY, canonical(vocabulary_in(entry))
    return (draft.product, draft.document) if draft.product else None


def vocabulary_in(entry: Entry) -> list[Triple]:
    """The vocabulary statements of a journaled rule set."""
    texts = json.loads(entry.draft.document).items()
    return vocabulary_of({name: text.encode() for name, text in texts if FILE.fullmatch(name)})


def claim(folder: Path) -> IO[str]:
    """Make this process the only one that writes the data directory."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise ConfigError(
            f"the data directory {folder} cannot be used: {error.strerror}", remedy="Choose another with --data"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise ConfigError(
            f"{folder} is in use by process {owner or 'unknown'}",
            remedy="Stop it, or choose another folder with --data",
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def check_base(journal: Journal, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Fix the base of the mesh's IRIs for good. Raises `ConfigError` when another one is."""
    base = journal.iri_base
    if base is None:
        journal.append([
            Draft(EntryKind.GENESIS, "", "", 0, b"{}", "application/json", b"", "fairmesh", clock(), "", "",
                  {"iri_base": settings.iri_base})
        ])  # fmt: skip
    elif base != settings.iri_base:
        raise ConfigError(
            f"this mesh was created with iri_base {base}, not {settings.iri_base}",
            remedy=f"Set FAIRMESH_IRI_BASE={base}, or use an empty data directory",
        )


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Digests before and after; `same` when the graph had been what the journal says."""

    entries: int
    before: str
    after: str

    @property
    def same(self) -> bool:
        return self.before == self.after


def rebuild(settings: Settings) -> Rebuilt:
    """Make the graph of a stopped data directory anew from its journal, whatever state the old one is in.

    The new graph is made beside the old one, which it replaces when it is whole.
    """
    old, new = settings.data / "graph", settings.data / "graph.new"
    lock = claim(settings.data)
    try:
        journal = Journal.open(settings.data, create=False)
        before = _digest_of(old)
        shutil.rmtree(new, ignore_errors=True)
        with closing(journal), closing(OxigraphGraph(new)) as graph:
            count = catch_up(graph, journal)
            result = Rebuilt(count, before, graph.digest())
        shutil.rmtree(old, ignore_errors=True)
        new.rename(old)
    finally:
        lock.close()
    return result


def _digest_of(folder: Path) -> str:
    """The digest of the graph in a folder; "" when it cannot be read."""
    try:
        graph = OxigraphGraph(folder)
        digest = graph.digest()
        graph.close()
    except (ConfigError, OSError, RuntimeError):
        return ""
    return digest
