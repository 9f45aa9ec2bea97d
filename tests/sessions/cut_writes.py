"""APPEND, COPY and MOVE with `retry`, through a proxy that cuts anywhere: is every message there exactly once?

``python -m tests.sessions.cut_writes --runs 500 --seed 1`` prints a line for each kind of run; a run that fails prints
its seed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from fastimap import AsyncClient, Client
from fastimap.sessions import writes
from tests.servers import dovecot
from tests.servers.server import Server
from tests.sessions import cuts
from tests.sessions.cuts import TIMEOUTS, Tally, at_work, login, message, strike, thawed
from tests.support.cuts import Proxy, proxied, seeded

MESSAGES = [message(number) for number in (2, 3, 4, 7, 12)]
TWINS = [b"Subject: no Message-ID\r\n\r\nthe same\r\n"] * 2
ALL = MESSAGES + TWINS


def apart(seconds: float) -> None:
    """Wait for nothing but what those seconds are for: that the server does what it was stopped in.

    On a busy machine that is long: until none of its processes has anything to do, at several looks in a row.
    """
    if seconds >= writes._APART:
        thawed()
        looks, end = 0, time.monotonic() + 30
        while looks < 5 and time.monotonic() < end:
            time.sleep(0.02)
            looks = 0 if at_work(_present[-1]) else looks + 1


_present: list[Server] = []
"""The server of the present run, the last."""


RETRY = replace(cuts.RETRY, sleep=apart)
Kind = Callable[[Server, str, Proxy, bool], None]
"""A run: by the server, a user and the proxy; with the client of asyncio or the other."""


def written(server: Server, user: str, proxy: Proxy, asynchronous: bool, job: Callable[[Any], Any]) -> None:
    """Run a job, which may be one to be awaited step by step: it yields what a client's methods return."""
    settings = {**login(server, user), "timeout": TIMEOUTS, "retry": RETRY}
    if asynchronous:

        async def main() -> None:
            async with AsyncClient(proxy.host, proxy.port, **settings) as client:
                steps = job(client)
                answer = None
                while True:
                    try:
                        answer = await steps.send(answer)
                    except StopIteration:
                        return

        asyncio.run(main())
    else:
        with Client(proxy.host, proxy.port, **settings) as client:
            steps = job(client)
            answer = None
            while True:
                try:
                    answer = steps.send(answer)
                except StopIteration:
                    return


def append(server: Server, user: str, proxy: Proxy, asynchronous: bool) -> None:
    uids: list[int] = []

    def job(client: Any) -> Generator[Any, Any, None]:
        for octets in MESSAGES:
            result = yield client.append("INBOX", octets, flags="\\Seen", retry=RETRY)
            uids.append(result.uid)

    written(server, user, proxy, asynchronous, job)
    there = held(server, user, "INBOX")
    assert [there.get(uid) for uid in uids] == MESSAGES, uids


def copy(server: Server, user: str, proxy: Proxy, asynchronous: bool, name: str = "copy") -> None:
    pairs: list[tuple[int, int]] = []

    def job(client: Any) -> Generator[Any, Any, None]:
        yield client.select("INBOX")
        result = yield getattr(client, name)(range(1, len(ALL) + 1), "Trash", retry=RETRY)
        pairs.extend(result.pairs())

    written(server, user, proxy, asynchronous, job)
    there = held(server, user, "Trash")
    assert sorted(source for source, _ in pairs) == list(range(1, len(ALL) + 1)), pairs
    for source, copied in pairs:
        assert there.get(copied) == ALL[source - 1], pairs


def move(server: Server, user: str, proxy: Proxy, asynchronous: bool) -> None:
    copy(server, user, proxy, asynchronous, "move")


KINDS: dict[str, Kind] = {"append": append, "copy": copy, "move": move}
EXPECTED: dict[str, dict[str, list[bytes]]] = {
    "append": {"INBOX": MESSAGES},
    "copy": {"INBOX": ALL, "Trash": ALL},
    "move": {"INBOX": [], "Trash": ALL},
}


def held(server: Server, user: str, mailbox: str) -> dict[int, bytes]:
    """Return what a mailbox has, by UID."""
    with Client(server.host, server.port, **login(server, user)) as client:
        client.select(mailbox, read_only=True)
        return {row.uid or 0: row.body or b"" for row in client.fetch("1:*", "BODY.PEEK[]")}


def prepared(server: Server, kind: str) -> str:
    """Return a new user, whose INBOX has what is to be copied."""
    user = server.new_user()
    if kind != "append":
        with Client(server.host, server.port, **login(server, user)) as client:
            for octets in ALL:
                client.append("INBOX", octets)
    return user


def measured(server: Server, kind: str) -> tuple[int, int]:
    """Return the octets to the client and to the server of a run without cuts."""
    with proxied(server.host, server.port) as proxy:
        KINDS[kind](server, prepared(server, kind), proxy, False)
        return proxy.octets[1], proxy.octets[0]


def run(server: Server, kind: str, seed: int, octets: tuple[int, int], tally: Tally) -> None:
    """Do one run, and say what is wrong with it."""
    user = prepared(server, kind)
    _present[:] = [server]
    with proxied(server.host, server.port) as proxy:
        proxy.at_server = lambda way: strike(server, way)
        proxy.cuts.extend(seeded(seed, *octets, to_client=0.4))
        tally.runs += 1
        try:
            KINDS[kind](server, user, proxy, bool(seed % 2))
        except Exception as exc:
            told = "; ".join([str(exc), *getattr(exc, "__notes__", ())])
            tally.failed.append(f"seed {seed}: {type(exc).__name__}: {told}; cuts: {proxy.done}")
            return
        finally:
            tally.cuts += len(proxy.done)
        for mailbox, messages in EXPECTED[kind].items():
            if Counter(held(server, user, mailbox).values()) != Counter(messages):
                tally.failed.append(f"seed {seed}: {mailbox} is not what it should be; cuts: {proxy.done}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=KINDS, action="append")
    given = parser.parse_args()
    failed = False
    with dovecot.running() as server:
        for kind in given.only or KINDS:
            tally = Tally()
            octets = measured(server, kind)
            began = time.monotonic()
            for seed in range(given.seed, given.seed + given.runs):
                run(server, kind, seed, octets, tally)
            for line in tally.failed:
                print(line, file=sys.stderr)
            failed = failed or bool(tally.failed)
            print(
                f"{kind}: {tally.runs} runs, {tally.cuts} cuts, {len(tally.failed)} failed; "
                f"{time.monotonic() - began:.0f} s",
                flush=True,
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
