"""Submitted bytes: read in killable children, and the places in them that findings and changes are about."""

from __future__ import annotations

from dataclasses import replace

from fairmesh.catalog import rdf
from fairmesh.catalog.changes import Comparison
from fairmesh.catalog.config import Settings
from fairmesh.catalog.document import ProductDocument, read
from fairmesh.catalog.errors import InputError, WorkerFailed
from fairmesh.catalog.model import Report
from fairmesh.catalog.parts import VERSION
from fairmesh.catalog.places import Positions
from fairmesh.catalog.workers import Pool

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
            return self._parsers.retried(read, content, media_type, self._base, self._limits, timeout=TIMEOUT)
        except WorkerFailed as error:
            if error.code not in ("worker-died", "worker-late"):
                raise
            raise InputError(
                f"the document could not be read: {error.message}",
                remedy="Nest it less deeply, or send it as N-Triples",
            ) from error

    def graph(self, content: bytes, media_type: str | None, *, any_base: bool = False) -> list[rdf.Triple]:
        """The statements of any RDF. Raises as `rdf.parse`, and `WorkerFailed`."""
        parsed = self._parsers.retried(
            rdf.parse, content, media_type, self._base, self._limits, any_base, timeout=TIMEOUT
        )
        return [quad.triple for quad in parsed.quads]

    def close(self) -> None:
        self._parsers.close()


def with_lines(report: Report, places: Positions) -> Report:
    """The report with the line and column of each finding in the submitted bytes, where known."""
    found = []
    for finding in report.findings:
        line, column = places.find(finding.focus, finding.path) or (None, None)
        found.append(replace(finding, line=line, column=column))
    return replace(report, findings=tuple(found))


def with_places(comparison: Comparison, places: Positions) -> Comparison:
    """The comparison with the line and column of each change in the submitted bytes of the new revision, where known:
    of the first statement that is added, else of the node, else of the product. The version's are where it is stated.
    """

    def find(node: str, predicate: str | None) -> tuple[int, int] | tuple[None, None]:
        return places.find(node, predicate) or places.find(comparison.product) or (None, None)

    changes = []
    for change in comparison.changes:
        line, column = find(change.node, next((s.predicate for s in change.statements if s.added), None))
        changes.append(replace(change, line=line, column=column))
    line, column = find(comparison.product, VERSION)
    return replace(
        comparison, changes=tuple(changes), version=replace(comparison.version, line=line, column=column)
    )  # fmt: skip
