"""`fairmesh validate --shapes`: any RDF judged by any SHACL, without a mesh and its rules."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from fairmesh.api import submissions
from fairmesh.api.output import SHAPES, Progress, Terminal, place, show
from fairmesh.api.problems import problem
from fairmesh.api.report_files import ReportFile
from fairmesh.api.submissions import Document
from fairmesh.api.verdicts import Finding, Run, Verdict
from fairmesh.catalog import rdf
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import ConfigError, FairmeshError, InputError
from fairmesh.catalog.intake import Intake
from fairmesh.catalog.places import Positions
from fairmesh.catalog.rdf import N_TRIPLES, TURTLE, BlankNode, NamedNode, Triple
from fairmesh.catalog.statementplaces import StatementPlaces

if TYPE_CHECKING:
    from fairmesh.catalog.model import Finding as Found
    from fairmesh.catalog.plainshapes import Checked, PlainShapes

WORDS = ("ok", "refused")
_PLACED = 30
"""Findings of one shape, path and component whose place is looked for."""
_NAMED = 5
"""Files that a note names."""
_OPTIONS = {
    "server": "--server judges products by the rules of its mesh",
    "governance": "--governance is a rule set for products",
    "min_fair": "--min-fair is a mark for products",
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what makes `validate` judge by plain SHACL."""
    parser.add_argument(
        "--shapes", metavar="TTL", action="append", default=[],
        help="judge any RDF by these SHACL shapes instead of products by rules; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--vocabulary", metavar="RDF", action="append", default=[],
        help="with --shapes: what is known beside the data, such as subclasses and types of concepts; repeatable",
    )  # fmt: skip


def asked(options: argparse.Namespace) -> bool:
    """Whether shapes are to judge. Raises `ConfigError` for options that do not go together."""
    if not options.shapes:
        if options.vocabulary:
            raise ConfigError("--vocabulary is for --shapes", remedy="Name shapes too, or leave it out")
        return False
    for name, why in _OPTIONS.items():
        if getattr(options, name) is not None:
            raise ConfigError(f"--shapes does not go with it: {why}", remedy="Leave one of the two out")
    return True


def validate(options: argparse.Namespace) -> int:
    """Judge each file on its own and show what was found; the exit code."""
    report = ReportFile.named(options.report, options.files)
    settings = Settings.read({"engine": options.engine})
    shapes = {path: submissions.read_file(path) for path in options.shapes}
    vocabulary = {path: submissions.read_file(path) for path in options.vocabulary}
    gathered = submissions.gather(options.files)
    size = max(1, min(settings.workers, len(gathered.documents)))
    with (
        closing(Intake(settings, size)) as intake,
        closing(_ready(intake, shapes, vocabulary, settings.engine, size)) as checker,
        ThreadPoolExecutor(size) as threads,
    ):
        remarks = _remarks(checker, options.shapes)
        progress = Progress("checking", len(gathered.documents))
        judged = []
        for each in threads.map(lambda it: _judged(intake, checker, it, settings.iri_base), gathered.documents):
            judged.append(each)
            progress.add(1)
    notes = [note for each in judged for note in each.notes]
    notes += _unchecked([each.verdict.file for each in judged if each.checked and not each.checked.focus_nodes])
    if report is not None:
        notes += _written(report, [each.checked for each in judged])
    if options.format == "text":
        for remark in remarks:
            Terminal(sys.stderr, os.environ).line(f"note: {remark}")
    else:
        notes = [*remarks, *notes]
    run = Run(SHAPES, (*(each.verdict for each in judged), *gathered.failed), WORDS, tuple(notes))
    show(run, options.format)
    return run.exit_code


def _ready(
    intake: Intake, shapes: dict[str, bytes], vocabulary: dict[str, bytes], engine: str, size: int
) -> PlainShapes:
    from fairmesh.catalog.plainshapes import PlainShapes  # the engines take as long to load as all the rest

    known: list[Triple] = []
    for number, (path, content) in enumerate(vocabulary.items()):
        try:
            stated = intake.graph(content, rdf.media_type_for_path(path), any_base=True)
        except InputError as error:
            raise _at(path, error) from error
        known += [_apart(triple, number) for triple in stated]
    return PlainShapes(shapes, known, engine, size)


def _at(path: str, error: InputError) -> InputError:
    return InputError(
        f"{path}: {error.message}", remedy=error.remedy, line=error.line, column=error.column, code="unreadable"
    )


def _apart(triple: Triple, number: int) -> Triple:
    """With names of blank nodes that no other file has."""

    def named(term: object) -> object:
        return BlankNode(f"vocabulary{number}-{term.value}") if isinstance(term, BlankNode) else term

    return Triple(named(triple.subject), triple.predicate, named(triple.object))  # type: ignore[arg-type]


def _remarks(checker: PlainShapes, shapes: Sequence[str]) -> list[str]:
    """What there is to say of the shapes: what of them is left out, first of all."""
    left_out = [each for each in checker.problems if each.error]
    found = [
        f"left out: {place(each.file, each.line, each.column)}: {each.what}. {each.remedy}" for each in left_out
    ]  # fmt: skip
    advice = len(checker.problems) - len(left_out)
    if advice:
        found.append(f"{_counted(advice, 'more remark')}: fairmesh rules lint {' '.join(shapes)}")
    return found + ([checker.unsupported] if checker.unsupported else [])


