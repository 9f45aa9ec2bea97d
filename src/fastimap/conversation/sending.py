"""What is to be written: the lines and literals of commands, in order, and the tags that name them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..model.responses import Tagged
from ..wire.encode import Encoded, Fragment
from .pending import Pending

if TYPE_CHECKING:
    from .deflate import Deflate

__all__ = ["SEND_SIZE", "Sending", "tags"]

# What data_to_send() returns at once: so much that was taken is progress, for a deadline.
SEND_SIZE = 64 * 1024
_INDICES = [b"%02X" % index for index in range(64)]
_DIGITS = 6


def tags() -> Iterator[bytes]:
    """Yield tags that a server, or who speaks for it, can't know before they are sent."""
    batch = 0
    while True:
        digits = os.urandom(len(_INDICES) * _DIGITS // 2).hex().upper().encode("ascii")
        start = b"T%X" % batch
        for index, at in zip(_INDICES, range(0, len(digits), _DIGITS), strict=True):
            yield start + index + digits[at : at + _DIGITS]
        batch += 1


class Sending:
    """The octets that are ready to be written, and the one command that is being written.

    A command with a literal is written in steps: its line up to the literal, the server's go-ahead (`waiting`), the
    literal, and so on. Until the last of them no other command can begin.
    """

    def __init__(self) -> None:
        self.pending: Pending[Any] | None = None
        """The command that is being written."""
        self.waiting: bool = False
        """For the go-ahead for a literal."""
        self.reading: bool = False
        """Whether a file is being read elsewhere."""
        self.begun: bool = False
        """Whether something of the command that is being written has gone out."""
        self.early: Tagged | None = None
        """Its answer, where a literal that the server awaits is still to be sent."""
        self.deflate: Deflate | None = None
        self.output: deque[bytes | memoryview] = deque()
        """Octets that are ready to be written."""
        self.fragments: Iterator[Fragment] = iter(())
        """What is left to come of the command that is being written; its files are read while one asks for it."""
        self.ahead: deque[Fragment | None] = deque()
        """What was read before its turn; None at the end."""
        self._may_change = False

    @property
    def blocked(self) -> bool:
        """Whether nothing can be written before the server says so, or another command begins."""
        return not self.output and (self.pending is None or self.waiting)

    def begin(self, pending: Pending[Any], encoded: Encoded) -> None:
        """Begin to write a command."""
        self.pending = pending
        self.begun = False
        self.fragments = iter(encoded)
        self.ahead = deque()
        self._may_change = encoded.may_change

    def next_fragment(self) -> Fragment | None:
        """Return what comes next of the command that is being written; raises what the caller's file raises."""
        return next(self.fragments, None)

    def look_ahead(self) -> Callable[[], None]:
        """Return what reads the next 64 KiB, and one fragment more: whether that is the end must be known in time.

        No file is read before the server asks for it, as it may refuse the command.
        """
        fragments, ahead = self.fragments, self.ahead

        def read() -> None:
            size = 0
            while not ahead or (isinstance(ahead[-1], (bytes, memoryview)) and size < SEND_SIZE):
                size += len(ahead[-1]) if ahead and isinstance(ahead[-1], (bytes, memoryview)) else 0
                ahead.append(next(fragments, None))

        return read

    def read_ahead(self) -> Iterator[Fragment | None]:
        """Take what `look_ahead` has read, but for a last fragment that may be followed by the end."""
        ahead = self.ahead
        while len(ahead) > 1 or (ahead and not isinstance(ahead[0], (bytes, memoryview))):
            yield ahead.popleft()

    @property
    def reads(self) -> bool:
        """Whether what comes next of the command may have to be read from a file."""
        return self._may_change

    def end(self) -> None:
        """End the command that is being written: all of it is written, or the server refuses the rest."""
        self.pending = self.early = None
        self.fragments = iter(())  # a buffer is the caller's again
        self.waiting = self.reading = self._may_change = False

    @property
    def must_end(self) -> bool:
        """Whether the memory or the file that is being sent may be used for something else now."""
        return self._may_change and self.pending is not None and self.pending.command.abandoned

    def put(self, chunk: bytes | memoryview) -> None:
        """Make octets ready to be written."""
        self.output.append(chunk if self.deflate is None else self.deflate.deflate(chunk))

    def take(self, size: int) -> bytes | memoryview:
        """Return octets that are ready, `size` at most."""
        chunk = self.output.popleft()
        if len(chunk) > size:
            view = memoryview(chunk)
            chunk = view[:size]
            self.output.appendleft(view[size:])
        return chunk

    def clear(self) -> None:
        """Forget all of it: the connection is dead."""
        self.output.clear()
        self.pending = None
        self.reading = False
