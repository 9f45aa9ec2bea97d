"""What a store holds and how far a pull came: SQLite, beside the mail, changed in transactions.

The order is always: write, make durable, commit. So what the state says is there; what it does not say may be there
too, and is found by its name and overwritten.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from ..model import _json as json
from ..model._shown import Record, fresh
from ..model.sequence_set import UIDSet
from .errors import StoreError
from .names import file_key, path_key, path_of
from .system import make_private
from .transactions import Transactions

__all__ = ["MARKER", "STATE_FILE", "Entry", "Mark", "Place", "State", "opened_to_read"]

STATE_FILE = ".fastimap.sqlite"
MARKER = "_fastimap/store.json"
"""What a store has instead whose state is in many files."""
FORMAT = 1
_TO_COME = "to come of "
_TOGETHER = 100
"""Rows that are inserted by one statement: SQLite before 3.32 takes 999 values."""
_PATIENCE = 60.0  # seconds that a reader of the state may keep a commit waiting

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    mailbox_id TEXT,
    current INTEGER NOT NULL DEFAULT 1,
    dirty INTEGER NOT NULL DEFAULT 0,
    mark TEXT
);
CREATE UNIQUE INDEX mailbox_name ON mailbox (account, name, uid_validity);
CREATE TABLE message (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    size INTEGER NOT NULL,
    date INTEGER,
    flags TEXT NOT NULL,
    digest BLOB NOT NULL,
    place INTEGER,
    extra TEXT,
    gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX message_gone ON message (mailbox) WHERE gone;
CREATE TABLE parked (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE TABLE file (path TEXT PRIMARY KEY, length INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE spent (
    account TEXT NOT NULL, hour TEXT NOT NULL, octets INTEGER NOT NULL, PRIMARY KEY (account, hour)
) WITHOUT ROWID;
"""


class Mark(Record):
    """What a mailbox was like on the server when all of its messages were accounted for."""

    exists: int = 0
    uid_next: int | None = None
    mod_sequence: int | None = None
    rules: str = ""
    """By which rules messages were left out."""
    excluded: dict[str, int] = fresh(factory=dict)

    def text(self) -> str:
        """Return it as text: three numbers, and after them in JSON what only runs with rules have."""
        numbers = (self.exists, self.uid_next, self.mod_sequence)
        text = " ".join("-" if number is None else f"{number}" for number in numbers)
        return f"{text} {json.dumps([self.rules, self.excluded])}" if self.rules or self.excluded else text

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return what `text` is of; None where it can't be read: then all is compared."""
        try:
            exists, uid_next, mod_sequence, *rest = text.split(" ", 3)
            next_one, last_one = (None if number == "-" else int(number) for number in (uid_next, mod_sequence))
            return cls(int(exists), next_one, last_one, *(json.loads(rest[0]) if rest else ()))
        except (TypeError, ValueError):
            return None


class Place(Record):
    """A mailbox as the store has it: of one account, name and UIDVALIDITY."""

    id: int
    account: str
    name: str
    uid_validity: int
    path: str
    """Below the store's root, levels divided by "/"; safe."""
    key: str
    """What the names of its messages have in common."""
    mailbox_id: str | None = None
    current: bool = True
    """Whether the server has this mailbox with this UIDVALIDITY, as far as is known."""
    dirty: bool = False
    """Whether a run that wrote messages into it did not end well."""
    mark: Mark | None = None


class Entry(NamedTuple):
    """A message in the store."""

    uid: int
    size: int
    """Octets, as the server has them."""
    date: int | None
    """INTERNALDATE, in seconds since 1970."""
    flags: str
    """Sorted, divided by spaces."""
    digest: bytes
    """SHA-256 of the octets."""
    place: int | None
    """Where it is in the store's file, for the formats that need that."""
    extra: str | None
    """JSON: Gmail's labels, and the server's identifiers of the message."""
    gone: int = 0
    """1 where the server does not have it any more."""


def damaged(path: Path | None, exc: Exception) -> str:
    """Return what to say of a state that can't be read."""
    if isinstance(exc, sqlite3.OperationalError):
        if "no such table" in str(exc):
            return f"{path} is no store of fastimap's"
        return f"{path} can't be read now: {exc}"
    if path is not None and path.name != STATE_FILE:  # a SQLite store, or another program's file
        return f"{path} is damaged, or no store of fastimap's ({exc}): pull into another directory"
    return (
        f"{path} is damaged, or no state of fastimap's ({exc}). In a Maildir move it away and pull again: what is "
        "there is found by its names. Of other formats pull into another directory"
    )


