"""The typed client and the messages of real servers: append, fetch, flags, copy and move, expunge."""

from __future__ import annotations

import contextlib
import io
from datetime import datetime
from email.message import EmailMessage
from typing import Any

import pytest

from fastimap import SequenceSet, Timeouts, UIDSet, commands
from fastimap.commands import AppendMessage
from fastimap.errors import CapabilityMissing, CommandError, StateError, Timeout
from fastimap.types import Exists, FetchedMessage, Vanished
from tests.servers.accounts import DATES, FLAGS, LETTERS, Account, fill, offered

NUL = (
    b"Subject: octets\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\na\0b\r\n"
)
BASE64 = (
    b"Subject: text\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n"
)
GREETING = "Grüße".encode()
JOERG = "From: Jörg <jörg@example.org>\r\nSubject: Äpfel\r\n\r\nHallo\r\n".encode()


def flags_of(rows: Any) -> dict[int, set[str]]:
    return {row.uid: set(row.flags) - {"\\Recent"} for row in rows}


def test_what_was_appended_is_there(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    selected = client.select("INBOX")
    assert selected.exists == len(LETTERS)
    assert selected.uid_validity == client.session.uid_validity
    assert not selected.read_only
    assert selected.permanent_flags is not None
    assert "\\*" in selected.permanent_flags
    rows = client.fetch(uids, "UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]")
    assert [row.uid for row in rows] == uids
    assert [row.sequence_number for row in rows] == [1, 2, 3, 4]
    assert flags_of(rows) == {uid: set(flags) for uid, flags in zip(uids, FLAGS, strict=True)}
    assert [row.internal_date for row in rows] == list(DATES)
    assert [row.body for row in rows] == list(LETTERS)
    assert [row.size for row in rows] == [len(message) for message in LETTERS]
    assert [row.envelope.subject for row in rows] == ["plan", "Re: plan", "apples", "Re: plan"]
    assert [row.envelope.from_[0].email for row in rows] == [
        "ann@example.org",
        "bob@example.org",
        "cy@example.org",
        "dan@example.org",
    ]
    assert rows[1].envelope.from_[0].name == "Zoe"
    assert rows[1].envelope.in_reply_to == "<1@example.org>"
    assert {row.body_structure.media_type for row in rows} == {"text/plain"}
    assert rows[0].body_structure.charset == "utf-8"
    assert [row.defects for row in rows] == [()] * 4
    assert rows[2].email().get_content().rstrip() == "Grüße aus Köln"


def test_sections_and_parts_of_them(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX", read_only=True)
    header, _, text = LETTERS[0].partition(b"\r\n\r\n")
    (row,) = client.fetch(
        uids[0],
        "BODY.PEEK[HEADER]",
        "BODY.PEEK[TEXT]",
        "BODY.PEEK[1]",
        "BODY.PEEK[HEADER.FIELDS (SUBJECT Date)]",
        "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]",
        "BODY.PEEK[]<10.20>",
        "RFC822.SIZE",
    )
    assert row.header_octets == header + b"\r\n\r\n"
    assert row.section("TEXT") == text
    assert row.section("1") == text
    assert row.section("HEADER.FIELDS (Subject Date)") == (
        b"Subject: plan\r\nDate: Mon, 02 Feb 2026 10:00:00 +0000\r\n\r\n"
    )
    assert b"Subject" not in (row.section("HEADER.FIELDS.NOT (SUBJECT)") or b"Subject")
    assert row.section("", 10) == LETTERS[0][10:30]
    assert row.defects == ()
    (row,) = client.fetch(SequenceSet(3), "FULL")
    assert "UID" not in row
    assert row.sequence_number == 3
    assert row.body_structure.media_type == "text/plain"
    assert client.fetch(max(uids) + 1000, "FLAGS") == ()


def test_reading_sets_seen(client: Any) -> None:
    uids = fill(client)
    client.select("INBOX")
    client.fetch(uids[2], "BODY.PEEK[]")
    assert "\\Seen" not in client.fetch(uids[2], "FLAGS")[0].flags
    assert client.fetch(uids[2], "BODY[]")[0].body == LETTERS[2]
    assert "\\Seen" in client.fetch(uids[2], "FLAGS")[0].flags
    client.select("INBOX", read_only=True)
    assert client.session.read_only
    client.fetch(uids[3], "BODY[]")
    assert "\\Seen" not in client.fetch(uids[3], "FLAGS")[0].flags


def test_messages_of_every_kind_are_appended(client: Any) -> None:
    message = EmailMessage()
    message["Subject"] = "Äpfel"
    message.set_content("Guten Morgen\n")
    file = io.BytesIO(b"not sent" + LETTERS[3] + b"nor this")
    file.seek(len(b"not sent"))
    # A literal of some size, so that servers without LITERAL+ are asked before it is sent.
    large = LETTERS[0] + b"0123456789abcdef\r\n" * 40_000
    client.append("INBOX", message)
    client.append("INBOX", file, size=len(LETTERS[3]))
    client.append("INBOX", large)
    client.append("INBOX", bytearray(LETTERS[1]))
    client.select("INBOX")
    rows = client.fetch("1:*", "BODY.PEEK[]", "ENVELOPE")
    assert rows[0].email()["Subject"] == "Äpfel"
    assert rows[0].envelope.subject == "Äpfel"
    assert rows[0].email().get_content().rstrip() == "Guten Morgen"
    assert [row.body for row in rows[1:]] == [LETTERS[3], large, LETTERS[1]]


@pytest.mark.parametrize("size", [4096, 4097])
def test_literals_wait_where_they_must(client: Any, size: int) -> None:
    """LITERAL+ saves a round trip for each literal, LITERAL- for those of up to 4096 octets (RFC 7888, section 5)."""
    message = LETTERS[0] + b"x" * (size - len(LETTERS[0]) - 2) + b"\r\n"
    assert len(message) == size
    at_once = "LITERAL+" in client.capabilities or ("LITERAL-" in client.capabilities and size <= 4096)
    before = client.counters.round_trips
    uid = client.append("INBOX", message).uid
    assert client.counters.round_trips - before == (1 if at_once else 2)
    client.select("INBOX")
    assert client.fetch(uid, "BODY.PEEK[]")[0].body == message


def test_a_message_with_a_flag_that_is_refused_is_no_commands(client: Any) -> None:
    message = b"x CREATE made-by-a-message\r\n\r\n"
    with contextlib.suppress(CommandError):
        client.append("INBOX", message, flags=["\\Seen", "\\Foo"])
    assert "made-by-a-message" not in {info.name for info in client.list_mailboxes()}
    client.append("INBOX", LETTERS[0], flags="\\Seen")
    client.select("INBOX")
    assert client.fetch(SequenceSet("*"), "BODY.PEEK[]")[0].body == LETTERS[0]


def test_multi_append(account_of_both: Account) -> None:
    client = account_of_both.client()
    messages = [AppendMessage(*given) for given in zip(LETTERS, FLAGS, DATES, strict=True)]
    with offered(client, "MULTIAPPEND"):
        result = client.multi_append("INBOX", messages)
        assert len(result.uids) == 4
        assert client.select("INBOX").uid_validity == result.uid_validity
        rows = client.fetch(result.uids, "BODY.PEEK[]", "INTERNALDATE", "FLAGS")
        assert [row.body for row in rows] == list(LETTERS)
        assert [row.internal_date for row in rows] == list(DATES)
        assert list(flags_of(rows).values()) == [set(flags) for flags in FLAGS]


def test_catenate(client: Any) -> None:
    (uid, *_) = fill(client)
    with offered(client, "CATENATE"):
        result = client.catenate(
            "INBOX", [f"/INBOX/;UID={uid}/;SECTION=HEADER", b"first line\r\n", b"second\r\n"], flags=["\\Seen"]
        )
        client.select("INBOX")
        (row,) = client.fetch(result.uid, "BODY.PEEK[]", "FLAGS")
        assert row.body == LETTERS[0].partition(b"\r\n\r\n")[0] + b"\r\n\r\nfirst line\r\nsecond\r\n"
        assert "\\Seen" in row.flags
        if client.session.has("URL-PARTIAL"):
            result = client.catenate("INBOX", [f"/INBOX/;UID={uid}/;SECTION=TEXT/;PARTIAL=8.3", b"\r\n"])
            assert client.fetch(result.uid, "BODY.PEEK[]")[0].body == b"new\r\n"
        with pytest.raises(CommandError) as refused:
            client.catenate("INBOX", ["/INBOX/;UID=4000/;SECTION=HEADER"])
        assert refused.value.code == "BADURL"


def test_binary(account_of_both: Account) -> None:
    client = account_of_both.client()
    with offered(client, "BINARY"):
        octets = client.append("INBOX", NUL, binary=True).uid
        decoded = client.append("INBOX", BASE64).uid
        client.select("INBOX")
        (row,) = client.fetch(decoded, "BINARY.PEEK[1]", "BINARY.SIZE[1]")
        assert row.binary("1") == GREETING
        assert row.item("BINARY.SIZE[1]") == len(GREETING)
        (row,) = client.fetch(octets, "BINARY.PEEK[1]")
        assert row.binary("1") == b"a\0b\r\n"
        (row,) = client.fetch(decoded, "BINARY.PEEK[1]<1.3>")
        assert row.item("BINARY[1]<1>") == GREETING[1:4]


def test_replace(client: Any) -> None:
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "REPLACE"):
        result = client.replace(uids[1], "INBOX", LETTERS[2], flags=["\\Draft"], internal_date=DATES[0])
        assert result.uid is not None
        rows = client.fetch("1:*", "BODY.PEEK[]", "FLAGS", "INTERNALDATE")
        assert [row.uid for row in rows] == [uids[0], uids[2], uids[3], result.uid]
        assert rows[3].body == LETTERS[2]
        assert "\\Draft" in rows[3].flags
        assert rows[3].internal_date == DATES[0]


def test_message_with_utf8_in_its_header(client: Any) -> None:
    if client.session.has("UTF8=ACCEPT"):
        client.enable("UTF8=ACCEPT")
    assert client.session.utf8 == (client.session.rev2 or "UTF8=ACCEPT" in client.capabilities)
    client.append("INBOX", JOERG)
    client.select("INBOX")
    check_joerg(client)


@pytest.mark.parametrize("flags", [(), ("\\Seen",)], ids=["no flags", "flags"])
def test_utf8_in_its_header_is_said(account_of_both: Account, flags: tuple[str, ...]) -> None:
    """APPEND with UTF8 (RFC 6855, section 4)."""
    if account_of_both.server.name == "dovecot-2.4":
        return  # see the next test
    client = account_of_both.client()
    with offered(client, "UTF8=ACCEPT"):
        if client.session.has("UTF8=ACCEPT"):
            with pytest.raises(StateError):
                client.append("INBOX", JOERG, utf8=True)
            client.enable("UTF8=ACCEPT")
        client.append("INBOX", JOERG, utf8=True, flags=flags)
        client.select("INBOX")
        assert check_joerg(client).flags - {"\\Recent"} == set(flags)


@pytest.mark.parametrize("real_server", ["dovecot-2.4"], indirect=True)
def test_a_server_that_does_not_know_what_it_announces(account: Account) -> None:
    """Dovecot 2.4 reads UTF8 and waits for more. It must not get the message then: it would take it for commands."""
    client = account.client(timeout=Timeouts(response=3))
    client.enable("UTF8=ACCEPT")
    sent = client.counters.octets_out
    with pytest.raises(Timeout):
        client.append("INBOX", JOERG, utf8=True)
    assert client.counters.octets_out - sent < len(JOERG)


def check_joerg(client: Any) -> Any:
    (row,) = client.fetch("1:*", "BODY.PEEK[]", "ENVELOPE", "FLAGS")
    assert row.body == JOERG
    assert row.envelope.subject == "Äpfel"
    assert row.envelope.from_[0].name == "Jörg"
    assert row.envelope.from_[0].email == "jörg@example.org"
    return row


def test_store(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX")
    result = client.store(uids[:2], "\\Answered")
    assert flags_of(result.rows) == {uids[0]: {"\\Seen", "\\Answered"}, uids[1]: {"\\Flagged", "\\Seen", "\\Answered"}}
    result = client.store(uids[3], ["\\Answered", "other"], action="remove")
    assert flags_of(result.rows) == {uids[3]: {"project"}}
    result = client.store(uids[3], ["$Forwarded"], action="replace")
    assert flags_of(result.rows) == {uids[3]: {"$Forwarded"}}
    assert client.store(uids, "\\Draft", silent=True).rows == ()
    assert all("\\Draft" in flags for flags in flags_of(client.fetch(uids, "FLAGS")).values())
    result = client.store(SequenceSet(1), "\\Draft", action="remove")
    assert [row.sequence_number for row in result.rows] == [1]
    assert client.store(max(uids) + 99, "\\Seen").rows == ()


def test_conditional_store(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "CONDSTORE"):
        (before,) = client.fetch(uids[0], "MODSEQ")
        assert before.mod_sequence > 0
        first = client.store(uids[0], "\\Flagged", unchanged_since=before.mod_sequence)
        assert first.modified is None
        assert first.rows[0].mod_sequence > before.mod_sequence
        latest = client.select("INBOX", condstore=True).highest_mod_sequence
        assert latest >= first.rows[0].mod_sequence
        client.store(uids[1], "\\Deleted", silent=True)
        second = client.store(uids[:3], "\\Answered", unchanged_since=latest)
        assert second.modified == UIDSet(uids[1])
        assert {row.uid for row in second.rows} == {uids[0], uids[2]}
        changed = client.fetch(uids, "FLAGS", changed_since=latest)
        assert {row.uid for row in changed} == set(uids[:3])
        assert all(row.mod_sequence > latest for row in changed)


def test_copy(account: Account, client: Any) -> None:
    uids = fill(client)
    drafts = account.mailbox("Drafts")
    client.select("INBOX")
    result = client.copy(uids[1:3], drafts)
    assert result.source == UIDSet(uids[1:3])
    assert len(result.destination) == 2
    assert [source for source, _ in result.pairs()] == uids[1:3]
    copied = client.select(drafts)
    assert (copied.exists, copied.uid_validity) == (2, result.uid_validity)
    rows = client.fetch(result.destination, "BODY.PEEK[]", "INTERNALDATE", "FLAGS")
    assert [row.body for row in rows] == list(LETTERS[1:3])
    assert [row.internal_date for row in rows] == list(DATES[1:3])
    assert list(flags_of(rows).values()) == [set(flags) for flags in FLAGS[1:3]]


def test_move(account_of_both: Account) -> None:
    """Where MOVE is missing (Courier) it is COPY, STORE and UID EXPUNGE, which spares what others have marked."""
    client = account_of_both.client()
    uids = fill(client)
    drafts = account_of_both.mailbox("Drafts")
    client.select("INBOX")
    client.store(uids[0], "\\Deleted")
    result = client.move(uids[1:3], drafts)
    assert result.source == UIDSet(uids[1:3])
    assert client.session.has("MOVE") != account_of_both.is_courier
    assert [row.uid for row in client.fetch("1:*", "FLAGS")] == [uids[0], uids[3]]
    assert client.select(drafts).exists == 2
    assert [row.body for row in client.fetch(result.destination, "BODY.PEEK[]")] == list(LETTERS[1:3])
    if account_of_both.is_courier:
        with pytest.raises(CapabilityMissing):
            client.move(SequenceSet(1), "INBOX")


def test_expunge(client: Any) -> None:
    uids = fill(client)
    client.select("INBOX")
    client.store(uids[:3], "\\Deleted", silent=True)
    assert client.expunge(uids[2]).sequence_numbers == (3,)
    result = client.expunge()
    assert result.sequence_numbers in ((1, 1), (2, 1))  # upwards or downwards: both are right
    assert len(result) == 2
    assert [row.uid for row in client.fetch("1:*", "UID")] == uids[3:]
    assert client.expunge() == type(result)(highest_mod_sequence=client.expunge().highest_mod_sequence)


def test_close_and_unselect(client: Any) -> None:
    uids = fill(client)
    client.select("INBOX")
    client.store(uids[0], "\\Deleted")
    client.run(commands.Check())
    with offered(client, "UNSELECT"):
        client.unselect()
        assert client.session.mailbox is None
        assert client.select("INBOX").exists == 4
    client.close_mailbox()
    assert client.session.mailbox is None
    assert client.select("INBOX").exists == 3
    client.close_mailbox()
    with pytest.raises(StateError):
        client.fetch(1, "FLAGS")


def test_fetch_into_a_file(account_of_both: Account) -> None:
    client = account_of_both.client()
    large = LETTERS[0] + b"0123456789abcdef\r\n" * 60_000
    uid = client.append("INBOX", large).uid
    client.select("INBOX", read_only=True)
    file, seen = io.BytesIO(), []
    (row,) = client.fetch_into(
        uid, "BODY.PEEK[]", "FLAGS", into=file, progress=lambda done, size: seen.append((done, size))
    )
    assert file.getvalue() == large
    assert dict(row.streamed) == {"BODY[]": len(large)}
    assert row.uid == uid
    assert seen[-1] == (len(large), len(large))


def test_fetch_iter_in_small_chunks(client: Any) -> None:
    uids = fill(client)
    client.select("INBOX", read_only=True)
    rows = list(client.fetch_iter(uids, "BODY.PEEK[]", chunk=1, in_flight=3))
    assert [row.uid for row in rows] == uids
    assert [row.body for row in rows] == list(LETTERS)


def test_pipeline(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX")
    with client.pipeline() as pipeline:
        texts = [pipeline.fetch(uid, "BODY.PEEK[TEXT]") for uid in uids]
        stored = pipeline.store(uids[0], "\\Flagged")
        wrong = pipeline.copy(uids[0], account_of_both.mailbox("Nowhere"))
        after = pipeline.fetch(uids[0], "FLAGS")
    assert [p.result()[0].section("TEXT") for p in texts] == [message.partition(b"\r\n\r\n")[2] for message in LETTERS]
    assert "\\Flagged" in stored.result().rows[0].flags
    with pytest.raises(CommandError):
        wrong.result()
    assert "\\Flagged" in after.result()[0].flags


def test_preview(account: Account, client: Any) -> None:
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "PREVIEW"):
        rows = client.fetch(uids, "PREVIEW")
        if account.server.name.startswith("cyrus"):  # it has none unless something else made one
            assert [(row.preview, row.item("PREVIEW", "absent")) for row in rows] == [(None, None)] * 4
        else:
            assert [row.preview for row in rows[:3]] == ["Nothing new.", "Nothing new.", "Grüße aus Köln"]
            assert rows[3].preview.startswith("x" * 100)
        assert [row.defects for row in rows] == [()] * 4
        assert len(client.fetch(uids, "PREVIEW (LAZY)")) == 4


def test_save_date(client: Any) -> None:
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "SAVEDATE"):
        rows = client.fetch(uids, "SAVEDATE", "INTERNALDATE")
        assert len(rows) == len(uids)
        for row in rows:
            assert isinstance(row.save_date, datetime)
            assert row.save_date > row.internal_date
            assert row.save_date.tzinfo is not None


def test_object_id_of_messages(account: Account, client: Any) -> None:
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "OBJECTID"):
        rows = client.fetch(uids, "EMAILID", "THREADID")
        assert len({row.object_id for row in rows}) == 4
        assert all(rows[0].object_id)
        # Cyrus keeps the answers of one thread together.
        assert rows[0].thread_id == rows[1].thread_id != rows[2].thread_id
        copied = client.copy(uids[0], account.mailbox("Drafts"))
        client.select(account.mailbox("Drafts"))
        assert client.fetch(copied.destination, "EMAILID")[0].object_id == rows[0].object_id


