"""Who has which connection of a pool, and who waits for one. Waits for nothing itself."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from ...conversation.log import logger
from ...errors import ConnectionLost, PoolTimeout, StateError, Unavailable
from ...model._shown import Value

if TYPE_CHECKING:
    from ...clients.asyncio import AsyncClient
    from ...clients.blocking import Client

__all__ = ["Book", "PoolStats", "Resting", "Result", "Waiter", "too_many"]

C = TypeVar("C", "Client", "AsyncClient")
T = TypeVar("T")


_RAISE_AFTER = 300.0
"""Seconds after which one connection more is tried, where the server had refused it."""


class PoolStats(Value):
    """What a pool has and has done."""

    connections: int
    """Open, or being opened."""
    idle: int
    """Of these, not lent."""
    limit: int
    """How many there may be now: fewer than asked for where the server refused more."""
    waiting: int
    """Programs that wait for one."""
    lent: int
    """How often one was lent."""
    opened: int
    closed: int
    refused: int
    """How often the server refused one more."""
    timeouts: int
    """How often the wait for one was too long."""
    logins: int
    octets_in: int
    """Received by all its connections, those too that are closed."""


class Resting(Generic[C]):
    """A connection of the pool, since when it rests, and when it was opened (by the monotonic clock)."""

    def __init__(self, client: C, since: float, opened: float) -> None:
        self.client: C = client
        self.since = since
        self.opened = opened


class Waiter(Generic[C]):
    """Who asks for a connection: for which mailbox, if for one; `wake` is called when it is granted."""

    def __init__(self, mailbox: str | None, wake: Callable[[], object]) -> None:
        self.mailbox = mailbox
        self.wake = wake
        self.granted = False
        self.given: Resting[C] | None = None
        """What is lent; None: one may be opened."""


class Book(Generic[C]):
    """Who has which connection, and who waits for one, in the order of asking. Waits for nothing.

    :param most: how many connections there may be.
    :param max_waiting: how many may wait; None: any number.
    :param until_login: returns the seconds for which nobody may log in.
    """

    def __init__(
        self, most: int, max_waiting: int | None = None, until_login: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.most: int = most
        self.limit: int = most
        self.max_waiting = max_waiting
        self.until_login = until_login
        self.idle: list[Resting[C]] = []
        self.waiters: deque[Waiter[C]] = deque()
        self.open: int = 0
        self.closed_for_good = False
        self.raise_at: float = 0.0
        self.lent: int = 0
        self.opened: int = 0
        self.closed: int = 0
        self.refused: int = 0
        self.timeouts: int = 0

    def ask(self, waiter: Waiter[C], now: float, *, first: bool = False) -> None:
        """Grant a connection, at once or when one is free."""
        if self.closed_for_good:
            raise StateError("the pool is closed")
        if first:
            self.waiters.appendleft(waiter)
        else:
            if self.max_waiting is not None and len(self.waiters) >= self.max_waiting and not self._free(now):
                raise PoolTimeout(f"{len(self.waiters)} wait for a connection already (max_waiting)")
            self.waiters.append(waiter)
        self.serve(now)

    def serve(self, now: float) -> None:
        """Grant what is free to those who wait longest."""
        while self.waiters and self._free(now):
            waiter = self.waiters.popleft()
            waiter.given = self._choose(waiter.mailbox)
            if waiter.given is None:
                self.open += 1
            else:
                self.idle.remove(waiter.given)
            self.lent += 1
            waiter.granted = True
            waiter.wake()

    def _free(self, now: float) -> bool:
        if self.limit < self.most and now >= self.raise_at:
            self.limit += 1
            self.raise_at = now + _RAISE_AFTER
        return bool(self.idle) or self._may_open()

    def _may_open(self) -> bool:
        """Whether one more may be opened now; where none is, who asks has to wait for a login."""
        return self.open < self.limit and (not self.open or not self.until_login())

    def next_login(self) -> float | None:
        """Return the seconds after which one more may be opened, where that is for the next login alone."""
        return self.until_login() if 0 < self.open < self.limit else None

    def _choose(self, mailbox: str | None) -> Resting[C] | None:
        """Prefer the connection that has the mailbox selected, then one with none, then a new one."""
        selected = [one for one in self.idle if mailbox is not None and one.client.session.mailbox == mailbox]
        if selected:
            return selected[-1]
        if mailbox is not None and self._may_open() and all(one.client.session.mailbox for one in self.idle):
            return None
        without = [one for one in self.idle if one.client.session.mailbox is None]
        if without or self.idle:
            return without[-1] if without else self.idle[0]
        return None

    def withdraw(self, waiter: Waiter[C]) -> None:
        """Take a request back that was not granted."""
        with contextlib.suppress(ValueError):
            self.waiters.remove(waiter)

    def gone(self, now: float) -> None:
        """Note that a connection was closed, or did not come about."""
        self.open -= 1
        self.serve(now)

    def too_many(self, now: float) -> bool:
        """Note that the server refuses one more; whether there are others, so that the pool can do with fewer."""
        self.refused += 1
        others = self.open - 1
        if others < 1:
            return False
        self.limit = min(self.limit, others)
        self.raise_at = now + _RAISE_AFTER
        logger().info("the server takes no more than %d connections now", self.limit)
        return True


class Result(Value, Generic[T]):
    """What came of a job: its result, or its error."""

    value: T | None = None
    error: BaseException | None = None

    def get(self) -> T:
        """Return the result; raise the job's error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def too_many(error: Exception) -> bool:
    """Whether the server refuses one connection more, rather than all."""
    if isinstance(error, ConnectionLost):  # by a greeting of BYE
        return "too many" in str(error).lower() or "maximum number" in str(error).lower()
    return isinstance(error, Unavailable)
