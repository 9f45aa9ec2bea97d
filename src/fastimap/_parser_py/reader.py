"""The reader: responses out of the octets of one connection; the twin of ``_parser_pyx/reader.pxi``."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

from .._errors import LiteralTooLarge, ProtocolError, ResponseTooLarge, TooManyLiterals
from ..limits import READER_LIMITS, Limits
from ..model.row import FetchedMessage, Streamed
from ..model.tokens import MAX_SIZE, Sink, Write
from .fetch import _Decoder
from .memory import _Buffer
from .outline import _announced, _is_closed, _is_status_line, _is_tagged, _Outline
from .tokens import _shown

__all__ = ["ResponseReader"]

# So far is a line of a FETCH response looked for the end of a quoted string in which a line break stands.
_JOINED = 64 * 1024
# What the response that is half framed is for.
_RESPONSES, _BATCH, _DRAIN = range(3)

# Untagged data; "." excludes LF alone.
_DATA_RESPONSE = re.compile(rb"\* (?:([0-9]+) )?([A-Z-]+)(?: (.*))?\Z")
_STATUS = frozenset((b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"))
_CONDITIONS = frozenset((b"OK", b"NO", b"BAD"))


class ResponseReader(_Buffer):
    """Frames the octets of one connection into responses; see :mod:`fastimap.parser`."""

    def __init__(self, limits: Limits = READER_LIMITS) -> None:
        super().__init__()
        self._line_limit = min(limits.line, MAX_SIZE)
        self._literal_limit = min(limits.literal, MAX_SIZE)
        self._other_literal_limit = min(limits.other_literal, self._literal_limit)
        self._response_limit = min(limits.response, MAX_SIZE)
        self._literals_limit = min(limits.literals, MAX_SIZE)
        self._decoder = _Decoder(min(limits.depth, MAX_SIZE))
        # The response that is half framed.
        self._mode = _RESPONSES
        # A line and in turn a literal and the line after it. A literal is bytes; with a sink it may be a Streamed.
        self._fragments: list[Any] = []
        self._literal_size = -1  # of the literal that comes next
        self._octets = 0
        self._in_fetch = False
        self._outline = _Outline()
        self._unjoined = _Outline()  # the outline of the beginning of a line that may go on; see _join()
        self._tags: Container[bytes] | None = None
        # Literals for a sink.
        self._sink: Sink | None = None
        self._write: Write | None = None  # the literal at hand goes there
        self._error: Exception | None = None  # of the sink or of write()
        self._streamed = 0

    @property
    def in_response(self) -> bool:
        return bool(self._fragments)

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

    def _check_failure(self) -> None:
        self._check_call()
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # not with the frames of all who were told before

    def _check_readable(self) -> None:
        self._check_failure()
        if self.in_response:
            raise ProtocolError("a response is half read")
        self._forget_joined()

    def _check_literal(self, size: int, limit: int) -> None:
        if size > limit:
            announced = str(size) if size <= MAX_SIZE else "2**63 or more"
            raise LiteralTooLarge(f"literal of {announced} octets, more than {limit}")

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
                row = self._decoder.from_fragments(response)
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
        try:
            return self._drain(untagged, limit or self._line_limit)
        except ProtocolError as exc:
            self._failure = exc
            raise

    def _drain(self, untagged: dict[str, list[bytes | tuple[bytes, bytes]]], limit: int) -> bytes | None:
        while True:
            fragments: list[Any] | None = None
            if not self._fragments:
                stop = self._find_line(limit)
                if stop < 0:
                    return None
                line = bytes(self._view[self._start : stop])
                response = _data_response(line[:-2]) if line.endswith(b"\r\n") else None
                if response is None:
                    return self._take(stop)
                if not line.endswith(b"}\r\n"):
                    self._start = self._scanned = stop
                    untagged.setdefault(response[0], []).append(response[1])
                    continue
                fragments = self._frame(line[:-2], stop, limit)
            if fragments is None:
                if not self._next_fragment(limit):
                    return None
                fragments = [*self._taken()]
                response = _data_response(fragments[0])
            assert response is not None
            name, fragments[0] = response
            responses = untagged.setdefault(name, [])
            if len(fragments) > 1:
                responses += zip(fragments[:-1:2], fragments[1::2], strict=True)
            responses.append(fragments[-1])

    def _taken(self) -> tuple[Any, ...]:
        """Return the response that is framed."""
        fragments = tuple(self._fragments)
        self._fragments = []
        return fragments

    def _next_response(self) -> tuple[Any, ...] | None:
        """Take the next response; None where it has not all arrived.

        Most are whole in the buffer, and no string is open at the end of a line of theirs.
        """
        limit = self._line_limit
        if not self._fragments and not self._joined:
            stop = self._find_line(limit)
            if stop < 0:
                return None
            line = self._text(stop)
            if line and line[0] == 0x2A and _is_closed(line):
                if line[-1] != 0x7D:
                    self._start = self._scanned = stop
                    return (line,)
                fragments = self._frame(line, stop, limit)
                if fragments is not None:
                    return tuple(fragments)
        return self._taken() if self._next_fragment(limit) else None

    def _frame(self, line: bytes, stop: int, limit: int) -> list[bytes] | None:
        """Take the response that `line` begins, up to `stop`, where all of it has arrived; return its fragments.

        None, and nothing is taken, where a line or a literal of it is a question for _next_fragment(). That a string
        may go on in the next line is none for drain().
        """
        draining = self._mode == _DRAIN
        if not draining and (_is_status_line(line) or (self._sink is not None and self._mode == _BATCH)):
            return None
        fragments = [line]
        while (size := _announced(line) if line.endswith(b"}") else -1) >= 0:
            if size > self._other_literal_limit or len(fragments) // 2 >= self._literals_limit:
                return None
            start = stop + size
            lf = self._buffer.find(b"\n", start, self._end)
            if lf < 0 or lf + 1 - start > limit or self._buffer[lf - 1] != 0x0D or self._buffer[start] not in b") ":
                return None
            literal = bytes(self._view[stop:start])
            stop = lf + 1
            line = bytes(self._view[start : lf - 1])
            if not draining and not _is_closed(line):
                return None
            fragments += literal, line
        if len(fragments) > 1 and stop - self._start > self._response_limit:
            return None
        self._start = self._scanned = stop
        return fragments

    def _next_fragment(self, limit: int) -> bool:
        """Go on with the response at hand, line by line and literal by literal; whether all its fragments are there."""
        while True:
            if self._literal_size >= 0:
                literal: bytes | Streamed | None
                if self._write is not None:
                    literal = self._take_streamed(self._write)
                else:
                    literal = self._take_literal(self._literal_size)
                if literal is None:
                    return False
                self._fragments.append(literal)
                self._literal_size = -1
                if self._outline.section is not None and isinstance(literal, bytes):
                    self._outline.add_literal(literal)
            stop = self._start + self._joined
            if not self._joined:
                stop = self._find_line(limit)
                if stop < 0:
                    return False
                text = self._text(stop)
                if not self._fragments:
                    if not text:
                        self._start = self._scanned = stop
                        continue
                    self._in_fetch = text.startswith(b"*") and self._outline.begin(text)
                    if not self._in_fetch and (not text.startswith(b"*") or _is_status_line(text)):
                        self._start = self._scanned = stop
                        self._fragments.append(text)
                        return True
                elif text.startswith(b"* ") or _is_tagged(text, self._tags):
                    self._fragments.append(b"")  # the rest was left out: this is another response
                    return True
                elif self._mode == _DRAIN and not self._ends_in_crlf(stop):
                    raise ProtocolError(f"unterminated line: {_shown(self._take(stop))}")
                elif text:
                    self._outline.feed(text)
            if self._in_fetch and self._outline.quoted and self._mode != _DRAIN:
                stop = self._join(stop, limit)
                if stop < 0:
                    return False
                text = self._text(stop)
            size = self._literal_after(text) if text.endswith(b"}") else -1
            if self._fragments:
                self._count_octets(stop - self._start)
            else:
                self._octets = stop - self._start
            self._start = self._scanned = stop
            if not text and self._outline.depth > 0:
                continue  # some servers send an empty line after a literal; the list goes on after it
            if size < 0:
                self._fragments.append(text)
                return True
            if not self._in_fetch and not self._fragments:
                self._outline.feed(text)
            self._announce(text, size)

    def _ends_in_crlf(self, stop: int) -> bool:
        return stop - self._start >= 2 and self._buffer[stop - 2] == 0x0D

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
        if size > MAX_SIZE:
            self._check_literal(size, self._literal_limit)
        return size

    def _announce(self, line: bytes, size: int) -> None:
        """Get ready for the literal of `size` octets that `line` announces."""
        if len(self._fragments) // 2 >= self._literals_limit:
            raise TooManyLiterals(f"response with more than {self._literals_limit} literals")
        self._fragments.append(line)
        self._literal_size = size
        of_message = self._in_fetch and self._outline.is_part
        if of_message and self._mode == _BATCH and self._sink is not None:
            self._ask_sink(self._sink)
        if self._write is None:
            self._check_literal(size, self._literal_limit if of_message else self._other_literal_limit)
            self._count_octets(size)

    def _ask_sink(self, sink: Sink) -> None:
        outline = self._outline
        name = self._decoder.section_name(outline.name)
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


def _discard(octets: memoryview) -> None:
    pass


def _data_response(text: bytes) -> tuple[str, bytes] | None:
    """Return type and data of a response's first line; None where it is none that drain() stores."""
    response = _DATA_RESPONSE.match(text)
    if response is None:
        return None
    number, name, data = response.groups(b"")
    if name in _STATUS and not (
        not number and name in _CONDITIONS and data and not data.startswith(b"[") and not data.endswith(b"}")
    ):
        return None
    return name.decode("ascii"), number + b" " + data if number and data else number or data
