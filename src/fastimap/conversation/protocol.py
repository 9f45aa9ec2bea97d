"""The conversation of one connection without I/O: states, the queue, and which response belongs to which command.

The contract with a driver, in full::

    submit(command) -> Pending     puts a command in the queue; `Pending.done`, `.result()`, `.on_done`
    data_to_send() -> buffers      what to write now, in this order; [] when there is nothing
    get_buffer() / buffer_updated(n) / eof_received()      what was read; the names of asyncio.BufferedProtocol
    next_event() -> Event | None   unsolicited responses
    fail(error)                    the connection is lost, or a deadline has passed: every command ends with `error`

A driver reads while it writes: a server that waits for its answers to be read would wait for ever. A command that is
not awaited any more is detached (`Pending.detach()`): its responses are drained, and the connection stays in step.

What is written is in :mod:`.sending`, which commands may overlap in :mod:`.overlap`, who may act on the selected
mailbox in :mod:`.holding`, unsolicited responses in :mod:`.events`, compression in :mod:`.deflate`.
"""

from __future__ import annotations

import functools
import logging
import re
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from ..commands.base import AUTHENTICATED, Command, Scope, Session, State
from ..commands.refusals import delay_in
from ..commands.select import Close, Select, Unselect
from ..commands.session import Capability
from ..errors import (
    Advice,
    CapabilityMissing,
    CommandError,
    ConnectFailed,
    ConnectionLost,
    Disconnected,
    ParseError,
    ProtocolError,
    StateError,
    TLSError,
    TooManyAnswers,
    TooManyChallenges,
)
from ..limits import CLIENT_LIMITS, Limits
from ..model._patterns import pattern
from ..model.message import FetchedMessage
from ..model.response_codes import CapabilityCode
from ..model.responses import (
    Capabilities,
    ContinuationRequest,
    Exists,
    Response,
    ServerID,
    StatusResponse,
    Tagged,
    UnknownResponse,
    Vanished,
)
from ..parser import ResponseReader
from ..wire import decode
from ..wire.encode import Encoded, Encoding, Fragment, Wait, encode, encoded_line
from .deflate import Deflate
from .events import Event, EventQueue, Reconnected, Unsolicited, is_expunge, octets_of
from .files import Files
from .holding import Holding, holds
from .overlap import Flight
from .pending import Pending
from .pieces import send_in_pieces
from .sending import SEND_SIZE, Sending, tags

__all__ = ["Counters", "Event", "Pending", "Protocol"]

R = TypeVar("R")

log = logging.getLogger("fastimap")

_SHOWN = 1000
_SHORTEST_LINE = 1024
_NEWS = pattern(
    rb"\* (?:(?:OK|NO|BAD) (?:(?!\[)|(\[)(?!CAPABILITY))|([0-9]{1,9}) (EXISTS|RECENT|EXPUNGE)\Z)", re.IGNORECASE
)
"""What a server may say at any time, and as often as it likes: it is decoded when it is read."""
_NO_TEXT = (b"", b" ", b"[")


class Counters:
    """What went over one connection."""

    __slots__ = ("commands", "events_dropped", "octets_in", "octets_out", "reconnects", "responses", "round_trips")

    def __init__(self) -> None:
        self.octets_in = 0
        self.octets_out = 0
        self.commands = 0
        self.responses = 0
        """Responses received; a run of FETCH responses in one buffer counts its rows."""
        self.round_trips = 0
        """How often the connection turned from sending to receiving."""
        self.events_dropped = 0
        self.reconnects = 0
        """How often the connection was made anew, with `retry=`."""

    def __repr__(self) -> str:
        return f"Counters({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"


