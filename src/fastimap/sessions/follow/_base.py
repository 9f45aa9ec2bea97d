"""What both followers have in common: arguments, who has which message, and how it is going."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from os import PathLike
from typing import Any, Literal

from ...conversation.log import logger
from ...errors import CursorFailed, FollowOutage, LeaseLost
from ...model.message import FetchedMessage
from ...settings import Account
from ..cursor import Cursor, Failed, Lease, Place, SQLiteCursor
from ..retry import Budget, Retry, helps
from ..tokens import AsyncTokens, Tokens
from .body import Start, Watch
from .events import FollowState, MessageParked, StateName

__all__ = ["BaseFollow", "OnReset"]

OnReset = Literal["stop", "new", "all", "match"]


_LONGEST = 86_400.0
"""Seconds for which the lease of a message in the program's hands is renewed."""
_AGAIN = 10.0


class BaseFollow:
    """A follower without the code that waits."""

    _tokens: type[Tokens] | type[AsyncTokens]
    _message: Any

    def __init__(
        self,
        account: Account,
        mailboxes: str | Iterable[str] = "INBOX",
        *,
        cursor: str | PathLike[str] | Cursor,
        start: Literal["new", "all"] | date,
        items: Sequence[str] = ("ENVELOPE", "BODY.PEEK[]"),
        lease: float = 300.0,
        deliveries: int = 5,
        on_reset: OnReset = "stop",
        once: bool = False,
        mark: str | None = None,
        move_to: str | None = None,
        max_outage: float | None = 86_400.0,
        connections: int = 4,
        in_flight: int = 100,
        poll: float = 300.0,
        status_poll: float = 60.0,
        retry: Retry = Retry(),  # noqa: B008 - it is frozen
    ) -> None:
        if not isinstance(account, Account):
            raise TypeError(f"account is a fastimap.Account, not {account!r:.100}")
        names = (mailboxes,) if isinstance(mailboxes, str) else tuple(dict.fromkeys(mailboxes))
        if not names:
            raise ValueError("no mailboxes to follow")
        if start not in ("new", "all") and not isinstance(start, date):
            raise ValueError(f'start is "new", "all" or a date, not {start!r:.100}')
        if isinstance(items, str):
            raise TypeError("items are given as a tuple, not as one")
        if on_reset not in ("stop", "new", "all", "match"):
            raise ValueError(f'on_reset is "stop", "new", "all" or "match", not {on_reset!r:.100}')
        if lease <= 0 or poll <= 0 or status_poll <= 0 or (max_outage is not None and max_outage <= 0):
            raise ValueError("lease, poll, status_poll and max_outage are over 0 seconds")
        if deliveries < 1 or connections < 1 or in_flight < 1:
            raise ValueError("deliveries, connections and in_flight are at least 1")
        self.items: tuple[str, ...] = tuple(items)
        self.lease: float = lease
        self.deliveries: int = deliveries
        self.on_reset: OnReset = on_reset
        self.once: bool = once
        self.in_flight: int = in_flight
        self.poll: float = poll
        self.status_poll: float = status_poll
        self.start: Start = start.date() if isinstance(start, datetime) else start
        self.actions: list[tuple[str, str]] = [
            *([("mark", mark)] if mark is not None else []),
            *([("move", move_to)] if move_to is not None else []),
        ]
        token = account.token
        self._max_outage = max_outage
        self._retry = replace(retry, attempts=10**9, within=max_outage, sleep=self._sleep)
        self._budget = Budget(self._retry)
        if callable(token):
            tokens = self._tokens(token)
            account = replace(account, token=tokens)
            self._budget.on_refusal = tokens.forget
        self._account = account
        self._connections = connections
        self._closes_cursor = isinstance(cursor, (str, os.PathLike))
        if isinstance(cursor, (str, os.PathLike)):
            made = SQLiteCursor(cursor, again=on_reset in ("new", "all"))
            if made.lost:
                logger().warning("the cursor %s was there, and is gone: on_reset=%r", os.fspath(cursor), on_reset)
                self.start = on_reset
            self.cursor: Cursor = made
        else:
            self.cursor = cursor
        who = f"{account.user or ''}@{account.host}"
        self._watches = [Watch(Place(who, name)) for name in names]
        self.wakes: int = 0
        self.has_object_ids: bool = False
        self._stopped = False
        self._name: StateName = "connecting"
        self._until: float | None = None
        self._error: BaseException | None = None
        self._alive_at = time.monotonic()
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}  # all that are ours, by token
        self._in_hand: dict[str, float] = {}  # those that the program has, and since when
        self._dropped: deque[Lease] = deque()
        self._by_transaction: Lease | None = None
        self._states: deque[FollowState] = deque(maxlen=1000)
        self._prepare()

    def _prepare(self) -> None:
        """Make what only the one colour needs."""

    @staticmethod
    def clock() -> float:
        """Return seconds by a clock that nobody sets."""
        return time.monotonic()

    # For the program.

    @property
    def state(self) -> FollowState:
        """How it is going, now."""
        parked = 0
        with contextlib.suppress(CursorFailed):
            parked = len(self.parked())
        return replace(self._state(), parked=parked)

    @property
    def lag(self) -> int:
        """How many messages there were at the last look that are not done."""
        return sum(watch.lag for watch in self._watches)

    def parked(self) -> list[Failed]:
        """Return the messages that are not delivered any more, with the reasons."""
        return [failed for watch in self._watches for failed in self.cursor.parked(watch.place)]

    def retry_parked(self) -> int:
        """Have them delivered again; return their number."""
        count = sum(self.cursor.unpark(watch.place) for watch in self._watches)
        self.wake()
        return count

    def stop(self) -> None:
        """End the loop after the message that the program has; from any thread, or a signal's handler."""
        self._stopped = True
        self._ring()

    def wake(self) -> None:
        """Look at all mailboxes now, for instance because the network is another one."""
        self.wakes += 1
        self._ring()

    def seek(self, start: Literal["new", "all"] | date | int, mailbox: str | None = None) -> None:
        """Go on somewhere else: what comes after is delivered, though it was done; what is before is not.

        :param start: ``"new"``, ``"all"``, a date, or the UID of the first message.
        :param mailbox: which; None: all. Leases and parked messages of it are void.
        """
        if start not in ("new", "all") and not isinstance(start, (date, int)):
            raise ValueError(f'start is "new", "all", a date or a UID, not {start!r:.100}')
        for watch in self._watches:
            if mailbox in (None, watch.place.mailbox):
                watch.seek = start.date() if isinstance(start, datetime) else start
        self.wake()

    # For the body.

    def at(self, name: StateName, until: float | None = None) -> None:
        """Note how it is going."""
        self._until = until
        if name != self._name:
            self._name = name
            self._states.append(self._state())

    def _state(self) -> FollowState:
        error = f"{type(self._error).__name__}: {self._error}" if self._error is not None else ""
        return FollowState(self._name, self._until, error, self.lag, 0, time.monotonic() - self._alive_at)

    @property
    def held(self) -> int:
        """How many messages are leased to this follower."""
        return len(self._leases)

    @property
    def full(self) -> bool:
        """Whether the program has as many messages in its hands as it may have."""
        self._settle_dropped()
        return len(self._leases) >= self.in_flight and not self._stopped

    def hold(self, leases: Iterable[Lease]) -> None:
        """Renew these leases until they are let go."""
        with self._lock:
            self._leases.update((lease.token, lease) for lease in leases)

    def let_go(self, lease: Lease) -> None:
        with self._lock:
            self._leases.pop(lease.token, None)
            self._in_hand.pop(lease.token, None)

    def made(self, lease: Lease, row: FetchedMessage) -> Any:
        """Return the message for the program."""
        message = self._message(self, lease, row)
        with self._lock:
            self._leases[lease.token] = lease
            self._in_hand[lease.token] = time.monotonic()
        weakref.finalize(message, self._dropped.append, lease).atexit = False
        return message

    def parked_now(self, lease: Lease, reason: str) -> MessageParked:
        logger().warning("UID %d of %r is parked: %s", lease.uid, lease.place.mailbox, reason)
        return MessageParked(lease.place.mailbox, lease.uid, lease.deliveries, reason)

    # For messages, and the drivers.

    def _finished(self, leases: Iterable[Lease]) -> None:
        for lease in leases:
            self.let_go(lease)
            for watch in self._watches:
                if watch.place == lease.place:
                    watch.lag = max(0, watch.lag - 1)

    def _done(self, leases: list[Lease], db: Any) -> None:
        try:
            self.cursor.done(leases, self.actions, db)
        except LeaseLost:
            for lease in leases:
                self.let_go(lease)
            raise
        if db is not None and leases:
            self._by_transaction = leases[-1]
        self._finished(leases)

    def _again(self, lease: Lease, seconds: float, reason: str, counted: bool = True) -> None:
        if counted and lease.deliveries >= self.deliveries:
            self._reject(lease, reason)
            return
        self.let_go(lease)
        self.cursor.again(lease, seconds, reason, counted=counted)

    def _reject(self, lease: Lease, reason: str) -> None:
        self.let_go(lease)
        self.cursor.park(lease, reason)
        self._states.append(self.parked_now(lease, reason))  # type: ignore[arg-type]

    def _extend(self, lease: Lease, seconds: float) -> None:
        self.cursor.extend(lease, seconds)

    def _settle_dropped(self) -> None:
        """Give back what the program let go of without a word."""
        while self._dropped:
            lease = self._dropped.popleft()
            with self._lock:
                mine = lease.token in self._in_hand
            if mine:
                with contextlib.suppress(LeaseLost):
                    wait = _AGAIN * 2 ** min(lease.deliveries - 1, 8)
                    self._again(lease, wait, "the program let go of it without done()")

    def _renew(self) -> None:
        """Renew the leases; those that the program has for longer than a day end."""
        now = time.monotonic()
        with self._lock:
            leases = [one for token, one in self._leases.items() if now - self._in_hand.get(token, now) < _LONGEST]
        if leases:
            self.cursor.renew(leases, self.lease)

    def _give_all_back(self, error: BaseException | None) -> None:
        """Give back what was not done: for the one at which an exception ended the loop it was in vain."""
        self._settle_dropped()
        with self._lock:
            leases, in_hand = dict(self._leases), list(self._in_hand)
        if error is not None:
            reason = f"{type(error).__name__}: {error}"
            last = leases.get(in_hand[-1]) if in_hand else self._by_transaction
            if last is not None and not isinstance(error, (LeaseLost, KeyboardInterrupt, SystemExit, GeneratorExit)):
                leases.pop(last.token, None)
                with contextlib.suppress(LeaseLost, CursorFailed):  # its transaction may have been undone, or not
                    self._again(last, 0.0, reason)
        with contextlib.suppress(CursorFailed):
            self.cursor.release(list(leases.values()))
        with self._lock:
            self._leases.clear()
            self._in_hand.clear()

    def _failed(self, error: Exception) -> Exception:
        """Return the error for the program, for what ended a lane."""
        self._error = error
        self.at("failed")
        if self._max_outage is not None and helps(error):
            outage = FollowOutage(f"no connection for {self._max_outage:g} s (max_outage): {error}")
            outage.__cause__ = error
            return outage
        return error

    def _lanes(self, several: bool) -> list[list[Watch]]:
        """Return which mailboxes go over which connection.

        :param several: whether one connection is told of all of them (NOTIFY).
        """
        watches = self._watches
        if several or len(watches) == 1:
            return [watches]
        if len(watches) <= self._connections:
            return [[watch] for watch in watches]
        alone = self._connections - 1
        return [*([watch] for watch in watches[:alone]), watches[alone:]]

    def _ring(self) -> None:
        raise NotImplementedError

    def _sleep(self, seconds: float) -> Any:
        raise NotImplementedError

    async def _apart(self, function: Any, *arguments: Any) -> Any:
        raise NotImplementedError
