"""An IMAP server that says what a test tells it to, for what no real server does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

PATIENCE = 20  # seconds that the server waits for its client, and the test for the server's thread


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def line(self) -> bytes:
        """The client's next line; b"" at the end of the connection, however that came."""
        try:
            return self.file.readline()
        except ConnectionError:
            return b""

    def octets(self, size: int) -> bytes:
        return self.file.read(size)

    def greet(self, capabilities: bytes = b"IMAP4rev1") -> None:
        self.send(b"* OK [CAPABILITY " + capabilities + b"] ready\r\n")

    def expect(self, command: bytes) -> bytes:
        """The tag of the client's next command, which must be `command`, without its CRLF."""
        tag, _, rest = self.line().partition(b" ")
        assert rest == command + b"\r\n", (rest, command)
        return tag

    def answer(self, command: bytes, *untagged: bytes, status: bytes = b"OK done") -> None:
        tag = self.expect(command)
        self.send(b"".join(line + b"\r\n" for line in untagged) + tag + b" " + status + b"\r\n")

    def log_in(self, capabilities: bytes = b"IMAP4rev1") -> None:
        self.greet(capabilities)
        self.answer(b'LOGIN user "secret"', b"* CAPABILITY " + capabilities)

    def select(self) -> None:
        self.answer(b"SELECT INBOX", b"* 3 EXISTS")

    def log_out(self) -> None:
        self.answer(b"LOGOUT", b"* BYE see you")

    def expect_end(self) -> None:
        """The client must close the connection, and say nothing before."""
        assert self.line() == b""

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.file.close()
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.file.close()
        self.sock.close()


Script = Callable[[Peer], None]


class Server:
    """Listens on a free port of this machine, and runs `script` with the first client that comes.

    Leaving the context closes the connection, and raises what the script raised.
    """

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.context = context
        self.failure: BaseException | None = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError:  # nobody came, and the test is over
            return
        sock.settimeout(PATIENCE)
        peer = Peer(sock)
        try:
            if self.context is not None:
                peer.start_tls(self.context)
            self.script(peer)
        except BaseException as exc:
            self.failure = exc
        finally:
            peer.close()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the script waits for more from its client"
        if self.failure is not None and kind is None:
            raise self.failure
