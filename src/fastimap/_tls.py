"""TLS through memory: what has arrived is received at once, and its records are read there.

An `ssl.SSLSocket` makes two system calls for each record, and some servers send records of 4 KiB; asyncio's TLS keeps a
buffer of 256 KiB for each connection.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import os
import select
import socket
import ssl
import sys
import time
from _thread import RLock

from ._pace import LONG, PAUSE, SMALL
from .model._host import as_taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["TLS", "TLSSocket"]

# Octets that are received at once, at most: few at first, for a client that asks for little.
_RECEIVED = 4 * 1024
_MOST_RECEIVED = 128 * 1024
# Octets that are made records and sent at once, at most.
_MOST_SENT = 64 * 1024
# Octets of TLS's own answers that a server may leave unread: one that demands new keys has few to wait for.
_MOST_REPLIES = 64 * 1024
# Seconds by which a wait may be late, so that a socket's timeout need not be set for each receiving.
_GRACE = 0.1
_DO_NOT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)
# What a socket does without TLS; found once, and not for each record.
_RECEIVE: Any = socket.socket.recv_into
_SEND: Any = socket.socket.send
_NO_FLAGS = "there are no flags under TLS"


class TLS:
    """The client's side of TLS: records that have arrived go in, records to send come out, and nobody waits.

    Attributes:
        ssl_object: What knows the version, the cipher and the certificate.
        outgoing: The records to send; who reads it has to send them.
        write: A function that makes records of octets, and returns of how many. Raises SSLWantReadError, SSLError.
        buffer: Where to put what arrives, before `arrived` is called.
        more: Whether there may be something to read, though nothing more arrives.
        error: What the next `read` raises: it came after what was read last.
    """

    def __init__(self, context: ssl.SSLContext, host: str | None) -> None:
        """Raises ValueError and SSLError as `ssl.SSLContext.wrap_bio` does."""
        self._incoming = ssl.MemoryBIO()
        self.outgoing: ssl.MemoryBIO = ssl.MemoryBIO()
        self.error: Exception | None = None
        name: Any = None if host is None else as_taken(host, context.wrap_bio, ssl)
        self.ssl_object: ssl.SSLObject = context.wrap_bio(self._incoming, self.outgoing, server_hostname=name)
        self.buffer: bytearray = bytearray(_RECEIVED)
        self.more: bool = True
        inner: Any = self.ssl_object
        if type(inner) is ssl.SSLObject:  # whose own turn of Python takes a fifth of the time of reading a record
            inner = getattr(inner, "_sslobj", inner)
        self._read: Callable[[int, memoryview | bytearray], int] = inner.read
        self.write: Callable[[bytes | memoryview], int] = self.ssl_object.write

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
            if size < SMALL and len(self.buffer) == _MOST_RECEIVED:
                self.buffer = bytearray(_RECEIVED)  # the long answer is over
            return False
        if size < _MOST_RECEIVED:
            self.buffer = bytearray(min(4 * size, _MOST_RECEIVED))
        return True

    def read(self, buffer: memoryview | bytearray, most: int) -> int:
        """Read what has arrived, up to `most` octets, into `buffer`, and return how many.

        It is 0 at the end of the stream, whether TLS announced it or not. Raises SSLWantReadError where nothing is
        there now; other errors of the stream after what came before them.
        """
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if self.outgoing.pending > _MOST_REPLIES:
            raise ssl.SSLError("the server makes TLS answer without end, and reads no answer")
        read, incoming = self._read, self._incoming
        most = min(most, len(buffer))
        if not most:
            return 0
        size = 0
        self.more = False
        ended = False
        try:
            size = more = read(most, buffer)
            view = memoryview(buffer)
            while more and size < most and incoming.pending:
                more = read(most - size, view[size:])
                size += more
            ended = not more
        except ssl.SSLWantReadError:
            if not size:
                raise
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):  # many servers end without an announcement
            ended = True
        except (OSError, ValueError) as exc:
            self.more = True  # an end is, after an error
            if not size:
                raise
            # For the next call; without the frames, in which the buffer would live on.
            self.error = exc.with_traceback(None)
        except BaseException:  # of a buffer that can't be written to, or of a signal
            self.more = True
            raise
        # An end that nothing came after is there to be read, too.
        self.more = self.more or size == most or ended or incoming.eof
        return size


class TLSSocket(ssl.SSLSocket):
    """A client's socket with TLS, connected: in the place of what `ssl.SSLContext.wrap_socket` gives, and used as that.

    What there is to read may be in memory, where select() does not see it: `pending` says so. One thread may receive
    while another one sends.
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
        self._begun = 0  # a hash of these
        self._flowed = 0  # octets that were received since something was sent, or little was received
        self._drained = False  # whether nothing more was there
        self._ahead = b""  # what was read to see how much there is
        # A signal's handler may come in between, in the same thread.
        self._using = RLock()  # OpenSSL's object, which is for one thread at a time; it never waits
        self._sending = RLock()
        self._transmitting = self._receiving = False
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
        """End TLS on both sides (RFC 8446, section 6.1), and return the socket.

        There is only to close it then: IMAP has no way back from TLS, and neither has this socket.
        """
        self._finish(self._tls.ssl_object.unwrap)
        return self

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read what has arrived, or what comes first, into `buffer`; return how many octets: 0 at the end."""
        if flags:
            raise ValueError(_NO_FLAGS)
        if nbytes is not None and nbytes < 0:
            raise ValueError(f"{nbytes} octets can't be read")
        if type(buffer) is not memoryview or buffer.format != "B" or buffer.ndim != 1 or not buffer.c_contiguous:
            # Released at once: an exception that is kept would keep them.
            with memoryview(buffer) as given, given.cast("B") as view:
                return TLSSocket.recv_into(self, view, nbytes)
        most = nbytes or len(buffer)
        if not buffer:
            return 0
        if self.fileno() == -1:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self._ahead:
            size = min(most, len(buffer), len(self._ahead))
            buffer[:size] = self._ahead[:size]
            self._ahead = self._ahead[size:]
            return size
        tls = self._tls
        timeout = self.gettimeout()
        ends = time.monotonic() + timeout if timeout else None
        while True:
            if not tls.more:
                self._arrive(ends)
            try:
                with self._using:
                    return tls.read(buffer, most)
            except ssl.SSLWantReadError:
                if self.gettimeout() == 0:
                    raise
            finally:
                if self._leaving or tls.outgoing.pending:
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
        if self.fileno() == -1:
            return 0
        tls = self._tls
        if not self._ahead and tls.more:
            buffer = bytearray(_RECEIVED)
            try:
                with self._using:
                    size = tls.read(buffer, len(buffer))
                self._ahead = bytes(memoryview(buffer)[:size])
            except ssl.SSLWantReadError:
                pass
            except (OSError, ValueError) as exc:
                tls.error = exc.with_traceback(None)
        return len(self._ahead)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send the first of `data`, 64 KiB at most, within the socket's timeout; return how many octets.

        Where it breaks off, for that or on a socket that does not wait, call it again with the same `data`.
        """
        if flags:
            raise ValueError(_NO_FLAGS)
        if type(data) is bytes:
            return self._send(data)
        with memoryview(data) as view, view.cast("B") as octets:
            return self._send(octets)

    def _send(self, octets: bytes | memoryview) -> int:
        with self._sending:
            if self._transmitting:
                raise ssl.SSLError("a signal's handler can't send amid what is being sent")
            timeout = self.gettimeout()
            ends = time.monotonic() + timeout if timeout else None
            self._flowed = 0
            if self._leaving or self._tls.outgoing.pending:
                self._transmit(ends)
            if self._taken and hash(bytes(octets[: self._taken])) != self._begun:
                raise ssl.SSLError("what broke off is to be sent again, and not something else")
            if not self._taken and octets:
                tls = self._tls
                wants = True
                try:
                    while wants:
                        wants = False
                        try:
                            with self._using:
                                self._taken = tls.write(octets[:_MOST_SENT])
                                self._leaving = tls.outgoing.read()
                        except ssl.SSLWantReadError:  # the server wants another handshake, in TLS 1.2
                            if timeout == 0 or self._receiving:
                                raise
                            wants = True
                        self._transmit(ends)
                        if wants:
                            self._arrive(ends)
                            tls.more = True
                except BaseException:
                    self._begun = hash(bytes(octets[: self._taken]))
                    raise
            taken, self._taken = self._taken, 0
            return taken

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of `data`; the socket's timeout is for each 64 KiB of it."""
        sent = self.send(data, flags) if type(data) is bytes and data else 0
        if sent and sent == len(data):
            return
        with memoryview(data) as view, view.cast("B") as octets:
            while sent < len(octets):
                sent += self.send(octets[sent:], flags)

    def write(self, data: Any) -> int:
        """As `send`."""
        return self.send(data)

    def _finish(self, step: Callable[[], object]) -> None:
        """Do `step`, which is one of both sides', to its end."""
        timeout = self.gettimeout()
        ends = time.monotonic() + timeout if timeout else None
        done = False
        while not done:
            try:
                with self._using:
                    step()
                done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                with contextlib.suppress(OSError), self._sending:
                    self._transmit(ends)  # the server is to know why
                raise
            with self._sending:
                self._transmit(ends)
            if not done:
                self._arrive(ends)

    def _within(self, ends: float, call: Callable[[socket.socket, Any], int], argument: object) -> int:
        """Do a call of the socket, until the time `ends` at most: so drips do not outlast its timeout."""
        timeout = self.gettimeout()
        left = ends - time.monotonic()
        if not timeout or left > timeout - _GRACE:
            return call(self, argument)
        # Not by a shorter timeout of the socket: another thread may be waiting by it.
        if left <= 0 or not self._ready(left, writing=call is _SEND):
            raise TimeoutError("timed out")
        return call(self, argument)

    def _ready(self, seconds: float, *, writing: bool) -> bool:
        """Wait so long at most; return whether the socket has something, or takes something."""
        if sys.platform == "win32":
            return any(select.select([] if writing else [self], [self] if writing else [], [], seconds))
        poll = select.poll()
        poll.register(self, select.POLLOUT if writing else select.POLLIN)
        return bool(poll.poll(math.ceil(seconds * 1000)))

    def _arrive(self, ends: float | None) -> None:
        """Receive once."""
        if self._drained and self._flowed >= LONG and self.gettimeout() != 0:
            time.sleep(PAUSE)
        tls = self._tls
        self._receiving = True
        try:
            size = _RECEIVE(self, tls.buffer) if ends is None else self._within(ends, _RECEIVE, tls.buffer)
        except BlockingIOError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "nothing has arrived") from None
        finally:
            self._receiving = False
        self._flowed = self._flowed + size if size >= SMALL else 0
        with self._using:
            self._drained = not tls.arrived(size)

    def _reply(self) -> None:
        """Send what TLS itself has to say, such as new keys, as far as the socket takes it; the rest goes later."""
        if not self._sending.acquire(blocking=False):  # another thread sends these too, and may wait for the server
            return
        try:
            if not self._transmitting:  # else this is a signal's handler, which has come into that
                self._transmit(None, waits=False)
        except OSError as exc:
            # What the server said before it went is still to be read.
            if exc.errno is None:
                raise  # not the system's but of a signal's handler, as is TimeoutError after alarm()
        finally:
            self._sending.release()

    def _transmit(self, ends: float | None, *, waits: bool = True) -> None:
        """Send the records that there are; unless it `waits`, as far as the socket takes them."""
        self._transmitting = True
        try:
            outgoing = self._tls.outgoing
            while self._leaving or outgoing.pending:
                leaving = self._leaving
                if not leaving:
                    with self._using:
                        self._leaving = leaving = outgoing.read()
                if not waits:
                    if not self._ready(0, writing=True):
                        return
                    size = _SEND(self, leaving, _DO_NOT_WAIT)
                else:
                    size = _SEND(self, leaving) if ends is None else self._within(ends, _SEND, leaving)
                self._leaving = memoryview(leaving)[size:] if size < len(leaving) else b""
        except BlockingIOError:
            raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "the socket takes no more now") from None
        finally:
            self._transmitting = False


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
