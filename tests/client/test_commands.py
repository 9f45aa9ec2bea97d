"""The commands people use, from the call to the server in memory and back."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from email.message import EmailMessage
from typing import Any

import pytest

from fastimap import Flag, SequenceSet, UIDSet, commands, errors
from fastimap.model.message import FetchedMessage
from fastimap.search import from_, since, subject, unseen
from fastimap.testing import IMAPServer
from fastimap.types import Exists, ExpungeResponse

MESSAGE = b"From: Ann <ann@example.org>\r\nSubject: one\r\n\r\nbody\r\n"
NEWSLETTER = b"From: newsletter@example.org\r\nSubject: two\r\n\r\nbuy\r\n"


def fill(server: IMAPServer, count: int) -> None:
    for number in range(1, count + 1):
        server.append("INBOX", b"Subject: %d\r\n\r\nbody\r\n" % number)


def test_the_first_example(server: IMAPServer, client: Any) -> None:
    when = datetime(2026, 11, 2, tzinfo=UTC)
    server.append("INBOX", MESSAGE, internal_date=when)
    server.append("INBOX", NEWSLETTER, internal_date=when)
    server.append("INBOX", MESSAGE, ["\\Seen"], internal_date=when)
    server.append("INBOX", MESSAGE, internal_date=datetime(2026, 10, 30, tzinfo=UTC))
    with client:
        client.select("INBOX", read_only=True)
        uids = client.search(unseen & since(date(2026, 11, 1)) & ~from_("newsletter")).uids
        assert list(uids) == [1]
        (message,) = client.fetch_iter(uids, "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]")
    assert message.uid == 1
    assert message.envelope.subject == "one"
    assert message.envelope.from_[0].email == "ann@example.org"
    assert message.body_structure.media_type == "text/plain"
    assert message.body == MESSAGE
    assert message.defects == ()
    assert server.messages("INBOX")[0].flags == frozenset()


def test_select_and_examine(server: IMAPServer, client: Any) -> None:
    server.append("INBOX", MESSAGE, ["\\Seen", "$Label"])
    server.append("INBOX", MESSAGE)
    selected = client.select("inbox")
    assert (selected.exists, selected.recent, selected.uid_next, selected.unseen) == (2, 2, 3, 2)
    assert selected.read_only is False
    assert "$Label" in selected.flags
    assert "\\*" in selected.permanent_flags
    assert client.session.mailbox == selected.name
    assert client.session.uid_validity == selected.uid_validity
    assert client.select("INBOX", read_only=True).read_only is True
    assert client.session.read_only is True
    assert "INBOX" in repr(client)
    client.unselect()
    assert client.session.mailbox is None
    with pytest.raises(errors.StateError, match="no mailbox is selected"):
        client.fetch(1, "FLAGS")


def test_a_mailbox_that_is_not_there(server: IMAPServer, client: Any) -> None:
    client.select("INBOX")
    with pytest.raises(errors.MailboxNotFound) as caught:
        client.select("missing")
    assert caught.value.code == "NONEXISTENT"
    assert caught.value.command == "SELECT"
    assert caught.value.status == "NO"
    assert client.session.mailbox is None  # RFC 9051, section 6.3.2
    assert client.select("INBOX").exists == 0


def test_mailboxes(client: Any) -> None:
    client.create_mailbox("Work/日本語")  # the name is of RFC 3501, section 5.1.3
    with pytest.raises(errors.MailboxExists):
        client.create_mailbox("Work/日本語")
    listed = {info.name: info for info in client.list_mailboxes()}
    assert set(listed) == {"INBOX", "Work", "Work/日本語"}
    assert listed["Work"].attributes >= {"\\HasChildren"}
    assert listed["Work/日本語"].octets == b"Work/&ZeVnLIqe-"
    assert listed["INBOX"].delimiter == "/"
    assert [info.name for info in client.list_mailboxes("Work/", "%")] == ["Work/日本語"]
    client.rename_mailbox("Work/日本語", "Archive")
    client.subscribe("Archive")
    assert [info.name for info in client.run(commands.LSub())] == ["Archive"]
    client.unsubscribe("Archive")
    assert client.run(commands.LSub()) == ()
    client.delete_mailbox("Archive")
    assert {info.name for info in client.list_mailboxes()} == {"INBOX"}


def test_status(server: IMAPServer, client: Any) -> None:
    server.append("INBOX", MESSAGE, ["\\Seen"])
    server.append("INBOX", MESSAGE)
    status = client.mailbox_status("INBOX", "MESSAGES", "UNSEEN", "UIDNEXT")
    assert (status.messages, status.unseen, status.uid_next) == (2, 1, 3)
    assert status.uid_validity is None  # not asked for
    with pytest.raises(errors.CommandError):
        client.mailbox_status("missing", "MESSAGES")


def test_append_from_everything(server: IMAPServer, client: Any) -> None:
    when = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    first = client.append("INBOX", MESSAGE, flags=[Flag.SEEN, "$Label"], internal_date=when)
    assert first.uid == 1
    assert first.uid_validity is not None
    email = EmailMessage()
    email["Subject"] = "from an EmailMessage"
    email.set_content("text\n")
    assert client.append("INBOX", email).uid == 2
    file = io.BytesIO(b"not this: " + MESSAGE)
    file.seek(10)
    assert client.append("INBOX", file).uid == 3
    assert client.append("INBOX", memoryview(MESSAGE)).uid == 4
    stored = server.messages("INBOX")
    assert stored[0].octets == stored[2].octets == stored[3].octets == MESSAGE
    assert stored[0].flags == {"\\Seen", "$Label"}
    assert stored[0].internal_date == when
    assert b"Subject: from an EmailMessage\r\n" in stored[1].octets
    assert b"\n" not in stored[1].octets.replace(b"\r\n", b"")
    with pytest.raises(errors.MailboxNotFound):
        client.append("missing", MESSAGE)


def test_store(server: IMAPServer, client: Any) -> None:
    fill(server, 3)
    client.select("INBOX")
    stored = client.store([1, 3], Flag.FLAGGED)
    assert {row.uid: row.flags - {"\\Recent"} for row in stored.rows} == {1: {"\\Flagged"}, 3: {"\\Flagged"}}
    assert client.store(SequenceSet("1"), ["\\Flagged"], action="remove", silent=True).rows == ()
    client.store(3, ["\\Seen", "$Mine"], action="replace")
    assert [message.flags - {"\\Recent"} for message in server.messages("INBOX")] == [set(), set(), {"\\Seen", "$Mine"}]
    assert client.take_events() == []


def test_copy_and_move(server: IMAPServer, client: Any) -> None:
    fill(server, 3)
    server.create("There")
    client.select("INBOX")
    copied = client.copy([1, 2], "There")
    assert list(copied.pairs()) == [(1, 1), (2, 2)]
    moved = client.move(UIDSet("3"), "There")
    assert list(moved.source) == [3]
    assert list(moved.destination) == [3]
    assert client.take_events() == [ExpungeResponse(3)]  # as when anybody removes messages
    assert [message.octets for message in server.messages("There")] == [
        b"Subject: %d\r\n\r\nbody\r\n" % number for number in (1, 2, 3)
    ]
    with pytest.raises(errors.MailboxNotFound) as caught:
        client.copy(1, "Nowhere")
    assert caught.value.code == "TRYCREATE"


def test_expunge(server: IMAPServer, client: Any) -> None:
    fill(server, 4)
    client.select("INBOX")
    client.store([1, 2, 4], "\\Deleted", silent=True)
    assert client.expunge([2, 3]).sequence_numbers == (2,)
    # One after the other: the fourth, then third, message has moved up (RFC 9051, section 7.5.1).
    assert client.expunge().sequence_numbers == (1, 2)
    assert client.take_events() == []
    assert [message.uid for message in server.messages("INBOX")] == [3]


def test_search(server: IMAPServer, client: Any) -> None:
    fill(server, 12)
    server.append("INBOX", "Subject: Grüße\r\n\r\n".encode())
    client.select("INBOX")
    found = client.search(subject("1"))
    assert list(found.uids) == [1, 10, 11, 12]
    assert list(client.search(subject("1"), sequence=True).numbers) == [1, 10, 11, 12]
    assert list(client.search(subject("no such thing")).uids) == []
    assert client.search(subject("1"), returns=["MIN", "MAX", "COUNT"]).count == 4
    assert list(client.search(subject("Grüße")).uids) == [13]


def test_events_are_kept_apart_from_results(server: IMAPServer, client: Any) -> None:
    fill(server, 2)
    client.select("INBOX")
    server.append("INBOX", MESSAGE)
    server.set_flags("INBOX", 2, ["\\Answered"])
    assert client.noop() is None
    events = client.take_events()
    assert Exists(3) in events
    (row,) = [event for event in events if isinstance(event, FetchedMessage)]
    assert row.flags is not None
    assert (row.sequence_number, row.flags & {"\\Answered"}) == (2, frozenset({"\\Answered"}))
    assert client.take_events() == []
    server.expunge("INBOX", [1])
    rows = client.fetch([2, 3], "FLAGS")
    assert [row.uid for row in rows] == [2, 3]
    assert client.take_events() == [ExpungeResponse(1)]


def test_fetch_of_sequence_numbers_and_of_what_is_not_there(server: IMAPServer, client: Any) -> None:
    fill(server, 3)
    server.expunge("INBOX", [1])
    client.select("INBOX")
    rows = client.fetch(SequenceSet("1:2"), "UID", "RFC822.SIZE", "INTERNALDATE")
    assert [(row.sequence_number, row.uid, row.size) for row in rows] == [(1, 2, 20), (2, 3, 20)]
    assert rows[0].internal_date is not None
    assert rows[0].internal_date.tzinfo is not None
    assert client.fetch([1, 77], "FLAGS") == ()


def test_wrong_arguments_cost_nothing(server: IMAPServer, client: Any) -> None:
    fill(server, 1)
    client.select("INBOX")
    sent = client.counters.commands
    for call in (
        lambda: client.fetch(1),
        lambda: client.fetch(0, "FLAGS"),
        lambda: client.fetch(1, "FLAGS)\r\nT1 LOGOUT"),
        lambda: client.store(1, "two words"),
        lambda: client.create_mailbox("line\r\nbreak"),
        lambda: client.select("nul\0"),
        lambda: client.append("INBOX", b"nul \0"),
        lambda: list(client.fetch_iter(1, "FLAGS", chunk=0)),
        lambda: list(client.idle(renew=0)),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
            call()
    assert client.counters.commands == sent
    assert len(client.fetch(1, "FLAGS")) == 1


def test_what_the_server_lacks(client: Any) -> None:
    with pytest.raises(errors.CapabilityMissing) as caught:
        client.get_quota_root("INBOX")
    assert caught.value.capability == "QUOTA"
    assert "QUOTA" in str(caught.value)
    assert client.noop() is None


def test_capabilities_id_and_namespace(server: IMAPServer, interface: Any) -> None:
    client = interface(
        server.host, server.port, tls=False, user="user", password="password", mechanism="PLAIN",
        client_id={"name": "test"},
    )  # fmt: skip
    with client:
        assert {"IMAP4REV1", "MOVE", "UIDPLUS"} <= client.capabilities
        assert client.capability() == client.capabilities
        assert "AUTH=PLAIN" not in client.capabilities  # those of after the login
        assert client.session.server_id["name"] == "fastimap.testing"
        (personal,) = client.namespace().personal
        assert (personal.prefix, personal.delimiter) == ("", "/")


def test_after_close(client: Any) -> None:
    client.close()
    with pytest.raises(errors.StateError, match="logged out"):
        client.noop()
    client.close()


def test_counters(server: IMAPServer, client: Any) -> None:
    fill(server, 100)
    client.select("INBOX")
    before = client.counters.commands, client.counters.responses, client.counters.round_trips
    assert len(client.fetch(range(1, 101), "FLAGS")) == 100
    counters = client.counters
    assert counters.commands == before[0] + 1
    assert counters.responses == before[1] + 101
    assert counters.round_trips == before[2] + 1
    assert counters.octets_in > 100 * len(b"* 1 FETCH (UID 1 FLAGS ())\r\n")
