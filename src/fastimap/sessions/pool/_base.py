"""What both pools have in common."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic

from ...errors import DeadlinePassed, Disconnected, PoolTimeout, UIDValidityChanged
from ...model.sequence_set import MessageSet, UIDSet, uid_set
from ...settings import Account
from ..retry import Budget, Retry
from ..tokens import AsyncTokens, Tokens
from .lending import Book, C, PoolStats, Resting

if TYPE_CHECKING:
    from ...clients.asyncio import AsyncClient
    from ...clients.blocking import Client

__all__ = ["DRAIN", "FAREWELL", "FRESH", "PIECE", "BasePool", "check_validity", "next_piece", "wanted_uids"]

FRESH = 1.0
"""Seconds for which a connection that was given back is lent again unseen."""
DRAIN = 5.0
"""Seconds that a connection has to come into step when it is given back."""
FAREWELL = 5.0
"""Seconds that connections have together to answer LOGOUT, when they are closed."""
PIECE = 100
"""Messages that a connection takes at least, of those that several fetch."""
_MOST = 10
"""Pieces that it takes at once, at most: others may wait for it."""


class BasePool(Generic[C]):
    """What both pools have in common."""

    _make: Any
    """The class of the clients."""
    _tokens: type[Tokens] | type[AsyncTokens]

    def __init__(
        self,
        host: Any,
        port: int | None = None,
        *,
        connections: int = 4,
        min_size: int = 0,
        max_idle: float = 300.0,
        max_lifetime: float = 3600.0,
        max_waiting: int | None = None,
        retry: Retry = Retry(),  # noqa: B008 - it is frozen
        **settings: Any,
    ) -> None:
        if connections < 1:
            raise ValueError("connections must be at least 1")
        if not 0 <= min_size <= connections:
            raise ValueError("min_size must be from 0 to connections")
        socket = settings.pop("socket", None)
        if socket is not None and not callable(socket):
            raise TypeError("a pool needs a function that makes sockets")
        # A wrong argument is the caller's to hear of at once, and by the name of the client's parameter.
        self._make(host, port, socket=socket, retry=retry, **settings)
        self._account = host if isinstance(host, Account) else Account(host, port, **settings)
        self._socket = socket
        self._retry = retry
        self._budget = Budget(retry)
        token = self._account.token
        if callable(token):
            tokens = self._tokens(token)
            self._account = self._account.__replace__(token=tokens)
            self._budget.on_refusal = tokens.forget
        self._min_size = min_size
        self._max_idle = max_idle
        self._max_lifetime = max_lifetime
        self._book: Book[C] = Book(connections, max_waiting, self._budget.until_login)
        self._lock = threading.Lock()
        self._clients: set[C] = set()
        self._octets_in = 0
        """Of clients that are closed for good."""
        self._set_up()

    def _set_up(self) -> None:
        """Begin what one of the pools has alone."""

    def stats(self) -> PoolStats:
        """Return what the pool has and has done."""
        book = self._book
        clients = tuple(self._clients)  # with no lock: it may be asked for by a clock or a signal's handler
        return PoolStats(
            connections=book.open,
            idle=len(book.idle),
            limit=book.limit,
            waiting=len(book.waiters),
            lent=book.lent,
            opened=book.opened,
            closed=book.closed,
            refused=book.refused,
            timeouts=book.timeouts,
            logins=self._budget.logins,
            octets_in=self._octets_in + sum([client.counters.octets_in for client in clients]),
        )

    def _in_time(self, until: float | None) -> None:
        """Raise PoolTimeout where nobody may log in before `until`."""
        if until is not None and (login := self._budget.until_login()) > max(until - time.monotonic(), 0.0):
            self._book.timeouts += 1
            why = self._budget.why()
            raise PoolTimeout(f"no connection is open, and {why}: the next attempt is due in {login:.3g} s")

    def _late(self, client: C) -> PoolTimeout:
        """Return what to raise where a connection was not open in time."""
        self._book.timeouts += 1
        error = client._protocol.error
        because = "" if error is None or isinstance(error, (Disconnected, DeadlinePassed)) else f": {error}"
        return PoolTimeout(f"no connection could be opened in time{because}")

    def _new(self) -> C:
        client: C = self._make(self._account, socket=self._socket, retry=self._retry)
        assert client._persistence is not None
        client._persistence.budget = self._budget
        with self._lock:
            self._clients.add(client)
        return client

    def _forget(self, client: C) -> bool:
        """Return whether it was among the pool's: a task that is cancelled as it closes one may not be the last to."""
        with self._lock:
            known = client in self._clients
            if known:
                self._clients.discard(client)
                self._octets_in += client.counters.octets_in
            return known

    def _expired(self, now: float) -> list[Resting[C]]:
        """Remove the connections that were idle, or lived, for too long; the caller closes them."""
        book = self._book
        old = [one for one in book.idle if now - one.opened > self._max_lifetime]
        unused = [one for one in book.idle if one not in old and now - one.since > self._max_idle]
        old += unused[: max(0, book.open - len(old) - self._min_size)]
        for one in old:
            book.idle.remove(one)
        return old

    def _shrink(self) -> list[Resting[C]]:
        book = self._book
        surplus: list[Resting[C]] = []
        while book.idle and book.open - len(surplus) > book.limit:
            surplus.append(book.idle.pop(0))
        return surplus

    def _is_in_step(self, client: C) -> bool:
        protocol = client._protocol
        return protocol.error is None and protocol.idle and protocol.established


def next_piece(work: deque[UIDSet], connections: int) -> UIDSet:
    """Return what a connection fetches next: much where much is left, at the end little, so that all end together.

    What it begins with is at least two round trips, for the sizes and for the messages.
    """
    piece = work.popleft()
    for _ in range(min(len(work) // (2 * connections), _MOST - 1)):
        piece |= work.popleft()
    return piece


def check_validity(client: Client | AsyncClient, mailbox: str, uid_validity: int | None) -> None:
    """Raise UIDValidityChanged where the selected mailbox has another UIDVALIDITY; None: any will do."""
    if uid_validity is not None and client.session.uid_validity != uid_validity:
        raise UIDValidityChanged(mailbox, uid_validity, client.session.uid_validity)


def wanted_uids(messages: MessageSet) -> UIDSet:
    """Return the UIDs that are meant. Raises ValueError for what is none of each connection."""
    wanted = uid_set(messages)
    if not isinstance(wanted, UIDSet):
        raise ValueError("a pool fetches by UID: sequence numbers and $ mean something else on each connection")
    return wanted
