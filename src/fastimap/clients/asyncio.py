"""AsyncClient: the asyncio driver."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import socket as sockets  # `socket` is a parameter
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .. import commands
from ..commands.base import BeginTLS, Beside, Command, Connect, Flow, R, Sleep
from ..commands.select import Select, SelectedMailbox
from ..conversation import prepare
from ..conversation.deadlines import Deadlines
from ..conversation.files import Files
from ..conversation.protocol import Event, Pending, Protocol
from ..conversation.streams import FetchStream, IdleStream
from ..errors import CommandError, ConnectionLost, DeadlinePassed, Disconnected, FastimapError, StateError, Timeout
from ..model.responses import MailboxName
from ..model.sequence_set import MessageSet
from ..sessions import resume
from ..sessions.retry import Attempts, seconds_to_sleep
from ..settings import Settings, with_secrets
from . import _asyncio_methods as methods
from ._base import named
from .connecting import attempts, channel_bindings, client_context, connect, connect_error, tls_error, tune
from .pipeline import Pipeline
from .rows import AsyncBatches, AsyncRows

if TYPE_CHECKING:
    import pyarrow

__all__ = ["AsyncClient"]

_LOGOUT_TIMEOUT = 5.0
# How often deadlines are looked at while something is in flight.
_WATCH = 0.5
# The deadline of the handshake is that of connecting, which holds all around it.
_FOR_EVER = 365 * 86400.0


@named
class AsyncClient(methods.AsyncClient):
    """One connection to an IMAP server under asyncio; any number of tasks may use it at once.

    The parameters are those of :class:`fastimap.Client`; a `token` function may be a coroutine function.

    A task that is cancelled while it waits for an answer leaves the connection in step: the answer is drained. What
    commands raise is told there too.
    """

    def _set_up(self) -> None:
        self._connecting = asyncio.Lock()
        self._selecting = asyncio.Lock()  # that of asyncio is fair
        self._link: _Link | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # Begin and end.

    async def connect(self) -> None:
        """Connect, greet, have TLS, log in; nothing if that is done already.

        Raises ConnectFailed, TLSError, Timeout, AuthenticationFailed, MechanismError; then nothing is left open.
        """
        if self._link is not None and self._link.ready and (self._persistence is None or self._protocol.error is None):
            return
        if self._persistence is not None and not self._protocol.logged_out:
            await self._run_flow(resume.connecting(self._persistence))
            return
        async with self._connecting:
            try:
                await self._open()
            except asyncio.CancelledError:
                self._use(Protocol(self._settings.limits))  # whoever else waits connects
                raise
            self._linked().ready = True

    async def _connect_instead_of(self, dead: Protocol) -> None:
        """Make one attempt at a connection in the place of a dead one, unless another task has done that."""
        assert self._lasting is not None
        async with self._connecting:
            if self._protocol is not dead:
                if self._protocol.error is not None:
                    raise self._protocol.dead()
                return
            if self._link is not None and self._link.ready and dead.error is None:
                return
            if not dead.logged_out:
                await self._sleep(self._lasting.opening(), self._lasting.retry.sleep)
            if dead.logged_out:
                raise dead.dead()
            await self._drop()
            if dead.error is not None:
                self._use(dead.successor())
            protocol = self._protocol
            try:
                await self._open()
                await self._run_flow(resume.restore(protocol))
            except Exception as exc:
                self._lasting.opened(exc)
                if resume.helps(exc):  # the next attempt begins anew
                    protocol.fail(exc)
                    await self._drop()
                elif self._link is not None:
                    self._link.ready = True
                raise
            except BaseException:
                protocol.fail(Disconnected("connecting was interrupted"))
                await self._drop()
                raise
            self._lasting.opened(None)
            self._linked().ready = True

    async def _sleep(self, seconds: float, by: Callable[[float], object] | None) -> None:
        if seconds > 0:
            slept = (by or asyncio.sleep)(seconds_to_sleep(seconds))
            if inspect.isawaitable(slept):
                await slept

    async def _open(self) -> None:
        if self._link is not None:
            return
        if self._protocol.error is not None:
            raise self._protocol.dead()
        try:
            await self._connect()
        except BaseException as exc:
            self._protocol.fail(exc if isinstance(exc, Exception) else Disconnected("connecting was interrupted"))
            await self._drop()
            raise

    async def _connect(self) -> None:
        given = self._settings
        timeout = given.timeouts.connect
        loop = asyncio.get_running_loop()
        link = _Link(self._protocol, Deadlines(self._protocol, given.timeouts), loop)
        stage = "no connection to"
        try:
            async with asyncio.timeout(timeout):
                tls: dict[str, Any] = {}
                if given.tls is True:
                    # It reads the system's certificates.
                    context = await asyncio.to_thread(client_context, given)
                    tls = {"ssl": context, "server_hostname": given.host, "ssl_handshake_timeout": _FOR_EVER}
                connection = await (_connected(given) if given.socket is None and given.proxy is None else _made(given))
                await loop.create_connection(lambda: link, sock=connection, **tls)
                self._link = link
                if tls:
                    self._protocol.tls_started()
                stage = "no greeting from"
                await link.wait(self._protocol.greeting)
                self._protocol.greeting.result()
        except ConnectionLost:
            raise
        except TimeoutError:
            raise Timeout(f"{stage} {given.host} port {given.port} within {timeout} s") from None
        except ssl.SSLError as exc:
            raise tls_error(given, exc) from exc
        except OSError as exc:
            raise connect_error(given, exc) from exc
        resolved = await _with_secrets(given)
        await self._run_flow(prepare.prepare(self._protocol, resolved, lambda: channel_bindings(given, link.tls)))
        self._protocol.established = True

    async def reconnect(self) -> None:
        """Connect anew with the same settings (a token provider is asked again) and select the same mailbox again.

        Raises StateError if the mailbox's UIDVALIDITY changed: its UIDs now mean other messages. Where several tasks
        ask for it at once, it is done once.
        """
        old = self._protocol
        async with self._connecting:
            if self._protocol is not old:  # another task was first
                if self._protocol.error is not None:
                    raise self._protocol.dead()
                return
            before = old.session
            old.fail(Disconnected("the client connects anew"))
            await self._drop()
            self._use(Protocol(self._settings.limits))
            try:
                await self._open()
                if before.mailbox is not None:
                    await self._run_flow(prepare.select_again(before))
                self._linked().ready = True
            except (CommandError, StateError):
                if self._link is not None:
                    self._link.ready = True  # the server has answered: the client is connected
                raise
            except BaseException:
                self._protocol.fail(Disconnected("connecting anew was interrupted"))
                await self._drop()
                raise
            finally:
                if self._protocol.error is not None:
                    self._protocol.session = before  # the next attempt selects the same mailbox

    async def close(self) -> None:
        """Log out and close the connection. Never raises; where commands are in flight it just closes."""
        protocol = self._protocol
        link = self._link
        try:
            if link is not None and protocol.error is None and protocol.idle and protocol.greeting.done:
                with contextlib.suppress(FastimapError, TimeoutError):
                    async with asyncio.timeout(_LOGOUT_TIMEOUT):
                        await link.wait(protocol.submit(commands.Logout()))
        finally:
            protocol.logged_out = True
            protocol.fail(Disconnected("the client has logged out"))
            await self._drop()

    # Commands.

    async def run(self, operation: Command[R] | Flow[R]) -> R:
        """Run a command, or a flow of commands; return its result."""
        await self.connect()
        if self._persistence is not None:
            return await self._run_flow(resume.persistently(self._persistence, operation))
        if isinstance(operation, Command):
            return await self._wait(self._protocol.submit(operation))
        return await self._run_flow(operation)

    @contextlib.asynccontextmanager
    async def selected(
        self, mailbox: MailboxName = "INBOX", *, read_only: bool = False
    ) -> AsyncIterator[SelectedMailbox]:
        """Hold a mailbox for a block: it is selected, and what others would do to it waits or is refused::

            async with client.selected("INBOX", read_only=True) as mailbox:
                async for row in client.fetch_iter("1:*", "ENVELOPE"):
                    ...

        :param mailbox: its name.
        :param read_only: as for `select`.

        Another task's `selected` waits for its turn, first come, first served. Its commands that act on the selected
        mailbox, or select another, raise StateError: outside such a block nobody reads a mailbox that somebody holds.
        Commands that need no selected mailbox (`append`, `mailbox_status`, ...) go through. Tasks that are begun in the
        block (``asyncio.gather``, ``TaskGroup``) share the hold.

        Where the mailbox is selected already nothing is sent: then `mailbox` knows what the server has reported so far,
        and None for `uid_next`, `highest_mod_sequence`, `recent` and `unseen`. It stays selected after the block, and
        over `reconnect()`; where its UIDVALIDITY changed, commands of the block raise StateError. A block inside for
        the same mailbox shares the hold; for another, or the other mode, it raises StateError.
        """
        select = Select(mailbox, read_only=read_only)
        select.keeps_hold = True
        holding = self._protocol.holding
        hold = holding.join(select)
        if hold is None:
            await self._selecting.acquire()
            hold = holding.begin(select)
        try:
            await self.connect()
            found = holding.found(self._protocol, select)
            if found is None:
                found = await self.run(select)
            hold.entered(found)
            yield found
        finally:
            if holding.leave(hold):
                self._selecting.release()

    def fetch_iter(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
    ) -> AsyncRows:
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
        stream = FetchStream(
            self._protocol, messages, items, chunk=chunk, in_flight=in_flight, changed_since=changed_since
        )
        return AsyncRows(self, stream)

    def fetch_batches(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
    ) -> AsyncBatches:
        """Yield lists of messages as they arrive together: for what works on many at once.

        The parameters, and all that is said there, are those of `fetch_iter`.
        """
        stream = FetchStream(
            self._protocol, messages, items, chunk=chunk, in_flight=in_flight, changed_since=changed_since
        )
        return AsyncBatches(self, stream)

    async def fetch_table(
        self, messages: MessageSet, *items: str, text: bool = False, changed_since: int | None = None
    ) -> pyarrow.Table:
        """Return messages as columns, for pandas, polars, DuckDB and what else reads Apache Arrow.

        :param messages: UIDs, or a `SequenceSet`, as for `fetch_iter`.
        :param items: data items, as for `fetch`. The columns have the names of the attributes: ``"ENVELOPE"`` gives
            ``date``, ``subject``, ``from_``, ...; fields of the header become ``header_list_id`` and so on.
        :param text: add the column ``text``, fetched as `fetch_text` does, some hundreds of messages at a time.
        :param changed_since: only messages with a greater mod-sequence (CONDSTORE); not with `text`.

        Rows become columns as they arrive. ``uid`` is there always, and ``defects``: what was wrong with a row. It
        needs pyarrow: ``pip install fastimap[parquet]``. Raises ImportError without it, and ValueError for an item that
        there is no column for. (RFC 9051, section 6.4.5)
        """
        from . import tables

        run = tables.Run(messages, items, text, changed_since)
        if run.by_text:
            for chunk in run.chunks((await self.search(run.key)).uids):
                run.add(await self.fetch_text(chunk, *run.items))
        else:
            async for rows in self.fetch_batches(messages, *run.items, changed_since=changed_since):
                run.add(rows)
        return run.table()

    async def _go_on(self, attempts: Attempts | None, protocol: Protocol, error: Exception) -> None:
        """Have a connection after `error` on that of `protocol`; raise it without `retry`, or if that is no use."""
        if self._persistence is None or attempts is None:
            raise error
        await self._run_flow(resume.recover(self._persistence, protocol, attempts, error))

    async def idle(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - to run out of it is not an error
        renew: float = 540.0,
        poll: float = 30.0,
    ) -> AsyncGenerator[Event, None]:
        """Yield events as the server reports them, for ever or for `timeout` seconds (IDLE, RFC 2177).

        :param renew: seconds after which IDLE is begun anew, which also notices a dead link.
        :param poll: seconds between two NOOPs, where the server has no IDLE.

        Other commands may be run in between.
        """
        await self.connect()
        link = self._linked()
        clock = asyncio.get_running_loop().time
        deadline = None if timeout is None else clock() + timeout
        stream = IdleStream(self._protocol, renew=renew, poll=poll)
        attempts = self._attempts()
        try:
            while True:
                while (event := self._protocol.next_event()) is not None:
                    if attempts is not None:
                        attempts.progress()
                    yield event
                try:
                    if stream.protocol.error is not None:
                        raise stream.protocol.error
                    now = clock()
                    if deadline is not None and now >= deadline:
                        return
                    stream.advance(now)
                    until = stream.wake_at if deadline is None else min(stream.wake_at, deadline)
                    await link.moved(until, lambda: stream.ready)  # noqa: B023 - it is called at once
                except Exception as exc:
                    await self._go_on(attempts, stream.protocol, exc)
                    stream = stream.anew(self._protocol)
                    link = self._linked()
        finally:
            stream.close()
            link.flush()

    @contextlib.asynccontextmanager
    async def pipeline(self) -> AsyncIterator[Pipeline]:
        """Send commands without waiting for each answer::

            async with client.pipeline() as pipeline:
                pending = [pipeline.fetch(uid, "FLAGS") for uid in uids]
            flags = [p.result() for p in pending]

        Each is sent as it is asked for. A result can be awaited at any time, also in the block (``await pending``).
        Every command is answered when the block ends; then `Pending.result()` returns its result or raises its error.
        What must not overlap (RFC 9051, section 5.5) is held back. An error whose result is never asked for is logged.
        """
        await self.connect()
        link = self._linked()
        pipeline = Pipeline(self._protocol, link.flush_soon, wait=link.wait)
        try:
            yield pipeline
            pipeline.ended = True
            for pending in pipeline.pending:
                await link.wait(pending)
        except BaseException:
            pipeline.ended = True
            for pending in pipeline.pending:
                pending.detach()
            raise

    @contextlib.asynccontextmanager
    async def deadline(self, seconds: float) -> AsyncIterator[None]:
        """Let what is called in a block take so many seconds together::

            async with client.deadline(5):
                found = await client.search(body("invoice"))

        :param seconds: beyond them `DeadlinePassed` is raised. The connection stays: the late answer is read, and left.

        Connecting, and the waits between attempts at it, count too. The deadlines of `Timeouts` hold all the same.
        """
        try:
            async with asyncio.timeout(seconds) as limit:
                yield
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise DeadlinePassed(seconds) from exc

    # The wire.

    def _linked(self) -> _Link:
        if self._link is None:
            raise self._protocol.dead()
        return self._link

    async def _wait(self, pending: Pending[R]) -> R:
        await self._linked().wait(pending)
        return pending.result()

    async def _run_flow(self, flow: Flow[R]) -> R:
        resume: Callable[[], Any] = functools.partial(next, flow)
        while True:
            try:
                step = resume()
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            try:
                resume = functools.partial(flow.send, await self._do(step))
            except (Exception, asyncio.CancelledError) as exc:
                resume = functools.partial(flow.throw, exc)

    async def _do(self, step: Command[Any] | tuple[Command[Any], ...] | BeginTLS | Beside | Connect | Sleep) -> Any:
        if isinstance(step, Command):
            return await self._wait(self._protocol.submit(step))
        if isinstance(step, tuple):
            together = [self._protocol.submit(command) for command in step]
            try:
                return [await self._wait(pending) for pending in together]
            finally:
                for pending in together:
                    pending.detach()
        if isinstance(step, Sleep):
            return await self._sleep(step.seconds, step.by)
        if isinstance(step, Connect):
            return await self._connect_instead_of(step.instead_of)
        if isinstance(step, Beside):
            async with self._another() as another:
                return await another._run_flow(step.flow)
        given = self._settings
        try:
            async with asyncio.timeout(given.timeouts.connect):
                await self._wrap(self._linked())
        except TimeoutError:
            raise Timeout(f"no TLS with {given.host} port {given.port} within {given.timeouts.connect} s") from None
        self._protocol.tls_started()
        return None

    async def _wrap(self, link: _Link) -> None:
        given = self._settings
        assert link.transport is not None
        link.upgrading = True
        try:
            transport = await asyncio.get_running_loop().start_tls(
                link.transport,
                link,
                await asyncio.to_thread(client_context, given),
                server_hostname=given.host,
                ssl_handshake_timeout=_FOR_EVER,
            )
        except ConnectionAbortedError as exc:
            raise Timeout(f"no TLS with {given.host} port {given.port} within {given.timeouts.connect} s") from exc
        except TimeoutError:
            raise
        except (OSError, ValueError) as exc:
            raise tls_error(given, exc) from exc
        if transport is None:
            raise tls_error(given, Disconnected("the connection was cut amid the handshake"))
        link.transport = transport
        link.upgrading = False

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.abort()


class _Link(asyncio.BufferedProtocol):
    """The transport's side: octets between the transport and the protocol, and who waits for them."""

    def __init__(self, protocol: Protocol, deadlines: Deadlines, loop: asyncio.AbstractEventLoop) -> None:
        self.transport: Any = None
        self.ready = False
        """Whether the client's beginning (greeting, TLS, login) is done."""
        self.upgrading = False
        """Whether a TLS handshake is under way: what becomes of the transport is told to it, not here."""
        self._protocol = protocol
        self._deadlines = deadlines
        self._loop = loop
        self._waiting: set[asyncio.Future[None]] = set()
        self._waiters = 0
        self._soon = False
        self._held = False
        self._paused = False
        self._full = False
        self._watch: asyncio.TimerHandle | None = None
        self._lost = loop.create_future()
        protocol.files = Files(self._elsewhere, self._on)

    @property
    def tls(self) -> Any:
        return self.transport.get_extra_info("ssl_object") if self.transport is not None else None

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> Any:
        return self._protocol.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.buffer_updated(nbytes)
        self._deadlines.until(self._loop.time())  # progress counts from when it is made
        if (self._held or self._behind()) and not self._paused and self._protocol.error is None:
            self._paused = True
            self.transport.pause_reading()
        self.flush()
        self._tell()

    def eof_received(self) -> bool:
        self._protocol.eof_received()
        self._tell()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._protocol.error is None:
            self._protocol.fail(Disconnected(f"the connection was cut: {exc}" if exc else "the connection was closed"))
        if not self._lost.done():
            self._lost.set_result(None)
        self._tell()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self.flush()

    # Called by the client.

    def flush(self) -> None:
        """Hand the transport what there is to send; watch over what is awaited."""
        protocol = self._protocol
        while not self._full:
            chunks = protocol.data_to_send()
            if not chunks:
                break
            self.transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if protocol.error is not None:
            self._end()
        elif self._watch is None and protocol.awaited() is not None:
            self._look()

    def flush_soon(self) -> None:
        """Flush in the loop's next round, all that is asked for until then in one write."""
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._soon = False
        if self._protocol.error is None:
            self.flush()

    async def wait(self, pending: Pending[Any]) -> None:
        """Wait for a command's answer; when cancelled, leave it to be drained."""
        self.flush()
        if not pending.done:
            answered: asyncio.Future[None] = self._loop.create_future()
            earlier = pending.on_done  # somebody else may wait for it too

            def done() -> None:
                if earlier is not None:
                    earlier()
                _resolve(answered)

            pending.on_done = done
            self._waiters += 1
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
            settled: asyncio.Future[None] = self._loop.create_future()
            files.when_settled(functools.partial(_resolve, settled))
            with contextlib.suppress(asyncio.CancelledError):  # the caller is being cancelled already
                await settled

    def _elsewhere(self, work: Callable[[], object], done: Callable[[], object]) -> None:
        """Have a thread do `work`, which is on files; then call `done`."""
        self._loop.run_in_executor(None, work).add_done_callback(lambda _: done())

    def _on(self, read: bool) -> None:
        """Go on after a piece of a file was read, or written."""
        if read or self._paused:
            self._deadlines.go_on(self._loop.time())  # the server had to wait, and not the client
        if not self._held and not self._behind():
            self._read_on()
        self.flush()
        self._tell()

    def _behind(self) -> bool:
        """Whether what has arrived is still being written to files."""
        return self._protocol.files is not None and self._protocol.files.full

    async def moved(self, until: float | None, ready: Callable[[], bool]) -> None:
        """Write what there is; wait until something was received, or until the loop's time `until`; not if `ready`."""
        self.flush()
        if self._protocol.error is not None or ready():
            return
        self.release()
        news: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(news)
        timer = None if until is None else self._loop.call_at(until, _resolve, news)
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
            self._deadlines.rest(self._loop.time())
        if not self._behind():
            self._read_on()

    def _read_on(self) -> None:
        if self._paused:
            self._paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    async def abort(self) -> None:
        """Close the transport at once; return when it is."""
        self._end()
        if self.upgrading:
            await asyncio.sleep(0)  # the loop closes the transport in its next round
        elif self.transport is not None:
            await self._lost

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
        if self.transport is not None:
            self.transport.abort()

    def _look(self) -> None:
        now = self._loop.time()
        until = self._deadlines.until(now)
        if until is None:
            self._watch = None
        elif self._held or self._behind() or (self._protocol.files is not None and self._protocol.files.reading):
            self._watch = self._loop.call_at(now + _WATCH, self._look)
        elif now < until:
            self._watch = self._loop.call_at(min(until, now + _WATCH), self._look)
        else:
            self._protocol.fail(self._deadlines.error())
            self._tell()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _connected(given: Settings) -> sockets.socket:
    """Return a socket that is connected to the first of the host's addresses that answers."""
    loop = asyncio.get_running_loop()
    deadline = None if given.timeouts.connect is None else time.monotonic() + given.timeouts.connect
    error: OSError = OSError(f"{given.host} has no address")
    addresses = await loop.getaddrinfo(given.host, given.port, type=sockets.SOCK_STREAM)
    for (family, kind, number, _, address), seconds in attempts(addresses, deadline):
        try:
            connection = sockets.socket(family, kind, number)
        except OSError as exc:  # a system without IPv6
            error = exc
            continue
        try:
            connection.setblocking(False)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(connection, address)
        except OSError as exc:
            connection.close()
            error = exc
        except BaseException:
            connection.close()
            raise
        else:
            tune(connection)
            return connection
    raise error


async def _made(given: Settings) -> sockets.socket:
    """Return the caller's socket, or one of the caller's factory, which may block."""
    making = asyncio.ensure_future(asyncio.to_thread(connect, given))
    try:
        connection = await asyncio.shield(making)
    except asyncio.CancelledError:
        if given.socket is None or callable(given.socket):
            making.add_done_callback(_close_what_was_made)
        raise
    if isinstance(connection, ssl.SSLSocket):
        connection.close()
        raise ValueError("asyncio can't take an SSLSocket: give the plain socket, and tls=True")
    return connection


def _close_what_was_made(making: asyncio.Future[sockets.socket]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().close()


async def _with_secrets(given: Settings) -> Settings:
    """Return the settings with the password and the token at hand where they hold functions that return them."""
    credentials = given.credentials
    if credentials is None:
        return given
    if credentials.ask_password is not None:
        password: Any = credentials.ask_password()
        if inspect.isawaitable(password):
            password = await password
        return with_secrets(given, password)
    if not callable(credentials.token):
        return given
    token: Any = credentials.token()
    if inspect.isawaitable(token):
        token = await token
    # A function still: None as the token itself would mean that there is none, and another mechanism be used.
    return given.__replace__(credentials=credentials.__replace__(token=lambda: token))
