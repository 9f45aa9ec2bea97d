"""The connections that a program makes: to a port, and to a port under TLS."""

# ruff: noqa: N801, N812 - the names are the standard library's
from __future__ import annotations

from collections import deque
from contextlib import suppress

from .arguments import decoded_text
from .idler import Idler
from .mailboxes import MailboxCommands
from .messages import MessageCommands
from .names import IMAP4_PORT, IMAP4_SSL_PORT, Commands, Data, Debug, Result
from .session import SessionCommands
from .tls import HAVE_SSL, _client_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from ssl import SSLContext, SSLSocket
    from typing import Any, Self

_VARARGS = 4  # inspect.CO_VARARGS


class IMAP4(SessionCommands, MailboxCommands, MessageCommands):
    """A connection to an IMAP server.

    `host` is a name or an address ("" is this machine), `port` a TCP port, `timeout` the seconds that connecting, and
    later each wait for the server, may take (None: the default of the socket module). The constructor connects,
    reads the greeting and learns the capabilities.

    Raises OSError where no connection came about, :exc:`abort` or :exc:`error` where it is not to an IMAP server;
    the socket is closed then.
    """

    __module__ = "fastimap.imaplib"

    def __init__(self, host: str = "", port: int = IMAP4_PORT, timeout: float | None = None) -> None:
        self.debug: int = Debug
        self.state = "LOGOUT"
        self.literal: Any = None  # what the next command sends after its line: octets, or a function of the challenge
        self.tagged_commands: dict[bytes, Result | None] = {}  # by tag, None until the tagged response is there
        self.untagged_responses: dict[str, Data] = {}  # by type, the data of each response
        self.continuation_response: Any = ""
        self.is_readonly = False
        self.tagnum = 0
        self._idle_responses = deque()
        self._idle_capture = False
        self._tls_established = False
        self._dead = ""  # the reason, once it is
        self._cmd_log = deque(maxlen=10)
        self._mode_ascii()
        _call_in_upper_case()
        if _takes_timeout(self.open):
            self.open(host, port, timeout)
        else:  # written for Python 3.8 or older
            self.open(host, port)
            if timeout is not None:
                self.sock.settimeout(timeout)
        try:
            self._connect()
        except BaseException:
            with suppress(OSError):
                self.shutdown()
            raise

    if TYPE_CHECKING:

        def __getattr__(self, attr: str) -> Any:
            """The commands in upper case; see _call_in_upper_case()."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None = None, *exc_info: object) -> None:
        if self.state == "LOGOUT":
            return
        if exc_type is not None:
            self.literal = None  # of a command that was not sent
            if None in self.tagged_commands.values():
                # A server that waits for a literal takes LOGOUT for octets of it, and waits on.
                self._die(f"{exc_type.__name__} in the middle of a command")
                return
        with suppress(OSError, self.abort):
            self.logout()

    def recent(self) -> Result:
        """Return the RECENT responses received, after a NOOP if there is none yet; [None] if none came."""
        typ, data = self._untagged_response("OK", [None], "RECENT")
        if data[-1]:
            return typ, data
        typ, data = self.noop()
        return self._untagged_response(typ, data, "RECENT")

    def response(self, code: str) -> Result:
        """Take the data received of the response or response code `code`, such as "UIDVALIDITY".

        Returns (code, [data, ...]), oldest first, or (code, [None]).
        """
        return code, self._untagged_response("", [None], decoded_text(code).upper())[1]

    def idle(self, duration: float | None = None) -> Idler:
        """Return a context manager that idles, and iterates over what the server says meanwhile. RFC 2177.

        Iteration ends after `duration` seconds; with None, it does not. ::

            with M.idle(duration=29 * 60) as idler:
                for typ, data in idler:
                    print(typ, data)

        A `duration` needs a socket: IMAP4_stream has none.
        """
        return Idler(self, duration)


def _takes_timeout(method: Any) -> bool:
    """Whether an open() that may be overridden takes a third argument."""
    code = getattr(getattr(method, "__func__", None), "__code__", None)
    return code is None or code.co_argcount > 3 or bool(code.co_flags & _VARARGS)


class _InUpperCase:
    """A command's name in upper case.

    A __getattr__() that knew all of them would make each use of an attribute, whichever it is, several times as slow.
    """

    def __init__(self, name: str) -> None:
        self._name = name.lower()

    def __get__(self, connection: IMAP4 | None, owner: type[IMAP4]) -> Any:
        return self if connection is None else getattr(connection, self._name)


def _call_in_upper_case() -> None:
    """Let each command be called in upper case too, also one that a program has added to `Commands`."""
    for name in Commands:
        if name not in vars(IMAP4):
            setattr(IMAP4, name, _InUpperCase(name))


_call_in_upper_case()


class IMAP4_SSL(IMAP4):
    """A connection under TLS from the first octet on. RFC 8314.

    As :class:`IMAP4`; `ssl_context` says how (None: certificate and host name are verified). `keyfile` and `certfile`,
    the client's own certificate, are deprecated: load them into the context.
    """

    __module__ = "fastimap.imaplib"

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
        self.ssl_context: SSLContext = _client_context(ssl_context, keyfile, certfile)
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
