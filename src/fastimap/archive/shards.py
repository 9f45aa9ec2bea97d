"""Manifests: what one shard of a Parquet store consists of. A shard is a range of UIDs of a mailbox of an account.

A manifest is a small file of JSON that is replaced as a whole, after the files that it names are there. What is in no
manifest is not in the store: a file that a run wrote and could not note any more is an orphan, which nobody reads.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Literal, NamedTuple

from ..columns import pyarrow
from ..model._digest import sha256
from .errors import StoreError
from .filesystems import Files
from .state import MARKER

__all__ = [
    "FOLDER",
    "FORMAT",
    "Manifest",
    "Now",
    "Part",
    "account_folder",
    "batches",
    "changes_in",
    "damage_of",
    "hive_value",
    "json_in",
    "manifests",
    "read_manifest",
    "table_of",
    "why_lost",
]

FOLDER = MARKER.partition("/")[0]
"""Hidden from what looks for tables: its name begins with an underscore."""
FORMAT = 1
_LONGEST = 180
_READS = 5
_CUT = re.compile("%[0-9A-F]?$")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%~=#&\ud800-\udfff\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]')


@dataclass(slots=True)
class Part:
    """A file of a shard. They are in the order in which they were written: what a later one says of a UID holds."""

    path: str
    kind: Literal["messages", "changes"]
    rows: int
    year: int | None = None
    """Of the messages (INTERNALDATE, UTC)."""
    columns: dict[str, Any] = field(default_factory=dict)
    """What was kept of the messages."""
    again: list[int] = field(default_factory=list)
    """UIDs that earlier files have too: they were fetched again."""
    octets: int = 0
    """Of the messages, in memory."""


class Now(NamedTuple):
    """What became of a message that is not as its file says, or is in several."""

    flags: list[str] | None = None
    labels: list[str] | None = None
    expunged: bool = False
    part: Part | None = None
    """The file that has it, if several do."""
    altered: bool = True


@dataclass(slots=True)
class Manifest:
    """One shard."""

    account: str
    mailbox: str
    uid_validity: int
    low: int = 1
    high: int | None = None
    """The range of UIDs; None: open."""
    parts: list[Part] = field(default_factory=list)
    messages: int = 0
    """How many there are that the server has."""
    name: str = ""
    """The manifest's file."""
    key: str = ""
    path: str = ""
    mailbox_id: str | None = None
    current: bool = True
    mark: str | None = None
    parked: dict[str, list[Any]] = field(default_factory=dict)
    """Reason and attempts, by UID."""
    spent: dict[str, int] = field(default_factory=dict)
    """Octets received, by hour."""
    version: str = ""
    """Another one each time that it is written."""
    replaced: list[str] = field(default_factory=list)
    """Files that it named before it was compacted last, and those that were given up as damaged: to be removed."""

    @property
    def last(self) -> int:
        """The highest UID of the range."""
        return 2**32 - 1 if self.high is None else self.high

    def changes(self, files: Files) -> dict[int, Now]:
        """Return what became of messages that are not as their file says, by UID."""
        now: dict[int, Now] = {}
        for part in self.parts:
            if part.kind == "messages":
                now |= {uid: Now(part=part, altered=False) for uid in part.again}
                continue
            for row in changes_in(files, part):
                where = now[row["uid"]].part if row["uid"] in now else None
                now[row["uid"]] = Now(row["flags"], row["gmail_labels"], row["expunged"], where)
        return now

    def octets(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode()


def account_folder(account: str) -> str:
    """Return the folder of an account's manifests."""
    return f"{FOLDER}/{_digest(account)}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hex()[:16]


def read_manifest(files: Files, name: str) -> Manifest:
    """Return a manifest. Raises FileNotFoundError, StoreError."""
    try:
        values = json_in(files, name)
        if values.pop("format") != FORMAT:
            raise StoreError(f"{files.path(name)} is of another version of fastimap")
        parts = [Part(**part) for part in values.pop("parts")]
        return Manifest(**values, parts=parts)
    except (ValueError, KeyError, TypeError) as exc:
        raise StoreError(f"{files.path(name)} is no manifest of fastimap's: {exc}") from None


def json_in(files: Files, name: str) -> Any:
    """Return the value in a file of JSON.

    From an object store a file is read in two steps, its size and then that many octets. If it is replaced in between
    by a larger one, the end is missing; so what is no JSON is read again. Raises FileNotFoundError, ValueError.
    """
    for _ in range(_READS - 1):
        with contextlib.suppress(ValueError):
            return json.loads(files.read(name))
    return json.loads(files.read(name))


def manifests(files: Files, accounts: Iterable[str] | None = None) -> list[Manifest]:
    """Return the manifests of some accounts, or of all."""
    folders = [FOLDER] if accounts is None else [account_folder(account) for account in accounts]
    names = [name for folder in folders for name in files.names(folder, ".json") if name != MARKER]
    found = []
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # a run removes that of a former mailbox that had nothing
            found.append(read_manifest(files, name))
    return found


def batches(files: Files, part: Part, columns: Sequence[str]) -> Iterator[Any]:
    """Yield some columns of a file, those that it has, as record batches."""
    parquet = import_module("pyarrow.parquet")
    with files.filesystem.open_input_file(files.path(part.path)) as source:
        file = parquet.ParquetFile(source)
        names = [name for name in columns if name in file.schema_arrow.names]
        yield from file.iter_batches(columns=names)


def table_of(files: Files, part: Part, columns: Sequence[str] | None = None) -> Any:
    """Return some columns of a file, or all."""
    parquet = import_module("pyarrow.parquet")
    with files.filesystem.open_input_file(files.path(part.path)) as source:
        return parquet.ParquetFile(source).read(None if columns is None else list(columns))


def changes_in(files: Files, part: Part) -> list[dict[str, Any]]:
    """Return the rows of a file of changes. Raises OSError where it is not as it was written.

    One that can be read all the same may say that messages are there, or expunged, which are not.
    """
    octets = files.read(part.path)
    if not _is_as_written(part, octets):
        raise OSError(f"{files.path(part.path)} is not as it was written")
    parquet = import_module("pyarrow.parquet")
    rows: list[dict[str, Any]] = parquet.ParquetFile(pyarrow().BufferReader(octets)).read().to_pylist()
    return rows


def damage_of(files: Files, part: Part) -> tuple[str, str] | None:
    """Return what is wrong with a file, as `Difference.what` and `detail`; None: it is as it was written."""
    try:
        octets = files.read(part.path)
    except FileNotFoundError as exc:
        return "missing", str(exc)
    return None if _is_as_written(part, octets) else ("octets", f"{part.path} is not as it was written")


def _is_as_written(part: Part, octets: bytes) -> bool:
    return sha256(octets).hex() == part.path.rpartition("/")[2].partition(".")[0]


def why_lost(files: Files, part: Part) -> str | None:
    """Return what is lost with a file that can't be read, in words; None: it is as it was written."""
    damage = damage_of(files, part)
    if damage is None:
        return None
    how = "is not there" if damage[0] == "missing" else "is not as it was written"
    return f"{part.rows} {part.kind} of {files.path(part.path)}, which {how}"


def hive_value(text: str) -> str:
    """Return a name as the value in the name of a folder, as Hive encodes it; what is too long has a digest."""
    value = _UNSAFE.sub(lambda found: "".join(f"%{octet:02X}" for octet in _octets(found[0])), text)
    if not value or value[-1] in ". ":
        value = value[:-1] + "".join(f"%{octet:02X}" for octet in _octets(text[-1:]))
    if len(value.encode()) > _LONGEST:
        value = _CUT.sub("", value.encode()[:_LONGEST].decode("utf-8", "ignore")) + "~" + _digest(text)
    return value


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
