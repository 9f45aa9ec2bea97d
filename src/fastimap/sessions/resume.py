"""Operations that go on after a cut, as flows: the driver runs their commands, waits and connects."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar, cast

from .. import commands
from ..commands.base import Command, Connect, Flow, Sleep, State
from ..commands.session import Compress
from ..conversation.log import logger
from ..conversation.prepare import select_again
from ..conversation.protocol import Protocol
from ..errors import Advice, CommandError, ConnectFailed, FastimapError, StateError
from ..model.row import FetchedMessage
from ..settings import Settings
from .retry import Attempts, Budget, Retry, helps, is_refusal, needs_connection

__all__ = ["Persistence", "connecting", "helps", "once_more", "persistence", "persistently", "recover", "restore"]

R = TypeVar("R")


class Persistence:
    """What the flows of a client with `retry=` know of it."""

    __slots__ = ("_present", "budget", "renewable", "retry")

    def __init__(self, retry: Retry, budget: Budget, renewable: bool, present: list[Protocol]) -> None:
        self.retry: Retry = retry
        self.budget: Budget = budget
        """Of the account."""
        self.renewable: bool = renewable
        """Whether its credentials are asked for at each connection."""
        self._present = present

    @property
    def protocol(self) -> Protocol:
        """That of its present connection."""
        return self._present[0]

    @protocol.setter
    def protocol(self, protocol: Protocol) -> None:
        self._present[0] = protocol

    def by(self, retry: Retry) -> Persistence:
        """Return the same for a call that has a `retry` of its own."""
        return Persistence(_checked(retry), self.budget, self.renewable, self._present)

    def opening(self) -> float:
        """Return the seconds to wait before a login; raise what refused the credentials before."""
        return self.budget.login()

    def opened(self, error: Exception | None) -> None:
        """Note what came of a login."""
        if error is None:
            self.budget.succeeded()
        elif isinstance(error, FastimapError) and error.advice is Advice.REAUTHENTICATE:
            if not self.renewable:
                self.budget.refused(error)
            elif self.budget.on_refusal is not None:
                self.budget.on_refusal()
        elif helps(error):
            self.budget.failed(error)


def persistence(settings: Settings, retry: Retry, protocol: Protocol) -> Persistence:
    """Return what the flows know of a client that is made with these."""
    credentials = settings.credentials
    renewable = credentials is not None and callable(credentials.token)
    return Persistence(_checked(retry), Budget(retry), renewable, [protocol])


def _checked(retry: Retry) -> Retry:
    if not isinstance(retry, Retry):
        raise TypeError(f"retry is a fastimap.Retry, such as Retry(), not {retry!r:.100}")
    return retry


def connecting(client: Persistence) -> Flow[None]:
    """Connect, again and again where it fails."""
    attempts = Attempts(client.retry)
    login, within = client.budget.until_login(), client.retry.within
    if within is not None and login > within:
        raise ConnectFailed(
            f"{client.budget.why()}, and the next attempt is due in {login:.3g} s: that is over {within:g} s "
            "(Retry(within=))"
        )
    while True:
        try:
            yield Connect(client.protocol)
        except Exception as exc:
            wait = attempts.failed(exc, renewable=client.renewable, login=client.budget.until_login())
            _log(exc, wait)
            yield Sleep(wait, client.retry.sleep)
        else:
            return


def persistently(client: Persistence, operation: Command[R] | Flow[R]) -> Flow[R]:
    """Run an operation; what may be repeated is sent again after a cut."""
    if isinstance(operation, Command):
        result: R = yield from once_more(client, operation)
        return result
    return (yield from _flow(client, operation))


def _flow(client: Persistence, flow: Flow[R]) -> Flow[R]:
    step: Any
    sent: Any = None
    error: Exception | None = None
    while True:
        try:
            step = flow.send(sent) if error is None else flow.throw(error)
        except StopIteration as stop:
            result: R = stop.value
            return result
        sent = error = None
        try:
            if isinstance(step, Command):
                sent = yield from once_more(client, step)
            elif isinstance(step, tuple):
                sent = yield from _together(client, step)
            else:
                sent = yield step
        except Exception as exc:
            error = exc


def _together(client: Persistence, together: tuple[Command[Any], ...]) -> Generator[Any, Any, list[Any]]:
    """Run commands that are sent together; after a cut, one after the other."""
    again = [command.copy() for command in together]
    protocol = client.protocol
    try:
        results: list[Any] = yield together
    except Exception as exc:
        if not all(command.repeatable for command in together):
            raise
        yield from recover(client, protocol, Attempts(client.retry), exc)
        results = []
        for command in again:
            results.append((yield from once_more(client, command)))
    return results


def once_more(client: Persistence, command: Command[R]) -> Generator[Any, Any, R]:
    """Run a command; after a cut it is sent again if it may be repeated, or was not sent."""
    attempts: Attempts | None = None
    kept: list[FetchedMessage] = []
    first = command
    while True:
        protocol = client.protocol
        again = command.copy() if command.repeatable else None
        if command.streams:
            command.notes_files = True
        try:
            result: R = yield command
        except Exception as exc:
            if again is None and command.sent_in is not None:
                raise  # the server may have done it
            if attempts is None:
                attempts = Attempts(client.retry)
            # Messages are those of the mailbox that was selected then: it may be another by now, or be made anew.
            scope = command.scope
            if scope is None and State.AUTHENTICATED not in command.states:
                scope = command.sent_in or protocol.session.scope(by_uid=not command.positional)
            may_help = helps(exc) or (client.renewable and is_refusal(exc))
            if may_help and isinstance(command, commands.Fetch) and isinstance(again, commands.Fetch):
                rows = _rest(command, again, exc)
                if rows:
                    attempts.progress()
                    kept += rows
            try:
                yield from recover(client, protocol, attempts, exc)
            except CommandError:
                if isinstance(first, commands.FetchInto) and isinstance(command, commands.FetchInto):
                    first.was_sent_again(kept, command)
                raise
            command = command if again is None else again
            command.scope = scope
        else:
            if kept and isinstance(result, commands.FetchResult):
                return cast(R, commands.FetchResult([*kept, *result], result.limit))
            return result


def _rest(command: commands.Fetch, again: commands.Fetch, error: Exception) -> list[FetchedMessage]:
    """Return the rows that had come before `error`, and have `again` be about the other messages."""
    try:
        return command.hand_on(again)
    except (OSError, ValueError) as unseekable:
        error.add_note("it can't be taken up: what was written of a message can't be taken back from its file")
        raise error from unseekable


def recover(client: Persistence, protocol: Protocol, attempts: Attempts, error: Exception) -> Flow[None]:
    """Wait, and connect anew where `protocol`, by which something failed, is dead. Raises `error` if that is no use."""
    while True:
        connects = protocol.error is not None or needs_connection(error)
        login = client.budget.until_login() if connects else 0.0
        wait = attempts.failed(error, renewable=client.renewable, login=login)
        _log(error, wait)
        yield Sleep(wait, client.retry.sleep)
        if not connects and protocol.error is None:
            return
        try:
            yield Connect(protocol)
        except Exception as exc:
            error = exc
            protocol = client.protocol
        else:
            return


def restore(protocol: Protocol) -> Flow[None]:
    """Bring a new connection, that is logged in, to the state of the one before.

    Raises UIDValidityChanged; then it is the same mailbox's name that is selected, and no number of before means
    anything.
    """
    session = protocol.session
    before = protocol.before
    if before is None:
        return
    session.line_limit = before.line_limit
    if session.state is State.NOT_AUTHENTICATED and before.authenticated:
        raise StateError(
            "the connection was lost, and who was logged in by hand can't be again: give the client user= and password="
        )
    if missing := before.enabled - session.enabled:
        yield commands.Enable(*sorted(missing))
    if before.compressed and not session.compressed:
        yield Compress()
    if before.notify is not None:
        yield before.notify.copy()
    try:
        if before.mailbox is not None:
            yield from select_again(before)
            session.condstore = before.condstore
    except BaseException:
        session.selections = before.selections + 1
        raise
    session.selections = before.selections
    session.expunges = before.expunges + 1
    session.renumbered = True
    logger().info("connected anew%s", "" if before.mailbox is None else f", {before.mailbox!r} is selected again")
    protocol.restored()


def _log(error: Exception, wait: float) -> None:
    logger().info("%s: %s; again in %.3g s", type(error).__name__, error, wait)
