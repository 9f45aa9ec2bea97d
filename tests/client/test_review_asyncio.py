"""The asyncio client: several tasks that connect, connect anew and close at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import AsyncClient, errors
from fastimap.testing import IMAPServer
from tests.client.peers import silent
from tests.imaplib.scripted import Server


def account(server: IMAPServer) -> AsyncClient:
    return AsyncClient(
        server.host, server.port, tls=False, user="user", password="password", mechanism="LOGIN", timeout=10
    )


def test_tasks_that_connect_anew_at_once_do_it_once(server: IMAPServer) -> None:
    async def work() -> None:
        async with account(server) as client:
            await client.select("INBOX")
            await asyncio.gather(*(client.reconnect() for _ in range(5)))
            assert client.session.mailbox == "INBOX"
            commands = client.counters.commands
            await client.noop()
            assert client.counters.commands == commands + 1

    asyncio.run(work())


def test_a_command_that_comes_while_a_task_connects_anew_finds_the_mailbox_selected(server: IMAPServer) -> None:
    async def work() -> None:
        async with account(server) as client:
            await client.select("INBOX")
            again = asyncio.create_task(client.reconnect())
            await asyncio.sleep(0)
            await client.check()
            await again

    asyncio.run(work())


def test_the_mailbox_is_known_until_a_new_connection_comes_about(
    server: IMAPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionRefusedError

    async def work() -> None:
        async with account(server) as client:
            await client.select("INBOX")
            with monkeypatch.context() as patched:
                patched.setattr(asyncio.get_running_loop(), "create_connection", refuse)
                for _ in range(2):
                    with pytest.raises(errors.ConnectFailed):
                        await client.reconnect()
            await client.reconnect()
            assert client.session.mailbox == "INBOX"

    asyncio.run(work())


def test_closing_ends_a_task_that_waits_for_the_greeting(serve: Callable[..., Server]) -> None:
    connected = threading.Event()

    def script(peer: Any) -> None:
        connected.set()
        silent(peer)

    async def work() -> None:
        client = AsyncClient("127.0.0.1", serve(script).port, tls=False, timeout=600)
        connecting = asyncio.create_task(client.connect())
        assert await asyncio.to_thread(connected.wait, 10)
        async with asyncio.timeout(4):  # shorter than the patience with LOGOUT
            await client.close()
            with pytest.raises(errors.Disconnected, match="logged out"):
                await connecting

    asyncio.run(work())


def test_closing_ends_a_task_that_waits_for_an_answer(serve: Callable[..., Server]) -> None:
    def script(peer: Any) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        silent(peer)

    async def work() -> None:
        client = AsyncClient("127.0.0.1", serve(script).port, tls=False, timeout=600)
        await client.connect()
        waiting = asyncio.create_task(client.noop())
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(errors.Disconnected, match="logged out"):
            await waiting

    asyncio.run(work())
