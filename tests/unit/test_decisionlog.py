"""The decision log: OPA's event shape, people masked, files that turn and heal, losses counted, nothing waited for."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opa import NOW

from fairmesh.catalog.access import Access, PolicySet
from fairmesh.catalog.decisionlog import DecisionLog, RecordedDecisions
from fairmesh.catalog.errors import ConfigError, PolicyUnavailable
from fairmesh.catalog.model import AccessKey, Action, Subject

ANA = Subject("ana@example.org", "user", ("analyst",), ("crew",), ("sales",), "internal", "analytics")
KEY = AccessKey("sales", "internal", "build", ("pii",))
POLICY = PolicySet({"a.rego": b"package fairmesh.access\n"}, "digest-of-a")
FACTS = {
    "type": "product", "domain": "sales", "classification": "internal", "tags": ["pii"], "status": "build",
    "is_owner": False, "is_member": False,
}  # fmt: skip


def question(id: str = ANA.id, purpose: str = "analytics", **facts: Any) -> str:
    subject = {
        "id": id, "kind": "user", "roles": ["analyst"], "teams": ["crew"], "domains": ["sales"],
        "clearance": "internal", "purpose": purpose,
    }  # fmt: skip
    context = {"now_ns": 60_000_000_000, "channel": "http"}
    return json.dumps({
        "v": 1, "subject": subject, "action": "discover", "context": context, "resources": {"k0": FACTS | facts}
    })  # fmt: skip


def answer(allow: bool = True, **obligations: Any) -> dict[str, Any]:
    return {"k0": {"allow": allow, "reasons": ["clearance-covers"], "obligations": obligations}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "decisions"


def events(folder: Path) -> list[dict[str, Any]]:
    """Every event, oldest first, read without the reader."""
    found = []
    for path in sorted(folder.glob("decisions-*")):
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert body.endswith(b"\n") or not body
        found += [json.loads(line) for line in body.splitlines()]
    return found


def record_one(folder: Path, text: str, given: object, *, masked: bool = True, error: str | None = None) -> Any:
    with closing(DecisionLog(folder, masked=masked)) as log:
        log.record(text, given, revision="r1", at=NOW, error=error)
    return events(folder)[-1]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("decisions-"))


# -- events -----------------------------------------------------------------------------------------------------------


def test_an_event_has_the_shape_of_opa(folder: Path) -> None:
    event = record_one(folder, question(), answer(), masked=False)
    labels = event.pop("labels")
    assert labels.keys() == {"app", "id", "version"}
    assert len(event.pop("decision_id")) == 36
    assert event == {
        "bundles": {"access": {"revision": "r1"}},
        "path": "fairmesh/access/decisions",
        "input": json.loads(question()),
        "result": answer(),
        "timestamp": "2026-03-14T15:09:26.000000Z",
    }


def test_a_question_without_an_answer_has_an_error_and_no_result(folder: Path) -> None:
    event = record_one(folder, question(), None, error="the OPA server answered 500")
    assert event["error"] == {"code": "policy-unavailable", "message": "the OPA server answered 500"}
    assert "result" not in event


def test_people_are_masked(folder: Path) -> None:
    event = record_one(folder, question(), answer())
    key = bytes.fromhex((folder / "key").read_text())
    pseudonym = hmac.new(key, ANA.id.encode(), hashlib.sha256).hexdigest()
    assert event["input"]["subject"] == json.loads(question())["subject"] | {"id": pseudonym}
    assert event["masked"] == ["/input/subject/id"]
    assert "erased" not in event
    assert event["result"] == answer()


def test_a_pseudonym_is_the_same_after_a_restart_and_another_elsewhere(folder: Path, tmp_path: Path) -> None:
    first, again, other = (record_one(folder, question(id), answer()) for id in ("ana", "ana", "bob"))
    elsewhere = record_one(tmp_path / "other", question("ana"), answer())
    ids = [event["input"]["subject"]["id"] for event in (first, again, other, elsewhere)]
    assert (ids[0] == ids[1], len(set(ids))) == (True, 3)


@pytest.mark.parametrize(("purpose", "kept"), [("fraud-check.v2", True), ("", True), ("Ana's divorce", False)])
def test_a_purpose_in_words_of_ones_own_is_emptied(folder: Path, purpose: str, kept: bool) -> None:
    event = record_one(folder, question(purpose=purpose), answer())
    assert event["input"]["subject"]["purpose"] == (purpose if kept else "")
    assert ("/input/subject/purpose" in event["masked"]) is not kept


def test_row_filters_are_left_out_and_the_answer_itself_is_not_touched(folder: Path) -> None:
    given = answer(row_filter="owner = 'ana@example.org'", mask_columns=["restricted"])
    event = record_one(folder, question(), given)
    assert event["result"] == answer(mask_columns=["restricted"])
    assert event["erased"] == ["/result/k0/obligations/row_filter"]
    assert given["k0"]["obligations"]["row_filter"] == "owner = 'ana@example.org'"
    assert record_one(folder / "full", question(), given, masked=False)["result"] == given


def test_an_answer_that_was_refused_is_kept_in_full_only(folder: Path) -> None:
    odd = {"ana@example.org": 2**70, "x": "\ud800"}
    event = record_one(folder, question(), odd, error="not a decision per resource")
    assert (event["erased"], "result" in event) == (["/result"], False)
    full = record_one(folder / "full", question(), odd, masked=False, error="not a decision per resource")
    assert full["result"] == odd


IDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=8, max_size=40)


@given(id=IDS, purpose=IDS)
def test_no_masked_line_holds_who_asked(tmp_path_factory: pytest.TempPathFactory, id: str, purpose: str) -> None:
    folder = tmp_path_factory.mktemp("log")
    record_one(folder, question(id, purpose), answer(row_filter=f"owner = '{id}'"))
    [event] = events(folder)
    held = json.dumps(event["input"]["subject"]["id"]) + json.dumps(event["result"], ensure_ascii=False)
    assert id not in held
    [recorded] = RecordedDecisions(folder)
    assert recorded.subject.purpose in (purpose if purpose.isascii() else None, None)


def test_a_question_that_cannot_be_masked_is_not_written(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    record_one(folder, '{"subject": "ana"}', answer())
    assert [event.get("custom") for event in events(folder)] == [{"lost": 1}]
    assert "1 decisions were not recorded" in caplog.text
    assert "ana" not in (folder / files(folder)[0]).read_text()


# -- files ------------------------------------------------------------------------------------------------------------


def test_only_the_service_may_read_the_files(folder: Path) -> None:
    old = os.umask(0)
    try:
        with closing(DecisionLog(folder, masked=True, max_bytes=1000)) as log:
            for _ in range(5):
                log.record(question(), answer(), revision="r", at=NOW)
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 6
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_full_files_are_compressed_and_the_oldest_removed(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True, max_bytes=3000, max_files=3)) as log:
        for number in range(40):
            log.record(question(f"s{number}"), answer(), revision=str(number), at=NOW)
    names = files(folder)
    assert [name.endswith(".gz") for name in names] == [True, True, False]
    numbers = [int(name[10:16]) for name in names]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert (folder / names[-1]).stat().st_size <= 3000
    kept = [recorded.revision for recorded in RecordedDecisions(folder)]
    assert kept == [str(number) for number in range(40)][-len(kept) :]
    assert len(kept) > 6


def test_one_file_can_be_all(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True, max_bytes=2000, max_files=1)) as log:
        for number in range(10):
            log.record(question(), answer(), revision=str(number), at=NOW)
    assert len(files(folder)) == 1
    assert [recorded.revision for recorded in RecordedDecisions(folder)][-1] == "9"


def test_a_start_goes_on_with_the_newest_file(folder: Path) -> None:
    for number in range(3):
        record_one(folder, question(str(number)), answer())
    assert files(folder) == ["decisions-000001.jsonl"]
    assert len(list(RecordedDecisions(folder))) == 3


def test_a_start_after_a_crash_puts_the_folder_in_order(folder: Path) -> None:
    """Torn last line, a full file not yet compressed, a compression cut short."""
    record_one(folder, question(), answer())
    torn = folder / "decisions-000001.jsonl"
    torn.rename(folder / "decisions-000002.jsonl")
    (folder / "decisions-000001.jsonl").write_bytes((folder / "decisions-000002.jsonl").read_bytes())
    (folder / "compressing").write_bytes(b"half")
    with (folder / "decisions-000002.jsonl").open("ab") as file:
        file.write(b'{"labels":{"app":"fair')
    DecisionLog(folder, masked=True).close()
    assert files(folder) == ["decisions-000001.jsonl.gz", "decisions-000002.jsonl"]
    reading = RecordedDecisions(folder)
    assert (len(list(reading)), reading.unreadable) == (2, 1)


@pytest.mark.parametrize("content", [b"", b"abc", b"g" * 64])
def test_a_key_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "key").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        DecisionLog(folder, masked=True)
    assert "key" in caught.value.message
    assert "pseudonyms" in caught.value.remedy


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "decisions").write_text("a file")
    with pytest.raises(ConfigError) as caught:
        DecisionLog(tmp_path / "decisions", masked=True)
    assert "decision_log" in caught.value.remedy


def test_files_that_are_removed_are_made_again(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True)) as log:
        log.record(question(), answer(), revision="gone", at=NOW)
        assert log.flush()
        (folder / "decisions-000001.jsonl").unlink()
        log.record(question(), answer(), revision="kept", at=NOW)
    assert [recorded.revision for recorded in RecordedDecisions(folder)] == ["kept"]


# -- losses -----------------------------------------------------------------------------------------------------------


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """A disk on which no file grows beyond `limit` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_refuses_costs_events_and_leaves_whole_lines(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(DecisionLog(folder, masked=True)) as log:
        with small_files(2000):
            for number in range(20):
                log.record(question(), answer(), revision=str(number), at=NOW)
            assert log.flush()
            held = len(list(RecordedDecisions(folder)))
            assert 0 < held < 5
        log.record(question(), answer(), revision="after", at=NOW)
    reading = RecordedDecisions(folder)
    revisions = [recorded.revision for recorded in reading]
    assert revisions == [str(number) for number in range(held)] + ["after"]
    assert (reading.lost, reading.unreadable) == (20 - held, 0)
    assert "decisions are not recorded at the moment: File too large" in caplog.text


def test_a_full_queue_costs_events_and_they_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(DecisionLog(folder, masked=True, max_waiting=10)) as log:
        for _ in range(7):
            log.record(question(), answer(), revision="r", at=NOW)
        assert log.flush()
        assert sum(event["custom"]["lost"] for event in events(folder)) == 7
    reading = RecordedDecisions(folder)
    assert (list(reading), reading.lost) == ([], 7)
    assert "faster than they can be written" in caplog.text


def test_what_waits_is_counted_with_its_answer(folder: Path) -> None:
    long = {f"k{number}": answer()["k0"] | {"reasons": ["clearance-covers"] * 20} for number in range(80)}
    with closing(DecisionLog(folder, masked=True, max_waiting=10_000)) as log:
        log.record(question(), long, revision="long", at=NOW)
        log.record(question(), answer(), revision="short", at=NOW)
        assert log.flush()
    reading = RecordedDecisions(folder)
    assert ([recorded.revision for recorded in reading], reading.lost) == (["short"], 1)


def test_an_answer_too_deep_to_be_written_is_left_out(folder: Path) -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    event = record_one(folder, question(), deep, masked=False, error="not a decision per resource")
    assert ("result" in event, event["error"]["message"]) == (False, "not a decision per resource")


def test_the_newest_may_be_read_first(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True, max_bytes=3_000)) as log:
        for number in range(12):
            log.record(question(), answer(), revision=str(number), at=NOW)
    assert len(files(folder)) > 2
    reading = RecordedDecisions(folder)
    assert [recorded.revision for recorded in reversed(reading)] == [r.revision for r in reading][::-1]


