"""Where mail comes from: a store, or another server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from ... import search
from ...clients.blocking import Client
from ...errors import CommandError, FastimapError
from ...model.headers import Headers
from ...model.message import has_uid
from ...model.responses import MailboxInfo
from ...model.sequence_set import UIDSet
from ...search import SearchKey
from ...sessions.alike import ID, message_id
from ..messages import flags_of
from ..names import levels_of
from ..state import Entry, Place, State
from ..stores.base import Store
from .names import Shape

__all__ = ["About", "Box", "Rules", "ServerSource", "Source", "StoreSource", "Taken", "shape_of"]

_TOGETHER = 200
_OCTETS = 1024 * 1024
_TRIES = 5
_LEFT_OUT = "the server leaves it out of its answers"


@dataclass(slots=True)
class Box:
    """A mailbox of a source."""

    name: str
    handle: Any
    special_use: frozenset[str] = frozenset()
    subscribed: bool = True
    shape: Shape | None = None
    """How its name is made, where it is not as all of the source's."""


@dataclass(slots=True)
class About:
    """What is asked of a message that may be there already."""

    uid: int
    size: int
    message_id: bytes | None
    flags: str = ""
    date: datetime | None = None


@dataclass(slots=True)
class Taken:
    """A message on its way."""

    uid: int
    octets: bytes | None
    flags: str = ""
    date: datetime | None = None
    reason: str = ""
    """Why there are no octets."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which messages are wanted."""

    since: date | None = None
    before: date | None = None
    max_size: int | None = None


class Source:
    """Mailboxes and messages; one mailbox at a time."""

    name: str
    shape: Shape
    mod_sequence: int | None = None
    """Of the present mailbox."""

    def boxes(self) -> list[Box]:
        """Return the mailboxes that have messages."""
        raise NotImplementedError

    def begin(self, box: Box) -> int:
        """Go to a mailbox; return its UIDVALIDITY."""
        raise NotImplementedError

    def uids(self) -> UIDSet:
        """Return the UIDs of all messages."""
        raise NotImplementedError

    def wanted(self, uids: UIDSet, rules: Rules, excluded: dict[str, int]) -> UIDSet:
        """Return the messages that the rules want; count the others by rule."""
        raise NotImplementedError

    def about(self, uids: UIDSet) -> Iterator[About]:
        raise NotImplementedError

    def messages(self, uids: UIDSet) -> Iterator[list[Taken]]:
        raise NotImplementedError

    def octets(self, uid: int) -> bytes | None:
        """Return one message; None where it is not there any more."""
        raise NotImplementedError

    def flags(self, uids: UIDSet, since: int | None) -> Iterator[tuple[int, str]]:
        """Yield the flags of messages; only of those that have changed since, where that can be known."""
        raise NotImplementedError


class ServerSource(Source):
    """An account."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self._box: Box | None = None
        self._exists = 0

    def boxes(self) -> list[Box]:
        client = self.client
        shape, foreign = shape_of(client)
        self.shape: Shape = shape
        infos = client.list_mailboxes()
        return [
            Box(info.name, info, info.special_use, subscribed)
            for info, subscribed in _with_subscriptions(client, infos)
            if info.is_selectable and not info.name.startswith(foreign) and _is_own(info.name, self.shape)
        ]

    def begin(self, box: Box) -> int:
        client = self.client
        condstore = client.session.has("CONDSTORE") or client.session.has("QRESYNC")
        selected = client.select(box.handle, read_only=True, condstore=condstore)
        if selected.uid_validity is None:
            raise FastimapError("the server gives the mailbox no UIDVALIDITY: its messages can't be told apart")
        self.mod_sequence: int | None = selected.highest_mod_sequence
        self._exists = selected.exists
        return selected.uid_validity

    def uids(self) -> UIDSet:
        exists: int | None = self._exists
        for _ in range(_TRIES):
            if not exists:
                return UIDSet()
            found = self.client.search(search.all_).uids
            self.client.noop()
            exists = self.client.session.exists
            if len(found) == exists:
                return found
        raise FastimapError(f"the server says that there are {exists} messages, and lists {len(found)}")

    def wanted(self, uids: UIDSet, rules: Rules, excluded: dict[str, int]) -> UIDSet:
        keys: list[tuple[str, SearchKey]] = []
        if rules.since is not None:
            keys.append(("since", search.since(rules.since)))
        if rules.before is not None:
            keys.append(("before", search.before(rules.before)))
        if rules.max_size is not None:
            keys.append(("max-size", search.smaller(rules.max_size + 1)))
        for name, key in keys:
            if uids:
                found = uids & self.client.search(key).uids
                if len(found) != len(uids):
                    excluded[name] = len(uids) - len(found)
                uids = found
        return uids

    def about(self, uids: UIDSet) -> Iterator[About]:
        for row in self.client.fetch_iter(uids, "FLAGS", "INTERNALDATE", "RFC822.SIZE", ID):
            if has_uid(row) and row.size is not None:
                yield About(row.uid, row.size, message_id(row.headers), flags_of(row), row.internal_date)

    def messages(self, uids: UIDSet) -> Iterator[list[Taken]]:
        for rows in self.client.fetch_batches(uids, "FLAGS", "INTERNALDATE", "BODY.PEEK[]"):
            taken = []
            for row in rows:
                if has_uid(row):
                    body = row.body
                    reason = "" if body is not None else "; ".join(each.reason for each in row.defects) or _LEFT_OUT
                    taken.append(Taken(row.uid, body, flags_of(row), row.internal_date, reason))
            yield taken

    def octets(self, uid: int) -> bytes | None:
        row = self.client.fetch_one(uid, "BODY.PEEK[]")
        return None if row is None else row.body

    def flags(self, uids: UIDSet, since: int | None) -> Iterator[tuple[int, str]]:
        if since is not None and since == self.mod_sequence:
            return
        since = since if self.mod_sequence is not None else None
        for row in self.client.fetch_iter(uids, "FLAGS", changed_since=since):
            if has_uid(row) and row.flags is not None:
                yield row.uid, flags_of(row)


def shape_of(client: Client) -> tuple[Shape, tuple[str, ...]]:
    """Return how a server's names are made, and the prefixes of the name spaces of others."""
    if client.session.has("NAMESPACE"):
        spaces = client.namespace()
        own = next((space for space in spaces.personal if not space.prefix), None) or next(iter(spaces.personal), None)
        foreign = tuple(space.prefix for space in (*spaces.other_users, *spaces.shared) if space.prefix)
        if own is not None:
            return Shape(own.prefix, own.delimiter), foreign
    else:
        foreign = ()
    infos = client.list_mailboxes("", "")
    return Shape("", infos[0].delimiter if infos else None), foreign


