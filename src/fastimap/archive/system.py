"""Flags for opening files, which are 0 where the system has none of that kind."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW"]

O_CLOEXEC: Final[int] = getattr(os, "O_CLOEXEC", 0)
O_DIRECTORY: Final[int] = getattr(os, "O_DIRECTORY", 0)
O_NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
