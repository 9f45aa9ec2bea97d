"""The wire of a blocking client: one socket, written, waited for and read until what was asked for is answered."""

from __future__ import annotations

import math
import os
import select
import time
import weakref
from _thread import allocate_lock
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .._pace import LONG, PAUSE, SMALL
from ..commands.base import R
from ..conversation.deadlines import Deadlines
from ..conversation.protocol import Pending, Protocol
from ..conversation.sending import SEND_SIZE
from ..errors import DeadlinePassed, Disconnected, StateError
from . import _blocking_methods as methods
from .connecting import OtherWay, late

if TYPE_CHECKING:
    import ssl

__all__ = ["Wire"]

# How often deadlines are looked at while the server never pauses, in seconds.
_LOOK = 0.25
# Octets that are read at once, at most.
_GATHERED = 256 * 1024
_INTERRUPTED = "the program was interrupted while octets were on their way"
_SHARED = "this client is at work already: a thread has to have a client of its own (fastimap.Pool lends them)"
_FORKED = "this process was forked: the connection is its parent's"
_LONGEST_WAIT = 86_400_000  # milliseconds; who waits longer asks again


class _Select:
    """select.poll() where the system has none, for one socket."""

    def register(self, connection: Any, interest: int) -> None:
        self._connection = connection
        self._interest = interest

    modify = register

    def poll(self, milliseconds: int | None) -> list[Any]:
        writable = [self._connection] if self._interest == _READ_WRITE else []
        seconds = None if milliseconds is None else milliseconds / 1000
        return [*filter(None, select.select([self._connection], writable, writable, seconds))]


_READ: int = getattr(select, "POLLIN", 1)
_READ_WRITE: int = _READ | getattr(select, "POLLOUT", 4)
_Poll: Any = getattr(select, "poll", _Select)


