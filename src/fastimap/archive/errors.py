"""What can go wrong with an archive."""

from __future__ import annotations

from pathlib import Path

from ..errors import FastimapError

__all__ = ["ArchiveError", "SecretError", "StoreError", "StoreInUse", "WorkersLost"]


class ArchiveError(FastimapError):
    """The base of the archive's own errors."""


class StoreError(ArchiveError):
    """The store is not what it should be: of another kind, changed by another program, of a later version."""


class StoreInUse(ArchiveError):
    """Another run works on the store now."""

    def __init__(self, root: Path | str, owner: str) -> None:
        super().__init__(f"{root} is in use{owner}")
        self.root = root


class SecretError(ArchiveError):
    """A password or a token can't be had: its command failed, its file can't be read, its variable is not set."""


class WorkersLost(ArchiveError):
    """What does the work of `pull_many` is gone for good: Dask's scheduler, or a process of a pool.

    What was done stays done: another run goes on from there.
    """

    accounts: tuple[str, ...] = ()
    """Those that had been given out, and had not ended: one of them may be what a process died of."""
