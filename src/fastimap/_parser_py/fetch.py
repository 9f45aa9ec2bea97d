"""FETCH responses to :class:`~fastimap.message.FetchedMessage`, whatever the server made of them.

This is the readable specification. The C twin decodes well-formed responses itself and hands all others to
:func:`fetch`, so that the two can't disagree about what is odd.

Octets become values (a list is a tuple), values become types. A bad value costs its own item, which is then None
with a :class:`~fastimap.message.Defect`; a response that breaks off keeps the items before. What is taken with the
right value though it is not in the grammar stands in :data:`QUIRKS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ParseError
from ..limits import READER_LIMITS
from ..model import mailbox_name, words
from ..model.message import (
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
    Address,
    BodyStructure,
    Defect,
    Disposition,
    Envelope,
    FetchedMessage,
    Parameters,
    Streamed,
    canonical_section,
    made_row,
)
from .tokens import Atom, Token, _Scanner, plain

if TYPE_CHECKING:
    from ..model.responses import Value

__all__ = ["QUIRKS", "Quirk", "fetch"]


class Quirk(NamedTuple):
    """Something that servers send and the grammar does not have, taken with the right value."""

    server: str
    """Empty where the source does not name it."""
    source: str
    what: str


QUIRKS = (
    Quirk("DavMail", "python/cpython#117152", "several spaces after the star"),
    Quirk("DavMail 6.5.1", "mguessan/davmail#454", "several spaces between items"),
    Quirk("imap.qq.com", "jakartaee/mail-api#209", "a space before the closing parenthesis"),
    Quirk("Lotus Domino", "jstedfast/MailKit#943", "an item and its value in parentheses of their own"),
    Quirk("", "jstedfast/MailKit#991", "more closing parentheses than opening ones"),
    Quirk("Yandex", "MailKit getbodypart-missing-content", "an item without a value: None, with a defect"),
    Quirk("", "net-imap fetch_responses.yml", "RFC822[] for RFC822"),
    Quirk("", "postalsys/imapflow 7281ce9", "BODY[2]<0.65536>: the length of a partial echoed"),
    Quirk("Zoho", "MailKit fetch-negative-modseq-values", "MODSEQ (0)"),
    Quirk("Courier", "MailKit release notes", "message number 0: None, with a defect"),
    Quirk("Lotus Domino", "MailKit TestParseInvalidInternalDates", "00-Jan-0000: None, with a defect"),
    Quirk("Gmail", "ruby/net-imap#241", "a space inside the brackets of a keyword"),
    Quirk("Gmail", "MailKit TestParseLabelsListWithNIL", "a label named NIL, not quoted"),
    Quirk("Gmail", "MailKit TestParseGMailMalformedSenderInEnvelope", "quotes that are not escaped in a quoted string"),
    Quirk("Gmail", "MailKit TestParseMalformedMailboxAddressInEnvelope", "angle brackets around mailbox and host"),
    Quirk("outlook.com", "net-imap quirky_behaviors.yml", "spaces between addresses, and between parts"),
    Quirk("", "jstedfast/MailKit#669, #932", "an envelope of less than ten fields; those that are left out are NIL"),
    Quirk("", "jstedfast/MailKit#991", "NIL inside a list of addresses"),
    Quirk("", "jstedfast/MailKit#1369", "a literal shorter than what it holds: the address keeps mailbox and host"),
    Quirk("Gmail", "jstedfast/MailKit#205, #777, #1841", 'a multipart without parts: ("ALTERNATIVE" (...) NIL NIL)'),
    Quirk("", "jstedfast/MailKit#1393", 'a multipart whose parts are NIL: (NIL "alternative" ...)'),
    Quirk("GMX", "jstedfast/MailKit#878", "a multipart sent as a single part, with encoding and size"),
    Quirk("", "jstedfast/MailKit#371", "the type or the subtype left out before the parameters"),
    Quirk("Dovecot 2.3", "tests/servers/test_witness.py", '("" "" ...) for a Content-Type that is none: text/plain'),
    Quirk("Exchange", "MailKit TestParseBadlyFormedBodyStructureWithCompletelyNilBodyParts", "a part all of NIL"),
    Quirk("", "jstedfast/MailKit#944", "() for the body of an attached message"),
    Quirk("", "Ruby bug 7147", "a message/rfc822 part without envelope and body"),
    Quirk("Exchange, Dovecot", "duesee/imap-codec", "a size of -1"),
    Quirk("maddy", "duesee/imap-codec", "NIL for the encoding"),
    Quirk("Exchange", "jstedfast/MailKit#919", 'a disposition without parentheses: "inline"'),
    Quirk("Exchange", "MailKit TestParseBodyStructureWithNilNilBodyFldDsp", "a disposition (NIL NIL)"),
    Quirk("Exchange 2016", "javaee/javamail#278", "the description in the place of the disposition"),
    Quirk(
        "", "MailKit TestParseBodyStructureWithSwappedBodyFldDspAndBodyFldLang", "the disposition after the language"
    ),
    Quirk("", "MailKit TestParseBadlyFormedBodyStructureWithEmptyParens...", "() for NIL"),
    Quirk("imap.mail.ru", "kisli/vmime#159", "NIL for the value of a parameter"),
    Quirk("", "mjs/imapclient#288", "quotes and spaces inside a charset and its name"),
)

Note = Callable[[str], None]
"""Takes down why the current item is not as it should be."""

_SHOWN = 80
_MAX_NUMBER = 2**63 - 1
_MAX_UID = 2**32 - 1
_MAX_DEFECTS = 100  # of one row: a defect takes far more memory than the two octets that may cause it
_NIL = Atom(b"NIL")  # what stands for a value that was left out

_HEAD = re.compile(rb"\* +([0-9]+) +(UID)?FETCH *\(", re.IGNORECASE)
_BETWEEN_ITEMS = re.compile(rb"[ ()]*")
_NAME = re.compile(rb"[A-Z][A-Z0-9._-]*", re.IGNORECASE)
_SECTION = re.compile(rb'\[((?:[^\]"]|"(?:[^"\\]|\\.)*+")*+)\]')
_ORIGIN = re.compile(rb"<([0-9]{1,19})(?:\.[0-9]*)?>")
_LINE_BREAK = re.compile(rb"\r?\n")
_INTEGER = re.compile(rb" *([0-9]{1,19}) *\Z")
_DATE_TIME = re.compile(
    rb"([0-9]{1,2})[- ]([a-z]{3})[- ]([0-9]{4}) +([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    rb"(?: *([+-])([0-9]{2})([0-9]{2})| *(GMT|UTC?|Z))?\Z",
    re.IGNORECASE,
)
_MONTHS = {name.lower().encode(): number for number, name in enumerate(words.MONTHS, 1)}
_SYSTEM_FLAGS = {flag.lower().encode(): flag for flag in words.SYSTEM_FLAGS}


class _Reader(_Scanner):
    """Reads data items, and their values as tokens, from the fragments of one FETCH response."""

    broken_lines = False  # whether a line break stood in a quoted string,
    ambiguous = False  # and after it what may be a response of its own, where the string was never closed
    closed = False  # whether a parenthesis was the last thing before the end

    def state(self) -> tuple[int, bytes, int, bool]:
        return self.index, self.text, self.position, self.sections

    def restore(self, state: tuple[int, bytes, int, bool]) -> None:
        self.index, self.text, self.position, self.sections = state

    def at_end(self) -> bool:
        """Skip what may stand between two items; whether nothing comes after it."""
        skipped = _BETWEEN_ITEMS.match(self.text, self.position)
        assert skipped is not None
        self.position = skipped.end()
        self.closed = b")" in skipped[0]
        return self.position == len(self.text) and self.index + 1 >= len(self.fragments)

    def item_name(self) -> str:
        """Return the name of the item that begins here, in its canonical form."""
        found = _NAME.match(self.text, self.position)
        if found is None:
            raise ParseError("no name of an item")
        self.position = found.end()
        name = found[0].decode("ascii").upper()
        if not self.text.startswith(b"[", self.position):
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

    def has_value(self) -> bool:
        """Skip spaces; whether a value comes before the list's end."""
        return self.has_token() and not self.text.startswith(b")", self.position)


