"""Processes for accounts, which leave Ctrl-C to their parent from their first moment on."""

from __future__ import annotations

import multiprocessing.context
import signal
import sys
import threading
from concurrent.futures import InvalidStateError
from typing import ClassVar

__all__ = ["Processes", "leave_interrupts_to_the_parent", "without_complaints"]


class _Process(multiprocessing.context.SpawnProcess):
    def start(self) -> None:
        if sys.platform == "win32":
            super().start()
            return
        # A process has its parent's mask: what a terminal says to all comes to it too, and Python itself is beginning.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Processes(multiprocessing.context.SpawnContext):
    """What `concurrent.futures.ProcessPoolExecutor` makes its processes by."""

    Process: ClassVar[type[_Process]] = _Process


def leave_interrupts_to_the_parent() -> None:
    """Where a process can't be begun so (Windows), it is to ignore them itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def without_complaints() -> None:
    """Have a pool that is being ended say nothing of futures that were cancelled, as its thread does in Python 3.11."""
    hook = threading.excepthook

    def say(said: threading.ExceptHookArgs) -> None:
        if not issubclass(said.exc_type, InvalidStateError):
            hook(said)

    threading.excepthook = say
