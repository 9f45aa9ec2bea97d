"""How much a process grows: the octets of its memory, and its open files. Linux's /proc tells."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

STATM = Path("/proc/self/statm")
_LITTLE = 1024 * 1024


def resident() -> int:
    """The octets of memory that this process has."""
    gc.collect()
    return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def growth(act: Callable[[], None], times: int) -> int:
    """How many octets more the process has after `times` calls of `act`, those not counted that warm it up.

    What is leaked is leaked each time, but an allocator may take a block of its own once: so what looks like growth is
    looked at again, and the least of three counts.
    """
    for _ in range(times // 10):
        act()
    grown = []
    for _ in range(3):
        before = resident()
        for _ in range(times):
            act()
        grown.append(resident() - before)
        if grown[-1] < _LITTLE:
            break
    return min(grown)
