"""The functions a policy may call: they end quickly, reach nothing outside, and answer as OPA does.

Where OPA would round, or engines are known to differ, the answer is a `RegoError`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Never, TypeVar

from fairmesh.catalog.rego.values import (
    FALSE,
    TRUE,
    UNDEFINED,
    Array,
    Object,
    RegoError,
    Set,
    Word,
    dot,
    less,
    number,
    ordered,
    rank,
)

MAX_TEXT = 1_000_000
MAX_ITEMS = 200_000
MAX_INTEGER = 10**1000

_Items = TypeVar("_Items", Array, Object, Set)


# -- checks of operands ----------------------------------------------------------------------------------------------


def _refuse(found: Any, *wanted: str) -> Never:
    raise RegoError(f"{type_name(found)} where {' or '.join(wanted)} is taken")


def _text(found: Any) -> str:
    return found if type(found) is str else _refuse(found, "string")


def _array(found: Any) -> Array:
    return found if type(found) is Array else _refuse(found, "array")


def _object(found: Any) -> Object:
    return found if type(found) is Object else _refuse(found, "object")


def _set(found: Any) -> Set:
    return found if type(found) is Set else _refuse(found, "set")


def _listed(found: Any) -> Array | Set:
    return found if type(found) is Array or type(found) is Set else _refuse(found, "array", "set")


def _texts(found: Any) -> list[str]:
    return [_text(item) for item in ordered(_listed(found))] if type(found) is Set else list(map(_text, _array(found)))


def _small(found: Any) -> int:
    """An operand that says where or how many."""
    if type(found) is not int:
        _refuse(found, "integer")
    if abs(found) >= 2**63:
        raise RegoError("an integer beyond 64 bits where a place is taken")
    return found


def _number(found: Any) -> int | Decimal:
    return found if type(found) is int or type(found) is Decimal else _refuse(found, "number")


def _integer(found: Any) -> int:
    if type(found) is int:
        return found
    if _number(found) == int(found):
        return int(found)
    raise RegoError("arithmetic on fractions is not exact")


def _checked(result: int) -> int:
    if -MAX_INTEGER < result < MAX_INTEGER:
        return result
    raise RegoError("a number with more than 1000 digits")


def _long(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise RegoError(f"a text of more than {MAX_TEXT} characters")
    return text


def _many(items: _Items) -> _Items:
    if len(items) > MAX_ITEMS:
        raise RegoError(f"more than {MAX_ITEMS} items")
    return items


def collection(source: Any) -> None:
    """Raise for what `every` cannot go through."""
    if type(source) not in (Array, Object, Set):
        _refuse(source, "array", "object", "set")


# -- numbers -------------------------------------------------------------------------------------------------------


def plus(left: Any, right: Any) -> int:
    return _checked(_integer(left) + _integer(right))


def minus(left: Any, right: Any) -> Any:
    if type(left) is Set and type(right) is Set:
        return Set(left - right)
    return _checked(_integer(left) - _integer(right))


def mul(left: Any, right: Any) -> int:
    return _checked(_integer(left) * _integer(right))


def div(left: Any, right: Any) -> int:
    above, below = _integer(left), _integer(right)
    if not below:
        raise RegoError("divided by zero")
    quotient, rest = divmod(above, below)
    if rest or max(abs(above), abs(below)) >= 2**64:
        raise RegoError("a division that leaves a fraction is not exact")
    return quotient


def rem(left: Any, right: Any) -> int:
    above, below = _integer(left), _integer(right)
    if not below:
        raise RegoError("divided by zero")
    rest = abs(above) % abs(below)
    return -rest if above < 0 else rest


def _exact(found: Any) -> int | Decimal:
    value = _number(found)
    if not -(2**64) < value < 2**64:
        raise RegoError("a number of more than 64 bits is not rounded exactly")
    return value


def absolute(found: Any) -> int | Decimal:
    value = _exact(found)
    return -value if value < 0 else value


def rounded(found: Any) -> int:
    exact = _exact(found)
    return exact if type(exact) is int else int(exact + (Decimal("-0.5") if exact < 0 else Decimal("0.5")))


def ceiling(found: Any) -> int:
    exact = _exact(found)
    if type(exact) is int:
        return exact
    if -1 < exact < 0:
        raise RegoError("ceil of a number between -1 and 0 differs between engines")
    whole = int(exact)
    return whole + 1 if exact > whole else whole


def floored(found: Any) -> int:
    exact = _exact(found)
    if type(exact) is int:
        return exact
    if -1 < exact < 0:
        raise RegoError("floor of a number between -1 and 0 differs between engines")
    whole = int(exact)
    return whole - 1 if exact < whole else whole


_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def to_number(found: Any) -> int | Decimal:
    if found is None or found is FALSE:
        return 0
    if found is TRUE:
        return 1
    if type(found) is not str:
        return _number(found)
    if not _NUMBER.fullmatch(found):
        raise RegoError("a text that states no number")
    return number(found)


def format_int(found: Any, base: Any) -> str:
    letter = {2: "b", 8: "o", 10: "d", 16: "x"}.get(base) if type(base) is int else None
    if letter is None:
        raise RegoError("format_int takes base 2, 8, 10 or 16")
    return format(int(_number(found)), letter)


# -- collections ---------------------------------------------------------------------------------------------------


def count(found: Any) -> int:
    if type(found) in (Array, Object, Set, str):
        return len(found)
    return _refuse(found, "array", "object", "set", "string")


def total(found: Any) -> int:
    return _checked(sum(map(_integer, _listed(found))))


def largest(found: Any) -> Any:
    return max(_listed(found), key=rank) if found else _none(found)


def smallest(found: Any) -> Any:
    return min(_listed(found), key=rank) if found else _none(found)


def _none(found: Any) -> Any:
    _listed(found)
    return UNDEFINED


def sort(found: Any) -> Array:
    return Array(ordered(_listed(found)))


def both(left: Any, right: Any) -> Set:
    return Set(_set(left) & _set(right))


def either(left: Any, right: Any) -> Set:
    united = Set(_set(left))
    united |= _set(right)
    return _many(united)


def union(found: Any) -> Set:
    return _many(Set(set().union(*map(_set, _set(found)))))


def intersection(found: Any) -> Set:
    members = list(map(_set, _set(found)))
    return Set(members[0].intersection(*members[1:])) if members else Set()


def member(item: Any, found: Any) -> bool:
    kind = type(found)
    if kind is Object:
        return item in found.values()
    return (kind is Set or kind is Array) and item in found


def member_at(key: Any, item: Any, found: Any) -> bool:
    return bool(dot(found, key) == item)


def array_concat(left: Any, right: Any) -> Array:
    return _many(Array(_array(left) + _array(right)))


def array_reverse(found: Any) -> Array:
    return Array(_array(found)[::-1])


def array_slice(found: Any, start: Any, stop: Any) -> Array:
    end = max(_small(stop), 0)
    return Array(_array(found)[max(_small(start), 0) : end])


def object_get(found: Any, path: Any, default: Any) -> Any:
    _object(found)
    steps = path if type(path) is Array else [path]
    for step in steps:
        found = dot(found, step)
        if found is UNDEFINED:
            return default
    return found


def object_keys(found: Any) -> Set:
    return Set(_object(found))


def object_union(left: Any, right: Any) -> Object:
    joined = Object(_object(left))
    for key, item in _object(right).items():
        there = joined.get(key)
        joined[key] = object_union(there, item) if type(there) is Object and type(item) is Object else item
    return _many(joined)


def _keys(found: Any) -> Set:
    if type(found) is Object or type(found) is Array:
        return Set(found)
    return _set(found)


def object_remove(found: Any, keys: Any) -> Object:
    gone = _keys(keys)
    return Object({key: item for key, item in _object(found).items() if key not in gone})


def object_filter(found: Any, keys: Any) -> Object:
    kept = _keys(keys)
    return Object({key: item for key, item in _object(found).items() if key in kept})


def object_subset(above: Any, below: Any) -> bool:
    kinds = (type(above), type(below))
    if kinds == (Object, Object):
        return all(key in above and _part(above[key], item) for key, item in below.items())
    if kinds == (Set, Set):
        return bool(below <= above)
    if kinds == (Array, Array):
        return _run(above, below)
    if kinds == (Array, Set):
        raise RegoError("object.subset of an array and a set differs between engines")
    raise RegoError("object.subset takes two objects, two sets or two arrays")


def _part(above: Any, below: Any) -> bool:
    if above == below:
        return True
    return type(above) is type(below) and type(above) in (Object, Set, Array) and object_subset(above, below)


def _run(above: Array, below: Array) -> bool:
    """`below` stands in `above` without a gap."""
    if len(below) > len(above):
        return False
    if len(above) * len(below) > MAX_TEXT:
        raise RegoError("object.subset of arrays this long")
    starts = range(len(above) - len(below) + 1)
    return any(above[start : start + len(below)] == below for start in starts)


# -- texts ---------------------------------------------------------------------------------------------------------


def concat(glue: Any, found: Any) -> str:
    return _long(_text(glue).join(_texts(found)))


def contains(text: Any, part: Any) -> bool:
    return _text(part) in _text(text)


def startswith(text: Any, start: Any) -> bool:
    return _text(text).startswith(_text(start))


def endswith(text: Any, end: Any) -> bool:
    return _text(text).endswith(_text(end))


def any_prefix(texts: Any, starts: Any) -> bool:
    return _any_affix(str.startswith, texts, starts)


def any_suffix(texts: Any, ends: Any) -> bool:
    return _any_affix(str.endswith, texts, ends)


def _any_affix(match: Callable[[str, tuple[str, ...]], bool], texts: Any, affixes: Any) -> bool:
    sought = (affixes,) if type(affixes) is str else tuple(_texts(affixes))
    searched = [texts] if type(texts) is str else _texts(texts)
    if len(sought) * len(searched) > MAX_TEXT:
        raise RegoError("too many pairs of texts to match")
    return any(match(text, sought) for text in searched)


def lower(text: Any) -> str:
    return _cased(_text(text), str.lower)


def upper(text: Any) -> str:
    return _cased(_text(text), str.upper)


def _cased(text: str, change: Callable[[str], str]) -> str:
    if text.isascii():
        return change(text)
    changed = [change(char) for char in text]
    if any(len(char) != 1 for char in changed) or any(unicodedata.category(char) == "Cn" for char in text):
        raise RegoError("a letter whose other case differs between engines")
    return "".join(changed)


_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What Unicode calls white space, and Go with it; Python strips control characters beside it."""


