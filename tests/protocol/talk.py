"""Conversations with the protocol as transcripts, without sockets: what the client sends, what the server says.

``<1>`` in a line stands for the tag of the first command, ``<2>`` for that of the second, and so on.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from fastimap.commands.base import Command, State
from fastimap.conversation.protocol import Pending, Protocol
from fastimap.limits import CLIENT_LIMITS, Limits

R = TypeVar("R")
_PLACEHOLDER = re.compile(rb"<(\d+)>")
_TAG = re.compile(rb"(?:\A|(?<=\r\n))(T[0-9A-F]+) ")


class Talk:
    """One connection's conversation, beginning with the greeting."""

    def __init__(
        self,
        capabilities: str = "IMAP4rev1",
        *,
        logged_in: bool = True,
        selected: bool = False,
        limits: Limits = CLIENT_LIMITS,
        greeting: str = "",
    ) -> None:
        self.protocol = Protocol(limits)
        self.tags: list[bytes] = []
        status = "PREAUTH" if logged_in else "OK"
        self.says(greeting or f"* {status} [CAPABILITY {capabilities}] ready")
        if selected:
            self.protocol.session.state = State.SELECTED
            self.protocol.session.mailbox = "INBOX"

    def submit(self, command: Command[R]) -> Pending[R]:
        return self.protocol.submit(command)

    def sent(self) -> bytes:
        """What the client sends now, its tags as ``<n>``."""
        octets = b"".join(map(bytes, self.protocol.data_to_send()))

        def named(match: re.Match[bytes]) -> bytes:
            self.tags.append(match[1])
            return b"<%d> " % len(self.tags)

        return _TAG.sub(named, octets)

    def sends(self, *lines: str) -> None:
        """The client sends exactly these lines now."""
        expected = "".join(line + "\r\n" for line in lines).encode()
        assert self.sent() == expected

    def says(self, *lines: str | bytes) -> None:
        """The server says these lines."""
        for line in lines:
            octets = line.encode() if isinstance(line, str) else line
            self.feed(_PLACEHOLDER.sub(lambda match: self.tags[int(match[1]) - 1], octets) + b"\r\n")

    def feed(self, octets: bytes) -> None:
        view = memoryview(octets)
        while view:
            buffer: Any = self.protocol.get_buffer()
            size = min(len(buffer), len(view))
            buffer[:size] = view[:size]
            self.protocol.buffer_updated(size)
            view = view[size:]

    def events(self) -> list[Any]:
        found = []
        while (event := self.protocol.next_event()) is not None:
            found.append(event)
        return found
