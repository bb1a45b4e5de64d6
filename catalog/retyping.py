"""What another type means for who reads a column: the same, wider (every old value still fits), or something else.

Wider is the relation that table formats call type promotion: no value of the old type is lost or rounded by reading it
as the new one. It follows the derivations of XSD 1.1, part 2, and four conversions that are exact.
"""

from __future__ import annotations

import re
from enum import IntEnum

from fairmesh.catalog.feeds.datatypes import datatype
from fairmesh.catalog.rdf import PREFIXES

XSD = PREFIXES["xsd"]


class Fit(IntEnum):
    """How a new type fits an old one, best first; of several, the greatest counts."""

    SAME = 0
    WIDER = 1
    OTHER = 2


_WIDER = {
    "byte": "short", "short": "int float", "int": "long double", "long": "integer", "integer": "decimal",
    "unsignedByte": "unsignedShort short", "unsignedShort": "unsignedInt int", "unsignedInt": "unsignedLong long",
    "unsignedLong": "nonNegativeInteger", "positiveInteger": "nonNegativeInteger", "nonNegativeInteger": "integer",
    "negativeInteger": "nonPositiveInteger", "nonPositiveInteger": "integer", "float": "double",
    "dateTimeStamp": "dateTime", "yearMonthDuration": "duration", "dayTimeDuration": "duration",
    "normalizedString": "string", "token": "normalizedString", "language": "token", "NMTOKEN": "token",
    "Name": "token", "NCName": "Name", "anyURI": "string",
}  # fmt: skip
"""By XSD datatype, the next wider ones. Not here: decimal to double, which rounds; date to dateTime and anything to
string, which are other values."""

_WORDS = {"number": "double", "binary": "base64Binary", "datetime": "dateTime", "any": "anyAtomicType"}
"""Words of CSVW ("Metadata Vocabulary for Tabular Data", 5.11.1) that XSD spells differently."""


def logical(before: str, after: str) -> Fit:
    """Of two datatypes, as XSD IRIs, CSVW words or other IRIs."""
    old, new = spelled(before), spelled(after)
    if old == new:
        return Fit.SAME
    waiting, seen = [old], {old}
    while waiting:
        for wider in _WIDER.get(waiting.pop(), "").split():
            if wider == new:
                return Fit.WIDER
            if wider not in seen:
                seen.add(wider)
                waiting.append(wider)
    return Fit.OTHER


def spelled(text: str) -> str:
    """A datatype by its XSD name: `xsd:long`, its IRI and the word `long` are one; an IRI of another kind stays."""
    name = text.strip().removeprefix(XSD).removeprefix("xsd:").removeprefix("xs:")
    return _WORDS.get(name, name)


_FAMILIES = (
    ("byte tinyint", "smallint int2 int16 short", "int integer int4 int32", "bigint int64 long", "hugeint int128"),
    ("real float4 float32", "double float8 float64 doubleprecision"),
    ("char nchar bpchar character", "varchar nvarchar varchar2 nvarchar2 charactervarying",
     "text string ntext clob nclob longtext"),
    ("date32 date",),
)  # fmt: skip
"""Physical types from narrow to wide; those in one text are one type under several names."""
_PLACES = {
    name: (family, place)
    for family, members in enumerate(_FAMILIES)
    for place, names in enumerate(members)
    for name in names.split()
}
_FIXED = ("numeric", "decimal", "number", "dec")
_PARTS = re.compile(r"([^()]*)(?:\((\d{1,9})(?:,(\d{1,9}))?\))?([^()]*)")


def physical(before: str, after: str) -> Fit:
    """Of two physical types, such as `number(18,2)`, whatever the database; what is not known fits only itself."""
    old, new = _plain(before), _plain(after)
    if old == new:
        return Fit.SAME
    one, two = _PARTS.fullmatch(old), _PARTS.fullmatch(new)
    if one is None or two is None:
        return Fit.OTHER
    return _sized(_name(one), _sizes(one), _name(two), _sizes(two), old, new)


def _plain(text: str) -> str:
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(text.lower().split()))


def _name(parts: re.Match[str]) -> str:
    return re.sub(r"\s+", "", parts[1] + parts[4])


def _sizes(parts: re.Match[str]) -> tuple[int, int] | None:
    return None if parts[2] is None else (int(parts[2]), int(parts[3] or 0))


def _sized(
    old_name: str, old_size: tuple[int, int] | None, new_name: str, new_size: tuple[int, int] | None, old: str, new: str
) -> Fit:
    if old_name == new_name or (old_name in _FIXED and new_name in _FIXED):
        return _size(old_size, new_size)
    old_place, new_place = _PLACES.get(old_name), _PLACES.get(new_name)
    if old_place is None or new_place is None or old_place[0] != new_place[0]:
        known = datatype(old), datatype(new)
        same = known[0] is not None and known[0] == known[1] and old_place is None and new_place is None
        return _size(old_size, new_size) if same else Fit.OTHER
    if new_place[1] < old_place[1]:
        return Fit.OTHER
    return max(Fit.WIDER if new_place > old_place else Fit.SAME, _size(old_size, new_size))


def _size(old: tuple[int, int] | None, new: tuple[int, int] | None) -> Fit:
    """Of lengths, or of precision and scale; a type without one is as large as can be."""
    if old == new:
        return Fit.SAME
    if new is None:
        return Fit.WIDER
    fits = old is not None and new[0] - new[1] >= old[0] - old[1] and new[1] >= old[1]
    return Fit.WIDER if fits else Fit.OTHER
