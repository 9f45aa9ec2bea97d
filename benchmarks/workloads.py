"""The FETCH responses that every client is given: synthetic, of realistic shape, the same on each run.

A recording is named like a mailbox: "a" is workload a in its usual size, "a/1000" the same with 1,000 messages,
"f/1024" one literal of 1,024 octets.
"""

import base64
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

KIB = 1024
MIB = 1024 * KIB
FIRST_UID = 7001
"""The UID of message 1; the others count on from there."""

_NAMES = ("Ada Lovelace", "Grace Hopper", "Jon Postel", "Mark Crispin", "=?utf-8?Q?J=C3=BCrgen_M=C3=BCller?=", "Li Wei")
_HOSTS = ("example.org", "mail.example.com", "lists.example.net", "cac.washington.edu")
_FLAGS = ("", r"\Seen", r"\Seen", r"\Seen \Answered", r"\Seen $Forwarded NonJunk", r"\Flagged \Seen $label1")
_SUBJECTS = (
    "IMAP4rev1 WG mtg summary and minutes",
    "Re: [notmuch] [PATCH 2/5] Close message file after parsing message headers",
    "=?utf-8?B?UsOpdW5pb24gZHUgMTIgbWFyczogb3JkcmUgZHUgam91ciBldCBkb2N1bWVudHM=?=",
    "Your invoice of November is ready",
    "Re: Re: lunch?",
)
_INTERNALDATE = "%d-%b-%Y %H:%M:%S +0100"


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes:
        title: What the row is called in reports.
        items: Message data items of the FETCH, as a parenthesised list.
        size: Usual size, in messages (in octets of its one literal for f).
        responses: Makes that many untagged FETCH responses, one by one; for f the pieces of the only one.
    """

    title: str
    items: str
    size: int
    responses: Callable[[int], Iterator[bytes]]


def _address(random: Random) -> str:
    return f'("{random.choice(_NAMES)}" NIL "user{random.randrange(1000)}" "{random.choice(_HOSTS)}")'


def _message_id(random: Random) -> str:
    return f"<{random.getrandbits(64):016x}.{random.randrange(10**6)}@{random.choice(_HOSTS)}>"


def _date(random: Random, form: str = "Tue, %d %b %Y %H:%M:%S +0100") -> str:
    return time.strftime(form, time.gmtime(random.randrange(800_000_000, 1_750_000_000)))


def _envelope(random: Random) -> str:
    """ENVELOPE (RFC 3501, 7.4.2). A subject in twenty holds quotes; Dovecot sends such as a literal."""
    subject = random.choice(_SUBJECTS)
    quoted = f'"{subject}"' if random.randrange(20) else f'{{{len(subject) + 2}}}\r\n"{subject}"'
    sender = f"({_address(random)})"
    to = f"({''.join(_address(random) for _ in range(random.choice((1, 1, 1, 2, 5))))})"
    cc = random.choice(("NIL", "NIL", sender))
    reply = random.choice(("NIL", f'"{_message_id(random)}"'))
    return f'("{_date(random)}" {quoted} {sender} {sender} {sender} {to} {cc} NIL {reply} "{_message_id(random)}")'


def _body_structure(random: Random) -> str:
    """BODYSTRUCTURE (RFC 3501, 7.4.2): plain text, text and HTML, or these with an attachment."""
    size = random.randint(500, 8000)
    encoding = random.choice(("7bit", "quoted-printable", "base64"))
    text = f'("text" "plain" ("charset" "utf-8") NIL NIL "{encoding}" {size} {size // 60} NIL NIL NIL NIL)'
    kind = random.randrange(3)
    if kind == 0:
        return text
    html = f'("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" {size * 3} {size // 20} NIL NIL NIL NIL)'
    boundary = f'("boundary" "----=_Part_{random.getrandbits(48):012x}") NIL NIL NIL'
    alternative = f'({text}{html} "alternative" {boundary})'
    if kind == 1:
        return alternative
    name = f"report-{random.randrange(1000)}.pdf"
    attachment = (
        f'("application" "pdf" ("name" "{name}") NIL NIL "base64" {size * 20} NIL'
        f' ("attachment" ("filename" "{name}")) NIL NIL)'
    )
    return f'({alternative}{attachment} "mixed" {boundary})'


def _header(random: Random) -> bytes:
    """A header of 0.8 to 2 KiB, with the empty line that ends it."""
    received = "".join(
        f"Received: from {random.choice(_HOSTS)} ({random.choice(_HOSTS)} [192.0.2.{random.randrange(256)}])\r\n"
        f"\tby {random.choice(_HOSTS)} with ESMTPS id {random.getrandbits(60):015x}\r\n"
        f"\tfor <user@example.org>; {_date(random)}\r\n"
        for _ in range(random.randint(1, 6))
    )
    signature = base64.b64encode(random.randbytes(192)).decode()
    return (
        f"Return-Path: <bounces+{random.randrange(10**6)}@{random.choice(_HOSTS)}>\r\n{received}"
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail;\r\n"
        f"\th=from:to:subject:date:message-id;\r\n\tb={signature[:70]}\r\n\t {signature[70:]}\r\n"
        f"From: {random.choice(_NAMES)} <user@example.org>\r\nTo: {random.choice(_NAMES)} <list@example.net>\r\n"
        f"Subject: {random.choice(_SUBJECTS)}\r\nDate: {_date(random)}\r\n"
        f"Message-ID: {_message_id(random)}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode()


@functools.cache
def _text() -> bytes:
    """5 MiB of base64 lines, from which every body is cut."""
    return base64.encodebytes(Random(5).randbytes(4 * MIB)).replace(b"\n", b"\r\n")


def message(random: Random, size: int) -> bytes:
    """A message of that many octets, or of its header alone where that is larger."""
    header = _header(random)
    body = max(size - len(header), 0)
    start = random.randrange(len(_text()) - body)
    return header + _text()[start : start + body]


def _a(count: int) -> Iterator[bytes]:
    random = Random(1)
    for number in range(1, count + 1):
        yield (
            f"* {number} FETCH (FLAGS ({random.choice(_FLAGS)}) UID {number - 1 + FIRST_UID}"
            f' RFC822.SIZE {random.randint(2000, 8000)} INTERNALDATE "{_date(random, _INTERNALDATE)}")\r\n'
        ).encode()


def _b(count: int) -> Iterator[bytes]:
    random = Random(2)
    for number in range(1, count + 1):
        yield (
            f"* {number} FETCH (UID {number - 1 + FIRST_UID} FLAGS ({random.choice(_FLAGS)}) INTERNALDATE"
            f' "{_date(random, _INTERNALDATE)}" RFC822.SIZE {random.randint(2000, 8000)} ENVELOPE {_envelope(random)}'
            f" BODYSTRUCTURE {_body_structure(random)})\r\n"
        ).encode()


def _literals(section: str, messages: Iterator[bytes]) -> Iterator[bytes]:
    for number, octets in enumerate(messages, 1):
        head = b"* %d FETCH (UID %d %s {%d}\r\n" % (number, number - 1 + FIRST_UID, section.encode(), len(octets))
        yield b"".join((head, octets, b")\r\n"))


def _c(count: int) -> Iterator[bytes]:
    random = Random(3)
    return _literals("BODY[HEADER]", (_header(random) for _ in range(count)))


def _d(count: int) -> Iterator[bytes]:
    random = Random(4)
    return _literals("BODY[]", (message(random, random.randint(2 * KIB, 8 * KIB)) for _ in range(count)))


def _e(count: int) -> Iterator[bytes]:
    """Sizes spread evenly over the powers of two from 2 KiB to 5 MiB."""
    random = Random(6)
    sizes = (int(2 * KIB * (5 * MIB / (2 * KIB)) ** random.random()) for _ in range(count))
    return _literals("BODY[]", (message(random, size) for size in sizes))


def _f(size: int) -> Iterator[bytes]:
    """One response in pieces, as it may be larger than the memory."""
    text = _text()
    yield b"* 1 FETCH (UID %d BODY[] {%d}\r\n" % (FIRST_UID, size)
    for start in range(0, size, len(text)):
        yield text[: size - start]
    yield b")\r\n"


WORKLOADS = {
    "a": Workload("flags, UID, size, date", "(FLAGS UID RFC822.SIZE INTERNALDATE)", 20_000, _a),
    "b": Workload(
        "envelope, body structure", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", 20_000, _b
    ),
    "c": Workload("headers", "(UID BODY.PEEK[HEADER])", 20_000, _c),
    "d": Workload("messages of 2 to 8 KiB", "(UID BODY.PEEK[])", 20_000, _d),
    "e": Workload("messages up to 5 MiB", "(UID BODY.PEEK[])", 300, _e),
    "f": Workload("one literal of 100 MiB", "(UID BODY.PEEK[])", 100 * MIB, _f),
}


def split(mailbox: str) -> tuple[Workload, int]:
    """The workload that a mailbox names, and its size: ("d/1000") gives workload d and 1,000."""
    name, _, size = mailbox.partition("/")
    workload = WORKLOADS[name]
    return workload, int(size or workload.size)


def messages(mailbox: str) -> int:
    """How many messages the mailbox holds."""
    workload, size = split(mailbox)
    return 1 if workload is WORKLOADS["f"] else size


def record(mailbox: str) -> bytes:
    """The untagged responses of the mailbox's FETCH."""
    workload, size = split(mailbox)
    return b"".join(workload.responses(size))
