"""Files of a Parquet store that no manifest names: a killed run leaves them, and so does a manifest that is lost."""

from __future__ import annotations

import contextlib
import errno
import re
import time
from collections.abc import Iterable
from typing import Any

from .filesystems import Files
from .locks import LOCK_FILE, locked
from .shards import FOLDER, Manifest, Part, account_folder, hive_value, manifests, table_of

__all__ = ["OURS", "old_ones", "only_copies", "unnamed"]

OURS = re.compile(r"/[0-9a-f]{64}\.parquet\Z|\.[0-9a-f]{32}\.part\Z")  # named by `put_table`, or not yet whole
_TOLD_BY = ["uid_validity", "uid", "internal_date", "size", "message_id"]
_A_DAY = 86_400  # seconds: no run takes as long from a file to its manifest


def unnamed(files: Files, account: str | None) -> list[str]:
    """Return the files with mail that no manifest names, and that have a message which no other has.

    Raises StoreInUse while a run is at work, which is yet to name what it has written.

    :param account: of this one alone, which is held; None: of all, and the store is.
    """
    folder = "" if account is None else f"account={hive_value(account)}"
    found = {name for name in files.names(folder, ".parquet") if OURS.search(name) and name.startswith("account=")}
    with contextlib.ExitStack() as held:
        if files.local is not None:
            top = files.local / (FOLDER if account is None else account_folder(account))
            for lock in top.glob(f"{'*/' if account is None else ''}locks/*/{LOCK_FILE}"):
                try:
                    held.enter_context(locked(lock.parent))
                except OSError as exc:
                    if exc.errno != errno.EROFS:  # where no run can write either
                        raise
        there = manifests(files, None if account is None else [account])
        found -= {part.path for manifest in there for part in manifest.parts}
        found -= {name for manifest in there for name in manifest.replaced}
        return sorted(only_copies(files, old_ones(files, found), there))


def old_ones(files: Files, names: set[str]) -> set[str]:
    """Return those files of which no run can be that is yet to name them; on a disk all, where locks say that."""
    if files.local is not None:
        return names
    yesterday = time.time() - _A_DAY
    return {name for name in names if files.modified(name) < yesterday}


def only_copies(files: Files, names: Iterable[str], there: list[Manifest]) -> list[str]:
    """Return those files of mail that have a message which no manifest has, or that can't be read."""
    mail = {name: _messages(files, name) for name in names if not name.startswith(f"{FOLDER}/")}
    left = {key for keys in mail.values() for key in keys or ()}
    for part in (part for manifest in there for part in manifest.parts if part.kind == "messages" and left):
        left -= _messages(files, part.path) or set()
    return [name for name, keys in mail.items() if keys is None or keys & left]


def _messages(files: Files, name: str) -> set[tuple[Any, ...]] | None:
    """Return what tells the messages of a file from others; None where it can't be read."""
    try:
        table = table_of(files, Part(name, "messages", 0), _TOLD_BY)
        return set(zip(*(table[column].to_pylist() for column in _TOLD_BY), strict=True))
    except Exception:  # what a damaged file says may be no text, no number, nothing at all
        return None
