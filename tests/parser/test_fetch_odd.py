"""FETCH responses beside the grammar that no source names, but a server may well send: what is kept, what is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType

import pytest

from fastimap.errors import NotFetched
from fastimap.model.message import PRESENT_OTHER, PRESENT_UID, Address, Envelope

from .fetching import decode, defective, fetched, values

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("items", "name", "value", "defects"),
    [
        # numbers
        (b'RFC822.SIZE "123"', "size", 123, []),
        (b"RFC822.SIZE {3}\r\n123", "size", 123, []),
        (b"RFC822.SIZE NIL", "size", None, ["RFC822.SIZE"]),
        (b"RFC822.SIZE -1", "size", None, ["RFC822.SIZE"]),
        (b"RFC822.SIZE 9.3736e+06", "size", None, ["RFC822.SIZE"]),
        (b"RFC822.SIZE 9223372036854775808", "size", None, ["RFC822.SIZE"]),
        (b"RFC822.SIZE " + b"9" * 5000, "size", None, ["RFC822.SIZE"]),
        (b"RFC822.SIZE (7)", "size", None, ["RFC822.SIZE"]),
        (b"MODSEQ 7", "mod_sequence", 7, []),
        (b"MODSEQ (-1)", "mod_sequence", None, ["MODSEQ"]),
        (b"MODSEQ (1 2)", "mod_sequence", None, ["MODSEQ"]),
        # flags
        (b"FLAGS NIL", "flags", frozenset(), []),
        (b"FLAGS (NIL)", "flags", frozenset(), []),
        (b"FLAGS (  \\Seen   Junk )", "flags", frozenset({"\\Seen", "Junk"}), []),
        (b'FLAGS ("\\\\Seen" "\\answered" Junk)', "flags", frozenset({"\\Seen", "\\Answered", "Junk"}), []),
        (b"FLAGS \\Seen", "flags", frozenset({"\\Seen"}), []),
        (b"FLAGS (\\Seen (Junk))", "flags", frozenset({"\\Seen"}), ["FLAGS"]),
        (b"FLAGS ((\\Seen Junk))", "flags", frozenset({"\\Seen", "Junk"}), []),
        (b"FLAGS (())", "flags", frozenset(), []),
        (b"FLAGS (OIB-Seen-[Google Mail]/Alle Nachrichten)", "flags",
         frozenset({"OIB-Seen-[Google Mail]/Alle", "Nachrichten"}), []),
        (b"FLAGS (OIB-Seen-[Gmail]/All \\Seen)", "flags", frozenset({"OIB-Seen-[Gmail]/All", "\\Seen"}), []),
        (b"FLAGS (a[b \\Seen c[ d)", "flags", frozenset({"a[b", "\\Seen", "c[", "d"}), []),
        # dates
        (b'INTERNALDATE "1-Jan-2024 00:00:00 +0000"', "internal_date", NEW_YEAR, []),
        (b'INTERNALDATE "  01-JAN-2024  0:00:00 +0000 "', "internal_date", NEW_YEAR, []),
        (b'INTERNALDATE "01 Jan 2024 00:00 GMT"', "internal_date", NEW_YEAR, []),
        (b'INTERNALDATE "01-Jan-2024 00:00:00"', "internal_date", NEW_YEAR, ["INTERNALDATE"]),
        (b"INTERNALDATE NIL", "internal_date", None, ["INTERNALDATE"]),
        (b'INTERNALDATE "30-Feb-2024 00:00:00 +0000"', "internal_date", None, ["INTERNALDATE"]),
        (b'INTERNALDATE "01-Foo-2024 00:00:00 +0000"', "internal_date", None, ["INTERNALDATE"]),
        (b'INTERNALDATE "01-Jan-2024 00:00:00 +0060"', "internal_date", None, ["INTERNALDATE"]),
        (b'INTERNALDATE "01-Jan-2024 00:00:00 +9900"', "internal_date", None, ["INTERNALDATE"]),
        (b'INTERNALDATE "yesterday"', "internal_date", None, ["INTERNALDATE"]),
        # whole structures
        (b"ENVELOPE NIL", "envelope", None, ["ENVELOPE"]),
        (b'ENVELOPE "x"', "envelope", None, ["ENVELOPE"]),
        (b"BODYSTRUCTURE NIL", "body_structure", None, ["BODYSTRUCTURE"]),
        (b"BODYSTRUCTURE ()", "body_structure", None, ["BODYSTRUCTURE"]),
        (b"BODY[] atom", "body", None, ["BODY[]"]),
        (b"BODY[] (1)", "body", None, ["BODY[]"]),
    ],
)  # fmt: skip
def test_item(twin: ModuleType, items: bytes, name: str, value: object, defects: list[str]) -> None:
    row = fetched(twin, b"* 7 FETCH (UID 5 " + items + b" X-AFTER 1)\r\n")
    expected = {"uid": 5, name: value, "items": (("X-AFTER", 1),)}
    assert values(row, **expected) == expected
    assert defective(row) == defects


@pytest.mark.parametrize(
    ("item", "name", "value", "defects"),
    [
        (b"X-GM-LABELS NIL", "X-GM-LABELS", (), []),
        (b'X-GM-LABELS "Foo"', "X-GM-LABELS", ("Foo",), []),
        (b'X-GM-LABELS (&bad "gr\xc3\xbcn" {1}\r\n&)', "X-GM-LABELS", ("&bad", "gr\u00fcn", "&"), []),
        (b"X-GM-LABELS (a (b))", "X-GM-LABELS", ("a",), ["X-GM-LABELS"]),
        (b"X-GM-MSGID x", "X-GM-MSGID", None, ["X-GM-MSGID"]),
        (b"EMAILID M1", "EMAILID", "M1", []),
        (b'PREVIEW (FUZZY "text")', "PREVIEW", "text", []),
        (b"RFC822.HEADER  {3}\r\na:b", "RFC822.HEADER", b"a:b", []),
        (b"BODY.PEEK[TEXT] {1}\r\nx", "BODY[TEXT]", b"x", []),
        (b'BODY[HEADER.FIELDS  ( "Date"  From )] "x"', "BODY[HEADER.FIELDS (DATE FROM)]", b"x", []),
        (b"BINARY.SIZE[1] NIL", "BINARY.SIZE[1]", None, ["BINARY.SIZE[1]"]),
    ],
)
def test_other_item(twin: ModuleType, item: bytes, name: str, value: object, defects: list[str]) -> None:
    row = fetched(twin, b"* 7 FETCH (" + item + b" UID 5)\r\n")
    assert (row.items, row.uid, row._present) == (((name, value),), 5, PRESENT_OTHER | PRESENT_UID)
    assert defective(row) == defects


@pytest.mark.parametrize("uid", [b"0", b"4294967296", b"-7", b"NIL", b"x"])
def test_no_uid(twin: ModuleType, uid: bytes) -> None:
    row = fetched(twin, b"* 7 FETCH (UID " + uid + b")\r\n")
    assert (row.item("UID", 7), "UID" in row, defective(row)) == (None, True, ["UID"])
    with pytest.raises(NotFetched, match="no UID that can be read: see the row's defects"):
        row.uid  # noqa: B018


def test_item_twice(twin: ModuleType) -> None:
    row = fetched(twin, b"* 7 FETCH (FLAGS (a) UID 5 X 1 FLAGS (b) UID NIL X 2)\r\n")
    assert (row.flags, row.uid, row.items, defective(row)) == (frozenset({"b"}), 5, (("X", 2),), ["UID"])


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        (b"* 7 FETCH (UID 5", ""),
        (b"* 7 FETCH (UID 5 RFC822.SIZE)", "RFC822.SIZE"),
        (b"* 7 FETCH (UID 5 RFC822.SIZE )", "RFC822.SIZE"),
        (b"* 7 FETCH (UID 5 RFC822.SIZE", "RFC822.SIZE"),
        (b"* 7 FETCH (UID 5 ;;; RFC822.SIZE 9)", ""),
        (b'* 7 FETCH (UID 5 ENVELOPE ("open RFC822.SIZE 9)', "ENVELOPE"),
        (b"* 7 FETCH (UID 5 FLAGS (a b RFC822.SIZE 9", "FLAGS"),
        (b"* 7 FETCH (UID 5 BODY[1 RFC822.SIZE 9)", ""),
        (b"* 7 FETCH (UID 5 BODYSTRUCTURE " + b"(" * 5000, "BODYSTRUCTURE"),
    ],
)
def test_what_is_before_the_break_is_kept(twin: ModuleType, line: bytes, defect: str) -> None:
    row = decode(twin, (line,))
    assert row is not None
    assert (row.sequence_number, row.uid, row.size) == (7, 5, None)
    assert defect in defective(row)
    assert all(len(defect.octets) <= 80 for defect in row.defects)


def test_the_spaces_and_case_of_the_head(twin: ModuleType) -> None:
    row = decode(twin, (b"*  7  fetch(uid 5  rfc822.size 9)",))
    assert row is not None
    assert (row.sequence_number, row.uid, row.size, row.defects) == (7, 5, 9, ())


def test_fragments_that_no_reader_gives(twin: ModuleType) -> None:
    row = decode(twin, (b"* 7 FETCH (UID 5 BODY[] ", b"octets", b")"))
    assert row is not None
    assert (row.sequence_number, "UID" in row, row.body) == (7, False, None)
    assert [defect.reason for defect in row.defects] == ["line 0 announces no literal: b'* 7 FETCH (UID 5 BODY[] '"]
    row = decode(twin, (b"* 7 FETCH (UID 5 BODY[] {6}", b"octets", b")", b"more"))  # a literal after the end
    assert row is not None
    assert (row.uid, row.body) == (5, None)
    assert [defect.reason for defect in row.defects] == ["line 1 announces no literal: b')'"]


def test_addresses(twin: ModuleType) -> None:
    row = fetched(
        twin,
        b'* 7 FETCH (ENVELOPE (NIL subject "a@b" ("N" NIL "mb" "h") (("N" NIL "mb")("O" NIL "mc" "h")) () (NIL) 5 '
        b"1 (x)))\r\n",
    )
    assert row.envelope == Envelope(
        date_octets=None,
        subject_octets=b"subject",
        from_=(),  # a string
        sender=(Address(b"N", None, b"mb", b"h"),),  # without the list's parentheses
        reply_to=(Address(b"O", None, b"mc", b"h"),),  # the first breaks off
        to=(),
        cc=(),
        bcc=(),  # a number
        in_reply_to_octets=b"1",
        message_id_octets=None,  # a list
    )
    assert defective(row) == ["ENVELOPE"] * 4


@pytest.mark.parametrize(
    ("value", "fields", "defects"),
    [
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" "2" "1")', {"size": 2, "lines": 1}, 0),
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" NIL NIL)', {"size": None, "lines": None}, 0),
        (b'("TEXT" "PLAIN" NIL NIL NIL NIL 2 1)', {"encoding": "7bit", "size": 2}, 0),  # maddy
        (b'("IMAGE" "PNG" NIL NIL NIL "" 2)', {"encoding": "7bit", "size": 2}, 0),
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" -1 1)', {"size": None, "lines": 1}, 1),  # Dovecot
        (b'("TEXT" "PLAIN")', {"media_type": "text/plain", "encoding": "7bit", "size": None}, 1),
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2)', {"size": 2, "lines": None, "md5_octets": None}, 0),
        # Of a text without a number of lines, or with none that can be read, the extension data stays where it is:
        # -1 (go-imap#534), a rounded number (mail.ru, MailKit#1838), NIL or none at all (go-imap#557).
        *[
            (b'("TEXT" "HTML" NIL NIL NIL "7BIT" 2 ' + lines + b'NIL ("attachment" ("filename" "a")) ("en") "here")',
             {"lines": None, "md5_octets": None, "disposition": ("attachment", (("filename", b"a"),)),
              "language": ("en",), "location": "here"}, defects)
            for lines, defects in ((b"", 0), (b"NIL ", 0), (b"-1 ", 1), (b"2.5e+05 ", 1))
        ],
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 "md5" ("inline" NIL) "en")',
         {"lines": None, "md5_octets": b"md5", "disposition": ("inline", ()), "language": ("en",)}, 0),
        (b'("IMAGE" "PNG" NIL NIL NIL "BASE64" 1.86931e+06 NIL ("inline" NIL))',
         {"size": None, "disposition": ("inline", ())}, 1),  # mail.ru
        (b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 2 NIL NIL NIL NIL ("attachment" ("filename" "a.eml")))',
         {"envelope": None, "parts": (), "disposition": ("attachment", (("filename", b"a.eml"),))}, 0),
        (b'("TEXT" "PLAIN" "x" NIL NIL "7BIT" 2 1)', {"parameters": (), "size": 2}, 1),
        (b'("TEXT" "PLAIN" ("a" "1" "b") NIL NIL "7BIT" 2 1)', {"parameters": (("a", b"1"), ("b", b""))}, 0),
        (b'("TEXT" "PLAIN" (NIL "1" "b" 2) NIL NIL "7BIT" 2 1)', {"parameters": (("b", b"2"),)}, 0),
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 1 NIL ("x-odd" ("a" "b")))',
         {"disposition": ("x-odd", (("a", b"b"),))}, 0),
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 1 NIL (NIL ("a" "b")))', {"disposition": None}, 1),
        (b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 1 NIL NIL (NIL "en"))', {"language": ("en",), "disposition": None}, 0),
        (b'("TEXT" "PLAIN" NIL ("x") NIL "7BIT" 2 1)', {"content_id_octets": None}, 1),
        (b'("IMAGE" "PNG" NIL NIL NIL "BASE64" 2 7 "md5")', {"lines": 7, "md5_octets": b"md5"}, 0),
        (b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 2 NIL ("attachment" NIL))',
         {"envelope": None, "parts": (), "disposition": ("attachment", ())}, 0),
        (b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 2 NIL NIL 3)', {"envelope": None, "parts": (), "lines": 3}, 0),
        (b'(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 1))', {"media_type": "multipart/mixed"}, 1),
        (b'("IMAGE" NIL NIL NIL "BASE64" 2)', {"media_type": "image/octet-stream", "size": 2}, 1),
        (b'("IMAGE" NIL ("NAME" "x") NIL NIL "BASE64" 2 NIL ("inline" NIL))',
         {"media_type": "image/octet-stream", "filename": "x", "size": 2, "disposition": ("inline", ())}, 1),
        (b'(NIL "PLAIN" NIL NIL NIL "7BIT" 2 1)', {"media_type": "application/plain", "size": 2}, 1),
        (b"(() \"MIXED\")", {"media_type": "multipart/mixed"}, 2),
        (b"(TEXT PLAIN (CHARSET utf-8) NIL NIL 7BIT 2 1 NIL INLINE)",
         {"media_type": "text/plain", "encoding": "7bit", "charset": "utf-8", "disposition": ("inline", ())}, 0),
        (b'("" "" NIL NIL NIL "7BIT" 2 1)', {"media_type": "text/plain", "size": 2, "lines": 1}, 0),  # Dovecot 2.3
        (b'("" "X-ZIP" NIL NIL NIL "BASE64" 2)', {"media_type": "application/x-zip", "size": 2}, 0),
        (b'("TEXT" "" NIL NIL NIL "7BIT" 2 1)', {"media_type": "text/plain", "size": 2, "lines": 1}, 0),
        (b'(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 1) "")', {"media_type": "multipart/mixed"}, 1),
        (b'("multipart" "signed" ("x" "y") NIL NIL "8bit" 278 NIL ("inline" NIL) NIL)',
         {"media_type": "multipart/signed", "part": "", "parts": (), "size": 278}, 0),  # Courier 5.0
        (b"(7)", {"media_type": "application/octet-stream"}, 2),
    ],
)  # fmt: skip
def test_body_structure(twin: ModuleType, value: bytes, fields: dict[str, object], defects: int) -> None:
    row = fetched(twin, b"* 7 FETCH (BODYSTRUCTURE " + value + b" UID 5)\r\n")
    assert {name: getattr(row.body_structure, name) for name in fields} == fields
    assert defective(row) == ["BODYSTRUCTURE"] * defects
    assert row.uid == 5


@pytest.mark.slow
def test_defects_are_counted_out(twin: ModuleType) -> None:
    row = fetched(twin, b'* 7 FETCH (BODYSTRUCTURE (%s "MIXED") RFC822.SIZE 9)\r\n' % (b"()" * 9_000))
    assert row.body_structure is not None
    assert len(row.body_structure.parts) == 9_000
    assert (row.size, len(row.defects), "RFC822.SIZE" in row) == (9, 100, True)


def test_zone_is_kept(twin: ModuleType) -> None:
    row = fetched(twin, b'* 7 FETCH (INTERNALDATE "01-Jan-2024 00:00:00 -0330")\r\n')
    assert row.internal_date == datetime(2024, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
    assert row.internal_date is not None
    assert row.internal_date.utcoffset() == -timedelta(hours=3, minutes=30)


def test_a_backslash_ahead_of_a_closing_quote(twin: ModuleType) -> None:
    """QQ and David.fx escape no backslash (mailcore2#1220, MailKit#422): nobody's address becomes another's."""
    people = b'(("=?GBK?B?XA==?=" NIL "sender" "sina.com\\")) '
    row = fetched(
        twin,
        b'* 1 FETCH (UID 1 ENVELOPE ("d" "s" ' + 3 * people + b'(("r" NIL "recipient" "qq.com")) NIL NIL NIL "<i>") '
        b'RFC822.SIZE 7 BODYSTRUCTURE ("A" "B" ("name" "C:\\") NIL NIL "base64" 5))\r\n',
    )
    assert row.envelope is not None
    assert row.body_structure is not None
    assert row.envelope.from_ == (Address(b"=?GBK?B?XA==?=", None, b"sender", b"sina.com\\"),)
    assert row.envelope.to == (Address(b"r", None, b"recipient", b"qq.com"),)
    assert (row.envelope.message_id_octets, row.size, row.body_structure.parameters) == (
        b"<i>",
        7,
        (("name", b"C:\\"),),
    )
    assert not row.defects
    # Where the grammar's reading is right, it stays: an escaped quote before a space or a parenthesis.
    row = fetched(twin, b'* 1 FETCH (ENVELOPE (NIL "say \\"a\\" (b\\") c" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n')
    assert row.envelope is not None
    assert (row.envelope.subject_octets, row.defects) == (b'say "a" (b") c', ())


def test_line_breaks_in_quoted_strings(twin: ModuleType) -> None:
    """Servers that keep the fold of a header (mailcore2#1473, greenmail#498): unfolded, with a defect."""
    row = fetched(
        twin,
        b'* 1 FETCH (UID 10 ENVELOPE (NIL "Some text,\r\n some more\n and more" NIL NIL NIL NIL NIL NIL NIL "<a@b>") '
        b'BODYSTRUCTURE ("A" "PDF\r\n NAME=\\"A.PDF\\"" NIL NIL NIL "base64" 25) RFC822.SIZE 7)\r\n',
    )
    assert row.envelope is not None
    assert row.body_structure is not None
    assert (row.uid, row.size, row.envelope.subject_octets) == (10, 7, b"Some text, some more and more")
    assert row.envelope.message_id_octets == b"<a@b>"
    assert row.body_structure.subtype == 'pdf name="a.pdf"'
    assert [(defect.item, defect.reason) for defect in row.defects] == [
        ("ENVELOPE", "a line break in a quoted string"),
        ("BODYSTRUCTURE", "a line break in a quoted string"),
    ]


def test_header_fields_that_are_literals(twin: ModuleType) -> None:
    row = fetched(
        twin,
        b"* 1 FETCH (BODY[HEADER.FIELDS ({7}\r\nSubject {3}\r\nX-y)] {2}\r\n\r\n UID 5 BODY[1]<0> {1}\r\nx)\r\n",
    )
    assert (row.uid, row.items, row.defects) == (
        5,
        (("BODY[HEADER.FIELDS (SUBJECT X-Y)]", b"\r\n"), ("BODY[1]<0>", b"x")),
        (),
    )


def test_a_parenthesis_that_is_missing(twin: ModuleType) -> None:
    row = fetched(twin, b"* 1 FETCH (UID 5 BODY[] {2}\r\nab\r\n* 2 EXISTS\r\n")
    assert (row.uid, row.body) == (5, b"ab")
    assert [defect.reason for defect in row.defects] == ["not closed"]
