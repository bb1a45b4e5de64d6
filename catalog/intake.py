"""Submitted bytes: read in killable children, and the places in them that findings are about."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from fairmesh.catalog import rdf
from fairmesh.catalog.config import Settings
from fairmesh.catalog.document import ProductDocument, read
from fairmesh.catalog.errors import InputError, WorkerFailed
from fairmesh.catalog.model import Report
from fairmesh.catalog.places import Positions
from fairmesh.catalog.workers import Pool

P = ParamSpec("P")
R = TypeVar("R")

TIMEOUT = 20.0
"""Seconds a document may take to parse."""
MEMORY = 2 * 2**30
"""Bytes of address space a parser may take: what a document can swell to before its child ends."""


class Intake:
    """Reads documents with `size` child processes; safe to call from any thread."""

    def __init__(self, settings: Settings, size: int) -> None:
        self._base = settings.iri_base
        self._limits = rdf.Limits(settings.max_bytes, settings.max_depth, settings.max_quads)
        self._parsers = Pool(size, first_imports=("fairmesh.catalog.document",), memory=MEMORY)

    def document(self, content: bytes, media_type: str | None) -> ProductDocument:
        """As `document.read`; raises its errors, and `InputError` for what brings the parser down or keeps it busy."""
        try:
            return self._call(read, content, media_type, self._base, self._limits)
        except WorkerFailed as error:
            if error.code not in ("worker-died", "worker-late"):
                raise
            raise InputError(
                f"the document could not be read: {error.message}",
                remedy="Nest it less deeply, or send it as N-Triples",
            ) from error

    def graph(self, content: bytes, media_type: str | None, *, any_base: bool = False) -> list[rdf.Triple]:
        """The statements of any RDF. Raises as `rdf.parse`, and `WorkerFailed`."""
        parsed = self._call(rdf.parse, content, media_type, self._base, self._limits, any_base)
        return [quad.triple for quad in parsed.quads]

    def close(self) -> None:
        self._parsers.close()

    def _call(self, function: Callable[P, R], *args: Any) -> R:
        # a child that dies may have been killed from outside: it gets one retry
        call = functools.partial(self._parsers.call, function, *args, timeout=TIMEOUT)
        try:
            return call()
        except WorkerFailed as error:
            if error.code != "worker-died":
                raise
        return call()


def with_lines(report: Report, content: bytes, media_type: str, iri_base: str) -> Report:
    """The report with the line and column of each finding in the submitted bytes, where known."""
    if not report.findings:
        return report
    places = Positions(content, media_type, iri_base)
    found = []
    for finding in report.findings:
        line, column = places.find(finding.focus, finding.path) or (None, None)
        found.append(replace(finding, line=line, column=column))
    return replace(report, findings=tuple(found))
