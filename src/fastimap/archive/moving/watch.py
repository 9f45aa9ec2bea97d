"""What is told of a run, and whether it is to stop: asked and told by the thread of the caller alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from ...sessions.retry import seconds_to_sleep
from ..report import Progress
from .options import Options

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
    """Of one run."""

    def __init__(self, options: Options) -> None:
        self._progress = options.progress
        self._stopping = options.stopping
        self._sleep: Callable[[float], object] = (options.retry and options.retry.sleep) or time.sleep
        self._began = time.monotonic()
        self._owner = threading.get_ident()
        self._waiting: str | None = None
        self.connected: bool = False
        self.over: bool = False
        """Whether the threads of this run are to end."""
        self.current: tuple[str, int, int, int] = ("", 0, 0, 0)
        self.done: int = 0
        self.octets: int = 0

    def begin(self, name: str, total: int) -> None:
        """Tell which mailbox is worked on."""
        self.current = (name, 0, total, 0)
        self.tell()

    def sent(self, octets: int) -> None:
        """Count a message."""
        self.done += 1
        self.octets += octets
        name, done, total, before = self.current
        self.current = (name, done + 1, total, before + octets)

    def tell(self) -> None:
        """Tell how far it is."""
        if self._progress is not None:
            self._progress(
                Progress(*self.current, self.done, self.octets, time.monotonic() - self._began, self._waiting)
            )

    def check(self) -> None:
        """Raise Stop if the run is to stop."""
        if threading.get_ident() != self._owner:
            if self.over:
                raise Stop("another connection ended the run")
        elif self._stopping is not None and self._stopping():
            raise Stop("asked to stop")

    def sleep(self, seconds: float) -> None:
        """Wait; raise Stop if the run is to stop meanwhile."""
        if not self.connected:
            raise NotNow
        self._waiting = f"waiting {seconds:.0f} s"
        if threading.get_ident() == self._owner:
            self.tell()
        try:
            until = time.monotonic() + seconds_to_sleep(seconds)
            while (left := until - time.monotonic()) > 0:
                self.check()
                self._sleep(min(left, _PIECE))
        finally:
            self._waiting = None
