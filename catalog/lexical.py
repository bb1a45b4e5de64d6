"""XML Schema datatypes as RDF uses them (XML Schema 1.1, part 2; RDF 1.1 Concepts, section 5).

What is in a datatype's lexical space, and how two values compare. White space is never stripped: in RDF a literal's
text is the lexical form itself. Owns every check of this kind.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial

from fairmesh.catalog.rdf import PREFIXES, Literal

_XSD = PREFIXES["xsd"]
_MOST_DIGITS = 4000
"""Dates and durations with more digits than this are well-formed, and not comparable."""

# Character classes of XML 1.0 (fifth edition), section 2.3, ready to stand between the brackets of a regex.
NAME_START = (
    ":A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
NAME = NAME_START + "\\-.0-9\u00b7\u0300-\u036f\u203f-\u2040"

# -- lexical spaces ---------------------------------------------------------------------------------------------------

_NAME = f"[{NAME_START}][{NAME}]*"
_NCNAME = f"[{NAME_START[1:]}][{NAME[1:]}]*"
_NMTOKEN = f"[{NAME}]+"
_DECIMAL = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_DOUBLE = _DECIMAL + r"(?:[Ee][+-]?[0-9]+)?|[+-]?INF|NaN"
_INTEGER = r"[+-]?[0-9]+"
_TOKEN = r"(?:[^ \t\n\r]+(?: [^ \t\n\r]+)*)?"

_ZONE = r"(?P<zone>Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
_YEAR = r"(?P<year>-?(?:[1-9][0-9]{3,}|0[0-9]{3}))"
_MONTH = r"(?P<month>0[1-9]|1[0-2])"
_DAY = r"(?P<day>0[1-9]|[12][0-9]|3[01])"
_TIME = (
    r"(?:(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9](?:\.[0-9]+)?)"
    r"|(?P<midnight>24:00:00(?:\.0+)?))"
)
_TEMPORAL = {
    "dateTime": f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}",
    "dateTimeStamp": f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE[:-1]}",
    "date": f"{_YEAR}-{_MONTH}-{_DAY}{_ZONE}",
    "time": f"{_TIME}{_ZONE}",
    "gYearMonth": f"{_YEAR}-{_MONTH}{_ZONE}",
    "gYear": f"{_YEAR}{_ZONE}",
    "gMonthDay": f"--{_MONTH}-{_DAY}{_ZONE}",
    "gMonth": f"--{_MONTH}{_ZONE}",
    "gDay": f"---{_DAY}{_ZONE}",
}
_MONTHS = r"(?:(?P<years>[0-9]+)Y)?(?:(?P<months>[0-9]+)M)?"
_DAYS = (
    r"(?:(?P<days>[0-9]+)D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?(?:(?P<seconds>[0-9]+(?:\.[0-9]+)?)S)?)?"
)
_DURATION = {
    "duration": f"-?P(?=[0-9T]){_MONTHS}{_DAYS}",
    "yearMonthDuration": f"-?P(?=[0-9]){_MONTHS}",
    "dayTimeDuration": f"-?P(?=[0-9T]){_DAYS}",
}

_PATTERNS = {
    "boolean": "true|false|1|0",
    "decimal": _DECIMAL,
    "double": _DOUBLE,
    "float": _DOUBLE,
    "string": "[^\x00\ufffe\uffff]*",
    "normalizedString": "[^\x00\ufffe\uffff\t\n\r]*",
    "token": _TOKEN,
    "anyURI": _TOKEN,
    "language": "[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*",
    "Name": _NAME,
    "NMTOKEN": _NMTOKEN,
    "NMTOKENS": f"{_NMTOKEN}(?: {_NMTOKEN})*",
    **dict.fromkeys(("NCName", "ID", "IDREF", "ENTITY"), _NCNAME),
    **dict.fromkeys(("IDREFS", "ENTITIES"), f"{_NCNAME}(?: {_NCNAME})*"),
    **dict.fromkeys(("QName", "NOTATION"), f"(?:{_NCNAME}:)?{_NCNAME}"),
    "hexBinary": "(?:[0-9a-fA-F]{2})*",
    "base64Binary": (
        "(?:(?:[A-Za-z0-9+/] ?){4})*"
        "(?:(?:[A-Za-z0-9+/] ?){3}[A-Za-z0-9+/]|(?:[A-Za-z0-9+/] ?){2}[AEIMQUYcgkosw048] ?="
        "|[A-Za-z0-9+/] ?[AQgw] ?= ?=)?"
    ),
}
_RANGES: dict[str, tuple[int | None, int | None]] = {
    "integer": (None, None), "nonNegativeInteger": (0, None), "positiveInteger": (1, None),
    "nonPositiveInteger": (None, 0), "negativeInteger": (None, -1),
    "long": (-(2**63), 2**63 - 1), "int": (-(2**31), 2**31 - 1), "short": (-(2**15), 2**15 - 1), "byte": (-128, 127),
    "unsignedLong": (0, 2**64 - 1), "unsignedInt": (0, 2**32 - 1), "unsignedShort": (0, 2**16 - 1),
    "unsignedByte": (0, 255),
}  # fmt: skip

Check = Callable[[str], object]
"""Whether a text is in a lexical space, by its truth."""


def _in_range(low: int | None, high: int | None, text: str) -> bool:
    if _integer(text) is None:
        return False
    number = Decimal(text)
    return (low is None or number >= low) and (high is None or number <= high)


def _calendar(pattern: re.Pattern[str], text: str) -> bool:
    found = pattern.fullmatch(text)
    if found is None:
        return False
    year = found["year"] if "year" in pattern.groupindex else "1972"
    return int(found["day"]) <= _days_in(int(year[-4:]), int(found["month"]))


def _string(text: str) -> bool:
    return text.isprintable() or _compiled["string"].fullmatch(text) is not None


_integer = re.compile(_INTEGER).fullmatch
_compiled = {name: re.compile(pattern) for name, pattern in (_TEMPORAL | _DURATION | _PATTERNS).items()}
_CHECKS: dict[str, Check] = {
    **{name: pattern.fullmatch for name, pattern in _compiled.items()},
    **{name: partial(_calendar, _compiled[name]) for name in ("dateTime", "dateTimeStamp", "date", "gMonthDay")},
    **{name: partial(_in_range, low, high) for name, (low, high) in _RANGES.items()},
    "integer": _integer,
    "string": _string,
}


def lexical_space(datatype: str) -> Check | None:
    """The check for a datatype IRI; None for datatypes that are not built into XML Schema, which have none here."""
    return _CHECKS.get(datatype.removeprefix(_XSD)) if datatype.startswith(_XSD) else None


def well_formed(literal: Literal) -> bool:
    """Whether a literal's text is in the lexical space of its datatype; True for datatypes not known here."""
    check = lexical_space(literal.datatype.value)
    return check is None or bool(check(literal.value))


