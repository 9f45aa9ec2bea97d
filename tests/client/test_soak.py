"""Many commands on one connection, and many connections in one process, hold on to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastimap import AsyncClient, Client
from fastimap.errors import CommandError, ConnectionLost
from fastimap.search import unseen
from fastimap.testing import IMAPServer
from tests.support.growth import STATM, descriptors, growth

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("nothing_left_open"),
    pytest.mark.skipif(not STATM.exists(), reason="the figures come from Linux's /proc"),
]

COMMANDS = 100_000
RECONNECTS = 1_000
GROWTH = 5 * 1024 * 1024  # octets
AT_ONCE = 100

MESSAGE = b"Subject: soak\r\n\r\n" + b"A line of the text of the message, as long as most.\r\n" * 20
ANSWERS = {
    b"NOOP": b"* 4 EXISTS\r\n* OK [ALERT] soon\r\n",
    b"SEARCH": b'* ESEARCH (TAG "%b") UID ALL 1:9,12:499\r\n',
    b"FETCH": b"* 7 FETCH (UID 7 FLAGS (\\Seen k) BODY[] {%d}\r\n%b)\r\n* 8 FETCH (FLAGS ())\r\n"
    % (len(MESSAGE), MESSAGE),
    b"STATUS": b"* STATUS x (MESSAGES 3)\r\n",
}


@contextlib.contextmanager
def answering() -> Iterator[socket.socket]:
    """The client's end of a connection to a server that answers each command at once."""
    ours, theirs = socket.socketpair()

    def answer() -> None:
        theirs.sendall(b"* PREAUTH [CAPABILITY IMAP4rev1 ESEARCH] ready\r\n")
        received = b""
        while octets := theirs.recv(65536):
            *lines, received = (received + octets).split(b"\r\n")
            said = []
            for line in lines:
                tag, name, *words = line.split(b" ")
                if name == b"UID":
                    name = words[0]
                said.append(ANSWERS.get(name, b"").replace(b"%b", tag) + tag + b" OK done\r\n")
            theirs.sendall(b"".join(said))

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield ours
    finally:
        thread.join()
        theirs.close()


def send_and_check(pipeline: Any) -> Callable[[], None]:
    """Send some commands of each kind; return what looks at their answers."""
    pendings = [
        (
            pipeline.noop(),
            pipeline.search(unseen),
            pipeline.fetch(7, "FLAGS", "BODY.PEEK[]"),
            pipeline.mailbox_status("x"),
        )
        for _ in range(AT_ONCE // 4)
    ]

    def check() -> None:
        for noop, search, fetch, status in pendings:
            assert noop.result() is None
            assert len(search.result().uids) == 497
            assert [row.body for row in fetch.result()] == [MESSAGE]
            assert status.result().messages == 3

    return check


def test_commands_of_the_blocking_client() -> None:
    with answering() as connection, Client("imap.example.org", tls=False, socket=connection) as client:
        client.select("INBOX")

        def commands() -> None:
            with client.pipeline() as pipeline:
                check = send_and_check(pipeline)
            check()
            assert len(client.take_events()) == 3 * AT_ONCE // 4

        assert growth(commands, COMMANDS // AT_ONCE) < GROWTH


def test_commands_of_the_asyncio_client() -> None:
    with answering() as connection, asyncio.Runner() as runner:
        client = AsyncClient("imap.example.org", tls=False, socket=connection)

        async def commands() -> None:
            async with client.pipeline() as pipeline:
                check = send_and_check(pipeline)
            check()
            assert len(client.take_events()) == 3 * AT_ONCE // 4

        async def begin() -> None:
            await client.connect()
            await client.select("INBOX")

        runner.run(begin())
        grown = growth(lambda: runner.run(commands()), COMMANDS // AT_ONCE)
        runner.run(client.close())
    assert grown < GROWTH


def settings(server: IMAPServer) -> dict[str, Any]:
    return {
        "host": server.host, "port": server.port, "tls": False, "user": "user", "password": "password",
        "mechanism": "PLAIN", "timeout": 20,
    }  # fmt: skip


def test_reconnects_of_the_blocking_client() -> None:
    with IMAPServer() as server:
        server.append("INBOX", MESSAGE)
        before = descriptors()

        def used(client: Client) -> None:
            assert [row.body for row in client.fetch(1, "BODY.PEEK[]")] == [MESSAGE]
            with pytest.raises(CommandError):
                client.mailbox_status("nowhere")

        def connections() -> None:
            """Connected, connected anew by itself, and after having been cut off; then forgotten in the midst."""
            client = Client(**settings(server))
            client.select("INBOX")
            used(client)
            client.reconnect()
            used(client)
            server.disconnect_all()
            with pytest.raises(ConnectionLost):
                client.noop()
            client.reconnect()
            used(client)
            client.close()
            with Client(**settings(server)) as other:
                other.select("INBOX")
                next(iter(other.fetch_iter("1:*", "BODY.PEEK[]")))

        grown = growth(connections, RECONNECTS // 4)
        server.disconnect_all()
        assert descriptors() == before
        assert grown < GROWTH


def test_reconnects_of_the_asyncio_client() -> None:
    with IMAPServer() as server, asyncio.Runner() as runner:
        server.append("INBOX", MESSAGE)
        runner.run(asyncio.sleep(0))  # the loop has files of its own
        before = descriptors()

        async def used(client: AsyncClient) -> None:
            assert [row.body for row in await client.fetch(1, "BODY.PEEK[]")] == [MESSAGE]
            with pytest.raises(CommandError):
                await client.mailbox_status("nowhere")

        async def connections() -> None:
            client = AsyncClient(**settings(server))
            await client.select("INBOX")
            await used(client)
            await client.reconnect()
            await used(client)
            server.disconnect_all()
            with pytest.raises(ConnectionLost):
                await client.noop()
            await client.reconnect()
            await used(client)
            await client.close()
            async with AsyncClient(**settings(server)) as other:
                await other.select("INBOX")
                rows = other.fetch_iter("1:*", "BODY.PEEK[]")
                await anext(rows)
                await rows.aclose()

        grown = growth(lambda: runner.run(connections()), RECONNECTS // 4)
        server.disconnect_all()
        assert descriptors() == before
        assert grown < GROWTH
