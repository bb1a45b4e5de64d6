"""How every product stood at any moment, as the journal tells it: what `overview` counts for the past."""

from __future__ import annotations

import heapq
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from fairmesh.catalog.model import Entry, EntryKind
from fairmesh.catalog.standing import Columns, Standing
from fairmesh.catalog.storage import Storage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Event = tuple[datetime, str, int, Standing | None]
"""When a product came to stand so, its home, its revision, how it stood; None: retired."""


class Chronicle:
    """Every event that changed how a product stood, one row each, in the order of time.

    `slots`, `revisions`, `columns` and `standings` (None: retired) run side by side. Read from the journal by whoever
    asks first, and from then on where it had come to. Safe to use from any thread that reads the projections.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._upto = 0
        self._times = np.empty(0, np.int64)
        self.slots = np.empty(0, np.int64)
        self.revisions = np.empty(0, np.int64)
        self.columns = Columns(0)
        self.standings: list[Standing | None] = []
        self._same: dict[Standing, Standing] = {}
        """Most products stand as many others do: equal standings are held once."""

    def at(self, moment: datetime) -> NDArray[np.int64]:
        """The rows that held at a moment, one for each product there was, by slot."""
        with self._lock:
            self._read_on()
            count = np.searchsorted(self._times, _micros(moment), "right")
            last = np.full(len(self._storage.registry.slots), -1, np.int64)
            last[self.slots[:count]] = np.arange(count)  # of the rows with one slot, the last one stays
        return last[last >= 0]

    def of(self, slot: int, moment: datetime) -> Standing | None:
        """How one product stood at a moment; None when it was not there."""
        with self._lock:
            self._read_on()
            count = np.searchsorted(self._times, _micros(moment), "right")
            rows = np.flatnonzero(self.slots[:count] == slot)
            return self.standings[rows[-1]] if len(rows) else None

    def _read_on(self) -> None:
        by_home = self._storage.registry.by_home
        events = list(self._fresh())
        if events:
            columns = Columns(len(events))
            for row, (_, _, _, standing) in enumerate(events):
                if standing is not None:
                    columns.put(row, standing)
            times = np.append(self._times, [_micros(at) for at, _, _, _ in events])
            self._times = np.maximum.accumulate(times)  # early journals have times that go back
            self.slots = np.append(self.slots, [by_home[home].slot for _, home, _, _ in events])
            self.revisions = np.append(self.revisions, [revision for _, _, revision, _ in events])
            self.columns = self.columns.joined(columns)
            for _, _, _, standing in events:
                self.standings.append(None if standing is None else self._same.setdefault(standing, standing))

    def _fresh(self) -> Iterator[_Event]:
        """What happened since, as far as the projections show it."""
        journal, upto, after = self._storage.journal, self._storage.applied, self._upto
        changes = journal.headlines([EntryKind.REGISTER, EntryKind.RETIRE], after=after)
        verdicts = journal.entries(after, [EntryKind.CONFORMANCE])
        for entry in heapq.merge(changes, verdicts, key=lambda entry: entry.seq):
            if entry.seq > upto:
                break
            yield from _events(entry)
        self._upto = upto


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _events(entry: Entry) -> Iterator[_Event]:
    draft = entry.draft
    if draft.kind is EntryKind.CONFORMANCE:
        for home, kept in json.loads(draft.document).items():
            yield draft.at, home, kept["revision"], Standing.read(kept["standing"])
    elif draft.kind is EntryKind.RETIRE:
        yield draft.at, draft.product, draft.revision, None
    else:  # what was registered before standings were kept had passed every gate
        kept = draft.detail.get("standing", {"edition": draft.ruleset})
        yield draft.at, draft.product, draft.revision, Standing.read(kept)
