"""Operations of several commands, still without I/O.

A flow is a generator of commands: the driver runs each and sends its result back in, or throws its error in. A stream
keeps commands in flight and gives what has arrived. Both serve the blocking client and the asyncio client alike.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from ..commands._shared import refuse_read_only
from ..commands.auth import Authenticate, Login
from ..commands.base import Command, Flow, Scope, Session, StartTLS, State
from ..commands.extensions import ID, Enable
from ..commands.fetch import Fetch, FetchResult, refused
from ..commands.idle import Idle
from ..commands.search import Search, SearchResult
from ..commands.select import Expunge, Select
from ..commands.session import Capability, Compress, Noop, StartTLSCommand
from ..commands.store import Copy, CopyResult, Move, Store
from ..errors import (
    AuthenticationFailed,
    CapabilityMissing,
    CommandError,
    NotOffered,
    StateError,
    Timeout,
    TLSError,
    Unavailable,
)
from ..model.message import FetchedMessage
from ..model.response_codes import BadCharset
from ..model.sequence_set import Messages, MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..sasl import choose
from ..search import SearchKey, saved, uid
from ..settings import Settings, Timeouts
from .protocol import Event, Pending, Protocol

__all__ = ["FetchStream", "IdleStream", "Patience", "move", "prepare", "search", "select_again"]

R = TypeVar("R")


# The beginning of a connection.


def prepare(protocol: Protocol, settings: Settings, bindings: Callable[[], Mapping[str, bytes]]) -> Flow[None]:
    """Bring a connection from its greeting to the state that `settings` ask for.

    `bindings` gives the connection's TLS channel bindings, by type.
    """
    session = protocol.session
    if settings.tls == "starttls":
        yield from _start_tls(protocol)
    if not session.capabilities:
        yield Capability()
    if settings.credentials is not None and session.state is State.NOT_AUTHENTICATED:
        yield from _log_in(protocol, settings, bindings())
    if session.state is State.NOT_AUTHENTICATED:
        return
    if not session.capabilities:
        yield Capability()
    if {"IMAP4REV1", "IMAP4REV2", "ENABLE"} <= session.capabilities:
        # A server that can't after all speaks IMAP4rev1 with us.
        with contextlib.suppress(CommandError):
            yield Enable("IMAP4rev2")
    if "UTF8=ONLY" in session.capabilities and not session.utf8:
        yield Enable("UTF8=ACCEPT")  # RFC 6855, section 6: nothing else is allowed before
    if settings.client_id is not None and session.has("ID"):
        yield ID(settings.client_id)
    if settings.compress:
        yield Compress()


def _start_tls(protocol: Protocol) -> Flow[None]:
    session = protocol.session
    if session.state is not State.NOT_AUTHENTICATED:
        raise TLSError("the server greets with PREAUTH, so that TLS can't be had: that may be an attack")
    if not session.capabilities:
        yield Capability()
    try:
        yield StartTLSCommand()
    except CapabilityMissing:
        raise TLSError("the server does not offer STARTTLS") from None
    except CommandError as exc:
        raise TLSError(f"the server refuses STARTTLS: {exc.text}") from exc
    yield StartTLS()


def _log_in(protocol: Protocol, settings: Settings, bindings: Mapping[str, bytes]) -> Flow[None]:
    session = protocol.session
    credentials = settings.credentials
    assert credentials is not None
    offered = [name.removeprefix("AUTH=") for name in session.capabilities if name.startswith("AUTH=")]
    wished = settings.mechanism
    # LOGIN the command is for servers that offer no mechanism for a password (Courier).
    by_command = wished is None and credentials.password is not None and not credentials.authzid
    if wished is not None and wished.upper() == "LOGIN" and "LOGIN" not in offered:
        by_command = credentials.password is not None
    try:
        mechanism = choose(
            offered,
            credentials,
            tls=session.tls,
            host=settings.host,
            port=settings.port,
            channel_bindings=bindings,
            mechanism=wished,
        )
    except NotOffered:
        if not by_command:
            raise
        assert credentials.password is not None
        yield Login(credentials.user, credentials.password, insecure=wished is not None)
    else:
        yield Authenticate(mechanism)


def select_again(before: Session) -> Flow[None]:
    """Select the mailbox that was selected before the connection was lost."""
    assert before.asked_for is not None
    selected = yield Select(before.asked_for, read_only=before.examined)
    if before.uid_validity is not None and selected.uid_validity != before.uid_validity:
        raise StateError(
            f"the UIDVALIDITY of {before.mailbox!r} changed from {before.uid_validity} to {selected.uid_validity}: "
            "UIDs learnt before mean other messages now"
        )


# Operations of several commands.


def search(
    protocol: Protocol,
    /,
    key: SearchKey,
    *,
    returns: Iterable[str] = ("ALL",),
    partial: tuple[int, int] | None = None,
    sequence: bool = False,
    charset: str | None = None,
) -> Flow[SearchResult]:
    """Search; see the command. Where the server does not know UTF-8, it is asked again in a charset that it names."""

    scope = protocol.session.scope(by_uid=not sequence)

    def command(charset: str) -> Search:
        return Search(key, returns=returns, partial=partial, sequence=sequence, charset=charset)

    try:
        found: SearchResult = yield command("UTF-8" if charset is None else charset)
    except CommandError as exc:
        if charset is not None or not isinstance(exc.response_code, BadCharset):
            raise
        for known in exc.response_code.charsets:
            try:
                again = command(known)
            except (ValueError, LookupError):  # it lacks a character, Python lacks it, or it is no charset's name
                continue
            found = yield _within(scope, again)
            break
        else:
            raise
    return found


search.__doc__ = Search.__doc__


def move(protocol: Protocol, /, messages: MessageSet, mailbox: str | bytes) -> Flow[CopyResult]:
    """Move messages to `mailbox` (MOVE, RFC 6851; else COPY, STORE, UID EXPUNGE).

    :param messages: UIDs, or a `SequenceSet`.
    :param mailbox: where to.

    No messages at all are nothing to do. Raises MailboxNotFound, NoPermission, OverQuota; StateError where the mailbox
    was selected with ``read_only=True``. Without MOVE and without UIDPLUS it is refused with `CapabilityMissing`, and
    nothing is done: an EXPUNGE would take messages with it that somebody else has marked. That the messages are gone
    from the selected mailbox comes as events, as when anybody removes messages.
    """
    session = protocol.session
    wanted = uid_set(messages)
    if session.has("MOVE"):
        moved: CopyResult = yield Move(wanted, mailbox)
        return moved
    if not session.has("UIDPLUS") or isinstance(wanted, SequenceSet):
        raise CapabilityMissing("MOVE", "MOVE")
    refuse_read_only(session)  # before there are copies
    scope = session.scope(by_uid=True)
    if not isinstance(wanted, UIDSet) or wanted.has_star:
        # What `*` and `$` stand for may change between the commands.
        found: SearchResult = yield _within(scope, Search(saved if isinstance(wanted, SavedResult) else uid(wanted)))
        wanted = found.uids
    copied: CopyResult = yield _within(scope, Copy(wanted, mailbox))
    if copied.codes:
        wanted &= copied.source  # messages that were not copied are not to be lost
    elif copied.limit is not None:
        wanted = UIDSet(range(copied.limit, 2**32)) & wanted
    yield _within(scope, Store(wanted, "\\Deleted", silent=True))
    expunge = Expunge(wanted)
    expunge.as_events = True  # as by MOVE
    yield _within(scope, expunge)
    return copied


def _within(scope: Scope, command: Command[R]) -> Command[R]:
    command.scope = scope
    return command


# Streams.

_LINE = 8192
"""Longest command line, in octets: what RFC 7162, section 4, asks servers to take."""
_SHORTEST_SET = 1000


class FetchStream:
    """FETCH of many messages in chunks, several in flight, rows as they arrive.

    A chunk that the server refuses is halved until the messages that it can't deliver stand alone: those come as
    rows with nothing but their number and a defect. Where no message at all can be had the refusal is raised.
    """

    def __init__(
        self,
        protocol: Protocol,
        messages: MessageSet,
        items: tuple[str, ...],
        *,
        chunk: int = 500,
        in_flight: int = 3,
        changed_since: int | None = None,
    ) -> None:
        if chunk < 1 or in_flight < 1:
            raise ValueError("chunk and in_flight must be at least 1")
        self._protocol = protocol
        self._items = items
        self._in_flight = in_flight
        self._changed_since = changed_since
        self._flight: deque[tuple[Pending[FetchResult], Fetch, Messages]] = deque()
        self._again: deque[Messages] = deque()
        self._bad: list[FetchedMessage] = []
        self._good = False
        self._error: Exception | None = None
        self._refusal: Exception | None = None
        self.closed = False
        wanted = uid_set(messages)
        around = Fetch(wanted, *items, changed_since=changed_since).octets_around_set()  # tells of a wrong argument
        room = max(_LINE - around, _SHORTEST_SET)
        self._sets: Iterator[Messages]
        if isinstance(wanted, (UIDSet, SequenceSet)) and not wanted.has_star:
            self._sets = (piece for part in wanted.chunks(chunk) for piece in part.split(room))
        else:
            self._sets = iter([wanted])
        self._exhausted = False
        self._scope = protocol.session.scope(by_uid=not isinstance(wanted, SequenceSet))

    @property
    def done(self) -> bool:
        """Whether everything was taken."""
        return self.closed or (
            self._exhausted and not (self._again or self._flight or self._bad) and self._error is None
        )

    @property
    def ready(self) -> bool:
        """Whether `take` has something to say now; a command that was refused unsent is not answered."""
        return bool(self._flight) and self._flight[0][0].done

    def take(self) -> list[FetchedMessage]:
        """Return the rows that have arrived, and send on."""
        rows: list[FetchedMessage] = []
        while self._flight:
            pending, command, wanted = self._flight[0]
            if not pending.done:
                rows += command.taken()
                break
            self._flight.popleft()
            rows += command.taken()
            if pending.error is None:
                self._succeeded(command, wanted)
            else:
                self._failed(pending.error, command, wanted)
        if self._error is None:
            self._send()
            if self._good:
                rows += self._bad
                self._bad = []
            elif self._bad and (len(self._bad) >= _HOPELESS or not self._flight):
                self._error = self._refusal
        if self._error is not None and not rows:
            error = self._error
            self.close()
            raise error
        return rows

    def close(self) -> None:
        """Give up: what is in flight is drained."""
        self.closed = True
        for pending, command, _ in self._flight:
            command.taken()
            pending.detach()
        self._flight.clear()

    def _send(self) -> None:
        while len(self._flight) < self._in_flight:
            wanted = self._again.popleft() if self._again else next(self._sets, None)
            if wanted is None:
                self._exhausted = True
                return
            command = Fetch(wanted, *self._items, changed_since=self._changed_since)
            command.scope = self._scope
            self._flight.append((self._protocol.submit(command), command, wanted))

    def _succeeded(self, command: Fetch, wanted: Messages) -> None:
        self._good = True
        if not command.stopped_early or not command.numbers or not isinstance(wanted, (UIDSet, SequenceSet)):
            return
        if wanted.has_star:
            # The server begins with the largest number (RFC 9738, section 3.1), so that `*` has been answered.
            wanted = wanted.with_largest(min(command.numbers))
        if rest := _without(wanted, command.numbers):
            self._again.append(rest)

    def _failed(self, error: Exception, command: Fetch, wanted: Messages) -> None:
        if (
            not isinstance(error, CommandError)
            or isinstance(error, (Unavailable, AuthenticationFailed))
            or not isinstance(wanted, (UIDSet, SequenceSet))
            or wanted.has_star
        ):
            self._error = error
            return
        self._good = self._good or bool(command.numbers)
        rest = _without(wanted, command.numbers)
        if len(rest) > 1:
            self._again.extendleft(rest.chunks((len(rest) + 1) // 2))  # to the single message first
        elif rest:
            self._refusal = error
            self._bad.append(refused(rest.first, isinstance(rest, UIDSet), str(error)))


_HOPELESS = 8
"""So many refused messages and not one good one: then the command is at fault."""


def _without(wanted: UIDSet | SequenceSet, numbers: list[int]) -> UIDSet | SequenceSet:
    if isinstance(wanted, UIDSet):
        return wanted - UIDSet(numbers)
    return wanted - SequenceSet(numbers)


_LONGEST = 10**9
"""Seconds that one may ask to wait: what clocks and selectors can count."""

_IDLE_AGAIN = 1.0
"""Seconds between two IDLEs that the server ends by itself: it is not to be asked as fast as it refuses."""


class IdleStream:
    """Events as they come, by IDLE that is renewed, or by NOOP now and then where the server has no IDLE."""

    def __init__(self, protocol: Protocol, *, renew: float, poll: float) -> None:
        if not 0 < renew <= _LONGEST or not 0 < poll <= _LONGEST:
            raise ValueError(f"renew and poll are seconds, over 0 and at most {_LONGEST}")
        self._protocol = protocol
        self._renew = renew
        self._poll = poll
        self._pending: Pending[None] | None = None
        self._idle = Idle()
        self._begun_at = 0.0
        self._idles = protocol.session.has("IDLE")
        self.wake_at = 0.0
        """When `advance` wants to be called again (the clock of its `now`)."""

    def advance(self, now: float) -> None:
        """Send what is due."""
        pending = self._pending
        if pending is not None and pending.done:
            self._pending = None
            if isinstance(pending.error, CommandError) and self._idles:
                self._idles = False
                self.wake_at = now
            elif pending.error is not None:
                raise pending.error
            elif self._idles:
                self.wake_at = now if self._idle.interrupted else max(now, self._begun_at + _IDLE_AGAIN)
        if self._pending is None and now >= self.wake_at:
            self._idle = Idle()
            self._begun_at = now
            command: Command[None] = self._idle if self._idles else Noop()
            self._pending = self._protocol.submit(command)
            self.wake_at = now + (self._renew if self._idles else self._poll)
        elif now >= self.wake_at:
            self._protocol.interrupt()
            self.wake_at = now + self._renew

    @property
    def ready(self) -> bool:
        """Whether the command has ended, so that `advance` has something to do."""
        return self._pending is not None and self._pending.done

    def take(self) -> list[Event]:
        """Return the events that have come."""
        events = []
        while (event := self._protocol.next_event()) is not None:
            events.append(event)
        return events

    def close(self) -> None:
        """Send DONE; its answer is drained."""
        if self._pending is not None:
            self._pending.detach()
            self._protocol.interrupt()


class Patience:
    """The deadlines of the commands in flight: real progress restarts them, a drip of octets does not."""

    _PIECE = 64 * 1024

    def __init__(self, protocol: Protocol, timeouts: Timeouts) -> None:
        self._protocol = protocol
        self._timeouts = timeouts
        self._oldest: object = None
        self._since = self._moved = 0.0
        self._mark = -1

    def until(self, now: float) -> float | None:
        """Return when patience ends, or None while nothing is awaited."""
        protocol = self._protocol
        oldest = protocol.awaited()
        if oldest is None:
            self._oldest = None
            return None
        counters = protocol.counters
        # A server that does not read what is sent makes no progress, however much it talks.
        octets = counters.octets_out if protocol.sending else protocol.octets_heard + counters.octets_out
        mark = octets // self._PIECE + (0 if protocol.sending else counters.responses)
        if oldest is not self._oldest:
            self._oldest = oldest
            self._since = self._moved = now
        if mark != self._mark:
            self._mark = mark
            self._moved = now
        ends = []
        if self._timeouts.response is not None:
            ends.append(self._moved + self._timeouts.response)
        if self._timeouts.command is not None:
            ends.append(self._since + self._timeouts.command)
        return min(ends, default=None)

    def rest(self, now: float) -> None:
        """Begin anew: until `now` nobody read, so the server is not to blame."""
        self._since = self._moved = now

    def error(self) -> Timeout:
        """Return the error for when it has ended."""
        oldest = self._protocol.awaited()
        name = oldest.name if oldest is not None else "the server"
        return Timeout(
            f"{name}: no answer within {self._timeouts.response} s (or {self._timeouts.command} s for all of it); "
            "the connection was closed"
        )