def _is_own(name: str, shape: Shape) -> bool:
    return name == "INBOX" or name.startswith(shape.prefix)


def _with_subscriptions(client: Client, infos: tuple[MailboxInfo, ...]) -> list[tuple[MailboxInfo, bool]]:
    subscribed = set()
    try:
        if client.session.has("LIST-EXTENDED"):
            subscribed = {info.name for info in client.list_mailboxes(subscribed=True)}
        else:
            from ...commands import LSub

            subscribed = {info.name for info in client.run(LSub())}
    except CommandError:
        pass
    return [(info, info.name in subscribed) for info in infos]


class StoreSource(Source):
    """A store of `pull`, of one account."""

    def __init__(self, store: Store, state: State, name: str) -> None:
        self.store = store
        self.state = state
        self.name = name
        self._place: Place | None = None
        self.mod_sequence: int | None = None

    def boxes(self) -> list[Box]:
        places = self.state.places(self.name)
        dotted = [place for place in places if place.name != "INBOX"]
        prefixed = bool(dotted) and all(
            place.name.startswith("INBOX.") and _delimiter(place) == "." for place in dotted
        )
        self.shape: Shape = Shape("INBOX." if prefixed else "", "/")
        return [
            Box(place.name, place, shape=Shape(self.shape.prefix, "." if prefixed else _delimiter(place)))
            for place in places
        ]

    def begin(self, box: Box) -> int:
        place: Place = box.handle
        self._place = place
        return place.uid_validity

    @property
    def place(self) -> Place:
        assert self._place is not None
        return self._place

    def uids(self) -> UIDSet:
        return self.state.uids(self.place)

    def wanted(self, uids: UIDSet, rules: Rules, excluded: dict[str, int]) -> UIDSet:
        if rules == Rules():
            return uids
        wanted = []
        for entry in self._entries(uids):
            day = None if entry.date is None else datetime.fromtimestamp(entry.date, UTC).date()
            if rules.since is not None and (day is None or day < rules.since):
                excluded["since"] = excluded.get("since", 0) + 1
            elif rules.before is not None and (day is None or day >= rules.before):
                excluded["before"] = excluded.get("before", 0) + 1
            elif rules.max_size is not None and entry.size > rules.max_size:
                excluded["max-size"] = excluded.get("max-size", 0) + 1
            else:
                wanted.append(entry.uid)
        return UIDSet(wanted)

    def _entries(self, uids: UIDSet) -> Iterator[Entry]:
        return (entry for entry in self.state.some(self.place, uids) if not entry.gone)

    def about(self, uids: UIDSet) -> Iterator[About]:
        for entry in self._entries(uids):
            octets = self.octets(entry.uid) or b""
            found = message_id(Headers(octets[: 256 * 1024]))
            yield About(entry.uid, entry.size, found, entry.flags, _moment(entry.date))

    def messages(self, uids: UIDSet) -> Iterator[list[Taken]]:
        taken: list[Taken] = []
        size = 0
        for entry in self._entries(uids):
            try:
                octets: bytes | None = self.store.read(self.place, entry)
                reason = ""
            except LookupError as exc:
                octets, reason = None, f"the store has it no more: {exc}"
            taken.append(Taken(entry.uid, octets, entry.flags, _moment(entry.date), reason))
            size += len(octets or b"")
            if len(taken) >= _TOGETHER or size >= _OCTETS:
                yield taken
                taken, size = [], 0
        if taken:
            yield taken

    def octets(self, uid: int) -> bytes | None:
        for entry in self._entries(UIDSet(uid)):
            try:
                return self.store.read(self.place, entry)
            except LookupError:
                return None
        return None

    def flags(self, uids: UIDSet, since: int | None) -> Iterator[tuple[int, str]]:
        for entry in self._entries(uids):
            yield entry.uid, entry.flags


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _delimiter(place: Place) -> str | None:
    """Return the delimiter of the server that a mailbox was pulled from: the one by which its path was made."""
    path = place.path.split("/")
    for delimiter in ("/", ".", "\\"):
        levels = levels_of(place.name, delimiter)
        if len(levels) > 1 and len(levels) == len(path) and list(levels[:-1]) == path[:-1]:
            return delimiter
    return None