class Wire(methods.Client):
    """A client's socket; what is asked of it is in `Client`."""

    _meanwhile: Iterator[object] | None = None
    """What its owner has to do while the server is slow to answer, each piece a short one."""

    def _set_up(self) -> None:
        self._deadlines = Deadlines(self._protocol, self._settings.timeouts)
        self._socket: Any = None
        self._interest = _READ
        self._tls = False
        self._gathers = False  # whether one call of TLS receives all that is there
        self._look_at = 0.0
        self._call_ends: tuple[float, float] | None = None  # when, and after how many seconds
        self._written = False
        self._all_said = False  # whether what is being written is all that there was to say
        self._unsent: bytes | memoryview = b""
        self._drained = False  # whether the last read found that nothing more was there
        self._broken: Exception | None = None
        self._flowed = 0  # octets of the last reads, since anything was written, or a read found little
        self._unwritable = False
        self._in_use = allocate_lock()

    def _use(self, protocol: Protocol) -> None:
        super()._use(protocol)
        self._deadlines = Deadlines(protocol, self._settings.timeouts)

    def _flush(self) -> None:
        """Write what can be written without waiting; where that is not all, read too: the server may wait for that."""
        if self._in_use.locked():
            raise StateError(_SHARED)
        if self._protocol.error is not None:
            return
        with self._in_use:
            try:
                self._write()
            except BaseException:
                self._fail(Disconnected(_INTERRUPTED))
                raise
        if self._unsent and not self._unwritable:
            self._turn(time.monotonic())

    def _finish(self, pending: Pending[Any]) -> None:
        """Wait until `pending` is answered."""
        self._deadlines.rest(time.monotonic())
        while not pending.done:
            # That another command has been answered may be the moment when this one is refused unsent.
            self._turn(None, lambda: pending.done, pending)

    def _await(self, pending: Pending[R]) -> R:
        began = time.monotonic()
        self._deadlines.rest(began)
        try:
            if self._call_ends is None and not self._in_use.locked():
                self._at_once(pending, began)
            while not pending.done:
                self._turn(None, pending=pending)
        except BaseException:
            pending.detach()
            raise
        if pending.error is not None:
            raise pending.error
        return pending.value  # type: ignore[return-value]  # it is done, so there is one

    def _at_once(self, pending: Pending[Any], began: float) -> None:
        """Write, wait and read once: most commands are answered then. What is left is for `_turn`."""
        protocol = self._protocol
        if protocol.error is not None or self._interest != _READ:
            return
        claimed = protocol.claimed
        with self._in_use:
            try:
                interest = self._write()
            except BaseException:
                self._fail(Disconnected(_INTERRUPTED))
                raise
            if interest != _READ or pending.done:
                return
            if not self._has_more():
                self._make_use(None if self._longest_wait is None else self._longest_wait / 1000)
                self._poll.poll(self._longest_wait)  # here a signal does no harm
            try:
                self._exchange(None, None, _READ, gather=self._tls)  # without TLS most answers come whole
                if not pending.done and protocol.error is None:
                    self._deadlines.begun(began, protocol.claimed != claimed)
            except BaseException:
                self._fail(Disconnected(_INTERRUPTED))
                raise

    def _wrap(self, deadline: float | None) -> None:
        from . import tls  # which takes long to import, and who has no TLS does without

        given = self._settings
        try:
            self._socket = tls.secured(given, self._socket, deadline)
        except TimeoutError as exc:
            raise late(given, "no TLS with", exc) from None
        except (OSError, ValueError) as exc:
            raise tls.tls_error(given, exc) from exc
        self._tls = True
        self._gathers = self._socket.gathers

    def _bindings(self) -> dict[str, bytes]:
        if not self._tls:
            return {}
        from .tls import channel_bindings

        return channel_bindings(self._settings, self._ssl())

    def _ssl(self) -> ssl.SSLObject | ssl.SSLSocket | None:
        """Return what knows the connection's certificate and cipher, or None without TLS."""
        return self._socket.ssl_object if self._tls else None

    def _watch(self) -> None:
        self._socket.setblocking(False)
        self._unwritable = self._drained = False
        self._broken = None
        self._poll = _Poll()
        self._interest = _READ
        self._poll.register(self._socket, _READ)
        _connected.add(self)
        seconds = self._deadlines.shortest
        self._first_wait = _LOOK if seconds is None else min(_LOOK, seconds)
        self._longest_wait = None if seconds is None else math.ceil(min(seconds * 1000, _LONGEST_WAIT))

    def _has_more(self) -> bool:
        """Whether there is something to read that no waiting for the socket shows: TLS has received it already."""
        return self._broken is not None or (self._tls and bool(self._socket.pending()))

    def _turn(
        self,
        until: float | None,
        ready: Callable[[], bool] | None = None,
        pending: Pending[Any] | None = None,
    ) -> None:
        """Write what is ready and read once; wait for that until the time `until` at most, or not if `ready` then.

        Where `pending` is given, and nothing else to do, it goes on until that is answered.
        """
        if self._in_use.locked():
            raise StateError(_SHARED)
        with self._in_use:  # unlike after acquire(), a signal finds no moment here that would leave it locked
            interest = _READ_WRITE
            limit = self._call_ends
            if limit is not None and (until is None or limit[0] < until):
                until = limit[0]
            else:
                limit = None
            protocol = self._protocol
            waits = until is None
            while True:
                if waits and self._drained and not self._unsent and protocol.listening:  # there is only to wait
                    waits = self._wait(_READ, self._first_wait)  # here a signal does no harm
                    if waits and self._flowed >= LONG:
                        time.sleep(PAUSE)
                    interest = _READ
                try:
                    interest = self._exchange(until, ready, interest)
                    now = time.monotonic()
                    if not interest and now < self._look_at and limit is None:
                        if pending is None or pending.done:
                            return
                        interest = _READ_WRITE
                        waits = until is None
                        continue
                    self._look_at = now + _LOOK
                    ends = self._deadlines.until(now)
                    if ends is not None and now >= ends:  # also where the server never pauses
                        self._fail(self._deadlines.error())
                        return
                    if until is not None and (ends is None or until < ends):
                        ends = until
                    late = limit is not None and now >= limit[0]
                    if not late and (not interest or (ends is not None and now >= ends)):
                        return
                except BaseException:  # of a signal (Ctrl-C): octets may have been read or written, and not counted
                    self._fail(Disconnected(_INTERRUPTED))
                    raise
                if late and limit is not None:
                    raise DeadlinePassed(limit[1])
                self._wait(interest, None if ends is None else ends - now)  # here a signal does no harm

    def _exchange(
        self, until: float | None, ready: Callable[[], bool] | None, interest: int, gather: bool = True
    ) -> int:
        """Write, unless `interest` is in reading alone, and read once, or with `gather` what is there, without waiting.

        Return what to wait for, 0 where there is no need to.
        """
        protocol = self._protocol
        if protocol.error is not None:
            self._drop()
            raise protocol.error
        if interest != _READ:
            self._written = False
            interest = self._write()
            if ready is not None and ready():
                return 0
            if until is None and protocol.idle and protocol.greeting.done:
                return 0  # refused before it was sent, or answered before all of it was: nothing more will come
            if interest == _READ and ((self._drained and until is None) or (self._written and not self._tls)):
                return _READ  # all was read, or the answer can't be here yet
        try:
            if self._broken is not None:
                broken, self._broken = self._broken, None
                raise broken
            buffer = protocol.get_buffer()
            size = self._read(buffer) if gather else self._socket.recv_into(buffer)
            del buffer  # while a view lives, a literal's memory can't grow in place
        except OtherWay:
            return _READ_WRITE
        except BlockingIOError:
            return interest
        except (OSError, ValueError) as exc:
            self._fail(Disconnected(f"the connection was cut: {exc}"))
            return 0
        if size:
            self._flowed = self._flowed + size if size >= SMALL else 0
            protocol.buffer_updated(size)
        else:
            protocol.eof_received()
        if protocol.error is not None:
            self._drop()
        return 0

    def _read(self, buffer: memoryview | bytearray) -> int:
        """Receive into `buffer`; return how much.

        A slow link hands out what has arrived, and an SSLSocket of the caller's a record at a time: all that is there,
        up to 256 KiB, is worth one turn together.
        """
        if self._gathers:
            size: int = self._socket.receive(buffer, _GATHERED)
            self._drained = self._socket.drained
            return size
        receive = self._socket.recv_into
        self._drained = False
        size = receive(buffer)
        if size < SMALL:
            return size
        view = memoryview(buffer)
        room = min(len(view), _GATHERED)
        while size < room:
            try:
                more = receive(view[size:])
            except BlockingIOError:
                self._drained = True
                break
            except OSError as exc:
                if exc.errno is None:
                    raise  # not the system's but of a signal's handler
                # For after what came before it, since a socket tells it once; without the frames that have views.
                self._broken = exc.with_traceback(None)
                break
            if not more:
                break
            size += more
        return size

    def _write(self) -> int:
        """Write what is ready, without waiting; return what to wait for."""
        while not self._unwritable:
            if self._unsent:
                octets = self._unsent
            elif self._all_said:
                self._all_said = False
                return _READ
            else:
                chunks = self._protocol.data_to_send()
                if not chunks:
                    return _READ
                # One write, one segment, one TLS record.
                octets = chunks[0] if len(chunks) == 1 else b"".join(chunks)
                self._all_said = len(octets) < SEND_SIZE
            try:
                size = self._socket.send(octets)
            except OtherWay:
                self._unsent = octets
                return _READ
            except BlockingIOError:
                self._unsent = octets
                return _READ_WRITE
            except (OSError, ValueError) as exc:
                if isinstance(exc, OSError) and exc.errno is None:
                    raise  # not the system's but of a signal's handler, as is TimeoutError after alarm()
                # What the server said before it went is still to be read; nobody knows how much was sent.
                self._unwritable = True
                break
            self._written = True
            self._flowed = 0
            self._unsent = b"" if size == len(octets) else memoryview(octets)[size:]
        return _READ

    def _make_use(self, seconds: float | None) -> None:
        """Do what is to be done meanwhile, piece by piece, until there is something to read; for so long at most."""
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while self._meanwhile is not None and time.monotonic() < ends and not self._poll.poll(0):
            if next(self._meanwhile, None) is None:
                self._meanwhile = None

    def _wait(self, interest: int, timeout: float | None) -> bool:
        """Wait `timeout` seconds at most; return whether there is something to do."""
        if interest != self._interest:
            self._interest = 0  # not known, should a signal come in between
            self._poll.modify(self._socket, interest)
            self._interest = interest
        if self._meanwhile is not None:
            self._make_use(timeout)
        return bool(self._poll.poll(None if timeout is None else math.ceil(min(timeout * 1000, _LONGEST_WAIT))))

    def _fail(self, error: Exception) -> None:
        self._protocol.fail(error)
        self._drop()

    def _drop(self) -> None:
        self._unsent = b""
        self._all_said = False
        self._broken = None
        self._tls = self._gathers = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None


_connected: weakref.WeakSet[Wire] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a process that was just forked: of octets that two processes receive in turn, neither has a whole answer."""
    for wire in [*_connected]:
        wire._in_use = allocate_lock()  # the thread that held it is not in this process
        if wire._socket is not None:
            wire._fail(Disconnected(_FORKED))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
