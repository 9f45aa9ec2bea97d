"""Tokens: the octets of a response as lists, strings and atoms; the twin of ``_parser_pyx/tokens.pxi``."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union, final

from ..errors import NestingTooDeep, ParseError
from ..limits import READER_LIMITS
from ..model._patterns import pattern

if TYPE_CHECKING:
    from ..model.responses import Value

__all__ = ["Atom", "Token", "number_ranges", "plain", "tokenize"]


@final
class Atom(bytes):
    """An atom's octets, as they were sent; strings, quoted and literal, are bytes themselves.

    What an atom is, a number, NIL or a name, is for the grammar of the response to say.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({super().__repr__()})"

    __str__ = __repr__

    @property
    def is_nil(self) -> bool:
        """Whether it spells NIL, in any case."""
        return len(self) == 3 and self.upper() == b"NIL"


Token: TypeAlias = Union[Atom, bytes, "tuple[Token, ...]"]

_MAX_SIZE = 2**63 - 1
_SHOWN = 80
_LARGEST_NUMBER = 2**32 - 1  # of a message (RFC 9051, section 9, nz-number)
_SECTION_ROOM = 8 * 1024  # of the name of a section that is cut by literals

_FETCH = pattern(rb"\* +([0-9]+) +(UID)?FETCH *\(", re.IGNORECASE)
_STATUS = pattern(rb"\* +(?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)
_TAGGED = pattern(rb"([^ +*(){%\"\\\r\n]+) (?:OK|NO|BAD)(?=[ \r\n]|\Z)", re.IGNORECASE)
# An item whose value is a part of the message itself.
_PART = pattern(
    rb"(?:BODY|BINARY)(?:\.PEEK)?\[[^\]]*\](?:<[0-9.]*>)?|RFC822(?:\[\]|\.HEADER|\.TEXT)?", re.IGNORECASE | re.DOTALL
)
_LITERAL = pattern(rb"\{([0-9]+)\+?\}\Z")
_ANNOUNCEMENT = pattern(rb"~?\{[0-9]+\+?\}\Z")
# A quote that neither a space, a parenthesis nor the end follows is taken as part of the string: servers send
# unescaped quotes, and no grammar puts two strings side by side.
_QUOTED = pattern(rb'((?:[^"\\]|\\.|"(?![ ()]|\Z))*+)"', re.DOTALL)
# The same where a backslash before a quote that seems to close the string escapes nothing.
_LONE = pattern(rb'((?:[^"\\]|\\"(?![ ()]|\Z)|\\[^"]|\\(?="(?:[ ()]|\Z))|"(?![ ()]|\Z))*+)"', re.DOTALL)
_ESCAPED = pattern(rb'\\(["\\])')
_ATOM = pattern(rb"[^ ()]+")
_SECTION = pattern(rb"(?:BODY(?:\.PEEK)?|BINARY(?:\.PEEK|\.SIZE)?)\[", re.IGNORECASE)


def tokenize(fragments: Sequence[bytes], depth: int = READER_LIMITS.depth) -> tuple[Token, ...]:
    """Return the tokens in `fragments`; see :mod:`fastimap.parser`."""
    scanner = _Scanner(fragments, depth)
    tokens: list[Token] = []
    while scanner.has_token():
        tokens.append(scanner.token())
    return tuple(tokens)


class _Scanner:
    """Reads tokens from the fragments of one response; what can't be read is a ParseError."""

    def __init__(self, fragments: Sequence[Any], depth: int = READER_LIMITS.depth) -> None:
        self.fragments = fragments
        self.depth = depth
        self.lone_backslash = False  # whether a backslash before a quote that seems to close a string escapes nothing
        self.go_to(0)

    def go_to(self, index: int) -> None:
        """Read on at the beginning of the line with this index among the fragments."""
        self.index = index
        self.position = 0
        self.sections = True  # whether a section may end in this line
        self.text = self.fragments[index] if index < len(self.fragments) else b""
        if index + 1 < len(self.fragments):
            announcement = _ANNOUNCEMENT.search(self.text, max(0, self.text.rfind(b"{") - 1))
            if announcement is None:
                raise ParseError(f"line {index // 2} announces no literal: {_shown(self.text)}")
            self.text = self.text[: announcement.start()]

    def has_token(self) -> bool:
        """Skip spaces; whether anything comes after them."""
        while self.text.startswith(b" ", self.position):
            self.position += 1
        return self.position < len(self.text) or self.index + 1 < len(self.fragments)

    def token(self) -> Token:
        """Return the token that begins here."""
        lists: list[list[Token]] = []
        token: Token
        while True:
            if self.position == len(self.text):
                if self.index + 1 >= len(self.fragments):
                    raise ParseError(f"{len(lists)} parentheses not closed")
                token = self.literal()
            else:
                octet = self.text[self.position]
                if octet == 0x20:
                    self.position += 1
                    continue
                if octet == 0x28:
                    if len(lists) >= self.depth:
                        raise NestingTooDeep(f"parentheses nested deeper than {self.depth}")
                    lists.append([])
                    self.position += 1
                    continue
                if octet == 0x29:
                    if not lists:
                        raise ParseError(f"unexpected ')' at octet {self.position} of line {self.index // 2}")
                    token = tuple(lists.pop())
                    self.position += 1
                elif octet == 0x22:
                    token = self.quoted()
                else:
                    token = self.atom()
            if not lists:
                return token
            lists[-1].append(token)

    def literal(self) -> bytes:
        literal: bytes = self.fragments[self.index + 1]  # or a Streamed, in a FETCH response
        self.go_to(self.index + 2)
        return literal

    def quoted(self) -> bytes:
        quoted = (_LONE if self.lone_backslash else _QUOTED).match(self.text, self.position + 1)
        if quoted is None:
            raise ParseError(f"quoted string not closed at octet {self.position} of line {self.index // 2}")
        self.position = quoted.end()
        return _ESCAPED.sub(rb"\1", quoted[1]) if b"\\" in quoted[1] else quoted[1]

    def atom(self) -> Atom:
        """Return an atom; a section with what it holds is one."""
        start = self.position
        self.position = _end_of_atom(self.text, start)
        if self.sections and _SECTION.match(self.text, start):
            bracket = self.text.find(b"]", start)
            if bracket < 0:
                self.sections = False  # nor does a later section in this line end
            else:
                self.position = _end_of_atom(self.text, bracket)
        return Atom(self.text[start : self.position])


def _end_of_atom(text: bytes, position: int) -> int:
    atom = _ATOM.match(text, position)
    assert atom is not None
    return atom.end()


def plain(token: Token) -> Value:
    """Return data of which no grammar is known as plain values.

    Lists become tuples, strings stay bytes; of the atoms NIL becomes None, a number as it is written canonically
    (``7``, not ``007``) int, where it has 63 bits at most, and all others str (UTF-8, other octets as surrogates).
    """
    if isinstance(token, tuple):
        # Not recursive: lists nest as deep as the limit allows.
        outer: list[tuple[list[Value], Iterator[Token]]] = [([], iter(token))]
        while True:
            values, rest = outer[-1]
            for inner in rest:
                if isinstance(inner, tuple):
                    outer.append(([], iter(inner)))
                    break
                values.append(plain(inner))
            else:
                outer.pop()
                if not outer:
                    return tuple(values)
                outer[-1][0].append(tuple(values))
    if not isinstance(token, Atom):
        return token
    if token.is_nil:
        return None
    if token.isdigit() and (token[0] != 0x30 or len(token) == 1) and len(token) <= 19 and int(token) <= _MAX_SIZE:
        return int(token)
    return token.decode("utf-8", "surrogateescape")


class _Outline:
    """What the lines of a response come to so far: open parentheses, an open quoted string; and of a FETCH response
    the message, and the item whose value comes next."""

    def __init__(self) -> None:
        self.depth = 0
        self.quoted = False  # whether a quoted string is open at the end of the last line
        self.section: bytes | None = None  # the beginning of a section that is open there
        self.name = b""  # the atom at the end of the last line
        self.number = 0  # the one before FETCH
        self.uid: int | None = None
        self.by_uid = False  # UIDFETCH (RFC 9586)

    def begin(self, text: bytes) -> bool:
        """Take a response's first line, without its end; whether it is a FETCH response."""
        self.__init__()  # type: ignore[misc]
        head = _FETCH.match(text)
        if head is None:
            return False
        self.depth = 1
        self.number = int(head[1]) if len(head[1]) <= 10 else 0
        self.by_uid = head[2] is not None
        self.feed(text, head.end())
        return True

    def feed(self, text: bytes, position: int = 0) -> None:
        """Take a line without its end: the one after a literal, or after a line break inside a quoted string."""
        text = _without_announcement(text)
        before = self.depth, self.quoted, self.section, self.uid
        self._scan(text, position, False)
        # A string that nothing closes, though a quote after a backslash might: some servers escape no backslash.
        if self.quoted and b'\\"' in text:
            after = self.depth, self.section, self.uid
            self.depth, self.quoted, self.section, self.uid = before
            self._scan(text, position, True)
            if self.quoted or not (self.depth == 0 or (self.depth == 1 and self.is_part)):
                self.quoted = True
                self.depth, self.section, self.uid = after
                self.name = b""

    def add_literal(self, octets: bytes) -> None:
        """Take the literal after the line: header fields in the name of a section may be literals."""
        if self.section is not None and len(self.section) + len(octets) <= _SECTION_ROOM:
            self.section += b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    def _scan(self, text: bytes, position: int, lone_backslash: bool) -> None:
        uid_is_next = False
        self.name = b""
        if self.section is not None:
            position = text.find(b"]") + 1
            if not position:
                if len(self.section) <= _SECTION_ROOM:
                    self.section += text
                return
            position = _end_of_atom(text, position - 1)
            self.name, self.section = self.section + text[:position], None
        while position < len(text):
            octet = text[position]
            if self.quoted or octet == 0x22:
                stop = _end_of_string(text, position + (not self.quoted), lone_backslash)
                self.quoted = stop < 0
                self.name = b""
                uid_is_next = False
                if self.quoted:
                    return
                position = stop
            elif octet == 0x20:
                position += 1
            elif octet in b"()":
                self.depth += 1 if octet == 0x28 else -1
                self.name = b""
                uid_is_next = False
                position += 1
            else:
                stop = _end_of_atom(text, position)
                if _SECTION.match(text, position):
                    bracket = text.find(b"]", position)
                    if bracket < 0:
                        self.section = text[position:]
                        self.name = b""
                        return
                    stop = _end_of_atom(text, bracket)
                self.name = text[position:stop]
                if uid_is_next and self.uid is None and self.name.isdigit() and stop - position <= 10:
                    self.uid = int(self.name)
                uid_is_next = self.depth == 1 and self.name.upper() == b"UID"
                position = stop

    def copy(self) -> _Outline:
        other = _Outline()
        vars(other).update(vars(self))
        return other

    @property
    def is_part(self) -> bool:
        """Whether the item at the end of the last line is a part of the message itself, as against ENVELOPE, say."""
        return _PART.fullmatch(self.name) is not None


def _end_of_string(text: bytes, position: int, lone_backslash: bool = False) -> int:
    """Return the position after the quote that closes the string which goes on at `position`, or -1."""
    found = (_LONE if lone_backslash else _QUOTED).match(text, position)
    return -1 if found is None else found.end()


def _without_announcement(text: bytes) -> bytes:
    found = _ANNOUNCEMENT.search(text, max(0, text.rfind(b"{") - 1)) if text.endswith(b"}") else None
    return text if found is None else text[: found.start()]


def _announced(text: bytes) -> int:
    """Return the size that a literal's announcement at the end of `text` gives, or -1; not exact above _MAX_SIZE."""
    found = _LITERAL.search(text, max(0, text.rfind(b"{")))
    if found is None:
        return -1
    digits = found[1].lstrip(b"0")
    return int(digits or b"0") if len(digits) <= 19 else _MAX_SIZE + 1


def _is_tagged(line: bytes, tags: Container[bytes] | None) -> bool:
    """Whether `line` answers a command: by its tag where those in flight are known, else by its status."""
    tagged = _TAGGED.match(line)
    return tagged is not None and (tags is None or tagged[1] in tags)


def _is_status_line(text: bytes) -> bool:
    """Whether it is OK, NO, BAD, BYE or PREAUTH, untagged: no literal ends these."""
    return _STATUS.match(text) is not None


def _shown(octets: bytes) -> str:
    return repr(octets) if len(octets) <= _SHOWN else repr(octets[:_SHOWN]) + "..."


def number_ranges(octets: bytes) -> tuple[tuple[int, int], ...]:
    """Return the numbers of a SEARCH response as ranges; see :mod:`fastimap.parser`."""
    if octets.translate(None, b"0123456789 "):
        raise ValueError("not numbers alone")
    try:
        numbers = sorted(map(int, octets.split()))
    except ValueError:  # more digits than Python takes
        numbers = [0]
    if not numbers:
        return ()
    if not 1 <= numbers[0] <= numbers[-1] <= _LARGEST_NUMBER:
        raise ValueError(f"message numbers go from 1 to {_LARGEST_NUMBER}")
    ranges: list[tuple[int, int]] = []
    low = high = numbers[0]
    for number in numbers:
        if number > high + 1:
            ranges.append((low, high))
            low = number
        high = number
    ranges.append((low, high))
    return tuple(ranges)
