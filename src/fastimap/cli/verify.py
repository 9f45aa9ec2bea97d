"""``fastimap verify``."""

from __future__ import annotations

import argparse

from .. import archive
from ..archive.report import Progress
from ..archive.stores import kind_of
from . import accounts, exits
from .arguments import number, patience, shown
from .exits import UsageError, counted, readable, say
from .running import explained, talk
from .show import Show

__all__ = ["add", "run"]

DESCRIPTION = (
    "Check that every message of a store is there and has the octets that were pulled; with an account, that it is "
    "what the account has: by UID, size, flags, labels and INTERNALDATE."
)
EPILOG = "Exit code: 0 all is well; 3 something is missing or different; else as for pull."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("store", metavar="STORE", help="the store's directory")
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="compare with this account: a URL, or a name")
    parser.add_argument("--mailbox", action="append", metavar="NAME", help="only this mailbox; repeatable")
    parser.add_argument("--octets", action="store_true", help="fetch every message, and compare its octets")
    parser.add_argument("--repair", action="store_true", help="mend what is missing or different, from the account")
    parser.add_argument("--sample", type=number, metavar="N", help="look at N messages of each mailbox, at random")
    parser.add_argument("--name", metavar="NAME", help="what the account is called in the store (user@host)")
    parser.add_argument(
        "--wait", type=patience, metavar="SECONDS", default=0, help="for another run on the store to end"
    )
    shown(parser)
    accounts.add(parser)


def run(options: argparse.Namespace) -> int:
    """Verify."""
    account = None
    if options.source is not None or options.account is not None:
        account = accounts.given(options, options.source).account
    elif options.octets or options.repair:
        raise UsageError("--octets and --repair need the account")
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        if kind_of(options.store) is None:
            raise UsageError(f"{options.store} is no store of fastimap")
        result = archive.verify(
            options.store,
            account,
            mailboxes=options.mailbox,
            octets=options.octets,
            repair=options.repair,
            sample=options.sample,
            wait=options.wait,
            name=options.name,
            progress=lambda name, done: show.progress(Progress(name, done, 0, 0, done, 0, 0.0)),
        )
    code = exits.DONE if result.good else exits.NOT_ALL if result.stopped is None else exits.LIMIT
    if options.json:
        show.line("summary", code=code, **result.as_dict())
        return code
    for each in result.differences:
        done = "; repaired" if each.repaired else ""
        detail = f": {each.detail}" if each.detail else ""
        which = f" UID {each.uid}" if each.uid else ""
        say(f"{each.mailbox}{which}: {each.what}{detail}{done}")
    for name, error in result.failed.items():
        say(f"{name}: {error}")
    for note in result.notes:
        say(note)
    if result.stopped is not None:
        say(f"stopped: {result.stopped}; run it again")
    if result.not_in_store and not options.quiet:
        say(f"not in the store: {', '.join(result.not_in_store)}")
    if not options.quiet or code != exits.DONE:
        compared = f", {result.compared:,} compared with {result.account}" if result.account else ""
        repaired = sum(each.repaired for each in result.differences)
        word = "all is well"
        if not result.good:
            word = counted(len(result.differences) - repaired, "difference")
            word += ", stopped before the end" if result.stopped is not None else ""
            word += f", {counted(len(result.failed), 'mailbox')} not compared" if result.failed else ""
        word += f" ({repaired:,} repaired)" if repaired else ""
        sampled = " (a sample)" if result.sampled else ""
        print(readable(f"{counted(result.checked, 'message')} checked{compared}{sampled}: {word}"))
    return code
