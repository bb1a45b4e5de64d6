"""How an answer is put in order: which language is shown, what comes first, and how far a walk may go."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Walked, WalkStep
from fairmesh.catalog.rdf import NamedNode

MAX_PATHS = MAX_LENGTH = 20
"""The most paths one question may ask for, and the most statements a path may have."""
MAX_STEPS, MAX_HOPS = 20, 50
"""The most steps of a walk, and the most hops of one step."""

DEFAULT_LANG = "en"
LangRank = tuple[int, int, str]


@lru_cache(1 << 14)
def is_iri(text: str) -> bool:
    try:
        return bool(NamedNode(text).value)
    except ValueError:
        return False


@lru_cache(1 << 12)
def lang_rank(tag: str | None, ranges: tuple[str, ...]) -> LangRank:
    """The lower, the better a language tag fits: the ranges asked for in their order, then untagged, then English,
    then the others by tag.

    A range is looked up as in RFC 4647, section 3.4: `de-AT` takes `de-AT`, else `de`. Where there is neither, a tag
    within the range fits as well, which that section leaves open: `de` takes `de-CH`.
    """
    if tag is None:
        return len(ranges), 0, ""
    tag = tag.lower()
    for place, wanted in enumerate(ranges):
        dropped = _dropped(tag, wanted.lower())
        if dropped is not None:
            return place, dropped, tag
    default = _dropped(tag, DEFAULT_LANG)
    return (len(ranges) + 2, 0, tag) if default is None else (len(ranges) + 1, default, tag)


def _dropped(tag: str, wanted: str) -> int | None:
    """How many parts the range loses until it is the tag; all of them when the tag lies within the range."""
    parts = wanted.split("-")
    for dropped in range(len(parts)):
        if tag == "-".join(parts[: len(parts) - dropped]):
            return dropped
    return len(parts) if tag.startswith(wanted + "-") else None


def is_asked_for(tag: str | None, ranges: tuple[str, ...]) -> bool:
    """Whether a text with this tag fits one of the ranges; untagged ones fit all."""
    return tag is None or lang_rank(tag, ranges)[0] < len(ranges)


def position(stated: list[str]) -> float:
    return float(stated[0]) if stated and stated[0].isdecimal() else float("inf")


def walk_key(walked: Walked) -> tuple[str | float, ...]:
    steps = [part for step in walked.path for part in (step.source, step.predicate, step.direction.value, step.target)]
    return (float(len(walked.path)), *steps, walked.node)


def search_cursor(key: tuple[str | float, ...]) -> tuple[float | str, str]:
    if len(key) != 2 or not isinstance(key[1], str):
        raise InputError("the cursor belongs to another list", remedy="Use one from pageInfo or an edge")
    return key[0], key[1]


def check_walk(steps: Sequence[WalkStep]) -> None:
    """Raise `InputError` for more than `MAX_STEPS` steps, or a step of more than `MAX_HOPS` hops."""
    if len(steps) > MAX_STEPS:
        raise InputError(f"a walk of {len(steps)} steps", remedy=f"Give at most {MAX_STEPS} steps.")
    for number, step in enumerate(steps, 1):
        if step.max_hops > MAX_HOPS:
            raise InputError(f"step {number} has up to {step.max_hops} hops", remedy=f"Give at most {MAX_HOPS}.")


def check_paths(k: int, max_length: int) -> None:
    """Raise `InputError` unless 1 to `MAX_PATHS` paths of 1 to `MAX_LENGTH` statements are asked for."""
    for name, asked, limit in (("k", k, MAX_PATHS), ("maxLength", max_length, MAX_LENGTH)):
        if not 1 <= asked <= limit:
            raise InputError(f"{name} is {asked}", remedy=f"Give 1 to {limit}.")
