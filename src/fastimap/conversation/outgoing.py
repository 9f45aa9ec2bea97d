"""Commands in, octets out: what is queued, in flight and half written on one connection."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .. import commands, conversation
from ..commands.base import AUTHENTICATED, CONNECTING, Command, Session, State
from ..commands.session import StartTLS
from ..errors import ConnectFailed, Disconnected, StateError, TLSError
from ..limits import Limits
from ..model.responses import StatusResponse, Tagged
from ..parser import ResponseReader
from ..wire.encode import Fragment, Wait
from .encoder import Encoder
from .events import EventQueue, Unsolicited
from .greeting import Greeting
from .holding import Holding, holds
from .overlap import Flight
from .pending import Pending
from .sending import SEND_SIZE, Sending

if TYPE_CHECKING:
    from .files import Files

__all__ = ["Counters", "Outgoing"]

R = TypeVar("R")


class Counters:
    """What went over one connection."""

    __slots__ = ("commands", "events_dropped", "octets_in", "octets_out", "reconnects", "responses", "round_trips")

    def __init__(self) -> None:
        self.octets_in: int = 0
        self.octets_out: int = 0
        self.commands: int = 0
        self.responses: int = 0
        """Responses received; a run of FETCH responses in one buffer counts its rows."""
        self.round_trips: int = 0
        """How often the connection turned from sending to receiving."""
        self.events_dropped: int = 0
        self.reconnects: int = 0
        """How often the connection was made anew, with `retry=`."""

    def __repr__(self) -> str:
        return f"Counters({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"


class Outgoing:
    """The half of a :class:`~.protocol.Protocol` that sends; both halves have its state."""

    _reader: ResponseReader

    def __init__(self, limits: Limits) -> None:
        self.session: Session = Session()
        self.error: Exception | None = None
        """Why the connection is dead."""
        self.greeting: Pending[StatusResponse] = Pending(Greeting())
        self.logged_out = False
        self.unsolicited: Unsolicited = Unsolicited(limits)
        """What came that no command claims."""
        self.claimed = 0
        """Responses that a command was waiting for."""
        self._limits = limits
        self._counters = Counters()
        self._queue: deque[Pending[Any]] = deque()
        self._flight = Flight()
        self._sending = Sending()
        self._events = EventQueue(limits)
        self._encoder = Encoder(self.session)
        self._bye: str | None = None
        self._sent = False
        self._tls_next = False
        self._listings = 0  # before the command that changes the capabilities
        self.established = False
        """Whether the connection was brought to the state that its settings ask for; set by the driver."""
        self.files: Files | None = None
        """Where files are read and written, so that the driver need not wait for them; None: by the driver itself."""
        self.holding: Holding = Holding()
        """Who may act on the selected mailbox; a client's connections have it one after the other."""
        self.before: Session | None = None
        """The state that is to be restored: that of a connection in whose place this one is."""

    # Commands in.

    def submit(self, command: Command[R], kind: type[Pending[R]] = Pending) -> Pending[R]:
        """Put `command` in the queue; it is sent as soon as what is in flight allows."""
        if self.error is not None:
            raise self.dead()
        if self.established and isinstance(command, StartTLS):
            raise StateError('the client begins TLS itself, before it logs in: give it tls="starttls"')
        pending = kind(command)
        holding = self.holding
        if (holding.hold is None and not holds.get()) or (refusal := holding.refusal(command, self.session)) is None:
            self._queue.append(pending)
        else:
            pending.finish(None, refusal)
        return pending

    def dead(self) -> Exception:
        """Return the error for whoever uses a connection that is dead."""
        assert self.error is not None
        error = self.error
        if self.logged_out:
            return StateError("the client has logged out: reconnect() connects anew")
        # A late Timeout would speak of a deadline that has not passed now.
        kind = type(error) if isinstance(error, (ConnectFailed, TLSError)) else Disconnected
        return kind(f"the connection is closed: {error}")

    @property
    def counters(self) -> Counters:
        """What went over the connection."""
        self._counters.events_dropped = self._events.dropped
        return self._counters

    @property
    def idle(self) -> bool:
        """Whether nothing is queued, in flight or half written, and no TLS is to be begun."""
        return not (self._queue or self._flight.by_tag or self._sending.output or self._tls_next)

    @property
    def listening(self) -> bool:
        """Whether something is in flight, and nothing to send until more is received."""
        sending = self._sending
        return bool(self._flight.by_tag) and not (self._queue or sending.output or sending.pending is not None)

    @property
    def in_flight(self) -> int:
        """Number of commands sent, or being sent, and not answered."""
        return len(self._flight.by_tag)

    @property
    def sending(self) -> bool:
        """Whether there is more to send, and nothing but the driver to wait for."""
        return not self._sending.blocked

    @property
    def selecting(self) -> bool:
        """Whether another mailbox, or none, may be selected when all is answered that was asked for."""
        asked = (*self._flight.by_tag.values(), *self._queue)
        return any(
            isinstance(pending.command, (commands.Select, commands.Close, commands.Unselect)) for pending in asked
        )

    @property
    def farewell(self) -> str | None:
        """The text of the server's BYE; None where it has said none."""
        return self._bye

    @property
    def amid_response(self) -> bool:
        """Whether a part of a response has arrived, and the rest has not."""
        return self._reader.in_response or bool(self._reader.buffered)

    def awaited(self) -> Command[Any] | None:
        """Return the oldest command that the server owes an answer, or None."""
        for pending in self._flight.by_tag.values():
            if not pending.command.lasting:
                return pending.command
        return None

    def heard(self) -> tuple[int, int]:
        """Return how many responses and octets have arrived since the oldest command in flight was sent."""
        for pending in self._flight.by_tag.values():
            if not pending.command.lasting:
                responses, octets = pending.heard
                return self._counters.responses - responses, self.octets_heard - octets
        return 0, 0

    def interrupt(self) -> None:
        """End a command that lasts until then: IDLE. One that is queued after it does so too."""
        for pending in self._flight.by_tag.values():
            line = pending.command.interrupt()
            if line is not None:
                self._sending.put(line + b"\r\n")

    # Octets out.

    def data_to_send(self) -> list[bytes | memoryview]:
        """Return what to write now, 64 KiB at most; the caller writes all of it, and asks again."""
        out: list[bytes | memoryview] = []
        if self.error is not None or self._tls_next:  # a command of another task must not leave in clear
            return out
        sending = self._sending
        size = 0
        while size < SEND_SIZE:
            if sending.output:
                out.append(sending.take(SEND_SIZE - size))
                size += len(out[-1])
            elif sending.pending is not None:
                if sending.waiting or sending.reading:
                    break
                self._write_on()
            elif not (self._queue and self._start_next()):
                break
            if self.error is not None:
                return []
        if out:
            self._sent = True
            self._counters.octets_out += size
        return out

    def _start_next(self) -> bool:
        while self._queue:
            pending = self._queue[0]
            if pending.command.abandoned:
                self._queue.popleft()
                continue
            if self._bye is not None:  # what is in flight may still be answered
                self._queue.popleft()
                pending.finish(None, self._hung_up())
                continue
            flight = self._flight
            if self.session.state is CONNECTING or (
                flight.by_tag and not flight.may_start(pending.command, self.session)
            ):
                self.interrupt()
                return bool(self._sending.output)
            self._queue.popleft()
            if not pending.command.tag and (pieces := pending.command.pieces(self.session.line_limit)):
                conversation.pieces.send_in_pieces(pending, pieces, self.session, self._queue)
                continue
            try:
                encoded = self._encoder.encoded(pending)
            except Exception as exc:  # a wrong argument, state or capability: nothing was sent
                pending.finish(None, exc)
                continue
            if encoded is not None:
                self._flight.start(pending, self.session)
                counters = self._counters
                deflate = self._sending.deflate
                octets = counters.octets_in if deflate is None else deflate.inflated  # octets_heard, without a call
                counters.commands += 1
                pending.heard = counters.responses, octets
                if self.files is not None and (pending.command.streams or not isinstance(encoded, bytes)):
                    pending.command.reports = []
                    pending.command.write_by = functools.partial(_write_elsewhere, self.files, pending)
                if isinstance(encoded, bytes):
                    self._sending.put(encoded)
                else:
                    self._sending.begin(pending, encoded)
                if pending.command.streams:
                    self._reader.set_sink(self._flight.sink)
                if pending.command.changes_capabilities:
                    self._listings = self.session.listings
            return True
        return False

    def _write_on(self) -> None:
        sending = self._sending
        pending = sending.pending
        assert pending is not None
        if sending.must_end:  # a wrong message is worse than no connection
            sending.end()
            self.fail(Disconnected(f"{pending.command.name} was given up while its message was sent"))
            return
        if self.files is not None and sending.reads:
            sending.reading = True
            self.files.read(pending, sending.look_ahead(), functools.partial(self._take_read, pending))
            return
        try:
            fragment = sending.next_fragment()
        except BaseException as exc:
            self._cut_short(pending, exc)
            if not isinstance(exc, Exception):
                raise
            return
        self._take_fragment(pending, fragment)

    def _take_read(self, pending: Pending[Any]) -> None:
        """Take what was read elsewhere of the command that is being written."""
        sending = self._sending
        if sending.pending is not pending or not sending.reading:
            return  # the connection has ended meanwhile
        sending.reading = False
        if pending.file_error is not None:
            self._cut_short(pending, pending.file_error)
            return
        if pending.command.abandoned and not sending.begun:
            self._cut_short(pending, Disconnected(f"{pending.command.name} was given up"))
            return
        for fragment in sending.read_ahead():
            if sending.pending is pending:
                self._take_fragment(pending, fragment)

    def _cut_short(self, pending: Pending[Any], error: BaseException) -> None:
        """End a command whose file can't be read."""
        if not self._sending.begun and isinstance(error, Exception):  # nothing was sent
            self._sending.end()
            self._flight.land(pending)
            pending.finish(None, error)
            return
        if isinstance(error, Exception) or self.files is not None:
            pending.finish(None, error)
        self.fail(Disconnected(f"{pending.command.name} was cut short: {error}"))

    def _take_fragment(self, pending: Pending[Any], fragment: Fragment | None) -> None:
        sending = self._sending
        early = sending.early
        if early is not None and not isinstance(fragment, (bytes, memoryview)):
            sending.end()
            self._take_tagged(early)
        elif fragment is None:
            sending.end()
        elif isinstance(fragment, Wait):
            sending.waiting = True
        else:
            sending.begun = True
            sending.put(fragment)

    def _hung_up(self) -> Disconnected:
        said = f": {self._bye}" if self._bye else "" if self.greeting.done else " before it greeted"
        return Disconnected(f"the server closed the connection{said}")

    def fail(self, error: Exception) -> None:
        """End every command with `error`; the connection is dead."""
        if self.error is not None:
            return
        self.error = error
        self.session.authenticated = self.session.state in AUTHENTICATED
        pendings = [self.greeting, *self._flight.by_tag.values(), *self._queue]
        self._flight = Flight()
        self._reader.set_tags(self._flight.by_tag)
        self._queue.clear()
        self._sending.clear()
        self._tls_next = False
        self.session.state = State.LOGOUT
        for pending in pendings:
            self._finish(pending, None, error)

    def _finish(self, pending: Pending[Any], value: Any, error: Exception | None) -> None:
        """Finish `pending`, after what there is to do on its files."""
        if self.files is None or not pending.command.streams:
            pending.finish(value, error)
            return

        def finish() -> None:
            if pending.file_error is not None:
                pending.finish(None, pending.file_error)
            else:
                pending.finish(value, error)

        self.files.after(pending, finish)

    @property
    def octets_sent(self) -> int:
        """Octets that the driver has taken."""
        return self._counters.octets_out

    @property
    def octets_heard(self) -> int:
        """Octets received, inflated where they came compressed: empty blocks say nothing."""
        deflate = self._sending.deflate
        return self._counters.octets_in if deflate is None else deflate.inflated

    def _take_tagged(self, tagged: Tagged) -> None:
        raise NotImplementedError


def _write_elsewhere(
    files: Files, pending: Pending[Any], write: Callable[[bytes], object], octets: memoryview | bytes
) -> None:
    files.write(pending, write, bytes(octets))
