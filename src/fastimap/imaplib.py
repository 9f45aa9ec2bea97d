"""A drop-in for the standard library's :mod:`imaplib`, on fastimap's parser.

The classes, their methods, what these return and what they raise are those of CPython 3.15's module, on every
Python: a command returns ``(type, [data, ...])``, with `type` ``"OK"`` or ``"NO"``, and `data` what the server sent
for it, as bytes, or as ``(line, literal)`` where a literal is part of it. Added to that are what 3.16 brings
(``move``, ``id``, ``login_plain``, ``uid=``, ``params=``, message sets and lists as Python values, search text in a
charset, mailbox names as str) and what the module had in Python 2.5 and lost since.

Arguments are quoted where the grammar needs it. One that the caller has quoted, or put in parentheses, goes as
it is. A ValueError, and nothing is sent: NUL, CR and LF in an argument, ``{n}`` at the end of the last where that can't
be quoted, and what a server would read as two arguments where there is to be one. Search keys, and the arguments of
commands that have no method here, may be several in one string.

It differs from the standard library on purpose in these points:

- TLS verifies the server's certificate and host name, unless the caller passes an `ssl_context`.
  The context comes from ``_create_default_ssl_context``, which can be replaced.
- A command that ends by a timeout, a lost connection or octets that are not IMAP leaves the connection dead: the
  socket is closed, and each later command raises :exc:`IMAP4.abort` with the first reason.
- A timeout holds for a whole response, however slowly its octets come; each 64 KiB of them begin it anew.
- ``login()`` refuses to send a password to a server that announces LOGINDISABLED, and ``authenticate()`` refuses the
  mechanisms that show it, unless under TLS.
- ``starttls()`` ends under TLS, or with the connection dead.
- A line may have 16 MiB (``_MAXLINE``), a message 1 GiB, any other literal 1 MiB; what no command asked for is limited
  too (:data:`fastimap.limits.IMAPLIB_LIMITS`).
- An answer that is there before the command was sent, or before its literal, ends the connection.

The exceptions inherit from the standard library's, so that its ``except imaplib.IMAP4.error`` clauses hold.
"""

# ruff: noqa: N801, N802, N812 - the names are the standard library's
from __future__ import annotations

import binascii
import functools
import hmac
import imaplib as _stdlib
import re
import secrets
import socket
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeAlias

from ._imaplib_arguments import (
    ANNOUNCEMENT,
    NOT_IN_ASTRING,
    NOT_IN_ATOM,
    NOT_IN_LIST_MAILBOX,
    NOT_IN_WORD,
    QUOTED,
    UNSENDABLE,
    Argument,
    Arguments,
    MessageSet,
    encoded_text,
    is_single,
    joined,
    reaches_out,
    sequence_set,
    substitute,
    substituted,
)
from ._imaplib_costs import Patience, asked_by, cost
from ._imaplib_functions import Flags as Flags
from ._imaplib_functions import Int2AP, Internaldate2tuple, ParseFlags, Time2Internaldate
from ._imaplib_functions import InternalDate as InternalDate
from ._imaplib_functions import Mon2num as Mon2num
from ._imaplib_functions import Months as Months
from .errors import (
    LineTooLong,
    LiteralTooLarge,
    ProtocolError,
    ResponseTooLarge,
    TooManyChallenges,
    TooManyLiterals,
    TooManyUnasked,
)
from .limits import IMAPLIB_LIMITS as LIMITS
from .model import mailbox_name
from .parser import ResponseReader

try:
    import ssl
except ImportError:
    HAVE_SSL = False
else:
    HAVE_SSL = True

if TYPE_CHECKING:
    from socket import socket as Socket
    from ssl import SSLContext, SSLSocket

__all__ = [
    "IMAP4",
    "IMAP4_SSL",
    "IMAP4_stream",
    "Int2AP",
    "Internaldate2tuple",
    "ParseFlags",
    "Time2Internaldate",
]

CRLF = b"\r\n"
Debug = 0
IMAP4_PORT = 143
IMAP4_SSL_PORT = 993
AllowedVersions = ("IMAP4REV1", "IMAP4")  # the first that the server has is PROTOCOL_VERSION

# Octets in a line. The SEARCH response for a million messages has 8 MB, and imap_tools raises the standard library's
# 1 MB to 20 MB. Looked up whenever a line is read.
_MAXLINE = 16 * 1024 * 1024

# A literal of at most this size is sent in one piece with the CRLF behind it: one segment instead of two.
_JOINED_LITERAL = 64 * 1024

# Octets of each of the last lines that print_log() can show, where they were not printed in whole.
_LOGGED = 1000

# Seconds that the child of IMAP4_stream has to end once its pipes are closed, and again once it was told to.
_CHILD_TIMEOUT = 5
# Octets that its pipe holds: more are not to be had at a time.
_PIPE = 64 * 1024

# The states in which each command is allowed.
Commands: dict[str, tuple[str, ...]] = {
    name: states
    for names, states in (
        (("CAPABILITY", "LOGOUT", "NOOP"), ("NONAUTH", "AUTH", "SELECTED", "LOGOUT")),
        (("ID",), ("NONAUTH", "AUTH", "SELECTED")),
        (("AUTHENTICATE", "LOGIN", "STARTTLS"), ("NONAUTH",)),
        (("ENABLE", "PROXYAUTH"), ("AUTH",)),
        (("APPEND", "CREATE", "DELETE", "EXAMINE", "IDLE", "LIST", "LSUB", "NAMESPACE"), ("AUTH", "SELECTED")),
        (("RENAME", "SELECT", "STATUS", "SUBSCRIBE", "UNSUBSCRIBE"), ("AUTH", "SELECTED")),
        (("DELETEACL", "GETACL", "MYRIGHTS", "SETACL"), ("AUTH", "SELECTED")),
        (("GETANNOTATION", "GETQUOTA", "GETQUOTAROOT", "SETANNOTATION", "SETQUOTA"), ("AUTH", "SELECTED")),
        (("CHECK", "CLOSE", "COPY", "EXPUNGE", "FETCH", "MOVE", "PARTIAL"), ("SELECTED",)),
        (("SEARCH", "SORT", "STORE", "THREAD", "UID", "UNSELECT"), ("SELECTED",)),
    )
    for name in names
}

# The lines of a server. Servers are known that write a response's type in lower case, or two spaces in front of it
# (DavMail), so both are taken.
Continuation = re.compile(rb"\+(?: (?P<data>.*))?")
Untagged_response = re.compile(rb"\* +(?P<type>[A-Z-]+)(?: (?P<data>.*))?", re.IGNORECASE)
Untagged_status = re.compile(rb"\* +(?P<data>\d+) +(?P<type>[A-Z-]+)(?: (?P<data2>.*))?", re.IGNORECASE)
Literal = re.compile(rb".*\{(?P<size>\d+)\+?\}$")
# The data ends at the last bracket of the line: flags with a bracket in them are common, against the grammar.
Response_code = re.compile(rb"\[(?P<type>[A-Z-]+)(?: (?P<data>.*))?\]", re.IGNORECASE)
# A response code without the "* OK" that belongs in front of it (Exchange, home.pl).
_Bare_response_code = re.compile(rb"(?:\* +)?(?P<data>\[[A-Z-]+(?: .*)?\].*)", re.IGNORECASE)

MapCRLF = re.compile(rb"\r\n|\r|\n")
_substitute = substitute  # CPython's name

# The part of a line up to the first quote that none closes, if there is one.
_WELL_QUOTED = re.compile(rb'[^"]*+(?:"(?:[^"\\]|\\.)*+"[^"]*+)*+', re.DOTALL)

# The announcement of a literal that holds a part of the message itself.
_SECTION_LITERAL = re.compile(rb"(?:[]>]|RFC822(?:\.HEADER|\.TEXT)?) (?:~)?\{\d+\+?\}\Z", re.IGNORECASE)

# What a greeting that is not IMAP's tells about the service behind the port.
_OTHER_SERVICES = {
    b"220": "an SMTP or FTP server",
    b"+OK": "a POP3 server",
    b"HTTP/": "a web server",
    b"SSH-": "an SSH server",
}

# Mechanisms in which the client says the secret itself.
_SHOWS_SECRET = (b"LOGIN", b"OAUTHBEARER", b"PLAIN", b"XOAUTH2")

_Data: TypeAlias = list[Any]
_Result: TypeAlias = tuple[str, list[Any]]
_Authobject: TypeAlias = Callable[[bytes], bytes | str | None]


def _create_default_ssl_context() -> SSLContext:
    """Return the context for TLS connections that the caller gave none for: it verifies certificate and host name."""
    return ssl.create_default_context()


