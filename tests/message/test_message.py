"""The types of message.py: what their properties make of the octets."""

from __future__ import annotations

import copy
import pickle
import random
import sys
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from types import FrameType
from typing import Any

import pytest

from fastimap.model.message import (
    Address,
    BodyStructure,
    Defect,
    Envelope,
    FetchedMessage,
    Flag,
    Streamed,
    canonical_section,
)
from fastimap.model.words import MONTHS

NOTHING = BodyStructure("1", "text", "plain", (), None, None, "7bit", 2, 1, None, (), None, None, (), None, ())
ROW = FetchedMessage(sequence_number=7, uid=5)


def envelope(**fields: Any) -> Envelope:
    return Envelope(None, None, (), (), (), (), (), (), None, None)._replace(**fields)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (None, None),
        (b"", ""),
        (b"plain = ? =?", "plain = ? =?"),
        # RFC 2047, section 8
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."),
        (b"=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),  # RFC 2231, section 5
        (b"x=?utf-8?q?=E2=82=AC?=y", "x\u20acy"),
        # a character cut in two, in both encodings
        (b"=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "\u20ac"),
        (b"=?UTF-8?B?4oI=?= =?utf-8?B?rA==?=", "\u20ac"),
        (b"=?GBK?B?0g==?==?GBK?B?uw==?=", "\u4e00"),
        # beside the grammar
        (b"=?utf-8?Q?a b ? c?=", "a b ? c"),
        (b"=?utf-8?B?4oKs?", "=?utf-8?B?4oKs?"),
        (b"=?utf-8?B?4oKs==?=", "\u20ac"),
        (b"=?utf-8?B?4oKs4?=", "=?utf-8?B?4oKs4?="),
        (b"=?utf-8?Q?=E2?=", "\ufffd"),
        (b"=?no-such-charset?Q?a?= =?utf-8?Q?b?=", "=?no-such-charset?Q?a?= b"),
        (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
        (b"=?idna?Q?a?= =?punycode?Q?b?=", "=?idna?Q?a?= =?punycode?Q?b?="),
        (b"=?unicode_escape?Q?a?= =?undefined?Q?b?=", "=?unicode_escape?Q?a?= =?undefined?Q?b?="),
        (b"=?Windows-1252?Q?=80?= =?KOI8-U?Q?=C1?= =?GB2312?B?0rs=?=", "\u20ac\u0430\u4e00"),
        (b"=?hex?Q?61?= =?\x00?Q?61?=", "=?hex?Q?61?= =?\x00?Q?61?="),
        (b"=?\x00utf-8?Q?a?= =?utf-8\xff?Q?b?=", "ab"),
        (b"gr\xc3\xbcn", "gr\u00fcn"),
        (b"gr\xfcn =?utf-8?Q?=C3=BC?=", "gr\u00fcn \u00fc"),
        (b"folded\r\n subject", "folded subject"),
    ],
)  # fmt: skip
def test_subject(octets: bytes | None, text: str | None) -> None:
    assert envelope(subject_octets=octets).subject == text
    assert Address(octets, None, b"a", b"b").name == text


@pytest.mark.slow
@pytest.mark.parametrize("word", [b"=?a?q?x", b"=?utf-8?q?x", b"=?", b"?=", b"=?utf-8?q?=?=", b"=?utf-8?b?=", b" \r\n"])
def test_long_subjects_take_linear_time(word: bytes) -> None:
    # A quadratic search would take minutes; pytest's timeout is the judge.
    assert envelope(subject_octets=word * 300_000).subject is not None
    assert envelope(subject_octets=word * 300_000 + b"?=").subject is not None


PARIS = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("octets", "date"),
    [
        (None, None),
        (b"", None),
        (b"Fri, 21 Jun 2024 09:55:06 +0200", datetime(2024, 6, 21, 9, 55, 6, tzinfo=PARIS)),
        (b"21 Jun 2024 09:55 +0200", datetime(2024, 6, 21, 9, 55, tzinfo=PARIS)),
        (b"Fri, 21 Jun 2024 09:55:06 -0000", datetime(2024, 6, 21, 9, 55, 6, tzinfo=UTC)),
        (b"Fri, 21 Jun 2024 09:55:06", datetime(2024, 6, 21, 9, 55, 6, tzinfo=UTC)),
        (b"Fri, 21 Nov 97 09:55:06 -0600 (CST)", datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)),  # RFC 5322, A.6.2
        (b"Fri, 99 Jun 2024 99:55:06 +0200", None),
        (b"Fri, 21 Jun 2024 09:55:06 +9999999999999", None),
        (b"\xff\xfe", None),
    ],
)
def test_date(octets: bytes | None, date: datetime | None) -> None:
    assert envelope(date_octets=octets).date == date


