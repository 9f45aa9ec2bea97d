"""Whose mail is fetched: a mailbox on a server, and the way to it with either library."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from imaplib import IMAP4  # fastimap's exceptions inherit from its own
from types import ModuleType
from typing import Any
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from fastimap import Client, errors
from fastimap.model import mailbox_name
from fastimap.settings import can_be_host

from .errors import DemoError, UsageError

# How long one wait for the server may take, in seconds.
_TIMEOUT = 60.0

_PORTS = {"imap": 143, "imaps": 993}
_FORM = "write imaps://user@host/mailbox"


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox, and what is needed to open it."""

    host: str
    port: int
    user: str
    mailbox: str
    tls: bool
    """Whether TLS begins with the first octet."""
    starttls: bool = False
    """Whether TLS begins with STARTTLS."""
    password: str = field(default="", repr=False)

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_url(url: str) -> Account:
    """Read ``imaps://user@host:port/mailbox`` (RFC 5092, in its plain form); raises UsageError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise UsageError(f"{url}: {exc}; {_FORM}") from None
    _check_form(url, parts)
    assert parts.username is not None
    assert parts.hostname is not None
    try:
        user = unquote_to_bytes(parts.username).decode()
        mailbox = unquote_to_bytes(parts.path.removeprefix("/")).decode()
        mailbox_name.encode(mailbox)
    except UnicodeError:
        raise UsageError(f"{url}: its percent-encoding is not that of UTF-8") from None
    if any(character in user + mailbox for character in "\0\r\n"):
        raise UsageError(f"{url}: neither a user nor a mailbox can have NUL, CR or LF in the name")
    return Account(
        parts.hostname,
        port or _PORTS[parts.scheme],
        user,
        mailbox or "INBOX",
        tls=parts.scheme == "imaps",
        starttls=parts.scheme == "imap",
    )


def _check_form(url: str, parts: SplitResult) -> None:
    if parts.scheme not in _PORTS:
        raise UsageError(f"{url}: not a URL of IMAP; {_FORM}")
    if parts.password is not None:
        raise UsageError("a password does not belong in the URL; set FASTIMAP_PASSWORD, or wait to be asked")
    if not parts.hostname:
        raise UsageError(f"{url}: the host is missing; {_FORM}")
    if not can_be_host(parts.hostname):
        raise UsageError(f"{url}: {parts.hostname!r} can't be the name of a host")
    if not parts.username:
        raise UsageError(f"{url}: the user is missing; {_FORM}")
    if parts.query or parts.fragment or ";" in parts.netloc + parts.path:
        raise UsageError(f"{url}: ';', '?' and '#' are not understood here; in a name write %3B, %3F and %23")


def without_tls_if_allowed(account: Account, imaplib: ModuleType, *, insecure: bool) -> Account:
    """Settle whether an imap:// URL's connection uses STARTTLS.

    It does where the server offers it, unless `insecure`; without it, only a server on loopback will do.
    """
    if account.tls:
        return account
    if not insecure:
        with _explained(account), imaplib.IMAP4(account.host, account.port, timeout=_TIMEOUT) as client:
            if "STARTTLS" in client.capabilities:
                return account
        if not account.is_loopback:
            raise DemoError(
                f"{account.host} offers no STARTTLS: try imaps://, or send the password in the clear with --insecure"
            )
    return replace(account, starttls=False)


@contextmanager
def examining(account: Account, imaplib: ModuleType) -> Iterator[Any]:
    """Log in with `imaplib`, open the mailbox read-only, and log out at the end; yields the client.

    Raises DemoError with one line that says what went wrong, and what to do.
    """
    with _explained(account), _connected(account, imaplib) as client:
        _log_in(client, account, imaplib)
        typ, data = client.select(quoted(mailbox_name.encode(account.mailbox).decode("ascii")), readonly=True)
        if typ != "OK":
            raise DemoError(f"the mailbox {account.mailbox!r} can't be opened: {_text(data)}; check its name")
        yield client


@contextmanager
def examining_typed(account: Account) -> Iterator[Client]:
    """The same with `fastimap.Client`."""
    client = Client(
        account.host,
        account.port,
        user=account.user,
        password=account.password,
        # Without TLS a password is shown only by a mechanism that is named: whoever comes here has agreed.
        mechanism=None if account.tls or account.starttls else "LOGIN",
        tls="starttls" if account.starttls else account.tls,
        timeout=_TIMEOUT,
    )
    try:
        with client:
            client.select(account.mailbox, read_only=True)
            yield client
    except errors.FastimapError as exc:
        raise DemoError(f"{account.host}:{account.port}: {exc}") from None


@contextmanager
def _connected(account: Account, imaplib: ModuleType) -> Iterator[Any]:
    if account.tls:
        context = ssl.create_default_context()
        client = imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=_TIMEOUT)
    else:
        client = imaplib.IMAP4(account.host, account.port, timeout=_TIMEOUT)
    try:
        if account.starttls:
            client.starttls(ssl.create_default_context())
        yield client
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            client.logout()
        with suppress(OSError):
            client.shutdown()


def _log_in(client: Any, account: Account, imaplib: ModuleType) -> None:
    if client.state == "AUTH":
        return
    try:
        if "AUTH=PLAIN" in client.capabilities:
            # PLAIN carries any user name and password, in UTF-8; LOGIN only what is in US-ASCII.
            client.authenticate("PLAIN", lambda _: f"\0{account.user}\0{account.password}".encode())
        elif "LOGINDISABLED" in client.capabilities:
            raise DemoError(f"{account.host} takes no password on this connection: try imaps://")
        else:
            client.login(quoted(account.user), account.password)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as exc:
        raise DemoError(f"{account.user} can't log in: {exc}; check the user name and the password") from None
    except UnicodeEncodeError:
        raise DemoError(f"{account.host} takes only US-ASCII in user names and passwords") from None


@contextmanager
def _explained(account: Account) -> Iterator[None]:
    """Turn the exceptions of a connection into a DemoError that says what happened and what to do."""
    where = f"{account.host}:{account.port}"
    try:
        yield
    except socket.gaierror as exc:
        raise DemoError(f"there is no host {account.host!r} ({exc.strerror}): check its name") from None
    except ssl.SSLCertVerificationError as exc:
        raise DemoError(
            f"the certificate of {where} is not trusted ({exc.verify_message}): check the host name; "
            "if the authority is your own, name its certificate in SSL_CERT_FILE"
        ) from None
    except ssl.SSLError as exc:
        raise DemoError(f"{where} does not speak TLS ({exc.reason or exc}): check the port, or try imap://") from None
    except ConnectionRefusedError:
        raise DemoError(f"{where} refuses the connection: check the port, and that the server runs") from None
    except TimeoutError:
        raise DemoError(
            f"{where} does not answer: check the host and the port (one that begins with TLS needs imaps://)"
        ) from None
    except OSError as exc:
        raise DemoError(f"the connection to {where} failed: {exc}") from None
    except IMAP4.error as exc:
        raise DemoError(f"{where} does not answer as an IMAP server should: {exc}") from None


def quoted(text: str) -> str:
    """`text` as a quoted string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(data: list[Any]) -> str:
    return b" ".join(line for line in data if isinstance(line, bytes)).decode("utf-8", "replace")
