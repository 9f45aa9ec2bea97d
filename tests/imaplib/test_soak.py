"""Many commands on one connection, and many connections in one process, hold on to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastimap import imaplib
from fastimap.testing import IMAPServer
from tests.support.growth import STATM, descriptors, growth

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("implementation", "nothing_left_open"),
    pytest.mark.skipif(not STATM.exists(), reason="the figures come from Linux's /proc"),
]

COMMANDS = 100_000
CONNECTIONS = 1_000
GROWTH = 5 * 1024 * 1024  # octets

MESSAGE = b"Subject: soak\r\n\r\n" + b"A line of the text of the message, as long as most.\r\n" * 100


class Answering:
    """A socket in memory: for each command, what a server would say, and OK."""

    def __init__(self) -> None:
        self._octets = memoryview(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")

    def sendall(self, command: bytes) -> None:
        tag, name, *_ = command.split()
        self._octets = memoryview(ANSWERS[name] + tag + b" OK done\r\n")

    def recv_into(self, buffer: memoryview) -> int:
        size = min(len(buffer), len(self._octets))
        buffer[:size] = self._octets[:size]
        self._octets = self._octets[size:]
        return size

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        pass


ANSWERS = {
    b"NOOP": b"",
    b"SEARCH": b"* SEARCH " + b" ".join(b"%d" % number for number in range(1, 500)) + b"\r\n",
    b"FETCH": b"".join(
        b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (number, number, len(MESSAGE), MESSAGE) for number in (1, 2)
    ),
    b"STATUS": b'* STATUS "x" (MESSAGES 3)\r\n* OK [ALERT] soon\r\n* 4 EXISTS\r\n',
}


class InMemory(imaplib.IMAP4):
    def _create_socket(self, timeout: float | None) -> Any:
        return Answering()


def test_commands() -> None:
    client = InMemory()
    client.state = "SELECTED"

    def four_commands() -> None:
        assert client.noop()[0] == "OK"
        assert client.search(None, "ALL")[1][0].endswith(b" 499")
        assert client.fetch("1:2", "(UID BODY[])")[1][2][1] == MESSAGE
        assert client.status("x", "(MESSAGES)") == ("OK", [b'"x" (MESSAGES 3)'])
        assert client.response("EXISTS")[1] == [b"4"]
        assert client.response("ALERT")[1] == [b""]

    assert growth(four_commands, COMMANDS // 4) < GROWTH


def test_connections() -> None:
    with IMAPServer() as server:
        server.append("INBOX", MESSAGE)
        before = descriptors()

        def connection(end: Callable[[imaplib.IMAP4], object]) -> None:
            client = imaplib.IMAP4(server.host, server.port, timeout=20)
            client.login("user", "password")
            client.select()
            assert client.fetch("1", "(BODY[])")[1][0][1] == MESSAGE
            end(client)

        def cut(client: imaplib.IMAP4) -> None:
            server.disconnect_all()
            with pytest.raises(imaplib.IMAP4.abort):
                client.noop()

        def refused(client: imaplib.IMAP4) -> None:
            with pytest.raises(imaplib.IMAP4.error):
                client.fetch("1", "(NONSENSE)")
            client.shutdown()

        ends = (imaplib.IMAP4.logout, imaplib.IMAP4.shutdown, cut, refused)

        def connections() -> None:
            for end in ends:
                connection(end)

        grown = growth(connections, CONNECTIONS // len(ends))
        server.disconnect_all()
        assert descriptors() == before
        assert grown < GROWTH
