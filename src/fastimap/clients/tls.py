"""TLS of the clients, through memory: what has arrived is received at once, and its records are read there.

An `ssl.SSLSocket` makes two system calls for each record, and some servers send records of 4 KiB; asyncio's TLS keeps a
buffer of 256 KiB for each connection.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

__all__ = ["TLS", "TLSConnection"]

# Octets that are received at once, at most: few at first, for a client that asks for little.
_RECEIVED = 4 * 1024
_MOST_RECEIVED = 64 * 1024
# Octets of TLS's own answers that a server may leave unread: one that demands new keys has few to wait for.
_MOST_REPLIES = 64 * 1024


class TLS:
    """The client's side of TLS: records that have arrived go in, records to send come out, and nobody waits.

    Attributes:
        ssl_object: What knows the version, the cipher and the certificate.
        buffer: Where to put what arrives, before `arrived` is called.
        more: Whether there may be something to read, though nothing more arrives.
    """

    def __init__(self, context: ssl.SSLContext, host: str | None) -> None:
        """Raises ValueError and SSLError as `ssl.SSLContext.wrap_bio` does."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._error: Exception | None = None
        self.ssl_object: ssl.SSLObject = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.buffer: bytearray = bytearray(_RECEIVED)
        self.more: bool = True
        self._read = self.ssl_object.read

    def handshake(self) -> bool:
        """Go on with the handshake, and return whether it is done. Raises SSLError where it failed."""
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def arrived(self, size: int) -> bool:
        """Take the `size` octets that were received into `buffer`, none at the end; return whether they filled it."""
        if not size:
            self._incoming.write_eof()
            return False
        self._incoming.write(memoryview(self.buffer)[:size])
        if size < len(self.buffer):
            return False
        if size < _MOST_RECEIVED:
            self.buffer = bytearray(4 * size)
        return True

    @property
    def to_send(self) -> bool:
        """Whether there are records to send."""
        return self._outgoing.pending > 0

    def records(self) -> bytes:
        """Return the records to send: they are the caller's now."""
        return self._outgoing.read()

    def read(self, buffer: memoryview | bytearray, most: int) -> int:
        """Read what has arrived, up to `most` octets, into `buffer`, and return how many.

        It is 0 at the end of the stream, whether TLS announced it or not. Raises SSLWantReadError where nothing is
        there now; other errors of the stream after what came before them.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._outgoing.pending > _MOST_REPLIES:
            raise ssl.SSLError("the server makes TLS answer without end, and reads no answer")
        read, incoming = self._read, self._incoming
        view = memoryview(buffer)[:most]
        size = 0
        self.more = False
        ended = False
        try:
            while size < len(view):
                more: int = read(most, view[size:])  # type: ignore[assignment]  # with a buffer it is how many
                size += more
                ended = not more
                if ended or not incoming.pending:
                    break
        except ssl.SSLWantReadError:
            if not size:
                raise
        except ssl.SSLEOFError:  # the end came without its announcement, as from many servers
            ended = True
        except (OSError, ValueError) as exc:
            if not size:
                raise
            # For the next call; without the frames, in which a view of the buffer would live on.
            self._error = exc.with_traceback(None)
        # An end that nothing came after is there to be read, too.
        self.more = size == len(view) or ended or incoming.eof or self._error is not None
        return size

    def write(self, octets: bytes | memoryview) -> int:
        """Make records of the first of `octets`, and return of how many. Raises SSLWantReadError, SSLError."""
        return self.ssl_object.write(octets)


class TLSConnection:
    """A connected socket with TLS, for one who waits for it as for a non-blocking socket.

    Attributes:
        ssl_object: What knows the version, the cipher and the certificate.
        drained: Whether the last `receive` has found that nothing more was there.
    """

    def __init__(
        self, connection: socket.socket, context: ssl.SSLContext, host: str | None, deadline: float | None
    ) -> None:
        """Do the handshake, until the time `deadline` at most; where it fails, `connection` is closed.

        Raises TimeoutError; OSError and ValueError as `ssl.SSLContext.wrap_socket` does.
        """
        self._socket = connection
        self._leaving: bytes | memoryview = b""  # of records: what the socket did not take yet
        self._taken = 0  # octets in those records, of which the sender does not know yet
        self.drained: bool = False
        try:
            self._tls = TLS(context, host)
            self._shake_hands(deadline)
        except BaseException:
            connection.close()
            raise
        self.ssl_object: ssl.SSLObject = self._tls.ssl_object

    def _shake_hands(self, deadline: float | None) -> None:
        while True:
            try:
                done = self._tls.handshake()
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # of a server that has gone: what is wrong with it says more
                    self._in_time(self._send_all, deadline)  # it is to know why
                raise
            self._in_time(self._send_all, deadline)
            if done:
                return
            self._in_time(self._receive_some, deadline)

    def _in_time(self, step: Callable[[], None], deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        step()

    def _send_all(self) -> None:
        self._socket.sendall(self._tls.records())

    def _receive_some(self) -> None:
        tls = self._tls
        self.drained = not tls.arrived(self._socket.recv_into(tls.buffer))

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
        return self._tls.more

    def recv_into(self, buffer: memoryview | bytearray) -> int:
        """Read what is there into `buffer`, as `receive`."""
        return self.receive(buffer, len(buffer))

    def receive(self, buffer: memoryview | bytearray, most: int) -> int:
        """Read what is there, up to `most` octets, into `buffer`, and return how many: 0 at the end of the stream.

        Raises SSLWantReadError or BlockingIOError where nothing is there now; other OSErrors as a socket does.
        """
        tls = self._tls
        self.drained = False
        if not tls.more:
            self._receive_some()  # once: who sends much that says nothing must not keep the caller from its deadlines
        try:
            size = tls.read(buffer, most)
        finally:
            if self._leaving or tls.to_send:
                self._reply()
        if tls.more:
            self.drained = False
        return size

    def _reply(self) -> None:
        """Send what TLS itself has to say: new keys, an alert."""
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
        if self._leaving or self._tls.to_send:
            self._flush()
        if not self._leaving and not self._taken:
            self._taken = self._tls.write(octets)
            self._flush()
        if self._leaving:
            raise ssl.SSLWantWriteError
        taken, self._taken = self._taken, 0
        return taken

    def _flush(self) -> None:
        """Send what OpenSSL has made, as far as the socket takes it now."""
        leaving: Any = self._leaving or self._tls.records()
        while leaving:
            try:
                size = self._socket.send(leaving)
            except BlockingIOError:
                break
            leaving = memoryview(leaving)[size:] if size < len(leaving) else self._tls.records()
        self._leaving = leaving
