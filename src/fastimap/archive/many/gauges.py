"""How far tasks are that other processes of this machine work on: two numbers for each, in a file of the run."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from collections.abc import Callable
from typing import NamedTuple

from ..report import Progress
from ..system import O_BINARY, O_CLOEXEC

__all__ = ["Gauge", "Gauges"]

_NUMBERS = struct.Struct("=QQ")


class Gauge(NamedTuple):
    """Where one task notes how far it is."""

    path: str
    number: int

    def noting(self) -> Callable[[Progress], object] | None:
        """Return a function that notes it; None where the file is not to be had: on another machine."""
        try:
            file = os.open(self.path, os.O_WRONLY | O_CLOEXEC | O_BINARY)
        except OSError:
            return None
        return _Noting(file, self.number * _NUMBERS.size)


class _Noting:
    def __init__(self, file: int, offset: int) -> None:
        self._file = file
        self._offset = offset

    def __call__(self, now: Progress) -> None:
        with contextlib.suppress(OSError):  # a full disk is said by what writes mail
            os.lseek(self._file, self._offset, os.SEEK_SET)
            os.write(self._file, _NUMBERS.pack(now.all_done, now.all_octets))

    def __del__(self) -> None:
        os.close(self._file)


class Gauges:
    """The file, on the side of who waits; it is made with the first gauge."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._path = ""
        self._count = 0

    def new(self) -> Gauge | None:
        """Return one for another task; None where there can be none."""
        if self._file is None:
            try:
                self._file, self._path = tempfile.mkstemp(prefix="fastimap-progress-")
            except OSError:
                return None
        self._count += 1
        return Gauge(self._path, self._count - 1)

    def read(self, gauge: Gauge) -> tuple[int, int]:
        """Return messages and octets that a task has written."""
        octets = b""
        if self._file is not None:
            os.lseek(self._file, gauge.number * _NUMBERS.size, os.SEEK_SET)
            octets = os.read(self._file, _NUMBERS.size)
        return _NUMBERS.unpack(octets) if len(octets) == _NUMBERS.size else (0, 0)

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            with contextlib.suppress(OSError):
                os.unlink(self._path)
