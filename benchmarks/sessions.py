"""Several connections of one account, and many that do nothing: pools, 200 clients at once, followers that wait."""

import asyncio
import contextlib
import importlib
import os
import queue
import re
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.links import LINKS, Task, fill, linked, of, running, serve

if TYPE_CHECKING:
    from benchmarks.report import Bench, Row

MESSAGES = 20_000
MAILBOXES = 200
CLIENTS = 200
CONNECTIONS = 4
ONE, POOL, PEER = "Client", f"Pool, {CONNECTIONS}", f"IMAPClient, {CONNECTIONS} threads"
IDLE = 300.0
"""Seconds for which a follower is watched that has nothing to do, with one look at the mailbox (`poll`) in them; the
figures of an hour and of a day are calculated from that."""


def bodies(bench: "Bench") -> Iterator["Row"]:
    """All bodies of one mailbox, over each link."""
    with running() as server:
        user = server.new_user()
        fill(server, user, MESSAGES)
        for link in LINKS:
            with linked(server, user, link) as account:
                names = (ONE, POOL, *((PEER,) if bench.peers else ()))
                yield (
                    link,
                    bench.once([Task(name, "sessions", "bodies", [account], MESSAGES, MESSAGES) for name in names]),
                )


def mailboxes(bench: "Bench") -> Iterator["Row"]:
    """SELECT and ENVELOPEs of 200 mailboxes with 20 messages each."""
    with running() as server:
        user = server.new_user()
        fill(server, user, 20 * MAILBOXES, mailboxes=MAILBOXES)
        for link in LINKS:
            with linked(server, user, link) as account:
                names = (ONE, POOL, *((PEER,) if bench.peers else ()))
                yield (
                    link,
                    bench.once(
                        [Task(name, "sessions", "mailboxes", [account], MAILBOXES, 20 * MAILBOXES) for name in names]
                    ),
                )


def connections(bench: "Bench") -> Iterator["Row"]:
    """200 AsyncClients that connect and log in at once; then each waits."""
    with running() as server:
        user = server.new_user()
        for link in LINKS[:2]:
            with linked(server, user, link) as account:
                task = Task("AsyncClient", "sessions", "connections", [account], CLIENTS, CLIENTS)
                figures = bench.once([task])
                for each in figures.values():
                    if each:
                        each["each"] = each["memory"] / CLIENTS
                yield link, figures


def waiting(bench: "Bench") -> Iterator["Row"]:
    """A follower with nothing to do: what it costs in an hour."""
    with running() as server, tempfile.TemporaryDirectory() as directory:
        user = server.new_user()
        fill(server, user, 100)
        with linked(server, user, "plain") as account:
            tasks = [
                Task(name, "sessions", "waiting", [account], 1, environment={"FASTIMAP_REPORT": f"{directory}/{name}"})
                for name in ("follow", "AsyncFollow")
            ]
            with ThreadPoolExecutor() as threads:  # they have nothing to do, and so do not disturb each other
                list(threads.map(lambda task: bench.once([task]), tasks))
            rows: dict[str, dict[str, Any]] = {"wake-ups an hour": {}, "CPU an hour, ms": {}, "octets a day": {}}
            for task in tasks:
                path = Path(directory, task.client)
                if path.exists():
                    wakes, cpu, octets = (float(each) / IDLE for each in path.read_text().split())
                    for row, value in zip(rows, (wakes * 3600, cpu * 3600e3, octets * 86400), strict=True):
                        rows[row][task.client] = {"figure": value}
            yield from rows.items()


def _peer(task: Task) -> list[Any]:
    module = importlib.import_module("imapclient")
    made = []
    for _ in range(CONNECTIONS):
        account = task.accounts[0]
        context = None
        if account.cafile:
            import ssl

            context = ssl.create_default_context(cafile=account.cafile)
        client = module.IMAPClient(account.host, account.port, ssl=bool(context), ssl_context=context)
        client._imap.debug = 0  # it is 5 as shipped: each literal is formatted for a log that nobody reads
        client.login(account.user, account.password)
        made.append(client)
    return made


