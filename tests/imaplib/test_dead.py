"""A connection whose end is not known to the server, or whose octets are not IMAP: closed, and dead from then on."""

from __future__ import annotations

import errno
import select
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from fastimap import imaplib
from fastimap.imaplib import sending
from fastimap.testing import IMAPServer
from tests.imaplib.canned import Canned
from tests.imaplib.conftest import Connect, Serve
from tests.imaplib.scripted import PATIENCE, Peer, Script

pytestmark = pytest.mark.usefixtures("implementation", "nothing_left_open")

METHODS: list[tuple[str, tuple[Any, ...]]] = [
    ("append", ("INBOX", None, None, b"x")),
    ("authenticate", ("PLAIN", lambda challenge: b"x")),
    ("capability", ()),
    ("check", ()),
    ("close", ()),
    ("enable", ("X",)),
    ("expunge", ()),
    ("fetch", ("1", "FLAGS")),
    ("getquotaroot", ("INBOX",)),
    ("login", ("user", "secret")),
    ("login_cram_md5", ("user", "secret")),
    ("login_plain", ("user", "secret")),
    ("noop", ()),
    ("recent", ()),
    ("search", (None, "ALL")),
    ("select", ()),
    ("starttls", ()),
    ("uid", ("FETCH", "1", "FLAGS")),
    ("unselect", ()),
    ("xatom", ("NOOP",)),
    ("send", (b"x",)),
    ("readline", ()),
    ("read", (1,)),
    ("_get_response", ()),
]


class Waiting:
    """Answers nothing to the first command, and lives until the test is over."""

    def __init__(self, *octets: bytes) -> None:
        self.octets = octets

    def __call__(self, peer: Peer) -> None:
        peer.greet()
        peer.line()
        for octets in self.octets:
            peer.send(octets)
        peer.expect_end()


def impatient(connect: Connect, script: Script, timeout: float = 0.5) -> imaplib.IMAP4:
    """A client whose timeout holds from here on: a busy machine has time for the greeting."""
    client = connect(script, timeout=PATIENCE)
    assert client.sock.gettimeout() == PATIENCE
    client.sock.settimeout(timeout)
    return client


@pytest.mark.slow
def test_a_timeout(connect: Connect) -> None:
    client = impatient(connect, Waiting())
    with pytest.raises(imaplib.IMAP4.abort) as caught:
        client.noop()
    assert isinstance(caught.value, TimeoutError)
    assert str(caught.value) == (
        "command: NOOP => timed out after 0.5 seconds; as the answer may still come, the connection is closed: "
        "connect again, with a longer timeout if the server is slow"
    )
    assert client.sock.fileno() == -1
    assert client.state == "LOGOUT"


@pytest.mark.parametrize(
    ("exception", "words"),
    [
        (TimeoutError("the program's own limit"), "the program's own limit"),  # as a handler of SIGALRM raises it
        (TimeoutError(), "no reason was given"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), f"[Errno {errno.ETIMEDOUT}] Connection timed out"),
    ],
)
def test_a_timeout_that_is_not_the_socket_s(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, exception: TimeoutError, words: str
) -> None:
    def receive(_reader: object) -> bool:
        raise exception

    client = connect(Waiting())
    monkeypatch.setattr(client, "_receive", receive)
    with pytest.raises(TimeoutError) as caught:
        client.noop()
    assert str(caught.value).startswith(f"command: NOOP => timed out ({words}); as the answer may still come, ")
    assert client.logout() == ("BYE", [f"connection is dead: NOOP timed out ({words})".encode()])


@pytest.mark.slow
@pytest.mark.parametrize(
    "octets", [b"* 1 FETCH (X {10}\r\nabc", b"* 1 FETCH (X {3}\r\nabc)", b"* 1 EX", b"* 1 EXISTS\r\n"]
)
def test_a_timeout_in_the_middle_of_a_response(connect: Connect, octets: bytes) -> None:
    client = impatient(connect, Waiting(octets))
    with pytest.raises(imaplib.IMAP4.abort, match=r"command: NOOP => timed out after 0\.5 seconds"):
        client.noop()
    assert client.sock.fileno() == -1
    assert "FETCH" not in client.untagged_responses


@pytest.mark.slow
def test_a_timeout_in_the_middle_of_a_response_read_directly(connect: Connect) -> None:
    """Without a command, only the first line can be read again."""
    client = impatient(connect, Waiting(b"* 1 FETCH (X {10}\r\nabc"))
    client.send(b"x IDLE\r\n")
    assert select.select([client.sock], [], [], PATIENCE)[0]
    with pytest.raises(imaplib.IMAP4.abort, match=r"\Atimed out after 0\.5 seconds") as caught:
        client._get_response()
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(imaplib.IMAP4.abort, match=r"connection is dead: a response timed out after 0\.5 seconds"):
        client.noop()


@pytest.mark.slow
def test_a_timeout_while_waiting_for_a_continuation_request(connect: Connect) -> None:
    client = impatient(connect, Waiting())
    client.state = "AUTH"
    with pytest.raises(TimeoutError, match="command: APPEND => timed out"):
        client.append("INBOX", None, None, b"x")
    assert client.sock.fileno() == -1


@pytest.mark.slow
def test_a_timeout_while_sending(connect: Connect) -> None:
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        peer.line()
        peer.send(b"+ go\r\n")
        over.wait()  # and read nothing

    client = impatient(connect, script, 0.2)
    client.state = "AUTH"
    with pytest.raises(TimeoutError, match="command: APPEND => timed out"):
        client.append("INBOX", None, None, 50_000_000 * b"x", translate_line_endings=False)
    over.set()
    assert client.sock.fileno() == -1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), METHODS)