class _Row:
    """A FetchedMessage in the making."""

    def __init__(self) -> None:
        self.fields: dict[str, object] = {}
        self.items: dict[str, object] = {}
        self.defects: list[Defect] = []
        self.present = 0
        self.broken = False
        self.name = ""  # of the current item,
        self.start = b""  # and what it begins with

    def note(self, reason: str) -> None:
        if len(self.defects) < _MAX_DEFECTS:
            self.defects.append(Defect(self.name, reason, bytes(self.start[:_SHOWN])))

    def take_item(self, reader: _Reader) -> None:
        self.name = field = ""
        self.start = reader.text[reader.position : reader.position + _SHOWN]
        value = None
        try:
            self.name = reader.item_name()
            field, present, decode = _FIELDS.get(self.name) or ("", PRESENT_OTHER, _decoder(self.name))
            self.present |= present
            if reader.has_value():
                value = self._value(reader, decode)
            else:
                self.note("no value")
        except ParseError as broken:
            self.note(str(broken))
            self.broken = True
        if self.name:
            self._keep(field, value)

    def _value(self, reader: _Reader, decode: Callable[[Token, Note], object]) -> object:
        """Read a value. Some servers escape no backslash: of two readings the one without a defect is right."""
        begin = reader.state()
        known = len(self.defects)
        reader.broken_lines = reader.ambiguous = False
        value: object = None
        broken: ParseError | None = None
        try:
            value = decode(reader.token(), self.note)
        except ParseError as exc:
            broken = exc
        if (broken or len(self.defects) > known) and b'\\"' in begin[1]:
            end = reader.state()
            defects = self.defects[known:]
            del self.defects[known:]
            reader.restore(begin)
            reader.lone_backslash = True
            try:
                other = decode(reader.token(), self.note)
                if len(self.defects) == known:
                    value, broken = other, None
                    return value
            except ParseError:
                pass
            finally:
                reader.lone_backslash = False
            self.defects[known:] = defects
            reader.restore(end)
        if broken:
            raise broken
        if reader.broken_lines:
            self.note("a line break in a quoted string")
        if reader.ambiguous:
            # It is not taken for a response, as whoever writes a header could forge one then; nor is it shown as text.
            self.note("a line in a quoted string that may be a response: the string was perhaps not closed")
            return None
        return value

    def _keep(self, field: str, value: object) -> None:
        if field and not isinstance(value, Streamed):
            if value is not None or field not in self.fields:  # of an item sent twice, the last that has a value
                self.fields[field] = value
        elif value is not None or self.name not in self.items:
            self.items[self.name] = value

    def message(self) -> FetchedMessage:
        values = map(self.fields.get, VALUE_FIELDS)
        return made_row((*values, tuple(self.items.items()), tuple(self.defects), self.present))


