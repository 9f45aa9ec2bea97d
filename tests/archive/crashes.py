"""Pulls of a real Dovecot's mail that die anywhere: is everything there exactly once, and equal?

``python -m tests.archive.crashes --runs 600 --seed 1`` prints one line for each store; a series that fails prints its
seed, and the exit code is 1. A series is one store and one account of five mailboxes that change between the runs; its
runs are killed, cut off, lose the server's processes or the whole server, or find the disk full at random moments; a
last one is left alone, and then both sides are compared.

The disk is a tmpfs that is made small for such a run; where nothing may be mounted, a limit on the size of files.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastimap import Account, Client, archive
from fastimap.archive.stores import FORMATS, store_at
from tests.archive.conftest import Mail, message, stored
from tests.servers import dovecot
from tests.servers.dovecot import Dovecot
from tests.sessions.cuts import strike
from tests.support.cuts import Proxy, seeded

MESSAGES = 500
MAILBOXES = ("INBOX", "a", "a/b", "Work", "work")
DEATHS = 12
"""Runs of a series that die."""
OCTETS = (400_000, 20_000)
KINDS = ("kill", "kill", "kill", "cut", "server", "restart", "full", "full")


class Disk:
    """What a store lies on: a file system that can be made too small.

    :param root: an empty directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        mounting = ["mount", "-t", "tmpfs", "-o", "size=1g", "fastimap-crash", str(root)]
        self.mounted = subprocess.run(mounting, check=False, capture_output=True).returncode == 0

    @contextlib.contextmanager
    def room(self, octets: int) -> Iterator[None]:
        """Leave so many octets free while the block runs."""
        if not self.mounted:
            yield
            return
        there = os.statvfs(self.root)
        self._remount((there.f_blocks - there.f_bfree) * there.f_frsize + octets)
        try:
            yield
        finally:
            self._remount(1 << 30)

    def _remount(self, octets: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={octets}", str(self.root)], check=True, capture_output=True)

    def remove(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.root)], check=True)
        shutil.rmtree(self.root, ignore_errors=True)


