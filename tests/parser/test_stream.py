"""Literals that go to a sink: on both twins, in every cut, with sinks that fail; and what that costs in memory."""

from __future__ import annotations

import hashlib
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pickle import PickleBuffer
from typing import Any

import pytest

from fastimap.errors import LiteralTooLarge, ProtocolError, ResponseTooLarge
from fastimap.limits import READER_LIMITS, Limits
from fastimap.model.message import PRESENT_BODY, PRESENT_OTHER, PRESENT_UID, FetchedMessage, Streamed

from .harness import put, single, splits, whole

OCTETS = b"* 1 FETCH (UID 5 BODY[] {7}\r\n)\r\nA1 O BODY[1] {0}\r\n BODY[HEADER] {3}\r\nabc)\r\n* 2 EXISTS\r\nA1 OK\r\n"
ASKED = [(1, 5, "BODY[]", 7), (1, 5, "BODY[1]", 0), (1, 5, "BODY[HEADER]", 3)]


class Sink:
    """Keeps what it is asked and given; `takes` chooses the literals."""

    def __init__(self, takes: Callable[[str], bool] = lambda name: True) -> None:
        self.takes = takes
        self.asked: list[tuple[int | None, int | None, str, int]] = []
        self.written: list[bytes] = []

    def __call__(
        self, sequence_number: int | None, uid: int | None, name: str, size: int
    ) -> Callable[[memoryview], None] | None:
        self.asked.append((sequence_number, uid, name, size))
        if not self.takes(name):
            return None
        self.written.append(b"")
        return self.write

    def write(self, octets: memoryview) -> None:
        assert octets.readonly
        assert octets.nbytes > 0
        self.written[-1] += octets


def streamed(twin: Any, chunks: list[bytes], sink: Any, limits: Limits = READER_LIMITS) -> list[Any]:
    """All that batch() gives, the rows one by one."""
    reader = twin.ResponseReader(limits)
    reader.set_sink(sink)
    seen: list[Any] = []
    for chunk in chunks:
        put(reader, chunk)
        while batch := reader.batch():
            for response in batch:
                seen += response if isinstance(response, list) else [response]
    return seen


def test_in_every_cut(twin: Any) -> None:
    for cut in (whole(OCTETS), single(OCTETS), *splits(OCTETS)):
        sink = Sink()
        message, *others = streamed(twin, cut, sink)
        assert sink.asked == ASKED
        assert sink.written == [b")\r\nA1 O", b"", b"abc"]
        assert others == [(b"* 2 EXISTS",), (b"A1 OK",)]
        assert isinstance(message, FetchedMessage)
        assert (message.uid, message.body, message.defects) == (5, None, ())
        assert message._present == PRESENT_UID | PRESENT_BODY | PRESENT_OTHER
        assert message.streamed == {"BODY[]": 7, "BODY[1]": 0, "BODY[HEADER]": 3}
        assert all(type(size) is Streamed and size.error is None for size in message.streamed.values())


def test_the_sink_chooses(twin: Any) -> None:
    for cut in (whole(OCTETS), single(OCTETS)):
        sink = Sink(lambda name: "HEADER" in name)
        message = streamed(twin, cut, sink)[0]
        assert sink.asked == ASKED
        assert sink.written == [b"abc"]
        assert message.body == b")\r\nA1 O"
        assert message.items == (("BODY[1]", b""), ("BODY[HEADER]", 3))


# Of each item what its grammar knows.
ITEMS = (
    b"UID 5",
    b"FLAGS (\\Seen a)",
    b'INTERNALDATE "01-Jan-2024 00:00:00 +0000"',
    b"RFC822.SIZE 5",
    b"MODSEQ (7)",
    b'ENVELOPE ("d" "s" (("n" NIL "m" "h")) NIL NIL NIL NIL NIL "r" "i")',
    b'BODYSTRUCTURE ("text" "plain" ("a" "x") "id" "de" "7bit" 5 1 "md5" ("inline" ("a" "b")) "en" "loc" (1 "x"))',
    b'BODYSTRUCTURE (("text" "plain" NIL NIL NIL "7bit" 5 1) "mixed" ("a" "b") NIL ("en" "de") NIL)',
    b'BODYSTRUCTURE ("message" "rfc822" NIL NIL NIL "7bit" 5 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("a" "b") 3)',
    b"X-GM-LABELS (a b)",
    b"EMAILID (M1)",
    b'PREVIEW (FUZZY "x")',
    b'SAVEDATE "01-Jan-2024 00:00:00 +0000"',
    b"BINARY.SIZE[1] 5",
    b"X-OTHER (1 (a))",
)


