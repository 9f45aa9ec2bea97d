"""The server in a process of its own, so that its CPU time and memory are not the client's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from .server import DEFAULT_USERS

# How long the process may take to end by itself, in seconds, before it is killed.
_END_TIMEOUT = 10.0


def child_environment() -> dict[str, str]:
    """The environment for a Python process that is to find the modules that this one finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class IMAPServerProcess:
    """:class:`IMAPServer` in a process of its own: fill it through IMAP.

    ``with IMAPServerProcess() as server:`` starts it and waits until it listens on ``server.host``,
    ``server.port``; it ends with the block, or with this process. `users` maps names to passwords. With
    `certfile` and `keyfile` (PEM), every connection begins with TLS; with ``starttls=True``, STARTTLS is
    offered instead.
    """

    host: str
    port: int

    def __init__(
        self,
        *,
        users: Mapping[str, str] = DEFAULT_USERS,
        certfile: str | Path | None = None,
        keyfile: str | Path | None = None,
        starttls: bool = False,
    ) -> None:
        arguments = [f"--user={name}:{password}" for name, password in users.items()]
        if certfile is not None:
            arguments.append(f"--certfile={certfile}")
        if keyfile is not None:
            arguments.append(f"--keyfile={keyfile}")
        if starttls:
            arguments.append("--starttls")
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process and wait until it listens; RuntimeError if it does not (its stderr says why)."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fastimap.testing", "--until-eof", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(),
            process_group=0,  # Ctrl-C is for the program; this process ends when the program has
        )
        assert self._process.stdout is not None
        host, _, port = self._process.stdout.readline().rpartition(":")
        if not host:
            self.close()
            raise RuntimeError("the test server's process did not start")
        self.host = host.rpartition(" ")[2]
        self.port = int(port)

    def close(self) -> None:
        """End the process and wait for its end."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
