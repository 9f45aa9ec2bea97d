"""Messages that the store has already under another mailbox or UID: recognised, so that they are not fetched again.

By the server's own identifiers (EMAILID, X-GM-MSGID), else by Message-ID, size and INTERNALDATE together. A Message-ID
alone is a hint: where two could be meant and their octets differ, the message is fetched.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..clients.blocking import Client
from ..model.row import FetchedMessage, has_uid
from ..model.sequence_set import UIDSet
from .messages import date_of, extra_now, extra_of, flags_of, identifiers, items_about
from .state import Entry, Place, State
from .stores.base import Store

__all__ = ["Candidates", "Match", "returned"]

_CHUNK = 2000
_IDS = ("gmail_id", "email_id")
_HEADER = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"


class Match(NamedTuple):
    """A message of the server that is one of the store."""

    uid: int
    flags: str
    extra: str | None
    source: Place
    entry: Entry


def returned(client: Client, place: Place, uids: UIDSet, state: State) -> list[Match]:
    """Return what is known by now of messages of the selected mailbox that the store has as gone under their very UIDs.

    The mailbox was away for a while. That they are the same was seen when it was compared.
    """
    known = {entry.uid: entry for entry in state.some(place, uids)}
    rows = client.fetch_iter(uids, "FLAGS", *items_about(client))
    return [
        Match(row.uid, flags_of(row), extra_now(row, known[row.uid].extra), place, known[row.uid])
        for row in rows
        if row.uid in known
    ]


class Candidates:
    """Messages of the store that the server has no more where they were."""

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._places: dict[int, Place] = {}
        self.count: int = 0
        # There may be a million. Not in the state's database: what that takes back is not to take them with it.
        self._db = sqlite3.connect("", check_same_thread=False)
        weakref.finalize(self, self._db.close)
        self._db.execute("CREATE TABLE candidate (size, date, mailbox, uid, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID")
        self._db.execute("CREATE INDEX candidate_size ON candidate (size, date)")

    def add(self, place: Place, entries: Iterable[Entry]) -> None:
        """Add messages of a mailbox."""
        self._places[place.id] = place
        rows = [(entry.size, entry.date, place.id, entry.uid) for entry in entries]
        self._db.executemany("INSERT OR IGNORE INTO candidate VALUES (?, ?, ?, ?)", rows)
        self.count += len(rows)

    def drop(self, place: Place, uids: Iterable[int]) -> None:
        """Note that messages of a mailbox have found their places."""
        dropped = self._db.executemany(
            "DELETE FROM candidate WHERE mailbox = ? AND uid = ?", [(place.id, uid) for uid in uids]
        )
        self.count -= dropped.rowcount

    def matches(self, client: Client, uids: UIDSet) -> Iterator[Match]:
        """Yield those of the messages of the selected mailbox that the store has."""
        for chunk in uids.chunks(_CHUNK):
            groups: dict[tuple[str, int, int | None], list[FetchedMessage]] = defaultdict(list)
            entries: dict[tuple[str, int, int | None], list[tuple[Place, Entry]]] = {}
            for row in client.fetch_iter(chunk, "FLAGS", "RFC822.SIZE", "INTERNALDATE", _HEADER, *items_about(client)):
                if not has_uid(row) or row.size is None:
                    continue
                date = date_of(row)
                fitting = self._of(row.size, date)
                name = _name(identifiers(extra_of(row)), row.headers.get("message-id"))
                key = name, row.size, date
                if not fitting or not name:
                    continue
                if key not in entries:
                    entries[key] = [(place, entry) for place, entry in fitting if self._named(place, entry, name)]
                groups[key].append(row)
            for key, new in groups.items():
                known = entries[key]
                digests = {entry.digest for _, entry in known}
                certain = len(known) == 1 or (len(digests) == 1 and (digests != {b""} or key[0].startswith(_IDS)))
                if len(known) < len(new) or not certain:
                    continue  # which of them is meant only their octets can tell
                for row, (place, entry) in zip(new, known, strict=False):
                    yield Match(row.uid, flags_of(row), extra_now(row, entry.extra), place, entry)

    def _of(self, size: int, date: int | None) -> list[tuple[Place, Entry]]:
        found = self._db.execute(
            "SELECT mailbox, uid FROM candidate WHERE size = ? AND date IS ?", (size, date)
        ).fetchall()
        return [
            (self._places[mailbox], entry)
            for mailbox, uid in found
            for entry in self._state.some(self._places[mailbox], UIDSet(uid))
        ]

    def _named(self, place: Place, entry: Entry, name: str) -> bool:
        ours = identifiers(entry.extra)
        if ours:
            return _name(ours, None) == name
        try:
            return _name({}, self._store.message_id(place, entry)) == name
        except (LookupError, OSError):
            return False


def _name(ids: dict[str, str], message_id: str | None) -> str:
    """Return what identifies a message; "" where nothing does."""
    for kind in _IDS:
        if kind in ids:
            return f"{kind} {ids[kind]}"
    return (message_id or "").strip()
