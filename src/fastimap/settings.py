"""What a connection is made with: TLS, credentials, deadlines. Shared by both clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .limits import Limits
from .sasl import Credentials

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["DEFAULT_TIMEOUTS", "Settings", "Timeouts", "settings"]

IMAP_PORT = 143
IMAPS_PORT = 993


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds; None waits for ever. A connection that runs over one is closed (`Timeout`)."""

    connect: float | None = 30.0
    """From the first packet to the greeting, TLS included; the system's resolver has limits of its own."""
    response: float | None = 60.0
    """While a command is in flight, this long for at least one complete response or 64 KiB of one."""
    command: float | None = 3600.0
    """One command from its sending to its answer; `fetch_iter` sends many."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"Timeouts.{name} must be over 0 seconds, or None")


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to reach a server and log in; the clients' constructors document the fields."""

    host: str
    port: int
    tls: bool | Literal["starttls"]
    ssl_context: SSLContext | None
    credentials: Credentials | None
    mechanism: str | None
    timeouts: Timeouts
    limits: Limits
    compress: bool
    client_id: Mapping[str, str] | None
    socket: Any = field(repr=False)


def settings(
    host: str,
    port: int | None,
    *,
    user: str | None,
    credentials: Credentials,
    mechanism: str | None,
    tls: bool | Literal["starttls"],
    ssl_context: SSLContext | None,
    timeout: float | Timeouts | None,
    limits: Limits,
    compress: bool,
    client_id: Mapping[str, str] | None,
    socket: Any,
) -> Settings:
    """Check the arguments of a client's constructor."""
    if not isinstance(host, str) or not host or any(c.isspace() or c == "\0" for c in host):
        raise ValueError(f"host must be a name or an address, not {host!r}")
    if not (tls is True or tls is False or tls == "starttls"):  # not 1, which is no True further down
        raise ValueError(f'tls must be True, False or "starttls", not {tls!r}')
    if tls is False and ssl_context is not None:
        raise ValueError("an ssl_context, but tls=False")
    if port is None:
        port = IMAPS_PORT if tls is True else IMAP_PORT
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError(f"port must be a number from 1 to 65535, not {port!r}")
    given = credentials.password is not None, credentials.token is not None
    if user is None and any(given):
        raise ValueError("a password or a token needs a user")
    if all(given):
        raise ValueError("give a password or a token, not both")
    if credentials.password == "":
        raise ValueError("the password is empty")
    if user is not None and mechanism is None and not any(given):
        raise ValueError("a user, but no password and no token; with EXTERNAL, GSSAPI or ANONYMOUS give mechanism= too")
    if ssl_context is not None and not hasattr(ssl_context, "wrap_socket"):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {type(ssl_context).__name__}")
    if not isinstance(timeout, Timeouts):
        timeout = Timeouts(timeout, timeout, DEFAULT_TIMEOUTS.command if timeout is not None else None)
    return Settings(
        host=host,
        port=port,
        tls=tls,
        ssl_context=ssl_context,
        credentials=credentials if user is not None or mechanism is not None else None,
        mechanism=mechanism,
        timeouts=timeout,
        limits=limits,
        compress=compress,
        client_id=client_id,
        socket=socket,
    )
