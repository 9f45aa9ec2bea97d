"""How the program ends: exit codes, and the mistakes that are said in one line."""

from __future__ import annotations

from typing import Final

__all__ = ["Failed", "Terminated", "UsageError", "counted", "readable"]

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_ALL: Final = 3
CANNOT_CONNECT: Final = 10
IN_USE: Final = 11
REFUSED: Final = 12
LIMIT: Final = 13
INTERRUPTED: Final = 130
TERMINATED: Final = 143


class Failed(Exception):
    """The program ends with a line and an exit code."""

    code: int

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class UsageError(Failed):
    """A mistake in the arguments, or in the configuration."""

    def __init__(self, text: str) -> None:
        super().__init__(text, USAGE)


class Terminated(BaseException):
    """SIGTERM came."""


def counted(number: int, what: str) -> str:
    """Return how many there are: "1 message", "2 messages"."""
    return f"{number:,} {what}" + ("" if number == 1 else "es" if what.endswith("x") else "s")


def readable(text: object) -> str:
    """Return text for a terminal, whatever a server has put into it."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))
