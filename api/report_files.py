"""`--report FILE`: the whole report of a validation as RDF (SHACL, section 3.6), in the syntax of the file's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairmesh.api.client import Client
from fairmesh.api.commands import write_file
from fairmesh.api.submissions import Document
from fairmesh.catalog import rdf
from fairmesh.catalog.errors import ConfigError

_FORMATS = {
    rdf.TURTLE: "TURTLE", rdf.JSON_LD: "JSON_LD", rdf.N_TRIPLES: "N_TRIPLES", rdf.N_QUADS: "N_QUADS", rdf.TRIG: "TRIG",
    rdf.RDF_XML: "RDF_XML",
}  # fmt: skip
"""What GraphQL calls the syntaxes."""
_VALIDATE = """
mutation Report($input: ValidateInput!, $format: RdfFormat!) {
  validate(input: $input) { report { conforms counts { violation } rdf(format: $format) } }
}
"""


@dataclass(frozen=True, slots=True)
class ReportFile:
    """Where the report goes, and its media type."""

    path: Path
    media_type: str

    @classmethod
    def named(cls, name: str | None, documents: Sequence[str]) -> ReportFile | None:
        """The file of `--report`; None when there is no such option. Raises `ConfigError` for several documents, and
        for a name that says no syntax."""
        if name is None:
            return None
        if len(documents) != 1:
            raise ConfigError(
                f"--report is of one document, not {len(documents)}",
                remedy="Validate each on its own, or take --format json for all",
            )
        media_type = rdf.media_type_for_path(name)
        if media_type not in _FORMATS:
            raise ConfigError(
                f"{name} does not say in which syntax the report is to be",
                remedy="End it in .ttl, .jsonld, .rdf, .nt, .nq or .trig",
            )
        return cls(Path(name), media_type)

    def write(self, content: bytes) -> None:
        """Raises `ConfigError` when that cannot be done."""
        write_file(self.path, content)

    def fetch(self, client: Client, document: Document) -> bytes | None:
        """What the server reports of a document; None when it does not get as far as judging it."""
        metadata = {
            "content": document.content.decode("utf-8", "replace"),
            "format": _FORMATS[rdf.sniff(document.content, document.media_type)],
        }
        asked = {"input": {"metadata": metadata}, "format": _FORMATS[self.media_type]}
        report = client.graphql(_VALIDATE, asked)["validate"]["report"]
        judged = report["conforms"] or report["counts"]["violation"]
        return str(report["rdf"]).encode() if judged else None
