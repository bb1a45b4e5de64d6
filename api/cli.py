"""The `fairmesh` command."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from fairmesh.api import diff_cli, governance_cli, policy_cli, reads, rules_cli, shape_cli, submissions, waiver_cli
from fairmesh.api.auth import ROLES, Tokens
from fairmesh.api.client import BATCH_DOCUMENTS, Refused, Unreachable
from fairmesh.api.commands import (
    EXITS,
    Commands,
    Help,
    add_data,
    add_format,
    add_reader,
    add_text_or_json,
    client,
    command,
    existing,
    print_found,
    reader,
)
from fairmesh.api.output import Progress, Terminal, show, table
from fairmesh.api.report_files import ReportFile
from fairmesh.api.submissions import Document, Gathered
from fairmesh.api.verdicts import DENIED, OK, REFUSED, UNAVAILABLE, UNREADABLE, Run, Verdict, exit_code
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import (
    ConfigError,
    FairmeshError,
    Forbidden,
    InputError,
    NotFound,
    PolicyUnavailable,
    StorageUnavailable,
    WorkerFailed,
)
from fairmesh.catalog.feeds import ImportOptions
from fairmesh.catalog.feeds.completion import read_completions
from fairmesh.catalog.model import CLASSIFICATIONS, STATUSES, Subject

CHECKED = ("ok", "refused")
REGISTERED = ("created", "updated", "unchanged", "refused")
WRITTEN = ("written", "refused")

_ABOUT = """\
The metadata catalog of a data mesh: products registered as RDF, rules enforced at the door, access decided by policy,
answers over GraphQL.

  fairmesh serve --demo                            start a service with a sample mesh
  fairmesh validate product.ttl                    what the rules say of a document, without a server
  fairmesh register product.ttl --server URL       put it into the mesh
  fairmesh import dbt manifest.json --domain shop  see what a dbt project would become
  fairmesh rules impact ontologies --server URL    which products other rules would newly fail
  fairmesh policy impact policies --server URL     who would gain or lose what by other access policies"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` are those of the process when None."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        sys.stdout.flush()
    except FairmeshError as error:
        Terminal(sys.stderr, os.environ).line(f"fairmesh: {error}")
        return _code_of(error)
    except BrokenPipeError:
        # whoever read our output has gone; the rest of it must not be flushed into the closed pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130
    return code


def _code_of(error: FairmeshError) -> int:
    if isinstance(error, Refused):
        return exit_code(error.status, error.code)
    if isinstance(error, Unreachable | PolicyUnavailable | StorageUnavailable | WorkerFailed):
        return UNAVAILABLE
    if isinstance(error, Forbidden):
        return DENIED
    return UNREADABLE if isinstance(error, InputError | ConfigError) else REFUSED


# -- the parser -------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "fairmesh", description=_ABOUT, epilog=EXITS, formatter_class=Help, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"fairmesh {version('fairmesh')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_service(commands)
    _add_writing(commands)
    diff_cli.add(commands)
    _add_import(commands)
    _add_reading(commands)
    policy_cli.add(commands)
    rules_cli.add(commands)
    waiver_cli.add(commands)
    governance_cli.add(commands)
    _add_operations(commands)
    return parser


def _add_service(commands: Commands) -> None:
    serve = command(
        commands, "serve", _serve, "run the service",
        "Run the service until it is told to stop (Ctrl-C or SIGTERM). One service to a data directory. On an address"
        "\nthat other machines reach it starts only when there is a token (`fairmesh token create`).",
    )  # fmt: skip
    add_data(serve)
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default: 8000; 0 picks a free one)")
    _add_engine(serve)
    serve.add_argument(
        "--governance", metavar="PLACE", help="rule set, a folder or a bundle, used instead of the one shipped"
    )
    serve.add_argument(
        "--demo", action="store_true",
        help="load a sample mesh when there is none yet, and print a fresh token for each role: ROLE TOKEN",
    )  # fmt: skip
    tokens = commands.add_parser("token", help="make and end service tokens", allow_abbrev=False)
    actions = tokens.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = command(
        actions, "create", _token_create, "make a token for a service and print it, and nothing else",
        "Make a token for a service and print it: the only time it can be read. Works beside a running server.",
    )  # fmt: skip
    create.add_argument("subject", metavar="SUBJECT", help="who the token stands for, such as sales-ci")
    create.add_argument("--role", action="append", default=[], metavar="R", help=f"{', '.join(ROLES)}; repeatable")
    create.add_argument("--domain", action="append", default=[], metavar="D", help="a domain it works for; repeatable")
    create.add_argument("--team", action="append", default=[], metavar="T", help="a team it belongs to; repeatable")
    create.add_argument(
        "--clearance", default="public", metavar="C", help=f"{', '.join(CLASSIFICATIONS)} (default: public)"
    )
    add_data(create)
    revoke = command(actions, "revoke", _token_revoke, "end all tokens of a subject, at once")
    revoke.add_argument("subject", metavar="SUBJECT", help="whose tokens end")
    add_data(revoke)


