"""Which commands may be in flight together (RFC 9051, section 5.5), and whose a literal is that goes to a file."""

from __future__ import annotations

import functools
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any

from ..commands.base import Command, Session
from ..parser import Write
from .pending import Pending

__all__ = ["Flight"]

# More commands in flight gain nothing: this many cover a round trip of a second at 1,000 answers a second.
_MOST = 1000

# Kinds of commands that do not disturb each other. Two of one kind additionally have disjoint `ranges()`. All else
# goes alone.
_TOGETHER = {
    frozenset(pair)
    for pair in (
        ("fetch",),
        ("fetch-by-number",),
        ("store",),
        ("search",),
        ("append",),
        ("noop",),
        ("status",),
        ("fetch", "search"),
        ("fetch", "append"),
        ("fetch", "noop"),
        ("search", "append"),
        ("status", "list"),
    )
}


class Flight:
    """The commands in flight, oldest first, and what may join them.

    Example: while ``UID FETCH 1:500`` is in flight (kind "fetch", ranges ((1, 500),)), ``UID FETCH 501:600`` may join
    it, and so may a SEARCH; ``UID FETCH 400:600`` waits, and so does a STORE.
    """

    def __init__(self) -> None:
        self.by_tag: dict[bytes, Pending[Any]] = {}
        self.streaming: int = 0
        """How many of them hand literals to a sink."""
        self.one_by_one: bool = False
        """Whether what follows a response depends on it, so that each has to be framed on its own.

        After an OK may be TLS, or compressed octets, or a literal that is not for the file of the command it answers.
        """
        self._kinds: dict[str | None, int] = {}
        self._busy: dict[str, list[tuple[int, int]]] = {}

    def may_start(self, command: Command[Any], session: Session) -> bool:
        """Whether `command` may join those in flight."""
        if not self.by_tag:
            return True
        kind = command.kind
        if len(self.by_tag) >= _MOST or kind is None:
            return False
        for other in self._kinds:
            if other is None or frozenset((other, kind)) not in _TOGETHER:
                return False
        busy = self._busy.get(kind)
        return not busy or not any(_overlaps(busy, low, high) for low, high in command.ranges(session))

    def start(self, pending: Pending[Any], session: Session) -> None:
        """Add a command that is being sent."""
        command = pending.command
        kind = command.kind
        self.by_tag[command.tag] = pending
        self.one_by_one = len(self.by_tag) == 1 and (command.ends_encoding or command.streams)
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        self.streaming += command.streams
        if kind is not None and (spans := command.ranges(session)):
            pending.spans = spans
            busy = self._busy.setdefault(kind, [])
            for span in spans:
                insort(busy, span)

    def land(self, pending: Pending[Any]) -> None:
        """Remove a command that was answered."""
        command = pending.command
        kind = command.kind
        del self.by_tag[command.tag]
        self.one_by_one = len(self.by_tag) == 1 and any(
            left.command.ends_encoding or left.command.streams for left in self.by_tag.values()
        )
        self.streaming -= command.streams
        count = self._kinds[kind] - 1
        if count:
            self._kinds[kind] = count
        else:
            del self._kinds[kind]
        if kind is not None and pending.spans:
            busy = self._busy[kind]
            for span in pending.spans:
                del busy[bisect_left(busy, span)]

    @property
    def claims_news(self) -> bool:
        """Whether one of them may claim what servers say at any time."""
        return any(pending.command.claims_news for pending in self.by_tag.values())

    def sink(self, sequence_number: int | None, uid: int | None, name: str, size: int) -> Write | None:
        """Return where a literal of a FETCH response goes; see :mod:`fastimap.parser`."""
        for pending in self.by_tag.values():
            if not pending.command.streams:
                continue
            if pending.command.abandoned:
                return _discard
            write = pending.command.sink(sequence_number, uid, name, size)
            if write is not None:
                return functools.partial(_write_awaited, pending, write)
        return None


def _overlaps(busy: list[tuple[int, int]], low: int, high: int) -> bool:
    """Whether one of the sorted, disjoint ranges in `busy` has a number in common with `low` to `high`."""
    index = bisect_left(busy, (low, 0))
    return (index < len(busy) and busy[index][0] <= high) or (index > 0 and busy[index - 1][1] >= low)


def _discard(octets: memoryview) -> None:
    """Stand in for the file of a command that is not awaited any more: the file may be used for something else now."""


def _write_awaited(pending: Pending[Any], write: Callable[[memoryview], object], octets: memoryview) -> None:
    if not pending.command.abandoned:
        write(octets)
