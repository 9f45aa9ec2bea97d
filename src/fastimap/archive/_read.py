"""Read a Parquet store: what its manifests name, with what has changed since it was pulled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..columns import Columns, pyarrow
from .errors import StoreError
from .filesystems import Files
from .options import as_names
from .shard_rows import with_columns, with_state
from .shards import Manifest, Now, Part, manifests
from .state import MARKER
from .stores.parquet import ITEMS_OF_FILES, Parquet, header_item

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset
    from pyarrow.fs import FileSystem

__all__ = ["read"]

_NAMES = ("account", "mailbox", "uid_validity", "uid", "changed")
"""What tells a message from all others, and whether there is a newer row of it."""


def read(
    where: Parquet | str | os.PathLike[str],
    *,
    accounts: Iterable[str] | None = None,
    mailboxes: Iterable[str] | None = None,
    columns: Sequence[str] | None = None,
    expunged: bool = False,
    filesystem: FileSystem | None = None,
) -> Dataset:
    """Return the mail of a Parquet store, as it is now, as a dataset of `pyarrow`.

    :param where: the store, or where it is: a directory, or a URI.
    :param accounts: only these, by their names in the store.
    :param mailboxes: only these.
    :param columns: only these, besides those that tell messages apart; None: all.
    :param expunged: also messages that the server has no more; the column ``expunged`` says which.
    :param filesystem: as for `Parquet`.

    ``dataset.to_table()`` reads it, ``.to_table(columns=..., filter=...)`` some of it; polars takes it by
    ``polars.scan_pyarrow_dataset``, DuckDB by its name in a query, and both read what they need. Only the files that
    manifests name are read. Rows whose flags changed after they were written are read at once, and kept in memory.
    Columns besides those of `fetch_table`: ``account``, ``mailbox``, ``uid_validity``, ``year``, ``expunged``, and
    ``changed``: whether it is not as it was first written. Raises StoreError where there is no such store.
    """
    for names in (accounts, mailboxes, columns):
        if isinstance(names, str):
            raise TypeError("accounts, mailboxes and columns are lists of names")
    files = where.files() if isinstance(where, Parquet) else Files(os.fspath(where), filesystem)
    if not files.exists(MARKER):
        raise StoreError(f"{files.root} is no Parquet store of fastimap")
    chosen = None if mailboxes is None else as_names(mailboxes)

    def those() -> list[Manifest]:
        return [each for each in manifests(files, accounts) if chosen is None or each.mailbox in chosen]

    found = those()
    while True:
        try:
            made: Dataset = _Reader(files, found, columns, expunged).dataset()
            return made
        except FileNotFoundError:
            before, found = found, those()
            if found == before:
                raise  # else `compact` has written the files anew meanwhile


class _Reader:
    def __init__(self, files: Files, found: list[Manifest], columns: Sequence[str] | None, expunged: bool) -> None:
        self.pa = pyarrow()
        self.datasets: Any = import_module("pyarrow.dataset")
        self.files = files
        self.found = found
        self.expunged = expunged
        self.format: Any = self.datasets.ParquetFileFormat()
        self.schema = self._schema(columns)

    def _schema(self, columns: Sequence[str] | None) -> Any:
        pa = self.pa
        kept = [part.columns for manifest in self.found for part in manifest.parts if part.kind == "messages"]
        headers = dict.fromkeys(name for each in kept for name in each["headers"])
        items = [*ITEMS_OF_FILES, *([header_item(headers)] if headers else [])]
        items += ["BODY[]"] if any(each["body"] for each in kept) else []
        text, html = any(each["text"] for each in kept), any(each.get("html") for each in kept)
        made = Columns(items, text=text, html=html).schema()
        fields = [("account", pa.string()), ("mailbox", pa.string()), ("uid_validity", pa.int64()), *made]
        fields += [("year", pa.int32()), ("expunged", pa.bool_()), ("changed", pa.bool_())]
        whole = pa.schema(fields)
        if columns is None:
            return whole
        for name in columns:
            whole.field(name)  # KeyError names what is not there
        return pa.schema([field for field in whole if field.name in columns or field.name in _NAMES])

    def dataset(self) -> Any:
        """Return the whole."""
        fragments: list[Any] = []
        tables: list[Any] = []
        stale: Any = None
        for manifest in self.found:
            parts = [part for part in manifest.parts if part.kind == "messages"]
            mine = [self._fragment(manifest, part) for part in parts]
            fragments += mine
            now = manifest.changes(self.files)
            if not now:
                continue
            those = self._key(manifest) & self.datasets.field("uid").isin(self.pa.array(now, self.pa.int64()))
            stale = those if stale is None else stale | those
            tables += self._folded(manifest, dict(zip((part.path for part in parts), mine, strict=True)), now)
        whole: Any = self.datasets.FileSystemDataset(fragments, self.schema, self.format, self.files.filesystem)
        if not fragments:
            return self.datasets.dataset(self.schema.empty_table())
        if tables:
            whole = self.datasets.UnionDataset(self.schema, [whole, self.datasets.InMemoryDataset(tables, self.schema)])
        return whole if stale is None else whole.filter(~stale | self.datasets.field("changed"))

    def _key(self, manifest: Manifest) -> Any:
        field = self.datasets.field
        return (
            (field("account") == manifest.account)
            & (field("mailbox") == manifest.mailbox)
            & (field("uid_validity") == manifest.uid_validity)
        )

    def _fragment(self, manifest: Manifest, part: Part) -> Any:
        field = self.datasets.field
        year = (
            field("year").is_null()
            if part.year is None
            else field("year") == self.pa.scalar(part.year, self.pa.int32())
        )
        known = self._key(manifest) & year & (field("expunged") == False) & (field("changed") == False)  # noqa: E712
        return self.format.make_fragment(
            self.files.path(part.path), filesystem=self.files.filesystem, partition_expression=known
        )

    def _folded(self, manifest: Manifest, fragments: dict[str, Any], now: dict[int, Now]) -> list[Any]:
        """Return the rows of messages that are not as their file says, as they are now."""
        by_file: dict[str | None, list[int]] = {}
        for uid, each in now.items():
            if self.expunged or not each.expunged:
                by_file.setdefault(None if each.part is None else each.part.path, []).append(uid)
        tables = []
        for path, uids in by_file.items():
            wanted = self.datasets.field("uid").isin(self.pa.array(uids, self.pa.int64()))
            those = fragments.values() if path is None else [fragments[path]]
            source = self.datasets.FileSystemDataset(list(those), self.schema, self.format, self.files.filesystem)
            table = source.to_table(filter=wanted)
            if table.num_rows:
                tables.append(self._changed(table, now))
        return tables

    def _changed(self, table: Any, now: dict[int, Now]) -> Any:
        table = with_state(table, now)
        states = [now[uid] for uid in table["uid"].to_pylist()]
        values = {"changed": [True] * len(states), "expunged": [each.expunged for each in states]}
        return with_columns(table, {name: each for name, each in values.items() if name in table.column_names})