def _add_writing(commands: Commands) -> None:
    validate = command(
        commands, "validate", _validate, "judge product documents without registering them",
        "Judge product documents. Without --server the rules that ship (or those of --governance) are applied here, and"
        "\nrules that need the mesh are listed as not checked. With --server the server judges, as on register.\n\n"
        "With --shapes any RDF is judged by plain SHACL, each file on its own. What of the shapes cannot be used is"
        "\nleft out and named. Results refuse unless their severity is sh:Warning or sh:Info.",
    )  # fmt: skip
    validate.add_argument("files", nargs="+", metavar="FILE", help="RDF: Turtle, JSON-LD, RDF/XML, N-Triples, TriG")
    judge = validate.add_mutually_exclusive_group()
    judge.add_argument("--server", metavar="URL", help="let this server judge")
    judge.add_argument("--governance", metavar="DIR", help="folder of rule sets used instead of the ones shipped")
    shape_cli.add_options(validate)
    _add_engine(validate)
    validate.add_argument(
        "--report", metavar="OUT", help="write the full SHACL report on one document: .ttl .jsonld .rdf .nt .nq .trig"
    )
    validate.add_argument(
        "--min-fair", type=_share, metavar="MARK", help="refuse what has a FAIR score under this mark, from 0 to 1"
    )
    add_format(validate)
    register = command(
        commands, "register", _register, "register product documents with a server",
        "Register product documents, each on its own merits: those that are refused leave the others standing. They may"
        f"\nrefer to each other in any order. Sent in batches of {BATCH_DOCUMENTS}. Registering again changes nothing.",
    )  # fmt: skip
    register.add_argument("files", nargs="+", metavar="FILE", help="RDF: Turtle, JSON-LD, RDF/XML, N-Triples, TriG")
    register.add_argument(
        "--server", metavar="URL", required=True, help="the server, such as http://127.0.0.1:8000"
    )  # fmt: skip
    register.add_argument("--dry-run", action="store_true", help="go all the way short of storing")
    register.add_argument(
        "--if-revision", type=_natural, metavar="N",
        help="refuse (exit code 4) unless N is the current revision; 0: unless there is none",
    )  # fmt: skip
    add_format(register)


def _share(text: str) -> float:
    try:
        mark = float(text)
    except ValueError:
        mark = -1.0
    if not 0 <= mark <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return mark


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    if not (number := _natural(text)):
        raise argparse.ArgumentTypeError("it cannot be 0")
    return number


_IMPORT_ABOUT = """\
{what}

Without --server and --out nothing is kept: the documents are validated here, and you see what would be refused.
What the source does not say comes from --complete (by product), then from the options below; it is marked in the
document as said by the importer. Nothing is dropped without a line. Importing an unchanged source changes nothing.

The --complete file is YAML: facts by product key, or "*" for all.

  "*":
    owner: Data platform team
    license: https://example.org/terms
  sales.orders:
    classification: confidential"""


_DBT = """\
Products of a dbt project: models, seeds, snapshots and sources become datasets, their depends_on becomes lineage. A
dataset belongs to the product named in meta.fairmesh.product, else to its dbt group, else to its top folder. The
catalog.json beside the manifest is read too, for columns and types."""

_DCAT = """\
Products of DCAT records: each dataset becomes the output dataset of a product of its own and keeps its IRI. All files
are read as one graph."""