# Tokens to types. Each function returns the right value, or notes why there is none.


def _number(value: Token, note: Note, low: int = 0, high: int = _MAX_NUMBER) -> int | None:
    number = _integer(value)
    if number is None or not low <= number <= high:
        note("no number" if number is None else f"a number that is not in {low}..{high}")
        return None
    return number


def _integer(value: Token) -> int | None:
    """Return the number that `value` is, or holds as a string."""
    found = _INTEGER.match(value) if isinstance(value, bytes) else None
    return int(found[1]) if found else None


def _uid(value: Token, note: Note) -> int | None:
    return _number(value, note, 1, _MAX_UID)


def _mod_sequence(value: Token, note: Note) -> int | None:
    return _number(value[0] if isinstance(value, tuple) and len(value) == 1 else value, note)


def _octets(value: Token, note: Note) -> bytes | Streamed | None:
    if isinstance(value, Streamed) or type(value) is bytes:
        return value
    if not _is_nil(value):
        note("not a string")
    return None


def _nstring(value: Token, note: Note) -> bytes | None:
    """Return a string inside an envelope or a body structure; an atom or a number counts as one, () as NIL."""
    if _is_nil(value) or value == ():
        return None
    if isinstance(value, bytes):
        return bytes(value)
    note("a list where a string belongs")
    return None


