"""Many users on one server, which counts who is logged in, and can be slow."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account
from fastimap.archive import FromFile
from fastimap.testing import IMAPServer, commands, server
from fastimap.testing.session import Session, State
from tests.archive.conftest import message

__all__ = ["SECRET", "Crowd", "crowded"]

SECRET = "tanstaaf-s3cret"


class Crowd:
    """Users u0, u1, ..., each with `messages` in INBOX and in Sent."""

    def __init__(self, server: IMAPServer, directory: Path, users: int, messages: int) -> None:
        self.server = server
        self.file = directory / "password"
        self.file.write_text(SECRET + "\n")
        self.users = [f"u{number}" for number in range(users)]
        self.sent: dict[str, Counter[bytes]] = {user: Counter() for user in self.users}
        self.now = self.most = 0
        """Logged in at once."""
        self.linger = 0.0
        """Seconds that each login and each FETCH take longer."""
        self.held: dict[str, threading.Event] = {}
        """By mailbox, which not every user has: until then no FETCH of it ends."""
        self.fetching = threading.Event()
        """Bodies are being fetched."""
        self._lock = threading.Lock()
        for number, user in enumerate(self.users):
            server.add_user(user, SECRET)
            server.create("Sent", user=user)
            self.fill(user, messages, number * 1000)

    def fill(self, user: str, messages: int, number: int, mailboxes: Sequence[str] = ("INBOX", "Sent")) -> None:
        for mailbox in mailboxes:
            for _ in range(messages):
                number += 1
                octets = message(number)
                self.server.append(mailbox, octets, user=user)
                self.sent[user][octets] += 1

    def expunge(self, user: str, mailbox: str, uids: Iterable[int]) -> None:
        gone = {*uids}
        for each in self.server.messages(mailbox, user=user):
            if each.uid in gone:
                self.sent[user][each.octets] -= 1
        self.sent[user] += Counter()
        self.server.expunge(mailbox, gone, user=user)

    def account(self, user: str, **more: Any) -> Account:
        given: dict[str, Any] = {"user": user, "password": FromFile(self.file), "tls": False, "mechanism": "PLAIN"}
        return Account(self.server.host, self.server.port, **(given | {"timeout": 20} | more))

    def accounts(self) -> list[Account]:
        return [self.account(user) for user in self.users]

    @contextlib.contextmanager
    def together(self, number: int) -> Iterator[None]:
        """Hold each FETCH of INBOX while the block runs, until so many have been logged in at once."""
        until = self.held["INBOX"] = threading.Event()

        def watch() -> None:
            while self.most < number and not until.wait(0.01):
                pass
            until.set()

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield
        finally:
            until.set()
            watching.join()

    def carry_out(self, session: Session, arguments: Any) -> str:
        before = session.state
        text = self._really(session, arguments)
        if before is State.NOT_AUTHENTICATED and session.state is State.AUTHENTICATED:
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(self.linger)
        elif session.state is State.LOGOUT and before is not State.NOT_AUTHENTICATED:
            with self._lock:
                self.now -= 1
        elif text.startswith("FETCH"):
            self.fetching.set()
            time.sleep(self.linger)
            for name, until in self.held.items():
                if session.account.mailboxes.get(name) is session.view.mailbox:
                    until.wait(60)
        return text

    _really = staticmethod(commands.carry_out)

    def stored(self, root: Path) -> dict[str, Counter[bytes]]:
        """Return what the files of the Maildirs below `root` hold, by user."""
        found = {}
        for user in self.users:
            files = (root / f"{user}@{self.server.host}").rglob("*fastimap,*")
            found[user] = Counter(path.read_bytes() for path in files)
        return found


@contextlib.contextmanager
def crowded(directory: Path, patch: pytest.MonkeyPatch, users: int = 6, messages: int = 5) -> Iterator[Crowd]:
    """Run a server with many users."""
    with IMAPServer(users={}) as made:
        crowd = Crowd(made, directory, users, messages)
        patch.setattr(server, "carry_out", crowd.carry_out)
        yield crowd
