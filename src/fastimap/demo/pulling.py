"""The mailbox is pulled into a Maildir by a run that is interrupted half way, and by one that goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fastimap import Account, archive
from fastimap.testing.process import child_environment

from . import account as demo
from .client import digest
from .errors import DemoError
from .progress import Progress

_LOOK = 0.01
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of it."""

    stopped_at: int | None
    """Messages that were in the Maildir when the first run was interrupted; None: it ended before."""
    written: int
    """By the second run."""
    present: int
    """That the second run found there, and did not fetch again."""


def pull_twice(account: demo.Account, digests: Mapping[int, str], progress: Progress) -> Pulled:
    """Pull, be interrupted, and pull again; every message has to be there once, with the octets of `digests`."""
    with TemporaryDirectory(prefix="fastimap-demo-") as directory:
        store = Path(directory) / "Mail"
        with progress.task("fastimap pull, which will be interrupted half way", len(digests)) as advance:
            stopped_at = _interrupted(account, store, directory, len(digests), advance)
        server = Account(
            account.host, account.port, user=account.user, password=account.password, tls=False, mechanism="PLAIN"
        )
        with progress.task("fastimap pull, again", len(digests)) as advance:
            done = 0

            def moved(now: archive.Progress) -> None:
                nonlocal done
                advance(now.all_done - done)
                done = now.all_done

            report = archive.pull(server, store, progress=moved)
        found = Counter(digest(path.read_bytes()) for path in _messages(store))
    if not report.complete:
        raise DemoError("fastimap pull does not say that all is there")
    if found != Counter(digests.values()):
        raise DemoError("what is in the Maildir is not what is on the server")
    return Pulled(stopped_at, report.written, report.present)


def _messages(store: Path) -> list[Path]:
    return [path for part in ("new", "cur") for path in store.glob(f"**/{part}/*")]


def _interrupted(
    account: demo.Account, store: Path, directory: str, total: int, advance: Callable[[int], None]
) -> int | None:
    """Run the command until half of the messages are there, interrupt it as Ctrl-C does; return how many there are."""
    url = f"imap://{account.user}@{account.host}:{account.port}"
    command = [sys.executable, "-m", "fastimap", "pull", url, str(store), "--insecure", "--quiet"]
    environment = child_environment() | {"FASTIMAP_PASSWORD": account.password, "XDG_CONFIG_HOME": directory}
    environment.pop("FASTIMAP_CONFIG", None)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        there, until = 0, time.monotonic() + _PATIENCE
        while process.poll() is None and time.monotonic() < until:
            before, there = there, len(_messages(store))
            advance(there - before)
            if 2 * there >= total:
                process.send_signal(signal.SIGINT)
                process.wait(_PATIENCE)
                return len(_messages(store))
            time.sleep(_LOOK)
        process.kill()
        _, complaint = process.communicate()
    if process.returncode != 0:
        raise DemoError(f"fastimap pull ended with {process.returncode}: {os.fsdecode(complaint).strip()}")
    return None
