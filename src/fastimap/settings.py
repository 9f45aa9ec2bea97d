"""What a connection is made with: server, TLS, credentials, deadlines. Shared by both clients."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .errors import StateError
from .limits import CLIENT_LIMITS, Limits
from .model._patterns import pattern
from .model._shown import Value
from .sasl import Credentials

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = [
    "DEFAULT_TIMEOUTS",
    "Account",
    "Secret",
    "Settings",
    "Timeouts",
    "account_name",
    "can_be_host",
    "check_seconds",
    "settings",
    "with_secrets",
]

IMAP_PORT = 143
IMAPS_PORT = 993

Secret: TypeAlias = str | Callable[[], str] | Callable[[], Awaitable[str]]
"""A password or a token, or a function that is asked for it at each connection; AsyncClient takes coroutine functions
too."""


def check_seconds(name: str, value: object, kinds: str = "a number of seconds, or None") -> None:
    """Raise TypeError for what is neither a number nor None, ValueError for what is no number (NaN)."""
    if value is None:
        return
    # What has __index__ is numpy's ints, too: they are none of Python's.
    if isinstance(value, bool) or not (isinstance(value, float) or hasattr(value, "__index__")):
        raise TypeError(f"{name} must be {kinds}, not {value!r:.100}")
    if value != value:
        raise ValueError(f"{name} must be {kinds}, not {value!r}")


class Timeouts(Value):
    """Deadlines in seconds; None waits for ever. A connection that runs over one is closed (`Timeout`)."""

    connect: float | None = 30.0
    """From the first packet to the greeting, TLS included; the system's resolver has limits of its own."""
    response: float | None = 60.0
    """While a command is in flight, this long for at least one complete response or 64 KiB of one."""
    command: float | None = 3600.0
    """One command from its sending to its answer; `fetch_iter` sends many."""

    def __post_init__(self) -> None:
        for name in self._positional:
            value = getattr(self, name)
            check_seconds(f"Timeouts.{name}", value)
            if value is not None and value <= 0:
                raise ValueError(f"Timeouts.{name} must be over 0 seconds, or None")


DEFAULT_TIMEOUTS = Timeouts()


class Account(Value, unshown=("password", "token", "ssl_context", "limits", "proxy")):
    """How to reach a server and log in: what a client is made of. It can't be changed; `dataclasses.replace` can.

    The parameters are those of :class:`fastimap.Client`. Password and token stand in no repr, and in no pickle unless
    they are functions: those are pickled by their names.
    """

    host: str
    port: int | None = None
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    mechanism: str | None = None
    authzid: str = ""
    tls: bool | Literal["starttls"] = True
    ssl_context: SSLContext | None = None
    timeout: float | Timeouts | None = DEFAULT_TIMEOUTS
    limits: Limits = CLIENT_LIMITS
    compress: bool = False
    client_id: Mapping[str, str] | None = None
    proxy: str | None = None

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        user: str | None = None,
        password: Secret | None = None,
        token: Secret | None = None,
        mechanism: str | None = None,
        authzid: str = "",
        tls: bool | Literal["starttls"] = True,
        ssl_context: SSLContext | None = None,
        timeout: float | Timeouts | None = DEFAULT_TIMEOUTS,
        limits: Limits = CLIENT_LIMITS,
        compress: bool = False,
        client_id: Mapping[str, str] | None = None,
        proxy: str | None = None,
    ) -> None:
        given = vars(self)
        given.update(
            host=host,
            port=port,
            user=user,
            password=password,
            token=token,
            mechanism=mechanism,
            authzid=authzid,
            tls=tls,
            ssl_context=ssl_context,
            timeout=timeout,
            limits=limits,
            compress=compress,
            client_id=client_id,
            proxy=proxy,
        )
        del password, token, given  # not for the traceback of a wrong argument
        settings(self)

    @classmethod
    def from_url(cls, url: str, **more: Any) -> Account:
        """Return the account of a URL: ``imaps://user@host``, or ``imap://user@host:port`` for STARTTLS.

        :param url: its user name, and a password if it must be there, with %XX for what a URL can't hold.
        :param more: other parameters, such as ``password=``; those that the URL has too are taken from here.

        Raises ValueError for any other URL. (RFC 5092)
        """
        found = _URL.fullmatch(url)
        if found is None:
            del url  # it may hold a password
            raise ValueError(
                "not the URL of an account: imaps://user@host, or imap://user@host:port"
                " (an @ in the user's name is %40, and no mailbox comes after it)"
            )
        given: dict[str, Any] = {"tls": True if found["scheme"].lower() == "imaps" else "starttls"}
        if found["port"]:
            given["port"] = int(found["port"])
        for name in ("user", "password", "mechanism"):
            if found[name] is not None and found[name] != "*":
                given[name] = _unquoted(found[name])
        del url
        return cls(found["host"].strip("[]"), **(given | more))

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.user, self.authzid))  # not all of the others can be hashed

    def __reduce__(self) -> tuple[Any, ...]:
        given = {**vars(self)}
        for name in ("password", "token"):
            if isinstance(given[name], str):
                given[name] = _left_out
        if given["ssl_context"] is not None:
            given["ssl_context"] = None
        return _restored, (given,)


