"""The files of a rule set: where they come from, what may stand in them, and the rules they hold.

A rule set is a folder with `core/`, and where wanted `org/<org>/` and `domains/<domain>/`, each with `shapes.ttl`,
`vocabulary.ttl` and `examples/*.ttl`. A rule is one targeted `sh:NodeShape` with `fm:mode`. `fairmesh.catalog.rulelint`
says what is wrong with one.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from fairmesh.catalog import rdf
from fairmesh.catalog.errors import InputError, TooLarge, UnsupportedMedia
from fairmesh.catalog.model import FM, Severity
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.statementplaces import place_of_newer, place_of_statement
from fairmesh.catalog.triples import Index

RULES = "https://w3id.org/fairmesh/rules/"
"""Rule IRIs begin with this; the rest is the rule's id (`core/06`, `domains/sales/frequency`)."""

_SH = rdf.PREFIXES["sh"]
_RDFS = rdf.PREFIXES["rdfs"]
_XSD = rdf.PREFIXES["xsd"]

_Term = NamedNode | BlankNode | Literal

SHIPPED = Path(__file__).parent.parent / "ontologies"
"""The rule set that ships."""


class Mode(StrEnum):
    """What a broken rule does: `gate` refuses, `gateWhenLive` refuses live products and warns others."""

    GATE = "gate"
    GATE_WHEN_LIVE = "gateWhenLive"
    WARN = "warn"
    ADVISE = "advise"

    def severity(self, *, live: bool) -> Severity:
        if self is Mode.GATE_WHEN_LIVE:
            return Severity.VIOLATION if live else Severity.WARNING
        return {Mode.GATE: Severity.VIOLATION, Mode.WARN: Severity.WARNING}.get(self, Severity.INFO)


class Scope(StrEnum):
    CORE = "CORE"
    ORGANISATION = "ORGANISATION"
    DOMAIN = "DOMAIN"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a rule, or a part of one, does over time: from the UTC day `next_from` on `next_mode` holds, if any."""

    mode: Mode
    next_mode: Mode | None = None
    next_from: date | None = None

    def at(self, day: date) -> Mode:
        """The mode that holds on a day (UTC)."""
        if self.next_mode is not None and self.next_from is not None and day >= self.next_from:
            return self.next_mode
        return self.mode


@dataclass(frozen=True, slots=True)
class Rule:
    """One targeted node shape. `targets` are class IRIs; `reaches` are its other targets, each (`targetNode`,
    `targetSubjectsOf` or `targetObjectsOf`, IRI). `domain` is a key where scope is DOMAIN, else None.

    `messages` are (language tag or "", text) and say the remedy; `line` is where `file` starts to describe the rule.
    `owner` (`dct:creator`) is who answers for it, None only in sets older than that demand; `since` is `dct:issued`.
    `mode` is what the schedule begins with.
    """

    id: str
    iri: str
    label: str
    comment: str
    messages: tuple[tuple[str, str], ...]
    mode: Mode
    owner: str | None
    scope: Scope
    domain: str | None
    targets: tuple[str, ...]
    reaches: tuple[tuple[str, str], ...]
    needs_mesh: bool
    file: str
    line: int | None
    since: date | None
    schedule: Schedule

    @property
    def message(self) -> str:
        if not self.messages:
            return ""
        return next((text for lang, text in self.messages if lang in ("", "en")), self.messages[0][1])


# -- reading ----------------------------------------------------------------------------------------------------------

_NAME = r"\w[\w.-]*"
FILE = re.compile(rf"(?P<level>core|org/{_NAME}|domains/(?P<domain>{_NAME}))/(?P<kind>vocabulary|shapes)\.ttl")


@dataclass(frozen=True, slots=True)
class Level:
    """One folder of a rule set: `name` is `core`, `org/<org>` or `domains/<domain>`."""

    name: str
    scope: Scope
    domain: str | None
    shapes: tuple[Triple, ...]
    vocabulary: tuple[Triple, ...]


def digest_of(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def refusal(
    file: str,
    what: str,
    remedy: str,
    *,
    line: int | None = None,
    column: int | None = None,
    iri: str | None = None,
) -> InputError:
    return InputError(f"{file}: {what}", remedy=remedy, line=line, column=column, iri=iri, code="rule-set")


def vocabulary_of(files: Mapping[str, bytes]) -> list[Triple]:
    """The vocabulary statements of a rule set that was in force once; its rules need not pass today's lint."""
    return [triple for level in read_levels(files) for triple in level.vocabulary]


