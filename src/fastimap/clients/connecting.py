"""Sockets for both drivers: what a connection is made of before TLS and IMAP begin.

Nothing here imports ssl, which takes longer than all else of a connection in clear: what is about TLS is in tls.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from ..errors import Advice, ConnectFailed, ConnectionLost, Timeout
from ..model._host import as_taken
from ..settings import Settings

if TYPE_CHECKING:
    from ssl import SSLSocket

__all__ = [
    "OtherWay",
    "attempts",
    "connect",
    "connect_error",
    "has_tls",
    "late",
    "no_greeting",
    "set_timeout",
    "tune",
    "waiting_as_a_socket",
]

_Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""As getaddrinfo() gives it."""

_KEEPALIVE_IDLE = 60
_KEEPALIVE_INTERVAL = 15
_KEEPALIVE_COUNT = 4
_LONGEST_ANSWER = 16 * 1024


_SOCKET = socket.socket  # in whose place a program may put something else


class OtherWay(BlockingIOError):
    """TLS has to send before more can be received, or to receive before more can be sent; it can't now."""


def has_tls(connection: object) -> TypeGuard[SSLSocket]:
    """Whether a socket of the caller's is an SSLSocket: none is where nothing has imported ssl."""
    # Where another thread is at importing it, there is no such class yet.
    return isinstance(connection, getattr(sys.modules.get("ssl"), "SSLSocket", ()))


def waiting_as_a_socket(connection: Any) -> Any:
    """Return a connection of the caller's that is no socket, and may have an SSLSocket in it, as one without TLS."""
    if isinstance(connection, _SOCKET) or "ssl" not in sys.modules:
        return connection
    from .tls import GivenTLS

    return GivenTLS(connection)


def connect(settings: Settings) -> socket.socket:
    """Return a connected socket: the caller's, its factory's, or a new one. Raises ConnectFailed or Timeout."""
    given = settings.socket
    if given is not None and not callable(given):
        connection: socket.socket = given
        if connection.fileno() < 0:
            raise ConnectFailed(
                "the socket that was given is closed: to connect anew, give a function that makes one", Advice.FIX
            )
    else:
        try:
            if given is None and settings.proxy is not None:
                connection = _through(settings.proxy, settings)
            elif given is None:
                connection = _connected(settings.host, settings.port, settings.timeouts.connect)
            else:
                connection = given(settings.host, settings.port)
        except OSError as exc:
            raise connect_error(settings, exc) from exc
    tune(connection)
    return connection


def _through(proxy: str, settings: Settings) -> socket.socket:
    """Return a socket that a proxy has connected to the server, whose name the proxy looks up."""
    if proxy.lower().startswith("http:"):
        return _by_connect(proxy, settings)
    try:
        from python_socks import ProxyError, ProxyTimeoutError
        from python_socks.sync import Proxy
    except ImportError:
        raise ConnectFailed(
            'a SOCKS proxy needs the package python-socks: pip install "fastimap[proxy]"', Advice.FIX
        ) from None
    try:
        connection: socket.socket = Proxy.from_url(proxy, rdns=True).connect(
            dest_host=settings.host, dest_port=settings.port, timeout=settings.timeouts.connect
        )
    except ProxyTimeoutError as exc:
        raise TimeoutError from exc
    except ProxyError as exc:
        raise _refused_by_proxy(settings, str(exc)) from exc
    return connection


