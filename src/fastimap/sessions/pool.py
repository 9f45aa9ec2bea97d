"""Several connections of one account, lent to whoever needs one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import selectors
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ..clients.asyncio import AsyncClient
from ..clients.blocking import Client
from ..conversation.streams import FetchStream
from ..errors import CommandError, ConnectionLost, PoolTimeout, StateError, UIDValidityChanged, Unavailable
from ..model.message import FetchedMessage
from ..model.sequence_set import MessageSet, UIDSet, uid_set
from ..search import uid
from .resume import helps
from .retry import Attempts, Budget, Retry, seconds_to_sleep

__all__ = ["AsyncPool", "Pool", "PoolStats", "Result"]

C = TypeVar("C", Client, AsyncClient)
T = TypeVar("T")

log = logging.getLogger("fastimap")

_FRESH = 1.0
"""Seconds for which a connection that was given back is lent again unseen."""
_RAISE_AFTER = 300.0
"""Seconds after which one connection more is tried, where the server had refused it."""
_DRAIN = 5.0
_PIECE = 100
"""Messages that a connection takes of those that several fetch."""


@dataclass(frozen=True, slots=True)
class PoolStats:
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


@dataclass(slots=True)
class _Resting(Generic[C]):
    client: C
    since: float
    opened: float


@dataclass(slots=True, eq=False)
class _Waiter(Generic[C]):
    mailbox: str | None
    wake: Callable[[], object]
    granted: bool = False
    given: _Resting[C] | None = None
    """What is lent; None: one may be opened."""


@dataclass(slots=True)
class _Book(Generic[C]):
    """Who has which connection, and who waits for one, in the order of asking. Waits for nothing."""

    most: int
    limit: int
    max_waiting: int | None
    idle: list[_Resting[C]] = field(default_factory=list)
    waiters: deque[_Waiter[C]] = field(default_factory=deque)
    open: int = 0
    closed_for_good: bool = False
    raise_at: float = 0.0
    lent: int = 0
    opened: int = 0
    closed: int = 0
    refused: int = 0
    timeouts: int = 0

    def ask(self, waiter: _Waiter[C], now: float, *, first: bool = False) -> None:
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
        return bool(self.idle) or self.open < self.limit

    def _choose(self, mailbox: str | None) -> _Resting[C] | None:
        """Prefer the connection that has the mailbox selected, then one with none, then a new one."""
        selected = [one for one in self.idle if mailbox is not None and one.client.session.mailbox == mailbox]
        if selected:
            return selected[-1]
        if mailbox is not None and self.open < self.limit and all(one.client.session.mailbox for one in self.idle):
            return None
        without = [one for one in self.idle if one.client.session.mailbox is None]
        if without or self.idle:
            return without[-1] if without else self.idle[0]
        return None

    def withdraw(self, waiter: _Waiter[C]) -> None:
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
        log.info("the server takes no more than %d connections now", self.limit)
        return True


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """What came of a job: its result, or its error."""

    value: T | None = None
    error: BaseException | None = None

    def get(self) -> T:
        """Return the result; raise the job's error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def _too_many(error: Exception) -> bool:
    """Whether the server refuses one connection more, rather than all."""
    if isinstance(error, ConnectionLost):  # by a greeting of BYE
        return "too many" in str(error).lower() or "maximum number" in str(error).lower()
    return isinstance(error, Unavailable)


