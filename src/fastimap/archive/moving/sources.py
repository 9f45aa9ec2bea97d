"""Where mail comes from: a store, or another server."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from ... import search
from ...clients.blocking import Client
from ...conversation.plan import HOPELESS, throttles
from ...errors import CommandError, Disconnected, FastimapError, ParseError, ProtocolError, Timeout, UIDValidityChanged
from ...model._digest import sha256
from ...model.responses import MailboxInfo
from ...model.row import FetchedMessage, has_uid
from ...model.sequence_set import UIDSet
from ...search import SearchKey
from ...sessions.alike import ID, message_id, message_id_of
from ...sessions.pool import Pool
from ...settings import Account
from ..batches import CUTS
from ..compare import listed
from ..messages import LEFT_OUT, flags_of, has_condstore
from ..names import levels_of
from ..state import Entry, Place, State
from ..stores.base import Store
from .names import Shape

__all__ = [
    "About",
    "Box",
    "Rules",
    "ServerSource",
    "Source",
    "StoreSource",
    "Taken",
    "annotations_of",
    "compressed",
    "shape_of",
]

_TOGETHER = 200
_OCTETS = 1024 * 1024
_PARTS = 10
"""Commands in which the messages are asked for again at which the connection ended."""


@dataclass(slots=True)
class Box:
    """A mailbox of a source."""

    name: str
    handle: Any
    special_use: frozenset[str] = frozenset()
    subscribed: bool = True


@dataclass(slots=True)
class About:
    """What is asked of a message that may be there already."""

    uid: int
    size: int
    message_id: bytes | None
    flags: str = ""
    date: datetime | None = None
    reason: str = ""
    """Why it can't be had."""


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
    user: str | None = None
    """Whose account it is."""
    shape: Shape
    mod_sequence: int | None = None
    """Of the present mailbox."""
    uid_next: int | None = None
    """Of the present mailbox, where it is known."""
    may_be_empty: bool = False
    """Whether it is to be believed that there is no mailbox; an account has an INBOX (RFC 9051, section 5.1)."""

    def connect(self) -> None:
        """Connect, where there is something to connect to."""

    def boxes(self) -> list[Box]:
        """Return the mailboxes that have messages."""
        raise NotImplementedError

    def begin(self, box: Box) -> int:
        """Go to a mailbox; return its UIDVALIDITY."""
        raise NotImplementedError

    def uids(self) -> UIDSet:
        """Return the UIDs of all messages."""
        raise NotImplementedError

    def damage(self) -> str | None:
        """Return what of the present mailbox is there no more, so that not even its UIDs are known; None: nothing."""
        return None

    def wanted(self, uids: UIDSet, rules: Rules, excluded: dict[str, int]) -> UIDSet:
        """Return the messages that the rules want; count the others by rule."""
        raise NotImplementedError

    def about(self, uids: UIDSet) -> Iterator[About]:
        """Yield what there is to know of messages; not of those that can't be had."""
        raise NotImplementedError

    def messages(self, uids: UIDSet) -> Generator[list[Taken], None, None]:
        raise NotImplementedError

    def octets(self, uid: int) -> bytes | None:
        """Return one message; None where it is not there any more, or can't be had."""
        raise NotImplementedError

    def flags(self, uids: UIDSet, since: int | None) -> Iterator[tuple[int, str]]:
        """Yield the flags of messages; only of those that have changed since, where that can be known."""
        raise NotImplementedError

    def rights(self) -> dict[str, str] | None:
        """Return who may do what with the present mailbox; None where that is not known here."""
        return None

    def annotations(self) -> dict[str, bytes] | None:
        """Return the annotations of the present mailbox; None where these are not known here."""
        return None


