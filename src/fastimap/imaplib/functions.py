"""imaplib's functions: dates and flags."""

# ruff: noqa: N802 - the names are the standard library's
from __future__ import annotations

import calendar
import imaplib as _stdlib
import re
import time
from datetime import UTC, datetime, timedelta, timezone

from ..model._patterns import pattern
from .exceptions import InvalidArgument, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Flags: re.Pattern[bytes] = _stdlib.Flags  # type: ignore[attr-defined]  # it has these, whatever typeshed says
InternalDate: re.Pattern[bytes] = _stdlib.InternalDate  # type: ignore[attr-defined]
_DATE_TIME = pattern(r'"[^"\\\0\r\n]*"')
Months: list[str] = ["", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
Mon2num: dict[bytes, int] = {name.encode("ascii"): number for number, name in enumerate(Months) if name}


def Internaldate2tuple(resp: bytes) -> time.struct_time | None:
    """Return the local time that the last INTERNALDATE in a FETCH response stands for; None if there is none."""
    found = InternalDate.match(resp)
    if found is None or found["mon"] not in Mon2num:
        return None
    year, day, hour, minute, second, zone_hours, zone_minutes = map(
        int, found.group("year", "day", "hour", "min", "sec", "zoneh", "zonem")
    )
    offset = (zone_hours * 60 + zone_minutes) * 60
    if found["zonen"] == b"-":
        offset = -offset
    try:
        seconds = calendar.timegm((year, Mon2num[found["mon"]], day, hour, minute, second))
        return time.localtime(seconds - offset)
    except (OverflowError, OSError, ValueError):  # such as 00-Jan-0000, which Lotus Domino sends
        return None


def Int2AP(num: float) -> bytes:
    """Return the absolute value of `num` in base 16, with the digits A to P."""
    digits = bytearray()
    rest = int(abs(num))
    while rest:
        rest, digit = divmod(rest, 16)
        digits.append(ord("A") + digit)
    digits.reverse()
    return bytes(digits)


def ParseFlags(resp: bytes) -> tuple[bytes, ...]:
    r"""Return the flags of a FETCH or FLAGS response, such as (b"\\Seen",): those of the last list in it."""
    line = memoryview(resp).tobytes()
    # What follows is what the pattern Flags matches, without its way back from the end of the line.
    start = b"FLAGS ("
    closing = line.rfind(b")")
    line_end = line.find(b"\n")
    limit = closing if line_end < 0 else min(closing, line_end + len(start))
    opening = line.rfind(start, 0, limit) if limit > 0 else -1
    if opening < 0:
        return ()
    opening += len(start)
    return tuple(line[opening : line.find(b")", opening)].split())


def Time2Internaldate(date_time: float | tuple[int, ...] | time.struct_time | datetime | str) -> str:
    """Return `date_time` as in ``"DD-Mmm-YYYY HH:MM:SS +HHMM"``, with the quotes. RFC 9051, section 9, date-time.

    It is seconds since the epoch, a time tuple (local time, unless it holds an offset of its own), an aware
    datetime, or a string in quotes, which is taken as it is. ValueError for all else.
    """
    if isinstance(date_time, str):
        if _DATE_TIME.fullmatch(date_time) is None:
            raise InvalidArgument(f"a date-time as str is in double quotes, not {date_time!r}")
        return date_time
    try:
        moment = _moment(date_time)
    except (TypeError, ValueError, OverflowError) as exc:  # a year, a month, a number of seconds out of range
        raise refusal(exc) from None
    # %b depends on the locale, and %Y on the C library for the years before 1000.
    return f'"{moment:%d}-{Months[moment.month]}-{moment.year:04} {moment:%H:%M:%S %z}"'


def _moment(date_time: object) -> datetime:
    if isinstance(date_time, datetime):
        if date_time.tzinfo is None:
            raise InvalidArgument("date_time must be aware")
        return date_time
    if isinstance(date_time, (int, float)):
        return datetime.fromtimestamp(date_time, UTC).astimezone()
    if isinstance(date_time, tuple):
        year, month, day, hour, minute, second = date_time[:6]
        zone = timezone(timedelta(seconds=_offset_of(date_time)))
        return datetime(year, month, day, hour, minute, second, tzinfo=zone)
    raise InvalidArgument("date_time not of a known type")


def _offset_of(time_tuple: tuple[Any, ...]) -> int:
    """Return the seconds that the time zone of `time_tuple` is ahead of UTC."""
    offset: int | None = getattr(time_tuple, "tm_gmtoff", None)
    if offset is not None:
        return offset
    if not time.daylight:
        return -time.timezone
    summer = time_tuple[8]
    if summer == -1:
        summer = time.localtime(time.mktime(time_tuple))[8]
    return -(time.altzone if summer else time.timezone)
