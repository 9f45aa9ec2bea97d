"""The pieces in which a run fetches and writes: blocks of UIDs, and batches of messages."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..errors import FastimapError
from ..model.row import FetchedMessage
from ..model.sequence_set import UIDSet

__all__ = ["CUTS", "TOGETHER", "blocks", "chunks", "gathered"]

TOGETHER = 100
"""Messages that are written together."""
CUTS = 3
"""Messages of a mailbox at which a run's connection may end, before the mailbox is given up: that takes its time."""
_BLOCKS = (100, 1000)
"""Messages in the first blocks, from the newest on; all that follow have the next number."""
_BLOCK = 5000
_GATHERED = 256 * 1024
"""Octets of messages that are written together, where they come in smaller pieces,"""
_GATHER = 0.25
"""unless that takes so many seconds."""

T = TypeVar("T")


def chunks(whole: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of so many values, the last one of what is left."""
    left = iter(whole)
    while some := list(itertools.islice(left, size)):
        yield some


def blocks(uids: UIDSet, newest_first: bool) -> Iterator[UIDSet]:
    """Yield sets that make up this one, the newest first."""
    if not newest_first:
        yield from uids.chunks(_BLOCK)
        return
    sizes = iter(_BLOCKS)
    ranges = list(uids.ranges)
    while ranges:
        room = next(sizes, _BLOCK)
        taken: list[tuple[int, int]] = []
        while ranges and room:
            low, high = ranges.pop()
            start = max(low, high - room + 1)
            taken.append((start, high))
            room -= high - start + 1
            if start > low:
                ranges.append((low, start - 1))
        yield UIDSet.from_ranges(tuple(reversed(taken)))


def gathered(batches: Iterable[list[FetchedMessage]], bwlimit: int | None) -> Iterator[list[FetchedMessage]]:
    """Yield larger batches, as each has its cost; an error comes after what has arrived."""
    most = _GATHERED if bwlimit is None else min(_GATHERED, bwlimit // 4)
    together: list[FetchedMessage] = []
    octets, until = 0, 0.0
    try:
        for rows in batches:
            now = time.monotonic()
            if not together:
                until = now + _GATHER
            together += rows
            octets += sum([len(row.body or b"") for row in rows])
            if octets >= most or len(together) >= TOGETHER or now >= until:
                yield together
                together, octets = [], 0
    except FastimapError:
        if together:
            yield together
        raise
    if together:
        yield together
