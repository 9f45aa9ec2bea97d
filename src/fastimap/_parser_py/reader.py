"""The reader: octets in, lines, literals and responses out; the twin of ``_parser_pyx/reader.pxi``."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from ..errors import LineTooLong, LiteralTooLarge, ProtocolError, ResponseTooLarge, TooManyLiterals
from ..limits import DEFAULT_LIMITS, Limits
from ..model.message import FetchedMessage, Streamed
from .fetch import fetch
from .tokens import _MAX_SIZE, _announced, _ends_in_section, _is_fetch, _net_parentheses, _shown

__all__ = ["ResponseReader", "Sink", "Write"]

Write: TypeAlias = Callable[[memoryview], object]
Sink: TypeAlias = Callable[[bytes, int], Write | None]

# One receive buffer a connection: more gains nothing against real servers (they write 4 to 32 KiB at a time).
_BUFFER_SIZE = 256 * 1024
# A literal of at most this size is received with the lines around it and copied once; that costs no more
# than receiving it in place, and saves system calls.
_IN_PLACE = 64 * 1024
# The memory of such a literal: this much to begin with, then this many times what has arrived, however much is
# announced. Each step may make the allocator copy what is there.
_FIRST_ROOM = 1024 * 1024
_GROWTH = 4
# A sink is shown this much of the lines before the one at hand: room for the items that servers put first.
_LEAD = 1024
# What the response that is half framed is for.
_RESPONSES, _BATCH, _DRAIN = range(3)

# The untagged data responses, which drain() stores; all else is for its caller. "." excludes LF alone.
_DATA_RESPONSE = re.compile(rb"\* (?:([0-9]+) )?([A-Z-]+)(?: (.*))?\r\n\Z")
_STATUS = frozenset((b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"))


class ResponseReader:
    """Frames the octets of one connection into responses; see :mod:`fastimap.parser`."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._line_limit = min(limits.line, _MAX_SIZE)
        self._literal_limit = min(limits.literal, _MAX_SIZE)
        self._other_literal_limit = min(limits.other_literal, self._literal_limit)
        self._response_limit = min(limits.response, _MAX_SIZE)
        self._literals_limit = min(limits.literals, _MAX_SIZE)
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = 0  # first octet that nobody has taken
        self._scanned = 0  # no LF stands before this position
        self._end = 0  # behind the last octet received
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
        self._depth = 0
        self._depth_counted = 0
        self._in_fetch = False
        # Literals for a sink.
        self._sink: Sink | None = None
        self._calling = False
        self._lead = b""  # the first of the response's lines, as far as a sink has been shown them
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
                self._start = self._scanned = self._end = 0
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
        self._start = self._scanned = self._end = self._offered = 0
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

    def _find_line(self, limit: int) -> int:
        """Return the position behind the LF that ends the line at _start, or -1."""
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
            self._start = self._scanned = self._end = self._offered = 0
        return None

    # Responses out.

    def set_sink(self, sink: Sink | None) -> None:
        self._sink = sink

    def _begin(self, mode: int) -> None:
        self._check_failure()
        if self.in_response and self._mode != mode:
            raise ProtocolError("a response is half read")
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
                row = fetch(response)
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
                line = self._take(stop)
                response = _DATA_RESPONSE.match(line)
                if response is None or response[2] in _STATUS:
                    return line
                number, name, data = response.groups()
                data = data or b""
                if number is not None:
                    data = number + b" " + data if data else number
                if data.endswith(b"}") and (size := self._literal_after(data)) >= 0:
                    self._type = name.decode("ascii")
                    self._open(line, data, size, self._type == "FETCH")
                else:
                    untagged.setdefault(name.decode("ascii"), []).append(data)
        except ProtocolError as exc:
            self._failure = exc
            raise

    def _next_response(self) -> tuple[bytes, ...] | None:
        while not self.in_response:
            stop = self._find_line(self._line_limit)
            if stop < 0:
                return None
            line = self._take(stop)
            text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
            if not text:
                continue
            if text.startswith(b"*") and text.endswith(b"}") and (size := self._literal_after(text)) >= 0:
                self._open(line, text, size, _is_fetch(text))
            else:
                return (text,)
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

    def _literal_after(self, text: bytes) -> int:
        """Return the size that a literal's announcement at the end of `text` gives, or -1."""
        size = _announced(text)
        if size > _MAX_SIZE:
            self._check_literal(size, self._literal_limit)
        return size

    def _open(self, line: bytes, head: bytes, size: int, in_fetch: bool) -> None:
        self._literals = 0
        self._octets = len(line)
        self._depth = self._depth_counted = 0
        self._in_fetch = in_fetch
        self._lead = b""
        self._announce(head, size)

    def _announce(self, head: bytes, size: int) -> None:
        """Get ready for the literal of `size` octets that `head` announces."""
        self._literals += 1
        if self._literals > self._literals_limit:
            raise TooManyLiterals(f"response with more than {self._literals_limit} literals")
        self._head = head
        self._literal_size = size
        if self._in_fetch and self._mode == _BATCH and self._sink is not None:
            self._ask_sink(self._sink)
        if self._write is None:
            section = self._in_fetch and size > self._other_literal_limit and _ends_in_section(head)
            self._check_literal(size, self._literal_limit if section else self._other_literal_limit)
            self._count_octets(size)

    def _ask_sink(self, sink: Sink) -> None:
        head = self._lead + self._head
        self._lead = head[:_LEAD]
        self._streamed = 0
        self._calling = True
        try:
            self._write = sink(head, self._literal_size)
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
            stop = self._find_line(limit)
            if stop < 0:
                return False
            line = self._take(stop)
            self._count_octets(len(line))
            if line.endswith(b"\r\n"):
                text = line[:-2]
            elif self._mode == _DRAIN:
                raise ProtocolError(f"unterminated line: {_shown(line)}")
            else:
                text = line[:-1]
            if not text and self._open_parentheses() > 0:
                continue  # some servers send an empty line behind a literal; the list goes on after it
            size = self._literal_after(text) if text.endswith(b"}") else -1
            if size < 0:
                self._fragments.append(text)
                return True
            self._announce(text, size)

    def _open_parentheses(self) -> int:
        for fragment in self._fragments[self._depth_counted :]:
            assert isinstance(fragment, tuple)
            self._depth += _net_parentheses(fragment[0])
        self._depth_counted = len(self._fragments)
        return self._depth


def _discard(octets: memoryview) -> None:
    pass