def read_levels(files: Mapping[str, bytes]) -> tuple[Level, ...]:
    for name in files:
        if not FILE.fullmatch(name):
            raise refusal(
                name, "is not a file of a rule set", "Give core/, org/<org>/ and domains/<domain>/ files only"
            )
    if "core/shapes.ttl" not in files:
        raise refusal("core/shapes.ttl", "is missing", "A rule set has core rules at least")
    levels = []
    for name in sorted({name.rpartition("/")[0] for name in files}, key=lambda n: (n != "core", n[:3] != "org", n)):
        kind, _, key = name.partition("/")
        scope = {"core": Scope.CORE, "org": Scope.ORGANISATION, "domains": Scope.DOMAIN}[kind]
        shapes, vocabulary = (_read(f"{name}/{part}.ttl", files) for part in ("shapes", "vocabulary"))
        levels.append(Level(name, scope, key if scope is Scope.DOMAIN else None, shapes, vocabulary))
    return tuple(levels)


def shapes_graph_of(name: str, data: bytes) -> tuple[Triple, ...]:
    """The statements of a SHACL file that is no part of a rule set: it may have any base, or none.

    Raises `InputError` (code `rule-set`) for what does not parse.
    """
    found = re.search(rb"(?i)(?:^|\s)@?base\s*<([^<>\s]*)>", data)
    base = found[1].decode("utf-8", "replace") if found and b":" in found[1] else f"{RULES}{_SOMEWHERE}/"
    return _statements(name, data, base.rpartition("/")[0] + "/")


_SOMEWHERE = "unplaced"


def _read(name: str, files: Mapping[str, bytes]) -> tuple[Triple, ...]:
    if name not in files:
        return ()
    return _statements(name, files[name], f"{RULES}{name.rpartition('/')[0]}/")


def _statements(name: str, data: bytes, iri_base: str) -> tuple[Triple, ...]:
    """The statements of one file, with blank nodes named by file and order, so that files never share one."""
    try:
        quads = rdf.parse(data, rdf.TURTLE, iri_base=iri_base).quads
    except InputError as error:
        line, column = (error.line, error.column) if error.line else _place(error, data) or (None, None)
        remedy = _SMALLER if isinstance(error, TooLarge) and error.line is None else error.remedy
        raise refusal(name, error.message, remedy, line=line, column=column) from None
    names: dict[BlankNode, BlankNode] = {}
    prefix = re.sub(r"[^a-zA-Z0-9]", lambda found: f"_{ord(found[0]):x}_", name.removesuffix(".ttl"))

    def renamed(term: Any) -> Any:
        return names.setdefault(term, BlankNode(f"{prefix}_{len(names)}")) if isinstance(term, BlankNode) else term

    return tuple(Triple(renamed(q.subject), q.predicate, renamed(q.object)) for q in quads)


_SMALLER = "Split the file; where sh:in lists very many values, give them a class and ask for it with sh:class"


def _place(error: InputError, data: bytes) -> tuple[int, int] | None:
    """Where a parser that did not say it met what it refuses."""
    limits = rdf.DEFAULT_LIMITS
    if isinstance(error, TooLarge) and len(data) <= limits.max_bytes:
        return place_of_statement(data, limits.max_quads)
    return place_of_newer(data) if isinstance(error, UnsupportedMedia) else None


# -- rules ------------------------------------------------------------------------------------------------------------

