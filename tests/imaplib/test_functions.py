"""The functions and names of the module."""

from __future__ import annotations

import calendar
import imaplib as stdlib
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import fastimap
from fastimap import imaplib
from fastimap.imaplib.arguments import QUOTED

EIGHT_MEGABYTES = 8_000_000  # quadratic time would mean hours


@pytest.fixture(params=["UTC", "STD-1DST,M3.2.0,M11.1.0", "MST+07MDT,M4.1.0,M10.5.0", "XXX+03:30"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        (b"2 (FLAGS (\\Seen \\Deleted) UID 4)", (b"\\Seen", b"\\Deleted")),
        (b"* FLAGS (\\Seen x[y])", (b"\\Seen", b"x[y]")),
        (b"FLAGS ()", ()),
        (b"FLAGS (a) FLAGS (b c)", (b"b", b"c")),
        (b"FLAGS (a) FLAGS (b", (b"a",)),
        (b"FLAGS (a FLAGS (b)", (b"b",)),
        (b"FLAGS (a\nb)", (b"a", b"b")),
        (b"x\nFLAGS (a)", ()),
        (b"FLAGS (a)\nFLAGS (b)", (b"a",)),
        (b"FLAGS(a)", ()),
        (b"flags (a)", ()),
        (b")", ()),
        (b"", ()),
        (bytearray(b"FLAGS (a)"), (b"a",)),
    ],
)
def test_parse_flags(line: Any, flags: tuple[bytes, ...]) -> None:
    assert imaplib.ParseFlags(line) == flags == stdlib.ParseFlags(line)


def test_parse_flags_is_the_pattern_of_the_standard_library() -> None:
    rng = random.Random(2683)
    pieces = [b"FLAGS (", b"FLAGS", b" (", b")", b"\n", b" ", b"a", b"\\Seen", b"\r"]
    for _ in range(20_000):
        line = b"".join(rng.choices(pieces, k=rng.randint(0, 12)))
        assert imaplib.ParseFlags(line) == stdlib.ParseFlags(line), line


@pytest.mark.parametrize("line", ["FLAGS (a)", None, 5])
def test_parse_flags_of_what_is_no_octets(line: Any) -> None:
    with pytest.raises(TypeError):
        imaplib.ParseFlags(line)