class ServerSource(Source):
    """An account.

    :param pool: its connections.
    :param connections: how many fetch messages at once, at most.
    """

    def __init__(self, pool: Pool, name: str, account: Account, connections: int = 1) -> None:
        self.name = name
        self.user: str | None = account.user
        self._host = account.host
        self._pool = pool
        self._connections = connections
        self._client: Client | None = None
        self._box: Box | None = None
        self._uid_validity = 0
        self._exists = 0
        self._ends: dict[int, str] = {}
        """Messages of the present mailbox that can't be had, and why."""
        self._cuts = 0
        self._refused = 0

    def connect(self) -> None:
        with self._lent():
            pass

    @contextlib.contextmanager
    def _lent(self) -> Iterator[Client]:
        """Lend a connection: the one that is in use, if one is."""
        if self._client is not None:
            yield self._client
            return
        with self._pool.client(timeout=None) as self._client:
            try:
                compressed(self._client, self._host)
                yield self._client
            finally:
                self._client = None

    @contextlib.contextmanager
    def _selected(self) -> Iterator[Client]:
        """Lend one that has the present mailbox selected."""
        box = self._box
        assert box is not None
        with self._lent() as client:
            if client.session.mailbox != box.name or not client.session.examined:
                client.select(box.handle, read_only=True)
            if client.session.uid_validity != self._uid_validity:
                raise UIDValidityChanged(box.name, self._uid_validity, client.session.uid_validity)
            yield client

    def boxes(self) -> list[Box]:
        with self._lent() as client:
            shape, foreign = shape_of(client)
            self.shape: Shape = shape
            infos = client.list_mailboxes()
            return [
                Box(info.name, info, info.special_use, subscribed)
                for info, subscribed in _with_subscriptions(client, infos)
                if info.is_selectable and not info.name.startswith(foreign) and _is_own(info.name, self.shape)
            ]

    def begin(self, box: Box) -> int:
        with self._lent() as client:
            selected = client.select(box.handle, read_only=True, condstore=has_condstore(client))
        if selected.uid_validity is None:
            raise FastimapError("the server gives the mailbox no UIDVALIDITY: its messages can't be told apart")
        self._box, self._uid_validity = box, selected.uid_validity
        self.mod_sequence: int | None = selected.highest_mod_sequence
        self.uid_next: int | None = selected.uid_next
        self._exists = selected.exists
        self._ends = {}
        self._cuts = 0
        return selected.uid_validity

    def uids(self) -> UIDSet:
        with self._selected() as client:
            return listed(client, self._exists)

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
                with self._selected() as client:
                    found = uids & client.search(key).uids
                if len(found) != len(uids):
                    excluded[name] = len(uids) - len(found)
                uids = found
        return uids

    def about(self, uids: UIDSet) -> Iterator[About]:
        left = uids - UIDSet(self._ends)
        if not left:
            return
        got: list[int] = []
        try:
            for about in self._about(left):
                got.append(about.uid)
                yield about
            return
        except CommandError as exc:
            left -= UIDSet(got)
            if throttles(exc) or len(left) > HOPELESS:
                raise  # not these messages, but the server
            self._ends |= dict.fromkeys(left, str(exc))
            return
        except (Disconnected, Timeout, ProtocolError) as exc:
            if len(left) == 1:
                self._ended(left.first, exc)
                return
            left -= UIDSet(got)
        for each in left.chunks(-(-len(left) // _PARTS)):
            yield from self.about(each)

    def _about(self, uids: UIDSet) -> Iterator[About]:
        with self._selected() as client:
            for row in client.fetch_iter(uids, "FLAGS", "INTERNALDATE", "RFC822.SIZE", ID):
                if has_uid(row) and row.size is not None:
                    yield About(row.uid, row.size, message_id(row.headers), flags_of(row), row.internal_date)

    def messages(self, uids: UIDSet) -> Generator[list[Taken], None, None]:
        self._refused = 0
        if ends := uids & UIDSet(self._ends):
            yield [Taken(uid, None, reason=self._ends[uid]) for uid in ends]
        yield from self._messages(uids - ends)

    def _messages(self, uids: UIDSet) -> Generator[list[Taken], None, None]:
        got: list[int] = []
        try:
            for batch in self._fetched(uids):
                got += [taken.uid for taken in batch]
                self._refused = 0
                yield batch
            return
        except CommandError as exc:
            left = uids - UIDSet(got)
            self._refused += len(left)
            if throttles(exc) or self._refused > HOPELESS:
                raise  # not these messages, but the server
            reason = str(exc)
        except (Disconnected, Timeout, ProtocolError) as exc:
            left = uids - UIDSet(got)
            if len(uids) > 1:  # one of them may be why, and is to keep no others away
                for each in left.chunks(1):
                    yield from self._messages(each)
                return
            if got:
                raise
            reason = self._ended(uids.first, exc)
        with self._selected() as client:
            left &= client.search(search.uid(left)).uids
        yield [Taken(uid, None, reason=reason) for uid in left]

    def _fetched(self, uids: UIDSet) -> Iterator[list[Taken]]:
        items = ("FLAGS", "INTERNALDATE", "BODY.PEEK[]")
        if self._connections == 1 or len(uids) <= _TOGETHER:
            with self._selected() as client:
                for rows in client.fetch_batches(uids, *items):
                    yield [_taken(row) for row in rows if has_uid(row)]
            return
        assert self._box is not None
        validity = self._uid_validity
        for row in self._pool.fetch_iter(self._box.name, uids, *items, uid_validity=validity, timeout=None):
            if has_uid(row):
                yield [_taken(row)]

    def _ended(self, uid: int, exc: FastimapError) -> str:
        """Note that the connection ended when a message was to come; return that. Raises the error where many do."""
        self._cuts += 1
        if self._cuts > CUTS:
            raise exc
        self._ends[uid] = f"the connection ends when it is to come: {exc}"
        return self._ends[uid]

    def octets(self, uid: int) -> bytes | None:
        if uid in self._ends:
            return None
        try:
            with self._selected() as client:
                row = client.fetch_one(uid, "BODY.PEEK[]")
        except (Disconnected, Timeout, ProtocolError) as exc:
            self._ended(uid, exc)
            return None
        return None if row is None else row.body

    def flags(self, uids: UIDSet, since: int | None) -> Iterator[tuple[int, str]]:
        if not uids or (since is not None and since == self.mod_sequence):
            return
        if self.mod_sequence is None or self.mod_sequence < (since or 0):
            since = None  # or it went back, and what has changed since can't be known
        with self._selected() as client:
            for row in client.fetch_iter(uids, "FLAGS", changed_since=since):
                if has_uid(row) and row.flags is not None:
                    yield row.uid, flags_of(row)

    def rights(self) -> dict[str, str] | None:
        with self._selected() as client:
            if not client.session.has("ACL"):
                return None
            assert self._box is not None
            return dict(client.get_acl(self._box.handle).rights)

    def annotations(self) -> dict[str, bytes] | None:
        with self._selected() as client:
            assert self._box is not None
            return annotations_of(client, self._box.handle)


def annotations_of(client: Client, mailbox: Any) -> dict[str, bytes] | None:
    """Return the annotations of a mailbox; None where the server has none at all (METADATA, RFC 5464)."""
    if not client.session.has("METADATA"):
        return None
    found: dict[str, bytes] = {}
    for top in ("/private", "/shared"):
        entries = client.get_metadata(mailbox, top, depth="infinity").entries
        found |= {name: value for name, value in entries.items() if value is not None}
    return found


def _taken(row: FetchedMessage) -> Taken:
    assert row.uid is not None
    reason = "" if row.body is not None else "; ".join(each.reason for each in row.defects) or LEFT_OUT
    return Taken(row.uid, row.body, flags_of(row), row.internal_date, reason)


def compressed(client: Client, host: str) -> None:
    """Have the connection compressed, if the server offers that, and is another machine."""
    session = client.session
    if session.has("COMPRESS=DEFLATE") and not session.compressed and not is_here(host):
        with contextlib.suppress(CommandError):
            client.compress()


def is_here(host: str) -> bool:
    """Whether a server is this machine, to which there is no way that compressing would shorten."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def shape_of(client: Client) -> tuple[Shape, tuple[str, ...]]:
    """Return how a server's names are made, and the prefixes of the name spaces of others."""
    spaces = None
    if client.session.has("NAMESPACE"):
        # Some servers offer it and lack it: imap.189.cn (mailcore2#1471), imap.sohu.com (MailKit#2006).
        with contextlib.suppress(CommandError, ParseError):
            spaces = client.namespace()
    if spaces is not None:
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
        # Of what was pulled all may be gone; where nothing was, the store is not what is meant.
        self.may_be_empty: bool = bool(state.places(name, former=True))

    def boxes(self) -> list[Box]:
        places = self.state.places(self.name)
        dotted = [place for place in places if place.name != "INBOX"]
        prefixed = bool(dotted) and all(
            place.name.startswith("INBOX.") and _delimiter(place) == "." for place in dotted
        )
        # The one that most have: a name space of others' may have another. One that no name of several levels tells is
        # one that no name has.
        found = [each for place in places if (each := _delimiter(place))]
        found = found or [each for each in "/.\\" if not any(each in place.name for place in places)]
        delimiter = max("/.\\", key=found.count) if found else None
        self.shape: Shape = Shape("INBOX." if prefixed else "", delimiter)
        return [Box(place.name, place) for place in places]

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

    def damage(self) -> str | None:
        found = [detail for _, detail in self.store.damage(self.place)]
        return f"the store is damaged: {'; '.join(found)}" if found else None

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
            octets, reason = self._read(entry)
            found = message_id_of(octets or b"")
            yield About(entry.uid, entry.size, found, entry.flags.rstrip(), _moment(entry.date), reason)

    def messages(self, uids: UIDSet) -> Generator[list[Taken], None, None]:
        taken: list[Taken] = []
        size = 0
        for entry in self._entries(uids):
            octets, reason = self._read(entry)
            taken.append(Taken(entry.uid, octets, entry.flags.rstrip(), _moment(entry.date), reason))
            size += len(octets or b"")
            if len(taken) >= _TOGETHER or size >= _OCTETS:
                yield taken
                taken, size = [], 0
        if taken:
            yield taken

    def octets(self, uid: int) -> bytes | None:
        return next((self._read(entry)[0] for entry in self._entries(UIDSet(uid))), None)

    def _read(self, entry: Entry) -> tuple[bytes | None, str]:
        """Return the octets that were pulled; or None, and why they can't be had."""
        try:
            octets = self.store.read(self.place, entry)
        except (LookupError, OSError) as exc:
            reason = str(exc).strip("'\"")
            return None, f"the store does not have it: {reason}"
        if entry.digest and sha256(octets) != entry.digest:
            return None, "the store's copy is damaged: verify it, with --repair where the account still has the message"
        return octets, ""

    def flags(self, uids: UIDSet, since: int | None) -> Iterator[tuple[int, str]]:
        for entry in self._entries(uids):
            yield entry.uid, entry.flags.rstrip()


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
