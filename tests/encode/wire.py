"""An independent reading of commands: octets to arguments, by the grammar of RFC 9051, section 9."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from fastimap.wire.encode import Encoded, Wait

Argument: TypeAlias = "bytes | String | list[Argument]"

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"]+')
_LITERAL = re.compile(rb"(~?)\{(0|[1-9]\d*)(\+?)\}\r\n")


class String(bytes):
    """A quoted string or literal, without its quotes or announcement."""


def sent(encoded: Encoded) -> bytes:
    """All that goes out, as a server sees it that sends its continuation requests at once."""
    return b"".join(fragment for fragment in encoded if not isinstance(fragment, Wait))


def arguments(line: bytes) -> list[Argument]:
    """Read one whole command, the tag included; AssertionError where it is not one command."""
    position = 0
    lists: list[list[Argument]] = [[]]
    while True:
        if line[position : position + 1] == b"(":
            lists.append([])
            position += 1
            if line[position : position + 1] != b")":
                continue
        elif line[position : position + 1] == b'"':
            text, position = _quoted(line, position + 1)
            lists[-1].append(String(text))
        elif literal := _LITERAL.match(line, position):
            position = literal.end() + int(literal[2])
            lists[-1].append(String(line[literal.end() : position]))
        else:
            atom = _ATOM.match(line, position)
            assert atom, f"neither atom nor string: {line[position:]!r}"
            lists[-1].append(atom[0])
            position = atom.end()
        while line[position : position + 1] == b")":
            done = lists.pop()
            assert lists, f"a parenthesis too many: {line!r}"
            lists[-1].append(done)
            position += 1
        if line[position:] == b"\r\n":
            assert len(lists) == 1, f"a parenthesis too few: {line!r}"
            return lists[0]
        assert line[position : position + 1] == b" ", f"no space: {line[position:]!r}"
        position += 1


def _quoted(line: bytes, position: int) -> tuple[bytes, int]:
    text = bytearray()
    while line[position] != ord('"'):
        assert line[position] not in b"\r\n\0", f"a line ends in a quoted string: {line!r}"
        if line[position] == ord("\\"):
            position += 1
            assert line[position] in b'"\\', f"a wrong escape: {line!r}"
        text.append(line[position])
        position += 1
    return bytes(text), position + 1


def flattened(found: Iterable[Argument]) -> list[bytes]:
    """The atoms and strings of `found`, without their lists."""
    flat: list[bytes] = []
    for argument in found:
        flat += flattened(argument) if isinstance(argument, list) else [argument]
    return flat