def temporal(literal: Literal) -> dict[str, str] | None:
    """The parts of a well-formed date or time as they are written: `year`, `month`, `day`, `hour`, `minute`, `second`,
    `midnight` (24:00:00), `zone`, those that are there. None for every other literal."""
    name = literal.datatype.value.removeprefix(_XSD)
    if name not in _TEMPORAL or not well_formed(literal):
        return None
    found = _compiled[name].fullmatch(literal.value)
    return None if found is None else {part: text for part, text in found.groupdict().items() if text is not None}


# -- values and their order -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """A value that can be compared. `kind` is what it can be compared within; numbers compare among each other."""

    kind: str
    content: object


@dataclass(frozen=True, slots=True)
class _Moment:
    seconds: Fraction
    zoned: bool


@dataclass(frozen=True, slots=True)
class _Duration:
    months: int
    seconds: Fraction


_STRINGS = frozenset(
    ("string", "normalizedString", "token", "language", "Name", "NCName", "NMTOKEN", "ID", "IDREF", "ENTITY")
)
_NUMBERS = ("decimal", "float", "double")
"""Numbers of two kinds are compared as the later one."""


def value_of(literal: Literal) -> Value | None:
    """The value of a literal whose datatype has an order; None for ill-formed ones and for other datatypes.

    Texts of xsd:string and the types derived from it are ordered by code point (SPARQL 1.1, section 17.3); those with
    a language tag have no order.
    """
    datatype = literal.datatype.value
    name = datatype.removeprefix(_XSD)
    check = _CHECKS.get(name) if datatype.startswith(_XSD) else None
    text = literal.value
    if check is None or not check(text):
        return None
    if name in _STRINGS:
        return Value("string", text)
    if name in _RANGES or name == "decimal":
        return Value("decimal", Decimal(text))
    if name == "double":
        return Value(name, float(text))
    if name == "float":
        return Value(name, _single(float(text)))
    if name == "boolean":
        return Value(name, text in ("true", "1"))
    if len(text) > _MOST_DIGITS:
        return None
    if name in _TEMPORAL:
        return Value(name.removesuffix("Stamp"), _moment(_compiled[name], text))
    if name in _DURATION:
        return Value("duration", _duration(_compiled[name], text))
    return None


