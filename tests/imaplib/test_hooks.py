"""What people override and patch: see which libraries do so in the project's notes on imaplib's names."""

from __future__ import annotations

import collections
import io
import socket
import sys
import warnings
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.canned import GREETING, Canned
from tests.imaplib.conftest import Connect, Serve
from tests.imaplib.scripted import Peer

pytestmark = pytest.mark.usefixtures("implementation")

FETCH = b"* 1 FETCH (X {3}\r\nabc)\r\n* 2 FETCH (X NIL)\r\n<tag> OK done\r\n"
FETCHED = [(b"1 (X {3}", b"abc"), b")", b"2 (X NIL)"]


def noop_session(peer: Peer) -> None:
    peer.greet()
    peer.answer(b"NOOP", b"* 3 EXISTS")


def test_open_sets_sock_and_file(serve: Serve) -> None:
    class Opens(imaplib.IMAP4):
        def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
            self.host, self.port = host, port
            self.sock = socket.create_connection((host, port))
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                self.file = self.sock.makefile("rb")

    client = Opens("127.0.0.1", serve(noop_session).port)
    assert client.noop() == ("OK", [b"done"])
    assert client.response("EXISTS") == ("EXISTS", [b"3"])
    client.shutdown()
    assert client._imaplib_file.closed


def test_read_and_readline_see_every_octet() -> None:
    seen: list[bytes] = []

    class Reads(Canned):
        def read(self, size: int) -> bytes:
            seen.append(super().read(size))
            return seen[-1]

        def readline(self) -> bytes:
            seen.append(super().readline())
            return seen[-1]

    client = Reads(FETCH)
    client.state = "SELECTED"
    assert client.fetch("1:2", "X") == ("OK", FETCHED)
    tag = client.canned.sent.split()[0]
    assert b"".join(seen) == GREETING + FETCH.replace(b"<tag>", tag)


def test_a_status_that_ends_like_a_literal_is_read_by_the_line() -> None:
    """What follows OK is text (RFC 9051, section 9, resp-text): no literal comes after it."""

    class Reads(Canned):
        def readline(self) -> bytes:
            return super().readline()

    for text in (b"OK see rule {5}", b"NO {3}", b"BAD {12+}"):
        client = Reads(b"* " + text + b"\r\n* 1 FETCH (X 1)\r\n<tag> OK done {7}\r\n")
        client.state = "SELECTED"
        assert client.fetch("1", "X") == ("OK", [b"1 (X 1)"])


def test_read_and_readline_of_a_file_of_ones_own() -> None:
    """As for a transport that is no socket at all."""

    class Transport(imaplib.IMAP4):
        def open(self, *args: object) -> None:
            self.octets = io.BytesIO(GREETING)

        def read(self, size: int) -> bytes:
            return self.octets.read(size)

        def readline(self) -> bytes:
            return self.octets.readline()

        def send(self, data: bytes) -> None:
            self.octets = io.BytesIO(FETCH.replace(b"<tag>", data.split()[0]))

        def shutdown(self) -> None:
            self.octets.close()

    client = Transport()
    client.state = "SELECTED"
    assert client.fetch("1:2", "X") == ("OK", FETCHED)
    client.octets = io.BytesIO()
    with pytest.raises(imaplib.IMAP4.abort, match="EOF"):
        client._get_line()


def test_send(connect: Connect) -> None:
    sent: list[bytes] = []

    class Sends(imaplib.IMAP4):
        def send(self, data: bytes) -> None:
            sent.append(data)
            super().send(data)

    client = connect(noop_session, Sends)
    client.noop()
    assert sent == [client.tagpre + b"0 NOOP\r\n"]


def test_shutdown(connect: Connect) -> None:
    calls: list[str] = []

    class Shuts(imaplib.IMAP4):
        def shutdown(self) -> None:
            calls.append("shutdown")
            super().shutdown()

    def script(peer: Peer) -> None:
        peer.greet()
        peer.log_out()

    client = connect(script, Shuts)
    client.logout()
    assert calls == ["shutdown"]


