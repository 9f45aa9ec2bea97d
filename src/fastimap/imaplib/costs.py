"""What a server may cost a command of imaplib's: time, and unsolicited responses."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812
    from typing import Any, Self

# Octets that are real progress even where no response is complete.
_PIECE = 64 * 1024
# What TLS sends at once: each piece may take the whole timeout.
_RECORD = 16 * 1024
# Timeouts for which responses that are no answers keep a command waiting: Dovecot says "* OK Searched 39%" for as long
# as a search takes, and a server that says something for ever is to end too.
_UNASKED_TIMEOUTS = 10
# Seconds by which a wait may be late, so that a socket's timeout need not be set for each read.
_GRACE = 0.1

_OF_SEARCH = frozenset({"SEARCH", "SORT", "THREAD", "ESEARCH"})
_OF_LIST = frozenset({"LIST", "LSUB", "XLIST", "STATUS"})  # RFC 5819: statuses with the list
_OF_FETCH = frozenset({"FETCH", "VANISHED"})  # RFC 7162: VANISHED (EARLIER)
_OF_ANNOTATION = frozenset({"ANNOTATION"})
ASKED = {
    **dict.fromkeys(("SEARCH", "SORT", "THREAD"), _OF_SEARCH),
    **dict.fromkeys(("LIST", "LSUB", "XLIST"), _OF_LIST),
    **dict.fromkeys(("FETCH", "PARTIAL", "STORE", "SELECT", "EXAMINE"), _OF_FETCH),
    **dict.fromkeys(("EXPUNGE", "MOVE", "CLOSE"), frozenset({"EXPUNGE", "VANISHED"})),
    **dict.fromkeys(("GETANNOTATION", "SETANNOTATION"), _OF_ANNOTATION),
    **dict.fromkeys(("GETQUOTA", "SETQUOTA", "GETQUOTAROOT"), frozenset({"QUOTA", "QUOTAROOT"})),
    "GETACL": frozenset({"ACL"}),
    "GETMETADATA": frozenset({"METADATA"}),
    "NOOP": frozenset({"NOOP"}),  # nothing
}
"""By the names of commands, the types of the responses that they ask for, of which any number may come."""


def asked_by(name: str, first: str | bytes | float | None = None) -> frozenset[str]:
    """Return the types of the responses that a command asks for, of which any number may come; `first` argument.

    Callers spell commands as they like, and may put the whole of one into a single argument.
    """
    words = name.upper().split()
    if words[:1] == ["UID"] and len(words) == 1 and first is not None:
        words += (first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)).upper().split()
    word = words[1] if words[:1] == ["UID"] and len(words) > 1 else words[0] if words else ""
    return ASKED.get(word) or frozenset({word})


def cost(fragments: Iterable[Any]) -> tuple[int, int]:
    """Return the number of responses that `fragments` are, and their octets."""
    responses = octets = 0
    for fragment in fragments:
        if isinstance(fragment, tuple):
            octets += len(fragment[0]) + len(fragment[1])
        else:
            responses += 1
            octets += len(fragment)
    return responses, octets


class Patience:
    """How long the server is waited for, where a socket has a timeout.

    A socket counts from one read to the next, so that a drip of octets outlasts any timeout. Here it holds from the
    beginning of a wait, or from the last real progress in it: a whole response, or 64 KiB.

    A context manager around whatever waits: the outermost one is the beginning.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._silent = False
        self._timeout: float | None = None
        self._until: float | None = None
        self._begun: float | None = None
        self.ran_out: bool = False
        """Whether a response that began in the last silence() has had its time."""
        self.limited: tuple[Any, float | None] | None = None
        """The socket whose timeout is shortened, and what it was."""
        self.progress()

    def __enter__(self) -> Self:
        if not self._depth:
            self.progress()
        self._depth += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._depth -= 1

    @property
    def waiting(self) -> bool:
        """Whether a wait has begun that is not over yet."""
        return self._depth > 0

    def progress(self) -> None:
        """Begin anew."""
        self._since = self._answered = time.monotonic()
        self._octets = 0
        self._begun = None

    def moved(self, octets: int) -> None:
        """Take into account that so many octets came or went."""
        self._octets += octets
        if self._octets >= _PIECE:
            self._since = time.monotonic()
            self._octets = 0
            self._begun = None

    def heard(self, sock: Any) -> None:
        """Begin anew for a response that is no answer: these keep a command waiting for so many timeouts at the most.

        TimeoutError where they have done so.
        """
        self._since = time.monotonic()
        self._octets = 0
        self._begun = None
        gettimeout = getattr(sock, "gettimeout", None)
        timeout = gettimeout() if gettimeout is not None else None
        if timeout and self._since - self._answered > _UNASKED_TIMEOUTS * timeout:
            raise TimeoutError("timed out")

    @contextmanager
    def silence(self, sock: Socket, seconds: float | None) -> Iterator[None]:
        """Give the server so many seconds (None: without end) to begin a response; begun, the timeout holds for it."""
        self._timeout = sock.gettimeout()
        self._until = None if seconds is None else time.monotonic() + seconds
        self._begun = None
        self._silent = True
        sock.settimeout(seconds)
        try:
            yield
        finally:
            self._silent = False
            sock.settimeout(self._timeout)
            end = None if self._begun is None or not self._timeout else self._begun + self._timeout
            self.ran_out = end is not None and time.monotonic() >= end
            self.progress()

    def limit(self, sock: Any, begun: bool = False) -> None:
        """Let `sock` wait for no longer than patience lasts, until release().

        `begun`: a part of a response is there already. TimeoutError where patience is over.
        """
        gettimeout = getattr(sock, "gettimeout", None)
        timeout = gettimeout() if gettimeout is not None else None
        if timeout is None and not self._silent:
            return
        left = self._left(timeout, begun)
        if left is None or (timeout and left >= timeout - _GRACE):
            return
        if left <= 0:
            raise TimeoutError("timed out")
        self.limited = sock, timeout
        sock.settimeout(left)

    def release(self) -> None:
        """Give the socket its own timeout back."""
        if self.limited is not None:
            sock, timeout = self.limited
            self.limited = None
            sock.settimeout(timeout)

    def _left(self, timeout: float | None, begun: bool) -> float | None:
        """Return the seconds that are left; None where nothing but the socket's own timeout holds."""
        now = time.monotonic()
        if not self._silent:
            return self._since + timeout - now if timeout else None
        if timeout == 0:
            return None
        ends = [] if self._until is None else [self._until]
        if not begun:
            self._begun = None
        elif self._begun is None:
            self._begun = now
        if self._begun is not None and self._timeout:
            ends.append(self._begun + self._timeout)
        return min(ends) - now if ends else None

    def send(self, sock: Any, octets: bytes) -> None:
        """Send all of `octets`; the timeout holds for each 64 KiB of them."""
        if len(octets) <= _RECORD or not (hasattr(sock, "gettimeout") and sock.gettimeout()):
            sock.sendall(octets)
            return
        view = memoryview(octets)
        with self:
            for start in range(0, len(view), _RECORD):
                piece = view[start : start + _RECORD]
                try:
                    self.limit(sock)
                    sock.sendall(piece)
                finally:
                    self.release()
                self.moved(len(piece))