class _BasePool(Generic[C]):
    """What both pools have in common."""

    _make: Any
    """The class of the clients."""

    def __init__(
        self,
        host: Any,
        port: int | None = None,
        *,
        connections: int = 4,
        max_idle: float = 300.0,
        max_lifetime: float = 3600.0,
        max_waiting: int | None = None,
        retry: Retry = Retry(),  # noqa: B008 - it is frozen
        **settings: Any,
    ) -> None:
        if connections < 1:
            raise ValueError("connections must be at least 1")
        if "socket" in settings and not callable(settings["socket"]):
            raise TypeError("a pool needs a function that makes sockets")
        self._arguments = (host,) if port is None else (host, port)
        self._settings = settings
        self._retry = retry
        self._budget = Budget(retry)
        self._max_idle = max_idle
        self._max_lifetime = max_lifetime
        self._book: _Book[C] = _Book(connections, connections, max_waiting)
        self._lock = threading.Lock()
        self._make(*self._arguments, retry=retry, **settings)  # a wrong argument is the caller's to hear of at once

    def stats(self) -> PoolStats:
        """Return what the pool has and has done."""
        book = self._book
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
        )

    def _new(self) -> C:
        client: C = self._make(*self._arguments, retry=self._retry, **self._settings)
        assert client._persistence is not None
        client._persistence.budget = self._budget
        return client

    def _expired(self, now: float) -> list[_Resting[C]]:
        """Remove the connections that were idle, or lived, for too long; the caller closes them."""
        book = self._book
        old = [one for one in book.idle if now - one.since > self._max_idle or now - one.opened > self._max_lifetime]
        for one in old:
            book.idle.remove(one)
        return old

    def _shrink(self) -> list[_Resting[C]]:
        book = self._book
        surplus: list[_Resting[C]] = []
        while book.idle and book.open - len(surplus) > book.limit:
            surplus.append(book.idle.pop(0))
        return surplus

    def _is_in_step(self, client: C) -> bool:
        protocol = client._protocol
        return protocol.error is None and protocol.idle and protocol.established


def _wanted(messages: MessageSet) -> UIDSet:
    wanted = uid_set(messages)
    if not isinstance(wanted, UIDSet):
        raise ValueError("a pool fetches by UID: sequence numbers and $ mean something else on each connection")
    return wanted


