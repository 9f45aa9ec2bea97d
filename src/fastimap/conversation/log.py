"""The log, "fastimap" in `logging`: found when something is said there, or where the program has imported `logging`.

Programs that log nothing, and start often, do not wait for the import.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["is_logged", "logger"]

_DEBUG = 10
_found: Logger | None = None


def logger() -> Logger:
    """Return the logger."""
    global _found
    if _found is None:
        import logging

        _found = logging.getLogger("fastimap")
    return _found


def is_logged() -> bool:
    """Return whether what is sent and received is logged."""
    # Asked for several times a command.
    found = _found
    if found is None:
        if "logging" not in sys.modules:
            return False
        found = logger()
    return found.isEnabledFor(_DEBUG)
