"""The wire of an asyncio client: octets between the transport and the protocol, and who waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable
from typing import Any

from .._pace import LONG
from .._tls import TLS
from ..conversation.deadlines import Deadlines
from ..conversation.files import Files
from ..conversation.protocol import Pending, Protocol
from ..errors import Disconnected
from ..settings import Settings
from .tls import channel_bindings

__all__ = ["Link"]

# How often deadlines are looked at while something is in flight.
_WATCH = 0.5
# Octets that are read at once, at most, from TLS or from a socket that gives them piece by piece.
_GATHERED = 64 * 1024
# Octets since something was sent, after which it is worth a look whether a socket has more pieces; and so many more
# after a look that found none.
_GATHERED_AFTER = 64 * 1024
_NOT_GATHERED = 1024 * 1024
# Octets after a wait for more of a long answer that brought none, until the next one; fewer than so many are a piece,
# and so many seconds are waited: less than a millisecond is one for most loops.
_NOT_WAITED = 4 * 1024 * 1024
_PIECE = 16 * 1024
_PAUSE = 0.001


class Link(asyncio.BufferedProtocol):
    """What an asyncio transport calls, and the client."""

    def __init__(
        self,
        protocol: Protocol,
        deadlines: Deadlines,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        context: ssl.SSLContext | None,
    ) -> None:
        self.transport: Any = None
        self.socket: socket.socket | None = None
        self.connection: socket.socket | None = None
        """What the transport reads from, where the client may read from it too."""
        self.loop = loop
        self.ready = False
        """Whether the client's beginning (greeting, TLS, login) is done."""
        self._protocol = protocol
        self._deadlines = deadlines
        self._settings = settings
        self._context = context
        self._tls: TLS | None = None
        self._handshake: asyncio.Future[Exception | None] | None = None
        """Of TLS, while that is under way; what it failed by."""
        self._buffer: memoryview | bytearray | None = None
        """What the transport receives into, where more pieces are to be looked for."""
        self._flowed = 0
        """Octets that were received since something was sent."""
        self._gathers_from = _GATHERED_AFTER
        """So many of them make it worth a look whether a socket has more pieces."""
        self._waits_from = LONG
        """So many of them make it worth a wait for more."""
        self._piece = 0
        """The piece after which more was waited for, where it was the last one; in octets."""
        self._unwritten: bytes | memoryview = b""
        """What TLS takes only once more was read."""
        self._waiting: set[asyncio.Future[None]] = set()
        self._waiters = 0
        self._soon = False
        self._held = False
        self._paused = False
        self._full = False
        self._watch: asyncio.TimerHandle | None = None
        self._lost = loop.create_future()
        protocol.files = Files(self._elsewhere, self._on)

    def bindings(self) -> dict[str, bytes]:
        """Return TLS channel binding data by type, as `channel_bindings` does."""
        return channel_bindings(self._settings, None if self._tls is None else self._tls.ssl_object)

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if self._tls is not None:
            self._shake_hands(self._tls)

    def get_buffer(self, sizehint: int) -> Any:
        if self._tls is not None:
            return self._tls.buffer
        self._buffer = None  # while a view lives, a literal's memory can't grow in place
        buffer = self._protocol.get_buffer(sizehint)
        if self._flowed >= self._gathers_from and self.connection is not None:
            self._buffer = buffer
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._tls is None:
            error = None
            if self._buffer is not None and self.connection is not None:
                nbytes, error = self._gathered(self.connection, self._buffer, nbytes)
                self._buffer = None
            self._protocol.buffer_updated(nbytes)
            if error is not None:
                self._protocol.fail(Disconnected(f"the connection was cut: {error}"))
            self._received(nbytes)
            return
        self._tls.arrived(nbytes)
        if self._handshake is not None:
            self._shake_hands(self._tls)
        else:
            self._read(self._tls)
            self._received(nbytes)

    def _gathered(
        self, connection: socket.socket, buffer: memoryview | bytearray, size: int
    ) -> tuple[int, OSError | None]:
        """Receive what else is there behind `size` octets, rather than a piece in each round of the loop.

        Return how many octets there are then, and the error that came after them. An end is left for the transport.
        """
        before = size
        with memoryview(buffer) as view:
            room = min(len(view), _GATHERED)
            try:
                while size < room and (more := connection.recv_into(view[size:])):
                    size += more
            except (BlockingIOError, InterruptedError):
                if size == before:
                    self._gathers_from = self._flowed + _NOT_GATHERED
            except OSError as exc:
                return size, exc.with_traceback(None)
        return size, None

    def eof_received(self) -> bool:
        if self._tls is None:
            self._protocol.eof_received()
        else:
            self._tls.arrived(0)
            if self._handshake is not None:
                self._shake_hands(self._tls)
            else:
                self._read(self._tls)
        self._tell()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._buffer = self.connection = None
        if self._protocol.error is None:
            self._protocol.fail(Disconnected(f"the connection was cut: {exc}" if exc else "the connection was closed"))
        if not self._lost.done():
            self._lost.set_result(None)
        if self._handshake is not None:
            _resolve(self._handshake, exc or self._protocol.error)
        self._tell()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._tls is not None:
            self._send_records(self._tls)
        self.flush()

    def _received(self, size: int) -> None:
        """Do what follows from what was received, which were `size` octets."""
        if self._protocol.awaited() is not None:
            self._deadlines.until(self.loop.time())  # progress counts from when it is made
        self._flowed += size
        piece, self._piece = self._piece, 0
        self.flush()
        if not self._paused and self._protocol.error is None:
            if self._busy:
                self._paused = True
                self.transport.pause_reading()
            elif size < _PIECE and self._flowed >= self._waits_from and self._protocol.awaited() is not None:
                if size < 2 * piece:  # to wait has brought no more
                    self._waits_from = self._flowed + _NOT_WAITED
                else:
                    self._piece = size
                    self.transport.pause_reading()
                    self.loop.call_later(_PAUSE, self._look_again)
        if self._waiting or self._protocol.error is not None:
            self._tell()

    def _look_again(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self.transport.resume_reading()

    # TLS.

    def begin_tls(self) -> None:
        """Begin the handshake, at once or as soon as there is a transport: nothing is read in clear from here on.

        Raises OSError and ValueError where there can't be one.
        """
        assert self._context is not None
        self._tls = TLS(self._context, self._settings.host)
        self._handshake = self.loop.create_future()
        if self.transport is not None:
            self._shake_hands(self._tls)

    async def secured(self) -> Exception | None:
        """Return what the handshake has failed by, or None."""
        return None if self._handshake is None else await self._handshake

    def _shake_hands(self, tls: TLS) -> None:
        handshake = self._handshake
        if handshake is None or handshake.done():
            return
        try:
            done = tls.handshake()
        except (OSError, ValueError) as exc:
            self._send_records(tls)  # the server is to know why
            handshake.set_result(exc)
            return
        self._send_records(tls)
        if done:
            self._handshake = None
            self._protocol.tls_started()
            handshake.set_result(None)
            self._read(tls)  # the greeting may have come with the end of the handshake
            self._received(0)

    def _read(self, tls: TLS) -> None:
        """Have the protocol receive what TLS has, as far as it is to."""
        protocol = self._protocol
        try:
            while protocol.error is None:
                size = tls.read(protocol.get_buffer(), _GATHERED)
                if not size:
                    protocol.eof_received()
                    break
                protocol.buffer_updated(size)
                if not tls.more or self._busy:
                    break
        except ssl.SSLWantReadError:
            pass
        except (OSError, ValueError) as exc:
            protocol.fail(Disconnected(f"the connection was cut: {exc}"))
        self._send_records(tls)

    def _write(self, tls: TLS, octets: bytes | memoryview) -> None:
        rest = memoryview(octets)
        try:
            while rest:
                rest = rest[tls.write(rest) :]
        except ssl.SSLWantReadError:
            pass
        except OSError as exc:
            self._protocol.fail(Disconnected(f"the connection was cut: {exc}"))
        self._unwritten = rest or b""  # not an empty view: it would keep what was written, which may be a password
        self._send_records(tls)

    def _send_records(self, tls: TLS) -> None:
        if tls.outgoing.pending and not self._full:
            self.transport.write(tls.outgoing.read())

    # Called by the client.

    def flush(self) -> None:
        """Hand the transport what there is to send; watch over what is awaited."""
        protocol = self._protocol
        while not self._full and self._handshake is None:
            if self._unwritten:
                octets = self._unwritten
            else:
                chunks = protocol.data_to_send()
                if not chunks:
                    break
                octets = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self._flowed, self._gathers_from, self._waits_from = 0, _GATHERED_AFTER, LONG
            if self._tls is None:
                self.transport.write(octets)
            else:
                self._write(self._tls, octets)
                if self._unwritten:
                    break
        if protocol.error is not None:
            self._end()
        elif self._watch is None and protocol.awaited() is not None:
            self._look()

    def flush_soon(self) -> None:
        """Flush in the loop's next round, all that is asked for until then in one write."""
        if not self._soon:
            self._soon = True
            self.loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._soon = False
        if self._protocol.error is None:
            self.flush()

    async def wait(self, pending: Pending[Any]) -> None:
        """Wait for a command's answer; when cancelled, leave it to be drained."""
        self.flush()
        if not pending.done:
            answered: asyncio.Future[None] = self.loop.create_future()
            earlier = pending.on_done  # somebody else may wait for it too

            def done() -> None:
                if earlier is not None:
                    earlier()
                _resolve(answered)

            pending.on_done = done
            self._waiters += 1
            if self._held or self._paused:
                self.release()
            try:
                await answered
            except asyncio.CancelledError:
                pending.detach()
                await self._settle()
                raise
            finally:
                self._waiters -= 1

    async def _settle(self) -> None:
        """Wait for the piece of a file that is being read or written: the file is its owner's again."""
        files = self._protocol.files
        while files is not None and files.at_work:
            settled: asyncio.Future[None] = self.loop.create_future()
            files.when_settled(functools.partial(_resolve, settled))
            with contextlib.suppress(asyncio.CancelledError):  # the caller is being cancelled already
                await settled

    def _elsewhere(self, work: Callable[[], object], done: Callable[[], object]) -> None:
        """Have a thread do `work`, which is on files; then call `done`."""
        self.loop.run_in_executor(None, work).add_done_callback(lambda _: done())

    def _on(self, read: bool) -> None:
        """Go on after a piece of a file was read, or written."""
        if read or self._paused:
            self._deadlines.go_on(self.loop.time())  # the server had to wait, and not the client
        self._read_on()
        self.flush()
        self._tell()

    @property
    def _busy(self) -> bool:
        """Whether to read no more for now: what has arrived is being used, or still being written to files."""
        return self._held or (self._protocol.files is not None and self._protocol.files.full)

    async def moved(self, until: float | None, ready: Callable[[], bool]) -> None:
        """Write what there is; wait until something was received, or until the loop's time `until`; not if `ready`."""
        self.flush()
        if self._protocol.error is not None or ready():
            return
        self.release()
        news: asyncio.Future[None] = self.loop.create_future()
        self._waiting.add(news)
        timer = None if until is None else self.loop.call_at(until, _resolve, news)
        self._waiters += 1
        try:
            await news
        finally:
            self._waiters -= 1
            self._waiting.discard(news)
            if timer is not None:
                timer.cancel()

    def hold(self) -> None:
        """Read no more for now: what has arrived is being used, and nobody waits for anything else.

        One buffer may still come: most users of rows do not let the loop run meanwhile, so that it need not be told.
        """
        if not self._waiters and self._protocol.error is None:
            self._held = True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._deadlines.rest(self.loop.time())
        self._read_on()

    def _read_on(self) -> None:
        if not self._paused or self._busy or self.loop.is_closed():  # rows may be let go at the program's end
            return
        if self._tls is not None and self._tls.more:
            self.loop.call_soon(self._read_what_is_left)
        else:
            self._resume()

    def _read_what_is_left(self) -> None:
        """Read what arrived before the pause: nothing that comes will say that it is there."""
        if not self._paused or self._busy or self._protocol.error is not None:
            return
        assert self._tls is not None
        self._read(self._tls)
        self._received(0)
        if not self._busy:
            self._resume()

    def _resume(self) -> None:
        self._paused = False
        if not self.transport.is_closing():
            self.transport.resume_reading()

    async def abort(self) -> None:
        """Close the transport at once; return when it is."""
        self._end()
        if self.transport is not None:
            await self._lost

    def leave(self) -> None:
        """Close the connection from another event loop: there is no waiting for it."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._end)
        elif self.socket is not None:  # its transport does nothing any more
            self.socket.close()

    def _tell(self) -> None:
        if self._waiting:
            for news in self._waiting:
                _resolve(news)
            self._waiting.clear()
        if self._protocol.error is not None:
            self._end()

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._unwritten = b""
        if self.transport is not None:
            self.transport.abort()

    def _look(self) -> None:
        now = self.loop.time()
        until = self._deadlines.until(now)
        if until is None:
            self._watch = None
        elif self._busy or (self._protocol.files is not None and self._protocol.files.reading):
            self._watch = self.loop.call_at(now + _WATCH, self._look)
        elif now < until:
            self._watch = self.loop.call_at(min(until, now + _WATCH), self._look)
        else:
            self._protocol.fail(self._deadlines.error())
            self._tell()


def _resolve(future: asyncio.Future[Any], result: object = None) -> None:
    if not future.done() and not future.get_loop().is_closed():  # in which whoever awaits it never goes on
        future.set_result(result)
