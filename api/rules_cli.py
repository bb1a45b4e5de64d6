"""`fairmesh rules ...`: the loop of whoever writes rules."""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

from fairmesh.api.commands import Commands, add_format, command
from fairmesh.api.output import show
from fairmesh.api.problems import problem
from fairmesh.api.submissions import read_file
from fairmesh.api.verdicts import Finding, Run, Verdict
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import ConfigError, FairmeshError, InputError

if TYPE_CHECKING:
    from fairmesh.catalog.governance import RuleSet
    from fairmesh.catalog.rulefiles import RuleFiles
    from fairmesh.catalog.rulelint import Problem

WORDS = ("ok", "refused")

_SETS = """\
A rule set is a folder, or a bundle of one (git archive: .tar, .tar.gz, .zip), with core/, org/<org>/ or
domains/<domain>/ in it, or in ontologies/ in it. One without core/ stands on the core that ships."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    parser = commands.add_parser("rules", help="write and try rules", allow_abbrev=False)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    lint = command(
        actions, "lint", _lint, "what is wrong with rules",
        "Say what is wrong with rule sets, or with SHACL files of any kind: form, references that lead nowhere, what\n"
        "can never be met, slow patterns, forbidden queries; of rule sets also what a mesh demands: modes and their\n"
        f"dates, owners, remedies, examples. SHACL files are taken together, as one shapes graph.\n\n{_SETS}",
    )  # fmt: skip
    lint.add_argument("paths", metavar="PATH", nargs="+", help="rule sets, files of one, or SHACL files (Turtle)")
    test = command(
        actions, "test", _test, "try rules on their examples",
        "Judge every example: ok-*.ttl must have no violation and no warning, bad-<rule>-*.ttl must break that rule\n"
        f"and, advice aside, no other. Rules that do not lint are not tried.\n\n{_SETS}",
    )  # fmt: skip
    test.add_argument("place", metavar="DIR", nargs="?", help="the rule set (default: the one that ships)")
    test.add_argument("--at", metavar="DATE", type=_day, help="judge as on that day, UTC: 2027-01-01 (default: now)")
    test.add_argument(
        "--engine", choices=("compiled", "pyshacl"), help="what rules run on; pyshacl is the reference, and slower"
    )
    for each in (lint, test):
        add_format(each)


def _day(text: str) -> datetime:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        try:
            return datetime.combine(date.fromisoformat(text), time.min, UTC)
        except ValueError:
            pass
    raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2027-01-01")


# -- lint -------------------------------------------------------------------------------------------------------------


def _lint(options: argparse.Namespace) -> int:
    from fairmesh.catalog import rulelint  # the engines take as long to load as all the rest
    from fairmesh.catalog.rulefiles import read_rules

    verdicts: list[Verdict] = []
    shapes: list[str] = []
    for path in dict.fromkeys(options.paths):
        place, name = _in_set(path)
        if path.endswith(".ttl") and not name and not place.is_dir():
            shapes.append(path)
            continue
        try:
            found = read_rules(place)
        except InputError as error:
            verdicts.append(_unreadable(path, error))
            continue
        problems = rulelint.lint(found.files, found.examples)
        verdicts += _verdicts({name: path}, problems) if name else _judged(found, problems)
    notes = []
    if shapes:
        verdicts += _lint_shapes(shapes)
        notes.append("SHACL files: modes, owners, dates, remedies and examples are asked of rule sets alone")
    run = Run("rules lint", tuple(verdicts), WORDS, tuple(notes))
    show(run, options.format)
    return run.exit_code


def _in_set(path: str) -> tuple[Path, str]:
    """The rule set that a file lies in, and the file's path there, which is empty for anything else."""
    from fairmesh.catalog.rulefiles import FILE

    parts = Path(path).absolute().parts
    for depth in (2, 3):  # core/shapes.ttl, org/acme/shapes.ttl
        name = "/".join(parts[-depth:])
        if FILE.fullmatch(name) and Path(path).is_file():
            return Path(*parts[:-depth]), name
    return Path(path), ""


