"""The conversation of one connection without I/O: tags, states, commands in flight, literals, routing.

The contract with a driver, in full::

    submit(command) -> Pending     puts a command in the queue; `Pending.done`, `.result()`, `.on_done`
    data_to_send() -> buffers      what to write now, in this order; [] when there is nothing
    get_buffer() / buffer_updated(n) / eof_received()      what was read; the names of asyncio.BufferedProtocol
    next_event() -> Event | None   what the server said unasked
    fail(error)                    the driver lost the connection or its patience: every command ends with `error`

A driver reads while it writes: a server that waits for its answers to be read would wait for ever. A command that is
not awaited any more is detached (`Pending.detach()`): its responses are drained, and the connection stays in step.
"""

from __future__ import annotations

import functools
import heapq
import logging
import operator
import secrets
import zlib
from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from ..commands.base import Command, Session, State
from ..errors import (
    Advice,
    CapabilityMissing,
    ConnectFailed,
    ConnectionLost,
    Disconnected,
    ParseError,
    ProtocolError,
    StateError,
    TLSError,
    TooManyAnswers,
    TooManyChallenges,
    TooManyUnasked,
)
from ..limits import CLIENT_LIMITS, Limits
from ..model.message import FetchedMessage
from ..model.response_codes import CapabilityCode
from ..model.responses import (
    Capabilities,
    ContinuationRequest,
    Exists,
    ExpungeResponse,
    Recent,
    Response,
    ServerID,
    StatusResponse,
    Tagged,
    UnknownResponse,
    Vanished,
)
from ..parser import ResponseReader
from ..wire import decode
from ..wire.encode import Encoded, Encoding, Wait, encode

__all__ = ["Counters", "Event", "Pending", "Protocol"]

R = TypeVar("R")
Event = Response | FetchedMessage

log = logging.getLogger("fastimap")

# More commands in flight gain nothing: this many cover a round trip of a second at 1,000 answers a second.
_MAX_IN_FLIGHT = 1000
# What data_to_send() hands over at once: so much that was taken is progress, for a deadline.
_SEND_SIZE = 64 * 1024
_INFLATE_STEP = 1024 * 1024
_COMPRESSED_BUFFER = 64 * 1024
# Events that nobody collects, which also have no more octets than Limits.unasked_octets, and take about _HELD times as
# much memory at most; then the oldest go, and Counters.events_dropped says how many.
_MAX_EVENTS = 100_000
_HELD = 4
# Octets of memory for one octet of a response, where that is all numbers or short words: measured.
_DECODED = 32
_RANGES = 14
_OBJECT = 64
_SHOWN = 1000

# Kinds of commands that may be in flight together (RFC 9051, section 5.5). Those of one kind additionally have
# disjoint `ranges()`. All else goes alone.
_TOGETHER = {
    frozenset(pair)
    for pair in (
        ("fetch",),
        ("fetch-by-number",),
        ("store",),
        ("search",),
        ("append",),
        ("noop",),
        ("fetch", "search"),
        ("fetch", "append"),
        ("fetch", "noop"),
        ("search", "append"),
    )
}


