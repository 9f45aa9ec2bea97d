"""FETCH responses that are well formed: the examples of the RFCs, and each item in each of its forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType
from typing import Any

import pytest

from fastimap.model.message import (
    PRESENCE,
    PRESENT_BODY,
    PRESENT_FLAGS,
    PRESENT_INTERNALDATE,
    PRESENT_MODSEQ,
    PRESENT_OTHER,
    PRESENT_SIZE,
    PRESENT_UID,
    Address,
    BodyStructure,
    Envelope,
    FetchedMessage,
    Streamed,
)

from .fetching import decode, defective, fetched, values

GRAY = Address(b"Terry Gray", None, b"gray", b"cac.washington.edu")
US_ASCII = (("charset", b"US-ASCII"),)


def single(part: str, type_: str, subtype: str, **fields: Any) -> BodyStructure:
    """A part with the values that NIL stands for, but for `fields`."""
    nothing = BodyStructure(
        part, type_, subtype, (), None, None, "7bit", None, None, None, (), None, None, (), None, ()
    )
    return nothing._replace(**fields)


def multipart(part: str, subtype: str, *parts: BodyStructure, **fields: Any) -> BodyStructure:
    return single(part, "multipart", subtype, encoding="", parts=parts, **fields)


def test_rfc_3501_section_8(twin: ModuleType) -> None:
    row = fetched(
        twin,
        b'* 12 FETCH (FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286 ENVELOPE ('
        b'"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>") BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92))'
        b"\r\n",
    )
    assert row == FetchedMessage(
        sequence_number=12,
        flags=frozenset({"\\Seen"}),
        size=4286,
        internal_date=datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7))),
        envelope=Envelope(
            b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
            b"IMAP4rev1 WG mtg summary and minutes",
            (GRAY,),
            (GRAY,),
            (GRAY,),
            (Address(None, None, b"imap", b"cac.washington.edu"),),
            (
                Address(None, None, b"minutes", b"CNRI.Reston.VA.US"),
                Address(b"John Klensin", None, b"KLENSIN", b"MIT.EDU"),
            ),
            (),
            None,
            b"<B27397-0100000@cac.washington.edu>",
        ),
        body_structure=single("1", "text", "plain", parameters=US_ASCII, size=3028, lines=92),
    )
    assert [name for name in PRESENCE if name in row] == [
        "FLAGS", "RFC822.SIZE", "INTERNALDATE", "ENVELOPE", "BODY", "BODYSTRUCTURE"
    ]  # fmt: skip
    assert row.internal_date is not None
    assert row.internal_date.utcoffset() == timedelta(hours=-7)


def test_rfc_3501_multipart(twin: ModuleType) -> None:
    row = fetched(
        twin,
        b'* 1 FETCH (BODY (("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" '
        b'("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" '
        b'"BASE64" 4554 73) "MIXED"))\r\n',
    )
    assert row.body_structure == multipart(
        "",
        "mixed",
        single("1", "text", "plain", parameters=US_ASCII, size=1152, lines=23),
        single(
            "2",
            "text",
            "plain",
            parameters=(*US_ASCII, ("name", b"cc.diff")),
            content_id_octets=b"<960723163407.20117h@cac.washington.edu>",
            description_octets=b"Compiler diff",
            encoding="base64",
            size=4554,
            lines=73,
        ),
    )


NO_ENVELOPE = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
TEXT = b'("TEXT" "%s" NIL NIL NIL "7BIT" 2 1)'
BINARY = b'("%s" NIL NIL NIL "BASE64" 2)'


def test_part_numbers_of_rfc_9051_section_6_4_5_1(twin: ModuleType) -> None:
    # The example's tree, type by type; 3 and 4.2 are messages with a multipart in them.
    inner = b'(%s%s "MIXED")' % (TEXT % b"PLAIN", BINARY % b'APPLICATION" "OCTET-STREAM')
    message = b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 2 %s %%s 1)' % NO_ENVELOPE
    alternative = b'(%s%s "ALTERNATIVE")' % (TEXT % b"PLAIN", TEXT % b"RICHTEXT")
    four = b'(%s%s "MIXED")' % (
        BINARY % b'IMAGE" "GIF',
        message % (b'(%s%s "MIXED")' % (TEXT % b"PLAIN", alternative)),
    )
    parts = TEXT % b"PLAIN", BINARY % b'APPLICATION" "OCTET-STREAM', message % inner, four
    row = fetched(twin, b'* 1 FETCH (BODYSTRUCTURE (%s%s%s%s "MIXED"))\r\n' % parts)
    assert row.body_structure is not None
    assert [(part.part, part.media_type) for part in row.body_structure.walk()] == [
        ("", "multipart/mixed"),
        ("1", "text/plain"),
        ("2", "application/octet-stream"),
        ("3", "message/rfc822"),
        ("3", "multipart/mixed"),
        ("3.1", "text/plain"),
        ("3.2", "application/octet-stream"),
        ("4", "multipart/mixed"),
        ("4.1", "image/gif"),
        ("4.2", "message/rfc822"),
        ("4.2", "multipart/mixed"),
        ("4.2.1", "text/plain"),
        ("4.2.2", "multipart/alternative"),
        ("4.2.2.1", "text/plain"),
        ("4.2.2.2", "text/richtext"),
    ]


def test_message_of_a_single_part_inside_a_message(twin: ModuleType) -> None:
    body = b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 99 %s %s 7 "md5" ("attachment" NIL) "en" "loc" 1 (2 NIL))'
    row = fetched(twin, b"* 1 FETCH (BODYSTRUCTURE %s)\r\n" % (body % (NO_ENVELOPE, TEXT % b"PLAIN")))
    assert row.body_structure == single(
        "1",
        "message",
        "rfc822",
        size=99,
        lines=7,
        envelope=Envelope(None, None, (), (), (), (), (), (), None, None),
        parts=(single("1.1", "text", "plain", size=2, lines=1),),
        md5_octets=b"md5",
        disposition=("attachment", ()),
        language=("en",),
        location_octets=b"loc",
        extensions=(1, (2, None)),
    )


def test_extension_data_of_a_multipart(twin: ModuleType) -> None:
    row = fetched(
        twin,
        b'* 1 FETCH (BODYSTRUCTURE (%s "MIXED" ("BOUNDARY" "x") ("INLINE" ("FILENAME" "f")) '
        b'("en" "de-DE") "loc" "ext"))\r\n' % (TEXT % b"PLAIN"),
    )
    assert row.body_structure == multipart(
        "",
        "mixed",
        single("1", "text", "plain", size=2, lines=1),
        parameters=(("boundary", b"x"),),
        disposition=("inline", (("filename", b"f"),)),
        language=("en", "de-DE"),
        location_octets=b"loc",
        extensions=(b"ext",),
    )


@pytest.mark.parametrize(
    ("items", "name", "value", "present"),
    [
        (b"UID 4294967295", "uid", 4294967295, PRESENT_UID),
        (b"RFC822.SIZE 0", "size", 0, PRESENT_SIZE),
        (b"RFC822.SIZE 9223372036854775807", "size", 2**63 - 1, PRESENT_SIZE),
        (b"MODSEQ (12111230047)", "mod_sequence", 12111230047, PRESENT_MODSEQ),
        (b"FLAGS ()", "flags", frozenset(), PRESENT_FLAGS),
        (b"FLAGS (\\seen \\ANSWERED $Forwarded nonjunk)", "flags",
         frozenset({"\\Seen", "\\Answered", "$Forwarded", "nonjunk"}), PRESENT_FLAGS),
        (b"FLAGS (007 \\Foo)", "flags", frozenset({"007", "\\Foo"}), PRESENT_FLAGS),
        (b"FLAGS (gr\xc3\xbcn \xff)", "flags", frozenset({"gr\u00fcn", "\udcff"}), PRESENT_FLAGS),
        (b'INTERNALDATE " 1-Jan-2024 00:00:00 +0000"', "internal_date", datetime(2024, 1, 1, tzinfo=UTC),
         PRESENT_INTERNALDATE),
        (b'INTERNALDATE "29-feb-2024 23:59:59 +0530"', "internal_date",
         datetime(2024, 2, 29, 18, 29, 59, tzinfo=UTC), PRESENT_INTERNALDATE),
        (b"BODY[] {5}\r\nhello", "body", b"hello", PRESENT_BODY),
        (b'BODY[] "quoted \\"\\\\"', "body", b'quoted "\\', PRESENT_BODY),
        (b"BODY[] NIL", "body", None, PRESENT_BODY),
        (b'RFC822 ""', "body", b"", PRESENT_BODY),
        (b"BODY[] ~{3}\r\na\x00b", "body", b"a\x00b", PRESENT_BODY),
    ],
)  # fmt: skip
def test_item(twin: ModuleType, items: bytes, name: str, value: object, present: int) -> None:
    row = fetched(twin, b"* 7 FETCH (" + items + b")\r\n")
    expected = {"sequence_number": 7, name: value, "items": (), "defects": (), "_present": present}
    assert values(row, **expected) == expected


@pytest.mark.parametrize(
    ("item", "name", "value"),
    [
        (b"BODY[HEADER] {3}\r\na:b", "BODY[HEADER]", b"a:b"),
        (b"body[header.fields (Date FROM)] {0}\r\n", "BODY[HEADER.FIELDS (DATE FROM)]", b""),
        (b'BODY[1.2.HEADER.FIELDS.NOT ("X-a" b)] "x"', "BODY[1.2.HEADER.FIELDS.NOT (X-A B)]", b"x"),
        (b"BODY[1.2]<1024> {1}\r\nx", "BODY[1.2]<1024>", b"x"),
        (b"BODY[]<0> {1}\r\nx", "BODY[]<0>", b"x"),
        (b"BODY[1.MIME] NIL", "BODY[1.MIME]", None),
        (b"BINARY[2] ~{2}\r\n\x00\xff", "BINARY[2]", b"\x00\xff"),
        (b"BINARY.SIZE[2.1] 135", "BINARY.SIZE[2.1]", 135),
        (b"RFC822.HEADER {3}\r\na:b", "RFC822.HEADER", b"a:b"),
        (b'RFC822.TEXT "t"', "RFC822.TEXT", b"t"),
        (b"X-GM-MSGID 1278455344230334865", "X-GM-MSGID", 1278455344230334865),
        (b"X-GM-THRID 1266894439832287888", "X-GM-THRID", 1266894439832287888),
        (b'X-GM-LABELS (\\Inbox \\Sent Important "Muy Importante" "&AOk-t&AOk-" 7)', "X-GM-LABELS",
         ("\\Inbox", "\\Sent", "Important", "Muy Importante", "\u00e9t\u00e9", "7")),
        (b"X-GM-LABELS ()", "X-GM-LABELS", ()),
        (b"EMAILID (M6d99ac3275bb4e)", "EMAILID", "M6d99ac3275bb4e"),
        (b"EMAILID (0123)", "EMAILID", "0123"),
        (b"THREADID (T64b478a75b7ea9)", "THREADID", "T64b478a75b7ea9"),
        (b"THREADID NIL", "THREADID", None),
        (b'PREVIEW "Preview text!"', "PREVIEW", "Preview text!"),
        (b"PREVIEW {4}\r\n\xe2\x82\xac!", "PREVIEW", "\u20ac!"),
        (b"PREVIEW NIL", "PREVIEW", None),
        (b'SAVEDATE "01-Jan-2024 10:00:00 +0000"', "SAVEDATE", datetime(2024, 1, 1, 10, tzinfo=UTC)),
        (b"SAVEDATE NIL", "SAVEDATE", None),
        (b'ANNOTATION (/comment (value.priv "My comment" size.priv 10))', "ANNOTATION",
         ("/comment", ("value.priv", b"My comment", "size.priv", 10))),
        (b"X-NEW {2}\r\nab", "X-NEW", b"ab"),
        (b"X-NEW (nil 1 ({1}\r\na))", "X-NEW", (None, 1, (b"a",))),
    ],
)  # fmt: skip
def test_other_item(twin: ModuleType, item: bytes, name: str, value: object) -> None:
    row = fetched(twin, b"* 7 FETCH (UID 9 " + item + b" FLAGS (\\Seen))\r\n")
    expected = {
        "uid": 9,
        "flags": frozenset({"\\Seen"}),
        "items": ((name, value),),
        "defects": (),
        "_present": PRESENT_UID | PRESENT_FLAGS | PRESENT_OTHER,
    }
    assert values(row, **expected) == expected


def test_rfc_9586_uidfetch(twin: ModuleType) -> None:
    row = fetched(twin, b"* 25996 UIDFETCH (FLAGS (\\Seen \\Answered))\r\n")
    expected = {"sequence_number": None, "uid": 25996, "_present": PRESENT_UID | PRESENT_FLAGS, "defects": ()}
    assert values(row, **expected) == expected


def test_literals_where_strings_may_be(twin: ModuleType) -> None:
    row = fetched(
        twin,
        b'* 1 FETCH (ENVELOPE ({4}\r\nDate {7}\r\nSubject (({4}\r\nName NIL {2}\r\nmb "h")) NIL NIL NIL NIL NIL NIL {3}'
        b"\r\n<m>) UID 5)\r\n",
    )
    address = Address(b"Name", None, b"mb", b"h")
    assert row.envelope == Envelope(b"Date", b"Subject", (address,), (), (), (), (), (), None, b"<m>")
    assert row.uid == 5


def test_streamed_literal(twin: ModuleType) -> None:
    row = decode(twin, (b"* 1 FETCH (BODY[1] {70000}", Streamed(70000), b" BODY[] {9}", Streamed(9), b" UID 5)"))
    assert row is not None
    assert row.streamed == {"BODY[1]": 70000, "BODY[]": 9}
    assert row.body is None
    assert row.section("1") is None
    assert row.uid == 5
    assert row._present == PRESENT_UID | PRESENT_BODY | PRESENT_OTHER
    assert row.defects == ()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"* 1 EXISTS",
        b"* FLAGS (\\Seen)",
        b"+ idling",
        b"A1 OK FETCH completed",
        b"* 1 FETCH",
        b"* x FETCH (UID 1)",
    ],
)
def test_no_fetch_response(twin: ModuleType, octets: bytes) -> None:
    assert decode(twin, (octets,)) is None


def test_nothing_at_all(twin: ModuleType) -> None:
    assert decode(twin, ()) is None
    assert fetched(twin, b"* 1 FETCH ()\r\n") == FetchedMessage(sequence_number=1)


def nested(depth: int) -> bytes:
    """A text part in `depth` multiparts."""
    return b"(" * depth + TEXT % b"PLAIN" + b' "MIXED")' * depth


def test_depth(twin: ModuleType) -> None:
    # The list of items and the text part take a parenthesis each.
    row = fetched(twin, b"* 1 FETCH (UID 1 BODYSTRUCTURE " + nested(254) + b")\r\n")
    assert row.body_structure is not None
    assert len(list(row.body_structure.walk())) == 255
    assert row.defects == ()

    row = fetched(twin, b"* 1 FETCH (UID 1 BODYSTRUCTURE " + nested(255) + b" FLAGS ())\r\n")
    assert (row.uid, row.body_structure, defective(row)) == (1, None, ["BODYSTRUCTURE"])


@pytest.mark.slow
def test_number_of_parts(twin: ModuleType) -> None:
    row = fetched(twin, b'* 1 FETCH (BODYSTRUCTURE (%s "MIXED"))\r\n' % (TEXT % b"PLAIN" * 9_999))
    assert row.body_structure is not None
    assert row.body_structure.parts[-1].part == "9999"
    row = fetched(twin, b'* 1 FETCH (BODYSTRUCTURE (%s "MIXED") UID 1)\r\n' % (TEXT % b"PLAIN" * 10_000))
    assert (row.uid, row.body_structure, defective(row)) == (1, None, ["BODYSTRUCTURE"])
