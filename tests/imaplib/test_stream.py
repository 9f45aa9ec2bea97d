"""IMAP4_stream on a real child process."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.child import LITERAL

pytestmark = pytest.mark.usefixtures("implementation", "nothing_left_open")

CHILD = str(Path(__file__).with_name("child.py"))
Run = Callable[..., imaplib.IMAP4_stream]


def command(end: str = "well") -> list[str]:
    return [sys.executable, CHILD, end]


@pytest.fixture
def run() -> Iterator[Run]:
    clients: list[imaplib.IMAP4_stream] = []

    def start(end: str = "well", cls: type[imaplib.IMAP4_stream] = imaplib.IMAP4_stream) -> imaplib.IMAP4_stream:
        client = cls(command(end))
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_command_for_the_shell(kind: Callable[[str], str | bytes]) -> None:
    with imaplib.IMAP4_stream(kind(shlex.join(command()))) as client:
        assert client.state == "AUTH"
        assert client.capabilities == ("IMAP4REV1", "IDLE")
        assert client.select() == ("OK", [b"1"])
    assert client.process.returncode == 0
    assert client.sock is None


@pytest.mark.slow
def test_nothing_is_waited_for_behind_what_has_arrived(run: Run) -> None:
    """The end of a literal, for which there is little room, comes with the tagged answer."""
    client = run("late")
    client.select()
    assert client.fetch("1", "BODY[]") == ("OK", [(b"1 (BODY[] {%d}" % len(LITERAL), LITERAL), b")"])
    assert client.logout() == ("BYE", [b"see you"])


@pytest.mark.slow
def test_a_session(run: Run) -> None:
    client = run()
    client.select()
    assert client.fetch("1", "BODY[]") == ("OK", [(b"1 (BODY[] {%d}" % len(LITERAL), LITERAL), b")"])
    message = 3 * LITERAL
    assert client.append("INBOX", None, None, message, translate_line_endings=False) == ("OK", [b"done"])
    assert client.response("SEARCH") == ("SEARCH", [b"%d" % len(message)])
    assert client.logout() == ("BYE", [b"see you"])
    assert client.process.returncode == 0
    assert client.readfile.closed
    assert client.writefile.closed
    client.shutdown()


@pytest.mark.slow
def test_readfile_of_the_callers_own(run: Run) -> None:
    """Such as a channel of an SSH library, which knows readline() and not readinto1()."""

    class Own(imaplib.IMAP4_stream):
        def open(self, *args: Any) -> None:
            super().open(*args)
            pipe = self.readfile

            class File:
                readline = pipe.readline
                close = pipe.close

            self.readfile = File()

    client = run("well", Own)
    client.select()
    assert client.fetch("1", "BODY[]") == ("OK", [(b"1 (BODY[] {%d}" % len(LITERAL), LITERAL), b")"])


@pytest.mark.slow
def test_read_and_readline_overridden(run: Run) -> None:
    class Direct(imaplib.IMAP4_stream):
        def read(self, size: int) -> bytes:
            octets: bytes = self.readfile.read(size)
            return octets

        def readline(self) -> bytes:
            line: bytes = self.readfile.readline()
            return line

    client = run("well", Direct)
    client.select()
    assert client.fetch("1", "BODY[]") == ("OK", [(b"1 (BODY[] {%d}" % len(LITERAL), LITERAL), b")"])


@pytest.mark.slow
def test_a_child_that_ends_in_a_literal(run: Run) -> None:
    client = run("in a literal")
    client.select()
    with pytest.raises(imaplib.IMAP4.abort, match="command: FETCH => socket error: EOF in the middle of a response"):
        client.fetch("1", "BODY[]")
    assert client.process.returncode == 0
    with pytest.raises(imaplib.IMAP4.abort, match="connection is dead"):
        client.noop()


@pytest.mark.slow
def test_a_child_that_is_gone(run: Run) -> None:
    client = run()
    client.process.kill()
    client.process.wait()
    with pytest.raises(imaplib.IMAP4.abort, match=r"command: NOOP => socket error: (EOF|.*Broken pipe)"):
        client.noop()
    assert client.state == "LOGOUT"


@pytest.mark.slow
def test_a_child_that_will_not_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "_CHILD_TIMEOUT", 0.1)
    client = run("never")
    client.shutdown()
    assert client.process.returncode == -9


def test_a_program_that_is_no_server() -> None:
    argv = [sys.executable, "-c", "print('Usage: imapd')"]
    with pytest.raises(imaplib.IMAP4.error, match="Usage: imapd"):
        imaplib.IMAP4_stream(argv)
    with pytest.raises(imaplib.IMAP4.abort, match="no greeting from 'exit 3': socket error: EOF"):
        imaplib.IMAP4_stream("exit 3")


@pytest.mark.slow
def test_idle_without_timeouts(run: Run) -> None:
    client = run()
    with pytest.raises(imaplib.IMAP4.error, match="duration requires a socket connection"):
        client.idle(duration=5)
    with client.idle() as idler:
        assert next(idler) == ("EXISTS", [b"2"])
        with pytest.raises(imaplib.IMAP4.error, match=r"burst\(\) requires a socket connection"):
            next(idler.burst())
    assert client.noop() == ("OK", [b"done"])


@pytest.mark.slow
def test_no_starttls(run: Run) -> None:
    client = run()
    client.state, client.capabilities = "NONAUTH", ("STARTTLS",)
    with pytest.raises(imaplib.IMAP4.abort, match="TLS needs a socket connection"):
        client.starttls()


@pytest.mark.slow
def test_attributes(run: Run) -> None:
    client = run()
    assert client.command == command()
    values: list[object] = [client.host, client.port, client.sock, client.socket()]
    assert values == [None] * 4
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert client.file is None
