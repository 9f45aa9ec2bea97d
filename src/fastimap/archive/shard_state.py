"""The state of a Parquet store: a scratch database while a run lasts, made of manifests, and put down in manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..model.sequence_set import UIDSet
from .state import Entry, Place, State

__all__ = ["ShardState"]

# A mailbox may be noted many times: within a trigger OR IGNORE does not hold where the statement has an ON CONFLICT.
_NOTES = """
CREATE TEMP TABLE touched (mailbox INTEGER);
CREATE TEMP TABLE altered (mailbox INTEGER, uid INTEGER, fresh INTEGER, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
CREATE TEMP TRIGGER mailbox_made AFTER INSERT ON mailbox BEGIN INSERT INTO touched VALUES (NEW.id); END;
CREATE TEMP TRIGGER mailbox_set AFTER UPDATE ON mailbox BEGIN INSERT INTO touched VALUES (NEW.id); END;
CREATE TEMP TRIGGER was_parked AFTER INSERT ON parked BEGIN INSERT INTO touched VALUES (NEW.mailbox); END;
CREATE TEMP TRIGGER still_parked AFTER UPDATE ON parked BEGIN INSERT INTO touched VALUES (NEW.mailbox); END;
CREATE TEMP TRIGGER unparked AFTER DELETE ON parked BEGIN INSERT INTO touched VALUES (OLD.mailbox); END;
CREATE TEMP TRIGGER message_altered AFTER UPDATE OF flags, extra, gone ON message BEGIN
    INSERT OR REPLACE INTO altered VALUES (NEW.mailbox, NEW.uid, 1);
END;
"""


class ShardState(State):
    """A state whose commits are manifests that are put.

    :param kind: that of the store.
    :param publish: puts the manifests of what was changed; what it raises keeps the change from being committed.
    :param load: reads what the files of a mailbox say; not before somebody asks.
    """

    def __init__(
        self, kind: str, publish: Callable[[ShardState], None], load: Callable[[ShardState, int], None]
    ) -> None:
        super().__init__(None, kind)
        self._publish = publish
        self._load = load
        self.waiting: dict[int, int] = {}
        """Mailboxes whose files were not read yet: how many messages there are that the server has."""
        self.ended: set[int] = set()
        """Mailboxes of which each range was brought to its end, by a worker of its own."""
        self.db.execute("PRAGMA synchronous = OFF")  # it ends with the run
        self.db.executescript(_NOTES)

    def commit(self) -> None:
        """Put the manifests of the shards that have changed."""
        if self.db.in_transaction:
            self._publish(self)
            super().commit()

    def has_ended(self, place: Place) -> bool:
        return place.id in self.ended

    def need(self, mailbox: int) -> None:
        """Have the messages of a mailbox here."""
        if self.waiting.pop(mailbox, None) is not None:
            self.begin()
            self._load(self, mailbox)
            self.loaded(mailbox)

    def loaded(self, mailbox: int) -> None:
        """Note that the messages of a mailbox are as its files say, and none has changed."""
        self.db.execute("UPDATE temp.altered SET fresh = 0 WHERE mailbox = ?", (mailbox,))

    def count(self, place: Place, *, gone: bool = False) -> int:
        if not gone and place.id in self.waiting:
            return self.waiting[place.id]
        self.need(place.id)
        return super().count(place, gone=gone)

    def uids(self, place: Place, *, gone: bool = False) -> UIDSet:
        self.need(place.id)
        return super().uids(place, gone=gone)

    def entries(self, place: Place, *, gone: bool | None = False, after: int = 0) -> Iterator[Entry]:
        self.need(place.id)
        return super().entries(place, gone=gone, after=after)

    def some(self, place: Place, uids: UIDSet) -> Iterator[Entry]:
        self.need(place.id)
        return super().some(place, uids)

    def set_flags(self, place: Place, changes: Sequence[tuple[str, str | None, int]]) -> None:
        self.need(place.id)
        super().set_flags(place, changes)

    def set_gone(self, place: Place, uids: Iterable[int], *, gone: bool = True) -> None:
        self.need(place.id)
        super().set_gone(place, uids, gone=gone)

    def remove(self, place: Place, uids: Iterable[int]) -> None:
        self.need(place.id)
        super().remove(place, uids)

    def missing(self, place: Place) -> Iterator[Entry]:
        # One that moved is missing where it was for ever, and would be two: only what went in this run is recognised.
        return iter(())

    def forget_empty(self, places: Iterable[Place]) -> None:
        """Do nothing: their manifests are there, and messages may not be here yet."""

    def move(self, source: Place, uid: int, target: Place, entry: Entry) -> None:
        """Note that a message is another one's by now: its own file still has it, and is not changed."""
        self.set_gone(source, [uid])
        self.insert([(target.id, *entry[:7])])
        self.anew(target.id, [entry.uid])

    def begun(self) -> None:
        """Note that what is there by now comes from the manifests, and is no change."""
        self.db.execute("DELETE FROM temp.touched")
        self.db.execute("UPDATE temp.altered SET fresh = 0")

    def touched(self) -> set[int]:
        """Return the mailboxes with something to put down."""
        query = "SELECT mailbox FROM temp.touched UNION SELECT mailbox FROM temp.altered WHERE fresh"
        return {number for (number,) in self.db.execute(query)}

    def altered(
        self, mailbox: int, low: int, high: int, *, all_of_them: bool
    ) -> list[tuple[int, str, str | None, int]]:
        """Return messages that are not as their files say: UID, flags, extra, and whether they are gone.

        :param all_of_them: those too whose change is put down already.
        """
        return self.db.execute(
            "SELECT uid, flags, extra, gone FROM temp.altered JOIN message USING (mailbox, uid) "
            "WHERE mailbox = ? AND uid BETWEEN ? AND ? AND (fresh OR ?) ORDER BY uid",
            (mailbox, low, high, all_of_them),
        ).fetchall()

    def alter(self, mailbox: int, uid: int, flags: str, extra: str | None, gone: bool) -> None:
        """Take over a change that is put down."""
        self.db.execute(
            "UPDATE message SET flags = ?, extra = ?, gone = ? WHERE mailbox = ? AND uid = ?",
            (flags, extra, gone, mailbox, uid),
        )

    def anew(self, mailbox: int, uids: list[int]) -> None:
        """Note that messages are in a new file, which says all of them."""
        self.db.executemany("DELETE FROM temp.altered WHERE mailbox = ? AND uid = ?", [(mailbox, uid) for uid in uids])
