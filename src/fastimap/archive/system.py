"""Flags for opening files, which are 0 where the system has none of that kind."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["O_BINARY", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW"]

O_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
"""Line ends stay as they are, on Windows too."""
O_CLOEXEC: Final[int] = getattr(os, "O_CLOEXEC", 0)
O_DIRECTORY: Final[int] = getattr(os, "O_DIRECTORY", 0)
O_NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
