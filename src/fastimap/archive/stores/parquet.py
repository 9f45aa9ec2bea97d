"""Parquet: mail as typed columns, for pandas, polars, DuckDB and Dask; on a disk, or on S3 and what is like it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pickle
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import unquote

from ...columns import Builder, Columns, pyarrow
from ...model.sequence_set import UIDSet
from ..errors import StoreError, StoreInUse
from ..filesystems import Files
from ..locks import locked
from ..messages import ITEMS, has_condstore, made_extra, split_extra
from ..names import as_name, file_key
from ..orphans import unnamed
from ..shard_rows import Index, about, changes_table, put_table, rows_moved
from ..shard_state import ShardState
from ..shards import (
    FOLDER,
    FORMAT,
    Manifest,
    Part,
    account_folder,
    batches,
    changes_in,
    damage_of,
    hive_value,
    json_in,
    manifests,
    read_manifest,
    table_of,
    why_lost,
)
from ..state import MARKER, Entry, Place, State
from .base import Message, Store, made_message

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

    from ...clients.blocking import Client
    from ...model.row import FetchedMessage

__all__ = ["ITEMS_OF_FILES", "Parquet", "header_item"]

_TEXTS = 500
"""Messages whose texts are fetched together."""
_CHANGES = 8
"""Files of changes that a shard may have; then they become one."""
_SPENT = 64 * 1024
"""Octets received that are put down though nothing else is: a run with nothing new writes nothing."""
_ALWAYS = ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE")
ITEMS_OF_FILES = (*_ALWAYS, "MODSEQ", "EMAILID", "X-GM-MSGID", "X-GM-LABELS")
"""The data items that there are columns for in every file; values are where the server has them."""
_STATE = ("uid", "size", "internal_date", "flags", "digest", "object_id", "gmail_message_id", "gmail_labels")
_IDS = ("uid", "message_id")
_NO_YEAR = "__HIVE_DEFAULT_PARTITION__"


@dataclass(slots=True)
class _Shard:
    """A shard as this run knows it."""

    manifest: Manifest
    new: list[Part]
    """Files that are written, and in no manifest yet."""
    lost: list[tuple[Part, str]] = field(default_factory=list)
    """Files of the manifest that can't be read, and why: what is in the shard can't be told."""
    given_up: bool = False
    """Whether the next manifest is to be without those."""

    @property
    def readable(self) -> list[Part]:
        """The files of the manifest that can be read."""
        return [part for part in self.manifest.parts if all(part is not each for each, _ in self.lost)]


def _kept_columns(files: Files) -> dict[str, Any]:
    """Return which columns the store has beside those that all have; none where there is no store yet."""
    try:
        columns: dict[str, Any] = json_in(files, MARKER)["columns"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{files.path(MARKER)} is not fastimap's") from None
    return columns


def _how_much(columns: Mapping[str, Any]) -> tuple[bool, bool, int]:
    return bool(columns.get("body")), bool(columns.get("text")), len(columns.get("headers", ()))


class Parquet(Store):
    """Files of Parquet in hive folders, ``account=a@h/mailbox=INBOX/year=2024``; `fastimap.archive.read` reads them.

    :param root: a directory, or a URI: ``s3://bucket/prefix``, ``gs://...``.
    :param filesystem: of `pyarrow.fs`, where the URI does not say enough; `root` is then a path in it.
    :param headers: names of header fields to keep besides those of the envelope.
    :param text: whether to keep the text of messages, and so to fetch it.
    :param body: whether to keep whole messages, and so to fetch them.

    What is not said of `headers`, `text` and `body` is as the store has it already, or nothing. It needs pyarrow:
    ``pip install fastimap[parquet]``. A store can be pickled, and be opened on another machine, whose credentials are
    taken there. One run an account at a time writes; see `shard` for several.
    """

    kind: ClassVar[str] = "parquet"
    shared: ClassVar[bool] = True
    adopts: ClassVar[bool] = False
    moves_together: ClassVar[int] = 50_000
    flags_together: ClassVar[int] = 50_000
    flags_at_once: ClassVar[bool] = False
    commit_messages: ClassVar[int] = 50_000
    commit_seconds: ClassVar[float] = 60.0

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        filesystem: FileSystem | None = None,
        headers: Iterable[str] | None = None,
        text: bool | None = None,
        body: bool | None = None,
    ) -> None:
        if isinstance(headers, str):
            raise TypeError("headers is a list of names")
        pyarrow()
        self.location: str = os.fspath(root)
        self.filesystem = filesystem
        self.headers: tuple[str, ...] | None = (
            None if headers is None else tuple(dict.fromkeys(name.lower() for name in headers))
        )
        self.text = text
        self.body = body
        self.account: str | None = None
        self.mailbox: str | None = None
        self.uids: UIDSet | None = None
        super().__init__(root)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name[0] != "_" and name != "state"}

    @property
    def where(self) -> str:
        return self.location if "://" in self.location or self.filesystem is not None else str(self.root)

    @property
    def state_path(self) -> Path:
        files = self.files()
        if files.local is None:
            raise StoreError(f"{self.where}: what is to lie beside the store needs a directory on a disk")
        return files.local / MARKER

    def files(self) -> Files:
        """Return where it is."""
        found: Files | None = vars(self).get("_files")
        if found is None:
            self._files = found = Files(self.location, self.filesystem)
        return found

    def shard(self, account: str, mailbox: str | None = None, uids: UIDSet | range | None = None) -> Self:
        """Return the store as one of several workers has it, which writes this part of it alone.

        :param account: what the account is called in the store: user@host, or the `name` that `pull` is given.
        :param mailbox: one mailbox; None: all. `pull` is to be given the same.
        :param uids: of this mailbox only UIDs in this range; None: all. Ranges of two workers have none in common, and
            are the same in later runs.

        Each range has a manifest of its own, written when its files are. Two workers on one never double a message: the
        files of the one that is late are in no manifest, and it ends with StoreInUse.
        """
        if uids is not None and mailbox is None:
            raise ValueError("a range of UIDs is one of a mailbox: which?")
        if isinstance(uids, range):
            uids = UIDSet([uids])
        if uids is not None and (len(uids.ranges) != 1 or uids.has_star):
            raise ValueError(f"a shard has one range of UIDs, not {uids}")
        made = type(self).__new__(type(self))
        made.__dict__ |= self.__getstate__()
        made.account, made.mailbox, made.uids = account, None if mailbox is None else as_name(mailbox), uids
        return made

    def of_account(self, name: str) -> Self:
        return self.shard(name)

    def ranges(self, account: str) -> Mapping[str, list[tuple[int, int | None]]]:
        found: dict[str, list[tuple[int, int | None]]] = {}
        for manifest in manifests(self.files(), [account]):
            if manifest.current or manifest.messages:  # of a former one what is gone is yet to be noted
                found.setdefault(manifest.mailbox, []).append((manifest.low, manifest.high))
        return found

    def __repr__(self) -> str:
        part = [f"{name}={value!r}" for name in ("account", "mailbox", "uids") if (value := getattr(self, name))]
        return f"{type(self).__name__}({', '.join([repr(self.where), *part])})"

    # Begin and end.

    def exists(self) -> bool:
        return self.files().exists(MARKER)

    @property
    def whole(self) -> bool:
        files = self.files()
        if _kept_columns(files).get("body"):
            return True
        return any(part.columns.get("body") for manifest in manifests(files) for part in manifest.parts)

    def make(self) -> None:
        if not self.exists():
            # Where there is mail, that file was lost: the columns are those of the mail that has most, and not none.
            kept = [part.columns for manifest in manifests(self.files()) for part in manifest.parts if part.columns]
            had = max(kept, key=_how_much, default={"html": True})
            columns = {
                "headers": had.get("headers", ()) if self.headers is None else self.headers,
                "text": bool(had.get("text") if self.text is None else self.text),
                "html": had.get("html", False),
                "body": bool(had.get("body") if self.body is None else self.body),
            }
            about = {"format": FORMAT, "kind": self.kind, "columns": columns}
            self.files().put(MARKER, json.dumps(about, indent=1).encode())

    def _settle(self) -> None:
        """Have the columns that the store has, where none were asked for."""
        columns = _kept_columns(self.files())
        self._headers: tuple[str, ...] = tuple(columns.get("headers", ())) if self.headers is None else self.headers
        self._text = bool(columns.get("text") if self.text is None else self.text)
        self._body = bool(columns.get("body") if self.body is None else self.body)
        headers = (header_item(self._headers),) if self._headers else ()
        items = (*ITEMS_OF_FILES, *headers, *(("BODY[]",) if self._body else ()))
        # Stores of earlier versions have no HTML: files of one kind have the same columns.
        html = self._text and bool(columns.get("html", not columns))
        self._columns = Columns(items, text=self._text, html=html)
        self._kept = {"headers": list(self._headers), "text": self._text, "body": self._body}
        self._kept |= {"html": True} if html else {}

    @contextlib.contextmanager
    def held(self, account: str | None, wait: float | None) -> Iterator[None]:
        self.make()
        local = self.files().local
        if local is None:
            yield  # whoever is late finds other manifests than it knew
            return
        account = account if self.account is None else self.account
        folder = local / (FOLDER if account is None else account_folder(account))
        if self.mailbox is not None and account is not None:
            low = self.uids.ranges[0][0] if self.uids else 1
            folder = folder / "locks" / f"{file_key(account, self.mailbox, 0)}-{low:010}"
        folder.mkdir(parents=True, exist_ok=True)
        until = None if wait is None else time.monotonic() + wait
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(folder, wait))
            if account is None:  # a compaction of one would remove what is read here
                # Of one that workers have pulled in parts, or that was copied, there may be no lock yet.
                for each in sorted(each for each in folder.iterdir() if each.is_dir()):
                    left = None if until is None else max(0.0, until - time.monotonic())
                    stack.enter_context(locked(each, left))
            yield

    def load(self, account: str | None) -> State:
        if self.account is not None and account not in (None, self.account):
            raise ValueError(f"{self!r} is not for {account}")
        account = account if self.account is None else self.account
        self._settle()
        self._builders: dict[int, Builder] = {}
        self._shards: dict[int, list[_Shard]] = {}
        self._again: dict[int, set[int]] = {}
        self._names: set[str] = set()
        self._moving: dict[int, dict[str, tuple[Part, dict[int, tuple[int, Entry]]]]] = {}
        self._indices: dict[int, Index] = {}
        self._ids: tuple[str, dict[int, str | None]] = ("", {})
        self._open: tuple[str, dict[int, bytes | None]] = ("", {})
        self._bad: dict[str, tuple[str, str] | None] = {}
        self._unknown: dict[int, set[int]] = {}
        """Messages that changed, by files of changes, and that no file has."""
        state = ShardState(self.kind, self._publish, self._load_messages)
        try:
            keys: dict[tuple[str, str], list[Manifest]] = {}
            for manifest in manifests(self.files(), None if account is None else [account]):
                self._names.add(manifest.name)
                if self._is_ours(manifest):
                    keys.setdefault((manifest.account, manifest.key), []).append(manifest)
            # One that was renamed keeps its key; a range of it that is new has the key of its new name.
            places: dict[tuple[str, str, int], list[Manifest]] = {}
            for group in keys.values():
                one = max(group, key=lambda manifest: manifest.low)
                places.setdefault((one.account, one.mailbox, one.uid_validity), []).extend(group)
            state.begin()
            for group in places.values():
                self._load(state, group)
            state.begun()
            self._spent = {(account, hour): number for account, hour, number in state.db.execute("SELECT * FROM spent")}
            state.db.execute("COMMIT")
        except BaseException:
            state.close()
            raise
        self.state = state
        return state

    def _is_ours(self, manifest: Manifest) -> bool:
        if self.mailbox is not None and manifest.mailbox != self.mailbox:
            return False
        if self.uids is None:
            return True
        ((low, high),) = self.uids.ranges
        if (manifest.low, manifest.last) == (low, high):
            return True
        if manifest.current and manifest.parts and manifest.low <= high and low <= manifest.last:
            raise StoreError(
                f"{self!r}: there is a shard of UIDs {manifest.low} to {manifest.high or '*'} already: "
                "ranges of UIDs stay as they are"
            )
        return False

    def look(self) -> State:
        return self.load(None)

    def close(self) -> None:
        for name in [name for name in vars(self) if name[0] == "_" and name != "_files"]:
            delattr(self, name)

    def _load(self, state: ShardState, group: list[Manifest]) -> None:
        """Have a mailbox as its manifests say."""
        group.sort(key=lambda manifest: manifest.low)
        one = group[-1]
        marks = {manifest.mark for manifest in group}
        cursor = state.db.execute(
            "INSERT INTO mailbox (account, name, uid_validity, path, key, mailbox_id, current, mark) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(one.account, one.mailbox, one.uid_validity, one.path, one.key, one.mailbox_id),
                any(manifest.current for manifest in group),
                marks.pop() if len(marks) == 1 else None,
            ),
        )
        assert cursor.lastrowid is not None
        number = cursor.lastrowid
        self._shards[number] = [_Shard(manifest, []) for manifest in group]
        if None not in (manifest.mark for manifest in group):
            state.ended.add(number)
        state.waiting[number] = sum(manifest.messages for manifest in group)
        for manifest in group:
            for uid, (reason, attempts) in manifest.parked.items():
                state.db.execute("INSERT INTO parked VALUES (?, ?, ?, ?)", (number, int(uid), reason, attempts))
            for hour, octets in manifest.spent.items():
                state.db.execute(
                    "INSERT INTO spent VALUES (?, ?, ?) "
                    "ON CONFLICT (account, hour) DO UPDATE SET octets = octets + excluded.octets",
                    (manifest.account, hour, octets),
                )

    def _load_messages(self, state: ShardState, number: int) -> None:
        """Have the messages of a mailbox, as its files say that can be read."""
        while (found := self._bad_file(state, number)) is not None:
            self._lose(state, number, *found)

    def _bad_file(self, state: ShardState, number: int) -> tuple[_Shard, Part, str] | None:
        """Take what the files of a mailbox say; return the first that can't be read, and why; None: all could."""
        for shard in self._shards[number]:
            for part in shard.readable:
                try:
                    self._take(state, number, part)
                except Exception:  # what a damaged file says may be no text, no number, nothing at all
                    why = why_lost(self.files(), part)
                    if why is None:
                        raise  # it is not the file
                    return shard, part, why
        return None

    def _lose(self, state: ShardState, number: int, shard: _Shard, part: Part, why: str) -> None:
        """Forget what the files of a mailbox say; from now on it does without this one."""
        shard.lost.append((part, why))
        if not self.files().exists(part.path):  # seldom alone
            away = [each for each in shard.readable if not self.files().exists(each.path)]
            shard.lost += [(each, reason) for each in away if (reason := why_lost(self.files(), each)) is not None]
        for table in ("message", "temp.altered"):
            state.db.execute(f"DELETE FROM {table} WHERE mailbox = ?", (number,))
        self._unknown.pop(number, None)
        self._indices.pop(number, None)

    def _take(self, state: ShardState, number: int, part: Part) -> None:
        """Have what a file says."""
        if part.kind == "messages":
            state.insert(list(_rows(self.files(), number, part)))
            return
        for row in changes_in(self.files(), part):
            self._alter(state, number, row)

    def damage(self, place: Place | None = None) -> Iterable[tuple[str, str]]:
        assert isinstance(self.state, ShardState)
        numbers = [*self._shards] if place is None else [place.id]
        for number in numbers:
            self.state.need(number)
        shards = [shard for number in numbers for shard in self._shards.get(number, ())]
        return [(shard.manifest.mailbox, why) for shard in shards for _, why in shard.lost]

    def unnamed(self, account: str | None) -> Iterable[tuple[str, str]]:
        if self.mailbox is not None:
            return []  # another worker's may be beside these
        found = unnamed(self.files(), self.account or account)
        names = [unquote(name.split("/")[1].partition("mailbox=")[2]) for name in found]
        return [(mailbox or name, self.files().path(name)) for mailbox, name in zip(names, found, strict=True)]

    def unreadable(self, place: Place) -> Iterable[tuple[str, str]]:
        assert isinstance(self.state, ShardState)
        self.state.need(place.id)
        self.state.begin()
        lost = False
        for shard in self._shards.get(place.id, ()):
            for part in shard.readable:
                if any(part is each for each, _ in shard.lost):
                    continue  # it is away, as one before it was
                if self._bad.get(part.path) is not None and not self._is_readable(part):
                    why = why_lost(self.files(), part)
                    if why is None:  # it was put back meanwhile
                        self._bad[part.path] = None
                        continue
                    self._lose(self.state, place.id, shard, part, why)
                    lost = True
        if lost:
            self._load_messages(self.state, place.id)
            self.state.loaded(place.id)
        return self.damage(place)

    def _is_readable(self, part: Part) -> bool:
        try:
            table_of(self.files(), part).validate(full=True)
        except Exception:  # as in `_load_messages`
            return False
        return True

    def do_without(self, place: Place) -> None:
        for shard in self._shards.get(place.id, ()):
            shard.given_up = True

    def _alter(self, state: ShardState, mailbox: int, row: dict[str, Any]) -> None:
        found = state.db.execute(
            "SELECT extra FROM message WHERE mailbox = ? AND uid = ?", (mailbox, row["uid"])
        ).fetchone()
        if found is None:
            self._unknown.setdefault(mailbox, set()).add(row["uid"])
            return
        _, gmail_id, email_id = split_extra(found[0])
        extra = made_extra(row["gmail_labels"], gmail_id, email_id)
        state.alter(mailbox, row["uid"], " ".join(row["flags"] or ()), extra, row["expunged"])

    # What is fetched.

    def fetch(self, client: Client, uids: UIDSet) -> Iterator[list[FetchedMessage]]:
        if not self._text or self._body:
            yield from super().fetch(client, uids)
            return
        for chunk in uids.chunks(_TEXTS):
            yield list(client.fetch_text(chunk, *self.items(client)))

    @property
    def together(self) -> bool:
        return not self._text or self._body

    def items(self, client: Client) -> tuple[str, ...]:
        headers = (header_item(self._headers, "BODY.PEEK"),) if self._headers else ()
        others = super().items(client)
        wanted = (*_ALWAYS, *(("MODSEQ",) if has_condstore(client) else ()), *headers)
        return (*wanted, *(item for item in others if self._body or item not in ITEMS))

    def message(self, row: FetchedMessage) -> Message | None:
        if "ENVELOPE" not in row or (self._body and row.body is None):
            return None
        return super().message(row) if self._body else made_message(row, b"", b"")

    # Writing.

    def write(self, place: Place, messages: Sequence[Message]) -> list[int | None]:
        builder = self._builders.get(place.id)
        if builder is None:
            builder = self._builders[place.id] = Builder(self._columns, recent=False)
        rows = [message.row for message in messages]
        if None in rows:
            raise StoreError("a Parquet store is filled by pulls alone")
        assert isinstance(self.state, ShardState)
        builder.add([row for row in rows if row is not None])
        again = self._note_again(place, [message.uid for message in messages])
        self.state.anew(place.id, again)
        return [None] * len(messages)

    def _note_again(self, place: Place, uids: Iterable[int]) -> list[int]:
        """Return those that earlier files have too, or say something of: that does not hold any more."""
        wanted = UIDSet(uids)
        again = [entry.uid for entry in self.state.some(place, wanted)]
        again += [uid for uid in self._unknown.get(place.id, ()) if uid in wanted]
        self._again.setdefault(place.id, set()).update(again)
        return again

    def move(self, source: Place, entry: Entry, target: Place, uid: int) -> int | None:
        part = self._part_of(source, entry)
        if part.columns != self._kept:
            raise LookupError(f"{part.path} has other columns than are kept by now")
        if self._damage_of(part) is not None:  # what is wrong with it would be so in a file that seems to be whole
            raise LookupError(f"{part.path} is not as it was written")
        self._note_again(target, [uid])
        moves = self._moving.setdefault(target.id, {}).setdefault(part.path, (part, {}))[1]
        moves[entry.uid] = uid, entry
        return None

    def weight(self, message: Message) -> int:
        row = message.row
        others = () if row is None else (row.envelope, row.body_structure, row.items, row.defects)
        return super().weight(message) + len(pickle.dumps(others))

    def due(self) -> bool:
        return sum(builder.octets for builder in self._builders.values()) >= self.commit_octets

    def sync(self) -> None:
        places = {place.id: place for place in self.state.places(former=True)}
        for number in [*self._builders]:
            self._spread(places[number], self._builders.pop(number).table())
        for number in [*self._moving]:
            tables: list[Any] = []
            for part, moves in self._moving.pop(number).values():
                tables.append(rows_moved(self.files(), part, moves, self._columns.schema()))
                if sum(table.nbytes for table in tables) >= self.commit_octets:
                    self._spread(places[number], pyarrow().concat_tables(tables))
                    tables = []
            if tables:
                self._spread(places[number], pyarrow().concat_tables(tables))
        self._again.clear()

    def _spread(self, place: Place, table: Any) -> None:
        """Write messages of a mailbox, each to its shard."""
        compute = import_module("pyarrow.compute")
        table = table.sort_by("uid")
        while table.num_rows:
            shard = self._shard_of(place, table["uid"][0].as_py())
            count = compute.sum(compute.less_equal(table["uid"], shard.manifest.last)).as_py()
            self._write(place, shard, table.slice(0, count))
            table = table.slice(count)

    def _write(self, place: Place, shard: _Shard, table: Any) -> None:
        """Write messages of a shard, a file a year."""
        pa, compute = pyarrow(), import_module("pyarrow.compute")
        validity = pa.array([place.uid_validity], pa.int64()).take(pa.array([0] * table.num_rows, pa.int8()))
        table = table.append_column("uid_validity", validity).replace_schema_metadata(about(place))
        years = compute.year(table["internal_date"])
        folder = f"account={hive_value(place.account)}/mailbox={hive_value(place.name)}"
        twice = self._again.get(place.id)
        for year in sorted(compute.unique(years).to_pylist(), key=lambda year: year or 0):
            chosen = compute.is_null(years) if year is None else compute.equal(years, year)
            of_year = table.filter(chosen)
            path = put_table(self.files(), f"{folder}/year={_NO_YEAR if year is None else year}", of_year)
            again = [uid for uid in of_year["uid"].to_pylist() if uid in twice] if twice else []
            shard.new.append(Part(path, "messages", of_year.num_rows, year, self._kept, again, of_year.nbytes))

    def _shard_of(self, place: Place, uid: int) -> _Shard:
        """Return the shard that a message belongs to; made, if there is none."""
        shards = self._shards.setdefault(place.id, [])
        low, high = 1, None
        if self.uids is not None:
            ((low, high),) = self.uids.ranges
        for shard in shards:
            if shard.manifest.low <= uid <= shard.manifest.last:
                return shard
            if shard.manifest.last < uid:
                low = max(low, shard.manifest.last + 1)
            else:
                high = min(high or shard.manifest.low - 1, shard.manifest.low - 1)
        name = f"{account_folder(place.account)}/{place.key}-{low:010}"
        while f"{name}.json" in self._names:  # of a mailbox that had this name, and was renamed
            name += "x"
        self._names.add(f"{name}.json")
        made = _Shard(
            Manifest(place.account, place.name, place.uid_validity, low, high, name=f"{name}.json", key=place.key), []
        )
        shards.append(made)
        shards.sort(key=lambda shard: shard.manifest.low)
        return made

    # Manifests.

    def _publish(self, state: ShardState) -> None:
        """Put the manifests of what has changed."""
        touched = state.touched() | {number for number, shards in self._shards.items() if any(s.new for s in shards)}
        if touched:
            for place in state.places(former=True):
                if place.id in touched:
                    first = self.uids.ranges[0][0] if self.uids is not None else 1
                    for shard in self._shards.get(place.id) or [self._shard_of(place, first)]:
                        self._publish_shard(state, place, shard)
            state.begun()
        self._publish_spent(state)

    def _publish_shard(self, state: ShardState, place: Place, shard: _Shard) -> None:
        if shard.lost and not shard.given_up:  # messages would be counted, and changes put together, without those
            raise StoreError(f"{place.name}: {shard.lost[0][1]}")
        known = shard.manifest
        low, high = known.low, known.last
        parts = [*shard.readable, *shard.new]
        if rows := state.altered(place.id, low, high, all_of_them=False):
            old = [part for part in parts if part.kind == "changes"]
            if len(old) >= _CHANGES:
                parts = [part for part in parts if part.kind != "changes"]
                rows = state.altered(place.id, low, high, all_of_them=True)
            changes = [(uid, flags.split(), split_extra(extra)[0], bool(gone)) for uid, flags, extra, gone in rows]
            folder = f"{account_folder(place.account)}/changes"
            parts.append(Part(put_table(self.files(), folder, changes_table(known, changes)), "changes", len(rows)))
        parked = state.db.execute(
            "SELECT uid, reason, attempts FROM parked WHERE mailbox = ? AND uid BETWEEN ? AND ?", (place.id, low, high)
        )
        messages = known.messages
        if place.id not in state.waiting:
            (messages,) = state.db.execute(
                "SELECT count(*) FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? AND NOT gone",
                (place.id, low, high),
            ).fetchone()
        made = replace(
            known,
            account=place.account,
            mailbox=place.name,
            path=place.path,
            mailbox_id=place.mailbox_id,
            current=place.current,
            mark=None if place.mark is None else place.mark.text(),
            parts=parts,
            messages=messages,
            parked={str(uid): [reason, attempts] for uid, reason, attempts in parked},
            replaced=[*known.replaced, *(part.path for part, _ in shard.lost if self.files().exists(part.path))],
        )
        same = known.version != "" and made == replace(known, mark=made.mark)
        idle = same or (known.version == "" and not parts and not made.parked)
        if idle and (made.mark is None or made.mark == known.mark):
            return  # no more than that something is about to be done
        if not (made.current or parts or made.parked or made.replaced):
            self._forget(shard)  # Courier gives a mailbox that was never opened another UIDVALIDITY each second
            return
        self._put(state, shard, made)
        shard.new, shard.lost = [], []
        self._indices.pop(place.id, None)

    def _publish_spent(self, state: ShardState) -> None:
        """Put down what was received where nothing else is: not the little that a run with nothing new takes."""
        unsaved: dict[str, int] = {}
        for (account, _), octets in self._unsaved(state).items():
            unsaved[account] = unsaved.get(account, 0) + octets
        for shard in itertools.chain.from_iterable(self._shards.values()):
            known = shard.manifest
            if known.version and unsaved.get(known.account, 0) >= _SPENT:
                del unsaved[known.account]
                self._put(state, shard, replace(known))

    def _forget(self, shard: _Shard) -> None:
        """Remove the manifest of a former mailbox that had nothing; what was received goes into another."""
        known = shard.manifest
        with contextlib.suppress(FileNotFoundError):
            if known.version and read_manifest(self.files(), known.name).version == known.version:
                self.files().remove(known.name)
                for hour, octets in known.spent.items():
                    self._spent[known.account, hour] = self._spent.get((known.account, hour), 0) - octets
        shard.manifest = replace(known, version="", spent={})

    def _put(self, state: ShardState, shard: _Shard, made: Manifest) -> None:
        """Put a manifest in the place of the shard's; raise StoreInUse where that is another run's by now."""
        known = shard.manifest
        self._spend(state, made)
        made.version = uuid.uuid4().hex
        try:
            there = read_manifest(self.files(), made.name).version
        except FileNotFoundError:
            there = ""
        if there == known.version:
            self.files().put(made.name, made.octets())
            there = made.version
            if self.files().local is None:  # no lock, and no put that fails where there is one: who came last is known
                there = read_manifest(self.files(), made.name).version
        if there != made.version:
            of = f"UIDs {known.low} to {known.high or '*'} of {made.mailbox}"
            raise StoreInUse(self.where, f": another run has written {of}")
        shard.manifest = made

    def _spend(self, state: ShardState, manifest: Manifest) -> None:
        """Put down what was received since the last time."""
        now = {hour for (hour,) in state.db.execute("SELECT hour FROM spent WHERE account = ?", (manifest.account,))}
        manifest.spent = {hour: octets for hour, octets in manifest.spent.items() if hour in now}
        for (account, hour), more in self._unsaved(state).items():
            if account == manifest.account:
                manifest.spent[hour] = manifest.spent.get(hour, 0) + more
                self._spent[account, hour] = self._spent.get((account, hour), 0) + more

    def _unsaved(self, state: ShardState) -> dict[tuple[str, str], int]:
        """Return what was received and is in no manifest, by account and hour."""
        now = {(account, hour): octets for account, hour, octets in state.db.execute("SELECT * FROM spent")}
        return {key: more for key, octets in now.items() if (more := octets - self._spent.get(key, 0))}

    # Reading.

    def _part_of(self, place: Place, entry: Entry) -> Part:
        index = self._indices.get(place.id)
        if index is None:
            parts = (part for shard in self._shards.get(place.id, ()) for part in shard.readable)
            index = self._indices[place.id] = Index(self.files(), parts)
        part = index.part_of(entry.uid)
        if part is None:
            raise LookupError(f"{place.name}: no file has UID {entry.uid}")
        return part

    def message_id(self, place: Place, entry: Entry) -> str | None:
        part = self._part_of(place, entry)
        if self._ids[0] != part.path:
            try:
                found = [row for each in batches(self.files(), part, _IDS) for row in each.to_pylist()]
            except ValueError as exc:
                raise LookupError(str(exc)) from None
            self._ids = part.path, {row["uid"]: row["message_id"] for row in found}
        return self._ids[1].get(entry.uid)

    def read(self, place: Place, entry: Entry) -> bytes:
        part = self._part_of(place, entry)
        if not part.columns.get("body"):
            raise LookupError(f"{self.where} does not keep whole messages (body=True)")
        if self._open[0] != part.path:
            try:
                found = list(batches(self.files(), part, ("uid", "body")))
            except (OSError, ValueError) as exc:
                raise LookupError(str(exc)) from None
            bodies = {row["uid"]: row["body"] for batch in found for row in batch.to_pylist()}
            self._open = part.path, bodies
        octets = self._open[1].get(entry.uid)
        if octets is None:
            raise LookupError(f"{part.path}: no octets of UID {entry.uid}")
        return octets

    def check(self, place: Place, entry: Entry) -> tuple[str, str] | None:
        try:
            part = self._part_of(place, entry)
        except LookupError as exc:
            return "missing", str(exc).strip("'\"")
        bad = self._damage_of(part)
        return super().check(place, entry) if bad is None and part.columns.get("body") else bad

    def _damage_of(self, part: Part) -> tuple[str, str] | None:
        if part.path not in self._bad:
            self._bad[part.path] = damage_of(self.files(), part)
        return self._bad[part.path]


def _rows(files: Files, number: int, part: Part) -> Iterator[tuple[Any, ...]]:
    """Yield what the state holds of the messages of a file."""
    compute = import_module("pyarrow.compute")
    for batch in batches(files, part, _STATE):
        columns = {name: batch[name] for name in batch.schema.names}
        columns["flags"] = compute.binary_join(columns["flags"], " ")
        columns["internal_date"] = compute.divide(columns["internal_date"].cast("int64"), 1_000_000)
        none = [None] * batch.num_rows
        values = [columns[name].to_pylist() if name in columns else none for name in _STATE]
        for uid, size, date, flags, digest, email_id, gmail_id, labels in zip(*values, strict=True):
            extra = made_extra(labels, gmail_id, email_id)
            yield number, uid, size or 0, date, flags or "", digest or b"", None, extra


def header_item(names: Iterable[str], section: str = "BODY") -> str:
    """Return the data item of fields of the header."""
    return f"{section}[HEADER.FIELDS ({' '.join(names).upper()})]"