def test_recording_never_waits_for_the_disk(folder: Path) -> None:
    """The file being written is a pipe nobody reads: the writer hangs, `record` and `close` do not."""
    folder.mkdir()
    large = question(tags=["x" * 200_000])
    with closing(DecisionLog(folder, masked=True, max_waiting=1_000_000)) as log:
        path = folder / "decisions-000001.jsonl"
        path.unlink()
        os.mkfifo(path)
        for _ in range(20):
            log.record(large, answer(), revision="r", at=NOW)
        assert not log.flush(timeout=0.05)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        drained = threading.Event()
        draining = threading.Thread(target=_drain, args=(reader, drained))
        draining.start()
        assert log.flush(timeout=20)
        drained.set()
        draining.join()


def _drain(pipe: int, enough: threading.Event) -> None:
    while not enough.wait(0.001):
        try:
            os.read(pipe, 1 << 16)
        except BlockingIOError:
            continue
    os.close(pipe)


def test_nothing_is_recorded_after_close(folder: Path) -> None:
    log = DecisionLog(folder, masked=True)
    log.close()
    log.record(question(), answer(), revision="r", at=NOW)
    log.close()
    assert events(folder) == []


def test_threads_lose_nothing(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True, max_bytes=100_000)) as log:

        def ask(name: str) -> None:
            for number in range(100):
                log.record(question(), answer(), revision=f"{name}{number}", at=NOW)

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    reading = RecordedDecisions(folder)
    found = [recorded.revision for recorded in reading]
    for name in "abcd":
        assert [revision for revision in found if revision[0] == name] == [f"{name}{number}" for number in range(100)]
    assert (len(found), reading.unreadable) == (400, 0)
    assert len(files(folder)) > 1


