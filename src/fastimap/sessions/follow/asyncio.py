"""AsyncFollow: the driver for asyncio, a task for each connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from ...clients.asyncio import AsyncClient
from ...commands.base import Connect, Flow, Sleep
from ...commands.session import Noop
from ...conversation.events import Reconnected
from ...conversation.streams import IdleStream
from ...errors import FastimapError
from ..resume import Persistence, connecting, persistently
from ..retry import seconds_to_sleep
from ..tokens import AsyncTokens
from ._base import RENEW, BaseFollow
from .body import Ask, Give, Pause, Rest, Rows, lane
from .events import FollowEvent, StateName
from .message import AsyncBatch, AsyncMessage

__all__ = ["AsyncFollow"]

_NOOP = 30.0
_KEEP = 20.0


class AsyncFollow(BaseFollow):
    """`follow` under asyncio: the same, awaited.

    ``async with AsyncFollow(account, ...) as mail: async for message in mail: ... await message.done()``. A handler
    that blocks the event loop stops the renewal of leases too.
    """

    _tokens = AsyncTokens
    _message = AsyncMessage

    def _prepare(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: list[AsyncClient] = []
        self._out: deque[Any] = deque()
        self._moved = asyncio.Event()
        """Something came for the program, or ended."""
        self._taken = asyncio.Event()
        """The program asks for more."""
        self._at_work = False
        """Whether the program has what it took last, and did not ask for more yet: it may be done with it then."""
        self._woken = asyncio.Event()
        self._wakes_before: dict[Persistence, int] = {}
        """Of each connection, the wakes before what it waits after was begun: only another one ends the wait."""
        self._ends: Exception | None = None
        self._keepers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(error)

    async def close(self) -> None:
        """Close the connections, and give back what was not done."""
        await self._close(None)

    async def _close(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._stopped = True
        tasks = [*self._tasks, *self._keepers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._clients:
            with contextlib.suppress(Exception):
                await client.close()
        self._clients.clear()
        self._end(error)

    # For the program.

    async def __aiter__(self) -> AsyncIterator[AsyncMessage]:
        async for what in self.events():
            if isinstance(what, AsyncMessage):
                yield what
                del what

    async def events(self) -> AsyncIterator[AsyncMessage | FollowEvent | Reconnected]:
        """Yield messages and events; see `Follow.events`."""
        while True:
            what = await self._next()
            if what is None:
                return
            yield what
            del what

    async def batches(self, size: int, *, seconds: float = 5.0) -> AsyncIterator[AsyncBatch]:
        """Yield messages together; see `Follow.batches`."""
        if size < 1:
            raise ValueError("size must be at least 1")
        self.in_flight: int = max(self.in_flight, size)
        ended = False
        while not ended:
            found: list[AsyncMessage] = []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None) as limit:
                    while len(found) < size:
                        what = await self._next()
                        if what is None:
                            ended = True
                            break
                        if isinstance(what, AsyncMessage):
                            if not found:
                                limit.reschedule(asyncio.get_running_loop().time() + seconds)
                            found.append(what)
            if found:
                batch = AsyncBatch(found)
                del found
                yield batch
                del batch

    # The engine.

    async def _next(self) -> Any:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._keepers = [asyncio.ensure_future(self._keep()), asyncio.ensure_future(self._tend())]
            client, connection = self._client()
            self._start(client, connection, self._plan(client, connection))
        self._at_work = False
        self._taken.set()
        while True:
            if self._dropped:
                await self._apart(self._settle_dropped)
            if self._states:
                return self._states.popleft()
            if self._ends is not None and not self._out:
                error, self._ends = self._ends, None
                self._stopped = True
                raise error
            if self._stopped:
                return None
            if self._out:
                self._at_work = True
                return self._out.popleft()
            if all(task.done() for task in self._tasks):
                return None
            self._moved.clear()
            await self._moved.wait()

    def _client(self) -> tuple[AsyncClient, Persistence]:
        client = AsyncClient(self._account, retry=self._retry)
        self._clients.append(client)
        return client, self._share(client)

    def _start(self, client: AsyncClient, connection: Persistence, flow: Flow[None]) -> None:
        task = asyncio.ensure_future(self._run(client, connection, persistently(connection, flow)))
        task.add_done_callback(lambda _: self._moved.set())
        self._tasks.append(task)

    def _plan(self, client: AsyncClient, connection: Persistence) -> Flow[None]:
        yield from connecting(connection)
        self.has_object_ids: bool = client.session.has("OBJECTID")
        first, *others = self._lanes(client.session.has("NOTIFY"))
        for watches in others:
            another, its_own = self._client()
            self._start(another, its_own, lane(self, its_own, watches))
        yield from lane(self, connection, first)

    async def _run(self, client: AsyncClient, connection: Persistence, flow: Flow[None]) -> None:
        resume: Any = functools.partial(next, flow)
        try:
            while not self._stopped:
                try:
                    step = resume()
                except StopIteration:
                    return
                try:
                    value = await self._done_step(client, connection, step)
                    self._heard(client)
                except Exception as exc:
                    self._note(connection, exc)
                    resume = functools.partial(flow.throw, exc)
                else:
                    resume = functools.partial(flow.send, value)
                    del value
                del step
        except Exception as exc:
            if self._ends is None:
                self._ends = self._failed(exc)
        finally:
            flow.close()

    async def _done_step(self, client: AsyncClient, connection: Persistence, step: Any) -> Any:
        if isinstance(step, Ask):
            return await self._apart(step.function, *step.arguments)
        if isinstance(step, Give):
            self._out.append(step.what)
            step.what = None
            self._moved.set()
            while (self._out or self._at_work) and not self._stopped:
                self._taken.clear()
                await self._taken.wait()
            return None
        if isinstance(step, Pause):
            self._wakes_before[connection] = self.wakes
            return await self._pause(step.seconds)
        if isinstance(step, Sleep):
            seconds = seconds_to_sleep(step.seconds)
            if seconds > 0:
                going: StateName = "connecting" if client._protocol.error else "throttled"
                if going == "throttled":
                    self._wakes_before[connection] = self.wakes
                until = time.monotonic() + seconds
                self.at(connection, going, time.time() + seconds)
                await self._pause(seconds, self._wakes_before.pop(connection, None))
                if going == "connecting":  # who was woken waits for what the server has asked for all the same
                    await self._wait_until(min(until, time.monotonic() + self._budget.until_login()))
            return None
        if isinstance(step, Rest):
            self._wakes_before[connection] = step.wakes
            events = await self._rest(client, step.seconds, step.wakes)
            self._wakes_before[connection] = self.wakes  # what woke it has its due
            return events
        if isinstance(step, Rows):
            rows = step.stream.take()
            while not rows and not step.stream.done:
                await client._linked().moved(None, lambda: step.stream.ready)
                rows = step.stream.take()
            return rows
        if isinstance(step, Connect):
            self._wakes_before[connection] = self.wakes
            self.at(connection, "connecting")
        return await client._do(step)

    async def _rest(self, client: AsyncClient, seconds: float, wakes: int) -> Any:
        events = client.take_events()
        if events:
            return events
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        stream = IdleStream(client._protocol, renew=RENEW, poll=_NOOP)
        link = client._linked()
        try:
            while True:
                if stream.protocol.error is not None:
                    raise stream.protocol.error
                now = clock()
                if now >= deadline or self.wakes != wakes or self._stopped:
                    return []
                stream.advance(now)
                await link.moved(
                    min(stream.wake_at, deadline), lambda: stream.ready or self.wakes != wakes or self._stopped
                )
                self._heard(client)
                events = client.take_events()
                if events:
                    return events
        finally:
            stream.close()
            if stream.protocol.error is None:
                link.flush()

    async def _pause(self, seconds: float, wakes: int | None = None) -> None:
        """Wait so long, or until somebody wakes the follower, or has done so after the first `wakes` times."""
        self._woken.clear()
        if wakes is not None and self.wakes != wakes:
            self._budget.hurry()  # the attempt that was under way then has failed since, or the connection was cut
            return
        if self._stopped:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _wait_until(self, until: float) -> None:
        """Wait, whoever wakes the follower; stop() ends it."""
        while not self._stopped and (left := until - time.monotonic()) > 0:
            await self._pause(left)

    def _ring(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._rung)

    def _rung(self) -> None:
        self._budget.hurry()
        for event in (self._woken, self._moved, self._taken):
            event.set()
        for client in self._clients:
            if client._link is not None:
                client._link._tell()

    def changed(self) -> None:
        """See `BaseFollow.changed`."""
        super().changed()
        self._moved.set()

    async def _sleep(self, connection: Persistence, seconds: float) -> None:
        self.at(connection, "throttled", time.time() + seconds)
        await self._wait_until(time.monotonic() + seconds)

    async def _apart(self, function: Any, *arguments: Any) -> Any:
        # What is under way is done before a cancelled task goes on: a lease that nobody knows of would be held.
        call = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await call
            raise

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(min(_KEEP, self.lease / 3))
            if self._leases:
                with contextlib.suppress(FastimapError):
                    await self._apart(self._renew)

    async def _tend(self) -> None:
        """Say something now and then on connections that nothing is done on while the program is at work."""
        while True:
            await asyncio.sleep(_KEEP)
            for client in self._clients:
                if self._is_quiet(client):
                    with contextlib.suppress(Exception):  # its lane finds out, and connects anew
                        await client._do(Noop())
                        self._heard(client)