def compare(one: Value | None, other: Value | None) -> int | None:
    """-1, 0 or 1 as `one` is less than, equal to or greater than `other`; None where they cannot be compared.

    Not comparable: values of different kinds, NaN, a date with a time zone and one without that lie within 14 hours
    (XML Schema 1.1, part 2, appendix D.2.2), durations whose order depends on the month they start in (E.3.3).
    """
    if one is None or other is None:
        return None
    left, right = one.content, other.content
    if one.kind in _NUMBERS and other.kind in _NUMBERS:
        left, right = _promoted(one, other)
    elif one.kind != other.kind:
        return None
    elif isinstance(left, _Moment) and isinstance(right, _Moment):
        return _compare_moments(left, right)
    elif isinstance(left, _Duration) and isinstance(right, _Duration):
        return _compare_durations(left, right)
    if left < right:  # type: ignore[operator]
        return -1
    if left > right:  # type: ignore[operator]
        return 1
    return 0 if left == right else None


def _promoted(one: Value, other: Value) -> tuple[object, object]:
    kind = max(one.kind, other.kind, key=_NUMBERS.index)
    if kind == "decimal":
        return one.content, other.content
    left, right = float(one.content), float(other.content)  # type: ignore[arg-type]
    return (left, right) if kind == "double" else (_single(left), _single(right))


def _single(number: float) -> float:
    """The nearest number of single precision."""
    try:
        nearest: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)
    return nearest


def _days_in(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _day_number(year: int, month: int, day: int) -> int:
    """Days since the first of March of year 0, in the Gregorian calendar without an end on either side."""
    year -= month <= 2
    month = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1


_DAY_SECONDS = 86_400
_ZONE_SECONDS = 14 * 3600


def _moment(pattern: re.Pattern[str], text: str) -> _Moment:
    found = pattern.fullmatch(text)
    assert found is not None
    parts = found.groupdict()
    day = _day_number(int(parts.get("year") or 1972), int(parts.get("month") or 1), int(parts.get("day") or 1))
    if parts.get("midnight") and "day" in parts:
        day += 1
    seconds = Fraction(day * _DAY_SECONDS + int(parts.get("hour") or 0) * 3600 + int(parts.get("minute") or 0) * 60)
    seconds += Fraction(parts.get("second") or 0)
    zone = parts["zone"]
    if zone not in (None, "Z"):
        offset = int(zone[1:3]) * 3600 + int(zone[4:]) * 60
        seconds += offset if zone[0] == "-" else -offset
    return _Moment(seconds, zone is not None)


def _compare_moments(one: _Moment, other: _Moment) -> int | None:
    difference = one.seconds - other.seconds
    if one.zoned == other.zoned:
        return (difference > 0) - (difference < 0)
    if abs(difference) <= _ZONE_SECONDS:
        return None
    return 1 if difference > 0 else -1


def _duration(pattern: re.Pattern[str], text: str) -> _Duration:
    found = pattern.fullmatch(text)
    assert found is not None
    parts = {name: Fraction(number or 0) for name, number in found.groupdict().items()}
    months = int(parts.get("years", 0) * 12 + parts.get("months", 0))
    seconds = Fraction(
        parts.get("days", 0) * _DAY_SECONDS
        + parts.get("hours", 0) * 3600
        + parts.get("minutes", 0) * 60
        + parts.get("seconds", 0)
    )
    return _Duration(-months, -seconds) if text[0] == "-" else _Duration(months, seconds)


_STARTS = ((1696, 9), (1697, 2), (1903, 3), (1903, 7))
"""The months that XML Schema 1.1 (part 2, section 3.3.6.1) adds durations to, to compare them."""


def _compare_durations(one: _Duration, other: _Duration) -> int | None:
    signs = set()
    for year, month in _STARTS:
        difference = _ends(one, year, month) - _ends(other, year, month)
        signs.add((difference > 0) - (difference < 0))
    return signs.pop() if len(signs) == 1 else None


def _ends(duration: _Duration, year: int, month: int) -> Fraction:
    months = year * 12 + month - 1 + duration.months
    return _day_number(months // 12, months % 12 + 1, 1) * _DAY_SECONDS + duration.seconds
