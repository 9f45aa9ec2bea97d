"""The command that `watch` runs for a message: how it is found, started, waited for and ended."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import IO, Final

from .exits import Failed, UsageError

__all__ = ["Handler", "check"]

if sys.platform == "win32":
    _KILL: Final = signal.SIGTERM
else:
    _KILL: Final = signal.SIGKILL


def check(words: list[str]) -> None:
    """Raise UsageError where there is no such command."""
    name = words[0]
    if shutil.which(name) is not None:
        return
    if os.path.dirname(name) and os.path.isdir(name):
        raise UsageError(f"{name}: it is a directory, not a command")
    if os.path.dirname(name) and os.path.exists(name):
        raise UsageError(f"{name}: it may not be executed; chmod +x {name}")
    raise UsageError(f"{name}: there is no such command")


class Handler:
    """A command that is run for messages, one after the other.

    :param words: the command.
    :param timeout: seconds after which it is ended.
    :param secrets: the variables that are not in its environment.
    :param apart: standard output is the program's own: what the command prints goes to standard error.
    """

    def __init__(self, words: list[str], timeout: float, secrets: Iterable[str], *, apart: bool) -> None:
        self._words = words
        self._timeout = timeout
        self._environment = {name: value for name, value in os.environ.items() if name not in set(secrets)}
        self._apart = apart
        self._child: subprocess.Popen[bytes] | None = None
        self._hurried = False
        self.wanted: bool = True
        """False: the user wants it to end at once, also when it is being started."""

    def start(self, body: bytes, variables: Mapping[str, str]) -> None:
        """Start it with a message; raise Failed where that is not possible."""
        try:
            file = _file(body)
        except OSError as exc:
            raise Failed(f"the message can't be written where the command reads it: {exc.strerror}") from None
        with file:
            try:
                # A session of its own: Ctrl-C on the terminal is for this program.
                self._child = subprocess.Popen(
                    self._words,
                    stdin=file,
                    stdout=sys.stderr.fileno() if self._apart else None,
                    env={**self._environment, **variables},
                    start_new_session=True,
                )
            except OSError as exc:
                raise Failed(f"{self._words[0]}: {self._why(exc)}") from None

    def _why(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError) and shutil.which(self._words[0]) is not None:
            return "what its first line (#!) names to run it is not there"
        if error.errno == errno.ENOEXEC:
            return "it is no program; does a first line such as #!/bin/sh miss?"
        return error.strerror or str(error)

    def wait(self) -> int | None:
        """Wait for it; return its exit code, negative for a signal, None where it took too long.

        Its own end counts: what it has not read is dropped, and what it has left behind lives on. What took too long is
        ended with all that it has started.
        """
        child = self._child
        assert child is not None
        try:
            if not self.wanted and not self._hurried:
                self.hurry()
            return child.wait(self._timeout)
        except subprocess.TimeoutExpired:
            _end(child)
            return None
        finally:
            self._child = None

    def hurry(self) -> None:
        """Have what runs end now: by SIGTERM, the second time by SIGKILL."""
        self.wanted = False
        if self._child is not None:
            _kill(self._child, _KILL if self._hurried else signal.SIGTERM)
            self._hurried = True


def _file(body: bytes) -> IO[bytes]:
    """Return a message as a file without a name: a pipe would keep both waiting for whoever holds its other end."""
    file: IO[bytes]
    if sys.platform == "linux":
        file = os.fdopen(os.memfd_create("message"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it is returned
    try:
        file.write(body)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command that takes too long, and what it has started."""
    _kill(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(5)
    _kill(child, _KILL)
    child.wait()


def _kill(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a command, and what it has started."""
    if sys.platform == "win32":
        child.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)
