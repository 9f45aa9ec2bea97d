"""Fewer and larger files in a Parquet store: what many runs have written, as if one had."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..columns import pyarrow
from ..model.sequence_set import UIDSet
from .errors import StoreError, StoreInUse
from .filesystems import Files
from .locks import LOCK_FILE, locked
from .orphans import OURS, old_ones, only_copies
from .shard_rows import changes_table, put_table, with_state
from .shards import (
    Manifest,
    Now,
    Part,
    account_folder,
    hive_value,
    manifests,
    read_manifest,
    table_of,
    why_lost,
)
from .state import MARKER
from .stores.parquet import Parquet

__all__ = ["Compaction", "compact"]

_OCTETS = 64 * 1024 * 1024
"""In memory, of the rows that become one file; one that has half of it stays as it is."""


@dataclass(slots=True)
class Compaction:
    """What became of a store's files."""

    files_before: int = 0
    files: int = 0
    rows_removed: int = 0
    """Of messages that the server has no more, where they were to be removed, and old copies of those fetched twice."""
    orphans_removed: int = 0
    """Files that runs wrote, and did not come to note in a manifest: nobody reads them."""
    orphans_kept: list[str] = field(default_factory=list)
    """Those of them with mail that no other file has: of a manifest that was lost, or of a run that was killed, and the
    server had the mail no more when the next one came."""


def compact(
    where: Parquet | str | os.PathLike[str],
    *,
    accounts: Iterable[str] | None = None,
    expunged: bool = True,
    wait: float | None = 0,
) -> Compaction:
    """Have the mail of a Parquet store in as few files as it would be in had one run pulled it; return what was done.

    Each run writes a file for each mailbox and year in which something is new, and one for what changed; reading many
    small files takes long. This writes them anew, with what has changed since, notes them in the manifest, and then
    removes the old ones: wherever it is cut short, all is there once. A dataset that `read` gave before has to be made
    again. Files that no manifest names, of runs that were killed, are removed too: at once on a disk, unless another
    run is at work on the account; elsewhere, where nothing says that, once they are a day old. Where one has mail that
    is in no other file, those of the account stay: a manifest may have been lost (`Compaction.orphans_kept`). A mailbox
    of which a file is missing, or is not as it was written, is left as it is; the error that says so comes after the
    others.

    :param where: the store, or where it is: a directory, or a URI.
    :param accounts: only these, by their names in the store.
    :param expunged: keep the messages that the server has no more; False: remove them for good.
    :param wait: seconds to wait for a run on an account to end; None: any time.

    Raises StoreError where there is no such store, or a mailbox is damaged, ValueError where it has nothing of one of
    `accounts`, StoreInUse, OSError.
    """
    if isinstance(accounts, str):
        raise TypeError("accounts is a list of names")
    store = where if isinstance(where, Parquet) else Parquet(where)
    files = store.files()
    if not files.exists(MARKER):
        raise StoreError(f"{files.root} is no Parquet store of fastimap")
    wanted = None if accounts is None else [*accounts]
    there = sorted({manifest.account for manifest in manifests(files, wanted)})
    for name in wanted or ():
        if name not in there:
            raise ValueError(f"the store has nothing of {name}")
    done = Compaction()
    damaged: list[str] = []
    for account in there:
        with store.shard(account).held(account, wait):
            # First: mail that is then removed for good would seem to be in a file of a run that was killed alone.
            _without_orphans(files, account, wait, done)
            for manifest in manifests(files, [account]):
                if not manifest.parts:
                    continue  # a run may remove it meanwhile
                uids = None if manifest.high is None else UIDSet([range(manifest.low, manifest.high + 1)])
                with store.shard(account, manifest.mailbox, uids).held(account, wait):
                    try:
                        _Shard(files, read_manifest(files, manifest.name), expunged).compact(store, done)
                    except _Damaged as exc:
                        damaged.append(str(exc))
    if damaged:
        raise StoreError(
            f"not compacted: {'; '.join(damaged)}. Put that back; if it is lost, verify --repair (repair=True) has the "
            "store do without it, but for mail that the account has no more and that can be read: --remove-expunged "
            "(expunged=False) removes that"
        )
    return done


class _Damaged(StoreError):
    """A file of a mailbox can't be read in full, so that it has to stay as it is."""


def _without_orphans(files: Files, account: str, wait: float | None, done: Compaction) -> None:
    """Remove the files of an account that no manifest names, but for mail that no other has. The account is held."""
    folders = (account_folder(account), f"account={hive_value(account)}")
    found = {name for folder in folders for name in files.names(folder, "") if OURS.search(name)}
    with contextlib.ExitStack() as held:
        if files.local is not None:  # a run that wrote one of these, and is yet to note it, holds a part of the account
            for lock in (files.local / account_folder(account)).glob(f"locks/*/{LOCK_FILE}"):
                try:
                    held.enter_context(locked(lock.parent, wait))
                except StoreInUse:
                    return
        there = manifests(files, [account])
        found -= {part.path for manifest in there for part in manifest.parts}
        found = old_ones(files, found)
        replaced = {name for manifest in there for name in manifest.replaced}
        if kept := only_copies(files, {name for name in found - replaced if name.endswith(".parquet")}, there):
            done.orphans_kept += sorted(kept)
            found = {name for name in found if name in replaced or not name.endswith(".parquet")}
        for name in found:
            files.remove(name)
        done.orphans_removed += len(found)


