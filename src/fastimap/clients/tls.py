"""TLS of the clients: contexts, errors, channel bindings; and connections of the blocking client.

Nothing of a connection in clear imports this: ssl takes longer than all else of one.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from .._tls import TLS
from ..errors import Advice, TLSError
from ..settings import Settings
from .connecting import OtherWay, has_tls, set_timeout

__all__ = ["GivenTLS", "TLSConnection", "channel_bindings", "client_context", "secured", "tls_error"]

# OpenSSL's codes for what X509_V_FLAG_X509_STRICT alone demands (crypto/x509/x509_vfy.c, check_extensions()).
_STRICT = frozenset(range(77, 95)) - {79}
# Those of a certificate that is not valid yet, or no more.
_TIMES = (9, 10)


def client_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context: the caller's, or one that verifies the certificate and the host name."""
    return settings.ssl_context or ssl.create_default_context()


def secured(settings: Settings, connection: socket.socket, deadline: float | None) -> TLSConnection | GivenTLS:
    """Return a connection with TLS: the caller's SSLSocket, or the socket after a handshake.

    That may take until the time `deadline`. Raises as `TLSConnection` does.
    """
    if has_tls(connection):
        return GivenTLS(connection)
    return TLSConnection(connection, client_context(settings), settings.host, deadline)


class TLSConnection:
    """A connected socket with TLS, for one who waits for it as for a non-blocking socket.

    Attributes:
        ssl_object: What knows the version, the cipher and the certificate.
        drained: Whether the last `receive` has found that nothing more was there.
        gathers: True: `receive` reads all that is there.
    """

    gathers = True

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
        set_timeout(self._socket, left)
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

        Raises BlockingIOError where nothing is there now; other OSErrors as a socket does.
        """
        tls = self._tls
        self.drained = False
        if not tls.more:
            self._receive_some()  # once: who sends much that says nothing must not keep the caller from its deadlines
        try:
            size = tls.read(buffer, most)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
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

        Raises BlockingIOError where the socket takes no more now, OtherWay where TLS has to receive before: then call
        again with the same `octets`.
        """
        tls = self._tls
        if self._leaving or tls.outgoing.pending:
            self._flush()
        if not self._leaving and not self._taken:
            try:
                self._taken = tls.write(octets)
            except ssl.SSLWantReadError:
                raise OtherWay from None
            self._flush()
        if self._leaving:
            raise BlockingIOError
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


class GivenTLS:
    """An SSLSocket of the caller's, or what has one in it, for one who waits for it as for a `TLSConnection`.

    Attributes:
        ssl_object: It.
        gathers: False: it reads a record at a time.
    """

    gathers = False

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.ssl_object: ssl.SSLSocket = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ssl_object, name)

    def recv_into(self, buffer: memoryview | bytearray) -> int:
        """Read a record, or a part of one, into `buffer`; return how many octets.

        Raises BlockingIOError where nothing is there now, OtherWay where TLS has to send before.
        """
        try:
            return self.ssl_object.recv_into(buffer)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLWantWriteError:
            raise OtherWay from None

    def send(self, octets: bytes | memoryview) -> int:
        """Send the first of `octets`, return how many. Raises as `TLSConnection.send` does."""
        try:
            return self.ssl_object.send(octets)
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None
        except ssl.SSLWantReadError:
            raise OtherWay from None


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