def values_of(item: bytes) -> Iterator[tuple[int, int]]:
    """Where the values in `item` begin and end, lists and what they hold."""
    opened: list[int] = []
    for found in re.finditer(rb'"[^"]*"|\(|\)|[^ ()"]+', item[item.index(b" ") :]):
        start, stop = (item.index(b" ") + at for at in found.span())
        if found[0] == b"(":
            opened.append(start)
        else:
            yield (opened.pop() if found[0] == b")" else start), stop


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item[:24].decode())
def test_a_literal_for_the_sink_where_another_value_belongs(twin: Any, item: bytes) -> None:
    """What looks like a section may stand anywhere: no other error gets out, and what comes after it is read."""
    for start, stop in values_of(item):
        octets = b"* 1 FETCH (%bRFC822 {2}\r\nhi%b)\r\n* 2 EXISTS\r\n" % (item[:start], item[stop:])
        for cut in (whole(octets), single(octets)):
            sink = Sink()
            message, other = streamed(twin, cut, sink)
            assert sink.written == [b"hi"]
            assert isinstance(message, FetchedMessage)
            assert other == (b"* 2 EXISTS",)


@pytest.mark.parametrize("section", [b'HEADER.FIELDS ("a)', b'1 "', b'"\xff\x8d" ("b)'])
def test_a_section_that_nothing_closes_is_a_defect_with_a_sink_too(twin: Any, section: bytes) -> None:
    """The first `]` is inside a string that has no end; what the sink was told does not make the name a good one."""
    octets = b"* 1 FETCH (BODY[%s] {3}\r\nxyz BODY[2] {3}\r\nabc)\r\n" % section
    sink = Sink()
    for _ in range(2):
        (row,) = streamed(twin, [octets], sink)
        assert [(defect.reason, row.items) for defect in row.defects] == [("a section without its closing bracket", ())]
    assert sink.written == [b"xyz", b"abc"] * 2


def test_fetch_responses_of_batch_alone(twin: Any) -> None:
    sink = Sink()
    octets = (
        b'* LIST () "/" {3}\r\na b\r\n* METADATA "" (/a {1}\r\nx)\r\n* 1 FETCHED (X {1}\r\nx)\r\n* OK {2}\r\nhi\r\n'
    )
    assert len(streamed(twin, [octets], sink)) == 5  # a status ends in no literal
    reader = twin.ResponseReader()
    reader.set_sink(sink)
    put(reader, OCTETS)
    assert [type(fragment) for fragment in reader.responses()[0]] == [bytes] * 7
    put(reader, OCTETS)
    reader.drain({})
    assert sink.asked == []
    spaced = b"*  1  fetch(BODY[] {1}\r\nx)\r\n"
    assert streamed(twin, [spaced], sink)[0].streamed == {"BODY[]": 1}


def test_no_sink_any_more(twin: Any) -> None:
    reader = twin.ResponseReader()
    sink = Sink()
    reader.set_sink(sink)
    put(reader, b"* 1 FETCH (BODY[] {4}\r\nab")
    assert reader.batch() == []
    assert reader.in_response
    reader.set_sink(None)
    put(reader, b"cd BODY[1] {1}\r\nx)\r\n")
    ((message,),) = reader.batch()
    assert sink.written == [b"abcd"]
    assert message.items == (("BODY[]", 4), ("BODY[1]", b"x"))


def test_half_a_literal_belongs_to_batch(twin: Any) -> None:
    reader = twin.ResponseReader()
    reader.set_sink(Sink())
    put(reader, b"* 1 FETCH (BODY[] {4}\r\nab")
    assert reader.batch() == []
    for call in (reader.responses, reader.readline, lambda: reader.drain({})):
        with pytest.raises(ProtocolError, match="half read"):
            call()
    assert reader.buffered == 0


