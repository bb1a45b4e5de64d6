"""`fairmesh diff`: what a new revision of a product changes, statement by statement and in meaning."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from fairmesh.api import submissions
from fairmesh.api.client import Refused, Unreachable
from fairmesh.api.commands import Commands, add_format, client, command
from fairmesh.api.comparisons import breaking, breaks_lines, change_line, comparison_json, version_line
from fairmesh.api.output import Terminal, show
from fairmesh.api.submissions import Document
from fairmesh.api.verdicts import CONFLICT, DENIED, OK, Finding, Run, Verdict, exit_code
from fairmesh.api.wording import term
from fairmesh.catalog import rdf
from fairmesh.catalog.changes import compare
from fairmesh.catalog.config import Settings
from fairmesh.catalog.dependents import remedy
from fairmesh.catalog.document import ProductDocument
from fairmesh.catalog.errors import BreakingChange, ConfigError, InputError, NotFound
from fairmesh.catalog.intake import Intake, with_places
from fairmesh.catalog.model import Severity
from fairmesh.catalog.places import Positions

_ABOUT = """\
Compare two revisions of a product: every statement that differs, what the changes mean (breaking, additive, editorial),
and whether dcat:version moved as they demand. With --server FILE is compared with what is registered, and the products
that depend on what breaks are named. Exit code 4, as of `validate --server` and `register`, for a breaking change to a
live product without a major version."""
BREAKS = "breaks"
"""The finding that names who depends on what breaks."""
STATEMENTS_SHOWN = 10
"""Statements shown below one change; JSON has them all."""


def add(commands: Commands) -> None:
    """Declare the command."""
    diff = command(commands, "diff", _diff, "what a new revision changes, and what that breaks", _ABOUT)
    diff.add_argument(
        "files", nargs="+", metavar="FILE", help="the old and the new document; with --server the new one"
    )
    diff.add_argument("--server", metavar="URL", help="compare with what this server has")
    add_format(diff)


def _diff(options: argparse.Namespace) -> int:
    wanted = 1 if options.server else 2
    if len(options.files) != wanted:
        raise ConfigError(
            f"{len(options.files)} file{'s' if len(options.files) > 1 else ''} to compare",
            remedy="Name the old and the new document, or the new one alone with --server URL",
        )
    gathered = submissions.gather(options.files)
    if gathered.failed:
        first = gathered.failed[0].problem or {}
        raise InputError(first["detail"], remedy=first["remedy"], code=first["code"])
    documents = gathered.documents
    found = _with_server(options.server, documents[0]) if options.server else _of_files(*documents)
    code = CONFLICT if found["comparison"]["unannounced"] else OK
    if options.format == "json":
        Terminal(sys.stdout, os.environ).raw(
            json.dumps({"action": "diff", "exit_code": code, **found}, indent=2, ensure_ascii=False)
        )
    elif options.format == "text":
        _print(found, Terminal(sys.stdout, os.environ))
    else:
        show(Run("diff", (_verdict(documents[-1], found),), ("ok", "refused")), options.format)
    return code


def _of_files(before: Document, after: Document) -> dict[str, Any]:
    """`{key, product, comparison}` of two documents. Raises `InputError` when they are about two products."""
    settings = Settings.read()
    with closing(Intake(settings, 1)) as intake:
        old, new = (_read(intake, document) for document in (before, after))
    if old.product != new.product:
        raise InputError(
            f"{before.file} describes {old.key}, {after.file} {new.key}", remedy="Compare revisions of one product"
        )
    base = settings.iri_base
    comparison = compare(rdf.load(old.nquads), rdf.load(new.nquads), product=new.product, iri_base=base)
    places = Positions(after.content, new.media_type, base, lambda: rdf.load(new.nquads))
    placed = with_places(comparison, places)
    return {"key": new.key, "product": new.product, "comparison": comparison_json(placed)}


def _read(intake: Intake, document: Document) -> ProductDocument:
    """Raises the errors of `Intake.document`, naming the file."""
    try:
        return intake.document(document.content, document.media_type)
    except InputError as error:
        error.message = f"{document.file}: {error.message}"
        raise


def _with_server(url: str, document: Document) -> dict[str, Any]:
    """`{key, product, comparison, breaks, breaks_truncated}` by a dry run, which knows the mesh and the server's IRIs.

    Raises `Refused` when the server does not get as far as comparing: it cannot read the document, or denies it.
    """
    sent = submissions.send(client(url), [document], dry_run=True, if_revision=None, done=lambda count: None)
    verdict = sent[0]
    if verdict.comparison is None:
        if verdict.problem is not None:
            raise _refused(verdict.status, verdict.problem)
        if verdict.change == "created":
            raise NotFound(f"there is no {verdict.key} here for you yet", remedy="Register it: it breaks nobody")
        raise Unreachable(f"{url} does not compare revisions", remedy="Compare two files")
    return {
        "key": verdict.key, "product": verdict.product, "comparison": verdict.comparison,
        "breaks": list(verdict.breaks), "breaks_truncated": verdict.breaks_truncated,
    }  # fmt: skip


def _refused(status: int, problem: Mapping[str, Any]) -> Refused:
    """Why the dry run did not come to compare; a denial speaks of registering, which nobody asked for."""
    if exit_code(status, str(problem.get("code", ""))) != DENIED:
        return Refused(status, problem)
    return Refused(status, {**problem, "detail": f"to compare takes the right to register: {problem.get('detail')}"})


def _print(found: Mapping[str, Any], out: Terminal) -> None:
    comparison = found["comparison"]
    changes = comparison["changes"]
    base = found["product"].removesuffix(found["key"])
    out.line(f"{found['key']}  {version_line(comparison)}")
    if not changes:
        out.line("  nothing differs")
    for change in changes:
        out.line(f"  {out.paint(change['kind'], format(change['kind'], '<9'))} {change_line(change)}")
        for statement in change["statements"][:STATEMENTS_SHOWN]:
            said = " ".join(_term(statement[part], base) for part in ("subject", "predicate", "object"))
            out.line(f"    {'+' if statement['added'] else '-'} {said}")
        if len(change["statements"]) > STATEMENTS_SHOWN:
            out.line(f"    and {len(change['statements']) - STATEMENTS_SHOWN} more statements")
    if "breaks" in found:
        for line in breaks_lines(found["breaks"], found["breaks_truncated"]):
            out.line(line)


def _term(text: str, base: str) -> str:
    """A term as `term` has it; IRIs of the mesh without its base."""
    bare = text.removeprefix("<").removesuffix(">")
    return f"<{bare.removeprefix(base)}>" if base and bare.startswith(base) else term(text)


def _verdict(document: Document, found: Mapping[str, Any]) -> Verdict:
    """The changes as findings at their lines in the new document: what CI systems can show."""
    comparison = found["comparison"]
    problem = None
    if comparison["unannounced"]:
        count = len(breaking(comparison))
        detail = f"{count} breaking change{'s' if count > 1 else ''}; {version_line(comparison)}"
        todo = remedy((change["what"] for change in breaking(comparison)), comparison["version"]["proposed"])
        line, column = (comparison["version"].get(name) for name in ("line", "column"))
        problem = {"code": BreakingChange.code, "detail": detail, "remedy": todo, "line": line, "column": column}
    verdict = Verdict(
        document.file, 409 if problem else 200, found["key"], problem=problem,
        findings=tuple(_findings(found)), product=found["product"], comparison=comparison,
    )  # fmt: skip
    return verdict.at_version()


def _findings(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Each change and, where somebody depends on what breaks, who: at the line of the version."""
    comparison = found["comparison"]
    worst = Severity.VIOLATION if comparison["unannounced"] else Severity.WARNING
    for change in comparison["changes"]:
        severity = worst if change["kind"] == "breaking" else Severity.INFO
        message = f"{change['kind']}: {change_line(change)}"
        yield Finding(
            change["what"], severity.value, message, change["node"], None, None, change.get("line"),
            change.get("column"),
        )  # fmt: skip
    if found.get("breaks"):
        said = "\n".join(breaks_lines(found["breaks"], found["breaks_truncated"]))
        line, column = (comparison["version"].get(name) for name in ("line", "column"))
        yield Finding(BREAKS, worst.value, said, found["product"], None, None, line, column)