def trim(text: Any, chars: Any) -> str:
    return _text(text).strip(_text(chars))


def trim_left(text: Any, chars: Any) -> str:
    return _text(text).lstrip(_text(chars))


def trim_right(text: Any, chars: Any) -> str:
    return _text(text).rstrip(_text(chars))


def trim_prefix(text: Any, start: Any) -> str:
    return _text(text).removeprefix(_text(start))


def trim_suffix(text: Any, end: Any) -> str:
    return _text(text).removesuffix(_text(end))


def trim_space(text: Any) -> str:
    return _text(text).strip(_SPACE)


def split(text: Any, mark: Any) -> Array:
    parts = _text(text).split(mark) if _text(mark) else list(_text(text))
    return _many(Array(parts))


def replace(text: Any, old: Any, new: Any) -> str:
    if not _text(old):
        raise RegoError("replace of the empty text")
    found = _text(text).count(old)
    if len(text) + found * (len(_text(new)) - len(old)) > MAX_TEXT:
        raise RegoError(f"a text of more than {MAX_TEXT} characters")
    return str(text.replace(old, new))


def substring(text: Any, start: Any, size: Any) -> str:
    whole, first, many = _text(text), _small(start), _small(size)
    if first < 0:
        raise RegoError("substring from before the start")
    return whole[first:] if many < 0 else whole[first : first + many]


