"""How far a program has come in its mailboxes: what is done, who is at work on what, and what failed.

`Cursor` says what `follow` needs of it; `SQLiteCursor` keeps it in a SQLite database on a local disk. That may be the
program's own, for its tables and these to change in one transaction: the tables' names begin with ``fastimap_``. What
they hold is described in `SCHEMA`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Protocol

from ..errors import CursorFailed, LeaseLost
from ..model.sequence_set import UIDSet

__all__ = ["SCHEMA", "Cursor", "Failed", "Lease", "Mark", "Place", "SQLiteCursor", "ToDo"]

_VERSION = 1
_BUSY = 30.0
_LONGEST_REASON = 1000
_BEGAN = "-began"

SCHEMA = """
CREATE TABLE fastimap_cursor (   -- one row
    version INTEGER NOT NULL     -- of these tables: 1
);
CREATE TABLE fastimap_mailboxes (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,       -- such as "ann@imap.example.org"
    mailbox TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    floor INTEGER NOT NULL,      -- every message below was done, parked or gone; searches begin here
    below INTEGER,               -- how many messages the mailbox had below; NULL: not known
    top INTEGER,                 -- the highest UID of the search at `top_at`: what it lacked below may still appear
    top_at REAL NOT NULL,        -- seconds since 1970
    audited REAL NOT NULL,       -- seconds since 1970: when all UIDs were last compared
    UNIQUE (account, mailbox)
);
CREATE TABLE fastimap_done (     -- the UIDs that are done, as ranges that do not touch
    mailbox INTEGER NOT NULL REFERENCES fastimap_mailboxes,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (mailbox, first)
) WITHOUT ROWID;
CREATE TABLE fastimap_messages ( -- those that somebody is at work on, or was: a UID is here, or is done, or is to do
    mailbox INTEGER NOT NULL REFERENCES fastimap_mailboxes,
    uid INTEGER NOT NULL,
    state TEXT NOT NULL,         -- "leased", "waiting" to be delivered again, or "parked"
    token TEXT,                  -- of the lease: whoever knows it has the message
    until REAL NOT NULL,         -- seconds since 1970: when the lease, or the wait, ends
    deliveries INTEGER NOT NULL, -- how often it was given to the program
    reason TEXT,                 -- of the last failure
    identity BLOB,               -- what it is known by where UIDVALIDITY changes; NULL: not asked for
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE TABLE fastimap_identities ( -- of the messages that are done
    mailbox INTEGER NOT NULL REFERENCES fastimap_mailboxes,
    identity BLOB NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (mailbox, identity)
) WITHOUT ROWID;
CREATE TABLE fastimap_actions (  -- what is still to be done on the server to messages that are done
    id INTEGER PRIMARY KEY,
    mailbox INTEGER NOT NULL REFERENCES fastimap_mailboxes,
    uid_validity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    verb TEXT NOT NULL,          -- "mark" or "move"
    argument TEXT NOT NULL       -- the flag, or the mailbox
);
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox of an account."""

    account: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a mailbox is done."""

    uid_validity: int
    done: UIDSet
    floor: int = 1
    """Every message below was done, parked or gone when it was last looked at; searches begin here."""
    below: int | None = None
    """How many messages the mailbox had below; None: not known."""
    top: int | None = None
    """The highest UID that a search found at `top_at`, seconds since 1970."""
    top_at: float = 0.0
    audited: float = 0.0
    """When all UIDs were last compared, seconds since 1970."""
    parked: UIDSet = field(default_factory=UIDSet)


@dataclass(frozen=True, slots=True)
class Lease:
    """A message that is somebody's alone until the time `until`, in seconds since 1970."""

    place: Place
    uid_validity: int
    uid: int
    token: str
    until: float
    deliveries: int
    """How often the message was delivered before."""
    reason: str = ""
    """Of the last failure."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A message that is not delivered any more."""

    place: Place
    uid_validity: int
    uid: int
    deliveries: int
    reason: str


@dataclass(frozen=True, slots=True)
class ToDo:
    """What is still to be done on the server to a message that is done."""

    number: int
    place: Place
    uid_validity: int
    uid: int
    verb: str
    """``"mark"`` or ``"move"``."""
    argument: str


class Cursor(Protocol):
    """What `follow` asks of a cursor. Each call is one transaction: after it returned, its effect is durable.

    Any number of threads and processes may share one. Raises CursorFailed where it can't be read or written, and
    LeaseLost where a lease has gone to somebody else: then nothing was changed.
    """

    def mark(self, place: Place) -> Mark | None:
        """Return how far a mailbox is done; None for one that was never begun."""

    def begin(self, place: Place, mark: Mark, identities: Iterable[bytes] = ()) -> bool:
        """Begin a mailbox with what is done already; whether it was not begun by somebody else meanwhile."""

    def reset(self, place: Place, mark: Mark, *, uid_validity: int, identities: Iterable[bytes] = ()) -> bool:
        """Begin a mailbox anew whose UIDVALIDITY was `uid_validity`: leases and failures of before are void."""

    def identities(self, place: Place) -> dict[bytes, int]:
        """Return what the messages that are done are known by, and how many are known by each."""

    def looked(self, place: Place, mark: Mark, *, floor: int) -> bool:
        """Take note of a look at the mailbox (floor, below, top, top_at, audited of `mark`) that began at `floor`;
        not if the floor is another by now."""

    def late(self, place: Place, uid_validity: int, uid: int) -> None:
        """Take note of a message that appeared below the floor: searches begin there."""

    def lease(self, place: Place, uid_validity: int, uids: Iterable[int], count: int, seconds: float) -> list[Lease]:
        """Take up to `count` of the `uids` that are to be delivered and that nobody is at work on."""

    def delivering(self, lease: Lease, identity: bytes | None = None) -> int:
        """Take note that a message is given to the program; return how often it was by now."""

    def extend(self, lease: Lease, seconds: float) -> Lease:
        """Have a lease end so many seconds from now."""

    def renew(self, leases: Sequence[Lease], seconds: float) -> None:
        """Have leases end so many seconds from now, or when they do, if that is later. The lost are passed over."""

    def done(self, leases: Sequence[Lease], actions: Sequence[tuple[str, str]] = (), db: Any = None) -> None:
        """Take note that messages are done, and of what is to be done to them on the server; in the transaction that
        is open on the connection `db`, if one is given."""

    def again(self, lease: Lease, seconds: float, reason: str, *, counted: bool = True) -> None:
        """Give a message back, to be delivered again so many seconds from now; not `counted`: as if it had not been."""

    def release(self, leases: Sequence[Lease]) -> None:
        """Give messages back that were not delivered. Those that are lost are passed over."""

    def park(self, lease: Lease, reason: str) -> None:
        """Deliver a message no more."""

    def parked(self, place: Place | None = None) -> list[Failed]:
        """Return the messages that are not delivered any more."""

    def unpark(self, place: Place | None = None) -> int:
        """Deliver them again; return their number."""

    def unfinished(self, place: Place) -> tuple[int, float | None]:
        """Return the number of messages that are leased or waiting, and when the first of these ends."""

    def absent(self, place: Place, uid_validity: int, floor: int, present: UIDSet) -> None:
        """Forget the leases that ended, and waits, of messages from `floor` on that are no more in the mailbox."""

    def actions(self, place: Place, limit: int) -> list[ToDo]:
        """Return what is to be done to messages on the server, the oldest first."""

    def acted(self, actions: Iterable[ToDo]) -> None:
        """Take note that it was."""

    def close(self) -> None:
        """Close it."""


class SQLiteCursor:
    """A cursor in a SQLite database, on a local disk; see `SCHEMA`.

    :param path: its file, made unless it is there. It may be the database of the program itself. An empty file with
        ``-began`` after the name lies beside it, and shows that there was a cursor where its own file is gone.
    :param again: begin anew where there was a cursor, and it is gone, instead of raising CursorFailed.
    :param clock: the time in seconds since 1970.
    """

    def __init__(
        self, path: str | PathLike[str], *, again: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = os.fspath(path)
        self._clock = clock
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        self._file: tuple[int, int] | None = None
        self.lost: bool = False
        """Whether there was a cursor before, and it is gone."""
        try:
            self._make(again)
        except BaseException:
            self.close()
            raise
        with contextlib.suppress(OSError), open(self._path + _BEGAN, "a", encoding="ascii"):
            pass

    def _make(self, again: bool) -> None:
        with self._transaction() as db:
            tables = _tables(db)
            if "fastimap_cursor" not in tables:
                if os.path.exists(self._path + _BEGAN):
                    if not again:
                        raise CursorFailed(
                            f"there was a cursor in {self._path}, and it is gone. Restore it; or say by on_reset= where"
                            f" to begin; or remove {self._path}{_BEGAN}, to begin as if there had been none"
                        )
                    self.lost = True
                for statement in SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute("INSERT INTO fastimap_cursor VALUES (?)", (_VERSION,))
            # INBOX is the same in any case; it was not always.
            db.execute(
                "UPDATE OR IGNORE fastimap_mailboxes SET mailbox = 'INBOX'"
                " WHERE upper(mailbox) = 'INBOX' AND mailbox <> 'INBOX'"
            )
            (version,) = db.execute("SELECT version FROM fastimap_cursor").fetchone()
            if version != _VERSION:
                raise CursorFailed(f"{self._path} holds a cursor of version {version}, which another fastimap made")

    def __repr__(self) -> str:
        return f"<SQLiteCursor {self._path}>"

    # How far.

    def mark(self, place: Place) -> Mark | None:
        with self._reading() as db:
            row = db.execute(
                "SELECT id, uid_validity, floor, below, top, top_at, audited FROM fastimap_mailboxes"
                " WHERE account = ? AND mailbox = ?",
                (place.account, place.mailbox),
            ).fetchone()
            if row is None:
                return None
            number, uid_validity, floor, below, top, top_at, audited = row
            ranges = db.execute("SELECT first, last FROM fastimap_done WHERE mailbox = ? ORDER BY first", (number,))
            done = UIDSet.from_ranges(tuple(ranges))
            parked = db.execute(
                "SELECT uid FROM fastimap_messages WHERE mailbox = ? AND state = 'parked' ORDER BY uid", (number,)
            )
            return Mark(uid_validity, done, floor, below, top, top_at, audited, UIDSet(uid for (uid,) in parked))

    def begin(self, place: Place, mark: Mark, identities: Iterable[bytes] = ()) -> bool:
        with self._transaction() as db:
            made = db.execute(
                "INSERT INTO fastimap_mailboxes (account, mailbox, uid_validity, floor, top_at, audited)"
                " VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
                (place.account, place.mailbox, mark.uid_validity, mark.floor, mark.audited),
            ).rowcount
            if made == 1:
                self._write_done(db, _known(db, place), mark.done, identities)
            return made == 1

    def reset(self, place: Place, mark: Mark, *, uid_validity: int, identities: Iterable[bytes] = ()) -> bool:
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE fastimap_mailboxes SET uid_validity = ?, floor = ?, below = NULL, top = NULL, top_at = 0,"
                " audited = ? WHERE account = ? AND mailbox = ? AND uid_validity = ?",
                (mark.uid_validity, mark.floor, mark.audited, place.account, place.mailbox, uid_validity),
            ).rowcount
            if changed == 1:
                number = _known(db, place)
                db.execute("DELETE FROM fastimap_done WHERE mailbox = ?", (number,))
                db.execute("DELETE FROM fastimap_messages WHERE mailbox = ?", (number,))
                db.execute("DELETE FROM fastimap_identities WHERE mailbox = ?", (number,))
                self._write_done(db, number, mark.done, identities)
            return changed == 1

    @staticmethod
    def _write_done(db: sqlite3.Connection, number: int, done: UIDSet, identities: Iterable[bytes]) -> None:
        db.executemany("INSERT INTO fastimap_done VALUES (?, ?, ?)", ((number, a, b) for a, b in done.ranges))
        db.executemany(_ONE_MORE, ((number, identity) for identity in identities))

    def identities(self, place: Place) -> dict[bytes, int]:
        with self._reading() as db:
            return dict(
                db.execute(
                    "SELECT i.identity, i.count FROM fastimap_identities i JOIN fastimap_mailboxes b"
                    f" ON b.id = i.mailbox WHERE TRUE{_AT}",
                    (place.account, place.mailbox),
                )
            )

    def looked(self, place: Place, mark: Mark, *, floor: int) -> bool:
        with self._transaction(durable=False) as db:
            try:
                number = _known(db, place, mark.uid_validity)
            except LeaseLost:
                return False
            (lowest,) = db.execute(
                "SELECT min(uid) FROM fastimap_messages WHERE mailbox = ? AND state <> 'parked'", (number,)
            ).fetchone()
            # What is below the lowest that somebody is at work on is not counted then.
            known = lowest is None or lowest >= mark.floor
            changed = db.execute(
                "UPDATE fastimap_mailboxes SET floor = ?, below = ?, top = ?, top_at = ?, audited = ?"
                " WHERE id = ? AND floor = ?",
                (
                    *(mark.floor if known else min(lowest, mark.floor), mark.below if known else None),
                    *(mark.top, mark.top_at, mark.audited, number, floor),
                ),
            ).rowcount
            return changed == 1

    def late(self, place: Place, uid_validity: int, uid: int) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE fastimap_mailboxes SET floor = ?, below = NULL WHERE id = ? AND floor > ?",
                (uid, _known(db, place, uid_validity), uid),
            )

    # Leases.

    def lease(self, place: Place, uid_validity: int, uids: Iterable[int], count: int, seconds: float) -> list[Lease]:
        found: list[Lease] = []
        with self._transaction() as db:
            number = _known(db, place, uid_validity)
            now = self._clock()
            until = now + seconds
            for uid in uids:
                if len(found) >= count:
                    break
                if _is_done(db, number, uid):
                    continue
                row = db.execute(
                    "SELECT state, until, deliveries, reason FROM fastimap_messages WHERE mailbox = ? AND uid = ?",
                    (number, uid),
                ).fetchone()
                if row is not None and (row[0] == "parked" or row[1] > now):
                    continue
                token = secrets.token_hex(8)
                deliveries = 0 if row is None else row[2]
                db.execute(
                    "INSERT INTO fastimap_messages VALUES (?, ?, 'leased', ?, ?, ?, NULL, NULL)"
                    " ON CONFLICT (mailbox, uid)"
                    " DO UPDATE SET state = 'leased', token = excluded.token, until = excluded.until",
                    (number, uid, token, until, deliveries),
                )
                reason = "" if row is None else row[3] or ""
                found.append(Lease(place, uid_validity, uid, token, until, deliveries, reason))
        return found

    def delivering(self, lease: Lease, identity: bytes | None = None) -> int:
        with self._transaction(durable=False) as db:
            number = self._own(db, lease)
            at = (number, lease.uid)
            db.execute(
                "UPDATE fastimap_messages SET deliveries = deliveries + 1, identity = ? WHERE mailbox = ? AND uid = ?",
                (identity, *at),
            )
            (deliveries,) = db.execute(
                "SELECT deliveries FROM fastimap_messages WHERE mailbox = ? AND uid = ?", at
            ).fetchone()
            return int(deliveries)

    def extend(self, lease: Lease, seconds: float) -> Lease:
        with self._transaction(durable=False) as db:
            number = self._own(db, lease)
            until = self._clock() + seconds
            db.execute(
                "UPDATE fastimap_messages SET until = ? WHERE mailbox = ? AND uid = ?", (until, number, lease.uid)
            )
        return replace(lease, until=until)

    def renew(self, leases: Sequence[Lease], seconds: float) -> None:
        with self._transaction(durable=False) as db:
            until = self._clock() + seconds
            db.executemany(
                "UPDATE fastimap_messages SET until = max(until, ?) WHERE token = ? AND uid = ? AND mailbox IN"
                f" (SELECT b.id FROM fastimap_mailboxes b WHERE b.uid_validity = ?{_AT})",
                ((until, one.token, one.uid, one.uid_validity, one.place.account, one.place.mailbox) for one in leases),
            )

    def done(self, leases: Sequence[Lease], actions: Sequence[tuple[str, str]] = (), db: Any = None) -> None:
        if db is None:
            with self._transaction() as own:
                self._done(own, leases, actions)
            return
        if not isinstance(db, sqlite3.Connection):
            raise TypeError(f"db is the sqlite3.Connection of your transaction, not {db!r:.100}")
        if "fastimap_cursor" not in _tables(db):
            raise ValueError(f"db is of another database: done(db) needs a connection to the cursor's, {self._path}")
        if not db.in_transaction:
            db.execute("BEGIN IMMEDIATE")
        self._done(db, leases, actions)

    def _done(self, db: sqlite3.Connection, leases: Sequence[Lease], actions: Sequence[tuple[str, str]]) -> None:
        owned = [(self._own(db, lease), lease) for lease in leases]
        for number, lease in owned:
            db.execute(
                "INSERT INTO fastimap_identities SELECT mailbox, identity, 1 FROM fastimap_messages WHERE mailbox = ?"
                " AND uid = ? AND identity IS NOT NULL ON CONFLICT (mailbox, identity) DO UPDATE SET count = count + 1",
                (number, lease.uid),
            )
            db.execute("DELETE FROM fastimap_messages WHERE mailbox = ? AND uid = ?", (number, lease.uid))
            _add_done(db, number, lease.uid, lease.uid)
            db.executemany(
                "INSERT INTO fastimap_actions (mailbox, uid_validity, uid, verb, argument) VALUES (?, ?, ?, ?, ?)",
                ((number, lease.uid_validity, lease.uid, verb, argument) for verb, argument in actions),
            )

    def again(self, lease: Lease, seconds: float, reason: str, *, counted: bool = True) -> None:
        self._set(lease, "waiting", self._clock() + seconds, reason, fewer=int(not counted))

    def release(self, leases: Sequence[Lease]) -> None:
        with self._transaction(durable=False) as db:
            for lease in leases:
                try:
                    number = self._own(db, lease)
                except LeaseLost:
                    continue
                if lease.deliveries:
                    db.execute(
                        "UPDATE fastimap_messages SET state = 'waiting', token = NULL, until = 0"
                        " WHERE mailbox = ? AND uid = ?",
                        (number, lease.uid),
                    )
                else:
                    db.execute("DELETE FROM fastimap_messages WHERE mailbox = ? AND uid = ?", (number, lease.uid))

    def park(self, lease: Lease, reason: str) -> None:
        self._set(lease, "parked", 0.0, reason)

    def _set(self, lease: Lease, state: str, until: float, reason: str, *, fewer: int = 0) -> None:
        with self._transaction() as db:
            number = self._own(db, lease)
            db.execute(
                "UPDATE fastimap_messages SET state = ?, token = NULL, until = ?, reason = ?,"
                " deliveries = max(0, deliveries - ?) WHERE mailbox = ? AND uid = ?",
                (state, until, reason[:_LONGEST_REASON], fewer, number, lease.uid),
            )

    def _own(self, db: sqlite3.Connection, lease: Lease) -> int:
        """Return the number of the lease's mailbox; raise LeaseLost if somebody else has it by now.

        A lease that is over and that nobody took holds still: nobody else is at work on the message.
        """
        row = db.execute(
            "SELECT b.id FROM fastimap_mailboxes b JOIN fastimap_messages m ON m.mailbox = b.id"
            " WHERE b.account = ? AND b.mailbox = ? AND b.uid_validity = ? AND m.uid = ? AND m.token = ?",
            (lease.place.account, lease.place.mailbox, lease.uid_validity, lease.uid, lease.token),
        ).fetchone()
        if row is None:
            raise LeaseLost(
                f"UID {lease.uid} of {lease.place.mailbox!r} is not leased to you any more: the lease ended, and "
                "somebody else has the message, or it was done or given back already"
            )
        return int(row[0])

    # What failed.

    def parked(self, place: Place | None = None) -> list[Failed]:
        with self._reading() as db:
            rows = db.execute(
                "SELECT b.account, b.mailbox, b.uid_validity, m.uid, m.deliveries, m.reason FROM fastimap_messages m"
                f" JOIN fastimap_mailboxes b ON b.id = m.mailbox WHERE m.state = 'parked'{_AT if place else ''}"
                " ORDER BY b.id, m.uid",
                (place.account, place.mailbox) if place else (),
            )
            return [
                Failed(Place(account, mailbox), uid_validity, uid, deliveries, reason or "")
                for account, mailbox, uid_validity, uid, deliveries, reason in rows
            ]

    def unpark(self, place: Place | None = None) -> int:
        at = (place.account, place.mailbox) if place else ()
        with self._transaction() as db:
            db.execute(
                "UPDATE fastimap_mailboxes AS b SET below = NULL, floor = min(floor, (SELECT min(m.uid) FROM"
                " fastimap_messages m WHERE m.mailbox = b.id AND m.state = 'parked')) WHERE EXISTS (SELECT 1 FROM"
                f" fastimap_messages m WHERE m.mailbox = b.id AND m.state = 'parked'){_AT if place else ''}",
                at,
            )
            return db.execute(
                "UPDATE fastimap_messages SET state = 'waiting', until = 0, deliveries = 0 WHERE state = 'parked'"
                f" AND mailbox IN (SELECT b.id FROM fastimap_mailboxes b WHERE TRUE{_AT if place else ''})",
                at,
            ).rowcount

    def unfinished(self, place: Place) -> tuple[int, float | None]:
        with self._reading() as db:
            count, until = db.execute(
                "SELECT count(*), min(m.until) FROM fastimap_messages m JOIN fastimap_mailboxes b ON b.id = m.mailbox"
                f" WHERE m.state <> 'parked'{_AT}",
                (place.account, place.mailbox),
            ).fetchone()
            return count, until

    # What the server says.

    def absent(self, place: Place, uid_validity: int, floor: int, present: UIDSet) -> None:
        with self._transaction(durable=False) as db:
            number = _known(db, place, uid_validity)
            over = db.execute(
                "SELECT uid FROM fastimap_messages WHERE mailbox = ? AND uid >= ? AND state <> 'parked' AND until < ?",
                (number, floor, self._clock()),
            ).fetchall()
            db.executemany(
                "DELETE FROM fastimap_messages WHERE mailbox = ? AND uid = ?",
                ((number, uid) for (uid,) in over if uid not in present),
            )

    def actions(self, place: Place, limit: int) -> list[ToDo]:
        with self._reading() as db:
            rows = db.execute(
                "SELECT a.id, a.uid_validity, a.uid, a.verb, a.argument FROM fastimap_actions a"
                f" JOIN fastimap_mailboxes b ON b.id = a.mailbox WHERE TRUE{_AT} ORDER BY a.id LIMIT ?",
                (place.account, place.mailbox, limit),
            )
            return [ToDo(number, place, *rest) for number, *rest in rows]

    def acted(self, actions: Iterable[ToDo]) -> None:
        with self._transaction() as db:
            db.executemany("DELETE FROM fastimap_actions WHERE id = ?", ((action.number,) for action in actions))

    # The database.

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _open(self) -> sqlite3.Connection:
        if self._db is not None and self._pid != os.getpid():
            self._db = None  # the parent's; to close it here would take its locks away
        if self._db is None:
            self._db = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            _use_wal(self._db)
            self._pid = os.getpid()
            found = os.stat(self._path)
            self._file = (found.st_dev, found.st_ino)
        return self._db

    def _refuse_another_file(self) -> None:
        try:
            found = os.stat(self._path)
        except OSError as exc:
            raise CursorFailed(f"the cursor's file {self._path} is gone: {exc.strerror}") from exc
        if (found.st_dev, found.st_ino) != self._file:
            raise CursorFailed(f"the cursor's file {self._path} was replaced by another one")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _told(self._path):
            db = self._open()
            self._refuse_another_file()
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Run the block in a transaction; what is not `durable` outlives the program, but not the system."""
        with self._lock, _told(self._path):
            db = self._open()
            self._refuse_another_file()
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        db.execute("ROLLBACK")


_ONE_MORE = (
    "INSERT INTO fastimap_identities VALUES (?, ?, 1) ON CONFLICT (mailbox, identity) DO UPDATE SET count = count + 1"
)
_AT = " AND b.account = ? AND b.mailbox = ?"


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise CursorFailed(f"the cursor {path}: {exc}") from exc


def _use_wal(db: sqlite3.Connection) -> None:
    """Have readers and a writer at once. SQLite does not wait for its turn to change that."""
    until = time.monotonic() + _BUSY
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _known(db: sqlite3.Connection, place: Place, uid_validity: int | None = None) -> int:
    row = db.execute(
        "SELECT id, uid_validity FROM fastimap_mailboxes WHERE account = ? AND mailbox = ?",
        (place.account, place.mailbox),
    ).fetchone()
    if row is None:
        raise CursorFailed(f"the cursor knows no mailbox {place.mailbox!r} of {place.account} any more")
    if uid_validity is not None and row[1] != uid_validity:
        raise LeaseLost(f"the UIDVALIDITY of {place.mailbox!r} is {row[1]} by now, no more {uid_validity}")
    return int(row[0])


def _is_done(db: sqlite3.Connection, number: int, uid: int) -> bool:
    row = db.execute(
        "SELECT last FROM fastimap_done WHERE mailbox = ? AND first <= ? ORDER BY first DESC LIMIT 1", (number, uid)
    ).fetchone()
    return row is not None and row[0] >= uid


def _add_done(db: sqlite3.Connection, number: int, first: int, last: int) -> None:
    """Add a range to those of the mailbox; ranges that meet become one."""
    touching = db.execute(
        "SELECT first, last FROM fastimap_done WHERE mailbox = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        (number, first),
    ).fetchone()
    if touching is not None and touching[1] >= first - 1:
        first, last = touching[0], max(last, touching[1])
    for start, end in db.execute(
        "SELECT first, last FROM fastimap_done WHERE mailbox = ? AND first BETWEEN ? AND ?", (number, first, last + 1)
    ).fetchall():
        last = max(last, end)
        db.execute("DELETE FROM fastimap_done WHERE mailbox = ? AND first = ?", (number, start))
    db.execute("INSERT INTO fastimap_done VALUES (?, ?, ?)", (number, first, last))