def _add_import(commands: Commands) -> None:
    parser = commands.add_parser("import", help="turn foreign metadata into product documents", allow_abbrev=False)
    kinds = parser.add_subparsers(title="sources", metavar="SOURCE", required=True)
    dbt = command(
        kinds, "dbt", _import_dbt, "a dbt project: manifest.json, and catalog.json beside it",
        _IMPORT_ABOUT.format(what=_DBT),
    )  # fmt: skip
    dbt.add_argument("sources", nargs="+", metavar="MANIFEST", help="target/manifest.json of a dbt project")
    dcat = command(kinds, "dcat", _import_dcat, "DCAT catalogues in RDF files", _IMPORT_ABOUT.format(what=_DCAT))
    dcat.add_argument("sources", nargs="+", metavar="FILE", help="RDF with datasets")
    for kind in (dbt, dcat):
        _add_import_options(kind)


def _add_import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--domain", required=True, metavar="D", help="the products' domain, first part of every key")
    parser.add_argument("--owner", metavar="NAME", help="the owner's name, where the source names none")
    parser.add_argument(
        "--classification", default="internal", metavar="C", help=f"{', '.join(CLASSIFICATIONS)} (default: internal)"
    )
    parser.add_argument(
        "--status", default="build", metavar="S", help=f"{', '.join(STATUSES[:-1])} (default: build)"
    )  # fmt: skip
    parser.add_argument("--complete", metavar="FILE", help="YAML of facts by product that the source does not state")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--server", metavar="URL", help="register the products with this server")
    where.add_argument("--out", metavar="DIR", help="write the documents to DIR/KEY.ttl")
    add_format(parser)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=("compiled", "pyshacl"), help="what rules run on here; pyshacl is the reference, and slower"
    )


def _add_reading(commands: Commands) -> None:
    show = command(commands, "show", _show, "a product's page")
    show.add_argument("name", metavar="KEY", help="the product's key (or IRI)")
    show.add_argument(
        "--format", choices=("text", "json", "turtle"), default="text", help="turtle: its document (default: text)"
    )
    search = command(commands, "search", _search, "find products by text")
    search.add_argument("text", metavar="TEXT", nargs="?", help="words to look for (without them: all products)")
    search.add_argument(
        "--first", type=_positive, default=20, metavar="N", help="hits shown, at most 200 (default: 20)"
    )
    add_text_or_json(search)
    lineage = command(
        commands, "lineage", _lineage, "where data comes from and where it goes",
        "Lineage of a product (by key), or of a product, dataset or column (by IRI), both ways unless one is given.",
    )  # fmt: skip
    lineage.add_argument("name", metavar="KEY-or-IRI", help="where to start")
    way = lineage.add_mutually_exclusive_group()
    way.add_argument("--upstream", action="store_true", help="only what it is derived from")
    way.add_argument("--downstream", action="store_true", help="only what is derived from it")
    lineage.add_argument("--depth", type=_positive, default=100, metavar="N", help="hops, at most 100 (default: 100)")
    add_text_or_json(lineage)
    for parser in (show, search, lineage):
        add_reader(parser)


def _add_operations(commands: Commands) -> None:
    rebuild = command(
        commands, "rebuild", _rebuild, "make the graph anew from the journal",
        "Make the graph anew from the journal and compare digests. The service must be stopped.",
    )  # fmt: skip
    add_data(rebuild)
    verify = command(
        commands, "verify", _verify, "check that the journal was not altered",
        "Check the journal's hash chain. Names the first entry that was altered, removed or reordered. Keep the hash it"
        "\nprints somewhere else: with --expect it also proves that nothing was cut off the end since.",
    )  # fmt: skip
    verify.add_argument("--expect", metavar="HASH", help="a head hash printed earlier, which must still be there")
    add_data(verify)
    command(commands, "config", _config, "every setting, its value and where it came from")


# -- service and tokens -----------------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    from fairmesh.api.serve import serve  # the web stack takes a second to load; no other command needs it

    settings = Settings.read(
        {
            "data": options.data,
            "host": options.host,
            "port": options.port,
            "engine": options.engine,
            "governance": options.governance,
        }
    )
    serve(settings, demo=options.demo)
    return OK


