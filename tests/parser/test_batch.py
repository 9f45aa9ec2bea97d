"""batch(), fetch(), split_rows() and last_ascending(): FETCH responses as rows, on both twins, however they are cut."""

from __future__ import annotations

import gc
import importlib
import random
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from benchmarks.workloads import record
from fastimap import _parser_py
from fastimap.errors import LineTooLong, LiteralTooLarge, NestingTooDeep, ResponseTooLarge, TooManyLiterals
from fastimap.limits import CLIENT_LIMITS, READER_LIMITS, Limits
from fastimap.model.message import (
    PRESENT_FLAGS,
    PRESENT_UID,
    Address,
    BodyStructure,
    Envelope,
    FetchedMessage,
)

from .conftest import built
from .harness import put, single, splits, whole

CET = timezone(timedelta(hours=1))
row = FetchedMessage


def batched(twin: Any, chunks: Iterable[bytes], limits: Limits = READER_LIMITS) -> list[Any]:
    """All that batch() gives; runs of rows that were cut in two are joined again."""
    reader = twin.ResponseReader(limits)
    seen: list[Any] = []
    for chunk in chunks:
        put(reader, chunk)
        while batch := reader.batch():
            for response in batch:
                if seen and isinstance(response, list) and isinstance(seen[-1], list):
                    seen[-1] += response
                else:
                    seen.append(response)
    return seen


# RFC 9051, section 7.5.2 and 6.4.5.1, and RFC 3501, section 8; the values by hand.
ROWS = {
    b"* 23 FETCH (FLAGS (\\Seen) RFC822.SIZE 44827)\r\n": row(
        sequence_number=23, flags=frozenset({"\\Seen"}), size=44827
    ),
    b"* 1 FETCH ()\r\n": row(sequence_number=1),
    b'* 12 FETCH (UID 4294967295 INTERNALDATE "17-Jul-1996 02:44:25 -0700" MODSEQ (624140003))\r\n': row(
        sequence_number=12,
        uid=2**32 - 1,
        internal_date=datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(-timedelta(hours=7))),
        mod_sequence=624140003,
    ),
    b"* 25 UIDFETCH (FLAGS (\\seen $Forwarded \\FLAGGED))\r\n": row(  # RFC 9586, section 3.3
        uid=25, flags=frozenset({"\\Seen", "\\Flagged", "$Forwarded"})
    ),
    b'* 2 FETCH (INTERNALDATE " 1-Feb-2024 00:00:00 +0100" FLAGS ())\r\n': row(
        sequence_number=2, internal_date=datetime(2024, 2, 1, tzinfo=CET), flags=frozenset()
    ),
    b"* 3 FETCH (BODY[] {5}\r\na\r\nb) UID 7)\r\n": row(sequence_number=3, uid=7, body=b"a\r\nb)"),
    b"* 3 FETCH (RFC822 NIL)\r\n": row(sequence_number=3, present=["BODY[]"]),
    b'* 4 FETCH (BODY[HEADER.FIELDS (Date To)] "x\\"y" BODY[1.2]<0> ~{2}\r\n\0\n RFC822.TEXT "" X-GM-MSGID 7)\r\n': row(
        sequence_number=4,
        items=(
            ("BODY[HEADER.FIELDS (DATE TO)]", b'x"y'),
            ("BODY[1.2]<0>", b"\0\n"),
            ("RFC822.TEXT", b""),
            ("X-GM-MSGID", 7),
        ),
    ),
    b'* 5 FETCH (ENVELOPE ("Wed, 17 Jul 1996" {3}\r\na"b (("Terry Gray" NIL "gray" "cac.washington.edu")) '
    b'(("Terry Gray" NIL "gray" "cac.washington.edu")) NIL ((NIL NIL "imap" "cac.washington.edu")'
    b'("J \\\\ K" NIL "minutes" "CNRI")) ((NIL NIL "g" NIL)(NIL NIL NIL NIL)) NIL NIL "<B@cac>"))\r\n': row(
        sequence_number=5,
        envelope=Envelope(
            b"Wed, 17 Jul 1996",
            b'a"b',
            (Address(b"Terry Gray", None, b"gray", b"cac.washington.edu"),),
            (Address(b"Terry Gray", None, b"gray", b"cac.washington.edu"),),
            (),
            (Address(None, None, b"imap", b"cac.washington.edu"), Address(b"J \\ K", None, b"minutes", b"CNRI")),
            (Address(None, None, b"g", None), Address(None, None, None, None)),
            (),
            None,
            b"<B@cac>",
        ),
    ),
}

