"""Migrations and pushes that die anywhere: is everything there exactly once, and equal?

``python -m tests.archive.crash_moves --runs 200 --seed 1`` prints a line for each kind; a series that fails prints its
seed, and the exit code is 1. In a series the source, an account of a Dovecot, changes between the runs, whose processes
are killed, whose disk is full, whose links to the destination are cut, or whose servers die, are restarted, or have no
room; a last one is left alone, and then both sides are compared. The runs have one to three connections.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fastimap import Account, Client, archive
from fastimap.sessions.retry import no_waits
from tests.archive.conftest import Mail
from tests.archive.crashes import MAILBOXES, Tally, fill
from tests.servers import cyrus, dovecot
from tests.servers.dovecot import Dovecot
from tests.servers.server import Server
from tests.sessions.cuts import strike
from tests.support.cuts import Proxy, seeded

MESSAGES = 500
DEATHS = 10
KINDS = ("migrate", "push", "cyrus")
"""Between accounts of a Dovecot; from a store of it; to a Cyrus."""
OCTETS = (8_000, 400_000)
WAYS = ("kill", "kill", "kill", "cut", "cut", "server", "restart", "full")
FAILURES = 5
"""After so many a kind is given up."""
GROUP = 20
"""Messages that are sent together: fewer than by default, so that several connections have work."""

Kept = dict[str, Counter[tuple[bytes, tuple[str, ...], int]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--child", nargs=8, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return child(*given.child)
    kinds = given.only or KINDS
    failed = False
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(dovecot.running())
        there = {kind: Place(source, WAYS, lambda: strike(source, "kill")) for kind in kinds}
        if "cyrus" in kinds:
            there["cyrus"] = stack.enter_context(at_cyrus())
        for number, kind in enumerate(kinds):
            tally = Tally()
            seed = given.seed
            share = given.runs // len(kinds) + (number < given.runs % len(kinds))
            while (left := share - sum(tally.deaths.values())) > 0 and len(tally.failed) < FAILURES:
                series(source, kind, seed, tally, given.messages, min(DEATHS, left), there[kind])
                seed += 1
            tally.tell(kind)
            failed = failed or bool(tally.failed)
    return int(failed)


@dataclass(frozen=True)
class Place:
    """Where mail goes to."""

    server: Server
    ways: tuple[str, ...]
    strike: Callable[[], None]
    """Kills the server's processes that have connections."""
    quota: Callable[[str, int | None], None] = lambda user, room: None
    """Has a user have room for so many KiB more; None: for all."""


@contextlib.contextmanager
def at_cyrus() -> Iterator[Place]:
    with cyrus.running("trixie") as server:
        assert server.admin is not None
        name, password = server.admin
        admin = Client(server.host, server.port, user=name, password=password, tls=False, mechanism="LOGIN")

        def quota(user: str, room: int | None) -> None:
            admin.reconnect()  # it is killed with the others
            (root,) = admin.get_quota_root(f"user/{user}").quotas
            used = next((each.usage for each in root.resources if each.name == "STORAGE"), 0)
            admin.set_quota(root.root, {"STORAGE": 1_000_000 if room is None else used + room})

        with admin:
            yield Place(server, (*WAYS, "quota", "quota"), lambda: strike(server, "kill"), quota)


def account(host: str, port: int, user: str) -> Account:
    return Account(host, port, user=user, password="secret", tls=False, mechanism="LOGIN", timeout=5)


def kept(server: Server, user: str) -> Kept:
    login: dict[str, Any] = {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}
    with Client(server.host, server.port, **login, timeout=60) as client:
        found = Mail(server, user, client).all()
    return {name: Counter(each[1:] for each in messages) for name, messages in found.items() if messages}