class Pool(_BasePool[Client]):
    """Connections of one account that are opened as needed, and lent; blocking, for any number of threads.

    :param host: as for `Client`, as are all other parameters that are not named here.
    :param connections: how many there are at most. Fewer, where the server says that there are too many; one more is
        then tried every five minutes.
    :param max_idle: seconds after which a connection that nobody uses is closed.
    :param max_lifetime: seconds after which a connection is closed when it is given back.
    :param max_waiting: how many may wait for a connection at once; None: any number.
    :param retry: as for `Client`, but on; the logins of all connections are counted together.

    A pool has no thread of its own: what is due is done when it is used. ``with Pool(...) as pool`` closes it.
    """

    _make = Client

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

        :param timeout: seconds to wait until one is free; None: any time. Raises PoolTimeout after that.
        """
        with self._lent(None, timeout) as client:
            yield client

    @contextlib.contextmanager
    def selected(self, mailbox: str, *, read_only: bool = False, timeout: float | None = 30.0) -> Iterator[Client]:
        """Lend a connection that has `mailbox` selected, one that had it already if there is one.

        :param mailbox: its name.
        :param read_only: select it for reading alone (EXAMINE).
        :param timeout: as for `client`.
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

    def _take(self, mailbox: str | None, timeout: float | None) -> _Resting[Client]:
        until = None if timeout is None else time.monotonic() + timeout
        first = False
        while True:
            waiter = self._wait(mailbox, until, first)
            one = waiter.given
            if one is None:
                try:
                    return self._opened()
                except Exception as exc:
                    with self._lock:
                        fewer = _too_many(exc) and self._book.too_many(time.monotonic())
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
                self._check(one)
            except BaseException:
                self._close([one])
                raise
            return one

    def _wait(self, mailbox: str | None, until: float | None, first: bool) -> _Waiter[Client]:
        event = threading.Event()
        waiter: _Waiter[Client] = _Waiter(mailbox, event.set)
        with self._lock:
            old = self._expired(time.monotonic())
            self._book.ask(waiter, time.monotonic(), first=first)
        self._close(old)
        try:
            while not waiter.granted:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                event.wait(left)
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

    def _refund(self, waiter: _Waiter[Client]) -> None:
        """Give back what was granted to who goes away."""
        if not waiter.granted:
            return
        if waiter.given is not None:
            self._give_back(waiter.given)
        else:
            with self._lock:
                self._book.gone(time.monotonic())

    def _opened(self) -> _Resting[Client]:
        client = self._new()
        try:
            try:
                client._connect_instead_of(client._protocol)
            except Exception as exc:
                if not helps(exc) or (_too_many(exc) and self._book.open > 1):
                    raise
                client.connect()
        except BaseException:
            client.close()
            raise
        self._book.opened += 1
        return _Resting(client, time.monotonic(), time.monotonic())

    def _check(self, one: _Resting[Client]) -> None:
        """See whether a connection still lives; if not, its client makes it anew."""
        client = one.client
        if client._protocol.error is not None or time.monotonic() - one.since < _FRESH:
            client.connect()
        else:
            client.noop()
        client.take_events()

    def _give_back(self, one: _Resting[Client]) -> None:
        client = one.client
        now = time.monotonic()
        try:
            with contextlib.suppress(Exception):
                while client._protocol.error is None and not client._protocol.idle and time.monotonic() < now + _DRAIN:
                    client._turn(now + _DRAIN)
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

    def _close(self, ones: Iterable[_Resting[Client]]) -> None:
        for one in ones:
            try:
                one.client.close()
            finally:
                with self._lock:
                    self._book.closed += 1
                    self._book.gone(time.monotonic())

    # Over all connections.

    def fetch_iter(
        self, mailbox: str, messages: MessageSet, *items: str, read_only: bool = True, timeout: float | None = 30.0
    ) -> Generator[FetchedMessage, None, None]:
        """Yield messages of one mailbox as they arrive by all connections that are free; in no order.

        :param mailbox: its name.
        :param messages: UIDs.
        :param items: data items, as for `Client.fetch_iter`.
        :param timeout: seconds to wait for the first connection.

        Each connection has at most 16 MiB asked for. It is driven in the caller's thread. Messages of a connection that
        is lost are fetched by the others; a UIDVALIDITY that changes ends it (UIDValidityChanged).
        """
        wanted = _wanted(messages)
        lanes = [_Lane(self._take(mailbox, timeout))]
        try:
            first = lanes[0].client
            self._select(first, mailbox, read_only)
            if wanted.has_star:
                wanted = first.search(uid(wanted)).uids
            work: deque[Any] = deque(wanted.chunks(_PIECE))
            with contextlib.suppress(PoolTimeout, CommandError, ConnectionLost):  # then those that are there do it
                while len(lanes) < min(self._book.limit, len(work)):
                    lanes.append(_Lane(self._take(mailbox, 0)))
                    self._select(lanes[-1].client, mailbox, read_only)
            for lane in lanes[1:]:
                if lane.client.session.mailbox != mailbox:
                    self._give_back(lane.one)
                    lanes.remove(lane)
            yield from _fetch(self, lanes, work, items)
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


@dataclass(slots=True, eq=False)
class _Lane:
    """A connection among several that fetch."""

    one: _Resting[Client]
    stream: FetchStream | None = None
    failed: Any = None
    """The protocol of the connection that was lost."""
    wake_at: float = 0.0

    @property
    def client(self) -> Client:
        return self.one.client


def _fetch(
    pool: Pool, lanes: list[_Lane], work: deque[Any], items: tuple[str, ...]
) -> Generator[FetchedMessage, None, None]:
    attempts = Attempts(pool._retry)
    mailbox = lanes[0].client.session.mailbox or ""
    uid_validity = lanes[0].client.session.uid_validity
    for lane in lanes[1:]:
        if lane.client.session.uid_validity != uid_validity:
            raise UIDValidityChanged(mailbox, uid_validity or 0, lane.client.session.uid_validity)
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
                    rows, went_on = _advance(lane, work, items)
                except Exception as exc:
                    lane.wake_at = time.monotonic() + seconds_to_sleep(attempts.failed(exc))
                    stream, lane.stream = lane.stream, None
                    if stream is not None:
                        lane.failed = stream.protocol
                        owed = stream.owed
                        stream.close()
                        if owed:
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
                _wait_for(selector, lanes, bool(work))
    finally:
        selector.close()
        for lane in lanes:
            if lane.stream is not None:
                lane.stream.close()