_KILLED = """
import sys, os, signal
from datetime import datetime, UTC
from pathlib import Path
from fairmesh.catalog.decisionlog import DecisionLog
log = DecisionLog(Path(sys.argv[1]), masked=True, max_bytes=30_000, max_files=10**6)
text, answer = sys.argv[2], {"k0": {"allow": True, "reasons": [], "obligations": {}}}
for number in range(300):
    log.record(text, answer, revision=str(number), at=datetime.now(UTC))
assert log.flush()
print("flushed", flush=True)
while True:
    log.record(text, answer, revision="more", at=datetime.now(UTC))
"""


def test_kill_9_loses_the_tail_at_most(folder: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _KILLED, str(folder), question()], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "flushed\n"
        child.kill()
    killed = RecordedDecisions(folder)
    seen = [recorded.revision for recorded in killed]
    assert seen[:300] == [str(number) for number in range(300)]
    assert killed.unreadable <= 1
    with closing(DecisionLog(folder, masked=True, max_files=10**6)) as log:
        log.record(question(), answer(), revision="after", at=NOW)
    reopened = RecordedDecisions(folder)
    assert [recorded.revision for recorded in reopened] == [*seen, "after"]
    assert reopened.unreadable == killed.unreadable


# -- reading ----------------------------------------------------------------------------------------------------------