class _Shard:
    """The files of one manifest."""

    def __init__(self, files: Files, manifest: Manifest, expunged: bool) -> None:
        self.files = files
        self.manifest = manifest
        self.expunged = expunged
        self.removed = 0
        for part in manifest.parts:
            if part.kind == "changes" or not files.exists(part.path):
                self._check(part)
        self.now = manifest.changes(files)

    def _check(self, part: Part) -> None:
        """Raise _Damaged where a file is missing, or is not as it was written."""
        if why := why_lost(self.files, part):
            raise _Damaged(f"{self.manifest.mailbox}: {why}")

    def _table(self, part: Part, columns: list[str] | None = None) -> Any:
        try:
            return table_of(self.files, part, columns)
        except Exception:  # what a damaged file says may be no text, no number, nothing at all
            self._check(part)
            raise  # it is not the file

    def compact(self, store: Parquet, done: Compaction) -> None:
        """Write what is to be one file, put the manifest, remove what it names no more."""
        before = self.manifest
        parts: list[Part] = []
        groups: dict[str, list[Part]] = {}
        for part in before.parts:
            if part.kind == "messages":
                groups.setdefault(json.dumps([part.year, part.columns]), []).append(part)
        for group in groups.values():
            parts += self._group(group)
        gone = {uid: now for uid, now in self.now.items() if now.expunged and self.expunged}
        changes = [part for part in before.parts if part.kind == "changes"]
        kept = {part.path for part in parts}
        if kept == {part.path for part in before.parts if part.kind == "messages"} and len(changes) == bool(gone):
            parts += changes
        elif gone:
            table = changes_table(before, [(uid, now.flags, now.labels, True) for uid, now in sorted(gone.items())])
            path = put_table(self.files, f"{account_folder(before.account)}/changes", table)
            parts.append(Part(path, "changes", len(gone)))
        done.files_before += len(before.parts)
        done.files += len(parts)
        done.rows_removed += self.removed
        kept = {part.path for part in parts}
        if kept == {part.path for part in before.parts}:
            return
        left = {path for path in before.replaced if self.files.exists(path)}  # by one that was cut short
        replaced = sorted((left | {part.path for part in before.parts}) - kept)
        made = replace(before, parts=parts, version=uuid.uuid4().hex, replaced=replaced)
        if read_manifest(self.files, made.name).version != before.version:
            raise StoreInUse(store.where, f": another run has written {before.mailbox}")
        self.files.put(made.name, made.octets())
        for path in replaced:
            self.files.remove(path)

    def _group(self, parts: list[Part]) -> list[Part]:
        """Return the files that those become which have one year and the same columns."""
        as_they_are = [part for part in parts if not part.again and not self._stale(part)]
        full = [part for part in as_they_are if part.octets >= _OCTETS // 2]
        rest = [part for part in parts if part not in full]
        return [*full, *(rest if len(rest) == 1 and rest[0] in as_they_are else self._written(rest))]

    def _stale(self, part: Part) -> bool:
        """Whether a file says of a message what is not so by now."""
        if not self.now:
            return False
        uids = self._table(part, ["uid"])["uid"].to_pylist()
        return any(self._is_stale(part, self.now[uid]) for uid in uids if uid in self.now)

    def _is_stale(self, part: Part, now: Now) -> bool:
        if now.part is not None and now.part is not part:
            return True  # it was fetched again
        return now.altered and (not now.expunged or not self.expunged)

    def _written(self, parts: list[Part]) -> Iterator[Part]:
        tables: list[Any] = []
        for part in parts:
            tables.append(self._current(part))
            if sum(table.nbytes for table in tables) >= _OCTETS:
                yield from self._put(parts[0], tables)
                tables = []
        if tables:
            yield from self._put(parts[0], tables)

    def _current(self, part: Part) -> Any:
        """Return the rows of a file as they are now, but those that another has, or that are to be removed."""
        table = self._table(part)
        uids = table["uid"].to_pylist()
        there = [
            (now := self.now.get(uid)) is None
            or ((now.part is None or now.part is part) and (self.expunged or not now.expunged))
            for uid in uids
        ]
        if not all(there):
            self.removed += there.count(False)
            table = table.filter(pyarrow().array(there, pyarrow().bool_()))
        if table.num_rows:  # else all of it was fetched again, as where it was repaired
            self._check(part)
        return with_state(table, self.now)

    def _put(self, like: Part, tables: list[Any]) -> Iterator[Part]:
        table = pyarrow().concat_tables(tables).sort_by("uid")
        if table.num_rows:
            path = put_table(self.files, like.path.rpartition("/")[0], table)
            yield replace(like, path=path, rows=table.num_rows, again=[], octets=table.nbytes)