def test_what_comes_after(name: str, arguments: tuple[Any, ...]) -> None:
    client = Canned(b"nonsense\r\n")
    client.capabilities = ("IMAP4REV1", "ENABLE", "STARTTLS", "IDLE")
    with pytest.raises(imaplib.IMAP4.abort):
        client.noop()
    sent = client.canned.sent
    with pytest.raises(imaplib.IMAP4.abort) as caught:
        getattr(client, name)(*arguments)
    assert str(caught.value) == "connection is dead: unexpected response: b'nonsense'; connect again"
    assert client.canned.sent == sent
    assert client.state == "LOGOUT"


def test_idle_on_a_dead_connection() -> None:
    client = Canned(b"nonsense\r\n")
    client.capabilities = ("IDLE",)
    with pytest.raises(imaplib.IMAP4.abort):
        client.noop()
    with pytest.raises(imaplib.IMAP4.abort, match="connection is dead"), client.idle():
        pass


def test_logout_shutdown_and_the_end_of_with_do_not_raise() -> None:
    with Canned(b"nonsense\r\n") as client:
        with pytest.raises(imaplib.IMAP4.abort):
            client.noop()
        assert client.logout() == ("BYE", [b"connection is dead: unexpected response: b'nonsense'"])
        client.shutdown()
        client.shutdown()


def test_the_end_of_with_on_a_connection_that_is_gone(connect: Connect) -> None:
    with connect(Peer.greet):
        pass


def test_logout_on_a_connection_that_is_gone(connect: Connect) -> None:
    client = connect(Peer.greet)
    with pytest.raises(imaplib.IMAP4.abort, match="command: LOGOUT => "):
        client.logout()
    assert client.sock.fileno() == -1


class Interrupting(Canned):
    """Ctrl-C comes after the octets."""

    def _receive(self, reader: Any) -> bool:
        if not self.canned.octets:
            raise KeyboardInterrupt
        return super()._receive(reader)


def test_an_interrupt_in_the_middle_of_a_command() -> None:
    client = Interrupting(b"* 1 EXISTS\r\n")
    with pytest.raises(KeyboardInterrupt):
        client.noop()
    assert client.canned.closed
    with pytest.raises(imaplib.IMAP4.abort, match="connection is dead: KeyboardInterrupt in the middle of NOOP"):
        client.noop()


def test_an_interrupt_between_responses_does_no_harm() -> None:
    client = Interrupting(b"")
    with pytest.raises(KeyboardInterrupt):
        client._get_response()
    client.canned.octets = b"* 1 EXISTS\r\n"
    assert client._get_response() == b"* 1 EXISTS"


class Interruptible(imaplib.IMAP4):
    """Notes what it sends; Ctrl-C comes before the given line of the code that sends a command."""

    def __init__(self, server: IMAPServer, line: int) -> None:
        self.sent = b""
        self.left = line
        super().__init__(server.host, server.port, timeout=10)

    def send(self, data: Any) -> None:
        self.sent += data
        super().send(data)

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != sending.__file__:
            return None
        if event == "line":
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
        return self.trace

    def until_interrupted(self) -> bool:
        """Append a message; False if the command was complete before the interrupt."""
        before = sys.gettrace()
        try:
            with self:
                self.login("user", "password")
                self.sent = b""
                sys.settrace(self.trace)
                try:
                    self.append("INBOX", None, None, b"Subject: x\r\n\r\n" + 1000 * b"x")
                finally:
                    sys.settrace(before)
        except KeyboardInterrupt:
            return True
        return False


def test_an_interrupt_anywhere_in_an_append_leaves_no_server_waiting() -> None:
    """A LOGOUT after the announcement of a literal would be octets of that literal: both would wait, for ever."""
    with IMAPServer() as server:
        line = announced = 0
        interrupted = True
        while interrupted:
            line += 1
            client = Interruptible(server, line)
            interrupted = client.until_interrupted()
            if b" {1014}\r\n" in client.sent:
                announced += 1
                assert client.sock.fileno() == -1
                assert b" LOGOUT" not in client.sent or b"xx\r\n" in client.sent, line
    assert line > announced > 3


def test_a_literal_that_was_not_sent_is_not_sent_with_logout() -> None:
    with IMAPServer() as server:
        client = imaplib.IMAP4(server.host, server.port)
        client.literal = b"x"
        client.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert client.sock.fileno() == -1


def test_a_socket_error(connect: Connect) -> None:
    client = connect(Peer.greet)
    client.sock.close()
    with pytest.raises(imaplib.IMAP4.abort, match=r"command: NOOP => socket error: \[Errno 9\]"):
        client.noop()
    assert client.state == "LOGOUT"


@pytest.mark.slow
def test_connecting_again(connect: Connect, serve: Serve) -> None:
    """The same object will do, as some libraries do it."""
    client = impatient(connect, Waiting())
    with pytest.raises(TimeoutError):
        client.noop()

    def script(peer: Peer) -> None:
        peer.send(b"* 5 EXISTS\r\n")

    client.open("127.0.0.1", serve(script).port)
    assert client._get_response() == b"* 5 EXISTS"


def test_arguments_that_are_no_good_do_no_harm() -> None:
    client = Canned(b"<tag> OK done\r\n")
    with pytest.raises(ValueError, match="NUL, CR and LF"):
        client.xatom("NOOP", "a\nb")
    assert client.tagged_commands == {}
    assert client.noop() == ("OK", [b"done"])