@pytest.mark.parametrize("call", [0, 1, 2])
def test_an_error_costs_its_literal_alone(twin: Any, call: int) -> None:
    """An error of the sink itself (call 0), or of the first or second write()."""
    error = OSError(28, "No space left on device")
    calls = 0

    def sink(_number: object, _uid: object, _name: str, size: int) -> Any:
        if call == 0:
            raise error
        return write

    def write(octets: memoryview) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error

    octets = b"* 1 FETCH (UID 5 BODY[] {9}\r\nabc\r\n* 1 )\r\n* 2 FETCH (UID 6)\r\nA1 OK\r\n"
    first, second, tagged = streamed(twin, [octets[:31], octets[31:33], octets[33:]], sink)
    assert (first.uid, first.streamed, first.defects) == (5, {"BODY[]": 9}, ())
    assert first.streamed["BODY[]"].error is error
    assert calls == call
    assert second.uid == 6
    assert tagged == (b"A1 OK",)


def test_an_interrupt_goes_through_and_closes_the_reader(twin: Any) -> None:
    def write(octets: memoryview) -> None:
        raise KeyboardInterrupt

    def sink(_number: object, _uid: object, _name: str, size: int) -> Any:
        if size == 1:
            raise KeyboardInterrupt
        return write

    for size in (1, 2):
        reader = twin.ResponseReader()
        reader.set_sink(sink)
        put(reader, b"* 1 FETCH (BODY[] {%d}\r\nab)\r\n" % size)
        with pytest.raises(KeyboardInterrupt):
            reader.batch()
        with pytest.raises(ProtocolError, match="interrupted"):
            reader.batch()


def test_the_views_are_for_the_call_alone(twin: Any) -> None:
    views: list[memoryview] = []
    streamed(twin, [OCTETS], lambda *_: views.append)
    assert len(views) == 2
    for view in views:
        with pytest.raises(ValueError, match="released"):
            view.tobytes()


def test_a_view_that_is_exported_is_an_error_of_the_literal(twin: Any) -> None:
    kept: list[PickleBuffer] = []
    message = streamed(twin, [OCTETS], lambda *_: lambda octets: kept.append(PickleBuffer(octets)))[0]
    errors = [type(size.error) for size in message.streamed.values()]
    assert errors == [BufferError, type(None), BufferError]
    assert message.streamed == {"BODY[]": 7, "BODY[1]": 0, "BODY[HEADER]": 3}


def test_the_reader_refuses_calls_of_its_sink(twin: Any) -> None:
    reader = twin.ResponseReader()
    calls: list[Callable[[], object]] = [
        reader.batch, reader.responses, reader.readline, reader.get_buffer, reader.take_rest,
        lambda: reader.read(1), lambda: reader.drain({}), lambda: reader.buffer_updated(1),
    ]  # fmt: skip
    refused = 0

    def write(octets: memoryview) -> None:
        nonlocal refused
        for call in calls:
            with pytest.raises((RuntimeError, ValueError)):
                call()
            refused += 1

    def sink(_number: object, _uid: object, _name: str, size: int) -> Any:
        write(memoryview(b""))
        return write

    reader.set_sink(sink)
    put(reader, b"* 1 FETCH (BODY[] {2}\r\nab)\r\n")
    ((message,),) = reader.batch()
    assert message.streamed["BODY[]"].error is None
    assert refused == 2 * len(calls)


def test_limits(twin: Any) -> None:
    limits = Limits(literal=100, response=300)
    octets = b"* 1 FETCH (BODY[] {5000}\r\n" + b"x" * 5000 + b" BODY[1] {%d}\r\n"
    sink = Sink(lambda name: "[1]" not in name)
    message = streamed(twin, [octets % 2 + b"ab)\r\n"], sink, limits)[0]
    assert sink.written == [b"x" * 5000]
    assert message.items == (("BODY[]", 5000), ("BODY[1]", b"ab"))
    with pytest.raises(LiteralTooLarge):
        streamed(twin, [octets % 101], sink, limits)
    with pytest.raises(ResponseTooLarge):
        streamed(twin, [octets % 100 + b"x" * 100 + b" X" * 100 + b")\r\n"], sink, limits)
    # Any size is announced without memory being taken for it, up to the largest that there is.
    largest = Sink()
    assert streamed(twin, [b"* 1 FETCH (BODY[] {9223372036854775807}\r\nabc"], largest, limits) == []
    assert largest.written == [b"abc"]
    with pytest.raises(LiteralTooLarge):
        streamed(twin, [b"* 1 FETCH (BODY[] {9223372036854775808}\r\n"], largest, limits)
    assert len(largest.asked) == 1


