"""A client whose server is a few octets in memory, in any cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastimap import imaplib

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"


class CannedSocket:
    """Answers each command with the next of `replies`, `<tag>` in it replaced; after the last, EOF.

    At most `cut` octets come in one read (0: as many as there is room for).
    """

    def __init__(self, replies: Iterable[bytes], cut: int = 0) -> None:
        self.replies: Iterator[bytes] = iter(replies)
        self.cut = cut
        self.octets = GREETING
        self.sent = b""
        self.closed = False

    def sendall(self, octets: bytes) -> None:
        self.sent += octets
        self.octets += next(self.replies, b"").replace(b"<tag>", octets.split(b" ")[0])

    def recv_into(self, room: memoryview) -> int:
        size = min(len(room), len(self.octets), self.cut or len(self.octets))
        room[:size] = self.octets[:size]
        self.octets = self.octets[size:]
        return size

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def gettimeout(self) -> None:
        return None

    def settimeout(self, timeout: float | None) -> None:
        pass


class Canned(imaplib.IMAP4):
    """Connected to a CannedSocket."""

    def __init__(self, *replies: bytes, cut: int = 0) -> None:
        self.canned = CannedSocket(replies, cut)
        super().__init__()

    def _create_socket(self, timeout: float | None) -> Any:
        return self.canned


class Watched(Canned):
    """The same with a hook, so that every line takes the slow path."""

    def readline(self) -> bytes:
        return super().readline()
