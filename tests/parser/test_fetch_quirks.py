"""What real servers send beside the grammar (tests/corpus/quirks.txt), and what is to be understood of it.

The expected values are read from the octets and from what the file says is odd about them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from fastimap import _parser_py
from fastimap.model.message import PRESENT_FLAGS, FetchedMessage

from .fetching import defective, fetched
from .harness import CORPUS, framed, quirks

LINES = [line for line in (CORPUS / "quirks.txt").read_text("utf-8").splitlines() if line.startswith("b")]

# Quirks that are no whole FETCH response: heads of one, values of parts (below), LIST and LITERAL as items, imaplib's
# own shape, a literal that never ends, and one over every limit.
ELSEWHERE = [
    "tests.rs line 601", "davmail#454", "FolderNameContainingUnquotedTabs", "TestReadBrokenLiteralToken",
    "imap2maildir", "MailKit#361", "hostile", "body-fld-octets", "body-fld-enc",
]  # fmt: skip


def quirk(key: str) -> bytes:
    """Return the octets of the line that has `key` in it."""
    (octets,) = (octets for octets, line in zip(quirks(), LINES, strict=True) if key in line + "\n")
    return octets


def parts(row: FetchedMessage) -> list[tuple[str, str, int | None]]:
    assert row.body_structure is not None
    return [(part.part, part.media_type, part.size) for part in row.body_structure.walk()]


def part(row: FetchedMessage, number: str) -> Any:
    assert row.body_structure is not None
    return next(part for part in row.body_structure.walk() if part.part == number)


def mail(addresses: Any) -> list[str]:
    return [address.email for address in addresses]


Check = Callable[[Any], object]

# A substring of the quirk's line, what is looked at, what it has to be; for all: the items with a defect.
TAKEN: list[tuple[str, list[tuple[Check, object]], list[str]]] = [
    ("TestParseLabelsListWithNIL", [
        (lambda row: row.gmail_labels, ("atom-label", "\\flag-label", "quoted-label", "NIL")),
    ], []),
    ("TestParseEnvelopeWithMiscalculatedLiteralMailboxName", [
        (lambda row: row.envelope.subject, "Паркинг на Данаил Дечев"),
        (lambda row: mail(row.envelope.from_), ["facility@xxxxxxxxxxx.com"]),
        (lambda row: mail(row.envelope.to), ["team@xxxxxxxxxxx.com"]),
        (lambda row: row.envelope.message_id, "<d0f6ca6608cfb0b680b7b90824c79118@xxxxxxxxxxx.com>"),
    ], ["ENVELOPE"]),
    ("TestParseEnvelopeWithMissingMessageId", [
        (lambda row: row.envelope.in_reply_to, "<in-reply-to@example.com>"),
        (lambda row: row.envelope.message_id, None),
        (lambda row: mail(row.envelope.reply_to), ["reply-to@example.com"]),
    ], ["ENVELOPE"]),
    ("TestParseEnvelopeWithMissingInReplyTo", [
        (lambda row: row.envelope.subject, "北京战区日报表"),
        (lambda row: row.envelope.from_[0].name, "数据分析小组"),
        (lambda row: mail(row.envelope.reply_to), ["unknown-name@unknown-domain"]),
        (lambda row: (row.envelope.to, row.envelope.in_reply_to, row.envelope.message_id), ((), None, None)),
    ], ["ENVELOPE"]),
    ("TestParseMalformedMailboxAddressInEnvelope", [
        (lambda row: mail(row.envelope.sender), ["members=headspace.com@members.headspace.com"]),
        (lambda row: mail(row.envelope.to), ["user@gmail.com"]),
    ], []),
    ("TestParseGMailMalformedSenderInEnvelope", [
        (lambda row: row.envelope.sender[0].name, "<sender@domain.com>"),
        (lambda row: row.envelope.sender[0].mailbox_octets, b'=?UTF-8?Q?"Dummy=C3=ADa_Pa=C3=A1ndez_Algo"?='),
        (lambda row: row.envelope.sender[0].host, None),
        (lambda row: mail(row.envelope.from_ + row.envelope.to), ["from@domain.com", "to@domain.com"]),
    ], []),
    ("TestParseEnvelopeWithNilMailbox", [
        (lambda row: row.envelope.from_[0].name, "Microsoft Exchange Server"),
        (lambda row: row.envelope.from_[0].mailbox, None),
        (lambda row: row.envelope.from_[0].host, ".MISSING-HOST-NAME."),
        (lambda row: row.envelope.from_[0].email, ""),
        (lambda row: mail(row.envelope.to), ["username@testdomain.com"]),
    ], []),
    ("TestParseEnvelopeWithNilAddress", [
        (lambda row: mail(row.envelope.from_), ["xxxxxxx@xxxxxxxxxx.xxx"]),
        (lambda row: mail(row.envelope.reply_to), ["xxxxxxx@xxxxx.xxx.xx"]),
        (lambda row: mail(row.envelope.to), ["xxxxxxx@xxxxxxx.xxx.xx"]),
        (lambda row: row.envelope.message_id, "<0A9F01100712011D213C15B6D2B6DA@XXXXXXX-XXXXXXX>"),
    ], []),
    ("TestParseDovcotEnvelopeWithGroupAddresses", [
        (lambda row: [str(address) for address in row.envelope.to], [
            "boys:", "aaron@MISSING_DOMAIN", "jeff@MISSING_DOMAIN", "zach@MISSING_DOMAIN", ";",
            "girls:", "alice@MISSING_DOMAIN", "hailey@MISSING_DOMAIN", "jenny@MISSING_DOMAIN", ";",
        ]),
        (lambda row: [row.envelope.to[i].is_group_start for i in (0, 1, 4)], [True, False, False]),
        (lambda row: [row.envelope.to[i].is_group_end for i in (0, 1, 4)], [False, False, True]),
    ], []),
    ("TestParseBodyStructureWithBrokenMultipartRelated", [
        (parts, [("", "multipart/mixed", None), ("1", "multipart/related", 400), ("2", "text/html", 1115),
                 ("3", "text/html", 16)]),
        (lambda row: part(row, "2").charset, "utf8"),
    ], ["BODYSTRUCTURE"]),
    ("TestParseBodyStructureWithEmptyParenListAsMessageRfc822BodyToken", [
        (parts, [("", "multipart/report", None), ("1", "text/plain", 232), ("2", "message/delivery-status", 421),
                 ("3", "message/rfc822", 787)]),
        (lambda row: part(row, "3").envelope.subject, None),
        (lambda row: part(row, "3").lines, 0),
    ], []),
    ("TestParseGMailBadlyFormedMultipartBodyStructure\n", [
        (parts, [("", "multipart/alternative", None), ("1", "multipart/alternative", None), ("2", "text/html", 6769)]),
        (lambda row: part(row, "1").params, {"boundary": "==alternative_xad5934455aeex"}),
        (lambda row: part(row, "2").filename, "seti_letter.html"),
    ], []),
    ("TestParseGMailBadlyFormedMultipartBodyStructure2", [
        (parts, [("", "multipart/mixed", None), ("1", "multipart/alternative", None), ("1.1", "text/plain", 10418),
                 ("1.2", "text/html", 34544), ("2", "multipart/related", None), ("3", "multipart/related", None),
                 ("4", "multipart/related", None), ("5", "multipart/related", None)]),
        (lambda row: part(row, "2").disposition, ("attachment", ())),
    ], []),
    ("TestParseBadlyFormedBodyStructureWithEmptyStringMediaType", [
        (parts, [("", "multipart/mixed", None), ("1", "text/plain", 356), ("2", "application/x-zip", 4096)]),
        (lambda row: part(row, "2").encoding, "base64"),
    ], ["BODYSTRUCTURE"]),
    ("TestParseBadlyFormedBodyStructureWithMissingMediaSubtypeText", [
        (parts, [("", "multipart/mixed", None), ("1", "text/plain", 356)]),
        (lambda row: (part(row, "1").charset, part(row, "1").lines), ("windows-1251", 5)),
    ], ["BODYSTRUCTURE"]),
    ("TestParseBadlyFormedBodyStructureWithMissingMediaSubtypeApplication", [
        (parts, [("", "multipart/mixed", None), ("1", "application/octet-stream", 356)]),
    ], ["BODYSTRUCTURE"]),
    ("TestParseBadlyQuotedBodyStructure", [
        (lambda row: [p.subtype for p in row.body_structure.walk()], ["mixed", "octet-stream", "octet-stream"]),
        (lambda row: part(row, "1").type, 'moundary="_006_5dbb50a5a54730ad4a54730ad4a54730ad4a54730ad42kos_"'),
        (lambda row: [p.filename for p in row.body_structure.attachments()], ["test.dat", "test.dat"]),
        (lambda row: part(row, "2").size, 383137),
    ], []),
    ("TestParseMultipartBodyStructureWithNilBodyFldParam", [
        (lambda row: parts(row)[4:], [("2", "multipart/x-zip", None), ("2.1", "text/plain", 0)]),
        (lambda row: part(row, "2").parameters, ()),
        (lambda row: part(row, "2").filename, "YSOZ 265230.ZIP"),
    ], []),
    ("TestParseMultipartBodyStructureWithoutBodyFldDsp", [
        (lambda row: row.body_structure.description, "Multipart message"),
        (lambda row: row.body_structure.disposition, None),
        (lambda row: part(row, "3").filename, "4441004299066.pdf"),
        (lambda row: part(row, "1").disposition, ("inline", ())),
    ], []),
    ("TestParseBodyStructureWithNonParenthesizedBodyFldDsp", [
        (lambda row: [part(row, n).disposition for n in "12"], [("inline", ()), ("inline", ())]),
        (lambda row: part(row, "2").lines, 502),
    ], []),
    ("TestParseBodyStructureWithNilNilBodyFldDsp", [
        (lambda row: part(row, "2").disposition, None),
        (lambda row: part(row, "3").filename, "PREIS ANSPRUCHS FORMULAR.doc"),
    ], []),
    ("TestParseBodyStructureWithSwappedBodyFldDspAndBodyFldLang", [
        (lambda row: (row.body_structure.disposition, row.body_structure.language), (("inline", ()), ())),
        (lambda row: part(row, "1").media_type, "multipart/alternative"),
    ], []),
    ("TestParseBodyStructureWithNegativeOctetValue", [
        (parts, [("", "multipart/digest", None)]),
        (lambda row: row.body_structure.params, {"boundary": "ommgDs4vJ6fX2nQAghXj4aUy9wsHMMDb"}),
    ], ["BODYSTRUCTURE"]),
    ("TestParseBodyStructureWithNilMultipartBody", [
        (parts, [("", "multipart/report", None), ("1", "text/plain", 727), ("2", "message/delivery-status", 416),
                 ("3", "message/rfc822", 903), ("3", "multipart/alternative", None)]),
        (lambda row: part(row, "3").envelope.subject, "Re: Adresy"),
        (lambda row: part(row, "3").lines, 17),
    ], []),
    ("TestParseBadlyFormedBodyStructureWithCompletelyNilBodyParts2", [
        (lambda row: parts(row)[1], ("1", "application/octet-stream", 563)),
        (lambda row: part(row, "3").envelope.subject, "[POSSIBLE SPAM 11.4] Invoices now overdue - 115365#"),
        (lambda row: mail(part(row, "3").envelope.to),
         ["accounts@OTHER-DOMAIN", "safety@OTHER-DOMAIN", "USER@OUR-DOMAIN"]),
        (lambda row: part(row, "3.2").filename, "Reminder.pdf"),
        (lambda row: part(row, "3.1.2.2").location, "0.dat"),
    ], ["BODYSTRUCTURE"]),
    ("TestParseBadlyFormedBodyStructureWithCompletelyNilBodyParts1", [
        (lambda row: parts(row)[-9:], [
            ("2.3", "message/rfc822", 0), ("2.3", "multipart/mixed", None), ("2.3.1", "multipart/related", None),
            ("2.3.1.1", "application/octet-stream", 0), ("2.3.1.2", "application/octet-stream", 0),
            ("2.3.1.3", "application/octet-stream", 0), ("2.3.1.4", "application/octet-stream", 0),
            ("2.3.2", "application/pdf", 215638), ("2.4", "application/pdf", 208376),
        ]),
        (lambda row: row.body_structure.language, ("en-US",)),
    ], ["BODYSTRUCTURE"] * 4),
    ("TestParseBadlyFormedBodyStructureWithEmptyParensInsteadOfContentLocation", [
        (parts, [("", "multipart/related", None), ("1", "text/html", 38706), ("2", "image/jpeg", 3446),
                 ("3", "image/jpeg", 3446), ("4", "image/jpeg", 3232)]),
        (lambda row: [p.location for p in row.body_structure.walk()], [None] * 5),
        (lambda row: row.body_structure.language, ("de-DE",)),
    ], []),
    ("TestParseBadlyFormedGMailMultipartBodyResponseWithNoChildren", [
        (parts, [("", "multipart/report", None), ("1", "text/plain", 211), ("2", "message/delivery-status", 344),
                 ("3", "message/rfc822", 2942), ("3", "multipart/alternative", None)]),
        (lambda row: mail(part(row, "3").envelope.from_), ["---.---87@gmail.com"]),
        (lambda row: part(row, "3").lines, 51),
    ], []),
    ("TestParseFlagsList", [
        (lambda row: row.flags, frozenset(["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft", "+", "TAG",
                                           "TAG2", *"abcdefghijklmnopqrstuvwxyz"])),
    ], []),
    ("TestParseInvalidInternalDates", [(lambda row: row.internal_date, None)], ["INTERNALDATE"]),
    ("fetch-extra-parens.txt", [
        (lambda row: (row.sequence_number, row.uid), (2, 14935)),
        (lambda row: row.envelope, (None, None, (), (), (), (), (), (), None, None)),
        (parts, [("1", "text/plain", 0)]),
    ], []),
    ("getbodypart-missing-content.txt", [
        (lambda row: row.uid, 3016),
        (lambda row: len(row.section("2.MIME")), 145),
        (lambda row: row.section("2"), None),
    ], ["BODY[2]"]),
    ("fetch-negative-modseq-values.txt", [
        (lambda row: (row.mod_sequence, row.flags, row.uid), (0, frozenset({"\\Seen"}), 1)),
    ], []),
    ("ReleaseNotes.md:1002", [
        (lambda row: (row.sequence_number, row.flags), (None, frozenset({"\\Seen"}))),
    ], [""]),
    ("zero-prefixed", [(lambda row: row.section("header.fields (foo)"), b"Foo: bar\r\n\r\n")], []),
    ("SP between the addresses", [
        (lambda row: (row.uid, row.size), (60, 49051)),
        (lambda row: row.internal_date, datetime(2021, 5, 24, 9, 47, 51, tzinfo=UTC)),
        (lambda row: row.envelope.date, None),
        (lambda row: mail(row.envelope.to), [
            "risa@harvey-lemke.test", "shella@kilback-renner.test", "jana.kiehn@bradtke-considine.example",
            "frank@hartmann.test", "numbers.ryan@satterfield.test", "keneth_feeney@will-walter.test"]),
    ], []),
    ("test_invalid_fetch_msg_att_extra_space", [(lambda row: (row.sequence_number, row.uid), (1, 92285))], []),
    ("RFC822[] instead", [(lambda row: row.body, b"foo\r\n")], []),
    ("test_bodystructure_extra_space", [
        (parts, [("", "multipart/mixed", None), ("1", "text/plain", 409)]),
        (lambda row: part(row, "1").charset, "utf-8"),
    ], []),
    ("Ruby bug 7153", [(parts, [("", "multipart/mixed", None)])], []),
    ("Ruby bug 7146", [(parts, [("", "multipart/report", None), ("1", "message/delivery-status", 324)])], []),
    ("Ruby bug 7147", [
        (parts, [("", "multipart/mixed", None), ("1", "multipart/alternative", None), ("1.1", "text/plain", 69),
                 ("1.2", "text/html", 455), ("2", "message/rfc822", 4079755)]),
        (lambda row: (part(row, "2").envelope, part(row, "2").filename), (None, "ATT00026.eml")),
    ], []),
    ("test_body_structure_with_8bit_literal_filename", [
        (lambda row: row.body_structure.parameters, (("name", b"G\xf6r\xfcnt\xfc1"),)),
        (lambda row: row.body_structure.filename, "Görüntü1"),
        (lambda row: row.body_structure.content_id, "<part1@example.com>"),
    ], []),
    ("Apache James 3.9", [
        (lambda row: (row.uid, row.thread_id), (7, None)),
        (lambda row: (row.section("", 0), row.body), (b"hi", None)),
    ], []),
    ("imapflow commit 7281ce9", [
        (lambda row: (row.uid, row.size), (32, 3991)),
        (lambda row: (row.section("2.MIME"), row.section("2", 0)), (b"x", b"y")),
    ], []),
    ("jakartaee/mail-api#209", [(lambda row: (row.sequence_number, row.uid), (11487, 19436))], []),
    ("getmail6#93", [
        (lambda row: (row.uid, row.flags, row.size), (51958, frozenset({"NonJunk"}), None)),
        (lambda row: "RFC822.SIZE" in row, False),
    ], []),
    ("mjs/imapclient#334", [(lambda row: (row.sequence_number, row._present), (28, PRESENT_FLAGS))], []),
    ("mscdex/node-imap#464", [(lambda row: (row.uid, row.mod_sequence), (402782, 10000934))], []),
    ("Cyrus 2.2.13", [(lambda row: (row.uid, row.body), (9, b"0123456789\r\n"))], []),
    ("Exchange 2003", [(lambda row: (row.uid, row.body), (9, b"0123456789\r\n"))], []),
    ("mjs/imapclient#162", [(lambda row: row.body, b"THIS PART IS THE MIME BODY\r\n")], []),
    ("python/cpython#88574", [(lambda row: row.header_octets, b"Subject: test")], []),
    ("[rebuilt] Xeams", [(lambda row: (row.uid, row.body, row.flags), (1, b"hello", None))], []),
    ("javaee/javamail#278", [
        (lambda row: row.body_structure.description, "S/MIME Encrypted Message"),
        (lambda row: row.body_structure.disposition, None),
        (lambda row: [p.filename for p in row.body_structure.attachments()], ["private.txt"]),
    ], []),
    ("kisli/vmime#159", [
        (lambda row: row.body_structure.parameters, (("boundary", b""),)),
        (lambda row: [part(row, n).lines for n in "12"], [0, 0]),
    ], []),
    ("kisli/vmime#317", [
        (lambda row: row.envelope.subject, "Kun For Deg! Få Et GRATIS Bil Nødssett Fra NAF!"),
        (lambda row: str(row.envelope.from_[0]), "Eksklusiv NAF <marketing@mail.iex.nl>"),
        (lambda row: row.uid, 24371),
    ], []),
    ("BODYSTRUCTURE item cut", [
        (lambda row: mail(row.envelope.from_), ['"Mail Delivery System"']),
        (lambda row: row.envelope.date.utcoffset(), timedelta(hours=1)),
    ], []),
    ("iCloud (imap.mail.me.com)", [(lambda row: (row.uid, row.body), (1, None))], []),
    ("emailjs-imap-client#147", [(lambda row: (row.section("1.2"), row.section("1.1")), (b"", b""))], []),
    ("iroco-co/aioimaplib#15", [
        (lambda row: row.internal_date, datetime(2012, 10, 14, 17, 49, 28, tzinfo=UTC)),
        (lambda row: row.flags, frozenset({"\\Seen"})),
    ], []),
    ("mjs/imapclient#288", [(lambda row: row.body_structure.charset, "utf-8")], ["BODYSTRUCTURE"]),
    ("huacnlee/omamail#74", [(lambda row: row.header_octets, b"X-Spam-Flag: NO\r\n\r\n")], []),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("key", "checks", "defects"), TAKEN, ids=[key.strip() for key, _, _ in TAKEN])
def test_quirk(twin: ModuleType, key: str, checks: list[tuple[Check, object]], defects: list[str]) -> None:
    row = fetched(twin, quirk(key))
    assert [look(row) for look, _ in checks] == [value for _, value in checks]
    assert defective(row) == defects


def test_every_quirk_of_fetch_is_here(twin: ModuleType) -> None:
    for octets, line in zip(quirks(), LINES, strict=True):
        rows = [response for response in framed(twin, [octets]) if isinstance(response, tuple)]
        if rows and isinstance(rows[0][0], bytes) and _parser_py.fetch(rows[0]) is not None:
            keys = [key for key, _, _ in TAKEN if key.strip() in line] + [key for key in ELSEWHERE if key in line]
            assert keys, line
