"""Whose mail: a URL, or a name of the configuration; and how its password is come by, never in arguments."""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..settings import Account
from .exits import UsageError

__all__ = ["Given", "add", "add_destination", "config_path", "given", "given_destination", "read_config"]

PASSWORD = "FASTIMAP_PASSWORD"
PASSWORD_COMMAND = "FASTIMAP_PASSWORD_COMMAND"
TO_PASSWORD = "FASTIMAP_TO_PASSWORD"
TO_PASSWORD_COMMAND = "FASTIMAP_TO_PASSWORD_COMMAND"
CONFIG = "FASTIMAP_CONFIG"
_WITHOUT_SECRET = {"EXTERNAL", "GSSAPI", "ANONYMOUS"}
_TABLES = {"pull", "push", "migrate", "watch"}
_KEYS = {"url", "password_command", "token_command", "password_file", "mechanism"} | _TABLES


class Given:
    """An account as it was named; the password is not asked for before `account` is."""

    def __init__(
        self, url: str, options: argparse.Namespace, name: str | None = None, table: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        """In the configuration; None for a URL."""
        self._table = table or {}
        self._options = options
        self._url = url
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
        return f"{self._plain.user or ''}@{self._plain.host}"

    @cached_property
    def account(self) -> Account:
        """The account, with its password, or what finds it."""
        if self._plain.password is None and self._plain.token is None:
            return self._plain
        secret = _secret(f"{self._plain.user} at {self._plain.host}", self._options, self._table)
        return replace(self._plain, **({"password": None, "token": None} | secret))


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
        "--insecure", action="store_true", help="with an imap:// URL: no TLS; everybody on the way can read all"
    )


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Add how the password of a second account is come by: never as that of the first."""
    group = parser.add_argument_group("the account that mail goes to")
    group.add_argument("--to-password-file", metavar="FILE", help="as --password-file")
    group.add_argument("--to-password-command", metavar="COMMAND", help="as --password-command")
    group.add_argument("--to-token-command", metavar="COMMAND", help="as --token-command")
    group.add_argument("--to-insecure", action="store_true", help="as --insecure")


def given_destination(options: argparse.Namespace, named: str) -> Given:
    """Return the account that mail goes to."""
    its = argparse.Namespace(
        account=None,
        config=options.config,
        password_file=options.to_password_file,
        password_command=options.to_password_command,
        token_command=options.to_token_command,
        insecure=options.to_insecure,
        variables=(TO_PASSWORD, TO_PASSWORD_COMMAND),
    )
    return given(its, named)


def config_path(options: argparse.Namespace) -> Path:
    """Return where the configuration is."""
    if options.config or os.environ.get(CONFIG):
        return Path(options.config or os.environ[CONFIG]).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "fastimap" / "config.toml"


def read_config(options: argparse.Namespace) -> dict[str, Any]:
    """Return the accounts of the configuration."""
    path = config_path(options)
    try:
        read = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if options.config or os.environ.get(CONFIG):
            raise UsageError(f"{path}: there is no such file") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"{path}: {exc}") from None
    accounts = read.get("accounts", {})
    if not isinstance(accounts, dict):
        raise UsageError(f"{path}: [accounts.NAME] is what it holds")
    for name, account in accounts.items():
        unknown = sorted(set(account) - _KEYS) if isinstance(account, dict) else ["?"]
        if unknown or not isinstance(account.get("url"), str):
            what = f"{unknown[0]!r} is not known" if unknown else "it has no url"
            raise UsageError(f"{path}: accounts.{name}: {what}")
    return accounts


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
        raise UsageError(f"{config_path(options)} has no account {named!r}{others}")
    table = known[named]
    return Given(table["url"], options, named, table)


def _account(url: str, options: argparse.Namespace, table: dict[str, Any]) -> Account:
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise UsageError(f"not a URL: {exc}") from None
    if parts.password is not None:
        raise UsageError("a password does not belong into the URL: everybody can see it there; see --password-command")
    if parts.scheme.lower() in ("imap", "imaps") and not parts.username:
        raise UsageError(f"{url}: the user is missing: imaps://user@host")
    if options.insecure and parts.scheme.lower() != "imap":
        raise UsageError("--insecure needs an imap:// URL: imaps:// is TLS")
    more: dict[str, Any] = {"mechanism": table["mechanism"]} if "mechanism" in table else {}
    if options.insecure:
        more |= {"tls": False, "mechanism": more.get("mechanism", "PLAIN")}
    if str(more.get("mechanism", "")).upper() not in _WITHOUT_SECRET:
        more["token" if _by_token(options, table) else "password"] = _not_yet
    try:
        return Account.from_url(url, **more)
    except ValueError as exc:
        raise UsageError(f"{url}: {exc}") from None


def _not_yet() -> str:
    raise AssertionError("the secret is found when `Given.account` is asked for")


def _by_token(options: argparse.Namespace, table: dict[str, Any]) -> bool:
    return bool(options.token_command or (table.get("token_command") and not options.password_command))


def _secret(whose: str, options: argparse.Namespace, table: dict[str, Any]) -> dict[str, Any]:
    """Return the password, or the token, or a function that finds it."""
    if _by_token(options, table):
        return {"token": _command(options.token_command or table["token_command"])}
    if options.password_file:
        return {"password": _file(options.password_file)}
    variable, variable_command = getattr(options, "variables", (PASSWORD, PASSWORD_COMMAND))
    command = options.password_command or os.environ.get(variable_command) or table.get("password_command")
    if command:
        return {"password": _command(command)}
    if table.get("password_file"):
        return {"password": _file(table["password_file"])}
    if (password := os.environ.get(variable)) is not None:
        return {"password": password}
    if not sys.stdin.isatty():
        option = "--password-file" if variable == PASSWORD else "--to-password-file"
        raise UsageError(f"no password of {whose}: set password_command, {option}, {variable_command} or {variable}")
    try:
        return {"password": getpass.getpass(f"Password of {whose}: ")}
    except EOFError:
        raise UsageError("no password was given") from None


def _file(name: str) -> str:
    try:
        with open(os.path.expanduser(name), encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"the password file can't be read: {exc}") from None


def _command(command: str | list[str]) -> Callable[[], str]:
    """Return a function that asks a command for a secret: once, unless the server refuses it."""
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    except ValueError as exc:
        raise UsageError(f"password_command: {exc}") from None
    if not words:
        raise UsageError("password_command is empty")

    def ask() -> str:
        try:
            ended = subprocess.run(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True)
        except OSError as exc:
            raise UsageError(f"{words[0]}: {exc.strerror}") from None
        except subprocess.CalledProcessError as exc:
            raise UsageError(f"{words[0]} ended with {exc.returncode}, so there is no password") from None
        line = ended.stdout.decode("utf-8", "replace").split("\n")[0].rstrip("\r")
        if not line:
            raise UsageError(f"{words[0]} printed no password")
        return line

    return ask
