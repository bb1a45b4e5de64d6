"""The graph projection: one named graph for each product's current revision, and one for the vocabularies.

`Graph` is the port; `OxigraphGraph` keeps it embedded on disk. Reads answer triple patterns with the graph each match
stands in, in no particular order; filtering by what a reader may see is the caller's, who drops rows as they stream.
Writes come from one thread at a time (concurrent writers corrupt Oxigraph silently).
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from pyoxigraph import Literal, NamedNode, RdfFormat, Store

from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.model import FM
from fairmesh.catalog.rdf import Triple, canonical, load

VOCABULARY = "https://w3id.org/fairmesh/graph/vocabulary"
_META = NamedNode("https://w3id.org/fairmesh/graph/meta")
_REFLECTS = NamedNode(FM + "reflects")

_ROOM = 64 * 2**20
"""Bytes that must be free before a store that failed is opened again: opening writes, too."""

Match = tuple[Triple, str]
"""A statement and the IRI of its graph: a product's, or `VOCABULARY`."""


class Graph(Protocol):
    """What the catalog asks of a graph store. Statements come back exactly as they went in: `"01"^^xsd:integer` too."""

    def reflects(self) -> int:
        """The journal sequence number the content corresponds to; 0 when empty."""

    def replace(self, name: str, nquads: bytes, seq: int) -> None:
        """Atomically make `nquads` (canonical; empty removes) the graph of that name, which is a product's or
        `VOCABULARY`, and `seq` the number reflected."""

    def advance(self, seq: int) -> None:
        """Note that an entry which says nothing about the graph has been seen."""

    def load(self, documents: Mapping[str, bytes], seq: int) -> None:
        """As `replace`, for many graphs at once, while nobody reads: much quicker, and not atomic. When it fails or is
        cut off, the number reflected is the old one; loading the same once it is opened again makes up for it."""

    def match(
        self, subject: str | None, predicate: str | None = None, obj: str | None = None, *, graph: str | None = None
    ) -> Iterator[Match]:
        """Statements that fit; None matches anything; the others are IRIs."""

    def graph(self, product: str) -> list[Triple]:
        """All statements of one graph."""

    def digest(self) -> str:
        """sha256 over every statement and its graph, whatever order they were written in."""

    def clear(self) -> None: ...

    def close(self) -> None: ...