def test_create_socket(serve: Serve) -> None:
    class Creates(imaplib.IMAP4):
        def _create_socket(self, timeout: float | None) -> socket.socket:
            assert timeout == 5
            return socket.create_connection((self.host, self.port), timeout)

    def script(peer: Peer) -> None:
        noop_session(peer)
        peer.log_out()

    with Creates("127.0.0.1", serve(script).port, timeout=5) as client:
        assert client.noop() == ("OK", [b"done"])


def test_lazily_set_attributes_ahead_of_the_constructor() -> None:
    """A subclass may set its own before ours, and read ours through methods of its own."""

    class Late(Canned):
        def __init__(self) -> None:
            assert self.capabilities == ()
            assert self.literal is None
            super().__init__(b"<tag> OK done\r\n")

    assert Late().noop() == ("OK", [b"done"])


@pytest.mark.parametrize("name", ["readline", "_get_line", "_get_response"])
def test_patched_on_the_instance(name: str) -> None:
    client = Canned(FETCH)
    client.state = "SELECTED"
    original = getattr(client, name)
    calls: list[Any] = []

    def patched(*args: Any) -> Any:
        calls.append(original(*args))
        return calls[-1]

    setattr(client, name, patched)
    assert client.fetch("1:2", "X") == ("OK", FETCHED)
    assert len(calls) >= 3


@pytest.mark.parametrize("name", ["readline", "_get_line", "_get_response", "_append_untagged", "_match", "_log"])
def test_assigned_to_the_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Canned(FETCH)
    client.state = "SELECTED"
    original = getattr(imaplib.IMAP4, name)
    calls: list[Any] = []

    def patched(self: imaplib.IMAP4, *args: Any) -> Any:
        calls.append(args)
        return original(self, *args)

    monkeypatch.setattr(imaplib.IMAP4, name, patched)
    assert client.fetch("1:2", "X") == ("OK", FETCHED)
    assert len(calls) >= 3


def test_append_untagged() -> None:
    seen: list[tuple[str, Any]] = []

    class Appends(Canned):
        def _append_untagged(self, typ: str, data: Any) -> None:
            seen.append((typ, data))
            super()._append_untagged(typ, data)

    client = Appends(FETCH)
    client.state = "SELECTED"
    del seen[:]
    client.fetch("1:2", "X")
    assert seen == [("FETCH", fragment) for fragment in FETCHED]


def test_a_command_added_to_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    def xlist(self: imaplib.IMAP4) -> Any:
        typ, data = self._simple_command("XLIST", '""', "*")
        return self._untagged_response(typ, data, "XLIST")

    monkeypatch.setattr(imaplib.IMAP4, "xlist", xlist, raising=False)
    monkeypatch.setitem(imaplib.Commands, "XLIST", ("NONAUTH",))
    client = Canned(b'* XLIST () "/" INBOX\r\n<tag> OK done\r\n', b"* XLIST x\r\n<tag> OK done\r\n")
    assert client.xlist() == ("OK", [b'() "/" INBOX'])
    assert client.XLIST() == ("OK", [b"x"])


def test_upper_case_aliases() -> None:
    client = Canned()
    names = [name for name in imaplib.Commands if hasattr(client, name.lower())]  # not EXAMINE, nor those of xatom()
    assert {"NOOP", "FETCH", "UID"} <= {*names}
    for name in names:
        assert getattr(client, name) == getattr(client, name.lower())
    replaced = object()
    setattr(client, "NOOP", replaced)  # noqa: B010 - a method, for mypy
    assert client.NOOP is replaced
    with pytest.raises(AttributeError, match="NONSENSE"):
        client.NONSENSE  # noqa: B018