# -- one file ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    """The verdict on a file, and what it rests on; None when the file could not be judged."""

    verdict: Verdict
    checked: Checked | None = None

    @property
    def notes(self) -> list[str]:
        failed = self.checked.report.failed if self.checked else ()
        return [f"{self.verdict.file}: <{shape}> could not be evaluated: {reason}" for shape, reason in failed]


def _judged(intake: Intake, checker: PlainShapes, given: Document, iri_base: str) -> _Judged:
    try:
        data = _numbered(intake.graph(given.content, given.media_type, any_base=True), given.content)
        checked = checker.check(data)
    except FairmeshError as error:
        return _Judged(Verdict.failed(given.file, error))
    findings = _placed(checked, given, data, iri_base)
    verdict = Verdict(given.file, 200, findings=findings)
    failed = checked.report.failed
    gates = [finding for finding in findings if finding.gates]
    if gates:
        detail = f"{_counted(len(gates), 'violation')} of {_counted(len({it.rule for it in gates}), 'shape')}"
        verdict = replace(verdict, status=422, problem=problem(422, "not-conforming", detail))
    elif failed:
        detail = f"{_counted(len(failed), 'shape')} could not be evaluated"
        remedy = "Mend what the notes name, or split the file"
        verdict = replace(verdict, status=503, problem=problem(503, "shape-failed", detail, remedy))
    return _Judged(verdict, checked)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _written(file: ReportFile, checked: Sequence[Checked | None]) -> list[str]:
    """Write the one report, if there is any; a note when there is none."""
    from fairmesh.catalog.reports import report_graph

    for each in checked:
        if each is not None:
            file.write(rdf.serialize(report_graph(each.report), file.media_type))
            return []
    return ["no report was written: the file could not be judged"]


def _numbered(data: Sequence[Triple], content: bytes) -> list[Triple]:
    """With names for the blank nodes the file gives none: numbers in order, the same on every run. Its own stay."""
    names: dict[BlankNode, BlankNode] = {}
    fresh = (f"b{number}" for number in count() if b"_:b%d" % number not in content)

    def named(term: object) -> object:
        if not isinstance(term, BlankNode):
            return term
        if term not in names:
            names[term] = term if f"_:{term.value}".encode() in content else BlankNode(next(fresh))
        return names[term]

    return [Triple(named(t.subject), t.predicate, named(t.object)) for t in data]  # type: ignore[arg-type]


def _unchecked(files: Sequence[str]) -> list[str]:
    if not files:
        return []
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return [f"nothing was checked, for no shape targets anything there: {', '.join(files[:_NAMED])}{more}"]


def _placed(checked: Checked, given: Document, data: Sequence[Triple], iri_base: str) -> tuple[Finding, ...]:
    """The findings, the first of each kind with line and column."""
    found = checked.report.findings
    if not found:
        return ()
    places = _Places(given, data, iri_base)
    times: Counter[tuple[str, str | None, str]] = Counter()
    placed = []
    for each in found:
        kind = (each.rule, each.path, each.component)
        times[kind] += 1
        line, column = (places.find(each) if times[kind] <= _PLACED else None) or (None, None)
        placed.append(Finding(
            each.rule, each.severity.value, each.message, each.focus, each.path, each.value, line, column,
            component=each.component,
        ))  # fmt: skip
    return tuple(placed)


class _Places:
    """Where in a file findings are: at the value, else at a statement of the path, else at the focus node, else where
    that is referred to."""

    def __init__(self, given: Document, data: Sequence[Triple], iri_base: str) -> None:
        media_type = rdf.sniff(given.content, given.media_type)
        self._positions = Positions(given.content, media_type, iri_base)
        self._exact = StatementPlaces(given.content, tuple(data)) if media_type in (TURTLE, N_TRIPLES) else None
        self._stated: dict[tuple[str, str], list[Triple]] = defaultdict(list)
        self._subjects: dict[str, NamedNode | BlankNode] = {}
        self._users: dict[str, Triple] = {}
        for triple in data:
            subject = _text(triple.subject)
            self._stated[subject, triple.predicate.value].append(triple)
            self._subjects.setdefault(subject, triple.subject)
            if isinstance(triple.object, BlankNode):
                self._users.setdefault(_text(triple.object), triple)

    def find(self, finding: Found) -> tuple[int, int] | None:
        focus, predicate = finding.focus, finding.path or ""
        said = self._stated.get((focus, predicate), [])
        said = [triple for triple in said if str(triple.object) == finding.value] or said
        subject = self._subjects.get(focus)
        if self._exact and subject is not None and (at := self._exact.find(subject, said[0] if said else None)):
            return at
        seen = set()
        while focus.startswith("_:") and focus not in seen and focus in self._users:
            seen.add(focus)
            focus, predicate = _text(self._users[focus].subject), self._users[focus].predicate.value
        return None if focus.startswith("_:") else self._positions.find(focus, predicate)


def _text(term: object) -> str:
    return rdf.iri_of(term) or str(term)
