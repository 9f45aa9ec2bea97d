"""What users do to a mailbox of some thousands of messages, and while they wait for mail. With a real Dovecot."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import UIDSet
from fastimap.search import deleted, uid
from fastimap.types import Exists, ExpungeResponse
from tests.client.interfaces import Interface
from tests.servers.dovecot import Dovecot

MANY = 4000


@pytest.fixture
def account(dovecot: Dovecot) -> dict[str, Any]:
    return {
        "host": dovecot.host, "port": dovecot.port, "user": dovecot.new_user(), "password": dovecot.password,
        "mechanism": "PLAIN", "tls": False,
    }  # fmt: skip


@pytest.mark.slow
def test_thousands_of_scattered_uids(interface: Interface, account: dict[str, Any]) -> None:
    """Their text is longer than a line may be: each command is sent in parts, and has one result."""
    client = interface(**account)
    client.multi_append("INBOX", [b"Subject: %d\r\n\r\n" % number for number in range(MANY)])
    client.create_mailbox("Copies")
    client.create_mailbox("Moved")
    assert client.select().exists == MANY
    odd = UIDSet(range(1, MANY + 1, 2))
    assert len(str(odd)) > client.session.line_limit
    found = client.fetch(odd, "FLAGS")
    assert [row.uid for row in found] == [*odd]
    assert not found.missing
    assert client.search(uid(odd)).uids == odd
    assert client.search(~uid(odd)).uids == UIDSet(range(2, MANY + 1, 2))
    client.add_flags(odd, "\\Flagged", silent=True)
    copied = client.copy(odd, "Copies")
    assert (copied.source, len(copied.destination)) == (odd, len(odd))
    assert [source for source, _ in copied.pairs()] == [*odd]
    thirds = UIDSet(range(1, MANY + 1, 6))
    moved = client.move(thirds, "Moved")
    assert (moved.source, len(moved.destination)) == (thirds, len(thirds))
    odd -= thirds
    client.add_flags(odd, "\\Deleted", silent=True)
    assert client.search(deleted).uids == odd
    client.expunge(odd)
    assert client.search().uids == UIDSet(range(2, MANY + 1, 2))
    assert client.mailbox_status("Copies", "MESSAGES").messages == MANY // 2
    assert client.mailbox_status("Moved", "MESSAGES").messages == len(thirds)


def test_a_loop_over_idle_that_is_left_loses_nothing(interface: Interface, account: dict[str, Any]) -> None:
    """The server tells three things at once, of which the loop takes the first."""
    client, other = interface(**account), interface(**account)
    for text in (b"one", b"two", b"three"):
        client.append("INBOX", b"Subject: %s\r\n\r\n" % text)
    client.select()
    other.select()
    other.delete_messages([1, 2])
    other.append("INBOX", b"Subject: four\r\n\r\n")
    seen: list[Any] = []
    for event in client.idle(timeout=20):
        seen.append(event)
        break
    client.noop()
    seen += client.take_events()
    gone = [event.sequence_number for event in seen if isinstance(event, ExpungeResponse)]
    assert len(gone) == 2
    assert [event.count for event in seen if isinstance(event, Exists)][-1:] == [2]
    assert client.session.exists == 2
    assert [row.uid for row in client.fetch("1:*", "FLAGS")] == [3, 4]