def test_a_socket_put_in_place_of_the_first(connect: Connect, serve: Serve) -> None:
    """Nothing read ahead from the old one may pass for the new one's (IMAPClient's STARTTLS was like that)."""

    def injects(peer: Peer) -> None:
        peer.greet()
        tag = peer.expect(b"NOOP")
        peer.send(tag + b" OK done\r\n* 666 EXISTS\r\n")

    def continues(peer: Peer) -> None:
        peer.answer(b"NOOP", b"* 3 EXISTS")

    client = connect(injects)
    client.noop()
    client.sock.close()
    client.sock = socket.create_connection(("127.0.0.1", serve(continues).port))
    assert client.noop() == ("OK", [b"done"])
    assert client.untagged_responses["EXISTS"] == [b"3"]


def test_a_socket_that_only_has_recv() -> None:
    class OnlyRecv(Canned):
        def _create_socket(self, timeout: float | None) -> Any:
            canned = self.canned

            class Wrapper:
                sendall = canned.sendall
                shutdown = canned.shutdown
                close = canned.close

                def recv(self, size: int) -> bytes:
                    octets, canned.octets = canned.octets[:size], canned.octets[size:]
                    return octets

            return Wrapper()

    client = OnlyRecv(FETCH)
    client.state = "SELECTED"
    assert client.fetch("1:2", "X") == ("OK", FETCHED)


def test_untagged_responses_replaced() -> None:
    client = Canned(b"* 1 EXISTS\r\n<tag> OK done\r\n", b"* 2 EXISTS\r\n<tag> OK done\r\n")
    client.untagged_responses = {}
    client.noop()
    assert client.untagged_responses == {"EXISTS": [b"1"]}
    client.untagged_responses = collections.OrderedDict()
    client.noop()
    assert client.untagged_responses == {"EXISTS": [b"2"]}


def test_a_literal_set_by_the_caller() -> None:
    client = Canned(b"+ go\r\n", b"* SEARCH 4\r\n<tag> OK done\r\n")
    client.state = "SELECTED"
    client.literal = "ä".encode()
    client.canned.replies = iter([b"+ go\r\n", b"* SEARCH 4\r\n" + client.tagpre + b"0 OK done\r\n"])
    assert client.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT") == ("OK", [b"4"])
    assert client.canned.sent == client.tagpre + b"0 UID SEARCH CHARSET UTF-8 SUBJECT {2}\r\n\xc3\xa4\r\n"
    assert client.literal is None


def test_commands_in_pieces() -> None:
    """As IMAPClient sends them, past _command()."""
    client = Canned()
    tag = client._new_tag()
    assert client.tagged_commands == {tag: None}
    client.canned.octets = b"* SEARCH 1\r\n" + tag + b" OK done\r\n"
    client.send(tag + b" UID SEARCH ")
    client.send(b"ALL\r\n")
    assert client._get_response() == b"* SEARCH 1"
    assert client._command_complete("SEARCH", tag) == ("OK", [b"done"])
    assert client.tagged_commands == {}
    assert client._untagged_response("OK", [], "SEARCH") == ("OK", [b"1"])


def test_readline_and_read_drain_what_commands_left() -> None:
    client = Canned(b"<tag> OK done\r\n* 1 FETCH (X {3}\r\nabc)\r\n")
    client.noop()
    assert client.readline() == b"* 1 FETCH (X {3}\r\n"
    assert client.read(3) == b"abc"
    assert client.read(0) == b""
    assert client.readline() == b")\r\n"
    assert client.readline() == b""
    assert client.read(5) == b""


def test_quoting_without_a_connection() -> None:
    client = imaplib.IMAP4.__new__(imaplib.IMAP4)
    client._encoding = "utf-8"
    assert client._quote('a"b\\ä') == '"a\\"b\\\\ä"'.encode()
    assert client._astring("INBOX") == b"INBOX"


def test_maxline_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imaplib._MAXLINE == 16 * 1024 * 1024
    monkeypatch.setattr(imaplib, "_MAXLINE", 100)
    reply = b"* SEARCH" + 100 * b" 1" + b"\r\n<tag> OK done\r\n"
    with pytest.raises(imaplib.IMAP4.error, match="got more than 100 bytes"):
        Canned(reply).noop()
    monkeypatch.setattr(imaplib, "_MAXLINE", 1000)
    Canned(reply).noop()