def test_dates_are_as_the_standard_library_reads_them() -> None:
    """Those of the form that nearly all have are read without it."""
    chance = random.Random(5)
    read = 0
    for _ in range(5000):
        day = chance.choice(["Mon, ", "Tue,", "", "mon, "]) + chance.choice(["0", "1", "01", "29", "30", "31", "32"])
        month = chance.choice([*MONTHS, "feb", "Foo"])
        year = chance.choice(["1970", "2023", "2024", "99", "0999", "1000", "9999"])
        clock = chance.choice(["00", "9", "23", "24"]) + chance.choice([":00", ":59", ":60"])
        second = chance.choice([":00", ":59", ":60", ""])
        zone = chance.choice(
            ["+0000", "-0000", "+0100", "-0530", "+1459", "+1500", "-1400", "+2400", "GMT", "EST", "+01:00", "+0160"]
        )
        octets = f"{day} {month} {year} {clock}{second} {zone}{chance.choice(['', ' (UTC)', ' (a b)', 'x'])}".encode()
        date = envelope(date_octets=octets).date
        try:
            expected = parsedate_to_datetime(octets.decode())
        except ValueError:
            assert date is None, octets
            continue
        assert date == (expected if expected.tzinfo else expected.replace(tzinfo=UTC)), octets
        assert date.utcoffset() == (expected.utcoffset() or timedelta(0)), octets
        read += 1
    assert read > 500


def test_address() -> None:
    address = Address(b"=?utf-8?Q?J=C3=BCrgen?=", None, b"juergen", b"example.org")
    assert (address.name, address.mailbox, address.host) == ("Jürgen", "juergen", "example.org")
    assert address.email == "juergen@example.org"
    assert str(address) == "Jürgen <juergen@example.org>"
    assert repr(address) == "<Address Jürgen <juergen@example.org>>"
    assert not address.is_group_start
    assert not address.is_group_end


@pytest.mark.parametrize(
    ("address", "text", "email"),
    [
        (Address(None, None, b"a", b"b"), "a@b", "a@b"),
        (Address(b"", None, b"a", b"b"), "a@b", "a@b"),
        (Address(b'Doe, "J" \\', None, b"a", b"b"), '"Doe, \\"J\\" \\\\" <a@b>', "a@b"),
        (Address(None, None, b"A Group", None), "A Group:", ""),
        (Address(None, None, None, None), ";", ""),
        (Address(b"N", None, None, b"b"), "N <>", ""),
        (Address(None, None, b"postmaster", b""), "postmaster", "postmaster"),
        (Address(None, None, b"<a", b"b>"), "a@b", "a@b"),
        (
            Address(None, None, b"\xc3\xbc", b"m\xc3\xbcller.example"),
            "ü@müller.example",
            "ü@müller.example",
        ),  # RFC 6855
    ],
)
def test_address_as_text(address: Address, text: str, email: str) -> None:
    assert (str(address), address.email) == (text, email)


@pytest.mark.parametrize(
    ("parameters", "decoded"),
    [
        ((), {}),
        ((("charset", b"UTF-8"), ("name", b"a b")), {"charset": "UTF-8", "name": "a b"}),
        # RFC 2231, sections 3, 4 and 4.1
        ((("url*0", b"ftp://"), ("url*1", b"cs.utk.edu/pub/moore/")), {"url": "ftp://cs.utk.edu/pub/moore/"}),
        ((("url*1", b"cs.utk.edu"), ("url*0", b"ftp://")), {"url": "ftp://cs.utk.edu"}),
        ((("title*", b"us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"),), {"title": "This is ***fun***"}),
        ((("title*0*", b"us-ascii'en'This%20is%20even%20more%20"), ("title*1*", b"%2A%2A%2Afun%2A%2A%2A%20"),
          ("title*2", b"isn't it!")), {"title": "This is even more ***fun*** isn't it!"}),
        ((("filename*0*", b"utf-8''%E2%82"), ("filename*1*", b"%AC.txt")), {"filename": "\u20ac.txt"}),
        # RFC 6266, appendix D: both forms, in either order
        ((("filename", b"EURO rates"), ("filename*", b"utf-8''%e2%82%ac%20rates")), {"filename": "\u20ac rates"}),
        ((("filename*", b"utf-8''%e2%82%ac%20rates"), ("filename", b"EURO rates")), {"filename": "\u20ac rates"}),
        # beside the grammars
        ((("name", b"=?utf-8?Q?=E2=82=AC?="),), {"name": "\u20ac"}),
        ((("name*", b"no quotes %41"),), {"name": "no quotes A"}),
        ((("name*", b"no-such-charset''%C3%BC"),), {"name": "\u00fc"}),
        ((("name*", b"utf-8''%ff%zz"),), {"name": "\ufffd%zz"}),
        ((("*", b"x"), ("a*b", b"y")), {"*": "x", "a*b": "y"}),
        ((("a", b"1"), ("a", b"2")), {"a": "1"}),
    ],
)  # fmt: skip
def test_parameters(parameters: tuple[tuple[str, bytes], ...], decoded: dict[str, str]) -> None:
    assert NOTHING._replace(parameters=parameters).params == decoded


