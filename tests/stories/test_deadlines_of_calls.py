"""A program that gives one call less time than the connection's own deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import AsyncClient, Client, Retry, errors
from fastimap.search import all_
from fastimap.types import Reconnected
from tests.client.peers import DONE, converse, in_turn
from tests.imaplib.scripted import Peer


class Slow:
    """A server that does not answer SEARCH before it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.script = converse(self.reply)

    def reply(self, command: bytes) -> bytes:
        if command.startswith(b"UID SEARCH"):
            self.let.wait(10)
            return b"* SEARCH 1 2 3\r\n" + DONE
        return DONE


def test_a_search_that_takes_too_long_costs_the_search_and_not_the_connection(
    implementation: str, serve: Callable[..., Any]
) -> None:
    slow = Slow()
    with Client("127.0.0.1", serve(slow.script).port, tls=False, timeout=30) as client:
        client.select("INBOX")
        with pytest.raises(errors.DeadlinePassed) as caught, client.deadline(0.05):
            client.search(all_)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.seconds == 0.05
        slow.let.set()
        client.noop()  # the late answer was read, and is nobody's
        assert list(client.search(all_).uids) == [1, 2, 3]


def test_the_same_under_asyncio(implementation: str, serve: Callable[..., Any]) -> None:
    slow = Slow()

    async def main() -> None:
        async with AsyncClient("127.0.0.1", serve(slow.script).port, tls=False, timeout=30) as client:
            await client.select("INBOX")
            with pytest.raises(errors.DeadlinePassed) as caught:
                async with client.deadline(0.05):
                    await client.search(all_)
            assert caught.value.seconds == 0.05
            slow.let.set()
            await client.noop()
            assert list((await client.search(all_)).uids) == [1, 2, 3]

    asyncio.run(main())


def test_a_deadline_that_is_kept(implementation: str, serve: Callable[..., Any]) -> None:
    with Client("127.0.0.1", serve(Slow().script).port, tls=False) as client:
        with client.deadline(30):
            client.noop()
        client.noop()


def test_the_shorter_of_two_deadlines_holds(implementation: str, serve: Callable[..., Any]) -> None:
    slow = Slow()
    with Client("127.0.0.1", serve(slow.script).port, tls=False) as client:
        client.select("INBOX")
        with pytest.raises(errors.DeadlinePassed), client.deadline(0.05), client.deadline(30):
            client.search(all_)
        slow.let.set()
        client.noop()


def unreachable(listens: bool) -> socket.socket:
    """A port on which nobody listens, or on which connections are taken and nothing is said."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    if listens:
        listener.listen()
    return listener


@pytest.mark.parametrize("listens", [False, True])
@pytest.mark.parametrize("tls", [False, True, "starttls"])
def test_connecting_counts_and_so_do_the_waits_between_attempts(listens: bool, tls: Any) -> None:
    retry = Retry(attempts=1000, within=None, first=0.01, longest=0.02, burst=1000)
    with unreachable(listens) as listener:
        port = listener.getsockname()[1]
        client = Client("127.0.0.1", port, tls=tls, timeout=30, retry=retry)
        with pytest.raises(errors.DeadlinePassed) as caught, client.deadline(0.05):
            client.search(all_)
        assert caught.value.seconds == 0.05

        async def main() -> None:
            client = AsyncClient("127.0.0.1", port, tls=tls, timeout=30, retry=retry)
            with pytest.raises(errors.DeadlinePassed) as caught:
                async with client.deadline(0.05):
                    await client.search(all_)
            assert caught.value.seconds == 0.05

        asyncio.run(main())


class Restored:
    """A server that is gone when it is asked for flags; comes back, and is slow to select; is as before then."""

    def __init__(self, serve: Callable[..., Any]) -> None:
        self.passed = threading.Event()
        self.socket = in_turn([serve(script) for script in (self.first, self.second, self.third)])

    def greet(self, peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")

    def first(self, peer: Peer) -> None:
        self.greet(peer)
        peer.answer(b"SELECT INBOX", b"* 3 EXISTS", b"* OK [UIDVALIDITY 7] noted")
        peer.expect(b"UID FETCH 4 (FLAGS)")

    def second(self, peer: Peer) -> None:
        self.greet(peer)
        tag = peer.expect(b"SELECT INBOX")
        self.passed.wait(10)
        with contextlib.suppress(ConnectionError):  # the client has gone
            peer.send(b"* 3 EXISTS\r\n* OK [UIDVALIDITY 8] noted\r\n" + tag + b" OK done\r\n")
            if tag := peer.line().split(b" ")[0]:
                peer.send(b"* 1 FETCH (UID 4 FLAGS (another))\r\n" + tag + b" OK done\r\n")

    def third(self, peer: Peer) -> None:
        self.greet(peer)
        peer.answer(b"SELECT INBOX", b"* 3 EXISTS", b"* OK [UIDVALIDITY 7] noted")
        peer.answer(b"UID FETCH 4 (FLAGS)", b"* 1 FETCH (UID 4 FLAGS (same))")
        peer.log_out()


def test_one_that_passes_while_the_mailbox_is_selected_again(serve: Callable[..., Any]) -> None:
    """Whether it is the same mailbox is not known then: the next call sees to that, and no UID is of another one."""
    retry = Retry(first=0.0, burst=1000)
    server = Restored(serve)
    with Client("127.0.0.1", 143, tls=False, timeout=30, retry=retry, socket=server.socket) as client:
        client.select("INBOX")
        with pytest.raises(errors.DeadlinePassed), client.deadline(0.2):
            client.fetch(4, "FLAGS")
        server.passed.set()
        assert [row.flags for row in client.fetch(4, "FLAGS")] == [frozenset({"same"})]
        assert [type(event) for event in client.take_events()] == [Reconnected]


def test_the_same_with_a_task_that_is_cancelled(serve: Callable[..., Any]) -> None:
    retry = Retry(first=0.0, burst=1000)
    server = Restored(serve)

    async def main() -> None:
        async with AsyncClient("127.0.0.1", 143, tls=False, timeout=30, retry=retry, socket=server.socket) as client:
            await client.select("INBOX")
            with pytest.raises(errors.DeadlinePassed):
                async with client.deadline(0.2):
                    await client.fetch(4, "FLAGS")
            server.passed.set()
            assert [row.flags for row in await client.fetch(4, "FLAGS")] == [frozenset({"same"})]
            assert [type(event) for event in client.take_events()] == [Reconnected]

    asyncio.run(main())
