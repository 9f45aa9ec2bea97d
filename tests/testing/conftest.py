"""A running server, and a client of the standard library that is logged in: it shares no code with the server."""

import imaplib
from collections.abc import Iterator

import pytest

from fastimap.testing import IMAPServer


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer() as server:
        yield server


@pytest.fixture
def client(server: IMAPServer) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4(server.host, server.port, timeout=10) as client:
        client.login("user", "password")
        yield client
