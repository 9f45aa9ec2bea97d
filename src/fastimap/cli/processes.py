"""Processes for accounts, which leave Ctrl-C to their parent from their first moment on."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import os
import signal
import sys
import threading
from concurrent.futures import InvalidStateError
from typing import ClassVar

from ..archive.signals import held

__all__ = ["Processes", "as_a_child", "without_complaints"]


class _Process(multiprocessing.context.SpawnProcess):
    def start(self) -> None:
        # A process has its parent's mask: what a terminal says to all comes to it too, and Python itself is beginning.
        # The mask alone does not save this thread from a signal that another one takes, and a process that was begun,
        # and not yet told what to do, would complain.
        with held():
            if sys.platform == "win32":
                super().start()
                return
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                super().start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Processes(multiprocessing.context.SpawnContext):
    """What `concurrent.futures.ProcessPoolExecutor` makes its processes by."""

    Process: ClassVar[type[_Process]] = _Process


def as_a_child() -> None:
    """Leave interrupts to the parent, where a process can't be begun so (Windows), and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # there is nothing more to do for it; what it has done stays done


def without_complaints() -> None:
    """Have a pool that is being ended say nothing of futures that were cancelled, as its thread does in Python 3.11."""
    hook = threading.excepthook

    def say(said: threading.ExceptHookArgs) -> None:
        if not issubclass(said.exc_type, InvalidStateError):
            hook(said)

    threading.excepthook = say
