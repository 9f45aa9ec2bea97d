"""What one client hears of another's changes, and when (RFC 3501, sections 5.2 and 7.4.1; RFC 2177)."""

import imaplib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fastimap.testing import IMAPServer
from tests.testing.reading import literal


@pytest.fixture
def other(server: IMAPServer) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4(server.host, server.port, timeout=10) as other:
        other.login("user", "password")
        yield other


@pytest.fixture
def both(server: IMAPServer, client: imaplib.IMAP4, other: imaplib.IMAP4) -> tuple[imaplib.IMAP4, imaplib.IMAP4]:
    """Two clients in one mailbox of five messages."""
    for number in range(5):
        server.append("INBOX", b"Subject: %d\r\n\r\n" % number)
    client.select()
    other.select()
    return client, other


def heard(client: imaplib.IMAP4, command: str = "NOOP", *arguments: str) -> dict[str, list[Any]]:
    """The untagged responses that came with a command."""
    client.untagged_responses.clear()
    client._simple_command(command, *arguments)
    return dict(client.untagged_responses)


def test_new_messages(both: tuple[imaplib.IMAP4, imaplib.IMAP4]) -> None:
    client, other = both
    other.untagged_responses.clear()
    other.append("INBOX", None, None, b"Subject: new\r\n\r\n")
    assert other.response("EXISTS")[1] == [b"6"]
    assert heard(client) == {"EXISTS": [b"6"], "RECENT": [b"6"]}
    assert heard(client) == {}


def test_flags(both: tuple[imaplib.IMAP4, imaplib.IMAP4]) -> None:
    client, other = both
    other.store("2:3", "+FLAGS", "\\Seen")
    other.store("2", "+FLAGS.SILENT", "\\Flagged")
    assert heard(client) == {"FETCH": [b"2 (FLAGS (\\Flagged \\Recent \\Seen))", b"3 (FLAGS (\\Recent \\Seen))"]}
    other.store("2", "+FLAGS", "\\Seen")
    assert heard(client) == {}
    other.fetch("5", "(BODY[])")
    assert heard(client) == {"FETCH": [b"5 (FLAGS (\\Recent \\Seen))"]}


def test_expunged_messages_keep_their_numbers_under_fetch_store_and_search(
    both: tuple[imaplib.IMAP4, imaplib.IMAP4],
) -> None:
    client, other = both
    other.store("2,4", "+FLAGS.SILENT", "\\Deleted")
    other.expunge()
    assert "EXPUNGE" not in heard(client, "FETCH", "4", "(BODY.PEEK[])")
    assert heard(client, "FETCH", "2", "(BODY.PEEK[])")["FETCH"][0][1] == b"Subject: 1\r\n\r\n"
    assert "EXPUNGE" not in heard(client, "STORE", "1", "+FLAGS", "(\\Seen)")
    assert "EXPUNGE" not in heard(client, "SEARCH", "ALL")
    assert heard(client)["EXPUNGE"] == [b"2", b"3"]
    assert literal(client.fetch("2", "(BODY.PEEK[])")[1]) == b"Subject: 2\r\n\r\n"


def test_uid_commands_may_tell_of_expunged_messages(both: tuple[imaplib.IMAP4, imaplib.IMAP4]) -> None:
    client, other = both
    other.store("1", "+FLAGS.SILENT", "\\Deleted")
    other.expunge()
    client.untagged_responses.clear()
    client.uid("FETCH", "5", "(FLAGS)")
    assert client.response("EXPUNGE")[1] == [b"1"]


def test_a_message_that_came_and_went_unheard_of(server: IMAPServer, both: tuple[imaplib.IMAP4, imaplib.IMAP4]) -> None:
    client, _ = both
    server.expunge("INBOX", [server.append("INBOX", b"x"), 3])
    kept = server.append("INBOX", b"kept")
    told = heard(client)
    assert told["EXPUNGE"] == [b"3"]
    assert told["EXISTS"] == [b"5"]
    assert client.fetch("5", "(UID)")[1] == [b"5 (UID %d)" % kept]


def test_new_messages_have_no_number_until_they_are_told(
    server: IMAPServer, both: tuple[imaplib.IMAP4, imaplib.IMAP4]
) -> None:
    client, _ = both
    server.append("INBOX", b"x")
    assert client.search(None, "*") == ("OK", [b"5"])
    assert client.search(None, "*") == ("OK", [b"6"])


def test_own_changes_are_not_told_twice(both: tuple[imaplib.IMAP4, imaplib.IMAP4]) -> None:
    client, _ = both
    client.store("1", "+FLAGS", "\\Seen")
    client.store("2", "+FLAGS.SILENT", "\\Seen")
    assert heard(client) == {}


def test_recent_goes_to_one_client(both: tuple[imaplib.IMAP4, imaplib.IMAP4], server: IMAPServer) -> None:
    client, other = both
    server.append("INBOX", b"x")
    assert heard(client)["RECENT"] == [b"6"]
    assert heard(other)["RECENT"] == [b"0"]


def test_idle(server: IMAPServer, both: tuple[imaplib.IMAP4, imaplib.IMAP4]) -> None:
    client, other = both
    client.send(b"x IDLE\r\n")
    assert client.readline().startswith(b"+ ")
    server.append("INBOX", b"x")
    assert [client.readline() for _ in range(2)] == [b"* 6 EXISTS\r\n", b"* 6 RECENT\r\n"]
    other.store("1", "+FLAGS", "\\Seen")
    assert client.readline() == b"* 1 FETCH (FLAGS (\\Recent \\Seen))\r\n"
    server.expunge("INBOX", [1, 2])
    assert [client.readline() for _ in range(2)] == [b"* 1 EXPUNGE\r\n"] * 2
    client.send(b"DONE\r\n")
    assert client.readline() == b"x OK IDLE completed\r\n"


def test_a_deleted_mailbox_lives_on_for_who_has_it_open(both: tuple[imaplib.IMAP4, imaplib.IMAP4]) -> None:
    client, other = both
    other.create("Gone")
    other.append("Gone", None, None, b"x")
    client.select("Gone")
    other.delete("Gone")
    assert literal(client.fetch("1", "(BODY.PEEK[])")[1]) == b"x"


@pytest.mark.slow
def test_many_clients_at_once(server: IMAPServer) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with imaplib.IMAP4(server.host, server.port, timeout=10) as client:
                client.login("user", "password")
                client.select()
                for _ in range(10):
                    client.append("INBOX", None, None, b"Subject: %d\r\n\r\n" % number)
                    client.store("1:*", "+FLAGS.SILENT", f"$client{number}")
                    client.noop()
                mine = client.search(None, "SUBJECT", str(number))[1][0].split()
                assert len(mine) == 10
                client.store(mine[0], "+FLAGS.SILENT", "\\Deleted")
                client.expunge()
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    uids = [message.uid for message in server.messages("INBOX")]
    assert len(uids) == 72
    assert uids == sorted(set(uids))
