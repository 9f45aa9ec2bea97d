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

from .. import clients, commands, conversation, sessions
from ..commands.base import BeginTLS, Beside, Command, Connect, Flow, R, Sleep
from ..commands.session import Logout
from ..conversation import prepare
from ..conversation.deadlines import Deadlines
from ..conversation.holding import Holding
from ..conversation.protocol import Event, Pending, Protocol
from ..errors import CommandError, ConnectionLost, DeadlinePassed, Disconnected, FastimapError, StateError
from ..model.responses import MailboxName
from ..model.sequence_set import MessageSet
from ..sessions.retry import Attempts, seconds_to_sleep
from ..settings import Settings, check_seconds, with_secrets
from . import _asyncio_methods as methods
from ._base import named
from .asyncio_wire import Link
from .connecting import attempts, connect, connect_error, late, no_greeting, tune
from .tls import client_context, tls_error

if TYPE_CHECKING:
    import pyarrow

__all__ = ["AsyncClient"]

_LOGOUT_TIMEOUT = 5.0


@named
class AsyncClient(methods.AsyncClient):
    """One connection to an IMAP server under asyncio; any number of tasks may use it at once.

    The parameters are those of :class:`fastimap.Client`; a `token` function may be a coroutine function.

    A task that is cancelled while it waits for an answer leaves the connection in step: the answer is drained. What
    commands raise is told there too.

    A connection belongs to the event loop that it was made in. In another one commands raise StateError, or
    Disconnected where that loop is closed (``asyncio.run`` closes its own): `reconnect()`, `retry` or a pool connects
    anew then.
    """

    def _set_up(self) -> None:
        self._connecting = asyncio.Lock()
        self._selecting = asyncio.Lock()  # that of asyncio is fair
        self._link: Link | None = None

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
        self._look_where()
        if self._link is not None and self._link.ready and (self._persistence is None or self._protocol.error is None):
            return
        if self._persistence is not None and not self._protocol.logged_out:
            await self._run_flow(sessions.resume.connecting(self._persistence))
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
                await self._run_flow(sessions.resume.restore(protocol))
            except Exception as exc:
                self._lasting.opened(exc)
                if sessions.resume.helps(exc):  # the next attempt begins anew
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
        loop = asyncio.get_running_loop()
        stage = "no connection to"
        try:
            async with asyncio.timeout(given.timeouts.connect):
                context = await _context(given) if given.tls else None
                connection = await (_connected(given) if given.socket is None and given.proxy is None else _made(given))
                link = Link(self._protocol, Deadlines(self._protocol, given.timeouts), loop, given, context)
                if given.tls is True:
                    try:
                        self._begin_tls(link)
                    except BaseException:
                        connection.close()
                        raise
                link.socket = connection
                if isinstance(loop, asyncio.SelectorEventLoop):
                    link.connection = connection
                await loop.create_connection(lambda: link, sock=connection)
                self._link = link
                if given.tls is True:
                    stage = "no TLS with"
                    await self._secured(link)
                stage = ""
                await link.wait(self._protocol.greeting)
                self._protocol.greeting.result()
        except ConnectionLost:
            raise
        except TimeoutError as exc:
            raise late(given, stage, exc) if stage else no_greeting(given, given.timeouts.connect) from None
        except OSError as exc:
            raise connect_error(given, exc) from exc
        resolved = await _with_secrets(given)
        await self._run_flow(prepare.prepare(self._protocol, resolved, link.bindings))
        self._protocol.established = True

    async def reconnect(self) -> None:
        """Connect anew with the same settings (a token provider is asked again) and select the same mailbox again.

        Raises StateError if the mailbox's UIDVALIDITY changed: its UIDs now mean other messages. Where several tasks
        ask for it at once, it is done once.
        """
        self._look_where()
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
        await self._leave(_LOGOUT_TIMEOUT)

    async def _leave(self, patience: float) -> None:
        """Log out, and close; the answer has so many seconds."""
        protocol = self._protocol
        link = self._link
        here = link is not None and link.loop is asyncio.get_running_loop()
        try:
            if link is not None and here and protocol.error is None and protocol.idle and protocol.greeting.done:
                with contextlib.suppress(FastimapError, TimeoutError):
                    async with asyncio.timeout(patience):
                        await link.wait(protocol.submit(Logout()))
        finally:
            protocol.logged_out = True
            protocol.fail(Disconnected("the client has logged out"))
            await self._drop()

    # Commands.

    async def run(self, operation: Command[R] | Flow[R]) -> R:
        """Run a command, or a flow of commands; return its result."""
        if self._persistence is not None:
            await self.connect()
            return await self._run_flow(sessions.resume.persistently(self._persistence, operation))
        link = self._link
        if link is None or not link.ready or link.loop is not asyncio.get_running_loop():
            await self.connect()
        if isinstance(operation, Command):
            return await self._wait(self._protocol.submit(operation))
        return await self._run_flow(operation)

    @contextlib.asynccontextmanager
    async def selected(
        self, mailbox: MailboxName = "INBOX", *, read_only: bool = False
    ) -> AsyncIterator[commands.SelectedMailbox]:
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
        select = commands.Select(mailbox, read_only=read_only)
        select.keeps_hold = True
        self._look_where()
        holding, selecting = self._protocol.holding, self._selecting
        hold = holding.join(select)
        if hold is None:
            await selecting.acquire()
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
                selecting.release()

    def fetch_iter(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
    ) -> clients.rows.AsyncRows:
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
        stream = conversation.streams.FetchStream(
            self._protocol, messages, items, chunk=chunk, in_flight=in_flight, changed_since=changed_since
        )
        return clients.rows.AsyncRows(self, stream)

    def fetch_batches(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
    ) -> clients.rows.AsyncBatches:
        """Yield lists of messages as they arrive together: for what works on many at once.

        The parameters, and all that is said there, are those of `fetch_iter`.
        """
        stream = conversation.streams.FetchStream(
            self._protocol, messages, items, chunk=chunk, in_flight=in_flight, changed_since=changed_since
        )
        return clients.rows.AsyncBatches(self, stream)

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
        await self._run_flow(sessions.resume.recover(self._persistence, protocol, attempts, error))

    async def idle(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - to run out of it is not an error
        renew: float = 540.0,
        poll: float = 30.0,
    ) -> AsyncGenerator[Event, None]:
        """Yield events as the server reports them, for ever or for `timeout` seconds (IDLE, RFC 2177).

        :param timeout: seconds after which it ends; None: never.
        :param renew: seconds after which IDLE is begun anew, which also notices a dead link.
        :param poll: seconds between two NOOPs, where the server has no IDLE.

        Other commands may be run in between. Raises TypeError where `timeout` is no number of seconds, ValueError for
        NaN, and for a `renew` or `poll` that is not over 0.
        """
        check_seconds("timeout", timeout)
        await self.connect()
        link = self._linked()
        clock = asyncio.get_running_loop().time
        deadline = None if timeout is None else clock() + timeout
        stream = conversation.streams.IdleStream(self._protocol, renew=renew, poll=poll)
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
    async def pipeline(self) -> AsyncIterator[clients.pipeline.Pipeline]:
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
        pipeline = clients.pipeline.Pipeline(self._protocol, link.flush_soon, wait=link.wait)
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
    async def deadline(self, seconds: float | None) -> AsyncIterator[None]:
        """Let what is called in a block take so many seconds together::

            async with client.deadline(5):
                found = await client.search(body("invoice"))

        :param seconds: beyond them `DeadlinePassed` is raised. The connection stays: the late answer is read, and left.
            None: any time.

        Connecting, and the waits between attempts at it, count too. The deadlines of `Timeouts` hold all the same.
        Raises TypeError for what is no number of seconds, ValueError for NaN.
        """
        check_seconds("deadline", seconds)
        try:
            async with asyncio.timeout(seconds) as limit:
                yield
        except TimeoutError as exc:
            if seconds is None or not limit.expired():
                raise
            raise DeadlinePassed(seconds) from exc

    # The wire.

    def _linked(self) -> Link:
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
                self._begin_tls(self._linked())
                await self._secured(self._linked())
        except TimeoutError as exc:
            raise late(given, "no TLS with", exc) from None
        return None

    def _begin_tls(self, link: Link) -> None:
        if self._protocol.error is not None:
            raise self._protocol.error
        try:
            link.begin_tls()
        except (OSError, ValueError) as exc:
            raise tls_error(self._settings, exc) from exc

    async def _secured(self, link: Link) -> None:
        error = await link.secured()
        if isinstance(error, (ConnectionLost, TimeoutError)):
            raise error
        if error is not None:
            raise tls_error(self._settings, error) from error

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None and link.loop is asyncio.get_running_loop():
            await link.abort()
        elif link is not None:
            link.leave()

    def _look_where(self) -> None:
        """Raise StateError where the connection is of another event loop; if that is closed, so is the connection."""
        link = self._link
        if link is None or link.loop is asyncio.get_running_loop():
            return
        if not link.loop.is_closed():
            raise StateError("the connection is of another event loop: each loop needs a client of its own")
        self._link = None
        link.leave()
        self._protocol.fail(Disconnected("the event loop of the connection is closed"))
        # Who held a mailbox, or waited, in a loop that was closed amid it never goes on.
        self._protocol.holding = Holding()
        self._connecting, self._selecting = asyncio.Lock(), asyncio.Lock()


async def _context(given: Settings) -> ssl.SSLContext:
    """Return the TLS context, for STARTTLS too: between its OK and the handshake there is to be no waiting."""
    try:
        return await asyncio.to_thread(client_context, given)  # it reads the system's certificates
    except ssl.SSLError as exc:
        raise tls_error(given, exc) from exc


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