def test_file_name_and_charset() -> None:
    part = NOTHING._replace(parameters=(("charset", b"ISO-8859-1"), ("name", b"from the type")))
    assert (part.charset, part.filename, part.is_attachment) == ("iso-8859-1", "from the type", False)
    part = part._replace(disposition=("attachment", (("filename", b"from the disposition"),)))
    assert (part.filename, part.is_attachment) == ("from the disposition", True)
    assert NOTHING.charset == "us-ascii"
    assert NOTHING.filename is None
    assert NOTHING._replace(type="image").charset is None


def tree() -> BodyStructure:
    """A mail with text in two forms, a picture, and an attached message that has a file attached."""
    attached = ("attachment", (("filename", b"x"),))
    text = NOTHING._replace(part="1.1")
    html = NOTHING._replace(part="1.2", subtype="html")
    alternative = NOTHING._replace(part="1", type="multipart", subtype="alternative", parts=(text, html))
    picture = NOTHING._replace(part="2", type="image", subtype="png", disposition=("inline", ()))
    file = NOTHING._replace(part="3.1", type="application", subtype="pdf", disposition=attached)
    mixed = NOTHING._replace(part="3", type="multipart", subtype="mixed", parts=(file,))
    message = NOTHING._replace(part="3", type="message", subtype="rfc822", disposition=attached, parts=(mixed,))
    last = NOTHING._replace(part="4", disposition=attached)
    return NOTHING._replace(part="", type="multipart", subtype="mixed", parts=(alternative, picture, message, last))


def test_walk_and_find() -> None:
    root = tree()
    assert [(part.part, part.subtype) for part in root.walk()] == [
        ("", "mixed"), ("1", "alternative"), ("1.1", "plain"), ("1.2", "html"), ("2", "png"),
        ("3", "rfc822"), ("3", "mixed"), ("3.1", "pdf"), ("4", "plain"),
    ]  # fmt: skip
    assert root.find("Text/HTML") is root.parts[0].parts[1]
    assert root.find("text/enriched") is None
    assert [part.part for part in root.find_all("text/plain")] == ["1.1", "4"]
    assert [part.part for part in root.attachments()] == ["3", "4"]


def test_deep_trees_need_no_deep_stack() -> None:
    part = NOTHING
    for _ in range(254):
        part = NOTHING._replace(type="multipart", subtype="mixed", parts=(part,))
    limit = sys.getrecursionlimit()
    frame: FrameType | None = sys._getframe()
    depth = 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    sys.setrecursionlimit(depth + 50)
    try:
        found = [
            sum(1 for _ in part.walk()),
            len(part.find_all("text/plain")),
            len(part.attachments()),
            part.text_part(),
            len(repr(part)),
        ]
    finally:
        sys.setrecursionlimit(limit)
    assert found[:4] == [255, 1, 0, NOTHING]
    assert part == pickle.loads(pickle.dumps(part))
    assert hash(part) == hash(copy.copy(part))


def test_row_accessors() -> None:
    items = (
        ("BODY[HEADER]", b"Subject: s\r\n\r\n"),
        ("BODY[1.HEADER.FIELDS (DATE FROM)]", b"Date: d\r\n\r\n"),
        ("BODY[TEXT]<10>", b"part"),
        ("BINARY[2]", b"\x00"),
        ("BODY[3]", Streamed(70_000)),
        ("X-GM-MSGID", 1),
        ("X-GM-THRID", 2),
        ("X-GM-LABELS", ("a",)),
        ("EMAILID", "e"),
        ("THREADID", "t"),
        ("PREVIEW", "p"),
        ("SAVEDATE", datetime(2024, 1, 1, tzinfo=UTC)),
        ("X-OTHER", (1, None)),
    )
    row = ROW.replace(items=items)
    assert row.item("X-OTHER") == (1, None)
    assert row.item("X-NONE", "default") == "default"
    assert row.section("1.header.fields (Date  FROM)") == b"Date: d\r\n\r\n"
    assert (row.section("TEXT", 10), row.section("TEXT"), row.section("3"), row.section("")) == (
        b"part",
        None,
        None,
        None,
    )
    assert (row.header_octets, row.text) == (b"Subject: s\r\n\r\n", None)
    assert (row.binary("2"), row.binary("1")) == (b"\x00", None)
    assert (row.gmail_message_id, row.gmail_thread_id, row.gmail_labels) == (1, 2, ("a",))
    assert (row.object_id, row.thread_id, row.preview) == ("e", "t", "p")
    assert row.save_date == datetime(2024, 1, 1, tzinfo=UTC)
    assert row.streamed == {"BODY[3]": 70_000}
    assert row.email()["subject"] == "s"


