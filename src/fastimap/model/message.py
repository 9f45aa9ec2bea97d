"""What a FETCH response says about a message: the types (RFC 9051, section 7.5.2).

All are immutable, filled by both implementations of the parser; equality is equality of all values. What the server
sent stays as octets (``..._octets``); the properties decode it when they are read. They never raise: text that is no
UTF-8 is read as windows-1252, an encoded word that can't be decoded stays as it is.
"""

from __future__ import annotations

from binascii import a2b_qp
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from . import content
from ._dates import mail_date
from ._elsewhere import named_elsewhere
from ._patterns import pattern
from .row import (
    PRESENCE,
    PRESENT_BODY,
    PRESENT_BODYSTRUCTURE,
    PRESENT_ENVELOPE,
    PRESENT_FLAGS,
    PRESENT_INTERNALDATE,
    PRESENT_MODSEQ,
    PRESENT_OTHER,
    PRESENT_SIZE,
    PRESENT_UID,
    FetchedMessage,
    Streamed,
    canonical_section,
    has_uid,
    made_row,
    no_uid,
    restored_row,
    shortened,
)
from .text import address_text, decoded_base64, decoded_field, decoded_parameters, display_text, plain_text

__all__ = [
    "PRESENCE",
    "PRESENT_BODY",
    "PRESENT_BODYSTRUCTURE",
    "PRESENT_ENVELOPE",
    "PRESENT_FLAGS",
    "PRESENT_INTERNALDATE",
    "PRESENT_MODSEQ",
    "PRESENT_OTHER",
    "PRESENT_SIZE",
    "PRESENT_UID",
    "Address",
    "BodyStructure",
    "Defect",
    "Disposition",
    "Envelope",
    "FetchedMessage",
    "Flag",
    "Parameters",
    "Streamed",
    "canonical_section",
    "has_uid",
    "made_row",
    "no_uid",
    "restored_row",
]

Parameters: TypeAlias = tuple[tuple[str, bytes], ...]
"""MIME parameters in the order sent: the name in lower case, the value as octets."""
Disposition: TypeAlias = tuple[str, Parameters]
"""A Content-Disposition (RFC 2183): the type in lower case, and its parameters."""


_T = TypeVar("_T")


class Flag(StrEnum):
    """The system flags (RFC 9051, section 2.3.2) and the keywords of IANA's registry that mail programs share."""

    SEEN = "\\Seen"
    ANSWERED = "\\Answered"
    FLAGGED = "\\Flagged"
    DELETED = "\\Deleted"
    DRAFT = "\\Draft"
    RECENT = "\\Recent"
    FORWARDED = "$Forwarded"
    MDN_SENT = "$MDNSent"
    JUNK = "$Junk"
    NOT_JUNK = "$NotJunk"
    PHISHING = "$Phishing"
    IMPORTANT = "$Important"


def _described(cls: type[_T]) -> type[_T]:
    """Give the fields of a NamedTuple what its docstring says of them, for help() and for editors."""
    for field in (cls.__doc__ or "").split(":ivar ")[1:]:
        name, _, text = field.partition(": ")
        vars(cls)[name].__doc__ = " ".join(text.split())
    return cls


@_described
class Defect(NamedTuple):
    """Something in a FETCH response that is not in IMAP's grammar, or makes no sense.

    :ivar item: the data item that it is about; ``""`` for the response itself.
    :ivar reason: what is wrong, for people.
    :ivar octets: the first octets of what was sent there, at most 80.
    """

    item: str
    reason: str
    octets: bytes