def opened_to_read(path: Path) -> sqlite3.Connection:
    """Return a database that only reads. A commit that was cut short is taken back first, which takes writing.

    Raises sqlite3.Error.
    """
    for mode in ("rw", "ro"):
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_PATIENCE)
        try:
            database.execute("PRAGMA query_only = ON")
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            database.close()
            if mode == "ro":
                raise
        except BaseException:
            database.close()
            raise
        else:
            break
    return database


class State(Transactions):
    """The state of a store; for one thread.

    :param path: its file; None: a scratch database that ends with this object.
    :param read_only: change nothing.
    """

    def __init__(self, path: Path | None, kind: str, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        name = "" if path is None else str(path)
        try:
            if read_only and path is not None:
                self.db: sqlite3.Connection = opened_to_read(path)
            else:
                if path is not None:
                    make_private(path)
                self.db = sqlite3.connect(name, timeout=_PATIENCE, check_same_thread=False)
        except sqlite3.Error as exc:
            raise StoreError(f"{name} can't be opened: {exc}") from None
        self.db.isolation_level = None
        try:
            # Three files less than WAL, and big values are written once; readers wait for a commit.
            if not read_only:
                self.db.execute("PRAGMA journal_mode = TRUNCATE")
                self.db.execute("PRAGMA synchronous = FULL")
            self.db.execute("PRAGMA cache_size = -16000")
            self._prepare(kind, read_only)
        except BaseException:
            self.db.close()
            raise

    def _prepare(self, kind: str, read_only: bool) -> None:
        try:
            (tables,) = self.db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'about'").fetchone()
            if not tables:
                if read_only and self.path is not None:
                    raise StoreError(f"{self.path} is no store of fastimap")
                # All at once: a run that is killed here leaves a database with nothing in it, which is no store yet.
                quoted = kind.replace("'", "''")
                about_it = f"INSERT INTO about VALUES ('format', {FORMAT}), ('kind', '{quoted}');"
                self.db.executescript(f"BEGIN; {_SCHEMA} {about_it} COMMIT;")
            about: dict[str, Any] = dict(self.db.execute("SELECT name, value FROM about"))
        except sqlite3.DatabaseError as exc:
            raise StoreError(damaged(self.path, exc)) from None
        if about.get("format") != FORMAT:
            raise StoreError(f"{self.path} has format {about.get('format')}; this version knows {FORMAT}")
        if about.get("kind") != kind:
            raise StoreError(f"{self.path} is of a store of kind {about.get('kind')}, not {kind}")

    def copied(self) -> State:
        """Return a copy that ends with that object, for a dry run; this one is closed."""
        if self.path is None:
            return self  # it is one
        made = State(None, self.about("kind"))
        self.db.backup(made.db)
        self.close()
        return made

    def damaged(self, exc: Exception) -> str:
        return damaged(self.path, exc)

    # Mailboxes.

    def about(self, name: str) -> Any:
        """Return what is noted of the store as a whole under a name; None: nothing."""
        return self.db.execute("SELECT max(value) FROM about WHERE name = ?", (name,)).fetchone()[0]

    def set_about(self, name: str, value: Any) -> None:
        """Note it; None: forget it."""
        self.begin()
        if value is None:
            self.db.execute("DELETE FROM about WHERE name = ?", (name,))
        else:
            self.db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def places(self, account: str | None = None, *, former: bool = False) -> list[Place]:
        """Return the mailboxes of an account, or of all; those that the server lost with `former`."""
        rows = self.db.execute(
            "SELECT id, account, name, uid_validity, path, key, mailbox_id, current, dirty, mark FROM mailbox "
            "WHERE (?1 IS NULL OR account = ?1) AND (current OR ?2) ORDER BY account, name, id",
            (account, former),
        )
        return [_place(row) for row in rows]

    def place(
        self,
        account: str,
        name: str,
        uid_validity: int,
        *,
        delimiter: str | None,
        mailbox_id: str | None,
        on_disk: Iterable[str] = (),
    ) -> Place:
        """Return the mailbox, made if it is new: then its path is chosen. Others of its name are former ones."""
        known = [place for place in self.places(former=True) if (place.account, place.name) == (account, name)]
        self.begin()
        self.db.execute(
            "UPDATE mailbox SET current = 0 WHERE account = ? AND name = ? AND uid_validity != ? AND current",
            (account, name, uid_validity),
        )
        for place in known:
            if place.uid_validity == uid_validity:
                self.db.execute(
                    "UPDATE mailbox SET current = 1, mailbox_id = coalesce(?, mailbox_id) WHERE id = ?",
                    (mailbox_id, place.id),
                )
                place.current = True
                return place
        path = known[-1].path if known else self.path_for(account, name, delimiter, on_disk)
        key = file_key(account, name, uid_validity)
        cursor = self.db.execute(
            "INSERT INTO mailbox (account, name, uid_validity, path, key, mailbox_id) VALUES (?, ?, ?, ?, ?, ?)",
            (account, name, uid_validity, path, key, mailbox_id),
        )
        assert cursor.lastrowid is not None
        self.forget_empty(place for place in known if not place.dirty)
        return Place(cursor.lastrowid, account, name, uid_validity, path, key, mailbox_id)

    def forget_empty(self, places: Iterable[Place]) -> None:
        """Forget those former mailboxes that hold nothing.

        Courier gives a mailbox that no client has opened for writing another UIDVALIDITY each second: each run would
        leave one.
        """
        self.db.executemany(
            "DELETE FROM mailbox WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM message WHERE mailbox = ?1) "
            "AND NOT EXISTS (SELECT 1 FROM parked WHERE mailbox = ?1)",
            [(place.id,) for place in places],
        )

    def path_for(self, account: str, name: str, delimiter: str | None, on_disk: Iterable[str] = ()) -> str:
        """Return the path of a mailbox: the one that it has had, or one that no other has."""
        places = self.places(former=True)
        for place in places:
            if (place.account, place.name) == (account, name):
                return place.path
        taken = {path_key(place.path.split("/")) for place in places}
        return "/".join(path_of(name, delimiter, taken, set(on_disk)))

    def set_mark(self, place: Place, mark: Mark | None) -> None:
        """Note that all of a mailbox is accounted for, or is not."""
        self.begin()
        self.db.execute("UPDATE mailbox SET mark = ? WHERE id = ?", (None if mark is None else mark.text(), place.id))
        place.mark = mark

    def has_ended(self, place: Place) -> bool:
        """Whether the last pull of a mailbox came to its end."""
        return place.mark is not None

    def set_to_come(self, account: str, names: Collection[str]) -> None:
        """Note the mailboxes that a pull is to make: of one that dies before that, nothing else would be known."""
        noted = json.dumps(sorted(names)) if names else None
        if self.about(_TO_COME + account) != noted:
            self.set_about(_TO_COME + account, noted)

    def to_come(self) -> list[tuple[str, str]]:
        """Return the mailboxes, by account and name, that the last pulls were to make, and that are not there yet."""
        there = {(place.account, place.name) for place in self.places()}
        query = "SELECT substr(name, ?2), value FROM about WHERE substr(name, 1, ?2 - 1) = ?1 ORDER BY name"
        noted = self.db.execute(query, (_TO_COME, len(_TO_COME) + 1)).fetchall()
        found = [(account, name) for account, names in noted for name in json.loads(names)]
        return [each for each in found if each not in there]

    def set_dirty(self, place: Place, dirty: bool) -> None:
        """Note that messages are being written into a mailbox, or no more."""
        if place.dirty != dirty:
            self.begin()
            self.db.execute("UPDATE mailbox SET dirty = ? WHERE id = ?", (dirty, place.id))
            place.dirty = dirty

    def rename(self, place: Place, name: str, path: str, key: str) -> None:
        """Note that a mailbox has another name."""
        self.begin()
        self.db.execute("UPDATE mailbox SET name = ?, path = ?, key = ? WHERE id = ?", (name, path, key, place.id))
        place.name, place.path, place.key = name, path, key

    def leave(self, place: Place) -> None:
        """Note that the server has a mailbox no more, nor what could not be had of it."""
        self.begin()
        self.db.execute("UPDATE mailbox SET current = 0 WHERE id = ?", (place.id,))
        self.db.execute("DELETE FROM parked WHERE mailbox = ?", (place.id,))
        place.current = False

    # Messages.

    def insert(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Note messages that are in the store: mailbox, and what an Entry has but `gone`."""
        rows = list(rows)
        columns = ["mailbox", "uid", "size", "date", "flags", "digest", "place", "extra"]
        if all(row[6] is None is row[7] for row in rows):
            # Of None and of bytes sqlite3 asks how they are adapted, which takes as long as all else of a row.
            rows = [(*row[:5], bytearray(row[5])) for row in rows]
            columns = columns[:6]
        self.begin()
        statement = f"INSERT OR REPLACE INTO message ({', '.join(columns)}) VALUES "
        values = f"({', '.join('?' * len(columns))})"
        for start in range(0, len(rows), _TOGETHER):  # they take two thirds of the time of a statement a row
            some = rows[start : start + _TOGETHER]
            self.db.execute(statement + ", ".join([values] * len(some)), [*itertools.chain.from_iterable(some)])

    def count(self, place: Place, *, gone: bool = False) -> int:
        """Return how many messages of a mailbox there are, that the server has, or has no more."""
        # Few are gone, and they have an index; to look at that column of each row takes twice the time of counting all.
        query = "SELECT count(*) FROM message INDEXED BY message_gone WHERE mailbox = ?1 AND gone"
        if not gone:
            query = f"SELECT (SELECT count(*) FROM message WHERE mailbox = ?1) - ({query})"
        number: int = self.db.execute(query, (place.id,)).fetchone()[0]
        return number

    def uids(self, place: Place, *, gone: bool = False) -> UIDSet:
        """Return the UIDs of the messages of a mailbox that the server has, or has no more."""
        rows = self.db.execute("SELECT uid FROM message WHERE mailbox = ? AND gone = ? ORDER BY uid", (place.id, gone))
        ranges: list[tuple[int, int]] = []
        low = high = -2
        for (uid,) in rows:
            if uid == high + 1:
                high = uid
                continue
            if low > 0:
                ranges.append((low, high))
            low = high = uid
        if low > 0:
            ranges.append((low, high))
        return UIDSet.from_ranges(tuple(ranges))

    def noted(self, place: Place) -> UIDSet:
        """Return the UIDs of all messages of a mailbox that are in the store."""
        return self.uids(place) | self.uids(place, gone=True)

    def with_digests(self, account: str, digests: Collection[bytes]) -> Iterator[tuple[Place, Entry]]:
        """Yield the messages of an account that have one of these digests; gone ones too."""
        for place in self.places(account, former=True):
            for entry in self.entries(place, gone=None):
                if entry.digest in digests:
                    yield place, entry

    def entries(self, place: Place, *, gone: bool | None = False, after: int = 0) -> Iterator[Entry]:
        """Yield the messages of a mailbox, in the order of their UIDs; `gone` None: all."""
        query = (
            "SELECT uid, size, date, flags, digest, place, extra, gone FROM message "
            "WHERE mailbox = ?1 AND uid > ?2 AND (?3 IS NULL OR gone = ?3) ORDER BY uid LIMIT 1000"
        )
        while rows := self.db.execute(query, (place.id, after, gone)).fetchall():
            for row in rows:
                yield Entry(*row)
            after = rows[-1][0]

    def some(self, place: Place, uids: UIDSet) -> Iterator[Entry]:
        """Yield those messages of a mailbox that are in a set, gone ones too."""
        for low, high in uids.ranges:
            yield from [
                Entry(*row)
                for row in self.db.execute(
                    "SELECT uid, size, date, flags, digest, place, extra, gone FROM message "
                    "WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
                    (place.id, low, high),
                )
            ]

    def set_flags(self, place: Place, changes: Sequence[tuple[str, str | None, int]]) -> None:
        """Note other flags: flags, extra and UID."""
        self.begin()
        self.db.executemany(
            f"UPDATE message SET flags = ?, extra = ? WHERE mailbox = {place.id:d} AND uid = ?", changes
        )

    def set_gone(self, place: Place, uids: Iterable[int], *, gone: bool = True) -> None:
        """Note that the server has messages no more, or has them."""
        self.begin()
        self.db.executemany(
            f"UPDATE message SET gone = {gone:d} WHERE mailbox = {place.id:d} AND uid = ?", ((uid,) for uid in uids)
        )

    def remove(self, place: Place, uids: Iterable[int]) -> None:
        """Forget messages."""
        self.begin()
        self.db.executemany(f"DELETE FROM message WHERE mailbox = {place.id:d} AND uid = ?", ((uid,) for uid in uids))

    def missing(self, place: Place) -> Iterator[Entry]:
        """Yield the messages of a mailbox that the server has no more."""
        return self.entries(place, gone=True)

    def move(self, source: Place, uid: int, target: Place, entry: Entry) -> None:
        """Note that a message is another one's by now."""
        self.remove(source, [uid])
        self.insert([(target.id, *entry[:7])])

    # What could not be had.

    def parked(self, place: Place) -> dict[int, str]:
        """Return the messages that could not be had, with the reasons, and how often they were tried."""
        rows = self.db.execute("SELECT uid, reason, attempts FROM parked WHERE mailbox = ? ORDER BY uid", (place.id,))
        return {uid: reason if times == 1 else f"{reason} (tried {times} times)" for uid, reason, times in rows}

    def park(self, place: Place, uid: int, reason: str) -> None:
        """Note that a message could not be had."""
        self.begin()
        self.db.execute(
            "INSERT INTO parked (mailbox, uid, reason) VALUES (?, ?, ?) "
            "ON CONFLICT (mailbox, uid) DO UPDATE SET reason = excluded.reason, attempts = attempts + 1",
            (place.id, uid, reason),
        )

    def unpark(self, place: Place, uids: Iterable[int]) -> None:
        """Note that messages could be had, or are there no more."""
        self.begin()
        self.db.executemany("DELETE FROM parked WHERE mailbox = ? AND uid = ?", ((place.id, uid) for uid in uids))

    # Files that grow, and octets that were received.

    def length(self, path: str) -> int:
        """Return the octets that a file has, as far as the state is responsible."""
        row = self.db.execute("SELECT length FROM file WHERE path = ?", (path,)).fetchone()
        return row[0] if row else 0

    def lengths(self) -> dict[str, int]:
        """Return the files that grow."""
        return dict(self.db.execute("SELECT path, length FROM file"))

    def set_length(self, path: str, length: int) -> None:
        """Note the octets that a file has."""
        self.begin()
        self.db.execute("INSERT OR REPLACE INTO file VALUES (?, ?)", (path, length))

    def spent(self, account: str, since: str) -> dict[str, int]:
        """Return the octets that were received from an account, by hour (``2024-01-31T23``, UTC), since an hour."""
        query = "SELECT hour, octets FROM spent WHERE account = ? AND hour >= ?"
        return dict(self.db.execute(query, (account, since)))

    def spend(self, account: str, octets: dict[str, int], since: str) -> None:
        """Note octets that were received, by hour; forget what was before the hour `since`."""
        self.begin()
        self.db.executemany(
            "INSERT INTO spent VALUES (?, ?, ?) "
            "ON CONFLICT (account, hour) DO UPDATE SET octets = octets + excluded.octets",
            [(account, hour, number) for hour, number in octets.items()],
        )
        self.db.execute("DELETE FROM spent WHERE account = ? AND hour < ?", (account, since))

    # Files of another program whose messages are here: they are taken away once that is durable.

    def note_taken_over(self, paths: Iterable[bytes]) -> None:
        """Note files to take away, below the store's directory."""
        self.begin()
        self.db.execute("CREATE TABLE IF NOT EXISTS taken_over (path BLOB PRIMARY KEY) WITHOUT ROWID")  # few have one
        self.db.executemany("INSERT OR IGNORE INTO taken_over VALUES (?)", ((path,) for path in paths))

    def taken_over(self) -> list[bytes]:
        """Return the files that are to be taken away."""
        if self.db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'taken_over'").fetchone() == (0,):
            return []
        return [path for (path,) in self.db.execute("SELECT path FROM taken_over")]

    def forget_taken_over(self) -> None:
        """Note that they are taken away."""
        self.begin()
        self.db.execute("DELETE FROM taken_over")


def _place(row: tuple[Any, ...]) -> Place:
    place = Place(*row)
    place.current, place.dirty = bool(place.current), bool(place.dirty)
    if row[9] is not None:
        place.mark = Mark.of(row[9])
    return place
