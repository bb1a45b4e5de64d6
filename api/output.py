"""Rendering of verdicts: for people, for programs, and for the three formats CI systems read."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any, TextIO
from urllib.parse import quote

from fairmesh.api.comparisons import breaking, breaks_lines, change_line, version_line
from fairmesh.api.verdicts import REFUSED, VERSION_STEP, Finding, Reason, Run, Verdict, reasons
from fairmesh.api.wording import SEVERITIES, WAIVED, finding_word, moment_text, path_text, term
from fairmesh.catalog.errors import BreakingChange

_COLORS = {
    **dict.fromkeys(("error", "refused", "breaking"), "31"), "warning": "33",
    **dict.fromkeys(("ok", "created", "updated", "additive"), "32"),
}  # fmt: skip
_CHANGES_SHOWN = 10
_EXAMPLES = 3
SHAPES = "validate --shapes"
"""The action of judging by plain shapes: their findings name the nodes they are about, and the component."""


class Terminal:
    """Standard output or error. Colour on a terminal only, and not when `NO_COLOR` is set or TERM is dumb."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self.interactive = stream.isatty()
        self._colored = self.interactive and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"

    def line(self, text: str = "") -> None:
        """One line. Control characters, which metadata may hold, never reach the terminal."""
        pieces = _MARK.split(text) if self._colored else [text]
        shown = (f"\x1b[{piece or 0}m" if n % 2 else _visible(piece) for n, piece in enumerate(pieces))
        self._stream.write("".join(shown) + "\n")

    def raw(self, text: str) -> None:
        """A text of many lines, as it is."""
        self._stream.write(text if text.endswith("\n") else text + "\n")

    def paint(self, word: str, text: str | None = None) -> str:
        """The word (or the text in its place) in the word's colour, as marks that `line` understands."""
        shown = word if text is None else text
        color = _COLORS.get(word)
        return f"\0{color}\0{shown}\0\0" if color and self._colored else shown

    def flush(self) -> None:
        self._stream.flush()


