"""APPEND and its relatives, by the examples of the RFCs."""

from __future__ import annotations

import gc
import io
import mmap
import os
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import pytest

from fastimap.commands import Append, AppendMessage, Catenate, MultiAppend, Replace
from fastimap.errors import CapabilityMissing, CommandError, OverQuota, StateError
from fastimap.model.sequence_set import SAVED, SequenceSet, UIDSet
from fastimap.types import ExpungeResponse
from fastimap.wire.encode import Encoding, encode
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


def test_a_message_in_mapped_memory(tmp_path: Path) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(b"skipped message")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        mapped.seek(8)
        assert sent(Append("x", mapped), server("LITERAL+")) == [b"A1 APPEND x {7+}\r\nmessage\r\n"]  # type: ignore[arg-type]


def test_a_message_at_a_path(tmp_path: Path) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(b"m" * 300_000)
    assert sent(Append("x", path), server()) == [b"A1 APPEND x {300000}\r\n", b"m" * 300_000 + b"\r\n"]
    assert sent(Append("x", path, size=3), server("LITERAL+")) == [b"A1 APPEND x {3+}\r\nmmm\r\n"]
    told: list[tuple[int, int]] = []
    sent(Append("x", path, progress=lambda done, size: told.append((done, size))), server())
    assert told == [*((octets, 300_000) for octets in range(65_536, 300_000, 65_536)), (300_000, 300_000)]
    path.write_bytes(b"")
    assert sent(Append("x", path), server("LITERAL+")) == [b"A1 APPEND x {0+}\r\n\r\n"]


def test_paths_take_no_files_before_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(b"m")
    before = os.listdir("/dev/fd")
    waiting = [Append("x", path) for _ in range(20)]
    assert os.listdir("/dev/fd") == before
    assert sent(waiting[-1], server("LITERAL+")) == [b"A1 APPEND x {1+}\r\nm\r\n"]
    assert os.listdir("/dev/fd") == before


def test_a_path_that_can_not_be_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Append("x", tmp_path / "nothing")
    with pytest.raises(ValueError, match="not a regular file"):
        Append("x", tmp_path)
    path = tmp_path / "message.eml"
    path.write_bytes(b"four")
    with pytest.raises(ValueError, match="has 4 octets, and not 5"):
        Append("x", path, size=5)
    changed = Append("x", path)
    path.write_bytes(b"longer than four")
    with pytest.raises(ValueError, match="has changed"):
        sent(changed, server("LITERAL+"))


@pytest.mark.filterwarnings("error")
def test_a_path_that_is_sent_in_part_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(b"m" * 300_000)
    fragments = iter(encode(b"A1", Append("x", path).parts(server()), Encoding(literal_plus=True)))
    assert next(fragments) == b"A1 APPEND x {300000+}\r\n"
    assert next(fragments) == b"m" * 65_536
    del fragments
    gc.collect()


@pytest.mark.parametrize(
    ("gives", "error", "match"),
    [
        ("text", TypeError, "gave str, not bytes"),
        (None, EOFError, "ended 4 octets before"),
        (b"", EOFError, "ended 4 octets before"),
        (b"too much", ValueError, "gave 8 octets"),
    ],
)
def test_a_file_that_gives_no_octets(gives: object, error: type[Exception], match: str) -> None:
    class Odd(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return gives if size else b""  # type: ignore[return-value]

    with pytest.raises(error, match=match):
        sent(Append("x", Odd(b"four")), server("LITERAL+"))


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


def test_a_flag_that_servers_may_not_know() -> None:
    """Although LITERAL+ is there: Dovecot refuses the flag, and would go on with the message as with commands."""
    session = server("LITERAL+", "MULTIAPPEND", "CATENATE", "REPLACE")
    message, known = AppendMessage(b"ab", flags="\\Foo"), AppendMessage(b"cd", flags=["\\seen", "$Forwarded", "x"])
    assert sent(Append("x", b"ab", flags=["\\Seen", "\\Foo"]), session) == [
        b"A1 APPEND x (\\Seen \\Foo) {2}\r\n",
        b"ab\r\n",
    ]
    assert sent(MultiAppend("x", [known, message]), session) == [
        b"A1 APPEND x (\\seen $Forwarded x) {2+}\r\ncd (\\Foo) {2}\r\n",
        b"ab\r\n",
    ]
    assert sent(Catenate("x", [b"ab", "/y/;UID=1", b"cd"], flags="\\Foo"), session) == [
        b"A1 APPEND x (\\Foo) CATENATE (TEXT {2}\r\n",
        b"ab URL /y/;UID=1 TEXT {2}\r\n",
        b"cd)\r\n",
    ]
    assert sent(Append("x", b"ab", flags="\\Seen"), session) == [b"A1 APPEND x (\\Seen) {2+}\r\nab\r\n"]


def test_utf8() -> None:  # RFC 6855, section 4
    command = Append("Entwürfe", "Subject: é\r\n\r\n".encode(), utf8=True, flags=["\\Draft"])
    session = server("UTF8=ACCEPT", "LITERAL+", enabled=["UTF8=ACCEPT"])
    # Although LITERAL+ is there: to a server that does not know this after all, the message would be commands.
    assert sent(command, session) == [
        'A1 APPEND "Entwürfe" (\\Draft) UTF8 (~{15}\r\n'.encode(),
        "Subject: é\r\n\r\n)\r\n".encode(),
    ]
    # Courier 5.0 knows it after flags or a date, so there are always some.
    assert sent(Append("x", b"", utf8=True), session) == [b"A1 APPEND x () UTF8 (~{0}\r\n", b")\r\n"]
    # Also where its progress is told.
    told: list[tuple[int, int]] = []
    watched = Append("x", b"12", utf8=True, flags="\\Seen", progress=lambda *done: told.append(done))
    (start, *_) = encode(b"A1", watched.parts(session), Encoding(literal_plus=True))
    assert start == b"A1 APPEND x (\\Seen) UTF8 (~{2}\r\n"
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


def test_one_flag_needs_no_list() -> None:
    expected = [b"A1 APPEND x (\\Seen) {0+}\r\n\r\n"]
    assert sent(Append("x", b"", flags="\\Seen"), server("LITERAL+")) == expected
    assert sent(MultiAppend("x", [AppendMessage(b"", "\\Seen")]), server("LITERAL+")) == expected


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


def test_multiappend_of_messages_without_attributes() -> None:
    assert sent(MultiAppend("x", [b"one", io.BytesIO(b"two")]), server("MULTIAPPEND", "LITERAL+")) == [
        b"A1 APPEND x {3+}\r\none {3+}\r\ntwo\r\n"
    ]


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
    assert talk.left[-1] == ExpungeResponse(4)
    assert sent(Replace(2000, "Drafts", b"new"), server("REPLACE", "LITERAL+")) == [
        b"A1 UID REPLACE 2000 Drafts {3+}\r\nnew\r\n"
    ]
    with pytest.raises(CapabilityMissing, match="REPLACE"):
        sent(Replace(1, "x", b""), rev2())
    for several in ([1, 2], "1:*", "*", SAVED):
        with pytest.raises(ValueError, match="one message"):
            Replace(several, "x", b"")