def _lint_shapes(paths: Sequence[str]) -> list[Verdict]:
    from fairmesh.catalog import rulelint

    files, unreadable = {}, []
    for path in paths:
        try:
            files[path] = read_file(path)
        except InputError as error:
            unreadable.append(_unreadable(path, error))
    return unreadable + _verdicts({path: path for path in files}, rulelint.lint_shapes(files))


def _unreadable(path: str, error: FairmeshError) -> Verdict:
    said = error.message.removeprefix(f"{path}: ")
    return Verdict.failed(path, InputError(said, remedy=error.remedy, line=error.line, code="unreadable"))


def _judged(rules: RuleFiles, problems: Sequence[Problem]) -> list[Verdict]:
    """A verdict for each file of a set, but for those of the core it borrows that are in order."""
    found = {each.file for each in problems}
    own = [name for name in rules.files if rules.core or not name.startswith("core/")]
    named = {name for name in rules.examples if name in found}
    return _verdicts({name: rules.shown(name) for name in [*own, *sorted(named | found.difference(own))]}, problems)


def _verdicts(shown: Mapping[str, str], problems: Iterable[Problem]) -> list[Verdict]:
    """A verdict for each file; `shown` is how it is called."""
    found: dict[str, list[Problem]] = defaultdict(list)
    for each in problems:
        found[each.file].append(each)
    return [_verdict(file, found.get(name, [])) for name, file in shown.items()]


def _verdict(file: str, problems: Sequence[Problem]) -> Verdict:
    findings = tuple(
        Finding(
            f"rules/{each.rule}", "VIOLATION" if each.error else "WARNING", f"{each.what}. {each.remedy}",
            each.iri or file, None, None, each.line, each.column,
        )
        for each in problems
    )  # fmt: skip
    errors = [each for each in problems if each.error]
    if not errors:
        return Verdict(file, 200, findings=findings)
    if errors[0].rule == "syntax":
        first = errors[0]
        return Verdict(file, 400, problem=problem(
            400, "syntax", first.what, first.remedy, line=first.line, column=first.column
        ))  # fmt: skip
    count = f"{len(errors)} finding{'s' if len(errors) > 1 else ''}"
    return Verdict(file, 422, findings=findings, problem=problem(422, "not-conforming", f"{count} in {file}"))


# -- test -------------------------------------------------------------------------------------------------------------


def _test(options: argparse.Namespace) -> int:
    from fairmesh.catalog import rulelint
    from fairmesh.catalog.governance import RuleSet
    from fairmesh.catalog.rulefiles import SHIPPED, read_rules

    settings = Settings.read({"engine": options.engine})
    try:
        found = read_rules(Path(options.place) if options.place else SHIPPED)
    except InputError as error:
        raise ConfigError(error.message, remedy=error.remedy) from None
    problems = [each for each in rulelint.lint(found.files, found.examples) if each.error]
    if problems:
        verdicts = [verdict for verdict in _judged(found, problems) if not verdict.ok]
        notes = ["no example was tried: the rules cannot be used as they are"]
    else:
        rules = RuleSet(found.files, settings.engine)
        verdicts = _tried(rules, found, options.at or datetime.now(UTC), settings.iri_base)
        notes = [str(each) for each in rules.unsupported]
        if options.at:
            notes.append(f"judged as on {options.at:%Y-%m-%d}")
    run = Run("rules test", tuple(verdicts), WORDS, tuple(notes))
    show(run, options.format)
    return run.exit_code


def _tried(rules: RuleSet, found: RuleFiles, now: datetime, iri_base: str) -> list[Verdict]:
    from fairmesh.catalog.document import read
    from fairmesh.catalog.governance import check_examples
    from fairmesh.catalog.rdf import TURTLE
    from fairmesh.catalog.rulelint import Problem

    results = check_examples(
        rules, found.examples, lambda data: read(data, TURTLE, iri_base), iri_base=iri_base, now=now
    )
    remedy = "Correct the rule, or the example"
    return [
        _verdict(
            found.shown(each.file),
            [Problem(each.file, 1, None, "example", each.problem, remedy, True)] if each.problem else [],
        )
        for each in results
    ]
