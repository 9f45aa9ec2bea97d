"""What is told of a run, and whether it is to stop: asked and told by the thread of the caller alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from ..sessions.retry import Retry, seconds_to_sleep
from .report import Progress

__all__ = ["NotNow", "Stop", "Watch"]

_PIECE = 0.5
"""Seconds after which whoever waits looks up."""


class Stop(Exception):
    """A limit is reached, or somebody asked to stop."""

    def __init__(self, reason: str, go_on_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.go_on_at = go_on_at


class NotNow(Exception):
    """The first connections did not come about; nothing is to be tried again."""


class Watch:
    """Of one run.

    :param limits: called at each look; it raises Stop where the run has come to a limit.
    """

    def __init__(
        self,
        retry: Retry | None,
        progress: Callable[[Progress], object] | None,
        stopping: Callable[[], bool] | None,
        limits: Callable[[], None] | None = None,
    ) -> None:
        self._progress = progress
        self._stopping = stopping
        self._limits = limits
        self._sleep: Callable[[float], object] = (retry and retry.sleep) or time.sleep
        self._began = time.monotonic()
        self._owner = threading.get_ident()
        self._waiting: str | None = None
        self.connected: bool = False
        self.over: bool = False
        """Whether the threads of this run are to end."""
        self.current: tuple[str, int, int, int] = ("", 0, 0, 0)
        self.done: int = 0
        self.octets: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def begin(self, name: str, total: int) -> None:
        """Tell which mailbox is worked on."""
        self.current = (name, 0, total, 0)
        self.tell()

    def count(self, messages: int, octets: int) -> None:
        """Count messages that are done."""
        self.done += messages
        self.octets += octets
        name, done, total, before = self.current
        self.current = (name, done + messages, total, before + octets)

    def tell(self) -> None:
        """Tell how far it is."""
        if self._progress is not None:
            self._progress(Progress(*self.current, self.done, self.octets, self.elapsed, self._waiting))

    def check(self) -> None:
        """Raise Stop if the run is to stop."""
        if threading.get_ident() != self._owner:
            if self.over:
                raise Stop("another connection ended the run")
            return
        if self._stopping is not None and self._stopping():
            raise Stop("asked to stop")
        if self._limits is not None:
            self._limits()

    def sleep(self, seconds: float) -> None:
        """Wait before another attempt, and say so; raise Stop if the run is to stop meanwhile."""
        if not self.connected:
            raise NotNow
        self._waiting = f"waiting {seconds:.0f} s for the server"
        if threading.get_ident() == self._owner:
            self.tell()
        try:
            self.wait(seconds_to_sleep(seconds))
        finally:
            self._waiting = None

    def wait(self, seconds: float) -> None:
        """Wait; raise Stop if the run is to stop meanwhile."""
        while seconds > 0:
            self.check()
            self._sleep(min(seconds, _PIECE))
            seconds -= _PIECE