@pytest.mark.parametrize("piece", [b"FLAGS (", b"F", b"FLAGS (\n", b")FLAGS (", b'"'])
def test_hostile_lines_take_linear_time(piece: bytes) -> None:
    line = piece * (EIGHT_MEGABYTES // len(piece))
    imaplib.ParseFlags(line)
    imaplib.Internaldate2tuple(line)


@pytest.mark.parametrize("piece", [b"INTERNALDATE ", b'INTERNALDATE "01-Jan-2000 ', b'(INTERNALDATE "'])
def test_hostile_dates_take_linear_time(piece: bytes) -> None:
    assert imaplib.Internaldate2tuple(piece * (EIGHT_MEGABYTES // len(piece))) is None


@pytest.mark.parametrize("piece", [rb'"\"', b'"a" ', b'"(', rb"\\", b'a"b'])
def test_hostile_quotes_take_linear_time(piece: bytes) -> None:
    line = piece * (EIGHT_MEGABYTES // len(piece))
    QUOTED.fullmatch(b'"' + line)


@pytest.mark.parametrize(
    ("date_time", "moment"),
    [
        (b"01-Jan-2000 00:00:00 +0000", (2000, 1, 1, 0, 0, 0)),
        (b" 1-Jan-2000 11:30:00 +1130", (2000, 1, 1, 0, 0, 0)),
        (b"31-Dec-1999 12:30:00 -1130", (2000, 1, 1, 0, 0, 0)),
        (b"17-Jul-1996 02:44:25 -0700", (1996, 7, 17, 9, 44, 25)),
    ],
)
def test_internaldate2tuple(zone: str, date_time: bytes, moment: tuple[int, ...]) -> None:
    line = b'25 (FLAGS () INTERNALDATE "' + date_time + b'" UID 3)'
    local = imaplib.Internaldate2tuple(line)
    assert local is not None
    assert local == time.localtime(calendar.timegm(moment))
    assert local == stdlib.Internaldate2tuple(line)


def test_internaldate2tuple_around_the_change_of_clocks(zone: str) -> None:
    first, second = (
        imaplib.Internaldate2tuple(b'INTERNALDATE "02-Apr-2000 0%d:30:00 +0000"' % hour) for hour in (2, 3)
    )
    assert first != second


@pytest.mark.parametrize(
    "line",
    [
        b'INTERNALDATE "00-Jan-0000 00:00:00 +0000"',  # Lotus Domino
        b'INTERNALDATE "01-Xyz-2000 00:00:00 +0000"',
        b'INTERNALDATE "1-Jan-2000 00:00:00 +0000"',
        b'INTERNALDATE "01-Jan-2000 00:00:00 UTC"',
        b"INTERNALDATE NIL",
        b"",
    ],
)
def test_internaldate2tuple_of_what_is_none(line: bytes) -> None:
    assert imaplib.Internaldate2tuple(line) is None


def test_time2internaldate(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """2,000,000,000 seconds after the epoch it is 3:33:20 in UTC on 18 May 2033."""
    expected = {
        "UTC": '"18-May-2033 03:33:20 +0000"',
        "STD-1DST,M3.2.0,M11.1.0": '"18-May-2033 05:33:20 +0200"',
        "MST+07MDT,M4.1.0,M10.5.0": '"17-May-2033 21:33:20 -0600"',
        "XXX+03:30": '"18-May-2033 00:03:20 -0330"',
    }[zone]
    local = time.localtime(2_000_000_000)
    date, until_dst = local[:6], local[:8]
    moments: list[Any] = [2_000_000_000, 2_000_000_000.5, local, tuple(local), (*until_dst, -1), (*date, -1, -1, -1)]
    for moment in moments:
        assert imaplib.Time2Internaldate(moment) == expected == stdlib.Time2Internaldate(moment)
    assert datetime.fromtimestamp(2_000_000_000).timetuple().tm_gmtoff is None
    assert imaplib.Time2Internaldate(datetime.fromtimestamp(2_000_000_000).timetuple()) == expected


def test_time2internaldate_of_other_types() -> None:
    moment = datetime(2033, 5, 18, 5, 3, 20, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    assert imaplib.Time2Internaldate(moment) == '"18-May-2033 05:03:20 -0330"'
    assert imaplib.Time2Internaldate(datetime(1, 2, 3, tzinfo=UTC)) == '"03-Feb-0001 00:00:00 +0000"'
    assert imaplib.Time2Internaldate('"as it is"') == '"as it is"'


@pytest.mark.parametrize(
    "value", ["18-May-2033 05:33:20 +0200", "", '"', '"a" "b"', '"a\n"', b'"x"', None, datetime(2033, 5, 18)]
)
def test_time2internaldate_of_what_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match="date"):
        imaplib.Time2Internaldate(value)


def test_months_are_in_no_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for month, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1):  # noqa: SIM905
        moment = datetime(2033, month, 18, tzinfo=UTC)
        assert imaplib.Time2Internaldate(moment) == f'"18-{name}-2033 00:00:00 +0000"'
        assert imaplib.Mon2num[name.encode()] == month
        assert imaplib.Months[month] == name


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, b""), (1, b"B"), (15, b"P"), (16, b"BA"), (-4096, b"BAAA"), (65535, b"PPPP"), (17.9, b"BB")],
)
def test_int2ap(number: float, text: bytes) -> None:
    assert imaplib.Int2AP(number) == text == stdlib.Int2AP(number)


def test_version_is_deprecated() -> None:
    with pytest.warns(
        DeprecationWarning, match="'__version__' is deprecated and slated for removal in Python 3.20"
    ) as caught:
        assert imaplib.__version__ == "2.60"
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        imaplib.version  # noqa: B018


IMPORTED_BY_THE_STANDARD_LIBRARY_ALONE = {"DEFAULT_BUFFER_SIZE", "calendar", "errno", "random", "timedelta", "timezone"}


@pytest.mark.parametrize(
    "name", sorted(name for name in set(vars(stdlib)) - IMPORTED_BY_THE_STANDARD_LIBRARY_ALONE if name[0] != "_")
)
def test_names_of_the_standard_library(name: str) -> None:
    assert hasattr(imaplib, name)


@pytest.mark.parametrize("cls", ["IMAP4", "IMAP4_SSL", "IMAP4_stream"])
def test_methods_of_the_standard_library(cls: str) -> None:
    ours, theirs = getattr(imaplib, cls), getattr(stdlib, cls)
    missing = {name for name in dir(theirs) if not hasattr(ours, name)}
    assert missing <= {"_get_capabilities", "_close_imaplib_file"} | {name for name in missing if name.startswith("__")}


def test_commands_of_the_standard_library() -> None:
    # As it is by itself: IMAPClient and imap_tools put more into it when they are imported.
    shown = subprocess.run(
        [sys.executable, "-c", "import imaplib, json; print(json.dumps(imaplib.Commands))"],
        capture_output=True,
        check=True,
    )
    for name, states in json.loads(shown.stdout).items():
        assert set(imaplib.Commands[name]) == set(states), name


def test_patterns_of_the_standard_library() -> None:
    for name in (
        "Continuation",
        "Flags",
        "InternalDate",
        "Literal",
        "MapCRLF",
        "Response_code",
        "Untagged_response",
        "Untagged_status",
    ):
        ours, theirs = getattr(imaplib, name), getattr(stdlib, name)
        assert ours.groupindex.keys() == theirs.groupindex.keys()
        # Functions of `re` take a compiled pattern, and nothing that is like one.
        line = b"* 3 EXISTS {5}"
        assert (re.match(ours, line) is None) == (re.match(theirs, line) is None), name
    assert imaplib.CRLF == b"\r\n"
    assert (imaplib.IMAP4_PORT, imaplib.IMAP4_SSL_PORT) == (143, 993)
    assert imaplib.AllowedVersions == ("IMAP4REV1", "IMAP4")


def test_star_import() -> None:
    assert set(imaplib.__all__) == set(stdlib.__all__)


def test_package() -> None:
    assert fastimap.imaplib is imaplib
    assert fastimap.IMAP4 is imaplib.IMAP4
    assert fastimap.IMAP4_SSL is imaplib.IMAP4_SSL
    assert fastimap.IMAP4_stream is imaplib.IMAP4_stream
    assert fastimap.IMPLEMENTATION in ("c", "py")
