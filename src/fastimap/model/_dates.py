"""Dates of messages, as nearly all mail writes them; all else is left to the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Final

from ._patterns import pattern
from .words import MONTHS

__all__ = ["DATE", "mail_date"]

DATE: Final = pattern(
    rb"(?:[A-Z][a-z][a-z], ?)?(\d\d?) ((?:" + b"|".join(month.encode() for month in MONTHS) + rb") [1-9]\d{3}) "
    rb"((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d) ([+-](?:0\d|1[0-4])[0-5]\d)(?: \([A-Za-z]{1,5}\))?"
)
"""A date-time of RFC 5322, section 3.3: day, month and year, hour and minute, second, zone."""
_MONTHS: Final = {month.encode(): number for number, month in enumerate(MONTHS, 1)}


def mail_date(octets: bytes) -> datetime | None:
    """Return the date of a Date field, aware; None where it is no date. Without a usable zone it is taken as UTC."""
    found = DATE.fullmatch(octets)
    if found is None:
        from ._email import parsed_date

        return parsed_date(octets)
    day, month, clock, second, zone = found.groups()
    try:
        return datetime(
            int(month[4:]), _MONTHS[month[:3]], int(day), int(clock[:2]), int(clock[3:]), int(second), 0, _zone(zone)
        )
    except ValueError:  # a month that has no such day
        return None


@cache  # of 1,800 at most
def _zone(octets: bytes) -> timezone:
    ahead = timedelta(hours=int(octets[1:3]), minutes=int(octets[3:]))
    return timezone(-ahead if octets[:1] == b"-" else ahead) if ahead else UTC
