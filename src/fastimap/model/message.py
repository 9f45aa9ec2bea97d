"""What a FETCH response says about a message: the types (RFC 9051, section 7.5.2).

All are immutable, filled by both implementations of the parser; equality is equality of all values. What the server
sent stays as octets (``..._octets``); the properties decode it when they are read. They never raise: text that is no
UTF-8 is read as windows-1252, an encoded word that can't be decoded stays as it is.
"""

from __future__ import annotations

from binascii import a2b_qp
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, TypeAlias, TypeVar, cast, final

from ..errors import NotFetched
from . import content
from ._dates import mail_date
from ._elsewhere import named_elsewhere, names_here
from ._patterns import pattern
from .content import Attachment
from .headers import Headers
from .text import address_text, decoded_base64, decoded_field, decoded_parameters, display_text, plain_text

if TYPE_CHECKING:
    from email.message import EmailMessage

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

PRESENT_UID: Final = 1
PRESENT_FLAGS: Final = 2
PRESENT_SIZE: Final = 4
PRESENT_INTERNALDATE: Final = 8
PRESENT_MODSEQ: Final = 16
PRESENT_ENVELOPE: Final = 32
PRESENT_BODYSTRUCTURE: Final = 64
PRESENT_BODY: Final = 128
PRESENT_OTHER: Final = 256

PRESENCE: Final = {
    "UID": PRESENT_UID,
    "FLAGS": PRESENT_FLAGS,
    "RFC822.SIZE": PRESENT_SIZE,
    "INTERNALDATE": PRESENT_INTERNALDATE,
    "MODSEQ": PRESENT_MODSEQ,
    "ENVELOPE": PRESENT_ENVELOPE,
    "BODY": PRESENT_BODYSTRUCTURE,
    "BODYSTRUCTURE": PRESENT_BODYSTRUCTURE,
    "BODY[]": PRESENT_BODY,
    "RFC822": PRESENT_BODY,
}
"""The items that have a field of their own in a row: their bits, in the order of the fields after the first."""

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


class Streamed(int):
    """Stands for a literal that went to the caller's sink: its size in octets."""

    error: BaseException | None = None
    """What the sink raised. The literal's later octets were not given to it."""


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
        return f"<Envelope {_shortened(self.subject)!r} from {_shortened(senders)} at {self.date}>"


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


