"""Streams keep commands in flight and return what has arrived: many messages, and events."""

from __future__ import annotations

import operator
from collections import deque
from typing import Any

from .. import commands
from ..commands.base import Command
from ..commands.fetch import Fetch, FetchResult, refused
from ..commands.session import Noop
from ..errors import AuthenticationFailed, CommandError, ProtocolError, Unavailable
from ..model.row import FetchedMessage
from ..model.sequence_set import Messages, MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..search import SearchKey, key_for, mod_sequence
from .pending import Pending
from .plan import BUDGET, HOPELESS, Chunk, FetchPlan, guess, numbered, throttles
from .protocol import Protocol

__all__ = ["FetchStream", "IdleStream"]

_LINE = 8192
"""Longest command line, in octets: what RFC 7162, section 4, asks servers to take."""
_SHORTEST_SET = 1000
_SPARSE = 1000
"""A set of more numbers than there are messages, and than this, is resolved before it is asked for."""
_MOST_CHUNKS = 16
_CHUNKS_OF_A_SIZE = 3


class FetchStream:
    """FETCH of many messages in chunks, several in flight, rows as they arrive.

    What is asked for is a `FetchPlan`, made when the messages are known: an open set (``1:*``) or one of more numbers
    than the mailbox has messages is searched for first. A chunk that the server refuses is halved until the messages
    that it can't deliver stand alone: those come as rows with nothing but their number and a defect. Where no message
    at all can be had the refusal is raised.
    """

    def __init__(
        self,
        protocol: Protocol,
        messages: MessageSet,
        items: tuple[str, ...],
        *,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
        budget: int = BUDGET,
    ) -> None:
        if (chunk is not None and chunk < 1) or (in_flight is not None and in_flight < 1):
            raise ValueError("chunk and in_flight must be at least 1")
        self._protocol = protocol
        self._items = items
        self._chunk = chunk
        self._most = in_flight or (_MOST_CHUNKS if chunk is None else _CHUNKS_OF_A_SIZE)
        self._changed_since = changed_since
        self._budget = budget
        self._flight: deque[tuple[Pending[FetchResult], Fetch, Chunk]] = deque()
        self._sizing: Pending[FetchResult] | None = None
        self._searching: Pending[commands.SearchResult] | None = None
        self._bad: list[FetchedMessage] = []
        self._refused_in_a_row = 0
        self._good = False
        self._error: Exception | None = None
        self._refusal: Exception | None = None
        self._held = 0
        self.closed: bool = False
        wanted = uid_set(messages)
        around = Fetch(wanted, *items, changed_since=changed_since).octets_around_set()  # refuses a wrong argument
        self._room = max(_LINE - around, _SHORTEST_SET)
        self._scope = protocol.session.scope(by_uid=not isinstance(wanted, SequenceSet))
        self._octets = protocol.octets_heard
        self._wanted = wanted
        self._found = UIDSet()
        self._searched_to = 2**32
        self._begun = False
        self.plan: FetchPlan | None = None
        """What is owed; None while the messages are looked for."""

    @property
    def owed(self) -> UIDSet | SequenceSet | None:
        """The messages that were not taken; None where they are not known yet."""
        if self.plan is not None:
            return self.plan.owed
        return None if isinstance(self._wanted, SavedResult) or self._wanted.has_star else self._wanted

    @property
    def missing(self) -> UIDSet | SequenceSet:
        """The messages that the server left out: expunged since they were numbered, or never there."""
        return self.plan.missing if self.plan is not None else UIDSet()

    @property
    def done(self) -> bool:
        """Whether everything was taken."""
        if self.closed:
            return True
        return self.plan is not None and self.plan.done and not self._bad and self._error is None

    @property
    def ready(self) -> bool:
        """Whether `take` has something to say now; a command that was refused unsent is not answered."""
        first = self._flight[0][0] if self._flight else None
        return any(pending is not None and pending.done for pending in (first, self._sizing, self._searching))

    def take(self) -> list[FetchedMessage]:
        """Return the rows that have arrived, and send on. The rows of the last call have been used."""
        rows: list[FetchedMessage] = []
        self._held = 0
        if not self._begun:
            self._begun = True
            found = self._resolved(self._wanted)
            if found is not None:
                self._begin(found)
        self._look()
        while self._flight:
            pending, command, chunk = self._flight[0]
            rows += self._delivered(command, chunk)
            if not pending.done:
                break
            self._flight.popleft()
            self._held += chunk.octets
            if pending.error is None:
                self._succeeded(command, chunk)
            else:
                self._failed(pending.error, chunk)
        if not rows:
            self._held = 0
        if self._error is None:
            self._send()
            if self._good:
                rows += self._bad
                self._bad = []
            elif self._bad and (len(self._bad) >= HOPELESS or not self._flight):
                self._error = self._refusal
        if self._error is not None and not rows:
            error = self._error
            self.close()
            raise error
        return rows

    @property
    def protocol(self) -> Protocol:
        """That of the connection by which it fetches."""
        return self._protocol

    def go_on(self, protocol: Protocol) -> None:
        """Fetch what is still owed by another connection, or by the same one, after `take` raised an error.

        UIDs mean the same there, as its session knows (`Session.scope`); rows that were taken do not come again.
        """
        self.close()
        self._protocol = protocol
        self._octets = protocol.octets_heard
        self._error = None
        self._sizing = self._searching = None
        if self.plan is not None:
            self.plan.interrupted()
        else:
            self._begun = False
            self._found = UIDSet()
            self._searched_to = 2**32
        self.closed = False

    def close(self) -> None:
        """Give up: what is in flight is drained."""
        self.closed = True
        for pending, command, _ in self._flight:
            command.taken()
            pending.detach()
        self._flight.clear()
        for asked in (self._sizing, self._searching):
            if asked is not None:
                asked.detach()

    # Which messages there are.

    def _resolved(self, wanted: Messages) -> UIDSet | SequenceSet | None:
        """Return the set of messages where it is known; else None, and a search is under way."""
        exists = self._protocol.session.exists
        if isinstance(wanted, SequenceSet) and exists is not None:
            return numbered(wanted, exists)
        if (
            not isinstance(wanted, SavedResult)
            and not wanted.has_star
            and (exists is None or len(wanted) <= max(exists, _SPARSE))
        ):
            return wanted
        self._search(wanted)
        return None

    def _search(self, wanted: Messages) -> None:
        by_uid = not isinstance(wanted, SequenceSet)
        if not isinstance(wanted, SavedResult) and len(str(wanted)) > self._room:
            # Of a set too long for a command, from its first number to its last: the others are left out when found.
            wanted = type(wanted)(f"{wanted.first}:{'*' if wanted.has_star else wanted.last}")
        key: SearchKey = key_for(wanted)
        if self._changed_since is not None:
            key &= mod_sequence(self._changed_since + 1)
        command = commands.Search(key, sequence=not by_uid)
        command.scope = self._scope
        self._searching = self._protocol.submit(command)

    def _begin(self, found: UIDSet | SequenceSet) -> None:
        self.plan = FetchPlan(found, guess=guess(self._items), room=self._room, chunk=self._chunk, budget=self._budget)

    def _look(self) -> None:
        """Take the answers to what was asked about the messages: which there are, and their sizes."""
        searching = self._searching
        if searching is not None and searching.done:
            self._searching = None
            try:
                found = searching.result()
            except Exception as exc:
                self._error = exc
            else:
                self._take_found(found)
        sizing = self._sizing
        if sizing is not None and sizing.done:
            self._sizing = None
            assert self.plan is not None
            try:
                rows = sizing.result()
            except CommandError:
                self.plan.sizes([], None)
            except Exception as exc:
                self._error = exc
            else:
                number = _UID if self._scope[1] is None else _SEQUENCE_NUMBER
                self.plan.sizes([*map(number, rows)], [*map(_SIZE, rows)], whole=rows.limit is None)

    def _take_found(self, found: commands.SearchResult) -> None:
        messages = found.message_set()
        if isinstance(messages, UIDSet):
            self._found |= messages
            if found.limit is not None and not isinstance(self._wanted, SavedResult):
                # The server stopped at its MESSAGELIMIT: it searched from the largest UID down to this one.
                if found.limit >= self._searched_to:
                    self._error = ProtocolError(f"the search stopped at UID {found.limit}, above all it was to search")
                    return
                self._searched_to = found.limit
                rest = UIDSet(range(1, found.limit)) & _closed(self._wanted)
                if rest:
                    self._search(rest)
                    return
            messages = self._found
        self._begin(self._wanted_of(messages))

    def _wanted_of(self, found: Any) -> UIDSet | SequenceSet:
        """Return those of `found` that are wanted: more was searched for where the set is too long for a command."""
        wanted: Any = self._wanted
        if found and not isinstance(wanted, SavedResult):
            found &= wanted.with_largest(found.last) if wanted.has_star else wanted
        return found  # type: ignore[no-any-return]  # of the same kind

    # The messages themselves.

    def _send(self) -> None:
        plan = self.plan
        if plan is None:
            return
        if self._protocol.error is not None:  # what has arrived is the caller's before that
            if not plan.done:
                self._error = self._protocol.dead()
            return
        if self._sizing is None and (window := plan.next_window()) is not None:
            size = Fetch(window, "RFC822.SIZE")
            size.scope = self._scope
            self._sizing = self._protocol.submit(size)
        while len(self._flight) < self._most and (chunk := plan.next_chunk(self._held)) is not None:
            command = Fetch(chunk.numbers, *self._items, changed_since=self._changed_since)
            command.scope = self._scope
            self._flight.append((self._protocol.submit(command), command, chunk))

    def _delivered(self, command: Fetch, chunk: Chunk) -> list[FetchedMessage]:
        rows = command.taken()
        chunk.delivered = command.numbers
        return rows

    def _succeeded(self, command: Fetch, chunk: Chunk) -> None:
        assert self.plan is not None
        self._good = True
        self._refused_in_a_row = 0
        heard = self._protocol.octets_heard
        self.plan.finished(
            chunk,
            octets=heard - self._octets,
            stopped_early=command.stopped_early,
            limit=command.limit,
            reports=self._changed_since is None,
        )
        self._octets = heard

    def _failed(self, error: Exception, chunk: Chunk) -> None:
        assert self.plan is not None
        if not isinstance(error, CommandError) or isinstance(error, AuthenticationFailed) or throttles(error):
            self._error = error
            return
        self._good = self._good or bool(chunk.delivered)
        number = self.plan.refused(chunk)
        if number is not None:
            self._refusal = error
            self._refused_in_a_row += 1
            if isinstance(error, Unavailable) and self._refused_in_a_row >= HOPELESS:
                self._error = error  # not these messages, but the server
            self._bad.append(refused(number, isinstance(chunk.numbers, UIDSet), str(error)))


