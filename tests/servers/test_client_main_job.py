"""The main job of the typed clients: thousands of real messages come as rows, all of it right."""

from __future__ import annotations

import email
import re
from datetime import datetime
from email import policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from itertools import islice
from typing import Any

import pytest

from fastimap.commands import AppendMessage
from fastimap.types import BodyStructure, Envelope, FetchedMessage
from tests.client.interfaces import Interface, opened
from tests.servers.accounts import Account, utc
from tests.servers.server import Server

pytestmark = pytest.mark.timeout(600)

ITEMS = ("FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]")
RECEIVED = utc(2026, 11, 1, 12, 30)
COPIES = 8
UNCERTAIN = re.compile(r"[:;()\\\\]")
"""Groups, comments and escapes: there `email` and servers differ in what an address is."""
FOLD = re.compile(r"\r\n(?=[ \t])")
"""Unfolded (RFC 5322, section 2.2.3) before `email` reads addresses: Python 3.11 ends a quoted string at a line end."""
ADDRESS = re.compile(r"[\w.+=-]+@[\w.-]+")
MEDIA_TYPE = re.compile(r"\s*[\w.+-]+/[\w.+-]+\s*(;.*)?", re.DOTALL)


@pytest.fixture(scope="module")
def archive(dovecot: Server, real_messages: list[bytes]) -> str:
    """The user whose INBOX holds every real message eight times."""
    user = dovecot.new_user()
    with opened("blocking") as make:
        client = Account(dovecot, user, make).client()
        result = client.multi_append(
            "INBOX", [AppendMessage(message, ["\\Seen"], RECEIVED) for message in real_messages]
        )
        assert len(result.uids) == len(real_messages)
        client.select("INBOX")
        for _ in range(3):
            client.copy("1:*", "INBOX")
        assert client.mailbox_status("INBOX", "MESSAGES").messages == len(real_messages) * COPIES
    return user


def test_every_message_of_thousands(
    dovecot: Server, archive: str, real_messages: list[bytes], interface: Interface
) -> None:
    client = Account(dovecot, archive, interface).client()
    exists = client.select("INBOX", read_only=True).exists
    assert exists == COPIES * len(real_messages) > 2000
    count = 0
    for message, row in zip(real_messages * COPIES, client.fetch_iter("1:*", *ITEMS), strict=True):
        count += 1
        assert row.body == message
        assert row.size == len(message)
        assert row.flags == {"\\Seen"}
        assert row.internal_date == RECEIVED
        assert row.uid == count
        assert row.sequence_number == count
        assert row.envelope is not None
        assert row.body_structure is not None
        assert row.defects == ()
        assert row.body_structure.part in ("", "1")
    assert count == exists
    assert client.take_events() == []


