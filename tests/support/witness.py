"""What the standard library's email reads out of a message, to be compared with what came through FETCH.

email and a server may read a broken message in different ways, and both be right. So only messages that email finds
nothing wrong with are compared, and of those the header fields that are plain ASCII.
"""

from __future__ import annotations

import email
import email.utils
import re
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from email.message import Message

from fastimap.model.message import Address, BodyStructure, FetchedMessage

# Two of CPython's own messages: a boundary in the form of RFC 2231; parts without even an empty line.
DISPUTED = re.compile(rb"boundary\*=|(--ABCDE\r\n){2}")

# What Dovecot and Cyrus say where there is no domain.
NO_DOMAIN = re.compile(r"@(MISSING_DOMAIN|unspecified-domain)\Z")


def is_sound(octets: bytes) -> bool:
    """Whether there is one way to read the message: email finds no defect in it."""
    if DISPUTED.search(octets):
        return False
    message = email.message_from_bytes(octets)
    return not any(part.defects for part in message.walk()) and not any(
        part.get_content_maintype() == "multipart" and not part.is_multipart() for part in message.walk()
    )


def differences(row: FetchedMessage, octets: bytes) -> list[str]:
    """Return what is not the same in `row` (ENVELOPE, BODYSTRUCTURE, maybe RFC822.SIZE) and in the message itself."""
    message = email.message_from_bytes(octets)
    found = list(_of_envelope(row, message))
    assert row.body_structure is not None
    ours = list(row.body_structure.walk())
    theirs = list(_parts(message))
    types = [part.media_type for part in ours], [part.get_content_type() for part in theirs]
    if types[0] != types[1]:
        found.append(f"parts: {types[0]} {types[1]}")
    else:
        for part, witness in zip(ours, theirs, strict=True):
            found += [f"part {part.part}: {difference}" for difference in _of_part(part, witness)]
    if row.size is not None and row.size != len(octets):
        found.append(f"size: {row.size} {len(octets)}")
    return found


def _of_envelope(row: FetchedMessage, message: Message) -> Iterator[str]:
    envelope = row.envelope
    assert envelope is not None
    strings: dict[str, tuple[str | None, Callable[[str], str]]] = {
        "subject": (envelope.subject, lambda value: str(make_header(decode_header(value)))),
        "message-id": (envelope.message_id, str),
        "in-reply-to": (envelope.in_reply_to, str),
        "date": (envelope.date_octets.decode() if envelope.date_octets else None, str),
    }
    for name, (text, decoded) in strings.items():
        value = _field(message, name)
        if value is not None and _words(text or "") != _words(decoded(value)):
            yield f"{name}: {text!r} {value!r}"
    addresses = {"from": envelope.from_, "to": envelope.to, "cc": envelope.cc}
    for name, ours in addresses.items():
        value = _field(message, name)
        if value is not None:
            theirs = [
                (_words(str(make_header(decode_header(display)))), address)
                for display, address in email.utils.getaddresses([value])
                if address
            ]
            if _mailboxes(ours) != theirs:
                yield f"{name}: {_mailboxes(ours)} {theirs}"


def _field(message: Message, name: str) -> str | None:
    """Return the one field of that name, unfolded; None where there is not exactly one, or it is not ASCII."""
    values = [value for field, value in message.raw_items() if field.lower() == name]
    if len(values) != 1 or not values[0].isascii():
        return None
    return re.sub(r"\r?\n", "", values[0])


def _words(text: str) -> list[str]:
    """Servers differ in what they make of folds and of spaces at the ends."""
    return text.split()


def _mailboxes(addresses: tuple[Address, ...]) -> list[tuple[list[str], str]]:
    found = [
        (_words(address.name or ""), NO_DOMAIN.sub("", address.email))
        for address in addresses
        if address.email and address.mailbox != "MISSING_MAILBOX"
    ]
    return [(name, mailbox) for name, mailbox in found if mailbox]


def _parts(message: Message) -> Iterator[Message]:
    """The parts that IMAP sees: email opens other types of message/* as well."""
    yield message
    if message.get_content_maintype() == "multipart" or message.get_content_type() == "message/rfc822":
        for part in message.get_payload():
            assert isinstance(part, Message)
            yield from _parts(part)


def _of_part(part: BodyStructure, witness: Message) -> Iterator[str]:
    if part.type == "multipart":
        boundary = witness.get_boundary()
        if part.params.get("boundary") != boundary:
            yield f"boundary: {part.params} {boundary!r}"
        return
    encoding = str(witness.get("content-transfer-encoding", "7bit")).strip().lower()
    if part.encoding != encoding:
        yield f"encoding: {part.encoding!r} {encoding!r}"
    charset = witness.get_content_charset("us-ascii" if part.type == "text" else None)
    if part.charset != charset:
        yield f"charset: {part.charset!r} {charset!r}"
    disposition = part.disposition[0] if part.disposition else None
    if disposition != witness.get_content_disposition():
        yield f"disposition: {disposition!r} {witness.get_content_disposition()!r}"
    filename = witness.get_filename()
    if part.filename != (str(make_header(decode_header(filename))) if filename else None):
        yield f"file name: {part.filename!r} {filename!r}"
    if part.media_type != "message/rfc822":
        plain = encoding in ("7bit", "8bit", "binary")
        octets = witness.get_payload(decode=True) if plain else witness.get_payload()
        if isinstance(octets, (str, bytes)) and part.size != len(octets):
            yield f"size: {part.size} {len(octets)}"
