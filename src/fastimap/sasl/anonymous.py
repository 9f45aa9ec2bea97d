"""ANONYMOUS (RFC 4505)."""

from __future__ import annotations

from ..errors import MechanismError
from ._mechanism import Mechanism

MAX_TRACE = 255
"""Characters of trace information at most (RFC 4505, section 2)."""


class Anonymous(Mechanism):
    """Access for anybody.

    `trace`: who is there, by courtesy: an email address, or words without "@"; may be empty.

    Raises MechanismError for a trace that is too long or holds unprintable characters.
    """

    name = "ANONYMOUS"
    clear = False
    strength = 0

    def __init__(self, trace: str = "") -> None:
        super().__init__(trace)
        if not isinstance(trace, str):
            raise TypeError(f"not a str: {trace!r}")
        if len(trace) > MAX_TRACE or not trace.isprintable():
            raise MechanismError(f"the trace must be at most {MAX_TRACE} printable characters")
        self._trace = trace.encode("utf-8")

    def start(self) -> bytes:
        return self._trace

    def step(self, challenge: bytes) -> bytes:
        raise self._unexpected()
