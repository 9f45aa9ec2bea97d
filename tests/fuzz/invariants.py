"""What must hold for the parser, whatever the octets of a server."""

from __future__ import annotations

import importlib
import re
from types import SimpleNamespace
from typing import Any

from fastimap import _parser_py as python
from fastimap.columns.schema import ADDRESSES
from fastimap.errors import ParseError, ProtocolError
from fastimap.limits import READER_LIMITS, Limits
from tests.parser.harness import framed, kinds, outcome, put

from .inputs import DEEP, SMALL_LIMITS, arriving

# By its name: a type checker knows nothing of the extension.
cython = importlib.import_module("fastimap._parser")

_SMALL = Limits(line=200, literal=2_000, response=3_000, literals=4, depth=8)
_MOST = 4 * 1024  # octets of one input
_ANNOUNCEMENT = re.compile(rb"\{([0-9]{1,18})\+?\}\r?\n\Z")
# Stands after what was received, as if left there by what came before: a reader that looks too far takes it.
_LITTER = b'\n}"({1}\r\n) \\' * 4


class _Littered:
    """A reader with litter in the memory after the octets that have arrived."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def buffer_updated(self, nbytes: int) -> None:
        room = self._reader.get_buffer()
        room[nbytes : nbytes + len(_LITTER)] = _LITTER[: len(room) - nbytes]
        room.release()
        self._reader.buffer_updated(nbytes)


LITTERED = SimpleNamespace(
    ResponseReader=lambda limits: _Littered(cython.ResponseReader(limits)),
    last_ascending=cython.last_ascending,
    split_rows=cython.split_rows,
    tokenize=cython.tokenize,
)


def check(data: bytes) -> None:
    """AssertionError, or whatever exception got out, where `data` shows that an invariant does not hold."""
    limits, chunks = planned(data)
    octets = b"".join(chunks)
    runs: list[tuple[Any, list[bytes]]] = [(LITTERED, [octets])]
    if len(chunks) > 1:
        runs += [(LITTERED, chunks), (python, chunks)]
    for look in (framed, by_hand, as_the_drop_in, batched, streamed):
        expected = look(python, [octets], limits)
        for twin, cut in runs:
            seen = look(twin, cut, limits)
            assert seen == expected, f"{look.__name__}() of {twin}, {len(cut)} cuts: {seen!r} is not {expected!r}"
    for response in [*framed(python, chunks, limits), (octets,), tuple(chunks)]:
        if isinstance(response, tuple) and all(isinstance(fragment, bytes) for fragment in response):
            depth = READER_LIMITS.depth if data[:1] and data[0] & DEEP else _SMALL.depth
            expected = tokenized(python, response, depth)
            assert tokenized(cython, response, depth) == expected, f"tokenize({response!r}) is not {expected!r}"
            row = python.fetch(response)
            assert shown(cython.fetch(response)) == shown(row), f"fetch({response!r}) is not {row and row._values()!r}"


def planned(data: bytes) -> tuple[Limits, list[bytes]]:
    """Return the limits, and the octets in the pieces in which they arrive."""
    limits = _SMALL if data[:1] and data[0] & SMALL_LIMITS else READER_LIMITS
    return limits, [chunk for chunk in arriving(data[1:], _MOST) if chunk]


def by_hand(twin: Any, chunks: list[bytes], limits: Limits) -> list[Any]:
    """What readline() and read() give; each octet that went in comes out once, in order."""
    reader = twin.ResponseReader(limits)
    items: list[Any] = []
    size = -1
    arrived = taken = 0
    try:
        for chunk in chunks:
            put(reader, chunk)
            arrived += len(chunk)
            while (item := reader.readline() if size < 0 else reader.read(size)) is not None:
                items.append(item)
                taken += len(item)
                size = _announced(item) if size < 0 else -1
            assert reader.buffered == arrived - taken
    except ProtocolError as exc:
        return [*items, outcome(exc)]
    items.append(reader.take_rest())
    assert b"".join(items) == b"".join(chunks)
    return items


def as_the_drop_in(twin: Any, chunks: list[bytes], limits: Limits) -> list[Any]:
    """What drain() gives, and after each line that it does not take, read() and readline() to the response's end."""
    reader = twin.ResponseReader(limits)
    untagged: dict[str, list[Any]] = {}
    items: list[Any] = []
    size = -1
    behind_literal = False
    try:
        for chunk in chunks:
            put(reader, chunk)
            while True:
                if size >= 0:
                    item = reader.read(size)
                else:
                    item = reader.readline() if behind_literal else reader.drain(untagged)
                if item is None:
                    break
                items.append(item)
                behind_literal = size >= 0
                size = -1 if behind_literal else _announced(item)
    except ProtocolError as exc:
        return [untagged, *items, outcome(exc)]
    return [untagged, *items, reader.in_response, reader.take_rest()]


