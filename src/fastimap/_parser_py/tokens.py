"""Tokens: the octets of a response as lists, strings and atoms; the twin of ``_parser_pyx/tokens.pxi``."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import Any

from .._errors import NestingTooDeep, ParseError
from ..limits import READER_LIMITS
from ..model._patterns import pattern
from ..model.tokens import Atom, Token

__all__ = ["number_bounds", "tokenize"]

_SHOWN = 80
_LARGEST_NUMBER = 2**32 - 1  # of a message (RFC 9051, section 9, nz-number)

_ANNOUNCEMENT = pattern(rb"~?\{[0-9]+\+?\}\Z")
# A quote that neither a space, a parenthesis nor the end follows is taken as part of the string: servers send
# unescaped quotes, and no grammar puts two strings side by side.
_QUOTED = pattern(rb'((?:[^"\\]|\\.|"(?![ ()]|\Z))*+)"', re.DOTALL)
# The same where a backslash before a quote that seems to close the string escapes nothing.
_LONE = pattern(rb'((?:[^"\\]|\\"(?![ ()]|\Z)|\\[^"]|\\(?="(?:[ ()]|\Z))|"(?![ ()]|\Z))*+)"', re.DOTALL)
_ESCAPED = pattern(rb'\\(["\\])')
_ATOM = pattern(rb"[^ ()]+")
# A token that can be read in one way only, by its group, after spaces; nothing where any other comes, or the end.
_PLAIN = re.compile(rb' *+(?:(\()|(\))|"([^"\\\n]*+)"(?![^ ()])|([^ ()"\[]++)(?![^ ()]))?+')
_OPENED, _CLOSED, _PLAIN_STRING, _PLAIN_ATOM = range(1, 5)
_NIL = Atom(b"NIL")
_SECTION = pattern(rb"(?:BODY(?:\.PEEK)?|BINARY(?:\.PEEK|\.SIZE)?)\[", re.IGNORECASE)


def tokenize(fragments: Sequence[bytes], depth: int = READER_LIMITS.depth) -> tuple[Token, ...]:
    """Return the tokens in `fragments`; see :mod:`fastimap.parser`."""
    scanner = _Scanner(depth)
    scanner.open(fragments)
    tokens: list[Token] = []
    while scanner.has_token():
        tokens.append(scanner.token())
    return tuple(tokens)


class _Scanner:
    """Reads tokens from the fragments of one response; what can't be read is a ParseError."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.lone_backslash = False  # whether a backslash before a quote that seems to close a string escapes nothing

    def open(self, fragments: Sequence[Any]) -> None:
        """Read these from now on: lines, and between two of them a literal."""
        self.fragments = fragments
        self.go_to(0)

    def go_to(self, index: int) -> None:
        """Read on at the beginning of the line with this index among the fragments."""
        self.index = index
        self.position = 0
        self.sections = True  # whether a section may end in this line
        self.text = self.fragments[index] if index < len(self.fragments) else b""
        if index + 1 < len(self.fragments):
            length = _before_announcement(self.text)
            if length < 0:
                raise ParseError(f"line {index // 2} announces no literal: {_shown(self.text)}")
            self.text = self.text[:length]

    def has_token(self) -> bool:
        """Skip spaces; whether anything comes after them."""
        text = self.text
        while self.position < len(text) and text[self.position] == 0x20:
            self.position += 1
        return self.position < len(text) or self.index + 1 < len(self.fragments)

    def token(self) -> Token:
        """Return the token that begins here."""
        lists: list[list[Token]] = []
        token: Token
        while True:
            for found in _PLAIN.finditer(self.text, self.position):
                kind = found.lastindex
                if kind == _PLAIN_STRING:
                    token = found[_PLAIN_STRING]
                elif kind == _PLAIN_ATOM:
                    octets = found[_PLAIN_ATOM]
                    token = _NIL if octets == b"NIL" else Atom(octets)
                elif kind == _OPENED:
                    if len(lists) >= self.depth:
                        raise NestingTooDeep(f"parentheses nested deeper than {self.depth}")
                    lists.append([])
                    continue
                elif kind == _CLOSED:
                    if not lists:
                        raise ParseError(f"unexpected ')' at octet {found.end() - 1} of line {self.index // 2}")
                    token = tuple(lists.pop())
                else:
                    break
                if not lists:
                    self.position = found.end()
                    return token
                lists[-1].append(token)
            self.position = found.end()
            if self.position < len(self.text):
                token = self.quoted() if self.text[self.position] == 0x22 else self.atom()
            elif self.index + 1 < len(self.fragments):
                token = self.literal()
            else:
                raise ParseError(f"{len(lists)} parentheses not closed")
            if not lists:
                return token
            lists[-1].append(token)

    def quoted(self) -> bytes:
        quoted = (_LONE if self.lone_backslash else _QUOTED).match(self.text, self.position + 1)
        if quoted is None:
            raise ParseError(f"quoted string not closed at octet {self.position} of line {self.index // 2}")
        self.position = quoted.end()
        return _ESCAPED.sub(rb"\1", quoted[1]) if b"\\" in quoted[1] else quoted[1]

    def literal(self) -> bytes:
        literal: bytes = self.fragments[self.index + 1]  # or a Streamed, in a FETCH response
        self.go_to(self.index + 2)
        return literal

    def atom(self) -> Atom:
        """Return an atom; a section with what it holds is one."""
        start = self.position
        self.position = _end_of_atom(self.text, start)
        if self.sections and self.text[start] in b"Bb" and _SECTION.match(self.text, start):
            bracket = self.text.find(b"]", start)
            if bracket < 0:
                self.sections = False  # nor does a later section in this line end
            else:
                self.position = _end_of_atom(self.text, bracket)
        return Atom(self.text[start : self.position])


def _before_announcement(text: bytes) -> int:
    """Return the length of `text` without ``~{n+}`` and the like at its end, or -1."""
    found = _ANNOUNCEMENT.search(text, max(0, text.rfind(b"{") - 1)) if text.endswith(b"}") else None
    return -1 if found is None else found.start()


def _end_of_atom(text: bytes, position: int) -> int:
    atom = _ATOM.match(text, position)
    assert atom is not None
    return atom.end()


def _end_of_string(text: bytes, position: int, lone_backslash: bool = False) -> int:
    """Return the position after the quote that closes the string which goes on at `position`, or -1."""
    found = (_LONE if lone_backslash else _QUOTED).match(text, position)
    return -1 if found is None else found.end()


def _shown(octets: bytes) -> str:
    return repr(octets) if len(octets) <= _SHOWN else repr(octets[:_SHOWN]) + "..."


def number_bounds(octets: bytes) -> array[int]:
    """Return the ranges of the numbers of a SEARCH response; see :mod:`fastimap.parser`."""
    if octets.translate(None, b"0123456789 "):
        raise ValueError("not numbers alone")
    try:
        numbers = sorted(map(int, octets.split()))
    except ValueError:  # more digits than Python takes
        numbers = [0]
    bounds = array("I")
    if not numbers:
        return bounds
    if not 1 <= numbers[0] <= numbers[-1] <= _LARGEST_NUMBER:
        raise ValueError(f"message numbers go from 1 to {_LARGEST_NUMBER}")
    bounds.append(numbers[0])
    high = numbers[0]
    for number in numbers:
        if number > high + 1:
            bounds.append(high)
            bounds.append(number)
        high = number
    bounds.append(high)
    return bounds
