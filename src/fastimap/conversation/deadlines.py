"""How long a server may take."""

from __future__ import annotations

from ..errors import Timeout
from ..settings import Timeouts
from .protocol import Protocol

__all__ = ["Deadlines"]


class Deadlines:
    """The deadlines of the commands in flight: real progress restarts them, a drip of octets does not."""

    _PIECE = 64 * 1024

    def __init__(self, protocol: Protocol, timeouts: Timeouts) -> None:
        self._protocol = protocol
        self._timeouts = timeouts
        self._oldest: object = None
        self._since = self._moved = 0.0
        self._mark = -1

    def until(self, now: float) -> float | None:
        """Return when patience ends, or None while nothing is awaited."""
        protocol = self._protocol
        oldest = protocol.awaited()
        if oldest is None:
            self._oldest = None
            return None
        counters = protocol.counters
        # A server that does not read what is sent makes no progress, however much it talks.
        octets = counters.octets_out if protocol.sending else protocol.octets_heard + counters.octets_out
        mark = octets // self._PIECE + (0 if protocol.sending else counters.responses)
        if oldest is not self._oldest:
            self._oldest = oldest
            self._since = self._moved = now
        if mark != self._mark:
            self._mark = mark
            self._moved = now
        ends = []
        if self._timeouts.response is not None:
            ends.append(self._moved + self._timeouts.response)
        if self._timeouts.command is not None:
            ends.append(self._since + self._timeouts.command)
        return min(ends, default=None)

    def rest(self, now: float) -> None:
        """Begin anew: until `now` nobody read, so the server is not to blame."""
        self._since = self._moved = now

    def error(self) -> Timeout:
        """Return the error for when it has ended."""
        oldest = self._protocol.awaited()
        name = oldest.name if oldest is not None else "the server"
        return Timeout(
            f"{name}: no answer within {self._timeouts.response} s (or {self._timeouts.command} s for all of it); "
            "the connection was closed"
        )