class Pending(Generic[R]):
    """A command on its way; `result()` once it is `done`."""

    __slots__ = (
        "answers",
        "answers_octets",
        "asked_for",
        "challenges",
        "command",
        "defect",
        "detached",
        "done",
        "error",
        "expunged_at",
        "on_done",
        "spans",
        "value",
    )

    def __init__(self, command: Command[R]) -> None:
        self.command = command
        self.spans: tuple[tuple[int, int], ...] = ()
        self.answers = self.answers_octets = self.challenges = 0
        # For each expunge that the command claimed: how many events were there before.
        self.expunged_at = array("Q")
        self.done = False
        self.detached = False
        self.defect: str | None = None
        self.error: Exception | None = None
        self.value: R | None = None
        self.on_done: Callable[[], None] | None = None
        self.asked_for = True
        """Whether somebody has asked for the result: an error that nobody asks for is logged."""

    def __repr__(self) -> str:
        state = "in flight" if not self.done else "done" if self.error is None else f"failed: {self.error}"
        return f"<Pending {self.command.name}: {state}>"

    def __del__(self) -> None:
        if not self.asked_for and self.error is not None:
            log.warning("an error of a pipeline that nobody asked for: %s", self.error)

    def result(self) -> R:
        """Return the command's result, or raise its error."""
        if not self.done:
            raise RuntimeError(f"{self.command.name} has no answer yet: ask for it behind the pipeline's block")
        self.asked_for = True
        if self.error is not None:
            raise self.error
        return cast(R, self.value)

    def detach(self) -> None:
        """Nobody waits any more: not sent if it has not been begun, else drained."""
        self.detached = self.command.abandoned = True
        self.on_done = None

    def _finish(self, value: R | None, error: Exception | None) -> None:
        if self.done:
            return
        self.value = value
        self.error = error
        self.done = True
        if self.on_done is not None:
            self.on_done()


@dataclass(slots=True)
class Counters:
    """What went over one connection."""

    octets_in: int = 0
    octets_out: int = 0
    commands: int = 0
    responses: int = 0
    """Responses received; a run of FETCH responses in one buffer counts its rows."""
    round_trips: int = 0
    """How often the connection turned from sending to receiving."""
    events_dropped: int = 0


