"""A row: what one FETCH response says about a message. :mod:`fastimap.model.message` has the types of its values.

It stands by itself as the parser needs it at once, and those types only where a program asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ._patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import EmailMessage
    from typing import Any, Final, Self

    from ..errors import NotFetched
    from .content import Attachment
    from .headers import Headers
    from .message import BodyStructure, Defect, Envelope

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
    "FetchedMessage",
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


class Streamed(int):
    """Stands for a literal that went to the caller's sink: its size in octets."""

    error: BaseException | None = None
    """What the sink raised. The literal's later octets were not given to it."""


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
        row: Any = made_row((sequence_number, *fields, items, defects, bits))
        return row  # type: ignore[no-any-return]  # of a subclass

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
    def _internal_seconds(self) -> int | None:
        """`internal_date` in seconds since 1970, which the extension has sooner: for what notes many."""
        moment = self._internal_date
        return None if moment is None else int(moment.timestamp())

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
        from .headers import Headers

        return Headers(self._any_header() or b"")

    @property
    def text(self) -> str | None:
        """The text of the message for people: all that is shown as text/plain, lines ending in LF.

        From BODY[], or from BODYSTRUCTURE and the parts of it that were fetched (see the clients' `fetch_text`). ""
        where the message has no such text, None where this row does not hold it. Each time it is read anew.
        """
        from .content import text_view

        return text_view(self, "plain")

    @property
    def html(self) -> str | None:
        """The same as text/html: as it was sent, so nothing to show unless what is active in it is taken out."""
        from .content import text_view

        return text_view(self, "html")

    @property
    def attachments(self) -> tuple[Attachment, ...] | None:
        """What a person calls attachments, with safe names, and the content of those whose octets are in this row.

        From BODY[] or BODYSTRUCTURE; None where the row has neither.
        """
        from .content import attached

        return attached(self)

    @property
    def text_defects(self) -> tuple[Defect, ...]:
        """What can't be read as text: charsets that are not known, in header fields, in names and in parts."""
        from .content import text_defects

        return tuple(text_defects(self))

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
            raise ValueError('neither BODY[] nor BODY[HEADER] is in this row: fetch "BODY.PEEK[]"')
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

    def __dir__(self) -> list[str]:
        from ._elsewhere import names_here

        return names_here(self)

    def __repr__(self) -> str:
        number = "" if self.sequence_number is None else f" {self.sequence_number}"
        shown = []
        if (uid := self._values()[1]) is not None:
            shown.append(f"UID {uid}")
        if self.flags is not None:
            shown.append(f"FLAGS ({shortened(' '.join(sorted(self.flags)))})")
        if self.size is not None:
            shown.append(f"{self.size} octets")
        if self.envelope is not None:
            shown.append(repr(shortened(self.envelope.subject)))
        if self.body_structure is not None:
            shown.append(self.body_structure.media_type)
        if self.body is not None:
            shown.append(f"BODY[] of {len(self.body)} octets")
        shown += [shortened(name) or "" for name, _ in self.items[:5]]
        if self.defects:
            shown.append(f"{len(self.defects)} defects")
        return f"<FetchedMessage{number}: {', '.join(shown)}>"


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


class _OpenRow(FetchedMessage):
    """A row in the making: its values can be set, which is cheaper than around the refusal of `_Row`."""

    __slots__ = _Row.__slots__


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


def made_row(values: Iterable[Any]) -> FetchedMessage:
    """Make a row of all its fields, in order: for the parser."""
    row = object.__new__(_OpenRow)
    (
        row._sequence_number,
        row._uid,
        row._flags,
        row._size,
        row._internal_date,
        row._mod_sequence,
        row._envelope,
        row._body_structure,
        row._body,
        row._items,
        row._defects,
        row._present,
    ) = values
    row.__class__ = _Row  # type: ignore[assignment]  # a class of the same layout
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
    from ..errors import NotFetched

    if "UID" in row:
        return NotFetched("the server sent no UID that can be read: see the row's defects")
    return NotFetched('this row has no UID: ask for the data item "UID", or for messages by their UIDs')


_FIELD_LIST = pattern(r"([^ (]*) *\(([^)]*)\)?\Z")


def canonical_section(section: str) -> str:
    """Return a section as the names in :attr:`FetchedMessage.items` have it, however a server or a caller spells it.

    Upper case, one space before and in a list of header fields, no quotes: ``1.HEADER.FIELDS (DATE FROM)``.
    """
    section = section.strip(" ").upper()
    fields = _FIELD_LIST.match(section)
    if fields is None:
        return section
    return f"{fields[1]} ({' '.join(fields[2].replace(chr(34), ' ').split())})"


def shortened(text: str | None) -> str | None:
    return text if text is None or len(text) <= 60 else text[:59] + "…"
