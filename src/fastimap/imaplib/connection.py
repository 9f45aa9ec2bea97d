"""The connection: opening it, octets in and out, and its end."""

from __future__ import annotations

import functools
import re
import socket
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .._errors import LineTooLong, ProtocolError
from ..limits import IMAPLIB_LIMITS as LIMITS
from ..model._patterns import pattern
from ..parser import ResponseReader
from .costs import Patience
from .exceptions import InvalidArgument, WrongType, refusal
from .log import Log
from .names import _MAXLINE, IMAP4_PORT, Data, Literal, Result, Untagged_status
from .tls import HAVE_SSL

if HAVE_SSL:
    import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812
    from ssl import SSLContext, SSLSocket
    from typing import Any, NoReturn


# OpenSSL's errors for what X509_V_FLAG_X509_STRICT demands: RFC 5280 to the letter.
_STRICT_ERRORS = range(77, 95)

# Octets that are parsed at a time.
_PIECE = 64 * 1024


class Connection(Log):
    """A socket, its reader, and whether the two are still in step with the server."""

    host: str | None = ""
    port: int | None = IMAP4_PORT
    sock: Socket
    state: str
    welcome: bytes | None
    capabilities: tuple[str, ...] = ()
    PROTOCOL_VERSION: str
    is_readonly = False
    utf8_enabled = False
    literal: Any = None
    untagged_responses: dict[str, Data]
    tagged_commands: dict[bytes, Result | None]
    continuation_response: Any
    mo: Any = None
    tagre: re.Pattern[bytes] = pattern(
        rb"(?P<tag>[A-P]{6}\d+) +(?P<type>[A-Z]+)(?:(?: |(?=\[))(?P<data>.*))?\Z", re.IGNORECASE
    )
    tagnum: int
    tagpre: bytes
    Literal = Literal
    Untagged_status = Untagged_status

    # Here, so that they are there in subclasses that do without our __init__() or open().
    _dead = ""
    _reader: ResponseReader | None = None
    _reader_sock: Socket | None = None
    _idle_capture = False
    _idle_responses: deque[tuple[str, Data]]
    _tls_established = False
    _encoding = "ascii"
    _line = b""  # the first of the response in hand
    _put_back = b""  # a line that was read in a response, and is the first of the next
    # What the command in hand asks for (nothing where that is not known), and what has come that it did not ask for.
    _asked: frozenset[str] = frozenset()
    _unsolicited = 0
    _unsolicited_octets = 0
    _in_hand = 0  # octets received since the last complete response, or since the caller has read some himself
    _received = 0  # octets received since it was last looked at how many of them untagged_responses holds

    def open(self, host: str = "", port: int = IMAP4_PORT, timeout: float | None = None) -> None:
        """Connect to `port` of `host`, waiting `timeout` seconds at most; see :class:`IMAP4`."""
        self.host = host
        self.port = port
        self._dead = ""
        self._put_back = b""
        self._reader = None
        self.sock = self._create_socket(timeout)

    def _create_socket(self, timeout: float | None) -> Socket:
        if timeout is not None and not timeout:
            raise InvalidArgument("Non-blocking socket (timeout=0) is not supported")
        if timeout is not None and not isinstance(timeout, (int, float)):
            raise WrongType(f"a timeout is a number of seconds, or None, not {timeout!r:.100}")
        if timeout is not None and not timeout > 0:
            raise InvalidArgument(f"a timeout is over 0 seconds, and not {timeout}")
        sys.audit("imaplib.open", self, self.host, self.port)
        address = (self.host or None, self.port)
        try:
            sock = socket.create_connection(address, *(() if timeout is None else (timeout,)))
        except OSError as exc:
            # The type and the number stay; the text gets to name the peer.
            if exc.strerror is not None:
                exc.strerror = f"{exc.strerror} (connecting to {self._peer()})"
            elif isinstance(exc, TimeoutError):
                seconds = socket.getdefaulttimeout() if timeout is None else timeout
                exc.args = (f"no connection to {self._peer()} within {seconds} seconds",)
            raise
        except (TypeError, ValueError, OverflowError) as exc:  # of a host, a port or a timeout that can't be one
            raise refusal(exc) from None
        with suppress(OSError):
            # Each command is one write; to hold it back for the acknowledgement of the last costs 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def read(self, size: int) -> bytes:
        """Return `size` octets from the server; fewer at the end of the connection."""
        if size <= 0:
            return b""
        reader = self._current_reader()
        try:
            octets = reader.read(size)
            if octets is None:
                with self._patience:
                    while (octets := reader.read(size)) is None:
                        if not self._receive(reader):
                            return reader.take_rest()
        except ProtocolError as exc:
            self._refuse(exc)
        self._in_hand = 0
        return octets

    def readline(self) -> bytes:
        """Return one line from the server, with its end; the available part of it at the end of the connection.

        Under a socket timeout, and on a non-blocking socket, the socket's OSError comes through. What has arrived
        of the line is kept for the next call.
        """
        reader = self._current_reader()
        try:
            line = reader.readline(_MAXLINE)
            if line is None:
                with self._patience:
                    while (line := reader.readline(_MAXLINE)) is None:
                        if not self._receive(reader):
                            return reader.take_rest()
        except ProtocolError as exc:
            self._refuse(exc)
        self._in_hand = 0
        return line

    def _refuse(self, exc: ProtocolError) -> NoReturn:
        if isinstance(exc, LineTooLong):
            raise self.error(f"got more than {_MAXLINE} bytes") from exc
        raise self.abort(str(exc)) from exc

    def _current_reader(self) -> ResponseReader:
        """Return the reader of the present socket: nothing read ahead from one that was replaced is used."""
        self._check_alive()
        if self._reader is None or self._reader_sock is not self.sock:
            self._reader = ResponseReader(LIMITS)
            self._reader_sock = self.sock
        return self._reader

    def _receive(self, reader: ResponseReader) -> bool:
        """Give `reader` what one read from the server brings; whether the connection goes on."""
        sock, patience = self.sock, self._patience
        try:
            patience.limit(sock, begun=reader.buffered > 0)
            # The view must not outlive the call: while it does, a literal's memory cannot grow in place.
            received = sock.recv_into(reader.get_buffer())
        except ConnectionError:
            return False
        except AttributeError:
            if hasattr(sock, "recv_into"):
                raise
            room = reader.get_buffer()
            octets = sock.recv(len(room))
            received = len(octets)
            room[:received] = octets
        finally:
            if patience.limited is not None:
                patience.release()
        if not received:
            return False
        reader.buffer_updated(received)
        patience.moved(received)
        self._in_hand += received
        self._received += received
        return True

    @functools.cached_property
    def _patience(self) -> Patience:
        return Patience()

    def send(self, data: bytes) -> None:
        """Send the octets of `data` to the server. Where not all of them go, the connection is dead."""
        if self._dead:
            self._check_alive()
        sys.audit("imaplib.send", self, data)
        try:
            if len(data) <= _PIECE:
                self.sock.sendall(data)
            else:
                self._patience.send(self.sock, data)
        except BaseException as exc:
            # What came next would be taken for the rest.
            self._die(f"sending broke off: {exc or type(exc).__name__}")
            raise

    def shutdown(self) -> None:
        """Close the connection without a word to the server. It can be called again."""
        self._close_imaplib_file()
        self._reader = None
        sock = getattr(self, "sock", None)
        if sock is not None:
            with suppress(OSError):  # the server has closed it already, or we have
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def socket(self) -> Socket:
        """Return the socket of the connection."""
        return self.sock

    # Nothing here reads from it: it is made for those who ask for it.
    @functools.cached_property
    def _imaplib_file(self) -> Any:
        return self.sock.makefile("rb") if self.sock is not None else None

    @property
    def file(self) -> Any:
        """A file for reading from the socket, unused by the class itself. Deprecated."""
        warn_deprecated("IMAP4.file", "3.19")
        return self._imaplib_file

    @file.setter
    def file(self, value: Any) -> None:
        warn_deprecated("IMAP4.file", "3.19")
        self._imaplib_file = value

    def _close_imaplib_file(self) -> None:
        file = self.__dict__.get("_imaplib_file")
        if file is not None:
            with suppress(OSError):
                file.close()

    def _wrap_socket(self, sock: Socket, context: SSLContext) -> SSLSocket:
        try:
            host = self.host or "localhost"
            if _is_plain(context):
                from .._tls import TLSSocket

                return TLSSocket(sock, context, host)
            return context.wrap_socket(sock, server_hostname=host)  # of one who has another TLS
        except BaseException as exc:
            sock.close()
            if isinstance(exc, ssl.SSLCertVerificationError):
                exc.strerror = f"{exc.strerror or exc} ({_way_back(exc, context)})"
            elif isinstance(exc, ssl.SSLError):
                # The type and the number stay; the text gets to name the peer.
                exc.strerror = (
                    f"no TLS with {self._peer()}: {exc.strerror or exc} "
                    "(a port that begins without TLS needs IMAP4, and then starttls())"
                )
            raise

    def _in_clear(self) -> bool:
        """Whether this is a connection over a network without TLS, as far as can be known."""
        sock = getattr(self, "sock", None)
        if self._tls_established or sock is None:
            return False
        return not (HAVE_SSL and isinstance(sock, ssl.SSLSocket))

    # The end of the connection, when it is not by LOGOUT.

    def _check_alive(self) -> None:
        if self._dead:
            raise self.abort(f"connection is dead: {self._dead}; connect again")

    def _die(self, reason: str) -> None:
        """Close the connection for good: what comes next on it cannot be told."""
        self._dead = self._dead or reason
        self.state = "LOGOUT"
        with suppress(Exception):  # whatever an overridden shutdown() has to say, the first reason counts
            self.shutdown()

    def _fail(self, name: str, exc: BaseException) -> NoReturn:
        """Make the connection dead because of `exc` in the middle of the command `name`; raise what fits.

        `name` is "" in the middle of a response, whatever command it belongs to.
        """
        prefix = f"command: {name} => " if name else ""
        failure: Exception
        if isinstance(exc, TimeoutError):
            # That of the network, or of a signal's handler, does not come after the socket's timeout.
            of_socket = exc.errno is None and str(exc).endswith("timed out")
            after = f"after {self._seconds()} seconds" if of_socket else f"({str(exc) or 'no reason was given'})"
            reason = f"{name or 'a response'} timed out {after}"
            failure = self._timed_out(
                f"{prefix}timed out {after}; as the answer may still come, the connection "
                "is closed: connect again, with a longer timeout if the server is slow"
            )
        elif isinstance(exc, OSError):
            reason = f"socket error: {exc}"
            failure = self.abort(prefix + reason)
        elif isinstance(exc, self.error):
            reason = str(exc)
            failure = (self.abort if isinstance(exc, self.abort) else self.error)(prefix + reason)
        else:
            self._die(f"{type(exc).__name__} in the middle of {name or 'a response'}")
            raise
        self._die(reason)
        raise failure from exc

    @contextmanager
    def _in_command(self, name: str) -> Iterator[None]:
        """What breaks off here leaves client and server out of step."""
        try:
            yield
        except BaseException as exc:
            self._fail(name, exc)

    def _peer(self) -> str:
        """Return whom this connects to, for people."""
        return f"{self.host or 'localhost'}:{self.port}"

    def _seconds(self) -> str:
        """Return the timeout of the socket, for people."""
        try:
            return f"{self.sock.gettimeout():g}"
        except (AttributeError, OSError, TypeError, ValueError):  # no socket, or none with a timeout
            return "?"


