"""TLS: verified unless the caller says otherwise; STARTTLS without anything that came before it."""

from __future__ import annotations

import errno
import gc
import hashlib
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trustme

import fastimap.clients.asyncio
import fastimap.clients.tls
from fastimap import Account, Client, UIDSet, commands, errors
from fastimap.clients.asyncio_wire import Link
from fastimap.clients.connecting import has_tls
from fastimap.clients.tls import tls_error
from fastimap.sasl import MechanismError
from fastimap.settings import Settings, settings
from fastimap.testing import IMAPServer
from tests.client.interfaces import Interface
from tests.client.peers import swallow
from tests.client.test_login import PASSWORD, scram
from tests.imaplib.scripted import Peer, Server
from tests.support.certificates import without_key_identifiers
from tests.support.sockets import reset_connection

Serve = Callable[..., Server]


def session(peer: Peer) -> None:
    peer.greet()
    peer.answer(b"NOOP")
    peer.log_out()


def end(peer: Peer) -> None:
    """A session whose client refuses the handshake: it never comes to be."""


class Refusing(Server):
    """A server for a client that ends the handshake."""

    def run(self) -> None:
        super().run()
        if isinstance(self.failure, (ssl.SSLError, ConnectionError)):
            self.failure = None


@pytest.fixture
def refused(tls_server: ssl.SSLContext) -> Any:
    with Refusing(end, tls_server) as server:
        yield server


