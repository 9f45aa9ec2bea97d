"""The reader: octets in, lines, literals and responses out; the twin of ``_parser_pyx/reader.pxi``."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Container
from typing import Any, TypeAlias

from ..errors import LineTooLong, LiteralTooLarge, ProtocolError, ResponseTooLarge, TooManyLiterals
from ..limits import READER_LIMITS, Limits
from ..model.message import FetchedMessage, Streamed
from .fetch import fetch, section_name
from .tokens import _MAX_SIZE, _announced, _is_status_line, _is_tagged, _Outline, _shown

__all__ = ["ResponseReader", "Sink", "Write"]

Write: TypeAlias = Callable[[memoryview], object]
Sink: TypeAlias = Callable[[int | None, int | None, str, int], Write | None]

# One receive buffer a connection: more gains nothing against real servers (they write 4 to 32 KiB at a time).
_BUFFER_SIZE = 256 * 1024
# A literal of at most this size is received with the lines around it and copied once; that costs no more
# than receiving it in place, and saves system calls.
_IN_PLACE = 64 * 1024
# The memory of such a literal: this much to begin with, then this many times what has arrived, however much is
# announced. Each step may make the allocator copy what is there.
_FIRST_ROOM = 1024 * 1024
_GROWTH = 4
# So far is a line of a FETCH response looked for the end of a quoted string in which a line break stands.
_JOINED = 64 * 1024
# What the response that is half framed is for.
_RESPONSES, _BATCH, _DRAIN = range(3)

# The untagged data responses, which drain() stores; all else is for its caller. "." excludes LF alone.
_DATA_RESPONSE = re.compile(rb"\* (?:([0-9]+) )?([A-Z-]+)(?: (.*))?\r\n\Z")
_STATUS = frozenset((b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"))
_CONDITIONS = frozenset((b"OK", b"NO", b"BAD"))


class ResponseReader:
    """Frames the octets of one connection into responses; see :mod:`fastimap.parser`."""

    def __init__(self, limits: Limits = READER_LIMITS) -> None:
        self._line_limit = min(limits.line, _MAX_SIZE)
        self._literal_limit = min(limits.literal, _MAX_SIZE)
        self._other_literal_limit = min(limits.other_literal, self._literal_limit)
        self._response_limit = min(limits.response, _MAX_SIZE)
        self._literals_limit = min(limits.literals, _MAX_SIZE)
        self._depth_limit = min(limits.depth, _MAX_SIZE)
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = 0  # first octet that nobody has taken
        self._scanned = 0  # no LF stands before this position
        self._end = 0  # after the last octet received
        self._offered = 0  # octets of room that the last get_buffer() gave
        self._offered_in_place = False
        self._in_place: io.BytesIO | None = None  # the literal that is received into its final memory
        self._in_place_size = 0
        self._received = 0
        self._capacity = 0
        # The response that is half framed.
        self._mode = _RESPONSES
        # A literal is bytes; batch() with a sink has a Streamed in its place.
        self._fragments: list[bytes | tuple[bytes, Any]] = []
        self._type = ""
        self._head = b""
        self._literal_size = -1
        self._literals = 0
        self._octets = 0
        self._in_fetch = False
        self._outline = _Outline()
        self._outlined = 0  # lines that it has
        # A line that may go on after a line break inside a quoted string.
        self._joined = 0  # octets of it that the outline has; 0 where there is none
        self._unjoined = _Outline()  # the outline of its beginning
        self._not_joined = 0  # no line that begins before this position goes on in this way
        self._tags: Container[bytes] | None = None
        # Literals for a sink.
        self._sink: Sink | None = None
        self._calling = False
        self._write: Write | None = None  # the literal at hand goes there
        self._error: Exception | None = None  # of the sink or of write()
        self._streamed = 0
        self._failure: ProtocolError | None = None

    # Octets in.

    @property
    def buffered(self) -> int:
        return self._end - self._start + self._received

    @property
    def in_response(self) -> bool:
        return bool(self._fragments) or self._literal_size >= 0

    def get_buffer(self, size_hint: int = -1) -> memoryview:
        self._check_call()
        self._offered_in_place = self._in_place is not None and self._received < self._in_place_size
        if self._offered_in_place:
            room = self._literal_room()
        else:
            if self._start == self._end:
                self._start = self._scanned = self._end = self._not_joined = 0
            elif len(self._buffer) - self._end < _BUFFER_SIZE // 4:
                self._make_room()
            room = self._view[self._end :]
        self._offered = len(room)
        return room

    def buffer_updated(self, nbytes: int) -> None:
        if not 0 < nbytes <= self._offered:
            raise ValueError(f"buffer_updated({nbytes}) after get_buffer() gave {self._offered} octets")
        self._offered = 0
        if self._offered_in_place:
            self._received += nbytes
        else:
            self._end += nbytes

    def take_rest(self) -> bytes:
        self._check_call()
        rest = b""
        if self._in_place is not None:
            rest = self._in_place.getvalue()[: self._received]
            self._in_place = None
            self._received = 0
        rest += bytes(self._view[self._start : self._end])
        self._start = self._scanned = self._end = self._offered = self._not_joined = self._joined = 0
        return rest

    def _make_room(self) -> None:
        """Move what is left to the front; twice the memory when that is half full."""
        kept = self._end - self._start
        if kept > len(self._buffer) // 2:
            # A new object: views of the old one may be alive, and those must stay valid.
            buffer = bytearray(2 * len(self._buffer))
            view = memoryview(buffer)
            view[:kept] = self._view[self._start : self._end]
            self._buffer, self._view = buffer, view
        else:
            self._view[:kept] = bytes(self._view[self._start : self._end])
        self._scanned -= self._start
        self._not_joined = max(0, self._not_joined - self._start)
        self._start = 0
        self._end = kept

    def _literal_room(self) -> memoryview:
        assert self._in_place is not None
        if self._received == self._capacity:
            self._capacity = min(self._in_place_size, _GROWTH * self._capacity)
            try:
                self._in_place.seek(self._capacity - 1)
                self._in_place.write(b"\0")
            except BufferError:  # somebody still holds the last view
                arrived = self._in_place.getvalue()
                self._in_place = io.BytesIO(arrived)
                self._in_place.seek(self._capacity - 1)
                self._in_place.write(b"\0")
        return self._in_place.getbuffer()[self._received :]

    # Lines and literals out.

    def readline(self, limit: int = 0) -> bytes | None:
        self._check_readable()
        stop = self._find_line(limit or self._line_limit)
        return None if stop < 0 else self._take(stop)

    def read(self, size: int) -> bytes | None:
        self._check_readable()
        if size < 0:
            raise ValueError("read() needs a size of at least 0 octets")
        if self._in_place is not None and self._in_place_size != size:
            raise ProtocolError(f"a literal of {self._in_place_size} octets is half read")
        self._check_literal(size, self._literal_limit)
        return self._take_literal(size)

    def _check_call(self) -> None:
        if self._calling:
            raise RuntimeError("a sink called the reader that called it")

    def _check_failure(self) -> None:
        self._check_call()
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # not with the frames of all who were told before

    def _check_readable(self) -> None:
        self._check_failure()
        if self.in_response:
            raise ProtocolError("a response is half read")
        self._forget_joined()

    def _find_line(self, limit: int) -> int:
        """Return the position after the LF that ends the line at _start, or -1."""
        if self._in_place is not None:
            raise ProtocolError(f"a literal of {self._in_place_size} octets is half read")
        lf = self._buffer.find(b"\n", self._scanned, self._end)
        stop = lf + 1 if lf >= 0 else self._end
        if stop - self._start > limit:
            raise LineTooLong(f"got more than {limit} bytes")
        if lf < 0:
            self._scanned = self._end
            return -1
        return stop

    def _take(self, stop: int) -> bytes:
        octets = bytes(self._view[self._start : stop])
        self._start = self._scanned = stop
        return octets

    def _check_literal(self, size: int, limit: int) -> None:
        if size > limit:
            announced = str(size) if size <= _MAX_SIZE else "2**63 or more"
            raise LiteralTooLarge(f"literal of {announced} octets, more than {limit}")

    def _take_literal(self, size: int) -> bytes | None:
        if self._in_place is not None:
            if self._received < size:
                return None
            literal = self._in_place.getvalue()
            self._in_place = None
            self._received = 0
            return literal
        have = self._end - self._start
        if have >= size:
            return self._take(self._start + size)
        if size > _IN_PLACE:
            self._in_place = io.BytesIO(self._view[self._start : self._end])
            self._in_place_size = size
            self._received = have
            self._capacity = min(size, max(have, _FIRST_ROOM))
            if self._capacity > have:
                self._in_place.seek(self._capacity - 1)
                self._in_place.write(b"\0")
            self._start = self._scanned = self._end = self._offered = self._not_joined = 0
        return None

    # Responses out.

    def set_sink(self, sink: Sink | None) -> None:
        self._sink = sink

    def set_tags(self, tags: Container[bytes] | None) -> None:
        self._tags = tags

    def _begin(self, mode: int) -> None:
        self._check_failure()
        if self.in_response and self._mode != mode:
            raise ProtocolError("a response is half read")
        if self._mode != mode:
            self._forget_joined()
        self._mode = mode

    def responses(self) -> list[tuple[bytes, ...]]:
        self._begin(_RESPONSES)
        batch: list[tuple[bytes, ...]] = []
        try:
            while (response := self._next_response()) is not None:
                batch.append(response)
        except ProtocolError as exc:
            self._failure = exc
            if not batch:
                raise
        return batch

    def batch(self, most: int = 0) -> list[list[FetchedMessage] | tuple[bytes, ...]]:
        self._begin(_BATCH)
        batch: list[list[FetchedMessage] | tuple[bytes, ...]] = []
        rows: list[FetchedMessage] | None = None
        count = 0
        try:
            while (not most or count < most) and (response := self._next_response()) is not None:
                count += 1
                row = fetch(response, self._depth_limit)
                if row is None:
                    rows = None
                    batch.append(response)
                elif rows is None:
                    rows = [row]
                    batch.append(rows)
                else:
                    rows.append(row)
        except ProtocolError as exc:
            self._failure = exc
            if not batch:
                raise
        return batch

    def drain(self, untagged: dict[str, list[bytes | tuple[bytes, bytes]]], limit: int = 0) -> bytes | None:
        if type(untagged) is not dict:
            raise TypeError("drain() needs a dict")
        self._begin(_DRAIN)
        limit = limit or self._line_limit
        try:
            while True:
                if self.in_response:
                    if not self._next_fragment(limit):
                        return None
                    untagged.setdefault(self._type, []).extend(self._fragments)
                    self._fragments = []
                    continue
                stop = self._find_line(limit)
                if stop < 0:
                    return None
                line = bytes(self._view[self._start : stop])
                response = _DATA_RESPONSE.match(line)
                if response is None:
                    return self._take(stop)
                number, name, data = response.groups()
                data = data or b""
                if name in _STATUS and not (
                    number is None
                    and name in _CONDITIONS
                    and data
                    and not data.startswith(b"[")
                    and not data.endswith(b"}")
                ):
                    return self._take(stop)
                if number is not None:
                    data = number + b" " + data if data else number
                size = self._literal_after(data) if data.endswith(b"}") else -1
                self._start = self._scanned = stop
                if size >= 0:
                    self._type = name.decode("ascii")
                    self._open(len(line), data, size, self._type == "FETCH")
                else:
                    untagged.setdefault(name.decode("ascii"), []).append(data)
        except ProtocolError as exc:
            self._failure = exc
            raise

    def _next_response(self) -> tuple[bytes, ...] | None:
        while not self.in_response:
            stop = self._start + self._joined
            if not self._joined:
                stop = self._find_line(self._line_limit)
                if stop < 0:
                    return None
            text = self._text(stop)
            if not text:
                self._start = self._scanned = stop
                continue
            if not text.startswith(b"*") or _is_status_line(text):
                self._start = self._scanned = stop
                return (text,)
            in_fetch = self._joined > 0 or self._outline.begin(text)
            if in_fetch and self._outline.quoted:
                stop = self._join(stop, self._line_limit)
                if stop < 0:
                    return None
                text = self._text(stop)
            size = self._literal_after(text) if text.endswith(b"}") else -1
            octets = stop - self._start
            self._start = self._scanned = stop
            if size < 0:
                return (text,)
            self._open(octets, text, size, in_fetch)
        if not self._next_fragment(self._line_limit):
            return None
        fragments: list[bytes] = []
        for fragment in self._fragments:
            if isinstance(fragment, tuple):
                fragments += fragment
            else:
                fragments.append(fragment)
        self._fragments = []
        return tuple(fragments)

    def _text(self, stop: int) -> bytes:
        """Return the line at _start without its end."""
        line = bytes(self._view[self._start : stop])
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _join(self, stop: int, limit: int) -> int:
        """Return where a line of a FETCH response ends of which the part up to `stop` ends inside a quoted string.

        That is after a later line, where one closes the string and with it the response, or ends in a part of the
        message; so nothing in the string passes for a response. Else it is `stop`; -1 where more octets are needed.
        """
        outline = self._outline
        if not self._joined:
            if self._start < self._not_joined:
                outline.quoted = False
                return stop
            self._unjoined = outline.copy()
            self._joined = stop - self._start
        limit = min(limit, _JOINED)
        while outline.quoted:
            begin = self._start + self._joined
            lf = self._buffer.find(b"\n", max(begin, self._scanned), self._end)
            stop = lf + 1 if lf >= 0 else self._end
            line = bytes(self._view[begin : min(stop, begin + limit)])
            if stop - self._start > limit or (lf >= 0 and _is_tagged(line, self._tags)):
                break
            if lf < 0:
                self._scanned = self._end
                return -1
            line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
            outline.feed(line)
            self._joined = stop - self._start
            if not outline.quoted and (
                outline.is_part if line.endswith(b"}") and _announced(line) >= 0 else outline.depth == 0
            ):
                self._joined = 0
                return stop
        # Not later than here, so that each line is looked at once.
        self._not_joined = self._start + self._joined
        self._outline = self._unjoined
        self._outline.quoted = False
        return self._forget_joined()

    def _forget_joined(self) -> int:
        """Take a line for what it is up to its line break; return where it ends."""
        if not self._joined:
            return self._start
        self._joined = 0
        self._scanned = self._start
        return self._buffer.find(b"\n", self._start, self._end) + 1

    def _literal_after(self, text: bytes) -> int:
        """Return the size that a literal's announcement at the end of `text` gives, or -1."""
        size = _announced(text)
        if size > _MAX_SIZE:
            self._check_literal(size, self._literal_limit)
        return size

    def _open(self, octets: int, head: bytes, size: int, in_fetch: bool) -> None:
        self._literals = 0
        self._octets = octets
        self._in_fetch = in_fetch
        self._outlined = int(in_fetch and self._mode != _DRAIN)
        self._announce(head, size)

    def _announce(self, head: bytes, size: int) -> None:
        """Get ready for the literal of `size` octets that `head` announces."""
        self._literals += 1
        if self._literals > self._literals_limit:
            raise TooManyLiterals(f"response with more than {self._literals_limit} literals")
        self._head = head
        self._literal_size = size
        if self._in_fetch and self._mode == _BATCH and self._sink is not None and self._outline.is_part:
            self._ask_sink(self._sink)
        if self._write is None:
            limit = self._other_literal_limit
            if self._in_fetch and size > limit and self._outline_so_far().is_part:
                limit = self._literal_limit
            self._check_literal(size, limit)
            self._count_octets(size)

    def _outline_so_far(self) -> _Outline:
        """Return the outline of all lines of the response; drain() seldom needs one."""
        if self._outlined == 0:
            self._outline = _Outline()
        lines = [fragment[0] for fragment in self._fragments[self._outlined :] if isinstance(fragment, tuple)]
        if self._literal_size >= 0 and self._outlined <= len(self._fragments):
            lines.append(self._head)
        for line in lines:
            self._outline.feed(line)
        self._outlined += len(lines)
        return self._outline

    def _ask_sink(self, sink: Sink) -> None:
        outline = self._outline
        name = section_name(outline.name)
        number, uid = (None, outline.number) if outline.by_uid else (outline.number, outline.uid)
        self._streamed = 0
        self._calling = True
        try:
            self._write = sink(number, uid, name, self._literal_size)
        except Exception as exc:
            self._error = exc
            self._write = _discard
        except BaseException:
            self._failure = ProtocolError("a sink was interrupted")
            raise
        finally:
            self._calling = False

    def _take_streamed(self, write: Write) -> Streamed | None:
        """Hand on what has arrived of the literal; the fragment in its place once it is complete."""
        size = min(self._end - self._start, self._literal_size - self._streamed)
        if size and self._error is None:
            self._calling = True
            try:
                with self._view[self._start : self._start + size].toreadonly() as view:
                    write(view)
            except Exception as exc:
                self._error = exc
            except BaseException:
                self._failure = ProtocolError("a sink was interrupted")
                raise
            finally:
                self._calling = False
        self._start += size
        self._scanned = self._start
        self._streamed += size
        if self._streamed < self._literal_size:
            return None
        streamed = Streamed(self._literal_size)
        if self._error is not None:
            streamed.error = self._error
        self._write = self._error = None
        return streamed

    def _count_octets(self, octets: int) -> None:
        self._octets += octets
        if self._octets > self._response_limit:
            raise ResponseTooLarge(f"response of more than {self._response_limit} octets")

    def _next_fragment(self, limit: int) -> bool:
        """Go on with the half framed response; whether it is complete."""
        while True:
            if self._literal_size >= 0:
                literal: bytes | Streamed | None
                if self._write is not None:
                    literal = self._take_streamed(self._write)
                else:
                    literal = self._take_literal(self._literal_size)
                if literal is None:
                    return False
                self._fragments.append((self._head, literal))
                self._literal_size = -1
                if self._in_fetch and self._outline.section is not None and isinstance(literal, bytes):
                    self._outline.add_literal(literal)
            stop = self._start + self._joined
            if not self._joined:
                stop = self._find_line(limit)
                if stop < 0:
                    return False
                line = bytes(self._view[self._start : stop])
                if line.startswith(b"* ") or _is_tagged(line, self._tags):
                    self._fragments.append(b"")  # the rest was left out: this is another response
                    return True
                if self._mode == _DRAIN and not line.endswith(b"\r\n"):
                    self._start = self._scanned = stop
                    raise ProtocolError(f"unterminated line: {_shown(line)}")
                if self._in_fetch and self._mode != _DRAIN:
                    text = self._text(stop)
                    if text:
                        self._outline.feed(text)
                        self._outlined += 1
            if self._in_fetch and self._mode != _DRAIN and self._outline.quoted:
                stop = self._join(stop, limit)
                if stop < 0:
                    return False
            text = self._text(stop)
            self._count_octets(stop - self._start)
            self._start = self._scanned = stop
            if not text and self._outline_so_far().depth > 0:
                continue  # some servers send an empty line after a literal; the list goes on after it
            size = self._literal_after(text) if text.endswith(b"}") else -1
            if size < 0:
                self._fragments.append(text)
                return True
            self._announce(text, size)


def _discard(octets: memoryview) -> None:
    pass
