"""Rows of the files of a Parquet store: in which file a message is, and rows that become another mailbox's."""

from __future__ import annotations

import contextlib
import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from ..columns import pyarrow
from ..model._digest import sha256
from .filesystems import Files
from .messages import split_extra
from .shards import Manifest, Now, Part, batches
from .state import Entry, Place

__all__ = ["Index", "about", "changes_table", "put_table", "rows_moved", "with_columns", "with_state"]

_AS_IT_WAS = Now(altered=False)


class Index:
    """Which file of a mailbox has a message; four octets a message.

    :param parts: the files, in the order in which they were written. One that can't be read has nothing.
    """

    def __init__(self, files: Files, parts: Iterable[Part]) -> None:
        self._uids: list[tuple[Part, array[int]]] = []
        for part in parts:
            if part.kind == "messages":
                uids = array("I")
                with contextlib.suppress(OSError):
                    for batch in batches(files, part, ["uid"]):
                        uids.extend(batch["uid"].to_pylist())
                    self._uids.append((part, uids))

    def part_of(self, uid: int) -> Part | None:
        """Return the file that says what a message is."""
        for part, uids in reversed(self._uids):
            where = bisect_left(uids, uid)
            if where < len(uids) and uids[where] == uid:
                return part
        return None


def rows_moved(files: Files, part: Part, moves: Mapping[int, tuple[int, Entry]], schema: Any) -> Any:
    """Return rows of a file as rows of another mailbox, or of another UID.

    :param moves: by the UID that a message had: the one that it has, and what is known of it now.
    :param schema: of the result.
    """
    pa = pyarrow()
    table = pa.Table.from_batches(
        [
            batch.filter(pa.array([uid in moves for uid in batch["uid"].to_pylist()], pa.bool_()))
            for batch in batches(files, part, schema.names)
        ],
        schema,
    )
    those = [moves[uid] for uid in table["uid"].to_pylist()]
    values: dict[str, list[Any]] = {
        "uid": [uid for uid, _ in those],
        "flags": [entry.flags.split() for _, entry in those],
        "gmail_labels": [split_extra(entry.extra)[0] for _, entry in those],
        "mod_sequence": [None] * len(those),  # it was one of the other mailbox
    }
    return with_columns(table, values)


def with_state(table: Any, now: Mapping[int, Now]) -> Any:
    """Return rows with the flags and labels that their messages have by now."""
    states = [now.get(uid, _AS_IT_WAS) for uid in table["uid"].to_pylist()]
    values = {}
    for name, new in (("flags", [each.flags for each in states]), ("gmail_labels", [each.labels for each in states])):
        if name in table.column_names and any(each.altered for each in states):
            old = table[name].to_pylist()
            values[name] = [new_ if each.altered else was for each, new_, was in zip(states, new, old, strict=True)]
    return with_columns(table, values)


def with_columns(table: Any, values: Mapping[str, list[Any]]) -> Any:
    """Return a table with other values in some columns."""
    pa = pyarrow()
    for name, column in values.items():
        field = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(column, field.type))
    return table


def changes_table(of: Manifest, rows: Iterable[tuple[int, list[str] | None, list[str] | None, bool]]) -> Any:
    """Return rows of a file of changes: UID, flags, labels, whether the message is expunged."""
    pa = pyarrow()
    text = pa.list_(pa.string())
    names = ("uid", "flags", "gmail_labels", "expunged")
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows],
        # Files of two shards are never equal, so that one of them may be removed.
        pa.schema(zip(names, (pa.int64(), text, text, pa.bool_()), strict=True), about(of)),
    )


def about(of: Manifest | Place) -> dict[str, str]:
    """Return what a file says of itself."""
    name = of.mailbox if isinstance(of, Manifest) else of.name
    return {"fastimap": json.dumps({"account": of.account, "mailbox": name, "uid_validity": of.uid_validity})}


def put_table(files: Files, folder: str, table: Any) -> str:
    """Write a file, named by its digest; return its path."""
    parquet = import_module("pyarrow.parquet")
    sink = pyarrow().BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    octets = sink.getvalue()
    path = f"{folder}/{sha256(octets).hex()}.parquet"
    files.put(path, octets)
    return path
