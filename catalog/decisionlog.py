"""The decision log: what the policy was asked and what it answered, for operators and for replay. Never served.

One line of JSON per question that an engine evaluated (answers from a cache ask nothing), in the shape of OPA's
decision log events, in files `decisions-<number>.jsonl` of the data directory's folder `decisions`. The highest number
is the file being written. A file that is full is compressed; the oldest are removed.

The log is off the path of requests: `record` puts the question in a bounded queue, a thread of its own writes. What
cannot be kept is counted, and the count is in the service's log and, as soon as possible, in the decision log.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import shutil
import threading
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import orjson

from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.model import Subject
from fairmesh.catalog.policyfiles import ENTRY

__all__ = ["DecisionLog", "Recorded", "RecordedDecisions"]

BUNDLE = "access"
"""The name under which an event gives the policy's revision: `bundles.access.revision`."""

_MAX_LINE = 16_000_000
_CLOSE_SECONDS = 5.0
_PER_QUESTION = 1024
"""What a waiting question counts for beside the texts of itself and its answer."""
_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}|")
_NAME = re.compile(r"decisions-([0-9]{6,12})\.jsonl(\.gz)?")

_log = logging.getLogger("fairmesh")


# -- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    answer: bytes | str | None
    revision: str
    at: datetime
    error: str | None


class DecisionLog:
    """Records decisions in `folder`, which is made when absent (0700; its files 0600). One process, any thread.

    With `masked`, an event holds `HMAC-SHA256(key, id)` in hexadecimal instead of the subject's id, where `key` is the
    content of the file `key`, made once; a purpose that is no plain word is emptied; row filters, and answers that
    were refused, are left out. `masked` and `erased` of the event list these places as JSON pointers.

    A file is full at `max_bytes`; `max_files` are kept, the current one included. Questions of at most `max_waiting`
    bytes wait beside those being written, further ones are lost and counted. Lines are written whole or not at all,
    without fsync.

    Raises `ConfigError` when the folder or its key cannot be used.
    """

    def __init__(
        self, folder: Path, *, masked: bool, max_bytes: int = 20_000_000, max_files: int = 10,
        max_waiting: int = 16_000_000,
    ) -> None:  # fmt: skip
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._key = _key(folder / "key") if masked else None
            self._files = _Files(folder, max_bytes, max_files)
        except OSError as error:
            raise ConfigError(
                f"the decision log {folder} cannot be written: {error.strerror}",
                remedy="Make room and write access for the folder, or set decision_log to off",
            ) from error
        self._labels = {"app": "fairmesh", "id": str(uuid.uuid4()), "version": version("fairmesh")}
        self._max_waiting = max_waiting
        self._changed = threading.Condition(threading.Lock())
        self._waiting: list[_Asked] = []
        self._waiting_bytes = 0
        self._refused = 0  # since the writer last looked
        self._asked = self._done = 0  # in all
        self._latest: datetime | None = None
        self._closing = False
        self._lost = 0  # and not yet told in the log itself; the writer's own
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    def record(self, question: str, answer: object, *, revision: str, at: datetime, error: str | None = None) -> None:
        """Have one question recorded. Never waits for the disk and never raises.

        `question` is the input as sent (JSON text), `answer` the engine's as parsed; `error` says why the question was
        refused although it was asked, and `answer` is then what came, or None. After `close` nothing is recorded.
        """
        packed = _packed(answer)
        size = len(question) + len(packed or "") + _PER_QUESTION
        with self._changed:
            if self._closing:
                return
            self._asked += 1
            self._latest = at
            if self._waiting_bytes + size > self._max_waiting:
                self._refused += 1
            else:
                self._waiting.append(_Asked(question, packed, revision, at, error))
                self._waiting_bytes += size
            self._changed.notify_all()

    def flush(self, timeout: float = _CLOSE_SECONDS) -> bool:
        """Wait until what was recorded so far is in the files, or lost. False when that takes more than `timeout`."""
        with self._changed:
            wanted = self._asked
            return self._changed.wait_for(lambda: self._done >= wanted, timeout)

    def close(self) -> None:
        """Write what waits and stop; a disk that hangs is given up after five seconds. May be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            _log.warning("the decision log does not finish; its last decisions may be lost")

    def _run(self) -> None:
        going = True
        while going:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._refused or self._closing)
                batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
                refused, self._refused = self._refused, 0
                going = not self._closing
            if refused:
                self._lose(refused, "they come faster than they can be written")
            self._write(batch)
            with self._changed:
                self._done += len(batch) + refused
                self._changed.notify_all()
        if self._lost:
            _log.warning("%d decisions were not recorded", self._lost)
        self._files.close()

    def _write(self, batch: list[_Asked]) -> None:
        """Write what can be written, then how much could not."""
        for asked in batch:
            try:
                self._files.append(_line(self._event(asked)))
            except Exception as error:  # an answer may hold anything; the writer must outlive it
                self._lose(1, getattr(error, "strerror", None) or type(error).__name__)
        if self._lost:
            self._tell()

    def _lose(self, count: int, reason: str) -> None:
        """Count; the service's log gets the first loss at once, their sum when it can be told."""
        if not self._lost:
            _log.warning("decisions are not recorded at the moment: %s", reason)
        self._lost += count

    def _tell(self) -> None:
        event = {
            "labels": self._labels, "decision_id": str(uuid.uuid4()), "timestamp": _stamp(self._latest),
            "error": {"message": f"{self._lost} decisions before this were not recorded"},
            "custom": {"lost": self._lost},
        }  # fmt: skip
        with contextlib.suppress(OSError):
            self._files.append(_line(event))
            _log.warning("%d decisions were not recorded", self._lost)
            self._lost = 0

    def _event(self, asked: _Asked) -> dict[str, Any]:
        event: dict[str, Any] = {
            "labels": self._labels,
            "decision_id": str(uuid.uuid4()),
            "bundles": {BUNDLE: {"revision": asked.revision}},
            "path": ENTRY,
            "input": orjson.loads(asked.question),
            "timestamp": _stamp(asked.at),
        }
        if asked.answer is not None:
            event["result"] = _unpacked(asked.answer)
        if asked.error is not None:
            event["error"] = {"code": "policy-unavailable", "message": asked.error}
        return event if self._key is None else _mask(event, self._key)