def _token_create(options: argparse.Namespace) -> int:
    subject = Subject(
        options.subject, "service", tuple(options.role), tuple(options.team), tuple(options.domain), options.clearance
    )
    data = Settings.read({"data": options.data}).data
    made = not data.is_dir()
    tokens = Tokens.open(data)
    try:
        print(tokens.create(subject))
    finally:
        tokens.close()
    if made:
        Terminal(sys.stderr, os.environ).line(f"note: there was no data directory {data}; it was made")
    return OK


def _token_revoke(options: argparse.Namespace) -> int:
    tokens = Tokens.open(existing(Settings.read({"data": options.data})).data)
    try:
        ended = tokens.revoke(options.subject)
    finally:
        tokens.close()
    if not ended:
        raise NotFound(f"{options.subject} has no token", remedy="Check the name and --data")
    print(f"{ended} token{'s' if ended > 1 else ''} of {options.subject} ended")
    return OK


# -- writing ----------------------------------------------------------------------------------------------------------


def _validate(options: argparse.Namespace) -> int:
    if shape_cli.asked(options):
        return shape_cli.validate(options)
    if options.server and options.engine:
        raise ConfigError("--engine is for judging here", remedy="Leave it out: the server has an engine of its own")
    settings = Settings.read({"governance": options.governance, "engine": options.engine})
    report = ReportFile.named(options.report, options.files)
    gathered = submissions.gather(options.files)
    if options.server:
        judged = _send(options.server, gathered.documents, "checking", dry_run=True)
        verdicts = [replace(verdict, change=None, changes=()) for verdict in judged]
        if options.min_fair is not None:
            verdicts = [
                verdict.at_least(options.min_fair, submissions.place_of(document, verdict))
                for verdict, document in zip(verdicts, gathered.documents, strict=True)
            ]
        if report is not None:
            told = [report.fetch(client(options.server), each) for each in gathered.documents]
            _report(report, told)
    else:
        verdicts = _check(settings, gathered.documents, options.min_fair, report)
    return _finish("validate", gathered, verdicts, CHECKED, options.format, pages=_pages(options.server))


def _report(file: ReportFile, told: Sequence[bytes | None]) -> None:
    """Write the one report, if there is any."""
    if told and told[0] is not None:
        file.write(told[0])
    else:
        Terminal(sys.stderr, os.environ).line("note: no report was written: the document could not be judged")


def _pages(server: str | None) -> str:
    """What the addresses of rules' pages begin with: those of the server, which are of the rules that judged."""
    if server:
        return server.rstrip("/") + "/rules/"
    from fairmesh.catalog.rulefiles import RULES

    return RULES


def _register(options: argparse.Namespace) -> int:
    if options.if_revision is not None and len(options.files) > 1:
        raise ConfigError("--if-revision is about one product", remedy="Register this file alone")
    gathered = submissions.gather(options.files)
    verdicts = _send(
        options.server, gathered.documents, "registering", dry_run=options.dry_run, if_revision=options.if_revision
    )
    return _finish(
        "register", gathered, verdicts, REGISTERED, options.format, dry_run=options.dry_run,
        pages=_pages(options.server),
    )  # fmt: skip


def _send(
    server: str, documents: Sequence[Document], what: str, *, dry_run: bool = False, if_revision: int | None = None
) -> list[Verdict]:
    progress = Progress(what, len(documents))
    return submissions.send(
        client(server), documents, dry_run=dry_run, if_revision=if_revision, done=progress.add
    )  # fmt: skip


def _check(
    settings: Settings, documents: Sequence[Document], min_fair: float | None = None, report: ReportFile | None = None
) -> list[Verdict]:
    if not documents:
        return []
    from fairmesh.api.offline import Checker  # the validator takes as long to load as all the rest

    with Checker.open(settings, len(documents)) as checker:
        for uncompiled in checker.rules.unsupported:
            Terminal(sys.stderr, os.environ).line(f"note: {uncompiled}")
        verdicts = checker.check(documents, Progress("checking", len(documents)).add, min_fair)
        if report is not None:
            _report(report, [checker.report_rdf(each.file, report.media_type) for each in documents])
        return verdicts