def test_chunks_in_flight(dovecot: Server, archive: str, real_messages: list[bytes], interface: Interface) -> None:
    client = Account(dovecot, archive, interface).client()
    client.select("INBOX", read_only=True)
    uids = range(1, len(real_messages) + 1)
    before = client.counters.commands
    rows = list(client.fetch_iter(uids, *ITEMS, chunk=50, in_flight=4))
    assert [row.uid for row in rows] == list(uids)
    assert [row.body for row in rows] == real_messages
    # The sizes of the first 256 messages are asked for first, then those of the next 1,024 at most.
    assert client.counters.commands - before == 2 + -(-len(uids) // 50)
    assert 256 < len(uids) <= 256 + 1024


def test_asked_one_by_one_in_a_pipeline(
    dovecot: Server, archive: str, real_messages: list[bytes], interface: Interface
) -> None:
    client = Account(dovecot, archive, interface).client()
    client.select("INBOX", read_only=True)
    uids = list(range(1, len(real_messages) + 1, 5))
    turns = client.counters.round_trips
    with client.pipeline() as pipeline:
        pending = [pipeline.fetch(uid, *ITEMS) for uid in uids]
    rows = [p.result()[0] for p in pending]
    assert [row.uid for row in rows] == uids
    assert [row.body for row in rows] == real_messages[::5]
    assert client.counters.round_trips - turns < len(uids)


def test_given_up_in_the_middle(
    dovecot: Server, archive: str, real_messages: list[bytes], interface: Interface
) -> None:
    client = Account(dovecot, archive, interface).client()
    client.select("INBOX", read_only=True)
    stream = client.fetch_iter("1:*", *ITEMS, chunk=100)
    assert [row.body for row in islice(stream, 10)] == real_messages[:10]
    stream.close()
    assert client.fetch(11, "BODY.PEEK[]")[0].body == real_messages[10]


@pytest.fixture(scope="module")
def rows(dovecot: Server, archive: str, real_messages: list[bytes]) -> list[tuple[Message, FetchedMessage]]:
    """Each real message as `email` reads it, and as Dovecot and the client do."""
    with opened("blocking") as make:
        client = Account(dovecot, archive, make).client()
        client.select("INBOX", read_only=True)
        fetched = client.fetch_iter(range(1, len(real_messages) + 1), *ITEMS)
        return [
            (email.message_from_bytes(message, policy=policy.compat32), row)
            for message, row in zip(real_messages, fetched, strict=True)
        ]


def words(text: str | None) -> str | None:
    """Return `text` with one space between words, None if there is none."""
    return " ".join((text or "").split()) or None


def test_envelopes(rows: list[tuple[Message, FetchedMessage]]) -> None:
    compared = 0
    for message, row in rows:
        envelope = row.envelope
        assert isinstance(envelope, Envelope)
        for field, value in (
            ("Subject", envelope.subject_octets),
            ("Message-ID", envelope.message_id_octets),
            ("Date", envelope.date_octets),
            ("In-Reply-To", envelope.in_reply_to_octets),
        ):
            given = message.get_all(field, [])
            if len(given) == 1 and str(given[0]).isascii():
                compared += 1
                assert words((value or b"").decode()) == words(str(given[0])), (row.uid, field)
        date = _date(message)
        if date is not None:
            assert envelope.date == date, row.uid
    assert compared > 3 * len(rows)


def _date(message: Message) -> datetime | None:
    """Return the date that `email` reads, if it is one with a time zone."""
    values = message.get_all("Date", [])
    if len(values) != 1:
        return None
    try:
        date = parsedate_to_datetime(str(values[0]))
    except ValueError:
        return None
    return date if date.tzinfo is not None else None


def test_addresses(rows: list[tuple[Message, FetchedMessage]]) -> None:
    compared = 0
    for message, row in rows:
        assert row.envelope is not None
        for field, addresses in (("From", row.envelope.from_), ("To", row.envelope.to), ("Cc", row.envelope.cc)):
            given = [FOLD.sub("", str(value)) for value in message.get_all(field, [])]
            if len(given) != 1 or not given[0].isascii() or UNCERTAIN.search(given[0]):
                continue
            read = getaddresses(given)
            if not all(ADDRESS.fullmatch(mailbox) for _, mailbox in read):
                continue
            compared += 1
            assert [(words(a.name), a.email) for a in addresses] == [
                (words(str(make_header(decode_header(name)))), mailbox) for name, mailbox in read
            ], (row.uid, field)
    assert compared > len(rows)


def test_body_structures(rows: list[tuple[Message, FetchedMessage]]) -> None:
    compared = 0
    different = []
    for message, row in rows:
        structure = row.body_structure
        assert isinstance(structure, BodyStructure)
        if any(part.defects for part in message.walk()) or not _is_plain_mime(message):
            continue
        compared += 1
        if _shape(structure) != _mime_shape(message):
            different.append(row.uid)
    assert compared > len(rows) / 2
    # Two of CPython's samples are multiparts so broken that Dovecot sees other parts than `email`.
    assert len(different) <= 2


def _is_plain_mime(message: Message) -> bool:
    """Whether every part says what it is, or nothing, and none is one that `email` alone takes apart."""
    for part in message.walk():
        types = part.get_all("Content-Type", [])
        if len(types) > 1 or not all(MEDIA_TYPE.fullmatch(str(value)) for value in types):
            return False
        if part.get_content_maintype() == "message" and part.get_content_type() != "message/rfc822":
            return False
    return True


def _shape(structure: BodyStructure) -> Any:
    """Return media types as a tree."""
    return structure.media_type, [_shape(part) for part in structure.parts]


def _mime_shape(message: Message) -> Any:
    parts = message.get_payload() if message.is_multipart() else []
    assert isinstance(parts, list)
    return message.get_content_type(), [_mime_shape(part) for part in parts if isinstance(part, Message)]


def test_parts_by_their_paths(dovecot: Server, archive: str, rows: list[tuple[Message, FetchedMessage]]) -> None:
    """The path of each leaf in the structure is one that the server knows, and the sizes are those of its octets."""
    with opened("blocking") as make:
        client = Account(dovecot, archive, make).client()
        client.select("INBOX", read_only=True)
        several = [row for _, row in rows if row.body_structure is not None and row.body_structure.parts][:60]
        assert len(several) > 20
        for row in several:
            assert row.body_structure is not None
            leaves = [part for part in row.body_structure.walk() if not part.parts]
            sections = dict.fromkeys(f"BODY.PEEK[{part.part}]" for part in leaves)
            (again,) = client.fetch(row.uid, *sections)
            for part in leaves:
                octets = again.section(part.part)
                assert octets is not None
                assert len(octets) == part.size, (row.uid, part)
