"""TLS of a blocking client: what has arrived is received at once, and its records are read from memory."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

__all__ = ["TLSConnection"]

# Octets that one system call receives at most: few at first, for a client that asks for little.
_RECEIVED = 16 * 1024
_MOST_RECEIVED = 64 * 1024


class TLSConnection:
    """A connected socket with TLS, for one who waits for it as for a non-blocking socket.

    An `ssl.SSLSocket` makes two system calls for each record, and some servers send records of 4 KiB. Here one call
    receives all that has arrived, and OpenSSL finds its records there.

    Attributes:
        tls: What knows the version, the cipher and the certificate.
        drained: Whether the last `receive` has found that nothing more was there.
    """

    def __init__(
        self, connection: socket.socket, context: ssl.SSLContext, host: str | None, deadline: float | None
    ) -> None:
        """Do the handshake, until the time `deadline` at most; where it fails, `connection` is closed.

        Raises TimeoutError; OSError and ValueError as `ssl.SSLContext.wrap_socket` does.
        """
        self._socket = connection
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._received = bytearray(_RECEIVED)
        self._leaving: bytes | memoryview = b""  # of records: what the socket did not take yet
        self._taken = 0  # octets in those records, of which the sender does not know yet
        self._more = True  # whether OpenSSL may have something to read, without the socket
        self._error: Exception | None = None
        self.drained: bool = False
        try:
            self.tls: ssl.SSLObject = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
            self._shake_hands(deadline)
        except BaseException:
            connection.close()
            raise
        self._read = self.tls.read

    def _shake_hands(self, deadline: float | None) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._in_time(self._send_all, deadline)
                self._in_time(self._receive_some, deadline)
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # of a server that has gone: what is wrong with it says more
                    self._in_time(self._send_all, deadline)  # it is to know why
                raise
            else:
                self._in_time(self._send_all, deadline)
                return

    def _in_time(self, step: Callable[[], None], deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        step()

    def _send_all(self) -> None:
        self._socket.sendall(self._outgoing.read())

    def _receive_some(self) -> None:
        size = self._socket.recv_into(self._received)
        self.drained = size < len(self._received)
        if not size:
            self._incoming.write_eof()
            return
        self._incoming.write(memoryview(self._received)[:size])
        if not self.drained and size < _MOST_RECEIVED:
            self._received = bytearray(2 * size)

    def fileno(self) -> int:
        """As of a socket."""
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        """As of a socket."""
        self._socket.setblocking(flag)

    def close(self) -> None:
        """Close the socket, without a word to the server."""
        self._socket.close()

    def pending(self) -> bool:
        """Return whether to read before the socket is waited for."""
        return self._more

    def recv_into(self, buffer: memoryview | bytearray) -> int:
        """Read what is there into `buffer`, as `receive`."""
        return self.receive(buffer, len(buffer))

    def receive(self, buffer: memoryview | bytearray, most: int) -> int:
        """Read what is there, up to `most` octets, into `buffer`.

        Return how many; 0 at the end of the stream, whether TLS announced it or not. Raises SSLWantReadError or
        BlockingIOError where nothing is there now; other OSErrors as a socket does.
        """
        self.drained = False
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if not self._more:
            self._receive_some()  # once: who sends much that says nothing must not keep the caller from its deadlines
        read, incoming = self._read, self._incoming
        view = memoryview(buffer)[:most]
        size = 0
        self._more = False
        ended = False
        try:
            while size < len(view):
                more: int = read(most, view[size:])  # type: ignore[assignment]  # with a buffer it is how many
                size += more
                ended = not more
                if ended or not incoming.pending:
                    break
        except ssl.SSLWantReadError:
            self._reply()
            if not size:
                raise
        except ssl.SSLEOFError:  # the end came without its announcement, as from many servers
            ended = True
        except (OSError, ValueError) as exc:
            self._reply()  # the server is to know why
            if not size:
                raise
            # For the next call; without the frames, in which a view of the buffer would live on.
            self._error = exc.with_traceback(None)
        if size == len(view) or ended or self._error is not None:
            self._more = True
            self.drained = False
        return size

    def _reply(self) -> None:
        """Send what TLS itself has to say: new keys, an alert."""
        if not (self._leaving or self._outgoing.pending):
            return
        try:
            self._flush()
        except OSError as exc:
            # What the server said before it went is still to be read.
            if exc.errno is None:
                raise  # not the system's but of a signal's handler, as is TimeoutError after alarm()

    def send(self, octets: bytes | memoryview) -> int:
        """Send the first of `octets`, return how many.

        Raises SSLWantWriteError where the socket takes no more now: then call again with the same `octets`.
        """
        if self._leaving or self._outgoing.pending:
            self._flush()
        if not self._leaving and not self._taken:
            self._taken = self.tls.write(octets)
            self._flush()
        if self._leaving:
            raise ssl.SSLWantWriteError
        taken, self._taken = self._taken, 0
        return taken

    def _flush(self) -> None:
        """Send what OpenSSL has made, as far as the socket takes it now."""
        leaving: Any = self._leaving or self._outgoing.read()
        while leaving:
            try:
                size = self._socket.send(leaving)
            except BlockingIOError:
                break
            leaving = memoryview(leaving)[size:] if size < len(leaving) else self._outgoing.read()
        self._leaving = leaving
