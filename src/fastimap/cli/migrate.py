"""``fastimap migrate``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from .. import archive
from . import accounts
from .arguments import choice, daily, day, merged, names, number, patience, shown, size, switch
from .ending import SENT, ended
from .exits import UsageError
from .running import explained, talk
from .show import Show

__all__ = ["add", "arguments_of", "moving", "run"]

DESCRIPTION = (
    "Copy the mail of an account to another one, with flags, keywords, dates and subscriptions. Later runs carry over "
    "what is new, and flags that have changed. Nothing is changed at the source. A run that was cut short goes on "
    "where it stopped, and no message is there twice."
)
EPILOG = (
    "Exit code: 0 all is there; 1 failed; 2 a mistake in the arguments; 3 finished, but not all; 10 can't connect; "
    "11 another run is under way; 12 credentials were refused; 13 stopped at a limit, or the destination is full; 130, "
    "143 by a signal."
)


def renamed(text: str) -> tuple[str, str]:
    """Return the two names of ``OLD=NEW``."""
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise argparse.ArgumentTypeError(f"{text!r} is not OLD=NEW")
    return old, new


def _renames(value: Any) -> dict[str, str]:
    """Return a table of names."""
    if not isinstance(value, dict) or not all(isinstance(name, str) and name for name in value.values()):
        raise argparse.ArgumentTypeError(f'{value!r} is no table of names: {{ OLD = "NEW" }}')
    return value


_OPTIONS: dict[str, Callable[[Any], Any] | None] = {
    "mailboxes": names,
    "exclude": names,
    "rename": _renames,
    "since": day,
    "before": day,
    "max_size": size,
    "deleted": choice("keep", "delete"),
    "max_delete": None,
    "on_doubt": choice("report", "send"),
    "budget": daily,
    "connections": number,
}
_SERVERS = {**_OPTIONS, "acl": switch, "metadata": switch}


def moving(parser: argparse.ArgumentParser) -> None:
    """Add what `push` and `migrate` take."""
    which = parser.add_argument_group("which messages")
    which.add_argument(
        "--mailbox",
        action="append",
        dest="mailboxes",
        metavar="NAME",
        help=r"only this mailbox, or special use (\Sent); repeatable",
    )
    which.add_argument(
        "--exclude", action="append", metavar="NAME", help=r"not this mailbox, or special use (\Trash); repeatable"
    )
    which.add_argument(
        "--rename", action="append", type=renamed, metavar="OLD=NEW", help="what a mailbox is called there; repeatable"
    )
    which.add_argument("--since", type=day, metavar="DATE", help="that came on this day or later (2024-01-31)")
    which.add_argument("--before", type=day, metavar="DATE", help="that came before this day")
    which.add_argument("--max-size", type=size, metavar="SIZE", help="of this size at most (20M)")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--deleted", choices=["keep", "delete"], help="what becomes of copies that the source has no more (keep)"
    )
    how.add_argument(
        "--max-delete", metavar="N", help="delete at most so many, or 10%%, a run (the larger of 100 and 10%%)"
    )
    how.add_argument(
        "--on-doubt",
        choices=["report", "send"],
        help="what may have been sent when a run was cut, and looks different: park it, or send it again (report)",
    )
    how.add_argument("--connections", type=number, metavar="N", help="to each server at once (1)")
    how.add_argument("--dry-run", action="store_true", help="say what would be done and what would not fit")
    how.add_argument("--wait", type=patience, metavar="SECONDS", default=0, help="for another run to end")
    how.add_argument(
        "--budget", type=daily, metavar="SIZE", help="to send a day at most (450M/day; 0: any; Gmail: 500 MB)"
    )


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", metavar="FROM", help="the account to copy: a URL, imaps://user@host, or a name")
    parser.add_argument("destination", metavar="TO", help="the account that its mail goes to")
    parser.add_argument("--state", metavar="DIR", help="where to note what is there ($XDG_STATE_HOME/fastimap)")
    moving(parser)
    besides = parser.add_argument_group("beside the messages")
    besides.add_argument("--acl", action="store_true", default=None, help="the rights of others on the mailboxes, too")
    besides.add_argument("--metadata", action="store_true", default=None, help="the annotations of the mailboxes, too")
    shown(parser)
    accounts.add(parser)
    accounts.add_destination(parser)


def run(options: argparse.Namespace) -> int:
    """Migrate."""
    if options.account is not None:
        raise UsageError("migrate takes two accounts, FROM and TO, and no --account")
    source = accounts.given(options, options.source)
    destination = accounts.given_destination(options, options.destination)
    arguments = arguments_of(options, source.options("migrate"), source.where("migrate"), _SERVERS)
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        report = archive.migrate(
            source.account, destination.account, state=options.state, progress=show.progress, **arguments
        )
    return ended(report, options, show, SENT)


def arguments_of(
    options: argparse.Namespace,
    configured: dict[str, Any],
    where: str,
    readers: dict[str, Callable[[Any], Any] | None] = _OPTIONS,
) -> dict[str, Any]:
    """Return the arguments of the function: from the command line, else from the configuration."""
    arguments = merged(options, configured, readers, where)
    if "rename" in arguments:
        arguments["rename"] = dict(arguments["rename"])
    return arguments | {"wait": options.wait, "dry_run": options.dry_run}