class IMAP4:
    """A connection to an IMAP server.

    `host` is a name or an address ("" is this machine), `port` a TCP port, `timeout` the seconds that connecting, and
    later each wait for the server, may take (None: the default of the socket module). The constructor connects,
    reads the greeting and learns the capabilities.

    Raises OSError where no connection came about, :exc:`abort` or :exc:`error` where it is not to an IMAP server;
    the socket is closed then.
    """

    class error(_stdlib.IMAP4.error):
        """The server refused a command, or the caller asked for what cannot be."""

    class abort(error, _stdlib.IMAP4.abort):
        """The connection is of no more use: connect again, and repeat the command if it can be repeated."""

    class readonly(abort, _stdlib.IMAP4.readonly):
        """The selected mailbox cannot be written, although it was selected for that."""

    class _timed_out(abort, TimeoutError):
        """The server did not answer a command in time."""

    class _unexpected(abort):
        """The server sent a line that is no response."""

    class _responsetimeout(TimeoutError):
        """No response began in time (while idling)."""

    host: str | None = ""
    port: int | None = IMAP4_PORT
    sock: Socket
    debug: int
    state: str
    welcome: bytes | None
    capabilities: tuple[str, ...] = ()
    PROTOCOL_VERSION: str
    is_readonly = False
    utf8_enabled = False
    literal: Any = None
    untagged_responses: dict[str, _Data]
    tagged_commands: dict[bytes, _Result | None]
    continuation_response: Any
    mo: Any = None
    tagre = re.compile(rb"(?P<tag>[A-P]{6}\d+) +(?P<type>[A-Z]+)(?: (?P<data>.*))?", re.IGNORECASE)
    Literal = Literal
    Untagged_status = Untagged_status

    # Here, so that they are there in subclasses that do without our __init__() or open().
    _dead = ""
    _reader: ResponseReader | None = None
    _reader_sock: Socket | None = None
    _idle_capture = False
    _tls_established = False
    _encoding = "ascii"
    _line = b""  # the first of the response in hand
    # What the command in hand asks for (nothing where that is not known), and what has come that it did not ask for.
    _asked: frozenset[str] = frozenset()
    _unasked = 0
    _unasked_octets = 0
    _in_hand = 0  # octets received since the last complete response, or since the caller has read some himself
    _received = 0  # octets received since it was last looked at how many of them untagged_responses holds

    def __init__(self, host: str = "", port: int = IMAP4_PORT, timeout: float | None = None) -> None:
        self.debug = Debug
        self.state = "LOGOUT"
        self.literal = None  # what the next command sends behind its line: octets, or a function of the challenge
        self.tagged_commands = {}  # by tag, None until the tagged response is there
        self.untagged_responses = {}  # by type, the data of each response
        self.continuation_response = ""
        self.is_readonly = False
        self.tagnum = 0
        self._idle_responses: deque[tuple[str, _Data]] = deque()
        self._idle_capture = False
        self._tls_established = False
        self._dead = ""  # the reason, once it is
        self._cmd_log_len = 10
        self._cmd_log_idx = 0
        self._cmd_log: dict[int, tuple[str, float]] = {}
        self._mode_ascii()
        self.open(host, port, timeout)
        try:
            self._connect()
        except BaseException:
            with suppress(OSError):
                self.shutdown()
            raise

    def _mode_ascii(self) -> None:
        self.utf8_enabled = False
        self._encoding = "ascii"

    def _mode_utf8(self) -> None:
        self.utf8_enabled = True
        self._encoding = "utf-8"

    def _connect(self) -> None:
        self.tagpre = _tag_prefix()
        if self.debug >= 1:
            self._mesg(f"new IMAP4 connection, tag={self.tagpre!r}")
        self._greet()
        self._refresh_capabilities(consume=True)
        if self.debug >= 3:
            self._mesg(f"CAPABILITIES: {self.capabilities!r}")
        self._choose_version()

    def _choose_version(self) -> None:
        for version in AllowedVersions:
            if version in self.capabilities:
                self.PROTOCOL_VERSION = version
                return
        raise self.error("server not IMAP4 compliant")

    def _greet(self) -> None:
        """Read the greeting, and enter the state that it says (RFC 9051, section 7.1)."""
        self._asked = asked_by("")
        try:
            self.welcome = self._get_response()
        except self._unexpected:
            raise self._invalid_greeting(self._line) from None
        except TimeoutError as exc:
            raise self._timed_out(
                f"no greeting from {self._peer()} within {self._seconds()} seconds; "
                "a port that begins with TLS needs IMAP4_SSL"
            ) from exc
        except self.abort as exc:
            raise self.abort(f"no greeting from {self._peer()}: {exc}") from exc
        if "PREAUTH" in self.untagged_responses:
            self.state = "AUTH"
        elif "OK" in self.untagged_responses:
            self.state = "NONAUTH"
        else:
            raise self._invalid_greeting(self.welcome or self._line)

    def _invalid_greeting(self, line: bytes) -> Exception:
        text = f"invalid greeting: {line.decode('ascii', 'replace')}"
        for start, service in _OTHER_SERVICES.items():
            if line.startswith(start):
                text += f" (this is {service}; IMAP's ports are {IMAP4_PORT}, and {IMAP4_SSL_PORT} with TLS)"
        return self.error(text)

    def __getattr__(self, attr: str) -> Any:
        # The commands can be called in upper case too.
        if attr in Commands:
            return getattr(self, attr.lower())
        raise AttributeError(f"Unknown IMAP4 command: {attr!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.state != "LOGOUT":
            with suppress(OSError, self.abort):
                self.logout()

    # The connection. Subclasses override these methods.

    def open(self, host: str = "", port: int = IMAP4_PORT, timeout: float | None = None) -> None:
        """Connect to `port` of `host`, waiting `timeout` seconds at most; see :class:`IMAP4`."""
        self.host = host
        self.port = port
        self._dead = ""
        self._reader = None
        self.sock = self._create_socket(timeout)

    def _create_socket(self, timeout: float | None) -> Socket:
        if timeout is not None and not timeout:
            raise ValueError("Non-blocking socket (timeout=0) is not supported")
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
        """Return one line from the server, with its end; what there is of it at the end of the connection.

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
        try:
            self._patience.limit(self.sock, begun=reader.buffered > 0)
            recv_into = getattr(self.sock, "recv_into", None)
            if recv_into is not None:
                # The view must not outlive the call: while it does, a literal's memory cannot grow in place.
                received = recv_into(reader.get_buffer())
            else:
                room = reader.get_buffer()
                octets = self.sock.recv(len(room))
                received = len(octets)
                room[:received] = octets
        except ConnectionError:
            return False
        finally:
            self._patience.release()
        if received:
            reader.buffer_updated(received)
            self._patience.moved(received)
            self._in_hand += received
            self._received += received
        return bool(received)

    @functools.cached_property
    def _patience(self) -> Patience:
        return Patience()

    def send(self, data: bytes) -> None:
        """Send the octets of `data` to the server. Where not all of them go, the connection is dead."""
        self._check_alive()
        sys.audit("imaplib.send", self, data)
        try:
            with self._patience:
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
        _warn_deprecated("IMAP4.file", "3.19")
        return self._imaplib_file

    @file.setter
    def file(self, value: Any) -> None:
        _warn_deprecated("IMAP4.file", "3.19")
        self._imaplib_file = value

    def _close_imaplib_file(self) -> None:
        file = self.__dict__.get("_imaplib_file")
        if file is not None:
            with suppress(OSError):
                file.close()

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
            reason = f"{name or 'a response'} timed out after {self._seconds()} seconds"
            failure = self._timed_out(
                f"{prefix}timed out after {self._seconds()} seconds; as the answer may still come, the connection "
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

    # Methods that are no commands.

    def recent(self) -> _Result:
        """Return the RECENT responses received, after a NOOP if there is none yet; [None] if none came."""
        typ, data = self._untagged_response("OK", [None], "RECENT")
        if data[-1]:
            return typ, data
        typ, data = self.noop()
        return self._untagged_response(typ, data, "RECENT")

    def response(self, code: str) -> _Result:
        """Take the data received of the response or response code `code`, such as "UIDVALIDITY".

        Returns (code, [data, ...]), oldest first, or (code, [None]).
        """
        return code, self._untagged_response("", [None], code.upper())[1]

    # Commands, in alphabetical order.

    def append(
        self,
        mailbox: Argument | None,
        flags: Arguments | None,
        date_time: float | tuple[int, ...] | time.struct_time | datetime | str | None,
        message: bytes,
        *,
        translate_line_endings: bool = True,
    ) -> _Result:
        r"""Append a message to `mailbox` (None: INBOX). RFC 9051, section 6.3.12; RFC 6855, section 4.

        `flags` is such as "\Seen" or a sequence of those, `date_time` as for :func:`Time2Internaldate`; each may be
        None. CR and LF alone become CRLF in the octets of `message`, unless `translate_line_endings` is False.
        """
        arguments = (
            self._mailbox(mailbox or "INBOX"),
            self._set_quote(flags) if flags else None,
            Time2Internaldate(date_time) if date_time else None,
        )
        self.literal = MapCRLF.sub(CRLF, message) if translate_line_endings else message
        return self._simple_command("APPEND", *arguments)

    def authenticate(self, mechanism: Argument, authobject: _Authobject) -> _Result:
        """Log in by the SASL `mechanism`, such as "PLAIN". RFC 9051, section 6.2.2.

        ``authobject(challenge)`` is called with the octets of each challenge, decoded from base64, and returns the
        response as bytes or str, not encoded; or None, to cancel. An exception of its own cancels too.

        Raises :exc:`error` with the server's text if that refuses; and before anything is sent if the mechanism shows
        the password or token to whoever listens, and the server announces LOGINDISABLED.
        """
        name = self._atom(mechanism.upper())
        self._check_alive()
        if name in _SHOWS_SECRET and "LOGINDISABLED" in self.capabilities and self._in_clear():
            raise self.error(
                f"{name.decode()} would show the password on this connection (LOGINDISABLED): "
                "call starttls() first, or connect by IMAP4_SSL"
            )
        self.literal = _Authenticator(authobject).process
        typ, data = self._simple_command("AUTHENTICATE", name)
        return self._logged_in(typ, data)

    def _in_clear(self) -> bool:
        """Whether this is a connection over a network without TLS, as far as can be known."""
        sock = getattr(self, "sock", None)
        if self._tls_established or sock is None:
            return False
        return not (HAVE_SSL and isinstance(sock, ssl.SSLSocket))

    def capability(self) -> _Result:
        """Ask for the server's capabilities: [names, separated by spaces]. RFC 9051, section 6.1.1."""
        typ, data = self._simple_command("CAPABILITY")
        return self._untagged_response(typ, data, "CAPABILITY")

    def check(self) -> _Result:
        """Have the server make a checkpoint of the selected mailbox. RFC 3501, section 6.4.1."""
        return self._simple_command("CHECK")

    def close(self) -> _Result:
        r"""Leave the selected mailbox, and remove its \Deleted messages. RFC 9051, section 6.4.1."""
        return self._leave_mailbox("CLOSE")

    def copy(self, message_set: MessageSet, new_mailbox: Argument, *, uid: bool = False) -> _Result:
        """Copy messages to `new_mailbox`; `uid`: `message_set` holds UIDs. RFC 9051, section 6.4.7."""
        return self._by_number_or_uid(uid, "COPY", self._sequence_set(message_set), self._mailbox(new_mailbox))

    def create(self, mailbox: Argument) -> _Result:
        """Create `mailbox`. RFC 9051, section 6.3.4."""
        return self._simple_command("CREATE", self._mailbox(mailbox))

    def delete(self, mailbox: Argument) -> _Result:
        """Delete `mailbox` with all that is in it. RFC 9051, section 6.3.5."""
        return self._simple_command("DELETE", self._mailbox(mailbox))

    def deleteacl(self, mailbox: Argument, who: Argument) -> _Result:
        """Take away all rights that the identifier `who` has been given on `mailbox`. RFC 4314, section 3.2."""
        return self._simple_command("DELETEACL", self._mailbox(mailbox), self._astring(who))

    def enable(self, capability: str) -> _Result:
        """Enable one or more extensions, separated by spaces. RFC 5161, section 3.1.

        After "UTF8=ACCEPT" (RFC 6855), arguments and mailbox names go in UTF-8.
        """
        self._check_alive()
        if "ENABLE" not in self.capabilities:
            raise self.error("Server does not support ENABLE")
        names = [self._atom(name) for name in self._encoded(capability).split(b" ")]
        utf8 = b"UTF8=ACCEPT" in [name.upper() for name in names]
        typ, data = self._simple_command("ENABLE", *names)
        if typ == "OK" and utf8:
            self._mode_utf8()
        return typ, data

    def expunge(self, message_set: MessageSet | None = None, *, uid: bool = False) -> _Result:
        r"""Remove the \Deleted messages, or with `uid` those of the UIDs in `message_set`.

        Returns the numbers of the messages removed, in order; each counts with those before it gone.
        RFC 9051, section 6.4.3; RFC 4315, section 2.1.
        """
        if uid and message_set is None:
            raise self.error("UID EXPUNGE needs a message set")
        if not uid and message_set is not None:
            raise self.error("EXPUNGE takes a message set only with uid=True")
        arguments = () if message_set is None else (self._sequence_set(message_set),)
        typ, data = self._by_number_or_uid(uid, "EXPUNGE", *arguments)
        return self._untagged_response(typ, data, "EXPUNGE")

    def fetch(
        self,
        message_set: MessageSet,
        message_parts: Arguments,
        *,
        uid: bool = False,
        params: Sequence[Any] | None = None,
    ) -> _Result:
        """Fetch data items of messages; `uid`: `message_set` holds UIDs. RFC 9051, section 6.4.5.

        `message_parts` is such as "(UID BODY.PEEK[TEXT])" or a sequence of items. With `params`, each ``?`` in it
        stands for the next of them: ``fetch("1", "BODY[HEADER.FIELDS ?]", params=[["DATE", "FROM"]])``.

        Returns a line as bytes for each message; where literals are part of it, a (line, literal) for each of them and
        the line that closes the response.
        """
        parts = self._fetch_parts(substituted(message_parts, params))
        typ, data = self._by_number_or_uid(uid, "FETCH", self._sequence_set(message_set), parts)
        return self._untagged_response(typ, data, "FETCH")

    def getacl(self, mailbox: Argument) -> _Result:
        """Return the rights given on `mailbox`. RFC 4314, section 3.3."""
        typ, data = self._simple_command("GETACL", self._mailbox(mailbox))
        return self._untagged_response(typ, data, "ACL")

    def getannotation(self, mailbox: Argument, entry: Argument, attribute: Argument) -> _Result:
        """Return annotations of `mailbox`. draft-daboo-imap-annotatemore-08, section 4.2.

        `entry` and `attribute` go as they are: quote them, or put lists in parentheses.
        """
        arguments = (self._mailbox(mailbox), self._single(entry), self._single(attribute))
        typ, data = self._simple_command("GETANNOTATION", *arguments)
        return self._untagged_response(typ, data, "ANNOTATION")

    def getquota(self, root: Argument) -> _Result:
        """Return use and limits of the quota root. RFC 9208, section 4.1.1."""
        typ, data = self._simple_command("GETQUOTA", self._astring(root))
        return self._untagged_response(typ, data, "QUOTA")

    def getquotaroot(self, mailbox: Argument) -> _Result:
        """Return [QUOTAROOT responses, QUOTA responses] for `mailbox`. RFC 9208, section 4.1.2."""
        typ, data = self._simple_command("GETQUOTAROOT", self._mailbox(mailbox))
        _, quotaroot = self._untagged_response(typ, data, "QUOTAROOT")
        _, quota = self._untagged_response(typ, data, "QUOTA")
        return typ, [quotaroot, quota]

    def id(self, fields: Mapping[str, str | None] | None = None) -> _Result:
        """Tell the server who the client is, such as {"name": "x", "version": "1"}; None tells nothing. RFC 2971.

        Returns the server's own fields, as a parenthesised list.
        """
        argument = b"NIL"
        if fields:
            pairs = (
                self._quote(name) + b" " + (b"NIL" if value is None else self._quote(value))
                for name, value in fields.items()
            )
            argument = b"(" + b" ".join(pairs) + b")"
        typ, data = self._simple_command("ID", argument)
        return self._untagged_response(typ, data, "ID")

    def idle(self, duration: float | None = None) -> Idler:
        """Return a context manager that idles, and iterates over what the server says meanwhile. RFC 2177.

        Iteration ends after `duration` seconds; with None, it does not. ::

            with M.idle(duration=29 * 60) as idler:
                for typ, data in idler:
                    print(typ, data)

        A `duration` needs a socket: IMAP4_stream has none.
        """
        return Idler(self, duration)

    def list(self, directory: Argument = "", pattern: Argument = "*") -> _Result:
        """List the mailboxes below `directory` that match `pattern`: * any characters, % the same within one level.

        Returns (attributes) delimiter name, a line or a (line, literal) each. RFC 9051, section 6.3.9.
        """
        return self._list("LIST", directory, pattern)

    def login(self, user: Argument, password: Argument) -> _Result:
        """Log in with a password in the clear. RFC 9051, section 6.2.3.

        Raises :exc:`error`, with the server's text if it refuses; and before anything is sent if the server announces
        LOGINDISABLED.
        """
        self._check_state("LOGIN")
        if "LOGINDISABLED" in self.capabilities:
            raise self.error(
                "LOGIN is disabled on this connection (LOGINDISABLED): "
                "call starttls() first, connect by IMAP4_SSL, or use authenticate()"
            )
        typ, data = self._simple_command("LOGIN", self._astring(user), self._quote(password))
        return self._logged_in(typ, data)

    def login_cram_md5(self, user: Argument, password: Argument) -> _Result:
        """Log in by CRAM-MD5 (RFC 2195); raises :exc:`error` if the server refuses."""
        self.user, self.password = encoded_text(user), encoded_text(password)
        return self.authenticate("CRAM-MD5", self._CRAM_MD5_AUTH)

    def _CRAM_MD5_AUTH(self, challenge: bytes) -> bytes:
        try:
            digest = hmac.HMAC(self.password, challenge, "md5").hexdigest()
        except ValueError:  # a build of OpenSSL may forbid MD5
            raise self.error("CRAM-MD5 authentication is not supported") from None
        return self.user + b" " + digest.encode("ascii")

    def login_plain(self, user: Argument, password: Argument) -> _Result:
        """Log in by PLAIN (RFC 4616), which takes names and passwords in UTF-8; :exc:`error` if the server refuses.

        Raises ValueError where `user` or `password` contains NUL.
        """
        octets = [b"", encoded_text(user), encoded_text(password)]
        if any(b"\0" in part for part in octets):
            raise ValueError("NUL not allowed in user name or password")
        return self.authenticate("PLAIN", lambda challenge: b"\0".join(octets))

    def logout(self) -> _Result:
        """Say goodbye, and close the connection. RFC 9051, section 6.1.3.

        Returns ("BYE", [text]). A connection that is dead already is no error: its reason is the text.
        """
        if self._dead:
            return "BYE", [f"connection is dead: {self._dead}".encode()]
        self._check_state("LOGOUT")
        self.state = "LOGOUT"
        try:
            return self._simple_command("LOGOUT")
        finally:
            self.shutdown()

    def lsub(self, directory: Argument = "", pattern: Argument = "*") -> _Result:
        """List the subscribed mailboxes; as :meth:`list`. RFC 3501, section 6.3.9."""
        return self._list("LSUB", directory, pattern)

    def move(self, message_set: MessageSet, new_mailbox: Argument, *, uid: bool = False) -> _Result:
        """Move messages to `new_mailbox`; `uid`: `message_set` holds UIDs. RFC 6851."""
        return self._by_number_or_uid(uid, "MOVE", self._sequence_set(message_set), self._mailbox(new_mailbox))

    def myrights(self, mailbox: Argument) -> _Result:
        """Return the rights of the logged-in user on `mailbox`. RFC 4314, section 3.5."""
        typ, data = self._simple_command("MYRIGHTS", self._mailbox(mailbox))
        return self._untagged_response(typ, data, "MYRIGHTS")

    def namespace(self) -> _Result:
        """Return the namespaces: personal, of other users, shared. RFC 2342."""
        typ, data = self._simple_command("NAMESPACE")
        return self._untagged_response(typ, data, "NAMESPACE")

    def noop(self) -> _Result:
        """Do nothing, and so give the server the occasion to tell of changes. RFC 9051, section 6.1.2."""
        if self.debug >= 3:
            self._dump_ur(self.untagged_responses)
        return self._simple_command("NOOP")

    def partial(
        self, message_num: Argument | int, message_part: Argument, start: Argument | int, length: Argument | int
    ) -> _Result:
        """Fetch `length` octets of a part of one message, from octet `start` on. RFC 1730, section 6.4.6.

        Servers of today have ``fetch("1", "BODY[]<0.2048>")`` instead.
        """
        arguments = (
            self._single(str(argument) if isinstance(argument, int) else argument)
            for argument in (message_num, message_part, start, length)
        )
        typ, data = self._simple_command("PARTIAL", *arguments)
        return self._untagged_response(typ, data, "FETCH")

    def proxyauth(self, user: Argument) -> _Result:
        """Go on as `user`, which some servers allow an administrator."""
        return self._simple_command("PROXYAUTH", self._astring(user))

    def rename(self, oldmailbox: Argument, newmailbox: Argument) -> _Result:
        """Rename a mailbox, and those below it. RFC 9051, section 6.3.6."""
        return self._simple_command("RENAME", self._mailbox(oldmailbox), self._mailbox(newmailbox))

    def search(
        self, charset: Argument | None, *criteria: Argument, uid: bool = False, params: Sequence[Any] | None = None
    ) -> _Result:
        """Search the selected mailbox: [message numbers, or with `uid` UIDs, separated by spaces].

        The `criteria` are search keys, sent with spaces between them. With a `charset`, those that are str are encoded
        in it; it must be None in UTF-8 mode. With `params`, each ``?`` in them stands for the next value, quoted where
        need be: ``search(None, "FROM ? LARGER ?", params=[sender, 50000])``. RFC 9051, section 6.4.4.
        """
        if charset is not None and self.utf8_enabled:
            raise self.error("Non-None charset not valid in UTF8 mode")
        keys = self._search_keys(charset, criteria, params)
        if charset is not None:
            keys = ("CHARSET", self._astring(charset), *keys)
        typ, data = self._by_number_or_uid(uid, "SEARCH", *keys)
        return self._untagged_response(typ, data, "SEARCH")

    def select(self, mailbox: Argument = "INBOX", readonly: bool = False) -> _Result:
        """Open `mailbox`, for reading alone if `readonly` (EXAMINE). RFC 9051, sections 6.3.2 and 6.3.3.

        Returns [number of messages]; :meth:`response` has the rest. Forgets all responses received before. Raises
        :exc:`readonly` if the server opens for reading alone what was to be written.
        """
        name = "EXAMINE" if readonly else "SELECT"
        argument = self._mailbox(mailbox)
        self._check_state(name)
        with self._in_command(name):
            self._take_arrived()  # of the mailbox selected before
        self.untagged_responses = {}
        self.is_readonly = readonly
        typ, data = self._simple_command(name, argument)
        if typ != "OK":
            self.state = "AUTH"  # the mailbox selected before is not selected any more
            return typ, data
        self.state = "SELECTED"
        if "READ-ONLY" in self.untagged_responses and not readonly:
            if self.debug >= 1:
                self._dump_ur(self.untagged_responses)
            raise self.readonly(f"{mailbox!r} is not writable")
        return typ, self.untagged_responses.get("EXISTS", [None])

    def setacl(self, mailbox: Argument, who: Argument, what: Argument) -> _Result:
        """Give the identifier `who` the rights `what` (such as "lr" or "+lr") on `mailbox`. RFC 4314, section 3.1."""
        return self._simple_command("SETACL", self._mailbox(mailbox), self._astring(who), self._astring(what))

    def setannotation(self, mailbox: Argument, *args: Argument) -> _Result:
        """Set annotations of `mailbox`. draft-daboo-imap-annotatemore-08, section 4.3.

        The `args` are entries and lists of attributes in turn, and go as they are.
        """
        typ, data = self._simple_command("SETANNOTATION", self._mailbox(mailbox), *map(self._single, args))
        return self._untagged_response(typ, data, "ANNOTATION")

    def setquota(self, root: Argument, limits: Arguments) -> _Result:
        """Set the limits of the quota root, such as "(STORAGE 512)". RFC 9208, section 4.1.3."""
        typ, data = self._simple_command("SETQUOTA", self._astring(root), self._set_quote(limits))
        return self._untagged_response(typ, data, "QUOTA")

    def sort(
        self,
        sort_criteria: Arguments,
        charset: Argument | None,
        *search_criteria: Argument,
        uid: bool = False,
        params: Sequence[Any] | None = None,
    ) -> _Result:
        """Search as :meth:`search` does, with the result in the order of `sort_criteria`, such as "REVERSE DATE".

        RFC 5256, section 3.
        """
        arguments = (
            self._set_quote(sort_criteria),
            None if charset is None else self._astring(charset),
            *self._search_keys(charset, search_criteria, params),
        )
        typ, data = self._by_number_or_uid(uid, "SORT", *arguments)
        return self._untagged_response(typ, data, "SORT")

    def starttls(
        self, ssl_context: SSLContext | None = None, *, keyfile: str | None = None, certfile: str | None = None
    ) -> _Result:
        """Change to TLS. RFC 9051, section 6.2.1.

        Without `ssl_context`, certificate and host name are verified. `keyfile` and `certfile`, the client's own
        certificate, are deprecated. What the server said before, capabilities included, is forgotten.

        It ends under TLS, or with the connection dead: :exc:`abort` if the server has no STARTTLS or refuses it,
        ssl.SSLError if the two do not get along or the certificate is not good.
        """
        self._check_alive()
        if self._tls_established:
            raise self.abort("TLS session already established")
        try:
            return self._start_tls(ssl_context, keyfile, certfile)
        except BaseException as exc:
            # Whoever asked for TLS must not go on without it.
            self._die(str(exc))
            raise

    def _start_tls(self, ssl_context: SSLContext | None, keyfile: str | None, certfile: str | None) -> _Result:
        if not HAVE_SSL:
            raise self.error("SSL support missing")
        if getattr(self, "sock", None) is None:
            raise self.abort("TLS needs a socket connection")
        self._check_state("STARTTLS")
        if "STARTTLS" not in self.capabilities:
            raise self.abort("TLS not supported by server")
        context = _client_context(ssl_context, keyfile, certfile)
        typ, data = self._simple_command("STARTTLS")
        if typ != "OK":
            raise self.abort(f"Couldn't establish TLS session: {data[-1].decode('utf-8', 'replace')}")
        if self._reader is not None and self._reader_sock is self.sock and self._reader.buffered:
            # Whoever sits between the two could have put them there, to be taken for responses sent under TLS.
            raise self.abort(f"{self._reader.buffered} octets follow the answer to STARTTLS, ahead of TLS")
        self._close_imaplib_file()
        self.__dict__.pop("_imaplib_file", None)
        try:
            self.sock = self._wrap_socket(self.sock, context)
        except BaseException as exc:
            self._die(f"TLS handshake failed: {exc}")
            raise
        self._tls_established = True
        self.untagged_responses = {}
        self.capabilities = ()
        self._get_capabilities()
        self._choose_version()
        return typ, [None]

    def _wrap_socket(self, sock: Socket, context: SSLContext) -> SSLSocket:
        try:
            return context.wrap_socket(sock, server_hostname=self.host or "localhost")
        except BaseException as exc:
            sock.close()
            if isinstance(exc, ssl.SSLCertVerificationError):
                exc.add_note("To trust this server all the same, pass an ssl_context that does.")
            elif isinstance(exc, ssl.SSLError):
                # The type and the number stay; the text gets to name the peer.
                exc.strerror = (
                    f"no TLS with {self._peer()}: {exc.strerror or exc} "
                    "(a port that begins without TLS needs IMAP4, and then starttls())"
                )
            raise

    def status(self, mailbox: Argument, names: Arguments) -> _Result:
        """Return the status items `names`, such as "(MESSAGES UNSEEN)", of `mailbox`. RFC 9051, section 6.3.11."""
        typ, data = self._simple_command("STATUS", self._mailbox(mailbox), self._set_quote(names))
        return self._untagged_response(typ, data, "STATUS")

    def store(self, message_set: MessageSet, command: Argument, flags: Arguments, *, uid: bool = False) -> _Result:
        r"""Change flags of messages; `uid`: `message_set` holds UIDs. RFC 9051, section 6.4.6.

        `command` is "FLAGS", "+FLAGS" or "-FLAGS", with ".SILENT" behind it or not; `flags` is such as "\Seen" or a
        sequence of those. Returns the FETCH responses that tell of the change.
        """
        arguments = (self._sequence_set(message_set), self._atom(command), self._set_quote(flags))
        typ, data = self._by_number_or_uid(uid, "STORE", *arguments)
        return self._untagged_response(typ, data, "FETCH")

    def subscribe(self, mailbox: Argument) -> _Result:
        """Add `mailbox` to the subscribed ones. RFC 9051, section 6.3.7."""
        return self._simple_command("SUBSCRIBE", self._mailbox(mailbox))

    def thread(
        self,
        threading_algorithm: Argument,
        charset: Argument | None,
        *search_criteria: Argument,
        uid: bool = False,
        params: Sequence[Any] | None = None,
    ) -> _Result:
        """Search as :meth:`search` does, with the result in threads, by "REFERENCES" or "ORDEREDSUBJECT".

        RFC 5256, section 3.
        """
        arguments = (
            self._atom(threading_algorithm),
            None if charset is None else self._astring(charset),
            *self._search_keys(charset, search_criteria, params),
        )
        typ, data = self._by_number_or_uid(uid, "THREAD", *arguments)
        return self._untagged_response(typ, data, "THREAD")

    def uid(self, command: str, *args: Any, params: Sequence[Any] | None = None) -> _Result:
        """Execute `command` by UIDs instead of message numbers; `args` and `params` are those of its own method.

        Returns the SEARCH, SORT or THREAD responses for these, the FETCH responses for all others.
        RFC 9051, section 6.4.9.
        """
        command = command.upper()
        if command not in Commands:
            raise self.error(f"Unknown IMAP4 UID command: {command!r}")
        self._check_state(command)
        typ, data = self._simple_command("UID", self._atom(command), *self._uid_arguments(command, args, params))
        name = command if command in ("SEARCH", "SORT", "THREAD") else "FETCH"
        return self._untagged_response(typ, data, name)

    def unselect(self) -> _Result:
        r"""Leave the selected mailbox, and leave its \Deleted messages in it. RFC 9051, section 6.4.2."""
        return self._leave_mailbox("UNSELECT")

    def unsubscribe(self, mailbox: Argument) -> _Result:
        """Take `mailbox` out of the subscribed ones. RFC 9051, section 6.3.8."""
        return self._simple_command("UNSUBSCRIBE", self._mailbox(mailbox))

    def xatom(self, name: str, *args: Argument | None) -> _Result:
        """Execute a command that the class does not know, in the present state; `args` go as they are."""
        name = name.upper()
        if name in Commands:
            return self._simple_command(name, *args)
        Commands[name] = (self.state,)
        try:
            self._atom(name)
            return self._simple_command(name, *args)
        except (TypeError, ValueError):  # and so nothing was sent
            del Commands[name]
            self.literal = None
            raise

    # What several commands have in common.

    def _by_number_or_uid(self, uid: bool, name: str, *arguments: Argument | None) -> _Result:
        if uid:
            self._check_state(name)
            return self._simple_command("UID", name, *arguments)
        return self._simple_command(name, *arguments)

    def _leave_mailbox(self, name: str) -> _Result:
        self._check_state(name)
        try:
            return self._simple_command(name)
        finally:
            if not self._dead:
                self.state = "AUTH"

    def _list(self, name: str, directory: Argument, pattern: Argument) -> _Result:
        typ, data = self._simple_command(name, self._mailbox(directory), self._list_mailbox(pattern))
        return self._untagged_response(typ, data, name)

    def _logged_in(self, typ: str, data: _Data) -> _Result:
        if typ != "OK":
            raise self.error(data[-1].decode("utf-8", "replace"))
        self.state = "AUTH"
        self._refresh_capabilities()
        return typ, data

    def _get_capabilities(self) -> None:
        typ, data = self.capability()
        if typ != "OK" or data == [None]:
            raise self.error("no CAPABILITY response from server")
        self._set_capabilities(data)

    def _refresh_capabilities(self, consume: bool = False) -> None:
        """Learn the capabilities from the response that came on its own, or ask for them.

        Unless `consume`, such a response can still be had by response("CAPABILITY").
        """
        data = self.untagged_responses.get("CAPABILITY")
        if data is None:
            self._get_capabilities()
            return
        if consume:
            del self.untagged_responses["CAPABILITY"]
        self._set_capabilities(data)

    def _set_capabilities(self, data: _Data) -> None:
        self.capabilities = tuple(data[-1].decode(self._encoding, "replace").upper().split())

    # Arguments.

    def _encoded(self, argument: Argument) -> bytes:
        """Return the octets of `argument`; ValueError for those that end a line or a string."""
        if isinstance(argument, str):
            octets = argument.encode(self._encoding)
        elif isinstance(argument, (bytes, bytearray, memoryview)):
            octets = bytes(argument)
        else:
            raise TypeError(f"arguments of commands are str or bytes, not {type(argument).__name__}: {argument!r}")
        if UNSENDABLE.search(octets):
            raise ValueError("NUL, CR and LF not allowed in commands")
        return octets

    def _atom(self, argument: Argument) -> bytes:
        octets = encoded_text(argument, self._encoding)
        if not octets or NOT_IN_ATOM.search(octets):
            raise ValueError(f"not an atom: {argument!r}")
        return octets

    def _astring(self, argument: Argument) -> bytes:
        return self._quoted_unless_safe(encoded_text(argument, self._encoding), NOT_IN_ASTRING)

    def _list_mailbox(self, argument: Argument) -> bytes:
        return self._quoted_unless_safe(self._mailbox_octets(argument), NOT_IN_LIST_MAILBOX)

    def _mailbox(self, argument: Argument) -> bytes:
        return self._quoted_unless_safe(self._mailbox_octets(argument), NOT_IN_ASTRING)

    def _mailbox_octets(self, name: Argument) -> bytes:
        """Return `name` in modified UTF-7, unless it is that already (as LIST gives it) or goes in UTF-8."""
        if not isinstance(name, str) or self._encoding != "ascii":
            return encoded_text(name, self._encoding)
        if name.isascii() and ("&" not in name or mailbox_name.is_encoded(name)):
            return name.encode("ascii")
        if UNSENDABLE.search(name.encode("utf-8", "surrogatepass")):
            raise ValueError("NUL, CR and LF not allowed in commands")
        return mailbox_name.encode(name)

    def _quoted_unless_safe(self, octets: bytes, unsafe: re.Pattern[bytes]) -> bytes:
        if (octets and unsafe.search(octets) is None) or QUOTED.fullmatch(octets):
            return octets
        return self._quote(octets)

    def _quote(self, argument: Argument) -> bytes:
        return b'"' + encoded_text(argument, self._encoding).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    def _set_quote(self, argument: Arguments) -> Argument:
        """Return `argument` in parentheses; a sequence becomes a list."""
        if isinstance(argument, (str, bytes)):
            text = argument if isinstance(argument, str) else argument.decode("latin-1")
            inside = text[1:-1] if text[:1] == "(" and text[-1:] == ")" else text
            if inside and reaches_out(inside):
                raise ValueError(f"not one list: {argument!r}")
            return f"({inside})" if isinstance(argument, str) else f"({inside})".encode("latin-1")
        items = [item if isinstance(item, str) else item.decode("ascii") for item in argument]
        if any(map(reaches_out, items)):
            raise ValueError(f"not the items of a list: {argument!r}")
        return f"({' '.join(items)})"

    def _single(self, argument: Argument) -> bytes:
        """Return `argument`, which goes as it is; ValueError where a server would read more arguments than one."""
        octets = self._encoded(argument)
        if not is_single(octets.decode("latin-1")):
            raise ValueError(f"not one argument: {argument!r}")
        return octets

    def _fetch_parts(self, argument: Arguments) -> Argument:
        # The macros stand for whole lists, and have no place in one.
        if isinstance(argument, (str, bytes)) and argument.upper() in ("ALL", "FAST", "FULL", b"ALL", b"FAST", b"FULL"):
            return argument
        return self._set_quote(argument)

    def _sequence_set(self, argument: MessageSet) -> Argument:
        """Return a sequence set, such as "1,3:5,8:*". RFC 9051, section 9, sequence-set.

        str and bytes have to be one already. Else it is a number or a sequence of numbers, ranges, and pairs of first
        and last, where the last may be "*" or None for the end of the mailbox.
        """
        return sequence_set(argument)

    def _encode_criteria(self, charset: Argument | None, criteria: Sequence[Argument]) -> tuple[Argument, ...]:
        """Return search keys with those that are str encoded in `charset`; LookupError where Python lacks it."""
        if charset is None:
            return tuple(criteria)
        codec = charset if isinstance(charset, str) else charset.decode("ascii")
        return tuple(key.encode(codec) if isinstance(key, str) else key for key in criteria)

    def _search_keys(
        self, charset: Argument | None, criteria: Sequence[Argument], params: Sequence[Any] | None
    ) -> tuple[Argument, ...]:
        if params is not None:
            criteria = (substitute(joined(criteria), params),)
        if all(isinstance(key, str) and key.isascii() for key in criteria):
            return tuple(criteria)  # the same in every charset, also in those that Python does not know
        return self._encode_criteria(charset, criteria)

    def _uid_arguments(
        self, command: str, args: tuple[Any, ...], params: Sequence[Any] | None
    ) -> Sequence[Argument | None]:
        """Return `args` as the method of `command` would send them; more than these, and all others, as they are."""
        if params is not None and command not in ("FETCH", "SEARCH", "SORT", "THREAD"):
            raise TypeError(f"UID {command} takes no params")
        if command in ("COPY", "MOVE"):
            message_set, mailbox, *rest = args
            return self._sequence_set(message_set), self._mailbox(mailbox), *map(self._single, rest)
        if command == "EXPUNGE":
            message_set, *rest = args
            return self._sequence_set(message_set), *map(self._single, rest)
        if command == "FETCH":
            message_set, parts, *rest = args
            parts = self._fetch_parts(substituted(parts, params))
            return self._sequence_set(message_set), parts, *map(self._single, rest)
        if command == "STORE":
            message_set, first, *rest, flags = args
            return self._sequence_set(message_set), *map(self._single, (first, *rest)), self._set_quote(flags)
        if command == "SEARCH":
            return self._search_keys(None, args, params)
        if command in ("SORT", "THREAD"):
            first, charset, *keys = args
            return (
                self._set_quote(first) if command == "SORT" else self._atom(first),
                None if charset is None else self._astring(charset),
                *self._search_keys(charset, keys, params),
            )
        return args

    # Commands out.

    def _simple_command(self, name: str, *args: Argument | None) -> _Result:
        return self._command_complete(name, self._command(name, *args))

    def _check_state(self, name: str) -> None:
        self._check_alive()
        if self.state not in Commands[name]:
            raise self.error(
                f"command {name} illegal in state {self.state}, only allowed in states {', '.join(Commands[name])}"
            )

    def _command(self, name: str, *args: Argument | None) -> bytes:
        """Send the command, with the literal if one is set; return its tag.

        Nothing is sent, and nothing changed, if the arguments are no good.
        """
        literal, self.literal = self.literal, None
        self._check_state(name)
        parts = [self._encoded(argument) for argument in (name, *args) if argument is not None]
        end = CRLF
        if literal is not None and not callable(literal):
            size = memoryview(literal).nbytes
            if self.utf8_enabled and name == "APPEND":
                parts.append(b"UTF8 (~{%d}" % size)  # RFC 6855, section 4
                end = b")" + CRLF
            else:
                parts.append(b"{%d}" % size)
        elif ANNOUNCEMENT.search(parts[-1]):
            # The server would take what comes next, the next command included, for a part of this one.
            if len(parts) == 1 or NOT_IN_WORD.search(parts[-1]):
                raise ValueError("a command cannot end like the announcement of a literal")
            parts[-1] = self._quote(parts[-1])
        with self._in_command(name):
            self._take_arrived()
        if name != "LOGOUT":
            self._check_bye()
        for status in ("OK", "NO", "BAD"):
            self.untagged_responses.pop(status, None)
        if "READ-ONLY" in self.untagged_responses and not self.is_readonly and name != "LOGOUT":
            raise self.readonly("mailbox status changed to READ-ONLY")

        tag = self._new_tag()
        self._asked = asked_by(name, *args[:1])
        line = b" ".join((tag, *parts))
        self._trace(f"> {line!r}")
        with self._in_command(name):
            self.send(line + CRLF)
        if callable(literal):
            self._exchange(name, tag, literal)
        elif literal is not None:
            with self._in_command(name):
                self._send_literal(tag, literal, end)
        return tag

    def _send_literal(self, tag: bytes, literal: Any, end: bytes) -> None:
        if self._continued(tag):
            self._take_arrived()
            if self.tagged_commands[tag] is not None:
                raise self.abort(f"the server asked for a literal, and answered ahead of it: {_shown(self._line)}")
        else:
            result = self.tagged_commands[tag]
            if result is not None and result[0] == "OK":
                raise self.abort(f"the server did not ask for the literal, and yet says {_shown(self._line)}")
            return
        if self.debug >= 4:
            self._mesg(f"write literal size {len(literal)}")
        if len(literal) <= _JOINED_LITERAL:
            self.send(b"".join((literal, end)))
        else:
            self.send(literal)
            self.send(end)

    def _exchange(self, name: str, tag: bytes, process: Callable[[Any], bytes]) -> None:
        """Answer challenges by `process` until the command is complete."""
        cancelled = False
        challenges = 0
        while True:
            with self._in_command(name):
                challenged = self._continued(tag)
                if challenged:
                    self._take_arrived()
                result = self.tagged_commands[tag]
                if result is not None:
                    if result[0] == "OK" and (challenged or cancelled):
                        raise self.abort(f"OK to {name}, although that was {'cancelled' if cancelled else 'not over'}")
                    return
                challenges += 1
                if challenges > LIMITS.challenges:
                    self._refuse(TooManyChallenges(f"more than {LIMITS.challenges} SASL challenges"))
            octets = self._answer(name, tag, process)
            cancelled = octets == b"*"
            if self.debug >= 4:
                self._mesg(f"write literal size {len(octets)}")
            with self._in_command(name):
                self.send(octets + CRLF)

    def _continued(self, tag: bytes) -> bool:
        """Wait for the continuation request; False if the command is complete without one."""
        with self._patience:
            while self._get_response() is not None:
                if self.tagged_commands[tag] is not None:
                    return False
                self._check_bye()
                self._check_unasked()
        return True

    def _answer(self, name: str, tag: bytes, process: Callable[[Any], bytes]) -> bytes:
        try:
            return process(self.continuation_response)
        except Exception as exc:
            # The server waits: with the exchange cancelled (RFC 9051, section 6.2.2), the two are in step again.
            with self._in_command(name):
                self.send(b"*" + CRLF)
                if self._get_tagged_response(tag)[0] == "OK":
                    raise self.abort(f"OK to {name}, although that was cancelled") from exc
            raise
        except BaseException as exc:  # no time for that
            self._fail(name, exc)

    def _command_complete(self, name: str, tag: bytes) -> _Result:
        """Return the tagged response to the command `name`; for LOGOUT, the BYE in front of it."""
        logout = name == "LOGOUT"
        if not logout:
            self._check_bye()
        if not self._asked:
            self._asked = asked_by(name)  # of a command that the caller has sent by send()
        with self._in_command(name):
            typ, data = self._get_tagged_response(tag, expect_bye=logout)
        if not logout:
            self._check_bye()
        if typ == "BAD":
            raise self.error(f"{name} command error: {typ} {data!r}")
        return typ, data

    def _new_tag(self) -> bytes:
        # Nobody can guess a tag, not from the ones before either: no octets put into a message's text can pass for a
        # tagged response, and no response for the answer to a command that is yet to be sent.
        if self.tagnum:
            self.tagpre = _tag_prefix()
        tag = self.tagpre + b"%d" % self.tagnum
        self.tagnum += 1
        self.tagged_commands[tag] = None
        self._asked = frozenset()
        self._unasked = self._unasked_octets = 0
        if self._received > LIMITS.unasked_octets:
            self._forget_untaken()
        return tag

    def _forget_untaken(self) -> None:
        """Forget what earlier commands brought and nobody took, where it has become too much to be kept.

        Each command may bring up to a limit, and a connection may have any number of commands.
        """
        self._received = 0
        responses = self.untagged_responses
        if sum(cost(data)[1] for data in responses.values()) > LIMITS.unasked_octets:
            for typ in [typ for typ in responses if typ != "READ-ONLY"]:
                del responses[typ]

    # Responses in.

    def _get_tagged_response(self, tag: bytes, expect_bye: bool = False) -> _Result:
        drains = self._can_drain()
        with self._patience:
            while True:
                result = self.tagged_commands[tag]
                if result is not None:
                    del self.tagged_commands[tag]
                    return result
                if expect_bye and "BYE" in self.untagged_responses:
                    return "BYE", self.untagged_responses.pop("BYE")
                self._check_bye()
                try:
                    if drains:
                        self._drain()
                    else:
                        self._get_response()
                    self._check_unasked()
                except self.abort:
                    if self.debug >= 1:
                        self.print_log()
                    raise

    def _can_drain(self) -> bool:
        """Whether nobody looks at single responses, or carries octets in a way of his own."""
        return (
            not self.debug
            and not self._idle_capture
            and type(self.untagged_responses) is dict
            and not self._is_watched()
        )

    def _is_watched(self) -> bool:
        cls = type(self)
        return not (
            self.__dict__.keys().isdisjoint(_HOOKS)
            and all(getattr(cls, name) is method for name, method in _HOOKS.items())
        )

    def _drain(self) -> None:
        """Do the work of _get_response() for all untagged data up to the next line of another kind, and for that."""
        reader = self._current_reader()
        try:
            while (line := self._drained(reader)) is None:
                if not self._receive(reader):
                    raise self._end_of_file(reader)
        except ProtocolError as exc:
            self._refuse(exc)
        self._take_line(line)

    def _drained(self, reader: ResponseReader) -> bytes | None:
        """Store the untagged data that has arrived, up to the next line of another kind, which is returned."""
        responses, asked = self.untagged_responses, self._asked
        # What is asked for goes to where it belongs at once, and the rest is counted.
        arrived = {typ: responses.get(typ, []) for typ in asked}
        before = [len(data) for data in arrived.values()]
        try:
            line = reader.drain(arrived, _MAXLINE)
        finally:
            if [len(data) for data in arrived.values()] != before:
                self._patience.progress()
                self._in_hand = 0
                for typ, data in arrived.items():
                    if typ not in asked:
                        responses.setdefault(typ, []).extend(data)
                        self._count_unasked(data)
                    elif data:
                        responses[typ] = data
        self._check_unasked()
        if self._in_hand > LIMITS.unasked_octets and "FETCH" not in asked:
            self._refuse(TooManyUnasked(f"more than {LIMITS.unasked_octets} octets in a response, asked for or not"))
        return line

    def _take_line(self, line: bytes) -> None:
        line = self._checked(line).lstrip(b"\0")
        if line:
            self._take_response(line)
        else:
            self._unasked += 1

    def _take_arrived(self) -> None:
        """Take the responses that are there already: they answer no command that is yet to be sent.

        So a tagged one among them breaks the connection off. Somebody who watches single responses will see them when
        the next command reads them.
        """
        reader = self._reader
        if reader is None or self._reader_sock is not self.sock or not reader.buffered or self._is_watched():
            return
        drains = self._can_drain()
        self._unasked = self._unasked_octets = 0
        try:
            with self._patience:
                while True:
                    line = self._drained(reader) if drains else reader.readline(_MAXLINE)
                    if line is not None:
                        self._take_line(line)
                        self._check_unasked()
                    elif not reader.in_response:
                        return
                    elif not self._receive(reader):
                        raise self._end_of_file(reader)
        except ProtocolError as exc:
            self._refuse(exc)

    def _count_unasked(self, fragments: _Data) -> None:
        responses, octets = cost(fragments)
        self._unasked += responses
        self._unasked_octets += octets

    def _check_unasked(self) -> None:
        if self._unasked > LIMITS.unasked or self._unasked_octets > LIMITS.unasked_octets:
            self._refuse(
                TooManyUnasked(
                    f"more than {LIMITS.unasked} responses, or {LIMITS.unasked_octets} octets of them, "
                    "that no command asked for"
                )
            )

    def _end_of_file(self, reader: ResponseReader) -> Exception:
        if reader.in_response:
            return self.abort(
                f"socket error: EOF in the middle of a response with literals, {reader.buffered} octets "
                "into the next of its literals and lines"
            )
        rest = reader.take_rest()
        return self.abort(f"socket error: unterminated line: {_shown(rest)}" if rest else "socket error: EOF")

    def _get_response(self, start_timeout: float | bool | None = False) -> bytes | None:
        """Read one response, and store it; return its first line, or None for a continuation request.

        `start_timeout` is False, or the seconds (None: without end) within which the response must begin; else it is
        a _responsetimeout. An OSError before the first line is complete leaves all as it was; one behind it, the
        connection dead.
        """
        if not self._patience.waiting:
            self._unasked = self._unasked_octets = 0  # whoever reads one by one minds them himself
        with self._patience:
            if start_timeout is False or not self.sock:
                return self._take_response(self._first_line())
            try:
                with self._patience.silence(self.sock, start_timeout):
                    line = self._first_line()
            except TimeoutError as exc:
                if self._patience.ran_out:
                    self._fail("", exc)
                raise self._responsetimeout from exc
            return self._take_response(line)

    def _first_line(self) -> bytes:
        """Return the next line of some content: servers send empty lines between responses, and NULs ahead of them."""
        empty = 0
        while not (line := self._get_line().lstrip(b"\0")):
            empty += 1
            self._unasked += 1
            if empty > LIMITS.unasked:
                self._refuse(TooManyUnasked(f"more than {LIMITS.unasked} empty lines"))
        return line

    def _get_line(self) -> bytes:
        """Return a line without its CRLF."""
        line = self.readline()
        if not line:
            raise self.abort("socket error: EOF")
        return self._checked(line)

    def _checked(self, line: bytes) -> bytes:
        if not line.endswith(CRLF):
            raise self.abort(f"socket error: unterminated line: {_shown(line)}")
        line = line[:-2]
        self._trace(f"< {line!r}" if self.debug >= 4 else f"< {_shown(line, _LOGGED)}")
        return line

    def _take_response(self, line: bytes) -> bytes | None:
        """Store the response that begins with `line`; return `line`, or None for a continuation request."""
        self._line = line
        if line.startswith(b"+"):
            self._match(Continuation, line)
            self.continuation_response = self.mo["data"]
            self._unasked += 1
            return None
        if not line.startswith(b"*") and self._match(self.tagre, line):
            tag = self.mo["tag"]
            if tag not in self.tagged_commands:
                raise self._unexpected(f"unexpected tagged response: {_shown(line)}")
            typ = self.mo["type"].decode("ascii").upper()
            data = self.mo["data"] or b""
            self.tagged_commands[tag] = (typ, [data])
        else:
            if self._match(Untagged_response, line):
                typ = self.mo["type"].decode("ascii").upper()
                data = self.mo["data"] or b""
            elif self._match(self.Untagged_status, line):
                typ = self.mo["type"].decode("ascii").upper()
                data = self.mo["data"] + (b" " + self.mo["data2"] if self.mo["data2"] else b"")
            elif self._match(_Bare_response_code, line):
                typ = "OK"
                data = self.mo["data"]
            else:
                raise self._unexpected(f"unexpected response: {_shown(line)}")
            fragments = self._fragments(typ, data)
            for fragment in fragments:
                self._append_untagged(typ, fragment)
                data = fragment
            if typ not in self._asked:
                self._count_unasked(fragments)

        if typ in ("OK", "NO", "BAD") and self._match(Response_code, data):
            self._append_untagged(self.mo["type"].decode("ascii").upper(), self.mo["data"])
        if self.debug >= 1 and typ in ("NO", "BAD", "BYE"):
            self._mesg(f"{typ} response: {data!r}")
        self._patience.progress()
        self._in_hand = 0
        return line

    def _fragments(self, typ: str, data: bytes) -> _Data:
        """Return the (line, literal) pairs and the closing line of the response that `data` begins."""
        if not self._match(self.Literal, data):
            return [data]
        fragments: _Data = []
        depth = 0
        octets = len(data)
        with self._in_command(""):
            while self._match(self.Literal, data):
                size = int(self.mo["size"].lstrip(b"0")[:20] or b"0")  # what has more digits is refused as well
                if self.debug >= 4:
                    self._mesg(f"read literal size {size}")
                octets += size
                self._check_literal(size, typ == "FETCH" and _SECTION_LITERAL.search(data) is not None)
                if len(fragments) == LIMITS.literals:
                    self._refuse(TooManyLiterals(f"response with more than {LIMITS.literals} literals"))
                if octets > LIMITS.response:
                    self._refuse(ResponseTooLarge(f"response of more than {LIMITS.response} octets"))
                if octets > LIMITS.unasked_octets and self._asked and typ not in self._asked:
                    self._refuse(TooManyUnasked(f"more than {LIMITS.unasked_octets} octets that nobody asked for"))
                literal = self.read(size)
                if len(literal) < size:
                    raise self.abort(f"socket error: EOF after {len(literal)} of {size} octets of a literal")
                fragments.append((data, literal))
                depth += _net_parentheses(data)
                data = self._get_line()
                while not data and depth > 0:
                    self._unasked += 1
                    self._check_unasked()
                    data = self._get_line()  # some servers send an empty line behind a literal
                octets += len(data)
        fragments.append(data)
        return fragments

    def _check_literal(self, size: int, of_message: bool) -> None:
        most = LIMITS.literal if of_message else LIMITS.other_literal
        if size > most:
            announced = str(size) if size < 2**63 else "2**63 or more"
            self._refuse(LiteralTooLarge(f"literal of {announced} octets, more than {most}"))

    def _append_untagged(self, typ: str, data: Any) -> None:
        if data is None:
            data = b""
        if self._idle_capture:
            # A response with literals comes in several fragments, and its last is the first that is no tuple.
            if self._idle_responses and isinstance(self._idle_responses[-1][1][-1], tuple):
                self._idle_responses[-1][1].append(data)
            else:
                self._idle_responses.append((typ, [data]))
            if self.debug >= 5:
                self._mesg(f"idle: queue untagged {typ} {data!r}")
            return
        responses = self.untagged_responses
        if self.debug >= 5:
            self._mesg(f'untagged_responses[{typ}] {len(responses.get(typ, ""))} += ["{data!r}"]')
        responses.setdefault(typ, []).append(data)

    def _check_bye(self) -> None:
        bye = self.untagged_responses.get("BYE")
        if bye is None and self._idle_capture and self._idle_responses:
            typ, data = self._idle_responses[-1]  # this is asked after each response
            bye = data if typ == "BYE" else None
        if bye:
            text = bye[-1].decode(self._encoding, "replace")
            self._die(f"the server said BYE {text}".rstrip())
            raise self.abort(text)

    def _untagged_response(self, typ: str, data: _Data, name: str) -> _Result:
        """Take the responses of type `name`: (typ, [data, ...]), or (typ, [None]); `data` itself if `typ` is NO."""
        if typ == "NO":
            return typ, data
        if name not in self.untagged_responses:
            return typ, [None]
        data = self.untagged_responses.pop(name)
        if self.debug >= 5:
            self._mesg(f"untagged_responses[{name}] => {data!r}")
        return typ, data

    def _match(self, pattern: re.Pattern[bytes], octets: bytes) -> bool:
        self.mo = pattern.match(octets)
        if self.mo is not None and self.debug >= 5:
            self._mesg(f"\tmatched {pattern.pattern!r} => {self.mo.groups()!r}")
        return self.mo is not None

    # Debug output: what is sent and received from level 4 on, at 5 all that is made of it.

    def _mesg(self, s: str, secs: float | None = None) -> None:
        if secs is None:
            secs = time.time()
        clock = time.strftime("%M:%S", time.localtime(secs))
        sys.stderr.write(f"  {clock}.{int(secs * 100) % 100:02d} {s}\n")
        sys.stderr.flush()

    def _trace(self, line: str) -> None:
        if self.debug >= 4:
            self._mesg(line)
        else:
            self._log(line)

    def _log(self, line: str) -> None:
        self._cmd_log[self._cmd_log_idx] = (line, time.time())
        self._cmd_log_idx = (self._cmd_log_idx + 1) % self._cmd_log_len

    def print_log(self) -> None:
        """Write the last lines sent and received to stderr; below debug level 1, received data is not among them."""
        self._mesg(f"last {len(self._cmd_log)} IMAP4 interactions:")
        for offset in range(self._cmd_log_len):
            entry = self._cmd_log.get((self._cmd_log_idx + offset) % self._cmd_log_len)
            if entry is not None:
                self._mesg(*entry)

    def _dump_ur(self, untagged_resp_dict: Mapping[str, _Data]) -> None:
        if untagged_resp_dict:
            items = (f"{name}: {data!r}" for name, data in untagged_resp_dict.items())
            self._mesg("untagged responses dump:" + "\n\t\t".join(items))


# Whoever replaces one of these, in a subclass, on the class or on the instance, gets to see every line.
_HOOKS = {
    name: IMAP4.__dict__[name]
    for name in ("_append_untagged", "_get_line", "_get_response", "_log", "_match", "read", "readline")
}


class Idler:
    """IDLE, as a context manager and an iterator over what the server says meanwhile. RFC 2177.

    Made by :meth:`IMAP4.idle`. Each item is ``(type, [data, ...])``, one untagged response. What was not taken is in
    ``untagged_responses`` afterwards.
    """

    def __init__(self, imap: IMAP4, duration: float | None = None) -> None:
        if "IDLE" not in imap.capabilities:
            raise imap.error("Server does not support IMAP4 IDLE")
        if duration is not None and not imap.sock:
            raise imap.error("duration requires a socket connection")
        self._imap = imap
        self._duration = duration
        self._deadline: float | None = None
        self._tag = b""
        self._saved_state = ""

    def __enter__(self) -> Self:
        imap = self._imap
        if imap.debug >= 4:
            imap._mesg(f"idle start duration={self._duration}")
        imap._check_state("IDLE")
        # What comes ahead of the continuation request is part of it already.
        imap._idle_capture = True
        try:
            self._tag = imap._command("IDLE")
            with imap._in_command("IDLE"):
                idling = imap._continued(self._tag)
            if not idling:
                result = imap.tagged_commands.pop(self._tag)
                if result is not None and result[0] == "NO":
                    raise imap.error(f"idle denied: {result[1]!r}")
                raise imap.abort(f"unexpected status response: {result!r}")
        except BaseException:
            self._stop_capture()
            raise
        if imap.debug >= 4:
            imap._mesg(f"idle continuation prompt: {imap.continuation_response!r}")
        if self._duration is not None:
            self._deadline = time.monotonic() + self._duration
        self._saved_state = imap.state
        imap.state = "IDLING"
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc_info: object) -> None:
        imap = self._imap
        if imap.debug >= 4:
            imap._mesg("idle done")
        self._stop_capture()
        if imap._dead:
            return
        imap.state = self._saved_state
        try:
            imap._check_bye()
            if not self._ended:
                with imap._in_command("IDLE"):
                    imap.send(b"DONE" + CRLF)
            typ, data = imap._command_complete("IDLE", self._tag)
            if imap.debug >= 4:
                imap._mesg(f"idle status: {typ} {data!r}")
        except (OSError, imap.abort):
            if exc_type is None:  # else the body's own exception is the one to see
                raise

    def _stop_capture(self) -> None:
        """Hand what nobody took to untagged_responses."""
        imap = self._imap
        imap._idle_capture = False
        leftovers, imap._idle_responses = imap._idle_responses, deque()
        if leftovers and imap.debug >= 4:
            imap._mesg(f"idle quit with {len(leftovers)} leftover responses")
        for typ, data in leftovers:
            for fragment in data:
                imap._append_untagged(typ, fragment)

    @property
    def _ended(self) -> bool:
        """Whether the server has ended IDLE on its own."""
        return self._imap.tagged_commands.get(self._tag) is not None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Result:
        timeout = None if self._deadline is None else self._deadline - time.monotonic()
        response = self._pop(timeout)
        if response is None:
            if self._imap.debug >= 4:
                self._imap._mesg("idle iterator exhausted")
            raise StopIteration
        return response

    def _pop(self, timeout: float | None) -> _Result | None:
        """Return the next response; None if none begins within `timeout` seconds, or if IDLE is over."""
        imap = self._imap
        if imap.state != "IDLING":
            imap._check_alive()
            raise imap.error("_pop() only works during IDLE")
        end = None if timeout is None else time.monotonic() + timeout
        while not imap._idle_responses:
            left = None if end is None else end - time.monotonic()
            if self._ended or (left is not None and left <= 0):
                return None
            if imap.debug >= 4:
                imap._mesg(f"idle _pop({timeout}) reading")
            try:
                imap._get_response(left)
            except imap._responsetimeout:
                if imap.debug >= 4:
                    imap._mesg(f"idle _pop({timeout}) done")
                return None
            except imap.error as exc:
                imap._die(str(exc))
                raise
        response = imap._idle_responses.popleft()
        if response[0] == "BYE":  # nothing more is to be sent
            imap.untagged_responses["BYE"] = response[1]
        if imap.debug >= 4:
            imap._mesg(f"idle _pop({timeout}) read {response[0]}")
        return response

    def burst(self, interval: float = 0.1) -> Iterator[_Result]:
        """Wait for a response, and yield it and those that follow, each within `interval` seconds of the last.

        Needs a socket: IMAP4_stream has none. ::

            with M.idle() as idler:
                batch = list(idler.burst())
        """
        if not self._imap.sock:
            raise self._imap.error("burst() requires a socket connection")
        response = next(self, None)
        while response is not None:
            yield response
            response = self._pop(interval)


