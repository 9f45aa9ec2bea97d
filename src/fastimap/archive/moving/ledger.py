"""Which message of a source is which at a destination: SQLite, changed in transactions.

The order is always: note what is about to be sent (`intent`), send, note where it is. So what the ledger does not know
is looked for at the destination before it is sent again.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...model.sequence_set import UIDSet
from ..errors import StoreError
from ..state import opened_to_read
from ..system import make_private
from ..transactions import Transactions

__all__ = ["IN_DOUBT", "Intent", "Ledger", "Pair"]

FORMAT = 2
IN_DOUBT = "%"
"""Among the flags of a message: those before it are there, those behind it perhaps. No flag is that."""
_PATIENCE = 60.0
_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE pair (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    source_name TEXT NOT NULL,
    source_validity INTEGER NOT NULL,
    destination TEXT NOT NULL,
    name TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    current INTEGER NOT NULL DEFAULT 1,
    mod_sequence INTEGER
);
CREATE UNIQUE INDEX pair_names ON pair (source, source_name, source_validity, destination, name, uid_validity);
CREATE TABLE message (
    pair INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    there INTEGER,
    flags TEXT NOT NULL,
    PRIMARY KEY (pair, uid)
) WITHOUT ROWID;
CREATE TABLE intent (
    pair INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    size INTEGER NOT NULL,
    message_id BLOB,
    digest BLOB NOT NULL,
    flags TEXT NOT NULL,
    PRIMARY KEY (pair, uid)
) WITHOUT ROWID;
CREATE TABLE parked (
    pair INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (pair, uid)
) WITHOUT ROWID;
CREATE TABLE spent (day TEXT PRIMARY KEY, octets INTEGER NOT NULL) WITHOUT ROWID;
"""


class Intent(NamedTuple):
    """A message that is about to be sent; it is known again also where the source has it no more."""

    uid: int
    uid_next: int
    """Of the destination, before it was sent first."""
    size: int
    message_id: bytes | None
    digest: bytes
    flags: str
    """With which it was sent."""


@dataclass(slots=True)
class Pair:
    """A mailbox of the source, and the one of the destination that its messages go to."""

    id: int
    name: str
    """At the destination."""
    uid_validity: int
    mod_sequence: int | None = None
    """Of the source, up to which the flags have been carried over."""


