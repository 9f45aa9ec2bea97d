"""A mailbox of 100,000 messages, and of 1,000,000, pulled from a server that makes them up: wall, CPU and peak memory.

The first run takes all; then one with nothing new, one with a message and a flag that are new, one where all messages
have other flags, and one that compares all anew. No real server could be filled in reasonable time; this one has
CONDSTORE, or with --plain nothing at all.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

from benchmarks.client import resident
from benchmarks.workloads import MIB

MESSAGES = (100_000, 1_000_000)
TMPFS = Path("/dev/shm")
PADDING = b"Nothing that anybody would want to read again, and again.\r\n" * 10
_SET = re.compile(rb"([0-9*]+)(?::([0-9*]+))?")


class Mailbox:
    """Messages that are made when they are asked for; UIDs are their numbers."""

    def __init__(self, exists: int) -> None:
        self.exists = exists
        self.modified: dict[int, int] = {}
        """Mod-sequences of those that have another one than most, by UID."""
        self.highest = self.most = 1
        self.flags = rb"\Seen"

    def change(self) -> None:
        """Get another message, and a flag."""
        self.highest += 1
        self.exists += 1
        self.modified[self.exists] = self.modified[self.exists // 2] = self.highest

    def mark(self) -> None:
        """Have all messages with another flag."""
        self.highest += 1
        self.most = self.highest
        self.modified.clear()
        self.flags = rb"\Answered \Seen"

    def row(self, uid: int, items: bytes) -> bytes:
        """Return the response to a FETCH."""
        flags = self.flags + (rb" \Flagged" if uid in self.modified else b"")
        parts = [b"UID %d FLAGS (%b) MODSEQ (%d)" % (uid, flags, self.modified.get(uid, self.most))]
        if b"INTERNALDATE" in items:
            parts.append(b'INTERNALDATE "%02d-Jan-2024 %02d:00:00 +0000"' % (uid % 28 + 1, uid % 24))
        text = b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\n%b" % (uid, uid, PADDING)
        if b"RFC822.SIZE" in items:
            parts.append(b"RFC822.SIZE %d" % len(text))
        if b"ENVELOPE" in items:
            ann = b'(("Ann" NIL "ann%d" "example.org"))' % (uid % 1000)
            parts.append(
                b'ENVELOPE ("Mon, 01 Jan 2024 10:00:00 +0000" "message %d" %b %b %b %b NIL NIL NIL "<%d@example.org>")'
                % (uid, ann, ann, ann, ann, uid)
            )
            parts.append(b'BODYSTRUCTURE ("text" "plain" ("charset" "utf-8") NIL NIL "7bit" %d 10)' % len(PADDING))
        if b"BODY.PEEK[]" in items:
            parts.append(b"BODY[] {%d}\r\n%b" % (len(text), text))
        return b"* %d FETCH (%b)\r\n" % (uid, b" ".join(parts))

    def uids(self, given: bytes, since: int | None) -> Iterator[int]:
        """Yield the messages of a set."""
        for low, high in _SET.findall(given):
            first, last = sorted(self.exists if each == b"*" else int(each) for each in (low, high or low))
            if since is None or since < self.most:
                yield from range(first, min(last, self.exists) + 1)
            else:
                yield from sorted(n for n, m in self.modified.items() if m > since and first <= n <= last)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(b"* OK [CAPABILITY %b] ready\r\n" % self.server.capabilities)
            for line in self.rfile:
                tag, _, command = line.rstrip(b"\r\n").partition(b" ")
                for part in self.server.answer(tag, command):
                    self.wfile.write(part)
                self.wfile.write(tag + b" OK done\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, mailbox: Mailbox, capabilities: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.mailbox = mailbox
        self.capabilities = capabilities

    def answer(self, tag: bytes, command: bytes) -> Iterator[bytes]:
        box = self.mailbox
        word, *arguments = command.split(b" ")
        match word.upper():
            case b"CAPABILITY":
                yield b"* CAPABILITY %b\r\n" % self.capabilities
            case b"LIST":
                yield b'* LIST () "/" INBOX\r\n'
            case b"STATUS":
                counts = b"MESSAGES %d UIDNEXT %d UIDVALIDITY 1 HIGHESTMODSEQ %d"
                yield b"* STATUS INBOX (" + counts % (box.exists, box.exists + 1, box.highest) + b")\r\n"
            case b"SELECT" | b"EXAMINE":
                yield b"* FLAGS (\\Seen \\Flagged)\r\n* %d EXISTS\r\n" % box.exists
                yield b"* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT %d] ok\r\n" % (box.exists + 1)
                if b"CONDSTORE" in self.capabilities:
                    yield b"* OK [HIGHESTMODSEQ %d] ok\r\n" % box.highest
            case b"UID" if arguments[0].upper() == b"SEARCH" and b"RETURN" in command:
                yield b'* ESEARCH (TAG "%b") UID ALL 1:%d\r\n' % (tag, box.exists)
            case b"UID" if arguments[0].upper() == b"SEARCH":
                yield b"* SEARCH %b\r\n" % b" ".join(b"%d" % number for number in range(1, box.exists + 1))
            case b"UID":
                found = re.search(rb"CHANGEDSINCE ([0-9]+)", command)
                uids = box.uids(arguments[1], int(found[1]) if found else None)
                while some := list(itertools.islice(uids, 200)):
                    yield b"".join(box.row(uid, command) for uid in some)
            case b"LOGOUT":
                yield b"* BYE bye\r\n"


def serve(messages: int, plain: bool) -> None:
    """Serve until standard input closes; each line of it changes the mailbox."""
    server = _Server(
        Mailbox(messages), b"IMAP4rev1 SASL-IR AUTH=PLAIN" + (b"" if plain else b" ESEARCH CONDSTORE ENABLE")
    )
    Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        getattr(server.mailbox, line.strip())()
        print(flush=True)


def pull(*arguments: str) -> None:
    """Be `fastimap pull`, and print what it took."""
    from fastimap.cli import main

    began = time.perf_counter()
    code = main(["pull", *arguments])
    figures = {"wall": time.perf_counter() - began, "cpu": time.process_time(), "memory": resident("VmHWM")}
    print(json.dumps({"code": code, **figures}))


def measure(messages: int, kind: str, plain: bool) -> None:
    """Do the runs on one mailbox, and print them."""
    where = tempfile.mkdtemp(prefix="fastimap-", dir=TMPFS if TMPFS.is_dir() else None)
    program = [sys.executable, "-m", "benchmarks.volume"]
    command = [*program, "--serve", str(messages), *(["--plain"] if plain else [])]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin
            assert server.stdout
            url = f"imap://ann@127.0.0.1:{server.stdout.readline().strip()}"
            options = [url, f"{where}/mail", "--insecure", "--format", kind, "-q"]
            for title, change, more in (
                ("all", "", []),
                ("nothing new", "", []),
                ("a message and a flag", "change", []),
                ("other flags of all", "mark", []),
                ("nothing new, --no-resume", "", ["--no-resume"]),
            ):
                if change:
                    print(change, file=server.stdin, flush=True)
                    server.stdout.readline()
                ended = subprocess.run(
                    [*program, "--pull", *options, *more],
                    env={**os.environ, "FASTIMAP_PASSWORD": "secret"},
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                took = json.loads(ended.stdout.splitlines()[-1])
                print(
                    f"| {messages:9,} | {title:24} | {took['wall']:6.1f} s | {took['cpu']:6.1f} s | "
                    f"{took['memory'] / MIB:4.0f} MiB |" + (f" exit code {took['code']}" if took["code"] else ""),
                    flush=True,
                )
            server.stdin.close()
    finally:
        shutil.rmtree(where)


def main() -> None:
    """Measure, and print a table."""
    if sys.argv[1:2] == ["--pull"]:
        pull(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.volume", description=__doc__)
    parser.add_argument("--messages", type=int, action="append", help="how many; repeatable (100,000 and 1,000,000)")
    parser.add_argument("--format", default="maildir", help="of the store (default: maildir)")
    parser.add_argument("--plain", action="store_true", help="a server without CONDSTORE and ESEARCH")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve, given.plain)
        return
    print("|  messages | run                      | wall     | CPU      | memory   |")
    print("|-----------|--------------------------|----------|----------|----------|")
    for messages in given.messages or MESSAGES:
        measure(messages, given.format, given.plain)


if __name__ == "__main__":
    main()