def test_the_module_while_another_thread_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    class Name(str):
        def startswith(self, *given: Any) -> bool:
            sys.modules["imported meanwhile"] = sys
            return False

    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, Name("a module"), sys)
        imaplib.MapCRLF = imaplib.MapCRLF
    assert sys.modules.pop("imported meanwhile")


def test_debug_of_the_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(imaplib, "Debug", 4)
    assert Canned().debug == 4
    assert "< b'* OK [CAPABILITY IMAP4rev1] ready'" in capsys.readouterr().err


def test_exceptions_of_the_standard_library() -> None:
    import imaplib as stdlib

    for name in ("error", "abort", "readonly"):
        assert issubclass(getattr(imaplib.IMAP4, name), getattr(stdlib.IMAP4, name))
    assert not issubclass(imaplib.IMAP4, stdlib.IMAP4)
    with pytest.raises(stdlib.IMAP4.abort):
        Canned(b"nonsense\r\n").noop()


def test_error_classes_of_the_instance() -> None:
    client = Canned()
    assert client.error is imaplib.IMAP4.error
    assert client.abort is imaplib.IMAP4.abort
    assert client.readonly is imaplib.IMAP4.readonly


def test_file(connect: Connect) -> None:
    client = connect(Peer.greet)
    with pytest.warns(DeprecationWarning, match="'IMAP4.file' is deprecated") as caught:
        file = client.file
    assert caught[0].filename == __file__
    assert isinstance(file.raw, socket.SocketIO)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        client.file = None
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert client.file is None
    file.close()
    client.shutdown()


def test_the_file_costs_nothing_until_somebody_asks(connect: Connect) -> None:
    client = connect(Peer.greet)
    client.sock.close()
    assert client.sock.fileno() == -1  # a file made from the socket would hold it open


def test_socket_and_welcome(connect: Connect) -> None:
    client = connect(Peer.greet)
    assert client.socket() is client.sock
    assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert client.welcome == b"* OK [CAPABILITY IMAP4rev1] ready"


def test_audit_events(connect: Connect) -> None:
    events: list[Any] = []
    recording = True

    def hook(event: str, args: Any) -> None:
        if recording and event.startswith("imaplib."):
            events.append((event, args))

    sys.addaudithook(hook)
    client = connect(noop_session)
    client.noop()
    recording = False
    assert [event for event, _ in events] == ["imaplib.open", "imaplib.send"]
    assert events[0][1] == (client, "127.0.0.1", client.port)
    assert events[1][1] == (client, client.tagpre + b"0 NOOP\r\n")


def test_one_write_per_command(connect: Connect) -> None:
    """Two would wait for each other's acknowledgement: Nagle's algorithm against delayed ACK."""
    writes: list[bytes] = []

    class Counted(Canned):
        def send(self, data: bytes) -> None:
            writes.append(data)
            super().send(data)

    client = Counted()
    client.state = "AUTH"
    client.canned.replies = iter([b"+ go\r\n", client.tagpre + b"0 OK done\r\n"])
    client.append("INBOX", "\\Seen", None, b"x\r\n")
    assert writes == [client.tagpre + b"0 APPEND INBOX (\\Seen) {3}\r\n", b"x\r\n\r\n"]


def test_a_large_literal_is_not_copied() -> None:
    writes: list[Any] = []

    class Counted(Canned):
        def send(self, data: bytes) -> None:
            writes.append(data)
            super().send(data)

    client = Counted()
    client.state = "AUTH"
    client.canned.replies = iter([b"+ go\r\n", b"", client.tagpre + b"0 OK done\r\n"])
    message = 1_000_000 * b"x"
    client.append("INBOX", None, None, message, translate_line_endings=False)
    assert writes[1] is message
    assert writes[2] == b"\r\n"
