"""The server: listens, and gives each client a thread with a session in it."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from .commands import carry_out
from .connection import Connection
from .content import Content
from .grammar import canonical_flag, now
from .mailbox import Account
from .session import Session, Store

DEFAULT_USERS = {"user": "password"}

_log = logging.getLogger("fastimap.testing")


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it stands in a mailbox."""

    uid: int
    octets: bytes
    flags: frozenset[str]
    internal_date: datetime


class IMAPServer:
    """An IMAP4rev1 server in memory, in threads of this process, for tests.

    It is not for the open network: it has passwords in the clear and no quota, and listens on loopback only.

    ::

        with IMAPServer() as server:
            server.append("INBOX", b"Subject: hello\\r\\n\\r\\nworld\\r\\n")
            client = imaplib.IMAP4(server.host, server.port)
            client.login("user", "password")

    `users` maps names to passwords. `host` is a loopback address and `port` the TCP port, 0 for a free one.
    With `tls`, every connection begins with a handshake; with `starttls`, STARTTLS is offered. Both are
    contexts for the server's side, with its certificate loaded. `require_tls` refuses passwords before TLS
    (LOGINDISABLED).

    The methods that change or show mailboxes may be called at any time, by any thread; clients hear of
    changes as they would of another client's. They act on the account `user`, by default the first one,
    and raise ValueError for a mailbox, flag or user that can't be.
    """

    host: str
    """The address that it listens on."""
    port: int
    """The TCP port that it listens on, once it was started."""

    def __init__(
        self,
        *,
        users: Mapping[str, str] = DEFAULT_USERS,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        require_tls: bool = False,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"{host} is not a loopback address: this server is for tests on one machine")
        self.host = host
        self.port = port
        self._tls = tls
        self._store = Store(starttls=starttls, require_tls=require_tls)
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._sessions: dict[threading.Thread, Connection] = {}
        self._closing = False
        for name, password in users.items():
            self.add_user(name, password)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to listen and to answer. Raises OSError if the port can't be had."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=128)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), name="fastimap.testing acceptor", daemon=True
        )
        self._acceptor.start()

    def close(self) -> None:
        """End all sessions, stop to listen, and wait until every thread has ended."""
        if self._listener is None or self._acceptor is None:
            return
        self._closing = True
        # Closing a listening socket does not wake accept(): a connection does.
        socket.create_connection((self.host, self.port)).close()
        self._acceptor.join()
        self._listener.close()
        self.disconnect_all()
        self._listener = None

    def disconnect_all(self) -> None:
        """End all sessions, as a server does that goes down: without a BYE."""
        with self._store.lock:
            sessions = list(self._sessions.items())
        for thread, connection in sessions:
            connection.hang_up()
            thread.join()

    def add_user(self, name: str, password: str) -> None:
        """Open an account with an empty INBOX; raises ValueError if there is one of that name."""
        with self._store.lock:
            if name in self._store.accounts:
                raise ValueError(f"there is a user called {name!r}")
            self._store.accounts[name] = Account(password)

    def create(self, mailbox: str, *, user: str | None = None) -> None:
        """Create a mailbox; ``/`` in its name is the hierarchy delimiter."""
        with self._store.lock:
            self._account(user).create(mailbox)

    def append(
        self,
        mailbox: str,
        octets: bytes,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        *,
        user: str | None = None,
    ) -> int:
        """Add a message of these octets and return its UID. `internal_date` has a time zone; None is now."""
        if internal_date is not None and internal_date.utcoffset() is None:
            raise ValueError("the internal date has no time zone")
        canonical = frozenset(canonical_flag(flag) for flag in flags)
        with self._store.lock:
            target = self._account(user).mailbox(mailbox)
            return target.add(Content(octets), canonical, internal_date or now()).uid

    def messages(self, mailbox: str, *, user: str | None = None) -> list[StoredMessage]:
        """Return what stands in a mailbox now, in ascending order of UID."""
        with self._store.lock:
            return [
                StoredMessage(message.uid, message.content.octets, message.flags, message.internal_date)
                for message in self._account(user).mailbox(mailbox).messages
            ]

    def set_flags(self, mailbox: str, uid: int, flags: Iterable[str], *, user: str | None = None) -> None:
        """Replace the flags of a message, if it is still there."""
        canonical = frozenset(canonical_flag(flag) for flag in flags)
        with self._store.lock:
            target = self._account(user).mailbox(mailbox)
            for message in target.messages:
                if message.uid == uid:
                    target.set_flags(message, canonical)

    def expunge(self, mailbox: str, uids: Iterable[int], *, user: str | None = None) -> None:
        """Remove the messages with these UIDs, flagged ``\\Deleted`` or not."""
        chosen = set(uids)
        with self._store.lock:
            target = self._account(user).mailbox(mailbox)
            target.expunge([message for message in target.messages if message.uid in chosen])

    def _account(self, user: str | None) -> Account:
        accounts = self._store.accounts
        if user is None:
            return next(iter(accounts.values()))
        if user not in accounts:
            raise ValueError(f"there is no user called {user!r}")
        return accounts[user]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            if self._closing:
                sock.close()
                return
            # Responses leave whole, so that waiting for more to send along would only delay them.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock)
            thread = threading.Thread(
                target=self._converse, args=(connection,), name="fastimap.testing session", daemon=True
            )
            with self._store.lock:
                self._sessions[thread] = connection
                thread.start()

    def _converse(self, connection: Connection) -> None:
        try:
            if self._tls is not None:
                connection.start_tls(self._tls)
            Session(connection, self._store, carry_out).run()
        except (OSError, EOFError) as exc:
            _log.debug("A session ended: %r", exc)
        finally:
            with self._store.lock:
                del self._sessions[threading.current_thread()]
                connection.close()