def test_what_was_asked_can_be_asked_again(folder: Path) -> None:
    record_one(folder, question(), answer(), masked=False)
    [recorded] = RecordedDecisions(folder)
    assert recorded.subject == ANA
    assert (recorded.at, recorded.revision, recorded.error) == (NOW, "r1", None)
    assert recorded.input == json.loads(question())
    assert recorded.result == answer()


def test_since_leaves_out_what_was_before(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True)) as log:
        for minutes in range(5):
            log.record(question(), answer(), revision=str(minutes), at=NOW + timedelta(minutes=minutes))
    found = RecordedDecisions(folder, since=NOW + timedelta(minutes=3))
    assert [recorded.revision for recorded in found] == ["3", "4"]


def test_no_folder_no_decisions(folder: Path) -> None:
    assert list(RecordedDecisions(folder)) == []


@pytest.mark.parametrize(
    "line",
    [
        b"\n", b"nonsense\n", b"[]\n", b"{}\n", b'{"input":{}}\n', b"\xff\xfe\n", b"[" * 5000 + b"\n", b'{"torn',
        b'{"input":null,"custom":{"lost":"x"}}\n', b'{"custom":{"lost":"many"}}\n',
    ],
)  # fmt: skip
def test_lines_that_are_no_events_are_counted_and_passed_over(folder: Path, line: bytes) -> None:
    record_one(folder, question(), answer())
    path = folder / "decisions-000001.jsonl"
    path.write_bytes(path.read_bytes() + line)
    reading = RecordedDecisions(folder)
    assert (len(list(reading)), reading.unreadable, reading.lost) == (1, 1, 0)


@given(place=st.lists(st.sampled_from(["timestamp", "bundles", "input", "result"]), max_size=2), other=st.sampled_from(
    [None, 1, "x", [], {}, {"subject": {}}]
))  # fmt: skip
def test_events_of_another_shape_are_counted(
    tmp_path_factory: pytest.TempPathFactory, place: list[str], other: object
) -> None:
    folder = tmp_path_factory.mktemp("log")
    event = record_one(folder, question(), answer())
    changed = event | dict.fromkeys(place, other)
    (folder / "decisions-000001.jsonl").write_text(json.dumps(changed) + "\n")
    reading = RecordedDecisions(folder)
    fits = not place or (set(place) == {"result"} and isinstance(other, dict | None))
    assert (len(list(reading)), reading.unreadable) == ((1, 0) if fits else (0, 1))


