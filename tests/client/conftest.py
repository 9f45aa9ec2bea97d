"""The interfaces, the parsers, and servers: the project's own in memory, and scripted ones."""

from __future__ import annotations

import gc
import importlib
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastimap.commands import fetch
from fastimap.conversation import protocol
from fastimap.testing import IMAPServer
from fastimap.wire import _values
from tests.client.interfaces import Interface, opened
from tests.imaplib.scripted import Script, Server
from tests.support import IMPLEMENTATIONS, READERS

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has the clients use one parser and then the other."""
    twin = importlib.import_module(READERS[request.param])
    monkeypatch.setattr(protocol, "ResponseReader", twin.ResponseReader)
    monkeypatch.setattr(_values, "tokenize", twin.tokenize)
    monkeypatch.setattr(fetch, "split_rows", twin.split_rows)
    monkeypatch.setattr(fetch, "last_ascending", twin.last_ascending)
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """No test leaves a file descriptor behind, nor an object that makes a ResourceWarning when it goes."""
    before = descriptors()
    yield
    # What would make the warning has a descriptor; collecting after each test alike takes longer than the tests.
    if not before or descriptors() > before:
        gc.collect()
        # The thread of a test's own server may close its end a little later, on a machine that is busy.
        end = time.monotonic() + 10
        while descriptors() > before and time.monotonic() < end:
            time.sleep(0.05)
        assert descriptors() <= before


def descriptors() -> int:
    """Number of open file descriptors, where the system tells."""
    return len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.is_dir() else 0


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer() as server:
        yield server


@pytest.fixture
def client(server: IMAPServer, interface: Interface) -> Any:
    """A client of the project's own server, logged in."""
    client = interface(
        server.host, server.port, tls=False, user="user", password="password", mechanism="LOGIN", timeout=10
    )
    client.connect()
    return client


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """A function that starts a scripted server; at the end of the test, what its script raised is raised."""
    with ExitStack() as stack:

        def start(script: Script, context: ssl.SSLContext | None = None) -> Server:
            return stack.enter_context(Server(script, context))

        yield start


@pytest.fixture(params=["blocking", "asyncio"])
def interface(request: pytest.FixtureRequest, implementation: str, serve: Callable[..., Server]) -> Iterator[Interface]:
    """A function that makes a client, of one kind and then of the other; they are closed before the servers are."""
    with opened(request.param) as make:
        yield make


@pytest.fixture
def scripted(serve: Callable[..., Server], interface: Interface) -> Callable[..., Any]:
    """A function that starts a scripted server and returns a client for it, not yet connected."""

    def start(script: Script, **arguments: Any) -> Any:
        return interface("127.0.0.1", serve(script).port, **{"tls": False, "timeout": 10, **arguments})

    return start


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a server whose certificate is good for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a client that trusts the test's authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
