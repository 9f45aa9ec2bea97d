"""One run a store at a time: a lock of the kernel's, which dies with its process."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import StoreInUse
from .system import O_CLOEXEC

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["LOCK_FILE", "locked"]

LOCK_FILE = ".fastimap.lock"
_LOOK = 0.2


@contextlib.contextmanager
def locked(root: Path, wait: float | None = 0) -> Iterator[None]:
    """Hold the store below `root` while the block runs.

    :param wait: seconds to wait for another run to end; None: any time. Raises StoreInUse after that.
    """
    file = os.open(root / LOCK_FILE, os.O_RDWR | os.O_CREAT | O_CLOEXEC, 0o600)
    try:
        until = None if wait is None else time.monotonic() + wait
        while not _try(file):
            if until is not None and time.monotonic() >= until:
                owner = os.pread(file, 20, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
                raise StoreInUse(root, f" by process {owner}" if owner.isdigit() else "")
            time.sleep(_LOOK)
        os.ftruncate(file, 0)
        os.write(file, b"%d\n" % os.getpid())
        yield
    finally:
        os.close(file)  # which gives the lock up


def _try(file: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