class Ledger(Transactions):
    """For one thread.

    :param path: its file.
    :param dry_run: have a copy of it, or of none, that ends with this object: the file may be one that is only read.
    """

    def __init__(self, path: Path, *, dry_run: bool = False) -> None:
        self.path = path
        if not dry_run:
            make_private(path)
        try:
            self.db: sqlite3.Connection = sqlite3.connect(
                "" if dry_run else path, timeout=_PATIENCE, check_same_thread=False
            )
        except sqlite3.Error as exc:
            raise StoreError(f"{path} can't be opened: {exc}") from None
        self.db.isolation_level = None
        try:
            if dry_run and path.exists():
                with contextlib.closing(opened_to_read(path)) as there:
                    there.backup(self.db)
            self.db.execute("PRAGMA journal_mode = TRUNCATE")
            self.db.execute("PRAGMA synchronous = FULL")
            (tables,) = self.db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'about'").fetchone()
            if not tables:
                self.db.executescript(f"BEGIN; {_SCHEMA} INSERT INTO about VALUES ('format', {FORMAT}); COMMIT;")
            (found,) = self.db.execute("SELECT value FROM about WHERE name = 'format'").fetchone() or (None,)
        except sqlite3.DatabaseError as exc:
            self.db.close()
            raise StoreError(self.damaged(exc)) from None
        if found != FORMAT:
            self.db.close()
            raise StoreError(f"{path} has format {found}; this version knows {FORMAT}")

    def damaged(self, exc: Exception) -> str:
        return f"{self.path} is damaged, or no ledger of fastimap's: {exc}"

    # Mailboxes.

    def pair(
        self, source: str, source_name: str, source_validity: int, destination: str, name: str, uid_validity: int
    ) -> Pair:
        """Return the pair, made if it is new; others of that mailbox of the source are former ones."""
        key = (source, source_name, source_validity, destination, name, uid_validity)
        self.begin()
        self.db.execute(
            "UPDATE pair SET current = 0 WHERE source = ? AND source_name = ? AND destination = ?",
            (source, source_name, destination),
        )
        self.db.execute(
            "INSERT OR IGNORE INTO pair (source, source_name, source_validity, destination, name, uid_validity) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            key,
        )
        number, mod_sequence = self.db.execute(
            "SELECT id, mod_sequence FROM pair WHERE source = ? AND source_name = ? AND source_validity = ? "
            "AND destination = ? AND name = ? AND uid_validity = ?",
            key,
        ).fetchone()
        self.db.execute("UPDATE pair SET current = 1 WHERE id = ?", (number,))
        return Pair(number, name, uid_validity, mod_sequence)

    def on_other_ports(
        self, source: str, source_name: str, source_validity: int, destination: str, name: str, uid_validity: int
    ) -> list[Pair]:
        """Return the pairs that one which is new may be, whose accounts are called the same but for their ports."""
        rows = self.db.execute(
            "SELECT source, destination, id, name, uid_validity, mod_sequence FROM pair "
            "WHERE source_name = ? AND source_validity = ? AND name = ? AND uid_validity = ?",
            (source_name, source_validity, name, uid_validity),
        ).fetchall()
        ours = _without_ports(source, destination)
        if ours[0] == ours[1] or any(row[:2] == (source, destination) for row in rows):
            return []  # of two servers on one machine either may be the source
        return [Pair(*row[2:]) for row in rows if _without_ports(*row[:2]) == ours]

    def call(self, pair: Pair, source: str, destination: str) -> None:
        """Have the accounts of a pair called otherwise."""
        self.begin()
        self.db.execute("UPDATE pair SET source = ?, destination = ? WHERE id = ?", (source, destination, pair.id))

    def set_aside(self, pair: Pair) -> None:
        """Note that the UIDs of a pair mean other messages by now: it is a former one, as after a new UIDVALIDITY."""
        self.begin()
        # No UIDVALIDITY is negative.
        self.db.execute("UPDATE pair SET source_validity = -id, current = 0 WHERE id = ?", (pair.id,))

    def hand_on(self, former: Pair, pair: Pair) -> None:
        """Have what is in doubt, or could not be sent, of a pair that was set aside with the one in its place."""
        self.begin()
        for table in ("intent", "parked"):
            self.db.execute(f"UPDATE {table} SET pair = ? WHERE pair = ?", (pair.id, former.id))

    def last(self, pair: Pair) -> tuple[int, int]:
        """Return the highest UID that is known at the source, and the highest at the destination; 0: none."""
        query = "SELECT coalesce(max(uid), 0), coalesce(max(there), 0) FROM message WHERE pair = ?"
        uid, there = self.db.execute(query, (pair.id,)).fetchone()
        return uid, there

    def set_mod_sequence(self, pair: Pair, mod_sequence: int | None) -> None:
        """Note up to where the flags have been carried over."""
        self.begin()
        self.db.execute("UPDATE pair SET mod_sequence = ? WHERE id = ?", (mod_sequence, pair.id))
        pair.mod_sequence = mod_sequence

    def total(self, source: str, destination: str) -> int:
        """Return how many messages of a source are at a destination."""
        query = (
            "SELECT count(*) FROM message JOIN pair ON pair.id = message.pair "
            "WHERE source = ? AND destination = ? AND current"
        )
        number: int = self.db.execute(query, (source, destination)).fetchone()[0]
        return number

    def mailboxes(self, source: str, destination: str) -> dict[str, str]:
        """Return the mailboxes of a source of which messages are at a destination, and what they are called there."""
        query = (
            "SELECT source_name, name FROM pair WHERE source = ? AND destination = ? AND current "
            "AND EXISTS (SELECT 1 FROM message WHERE pair = pair.id)"
        )
        return dict(self.db.execute(query, (source, destination)))

    def leave(self, source: str, destination: str, names: Iterable[str]) -> None:
        """Note that a source has mailboxes no more."""
        self.begin()
        self.db.executemany(
            "UPDATE pair SET current = 0 WHERE source = ? AND destination = ? AND source_name = ?",
            ((source, destination, name) for name in names),
        )

    # Messages.

    def uids(self, pair: Pair) -> UIDSet:
        """Return the messages of the source that are there."""
        return UIDSet(uid for (uid,) in self.db.execute("SELECT uid FROM message WHERE pair = ?", (pair.id,)))

    def unplaced(self, pair: Pair) -> UIDSet:
        """Return those of them whose UID at the destination is not known."""
        query = "SELECT uid FROM message WHERE pair = ? AND there IS NULL"
        return UIDSet(uid for (uid,) in self.db.execute(query, (pair.id,)))

    def known(self, destination: str, pair: Pair) -> UIDSet:
        """Return the messages of the destination's mailbox that are known, of whatever source."""
        query = (
            "SELECT there FROM message JOIN pair ON pair.id = message.pair WHERE destination = ? AND name = ? "
            "AND uid_validity = ? AND current AND there IS NOT NULL"
        )
        return UIDSet(uid for (uid,) in self.db.execute(query, (destination, pair.name, pair.uid_validity)))

    def formerly(self, pair: Pair) -> UIDSet:
        """Return the messages of the destination's mailbox that came from the source's, under another UIDVALIDITY."""
        query = (
            "SELECT there FROM message JOIN pair ON pair.id = message.pair JOIN pair AS now "
            "USING (source, source_name, destination, name, uid_validity) "
            "WHERE now.id = ? AND pair.id <> now.id AND there IS NOT NULL"
        )
        return UIDSet(uid for (uid,) in self.db.execute(query, (pair.id,)))

    def some(self, pair: Pair, uids: UIDSet) -> Iterator[tuple[int, int | None, str]]:
        """Yield UID, UID at the destination and flags of messages that are there."""
        for low, high in uids.ranges:
            yield from self.db.execute(
                "SELECT uid, there, flags FROM message WHERE pair = ? AND uid BETWEEN ? AND ? ORDER BY uid",
                (pair.id, low, high),
            ).fetchall()

    def in_doubt(self, pair: Pair) -> UIDSet:
        """Return the messages of which it is not known what flags they have at the destination."""
        query = "SELECT uid FROM message WHERE pair = ? AND instr(' ' || flags || ' ', ?)"
        return UIDSet(uid for (uid,) in self.db.execute(query, (pair.id, f" {IN_DOUBT} ")))

    def intend(self, pair: Pair, intents: Iterable[Intent]) -> None:
        """Note messages that are about to be sent, durably; those that were before stay as they are."""
        self.begin()
        self.db.executemany(
            "INSERT OR IGNORE INTO intent VALUES (?, ?, ?, ?, ?, ?, ?)", ((pair.id, *intent) for intent in intents)
        )
        self.commit()

    def intents(self, pair: Pair) -> dict[int, Intent]:
        """Return the messages of which it is not known whether they were sent."""
        query = "SELECT uid, uid_next, size, message_id, digest, flags FROM intent WHERE pair = ?"
        return {row[0]: Intent(*row) for row in self.db.execute(query, (pair.id,))}

    def forget_intents(self, pair: Pair, uids: Iterable[int]) -> None:
        """Note messages that are not there."""
        self.begin()
        self.db.executemany("DELETE FROM intent WHERE pair = ? AND uid = ?", ((pair.id, uid) for uid in uids))

    def insert(self, pair: Pair, rows: Iterable[tuple[int, int | None, str]]) -> None:
        """Note messages that are there: UID, UID at the destination, flags."""
        rows = list(rows)
        self.begin()
        self.db.executemany("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?)", ((pair.id, *row) for row in rows))
        for table in ("intent", "parked"):
            self.db.executemany(f"DELETE FROM {table} WHERE pair = ? AND uid = ?", ((pair.id, row[0]) for row in rows))

    def place(self, pair: Pair, pairs: dict[int, int]) -> None:
        """Note where messages are, of which that was not known."""
        self.begin()
        self.db.executemany(
            "UPDATE message SET there = ? WHERE pair = ? AND uid = ?",
            ((there, pair.id, uid) for uid, there in pairs.items()),
        )

    def set_flags(self, pair: Pair, flags: Iterable[tuple[str, int]]) -> None:
        """Note the flags that messages of the source have, or those that the destination has or may have by now."""
        self.begin()
        self.db.executemany(f"UPDATE message SET flags = ? WHERE pair = {pair.id:d} AND uid = ?", flags)

    def remove(self, pair: Pair, uids: Iterable[int]) -> None:
        """Forget messages."""
        self.begin()
        self.db.executemany("DELETE FROM message WHERE pair = ? AND uid = ?", ((pair.id, uid) for uid in uids))

    def park(self, pair: Pair, uid: int, reason: str, *, doubtful: bool = False) -> None:
        """Note that a message could not be sent.

        :param doubtful: nobody knows whether it was sent: its intent stays.
        """
        self.begin()
        self.db.execute(
            "INSERT INTO parked (pair, uid, reason) VALUES (?, ?, ?) "
            "ON CONFLICT (pair, uid) DO UPDATE SET reason = excluded.reason",
            (pair.id, uid, reason),
        )
        if not doubtful:
            self.db.execute("DELETE FROM intent WHERE pair = ? AND uid = ?", (pair.id, uid))

    def parked(self, pair: Pair) -> dict[int, str]:
        """Return the messages that could not be sent, with the reasons."""
        return dict(self.db.execute("SELECT uid, reason FROM parked WHERE pair = ? ORDER BY uid", (pair.id,)))

    def unpark(self, pair: Pair, uids: Iterable[int]) -> None:
        """Note that the source has messages no more."""
        self.begin()
        self.db.executemany("DELETE FROM parked WHERE pair = ? AND uid = ?", ((pair.id, uid) for uid in uids))

    # Octets that were sent.

    def spent(self, destination: str, day: str) -> int:
        """Return the octets that were sent on a day."""
        row: Any = self.db.execute("SELECT octets FROM spent WHERE day = ?", (f"{destination} {day}",)).fetchone()
        return row[0] if row else 0

    def spend(self, destination: str, day: str, octets: int) -> None:
        """Note octets that are about to be sent."""
        self.begin()
        self.db.execute(
            "INSERT INTO spent VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET octets = octets + excluded.octets",
            (f"{destination} {day}", octets),
        )


def _without_ports(*names: str) -> list[str]:
    return [re.sub(r":[0-9]+\Z", "", name) for name in names]
