"""Client: the blocking driver."""

from __future__ import annotations

import contextlib
import functools
import math
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Self

from .. import commands
from ..commands.base import BeginTLS, Beside, Command, Connect, Flow, R, Sleep
from ..commands.select import Select, SelectedMailbox
from ..conversation import prepare
from ..conversation.deadlines import Deadlines
from ..conversation.protocol import Event, Pending, Protocol
from ..conversation.sending import SEND_SIZE
from ..conversation.streams import FetchStream, IdleStream
from ..errors import CommandError, DeadlinePassed, Disconnected, StateError, Timeout
from ..model.message import FetchedMessage
from ..model.responses import MailboxName
from ..model.sequence_set import MessageSet
from ..sessions import resume
from ..sessions.retry import Attempts, seconds_to_sleep
from ..settings import with_secrets
from . import _blocking_methods as methods
from ._base import named
from .connecting import channel_bindings, client_context, connect, tls_error
from .pipeline import Pipeline
from .rows import Batches, Rows

__all__ = ["Client"]

_LOGOUT_TIMEOUT = 5.0
# How often deadlines are looked at while the server never pauses, in seconds.
_LOOK = 0.25
# A TLS record of fewer octets is an answer of its own; of more, others may have come with it.
_SMALL = 1024
_GATHERED = 64 * 1024
_INTERRUPTED = "the program was interrupted while octets were on their way"
_LONGEST_WAIT = 86_400_000  # milliseconds; who waits longer asks again


class _Select:
    """select.poll() where the system has none, for one socket."""

    def register(self, connection: Any, interest: int) -> None:
        self._connection = connection
        self._interest = interest

    modify = register

    def poll(self, milliseconds: int | None) -> None:
        writable = [self._connection] if self._interest == _READ_WRITE else []
        select.select([self._connection], writable, writable, None if milliseconds is None else milliseconds / 1000)


_READ: int = getattr(select, "POLLIN", 1)
_READ_WRITE: int = _READ | getattr(select, "POLLOUT", 4)
_Poll: Any = getattr(select, "poll", _Select)


