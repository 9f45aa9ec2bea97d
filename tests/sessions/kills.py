"""follow in programs that are killed at random moments, while mail arrives in two mailboxes of a real Dovecot.

``python -m tests.sessions.kills --runs 500 --seed 1 --workers 3`` kills so many times, and fails unless each message
has one effect exactly: effects are in the cursor's transaction.
"""

from __future__ import annotations

import argparse
import collections
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fastimap import Account, Client, follow
from tests.servers import dovecot
from tests.servers.server import Server

MAILBOXES = ("INBOX", "Drafts")


def work(host: str, port: str, user: str, password: str, path: str, once: str) -> None:
    account = Account(host, int(port), user=user, password=password, tls=False, mechanism="LOGIN", timeout=20)
    db = sqlite3.connect(path, timeout=30)
    with follow(
        account, MAILBOXES, cursor=path, start="all", lease=1.0, deliveries=10_000, in_flight=5, once=once == "once"
    ) as mail:
        for message in mail:
            with db:
                db.execute("INSERT INTO effects VALUES (?, ?)", (message.mailbox, message.uid))
                message.done(db)
    db.close()


def run(server: Server, *, runs: int, seed: int, workers: int) -> str:
    """Kill programs; return what came of it. Raises AssertionError for a message with no effect, or with two."""
    chance = random.Random(seed)
    user = server.new_user()
    account = Account(server.host, server.port, user=user, password=server.password, tls=False, mechanism="LOGIN")
    with tempfile.TemporaryDirectory() as directory, Client(account) as client:
        path = str(Path(directory, "cursor.sqlite"))
        db = sqlite3.connect(path, timeout=30)
        db.execute("CREATE TABLE effects (mailbox TEXT, uid INTEGER)")
        command = [sys.executable, "-m", "tests.sessions.kills", "--work", server.host, str(server.port), user]
        command += [server.password, path]
        running = [subprocess.Popen([*command, "on"]) for _ in range(workers)]
        sent: collections.Counter[tuple[str, int]] = collections.Counter()
        try:
            for _ in range(runs):
                until = time.monotonic() + chance.uniform(0.3, 1.2)
                while time.monotonic() < until:
                    mailbox = chance.choice(MAILBOXES)
                    found = client.append(mailbox, b"Subject: %d\r\n\r\n%s\r\n" % (len(sent), b"x" * 2000))
                    sent[mailbox, found.uid or 0] += 1
                    time.sleep(chance.uniform(0, 0.05))
                victim = chance.randrange(workers)
                running[victim].kill()
                running[victim].wait()
                running[victim] = subprocess.Popen([*command, "on"])
        finally:
            for process in running:
                process.kill()
                process.wait()
        time.sleep(1.2)  # the last leases end
        subprocess.run([*command, "once"], check=True, timeout=120)
        effects = collections.Counter(db.execute("SELECT mailbox, uid FROM effects"))
        db.close()
    twice = sum(count > 1 for count in effects.values())
    lost = len(sent.keys() - effects.keys())
    assert effects == sent, f"seed {seed}: {lost} of {len(sent)} messages lost, {twice} twice"
    return f"{runs} kills, {workers} workers, {len(sent)} messages: each handled, effects equal messages"


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with dovecot.running() as server:
        print(run(server, runs=given.runs, seed=given.seed, workers=given.workers), flush=True)


if __name__ == "__main__":
    main()
