"""One client's run, in a process of its own, so that CPU time and peak memory are this client's alone.

A :class:`Job` comes in on standard input. On standard output, a line per chunk says how many messages it brought,
and the last line holds the :class:`Run`; all of it is JSON.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastimap import UIDSet
from fastimap.types import FetchedMessage

from .account import Account, examining, examining_typed
from .errors import DemoError

_SEQUENCE_NUMBER = re.compile(rb"\d+ \(")
_UID = re.compile(rb"\bUID (\d+)")

TYPED = "fastimap.Client"


@dataclass(frozen=True, slots=True)
class Job:
    """What to fetch: in one FETCH after another, so that the memory of one chunk is the bound."""

    library: str
    """What to fetch with: ``imaplib``, ``fastimap.imaplib`` or ``fastimap.Client``."""
    account: Account
    items: str
    """The message data items in parentheses, UID first."""
    chunks: list[list[int]]
    """The UIDs of each FETCH."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured, around the FETCH commands alone: the digests below are not in it."""

    seconds: float
    cpu_seconds: float
    peak_memory: int
    """Of the process, in octets; 0 where the system does not tell."""
    digests: dict[int, str]
    """SHA-256 of what was fetched of each message, by UID: of its literal where it has one, else of its line; with
    fastimap.Client, which keeps no line, of its body or else of its size."""


Fetch = Callable[[list[int]], Any]
Digests = Callable[[Any], dict[int, str]]


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def run(job: Job) -> Run:
    """Fetch all that `job` names, and tell of each chunk on standard output."""
    seconds = cpu_seconds = 0.0
    digests: dict[int, str] = {}
    with _typed(job) if job.library == TYPED else _untyped(job) as (fetch, digests_of):
        for uids in job.chunks:
            begin, cpu_begin = time.perf_counter(), time.process_time()
            fetched = fetch(uids)
            cpu_seconds += time.process_time() - cpu_begin
            seconds += time.perf_counter() - begin
            digests |= digests_of(fetched)
            print(len(uids), flush=True)
    return Run(seconds, cpu_seconds, _peak_memory(), digests)


@contextmanager
def _untyped(job: Job) -> Iterator[tuple[Fetch, Digests]]:
    imaplib = importlib.import_module(job.library)

    def digests(answer: tuple[str, list[Any]]) -> dict[int, str]:
        typ, data = answer
        if typ != "OK":
            raise DemoError(f"the server answered FETCH with {typ} {data!r}")
        return {uid: digest(octets) for uid, octets in _fetched(data)}

    with examining(job.account, imaplib) as client:
        yield lambda uids: client.uid("FETCH", ",".join(map(str, uids)), job.items), digests


@contextmanager
def _typed(job: Job) -> Iterator[tuple[Fetch, Digests]]:
    items = job.items.strip("()").split()

    def digests(rows: list[FetchedMessage]) -> dict[int, str]:
        for row in rows:
            if row.defects:
                raise DemoError(f"of UID {row.uid} the server sent what can't be read: {row.defects[0]}")
        return {row.uid: digest(str(row.size).encode() if row.body is None else row.body) for row in rows if row.uid}

    with examining_typed(job.account) as client:
        # One loop over all of them, as a program has it: how much each command asks for is the client's to choose.
        rows = client.fetch_iter(UIDSet(uid for chunk in job.chunks for uid in chunk), *items)
        yield lambda uids: list(itertools.islice(rows, len(uids))), digests


def _fetched(data: list[Any]) -> Iterator[tuple[int, bytes]]:
    """Yield UID and octets for each message in what imaplib returns for a FETCH: see ``Run.digests``.

    A response is a line, or (line, literal) tuples and the line after them, which begins with no sequence number.
    """
    responses: list[tuple[bytes, list[bytes]]] = []
    for piece in data:
        line, *literal = piece if isinstance(piece, tuple) else (piece or b"",)
        if _SEQUENCE_NUMBER.match(line):
            responses.append((line, literal))
        elif responses:
            before, literals = responses[-1]
            responses[-1] = (before + line, literals + literal)
    for line, literals in responses:
        if uid := _UID.search(line):
            yield int(uid[1]), b"".join(literals) or line


def _peak_memory() -> int:
    # First the figure of Linux, which begins with this program; the one of getrusage() has in it what the parent had
    # in memory when it started this process.
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        pass
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    values = json.load(sys.stdin)
    job = Job(values["library"], Account(**values["account"]), values["items"], values["chunks"])
    try:
        print(json.dumps(asdict(run(job))), flush=True)
    except DemoError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