class Protocol:
    """One connection's conversation; see the module."""

    def __init__(self, limits: Limits = CLIENT_LIMITS) -> None:
        self.session = Session()
        self.error: Exception | None = None
        """Why the connection is dead."""
        self.greeting: Pending[StatusResponse] = Pending(_Greeting())
        self.logged_out = False
        self.unsolicited = Unsolicited(limits)
        """What came that no command claims."""
        self.claimed = 0
        """Responses that a command was waiting for."""
        self._limits = limits
        self._counters = Counters()
        self._reader = ResponseReader(limits)
        self._queue: deque[Pending[Any]] = deque()
        self._flight = Flight()
        self._reader.set_tags(self._flight.by_tag)
        self._sending = Sending()
        self._events = EventQueue(limits)
        self._tags = tags()
        self._encoding_for: tuple[frozenset[str], frozenset[str]] | None = None
        self._takes = Encoding()
        self._bye: str | None = None
        self._sent = False
        self._tls_next = False
        self._listings = 0  # before the command that changes the capabilities
        self.established = False
        """Whether the connection was brought to the state that its settings ask for; set by the driver."""
        self.files: Files | None = None
        """Where files are read and written, so that the driver need not wait for them; None: by the driver itself."""
        self.holding = Holding()
        """Who may act on the selected mailbox; a client's connections have it one after the other."""
        self.before: Session | None = None
        """The state that is to be restored: that of a connection in whose place this one is."""

    # Commands in.

    def submit(self, command: Command[R], kind: type[Pending[R]] = Pending) -> Pending[R]:
        """Put `command` in the queue; it is sent as soon as what is in flight allows."""
        if self.error is not None:
            raise self.dead()
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
        """Whether nothing is queued, in flight or half written."""
        return not (self._queue or self._flight.by_tag or self._sending.output)

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
        return any(isinstance(pending.command, (Select, Close, Unselect)) for pending in asked)

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
        if self.error is not None:
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
            if self.session.state is State.CONNECTING or not self._flight.may_start(pending.command, self.session):
                self.interrupt()
                return bool(self._sending.output)
            self._queue.popleft()
            if not pending.command.tag and (pieces := pending.command.pieces(self.session.line_limit)):
                send_in_pieces(pending, pieces, self.session, self._queue)
                continue
            try:
                encoded = self._encoded(pending)
            except Exception as exc:  # a wrong argument, state or capability: nothing was sent
                pending.finish(None, exc)
                continue
            if encoded is not None:
                self._counters.commands += 1
                self._flight.start(pending, self.session)
                pending.heard = self._counters.responses, self.octets_heard
                if self.files is not None and (pending.command.streams or not isinstance(encoded, bytes)):
                    pending.command.reports = []
                    pending.command.write_by = functools.partial(_write_elsewhere, self.files, pending)
                if isinstance(encoded, bytes):
                    self._sending.put(encoded)
                else:
                    self._sending.begin(pending, encoded)
                if pending.command.streams:
                    self._reader.set_sink(self._sink)
                if pending.command.changes_capabilities:
                    self._listings = self.session.listings
            return True
        return False

    def _encoded(self, pending: Pending[Any]) -> Encoded | bytes | None:
        """Return what is to be sent, octets where that is one line, None where there is nothing to do."""
        command = pending.command
        session = self.session
        if command.tag:
            raise ValueError(f"this {command.name} was sent before, and holds its result: make a new one")
        if session.state not in command.states:
            raise StateError(f"{command.name} is not allowed now: {_hint(command, session.state)}")
        if command.scope is not None and not session.within(command.scope):
            raise StateError(
                f"{command.name} was not sent: since its messages were numbered "
                + _change(command.scope, session)
                + ", and the numbers mean others now"
            )
        if command.positional and session.renumbered:
            raise StateError(
                f"{command.name} was not sent: the connection was made anew, and sequence numbers and $ are of the one "
                "before: take the event Reconnected (take_events()) or select the mailbox, and number the messages anew"
            )
        command.sent_in = session.selections, session.expunges if command.positional else None
        for capability in command.requires(session):
            if not session.has(capability):
                raise CapabilityMissing(command.name, capability)
        parts = command.parts(session)
        if command.nothing_to_do:
            pending.finish(command.empty(), None)
            return None
        command.tag = tag = next(self._tags)
        debugging = log.isEnabledFor(logging.DEBUG)
        if not debugging and (line := encoded_line(tag, parts)) is not None:
            return line
        encoded = encode(tag, parts, self._encoding())
        if debugging:
            log.debug("C: %s", encoded.log_form)
        return encoded.line or encoded

    def _encoding(self) -> Encoding:
        """Return what the server takes now; made anew where that may have changed."""
        session = self.session
        capabilities = session.capabilities
        if self._encoding_for is None or not (
            self._encoding_for[0] is capabilities and self._encoding_for[1] is session.enabled
        ):
            self._encoding_for = (capabilities, session.enabled)
            self._takes = Encoding(
                utf8=session.utf8,
                literal_plus="LITERAL+" in capabilities,
                literal_minus="LITERAL-" in capabilities or session.rev2,
            )
        return self._takes

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

    # Octets in.

    def get_buffer(self, size_hint: int = -1) -> memoryview | bytearray:
        """Return memory to receive into."""
        if self._sending.deflate is not None:
            return self._sending.deflate.buffer
        return self._reader.get_buffer(size_hint)

    def buffer_updated(self, nbytes: int) -> None:
        """Take the `nbytes` octets that were received into the last buffer."""
        self._counters.octets_in += nbytes
        if self._sent:
            self._sent = False
            self._counters.round_trips += 1
        if self.error is not None:
            return
        if self._tls_next:
            self.fail(_injected())
            return
        try:
            deflate = self._sending.deflate
            if deflate is not None:
                self._receive_compressed(deflate, memoryview(deflate.buffer)[:nbytes])
            else:
                self._reader.buffer_updated(nbytes)
                self._receive()
        except Exception as exc:  # whatever it was, nobody must wait for ever
            self.fail(exc)

    def eof_received(self) -> None:
        """Take the end of the stream."""
        if self.error is None:
            self.fail(self._hung_up())

    def _hung_up(self) -> Disconnected:
        said = f": {self._bye}" if self._bye else "" if self.greeting.done else " before it greeted"
        return Disconnected(f"the server closed the connection{said}")

    def tls_started(self) -> None:
        """Note that the driver has TLS: from the start, or after the OK of STARTTLS."""
        self._tls_next = False
        self.session.tls = True

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

    def next_event(self) -> Event | None:
        """Return the oldest unsolicited response that was not taken yet, or None."""
        event = self._events.take()
        if isinstance(event, Reconnected):
            self.session.renumbered = False
        return event

    def successor(self) -> Protocol:
        """Return the protocol of a connection in the place of this one, which is dead.

        It goes on counting, and has the events that were not taken.
        """
        new = Protocol(self._limits)
        new._counters = self._counters
        new._events = self._events
        new._tags = self._tags
        new.before = self.session if self.established and self.before is None else self.before
        return new

    def restored(self) -> None:
        """Note that the state of the connection before is restored."""
        assert self.before is not None
        self._counters.reconnects += 1
        self._events.put(Reconnected(self.before.mailbox), 0)
        self.before = None

    @property
    def octets_sent(self) -> int:
        """Octets that the driver has taken."""
        return self._counters.octets_out

    @property
    def octets_heard(self) -> int:
        """Octets received, inflated where they came compressed: empty blocks say nothing."""
        deflate = self._sending.deflate
        return self._counters.octets_in if deflate is None else deflate.inflated

    def _receive_compressed(self, deflate: Deflate, data: memoryview | bytes) -> None:
        for piece in deflate.inflate(data):
            view = memoryview(piece)
            while view:
                buffer = self._reader.get_buffer(len(view))
                size = min(len(buffer), len(view))
                buffer[:size] = view[:size]
                self._reader.buffer_updated(size)
                view = view[size:]
                self._receive()
                if self.error is not None:
                    return
        if deflate.ended:
            self.eof_received()

    def _receive(self) -> None:
        reader = self._reader
        octets = reader.buffered
        while True:
            one_by_one = self._one_by_one()
            batch = reader.batch(1) if one_by_one else reader.batch()
            if not batch:
                break
            octets = 0
            news: list[bytes] = []
            as_lines = self.session.state is not State.CONNECTING and not log.isEnabledFor(logging.DEBUG)
            for item in batch:
                line = item[0] if as_lines and len(item) == 1 and not isinstance(item, list) else b""
                if line[:1] == b"*" and self._is_news(line):
                    news.append(line)
                    continue
                if news:
                    self._take_news(news)
                    news = []
                if isinstance(item, list):
                    self._take_rows(item)
                elif line and (tagged := self._plain_ok(line)) is not None:
                    self._counters.responses += 1
                    self._take_tagged(tagged)
                else:
                    self._take(item)
                if self._bye is not None and self.awaited() is None and self.session.state is not State.CONNECTING:
                    # Whether it hangs up or not: it has taken its leave, and has answered what it will.
                    self.eof_received()
                if self.error is not None:
                    return
            if news:
                self._take_news(news)
            if not reader.buffered:
                return
        skipped = octets - reader.buffered
        if skipped > 0 and not reader.in_response:  # empty lines, which the reader passes over
            self.unsolicited.count_empty_lines(skipped)

    def _plain_ok(self, line: bytes) -> Tagged | None:
        """Return the tagged OK that nearly every command ends by, without a code; None where it is anything else."""
        tag, _, rest = line.partition(b" ")
        if rest[:3] != b"OK " or rest[3:4] in _NO_TEXT or tag not in self._flight.by_tag:
            return None
        return Tagged(tag, "OK", None, rest[3:].decode("utf-8", "replace"))

    def _is_news(self, line: bytes) -> bool:
        """Whether `line` is a status response, EXISTS, RECENT or EXPUNGE that no command claims; it is learnt from."""
        found = _NEWS.match(line)
        if found is None:
            return False
        code, number, kind = found.groups()
        if (code or kind) and self._flight.claims_news:
            return False
        if kind is None:
            return True
        session = self.session
        kind = kind.upper()
        if kind == b"EXISTS":
            session.exists = int(number)
        elif kind == b"EXPUNGE":
            if not int(number):
                return False
            session.expunged(1)
        return True

    def _take_news(self, lines: list[bytes]) -> None:
        """Take responses that no command claims, as lines: a server may send a million of them."""
        octets = sum(map(len, lines))
        self._counters.responses += len(lines)
        self.unsolicited.count(len(lines), octets)
        self._events.put_lines(lines, octets)

    def _one_by_one(self) -> bool:
        """Whether what follows a response depends on it, so that each has to be framed on its own.

        After an OK may be TLS, or compressed octets, or a literal that is not for the file of the command it answers.
        """
        flight = self._flight
        if len(flight.by_tag) != 1:
            return False
        (pending,) = flight.by_tag.values()
        return pending.command.ends_encoding or pending.command.streams

    def _sink(self, sequence_number: int | None, uid: int | None, name: str, size: int) -> Any:
        for pending in self._flight.by_tag.values():
            if not pending.command.streams:
                continue
            if pending.command.abandoned:
                return _discard
            write = pending.command.sink(sequence_number, uid, name, size)
            if write is not None:
                return functools.partial(_write_awaited, pending, write)
        return None

    # Routing.

    def _take_rows(self, rows: list[FetchedMessage]) -> None:
        if log.isEnabledFor(logging.DEBUG):
            for row in rows:
                log.debug("S: %r", row)
        self._counters.responses += len(rows)
        if self.session.state is State.CONNECTING:
            raise _no_server(b"a FETCH response")
        for pending in self._flight.by_tag.values():
            others = pending.command.take_rows(rows)
            self.claimed += len(rows) - len(others)
            if len(others) < len(rows) and not pending.command.fetches:
                octets = sum(map(octets_of, rows)) - sum(map(octets_of, others))
                self._count_answers(pending, len(rows) - len(others), octets)
            rows = others
            if not rows:
                return
        for row in rows:
            self._put_event(row, octets_of(row))

    def _take(self, fragments: tuple[bytes, ...]) -> None:
        response = decode.response(fragments, utf8=self._encoding().utf8, depth=self._limits.depth)
        if log.isEnabledFor(logging.DEBUG):
            secret = isinstance(response, ContinuationRequest) and not self._sending.waiting
            log.debug("S: %s", "+ ***" if secret else fragments[0][:_SHOWN].decode("utf-8", "backslashreplace"))
        self._counters.responses += 1
        if isinstance(response, Tagged):
            self._take_tagged(response)
        elif isinstance(response, ContinuationRequest):
            self._take_continuation(response)
        elif self.session.state is State.CONNECTING:
            self._take_greeting(response, fragments[0])
        else:
            self._take_untagged(response, fragments)

    def _take_untagged(self, response: Response, fragments: tuple[bytes, ...]) -> None:
        self._learn(response)
        octets = sum(map(len, fragments))
        for pending in self._flight.by_tag.values():
            if pending.command.take(response):
                self.claimed += 1
                self._count_answers(pending, 1, octets)
                if is_expunge(response):
                    pending.expunged(self._events.put_so_far)
                return
        if isinstance(response, UnknownResponse) and response.defect is not None:
            if not response.name and not fragments[0].startswith(b"*"):
                # A line that nothing in the protocol begins with is most likely the rest of a literal that is
                # longer than announced, and what follows it as well: the text of a message, not the server's.
                raise ProtocolError(f"a line that is no response: {fragments[0][:80]!r}")
            for pending in self._flight.by_tag.values():
                if response.name in pending.command.answers:
                    pending.defect = f"{response.name}: {response.defect}"
        self._put_event(response, octets)

    def _take_greeting(self, response: Response, line: bytes) -> None:
        if not isinstance(response, StatusResponse):
            raise _no_server(line)
        if response.status not in ("OK", "PREAUTH"):
            raise _refused(response)
        self._learn(response)
        self.session.state = State.AUTHENTICATED if response.status == "PREAUTH" else State.NOT_AUTHENTICATED
        self.greeting.finish(response, None)

    def _learn(self, response: Response) -> None:
        session = self.session
        if isinstance(response, StatusResponse):
            if isinstance(response.response_code, CapabilityCode):
                session.learn_capabilities(response.response_code.capabilities)
            if response.status == "BYE":
                self._bye = response.text
        elif isinstance(response, Capabilities):
            session.learn_capabilities(response.names)
        elif isinstance(response, Exists):
            session.exists = response.count
        elif is_expunge(response):
            session.expunged(len(response.uids) if isinstance(response, Vanished) else 1)
        elif isinstance(response, ServerID):
            session.server_id = dict(response.fields)

    def _take_continuation(self, request: ContinuationRequest) -> None:
        if self._sending.waiting:
            self._sending.waiting = False
            self.claimed += 1
            return
        alone = False
        for pending in self._flight.by_tag.values():
            line = pending.command.answer(request)
            if line is not None:
                pending.challenges += 1
                if pending.challenges > self._limits.challenges:
                    raise TooManyChallenges(f"more than {self._limits.challenges} SASL challenges")
                log.debug("C: ***")
                self.claimed += 1
                self._sending.put(line + b"\r\n")
                return
            alone = alone or pending.command.kind is None
        self.unsolicited.count_continuation_request()
        if alone:
            self.unsolicited.count(1, len(request.octets))
        else:
            self._put_event(request, len(request.octets))

    def _take_tagged(self, tagged: Tagged) -> None:
        pending = self._flight.by_tag.get(tagged.tag)
        if pending is None:
            raise ProtocolError(f"an answer to a command that was not sent: {tagged.tag[:40]!r} {tagged.status}")
        self.claimed += 1
        command = pending.command
        sending = self._sending
        if pending is sending.pending:
            if tagged.status == "OK":
                raise ProtocolError(f"{command.name} was answered before it was sent in full")
            if not sending.waiting:  # the server takes the rest of the literal all the same (RFC 7888, section 4)
                sending.early = tagged
                return
            sending.end()  # the literal is refused
        self._flight.land(pending)
        if command.streams and not self._flight.streaming:
            self._reader.set_sink(None)
        self.unsolicited.answered()
        if tagged.response_code is not None and isinstance(tagged.response_code, CapabilityCode):
            self.session.learn_capabilities(tagged.response_code.capabilities)
        value: Any = None
        error: Exception | None = None
        try:
            if tagged.status == "OK" and pending.defect is not None:
                error = ParseError(f"the server's answer to {command.name} can't be read: {pending.defect}")
            elif tagged.status == "OK":
                value = command.succeed(tagged, self.session)
                if command.ends_encoding:
                    self._begin_layer()
            elif tagged.status == "BAD" and not command.abandoned and self._send_shorter(pending):
                return
            else:
                error = command.fail(tagged, self.session)
        except Exception as exc:  # a file's own error (FetchInto) too
            error = exc
        if pending.expunged_at is not None and (error is not None or command.abandoned):
            self._events.put_back(pending.expunged_at, command.unreturned())
        if error is not None and isinstance(error, (ProtocolError, ConnectionLost)):
            self.fail(error)
        if error is None and command.changes_capabilities and self.session.listings == self._listings:
            self._ask_for_capabilities(pending, value)
        else:
            self._finish(pending, value, error)

    def _send_shorter(self, pending: Pending[Any]) -> bool:
        """Whether a command that the server calls BAD may have been too long, and is sent in two parts.

        The limit that is learnt in this way is kept, unless the parts are BAD too.
        """
        session = self.session
        limit = session.line_limit
        if pieces := pending.command.pieces(limit):  # another command has taught it meanwhile
            send_in_pieces(pending, pieces, session, self._queue)
            return True
        shorter = limit // 2
        while shorter >= _SHORTEST_LINE and not (pieces := pending.command.pieces(shorter)):
            shorter //= 2
        if shorter < _SHORTEST_LINE:
            return False
        session.line_limit = shorter

        def failed() -> None:
            session.line_limit = limit

        send_in_pieces(pending, pieces, session, self._queue, failed)
        return True

    def _ask_for_capabilities(self, pending: Pending[Any], value: Any) -> None:
        """Finish `pending` when the server has listed the capabilities that count from here on."""
        self.session.capabilities = frozenset()
        asked = Pending(Capability())

        def finish() -> None:
            pending.finish(value, None if isinstance(asked.error, CommandError) else asked.error)

        asked.on_done = finish
        self._queue.appendleft(asked)

    def _begin_layer(self) -> None:
        if self.session.compressed and self._sending.deflate is None:
            rest = self._reader.take_rest()
            self._sending.deflate = deflate = Deflate()
            if rest:
                self._receive_compressed(deflate, rest)
        elif not self.session.compressed:
            if self._reader.buffered:
                raise _injected()
            while self.next_event() is not None:  # somebody else may have said that
                pass
            self._bye = None
            self._tls_next = True

    def _count_answers(self, pending: Pending[Any], number: int, octets: int) -> None:
        pending.answers += number
        pending.answers_octets += octets
        if pending.answers > self._limits.answers or pending.answers_octets > self._limits.answers_octets:
            raise TooManyAnswers(
                f"more than {self._limits.answers} responses to one {pending.command.name}, "
                f"or more than {self._limits.answers_octets} octets of them"
            )

    def _put_event(self, event: Event, octets: int) -> None:
        self.unsolicited.count(1, octets)
        self._events.put(event, octets)


