"""What the pages take as given: imap.example.org, which is on this machine and has a certificate that is trusted."""

from __future__ import annotations

import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastimap import Client
from fastimap.testing import IMAPServer
from tests.pages.blocks import Block, run_command, run_python

HOST = "imap.example.org"
PATIENCE = 60  # seconds


@dataclass
class Stage:
    """Where the blocks of one page run, one after the other."""

    port: int
    """Where imap.example.org is, for whoever goes to its port 993."""
    directory: Path
    """The home, and the working directory."""
    environment: Callable[[str, str], None]
    """Sets a variable of the environment."""
    names: dict[str, Any] = field(default_factory=dict)
    """What the blocks know."""
    watchers: list[threading.Thread] = field(default_factory=list)

    def run(self, block: Block) -> str:
        """Run a block for Python or the shell; return what it printed, which is what the page says."""
        if block.language == "python":
            printed = run_python(block.source, self.names)
            assert block.output is None or printed == block.output, block.source
        else:
            printed = "".join(run_command(line) for line in block.commands)
            for line in (block.output or "").splitlines():
                assert line in printed, printed
        return printed

    def when(self, condition: Callable[[], object], action: Callable[[], object]) -> None:
        """Do something as soon as the program has come so far; or when it should have long since."""

        def watch() -> None:
            end = time.monotonic() + PATIENCE
            while not condition() and time.monotonic() < end:
                time.sleep(0.01)
            action()

        self.watchers.append(threading.Thread(target=watch, daemon=True))
        self.watchers[-1].start()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server that is trusted as imap.example.org, and as localhost by who trusts certificate.pem."""
    authority.cert_pem.write_to_path(str(tmp_path / "certificate.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(made)
    return made


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Stage]]:
    """A function that has imap.example.org be at a port of this machine, and gives the stage."""
    look_up = socket.getaddrinfo
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("FASTIMAP_PASSWORD", "secret")
    made: list[Stage] = []

    def move(port: int) -> Stage:
        def getaddrinfo(host: Any, service: Any, *rest: Any, **more: Any) -> Any:
            if host == HOST:
                assert service == 993
                host, service = "127.0.0.1", port
            return look_up(host, service, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        made.append(Stage(port, home, monkeypatch.setenv, {"__name__": "page", "password": "secret"}))
        return made[-1]

    yield move
    for each in made:
        for watcher in each.watchers:
            watcher.join()
        for value in each.names.values():
            if isinstance(value, (Client, sqlite3.Connection)):
                value.close()


@pytest.fixture
def server(context: ssl.SSLContext) -> Iterator[IMAPServer]:
    """imap.example.org, with the accounts that the pages speak of."""
    with IMAPServer(users={"me": "secret", "ann": "secret"}, tls=context) as made:
        yield made