def _by_connect(proxy: str, settings: Settings) -> socket.socket:
    """Return a socket that an HTTP proxy has connected (RFC 9110, section 9.3.6).

    Not by python-socks: it takes all that one recv() brings for the proxy's answer, which may be half of it, or have
    the server's greeting after it. Here it is read octet by octet.
    """
    import base64
    from urllib.parse import unquote, urlsplit

    given = urlsplit(proxy)
    timeout = settings.timeouts.connect
    deadline = None if timeout is None else time.monotonic() + timeout
    server = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
    head = [f"CONNECT {server} HTTP/1.1", f"Host: {server}"]
    if given.username is not None:
        login = f"{unquote(given.username)}:{unquote(given.password or '')}"
        head.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
        del login
    connection = _connected(given.hostname or "", given.port or 80, timeout)
    try:
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        head.clear()  # a password is not for tracebacks
        answer = bytearray()
        while not answer.endswith((b"\r\n\r\n", b"\n\n")):
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                set_timeout(connection, left)
            octet = connection.recv(1)
            if not octet or len(answer) >= _LONGEST_ANSWER:
                raise _refused_by_proxy(settings, "it does not answer as HTTP proxies do")
            answer += octet
        status = answer.split(b"\n", 1)[0].rstrip(b"\r")
        if not re.match(rb"HTTP/1\.[0-9] 2[0-9][0-9]\b", status):
            raise _refused_by_proxy(settings, status[:100].decode("ascii", "backslashreplace"))
    except BaseException:
        connection.close()
        raise
    return connection


def _refused_by_proxy(settings: Settings, said: str) -> ConnectFailed:
    return ConnectFailed(f"the proxy makes no connection to {settings.host} port {settings.port}: {said}")


def connect_error(settings: Settings, exc: OSError) -> ConnectionLost:
    """Return the error for a connection that did not come about."""
    where = f"{settings.host} port {settings.port}"
    if isinstance(exc, TimeoutError):
        return late(settings, "no connection to", exc)
    if isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN:
        return ConnectFailed(f"the name {settings.host!r} can't be looked up now: {exc.strerror}")
    if isinstance(exc, socket.gaierror):
        return ConnectFailed(f"there is no host {settings.host!r}: {exc.strerror}", Advice.FIX)
    said = exc.strerror or f"{exc}"
    if exc.errno and said.startswith("Connect call failed"):  # what asyncio says of any reason
        said = os.strerror(exc.errno)
    return ConnectFailed(f"no connection to {where}: {said}")


def late(settings: Settings, what: str, exc: TimeoutError) -> Timeout:
    """Return the error for a step of connecting, `what`, that took too long."""
    where = f"{what} {settings.host} port {settings.port}"
    if exc.errno is not None:  # the system gave up first
        return Timeout(f"{where}: {exc.strerror}")
    return Timeout(f"{where} within {settings.timeouts.connect} s")


def no_greeting(settings: Settings, seconds: float | None) -> Timeout:
    """Return the error for a server that says nothing."""
    hint = "" if settings.tls is True else "; a port that begins with TLS, as 993 does, needs tls=True"
    return Timeout(f"no greeting from {settings.host} port {settings.port} within {seconds} s{hint}")


def attempts(addresses: Sequence[_Address], deadline: float | None) -> Iterator[tuple[_Address, float | None]]:
    """Yield each address of a name, and how many seconds it may take; raise TimeoutError at the `deadline` of all.

    One that does not answer leaves time for the others.
    """
    for untried, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        yield address, left if left is None or untried == 1 else left / 2


def _connected(host: str, port: int, timeout: float | None) -> socket.socket:
    deadline = None if timeout is None else time.monotonic() + timeout
    error: OSError = OSError(f"{host} has no address")
    look_up = socket.getaddrinfo
    addresses = look_up(as_taken(host, look_up, socket), port, type=socket.SOCK_STREAM)
    for (family, kind, number, _, address), seconds in attempts(addresses, deadline):
        try:
            connection = socket.socket(family, kind, number)
        except OSError as exc:  # a system without IPv6
            error = exc
            continue
        try:
            set_timeout(connection, seconds)
            connection.connect(address)
        except OSError as exc:
            connection.close()
            error = exc
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise error


def set_timeout(connection: socket.socket, seconds: float | None) -> None:
    """Have each call of a socket take so long at most; None, or more than a system can count: any time."""
    connection.settimeout(None if seconds is None or seconds > threading.TIMEOUT_MAX else seconds)


def tune(connection: socket.socket) -> None:
    """Send commands at once, and have the kernel notice a dead link."""
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "darwin":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPALIVE, _KEEPALIVE_IDLE)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT)
