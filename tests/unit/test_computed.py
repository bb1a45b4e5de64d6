"""What the statements that are computed rest on: the spans of dates, the form of language tags."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog.computed import date_span, well_formed_tag
from fairmesh.catalog.rdf import PREFIXES, Literal, NamedNode


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_a_moment_lies_in_the_span_of_its_date(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    xsd = PREFIXES["xsd"]
    for form, datatype in [
        (moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "dateTime"),
        (moment.strftime("%Y-%m-%d"), "date"),
        (moment.strftime("%Y-%m"), "gYearMonth"),
        (moment.strftime("%Y"), "gYear"),
    ]:
        span = date_span(Literal(form, datatype=NamedNode(xsd + datatype)))
        assert span is not None
        assert span[0] <= moment < span[1]


@pytest.mark.parametrize(
    ("tag", "fine"),
    [
        *((tag, True) for tag in ("en", "zh-Hant-TW", "sl-rozaj-1994", "x-y", "i-klingon", "de-a-b12")),
        *((tag, False) for tag in ("e", "en_US", "toolonglangtag", "en-a", "")),
    ],
)
def test_language_tags(tag: str, fine: bool) -> None:
    assert well_formed_tag(tag) is fine
