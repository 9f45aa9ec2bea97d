"""The tokenizer (RFC 9051, section 4), on both twins."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap.errors import LimitError, NestingTooDeep, ParseError


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"", ()),
        (b"   ", ()),
        (b"* 23 EXISTS", ("*", 23, "EXISTS")),
        (b"nil NIL Nil NILE", (None, None, None, "NILE")),
        (b"0 007 9223372036854775807", (0, 7, 2**63 - 1)),
        # RFC 9051: number64 has 63 bits; what does not fit is kept as it came.
        (b"9223372036854775808 99999999999999999999", ("9223372036854775808", "99999999999999999999")),
        (b"-1 1.5 9.3736e+06 1a", ("-1", "1.5", "9.3736e+06", "1a")),
        (b'""', (b"",)),
        (rb'"a\"b\\c"', (rb'a"b\c',)),
        (rb'"C:\temp\x"', (rb"C:\temp\x",)),
        (rb'"\\" "/"', (b"\\", b"/")),
        (b'"123" "NIL"', (b"123", b"NIL")),
        (b'("a" ("b")("c") () NIL)', ((b"a", (b"b",), (b"c",), (), None),)),
        (b"(\\Seen \\* $Junk a]b)", (("\\Seen", "\\*", "$Junk", "a]b"),)),
        (b"(UID 19436 )  x ", (("UID", 19436), "x")),
        (b"\xc3\xa9 \xff", ("é", "\udcff")),
        (b'"\xff\x00\n"', (b"\xff\x00\n",)),
        (b"a\tb", ("a\tb",)),
        # Sections are one atom (RFC 9051, section 6.4.5).
        (b'BODY[] "x"', ("BODY[]", b"x")),
        (
            b'BODY[HEADER.FIELDS (DATE FROM)]<0> "x" body.peek[1.MIME] NIL',
            ("BODY[HEADER.FIELDS (DATE FROM)]<0>", b"x", "body.peek[1.MIME]", None),
        ),
        (
            b"BINARY[1.2] BINARY.PEEK[(] BINARY.SIZE[3] 5",
            ("BINARY[1.2]", "BINARY.PEEK[(]", "BINARY.SIZE[3]", 5),
        ),
        (b"BODY[ (x) BODY[ (y)", ("BODY[", ("x",), "BODY[", ("y",))),
        (b"BODYX[ (x)] BOD", ("BODYX[", ("x",), "]", "BOD")),
        (b"INBOX.[Airmail].Snooze", ("INBOX.[Airmail].Snooze",)),
        # Unescaped quotes of Exchange and Gmail (tests/corpus/quirks.txt).
        (b'"MOUNDARY="_006_KOS_"" "OCTET"', (b'MOUNDARY="_006_KOS_"', b"OCTET")),
        (b'("=?UTF-8?Q?"Dummy"?=" NIL)', ((b'=?UTF-8?Q?"Dummy"?=', None),)),
    ],
)
def test_one_line(twin: Any, line: bytes, values: tuple[Any, ...]) -> None:
    assert twin.tokenize((line,)) == values
    assert [type(v) for v in twin.tokenize((line,))] == [type(v) for v in values]


def test_literals_are_strings(twin: Any) -> None:
    fragments = (b"* 1 FETCH (BODY[] {3}", b"a)b", b" BINARY[1] ~{2}", b"\x00(", b" X {1+}", b"z", b")")
    assert twin.tokenize(fragments) == ("*", 1, "FETCH", ("BODY[]", b"a)b", "BINARY[1]", b"\x00(", "X", b"z"))
    assert twin.tokenize((b"{1}", b"x", b"")) == (b"x",)
    assert twin.tokenize((b'"~{1}" ~{1}', b"x", b"")) == (b"~{1}", b"x")


@pytest.mark.parametrize(
    ("fragments", "message"),
    [
        ((b"(a",), "1 parentheses not closed"),
        ((b"((a)",), "1 parentheses not closed"),
        ((b"a)",), r"unexpected '\)' at octet 1 of line 0"),
        ((b'("a',), "quoted string not closed at octet 1 of line 0"),
        ((b'"a"b',), "quoted string not closed at octet 0 of line 0"),
        ((b'"a\\',), "quoted string not closed at octet 0 of line 0"),
        ((b'"a\\"',), "quoted string not closed at octet 0 of line 0"),
        ((b"({1}", b"x", b"))"), r"unexpected '\)' at octet 1 of line 1"),
        ((b"(x", b"x", b")"), r"line 0 announces no literal: b'\(x'"),
        ((b"{1}x", b"x", b""), "line 0 announces no literal"),
        ((b"{}", b"x", b""), "line 0 announces no literal"),
        ((b"", b"x", b""), "line 0 announces no literal"),
        ((b"1}", b"x", b""), "line 0 announces no literal"),
        ((b"9" * 100, b"x"), r"line 0 announces no literal: b'9{80}'\.\.\."),
    ],
)
def test_errors(twin: Any, fragments: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        twin.tokenize(fragments)
    assert not isinstance(caught.value, LimitError)


def test_depth(twin: Any) -> None:
    assert twin.tokenize((b"((()))",), 3) == ((((),),),)
    with pytest.raises(NestingTooDeep, match="parentheses nested deeper than 2"):
        twin.tokenize((b"((()))",), 2)
    deep = 256
    twin.tokenize((b"(" * deep + b")" * deep,))
    with pytest.raises(NestingTooDeep, match="deeper than 256"):
        twin.tokenize((b"(" * (deep + 1) + b")" * (deep + 1),))


@pytest.mark.parametrize(
    "line",
    [
        b"BODY[ " * 1_000_000,
        b'"' * 4_000_001 + b" ",
        b'"' + b'\\"' * 2_000_000,
        b"\\" * 4_000_000,
        b"()" * 2_000_000,
        b'("a" NIL) ' * 400_000,
        b"9" * 4_000_000,
        b"{1}" * 1_000_000,
    ],
)
def test_hostile_lines_are_linear(twin: Any, line: bytes) -> None:
    """Four million octets: were one of these quadratic, it would take hours and run into the suite's time limit."""
    try:
        values = twin.tokenize((line,))
    except ParseError as exc:
        assert "not closed" in str(exc)  # noqa: PT017 - both outcomes are right, another error is not
    else:
        assert values
