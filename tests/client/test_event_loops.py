"""AsyncClient where a program has several event loops: a connection is of the one that it was made in."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastimap import AsyncClient, AsyncPool, Retry
from fastimap.errors import Advice, Disconnected, StateError
from fastimap.testing import IMAPServer
from tests.client.peers import DONE, converse, in_turn, swallow
from tests.imaplib.scripted import Peer

MESSAGE = b"Subject: one\r\n\r\ntext\r\n"

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # by the programs, before their loop is


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have what is told of it told while the test that it is of takes that."""
    yield
    gc.collect()


def options(server: IMAPServer) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "tls": False,
        "user": "user",
        "password": "password",
        "mechanism": "LOGIN",
        "timeout": 20,
    }


async def selected(client: AsyncClient) -> int:
    return (await client.select("INBOX")).exists


def test_a_loop_that_is_closed(server: IMAPServer) -> None:
    server.append("INBOX", MESSAGE)
    client = AsyncClient(**options(server))
    assert asyncio.run(selected(client)) == 1

    async def again() -> None:
        for call in (client.noop, lambda: client.fetch("1:*", "FLAGS"), client.connect):
            with pytest.raises(Disconnected, match="event loop") as refused:
                await call()
            assert refused.value.advice is Advice.RECONNECT
        with pytest.raises(Disconnected, match="event loop"):
            async for _ in client.fetch_iter("1:*", "FLAGS"):
                pass
        await client.reconnect()
        assert client.session.mailbox == "INBOX"
        assert [row.uid for row in await client.fetch("1:*", "FLAGS")] == [1]
        await client.close()

    asyncio.run(again())


def test_with_retry_it_connects_anew(server: IMAPServer) -> None:
    server.append("INBOX", MESSAGE)
    client = AsyncClient(**options(server), retry=Retry())
    assert asyncio.run(selected(client)) == 1

    async def again() -> list[int]:
        return [row.uid async for row in client.fetch_iter("1:*", "FLAGS") if row.uid]

    assert asyncio.run(again()) == [1]
    asyncio.run(client.close())


@pytest.mark.parametrize("begun", [False, True])
def test_close_in_another_loop(server: IMAPServer, begun: bool) -> None:
    client = AsyncClient(**options(server))
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(client.connect())
        if not begun:
            loop.close()
        asyncio.run(client.close())
        if begun:
            loop.run_until_complete(asyncio.sleep(0))
        assert client._link is None
        with pytest.raises(StateError, match="logged out"):
            asyncio.run(client.noop())
    finally:
        loop.close()


def test_a_loop_that_is_only_not_running_now(server: IMAPServer) -> None:
    client = AsyncClient(**options(server))
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(client.connect())
        for call in (client.noop, client.connect, client.reconnect):
            with pytest.raises(StateError, match="another event loop"):
                asyncio.run(call())
        loop.run_until_complete(client.noop())
        loop.run_until_complete(client.close())
    finally:
        loop.close()


def test_a_loop_that_runs_in_another_thread(server: IMAPServer) -> None:
    client = AsyncClient(**options(server))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(client.connect(), loop).result(20)
        with pytest.raises(StateError, match="another event loop"):
            asyncio.run(client.noop())
        asyncio.run_coroutine_threadsafe(client.noop(), loop).result(20)
        asyncio.run_coroutine_threadsafe(client.close(), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_pool_connects_anew(server: IMAPServer) -> None:
    server.append("INBOX", MESSAGE)
    pool = AsyncPool(**options(server), connections=2)

    async def counted() -> int:
        async with pool.selected("INBOX", read_only=True) as client:
            return len(await client.fetch("1:*", "FLAGS"))

    assert asyncio.run(counted()) == 1
    assert asyncio.run(counted()) == 1
    asyncio.run(pool.close())


@pytest.mark.parametrize("retry", [None, Retry()])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the task that never ends
def test_a_loop_that_is_closed_while_a_mailbox_is_held(server: IMAPServer, retry: Retry | None) -> None:
    """As by run_until_complete() and close(), which cancel no task: who held it never gives it back."""
    server.append("INBOX", MESSAGE)
    client = AsyncClient(**options(server), retry=retry)
    loop = asyncio.new_event_loop()
    held = asyncio.Event()

    async def hold() -> None:
        async with client.selected("INBOX"):
            held.set()
            await asyncio.Event().wait()

    task = loop.create_task(hold())
    loop.run_until_complete(held.wait())
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be

    async def counted() -> int:
        async with asyncio.timeout(20), client.selected("INBOX"):
            return len(await client.fetch("1:*", "FLAGS"))

    async def again() -> int:
        if retry is None:
            with pytest.raises(Disconnected, match="event loop"):
                await counted()
            await client.reconnect()
        found = await counted()
        await client.close()
        return found

    assert asyncio.run(again()) == 1


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the task that never ends
def test_a_loop_that_is_closed_while_a_command_is_in_flight(serve: Callable[..., Any], closes: bool) -> None:
    sent = threading.Event()

    def reply(command: bytes) -> bytes:
        sent.set()
        return b""

    client = AsyncClient("127.0.0.1", serve(converse(reply)).port, tls=False, timeout=20)
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[None]:
        await client.connect()
        task = asyncio.create_task(client.noop())
        await asyncio.to_thread(sent.wait)
        return task

    task = loop.run_until_complete(begin())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be

    async def again() -> None:
        if not closes:
            with pytest.raises(Disconnected, match="event loop"):
                await client.noop()
        await client.close()
        assert client._link is None

    asyncio.run(again())


def left(begin: Callable[[], Any]) -> None:
    """Run `begin` in an event loop that is closed then; run_until_complete() and close() cancel no task."""
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[None]] = loop.run_until_complete(begin())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be
    _tasks.append(tasks)


