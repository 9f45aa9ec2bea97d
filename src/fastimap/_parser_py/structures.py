"""Envelopes and body structures; the twin of ``_parser_pyx/structures.pxi``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..model.message import Address, BodyStructure, Defect, Disposition, Envelope, Parameters
from ..model.tokens import MAX_SIZE, Atom, Token, plain
from .tokens import _NIL, _Scanner

if TYPE_CHECKING:
    from ..model.responses import Value

__all__: list[str] = []

_SHOWN = 80
_MAX_DEFECTS = 100  # of one row: a defect takes far more memory than the two octets that may cause it
_INTEGER = re.compile(rb" *([0-9]{1,19}) *\Z")
_TYPES = {"application", "audio", "font", "image", "message", "model", "multipart", "text", "video"}
_MAX_PARTS = 10_000  # Dovecot stops there. "()" is a part too, and would take 500 times its two octets.
_DISPOSITIONS = {"inline", "attachment"}
_DEFAULT_ENCODING = "7bit"  # RFC 2045, section 6.1


class _Structures(_Scanner):
    """Tokens to types. Each method returns the right value, or notes why there is none."""

    name = ""  # of the current item,
    start = b""  # and what it begins with

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.defects: list[Defect] = []

    def note(self, reason: str) -> None:
        """Note why the current item is not as it should be."""
        if len(self.defects) < _MAX_DEFECTS:
            self.defects.append(Defect(self.name, reason, bytes(self.start[:_SHOWN])))

    def _number(self, value: Token, low: int = 0, high: int = MAX_SIZE) -> int | None:
        number = _integer(value)
        if number is None or not low <= number <= high:
            self.note("no number" if number is None else f"a number that is not in {low}..{high}")
            return None
        return number

    def _nstring(self, value: Token) -> bytes | None:
        """Return a string inside an envelope or a body structure; an atom or a number counts as one, () as NIL."""
        if type(value) is bytes:
            return value
        if _is_nil(value) or value == ():
            return None
        if isinstance(value, bytes):
            return bytes(value)
        self.note("a list where a string belongs")
        return None

    def _envelope(self, value: Token) -> Envelope | None:
        if not isinstance(value, tuple):
            self.note("no envelope")
            return None
        if len(value) != 10:
            self.note(f"an envelope of {len(value)} fields, not 10")
            value = (*value[:10], *[_NIL] * (10 - len(value)))
        date, subject = map(self._nstring, value[:2])
        from_, sender, reply_to, to, cc, bcc = map(self._addresses, value[2:8])
        in_reply_to, message_id = map(self._nstring, value[8:])
        return Envelope(date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id)

    def _addresses(self, value: Token) -> tuple[Address, ...]:
        if _is_nil(value) or value == ():
            return ()
        if not isinstance(value, tuple):
            self.note("a string where a list of addresses belongs")
            return ()
        if len(value) == 4 and not any(isinstance(member, tuple) for member in value):
            value = (value,)  # an address alone, without the parentheses of the list
        return tuple([address for member in value if not _is_nil(member) and (address := self._address(member))])

    def _address(self, value: Token) -> Address | None:
        if not isinstance(value, tuple) or len(value) < 4:
            self.note("not an address")
            return None
        if len(value) > 4:
            self.note(f"an address of {len(value)} fields, not 4")
            value = (_NIL, _NIL, *value[-2:])
        return Address(*map(self._nstring, value))

    def _word(self, value: Token) -> str:
        """Return a word that MIME compares without regard to case, in lower case; "" for NIL."""
        if not isinstance(value, bytes) or _is_nil(value):
            return ""
        return value.strip().lower().decode("utf-8", "surrogateescape")

    def _parameters(self, value: Token) -> Parameters:
        if _is_nil(value):
            return ()
        if not isinstance(value, tuple):
            self.note("a string where a list of parameters belongs")
            return ()
        pairs = zip(value[::2], (*value[1::2], _NIL), strict=False)
        return tuple([(self._word(name), self._nstring(octets) or b"") for name, octets in pairs if _is_string(name)])

    def _part(self, parent: str, number: int) -> str:
        """Return the path of a part: that of its parent and its number."""
        return f"{parent}.{number}" if parent else str(number)

    def _body(self, value: Token) -> BodyStructure | None:
        if not isinstance(value, tuple) or not value:
            self.note("no body structure")
            return None
        # Not recursive: a server may nest deeper than Python's stack allows where the caller stands.
        parts = [_Part(self, value)]
        for part in parts:
            if len(parts) + len(part.inner) > _MAX_PARTS:
                self.note(f"more than {_MAX_PARTS} parts")
                return None
            parts += part.take_number_and_open()
        for part in reversed(parts):
            part.build()
        return parts[0].built

    def _disposition(self, value: Token) -> Disposition | None:
        if _is_nil(value) or (isinstance(value, tuple) and all(map(_is_nil, value))):
            return None
        if isinstance(value, tuple):
            kind, parameters, *_ = *value, _NIL
            if _is_string(kind):
                return self._word(kind), self._parameters(parameters)
        elif self._word(value) in _DISPOSITIONS:
            return self._word(value), ()
        self.note("no disposition")
        return None

    def _language(self, value: Token) -> tuple[str, ...]:
        if _is_nil(value):
            return ()
        tags = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(tag, bytes) for tag in tags):
            self.note("no language")
        return tuple(_text(tag) for tag in tags if isinstance(tag, bytes) and not _is_nil(tag))

    def _size(self, value: Token) -> int | None:
        return None if _is_nil(value) else self._number(value)


class _Part:
    """A BodyStructure in the making."""

    inner: Sequence[Token] = ()  # values of the parts inside
    subtype = "octet-stream"
    parameters: Parameters = ()
    content_id: bytes | None = None
    description: bytes | None = None
    encoding = ""
    size: int | None = None
    lines: int | None = None
    envelope: Envelope | None = None
    md5: bytes | None = None
    disposition: Disposition | None = None
    language: tuple[str, ...] = ()
    location: bytes | None = None
    extensions: tuple[Value, ...] = ()

    def __init__(
        self, reader: _Structures, value: tuple[Token, ...], number: str = "", *, is_whole: bool = True
    ) -> None:
        self.reader = reader
        self.number = number  # of the message, where it is a whole one
        self.is_whole = is_whole
        self.children: list[_Part] = []
        self._read(value)

    def take_number_and_open(self) -> list[_Part]:
        """Return the parts inside; RFC 9051, section 6.4.5.1, numbers them."""
        if self.type == "multipart":
            for index, value in enumerate(self.inner, 1):
                number = self.reader._part(self.number, index)
                self.children.append(_Part(self.reader, _list(value), number, is_whole=False))
            return self.children
        if self.is_whole:
            self.number = self.reader._part(self.number, 1)
        self.children = [_Part(self.reader, _list(value), self.number) for value in self.inner]
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
            tuple([child.built for child in self.children]),
            self.md5,
            self.disposition,
            self.language,
            self.location,
            self.extensions,
        )

    def _read(self, value: tuple[Token, ...]) -> None:
        inside = 0
        while inside < len(value) and isinstance(value[inside], tuple):
            inside += 1
        first, second, *_ = *value, _NIL, _NIL
        if inside:
            self._read_multipart(value[:inside], value[inside:])
        elif _is_string(first) and _is_string(second):
            self._read_single(*_media_type(self.reader._word(first), self.reader._word(second)), value[2:])
        elif _is_string(first) and _is_nil(second) and _has_encoding(value, 5):
            self.reader.note("a media type without subtype")
            self._read_single(*_media_type(self.reader._word(first), ""), value[2:])
        elif _is_string(first) and (self.reader._word(first) in _TYPES or _has_encoding(value, 4)):
            self.reader.note("a media type of one word")
            word = self.reader._word(first)
            type_, subtype = _media_type(word, "") if word in _TYPES else _media_type("", word)
            self._read_single(type_, subtype, value[1:])
        elif _is_string(first):
            self._read_multipart((), value)
        elif _is_string(second) and not _has_encoding(value, 5):
            self._read_multipart((), value[1:])
        else:
            self.reader.note("a part without media type")
            self._read_single("application", self.reader._word(second) or "octet-stream", value[2:])

    def _read_multipart(self, inner: Sequence[Token], rest: Sequence[Token]) -> None:
        self.type = "multipart"
        self.inner = inner
        subtype = self.reader._word(rest[0]) if rest and _is_string(rest[0]) else ""
        if not subtype:
            self.reader.note("a multipart without subtype")
        self.subtype = subtype or "mixed"
        if len(rest) > 1:
            self.parameters = self.reader._parameters(rest[1])
        self._read_extension_data(rest[2:])

    def _read_single(self, type_: str, subtype: str, rest: Sequence[Token]) -> None:
        self.type = type_
        self.subtype = subtype
        if len(rest) < 5:
            self.reader.note("a part without encoding and size")
        parameters, content_id, description, encoding, size, *_ = *rest, _NIL, _NIL, _NIL, _NIL, _NIL
        self.parameters = self.reader._parameters(parameters)
        self.content_id = self.reader._nstring(content_id)
        self.description = self.reader._nstring(description)
        self.encoding = self.reader._word(encoding) or _DEFAULT_ENCODING
        self.size = self.reader._size(size)
        rest = rest[5:]
        if type_ == "message" and subtype in ("rfc822", "global") and _has_message(rest):
            if not _is_nil(rest[0]):
                self.envelope = self.reader._envelope(rest[0])
            self.inner = rest[1:2] if _list(rest[1]) else ()
            self.lines = self.reader._size(rest[2]) if len(rest) > 2 else None
            rest = rest[3:]
        elif rest and _has_lines(type_, rest):
            self.lines = self.reader._size(rest[0])
            rest = rest[1:]
        if rest:
            self.md5 = self.reader._nstring(rest[0])
        self._read_extension_data(rest[1:])

    def _read_extension_data(self, data: Sequence[Token]) -> None:
        """Read what both kinds end in: disposition, language, location, and what is not defined yet."""
        if not data:
            return
        disposition, language, location, *_ = *data, _NIL, _NIL, _NIL
        if _is_string(disposition) and self.reader._word(disposition) not in _DISPOSITIONS and self.description is None:
            self.description, disposition = self.reader._nstring(disposition), _NIL
        if _is_nil(disposition) and _is_disposition(language):
            disposition, language = language, _NIL
        self.disposition = self.reader._disposition(disposition)
        self.language = self.reader._language(language)
        self.location = self.reader._nstring(location)
        self.extensions = tuple(map(plain, data[3:]))


def _integer(value: Token) -> int | None:
    """Return the number that `value` is, or holds as a string."""
    if not isinstance(value, bytes):
        return None
    if value.isdigit() and len(value) <= 19:
        return int(value)
    found = _INTEGER.match(value)
    return int(found[1]) if found else None


def _list(value: Token) -> tuple[Token, ...]:
    return value if isinstance(value, tuple) else ()


def _is_nil(value: Token) -> bool:
    return value is _NIL or (isinstance(value, Atom) and value.is_nil)


def _is_string(value: Token) -> bool:
    """Whether it is a string, or an atom in the place of one: no number, and not NIL."""
    return type(value) is bytes or (isinstance(value, Atom) and not (_is_nil(value) or value.isdigit()))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _media_type(type_: str, subtype: str) -> tuple[str, str]:
    """Return the media type; where a half of it is empty, the most general of its kind (RFC 2045, section 5.2)."""
    type_ = type_ or ("application" if subtype else "text")
    return type_, subtype or {"text": "plain", "multipart": "mixed"}.get(type_, "octet-stream")


def _has_encoding(value: Sequence[Token], index: int) -> bool:
    """Whether an encoding stands at `index`, and a size after it."""
    return len(value) > index + 1 and _is_string(value[index]) and (_integer(value[index + 1]) is not None)


def _has_lines(type_: str, rest: Sequence[Token]) -> bool:
    """Whether a number of lines comes next, which servers leave out of texts, and give to other parts."""
    if _integer(rest[0]) is not None:
        return True
    if type_ != "text" or not isinstance(rest[0], Atom):
        return False
    # It is no string, as the MD5 is; and NIL is that where the disposition comes next.
    return not (_is_nil(rest[0]) and len(rest) > 1 and _is_disposition(rest[1]))


def _has_message(rest: Sequence[Token]) -> bool:
    """Whether envelope, body and lines of a message come next, not the extension data of a single part."""
    if len(rest) > 2 and _integer(rest[2]) is not None:
        return True
    if len(rest) > 1 and isinstance(rest[0], tuple) and isinstance(rest[1], tuple):
        return True
    return len(rest) > 4 and all(map(_is_nil, rest[:3])) and _is_disposition(rest[4])


def _is_disposition(value: Token) -> bool:
    """Whether this is a disposition with its parameters, and no list of languages."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return _is_string(value[0]) and (_is_nil(value[1]) or isinstance(value[1], tuple))
