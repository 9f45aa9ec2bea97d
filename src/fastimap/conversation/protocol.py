"""The conversation of one connection without I/O: states, the queue, and which response belongs to which command.

The contract with a driver, in full::

    submit(command) -> Pending     puts a command in the queue; `Pending.done`, `.result()`, `.on_done`
    data_to_send() -> buffers      what to write now, in this order; [] when there is nothing
    get_buffer() / buffer_updated(n) / eof_received()      what was read; the names of asyncio.BufferedProtocol
    next_event() -> Event | None   unsolicited responses
    fail(error)                    the connection is lost, or a deadline has passed: every command ends with `error`

A driver reads while it writes: a server that waits for its answers to be read would wait for ever. A command that is
not awaited any more is detached (`Pending.detach()`): its responses are drained, and the connection stays in step.

What is received, and to whom it belongs, is here; what is sent in :mod:`.outgoing`. What a command becomes is in
:mod:`.encoder`, what is written in :mod:`.sending`, which commands may overlap and whose a literal is in
:mod:`.overlap`, the greeting in :mod:`.greeting`, who may act on the selected mailbox in :mod:`.holding`, unsolicited
responses in :mod:`.events`, compression in :mod:`.deflate`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from .. import conversation
from ..commands.base import CONNECTING, Session, State
from ..commands.session import Capability
from ..errors import (
    CommandError,
    ConnectionLost,
    ParseError,
    ProtocolError,
    TLSError,
    TooManyChallenges,
)
from ..limits import CLIENT_LIMITS, Limits
from ..model._patterns import pattern
from ..model.response_codes import CapabilityCode
from ..model.responses import (
    ContinuationRequest,
    Response,
    StatusResponse,
    Tagged,
    UnknownResponse,
)
from ..model.row import FetchedMessage
from ..parser import ResponseReader
from ..wire import decode
from .events import Event, Reconnected, is_expunge, octets_of
from .greeting import learn, no_server, refused
from .log import is_logged, logger
from .outgoing import Counters, Outgoing
from .pending import Pending

if TYPE_CHECKING:
    from .deflate import Deflate

__all__ = ["Counters", "Event", "Pending", "Protocol"]

R = TypeVar("R")


_SHOWN = 1000
_NEWS = pattern(
    rb"\* (?:(?:OK|NO|BAD) (?:(?!\[)|(\[)(?!CAPABILITY))|([0-9]{1,9}) (EXISTS|RECENT|EXPUNGE)\Z)", re.IGNORECASE
)
"""What a server may say at any time, and as often as it likes: it is decoded when it is read."""
_NO_TEXT = (b"", b" ", b"[")


class Protocol(Outgoing):
    """One connection's conversation; see the module."""

    def __init__(self, limits: Limits = CLIENT_LIMITS) -> None:
        super().__init__(limits)
        self._reader = ResponseReader(limits)
        self._reader.set_tags(self._flight.by_tag)

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

    def tls_started(self) -> None:
        """Note that the driver has TLS: from the start, or after the OK of STARTTLS."""
        self._tls_next = False
        self.session.tls = True

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
        new._encoder.tags = self._encoder.tags
        new.before = self.session if self.established and self.before is None else self.before
        return new

    def restored(self) -> None:
        """Note that the state of the connection before is restored."""
        assert self.before is not None
        self._counters.reconnects += 1
        self._events.put(Reconnected(self.before.mailbox), 0)
        self.before: Session | None = None

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
            batch = reader.batch(1 if self._flight.one_by_one else 0)
            if not batch:
                break
            octets = 0
            news: list[bytes] = []
            logged = is_logged()
            as_lines = not logged and self.session.state is not CONNECTING
            for item in batch:
                line = item[0] if as_lines and len(item) == 1 and not isinstance(item, list) else b""
                if line[:1] == b"*" and self._is_news(line):
                    news.append(line)
                    continue
                if news:
                    self._take_news(news)
                    news = []
                if isinstance(item, list):
                    self._take_rows(item, logged)
                elif line and (tagged := self._plain_ok(line)) is not None:
                    self._counters.responses += 1
                    self._take_tagged(tagged)
                else:
                    self._take(item)
                if self._bye is not None and self.awaited() is None and self.session.state is not CONNECTING:
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

    # Routing.

    def _take_rows(self, rows: list[FetchedMessage], logged: bool) -> None:
        if logged:
            for row in rows:
                logger().debug("S: %r", row)
        self._counters.responses += len(rows)
        if self.session.state is CONNECTING:
            raise no_server(b"a FETCH response")
        for pending in self._flight.by_tag.values():
            others = pending.command.take_rows(rows)
            self.claimed += len(rows) - len(others)
            if len(others) < len(rows) and not pending.command.fetches:
                octets = sum(map(octets_of, rows)) - sum(map(octets_of, others))
                pending.count_answers(len(rows) - len(others), octets, self._limits)
            rows = others
            if not rows:
                return
        for row in rows:
            self._put_event(row, octets_of(row))

    def _take(self, fragments: tuple[bytes, ...]) -> None:
        response = decode.response(fragments, utf8=self._encoder.takes().utf8, depth=self._limits.depth)
        if is_logged():
            secret = isinstance(response, ContinuationRequest) and not self._sending.waiting
            logger().debug("S: %s", "+ ***" if secret else fragments[0][:_SHOWN].decode("utf-8", "backslashreplace"))
        self._counters.responses += 1
        if isinstance(response, Tagged):
            self._take_tagged(response)
        elif self.session.state is CONNECTING:
            self._take_greeting(response, fragments[0])
        elif isinstance(response, ContinuationRequest):
            self._take_continuation(response)
        else:
            self._take_untagged(response, fragments)

    def _take_untagged(self, response: Response, fragments: tuple[bytes, ...]) -> None:
        learn(self.session, response)
        if isinstance(response, StatusResponse) and response.status == "BYE":
            self._bye = response.text
        octets = sum(map(len, fragments))
        for pending in self._flight.by_tag.values():
            if pending.command.take(response):
                self.claimed += 1
                pending.count_answers(1, octets, self._limits)
                if is_expunge(response):
                    pending.expunged(self._events.put_so_far)
                return
        if isinstance(response, UnknownResponse) and response.defect is not None:
            if not response.name and not fragments[0].startswith(b"*") and self._flight.by_tag:
                # A line that nothing in the protocol begins with is most likely the rest of a literal that is
                # longer than announced, and what follows it as well: the text of a message, not the server's.
                # After an answer it is what some servers say twice: Exchange 2003 (libetpan#45), an early Proton
                # Bridge (Mailspring#429).
                raise ProtocolError(f"a line that is no response: {fragments[0][:80]!r}")
            for pending in self._flight.by_tag.values():
                if response.name in pending.command.answers:
                    pending.defect = f"{response.name}: {response.defect}"
        self._put_event(response, octets)

    def _take_greeting(self, response: Response, line: bytes) -> None:
        if not isinstance(response, StatusResponse):
            raise no_server(line)
        if response.status not in ("OK", "PREAUTH"):
            raise refused(response)
        learn(self.session, response)
        self.session.state = State.AUTHENTICATED if response.status == "PREAUTH" else State.NOT_AUTHENTICATED
        self.greeting.finish(response, None)

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
                if is_logged():
                    logger().debug("C: ***")
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
            elif (
                tagged.status == "BAD"
                and not command.abandoned
                and conversation.pieces.send_shorter(pending, self.session, self._queue)
            ):
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
        elif self.files is None:
            pending.finish(value, error)
        else:
            self._finish(pending, value, error)

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
            from .deflate import Deflate  # few servers have it

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

    def _put_event(self, event: Event, octets: int) -> None:
        self.unsolicited.count(1, octets)
        self._events.put(event, octets)


def _injected() -> TLSError:
    return TLSError("octets in clear after the OK of STARTTLS: somebody may have put them there")
