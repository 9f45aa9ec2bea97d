"""Dates of messages as numbers: both twins give what `Envelope.date` says, or leave the date to it."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastimap.archive.messages import date_of
from fastimap.model._dates import mail_date
from tests.parser.conftest import TWINS, built

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(octets: bytes) -> int | None:
    """Return what the twins agree on."""
    (found,) = {importlib.import_module(TWINS[twin]).mail_seconds([octets])[0] for twin in built()}
    assert found is None or isinstance(found, int)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", 880127706),  # RFC 5322, appendix A.1.1
        ("Thu, 1 Jan 1970 00:00:00 +0000", 0),
        ("1 Jan 1970 00:00:00 +0100", -3600),
        ("Thu, 29 Feb 2024 23:59:59 -1459 (CET)", 1709305139),
        ("31 Dec 9999 23:59:59 +0000", 253402300799),
        ("01 Jan 1000 00:00:00 +0000", -30610224000),
        ("Thu, 29 Feb 2001 00:00:00 +0000", None),
        ("Thu, 31 Apr 2001 00:00:00 +0000", None),
        ("Thu, 0 Apr 2001 00:00:00 +0000", None),
        ("Mon, A Nov 1997 09:55:06 -0600", None),
        (": Nov 1997 09:55:06 -0600", None),
        ("Fri, 21 Nov 97 09:55:06 -0600", None),
        ("Fri, 21 Nov 1997 24:00:00 -0600", None),
        ("Fri, 21 Nov 1997 09:55:60 -0600", None),
        ("Fri, 21 Nov 1997 09:55:06 -1500", None),
        ("Fri, 21 Nov 1997 09:55:06 (CET)", None),
        ("Fri, 21 Nov 1997 09:55:06 -0600 ()", None),
        ("Fri, 21 Nov 1997 09:55:06 -0600 (ABCDEF)", None),
        ("Fri, 21 Nov 1997 09:55:06 -0600 (AB1)", None),
        ("Fri, 21 Nov 1997 09:55:06 -0600\n", None),
        ("", None),
    ],
)
def test_a_date(text: str, expected: int | None) -> None:
    assert seconds(text.encode()) == expected


@pytest.mark.parametrize("twin", built())
def test_of_many_each_has_its_own(twin: str) -> None:
    dates = [None, b"1 Jan 1970 00:00:10 +0000", b"no date", b"1 Jan 1970 00:00:20 +0000"]
    assert importlib.import_module(TWINS[twin]).mail_seconds(dates) == [None, 10, None, 20]


@pytest.mark.parametrize("twin", built())
def test_what_is_no_octets(twin: str) -> None:
    """Of a row that was made by hand."""
    date = "1 Jan 1970 00:00:10 +0000"
    dates = [date, bytearray(date.encode()), memoryview(date.encode()), 5, object()]
    assert importlib.import_module(TWINS[twin]).mail_seconds(dates) == [None] * 5


PIECES = [
    "Mon",
    "Jan",
    "Dec",
    "31",
    "1",
    "2024",
    "0999",
    "23",
    "24",
    "59",
    ":",
    " ",
    ",",
    "+",
    "-",
    "0000",
    "(CET)",
    "\0",
]
USUAL = "Fri, 21 Nov 1997 09:55:06 -0600 (CST)"


@given(
    st.integers(0, len(USUAL)),
    st.integers(0, 3),
    st.sampled_from(["", *PIECES]) | st.text("0123456789 :+-", max_size=4),
)
@example(0, 0, "")
def test_almost_a_date(at: int, out: int, put: str) -> None:
    """A date with some octets taken out and others put in is read as `Envelope.date` reads it, or not at all."""
    octets = (USUAL[:at] + put + USUAL[at + out :]).encode()
    found = seconds(octets)
    if found is not None:
        moment = mail_date(octets)
        assert moment is not None
        assert EPOCH + timedelta(seconds=found) == moment


@pytest.mark.parametrize("usual", [USUAL, "Sat, 1 Nov 1997 09:55:06 -0600", "1 Nov 1997 09:55:06 -0600 (CST)"])
def test_any_octet_in_any_place_of_a_date(usual: str) -> None:
    for at in range(len(usual)):
        for octet in range(256):
            octets = usual[:at].encode() + bytes([octet]) + usual[at + 1 :].encode()
            found = seconds(octets)
            if found is not None:
                moment = mail_date(octets)
                assert moment is not None, octets
                assert EPOCH + timedelta(seconds=found) == moment, octets


@given(
    st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30)),
    st.integers(-899, 899),
    st.sampled_from(["%d", "%a, %d"]),
)
def test_any_moment(moment: datetime, minutes: int, day: str) -> None:
    sign, ahead = "-" if minutes < 0 else "+", abs(minutes)
    text = f"{moment:{day} %b} {moment.year:04} {moment:%H:%M:%S} {sign}{ahead // 60:02}{ahead % 60:02}"
    found = seconds(text.encode())
    assert found is not None
    assert found == (moment.replace(tzinfo=UTC, microsecond=0) - EPOCH).total_seconds() - 60 * minutes


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-899, 899))
@example(datetime(1996, 7, 17, 2, 44, 25), -420)  # RFC 9051, section 7.5.2: 837596665
def test_of_an_internal_date(moment: datetime, minutes: int) -> None:
    sign, ahead = "-" if minutes < 0 else "+", abs(minutes)
    text = f"{moment:%d-%b}-{moment.year:04} {moment:%H:%M:%S} {sign}{ahead // 60:02}{ahead % 60:02}"
    line = f'* 1 FETCH (UID 1 INTERNALDATE "{text}")\r\n'.encode()
    expected = (moment.replace(tzinfo=UTC, microsecond=0) - EPOCH).total_seconds() - 60 * minutes
    for twin in built():
        row = importlib.import_module(TWINS[twin]).fetch([line])
        assert row.internal_date.timestamp() == expected
        assert date_of(row) == expected
        assert isinstance(date_of(row), int)


@pytest.mark.parametrize("twin", built())
@pytest.mark.parametrize("item", ["UID 1", 'INTERNALDATE "30-Feb-2024 00:00:00 +0000"', "INTERNALDATE NIL"])
def test_of_no_internal_date(twin: str, item: str) -> None:
    row = importlib.import_module(TWINS[twin]).fetch([f"* 1 FETCH ({item})\r\n".encode()])
    assert row.internal_date is None
    assert date_of(row) is None
