"""The files of a message: the same, whether all of it was fetched or its structure and the parts, on a real Dovecot."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.client.interfaces import Interface
from tests.servers.dovecot import Dovecot

PDF = base64.encodebytes(b"%PDF-1.7\n" * 40).replace(b"\n", b"\r\n")
INNER = (
    b"From: Bob <bob@example.org>\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\ntext\r\n--i--\r\n"
)
DOUBLE = (
    b"--a\r\nContent-Type: application/applefile\r\n\r\nfork\r\n--a\r\nContent-Type: text/csv\r\n\r\n1;2\r\n--a--\r\n"
)


def part(content: bytes, *header: str) -> bytes:
    return "".join(f"{field}\r\n" for field in header).encode() + b"\r\n" + content


BASE64 = "Content-Transfer-Encoding: base64"
DOT = "Content-Disposition: INLINE; filename=dot.png", "Content-ID: <dot@example.org>"
PARTS = (
    part(b"see the files\r\n", "Content-Type: text/plain"),
    part(PDF, "Content-Type: application/pdf", "Content-Disposition: attachment; filename=a.pdf", BASE64),
    part(b"iVBORw==\r\n", "Content-Type: image/png", *DOT, BASE64),
    part(INNER, "Content-Type: message/rfc822"),
    part(DOUBLE, "Content-Type: multipart/appledouble; boundary=a", "Content-Disposition: attachment"),
    part(b"", "Content-Type: application/octet-stream"),
)
MESSAGE = (
    b"From: Ann <ann@example.org>\r\nSubject: files\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + b"\r\n--x\r\n".join(PARTS) + b"\r\n--x--\r\n"
)
EXPECTED = [
    ("a.pdf", "application/pdf", "attachment", None, len(PDF)),
    ("dot.png", "image/png", "inline", "<dot@example.org>", len("iVBORw==\r\n")),
    ("inner.eml", "message/rfc822", None, None, len(INNER)),
]


@pytest.mark.usefixtures("implementation")
def test_files(interface: Interface, dovecot: Dovecot) -> None:
    given = {"user": dovecot.new_user(), "password": dovecot.password, "mechanism": "PLAIN", "tls": False}
    client: Any = interface(dovecot.host, dovecot.port, **given)
    client.append("INBOX", MESSAGE)
    client.select("INBOX")
    whole = client.fetch_one("*", "BODY.PEEK[]").attachments
    structure = client.fetch_one("*", "BODYSTRUCTURE").attachments
    parts = client.fetch_one("*", "BODYSTRUCTURE", *(f"BODY.PEEK[{each.part}]" for each in structure)).attachments

    shown = [(each.name, each.media_type, each.disposition, each.content_id, each.size) for each in parts]
    assert shown[:2] == EXPECTED[:2]
    assert shown[2][1:] == EXPECTED[2][1:]
    for one, other in zip(whole, parts, strict=True):
        assert (one.part, one.media_type, one.disposition, one.content_id, one.content) == (
            other.part,
            other.media_type,
            other.disposition,
            other.content_id,
            other.content,
        )
        if other.media_type == "multipart/appledouble":  # whose size no structure says
            assert (one.size, other.size) == (len(DOUBLE), None)
        else:
            assert one.size == other.size
    assert whole[0].content == b"%PDF-1.7\n" * 40
    assert [each.content for each in structure] == [None] * len(whole)
    assert [each.size for each in structure] == [each.size for each in parts]
