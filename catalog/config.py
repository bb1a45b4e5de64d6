"""Settings: one list of them, read once, from four places. Later ones win:

    defaults < fairmesh.toml < FAIRMESH_* environment variables < options

`fairmesh.toml` is flat (`port = 8000`). The variable of a setting is its name in capitals after `FAIRMESH_`. An unknown
key, variable or option is refused by name, and so is a value that does not fit.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fairmesh.catalog.errors import ConfigError

PREFIX = "FAIRMESH_"
NOT_SETTINGS = ("FAIRMESH_TOKEN", "FAIRMESH_OPA_BIN")
"""Variables with our prefix that are read elsewhere: the client's token, the OPA that policy checks ask."""
FILE = "fairmesh.toml"


@dataclass(frozen=True, slots=True)
class Setting:
    """`read(value, base)` gives the typed value or raises `ValueError` with what is expected.

    `value` is a text from the environment, or what the file or the caller gave; `base` the folder relative paths
    start from. A default of None means the setting may be absent; an empty text then says so too.
    """

    name: str
    default: object
    doc: str
    read: Callable[[object, Path], object]


def _text_of(value: object, expected: str) -> str:
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        raise ValueError(expected)
    return value


def _folder(value: object, base: Path) -> Path:
    text = _text_of(str(value) if isinstance(value, Path) else value, "a folder")
    try:
        return base / Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError("a folder; this home directory is unknown") from error


def _host(value: object, base: Path) -> str:
    text = _text_of(value, "a host name or address")
    if re.search(r"[\s/@?#]", text):
        raise ValueError("a host name or address, without scheme, port or path")
    return text


def _number(low: int, high: int) -> Callable[[object, Path], int]:
    def read(value: object, base: Path) -> int:
        if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read


def _one_of(*words: str) -> Callable[[object, Path], str]:
    def read(value: object, base: Path) -> str:
        expected = f"one of {', '.join(words)}"
        text = _text_of(value, expected).lower()
        if text not in words:
            raise ValueError(expected)
        return text

    return read


def _has_host(text: str) -> bool:
    """Whether the URL has a host, and a port that is one if any."""
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _url(value: object, base: Path) -> str:
    expected = "an http or https URL without user name, query and fragment"
    text = _text_of(value, expected)
    if not text.startswith(("http://", "https://")) or re.search(r"[\s@?#\\]", text) or not _has_host(text):
        raise ValueError(expected)
    return text


_IRI_BASE = re.compile(
    r"""(?: https?://[^/?\#@\\]+ (?:/[^/?\#]+)* / | urn:[a-z0-9][a-z0-9-]{1,31}:(?:[^/?\#]+/)+ )""", re.VERBOSE
)


def _iri_base(value: object, base: Path) -> str:
    text = _text_of(value, "an absolute IRI")
    if re.search(r'[\s<>"{}|\\^`]|%(?![0-9A-Fa-f]{2})', text):
        raise ValueError("an absolute IRI; this holds a character no IRI may have")
    usable = _IRI_BASE.fullmatch(text) and not re.search(r"/\.\.?/", text)
    if not usable or not (text.startswith("urn:") or _has_host(text)):
        raise ValueError('an absolute http, https or urn IRI that ends with "/", without query, fragment, "//" or ".."')
    return text