def test_row_of_the_old_names() -> None:
    row = ROW.replace(items=(("RFC822.HEADER", b"h"), ("RFC822.TEXT", b"t")), body=b"Subject: whole\r\n\r\nbody\r\n")
    assert (row.header_octets, row.text) == (b"h", "body\n")
    assert row.section("") == row.body
    assert row.email()["subject"] == "whole"
    assert row.email().get_content() == "body\r\n"


def test_row_without_octets() -> None:
    for name in (
        "header_octets",
        "text",
        "html",
        "attachments",
        "gmail_message_id",
        "gmail_labels",
        "object_id",
        "preview",
        "save_date",
    ):
        assert getattr(ROW, name) is None
    assert ROW.streamed == {}
    with pytest.raises(ValueError, match=r"neither BODY\[\] nor BODY\[HEADER\] is in this row: fetch"):
        ROW.email()


def test_repr_is_short() -> None:
    row = ROW.replace(
        flags=frozenset({"\\Seen", *(f"keyword{n}" for n in range(1000))}),
        size=123_456,
        envelope=envelope(subject_octets=b"s" * 5000, from_=(Address(b"n" * 5000, None, b"a", b"b"),) * 50),
        body_structure=tree(),
        body=b"x" * 1_000_000,
        items=tuple((f"X-{n}", b"y" * 1000) for n in range(1000)),
        defects=(Defect("X", "reason", b""),) * 100,
    )
    assert repr(row).startswith("<FetchedMessage 7: UID 5, FLAGS (")
    assert "BODY[] of 1000000 octets" in repr(row)
    assert max(len(repr(row)), len(repr(row.envelope)), len(repr(row.body_structure))) < 400


@pytest.mark.parametrize(
    ("section", "canonical"),
    [
        ("", ""),
        ("1.2.mime", "1.2.MIME"),
        ("header.fields (date)", "HEADER.FIELDS (DATE)"),
        ('HEADER.FIELDS.NOT("Date"  x-y )', "HEADER.FIELDS.NOT (DATE X-Y)"),
        ("HEADER.FIELDS ()", "HEADER.FIELDS ()"),
    ],
)
def test_canonical_section(section: str, canonical: str) -> None:
    assert canonical_section(section) == canonical


def test_flags_are_text() -> None:
    assert {Flag.SEEN} == {"\\Seen"}
    assert Flag.SEEN in frozenset({"\\Seen", "other"})
    assert f"{Flag.MDN_SENT}" == "$MDNSent"


def test_streamed() -> None:
    assert Streamed(5) == 5
    assert Streamed(5).error is None


@pytest.mark.parametrize("cls", [Address, BodyStructure, Defect, Envelope])
def test_every_field_is_described(cls: type) -> None:
    for name in cls._fields:  # type: ignore[attr-defined]
        text = vars(cls)[name].__doc__
        assert not text.startswith("Alias for field"), name
        assert text in " ".join(cls.__doc__.split())  # type: ignore[union-attr]
        assert ":ivar" not in text
    for name, value in vars(cls).items():
        if not name.startswith("_"):
            assert value.__doc__, name


ANN = Address(b"Ann", None, b"ann", b"example.org")
GROUP = Address(None, None, b"team", None), Address(None, None, None, None)


@pytest.mark.parametrize(
    ("from_", "author"),
    [
        ((), None),
        ((ANN, Address(b"Bob", None, b"bob", b"example.org")), ANN),
        ((GROUP[0], ANN, GROUP[1]), ANN),  # RFC 6854 allows a group there
        (GROUP, None),
        ((Address(b"Nobody", None, b"nobody", b""),), Address(b"Nobody", None, b"nobody", b"")),
    ],
)
def test_who_wrote_it(from_: tuple[Address, ...], author: Address | None) -> None:
    assert Envelope(None, None, from_, (), (), (), (), (), None, None).author == author
