"""What real servers do at a bad moment, by both clients."""

from __future__ import annotations

import pytest

from fastimap.errors import MailboxNotFound
from tests.client.doors import Door
from tests.servers.server import Server


def test_a_refusal_amid_a_literal_leaves_the_connection_in_step(dovecot: Server, door: Door) -> None:
    # Dovecot has LITERAL+, and says that the mailbox is not there before it has read the message.
    with door(
        dovecot.host, dovecot.port, tls=False, user=dovecot.new_user(), password=dovecot.password, mechanism="PLAIN"
    ) as client:
        with pytest.raises(MailboxNotFound):
            client.append("Missing", b"x" * 20_000_000)
        assert client.status("INBOX", "MESSAGES").messages == 0
        assert client.append("INBOX", b"Subject: x\r\n\r\n" + b"x" * 1_000_000).uid is not None