class IMAP4_SSL(IMAP4):
    """A connection under TLS from the first octet on. RFC 8314.

    As :class:`IMAP4`; `ssl_context` says how (None: certificate and host name are verified). `keyfile` and `certfile`,
    the client's own certificate, are deprecated: load them into the context.
    """

    def __init__(
        self,
        host: str = "",
        port: int = IMAP4_SSL_PORT,
        keyfile: str | None = None,
        certfile: str | None = None,
        ssl_context: SSLContext | None = None,
        timeout: float | None = None,
    ) -> None:
        if not HAVE_SSL:
            raise self.error("SSL support missing")
        self.keyfile = keyfile
        self.certfile = certfile
        self.ssl_context = _client_context(ssl_context, keyfile, certfile)
        super().__init__(host, port, timeout)

    def _create_socket(self, timeout: float | None) -> Socket:
        return self._wrap_socket(super()._create_socket(timeout), self.ssl_context)

    def open(self, host: str = "", port: int = IMAP4_SSL_PORT, timeout: float | None = None) -> None:
        """Connect to `port` of `host`, waiting `timeout` seconds at most; see :class:`IMAP4`."""
        super().open(host, port, timeout)
        self._tls_established = True

    def ssl(self) -> SSLSocket:
        """Return the socket of the connection."""
        return self.sock  # type: ignore[return-value]


