"""Connections to a real Dovecot, and to a Cyrus, that are cut anywhere: does what comes out equal the mailbox?

``python -m tests.sessions.cuts --runs 1000 --seed 1`` prints one line for each kind of run; a run that fails prints its
seed, and the exit code is 1. ``--only fetch_iter`` takes one kind, ``--server cyrus`` one of the servers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fastimap import AsyncClient, AsyncPool, Client, Pool, Timeouts
from fastimap.sessions.retry import Retry, no_waits
from tests.servers import cyrus, dovecot
from tests.servers.cyrus import Cyrus
from tests.servers.server import Server
from tests.support.cuts import Proxy, Way, proxied, seeded

MESSAGES = 200
RETRY = Retry(attempts=50, within=300.0, burst=10_000)
TIMEOUT = 0.5
TIMEOUTS = Timeouts(connect=TIMEOUT, response=TIMEOUT)


@dataclass
class Mailbox:
    """What is in INBOX, by UID; and about how many octets a run of it takes, to the client and to the server."""

    server: Server
    user: str
    messages: dict[int, bytes]
    octets: tuple[int, int] = (0, 0)


@dataclass
class Tally:
    """What came of the runs of one kind."""

    runs: int = 0
    cuts: int = 0
    reconnects: int = 0
    failed: list[str] = field(default_factory=list)


def message(number: int) -> bytes:
    """Return a message of 200 octets to 24 KiB, with lines that look like IMAP in some."""
    chance = random.Random(number)
    size = chance.choice((0, 100, 1000, 6000, 24_000))
    text = bytes(chance.choices(b'abcdefghij klmnop\\"(){}*', k=size))
    lines = [text[start : start + 70] for start in range(0, size, 70)]
    if number % 7 == 0:
        lines += [b"* 1 FETCH (UID 1 BODY[] {3}", b"T1 OK done", b")"]
    head = b"From: ann@example.org\r\nSubject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n" % (number, number)
    return head + b"".join(line + b"\r\n" for line in lines)


@contextlib.contextmanager
def filled(server: Server) -> Iterator[Mailbox]:
    """Give a new user's INBOX with messages; every third UID is missing."""
    user = server.new_user()
    with Client(server.host, server.port, **login(server, user)) as client:
        client.multi_append("INBOX", map(message, range(1, MESSAGES + MESSAGES // 2 + 1)))
        client.select("INBOX")
        client.store(range(3, MESSAGES * 2, 3), "\\Deleted", silent=True)
        client.expunge(range(3, MESSAGES * 2, 3))
        uids = [number for number in range(1, MESSAGES + MESSAGES // 2 + 1) if number % 3]
        yield Mailbox(server, user, {uid: message(uid) for uid in uids})


def login(server: Server, user: str) -> dict[str, Any]:
    return {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}


def arguments(mailbox: Mailbox, seed: int) -> dict[str, Any]:
    """Return a client's settings: a quarter of the runs are with TLS, another compressed."""
    given = {**login(mailbox.server, mailbox.user), "timeout": TIMEOUTS, "retry": RETRY}
    if seed % 8 in (2, 3):
        given["tls"] = True
        given["ssl_context"] = ssl.create_default_context(cafile=mailbox.server.ca_file)
    given["compress"] = seed % 8 in (4, 5)
    return given


Kind = Callable[[Mailbox, Proxy, int], tuple[list[tuple[int, bytes]], int]]
"""A run: from the mailbox and the proxy to what came out, and how often the connection was made anew."""


def fetch_iter(mailbox: Mailbox, proxy: Proxy, seed: int) -> tuple[list[tuple[int, bytes]], int]:
    chance = random.Random(seed)
    sizes = {"chunk": chance.choice((1, 7, 50, 500)), "in_flight": chance.choice((1, 3))}
    uids = list(mailbox.messages)
    if seed % 2:

        async def main() -> tuple[list[tuple[int, bytes]], int]:
            async with AsyncClient(proxy.host, proxy.port, **arguments(mailbox, seed)) as client:
                await client.select("INBOX", read_only=True)
                rows = [(row.uid, row.body) async for row in client.fetch_iter(uids, "BODY.PEEK[]", **sizes)]
                return rows, client.counters.reconnects  # type: ignore[return-value]

        return asyncio.run(main())
    with Client(proxy.host, proxy.port, **arguments(mailbox, seed)) as client:
        client.select("INBOX", read_only=True)
        rows = [(row.uid, row.body) for row in client.fetch_iter(uids, "BODY.PEEK[]", **sizes)]
        return rows, client.counters.reconnects  # type: ignore[return-value]


def fetch_into(mailbox: Mailbox, proxy: Proxy, seed: int) -> tuple[list[tuple[int, bytes]], int]:
    uids = list(mailbox.messages)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files: list[BinaryIO] = []

        def into(uid: int | None, item: str, size: int) -> BinaryIO:
            assert uid is not None
            files.append((directory / str(uid)).open("xb"))  # "x": a second file for one message is an error
            return files[-1]

        if seed % 2:

            async def main() -> tuple[list[int | None], int]:
                async with AsyncClient(proxy.host, proxy.port, **arguments(mailbox, seed)) as client:
                    await client.select("INBOX", read_only=True)
                    rows = await client.fetch_into(uids, "BODY.PEEK[]", into=into)
                    return [row.uid for row in rows], client.counters.reconnects

            found, reconnects = asyncio.run(main())
        else:
            with Client(proxy.host, proxy.port, **arguments(mailbox, seed)) as client:
                client.select("INBOX", read_only=True)
                found = [row.uid for row in client.fetch_into(uids, "BODY.PEEK[]", into=into)]
                reconnects = client.counters.reconnects
        for file in files:
            file.close()
        return [(uid or 0, (directory / str(uid)).read_bytes()) for uid in found], reconnects


def pool_fetch_iter(mailbox: Mailbox, proxy: Proxy, seed: int) -> tuple[list[tuple[int, bytes]], int]:
    uids = list(mailbox.messages)
    settings = {**arguments(mailbox, seed), "connections": random.Random(seed).choice((1, 2, 4))}
    if seed % 2:

        async def main() -> tuple[list[tuple[int, bytes]], int]:
            async with AsyncPool(proxy.host, proxy.port, **settings) as pool:
                rows = [(row.uid, row.body) async for row in pool.fetch_iter("INBOX", uids, "BODY.PEEK[]")]
                return rows, pool.stats().logins - pool.stats().opened  # type: ignore[return-value]

        return asyncio.run(main())
    with Pool(proxy.host, proxy.port, **settings) as pool:
        rows = [(row.uid, row.body) for row in pool.fetch_iter("INBOX", uids, "BODY.PEEK[]")]
        return rows, pool.stats().logins - pool.stats().opened  # type: ignore[return-value]


KINDS: dict[str, Kind] = {"fetch_iter": fetch_iter, "fetch_into": fetch_into, "pool.fetch_iter": pool_fetch_iter}

SERVERS: dict[str, Callable[[], contextlib.AbstractContextManager[Server]]] = {
    "dovecot": dovecot.running,
    "cyrus": lambda: cyrus.running("trixie"),
}


def measure(kind: Kind, mailbox: Mailbox) -> None:
    """Do a run without cuts, to know how long one is."""
    with proxied(mailbox.server.host, mailbox.server.port) as proxy:
        kind(mailbox, proxy, 0)
        mailbox.octets = proxy.octets[1], proxy.octets[0]


def strike(server: Server, way: Way) -> None:
    """Kill the server's IMAP processes, or stop them for longer than the deadlines."""
    struck = _processes(server)
    for process in struck:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL if way == "kill" else signal.SIGSTOP)
    if way == "freeze":
        _thaws.append(threading.Timer(1.5 * TIMEOUT, wake, [struck]))
        _thaws[-1].start()


_thaws: list[threading.Timer] = []


def thawed() -> None:
    """Wait until the processes that were stopped have gone on."""
    while _thaws:
        _thaws.pop().join()


def at_work(server: Server) -> bool:
    """Return whether one of the server's IMAP processes runs, or waits for a processor or the disk."""
    for process in _processes(server):
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state not in ("S", "I", "Z"):
                return True
    return False


def _processes(server: Server) -> list[int]:
    return server.processes() if isinstance(server, Cyrus) else _processes_of_dovecot(server)


def _processes_of_dovecot(server: Server) -> list[int]:
    master = (server.directory / "run" / "master.pid").read_text().strip()
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            name, _, rest = (path / "stat").read_text().partition("(")[2].rpartition(")")
            if name == "imap" and rest.split()[1] == master:
                found.append(int(path.name))
    return found


def wake(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def run(kind: Kind, mailbox: Mailbox, seed: int, tally: Tally) -> None:
    """Do one run, and say what is wrong with it."""
    port = mailbox.server.tls_port if seed % 8 in (2, 3) else mailbox.server.port
    with proxied(mailbox.server.host, port) as proxy:
        proxy.at_server = lambda way: strike(mailbox.server, way)
        proxy.cuts.extend(seeded(seed, *mailbox.octets))
        tally.runs += 1
        try:
            rows, reconnects = kind(mailbox, proxy, seed)
        except Exception as exc:
            tally.failed.append(f"seed {seed}: {type(exc).__name__}: {exc}; cuts: {proxy.done}")
            return
        finally:
            tally.cuts += len(proxy.done)
        tally.reconnects += reconnects
        if len(rows) != len(dict(rows)):
            tally.failed.append(f"seed {seed}: {len(rows) - len(dict(rows))} messages came twice; cuts: {proxy.done}")
        elif dict(rows) != mailbox.messages:
            wrong = [uid for uid, octets in mailbox.messages.items() if dict(rows).get(uid) != octets]
            tally.failed.append(f"seed {seed}: missing or different: {wrong[:10]}; cuts: {proxy.done}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--server", choices=SERVERS, action="append", help="both unless given")
    given = parser.parse_args()
    failed = False
    for server_name in given.server or SERVERS:
        with SERVERS[server_name]() as server, filled(server) as mailbox, no_waits():
            for name in given.only or KINDS:
                tally = Tally()
                measure(KINDS[name], mailbox)
                began = time.monotonic()
                for seed in range(given.seed, given.seed + given.runs):
                    run(KINDS[name], mailbox, seed, tally)
                for line in tally.failed:
                    print(line, file=sys.stderr)
                failed = failed or bool(tally.failed)
                print(
                    f"{server.name}, {name}: {tally.runs} runs, {tally.cuts} cuts, {tally.reconnects} reconnects, "
                    f"{len(tally.failed)} failed; {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