@pytest.mark.parametrize(
    ("octets", "asked"),
    [
        # The UID before the literal, after it, in a string, in a list, in the name of a section.
        (b"* 1 FETCH (UID 5 BODY[] {1}\r\nx)", [(1, 5, "BODY[]", 1)]),
        (b"* 1 FETCH (BODY[] {1}\r\nx UID 5)", [(1, None, "BODY[]", 1)]),
        (b"* 1 FETCH (BODY[1] {1}\r\nx UID 5 BODY[2] {1}\r\ny)", [(1, None, "BODY[1]", 1), (1, 5, "BODY[2]", 1)]),
        (b'* 1 FETCH (ENVELOPE (NIL " UID 6 ") UID 5 body[] ~{1}\r\nx)', [(1, 5, "BODY[]", 1)]),
        (b'* 1 FETCH (ENVELOPE (NIL "\\" UID 6 ") BODY[] {1}\r\nx)', [(1, None, "BODY[]", 1)]),
        (b"* 1 FETCH (X (UID) BODY.PEEK[HEADER.FIELDS (UID)] {1+}\r\nx)", [(1, None, "BODY[HEADER.FIELDS (UID)]", 1)]),
        (b"* 7 UIDFETCH (UID 5 BINARY[1]<3> {1}\r\nx)", [(None, 7, "BINARY[1]<3>", 1)]),
        (b"* 1 FETCH (RFC822 {1}\r\nx RFC822.TEXT {1}\r\ny)", [(1, None, "RFC822", 1), (1, None, "RFC822.TEXT", 1)]),
        # Not parts of the message: nobody is asked.
        (b'* 1 FETCH (ENVELOPE (NIL {1}\r\nx "BODY[] {1}") X {1}\r\nx X (BODY[ {1}\r\nx))', []),
        # Names of header fields that are literals.
        (
            b"* 1 FETCH (UID 5 BODY[HEADER.FIELDS ({7}\r\nSubject {3}\r\nX-y)] {2}\r\n\r\n BODY[1] {1}\r\nx)",
            [(1, 5, "BODY[HEADER.FIELDS (SUBJECT X-Y)]", 2), (1, 5, "BODY[1]", 1)],
        ),
    ],
)  # fmt: skip
def test_what_a_sink_is_asked(twin: Any, octets: bytes, asked: list[Any]) -> None:
    for cut in (whole(octets + b"\r\n"), single(octets + b"\r\n")):
        sink = Sink()
        (message,) = streamed(twin, cut, sink)
        assert sink.asked == asked
        assert [*message.streamed] == [name for _, _, name, _ in asked]


def test_many_literals_are_linear(twin: Any) -> None:
    sink = Sink()
    octets = b"* 1 FETCH (UID 5" + b"".join(b" BODY[%d] {1}\r\nx" % n for n in range(1, 2_000)) + b")\r\n"
    (message,) = streamed(twin, [octets], sink)
    assert len(message.items) == 1_999
    assert sink.asked[-1] == (1, 5, "BODY[1999]", 1)


def test_memory_stays_flat(twin: Any) -> None:
    block = bytes(range(256)) * 1024
    count = 256
    received = hashlib.sha256()
    written = 0

    def write(octets: memoryview) -> None:
        nonlocal written
        written += len(octets)
        received.update(octets)

    reader = twin.ResponseReader()
    reader.set_sink(lambda *_: write)
    put(reader, b"* 1 FETCH (BODY[] {%d}\r\n" % (count * len(block)))
    assert reader.batch() == []
    expected = hashlib.sha256()
    tracemalloc.start()
    try:
        for _ in range(count):
            put(reader, block)
            assert reader.batch() == []
            expected.update(block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    put(reader, b")\r\n")
    ((message,),) = reader.batch()
    assert message.streamed == {"BODY[]": count * len(block)}
    assert (written, received.digest()) == (count * len(block), expected.digest())
    assert peak < 2**20  # of 64 MiB; the reader's own buffer was there before