def test_with_a_context(
    interface: Interface, serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with interface("localhost", serve(session, tls_server).port, ssl_context=trusting) as client:
        assert client.session.tls is True
        assert client.noop() is None


def test_the_default_context_verifies_and_works(
    interface: Interface,
    serve: Serve,
    tls_server: ssl.SSLContext,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # as if the system trusted it
    with interface("localhost", serve(session, tls_server).port) as client:
        assert client.noop() is None


@pytest.mark.parametrize("seconds", [float("inf"), 1e12])
def test_a_timeout_beyond_what_the_system_can_count(
    interface: Interface, serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext, seconds: float
) -> None:
    """It is none."""
    with interface("localhost", serve(session, tls_server).port, ssl_context=trusting, timeout=seconds) as client:
        assert client.noop() is None


@pytest.mark.parametrize("named", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"])
def test_a_name_with_other_letters(
    interface: Interface, serve: Serve, authority: trustme.CA, trusting: ssl.SSLContext, named: str
) -> None:
    """Certificates and TLS have it as IDNA (RFC 3490) writes it, whoever encodes it."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda connection, name, _: asked.append(name)
    authority.issue_cert("xn--bcher-kva.example").configure_cert(context)
    port = serve(session, context).port
    given: dict[str, Any] = {"socket": lambda *_: socket.create_connection(("127.0.0.1", port)), "timeout": 10}
    with interface(named, 993, ssl_context=trusting, **given) as client:
        assert client.noop() is None
    assert asked == ["xn--bcher-kva.example"]


def test_what_tls_says_of_the_name(serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """Whoever looks at it later compares it with a text."""
    with Client("localhost", serve(session, tls_server).port, ssl_context=trusting, timeout=10) as client:
        made = client._ssl()
        assert isinstance(made, ssl.SSLObject)
        assert made.server_hostname == "localhost"
        client.noop()


class _Moody(ssl.SSLSocket):
    """An SSLSocket that now and then says that it can't go on, as one does amid another handshake of TLS 1.2."""

    moods: list[tuple[str, type[ssl.SSLError]]]
    """What the next calls raise, each after the one before."""

    def _in_a_mood(self, call: str) -> None:
        if self.moods and self.moods[0][0] == call:
            raise self.moods.pop(0)[1](2, "not now")

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._in_a_mood("receive")
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._in_a_mood("send")
        return super().send(*args, **kwargs)


@pytest.fixture
def moody(trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], ssl.SSLSocket]:
    """A function for `socket=` that gives a moody socket, which is in no mood yet."""
    monkeypatch.setattr(_Moody, "moods", [], raising=False)
    trusting.sslsocket_class = _Moody

    def connected(host: str, port: int) -> ssl.SSLSocket:
        return trusting.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=host)

    return connected


@pytest.mark.parametrize("tls", [True, False])
def test_a_socket_that_has_tls_already(
    implementation: str, tls_server: ssl.SSLContext, moody: Callable[..., ssl.SSLSocket], tls: bool
) -> None:
    """It goes on with that, whether `tls` is said or not; its records are read as they come."""
    octets = b"Subject: much\r\n\r\n" + b"0123456789abcdef" * 60_000
    given: dict[str, Any] = {"user": "user", "password": "password", "socket": moody, "timeout": 10}
    with IMAPServer(tls=tls_server) as server, Client("localhost", server.port, tls=tls, **given) as client:
        assert client.session.tls is True
        _Moody.moods += [("receive", ssl.SSLWantWriteError), ("send", ssl.SSLWantWriteError)] * 2
        client.append("INBOX", octets)
        client.select("INBOX")
        (message,) = client.fetch(1, "BODY.PEEK[]")
        assert message.body == octets
        assert not _Moody.moods
        made = client._ssl()
        assert isinstance(made, ssl.SSLSocket)
        assert made.server_hostname == "localhost"


class _Around:
    """What a program puts around a socket, as to count what comes through."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_what_is_around_a_socket_with_tls(
    implementation: str, tls_server: ssl.SSLContext, moody: Callable[..., ssl.SSLSocket]
) -> None:
    """It is no SSLSocket, and so no TLS that the client knows of, but waits as one."""
    octets = b"Subject: much\r\n\r\n" + b"0123456789abcdef" * 60_000
    given: dict[str, Any] = {"user": "user", "password": "password", "mechanism": "PLAIN", "timeout": 10}
    given["socket"] = lambda host, port: _Around(moody(host, port))
    with IMAPServer(tls=tls_server) as server, Client("localhost", server.port, tls=False, **given) as client:
        assert client.session.tls is False
        _Moody.moods += [("receive", ssl.SSLWantReadError), ("send", ssl.SSLWantWriteError)] * 2
        client.append("INBOX", octets)
        client.select("INBOX")
        (message,) = client.fetch(1, "BODY.PEEK[]")
        assert message.body == octets
        assert not _Moody.moods


def test_a_connection_in_clear_while_another_thread_imports_ssl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssl", ModuleType("ssl"))  # as it is then: there, and still empty
    with socket.socket() as connection:
        assert not has_tls(connection)


def test_a_socket_with_tls_that_has_to_read_before_it_sends(
    implementation: str, serve: Serve, tls_server: ssl.SSLContext, moody: Callable[..., ssl.SSLSocket]
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        time.sleep(0.1)
        peer.send(b"* OK what it waits for\r\n")
        peer.answer(b"NOOP")
        peer.log_out()

    with Client("localhost", serve(script, tls_server).port, socket=moody, timeout=10) as client:
        _Moody.moods.append(("send", ssl.SSLWantReadError))
        client.noop()
        assert not _Moody.moods


def test_an_unknown_authority(interface: Interface, refused: Server) -> None:
    client = interface("localhost", refused.port, timeout=10)
    with pytest.raises(errors.TLSError, match=r"certificate of localhost port \d+ is not to be trusted") as caught:
        client.connect()
    assert caught.value.advice is errors.Advice.FIX
    with pytest.raises(errors.TLSError, match="closed"):
        client.noop()


def test_another_host_name(interface: Interface, refused: Server, trusting: ssl.SSLContext) -> None:
    client = interface("127.0.0.1", refused.port, ssl_context=trusting, timeout=10)
    with pytest.raises(errors.TLSError, match=r"not to be trusted: .*not valid for '127\.0\.0\.1'"):
        client.connect()


def test_an_expired_certificate(interface: Interface, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1)).configure_cert(context)
    with Refusing(end, context) as server:
        client = interface("localhost", server.port, ssl_context=trusting, timeout=10)
        with pytest.raises(
            errors.TLSError, match="expired; the server needs a new one, if this machine's clock is right"
        ):
            client.connect()


def test_a_certificate_that_the_strict_check_refuses(interface: Interface) -> None:
    """What Python 3.13 switched on: the error names the flag, and without it the certificate will do."""
    serving, strict = without_key_identifiers()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with Refusing(end, serving) as server:
        client = interface("localhost", server.port, ssl_context=strict, timeout=10)
        with pytest.raises(errors.TLSError, match=r"verify_flags &= ~ssl\.VERIFY_X509_STRICT") as caught:
            client.connect()
        assert "host name" not in str(caught.value)
    strict.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with Server(session, serving) as good, interface("localhost", good.port, ssl_context=strict, timeout=10) as client:
        client.noop()


def test_tls_where_there_is_none(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.line()

    client = scripted(script, tls=True)
    with pytest.raises(errors.TLSError, match='does not speak TLS from the start: try tls="starttls", or port 993'):
        client.connect()


def test_the_server_goes_amid_the_handshake(scripted: Callable[..., Any]) -> None:
    client = scripted(lambda peer: peer.sock.recv(10), tls=True)
    with pytest.raises(errors.ConnectionLost):
        client.connect()


def _alone(host: str, port: int) -> socket.socket:
    """A socket whose peer has gone."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def test_a_name_that_no_certificate_has(interface: Interface) -> None:
    for given in (_alone, _alone("", 0)):
        client = interface(".example.org", 993, socket=given, timeout=10)
        with pytest.raises(errors.TLSError, match=r"no TLS with \.example\.org"):
            client.connect()
    gc.collect()  # a ResourceWarning is an error here


def test_a_context_that_can_not_be_made(interface: Interface, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a bad certificate in the store of Windows; to connect again does not help."""

    def made(given: Settings) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.load_verify_locations(cadata="no certificate")
        return context

    monkeypatch.setattr(fastimap.clients.asyncio, "client_context", made)
    monkeypatch.setattr(fastimap.clients.tls, "client_context", made)
    client = interface("imap.example.org", 993, socket=_alone, timeout=10)
    with pytest.raises(errors.TLSError, match=r"no TLS with imap\.example\.org") as caught:
        client.connect()
    assert caught.value.advice is errors.Advice.FIX
    gc.collect()  # a ResourceWarning is an error here


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETDOWN])
def test_a_network_that_fails_amid_the_handshake(number: int) -> None:
    """To connect again may help."""
    error = tls_error(settings(Account("imap.example.org")), OSError(number, os.strerror(number)))
    assert error.advice is errors.Advice.RECONNECT


def test_the_server_goes_before_the_handshake(interface: Interface) -> None:
    client = interface("imap.example.org", 993, socket=lambda host, port: reset_connection(), timeout=10)
    with pytest.raises(errors.ConnectionLost):
        client.connect()
    gc.collect()  # a ResourceWarning is an error here


def test_the_server_goes_without_a_close_notify(
    interface: Interface, serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    fileno = -1

    def script(peer: Peer) -> None:
        peer.greet()
        peer.line()
        peer.sock.detach()
        socket.socket(fileno=fileno).close()

    def remember(peer: Peer) -> None:
        nonlocal fileno
        fileno = peer.sock.fileno()
        script(peer)

    client = interface("localhost", serve(remember, tls_server).port, ssl_context=trusting, timeout=10)
    with pytest.raises(errors.Disconnected):
        client.noop()


def test_much_over_tls(interface: Interface, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with IMAPServer(tls=tls_server) as server:
        octets = b"Subject: much\r\n\r\n" + b"0123456789abcdef" * 200_000
        with interface("localhost", server.port, ssl_context=trusting, user="user", password="password") as client:
            client.append("INBOX", octets)
            client.select("INBOX")
            (message,) = client.fetch(1, "BODY.PEEK[]")
            assert message.body == octets


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_long_answer_in_pieces(
    interface: Interface,
    serve: Serve,
    tls_server: ssl.SSLContext,
    trusting: ssl.SSLContext,
    version: ssl.TLSVersion,
) -> None:
    """Records that a system call brings many of, half of, and some of, while the client is faster than the server."""
    bodies = [bytes([65 + number % 26]) * (number * 37 % 5000) for number in range(400)]

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
        peer.answer(b"SELECT INBOX", b"* 400 EXISTS", b"* OK [UIDVALIDITY 1] x", b"* OK [UIDNEXT 401] x")
        tag = peer.line().split()[0]
        for number, body in enumerate(bodies, 1):
            row = b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (number, number, len(body), body)
            for start in range(0, len(row), 3000):
                peer.send(row[start : start + 3000])
        peer.send(tag + b" OK done\r\n")
        peer.answer(b"NOOP")
        peer.log_out()

    tls_server.maximum_version = version
    with interface("localhost", serve(script, tls_server).port, ssl_context=trusting, timeout=30) as client:
        client.select("INBOX")
        assert [message.body for message in client.fetch(UIDSet("1:400"), "BODY.PEEK[]")] == bodies
        assert client.noop() is None


def test_the_greeting_comes_with_the_end_of_the_handshake(
    interface: Interface, serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    tls_server.maximum_version = ssl.TLSVersion.TLSv1_2  # there the server has the last word

    def script(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_server.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.send(outgoing.read())
                octets = peer.sock.recv(65536)
                assert octets
                incoming.write(octets)
        tls.write(b"* PREAUTH [CAPABILITY IMAP4rev1 X-EARLY] hello\r\n")
        peer.send(outgoing.read())
        peer.sock.recv(65536)  # LOGOUT, or the end

    with interface("localhost", serve(script).port, ssl_context=trusting, timeout=5) as client:
        assert "X-EARLY" in client.capabilities


def test_tls_itself_is_answered(
    interface: Interface, serve: Serve, authority: trustme.CA, tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """The server asks for a certificate amid an answer (RFC 8446, section 4.6.2), and goes on once it has it."""
    asked: list[Any] = []

    def script(peer: Peer) -> None:
        peer.greet()
        tag = peer.line().split()[0]
        assert isinstance(peer.sock, ssl.SSLSocket)
        peer.sock.verify_client_post_handshake()
        peer.send(b"* OK who are you?\r\n")
        asked.append(select.select([peer.sock], [], [], 10)[0])
        peer.send(tag + b" OK done\r\n")
        peer.answer(b"NOOP")
        asked.append(peer.sock.getpeercert())
        peer.log_out()

    tls_server.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(tls_server)
    tls_server.post_handshake_auth = trusting.post_handshake_auth = True
    authority.issue_cert("client.example.org").configure_cert(trusting)
    with interface("localhost", serve(script, tls_server).port, ssl_context=trusting, timeout=15) as client:
        assert client.noop() is None
        assert client.noop() is None
    answered, certificate = asked
    assert answered
    assert certificate["subjectAltName"] == (("DNS", "client.example.org"),)


# STARTTLS.


def test_starttls(interface: Interface, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with IMAPServer(starttls=tls_server, require_tls=True) as server:
        client = interface(
            "localhost", server.port, tls="starttls", ssl_context=trusting, user="user", password="password", timeout=10
        )
        with client:
            assert client.session.tls is True
            assert "STARTTLS" not in client.capabilities
            assert client.select("INBOX").exists == 0


@pytest.mark.parametrize("octets", [b"", b"* 5 EXISTS\r\n"])
def test_what_comes_between_the_ok_and_the_handshake(
    scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, octets: bytes
) -> None:
    """The end of the connection, or octets in clear, while the client makes ready: it says so at once."""
    come = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS")
        peer.answer(b"STARTTLS")
        if octets:
            peer.send(octets)
            come.set()
            swallow(peer)
        else:
            peer.close()
            come.set()

    def slowly(given: Settings) -> ssl.SSLContext:
        assert come.wait(30)
        return ssl.create_default_context()

    def begin_slowly(link: Link) -> None:
        assert come.wait(30)
        begin(link)

    begin = Link.begin_tls
    monkeypatch.setattr(Link, "begin_tls", begin_slowly)
    monkeypatch.setattr(fastimap.clients.tls, "client_context", slowly)
    client = scripted(script, tls="starttls", timeout=20)
    began = time.monotonic()
    with pytest.raises(errors.TLSError, match="in clear" if octets else "no TLS with") as caught:
        client.connect()
    assert caught.value.advice is (errors.Advice.FIX if octets else errors.Advice.RECONNECT)
    assert time.monotonic() - began < 15  # not the deadline


def test_starttls_is_the_client_s_own(scripted: Callable[..., Any]) -> None:
    """By hand it would be half of it: the server waits for TLS then, and the client for nothing."""

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS")
        peer.answer(b"NOOP")
        peer.log_out()

    with scripted(script, tls=False, timeout=20) as client:
        with pytest.raises(errors.StateError, match='tls="starttls"'):
            client.run(commands.StartTLS())
        client.noop()


def test_what_was_learnt_before_tls_is_forgotten(
    scripted: Callable[..., Any], tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS X-FORGED")
        peer.answer(b"STARTTLS")
        peer.start_tls(tls_server)
        peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1 X-TRUE")
        peer.log_out()

    with scripted(script, tls="starttls", ssl_context=_any_name(trusting)) as client:
        assert client.capabilities == {"IMAP4REV1", "X-TRUE"}


def _any_name(context: ssl.SSLContext) -> ssl.SSLContext:
    context.check_hostname = False
    return context


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([b"* OK [CAPABILITY IMAP4rev1] ready\r\n"], "does not offer STARTTLS"),
        ([b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"], "PREAUTH"),
        ([b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"%s NO not today\r\n"], "not today"),
        ([b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"%s BAD what?\r\n"], "what?"),
        (
            [
                b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n",
                b"%s OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
            ],
            "after the OK",
        ),
        ([b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"%s OK begin\r\n* "], "after the OK"),
    ],
)
def test_starttls_that_fails(scripted: Callable[..., Any], lines: list[bytes], words: str) -> None:
    def script(peer: Peer) -> None:
        peer.send(lines[0])
        if len(lines) > 1:
            peer.send(lines[1] % peer.expect(b"STARTTLS"))
        peer.expect_end()

    client = scripted(script, tls="starttls", **PASSWORD)
    with pytest.raises(errors.TLSError, match=words.replace("?", r"\?")):
        client.connect()
    assert client.session.tls is False
    with pytest.raises(errors.TLSError, match="closed"):
        client.noop()


def test_a_handshake_that_fails_behind_starttls(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS")
        peer.answer(b"STARTTLS")
        peer.sock.recv(5)
        peer.send(b"* OK what is that?\r\n")
        swallow(peer)

    client = scripted(script, tls="starttls", timeout=5)
    with pytest.raises(errors.TLSError, match="goes on in clear after its OK to STARTTLS"):
        client.connect()
    with pytest.raises(errors.TLSError, match="closed"):
        client.noop()


def test_an_unknown_authority_behind_starttls(scripted: Callable[..., Any], tls_server: ssl.SSLContext) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS")
        peer.answer(b"STARTTLS")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            peer.start_tls(tls_server)

    client = scripted(script, tls="starttls", timeout=5)
    with pytest.raises(errors.TLSError, match="not to be trusted"):
        client.connect()


@pytest.mark.slow
def test_silence_behind_starttls(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS")
        peer.answer(b"STARTTLS")
        swallow(peer)

    client = scripted(script, tls="starttls", timeout=2)  # all before the handshake is to be done by then
    with pytest.raises(errors.Timeout, match="no TLS with"):
        client.connect()


# Channel binding.


def certificate_hash(context_names: str, authority: trustme.CA) -> tuple[ssl.SSLContext, bytes]:
    """The context of a server, and what RFC 5929, section 4.1, has the client bind to: SHA-256 of its certificate."""
    issued = authority.issue_cert(context_names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context, hashlib.sha256(ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())).digest()


def test_scram_plus_binds_to_the_certificate(
    interface: Interface, serve: Serve, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    context, expected = certificate_hash("localhost", authority)

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256")
        tag, channel = scram(peer, "SHA-256-PLUS")
        assert channel == b"p=tls-server-end-point,," + expected
        assert peer.line() == b"\r\n"
        peer.send(tag + b" OK [CAPABILITY IMAP4rev1] welcome\r\n")
        peer.log_out()

    port = serve(script, context).port
    with interface("localhost", port, ssl_context=trusting, mechanism="SCRAM-SHA-256-PLUS", **PASSWORD) as client:
        assert client.session.tls is True


def test_scram_plus_needs_tls(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256")
        peer.expect_end()

    client = scripted(script, mechanism="SCRAM-SHA-256-PLUS", **PASSWORD)
    with pytest.raises(MechanismError):
        client.connect()


@pytest.mark.parametrize("secured", [True, False])
def test_what_the_socket_refused_is_written_when_it_takes_more(
    implementation: str, serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext, secured: bool
) -> None:
    """The end of a message that all but fits the socket's memory, after an answer that was read to its end."""
    size = 60_000

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] hello\r\n")
        tag = peer.line().split()[0]
        peer.send(b"* OK " + b"x" * 2000 + b"\r\n" + tag + b" OK done\r\n")
        for _ in range(3):
            tag = peer.line().split()[0]
            for start in range(0, size, 8192):
                time.sleep(0.01)
                peer.octets(min(8192, size - start))
            assert peer.line() == b"\r\n"
            peer.send(tag + b" OK done\r\n")
        peer.log_out()

    def connected(host: str, port: int) -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        made.connect(("127.0.0.1", port))
        return made

    server = serve(script, tls_server if secured else None)
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    given: dict[str, Any] = {"tls": secured, "ssl_context": trusting if secured else None}
    with Client("localhost", server.port, socket=connected, timeout=5, **given) as client:
        client.noop()
        client.append("INBOX", b"x" * size)
        with client.pipeline() as pipeline:
            for _ in range(2):
                pipeline.append("INBOX", b"x" * size)
