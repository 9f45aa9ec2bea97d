"""Pool: its connections are lent to threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from ...clients.blocking import Client
from ...errors import CommandError, ConnectionLost, DeadlinePassed, Disconnected, PoolTimeout
from ...model.row import FetchedMessage
from ...model.sequence_set import MessageSet, UIDSet
from ...search import uid
from ...settings import check_seconds
from ..retry import helps, is_refusal
from ..tokens import Tokens
from ._base import DRAIN, FAREWELL, FRESH, PIECE, BasePool, check_validity, wanted_uids
from .lending import Resting, Result, Waiter, too_many

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Pool"]

T = TypeVar("T")


class Pool(BasePool[Client]):
    """Connections of one account that are opened as needed, and lent; blocking, for any number of threads.

    :param host: a `fastimap.Account`; or as for `Client`, as are all other parameters that are not named here. A
        function that returns a token is asked once for all connections; it is asked again a minute before its token
        expires (a JWT says when; of another it is taken to be five minutes old at most), or where the server refused
        it.
    :param connections: how many there are at most. Fewer, where the server says that there are too many; one more is
        then tried every five minutes.
    :param min_size: how many are kept open though nobody uses them.
    :param max_idle: seconds after which a connection that nobody uses is closed.
    :param max_lifetime: seconds after which a connection is closed when it is given back.
    :param max_waiting: how many may wait for a connection at once; None: any number.
    :param retry: as for `Client`, but on; the logins of all connections are counted together.

    A pool has no thread of its own: what is due is done when it is used. ``with Pool(...) as pool`` closes it.
    """

    _make = Client
    _tokens = Tokens
    _meanwhile: Iterator[object] | None = None
    """What there is to do while its first connection is made (`Wire._meanwhile`)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are not lent; those that are, when they are given back."""
        with self._lock:
            self._book.closed_for_good = True
            idle, self._book.idle = self._book.idle, []
        self._close(idle)

    def resize(self, connections: int) -> None:
        """Have another number of connections at most."""
        if connections < 1:
            raise ValueError("connections must be at least 1")
        with self._lock:
            self._book.most = self._book.limit = connections
            self._book.serve(time.monotonic())
            surplus = self._shrink()
        self._close(surplus)

    @contextlib.contextmanager
    def client(self, *, timeout: float | None = 30.0) -> Iterator[Client]:
        """Lend a connection, with any mailbox selected or none.

        :param timeout: seconds to wait until one is free, and open; None: any time. Raises PoolTimeout after that.

        Raises TypeError where `timeout` is no number of seconds, ValueError for NaN.
        """
        with self._lent(None, timeout) as client:
            yield client

    @contextlib.contextmanager
    def selected(self, mailbox: str, *, read_only: bool = False, timeout: float | None = 30.0) -> Iterator[Client]:
        """Lend a connection that has `mailbox` selected, one that had it already if there is one.

        :param mailbox: its name.
        :param read_only: select it for reading alone (EXAMINE).
        :param timeout: as for `client`, with the same errors.
        """
        with self._lent(mailbox, timeout) as client:
            self._select(client, mailbox, read_only)
            yield client

    @contextlib.contextmanager
    def _lent(self, mailbox: str | None, timeout: float | None) -> Iterator[Client]:
        one = self._take(mailbox, timeout)
        try:
            yield one.client
        finally:
            self._give_back(one)

    def _take(self, mailbox: str | None, timeout: float | None, *, free: float | None = None) -> Resting[Client]:
        """Return a connection that is open within `timeout`, and free, or not yet there, within `free`."""
        check_seconds("timeout", timeout)
        now = time.monotonic()
        open_until = None if timeout is None else now + timeout
        until = open_until if free is None else now + free
        first = False
        while True:
            waiter = self._wait(mailbox, until, first)
            one = waiter.given
            if one is None:
                try:
                    self._in_time(until)
                    return self._opened(open_until)
                except Exception as exc:
                    with self._lock:
                        fewer = too_many(exc) and self._book.too_many(time.monotonic())
                        self._book.gone(time.monotonic())
                    if not fewer:
                        raise
                    first = True
                    continue
                except BaseException:
                    with self._lock:
                        self._book.gone(time.monotonic())
                    raise
            try:
                with self._in_seconds(one.client, open_until):
                    self._check(one)
            except BaseException:
                self._close([one])
                raise
            return one

    def _wait(self, mailbox: str | None, until: float | None, first: bool) -> Waiter[Client]:
        event = threading.Event()
        waiter: Waiter[Client] = Waiter(mailbox, event.set)
        with self._lock:
            old = self._expired(time.monotonic())
            self._book.ask(waiter, time.monotonic(), first=first)
        try:
            self._close(old, waits=False)  # the link of many is dead
            while not waiter.granted:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                login = self._book.next_login()
                event.wait(min(seconds for seconds in (left, login, threading.TIMEOUT_MAX) if seconds is not None))
                if login is not None:
                    with self._lock:
                        self._book.serve(time.monotonic())
        except BaseException:
            with self._lock:
                self._book.withdraw(waiter)
            self._refund(waiter)
            raise
        with self._lock:
            if not waiter.granted:
                self._book.withdraw(waiter)
                self._book.timeouts += 1
                raise PoolTimeout("no connection was free in time: all are lent")
        return waiter

    def _refund(self, waiter: Waiter[Client]) -> None:
        """Give back what was granted to who goes away."""
        if not waiter.granted:
            return
        if waiter.given is not None:
            self._give_back(waiter.given)
        else:
            with self._lock:
                self._book.gone(time.monotonic())

    @contextlib.contextmanager
    def _in_seconds(self, client: Client, until: float | None) -> Iterator[None]:
        """Raise PoolTimeout where `client` is not done by then."""
        if until is None:
            yield
            return
        try:
            with client.deadline(until - time.monotonic()):
                yield
        except DeadlinePassed as exc:
            raise self._late(client) from exc

    def _opened(self, until: float | None) -> Resting[Client]:
        client = self._new()
        client._meanwhile, self._meanwhile = self._meanwhile, None
        try:
            with self._in_seconds(client, until):
                self._open(client)
        except BaseException:
            try:
                client.close()
            finally:
                self._forget(client)
            raise
        self._book.opened += 1
        return Resting(client, time.monotonic(), time.monotonic())

    def _open(self, client: Client) -> None:
        try:
            client._connect_instead_of(client._protocol)
        except Exception as exc:
            if too_many(exc) and self._book.open > 1:
                raise
            if is_refusal(exc) and callable(self._account.token):  # by another token it may be accepted
                client._connect_instead_of(client._protocol)
            elif helps(exc):
                client.connect()
            else:
                raise

    def _check(self, one: Resting[Client]) -> None:
        """See whether a connection still lives; if not, its client makes it anew."""
        client = one.client
        if client._protocol.error is not None or time.monotonic() - one.since < FRESH:
            client.connect()
        else:
            client.noop()
        client.take_events()

    def _give_back(self, one: Resting[Client]) -> None:
        client = one.client
        until = time.monotonic() + (0.0 if self._book.closed_for_good else DRAIN)  # what is to be closed needs no rest
        try:
            with contextlib.suppress(Exception):
                while client._protocol.error is None and not client._protocol.idle and time.monotonic() < until:
                    client._turn(until)
            good = self._is_in_step(client)
            if good:
                client.take_events()
        except BaseException:
            self._close([one])
            raise
        one.since = time.monotonic()
        with self._lock:
            book = self._book
            keep = good and not book.closed_for_good and book.open <= book.limit
            if keep:
                book.idle.append(one)
                book.serve(one.since)
        if not keep:
            self._close([one])

    def _close(self, ones: Iterable[Resting[Client]], waits: bool = True) -> None:
        left = [*ones]
        until = time.monotonic() + (FAREWELL if waits else 0.0)
        try:
            while left:
                try:
                    left[-1].client._leave(max(0.0, until - time.monotonic()))
                finally:
                    self._forget(left.pop().client)
                    with self._lock:
                        self._book.closed += 1
                        self._book.gone(time.monotonic())
        except BaseException:
            for one in left:  # who is interrupted says no goodbyes
                one.client._fail(Disconnected("the pool closed it"))
            self._close(left)
            raise

    # Over all connections.

    def fetch_iter(
        self,
        mailbox: str,
        messages: MessageSet,
        *items: str,
        read_only: bool = True,
        uid_validity: int | None = None,
        timeout: float | None = 30.0,
    ) -> Generator[FetchedMessage, None, None]:
        """Yield messages of one mailbox as they arrive by all connections that are free; in no order.

        :param mailbox: its name.
        :param messages: UIDs.
        :param items: data items, as for `Client.fetch_iter`.
        :param read_only: as for `selected`.
        :param uid_validity: the mailbox's UIDVALIDITY that the UIDs are of; another one ends it with
            UIDValidityChanged.
        :param timeout: seconds to wait for the first connection; as for `client`, with the same errors.

        All together have at most 16 MiB asked for and unread. They are driven in the caller's thread. Messages of a
        connection that is lost are fetched by the others; a UIDVALIDITY that changes ends it (UIDValidityChanged).
        """
        from .fetching import Lane, fetch  # few need them, and they are not small

        wanted = wanted_uids(messages)
        lanes = [Lane(self._take(mailbox, timeout))]
        try:
            first = lanes[0].client
            self._select(first, mailbox, read_only)
            check_validity(first, mailbox, uid_validity)
            if wanted.has_star:
                wanted = first.search(uid(wanted)).uids
            work: deque[UIDSet] = deque(wanted.chunks(PIECE))
            with contextlib.suppress(PoolTimeout, CommandError, ConnectionLost):  # then those that are there do it
                while len(lanes) < min(self._book.limit, len(work)):
                    lanes.append(Lane(self._take(mailbox, timeout, free=0)))
                    self._select(lanes[-1].client, mailbox, read_only)
            for lane in lanes[1:]:
                if lane.client.session.mailbox != first.session.mailbox:
                    self._give_back(lane.one)
                    lanes.remove(lane)
                else:
                    check_validity(lane.client, mailbox, first.session.uid_validity)
            yield from fetch(self, lanes, work, items)
        finally:
            for lane in lanes:
                self._give_back(lane.one)

    def _select(self, client: Client, mailbox: str, read_only: bool) -> None:
        if client.session.mailbox != mailbox or client.session.examined != read_only:
            client.select(mailbox, read_only=read_only)

    def map(
        self,
        names: Iterable[str],
        job: Callable[[Client], T],
        *,
        read_only: bool = True,
    ) -> Generator[tuple[str, Result[T]], None, None]:
        """Run a job for each of many mailboxes, in as many threads as there are connections.

        :param names: of the mailboxes; taken as they are needed.
        :param job: called with a client that has the mailbox selected.
        :param read_only: as for `selected`.

        Yields the name and the result of each, as they are done; a mailbox that fails does not stop the others.
        """
        from concurrent.futures import (  # few need them, and they are not small
            FIRST_COMPLETED,
            ThreadPoolExecutor,
            wait,
        )

        def run(name: str) -> T:
            with self.selected(name, read_only=read_only, timeout=None) as client:
                return job(client)

        running: dict[Future[T], str] = {}
        left = iter(names)
        with ThreadPoolExecutor(self._book.most, "fastimap-pool") as threads:
            try:
                while True:
                    for name in left:
                        running[threads.submit(run, name)] = name
                        if len(running) >= 2 * self._book.most:
                            break
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        name = running.pop(future)
                        error = future.exception()
                        yield name, Result(error=error) if error is not None else Result(future.result())
            finally:
                for future in running:
                    future.cancel()
