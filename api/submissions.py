"""Documents on their way to a verdict: files read, foreign sources converted, batches sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairmesh.api.client import Client, Outgoing, Refused, Unreachable, batches
from fairmesh.api.verdicts import DENIED, UNAVAILABLE, Verdict, exit_code
from fairmesh.catalog import rdf
from fairmesh.catalog.errors import FairmeshError, InputError, ParseError
from fairmesh.catalog.feeds import FeedDocument, Import, ImportOptions, Problem, dbt, dcat
from fairmesh.catalog.places import Positions

_CATALOG = "catalog.json"
_MOST = 1_000_000_000
"""Bytes of the largest file that is read: the highest that the setting `max_bytes` goes."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document to judge or register. `file` (and `record` in it) is where it came from; `key` if it is known."""

    file: str
    content: bytes
    media_type: str | None
    key: str | None = None
    record: str = ""


@dataclass(slots=True)
class Gathered:
    """What was read: documents, and a verdict on each file or record that gave none."""

    documents: list[Document] = field(default_factory=list)
    failed: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_file(name: str) -> bytes:
    """The bytes of a file that is not empty, or of a pipe. Raises `InputError` (code `unreadable`) naming it."""
    if not name:
        raise _unreadable("the name of a file is empty", "Name one: is a variable of the shell unset?")
    try:
        with Path(name).open("rb") as file:
            content = file.read(_MOST + 1)  # devices have no end
    except IsADirectoryError:
        raise _unreadable(f"{name} is a directory", f"Name its files: {name.rstrip('/')}/*.ttl") from None
    except FileNotFoundError:
        raise _unreadable(f"there is no file {name}", "Check the name") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _unreadable(f"{name} cannot be read: {reason}", "Make it a readable file") from error
    if len(content) > _MOST:
        raise _unreadable(f"{name} is larger than {_MOST:,} bytes", "Split it")
    if not content.strip():
        raise _unreadable(f"{name} is empty", "Write the document into it")
    return content


def _unreadable(message: str, remedy: str) -> InputError:
    return InputError(message, remedy=remedy, code="unreadable")


def gather(files: Iterable[str]) -> Gathered:
    """Product documents, one to a file."""
    gathered = Gathered()
    for file in files:
        try:
            gathered.documents.append(Document(file, read_file(file), rdf.media_type_for_path(file)))
        except InputError as error:
            gathered.failed.append(Verdict.failed(file, error))
    return gathered


# -- foreign sources --------------------------------------------------------------------------------------------------


def from_dbt(manifests: Sequence[str], options: ImportOptions) -> Gathered:
    """Documents of dbt manifests, with the catalog.json beside each, where there is one."""
    gathered = Gathered()
    for manifest in manifests:
        try:
            content = read_file(manifest)
            beside = Path(manifest).parent / _CATALOG
            described = read_file(str(beside)) if beside.is_file() else None
            found = dbt.read(content, described, options, manifest)
        except InputError as error:
            gathered.failed.append(_no_import(manifest, error))
            continue
        if described is not None:
            gathered.notes.append(f"{manifest}: columns and types also from {beside}")
        _take(gathered, found)
    return gathered


def from_dcat(files: Sequence[str], options: ImportOptions) -> Gathered:
    """Documents of DCAT files, read as one graph."""
    gathered = Gathered()
    sources = []
    for file in dict.fromkeys(files):
        try:
            sources.append((file, read_file(file)))
        except InputError as error:
            gathered.failed.append(Verdict.failed(file, error))
    if sources:
        try:
            _take(gathered, dcat.read(sources, options))
        except InputError as error:
            gathered.failed.append(_no_import(", ".join(file for file, _ in sources), error))
    return gathered


def _take(gathered: Gathered, found: Import) -> None:
    taken = {document.key: document.file for document in gathered.documents}
    for document in found.documents:
        if document.key in taken:
            problem = f"the key {document.key} is taken by a product of {taken[document.key]}"
            remedy = "Import the two with different --domain"
            gathered.failed.append(_not_imported(Problem(document.file, document.record, problem, remedy)))
        else:
            gathered.documents.append(_converted(document))
    gathered.notes.extend(found.notes)
    gathered.failed.extend(_not_imported(problem) for problem in found.problems)