@dataclass
class Tally:
    """What came of the series of one store."""

    series: int = 0
    runs: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        """Print what failed, and a line that sums it up."""
        for line in self.failed:
            print(line, file=sys.stderr)
        deaths = ", ".join(f"{count} {name}" for name, count in sorted(self.deaths.items()))
        print(
            f"{what}: {self.series} series, {self.runs} runs, {sum(self.deaths.values())} deaths ({deaths}), "
            f"{len(self.failed)} failed; {time.monotonic() - self.began:.0f} s",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--only", choices=sorted(FORMATS), action="append")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return child(*given.child)
    kinds = given.only or sorted(FORMATS)
    failed = False
    with dovecot.running() as server:
        for number, kind in enumerate(kinds):
            tally = Tally()
            share = given.runs // len(kinds) + (number < given.runs % len(kinds))
            seed = given.seed
            while sum(tally.deaths.values()) < share:
                series(server, kind, seed, tally, given.messages, min(DEATHS, share - sum(tally.deaths.values())))
                seed += 1
            tally.tell(kind)
            failed = failed or bool(tally.failed)
    return int(failed)


def series(server: Dovecot, kind: str, seed: int, tally: Tally, messages: int, deaths: int) -> None:
    """Do the runs of one store, and say what is wrong in the end."""
    chance = random.Random(f"{kind} {seed}")
    tally.series += 1
    user = server.new_user()
    login: dict[str, Any] = {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}
    disk = Disk(Path(tempfile.mkdtemp(prefix="fastimap-crash-")))
    root = disk.root
    try:
        with Client(server.host, server.port, **login, timeout=60) as client:
            mail = Mail(server, user, client)
            for name in MAILBOXES[1:]:
                client.create_mailbox(name)
            fill(mail, chance, messages)
            for _ in range(deaths):
                tally.runs += 1
                way = chance.choice(KINDS)
                die(server, user, disk, kind, way, chance, tally)
                client.reconnect()  # it may have been killed too
                change(mail, chance)
            report = archive.pull(account(server.host, server.port, user), store(root / "store", kind))
            tally.runs += 1
            ours, theirs = stored(root / "store"), mail.all()
            if not report.complete:
                tally.failed.append(f"{kind} seed {seed}: not complete: {report.failed} {report.parked}")
            elif ours != theirs:
                wrong = {
                    name: [uid for uid, *_ in {*ours.get(name, ())} ^ {*theirs.get(name, ())}][:8]
                    for name in {*ours, *theirs}
                    if ours.get(name) != theirs.get(name)
                }
                tally.failed.append(f"{kind} seed {seed}: different: {wrong}")
            elif (twice := doubled(root / "store", kind)) is not None:
                tally.failed.append(f"{kind} seed {seed}: {twice}")
            elif not archive.verify(root / "store").good:
                tally.failed.append(f"{kind} seed {seed}: digests differ")
    except Exception as exc:
        tally.failed.append(f"{kind} seed {seed}: {type(exc).__name__}: {exc}")
    finally:
        disk.remove()


def store(root: Path | str, kind: str) -> archive.Store:
    """Return the store; one of Parquet keeps whole messages."""
    return archive.Parquet(root, body=True) if kind == "parquet" else store_at(root, kind)


def doubled(root: Path, kind: str) -> str | None:
    """Return what is wrong with the number of files, or rows; None too for what can't have them twice."""
    if kind == "parquet":
        rows = archive.read(root).to_table(columns=["mailbox", "uid_validity", "uid"]).to_pylist()
        keys = {tuple(row.values()) for row in rows}
        there = sum(len(each) for each in stored(root).values())
        return None if len(rows) == len(keys) == there else f"{len(rows)} rows of {len(keys)} of {there} messages"
    if kind not in ("maildir", "eml"):
        return None
    files = [p for p in root.rglob("*") if p.is_file() and (p.parent.name in ("cur", "new") or p.suffix == ".eml")]
    messages = sum(len(each) for each in stored(root, gone=None).values())
    return None if len(files) == messages else f"{len(files)} files of {messages} messages"


def fill(mail: Mail, chance: random.Random, count: int) -> None:
    with mail.client.pipeline() as pipeline:
        for _ in range(count):
            number = next(mail.numbers)
            pipeline.append(chance.choice(MAILBOXES), message(number, chance.choice((50, 500, 3000))))


def change(mail: Mail, chance: random.Random) -> None:
    """Change the mailboxes as their user would."""
    client = mail.client
    fill(mail, chance, chance.randrange(8))
    for _ in range(chance.randrange(4)):
        name = chance.choice(MAILBOXES)
        selected = client.select(name)
        uids = list(client.search().uids) if selected.exists else []
        what = chance.choice(("flags", "flags", "expunge", "move", "rename", "recreate"))
        some = chance.sample(uids, min(len(uids), chance.randrange(1, 6)))
        if what == "flags" and some:
            client.set_flags(some, chance.choice((["\\Seen"], ["\\Flagged", "$Junk"], [])))
        elif what == "expunge" and some:
            client.delete_messages(some)
        elif what == "move" and some:
            client.move(some, chance.choice([other for other in MAILBOXES if other != name]))
        client.unselect()
        if what == "rename" and name in ("Work", "work"):
            client.rename_mailbox(name, "elsewhere")
            if chance.random() < 0.5:
                client.rename_mailbox("elsewhere", name)
            else:
                client.rename_mailbox("elsewhere", f"was {name} {next(mail.numbers)}")
                client.create_mailbox(name)
        elif what == "recreate" and name in ("Work", "work"):
            client.delete_mailbox(name)
            client.create_mailbox(name)


def account(host: str, port: int, user: str) -> Account:
    return Account(host, port, user=user, password="secret", tls=False, mechanism="LOGIN", timeout=5)


def die(server: Dovecot, user: str, disk: Disk, kind: str, way: str, chance: random.Random, tally: Tally) -> None:
    """Do a run that dies of something."""
    root = disk.root / "store"
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(server.host, server.port))
        proxy.at_server = lambda what: strike(server, what)
        if way == "cut":
            proxy.cuts.extend(seeded(chance.randrange(10**9), *OCTETS))
        limit = 0
        if way == "full":
            room = chance.randrange(20_000, 2_000_000)
            limit = 0 if disk.mounted else room
            way = "full" if disk.mounted else "file size"
            stack.enter_context(disk.room(room))
        # No compiled files: where one can't be written in full, Python leaves half of it.
        command = [sys.executable, "-B", "-m", "tests.archive.crashes", "--child"]
        process = subprocess.Popen(
            [*command, str(proxy.port), user, str(root), kind, str(limit)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if way in ("kill", "server", "restart"):
                while not root.exists() and process.poll() is None:
                    time.sleep(0.002)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.random() * 1.5)
                if way == "kill":
                    process.kill()
                elif way == "server":
                    strike(server, "kill")
                else:
                    strike(server, "kill")  # a process that has a connection may outlive the others
                    server.restart()
            process.wait(120)
        finally:
            process.kill()
            process.wait()
    tally.deaths[way] += 1


def child(port: str, user: str, root: str, kind: str, limit: str) -> int:
    """Be the run: a process of its own, which can be killed."""
    if int(limit):
        # No file grows beyond this: as a full disk is, ENOSPC aside.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    made = store(root, kind)
    if isinstance(made, archive.Parquet) and made.exists() and os.getpid() % 2:
        archive.compact(made, wait=10)
    report = archive.pull(
        account("127.0.0.1", int(port), user),
        made,
        name=f"{user}@127.0.0.1",
        connections=1 + os.getpid() % 2,
        wait=10,
    )
    return 0 if report.complete else 3


if __name__ == "__main__":
    sys.exit(main())
