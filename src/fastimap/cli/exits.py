"""How the program ends: exit codes, and the mistakes that are said in one line."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import Final

from .words import here

__all__ = [
    "Failed",
    "Terminated",
    "UsageError",
    "code_of",
    "counted",
    "ended_by",
    "how_ended",
    "readable",
    "said",
    "say",
]

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_ALL: Final = 3
CANNOT_CONNECT: Final = 10
IN_USE: Final = 11
REFUSED: Final = 12
LIMIT: Final = 13
HUNG_UP: Final = 129
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


class Terminated(KeyboardInterrupt):
    """SIGTERM came, or another signal that ends the program.

    Of the exceptions that signals raise, CPython's C code lets a KeyboardInterrupt through, and drops others: its
    compiler does, for instance, amid an import.

    :param number: the signal's.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(number)
        self.number = number


def ended_by(number: int) -> BaseException:
    """Return what is raised when a signal ends the program."""
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def how_ended(error: KeyboardInterrupt) -> tuple[str, int]:
    """Return what is said of the end by a signal, and its exit code: 128 and the signal's number, as of a shell."""
    if not isinstance(error, Terminated):
        return "interrupted", INTERRUPTED
    return ("terminated", TERMINATED) if error.number == signal.SIGTERM else ("hung up", HUNG_UP)


def code_of(error: BaseException) -> int:
    """Return the exit code of the program that ends by an error."""
    if isinstance(error, KeyboardInterrupt):
        return how_ended(error)[1]
    return error.code if isinstance(error, Failed) else FAILED


def said(error: OSError) -> str:
    """Return what the system says of a file: its name, and why."""
    why = error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename else why


def counted(number: int, what: str) -> str:
    """Return how many there are: "1 message", "2 messages"."""
    return f"{number:,} {what}" + ("" if number == 1 else "es" if what.endswith("x") else "s")


def readable(text: object) -> str:
    """Return text for a terminal, whatever a server has put into it."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def say(text: object) -> None:
    """Print a line on standard error. Where that can't be written, as on a full disk, nothing ends by it."""
    with suppress(OSError):
        print(readable(here(str(text))), file=sys.stderr, flush=True)
