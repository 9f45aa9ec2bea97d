"""What can go wrong with a server: a typed error that says what happened, the connection closed, nothing leaked."""

from __future__ import annotations

import socket
import ssl
from contextlib import nullcontext
from typing import Any

import pytest
import trustme

from fastimap import imaplib
from tests.imaplib.conftest import Connect, Serve, server_context
from tests.imaplib.scripted import Peer
from tests.support.certificates import without_key_identifiers

pytestmark = pytest.mark.usefixtures("implementation", "nothing_left_open")


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(socket.gaierror, match=r"nowhere\.invalid:143"):
        imaplib.IMAP4("nowhere.invalid")


@pytest.mark.slow
@pytest.mark.parametrize("cls", [imaplib.IMAP4, imaplib.IMAP4_SSL])
def test_a_port_where_nobody_listens(cls: type[imaplib.IMAP4], refused_port: int) -> None:
    with pytest.raises(ConnectionRefusedError, match=f"connecting to 127.0.0.1:{refused_port}"):
        cls("127.0.0.1", refused_port)


def test_a_connection_that_does_not_come_about_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(address: object, timeout: float) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", slow)
    with pytest.raises(TimeoutError, match=r"no connection to localhost:143 within 5 seconds"):
        imaplib.IMAP4(timeout=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("greeting", "service"),
    [
        (b"220 mail.example.org ESMTP\r\n", "an SMTP or FTP server"),
        (b"+OK POP3 server ready\r\n", "a POP3 server"),
        (b"HTTP/1.1 400 Bad Request\r\n", "a web server"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "an SSH server"),
    ],
)
def test_another_service_behind_the_port(serve: Serve, greeting: bytes, service: str) -> None:
    def script(peer: Peer) -> None:
        peer.send(greeting)
        peer.expect_end()

    with pytest.raises(imaplib.IMAP4.error) as caught:
        imaplib.IMAP4("127.0.0.1", serve(script).port)
    text = greeting.decode().strip()
    assert str(caught.value) == f"invalid greeting: {text} (this is {service}; IMAP's ports are 143, and 993 with TLS)"


