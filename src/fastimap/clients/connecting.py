"""Sockets and TLS for both drivers: what a connection is made of before IMAP begins."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from ..errors import Advice, ConnectFailed, ConnectionLost, Timeout, TLSError
from ..settings import Settings

__all__ = ["attempts", "channel_bindings", "client_context", "connect", "connect_error", "tls_error", "tune"]

_Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""As getaddrinfo() gives it."""

# OpenSSL's codes for what X509_V_FLAG_X509_STRICT alone demands (crypto/x509/x509_vfy.c, check_extensions()).
_STRICT = frozenset(range(77, 95)) - {79}
# Those of a certificate that is not valid yet, or no more.
_TIMES = (9, 10)
_KEEPALIVE_IDLE = 60
_KEEPALIVE_INTERVAL = 15
_KEEPALIVE_COUNT = 4
_LONGEST_ANSWER = 16 * 1024


def client_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context: the caller's, or one that verifies the certificate and the host name."""
    return settings.ssl_context or ssl.create_default_context()


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
                connection.settimeout(left)
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
    for (family, kind, number, _, address), seconds in attempts(
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), deadline
    ):
        try:
            connection = socket.socket(family, kind, number)
        except OSError as exc:  # a system without IPv6
            error = exc
            continue
        try:
            connection.settimeout(seconds)
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


def tls_error(settings: Settings, exc: BaseException) -> TLSError:
    """Return the error for a handshake that failed."""
    where = f"{settings.host} port {settings.port}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        if exc.verify_code in _STRICT:
            return TLSError(
                f"the certificate of {where} breaks a rule of RFC 5280: {exc.verify_message}. Python 3.13 and later "
                "demand it by ssl.VERIFY_X509_STRICT. A new certificate is right; to do without the rule: "
                "context = ssl.create_default_context(); context.verify_flags &= ~ssl.VERIFY_X509_STRICT; "
                "ssl_context=context"
            )
        if exc.verify_code in _TIMES:
            return TLSError(
                f"the certificate of {where} is not valid now: {exc.verify_message}; the server needs a new one, if "
                "this machine's clock is right"
            )
        return TLSError(
            f"the certificate of {where} is not to be trusted: {exc.verify_message}; check the host name, or trust its "
            "authority with ssl_context=ssl.create_default_context(cafile=...)"
        )
    if isinstance(exc, ssl.SSLError) and exc.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        if settings.tls == "starttls":
            return TLSError(f"{where} goes on in clear after its OK to STARTTLS: it has no TLS, or somebody is between")
        return TLSError(f'{where} does not speak TLS from the start: try tls="starttls", or port 993')
    error = TLSError(f"no TLS with {where}: {getattr(exc, 'reason', None) or exc}")
    cut = (ssl.SSLEOFError, ssl.SSLZeroReturnError) if isinstance(exc, ssl.SSLError) else OSError
    if isinstance(exc, cut):  # amid the handshake
        error.advice = Advice.RECONNECT
    return error


def channel_bindings(settings: Settings, tls: ssl.SSLObject | ssl.SSLSocket | None) -> dict[str, bytes]:
    """Return a connection's channel binding data by type (RFC 5929), for the -PLUS mechanisms.

    tls-server-end-point is given only where a -PLUS mechanism is asked for by name: Cyrus 3.6 announces -PLUS and
    refuses it, and would so refuse a login that works without.
    """
    found: dict[str, bytes] = {}
    if tls is None:
        return found
    if (settings.mechanism or "").upper().endswith("-PLUS") and (certificate := tls.getpeercert(binary_form=True)):
        with contextlib.suppress(ValueError):
            found["tls-server-end-point"] = _certificate_hash(certificate)
    # tls-unique is not defined, and not safe, for TLS 1.3.
    if tls.version() not in ("TLSv1.3", None) and (unique := _quietly(lambda: tls.get_channel_binding("tls-unique"))):
        found["tls-unique"] = unique
    return found


def _quietly(call: Callable[[], Any]) -> Any:
    with contextlib.suppress(ValueError, ssl.SSLError):
        return call()
    return None


# Signature algorithms by their DER-encoded object identifiers, and the hash that RFC 5929, section 4.1, takes
# for each: the signature's own, SHA-256 in the place of MD5 and SHA-1.
_HASHES = {
    bytes.fromhex("06092a864886f70d010104"): "sha256",  # md5WithRSAEncryption
    bytes.fromhex("06092a864886f70d010105"): "sha256",  # sha1WithRSAEncryption
    bytes.fromhex("06092a864886f70d01010b"): "sha256",
    bytes.fromhex("06092a864886f70d01010c"): "sha384",
    bytes.fromhex("06092a864886f70d01010d"): "sha512",
    bytes.fromhex("06072a8648ce3d0401"): "sha256",  # ecdsa-with-SHA1
    bytes.fromhex("06082a8648ce3d040302"): "sha256",
    bytes.fromhex("06082a8648ce3d040303"): "sha384",
    bytes.fromhex("06082a8648ce3d040304"): "sha512",
}


def _certificate_hash(certificate: bytes) -> bytes:
    """Return the hash of a DER certificate that tls-server-end-point is; ValueError where it isn't defined."""
    _, start, _ = _der(certificate, 0)
    _, _, behind_body = _der(certificate, start)
    _, algorithm, _ = _der(certificate, behind_body)
    _, _, behind_oid = _der(certificate, algorithm)
    name = _HASHES.get(certificate[algorithm:behind_oid])
    if name is None:
        raise ValueError("no hash is defined for this signature algorithm")
    import hashlib

    return hashlib.new(name, certificate).digest()


def _der(octets: bytes, position: int) -> tuple[int, int, int]:
    """Return tag, start of the content and end of the DER element at `position`."""
    if position + 2 > len(octets):
        raise ValueError("a certificate that is cut short")
    tag, length = octets[position], octets[position + 1]
    start = position + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(octets[start : start + count], "big")
        start += count
    if start + length > len(octets):
        raise ValueError("a certificate that is cut short")
    return tag, start, start + length