TARGETS = tuple(_SH + name for name in ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf"))
_ON = Literal("true", datatype=NamedNode(_XSD + "boolean"))
_DATE = NamedNode(_XSD + "date")


def rules_of(level: Level, files: Mapping[str, bytes]) -> list[Rule]:
    """The rules of one level in the order of their ids: its targeted shapes that have an IRI and a known mode.

    What a set must have beyond that is for the lint to say.
    """
    index = Index(level.shapes)
    file = f"{level.name}/shapes.ttl"
    text = files.get(file, b"").decode("utf-8", "replace")
    targeted = [s for s, facts in index.subjects.items() if any(target in facts for target in TARGETS)]
    found = (_rule(level, index, shape, file, text) for shape in sorted(targeted, key=str))
    return [rule for rule in found if rule is not None]


def _rule(level: Level, index: Index, shape: _Term, file: str, text: str) -> Rule | None:
    iri, schedule = rdf.iri_of(shape), schedule_of(index, shape)
    if iri is None or schedule is None:
        return None
    return Rule(
        id=iri.removeprefix(RULES),
        iri=iri,
        label=_text(index, shape, _RDFS + "label", _SH + "name"),
        comment=_text(index, shape, _RDFS + "comment", _SH + "description"),
        messages=messages_of(index, shape),
        mode=schedule.mode,
        owner=_text(index, shape, rdf.PREFIXES["dct"] + "creator") or None,
        scope=level.scope,
        domain=level.domain,
        targets=tuple(iri for _, iri in _targets(index, shape, TARGETS[:1])),
        reaches=tuple(_targets(index, shape, TARGETS[1:])),
        needs_mesh=_ON in index.objects(shape, FM + "needsMesh"),
        file=file,
        line=_line_of(text, iri),
        since=date_of(index, shape, rdf.PREFIXES["dct"] + "issued"),
        schedule=schedule,
    )


def _targets(index: Index, shape: _Term, predicates: Collection[str]) -> list[tuple[str, str]]:
    """Which targets a shape states, in the order of the predicates, by their name without a namespace."""
    return [
        (predicate.removeprefix(_SH), iri)
        for predicate in predicates
        for iri in sorted(filter(None, map(rdf.iri_of, index.objects(shape, predicate))))
    ]


def schedule_of(index: Index, shape: _Term) -> Schedule | None:
    """The schedule that a rule, or a part of one, states; None when it states no mode, or none that is known."""
    mode, following = (_mode(index, shape, name) for name in ("mode", "nextMode"))
    return None if mode is None else Schedule(mode, following, date_of(index, shape, FM + "nextModeFrom"))


def _mode(index: Index, shape: _Term, name: str) -> Mode | None:
    words = [(rdf.iri_of(term) or "").removeprefix(FM) for term in index.objects(shape, FM + name)]
    return next((Mode(word) for word in words if word in list(Mode)), None)


def date_of(index: Index, shape: _Term, predicate: str) -> date | None:
    """The `xsd:date` without a time zone that a shape states, if it does."""
    for term in index.objects(shape, predicate):
        if isinstance(term, Literal) and term.datatype == _DATE and re.fullmatch(r"\d{4}-\d\d-\d\d", term.value):
            try:
                return date.fromisoformat(term.value)
            except ValueError:
                continue
    return None


def _text(index: Index, shape: _Term, *predicates: str) -> str:
    values = [v for p in predicates for v in index.objects(shape, p)]
    values.sort(key=lambda v: (getattr(v, "language", None) not in (None, "en"), str(v)))
    return getattr(values[0], "value", "") if values else ""


def messages_of(index: Index, shape: _Term) -> tuple[tuple[str, str], ...]:
    found = index.objects(shape, _SH + "message")
    return tuple(sorted((m.language or "", m.value) for m in found if isinstance(m, Literal)))


def _line_of(text: str, iri: str) -> int | None:
    """The line that begins with this IRI, else the first that has it, written in full or with a prefix."""
    forms = [re.escape(f"<{iri}>")]
    for prefix, namespace in re.findall(r"@?prefix\s+([\w.-]*:)\s*<([^>]*)>", text, re.IGNORECASE):
        if iri.startswith(namespace) and iri != namespace:
            forms.append(
                re.escape(prefix) + re.escape(iri.removeprefix(namespace)).replace("/", r"\\?/") + r"(?![\w/-])"
            )
    either = "|".join(forms)
    found = re.search(rf"^\s*(?:{either})", text, re.MULTILINE) or re.search(either, text)
    return None if found is None else text.count("\n", 0, found.end()) + 1


# -- folders and bundles ----------------------------------------------------------------------------------------------

EXAMPLE = re.compile(rf"(?P<level>core|org/{_NAME}|domains/{_NAME})/examples/(?P<name>{_NAME}\.ttl)")
MAX_FILES = 5_000
MAX_BYTES = 32 << 20
"""Limits of a rule set: Turtle files, and bytes of all of them; of a bundle, unpacked, all files count."""

_LEVELS = ("core/", "org/", "domains/")


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """A rule set as files. `files` and `examples` map paths such as `core/shapes.ttl` and `core/examples/ok-x.ttl` to
    bytes. `place` is the folder they lie in, or the bundle. A set without `core/` is completed with the core that
    ships, without its examples; `core` is whether it has one of its own."""

    place: str
    files: Mapping[str, bytes]
    examples: Mapping[str, bytes]
    core: bool

    def shown(self, name: str) -> str:
        """How a file of the set is called where it lies."""
        borrowed = not self.core and name.startswith("core/")
        return f"{SHIPPED if borrowed else self.place}/{name}"


def read_rules(place: Path = SHIPPED) -> RuleFiles:
    """Read a rule set: a folder, or a bundle as `git archive` makes it (.tar, .tar.gz or .zip).

    The levels lie at its top, or in `ontologies/` there; a bundle may have one folder around it all. Raises
    `InputError` (code `rule-set`), naming file and remedy.
    """
    if os.path.isdir(place):  # pathlib raises where the folder above cannot be looked into
        root, found = _in_folder(place)
    elif os.path.isfile(place):
        root, found = _in_bundle(place)
    else:
        raise refusal(
            str(place), "is neither a folder nor a bundle", "Name the folder that holds core/, org/ or domains/"
        )
    files, examples = _sorted_out(found, place)
    core = any(name.startswith("core/") for name in files)
    if not files:
        raise refusal(str(place), "holds no rule set", "Name the folder that holds core/, org/ or domains/")
    if not core:
        shipped, _ = _sorted_out(_in_folder(SHIPPED)[1], SHIPPED)
        files |= {name: data for name, data in shipped.items() if name.startswith("core/")}
    return RuleFiles(root, dict(sorted(files.items())), dict(sorted(examples.items())), core)


def _sorted_out(found: Mapping[str, bytes], place: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Files and examples. Raises `InputError` for a Turtle file that is neither; `place` is what was named."""
    files, examples = {}, {}
    for name, data in found.items():
        if EXAMPLE.fullmatch(name):
            examples[name] = data
        elif FILE.fullmatch(name):
            files[name] = data
        elif _PLACED.fullmatch(name):
            raise refusal(name, "lies in no core/, org/<org>/ or domains/<domain>/ of what was named", _above(place))
        else:
            raise refusal(
                name, "is not a file of a rule set",
                "Rules go to shapes.ttl, terms to vocabulary.ttl, examples to examples/ in core/, org/<org>/ or"
                " domains/<domain>/",
            )  # fmt: skip
    return files, examples


_PLACED = re.compile(rf"(?:{_NAME}/)?(?:shapes\.ttl|vocabulary\.ttl|examples/{_NAME}\.ttl)")
"""A file of a rule set whose level is not told: the level itself was named, or `org` or `domains`."""


def _above(place: Path) -> str:
    """What to name in place of a level of a rule set, or of a folder of levels."""
    parts = place.absolute().parts
    for depth, name in ((1, "core"), (1, "org"), (1, "domains"), (2, "org"), (2, "domains")):
        if len(parts) > depth and parts[-depth] == name:
            return f"Name the folder above {name}/: {Path(*parts[:-depth])}"
    return "Name the folder that holds core/, org/ or domains/"


def _in_folder(folder: Path) -> tuple[str, dict[str, bytes]]:
    """The folder that the levels lie in, and its Turtle files by their path there; hidden ones are left out."""
    try:
        top = {f"{path.name}/" for path in folder.iterdir() if path.is_dir()}
    except OSError as error:
        raise refusal(str(folder), f"cannot be read: {error.strerror}", "Make it a readable folder") from error
    if top.isdisjoint(_LEVELS) and "ontologies/" in top:
        folder = folder / "ontologies"
    found: dict[str, bytes] = {}
    size = 0
    for path in sorted(folder.rglob("*.ttl")):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in name.split("/")):
            continue
        try:
            stated = path.stat()
            if not stat.S_ISREG(stated.st_mode):  # a pipe would be waited for
                raise refusal(str(path), "is no file", "Keep Turtle files alone under names in .ttl")
            size += stated.st_size
            _check_size(str(folder), len(found) + 1, size)
            found[name] = path.read_bytes()
        except OSError as error:
            raise refusal(str(path), f"cannot be read: {error.strerror}", "Make it a readable file") from error
    return str(folder), found


def _check_size(place: str, count: int, size: int) -> None:
    if count > MAX_FILES or size > MAX_BYTES:
        raise refusal(
            place, "is larger than a rule set may be", f"Keep it to {MAX_FILES} files and {MAX_BYTES >> 20} MB"
        )


def _in_bundle(place: Path) -> tuple[str, dict[str, bytes]]:
    """As `_in_folder`, of a bundle. Nothing is written to disk."""
    try:
        if place.stat().st_size > MAX_BYTES:
            _check_size(str(place), 0, MAX_BYTES + 1)
        data = place.read_bytes()
        members = _zipped(str(place), data) if data.startswith(b"PK") else _tarred(str(place), data)
    except (OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError,
            RuntimeError) as error:  # fmt: skip
        raise refusal(
            str(place), f"is no bundle that can be read: {error}", "Make one with `git archive` (.tar, .tar.gz, .zip)"
        ) from None
    root = _root(members)
    found = {name.removeprefix(root): body for name, body in members.items() if name.startswith(root)}
    return f"{place}/{root}".rstrip("/"), found


def _root(members: Mapping[str, bytes]) -> str:
    """The folder of a bundle that the levels lie in: its top, the one folder around it all, or `ontologies/` there."""
    tops = {name.partition("/")[0] + "/" for name in members}
    around = next(iter(tops)) if len(tops) == 1 and tops.isdisjoint((*_LEVELS, "ontologies/")) else ""
    inner = {name.removeprefix(around).partition("/")[0] + "/" for name in members}
    return around + ("ontologies/" if inner.isdisjoint(_LEVELS) and "ontologies/" in inner else "")


def _tarred(place: str, data: bytes) -> dict[str, bytes]:
    if data.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=31)
        data = unpacker.decompress(data, MAX_BYTES + 1)
        _check_size(place, 0, len(data))
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for count, member in enumerate(archive, 1):
            _check_size(place, count, 0)
            _check_member(place, member.name, plain=member.isfile() or member.isdir())
            if member.isfile() and member.name.endswith(".ttl") and (body := archive.extractfile(member)):
                found[member.name] = body.read()
    return found


def _zipped(place: str, data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = 0
        for count, member in enumerate(archive.infolist(), 1):
            size += member.file_size  # what unpacks to more than it says is refused by its checksum
            _check_size(place, count, size)
            kind = stat.S_IFMT(member.external_attr >> 16)
            _check_member(place, member.filename, plain=kind in (0, stat.S_IFREG, stat.S_IFDIR))
            if member.filename.endswith(".ttl"):
                found[member.filename] = archive.read(member)
    return found


def _check_member(place: str, name: str, *, plain: bool) -> None:
    if not plain:
        raise refusal(place, f"holds {name}, which is a link or a device", "Put the file itself into the bundle")
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or "\0" in name:
        raise refusal(place, f"holds {name!r}, which leads out of it", "Make the bundle with `git archive`")