class Protocol:
    """One connection's conversation; see the module."""

    def __init__(self, limits: Limits = CLIENT_LIMITS) -> None:
        self.session = Session()
        self.counters = Counters()
        self.error: Exception | None = None
        """Why the connection is dead."""
        self.greeting: Pending[StatusResponse] = Pending(_Greeting())
        self.logged_out = False
        self._limits = limits
        self._reader = ResponseReader(limits)
        self._queue: deque[Pending[Any]] = deque()
        self._flight: dict[bytes, Pending[Any]] = {}
        self._kinds: dict[str | None, int] = {}
        self._busy: dict[str, list[tuple[int, int]]] = {}
        self._writing: Pending[Any] | None = None
        self._fragments: Iterator[Any] = iter(())
        self._may_change = False
        self._waiting = False  # for the go-ahead for a literal
        self._early: Tagged | None = None  # the answer to a command of which a literal is still to be sent
        self._output: deque[bytes | memoryview] = deque()
        self._events: deque[tuple[Event, int, int]] = deque()  # with its octets, and its memory
        self._events_put = 0
        self._event_octets = self._event_memory = 0
        self._unasked = 0
        self._unasked_octets = 0
        self._bye: str | None = None
        self._sent = False
        self._tls_next = False
        self._inflate: Any = None
        self._inflated = 0
        self._deflate: Any = None
        self._compressed = bytearray()

    # Commands in.

    def submit(self, command: Command[R]) -> Pending[R]:
        """Put `command` in the queue; it is sent as soon as what is in flight allows."""
        if self.error is not None:
            raise self.dead()
        pending = Pending(command)
        self._queue.append(pending)
        return pending

    def dead(self) -> Exception:
        """Return the error for whoever uses a connection that is dead."""
        assert self.error is not None
        error = self.error
        if self.logged_out:
            return StateError("the client has logged out: reconnect() connects anew")
        # A late Timeout would tell of a deadline that nobody ran over now.
        kind = type(error) if isinstance(error, (ConnectFailed, TLSError)) else Disconnected
        return kind(f"the connection is closed: {error}")

    @property
    def idle(self) -> bool:
        """Whether nothing is queued, in flight or half written."""
        return not (self._queue or self._flight or self._output)

    @property
    def in_flight(self) -> int:
        """Number of commands sent, or being sent, and not answered."""
        return len(self._flight)

    @property
    def sending(self) -> bool:
        """Whether there is more to send, and nothing but the driver to wait for."""
        return bool(self._output) or (self._writing is not None and not self._waiting)

    def awaited(self) -> Command[Any] | None:
        """Return the oldest command that the server owes an answer, or None."""
        for pending in self._flight.values():
            if not pending.command.lasting:
                return pending.command
        return None

    def interrupt(self) -> None:
        """End a command that lasts until then: IDLE. One that is queued behind it does so too."""
        for pending in self._flight.values():
            line = pending.command.interrupt()
            if line is not None:
                self._put(line + b"\r\n")

    # Octets out.

    def data_to_send(self) -> list[bytes | memoryview]:
        """Return what to write now, 64 KiB at most; the caller writes all of it, and asks again."""
        out: list[bytes | memoryview] = []
        size = 0
        if self.error is not None:
            return out
        while size < _SEND_SIZE:
            if self._output:
                chunk = self._output.popleft()
                if len(chunk) > _SEND_SIZE - size:
                    view = memoryview(chunk)
                    chunk = view[: _SEND_SIZE - size]
                    self._output.appendleft(view[len(chunk) :])
                size += len(chunk)
                out.append(chunk)
            elif self._writing is not None:
                if self._waiting:
                    break
                self._write_on()
            elif not self._start_next():
                break
            if self.error is not None:
                return []
        if out:
            self._sent = True
            self.counters.octets_out += size
        return out

    def _start_next(self) -> bool:
        while self._queue:
            pending = self._queue[0]
            if pending.detached:
                self._queue.popleft()
                continue
            if self._bye is not None:  # what is in flight may still be answered
                self._queue.popleft()
                pending._finish(None, self._hung_up())
                continue
            if not self._may_start(pending.command):
                self.interrupt()
                return bool(self._output)
            self._queue.popleft()
            try:
                encoded = self._encoded(pending)
            except Exception as exc:  # a wrong argument, state or capability: nothing was sent
                pending._finish(None, exc)
                continue
            if encoded is not None:
                self._start(pending, encoded)
            return True
        return False

    def _may_start(self, command: Command[Any]) -> bool:
        if self.session.state is State.CONNECTING:
            return False
        if not self._flight:
            return True
        if len(self._flight) >= _MAX_IN_FLIGHT or command.kind is None:
            return False
        for kind in self._kinds:
            if kind is None or frozenset((kind, command.kind)) not in _TOGETHER:
                return False
        busy = self._busy.get(command.kind)
        return not busy or not any(_overlaps(busy, low, high) for low, high in command.ranges(self.session))

    def _encoded(self, pending: Pending[Any]) -> Encoded | None:
        """Return what is to be sent, None where there is nothing to do."""
        command = pending.command
        session = self.session
        if command.tag:
            raise ValueError(f"this {command.name} was sent before, and holds its result: make a new one")
        if session.state not in command.states:
            raise StateError(f"{command.name} is not allowed now: {_hint(command, session.state)}")
        if command.scope is not None and not session.within(command.scope):
            raise StateError(
                f"{command.name} was not sent: since its messages were numbered "
                + ("the mailbox was left" if command.scope[0] != session.selections else "messages were expunged")
                + ", and the numbers mean others now"
            )
        for capability in command.requires(session):
            if not session.has(capability):
                raise CapabilityMissing(command.name, capability)
        parts = command.parts(session)
        if command.nothing_to_do:
            pending._finish(command.empty(), None)
            return None
        tag = b"T%X%s" % (self.counters.commands, secrets.token_hex(3).upper().encode())
        command.tag = tag
        capabilities = session.capabilities
        encoding = Encoding(
            utf8=session.utf8,
            literal_plus="LITERAL+" in capabilities,
            literal_minus="LITERAL-" in capabilities or session.rev2,
        )
        encoded = encode(tag, parts, encoding)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("C: %s", encoded.log_form)
        return encoded

    def _start(self, pending: Pending[Any], encoded: Encoded) -> None:
        command = pending.command
        self.counters.commands += 1
        self._fragments = iter(encoded)
        self._may_change = encoded.may_change
        self._writing = pending
        self._flight[command.tag] = pending
        self._kinds[command.kind] = self._kinds.get(command.kind, 0) + 1
        if command.kind is not None:
            busy = self._busy.setdefault(command.kind, [])
            pending.spans = command.ranges(self.session)
            for span in pending.spans:
                insort(busy, span)
        if type(command).sink is not Command.sink:
            self._reader.set_sink(self._sink)

    def _write_on(self) -> None:
        pending = self._writing
        assert pending is not None
        if pending.detached and self._may_change:
            # The file, or the buffer, may be used for something else now: a wrong message is worse than no connection.
            self._fragments = iter(())  # a buffer is the caller's again
            self.fail(Disconnected(f"{pending.command.name} was given up while its message was sent"))
            return
        try:
            fragment = next(self._fragments, None)
        except BaseException as exc:  # the caller's file: the command is half sent, and can't be taken back
            if isinstance(exc, Exception):
                pending._finish(None, exc)
            self.fail(Disconnected(f"{pending.command.name} was cut short: {exc}"))
            if not isinstance(exc, Exception):
                raise
            return
        early = self._early
        if early is not None and not isinstance(fragment, (bytes, memoryview)):
            self._writing = self._early = None
            self._take_tagged(early)
        elif fragment is None:
            self._writing = None
        elif isinstance(fragment, Wait):
            self._waiting = True
        else:
            self._put(fragment)

    def _put(self, chunk: bytes | memoryview) -> None:
        if self._deflate is not None:
            chunk = self._deflate.compress(chunk) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._output.append(chunk)

    # Octets in.

    def get_buffer(self, size_hint: int = -1) -> memoryview | bytearray:
        """Return memory to receive into."""
        if self._inflate is not None:
            return self._compressed
        return self._reader.get_buffer(size_hint)

    def buffer_updated(self, nbytes: int) -> None:
        """Take the `nbytes` octets that were received into the last buffer."""
        self.counters.octets_in += nbytes
        if self._sent:
            self._sent = False
            self.counters.round_trips += 1
        if self.error is not None:
            return
        if self._tls_next:
            self.fail(_injected())
            return
        try:
            if self._inflate is not None:
                self._receive_compressed(memoryview(self._compressed)[:nbytes])
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
        """The driver has TLS: from the start, or behind the OK of STARTTLS."""
        self._tls_next = False
        self.session.tls = True

    def fail(self, error: Exception) -> None:
        """End every command with `error`; the connection is dead."""
        if self.error is not None:
            return
        self.error = error
        pendings = [self.greeting, *self._flight.values(), *self._queue]
        self._flight.clear()
        self._queue.clear()
        self._output.clear()
        self._writing = None
        self.session.state = State.LOGOUT
        for pending in pendings:
            pending._finish(None, error)

    def next_event(self) -> Event | None:
        """Return the oldest of what the server said unasked, or None."""
        if not self._events:
            return None
        event, octets, memory = self._events.popleft()
        self._event_octets -= octets
        self._event_memory -= memory
        return event

    @property
    def octets_heard(self) -> int:
        """Octets received, inflated where they came compressed: empty blocks say nothing."""
        return self.counters.octets_in if self._inflate is None else self._inflated

    def _receive_compressed(self, data: memoryview) -> None:
        octets: Any = data
        while True:
            try:
                piece = self._inflate.decompress(octets, _INFLATE_STEP)
            except zlib.error as exc:
                raise ProtocolError(f"the compressed stream is broken: {exc}") from exc
            octets = self._inflate.unconsumed_tail
            self._inflated += len(piece)
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
            if self._inflate.eof:  # nothing can come behind it
                self.eof_received()
                return
            if not octets and len(piece) < _INFLATE_STEP:
                return

    def _receive(self) -> None:
        reader = self._reader
        octets = reader.buffered
        while True:
            batch = reader.batch(1) if self._one_by_one() else reader.batch()
            if not batch:
                break
            octets = 0
            for item in batch:
                if isinstance(item, list):
                    self._take_rows(item)
                else:
                    self._take(item)
                if self._bye is not None and self.awaited() is None and self.session.state is not State.CONNECTING:
                    # Whether it hangs up or not: it has taken its leave, and has answered what it will.
                    self.eof_received()
                if self.error is not None:
                    return
        skipped = octets - reader.buffered
        if skipped > 0 and not reader.in_response:  # empty lines, which the reader passes over
            self._count_unasked(skipped // 2, skipped)

    def _one_by_one(self) -> bool:
        """Whether what is behind a response depends on it, so that each has to be framed on its own.

        Behind an OK may be TLS, or compressed octets, or a literal that is not for the file of the command it answers.
        """
        if len(self._flight) != 1:
            return False
        (pending,) = self._flight.values()
        return pending.command.ends_encoding or type(pending.command).sink is not Command.sink

    def _sink(self, head: bytes, size: int) -> Any:
        for pending in self._flight.values():
            if pending.detached:
                if type(pending.command).sink is not Command.sink:
                    return _discard
                continue
            write = pending.command.sink(head, size)
            if write is not None:
                return functools.partial(_write_awaited, pending, write)
        return None

    # Routing.

    def _take_rows(self, rows: list[FetchedMessage]) -> None:
        if log.isEnabledFor(logging.DEBUG):
            for row in rows:
                log.debug("S: %r", row)
        self.counters.responses += len(rows)
        if self.session.state is State.CONNECTING:
            raise _no_server(b"a FETCH response")
        for pending in self._flight.values():
            others = pending.command.take_rows(rows)
            if len(others) < len(rows) and not pending.command.fetches:
                octets = sum(map(_octets, rows)) - sum(map(_octets, others))
                self._count_answers(pending, len(rows) - len(others), octets)
            rows = others
            if not rows:
                return
        for row in rows:
            self._unasked_event(row, _octets(row))

    def _take(self, fragments: tuple[bytes, ...]) -> None:
        response = decode.response(fragments, utf8=self.session.utf8)
        if log.isEnabledFor(logging.DEBUG):
            secret = isinstance(response, ContinuationRequest) and not self._waiting
            log.debug("S: %s", "+ ***" if secret else fragments[0][:_SHOWN].decode("utf-8", "backslashreplace"))
        self.counters.responses += 1
        if isinstance(response, Tagged):
            self._take_tagged(response)
        elif isinstance(response, ContinuationRequest):
            self._take_continuation(response)
        elif self.session.state is State.CONNECTING:
            self._take_greeting(response, fragments[0])
        else:
            self._learn(response)
            octets = sum(map(len, fragments))
            for pending in self._flight.values():
                if pending.command.take(response):
                    self._count_answers(pending, 1, octets)
                    if _is_expunge(response):
                        pending.expunged_at.append(self._events_put)
                    return
            if isinstance(response, UnknownResponse) and response.defect is not None:
                if not response.name and not fragments[0].startswith(b"*"):
                    # A line that nothing in the protocol begins with is most likely the rest of a literal that is
                    # longer than announced, and what follows it as well: the text of a message, not the server's.
                    raise ProtocolError(f"a line that is no response: {fragments[0][:80]!r}")
                for pending in self._flight.values():
                    if response.name in pending.command.answers:
                        pending.defect = f"{response.name}: {response.defect}"
            self._unasked_event(response, octets)

    def _take_greeting(self, response: Response, line: bytes) -> None:
        if not isinstance(response, StatusResponse) or response.status not in ("OK", "PREAUTH", "BYE"):
            raise _no_server(line)
        if response.status == "BYE":
            raise Disconnected(f"the server refuses connections: {response.text}")
        self._learn(response)
        self.session.state = State.AUTHENTICATED if response.status == "PREAUTH" else State.NOT_AUTHENTICATED
        self.greeting._finish(response, None)

    def _learn(self, response: Response) -> None:
        session = self.session
        if isinstance(response, StatusResponse):
            if isinstance(response.response_code, CapabilityCode):
                session.capabilities = response.response_code.capabilities
            if response.status == "BYE":
                self._bye = response.text
        elif isinstance(response, Capabilities):
            session.capabilities = response.names
        elif _is_expunge(response):
            session.expunges += 1
        elif isinstance(response, ServerID):
            session.server_id = dict(response.fields)

    def _take_continuation(self, request: ContinuationRequest) -> None:
        if self._waiting:
            self._waiting = False
            return
        for pending in self._flight.values():
            line = pending.command.answer(request)
            if line is not None:
                pending.challenges += 1
                if pending.challenges > self._limits.challenges:
                    raise TooManyChallenges(f"more than {self._limits.challenges} SASL challenges")
                log.debug("C: ***")
                self._put(line + b"\r\n")
                return
        if any(pending.command.kind is None for pending in self._flight.values()):
            self._count_unasked(1, len(request.octets))
        else:
            self._unasked_event(request, len(request.octets))

    def _take_tagged(self, tagged: Tagged) -> None:
        pending = self._flight.get(tagged.tag)
        if pending is None:
            raise ProtocolError(f"an answer to a command that was not sent: {tagged.tag[:40]!r} {tagged.status}")
        command = pending.command
        if pending is self._writing:
            if tagged.status == "OK":
                raise ProtocolError(f"{command.name} was answered before it was sent in full")
            if not self._waiting:  # the server takes the rest of the literal all the same (RFC 7888, section 4)
                self._early = tagged
                return
            self._writing = None  # the literal is refused
            self._fragments = iter(())
            self._waiting = False
        del self._flight[tagged.tag]
        self._land(pending)
        self._unasked = self._unasked_octets = 0
        if isinstance(tagged.response_code, CapabilityCode):
            self.session.capabilities = tagged.response_code.capabilities
        value: Any = None
        error: Exception | None = None
        try:
            if tagged.status == "OK" and pending.defect is not None:
                error = ParseError(f"the server's answer to {command.name} can't be read: {pending.defect}")
            elif tagged.status == "OK":
                value = command.succeed(tagged, self.session)
                if command.ends_encoding:
                    self._begin_layer()
            else:
                error = command.fail(tagged, self.session)
        except Exception as exc:  # a file's own error (FetchInto) too
            error = exc
        if pending.expunged_at and (error is not None or pending.detached):
            self._put_back(pending)
        if isinstance(error, (ProtocolError, ConnectionLost)):
            self.fail(error)
        pending._finish(value, error)

    def _land(self, pending: Pending[Any]) -> None:
        command = pending.command
        count = self._kinds[command.kind] - 1
        if count:
            self._kinds[command.kind] = count
        else:
            del self._kinds[command.kind]
        if command.kind is not None:
            busy = self._busy[command.kind]
            for span in pending.spans:
                del busy[bisect_left(busy, span)]
        if type(command).sink is not Command.sink and not any(
            type(other.command).sink is not Command.sink for other in self._flight.values()
        ):
            self._reader.set_sink(None)

    def _begin_layer(self) -> None:
        if self.session.compressed and self._inflate is None:
            rest = self._reader.take_rest()
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            self._compressed = bytearray(_COMPRESSED_BUFFER)
            if rest:
                self._receive_compressed(memoryview(rest))
        elif not self.session.compressed:
            if self._reader.buffered:
                raise _injected()
            while self.next_event() is not None:  # anybody may have said that
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

    def _count_unasked(self, number: int, octets: int) -> None:
        self._unasked += number
        self._unasked_octets += octets
        if self._unasked > self._limits.unasked or self._unasked_octets > self._limits.unasked_octets:
            raise TooManyUnasked(
                f"more than {self._limits.unasked} responses that nobody asked for, "
                f"or more than {self._limits.unasked_octets} octets of them"
            )

    def _unasked_event(self, event: Event, octets: int) -> None:
        self._count_unasked(1, octets)
        self._put_event(event, octets)

    def _put_back(self, pending: Pending[Any]) -> None:
        """Make events of the expunges that nobody gets as a result.

        Each where it came: it changes which messages the sequence numbers behind it mean, and how many EXISTS counts.
        """
        events, self._events = self._events, deque()
        first = self._events_put - len(events)
        self._event_octets = self._event_memory = 0
        numbered = ((first + index, event, octets) for index, (event, octets, _) in enumerate(events))
        expunges = (
            (
                place,
                response,
                _octets(response.uids.ranges) if isinstance(response, Vanished) else len("* 1 EXPUNGE\r\n"),
            )
            for place, response in zip(pending.expunged_at, pending.command.unreturned(), strict=False)
        )
        for _, event, octets in heapq.merge(expunges, numbered, key=operator.itemgetter(0)):
            self._put_event(event, octets)

    def _put_event(self, event: Event, octets: int) -> None:
        memory = _memory(event, octets)
        self._events.append((event, octets, memory))
        self._events_put += 1
        self._event_octets += octets
        self._event_memory += memory
        most = self._limits.unasked_octets
        while len(self._events) > _MAX_EVENTS or self._event_octets > most or self._event_memory > _HELD * most:
            self.next_event()
            self.counters.events_dropped += 1


def _is_expunge(response: Response) -> bool:
    """Whether sequence numbers mean other messages now."""
    return isinstance(response, ExpungeResponse) or (isinstance(response, Vanished) and not response.earlier)


def _discard(octets: memoryview) -> None:
    """Stand in for the file of a command that nobody awaits any more: the file may be used for something else now."""


def _write_awaited(pending: Pending[Any], write: Callable[[memoryview], object], octets: memoryview) -> None:
    if not pending.detached:
        write(octets)


def _injected() -> TLSError:
    return TLSError("octets behind the OK of STARTTLS, in clear: somebody may have put them there")


def _hint(command: Command[Any], state: State) -> str:
    """Return why `command` is not allowed in `state`, and what to do."""
    if state is State.NOT_AUTHENTICATED:
        return "nobody is logged in: give the client user= and password= or token=, or call login()"
    if state is State.AUTHENTICATED and State.SELECTED in command.states:
        return "no mailbox is selected: call select()"
    if state is State.SELECTED and State.AUTHENTICATED in command.states:
        return "a mailbox is selected: call unselect() or close_mailbox()"
    return "somebody is logged in already"


def _no_server(line: bytes) -> ConnectFailed:
    began = line[:80].decode("ascii", "backslashreplace")
    return ConnectFailed(f"this is no IMAP server: it began with {began!r}; check host and port", Advice.FIX)


class _Greeting(Command[StatusResponse]):
    name = "the greeting"


def _octets(value: object) -> int:
    """Return about how many octets a server needs to say `value`: a row, or what is in it."""
    if isinstance(value, (bytes, str)):
        return len(value) + 2
    if isinstance(value, (tuple, frozenset)):
        return 2 + sum(map(_octets, value))
    return 0 if value is None else 8


def _memory(event: Event, octets: int) -> int:
    """Return about how much memory an event takes beyond its object, of which there are few enough."""
    if isinstance(event, FetchedMessage):
        return _held(event)
    if isinstance(event, (UnknownResponse, ContinuationRequest, Exists, ExpungeResponse, Recent)):
        return octets
    return octets * (_RANGES if isinstance(event, Vanished) else _DECODED)


def _held(value: object) -> int:
    if isinstance(value, (bytes, str)):
        return len(value) + _OBJECT
    if isinstance(value, (tuple, frozenset)):
        return _OBJECT + sum(map(_held, value))
    return 0 if value is None else _OBJECT // 2


def _overlaps(busy: list[tuple[int, int]], low: int, high: int) -> bool:
    """Whether one of the sorted, disjoint ranges in `busy` has a number in common with `low` to `high`."""
    index = bisect_left(busy, (low, 0))
    return (index < len(busy) and busy[index][0] <= high) or (index > 0 and busy[index - 1][1] >= low)