TEXT = b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)'
GIF = b'("IMAGE" "GIF" ("NAME" "a)b.gif") "<i@d>" "a picture" "BASE64" 4554 "bWQ1" ("ATTACHMENT" NIL) ("en" "de") "l")'
MESSAGE = (
    b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 342 (NIL "S" NIL NIL NIL NIL NIL NIL NIL NIL) '
    b"(%s %s \"MIXED\") 7 NIL NIL \"en\")" % (TEXT, TEXT)
)  # fmt: skip
EMPTY = Envelope(None, b"S", (), (), (), (), (), (), None, None)
NO_DATA = (None, None, (), None, ())  # of the extension data


def text(part: str) -> BodyStructure:
    charset = (("charset", b"US-ASCII"),)
    return BodyStructure(part, "text", "plain", charset, None, None, "7bit", 1152, 23, None, (), *NO_DATA)


def multipart(part: str, subtype: str, *parts: BodyStructure) -> BodyStructure:
    return BodyStructure(part, "multipart", subtype, (), None, None, "", None, None, None, parts, *NO_DATA)


def gif(part: str) -> BodyStructure:
    return BodyStructure(
        part, "image", "gif", (("name", b"a)b.gif"),), b"<i@d>", b"a picture", "base64", 4554, None, None, (),
        b"bWQ1", ("attachment", ()), ("en", "de"), b"l", (),
    )  # fmt: skip


def message(part: str) -> BodyStructure:
    # RFC 9051, section 6.4.5.1: the parts of the message in part 2 are 2.1 and 2.2.
    inner = multipart(part, "mixed", text(f"{part}.1"), text(f"{part}.2"))
    return BodyStructure(
        part, "message", "rfc822", (), None, None, "7bit", 342, 7, EMPTY, (inner,), None, None, ("en",), None, ()
    )


BODIES = {
    TEXT: text("1"),
    MESSAGE: message("1"),
    b'(%s%s "MIXED")' % (TEXT, GIF): multipart("", "mixed", text("1"), gif("2")),
    b'((%s%s "ALTERNATIVE")%s%s "MIXED")' % (TEXT, TEXT, GIF, MESSAGE): multipart(
        "", "mixed", multipart("1", "alternative", text("1.1"), text("1.2")), gif("2"), message("3")
    ),
    b'(%s "MIXED")' % (TEXT * 11): multipart("", "mixed", *(text(str(number)) for number in range(1, 12))),
}
ROWS |= {
    b"* 9 FETCH (BODYSTRUCTURE " + octets + b")\r\n": row(sequence_number=9, body_structure=body)
    for octets, body in BODIES.items()
}


@pytest.mark.slow
@pytest.mark.parametrize("octets", ROWS)
def test_rows(twin: Any, octets: bytes) -> None:
    for cut in (whole(octets), single(octets), *splits(octets)):
        assert batched(twin, cut) == [[ROWS[octets]]]
    (fragments,) = framed_once(twin, octets)
    assert twin.fetch(fragments) == ROWS[octets]
    assert twin.fetch(list(fragments)) == ROWS[octets]


def framed_once(twin: Any, octets: bytes) -> list[tuple[bytes, ...]]:
    reader = twin.ResponseReader()
    put(reader, octets)
    responses: list[tuple[bytes, ...]] = reader.responses()
    return responses


def test_rows_are_of_the_classes_of_message(twin: Any) -> None:
    (((one,),),) = [batched(twin, [octets]) for octets in ROWS if b"ENVELOPE" in octets]
    assert isinstance(one, FetchedMessage)
    assert isinstance(one.envelope, Envelope)
    assert isinstance(one.envelope.to[0], Address)


def test_runs(twin: Any) -> None:
    octets = (
        b"* 2 FETCH (UID 5)\r\n* 3 FETCH (UID 6)\r\n* OK Searched 39% of the mailbox, ETA 0:14\r\n\r\n"
        b"* 4 FETCH (UID 7)\r\n* 4 EXISTS\r\n* 12 FETCHED\r\nA1 OK done\r\n"
    )
    rows = [row(sequence_number=number, uid=number + 3) for number in (2, 3, 4)]
    expected = [
        rows[:2],
        (b"* OK Searched 39% of the mailbox, ETA 0:14",),
        rows[2:],
        (b"* 4 EXISTS",),
        (b"* 12 FETCHED",),
        (b"A1 OK done",),
    ]
    for cut in (whole(octets), single(octets), *splits(octets)):
        assert batched(twin, cut) == expected