class FetchedMessage:
    """One FETCH response: what was asked of a message, or what changed (RFC 9051, section 7.5.2).

    What the server did not send is None; ``"FLAGS" in message`` tells it from what it sent as NIL or with a defect.
    A message does not change, can be compared for equality, hashed, pickled and copied. In tests one can be made by
    hand: ``FetchedMessage(uid=5, flags=frozenset({"\\Seen"}))``.
    """

    # The fields and what reads them; the values are in a subclass: _Row, or the extension's.
    __slots__ = ()

    _sequence_number: int | None
    _uid: int | None
    _flags: frozenset[str] | None
    _size: int | None
    _internal_date: datetime | None
    _mod_sequence: int | None
    _envelope: Envelope | None
    _body_structure: BodyStructure | None
    _body: bytes | None
    _items: tuple[tuple[str, object], ...]
    _defects: tuple[Defect, ...]
    _present: int
    """Which items were there: the sum of PRESENT_UID, PRESENT_FLAGS, ... For the parser and the commands."""

    def __new__(
        cls,
        *,
        sequence_number: int | None = None,
        uid: int | None = None,
        flags: frozenset[str] | None = None,
        size: int | None = None,
        internal_date: datetime | None = None,
        mod_sequence: int | None = None,
        envelope: Envelope | None = None,
        body_structure: BodyStructure | None = None,
        body: bytes | None = None,
        items: tuple[tuple[str, object], ...] = (),
        defects: tuple[Defect, ...] = (),
        present: Iterable[str] = (),
    ) -> Self:
        """Make a row by hand.

        :param present: the names of items that were there and have no value, such as "BODY[]" of a message that is
            gone; the others are known.
        """
        fields = (uid, flags, size, internal_date, mod_sequence, envelope, body_structure, body)
        bits = 0
        for index, value in enumerate(fields):
            bits |= 0 if value is None else 1 << index
        for name in (*present, *(name for name, _ in items)):
            bits |= PRESENCE.get(name, PRESENT_OTHER)
        return cast("Self", made_row((sequence_number, *fields, items, defects, bits)))

    @property
    def sequence_number(self) -> int | None:
        """The message's place in the mailbox, from 1; None in a UIDFETCH response (RFC 9586)."""
        return self._sequence_number

    @property
    def uid(self) -> int:
        """The message's UID.

        Raises NotFetched where the row has none: ask for "UID", as every UID FETCH does.
        """
        if self._uid is None:
            raise no_uid(self)
        return self._uid

    @property
    def flags(self) -> frozenset[str] | None:
        """FLAGS: system flags as :class:`Flag` spells them, keywords as sent (octets not UTF-8 as surrogates)."""
        return self._flags

    @property
    def size(self) -> int | None:
        """RFC822.SIZE: octets of the whole message."""
        return self._size

    @property
    def internal_date(self) -> datetime | None:
        """INTERNALDATE: when the message came into the server; aware."""
        return self._internal_date

    @property
    def mod_sequence(self) -> int | None:
        """MODSEQ (RFC 7162)."""
        return self._mod_sequence

    @property
    def envelope(self) -> Envelope | None:
        """ENVELOPE."""
        return self._envelope

    @property
    def body_structure(self) -> BodyStructure | None:
        """BODYSTRUCTURE, or BODY, which lacks all from `md5_octets` on."""
        return self._body_structure

    @property
    def body(self) -> bytes | None:
        """BODY[] or RFC822: the octets of the whole message, as they are; None where it went to a sink.

        See `streamed`. `email()` reads them.
        """
        return self._body

    @property
    def items(self) -> tuple[tuple[str, object], ...]:
        """Every other data item, as (name in upper case, value).

        Sections are bytes, or :class:`Streamed`; items that fastimap does not know are as
        :func:`fastimap.parser.tokenize` gives them. Header fields in a name are in upper case too.
        """
        return self._items

    @property
    def defects(self) -> tuple[Defect, ...]:
        """What was not right in the response. A bad item costs its own value, never the row."""
        return self._defects

    def __contains__(self, name: object) -> bool:
        """Whether the response had the data item `name`, by its name in responses: "UID", "FLAGS", "BODY[]", ...

        As it is spelled in RFC 9051, or in `items`; "BODY" and "RFC822" are other names of "BODYSTRUCTURE" and
        "BODY[]". What the server sent as NIL, or broken, is there too.
        """
        if not isinstance(name, str):
            return False
        bit = PRESENCE.get(name)
        return bool(self._present & bit) if bit else any(known == name for known, _ in self.items)

    def item(self, name: str, default: object = None) -> object:
        """The value of the data item `name`, spelled as for ``in``, or `default` where the response did not have it."""
        for known, value in self.items:
            if known == name:
                return value
        bit = PRESENCE.get(name, 0)
        return self._values()[bit.bit_length()] if self._present & bit else default

    def replace(self, **changes: Any) -> FetchedMessage:
        """Return a row with other values, by the names of the fields, in the place of these."""
        values = dict(zip(_ROW_FIELDS, self._values(), strict=True))
        bits = values.pop("present")
        present = [name for name, bit in PRESENCE.items() if bits & bit]
        return FetchedMessage(**{**values, "present": present, **changes})

    __replace__ = replace

    def _values(self) -> tuple[Any, ...]:
        """All fields, in order."""
        return (
            self._sequence_number,
            self._uid,
            self._flags,
            self._size,
            self._internal_date,
            self._mod_sequence,
            self._envelope,
            self._body_structure,
            self._body,
            self._items,
            self._defects,
            self._present,
        )

    def __eq__(self, other: object) -> bool:
        """Whether both rows have the same items with the same values."""
        return self._values() == other._values() if isinstance(other, FetchedMessage) else NotImplemented

    def __hash__(self) -> int:
        return hash((self._sequence_number, self._uid, self._size, self._present))  # enough, and no megabytes

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self  # immutable, and perhaps deeper than copy.deepcopy() goes

    def __reduce__(self) -> tuple[object, ...]:
        # By name: a row of either implementation, on a machine that has the other, with fields of a later version.
        pairs = zip(_ROW_FIELDS, self._values(), strict=True)
        return restored_row, ({name: value for name, value in pairs if value not in (None, ())},)

    def section(self, section: str, origin: int | None = None) -> bytes | None:
        """The octets of ``BODY[section]``, with `origin` of ``BODY[section]<origin>``; None if NIL or not there."""
        name = canonical_section(section)
        if not name and origin is None:
            return self.body
        return self._octets(f"BODY[{name}]" if origin is None else f"BODY[{name}]<{origin}>")

    def binary(self, part: str) -> bytes | None:
        """The octets of ``BINARY[part]``: the part without its transfer encoding (RFC 9051; RFC 3516)."""
        return self._octets(f"BINARY[{part}]")

    @property
    def header_octets(self) -> bytes | None:
        """The octets of BODY[HEADER] or RFC822.HEADER, where that was fetched; `headers` has them as text."""
        header = self._octets("BODY[HEADER]")
        return header if header is not None else self._octets("RFC822.HEADER")

    @property
    def headers(self) -> Headers:
        """The fields of the header as text: of the whole message, of its header, or of the fields that were fetched.

        Empty where none were.
        """
        return Headers(self._any_header() or b"")

    @property
    def text(self) -> str | None:
        """The text of the message for people: all that is shown as text/plain, lines ending in LF.

        From BODY[], or from BODYSTRUCTURE and the parts of it that were fetched (see the clients' `fetch_text`). ""
        where the message has no such text, None where this row does not hold it. Each time it is read anew.
        """
        return content.text_view(self, "plain")

    @property
    def html(self) -> str | None:
        """The same as text/html: as it was sent, so nothing to show unless what is active in it is taken out."""
        return content.text_view(self, "html")

    @property
    def attachments(self) -> tuple[Attachment, ...] | None:
        """What a person calls attachments, with safe names, and the content of those whose octets are in this row.

        From BODY[] or BODYSTRUCTURE; None where the row has neither.
        """
        return content.attached(self)

    @property
    def text_defects(self) -> tuple[Defect, ...]:
        """What can't be read as text: charsets that are not known, in header fields, in names and in parts."""
        return tuple(content.text_defects(self))

    @property
    def gmail_message_id(self) -> int | None:
        """X-GM-MSGID."""
        return self._number("X-GM-MSGID")

    @property
    def gmail_thread_id(self) -> int | None:
        """X-GM-THRID."""
        return self._number("X-GM-THRID")

    @property
    def gmail_labels(self) -> tuple[str, ...] | None:
        """X-GM-LABELS, decoded as mailbox names are."""
        value = self.item("X-GM-LABELS")
        return value if isinstance(value, tuple) else None

    @property
    def object_id(self) -> str | None:
        """EMAILID: an identifier of the content, the same for all copies of the message (OBJECTID, RFC 8474)."""
        return self._string("EMAILID")

    @property
    def thread_id(self) -> str | None:
        """THREADID (RFC 8474); None too where the server has none for this message."""
        return self._string("THREADID")

    @property
    def preview(self) -> str | None:
        """PREVIEW: the first words of the text (RFC 8970)."""
        return self._string("PREVIEW")

    @property
    def save_date(self) -> datetime | None:
        """SAVEDATE: when the message came into this mailbox (RFC 8514)."""
        value = self.item("SAVEDATE")
        return value if isinstance(value, datetime) else None

    @property
    def streamed(self) -> dict[str, int]:
        """The items whose octets went to the caller's sink, and how many there were."""
        return {name: value for name, value in self.items if isinstance(value, Streamed)}

    def email(self) -> EmailMessage:
        """The message as the standard library's :mod:`email` has it: whole, or its header where that alone was fetched.

        A header field that breaks the standard library's parser is there, and empty; a message that is nested deeper
        than Python recurses has its header, and all after it in one piece. Raises ValueError where there is neither.
        """
        octets = self.body if self.body is not None else self._any_header()
        if octets is None:
            raise ValueError("neither BODY[] nor BODY[HEADER] is in this row")
        from ._email import parsed_mail

        return parsed_mail(octets)

    def _any_header(self) -> bytes | None:
        """The header as far as it is in this row: whole, or the fields that were fetched."""
        header = self.body if self.body is not None else self.header_octets
        if header is None:
            fields = [
                value
                for name, value in self.items
                if name.startswith("BODY[HEADER.FIELDS") and name.endswith("]") and isinstance(value, bytes)
            ]
            header = b"".join(value.removesuffix(b"\r\n") for value in fields) + b"\r\n" if fields else None
        return header

    def _octets(self, name: str) -> bytes | None:
        value = self.item(name)
        return value if isinstance(value, bytes) else None

    def _number(self, name: str) -> int | None:
        value = self.item(name)
        return value if isinstance(value, int) else None

    def _string(self, name: str) -> str | None:
        value = self.item(name)
        return value if isinstance(value, str) else None

    __dir__ = names_here

    def __repr__(self) -> str:
        number = "" if self.sequence_number is None else f" {self.sequence_number}"
        shown = []
        if (uid := self._values()[1]) is not None:
            shown.append(f"UID {uid}")
        if self.flags is not None:
            shown.append(f"FLAGS ({_shortened(' '.join(sorted(self.flags)))})")
        if self.size is not None:
            shown.append(f"{self.size} octets")
        if self.envelope is not None:
            shown.append(repr(_shortened(self.envelope.subject)))
        if self.body_structure is not None:
            shown.append(self.body_structure.media_type)
        if self.body is not None:
            shown.append(f"BODY[] of {len(self.body)} octets")
        shown += [_shortened(name) or "" for name, _ in self.items[:5]]
        if self.defects:
            shown.append(f"{len(self.defects)} defects")
        return f"<FetchedMessage{number}: {', '.join(shown)}>"


