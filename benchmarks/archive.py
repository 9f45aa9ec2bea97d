"""A mailbox of a real Dovecot into a Maildir on tmpfs: ``fastimap pull`` beside mbsync, as whole programs.

Each program pulls all of it into a new directory, and then once more with nothing new. Over a link with a round-trip
time the peer is a loop of imaplib, one FETCH and one file a message.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.client import Unavailable, last_line
from benchmarks.delay import delayed
from benchmarks.replay import Account
from benchmarks.workloads import KIB, message
from fastimap import Client
from tests.servers import dovecot
from tests.servers.dovecot import Dovecot
from tests.support import Unavailable as NoServer

__all__ = ["CPU_GOALS", "LOOP", "MBSYNC", "MESSAGES", "OURS", "ROWS", "WALL_GOALS", "rows"]

OURS, MBSYNC, LOOP = "fastimap pull", "mbsync", "imaplib loop"
"""The last one: a FETCH and a file for each message."""
MESSAGES = 20_000
MESSAGES_FAR = 1_000
ROUND_TRIP = 0.020  # seconds
SETTLED = 2.0
"""Seconds after which a Maildir is not new any more: mbsync waits for the next one."""
TMPFS = Path("/dev/shm")
PLAIN, PLAIN_AGAIN, TLS, TLS_AGAIN = "all", "nothing new", "all, TLS", "nothing new, TLS"
BARE, BARE_AGAIN = "all, no quota, no ACL", "nothing new, the same"
FAR = f"{MESSAGES_FAR:,} at 20 ms"
ROWS = (PLAIN, PLAIN_AGAIN, TLS, TLS_AGAIN, BARE, BARE_AGAIN, FAR)
WALL_GOALS = {PLAIN: "2x", PLAIN_AGAIN: "1x", TLS: "2x", TLS_AGAIN: "1x", FAR: "10x imaplib"}
CPU_GOALS = {PLAIN: "1.5x", TLS: "1.5x"}
BARE_SETTINGS = "mail_plugins =\nprotocol imap {\n  mail_plugins =\n}\n"
"""For a Dovecot without ACLs and quota, which cost it more than all else for each command."""

Figures = dict[str, Any]
Row = tuple[str, dict[str, Figures]]


@dataclass(frozen=True)
class _Run:
    """What a program took: seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class _Program:
    """A program that pulls the INBOX into a directory."""

    command: Callable[[Account, Path], Sequence[str]]

    def run(self, account: Account, directory: Path) -> _Run:
        """Run it. Raises Unavailable where it fails."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"HOME": str(directory), "FASTIMAP_PASSWORD": account.password}
        if account.cafile:
            environment["SSL_CERT_FILE"] = account.cafile
        command = self.command(account, directory)
        with tempfile.TemporaryFile() as said:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                raise Unavailable(f"{command[0]}: {last_line(said.read().decode(errors='replace'))}")
        return _Run(wall, usage.ru_utime + usage.ru_stime)


def _ours(account: Account, directory: Path) -> Sequence[str]:
    scheme, *insecure = ("imaps",) if account.cafile else ("imap", "--insecure")
    url = f"{scheme}://{account.user}@{account.host}:{account.port}"
    return [sys.executable, "-m", "fastimap", "pull", url, f"{directory}/mail", "--mailbox", "INBOX", "-q", *insecure]


def _mbsync(account: Account, directory: Path) -> Sequence[str]:
    tls = f"SSLType IMAPS\nCertificateFile {account.cafile}\n" if account.cafile else "SSLType None\nAuthMechs LOGIN\n"
    (directory / "mail").mkdir(exist_ok=True)
    (directory / "mbsyncrc").write_text(
        f"IMAPAccount it\nHost {account.host}\nPort {account.port}\n"
        f"User {account.user}\nPass {account.password}\n{tls}\n"
        f"IMAPStore far\nAccount it\n\nMaildirStore near\nPath {directory}/mail/\nInbox {directory}/mail/INBOX\n\n"
        "Channel it\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState *\n"
    )
    return ["mbsync", "-q", "-c", str(directory / "mbsyncrc"), "it"]


def _loop(account: Account, directory: Path) -> Sequence[str]:
    program = (
        "import imaplib, os, sys\n"
        "host, port, user, password, directory = sys.argv[1:]\n"
        "os.makedirs(directory)\n"
        "connection = imaplib.IMAP4(host, int(port))\n"
        "connection.login(user, password)\n"
        "connection.select('INBOX', readonly=True)\n"
        "for uid in connection.uid('SEARCH', 'ALL')[1][0].split():\n"
        "    _, data = connection.uid('FETCH', uid, '(UID FLAGS INTERNALDATE BODY.PEEK[])')\n"
        "    with open(f'{directory}/{uid.decode()}.eml', 'wb') as file:\n"
        "        file.write(data[0][1])\n"
        "connection.logout()\n"
    )
    where = (account.host, str(account.port), account.user, account.password, f"{directory}/mail")
    return [sys.executable, "-c", program, *where]


PROGRAMS = {OURS: _Program(_ours), MBSYNC: _Program(_mbsync), LOOP: _Program(_loop)}


def fill(account: Account, mailbox: str, messages: int) -> None:
    """Append that many messages of 2 to 8 KiB."""
    random = Random(7)
    with Client(
        account.host, account.port, user=account.user, password=account.password, tls=False, mechanism="LOGIN"
    ) as client:
        for start in range(0, messages, 1000):
            count = min(1000, messages - start)
            client.multi_append(mailbox, [message(random, random.randint(2 * KIB, 8 * KIB)) for _ in range(count)])
        client.select(mailbox, read_only=True)
        if client.session.exists != messages:
            raise RuntimeError(f"{client.session.exists} messages instead of {messages}")
        for _ in client.fetch_iter("1:*", "RFC822.SIZE"):  # the server has opened all of them once
            pass


@contextlib.contextmanager
def _served(messages: int, settings: str = "") -> Iterator[tuple[Dovecot, Account]]:
    try:
        with dovecot.running(settings) as server:
            account = Account(server.port, host="127.0.0.1", user=server.new_user(), password=server.password)
            fill(account, "INBOX", messages)
            yield server, account
    except NoServer as error:
        raise Unavailable(f"Dovecot: {error}") from None


def rows(rounds: int, note: Callable[[str], object]) -> Iterator[Row]:
    """Measure, the programs taking turns; `note` gets what could not be measured. Raises Unavailable."""
    with _served(MESSAGES) as (server, plain):
        tls = replace(plain, port=server.tls_port, host="localhost", cafile=str(server.ca_file))
        yield from _turns((PLAIN, PLAIN_AGAIN), plain, (OURS, MBSYNC), rounds, note)
        yield from _turns((TLS, TLS_AGAIN), tls, (OURS, MBSYNC), rounds, note)
    with _served(MESSAGES, BARE_SETTINGS) as (_, bare):
        yield from _turns((BARE, BARE_AGAIN), bare, (OURS, MBSYNC), rounds, note)
    with _served(MESSAGES_FAR) as (_, plain), delayed(plain, ROUND_TRIP) as far:
        yield from _turns((FAR,), far, (OURS, MBSYNC, LOOP), 1, note)


def _turns(
    titles: Sequence[str], account: Account, programs: Sequence[str], rounds: int, note: Callable[[str], object]
) -> Iterator[Row]:
    """Run the programs one after the other, each as often as there are rows, on one directory."""
    taken: dict[str, dict[str, list[_Run]]] = {title: {name: [] for name in programs} for title in titles}
    for _ in range(rounds):
        for name in programs:
            where = Path(tempfile.mkdtemp(prefix="fastimap-", dir=TMPFS if TMPFS.is_dir() else None))
            try:
                for runs in taken.values():
                    runs[name].append(PROGRAMS[name].run(account, where))
                    time.sleep(SETTLED)
            except (Unavailable, FileNotFoundError) as error:
                note(f"{name}: {error}")
            finally:
                shutil.rmtree(where)
    for title, each in taken.items():
        yield title, {name: _summary(each[name]) if name in each else {} for name in PROGRAMS}


def _summary(runs: Sequence[_Run]) -> Figures:
    if not runs:
        return {}
    return {
        "wall": statistics.median(run.wall for run in runs),
        "cpu": statistics.median(run.cpu for run in runs),
        "wall of each": [run.wall for run in runs],
        "cpu of each": [run.cpu for run in runs],
    }
