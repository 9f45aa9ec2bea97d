"""One client's run, in a process of its own, so that CPU time and peak memory are this client's alone.

A :class:`Job` comes in on standard input. On standard output, a line per chunk tells how many messages it brought,
and the last line holds the :class:`Run`; all of it is JSON.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .account import Account, examining
from .errors import DemoError

_SEQUENCE_NUMBER = re.compile(rb"\d+ \(")
_UID = re.compile(rb"\bUID (\d+)")


@dataclass(frozen=True, slots=True)
class Job:
    """What to fetch: in one FETCH after another, so that the memory of one chunk is the bound."""

    library: str
    """The module to fetch with: ``imaplib`` or ``fastimap.imaplib``."""
    account: Account
    items: str
    """The message data items, UID first."""
    chunks: list[list[int]]
    """The UIDs of each FETCH."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured, around the FETCH commands alone: the digests below are not in it."""

    seconds: float
    cpu_seconds: float
    peak_memory: int
    """Of the process, in octets; 0 where the system does not tell."""
    octets: int
    digests: dict[int, str]
    """SHA-256 of what was fetched of each message, by UID: of its literal where it has one, else of its line."""


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def run(job: Job) -> Run:
    """Fetch all that `job` names, and tell of each chunk on standard output."""
    imaplib = importlib.import_module(job.library)
    seconds = cpu_seconds = 0.0
    octets = 0
    digests = {}
    with examining(job.account, imaplib) as client:
        for uids in job.chunks:
            message_set = ",".join(map(str, uids))
            begin, cpu_begin = time.perf_counter(), time.process_time()
            typ, data = client.uid("FETCH", message_set, job.items)
            cpu_seconds += time.process_time() - cpu_begin
            seconds += time.perf_counter() - begin
            if typ != "OK":
                raise DemoError(f"the server answered FETCH with {typ} {data!r}")
            for uid, fetched in _fetched(data):
                digests[uid] = digest(fetched)
                octets += len(fetched)
            print(len(uids), flush=True)
    return Run(seconds, cpu_seconds, _peak_memory(), octets, digests)


def _fetched(data: list[Any]) -> Iterator[tuple[int, bytes]]:
    """Yield UID and octets for each message in what imaplib returns for a FETCH: see ``Run.digests``.

    A response is a line, or (line, literal) tuples and the line behind them, which begins with no sequence number.
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
    try:
        import resource
    except ImportError:
        return 0
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
