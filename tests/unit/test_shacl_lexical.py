"""Lexical forms and the order of values, case by case (XML Schema 1.1, part 2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog.lexical import compare, lexical_space, value_of, well_formed
from fairmesh.catalog.rdf import PREFIXES, Literal, NamedNode

XSD = PREFIXES["xsd"]


def literal(text: str, name: str) -> Literal:
    return Literal(text, datatype=NamedNode(XSD + name))


FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "boolean": (("true", "false", "1", "0"), ("TRUE", "yes", "", " true", "01")),
    "decimal": (("1", "-1.5", "+.5", "1.", "0" * 5000), ("", ".", "1e3", "1,5", "INF", "1_000", "١")),
    "integer": (("0", "-0", "+12", "9" * 5000), ("", "1.0", "1e3", "- 1", " 1", "1 ", "1_0", "٣")),
    "nonNegativeInteger": (("0", "-0", "7"), ("-1",)),
    "positiveInteger": (("1", "+1"), ("0", "-1")),
    "nonPositiveInteger": (("0", "-1"), ("1",)),
    "negativeInteger": (("-1",), ("0", "1")),
    "long": (("9223372036854775807", "-9223372036854775808"), ("9223372036854775808", "9" * 5000)),
    "int": (("2147483647", "-2147483648", "0" * 30 + "1"), ("2147483648", "-2147483649")),
    "short": (("32767", "-32768"), ("32768",)),
    "byte": (("127", "-128"), ("128", "-129")),
    "unsignedLong": (("18446744073709551615",), ("18446744073709551616", "-1")),
    "unsignedInt": (("4294967295",), ("4294967296",)),
    "unsignedShort": (("65535",), ("65536",)),
    "unsignedByte": (("255", "+0"), ("256", "-1")),
    "double": (("1", "-1.5E-10", ".5e3", "INF", "+INF", "-INF", "NaN", "1e400"), ("inf", "nan", "1e", "e1", "")),
    "float": (("1.5", "INF", "NaN"), ("Infinity", "0x1")),
    "string": (("", " any \n", "\U0001f600"), ("\x00", "\ufffe")),
    "normalizedString": (("", " a  b "), ("a\tb", "a\n")),
    "token": (("", "a b"), (" a", "a ", "a  b", "a\tb")),
    "language": (("en", "en-GB", "x-abcdefgh"), ("", "en_GB", "toolonglang", "en-")),
    "Name": (("a", ":a", "_1", "é.b-c"), ("1a", "-a", "", "a b")),
    "NCName": (("a", "_a.1"), ("a:b", ":a", "1", "")),
    "NMTOKEN": (("1a", "-", "a:b"), ("", "a b")),
    "NMTOKENS": (("a b", "1"), ("", "a  b", " a")),
    "IDREFS": (("a b",), ("a 1", "")),
    "QName": (("a", "p:a"), ("p:", ":a", "a:b:c")),
    "anyURI": (("http://a.b/c", "", "../x", "é"), (" a", "a\n")),
    "hexBinary": (("", "0aFF"), ("0", "0g", "0a ")),
    "base64Binary": (("", "YQ==", "YWI=", "YWJj", "Y W J j"), ("YQ=", "Y", "YR==", "YWJ=", "YW*j")),
    "date": (
        ("2024-02-29", "2000-02-29", "0000-01-01", "-0004-02-29", "12024-01-01", "2024-01-01Z", "2024-01-01+14:00"),
        ("2023-02-29", "1900-02-29", "2024-13-01", "2024-04-31", "24-01-01", "2024-1-1", "02024-01-01", "+2024-01-01",
         "2024-01-01+14:01", "2024-01-01T00:00:00", "", "2024-00-10", "2024-01-01 "),
    ),
    "dateTime": (
        ("2024-01-01T00:00:00", "2024-01-01T24:00:00", "2024-01-01T23:59:59.999Z", "2024-01-01T24:00:00.000-05:00"),
        ("2024-01-01", "2024-01-01T25:00:00", "2024-01-01T24:00:01", "2024-01-01T00:60:00", "2024-01-01T00:00:60",
         "2024-01-01 00:00:00", "2024-01-01T00:00", "2024-01-01T00:00:00.", "2023-02-29T00:00:00"),
    ),
    "dateTimeStamp": (("2024-01-01T00:00:00Z",), ("2024-01-01T00:00:00",)),
    "time": (("00:00:00", "24:00:00", "12:00:00.5+02:00"), ("24:00:01", "1:00:00", "12:00", "12:00:00+2:00")),
    "gYear": (("2024", "-0001", "0000", "2024Z", "12345"), ("24", "02024", "2024-")),
    "gYearMonth": (("2024-12",), ("2024-13", "2024")),
    "gMonth": (("--12", "--01Z"), ("--13", "12", "--1")),
    "gMonthDay": (("--02-29", "--12-31"), ("--02-30", "--04-31", "02-01")),
    "gDay": (("---31",), ("---32", "---0", "31")),
    "duration": (("P1Y2M3DT4H5M6.7S", "-P1D", "PT0S", "P0Y"), ("P", "P1DT", "PT", "1D", "P-1D", "P1S", "PT.5S")),
    "yearMonthDuration": (("P1Y", "-P13M"), ("P1D", "P", "PT1H")),
    "dayTimeDuration": (("P1D", "PT1M"), ("P1Y", "P1M", "P")),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_lexical_forms(name: str) -> None:
    good, bad = FORMS[name]
    assert {text: well_formed(literal(text, name)) for text in good} == dict.fromkeys(good, True)
    assert {text: well_formed(literal(text, name)) for text in bad} == dict.fromkeys(bad, False)


def test_a_year_may_be_longer_than_python_reads_numbers() -> None:
    assert well_formed(literal("1" + "0" * 6000 + "-02-29", "date"))
    assert value_of(literal("1" + "0" * 6000 + "-02-29", "date")) is None


def test_other_datatypes_have_no_lexical_space_here() -> None:
    assert lexical_space("http://example.org/type") is None
    assert lexical_space(PREFIXES["rdf"] + "langString") is None
    assert well_formed(Literal("x", datatype=NamedNode("http://example.org/type")))
    assert well_formed(Literal("x", language="en"))


ORDERED = [
    ("1", "integer", "1.5", "decimal"),
    ("-1", "int", "0", "nonNegativeInteger"),
    ("10", "integer", "9" * 5000, "integer"),
    ("0.1", "float", "0.10000001", "double"),
    ("1", "integer", "INF", "double"),
    ("-INF", "float", "-1e38", "double"),
    ("false", "boolean", "1", "boolean"),
    ("B", "string", "a", "string"),
    ("a", "token", "b", "string"),
    ("2024-01-01", "date", "2024-01-02", "date"),
    ("-0002-01-01", "date", "-0001-01-01", "date"),
    ("2024-01-01T12:00:00+02:00", "dateTime", "2024-01-01T11:00:00Z", "dateTime"),
    ("2024-01-01T12:00:00", "dateTime", "2024-01-02T03:00:00Z", "dateTime"),
    ("2024-01-01T12:00:00Z", "dateTimeStamp", "2024-01-01T12:00:00.001Z", "dateTime"),
    ("23:00:00", "time", "23:00:01", "time"),
    ("2023", "gYear", "2024", "gYear"),
    ("2024-01", "gYearMonth", "2024-02", "gYearMonth"),
    ("--02-29", "gMonthDay", "--03-01", "gMonthDay"),
    ("---01", "gDay", "---31", "gDay"),
    ("--01", "gMonth", "--02", "gMonth"),
    ("P1Y", "duration", "P13M", "yearMonthDuration"),
    ("P1D", "duration", "PT25H", "dayTimeDuration"),
    ("-P1M", "duration", "P0D", "duration"),
    ("P1M", "duration", "P32D", "duration"),
]


@pytest.mark.parametrize(("less", "of", "more", "than"), ORDERED)
def test_order(less: str, of: str, more: str, than: str) -> None:
    one, other = value_of(literal(less, of)), value_of(literal(more, than))
    assert (compare(one, other), compare(other, one), compare(one, one)) == (-1, 1, 0)


EQUAL = [
    ("1", "integer", "1.0", "decimal"),
    ("1.0", "decimal", "1e0", "double"),
    ("0.1", "decimal", "0.1", "float"),
    ("true", "boolean", "1", "boolean"),
    ("2024-01-01T24:00:00", "dateTime", "2024-01-02T00:00:00", "dateTime"),
    ("24:00:00", "time", "00:00:00", "time"),
    ("2024-01-01Z", "date", "2024-01-01+00:00", "date"),
    ("P1Y", "duration", "P12M", "duration"),
    ("PT24H", "duration", "P1D", "duration"),
]


@pytest.mark.parametrize(("one", "of", "other", "as_"), EQUAL)
def test_equal_values(one: str, of: str, other: str, as_: str) -> None:
    assert compare(value_of(literal(one, of)), value_of(literal(other, as_))) == 0


INCOMPARABLE = [
    ("NaN", "double", "NaN", "double"),
    ("NaN", "float", "1", "integer"),
    ("1", "integer", "1", "string"),
    ("1", "integer", "true", "boolean"),
    ("2024-01-01", "date", "2024-01-01T00:00:00", "dateTime"),
    ("2024-01-01T12:00:00", "dateTime", "2024-01-01T12:00:00Z", "dateTime"),
    ("2024-01-01T12:00:00", "dateTime", "2024-01-02T02:00:00Z", "dateTime"),
    ("P1M", "duration", "P30D", "duration"),
    ("abc", "integer", "1", "integer"),
    ("aa", "hexBinary", "bb", "hexBinary"),
    ("a", "anyURI", "b", "anyURI"),
]


@pytest.mark.parametrize(("one", "of", "other", "as_"), INCOMPARABLE)
def test_values_without_an_order(one: str, of: str, other: str, as_: str) -> None:
    assert compare(value_of(literal(one, of)), value_of(literal(other, as_))) is None


def test_texts_with_a_language_have_no_order() -> None:
    assert value_of(Literal("a", language="en")) is None
    assert compare(None, None) is None


@given(st.datetimes(), st.datetimes())
def test_moments_are_ordered_as_python_orders_them(one: object, other: object) -> None:
    first, second = (value_of(literal(moment.isoformat(), "dateTime")) for moment in (one, other))  # type: ignore[attr-defined]
    assert compare(first, second) == (one > other) - (one < other)  # type: ignore[operator]


@given(st.dates(), st.text(max_size=3))
def test_dates_are_well_formed_and_nothing_may_follow(day: object, more: str) -> None:
    text = str(day)
    assert well_formed(literal(text, "date"))
    assert well_formed(literal(text + more, "date")) == (more in ("", "Z"))


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_are_ordered_as_python_orders_them(one: object, other: object) -> None:
    first, second = (value_of(literal(f"{number:f}", "decimal")) for number in (one, other))
    assert compare(first, second) == (one > other) - (one < other)  # type: ignore[operator]
