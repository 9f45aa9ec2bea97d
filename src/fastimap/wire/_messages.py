"""Changes in the selected mailbox: EXISTS, RECENT, EXPUNGE, VANISHED, FLAGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..model._patterns import pattern
from ..model.responses import Exists, ExpungeResponse, Flags, Recent, Response, Vanished
from ..model.sequence_set import UIDSet
from ._values import Data, count_of, flags, number_of, number_set

__all__ = ["DECODERS"]

_FROM_ZERO: Final = pattern(rb"(?<![0-9])0(?=:[0-9])")
"""The beginning of a range from 0: no message has that number."""


def _vanished(data: Data) -> Vanished:
    octets = data.line.strip(b" ")
    earlier = octets[:9].upper() == b"(EARLIER)"
    if earlier:
        octets = octets[9:].lstrip(b" ")
    octets = _FROM_ZERO.sub(b"1", octets)
    return Vanished(number_set(UIDSet, octets) if octets else UIDSet(), earlier)


def _expunge(data: Data) -> ExpungeResponse:
    number = number_of(data.number)
    if number == 0:
        raise ValueError("message numbers start at 1")
    return ExpungeResponse(number)


DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    "EXISTS": lambda data: Exists(count_of(data.number)),
    "EXPUNGE": _expunge,
    "FLAGS": lambda data: Flags(flags(data.line) - {"\\*"}),
    "RECENT": lambda data: Recent(count_of(data.number)),
    "VANISHED": _vanished,
}
