"""FETCH responses to :class:`~fastimap.message.FetchedMessage`, whatever the server made of them.

This is the readable specification. The C twin decodes well-formed responses itself and hands all others to
:func:`fetch`, so that the two can't disagree about what is odd.

Octets become tokens (a list is a tuple), tokens become values. A bad value costs its own item, which is then None
with a :class:`~fastimap.message.Defect`; a response that breaks off keeps the items before. What is taken with the
right value though it is not in the grammar stands in :data:`fastimap.wire.tolerant.QUIRKS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from .._errors import ParseError
from ..limits import READER_LIMITS
from ..model import mailbox_name, words
from ..model._dates import DATE, mail_date
from ..model.row import (
    PRESENT_BODY,
    PRESENT_BODYSTRUCTURE,
    PRESENT_ENVELOPE,
    PRESENT_FLAGS,
    PRESENT_INTERNALDATE,
    PRESENT_MODSEQ,
    PRESENT_OTHER,
    PRESENT_SIZE,
    PRESENT_UID,
    VALUE_FIELDS,
    FetchedMessage,
    Streamed,
    canonical_section,
    made_row,
)
from ..model.tokens import Token, plain
from .outline import _FETCH
from .rows import _zone
from .structures import _SHOWN, _is_nil, _Structures

__all__ = ["fetch", "mail_seconds"]

_MAX_UID = 2**32 - 1
_BETWEEN_ITEMS = re.compile(rb"[ ()]*")
_NAME = re.compile(rb"[A-Z][A-Z0-9._-]*", re.IGNORECASE)
_SECTION = re.compile(rb'\[((?:[^\]"]|"(?:[^"\\]|\\.)*+")*+)\]')
_ORIGIN = re.compile(rb"<([0-9]{1,19})(?:\.[0-9]*)?>")
_LINE_BREAK = re.compile(rb"\r?\n")
_DATE_TIME = re.compile(
    rb"([0-9]{1,2})[- ]([a-z]{3})[- ]([0-9]{4}) +([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    rb"(?: *([+-])([0-9]{2})([0-9]{2})| *(GMT|UTC?|Z))?\Z",
    re.IGNORECASE,
)
_MONTHS = {name.lower().encode(): number for number, name in enumerate(words.MONTHS, 1)}
_SYSTEM_FLAGS = {flag.lower().encode(): flag for flag in words.SYSTEM_FLAGS}


class _Decoder(_Structures):
    """Decodes FETCH responses, one after the other."""

    def __init__(self, depth_limit: int) -> None:
        super().__init__(depth_limit - 1)  # without the parentheses of the response itself
        self._clear()

    def _clear(self) -> None:
        self.fragments: Sequence[bytes | Streamed] = ()
        self.fields: dict[str, object] = {}
        self.items: dict[str, object] = {}
        self.defects = []
        self.present = 0
        self.broken = False  # whether the rest cannot be read
        self.broken_lines = False  # whether a line break stood in a quoted string,
        self.ambiguous = False  # and after it what may be a response of its own, where the string was never closed
        self.closed = False  # whether a parenthesis was the last thing before the end
        self.name = ""  # of the current item,
        self.start = b""  # and what it begins with

    def from_fragments(self, fragments: Sequence[bytes | Streamed]) -> FetchedMessage | None:
        """The FETCH response in `fragments`; None where it is none."""
        head = _FETCH.match(fragments[0]) if fragments and isinstance(fragments[0], bytes) else None
        if head is None:
            return None
        try:
            self._response(head, fragments)
            values = map(self.fields.get, VALUE_FIELDS)
            return made_row((*values, tuple(self.items.items()), tuple(self.defects), self.present))
        finally:
            self._clear()  # it may be large

    def _response(self, head: re.Match[bytes], fragments: Sequence[bytes | Streamed]) -> None:
        number = self._number(head[1], 1, _MAX_UID)
        if head[2]:
            self.fields["uid"] = number
            self.present = PRESENT_UID
        else:
            self.fields["sequence_number"] = number
        try:
            self.open(fragments)
        except ParseError as exc:  # fragments that no ResponseReader gives
            self.note(str(exc))
            return
        self.position = head.end()
        while not self.broken and not self._at_end():
            self._item()
        if not self.broken and not self.closed:
            self.name = ""
            self.start = self.text
            self.note("not closed")

    def _at_end(self) -> bool:
        """Skip what may stand between two items; whether nothing comes after it."""
        skipped = _BETWEEN_ITEMS.match(self.text, self.position)
        assert skipped is not None
        self.position = skipped.end()
        if self.position < len(self.text) or self.index + 1 < len(self.fragments):
            return False
        self.closed = b")" in skipped[0]
        return True

    def _has_value(self) -> bool:
        """Skip spaces; whether a value comes before the list's end."""
        return self.has_token() and (self.position == len(self.text) or self.text[self.position] != 0x29)

    def _item(self) -> None:
        self.name = field = ""
        self.start = self.text[self.position : self.position + _SHOWN]
        value = None
        try:
            self.name = self._name()
            field, present, decode = _FIELDS.get(self.name) or ("", PRESENT_OTHER, _decoder(self.name))
            self.present |= present
            if self._has_value():
                value = self._value(decode)
            else:
                self.note("no value")
        except ParseError as broken:
            self.note(str(broken))
            self.broken = True
        if self.name:
            self._keep(field, value)

    def _value(self, decode: Callable[[_Decoder, Token], object]) -> object:
        """Read a value. Some servers escape no backslash: of two readings the one without a defect is right."""
        begin = self._state()
        known = len(self.defects)
        self.broken_lines = self.ambiguous = False
        value: object = None
        broken: ParseError | None = None
        try:
            value = decode(self, self.token())
        except ParseError as exc:
            broken = exc
        if (broken or len(self.defects) > known) and b'\\"' in begin[1]:
            end = self._state()
            defects = self.defects[known:]
            del self.defects[known:]
            self._restore(begin)
            self.lone_backslash = True
            try:
                other = decode(self, self.token())
                if len(self.defects) == known:
                    value, broken = other, None
                    return value
            except ParseError:
                pass
            finally:
                self.lone_backslash = False
            self.defects[known:] = defects
            self._restore(end)
        if broken:
            raise broken
        if self.broken_lines:
            self.note("a line break in a quoted string")
        if self.ambiguous:
            # It is not taken for a response, as whoever writes a header could forge one then; nor is it shown as text.
            self.note("a line in a quoted string that may be a response: the string was perhaps not closed")
            return None
        return value

    def _state(self) -> tuple[int, bytes, int, bool]:
        return self.index, self.text, self.position, self.sections

    def _restore(self, state: tuple[int, bytes, int, bool]) -> None:
        self.index, self.text, self.position, self.sections = state

    def _keep(self, field: str, value: object) -> None:
        if field and not isinstance(value, Streamed):
            if value is not None or field not in self.fields:  # of an item sent twice, the last that has a value
                self.fields[field] = value
        elif value is not None or self.name not in self.items:
            self.items[self.name] = value

    def _section(self, value: Token) -> bytes | Streamed | None:
        if isinstance(value, Streamed) or type(value) is bytes:
            return value
        if not _is_nil(value):
            self.note("not a string")
        return None

    def _name(self) -> str:
        """Return the name of the item that begins here, in its canonical form."""
        found = _NAME.match(self.text, self.position)
        if found is None:
            raise ParseError("no name of an item")
        self.position = found.end()
        name = found[0].decode("ascii").upper()
        if self.position == len(self.text) or self.text[self.position] != 0x5B:
            return name
        section = _SECTION.match(self.text, self.position) or self._section_with_literals()
        if section is None:
            raise ParseError("a section without its closing bracket")
        self.position = section.end()
        canonical = canonical_section(section[1].decode("utf-8", "surrogateescape"))
        name = f"{name.removesuffix('.PEEK')}[{canonical}]"
        origin = _ORIGIN.match(self.text, self.position)
        if origin is not None:
            self.position = origin.end()
            name += f"<{int(origin[1])}>"
        return name

    def _section_with_literals(self) -> re.Match[bytes] | None:
        """Put header fields that are literals into the line as quoted strings; return the section, once it is whole."""
        parts = [self.text[self.position :]]
        while self.index + 1 < len(self.fragments) and b"]" not in parts[-1] and parts[-1].rstrip(b" ")[-1:] != b")":
            literal = self.literal()
            if not isinstance(literal, bytes):
                break
            parts += [b'"', literal.replace(b"\\", b"\\\\").replace(b'"', b'\\"'), b'"', self.text]
        self.text = b"".join(parts)
        self.position = 0
        return _SECTION.match(self.text)

    def quoted(self) -> bytes:
        string = super().quoted()
        if b"\n" not in string:
            return string
        self.broken_lines = True
        self.ambiguous = self.ambiguous or b"\n* " in string
        return _LINE_BREAK.sub(b"", string)

    def section_name(self, octets: bytes) -> str:
        """The name of a section, as rows have it."""
        self.open((octets,))
        try:
            return self._name()
        except ParseError:
            return octets.decode("utf-8", "surrogateescape").upper()
        finally:
            self._clear()

    def _flags(self, value: Token) -> frozenset[str]:
        flags: list[bytes] = []
        bracketed: list[bytes] = []  # words from one with "[" on, up to one with "]"
        for word in self._atoms(value):
            if bracketed or (0x5B in word and word.rfind(b"[") > word.rfind(b"]")):
                bracketed.append(word)
                if len(bracketed) > 1 and b"]" in word:
                    flags.append(b" ".join(bracketed))
                    bracketed = []
            elif word.upper() != b"NIL":
                flags.append(word)
        flags += bracketed
        return frozenset([_SYSTEM_FLAGS.get(flag.lower()) or flag.decode("utf-8", "surrogateescape") for flag in flags])

    def _date(self, value: Token) -> datetime | None:
        found = _DATE_TIME.match(value.strip(b" ")) if isinstance(value, bytes) else None
        if found is None:
            self.note("no date and time")
            return None
        day, month, year, hour, minute, second, sign, hours, minutes, word = found.groups()
        try:
            offset = int(minutes or 0)
            if offset > 59:
                raise ValueError
            offset += 60 * int(hours or 0)
            zone = _zone(-offset if sign == b"-" else offset)
            date = datetime(
                int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), int(second or 0), tzinfo=zone
            )
        except (KeyError, ValueError):
            self.note("no such date and time")
            return None
        if not sign and not word:
            self.note("no zone, taken as UTC")
        return date

    def _uid(self, value: Token) -> int | None:
        return self._number(value, 1, _MAX_UID)

    def _mod_sequence(self, value: Token) -> int | None:
        return self._number(value[0] if isinstance(value, tuple) and len(value) == 1 else value)

    def _atoms(self, value: Token) -> list[bytes]:
        """Return the members of a list whose atoms are bytes; NIL is the empty list, a string alone a list of one."""
        if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], tuple):
            value = value[0]  # a list in parentheses of its own
        members = value if isinstance(value, tuple) else () if _is_nil(value) or value == b"" else (value,)
        atoms = [member for member in members if isinstance(member, bytes)]
        if len(atoms) != len(members):
            self.note("not a list of atoms")
        return atoms

    def _labels(self, value: Token) -> tuple[str, ...]:
        return tuple(map(_label, self._atoms(value)))

    def _object_id(self, value: Token) -> str | None:
        atoms = self._atoms(value)
        return atoms[0].decode("utf-8", "surrogateescape") if atoms else None

    def _preview(self, value: Token) -> str | None:
        if isinstance(value, tuple) and len(value) == 2:  # (FUZZY "text"), of the drafts of RFC 8970
            value = value[1]
        octets = self._section(value)
        return octets.decode("utf-8", "replace") if isinstance(octets, bytes) else None

    def _save_date(self, value: Token) -> datetime | None:
        return None if _is_nil(value) else self._date(value)

    def _as_it_is(self, value: Token) -> object:
        return plain(value)


