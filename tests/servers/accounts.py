"""Accounts on the real servers for the tests of the typed clients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from fastimap.errors import CapabilityMissing
from tests.client.interfaces import Interface
from tests.servers.server import Server


@dataclass(frozen=True)
class Account:
    """A new user of a server, and a way to be its client."""

    server: Server
    user: str
    interface: Interface

    def client(self, *, user: str | None = None, **settings: Any) -> Any:
        """Return a client that is logged in, without TLS unless `settings` say otherwise."""
        server = self.server
        settings = {"tls": False, "mechanism": "LOGIN", "timeout": 30, "password": server.password, **settings}
        port = server.tls_port if settings["tls"] is True else server.port
        client = self.interface(server.host, port, user=user or self.user, **settings)
        client.connect()
        return client

    @property
    def is_courier(self) -> bool:
        return self.server.name.startswith("courier")

    @property
    def delimiter(self) -> str:
        return "." if self.is_courier else "/"

    def mailbox(self, *levels: str) -> str:
        """Return the name of a mailbox: Courier has everything below INBOX."""
        return self.delimiter.join(("INBOX", *levels) if self.is_courier else levels)


@contextlib.contextmanager
def offered(client: Any, *capabilities: str) -> Iterator[None]:
    """Have the block work where the server has all `capabilities`; else nothing of it may be sent."""
    missing = [capability for capability in capabilities if not client.session.has(capability)]
    if not missing:
        yield
        return
    before = client.counters.commands
    with pytest.raises(CapabilityMissing) as refused:
        yield
    assert refused.value.capability in missing
    assert client.counters.commands == before


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]


def letter(
    number: int,
    subject: str,
    sender: str,
    *,
    date: str,
    answers: int | None = None,
    text: str = "Nothing new.",
) -> bytes:
    """Return a message; its ID is made of `number`, and it answers the message with the number `answers`."""
    lines = [
        f"From: {sender}",
        "To: Ann <ann@example.org>",
        f"Subject: {subject}",
        f"Date: {date}",
        f"Message-ID: <{number}@example.org>",
        *([f"In-Reply-To: <{answers}@example.org>", f"References: <{answers}@example.org>"] if answers else []),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        text,
        "",
    ]
    return "\r\n".join(lines).encode()


LETTERS = (
    letter(1, "plan", "Ann <ann@example.org>", date="Mon, 02 Feb 2026 10:00:00 +0000"),
    letter(2, "Re: plan", "Zoe <bob@example.org>", date="Tue, 03 Feb 2026 10:00:00 +0000", answers=1),
    letter(3, "apples", "Cy <cy@example.org>", date="Thu, 01 Jan 2026 10:00:00 +0000", text="Grüße aus Köln"),
    letter(4, "Re: plan", "Bo <dan@example.org>", date="Wed, 04 Feb 2026 10:00:00 +0000", answers=2, text="x" * 3000),
)
FLAGS = (("\\Seen",), ("\\Flagged", "\\Seen"), (), ("\\Answered", "project"))
DATES = (utc(2026, 2, 2, 11), utc(2026, 2, 3, 11), utc(2026, 1, 1, 11), utc(2026, 2, 4, 11))


def fill(client: Any, mailbox: str = "INBOX") -> list[int]:
    """Append LETTERS; return their UIDs."""
    uids = []
    for message, flags, date in zip(LETTERS, FLAGS, DATES, strict=True):
        result = client.append(mailbox, message, flags=flags, internal_date=date)
        assert result.uid is not None
        uids.append(result.uid)
    return uids
