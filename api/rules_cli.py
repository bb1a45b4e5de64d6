"""`fairmesh rules ...`: the loop of whoever writes rules."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time as clock
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairmesh.api import rules_reads
from fairmesh.api.client import Client, Refused
from fairmesh.api.commands import (
    Commands,
    add_as_of,
    add_format,
    add_reader,
    add_text_or_json,
    command,
    print_found,
    reader,
    write_files,
)
from fairmesh.api.output import Progress, Terminal, Waiting, show
from fairmesh.api.problems import problem
from fairmesh.api.submissions import read_file
from fairmesh.api.verdicts import OK, REFUSED, Finding, Run, Verdict
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import ConfigError, FairmeshError, InputError

if TYPE_CHECKING:
    from fairmesh.catalog.governance import RuleSet
    from fairmesh.catalog.rulefiles import RuleFiles
    from fairmesh.catalog.rulelint import Problem

WORDS = ("ok", "refused")
FORBIDDEN = 403

_SETS = """\
A rule set is a folder, or a bundle of one (git archive: .tar, .tar.gz, .zip), with core/, org/<org>/ or
domains/<domain>/ in it, or in ontologies/ in it. One without core/ stands on the core that ships."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    parser = commands.add_parser("rules", help="write, try and publish rules", allow_abbrev=False)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    lint = command(
        actions, "lint", _lint, "what is wrong with rules",
        "Say what is wrong with rule sets, or with SHACL files of any kind: form, references that lead nowhere, what\n"
        "can never be met, slow patterns, forbidden queries; of rule sets also what a mesh demands: modes and their\n"
        f"dates, owners, remedies, examples. SHACL files are taken together, as one shapes graph.\n\n{_SETS}",
    )  # fmt: skip
    lint.add_argument(
        "paths", metavar="PATH", nargs="+", type=_named, help="rule sets, files of one, or SHACL files (Turtle)"
    )
    test = command(
        actions, "test", _test, "try rules on their examples",
        "Judge every example: ok-*.ttl must have no violation and no warning, bad-<rule>-*.ttl must break that rule\n"
        f"and, advice aside, no other. Rules that do not lint are not tried.\n\n{_SETS}",
    )  # fmt: skip
    test.add_argument("place", metavar="DIR", nargs="?", type=_named, help="the rule set (default: the one that ships)")
    test.add_argument("--at", metavar="DATE", type=_day, help="judge as on that day, UTC: 2027-01-01 (default: now)")
    test.add_argument(
        "--engine", choices=("compiled", "pyshacl"), help="what rules run on; pyshacl is the reference, and slower"
    )
    for each in (lint, test):
        add_format(each)
    _add_publishing(actions)
    _add_show(actions)


def _add_publishing(actions: Commands) -> None:
    impact = command(
        actions, "impact", _impact, "which products other rules would newly fail",
        "Ask a server to judge every product you may read by these rules: which rules are added (+), removed (-) and\n"
        "stated otherwise (~), how many products fail before and after, how many newly fail, are newly warned (or\n"
        "advised) and newly pass, by rule, domain and owner. Exit code 1 if a product newly fails. Nothing is changed."
        f"\n\n{_SETS}",
    )  # fmt: skip
    impact.add_argument(
        "--at", metavar="DATE", type=_day, help="by the modes of that day, UTC: 2027-01-01 (default: now)"
    )
    impact.add_argument("--allow-failing", action="store_true", help="products may newly fail: exit code 0")
    publish = command(
        actions, "publish", _publish, "put rules in force",
        "Put a rule set in force at once, for every registration that comes after. It is linted and its examples are\n"
        "tried first; if it is refused, the one in force stays. Products are judged again in the background: one that\n"
        "no longer conforms stays registered, and is marked. Rules and vocabulary terms in force that the set\n"
        f"lacks would go: it is refused unless --allow-removing says that this is meant.\n\n{_SETS}",
    )  # fmt: skip
    publish.add_argument("--dry-run", action="store_true", help="go all the way short of putting it in force")
    publish.add_argument("--allow-removing", action="store_true", help="rules and terms in force that it lacks may go")
    publish.add_argument("--wait", action="store_true", help="until all products you may read are judged by it")
    for parser in (impact, publish):
        parser.add_argument("place", metavar="DIR", nargs="?", help="the rule set (default: the one that ships)")
        parser.add_argument("--domain", metavar="D", help="only domains/D/ of it; all other rules stay")
        add_text_or_json(parser)
        add_reader(parser)