def section_name(octets: bytes) -> str:
    """Return the canonical name of the item `octets`."""
    try:
        return _Reader((octets,)).item_name()
    except ParseError:
        return octets.decode("utf-8", "surrogateescape").upper()


def _flags(value: Token, note: Note) -> frozenset[str]:
    flags: list[bytes] = []
    bracketed: list[bytes] = []  # words from one with "[" on, up to one with "]"
    for word in _atoms(value, note):
        if bracketed or word.rfind(b"[") > word.rfind(b"]"):
            bracketed.append(word)
            if len(bracketed) > 1 and b"]" in word:
                flags.append(b" ".join(bracketed))
                bracketed = []
        elif word.upper() != b"NIL":
            flags.append(word)
    flags += bracketed
    return frozenset(_SYSTEM_FLAGS.get(flag.lower()) or flag.decode("utf-8", "surrogateescape") for flag in flags)


def _atoms(value: Token, note: Note) -> list[bytes]:
    """Return the members of a list whose atoms are bytes; NIL is the empty list, a string alone a list of one."""
    members = value if isinstance(value, tuple) else () if _is_nil(value) or value == b"" else (value,)
    atoms = [member for member in members if isinstance(member, bytes)]
    if len(atoms) != len(members):
        note("not a list of atoms")
    return atoms


def _labels(value: Token, note: Note) -> tuple[str, ...]:
    return tuple(map(_label, _atoms(value, note)))


def _label(octets: bytes) -> str:
    try:
        return mailbox_name.decode(octets)
    except ValueError:
        return octets.decode("utf-8", "surrogateescape")


def _object_id(value: Token, note: Note) -> str | None:
    atoms = _atoms(value, note)
    return atoms[0].decode("utf-8", "surrogateescape") if atoms else None


def _preview(value: Token, note: Note) -> str | None:
    if isinstance(value, tuple) and len(value) == 2:  # (FUZZY "text"), of the drafts of RFC 8970
        value = value[1]
    octets = _octets(value, note)
    return octets.decode("utf-8", "replace") if isinstance(octets, bytes) else None


def _date(value: Token, note: Note) -> datetime | None:
    found = _DATE_TIME.match(value.strip(b" ")) if isinstance(value, bytes) else None
    if found is None:
        note("no date and time")
        return None
    day, month, year, hour, minute, second, sign, hours, minutes, word = found.groups()
    try:
        zone = _zone(sign, int(hours), int(minutes)) if sign else UTC
        date = datetime(
            int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), int(second or 0), tzinfo=zone
        )
    except (KeyError, ValueError):
        note("no such date and time")
        return None
    if not sign and not word:
        note("no zone, taken as UTC")
    return date


@lru_cache(maxsize=128)
def _zone(sign: bytes, hours: int, minutes: int) -> timezone:
    if minutes > 59:
        raise ValueError("a zone with more than 59 minutes")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if sign == b"-" else offset) if offset else UTC


def _save_date(value: Token, note: Note) -> datetime | None:
    return None if _is_nil(value) else _date(value, note)


def _as_it_is(value: Token, note: Note) -> object:
    return plain(value)


# ENVELOPE.


def _envelope(value: Token, note: Note) -> Envelope | None:
    if not isinstance(value, tuple):
        note("no envelope")
        return None
    if len(value) != 10:
        note(f"an envelope of {len(value)} fields, not 10")
    value = (*value[:10], *[_NIL] * (10 - len(value)))
    date, subject = (_nstring(field, note) for field in value[:2])
    from_, sender, reply_to, to, cc, bcc = (_addresses(field, note) for field in value[2:8])
    in_reply_to, message_id = (_nstring(field, note) for field in value[8:])
    return Envelope(date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id)


def _addresses(value: Token, note: Note) -> tuple[Address, ...]:
    if _is_nil(value) or value == ():
        return ()
    if not isinstance(value, tuple):
        note("a string where a list of addresses belongs")
        return ()
    if len(value) == 4 and not any(isinstance(member, tuple) for member in value):
        value = (value,)  # an address alone, without the parentheses of the list
    return tuple(address for member in value if not _is_nil(member) and (address := _address(member, note)))


