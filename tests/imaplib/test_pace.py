"""With a timeout set, no pace of the server outlasts it by more than a second; real progress, however slow, does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.conftest import Connect, Serve
from tests.imaplib.scripted import Peer

pytestmark = pytest.mark.usefixtures("nothing_left_open")
BOTH_PARSERS = pytest.mark.usefixtures("implementation")  # where it is the parser that waits for more

TIMEOUT = 0.25
LATE = TIMEOUT + 5
FOR_EVER = 30  # seconds, in which a test that waits has failed
# Where the timeout must not run out: each pause leaves two seconds for a machine that is busy, all outlast the timeout.
PATIENT = 2.3
PAUSE = 0.3
PAUSES = 8


class Watching(imaplib.IMAP4):
    """Takes the slow path."""

    def readline(self) -> bytes:
        return super().readline()


def drip(peer: Peer, octets: bytes, pause: float = 0.1) -> None:
    """Send the octets one by one until the client has gone away."""
    try:
        for octet in octets:
            peer.send(bytes((octet,)))
            time.sleep(pause)
    except OSError:
        pass


def without_end(peer: Peer, start: bytes, unit: bytes = b"x") -> None:
    """Begin with `start`, and say `unit` over and over, octet by octet."""
    try:
        peer.send(start)
    except OSError:
        return
    drip(peer, unit * (FOR_EVER * 10))


@contextmanager
def in_time() -> Iterator[None]:
    """What is done in here is a TimeoutError, and an abort, within LATE."""
    start = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        yield
    assert time.monotonic() - start < LATE
    assert isinstance(caught.value, imaplib.IMAP4.abort)


def selected(peer: Peer) -> None:
    peer.log_in(b"IMAP4rev1 IDLE")
    peer.select()


def impatient(client: imaplib.IMAP4, timeout: float = TIMEOUT) -> None:
    """Have the timeout hold from now on: what was before is not tested, and a busy machine has time for it."""
    assert client.sock.gettimeout() == FOR_EVER  # what the client was made with
    client.sock.settimeout(timeout)


def client_for(
    connect: Connect, script: Callable[[Peer], None], cls: type[imaplib.IMAP4], timeout: float = TIMEOUT
) -> imaplib.IMAP4:
    def whole(peer: Peer) -> None:
        selected(peer)
        script(peer)

    client = connect(whole, cls, timeout=FOR_EVER)
    client.login("user", "secret")
    client.select()
    impatient(client, timeout)
    return client


@contextmanager
def impatient_idle(client: imaplib.IMAP4, duration: float | None = None) -> Iterator[Any]:
    """IDLE, in which the timeout holds."""
    with client.idle(duration) as idler:
        impatient(client)
        yield idler


def is_dead(client: imaplib.IMAP4) -> None:
    assert client.sock.fileno() == -1
    with pytest.raises(imaplib.IMAP4.abort, match="connection is dead"):
        client.noop()


DRIPS = {
    "a line": (b"* SEARCH ", b"1 "),
    "the tagged answer": (b"", b"TAG OK done, done, done, done, done, done, done, done, done, done"),
    "a literal": (b"* 1 FETCH (BODY[] {1000}\r\n", b"x"),
    "a large literal": (b"* 1 FETCH (BODY[] {200000}\r\n" + bytes(70_000), b"x"),
    "the line after a literal": (b"* 1 FETCH (BODY[] {5}\r\nHELLO", b" "),
    "literals": (b"* 1 FETCH (BODY[] ", b"{1}\r\nx"),
    "literals in an untagged NO": (b"* NO ", b"{0}\r\n"),
    "empty lines": (b"", b"\r\n"),
    "empty lines after a literal": (b"* 1 FETCH (X {1}\r\nx", b"\r\n"),
    "lines of NULs": (b"", b"\0\r\n"),
    "nothing": (b"", b""),
    "half a line, then nothing": (b"* 5 EXI", b""),
    "half a literal, then nothing": (b"* 1 FETCH (BODY[] {5}\r\nHE", b""),
}


@pytest.mark.slow
@BOTH_PARSERS
@pytest.mark.parametrize("cls", [imaplib.IMAP4, Watching])
@pytest.mark.parametrize("line", [b"* OK Searched 39%\r\n", b"* 5 EXISTS\r\n", b"* 1 FETCH (BODY[] {1}\r\nx)\r\n"])
def test_unsolicited_responses_without_end(connect: Connect, cls: type[imaplib.IMAP4], line: bytes) -> None:
    """Dovecot says so while it searches; but what goes on for ten timeouts is no answer."""

    def script(peer: Peer) -> None:
        peer.line()
        try:
            for _ in range(FOR_EVER * 50):
                peer.send(line)
                time.sleep(0.02)
        except OSError:
            pass

    client = client_for(connect, script, cls, timeout=0.1)
    with pytest.raises(TimeoutError):
        client.search(None, "ALL")
    is_dead(client)


@pytest.mark.slow
@BOTH_PARSERS
@pytest.mark.parametrize("cls", [imaplib.IMAP4, Watching])
def test_unsolicited_responses_keep_a_command_waiting(connect: Connect, cls: type[imaplib.IMAP4]) -> None:
    def script(peer: Peer) -> None:
        tag = peer.line().split()[0]
        for _ in range(PAUSES):
            time.sleep(PAUSE)
            peer.send(b"* OK Searched 39%\r\n")
        peer.send(b"* SEARCH 7\r\n" + tag + b" OK done\r\n")
        peer.line()

    assert client_for(connect, script, cls, PATIENT).search(None, "ALL") == ("OK", [b"7"])


@pytest.mark.slow
@BOTH_PARSERS
@pytest.mark.parametrize("cls", [imaplib.IMAP4, Watching])
@pytest.mark.parametrize("name", DRIPS)
def test_an_answer_octet_by_octet(connect: Connect, name: str, cls: type[imaplib.IMAP4]) -> None:
    start, unit = DRIPS[name]

    def script(peer: Peer) -> None:
        tag = peer.line().split()[0]
        without_end(peer, start.replace(b"TAG", tag), unit.replace(b"TAG", tag))
        peer.line()

    client = client_for(connect, script, cls)
    with in_time():
        client.search(None, "ALL")
    is_dead(client)


@pytest.mark.slow
def test_continuation_requests_one_after_the_other(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.line()
        drip(peer, b"+\r\n" * 100, 0.05)
        peer.line()

    client = client_for(connect, script, imaplib.IMAP4)
    with in_time():
        client.noop()


@pytest.mark.slow
@pytest.mark.parametrize("octets", [b"", b"* OK [CAPABILITY IMAP4rev1] ready, and ready, and ready", b"\r\n" * 30])
def test_a_greeting_octet_by_octet(serve: Serve, octets: bytes) -> None:
    def script(peer: Peer) -> None:
        drip(peer, octets)
        peer.line()

    server = serve(script)
    with in_time():
        imaplib.IMAP4("127.0.0.1", server.port, timeout=TIMEOUT)


@pytest.mark.slow
@pytest.mark.parametrize("octets", [b"", b"* BYE see you later, and later, and later, and later"])
def test_logout(connect: Connect, octets: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.line()
        drip(peer, octets)
        peer.line()

    client = client_for(connect, script, imaplib.IMAP4)
    with in_time():
        client.logout()


@pytest.mark.slow
@pytest.mark.parametrize("octets", [b"", b"+ go on, and on, and on, and on, and on, and on, and on"])
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.append("INBOX", None, None, b"x"),
        lambda client: client.idle().__enter__(),
    ],
    ids=["append", "idle"],
)
def test_a_continuation_request_octet_by_octet(connect: Connect, octets: bytes, call: Any) -> None:
    def script(peer: Peer) -> None:
        peer.line()
        drip(peer, octets)
        peer.line()

    client = client_for(connect, script, imaplib.IMAP4)
    with in_time():
        call(client)
    is_dead(client)


@pytest.mark.slow
def test_a_challenge_octet_by_octet(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.line()
        without_end(peer, b"+ ", b"A")

    client = connect(script, timeout=FOR_EVER)
    impatient(client)
    with in_time():
        client.login_plain("user", "secret")


# IDLE.


@pytest.mark.slow
@BOTH_PARSERS
@pytest.mark.parametrize("duration", [None, 20])
@pytest.mark.parametrize(
    ("start", "unit"),
    [(b"* 5 EXISTS ", b"x"), (b"* 1 FETCH (X {9999}\r\n", b"x"), (b"* 5 EXI", b"")],
    ids=["a line", "a literal", "half a line, then nothing"],
)
def test_a_response_octet_by_octet_in_idle(connect: Connect, start: bytes, unit: bytes, duration: float | None) -> None:
    """Silence is what IDLE is for, but a response that has begun is to end."""

    def script(peer: Peer) -> None:
        peer.line()
        peer.send(b"+ idling\r\n")
        time.sleep(2 * TIMEOUT)
        without_end(peer, start, unit)
        peer.line()

    client = client_for(connect, script, imaplib.IMAP4, FOR_EVER)
    began = time.monotonic()
    with pytest.raises(TimeoutError), impatient_idle(client, duration) as idler:
        next(idler)
    assert 3 * TIMEOUT - 0.1 < time.monotonic() - began < 2 * TIMEOUT + LATE
    is_dead(client)


@pytest.mark.slow
def test_silence_in_idle_is_no_fault(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        tag = peer.line().split()[0]
        peer.send(b"+ idling\r\n")
        time.sleep(2 * TIMEOUT)
        peer.send(b"* 5 EXISTS\r\n")
        peer.line()
        peer.send(tag + b" OK done\r\n")

    client = client_for(connect, script, imaplib.IMAP4, FOR_EVER)
    with impatient_idle(client) as idler:
        assert next(idler) == ("EXISTS", [b"5"])
        assert client.sock.gettimeout() == TIMEOUT
        client.sock.settimeout(FOR_EVER)  # for the answer to DONE
    assert client.sock.gettimeout() == FOR_EVER


@pytest.mark.slow
def test_the_duration_of_idle_holds_whatever_comes(connect: Connect) -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        tag = peer.line().split()[0]
        peer.send(b"+ idling\r\n")
        for _ in range(FOR_EVER * 10):
            peer.send(b"+ still idling\r\n")
            if over.wait(0.1):
                break
        assert peer.line() == b"DONE\r\n"
        peer.send(tag + b" OK done\r\n")

    client = client_for(connect, script, imaplib.IMAP4, FOR_EVER)
    with client.idle(duration=0.3) as idler:
        start = time.monotonic()
        assert list(idler) == []
        assert time.monotonic() - start < 0.3 + 5  # far before the server has said all
        over.set()


@pytest.mark.slow
def test_done_is_not_answered(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.line()
        peer.send(b"+ idling\r\n")
        peer.line()
        without_end(peer, b"* 5 EXISTS ")

    client = client_for(connect, script, imaplib.IMAP4, FOR_EVER)
    with in_time(), impatient_idle(client):
        pass
    is_dead(client)


# What is sent.


@pytest.mark.slow
def test_a_server_that_stops_reading(connect: Connect) -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.line()
        peer.send(b"+ go on\r\n")
        over.wait(FOR_EVER)

    client = client_for(connect, script, imaplib.IMAP4)
    with in_time():
        client.append("INBOX", None, None, bytes(20_000_000), translate_line_endings=False)
    over.set()
    is_dead(client)


@pytest.mark.slow
def test_a_server_that_stops_reading_but_goes_on_talking(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.line()
        peer.send(b"+ go on\r\n")
        with suppress(OSError):  # in the end there is nobody there
            while True:
                peer.send(b"* OK still here\r\n" * 1000)

    client = client_for(connect, script, imaplib.IMAP4)
    with in_time():
        client.append("INBOX", None, None, bytes(20_000_000), translate_line_endings=False)


def small_buffers(peer: Peer) -> None:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


@pytest.mark.slow
@pytest.mark.parametrize("under_tls", [False, True])
def test_a_server_that_reads_drop_by_drop(
    serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext, under_tls: bool
) -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        small_buffers(peer)
        peer.send(b"* PREAUTH hello\r\n")
        peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1")
        peer.line()
        peer.send(b"+ go on\r\n")
        while not over.wait(0.1):
            peer.octets(100)

    server = serve(script, tls_server if under_tls else None)
    if under_tls:
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL("localhost", server.port, ssl_context=trusting, timeout=FOR_EVER)
    else:
        client = imaplib.IMAP4("localhost", server.port, timeout=FOR_EVER)
    impatient(client)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with in_time():
        client.append("INBOX", None, None, bytes(1_000_000), translate_line_endings=False)
    over.set()
    is_dead(client)


@pytest.mark.slow
def test_a_slow_upload_is_no_fault(connect: Connect) -> None:
    message = bytes(1_000_000)

    def script(peer: Peer) -> None:
        # Else Linux lets it grow, and what waits there takes longer than the answer may.
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        tag = peer.line().split()[0]
        peer.send(b"+ go on\r\n")
        for start in range(0, len(message), 25_000):
            time.sleep(PATIENT / 25)
            assert peer.octets(25_000) == message[start : start + 25_000]
        peer.line()
        peer.send(tag + b" OK done\r\n")

    client = client_for(connect, script, imaplib.IMAP4, PATIENT)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    start = time.monotonic()
    assert client.append("INBOX", None, None, message, translate_line_endings=False) == ("OK", [b"done"])
    assert time.monotonic() - start > 1.5 * PATIENT


@pytest.mark.slow
def test_what_was_sent_in_part_ends_the_connection(connect: Connect) -> None:
    """By a direct send() too."""
    over = threading.Event()

    def script(peer: Peer) -> None:
        over.wait(FOR_EVER)

    client = client_for(connect, script, imaplib.IMAP4)
    with pytest.raises(TimeoutError):
        client.send(bytes(20_000_000))
    over.set()
    is_dead(client)


# What is slow, and yet goes on.


@pytest.mark.slow
@BOTH_PARSERS
@pytest.mark.parametrize("cls", [imaplib.IMAP4, Watching])
def test_a_slow_literal_is_no_fault(connect: Connect, cls: type[imaplib.IMAP4]) -> None:
    piece = b"0123456789abcdef" * 4096

    def script(peer: Peer) -> None:
        tag = peer.line().split()[0]
        peer.send(b"* 1 FETCH (BODY[] {%d}\r\n" % (PAUSES * len(piece)))
        for _ in range(PAUSES):
            peer.send(piece)
            time.sleep(PAUSE)
        peer.send(b")\r\n" + tag + b" OK done\r\n")

    client = client_for(connect, script, cls, PATIENT)
    assert client.fetch("1", "BODY[]")[1][0][1] == PAUSES * piece


@pytest.mark.slow
@BOTH_PARSERS
@pytest.mark.parametrize("cls", [imaplib.IMAP4, Watching])
@pytest.mark.parametrize("line", [b"* 1 FETCH (FLAGS ())\r\n", b"* OK still working\r\n"])
def test_slow_responses_are_no_fault(connect: Connect, cls: type[imaplib.IMAP4], line: bytes) -> None:
    def script(peer: Peer) -> None:
        tag = peer.line().split()[0]
        for _ in range(PAUSES):
            peer.send(line)
            time.sleep(PAUSE)
        peer.send(tag + b" OK done\r\n")

    client = client_for(connect, script, cls, PATIENT)
    assert client.fetch("1", "FLAGS")[0] == "OK"


@pytest.mark.slow
def test_without_a_timeout_there_is_none(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        tag = peer.expect(b"NOOP")
        drip(peer, tag + b" OK done\r\n", 0.05)

    client = connect(script)
    assert client.noop() == ("OK", [b"done"])


# Lines read directly.


@pytest.mark.slow
def test_a_line_read_directly(connect: Connect) -> None:
    """The deadline holds for each call; what has arrived of the line is kept, as those who poll in IDLE need it."""
    done = threading.Event()

    def script(peer: Peer) -> None:
        drip(peer, b"* 5 EXIST", 0.1)
        done.wait(FOR_EVER)
        peer.send(b"S\r\n")
        peer.line()

    client = client_for(connect, script, imaplib.IMAP4)
    time.sleep(TIMEOUT)  # this was nobody's wait
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        client.readline()
    assert TIMEOUT - 0.1 < time.monotonic() - start < LATE
    with pytest.raises(TimeoutError):
        client.readline()
    done.set()
    line = b""
    while not line:  # on a busy machine the rest may come late
        with contextlib.suppress(TimeoutError):
            line = client.readline()
    assert line == b"* 5 EXISTS\r\n"


# TLS.


@pytest.mark.slow
@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + bytes(20)])
def test_a_tls_handshake(serve: Serve, trusting: ssl.SSLContext, octets: bytes) -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        drip(peer, octets)
        over.wait(FOR_EVER)

    server = serve(script)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        imaplib.IMAP4_SSL("localhost", server.port, ssl_context=trusting, timeout=TIMEOUT)
    assert time.monotonic() - start < LATE
    over.set()


@pytest.mark.slow
def test_the_handshake_of_starttls(connect: Connect, trusting: ssl.SSLContext) -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS")
        peer.send(peer.expect(b"STARTTLS") + b" OK begin\r\n")
        over.wait(FOR_EVER)

    client = connect(script, timeout=FOR_EVER)
    impatient(client)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        client.starttls(trusting)
    assert time.monotonic() - start < LATE
    over.set()
    is_dead(client)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [b"x", b""])
def test_a_literal_under_tls(serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext, unit: bytes) -> None:
    def script(peer: Peer) -> None:
        selected(peer)
        peer.line()
        without_end(peer, b"* 1 FETCH (BODY[] {9999}\r\n", unit)
        with contextlib.suppress(ssl.SSLError):  # a connection that is given up does not end its TLS
            peer.line()

    client = imaplib.IMAP4_SSL("localhost", serve(script, tls_server).port, ssl_context=trusting, timeout=FOR_EVER)
    client.login("user", "secret")
    client.select()
    impatient(client)
    with in_time():
        client.fetch("1", "BODY[]")
    is_dead(client)
