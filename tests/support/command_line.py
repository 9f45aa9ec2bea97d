"""The server's side of a command, from RFC 9051, section 9: it knows nothing of the client's.

It takes octets as servers do that read by lines: what stands like a literal at the end of a line is one, whatever
stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(rb"\\(.)")
_NUMBER = re.compile(rb"0|[1-9][0-9]*")
_LITERAL = re.compile(rb"~?\{([0-9]+)([+-]?)\}")  # "-" in the oldest drafts of LITERAL+
_AT_THE_END = re.compile(_LITERAL.pattern + rb"\Z")
_SHIFT = re.compile(rb"&([A-Za-z0-9+,]*)-")


@dataclass
class CommandLine:
    """One command as it came: the line with its announcements, the literals, and lines that were asked for."""

    tag: bytes
    line: bytes
    literals: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)


class Received:
    """What has come from a client, taken as lines and as octets; both wait for more where it is not there yet."""

    def __init__(self) -> None:
        self._received = bytearray()

    def _line(self) -> Generator[None, None, bytes]:
        while (end := self._received.find(b"\r\n")) < 0:
            yield
        line = yield from self._octets(end)
        yield from self._octets(2)
        assert not re.search(rb"[\0\r\n]", line), line
        return line

    def _octets(self, size: int) -> Generator[None, None, bytes]:
        while len(self._received) < size:
            yield
        octets = bytes(self._received[:size])
        del self._received[:size]
        return octets


class Listener(Received):
    """A server that understands how commands are framed, and says OK to each."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[CommandLine] = []
        self.taken = 0
        self.capabilities: frozenset[str] = frozenset()
        self._said = bytearray()
        self._conversation = self._converse()
        next(self._conversation)

    def take(self, octets: bytes) -> bytes:
        """Take octets of the client, and return those of the server."""
        self.taken += len(octets)
        self._received += octets
        next(self._conversation)
        said = bytes(self._said)
        self._said.clear()
        return said

    def _converse(self) -> Generator[None, None, None]:
        while True:
            line = last = yield from self._line()
            literals = []
            while announced := _AT_THE_END.search(last):
                size = int(announced[1])
                if announced[2]:
                    small = "LITERAL-" in self.capabilities and size <= 4096
                    assert announced[2] == b"+"
                    assert small or "LITERAL+" in self.capabilities, f"a literal without waiting: {line!r}"
                else:
                    self._said += b"+ go on\r\n"
                literals.append((yield from self._octets(size)))
                last = yield from self._line()
                line += last
            tag, _, rest = line.partition(b" ")
            command = CommandLine(tag, rest, literals)
            if rest == b"IDLE":
                self._said += b"+ idling\r\n* 4 EXISTS\r\n"
                command.answers.append((yield from self._line()))
            elif rest.startswith(b"AUTHENTICATE ") and rest.count(b" ") == 1:
                self._said += b"+ \r\n"
                command.answers.append((yield from self._line()))
            self.commands.append(command)
            self._said += tag + b" OK done\r\n"


class Arguments:
    """What stands after the tag, read from left to right as the grammar has it."""

    def __init__(self, command: CommandLine, *, utf8: bool) -> None:
        self.utf8 = utf8
        self._octets = command.line
        self._literals = iter(command.literals)
        self._answers = iter(command.answers)
        self._position = 0

    def left(self) -> bytes:
        return self._octets[self._position :]

    def end(self) -> None:
        assert not self.left()
        assert not [*self._literals, *self._answers]

    def take(self, octets: bytes) -> None:
        assert self.take_if(octets), f"{octets!r} is not next in {self.left()!r}"

    def take_if(self, octets: bytes) -> bool:
        if not self._octets.startswith(octets, self._position):
            return False
        self._position += len(octets)
        return True

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        found = pattern.match(self._octets, self._position)
        assert found is not None, f"{pattern.pattern!r} does not match {self.left()!r}"
        self._position = found.end()
        return found

    def atom(self) -> bytes:
        return self.match(_ATOM)[0]

    def number(self) -> int:
        return int(self.match(_NUMBER)[0])

    def string(self) -> bytes:
        if not self._octets.startswith(b'"', self._position):
            return self.literal()
        quoted = self.match(_QUOTED)[1]
        assert self.utf8 or quoted.isascii(), f"octets of 8 bits in quotes: {quoted!r}"
        return _ESCAPED.sub(rb"\1", quoted)

    def literal(self) -> bytes:
        """A literal, or a literal8, which alone may hold NUL."""
        announced = self.match(_LITERAL)
        literal = next(self._literals)
        assert len(literal) == int(announced[1])
        assert announced[0].startswith(b"~") or b"\0" not in literal
        return literal

    def astring(self, atom: re.Pattern[bytes] = _ASTRING_ATOM) -> bytes:
        if self._octets[self._position : self._position + 1] in (b'"', b"{"):
            return self.string()
        octets = self.match(atom)[0]
        assert octets.upper() != b"NIL"
        return octets

    def nstring(self) -> bytes | None:
        return None if self.take_if(b"NIL") else self.string()

    def mailbox(self, *, pattern: bool = False) -> str:
        """The name of a mailbox, decoded; octets that no name can be are lone surrogates."""
        octets = self.astring(_LIST_ATOM if pattern else _ASTRING_ATOM)
        if octets.upper() == b"INBOX":
            return "INBOX"
        if self.utf8 or not octets.isascii():
            return octets.decode("utf-8", "surrogateescape")
        return _mailbox_name(octets)

    def answer(self) -> bytes:
        return next(self._answers)

    def list_of(self, read: Callable[[], T], *, least: int = 0) -> list[T]:
        """A parenthesised list of what `read` reads."""
        self.take(b"(")
        items: list[T] = []
        while not self.take_if(b")"):
            if items:
                self.take(b" ")
            items.append(read())
        assert len(items) >= least
        return items

    def one_or_list(self, read: Callable[[], T]) -> list[T]:
        return self.list_of(read, least=1) if self._octets.startswith(b"(", self._position) else [read()]


def _mailbox_name(octets: bytes) -> str:
    """Decode modified UTF-7 by Python's own codec for UTF-7; what is not that stays as it is."""
    pieces: list[Any] = []
    position = 0
    try:
        for shift in _SHIFT.finditer(octets):
            pieces.append(octets[position : shift.start()].decode("ascii"))
            pieces.append((b"+" + shift[1].replace(b",", b"/") + b"-").decode("utf-7") if shift[1] else "&")
            position = shift.end()
        return "".join([*pieces, octets[position:].decode("ascii")])
    except UnicodeDecodeError:
        return octets.decode("ascii")
