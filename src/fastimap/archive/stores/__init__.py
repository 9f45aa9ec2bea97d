"""Where mail is put, one format a file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ..._lazy import imported
from ..errors import StoreError
from ..state import MARKER, STATE_FILE, damaged, opened_to_read
from .base import Store

__all__ = ["FORMATS", "kind_of", "store_at"]

FORMATS = {
    "eml": ("eml", "EmlDirectory"),
    "jsonl": ("jsonlines", "JSONLines"),
    "jsonl.zst": ("jsonlines", "JSONLinesZstd"),
    "maildir": ("maildir", "Maildir"),
    "mbox": ("mbox", "Mbox"),
    "parquet": ("parquet", "Parquet"),
    "sqlite": ("sqlite", "SQLite"),
}
"""By name: the module and the class."""


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Return the format of the store at `path`; None where there is none. Raises ValueError where it is no path."""
    if not os.fspath(path):  # else it would be the directory that the program is in
        raise ValueError("the directory of a store is an empty text: is a variable not set?")
    if "://" in str(path):
        return "parquet"  # no other is elsewhere than on a disk
    root = Path(path).expanduser()
    if (root / MARKER).is_file():
        return "parquet"
    if root.is_file():
        return _kind_in(root)
    if (state := root / STATE_FILE).is_file():
        return _kind_in(state)
    file = root / "mail.sqlite"
    return _kind_in(file, may_be_foreign=True) if file.is_file() else None


def _kind_in(state: Path, *, may_be_foreign: bool = False) -> str | None:
    """Return the format that a state says; None where it is of a run that was killed when it began.

    :param may_be_foreign: whether another program may have a database of that name: then None, too.
    """
    try:
        database = opened_to_read(state)
        try:
            if database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                return None
            row = database.execute("SELECT value FROM about WHERE name = 'kind'").fetchone()
        finally:
            database.close()
    except sqlite3.DatabaseError as exc:
        if may_be_foreign and "no such table" in str(exc):
            return None
        raise StoreError(damaged(state, exc)) from None
    return row[0] if row else None


def store_at(path: str | os.PathLike[str], kind: str | None = None) -> Store:
    """Return the store at `path`: of the format that it has, else of `kind`, else a Maildir."""
    if isinstance(path, type):
        raise TypeError(f"{path.__name__} is a class: a store is one of its values, {path.__name__}(directory)")
    found = kind_of(path)
    if kind is not None and found is not None and kind != found:
        raise StoreError(f"{path} is a store of kind {found}, not {kind}")
    kind = found or kind or "maildir"
    if kind not in FORMATS:
        raise ValueError(f"{kind!r} is no format; there are {', '.join(sorted(FORMATS))}")
    module, name = FORMATS[kind]
    made: Store = getattr(imported(f"{__name__}.{module}"), name)(path)
    return made
