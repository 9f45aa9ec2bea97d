"""What people see of a message: texts, attachments, header fields; of the whole or of parts that were fetched."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from fastimap.model.content import safe_name
from fastimap.model.headers import Headers
from fastimap.model.message import Address, BodyStructure, Envelope, FetchedMessage
from tests.message.test_text import HTML, PLAIN, PNG, attached, leaf, multipart, numbered

ROW = FetchedMessage(sequence_number=1, uid=1)


def whole(text: str | bytes) -> FetchedMessage:
    octets = text.encode() if isinstance(text, str) else text
    return ROW.replace(body=octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def mixed(*parts: str, subtype: str = "mixed") -> str:
    return (
        f"Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/{subtype}; boundary=b\n\n"
        + "".join(f"--b\n{part}\n" for part in parts)
        + "--b--\n"
    )


PDF = 'Content-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\n\nUERG'


@pytest.mark.parametrize(
    ("mail", "text", "html"),
    [
        ("Subject: s\n\nHello\nyou\n", "Hello\nyou\n", ""),
        ("Subject: s\nContent-Type: text/html; charset=utf-8\n\n<p>ü\n", "", "<p>ü\n"),
        (mixed("\nplain", "Content-Type: text/html\n\n<b>html", subtype="alternative"), "plain", "<b>html"),
        (mixed("\none\n", PDF, "\ntwo"), "one\ntwo", ""),
        (mixed(PDF), "", ""),
        (mixed("\nHello", "Content-Disposition: attachment; filename=x\n\nlog"), "Hello", ""),
        (mixed("\nHello", "Content-Type: message/rfc822\n\nSubject: inner\n\ninner text"), "Hello", ""),
        ("Content-Type: text/plain; charset=gb2312\nContent-Transfer-Encoding: base64\n\nxOO6ww==\n", "你好", ""),
        ("Content-Type: text/plain; charset=x-no\nContent-Transfer-Encoding: 8bit\n\nü\n", "ü\n", ""),
        ("Content-Type: multipart/mixed\n\nno boundary\n", "no boundary\n", ""),
        ("", "", ""),
    ],
)
def test_texts_of_a_whole_message(mail: str, text: str, html: str) -> None:
    row = whole(mail)
    assert (row.text, row.html) == (text, html)
    header, _, rest = (row.body or b"").partition(b"\r\n\r\n")
    in_two = ROW.replace(items=(("BODY[HEADER]", header + b"\r\n\r\n"), ("BODY[TEXT]", rest)))
    if rest:
        assert (in_two.text, in_two.html) == (text, html)


def test_texts_of_parts_that_were_fetched() -> None:
    plain = leaf("text/plain")._replace(encoding="base64", parameters=(("charset", b"iso-8859-1"),))
    structure = numbered(multipart("mixed", multipart("alternative", plain, HTML), PNG))
    row = ROW.replace(body_structure=structure)
    assert (row.text, row.html) == (None, None)
    row = row.replace(items=(("BODY[1.1]", b64encode(b"\x80 5\r\n")),))
    assert (row.text, row.html) == ("€ 5\n", None)
    row = row.replace(items=(("BINARY[1.1]", b"\x80"), ("BODY[1.2]", b"<p>")))
    assert (row.text, row.html) == ("€", "<p>")
    assert ROW.replace(body_structure=numbered(PNG)).text == ""
    alone = ROW.replace(body_structure=numbered(PLAIN), items=(("BODY[TEXT]", b"x"),))
    assert alone.text == "x"


@pytest.mark.parametrize(
    ("tree", "parts"),
    [
        (PLAIN, []),
        (HTML, []),
        (PNG, ["1"]),
        (leaf("application/gzip"), ["1"]),
        (leaf("text/csv"), ["1"]),
        (multipart("mixed", PLAIN, PNG), ["2"]),
        (multipart("mixed", PLAIN, leaf("image/png", "inline")), []),
        (multipart("mixed", PLAIN, leaf("image/png", "inline")._replace(parameters=(("name", b"x.png"),))), ["2"]),
        (multipart("mixed", leaf("text/plain")._replace(parameters=(("name", b"body.txt"),))), []),
        (multipart("mixed", PLAIN, leaf("text/plain")._replace(parameters=(("name", b"notes.txt"),))), ["2"]),
        (multipart("mixed", PLAIN, HTML), []),
        (multipart("mixed", PLAIN, attached(PLAIN)), ["2"]),
        (multipart("mixed", PLAIN, leaf("message/rfc822", "inline")._replace(parts=(PLAIN,))), ["2"]),
        (multipart("related", HTML, leaf("image/png", "inline", b"<a>")), []),
        (multipart("related", HTML, leaf("image/png", None, b"<a>")), []),
        (multipart("related", HTML, leaf("application/pdf")), ["2"]),
        (multipart("alternative", PLAIN, HTML, leaf("text/calendar")), []),
        (multipart("mixed", multipart("alternative", PLAIN, HTML), leaf("text/calendar")), ["2"]),
        (multipart("signed", PLAIN, leaf("application/pgp-signature")), []),
        (multipart("report", PLAIN, leaf("message/delivery-status"), leaf("text/rfc822-headers")), []),
        (multipart("report", PLAIN, leaf("message/delivery-status"), attached(PLAIN)), ["3"]),
        (multipart("digest", attached(PLAIN), attached(HTML)), ["1", "2"]),
    ],
    ids=lambda value: None if isinstance(value, list) else repr(value),
)
def test_what_is_attached(tree: BodyStructure, parts: list[str]) -> None:
    tree = numbered(tree)
    assert [part.part for part in tree.attachments()] == parts


def test_attachments_of_a_whole_message() -> None:
    inner = "Content-Type: message/rfc822\n\nSubject: =?utf-8?Q?re=3A_x?=\n\ninner\n"
    row = whole(mixed("\nHello", PDF, inner, 'Content-Disposition: attachment; filename="../../x"\n\nlog'))
    found = row.attachments
    assert found is not None
    assert [(each.part, each.media_type, each.name) for each in found] == [
        ("2", "application/pdf", "a.pdf"),
        ("3", "message/rfc822", "message.eml"),
        ("4", "text/plain", "_.._x"),
    ]
    assert found[0].content == b"PDF"
    assert found[1].content is not None
    assert found[1].content.startswith(b"Subject: =?utf-8?Q?re=3A_x?=\r\n\r\ninner\r\n")
    assert found[2].content == b"log"
    assert "content" not in repr(found[0])


def test_attachments_of_a_body_structure() -> None:
    inner = attached(PLAIN)._replace(
        envelope=Envelope(None, b"re: x/y", (), (), (), (), (), (), None, None), encoding="8bit"
    )
    pdf = leaf("application/pdf", "attachment")._replace(encoding="base64", size=4)
    row = ROW.replace(body_structure=numbered(multipart("mixed", PLAIN, pdf, inner)))
    found = row.attachments
    assert found is not None
    assert [(each.part, each.name, each.size, each.content) for each in found] == [
        ("2", "part 2", 4, None),
        ("3", "re_ x_y.eml", 0, None),
    ]
    fetched = row.replace(items=(("BODY[2]", b"UERG"),)).attachments
    assert fetched is not None
    assert fetched[0].content == b"PDF"
    assert ROW.attachments is None


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("Grüße 漢字.txt", "Grüße 漢字.txt"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\x.dll", "C__Windows_x.dll"),
        ("a\r\nb\0c", "a__b_c"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        (".bashrc", "bashrc"),
        ("x. . ", "x"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1 .x", "_com1 .x"),
        ("COM²", "_COM²"),
        ("console", "console"),
        ("a:b*c?d|e<f>g", "a_b_c_d_e_f_g"),
        ("..", ""),
        ("/", ""),
        ("", ""),
        ("\ud800x", "_x"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_long_names_keep_their_extension() -> None:
    name = safe_name("ü" * 300 + ".pdf")
    assert name.endswith("ü.pdf")
    assert len(name.encode()) <= 200
    assert len(safe_name("x" * 300)) == 200


RAW = (
    b"Subject: command n\xb0 193\r\nFrom: J\xfcrgen <j@example.org>\r\n"
    b"To: =?gb2312?B?xOM=?=\r\n =?gb2312?B?usM=?= <a@b>\r\nreceived: one\r\nReceived: two\r\n\ttwo\r\n"
    b"CC: =?utf-8?B?R3LDv?= =?utf-8?B?MOfZQ==?= <c@d>,\r\n e@f\r\n\r\n"
)


@pytest.mark.parametrize("item", ["BODY[HEADER]", "RFC822.HEADER", "BODY[HEADER.FIELDS (SUBJECT FROM TO CC)]", None])
def test_header_fields_are_read_alike(item: str | None) -> None:
    row = ROW.replace(items=((item, RAW),)) if item else ROW.replace(body=RAW + b"body: no field\r\n\r\n")
    assert row.headers["subject"] == row.email()["subject"] == "command n° 193"
    assert row.headers["FROM"] == "Jürgen <j@example.org>"
    assert row.email()["from"].addresses[0].display_name == "Jürgen"
    assert row.headers["To"] == "你好 <a@b>"
    assert row.email()["to"].addresses[0].display_name == "你好"
    assert [address.display_name for address in row.email()["cc"].addresses] == ["Grüße", ""]
    assert row.headers.get_all("Received") == ["one", "two\ttwo"]
    assert row.headers.octets("received") == [b"one", b"two\r\n\ttwo"]
    assert [*row.headers] == ["Subject", "From", "To", "received", "CC"]
    assert len(row.headers) == 5
    assert "body" not in row.headers


def test_several_lists_of_header_fields() -> None:
    row = ROW.replace(
        items=(
            ("BODY[HEADER.FIELDS (DATE)]", b"Date: today\r\n\r\n"),
            ("BODY[HEADER.FIELDS (TO)]", b"To: me\r\n\r\n"),
            ("BODY[HEADER.FIELDS (CC)]", b"\r\n"),
        )
    )
    assert dict(row.headers) == {"Date": "today", "To": "me"}
    assert row.email()["To"] == "me"
    assert dict(ROW.headers) == {}
    assert repr(Headers(b"A: b\n")) == "<Headers: A>"
    assert dict(Headers(b"A: b\nno field\nC:d")) == {"A": "b", "C": "d"}


def test_what_is_not_known_is_a_defect() -> None:
    envelope = Envelope(
        None, b"=?x-no?Q?a?=", (Address(b"=?no-1?B?YQ?=", None, b"a", b"b"),), (), (), (), (), (), None, None
    )
    structure = numbered(multipart("mixed", leaf("text/plain")._replace(parameters=(("charset", b"x-nobody"),)), PNG))
    row = ROW.replace(envelope=envelope, body_structure=structure)
    assert [(defect.item, defect.reason) for defect in row.text_defects] == [
        ("ENVELOPE", "the charset 'x-no' is not known"),
        ("ENVELOPE", "the charset 'no-1' is not known"),
        ("BODYSTRUCTURE", "part 1: the charset 'x-nobody' is not known"),
    ]
    assert ROW.text_defects == ()
    assert [d.item for d in whole("Content-Type: text/plain; charset=x-nobody\n\nx").text_defects] == ["BODY[]"]


@pytest.mark.parametrize(
    ("mailbox", "host", "email"),
    [
        (b"john.doe", b"example.org", "john.doe@example.org"),
        (b"john doe", b"example.org", '"john doe"@example.org'),
        (b"john..doe", b"example.org", '"john..doe"@example.org'),
        (b'a"b\\c', b"example.org", '"a\\"b\\\\c"@example.org'),
        (b'"john doe"', b"example.org", '"john doe"@example.org'),
        (b"", b"example.org", '""@example.org'),
        (b"a@b", b"example.org", '"a@b"@example.org'),
        (b"a,b", b"example.org", '"a,b"@example.org'),
        (b"a\r\nBcc: x", b"example.org", '"a\ufffd\ufffdBcc: x"@example.org'),
        (b"a", b"[192.0.2.1]", "a@[192.0.2.1]"),
        (b"a", b"[IPv6:::1]", "a@[IPv6:::1]"),
        (b"a", b"b>, <c@d", "a@b\ufffd\ufffd\ufffd\ufffdc\ufffdd"),
        (b"a", b"b\r\nc", "a@b\ufffd\ufffdc"),
        (b"", b"", ""),
    ],
)
def test_addresses_are_valid(mailbox: bytes, host: bytes, email: str) -> None:
    assert Address(None, None, mailbox, host).email == email


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address(b"Doe; John", None, b"a b", b"c"), '"Doe; John" <"a b"@c>'),
        (Address(b"=?utf-8?Q?x=0D=0ABcc=3A_y?=", None, b"a", b"b"), '"x\ufffd\ufffdBcc: y" <a@b>'),
        (Address(b" x ", None, b"a", b"b"), '" x " <a@b>'),
        (Address(b"Nobody", None, b"", b""), "Nobody <>"),
        (Address(None, None, b"", b""), "<>"),
        (Address(None, None, b"Friends, old", None), '"Friends, old":'),
        (Address(None, None, b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", None), "Grüße:"),
    ],
)
def test_addresses_as_text(address: Address, text: str) -> None:
    assert str(address) == text


@pytest.mark.slow
def test_deep_messages_have_a_text(request: Any) -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3000)) + "\nx"
    assert whole(f"MIME-Version: 1.0\n{deep}").text is not None
    assert whole(f"MIME-Version: 1.0\n{deep}").attachments is not None