@_described
class Address(NamedTuple):
    """One address of an envelope, or one end of a group of addresses (RFC 9051, section 7.5.2).

    :ivar name_octets: the display name as sent; `name` has it decoded.
    :ivar route_octets: the source route of RFC 821, long obsolete.
    :ivar mailbox_octets: what stands before the "@" as sent; for the start of a group, the group's name.
    :ivar host_octets: what follows the "@" as sent; None for both ends of a group.
    """

    name_octets: bytes | None
    route_octets: bytes | None
    mailbox_octets: bytes | None
    host_octets: bytes | None

    @property
    def name(self) -> str | None:
        """The display name, decoded (RFC 2047)."""
        return decoded_field(self.name_octets)

    @property
    def mailbox(self) -> str | None:
        """What stands before the "@"; for the start of a group, the group's name."""
        octets = self.mailbox_octets
        return _plain(self._without_angles()[0] if octets and octets[0] == _ANGLE else octets)

    @property
    def host(self) -> str | None:
        """What follows the "@"; None for both ends of a group."""
        octets = self.mailbox_octets
        return _plain(self._without_angles()[1] if octets and octets[0] == _ANGLE else self.host_octets)

    @property
    def email(self) -> str:
        """``mailbox@host``, in quotes where RFC 5322 wants them; "" for both ends of a group.

        The mailbox alone where the message had no host.
        """
        octets = b"%b@%b" % (self.mailbox_octets or b"", self.host_octets or b"")
        if _USUAL_EMAIL.fullmatch(octets):
            return octets.decode()
        mailbox, host = self.mailbox, self.host
        return "" if mailbox is None or host is None else address_text(mailbox, host)

    @property
    def is_group_start(self) -> bool:
        """Whether this opens a group (RFC 5322, section 3.4); `mailbox` is the group's name."""
        return self.host_octets is None and self.mailbox_octets is not None

    @property
    def is_group_end(self) -> bool:
        """Whether this closes a group."""
        return self.host_octets is None and self.mailbox_octets is None

    def _without_angles(self) -> tuple[bytes | None, bytes | None]:
        mailbox, host = self.mailbox_octets, self.host_octets
        if mailbox and host and mailbox.startswith(b"<") and host.endswith(b">"):
            return mailbox[1:], host[:-1]  # Gmail, of "<<a@b>>"
        return mailbox, host

    def __str__(self) -> str:
        """``Name <mailbox@host>``; the name in quotes where RFC 5322 wants them."""
        if self.is_group_start:
            return f"{display_text(decoded_field(self.mailbox_octets) or '')}:"
        if self.is_group_end:
            return ";"
        email = self.email
        name = self.name
        return f"{display_text(name)} <{email}>" if name else email or "<>"

    def __repr__(self) -> str:
        return f"<Address {self}>"


@_described
class Envelope(NamedTuple):
    """The main fields of a message's header, as the server read them (RFC 9051, section 7.5.2).

    :ivar date_octets: the Date field as sent; `date` has it as datetime.
    :ivar subject_octets: the Subject field as sent; `subject` has it decoded.
    :ivar from_: the addresses of From.
    :ivar sender: the address of Sender; where the message has none, the server repeats `from_`.
    :ivar reply_to: the addresses of Reply-To; where the message has none, the server repeats `from_`.
    :ivar to: the addresses of To.
    :ivar cc: the addresses of Cc.
    :ivar bcc: the addresses of Bcc.
    :ivar in_reply_to_octets: the In-Reply-To field as sent; `in_reply_to` has it as text.
    :ivar message_id_octets: the Message-ID field as sent; `message_id` has it as text.
    """

    date_octets: bytes | None
    subject_octets: bytes | None
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    in_reply_to_octets: bytes | None
    message_id_octets: bytes | None

    @property
    def date(self) -> datetime | None:
        """The Date field, aware; None where it is absent or no date. Without a usable zone it is taken as UTC."""
        if self.date_octets is None:
            return None
        return mail_date(self.date_octets)

    @property
    def subject(self) -> str | None:
        """The Subject field, decoded (RFC 2047)."""
        return decoded_field(self.subject_octets)

    @property
    def author(self) -> Address | None:
        """Who wrote the message: the first address of From (RFC 5322, section 3.6.2).

        None where From is absent or empty, or holds no address: then `from_` has no first, or only the ends of a group.
        """
        return next((address for address in self.from_ if address.host_octets is not None), None)

    @property
    def in_reply_to(self) -> str | None:
        """The In-Reply-To field: message IDs with their angle brackets."""
        return _plain(self.in_reply_to_octets)

    @property
    def message_id(self) -> str | None:
        """The Message-ID field with its angle brackets."""
        return _plain(self.message_id_octets)

    def __repr__(self) -> str:
        senders = ", ".join(map(str, self.from_[:3]))
        return f"<Envelope {shortened(self.subject)!r} from {shortened(senders)} at {self.date}>"