def _label(octets: bytes) -> str:
    try:
        return mailbox_name.decode(octets)
    except ValueError:
        return octets.decode("utf-8", "surrogateescape")


_FIELDS: dict[str, tuple[str, int, Callable[[_Decoder, Token], object]]] = {
    "UID": ("uid", PRESENT_UID, _Decoder._uid),
    "FLAGS": ("flags", PRESENT_FLAGS, _Decoder._flags),
    "RFC822.SIZE": ("size", PRESENT_SIZE, _Decoder._number),
    "INTERNALDATE": ("internal_date", PRESENT_INTERNALDATE, _Decoder._date),
    "MODSEQ": ("mod_sequence", PRESENT_MODSEQ, _Decoder._mod_sequence),
    "ENVELOPE": ("envelope", PRESENT_ENVELOPE, _Decoder._envelope),
    "BODYSTRUCTURE": ("body_structure", PRESENT_BODYSTRUCTURE, _Decoder._body),
    "BODY": ("body_structure", PRESENT_BODYSTRUCTURE, _Decoder._body),
    "BODY[]": ("body", PRESENT_BODY, _Decoder._section),
    "RFC822": ("body", PRESENT_BODY, _Decoder._section),
    "RFC822[]": ("body", PRESENT_BODY, _Decoder._section),
}
_DECODERS: dict[str, Callable[[_Decoder, Token], object]] = {
    "RFC822.HEADER": _Decoder._section,
    "RFC822.TEXT": _Decoder._section,
    "X-GM-MSGID": _Decoder._number,
    "X-GM-THRID": _Decoder._number,
    "X-GM-LABELS": _Decoder._labels,
    "EMAILID": _Decoder._object_id,
    "THREADID": _Decoder._object_id,
    "PREVIEW": _Decoder._preview,
    "SAVEDATE": _Decoder._save_date,
}