named_elsewhere(FetchedMessage, "FetchedMessage")


@final
class _Row(FetchedMessage):
    """The values of a FetchedMessage, where the extension did not make it."""

    __slots__ = (
        "_body",
        "_body_structure",
        "_defects",
        "_envelope",
        "_flags",
        "_internal_date",
        "_items",
        "_mod_sequence",
        "_present",
        "_sequence_number",
        "_size",
        "_uid",
    )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a FetchedMessage does not change: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a FetchedMessage does not change: {name}")


_Row.__name__ = _Row.__qualname__ = FetchedMessage.__name__  # for Python's own messages, which say the class

VALUE_FIELDS: Final = (
    "sequence_number",
    "uid",
    "flags",
    "size",
    "internal_date",
    "mod_sequence",
    "envelope",
    "body_structure",
    "body",
)
"""The number of a row, and the values that have a field each, in the order of `made_row`."""
_ROW_FIELDS = (*VALUE_FIELDS, "items", "defects", "present")
_SET = tuple(vars(_Row)[f"_{name}"].__set__ for name in _ROW_FIELDS)


def made_row(values: Iterable[Any]) -> FetchedMessage:
    """Make a row of all its fields, in order: for the parser."""
    row = object.__new__(_Row)
    for put, value in zip(_SET, values, strict=True):
        put(row, value)
    return row


