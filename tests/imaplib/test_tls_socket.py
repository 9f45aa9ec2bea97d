"""TLSSocket, which the drop-in has in the place of the standard library's: the same for whoever uses it."""

from __future__ import annotations

import contextlib
import functools
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastimap import imaplib
from fastimap._tls import TLSSocket
from tests.imaplib.conftest import Serve
from tests.imaplib.scripted import Peer
from tests.servers.server import free_ports

pytestmark = pytest.mark.usefixtures("nothing_left_open")

RECORD = 16 * 1024
LONG = 30  # seconds: what has to happen happens in less


@contextlib.contextmanager
def connected(server: ssl.SSLContext, wrap: Callable[[socket.socket], Any]) -> Iterator[tuple[Any, ssl.SSLSocket]]:
    """A socket that `wrap` has made one with TLS, and the server's, which is the standard library's."""
    ours, theirs = socket.socketpair()
    ours.settimeout(LONG)
    theirs.settimeout(LONG)
    accepted: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: accepted.append(server.wrap_socket(theirs, server_side=True)))
    thread.start()
    made = wrap(ours)
    thread.join()
    try:
        yield made, accepted[0]
    finally:
        made.close()
        accepted[0].close()


@pytest.fixture
def pair(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> Iterator[tuple[TLSSocket, ssl.SSLSocket]]:
    with connected(tls_server, lambda given: TLSSocket(given, trusting, "localhost")) as both:
        yield both


def exactly(read: Callable[[int], bytes], size: int) -> bytes:
    found = b""
    while len(found) < size and (more := read(size - len(found))):
        found += more
    return found


# It is what a program takes it for.


def test_nothing_of_a_socket_with_tls_is_left_to_the_base(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """What the standard library's class does by an OpenSSL object of its own has to be done otherwise here."""
    without_the_object = {"dup", "recvmsg", "recvmsg_into", "sendmsg", "shutdown"}
    assert isinstance(pair[0], ssl.SSLSocket)
    public = {name for name in vars(ssl.SSLSocket) if not name.startswith("_")}
    assert public - set(vars(TLSSocket)) == without_the_object


def test_it_knows_of_the_connection_what_others_know(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    trusting.set_alpn_protocols(["imap"])
    tls_server.set_alpn_protocols(["imap"])
    names = ["cipher", "version", "getpeercert", "selected_alpn_protocol", "shared_ciphers", "compression"]
    names += [name for name in ("get_verified_chain", "get_unverified_chain") if hasattr(ssl.SSLSocket, name)]
    said: list[dict[str, object]] = []
    for wrap in (
        lambda given: trusting.wrap_socket(given, server_hostname="localhost"),
        lambda given: TLSSocket(given, trusting, "localhost"),
    ):
        with connected(tls_server, wrap) as (ours, _):
            said.append({name: getattr(ours, name)() for name in names})
            said[-1]["der"] = ours.getpeercert(binary_form=True)
            said[-1]["context"] = ours.context is trusting
            said[-1]["name"] = ours.server_hostname
            said[-1]["resumed"] = ours.session_reused
            said[-1]["side"] = ours.server_side
            assert len(ours.get_channel_binding("tls-unique")) >= 12
    assert said[0] == said[1]
    assert said[1]["selected_alpn_protocol"] == "imap"
    assert said[1]["version"] == "TLSv1.3"


@pytest.mark.parametrize(
    "call",
    [
        lambda made: made.recvfrom(1),
        lambda made: made.recvfrom_into(bytearray(1)),
        lambda made: made.sendto(b"x", ("localhost", 1)),
        lambda made: made.connect(("localhost", 1)),
        lambda made: made.sendfile(None),
        lambda made: made.recv(1, socket.MSG_PEEK),
        lambda made: made.send(b"x", socket.MSG_OOB),
    ],
)
def test_what_there_is_not_under_tls(pair: tuple[TLSSocket, ssl.SSLSocket], call: Callable[[Any], object]) -> None:
    with pytest.raises(ValueError, match="TLS"):
        call(pair[0])


# Octets.


def test_records_that_have_arrived_are_received_together(
    pair: tuple[TLSSocket, ssl.SSLSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, server = pair
    calls: list[float | None] = []
    arrive = ours._arrive

    def counting(ends: float | None) -> None:
        calls.append(ends)
        arrive(ends)

    record = bytes(range(256)) * 16
    server.sendall(record * 16)
    assert exactly(ours.recv, 16 * len(record)) == record * 16  # there is memory for more now than for the first
    monkeypatch.setattr(ours, "_arrive", counting)
    for _ in range(3):
        server.sendall(record)
    assert ours.recv(65536) == record * 3
    assert len(calls) == 1


def test_a_connection_that_is_idle_again_keeps_little_memory(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    writer = threading.Thread(target=server.sendall, args=[bytes(1 << 20)])
    writer.start()
    assert exactly(ours.recv, 1 << 20) == bytes(1 << 20)
    writer.join()
    assert len(ours._tls.buffer) == 128 * 1024
    server.sendall(b"* 5 EXISTS\r\n")
    assert ours.recv(100) == b"* 5 EXISTS\r\n"
    assert len(ours._tls.buffer) == 4096


@pytest.mark.parametrize("most", [1, 5, 1000, RECORD, 100_000])
def test_reading_by_any_size(pair: tuple[TLSSocket, ssl.SSLSocket], most: int) -> None:
    ours, server = pair
    sent = bytes(range(256)) * (8 if most < 1000 else 4000)

    def send() -> None:
        server.sendall(sent)
        server.close()

    writer = threading.Thread(target=send)
    writer.start()
    found = b""
    while octets := ours.recv(most):
        assert len(octets) <= most
        found += octets
    assert found == sent
    assert ours.recv(most) == b""
    writer.join()


def test_reading_into_a_part_of_a_buffer(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    server.sendall(b"0123456789")
    buffer = bytearray(8)
    assert ours.recv_into(buffer, 4) == 4
    assert buffer == b"0123\0\0\0\0"
    assert ours.recv_into(memoryview(buffer).cast("I")) == 6
    assert buffer == b"45678923"[:6] + b"\0\0"
    assert ours.recv_into(bytearray()) == 0
    server.sendall(b"abc")
    assert ours.read(2) == b"ab"
    assert ours.read(1, buffer) == 1


@pytest.mark.parametrize("buffer", [memoryview(bytearray(8))[::2], memoryview(b"12345678")], ids=["a step", "fixed"])
def test_a_buffer_that_can_not_be_read_into_loses_nothing(
    pair: tuple[TLSSocket, ssl.SSLSocket], buffer: memoryview
) -> None:
    ours, server = pair
    server.sendall(b"0123456789")
    assert ours.recv(2) == b"01"
    with pytest.raises(TypeError):
        ours.recv_into(buffer)
    assert ours.recv(10) == b"23456789"


def test_a_file_of_it(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    with ours.makefile("rwb") as file:
        server.sendall(b"one\r\ntwo\r\n")
        assert file.readline() == b"one\r\n"
        file.write(b"three\r\n")
        file.flush()
        assert file.readline() == b"two\r\n"
    assert exactly(server.recv, 7) == b"three\r\n"


def test_what_is_pending(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """A program that waits by select() asks so, for what waits in memory and not in the socket."""
    ours, server = pair
    assert ours.pending() == 0
    server.sendall(b"0123456789")
    assert ours.recv(4) == b"0123"
    assert ours.pending() == 6
    assert ours.recv(1) == b"4"
    assert ours.pending() == 5
    assert ours.recv(100) == b"56789"
    assert ours.pending() == 0


def test_sending_more_than_the_connection_holds(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    sent = bytes(range(256)) * 8000
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(exactly(server.recv, len(sent))))
    reader.start()
    ours.sendall(memoryview(sent).cast("I"))
    reader.join()
    assert received == [sent]
    assert ours.send(b"") == 0
    assert ours.write(b"x" * 5) == 5
    assert exactly(server.recv, 5) == b"x" * 5


@pytest.mark.slow
def test_one_thread_receives_while_another_sends(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """Neither waits for the other, though both connections are full at first."""
    ours, server = pair
    sent = bytes(range(256)) * 8000
    received: list[bytes] = []

    def echo() -> None:
        server.sendall(sent)
        received.append(exactly(server.recv, len(sent)))

    threads = [threading.Thread(target=echo), threading.Thread(target=lambda: ours.sendall(sent))]
    for thread in threads:
        thread.start()
    assert exactly(ours.recv, len(sent)) == sent
    for thread in threads:
        thread.join()
    assert received == [sent]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no program openssl")
def test_a_server_that_wants_new_keys_while_something_is_sent(
    authority: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another handshake, as TLS 1.2 has it (RFC 5246, section 7.4.1.1): it has to end before anything can be sent."""
    certificate = str(tmp_path / "certificate.pem")
    Path(certificate).write_bytes(authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes())
    [port] = free_ports(1)
    command = ["openssl", "s_server", "-tls1_2", "-naccept", "1", "-accept", f"127.0.0.1:{port}", "-cert", certificate]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            said = b""
            while b"ACCEPT" not in said:
                said += server.stdout.readline()
            ours = TLSSocket(socket.create_connection(("127.0.0.1", port), LONG), trusting, "localhost")
            ours.sendall(b"one\n")
            server.stdin.write(b"zero\n")
            assert ours.recv(100) == b"zero\n"
            server.stdin.write(b"R\n")  # so it asks for another handshake
            ours.setblocking(False)
            ready = select.poll()
            ready.register(ours, select.POLLIN)
            assert ready.poll(LONG * 1000)
            with pytest.raises(ssl.SSLWantReadError):
                ours.recv(100)
            ours.settimeout(LONG)
            arrivals: list[float | None] = []
            arrive = ours._arrive

            def counting(ends: float | None) -> None:
                arrivals.append(ends)
                arrive(ends)

            monkeypatch.setattr(ours, "_arrive", counting)
            ours.sendall(b"two\n")
            assert arrivals
            server.stdin.write(b"three\n")
            assert exactly(ours.recv, 6) == b"three\n"
            ours.close()
            said += server.stdout.read()
        finally:
            server.kill()
    assert b"one\n" in said
    assert b"two\n" in said


# Time.


@pytest.mark.slow
def test_the_timeout_is_for_the_whole_wait(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """A record that comes in drips does not outlast it."""
    ours, server = pair
    server.sendall(b"x")
    assert ours.recv(10) == b"x"
    raw = socket.socket(fileno=server.detach())
    over = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            raw.sendall(bytes((23, 3, 3, 64, 0)))
            while not over.wait(0.01):
                raw.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    ours.settimeout(0.3)
    with pytest.raises(TimeoutError):
        ours.recv(10)
    assert ours.gettimeout() == 0.3
    over.set()
    thread.join()
    raw.close()


def test_a_server_that_says_nothing(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    ours.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ours.recv(10)
    ours.settimeout(LONG)
    server.sendall(b"late")
    assert exactly(ours.recv, 4) == b"late"


def test_a_socket_that_does_not_wait(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    ours.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        ours.recv(10)
    sent = bytes(range(256)) * 8000
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(exactly(server.recv, len(sent))))
    rest = memoryview(sent)
    refused = 0
    while rest:
        try:
            rest = rest[ours.send(rest) :]
        except ssl.SSLWantWriteError:  # nothing of `rest` counts as sent yet, though its records may be on their way
            refused += 1
            if refused == 1:
                reader.start()
            time.sleep(0.001)
    reader.join()
    assert received == [sent]
    assert refused


@pytest.mark.parametrize("nothing", [b"", bytearray()], ids=repr)
def test_to_send_nothing_does_nothing(pair: tuple[TLSSocket, ssl.SSLSocket], nothing: bytes) -> None:
    """Also where the connection takes no more."""
    ours, _ = pair
    ours.setblocking(False)
    with contextlib.suppress(ssl.SSLWantWriteError):
        while True:
            ours.send(b"x" * 64 * 1024)
    ours.sendall(nothing)


@pytest.mark.parametrize("other", [b"y", b"y" * 64 * 1024], ids=["shorter", "as long"])
def test_what_broke_off_is_not_followed_by_something_else(pair: tuple[TLSSocket, ssl.SSLSocket], other: bytes) -> None:
    """Its records are on their way: something else would be taken for sent."""
    ours, server = pair
    ours.settimeout(0.05)
    with contextlib.suppress(TimeoutError):
        while True:
            ours.send(b"x" * 64 * 1024)

    def read() -> None:
        with contextlib.suppress(OSError):  # it is told of the end, and has nobody to tell
            exactly(server.recv, 1 << 30)

    reader = threading.Thread(target=read)
    reader.start()
    ours.settimeout(LONG)
    with pytest.raises(ssl.SSLError, match="not something else"):
        ours.send(other)
    assert ours.send(b"x" * 64 * 1024) == 64 * 1024
    ours.shutdown(socket.SHUT_RDWR)
    reader.join()


@pytest.mark.slow
def test_sending_has_the_timeout_though_some_is_taken(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    raw = socket.socket(fileno=server.detach())
    ours.settimeout(0.05)
    with contextlib.suppress(TimeoutError):
        while True:
            ours.send(b"x" * 64 * 1024)
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.02):
            raw.recv(2048)

    thread = threading.Thread(target=drip)
    thread.start()
    ours.settimeout(0.5)
    with pytest.raises(TimeoutError):
        ours.sendall(b"x" * (4 << 20))
    assert ours.gettimeout() == 0.5
    over.set()
    thread.join()
    raw.close()


@pytest.mark.slow
def test_two_threads_leave_the_timeout_as_it_is(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """Both wait for drips, and for a part of the time each."""
    ours, server = pair
    server.sendall(b"x")
    assert ours.recv(1) == b"x"
    raw = socket.socket(fileno=server.detach())
    ours.settimeout(1.0)
    over = threading.Event()

    def drip() -> None:
        raw.settimeout(0.05)
        raw.sendall(bytes((23, 3, 3, 64, 0)))
        while not over.wait(0.01):
            with contextlib.suppress(TimeoutError):
                raw.sendall(b"x")
                raw.recv(2048)

    def send() -> None:
        with contextlib.suppress(TimeoutError):
            ours.sendall(b"x" * (8 << 20))

    threads = [threading.Thread(target=drip), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    with pytest.raises(TimeoutError):
        ours.recv(10)
    assert ours.gettimeout() == 1.0
    threads[1].join()
    assert ours.gettimeout() == 1.0
    over.set()
    threads[0].join()
    raw.close()


@pytest.mark.slow
def test_a_handler_that_sends_amid_what_is_sent(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """It is told that it can't: what it comes into would be sent twice, or for ever."""
    ours, server = pair
    said: list[str] = []

    def handle(*_: object) -> None:
        try:
            ours.sendall(b"LOGOUT")
        except ssl.SSLError as exc:
            said.append(str(exc))
        threading.Thread(target=lambda: received.append(exactly(server.recv, 8 << 20))).start()

    received: list[bytes] = []
    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        ours.sendall(b"x" * (8 << 20))
    finally:
        signal.signal(signal.SIGALRM, before)
    end = time.monotonic() + LONG
    while not received and time.monotonic() < end:
        time.sleep(0.001)
    assert received == [b"x" * (8 << 20)]
    assert len(said) == 1
    assert "handler" in said[0]


def test_an_answer_of_tls_itself_is_not_waited_for(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """What was read counts, though the server takes no answer, such as new keys. Python's can't demand any."""
    ours, server = pair
    ours.setblocking(False)
    with contextlib.suppress(ssl.SSLWantWriteError):
        while True:
            ours.send(b"x" * 64 * 1024)
    ours.settimeout(LONG)
    ours._tls.outgoing.write(b"x" * 100)
    server.sendall(b"precious")
    assert exactly(ours.recv, 8) == b"precious"


def test_a_handshake_that_never_comes(trusting: ssl.SSLContext) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0.1)
    with pytest.raises(TimeoutError):
        TLSSocket(ours, trusting, "localhost")
    assert theirs.recv(10)  # it said hello
    while theirs.recv(65536):  # and is closed
        pass
    theirs.close()


# The end.


def test_the_end_of_tls(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    thread = threading.Thread(target=server.unwrap)
    thread.start()
    assert ours.unwrap() is ours
    thread.join()
    assert ours.recv(10) == b""
    with pytest.raises(ssl.SSLError):
        ours.send(b"in clear")


def test_after_its_end(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    server.sendall(b"0123456789")
    assert ours.recv(4) == b"0123"
    assert ours.pending() == 6
    ours.close()
    assert ours.pending() == 0
    for call in (lambda: ours.recv(1), lambda: ours.send(b"x")):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()


def test_octets_that_are_no_record(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    server.sendall(b"before")
    raw = socket.socket(fileno=server.detach())
    raw.sendall(bytes((23, 3, 3, 0, 32)) + b"x" * 32)
    assert exactly(ours.recv, 6) == b"before"  # what was there before counts
    assert ours.pending() == 0  # and asking is no reading
    with pytest.raises(ssl.SSLError):
        ours.recv(10)
    assert ours.recv(10) == b""  # nothing is waited for
    raw.close()


def test_a_server_that_ends_tls(pair: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    ours, server = pair
    server.sendall(b"goodbye")
    server.settimeout(0.05)
    with pytest.raises(TimeoutError):  # nobody answers it
        server.unwrap()
    assert exactly(ours.recv, 7) == b"goodbye"
    for _ in range(2):
        assert ours.recv(10) == b""


def test_a_certificate_that_is_not_trusted(tls_server: ssl.SSLContext) -> None:
    ours, theirs = socket.socketpair()
    said: list[str] = []

    def accept() -> None:
        with pytest.raises(ssl.SSLError) as caught:
            tls_server.wrap_socket(theirs, server_side=True)
        said.append(str(caught.value.reason))

    thread = threading.Thread(target=accept)
    thread.start()
    with pytest.raises(ssl.SSLCertVerificationError):
        TLSSocket(ours, ssl.create_default_context(), "localhost")
    thread.join()
    assert said == ["TLSV1_ALERT_UNKNOWN_CA"]
    assert ours.fileno() == -1
    theirs.close()


# Who brings a TLS of his own has it.


class _Wrapping(ssl.SSLContext):
    """A context like those of truststore, gevent and others."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **kwargs)


class _OwnSocket(ssl.SSLSocket):
    pass


def _watched(function: Any) -> Any:
    """As instruments do it."""

    @functools.wraps(function)
    def watching(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return watching


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["context", "socket", "kernel", "watched"])
def test_a_tls_of_the_callers_own(
    serve: Serve, tls_server: ssl.SSLContext, authority: trustme.CA, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = (_Wrapping if kind == "context" else ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    if kind == "socket":
        context.sslsocket_class = _OwnSocket
    elif kind == "watched":
        monkeypatch.setattr(ssl.SSLContext, "wrap_socket", _watched(ssl.SSLContext.wrap_socket))
    elif kind == "kernel":
        monkeypatch.setattr(ssl, "OP_ENABLE_KTLS", 8, raising=False)  # Python 3.11 has no name for it
        context.options |= 8

    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b"NOOP", b"* 3 EXISTS")
        peer.log_out()

    with imaplib.IMAP4_SSL("localhost", serve(script, tls_server).port, ssl_context=context) as client:
        assert type(client.sock) is (_OwnSocket if kind == "socket" else ssl.SSLSocket)
        assert client.noop()[0] == "OK"
