"""Service tokens and the Authorization header."""

from __future__ import annotations

import re
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.api import auth
from fairmesh.api.auth import ROLES, Tokens, Unauthenticated, authenticate
from fairmesh.catalog.errors import ConfigError, InputError, StorageUnavailable
from fairmesh.catalog.model import ANONYMOUS, CLASSIFICATIONS, Subject

SERVICE = Subject("sales-ci", "service", ("producer",), ("sales-core",), ("sales",), "confidential")


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[Tokens]:
    opened = Tokens.open(tmp_path / "not" / "yet")
    yield opened
    opened.close()


def test_a_token_stands_for_its_subject(tokens: Tokens) -> None:
    assert not tokens.any()
    token = tokens.create(SERVICE)
    assert re.fullmatch("fm_[A-Za-z0-9]{32}", token)
    assert tokens.any()
    assert tokens.lookup(token) == SERVICE
    assert authenticate(f"Bearer {token}", tokens) == SERVICE
    assert authenticate(f"bearer  {token}", tokens) == SERVICE


def test_claims_come_back_sorted_and_once(tokens: Tokens) -> None:
    token = tokens.create(replace(SERVICE, roles=("steward", "analyst", "steward"), domains=("b", "a")))
    subject = tokens.lookup(token)
    assert subject is not None
    assert (subject.roles, subject.domains) == (("analyst", "steward"), ("a", "b"))


def test_the_token_itself_is_nowhere_on_disk(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.create(SERVICE)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert all(token.encode() not in path.read_bytes() for path in files)
    assert all(token[3:].encode() not in path.read_bytes() for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_tokens_differ(tokens: Tokens) -> None:
    assert len({tokens.create(SERVICE) for _ in range(20)}) == 20


def test_no_header_is_the_anonymous_subject(tokens: Tokens) -> None:
    assert authenticate(None, tokens) is ANONYMOUS


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "fm_" + "a" * 32, "Bearer a b", "Bearer fm_x",
               "Bearer\tfm_x", "Bearer fm_" + "a" * 32,
               "Bearer fm_" + "a" * 32 + "\n", "Bearer \0", "Bearer fm_" + "\ud800" * 32],
)  # fmt: skip
def test_what_proves_nothing_is_refused(header: str, tokens: Tokens) -> None:
    tokens.create(SERVICE)
    with pytest.raises(Unauthenticated) as caught:
        authenticate(header, tokens)
    assert caught.value.code == "unauthenticated"
    assert caught.value.remedy
    assert "aaaa" not in str(caught.value)


def test_a_token_of_another_case_is_another_token(tokens: Tokens) -> None:
    token = tokens.create(SERVICE)
    assert tokens.lookup("fm_" + token[3:].swapcase()) is None
    assert tokens.lookup(token + "a") is None


def test_another_process_makes_tokens_for_a_running_one(tokens: Tokens, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fairmesh.api.auth import Tokens; "
        "from fairmesh.catalog.model import Subject; "
        "print(Tokens.open(Path(sys.argv[1])).create(Subject('other', 'service', ('auditor',))))"
    )
    folder = str(tmp_path / "not" / "yet")
    made = subprocess.run([sys.executable, "-c", code, folder], check=True, capture_output=True, text=True)
    assert tokens.lookup(made.stdout.strip()) == Subject("other", "service", ("auditor",))


def test_a_revoked_token_stops_at_once_everywhere(tokens: Tokens, tmp_path: Path) -> None:
    first, second, kept = tokens.create(SERVICE), tokens.create(SERVICE), tokens.create(replace(SERVICE, id="kept"))
    assert tokens.lookup(first) is not None
    beside = Tokens.open(tmp_path / "not" / "yet")
    assert beside.revoke(SERVICE.id) == 2
    assert beside.revoke(SERVICE.id) == 0
    beside.close()
    assert (tokens.lookup(first), tokens.lookup(second)) == (None, None)
    assert tokens.lookup(kept) is not None


def test_tokens_outlive_the_process(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.create(SERVICE)
    again = Tokens.open(tmp_path / "not" / "yet")
    assert again.lookup(token) == SERVICE
    again.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "user"}, {"kind": "anonymous"}, {"purpose": "analytics"}, {"clearance": "secret"},
        {"roles": ("admin",)},
        {"roles": ("analyst", "Steward")}, {"domains": ("http://x/domain/sales",)}, {"domains": ("",)},
        {"teams": ("a b",)},
        {"teams": ("a\n",)}, {"domains": ("sales.orders",)}, {"id": ""}, {"id": " x"}, {"id": "a\0"},
        {"id": "anonymous"},
        {"id": "e\u0301"}, {"id": "x" * 201}, {"id": "\ud800"}, {"domains": ("e\u0301",)},
    ],
)  # fmt: skip
def test_subjects_policy_could_not_know_get_no_token(wrong: dict[str, object], tokens: Tokens) -> None:
    with pytest.raises(InputError) as caught:
        tokens.create(replace(SERVICE, **wrong))  # type: ignore[arg-type]
    assert caught.value.remedy
    assert not tokens.any()


def test_revoking_what_cannot_be_a_subject_is_refused(tokens: Tokens) -> None:
    with pytest.raises(InputError):
        tokens.revoke("\udcff")


KEYS = st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True), unique=True).map(sorted).map(tuple)
SUBJECTS = st.builds(
    Subject,
    id=st.from_regex(r"[A-Za-z0-9:@.]{1,50}", fullmatch=True).filter(lambda name: name != "anonymous"),
    kind=st.just("service"),
    roles=st.sets(st.sampled_from(ROLES)).map(sorted).map(tuple),
    teams=KEYS,
    domains=KEYS,
    clearance=st.sampled_from(CLASSIFICATIONS),
)


@pytest.fixture(scope="module")
def shared_tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    opened = Tokens.open(tmp_path_factory.mktemp("tokens"))
    yield opened
    opened.close()


@given(SUBJECTS)
def test_any_good_subject_comes_back_as_it_was(shared_tokens: Tokens, subject: Subject) -> None:
    assert shared_tokens.lookup(shared_tokens.create(subject)) == subject


@given(st.text())
def test_no_text_but_a_token_finds_a_subject(shared_tokens: Tokens, text: str) -> None:
    assert shared_tokens.lookup(text) is None


def test_many_threads_look_up_at_once(tokens: Tokens) -> None:
    subjects = [replace(SERVICE, id=f"svc-{number}") for number in range(8)]
    made = [tokens.create(subject) for subject in subjects]
    wrong: list[object] = []

    def look(number: int) -> None:
        for _ in range(200):
            found = tokens.lookup(made[number])
            if found != subjects[number]:
                wrong.append(found)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_locked_file_refuses_writes_and_answers_lookups(
    tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.create(SERVICE)
    monkeypatch.setattr(auth, "_LOCK_SECONDS", 0.0)
    other = sqlite3.connect(tmp_path / "not" / "yet" / "tokens.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable) as caught:
        tokens.create(SERVICE)
    assert caught.value.remedy
    assert tokens.lookup(token) == SERVICE
    other.execute("ROLLBACK")
    other.close()
    assert tokens.lookup(tokens.create(SERVICE)) == SERVICE


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        Tokens.open(tmp_path / "file")
    (tmp_path / "tokens.sqlite").write_text("this is not a database, not even a small one " * 100)
    with pytest.raises(ConfigError, match="not a usable token file"):
        Tokens.open(tmp_path)