def test_most(twin: Any) -> None:
    reader = twin.ResponseReader()
    put(reader, b"* 2 FETCH (UID 5)\r\nA1 OK begin TLS now\r\n* 3 FETCH (UID 6)\r\n")
    assert [len(reader.batch(1)) for _ in range(4)] == [1, 1, 1, 0]
    put(reader, b"* 2 FETCH (UID 5)\r\n* 3 FETCH (UID 6)\r\n* 4 FETCH (UID 7)\r\n")
    assert [len(rows) for rows in reader.batch(2)] == [2]
    assert reader.buffered == len(b"* 4 FETCH (UID 7)\r\n")


def test_nothing_plain_needs_the_slow_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    if built() == ["py"]:
        pytest.skip("FASTIMAP_NO_EXTENSION: there is one twin only")
    _parser = importlib.import_module("fastimap._parser")

    monkeypatch.setattr(importlib.import_module("fastimap._parser_py.fetch"), "fetch", None)
    with pytest.raises(TypeError):
        batched(_parser, [b"* 1 FETCH (UID 1 FLAGS NIL)\r\n"])  # that is how the slow decoder would be seen
    for workload in "abcd":
        (rows,) = batched(_parser, [record(f"{workload}/200")])
        assert [message.uid for message in rows] == list(range(7001, 7201))
    for octets, expected in ROWS.items():
        if b"()\r" not in octets:
            assert batched(_parser, [octets]) == [[expected]]


@pytest.mark.parametrize("workload", "abcd")
def test_the_workloads_of_the_benchmarks(twin: Any, workload: str) -> None:
    octets = record(f"{workload}/60")
    rng = random.Random(7)
    at = sorted(rng.randrange(len(octets)) for _ in range(40))
    cut = [octets[i:j] for i, j in zip([0, *at], [*at, len(octets)], strict=True)]
    expected = [_parser_py.fetch(fragments) for fragments in framed_once(twin, octets)]
    assert len(expected) == 60
    assert not any(message is None or message.defects for message in expected)
    assert batched(twin, [octets]) == batched(twin, cut) == [expected]


def test_many_different_values(twin: Any) -> None:
    """More than any cache holds, and again."""
    octets = b"".join(
        b"* 1 FETCH (FLAGS (k%d $x%d) INTERNALDATE \"01-Jan-2024 00:00:00 +%02d%02d\" BODYSTRUCTURE "
        b"(\"text\" \"t%d\" (\"n%d\" \"v%d\") NIL NIL \"7bit\" 1 1))\r\n"
        % (n, n % 7, n // 60 % 14, n % 60, n % 300, n % 310, n % 290)
        for n in range(900)
    ) * 2  # fmt: skip
    (rows,) = batched(twin, [octets])
    for n, message in enumerate(rows):
        n %= 900
        body = message.body_structure
        assert message.flags == {f"k{n}", f"$x{n % 7}"}
        assert message.internal_date.utcoffset() == timedelta(hours=n // 60 % 14, minutes=n % 60)
        assert (body.subtype, body.parameters) == (f"t{n % 300}", ((f"n{n % 310}", b"v%d" % (n % 290)),))


ODD: dict[bytes, dict[str, Any]] = {
    b"FLAGS (\\Seen) FLAGS (\\Seen)": {"flags": frozenset({"\\Seen"})},
    b"FLAGS (\\Seen  NIL)": {"flags": frozenset({"\\Seen"})},
    b'RFC822.SIZE "5"': {"size": 5},
    b"XYZZY (1 (2 a))": {"items": (("XYZZY", (1, (2, "a"))),)},
    b"BODY[1] NIL BODY[1] NIL": {"items": (("BODY[1]", None),)},
}


@pytest.mark.parametrize("octets", ODD)
def test_odd_items_are_taken_all_the_same(twin: Any, octets: bytes) -> None:
    line = b"* 1 FETCH (UID 5 " + octets + b")\r\n"
    assert batched(twin, [line]) == [[row(sequence_number=1, uid=5, **ODD[octets])]]


def test_depth(twin: Any) -> None:
    body = b'("text" "plain" NIL NIL NIL "7bit" 1 1)'
    for depth in range(1, 60):
        body = b"(" + body + b' "mixed")'
        ((message,),) = batched(twin, [b"* 1 FETCH (BODYSTRUCTURE " + body + b")\r\n"])
        assert not message.defects
        assert sum(1 for _ in message.body_structure.walk()) == depth + 1
    ((message,),) = batched(twin, [b"* 1 FETCH (UID 5 BODYSTRUCTURE " + b"(" * 100_000 + b")\r\n"])
    assert message.uid == 5
    assert message.body_structure is None
    assert [defect.item for defect in message.defects] == ["BODYSTRUCTURE"]


LITERAL = b"* 1 FETCH (BODY[] {100}\r\n" + b"x" * 100 + b" BODY[1] {100}\r\n" + b"x" * 100 + b")\r\n"


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (Limits(line=24), LineTooLong),
        (Limits(line=14), LineTooLong),
        (Limits(literal=99), LiteralTooLarge),
        (Limits(literals=1), TooManyLiterals),
        (Limits(response=len(LITERAL) - 1), ResponseTooLarge),
    ],
)
def test_limits(twin: Any, limits: Limits, error: type[Exception]) -> None:
    for cut in (whole(LITERAL), single(LITERAL)):
        with pytest.raises(error):
            batched(twin, cut, limits)
    fine = Limits(line=25, literal=100, literals=2, response=len(LITERAL))
    assert [len(rows) for rows in batched(twin, [LITERAL], fine)] == [1]


