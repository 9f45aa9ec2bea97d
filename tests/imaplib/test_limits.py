"""What a server may make a client hold: limits on what no command asked for, and none on what one did."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from fastimap import imaplib
from fastimap.errors import LimitError, LiteralTooLarge, ResponseTooLarge, TooManyLiterals, TooManyUnsolicited
from fastimap.limits import IMAPLIB_LIMITS
from tests.imaplib.canned import Canned, Watched
from tests.imaplib.conftest import Connect
from tests.imaplib.scripted import Peer

pytestmark = pytest.mark.usefixtures("implementation")

DONE = b"<tag> OK done\r\n"
BOTH = pytest.mark.parametrize("cls", [Canned, Watched])
LIMITS = replace(IMAPLIB_LIMITS, unsolicited=10, unsolicited_octets=1000)


def test_the_limits() -> None:
    assert imaplib.LIMITS is IMAPLIB_LIMITS
    assert IMAPLIB_LIMITS.literal == 2**30
    assert IMAPLIB_LIMITS.other_literal == 2**20
    assert IMAPLIB_LIMITS.literals == 100_000
    assert IMAPLIB_LIMITS.unsolicited == 1_000_000
    assert IMAPLIB_LIMITS.unsolicited_octets == 64 * 2**20
    assert IMAPLIB_LIMITS.challenges == 16


def selected(cls: type[Canned], *replies: bytes, cut: int = 0) -> Canned:
    client = cls(*replies, cut=cut)
    client.state = "SELECTED"
    return client


def refuses(client: Canned, error: type[LimitError], call: Any = None) -> None:
    with pytest.raises(imaplib.IMAP4.abort) as caught:
        (call or Canned.noop)(client)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, error):
        cause = cause.__cause__
    assert isinstance(cause, error)
    assert client.canned.closed
    with pytest.raises(imaplib.IMAP4.abort, match="connection is dead"):
        client.noop()


@BOTH
def test_what_nobody_takes_is_not_kept_for_ever(cls: type[Canned], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    client = selected(cls, *[b"* X-%c %s\r\n" % (number, b"x" * 900) + DONE for number in b"ABCDEFGHIJKLMNOPQRST"])
    client.untagged_responses["READ-ONLY"] = [b""]
    client.is_readonly = True
    for _ in range(20):
        client.noop()
        assert sum(len(octets) for data in client.untagged_responses.values() for octets in data) <= 3 * 900
    assert "READ-ONLY" in client.untagged_responses
    assert "X-T" in client.untagged_responses


UNASKED = {
    "data": b"* 1 EXISTS\r\n",
    "data with a literal": b"* 1 FETCH (X {1}\r\nx)\r\n",
    "status": b"* OK hello\r\n",
    "response codes": b"* OK [X-CODE y] z\r\n",
    "continuation requests": b"+ go on\r\n",
    "empty lines": b"\r\n",
    "lines of NULs": b"\0\0\r\n",
}


@BOTH
@pytest.mark.parametrize("name", UNASKED)
@pytest.mark.parametrize("cut", [0, 7])
def test_the_number_of_unsolicited_responses(
    cls: type[Canned], name: str, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    reply = UNASKED[name] * 10 + DONE
    client = selected(cls, reply, reply, cut=cut)
    assert client.noop() == ("OK", [b"done"])
    assert client.noop() == ("OK", [b"done"])  # each command begins anew
    refuses(selected(cls, UNASKED[name] * 11 + DONE, cut=cut), TooManyUnsolicited)


@BOTH
@pytest.mark.parametrize("cut", [0, 7])
def test_the_octets_of_unsolicited_responses(cls: type[Canned], cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    for line, literal in ((b"* X " + b"x" * 500 + b"\r\n", b"* 1 X {480}\r\n" + b"x" * 480 + b"\r\n"),):
        selected(cls, line * 2 + DONE, cut=cut).noop()
        selected(cls, literal * 2 + DONE, cut=cut).noop()
        refuses(selected(cls, line * 2 + b"* X y\r\n" + DONE, cut=cut), TooManyUnsolicited)
        refuses(selected(cls, literal * 2 + line + DONE, cut=cut), TooManyUnsolicited)


@BOTH
@pytest.mark.parametrize(
    "reply",
    [
        b"* 1 FETCH (BODY[] {90000}\r\n" + bytes(90_000) + b")\r\n",
        b"* 1 FETCH (X" + b" {900}\r\n%b" % bytes(900) * 100 + b")\r\n",
        b"*  LIST (X" + b" {900}\r\n%b" % bytes(900) * 100 + b")\r\n",
    ],
    ids=["one literal", "many literals", "many literals, read line by line"],
)
def test_a_large_response_that_nobody_asked_for_is_not_waited_for(
    cls: type[Canned], reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    client = selected(cls, reply + DONE, cut=500)
    refuses(client, TooManyUnsolicited)
    assert len(client.canned.octets) > 80_000
    client = selected(cls, reply + DONE, cut=500)
    if b"FETCH" in reply:
        assert client.fetch("1", "BODY[]")[0] == "OK"


def test_a_large_response_that_the_caller_asked_for_by_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    client = Canned(b"* 1 FETCH (BODY[] {5000}\r\n" + bytes(5000) + b")\r\n")
    client.send(client._new_tag() + b" FETCH 1 BODY[]\r\n")
    assert client._get_response() == b"* 1 FETCH (BODY[] {5000}"
    assert client.untagged_responses["FETCH"][0][1] == bytes(5000)


@BOTH
def test_responses_without_end_of_as_many_types(cls: type[Canned], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    lines = b"".join(b"* X-%c 1\r\n" % letter for letter in b"ABCDEFGHIJK")
    refuses(selected(cls, lines + DONE), TooManyUnsolicited)


ASKED: dict[str, tuple[Any, bytes]] = {
    "fetch": (lambda client: client.fetch("1:*", "FLAGS"), b"* 1 FETCH (FLAGS ())\r\n"),
    "uid fetch": (lambda client: client.uid("FETCH", "1:*", "FLAGS"), b"* 1 FETCH (UID 1 FLAGS ())\r\n"),
    "fetch, vanished": (
        lambda client: client.uid("FETCH", "1:*", "FLAGS", "(CHANGEDSINCE 1 VANISHED)"), b"* VANISHED (EARLIER) 1\r\n"
    ),
    "store": (lambda client: client.store("1:*", "+FLAGS", "x"), b"* 1 FETCH (FLAGS (x))\r\n"),
    "search": (lambda client: client.search(None, "ALL"), b"* SEARCH 1\r\n"),
    "sort": (lambda client: client.sort("DATE", "UTF-8", "ALL"), b"* SORT 1\r\n"),
    "uid thread": (lambda client: client.uid("thread", "REFERENCES", "UTF-8", "ALL"), b"* THREAD (1)\r\n"),
    "esearch": (lambda client: client.search(None, "RETURN (ALL) ALL"), b"* ESEARCH ALL 1\r\n"),
    "list": (lambda client: client.list(), b'* LIST () "/" x\r\n'),
    "list, by literals": (lambda client: client.list(), b'* LIST () "/" {1}\r\nx\r\n'),
    "lsub": (lambda client: client.lsub(), b'* LSUB () "/" x\r\n'),
    "expunge": (lambda client: client.expunge(), b"* 1 EXPUNGE\r\n"),
    "move": (lambda client: client.move("1:*", "x"), b"* 1 EXPUNGE\r\n"),
    "getacl": (lambda client: client.getacl("x"), b"* ACL x y z\r\n"),
    "getannotation": (lambda client: client.getannotation("x", "*", "*"), b"* ANNOTATION x y z\r\n"),
    "getquotaroot": (lambda client: client.getquotaroot("x"), b"* QUOTA x ()\r\n"),
    "status": (lambda client: client.status("x", "(MESSAGES)"), b"* STATUS x (MESSAGES 1)\r\n"),
    "xatom": (lambda client: client.xatom("NAMESPACE"), b"* NAMESPACE x\r\n"),
    "xatom, uid fetch": (lambda client: client.xatom("UID", "fetch", "1", "FLAGS"), b"* 1 FETCH (UID 1 FLAGS ())\r\n"),
    "xatom, one argument": (lambda client: client.xatom("UID", "FETCH 1:* FLAGS"), b"* 1 FETCH (UID 1 FLAGS ())\r\n"),
    "xatom, one argument of octets": (lambda client: client.xatom("uid", b"search ALL"), b"* SEARCH 1\r\n"),
}  # fmt: skip


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_may_be_any_number(cls: type[Canned], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    call, line = ASKED[name]
    assert call(selected(cls, line * 500 + b"* OK hello\r\n" * 10 + DONE))[0] == "OK"
    refuses(selected(cls, line * 500 + b"* OK hello\r\n" * 11 + DONE), TooManyUnsolicited, call)


def test_what_is_asked_for_by_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """As IMAPClient does it, with the command's name given when its answer is read."""
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    client = selected(Canned, b"* SEARCH 1\r\n" * 500 + DONE)
    tag = client._new_tag()
    client.send(tag + b" UID SEARCH ALL\r\n")
    assert client._command_complete("SEARCH", tag) == ("OK", [b"done"])
    assert len(client.untagged_responses["SEARCH"]) == 500


