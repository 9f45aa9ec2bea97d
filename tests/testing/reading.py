"""A small reader of IMAP's parenthesised values, written for these tests alone."""

import re
from collections.abc import Sequence

_TOKEN = re.compile(rb'\s*(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<atom>[^\s()"{]+))')
_LITERAL = re.compile(rb"\s*\{(\d+)\}\r\n")

Value = bytes | int | list["Value"] | None
Piece = bytes | tuple[bytes, bytes] | None
"""What imaplib makes of a response: a line, a line and its literal, or None where there is no response."""


def line(piece: Piece) -> bytes:
    """A line without a literal."""
    assert isinstance(piece, bytes)
    return piece


def literal(data: Sequence[Piece]) -> bytes:
    """The first literal of the data, which is in the first piece."""
    piece = data[0]
    assert isinstance(piece, tuple)
    return piece[1]


def joined(data: Sequence[Piece]) -> bytes:
    """The octets of one FETCH response, put together again from imaplib's pieces."""
    return b"".join(b"\r\n".join(piece) if isinstance(piece, tuple) else line(piece) for piece in data)


def text(value: Value) -> str:
    """A string of a response."""
    assert isinstance(value, bytes)
    return value.decode()


def values(value: Value) -> list[Value]:
    """A parenthesised list of a response."""
    assert isinstance(value, list)
    return value


def read_items(response: bytes) -> dict[str, Value]:
    """The items of a FETCH response (from its sequence number on): name to value."""
    items = values(read_values(response.partition(b" ")[2])[0])
    names = [name.decode() for name in items[::2] if isinstance(name, bytes)]
    return dict(zip(names, items[1::2], strict=True))


def read_values(octets: bytes) -> list[Value]:
    """Nested lists of octets, numbers and None. A section's brackets must hold no space or parenthesis."""
    stack: list[list[Value]] = [[]]
    position = 0
    while position < len(octets):
        if announced := _LITERAL.match(octets, position):
            position = announced.end() + int(announced[1])
            stack[-1].append(octets[announced.end() : position])
            continue
        token = _TOKEN.match(octets, position)
        assert token, octets[position : position + 40]
        position = token.end()
        if token["open"]:
            stack.append([])
        elif token["close"]:
            finished = stack.pop()
            stack[-1].append(finished)
        elif token["quoted"] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", token["quoted"]))
        else:
            atom = token["atom"]
            stack[-1].append(None if atom == b"NIL" else int(atom) if atom.isdigit() else atom)
    assert len(stack) == 1
    return stack[0]
