"""Data directories: one process at a time, one base of IRIs for good, and a graph that can be made anew."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO

from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.governance import RuleSet
from fairmesh.catalog.graph import VOCABULARY, Graph, OxigraphGraph
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import Draft, Entry, EntryKind
from fairmesh.catalog.rdf import Triple, canonical
from fairmesh.catalog.rulefiles import FILE, SHIPPED, read_rules, vocabulary_of

log = logging.getLogger("fairmesh")

_BATCH = 2_000
"""Entries that are brought into the graph together at a start: what is held in memory."""


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
    """Bring the graph, which nobody reads, to the end of the journal. Returns how many entries it had not reflected."""
    count = 0
    entries = journal.entries(after=graph.reflects())
    while batch := list(islice(entries, _BATCH)):
        graph.load(dict(filter(None, map(_stated, batch))), batch[-1].seq)
        count += len(batch)
    return count


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
        graph = OxigraphGraph(new)
        count = catch_up(graph, journal)
        result = Rebuilt(count, before, graph.digest())
        graph.close()
        journal.close()
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
