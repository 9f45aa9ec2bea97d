"""How long a server may take."""

from __future__ import annotations

from time import monotonic

from ..errors import ConnectionLost, Disconnected, Timeout
from ..settings import Timeouts
from .protocol import Protocol

__all__ = ["Deadlines"]

_FAREWELL = 5.0
"""Seconds for what is in flight after a BYE, or after more of a response that is arriving still. A server closes the
connection at once then (RFC 9051, section 7.1.5); but Yandex says it again and again, and waits for the client to
(MailKit#938). After that of LOGOUT comes an answer, in the time of any other."""


class Deadlines:
    """The deadlines of the commands in flight.

    Progress restarts them: an answer, or 64 KiB of one; a drip of octets is none. Unsolicited lines are a sign of life,
    as of a server that reports how far a search has come: they keep a command waiting ten times as long at most.
    """

    _PIECE = 64 * 1024
    _SIGNS_OF_LIFE = 10

    def __init__(self, protocol: Protocol, timeouts: Timeouts) -> None:
        self._protocol = protocol
        self._timeouts = timeouts
        self._oldest: bytes | None = None  # its tag: a command that is answered is nobody's any more, with all its rows
        self._since = self._moved = self._alive = 0.0
        self._mark = self._signs = -1
        self._sending = False
        self._left: float | None = None  # when a BYE was noticed, or some of a response after it
        self._heard = 0  # octets then
        self._forsaken = False  # whether it is for a BYE that there is no more waiting
        ends = [seconds for seconds in (timeouts.response, timeouts.command) if seconds is not None]
        self.shortest: float | None = min(ends, default=None)
        """Seconds that may pass at least before any deadline does; None for ever."""

    def until(self, now: float) -> float | None:
        """Return when a deadline passes, or None while nothing is awaited."""
        protocol = self._protocol
        oldest = protocol.awaited()
        if oldest is None:
            self._oldest = None
            return None
        if oldest.tag != self._oldest:
            self._oldest = oldest.tag
            self._since = self._moved = self._alive = now
        sending = protocol.sending
        unsolicited = protocol.unsolicited
        # A server that does not read what is sent makes no progress, however much it talks.
        octets = protocol.octets_sent
        if not sending:
            octets += protocol.octets_heard - unsolicited.octets
        mark = octets // self._PIECE + (0 if sending else protocol.claimed)
        if mark > self._mark or sending is not self._sending:
            self._mark = mark
            self._sending = sending
            self._moved = self._alive = now
        signs = unsolicited.responses - unsolicited.empty_lines
        if signs != self._signs and not sending:
            self._alive = now
        self._signs = signs
        ends = None
        if self._timeouts.response is not None:
            response = self._timeouts.response
            ends = min(self._alive + response, self._moved + self._SIGNS_OF_LIFE * response)
        if self._timeouts.command is not None:
            whole = self._since + self._timeouts.command
            ends = whole if ends is None else min(ends, whole)
        self._forsaken = False
        if protocol.farewell is not None and oldest.name != "LOGOUT":
            if self._left is None or (protocol.octets_heard != self._heard and protocol.amid_response):
                self._left = now
            self._heard = protocol.octets_heard
            last = max(self._left, self._moved) + _FAREWELL
            if ends is None or last < ends:
                self._forsaken = True
                return last
        return ends

    def begun(self, at: float, progress: bool) -> None:
        """Count from `at`, when what is in flight was sent; `progress`: some has been made since then."""
        self.until(at)
        responses, octets = self._protocol.heard()
        now = monotonic()
        if progress or octets >= self._PIECE:
            self._moved = self._alive = now
        elif responses:  # signs of life
            self._alive = now

    def rest(self, now: float) -> None:
        """Begin anew: until `now` nobody read, so the server is not to blame."""
        self._since = self._moved = self._alive = now

    def go_on(self, now: float) -> None:
        """Wait for the next progress from now on: until now the server could make none."""
        self._moved = self._alive = now

    def error(self) -> ConnectionLost:
        """Return the error for when a deadline has passed."""
        if self._forsaken:
            return Disconnected(f"the server said BYE, and left the connection open: {self._protocol.farewell}")
        oldest = self._protocol.awaited()
        name = oldest.name if oldest is not None else "the server"
        responses, octets = self._protocol.heard()
        arrived = f"{responses} responses ({octets} octets)" if octets else "nothing"
        return Timeout(
            f"{name}: no answer within {self._timeouts.response} s (or {self._timeouts.command} s for all of it); "
            f"{arrived} had arrived; the connection was closed"
        )