def _discard(octets: memoryview) -> None:
    """Stand in for the file of a command that is not awaited any more: the file may be used for something else now."""


def _write_awaited(pending: Pending[Any], write: Callable[[memoryview], object], octets: memoryview) -> None:
    if not pending.command.abandoned:
        write(octets)


def _write_elsewhere(
    files: Files, pending: Pending[Any], write: Callable[[bytes], object], octets: memoryview | bytes
) -> None:
    files.write(pending, write, bytes(octets))


def _change(scope: Scope, session: Session) -> str:
    if scope[0] != session.selections:
        return "the mailbox was left"
    return "the connection was made anew" if session.renumbered else "messages were expunged"


def _injected() -> TLSError:
    return TLSError("octets in clear after the OK of STARTTLS: somebody may have put them there")


def _hint(command: Command[Any], state: State) -> str:
    """Return why `command` is not allowed in `state`, and what to do."""
    if state is State.NOT_AUTHENTICATED:
        return "nobody is logged in: give the client user= and password= or token=, or call login()"
    if state is State.AUTHENTICATED and State.SELECTED in command.states:
        return "no mailbox is selected: call select()"
    if state is State.SELECTED and State.AUTHENTICATED in command.states:
        return "a mailbox is selected: call unselect() or close_mailbox()"
    return "somebody is logged in already"


def _refused(greeting: StatusResponse) -> ConnectionLost:
    """Return the error for a server that greets with BYE, or with NO or BAD (IceWarp, MailKit#1073)."""
    code = f" [{greeting.response_code.name}]" if greeting.response_code is not None else ""
    delay = delay_in(greeting.text)
    again = f" (try again in {delay:g} s)" if delay else ""
    text = f"the server refuses connections: {greeting.status}{code} {greeting.text}{again}"
    error = Disconnected(text) if greeting.status == "BYE" else ConnectFailed(text)
    error.delay = delay
    return error


def _no_server(line: bytes) -> ConnectFailed:
    began = line[:80].decode("ascii", "backslashreplace")
    return ConnectFailed(f"this is no IMAP server: it began with {began!r}; check host and port", Advice.FIX)


class _Greeting(Command[StatusResponse]):
    name = "the greeting"
