"""Synthetic mail in the shapes and sizes of real mail: many small messages, few large ones, most octets in those."""

from __future__ import annotations

import base64
import quopri
import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime

MIN_SIZE = 1024
MAX_SIZE = 5 * 1024 * 1024

# The sizes are log-normal, as sizes of mail are: half are below the median, the mean is near 50 KiB.
_MEDIAN_SIZE = 9_000
_SIGMA = 1.9

_SEED = 3501

_PEOPLE = (
    ("Ann Example", "ann@example.org"),
    ("Jörg Müller", "joerg.mueller@example.net"),
    ("山田 太郎", "taro@example.jp"),
    ("Zoë O'Neil", "zoe@example.com"),
    ("Łukasz Żak", "lukasz@example.pl"),
    ("Support (Tickets)", "support@example.com"),
    ("René", "rene@example.fr"),
    ("Ольга Иванова", "olga@example.net"),
)
_SUBJECTS = (
    "Minutes of the meeting",
    "Größe der Anlage",
    "Invoice 2024-0117",
    "Votre commande n° 4711 a été expédiée",
    "[list] Re: literal+ and the size of messages",
    "議事録をお送りします",
    "Your order has been shipped",
    "Fwd: Ergebnis der Prüfung, bitte bis Freitag ansehen und mit Änderungswünschen zurück",
)
_WORDS = re.findall(
    r"\S+",
    "the message server octets between answer every mailbox ännert größer while nothing small before client which "
    "déjà reads writes sequence number their letter archive search tomorrow invoice meeting please attached thanks",
)
_FILES = (
    ("application/pdf", "Bericht über das Jahr.pdf"),
    ("image/jpeg", "IMG_2041.jpeg"),
    ("application/zip", "logs.zip"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "Zahlen.xlsx"),
)


def messages(count: int) -> Iterator[bytes]:
    """Yield `count` messages, the same ones at each call, of MIN_SIZE to about MAX_SIZE octets."""
    randomness = random.Random(_SEED)
    writer = _Writer(randomness)
    for number in range(count):
        size = min(max(randomness.lognormvariate(0, _SIGMA) * _MEDIAN_SIZE, MIN_SIZE), MAX_SIZE)
        yield writer.message(number, int(size))


class _Writer:
    """Writes messages; what looks like chance in them comes from `randomness`.

    An entity is a header without MIME-Version and a body, from the Content-Type field on.
    """

    def __init__(self, randomness: random.Random) -> None:
        self._random = randomness
        self._boundaries = 0
        self._lines = [" ".join(randomness.choices(_WORDS, k=11)) for _ in range(500)]

    def message(self, number: int, size: int) -> bytes:
        """Return a message of about `size` octets and at least MIN_SIZE."""
        header = self._header(number)
        entity = self._entity(size - len(header))
        return header + entity

    def _header(self, number: int) -> bytes:
        sender, *recipients = self._random.sample(_PEOPLE, self._random.randint(2, 5))
        date = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=7 * number)
        received = (
            f"Received: from mx{number % 7}.example.net (mx{number % 7}.example.net [192.0.2.{number % 250}])\r\n"
            f"\tby mail.example.org (Postfix) with ESMTPS id 4T{number:08X}\r\n"
            f"\tfor <user@example.org>; {format_datetime(date)}"
        )
        lines = [
            f"Return-Path: <{sender[1]}>",
            received,
            f"Date: {format_datetime(date)}",
            f"From: {_address(sender)}",
            "To: " + ",\r\n ".join(_address(recipient) for recipient in recipients),
            "Subject: " + Header(self._random.choice(_SUBJECTS), header_name="Subject").encode(linesep="\r\n"),
            f"Message-ID: <{number}.{self._random.getrandbits(64):016x}@example.org>",
            "MIME-Version: 1.0",
        ]
        return "\r\n".join(lines).encode("ascii") + b"\r\n"

    def _entity(self, size: int) -> bytes:
        if size < 6_000:
            return self._text("plain", size)
        if size < 48_000:
            return self._alternative(size)
        if self._random.random() < 0.2:
            return self._multipart("mixed", [self._text("plain", 1500), self._forwarded(size - 2000)])
        parts = [self._alternative(8_000)]
        rest = size - 8_000
        while rest > 0:
            share = rest if rest < 200_000 else self._random.randint(rest // 2, rest)
            parts.append(self._attachment(share))
            rest -= share
        return self._multipart("mixed", parts)

    def _text(self, subtype: str, size: int) -> bytes:
        head = (
            f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        ).encode()
        # Some letters take three octets in quoted-printable: a line of 70 letters becomes about 76.
        lines = self._random.choices(self._lines, k=max(1, size // 76))
        if subtype == "html":
            lines = [f"<p>{line}</p>" for line in lines]
        text = quopri.encodestring("\n".join(lines).encode() + b"\n").replace(b"\n", b"\r\n")
        return head + text + b"=20" * max(0, (size - len(head) - len(text)) // 3)

    def _alternative(self, size: int) -> bytes:
        plain = self._text("plain", size // 3)
        if size < 20_000 or self._random.random() < 0.5:
            return self._multipart("alternative", [plain, self._text("html", size - size // 3)])
        related = [self._text("html", size // 3), self._inline_image(size // 3)]
        return self._multipart("alternative", [plain, self._multipart("related", related)])

    def _forwarded(self, size: int) -> bytes:
        inner = self.message(self._random.randrange(1_000_000), size)
        return b"Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n" + inner

    def _inline_image(self, size: int) -> bytes:
        head = (
            f"Content-Type: image/png\r\nContent-ID: <{self._random.getrandbits(32):08x}@example.org>\r\n"
            "Content-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        )
        return head.encode() + self._base64(size)

    def _attachment(self, size: int) -> bytes:
        media_type, name = self._random.choice(_FILES)
        encoded_name = Header(name, "utf-8", maxlinelen=60).encode(linesep="\r\n")
        head = (
            f'Content-Type: {media_type};\r\n name="{encoded_name}"\r\n'
            f'Content-Disposition: attachment;\r\n filename="{encoded_name}"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n"
        )
        return head.encode() + self._base64(size)

    def _base64(self, size: int) -> bytes:
        """Random octets whose base64 has about `size` octets."""
        octets = self._random.randbytes(size * 57 // 78)
        return base64.encodebytes(octets).replace(b"\n", b"\r\n")

    def _multipart(self, subtype: str, parts: Sequence[bytes]) -> bytes:
        self._boundaries += 1
        boundary = b"=_part_%d_%08x" % (self._boundaries, self._random.getrandbits(32))
        head = b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n\r\n' % (subtype.encode(), boundary)
        pieces = [head, b"This is a message in MIME format.\r\n"]
        for part in parts:
            pieces += [b"--", boundary, b"\r\n", part, b"\r\n"]
        return b"".join([*pieces, b"--", boundary, b"--\r\n"])


def _address(person: tuple[str, str]) -> str:
    name, address = person
    if not name.isascii():
        return f"{Header(name, 'utf-8').encode(linesep='')} <{address}>"
    return f'"{name}" <{address}>'
