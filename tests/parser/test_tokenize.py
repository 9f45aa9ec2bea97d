"""The tokenizer (RFC 9051, section 4), on both twins."""

from __future__ import annotations

import itertools
import random
from array import array
from typing import Any

import pytest

from fastimap.errors import LimitError, NestingTooDeep, ParseError
from fastimap.model.sequence_set import SequenceSet
from fastimap.parser import Atom, plain

from .harness import kinds

A = Atom


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"", ()),
        (b"   ", ()),
        (b"* 23 EXISTS", (A(b"*"), A(b"23"), A(b"EXISTS"))),
        (b"nil NIL Nil NILE", (A(b"nil"), A(b"NIL"), A(b"Nil"), A(b"NILE"))),
        (b"0 007 9223372036854775807", (A(b"0"), A(b"007"), A(b"9223372036854775807"))),
        # What an atom is, is for the grammar of the response to say: all keep their octets.
        (b"9223372036854775808 99999999999999999999", (A(b"9223372036854775808"), A(b"99999999999999999999"))),
        (b"-1 1.5 9.3736e+06 1a", (A(b"-1"), A(b"1.5"), A(b"9.3736e+06"), A(b"1a"))),
        (b'""', (b"",)),
        (rb'"a\"b\\c"', (rb'a"b\c',)),
        (rb'"C:\temp\x"', (rb"C:\temp\x",)),
        (rb'"\\" "/"', (b"\\", b"/")),
        (b'"123" "NIL"', (b"123", b"NIL")),
        (b'("a" ("b")("c") () NIL)', ((b"a", (b"b",), (b"c",), (), A(b"NIL")),)),
        (b"(\\Seen \\* $Junk a]b)", ((A(b"\\Seen"), A(b"\\*"), A(b"$Junk"), A(b"a]b")),)),
        (b"(UID 19436 )  x ", ((A(b"UID"), A(b"19436")), A(b"x"))),
        (b"\xc3\xa9 \xff", (A(b"\xc3\xa9"), A(b"\xff"))),
        (b'"\xff\x00\n"', (b"\xff\x00\n",)),
        (b"a\tb", (A(b"a\tb"),)),
        # Sections are one atom (RFC 9051, section 6.4.5).
        (b'BODY[] "x"', (A(b"BODY[]"), b"x")),
        (
            b'BODY[HEADER.FIELDS (DATE FROM)]<0> "x" body.peek[1.MIME] NIL',
            (A(b"BODY[HEADER.FIELDS (DATE FROM)]<0>"), b"x", A(b"body.peek[1.MIME]"), A(b"NIL")),
        ),
        (
            b"BINARY[1.2] BINARY.PEEK[(] BINARY.SIZE[3] 5",
            (A(b"BINARY[1.2]"), A(b"BINARY.PEEK[(]"), A(b"BINARY.SIZE[3]"), A(b"5")),
        ),
        (b"BODY[ (x) BODY[ (y)", (A(b"BODY["), (A(b"x"),), A(b"BODY["), (A(b"y"),))),
        (b"BODYX[ (x)] BOD", (A(b"BODYX["), (A(b"x"),), A(b"]"), A(b"BOD"))),
        (b"INBOX.[Airmail].Snooze", (A(b"INBOX.[Airmail].Snooze"),)),
        # Unescaped quotes of Exchange and Gmail (tests/corpus/quirks.txt).
        (b'"MOUNDARY="_006_KOS_"" "OCTET"', (b'MOUNDARY="_006_KOS_"', b"OCTET")),
        (b'("=?UTF-8?Q?"Dummy"?=" NIL)', ((b'=?UTF-8?Q?"Dummy"?=', A(b"NIL")),)),
    ],
)
def test_one_line(twin: Any, line: bytes, values: tuple[Any, ...]) -> None:
    assert kinds(twin.tokenize((line,))) == kinds(values)


