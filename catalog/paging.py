"""Relay pages over sorted lists, with cursors that name a place by what stands there, not by a count."""

from __future__ import annotations

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Page, PageRequest

T = TypeVar("T")
Key = tuple[str | float, ...]

MAX_PAGE = 200
"""The most one page may hold."""


def page_size(page: PageRequest) -> int:
    """How many items are asked for. Raises `InputError` for sizes below 0, above `MAX_PAGE`, or two at once."""
    if page.first is not None and page.last is not None:
        raise InputError("first and last cannot go together", remedy="Ask for one of them")
    size = page.first if page.first is not None else page.last
    if size is None:
        raise InputError("the page has no size", remedy="Give first or last")
    if not 0 <= size <= MAX_PAGE:
        raise InputError(f"a page of {size} items", remedy=f"Ask for 0 to {MAX_PAGE}")
    return size


class Cursors:
    """Writes and reads cursors. They never contain the mesh's base IRI."""

    def __init__(self, iri_base: str) -> None:
        self._base = iri_base

    def write(self, key: Key) -> str:
        # the first letter says whether the base was cut off
        short = [self._shorten(k) if isinstance(k, str) else k for k in key]
        return base64.urlsafe_b64encode(json.dumps(short, ensure_ascii=False).encode()).rstrip(b"=").decode()

    def read(self, cursor: str) -> Key:
        """Raises `InputError` for anything `write` did not write."""
        try:
            parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if not isinstance(parts, list) or not all(isinstance(p, str | float | int) for p in parts):
                raise ValueError
        except (ValueError, UnicodeError, RecursionError):
            raise InputError(f"{cursor[:40]!r} is not a cursor", remedy="Use one from pageInfo or an edge") from None
        return tuple(self._lengthen(p) if isinstance(p, str) else p for p in parts)

    def _shorten(self, text: str) -> str:
        return "b" + text[len(self._base) :] if text.startswith(self._base) else "t" + text

    def _lengthen(self, text: str) -> str:
        return self._base + text[1:] if text.startswith("b") else text[1:]

    def page(self, items: Sequence[T], key: Callable[[T], Key], page: PageRequest) -> Page[T]:
        """A page of `items`, which are sorted by `key` and have distinct keys."""
        size = page_size(page)
        start, end = 0, len(items)
        try:
            if page.after is not None:
                start = bisect_right(items, self.read(page.after), key=key)
            if page.before is not None:
                end = bisect_left(items, self.read(page.before), key=key)
        except TypeError:
            raise InputError("the cursor belongs to another list", remedy="Use one from pageInfo or an edge") from None
        end = max(start, end)
        low, high = (start, min(end, start + size)) if page.last is None else (max(start, end - size), end)
        chosen = tuple(items[low:high])
        return Page(
            chosen, tuple(self.write(key(item)) for item in chosen), high < len(items), low > 0, len(items)
        )  # fmt: skip
