"""What takes several commands: the way from the greeting to work, SEARCH in another charset, MOVE without MOVE."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import SequenceSet, UIDSet, errors
from fastimap.search import subject, unseen
from fastimap.types import ExpungeResponse
from tests.client.peers import DONE, converse
from tests.imaplib.scripted import Peer

# From the greeting to work.


def test_imap4rev2_is_enabled_where_both_are_offered(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 IMAP4rev2 ENABLE] ready\r\n")
        peer.answer(b"ENABLE IMAP4REV2", b"* ENABLED IMAP4rev2")
        peer.answer('SELECT "Entwürfe"'.encode())  # RFC 9051, section 5.1: UTF-8, no longer modified UTF-7
        peer.log_out()

    with scripted(script) as client:
        assert client.session.rev2
        client.select("Entwürfe")


def test_a_server_that_can_not_enable_imap4rev2_after_all(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 IMAP4rev2 ENABLE] ready\r\n")
        peer.answer(b"ENABLE IMAP4REV2", status=b"BAD what?")
        peer.answer(b"SELECT Entw&APw-rfe")  # RFC 3501, section 5.1.3
        peer.log_out()

    with scripted(script) as client:
        assert not client.session.rev2
        client.select("Entwürfe")


def test_utf8_only_is_heeded(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 ENABLE UTF8=ONLY] ready\r\n")
        peer.answer(b"ENABLE UTF8=ACCEPT", b"* ENABLED UTF8=ACCEPT")  # RFC 6855, section 6
        peer.answer('SELECT "Entwürfe"'.encode())
        peer.log_out()

    with scripted(script) as client:
        client.select("Entwürfe")


def test_capabilities_that_the_greeting_does_not_tell(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH ready\r\n")
        peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1 ID COMPRESS=DEFLATE")
        peer.answer(b'ID ("name" "archiver" "version" NIL)', b'* ID ("name" "Cyrus" "os-version" NIL)')
        compressed = Compressed(peer)
        compressed.answer(b"NOOP", b"* 3 EXISTS")
        compressed.log_out()

    with scripted(script, compress=True, client_id={"name": "archiver", "version": None}) as client:
        assert client.session.server_id == {"name": "Cyrus"}
        assert client.session.compressed
        client.noop()
        assert [event.count for event in client.take_events()] == [3]


class Compressed(Peer):
    """A peer from its OK to COMPRESS on (RFC 4978): raw deflate both ways."""

    def __init__(self, peer: Peer) -> None:
        peer.answer(b"COMPRESS DEFLATE")
        self.sock, self.file = peer.sock, peer.file
        self.deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self.inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)

    def send(self, octets: bytes) -> None:
        super().send(self.deflate.compress(octets) + self.deflate.flush(zlib.Z_SYNC_FLUSH))

    def line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += self.inflate.decompress(self.file.read1())
        return line


def test_compression_that_the_server_lacks(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.expect_end()

    with pytest.raises(errors.CapabilityMissing, match="COMPRESS=DEFLATE"):
        scripted(script, compress=True).connect()


# SEARCH in another charset.


def test_a_search_is_repeated_in_a_charset_that_the_server_knows(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        if b"UTF-8" in command:
            return b"<tag> NO [BADCHARSET (US-ASCII ISO-8859-1)] one of these\r\n"  # RFC 9051, section 7.1
        return b"* SEARCH 5 7\r\n" + DONE

    with scripted(converse(reply, b"IMAP4rev1 LITERAL+")) as client:
        client.select("INBOX")
        assert list(client.search(subject("Grüße")).uids) == [5, 7]
    assert commands == [
        b"UID SEARCH CHARSET UTF-8 SUBJECT {7+}\r\nGr\xc3\xbc\xc3\x9fe",
        b"UID SEARCH CHARSET ISO-8859-1 SUBJECT {5+}\r\nGr\xfc\xdfe",
    ]


@pytest.mark.parametrize("code", [b"[BADCHARSET (US-ASCII)]", b"[BADCHARSET]", b"[BADCHARSET (X-UNKNOWN)]"])
def test_a_search_that_no_charset_helps(scripted: Callable[..., Any], code: bytes) -> None:
    with scripted(converse(lambda command: b"<tag> NO " + code + b" no\r\n", b"IMAP4rev1 LITERAL+")) as client:
        client.select("INBOX")
        with pytest.raises(errors.CommandError) as caught:
            client.search(subject("Grüße"))
        assert caught.value.code == "BADCHARSET"


def test_a_charset_that_was_asked_for_is_not_exchanged(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        return b"<tag> NO [BADCHARSET (UTF-8)] no\r\n"

    with scripted(converse(reply, b"IMAP4rev1 LITERAL+")) as client:
        client.select("INBOX")
        with pytest.raises(errors.CommandError):
            client.search(subject("Grüße"), charset="ISO-8859-1")
    assert len(commands) == 1


# MOVE without MOVE.


def test_a_move_without_move(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        if command.startswith(b"UID COPY"):
            return b"<tag> OK [COPYUID 38505 304,319:320 3956:3958] done\r\n"  # RFC 4315, section 3
        return b"* 9 EXPUNGE\r\n* 8 EXPUNGE\r\n" + DONE if command.startswith(b"UID EXPUNGE") else DONE

    with scripted(converse(reply, b"IMAP4rev1 UIDPLUS")) as client:
        client.select("INBOX")
        moved = client.move(UIDSet("304,319:320"), "meeting")
        assert client.take_events() == [ExpungeResponse(9), ExpungeResponse(8)]
    assert list(moved.pairs()) == [(304, 3956), (319, 3957), (320, 3958)]
    assert commands == [
        b"UID COPY 304,319:320 meeting",
        b"UID STORE 304,319:320 +FLAGS.SILENT (\\Deleted)",
        b"UID EXPUNGE 304,319:320",
    ]


@pytest.mark.parametrize(
    ("said", "marked"),
    [
        (b"OK [COPYUID 38505 319:320 3957:3958] done", b"319:320"),
        (b"OK [MESSAGELIMIT 2 319] done", b"319:320"),  # RFC 9738, section 3.1: nothing below was copied
        (b"OK done", b"304,319:320"),
    ],
)
def test_a_move_deletes_what_was_copied_alone(scripted: Callable[..., Any], said: bytes, marked: bytes) -> None:
    commands = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        return b"<tag> " + said + b"\r\n" if command.startswith(b"UID COPY") else DONE

    client = scripted(converse(reply, b"IMAP4rev1 UIDPLUS"))
    client.select("INBOX")
    client.move(UIDSet("304,319:320"), "There")
    assert commands == [
        b"UID COPY 304,319:320 There",
        b"UID STORE " + marked + b" +FLAGS.SILENT (\\Deleted)",
        b"UID EXPUNGE " + marked,
    ]


def test_a_move_of_all_is_one_of_those_that_are_there(scripted: Callable[..., Any]) -> None:
    """A message that comes between the commands belongs to `*` too, and is not copied."""
    commands = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        return b"* SEARCH 3 5\r\n" + DONE if b"SEARCH" in command else DONE

    client = scripted(converse(reply, b"IMAP4rev1 UIDPLUS"))
    client.select("INBOX")
    client.move("1:*", "There")
    search, *others = commands
    assert search.startswith(b"UID SEARCH ")
    assert others == [b"UID COPY 3,5 There", b"UID STORE 3,5 +FLAGS.SILENT (\\Deleted)", b"UID EXPUNGE 3,5"]


def test_a_move_whose_copy_is_refused_deletes_nothing(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        return b"<tag> NO [OVERQUOTA] Sorry\r\n"

    with scripted(converse(reply, b"IMAP4rev1 UIDPLUS")) as client:
        client.select("INBOX")
        with pytest.raises(errors.OverQuota):
            client.move(7, "meeting")
    assert len(commands) == 1


@pytest.mark.parametrize(
    ("capabilities", "messages"),
    [(b"IMAP4rev1", UIDSet("1")), (b"IMAP4rev1 UIDPLUS", SequenceSet("1"))],
    ids=["no UIDPLUS", "sequence numbers"],
)
def test_a_move_that_would_expunge_too_much(scripted: Callable[..., Any], capabilities: bytes, messages: Any) -> None:
    commands: list[bytes] = []
    with scripted(converse(lambda command: commands.append(command) or DONE, capabilities)) as client:  # type: ignore[func-returns-value]
        client.select("INBOX")
        with pytest.raises(errors.CapabilityMissing, match="MOVE"):
            client.move(messages, "There")
    assert commands == []


@pytest.mark.parametrize("capabilities", [b"IMAP4rev1 UIDPLUS", b"IMAP4rev1 MOVE"])
def test_a_move_from_a_read_only_mailbox_copies_nothing(scripted: Callable[..., Any], capabilities: bytes) -> None:
    commands: list[bytes] = []
    with scripted(converse(lambda command: commands.append(command) or DONE, capabilities)) as client:  # type: ignore[func-returns-value]
        client.select("INBOX", read_only=True)
        with pytest.raises(errors.StateError, match="read_only=False"):
            client.move(7, "There")
    assert commands == [b"EXAMINE INBOX"]


@pytest.mark.parametrize("capabilities", [b"IMAP4rev1 UIDPLUS", b"IMAP4rev1 MOVE"])
def test_what_a_search_found_may_be_nothing(scripted: Callable[..., Any], capabilities: bytes) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        return b"* SEARCH\r\n" + DONE

    with scripted(converse(reply, capabilities)) as client:
        client.select("INBOX")
        found = client.search(unseen)
        assert client.fetch(found, "FLAGS") == ()
        assert client.move(found, "There").codes == ()
        assert client.store(found, "\\Seen").rows == ()
        assert len(client.copy(found.uids, "There").destination) == 0
        assert list(client.fetch_iter(found, "FLAGS")) == []
    assert commands == [b"UID SEARCH UNSEEN"]


def test_a_move_of_messages_that_are_given_once(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []
    with scripted(converse(lambda command: commands.append(command) or DONE, b"IMAP4rev1 UIDPLUS")) as client:  # type: ignore[func-returns-value]
        client.select("INBOX")
        client.move(iter([7, 9]), "There")
    assert commands == [b"UID COPY 7,9 There", b"UID STORE 7,9 +FLAGS.SILENT (\\Deleted)", b"UID EXPUNGE 7,9"]
