"""The blocking client, interrupted and connected anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fastimap import Client, UIDSet, errors
from fastimap.command import State
from fastimap.testing import IMAPServer
from tests.client.peers import DONE, converse


@pytest.fixture
def client(server: IMAPServer) -> Any:
    with Client(
        server.host, server.port, tls=False, user="user", password="password", mechanism="LOGIN", timeout=10
    ) as client:
        client.select("INBOX")
        yield client


def interrupting(original: Any) -> Any:
    """The same function, but Ctrl-C is pressed right behind it."""

    def call(*args: Any) -> Any:
        original(*args)
        raise KeyboardInterrupt

    return call


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
def late(serve: Any) -> Iterator[tuple[Any, threading.Event]]:
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


def test_a_stream_of_the_connection_before_ends(client: Any) -> None:
    for number in range(3):
        client.append("INBOX", b"Subject: %d\r\n\r\n" % number)
    stream = client.fetch_iter(UIDSet("1:*"), "FLAGS")
    next(stream)
    few = client.fetch_iter(UIDSet(range(1, 4)), "FLAGS", chunk=1, in_flight=1)
    next(few)
    events = client.idle()
    client.reconnect()
    assert len(list(stream)) == 2  # they had arrived
    with pytest.raises(errors.ConnectionLost):
        list(few)
    events.close()
    assert client.noop() is None


def test_the_mailbox_is_known_until_a_new_connection_comes_about(
    client: Any, server: IMAPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("fastimap.client.connect", lambda settings: _refuse())
        for _ in range(2):
            with pytest.raises(errors.ConnectFailed):
                client.reconnect()
    client.reconnect()
    assert client.session.mailbox == "INBOX"


def _refuse() -> None:
    raise errors.ConnectFailed("no")
