"""The newest messages, the newest first: of what a search found, and of what a sort did."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import SequenceSet, UIDSet
from fastimap.search import all_, deleted
from tests.client.interfaces import Interface
from tests.servers.dovecot import Dovecot


@pytest.fixture
def client(interface: Interface, dovecot: Dovecot) -> Any:
    given = {"user": dovecot.new_user(), "password": dovecot.password, "mechanism": "PLAIN", "tls": False}
    client = interface(dovecot.host, dovecot.port, **given)
    for number in range(1, 8):
        client.append("INBOX", f"Subject: {number % 4}-{number}\r\n\r\n".encode())
    client.select("INBOX")
    client.delete_messages([2, 3])
    return client


def test_the_newest_first(client: Any) -> None:
    found = client.search()
    assert found[0] == 1
    assert found[-1] == 7
    assert found[-3:] == UIDSet("5:7")
    rows = client.fetch(found[-3:], "ENVELOPE").by_uid()
    assert [rows[uid].envelope.subject for uid in reversed(found[-3:])] == ["3-7", "2-6", "1-5"]
    assert 4 in found
    assert 2 not in found


def test_by_sequence_number(client: Any) -> None:
    found = client.search(sequence=True)
    assert found[-2:] == SequenceSet("4:5")
    assert [row.uid for row in client.fetch(found[-2:], "UID")] == [6, 7]


def test_pages_of_a_sorted_mailbox(client: Any) -> None:
    found = client.sort(["REVERSE SUBJECT"])
    assert found[:2] == (7, 6)
    assert found[-1] == 4
    assert [*reversed(found)] == [4, 1, 5, 6, 7]


def test_nothing_found(client: Any) -> None:
    found = client.search(deleted)
    assert not found[-10:]
    assert not client.fetch(found[-10:], "ENVELOPE")
    with pytest.raises(IndexError, match="position 0 of 0 numbers"):
        found[0]


def test_what_was_not_asked_for(client: Any) -> None:
    counted = client.search(all_, returns=["COUNT"])
    assert len(counted) == 5
    with pytest.raises(ValueError, match='add "ALL" to returns='):
        counted[0]
    with pytest.raises(ValueError, match='add "ALL" to returns='):
        reversed(counted)
