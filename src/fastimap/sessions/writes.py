"""APPEND, COPY and MOVE whose answer was lost: looked for before they are done again. Flows, as in :mod:`.resume`.

What the destination is like is noted before something is sent: UIDVALIDITY, UIDNEXT, and how many messages it has.
After a cut only UIDs from there on are looked at, by a connection of its own, so that the client's selected mailbox
stays: by size and Message-ID, and by octets where those leave a doubt. What is not there is looked for again some
seconds later, as a server may still commit. What can't be known raises the error of the cut, with a note that says why.
"""

from __future__ import annotations

import functools
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime
from typing import Any, BinaryIO, NoReturn, TypeVar, cast

from ..commands._shared import refuse_read_only, within
from ..commands.append import Append, AppendResult, MessageData
from ..commands.base import Beside, Command, Flow, Scope, Sleep
from ..commands.fetch import Fetch, FetchResult
from ..commands.mailbox import Status
from ..commands.search import Search, SearchResult
from ..commands.select import Expunge, Select, SelectedMailbox
from ..commands.store import Copy, CopyResult, Move, Store, were_copied
from ..errors import CapabilityMissing, CommandError, FastimapError, StateError
from ..model.headers import Headers
from ..model.response_codes import CopyUID
from ..model.responses import MailboxName, MailboxStatus
from ..model.row import FetchedMessage, has_uid
from ..model.sequence_set import MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..search import uid
from .alike import HEADER, ID, Kind, digest, message_id, with_crlf
from .resume import Persistence, connecting, helps, once_more, recover
from .retry import Attempts

__all__ = ["append", "copy", "move"]

R = TypeVar("R")

_APART = 5.0
"""Seconds between the two looks at a destination that does not have what was sent."""
_ABOUT = ("RFC822.SIZE", ID)
_PIECE = 64 * 1024


class _Unknown(Exception):
    """The destination does not show whether it was done."""


class _Before:
    """The destination before something was sent."""

    def __init__(self, mailbox: MailboxName, uid_validity: int, uid_next: int, messages: int) -> None:
        self.mailbox = mailbox
        self.uid_validity = uid_validity
        self.uid_next = uid_next
        self.messages = messages
        self.taken: set[int] = set()  # UIDs of copies that were found


