"""The conversation octet by octet, over a bare socket."""

import base64
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from fastimap.testing import IMAPServer
from fastimap.testing.commands import COMMANDS, Request
from fastimap.testing.session import Session


class Wire:
    """A socket that sends octets and reads lines."""

    def __init__(self, server: IMAPServer) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=10)
        self.lines = self.socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def line(self) -> bytes:
        return self.lines.readline()

    def until(self, tag: bytes) -> list[bytes]:
        """The lines up to the tagged response."""
        lines = [self.line()]
        while not lines[-1].startswith(tag + b" "):
            assert lines[-1], "the connection ended"
            lines.append(self.line())
        return lines


@pytest.fixture
def wire(server: IMAPServer) -> Iterator[Wire]:
    wire = Wire(server)
    with wire.socket, wire.lines:
        assert wire.line().startswith(b"* OK ")
        yield wire


@pytest.fixture
def inside(wire: Wire) -> Wire:
    wire.send(b"l LOGIN user password\r\n")
    wire.until(b"l")
    return wire


def test_synchronizing_and_non_synchronizing_literals(wire: Wire) -> None:
    wire.send(b"a LOGIN {4}\r\n")
    assert wire.line().startswith(b"+ ")
    wire.send(b"user {8+}\r\npassword\r\n")
    assert wire.line().startswith(b"a OK ")


def test_a_literal_may_hold_what_looks_like_commands(server: IMAPServer, inside: Wire) -> None:
    octets = b"Subject: x\r\n\r\na LOGOUT\r\n{5}\r\n"
    inside.send(b"b APPEND INBOX {%d+}\r\n%b\r\nc NOOP\r\n" % (len(octets), octets))
    assert inside.line() == b"b OK [APPENDUID 1 1] APPEND completed\r\n"
    assert inside.line() == b"c OK NOOP completed\r\n"
    assert server.messages("INBOX")[0].octets == octets


def test_commands_may_come_together_and_in_pieces(inside: Wire) -> None:
    for octet in b"a NOOP\r\nb CAPABILITY\r\nc NO":
        inside.send(bytes([octet]))
    inside.send(b"OP\r\n")
    lines = inside.until(b"c")
    assert [line[:2] for line in lines] == [b"a ", b"* ", b"b ", b"c "]


def test_initial_response(wire: Wire) -> None:
    wire.send(b"a AUTHENTICATE PLAIN " + base64.b64encode(b"\0user\0password") + b"\r\n")
    assert wire.line().startswith(b"a OK [CAPABILITY ")


def test_authenticate_cancelled_or_empty(wire: Wire) -> None:
    wire.send(b"a AUTHENTICATE PLAIN\r\n")
    assert wire.line() == b"+ \r\n"
    wire.send(b"*\r\n")
    assert wire.line() == b"a BAD Cancelled by the client\r\n"
    wire.send(b"b AUTHENTICATE PLAIN =\r\n")
    assert wire.line().startswith(b"b BAD ")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"\r\n", b"* BAD "),
        (b"(x) NOOP\r\n", b"* BAD "),
        (b"\xff\x00 NOOP\r\n", b"* BAD "),
        (b"a\r\n", b"a BAD "),
        (b"a \r\n", b"a BAD "),
        (b"a NOOP now\r\n", b"a BAD Unexpected ' now'"),
        (b"a XNONSENSE\r\n", b"a BAD No such command: XNONSENSE"),
        (b"a UID NOOP\r\n", b"a BAD No such command: UID NOOP"),
        (b"a SELECT INBOX\r\n", b"a BAD SELECT can't be given in this state"),
        (b"a STARTTLS\r\n", b"a BAD STARTTLS is not offered"),
        (b"a LOGIN \"user\r\n", b"a BAD "),
        (b"a LOGIN user\r\n", b"a BAD Expected a space before the end"),
        (b"a LOGIN {4+}\r\nuser\r\n", b"a BAD Expected a space before the end"),
        (b"a ID (\"name\")\r\n", b"a BAD "),
        (b"a noop\n", b"a OK NOOP completed"),
    ],
)  # fmt: skip
def test_answers_to_odd_lines(wire: Wire, sent: bytes, answer: bytes) -> None:
    wire.send(sent + b"z NOOP\r\n")
    assert wire.line().startswith(answer)
    assert wire.line() == b"z OK NOOP completed\r\n"


def test_commands_in_the_wrong_state(inside: Wire) -> None:
    for command in (b"EXPUNGE", b"CHECK", b"FETCH 1 ALL", b"UID SEARCH ALL", b"CLOSE"):
        inside.send(b"a " + command + b"\r\n")
        assert b"can't be given in this state" in inside.line()
    inside.send(b"a LOGIN user password\r\n")
    assert inside.line() == b"a BAD LOGIN can't be given in this state\r\n"