def _by_threads(clients: list[Any], work: list[Any], do: Callable[[Any, Any], int]) -> int:
    left: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for each in work:
        left.put(each)
    counts: list[int] = []

    def run(client: Any) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                counts.append(do(client, left.get_nowait()))

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def _bodies(task: Task) -> int:
    import fastimap

    account = of(task.accounts[0])
    if task.client == ONE:
        with fastimap.Client(account) as client:
            client.select("INBOX", read_only=True)
            return sum(1 for row in client.fetch_iter("1:*", "BODY.PEEK[]") if row.body)
    if task.client == POOL:
        with fastimap.Pool(account, connections=CONNECTIONS) as pool:
            return sum(1 for row in pool.fetch_iter("INBOX", "1:*", "BODY.PEEK[]") if row.body)
    clients = _peer(task)
    for client in clients:
        client.select_folder("INBOX", readonly=True)
    uids = clients[0].search()
    return _by_threads(
        clients,
        [uids[start : start + 100] for start in range(0, len(uids), 100)],
        lambda client, some: sum(1 for row in client.fetch(some, ["BODY.PEEK[]"]).values() if row[b"BODY[]"]),
    )


def _mailboxes(task: Task) -> int:
    import fastimap

    names = [f"m{number}" for number in range(task.times)]
    account = of(task.accounts[0])
    if task.client == ONE:
        with fastimap.Client(account) as client:
            count = 0
            for name in names:
                client.select(name, read_only=True)
                count += len(client.fetch("1:*", "ENVELOPE"))
            return count
    if task.client == POOL:
        with fastimap.Pool(account, connections=CONNECTIONS) as pool:
            return sum(
                result.get() for _, result in pool.map(names, lambda client: len(client.fetch("1:*", "ENVELOPE")))
            )

    def job(client: Any, name: str) -> int:
        client.select_folder(name, readonly=True)
        return len(client.fetch(client.search(), ["ENVELOPE"]))

    return _by_threads(_peer(task), names, job)


def _connections(task: Task) -> Callable[[], int]:
    import fastimap

    account = of(task.accounts[0])
    runner = asyncio.Runner()
    kept: list[Any] = []

    async def connected() -> Any:
        client = fastimap.AsyncClient(account)
        await client.connect()
        return client

    runner.run(_closed(connected()))  # what is loaded once is not counted

    def run() -> int:
        kept.extend(runner.run(_together(connected, task.times)))
        return len(kept)

    return run


async def _closed(connecting: Any) -> None:
    await (await connecting).close()


async def _together(connected: Callable[[], Any], times: int) -> list[Any]:
    return await asyncio.gather(*(connected() for _ in range(times)))


def _waiting(task: Task) -> None:
    """Write down how often the process woke, its seconds of CPU, and its octets, from when all is quiet on."""
    import fastimap

    account = of(task.accounts[0])
    path = os.environ["FASTIMAP_REPORT"]

    def note(before: Any, client: Any) -> Any:
        use = resource.getrusage(resource.RUSAGE_SELF)
        now = (
            float(_wakes()),
            use.ru_utime + use.ru_stime,
            float(client.counters.octets_in + client.counters.octets_out),
        )
        if before is not None:
            Path(path).write_text(" ".join(str(b - a) for a, b in zip(before, now, strict=True)))
        return now

    with tempfile.TemporaryDirectory() as directory:
        cursor = Path(directory, "cursor.sqlite")
        if task.client == "follow":
            with fastimap.follow(account, cursor=cursor, start="new") as mail:

                def watch() -> None:
                    time.sleep(3)
                    before = note(None, mail._lanes_now[0].client)
                    time.sleep(IDLE)
                    note(before, mail._lanes_now[0].client)
                    mail.stop()

                threading.Thread(target=watch).start()
                for _ in mail:
                    pass
            return

        async def main() -> None:
            async with fastimap.AsyncFollow(account, cursor=cursor, start="new") as mail:

                async def watch() -> None:
                    await asyncio.sleep(3)
                    before = note(None, mail._clients[0])
                    await asyncio.sleep(IDLE)
                    note(before, mail._clients[0])
                    mail.stop()

                watching = asyncio.ensure_future(watch())
                async for _ in mail:
                    pass
                await watching

        asyncio.run(main())


def _wakes() -> int:
    """Return how often threads of this process have gone to sleep of their own will."""
    found = 0
    for status in Path("/proc/self/task").glob("*/status"):
        text = status.read_text()
        found += int(re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.MULTILINE)[0])
    return found


def _run(task: Task) -> Callable[[], int | None]:
    if task.what == "connections":
        return _connections(task)
    run: Any = {"bodies": _bodies, "mailboxes": _mailboxes, "waiting": _waiting}[task.what]
    return lambda: run(task)


if __name__ == "__main__":
    serve(_run)
