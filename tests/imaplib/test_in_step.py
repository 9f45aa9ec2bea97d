"""Answers where none is due: the connection is in step after them, or closed and dead."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.canned import Canned, Watched
from tests.imaplib.conftest import Connect
from tests.imaplib.scripted import Peer

pytestmark = pytest.mark.usefixtures("implementation")

DONE = b"<tag> OK done\r\n"


class Predicted(Canned):
    """Tags can be guessed here: `<next>` in a reply is the tag of the next command."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        first = self._new_tag()
        self.tagged_commands.clear()
        prefix, number = first[:6], int(first[6:])
        self.canned.replies = iter(
            reply.replace(b"<next>", prefix + b"%d" % (number + 2 + index)) for index, reply in enumerate(replies)
        )


@pytest.fixture
def counting_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of the standard library within a connection."""
    monkeypatch.setattr(imaplib, "tag_prefixes", lambda: [b"BAAAAA"] * 64)


@pytest.mark.usefixtures("counting_tags")
@pytest.mark.parametrize("debug", [0, 1])
def test_an_answer_ahead_of_its_command(debug: int, capsys: pytest.CaptureFixture[str]) -> None:
    client = Predicted(b"<tag> OK done\r\n* SEARCH 666\r\n<next> OK done\r\n", b"* SEARCH 1\r\n" + DONE)
    client.state = "SELECTED"
    client.debug = debug
    client.noop()
    sent = client.canned.sent
    with pytest.raises(imaplib.IMAP4.abort, match=r"command: SEARCH => unexpected tagged response: b'BAAAAA2 OK done'"):
        client.search(None, "ALL")
    assert client.canned.sent == sent
    assert client.canned.closed
    with pytest.raises(imaplib.IMAP4.abort, match="connection is dead: unexpected tagged response"):
        client.search(None, "ALL")


@pytest.mark.usefixtures("counting_tags")
def test_an_ok_to_login_ahead_of_it() -> None:
    client = Predicted(b"<tag> OK done\r\n<next> OK [CAPABILITY IMAP4rev1] in\r\n")
    client.noop()
    sent = client.canned.sent
    with pytest.raises(imaplib.IMAP4.abort, match="unexpected tagged response"):
        client.login("user", "secret")
    assert client.canned.sent == sent
    assert client.state == "LOGOUT"


def test_an_answer_that_comes_ahead_of_its_command_but_is_read_behind_it(connect: Connect) -> None:
    """It lies in the kernel when the command is sent; but its tag had to be guessed."""
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        tag = peer.expect(b"NOOP")
        peer.send(tag + b" OK done\r\n")
        peer.send(tag[:6] + b"1 OK done\r\n")
        arrived.set()
        peer.line()
        peer.expect_end()

    client = connect(script)
    client.noop()
    arrived.wait()
    with pytest.raises(imaplib.IMAP4.abort, match="unexpected tagged response"):
        client.noop()


@pytest.mark.parametrize("cls", [Canned, Watched])
def test_the_same_answer_twice(cls: type[Canned]) -> None:
    client = cls(DONE + b"<tag> OK again\r\n", DONE)
    client.noop()
    with pytest.raises(imaplib.IMAP4.abort, match="unexpected tagged response"):
        client.noop()


def test_what_arrived_between_two_commands_is_kept() -> None:
    """Also a response that is there in part; the rest is waited for."""
    client = Canned(DONE + b"* 4 EXISTS\r\n* 1 FETCH (X {3}\r\nabc)\r\n* OK [ALERT] x\r\n* 5 EX", DONE, cut=60)
    client.noop()
    client.canned.octets += b"ISTS\r\n"
    client.noop()
    assert client.response("EXISTS") == ("EXISTS", [b"4", b"5"])
    assert client.response("FETCH") == ("FETCH", [(b"1 (X {3}", b"abc"), b")"])
    assert client.response("ALERT") == ("ALERT", [b""])


def test_a_bye_between_two_commands() -> None:
    client = Canned(DONE + b"* BYE idle for too long\r\n")
    client.noop()
    sent = client.canned.sent
    with pytest.raises(imaplib.IMAP4.abort, match="idle for too long"):
        client.noop()
    assert client.canned.sent == sent


def test_logout_behind_a_bye() -> None:
    client = Canned(DONE + b"* BYE idle for too long\r\n", DONE)
    client.noop()
    assert client.logout() == ("BYE", [b"idle for too long"])


def test_select_does_not_take_what_belongs_to_the_mailbox_before() -> None:
    client = Canned(DONE + b"* 7 EXISTS\r\n", b"* 3 EXISTS\r\n<tag> OK [READ-WRITE] done\r\n")
    client.state = "SELECTED"
    client.noop()
    assert client.select("other") == ("OK", [b"3"])


# Literals.


class Appending(Canned):
    """Answers APPEND with one reply, and what comes after the message with the next; `<tag>` is APPEND's."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        self.state = "AUTH"
        tag = self.tagpre + b"0"
        self.canned.replies = iter([reply.replace(b"<tag>", tag) for reply in replies])


