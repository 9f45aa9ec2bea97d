"""Whose mail: a URL, or a name of the configuration; and how its password is come by, never in arguments."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..archive.credentials import FromCommand, FromEnvironment, FromFile
from ..archive.errors import SecretError
from ..errors import MechanismError
from ..sasl.choose import Credentials, candidates
from ..settings import Account, account_name, can_be_host
from .exits import REFUSED, Failed, UsageError, said

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = [
    "Given",
    "add",
    "add_destination",
    "config_path",
    "given",
    "given_destination",
    "read_accounts",
    "read_config",
]

PASSWORD = "FASTIMAP_PASSWORD"
PASSWORD_COMMAND = "FASTIMAP_PASSWORD_COMMAND"
TO_PASSWORD = "FASTIMAP_TO_PASSWORD"
TO_PASSWORD_COMMAND = "FASTIMAP_TO_PASSWORD_COMMAND"
CONFIG = "FASTIMAP_CONFIG"
_WITHOUT_SECRET = {"EXTERNAL", "GSSAPI", "ANONYMOUS"}
_TABLES = {"pull", "push", "migrate", "watch"}
_TEXTS = {"url", "ca", "password_file", "password_variable", "mechanism"}
_COMMANDS = {"password_command", "token_command"}
_KEYS = _TEXTS | _COMMANDS | _TABLES
_NO_OPTIONS = argparse.Namespace(password_file=None, password_command=None, token_command=None)


class Given:
    """An account as it was named; the password is not asked for before `account` is."""

    def __init__(
        self, url: str, options: argparse.Namespace, name: str | None = None, table: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        """In the configuration; None for a URL."""
        self._table = table or {}
        self._options = options
        self.secrets: set[str] = {PASSWORD, TO_PASSWORD}
        """The variables of the environment that hold secrets."""
        self._plain = _account(url, options, self._table)

    def options(self, command: str) -> dict[str, Any]:
        """Return what the configuration says of a command: ``pull``, ``watch``."""
        table = self._table.get(command, {})
        if not isinstance(table, dict):
            raise UsageError(f"{self.where(command)} is a table: [{self.where(command)}]")
        return dict(table)

    def where(self, command: str) -> str:
        """Return what that table is called."""
        return f"accounts.{self.name}.{command}"

    @property
    def who(self) -> str:
        """What the account is called in stores and cursors: user@host."""
        return account_name(self._plain)

    @property
    def port(self) -> int | None:
        """That of the server; None: a usual one."""
        return None if self._plain.port in (143, 993) else self._plain.port

    @cached_property
    def account(self) -> Account:
        """The account, with its password, or what finds it."""
        if self._plain.password is None and self._plain.token is None:
            return self._plain
        return self._with(_secret(f"{self._plain.user} at {self._plain.host}", self._options, self._table))

    @property
    def on_any_machine(self) -> Account:
        """The account, with what finds its password wherever the connection is made: as the configuration says."""
        if self._plain.password is None and self._plain.token is None:
            return self._plain
        found = _finder(_NO_OPTIONS, self._table)
        if found is None:
            ways = "password_command, token_command, password_file or password_variable"
            raise UsageError(f"accounts.{self.name}: nothing says how its password is found: {ways}")
        return self._with(dict([found]))

    def _with(self, secret: dict[str, Any]) -> Account:
        return self._plain.__replace__(**({"password": None, "token": None} | secret))


def add(parser: argparse.ArgumentParser) -> None:
    """Add what every command with an account takes."""
    group = parser.add_argument_group("account")
    group.add_argument("-a", "--account", metavar="NAME", help="the account: a name of the configuration, or a URL")
    group.add_argument(
        "-c", "--config", metavar="FILE", help=f"the configuration ($XDG_CONFIG_HOME/fastimap/config.toml; {CONFIG})"
    )
    group.add_argument("--password-file", metavar="FILE", help="read the password from the first line of a file")
    group.add_argument(
        "--password-command", metavar="COMMAND", help="read it from the first line that a command prints"
    )
    group.add_argument("--token-command", metavar="COMMAND", help="the same with an OAuth access token")
    group.add_argument(
        "--ca", metavar="FILE", help="the authority (PEM) that signed the server's certificate; no other is trusted"
    )
    group.add_argument(
        "--insecure", action="store_true", help="with an imap:// URL: no TLS; everybody on the way can read all"
    )


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Add how the password of a second account is come by: never as that of the first."""
    group = parser.add_argument_group("the account that mail goes to")
    group.add_argument("--to-password-file", metavar="FILE", help="as --password-file")
    group.add_argument("--to-password-command", metavar="COMMAND", help="as --password-command")
    group.add_argument("--to-token-command", metavar="COMMAND", help="as --token-command")
    group.add_argument("--to-ca", metavar="FILE", help="as --ca")
    group.add_argument("--to-insecure", action="store_true", help="as --insecure")