def test_limits_end_the_session_with_a_bye(server: IMAPServer, wire: Wire) -> None:
    wire.send(b"a LOGIN {999999999+}\r\n")
    assert wire.line().startswith(b"* BYE [TOOBIG] ")
    assert wire.line() == b""
    other = Wire(server)
    with other.socket, other.lines:
        other.line()
        # The server may reset the connection for what it has not read.
        with suppress(ConnectionError):
            other.send(b"a " + b"x" * 2_000_000)
            assert other.line().startswith(b"* BYE [TOOBIG] ")


def test_idle_ends_only_with_done(inside: Wire) -> None:
    inside.send(b"a IDLE\r\n")
    assert inside.line() == b"+ idling\r\n"
    inside.send(b"b NOOP\r\n")
    assert inside.line() == b"a BAD Only DONE ends IDLE\r\n"


def test_uid_fetch_names_the_uid_once(server: IMAPServer, inside: Wire) -> None:
    server.append("INBOX", b"x")
    inside.send(b"a EXAMINE INBOX\r\nb UID FETCH 1 (FLAGS)\r\nc UID FETCH 1 (FLAGS UID)\r\n")
    inside.until(b"a")
    assert inside.until(b"b")[0] == b"* 1 FETCH (UID 1 FLAGS (\\Recent))\r\n"
    assert inside.until(b"c")[0] == b"* 1 FETCH (FLAGS (\\Recent) UID 1)\r\n"


def test_move_tells_copyuid_before_expunge(server: IMAPServer, inside: Wire) -> None:
    """As RFC 6851, section 4.3, shows it."""
    server.append("INBOX", b"x")
    server.create("Target")
    inside.send(b"a SELECT INBOX\r\nb UID MOVE 1 Target\r\nc COPY 1:* Target\r\nd UID COPY 1 Target\r\n")
    inside.until(b"a")
    assert inside.until(b"b") == [
        b"* OK [COPYUID 2 1 1] Moved\r\n",
        b"* 1 EXPUNGE\r\n",
        b"b OK MOVE completed\r\n",
    ]
    assert inside.until(b"c")[0].startswith(b"c BAD No such sequence number")
    assert inside.until(b"d") == [b"d OK Nothing to copy\r\n"]


def test_a_fault_of_the_server_is_said_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, inside: Wire
) -> None:
    def fail(session: Session, request: Request) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(COMMANDS, "NOOP", COMMANDS["NOOP"]._replace(handler=fail))
    inside.send(b"a NOOP\r\nb CAPABILITY\r\n")
    assert inside.line().startswith(b"a NO [SERVERBUG] ")
    assert "ZeroDivisionError" in caplog.text
    assert inside.until(b"b")[-1].startswith(b"b OK ")


def test_id_of_several_fields(wire: Wire) -> None:
    wire.send(b'a ID ("name" "x" "version" NIL {2+}\r\nos "y")\r\n')
    assert wire.line().startswith(b'* ID ("name" "fastimap.testing" ')
    assert wire.line() == b"a OK ID completed\r\n"


@pytest.mark.parametrize(
    "command",
    [
        b'LIST "" (a*b%c)',
        b"STATUS INBOX (MESSAGES UNSEEN)",
        b'ID ("name" "x" "version" NIL)',
        b'APPEND INBOX (\\Seen $x) " 1-Jan-2024 00:00:00 +0000" "x"',
        b"UID FETCH 1:*,2 (FLAGS BODY.PEEK[1.HEADER.FIELDS.NOT (TO \"CC\")]<0.5> RFC822.SIZE)",
        b"STORE 1:* -FLAGS.SILENT (\\Seen \\Deleted)",
        b"UID MOVE 1 INBOX",
        b'SEARCH CHARSET UTF-8 OR (SEEN 1:2) NOT SINCE "1-Jan-2024" HEADER To x SMALLER 5 UID 1',
    ],
)  # fmt: skip
def test_a_command_cut_anywhere_is_answered(server: IMAPServer, inside: Wire, command: bytes) -> None:
    server.append("INBOX", b"Subject: x\r\n\r\n")
    inside.send(b"s SELECT INBOX\r\n")
    inside.until(b"s")
    for length in range(len(command) + 1):
        inside.send(b"a " + command[:length] + b"\r\n")
        answer = inside.until(b"a")[-1]
        assert answer.startswith((b"a OK", b"a BAD", b"a NO")), answer
        assert b"SERVERBUG" not in answer