class Progress:
    """A bar on standard error, when that is a terminal; nothing anywhere else."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._shown = sys.stderr.isatty() and total > 1

    def add(self, count: int) -> None:
        self._done += count
        if self._shown:
            filled = 30 * self._done // self._total
            bar = "#" * filled + "-" * (30 - filled)
            sys.stderr.write(f"\r{self._what} [{bar}] {self._done}/{self._total}")
            if self._done >= self._total:
                sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Waiting:
    """While the context is open: what is waited for, and for how long, on standard error when that is a terminal.

    `progress` is asked now and then how much is done, and of how much; None when that is not known.
    """

    def __init__(self, what: str, progress: Callable[[], tuple[int, int] | None] = lambda: None) -> None:
        self._what = what
        self._progress = progress
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)

    def __enter__(self) -> None:
        if sys.stderr.isatty():
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _turn(self) -> None:
        start = monotonic()
        for sign in itertools.cycle("|/-\\"):
            known = self._progress()
            done = "" if known is None else f": {known[0]} of {known[1]}"
            sys.stderr.write(f"\r{sign} {self._what}{done}, {monotonic() - start:.0f} s\x1b[K")
            sys.stderr.flush()
            if self._over.wait(0.2):
                break
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


_MARK = re.compile("\0(\\d*)\0")


def _visible(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


# -- for people -------------------------------------------------------------------------------------------------------


def text(run: Run, out: Terminal) -> None:
    """A line for each document with its findings below, then the notes, then what was refused and why."""
    for verdict in run.verdicts:
        _document(run, verdict, out)
    many = len(run.verdicts) > 1 or run.action == "import"
    if not many:
        _pages(run, out)
    for note in run.notes:
        out.line(f"note: {note}")
    missing = sorted({rule for verdict in run.verdicts for rule in verdict.not_checked})
    if missing:
        out.line(f"not checked: {', '.join(missing)} (they need the mesh: use --server)")
    if many:
        _table(run, out)
        _pages(run, out)
    if run.dry_run:
        out.line("dry run: nothing was stored")


def _pages(run: Run, out: Terminal) -> None:
    """Where more is said of the rules named above, those that refuse first."""
    named = dict.fromkeys(group[0].rule for verdict in run.verdicts for group in verdict.groups())
    for rule in named:
        if page := run.page(rule):
            out.line(f"  more on {rule}: {page}")


def _document(run: Run, verdict: Verdict, out: Terminal) -> None:
    word = verdict.word
    parts = [out.paint(word, f"{word:<9}"), verdict.key or verdict.file]
    if verdict.revision is not None:
        parts.append(f"revision {verdict.revision}")
    if verdict.changes and verdict.ok:
        added = sum(change["added"] for change in verdict.changes)
        parts.append(f"+{added} -{len(verdict.changes) - added} statements")
    if verdict.key and run.action != "import":
        parts.append(verdict.file)
    found = Counter(finding_word(finding.severity, finding.waived_until) for finding in verdict.findings)
    found[SEVERITIES["VIOLATION"]] += _unsaid(verdict)
    counts = [
        f"{n} {kind}{'s' if n > 1 and kind in ('error', 'warning') else ''}"
        for kind in ("error", WAIVED, "warning", "advice") if (n := found[kind])
    ]  # fmt: skip
    if verdict.fair is not None:
        parts.append(f"FAIR {verdict.fair['score']:.2f}")
    if counts and run.action != "import":
        parts.append("(" + ", ".join(counts) + ")")
    out.line("  ".join(parts))
    if verdict.change == "updated":
        _changes(verdict, out)
    _breaking(verdict, out)
    groups = verdict.groups()
    if run.action.startswith(("policy", "rules")):  # what is mended in a file is mended from its top
        groups.sort(key=lambda group: group[0].line or 0)
    for group in groups:
        if run.action != "import" or (not verdict.ok and group[0].gates):
            out.line("  " + _group(verdict, group, out.paint))
            if run.action == SHAPES:
                out.line("    " + _about(group))
    for each in verdict.stopped:
        out.line(f"  {verdict.file}: could not be evaluated [{each['rule']}] {each['reason']} (it refuses nothing)")
    if _unsaid(verdict):
        out.line(f"  {place(verdict.file, verdict.line, verdict.column)}: {out.paint('error')} {_fault(verdict)}")


def _fault(verdict: Verdict) -> str:
    record = f"{verdict.record}: " if verdict.record and not verdict.key else ""
    return f"[{verdict.code}] {record}{verdict.why}"


def _changes(verdict: Verdict, out: Terminal) -> None:
    for change in verdict.changes[:_CHANGES_SHOWN]:
        sign = "+" if change["added"] else "-"
        out.line(f"  {sign} {term(change['subject'])} {term(change['predicate'])} {term(change['object'])}")
    if len(verdict.changes) > _CHANGES_SHOWN:
        out.line(f"  and {len(verdict.changes) - _CHANGES_SHOWN} more statements")


def _breaking(verdict: Verdict, out: Terminal) -> None:
    found = breaking(verdict.comparison)
    if verdict.comparison is None or not found:
        return
    for change in found[:_CHANGES_SHOWN]:
        out.line(f"  {out.paint('breaking')} {change_line(change)}")
    if len(found) > _CHANGES_SHOWN:
        out.line(f"  and {len(found) - _CHANGES_SHOWN} more breaking changes")
    if not any(finding.rule == VERSION_STEP for finding in verdict.findings):  # it says the same at its line
        out.line(f"  {version_line(verdict.comparison)}")
    for line in breaks_lines(verdict.breaks, verdict.breaks_truncated):
        out.line(f"  {line}")


def _group(verdict: Verdict, group: list[Finding], paint: Callable[[str], str]) -> str:
    first = group[0]
    word = finding_word(first.severity, first.waived_until)
    said = f"{place(verdict.file, first.line, first.column)}: {paint(word)} [{first.rule}] {first.message}"
    if first.path:
        said += f" ({path_text(first.path)})"
    if len(group) > 1:
        lines = sorted({f.line for f in group[1:] if f.line is not None and f.line != first.line})
        said += f"; {len(group)} times" + (f", also at line {_some(lines)}" if lines else "")
    return said + _until(first.waived_until)


def _about(group: list[Finding]) -> str:
    """What plain SHACL says beside the message: the component, and which nodes it is about."""
    nodes = list(dict.fromkeys(finding.focus for finding in group))
    more = f" and {len(nodes) - _EXAMPLES} more" if len(nodes) > _EXAMPLES else ""
    return f"{term(group[0].component or '')} on {', '.join(nodes[:_EXAMPLES])}{more}"


def _until(moment: str | None) -> str:
    return f"; waived until {moment_text(moment)}" if moment else ""


def _some(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:8]))
    return shown + (f" and {len(lines) - 8} more" if len(lines) > 8 else "")


def place(file: str, line: int | None, column: int | None) -> str:
    return file + (f":{line}" + (f":{column}" if column else "") if line else "")


def _table(run: Run, out: Terminal) -> None:
    counts = Counter(verdict.word for verdict in run.verdicts)
    out.line()
    for word in run.words:
        out.line(f"{out.paint(word, f'{word:<9}')} {counts[word]:>6}")
    # what a test answers instead stands in its line above: it is about one file, not a reason that many share
    for reason in reasons(run.verdicts) if not run.action.startswith(("policy", "rules")) else ():
        out.line(f"  {_reason(reason)}")


def _reason(reason: Reason) -> str:
    documents = f"{reason.documents} document{'s' if reason.documents > 1 else ''}"
    times = f", {reason.times} times" if reason.times > reason.documents else ""
    return f"[{reason.rule}] {reason.message} ({documents}{times})"


# -- for programs -----------------------------------------------------------------------------------------------------


def as_json(run: Run) -> str:
    """`{action, dry_run, exit_code, results: [...], notes: [...], reasons: [...]}`."""
    return _dump({
        "action": run.action,
        "dry_run": run.dry_run,
        "exit_code": run.exit_code,
        "results": [
            _result(verdict) | ({"groups": _groups(run, verdict)} if run.pages or run.action == SHAPES else {})
            for verdict in run.verdicts
        ],
        "notes": list(run.notes),
        "reasons": [asdict(reason) for reason in reasons(run.verdicts)],
    })  # fmt: skip


def _result(verdict: Verdict) -> dict[str, Any]:
    return {"verdict": verdict.word, **asdict(verdict)}


def _groups(run: Run, verdict: Verdict) -> list[dict[str, Any]]:
    """`{rule, page, severity, path, component, message, count, lines, focus, waived_until}`: findings that say the
    same; the places known, and the first focus nodes. `page` is None where the rule has none."""
    return [
        {
            "rule": group[0].rule, "page": run.page(group[0].rule), "severity": group[0].severity,
            "path": group[0].path, "waived_until": group[0].waived_until,
            "component": group[0].component, "message": group[0].message, "count": len(group),
            "lines": sorted({finding.line for finding in group if finding.line is not None}),
            "focus": list(dict.fromkeys(finding.focus for finding in group))[:_EXAMPLES],
        }
        for group in verdict.groups()
    ]  # fmt: skip


def _dump(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


_LEVELS = {"VIOLATION": "error", "WARNING": "warning", "INFO": "note"}


def sarif(run: Run) -> str:
    """SARIF 2.1.0: every finding and refusal is a result, every note one of level `note`."""
    results = [_sarif_result(verdict, *item) for verdict in run.verdicts for item in _items(verdict)]
    results += [{"ruleId": "note", "level": "note", "message": {"text": note}} for note in run.notes]
    rules = sorted({result["ruleId"] for result in results})
    driver = {"name": "fairmesh", "version": version("fairmesh"), "rules": [_sarif_rule(run, rule) for rule in rules]}
    return _dump({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    })  # fmt: skip


def _sarif_rule(run: Run, rule: str) -> dict[str, str]:
    page = run.page(rule)
    return {"id": rule} | ({"helpUri": page} if page else {})


def _items(verdict: Verdict) -> Iterator[tuple[str, str, str, int | None, int | None, str | None]]:
    """(severity, rule, message, line, column, waived until) of everything there is to say about a document."""
    for finding in verdict.findings:
        yield finding.severity, finding.rule, finding.message, finding.line, finding.column, finding.waived_until
    if _unsaid(verdict):
        yield "VIOLATION", verdict.code, _subject(verdict) + verdict.why, verdict.line, verdict.column, None


def _unsaid(verdict: Verdict) -> bool:
    """Whether the problem says more than the findings."""
    return not verdict.ok and not (verdict.code == "not-conforming" and bool(verdict.findings))


def _subject(verdict: Verdict) -> str:
    """Which document it is, unless the problem begins by naming it."""
    name = verdict.key or verdict.record
    return f"{name}: " if name and not verdict.why.startswith((f"{name}:", f"{name} ")) else ""


def _sarif_result(
    verdict: Verdict, severity: str, rule: str, message: str, line: int | None, column: int | None, waived: str | None
) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(verdict.file)}}
    if line:
        location["region"] = {"startLine": line} | ({"startColumn": column} if column else {})
    result: dict[str, Any] = {
        "ruleId": rule,
        "level": _LEVELS[severity],
        "message": {"text": message},
        "locations": [{"physicalLocation": location}],
    }
    if waived:  # SARIF 2.1.0, section 3.35: suppressed somewhere else than in the file, and that was approved
        why = f"waived until {moment_text(waived)}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _uri(file: str) -> str:
    return Path(file).as_uri() if Path(file).is_absolute() else quote(Path(file).as_posix())


def junit(run: Run) -> str:
    """JUnit XML: a test case for each document, failed when it was refused; all that was said in `system-out`."""
    codes = Counter(_kind(verdict) for verdict in run.verdicts)
    counts = {
        "tests": str(len(run.verdicts)), "failures": str(codes["failure"]), "errors": str(codes["error"]),
    }  # fmt: skip
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": f"fairmesh {run.action}", **counts})
    for verdict in run.verdicts:
        name = verdict.key or verdict.record or verdict.file
        case = ET.SubElement(suite, "testcase", {"classname": _xml(verdict.file), "name": _xml(name)})
        said = list(_sentences(run, verdict))
        kind = _kind(verdict)
        if kind:
            failure = ET.SubElement(case, kind, {"message": _xml(verdict.why), "type": _xml(verdict.code)})
            failure.text = _xml("\n".join(said))
        elif said:
            ET.SubElement(case, "system-out").text = _xml("\n".join(said))
    if run.notes:
        ET.SubElement(suite, "system-out").text = _xml("\n".join(run.notes))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _kind(verdict: Verdict) -> str:
    """JUnit parts what was judged and refused (`failure`) from what could not be judged (`error`)."""
    judged = verdict.exit_code == REFUSED or verdict.code == BreakingChange.code
    return "" if verdict.ok else "failure" if judged else "error"


def _sentences(run: Run, verdict: Verdict) -> Iterator[str]:
    """Everything there is to say about a document; what says the same together, with the page of its rule."""
    for group in verdict.groups():
        page = run.page(group[0].rule)
        yield _group(verdict, group, str) + (f" See {page}" if page else "")
    for each in verdict.stopped:
        yield f"{verdict.file}: could not be evaluated [{each['rule']}] {each['reason']}"
    if _unsaid(verdict):
        where = place(verdict.file, verdict.line, verdict.column)
        yield f"{where}: {SEVERITIES['VIOLATION']} [{verdict.code}] {_subject(verdict)}{verdict.why}"


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(said: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", said)


_COMMANDS = {"VIOLATION": "error", "WARNING": "warning", "INFO": "notice"}


def github(run: Run) -> str:
    """GitHub Actions workflow commands: an annotation for every finding, refusal and note."""
    lines = [_annotation(run, verdict.file, *item) for verdict in run.verdicts for item in _items(verdict)]
    lines += [f"::notice title=fairmesh::{_data(note)}" for note in run.notes]
    return "\n".join(lines)


def _annotation(
    run: Run, file: str, severity: str, rule: str, message: str, line: int | None, column: int | None,
    waived: str | None,
) -> str:  # fmt: skip
    properties = {"file": file, "line": line, "col": column, "title": f"fairmesh {rule}"}
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value)
    kind = "notice" if waived else _COMMANDS[severity]
    page = run.page(rule)
    return f"::{kind} {given}::{_data(message + _until(waived) + (chr(10) + page if page else ''))}"


def _data(said: str) -> str:
    return said.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(said: str) -> str:
    return _data(said).replace(":", "%3A").replace(",", "%2C")


FORMATS: Mapping[str, Callable[[Run], str] | None] = {
    "text": None, "json": as_json, "sarif": sarif, "junit": junit, "github": github,
}  # fmt: skip


def show(run: Run, form: str) -> None:
    """Write the run to standard output in one of `FORMATS`."""
    out = Terminal(sys.stdout, os.environ)
    render = FORMATS[form]
    if render is None:
        text(run, out)
    elif said := render(run):
        out.raw(said)


def table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Rows as lines, columns aligned, two spaces apart."""
    found = list(rows)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    for row in found:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
