"""Deadlines: no server, however slow or dead, keeps a client for longer than it said.

Nothing here measures speed: the bounds only tell a deadline that holds from one that does not.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastimap import Timeouts, commands, errors
from fastimap.clients import asyncio as aio
from fastimap.clients import blocking
from fastimap.conversation import deadlines
from tests.client.interfaces import Interface, passes
from tests.client.peers import DONE, converse, silent, swallow
from tests.imaplib.scripted import Peer
from tests.support import IMPLEMENTATIONS

SOON = 10.0
"""Seconds; every deadline of these tests is far below it."""

PATIENT = 2.3
"""Seconds; for what must not run out, and holds for more than what is tested, on a machine that may be busy."""


@pytest.fixture(params=IMPLEMENTATIONS[:1])
def implementation(request: pytest.FixtureRequest) -> str:
    """One parser will do: deadlines are the drivers' own, and to wait for them takes its time."""
    return str(request.param)


@contextlib.contextmanager
def soon() -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < SOON


@pytest.mark.slow
def test_no_connection(interface: Interface) -> None:
    with contextlib.ExitStack() as stack:
        # A queue that is full: the kernel leaves further connections without an answer.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        client = interface("127.0.0.1", listener.getsockname()[1], tls=False, timeout=0.3)
        with soon(), pytest.raises(errors.Timeout, match=r"no connection to 127\.0\.0\.1 port \d+ within 0\.3 s"):
            client.connect()


@pytest.mark.slow
@pytest.mark.parametrize("connect", [2, None])  # to connect takes a part of it
def test_no_greeting(scripted: Callable[..., Any], connect: float | None) -> None:
    def script(peer: Peer) -> None:
        if connect is None:
            peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] at last\r\n")
        silent(peer)

    client = scripted(script, timeout=Timeouts(connect, response=0.3))
    said = r"no greeting from .* within 2 s; a port that begins with TLS, as 993 does, needs tls=True"
    with soon(), pytest.raises(errors.Timeout, match=said if connect else "NOOP"):
        client.noop()
    with pytest.raises(errors.ConnectionLost, match="closed"):
        client.noop()


