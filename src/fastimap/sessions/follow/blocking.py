"""Follow: the blocking driver. It drives all connections in the thread that takes messages."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self

from ...clients.blocking import Client
from ...commands.base import Connect, Flow, Sleep
from ...commands.session import Noop
from ...conversation.events import Reconnected
from ...conversation.streams import IdleStream
from ...errors import FastimapError
from ...settings import Account
from ..cursor import Cursor
from ..resume import Persistence, connecting, persistently
from ..retry import Retry, seconds_to_sleep
from ..tokens import Tokens
from ._base import RENEW, BaseFollow, OnReset
from .body import Ask, Give, Pause, Rest, Rows, lane
from .events import FollowEvent, StateName
from .message import Batch, Message

__all__ = ["Follow", "follow"]

_NOOP = 30.0
_KEEP = 20.0
"""Seconds between two looks at the connections while the program has a message."""


class _Stopped(Exception):
    """The program wants no more."""


class _Lane:
    """A connection, what is done on it, and what that waits for."""

    def __init__(self, client: Client, connection: Persistence, flow: Flow[None]) -> None:
        self.client = client
        self.connection = connection
        self.flow = persistently(connection, flow)
        self.value: Any = None
        self.error: Exception | None = None
        self.until: float | None = None
        """When it goes on, where it waits."""
        self.wakes = 0
        """The wakes before what it waits after was begun: only another one ends the wait."""
        self.idle: IdleStream | None = None
        """Where it waits for what the server says."""
        self.ended = False


class Follow(BaseFollow):
    """Mail in mailboxes, as it comes; blocking. See `follow`."""

    _tokens = Tokens
    _message = Message

    def _prepare(self) -> None:
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._engine = threading.Lock()
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None
        self._lanes_now: list[_Lane] = []
        self._out: deque[Any] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(error)

    def close(self) -> None:
        """Close the connections, and give back what was not done."""
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._stopped = True
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()
        for one in self._lanes_now:
            one.flow.close()
            with contextlib.suppress(Exception):
                one.client.close()
        self._end(error)
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    # For the program.

    def __iter__(self) -> Iterator[Message]:
        for what in self.events():
            if isinstance(what, Message):
                yield what
                del what  # the program alone refers to it: one that it lets go of is given back

    def events(self) -> Iterator[Message | FollowEvent | Reconnected]:
        """Yield messages, and what happens besides: flags, expunges, new connections, states, parked messages."""
        while True:
            what = self._next(None)
            if what is None:
                return
            yield what
            del what

    def batches(self, size: int, *, seconds: float = 5.0) -> Iterator[Batch]:
        """Yield up to `size` messages together, or those that came within `seconds` after the first."""
        if size < 1:
            raise ValueError("size must be at least 1")
        self.in_flight: int = max(self.in_flight, size)
        ended = False
        while not ended:
            found: list[Message] = []
            until: float | None = None
            while len(found) < size:
                what = self._next(until)
                if what is None:
                    ended = until is None or time.monotonic() < until
                    break
                if isinstance(what, Message):
                    found.append(what)
                    until = time.monotonic() + seconds if until is None else until
            if found:
                batch = Batch(found)
                del found
                yield batch
                del batch

    # The engine.

    def _next(self, deadline: float | None) -> Any:
        """Return the next message or event; None after the last, or at the deadline."""
        if self._error is not None or self._closed:
            return None
        with self._engine:
            if self._keeper is None:
                self._begin()
            while True:
                self._settle_dropped()
                if self._states:
                    return self._states.popleft()
                if self._stopped or not self._lanes_now:
                    return None
                if self._out:
                    return self._out.popleft()
                self._turn()
                if self._out or self._states or self._stopped:
                    continue
                if all(one.ended for one in self._lanes_now):
                    return None
                if deadline is not None and time.monotonic() >= deadline:
                    return None
                self._wait(deadline)

    def _begin(self) -> None:
        self._keeper = threading.Thread(target=self._keep, name="fastimap-follow", daemon=True)
        self._keeper.start()
        client, connection = self._client()
        self._lanes_now = [_Lane(client, connection, self._plan(client, connection))]

    def _client(self) -> tuple[Client, Persistence]:
        client = Client(self._account, retry=self._retry)
        return client, self._share(client)

    def _plan(self, client: Client, connection: Persistence) -> Flow[None]:
        yield from connecting(connection)
        self.has_object_ids: bool = client.session.has("OBJECTID")
        first, *others = self._lanes(client.session.has("NOTIFY"))
        for watches in others:
            another, its_own = self._client()
            self._lanes_now.append(_Lane(another, its_own, lane(self, its_own, watches)))
        yield from lane(self, connection, first)

    def _turn(self) -> None:
        """Have every lane go on that can, until one gives something to the program."""
        for one in [*self._lanes_now]:
            if not one.ended and self._is_ready(one):
                self._run(one)
            if self._out or self._stopped:
                self._lanes_now.remove(one)  # the others are first the next time
                self._lanes_now.append(one)
                return

    def _is_ready(self, one: _Lane) -> bool:
        if one.idle is not None:
            self._hear(one)
        elif one.until is not None:
            self._tend(one)
        if one.until is not None and time.monotonic() >= one.until:
            if one.idle is not None:
                self._end_idle(one, [])
            one.until = None
        return one.until is None

    def _hear(self, one: _Lane) -> None:
        """Read what an idle connection says."""
        stream, client = one.idle, one.client
        assert stream is not None
        try:
            if stream.protocol.error is not None:
                raise stream.protocol.error
            stream.advance(time.monotonic())
            client._turn(time.monotonic(), lambda: stream.ready)
            self._heard(client)
            events = client.take_events()
            if stream.protocol.error is not None and not events:
                raise stream.protocol.error
        except Exception as exc:
            one.idle, one.until, one.error = None, None, exc
            return
        if events:
            self._end_idle(one, events)

    def _end_idle(self, one: _Lane, events: Any) -> None:
        assert one.idle is not None
        one.idle.close()
        one.idle, one.until, one.value = None, None, events

    def _run(self, one: _Lane) -> None:
        """Have a lane go on until it waits, or gives something."""
        while not self._stopped:
            value, error, one.value, one.error = one.value, one.error, None, None
            if error is not None:
                self._note(one.connection, error)
            try:
                step: Any = one.flow.send(value) if error is None else one.flow.throw(error)
            except StopIteration:
                one.ended = True
                return
            except _Stopped:
                one.ended = True
                return
            except Exception as exc:
                one.ended = True
                raise self._failed(exc) from exc.__cause__
            del value, error
            if isinstance(step, Give):
                self._out.append(step.what)
                return
            if isinstance(step, Sleep):
                seconds = seconds_to_sleep(step.seconds)
                if seconds > 0:
                    if one.client._protocol.error is None:
                        one.wakes = self.wakes
                    one.until = time.monotonic() + seconds
                    going: StateName = "connecting" if one.client._protocol.error else "throttled"
                    self.at(one.connection, going, time.time() + seconds)
                    return
            elif isinstance(step, Pause):
                one.until, one.wakes = time.monotonic() + step.seconds, self.wakes
                return
            elif isinstance(step, Rest):
                self._rest(one, step)
                if one.idle is not None:
                    return
            else:
                try:
                    one.value = self._done_step(one, step)
                    self._heard(one.client)
                except _Stopped:
                    one.ended = True
                    return
                except Exception as exc:
                    one.error = exc

    def _done_step(self, one: _Lane, step: Any) -> Any:
        if isinstance(step, Ask):
            return step.function(*step.arguments)
        client = one.client
        if isinstance(step, Connect):
            one.wakes = self.wakes
            self.at(one.connection, "connecting")
        if isinstance(step, Rows):
            client._deadlines.rest(time.monotonic())
            rows = step.stream.take()
            while not rows and not step.stream.done:
                client._turn(None, lambda: step.stream.ready)
                rows = step.stream.take()
            return rows
        return client._do(step)

    def _rest(self, one: _Lane, step: Rest) -> None:
        one.wakes = step.wakes
        events = one.client.take_events()
        if events:
            one.value = events
            return
        try:
            one.idle = IdleStream(one.client._protocol, renew=RENEW, poll=_NOOP)
        except Exception as exc:
            one.error = exc
            return
        one.until = time.monotonic() + step.seconds if self.wakes == step.wakes else 0.0
        self._hear(one)

    def _wait(self, deadline: float | None) -> None:
        """Wait until a connection has something, something is due, or somebody rings."""
        now = time.monotonic()
        due = [] if deadline is None else [deadline]
        self._selector.register(self._alarm, selectors.EVENT_READ)
        try:
            for one in self._lanes_now:
                if one.ended:
                    continue
                if one.until is None:
                    due.append(now)
                    continue
                due.append(one.until)
                if one.idle is not None:
                    due.append(one.idle.wake_at)
                    patience = one.client._deadlines.until(now)
                    if patience is not None:
                        due.append(patience)
                    if one.client._socket is not None:
                        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if one.client._unsent else 0)
                        self._selector.register(one.client._socket, events)
                        if one.client._has_more():
                            due.append(now)
            ready = self._selector.select(max(0.0, min(due) - now) if due else None)
        finally:
            for key in [*self._selector.get_map().values()]:
                self._selector.unregister(key.fileobj)
        if any(key.fileobj is self._alarm for key, _ in ready):
            self._hush()
            self._budget.hurry()
            # To connect would wait for what the server has asked for, and keep all lanes waiting.
            connects_at = time.monotonic() + self._budget.until_login()
            for one in self._lanes_now:
                if one.until is not None and (self._stopped or one.wakes != self.wakes):
                    one.until = min(one.until, connects_at) if one.client._protocol.error is not None else 0.0

    def _hush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._alarm.recv(1024):
                pass

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it rings already
            self._bell.send(b"x")

    def _sleep(self, connection: Persistence, seconds: float) -> None:
        """Wait before a login that is one too many; stop() ends it."""
        until = time.monotonic() + seconds
        self.at(connection, "throttled", time.time() + seconds)
        while not self._stopped and (left := until - time.monotonic()) > 0:
            self._over.wait(min(left, 0.25))
        if self._stopped:
            raise _Stopped

    # While the program is at work.

    def _keep(self) -> None:
        """Renew the leases, and keep the connections, however long the program takes for a message."""
        while not self._over.wait(min(_KEEP, self.lease / 3)):
            with contextlib.suppress(FastimapError):
                self._renew()
            if not self._engine.acquire(blocking=False):
                continue
            try:
                for one in self._lanes_now:
                    self._tend(one)
            finally:
                self._engine.release()

    def _tend(self, one: _Lane) -> None:
        """Keep a connection that nobody waits for: read what it says, and say something now and then."""
        client = one.client
        if one.ended or client._protocol.error is not None or client._socket is None:
            return
        with contextlib.suppress(Exception):  # the lane finds out, and connects anew
            if one.idle is not None:
                one.idle.advance(time.monotonic())
            if self._is_quiet(client):
                client._do(Noop())
            else:
                client._turn(time.monotonic())
            self._heard(client)


def follow(
    account: Account,
    mailboxes: str | Iterable[str] = "INBOX",
    *,
    cursor: str | PathLike[str] | Cursor,
    start: Literal["new", "all"] | date,
    items: Sequence[str] = ("ENVELOPE", "BODY.PEEK[]"),
    lease: float = 300.0,
    deliveries: int = 5,
    on_reset: OnReset = "stop",
    once: bool = False,
    mark: str | None = None,
    move_to: str | None = None,
    max_outage: float | None = 86_400.0,
    connections: int = 4,
    in_flight: int = 100,
    poll: float = 300.0,
    status_poll: float = 60.0,
    retry: Retry = Retry(),  # noqa: B008 - it is frozen
) -> Follow:
    """Follow mailboxes: what is there since the cursor, then what comes, for ever::

        with follow(account, ["INBOX", "Support"], cursor="tickets.sqlite", start="new") as mail:
            for message in mail:
                with db:
                    create_ticket(db, message)
                    message.done(db)

    :param account: a `fastimap.Account`.
    :param mailboxes: a name, or several.
    :param cursor: the file of a SQLite database on a local disk, which may be the program's own; or a
        `fastimap.types.Cursor`. Several threads and processes that share one get different messages.
    :param start: where to begin in a mailbox that the cursor does not know: ``"new"``, ``"all"``, or a date.
    :param items: data items, as for `fetch`.
    :param lease: seconds for which a message is this program's. It is renewed while the program lives.
    :param deliveries: how often a message is delivered in vain until it is parked.
    :param on_reset: what to do where the cursor's file was there and is gone, or UIDs mean other messages
        (UIDVALIDITY): ``"stop"``: raise CursorFailed or UIDValidityChanged; ``"new"``, ``"all"``: begin there;
        ``"match"``: know done messages again by EMAILID, else by size and header fields.
    :param once: end when nothing more is there.
    :param mark: a flag that messages get that are done, such as ``"\\\\Seen"``.
    :param move_to: a mailbox that they are moved to. It has to be there, and is not one of those that are followed.
    :param max_outage: seconds without a connection after which FollowOutage is raised; None: never.
    :param connections: how many are used at most, where each mailbox needs one (IDLE).
    :param in_flight: how many messages are leased at once, at most.
    :param poll: seconds after which a mailbox is looked at though the server said nothing.
    :param status_poll: the same, of mailboxes that no connection waits for.
    :param retry: `attempts` and `within` do not count: `max_outage` does.

    Delivery is at least once; effects are exactly once where `done(db)` is in their transaction. Raises
    AuthenticationFailed, MailboxNotFound (of a mailbox that was never there), CursorFailed; ValueError for a `mark`
    that is no flag.
    """
    return Follow(
        account,
        mailboxes,
        cursor=cursor,
        start=start,
        items=items,
        lease=lease,
        deliveries=deliveries,
        on_reset=on_reset,
        once=once,
        mark=mark,
        move_to=move_to,
        max_outage=max_outage,
        connections=connections,
        in_flight=in_flight,
        poll=poll,
        status_poll=status_poll,
        retry=retry,
    )