def _no_import(file: str, error: InputError) -> Verdict:
    """A source that gave nothing: it cannot be read, or it can and holds no record."""
    if error.code == InputError.code:
        return _not_imported(Problem(file, "", error.message, error.remedy, error.line, error.column))
    return Verdict.failed(file, error)


def _converted(document: FeedDocument) -> Document:
    return Document(document.file, document.turtle, "text/turtle", document.key, document.record)


def _not_imported(problem: Problem) -> Verdict:
    detail = {
        "code": "not-imported",
        "detail": problem.reason,
        "remedy": problem.remedy,
        "line": problem.line,
        "column": problem.column,
    }
    return Verdict(problem.file, 422, record=problem.record, problem=detail)


# -- sending ----------------------------------------------------------------------------------------------------------


def send(
    client: Client,
    documents: Sequence[Document],
    *,
    dry_run: bool,
    if_revision: int | None,
    done: Callable[[int], None],
) -> list[Verdict]:
    """Register in batches; a verdict for each document, in order. `done` is told how many more are finished.

    When the server is gone, or does not know the caller, what was not sent yet gets that verdict too.
    """
    verdicts: dict[int, Verdict] = {}
    ready: list[int] = []
    outgoing: list[Outgoing] = []
    for number, document in enumerate(documents):
        try:
            outgoing.append(Outgoing(_text(document.content), document.media_type, if_revision))
            ready.append(number)
        except ParseError as error:
            verdicts[number] = _verdict_of(document, error)
    end: FairmeshError | None = None
    for group in batches(outgoing):
        places = [ready[position] for position in group]
        if end is None:
            try:
                results = client.batch([outgoing[position] for position in group], dry_run=dry_run)
            except (Refused, Unreachable) as error:
                verdicts.update({place: _verdict_of(documents[place], error) for place in places})
                end = error if _hopeless(error) else None
            else:
                for place, result in zip(places, results, strict=True):
                    verdicts[place] = _answered(documents[place], result, client.anonymous)
        else:
            verdicts.update({place: _verdict_of(documents[place], end) for place in places})
        done(len(group))
    return [verdicts[number] for number in range(len(documents))]


def _answered(document: Document, result: Mapping[str, Any], anonymous: bool) -> Verdict:
    """The server's verdict, with the step that a version lacks, and what an anonymous caller can do."""
    found = Verdict.of(document.file, result, key=document.key, record=document.record)
    if anonymous and found.problem is not None and found.exit_code == DENIED:
        remedy = f"{found.problem.get('remedy') or 'Say who you are'}. There is no token: set FAIRMESH_TOKEN"
        found = replace(found, problem={**found.problem, "remedy": remedy})
    return found.at_version()


def place_of(document: Document, verdict: Verdict) -> tuple[int, int] | None:
    """Line and column where the document begins to describe its product."""
    if verdict.product is None or verdict.key is None:
        return None
    base = verdict.product.removesuffix(verdict.key)
    places = Positions(document.content, rdf.sniff(document.content, document.media_type), base)
    return places.find(verdict.product)


def _hopeless(error: Refused | Unreachable) -> bool:
    return isinstance(error, Unreachable) or exit_code(error.status, error.code) in (DENIED, UNAVAILABLE)


def _verdict_of(document: Document, error: FairmeshError) -> Verdict:
    if isinstance(error, Refused):
        return Verdict(document.file, error.status, document.key, document.record, problem=error.problem)
    return Verdict.failed(document.file, error, key=document.key, record=document.record)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        start = content.rfind(b"\n", 0, error.start) + 1
        raise ParseError(
            "the document is not UTF-8", remedy="Save it as UTF-8", line=content.count(b"\n", 0, error.start) + 1,
            column=len(content[start : error.start].decode("utf-8", "replace")) + 1,
        ) from None  # fmt: skip
