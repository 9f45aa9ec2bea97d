"""The files of commands, where a driver must not wait for them: they are read and written elsewhere, in order."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from .pending import Pending

__all__ = ["Files"]

Run: TypeAlias = Callable[[Callable[[], object], Callable[[], object]], object]
"""Have another thread do the first, then call the second in the driver's own."""

_MOST = 1024 * 1024
"""Octets that may wait to be written before the server is made to wait;"""
_MANY = 100
"""and pieces of work, as each may have a file open."""


class _Work(NamedTuple):
    pending: Pending[Any]
    do: Callable[[], object] | None
    """What another thread does, and may take its time for."""
    then: Callable[[], object] | None
    """What is done in the driver's thread after it."""
    octets: int


class Files:
    """The work on files of one connection, one piece after the other.

    `moved` is called in the driver's thread after each piece, with whether it was read.

    What is written for a command that is not awaited any more is left out, and so is what follows an error: the first
    one is the command's. Progress is reported in the driver's thread.
    """

    def __init__(self, run: Run, moved: Callable[[bool], object]) -> None:
        self._run = run
        self._moved = moved
        self._works: deque[_Work] = deque()
        self._octets = 0
        self._settled: list[Callable[[], object]] = []
        self.at_work: bool = False
        """Whether a file is being read or written now."""
        self.reading: bool = False
        """Whether one is being read."""

    @property
    def full(self) -> bool:
        """Whether no more is to be received before something is written."""
        return self._octets > _MOST or len(self._works) > _MANY

    def write(self, pending: Pending[Any], write: Callable[[bytes], object], octets: bytes) -> None:
        """Write `octets` after all that comes before."""
        self._put(_Work(pending, functools.partial(write, octets), None, len(octets)))

    def read(self, pending: Pending[Any], read: Callable[[], object], taken: Callable[[], object]) -> None:
        """Call `read`, and then `taken` in the driver's thread."""
        self._put(_Work(pending, read, taken, 0))

    def after(self, pending: Pending[Any], then: Callable[[], object]) -> None:
        """Call `then` when all that came before is done: at once, if it is."""
        self._put(_Work(pending, None, then, 0))

    def when_settled(self, call: Callable[[], object]) -> None:
        """Call `call` when no file is being read or written, be it that more is to be done."""
        self._settled.append(call)

    def _put(self, work: _Work) -> None:
        self._works.append(work)
        self._octets += work.octets
        if not self.at_work:
            self._next()

    def _next(self) -> None:
        while self._works and not self.at_work:
            work = self._works.popleft()
            pending = work.pending
            if work.do is None or (work.then is None and (pending.file_error or pending.command.abandoned)):
                self._octets -= work.octets
                if work.then is not None:
                    work.then()
                continue
            self.at_work = True
            self.reading = work.then is not None
            self._run(functools.partial(_do, work), functools.partial(self._done, work))

    def _done(self, work: _Work) -> None:
        self.at_work = self.reading = False
        self._octets -= work.octets
        try:
            work.pending.command.report()
        except BaseException as exc:  # the caller's, and for the one who waits
            work.pending.file_error = work.pending.file_error or exc
        settled, self._settled = self._settled, []
        for call in settled:
            call()
        if work.then is not None:
            work.then()
        self._next()
        self._moved(work.then is not None)


def _do(work: _Work) -> None:
    assert work.do is not None
    try:
        work.do()
    except BaseException as exc:  # whatever it is, it is not this thread's
        work.pending.file_error = work.pending.file_error or exc