SETTINGS = (
    Setting("data", Path("data"), "Folder that holds everything the service keeps; made when absent.", _folder),
    Setting("host", "127.0.0.1", "Address the service listens on.", _host),
    Setting("port", 8000, "Port the service listens on; 0 picks a free one.", _number(0, 65535)),
    Setting(
        "iri_base",
        "http://localhost/id/",
        "Base of the mesh's IRIs; fixed for good when the data folder is first used.",
        _iri_base,
    ),
    Setting("opa_url", None, "URL of an OPA server that decides; absent, policies are evaluated in process.", _url),
    Setting("governance", None, "Folder of rule sets used instead of the ones shipped.", _folder),
    Setting(
        "engine",
        "compiled",
        "What rules run on: compiled, or pyshacl, the reference, which is slower.",
        _one_of("compiled", "pyshacl"),
    ),
    Setting("policies", None, "Folder of access policies used instead of the ones shipped.", _folder),
    Setting(
        "workers",
        min(4, os.cpu_count() or 1),
        "Child processes that parse and validate documents, and that work out what a policy would change.",
        _number(1, 256),
    ),
    Setting(
        "breaking",
        "refuse",
        "What becomes of a breaking change to a live product without a major version: refuse or warn.",
        _one_of("refuse", "warn"),
    ),
    Setting("max_bytes", 5_000_000, "Largest document accepted, in bytes.", _number(1, 1_000_000_000)),
    Setting("max_depth", 256, "Deepest nesting accepted in a document.", _number(1, 1_000)),
    Setting("max_quads", 50_000, "Most statements accepted in a document.", _number(1, 10_000_000)),
    Setting(
        "log_level",
        "info",
        "Least important log lines written: debug, info, warning or error.",
        _one_of("debug", "info", "warning", "error"),
    ),
    Setting(
        "decision_log",
        "masked",
        "What is kept of policy decisions: masked (askers as pseudonyms), full or off.",
        _one_of("masked", "full", "off"),
    ),
)
"""Every setting: name, default, one sentence, and how it is read."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_BY_VARIABLE = {PREFIX + name.upper(): name for name in _BY_NAME}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process, made by `Settings.read`. `SETTINGS` says what each means."""

    data: Path
    host: str
    port: int
    iri_base: str
    opa_url: str | None
    governance: Path | None
    engine: str
    policies: Path | None
    workers: int
    breaking: str
    max_bytes: int
    max_depth: int
    max_quads: int
    log_level: str
    decision_log: str
    sources: Mapping[str, str] = field(repr=False, compare=False)
    """Where each value came from: `default`, the file's path, the variable's name, or `option`."""

    @classmethod
    def read(
        cls,
        options: Mapping[str, object] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Settings:
        """Read all four places. An option that is None was not given. `environment` is the process's when None.

        `file` must exist; without it `fairmesh.toml` in the working directory is read if there is one. Relative
        folders in a file start from the file's folder, all others from the working directory.
        Raises `ConfigError` for whatever cannot be used, naming the setting and where it came from.
        """
        here = Path.cwd()
        values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
        values["data"] = here / values["data"]
        sources = dict.fromkeys(values, "default")

        def take(name: str, value: object, source: str, base: Path) -> None:
            values[name], sources[name] = _value(_BY_NAME[name], value, source, base), source

        path = file or here / FILE
        for name, value in _from_file(path, required=file is not None).items():
            take(_known(name, _BY_NAME, f"key of {path}"), value, str(path), path.absolute().parent)
        for variable, text in sorted((os.environ if environment is None else environment).items()):
            if variable.startswith(PREFIX) and variable not in NOT_SETTINGS:
                take(_BY_VARIABLE[_known(variable, _BY_VARIABLE, "variable")], text, variable, here)
        for name, value in (options or {}).items():
            if _known(name, _BY_NAME, "option") and value is not None:
                take(name, value, "option", here)
        return cls(**values, sources=sources)

    def describe(self) -> list[tuple[str, object, str, str]]:
        """(name, value, source, doc) of every setting, in the order of `SETTINGS`. None of them is secret."""
        return [(s.name, getattr(self, s.name), self.sources[s.name], s.doc) for s in SETTINGS]


def _value(setting: Setting, value: object, source: str, base: Path) -> object:
    if value == "" and setting.default is None:
        return None
    try:
        return setting.read(value, base)
    except ValueError as error:
        shown = re.sub("//[^/]*@", "//***@", repr(value))  # a password in a URL is not for the log
        raise ConfigError(
            f"setting {setting.name} ({source}) cannot be {shown}", remedy=f"Expected: {error}."
        ) from error


def _known(name: str, known: Collection[str], what: str) -> str:
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=2)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(sorted(known))}."
    raise ConfigError(f"unknown {what}: {name}", remedy=hint)


def _from_file(path: Path, *, required: bool) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if not required:
            return {}
        raise ConfigError(f"there is no settings file {path}", remedy="Correct the path.") from error
    except OSError as error:
        raise ConfigError(
            f"settings file {path} cannot be read: {error.strerror}", remedy="Make it a readable file."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"settings file {path} is not UTF-8", remedy="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        raise ConfigError(
            f"settings file {path} is not TOML: {str(error)[: place.start()] if place else error}",
            line=int(place[1]) if place else None,
            column=int(place[2]) if place else None,
            remedy="Correct the file.",
        ) from error