@pytest.mark.slow
@pytest.mark.parametrize("greeting", [b"Server Unavailable. 15", b"* BYE too many of you", b"+", b"* 9.3e+06 EXISTS"])
def test_a_greeting_that_lets_nobody_in(serve: Serve, greeting: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.send(greeting + b"\r\n")
        peer.expect_end()

    with pytest.raises(imaplib.IMAP4.error) as caught:
        imaplib.IMAP4("127.0.0.1", serve(script).port)
    assert str(caught.value) == f"invalid greeting: {greeting.decode()}"


def test_a_server_without_imap4(serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP5")
        peer.expect_end()

    with pytest.raises(imaplib.IMAP4.error, match="server not IMAP4 compliant"):
        imaplib.IMAP4("127.0.0.1", serve(script).port)


def test_capability_refused(serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* OK ready\r\n")
        peer.answer(b"CAPABILITY", status=b"NO go away")
        peer.expect_end()

    with pytest.raises(imaplib.IMAP4.error, match="no CAPABILITY response from server"):
        imaplib.IMAP4("127.0.0.1", serve(script).port)


def test_a_server_that_hangs_up_at_once(serve: Serve) -> None:
    server = serve(lambda peer: None)
    with pytest.raises(imaplib.IMAP4.abort) as caught:
        imaplib.IMAP4("127.0.0.1", server.port)
    assert str(caught.value) == f"no greeting from 127.0.0.1:{server.port}: socket error: EOF"


def test_a_server_that_says_nothing(serve: Serve) -> None:
    server = serve(Peer.expect_end)
    with pytest.raises(imaplib.IMAP4.abort) as caught:
        imaplib.IMAP4("127.0.0.1", server.port, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert str(caught.value) == (
        f"no greeting from 127.0.0.1:{server.port} within 0.05 seconds; a port that begins with TLS needs IMAP4_SSL"
    )


def test_plain_to_a_port_that_begins_with_tls(serve: Serve, tls_server: ssl.SSLContext) -> None:
    def script(peer: Peer) -> None:
        with pytest.raises(OSError, match=r"EOF|closed|UNEXPECTED"):
            peer.start_tls(tls_server)

    with pytest.raises(TimeoutError, match="a port that begins with TLS needs IMAP4_SSL"):
        imaplib.IMAP4("127.0.0.1", serve(script).port, timeout=0.1)


def test_tls_to_a_port_that_begins_without(serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        while peer.line():
            pass

    server = serve(script)
    with pytest.raises(ssl.SSLError) as caught:
        imaplib.IMAP4_SSL("127.0.0.1", server.port)
    assert str(caught.value).startswith(f"no TLS with 127.0.0.1:{server.port}: ")
    assert str(caught.value).endswith("(a port that begins without TLS needs IMAP4, and then starttls())")


def test_a_certificate_of_an_unknown_authority(serve: Serve, tls_server: ssl.SSLContext) -> None:
    def script(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError):
            peer.start_tls(tls_server)

    with pytest.raises(
        ssl.SSLCertVerificationError,
        match=r"CERTIFICATE_VERIFY_FAILED.*fastimap verifies .* ssl_context=fastimap.imaplib.unverified_ssl_context",
    ):
        imaplib.IMAP4_SSL("127.0.0.1", serve(script).port)


@pytest.mark.slow
@pytest.mark.parametrize("starttls", [False, True])
def test_a_certificate_that_the_strict_check_refuses(serve: Serve, starttls: bool) -> None:
    """What Python 3.13 switched on: the error names the flag, and without it the certificate will do."""
    serving, strict = without_key_identifiers()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT

    def connected(context: ssl.SSLContext, refused: bool) -> imaplib.IMAP4:
        def script(peer: Peer) -> None:
            if starttls:
                peer.greet(b"IMAP4rev1 STARTTLS")
                peer.answer(b"STARTTLS")
            with pytest.raises(ssl.SSLError) if refused else nullcontext():
                peer.start_tls(serving)
            if not refused:
                if not starttls:
                    peer.greet()
                else:
                    peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1")
                peer.log_out()

        port = serve(script).port
        if not starttls:
            return imaplib.IMAP4_SSL("localhost", port, ssl_context=context)
        client = imaplib.IMAP4("localhost", port)
        client.starttls(context)
        return client

    with pytest.raises(ssl.SSLCertVerificationError, match=r"verify_flags &= ~ssl\.VERIFY_X509_STRICT") as caught:
        connected(strict, refused=True)
    assert "unverified" not in str(caught.value)
    strict.verify_flags &= ~ssl.VERIFY_X509_STRICT
    assert connected(strict, refused=False).logout()[0] == "BYE"


@pytest.mark.slow
def test_a_certificate_for_another_host(serve: Serve, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    context = server_context(authority, "elsewhere.example.org")

    def script(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError):
            peer.start_tls(context)

    with pytest.raises(ssl.CertificateError, match=r"not valid for '127\.0\.0\.1'"):
        imaplib.IMAP4_SSL("127.0.0.1", serve(script).port, ssl_context=trusting)


def test_a_wrong_password(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b'LOGIN user "wrong"', status=b"NO [AUTHENTICATIONFAILED] Authentication failed.")
        peer.log_out()

    client = connect(script)
    with pytest.raises(imaplib.IMAP4.error) as caught:
        client.login("user", "wrong")
    assert str(caught.value) == "[AUTHENTICATIONFAILED] Authentication failed."
    assert not isinstance(caught.value, imaplib.IMAP4.abort)
    assert client.state == "NONAUTH"
    assert client.logout() == ("BYE", [b"see you"])


def test_a_mailbox_that_is_not_there(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.log_in()
        peer.answer(b"SELECT nowhere", status=b"NO [NONEXISTENT] no such mailbox")
        peer.log_out()

    with connect(script) as client:
        client.login("user", "secret")
        assert client.select("nowhere") == ("NO", [b"[NONEXISTENT] no such mailbox"])
        assert client.state == "AUTH"
        with pytest.raises(
            imaplib.IMAP4.error, match="command SEARCH illegal in state AUTH, only allowed in states SELECTED"
        ):
            client.search(None, "ALL")


def test_a_command_that_the_server_does_not_know(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b"NOOP", status=b"BAD what?")
        peer.log_out()

    with connect(script) as client, pytest.raises(imaplib.IMAP4.error, match=r"NOOP command error: BAD \[b'what\?'\]"):
        client.noop()


def test_a_line_over_the_limit(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect(b"NOOP")
        peer.send(b"* OK " + 300 * b"x" + b"\r\n")
        peer.expect_end()

    client = connect(script)
    monkeypatch.setattr(imaplib, "_MAXLINE", 300)
    with pytest.raises(imaplib.IMAP4.error, match="command: NOOP => got more than 300 bytes"):
        client.noop()
    assert client.sock.fileno() == -1


@pytest.mark.slow
@pytest.mark.parametrize("size", [b"1073741825", b"99999999999999999999", 5000 * b"9"])
@pytest.mark.parametrize("debug", [0, 1])
def test_a_literal_over_the_limit(
    connect: Connect, size: bytes, debug: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect(b"NOOP")
        peer.send(b"* 1 FETCH (BODY[] {" + size + b"}\r\nabc")
        peer.expect_end()

    client = connect(script)
    client.debug = debug
    shown = size.decode() if len(size) < 19 else r"2\*\*63 or more"
    with pytest.raises(imaplib.IMAP4.abort, match=f"command: NOOP => literal of {shown} octets, more than 1073741824"):
        client.noop()
    assert client.sock.fileno() == -1
    assert "FETCH" not in client.untagged_responses


def test_a_hang_up_in_the_middle_of_a_literal(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect(b"NOOP")
        peer.send(b"* 1 FETCH (BODY[] {5678}\r\n" + 1234 * b"x")

    client = connect(script)
    with pytest.raises(imaplib.IMAP4.abort, match=r"EOF in the middle of a response with literals, 1234 octets"):
        client.noop()
    assert client.sock.fileno() == -1
    assert "FETCH" not in client.untagged_responses


def test_a_hang_up_in_the_middle_of_a_literal_that_somebody_watches(connect: Connect) -> None:
    class Watching(imaplib.IMAP4):
        def read(self, size: int) -> bytes:
            return super().read(size)

    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect(b"NOOP")
        peer.send(b"* 1 FETCH (BODY[] {5678}\r\n" + 1234 * b"x")

    client = connect(script, Watching)
    with pytest.raises(imaplib.IMAP4.abort) as caught:
        client.noop()
    assert str(caught.value) == "command: NOOP => socket error: EOF after 1234 of 5678 octets of a literal"
    assert client.sock.fileno() == -1
    assert "FETCH" not in client.untagged_responses


def test_a_connection_that_is_reset(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect(b"NOOP")
        linger = b"\1\0\0\0\0\0\0\0"  # on, 0 seconds: close() sends RST
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    client = connect(script)
    with pytest.raises(imaplib.IMAP4.abort, match="command: NOOP => socket error: EOF"):
        client.noop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"timeout": "soon"}, TypeError),
        ({"host": "a" * 70 + ".example"}, UnicodeError),
        ({"timeout": float("nan")}, ValueError),
    ],
)
def test_what_no_connection_can_have(arguments: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        imaplib.IMAP4(**{"host": "127.0.0.1", "port": 1, **arguments})
    assert isinstance(caught.value, imaplib.IMAP4.error)