_URL = pattern(
    r"(?P<scheme>imaps?)://(?:(?P<user>[^:@/;]*)(?:;AUTH=(?P<mechanism>[^:@/;]*))?(?::(?P<password>[^@/]*))?@)?"
    r"(?P<host>[^:@/?#\[\]]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE,
)


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text, errors="strict")


def _left_out() -> str:
    """Stand for a secret in a pickle."""
    raise StateError("a pickle holds no secrets: give the account a function that returns its password or token")


def _restored(given: dict[str, Any]) -> Account:
    return Account(**given)


class Settings(Value, kw_only=True, unshown=("proxy", "socket")):
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
    proxy: str | None = None
    socket: Any = None


def settings(account: Account, socket: Any = None) -> Settings:
    """Check the parameters of an account; return what they mean."""
    _check_host(account.host)
    tls, port, timeout = account.tls, account.port, account.timeout
    if not (tls is True or tls is False or tls == "starttls"):  # not 1, which is no True further down
        raise ValueError(f'tls must be True, False or "starttls", not {tls!r}')
    if tls is False and account.ssl_context is not None:
        raise ValueError("an ssl_context, but tls=False")
    if port is None:
        port = IMAPS_PORT if tls is True else IMAP_PORT
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise ValueError(f"port must be a number from 1 to 65535, not {port!r}")
    for name, secret in (("password", account.password), ("token", account.token)):
        wrong = secret is not None and not isinstance(secret, str) and not callable(secret)
        empty = secret == ""
        del secret
        if wrong:
            raise TypeError(f"the {name} must be a str, or a function that returns one")
        if empty:
            raise ValueError(f"the {name} is empty")
    given = account.password is not None, account.token is not None
    if account.user is None and any(given):
        raise ValueError("a password or a token needs a user")
    if all(given):
        raise ValueError("give a password or a token, not both")
    if account.user is not None and account.mechanism is None and not any(given):
        raise ValueError("a user, but no password and no token; with EXTERNAL, GSSAPI or ANONYMOUS give mechanism= too")
    if account.ssl_context is not None and not hasattr(account.ssl_context, "wrap_socket"):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {type(account.ssl_context).__name__}")
    if not isinstance(account.limits, Limits):
        raise TypeError(f"limits must be a fastimap.Limits, not {account.limits!r:.100}")
    if account.proxy is not None and not _PROXY.match(account.proxy):
        raise ValueError('proxy must be a URL such as "socks5://host:1080", "socks4://..." or "http://host:3128"')
    if not isinstance(timeout, Timeouts):
        check_seconds("timeout", timeout, "a number of seconds, a fastimap.Timeouts or None")
        timeout = Timeouts(timeout, timeout, DEFAULT_TIMEOUTS.command if timeout is not None else None)
    credentials = None
    if account.user is not None or account.mechanism is not None:
        credentials = _credentials(account)
    return Settings(
        host=account.host,
        port=port,
        tls=tls,
        ssl_context=account.ssl_context,
        credentials=credentials,
        mechanism=account.mechanism,
        timeouts=timeout,
        limits=account.limits,
        compress=account.compress,
        client_id=account.client_id,
        proxy=account.proxy,
        socket=socket,
    )


_PROXY = pattern(r"(socks5|socks4|http)://[^/\s]+/?\Z", re.IGNORECASE)


def _check_host(host: Any) -> None:
    if not isinstance(host, str) or not host or any(c.isspace() or c == "\0" for c in host):
        raise ValueError(f"host must be a name or an address, not {host!r}")
    if "/" in host:
        raise ValueError("host must be a name or an address alone, not a URL: Account.from_url() reads URLs")
    name, _, port = host.rpartition(":")
    if (port.isdecimal() and ":" not in name and name) or host.startswith("["):
        raise ValueError(
            f"host must be a name or an address alone, not {host!r}; the port is an argument of its own: "
            f'("{(name or host).strip("[]")}", {port if port.isdecimal() else 993})'
        )


def account_name(account: Account) -> str:
    """Return what an account is called in stores and cursors: user and host; a server has several ports."""
    return f"{account.user or ''}@{account.host}"


def can_be_host(name: str) -> bool:
    """Whether a name has the form that a resolver takes: no label is empty, or too long (RFC 1035, section 2.3.4).

    A connection that is given its socket does without: what has no such form is for TLS to refuse.
    """
    return all(0 < len(label) < 64 for label in name.removesuffix(".").split("."))


def _credentials(account: Account) -> Credentials:
    asked: Any = account.token
    password = account.password
    return Credentials(
        user=account.user or "",
        password=password if isinstance(password, str) else None,
        token=asked,
        authzid=account.authzid,
        ask_password=None if isinstance(password, str) else password,
    )


def with_secrets(given: Settings, password: Any) -> Settings:
    """Return `given` with the password that its function has returned."""
    assert given.credentials is not None
    usable = isinstance(password, str) and password != ""
    if hasattr(password, "close"):
        password.close()  # a coroutine, which the blocking client can't await
    credentials = given.credentials.__replace__(password=password if usable else None, ask_password=None)
    del password
    if not usable:
        raise ValueError("the function that is to return the password returned none")
    return given.__replace__(credentials=credentials)