class IMAP4_stream(IMAP4):
    """A connection to the standard input and output of a child process, such as ``ssh host imapd``.

    `command` is a string for the shell, or a sequence of strings: the program and its arguments. Pipes know
    no timeout.
    """

    process: subprocess.Popen[bytes]

    def __init__(self, command: str | Sequence[str]) -> None:
        self.command = command
        super().__init__()

    def open(self, host: str | None = None, port: int | None = None, timeout: float | None = None) -> None:
        """Start the child process. The arguments stand for nothing."""
        self.host = None
        self.port = None
        self.sock = None  # type: ignore[assignment]  # as in the standard library
        self._dead = ""
        self._reader = None
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, shell=isinstance(self.command, str)
        )
        self.writefile: Any = self.process.stdin
        self.readfile: Any = self.process.stdout

    def _peer(self) -> str:
        return repr(self.command)

    def _receive(self, reader: ResponseReader) -> bool:
        room = reader.get_buffer()
        # What is there, not more, or a line, as no response ends elsewhere: it waits for nothing that will not come.
        # readinto1() does: it reads on where its file holds less than there is room for.
        read = getattr(self.readfile, "read1", self.readfile.readline)
        octets: bytes = read(min(len(room), _PIPE))
        received = len(octets)
        room[:received] = octets
        if received:
            reader.buffer_updated(received)
        return bool(received)

    def send(self, data: bytes) -> None:
        """Send the octets of `data` to the child process."""
        self._check_alive()
        sys.audit("imaplib.send", self, data)
        self.writefile.write(data)
        self.writefile.flush()

    def shutdown(self) -> None:
        """Close the pipes, and wait for the child process to end, which it is made to after a few seconds."""
        self._reader = None
        for file in (self.readfile, self.writefile):
            with suppress(OSError):  # what could not be written will not be
                file.close()
        for stop in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(_CHILD_TIMEOUT)
            except subprocess.TimeoutExpired:
                stop()
        self.process.wait()


