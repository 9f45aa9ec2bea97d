"""The store and the state, changed together: written, made durable, and then noted."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..model import _json as json
from ..model.sequence_set import UIDSet
from .budgets import Meter
from .errors import StoreError
from .options import Deleted
from .signals import held
from .state import Entry, Place, State
from .stores.base import Message, Store

if TYPE_CHECKING:
    from .adopt import Adopted, Adoption
    from .compare import Change
    from .foreign import ForeignFile
    from .matching import Match

__all__ = ["Copies"]

_RENAMING = "renaming "
"""What is noted of a mailbox that is being renamed, by its number."""


class Copies:
    """The copies of messages that one run makes, moves, marks and removes.

    What was written and is not noted when a run ends is written again by the next one, under the same name.
    """

    def __init__(self, store: Store, state: State, meter: Meter, account: str, adoption: Adoption | None) -> None:
        self._store = store
        self._state = state
        self._meter = meter
        self._account = account
        self._adoption = adoption
        self._rows: list[tuple[Any, ...]] = []
        """Of the state, for what is written and not made durable."""
        self._taken_back = 0
        """How many transactions the database had taken back when the first of them was written."""
        self._octets = 0
        self._flushed_at = time.monotonic()
        self._replaced: list[ForeignFile] = []
        self._broken = False

    def restore(self) -> list[tuple[Place, list[Entry]]]:
        """Return what is there of runs that did not end, and not noted, by mailboxes. What they were moving goes back.

        What they wrote last may not be durable: what the server has is fetched again.
        """
        dirty = [place for place in self._state.places(self._account, former=True) if place.dirty]
        left = [(place, list(self._store.unnoted(place))) for place in dirty]
        digests = {entry.digest for _, entries in left for entry in entries}
        homes: dict[bytes, list[tuple[Place, Entry]]] = {}
        if digests:
            for home, noted in self._state.with_digests(self._account, digests):
                if self._is_missing(home, noted):
                    homes.setdefault(noted.digest, []).append((home, noted))
        if homes:
            with held():
                for place, entries in left:
                    entries[:] = [entry for entry in entries if not self._gone_home(place, entry, homes)]
                self._store.sync()
        return [(place, entries) for place, entries in left if entries]

    def _gone_home(self, place: Place, entry: Entry, homes: dict[bytes, list[tuple[Place, Entry]]]) -> bool:
        missing = homes.get(entry.digest)
        if not missing:
            return False
        home, noted = missing.pop()
        try:
            self._store.move(place, entry._replace(flags=noted.flags), home, noted.uid)
        except LookupError:
            return False
        return True

    def _is_missing(self, place: Place, entry: Entry) -> bool:
        try:
            self._store.read(place, entry)
        except (LookupError, FileNotFoundError):
            return True
        except OSError:
            return False
        return False

    def keep(self, place: Place, entries: Sequence[Entry]) -> None:
        """Note messages that a run that did not end has written, and that can't be fetched any more."""
        if entries:
            if hasattr(os, "sync"):  # few crashes leave any
                os.sync()
            self._state.insert((place.id, *entry[:7]) for entry in entries)
        if entries and self._adoption is not None and self._adoption.enter(place.name):
            self._adoption.doubt()
            found = [self._adoption.was(self._store.read(place, entry)) for entry in entries]
            self._note_taken_over([file for file in found if file is not None])
        self._state.commit()
        self.take_away()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Change the store in the block, and note it: all is made durable, and then noted together.

        After an error nothing of it is noted, nor anything else of this run, as if it had died here: the next one knows
        what to do then. A full disk may have taken back what was noted before, too.
        """
        with held():
            with self._whole():
                yield
                self._store.sync()
                self._state.commit()
            self._store.committed()

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._broken = True
            self._state.rollback()
            raise

    def _is_taken_back(self) -> bool:
        """Whether the database has taken back what was written and not committed, as it does where the disk is full.

        Not only amid the writing: also amid another statement of that transaction.
        """
        return self._store.in_state and bool(self._rows) and self._state.taken_back != self._taken_back

    # Messages that arrive.

    def write(self, place: Place, messages: Sequence[Message]) -> int:
        """Write messages, and return their octets; they count once they are flushed."""
        if self._is_taken_back():
            self._broken = True
            raise StoreError("the database took back what this run had written: the next run fetches it again")
        if not self._rows:
            self._taken_back = self._state.taken_back
        with self._whole() if self._store.in_state else contextlib.nullcontext():
            places = self._store.write(place, messages)
        number = place.id
        written = 0
        for message, where in zip(messages, places, strict=True):
            uid, octets, date, flags, digest, extra, _ = message
            written += (size := len(octets))
            self._rows.append((number, uid, size or message.size, date, flags, digest, where, extra))
        self._octets += written
        if self._adoption is not None:
            found = [self._adoption.was(message.octets) for message in messages]
            self._replaced += [file for file in found if file is not None]
        return written

    def due(self, now: float) -> bool:
        """Whether so much is written, or so long ago, that it is to be flushed (`now` of the monotonic clock)."""
        return (
            len(self._rows) >= self._store.commit_messages
            or self._octets >= self._store.commit_octets
            or now - self._flushed_at >= self._store.commit_seconds
            or self._store.due()
        )

    def flush(self) -> None:
        """Make durable what was written, then note it."""
        if self._is_taken_back():
            self._broken = True
            self._state.rollback()
        if self._broken:
            return
        with held():
            with self._changing():
                self._note_taken_over(self._replaced)
                self._state.insert(self._rows)
                if spent := self._meter.take_unsaved():
                    self._state.spend(self._account, spent, Meter.oldest())
            self._rows = []
            self._octets = 0
            self._flushed_at = time.monotonic()
            if self._replaced:
                self._replaced = []
                self.take_away()

    # Messages that are there already.

    def adopt(self, place: Place, together: Sequence[Adopted]) -> None:
        """Have messages that another program has pulled."""
        messages = [each.message for each in together]
        with held():
            with self._changing():
                places = self._store.write(place, messages)
                self._note_taken_over([each.file for each in together])
                self._state.insert(
                    (place.id, each.uid, len(each.octets), each.date, each.flags, each.digest, where, each.extra)
                    for each, where in zip(messages, places, strict=True)
                )
                self._state.unpark(place, [each.uid for each in messages])
            self.take_away()

    def _note_taken_over(self, files: Sequence[ForeignFile]) -> None:
        """Note what another program had, and is here by now; in a directory of its own it stays."""
        if files and self._adoption is not None and self._adoption.own:
            self._state.note_taken_over(os.fsencode(file.relative) for file in files)

    def take_away(self) -> None:
        """Take away what is noted so, of this run or of one that did not end."""
        if paths := self._state.taken_over():
            from .foreign import take_away  # few need it

            take_away(self._store.state_path.parent, map(os.fsdecode, paths))
            self._state.forget_taken_over()

    def move(self, place: Place, matches: Sequence[Match]) -> list[Match]:
        """Move messages to another mailbox; return those that were still there."""
        with self._changing():
            return [match for match in matches if self._moved(place, match)]

    def _moved(self, place: Place, match: Match) -> bool:
        try:
            where = self._store.move(match.source, match.entry, place, match.uid)
        except LookupError:
            return False  # it is not there any more: it is fetched
        entry = match.entry._replace(uid=match.uid, place=where)
        self._state.move(match.source, match.entry.uid, place, entry)
        if (match.flags, match.extra) != (entry.flags, entry.extra):
            self._store.set_flags(place, [(entry, match.flags, match.extra)])
            self._state.set_flags(place, [(match.flags, match.extra, match.uid)])
        return True

    def rename(self, place: Place, name: str, path: str) -> None:
        """Have a mailbox under another name, at another path if the store has it so."""
        # Noted first: should this run die, the next one brings it to its end, whatever the server calls it by then.
        self._state.set_about(f"{_RENAMING}{place.id}", json.dumps([name, path]))
        self._state.commit()
        self._rename(place, name, path)
        if self._adoption is not None:
            self._adoption.look_again()

    def _rename(self, place: Place, name: str, path: str) -> None:
        with self._changing():
            where, key = self._store.rename(place, name, path)
            self._state.rename(place, name, where, key)
            self._state.set_about(f"{_RENAMING}{place.id}", None)

    def finish(self) -> None:
        """Bring to its end what runs have begun that died: what was to be taken away, and renames."""
        self.take_away()
        for place in self._state.places(self._account, former=True):
            if (noted := self._state.about(f"{_RENAMING}{place.id}")) is not None:
                self._rename(place, *json.loads(noted))
                if self._adoption is not None:
                    self._adoption.look_again()

    def back(self, place: Place, matches: Sequence[Match]) -> list[Match]:
        """Have messages that were gone, and are on the server again; return those that the store still has."""
        whole = [match for match in matches if self._store.check(place, match.entry) is None]
        if not whole:
            return whole
        with self._changing():
            self._store.set_flags(place, [(match.entry, match.flags, match.extra) for match in whole])
            self._state.set_gone(place, [match.uid for match in whole], gone=False)
            self._state.set_flags(place, [(match.flags, match.extra, match.uid) for match in whole])
        return whole

    def follow(self, place: Place, changes: Iterable[Change]) -> int:
        """Have the flags and labels that the server has; return of how many messages."""
        by_uid = {change.uid: change for change in changes}
        entries = [entry for entry in self._state.some(place, UIDSet(by_uid)) if not entry.gone]
        with self._changing():
            if self._store.flags_at_once:
                # Should this run die of it, nobody knows what the store has, and the server may take it back: no server
                # has flags that end with a space, so that these are other ones in any case.
                self._state.set_flags(place, [(f"{entry.flags} ", entry.extra, entry.uid) for entry in entries])
                self._state.commit()
            self._store.set_flags(
                place, [(entry, by_uid[entry.uid].flags, by_uid[entry.uid].extra) for entry in entries]
            )
            self._state.set_flags(
                place, [(by_uid[entry.uid].flags, by_uid[entry.uid].extra, entry.uid) for entry in entries]
            )
        return len(entries)

    def away(self, place: Place, entries: list[Entry], deleted: Deleted) -> None:
        """Do what is wanted with messages that the server has no more."""
        uids = [entry.uid for entry in entries]
        with self._changing():
            if deleted == "delete":
                self._store.remove(place, entries)
                self._state.remove(place, uids)
            else:
                if deleted == "mark":
                    self._store.mark(place, entries)
                self._state.set_gone(place, uids)
