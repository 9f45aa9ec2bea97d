"""``fastimap ls``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import accounts, exits
from .arguments import shown
from .exits import readable
from .mailboxes import connected
from .running import explained, talk
from .show import Show, octets

if TYPE_CHECKING:
    from ..clients.blocking import Client
    from ..model.responses import MailboxInfo, MailboxStatus

__all__ = ["add", "run"]

DESCRIPTION = (
    "List the mailboxes of an account: how many messages, how many of them unseen, how many octets where the server "
    "says so, the special use, and the name."
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="a URL, imaps://user@host, or a configured name")
    parser.add_argument(
        "pattern",
        nargs="?",
        metavar="PATTERN",
        help="only mailboxes like this; * stands for anything, %% for one level",
    )
    parser.add_argument("--subscribed", action="store_true", help="only those that the account is subscribed to")
    parser.add_argument("--names", action="store_true", help="print the names alone, and ask for nothing else")
    shown(parser)
    accounts.add(parser)


def run(options: argparse.Namespace) -> int:
    """List them."""
    if options.account is not None and options.source is not None:
        options.pattern, options.source = options.source, None
    talk(options)
    with Show(as_json=options.json, quiet=True) as show, explained(options, show), connected(options) as client:
        infos = sorted(
            _listed(client, options.pattern or "*", options), key=lambda info: (info.name != "INBOX", info.name)
        )
        counted = {} if options.names else _counted(client, infos)
        if not options.json and not options.names and sys.stdout.isatty():
            print(f"{'messages':>10} {'unseen':>9} {'size':>11}  {'use':<9} name")
        for info in infos:
            if options.json:
                _line(info, counted.get(info.name), show)
            else:
                print(readable(info.name if options.names else _row(info, counted.get(info.name))))
    return exits.DONE


def _listed(client: Client, pattern: str, options: argparse.Namespace) -> Sequence[MailboxInfo]:
    from ..errors import CapabilityMissing

    try:
        return client.list_mailboxes("", pattern, subscribed=options.subscribed)
    except CapabilityMissing:  # of servers before RFC 5258, Courier for instance
        from ..commands import LSub

        return client.run(LSub("", pattern))


def _counted(client: Client, infos: list[MailboxInfo]) -> dict[str, MailboxStatus]:
    """Return the counts of the mailboxes that have some."""
    from ..errors import CommandError

    items = ["MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY"]
    if client.session.has("STATUS=SIZE") or client.session.has("IMAP4REV2"):
        items.append("SIZE")
    counted = {}
    with client.pipeline() as pipeline:
        asked = [(info.name, pipeline.mailbox_status(info, *items)) for info in infos if info.is_selectable]
    for name, answer in asked:
        try:
            counted[name] = answer.result()
        except CommandError:
            continue  # no permission, for instance
    return counted


def _row(info: MailboxInfo, status: MailboxStatus | None) -> str:
    messages = "-" if status is None or status.messages is None else f"{status.messages:,}"
    unseen = "-" if status is None or status.unseen is None else f"{status.unseen:,}"
    size = "" if status is None or status.size is None else octets(status.size)
    uses = " ".join(sorted(info.special_use))
    return f"{messages:>10} {unseen:>9} {size:>11}  {uses:<9} {info.name}".rstrip()


def _line(info: MailboxInfo, status: MailboxStatus | None, show: Show) -> None:
    counts = {}
    if status is not None:
        names = ("messages", "unseen", "uid_next", "uid_validity", "size")
        counts = {name: getattr(status, name) for name in names if getattr(status, name) is not None}
    show.line(
        "mailbox",
        mailbox=info.name,
        delimiter=info.delimiter,
        selectable=info.is_selectable,
        special_use=sorted(info.special_use),
        **counts,
    )
