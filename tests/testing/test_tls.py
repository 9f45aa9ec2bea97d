"""TLS from the first octet, STARTTLS, and LOGINDISABLED, with a certificate of a private authority."""

import gc
import imaplib
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from fastimap.testing import IMAPServer, IMAPServerProcess
from fastimap.testing.connection import Connection
from tests.support.sockets import reset_connection
from tests.testing.reading import literal


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    octets = os.urandom(1_000_000)
    with IMAPServer(tls=server_context, require_tls=True) as server:
        server.append("INBOX", octets)
        with imaplib.IMAP4_SSL(server.host, server.port, ssl_context=client_context, timeout=10) as client:
            assert "STARTTLS" not in client.capabilities
            client.login("user", "password")
            client.select()
            assert literal(client.fetch("1", "(BODY[])")[1]) == octets
            client.send(b"x IDLE\r\n")
            client.readline()
            server.append("INBOX", b"x")
            assert client.readline() == b"* 2 EXISTS\r\n"
            client.readline()
            client.send(b"DONE\r\n")
            assert client.readline().startswith(b"x OK")


def test_a_client_that_went_before_tls_leaves_no_socket_open(server_context: ssl.SSLContext) -> None:
    accepted = reset_connection()
    connection = Connection(accepted)
    try:
        with pytest.raises(OSError):  # noqa: PT011 - which one it is depends on the moment
            connection.start_tls(server_context)
    finally:
        connection.close()
    gc.collect()  # a ResourceWarning is an error here


def test_starttls(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    with (
        IMAPServer(starttls=server_context, require_tls=True) as server,
        imaplib.IMAP4(server.host, server.port, timeout=10) as client,
    ):
        assert {"STARTTLS", "LOGINDISABLED"} <= set(client.capabilities)
        assert "AUTH=PLAIN" not in client.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            client.login("user", "password")
        with pytest.raises(imaplib.IMAP4.error, match="CANNOT"):
            client.authenticate("PLAIN", lambda challenge: b"\0user\0password")
        client.starttls(client_context)
        assert not {"STARTTLS", "LOGINDISABLED"} & set(client.capabilities)
        with pytest.raises(imaplib.IMAP4.error, match="STARTTLS is not offered"):
            client._simple_command("STARTTLS")
        assert client.login("user", "password")[0] == "OK"


def test_what_was_sent_before_tls_is_not_carried_into_it(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    with (
        IMAPServer(starttls=server_context) as server,
        socket.create_connection((server.host, server.port), timeout=10) as plain,
    ):
        plain.recv(1000)
        plain.sendall(b"a STARTTLS\r\nb LOGIN user password\r\n")
        assert plain.recv(1000).startswith(b"a OK ")
        with client_context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
            secured.sendall(b"c NOOP\r\n")
            assert secured.recv(1000) == b"c OK NOOP completed\r\n"


def test_a_client_that_does_not_speak_tls(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    with IMAPServer(tls=server_context) as server:
        with socket.create_connection((server.host, server.port), timeout=10) as plain:
            plain.sendall(b"a NOOP\r\n")
            with suppress(ConnectionError):
                while plain.recv(1000):
                    pass
        with imaplib.IMAP4_SSL(server.host, server.port, ssl_context=client_context, timeout=10) as client:
            assert client.noop()[0] == "OK"


@pytest.mark.parametrize("starttls", [False, True])
def test_tls_of_a_process(
    authority: trustme.CA, client_context: ssl.SSLContext, tmp_path: Path, starttls: bool
) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(certfile))
    certificate.private_key_pem.write_to_path(str(keyfile))
    with IMAPServerProcess(certfile=certfile, keyfile=keyfile, starttls=starttls) as server:
        if starttls:
            client = imaplib.IMAP4(server.host, server.port, timeout=10)
            client.starttls(client_context)
        else:
            client = imaplib.IMAP4_SSL(server.host, server.port, ssl_context=client_context, timeout=10)
        with client:
            assert client.login("user", "password")[0] == "OK"