def _closed(wanted: Any) -> Any:
    """Return `wanted` with the largest number there can be for ``*``."""
    return wanted.with_largest(2**32 - 1) if wanted.has_star else wanted


_UID = operator.attrgetter("uid")
_SIZE = operator.attrgetter("size")
_SEQUENCE_NUMBER = operator.attrgetter("sequence_number")


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
        self._idle = commands.Idle()
        self._begun_at = 0.0
        self._idles = protocol.session.has("IDLE")
        self.wake_at: float = 0.0
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
            self._idle = commands.Idle()
            self._begun_at = now
            command: Command[None] = self._idle if self._idles else Noop()
            self._pending = self._protocol.submit(command)
            self.wake_at = now + (self._renew if self._idles else self._poll)
        elif now >= self.wake_at:
            self._protocol.interrupt()
            self.wake_at = now + self._renew

    @property
    def protocol(self) -> Protocol:
        """That of the connection that is idle."""
        return self._protocol

    def anew(self, protocol: Protocol) -> IdleStream:
        """Return the same for another connection."""
        return IdleStream(protocol, renew=self._renew, poll=self._poll)

    @property
    def ready(self) -> bool:
        """Whether the command has ended, so that `advance` has something to do."""
        return self._pending is not None and self._pending.done

    def close(self) -> None:
        """Send DONE; its answer is drained."""
        if self._pending is not None:
            self._pending.detach()
            self._protocol.interrupt()