@pytest.mark.parametrize("debug", [0, 4])
def test_ok_to_append_without_the_message(debug: int, capsys: pytest.CaptureFixture[str]) -> None:
    client = Appending(b"<tag> OK [APPENDUID 1 2] done\r\n")
    client.debug = debug
    with pytest.raises(imaplib.IMAP4.abort, match="command: APPEND => the server did not ask for the literal, and yet"):
        client.append("INBOX", None, None, b"message")
    assert b"message" not in client.canned.sent
    assert client.canned.closed


@pytest.mark.parametrize("status", [b"NO over quota", b"NO [TRYCREATE] no mailbox"])
def test_append_refused_without_the_message(status: bytes) -> None:
    client = Appending(b"<tag> " + status + b"\r\n+ go on\r\n", b"")
    assert client.append("INBOX", None, None, b"message") == ("NO", [status[3:]])
    client.canned.replies = iter([DONE])
    assert client.noop() == ("OK", [b"done"])  # the continuation request was too many, and asked for nothing
    assert b"message" not in client.canned.sent


@pytest.mark.parametrize("status", [b"OK", b"NO", b"BAD"])
def test_append_answered_while_the_server_asks_for_the_message(status: bytes) -> None:
    """What the server would take the message for, nobody knows."""
    client = Appending(b"+ go on\r\n<tag> " + status + b" done\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match="the server asked for a literal, and answered before it"):
        client.append("INBOX", None, None, b"message")
    assert b"message" not in client.canned.sent
    assert client.canned.closed


def test_many_continuation_requests_for_one_message() -> None:
    client = Appending(b"+ go on\r\n" * 100, b"<tag> OK done\r\n")
    assert client.append("INBOX", None, None, b"message")[0] == "OK"
    assert client.canned.sent.count(b"message") == 1


# AUTHENTICATE.


def challenging(client: Canned, *replies: bytes) -> None:
    tag = client.tagpre + b"0"
    client.canned.replies = iter([reply.replace(b"<tag>", tag) for reply in replies])


def test_as_many_challenges_as_allowed() -> None:
    client = Canned()
    challenging(client, *[b"+ AAAA\r\n"] * 16, b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")
    assert client.authenticate("X", lambda challenge: b"x")[0] == "OK"


def test_a_challenge_too_many() -> None:
    client = Canned()
    challenging(client, *[b"+ AAAA\r\n"] * 17, b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")
    answers: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        answers.append(challenge)
        return b"x"

    with pytest.raises(imaplib.IMAP4.abort, match="command: AUTHENTICATE => more than 16 SASL challenges"):
        client.authenticate("X", answer)
    assert len(answers) == 16
    assert client.canned.closed


def test_ok_to_an_exchange_that_was_cancelled() -> None:
    """A mechanism cancels where the server does not prove who it is: so it is not who it says."""
    client = Canned()
    challenging(client, b"+ AAAA\r\n", b"<tag> OK in\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match="OK to AUTHENTICATE, although that was cancelled"):
        client.authenticate("X", lambda challenge: None)
    assert client.state == "LOGOUT"


@pytest.mark.parametrize("challenge", [b"AAAA", b"not base64"])
def test_ok_to_an_exchange_that_an_exception_cancelled(challenge: bytes) -> None:
    def refuse(octets: bytes) -> Any:
        raise ValueError("the signature is wrong")

    client = Canned()
    challenging(client, b"+ " + challenge + b"\r\n", b"<tag> OK in\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match="OK to AUTHENTICATE, although that was cancelled"):
        client.authenticate("X", refuse)
    assert client.canned.sent.endswith(b"\r\n*\r\n")
    assert client.state == "LOGOUT"


def test_ok_behind_a_challenge_that_is_not_answered_yet() -> None:
    client = Canned()
    challenging(client, b"+ AAAA\r\n<tag> OK in\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match="OK to AUTHENTICATE, although that was not over"):
        client.login_cram_md5("user", "secret")
    assert client.canned.sent.count(b"\r\n") == 1


def test_no_behind_a_challenge_that_is_not_answered_yet() -> None:
    """The secret is not sent any more."""
    client = Canned()
    challenging(client, b"+ \r\n<tag> NO too late\r\n", b"")
    with pytest.raises(imaplib.IMAP4.error, match="too late"):
        client.login_plain("user", "secret")
    assert client.canned.sent.count(b"\r\n") == 1
    client.canned.replies = iter([DONE])
    assert client.noop() == ("OK", [b"done"])


def test_a_challenge_with_a_space_behind_it() -> None:
    client = Canned()
    challenging(client, b"+ " + base64.b64encode(b"x") + b" \r\n", b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")
    challenges: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        challenges.append(challenge)
        return b"y"

    client.authenticate("X", answer)
    assert challenges == [b"x"]
