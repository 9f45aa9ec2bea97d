"""How a command runs: what it logs, and what becomes of that which can go wrong."""

from __future__ import annotations

import argparse
import errno
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import exits
from .exits import Failed, UsageError, how_ended, readable, said
from .show import Show
from .words import GO_ON, here

__all__ = ["explained", "talk", "told"]

_LOOKS = ("cat", "doctor", "ls", "search", "status")
"""Commands that leave nothing behind which would go on."""


def talk(options: argparse.Namespace) -> None:
    """Have the log on standard error, as --verbose says."""
    if options.verbose:
        import logging

        logging.basicConfig(
            stream=sys.stderr, level=logging.DEBUG if options.verbose > 1 else logging.INFO, format="%(message)s"
        )


@contextmanager
def explained(options: argparse.Namespace, show: Show) -> Iterator[None]:
    """Turn what can go wrong in the block into a line and an exit code."""
    try:
        yield
    except Exception as exc:
        failed = exc if isinstance(exc, Failed) else _failed(exc, options)
        if failed is not None:
            failed = Failed(_of_both(here(str(failed)), options), failed.code)
        if failed is None or (options.verbose > 1 and isinstance(exc, (ValueError, TypeError))):
            raise
        if options.json:
            told(failed, str(failed), failed.code)
        raise failed from None
    except KeyboardInterrupt as exc:
        if options.json:
            told(exc, *how_ended(exc))
        raise


def _of_both(text: str, options: argparse.Namespace) -> str:
    if hasattr(options, "to_ca"):
        return text.replace("--ca FILE", "--ca FILE (of the source) or --to-ca FILE (of the destination)")
    return text


def told(error: BaseException, text: str, code: int) -> None:
    """Say as a line of JSON why the program ends, unless it was said."""
    if not getattr(error, "is_told", False):
        error.is_told = True  # type: ignore[attr-defined]
        with suppress(OSError):  # as where the disk that it goes to is full, or nobody reads it
            Show(as_json=True).line("error", error=readable(text), code=code)


def _failed(exc: Exception, options: argparse.Namespace) -> Failed | None:
    """Return what is said of an error; None where it is none that a user can do something about."""
    from ..archive.errors import ArchiveError, SecretError, StoreInUse
    from ..errors import Advice, AuthenticationFailed, ConnectionLost, FastimapError, FollowOutage

    notes = "".join(f" ({note})" for note in getattr(exc, "__notes__", ()))
    if isinstance(exc, StoreInUse):
        return Failed(f"{exc}; wait for it with --wait SECONDS", exits.IN_USE)
    if isinstance(exc, SecretError):
        return Failed(f"{exc}{notes}", exits.REFUSED)
    if isinstance(exc, ArchiveError):
        return Failed(str(exc))
    if isinstance(exc, AuthenticationFailed):
        return Failed(f"the server refuses the credentials: {exc}{notes}", exits.REFUSED)
    if isinstance(exc, FollowOutage):
        return Failed(str(exc), exits.CANNOT_CONNECT)
    if isinstance(exc, ConnectionLost):
        return Failed(f"can't connect: {exc}", exits.CANNOT_CONNECT)
    if isinstance(exc, FastimapError):
        return Failed(f"{exc}{notes}", exits.REFUSED if exc.advice is Advice.REAUTHENTICATE else exits.FAILED)
    if isinstance(exc, ImportError) and "pip install" in str(exc):
        return Failed(str(exc))
    if isinstance(exc, UnicodeError):  # the second: as the system hands on what it can't read
        named = "idna" in str(exc)
        return UsageError("the host can't be the name of one" if named else "an argument is not text in UTF-8")
    if isinstance(exc, RuntimeError) and "home directory" in str(exc):  # of `Path.expanduser`
        return UsageError("there is no home directory that ~ stands for: set HOME, or name another directory")
    if isinstance(exc, (ValueError, TypeError)):
        return UsageError(str(exc).replace("\\\\", "\\"))  # a shell has no escapes: \Seen
    if isinstance(exc, BrokenPipeError):  # who reads what is printed has enough
        return None
    go_on = "" if options.command in _LOOKS else GO_ON
    if isinstance(exc, OSError):
        if isinstance(exc, (FileExistsError, NotADirectoryError)) and exc.filename:
            return Failed(f"{exc.filename}: there is a file where a directory is to be")
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        return Failed(f"{'the disk is full' if full else said(exc)}{go_on}")
    if isinstance(exc, sqlite3.OperationalError):
        return Failed(f"the state: {exc}{go_on}")
    return None