def test_the_limit_of_literals_that_are_no_section(twin: Any) -> None:
    limits = Limits(literal=100, other_literal=10)
    fine = [b"BODY[] {100}", b"BODY[1.TEXT]<0> {100}", b"RFC822 {100}", b"body[] ~{100}", b"RFC822.text {100+}"]
    for item in [*fine, b"BINARY[1] {100}"]:
        octets = b"* 1 FETCH (" + item + b"\r\n" + b"x" * 100 + b")\r\n"
        for cut in (whole(octets), single(octets)):
            ((message,),) = batched(twin, cut, limits)
            assert not message.defects
    for head in (
        b"* LIST () NIL {11}",
        b"* 1 FETCH (ENVELOPE (NIL {11}",
        b'* 1 FETCH (PREVIEW "" X-A {11}',
        b"* X [ {11}",
    ):
        for cut in (whole(head + b"\r\n"), single(head + b"\r\n")):
            with pytest.raises(LiteralTooLarge, match="literal of 11 octets, more than 10"):
                batched(twin, cut, limits)


def test_limits_of_the_typed_clients() -> None:
    assert (CLIENT_LIMITS.literal, CLIENT_LIMITS.other_literal) == (256 * 2**20, 2**20)
    assert READER_LIMITS.other_literal == READER_LIMITS.literal == 2**30


@pytest.mark.slow
def test_large_but_honest_responses(twin: Any) -> None:
    """A SEARCH of 1,000,000 numbers, 200,000 mailboxes, a message of 64 MiB."""
    search = b"* SEARCH" + b"".join(b" %d" % number for number in range(1, 1_000_001))
    assert batched(twin, [search + b"\r\n"], CLIENT_LIMITS) == [(search,)]
    listed = b"".join(b'* LIST () "/" mailbox%d\r\n' % number for number in range(200_000))
    assert len(batched(twin, [listed], CLIENT_LIMITS)) == 200_000
    body = bytes(64 * 2**20)
    ((message,),) = batched(twin, [b"* 1 FETCH (BODY[] {%d}\r\n" % len(body), body, b")\r\n"], CLIENT_LIMITS)
    assert message.body == body


def test_an_error_comes_after_the_rows_in_front_of_it(twin: Any) -> None:
    reader = twin.ResponseReader(Limits(literal=5))
    put(reader, b"* 1 FETCH (UID 5)\r\n* 2 FETCH (BODY[] {6}\r\n")
    assert reader.batch() == [[row(sequence_number=1, uid=5)]]
    for _ in range(2):
        with pytest.raises(LiteralTooLarge):
            reader.batch()


def test_deep_nesting_is_no_error_of_the_reader(twin: Any) -> None:
    assert issubclass(NestingTooDeep, Exception)
    (rows, other) = batched(twin, [b"* 1 FETCH (X " + b"(" * 300 + b"\r\n* 2 EXISTS\r\n"])
    assert [len(message.defects) for message in rows] == [1]
    assert other == (b"* 2 EXISTS",)


