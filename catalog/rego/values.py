"""Rego values in Python: to and from JSON, their order, and what is done to them without asking a function.

null, strings and whole numbers are Python's None, str and int; other numbers are `Decimal`; a boolean is `TRUE` or
`FALSE`, so that it equals no number; arrays, objects and sets are `Array`, `Object` and `Set`, which are never changed
once they are built and may be keys and elements. `UNDEFINED` is no value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, Never

MAX_DEPTH = 100
_MAX_DIGITS = 18  # OPA reads a decimal number into 64 bits: 18 digits survive
_MAX_EXPONENT = 60


class RegoError(Exception):
    """A rule that conflicts, a function that was called with what it does not take, or a limit that was passed."""


class Word:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNDEFINED: Final = Word("undefined")
FALSE: Final = Word("false")
TRUE: Final = Word("true")


class Array(list[Any]):
    __slots__ = ("known_weight",)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))


class Object(dict[Any, Any]):
    __slots__ = ("known_weight",)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


class Set(set[Any]):
    __slots__ = ("known_weight",)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self))


HOLDING: Final = frozenset((Array, Object, Set))
MAX_WEIGHT = 10**9


def weight(found: Any) -> int:
    """What it costs to go through all of a value, at most `MAX_WEIGHT`. Part of it is counted as often as it stands
    in the value, as it is then gone through as often. The value must be complete."""
    kind = type(found)
    if kind is str:
        return 1 + (len(found) >> 6)
    if kind not in HOLDING:
        return 1
    known = getattr(found, "known_weight", 0)
    if not known:
        inside = sum(map(weight, found)) + (sum(map(weight, found.values())) if kind is Object else 0)
        known = found.known_weight = min(1 + inside, MAX_WEIGHT)
    return known


# -- to and from JSON ----------------------------------------------------------------------------------------------


def number(text: str) -> int | Decimal:
    """The number a JSON text states. Raises `RegoError` for one that cannot be kept exactly."""
    whole, dot, rest = text.partition(".")
    if not dot or not rest.strip("0"):
        text = whole
    if text.lstrip("-").isdecimal():
        if len(text) > 1000:
            raise RegoError("a number with more than 1000 digits")
        return int(text)
    value = Decimal(text)
    if len(value.as_tuple().digits) > _MAX_DIGITS or abs(value.adjusted()) > _MAX_EXPONENT:
        raise RegoError(f"a number with a fraction or an exponent has at most {_MAX_DIGITS} digits")
    return value


def _no_constant(text: str) -> Never:
    raise RegoError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(parse_float=number, parse_int=number, parse_constant=_no_constant)
_WORDS = {True: TRUE, False: FALSE}
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str) -> Any:
    """The value of a JSON text. Raises `RegoError` for what is no JSON, nests too deeply or has lone surrogates."""
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise RegoError(f"the input is no JSON: {error}") from None
    escaped = "\\u" in text and json.dumps(found, ensure_ascii=False, default=str)
    if _SURROGATE.search(text) or (escaped and _SURROGATE.search(escaped)):
        raise RegoError("the input has a lone surrogate")
    return value(found)


def value(found: Any, depth: int = MAX_DEPTH) -> Any:
    """The Rego value of a parsed JSON value whose numbers are int or `Decimal`."""
    kind = type(found)
    if kind is str or kind is int or found is None or kind is Decimal:
        return found
    if kind is bool:
        return TRUE if found else FALSE
    if not depth:
        raise RegoError(f"nested more than {MAX_DEPTH} deep")
    depth -= 1
    if kind is dict:
        return Object({key: item if type(item) is str else value(item, depth) for key, item in found.items()})
    return Array([item if type(item) is str else value(item, depth) for item in found])


def plain(found: Any) -> Any:
    """The JSON value of a Rego value: sets are sorted lists, a `Decimal` is a float.

    Raises `RegoError` for an object with a key that is no text.
    """
    kind = type(found)
    if kind is str or kind is int or found is None:
        return found
    if kind is Object:
        return {key if type(key) is str else _no_text(key): plain(item) for key, item in found.items()}
    if kind is Array:
        return [plain(item) for item in found]
    if kind is Set:
        return [plain(item) for item in ordered(found)]
    if kind is Decimal:
        return float(found)
    return found is TRUE


def _no_text(key: Any) -> Never:
    raise RegoError("an object of the answer has a key that is no text")


# -- order ---------------------------------------------------------------------------------------------------------

_RANKS = {type(None): 0, Word: 1, int: 2, Decimal: 2, str: 3, Array: 7, Object: 8, Set: 9}


def rank(found: Any) -> tuple[Any, ...]:
    """A key under which Rego values sort as OPA sorts them."""
    kind = type(found)
    place = _RANKS[kind]
    if kind is Array:
        return (place, [rank(item) for item in found])
    if kind is Object:
        return (place, sorted([(rank(key), rank(item)) for key, item in found.items()]))
    if kind is Set:
        return (place, sorted(map(rank, found)))
    if kind is Word:
        return (place, found is TRUE)
    return (place,) if found is None else (place, found)


def ordered(items: Iterable[Any]) -> list[Any]:
    """The values in OPA's order."""
    listed = list(items)
    if len(listed) < 2:
        return listed
    kinds = set(map(type, listed))
    return sorted(listed) if kinds == {str} or kinds == {int} else sorted(listed, key=rank)


