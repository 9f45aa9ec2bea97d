"""AsyncPool: its connections are lent to tasks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Self

from ...clients.asyncio import AsyncClient
from ...clients.rows import AsyncBatches
from ...conversation.plan import BUDGET
from ...conversation.streams import FetchStream
from ...errors import CommandError, ConnectionLost, DeadlinePassed, Disconnected, PoolTimeout
from ...model.row import FetchedMessage
from ...model.sequence_set import MessageSet
from ...search import uid
from ...settings import check_seconds
from ..retry import helps, is_refusal
from ..tokens import AsyncTokens
from ._base import DRAIN, FAREWELL, FRESH, PIECE, BasePool, check_validity, next_piece, wanted_uids
from .lending import Resting, Result, Waiter, too_many

__all__ = ["AsyncPool"]


class _Taker(Waiter[AsyncClient]):
    """A task that asks for a connection, or has one."""

    def __init__(self, mailbox: str | None) -> None:
        super().__init__(mailbox, self._wake)
        self.loop = asyncio.get_running_loop()
        self.woken: asyncio.Future[None] = self.loop.create_future()

    def ask_again(self) -> None:
        """Have it granted nothing."""
        self.granted: bool = False
        self.woken = self.loop.create_future()

    @property
    def is_lost(self) -> bool:
        """Whether its event loop is closed, so that it never goes on: what is its `_recall` takes back, and not itself.

        It may still be told to end, when Python frees it.
        """
        return self.loop.is_closed()

    def _wake(self) -> None:
        if not self.woken.done() and not self.is_lost:
            self.woken.set_result(None)


class AsyncPool(BasePool[AsyncClient]):
    """`Pool` under asyncio: the same, awaited. `map` runs coroutine functions, as tasks."""

    _make = AsyncClient
    _tokens = AsyncTokens

    def _set_up(self) -> None:
        self._takers: set[_Taker] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that are not lent; those that are, when they are given back."""
        self._book.closed_for_good = True
        await self._recall()
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
            await self._select(client, mailbox, read_only)
            yield client

    @contextlib.asynccontextmanager
    async def _lent(
        self, mailbox: str | None, seconds: float | None, *, free: float | None = None
    ) -> AsyncIterator[AsyncClient]:
        await self._recall()
        taker = _Taker(mailbox)
        self._takers.add(taker)
        try:
            one = await self._take(taker, seconds, free)
        except BaseException:
            if not taker.is_lost:
                self._takers.discard(taker)
            raise
        try:
            yield one.client
        finally:
            if not taker.is_lost:
                await asyncio.shield(asyncio.ensure_future(self._give_back(taker, one)))

    async def _recall(self) -> None:
        """Take back what tasks have, or wait for, whose event loop is closed."""
        lost = [taker for taker in self._takers if taker.is_lost]
        self._takers.difference_update(lost)
        for taker in lost:
            self._book.withdraw(taker)
        for taker in lost:
            if taker.given is not None:
                await self._close([taker.given])
            elif taker.granted:
                self._book.gone(time.monotonic())

    async def _take(self, taker: _Taker, seconds: float | None, free: float | None) -> Resting[AsyncClient]:
        """Return a connection that is open within `seconds`, and free, or not yet there, within `free`."""
        check_seconds("timeout", seconds)
        now = time.monotonic()
        open_until = None if seconds is None else now + seconds
        until = open_until if free is None else now + free
        first = False
        while True:
            one = await self._wait(taker, until, first)
            if one is None:
                try:
                    self._in_time(until)
                    taker.given = await self._opened(open_until)
                    return taker.given
                except BaseException as exc:
                    if taker.is_lost:
                        raise
                    fewer = isinstance(exc, Exception) and too_many(exc) and self._book.too_many(time.monotonic())
                    self._book.gone(time.monotonic())
                    if not fewer:
                        raise
                    first = True
                    taker.ask_again()
                    continue
            try:
                async with self._in_seconds(one.client, open_until):
                    await self._check(one)
            except BaseException:
                if not taker.is_lost:
                    await self._close([one])
                raise
            return one

    async def _wait(self, taker: _Taker, until: float | None, first: bool) -> Resting[AsyncClient] | None:
        await self._close(self._expired(time.monotonic()), waits=False)  # the link of many is dead
        self._book.ask(taker, time.monotonic(), first=first)
        try:
            if not taker.granted:
                async with asyncio.timeout(None if until is None else max(0.0, until - time.monotonic())):
                    while (login := self._book.next_login()) is not None and not taker.woken.done():
                        await asyncio.wait([taker.woken], timeout=login)
                        self._book.serve(time.monotonic())
                    await taker.woken
        except TimeoutError:
            if not taker.granted:
                self._book.withdraw(taker)
                self._book.timeouts += 1
                raise PoolTimeout("no connection was free in time: all are lent") from None
        except BaseException:
            if taker.is_lost:
                raise
            self._book.withdraw(taker)
            if taker.granted and taker.given is not None:
                await self._give_back(taker, taker.given)
            elif taker.granted:
                self._book.gone(time.monotonic())
            raise
        return taker.given

    @contextlib.asynccontextmanager
    async def _in_seconds(self, client: AsyncClient, until: float | None) -> AsyncIterator[None]:
        """Raise PoolTimeout where `client` is not done by then."""
        if until is None:
            yield
            return
        try:
            async with client.deadline(until - time.monotonic()):
                yield
        except DeadlinePassed as exc:
            raise self._late(client) from exc

    async def _opened(self, until: float | None) -> Resting[AsyncClient]:
        client = self._new()
        try:
            async with self._in_seconds(client, until):
                await self._open(client)
        except BaseException:
            try:
                await client.close()
            finally:
                self._forget(client)
            raise
        self._book.opened += 1
        return Resting(client, time.monotonic(), time.monotonic())

    async def _open(self, client: AsyncClient) -> None:
        try:
            await client._connect_instead_of(client._protocol)
        except Exception as exc:
            if too_many(exc) and self._book.open > 1:
                raise
            if is_refusal(exc) and callable(self._account.token):  # by another token it may be accepted
                await client._connect_instead_of(client._protocol)
            elif helps(exc):
                await client.connect()
            else:
                raise

    async def _check(self, one: Resting[AsyncClient]) -> None:
        client = one.client
        if client._protocol.error is not None or time.monotonic() - one.since < FRESH:
            await client.connect()
        else:
            await client.noop()
        client.take_events()

    async def _give_back(self, taker: _Taker, one: Resting[AsyncClient]) -> None:
        client, book = one.client, self._book
        keep = False
        try:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(DRAIN):
                    while not (book.closed_for_good or client._protocol.error is not None or client._protocol.idle):
                        await client._linked().moved(None, lambda: False)
            good = self._is_in_step(client)
            if good:
                client.take_events()
            keep = good and not book.closed_for_good and book.open <= book.limit
        finally:  # also where the program ends, and cancels this
            if keep:
                self._takers.discard(taker)
                one.since = time.monotonic()
                book.idle.append(one)
                book.serve(one.since)
            elif not taker.is_lost:
                await self._close([one])
                self._takers.discard(taker)

    async def _close(self, ones: Iterable[Resting[AsyncClient]], waits: bool = True) -> None:
        left = [*ones]
        until = time.monotonic() + (FAREWELL if waits else 0.0)
        try:
            while left:
                try:
                    await left[-1].client._leave(max(0.0, until - time.monotonic()))
                finally:
                    if self._forget(left.pop().client):
                        self._book.closed += 1
                        self._book.gone(time.monotonic())
        except BaseException:
            for one in left:  # who is cancelled says no goodbyes
                one.client._protocol.fail(Disconnected("the pool closed it"))
            await self._close(left)
            raise

    # Over all connections.

    async def fetch_iter(
        self,
        mailbox: str,
        messages: MessageSet,
        *items: str,
        read_only: bool = True,
        uid_validity: int | None = None,
        timeout: float | None = 30.0,  # noqa: ASYNC109
    ) -> AsyncGenerator[FetchedMessage, None]:
        """Yield messages of one mailbox as they arrive by all connections that are free; see `Pool.fetch_iter`."""
        async with contextlib.AsyncExitStack() as stack:
            first = await stack.enter_async_context(self.selected(mailbox, read_only=read_only, timeout=timeout))
            check_validity(first, mailbox, uid_validity)
            wanted = wanted_uids(messages)
            if wanted.has_star:
                wanted = (await first.search(uid(wanted))).uids
            work = deque(wanted.chunks(PIECE))
            clients = [first]
            try:
                while len(clients) < min(self._book.limit, len(work)):
                    other = await stack.enter_async_context(self._lent(mailbox, timeout, free=0))
                    await self._select(other, mailbox, read_only)
                    clients.append(other)
            except (PoolTimeout, CommandError, ConnectionLost):
                pass  # it is done by those that are there
            for client in clients[1:]:
                check_validity(client, mailbox, first.session.uid_validity)
            batches: asyncio.Queue[list[FetchedMessage] | None] = asyncio.Queue()
            room = asyncio.Semaphore(len(clients))

            async def fetch(client: AsyncClient) -> None:
                try:
                    while work:
                        numbers = next_piece(work, len(clients))
                        stream = FetchStream(client._protocol, numbers, items, budget=BUDGET // len(clients))
                        async for rows in AsyncBatches(client, stream):
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

    async def _select(self, client: AsyncClient, mailbox: str, read_only: bool) -> None:
        if client.session.mailbox != mailbox or client.session.examined != read_only:
            await client.select(mailbox, read_only=read_only)

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
