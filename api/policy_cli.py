"""`fairmesh policy ...` and `fairmesh explain`: the loop of whoever writes access policies."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairmesh.api import policy_reads
from fairmesh.api.client import Refused
from fairmesh.api.commands import (
    Commands,
    add_as_of,
    add_format,
    add_reader,
    add_text_or_json,
    command,
    print_found,
    reader,
    write_file,
    write_files,
)
from fairmesh.api.output import Terminal, show
from fairmesh.api.verdicts import OK, REFUSED
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Action

if TYPE_CHECKING:
    from fairmesh.api.policy_checks import Proposal

FORBIDDEN = 403
ACTIONS = tuple(action.value for action in Action if action is not Action.GOVERN)

_FOLDER = """\
DIR holds a whole policy set: Rego, its tests (*_test.rego) and golden tables (decisions/*.yaml). With --domain it holds
the files of that domain alone, those that a set keeps below domains/D/."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    parser = commands.add_parser("policy", help="write, try and publish access policies", allow_abbrev=False)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_judging(actions)
    _add_publishing(actions)
    _add_reading(actions)
    explain = command(
        commands, "explain", _explain, "why somebody may or may not do something with a product",
        "Which rule decided, and on which facts: the decision, what the policy was asked, and every rule that gave\n"
        "something, inner ones first. For ACTOR as facts (JSON), a subject that need not exist, the decision alone.",
    )  # fmt: skip
    explain.add_argument("actor", metavar="ACTOR", help="id of a subject with a token, anonymous, or facts as JSON")
    explain.add_argument("action", metavar="ACTION", choices=ACTIONS, help=", ".join(ACTIONS))
    explain.add_argument("name", metavar="KEY", help="the product's key (or IRI)")
    add_text_or_json(explain)
    add_reader(explain)


def _add_judging(actions: Commands) -> None:
    check = command(
        actions, "check", _check, "what a server would refuse of policy files",
        "Apply the gate that a server has, without one: names, functions, packages, and the form of golden tables.\n"
        f"Where there is an OPA (FAIRMESH_OPA_BIN, else `opa` on the PATH), `opa check --strict` too.\n\n{_FOLDER}",
    )  # fmt: skip
    test = command(
        actions, "test", _test, "run the tests of policy files",
        "Run the golden tables and Rego tests, in process and, where there is one, in OPA (FAIRMESH_OPA_BIN, else\n"
        f"`opa` on the PATH). Both must answer alike. With --domain: beside the policy that ships.\n\n{_FOLDER}",
    )  # fmt: skip
    test.add_argument("--coverage", action="store_true", help="list the rows that no test reached")
    for parser in (check, test):
        parser.add_argument("folder", metavar="DIR", nargs="?", help="(default: the policy that ships)")
        parser.add_argument("--domain", metavar="D", help="DIR holds the files of this domain")
        add_format(parser)


def _add_publishing(actions: Commands) -> None:
    impact = command(
        actions, "impact", _impact, "who would gain or lose what",
        "Ask a server what the policy would change on its mesh: who gains or loses which products, gains first, and\n"
        f"how recorded decisions would come out. Exit code 1 if somebody gains. Nothing is changed.\n\n{_FOLDER}",
    )  # fmt: skip
    publish = command(
        actions, "publish", _publish, "put policy files in force",
        "Put the policy in force at once, for every request that comes after. It is checked, tested and compared\n"
        f"first; if it is refused, the one in force stays. One that widens access is refused, too.\n\n{_FOLDER}",
    )  # fmt: skip
    publish.add_argument("--dry-run", action="store_true", help="go all the way short of putting it in force")
    for parser in (impact, publish):
        parser.add_argument("folder", metavar="DIR", help="the policy files")
        parser.add_argument("--domain", metavar="D", help="DIR holds the files of this domain; all others stay")
        parser.add_argument("--allow-widening", action="store_true", help="somebody may come to see or do more")
        add_text_or_json(parser)
        add_reader(parser)


def _add_reading(actions: Commands) -> None:
    shown = command(
        actions, "show", _show, "which policy is, or was, in force",
        "The policy in force: its revision, who published it and when, and its rules. --out writes them to files, to\n"
        "be read or published again.",
    )  # fmt: skip
    add_as_of(shown)
    shown.add_argument("--out", metavar="DIR", help="write the rules to this folder, which must be empty or absent")
    add_text_or_json(shown)
    who = command(
        actions, "who", _who, "who may do what with a product",
        "What everybody who has a token, and the anonymous visitor, may do with a product. Those whom the policy\n"
        "cannot tell apart come together.",
    )  # fmt: skip
    who.add_argument("name", metavar="KEY", help="the product's key (or IRI)")
    add_text_or_json(who)
    bundle = command(
        actions, "bundle", _bundle, "fetch the signed bundle for OPA servers",
        "Fetch the bundle that OPA servers poll: the policies in force and the facts they are asked about, signed.",
    )  # fmt: skip
    bundle.add_argument("-o", "--out", metavar="FILE", default="access.tar.gz", help="(default: access.tar.gz)")
    bundle.add_argument("--public-key", metavar="FILE", help="write the key that verifies it here")
    for parser in (shown, who, bundle):
        add_reader(parser)


# -- judging ----------------------------------------------------------------------------------------------------------


def _files(options: argparse.Namespace) -> Proposal:
    from fairmesh.api import policy_checks

    return policy_checks.Proposal.read(options.folder, options.domain)


def _check(options: argparse.Namespace) -> int:
    from fairmesh.api import policy_checks  # the engine takes as long to load as all the rest

    run = policy_checks.check(_files(options))
    show(run, options.format)
    return run.exit_code


def _test(options: argparse.Namespace) -> int:
    from fairmesh.api import policy_checks

    run = policy_checks.test(_files(options), coverage=options.coverage)
    show(run, options.format)
    return run.exit_code


# -- publishing -------------------------------------------------------------------------------------------------------


def _impact(options: argparse.Namespace) -> int:
    proposal = _files(options)
    try:
        found = policy_reads.propose(reader(options), proposal.files, options.domain)
    except Refused as error:
        raise _told(error, proposal) from None
    print_found(found, policy_reads.impact_lines, options.format)
    if not found["widens"] or options.allow_widening:
        return OK
    _say(f"fairmesh: access would widen{_unseen(found)}. Say --allow-widening if it is meant")
    return REFUSED


def _publish(options: argparse.Namespace) -> int:
    proposal = _files(options)
    try:
        done = policy_reads.publish(
            reader(options), proposal.files, options.domain, dry_run=options.dry_run,
            allow_widening=options.allow_widening,
        )  # fmt: skip
    except Refused as error:
        raise _told(error, proposal) from None
    print_found(done, _published_lines, options.format)
    if done["revision"] is not None:
        return OK
    _say(
        f"fairmesh: access would widen{_unseen(done['impact'])}, and nothing was published."
        " Say --allow-widening if it is meant"
    )
    return REFUSED


def _published_lines(done: Mapping[str, Any]) -> Iterable[str]:
    if done["revision"] is not None:
        word = "published" if done["published"] else "unchanged" if done["unchanged"] else "publishable"
        yield f"{word}  {done['revision']}"
    if done["impact"] is not None:
        yield from policy_reads.impact_lines(done["impact"])
    if done["revision"] is not None and not done["published"] and not done["unchanged"]:
        yield "dry run: nothing was published"


def _unseen(found: Mapping[str, Any]) -> str:
    return " for products you may not see" if policy_reads.widens_unseen(found) else ""


def _told(error: Refused, proposal: Proposal) -> Refused:
    """The refusal with the file on this disk that it is about. Tests that fail are told at once, a line each."""
    *failures, said = proposal.told(error.message, error.line)
    for failure in failures:
        _say(failure)
    if error.status == FORBIDDEN and not os.environ.get("FAIRMESH_TOKEN"):
        said += ". There is no token: set FAIRMESH_TOKEN"
    elif error.status == FORBIDDEN and proposal.domain is None:
        said += ". The whole set is for who governs all of it: name your domain with --domain"
    return error if said == error.message else Refused(error.status, {**error.problem, "detail": said, "line": None})


def _say(text: str) -> None:
    Terminal(sys.stderr, os.environ).line(text)


# -- reading ----------------------------------------------------------------------------------------------------------


def _show(options: argparse.Namespace) -> int:
    found = policy_reads.in_force(reader(options), options.as_of)
    if options.out:
        write_files(Path(options.out), {file["path"]: file["source"].encode() for file in found["files"]})
    return print_found(found, policy_reads.in_force_lines, options.format)


def _who(options: argparse.Namespace) -> int:
    return print_found(policy_reads.who(reader(options), options.name), policy_reads.who_lines, options.format)


def _explain(options: argparse.Namespace) -> int:
    asked: Callable[..., Mapping[str, Any]] = policy_reads.explain
    actor: object = options.actor
    if options.actor.lstrip().startswith("{"):
        asked, actor = policy_reads.suppose, _facts(options.actor)
    found = asked(reader(options), actor, options.action, options.name)
    return print_found(found, policy_reads.explain_lines, options.format)


def _facts(text: str) -> Mapping[str, object]:
    try:
        found: dict[str, object] = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"the facts of ACTOR are not JSON: {error}", remedy='Write {"id": "x", "kind": "user"}'
        ) from None
    return found


def _bundle(options: argparse.Namespace) -> int:
    server = reader(options)
    content = server.bundle()
    if options.public_key:
        write_file(Path(options.public_key), server.bundle_key())
    write_file(Path(options.out), content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        manifest = archive.extractfile(".manifest")
        revision = json.load(manifest)["revision"] if manifest else ""
    print(f"{options.out}  {len(content)} bytes  revision {revision}")
    return OK
