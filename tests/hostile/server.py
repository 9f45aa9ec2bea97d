"""A server for one connection that does what a script says, well-behaved or not.

A script is a sequence of steps. Each is data; :func:`_play` knows what it means. The server ends by itself: when the
script is through, when the client has closed the connection, or when :meth:`HostileServer.stop` is called.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self, TypeAlias

from .certificates import Certificates

CAPABILITIES = (
    b"IMAP4rev1 STARTTLS IDLE ENABLE UIDPLUS MOVE ID UNSELECT NAMESPACE QUOTA ACL SORT AUTH=PLAIN AUTH=CRAM-MD5"
)

HOST = "localhost"

_BATCH = 10_000

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")
_TAG = re.compile(rb"([^ ]+) +([^ ]+) ?")


@dataclass(frozen=True)
class Send:
    """Send octets as they are; `times` over (None: until nobody takes them any more)."""

    octets: bytes
    times: int | None = 1


@dataclass(frozen=True)
class Numbered:
    """Send octets that a function makes of each number from 1 to `count`: a lot, so made when they are to be sent."""

    octets: Callable[[int], bytes]
    count: int


@dataclass(frozen=True)
class Answer:
    """Send octets in which TAG is the tag of the command read last, and NEXT the one that the client will use next."""

    octets: bytes


@dataclass(frozen=True)
class Drip:
    """Send octets one by one, `interval` seconds apart."""

    octets: bytes
    interval: float = 0.05


@dataclass(frozen=True)
class Expect:
    """Read one command named `name`; another ends the connection, but CAPABILITY, which is answered in passing."""

    name: bytes


@dataclass(frozen=True)
class ReadLine:
    """Read a line that is no command: a SASL response, DONE."""


@dataclass(frozen=True)
class ReadOctets:
    """Read `size` octets: a literal."""

    size: int


@dataclass(frozen=True)
class Wait:
    """Do nothing for `seconds`, and read nothing."""

    seconds: float


@dataclass(frozen=True)
class StartTLS:
    """Do the server's part of a TLS handshake, with the certificate of that name (see certificates.py)."""

    certificate: str = "good"


@dataclass(frozen=True)
class Challenge:
    """Send a SASL challenge in base64, in which NONCE is the nonce of the client's first SCRAM message."""

    octets: bytes


@dataclass(frozen=True)
class Compress:
    """From here on, send and read compressed octets (RFC 4978)."""


@dataclass(frozen=True)
class EndCompression:
    """Send what follows as it is: after the compressed stream, or with `finish` False as blocks of it."""

    finish: bool = True


@dataclass(frozen=True)
class Capabilities:
    """From here on, answer CAPABILITY with these; b"" leaves it to the script."""

    octets: bytes


@dataclass(frozen=True)
class Reset:
    """Close the connection by RST."""


@dataclass(frozen=True)
class Serve:
    """From here on, answer each command with OK, as a well-behaved server does."""


Step: TypeAlias = (
    Send
    | Numbered
    | Answer
    | Drip
    | Expect
    | ReadLine
    | ReadOctets
    | Wait
    | StartTLS
    | Challenge
    | Compress
    | EndCompression
    | Capabilities
    | Reset
    | Serve
)
Script: TypeAlias = Sequence[Step]


class Unexpected(Exception):
    """The client did what the script does not provide for."""


class Cut(Exception):
    """The connection has had the octets that it was to have."""


@dataclass
class HostileServer:
    """Plays `script` to each client that connects to `port` of the loopback interface, one after the other.

    With `cut`, a connection ends after so many octets sent, by RST if `reset`; `sent` counts them in the last one.
    `received` holds every line and literal read, of all connections; `connections` counts these.
    """

    script: Script
    certificates: Certificates
    cut: int | None = None
    reset: bool = False
    received: list[bytes] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the connection in hand, and take no other."""
        self._stopping.set()
        for sock in (self._listener, self.connection):
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.connection = sock
            conversation = _Conversation(sock, self)
            try:
                for step in self.script:
                    conversation.play(step)
                conversation.linger()
            except (OSError, ValueError, Unexpected, Cut):
                pass  # the client went away, which is its right, or off the script, which `received` shows
            finally:
                conversation.close()

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as the server is to stop."""
        self._stopping.wait(seconds)


