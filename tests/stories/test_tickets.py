"""A program that makes a ticket of each mail, for ever."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from fastimap import Account, AsyncFollow, Client, follow
from fastimap.types import Message
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.usefixtures("implementation")


@pytest.fixture
def account(dovecot: Dovecot) -> Account:
    user = dovecot.new_user()
    made = Account(
        dovecot.host, dovecot.port, user=user, password=dovecot.password, tls=False, mechanism="LOGIN", timeout=20
    )
    with Client(made) as client:
        client.create_mailbox("Support")
    return made


def send(account: Account, mailbox: str, subject: str) -> None:
    with Client(account) as client:
        client.append(mailbox, f"From: ann@example.org\r\nSubject: {subject}\r\n\r\nHelp!\r\n".encode())


def create_ticket(db: sqlite3.Connection, message: Message) -> None:
    assert message.envelope is not None
    db.execute("INSERT INTO tickets VALUES (?)", (message.envelope.subject,))


def test_tickets(account: Account, tmp_path: Path) -> None:
    send(account, "INBOX", "before")
    db = sqlite3.connect(tmp_path / "tickets.sqlite")
    db.execute("CREATE TABLE tickets (subject TEXT)")

    with follow(account, ["INBOX", "Support"], cursor=tmp_path / "tickets.sqlite", start="new", once=True) as mail:
        assert list(mail) == []
    send(account, "INBOX", "while nobody looked")

    with follow(account, ["INBOX", "Support"], cursor=tmp_path / "tickets.sqlite", start="new") as mail:
        for message in mail:
            with db:
                create_ticket(db, message)
                message.done(db)
            assert message.envelope is not None
            if message.envelope.subject == "while nobody looked":
                send(account, "Support", "while it waits")
            else:
                mail.stop()

    assert db.execute("SELECT subject FROM tickets").fetchall() == [("while nobody looked",), ("while it waits",)]
    db.close()


def test_the_same_awaited(account: Account, tmp_path: Path) -> None:
    send(account, "INBOX", "one")
    found = []

    async def main() -> None:
        async with AsyncFollow(account, ["INBOX", "Support"], cursor=tmp_path / "c", start="all") as mail:
            async for message in mail:
                assert message.envelope is not None
                found.append((message.mailbox, message.envelope.subject))
                await message.done()
                if len(found) == 1:
                    await asyncio.to_thread(send, account, "Support", "two")
                else:
                    mail.stop()

    asyncio.run(main())
    assert found == [("INBOX", "one"), ("Support", "two")]
