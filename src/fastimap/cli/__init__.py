"""The command line: ``fastimap``, or ``python -m fastimap``. One room a command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

from .. import __version__
from .exits import FAILED, INTERRUPTED, TERMINATED, Failed, Terminated, readable

__all__ = ["COMMANDS", "main", "parser"]

COMMANDS = {
    "pull": "copy an account's mail into a store; again: only what is new",
    "push": "copy a store's mail to an account; again: only what is missing",
    "migrate": "copy an account's mail to another account; again: what is new or has changed",
    "verify": "check that a store holds what it should, and what the account has",
    "compact": "have the mail of a Parquet store in few files again",
    "watch": "run a command for each message that comes, for ever",
    "status": "say what a store holds and how far its last run came",
    "ls": "list the mailboxes of an account, with their counts",
    "search": "have the server search, and list what it finds",
    "cat": "print messages",
    "doctor": "say what a server can do, what is odd about it, and what to set",
    "completion": "print what makes a shell complete commands and options",
    "demo": "fetch the same mail with imaplib and with fastimap, and compare",
}

_GO_ON = "; what was done stays done, the same command goes on"
_RESUMED = ("fastimap pull", "fastimap push", "fastimap migrate")


class _Formatter(argparse.HelpFormatter):
    """Is made for each argument; the standard library's imports all archive formats to know how wide the screen is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """Return how wide the screen is, as `shutil.get_terminal_size` does."""
    with suppress(KeyError, ValueError):
        if (columns := int(os.environ["COLUMNS"])) > 0:
            return columns
    with suppress(AttributeError, ValueError, OSError):  # of a standard output that is closed, or no terminal
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    return 80


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the arguments.

    :param only: the one command that is asked for: the others are not there; None: all of them.
    """
    whole = _Parser(prog="fastimap", description="A fast IMAP client for Python.", allow_abbrev=False)
    whole.add_argument("--version", action="version", version=f"fastimap {__version__}")
    commands = whole.add_subparsers(required=True, metavar="command", dest="command")
    for name, text in COMMANDS.items() if only is None else [(only, COMMANDS[only])]:
        room = import_module(f".{name}", __name__)
        description = getattr(room, "DESCRIPTION", f"{text[0].upper()}{text[1:]}.")
        epilog = getattr(room, "EPILOG", None)
        made = commands.add_parser(name, help=text, description=description, epilog=epilog, allow_abbrev=False)
        room.add(made)
        made.set_defaults(run=room.run)
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Run the program with `arguments` (None: the process's own) and return its exit code; see docs/command-line.md."""
    given = sys.argv[1:] if arguments is None else arguments
    signals: list[int] = []

    def end_by(number: int, frame: FrameType | None) -> NoReturn:
        signals.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, end_by)
        signal.signal(signal.SIGTERM, end_by)
    command = "fastimap"
    try:
        # Where the command comes first nothing lists the others, and to make all of their parsers takes a while.
        options = parser(given[0] if given and given[0] in COMMANDS else None).parse_args(given)
        command = f"fastimap {options.command}"
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except Failed as exc:
        print(f"{command}: {readable(exc)}", file=sys.stderr)
        return exc.code
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except (KeyboardInterrupt, Terminated, ImportError) as exc:
        # Where C code imports, as ssl does, a signal's exception becomes an ImportError.
        if isinstance(exc, ImportError) and not signals:
            raise
        terminated = isinstance(exc, Terminated) or (isinstance(exc, ImportError) and signals[-1] == signal.SIGTERM)
        word, code = ("terminated", TERMINATED) if terminated else ("interrupted", INTERRUPTED)
        print(f"{command}: {word}{_GO_ON if command in _RESUMED else ''}", file=sys.stderr)
        return code
