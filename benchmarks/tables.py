"""Messages of a real Dovecot as columns: fetch_table beside a loop of dicts, and pulls into Parquet, on tmpfs.

``python -m benchmarks.tables`` prints a line for each: wall and client's CPU, messages a second of both, and the memory
at most. Each runs in a process of its own. The loop makes of every row of `client.fetch` a dict with the same values.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.archive import BARE_SETTINGS, TMPFS
from benchmarks.client import Unavailable
from benchmarks.workloads import message
from fastimap import Account, Client, archive
from fastimap.types import Address as MailAddress
from tests.servers import dovecot

MESSAGES = 20_000
MAILBOX = "tables"
ITEMS = ("ENVELOPE", "FLAGS", "INTERNALDATE", "RFC822.SIZE")


def _dicts(client: Client, where: str) -> int:
    def addresses(found: tuple[MailAddress, ...]) -> list[dict[str, str | None]]:
        return [{"name": a.name, "mailbox": a.mailbox, "host": a.host, "address": a.email} for a in found]

    made = []
    for row in client.fetch("1:*", *ITEMS):
        envelope = row.envelope
        assert envelope is not None
        names = ("from_", "sender", "reply_to", "to", "cc", "bcc")
        made.append(
            {
                "uid": row.uid,
                "flags": sorted(row.flags or ()),
                "internal_date": row.internal_date,
                "size": row.size,
                "date": envelope.date,
                "subject": envelope.subject,
                **{name: addresses(getattr(envelope, name)) for name in names},
                "message_id": envelope.message_id,
                "in_reply_to": envelope.in_reply_to,
            }
        )
    return len(made)


def _rows(client: Client, where: str) -> int:
    return len(client.fetch("1:*", *ITEMS))


def _table(client: Client, where: str) -> int:
    count: int = client.fetch_table("1:*", *ITEMS).num_rows
    return count


def _text_table(client: Client, where: str) -> int:
    count: int = client.fetch_table("1:*", *ITEMS, text=True).num_rows
    return count


def _parquet(**kept: bool) -> Callable[[Client, str], int]:
    def pull(client: Client, where: str) -> int:
        store = archive.Parquet(where, **kept)  # type: ignore[arg-type]
        report = archive.pull(client.account, store, mailboxes=[MAILBOX])  # type: ignore[attr-defined]
        assert report.complete, report.as_dict()
        return report.found

    return pull


def _read(client: Client, where: str) -> int:
    count: int = archive.read(where).to_table().num_rows
    return count


WAYS: dict[str, Callable[[Client, str], int]] = {
    "fetch, rows kept": _rows,
    "fetch, a loop of dicts": _dicts,
    "fetch_table": _table,
    "fetch_table, text": _text_table,
    "pull to Parquet": _parquet(),
    "again, nothing new": _parquet(),
    "archive.read, all of it": _read,
    "pull to Parquet, text": _parquet(text=True),
    "pull to Parquet, text and body": _parquet(text=True, body=True),
}
KEEP = ("again, nothing new", "archive.read, all of it")
"""They go on with the store of the one before."""


def one(way: str, address: dict[str, Any], where: str) -> None:
    """Do it, and print what it took."""
    account = Account(**address)
    with Client(account) as client:
        client.account = account  # type: ignore[attr-defined]
        client.select(MAILBOX, read_only=True)
        if "table" in way or "Parquet" in way or "read" in way:
            import pyarrow.compute
            import pyarrow.dataset
            import pyarrow.parquet  # noqa: F401

            client.fetch_table("1:10", *ITEMS)  # the first one imports what it needs
        wall, cpu = time.perf_counter(), time.process_time()
        count = WAYS[way](client, where)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"count": count, "wall": wall, "cpu": cpu, "memory": memory * 1024}))


WORDS = ("Grüße", "aus", "Köln", "die", "Rechnung", "für", "November", "liegt", "bei", "bitte", "prüfen", "danke")


def _message(random: Random) -> bytes:
    """Return a message with a header as mail has it, and 0.2 to 1.5 KB of text, in UTF-8 and base64."""
    text = " ".join(random.choices(WORDS, k=random.randint(30, 200)))
    return message(random, 0) + base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")


def fill(client: Client, messages: int) -> None:
    """Append messages."""
    random = Random(7)
    client.create_mailbox(MAILBOX)
    for start in range(0, messages, 1000):
        count = min(1000, messages - start)
        client.multi_append(MAILBOX, [_message(random) for _ in range(count)])
    client.select(MAILBOX, read_only=True)
    for _ in client.fetch_iter("1:*", "ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE"):  # the server has read them all once
        pass


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many is shown")
    parser.add_argument("--only", choices=WAYS, action="append")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, address, where = options.one
        one(way, json.loads(address), where)
        return
    directory = Path(tempfile.mkdtemp(dir=TMPFS if TMPFS.is_dir() else None))
    try:
        with dovecot.running(BARE_SETTINGS) as server:
            address = {"host": server.host, "port": server.port, "user": server.new_user(), "tls": False}
            address |= {"password": server.password, "mechanism": "LOGIN"}
            with Client(Account(**address)) as client:
                fill(client, options.messages)
            for way in options.only or WAYS:
                best: dict[str, float] = {}
                for _ in range(options.rounds):
                    if way not in KEEP:
                        shutil.rmtree(directory / "store", ignore_errors=True)
                    command = [sys.executable, "-m", "benchmarks.tables", "--one", way, json.dumps(address)]
                    done = subprocess.run([*command, f"{directory}/store"], capture_output=True, text=True)
                    if done.returncode:
                        raise Unavailable(done.stderr)
                    found = json.loads(done.stdout)
                    best = {name: min(value, best.get(name, value)) for name, value in found.items()}
                print(
                    f"{way:32} {best['wall']:7.3f} s wall {best['count'] / best['wall']:9,.0f}/s"
                    f" {best['cpu']:7.3f} s CPU {best['count'] / best['cpu']:9,.0f}/s"
                    f" {best['memory'] / 2**20:5.0f} MiB",
                    flush=True,
                )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