def given_destination(options: argparse.Namespace, named: str) -> Given:
    """Return the account that mail goes to."""
    its = argparse.Namespace(
        account=None,
        config=options.config,
        password_file=options.to_password_file,
        password_command=options.to_password_command,
        token_command=options.to_token_command,
        ca=options.to_ca,
        insecure=options.to_insecure,
        variables=(TO_PASSWORD, TO_PASSWORD_COMMAND),
    )
    return given(its, named)


def config_path(options: argparse.Namespace) -> Path:
    """Return where the configuration is."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    try:
        return Path(options.config or os.environ.get(CONFIG) or f"{home}/fastimap/config.toml").expanduser()
    except RuntimeError:
        raise UsageError("there is no home directory; set HOME, or name the configuration by --config") from None


def read_config(options: argparse.Namespace) -> dict[str, Any]:
    """Return the accounts of the configuration."""
    path = config_path(options)
    if not path.exists() and not options.config and not os.environ.get(CONFIG):
        return {}
    return read_accounts(path)


def read_accounts(path: Path) -> dict[str, Any]:
    """Return the accounts of a file."""
    import tomllib

    try:
        read = tomllib.loads(path.read_text("utf-8-sig"))  # editors of Windows begin a file with a mark
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as exc:
        raise UsageError(f"{path}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: it is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"{path}: {exc}") from None
    accounts = read.get("accounts", {})
    if not isinstance(accounts, dict):
        raise UsageError(f"{path}: [accounts.NAME] is what it holds")
    unknown = sorted(set(read) - {"accounts"})
    if unknown:
        raise UsageError(f"{path}: {unknown[0]!r} is not known; [accounts.NAME] is what it holds")
    for name, account in accounts.items():
        wrong = _wrong(account) if isinstance(account, dict) else "it is no table"
        if wrong is not None:
            raise UsageError(f"{path}: accounts.{name}: {wrong}")
    return accounts


def _wrong(account: dict[str, Any]) -> str | None:
    """Return what is wrong about an account in the configuration."""
    unknown = sorted(set(account) - _KEYS)
    if unknown:
        return f"{unknown[0]!r} is not known; known are {', '.join(sorted(_KEYS))}"
    if "url" not in account:
        return "it has no url"
    for key, value in account.items():
        if key in _TEXTS and not (isinstance(value, str) and value):
            return f"{key} is a text"
        words = [value] if isinstance(value, str) else value
        if key in _COMMANDS and not (
            isinstance(words, list) and all(isinstance(word, str) for word in words) and any(words)
        ):
            return f"{key} is a text, or a list of texts"
    return None


def given(options: argparse.Namespace, source: str | None) -> Given:
    """Return the account that is meant, or say what is missing."""
    named = options.account or source
    if named is None:
        raise UsageError("which account? Name one, or give its URL: imaps://user@host")
    if "://" in named:
        return Given(named, options)
    known = read_config(options)
    if named not in known:
        others = f"; there are {', '.join(sorted(known))}" if known else ""
        if os.path.isdir(named):
            others += ". It is a directory: an account, whose mail is on a server, is wanted in that place"
        elif "@" in named:
            others += f". Of a server say the URL: imaps://{named}"
        raise UsageError(f"{config_path(options)} has no account {named!r}{others}")
    table = known[named]
    found = Given(table["url"], options, named, table)
    found.secrets |= {each["password_variable"] for each in known.values() if "password_variable" in each}
    return found


def _account(url: str, options: argparse.Namespace, table: dict[str, Any]) -> Account:
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise UsageError(f"not a URL: {exc}") from None
    if parts.password is not None:
        raise UsageError("a password does not belong in the URL: everybody can see it there; see --password-command")
    if parts.scheme.lower() in ("imap", "imaps") and not parts.username:
        raise UsageError(f"{url}: the user is missing: imaps://user@host")
    if options.insecure and parts.scheme.lower() != "imap":
        raise UsageError("--insecure needs an imap:// URL: imaps:// is TLS")
    more: dict[str, Any] = {}
    ca = table.get("ca") if options.ca is None else options.ca
    if options.insecure and options.ca is not None:
        raise UsageError("--ca goes with TLS, and --insecure without")
    if ca is not None and not options.insecure:
        more["ssl_context"] = _trusting(ca)
    if options.insecure:
        more["tls"] = False
    if "mechanism" in table:
        more["mechanism"] = table["mechanism"]
    secret: dict[str, Any] = {"token" if _by_token(options, table) else "password": _not_yet}
    try:
        made = Account.from_url(url, **more, **secret)
    except UnicodeDecodeError:
        raise UsageError(f"{url}: its percent-encoding is not that of UTF-8") from None
    except ValueError as exc:
        raise UsageError(f"{url}: {exc}") from None
    if not can_be_host(made.host):
        raise UsageError(f"{url}: {made.host!r} can't be the name of a host")
    if options.insecure and made.mechanism is None:
        made = made.__replace__(mechanism="PLAIN")
    if (made.mechanism or "").upper() in _WITHOUT_SECRET:
        secret = dict.fromkeys(secret)
        made = made.__replace__(**secret)
    try:
        candidates(Credentials(**secret), made.mechanism)
    except MechanismError as exc:
        ways = "a password comes by password_command and the like, a token by token_command"
        raise UsageError(f"mechanism: {exc}; {ways}") from None
    return made


def _trusting(authority: str) -> SSLContext:
    """Return a context that trusts one authority, and verifies as ever."""
    import ssl  # which takes long

    try:
        return ssl.create_default_context(cafile=os.path.expanduser(authority))
    except FileNotFoundError:
        raise UsageError(f"ca: there is no file {authority}") from None
    except ssl.SSLError:
        raise UsageError(f"ca: {authority} holds no certificate in PEM") from None
    except OSError as exc:
        raise UsageError(f"ca: {said(exc)}") from None


def _not_yet() -> str:
    raise AssertionError("the secret is found when `Given.account` is asked for")


def _by_token(options: argparse.Namespace, table: dict[str, Any]) -> bool:
    return bool(options.token_command or (table.get("token_command") and not options.password_command))


def _secret(whose: str, options: argparse.Namespace, table: dict[str, Any]) -> dict[str, Any]:
    """Return the password, or the token, or a function that finds it."""
    variables = getattr(options, "variables", (PASSWORD, PASSWORD_COMMAND))
    found = _finder(options, table, *variables)
    if found is not None:
        kind, find = found
        try:  # a command is asked when it is needed, and again where the server refuses what it printed
            return {kind: find if isinstance(find, FromCommand) else find()}
        except SecretError as exc:
            raise Failed(str(exc), REFUSED) from None
    if not sys.stdin.isatty():
        variable, variable_command = variables
        option = "--password-file" if variable == PASSWORD else "--to-password-file"
        raise UsageError(f"no password of {whose}: set password_command, {option}, {variable_command} or {variable}")
    import getpass

    try:
        return {"password": getpass.getpass(f"Password of {whose}: ")}
    except EOFError:
        raise UsageError("no password was given") from None


def _finder(
    options: argparse.Namespace, table: dict[str, Any], variable: str = "", variable_command: str = ""
) -> tuple[str, Callable[[], str]] | None:
    """Return what finds the secret, after which of the account's fields it is; None where nothing says how."""
    try:
        if _by_token(options, table):
            return "token", FromCommand(options.token_command or table["token_command"])
        if options.password_file:
            return "password", FromFile(options.password_file)
        command = options.password_command or os.environ.get(variable_command) or table.get("password_command")
        if command is not None:
            return "password", FromCommand(command)
    except ValueError as exc:
        raise UsageError(f"password_command: {exc}") from None
    if "password_file" in table:
        return "password", FromFile(table["password_file"])
    if "password_variable" in table:
        return "password", FromEnvironment(table["password_variable"])
    return ("password", FromEnvironment(variable)) if variable in os.environ else None
