"""The octets of one connection: lines and literals in, responses out."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from contextlib import suppress

RECEIVE_SIZE = 65536
FLUSH_SIZE = 131072

MAX_LINE = 1 << 20
"""The longest line of a command that is accepted, in octets."""


class HangUpError(Exception):
    """The client sent what no server need bear; the text is that of the BYE which ends its session."""


class Connection:
    """A socket with buffers for both directions.

    Reading raises EOFError where the client has ended the connection; any method may raise OSError.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._swap = threading.Lock()
        self._received = bytearray()
        self._to_send: list[bytes] = []
        self._woken, self._waker = socket.socketpair()
        self._awake = False

    @property
    def secure(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS as the server; what came in unprotected and was not yet read is dropped."""
        self._received.clear()
        with self._swap:
            self._socket.getpeername()  # where the client has gone, ssl raises too, but leaves a socket open
            secured = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            self._socket = secured
        secured.do_handshake()

    def read_line(self) -> bytes:
        """Return the next line without its CRLF or bare LF."""
        searched = 0
        while (end := self._received.find(b"\n", searched)) == -1:
            searched = len(self._received)
            if searched > MAX_LINE:
                raise HangUpError("[TOOBIG] The command line is too long")
            self._receive()
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line.removesuffix(b"\r")

    def read(self, size: int) -> bytes:
        """Return the next `size` octets."""
        while len(self._received) < size:
            self._receive()
        octets = bytes(self._received[:size])
        del self._received[:size]
        return octets

    def _receive(self) -> None:
        octets = self._socket.recv(RECEIVE_SIZE)
        if not octets:
            raise EOFError
        self._received += octets

    def write(self, *octets: bytes) -> None:
        """Put `octets` into the buffer that the next flush sends."""
        self._to_send += octets

    def flush(self) -> None:
        """Send what was written: small pieces together, large ones without a copy."""
        pieces, self._to_send = self._to_send, []
        together: list[bytes] = []
        size = 0
        for piece in pieces:
            if len(piece) >= FLUSH_SIZE or size >= FLUSH_SIZE:
                self._socket.sendall(b"".join(together))
                together, size = [], 0
            if len(piece) >= FLUSH_SIZE:
                self._socket.sendall(piece)
            else:
                together.append(piece)
                size += len(piece)
        if together:
            self._socket.sendall(b"".join(together))

    def wait(self) -> bool:
        """Wait until octets come in or :meth:`wake` is called, and say whether it was the octets."""
        if self._received or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in selector.select()]
        if self._woken in ready:
            self._woken.recv(1)
            # Only now: a change that finds it still set is seen by the caller, who looks after this.
            self._awake = False
        return self._socket in ready

    def wake(self) -> None:
        """End the wait, this one or the next; any thread may call this."""
        if not self._awake:
            self._awake = True
            self._waker.send(b"\0")

    def hang_up(self) -> None:
        """End the connection under the thread that uses it; any thread may call this."""
        with self._swap, suppress(OSError):
            # Not SSLSocket.shutdown(), which takes the TLS object away from under that thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        for sock in (self._socket, self._woken, self._waker):
            sock.close()
