"""What the parts of the command line share: how a command is declared, the server it asks, how an answer is printed."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from fairmesh.api.client import Client
from fairmesh.api.output import FORMATS, Terminal
from fairmesh.api.verdicts import OK
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import ConfigError

EXITS = """\
exit codes:
  0  all is well
  1  refused by findings: a rule, or the form of a document; also: nothing has the name that was given, a journal that
     was altered. A search without a hit is no failure: 0
  2  wrong usage, or input nobody can read: a directory, an empty file, what does not parse, a port in use
  3  denied: the policy says no, or the token is not known
  4  conflict: another revision is current, the key belongs to another product, or the version does not say that
     something breaks
  5  the service does not answer, or could not decide or store
When documents fail for different reasons the code is 5 if the service failed anywhere, else 1.

environment:
  FAIRMESH_TOKEN     the token for commands that talk to a server; without it you are anonymous
  FAIRMESH_OPA_BIN   the OPA that `policy check` and `policy test` ask; without it the `opa` on the PATH, if any
  FAIRMESH_...       settings, see `fairmesh config`; a file fairmesh.toml in the working directory comes before them
  NO_COLOR           no colours"""


class Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


Commands = Any
"""argparse's own type for a group of commands is private."""


def command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], help: str, about: str = ""
) -> argparse.ArgumentParser:
    """Declare a command: `run` gets its options and returns the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=about or help[0].upper() + help[1:] + ".", epilog=EXITS, formatter_class=Help,
        allow_abbrev=False,
    )  # fmt: skip
    parser.set_defaults(command=run)
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="data directory (default: the setting `data`, else ./data)")


def add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="text", help="how findings are written (default: text)")


def add_text_or_json(parser: argparse.ArgumentParser) -> None:
    """`--format`, for commands that answer with what they found: see `print_found`."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")


def add_as_of(parser: argparse.ArgumentParser) -> None:
    """`--as-of`, read as `moment` does."""
    parser.add_argument(
        "--as-of", metavar="WHEN", type=moment, help="then: 2026-05-31 (its end, UTC) or 2026-05-31T12:00:00Z"
    )


def add_reader(parser: argparse.ArgumentParser) -> None:
    """`--server`, for commands that only ask: see `reader`."""
    parser.add_argument(
        "--server", metavar="URL",
        help="the server (default: the settings `host` and `port`, else http://127.0.0.1:8000)",
    )  # fmt: skip


def existing(settings: Settings) -> Settings:
    """For commands on a data directory that never make one. Raises `ConfigError` when it is not there."""
    if not settings.data.is_dir():
        raise ConfigError(f"there is no data directory {settings.data}", remedy="Name it with --data DIR")
    return settings


def client(url: str) -> Client:
    """The server at this URL, asked with the token of FAIRMESH_TOKEN."""
    return Client(url, os.environ.get("FAIRMESH_TOKEN") or None)


def reader(options: argparse.Namespace) -> Client:
    """The server that `--server` names, else the one of the settings."""
    settings = Settings.read()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return client(options.server or f"http://{host}:{settings.port}")


def print_found(found: Mapping[str, Any], lines: Callable[[Mapping[str, Any]], Iterable[str]], form: str) -> int:
    """Write an answer as JSON or, by `lines`, as text."""
    out = Terminal(sys.stdout, os.environ)
    if form == "json":
        out.raw(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for line in lines(found):
            out.line(line)
    return OK


def moment(text: str) -> str:
    """A point in time, as GraphQL reads it; a date stands for its end."""
    with suppress(ValueError):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.combine(date.fromisoformat(text), time.max, UTC).isoformat()
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.isoformat()
    raise argparse.ArgumentTypeError(f"{text!r} is neither a date nor a time with its zone")


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files a server sent to a folder that is empty or not there. Raises `ConfigError`."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not an empty folder", remedy="Name one that is, or that is not there")
    strange = [path for path in files if path.startswith("/") or ".." in path.split("/")]
    if strange:
        raise ConfigError(f"the server names a file {strange[0]}", remedy="Check the URL: nothing was written")
    for path, body in files.items():
        write_file(folder / path, body)


def write_file(place: Path, body: bytes) -> None:
    """Write what `--out` or the like names. Raises `ConfigError`."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
    except OSError as error:
        raise ConfigError(f"{place} cannot be written: {error.strerror}", remedy="Name another place") from error
