"""The standard library and two interfaces of fastimap take turns at fetching the same messages."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from fastimap import imaplib
from fastimap.testing import IMAPServerProcess
from fastimap.testing.process import child_environment

from . import corpus
from .account import Account, examining, without_tls_if_allowed
from .client import TYPED, Job, Run, digest
from .errors import DemoError
from .progress import Progress
from .pulling import Pulled, pull_twice

LIBRARIES = ("imaplib", "fastimap.imaplib", TYPED)

LIST_ITEMS = "(UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
MESSAGE_ITEMS = "(UID BODY.PEEK[])"

# One FETCH asks for at most so many messages, and so many octets unless one message alone has more.
_CHUNK_MESSAGES = 200
_CHUNK_OCTETS = 8 << 20

_UID_AND_SIZE = re.compile(rb"UID (\d+)|RFC822\.SIZE (\d+)")


@dataclass(frozen=True, slots=True)
class Measure:
    """The medians of one library's runs."""

    messages_per_second: float
    cpu_seconds: float
    peak_memory: int
    """In octets; 0 where the system does not tell."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the demo found out."""

    messages: int
    octets: int
    """Of all messages together."""
    rounds: int
    measures: Mapping[str, Mapping[str, Measure]]
    """By the message data items fetched, and by library."""
    pulled: Pulled | None = None
    """What came of the pull into a Maildir, on a mailbox of the demo's own."""


def compare_synthetic(messages: int, rounds: int, progress: Progress) -> Comparison:
    """Fill a server of the package's own with mail, compare on it, and pull from it."""
    user, password = "user", "password"
    with IMAPServerProcess(users={user: password}) as server:
        account = Account(server.host, server.port, user, "INBOX", tls=False, password=password)
        with progress.task("filling the mailbox", messages) as advance:
            digests, sizes = _fill(account, messages, advance)
        compared = _compare(account, sizes, digests, rounds, progress)
        # The stores of files need POSIX.
        return compared if os.name == "nt" else replace(compared, pulled=pull_twice(account, digests, progress))


def compare_mailbox(account: Account, limit: int, rounds: int, progress: Progress, *, insecure: bool) -> Comparison:
    """Compare on the newest `limit` messages of the user's own mailbox, which stays as it is."""
    account = without_tls_if_allowed(account, imaplib, insecure=insecure)
    with examining(account, imaplib) as client:
        sizes = _newest(client, limit)
    if not sizes:
        raise DemoError(f"the mailbox {account.mailbox!r} holds no messages: choose another")
    return _compare(account, sizes, None, rounds, progress)


def _fill(account: Account, messages: int, advance: Callable[[int], None]) -> tuple[dict[int, str], dict[int, int]]:
    """Append synthetic messages; return the digest and the size of each, by UID."""
    digests, sizes = {}, {}
    with imaplib.IMAP4(account.host, account.port) as client:
        client.login(account.user, account.password)
        for uid, octets in enumerate(corpus.messages(messages), start=1):
            typ, data = client.append(account.mailbox, None, None, octets)
            if typ != "OK":
                raise DemoError(f"the test server refused a message: {data!r}")
            digests[uid] = digest(octets)
            sizes[uid] = len(octets)
            advance(1)
    return digests, sizes


def _newest(client: Any, limit: int) -> dict[int, int]:
    """The sizes of the newest `limit` messages of the open mailbox, by UID."""
    count = int(client.response("EXISTS")[1][-1])
    if not count:
        return {}
    typ, data = client.fetch(f"{max(1, count - limit + 1)}:{count}", "(UID RFC822.SIZE)")
    if typ != "OK":
        raise DemoError(f"the server answered FETCH with {typ} {data!r}")
    sizes = {}
    for line in data:
        found = [match.groups() for match in _UID_AND_SIZE.finditer(line or b"")]
        uids, octets = ([int(group[side]) for group in found if group[side]] for side in (0, 1))
        if uids and octets:
            sizes[uids[0]] = octets[0]
    return sizes


def _compare(
    account: Account, sizes: Mapping[int, int], digests: dict[int, str] | None, rounds: int, progress: Progress
) -> Comparison:
    """Fetch the list of the messages, then the messages; `digests` are what the octets of these must be, if known."""
    measures = {
        LIST_ITEMS: _take_turns(account, LIST_ITEMS, sizes, None, rounds, progress),
        MESSAGE_ITEMS: _take_turns(account, MESSAGE_ITEMS, sizes, digests, rounds, progress),
    }
    return Comparison(len(sizes), sum(sizes.values()), rounds, measures)


def _take_turns(
    account: Account,
    items: str,
    sizes: Mapping[int, int],
    digests: dict[int, str] | None,
    rounds: int,
    progress: Progress,
) -> dict[str, Measure]:
    """Fetch `items` with each library in turn; all must get the octets of `digests`, or those of the first run."""
    listing = {uid: digest(b"%d" % size) for uid, size in sizes.items()}
    chunks = list(_chunks(sizes))
    runs: dict[str, list[Run]] = {library: [] for library in LIBRARIES}
    for number in range(rounds):
        # Who is first changes, so that neither always meets the warmer server.
        for library in LIBRARIES if number % 2 == 0 else reversed(LIBRARIES):
            with progress.task(f"round {number + 1} of {rounds}: {library} {items}", len(sizes)) as advance:
                run = _run(Job(library, account, items, chunks), advance)
            if library == TYPED and items == LIST_ITEMS:
                check(library, listing, run.digests, sizes)
            else:
                digests = digests or run.digests
                check(library, digests, run.digests, sizes)
            runs[library].append(run)
    return {library: _measure(some) for library, some in runs.items()}


def _chunks(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    octets = 0
    for uid, size in sizes.items():
        if chunk and (len(chunk) == _CHUNK_MESSAGES or octets + size > _CHUNK_OCTETS):
            yield chunk
            chunk, octets = [], 0
        chunk.append(uid)
        octets += size
    if chunk:
        yield chunk


def _run(job: Job, advance: Callable[[int], None]) -> Run:
    """Carry `job` out in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "fastimap.demo.client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
        process_group=0,  # Ctrl-C is for this process, which kills that one: else it may be gone amid what it is sent
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            # A process that ended before it read all has said why on its standard error.
            with suppress(BrokenPipeError), process.stdin:
                json.dump(asdict(job), process.stdin)
            result: dict[str, Any] | None = None
            for line in process.stdout:
                value = json.loads(line)
                if isinstance(value, int):
                    advance(value)
                else:
                    result = value
            complaint = process.stderr.read()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0 or result is None:
        reason = complaint.strip().rpartition("\n")[2] or f"exit status {process.returncode}"
        raise DemoError(f"the client with {job.library} failed: {reason}")
    return Run(**result | {"digests": {int(uid): text for uid, text in result["digests"].items()}})


def check(library: str, expected: Mapping[int, str], found: Mapping[int, str], sizes: Mapping[int, int]) -> None:
    missing = sizes.keys() - found.keys()
    if missing:
        raise DemoError(
            f"{library} got no octets of {len(missing)} messages, as of UID {min(missing)}: "
            "if they were expunged meanwhile, run the demo again"
        )
    different = [uid for uid in sizes if found[uid] != expected[uid]]
    if different:
        raise DemoError(f"the octets from {library} differ in {len(different)} messages, as in UID {different[0]}")


def _measure(runs: list[Run]) -> Measure:
    return Measure(
        messages_per_second=len(runs[0].digests) / statistics.median(run.seconds for run in runs),
        cpu_seconds=statistics.median(run.cpu_seconds for run in runs),
        peak_memory=int(statistics.median(run.peak_memory for run in runs)),
    )
