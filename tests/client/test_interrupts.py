"""The blocking client, interrupted by Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastimap import Client, errors
from fastimap.command import State
from fastimap.testing import IMAPServer
from tests.client.peers import DONE, converse
from tests.imaplib.scripted import Server

pytestmark = pytest.mark.usefixtures("implementation")


def interrupting(original: Any) -> Any:
    """The same function, but Ctrl-C is pressed right behind it."""

    def call(*args: Any) -> Any:
        original(*args)
        raise KeyboardInterrupt

    return call


@pytest.fixture
def client(server: IMAPServer) -> Any:
    with Client(
        server.host, server.port, tls=False, user="user", password="password", mechanism="LOGIN", timeout=10
    ) as client:
        client.select("INBOX")
        yield client


def test_ctrl_c_while_octets_are_on_their_way_ends_the_connection(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(client._protocol, "buffer_updated", interrupting(client._protocol.buffer_updated))
        with pytest.raises(KeyboardInterrupt):
            client.noop()
    with pytest.raises(errors.Disconnected, match="interrupted"):
        client.noop()
    client.reconnect()
    assert client.session.mailbox == "INBOX"


@pytest.fixture
def late(serve: Callable[..., Server]) -> Iterator[tuple[Any, threading.Event]]:
    """A client, and what its server waits for before it answers."""
    let = threading.Event()

    def reply(command: bytes) -> bytes:
        assert let.wait(10)
        return DONE

    port = serve(converse(reply)).port
    with Client("127.0.0.1", port, tls=False, timeout=10) as client:
        yield client, let
        let.set()


def test_ctrl_c_while_waiting_leaves_the_connection_in_step(
    late: tuple[Any, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, let = late
    with monkeypatch.context() as patched:
        patched.setattr(client, "_wait", interrupting(lambda *_: None))
        with pytest.raises(KeyboardInterrupt):
            client.noop()
    let.set()
    assert client.noop() is None
    assert client.session.state is not State.LOGOUT


def test_ctrl_c_at_the_end_leaves_nothing_open(
    late: tuple[Any, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = late
    with monkeypatch.context() as patched:
        patched.setattr(client, "_exchange", interrupting(lambda *_: None))
        with pytest.raises(KeyboardInterrupt):
            client.close()
    with pytest.raises(errors.StateError, match="logged out"):
        client.noop()