def less(left: Any, right: Any) -> bool:
    kind = type(left)
    if kind is type(right) and (kind is int or kind is str):
        return bool(left < right)
    return rank(left) < rank(right)


# -- what the generated code calls ---------------------------------------------------------------------------------


def dot(source: Any, key: Any) -> Any:
    """`source[key]`."""
    kind = type(source)
    if kind is Object:
        return source.get(key, UNDEFINED)
    if kind is Array:
        return source[key] if type(key) is int and 0 <= key < len(source) else UNDEFINED
    if kind is Set:
        return key if key in source else UNDEFINED
    return UNDEFINED


def pairs(source: Any) -> Iterable[tuple[Any, Any]]:
    """Keys and values of a collection; none of anything else."""
    kind = type(source)
    if kind is Object:
        return source.items()  # type: ignore[no-any-return]
    if kind is Array:
        return enumerate(source)
    return zip(source, source, strict=True) if kind is Set else ()


def values(source: Any) -> Any:
    kind = type(source)
    if kind is Object:
        return source.values()
    return source if kind is Array or kind is Set else ()


def ordered_pairs(source: Any) -> Iterable[tuple[Any, Any]]:
    """`pairs`, in OPA's order: where an array is built from it, the order is part of the answer."""
    kind = type(source)
    if kind is Object:
        return [(key, source[key]) for key in ordered(source)]
    if kind is Array:
        return enumerate(source)
    if kind is Set:
        listed = ordered(source)
        return zip(listed, listed, strict=True)
    return ()


def ordered_values(source: Any) -> Any:
    """`values`, in OPA's order."""
    return [item for _, item in ordered_pairs(source)] if type(source) is not Array else source


def insert_once(target: Object, key: Any, item: Any) -> None:
    if target.setdefault(key, item) != item:
        raise RegoError("an object has two values for one key")


def put(target: Object, made: dict[tuple[Any, ...], Object], keys: tuple[Any, ...], item: Any) -> None:
    """Set the value at the end of the keys; `made` are the objects on the way."""
    insert_once(_way(target, made, keys[:-1]), keys[-1], item)


def put_member(target: Object, made: dict[tuple[Any, ...], Any], keys: tuple[Any, ...], item: Any) -> None:
    """Add a member to the set at the end of the keys."""
    found = made.get(keys)
    if found is None:
        found = made[keys] = Set()
        if _way(target, made, keys[:-1]).setdefault(keys[-1], found) is not found:
            raise RegoError("an object has two values for one key")
    found.add(item)


def _way(target: Object, made: dict[tuple[Any, ...], Object], keys: tuple[Any, ...]) -> Object:
    for end in range(1, len(keys) + 1):
        inner = made.get(keys[:end])
        if inner is None:
            inner = made[keys[:end]] = Object()
        if target.setdefault(keys[end - 1], inner) is not inner:
            raise RegoError("an object has two values for one key")
        target = inner
    return target


def make_object(items: tuple[tuple[Any, Any], ...]) -> Object:
    made = Object()
    for key, item in items:
        insert_once(made, key, item)
    return made


def base(data: Any, path: tuple[Any, ...]) -> Any:
    """What the data holds at a path of scalars; keys of objects are texts there, whatever the path says."""
    for key in path:
        data = dot(data, str(key) if type(key) is int and type(data) is Object else key)
    return data


def overlay(data: Any, path: tuple[str, ...], found: Object) -> Object:
    """What the data holds at `path` over the rules' values."""
    for name in path:
        data = dot(data, name)
    return found if data is UNDEFINED else _merged(data, found)


def _merged(below: Any, above: Object) -> Object:
    if type(below) is not Object:
        raise RegoError("data stands where a package is")
    merged = Object(below)
    for key, item in above.items():
        there = merged.get(key, UNDEFINED)
        if there is UNDEFINED:
            merged[key] = item
        elif type(there) is Object and type(item) is Object:
            merged[key] = _merged(there, item)
    return merged


def upsert(source: Any, path: tuple[str, ...], item: Any) -> Any:
    """`source` with `item` at `path`; what stands in the way is replaced."""
    if not path:
        return item
    changed = Object(source) if type(source) is Object else Object()
    changed[path[0]] = upsert(changed.get(path[0], UNDEFINED), path[1:], item)
    return changed


def length(source: Any) -> int:
    """As `len`; 0 of a scalar."""
    return len(source) if type(source) in (Array, Object, Set, str) else 0