def _decoder(name: str) -> Callable[[_Decoder, Token], object]:
    if name.startswith(("BODY[", "BINARY[")):
        return _Decoder._section
    if name.startswith("BINARY.SIZE["):
        return _Decoder._number
    return _DECODERS.get(name, _Decoder._as_it_is)


def fetch(fragments: Sequence[bytes | Streamed], depth: int = READER_LIMITS.depth) -> FetchedMessage | None:
    """Return one response of ``ResponseReader.responses()`` as a row, or None where it is no FETCH response.

    A literal may be :class:`~fastimap.message.Streamed`. UIDFETCH (RFC 9586) is taken too. Nothing raises: what can't
    be read is in the row's `defects`, what is nested deeper than `depth` parentheses too, the response's own counted.
    """
    return _Decoder(depth).from_fragments(fragments)


def mail_seconds(dates: Sequence[bytes | None]) -> list[int | None]:
    """Return the seconds since 1970 of Date fields; see :mod:`fastimap.parser`."""
    return [_mail_seconds(octets) if isinstance(octets, bytes) else None for octets in dates]


def _mail_seconds(octets: bytes) -> int | None:
    """Return those of one that is written as in nearly all mail."""
    moment = mail_date(octets) if DATE.fullmatch(octets) else None
    return None if moment is None else int(moment.timestamp())
