"""Migrations and pushes between accounts of a Dovecot that die anywhere: is everything there exactly once, and equal?

``python -m tests.archive.crash_moves --runs 200 --seed 1`` prints a line for each kind; a series that fails prints its
seed, and the exit code is 1. In a series the source changes between the runs, whose processes are killed, whose links
to the destination are cut, or whose servers die; a last one is left alone, and then both sides are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fastimap import Account, Client, archive
from fastimap.sessions.retry import no_waits
from tests.archive.conftest import Mail
from tests.archive.crashes import MAILBOXES, Tally, fill
from tests.servers import dovecot
from tests.servers.dovecot import Dovecot
from tests.sessions.cuts import strike
from tests.support.cuts import Proxy, seeded

MESSAGES = 500
DEATHS = 10
KINDS = ("migrate", "push")
OCTETS = (8_000, 400_000)
WAYS = ("kill", "kill", "kill", "cut", "cut", "server")

Kept = dict[str, Counter[tuple[bytes, tuple[str, ...], int]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return child(*given.child)
    failed = False
    with dovecot.running() as server:
        for kind in given.only or KINDS:
            tally = Tally()
            began = time.monotonic()
            seed = given.seed
            while sum(tally.deaths.values()) < given.runs // len(given.only or KINDS):
                series(server, kind, seed, tally, given.messages, DEATHS)
                seed += 1
            for line in tally.failed:
                print(line, file=sys.stderr)
            failed = failed or bool(tally.failed)
            deaths = ", ".join(f"{count} {name}" for name, count in sorted(tally.deaths.items()))
            print(
                f"{kind}: {tally.series} series, {tally.runs} runs, {sum(tally.deaths.values())} deaths ({deaths}), "
                f"{len(tally.failed)} failed; {time.monotonic() - began:.0f} s",
                flush=True,
            )
    return int(failed)


def account(host: str, port: int, user: str) -> Account:
    return Account(host, port, user=user, password="secret", tls=False, mechanism="LOGIN", timeout=5)


def kept(server: Dovecot, user: str) -> Kept:
    login: dict[str, Any] = {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}
    with Client(server.host, server.port, **login, timeout=60) as client:
        found = Mail(server, user, client).all()
    return {name: Counter(each[1:] for each in messages) for name, messages in found.items() if messages}


def series(server: Dovecot, kind: str, seed: int, tally: Tally, messages: int, deaths: int) -> None:
    """Do the runs of one pair of accounts, and say what is wrong in the end."""
    chance = random.Random(f"{kind} {seed}")
    tally.series += 1
    user, there = server.new_user(), server.new_user()
    login: dict[str, Any] = {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}
    root = Path(tempfile.mkdtemp(prefix="fastimap-crash-"))
    try:
        with Client(server.host, server.port, **login, timeout=60) as client:
            mail = Mail(server, user, client)
            for name in MAILBOXES[1:]:
                client.create_mailbox(name)
            fill(mail, chance, messages)
            for _ in range(deaths):
                tally.runs += 1
                die(server, kind, user, there, root, chance.choice(WAYS), chance, tally)
                client.reconnect()  # it may have been killed too
                change(mail, chance)
        with no_waits():
            report = carried(kind, server.port, user, server.port, there, root)
        tally.runs += 1
        ours, theirs = kept(server, user), kept(server, there)
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


def carried(kind: str, port: int, user: str, to_port: int, there: str, root: Path) -> archive.Report:
    source, destination = account("127.0.0.1", port, user), account("127.0.0.1", to_port, there)
    options: dict[str, Any] = {"deleted": "delete", "max_delete": "100%", "wait": 10}
    if kind == "push":
        archive.pull(source, root / "store", name="source", deleted="delete", max_delete="100%", wait=10)
        return archive.push(root / "store", destination, name="there", **options)
    return archive.migrate(source, destination, state=root / "state", names=("source", "there"), **options)


def die(
    server: Dovecot, kind: str, user: str, there: str, root: Path, way: str, chance: random.Random, tally: Tally
) -> None:
    """Do a run that dies of something."""
    with Proxy(server.host, server.port) as proxy:
        proxy.at_server = lambda what: strike(server, what)
        if way == "cut":
            proxy.cuts.extend(seeded(chance.randrange(10**9), *OCTETS, to_client=0.5))
        arguments = [kind, str(server.port), user, str(proxy.port), there, str(root)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.archive.crash_moves", "--child", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if way in ("kill", "server"):
                while not proxy.connections and process.poll() is None:
                    time.sleep(0.002)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.random() * 0.8)
                if way == "kill":
                    process.kill()
                else:
                    strike(server, "kill")
            process.wait(120)
        finally:
            process.kill()
            process.wait()
    tally.deaths[way] += 1


def child(kind: str, port: str, user: str, to_port: str, there: str, root: str) -> int:
    """Be the run: a process of its own, which can be killed."""
    with no_waits():
        report = carried(kind, int(port), user, int(to_port), there, Path(root))
    return 0 if report.complete else 3


if __name__ == "__main__":
    sys.exit(main())