def series(
    server: Dovecot, kind: str, seed: int, tally: Tally, messages: int, deaths: int, to: Place | None = None
) -> None:
    """Do the runs of one pair of accounts, and say what is wrong in the end."""
    chance = random.Random(f"{kind} {seed}")
    tally.series += 1
    to = to or Place(server, WAYS, lambda: strike(server, "kill"))
    user, there = server.new_user(), to.server.new_user()
    login: dict[str, Any] = {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}
    root = Path(tempfile.mkdtemp(prefix="fastimap-crash-"))
    try:
        with Client(server.host, server.port, **login, timeout=60) as client:
            mail = Mail(server, user, client)
            for name in MAILBOXES[1:]:
                client.create_mailbox(name)
            fill(mail, chance, messages)
            kept(to.server, there)  # Cyrus makes an account, and its quota, at the first login
            for _ in range(deaths):
                tally.runs += 1
                die(server, kind, user, to, there, root, chance.choice(to.ways), chance, tally)
                client.reconnect()  # it may have been killed too
                change(mail, chance)
        with no_waits(), patch("fastimap.archive.moving.sending._GROUP", GROUP):
            report = carried(kind, server.port, user, to.server.port, there, root, 1 + seed % 3)
        tally.runs += 1
        ours, theirs = kept(server, user), kept(to.server, there)
        if not report.complete:
            tally.failed.append(f"{kind} seed {seed}: not complete: {report.failed} {report.as_dict()}")
        elif ours != theirs:
            wrong = {
                name: [
                    (count, body[:90], flags, date)
                    for more, less in ((ours, theirs), (theirs, ours))
                    for (body, flags, date), count in (more.get(name, Counter()) - less.get(name, Counter())).items()
                ][:3]
                for name in {*ours, *theirs}
                if ours.get(name) != theirs.get(name)
            }
            tally.failed.append(f"{kind} seed {seed}: different: {wrong}")
    except Exception as exc:
        tally.failed.append(f"{kind} seed {seed}: {type(exc).__name__}: {exc}")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def change(mail: Mail, chance: random.Random) -> None:
    """Change the source as its user would."""
    client = mail.client
    fill(mail, chance, chance.randrange(8))
    for _ in range(chance.randrange(4)):
        selected = client.select(chance.choice(MAILBOXES))
        uids = list(client.search().uids) if selected.exists else []
        some = chance.sample(uids, min(len(uids), chance.randrange(1, 6)))
        if some and chance.random() < 0.7:
            client.set_flags(some, chance.choice((["\\Seen"], ["\\Flagged", "$Junk"], [])))
        elif some:
            client.delete_messages(some)
        client.unselect()


def carried(kind: str, port: int, user: str, to_port: int, there: str, root: Path, connections: int) -> archive.Report:
    source, destination = account("127.0.0.1", port, user), account("127.0.0.1", to_port, there)
    options: dict[str, Any] = {"deleted": "delete", "max_delete": "100%", "wait": 10, "connections": connections}
    if kind == "push":
        archive.pull(source, root / "store", name="source", deleted="delete", max_delete="100%", wait=10)
        return archive.push(root / "store", destination, name="there", **options)
    return archive.migrate(source, destination, state=root / "state", names=("source", "there"), **options)


def die(
    server: Dovecot,
    kind: str,
    user: str,
    to: Place,
    there: str,
    root: Path,
    way: str,
    chance: random.Random,
    tally: Tally,
) -> None:
    """Do a run that dies of something."""
    with Proxy(to.server.host, to.server.port) as proxy:
        proxy.at_server = lambda what: to.strike()
        if way == "cut":
            proxy.cuts.extend(seeded(chance.randrange(10**9), *OCTETS, to_client=0.5))
        limit = chance.randrange(10_000, 200_000) if way == "full" else 0
        connections = chance.randint(1, 3)
        if way == "quota":
            to.quota(there, chance.randrange(1, 300))
        arguments = [kind, server.port, user, proxy.port, there, root, limit, connections]
        process = subprocess.Popen(  # no compiled files: where one can't be written in full, Python leaves half of it
            [sys.executable, "-B", "-m", "tests.archive.crash_moves", "--child", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if way in ("kill", "server", "restart"):
                while not proxy.connections and process.poll() is None:
                    time.sleep(0.002)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.random() * 0.8)
                if way == "kill":
                    process.kill()
                elif way == "restart":
                    server.restart()
                else:
                    to.strike()
            process.wait(120)
        finally:
            process.kill()
            process.wait()
            if way == "quota":
                to.quota(there, None)
    tally.deaths[way] += 1


def child(kind: str, port: str, user: str, to_port: str, there: str, root: str, limit: str, connections: str) -> int:
    """Be the run: a process of its own, which can be killed."""
    if int(limit):
        # No file grows beyond this: as a full disk is, ENOSPC aside.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    with no_waits(), patch("fastimap.archive.moving.sending._GROUP", GROUP):
        report = carried(kind, int(port), user, int(to_port), there, Path(root), int(connections))
    return 0 if report.complete else 3


if __name__ == "__main__":
    sys.exit(main())
