"""Memory: what was received and not taken yet; the twin of ``_parser_pyx/memory.pxi``."""

from __future__ import annotations

import io

from .._errors import LineTooLong, ProtocolError

__all__: list[str] = []

# One receive buffer a connection: more gains nothing against real servers (they write 4 to 32 KiB at a time).
_BUFFER_SIZE = 256 * 1024
# A literal of at most this size is received with the lines around it and copied once; that costs no more
# than receiving it in place, and saves system calls.
_IN_PLACE = 64 * 1024
# The memory of such a literal: this much to begin with, then this many times what has arrived, however much is
# announced. Each step may make the allocator copy what is there.
_FIRST_ROOM = 1024 * 1024
_GROWTH = 4


class _Buffer:
    """The octets that were received and not taken: octets in, lines and literals out."""

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = 0  # first octet that was not taken yet
        self._scanned = 0  # no LF stands before this position
        self._end = 0  # after the last octet received
        self._offered = 0  # octets of room that the last get_buffer() gave
        self._offered_in_place = False
        self._in_place: io.BytesIO | None = None  # the literal that is received into its final memory
        self._in_place_size = 0
        self._received = 0
        self._capacity = 0
        # Of a line that may go on after a line break inside a quoted string; see ResponseReader._join().
        self._joined = 0  # octets of it that the outline has; 0 where there is none
        self._not_joined = 0  # no line that begins before this position goes on in this way
        self._calling = False  # a sink
        self._failure: ProtocolError | None = None

    @property
    def buffered(self) -> int:
        return self._end - self._start + self._received

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
            except BufferError:  # the last view is still held
                arrived = self._in_place.getvalue()
                self._in_place = io.BytesIO(arrived)
                self._in_place.seek(self._capacity - 1)
                self._in_place.write(b"\0")
        return self._in_place.getbuffer()[self._received :]

    def _check_call(self) -> None:
        if self._calling:
            raise RuntimeError("a sink called the reader that called it")

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

    def _text(self, stop: int) -> bytes:
        """Return the line at _start without its end."""
        end = stop - 2 if stop - 2 >= self._start and self._buffer[stop - 2] == 0x0D else stop - 1
        return bytes(self._view[self._start : end])

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