class OxigraphGraph:
    """The embedded adapter. The folder belongs to one process; a second opener is refused with `ConfigError`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._store: Store | None = None
        self._closed = False
        try:
            self._store = Store(str(folder))
        except (OSError, RuntimeError) as error:
            raise ConfigError(
                f"the graph in {folder} cannot be opened: {error}",
                remedy="Stop another process that uses this data directory; free disk space; if the graph is damaged, "
                "`fairmesh rebuild` makes it anew from the journal",
            ) from error

    @property
    def store(self) -> Store:
        if self._closed:
            raise ConfigError("the graph is closed", remedy="Open the data directory again")
        if self._store is None:
            self._store = Store(str(self._folder))
        return self._store

    def reflects(self) -> int:
        found = next(self.store.quads_for_pattern(_META, _REFLECTS, None, _META), None)
        return int(found.object.value) if found is not None and isinstance(found.object, Literal) else 0

    def replace(self, name: str, nquads: bytes, seq: int) -> None:
        graph = NamedNode(name)
        # canonical bytes are N-Triples written by the store's own serialiser: nothing of the user's is pasted raw
        insert = f"INSERT DATA {{ GRAPH {graph} {{ {_kept(nquads).decode()} }} }} ;" if nquads else ""
        self._update(f"DROP SILENT GRAPH {graph} ; {insert} {self._mark(seq)}")

    def advance(self, seq: int) -> None:
        self._update(self._mark(seq))

    def _update(self, text: str) -> None:
        try:
            self.store.update(text)
        except OSError:
            # after a full disk the store refuses writes until it is opened again, space or no space
            if shutil.disk_usage(self._folder).free < _ROOM:
                raise
            self._store = None
            self.store.update(text)

    def load(self, documents: Mapping[str, bytes], seq: int) -> None:
        lines: list[bytes] = []
        for name, nquads in documents.items():
            graph = NamedNode(name)
            if self.store.contains_named_graph(graph):
                self.store.remove_graph(graph)
            end = f" {graph} .".encode()
            lines += [line.removesuffix(b" .") + end for line in _kept(nquads).split(b"\n") if line]
        self.store.bulk_load(b"\n".join(lines), format=RdfFormat.N_QUADS, lenient=True)
        self.advance(seq)

    def _mark(self, seq: int) -> str:
        return (
            f"DELETE WHERE {{ GRAPH {_META} {{ {_META} {_REFLECTS} ?seq }} }} ; "
            f"INSERT DATA {{ GRAPH {_META} {{ {_META} {_REFLECTS} {int(seq)} }} }}"
        )

    def match(
        self, subject: str | None, predicate: str | None = None, obj: str | None = None, *, graph: str | None = None
    ) -> Iterator[Match]:
        quads = self.store.quads_for_pattern(
            NamedNode(subject) if subject is not None else None,
            NamedNode(predicate) if predicate is not None else None,
            NamedNode(obj) if obj is not None else None,
            NamedNode(graph) if graph is not None else None,
        )
        for quad in quads:
            name = quad.graph_name
            if isinstance(name, NamedNode) and name != _META:
                yield _as_written(quad.triple), name.value

    def graph(self, product: str) -> list[Triple]:
        quads = self.store.quads_for_pattern(None, None, None, NamedNode(product))
        return [_as_written(quad.triple) for quad in quads]

    def digest(self) -> str:
        total = hashlib.sha256()
        for name in sorted(self.store.named_graphs(), key=str):
            if name != _META and isinstance(name, NamedNode):
                total.update(name.value.encode() + b"\n" + hashlib.sha256(canonical(self.graph(name.value))).digest())
        return total.hexdigest()

    def clear(self) -> None:
        self.store.clear()

    def close(self) -> None:
        """Release the folder."""
        if self._store is not None:
            with suppress(OSError):  # what is not flushed is replayed by the next opener, at length
                self._store.flush()
        self._store, self._closed = None, True


# -- literals as written ----------------------------------------------------------------------------------------------

# Oxigraph stores numbers, dates and booleans by value: what was written as "1.50" comes back as "1.5". A literal it
# would change is stored with a datatype of its own, which names the real one.
_WRITTEN = "https://w3id.org/fairmesh/graph/written?"
_TYPED_LINE = re.compile(rb'"\^\^<[^>]*> \.$')


def _kept(nquads: bytes) -> bytes:
    """Canonical bytes in which no literal is one that the store would change."""
    if b'"^^<' not in nquads:
        return nquads
    return b"\n".join(
        canonical(map(_stored, load(line))).rstrip() if _TYPED_LINE.search(line) else line
        for line in nquads.split(b"\n")
    )


def _stored(triple: Triple) -> Triple:
    value = triple.object
    if not isinstance(value, Literal) or _is_faithful(value):
        return triple
    return Triple(
        triple.subject, triple.predicate, Literal(value.value, datatype=NamedNode(_WRITTEN + value.datatype.value))
    )


@lru_cache(maxsize=4096)
def _is_faithful(value: Literal) -> bool:
    """Whether the store gives this literal back as it is."""
    if value.datatype.value.startswith(_WRITTEN):
        return False
    probe = Store()
    probe.update(f"INSERT DATA {{ {_META} {_REFLECTS} {value} }}")
    return any(quad.object == value for quad in probe.quads_for_pattern(_META, _REFLECTS, None, None))


def _as_written(triple: Triple) -> Triple:
    value = triple.object
    if not isinstance(value, Literal) or not value.datatype.value.startswith(_WRITTEN):
        return triple
    datatype = NamedNode(value.datatype.value.removeprefix(_WRITTEN))
    return Triple(triple.subject, triple.predicate, Literal(value.value, datatype=datatype))
