"""Logging in: which mechanism, how a lying server is found out, and where no secret may stand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import AsyncClient, errors
from fastimap.sasl import MechanismError, OAuthError, Plain
from tests.client.peers import in_turn
from tests.imaplib.scripted import Peer, Server

SECRET = "correct horse battery"
PASSWORD = {"user": "user", "password": SECRET}


def encoded(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def scram(
    peer: Peer,
    name: str = "SHA-256",
    *,
    password: str = SECRET,
    lie: bool = False,
    iterations: int = 4096,
    nonce: bytes | None = None,
) -> tuple[bytes, bytes]:
    """The server's side of SCRAM (RFC 5802, sections 3 and 5), with SASL-IR; returns the tag and c=.

    It says nothing of its result. With `lie` it does not know the password and signs something. `nonce` is one that
    does not continue the client's; the client must cancel at it, as at an iteration count that is none.
    """
    digest = name.removesuffix("-PLUS").replace("-", "").lower()
    tag, _, rest = peer.line().removesuffix(b"\r\n").partition(b" ")
    command, mechanism, initial = rest.split(b" ")
    assert (command, mechanism) == (b"AUTHENTICATE", b"SCRAM-" + name.encode())
    first = base64.b64decode(initial)
    bare = first.split(b",", 2)[2]
    attributes = dict(part.split(b"=", 1) for part in bare.split(b","))
    assert attributes[b"n"] == b"user"
    nonce, salt = nonce or attributes[b"r"] + b"server", b"a salt"
    server_first = b"r=%s,s=%s,i=%d" % (nonce, encoded(salt), iterations)
    peer.send(b"+ " + encoded(server_first) + b"\r\n")
    answer = peer.line()
    if answer == CANCEL:
        return tag, b""
    final = base64.b64decode(answer)
    without_proof, _, proof = final.rpartition(b",p=")
    channel, _, repeated = without_proof.partition(b",r=")
    assert repeated == nonce
    message = b",".join([bare, server_first, without_proof])
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", digest)
    signature = hmac.digest(hashlib.new(digest, client_key).digest(), message, digest)
    if not lie:
        assert base64.b64decode(proof) == bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server_key = hmac.digest(salted, b"Server Key", digest)
    verifier = bytes(len(signature)) if lie else hmac.digest(server_key, message, digest)
    peer.send(b"+ " + encoded(b"v=" + encoded(verifier)) + b"\r\n")
    return tag, base64.b64decode(channel.removeprefix(b"c="))


CANCEL = b"*\r\n"
"""RFC 9051, section 6.2.2: the client cancels the exchange."""


def welcome(peer: Peer, tag: bytes) -> None:
    peer.send(tag + b" OK [CAPABILITY IMAP4rev1] welcome\r\n")
    peer.log_out()


def test_the_strongest_mechanism_is_chosen(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256")
        tag, _ = scram(peer)
        assert peer.line() == b"\r\n"
        welcome(peer, tag)

    with scripted(script, **PASSWORD) as client:
        assert client.session.state.value == "authenticated"
        assert client.capabilities == {"IMAP4REV1"}


@pytest.mark.parametrize("empty", [b'+ ""', b"+ =", b"+", b"+ "])
def test_an_empty_challenge(scripted: Callable[..., Any], empty: bytes) -> None:
    """``""`` is Stalwart's (stalwartlabs/stalwart#234), ``=`` that of RFC 4959."""

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=PLAIN")
        tag = peer.expect(b"AUTHENTICATE PLAIN")
        peer.send(empty + b"\r\n")
        assert base64.b64decode(peer.line()) == b"\0me\0secret"
        welcome(peer, tag)

    with scripted(script, mechanism="PLAIN", user="me", password="secret") as client:
        assert client.session.state.value == "authenticated"