_tasks: list[Any] = []


@pytest.fixture
def freed() -> Iterator[Callable[[], None]]:
    """Have Python free the tasks that never end: when the test says so, or at its end."""

    def free() -> None:
        _tasks.clear()
        gc.collect()

    yield free
    free()


@pytest.mark.parametrize("when", ["before", "after", "never"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the tasks that never end
def test_a_pool_that_has_lent_in_a_loop_that_is_closed(
    server: IMAPServer, freed: Callable[[], None], when: str
) -> None:
    """The connection, and the place in the queue, are those of tasks that never go on."""
    pool = AsyncPool(**options(server), connections=1)

    async def begin() -> list[asyncio.Task[None]]:
        lent = asyncio.Event()

        async def hold() -> None:
            async with pool.selected("INBOX"):
                lent.set()
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(hold())]
        await lent.wait()
        tasks.append(asyncio.create_task(hold()))
        await asyncio.sleep(0)  # what it does at once is to ask for the connection
        assert pool.stats().waiting == 1
        return tasks

    left(begin)
    if when == "before":
        freed()

    async def again() -> None:
        async with pool.client(timeout=10) as client:
            await client.noop()
            assert (pool.stats().connections, pool.stats().waiting) == (1, 0)
            if when == "after":
                freed()
        assert (pool.stats().connections, pool.stats().idle, pool.stats().closed) == (1, 1, 1)
        await pool.close()
        assert pool.stats().connections == 0

    asyncio.run(again())


@pytest.mark.parametrize("when", ["before", "after", "never"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the tasks that never end
def test_a_pool_that_opens_a_connection_in_a_loop_that_is_closed(
    serve: Callable[..., Any], freed: Callable[[], None], when: str
) -> None:
    reached = threading.Event()

    def silent(peer: Peer) -> None:
        reached.set()
        swallow(peer)

    servers = in_turn([serve(silent), serve(converse(lambda command: DONE))])
    pool = AsyncPool("127.0.0.1", 143, tls=False, timeout=20, connections=1, socket=servers)

    async def begin() -> list[asyncio.Task[None]]:
        async def hold() -> None:
            async with pool.client():
                raise AssertionError("the server has not greeted")

        task = asyncio.create_task(hold())
        await asyncio.to_thread(reached.wait)
        return [task]

    left(begin)
    if when == "before":
        freed()

    async def again() -> None:
        async with pool.client(timeout=10):
            assert pool.stats().connections == 1
            if when == "after":
                freed()
        assert pool.stats().connections == 1
        await pool.close()
        assert pool.stats().connections == 0

    asyncio.run(again())


@pytest.mark.parametrize("ends", ["run", "closed"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the tasks that never end
def test_a_pool_to_which_a_connection_is_given_back_while_the_loop_ends(
    serve: Callable[..., Any], freed: Callable[[], None], ends: str
) -> None:
    """It is not in step: the server owes an answer. Nothing else would close it."""
    asked = threading.Event()

    def reply(command: bytes) -> bytes:
        asked.set()
        return b""

    pool = AsyncPool("127.0.0.1", serve(converse(reply)).port, tls=False, timeout=20, connections=1)

    async def begin() -> list[asyncio.Task[None]]:
        async def hold() -> None:
            async with pool.client() as client:
                await client.noop()

        task = asyncio.create_task(hold())
        await asyncio.to_thread(asked.wait)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # which ends the wait for what is given back, and not that
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (pool.stats().connections, pool.stats().idle) == (1, 0)
        return [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]

    if ends == "run":
        asyncio.run(begin())
        assert pool.stats().connections == 0
    else:
        left(begin)
    asyncio.run(pool.close())
    assert pool.stats().connections == 0


@pytest.mark.parametrize("ends", ["run", "closed", "freed"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the tasks that never end
def test_a_pool_that_waits_for_the_answer_to_logout_while_the_loop_ends(
    serve: Callable[..., Any], freed: Callable[[], None], ends: str
) -> None:
    """The connection is counted off once, be it by the task that closes it, or by what takes it back from that."""
    asked = threading.Event()

    def says_no_goodbye(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.line()
        asked.set()
        swallow(peer)

    pool = AsyncPool("127.0.0.1", serve(says_no_goodbye).port, tls=False, timeout=20, connections=1)

    async def begin() -> list[asyncio.Task[None]]:
        lent, end = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with pool.client():
                lent.set()
                await end.wait()

        holding = asyncio.create_task(hold())
        await lent.wait()
        await pool.close()  # but for what is lent
        end.set()
        await asyncio.to_thread(asked.wait)
        return [holding, *(asyncio.all_tasks() - {holding, asyncio.current_task()})]

    if ends == "run":
        asyncio.run(begin())
    else:
        left(begin)
    if ends == "freed":
        freed()
    asyncio.run(pool.close())
    freed()
    assert (pool.stats().connections, pool.stats().closed) == (0, 1)
