"""The blocking client, interrupted by Ctrl-C or by another signal whose handler raises."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from fastimap import Client, errors
from fastimap.commands.base import State
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


class Interrupted(Exception):
    """What a handler raises that is no KeyboardInterrupt."""


class _Sending:
    """A socket, of which `send` is interrupted by an exception right behind it."""

    def __init__(self, given: Any, exception: Exception) -> None:
        self._given = given
        self._exception: Exception | None = exception
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)

    def send(self, octets: Any) -> int:
        self.calls += 1
        size: int = self._given.send(octets)
        exception, self._exception = self._exception, None
        if exception is not None:
            raise exception
        return size


@pytest.mark.parametrize("exception", [Interrupted("now"), TimeoutError("now"), OSError("now")], ids=repr)
def test_a_handler_that_raises_behind_octets_that_were_sent_ends_the_connection(
    client: Any, exception: Exception
) -> None:
    """They would be sent again, and be a part of the message that is under way."""
    client._socket = _Sending(client._socket, exception)
    with pytest.raises(type(exception), match="now"):
        client.append("INBOX", b"x" * 200_000)
    with pytest.raises(errors.Disconnected, match="interrupted"):
        client.noop()
    client.reconnect()
    assert client.noop() is None


@pytest.mark.slow
@pytest.mark.parametrize("exception", [OSError(5, "now"), ValueError("now")], ids=repr)
def test_nothing_is_sent_behind_an_error(client: Any, exception: Exception) -> None:
    """It may have come when its octets were on their way."""
    proxy = client._socket = _Sending(client._socket, exception)
    client.create_mailbox("There")
    assert proxy.calls == 1
    client.close()
    assert proxy.calls == 1


# The lines of a turn, without those of a `try`: at these no signal's handler can run.
@pytest.mark.parametrize("which", [1, 2, 3, 4, 6, 7, 8, 9])
def test_ctrl_c_at_any_line_of_a_turn_leaves_the_client_usable(client: Any, which: int) -> None:
    lines = 0

    def at_a_line(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        if lines == which:
            sys.settrace(None)
            raise KeyboardInterrupt
        return at_a_line

    def at_a_call(frame: FrameType, _event: str, _argument: object) -> Any:
        return at_a_line if frame.f_code in turns else None

    turns = (Client._turn.__code__, Client._at_once.__code__)
    before = sys.gettrace()
    sys.settrace(at_a_call)
    try:
        with pytest.raises(KeyboardInterrupt):
            client.noop()
    finally:
        sys.settrace(before)
    client.reconnect()
    assert client.noop() is None


class _Polling:
    """What is interrupted while it waits."""

    def poll(self, _milliseconds: int | None) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_while_waiting_leaves_the_connection_in_step(
    late: tuple[Any, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, let = late
    with monkeypatch.context() as patched:
        patched.setattr(client, "_poll", _Polling())
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
