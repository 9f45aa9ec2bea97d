"""ENVELOPE (RFC 3501, section 7.4.2) from the header fields, with addresses as RFC 5322 writes them.

Encoded words stay as they are, and groups keep their name: the client decodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .grammar import write_nstring

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_TOKEN = re.compile(
    rb"""(?P<space>\s+)
    | "(?P<quoted>(?:[^"\\]|\\.)*)(?:"|\\?\Z)
    | (?P<domain_literal>\[[^\]]*\]?)
    | (?P<comment>\()
    | (?P<special>[<>@,:;])
    | (?P<word>[^\s"\[(<>@,:;]+)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_TOKEN = re.compile(rb"\\.|[()]", re.DOTALL)
_BACKSLASH = re.compile(rb"\\(.)", re.DOTALL)

_ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


class Field(NamedTuple):
    """One header field."""

    name: bytes
    """In lower case."""
    octets: bytes
    """The field as it stands in the header, folding and last line end included."""

    @property
    def value(self) -> bytes:
        """The text after the colon, unfolded."""
        return _FOLD.sub(b"", self.octets.partition(b":")[2]).strip()


class Token(NamedTuple):
    kind: str
    text: bytes
    spaced: bool
    """Whether white space or a comment stands before it."""

    def is_special(self, text: bytes) -> bool:
        return self.kind == "special" and self.text == text


class Address(NamedTuple):
    """The four strings of ENVELOPE's address; a group opens with only a mailbox and closes with none."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


_GROUP_END = Address(None, None, None, None)


def write_envelope(fields: Iterable[Field]) -> bytes:
    """Return the value of ENVELOPE for a header with these `fields`."""
    values: dict[bytes, bytes] = {}
    addresses: dict[bytes, list[bytes]] = {name: [] for name in _ADDRESS_FIELDS}
    for found in fields:
        if found.name in addresses:
            addresses[found.name].append(found.value)
        else:
            values.setdefault(found.name, found.value)
    lists = {name: _write_addresses(b", ".join(texts)) for name, texts in addresses.items()}
    for name in (b"sender", b"reply-to"):
        if lists[name] == b"NIL":
            lists[name] = lists[b"from"]
    items = [write_nstring(values.get(name)) for name in (b"date", b"subject")]
    items += [lists[name] for name in _ADDRESS_FIELDS]
    items += [write_nstring(values.get(name)) for name in (b"in-reply-to", b"message-id")]
    return b"(" + b" ".join(items) + b")"


def _write_addresses(text: bytes) -> bytes:
    addresses = [b"(" + b" ".join(write_nstring(item) for item in address) + b")" for address in parse_addresses(text)]
    return b"(" + b"".join(addresses) + b")" if addresses else b"NIL"


def parse_addresses(text: bytes) -> Iterator[Address]:
    """Yield the addresses and groups of an address list; what is malformed is taken as well as it goes."""
    words: list[Token] = []  # what stands outside angle brackets since the last address
    angle: list[Token] | None = None  # what stands inside them
    in_angle = in_group = False
    comment: bytes | None = None
    for token in [*_tokens(text), Token("special", b",", False)]:
        special = token.text if token.kind == "special" else b""
        if token.kind == "comment":
            comment = token.text
        elif in_angle and special != b">" and angle is not None:
            angle.append(token)
        elif special == b"<":
            angle, in_angle = [], True
        elif special == b">":
            in_angle = False
        elif special == b":" and not in_group:
            yield Address(None, None, _phrase(words), None)
            words, in_group = [], True
        elif special in (b",", b";"):
            if address := _address(words, angle, comment):
                yield address
            words, angle, comment = [], None, None
            if special == b";" and in_group:
                yield _GROUP_END
                in_group = False
        else:
            words.append(token)
    if in_angle and (address := _address(words, (angle or [])[:-1], comment)):
        yield address
    if in_group:
        yield _GROUP_END


def _address(words: list[Token], angle: list[Token] | None, comment: bytes | None) -> Address | None:
    name: bytes | None = None
    route: bytes | None = None
    if angle is None:
        specification = words
    else:
        name = _phrase(words) if words else None
        specification = angle
        colon = next((at for at, token in enumerate(angle) if token.is_special(b":")), -1)
        if colon != -1:
            route = b"".join(token.text for token in angle[:colon])
            specification = angle[colon + 1 :]
    if not specification and not name:
        return None
    at_sign = max((at for at, token in enumerate(specification) if token.is_special(b"@")), default=-1)
    if at_sign == -1:
        # No host: the empty string, as NIL would open a group.
        return Address(name or comment, route, _phrase(specification), b"")
    mailbox = b"".join(token.text for token in specification[:at_sign])
    host = b"".join(token.text for token in specification[at_sign + 1 :])
    return Address(name or comment, route, mailbox, host)


def _phrase(words: Iterable[Token]) -> bytes:
    return b"".join(b" " + word.text if word.spaced else word.text for word in words).lstrip()


def _tokens(text: bytes) -> Iterator[Token]:
    position, spaced = 0, False
    while (match := _TOKEN.match(text, position)) is not None:
        position = match.end()
        kind = match.lastgroup or ""
        if kind == "space":
            spaced = True
        elif kind == "comment":
            start, position = position, _comment_end(text, position)
            yield Token(kind, _BACKSLASH.sub(rb"\1", text[start:position].removesuffix(b")")), spaced)
            spaced = True
        else:
            octets = match[kind]
            yield Token(kind, _BACKSLASH.sub(rb"\1", octets) if kind == "quoted" else octets, spaced)
            spaced = False


def _comment_end(text: bytes, position: int) -> int:
    """Return where the comment ends whose text starts at `position`: comments nest."""
    depth = 1
    for found in _COMMENT_TOKEN.finditer(text, position):
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return len(text)
