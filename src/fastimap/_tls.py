"""TLS through memory: what has arrived is received at once, and its records are read there.

An `ssl.SSLSocket` makes two system calls for each record, and some servers send records of 4 KiB; asyncio's TLS keeps a
buffer of 256 KiB for each connection.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["TLS", "TLSSocket"]

# Octets that are received at once, at most: few at first, for a client that asks for little.
_RECEIVED = 4 * 1024
_MOST_RECEIVED = 64 * 1024
# Octets that are made records and sent at once, at most.
_MOST_SENT = 64 * 1024
# Octets of TLS's own answers that a server may leave unread: one that demands new keys has few to wait for.
_MOST_REPLIES = 64 * 1024
# Seconds by which a wait may be late, so that a socket's timeout need not be set for each receiving.
_GRACE = 0.1
# Of a long answer whose server is slower than this client, more is waited for than the next piece: to wake up and go on
# for each takes longer than to parse it. So many octets make it long, fewer are an answer of its own, and so many
# seconds are waited.
_LONG = 256 * 1024
_SMALL = 1024
_PAUSE = 0.00025


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


class TLSSocket(ssl.SSLSocket):
    """A client's socket with TLS, connected: in the place of what `ssl.SSLContext.wrap_socket` gives, and used as that.

    One thread may receive while another one sends.
    """

    do_handshake_on_connect = True
    suppress_ragged_eofs = True

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, host: str | None) -> None:
        """Take `connection` over, and do the handshake within its timeout.

        Raises OSError and ValueError as `ssl.SSLContext.wrap_socket` does; the connection is closed then.
        """
        timeout = connection.gettimeout()
        socket.socket.__init__(self, connection.family, connection.type, connection.proto, connection.detach())
        self._leaving: bytes | memoryview = b""  # of records: what is not sent yet
        self._taken = 0  # octets in those records, of which the sender does not know yet
        self._flowed = 0  # octets that were received since something was sent, or little was received
        self._drained = False  # whether nothing more was there
        self._ahead = b""  # what was read to see how much there is
        self._using = threading.Lock()  # OpenSSL's object, which is for one thread at a time
        self._sending = threading.Lock()
        try:
            self.settimeout(timeout)
            self._tls = TLS(context, host)
            self.do_handshake()
        except BaseException:
            self.close()
            raise

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, within the socket's timeout; with `block`, a socket that does not wait waits."""
        timeout = self.gettimeout()
        if block and timeout == 0:
            self.settimeout(None)
        try:
            self._finish(self._tls.ssl_object.do_handshake)
        finally:
            self.settimeout(timeout)

    def unwrap(self) -> socket.socket:
        """End TLS on both sides, and return the connection without it. RFC 8446, section 6.1."""
        self._finish(self._tls.ssl_object.unwrap)
        timeout = self.gettimeout()
        connection = socket.socket(self.family, self.type, self.proto, self.detach())
        connection.settimeout(timeout)
        return connection

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read what has arrived, or what comes first, into `buffer`; return how many octets: 0 at the end."""
        _without(flags)
        view = memoryview(buffer)
        if view.itemsize != 1:
            view = view.cast("B")
        most = min(nbytes, len(view)) if nbytes else len(view)
        if not most:
            return 0
        if self._ahead:
            ahead, self._ahead = self._ahead[:most], self._ahead[most:]
            view[: len(ahead)] = ahead
            return len(ahead)
        tls = self._tls
        timeout = self.gettimeout()
        ends = time.monotonic() + timeout if timeout else None
        while True:
            if not tls.more:
                self._arrive(ends)
            try:
                with self._using:
                    return tls.read(view, most)
            except ssl.SSLWantReadError:
                if timeout == 0:
                    raise
            finally:
                if tls.to_send:
                    self._reply()

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return what has arrived, or what comes first, up to `buflen` octets: none at the end."""
        buffer = bytearray(min(buflen, _MOST_RECEIVED))
        size = self.recv_into(buffer, flags=flags)
        return bytes(memoryview(buffer)[:size])

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - its name in SSLSocket, too
        """As `recv`, or as `recv_into` where there is a `buffer`."""
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def pending(self) -> int:
        """Return how many octets can be read without waiting for the connection."""
        if not self._ahead and self._tls.more:
            buffer = bytearray(_MOST_RECEIVED)
            with contextlib.suppress(ssl.SSLWantReadError), self._using:
                self._ahead = bytes(memoryview(buffer)[: self._tls.read(buffer, len(buffer))])
        return len(self._ahead)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send the first of `data`, and return how many octets.

        Where it breaks off, for a timeout or on a socket that does not wait, call it again with the same `data`.
        """
        _without(flags)
        with self._sending, memoryview(data) as view, view.cast("B") as octets:
            self._transmit()
            self._flowed = 0
            if not self._taken and octets:
                with self._using:
                    self._taken = self._tls.write(octets[:_MOST_SENT])
                    self._leaving = self._tls.records()
                self._transmit()
            if self._taken > len(octets):
                raise ssl.SSLError("what broke off is to be sent again, and not something else")
            taken, self._taken = self._taken, 0
            return taken

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of `data`; the socket's timeout is for each 64 KiB of it."""
        with memoryview(data) as view, view.cast("B") as octets:
            sent = 0
            while sent < len(octets):
                sent += self.send(octets[sent:], flags)

    def write(self, data: Any) -> int:
        """As `send`."""
        return self.send(data)

    def _finish(self, step: Callable[[], object]) -> None:
        """Do `step`, which is one of both sides', to its end."""
        timeout = self.gettimeout()
        ends = time.monotonic() + timeout if timeout else None
        while True:
            try:
                with self._using:
                    step()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                with contextlib.suppress(OSError), self._sending:
                    self._transmit()  # the server is to know why
                raise
            else:
                with self._sending:
                    self._transmit()
                return
            with self._sending:
                self._transmit()
            self._arrive(ends)

    def _arrive(self, ends: float | None) -> None:
        """Receive once, until the time `ends` at most: so a drip of octets does not outlast the socket's timeout."""
        timeout = self.gettimeout()
        if self._drained and self._flowed >= _LONG and timeout != 0:
            time.sleep(_PAUSE)
        left = timeout if ends is None else ends - time.monotonic()
        if not timeout or not left or left > timeout - _GRACE:
            size = self._receive()
        elif left < 0:
            raise TimeoutError("timed out")
        else:
            self.settimeout(left)
            try:
                size = self._receive()
            finally:
                self.settimeout(timeout)
        self._flowed = self._flowed + size if size >= _SMALL else 0
        with self._using:
            self._drained = not self._tls.arrived(size)

    def _receive(self) -> int:
        try:
            return socket.socket.recv_into(self, self._tls.buffer)
        except BlockingIOError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "nothing has arrived") from None

    def _reply(self) -> None:
        """Send what TLS itself has to say, such as new keys; a thread that is sending does that, too."""
        if not self._sending.acquire(blocking=False):
            return
        try:
            self._transmit()
        except OSError as exc:
            # What the server said before it went is still to be read.
            if exc.errno is None:
                raise  # not the system's but of a signal's handler, as is TimeoutError after alarm()
        finally:
            self._sending.release()

    def _transmit(self) -> None:
        """Send the records that there are."""
        while True:
            if not self._leaving:
                with self._using:
                    self._leaving = self._tls.records()
                if not self._leaving:
                    return
            try:
                size = socket.socket.send(self, self._leaving)
            except BlockingIOError:
                raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "the socket takes no more now") from None
            self._leaving = memoryview(self._leaving)[size:] if size < len(self._leaving) else b""


def _without(flags: int) -> None:
    if flags:
        raise ValueError("there are no flags under TLS")


def _of_the_object(name: str, found: object) -> Any:
    """Return the method or attribute `name` of a TLSSocket: what its SSLObject says."""
    if not callable(found):
        return property(
            lambda self: getattr(self._tls.ssl_object, name),
            lambda self, value: setattr(self._tls.ssl_object, name, value),
        )

    @functools.wraps(found)
    def method(self: TLSSocket, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._tls.ssl_object, name)(*args, **kwargs)

    return method


def _refused(name: str) -> Any:
    def method(self: TLSSocket, *args: object, **kwargs: object) -> NoReturn:
        raise ValueError(f"{name}() is not for a connected socket with TLS")

    return method


# The certificate, the cipher and so on: what this Python's sockets know of it.
for _name, _found in vars(ssl.SSLObject).items():
    if not _name.startswith("_") and _name not in vars(TLSSocket):
        setattr(TLSSocket, _name, _of_the_object(_name, _found))
for _name in ("accept", "connect", "connect_ex", "recvfrom", "recvfrom_into", "sendfile", "sendto"):
    setattr(TLSSocket, _name, _refused(_name))