def append(
    client: Persistence,
    /,
    mailbox: MailboxName,
    message: MessageData,
    *,
    flags: str | Iterable[str] = (),
    internal_date: datetime | None = None,
    size: int | None = None,
    binary: bool = False,
    utf8: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Flow[AppendResult]:
    """Append; see the command."""
    flags = (flags,) if isinstance(flags, str) else tuple(flags)
    sent = _Sent(message, size)

    def made() -> Append:
        sent.rewind()
        return Append(
            mailbox,
            sent.data,
            flags=flags,
            internal_date=internal_date,
            size=size,
            binary=binary,
            utf8=utf8,
            progress=progress,
        )

    made()  # what is wrong with the arguments is said before anything is sent
    yield from connecting(client)
    before = yield from _noted(client, mailbox)
    attempts = Attempts(client.retry)
    while True:
        answer = yield from _answered(client, attempts, before, made, again=sent.again)
        if isinstance(answer, AppendResult):
            return answer
        assert before is not None
        for look in (1, 2):
            if look == 2:
                yield Sleep(_APART, client.retry.sleep)
            found = yield from _beside(client, attempts, answer, lambda: _appended(before, sent))
            if found is not None:
                return AppendResult(before.uid_validity, found)


def copy(client: Persistence, /, messages: MessageSet, mailbox: MailboxName) -> Flow[CopyResult]:
    """Copy; see the command."""
    wanted, scope = yield from _numbered(client, messages, "copied")
    if not wanted:
        result: CopyResult = yield within(scope, Copy(wanted, mailbox))
        return result
    return (yield from _copied(client, wanted, mailbox, scope))


def move(client: Persistence, /, messages: MessageSet, mailbox: MailboxName) -> Flow[CopyResult]:
    """Move; see the command."""
    wanted, scope = yield from _numbered(client, messages, "moved")
    session = client.protocol.session
    if session.has("MOVE"):
        if not wanted:
            result: CopyResult = yield within(scope, Move(wanted, mailbox))
            return result
        return (yield from _moved(client, wanted, mailbox, scope))
    if not session.has("UIDPLUS"):
        raise CapabilityMissing("MOVE", "MOVE")
    refuse_read_only(session)  # before there are copies
    copied = yield from _copied(client, wanted, mailbox, scope)
    try:
        yield from _removed(client, were_copied(wanted, copied), scope)
    except FastimapError as exc:
        exc.done = copied
        raise
    return copied


# One command after the other.


def _copied(client: Persistence, left: UIDSet, mailbox: MailboxName, scope: Scope) -> Flow[CopyResult]:
    before = yield from _noted(client, mailbox)
    attempts = Attempts(client.retry)
    codes: list[CopyUID] = []
    while True:
        error = yield from _answered(client, attempts, before, functools.partial(_made, Copy, left, mailbox, scope))
        if isinstance(error, CopyResult):
            return CopyResult((*codes, *error.codes), error.limit)
        assert before is not None
        rows: FetchResult = yield from once_more(client, within(scope, Fetch(left, *_ABOUT)))
        there = {row.uid: row for row in rows if has_uid(row)}
        left &= UIDSet(there)
        for look in (1, 2):
            if not left:
                return CopyResult(tuple(codes))
            if look == 2:
                yield Sleep(_APART, client.retry.sleep)
            pairs = yield from _pairs(client, attempts, error, before, {at: there[at] for at in left}, scope)
            codes += _codes(before, pairs)
            before.taken |= set(pairs.values())
            left -= UIDSet(pairs)


def _moved(client: Persistence, left: UIDSet, mailbox: MailboxName, scope: Scope) -> Flow[CopyResult]:
    # Noted before, as those that are moved can't be asked for afterwards.
    rows: FetchResult = yield from once_more(client, within(scope, Fetch(left, *_ABOUT)))
    about = {row.uid: row for row in rows if has_uid(row)}
    before = yield from _noted(client, mailbox)
    attempts = Attempts(client.retry)
    codes: list[CopyUID] = []
    while True:
        error = yield from _answered(client, attempts, before, functools.partial(_made, Move, left, mailbox, scope))
        if isinstance(error, CopyResult):
            return CopyResult((*codes, *error.codes), error.limit)
        assert before is not None
        for look in (1, 2):
            if look == 2:
                yield Sleep(_APART, client.retry.sleep)
            found: SearchResult = yield from once_more(client, within(scope, Search(uid(left))))
            still = found.uids & left
            pairs = yield from _pairs(
                client, attempts, error, before, {at: about[at] for at in left if at in about}, scope, still
            )
            codes += _codes(before, pairs)
            before.taken |= set(pairs.values())
            # The copies are there, and the messages still are too: the server was stopped in between.
            both = still & UIDSet(pairs)
            if both:
                if not client.protocol.session.has("UIDPLUS"):
                    error.add_note(f"UIDs {both} were copied, and can't be removed without others: no UIDPLUS")
                    error.done = CopyResult(tuple(codes))  # type: ignore[attr-defined]
                    raise error
                yield from _removed(client, both, scope)
            left = still - both
            if not left:
                return CopyResult(tuple(codes))


def _removed(client: Persistence, wanted: UIDSet, scope: Scope) -> Flow[None]:
    yield from once_more(client, within(scope, Store(wanted, "\\Deleted", silent=True)))
    expunge = Expunge(wanted)
    expunge.as_events = True  # as by MOVE
    yield from once_more(client, within(scope, expunge))


def _numbered(client: Persistence, messages: MessageSet, done: str) -> Flow[tuple[UIDSet, Scope]]:
    """Return the UIDs that are meant, and as long as what they mean those messages."""
    wanted = uid_set(messages)
    if isinstance(wanted, (SequenceSet, SavedResult)):
        raise TypeError(f"with retry= messages are {done} by their UIDs: other numbers are void after a cut")
    yield from connecting(client)
    scope = client.protocol.session.scope(by_uid=True)
    if wanted.has_star:
        found: SearchResult = yield from once_more(client, within(scope, Search(uid(wanted))))
        wanted = found.uids
    return wanted, scope


# The destination.


def _noted(client: Persistence, mailbox: MailboxName) -> Flow[_Before | None]:
    try:
        now: MailboxStatus = yield from once_more(client, Status(mailbox, "MESSAGES", "UIDNEXT", "UIDVALIDITY"))
    except CommandError as exc:
        if helps(exc):
            raise
        return None  # the command itself is to say why; or it may not be read, and still written to
    if now.uid_validity is None or now.uid_next is None or now.messages is None:
        return None
    return _Before(mailbox, now.uid_validity, now.uid_next, now.messages)


def _answered(
    client: Persistence,
    attempts: Attempts,
    before: _Before | None,
    made: Callable[[], Command[R]],
    *,
    again: bool = True,
) -> Generator[Any, Any, R | Exception]:
    """Run a command until it is answered, or was lost: then return why, with a connection that is there again.

    Raises the error where what may have been done can't be looked for, or sent again.
    """
    while True:
        command = made()
        protocol = client.protocol
        try:
            result: R = yield command
            return result
        except Exception as exc:
            error = exc
        # The server may have done it, or a part of it.
        lost = command.sent_in is not None and (not isinstance(error, CommandError) or error.done is not None)
        if lost:
            _hopeless(error, before, again)
        yield from recover(client, protocol, attempts, error)
        if lost:
            return error


def _hopeless(error: Exception, before: _Before | None, again: bool) -> None:
    """Raise the error of what may have been done, and can't be looked for or sent again."""
    if not again:
        _give_up(error, "a message from a file that can't seek can't be sent again")
    if before is None:
        _give_up(error, "the server does not report UIDVALIDITY, UIDNEXT and MESSAGES of the mailbox")


def _give_up(error: Exception, why: str) -> NoReturn:
    error.add_note(f"whether it was done is not known: {why}")
    raise error


def _beside(
    client: Persistence, attempts: Attempts, error: Exception, look: Callable[[], Flow[R]]
) -> Generator[Any, Any, R]:
    """Look at the destination by another connection."""
    while True:
        yield Sleep(client.opening(), client.retry.sleep)
        try:
            found: R = yield Beside(look())
        except (_Unknown, StateError) as exc:
            client.opened(None)
            _give_up(error, str(exc))
        except Exception as exc:
            client.opened(exc)
            try:
                wait = attempts.failed(exc, renewable=client.renewable, login=client.budget.until_login())
            except Exception as last:
                last.add_note(f"so whether it was done is not known; what went wrong first: {error}")
                raise
            yield Sleep(wait, client.retry.sleep)
        else:
            client.opened(None)
            return found


def _new(before: _Before) -> Flow[list[FetchedMessage]]:
    """Return what has come into the destination."""
    selected: SelectedMailbox = yield Select(before.mailbox, read_only=True)
    if selected.uid_validity != before.uid_validity:
        raise _Unknown(f"UIDVALIDITY of {selected.name!r} was {before.uid_validity}, and is {selected.uid_validity}")
    found: FetchResult = yield Fetch(f"{before.uid_next}:*", *_ABOUT)
    # The last message is in `n:*` whatever its UID.
    rows = [row for row in found if has_uid(row) and row.uid >= before.uid_next]
    if selected.exists - before.messages > len(rows):
        raise _Unknown(
            f"{selected.name!r} has {selected.exists - before.messages} messages more, and only {len(rows)} with a UID "
            f"from {before.uid_next} on, the UIDNEXT that the server reported"
        )
    return rows


def _appended(before: _Before, sent: _Sent) -> Flow[int | None]:
    """Return the UID of a message that was sent; None where it is not there."""
    rows = yield from _new(before)
    like = [row for row in rows if message_id(row.headers) == sent.message_id]
    same = [row for row in like if row.size in sent.sizes]
    if len(same) == 1 and sent.message_id is not None:
        return same[0].uid
    for row in like:
        if (yield from _digest(row)) == sent.digest:
            return row.uid
    if like:
        raise _Unknown(f"the message of UID {like[0].uid} has the same Message-ID, and is not the same")
    return None


def _pairs(
    client: Persistence,
    attempts: Attempts,
    error: Exception,
    before: _Before,
    about: dict[int, FetchedMessage],
    scope: Scope,
    still: UIDSet | None = None,
) -> Flow[dict[int, int]]:
    """Return which of the messages are in the destination: UID and UID of the copy.

    :param still: the messages that the selected mailbox has; None: all.
    """
    digests: dict[int, bytes] = {}
    for number, row in about.items():
        if message_id(row.headers) is None and (still is None or number in still):
            for found in (yield from once_more(client, within(scope, Fetch(number, "BODY.PEEK[]")))):
                if found.body is not None:  # it was removed meanwhile: some servers answer NIL
                    digests[number] = digest([found.body])
    pairs: dict[int, int] = yield from _beside(client, attempts, error, lambda: _paired(before, about, digests))
    return pairs


def _paired(before: _Before, about: dict[int, FetchedMessage], digests: dict[int, bytes]) -> Flow[dict[int, int]]:
    rows = yield from _new(before)
    kinds: dict[Kind, deque[FetchedMessage]] = defaultdict(deque)
    for row in sorted(rows, key=lambda row: row.uid or 0):
        if row.size is not None and row.uid not in before.taken:
            kinds[Kind(row.size, message_id(row.headers))].append(row)
    pairs: dict[int, int] = {}
    for number in sorted(about, key=lambda number: (number not in digests, number)):
        row = about[number]
        same = kinds.get(Kind(row.size or 0, message_id(row.headers)))
        if not same:
            continue
        copy = same[0]
        if number in digests:
            for copy in same:
                if (yield from _digest(copy)) == digests[number]:
                    break
            else:
                continue
        same.remove(copy)
        assert copy.uid is not None
        pairs[number] = copy.uid
    return dict(sorted(pairs.items()))


def _digest(row: FetchedMessage) -> Flow[bytes]:
    assert row.uid is not None
    rows: FetchResult = yield Fetch(row.uid, "BODY.PEEK[]")
    return digest([rows[0].body or b""] if rows else [])


def _codes(before: _Before, pairs: dict[int, int]) -> list[CopyUID]:
    """Return what the server would have said of it."""
    if not pairs:
        return []
    source, destination = (",".join(map(str, numbers)) for numbers in (pairs, pairs.values()))
    return [
        CopyUID(
            octets=f"{before.uid_validity} {source} {destination}".encode(),
            name="COPYUID",
            uid_validity=before.uid_validity,
            source=UIDSet(pairs),
            destination=UIDSet(pairs.values()),
        )
    ]


# Messages.


class _Sent:
    """A message to be appended, that may be sent again and compared."""

    def __init__(self, message: MessageData, size: int | None) -> None:
        as_bytes = getattr(message, "as_bytes", None)
        if as_bytes is not None:
            message = as_bytes(policy=message.policy.clone(linesep="\r\n"))  # type: ignore[union-attr]
        self.data: Any = message
        self._size = size
        self._start: int | None = None
        file = hasattr(message, "read")
        if file and getattr(message, "seekable", lambda: hasattr(message, "seek"))():
            self._start = cast(BinaryIO, message).tell()
        self.again = not file or self._start is not None
        """Whether it can be sent again."""
        self._about: tuple[set[int], bytes | None, bytes] | None = None

    def rewind(self) -> None:
        """Have it whole again."""
        if self._start is not None:
            self.data.seek(self._start)

    @property
    def sizes(self) -> set[int]:
        """The octets that it may have: as it was given, and with CRLF where a line ends in LF alone."""
        return self._look()[0]

    @property
    def message_id(self) -> bytes | None:
        return self._look()[1]

    @property
    def digest(self) -> bytes:
        return self._look()[2]

    def _look(self) -> tuple[set[int], bytes | None, bytes]:
        if self._about is None:
            head = b""
            size = 0

            def pieces() -> Iterator[bytes]:
                nonlocal head, size
                for piece in self._pieces():
                    size += len(piece)
                    head += piece[: max(0, HEADER - len(head))]
                    yield piece

            from hashlib import sha256

            whole = sha256(usedforsecurity=False)
            stored = 0
            for piece in with_crlf(pieces()):
                whole.update(piece)
                stored += len(piece)
            self._about = {size, stored}, message_id(Headers(head)), whole.digest()
        return self._about

    def _pieces(self) -> Iterator[bytes]:
        if isinstance(self.data, (bytes, bytearray, memoryview)):
            yield bytes(self.data)
            return
        if self._start is None:
            with open(self.data, "rb") as file:
                yield from _read(file, self._size)
        else:
            self.rewind()
            yield from _read(self.data, self._size)


def _read(file: BinaryIO, size: int | None) -> Iterator[bytes]:
    left = size
    while (left is None or left > 0) and (piece := file.read(_PIECE if left is None else min(left, _PIECE))):
        left = None if left is None else left - len(piece)
        yield piece


def _made(kind: type[Copy] | type[Move], left: UIDSet, mailbox: MailboxName, scope: Scope) -> Copy | Move:
    return within(scope, kind(left, mailbox))
