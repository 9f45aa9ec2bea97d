"""Streams keep commands in flight and return what has arrived: many messages, and events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ..commands.base import Command
from ..commands.fetch import Fetch, FetchResult, refused
from ..commands.idle import Idle
from ..commands.session import Noop
from ..errors import AuthenticationFailed, CommandError, Unavailable
from ..model.message import FetchedMessage
from ..model.sequence_set import Messages, MessageSet, SequenceSet, UIDSet, uid_set
from .events import Event
from .pending import Pending
from .protocol import Protocol

__all__ = ["FetchStream", "IdleStream"]

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