def indexof(text: Any, part: Any) -> int:
    if not _text(part):
        raise RegoError("indexof the empty text")
    return _text(text).find(part)


def sha256(text: Any) -> str:
    return hashlib.sha256(_text(text).encode()).hexdigest()


# -- types ---------------------------------------------------------------------------------------------------------

_TYPES = {
    type(None): "null", Word: "boolean", int: "number", Decimal: "number", str: "string", Array: "array",
    Object: "object", Set: "set",
}  # fmt: skip


def type_name(found: Any) -> str:
    return _TYPES[type(found)]


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda found: type(found) in kinds


CONDITIONS: dict[str, tuple[Callable[..., bool], int]] = {
    "equal": (lambda a, b: a == b, 2),
    "neq": (lambda a, b: a != b, 2),
    "lt": (less, 2),
    "lte": (lambda a, b: not less(b, a), 2),
    "gt": (lambda a, b: less(b, a), 2),
    "gte": (lambda a, b: not less(a, b), 2),
    "internal.member_2": (member, 2),
    "internal.member_3": (member_at, 3),
    "contains": (contains, 2),
    "startswith": (startswith, 2),
    "endswith": (endswith, 2),
    "strings.any_prefix_match": (any_prefix, 2),
    "strings.any_suffix_match": (any_suffix, 2),
    "object.subset": (object_subset, 2),
    "is_array": (_is(Array), 1),
    "is_boolean": (_is(Word), 1),
    "is_null": (_is(type(None)), 1),
    "is_number": (_is(int, Decimal), 1),
    "is_object": (_is(Object), 1),
    "is_set": (_is(Set), 1),
    "is_string": (_is(str), 1),
}
"""Functions with a yes or no for an answer, here Python's: by name, with the number of their arguments."""

FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "plus": (plus, 2),
    "minus": (minus, 2),
    "mul": (mul, 2),
    "div": (div, 2),
    "rem": (rem, 2),
    "abs": (absolute, 1),
    "round": (rounded, 1),
    "ceil": (ceiling, 1),
    "floor": (floored, 1),
    "to_number": (to_number, 1),
    "format_int": (format_int, 2),
    "count": (count, 1),
    "sum": (total, 1),
    "max": (largest, 1),
    "min": (smallest, 1),
    "sort": (sort, 1),
    "and": (both, 2),
    "or": (either, 2),
    "union": (union, 1),
    "intersection": (intersection, 1),
    "array.concat": (array_concat, 2),
    "array.reverse": (array_reverse, 1),
    "array.slice": (array_slice, 3),
    "object.get": (object_get, 3),
    "object.keys": (object_keys, 1),
    "object.union": (object_union, 2),
    "object.remove": (object_remove, 2),
    "object.filter": (object_filter, 2),
    "concat": (concat, 2),
    "lower": (lower, 1),
    "upper": (upper, 1),
    "trim": (trim, 2),
    "trim_left": (trim_left, 2),
    "trim_right": (trim_right, 2),
    "trim_prefix": (trim_prefix, 2),
    "trim_suffix": (trim_suffix, 2),
    "trim_space": (trim_space, 1),
    "split": (split, 2),
    "replace": (replace, 3),
    "substring": (substring, 3),
    "indexof": (indexof, 2),
    "crypto.sha256": (sha256, 1),
    "type_name": (type_name, 1),
}
"""The other functions, with the number of their arguments."""
