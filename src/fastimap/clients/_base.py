"""What the two clients have in common: their arguments, and what they know of the connection."""

from __future__ import annotations

import contextlib
import socket as sockets  # `socket` is a parameter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from .. import sessions
from ..commands.base import Session
from ..conversation.protocol import Counters, Event, Protocol
from ..limits import CLIENT_LIMITS, Limits
from ..model._elsewhere import named_elsewhere, names_here
from ..sessions.retry import Attempts, Retry
from ..settings import DEFAULT_TIMEOUTS, Account, Settings, Timeouts, settings

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["BaseClient", "named"]

T = TypeVar("T", bound=type)
SecretT = TypeVar("SecretT")
"""What a client takes for a password or a token: only one that awaits can take a coroutine function."""

_NOTHING_GIVEN = Account("localhost")


class BaseClient(Generic[SecretT]):
    """A client without the code that waits."""

    def __init__(
        self,
        host: str | Account,
        port: int | None = None,
        *,
        user: str | None = None,
        password: SecretT | None = None,
        token: SecretT | None = None,
        mechanism: str | None = None,
        authzid: str = "",
        tls: bool | Literal["starttls"] = True,
        ssl_context: SSLContext | None = None,
        timeout: float | Timeouts | None = DEFAULT_TIMEOUTS,
        limits: Limits = CLIENT_LIMITS,
        compress: bool = False,
        client_id: Mapping[str, str] | None = None,
        proxy: str | None = None,
        socket: sockets.socket | Callable[[str, int], sockets.socket] | None = None,
        retry: Retry | None = None,
    ) -> None:
        loose: dict[str, Any] = {
            "user": user, "password": password, "token": token, "mechanism": mechanism, "authzid": authzid, "tls": tls,
            "ssl_context": ssl_context, "timeout": timeout, "limits": limits, "compress": compress,
            "client_id": client_id, "proxy": proxy,
        }  # fmt: skip
        del password, token  # not for the traceback of a wrong argument
        if not isinstance(host, Account):
            account, wrong = _account(host, port, loose)
        else:
            account, wrong = host, None
            if port is not None or any(loose[name] != getattr(_NOTHING_GIVEN, name) for name in loose):
                wrong = TypeError("an Account says all but socket= and retry=: dataclasses.replace() makes another")
        del loose
        if wrong is not None:
            raise wrong
        self._begin(settings(account, socket), retry)

    def _begin(self, settings: Settings, retry: Retry | None) -> None:
        self._settings = settings
        self._protocol = Protocol(settings.limits)
        self._retry = retry
        self._persistence = None if retry is None else sessions.resume.persistence(settings, retry, self._protocol)
        self._lasting = self._persistence
        """Also where some calls alone have a `retry` of their own."""
        self._set_up()

    def _another(self) -> Self:
        """Return a client with the same settings, without `retry`."""
        made = object.__new__(type(self))
        made._begin(self._settings, None)
        return made

    def _persistent(self, retry: Retry) -> sessions.resume.Persistence:
        """Return what the flow of a call with a `retry` of its own knows."""
        if self._lasting is None:
            self._lasting = sessions.resume.persistence(self._settings, retry, self._protocol)
        return self._lasting.by(retry)

    def _use(self, protocol: Protocol) -> None:
        """Go on with another connection."""
        protocol.holding = self._protocol.holding
        self._protocol = protocol
        if self._lasting is not None:
            self._lasting.protocol = protocol

    @contextlib.contextmanager
    def _trying(self, attempts: int) -> Iterator[None]:
        """Have what is fetched in the block tried so often, and not as often as `retry` says."""
        retry = self._retry
        if retry is not None:
            self._retry = retry.__replace__(attempts=attempts)
        try:
            yield
        finally:
            self._retry = retry

    def _attempts(self) -> Attempts | None:
        return None if self._retry is None else Attempts(self._retry)

    def _set_up(self) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        if not hasattr(self, "_protocol"):  # in a traceback that shows __init__ refusing its arguments
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__} {self._settings.host}:{self._settings.port}, {self.session}>"

    __dir__ = names_here

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
        """Return the unsolicited responses since the last call: `Exists`, `Expunge`, rows of flags, alerts, ..."""
        events = []
        while (event := self._protocol.next_event()) is not None:
            events.append(event)
        return events


named_elsewhere(BaseClient, "Client")


def _account(host: str, port: int | None, loose: dict[str, Any]) -> tuple[Any, Exception | None]:
    """Return the account, or the error for an argument: one without a traceback, whose frames hold secrets."""
    try:
        return Account(host, port, **loose), None
    except (TypeError, ValueError) as exc:
        return None, exc.with_traceback(None)


def named(cls: T) -> T:
    """Have the methods of `BaseClient` in `cls` under the name of `cls`: a TypeError for a call names it."""
    for name, method in vars(BaseClient).items():
        if isinstance(method, FunctionType) and getattr(cls, name) is method:
            own = FunctionType(method.__code__, method.__globals__, name, method.__defaults__, method.__closure__)
            own.__kwdefaults__ = method.__kwdefaults__
            own.__annotations__ = method.__annotations__
            own.__doc__ = method.__doc__
            own.__qualname__ = f"{cls.__name__}.{name}"
            setattr(cls, name, own)
    return cls
