"""Mailboxes by name or by special use, and the client that looks at them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from . import accounts
from .exits import Failed

if TYPE_CHECKING:
    from ..clients.blocking import Client

__all__ = ["connected", "look_into", "named"]


def connected(options: argparse.Namespace) -> Client:
    """Return a client of the account that is meant; reading goes on after a cut."""
    from ..clients.blocking import Client
    from ..sessions.retry import Retry

    return Client(accounts.given(options, options.source).account, retry=Retry(attempts=3))


def look_into(client: Client, name: str) -> None:
    """Select a mailbox to read it. Raises Failed, which names it, where the server does not let it be read."""
    from ..errors import AuthenticationFailed, CommandError

    try:
        client.select(name, read_only=True)
    except AuthenticationFailed:  # after a cut: it is not about the mailbox
        raise
    except CommandError as exc:
        raise Failed(f"{name}: {exc}") from exc


def named(client: Client, name: str) -> str:
    r"""Return a mailbox's name; a special use (``\Sent``) is looked up."""
    if not name.startswith("\\"):
        return name
    found = client.special_mailbox(name)
    if found is None:
        raise Failed(f"the account has no mailbox with the special use {name}")
    return found.name