def _address(value: Token, note: Note) -> Address | None:
    if not isinstance(value, tuple) or len(value) < 4:
        note("not an address")
        return None
    if len(value) > 4:
        note(f"an address of {len(value)} fields, not 4")
        value = (_NIL, _NIL, *value[-2:])
    return Address(*(_nstring(field, note) for field in value))


# BODYSTRUCTURE.

_TYPES = {"application", "audio", "font", "image", "message", "model", "multipart", "text", "video"}
_MAX_PARTS = 10_000  # Dovecot stops there. "()" is a part too, and would take 500 times its two octets.
_DISPOSITIONS = {"inline", "attachment"}
_DEFAULT_ENCODING = "7bit"  # RFC 2045, section 6.1


def _word(value: Token) -> str:
    """Return a word that MIME compares without regard to case, in lower case; "" for NIL."""
    if not isinstance(value, bytes) or _is_nil(value):
        return ""
    return value.strip().lower().decode("utf-8", "surrogateescape")


def _parameters(value: Token, note: Note) -> Parameters:
    if _is_nil(value):
        return ()
    if not isinstance(value, tuple):
        note("a string where a list of parameters belongs")
        return ()
    pairs = zip(value[::2], (*value[1::2], _NIL), strict=False)
    return tuple((_word(name), _nstring(octets, note) or b"") for name, octets in pairs if _is_string(name))


def _body(value: Token, note: Note) -> BodyStructure | None:
    if not isinstance(value, tuple) or not value:
        note("no body structure")
        return None
    # Not recursive: a server may nest deeper than Python's stack allows where the caller stands.
    parts = [_Part(value, note)]
    for part in parts:
        if len(parts) + len(part.inner) > _MAX_PARTS:
            note(f"more than {_MAX_PARTS} parts")
            return None
        parts += part.take_number_and_open(note)
    for part in reversed(parts):
        part.build()
    return parts[0].built


