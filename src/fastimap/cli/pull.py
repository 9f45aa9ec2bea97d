"""``fastimap pull``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from .. import archive
from ..archive.stores import FORMATS, kind_of, store_at
from . import accounts
from .arguments import budget, choice, day, merged, names, number, patience, shown, size, some, text
from .ending import PULLED, ended
from .exits import UsageError
from .running import explained, talk
from .show import Show

__all__ = ["add", "run"]

DESCRIPTION = (
    "Copy the mail of an account into a store: a Maildir unless --format says otherwise. The first run fetches all, "
    "later ones what is new. Nothing is changed on the server. A run that was cut short goes on where it stopped."
)
EPILOG = (
    "Exit code: 0 all is there; 1 failed; 2 a mistake in the arguments; 3 finished, but not all; 10 can't connect; "
    "11 the store is in use; 12 the credentials were refused; 13 stopped at a limit, run again; 130, 143 by a signal."
)
_OPTIONS: dict[str, Callable[[Any], Any] | None] = {
    "format": text,
    "store": text,
    "mailboxes": names,
    "exclude": names,
    "since": day,
    "before": day,
    "min_size": size,
    "max_size": size,
    "search": text,
    "limit": number,
    "connections": number,
    "deleted": choice("keep", "mark", "delete"),
    "max_delete": None,
    "bwlimit": some,
    "budget": budget,
    "max_octets": some,
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="a URL, imaps://user@host, or a configured name")
    parser.add_argument("store", nargs="?", metavar="STORE", help="the directory that the mail goes to, or s3://bucket")
    parser.add_argument("--format", choices=sorted(FORMATS), help="of the store (what it is already, else maildir)")
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
    which.add_argument("--since", type=day, metavar="DATE", help="that came on this day or later (2024-01-31)")
    which.add_argument("--before", type=day, metavar="DATE", help="that came before this day")
    which.add_argument("--min-size", type=size, metavar="SIZE", help="of this size at least (500K, 20M)")
    which.add_argument("--max-size", type=size, metavar="SIZE", help="of this size at most")
    which.add_argument("--search", metavar="PROGRAM", help="that the server finds: a search program of IMAP's")
    which.add_argument("--limit", type=number, metavar="N", help="of each mailbox, the newest N")
    kept = parser.add_argument_group(
        "what is kept, with --format parquet (what the store has already, else none of it)"
    )
    kept.add_argument("--text", action="store_true", help="the text of messages, without the attachments")
    kept.add_argument("--body", action="store_true", help="whole messages")
    kept.add_argument("--header", action="append", metavar="NAME", help="this field of the header; repeatable")
    how = parser.add_argument_group("how")
    how.add_argument("--connections", type=number, metavar="N", help="at once (1)")
    how.add_argument("--oldest-first", action="store_true", help="begin with the oldest messages")
    how.add_argument(
        "--deleted", choices=["keep", "mark", "delete"], help="what becomes of mail that the server has no more (keep)"
    )
    how.add_argument(
        "--max-delete", metavar="N", help="mark or delete at most so many, or 10%%, a run (the larger of 100 and 10%%)"
    )
    how.add_argument("--no-resume", action="store_true", help="compare all anew, whatever the last run noted")
    theirs = how.add_mutually_exclusive_group()
    theirs.add_argument(
        "--adopt",
        action="store_true",
        help="match what mbsync or OfflineIMAP has pulled into the STORE; it becomes fastimap's",
    )
    theirs.add_argument("--adopt-from", metavar="DIR", help="the same with another directory, which stays as it is")
    how.add_argument("--name", metavar="NAME", help="what the account is called in the store (user@host)")
    how.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    how.add_argument("--wait", type=patience, metavar="SECONDS", default=0, help="for another run on the store to end")
    how.add_argument("--bwlimit", type=some, metavar="SIZE", help="to receive a second at most")
    how.add_argument("--budget", type=budget, metavar="SIZE", help="in 24 hours at most: 2500M/day, gmail, microsoft")
    how.add_argument("--max-octets", type=some, metavar="SIZE", help="to write at most in this run")
    many = parser.add_argument_group("many accounts")
    many.add_argument(
        "--accounts",
        metavar="FILE",
        help="all accounts of a file like the configuration; STORE has a directory for each, else each names its own",
    )
    many.add_argument("--jobs", type=number, metavar="N", help="so many accounts at once, each in a process (1: here)")
    many.add_argument("--dask", metavar="ADDRESS", help="on the workers of this Dask scheduler: tcp://host:8786")
    many.add_argument(
        "--per-host", type=number, metavar="N", help="connections to one server at once, of all accounts together (10)"
    )
    shown(parser)
    accounts.add(parser)


def run(options: argparse.Namespace) -> int:
    """Pull."""
    if options.accounts is not None:
        if options.name is not None:
            raise UsageError("--name is for one account: the file of many names them")
        from . import many

        return many.run(options, _OPTIONS)
    for name in ("jobs", "dask", "per_host"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for many accounts: name their file with --accounts")
    source, store = options.source, options.store
    if options.account is not None and source is not None:
        if store is not None:
            raise UsageError("with --account, STORE alone is to be named")
        source, store = None, source
    options.store = store
    given = accounts.given(options, source)
    arguments = merged(options, given.options("pull"), _OPTIONS, given.where("pull"))
    where = arguments.pop("store", None)
    if where is None:
        raise UsageError("where to? Name the store's directory")
    arguments |= {"wait": options.wait, "dry_run": options.dry_run, "resume": not options.no_resume}
    arguments["newest_first"] = not options.oldest_first
    arguments["name"] = options.name
    if options.adopt or options.adopt_from is not None:
        arguments["adopt"] = options.adopt or options.adopt_from
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        made = _store(where, arguments.pop("format", None), options)
        report = archive.pull(given.account, made, progress=show.progress, **arguments)
    return ended(report, options, show, PULLED)


def _store(where: str, kind: str | None, options: argparse.Namespace) -> archive.Store:
    if kind is not None and kind not in FORMATS:
        raise UsageError(f"format: {kind!r} is none; there are {', '.join(sorted(FORMATS))}")
    if kind is not None and (found := kind_of(where)) not in (None, kind):
        raise UsageError(f"{where} is a store of format {found}, not {kind}: name another directory, or no format")
    made = store_at(where, kind)
    if options.text or options.body or options.header:
        if made.kind != "parquet":
            raise UsageError("--text, --body and --header go with --format parquet")
        return archive.Parquet(where, headers=options.header, text=options.text or None, body=options.body or None)
    return made
