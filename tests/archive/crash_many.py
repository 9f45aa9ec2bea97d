"""Pulls of many accounts whose workers die anywhere: is everything there exactly once, and equal?

``python -m tests.archive.crash_many --runs 60 --seed 1`` prints one line for each store; a series that fails prints its
seed, and the exit code is 1. A series is four accounts, whose mailboxes change between the runs, and a store that they
share (Parquet, where mailboxes are cut into ranges of UIDs) or that each has (Maildir). Its runs are of two worker
processes: one of these is killed, or all, or connections are cut, or the server; a last run is left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from fastimap import Account, Client, archive
from fastimap.archive import AccountReport, FromEnvironment, pull_many
from tests.archive.conftest import Mail, stored
from tests.archive.crashes import MAILBOXES, OCTETS, Tally, change, fill
from tests.servers import dovecot
from tests.servers.dovecot import Dovecot
from tests.sessions.cuts import strike
from tests.support.cuts import Proxy, seeded

ACCOUNTS = 4
MESSAGES = 500
DEATHS = 10
UIDS = 20
"""Of a task."""
KINDS = ("worker", "worker", "all", "cut", "server")
PASSWORD = "FASTIMAP_PASSWORD_OF_ALL"

__all__ = ["Tally", "main", "series"]

Content = dict[str, dict[str, list[tuple[int, bytes, tuple[str, ...], int]]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return child(*given.child)
    failed = False
    with dovecot.running() as server:
        for kind in ("parquet", "maildir"):
            tally = Tally()
            seed = given.seed
            while (left := given.runs // 2 - sum(tally.deaths.values())) > 0:
                series(server, kind, seed, tally, given.messages, min(DEATHS, left))
                seed += 1
            tally.tell(f"many accounts, {kind}")
            failed = failed or bool(tally.failed)
    return int(failed)


def series(server: Dovecot, kind: str, seed: int, tally: Tally, messages: int, deaths: int) -> None:
    """Do the runs of some accounts, and say what is wrong in the end."""
    chance = random.Random(f"many {kind} {seed}")
    tally.series += 1
    users = [server.new_user() for _ in range(ACCOUNTS)]
    root = Path(tempfile.mkdtemp(prefix="fastimap-crash-"))
    os.environ[PASSWORD] = server.password
    try:
        with contextlib.ExitStack() as stack:
            mails = []
            for user in users:
                login: dict[str, Any] = {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}
                client = stack.enter_context(Client(server.host, server.port, **login, timeout=60))
                mails.append(Mail(server, user, client))
                for name in MAILBOXES[1:]:
                    client.create_mailbox(name)
                fill(mails[-1], chance, messages // ACCOUNTS)
            for _ in range(deaths):
                tally.runs += 1
                die(server, users, root / "store", kind, chance.choice(KINDS), chance, tally)
                for mail in mails:
                    mail.client.reconnect()  # it may have been killed too
                    change(mail, chance)
            with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
                reports = pulled(server.port, users, root / "store", kind, pool)
            tally.runs += 1
            wrong = [
                f"{report.account}: {report.error or report.report.stopped}"
                for report in reports
                if not report.complete
            ]
            theirs = {mail.user: mail.all() for mail in mails}
            ours = content(root / "store", kind, users)
            for user in users:
                for name in {*ours[user], *theirs[user]}:
                    have, want = ours[user].get(name, []), theirs[user].get(name, [])
                    if have != want:
                        uids = [uid for uid, *_ in {*have} ^ {*want}][:8]
                        wrong.append(f"{user}, {name}: {len(have)} messages of {len(want)}, different: {uids}")
            if wrong:
                tally.failed.append(f"many accounts, {kind} seed {seed}: {'; '.join(wrong)}")
    except Exception as exc:
        tally.failed.append(f"many accounts, {kind} seed {seed}: {type(exc).__name__}: {exc}")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def content(root: Path, kind: str, users: list[str]) -> Content:
    """Return what is in the store: of each user and mailbox UID, octets, flags and date, in order."""
    if kind != "parquet":
        return {user: stored(root / user) for user in users}
    found: Content = {user: defaultdict(list) for user in users}
    columns = ["account", "mailbox", "uid", "body", "flags", "internal_date"]
    for row in archive.read(root).to_table(columns=columns).to_pylist():
        one = row["uid"], row["body"], tuple(row["flags"]), int(row["internal_date"].timestamp())
        found[row["account"]][row["mailbox"]].append(one)
    return {user: {name: sorted(each) for name, each in mailboxes.items()} for user, mailboxes in found.items()}


def pulled(port: int, users: list[str], root: Path, kind: str, pool: ProcessPoolExecutor) -> list[AccountReport]:
    accounts = {
        user: Account(
            "127.0.0.1", port, user=user, password=FromEnvironment(PASSWORD), tls=False, mechanism="LOGIN", timeout=5
        )
        for user in users
    }
    store = archive.Parquet(root, body=True) if kind == "parquet" else archive.Maildir(root)
    return list(pull_many(accounts, store, executor=pool, per_host=4, uids_per_task=UIDS, wait=10))


def die(
    server: Dovecot, users: list[str], root: Path, kind: str, way: str, chance: random.Random, tally: Tally
) -> None:
    """Do a run that dies of something."""
    with Proxy(server.host, server.port) as proxy:
        proxy.at_server = lambda what: strike(server, what)
        if way == "cut":
            proxy.cuts.extend(seeded(chance.randrange(10**9), *OCTETS))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.archive.crash_many", "--child", str(proxy.port), str(root), kind, *users],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if way != "cut":
                while not root.exists() and process.poll() is None:
                    time.sleep(0.002)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.random() * 2)
                if way == "worker":
                    if workers := workers_of(process.pid):
                        os.kill(chance.choice(workers), signal.SIGKILL)
                elif way == "all":
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    strike(server, "kill")
            process.wait(120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    tally.deaths[way] += 1


def workers_of(process: int) -> list[int]:
    """Return the processes of its pool."""
    command = ["pgrep", "-P", str(process), "-f", "spawn_main"]
    return [int(pid) for pid in subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()]


def child(port: str, root: str, kind: str, *users: str) -> int:
    """Be the run."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        reports = pulled(int(port), list(users), Path(root), kind, pool)
    return 0 if all(report.complete for report in reports) else 3


if __name__ == "__main__":
    sys.exit(main())