class _Part:
    """A BodyStructure in the making."""

    def __init__(self, value: tuple[Token, ...], note: Note, number: str = "", *, is_whole: bool = True) -> None:
        self.number = number  # of the message, where it is a whole one
        self.is_whole = is_whole
        self.inner: Sequence[Token] = ()  # values of the parts inside
        self.children: list[_Part] = []
        self.subtype = "octet-stream"
        self.parameters: Parameters = ()
        self.content_id: bytes | None = None
        self.description: bytes | None = None
        self.encoding = ""
        self.size: int | None = None
        self.lines: int | None = None
        self.envelope: Envelope | None = None
        self.md5: bytes | None = None
        self.disposition: Disposition | None = None
        self.language: tuple[str, ...] = ()
        self.location: bytes | None = None
        self.extensions: tuple[Value, ...] = ()
        self._read(value, note)

    def take_number_and_open(self, note: Note) -> list[_Part]:
        """Return the parts inside; RFC 9051, section 6.4.5.1, numbers them."""
        if self.type == "multipart":
            for index, value in enumerate(self.inner, 1):
                number = f"{self.number}.{index}" if self.number else str(index)
                self.children.append(_Part(_list(value), note, number, is_whole=False))
            return self.children
        if self.is_whole:
            self.number = f"{self.number}.1" if self.number else "1"
        self.children = [_Part(_list(value), note, self.number) for value in self.inner]
        return self.children

    def build(self) -> None:
        self.built: BodyStructure = BodyStructure(
            self.number,
            self.type,
            self.subtype,
            self.parameters,
            self.content_id,
            self.description,
            self.encoding,
            self.size,
            self.lines,
            self.envelope,
            tuple(child.built for child in self.children),
            self.md5,
            self.disposition,
            self.language,
            self.location,
            self.extensions,
        )

    def _read(self, value: tuple[Token, ...], note: Note) -> None:
        inside = 0
        while inside < len(value) and isinstance(value[inside], tuple):
            inside += 1
        first, second, *_ = *value, _NIL, _NIL
        if inside:
            self._read_multipart(value[:inside], value[inside:], note)
        elif _is_string(first) and _is_string(second):
            self._read_single(*_media_type(_word(first), _word(second)), value[2:], note)
        elif _is_string(first) and _is_nil(second) and _has_encoding(value, 5):
            note("a media type without subtype")
            self._read_single(*_media_type(_word(first), ""), value[2:], note)
        elif _is_string(first) and (_word(first) in _TYPES or _has_encoding(value, 4)):
            note("a media type of one word")
            word = _word(first)
            type_, subtype = _media_type(word, "") if word in _TYPES else _media_type("", word)
            self._read_single(type_, subtype, value[1:], note)
        elif _is_string(first):
            self._read_multipart((), value, note)
        elif _is_string(second) and not _has_encoding(value, 5):
            self._read_multipart((), value[1:], note)
        else:
            note("a part without media type")
            self._read_single("application", _word(second) or "octet-stream", value[2:], note)

    def _read_multipart(self, inner: Sequence[Token], rest: Sequence[Token], note: Note) -> None:
        self.type = "multipart"
        self.inner = inner
        subtype = _word(rest[0]) if rest and _is_string(rest[0]) else ""
        if not subtype:
            note("a multipart without subtype")
        self.subtype = subtype or "mixed"
        if len(rest) > 1:
            self.parameters = _parameters(rest[1], note)
        self._read_extension_data(rest[2:], note)

    def _read_single(self, type_: str, subtype: str, rest: Sequence[Token], note: Note) -> None:
        self.type = type_
        self.subtype = subtype
        if len(rest) < 5:
            note("a part without encoding and size")
        parameters, content_id, description, encoding, size, *_ = *rest, _NIL, _NIL, _NIL, _NIL, _NIL
        self.parameters = _parameters(parameters, note)
        self.content_id = _nstring(content_id, note)
        self.description = _nstring(description, note)
        self.encoding = _word(encoding) or _DEFAULT_ENCODING
        self.size = _size(size, note)
        rest = rest[5:]
        if type_ == "message" and subtype in ("rfc822", "global") and _has_message(rest):
            if not _is_nil(rest[0]):
                self.envelope = _envelope(rest[0], note)
            self.inner = rest[1:2] if _list(rest[1]) else ()
            self.lines = _size(rest[2], note) if len(rest) > 2 else None
            rest = rest[3:]
        elif rest and (_integer(rest[0]) is not None or (type_ == "text" and _is_nil(rest[0]))):
            self.lines = _size(rest[0], note)
            rest = rest[1:]
        if rest:
            self.md5 = _nstring(rest[0], note)
        self._read_extension_data(rest[1:], note)

    def _read_extension_data(self, data: Sequence[Token], note: Note) -> None:
        """Read what both kinds end in: disposition, language, location, and what is not defined yet."""
        disposition, language, location, *_ = *data, _NIL, _NIL, _NIL
        if _is_string(disposition) and _word(disposition) not in _DISPOSITIONS and self.description is None:
            self.description, disposition = _nstring(disposition, note), _NIL
        if _is_nil(disposition) and _is_disposition(language):
            disposition, language = language, _NIL
        self.disposition = _disposition(disposition, note)
        if isinstance(language, tuple):
            self.language = tuple(_text(tag) for tag in language if _is_string(tag))
        elif not _is_nil(language):
            self.language = (_text(language),)
        self.location = _nstring(location, note)
        self.extensions = tuple(map(plain, data[3:]))


def _list(value: Token) -> tuple[Token, ...]:
    return value if isinstance(value, tuple) else ()


def _is_nil(value: Token) -> bool:
    return isinstance(value, Atom) and value.is_nil


def _is_string(value: Token) -> bool:
    """Whether it is a string, or an atom in the place of one: no number, and not NIL."""
    return isinstance(value, bytes) and not (isinstance(value, Atom) and (value.is_nil or value.isdigit()))


def _text(value: Token) -> str:
    assert isinstance(value, bytes)
    return value.decode("utf-8", "surrogateescape")


def _media_type(type_: str, subtype: str) -> tuple[str, str]:
    """Return the media type; where a half of it is empty, the most general of its kind (RFC 2045, section 5.2)."""
    type_ = type_ or ("application" if subtype else "text")
    return type_, subtype or {"text": "plain", "multipart": "mixed"}.get(type_, "octet-stream")


