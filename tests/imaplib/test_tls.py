"""TLS: verified unless the caller says otherwise, and STARTTLS without what came before it."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastimap import imaplib
from tests.imaplib.canned import Canned
from tests.imaplib.conftest import Connect, Serve, server_context
from tests.imaplib.scripted import Peer

pytestmark = pytest.mark.usefixtures("implementation", "nothing_left_open")


def session(peer: Peer) -> None:
    peer.greet()
    peer.answer(b"NOOP", b"* 3 EXISTS")
    peer.log_out()


@pytest.fixture
def client_certificate(authority: trustme.CA, tmp_path: Path) -> tuple[str, str]:
    """The paths of a key and its certificate."""
    cert = authority.issue_cert("me@example.org")
    key, chain = tmp_path / "key.pem", tmp_path / "cert.pem"
    cert.private_key_pem.write_to_path(key)
    cert.cert_chain_pems[0].write_to_path(chain)
    return str(key), str(chain)


@pytest.fixture
def demanding(authority: trustme.CA, tls_server: ssl.SSLContext) -> ssl.SSLContext:
    """The context of a server that wants the client's certificate."""
    tls_server.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls_server)
    return tls_server


@pytest.mark.slow
def test_with_a_context(serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with imaplib.IMAP4_SSL("localhost", serve(session, tls_server).port, ssl_context=trusting) as client:
        assert client.noop() == ("OK", [b"done"])
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.ssl() is client.sock
        assert client.sock.server_hostname == "localhost"


@pytest.mark.slow
def test_the_default_context_verifies() -> None:
    context = imaplib._create_default_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.slow
def test_the_default_context_can_be_replaced(
    serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imaplib, "_create_default_ssl_context", lambda: trusting)
    with imaplib.IMAP4_SSL("localhost", serve(session, tls_server).port) as client:
        client.noop()
    assert client.ssl_context is trusting


@pytest.mark.slow
def test_no_host_is_this_machine(serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with imaplib.IMAP4_SSL("", serve(session, tls_server).port, ssl_context=trusting, timeout=20) as client:
        client.noop()
        assert client.sock.gettimeout() == 20


@pytest.mark.slow
def test_keyfile_and_certfile(
    serve: Serve,
    demanding: ssl.SSLContext,
    trusting: ssl.SSLContext,
    client_certificate: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imaplib, "_create_default_ssl_context", lambda: trusting)
    with pytest.warns(DeprecationWarning, match="use an ssl_context instead") as caught:
        client = imaplib.IMAP4_SSL("localhost", serve(session, demanding).port, *client_certificate)
    assert caught[0].filename == __file__
    assert (client.keyfile, client.certfile) == client_certificate
    with client:
        client.noop()


@pytest.mark.slow
def test_keyfile_and_certfile_that_do_not_go_together() -> None:
    for kind in (ValueError, imaplib.IMAP4.error):
        with pytest.raises(kind, match="mutually exclusive"):
            imaplib.IMAP4_SSL("localhost", 1, certfile="x", ssl_context=ssl.create_default_context())
        with pytest.raises(kind, match="mutually exclusive"):
            imaplib.IMAP4_SSL("localhost", 1, keyfile="x", ssl_context=ssl.create_default_context())
        with pytest.raises(kind, match="keyfile needs a certfile"):
            imaplib.IMAP4_SSL("localhost", 1, keyfile="x")


def test_without_the_ssl_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "HAVE_SSL", False)
    with pytest.raises(imaplib.IMAP4.error, match="SSL support missing"):
        imaplib.IMAP4_SSL("localhost", 1)
    with pytest.raises(imaplib.IMAP4.error, match="SSL support missing"):
        Canned().starttls()


@pytest.mark.slow
def test_a_python_without_ssl() -> None:
    program = """if True:
        import sys
        sys.modules["ssl"] = None
        from fastimap import imaplib
        assert not imaplib.HAVE_SSL
        try:
            imaplib.IMAP4_SSL("localhost", 1)
        except imaplib.IMAP4.error as exc:
            print(exc)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "SSL support missing\n"


@pytest.mark.slow
def test_large_responses(serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    body = bytes(range(256)) * 2000

    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b"NOOP", b"* 1 FETCH (X {%d}\r\n%s)" % (len(body), body))

    client = imaplib.IMAP4_SSL("localhost", serve(script, tls_server).port, ssl_context=trusting)
    client.noop()
    assert client.response("FETCH")[1][0] == (b"1 (X {512000}", body)
    client.shutdown()


# STARTTLS.


class StartTLS:
    """Plays STARTTLS, and says `injected` in the same write as the answer to it."""

    def __init__(self, context: ssl.SSLContext, injected: bytes = b"", secure: bytes = b"IMAP4rev1 AUTH=PLAIN") -> None:
        self.context = context
        self.injected = injected
        self.secure = secure
        self.done = threading.Event()

    def __call__(self, peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS LOGINDISABLED")
        tag = peer.expect(b"STARTTLS")
        peer.send(b"* 666 EXISTS\r\n" + tag + b" OK begin\r\n" + self.injected)
        if self.injected:
            peer.expect_end()
            return
        try:
            peer.start_tls(self.context)
        except (ssl.SSLError, ConnectionError):
            return  # the test says why
        peer.answer(b"CAPABILITY", b"* CAPABILITY " + self.secure)
        if b"IMAP4" in self.secure:
            peer.log_out()


@pytest.mark.slow
def test_starttls(connect: Connect, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    client = connect(StartTLS(tls_server))
    capabilities = client.capabilities
    assert capabilities == ("IMAP4REV1", "STARTTLS", "LOGINDISABLED")
    client.host = "localhost"
    assert client.starttls(trusting) == ("OK", [None])
    assert isinstance(client.sock, ssl.SSLSocket)
    assert client.capabilities == ("IMAP4REV1", "AUTH=PLAIN")
    assert client.response("EXISTS") == ("EXISTS", [None])  # what was said in the clear counts for nothing
    with pytest.raises(imaplib.IMAP4.abort, match="TLS session already established"):
        client.starttls(trusting)
    client.logout()


@pytest.mark.slow
def test_starttls_with_the_default_context(connect: Connect, tls_server: ssl.SSLContext) -> None:
    client = connect(StartTLS(tls_server))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"fastimap verifies .*unverified_ssl_context\(\)"):
        client.starttls()
    assert client.sock.fileno() == -1
    with pytest.raises(
        imaplib.IMAP4.abort, match=r"connection is dead: TLS handshake failed: .*CERTIFICATE_VERIFY_FAILED"
    ):
        client.login("user", "secret")


@pytest.mark.slow
def test_the_way_back_to_no_verification(connect: Connect, tls_server: ssl.SSLContext) -> None:
    client = connect(StartTLS(tls_server))
    assert client.starttls(imaplib.unverified_ssl_context()) == ("OK", [None])
    client.logout()


@pytest.mark.slow
def test_starttls_to_another_host(connect: Connect, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    client = connect(StartTLS(server_context(authority, "elsewhere.example.org")))
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        client.starttls(trusting)
    assert client.state == "LOGOUT"


@pytest.mark.slow
def test_starttls_with_keyfile_and_certfile(
    connect: Connect,
    demanding: ssl.SSLContext,
    trusting: ssl.SSLContext,
    client_certificate: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imaplib, "_create_default_ssl_context", lambda: trusting)
    client = connect(StartTLS(demanding))
    keyfile, certfile = client_certificate
    with pytest.warns(DeprecationWarning, match="use an ssl_context instead"):
        assert client.starttls(keyfile=keyfile, certfile=certfile)[0] == "OK"
    client.logout()


@pytest.mark.slow
def test_octets_injected_behind_the_answer(
    connect: Connect, tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """CVE-2011-0411 and its kin: what came in the clear must not be read as if it came under TLS."""
    client = connect(StartTLS(tls_server, b"* CAPABILITY IMAP4rev1 X-INJECTED\r\n"))
    with pytest.raises(imaplib.IMAP4.abort, match="35 octets follow the answer to STARTTLS, before TLS"):
        client.starttls(trusting)
    assert client.sock.fileno() == -1
    with pytest.raises(imaplib.IMAP4.abort, match="connection is dead: 35 octets follow"):
        client.login("user", "secret")


def dies(client: imaplib.IMAP4, why: str) -> None:
    """Nothing is sent in the clear where TLS was asked for."""
    assert client.sock.fileno() == -1
    assert client.state == "LOGOUT"
    calls: list[Callable[[], object]] = [lambda: client.login("user", "secret"), client.starttls, client.noop]
    for call in calls:
        with pytest.raises(imaplib.IMAP4.abort, match=f"connection is dead: {why}"):
            call()


@pytest.mark.slow
@pytest.mark.parametrize("status", [b"NO not today", b"BAD what?"])
def test_starttls_refused(connect: Connect, trusting: ssl.SSLContext, status: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 STARTTLS")
        peer.answer(b"STARTTLS", status=status)
        peer.expect_end()

    client = connect(script)
    why = "Couldn't establish TLS session: not today" if status.startswith(b"NO") else "STARTTLS command error: BAD"
    with pytest.raises(imaplib.IMAP4.error, match=why):
        client.starttls(trusting)
    dies(client, why)


def test_starttls_not_offered(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1")
        peer.expect_end()

    client = connect(script)
    with pytest.raises(imaplib.IMAP4.abort, match="TLS not supported by server"):
        client.starttls()
    dies(client, "TLS not supported by server")


def test_starttls_behind_preauth(connect: Connect) -> None:
    """RFC 9051, section 11.1: whoever sits between could have put it there, to keep TLS away."""

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH hello\r\n")
        peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1 STARTTLS")
        peer.expect_end()

    client = connect(script)
    with pytest.raises(imaplib.IMAP4.error, match="command STARTTLS illegal in state AUTH"):
        client.starttls()
    dies(client, "command STARTTLS illegal in state AUTH")


@pytest.mark.slow
def test_starttls_answered_ahead(connect: Connect, trusting: ssl.SSLContext) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\nBAAAAA0 OK begin\r\n")
        peer.expect_end()

    client = connect(script)
    with pytest.raises(imaplib.IMAP4.abort, match=r"unexpected (tagged )?response: b'BAAAAA0 OK begin'"):
        client.starttls(trusting)
    dies(client, "unexpected")


@pytest.mark.slow
def test_nothing_learnt_in_the_clear_is_left(
    connect: Connect, tls_server: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 IMAP4 STARTTLS X-CLEAR")
        tag = peer.expect(b"STARTTLS")
        peer.send(b"* X-DATA clear\r\n* OK [X-CODE clear] x\r\n" + tag + b" OK [CAPABILITY X-CLEAR] begin\r\n")
        peer.start_tls(tls_server)
        peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4")

    client = connect(script)
    assert client.PROTOCOL_VERSION == "IMAP4REV1"
    client.host = "localhost"
    client.starttls(trusting)
    assert client.capabilities == ("IMAP4",)
    assert client.PROTOCOL_VERSION == "IMAP4"
    assert client.untagged_responses == {}


@pytest.mark.slow
def test_no_imap_behind_starttls(connect: Connect, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    client = connect(StartTLS(tls_server, secure=b"IMAP5"))
    client.host = "localhost"
    with pytest.raises(imaplib.IMAP4.error, match="server not IMAP4 compliant"):
        client.starttls(trusting)
    dies(client, "server not IMAP4 compliant")


@pytest.mark.slow
def test_no_starttls_under_tls(serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    client = imaplib.IMAP4_SSL("localhost", serve(Peer.greet, tls_server).port, ssl_context=trusting)
    client.capabilities = ("STARTTLS",)
    with pytest.raises(imaplib.IMAP4.abort, match="TLS session already established"):
        client.starttls(trusting)
    assert client.state == "NONAUTH"  # that did no harm
    client.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("secret", ["secret", b"secret"])
def test_no_password_under_logindisabled(secret: Any) -> None:
    client = Canned()
    client.capabilities = ("IMAP4REV1", "LOGINDISABLED")
    with pytest.raises(imaplib.IMAP4.error, match=r"LOGINDISABLED.*starttls\(\).*authenticate\(\)"):
        client.login("user", secret)
    assert client.canned.sent == b""
    assert client.state == "NONAUTH"


SHOWING = ["PLAIN", "plain", "LOGIN", "XOAUTH2", "OAUTHBEARER"]


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", SHOWING)
def test_no_secret_in_the_clear_under_logindisabled(mechanism: str) -> None:
    client = Canned()
    client.capabilities = ("IMAP4REV1", "LOGINDISABLED", "AUTH=PLAIN")
    with pytest.raises(imaplib.IMAP4.error, match=r"LOGINDISABLED.*starttls\(\)"):
        client.authenticate(mechanism, lambda challenge: b"secret")
    with pytest.raises(imaplib.IMAP4.error, match=r"LOGINDISABLED.*starttls\(\)"):
        client.login_plain("user", "secret")
    assert client.canned.sent == b""
    assert client.literal is None


def test_cram_md5_under_logindisabled() -> None:
    client = Canned(b"+ YQ==\r\n", b"")
    client.capabilities = ("IMAP4REV1", "LOGINDISABLED")
    with pytest.raises(imaplib.IMAP4.abort, match="EOF"):
        client.login_cram_md5("user", "secret")
    assert b"AUTHENTICATE CRAM-MD5\r\n" in client.canned.sent


@pytest.mark.slow
def test_plain_under_tls_and_logindisabled(serve: Serve, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 LOGINDISABLED AUTH=PLAIN")
        tag = peer.expect(b"AUTHENTICATE PLAIN")
        peer.send(b"+ \r\n")
        assert peer.line() == b"AHVzZXIAc2VjcmV0\r\n"
        peer.send(tag + b" OK [CAPABILITY IMAP4rev1] in\r\n")

    client = imaplib.IMAP4_SSL("localhost", serve(script, tls_server).port, ssl_context=trusting)
    assert client.login_plain("user", "secret")[0] == "OK"
    client.shutdown()
