"""An account on a real Dovecot, to be pulled, and what there is to know of it by another client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from fastimap import Account, Client
from fastimap.archive.stores import kind_of, store_at
from tests.client.conftest import implementation
from tests.servers.dovecot import Dovecot
from tests.servers.server import Server

__all__ = ["Mail", "implementation", "mail", "message", "stored"]


def message(number: int, size: int = 200) -> bytes:
    """Return a message that is unlike the others."""
    text = b"".join(b"line %d of message %d\r\n" % (line, number) for line in range(size // 22 + 1))
    head = b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: message %d\r\n" % number
    return head + b"Message-ID: <%d@example.org>\r\n\r\n" % number + text


@dataclass
class Mail:
    """A user's mail on a server."""

    server: Server
    user: str
    client: Client
    numbers: Any = field(default_factory=lambda: iter(range(1, 10_000_000)))

    @property
    def account(self) -> Account:
        server = self.server
        return Account(
            server.host, server.port, user=self.user, password=server.password, tls=False, mechanism="LOGIN", timeout=20
        )

    @property
    def url(self) -> str:
        return f"imaps://{self.user}@localhost:{self.server.tls_port}"

    def fill(self, mailbox: str, count: int, *, flags: tuple[str, ...] = (), create: bool = False) -> list[bytes]:
        """Append messages that nobody has seen before; return them."""
        if create:
            self.client.create_mailbox(mailbox)
        made = []
        for _ in range(count):
            number = next(self.numbers)
            made.append(message(number, 50 * (number % 40)))
            date = datetime.fromtimestamp(1_600_000_000 + 1000 * number, UTC)
            self.client.append(mailbox, made[-1], flags=flags, internal_date=date)
        return made

    def all(self) -> dict[str, list[tuple[int, bytes, tuple[str, ...], int]]]:
        """Return what the server has: of each mailbox UID, octets, flags and date."""
        found = {}
        for info in self.client.list_mailboxes():
            if info.is_selectable:
                self.client.select(info, read_only=True)
                rows = self.client.fetch("1:*", "FLAGS", "INTERNALDATE", "BODY.PEEK[]")
                found[info.name] = sorted(
                    (
                        row.uid or 0,
                        row.body or b"",
                        tuple(sorted((row.flags or frozenset()) - {"\\Recent"})),
                        int(row.internal_date.timestamp()) if row.internal_date else 0,
                    )
                    for row in rows
                )
        self.client.unselect()
        return found

    def expunge(self, mailbox: str, uids: list[int]) -> None:
        self.client.select(mailbox)
        self.client.delete_messages(uids)
        self.client.unselect()


def instead_of_compare(patched: pytest.MonkeyPatch, other: Callable[..., Any]) -> None:
    """Have a pull compare mailboxes by another function."""
    patched.setattr("fastimap.archive.receiving.compare", other)


def stored(root: Any, *, gone: bool | None = False) -> dict[str, list[tuple[int, bytes, tuple[str, ...], int]]]:
    """Return what a store has, read by its own reader: of each mailbox UID, octets, flags and date."""
    kind = kind_of(root)
    assert kind is not None
    store = store_at(root)
    state = store.load(None)
    store.open(state)
    found: dict[str, list[tuple[int, bytes, tuple[str, ...], int]]] = {}
    for place in state.places(former=True):
        entries = list(state.entries(place, gone=gone))
        if entries or place.current:
            found.setdefault(place.name, []).extend(
                (entry.uid, store.read(place, entry), tuple(entry.flags.split()), entry.date or 0) for entry in entries
            )
    store.close()
    state.close()
    return {name: sorted(messages) for name, messages in found.items()}


@pytest.fixture
def mail(dovecot: Dovecot) -> Iterator[Mail]:
    """A new user, with INBOX, Drafts and Trash."""
    user = dovecot.new_user()
    login: dict[str, Any] = {"user": user, "password": dovecot.password, "tls": False, "mechanism": "LOGIN"}
    with Client(dovecot.host, dovecot.port, **login) as client:
        yield Mail(dovecot, user, client)