@pytest.mark.slow
def test_a_greeting_that_drips(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                peer.send(b"*")
                time.sleep(0.05)

    client = scripted(script, timeout=2)  # to connect takes a part of it
    with soon(), pytest.raises(errors.Timeout, match="greeting"):
        client.connect()


@pytest.mark.slow
def test_no_tls(scripted: Callable[..., Any]) -> None:
    client = scripted(swallow, tls=True, timeout=0.3)
    with soon(), pytest.raises(errors.Timeout):
        client.connect()


@pytest.mark.slow
def test_silence(scripted: Callable[..., Any]) -> None:
    client = scripted(converse(lambda command: b""), timeout=Timeouts(response=0.3))
    client.connect()
    with soon(), pytest.raises(errors.Timeout, match=r"NOOP: no answer within 0\.3 s") as caught:
        client.noop()
    assert caught.value.advice is errors.Advice.RECONNECT
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(errors.Disconnected, match="the connection is closed: NOOP: no answer"):
        client.noop()


@pytest.mark.slow
def test_a_drip_of_octets_is_no_answer(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.line()
        with contextlib.suppress(ConnectionError):
            peer.send(b"* OK ")
            while True:
                peer.send(b".")
                time.sleep(0.1)

    client = scripted(script, timeout=Timeouts(response=1))
    client.connect()
    begin = time.monotonic()
    with pytest.raises(errors.Timeout):
        client.noop()
    assert time.monotonic() - begin < 5


@pytest.mark.slow
def test_responses_are_progress(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        tag, *_ = peer.line().split(b" ")
        for _ in range(8):  # for longer than the deadline
            time.sleep(0.3)
            peer.send(b"* OK Still here\r\n")
        peer.send(tag + b" OK done\r\n")
        peer.log_out()

    with scripted(script, timeout=Timeouts(response=PATIENT)) as client:
        assert client.noop() is None


@pytest.mark.slow
def test_one_command_has_an_end_of_its_own(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.line()
        with contextlib.suppress(ConnectionError):
            while True:
                peer.send(b"* OK Still here\r\n")
                time.sleep(0.05)

    client = scripted(script, timeout=Timeouts(response=5, command=0.5))
    with soon(), pytest.raises(errors.Timeout, match=r"0\.5 s"):
        client.noop()


@pytest.mark.slow
def test_a_server_that_stops_reading(scripted: Callable[..., Any]) -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")
        assert b"{20000000+}" in peer.line()
        over.wait(SOON)

    client = scripted(script, timeout=Timeouts(response=0.5))
    with soon(), pytest.raises(errors.Timeout, match="APPEND"):
        client.append("INBOX", b"x" * 20_000_000)
    over.set()


def test_a_server_that_does_not_read_before_it_is_read(scripted: Callable[..., Any]) -> None:
    # The client has to read while it writes, or both wait for ever.
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")
        tag, *_ = peer.line().split(b" ")
        peer.send((b"* OK [INPROGRESS] " + b"." * 1000 + b"\r\n") * 20_000)
        assert peer.octets(20_000_002)[-4:] == b"xx\r\n"
        peer.send(tag + b" OK done\r\n")
        peer.log_out()

    with scripted(script, timeout=20) as client:
        client.append("INBOX", b"x" * 20_000_000)


@pytest.mark.slow
def test_idle_with_a_dead_server(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return b"+ idling\r\n" if command == b"IDLE" else b""  # nor is DONE answered

    client = scripted(converse(reply), timeout=Timeouts(response=0.3))
    client.connect()
    with soon(), pytest.raises(errors.Timeout, match="IDLE"):
        list(client.idle(renew=0.2))


@pytest.mark.slow
def test_polling_a_dead_server(scripted: Callable[..., Any]) -> None:
    client = scripted(converse(lambda command: b"", b"IMAP4rev1"), timeout=Timeouts(response=0.3))
    client.connect()
    with soon(), pytest.raises(errors.Timeout, match="NOOP"):
        list(client.idle(poll=0.1))


@pytest.mark.slow
def test_idle_that_is_not_begun(scripted: Callable[..., Any]) -> None:
    client = scripted(converse(lambda command: b""), timeout=Timeouts(response=0.3))
    client.connect()
    with soon(), pytest.raises(errors.Timeout, match="IDLE"):
        list(client.idle(timeout=60))


@pytest.mark.slow
def test_idle_may_be_silent_for_longer_than_an_answer(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        tag = peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n")
        assert peer.line() == b"DONE\r\n"
        peer.send(tag + b" OK done\r\n")
        peer.answer(b"NOOP")
        peer.log_out()

    with scripted(script, timeout=Timeouts(response=PATIENT)) as client:
        assert list(client.idle(timeout=PATIENT + 0.2)) == []
        assert client.noop() is None


@pytest.mark.slow
def test_a_slow_reader_is_not_a_slow_server(scripted: Callable[..., Any]) -> None:
    # What a program does between two rows is its own time. More is under way than the kernel's buffers hold.
    row = b"* %d FETCH (UID %d BODY[] {100000}\r\n" + b"x" * 100_000 + b")\r\n"

    def reply(command: bytes) -> bytes:
        first, _, last = command.split(b" ")[2].partition(b":")
        return b"".join(row % (n, n) for n in range(int(first), int(last or first) + 1)) + DONE

    with scripted(converse(reply), timeout=Timeouts(response=PATIENT)) as client:
        client.select("INBOX")
        uids = []
        for message in client.fetch_iter(range(1, 201), "BODY.PEEK[]", chunk=50):
            uids.append(message.uid)
            if message.uid in (1, 120):
                passes(client, PATIENT + 0.2)
        assert uids == list(range(1, 201))


@pytest.mark.slow
def test_logout_unanswered(scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "_LOGOUT_TIMEOUT", 0.3)
    monkeypatch.setattr(aio, "_LOGOUT_TIMEOUT", 0.3)

    def script(peer: Peer) -> None:
        peer.greet()
        silent(peer)

    client = scripted(script, timeout=60)
    client.connect()
    with soon():
        client.close()
    assert client.session.state.value == "logout"


@pytest.mark.parametrize("value", [0, -1])
def test_deadlines_that_are_none(value: float) -> None:
    with pytest.raises(ValueError, match="over 0 seconds"):
        Timeouts(response=value)


class Whole:
    """A whole number that is none of Python's ints, as numpy.int64 is."""

    def __index__(self) -> int:
        return 20

    def __radd__(self, other: float) -> float:
        return other + 20

    def __le__(self, other: float) -> bool:
        return other >= 20


@pytest.mark.parametrize(("value", "error"), [("10", TypeError), (b"10", TypeError), (float("nan"), ValueError)])
def test_what_is_no_number_of_seconds(scripted: Callable[..., Any], value: Any, error: type[Exception]) -> None:
    """Nothing would ever be later than NaN."""
    with pytest.raises(error, match="must be a number of seconds, or None, not"):
        Timeouts(response=value)
    with scripted(converse(lambda command: DONE), timeout=20) as client:
        with pytest.raises(error, match="deadline must be a number of seconds, or None, not"), client.deadline(value):
            pass
        with pytest.raises(error, match="timeout must be a number of seconds, or None, not"):
            list(client.idle(timeout=value))
        for seconds in (None, 20, Whole()):
            with client.deadline(seconds):
                assert client.noop() is None


@pytest.mark.slow
def test_the_callers_own_time_is_no_silence_of_the_server(scripted: Callable[..., Any]) -> None:
    body = b"y" * 1_000_000

    def reply(command: bytes) -> bytes:
        if command == b"NOOP":
            return DONE
        rows = [b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(body), body) for uid in (1, 2, 3)]
        return b"".join(rows) + DONE

    with scripted(converse(reply), timeout=Timeouts(response=PATIENT, command=PATIENT + 0.2)) as client:
        client.select("INBOX")
        rows = client.fetch_iter("1:3", "BODY.PEEK[]")
        assert next(rows).body == body
        time.sleep(PATIENT + 0.4)
        assert client.noop() is None
        assert [message.uid for message in rows] == [2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("patient", [False, True])
def test_a_farewell_after_which_the_connection_stays_open(
    scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    """As Yandex does, and says it again: nothing more is worth waiting for (RFC 9051, section 7.1.5)."""
    monkeypatch.setattr(deadlines, "_FAREWELL", 0.3)

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
        assert peer.line().endswith(b" NOOP\r\n")
        with contextlib.suppress(ConnectionError):
            for count in range(1000):
                peer.send(b"* BYE Autologout; idle for too long (%d)\r\n" % (count + 1))
                time.sleep(0.05)

    client = scripted(script, timeout=Timeouts(response=None, command=None) if patient else 60)
    with soon(), pytest.raises(errors.Disconnected, match=r"BYE.*Autologout; idle for too long"):
        client.noop()


def test_what_is_answered_after_a_farewell_is_answered(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
        tag = peer.line().split(b" ")[0]
        peer.send(b"* BYE going down\r\n")
        peer.send(tag + b" OK done\r\n")
        peer.expect_end()

    client = scripted(script, timeout=60)
    client.noop()
    with pytest.raises(errors.Disconnected, match="going down"):
        client.noop()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["literal", "line"])
def test_what_still_arrives_slowly_after_a_farewell_arrives(
    scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A server that goes down says what it has begun to say to its end, over a slow link."""
    monkeypatch.setattr(deadlines, "_FAREWELL", 1.5)

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
        tag = peer.line().split(b" ")[0]
        peer.send(b"* BYE going down\r\n")
        answer = b'* LIST () "/" {9}\r\nslow ones' if way == "literal" else b'* LIST () "/" "slow ones"'
        for octet in answer:
            peer.send(bytes([octet]))
            time.sleep(0.1)
        peer.send(b"\r\n" + tag + b" OK done\r\n")
        peer.expect_end()

    client = scripted(script, timeout=60)
    assert [mailbox.name for mailbox in client.list_mailboxes()] == ["slow ones"]


@pytest.mark.slow
def test_what_drips_after_a_farewell_is_late_as_before_it(scripted: Callable[..., Any]) -> None:
    """And that is what the error speaks of."""

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
        peer.line()
        peer.send(b'* BYE going down\r\n* LIST () "/" {900}\r\n')
        with contextlib.suppress(ConnectionError):
            while True:
                peer.send(b"x")
                time.sleep(0.05)

    client = scripted(script, timeout=Timeouts(response=0.8))
    with soon(), pytest.raises(errors.Timeout, match=r"LIST: no answer within 0\.8 s"):
        client.list_mailboxes()


@pytest.mark.slow
def test_an_answer_to_logout_that_is_late(scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its BYE comes first always (RFC 9051, section 6.1.3), and says nothing of how long the server takes."""
    monkeypatch.setattr(deadlines, "_FAREWELL", 0.3)

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
        tag = peer.line().split(b" ")[0]
        peer.send(b"* BYE see you\r\n")
        time.sleep(1.0)
        peer.send(tag + b" OK done\r\n")
        peer.expect_end()

    client = scripted(script, timeout=60)
    assert client.run(commands.Logout()) is None
