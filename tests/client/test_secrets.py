"""Passwords and tokens stand in no log, no representation and no traceback, local variables included."""

from __future__ import annotations

import io
import logging
import traceback
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastimap import AsyncClient, Client, errors
from fastimap.sasl import Plain
from fastimap.testing import IMAPServer
from tests.client.interfaces import Interface
from tests.client.test_login import scram
from tests.imaplib.scripted import Peer

SECRET = "tanstaaf-s3cret"
PASSWORD = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")
TOKEN = ("OAUTHBEARER", "XOAUTH2")
COMMAND = "the command LOGIN"


class Recorded(Peer):
    """A peer that keeps what its client says."""

    def __init__(self, peer: Peer, said: list[bytes]) -> None:
        self.sock, self.file, self.said = peer.sock, peer.file, said

    def line(self) -> bytes:
        line = super().line()
        self.said.append(line)
        return line


def exchange(peer: Peer, mechanism: str) -> bytes:
    """The server's side of a login, up to its last word; returns the tag."""
    offered = b"" if mechanism == COMMAND else b" SASL-IR AUTH=" + mechanism.encode()
    peer.greet(b"IMAP4rev1" + offered)
    if mechanism.startswith("SCRAM"):
        tag, _ = scram(peer, mechanism.removeprefix("SCRAM-"), password=SECRET)
        assert peer.line() == b"\r\n"
        return tag
    tag, *_ = peer.line().split(b" ")
    for challenge in {"LOGIN": [b"Username:", b"Password:"], "CRAM-MD5": [b"<1896.697170952@post>"]}.get(mechanism, ()):
        peer.send(b"+ " + b64encode(challenge) + b"\r\n")
        peer.line()
    return tag


def accept(peer: Peer, tag: bytes) -> None:
    peer.send(tag + b" OK [CAPABILITY IMAP4rev1] welcome\r\n")
    peer.log_out()


def refuse(peer: Peer, tag: bytes) -> None:
    peer.send(tag + b" NO [AUTHENTICATIONFAILED] no\r\n")
    peer.expect_end()


def hang_up(peer: Peer, tag: bytes) -> None:
    """Go without an answer."""


def babble(peer: Peer, tag: bytes) -> None:
    peer.send(b"+ !!!\r\n" + tag + b" BAD what?\r\n")
    while peer.line():
        pass


def traced(error: BaseException) -> str:
    """The traceback with the local variables of every frame, those of the tests left out: they hold the secret."""
    part: traceback.TracebackException | None = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert part is not None
    whole = part
    while part is not None:
        part.stack = traceback.StackSummary.from_list(
            [frame for frame in part.stack if "/tests/" not in frame.filename]
        )
        part = part.__cause__ or part.__context__
    written = io.StringIO()
    whole.print(file=written)
    assert "fastimap" in written.getvalue()
    return written.getvalue()


def proofs(said: list[bytes]) -> Iterator[str]:
    """What shows the secret, or lets it be guessed: the secret, and the octets that the client sent in the exchange."""
    yield SECRET
    for line in said:
        words = line.split()
        for word in words[3:] if b"AUTHENTICATE" in words else words[:1]:
            if len(word) > 12 and b"LOGIN" not in words:
                yield word.decode()
                yield repr(b64decode(word))[2:-1]


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", [*PASSWORD, *TOKEN, COMMAND])
@pytest.mark.parametrize("ending", [accept, refuse, hang_up, babble])
def test_a_login(
    scripted: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    ending: Callable[[Peer, bytes], None],
    mechanism: str,
) -> None:
    said: list[bytes] = []

    def script(peer: Peer) -> None:
        recorded = Recorded(peer, said)
        ending(recorded, exchange(recorded, mechanism))

    secret = {"token": lambda: SECRET} if mechanism in TOKEN else {"password": SECRET}
    caplog.set_level(logging.DEBUG)
    client = scripted(script, user="user", mechanism="LOGIN" if mechanism == COMMAND else mechanism, **secret)
    shown = ""
    if ending is accept:
        client.connect()
        client.close()
    else:
        with pytest.raises(errors.FastimapError) as caught:
            client.connect()
        shown = traced(caught.value) + repr(caught.value)
    shown += caplog.text + repr(client)
    assert "AUTHENTICATE" in caplog.text or "LOGIN user" in caplog.text
    assert len(list(proofs(said))) >= (1 if mechanism == COMMAND else 3)
    for proof in proofs(said):
        assert proof not in shown


@pytest.mark.parametrize("secret", [SECRET, SECRET + "\0", SECRET + "\ud800", [SECRET]], ids=ascii)
@pytest.mark.parametrize("piped", [False, True], ids=["called", "piped"])
def test_a_login_by_hand(
    server: IMAPServer, interface: Interface, caplog: pytest.LogCaptureFixture, secret: Any, piped: bool
) -> None:
    caplog.set_level(logging.DEBUG)

    def log_in(client: Any) -> None:
        if not piped:
            client.login("nobody", secret, insecure=True)
        with client.pipeline() as pipeline:
            pending = pipeline.login("nobody", secret, insecure=True)
        pending.result()

    with interface(server.host, server.port, tls=False) as client:
        with pytest.raises((errors.AuthenticationFailed, ValueError, TypeError)) as caught:
            log_in(client)
        assert SECRET not in traced(caught.value) + repr(caught.value.args) + caplog.text
        assert client.noop() is None


def test_a_mechanism_by_hand(server: IMAPServer, interface: Interface) -> None:
    with interface(server.host, server.port, tls=False) as client:
        with pytest.raises(errors.AuthenticationFailed) as caught:
            client.authenticate(Plain("nobody", SECRET))
        assert SECRET not in traced(caught.value)


@pytest.mark.parametrize("mechanism", PASSWORD)
def test_a_password_that_can_not_be_sent(scripted: Callable[..., Any], mechanism: str) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=" + mechanism.encode())
        peer.expect_end()

    client = scripted(script, user="user", password=f"{SECRET}\0", mechanism=mechanism)
    with pytest.raises(errors.FastimapError) as caught:
        client.connect()
    assert SECRET not in traced(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("secret", ["password", "token"])
@pytest.mark.parametrize(
    ("host", "arguments"),
    [
        ("imap.example.org", {"user": "user", "port": 99999}),
        ("imap.example.org", {"user": "user", "timeout": -1}),
        ("imap.example.org", {"user": "user", "tls": "ssl"}),
        ("imap.example.org", {}),  # no user
        ("imap example", {"user": "user"}),
    ],
)
def test_a_client_with_wrong_arguments(kind: Any, host: str, arguments: dict[str, Any], secret: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each has words of its own
        kind(host, **arguments, **{secret: SECRET})
    assert f"self = <{kind.__name__}>" in traced(caught.value)
    assert SECRET not in traced(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_a_client_holds(kind: Any) -> None:
    client = kind("imap.example.org", user="user", password=SECRET)
    assert "user" in repr(vars(client))
    assert SECRET not in repr(vars(client))
    assert SECRET not in repr(client)