def _has_encoding(value: Sequence[Token], index: int) -> bool:
    """Whether an encoding stands at `index`, and a size after it."""
    return len(value) > index + 1 and _is_string(value[index]) and (_integer(value[index + 1]) is not None)


def _has_message(rest: Sequence[Token]) -> bool:
    """Whether envelope, body and lines of a message come next, not the extension data of a single part."""
    if len(rest) > 2 and _integer(rest[2]) is not None:
        return True
    return len(rest) > 1 and isinstance(rest[0], tuple) and isinstance(rest[1], tuple)


def _size(value: Token, note: Note) -> int | None:
    return None if _is_nil(value) else _number(value, note)


def _is_disposition(value: Token) -> bool:
    """Whether this is a disposition with its parameters, and no list of languages."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return _is_string(value[0]) and (_is_nil(value[1]) or isinstance(value[1], tuple))


def _disposition(value: Token, note: Note) -> Disposition | None:
    if _is_nil(value) or (isinstance(value, tuple) and all(map(_is_nil, value))):
        return None
    if isinstance(value, tuple):
        kind, parameters, *_ = *value, _NIL
        if _is_string(kind):
            return _word(kind), _parameters(parameters, note)
    elif _word(value) in _DISPOSITIONS:
        return _word(value), ()
    note("no disposition")
    return None


_FIELDS: dict[str, tuple[str, int, Callable[[Token, Note], object]]] = {
    "UID": ("uid", PRESENT_UID, _uid),
    "FLAGS": ("flags", PRESENT_FLAGS, _flags),
    "RFC822.SIZE": ("size", PRESENT_SIZE, _number),
    "INTERNALDATE": ("internal_date", PRESENT_INTERNALDATE, _date),
    "MODSEQ": ("mod_sequence", PRESENT_MODSEQ, _mod_sequence),
    "ENVELOPE": ("envelope", PRESENT_ENVELOPE, _envelope),
    "BODYSTRUCTURE": ("body_structure", PRESENT_BODYSTRUCTURE, _body),
    "BODY": ("body_structure", PRESENT_BODYSTRUCTURE, _body),
    "BODY[]": ("body", PRESENT_BODY, _octets),
    "RFC822": ("body", PRESENT_BODY, _octets),
    "RFC822[]": ("body", PRESENT_BODY, _octets),
}
_DECODERS: dict[str, Callable[[Token, Note], object]] = {
    "RFC822.HEADER": _octets,
    "RFC822.TEXT": _octets,
    "X-GM-MSGID": _number,
    "X-GM-THRID": _number,
    "X-GM-LABELS": _labels,
    "EMAILID": _object_id,
    "THREADID": _object_id,
    "PREVIEW": _preview,
    "SAVEDATE": _save_date,
}


def _decoder(name: str) -> Callable[[Token, Note], object]:
    if name.startswith(("BODY[", "BINARY[")):
        return _octets
    if name.startswith("BINARY.SIZE["):
        return _number
    return _DECODERS.get(name, _as_it_is)


def fetch(fragments: Sequence[bytes | Streamed], depth: int = READER_LIMITS.depth) -> FetchedMessage | None:
    """Return one response of ``ResponseReader.responses()`` as a row, or None where it is no FETCH response.

    A literal may be :class:`~fastimap.message.Streamed`. UIDFETCH (RFC 9586) is taken too. Nothing raises: what can't
    be read is in the row's `defects`, what is nested deeper than `depth` parentheses too, the response's own counted.
    """
    head = _HEAD.match(fragments[0]) if fragments and isinstance(fragments[0], bytes) else None
    if head is None:
        return None
    row = _Row()
    number = _number(head[1], row.note, 1, _MAX_UID)
    if head[2]:
        row.fields["uid"] = number
        row.present = PRESENT_UID
    else:
        row.fields["sequence_number"] = number
    try:
        reader = _Reader(fragments, depth - 1)
    except ParseError as exc:  # fragments that no ResponseReader gives
        row.note(str(exc))
        return row.message()
    reader.position = head.end()
    while not row.broken and not reader.at_end():
        row.take_item(reader)
    if not row.broken and not reader.closed:
        row.name = ""
        row.start = reader.text
        row.note("not closed")
    return row.message()