def test_a_damaged_archive_is_counted_and_the_rest_read(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True, max_bytes=3000)) as log:
        for number in range(20):
            log.record(question(), answer(), revision=str(number), at=NOW)
    first, second, *_ = files(folder)
    (folder / first).write_bytes(b"no archive")
    (folder / second).write_bytes((folder / second).read_bytes()[:-20])
    reading = RecordedDecisions(folder)
    assert list(reading)[-1].revision == "19"
    assert reading.unreadable == 2


def test_files_that_vanish_while_reading_are_passed_over(folder: Path) -> None:
    with closing(DecisionLog(folder, masked=True, max_bytes=1500)) as log:
        for number in range(8):
            log.record(question(), answer(), revision=str(number), at=NOW)
    reading = iter(RecordedDecisions(folder))
    assert next(reading).revision == "0"
    for name in files(folder)[:-1]:
        (folder / name).unlink()
    assert [recorded.revision for recorded in reading][-1] == "7"


# -- what Access records ----------------------------------------------------------------------------------------------


class Fixed:
    """An engine that allows everything, until it is told to do otherwise."""

    def __init__(self) -> None:
        self.answer: object = None
        self.refusal: PolicyUnavailable | None = None

    def evaluate(self, inputs: Sequence[str]) -> list[object]:
        if self.refusal is not None:
            raise self.refusal
        allow = {"allow": True, "reasons": ["role-steward"], "obligations": {}}
        return [self.answer or dict.fromkeys(json.loads(text)["resources"], allow) for text in inputs]

    def close(self) -> None:
        pass


@pytest.fixture
def engine() -> Fixed:
    return Fixed()


@pytest.fixture
def log(folder: Path) -> Iterator[DecisionLog]:
    with closing(DecisionLog(folder, masked=True)) as opened:
        yield opened


@pytest.fixture
def access(engine: Fixed, log: DecisionLog) -> Access:
    return Access(engine, POLICY, log)


def recorded(log: DecisionLog, folder: Path) -> list[dict[str, Any]]:
    assert log.flush()
    return events(folder)


def test_each_evaluated_chunk_is_one_event(access: Access, log: DecisionLog, folder: Path) -> None:
    keys = [AccessKey(f"d{number}", "internal", "build") for number in range(100)]
    access.scope(ANA, keys, channel="graphql", now=NOW)
    found = recorded(log, folder)
    assert [len(event["input"]["resources"]) for event in found] == [80, 20]
    assert {event["bundles"]["access"]["revision"] for event in found} == {POLICY.digest}
    assert all(event["input"]["resources"].keys() == event["result"].keys() for event in found)
    assert found[0]["timestamp"].startswith("2026-03-14T15:09:26")
    access.scope(ANA, keys, channel="graphql", now=NOW)
    assert len(recorded(log, folder)) == 2, "from the cache nothing is asked"


def test_probes_are_not_recorded(access: Access, log: DecisionLog, folder: Path) -> None:
    access.probe(NOW)
    assert recorded(log, folder) == []


def test_refusals_are_recorded_with_their_cause(access: Access, engine: Fixed, log: DecisionLog, folder: Path) -> None:
    engine.refusal = PolicyUnavailable("access policy cannot be evaluated at the moment")
    engine.refusal.add_note("the OPA server answered 500")
    with pytest.raises(PolicyUnavailable):
        access.decide(ANA, Action.REGISTER, KEY, channel="http", now=NOW)
    engine.refusal, engine.answer = None, {"k0": {"allow": "true"}}
    with pytest.raises(PolicyUnavailable) as caught:
        access.decide(ANA, Action.REGISTER, KEY, channel="http", now=NOW)
    down, malformed = recorded(log, folder)
    assert down["error"]["message"] == "the OPA server answered 500"
    assert malformed["error"]["message"] == "a decision has not the agreed fields"
    assert "agreed" not in str(caught.value), "the cause is for the operator"
    assert down["input"]["action"] == malformed["input"]["action"] == "register"


def test_a_log_that_is_closed_refuses_nobody(access: Access, log: DecisionLog, folder: Path) -> None:
    log.close()
    assert access.decide(ANA, Action.DISCOVER, KEY, channel="http", now=NOW).allowed
    assert events(folder) == []