class _Conversation:
    def __init__(self, sock: socket.socket, server: HostileServer) -> None:
        self._sock = sock
        self._server = server
        self._buffer = bytearray()
        self._tag = b""
        self._capabilities = CAPABILITIES
        self._deflate: zlib._Compress | None = None
        self._inflate: zlib._Decompress | None = None
        server.sent = 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def play(self, step: Step) -> None:
        match step:
            case Send(octets, None):
                while True:
                    self._send(octets)
            case Send(octets, times):
                for _ in range(times or 0):
                    self._send(octets)
            case Numbered(made, count):
                for start in range(1, count + 1, _BATCH):
                    self._send(b"".join(map(made, range(start, min(start + _BATCH, count + 1)))))
            case Answer(octets):
                self._send(octets.replace(b"TAG", self._tag).replace(b"NEXT", _following(self._tag)))
            case Drip(octets, interval):
                for octet in octets:
                    self._send(bytes((octet,)))
                    self._server.wait(interval)
            case Expect(name):
                self._expect(name)
            case ReadLine():
                self._line()
            case ReadOctets(size):
                self._octets(size)
            case Wait(seconds):
                self._server.wait(seconds)
            case StartTLS(certificate):
                context = self._server.certificates.server_context(certificate)
                # In two steps: stop() must reach a handshake that the client does not go on with.
                self._sock.getpeername()  # where the client has gone, ssl raises too, but leaves a socket open
                tls = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
                self._sock = self._server.connection = tls
                tls.do_handshake()
            case Challenge(octets):
                octets = octets.replace(b"NONCE", _nonce(self._server.received))
                self._send(b"+ " + base64.b64encode(octets) + b"\r\n")
            case Compress():
                self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            case EndCompression(finish):
                assert self._deflate is not None
                if finish:
                    self._sock.sendall(self._deflate.flush(zlib.Z_FINISH))
                self._deflate = None
            case Capabilities(octets):
                self._capabilities = octets
            case Reset():
                self._reset()
            case Serve():
                while True:
                    self._serve(self._command())

    def linger(self) -> None:
        """End what we send, and hear the client out: to close with octets unread would be a reset."""
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock = self._sock.unwrap()
        self._sock.shutdown(socket.SHUT_WR)
        while octets := self._sock.recv(65536):
            self._server.received.append(octets)

    def close(self) -> None:
        self._sock.close()

    def _reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def _send(self, octets: bytes) -> None:
        server = self._server
        if self._deflate is not None:
            octets = self._deflate.compress(octets) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        if server.cut is not None and server.sent + len(octets) > server.cut:
            self._sock.sendall(octets[: server.cut - server.sent])
            if server.reset:
                self._reset()
            raise Cut
        server.sent += len(octets)
        self._sock.sendall(octets)

    def _expect(self, name: bytes) -> None:
        while (command := self._command()) != name:
            if command != b"CAPABILITY" or not self._capabilities:
                raise Unexpected(command)
            self._serve(command)

    def _serve(self, name: bytes) -> None:
        """Answer the command read last as a well-behaved server with empty mailboxes would."""
        line = self._server.received[-1]
        while (announced := _LITERAL.search(line)) is not None:
            if not announced[2]:
                self._send(b"+ go on\r\n")
            self._octets(int(announced[1]))
            line = self._line()
        if name == b"IDLE":
            self._send(b"+ idling\r\n")
            self._line()
        data = {b"CAPABILITY": b"* CAPABILITY " + self._capabilities + b"\r\n", b"LOGOUT": b"* BYE bye\r\n"}
        self._send(data.get(name, b"") + self._tag + b" OK done\r\n")

    def _command(self) -> bytes:
        line = self._line()
        found = _TAG.match(line + b" ")
        if found is None:
            raise Unexpected(line)
        self._tag = found[1]
        return found[2].upper()

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._receive()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._server.received.append(line)
        return line

    def _octets(self, size: int) -> None:
        while len(self._buffer) < size:
            self._receive()
        self._server.received.append(bytes(self._buffer[:size]))
        del self._buffer[:size]

    def _receive(self) -> None:
        octets = self._sock.recv(65536)
        if not octets:
            if self._buffer:
                self._server.received.append(bytes(self._buffer))
            raise Unexpected("end of the connection")
        self._buffer += octets if self._inflate is None else self._inflate.decompress(octets)


def _nonce(lines: Sequence[bytes]) -> bytes:
    """Return the client's nonce (RFC 5802, section 5.1): of its first line that is a SCRAM message in base64."""
    for line in lines:
        with suppress(ValueError):
            message = base64.b64decode(line.rpartition(b" ")[2], validate=True)
            if found := re.search(rb",r=([^,]+)", message):
                return found[1]
    raise Unexpected("no nonce")


def _following(tag: bytes) -> bytes:
    """Return the tag after `tag` of a client that counts its commands."""
    digits = re.search(rb"\d*$", tag)
    assert digits is not None
    return tag[: digits.start()] + str(int(digits[0] or 0) + 1).encode().rjust(len(digits[0]), b"0")
