"""Where passwords and tokens come from: what an account holds instead of one, and what is pickled in its stead.

::

    Account("imap.example.org", user="ann", password=FromCommand(["pass", "show", "ann"]))

Each is asked where the connection is made, at each connection, so no secret travels from machine to machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from .errors import SecretError

__all__ = ["FromCommand", "FromEnvironment", "FromFile"]

_PATIENCE = 120.0


class FromCommand:
    """A password, or an access token: the first line that a command prints.

    :param command: the program and its arguments; a text is cut into words as a shell does, and no shell runs it.
    :param timeout: seconds after which the command is killed; None: never.

    Raises ValueError for no command; asked, SecretError where the command fails or prints nothing.
    """

    def __init__(self, command: str | Sequence[str], *, timeout: float | None = _PATIENCE) -> None:
        if isinstance(command, str):
            import shlex

            command = shlex.split(command)
        self.words: tuple[str, ...] = tuple(map(str, command))
        self.timeout = timeout
        if not self.words:
            raise ValueError("the command is empty")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.words[0]!r}, ...)"  # arguments may be nobody else's business

    def __call__(self) -> str:
        import subprocess

        name = self.words[0]
        try:
            ended = subprocess.run(
                self.words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True, timeout=self.timeout
            )
        except OSError as exc:
            raise SecretError(f"{name}, which is to print the password, can't be run: {exc.strerror}") from None
        except subprocess.CalledProcessError as exc:
            raise SecretError(f"{name} ended with {exc.returncode}, so there is no password") from None
        except subprocess.TimeoutExpired:
            raise SecretError(f"{name} did not end within {self.timeout:g} s, so there is no password") from None
        try:
            return _first_line(ended.stdout.decode(), f"{name} printed no password")
        except UnicodeDecodeError:
            raise SecretError(f"what {name} printed is not UTF-8, so there is no password") from None


class FromFile:
    """A password, or an access token: the first line of a file, such as a mounted secret.

    Asked, it raises SecretError where the file can't be read or its first line is empty.

    :param path: ``~`` stands for the home of whoever reads it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.fspath(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    def __call__(self) -> str:
        try:
            with open(os.path.expanduser(self.path), encoding="utf-8") as file:
                line = file.readline()
        except OSError as exc:
            raise SecretError(f"the password file {self.path} can't be read: {exc.strerror}") from None
        except UnicodeDecodeError:
            raise SecretError(f"the password file {self.path} is not UTF-8") from None
        return _first_line(line, f"{self.path} has no password in its first line")


class FromEnvironment:
    """A password, or an access token: a variable of the environment, where the connection is made.

    Asked, it raises SecretError where the variable is not set or empty.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __call__(self) -> str:
        value = os.environ.get(self.name)
        if not value:
            raise SecretError(f"{self.name} is not set, so there is no password")
        return value


def _first_line(text: str, otherwise: str) -> str:
    line = text.split("\n")[0].rstrip("\r")
    if not line:
        raise SecretError(otherwise)
    return line
