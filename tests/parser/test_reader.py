"""Framing (RFC 9051, sections 2.2.2 and 4.3), on both twins, each vector whole, octet by octet and at every split."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from fastimap.errors import (
    LineTooLong,
    LiteralTooLarge,
    ProtocolError,
    ResponseTooLarge,
    TooManyLiterals,
)
from fastimap.limits import Limits

from .harness import drained, framed, put, single, splits, whole

# name: octets, responses(), (untagged, lines that drain() leaves to its caller)
VECTORS: dict[str, tuple[bytes, list[tuple[bytes, ...]], tuple[dict[str, list[Any]], list[bytes]]]] = {
    "tagged": (b"A1 OK done\r\n", [(b"A1 OK done",)], ({}, [b"A1 OK done\r\n"])),
    "continuation": (b"+ idling\r\n+\r\n", [(b"+ idling",), (b"+",)], ({}, [b"+ idling\r\n", b"+\r\n"])),
    "status": (
        b"* OK [UIDVALIDITY 1] ok\r\n* BYE bye\r\n* PREAUTH x\r\n",
        [(b"* OK [UIDVALIDITY 1] ok",), (b"* BYE bye",), (b"* PREAUTH x",)],
        ({}, [b"* OK [UIDVALIDITY 1] ok\r\n", b"* BYE bye\r\n", b"* PREAUTH x\r\n"]),
    ),
    "data": (
        b"* 23 EXISTS\r\n* FLAGS (\\Seen)\r\n* 1 EXISTS\r\n* SEARCH\r\n* 7 EXPUNGE \r\n",
        [(b"* 23 EXISTS",), (b"* FLAGS (\\Seen)",), (b"* 1 EXISTS",), (b"* SEARCH",), (b"* 7 EXPUNGE ",)],
        ({"EXISTS": [b"23", b"1"], "FLAGS": [b"(\\Seen)"], "SEARCH": [b""], "EXPUNGE": [b"7"]}, []),
    ),
    "literal": (
        b"* 12 FETCH (BODY[HEADER] {8}\r\nDate: \r\n UID 3)\r\nA2 OK\r\n",
        [(b"* 12 FETCH (BODY[HEADER] {8}", b"Date: \r\n", b" UID 3)"), (b"A2 OK",)],
        ({"FETCH": [(b"12 (BODY[HEADER] {8}", b"Date: \r\n"), b" UID 3)"]}, [b"A2 OK\r\n"]),
    ),
    "two literals, one empty": (
        b"* 1 FETCH (BODY[1] {0}\r\n BODY[2] {3}\r\na\nb)\r\n",
        [(b"* 1 FETCH (BODY[1] {0}", b"", b" BODY[2] {3}", b"a\nb", b")")],
        ({"FETCH": [(b"1 (BODY[1] {0}", b""), (b" BODY[2] {3}", b"a\nb"), b")"]}, []),
    ),
    "literal at the end": (
        b'* LIST () "/" {3}\r\na b\r\n* LIST () "/" c\r\n',
        [(b'* LIST () "/" {3}', b"a b", b""), (b'* LIST () "/" c',)],
        ({"LIST": [(b'() "/" {3}', b"a b"), b"", b'() "/" c']}, []),
    ),
    "non-synchronising literal, literal8, leading zeros": (
        b"* 1 FETCH (A {1+}\r\nx B ~{2}\r\n\x00\n C {003}\r\n123)\r\n",
        [(b"* 1 FETCH (A {1+}", b"x", b" B ~{2}", b"\x00\n", b" C {003}", b"123", b")")],
        ({"FETCH": [(b"1 (A {1+}", b"x"), (b" B ~{2}", b"\x00\n"), (b" C {003}", b"123"), b")"]}, []),
    ),
    "literal that looks like responses": (
        b"* 1 FETCH (X {26}\r\n)\r\nA1 OK\r\n* BYE {9}\r\n{5}\r\n)\r\n",
        [(b"* 1 FETCH (X {26}", b")\r\nA1 OK\r\n* BYE {9}\r\n{5}\r\n", b")")],
        ({"FETCH": [(b"1 (X {26}", b")\r\nA1 OK\r\n* BYE {9}\r\n{5}\r\n"), b")"]}, []),
    ),
    "no literals: not at the end, not digits, in a tagged response, in a quoted string": (
        b'* LIST () "/" "{3}"\r\n* X {3} \r\n* X {-3}\r\n* X {}\r\n* X {+}\r\nA1 OK {3}\r\n+ {3}\r\n',
        [
            (b'* LIST () "/" "{3}"',),
            (b"* X {3} ",),
            (b"* X {-3}",),
            (b"* X {}",),
            (b"* X {+}",),
            (b"A1 OK {3}",),
            (b"+ {3}",),
        ],
        (
            {"LIST": [b'() "/" "{3}"'], "X": [b"{3} ", b"{-3}", b"{}", b"{+}"]},
            [b"A1 OK {3}\r\n", b"+ {3}\r\n"],
        ),
    ),
    "empty lines between responses": (
        b"\r\n* 1 EXISTS\r\n\r\n\r\n* 2 EXISTS\r\n",
        [(b"* 1 EXISTS",), (b"* 2 EXISTS",)],
        ({"EXISTS": [b"1", b"2"]}, [b"\r\n"] * 3),
    ),
    "empty line after a literal in a list (cpython#88574), none at top level": (
        b'* 1 FETCH (A "(" {1}\r\nx\r\n\r\n)\r\n* LIST () "/" {1}\r\ny\r\n\r\n* 1 EXISTS\r\n',
        [(b'* 1 FETCH (A "(" {1}', b"x", b")"), (b'* LIST () "/" {1}', b"y", b""), (b"* 1 EXISTS",)],
        (
            {
                "FETCH": [(b'1 (A "(" {1}', b"x"), b")"],
                "LIST": [(b'() "/" {1}', b"y"), b""],
                "EXISTS": [b"1"],
            },
            [b"\r\n"],
        ),
    ),
    "parentheses in quoted strings do not count, nor after a quote that opens one": (
        b'* A "\\"((" ") {1}\r\nx\r\n* B " ( {1}\r\ny\r\n)\r\n',
        [(b'* A "\\"((" ") {1}', b"x", b""), (b'* B " ( {1}', b"y", b""), (b")",)],
        ({"A": [(b'"\\"((" ") {1}', b"x"), b""], "B": [(b'" ( {1}', b"y"), b""]}, [b")\r\n"]),
    ),
    "8-bit and NUL": (
        b'* LIST () "/" \xc3\xa9\x00\xff\r\n',
        [(b'* LIST () "/" \xc3\xa9\x00\xff',)],
        ({"LIST": [b'() "/" \xc3\xa9\x00\xff']}, []),
    ),
    "bare CR stays, bare LF ends a line that drain() leaves to its caller": (
        b"* X a\rb\r\n* X c\n* X d\r\n",
        [(b"* X a\rb",), (b"* X c",), (b"* X d",)],
        ({"X": [b"a\rb", b"d"]}, [b"* X c\n"]),
    ),
    "odd lines": (
        b"*  3 EXISTS\r\n* list x\r\n* [A]\r\n* 5\r\n* 5 \r\n*\r\n* \r\n*X\r\nServer Unavailable. 15\r\n* X1 y\r\n",
        [
            (b"*  3 EXISTS",),
            (b"* list x",),
            (b"* [A]",),
            (b"* 5",),
            (b"* 5 ",),
            (b"*",),
            (b"* ",),
            (b"*X",),
            (b"Server Unavailable. 15",),
            (b"* X1 y",),
        ],
        (
            {},
            [
                b"*  3 EXISTS\r\n",
                b"* list x\r\n",
                b"* [A]\r\n",
                b"* 5\r\n",
                b"* 5 \r\n",
                b"*\r\n",
                b"* \r\n",
                b"*X\r\n",
                b"Server Unavailable. 15\r\n",
                b"* X1 y\r\n",
            ],
        ),
    ),
    "a long name of a response": (
        b"* " + b"X" * 40 + b" 1\r\n* " + b"X" * 40 + b" 2\r\n* XX 3\r\n",
        [(b"* " + b"X" * 40 + b" 1",), (b"* " + b"X" * 40 + b" 2",), (b"* XX 3",)],
        ({"X" * 40: [b"1", b"2"], "XX": [b"3"]}, []),
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_in_every_cut(twin: Any, name: str) -> None:
    octets, responses, (untagged, lines) = VECTORS[name]
    for cut in (whole(octets), single(octets), *splits(octets)):
        assert framed(twin, cut) == [*responses, False, b""]
        assert drained(twin, cut) == [untagged, lines, False, b""]


@pytest.mark.parametrize("name", VECTORS)
def test_end_of_connection_at_every_octet_gives_nothing_partial(twin: Any, name: str) -> None:
    octets, responses, _ = VECTORS[name]
    for end in range(len(octets)):
        *seen, in_response, rest = framed(twin, [octets[:end]])
        assert seen == responses[: len(seen)]
        assert in_response or octets[:end].endswith(rest)
        if len(seen) < len(responses) and octets[:end].strip(b"\r\n"):
            assert in_response or rest or octets[:end].endswith(b"\n")


SMALL = Limits(line=30, literal=20, response=60, literals=3, depth=4)


@pytest.mark.parametrize(
    ("octets", "error", "message"),
    [
        (b"* X 0123456789012345678901234\r\n", LineTooLong, "got more than 30 bytes"),
        (b"* X 012345678901234567890123456", LineTooLong, "got more than 30 bytes"),
        (b"* X {21}\r\n", LiteralTooLarge, "literal of 21 octets, more than 20"),
        (b"* X {4294967296}\r\n", LiteralTooLarge, "literal of 4294967296 octets, more than 20"),
        (
            b"* X {9223372036854775807}\r\n",
            LiteralTooLarge,
            "literal of 9223372036854775807 octets, more than 20",
        ),
        (b"* X {9223372036854775808}\r\n", LiteralTooLarge, "literal of 2**63 or more octets, more than 20"),
        (b"* X {" + b"9" * 19 + b"}\r\n", LiteralTooLarge, "literal of 2**63 or more octets, more than 20"),
        (b"* X {" + b"9" * 20 + b"+}\r\n", LiteralTooLarge, "literal of 2**63 or more octets, more than 20"),
        (b"* X {1}\r\na {99}\r\n", LiteralTooLarge, "literal of 99 octets, more than 20"),
        (
            b"* X {20}\r\n01234567890123456789 {20}\r\n01234567890123456789 {9}\r\n",
            ResponseTooLarge,
            "response of more than 60 octets",
        ),
        (b"* X {1}\r\na{1}\r\nb{1}\r\nc{1}\r\nd\r\n", TooManyLiterals, "response with more than 3 literals"),
    ],
)
def test_limits(twin: Any, octets: bytes, error: type[ProtocolError], message: str) -> None:
    expected = (error.__name__, message)
    octets = b"* 1 EXISTS\r\n" + octets
    for cut in (whole(octets), single(octets), *splits(octets)):
        assert framed(twin, cut, SMALL) == [(b"* 1 EXISTS",), expected]
        assert drained(twin, cut, SMALL) == [{"EXISTS": [b"1"]}, [], expected]


def test_at_the_limit_all_passes(twin: Any) -> None:
    octets = b"* X 012345678901234567890123\r\n"
    assert len(octets) == SMALL.line
    assert framed(twin, [octets], SMALL) == [(octets[:-2],), False, b""]
    octets = b"* X {20}\r\n01234567890123456789\r\n"
    assert framed(twin, [octets], SMALL) == [(b"* X {20}", b"01234567890123456789", b""), False, b""]
    octets = b"* X {1}\r\na{1}\r\nb{1}\r\nc\r\n"
    assert framed(twin, [octets], SMALL) == [(b"* X {1}", b"a", b"{1}", b"b", b"{1}", b"c", b""), False, b""]


def test_an_error_is_final_and_the_batch_before_it_is_handed_over(twin: Any) -> None:
    reader = twin.ResponseReader(SMALL)
    put(reader, b"* 1 EXISTS\r\n* X {21}\r\n* 2 EXISTS\r\n")
    assert reader.responses() == [(b"* 1 EXISTS",)]
    for call in (reader.responses, lambda: reader.drain({}), reader.readline, lambda: reader.read(1)):
        for _ in range(3):
            with pytest.raises(LiteralTooLarge, match="literal of 21 octets") as caught:
                call()
        # The error is one object: raised again, it does not collect the frames of all who were told.
        assert len(caught.traceback) < 6


def test_unterminated_line_behind_a_literal_is_refused_by_drain(twin: Any) -> None:
    octets = b"* 1 FETCH (X {1}\r\na)\n* 1 EXISTS\r\n"
    assert drained(twin, [octets]) == [{}, [], ("ProtocolError", "unterminated line: b')\\n'")]
    assert framed(twin, [octets]) == [(b"* 1 FETCH (X {1}", b"a", b")"), (b"* 1 EXISTS",), False, b""]


def test_readline_and_read_drain_the_same_buffer(twin: Any) -> None:
    reader = twin.ResponseReader()
    put(reader, b"* 1 FETCH (X {5}\r\nhello)\r\n* 2 EX")
    assert reader.readline() == b"* 1 FETCH (X {5}\r\n"
    assert reader.buffered == 14
    assert reader.read(5) == b"hello"
    assert reader.read(0) == b""
    assert reader.readline() == b")\r\n"
    assert reader.readline() is None
    put(reader, b"ISTS\r\n+ go\r\n")
    untagged: dict[str, list[Any]] = {}
    assert reader.drain(untagged) == b"+ go\r\n"
    assert untagged == {"EXISTS": [b"2"]}
    assert reader.buffered == 0
    put(reader, b"abc")
    assert reader.read(4) is None
    assert reader.readline() is None
    assert reader.take_rest() == b"abc"
    with pytest.raises(ValueError, match="at least 0"):
        reader.read(-1)


def test_readline_limit(twin: Any) -> None:
    reader = twin.ResponseReader()
    put(reader, b"0123456789\r\n")
    with pytest.raises(LineTooLong, match="got more than 11 bytes"):
        reader.readline(11)
    assert reader.readline(12) == b"0123456789\r\n"


def test_raw_reads_are_refused_inside_a_response(twin: Any) -> None:
    reader = twin.ResponseReader()
    put(reader, b"* 1 FETCH (X {5}\r\nhel")
    assert reader.responses() == []
    assert reader.in_response
    for call in (reader.readline, lambda: reader.read(2), lambda: reader.drain({})):
        with pytest.raises(ProtocolError, match="a response is half read"):
            call()
    put(reader, b"lo)\r\n")
    assert reader.responses() == [(b"* 1 FETCH (X {5}", b"hello", b")")]
    assert not reader.in_response


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 300_000, 5_000_000])
@pytest.mark.parametrize("chunk", [1_000, 70_000, 10_000_000])
def test_literals_of_all_sizes(twin: Any, size: int, chunk: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    octets = b"* 1 FETCH (BODY[] {%d}\r\n%s FLAGS ())\r\n* 2 EXISTS\r\n" % (size, body)
    cut = [octets[i : i + chunk] for i in range(0, len(octets), chunk)]
    head = b"1 (BODY[] {%d}" % size
    assert drained(twin, cut) == [{"FETCH": [(head, body), b" FLAGS ())"], "EXISTS": [b"2"]}, [], False, b""]
    reader = twin.ResponseReader()
    literal = None
    for piece in [octets[i : i + chunk] for i in range(len(head) + 10, len(head) + 10 + size, chunk)]:
        put(reader, piece)
        literal = literal or reader.read(size)
    assert literal == octets[len(head) + 10 : len(head) + 10 + size]


def test_a_literal_of_which_much_is_there_already(twin: Any) -> None:
    body = bytes(range(1, 256)) * 20_000
    octets = b"* X {%d}\r\n%s\r\n" % (len(body), body)
    reader = twin.ResponseReader()
    put(reader, octets[:3_000_000])  # all at once, so that the buffer grows
    assert reader.responses() == []
    assert reader.buffered == 3_000_000 - len(b"* X {5100000}\r\n")
    put(reader, octets[3_000_000:])
    assert reader.responses() == [(b"* X {%d}" % len(body), body, b"")]


def test_views_that_stay_alive_cost_a_copy_but_no_octet(twin: Any) -> None:
    body = bytes(range(256)) * 4096
    octets = b"* X {%d}\r\n%s\r\n" % (len(body), body)
    reader = twin.ResponseReader()
    views = []
    while octets:
        room = reader.get_buffer()
        size = min(len(room), len(octets), 50_000)
        room[:size] = octets[:size]
        views.append(room)
        reader.buffer_updated(size)
        octets = octets[size:]
        batch = reader.responses()
    assert batch == [(b"* X {%d}" % len(body), body, b"")]


def test_nothing_is_allocated_from_an_announced_size(twin: Any) -> None:
    reader = twin.ResponseReader()
    tracemalloc.start()
    try:
        put(reader, b"* X {1000000000}\r\n" + b"x" * 100)
        assert reader.responses() == []
        assert len(reader.get_buffer()) <= 2**20
        assert tracemalloc.get_traced_memory()[1] < 1.5 * 2**20
    finally:
        tracemalloc.stop()


def test_a_literal_is_received_into_its_final_memory(twin: Any) -> None:
    size = 32 * 2**20
    chunk = b"x" * 2**20
    reader = twin.ResponseReader()
    put(reader, b"* X {%d}\r\n" % size)
    tracemalloc.start()
    try:
        for _ in range(32):
            put(reader, chunk)
            assert reader.responses() == []
        put(reader, b"\r\n")
        [(_, literal, _)] = reader.responses()
        assert len(literal) == size
        assert tracemalloc.get_traced_memory()[1] < size + size // 8 + 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_long_line_grows_the_buffer(twin: Any) -> None:
    numbers = b" ".join(b"%d" % n for n in range(1_000_000))
    octets = b"* SEARCH " + numbers + b"\r\nA1 OK\r\n"
    cut = [octets[i : i + 100_000] for i in range(0, len(octets), 100_000)]
    assert drained(twin, cut) == [{"SEARCH": [numbers]}, [b"A1 OK\r\n"], False, b""]


def test_contract_of_the_buffer(twin: Any) -> None:
    reader = twin.ResponseReader()
    with pytest.raises(ValueError, match="gave 0 octets"):
        reader.buffer_updated(1)
    room = reader.get_buffer(-1)
    assert not room.readonly
    assert room.contiguous
    for wrong in (0, -1, len(room) + 1):
        with pytest.raises(ValueError, match=r"buffer_updated\("):
            reader.buffer_updated(wrong)
    reader.buffer_updated(1)
    with pytest.raises(ValueError, match="gave 0 octets"):
        reader.buffer_updated(1)


def test_drain_appends_to_what_is_there(twin: Any) -> None:
    class Loud(list[Any]):
        pass

    untagged: dict[str, list[Any]] = {"EXISTS": [b"0"], "FETCH": Loud()}
    reader = twin.ResponseReader()
    put(reader, b"* 1 EXISTS\r\n* 2 FETCH (UID 1)\r\n* 3 FETCH (X {1}\r\na)\r\n")
    assert reader.drain(untagged) is None
    assert untagged == {"EXISTS": [b"0", b"1"], "FETCH": [b"2 (UID 1)", (b"3 (X {1}", b"a"), b")"]}
    with pytest.raises(TypeError):
        reader.drain(None)


def test_drain_stores_conditions_of_text_alone(twin: Any) -> None:
    reader = twin.ResponseReader()
    put(reader, b"* OK still working\r\n* NO disk is nearly full\r\n* BAD what?\r\n* OK  [x]\r\n")
    untagged: dict[str, list[Any]] = {}
    assert reader.drain(untagged) is None
    assert untagged == {"OK": [b"still working", b" [x]"], "NO": [b"disk is nearly full"], "BAD": [b"what?"]}


@pytest.mark.parametrize(
    "line",
    [
        *(b"* OK [ALERT] x\r\n", b"* OK\r\n", b"* OK \r\n", b"* OK see rule {5}\r\n", b"* 1 OK x\r\n", b"* ok x\r\n"),
        *(b"* BYE bye\r\n", b"* PREAUTH x\r\n", b"A1 OK done\r\n", b"* OK x\n"),
    ],
)
def test_drain_leaves_what_may_have_effects_to_the_caller(twin: Any, line: bytes) -> None:
    reader = twin.ResponseReader()
    put(reader, line)
    untagged: dict[str, list[Any]] = {}
    assert reader.drain(untagged) == line
    assert untagged == {}


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match=r"Limits\.line must be at least 1"):
        Limits(line=0)


@pytest.mark.parametrize("line", [b"* X {21}\r\n", b"* X {9223372036854775808}\r\n", b"* 1 FETCH (BODY[] {21}\r\n"])
@pytest.mark.parametrize("call", ["responses", "batch", "drain"])
def test_what_is_left_after_a_literal_that_is_too_large(twin: Any, line: bytes, call: str) -> None:
    """What can be announced at all is taken with its line."""
    reader = twin.ResponseReader(SMALL)
    put(reader, b"* Y\r\n" + line + b"abc")
    if call == "drain":
        with pytest.raises(LiteralTooLarge):
            reader.drain({})
    else:
        assert getattr(reader, call)() == [(b"* Y",)]
        with pytest.raises(LiteralTooLarge):
            getattr(reader, call)()
    assert reader.buffered == (len(line) if b"9223372036854775808" in line else 0) + 3


DAMAGE = [
    # A FETCH response whose closing parenthesis is missing after a literal.
    (b"* 1 FETCH (BODY[] {2}\r\nab\r\n* 2 EXISTS\r\n", [(b"* 1 FETCH (BODY[] {2}", b"ab", b""), (b"* 2 EXISTS",)]),
    (b"* 1 FETCH (BODY[] {2}\r\nab* 2 EXISTS\r\n", [(b"* 1 FETCH (BODY[] {2}", b"ab", b""), (b"* 2 EXISTS",)]),
    (b"* 1 FETCH (BODY[] {2}\r\nab\r\nT1 OK\r\n", [(b"* 1 FETCH (BODY[] {2}", b"ab", b""), (b"T1 OK",)]),
    (b"* 1 FETCH (BODY[] {2}\r\nabT1 no x\r\n", [(b"* 1 FETCH (BODY[] {2}", b"ab", b""), (b"T1 no x",)]),
    (b"* 1 FETCH (BODY[] {2}\r\nab\r\n BODY[1] NIL)\r\n", [(b"* 1 FETCH (BODY[] {2}", b"ab", b" BODY[1] NIL)")]),
    # Text is no literal.
    (b"* OK see rule {5}\r\n* 2 EXISTS\r\n", [(b"* OK see rule {5}",), (b"* 2 EXISTS",)]),
    (b"* bye {5}\r\n* PREAUTH {1}\r\n* NO [X] {0}\r\n", [(b"* bye {5}",), (b"* PREAUTH {1}",), (b"* NO [X] {0}",)]),
    # A line break in a quoted string; what it looks like is not taken for a response.
    (b'* 1 FETCH (X "a\r\n* 2 EXISTS\r\nT1 {3}\r\nb")\r\n', [(b'* 1 FETCH (X "a\r\n* 2 EXISTS\r\nT1 {3}\r\nb")',)]),
    (b'* 1 FETCH (X "a\nb" BODY[] {1}\r\nx)\r\n', [(b'* 1 FETCH (X "a\nb" BODY[] {1}', b"x", b")")]),
    # The end of the response looks like an announcement, and is none.
    (b'* 1 FETCH (X "a\r\nb"){3x\r\n* 2 EXISTS\r\n', [(b'* 1 FETCH (X "a\r\nb"){3x',), (b"* 2 EXISTS",)]),
    (b'* 1 FETCH (BODY[] {1}\r\nx X "a\r\n* 2\r\n")\r\n', [(b"* 1 FETCH (BODY[] {1}", b"x", b' X "a\r\n* 2\r\n")')]),
    (b'* 1 FETCH (X "a {1}\r\nb" Y "c\r\nd")\r\n', [(b'* 1 FETCH (X "a {1}\r\nb" Y "c\r\nd")',)]),
    # A quoted string that nothing closes before the answer to a command, or not with the response.
    (b'* 1 FETCH (X "a)\r\n* 2 FETCH (X ("b"))\r\n', [(b'* 1 FETCH (X "a)',), (b'* 2 FETCH (X ("b"))',)]),
    (b'* 1 FETCH (X "a)\r\n* 2 EXISTS\r\nT1 OK\r\n', [(b'* 1 FETCH (X "a)',), (b"* 2 EXISTS",), (b"T1 OK",)]),
    # A lone backslash before a closing quote.
    (b'* 1 FETCH (X "a\\" BODY[] {1}\r\nx)\r\n', [(b'* 1 FETCH (X "a\\" BODY[] {1}', b"x", b")")]),
    (b'* 1 FETCH (X ("a\\"))\r\n* 2 EXISTS\r\n', [(b'* 1 FETCH (X ("a\\"))',), (b"* 2 EXISTS",)]),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "responses"), DAMAGE)
def test_damage(twin: Any, octets: bytes, responses: list[Any]) -> None:
    for cut in (whole(octets), single(octets), *splits(octets)):
        assert framed(twin, cut) == [*responses, False, b""]


def test_the_tags_in_flight(twin: Any) -> None:
    """Where they are known, nothing else that looks like an answer ends a quoted string, or follows a literal."""
    octets = b'* 1 FETCH (X "a\r\nT1 OK\r\nb")\r\n'
    for tags, responses in (
        ([], [(octets[:-2],)]),
        ([b"T1"], [(b'* 1 FETCH (X "a',), (b"T1 OK",), (b'b")',)]),
        (None, [(b'* 1 FETCH (X "a',), (b"T1 OK",), (b'b")',)]),
    ):
        reader = twin.ResponseReader()
        reader.set_tags(tags)
        put(reader, octets)
        assert reader.responses() == responses


@pytest.mark.slow
def test_open_strings_are_linear(twin: Any) -> None:
    """Four million octets: were this quadratic, it would run into the suite's time limit."""
    reader = twin.ResponseReader()
    count = 0
    for _ in range(64):
        put(reader, b'* 1 FETCH (X "a\r\n' * 4_000)
        count += len(reader.batch())
    put(reader, b"T1 OK\r\n")
    while batch := reader.batch():
        count += sum(len(part) if isinstance(part, list) else 0 for part in batch)
    assert count > 1000
