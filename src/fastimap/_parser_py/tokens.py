"""Tokens: the octets of a response as lists, strings and atoms; the twin of ``_parser_pyx/tokens.pxi``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias, Union

from ..errors import NestingTooDeep, ParseError
from ..limits import DEFAULT_LIMITS

__all__ = ["Value", "tokenize"]

Value: TypeAlias = Union[str, bytes, int, "tuple[Value, ...]", None]

_MAX_SIZE = 2**63 - 1
_SHOWN = 80

_FETCH = re.compile(rb"\* +[0-9]+ +(?:UID)?FETCH *\(", re.IGNORECASE)
# What stands in front of a literal that holds a part of the message itself.
_SECTION_ENDS = (b"] ", b"> ", b"RFC822 ", b"RFC822.HEADER ", b"RFC822.TEXT ")
_LITERAL = re.compile(rb"\{([0-9]+)\+?\}\Z")
_ANNOUNCEMENT = re.compile(rb"~?\{[0-9]+\+?\}\Z")
# A quote that neither a space, a parenthesis nor the end follows is taken as part of the string: servers send
# unescaped quotes, and no grammar puts two strings side by side.
_QUOTED = re.compile(rb'((?:[^"\\]|\\.|"(?![ ()]|\Z))*+)"', re.DOTALL)
_ESCAPED = re.compile(rb'\\(["\\])')
_ATOM = re.compile(rb"[^ ()]+")
_SECTION = re.compile(rb"(?:BODY(?:\.PEEK)?|BINARY(?:\.PEEK|\.SIZE)?)\[", re.IGNORECASE)


def _shown(octets: bytes) -> str:
    return repr(octets) if len(octets) <= _SHOWN else repr(octets[:_SHOWN]) + "..."


def tokenize(fragments: Sequence[bytes], depth: int = DEFAULT_LIMITS.depth) -> tuple[Value, ...]:
    """Return the values in `fragments`; see :mod:`fastimap.parser`."""
    values: list[Value] = []
    lists: list[list[Value]] = []
    for index in range(0, len(fragments), 2):
        text = fragments[index]
        if index + 1 < len(fragments):
            announcement = _ANNOUNCEMENT.search(text, max(0, text.rfind(b"{") - 1))
            if announcement is None:
                raise ParseError(f"line {index // 2} announces no literal: {_shown(text)}")
            text = text[: announcement.start()]
        position = 0
        sections = True
        while position < len(text):
            octet = text[position]
            if octet == 0x20:
                position += 1
            elif octet == 0x28:
                if len(lists) >= depth:
                    raise NestingTooDeep(f"parentheses nested deeper than {depth}")
                lists.append(values)
                values = []
                position += 1
            elif octet == 0x29:
                if not lists:
                    raise ParseError(f"unexpected ')' at octet {position} of line {index // 2}")
                done = tuple(values)
                values = lists.pop()
                values.append(done)
                position += 1
            elif octet == 0x22:
                quoted = _QUOTED.match(text, position + 1)
                if quoted is None:
                    raise ParseError(f"quoted string not closed at octet {position} of line {index // 2}")
                string = quoted[1]
                values.append(_ESCAPED.sub(rb"\1", string) if b"\\" in string else string)
                position = quoted.end()
            else:
                stop = _end_of_atom(text, position)
                if sections and _SECTION.match(text, position):
                    bracket = text.find(b"]", position)
                    if bracket < 0:
                        sections = False  # nor does a later section in this line end
                    else:
                        stop = _end_of_atom(text, bracket)
                values.append(_atom(text[position:stop]))
                position = stop
        if index + 1 < len(fragments):
            values.append(fragments[index + 1])
    if lists:
        raise ParseError(f"{len(lists)} parentheses not closed")
    return tuple(values)


def _end_of_atom(text: bytes, position: int) -> int:
    atom = _ATOM.match(text, position)
    assert atom is not None
    return atom.end()


def _atom(octets: bytes) -> Value:
    if octets.isdigit():
        digits = octets.lstrip(b"0")
        if len(digits) < 19 or (len(digits) == 19 and int(digits) <= _MAX_SIZE):
            return int(digits or b"0")
    elif octets.upper() == b"NIL":
        return None
    return octets.decode("utf-8", "surrogateescape")


def _is_fetch(text: bytes) -> bool:
    return _FETCH.match(text) is not None


def _ends_in_section(text: bytes) -> bool:
    """Whether `text` announces a literal with a part of the message, as against one in an ENVELOPE, say."""
    stop = text.rfind(b"{")
    stop -= text[stop - 1 : stop] == b"~"
    return text[max(0, stop - 14) : stop].upper().endswith(_SECTION_ENDS)


def _announced(text: bytes) -> int:
    """Return the size that a literal's announcement at the end of `text` gives, or -1; not exact above _MAX_SIZE."""
    found = _LITERAL.search(text, max(0, text.rfind(b"{")))
    if found is None:
        return -1
    digits = found[1].lstrip(b"0")
    return int(digits or b"0") if len(digits) <= 19 else _MAX_SIZE + 1


def _net_parentheses(text: bytes) -> int:
    """Return the opening less the closing parentheses of `text` that stand outside quoted strings."""
    net = 0
    position = 0
    quotes = True
    while position < len(text):
        octet = text[position]
        position += 1
        if octet == 0x28:
            net += 1
        elif octet == 0x29:
            net -= 1
        elif octet == 0x22 and quotes:
            end = _end_of_quoted(text, position)
            if end < 0:
                quotes = False  # no later quote can be closed either
            else:
                position = end
    return net


def _end_of_quoted(text: bytes, position: int) -> int:
    """Return the position behind the quote that closes the string opened before `position`, or -1."""
    while position < len(text):
        octet = text[position]
        if octet == 0x22:
            return position + 1
        position += 2 if octet == 0x5C else 1
    return -1