def test_responses_read_one_by_one_are_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those who idle by hand do it, for days."""
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    client = Canned(b"* 1 EXISTS\r\n" * 100 + DONE + b"* 2 EXISTS\r\n", DONE)
    tag = client._new_tag()
    client.send(tag + b" IDLE\r\n")
    for _ in range(100):
        assert client._get_response() == b"* 1 EXISTS"
    assert client._command_complete("IDLE", tag) == ("OK", [b"done"])
    assert client.noop() == ("OK", [b"done"])


@BOTH
def test_octets_read_by_hand_are_the_callers(cls: type[Canned], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    row = b"* 1 FETCH (BODY[] {2000}\r\n" + bytes(2000) + b")\r\n"
    client = selected(cls, row * 2 + b"x OK done\r\n", DONE, b"* 1 EXISTS\r\n" * 90 + DONE, cut=500)
    client.send(b"x FETCH 1 BODY[]\r\n")
    for _ in range(2):
        assert client.readline() == row[:26]
        assert client.read(2000) == bytes(2000)
        assert client.readline() == b")\r\n"
    assert client.readline() == b"x OK done\r\n"
    assert client.noop() == ("OK", [b"done"])
    tag = client._new_tag()
    client.send(tag + b" IDLE\r\n")
    for _ in range(90):
        assert client.readline() == b"* 1 EXISTS\r\n"
    assert client._command_complete("IDLE", tag) == ("OK", [b"done"])


def test_empty_lines_without_end_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    client = Canned(b"\r\n" * 11 + b"* 1 EXISTS\r\n")
    client.send(b"x IDLE\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match="more than 10 empty lines"):
        client._get_response()


def test_empty_lines_ahead_of_the_greeting(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)

    def script(peer: Peer) -> None:
        peer.send(b"\r\n" * 11)
        peer.greet()
        peer.expect_end()

    with pytest.raises(imaplib.IMAP4.abort, match=r"no greeting from .*more than 10 empty lines"):
        connect(script)


def test_ahead_of_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", LIMITS)
    client = selected(Canned, b"* 1 EXISTS\r\n" * 11 + b"+ idling\r\n")
    client.capabilities = ("IDLE",)
    with pytest.raises(imaplib.IMAP4.abort, match="more than 10 responses"), client.idle():
        pass


@pytest.mark.slow
def test_responses_ahead_of_idle_take_linear_time() -> None:
    def seconds(count: int) -> float:
        client = selected(Canned, b"* 1 EXISTS\r\n" * count + b"+ idling\r\n", cut=0)
        client.capabilities = ("IDLE",)
        start = time.process_time()
        with pytest.raises(imaplib.IMAP4.abort, match="EOF"), client.idle() as idler:  # noqa: PT012
            for _ in range(count):
                next(idler)
            next(idler)
        return time.process_time() - start

    seconds(100)
    small = min(seconds(10_000) for _ in range(3))
    large = min(seconds(40_000) for _ in range(3))
    assert large / small < 8  # quadratic: 16


# A single response.


@BOTH
def test_the_number_of_literals(cls: type[Canned], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", replace(IMAPLIB_LIMITS, literals=10))
    for start in (b"* 1 FETCH (X", b"*  LIST (X"):
        good = start + b" {1}\r\na" * 10 + b")\r\n"
        assert selected(cls, good + DONE).noop() == ("OK", [b"done"])
        refuses(selected(cls, start + b" {1}\r\na" * 11 + b")\r\n" + DONE), TooManyLiterals)


@BOTH
def test_the_octets_of_a_response(cls: type[Canned], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "LIMITS", replace(IMAPLIB_LIMITS, response=1000))
    for start in (b"* 1 FETCH (X", b"*  LIST (X"):
        literal = b" {300}\r\n" + b"x" * 300
        assert selected(cls, start + literal * 3 + b")\r\n" + DONE).noop() == ("OK", [b"done"])
        refuses(selected(cls, start + literal * 4 + b")\r\n" + DONE), ResponseTooLarge)


OTHER = [
    b"* 1 FETCH (ENVELOPE (NIL {%d}\r\n",
    b'* LIST () "/" {%d}\r\n',
    b"*  LIST {%d}\r\n",
    b"* 1 FETCH (X-BODY {%d}\r\n",
]
OF_MESSAGES = [
    b"* 1 FETCH (BODY[] {%d}\r\n",
    b"* 1 FETCH (FLAGS () BODY[HEADER.FIELDS (DATE)] {%d}\r\n",
    b"* 1 FETCH (BODY[TEXT]<0> {%d}\r\n",
    b"* 1 FETCH (BINARY[1] ~{%d}\r\n",
    b"* 1 FETCH (RFC822 {%d}\r\n",
    b"* 1 FETCH (RFC822.HEADER {%d}\r\n",
    b"* 1 FETCH (RFC822.TEXT {%d}\r\n",
]


@BOTH
@pytest.mark.parametrize("head", OTHER)
def test_literals_that_are_no_messages(cls: type[Canned], head: bytes) -> None:
    size = 2**20
    assert selected(cls, head % size + bytes(size) + b")\r\n" + DONE).noop() == ("OK", [b"done"])
    refuses(selected(cls, head % (size + 1) + b"x"), LiteralTooLarge)


@BOTH
@pytest.mark.parametrize("head", OF_MESSAGES)
def test_literals_that_are_of_messages(cls: type[Canned], head: bytes) -> None:
    size = 2**20 + 1
    assert selected(cls, head % size + bytes(size) + b")\r\n" + DONE).noop() == ("OK", [b"done"])
    refuses(selected(cls, head % (2**30 + 1) + b"x"), LiteralTooLarge)


@BOTH
@pytest.mark.parametrize(
    "size", [b"2147483648", b"4294967301", b"9223372036854775808", b"18446744073709551621", b"9" * 100]
)
def test_a_size_that_a_machine_takes_for_another(cls: type[Canned], size: bytes) -> None:
    for start in (b"* 1 FETCH (BODY[] ", b"*  LIST "):
        client = selected(cls, start + b"{" + size + b"}\r\nHELLO)\r\n" + DONE)
        refuses(client, LiteralTooLarge)
        assert "FETCH" not in client.untagged_responses


# The log of the last lines.


def test_the_log_holds_no_long_lines() -> None:
    client = selected(Canned, b"* OK " + b"\1" * 1_000_000 + b"\r\n" + DONE)
    client.noop()
    assert sum(len(line) for _, line, _ in client._cmd_log) < 10_000
