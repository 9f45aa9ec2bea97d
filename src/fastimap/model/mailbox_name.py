"""Mailbox names: modified UTF-7 (RFC 3501, section 5.1.3) to and from ``str``, and INBOX in any case."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64

from ._patterns import pattern

__all__ = ["decode", "encode", "folded", "is_encoded"]

# Printable US-ASCII except "&" stands for itself; every other run of characters is shifted.
_SHIFTED = pattern(r"[^\x20-\x25\x27-\x7e]+")
_PRINTABLE = pattern(rb"[ -~]*+")
_SHIFT_SEQUENCE = pattern(rb"&([A-Za-z0-9+,]*)-")


def folded(name: str) -> str:
    """Return the name as servers give it: INBOX may be written in any case (RFC 9051, section 5.1)."""
    return "INBOX" if name.lower() == "inbox" else name  # not upper(): a dotless i becomes I


def encode(name: str) -> bytes:
    """Return `name` in modified UTF-7.

    Raises UnicodeEncodeError for a lone surrogate, which no mailbox name can hold.
    """
    return _SHIFTED.sub(_shift, name).encode("ascii")


def _shift(run: re.Match[str]) -> str:
    pieces = []
    for piece in re.split("(&)", run[0]):
        if piece == "&":
            pieces.append("&-")
        elif piece:
            digits = b2a_base64(piece.encode("utf-16-be"), newline=False)
            pieces.append("&" + digits.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-")
    return "".join(pieces)


def decode(octets: bytes) -> str:
    """Return the name that `octets`, in modified UTF-7, stand for.

    Raises ValueError where they are not modified UTF-7: octets outside printable US-ASCII, a shift that
    is not closed, is not base64 of whole UTF-16 units, or leaves surplus bits set.
    """
    if not _PRINTABLE.fullmatch(octets):
        raise ValueError(f"not modified UTF-7: {octets!r} has octets outside printable US-ASCII")
    parts = []
    position = 0
    while (shift := octets.find(b"&", position)) != -1:
        parts.append(octets[position:shift].decode("ascii"))
        sequence = _SHIFT_SEQUENCE.match(octets, shift)
        if sequence is None:
            raise ValueError(f"not modified UTF-7: {octets!r} has an '&' that no '-' closes")
        parts.append(_unshift(sequence[1]) if sequence[1] else "&")
        position = sequence.end()
    parts.append(octets[position:].decode("ascii"))
    return "".join(parts)


def _unshift(digits: bytes) -> str:
    padded = digits.replace(b",", b"/") + b"=" * (-len(digits) % 4)
    try:
        units = a2b_base64(padded)
        text = units.decode("utf-16-be")
    except (Error, UnicodeDecodeError) as exc:
        raise ValueError(f"not modified UTF-7: &{digits.decode('ascii')}- ({exc})") from None
    if b2a_base64(units, newline=False) != padded:
        raise ValueError(f"not modified UTF-7: &{digits.decode('ascii')}- has surplus bits")
    return text


def is_encoded(name: str) -> bool:
    """Whether `name` can be sent as it is: printable US-ASCII in which every "&" opens a valid shift."""
    try:
        decode(name.encode("ascii"))
    except ValueError:
        return False
    return True
