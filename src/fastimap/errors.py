"""Every exception that fastimap raises, and what each means for the caller.

::

    FastimapError
    +-- ConnectionLost ......... ConnectFailed, Disconnected, TLSError, Timeout: ConnectionErrors and a TimeoutError
    +-- DeadlinePassed ......... a call took longer than the caller allows; the connection is still in step
    +-- ProtocolError .......... the stream lost its step; the connection was closed
    |   +-- LimitError ......... LineTooLong, LiteralTooLarge, ResponseTooLarge, TooManyLiterals, NestingTooDeep, ...
    +-- ParseError ............. one response can't be read
    +-- MessageNotFound ........ the message that a file was opened for is not there
    +-- NotFetched ............. a row does not have what was read of it
    +-- CommandError ........... the server answered NO or BAD
    |   +-- AuthenticationFailed, MailboxNotFound, MailboxExists, NoPermission, OverQuota, Unavailable
    +-- MechanismError ......... the client will not go on with a login: NotOffered, OAuthError
    +-- CapabilityMissing ...... the server does not have what the command needs; nothing was sent
    +-- StateError ............. the command is not allowed in this state; nothing was sent
    |   +-- UIDValidityChanged . the mailbox's UIDs mean other messages now
    +-- CursorFailed ........... the file of a cursor can't be read or written
    +-- FollowOutage ........... a follower had no connection for too long
    +-- LeaseLost .............. another worker has the message by now; nothing was noted
    +-- PoolTimeout ............ no connection of a pool was free in time

:attr:`FastimapError.advice` says what helps: to retry, to reconnect, to authenticate anew, or to fix the call.

The drop-in (:mod:`fastimap.imaplib`) turns the parser's into ``IMAP4.error`` or ``IMAP4.abort``,
with the exception of this module as ``__cause__``.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from ._errors import (
    FastimapError,
    LimitError,
    LineTooLong,
    LiteralTooLarge,
    NestingTooDeep,
    ParseError,
    ProtocolError,
    ResponseTooLarge,
    TooManyAnswers,
    TooManyChallenges,
    TooManyLiterals,
    TooManyUnsolicited,
)

if TYPE_CHECKING:
    from .model.response_codes import ResponseCode

__all__ = [
    "Advice",
    "AuthenticationFailed",
    "CapabilityMissing",
    "CommandError",
    "ConnectFailed",
    "ConnectionLost",
    "CursorFailed",
    "DeadlinePassed",
    "Disconnected",
    "FastimapError",
    "FollowOutage",
    "LeaseLost",
    "LimitError",
    "LineTooLong",
    "LiteralTooLarge",
    "MailboxExists",
    "MailboxNotFound",
    "MechanismError",
    "MessageNotFound",
    "NestingTooDeep",
    "NoPermission",
    "NotFetched",
    "NotOffered",
    "OAuthError",
    "OverQuota",
    "ParseError",
    "PoolTimeout",
    "ProtocolError",
    "ResponseTooLarge",
    "StateError",
    "TLSError",
    "Timeout",
    "TooManyAnswers",
    "TooManyChallenges",
    "TooManyLiterals",
    "TooManyUnsolicited",
    "UIDValidityChanged",
    "Unavailable",
]


class Advice(enum.Enum):
    """What helps against an error."""

    RETRY = "retry"
    """The same command may work later, on this connection."""
    RECONNECT = "reconnect"
    """This connection is closed; a new one may work."""
    REAUTHENTICATE = "reauthenticate"
    """Other credentials are needed, or a new token."""
    FIX = "fix"
    """The call, or the server, has to change: the same again fails again."""


class ConnectionLost(FastimapError, ConnectionError):
    """Base of what ends a connection from outside; it is closed, and what was in flight has no answer."""

    advice = Advice.RECONNECT
    delay: float | None = None
    """Seconds to wait before the next attempt, where the server said so."""


class ConnectFailed(ConnectionLost):
    """No connection came about: the name, the port or the network was wrong, or the server refused it."""

    def __init__(self, text: str, advice: Advice = Advice.RECONNECT, delay: float | None = None) -> None:
        super().__init__(text)
        self.advice = advice
        self.delay = delay


class Disconnected(ConnectionLost):
    """The connection was cut, by the server (its BYE is quoted) or by the network."""


class Timeout(ConnectionLost, TimeoutError):
    """The server took longer than a deadline of :class:`fastimap.Timeouts`; the connection was closed."""


class DeadlinePassed(FastimapError, TimeoutError):
    """A call took longer than the caller's own deadline (`Client.deadline`); the connection is still in step."""

    advice = Advice.RETRY

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not done within {seconds} s")
        self.seconds = seconds

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.seconds,)


class TLSError(ConnectionLost):
    """TLS was not possible as demanded: certificate, host name, handshake, or STARTTLS refused."""

    advice = Advice.FIX


class MessageNotFound(FastimapError):
    """There is no such message, or part of it: it was expunged, or never there."""


