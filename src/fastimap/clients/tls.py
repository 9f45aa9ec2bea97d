"""TLS of a blocking client: a connection for one who waits for it as for a non-blocking socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from .._tls import TLS

__all__ = ["TLSConnection"]


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
        self._socket.sendall(self._tls.outgoing.read())

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
            if self._leaving or tls.outgoing.pending:
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
        tls = self._tls
        if self._leaving or tls.outgoing.pending:
            self._flush()
        if not self._leaving and not self._taken:
            self._taken = tls.write(octets)
            self._flush()
        if self._leaving:
            raise ssl.SSLWantWriteError
        taken, self._taken = self._taken, 0
        return taken

    def _flush(self) -> None:
        """Send what OpenSSL has made, as far as the socket takes it now."""
        outgoing = self._tls.outgoing
        while self._leaving or outgoing.pending:
            if not self._leaving:
                self._leaving = outgoing.read()
            try:
                size = self._socket.send(self._leaving)
            except BlockingIOError:
                return
            self._leaving = memoryview(self._leaving)[size:] if size < len(self._leaving) else b""
