"""Files of the owner alone, directories made durable; and flags for opening files, 0 where the system has none."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

__all__ = ["O_BINARY", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "make_directories", "make_private", "sync_directory"]

O_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
"""Line ends stay as they are, on Windows too."""
O_CLOEXEC: Final[int] = getattr(os, "O_CLOEXEC", 0)
O_DIRECTORY: Final[int] = getattr(os, "O_DIRECTORY", 0)
O_NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)


def make_directories(path: Path) -> None:
    """Make a directory, and those above it, that its owner alone may read, as far as they are not there."""
    if not path.is_dir():
        make_directories(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def make_private(path: Path) -> None:
    """Make a file that its owner alone may read, if there is none; SQLite's journal beside it gets its mode.

    Where that fails, whoever opens it next says why.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | O_CLOEXEC, 0o600))


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make durable which files a directory has."""
    directory = os.open(path, os.O_RDONLY | O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
