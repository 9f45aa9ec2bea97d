"""follow against a scripted server that says wrong things about its mailbox: nothing is lost, nothing is done twice.

``python -m tests.sessions.oddities --runs 10000 --seed 1`` makes so many rounds. In each, mail arrives, also below
UIDs that were seen before, messages are expunged, and the server is wrong in one or several of the ways in `ODDITIES`.
A world of twelve rounds ends with rounds of an honest server, some minutes and then a day later. By then each message
that was not expunged must have been handled, or be parked with a reason; none may have been handled twice.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fastimap import Account, Retry, follow
from fastimap.sessions.cursor import SQLiteCursor
from fastimap.sessions.follow import body
from fastimap.sessions.retry import no_waits

ODDITIES = (
    "UIDNEXT missing", "UIDNEXT falls", "UIDNEXT ahead", "EXISTS too low", "EXISTS too high", "HIGHESTMODSEQ 0",
    "SEARCH lags", "SEARCH finds what is gone", "FETCH lacks a message", "FETCH in another order", "FETCH twice",
    "unsolicited FETCH", "unsolicited EXISTS", "cut",
)  # fmt: skip
ROUNDS = 12


class World:
    """The mailbox, and what the server gets wrong about it now."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 1.8e9
        self.uids: set[int] = set()
        self.next = 1
        self.held_back: set[int] = set()
        """UIDs that were given to deliveries which are not finished yet."""
        self.ever: set[int] = set()
        self.odd: set[str] = set()

    def change(self) -> None:
        """Have some minutes pass, mail arrive and go, and the server be wrong."""
        chance = self.chance
        self.now += chance.choice((1, 30, 300, 700, 3000))
        if chance.random() < 0.1:
            self.next += 400_000
        for _ in range(chance.randrange(5)):
            (self.held_back if chance.random() < 0.25 else self.uids).add(self.next)
            self.next += chance.choice((1, 1, 1, 3))
        for uid in sorted(self.held_back):
            if chance.random() < 0.3:
                self.held_back.remove(uid)
                self.uids.add(uid)
        self.ever |= self.uids
        for uid in sorted(self.uids):
            if chance.random() < 0.08:
                self.uids.remove(uid)
        self.odd = set(chance.sample(ODDITIES, chance.randrange(4)))

    def end(self) -> None:
        """Have all deliveries finished, and the server honest."""
        self.uids |= self.held_back
        self.ever |= self.uids
        self.held_back = set()
        self.odd = set()

    def answer(self, command: str, arguments: str) -> Iterator[str]:
        """Yield the untagged responses to a command; raise ConnectionError to hang up."""
        present = sorted(self.uids)
        odd, chance = self.odd, self.chance
        if "cut" in odd and chance.random() < 0.3:
            odd.discard("cut")
            raise ConnectionError
        if command in ("SELECT", "EXAMINE"):
            wrong = {"EXISTS too low": -1, "EXISTS too high": 2}
            exists = max(len(present) + sum(wrong.get(name, 0) for name in odd), 0)
            yield f"* {exists} EXISTS"
            yield "* OK [UIDVALIDITY 7] UIDs valid"
            uid_next = self.next + 400_000 * ("UIDNEXT ahead" in odd)
            if "UIDNEXT falls" in odd:
                uid_next = max(uid_next // 2, 1)
            if "UIDNEXT missing" not in odd:
                yield f"* OK [UIDNEXT {uid_next}] Predicted"
            if "HIGHESTMODSEQ 0" in odd:
                yield "* OK [HIGHESTMODSEQ 0] Highest"
        elif command == "UID SEARCH":
            found = self._within(arguments, present)
            if "SEARCH lags" in odd and found:
                found.remove(chance.choice(found))
            gone = sorted(self.ever - self.uids)
            if "SEARCH finds what is gone" in odd and gone:
                found.append(chance.choice(gone))
            yield " ".join(["* SEARCH", *map(str, found)])
            if "unsolicited EXISTS" in odd:
                yield f"* {len(present)} EXISTS"
        elif command == "UID FETCH":
            found = self._within("UID " + arguments.split(" ")[0], present)
            if "FETCH lacks a message" in odd and found:
                found.remove(chance.choice(found))
            if "FETCH in another order" in odd:
                chance.shuffle(found)
            if "FETCH twice" in odd:
                found += found[:1]
            if "unsolicited FETCH" in odd and present:
                uid = chance.choice(present)
                yield f"* {present.index(uid) + 1} FETCH (UID {uid} FLAGS (\\Seen))"
            for uid in found:
                text = f"Subject: {uid}\r\n\r\nHi\r\n"
                yield f"* {present.index(uid) + 1} FETCH (UID {uid} BODY[] {{{len(text)}}}\r\n{text})"

    def _within(self, key: str, present: list[int]) -> list[int]:
        """Return the messages that are meant by ALL or UID and a set (RFC 9051, section 6.4.8)."""
        asked = re.search(r"UID ([0-9:,*]+)", key)
        if asked is None:
            return list(present)
        last = present[-1] if present else 0
        chosen = set()
        for part in asked[1].split(","):
            ends = [last if number == "*" else int(number) for number in part.split(":")]
            chosen |= {uid for uid in present if min(ends) <= uid <= max(ends)}
        return sorted(chosen)


class Server:
    """Serves one world, one connection after the other, until it is closed."""

    def __init__(self) -> None:
        self.world: World | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
                connection.sendall(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
                for line in lines:
                    connection.sendall(self._answer(line.decode().rstrip("\r\n")))

    def _answer(self, line: str) -> bytes:
        tag, command, *arguments = line.split(" ")
        if command == "UID":
            command = f"UID {arguments.pop(0)}"
        assert self.world is not None
        responses = [*self.world.answer(command, " ".join(arguments)), f"{tag} OK {command} completed"]
        if command == "LOGIN":
            responses[-1] = f"{tag} OK [CAPABILITY IMAP4rev1] logged in"
        return "".join(response + "\r\n" for response in responses).encode()


def explore(server: Server, directory: Path, seed: int) -> int:
    """Go through one world; return how many messages it had. Raises AssertionError for one that is lost or doubled."""
    world = server.world = World(random.Random(seed))
    account = Account("127.0.0.1", server.port, user="u", password="p", tls=False, mechanism="LOGIN", timeout=20)
    cursor = SQLiteCursor(directory / f"{seed}.sqlite", clock=lambda: world.now)
    handled: Counter[int] = Counter()
    parked: set[int] = set()

    def look() -> None:
        options: dict[str, Any] = {"items": ("BODY.PEEK[]",), "retry": Retry(attempts=20), "once": True}
        with follow(account, cursor=cursor, start="all", **options) as mail:
            for message in mail:
                handled[message.uid] += 1
                assert message.body == b"Subject: %d\r\n\r\nHi\r\n" % message.uid, (
                    f"seed {seed}: {message.row} {message.row.defects}"
                )
                message.done()
            parked.update(failed.uid for failed in mail.parked())

    with patch.object(body, "time") as clock, no_waits():
        clock.time = lambda: world.now
        for _ in range(ROUNDS - 4):
            world.change()
            look()
        world.end()
        for seconds in (1000, 5000, 90_000, 90_000):
            world.now += seconds
            look()
    cursor.close()
    twice = sorted(uid for uid, count in handled.items() if count > 1)
    lost = sorted(world.uids - handled.keys() - parked)
    assert not twice, f"seed {seed}: handled twice: {twice}"
    assert not lost, f"seed {seed}: lost: {lost}"
    return len(world.ever)


def run(*, runs: int, seed: int) -> str:
    """Make so many rounds; return what came of it."""
    messages = rounds = 0
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as directory:
            while rounds < runs:
                messages += explore(server, Path(directory), seed + rounds)
                rounds += ROUNDS
    finally:
        server.close()
    return f"{rounds} rounds, {messages} messages: none lost, none handled twice"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(run(runs=given.runs, seed=given.seed), flush=True)


if __name__ == "__main__":
    main()
