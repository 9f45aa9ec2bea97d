"""The octets of one connection: lines and literals in, responses out."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")

RECEIVE_SIZE = 65536
FLUSH_SIZE = 131072

MAX_LINE = 1 << 20
"""The longest line of a command that is accepted, in octets."""


class HangUpError(Exception):
    """The client sent what no server need bear; the text is that of the BYE which ends its session."""


class _TLS:
    """A server's side of TLS, through memory.

    `ssl.SSLContext.wrap_socket` leaves a socket open where the client goes at the wrong moment.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def do_handshake(self) -> None:
        self._do(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        """Receive up to `size` octets, and return all that could be read of them: b"" at the end of the stream."""
        pieces: list[bytes] = []
        try:
            while piece := self._do(lambda: self._tls.read(size), wait=not pieces):
                pieces.append(piece)
        except (ssl.SSLWantReadError, ssl.SSLEOFError):  # many clients end without announcing it
            pass
        return b"".join(pieces)

    def sendall(self, octets: bytes) -> None:
        left = memoryview(octets)
        while left:
            left = left[self._tls.write(left[:FLUSH_SIZE]) :]
            self._socket.sendall(self._outgoing.read())

    def _do(self, step: Callable[[], _Result], wait: bool = True) -> _Result:
        """Return what `step` does, once all that it has to read has come, and send what TLS itself has to say."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if not wait:
                    raise
            finally:
                if self._outgoing.pending:
                    self._socket.sendall(self._outgoing.read())
            octets = self._socket.recv(RECEIVE_SIZE)
            self._incoming.write(octets)
            if not octets:
                self._incoming.write_eof()


class Connection:
    """A socket with buffers for both directions.

    Reading raises EOFError where the client has ended the connection; any method may raise OSError.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._stream: socket.socket | _TLS = sock
        self._received = bytearray()
        self._to_send: list[bytes] = []
        self._woken, self._waker = socket.socketpair()
        self._awake = False

    @property
    def secure(self) -> bool:
        return isinstance(self._stream, _TLS)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS as the server; what came in unprotected and was not yet read is dropped."""
        self._received.clear()
        self._stream = tls = _TLS(self._socket, context)
        tls.do_handshake()

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
        octets = self._stream.recv(RECEIVE_SIZE)
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
                self._stream.sendall(b"".join(together))
                together, size = [], 0
            if len(piece) >= FLUSH_SIZE:
                self._stream.sendall(piece)
            else:
                together.append(piece)
                size += len(piece)
        if together:
            self._stream.sendall(b"".join(together))

    def wait(self) -> bool:
        """Wait until octets come in or :meth:`wake` is called, and say whether it was the octets."""
        if self._received:
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
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for sock in (self._socket, self._woken, self._waker):
            sock.close()