def _advance(lane: _Lane, work: deque[Any], items: tuple[str, ...]) -> tuple[list[FetchedMessage], bool]:
    """Read and write what is possible now; return the rows, and whether something went on."""
    client = lane.client
    if lane.stream is None:
        if not work or lane.wake_at > time.monotonic():
            return [], False
        if lane.failed is not None:
            client._connect_instead_of(lane.failed)
            lane.failed = None
        lane.stream = FetchStream(client._protocol, work.popleft(), items)
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


def _wait_for(selector: selectors.BaseSelector, lanes: list[_Lane], work: bool) -> None:
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
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.client._out else 0)
            selector.register(lane.client._socket, events)
        else:
            due.append(now)
    timeout = max(0.0, min(due) - now) if due else None
    if selector.get_map():
        selector.select(timeout)
    elif timeout:
        time.sleep(timeout)
    for key in [*selector.get_map().values()]:
        selector.unregister(key.fileobj)


class AsyncPool(_BasePool[AsyncClient]):
    """`Pool` under asyncio: the same, awaited. `map` runs coroutine functions, as tasks."""

    _make = AsyncClient

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that are not lent; those that are, when they are given back."""
        self._book.closed_for_good = True
        idle, self._book.idle = self._book.idle, []
        await self._close(idle)

    async def resize(self, connections: int) -> None:
        """Have another number of connections at most."""
        if connections < 1:
            raise ValueError("connections must be at least 1")
        self._book.most = self._book.limit = connections
        self._book.serve(time.monotonic())
        await self._close(self._shrink())

    @contextlib.asynccontextmanager
    async def client(self, *, timeout: float | None = 30.0) -> AsyncIterator[AsyncClient]:  # noqa: ASYNC109
        """Lend a connection, with any mailbox selected or none; see `Pool.client`."""
        async with self._lent(None, timeout) as client:
            yield client

    @contextlib.asynccontextmanager
    async def selected(
        self,
        mailbox: str,
        *,
        read_only: bool = False,
        timeout: float | None = 30.0,  # noqa: ASYNC109
    ) -> AsyncIterator[AsyncClient]:
        """Lend a connection that has `mailbox` selected; see `Pool.selected`."""
        async with self._lent(mailbox, timeout) as client:
            if client.session.mailbox != mailbox or client.session.examined != read_only:
                await client.select(mailbox, read_only=read_only)
            yield client

    @contextlib.asynccontextmanager
    async def _lent(self, mailbox: str | None, seconds: float | None) -> AsyncIterator[AsyncClient]:
        one = await self._take(mailbox, seconds)
        try:
            yield one.client
        finally:
            await asyncio.shield(asyncio.ensure_future(self._give_back(one)))

    async def _take(self, mailbox: str | None, seconds: float | None) -> _Resting[AsyncClient]:
        until = None if seconds is None else time.monotonic() + seconds
        first = False
        while True:
            one = await self._wait(mailbox, until, first)
            if one is None:
                try:
                    return await self._opened()
                except BaseException as exc:
                    fewer = isinstance(exc, Exception) and _too_many(exc) and self._book.too_many(time.monotonic())
                    self._book.gone(time.monotonic())
                    if not fewer:
                        raise
                    first = True
                    continue
            try:
                await self._check(one)
            except BaseException:
                await self._close([one])
                raise
            return one

    async def _wait(self, mailbox: str | None, until: float | None, first: bool) -> _Resting[AsyncClient] | None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter: _Waiter[AsyncClient] = _Waiter(mailbox, lambda: None if granted.done() else granted.set_result(None))
        await self._close(self._expired(time.monotonic()))
        self._book.ask(waiter, time.monotonic(), first=first)
        try:
            if not waiter.granted:
                async with asyncio.timeout(None if until is None else max(0.0, until - time.monotonic())):
                    await granted
        except TimeoutError:
            if not waiter.granted:
                self._book.withdraw(waiter)
                self._book.timeouts += 1
                raise PoolTimeout("no connection was free in time: all are lent") from None
        except BaseException:
            self._book.withdraw(waiter)
            if waiter.granted and waiter.given is not None:
                await self._give_back(waiter.given)
            elif waiter.granted:
                self._book.gone(time.monotonic())
            raise
        return waiter.given

    async def _opened(self) -> _Resting[AsyncClient]:
        client = self._new()
        try:
            try:
                await client._connect_instead_of(client._protocol)
            except Exception as exc:
                if not helps(exc) or (_too_many(exc) and self._book.open > 1):
                    raise
                await client.connect()
        except BaseException:
            await client.close()
            raise
        self._book.opened += 1
        return _Resting(client, time.monotonic(), time.monotonic())

    async def _check(self, one: _Resting[AsyncClient]) -> None:
        client = one.client
        if client._protocol.error is not None or time.monotonic() - one.since < _FRESH:
            await client.connect()
        else:
            await client.noop()
        client.take_events()

    async def _give_back(self, one: _Resting[AsyncClient]) -> None:
        client = one.client
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_DRAIN):
                while client._protocol.error is None and not client._protocol.idle:
                    await client._linked().moved(None, lambda: False)
        good = self._is_in_step(client)
        if good:
            client.take_events()
        one.since = time.monotonic()
        book = self._book
        if good and not book.closed_for_good and book.open <= book.limit:
            book.idle.append(one)
            book.serve(one.since)
        else:
            await self._close([one])

    async def _close(self, ones: Iterable[_Resting[AsyncClient]]) -> None:
        for one in ones:
            try:
                await one.client.close()
            finally:
                self._book.closed += 1
                self._book.gone(time.monotonic())

    # Over all connections.

    async def fetch_iter(
        self,
        mailbox: str,
        messages: MessageSet,
        *items: str,
        read_only: bool = True,
        timeout: float | None = 30.0,  # noqa: ASYNC109
    ) -> AsyncGenerator[FetchedMessage, None]:
        """Yield messages of one mailbox as they arrive by all connections that are free; see `Pool.fetch_iter`."""
        async with contextlib.AsyncExitStack() as stack:
            first = await stack.enter_async_context(self.selected(mailbox, read_only=read_only, timeout=timeout))
            wanted = _wanted(messages)
            if wanted.has_star:
                wanted = (await first.search(uid(wanted))).uids
            work = deque(wanted.chunks(_PIECE))
            clients = [first]
            try:
                while len(clients) < min(self._book.limit, len(work)):
                    other = self.selected(mailbox, read_only=read_only, timeout=0)
                    clients.append(await stack.enter_async_context(other))
            except (PoolTimeout, CommandError, ConnectionLost):
                pass  # it is done by those that are there
            for client in clients[1:]:
                if client.session.uid_validity != first.session.uid_validity:
                    raise UIDValidityChanged(mailbox, first.session.uid_validity or 0, client.session.uid_validity)
            batches: asyncio.Queue[list[FetchedMessage] | None] = asyncio.Queue()
            room = asyncio.Semaphore(len(clients))

            async def fetch(client: AsyncClient) -> None:
                try:
                    while work:
                        async for rows in client.fetch_batches(work.popleft(), *items):
                            await room.acquire()
                            batches.put_nowait(rows)
                finally:
                    batches.put_nowait(None)

            tasks = [asyncio.ensure_future(fetch(client)) for client in clients]
            try:
                left = len(tasks)
                while left:
                    rows = await batches.get()
                    if rows is not None:
                        for row in rows:
                            yield row
                        room.release()
                        continue
                    left -= 1
                    for task in tasks:
                        if task.done():
                            task.result()
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def map(
        self,
        names: Iterable[str],
        job: Callable[[AsyncClient], Any],
        *,
        read_only: bool = True,
    ) -> AsyncGenerator[tuple[str, Result[Any]], None]:
        """Run a job, a coroutine function, for each of many mailboxes; see `Pool.map`."""

        async def run(name: str) -> Result[Any]:
            try:
                async with self.selected(name, read_only=read_only, timeout=None) as client:
                    return Result(await job(client))
            except Exception as exc:
                return Result(error=exc)

        running: dict[asyncio.Task[Result[Any]], str] = {}
        left = iter(names)
        try:
            while True:
                for name in left:
                    running[asyncio.ensure_future(run(name))] = name
                    if len(running) >= 2 * self._book.most:
                        break
                if not running:
                    return
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield running.pop(task), task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