def _is_plain(context: SSLContext) -> bool:
    """Whether it is the standard library that wraps sockets here, and not one in its place, or the kernel."""
    wrapping = getattr(context, "wrap_socket", None), getattr(context, "sslsocket_class", None)
    if any(getattr(made, "__module__", "") != "ssl" or hasattr(made, "__wrapped__") for made in wrapping):
        return False
    return not context.options & getattr(ssl, "OP_ENABLE_KTLS", 0)


def _way_back(exc: ssl.SSLCertVerificationError, context: SSLContext) -> str:
    if context.verify_flags & ssl.VERIFY_X509_STRICT and exc.verify_code in _STRICT_ERRORS:
        return (
            "Python 3.13 and later demand what RFC 5280 does of a certificate; a new one is right, and to do without: "
            "context = ssl.create_default_context(); context.verify_flags &= ~ssl.VERIFY_X509_STRICT; "
            "ssl_context=context"
        )
    return (
        "fastimap verifies certificates, which imaplib does not: to trust this server all the same, "
        "ssl_context=fastimap.imaplib.unverified_ssl_context(), or a context that has its certificate"
    )


def warn_deprecated(name: str, removed: str) -> None:
    """Warn the caller's caller of `name`."""
    warnings.warn(
        f"{name!r} is deprecated and slated for removal in Python {removed}", DeprecationWarning, stacklevel=3
    )
