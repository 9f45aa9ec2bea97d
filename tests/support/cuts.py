"""A proxy that cuts connections after so many octets, for tests of what comes after a cut."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Way = Literal["rst", "fin", "silence", "stall", "kill", "freeze"]
"""A reset; an end; nothing more; a pause; and what the test does to the server's processes."""
WAYS: tuple[Way, ...] = ("rst", "fin", "silence", "stall", "kill", "freeze")
_PIECE = 64 * 1024
_STALL = 0.02


@dataclass(frozen=True)
class Cut:
    """What happens to a connection after the proxy has passed on `after` octets, to the client or to the server."""

    after: int
    to_client: bool
    way: Way
    word: bytes = b""
    """Only at octets that hold this, as one send or one record has brought them: they are not passed on."""


def seeded(seed: int, octets_in: int, octets_out: int, to_client: float = 0.8) -> list[Cut | None]:
    """Return the fates of the first connections of a run, for a session of about so many octets.

    The fate of a connection is a cut anywhere in it, its login included; a run has up to four connections that are cut.

    :param to_client: the part of the cuts that are amid what the server says.
    """
    chance = random.Random(seed)
    cuts: list[Cut | None] = []
    for _ in range(chance.randint(1, 4)):
        inwards = chance.random() < to_client
        octets = octets_in if inwards else octets_out
        after = chance.randrange(octets) if chance.random() < 0.8 else chance.randrange(min(octets, 600))
        cuts.append(Cut(after, inwards, chance.choice(WAYS)))
    return cuts


class _Half:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, target: socket.socket, to_client: bool) -> None:
        self.source = source
        self.target = target
        self.to_client = to_client
        self.passed = 0
        self.waiting = b""


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket, cut: Cut | None) -> None:
        self.client = client
        self.server = server
        self.cut = cut
        self.halves = (_Half(server, client, True), _Half(client, server, False))
        self.mute = False
        self.resume_at = 0.0


class Proxy:
    """Listens on loopback, and passes octets on; each new connection takes the next of `cuts`, then none is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()[:2]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._alarm, self._bell = socket.socketpair()
        self._selector.register(self._alarm, selectors.EVENT_READ)
        self._connections: list[_Connection] = []
        self.cuts: deque[Cut | None] = deque()
        self.once: Cut | None = None
        """What happens to each further connection until it was done to one: some may end before it comes to that."""
        self.at_server: Callable[[Way], None] = lambda way: None
        """Does what "kill" and "freeze" say to the server's processes."""
        self.connections = 0
        """Number of connections that were accepted."""
        self._passed_on = [0, 0]
        self._passing_on = threading.Lock()
        self.done: list[Cut] = []
        """The cuts that were made."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def octets(self) -> list[int]:
        """Octets passed on to servers, and to clients: those that somebody has received are counted."""
        with self._passing_on:
            return [*self._passed_on]

    def close(self) -> None:
        self._bell.send(b"x")
        self._thread.join()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            stalled = [c for c in self._connections if c.resume_at]
            timeout = max(0.0, min(c.resume_at for c in stalled) - now) if stalled else None
            ready = self._selector.select(timeout)
            for key, events in ready:
                if key.fileobj is self._alarm:
                    self._end()
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif key.data in self._connections:
                    self._serve(key.data, key.fileobj, events)
            for connection in stalled:
                if connection in self._connections and connection.resume_at <= time.monotonic():
                    connection.resume_at = 0.0
                    self._watch(connection)

    def _end(self) -> None:
        for connection in [*self._connections]:
            self._close(connection)
        self._selector.close()
        for sock in (self._listener, self._alarm, self._bell):
            sock.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        self.connections += 1
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cut = self.cuts.popleft() if self.cuts else None if self.done else self.once
        connection = _Connection(client, server, cut)
        self._connections.append(connection)
        self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        for half in connection.halves:
            if half.source.fileno() < 0:  # the server has gone, and the client is not to notice
                continue
            events = 0
            if connection.mute or (not connection.resume_at and not half.waiting):
                events |= selectors.EVENT_READ
            other = connection.halves[0] if half is connection.halves[1] else connection.halves[1]
            if other.waiting and not connection.resume_at:
                events |= selectors.EVENT_WRITE
            with contextlib.suppress(KeyError):
                self._selector.unregister(half.source)
            if events:
                self._selector.register(half.source, events, connection)

    def _serve(self, connection: _Connection, sock: Any, events: int) -> None:
        for half in connection.halves:
            if events & selectors.EVENT_WRITE and half.target is sock:
                self._flush(connection, half)
            if connection not in self._connections:
                return
            if events & selectors.EVENT_READ and half.source is sock and (connection.mute or not half.waiting):
                self._read(connection, half)
            if connection not in self._connections:
                return
        self._watch(connection)

    def _read(self, connection: _Connection, half: _Half) -> None:
        try:
            octets = half.source.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            if not connection.mute or not half.to_client:  # a silent connection stays until its client goes
                self._close(connection)
            else:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(half.source)
                half.source.close()
            return
        if connection.mute:
            return
        cut = connection.cut
        due = cut is not None and cut.to_client == half.to_client and half.passed + len(octets) > cut.after
        if cut is not None and due and cut.word in octets:
            connection.cut = None
            self.done.append(cut)
            before = max(cut.after - half.passed, 0)
            if cut.way == "stall":
                half.waiting = octets
                connection.resume_at = time.monotonic() + _STALL
                return
            if cut.way in ("kill", "freeze"):
                self.at_server(cut.way)
                half.waiting = octets
                self._flush(connection, half)
                return
            half.waiting = octets[:before]
            with self._passing_on:
                with contextlib.suppress(OSError):
                    half.target.setblocking(True)
                    half.target.sendall(half.waiting)
                half.waiting = b""
                self._passed_on[half.to_client] += before
            if cut.way == "rst":
                connection.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._close(connection)
            else:
                half.target.setblocking(False)
                connection.mute = True
                if cut.way == "fin":
                    with contextlib.suppress(OSError):
                        connection.client.shutdown(socket.SHUT_WR)
            return
        half.waiting = octets
        self._flush(connection, half)

    def _flush(self, connection: _Connection, half: _Half) -> None:
        if not half.waiting or connection.resume_at:
            return
        try:
            with self._passing_on:
                size = half.target.send(half.waiting)
                self._passed_on[half.to_client] += size
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        half.waiting = half.waiting[size:]
        half.passed += size

    def _close(self, connection: _Connection) -> None:
        self._connections.remove(connection)
        for sock in (connection.client, connection.server):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(sock)
            sock.close()


@contextlib.contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    """Give a proxy to a server while the block runs."""
    with Proxy(host, port) as proxy:
        yield proxy
