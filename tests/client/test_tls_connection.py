"""TLS through memory: what a socket of the standard library's would give, with fewer system calls."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastimap._tls import TLS
from fastimap.clients.tls import TLSConnection

RECORD = 16 * 1024


class _Counting:
    """A socket whose system calls of one kind are counted."""

    def __init__(self, given: socket.socket) -> None:
        self._given = given
        self.received = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)

    def recv_into(self, buffer: Any) -> int:
        self.received += 1
        return self._given.recv_into(buffer)


class Pair:
    """A connection, and the server's end of it."""

    def __init__(self, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
        ours, theirs = socket.socketpair()
        self.server: ssl.SSLSocket
        self.socket = _Counting(ours)

        def accept() -> None:
            self.server = tls_server.wrap_socket(theirs, server_side=True)

        thread = threading.Thread(target=accept)
        thread.start()
        self.ours = TLSConnection(self.socket, trusting, "localhost", time.monotonic() + 30)  # type: ignore[arg-type]
        thread.join()
        self.ours.setblocking(False)

    def read(self, size: int, most: int = 64 * 1024) -> bytes:
        """Read until so many octets have come, or the end."""
        found = b""
        buffer = bytearray(most)
        end = time.monotonic() + 30
        while len(found) < size and time.monotonic() < end:
            try:
                count = self.ours.receive(buffer, most)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            if not count:
                break
            found += buffer[:count]
        return found

    def close(self) -> None:
        self.ours.close()
        self.server.close()


@pytest.fixture
def pair(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> Iterator[Pair]:
    made = Pair(tls_server, trusting)
    yield made
    made.close()


def test_records_that_have_arrived_are_received_together(pair: Pair) -> None:
    with pytest.raises(BlockingIOError):
        pair.ours.recv_into(bytearray(10))  # the server's session tickets, which are nothing to read
    sent = bytes(range(256)) * 16  # a record of 4 KiB
    pair.server.sendall(sent * 16)
    assert pair.read(16 * len(sent)) == sent * 16  # there is memory for more now than for the first
    for _ in range(3):
        pair.server.sendall(sent)
    pair.socket.received = 0
    assert pair.read(3 * len(sent)) == sent * 3
    assert pair.socket.received == 1
    assert pair.ours.drained


def test_a_class_of_ones_own_reads_its_records(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    seen: list[Any] = []

    class Own(ssl.SSLObject):
        def read(self, *arguments: Any) -> Any:
            count = super().read(*arguments)
            seen.append(count)
            return count

    trusting.sslobject_class = Own
    made = Pair(tls_server, trusting)
    made.server.sendall(b"x" * 300)
    assert made.read(300) == b"x" * 300
    assert sum(seen) == 300
    made.close()


@pytest.mark.parametrize("most", [1, 5, 1000, RECORD, 64 * 1024])
def test_a_buffer_smaller_than_a_record(pair: Pair, most: int) -> None:
    sent = bytes(range(256)) * (8 if most < 1000 else 400)
    writer = threading.Thread(target=pair.server.sendall, args=(sent,))
    writer.start()
    assert pair.read(len(sent), most) == sent
    writer.join()


def test_what_is_left_needs_no_waiting(pair: Pair) -> None:
    pair.server.sendall(b"x" * 300)
    assert pair.read(100, 100) == b"x" * 100
    assert pair.ours.pending()
    assert not pair.ours.drained
    assert pair.read(200, 1000) == b"x" * 200
    assert not pair.ours.pending()


def test_what_comes_with_the_handshake_is_there(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """The server's greeting may be in what is received for the last step of the handshake."""
    ours, theirs = socket.socketpair()
    tls_server.num_tickets = 0
    relay, far = socket.socketpair()
    done = threading.Event()

    def greet() -> None:
        server = tls_server.wrap_socket(far, server_side=True)
        server.sendall(b"* OK hello\r\n")
        done.wait(30)
        server.close()

    def pass_on() -> None:
        """Hold the server's octets back until all are there."""
        relay.sendall(theirs.recv(65536))
        held = relay.recv(65536)
        relay.settimeout(0.2)
        while True:
            try:
                held += relay.recv(65536)
            except TimeoutError:
                break
        theirs.sendall(held)
        relay.settimeout(10)
        relay.sendall(theirs.recv(65536))
        theirs.sendall(relay.recv(65536))

    threads = [threading.Thread(target=target, daemon=True) for target in (greet, pass_on)]
    for thread in threads:
        thread.start()
    made = TLSConnection(ours, trusting, "localhost", time.monotonic() + 30)
    made.setblocking(False)
    assert made.pending()
    buffer = bytearray(100)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            assert bytes(buffer[: made.recv_into(buffer)]) == b"* OK hello\r\n"
            break
        except BlockingIOError:
            time.sleep(0.001)
    else:
        pytest.fail("no greeting")
    made.close()
    done.set()
    for connection in (theirs, relay):
        connection.close()
    for thread in threads:
        thread.join()


def test_more_than_the_socket_takes(pair: Pair) -> None:
    sent = bytes(range(256)) * 8000
    received = bytearray()

    full = threading.Event()

    def take() -> None:
        full.wait(30)
        while len(received) < len(sent):
            received.extend(pair.server.recv(65536))

    reader = threading.Thread(target=take)
    reader.start()
    rest = memoryview(sent)
    refusals = 0
    end = time.monotonic() + 30
    while rest and time.monotonic() < end:
        try:
            rest = rest[pair.ours.send(rest) :]
        except BlockingIOError:  # nothing of `rest` counts as sent yet, though its records may be on their way
            refusals += 1
            full.set()
            time.sleep(0.001)
    reader.join()
    assert bytes(received) == sent
    assert refusals


@pytest.mark.parametrize("announced", [True, False])
def test_the_end(pair: Pair, announced: bool) -> None:
    pair.server.sendall(b"goodbye")
    if announced:
        pair.server.settimeout(0.1)
        with pytest.raises(TimeoutError):  # nobody answers the announcement
            pair.server.unwrap()
        pair.server = socket.socket(fileno=pair.server.detach())  # type: ignore[assignment]  # it is only closed
    pair.server.close()
    assert pair.read(100) == b"goodbye"
    for _ in range(2):
        assert pair.ours.recv_into(bytearray(10)) == 0


def test_an_end_that_came_with_what_is_read_needs_no_waiting(pair: Pair) -> None:
    pair.server.sendall(b"goodbye")
    pair.server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        pair.server.unwrap()
    assert pair.read(7) == b"goodbye"
    assert pair.ours.pending()  # the connection is open, and nothing more comes that a poll() would see
    assert not pair.ours.drained
    assert pair.ours.recv_into(bytearray(10)) == 0


def test_an_end_amid_a_record(pair: Pair) -> None:
    """What is cut off is no end that TLS knows, and is none of an error either: imaplib's sockets say it so."""
    raw = socket.socket(fileno=pair.server.detach())
    raw.sendall(bytes((23, 3, 3, 0, 100)) + b"x" * 50)
    raw.close()
    assert pair.read(100) == b""


def test_octets_that_are_no_record(pair: Pair) -> None:
    pair.server.sendall(b"before")
    raw = socket.socket(fileno=pair.server.detach())
    raw.sendall(bytes((23, 3, 3, 0, 32)) + b"x" * 32)
    assert pair.read(6) == b"before"  # what was there before counts
    assert pair.ours.pending()
    assert not pair.ours.drained
    with pytest.raises(ssl.SSLError) as caught:
        pair.read(1)
    # Of OpenSSL 3.0, and of later ones.
    assert caught.value.reason in ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "RECORD_LAYER_FAILURE")
    raw.settimeout(10)
    assert raw.recv(100)  # an alert: the server learns why
    raw.close()


def test_answers_that_the_server_does_not_read(trusting: ssl.SSLContext) -> None:
    """As many as no server has a use for: their memory has a bound. Python's servers can't demand any."""
    tls = TLS(trusting, "localhost")
    tls.outgoing.write(b"x" * 64 * 1024)
    with pytest.raises(ssl.SSLWantReadError):
        tls.read(bytearray(10), 10)  # it says hello, too
    with pytest.raises(ssl.SSLError, match="without end"):
        tls.read(bytearray(10), 10)


def test_a_server_that_never_speaks_tls() -> None:
    ours, theirs = socket.socketpair()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        TLSConnection(ours, ssl.create_default_context(), "localhost", began + 0.2)
    assert ours.fileno() == -1
    theirs.close()


class _Gone(_Counting):
    """A socket whose peer takes one thing, and resets the connection."""

    said = 0

    def sendall(self, octets: bytes) -> None:
        self.said += 1
        if self.said > 1:
            raise ConnectionResetError(104, "Connection reset by peer")
        self._given.sendall(octets)


def test_what_is_wrong_is_said_where_the_server_is_not_there_to_be_told(tls_server: ssl.SSLContext) -> None:
    ours, theirs = socket.socketpair()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = tls_server.wrap_bio(incoming, outgoing, server_side=True)

    def accept() -> None:
        incoming.write(theirs.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        theirs.sendall(outgoing.read())

    thread = threading.Thread(target=accept)
    thread.start()
    with pytest.raises(ssl.SSLCertVerificationError):
        TLSConnection(_Gone(ours), ssl.create_default_context(), "localhost", None)  # type: ignore[arg-type]
    thread.join()
    theirs.close()


def test_an_unknown_authority_is_told(tls_server: ssl.SSLContext) -> None:
    ours, theirs = socket.socketpair()
    said: list[str] = []

    def accept() -> None:
        try:
            tls_server.wrap_socket(theirs, server_side=True)
        except ssl.SSLError as exc:
            said.append(exc.reason)

    thread = threading.Thread(target=accept)
    thread.start()
    with pytest.raises(ssl.SSLCertVerificationError):
        TLSConnection(ours, ssl.create_default_context(), "localhost", time.monotonic() + 30)
    thread.join()
    assert said == ["TLSV1_ALERT_UNKNOWN_CA"]
    assert ours.fileno() == -1
    theirs.close()


def test_what_stands_in_for_tls_is_given_the_name_as_text(
    monkeypatch: pytest.MonkeyPatch, tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """As truststore.inject_into_ssl() puts a class of its own in the place of ssl.SSLContext."""
    seen: list[Any] = []
    plain = ssl.SSLContext.wrap_bio

    class Injected(ssl.SSLContext):
        def wrap_bio(self, *args: Any, server_hostname: Any = None, **kwargs: Any) -> ssl.SSLObject:
            seen.append(server_hostname)
            return plain(self, *args, **{"server_hostname": server_hostname, **kwargs})

    monkeypatch.setattr(ssl, "SSLContext", Injected)
    made = TLS(Injected(ssl.PROTOCOL_TLS_CLIENT), "imap.example.org")
    assert (seen, made.ssl_object.server_hostname) == (["imap.example.org"], "imap.example.org")
