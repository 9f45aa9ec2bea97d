"""What goes wrong between client and server: the error says so in words, and nothing is left open."""

from __future__ import annotations

import contextlib
import errno
import functools
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from fastimap import Client, Timeouts, errors
from fastimap.testing import IMAPServer
from tests.client.interfaces import Interface
from tests.client.peers import DONE, converse
from tests.imaplib.scripted import Peer, Server


def is_closed(client: Any) -> None:
    """Every later command says that the connection is closed."""
    with pytest.raises(errors.FastimapError, match="closed") as caught:
        client.noop()
    assert caught.value.advice in (errors.Advice.RECONNECT, errors.Advice.FIX)


def test_an_unknown_host(interface: Interface) -> None:
    client = interface("no-such-host.invalid", tls=False)
    with pytest.raises(errors.ConnectFailed, match=r"there is no host 'no-such-host\.invalid'"):
        client.connect()
    is_closed(client)


def test_a_refused_port(interface: Interface, refused_port: int) -> None:
    client = interface("127.0.0.1", refused_port, tls=False)
    with pytest.raises(errors.ConnectFailed, match=rf"to 127\.0\.0\.1 port {refused_port}: Connection refused"):
        client.noop()
    is_closed(client)


@pytest.mark.parametrize(
    "greeting",
    [
        b"+OK POP3 ready <1896.697170952@dbc.mtview.ca.us>",  # RFC 1939, section 7
        b"220 foo.com Simple Mail Transfer Service Ready",  # RFC 5321, appendix D.1
        b"HTTP/1.1 400 Bad Request",
        b"SSH-2.0-OpenSSH_9.6",
        b"* LIST () NIL INBOX",
        b"* OKAY",
        b"\0\xff\x80",
    ],
)
def test_no_imap_server(scripted: Callable[..., Any], greeting: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.send(greeting + b"\r\n")
        peer.expect_end()

    client = scripted(script)
    with pytest.raises(errors.ConnectFailed, match="no IMAP server"):
        client.connect()
    is_closed(client)


def test_a_server_that_refuses_connections(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* BYE Autologout; idle for too long\r\n")
        peer.expect_end()

    client = scripted(script)
    with pytest.raises(errors.Disconnected, match="idle for too long"):
        client.connect()
    is_closed(client)


@pytest.mark.parametrize(
    ("greeting", "said", "delay"),
    [
        # IceWarp (MailKit#1073)
        (b"* NO LOGOUT Intrusion prevention active for 203.0.113.9", "NO LOGOUT Intrusion prevention active", None),
        (b"* BAD [UNAVAILABLE] Come back later: retry after 2 minutes", "BAD [UNAVAILABLE] Come back later", 120.0),
        (b"* BYE [UNAVAILABLE] Too many connections, wait 30 s", "BYE [UNAVAILABLE] Too many connections", 30.0),
    ],
)
def test_a_greeting_that_refuses(scripted: Callable[..., Any], greeting: bytes, said: str, delay: float | None) -> None:
    def script(peer: Peer) -> None:
        peer.send(greeting + b"\r\n")
        peer.expect_end()

    client = scripted(script)
    with pytest.raises(errors.ConnectionLost) as caught:
        client.connect()
    assert f"the server refuses connections: {said}" in str(caught.value)
    assert "host and port" not in str(caught.value)
    assert caught.value.delay == delay
    assert caught.value.advice is errors.Advice.RECONNECT
    is_closed(client)


def test_a_bye_is_quoted(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.line()
        peer.send(b"* BYE down for maintenance\r\n")

    client = scripted(script)
    with pytest.raises(errors.Disconnected, match="down for maintenance") as caught:
        client.noop()
    assert caught.value.advice is errors.Advice.RECONNECT
    is_closed(client)


def test_the_server_goes_amid_a_literal(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.select()
        peer.line()
        peer.send(b"* 1 FETCH (UID 1 BODY[] {1000000}\r\n" + b"x" * 500_000)

    client = scripted(script)
    client.select("INBOX")
    with pytest.raises(errors.Disconnected):
        client.fetch(1, "BODY.PEEK[]")
    is_closed(client)


def test_a_connection_that_is_reset(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.line()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing sends RST
        peer.file.close()
        peer.sock.close()

    client = scripted(script)
    with pytest.raises(errors.Disconnected, match=r"the connection was cut: .*reset") as caught:
        client.noop()
    assert caught.value.advice is errors.Advice.RECONNECT
    is_closed(client)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"T99 OK nobody asked\r\n", errors.ProtocolError),
        (b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n", errors.LiteralTooLarge),
        (b"* LIST () NIL {99999999}\r\n", errors.LiteralTooLarge),
        (b"* " + b"x" * (17 << 20), errors.LineTooLong),
    ],
)
def test_what_no_server_says(scripted: Callable[..., Any], octets: bytes, error: type[Exception]) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.line()
        with contextlib.suppress(ConnectionError):
            peer.send(octets)
        peer.expect_end()

    client = scripted(script)
    with pytest.raises(error) as caught:
        client.noop()
    assert isinstance(caught.value, errors.ProtocolError)
    assert caught.value.advice is errors.Advice.RECONNECT
    is_closed(client)


def test_garbage_between_responses_is_an_event(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return b"* XUNKNOWN (1 2\r\n* \r\n* 7\r\n" + DONE

    with scripted(converse(reply)) as client:
        assert client.noop() is None
        assert len(client.take_events()) == 3
        assert client.noop() is None


def test_a_refused_command_leaves_the_connection_in_step(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return b"<tag> NO [OVERQUOTA] Sorry\r\n" if command.startswith(b"UID COPY") else DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        with pytest.raises(errors.OverQuota) as caught:
            client.copy(1, "There")
        assert (caught.value.text, caught.value.advice) == ("Sorry", errors.Advice.FIX)
        assert client.noop() is None


@pytest.mark.parametrize("seconds", [None, 20.0])
def test_the_system_gives_up_first(interface: Interface, seconds: float | None) -> None:
    """What it says is no deadline of ours, of which there may be none."""

    def connect(host: str, port: int) -> socket.socket:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    client = interface("imap.example.org", socket=connect, timeout=Timeouts(connect=seconds))
    with pytest.raises(errors.Timeout) as caught:
        client.connect()
    assert str(caught.value) == "no connection to imap.example.org port 993: Connection timed out"


def test_a_socket_of_the_callers(interface: Interface) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        client = interface("imap.example.org", tls=False, socket=ours)
        client.connect()
        theirs.close()
        with pytest.raises(errors.Disconnected):
            client.noop()
        with pytest.raises(errors.ConnectFailed, match="closed"):
            client.reconnect()


def session(peer: Peer) -> None:
    """A session with one of everything, in the shape of RFC 9051, section 8."""
    peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] IMAP4rev1 Service Ready\r\n")
    while line := peer.line():
        tag, _, command = line.removesuffix(b"\r\n").partition(b" ")
        name = command.split(b" ")[0]
        if name == b"AUTHENTICATE":
            peer.send(b"+ \r\n")
            peer.line()
            peer.send(tag + b" OK [CAPABILITY IMAP4rev1] hi\r\n")
        elif name == b"SELECT":
            peer.send(
                b"* 18 EXISTS\r\n* OK [UIDVALIDITY 3857529045] UIDs valid\r\n" + tag + b" OK [READ-WRITE] done\r\n"
            )
        elif name == b"UID":
            peer.send(b"* 12 FETCH (UID 12 BODY[HEADER] {9}\r\nTo: a\r\n\r\n FLAGS ())\r\n" + tag + b" OK done\r\n")
        elif name == b"LOGOUT":
            peer.send(b"* BYE bye\r\n" + tag + b" OK done\r\n")
            return
        else:
            peer.send(tag + b" OK done\r\n")


class Truncated(Peer):
    """A peer that goes once it has said `left` octets."""

    def __init__(self, sock: socket.socket, left: int) -> None:
        super().__init__(sock)
        self.left = left

    def send(self, octets: bytes) -> None:
        said = octets[: self.left]
        super().send(said)
        self.left -= len(said)
        if len(said) < len(octets) or not self.left:
            raise EOFError


@pytest.mark.slow
def test_the_server_goes_at_every_octet_of_a_session(interface: Interface) -> None:
    whole = 0
    for left in range(1, 2000):
        ours, theirs = socket.socketpair()
        peer = Truncated(theirs, left)

        def play(peer: Peer = peer) -> None:
            with contextlib.suppress(EOFError, ConnectionError):
                session(peer)
            peer.close()

        thread = threading.Thread(target=play)
        thread.start()
        client = interface(
            "imap.example.org", tls=False, user="u", password="p", mechanism="PLAIN", timeout=20, socket=ours
        )
        rows: Any = None
        error: errors.FastimapError | None = None
        try:
            client.select("INBOX")
            rows = client.fetch(12, "BODY.PEEK[HEADER]", "FLAGS")
            client.noop()
        except errors.FastimapError as exc:
            error = exc
        client.close()
        thread.join(20)
        if rows is not None:
            assert rows[0].header_octets == b"To: a\r\n\r\n"
        if error is None:
            whole += 1
            if whole == 3:
                break
        else:
            assert whole == 0
            assert type(error) is errors.Disconnected, (left, error)
    assert whole == 3


def test_two_threads_with_one_client(serve: Callable[..., Server]) -> None:
    """The one that comes second is told; the other has its answer."""
    received = threading.Event()
    go_on = threading.Event()

    def reply(command: bytes) -> bytes:
        received.set()
        assert go_on.wait(10)
        return DONE

    client = Client("127.0.0.1", serve(converse(reply)).port, tls=False, timeout=10)
    with client, ThreadPoolExecutor() as threads:
        first = threads.submit(client.noop)
        assert received.wait(10)
        try:
            with pytest.raises(
                errors.StateError, match=r"a thread has to have a client of its own \(fastimap.Pool lends them\)"
            ):
                client.noop()
        finally:
            go_on.set()
        first.result(10)


def test_an_address_that_the_system_does_not_know(
    monkeypatch: pytest.MonkeyPatch, server: IMAPServer, interface: Interface
) -> None:
    """A host with an address of IPv6, on a system without."""
    make = socket.socket
    addresses = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", server.port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)),
    ]

    def without_ipv6(family: int = -1, *args: Any, **kwargs: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, *args, **kwargs)

    client = interface("both.example.org", server.port, tls=False, timeout=10)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *args, **kwargs: addresses)
        patched.setattr(socket, "socket", without_ipv6)
        client.connect()
    assert client.noop() is None


def test_a_look_up_of_the_programs_own_is_given_text(
    monkeypatch: pytest.MonkeyPatch, server: IMAPServer, interface: Interface
) -> None:
    look_up = socket.getaddrinfo

    @functools.wraps(look_up)
    def moved(host: Any, *args: Any, **kwargs: Any) -> Any:
        return look_up("127.0.0.1" if host == "imap.example.org" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", moved)
    client = interface("imap.example.org", server.port, tls=False, timeout=10)
    client.connect()
    assert client.noop() is None


@pytest.fixture
def silent_address() -> Iterator[Any]:
    """An address that answers no attempt to connect: nobody accepts, and the queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_an_address_that_does_not_answer_leaves_time_for_the_others(
    monkeypatch: pytest.MonkeyPatch, server: IMAPServer, silent_address: Any, interface: Interface
) -> None:
    answers = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    client = interface("both.example.org", server.port, tls=False, timeout=Timeouts(connect=4))
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [silent_address, answers])
        client.connect()
    assert client.noop() is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_addresses_of_which_none_answers(
    monkeypatch: pytest.MonkeyPatch, silent_address: Any, interface: Interface
) -> None:
    client = interface("both.example.org", 143, tls=False, timeout=Timeouts(connect=0.5))
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [silent_address, silent_address])
        with pytest.raises(errors.Timeout, match=r"no connection to both.example.org port 143 within 0.5 s"):
            client.connect()


@pytest.mark.parametrize("tls", [1, 0, "STARTTLS", None])
def test_tls_is_a_matter_of_true_and_false(interface: Interface, tls: Any) -> None:
    with pytest.raises(ValueError, match="tls must be"):
        interface("localhost", tls=tls)
