"""``fastimap pull``."""

from __future__ import annotations

import argparse
import errno
import logging
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from .. import archive
from ..archive.report import MailboxReport, Report
from ..archive.stores import FORMATS, store_at
from ..errors import Advice, AuthenticationFailed, ConnectionLost, FastimapError
from . import accounts, exits
from .exits import Failed, UsageError, readable
from .show import Show, octets

__all__ = ["add", "explained", "run"]

DESCRIPTION = (
    "Copy the mail of an account into a store: a Maildir unless --format says otherwise. The first run fetches all, "
    "later ones what is new. Nothing is changed on the server. A run that was cut short goes on where it stopped."
)
EPILOG = (
    "Exit code: 0 all is there; 1 failed; 2 a mistake in the arguments; 3 finished, but not all; 10 can't connect; "
    "11 the store is in use; 12 the credentials were refused; 13 stopped at a limit, run again; 130, 143 by a signal."
)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_OPTIONS = {
    "format",
    "store",
    "mailboxes",
    "exclude",
    "since",
    "before",
    "min_size",
    "max_size",
    "search",
    "limit",
    "connections",
    "deleted",
    "max_delete",
    "bwlimit",
    "budget",
    "max_octets",
}


def size(text: str | int) -> int:
    """Return the octets that ``20M`` stands for: K, M, G and T are powers of 1024."""
    found = _SIZE.fullmatch(str(text).strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500K, 20M or 2G")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " "))


def budget(text: str | int) -> int:
    """Return the octets of ``2500MB/day``."""
    return size(re.sub(r"\s*/\s*day\Z", "", str(text)))


def day(text: str | date) -> date:
    """Return a date."""
    try:
        return text if isinstance(text, date) else date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2024-01-31") from None


def number(text: str | int) -> int:
    """Return a number from 1."""
    if not str(text).isascii() or not str(text).isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="a URL, imaps://user@host, or a configured name")
    parser.add_argument("store", nargs="?", metavar="STORE", help="the directory that the mail goes to")
    parser.add_argument("--format", choices=sorted(FORMATS), help="of the store (what it is already, else maildir)")
    which = parser.add_argument_group("which messages")
    which.add_argument(
        "--mailbox", action="append", metavar="NAME", help=r"only this mailbox, or special use (\Sent); repeatable"
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
    how.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    how.add_argument("--wait", type=float, metavar="SECONDS", default=0, help="for another run on the store to end")
    how.add_argument("--bwlimit", type=size, metavar="SIZE", help="to receive a second at most")
    how.add_argument("--budget", type=budget, metavar="SIZE", help="to receive a day at most (2500M/day)")
    how.add_argument("--max-octets", type=size, metavar="SIZE", help="to write at most in this run")
    shown(parser)
    accounts.add(parser)


def shown(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that reports."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print lines of JSON, each with a message_type")
    group.add_argument("-q", "--quiet", action="store_true", help="show no progress, and no result where all is well")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more; twice: the conversation too")


def run(options: argparse.Namespace) -> int:
    """Pull."""
    source, store = options.source, options.store
    if options.account is not None and source is not None:
        if store is not None:
            raise UsageError("with --account, STORE alone is to be named")
        source, store = None, source
    given = accounts.given(options, source)
    unknown = sorted(set(given.pull) - _OPTIONS)
    if unknown:
        raise UsageError(f"accounts.{given.name}.pull: {unknown[0]!r} is not known")
    where = store or given.pull.get("store")
    if where is None:
        raise UsageError("where to? Name the store's directory")
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        arguments = _arguments(options, given.pull)
        made = store_at(where, options.format or given.pull.get("format"))
        report = archive.pull(given.account, made, progress=show.progress, **arguments)
    return _end(report, options, show)


def _arguments(options: argparse.Namespace, configured: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `archive.pull`: of the command line, else of the configuration."""
    arguments: dict[str, Any] = {"wait": options.wait, "dry_run": options.dry_run, "resume": not options.no_resume}
    arguments["newest_first"] = not options.oldest_first
    readers = {"since": day, "before": day, "min_size": size, "max_size": size, "bwlimit": size, "max_octets": size}
    readers |= {"budget": budget, "limit": number, "connections": number}
    for name in _OPTIONS - {"format", "store"}:
        value = getattr(options, "mailbox" if name == "mailboxes" else name)
        if value is None and name in configured:
            value = configured[name]
            try:
                value = readers[name](value) if name in readers else value
            except argparse.ArgumentTypeError as exc:
                raise UsageError(f"{name} in the configuration: {exc}") from None
        if value is not None:
            arguments[name] = value
    return arguments


def talk(options: argparse.Namespace) -> None:
    """Have the log on standard error."""
    if options.verbose:
        logging.basicConfig(
            stream=sys.stderr, level=logging.DEBUG if options.verbose > 1 else logging.INFO, format="%(message)s"
        )


@contextmanager
def explained(options: argparse.Namespace, show: Show) -> Iterator[None]:
    """Turn what can go wrong into a line and an exit code."""
    try:
        try:
            yield
        except Failed:
            raise
        except archive.StoreInUse as exc:
            raise Failed(f"{exc}; wait for it with --wait SECONDS", exits.IN_USE) from None
        except archive.ArchiveError as exc:
            raise Failed(str(exc)) from None
        except AuthenticationFailed as exc:
            raise Failed(f"the server refuses the credentials: {exc}", exits.REFUSED) from None
        except ConnectionLost as exc:
            raise Failed(f"can't connect: {exc}", exits.CANNOT_CONNECT) from None
        except FastimapError as exc:
            code = exits.REFUSED if exc.advice is Advice.REAUTHENTICATE else exits.FAILED
            raise Failed(str(exc), code) from None
        except (ValueError, TypeError) as exc:
            if options.verbose > 1:
                raise
            raise UsageError(str(exc)) from None
        except OSError as exc:
            full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
            text = "the disk is full" if full else str(exc)
            raise Failed(f"{text}; what is done stays done, the same command goes on") from None
        except sqlite3.OperationalError as exc:
            raise Failed(f"the state: {exc}; what is done stays done, the same command goes on") from None
    except Failed as exc:
        if options.json:
            show.line("error", error=readable(exc), code=exc.code)
        raise


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
    more += [f"{each.gone:,} gone on the server"] if each.gone else []
    more += each.notes + ([each.error] if each.error else [])
    return readable(f"{each.name}: {' + '.join(parts)}{'; ' if more else ''}{'; '.join(more)}")


def _summary(report: Report) -> str:
    if report.dry_run:
        return f"would write {report.written:,} of {report.found:,} messages to {report.store}; nothing was done"
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


def home(store: str) -> Path:
    """Return a store's path."""
    return Path(store).expanduser()