def test_uid_only(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    with offered(client, "UIDONLY"):
        if not client.session.has("UIDONLY"):
            raise CapabilityMissing("ENABLE", "UIDONLY")
        assert "UIDONLY" in client.enable("UIDONLY")
        client.select("INBOX")
        rows = client.fetch(uids, "FLAGS", "BODY.PEEK[]")
        assert [(row.uid, row.sequence_number) for row in rows] == [(uid, None) for uid in uids]
        assert [row.body for row in rows] == list(LETTERS)
        client.store(uids[0], "\\Deleted")
        assert client.expunge(uids[0]).uids == UIDSet(uids[0])
        with pytest.raises(StateError):
            client.fetch(SequenceSet(1), "FLAGS")
        other = account_of_both.client()
        other.append("INBOX", LETTERS[0])
        client.noop()
        assert Exists(4) in client.take_events()


def test_expunge_tells_uids_after_qresync(client: Any) -> None:
    uids = fill(client)
    if client.session.has("QRESYNC"):
        client.enable("QRESYNC")
    client.select("INBOX")
    client.store(uids[1:3], "\\Deleted", silent=True)
    result = client.expunge()
    if client.session.has("QRESYNC"):
        assert result.uids == UIDSet(uids[1:3])
        assert result.sequence_numbers == ()
    else:
        assert result.sequence_numbers == (2, 2)


def test_fetch_of_what_has_vanished(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    with offered(client, "QRESYNC"):
        if not client.session.has("QRESYNC"):
            raise CapabilityMissing("ENABLE", "QRESYNC")
        client.enable("QRESYNC")
        known = client.select("INBOX").highest_mod_sequence
        client.store(uids[0], "\\Deleted", silent=True)
        client.expunge()
        client.store(uids[1], "\\Draft", silent=True)
        client.take_events()
        rows = client.fetch("1:*", "FLAGS", changed_since=known, vanished=True)
        assert [row.uid for row in rows] == [uids[1]]
        assert all(isinstance(row, FetchedMessage) and row.mod_sequence > known for row in rows)
        (event,) = [event for event in client.take_events() if isinstance(event, Vanished)]
        assert event.earlier
        assert uids[0] in event.uids


def test_fetch_partial(client: Any) -> None:
    fill(client)
    client.select("INBOX")
    with offered(client, "PARTIAL"):
        assert len(client.fetch("1:*", "FLAGS", partial=(-1, -2))) == 2


def test_gmail_items(client: Any) -> None:
    fill(client)
    client.select("INBOX")
    with offered(client, "X-GM-EXT-1"):
        client.fetch("1:*", "X-GM-MSGID", "X-GM-LABELS")


def test_too_large(client: Any) -> None:
    limits = [int(c.partition("=")[2]) for c in client.capabilities if c.startswith("APPENDLIMIT=")]
    if not limits:
        return

    class Endless(io.BytesIO):
        def seekable(self) -> bool:
            return False

    before = client.counters.commands
    with pytest.raises(ValueError, match="APPENDLIMIT"):
        client.append("INBOX", Endless(), size=limits[0] + 1)
    assert client.counters.commands == before
