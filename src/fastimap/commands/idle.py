"""IDLE (RFC 2177; RFC 9051, section 6.3.13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model.responses import ContinuationRequest, Tagged
from ..wire.encode import Part
from .base import AUTHENTICATED, Command, Session

__all__ = ["Idle"]


class Idle(Command[None]):
    """Ask to be told what is new, until the driver sends DONE; ``client.idle()`` is the way to use it."""

    name = "IDLE"
    repeatable = True
    states = AUTHENTICATED

    def __init__(self) -> None:
        self._begun = self._ended = self._wanted = False

    def requires(self, session: Session) -> Iterable[str]:
        return ("IDLE",)

    def parts(self, session: Session) -> Sequence[Part]:
        return [self.name.encode()]

    def answer(self, request: ContinuationRequest) -> bytes | None:
        self._begun = True
        return self.interrupt() if self._wanted else None

    def interrupt(self) -> bytes | None:
        self._wanted = True
        if not self._begun or self._ended:
            return None
        self._ended = True
        return b"DONE"

    @property
    def interrupted(self) -> bool:
        """Whether it ended, or is to end, because the client wanted it."""
        return self._wanted

    @property
    def lasting(self) -> bool:
        return self._begun and not self._ended

    def succeed(self, tagged: Tagged, session: Session) -> None:
        return None
