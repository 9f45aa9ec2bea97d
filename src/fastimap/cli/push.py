"""``fastimap push``."""

from __future__ import annotations

import argparse

from .. import archive
from ..archive.stores import kind_of
from . import accounts
from .arguments import shown
from .ending import SENT, ended
from .exits import UsageError
from .migrate import arguments_of, moving
from .running import explained, talk
from .show import Show

__all__ = ["add", "run"]

DESCRIPTION = (
    "Copy the mail of a store to an account, with flags, keywords and dates. Later runs send what is missing there. A "
    "run that was cut short goes on where it stopped, and no message is there twice."
)
EPILOG = "Exit code: as for migrate."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("store", metavar="STORE", help="the directory of a store")
    parser.add_argument(
        "destination", nargs="?", metavar="ACCOUNT", help="where to: a URL, imaps://user@host, or a name"
    )
    parser.add_argument("--of", metavar="USER@HOST", help="whose mail, of a store that holds several accounts")
    moving(parser)
    shown(parser)
    accounts.add(parser)


def run(options: argparse.Namespace) -> int:
    """Push."""
    if options.account is not None and options.destination is not None:
        raise UsageError("with --account, STORE alone is to be named")
    given = accounts.given(options, options.destination)
    arguments = arguments_of(options, given.options("push"), given.where("push"))
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        if kind_of(options.store) is None:
            raise UsageError(f"{options.store} is no store of fastimap")
        report = archive.push(options.store, given.account, account=options.of, progress=show.progress, **arguments)
    return ended(report, options, show, SENT)
