"""Rows, and which of them a command claims; the twin of ``_parser_pyx/rows.pxi``.

The row of this twin stands with the face of both: :class:`~fastimap.model.row.FetchedMessage`.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, timedelta, timezone
from functools import lru_cache

from ..model.row import FetchedMessage

__all__ = ["last_ascending", "split_rows"]


@lru_cache(maxsize=128)
def _zone(minutes: int) -> timezone:
    """The zone with this offset."""
    return timezone(timedelta(minutes=minutes)) if minutes else UTC


def split_rows(
    rows: list[FetchedMessage], by_uid: bool, ranges: tuple[tuple[int, int], ...], need: int
) -> tuple[list[FetchedMessage], list[FetchedMessage]]:
    """Return the rows that lie in `ranges` and have all of `need`, and the others; see :mod:`fastimap.parser`."""
    claimed: list[FetchedMessage] = []
    others: list[FetchedMessage] = []
    lows = [low for low, _ in ranges]
    for row in rows:
        number = row._uid if by_uid else row._sequence_number
        if number is not None and row._present & need == need:
            at = bisect_right(lows, number) - 1
            if at >= 0 and number <= ranges[at][1]:
                claimed.append(row)
                continue
        others.append(row)
    return claimed, others


def last_ascending(rows: list[FetchedMessage], by_uid: bool, after: int) -> int | None:
    """Return the last number of `rows`, if they ascend from `after`; see :mod:`fastimap.parser`."""
    for row in rows:
        number = (row._uid if by_uid else row._sequence_number) or 0
        if number <= after:
            return None
        after = number
    return after
