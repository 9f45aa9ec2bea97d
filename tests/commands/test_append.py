"""APPEND and its relatives, by the examples of the RFCs."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage

import pytest

from fastimap.commands import Append, AppendMessage, Catenate, MultiAppend, Replace
from fastimap.errors import CapabilityMissing, CommandError, OverQuota, StateError
from fastimap.sequence_set import SAVED, SequenceSet, UIDSet
from fastimap.types import Expunge as Expunged
from tests.commands.harness import Talk, rev2, sent, server

PACIFIC = timezone(timedelta(hours=-8))


def test_append(talk: Talk) -> None:  # RFC 4315, section 3
    appended = talk(
        Append("saved-messages", b"Subject: x\r\n\r\nHello\r\n", flags=["\\Seen"]),
        server("UIDPLUS"),
        r"""
        C: A1 APPEND saved-messages (\Seen) {21}
        S: + Ready for literal data
        C: Subject: x
        C:
        C: Hello
        C:
        S: A1 OK [APPENDUID 38505 3955] APPEND completed
        """,
    )
    assert (appended.uid_validity, appended.uid) == (38505, 3955)
    silent = talk(
        Append("x", b"Hi", internal_date=datetime(1994, 2, 7, 21, 52, 25, tzinfo=PACIFIC)),
        server("LITERAL+"),
        """
        C: A1 APPEND x "07-Feb-1994 21:52:25 -0800" {2+}
        C: Hi
        S: A1 OK APPEND completed
        """,
    )
    assert (silent.uid_validity, silent.uid) == (None, None)


def test_octets_go_as_they_are() -> None:
    odd = bytes(range(1, 256)) + b"\nno CR\r\r\n"
    for message in (odd, bytearray(odd), memoryview(odd), io.BytesIO(odd)):
        assert sent(Append("x", message), server("LITERAL+")) == [b"A1 APPEND x {264+}\r\n" + odd + b"\r\n"]


def test_a_message_from_a_file() -> None:
    file = io.BytesIO(b"skipped" + b"m" * 100_000)
    file.seek(7)
    assert sent(Append("x", file), server()) == [b"A1 APPEND x {100000}\r\n", b"m" * 100_000 + b"\r\n"]
    file.seek(7)
    assert sent(Append("x", file, size=3), server()) == [b"A1 APPEND x {3}\r\n", b"mmm\r\n"]

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert sent(Append("x", Pipe(b"abc"), size=3), server()) == [b"A1 APPEND x {3}\r\n", b"abc\r\n"]
    with pytest.raises(ValueError, match="size"):
        Append("x", Pipe(b"abc"))


def test_an_email_message() -> None:
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content("Hello\n")
    (octets,) = sent(Append("x", message), server("LITERAL+"))
    _, _, literal = octets.partition(b"}\r\n")
    assert literal.startswith(b"Subject: x\r\n")
    assert literal.endswith(b"\r\n\r\nHello\r\n\r\n")
    assert b"\n" not in literal.replace(b"\r\n", b"")


def test_a_literal_that_is_refused(talk: Talk) -> None:
    with pytest.raises(OverQuota):
        talk(Append("x", b"Hi"), server(), "C: A1 APPEND x {2}\nS: +\nC: Hi\nS: A1 NO [OVERQUOTA] full")


def test_binary() -> None:  # RFC 3516, section 4.4
    capable = server("BINARY")
    assert sent(Append("x", b"a\0b", binary=True), capable) == [b"A1 APPEND x ~{3}\r\n", b"a\0b\r\n"]
    with pytest.raises(CapabilityMissing, match="BINARY"):
        sent(Append("x", b"a", binary=True), server())
    with pytest.raises(ValueError, match="NUL"):
        Append("x", b"a\0b")


def test_utf8() -> None:  # RFC 6855, section 4
    command = Append("Entwürfe", "Subject: é\r\n\r\n".encode(), utf8=True, flags=["\\Draft"])
    assert sent(command, server("UTF8=ACCEPT", "LITERAL+", enabled=["UTF8=ACCEPT"])) == [
        'A1 APPEND "Entwürfe" (\\Draft) UTF8 (~{15+}\r\nSubject: é\r\n\r\n)\r\n'.encode()
    ]
    with pytest.raises(StateError, match="enabled"):
        sent(command, server("UTF8=ACCEPT"))
    with pytest.raises(CapabilityMissing, match="UTF8=ACCEPT"):
        sent(command, server())


def test_a_message_that_is_too_large_is_not_sent() -> None:  # RFC 7889, section 2
    assert sent(Append("x", b"12345"), server("APPENDLIMIT=5"))
    assert sent(Append("x", b"12345"), server("APPENDLIMIT"))
    for command in (
        Append("x", b"123456"),
        MultiAppend("x", [AppendMessage(b"1"), AppendMessage(b"123456")]),
        Catenate("x", [b"123", b"456"]),
        Replace(1, "x", b"123456"),
    ):
        with pytest.raises(ValueError, match="6 octets, and the server takes at most 5"):
            sent(command, server("APPENDLIMIT=5", "MULTIAPPEND", "CATENATE", "REPLACE"))


def test_a_date_needs_its_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Append("x", b"", internal_date=datetime(2024, 1, 1))
    with pytest.raises(TypeError, match="list"):
        Append("x", b"", flags="\\Seen")


def test_multiappend(talk: Talk) -> None:  # RFC 3502, section 6.3.11
    appended = talk(
        MultiAppend(
            "saved-messages",
            [
                AppendMessage(b"one", ["\\Seen"], datetime(1994, 2, 7, 21, 43, 34, tzinfo=UTC)),
                AppendMessage(b"two", ["\\Seen", "$Forwarded"]),
                AppendMessage(b"three"),
            ],
        ),
        server("MULTIAPPEND", "UIDPLUS"),
        r"""
        C: A1 APPEND saved-messages (\Seen) "07-Feb-1994 21:43:34 +0000" {3}
        S: + Ready for literal data
        C: one (\Seen $Forwarded) {3}
        S: + Ready for literal data
        C: two {5}
        S: + Ready for literal data
        C: three
        S: A1 OK [APPENDUID 38505 3955:3957] APPEND completed
        """,
    )
    assert (appended.uid_validity, appended.uids) == (38505, UIDSet("3955:3957"))
    assert sent(MultiAppend("x", [AppendMessage(b"1")]), server("LITERAL+")) == [b"A1 APPEND x {1+}\r\n1\r\n"]
    with pytest.raises(CapabilityMissing, match="MULTIAPPEND"):
        sent(MultiAppend("x", [AppendMessage(b"1"), AppendMessage(b"2")]), server())
    with pytest.raises(ValueError, match="at least one"):
        MultiAppend("x", [])


def test_catenate(talk: Talk) -> None:  # RFC 4469, section 3
    url = "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER"
    command = Catenate("Sent", [url, b"\r\n--X\r\n", "/Drafts/;UID=30"], flags=["\\Seen"])
    talk(
        command,
        server("CATENATE", "LITERAL+"),
        r"""
        C: A1 APPEND Sent (\Seen) CATENATE (URL /Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER TEXT {7+}
        C:
        C: --X
        C:  URL /Drafts/;UID=30)
        S: A1 OK CATENATE append completed
        """,
    )
    with pytest.raises(CommandError) as caught:
        talk(
            Catenate("INBOX", ["/Drafts/;UID=99"]),
            server("CATENATE"),
            """
            C: A1 APPEND INBOX CATENATE (URL /Drafts/;UID=99)
            S: A1 NO [BADURL "/Drafts/;UID=99"] CATENATE append has failed, one message expunged
            """,
        )
    assert caught.value.code == "BADURL"
    with pytest.raises(CapabilityMissing):
        sent(command, server())
    with pytest.raises(ValueError, match="at least one"):
        Catenate("x", [])


def test_replace(talk: Talk) -> None:  # RFC 8508, section 3.4
    replaced = talk(
        Replace(SequenceSet(4), "Drafts", b"new", flags=["\\Seen", "\\Draft"]),
        server("REPLACE", "UIDPLUS"),
        r"""
        C: A1 REPLACE 4 Drafts (\Seen \Draft) {3}
        S: + Ready for literal data
        C: new
        S: * OK [APPENDUID 1 2000] Replacement Message ready
        S: * 5 EXISTS
        S: * 4 EXPUNGE
        S: A1 OK REPLACE completed
        """,
    )
    assert (replaced.uid_validity, replaced.uid) == (1, 2000)
    assert talk.left[-1] == Expunged(4)
    assert sent(Replace(2000, "Drafts", b"new"), server("REPLACE", "LITERAL+")) == [
        b"A1 UID REPLACE 2000 Drafts {3+}\r\nnew\r\n"
    ]
    with pytest.raises(CapabilityMissing, match="REPLACE"):
        sent(Replace(1, "x", b""), rev2())
    for several in ([1, 2], "1:*", "*", SAVED):
        with pytest.raises(ValueError, match="one message"):
            Replace(several, "x", b"")  # type: ignore[arg-type]
