"""What both followers have in common: arguments, who has which message, and how it is going."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from os import PathLike
from typing import Any, Literal

from ...clients._base import BaseClient
from ...commands.store import AddFlags
from ...conversation.log import logger
from ...errors import CursorFailed, FollowOutage, LeaseLost
from ...model.mailbox_name import folded
from ...model.row import FetchedMessage
from ...model.sequence_set import UIDSet
from ...settings import Account, Timeouts, account_name, settings
from ..cursor import Cursor, Failed, Lease, Place, SQLiteCursor
from ..resume import Persistence
from ..retry import Budget, Retry, helps
from ..tokens import AsyncTokens, Tokens
from .body import EVENT, Start, Watch
from .events import FollowState, MessageParked, StateName

__all__ = ["BaseFollow", "OnReset"]

OnReset = Literal["stop", "new", "all", "match"]


_LONGEST = 86_400.0
"""Seconds for which the lease of a message in the program's hands is renewed."""
_AGAIN = 10.0
RENEW = 540.0
"""Seconds after which IDLE is renewed; nobody who does not answer is waited for longer."""
QUIET = 240.0
"""Seconds after which something is said on a link while the program is at work."""
_WORST_FIRST: tuple[StateName, ...] = ("throttled", "connecting", "catching up", "waiting")