def _mask(event: dict[str, Any], key: bytes) -> dict[str, Any]:
    """`event`, changed in place, without what tells who asked."""
    subject = event["input"]["subject"]
    masked, erased = ["/input/subject/id"], []
    subject["id"] = hmac.new(key, subject["id"].encode("utf-8"), hashlib.sha256).hexdigest()
    if not _WORD.fullmatch(subject["purpose"]):
        subject["purpose"] = ""
        masked.append("/input/subject/purpose")
    if "error" in event:  # the answer may be anything
        if event.pop("result", None) is not None:
            erased.append("/result")
    elif "result" in event:
        event["result"], erased = _unfiltered(event["result"])
    event["masked"] = masked
    if erased:
        event["erased"] = erased
    return event


def _unfiltered(result: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Decisions without row filters, which may name the asker, and the pointers of those left out."""
    kept: dict[str, Any] = {}
    erased = []
    for id, decision in result.items():
        obligations = decision["obligations"]
        if obligations.get("row_filter") is not None:
            rest = {name: value for name, value in obligations.items() if name != "row_filter"}
            decision = {**decision, "obligations": rest}
            erased.append(f"/result/{id}/obligations/row_filter")
        kept[id] = decision
    return kept, erased


def _packed(answer: object) -> bytes | str | None:
    """An answer as it waits: as text, which takes less room than objects and can be counted."""
    if answer is None:
        return None
    try:
        return orjson.dumps(answer)
    except TypeError:  # answers that were refused may hold long integers, lone surrogates or deep nesting
        with contextlib.suppress(RecursionError):
            return json.dumps(answer, separators=(",", ":"))
        return None


def _unpacked(answer: bytes | str) -> Any:
    return orjson.loads(answer) if isinstance(answer, bytes) else json.loads(answer)


def _line(event: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # answers that were refused may hold long integers, lone surrogates or deep nesting
        return json.dumps(event, separators=(",", ":")).encode("ascii") + b"\n"


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _key(path: Path) -> bytes:
    """The key of the pseudonyms, made when absent."""
    if not path.exists():
        new = path.with_name("key.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    text = path.read_bytes()
    if not re.fullmatch(b"[0-9a-f]{64}\n?", text):
        raise ConfigError(
            f"{path} is not the key of a decision log",
            remedy="Restore it, or remove it: the same people then get other pseudonyms than before",
        )
    return bytes.fromhex(text.decode("ascii"))


# -- files ------------------------------------------------------------------------------------------------------------


def _numbers(folder: Path) -> list[int]:
    """The numbers of the files in `folder`, ascending; none without a folder."""
    try:
        names = [_NAME.fullmatch(name) for name in os.listdir(folder)]
    except FileNotFoundError:
        return []
    return sorted({int(name[1]) for name in names if name})


def _plain(folder: Path, number: int) -> Path:
    return folder / f"decisions-{number:06}.jsonl"


def _compressed(folder: Path, number: int) -> Path:
    return folder / f"decisions-{number:06}.jsonl.gz"


class _Files:
    """The numbered files. For one thread. Raises `OSError` where the disk does."""

    def __init__(self, folder: Path, max_bytes: int, max_files: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._file: int | None = None
        self._open()

    def append(self, line: bytes) -> None:
        """Add a line, whole or not at all."""
        if self._file is None or not os.fstat(self._file).st_nlink:  # somebody removed it
            self.close()
            self._open()
        start = os.fstat(self._current()).st_size
        if start and start + len(line) > self._max_bytes:
            self._turn()
            start = 0
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._current(), rest) :]
        except OSError:
            self._cut(start)
            raise

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _current(self) -> int:
        assert self._file is not None
        return self._file

    def _cut(self, size: int) -> None:
        try:
            os.ftruncate(self._current(), size)
        except OSError:
            self.close()  # opening it again ends the torn line

    def _open(self) -> None:
        """Go on with the newest file, or begin the first."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = max(_numbers(self._folder), default=1)
        self._begin(number + 1 if _compressed(self._folder, number).exists() else number)

    def _turn(self) -> None:
        self._begin(_numbers(self._folder)[-1] + 1)

    def _begin(self, number: int) -> None:
        """Write to the file of this number from now on, and put the older ones in order."""
        path = _plain(self._folder, number)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                os.write(file, b"\n")
        except OSError:
            os.close(file)
            raise
        self.close()
        self._file = file
        try:
            self._tidy(number)
        except OSError as error:
            _log.warning("older files of the decision log cannot be put in order: %s", error)

    def _tidy(self, current: int) -> None:
        older = [number for number in _numbers(self._folder) if number != current]
        surplus = max(0, len(older) + 1 - self._max_files)
        for number in older[:surplus]:
            _plain(self._folder, number).unlink(missing_ok=True)
            _compressed(self._folder, number).unlink(missing_ok=True)
        for number in older[surplus:]:
            if _plain(self._folder, number).exists():
                self._compress(number)

    def _compress(self, number: int) -> None:
        new = self._folder / "compressing"
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with (
            os.fdopen(file, "wb") as raw,
            gzip.GzipFile("", "wb", 6, raw) as target,
            _plain(self._folder, number).open("rb") as source,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
            target.close()
            os.fsync(raw.fileno())
        new.rename(_compressed(self._folder, number))
        _plain(self._folder, number).unlink()


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """One question that was asked. In a masked log the subject's id is a pseudonym and its purpose may be empty."""

    at: datetime
    revision: str
    """The policy digest it was decided under."""
    subject: Subject
    input: Mapping[str, Any]
    """As in contract: subject, action, context, and resources by id. `json.dumps` of it can be asked again."""
    result: Mapping[str, Any] | None
    """Per resource id `allow`, `reasons`, `obligations`; None when there was no answer."""
    error: str | None
    """Why the question was refused; then `result`, if any, was not used."""


class RecordedDecisions:
    """The decisions recorded in `folder`, oldest first (newest first by `reversed`), those before `since` left out.
    Reads as it is iterated.

    `unreadable` counts lines and files that could not be read, `lost` the decisions the log says it lacks; both count
    what the last iteration met. A writer may be at work in the folder: what it adds meanwhile may or may not be seen.
    A folder that is absent has no decisions.
    """

    def __init__(self, folder: Path, *, since: datetime | None = None) -> None:
        self._folder = folder
        self._since = since
        self.unreadable = 0
        self.lost = 0

    def __iter__(self) -> Iterator[Recorded]:
        self.unreadable = self.lost = 0
        for number in _numbers(self._folder):
            yield from self._decisions(self._lines(number))

    def __reversed__(self) -> Iterator[Recorded]:
        self.unreadable = self.lost = 0
        for number in reversed(_numbers(self._folder)):
            yield from self._decisions(reversed(list(self._lines(number))))

    def _decisions(self, lines: Iterable[bytes]) -> Iterator[Recorded]:
        for line in lines:
            recorded = self._recorded(line)
            if recorded is not None and (self._since is None or recorded.at >= self._since):
                yield recorded

    def _lines(self, number: int) -> Iterator[bytes]:
        file = _opened(self._folder, number)
        if file is None:  # removed since the folder was listed
            return
        with file:
            yield from self._whole_lines(file)

    def _whole_lines(self, file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
        try:
            while line := file.readline(_MAX_LINE):
                if line.endswith(b"\n"):
                    yield line
                else:  # torn, or without end
                    self.unreadable += 1
                    while line and not line.endswith(b"\n"):
                        line = file.readline(_MAX_LINE)
        except (OSError, EOFError, zlib.error):
            self.unreadable += 1

    def _recorded(self, line: bytes) -> Recorded | None:
        try:
            event = json.loads(line)
            if "input" not in event:
                self.lost += event["custom"]["lost"]
                return None
            return _parsed(event)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self.unreadable += 1
            return None


def _opened(folder: Path, number: int) -> IO[bytes] | gzip.GzipFile | None:
    with contextlib.suppress(FileNotFoundError):
        return _plain(folder, number).open("rb")
    with contextlib.suppress(FileNotFoundError):
        return gzip.open(_compressed(folder, number), "rb")
    return None


def _parsed(event: Mapping[str, Any]) -> Recorded:
    """Raises ValueError, LookupError, TypeError or AttributeError when it is not an event of ours."""
    asked, error = event["input"], event.get("error")
    facts = asked["subject"]
    subject = Subject(
        facts["id"], facts["kind"], tuple(facts["roles"]), tuple(facts["teams"]), tuple(facts["domains"]),
        facts["clearance"], facts["purpose"] or None,
    )  # fmt: skip
    at, result = datetime.fromisoformat(event["timestamp"]), event.get("result")
    revision = event["bundles"][BUNDLE]["revision"]
    texts = (
        subject.id, subject.kind, subject.clearance, subject.purpose or "", revision, asked["action"],
        *subject.roles, *subject.teams, *subject.domains,
    )  # fmt: skip
    objects = (asked["context"], asked["resources"], {} if result is None else result)
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(isinstance(value, dict) for value in objects)
        or at.tzinfo is None
    ):
        raise TypeError
    return Recorded(at, revision, subject, asked, result, None if error is None else error["message"])
