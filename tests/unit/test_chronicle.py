"""How products stood: what is read of the journal, and in what order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from meshes import BASE, NOW, History, MemoryGraph, register_entry
from samples import product

from fairmesh.catalog.chronicle import Chronicle
from fairmesh.catalog.document import read
from fairmesh.catalog.model import Draft, Entry, EntryKind
from fairmesh.catalog.storage import Storage

HOUR = timedelta(hours=1)


class Told:
    """A storage over a journal in memory, written by hand."""

    def __init__(self) -> None:
        self.history = History()
        self.storage = Storage(self.history, MemoryGraph(), BASE, ())  # type: ignore[arg-type]
        self.chronicle = Chronicle(self.storage)

    def register(self, key: str, at: datetime) -> None:
        document = read(product(key), "text/turtle", BASE)
        seq = len(self.history.all) + 1
        entry = register_entry(seq, document.nquads, BASE + key, key, 1, at)
        self._keep(Entry(seq, _at(entry.draft, at), "", ""))

    def retire(self, key: str, at: datetime) -> None:
        draft = Draft(EntryKind.RETIRE, BASE + key, key, 2, b"", "", b"", "x", at, "", "", {"successor": None})
        self._keep(Entry(len(self.history.all) + 1, draft, "", ""))

    def _keep(self, entry: Entry) -> None:
        self.history.all.append(entry)
        self.storage.place(entry)
        self.storage.applied = entry.seq

    def at(self, moment: datetime) -> list[str]:
        """Keys of the products there were, retired ones with a minus."""
        chronicle, slots = self.chronicle, self.storage.registry.slots
        rows = chronicle.at(moment).tolist()
        return [f"{'-' * (chronicle.standings[row] is None)}{slots[chronicle.slots[row]].key}" for row in rows]


def _at(draft: Draft, at: datetime) -> Draft:
    return Draft(
        draft.kind, draft.product, draft.key, draft.revision, draft.document, draft.media_type, draft.submitted,
        draft.actor, at, draft.ruleset, draft.policy, draft.detail,
    )  # fmt: skip


def test_it_is_read_on_from_where_it_had_come_to() -> None:
    told = Told()
    assert told.at(NOW) == []
    told.register("sales.a", NOW)
    assert (told.at(NOW - HOUR), told.at(NOW), told.at(NOW + HOUR)) == ([], ["sales.a"], ["sales.a"])
    told.register("sales.b", NOW + HOUR)
    told.retire("sales.a", NOW + 2 * HOUR)
    assert told.at(NOW + HOUR) == ["sales.a", "sales.b"]
    assert told.at(NOW + 2 * HOUR) == ["-sales.a", "sales.b"]
    assert [told.chronicle.of(slot, NOW + HOUR) is None for slot in (0, 1)] == [False, False]
    assert [told.chronicle.of(slot, NOW + 2 * HOUR) is None for slot in (0, 1)] == [True, False]


def test_what_is_not_shown_yet_is_read_later() -> None:
    told = Told()
    told.register("sales.a", NOW)
    told.register("sales.b", NOW)
    told.storage.applied = 1
    assert told.at(NOW) == ["sales.a"]
    told.storage.applied = 2
    assert told.at(NOW) == ["sales.a", "sales.b"]


@pytest.mark.parametrize("hours", [(0, 10, 1, 2, 3), (5, 4, 3, 2, 1), (1, 1, 1, 1, 1)])
def test_times_that_go_back_count_as_the_latest_before_them(hours: tuple[int, ...]) -> None:
    told = Told()
    for number, hour in enumerate(hours):
        told.register(f"sales.{'abcde'[number]}", NOW + hour * HOUR)
    for asked in range(12):
        latest = [max(hours[: place + 1]) for place in range(len(hours))]
        expected = [f"sales.{'abcde'[place]}" for place, hour in enumerate(latest) if hour <= asked]
        assert told.at(NOW + asked * HOUR) == expected


def test_equal_standings_are_held_once() -> None:
    told = Told()
    for number in range(3):
        told.register(f"sales.{'abc'[number]}", NOW)
    assert len(told.at(NOW)) == 3
    assert len({id(standing) for standing in told.chronicle.standings}) == 1