def test_a_challenge_in_quotes(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=LOGIN")
        tag = peer.expect(b"AUTHENTICATE LOGIN")
        peer.send(b'+ "VXNlcm5hbWU6"\r\n')
        assert base64.b64decode(peer.line()) == b"me"
        peer.send(b'+ "UGFzc3dvcmQ6"\r\n')
        assert base64.b64decode(peer.line()) == b"secret"
        welcome(peer, tag)

    with scripted(script, mechanism="LOGIN", user="me", password="secret") as client:
        assert client.session.state.value == "authenticated"


# SCRAM: a server that knows the password, and those that lie.

SCRAM = pytest.mark.parametrize("name", ["SHA-1", "SHA-256", "SHA-512"])


@SCRAM
def test_scram(scripted: Callable[..., Any], name: str) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=SCRAM-" + name.encode())
        tag, channel = scram(peer, name)
        assert channel == b"n,,"  # RFC 5802, section 7: no channel binding, no authzid
        assert peer.line() == b"\r\n"  # the client's answer to the server's signature is empty
        welcome(peer, tag)

    with scripted(script, **PASSWORD) as client:
        assert client.session.state.value == "authenticated"


@pytest.mark.slow
@SCRAM
@pytest.mark.parametrize(
    ("lie", "error"),
    [
        ({"lie": True}, "does not know the password"),
        ({"nonce": b"fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"}, "does not continue the client's"),
        ({"iterations": 1}, "iterations"),  # the password could be guessed from the proof
        ({"iterations": 10**9}, "iterations"),  # the client would compute for minutes
    ],
    ids=["signature", "nonce", "few iterations", "many iterations"],
)
@pytest.mark.parametrize("answer", [b"OK come in", b"NO cancelled", b"BAD cancelled"])
def test_a_scram_server_that_lies(
    scripted: Callable[..., Any], name: str, lie: dict[str, Any], error: str, answer: bytes
) -> None:
    said: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=SCRAM-" + name.encode())
        tag, channel = scram(peer, name, **lie)
        said.append(channel)
        if channel:
            assert peer.line() == CANCEL
        peer.send(tag + b" " + answer + b"\r\n")
        peer.expect_end()

    client = scripted(script, **PASSWORD)
    # Whatever the server says then, OK included.
    with pytest.raises(errors.ProtocolError if answer.startswith(b"OK") else MechanismError, match=error):
        client.connect()
    assert bool(said[0]) is ("lie" in lie)  # a proof for nobody else than one who may know the password
    with pytest.raises(errors.ConnectionLost, match="closed"):
        client.noop()


@SCRAM
@pytest.mark.parametrize("steps", [0, 1])
def test_a_scram_server_that_says_ok_without_proof(scripted: Callable[..., Any], name: str, steps: int) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=SCRAM-" + name.encode())
        tag, *_, initial = peer.line().split()
        if steps:
            nonce = base64.b64decode(initial).rpartition(b"r=")[2]
            peer.send(b"+ " + encoded(b"r=%sserver,s=%s,i=4096" % (nonce, encoded(b"a salt"))) + b"\r\n")
            peer.line()
        peer.send(tag + b" OK come in\r\n")
        peer.expect_end()

    client = scripted(script, **PASSWORD)
    with pytest.raises(errors.ProtocolError, match="without having proven"):
        client.connect()


# The others.


def test_cram_md5(scripted: Callable[..., Any]) -> None:
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"  # RFC 2195, section 2

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=CRAM-MD5")
        tag = peer.expect(b"AUTHENTICATE CRAM-MD5")
        peer.send(b"+ " + encoded(challenge) + b"\r\n")
        answer = base64.b64decode(peer.line())
        assert answer == b"tim b913a602c7eda7a495b4e6e7334d3890"
        welcome(peer, tag)

    with scripted(script, user="tim", password="tanstaaftanstaaf"):
        pass


@pytest.mark.parametrize("mechanism", ["PLAIN", "plain"])
def test_plain_without_an_initial_response(scripted: Callable[..., Any], mechanism: str) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=PLAIN")
        tag = peer.expect(b"AUTHENTICATE PLAIN")
        peer.send(b"+ \r\n")
        assert base64.b64decode(peer.line()) == b"\0user\0" + SECRET.encode()
        welcome(peer, tag)

    with scripted(script, mechanism=mechanism, **PASSWORD):
        pass


def test_the_mechanism_login(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=LOGIN")
        tag = peer.expect(b"AUTHENTICATE LOGIN")
        for prompt, answer in ((b"Username:", b"user"), (b"Password:", SECRET.encode())):
            peer.send(b"+ " + encoded(prompt) + b"\r\n")
            assert base64.b64decode(peer.line()) == answer
        welcome(peer, tag)

    with scripted(script, mechanism="LOGIN", **PASSWORD):
        pass


def test_the_command_login_where_no_mechanism_is_offered(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        tag = peer.expect(b'LOGIN user "' + SECRET.encode() + b'"')
        peer.send(tag + b" OK welcome\r\n")
        peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1 MOVE")  # they change with the login
        peer.log_out()

    with scripted(script, mechanism="LOGIN", **PASSWORD) as client:
        assert client.capabilities == {"IMAP4REV1", "MOVE"}


@pytest.mark.parametrize("capabilities", [b"IMAP4rev1", b"IMAP4rev1 AUTH=PLAIN AUTH=LOGIN", b"IMAP4rev1 LOGINDISABLED"])
def test_no_password_in_clear(scripted: Callable[..., Any], capabilities: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.greet(capabilities)
        peer.expect_end()

    client = scripted(script, **PASSWORD)
    with pytest.raises(MechanismError) as caught:
        client.connect()
    assert SECRET not in str(caught.value)


def test_logindisabled_is_heeded_even_where_login_is_named(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 LOGINDISABLED")
        peer.expect_end()

    client = scripted(script, mechanism="LOGIN", **PASSWORD)
    with pytest.raises(errors.FastimapError):
        client.connect()


def test_login_by_hand_under_logindisabled(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 LOGINDISABLED")
        peer.log_out()

    with scripted(script) as client, pytest.raises(errors.FastimapError, match="LOGINDISABLED"):
        client.login("user", SECRET)


def test_a_server_that_asks_without_end(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=XOAUTH2")
        peer.line()
        with contextlib.suppress(ConnectionError):
            while True:
                peer.send(b"+ \r\n")
                if not peer.line():
                    return

    client = scripted(script, user="user", token="token", mechanism="XOAUTH2")
    with pytest.raises(errors.ProtocolError, match="cancelled"):
        client.connect()
    with pytest.raises(errors.ConnectionLost, match="closed"):
        client.noop()


def test_a_server_that_speaks_first_where_the_client_has_to(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=PLAIN")
        tag = peer.expect(b"AUTHENTICATE PLAIN")
        peer.send(b"+ " + encoded(b"give me the password") + b"\r\n")
        assert peer.line() == CANCEL
        peer.send(tag + b" BAD cancelled\r\n")
        peer.expect_end()

    client = scripted(script, mechanism="PLAIN", **PASSWORD)
    with pytest.raises(errors.ProtocolError, match="spoke first"):
        client.connect()


@pytest.mark.parametrize("text", [b"[AUTHENTICATIONFAILED] no such user", b"wrong password", b"[UNAVAILABLE] later"])
def test_a_wrong_password(scripted: Callable[..., Any], text: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b'LOGIN user "' + SECRET.encode() + b'"', status=b"NO " + text)
        peer.expect_end()

    client = scripted(script, mechanism="LOGIN", **PASSWORD)
    with pytest.raises(errors.CommandError) as caught:
        client.connect()
    if b"UNAVAILABLE" in text:  # RFC 5530: nothing is wrong with the password
        assert type(caught.value) is errors.Unavailable
        assert caught.value.advice is errors.Advice.RETRY
    else:
        assert type(caught.value) is errors.AuthenticationFailed
        assert caught.value.advice is errors.Advice.REAUTHENTICATE
    assert caught.value.text in text.decode()
    assert SECRET not in str(caught.value)


def test_oauthbearer_refused(scripted: Callable[..., Any]) -> None:
    failure = b'{"status":"invalid_token","scope":"example_scope"}'  # RFC 7628, section 4.3

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=OAUTHBEARER")
        tag, _, initial = peer.line().removesuffix(b"\r\n").partition(b" AUTHENTICATE OAUTHBEARER ")
        assert base64.b64decode(initial).startswith(b"n,a=user,\1host=127.0.0.1\1port=")
        assert base64.b64decode(initial).endswith(b"\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\1\1")
        peer.send(b"+ " + encoded(failure) + b"\r\n")
        assert base64.b64decode(peer.line()) == b"\1"
        peer.send(tag + b" NO SASL authentication failed\r\n")
        peer.expect_end()

    client = scripted(script, user="user", token="vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==", mechanism="OAUTHBEARER")
    with pytest.raises(errors.AuthenticationFailed) as caught:
        client.connect()
    assert caught.value.advice is errors.Advice.REAUTHENTICATE
    cause = caught.value.__cause__
    assert isinstance(cause, OAuthError)
    assert (cause.status, cause.scope) == ("invalid_token", "example_scope")


def xoauth2(expected: bytes) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=XOAUTH2")
        tag, _, initial = peer.line().removesuffix(b"\r\n").partition(b" AUTHENTICATE XOAUTH2 ")
        assert base64.b64decode(initial) == b"user=user\1auth=Bearer " + expected + b"\1\1"
        peer.send(tag + b" OK [CAPABILITY IMAP4rev1] welcome\r\n")
        while line := peer.line():
            tag, _, command = line.partition(b" ")
            peer.send((b"* OK [UIDVALIDITY 7] noted\r\n" if command.startswith(b"SELECT") else b"") + tag + b" OK\r\n")

    return script


def test_a_token_provider_is_asked_at_each_connection(interface: Any, serve: Callable[..., Server]) -> None:
    tokens = iter(["first", "second"])
    servers = [serve(xoauth2(b"first")), serve(xoauth2(b"second"))]
    given = {"user": "user", "token": lambda: next(tokens), "mechanism": "XOAUTH2", "socket": in_turn(servers)}
    with interface("127.0.0.1", 143, tls=False, **given) as client:
        client.select("INBOX")
        client.reconnect()
        assert client.session.mailbox == "INBOX"
        assert client.session.uid_validity == 7


def test_a_token_provider_may_be_a_coroutine_function(implementation: str, serve: Callable[..., Server]) -> None:
    tokens = iter(["first", "second"])
    servers = [serve(xoauth2(b"first")), serve(xoauth2(b"second"))]

    async def token() -> str:
        await asyncio.sleep(0)
        return next(tokens)

    async def main() -> None:
        async with AsyncClient(
            "127.0.0.1", 143, tls=False, user="user", token=token, mechanism="XOAUTH2", socket=in_turn(servers)
        ) as client:
            await client.select("INBOX")
            await client.reconnect()
            assert client.session.mailbox == "INBOX"

    asyncio.run(main(), debug=True)


def test_a_token_provider_that_fails(scripted: Callable[..., Any]) -> None:
    def token() -> str:
        raise LookupError("the token store is locked")

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=XOAUTH2")
        peer.expect_end()

    client = scripted(script, user="user", token=token, mechanism="XOAUTH2")
    with pytest.raises(LookupError, match="locked"):
        client.connect()


@pytest.mark.parametrize("token", [None, b"token", lambda: "token"])
def test_a_token_provider_that_returns_no_token(scripted: Callable[..., Any], token: Any) -> None:
    """Nor is another mechanism used then: EXTERNAL is for who has neither password nor token."""

    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=EXTERNAL")
        peer.expect_end()

    for mechanism in ("XOAUTH2", None):
        client = scripted(script, user="user", token=lambda: token, mechanism=mechanism)
        with pytest.raises(errors.MechanismError, match="token"):
            client.connect()


def test_preauth_needs_no_login(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] IMAP4rev1 server logged in as Smith\r\n")
        peer.log_out()

    with scripted(script, **PASSWORD) as client:
        assert client.session.state.value == "authenticated"


def test_without_a_user_nobody_logs_in(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b"NOOP")
        peer.log_out()

    with scripted(script) as client:
        assert client.noop() is None
        with pytest.raises(errors.StateError):
            client.select("INBOX")


def test_the_method_login_shows_no_password_unless_allowed(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b'LOGIN user "' + SECRET.encode() + b'"', b"* CAPABILITY IMAP4rev1")
        peer.log_out()

    with scripted(script) as client:
        with pytest.raises(MechanismError, match="insecure=True") as caught:
            client.login("user", SECRET)
        assert SECRET not in str(caught.value)
        client.login("user", SECRET, insecure=True)


def test_no_mechanism_in_clear_under_logindisabled(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 AUTH=PLAIN LOGINDISABLED")
        peer.log_out()

    with scripted(script) as client, pytest.raises(MechanismError, match="LOGINDISABLED"):
        client.authenticate(Plain("user", SECRET))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": "user"}, "no password"),
        ({"user": "user", "password": None}, "no password"),
        ({"user": "user", "password": ""}, "empty"),
        ({"user": "user", "password": "x", "token": "y"}, "not both"),
        ({"password": "x"}, "needs a user"),
        ({"token": "x"}, "needs a user"),
    ],
)
def test_credentials_that_can_not_be(interface: Any, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interface("localhost", **arguments)