def _add_show(actions: Commands) -> None:
    shown = command(
        actions, "show", _show, "which rules are, or were, in force, or one of them",
        "The rule set in force: its revision, who put it there and when, and every rule with what it does, who keeps it"
        "\nand when that changes. --out writes its files, to be read or published again. Of one RULE: why it is\n"
        "asked, what each part of it does and what to do about it, its examples and its page.",
    )  # fmt: skip
    shown.add_argument("rule", metavar="RULE", nargs="?", help="a rule's id, such as core/12 (default: all rules)")
    add_as_of(shown)
    shown.add_argument("--out", metavar="DIR", help="write the files to this folder, which must be empty or absent")
    add_text_or_json(shown)
    add_reader(shown)


def _named(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a name is empty: is a variable of the shell unset?")
    return text


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
        if path.endswith(".ttl") and not name and not os.path.isdir(place):
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
        if FILE.fullmatch(name) and os.path.isfile(path):  # pathlib raises where a folder cannot be looked into
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
        found = read_rules(Path(options.place) if options.place is not None else SHIPPED)
    except InputError as error:
        raise ConfigError(error.message, remedy=error.remedy) from None
    problems = [each for each in rulelint.lint(found.files, found.examples) if each.error]
    if problems:
        verdicts = [verdict for verdict in _judged(found, problems) if not verdict.ok]
        notes = ["no example was tried: the rules cannot be used as they are"]
    else:
        rules = RuleSet(found.files, settings.engine)
        verdicts = _tried(rules, found, options.at or datetime.now(UTC), settings)
        notes = [str(each) for each in rules.unsupported]
        if options.at:
            notes.append(f"judged as on {options.at:%Y-%m-%d}")
    run = Run("rules test", tuple(verdicts), WORDS, tuple(notes))
    show(run, options.format)
    return run.exit_code


def _tried(rules: RuleSet, found: RuleFiles, now: datetime, settings: Settings) -> list[Verdict]:
    """A verdict for each example. They are read and judged in processes that are stopped when that does not end."""
    from fairmesh.catalog.examples import check_examples
    from fairmesh.catalog.governance import Validator
    from fairmesh.catalog.intake import Intake
    from fairmesh.catalog.rdf import TURTLE
    from fairmesh.catalog.rulelint import Problem

    verdicts = []
    progress = Progress("trying", len(found.examples))
    with closing(Intake(settings, 1)) as intake, closing(Validator(rules, 1)) as validator:
        for each in check_examples(
            validator, found.examples, lambda data: intake.document(data, TURTLE), iri_base=settings.iri_base, now=now
        ):
            problem = Problem(each.file, 1, None, "example", each.problem, each.remedy, True)
            verdicts.append(_verdict(found.shown(each.file), [problem] if each.problem else []))
            progress.add(1)
    return verdicts


# -- impact and publish -----------------------------------------------------------------------------------------------

_POLL = 0.5
"""Seconds between two questions how many products are still to be judged."""


def _impact(options: argparse.Namespace) -> int:
    found, files = _sent(options)
    server = reader(options)
    try:
        with Waiting("products are judged", lambda: rules_reads.impact_progress(server)):
            impact = rules_reads.propose(server, files, options.domain, options.at)
    except rules_reads.Unusable as error:
        return _unusable("rules impact", found, error.problems, options.format)
    except Refused as error:
        raise _told(error, found) from None
    print_found(impact, rules_reads.impact_lines, options.format)
    if removed := _removed(impact):
        _say(f"fairmesh: {removed} in force would be removed; what passes by that is not mended. {_KEEP}")
    count = impact["newlyFailing"]
    if not count or options.allow_failing:
        return OK
    _say(
        f"fairmesh: {_products(count)} would newly fail. They would stay registered, but their next revisions be"
        " refused. Say --allow-failing if it is meant"
    )
    return REFUSED


def _publish(options: argparse.Namespace) -> int:
    found, files = _sent(options)
    server = reader(options)
    try:
        with Waiting("the rules are tried"):
            done = rules_reads.publish(
                server, files, options.domain, dry_run=options.dry_run, allow_removing=options.allow_removing
            )
    except rules_reads.Unusable as error:
        return _unusable("rules publish", found, error.problems, options.format)
    except Refused as error:
        raise _told(error, found) from None
    done["problems"] = [{**each, "file": found.shown(each["file"])} for each in done["problems"]]
    refused = done["digest"] is None
    standing = None if options.dry_run or refused else rules_reads.pending(server)
    if options.wait and standing is not None:
        standing = _waited(server, standing)
    print_found({**done, "governance": standing}, _published_lines, options.format)
    if not refused:
        return OK
    _say(f"fairmesh: {_removed(done)} in force would be removed, and nothing was published. {_KEEP}")
    return REFUSED


def _published_lines(done: Mapping[str, Any]) -> Iterable[str]:
    if done["digest"] is None:
        yield from rules_reads.changed(done)
        return
    word = "published" if done["published"] else "unchanged" if done["unchanged"] else "publishable"
    yield f"{word}  {done['digest']}"
    yield from rules_reads.changed(done)
    for each in done["problems"]:
        line = f":{each['line']}" if each["line"] else ""
        yield f"  {each['file']}{line}: warning [rules/{each['rule']}] {each['message']}. {each['fix']}"
    standing = done["governance"]
    if standing is None:
        yield "dry run: nothing was published"
    elif standing["pending"]:
        yield f"{standing['pending']} of {_products(standing['products'])} still to be judged by it, in the background"
    else:
        yield f"{standing['conforming']} of {_products(standing['products'])} conform"


_KEEP = "Send their files, too, or one domain's alone with --domain; publish with --allow-removing if it is meant"


def _removed(found: Mapping[str, Any]) -> str:
    """How many rules and vocabulary terms go, in words; nothing when none does."""
    rules = sum(change["after"] is None for change in found["changes"])
    terms = sum(len(each["terms"]) for each in found["removedTerms"])
    counted = ((rules, "rule"), (terms, "vocabulary term"))
    return " and ".join(f"{count} {one}{'' if count == 1 else 's'}" for count, one in counted if count)


def _waited(server: Client, standing: Mapping[str, int]) -> Mapping[str, int]:
    """How products stand when all are judged. More may become pending meanwhile: they are waited for, too."""
    total = standing["pending"]
    progress = Progress("judging", total)
    left = total
    while standing["pending"]:
        clock.sleep(_POLL)
        standing = rules_reads.pending(server)
        progress.add(max(left - standing["pending"], 0))
        left = min(left, standing["pending"])
    return standing


def _sent(options: argparse.Namespace) -> tuple[RuleFiles, dict[str, bytes]]:
    """The rule set on this disk, and the files of it that are sent: not those of a core that it only borrows."""
    from fairmesh.catalog.rulefiles import SHIPPED, read_rules

    place = Path(options.place) if options.place is not None else SHIPPED
    if options.domain and place.absolute().parts[-2:] == ("domains", options.domain):
        place = place.absolute().parent.parent
    found = read_rules(place)
    files = {**found.files, **found.examples}
    if options.domain:
        files = {name: body for name, body in files.items() if name.startswith(f"domains/{options.domain}/")}
        if not files:
            raise InputError(
                f"{place} holds no rules of the domain {options.domain}", code="unreadable",
                remedy=f"Name the folder that holds domains/{options.domain}/",
            )  # fmt: skip
    elif not found.core:
        files = {name: body for name, body in files.items() if not name.startswith("core/")}
    return found, dict(sorted(files.items()))


def _unusable(action: str, found: RuleFiles, problems: Iterable[Mapping[str, Any]], form: str) -> int:
    """Every problem of a set that the server refused, as `rules lint` shows it, with the author's own files."""
    from fairmesh.catalog.rulelint import Problem

    every = [
        Problem(each["file"], each["line"], None, each["rule"] or "example", each["message"], each["fix"],
                each["refuses"])
        for each in problems
    ]  # fmt: skip
    if form == "json":
        shown = [{**each, "file": found.shown(each["file"])} for each in problems]
        Terminal(sys.stdout, os.environ).raw(json.dumps({"problems": shown}, indent=2, ensure_ascii=False))
    else:
        show(Run(action, tuple(_verdicts({p.file: found.shown(p.file) for p in every}, every)), WORDS), form)
    return REFUSED


def _told(error: Refused, found: RuleFiles) -> Refused:
    """The refusal with the files on this disk that it is about, and what a refused author can do."""
    names = "|".join(map(re.escape, sorted({**found.files, **found.examples}, reverse=True)))
    said = re.sub(names, lambda name: found.shown(name[0]), error.message)
    if error.status == FORBIDDEN and not os.environ.get("FAIRMESH_TOKEN"):
        said += ". There is no token: set FAIRMESH_TOKEN"
    return Refused(error.status, {**error.problem, "detail": said})


def _products(count: int) -> str:
    return f"{count} product{'' if count == 1 else 's'}"


def _say(text: str) -> None:
    Terminal(sys.stderr, os.environ).line(text)


# -- show -------------------------------------------------------------------------------------------------------------


def _show(options: argparse.Namespace) -> int:
    server, today = reader(options), datetime.now(UTC).date()
    if options.rule is not None:
        if options.out:
            raise ConfigError("--out writes all files of a rule set", remedy="Leave out --out, or the rule")
        return print_found(
            rules_reads.one_rule(server, options.rule, options.as_of, today), rules_reads.rule_lines, options.format
        )
    found = rules_reads.in_force(server, options.as_of, today)
    if options.out:
        write_files(Path(options.out), {file["path"]: file["content"].encode() for file in found["files"]})
    return print_found(found, rules_reads.in_force_lines, options.format)
