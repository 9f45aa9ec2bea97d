"""What two copies of a message have in common, wherever they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..model._patterns import pattern
from ..model.headers import Headers

__all__ = ["HEADER", "ID", "Kind", "digest", "message_id", "message_id_of", "with_crlf"]

ID = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
"""The data item that `message_id` needs."""
_BARE = pattern(rb"(?<!\r)\n")
HEADER = 256 * 1024
"""Octets of a message among which its Message-ID is looked for."""
_NAMED = pattern(rb"^message-id[ \t]*:.*(?:\n[ \t].*)*", re.IGNORECASE | re.MULTILINE)


class Kind(NamedTuple):
    """What messages have in common that may be the same."""

    size: int
    message_id: bytes | None


def with_crlf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the octets with CRLF where a line ends in LF alone: servers that keep mail in files store it so."""
    cr = b""
    for piece in pieces:
        if piece.count(b"\n") == piece.count(b"\r\n"):  # most are so, and these are cheap to see
            yield piece
        else:
            yield _BARE.sub(b"\r\n", cr + piece)[len(cr) :]
        cr = b"\r" if piece.endswith(b"\r") else b""


def digest(pieces: Iterable[bytes]) -> bytes:
    """Return what tells messages from others, however their lines end."""
    from hashlib import sha256

    found = sha256(usedforsecurity=False)
    for piece in with_crlf(pieces):
        found.update(piece)
    return found.digest()


def message_id(headers: Headers) -> bytes | None:
    """Return the Message-ID, however it is folded; None where there is none."""
    found = headers.octets("message-id")
    return b"".join(found[0].split()) or None if found else None


def message_id_of(octets: bytes) -> bytes | None:
    """Return the Message-ID of a message."""
    head = octets[:HEADER]
    end = re.search(rb"(?:\A|\n)\r?\n", head)
    named = _NAMED.search(head, 0, end.start() + 1 if end else len(head))
    return message_id(Headers(named[0])) if named else None