def _finish(
    action: str, gathered: Gathered, verdicts: Sequence[Verdict], words: tuple[str, ...], form: str, *,
    dry_run: bool = False, pages: str = "",
) -> int:  # fmt: skip
    run = Run(action, (*verdicts, *gathered.failed), words, tuple(gathered.notes), dry_run, pages)
    show(run, form)
    return run.exit_code


# -- import -----------------------------------------------------------------------------------------------------------


def _import_dbt(options: argparse.Namespace) -> int:
    return _import(options, submissions.from_dbt(options.sources, _import_options(options)))


def _import_dcat(options: argparse.Namespace) -> int:
    return _import(options, submissions.from_dcat(options.sources, _import_options(options)))


def _import_options(options: argparse.Namespace) -> ImportOptions:
    completions = {}
    if options.complete:
        completions = read_completions(submissions.read_file(options.complete), options.complete)
    return ImportOptions(
        options.domain, owner=options.owner, classification=options.classification, status=options.status,
        completions=completions,
    )  # fmt: skip


def _import(options: argparse.Namespace, gathered: Gathered) -> int:
    documents = gathered.documents
    words: tuple[str, ...]
    if options.server:
        words, verdicts = REGISTERED, _send(options.server, documents, "registering")
    elif options.out:
        words, verdicts = WRITTEN, _write(Path(options.out), documents)
    else:
        words, verdicts = CHECKED, _check(Settings.read(), documents)
    return _finish("import", gathered, [verdict.unplaced() for verdict in verdicts], words, options.format)


def _write(folder: Path, documents: Sequence[Document]) -> list[Verdict]:
    verdicts = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for document in documents:
            file = folder / f"{document.key}.ttl"
            file.write_bytes(document.content)
            verdicts.append(Verdict(str(file), 200, document.key, document.record, "written"))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", remedy="Choose another --out") from error
    return verdicts


# -- reading ----------------------------------------------------------------------------------------------------------


def _show(options: argparse.Namespace) -> int:
    client = reader(options)
    if options.format == "turtle":
        Terminal(sys.stdout, os.environ).raw(reads.turtle(client, options.name))
        return OK
    return print_found(reads.product(client, options.name), reads.product_lines, options.format)


def _search(options: argparse.Namespace) -> int:
    return print_found(reads.search(reader(options), options.text, options.first), reads.search_lines, options.format)


def _lineage(options: argparse.Namespace) -> int:
    one_way = "UPSTREAM" if options.upstream else "DOWNSTREAM" if options.downstream else None
    directions = (one_way,) if one_way else ("UPSTREAM", "DOWNSTREAM")
    found = reads.lineage(reader(options), options.name, directions, options.depth)
    return print_found(found, reads.lineage_lines, options.format)


# -- operations -------------------------------------------------------------------------------------------------------


def _rebuild(options: argparse.Namespace) -> int:
    from fairmesh.catalog import rebuild

    done = rebuild(existing(Settings.read({"data": options.data})))
    print(f"rebuilt from {done.entries} entries")
    print(f"before {done.before}")
    print(f"after  {done.after}")
    print("the graph had been what the journal says" if done.same else "the graph had differed; it is right now")
    return OK


def _verify(options: argparse.Namespace) -> int:
    from fairmesh.catalog.journal import Journal

    journal = Journal.open(existing(Settings.read({"data": options.data})).data, create=False)
    try:
        found = journal.verify(expect=options.expect)
    finally:
        journal.close()
    if found.ok:
        print(f"ok: {found.count} entries, head {found.head}")
        return OK
    entry = f"entry {found.seq}" if found.seq is not None else "the journal"
    about = f" (product <{found.product}>)" if found.product else ""
    print(f"bad: {entry}{about}: {found.problem}; {found.count} entries before it are sound")
    return REFUSED


def _config(options: argparse.Namespace) -> int:
    rows = [(name, "" if value is None else str(value), source, doc) for name, value, source, doc in
            Settings.read().describe()]  # fmt: skip
    for line in table(rows):
        print(line)
    return OK


if __name__ == "__main__":
    sys.exit(main())
