"""Foreign metadata read as product documents: one module per format, and the values they share.

A feed is pure: bytes in, documents out. It registers nothing and knows nothing of a mesh that is already there.
Documents are Turtle with relative IRIs, the same bytes for the same source, whatever its folder or the day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import CLASSIFICATIONS, STATUSES
from fairmesh.catalog.rdf import NamedNode

__all__ = ["Completion", "FeedDocument", "Import", "ImportOptions", "Problem"]

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9_-]*")
SEMVER = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_EMAIL = re.compile(r"[^\s@:/]+@[^\s@]+\.[^\s@]+")
_WEB = re.compile(r"https?://\S+", re.IGNORECASE)


def absolute_iri(text: str) -> NamedNode | None:
    """The text as an absolute IRI, if it is one."""
    try:
        return NamedNode(text)
    except ValueError:
        return None


def address(text: str) -> NamedNode | None:
    """An e-mail address (with or without `mailto:`) or a web address as an IRI; None for any other text."""
    text = text.strip()
    plain = text[7:] if text[:7].lower() == "mailto:" else text
    if _EMAIL.fullmatch(plain):
        return absolute_iri("mailto:" + plain)
    return absolute_iri(text) if _WEB.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Completion:
    """Facts for a product whose source lacks them; None (or no keyword) says nothing.

    `owner` is a name, `contact` an e-mail address or web address, `license` an IRI, `version` a semantic version,
    `classification` and `status` words of their schemes. `endpoint` is the address at which all its data is read and
    `namespace` that service's OpenLineage namespace. Raises `InputError` for a value of another form.
    """

    title: str | None = None
    description: str | None = None
    purpose: str | None = None
    owner: str | None = None
    contact: str | None = None
    classification: str | None = None
    status: str | None = None
    version: str | None = None
    license: str | None = None
    endpoint: str | None = None
    namespace: str | None = None
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _word("classification", self.classification, CLASSIFICATIONS)
        _word("status", self.status, tuple(s for s in STATUSES if s != "retired"))
        if self.version is not None and not SEMVER.fullmatch(self.version):
            raise InputError(f"version {self.version!r} is not a semantic version", remedy="Write it as 1.0.0")
        if self.contact is not None and address(self.contact) is None:
            remedy = "Give an e-mail address or an http(s) address"
            raise InputError(f"contact {self.contact!r} reaches nobody", remedy=remedy)
        for name in ("license", "endpoint"):
            value = getattr(self, name)
            if value is not None and absolute_iri(value) is None:
                raise InputError(f"{name} {value!r} is not an IRI", remedy=f"Give the {name}'s whole IRI")
        for name in ("title", "description", "purpose", "owner"):
            value = getattr(self, name)
            if value is not None and not value.strip():
                raise InputError(f"{name} is empty", remedy=f"Give {name} a text, or leave it out")

    def or_else(self, other: Completion) -> Completion:
        """These facts; where they say nothing, the other's."""
        return Completion(**{f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(self)})


def _word(name: str, value: str | None, words: tuple[str, ...]) -> None:
    if value is not None and value not in words:
        raise InputError(f"{name} {value!r} is not known", remedy="Use one of " + ", ".join(words))


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the caller says about a whole import. `domain` is the first part of every key.

    For one product, `completions[key]` comes first, then `completions["*"]`, then the fields here; what the source
    itself says comes before all of them. Raises `InputError` for a value of another form.
    """

    domain: str
    owner: str | None = None
    contact: str | None = None
    classification: str = "internal"
    status: str = "build"
    version: str = "0.1.0"
    completions: Mapping[str, Completion] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.domain):
            raise InputError(
                f"domain {self.domain!r} cannot start a key",
                remedy="Use small letters, digits, '-' and '_', starting with a letter or digit",
            )
        self._general()

    def defaults(self, key: str) -> Completion:
        """The facts to fall back on for the product with this key."""
        found = Completion()
        for name in (key, "*"):
            if name in self.completions:
                found = found.or_else(self.completions[name])
        return found.or_else(self._general())

    def unmatched(self, keys: Iterable[str]) -> list[str]:
        """A note for each completion that is for none of these keys."""
        return [f"completed product {key} is not in this source" for key in sorted({*self.completions} - {*keys, "*"})]

    def _general(self) -> Completion:
        return Completion(
            owner=self.owner, contact=self.contact, classification=self.classification, status=self.status,
            version=self.version,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """One product document. `file` and `record` name where it came from: a dataset's IRI, a dbt folder, ..."""

    key: str
    turtle: bytes
    file: str
    record: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A file or record that did not become a document. `record` is "" for a whole file."""

    file: str
    record: str
    reason: str
    remedy: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """What a source gave: documents by key, one line of `notes` for each thing left out, merged or renamed, and
    `problems`. What is neither in a document nor in a problem is in a note."""

    documents: tuple[FeedDocument, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
