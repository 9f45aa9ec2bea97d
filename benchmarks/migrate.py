"""A migration between two real Dovecots, beside the loop that everybody writes with imaplib: FETCH, APPEND, next."""

import contextlib
import imaplib
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.client import log_in
from benchmarks.links import LINKS, Task, fill, linked, of, running, serve

if TYPE_CHECKING:
    from benchmarks.report import Bench, Row

MESSAGES = 20_000
LOOPED = {"plain": 2000, "TLS": 2000, "20 ms": 200}
"""Messages that the loop does, whose figures are scaled: it takes a quarter of an hour at 20 ms."""
LOOP = "imaplib, a loop"
CLIENTS = (LOOP, "migrate", "migrate, 4 connections")
_DATE = re.compile(rb'INTERNALDATE ("[^"]*")')


def rows(bench: "Bench") -> Iterator["Row"]:
    """Migrate over each link, each time into a new account."""
    with running() as ours, running() as theirs:
        user = ours.new_user()
        fill(ours, user, MESSAGES)
        for link in LINKS:
            with contextlib.ExitStack() as stack:
                source = stack.enter_context(linked(ours, user, link))
                tasks = []
                for client in CLIENTS:
                    destination = stack.enter_context(linked(theirs, theirs.new_user(), link))
                    times = LOOPED[link] if client == LOOP else MESSAGES
                    tasks.append(Task(client, "migrate", link, [source, destination], times, times))
                figures = bench.once(tasks)
            for figure, value in figures[LOOP].items():
                if figure in ("cpu", "wall"):
                    figures[LOOP][figure] = value * MESSAGES / LOOPED[link]
            yield link, figures


def _loop(task: Task) -> int:
    source, destination = (log_in(imaplib, account) for account in task.accounts)
    source.select(readonly=True)
    done = 0
    for uid in source.uid("SEARCH", "ALL")[1][0].split()[: task.times]:
        data: Any = source.uid("FETCH", uid.decode(), "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        about, octets = data[0]
        date = _DATE.search(about)
        flags = b" ".join(flag for flag in imaplib.ParseFlags(about) if flag != b"\\Recent").decode()
        typ, _ = destination.append("INBOX", flags, date[1].decode() if date else None, octets)
        done += typ == "OK"
    return done


def _migrate(task: Task) -> int:
    from fastimap import archive

    source, destination = map(of, task.accounts)
    with tempfile.TemporaryDirectory() as state:
        report = archive.migrate(
            source,
            destination,
            state=state,
            mailboxes=["INBOX"],
            names=("here", "there"),
            connections=4 if "4" in task.client else 1,
        )
    return report.written if report.complete else -1


def _run(task: Task) -> Callable[[], int]:
    return lambda: _loop(task) if task.client == LOOP else _migrate(task)


if __name__ == "__main__":
    serve(_run)
