"""How the octets of a fuzzer become those of a server.

The first octet chooses: for the parser the limits, for the clients the conversation too. In the rest, CUT ends what
arrives at once, and LONG with the octet behind it stands for that many times 64 octets, so that a short input fills
the receive buffer (of 1 KiB, in the fuzzer's build) and makes literals that are received in place (those of more than
256 octets).
"""

from __future__ import annotations

LONG = 0x01
CUT = 0x02

# Bits of the first octet, for the parser; without the first the limits are the default ones.
SMALL_LIMITS = 0x01
DEEP = 0x02
"""The limit of depth is the default one."""

# For the clients: with this bit the limits are small; the others are the number of the conversation.
CLIENT_SMALL_LIMITS = 0x80


def arriving(octets: bytes, most: int) -> list[bytes]:
    """Return the pieces of an input, first octet excluded, as they arrive; `most` octets in all."""
    pieces = []
    for piece in octets.split(bytes([CUT])):
        plain, *longs = piece.split(bytes([LONG]))
        arrived = plain + b"".join(b"x" * (64 * long[0]) + long[1:] for long in longs if long)
        pieces.append(arrived[:most])
        most -= len(pieces[-1])
    return pieces