@named
class Client(methods.Client):
    """One connection to an IMAP server; blocking, for one thread at a time.

    :param host: name or address of the server; its certificate must be for it. Or a `fastimap.Account`, which says all
        of what follows but the last.
    :param port: 993, or 143 with ``tls="starttls"`` or ``tls=False``, unless given.
    :param user: the account; None: no login is tried (a server may greet with PREAUTH).
    :param password: its password; or
    :param token: an OAuth access token. Either may be a function that returns it, asked at each connection.
    :param mechanism: name of the only SASL mechanism to use; the strongest offered unless given. Without TLS, one
        that shows the password to a listener is used only if it is named here (``"PLAIN"``, ``"LOGIN"``).
    :param authzid: the identity to act as, where it is not the user's own.
    :param tls: True: TLS from the start; ``"starttls"``: STARTTLS, or an error; False: none.
    :param ssl_context: instead of ``ssl.create_default_context()``, which verifies certificate and host name.
    :param timeout: seconds, for connecting and for each answer; or a `Timeouts`; None: wait for ever.
    :param limits: what the server may cost at most.
    :param compress: compress the connection (COMPRESS=DEFLATE, RFC 4978).
    :param client_id: what to tell the server of the client (ID, RFC 2971), such as ``{"name": "archiver"}``.
    :param proxy: such as ``"socks5://user:password@host:1080"`` or ``"http://host:3128"``; the proxy looks the server's
        name up (SOCKS needs ``pip install "fastimap[proxy]"``).
    :param socket: a connected socket, or a function of host and port that returns one (a proxy's).
    :param retry: how to go on after a lost connection, or a server that can't now; None: raise the error.

    It connects and logs in at ``with``, at `connect()`, or at the first command.

    With `retry` it connects anew where the connection was lost, brings it to the state of the one before (login,
    ENABLE, COMPRESS, NOTIFY, the selected mailbox), and does again what only reads, changes flags by UID, or expunges
    UIDs: see the page on sessions. The event `Reconnected` says so.

    Any command may raise TypeError and ValueError for its arguments, StateError where it is not allowed now, and
    CapabilityMissing where the server lacks what it needs: all before anything is sent. CommandError is the server's
    refusal, ConnectionLost the connection's end; see :mod:`fastimap.errors`. Sizes are in octets, times in seconds.
    """

    def _set_up(self) -> None:
        self._deadlines = Deadlines(self._protocol, self._settings.timeouts)
        self._socket: Any = None
        self._interest = _READ
        self._tls = False
        self._look_at = 0.0
        self._call_ends: tuple[float, float] | None = None  # when, and after how many seconds
        self._written = False
        self._all_said = False  # whether what is being written is all that there was to say
        self._out: deque[bytes | memoryview] = deque()
        self._unwritable = False
        self._in_use = threading.Lock()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Begin and end.

    def connect(self) -> None:
        """Connect, greet, have TLS, log in; nothing if that is done already.

        Raises ConnectFailed, TLSError, Timeout, AuthenticationFailed, MechanismError; then nothing is left open.
        """
        if self._socket is not None and (self._persistence is None or self._protocol.error is None):
            return
        if self._persistence is not None and not self._protocol.logged_out:
            self._run_flow(resume.connecting(self._persistence))
        elif self._protocol.error is not None:
            raise self._protocol.dead()
        else:
            self._connect()

    def _connect(self) -> None:
        given = self._settings
        timeout = given.timeouts.connect
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            self._socket = connect(given)
            if given.tls is True and not isinstance(self._socket, ssl.SSLSocket):
                self._wrap(deadline)
            if isinstance(self._socket, ssl.SSLSocket):
                self._protocol.tls_started()
            self._watch()
            greeting = self._protocol.greeting
            while not greeting.done:
                self._turn(deadline)
                if not greeting.done and deadline is not None and time.monotonic() >= deadline:
                    self._fail(Timeout(f"{given.host} port {given.port} sent no greeting within {timeout} s"))
            greeting.result()
            if given.credentials is not None and given.credentials.ask_password is not None:
                given = with_secrets(given, given.credentials.ask_password())
            self._run_flow(prepare.prepare(self._protocol, given, lambda: self._bindings()))
            self._protocol.established = True
        except BaseException as exc:
            self._fail(exc if isinstance(exc, Exception) else Disconnected("connecting was interrupted"))
            raise

    def _connect_instead_of(self, dead: Protocol) -> None:
        """Make one attempt at a connection in the place of a dead one, unless that was done."""
        assert self._lasting is not None
        if self._protocol.error is None and self._socket is not None:
            return
        self._drop()
        if dead.logged_out:
            raise dead.dead()
        self._sleep(self._lasting.opening(), self._lasting.retry.sleep)
        if self._protocol.error is not None:
            self._use(self._protocol.successor())
        try:
            self._connect()
            self._run_flow(resume.restore(self._protocol))
        except Exception as exc:
            self._lasting.opened(exc)
            if resume.helps(exc):
                self._fail(exc)  # the next attempt begins anew
            raise
        except BaseException:
            self._fail(Disconnected("connecting anew was interrupted"))
            raise
        self._lasting.opened(None)

    def _use(self, protocol: Protocol) -> None:
        super()._use(protocol)
        self._deadlines = Deadlines(protocol, self._settings.timeouts)

    def _sleep(self, seconds: float, by: Callable[[float], object] | None) -> None:
        if seconds > 0:
            (by or time.sleep)(seconds_to_sleep(seconds))

    def reconnect(self) -> None:
        """Connect anew with the same settings (a token provider is asked again) and select the same mailbox again.

        Raises StateError if the mailbox's UIDVALIDITY changed: its UIDs now mean other messages.
        """
        before = self._protocol.session
        self._fail(Disconnected("the client connects anew"))
        self._use(Protocol(self._settings.limits))
        try:
            self.connect()
            if before.mailbox is not None:
                self._run_flow(prepare.select_again(before))
        except (CommandError, StateError):
            raise  # the server has answered: the client is connected
        except BaseException:
            self._fail(Disconnected("connecting anew was interrupted"))
            raise
        finally:
            if self._protocol.error is not None:
                self._protocol.session = before  # the next attempt selects the same mailbox

    def close(self) -> None:
        """Log out and close the connection. Never raises; where commands are in flight it just closes."""
        protocol = self._protocol
        try:
            if self._socket is not None and protocol.error is None and protocol.idle:
                with contextlib.suppress(Exception):
                    pending = protocol.submit(commands.Logout())
                    deadline = time.monotonic() + _LOGOUT_TIMEOUT
                    while not pending.done and time.monotonic() < deadline:
                        self._turn(deadline)
        finally:
            protocol.logged_out = True
            self._fail(Disconnected("the client has logged out"))

    # Commands.

    def run(self, operation: Command[R] | Flow[R]) -> R:
        """Run a command, or a flow of commands; return its result."""
        if self._persistence is not None:
            self.connect()
            return self._run_flow(resume.persistently(self._persistence, operation))
        if self._socket is None:
            self.connect()
        if isinstance(operation, Command):
            return self._await(self._protocol.submit(operation))
        return self._run_flow(operation)

    @contextlib.contextmanager
    def selected(self, mailbox: MailboxName = "INBOX", *, read_only: bool = False) -> Iterator[SelectedMailbox]:
        """Hold a mailbox for a block: it is selected, and what others would do to it waits or is refused::

            with client.selected("INBOX", read_only=True) as mailbox:
                for row in client.fetch_iter("1:*", "ENVELOPE"):
                    ...

        :param mailbox: its name.
        :param read_only: as for `select`.

        In the block, `select` raises StateError, so that no called function changes the mailbox unseen. So do, in other
        threads, `selected` and the commands that act on the selected mailbox; commands that need none (`append`,
        `mailbox_status`, ...) go through.

        Where the mailbox is selected already nothing is sent: then `mailbox` knows what the server has reported so far,
        and None for `uid_next`, `highest_mod_sequence`, `recent` and `unseen`. It stays selected after the block, and
        over `reconnect()`; where its UIDVALIDITY changed, commands of the block raise StateError. A block inside for
        the same mailbox shares the hold; for another, or the other mode, it raises StateError.
        """
        select = Select(mailbox, read_only=read_only)
        select.keeps_hold = True
        holding = self._protocol.holding
        hold = holding.join(select) or holding.begin(select)
        try:
            self.connect()
            found = holding.found(self._protocol, select)
            if found is None:
                found = self.run(select)
            hold.entered(found)
            yield found
        finally:
            holding.leave(hold)

    def fetch_iter(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
    ) -> Rows:
        """Yield messages as they arrive; for any number of them, in bounded memory.

        :param messages: UIDs, or a `SequenceSet`. An open set (``"1:*"``), or one of many more numbers than there are
            messages, is searched for first.
        :param items: data items, as for `fetch`.
        :param chunk: the most messages that a command asks for; None: commands grow with what has arrived. 16 MiB are
            asked for and not used at most, in either case (a message that is larger goes alone).
        :param in_flight: the most commands under way at once.
        :param changed_since: only messages with a greater mod-sequence (CONDSTORE).

        Other commands may be run in between; they wait for the chunks in flight. It ends with StateError when another
        mailbox is selected meanwhile or, with a `SequenceSet`, messages are expunged. A message that the server refuses
        comes with a defect and nothing else; it costs the others nothing, but after it they may come in another order.
        Messages that were expunged meanwhile are left out, and are `missing` of what this returns, which also knows the
        messages that are still `owed`. Leaving the loop gives up the rest. (RFC 9051, section 6.4.5)
        """
        stream = self._stream(messages, items, chunk, in_flight, changed_since)
        return Rows(stream, self._rows(stream))

    def fetch_batches(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
    ) -> Batches:
        """Yield lists of messages as they arrive together: for what works on many at once.

        The parameters, and all that is said there, are those of `fetch_iter`.
        """
        stream = self._stream(messages, items, chunk, in_flight, changed_since)
        return Batches(stream, self._batches(stream))

    def _stream(
        self,
        messages: MessageSet,
        items: tuple[str, ...],
        chunk: int | None,
        in_flight: int | None,
        changed_since: int | None,
    ) -> FetchStream:
        self.connect()
        return FetchStream(
            self._protocol, messages, items, chunk=chunk, in_flight=in_flight, changed_since=changed_since
        )

    def _rows(self, stream: FetchStream) -> Generator[FetchedMessage, None, None]:
        batches = self._batches(stream)
        try:
            for rows in batches:
                yield from rows
        finally:
            batches.close()

    def _batches(self, stream: FetchStream) -> Generator[list[FetchedMessage], None, None]:
        attempts = self._attempts()
        try:
            while True:
                try:
                    rows = stream.take()
                    if not rows and not stream.done:
                        self._turn(None, lambda: stream.ready)
                        continue
                except Exception as exc:
                    self._go_on(attempts, stream.protocol, exc)
                    stream.go_on(self._protocol)
                    continue
                if not rows:
                    return
                if attempts is not None:
                    attempts.progress()
                yield rows
                self._deadlines.rest(time.monotonic())  # the caller took the time, not the server
        finally:
            stream.close()

    def _go_on(self, attempts: Attempts | None, protocol: Protocol, error: Exception) -> None:
        """Have a connection after `error` on that of `protocol`; raise it without `retry`, or if that is no use."""
        if self._persistence is None or attempts is None:
            raise error
        self._run_flow(resume.recover(self._persistence, protocol, attempts, error))

    def idle(
        self, *, timeout: float | None = None, renew: float = 540.0, poll: float = 30.0
    ) -> Generator[Event, None, None]:
        """Yield events as the server reports them, for ever or for `timeout` seconds (IDLE, RFC 2177).

        :param renew: seconds after which IDLE is begun anew, which also notices a dead link.
        :param poll: seconds between two NOOPs, where the server has no IDLE.

        Other commands may be run in between.
        """
        self.connect()
        return self._idle(IdleStream(self._protocol, renew=renew, poll=poll), timeout)

    def _idle(self, stream: IdleStream, timeout: float | None) -> Generator[Event, None, None]:
        deadline = None if timeout is None else time.monotonic() + timeout
        attempts = self._attempts()
        try:
            while True:
                while (event := self._protocol.next_event()) is not None:
                    if attempts is not None:
                        attempts.progress()
                    yield event
                    self._deadlines.rest(time.monotonic())
                try:
                    if stream.protocol.error is not None:
                        raise stream.protocol.error
                    now = time.monotonic()
                    if deadline is not None and now >= deadline:
                        return
                    stream.advance(now)
                    until = stream.wake_at if deadline is None else min(stream.wake_at, deadline)
                    self._turn(until, lambda: stream.ready)  # noqa: B023 - it is called at once
                except Exception as exc:
                    self._go_on(attempts, stream.protocol, exc)
                    stream = stream.anew(self._protocol)
        finally:
            stream.close()
            if self._protocol.error is None:
                self._turn(time.monotonic())

    @contextlib.contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """Send commands without waiting for each answer::

            with client.pipeline() as pipeline:
                pending = [pipeline.fetch(uid, "FLAGS") for uid in uids]
            flags = [p.result() for p in pending]

        Each is sent as it is asked for. `Pending.result()` may be asked for at any time, also in the block: it waits,
        returns the result or raises the error. Every command is answered when the block ends. What must not overlap
        (RFC 9051, section 5.5) is held back. An error whose result is never asked for is logged.
        """
        self.connect()
        pipeline = Pipeline(self._protocol, self._flush, drive=self._finish)
        try:
            try:
                yield pipeline
            finally:
                pipeline.ended = True
            self._deadlines.rest(time.monotonic())
            for pending in pipeline.pending:
                self._finish(pending)
        except BaseException:
            for pending in pipeline.pending:
                pending.detach()
            raise

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Let what is called in a block take so many seconds together::

            with client.deadline(5):
                found = client.search(body("invoice"))

        :param seconds: beyond them `DeadlinePassed` is raised. The connection stays: the late answer is read, and left.

        The deadlines of `Timeouts` hold all the same.
        """
        before = self._call_ends
        ends = time.monotonic() + seconds
        if before is None or ends < before[0]:
            self._call_ends = ends, seconds
        try:
            yield
        finally:
            self._call_ends = before

    # The wire.

    def _flush(self) -> None:
        """Write what can be written without waiting; where that is not all, read too: the server may wait for that."""
        if self._in_use.locked():
            raise StateError("this client is at work already: a thread has to have a client of its own")
        if self._protocol.error is not None:
            return
        with self._in_use:
            try:
                self._write()
            except BaseException:
                self._fail(Disconnected(_INTERRUPTED))
                raise
        if self._out and not self._unwritable:
            self._turn(time.monotonic())

    def _finish(self, pending: Pending[Any]) -> None:
        """Wait until `pending` is answered."""
        self._deadlines.rest(time.monotonic())
        while not pending.done:
            self._turn(None, lambda: pending.done)

    def _await(self, pending: Pending[R]) -> R:
        began = time.monotonic()
        self._deadlines.rest(began)
        try:
            if self._call_ends is None and not self._in_use.locked():
                self._at_once(pending, began)
            while not pending.done:
                self._turn(None)
        except BaseException:
            pending.detach()
            raise
        return pending.result()

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
            if not self._tls or not self._socket.pending():
                self._poll.poll(self._longest_wait)  # here a signal does no harm
            try:
                self._exchange(None, None, _READ)
                if not pending.done and protocol.error is None:
                    self._deadlines.begun(began, protocol.claimed != claimed)
            except BaseException:
                self._fail(Disconnected(_INTERRUPTED))
                raise

    def _run_flow(self, flow: Flow[R]) -> R:
        resume: Callable[[], Any] = functools.partial(next, flow)
        while True:
            try:
                step = resume()
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            try:
                resume = functools.partial(flow.send, self._do(step))
            except Exception as exc:
                resume = functools.partial(flow.throw, exc)

    def _do(self, step: Command[Any] | tuple[Command[Any], ...] | BeginTLS | Beside | Connect | Sleep) -> Any:
        if isinstance(step, Command):
            return self._await(self._protocol.submit(step))
        if isinstance(step, tuple):
            together = [self._protocol.submit(command) for command in step]
            try:
                return [self._await(pending) for pending in together]
            finally:
                for pending in together:
                    pending.detach()
        if isinstance(step, Sleep):
            return self._sleep(step.seconds, step.by)
        if isinstance(step, Connect):
            return self._connect_instead_of(step.instead_of)
        if isinstance(step, Beside):
            another = self._another()
            another._call_ends = self._call_ends
            with another:
                return another._run_flow(step.flow)
        timeout = self._settings.timeouts.connect
        self._wrap(None if timeout is None else time.monotonic() + timeout)
        self._watch()
        self._protocol.tls_started()
        return None

    def _wrap(self, deadline: float | None) -> None:
        given = self._settings
        left = None if deadline is None else deadline - time.monotonic()
        try:
            if left is not None and left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            self._socket = client_context(given).wrap_socket(self._socket, server_hostname=given.host)
        except TimeoutError:
            raise Timeout(f"no TLS with {given.host} port {given.port} within {given.timeouts.connect} s") from None
        except (OSError, ValueError) as exc:
            raise tls_error(given, exc) from exc

    def _bindings(self) -> dict[str, bytes]:
        return channel_bindings(self._settings, self._socket if isinstance(self._socket, ssl.SSLSocket) else None)

    def _watch(self) -> None:
        self._socket.setblocking(False)
        self._unwritable = False
        self._poll = _Poll()
        self._interest = _READ
        self._poll.register(self._socket, _READ)
        seconds = self._deadlines.shortest
        self._longest_wait = None if seconds is None else min(math.ceil(seconds * 1000), _LONGEST_WAIT)
        self._tls = isinstance(self._socket, ssl.SSLSocket)

    def _turn(self, until: float | None, ready: Callable[[], bool] | None = None) -> None:
        """Write what is ready and read once; wait for that until the time `until` at most, or not if `ready` then."""
        if self._in_use.locked():
            raise StateError("this client is at work already: a thread has to have a client of its own")
        with self._in_use:  # unlike after acquire(), a signal finds no moment here that would leave it locked
            interest = _READ_WRITE
            limit = self._call_ends
            if limit is not None and (until is None or limit[0] < until):
                until = limit[0]
            else:
                limit = None
            while True:
                try:
                    interest = self._exchange(until, ready, interest)
                    now = time.monotonic()
                    if not interest and now < self._look_at and limit is None:
                        return
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

    def _exchange(self, until: float | None, ready: Callable[[], bool] | None, interest: int) -> int:
        """Write, unless `interest` is in reading alone, and read once, without waiting.

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
            if self._written and interest == _READ and not self._tls:
                return _READ  # the answer can't be here yet
        try:
            buffer = protocol.get_buffer()
            size = self._read(buffer) if self._tls else self._socket.recv_into(buffer)
            del buffer  # while a view lives, a literal's memory can't grow in place
        except (BlockingIOError, ssl.SSLWantReadError):
            return interest
        except ssl.SSLWantWriteError:
            return _READ_WRITE
        except (OSError, ValueError) as exc:
            self._fail(Disconnected(f"the connection was cut: {exc}"))
            return 0
        if size:
            protocol.buffer_updated(size)
        else:
            protocol.eof_received()
        if protocol.error is not None:
            self._drop()
        return 0

    def _read(self, buffer: memoryview | bytearray) -> int:
        """Receive into `buffer`; return how much.

        TLS hands out a record at a time, of 4 KiB from some servers: what else has arrived is worth one turn together.
        """
        receive = self._socket.recv_into
        size: int = receive(buffer)
        if size < _SMALL:
            return size
        view = memoryview(buffer)
        room = min(len(view), _GATHERED)
        while size < room:
            try:
                more = receive(view[size:])
            except (OSError, ValueError):  # nothing more for now; or an error, which the next turn has too
                break
            if not more:
                break
            size += more
        return size

    def _write(self) -> int:
        """Write what is ready, without waiting; return what to wait for."""
        out = self._out
        while not self._unwritable:
            if out:
                octets = out[0]
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
                out.append(octets)
            try:
                size = self._socket.send(octets)
            except (BlockingIOError, ssl.SSLWantWriteError):
                return _READ_WRITE
            except ssl.SSLWantReadError:
                return _READ
            except (OSError, ValueError) as exc:
                if isinstance(exc, OSError) and exc.errno is None:
                    raise  # not the system's but of a signal's handler, as is TimeoutError after alarm()
                # What the server said before it went is still to be read; nobody knows how much was sent.
                self._unwritable = True
                break
            self._written = True
            if size == len(octets):
                out.popleft()
            else:
                out[0] = memoryview(octets)[size:]
        return _READ

    def _wait(self, interest: int, timeout: float | None) -> None:
        if interest != self._interest:
            self._interest = 0  # not known, should a signal come in between
            self._poll.modify(self._socket, interest)
            self._interest = interest
        self._poll.poll(None if timeout is None else min(math.ceil(timeout * 1000), _LONGEST_WAIT))

    def _fail(self, error: Exception) -> None:
        self._protocol.fail(error)
        self._drop()

    def _drop(self) -> None:
        self._out.clear()
        self._all_said = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None
