"""What servers get wrong in framing, on both twins, in every cut: nothing is swallowed, and nothing made up."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap.errors import LiteralTooLarge, NestingTooDeep, ParseError
from fastimap.limits import Limits
from fastimap.model.responses import UnknownResponse
from fastimap.wire import decode

from .fetching import defective
from .harness import batched, drained, framed, put, single, splits, whole

UNCLOSED = b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc"


@pytest.mark.parametrize("end", [b"", b"\r\n"])
@pytest.mark.parametrize("answer", [b"A1 OK", b"A1 NO[LIMIT] x"])
def test_a_row_that_is_not_closed_after_its_literal_swallows_no_line(twin: Any, answer: bytes, end: bytes) -> None:
    unclosed = UNCLOSED + end
    octets = unclosed + b"* 2 FETCH (UID 2)\r\n" + unclosed + b"* 9 EXISTS\r\n" + unclosed + answer + b"\r\n"
    rows = [b"* 1 FETCH (UID 1 BODY[] {3}", b"abc", b""]
    for cut in (whole(octets), single(octets), *splits(octets)):
        assert framed(twin, cut)[:6] == [
            tuple(rows), (b"* 2 FETCH (UID 2)",), tuple(rows), (b"* 9 EXISTS",), tuple(rows), (answer,)
        ]  # fmt: skip
        first, second, third, exists, last, tagged, *_ = batched(twin, cut)
        assert (second.uid, exists, tagged) == (2, (b"* 9 EXISTS",), (answer,))
        assert [(row.uid, row.body, defective(row)) for row in (first, third, last)] == [(1, b"abc", [""])] * 3
        untagged, lines, *_ = drained(twin, cut)
        assert (untagged["EXISTS"], lines) == ([b"9"], [answer + b"\r\n"])
        assert untagged["FETCH"].count(b"2 (UID 2)") == 1


def test_only_the_tags_in_flight_end_a_row(twin: Any) -> None:
    """Text that begins like an answer is no answer where the tags are known: it belongs to the row."""
    for tags, expected in (({b"A1"}, 2), ({b"B7"}, 1)):
        reader = twin.ResponseReader()
        reader.set_tags(tags)
        put(reader, UNCLOSED + b"\r\nA1 OK X-ODD)\r\n")
        assert len(reader.responses()) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"* OK see rule {5}",
        b"* no {3}",
        b"*  BAD [ALERT] x {1+}",
        b"* BYE {99999999999999999999}",
        b"* bye[UNAVAILABLE] {3}",
        b"A1 OK {4}",
    ],
)
def test_a_status_ends_in_text_not_in_a_literal(twin: Any, line: bytes) -> None:
    octets = line + b"\r\n* 2 EXISTS\r\n"
    for cut in (whole(octets), single(octets)):
        assert framed(twin, cut)[:2] == batched(twin, cut)[:2] == [(line,), (b"* 2 EXISTS",)]
        untagged, lines, *_ = drained(twin, cut)
        assert (untagged, lines) == ({"EXISTS": [b"2"]}, [line + b"\r\n"])


def test_header_fields_that_are_literals_in_a_name(twin: Any) -> None:
    """RFC 9051, section 9: a header-fld-name is an astring, so it may be a literal."""
    octets = b"* 1 FETCH (BODY[HEADER.FIELDS ({7}\r\nSubject {2}\r\nTo)] {4}\r\na: b UID 3)\r\n* 2 FETCH (UID 2)\r\n"
    for cut in (whole(octets), single(octets), *splits(octets)):
        first, second, *_ = batched(twin, cut)
        assert (first.items, first.uid, first.defects) == ((("BODY[HEADER.FIELDS (SUBJECT TO)]", b"a: b"),), 3, ())
        assert second.uid == 2


@pytest.mark.parametrize("call", ["responses", "batch", "drain"])
def test_what_is_buffered_after_a_refusal(twin: Any, call: str) -> None:
    for octets, rest in ((b"* 1 FETCH (BODY[] {6}\r\nabc", b"abc"), (b"* 1 FETCH (BODY[] {6}\r\n", b"")):
        reader = twin.ResponseReader(Limits(literal=5))
        put(reader, octets)
        with pytest.raises(LiteralTooLarge):
            reader.drain({}) if call == "drain" else getattr(reader, call)()
        assert (reader.buffered, reader.in_response) == (len(rest), True)
        assert reader.take_rest() == rest


# A server that does not close a string, and one that sends a header with a line break in it, may send the same octets.
# So what comes after the line break is neither a row (whoever writes a header could forge it) nor the subject.
EITHER = (
    b'* 1 FETCH (UID 1 ENVELOPE (NIL "abc NIL))\r\n* 2 FETCH (UID 2 ENVELOPE (NIL "sub" NIL))\r\n* 3 FETCH (UID 3)\r\n'
)


def test_a_string_that_may_have_been_left_open(twin: Any) -> None:
    for cut in (whole(EITHER), single(EITHER), *splits(EITHER)):
        first, third, *_ = batched(twin, cut)
        assert (first.uid, first.envelope, "ENVELOPE" in first, third.uid) == (1, None, True, 3)
        assert "may be a response" in first.defects[-1].reason


def test_a_string_with_line_breaks(twin: Any) -> None:
    envelope = b'(NIL "a\r\n b * 2" NIL NIL NIL NIL NIL NIL NIL NIL)'
    (row, *_) = batched(twin, whole(b"* 1 FETCH (UID 1 ENVELOPE " + envelope + b")\r\n"))
    assert (row.envelope.subject, defective(row)) == ("a b * 2", ["ENVELOPE"])


@pytest.mark.parametrize("line", [b'* 1 FETCH (UID 1 ENVELOPE (NIL "abc) UID 3)', b'* 1 FETCH (X ("abc'])
def test_a_string_that_nothing_closes_swallows_no_line(twin: Any, line: bytes) -> None:
    octets = line + b'\r\n* 2 FETCH (FLAGS (a) BODY[] "x" UID 2)\r\n* 3 EXISTS\r\nA1 OK done\r\n'
    for cut in (whole(octets), single(octets)):
        first, second, *others = batched(twin, cut)
        assert (first.sequence_number, len(first.defects)) == (1, 1)
        assert (second.uid, second.body) == (2, b"x")
        assert others[:2] == [(b"* 3 EXISTS",), (b"A1 OK done",)]


BODY = b'(("text" "plain" NIL NIL NIL "7bit" 1 1) "mixed")'  # its deepest list is the third, the row's own the first
MAIL = (
    b'("message" "rfc822" NIL NIL NIL "7bit" 9 (NIL NIL ((NIL NIL "m" "h")) NIL NIL NIL NIL NIL NIL NIL) %s 1)' % BODY
)


@pytest.mark.parametrize(
    ("item", "needed"),
    [
        (b"FLAGS (a)", 2),
        (b"MODSEQ (1)", 2),
        (b'ENVELOPE (NIL NIL ((NIL NIL "m" "h")) NIL NIL NIL NIL NIL NIL NIL)', 4),
        (b"BODYSTRUCTURE " + BODY, 3),
        (b"BODYSTRUCTURE " + MAIL, 5),
        (b'BODYSTRUCTURE ("text" "plain" ("a" "b") NIL NIL "7bit" 1 1 NIL ("inline" ("a" "b")))', 4),
        (b"X-NEW ((((a))))", 5),
    ],
)
def test_the_depth_that_is_allowed(twin: Any, item: bytes, needed: int) -> None:
    line = b"* 1 FETCH (UID 1 " + item + b")"
    name = item.partition(b" ")[0].decode()
    for depth in range(1, 9):
        reader = twin.ResponseReader(Limits(depth=depth))
        put(reader, line + b"\r\n* 2 EXISTS\r\n")
        (row,), exists = reader.batch()
        assert exists == (b"* 2 EXISTS",)
        assert row.uid == 1
        assert defective(row) == ([] if depth >= needed else [name])
        assert row == twin.fetch((line,), depth)


def test_the_depth_of_other_responses() -> None:
    line = b'* NAMESPACE (("" "/")) NIL NIL'
    assert not isinstance(decode.response((line,), depth=2), UnknownResponse)
    deep = decode.response((line,), depth=1)
    assert isinstance(deep, UnknownResponse)
    assert "nested deeper than 1" in (deep.defect or "")
    assert issubclass(NestingTooDeep, ParseError)
