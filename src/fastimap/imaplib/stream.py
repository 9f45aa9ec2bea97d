"""A connection to a child process."""

# ruff: noqa: N801 - the name is the standard library's
from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from ..parser import ResponseReader
from .client import IMAP4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812
    from typing import Any

# Seconds that the child of IMAP4_stream has to end once its pipes are closed, and again once it was told to.
_CHILD_TIMEOUT = 5
# Octets that its pipe holds: more are not available at a time.
_PIPE = 64 * 1024


class IMAP4_stream(IMAP4):
    """A connection to the standard input and output of a child process, such as ``ssh host imapd``.

    `command` is a string for the shell, or its octets, or a sequence of strings: the program and its arguments. Pipes
    know no timeout.
    """

    __module__ = "fastimap.imaplib"

    process: subprocess.Popen[bytes]

    def __init__(self, command: str | bytes | Sequence[str]) -> None:
        self.command = command
        super().__init__()

    def open(self, host: str | None = None, port: int | None = None, timeout: float | None = None) -> None:
        """Start the child process. The arguments stand for nothing."""
        self.host: str | None = None
        self.port: int | None = None
        self.sock: Socket = None  # type: ignore[assignment]  # as in the standard library
        self._dead = ""
        self._reader = None
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            shell=isinstance(self.command, (str, bytes)),
        )
        self.writefile: Any = self.process.stdin
        self.readfile: Any = self.process.stdout

    def _peer(self) -> str:
        return repr(self.command)

    def _receive(self, reader: ResponseReader) -> bool:
        room = reader.get_buffer()
        # What is there, not more, or a line, as no response ends elsewhere: it waits for nothing that will not come.
        # readinto1() does: it reads on where its file holds less than there is room for.
        read = getattr(self.readfile, "read1", self.readfile.readline)
        octets: bytes = read(min(len(room), _PIPE))
        received = len(octets)
        room[:received] = octets
        if received:
            reader.buffer_updated(received)
        return bool(received)

    def send(self, data: bytes) -> None:
        """Send the octets of `data` to the child process."""
        self._check_alive()
        sys.audit("imaplib.send", self, data)
        self.writefile.write(data)
        self.writefile.flush()

    def shutdown(self) -> None:
        """Close the pipes, and wait for the child process to end, which it is made to after a few seconds."""
        self._reader = None
        for file in (self.readfile, self.writefile):
            with suppress(OSError):  # what could not be written will not be
                file.close()
        for stop in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(_CHILD_TIMEOUT)
            except subprocess.TimeoutExpired:
                stop()
        self.process.wait()