def test_literals_are_strings(twin: Any) -> None:
    fragments = (b"* 1 FETCH (BODY[] {3}", b"a)b", b" BINARY[1] ~{2}", b"\x00(", b" X {1+}", b"z", b")")
    inner = (A(b"BODY[]"), b"a)b", A(b"BINARY[1]"), b"\x00(", A(b"X"), b"z")
    assert kinds(twin.tokenize(fragments)) == kinds((A(b"*"), A(b"1"), A(b"FETCH"), inner))
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


@pytest.mark.slow
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


def test_an_atom_shows_what_it_is() -> None:
    assert repr(A(b"007")) == str(A(b"007")) == "Atom(b'007')"
    assert A(b"nil").is_nil
    assert not A(b"nile").is_nil
    assert A(b"a") == b"a"
    assert hash(A(b"a")) == hash(b"a")


def test_hashes_of_atoms(twin: Any) -> None:
    (atom,) = twin.tokenize((b"abc",))
    assert {atom: 1}[b"abc"] == 1


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"7 0 007 00 -1 9223372036854775807 9223372036854775808", (7, 0, "007", "00", "-1", 2**63 - 1, str(2**63))),
        (b'NIL nil "NIL" "7" \\Seen \xff', (None, None, b"NIL", b"7", "\\Seen", "\udcff")),
        (b"() ((a) (1 (2)) b)", ((), (("a",), (1, (2,)), "b"))),
    ],
)
def test_plain_values(twin: Any, line: bytes, values: tuple[Any, ...]) -> None:
    """Of data without a grammar, only what can be written in one way becomes a number."""
    assert plain(twin.tokenize((line,))) == values
    deep = 256
    assert plain(twin.tokenize((b"(" * deep + b")" * deep,))) != ()


@pytest.mark.parametrize(
    ("octets", "ranges"),
    [
        (b"", ()),
        (b"  ", ()),
        (b"1", ((1, 1),)),
        (b"1 2 3 5 6 9", ((1, 3), (5, 6), (9, 9))),
        (b" 4294967294  4294967295 ", ((4294967294, 4294967295),)),
        (b"007 08", ((7, 8),)),
        # In another order, more than once, ranges that touch.
        (b"5 4 3 2 1", ((1, 5),)),
        (b"7 8 1 2 3 2 9 4 5 5", ((1, 5), (7, 9))),
        (b"3 4 1 2", ((1, 4),)),
        (b"2 2 2", ((2, 2),)),
        (b"9 1 2 3 4 5 3", ((1, 5), (9, 9))),
    ],
)
def test_number_bounds(twin: Any, octets: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    bounds = twin.number_bounds(octets)
    assert isinstance(bounds, array)
    assert [*bounds] == [*itertools.chain.from_iterable(ranges)]
    assert SequenceSet.from_bounds(bounds) == SequenceSet(map(int, octets.split()))


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"x", "not numbers alone"),
        (b"1 2x", "not numbers alone"),
        (b"1,2", "not numbers alone"),
        (b"1\t2", "not numbers alone"),
        (b"-1", "not numbers alone"),
        (b"0 x", "not numbers alone"),
        (b"1 \x00", "not numbers alone"),
        (b"0", "from 1 to 4294967295"),
        (b"1 2 00 3", "from 1 to 4294967295"),
        (b"4294967296", "from 1 to 4294967295"),
        (b"1 18446744073709551617 2", "from 1 to 4294967295"),
        (b"1" * 10_000, "from 1 to 4294967295"),
    ],
)
def test_what_is_no_list_of_numbers(twin: Any, octets: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        twin.number_bounds(octets)


def test_number_bounds_agree(twin: Any) -> None:
    rng = random.Random(20261128)
    for _ in range(500):
        numbers = [rng.randint(1, 60) for _ in range(rng.randint(0, 40))]
        bounds = twin.number_bounds(b" ".join(b"%d" % number for number in numbers))
        ranges = [*zip(bounds[::2], bounds[1::2], strict=True)]
        assert [n for low, high in ranges for n in range(low, high + 1)] == sorted(set(numbers))
        assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(ranges))
