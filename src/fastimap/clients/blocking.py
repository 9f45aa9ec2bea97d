"""Client: the blocking driver."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .. import clients, commands, conversation, sessions
from ..commands.base import BeginTLS, Beside, Command, Connect, Flow, R, Sleep
from ..commands.session import Logout  # for what Python calls at its end, when nothing is imported any more
from ..conversation import prepare
from ..conversation.protocol import Event, Protocol
from ..errors import CommandError, DeadlinePassed, Disconnected, StateError, Timeout
from ..model.responses import MailboxName
from ..model.row import FetchedMessage
from ..model.sequence_set import MessageSet
from ..sessions.retry import Attempts, seconds_to_sleep
from ..settings import check_seconds, with_secrets
from ._base import named
from .blocking_wire import Wire
from .connecting import connect, has_tls, no_greeting, waiting_as_a_socket

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Client"]

_LOGOUT_TIMEOUT = 5.0


@named
class Client(Wire):
    """One connection to an IMAP server; blocking, for one thread at a time.

    :param host: name or address of the server; its certificate must be for it. Or a `fastimap.Account`, which says all
        of what follows but the last two.
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
            self._run_flow(sessions.resume.connecting(self._persistence))
        elif self._protocol.error is not None:
            raise self._protocol.dead()
        else:
            self._connect()

    def _connect(self) -> None:
        given = self._settings
        timeout = self._time_to_connect()
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            made = connect(given.__replace__(timeouts=given.timeouts.__replace__(connect=timeout)))
            self._socket = waiting_as_a_socket(made)
            if given.tls is True or has_tls(self._socket):
                self._wrap(deadline)
            self._watch()
            if self._tls:
                self._protocol.tls_started()
            greeting = self._protocol.greeting
            while not greeting.done:
                self._turn(deadline)
                if not greeting.done and deadline is not None and time.monotonic() >= deadline:
                    self._fail(no_greeting(given, timeout))
            greeting.result()
            if given.credentials is not None and given.credentials.ask_password is not None:
                given = with_secrets(given, given.credentials.ask_password())
            self._run_flow(prepare.prepare(self._protocol, given, lambda: self._bindings()))
            self._protocol.established = True
        except BaseException as exc:
            self._fail(exc if isinstance(exc, Exception) else Disconnected("connecting was interrupted"))
            if isinstance(exc, Timeout) and self._call_ends is not None and time.monotonic() >= self._call_ends[0]:
                raise DeadlinePassed(self._call_ends[1]) from exc
            raise

    def _time_to_connect(self) -> float | None:
        """Return the seconds that connecting may take; raise DeadlinePassed where the caller has none left."""
        timeout = self._settings.timeouts.connect
        if self._call_ends is None:
            return timeout
        left = self._call_ends[0] - time.monotonic()
        if left <= 0:
            raise DeadlinePassed(self._call_ends[1])
        return left if timeout is None else min(left, timeout)

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
            self._run_flow(sessions.resume.restore(self._protocol))
        except Exception as exc:
            self._lasting.opened(exc)
            if sessions.resume.helps(exc) or isinstance(exc, DeadlinePassed):
                self._fail(exc)  # the next attempt begins anew
            raise
        except BaseException:
            self._fail(Disconnected("connecting anew was interrupted"))
            raise
        self._lasting.opened(None)

    def _sleep(self, seconds: float, by: Callable[[float], object] | None) -> None:
        if seconds <= 0:
            return
        seconds = seconds_to_sleep(seconds)
        limit = self._call_ends
        if limit is not None and time.monotonic() + seconds > limit[0]:
            (by or time.sleep)(max(0.0, limit[0] - time.monotonic()))
            raise DeadlinePassed(limit[1])
        (by or time.sleep)(seconds)

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
        self._leave(_LOGOUT_TIMEOUT)

    def _leave(self, patience: float) -> None:
        """Log out, and close; the answer has so many seconds."""
        protocol = self._protocol
        try:
            if self._socket is not None and protocol.error is None and protocol.idle:
                with contextlib.suppress(Exception):
                    pending = protocol.submit(Logout())
                    deadline = time.monotonic() + patience
                    self._turn(deadline)
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
            return self._run_flow(sessions.resume.persistently(self._persistence, operation))
        if self._socket is None:
            self.connect()
        if isinstance(operation, Command):
            return self._await(self._protocol.submit(operation))
        return self._run_flow(operation)

    @contextlib.contextmanager
    def selected(
        self, mailbox: MailboxName = "INBOX", *, read_only: bool = False
    ) -> Iterator[commands.SelectedMailbox]:
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
        select = commands.Select(mailbox, read_only=read_only)
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
    ) -> clients.rows.Rows:
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
        return clients.rows.Rows(stream, self._rows(stream))

    def fetch_batches(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int | None = None,
        in_flight: int | None = None,
        changed_since: int | None = None,
    ) -> clients.rows.Batches:
        """Yield lists of messages as they arrive together: for what works on many at once.

        The parameters, and all that is said there, are those of `fetch_iter`.
        """
        stream = self._stream(messages, items, chunk, in_flight, changed_since)
        return clients.rows.Batches(stream, self._batches(stream))

    def fetch_table(
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
            for chunk in run.chunks(self.search(run.key).uids):
                run.add(self.fetch_text(chunk, *run.items))
        else:
            for rows in self.fetch_batches(messages, *run.items, changed_since=changed_since):
                run.add(rows)
        return run.table()

    def _stream(
        self,
        messages: MessageSet,
        items: tuple[str, ...],
        chunk: int | None,
        in_flight: int | None,
        changed_since: int | None,
    ) -> conversation.streams.FetchStream:
        self.connect()
        return conversation.streams.FetchStream(
            self._protocol, messages, items, chunk=chunk, in_flight=in_flight, changed_since=changed_since
        )

    def _rows(self, stream: conversation.streams.FetchStream) -> Generator[FetchedMessage, None, None]:
        batches = self._batches(stream)
        try:
            for rows in batches:
                yield from rows
        finally:
            batches.close()

    def _batches(self, stream: conversation.streams.FetchStream) -> Generator[list[FetchedMessage], None, None]:
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
        self._run_flow(sessions.resume.recover(self._persistence, protocol, attempts, error))

    def idle(
        self, *, timeout: float | None = None, renew: float = 540.0, poll: float = 30.0
    ) -> Generator[Event, None, None]:
        """Yield events as the server reports them, for ever or for `timeout` seconds (IDLE, RFC 2177).

        :param timeout: seconds after which it ends; None: never.
        :param renew: seconds after which IDLE is begun anew, which also notices a dead link.
        :param poll: seconds between two NOOPs, where the server has no IDLE.

        Other commands may be run in between. Raises TypeError where `timeout` is no number of seconds, ValueError for
        NaN, and for a `renew` or `poll` that is not over 0.
        """
        check_seconds("timeout", timeout)
        self.connect()
        return self._idle(conversation.streams.IdleStream(self._protocol, renew=renew, poll=poll), timeout)

    def _idle(self, stream: conversation.streams.IdleStream, timeout: float | None) -> Generator[Event, None, None]:
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
    def pipeline(self) -> Iterator[clients.pipeline.Pipeline]:
        """Send commands without waiting for each answer::

            with client.pipeline() as pipeline:
                pending = [pipeline.fetch(uid, "FLAGS") for uid in uids]
            flags = [p.result() for p in pending]

        Each is sent as it is asked for. `Pending.result()` may be asked for at any time, also in the block: it waits,
        returns the result or raises the error. Every command is answered when the block ends. What must not overlap
        (RFC 9051, section 5.5) is held back. An error whose result is never asked for is logged.
        """
        self.connect()
        pipeline = clients.pipeline.Pipeline(self._protocol, self._flush, drive=self._finish)
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
    def deadline(self, seconds: float | None) -> Iterator[None]:
        """Let what is called in a block take so many seconds together::

            with client.deadline(5):
                found = client.search(body("invoice"))

        :param seconds: beyond them `DeadlinePassed` is raised. The connection stays: the late answer is read, and left.
            None: any time.

        Connecting, and the waits between attempts at it, count too. The deadlines of `Timeouts` hold all the same.
        Raises TypeError for what is no number of seconds, ValueError for NaN.
        """
        check_seconds("deadline", seconds)
        before = self._call_ends
        if seconds is not None:
            ends = time.monotonic() + seconds
            if before is None or ends < before[0]:
                self._call_ends = ends, seconds
        try:
            yield
        finally:
            self._call_ends = before

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
        timeout = self._time_to_connect()
        self._wrap(None if timeout is None else time.monotonic() + timeout)
        self._watch()
        self._protocol.tls_started()
        return None
