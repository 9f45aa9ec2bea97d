"""The scripted server as a fixture, and the two parsers."""

from __future__ import annotations

import gc
import importlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trustme

from fastimap import imaplib
from tests.imaplib.scripted import Script, Server
from tests.support import IMPLEMENTATIONS

TWINS = {"c": "fastimap._parser", "py": "fastimap._parser_py"}

Serve = Callable[..., Server]
Connect = Callable[..., imaplib.IMAP4]


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has the drop-in use one parser and then the other; one that was not built is a failure."""
    twin = importlib.import_module(TWINS[request.param])
    monkeypatch.setattr(imaplib, "ResponseReader", twin.ResponseReader)
    return str(request.param)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that starts a scripted server; at the end of the test, what its script raised is raised."""
    with ExitStack() as stack:

        def start(script: Script, context: ssl.SSLContext | None = None) -> Server:
            return stack.enter_context(Server(script, context))

        yield start


@pytest.fixture
def connect(serve: Serve) -> Iterator[Connect]:
    """A function that starts a scripted server and connects to it; at the end of the test, the client is closed."""
    clients: list[imaplib.IMAP4] = []

    def start(script: Script, cls: type[imaplib.IMAP4] = imaplib.IMAP4, **arguments: Any) -> imaplib.IMAP4:
        client = cls("127.0.0.1", serve(script).port, **arguments)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.shutdown()


@pytest.fixture
def nothing_left_open() -> Iterator[None]:
    """A socket that was not closed makes a ResourceWarning, and so fails the test."""
    gc.collect()
    yield
    gc.collect()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def tls_server(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a server whose certificate is good for this machine."""
    return server_context(authority, "localhost", "127.0.0.1")


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a client that trusts the test's authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