def restored_row(values: dict[str, Any]) -> FetchedMessage:
    """Make a row of its fields by name: what a pickle calls."""
    absent: dict[str, Any] = {"items": (), "defects": (), "present": 0}
    return made_row([values.get(name, absent.get(name)) for name in _ROW_FIELDS])


def has_uid(row: FetchedMessage) -> bool:
    """Whether a row has a UID that can be read: `uid` raises where it has none."""
    return row._uid is not None


def no_uid(row: FetchedMessage) -> NotFetched:
    """Return the error of a row whose UID was read, and that has none."""
    if "UID" in row:
        return NotFetched("the server sent no UID that can be read: see the row's defects")
    return NotFetched('this row has no UID: ask for the data item "UID", or for messages by their UIDs')


_FIELD_LIST = pattern(r"([^ (]*) *\(([^)]*)\)?\Z")
# Atoms of US-ASCII on both sides (RFC 5322, section 3.2.3): an address as it stands, as nearly all are.
_USUAL_EMAIL = pattern(rb"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[\w-]+(?:\.[\w-]+)*")
_ANGLE: Final = ord("<")


def _plain(octets: bytes | None) -> str | None:
    return None if octets is None else plain_text(octets)


def canonical_section(section: str) -> str:
    """Return a section as the names in :attr:`FetchedMessage.items` have it, however a server or a caller spells it.

    Upper case, one space before and in a list of header fields, no quotes: ``1.HEADER.FIELDS (DATE FROM)``.
    """
    section = section.strip(" ").upper()
    fields = _FIELD_LIST.match(section)
    if fields is None:
        return section
    return f"{fields[1]} ({' '.join(fields[2].replace(chr(34), ' ').split())})"


def _shortened(text: str | None) -> str | None:
    return text if text is None or len(text) <= 60 else text[:59] + "…"