@_described
class BodyStructure(NamedTuple):
    """One MIME part and the parts inside it (RFC 9051, section 7.5.2, BODYSTRUCTURE).

    Where a server left out what RFC 2045 has a default for, or sent NIL, the default is here.

    :ivar part: what goes between the brackets of ``BODY[...]`` (RFC 9051, section 6.4.5.1): ``"1"`` for the only part
        of a message, ``"2.1"`` for the first in the second. A multipart that is a whole message has no number of its
        own; it has that of the message: ``""`` at the top, and in a message/rfc822 part the same as that part.
    :ivar type: the media type in lower case: ``"text"`` of ``"text/plain"``.
    :ivar subtype: the rest of it in lower case: ``"plain"``.
    :ivar parameters: those of Content-Type, as sent; `params` has them decoded.
    :ivar content_id_octets: the Content-ID with its angle brackets, as sent; `content_id` has it as text.
    :ivar description_octets: the Content-Description as sent; `description` has it decoded.
    :ivar encoding: the Content-Transfer-Encoding in lower case; ``""`` for a multipart, whose IMAP does not tell.
    :ivar size: octets of the body as it is transferred, before decoding; None for a multipart.
    :ivar lines: number of lines of the body, for text and message/rfc822.
    :ivar envelope: the envelope of the message in a message/rfc822 part.
    :ivar parts: those of a multipart; for a message/rfc822 part one: the body of the message in it.
    :ivar md5_octets: the Content-MD5 as sent (RFC 1864).
    :ivar disposition: the Content-Disposition: its type in lower case, and its parameters as sent.
    :ivar language: the language tags of Content-Language (RFC 3282).
    :ivar location_octets: the Content-Location as sent (RFC 2557); `location` has it as text.
    :ivar extensions: what later standards may add: values as :func:`fastimap.parser.tokenize` gives them.
    """

    part: str
    type: str
    subtype: str
    parameters: Parameters
    content_id_octets: bytes | None
    description_octets: bytes | None
    encoding: str
    size: int | None
    lines: int | None
    envelope: Envelope | None
    parts: tuple[BodyStructure, ...]
    md5_octets: bytes | None
    disposition: Disposition | None
    language: tuple[str, ...]
    location_octets: bytes | None
    extensions: tuple[object, ...]

    @property
    def media_type(self) -> str:
        """``"text/plain"``."""
        return f"{self.type}/{self.subtype}"

    @property
    def params(self) -> dict[str, str]:
        """The parameters of Content-Type, decoded (RFC 2231, RFC 2047), by name in lower case."""
        return decoded_parameters(self.parameters)

    @property
    def charset(self) -> str | None:
        """The charset in lower case; "us-ascii" for text without one (RFC 2046, section 4.1.2)."""
        charset = self.params.get("charset", "").strip(' "').lower()
        return charset or ("us-ascii" if self.type == "text" else None)

    @property
    def filename(self) -> str | None:
        """The file name that the disposition gives, else the parameter "name", decoded; it may hold any path."""
        name = decoded_parameters(self.disposition[1]).get("filename") if self.disposition else None
        return name or self.params.get("name") or None

    @property
    def content_id(self) -> str | None:
        """The Content-ID with its angle brackets."""
        return _plain(self.content_id_octets)

    @property
    def description(self) -> str | None:
        """The Content-Description, decoded (RFC 2047)."""
        return decoded_field(self.description_octets)

    @property
    def location(self) -> str | None:
        """The Content-Location (RFC 2557)."""
        return _plain(self.location_octets)

    @property
    def is_attachment(self) -> bool:
        """Whether the disposition is "attachment"."""
        return self.disposition is not None and self.disposition[0] == "attachment"

    def walk(self) -> Iterator[BodyStructure]:
        """This part and all inside it, those of attached messages too, in the order of the message."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.parts))

    def text_part(self, prefer: Literal["plain", "html"] = "plain") -> BodyStructure | None:
        """The part with the text that a reader is meant to see, or None.

        Of what is shown one after the other (multipart/mixed), the first text; of what is the same in several forms
        (multipart/alternative), the one that is preferred, or what there is; of what belongs together
        (multipart/related), the root. No attachments, and nothing of attached messages::

            part = message.body_structure.text_part()
            (row,) = client.fetch(message.uid, f"BODY.PEEK[{part.part}]")
            text = part.decode_text(row.section(part.part) or b"")
        """
        if prefer not in ("plain", "html"):
            raise ValueError(f"prefer is plain or html, not {prefer!r}")
        texts = self._texts()
        first, forms = next(texts, (None, None))
        if first is None or forms is None:
            return first
        same = [first, *(part for part, its_forms in texts if its_forms is forms)]
        for subtype in (prefer, "html" if prefer == "plain" else "plain"):
            for part in same:
                if part.subtype == subtype:
                    return part
        return first

    def _texts(self) -> Iterator[tuple[BodyStructure, BodyStructure | None]]:
        """Yield the texts that may be shown, each with the outermost multipart/alternative that it is in."""
        stack: list[tuple[BodyStructure, BodyStructure | None]] = [(self, None)]
        while stack:
            part, forms = stack.pop()
            if part.is_attachment:
                continue
            if part.type == "text":
                yield part, forms
            elif part.type == "multipart":
                if part.subtype == "alternative" and forms is None:
                    forms = part
                parts = (part._root(),) if part.subtype == "related" and part.parts else part.parts
                stack.extend((inner, forms) for inner in reversed(parts))

    def _root(self) -> BodyStructure:
        """The part of a multipart/related that the others belong to (RFC 2387, section 3.2)."""
        start = self.params.get("start")
        return next((part for part in self.parts if start and part.content_id == start), self.parts[0])

    def find(self, media_type: str) -> BodyStructure | None:
        """The first part of this media type, such as ``"image/png"`` or ``"image/*"``, or None.

        Any part, those of attachments and attached messages too. For the text of the message there is `text_part`.
        """
        return next(self._of(media_type), None)

    def find_all(self, media_type: str) -> list[BodyStructure]:
        """Every part of this media type, such as ``"image/png"`` or ``"image/*"``, in the order of the message."""
        return list(self._of(media_type))

    def _of(self, media_type: str) -> Iterator[BodyStructure]:
        wanted, _, subtype = media_type.lower().partition("/")
        if not wanted or not subtype:
            raise ValueError(f"a media type is like text/plain or text/*, not {media_type!r}")
        return (part for part in self.walk() if part.type == wanted and subtype in ("*", part.subtype))

    def attachments(self) -> list[BodyStructure]:
        """The parts that a person calls attachments, in order; an attached message is one, whatever is attached to it.

        Those with the disposition "attachment"; files with a name, though they are shown inline; messages; and what has
        no disposition and is no text. Not the text itself, nor its other forms, nor the pictures in it.
        """
        return content.attachments(self)

    def decode(self, octets: bytes) -> bytes:
        """The content that `octets`, those of ``BODY[...]`` of this part, encode: base64 and quoted-printable undone.

        Never raises: what is not in the encoding is skipped or kept, as the standard library's :mod:`email` does.
        Octets in another encoding, and those of a multipart, are returned as they are. (``BINARY[...]`` has the server
        do the same.)
        """
        if self.encoding == "base64":
            return decoded_base64(octets)
        if self.encoding == "quoted-printable":
            return a2b_qp(octets)
        return octets

    def decode_text(self, octets: bytes) -> str:
        """The text that `octets`, those of ``BODY[...]`` of this part, encode; lines end as they do there, in CRLF.

        Never raises: what the charset can't read becomes U+FFFD. Labels mean what the web's encoding standard says, so
        ISO-8859-1 is windows-1252. Without a charset, or where it is US-ASCII and the text is not, the text is UTF-8,
        and what is no UTF-8 windows-1252. Where the charset is not known, what is no UTF-8 is U+FFFD: see
        :attr:`FetchedMessage.text_defects`.
        """
        return content.body_text(self.decode(octets), self.charset)

    def __deepcopy__(self, memo: object) -> BodyStructure:
        return self  # immutable, and deeper than copy.deepcopy() goes

    def __repr__(self) -> str:
        size = "" if self.size is None else f", {self.size} octets"
        parts = f", {len(self.parts)} parts" if self.type == "multipart" else ""
        return f"<BodyStructure {self.part or 'message'}: {self.media_type}{size}{parts}>"


# Atoms of US-ASCII on both sides (RFC 5322, section 3.2.3): an address as it stands, as nearly all are.
_USUAL_EMAIL = pattern(rb"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[\w-]+(?:\.[\w-]+)*")
_ANGLE: Final = ord("<")

# Here, as whoever has a row has loaded its types.
named_elsewhere(FetchedMessage, "FetchedMessage")


def _plain(octets: bytes | None) -> str | None:
    return None if octets is None else plain_text(octets)