@dataclass(slots=True)
class _Going:
    """How it is going on one connection."""

    name: StateName = "connecting"
    until: float | None = None
    octets: int = 0
    """That the server had sent when it was last looked at."""
    error: Exception | None = None
    """What failed last."""
    alive_at: float = field(default_factory=time.monotonic)


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
        given = (mailboxes,) if isinstance(mailboxes, str) else tuple(mailboxes)
        for name in given:
            if not isinstance(name, str):
                raise TypeError(f"a mailbox to follow is given by its name, a str, not by {name!r:.100}")
        names = tuple(dict.fromkeys(map(folded, given)))
        if not names:
            raise ValueError("no mailboxes to follow")
        if start not in ("new", "all") and not isinstance(start, date):
            raise ValueError(f'start is "new", "all" or a date, not {start!r:.100}')
        if isinstance(items, str):
            raise TypeError(f"items are given as a tuple, such as ({items!r},), not as one str")
        if on_reset not in ("stop", "new", "all", "match"):
            raise ValueError(f'on_reset is "stop", "new", "all" or "match", not {on_reset!r:.100}')
        if lease <= 0 or poll <= 0 or status_poll <= 0 or (max_outage is not None and max_outage <= 0):
            raise ValueError("lease, poll, status_poll and max_outage are over 0 seconds")
        if deliveries < 1 or connections < 1 or in_flight < 1:
            raise ValueError("deliveries, connections and in_flight are at least 1")
        if mark is not None and not isinstance(mark, str):
            raise TypeError(f"mark is one flag, a str, not {mark!r:.100}")
        if mark is not None:
            AddFlags(UIDSet(), mark)  # which refuses what is no flag
        if move_to is not None and not isinstance(move_to, str):
            raise TypeError(f"move_to is the name of a mailbox, a str, not {move_to!r:.100}")
        if move_to is not None and folded(move_to) in names:
            raise ValueError(f"move_to={move_to!r:.100} is followed itself: what is moved there would come again")
        self.items: tuple[str, ...] = tuple(items)
        self.lease: float = lease
        self.deliveries: int = deliveries
        self.on_reset: OnReset = on_reset
        self.once: bool = once
        self.in_flight: int = in_flight
        self.poll: float = poll
        self.status_poll: float = status_poll
        self.start: Start = start.date() if isinstance(start, datetime) else start
        self.actions: dict[str, str] = {
            **({"mark": mark} if mark is not None else {}),
            **({"move": move_to} if move_to is not None else {}),
        }
        """What is done on the server to messages that are done, in this order."""
        token = account.token
        account = replace(account, timeout=_bounded(account))
        self._max_outage = max_outage
        self._retry = replace(retry, attempts=10**9, within=max_outage)
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
        self._watches = [Watch(Place(account_name(account), name)) for name in names]
        self.wakes: int = 0
        self.has_object_ids: bool = False
        self._stopped = self._closed = False
        self._parked = 0
        self._name: StateName = "connecting"
        self._shown: Any = None
        self._until: float | None = None
        self._error: BaseException | None = None
        self._going: dict[Persistence | None, _Going] = {None: _Going()}
        """By connection; None: before there is one."""
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}  # all that are ours, by token
        self._in_hand: dict[str, float] = {}  # those that the program has, and since when
        self._dropped: deque[Lease] = deque()
        self._by_transaction: Lease | None = None
        self._states: deque[FollowState | MessageParked] = deque(maxlen=1000)
        self._prepare()

    def _prepare(self) -> None:
        """Make what only the one driver needs."""

    @staticmethod
    def clock() -> float:
        """Return seconds by a clock that nobody sets."""
        return time.monotonic()

    # For the program.

    @property
    def state(self) -> FollowState:
        """How it is going, now."""
        if not self._closed:  # what is asked for after that would open the cursor again
            self._count_parked()
        return replace(self._state(), parked=self._parked)

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
        """Look at all mailboxes now, for instance because the network is another one.

        Where a connection was lost it is tried at once, unless a server that lets nobody in asked to wait.
        """
        self.wakes += 1
        self._ring()

    def seek(self, start: Literal["new", "all"] | date | int, mailbox: str | None = None) -> None:
        """Go on somewhere else: what comes after is delivered, though it was done; what is before is not.

        :param start: ``"new"``, ``"all"``, a date, or the UID of the first message.
        :param mailbox: which; None: all. Leases and parked messages of it are void.
        """
        is_uid = isinstance(start, int) and not isinstance(start, bool) and start > 0
        if start not in ("new", "all") and not isinstance(start, date) and not is_uid:
            raise ValueError(f'start is "new", "all", a date or a UID, not {start!r:.100}')
        name = None if mailbox is None else folded(mailbox)
        watches = [watch for watch in self._watches if name in (None, watch.place.mailbox)]
        if not watches:
            raise ValueError(f"the mailbox {mailbox!r:.100} is not followed")
        for watch in watches:
            watch.seek = start.date() if isinstance(start, datetime) else start
        self.wake()

    # For the body.

    def at(self, connection: Persistence, name: StateName, until: float | None = None) -> None:
        """Note how it is going on a connection; of several the one that is worst off says how it is going."""
        going = self._going[connection]
        going.name, going.until = name, until
        if name == "waiting":
            going.error = None
        worst = min([*self._going.values()], key=lambda one: _WORST_FIRST.index(one.name))
        self._show(worst.name, worst.until)

    def _show(self, name: StateName, until: float | None = None) -> None:
        self._name, self._until = name, until
        self.changed()

    def changed(self) -> None:
        """Have the program know how it is going, if that is not as it was said last."""
        state = self._state()
        shown = state.name, state.error, state.gone
        if shown != self._shown:
            self._shown = shown
            self._states.append(state)

    def _state(self) -> FollowState:
        going = [*self._going.values()]
        error: BaseException | None = self._error
        if error is None and self._name in ("connecting", "throttled"):
            error = next((one.error for one in going if one.name == self._name and one.error is not None), None)
        return FollowState(
            self._name,
            self._until,
            f"{type(error).__name__}: {error}" if error is not None else "",
            self.lag,
            age=time.monotonic() - min(one.alive_at for one in going),
            owed=sum(len(uids) for watch in self._watches for uids in [*watch.owed.values()]),
            gone=tuple(watch.place.mailbox for watch in self._watches if watch.gone),
        )

    # For the drivers.

    def _note(self, connection: Persistence, error: Exception) -> None:
        """Note what failed on a connection: where it is made anew for that, it is the reason."""
        if not isinstance(error, (LeaseLost, CursorFailed)):
            self._going[connection].error = error

    def _share(self, client: BaseClient[Any]) -> Persistence:
        """Have a client count its logins with the others of the account, and show how it is going."""
        connection = client._persistence
        assert connection is not None
        connection.budget = self._budget
        connection.retry = replace(self._retry, sleep=partial(self._sleep, connection))
        self._going[connection] = _Going()
        self._going.pop(None, None)
        return connection

    def _heard(self, client: BaseClient[Any]) -> None:
        """Note whether the server has said something since the last time."""
        assert client._persistence is not None
        going, octets = self._going[client._persistence], client.counters.octets_in
        if octets != going.octets:
            going.octets, going.alive_at = octets, time.monotonic()

    def _is_quiet(self, client: BaseClient[Any]) -> bool:
        """Whether a link that nothing is in flight on is to be used, so that nobody on the way forgets it."""
        assert client._persistence is not None
        protocol = client._protocol
        if protocol.error is not None or not protocol.established or not protocol.idle:
            return False
        return time.monotonic() - self._going[client._persistence].alive_at > QUIET

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
        logger().warning("UID %d of %r is parked: %s", lease.uid, lease.place.mailbox, reason, extra=EVENT)
        self._count_off([lease])
        return MessageParked(lease.place.mailbox, lease.uid, lease.deliveries, reason)

    # For messages, and the drivers.

    def _finished(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self.let_go(lease)
        self._count_off(leases)

    def _count_off(self, leases: Sequence[Lease]) -> None:
        """Count messages no more among those that are to be done."""
        for lease in leases:
            for watch in self._watches:
                if watch.place == lease.place:
                    watch.lag = max(0, watch.lag - 1)

    def _done(self, leases: list[Lease], db: Any) -> None:
        try:
            self.cursor.done(leases, [*self.actions.items()], db)
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
        self._states.append(self.parked_now(lease, reason))

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
        """Renew the leases; those that the program has for longer than a day end, and others take their places."""
        now = time.monotonic()
        with self._lock:
            leases = {**self._leases}
            old = [token for token, since in self._in_hand.items() if now - since >= _LONGEST]
        for token in old:
            lease = leases.pop(token)
            logger().warning("UID %d of %r is in hand for a day: it is let go of", lease.uid, lease.place.mailbox)
            self.let_go(lease)
        if leases:
            self.cursor.renew([*leases.values()], self.lease)

    def _give_all_back(self, error: BaseException | None) -> None:
        """Give back what was not done: for the one at which an exception ended the loop it was in vain.

        What ends a program from outside (KeyboardInterrupt, SystemExit, a cancelled task) is no failure of a message:
        as if it had not been delivered.
        """
        self._settle_dropped()
        with self._lock:
            leases, in_hand = dict(self._leases), list(self._in_hand)
        if isinstance(error, Exception):
            reason = f"{type(error).__name__}: {error}"
            last = leases.get(in_hand[-1]) if in_hand else self._by_transaction
            if last is not None and not isinstance(error, LeaseLost):
                leases.pop(last.token, None)
                with contextlib.suppress(LeaseLost, CursorFailed):  # its transaction may have been undone, or not
                    self._again(last, 0.0, reason)
        elif error is not None:
            for lease in [leases.pop(token) for token in in_hand if token in leases]:
                with contextlib.suppress(LeaseLost, CursorFailed):
                    self.cursor.again(lease, 0.0, lease.reason, counted=False)
        with contextlib.suppress(CursorFailed):
            self.cursor.release(list(leases.values()))
        with self._lock:
            self._leases.clear()
            self._in_hand.clear()

    def _count_parked(self) -> None:
        with contextlib.suppress(CursorFailed):
            self._parked = len(self.parked())

    def _end(self, error: BaseException | None) -> None:
        """Give back what was not done, and leave the cursor; the connections are closed."""
        self._give_all_back(error)
        self._count_parked()
        self._closed = True
        if self._closes_cursor:
            self.cursor.close()
        if self._error is None:
            self._show("stopped")

    def _failed(self, error: Exception) -> Exception:
        """Return the error for the program, for what ended a lane."""
        self._error = error
        self._show("failed")
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

    def _sleep(self, connection: Persistence, seconds: float) -> Any:
        raise NotImplementedError

    async def _apart(self, function: Any, *arguments: Any) -> Any:
        raise NotImplementedError


def _bounded(account: Account) -> Timeouts:
    """Return the account's deadlines for connecting and for answers, with an end where they have none."""
    given = settings(account).timeouts
    connect, response = (
        RENEW if seconds is None else min(seconds, RENEW) for seconds in (given.connect, given.response)
    )
    return Timeouts(connect, response, given.command)
