"""Somebody reads, marks and deletes mail, with a real Dovecot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastimap import SAVED, SequenceSet, UIDSet, errors
from fastimap.search import subject
from fastimap.types import MailboxInfo
from tests.client.interfaces import Interface
from tests.client.peers import DONE, converse
from tests.servers.dovecot import Dovecot

SUBJECTS = ("one", "two", "three")


@pytest.fixture
def client(interface: Interface, dovecot: Dovecot) -> Any:
    """A client with three messages in INBOX, which is selected by `select()` alone."""
    given = {"user": dovecot.new_user(), "password": dovecot.password, "mechanism": "PLAIN", "tls": False}
    client = interface(dovecot.host, dovecot.port, **given)
    for text in SUBJECTS:
        client.append("INBOX", f"Subject: {text}\r\n\r\n{text}\r\n".encode())
    assert client.select().exists == 3
    assert client.session.mailbox == "INBOX"
    return client


def test_all_messages_are_found_without_a_key(client: Any) -> None:
    assert len(client.search()) == 3
    assert client.search().uids == client.search(subject("")).uids  # RFC 9051, section 6.4.4: "" matches all


def test_one_message(client: Any) -> None:
    first, second, third = client.search()
    assert client.fetch_one(second, "ENVELOPE").envelope.subject == "two"
    assert client.fetch_one(SequenceSet(1), "UID").uid == first
    assert client.fetch_one(4_000_000_000, "FLAGS") is None
    for last in (UIDSet("*"), SequenceSet("*")):
        assert client.fetch_one(last, "UID").uid == third
    for several in ([first, second], "1:*", SAVED):
        with pytest.raises(ValueError, match="single message"):
            client.fetch_one(several, "FLAGS")


def test_messages_by_uid(client: Any) -> None:
    rows = client.fetch("1:*", "ENVELOPE").by_uid()
    assert {uid: row.envelope.subject for uid, row in rows.items()} == dict(zip(client.search(), SUBJECTS, strict=True))


def test_flags(client: Any) -> None:
    first, second, third = client.search()
    client.add_flags([first, second], "\\Seen")
    client.add_flags(first, ["\\Flagged", "$Forwarded"])
    client.remove_flags(second, "\\Seen")
    client.set_flags(third, ["\\Draft"])
    flags = {row.uid: row.flags - {"\\Recent"} for row in client.fetch("1:*", "FLAGS")}
    assert flags == {first: {"\\Seen", "\\Flagged", "$Forwarded"}, second: set(), third: {"\\Draft"}}
    (row,) = client.set_flags(third, []).rows
    assert row.flags <= {"\\Recent"}


@pytest.mark.parametrize("flag", ["Seen", "seen", "ANSWERED", "Flagged", "Deleted", "Draft"])
def test_a_system_flag_without_its_backslash_is_refused(client: Any, flag: str) -> None:
    """As a keyword it would stay in the mailbox for ever, and mark nothing."""
    with pytest.raises(ValueError, match=r"'\\\\" + flag.capitalize()):
        client.store(1, flag)
    with pytest.raises(ValueError, match="backslash"):
        client.append("INBOX", b"Subject: x\r\n\r\n", flags=[flag])
    assert flag not in client.select().flags


def test_messages_are_deleted_and_no_others(client: Any) -> None:
    first, second, third = client.search()
    client.add_flags(third, "\\Deleted")  # by another program, which has not made up its mind
    deleted = client.delete_messages([first, second])
    assert len(deleted.sequence_numbers or deleted.uids) == 2
    assert [row.uid for row in client.fetch("1:*", "UID")] == [third]
    assert not client.delete_messages([])
    with pytest.raises(TypeError, match="UIDs"):
        client.delete_messages(SequenceSet(1))
    client.select(read_only=True)
    with pytest.raises(errors.StateError, match="read_only"):
        client.delete_messages(third)
    assert client.fetch_one(third, "UID") is not None


def test_without_uidplus_nothing_is_marked(scripted: Callable[..., Any]) -> None:
    sent: list[bytes] = []

    def reply(command: bytes) -> bytes:
        sent.append(command)
        return b"* 1 EXISTS\r\n" + DONE

    client = scripted(converse(reply, b"IMAP4rev1"))
    client.select()
    with pytest.raises(errors.CapabilityMissing, match="UIDPLUS"):
        client.delete_messages(1)
    assert not [command for command in sent if b"STORE" in command or b"EXPUNGE" in command]


def test_mailboxes_with_a_special_use(client: Any) -> None:
    assert client.special_mailbox("\\Drafts").name == "Drafts"
    assert client.special_mailbox("\\trash").name == "Trash"
    assert client.special_mailbox("\\Sent") is None
    client.create_mailbox("Éléments envoyés")  # by a mail program that does not know of special uses
    client.create_mailbox("Work/Junk")  # somebody's own
    assert client.special_mailbox("\\Sent").name == "Éléments envoyés"
    assert client.special_mailbox("\\Junk") is None
    with pytest.raises(ValueError, match="special use"):
        client.special_mailbox("Sent")


def test_a_mailbox_as_it_was_listed(client: Any) -> None:
    client.create_mailbox("Entwürfe & Co")
    by_name = {mailbox.name: mailbox for mailbox in client.list_mailboxes()}
    wanted = by_name["Entwürfe & Co"]
    client.copy(client.search(), wanted)
    assert client.mailbox_status(wanted, "MESSAGES").messages == 3
    assert client.select(wanted, read_only=True).exists == 3
    assert client.session.mailbox == "Entwürfe & Co"
    client.reconnect()
    assert client.session.mailbox == "Entwürfe & Co"
    client.select()  # Dovecot hangs up on deleting a mailbox that is selected
    client.delete_mailbox(wanted)
    assert "Entwürfe & Co" not in {mailbox.name for mailbox in client.list_mailboxes()}


@pytest.mark.parametrize("octets", [b"R&-D", b"a&AGE-", b"\xff\xfe", b"nil", b"Sent Items"])  # canonical or not
def test_the_octets_of_a_listed_mailbox_are_sent(scripted: Callable[..., Any], octets: bytes) -> None:
    sent: list[bytes] = []

    def reply(command: bytes) -> bytes:
        sent.append(command)
        return (b'* LIST () "/" "' + octets + b'"\r\n' if command.startswith(b"LIST") else b"") + DONE

    client = scripted(converse(reply, b"IMAP4rev1 LITERAL+"))
    (mailbox,) = client.list_mailboxes()
    client.select(mailbox, read_only=True)
    forms = (b"%b", b'"%b"', b"{%d+}\r\n%%b" % len(octets))  # atom, quoted string, literal
    assert sent[-1] in [b"EXAMINE " + form % octets for form in forms]
    assert client.session.mailbox == mailbox.name


def test_a_mailbox_without_a_name_that_can_be_read(client: Any) -> None:
    for wrong in (MailboxInfo("", b"", "/", frozenset()), 5, None):
        with pytest.raises((TypeError, ValueError), match="name"):
            client.select(wrong)
