"""Client: the blocking driver."""

from __future__ import annotations

import contextlib
import functools
import inspect
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import GenericAlias, NoneType, TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, get_args

from .. import commands
from ..commands.base import BeginTLS, Command, Connect, Flow, Session, Sleep
from ..conversation import operations, prepare
from ..conversation.deadlines import Deadlines
from ..conversation.protocol import Counters, Event, Pending, Protocol
from ..conversation.streams import FetchStream, IdleStream
from ..errors import CommandError, Disconnected, StateError, Timeout
from ..limits import CLIENT_LIMITS, Limits
from ..model.message import FetchedMessage
from ..model.sequence_set import MessageSet
from ..sasl import Credentials, Token
from ..sessions import resume
from ..sessions.resume import persistence
from ..sessions.retry import Attempts, Retry, seconds_to_sleep
from ..settings import DEFAULT_TIMEOUTS, Timeouts, settings
from .connecting import channel_bindings, client_context, connect, tls_error

__all__ = ["Client", "Pipeline"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_READ = selectors.EVENT_READ
_READ_WRITE = selectors.EVENT_READ | selectors.EVENT_WRITE
_LOGOUT_TIMEOUT = 5.0
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


def documented(function: Any, operation: Callable[..., Any], wrapped: Any = None) -> None:
    """Give a client's method the text and the signature of what it does, for help(); its result in `wrapped`."""
    signature = _signature(operation)
    if wrapped is not None:
        signature = signature.replace(return_annotation=GenericAlias(wrapped, (signature.return_annotation,)))
    function.__doc__ = operation.__doc__
    function.__signature__ = signature
    function.__annotations__ = {
        name: parameter.annotation for name, parameter in signature.parameters.items() if name != "self"
    } | {"return": signature.return_annotation}
    # Where get_type_hints() finds the names in the annotations.
    function.__wrapped__ = operation.__init__ if isinstance(operation, type) else operation  # type: ignore[misc]


@functools.cache
def _signature(operation: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method that runs `operation`, the class of a command or a flow."""
    signature = inspect.signature(operation)
    parameters = list(signature.parameters.values())
    if isinstance(operation, type):
        return inspect.Signature([_SELF, *parameters], return_annotation=_result(operation))
    result = signature.return_annotation.removeprefix("Flow[").removesuffix("]")
    return inspect.Signature([_SELF, *parameters[1:]], return_annotation=result)


_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _result(command: type) -> Any:
    """Return R of the Command[R] that `command` is."""
    for cls in command.__mro__:
        for base in vars(cls).get("__orig_bases__", ()):
            (result,) = get_args(base)
            if not isinstance(result, TypeVar):
                return None if result is NoneType else result
    raise TypeError(f"{command.__name__} is a Command of nothing")


def named(cls: type[T]) -> type[T]:
    """Give the methods that were made from commands their names, for help() and for warnings of asyncio."""
    for name, value in vars(cls).items():
        if getattr(value, "__name__", None) == "method":
            value.__name__ = name
            value.__qualname__ = f"{cls.__name__}.{name}"
    return cls


def _blocking(operation: Callable[P, Command[R]]) -> Callable[Concatenate[Client, P], R]:
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
        command = operation(*args, **kwargs)
        del args, kwargs  # a password among them is not for tracebacks
        return self.run(command)

    documented(method, operation)
    return method


def _blocking_flow(flow: Callable[Concatenate[Protocol, P], Flow[R]]) -> Callable[Concatenate[Client, P], R]:
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.connect()
        return self.run(flow(self._protocol, *args, **kwargs))

    documented(method, flow)
    return method


def _pending(operation: Callable[P, Command[R]]) -> Callable[Concatenate[Pipeline, P], Pending[R]]:
    def method(self: Pipeline, /, *args: P.args, **kwargs: P.kwargs) -> Pending[R]:
        command = operation(*args, **kwargs)
        del args, kwargs  # a password among them is not for tracebacks
        return self.run(command)

    documented(method, operation, Pending)
    return method


@named
class Client:
    """One connection to an IMAP server; blocking, for one thread at a time.

    :param host: name or address of the server; its certificate must be for it.
    :param port: 993, or 143 with ``tls="starttls"`` or ``tls=False``, unless given.
    :param user: the account; None: no login is tried (a server may greet with PREAUTH).
    :param password: its password; or
    :param token: an OAuth access token, or a function that returns one, asked at each connection.
    :param mechanism: name of the only SASL mechanism to use; the strongest offered unless given. Without TLS, one
        that shows the password to a listener is used only if it is named here (``"PLAIN"``, ``"LOGIN"``).
    :param authzid: the identity to act as, where it is not the user's own.
    :param tls: True: TLS from the start; ``"starttls"``: STARTTLS, or an error; False: none.
    :param ssl_context: instead of ``ssl.create_default_context()``, which verifies certificate and host name.
    :param timeout: seconds, for connecting and for each answer; or a `Timeouts`; None: wait for ever.
    :param limits: what the server may cost at most.
    :param compress: compress the connection (COMPRESS=DEFLATE, RFC 4978).
    :param client_id: what to tell the server of the client (ID, RFC 2971), such as ``{"name": "archiver"}``.
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

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        token: Token | None = None,
        mechanism: str | None = None,
        authzid: str = "",
        tls: bool | Literal["starttls"] = True,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float | Timeouts | None = DEFAULT_TIMEOUTS,
        limits: Limits = CLIENT_LIMITS,
        compress: bool = False,
        client_id: Mapping[str, str] | None = None,
        socket: socket.socket | Callable[[str, int], socket.socket] | None = None,
        retry: Retry | None = None,
    ) -> None:
        credentials = Credentials(user=user or "", password=password, token=token, authzid=authzid)
        del password, token  # not for the traceback of a wrong argument
        self._settings = settings(
            host,
            port,
            user=user,
            credentials=credentials,
            mechanism=mechanism,
            tls=tls,
            ssl_context=ssl_context,
            timeout=timeout,
            limits=limits,
            compress=compress,
            client_id=client_id,
            socket=socket,
        )
        self._retry = retry
        self._use(Protocol(limits))
        self._persistence = persistence(self._settings, retry, self._protocol)
        self._socket: Any = None
        self._selector: selectors.BaseSelector | None = None
        self._interest = _READ
        self._out: deque[memoryview] = deque()
        self._unwritable = False
        self._in_use = threading.Lock()

    def __repr__(self) -> str:
        if not hasattr(self, "_protocol"):  # asked for by a traceback that shows __init__ refusing its arguments
            return "<Client>"
        return f"<Client {self._settings.host}:{self._settings.port}, {self.session}>"

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # What is known of the connection.

    @property
    def session(self) -> Session:
        """What is known of the connection: state, capabilities, mailbox."""
        return self._protocol.session

    @property
    def capabilities(self) -> frozenset[str]:
        """The server's capabilities, upper case; `session.has()` takes any case and knows what IMAP4rev2 includes."""
        return self._protocol.session.capabilities

    @property
    def counters(self) -> Counters:
        """Octets, commands, responses and round trips of this connection."""
        return self._protocol.counters

    def take_events(self) -> Sequence[Event]:
        """Return what the server said unasked since the last call: `Exists`, `Expunge`, rows of flags, alerts, ..."""
        return drained(self._protocol)

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
            self._run_flow(prepare.prepare(self._protocol, given, lambda: self._bindings()))
            self._protocol.established = True
        except BaseException as exc:
            self._fail(exc if isinstance(exc, Exception) else Disconnected("connecting was interrupted"))
            raise

    def _connect_instead_of(self, dead: Protocol) -> None:
        """Make one attempt at a connection in the place of a dead one, unless that was done."""
        assert self._persistence is not None
        if self._protocol.error is None and self._socket is not None:
            return
        self._drop()
        if dead.logged_out:
            raise dead.dead()
        self._sleep(self._persistence.opening())
        if self._protocol.error is not None:
            self._use(self._protocol.successor())
        try:
            self._connect()
            self._run_flow(resume.restore(self._protocol))
        except Exception as exc:
            self._persistence.opened(exc)
            if resume.helps(exc):
                self._fail(exc)  # the next attempt begins anew
            raise
        except BaseException:
            self._fail(Disconnected("connecting anew was interrupted"))
            raise
        self._persistence.opened(None)

    def _use(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._deadlines = Deadlines(protocol, self._settings.timeouts)
        if hasattr(self, "_persistence") and self._persistence is not None:
            self._persistence.protocol = protocol

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            sleep = time.sleep if self._retry is None or self._retry.sleep is None else self._retry.sleep
            sleep(seconds_to_sleep(seconds))

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
        self.connect()
        if self._persistence is not None:
            return self._run_flow(resume.persistently(self._persistence, operation))
        if isinstance(operation, Command):
            return self._await(self._protocol.submit(operation))
        return self._run_flow(operation)

    def fetch_iter(
        self,
        messages: MessageSet,
        *items: str,
        chunk: int = 500,
        in_flight: int = 3,
        changed_since: int | None = None,
    ) -> Generator[FetchedMessage, None, None]:
        """Yield messages as they arrive; for any number of them, in bounded memory.

        :param messages: UIDs, or a `SequenceSet`; sent in chunks of short commands.
        :param items: data items, as for `fetch`.
        :param chunk: number of messages a command asks for.
        :param in_flight: number of commands under way at once.
        :param changed_since: only messages with a greater mod-sequence (CONDSTORE).

        Other commands may be run in between; they wait for the chunks in flight. It ends with StateError when another
        mailbox is selected meanwhile or, with a `SequenceSet`, messages are expunged. A message that the server refuses
        comes with a defect and nothing else; it costs the others nothing. Who leaves the loop gives up the rest.
        (RFC 9051, section 6.4.5)
        """
        self.connect()
        stream = FetchStream(
            self._protocol, messages, items, chunk=chunk, in_flight=in_flight, changed_since=changed_since
        )
        return self._rows(stream)

    def _rows(self, stream: FetchStream) -> Generator[FetchedMessage, None, None]:
        attempts = self._attempts()
        try:
            while True:
                try:
                    rows = stream.take()
                    if not rows and not stream.done:
                        self._turn(None)
                        continue
                except Exception as exc:
                    self._go_on(attempts, stream.protocol, exc)
                    stream.go_on(self._protocol)
                    continue
                if not rows:
                    return
                if attempts is not None:
                    attempts.progress()
                yield from rows
                self._deadlines.rest(time.monotonic())  # the caller took the time, not the server
        finally:
            stream.close()

    def _attempts(self) -> Attempts | None:
        return None if self._retry is None else Attempts(self._retry)

    def _go_on(self, attempts: Attempts | None, protocol: Protocol, error: Exception) -> None:
        """Have a connection after `error` on that of `protocol`; raise it without `retry`, or if that is no use."""
        if self._persistence is None or attempts is None:
            raise error
        self._run_flow(resume.recover(self._persistence, protocol, attempts, error))

    def idle(
        self, *, timeout: float | None = None, renew: float = 540.0, poll: float = 30.0
    ) -> Generator[Event, None, None]:
        """Yield events as the server tells them, for ever or for `timeout` seconds (IDLE, RFC 2177).

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
                while events := stream.take():  # more may come while these are looked at
                    if attempts is not None:
                        attempts.progress()
                    yield from events
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

        Every command is answered when the block ends; `Pending.result()` returns its result or raises its error. What
        must not overlap (RFC 9051, section 5.5) is held back. An error that nobody asks for is logged.
        """
        self.connect()
        pipeline = Pipeline(self._protocol)
        try:
            try:
                yield pipeline
            finally:
                pipeline.ended = True
            self._deadlines.rest(time.monotonic())
            for pending in pipeline.pending:
                while not pending.done:
                    self._turn(None)
        except BaseException:
            for pending in pipeline.pending:
                pending.detach()
            raise

    # The methods that are one command each: signature, documentation and result are the command's.

    # Any state.

    capability = _blocking(commands.Capability)
    noop = _blocking(commands.Noop)
    id = _blocking(commands.ID)

    # Authentication.

    login = _blocking(commands.Login)
    authenticate = _blocking(commands.Authenticate)
    unauthenticate = _blocking(commands.Unauthenticate)

    # Mailboxes.

    enable = _blocking(commands.Enable)
    compress = _blocking(commands.Compress)
    select = _blocking(commands.Select)
    create_mailbox = _blocking(commands.Create)
    delete_mailbox = _blocking(commands.Delete)
    rename_mailbox = _blocking(commands.Rename)
    subscribe = _blocking(commands.Subscribe)
    unsubscribe = _blocking(commands.Unsubscribe)
    list_mailboxes = _blocking(commands.List)
    namespace = _blocking(commands.Namespace)
    mailbox_status = _blocking(commands.Status)

    # Into mailboxes.

    append = _blocking(commands.Append)
    multi_append = _blocking(commands.MultiAppend)
    catenate = _blocking(commands.Catenate)
    replace = _blocking(commands.Replace)

    # The selected mailbox.

    close_mailbox = _blocking(commands.Close)
    unselect = _blocking(commands.Unselect)
    expunge = _blocking(commands.Expunge)
    fetch = _blocking(commands.Fetch)
    fetch_into = _blocking(commands.FetchInto)
    search = _blocking_flow(operations.search)
    sort = _blocking(commands.Sort)
    thread = _blocking(commands.Thread)
    cancel_update = _blocking(commands.CancelUpdate)
    store = _blocking(commands.Store)
    store_gmail_labels = _blocking(commands.StoreGmailLabels)
    copy = _blocking(commands.Copy)
    move = _blocking_flow(operations.move)

    # Several mailboxes.

    multi_search = _blocking(commands.MultiSearch)
    notify = _blocking(commands.Notify)
    notify_none = _blocking(commands.NotifyNone)

    # Quota, rights, metadata.

    get_quota = _blocking(commands.GetQuota)
    get_quota_root = _blocking(commands.GetQuotaRoot)
    set_quota = _blocking(commands.SetQuota)
    get_acl = _blocking(commands.GetACL)
    set_acl = _blocking(commands.SetACL)
    delete_acl = _blocking(commands.DeleteACL)
    list_rights = _blocking(commands.ListRights)
    my_rights = _blocking(commands.MyRights)
    get_metadata = _blocking(commands.GetMetadata)
    set_metadata = _blocking(commands.SetMetadata)

    # Language and others.

    language = _blocking(commands.Language)
    get_jmap_access = _blocking(commands.GetJMAPAccess)

    # The wire.

    def _await(self, pending: Pending[R]) -> R:
        self._deadlines.rest(time.monotonic())
        try:
            while not pending.done:
                self._turn(None)
        except BaseException:
            pending.detach()
            raise
        return pending.result()

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

    def _do(self, step: Command[Any] | BeginTLS | Connect | Sleep) -> Any:
        if isinstance(step, Command):
            return self._await(self._protocol.submit(step))
        if isinstance(step, Sleep):
            return self._sleep(step.seconds)
        if isinstance(step, Connect):
            return self._connect_instead_of(step.instead_of)
        timeout = self._settings.timeouts.connect
        self._unwatch()
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
        self._selector = _Selector()
        self._interest = _READ
        self._selector.register(self._socket, _READ)

    def _unwatch(self) -> None:
        if self._selector is not None:
            self._selector.close()
            self._selector = None

    def _turn(self, until: float | None, ready: Callable[[], bool] = lambda: False) -> None:
        """Write what there is and read once; wait for that until the time `until` at most, or not if `ready` then."""
        if self._in_use.locked():
            raise StateError("this client is at work already: a thread has to have a client of its own")
        with self._in_use:  # unlike behind acquire(), a signal finds no moment here that would leave it locked
            self._turn_once(until, ready)

    def _turn_once(self, until: float | None, ready: Callable[[], bool]) -> None:
        while True:
            try:
                interest = self._exchange(until, ready)
                now = time.monotonic()
                patience = self._deadlines.until(now)
                if patience is not None and now >= patience:  # also where the server never pauses
                    self._fail(self._deadlines.error())
                    return
                deadline = until if patience is None else patience if until is None else min(until, patience)
                if interest is None or (deadline is not None and now >= deadline):
                    return
            except BaseException:  # of a signal (Ctrl-C): octets may have been read or written that nobody has counted
                self._fail(Disconnected("the program was interrupted while octets were on their way"))
                raise
            self._wait(interest, None if deadline is None else deadline - now)  # here a signal does no harm

    def _exchange(self, until: float | None, ready: Callable[[], bool]) -> int | None:
        """Write and read once without waiting; return what to wait for, or None where there is no need to."""
        protocol = self._protocol
        if protocol.error is not None:
            self._drop()
            raise protocol.error
        interest = self._write()
        if ready() or (until is None and protocol.idle and protocol.greeting.done):
            return None  # a command that was refused before it was sent: nothing will be answered
        try:
            size = self._socket.recv_into(protocol.get_buffer())
        except (BlockingIOError, ssl.SSLWantReadError):
            return interest
        except ssl.SSLWantWriteError:
            return _READ_WRITE
        except (OSError, ValueError) as exc:
            self._fail(Disconnected(f"the connection was cut: {exc}"))
            return None
        if size:
            protocol.buffer_updated(size)
        else:
            protocol.eof_received()
        if protocol.error is not None:
            self._drop()
        return None

    def _write(self) -> int:
        """Write what there is without waiting; return what to wait for."""
        out = self._out
        while not self._unwritable:
            if not out:
                chunks = self._protocol.data_to_send()
                if not chunks:
                    return _READ
                if len(chunks) > 1:
                    chunks = [b"".join(chunks)]  # one write, one segment, one TLS record
                out.extend(map(memoryview, chunks))
            try:
                size = self._socket.send(out[0])
            except (BlockingIOError, ssl.SSLWantWriteError):
                return _READ_WRITE
            except ssl.SSLWantReadError:
                return _READ
            except (OSError, ValueError) as exc:
                if isinstance(exc, OSError) and exc.errno is None:
                    raise  # not the system's but of a signal's handler, as is TimeoutError behind alarm()
                # What the server said before it went is still to be read; nobody knows how much was sent.
                self._unwritable = True
                break
            if size == len(out[0]):
                out.popleft()
            else:
                out[0] = out[0][size:]
        return _READ

    def _wait(self, interest: int, timeout: float | None) -> None:
        assert self._selector is not None
        if interest != self._interest:
            self._interest = 0  # not known, should a signal come in between
            self._selector.modify(self._socket, interest)
            self._interest = interest
        self._selector.select(timeout)

    def _fail(self, error: Exception) -> None:
        self._protocol.fail(error)
        self._drop()

    def _drop(self) -> None:
        self._unwatch()
        self._out.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def drained(protocol: Protocol) -> list[Event]:
    events = []
    while (event := protocol.next_event()) is not None:
        events.append(event)
    return events


@named
class Pipeline:
    """Commands that are sent without waiting for each answer; made by ``client.pipeline()``."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self.pending: list[Pending[Any]] = []
        self.ended = False

    def run(self, command: Command[R]) -> Pending[R]:
        """Send any command, also one that is no method here (`fastimap.commands`)."""
        if self.ended:
            raise StateError(f"the pipeline's block has ended: nobody would send {command.name}")
        pending = self._protocol.submit(command)
        pending.asked_for = False
        self.pending.append(pending)
        return pending

    # The methods that are one command each: signature, documentation and result are the command's.

    # Any state.

    capability = _pending(commands.Capability)
    noop = _pending(commands.Noop)
    id = _pending(commands.ID)

    # Authentication.

    login = _pending(commands.Login)
    authenticate = _pending(commands.Authenticate)
    unauthenticate = _pending(commands.Unauthenticate)

    # Mailboxes.

    enable = _pending(commands.Enable)
    compress = _pending(commands.Compress)
    select = _pending(commands.Select)
    create_mailbox = _pending(commands.Create)
    delete_mailbox = _pending(commands.Delete)
    rename_mailbox = _pending(commands.Rename)
    subscribe = _pending(commands.Subscribe)
    unsubscribe = _pending(commands.Unsubscribe)
    list_mailboxes = _pending(commands.List)
    namespace = _pending(commands.Namespace)
    mailbox_status = _pending(commands.Status)

    # Into mailboxes.

    append = _pending(commands.Append)
    multi_append = _pending(commands.MultiAppend)
    catenate = _pending(commands.Catenate)
    replace = _pending(commands.Replace)

    # The selected mailbox.

    close_mailbox = _pending(commands.Close)
    unselect = _pending(commands.Unselect)
    expunge = _pending(commands.Expunge)
    fetch = _pending(commands.Fetch)
    fetch_into = _pending(commands.FetchInto)
    search = _pending(commands.Search)
    sort = _pending(commands.Sort)
    thread = _pending(commands.Thread)
    cancel_update = _pending(commands.CancelUpdate)
    store = _pending(commands.Store)
    store_gmail_labels = _pending(commands.StoreGmailLabels)
    copy = _pending(commands.Copy)
    move = _pending(commands.Move)

    # Several mailboxes.

    multi_search = _pending(commands.MultiSearch)
    notify = _pending(commands.Notify)
    notify_none = _pending(commands.NotifyNone)

    # Quota, rights, metadata.

    get_quota = _pending(commands.GetQuota)
    get_quota_root = _pending(commands.GetQuotaRoot)
    set_quota = _pending(commands.SetQuota)
    get_acl = _pending(commands.GetACL)
    set_acl = _pending(commands.SetACL)
    delete_acl = _pending(commands.DeleteACL)
    list_rights = _pending(commands.ListRights)
    my_rights = _pending(commands.MyRights)
    get_metadata = _pending(commands.GetMetadata)
    set_metadata = _pending(commands.SetMetadata)

    # Language and others.

    language = _pending(commands.Language)
    get_jmap_access = _pending(commands.GetJMAPAccess)