class _Authenticator:
    """The base64 around the challenges and responses of AUTHENTICATE."""

    def __init__(self, mechinst: _Authobject) -> None:
        self.mech = mechinst

    def process(self, data: bytes | None) -> bytes:
        """Return what to send in answer to the challenge `data`; ``*`` to cancel."""
        response = self.mech(self.decode(data))
        return b"*" if response is None else self.encode(response)

    def encode(self, inp: bytes | str) -> bytes:
        octets = inp.encode("utf-8") if isinstance(inp, str) else inp
        return binascii.b2a_base64(octets, newline=False)

    def decode(self, inp: bytes | None) -> bytes:
        if not inp:
            return b""
        try:
            return binascii.a2b_base64(inp.strip(b" "), strict_mode=True)
        except binascii.Error as exc:
            raise IMAP4.error(f"a challenge that is not base64 ({exc}): {_shown(inp)}") from exc


def _client_context(context: SSLContext | None, keyfile: str | None, certfile: str | None) -> SSLContext:
    """Return `context` or a default one, that one with the client certificate of `keyfile` and `certfile`."""
    if keyfile is None and certfile is None:
        return _create_default_ssl_context() if context is None else context
    if context is not None:
        raise ValueError("ssl_context and keyfile or certfile are mutually exclusive: load them into the context")
    if certfile is None:
        raise ValueError("keyfile needs a certfile")
    warnings.warn("keyfile and certfile are deprecated, use an ssl_context instead", DeprecationWarning, stacklevel=3)
    context = _create_default_ssl_context()
    context.load_cert_chain(certfile, keyfile)
    return context


def _warn_deprecated(name: str, removed: str) -> None:
    warnings.warn(
        f"{name!r} is deprecated and slated for removal in Python {removed}", DeprecationWarning, stacklevel=3
    )


def _tag_prefix() -> bytes:
    return Int2AP(16**5 + secrets.randbelow(15 * 16**5))  # of six letters


def _shown(octets: bytes, most: int = 80) -> str:
    return repr(octets) if len(octets) <= most else f"{octets[:most]!r}..."


def _net_parentheses(line: bytes) -> int:
    """Return the opening less the closing parentheses of `line` that stand outside quoted strings."""
    well_quoted = _WELL_QUOTED.match(line)
    assert well_quoted is not None
    unquoted = QUOTED.sub(b"", well_quoted[0]) + line[well_quoted.end() :]
    return unquoted.count(b"(") - unquoted.count(b")")


def __getattr__(name: str) -> str:
    if name == "__version__":
        _warn_deprecated(name, "3.20")
        return "2.60"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