def test_the_types_of_rows_are_imported_with_the_first_row(twin: Any) -> None:
    """A program that fetches nothing does without them; the first row is none the worse for it."""
    octets = b'* 2 EXISTS\r\n* 1 FETCH (UID 7 ENVELOPE (NIL "a" NIL NIL NIL (("b" NIL "c" "d")) NIL NIL NIL NIL))\r\n'
    program = (
        f"import sys, {twin.__name__} as twin\n"
        "reader = twin.ResponseReader()\n"
        f"for line in {octets!r}.splitlines(keepends=True) * 2:\n"
        "    memory = reader.get_buffer(); memory[: len(line)] = line; reader.buffer_updated(len(line))\n"
        "    (found,) = reader.batch()\n"
        "    mail = None if isinstance(found, tuple) else found[0].envelope\n"
        "    seen = found if mail is None else (mail.to[0].email, mail.subject)\n"
        "    print(seen, 'fastimap.model.message' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    exists, row, exists_again, row_again = ended.stdout.splitlines()
    at_once = twin.__name__ != "fastimap._parser"  # the Python twin is made of them
    assert exists == f"(b'* 2 EXISTS',) {at_once}"
    assert row == row_again == "('c@d', 'a') True"
    assert exists_again == "(b'* 2 EXISTS',) True"


def test_the_garbage_collector_leaves_rows_alone() -> None:
    if built() == ["py"]:
        pytest.skip("FASTIMAP_NO_EXTENSION: there is one twin only")
    _parser = importlib.import_module("fastimap._parser")

    (rows,) = batched(_parser, [record("b/50")])
    for message in rows:
        below = [
            message,
            message.envelope,
            *message.envelope.from_,
            message.envelope.to,
            *message.body_structure.walk(),
        ]
        assert not any(gc.is_tracked(value) for value in below)


ALL = ((1, 2**32 - 1),)


def parsed(twin: Any, *lines: bytes) -> list[FetchedMessage]:
    (rows,) = batched(twin, [b"".join(line + b"\r\n" for line in lines)])
    assert isinstance(rows, list)
    return rows


@pytest.mark.parametrize(
    ("by_uid", "ranges", "need", "claimed"),
    [
        (True, ALL, PRESENT_UID, [10, 20, 30, 40]),
        (True, ((10, 10), (30, 39)), PRESENT_UID, [10, 30]),
        (True, ((1, 9), (11, 19), (21, 29), (41, 41)), 0, []),
        (True, ((40, 2**32 - 1),), PRESENT_UID | PRESENT_FLAGS, []),
        (True, ((20, 40),), PRESENT_UID | PRESENT_FLAGS, [20]),
        (False, ((2, 3),), PRESENT_UID, [20, 30]),
        (False, ALL, 0, [10, 20, 30, None]),
        (True, (), 0, []),
    ],
)
def test_split_rows(
    twin: Any, by_uid: bool, ranges: tuple[tuple[int, int], ...], need: int, claimed: list[Any]
) -> None:
    rows = [
        *parsed(twin, b"* 1 FETCH (UID 10)", b"* 2 FETCH (UID 20 FLAGS ())"),
        row(sequence_number=3, uid=30),
        *parsed(twin, b"* 40 UIDFETCH ()", b"* 5 FETCH (RFC822 NIL)"),
    ]
    taken, others = twin.split_rows(rows, by_uid, ranges, need)
    assert [message.item("UID") for message in taken] == claimed
    assert taken + others == sorted(rows, key=lambda message: message not in taken)


def test_split_rows_by_many_ranges(twin: Any) -> None:
    ranges = tuple((10 * n + 1, 10 * n + 1 + n % 5) for n in range(1_000))
    wanted = {number for low, high in ranges for number in range(low, high + 1)}
    rows = parsed(twin, *(b"* %d FETCH ()" % number for number in range(1, 11_000)))
    taken, others = twin.split_rows(rows, False, ranges, 0)
    assert [message.sequence_number for message in taken] == sorted(wanted)
    assert len(taken) + len(others) == len(rows)


@pytest.mark.parametrize(
    ("numbers", "after", "last"),
    [
        ([], 0, 0),
        ([], 7, 7),
        ([1], 0, 1),
        ([1], 1, None),
        ([8, 9, 2**32 - 1], 7, 2**32 - 1),
        ([8, 9, 2**32 - 1], 8, None),
        ([8, 8], 0, None),
        ([9, 8], 0, None),
        ([8, None, 9], 0, None),
    ],
)
def test_last_ascending(twin: Any, numbers: list[int | None], after: int, last: int | None) -> None:
    sent = [b"* 1 FETCH (FLAGS ())" if number is None else b"* 1 FETCH (UID %d)" % number for number in numbers]
    made = [row(sequence_number=1) if number is None else row(uid=number) for number in numbers]
    assert twin.last_ascending(parsed(twin, *sent) if sent else [], True, after) == last
    assert twin.last_ascending(made, True, after) == last
    sent = [b"* %d FETCH ()" % number for number in numbers if number is not None]
    if sent and len(sent) == len(numbers):
        assert twin.last_ascending(parsed(twin, *sent), False, after) == last
