"""The command line: ``fastimap``, or ``python -m fastimap``. One room a command."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from .. import __version__
from .._lazy import imported
from .exits import DONE, FAILED, Failed, UsageError, ended_by, how_ended, say
from .words import GO_ON

__all__ = ["COMMANDS", "command_parser", "main", "parser"]

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

_RESUMED = ("fastimap pull", "fastimap push", "fastimap migrate")
_LOOKED_FOR = {"from", "to", "subject", "text", "program"}
"""Any text has the empty one in it."""


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
        raise _Mistake(f"{message} (see {self.prog} --help)", self.prog)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Refuse an empty name: as of a script's variable that is not set, it would be this directory, or another."""
        if not arg_string and action.dest not in _LOOKED_FOR:
            raise argparse.ArgumentError(action, "'' is not a text (is a variable not set?)")
        return super()._get_value(action, arg_string)


class _Mistake(UsageError):
    """A mistake in the arguments, as their parser finds it."""

    def __init__(self, text: str, command: str) -> None:
        super().__init__(text)
        self.command = command


def _have_streams() -> None:
    """Have standard input, output and error where there are none: else some file would take their place.

    And have standard output take any text.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))
    # Mailboxes and subjects have letters that not every terminal has, nor a file where that is not UTF-8: as Python has
    # it of standard error, such a letter is escaped, and no end of the program.
    if getattr(sys.stdout, "errors", None) in ("strict", "surrogateescape") and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def parser(filled: Collection[str] = COMMANDS.keys()) -> argparse.ArgumentParser:
    """Return the parser of the arguments. Only the commands in `filled` are imported, and know arguments."""
    whole = _Parser(prog="fastimap", description="A fast IMAP client for Python.", allow_abbrev=False)
    whole.add_argument("--version", action="version", version=f"fastimap {__version__}")
    commands = whole.add_subparsers(required=True, metavar="command", dest="command")
    for name, text in COMMANDS.items():
        make = functools.partial(commands.add_parser, name, help=text)
        if name in filled:
            _fill(name, make)
        else:
            make()
    return whole


def command_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of what stands after a command. No other command is imported."""
    return _fill(name, functools.partial(_Parser, prog=f"fastimap {name}"))


def _fill(name: str, make: Callable[..., argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Have `make` make the parser of a command, and add its arguments."""
    room = imported(f"{__name__}.{name}")
    text = COMMANDS[name]
    description = getattr(room, "DESCRIPTION", f"{text[0].upper()}{text[1:]}.")
    made = make(description=description, epilog=getattr(room, "EPILOG", None), allow_abbrev=False)
    room.add(made)
    made.set_defaults(run=room.run, command=name)
    return made


def _read(given: list[str]) -> argparse.Namespace:
    """Return what the arguments say; after a command, options may stand before, between and after the others."""
    if given and given[0] in COMMANDS:
        return command_parser(given[0]).parse_intermixed_args(given[1:])
    return parser([name for name in given if name in COMMANDS]).parse_args(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the program with `arguments` (None: the process's own) and return its exit code; see docs/command-line.md."""
    given = sys.argv[1:] if arguments is None else arguments
    signals: list[int] = []

    def end_by(number: int, frame: FrameType | None) -> NoReturn:
        signals.append(number)
        raise ended_by(number)

    _have_streams()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, end_by)
        signal.signal(signal.SIGTERM, end_by)
    command = "fastimap"
    try:
        options = _read(given)
        command = f"fastimap {options.command}"
        code: int = options.run(options)
        sys.stdout.flush()
        return _flushed(code)
    except SystemExit as exc:  # --help and --version have said all
        return _flushed(exc.code if isinstance(exc.code, int) else DONE, unwritten=FAILED)
    except Failed as exc:
        _tell_json(given, exc, str(exc), exc.code)
        command = exc.command if isinstance(exc, _Mistake) else command
        say(f"{command}: {exc}")
        return _flushed(exc.code)
    except BrokenPipeError:  # who reads it has enough
        return _flushed(FAILED)
    except OSError as exc:
        say(f"{command}: {exc.filename or 'standard output'}: {exc.strerror}")
        return _flushed(FAILED)
    except (KeyboardInterrupt, Exception) as exc:
        # A signal's exception becomes another where C code imports (ssl: an ImportError), or where what is left by it
        # expects to have come further (argparse: an AttributeError).
        if isinstance(exc, Exception) and not signals:
            raise
        ended: Any = ended_by(signals[-1]) if isinstance(exc, Exception) else exc
        word, code = how_ended(ended)
        _tell_json(given, exc, word, code)
        say(f"{command}: {word}{GO_ON if command in _RESUMED else ''}")
        return _flushed(code)


def _flushed(code: int, unwritten: int | None = None) -> int:
    """Return an exit code, after what was printed is written.

    What can't be is let go: else Python complains, and ends with 120 whatever the program's code is.

    :param unwritten: the exit code where standard output can't be written; None: the same.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout and unwritten is not None:
                code = unwritten
    return code


def _tell_json(given: list[str], error: BaseException, text: str, code: int) -> None:
    if "--json" in given:
        from .running import told

        told(error, text, code)
