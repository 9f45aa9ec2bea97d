"""FETCH over several connections at once, driven by one selector in the caller's thread."""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from ...clients.blocking import Client
from ...conversation.plan import BUDGET
from ...conversation.streams import FetchStream
from ...model.row import FetchedMessage
from ...model.sequence_set import UIDSet
from ..retry import Attempts, seconds_to_sleep
from ._base import next_piece
from .lending import Resting

if TYPE_CHECKING:
    from .blocking import Pool

__all__ = ["Lane", "fetch"]


class Lane:
    """A connection among several that fetch."""

    def __init__(self, one: Resting[Client]) -> None:
        self.one = one
        self.stream: FetchStream | None = None
        self.failed: Any = None
        """The protocol of the connection that was lost."""
        self.wake_at: float = 0.0

    @property
    def client(self) -> Client:
        return self.one.client


def fetch(
    pool: Pool, lanes: list[Lane], work: deque[UIDSet], items: tuple[str, ...]
) -> Generator[FetchedMessage, None, None]:
    """Yield the messages of `work` by the connections of `lanes`; one that others wait for is given back early."""
    attempts = Attempts(pool._retry)
    budget = BUDGET // len(lanes)  # all together have what one would have
    selector = selectors.DefaultSelector()
    try:
        while True:
            moved = False
            for lane in [*lanes]:
                if lane.stream is None and len(lanes) > 1 and pool._book.waiters:  # others are to have their turn
                    lanes.remove(lane)
                    pool._give_back(lane.one)
                    continue
                try:
                    rows, went_on = _advance(lane, work, items, len(lanes), budget)
                except Exception as exc:
                    lane.wake_at = time.monotonic() + seconds_to_sleep(attempts.failed(exc))
                    stream, lane.stream = lane.stream, None
                    if stream is not None:
                        lane.failed = stream.protocol
                        owed = stream.owed
                        stream.close()
                        if owed:
                            assert isinstance(owed, UIDSet)
                            work.appendleft(owed)
                    continue
                moved = moved or went_on
                if rows:
                    attempts.progress()
                    yield from rows
                    now = time.monotonic()
                    for other in lanes:
                        other.client._deadlines.rest(now)  # the caller took the time, not the server
            if not work and all(lane.stream is None for lane in lanes):
                return
            if not moved:
                _wait_for(selector, lanes, bool(work), pool._retry.sleep or time.sleep)
    finally:
        selector.close()
        for lane in lanes:
            if lane.stream is not None:
                lane.stream.close()


def _advance(
    lane: Lane, work: deque[UIDSet], items: tuple[str, ...], connections: int, budget: int
) -> tuple[list[FetchedMessage], bool]:
    """Read and write what is possible now; return the rows, and whether something went on."""
    client = lane.client
    if lane.stream is None:
        if not work or lane.wake_at > time.monotonic():
            return [], False
        if lane.failed is not None:
            client._connect_instead_of(lane.failed)
            lane.failed = None
        lane.stream = FetchStream(client._protocol, next_piece(work, connections), items, budget=budget)
    stream = lane.stream
    before = client.counters.octets_in + client.counters.octets_out
    rows = stream.take()
    if not rows and not stream.done:
        client._turn(time.monotonic(), lambda: stream.ready)
        rows = stream.take()
    if stream.done and not rows:
        lane.stream = None
        return [], True
    return rows, bool(rows) or client.counters.octets_in + client.counters.octets_out != before


def _wait_for(
    selector: selectors.BaseSelector, lanes: list[Lane], work: bool, sleep: Callable[[float], object]
) -> None:
    """Wait until a connection has something to read, or something is due."""
    now = time.monotonic()
    due = []
    for lane in lanes:
        if lane.stream is None:
            if work:
                due.append(lane.wake_at)
            continue
        patience = lane.client._deadlines.until(now)
        if patience is not None:
            due.append(patience)
        if lane.client._socket is not None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.client._unsent else 0)
            selector.register(lane.client._socket, events)
            if lane.client._has_more():
                due.append(now)
        else:
            due.append(now)
    timeout = max(0.0, min(due) - now) if due else None
    if selector.get_map():
        selector.select(timeout)
    elif timeout:
        sleep(timeout)
        for lane in lanes:  # it was waited for, however long the program's own sleep took
            if lane.wake_at <= now + timeout:
                lane.wake_at = 0.0
    for key in [*selector.get_map().values()]:
        selector.unregister(key.fileobj)