def batched(twin: Any, chunks: list[bytes], limits: Limits) -> list[Any]:
    """What batch() gives, the rows one by one, and split_rows() of each batch."""
    return _rows(twin, twin.ResponseReader(limits), chunks)


def streamed(twin: Any, chunks: list[bytes], limits: Limits) -> list[Any]:
    """What batch() gives, and the sink gets that takes every literal of an even size and fails at some."""
    asked: list[Any] = []

    def sink(sequence_number: int | None, uid: int | None, name: str, size: int) -> Any:
        asked.append([sequence_number, uid, name, size, b""])
        if size % 16 == 8:
            raise OSError(str(size))
        return write if size % 2 == 0 else None

    def write(octets: memoryview) -> None:
        asked[-1][-1] += octets

    reader = twin.ResponseReader(limits)
    reader.set_sink(sink)
    return [*_rows(twin, reader, chunks), asked]


def _rows(twin: Any, reader: Any, chunks: list[bytes]) -> list[Any]:
    seen: list[Any] = []
    try:
        for chunk in chunks:
            put(reader, chunk)
            while batch := reader.batch():
                for response in batch:
                    if isinstance(response, list):
                        claimed, others = twin.split_rows(response, True, ((2, 4), (6, 2**32 - 1)), 1)
                        assert sorted(map(id, response)) == sorted(map(id, claimed + others))
                        seen.append(twin.last_ascending(response, False, 0))
                        seen += [(shown(row), any(row is other for other in others)) for row in response]
                    else:
                        seen.append(response)
    except ProtocolError as exc:
        return [*seen, outcome(exc)]
    return [*seen, reader.in_response, reader.take_rest()]


def shown(row: Any) -> Any:
    """All that two equal rows have in common, the errors of sinks included."""
    if row is None:
        return None
    errors = [repr(getattr(value, "error", "")) for _, value in row.items]
    return repr(row._values()), row._values(), repr(row), hash(row), errors, *_read(row)


def _read(row: Any) -> list[Any]:
    """What the envelopes of a row come to when they are read: its own, and those of the messages inside."""
    structure = row.body_structure
    parts = [] if structure is None else list(structure.walk())
    envelopes = [row.envelope, *(part.envelope for part in parts)]
    read: list[Any] = []
    for envelope in envelopes:
        if envelope is not None:
            read += [repr(envelope.date), envelope.subject, envelope.in_reply_to, envelope.message_id]
            for field in ADDRESSES:
                read += [(each.name, each.mailbox, each.host, each.email) for each in getattr(envelope, field)]
    return read


def tokenized(twin: Any, fragments: tuple[bytes, ...], depth: int) -> Any:
    try:
        return kinds(twin.tokenize(fragments, depth))
    except ParseError as exc:
        return outcome(exc)


def _announced(line: bytes) -> int:
    found = _ANNOUNCEMENT.search(line)
    return -1 if found is None else int(found[1])
