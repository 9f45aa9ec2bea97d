"""Messages of a real Dovecot as columns: fetch_table beside a loop of dicts, and pulls into Parquet, on tmpfs.

``python -m benchmarks.tables`` prints a line for each: wall and client's CPU, messages a second of both, and the memory
at most. Each runs in a process of its own. The loops make of every message a dict with the same values: of the rows of
`client.fetch`, of what IMAPClient returns, and of imaplib's octets, which users give to `email`. The server's part of
the wall is that of "fetch, rows kept".
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
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime
from importlib import import_module
from itertools import chain
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
ADDRESSES = ("from_", "sender", "reply_to", "to", "cc", "bcc")
ITEMS = ("ENVELOPE", "FLAGS", "INTERNALDATE", "RFC822.SIZE")


def _made(client: Client) -> list[dict[str, Any]]:
    def addresses(found: tuple[MailAddress, ...]) -> list[dict[str, str | None]]:
        return [{"name": a.name, "mailbox": a.mailbox, "host": a.host, "email": a.email} for a in found]

    made = []
    for row in client.fetch("1:*", *ITEMS):
        envelope = row.envelope
        assert envelope is not None
        made.append(
            {
                "uid": row.uid,
                "flags": sorted(row.flags or ()),
                "internal_date": row.internal_date,
                "size": row.size,
                "date": envelope.date,
                "subject": envelope.subject,
                **{name: addresses(getattr(envelope, name)) for name in ADDRESSES},
                "message_id": envelope.message_id,
                "in_reply_to": envelope.in_reply_to,
            }
        )
    return made


def _dicts(client: Client, where: str) -> int:
    return len(_made(client))


def _dicts_in_a_table(client: Client, where: str) -> int:
    import pyarrow

    count: int = pyarrow.Table.from_pylist(_made(client)).num_rows
    return count


def _decoded(octets: bytes | None) -> str | None:
    return None if octets is None else str(make_header(decode_header(octets.decode("utf-8", "replace"))))


def _imapclient(client: Client, where: str) -> int:
    """Make them of what IMAPClient's `fetch` returns; it has an ENVELOPE in octets, and dates without a zone."""
    imapclient: Any = import_module("imapclient")

    def addresses(found: Any) -> list[dict[str, str | None]]:
        return [
            {
                "name": _decoded(a.name),
                "mailbox": _decoded(a.mailbox),
                "host": _decoded(a.host),
                "email": None if a.host is None else f"{_decoded(a.mailbox)}@{_decoded(a.host)}",
            }
            for a in found or ()
        ]

    account = client.account  # type: ignore[attr-defined]
    made = []
    with imapclient.IMAPClient(account.host, account.port, ssl=False) as peer:
        peer.login(account.user, account.password)
        peer.select_folder(MAILBOX, readonly=True)
        uids = peer.search()
        parts = (peer.fetch(uids[at : at + 1000], ITEMS) for at in range(0, len(uids), 1000))  # a line has its limit
        for uid, row in chain.from_iterable(part.items() for part in parts):
            envelope = row[b"ENVELOPE"]
            made.append(
                {
                    "uid": uid,
                    "flags": sorted(flag.decode() for flag in row[b"FLAGS"]),
                    "internal_date": row[b"INTERNALDATE"],
                    "size": row[b"RFC822.SIZE"],
                    "date": envelope.date,
                    "subject": _decoded(envelope.subject),
                    **{name: addresses(getattr(envelope, name)) for name in ADDRESSES},
                    "message_id": _decoded(envelope.message_id),
                    "in_reply_to": _decoded(envelope.in_reply_to),
                }
            )
    return len(made)


FIELDS = "DATE SUBJECT FROM SENDER REPLY-TO TO CC BCC MESSAGE-ID IN-REPLY-TO"


def _imaplib(client: Client, where: str) -> int:
    """Make them of what imaplib's `fetch` returns: without a reader of ENVELOPE, the header goes through `email`."""
    import email
    import imaplib
    import re

    numbers = re.compile(rb"UID (\d+).*RFC822.SIZE (\d+)")
    account = client.account  # type: ignore[attr-defined]
    made = []
    peer = imaplib.IMAP4(account.host, account.port)
    peer.login(account.user, account.password)
    peer.select(MAILBOX, readonly=True)
    _, found = peer.uid("FETCH", "1:*", f"(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({FIELDS})])")
    for piece in found:
        if not isinstance(piece, tuple):
            continue
        line, octets = piece
        found_numbers = numbers.search(line)
        assert found_numbers is not None
        header = email.message_from_bytes(octets)
        date = header["Date"]
        made.append(
            {
                "uid": int(found_numbers[1]),
                "flags": sorted(flag.decode() for flag in imaplib.ParseFlags(line)),
                "internal_date": imaplib.Internaldate2tuple(line),
                "size": int(found_numbers[2]),
                "date": None if date is None else parsedate_to_datetime(date),
                "subject": str(make_header(decode_header(header["Subject"] or ""))),
                **{
                    name: [
                        {"name": str(make_header(decode_header(shown))), "email": address}
                        for shown, address in getaddresses(header.get_all(name.strip("_").replace("_", "-"), []))
                    ]
                    for name in ADDRESSES
                },
                "message_id": header["Message-ID"],
                "in_reply_to": header["In-Reply-To"],
            }
        )
    peer.logout()
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
    "imaplib and email, a loop of dicts": _imaplib,
    "IMAPClient, a loop of dicts": _imapclient,
    "fetch, rows kept": _rows,
    "fetch, a loop of dicts": _dicts,
    "fetch, dicts, from_pylist": _dicts_in_a_table,
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
        if "table" in way or "pylist" in way or "Parquet" in way or "read" in way:
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
                    f"{way:36} {best['wall']:7.3f} s wall {best['count'] / best['wall']:9,.0f}/s"
                    f" {best['cpu']:7.3f} s CPU {best['count'] / best['cpu']:9,.0f}/s"
                    f" {best['memory'] / 2**20:5.0f} MiB",
                    flush=True,
                )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
