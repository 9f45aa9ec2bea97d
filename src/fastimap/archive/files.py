"""Writes files, each of them whole before it has its name: in C where that was built, or in Python."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from ..parser import IMPLEMENTATION
from .system import O_CLOEXEC, O_NOFOLLOW

__all__ = ["write_files"]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | O_NOFOLLOW | O_CLOEXEC
_MODE = 0o600
TYPE_CHECKING = False


def write_files(first: int, last: int, files: Iterable[tuple[bytes, bytes, bytes, int | None]]) -> None:
    """Write files, one after the other, in one directory, and move each to another when it is whole.

    Raises OSError for the first that can't be written; those before it are there.

    :param first: descriptor of the directory that they are written in.
    :param last: of the one that they are to be in; on the same file system.
    :param files: of each the name in the first directory, the name in the last, what is in it, and its time in seconds
        since 1970, or None: now.
    """
    for temporary, name, octets, seconds in files:
        try:
            _write_file(first, last, temporary, name, octets, seconds)
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, os.fsdecode(name)) from None


def _write_file(first: int, last: int, temporary: bytes, name: bytes, octets: bytes, seconds: int | None) -> None:
    file = os.open(temporary, _NEW_FILE, _MODE, dir_fd=first)
    try:
        try:
            written = os.write(file, octets)
            while written < len(octets):
                written += os.write(file, memoryview(octets)[written:])
            if seconds is not None:
                os.utime(file, (seconds, seconds))
        finally:
            os.close(file)
        os.rename(temporary, name, src_dir_fd=first, dst_dir_fd=last)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=first)
        raise


if not TYPE_CHECKING and IMPLEMENTATION == "c":
    with contextlib.suppress(ImportError):  # Windows has none: a directory can't be open there
        from ._files import write_files