class NotFetched(FastimapError, AttributeError):
    """A row does not have what was read of it: the UID was not asked for, or the server sent none that can be read.

    ``getattr(row, "uid", None)`` is None then.
    """


class CommandError(FastimapError):
    """The server answered a command with NO or BAD (RFC 9051, section 7.1)."""

    command: str
    """The command's name, such as ``"UID FETCH"``."""
    tag: bytes
    """Of the command."""
    status: str
    """``"NO"`` or ``"BAD"``."""
    response_code: ResponseCode | None
    """The response code with its arguments, such as :class:`fastimap.types.BadCharset`; `code` is its name."""
    text: str
    """The human-readable text of the answer."""
    delay: float | None
    """Seconds to wait before the next attempt, where the server said so."""

    def __init__(
        self,
        command: str,
        tag: bytes,
        status: str,
        response_code: ResponseCode | None,
        text: str,
        *,
        advice: Advice | None = None,
        delay: float | None = None,
    ) -> None:
        super().__init__(command, tag, status, response_code, text)
        self.command = command
        self.tag = tag
        self.status = status
        self.response_code = response_code
        self.text = text
        self.delay = delay
        if advice is not None:
            self.advice = advice

    @property
    def code(self) -> str | None:
        """Name of the response code, such as ``"NONEXISTENT"`` (RFC 5530), or None."""
        return None if self.response_code is None else self.response_code.name

    def __str__(self) -> str:
        code = f" [{self.code}]" if self.code else ""
        delay = f" (try again in {self.delay:g} s)" if self.delay else ""
        return f"{self.command}: the server answered {self.status}{code} {self.text}{delay}"


class AuthenticationFailed(CommandError):
    """The server did not accept the credentials, or the account may not log in."""

    advice = Advice.REAUTHENTICATE


class MailboxNotFound(CommandError):
    """There is no such mailbox (NONEXISTENT, TRYCREATE)."""


class MailboxExists(CommandError):
    """The mailbox is there already (ALREADYEXISTS)."""


class NoPermission(CommandError):
    """The account may not do that (NOPERM)."""


class OverQuota(CommandError):
    """A quota is, or would be, exceeded (OVERQUOTA)."""


class Unavailable(CommandError):
    """The server can't now, or throttles: `delay` says how long to wait, where known (UNAVAILABLE, INUSE, LIMIT)."""

    advice = Advice.RETRY


class MechanismError(FastimapError):
    """The client cannot or will not go on: credentials that do not fit, a server that breaks the rules or lies."""


class NotOffered(MechanismError):
    """The server offers no mechanism for these credentials, weak or strong."""


class OAuthError(MechanismError):
    """The server refused the token (RFC 7628, section 3.2.2); each attribute is None where it said nothing of it."""

    advice = Advice.REAUTHENTICATE

    def __init__(self, status: str | None, scope: str | None, openid_configuration: str | None) -> None:
        super().__init__(status, scope, openid_configuration)
        self.status = status
        """``invalid_token``, ``insufficient_scope``, ...; Google and Microsoft send an HTTP status such as ``401``."""
        self.scope = scope
        """The scope that the token must have, in the words of the authorization server."""
        self.openid_configuration = openid_configuration
        """URL of the authorization server's metadata (RFC 8414)."""

    def __str__(self) -> str:
        return f"the server refused the token: status {self.status!r:.100}, scope {self.scope!r:.100}"


class CapabilityMissing(FastimapError):
    """The server lacks what the call needs; nothing was sent."""

    capability: str

    def __init__(self, command: str, capability: str) -> None:
        super().__init__(command, capability)
        self.command = command
        self.capability = capability

    def __str__(self) -> str:
        return f"{self.command} needs the capability {self.capability}, which the server does not have"


class StateError(FastimapError):
    """The command is not allowed in the connection's state (RFC 9051, section 3); nothing was sent."""


class UIDValidityChanged(StateError):
    """A mailbox was made anew, or renumbered: the UIDs that were learnt before mean other messages now."""

    def __init__(self, mailbox: str, before: int, now: int | None) -> None:
        super().__init__(mailbox, before, now)
        self.mailbox = mailbox
        self.before = before
        """Its UIDVALIDITY until then."""
        self.now = now
        """Its UIDVALIDITY; None where the server no longer says one."""

    def __str__(self) -> str:
        return (
            f"the UIDVALIDITY of {self.mailbox!r} changed from {self.before} to {self.now}: UIDs learnt before mean "
            "other messages now"
        )


class CursorFailed(FastimapError):
    """The file of a cursor can't be read or written: a full disk, a file that is gone, another program's lock."""


class FollowOutage(FastimapError):
    """A follower had no connection for longer than `max_outage`; its cause is the last failure."""

    advice = Advice.RETRY


class LeaseLost(FastimapError):
    """Somebody else has the message by now, or it was done already: nothing was noted, so undo what you did for it."""


class PoolTimeout(FastimapError, TimeoutError):
    """No connection of a pool was free, or could be opened, in time; or too many wait for one."""

    advice = Advice.RETRY
