"""``fastimap pull``."""

from __future__ import annotations

import argparse
import sys

from .. import archive
from ..archive.report import MailboxReport, Report
from ..archive.stores import FORMATS, store_at
from . import accounts, exits
from .arguments import budget, day, merged, number, shown, size
from .exits import UsageError, readable
from .running import explained, talk
from .show import Show, octets

__all__ = ["add", "run"]

DESCRIPTION = (
    "Copy the mail of an account into a store: a Maildir unless --format says otherwise. The first run fetches all, "
    "later ones what is new. Nothing is changed on the server. A run that was cut short goes on where it stopped."
)
EPILOG = (
    "Exit code: 0 all is there; 1 failed; 2 a mistake in the arguments; 3 finished, but not all; 10 can't connect; "
    "11 the store is in use; 12 the credentials were refused; 13 stopped at a limit, run again; 130, 143 by a signal."
)
_OPTIONS = {
    "format": None,
    "store": None,
    "mailboxes": None,
    "exclude": None,
    "since": day,
    "before": day,
    "min_size": size,
    "max_size": size,
    "search": None,
    "limit": number,
    "connections": number,
    "deleted": None,
    "max_delete": None,
    "bwlimit": size,
    "budget": budget,
    "max_octets": size,
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
    how.add_argument(
        "--adopt",
        action="store_true",
        help="match what mbsync or OfflineIMAP has pulled into the STORE; it becomes fastimap's",
    )
    how.add_argument("--adopt-from", metavar="DIR", help="the same with another directory, which stays as it is")
    how.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    how.add_argument("--wait", type=float, metavar="SECONDS", default=0, help="for another run on the store to end")
    how.add_argument("--bwlimit", type=size, metavar="SIZE", help="to receive a second at most")
    how.add_argument("--budget", type=budget, metavar="SIZE", help="in 24 hours at most: 2500M/day, gmail, microsoft")
    how.add_argument("--max-octets", type=size, metavar="SIZE", help="to write at most in this run")
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
    if options.adopt or options.adopt_from:
        arguments["adopt"] = options.adopt_from or True
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        made = _store(where, arguments.pop("format", None), options)
        report = archive.pull(given.account, made, progress=show.progress, **arguments)
    return _end(report, options, show)


def _store(where: str, kind: str | None, options: argparse.Namespace) -> archive.Store:
    made = store_at(where, kind)
    if options.text or options.body or options.header:
        if made.kind != "parquet":
            raise UsageError("--text, --body and --header go with --format parquet")
        return archive.Parquet(where, headers=options.header, text=options.text or None, body=options.body or None)
    return made


def _end(report: Report, options: argparse.Namespace, show: Show) -> int:
    code = exits.DONE if report.complete else exits.NOT_ALL
    if report.stopped is not None:
        code = exits.LIMIT
    elif report.dry_run and not report.failed:
        code = exits.DONE
    if options.json:
        for name, error in report.failed.items():
            show.line("error", mailbox=name, error=readable(error))
        show.line("summary", code=code, **report.as_dict())
        return code
    if not options.quiet or code != exits.DONE:
        for each in report.mailboxes.values():
            if not each.complete or each.notes or options.verbose:
                print(_line(each), file=sys.stderr)
                for uid, reason in each.parked.items():
                    print(f"  UID {uid}: {readable(reason)}", file=sys.stderr)
        if report.held_back:
            print(f"{readable(report.held_back)}; see --max-delete", file=sys.stderr)
        if report.stopped:
            when = f"; go on at {report.go_on_at:%Y-%m-%d %H:%M} UTC" if report.go_on_at else "; run it again"
            print(f"stopped: {report.stopped}{when}", file=sys.stderr)
        print(_summary(report))
    return code


def _line(each: MailboxReport) -> str:
    parts = [f"{each.found:,} found = {each.written:,} written + {each.present:,} there"]
    parts += [f"{count:,} excluded ({name})" for name, count in each.excluded.items()]
    if each.parked:
        parts.append(f"{len(each.parked):,} parked")
    more = [f"renamed from {each.renamed_from}"] if each.renamed_from else []
    more += [f"{each.moved:,} recognised"] if each.moved else []
    more += [f"{each.adopted:,} adopted"] if each.adopted else []
    more += [f"{each.gone:,} gone on the server"] if each.gone else []
    more += each.notes + ([each.error] if each.error else [])
    return readable(f"{each.name}: {' + '.join(parts)}{'; ' if more else ''}{'; '.join(more)}")


def _summary(report: Report) -> str:
    if report.dry_run:
        adopted = sum(each.adopted for each in report.mailboxes.values())
        text = f"would write {report.written:,} of {report.found:,} messages to {report.store}"
        return readable(text + (f", and adopt {adopted:,}" if adopted else "") + "; nothing was done")
    word = "complete" if report.complete else "NOT complete"
    text = f"{word}: {report.found:,} found = {report.written:,} written + {report.present:,} there"
    if report.excluded_messages:
        text += f" + {report.excluded_messages:,} excluded"
    if report.parked:
        text += f" + {report.parked:,} parked"
    text += f"; {octets(report.octets)} to {report.store}"
    if report.flags:
        text += f"; flags of {report.flags:,} followed"
    if report.deleted:
        text += f"; {report.deleted:,} gone"
    if report.failed:
        text += f"; {len(report.failed)} of {len(report.mailboxes)} mailboxes failed"
    return readable(text)
