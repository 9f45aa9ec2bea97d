"""What real servers send against the grammar, and what becomes of it; tests/corpus/quirks.txt has the sources."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.canned import Canned, Watched
from tests.imaplib.conftest import Connect, Serve
from tests.imaplib.scripted import Peer

pytestmark = pytest.mark.usefixtures("implementation")

BLANK_LINE_INSIDE = b"* 1 FETCH (BODY[HEADER] {13}\r\nSubject: test\r\n)\r\n"
BLANK_LINE_BEHIND = b'* LIST (\\HasNoChildren) "/" {7}\r\nAnother\r\n\r\n'


@pytest.mark.parametrize("cls", [Canned, Watched])
@pytest.mark.parametrize(
    ("octets", "untagged"),
    [
        (b"*  1843 EXISTS\r\n", {"EXISTS": [b"1843"]}),  # DavMail
        (b"* capability imap4rev1 starttls\r\n", {"CAPABILITY": [b"imap4rev1 starttls"]}),
        (b'* List (\\Trash) "/" "Trash"\r\n', {"LIST": [b'(\\Trash) "/" "Trash"']}),
        (b"* 3 exists\r\n", {"EXISTS": [b"3"]}),
        (b"\0\0\0* 3 EXISTS\r\n", {"EXISTS": [b"3"]}),
        (b"\r\n\r\n* 3 EXISTS\r\n", {"EXISTS": [b"3"]}),
        (b"[COPYUID 55 31 6]\r\n", {"OK": [b"[COPYUID 55 31 6]"], "COPYUID": [b"55 31 6"]}),  # Office 365
        (b"* [COPYUID 123456 1 2]\r\n", {"OK": [b"[COPYUID 123456 1 2]"], "COPYUID": [b"123456 1 2"]}),  # home.pl
        (b"* OK [copyUID 9 1 2] Done\r\n", {"OK": [b"[copyUID 9 1 2] Done"], "COPYUID": [b"9 1 2"]}),
        (b"* OK [HIGHESTMODSEQ 7]\r\n", {"OK": [b"[HIGHESTMODSEQ 7]"], "HIGHESTMODSEQ": [b"7"]}),  # Gmail, Yahoo, Zoho
        (b"* OK [COPYUID 701  ]\r\n", {"OK": [b"[COPYUID 701  ]"], "COPYUID": [b"701  "]}),  # Outlook.com
        (b"* OK ready [TQBX]\r\n", {"OK": [b"ready [TQBX]"]}),  # Exchange Online
        (b"* OK[UIDNEXT 5] next {3}\r\n", {"OK": [b"[UIDNEXT 5] next {3}"], "UIDNEXT": [b"5"]}),
        (b"* FLAGS (OIB-Seen-[Gmail]/All)\r\n", {"FLAGS": [b"(OIB-Seen-[Gmail]/All)"]}),
        (
            b"* OK [PERMANENTFLAGS (a[b]c \\*)] ok\r\n",
            {"OK": [b"[PERMANENTFLAGS (a[b]c \\*)] ok"], "PERMANENTFLAGS": [b"(a[b]c \\*)"]},
        ),
        (b"* THREAD \r\n", {"THREAD": [b""]}),
        (b"* SEARCH\r\n", {"SEARCH": [b""]}),
        (b"* SEARCH 1 2 3 \r\n", {"SEARCH": [b"1 2 3 "]}),
        (b"* NOOP\r\n* 99 NOOP\r\n", {"NOOP": [b"", b"99"]}),  # Zimbra
        (b"* 2 FETCH (X {012}\r\nFoo: bar\r\n\r\n)\r\n", {"FETCH": [(b"2 (X {012}", b"Foo: bar\r\n\r\n"), b")"]}),
        (b"* 1 FETCH (X {2+}\r\nab)\r\n", {"FETCH": [(b"1 (X {2+}", b"ab"), b")"]}),
        (b"* 1 FETCH (X ~{3}\r\na\0b)\r\n", {"FETCH": [(b"1 (X ~{3}", b"a\0b"), b")"]}),
        (BLANK_LINE_INSIDE, {"FETCH": [(b"1 (BODY[HEADER] {13}", b"Subject: test"), b")"]}),
        (BLANK_LINE_BEHIND, {"LIST": [(b'(\\HasNoChildren) "/" {7}', b"Another"), b""]}),
        (b"* NO careful\r\n* BAD what\r\n", {"NO": [b"careful"], "BAD": [b"what"]}),
        (b"* OK see rule {5}\r\n", {"OK": [b"see rule {5}"]}),  # text, and no literal
        (b"* no [ALERT] {99999999999}\r\n", {"NO": [b"[ALERT] {99999999999}"], "ALERT": [b""]}),
        (b"* BAD {5+}\r\n* 3 EXISTS\r\n", {"BAD": [b"{5+}"], "EXISTS": [b"3"]}),
    ],
)
def test_untagged(cls: type[Canned], octets: bytes, untagged: dict[str, Any]) -> None:
    client = cls(octets + b"<tag> OK done\r\n")
    client.untagged_responses.clear()
    assert client.noop() == ("OK", [b"done"])
    assert client.untagged_responses == untagged


@pytest.mark.parametrize("cls", [Canned, Watched])
def test_nuls_before_the_answer_to_a_row_that_is_not_closed(cls: type[Canned]) -> None:
    client = cls(b"* 1 FETCH (BODY[] {3}\r\nabc\0\0<tag> OK done\r\n")
    assert client.noop() == ("OK", [b"done"])
    assert client.untagged_responses["FETCH"] == [(b"1 (BODY[] {3}", b"abc"), b""]


@pytest.mark.parametrize(
    "octets",
    [b"Server Unavailable. 15\r\n", b"* 9.3736e+06 EXISTS\r\n", b"* \r\n", b"*\r\n", b"X BAD throttled\r\n", b"[x\r\n"],
)
@pytest.mark.parametrize("cls", [Canned, Watched])
def test_lines_that_are_no_responses(cls: type[Canned], octets: bytes) -> None:
    client = cls(octets + b"<tag> OK done\r\n")
    with pytest.raises(imaplib.IMAP4.abort) as caught:
        client.noop()
    assert str(caught.value) == f"command: NOOP => unexpected response: {octets[:-2]!r}"
    assert client.canned.closed


@pytest.mark.parametrize(
    ("tagged", "result"),
    [
        (b"<tag> OK\r\n", ("OK", [b""])),
        (b"<tag> ok done\r\n", ("OK", [b"done"])),
        (b"<tag> NO [OVERQUOTA] no more\r\n", ("NO", [b"[OVERQUOTA] no more"])),
        (b"<tag> OK Success [THROTTLED]\r\n", ("OK", [b"Success [THROTTLED]"])),  # Gmail
        (b"<tag> NO[TRYCREATE] no such mailbox\r\n", ("NO", [b"[TRYCREATE] no such mailbox"])),
    ],
)
def test_tagged(tagged: bytes, result: Any) -> None:
    assert Canned(tagged).noop() == result


@pytest.mark.parametrize("rest", [b"OK(x) done", b"NO_ done", b"OK\0"])
def test_a_status_that_is_none(rest: bytes) -> None:
    """As with the standard library: what comes after two letters is not left out."""
    client = Canned(b"<tag> " + rest + b"\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match="command: NOOP => unexpected response"):
        client.noop()


def test_a_greeting_behind_nuls(serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"\0\0\0")
        peer.greet()
        peer.log_out()

    with imaplib.IMAP4("127.0.0.1", serve(script).port) as client:
        assert client.welcome == b"* OK [CAPABILITY IMAP4rev1] ready"


def test_a_greeting_that_is_a_response_code_alone(connect: Connect) -> None:
    client = connect(lambda peer: peer.send(b"* OK [CAPABILITY IMAP4rev1 IDLE]\r\n"))
    assert client.capabilities == ("IMAP4REV1", "IDLE")
    assert client.state == "NONAUTH"


def test_preauth(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH welcome back\r\n")
        peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1 \r\n".strip())

    client = connect(script)
    assert (client.state, client.capabilities, client.PROTOCOL_VERSION) == ("AUTH", ("IMAP4REV1",), "IMAP4REV1")


def test_a_tagged_bye_for_logout() -> None:
    client = Canned(b"<tag> BYE IMAP4rev1 Server logging out\r\n")
    assert client.logout() == ("BYE", [b"IMAP4rev1 Server logging out"])


def test_bye_again_and_again() -> None:
    client = Canned(b"* BYE idle for too long (1)\r\n* BYE idle for too long (2)\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match=r"command: NOOP => idle for too long \(1\)"):
        client.noop()
    with pytest.raises(
        imaplib.IMAP4.abort, match=r"connection is dead: the server said BYE idle for too long \(1\); connect again"
    ):
        client.noop()


def test_bye_instead_of_a_continuation_request() -> None:
    client = Canned(b"* BYE timeout\r\n")
    client.state = "AUTH"
    with pytest.raises(imaplib.IMAP4.abort, match="timeout"):
        client.append("INBOX", None, None, b"x")


def test_bye_instead_of_idling() -> None:
    client = Canned(b"* BYE timeout\r\n")
    client.state = "AUTH"
    client.capabilities = ("IDLE",)
    with pytest.raises(imaplib.IMAP4.abort, match="command: IDLE => timeout"), client.idle():
        pass
    assert client.untagged_responses["BYE"] == [b"timeout"]


@pytest.mark.parametrize(("line", "text"), [(b"+", None), (b"+idling", b"idling"), (b"+ ", b"")])  # "+": Yandex
def test_a_continuation_request_without_a_space(line: bytes, text: bytes | None) -> None:
    client = Canned(line + b"\r\n", b"", b"")
    client.state = "AUTH"
    tag = client._command("IDLE")
    assert client._get_response() is None
    assert client.tagged_commands[tag] is None
    assert client.continuation_response == text


def test_a_tag_that_was_not_given_out() -> None:
    client = Canned(b"<tag>1 OK done\r\n")
    with pytest.raises(imaplib.IMAP4.abort, match="unexpected tagged response"):
        client.noop()


def test_many_responses_without_a_line_end_between_parentheses_and_quotes() -> None:
    # The blank line belongs to the literal's response, as the parenthesis in the quoted string does not count.
    octets = b'* 1 FETCH (X "a)" Y {1}\r\nb\r\n)\r\n<tag> OK done\r\n'
    for cls in (Canned, Watched):
        client = cls(octets)
        client.noop()
        assert client.untagged_responses["FETCH"] == [(b'1 (X "a)" Y {1}', b"b"), b")"]
