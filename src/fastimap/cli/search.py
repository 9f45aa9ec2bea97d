"""``fastimap search``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..model._patterns import pattern
from . import accounts, exits
from .arguments import day, number, shown, size
from .exits import Failed, UsageError, readable, say
from .mailboxes import connected, look_into, named
from .running import explained, talk
from .show import Show

if TYPE_CHECKING:
    from ..clients.blocking import Client
    from ..model.row import FetchedMessage
    from ..model.sequence_set import UIDSet
    from ..search import SearchKey

__all__ = ["add", "run"]

DESCRIPTION = (
    "Have the server search mailboxes, and list what it finds, the newest first: mailbox, UID, date, octets, sender, "
    "subject. What several options say has to hold all together. Nothing is changed on the server."
)
_WORD = pattern(r'[^\s"(){%*\\]+|"(?:[^"\\]|\\.)*"')
"""Text that can stand in a search program as it is."""
_TEXT_KEYS = ("BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO")
EPILOG = "Exit code: 0 also where nothing is found; 3 some mailboxes could not be searched; else as for pull."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="a URL, imaps://user@host, or a configured name")
    parser.add_argument(
        "program", nargs="*", metavar="PROGRAM", help="a search program of IMAP's: UNSEEN OR FROM ann FROM bob (all)"
    )
    which = parser.add_argument_group("which messages")
    where = which.add_mutually_exclusive_group()
    where.add_argument(
        "--mailbox",
        action="append",
        metavar="NAME",
        help=r"in this mailbox, or special use (\Sent); repeatable (INBOX)",
    )
    where.add_argument("--everywhere", action="store_true", help="in every mailbox")
    for name in ("from", "to", "subject"):
        which.add_argument(f"--{name}", metavar="TEXT", help=f"with this in {name.capitalize()}")
    which.add_argument("--text", metavar="TEXT", help="with this anywhere")
    which.add_argument("--unseen", action="store_true", help=r"without the flag \Seen")
    which.add_argument("--flagged", action="store_true", help=r"with the flag \Flagged")
    which.add_argument("--since", type=day, metavar="DATE", help="that came on this day or later (2024-01-31)")
    which.add_argument("--before", type=day, metavar="DATE", help="that came before this day")
    which.add_argument("--min-size", type=size, metavar="SIZE", help="of this size at least (500K, 20M)")
    which.add_argument("--max-size", type=size, metavar="SIZE", help="of this size at most")
    how = parser.add_argument_group("how")
    how.add_argument("--limit", type=number, metavar="N", help="of each mailbox, list the newest N (100)")
    how.add_argument("--all", action="store_true", help="list all that is found")
    how.add_argument("--uids", action="store_true", help="print the UIDs alone, as a set: 1:4,9")
    shown(parser)
    accounts.add(parser)


def run(options: argparse.Namespace) -> int:
    """Search."""
    if options.account is not None and options.source is not None:
        options.program, options.source = [options.source, *options.program], None
    if options.program and options.program[0].upper() == "INBOX":
        raise UsageError(f"{options.program[0]} is no search key: a mailbox is named by --mailbox")
    talk(options)
    with Show(as_json=options.json, quiet=True) as show, explained(options, show):
        key = _key(options)
        with connected(options) as client:
            if options.everywhere:
                names = sorted(info.name for info in client.list_mailboxes() if info.is_selectable)
                names.sort(key=lambda name: name != "INBOX")
            else:
                names = options.mailbox or ["INBOX"]
            failed = False
            for name in names:
                try:
                    found = name if options.everywhere else named(client, name)
                    look_into(client, found)
                except Failed as exc:  # as where the account may see a mailbox, and not read it
                    if len(names) == 1 and not options.everywhere:
                        raise
                    failed = True
                    _tell_failed(name, exc, show)
                else:
                    _tell(client, found, client.search(key).uids, options, show)
    return exits.NOT_ALL if failed else exits.DONE


def _program(words: list[str]) -> str:
    """Return a search program; text with spaces is quoted, which the shell has taken the quotes from."""
    found = []
    for index, word in enumerate(words):
        takes_text = words[index - 1].upper() in _TEXT_KEYS if index else False
        takes_text = takes_text or (index > 1 and words[index - 2].upper() == "HEADER")
        if takes_text and not _WORD.fullmatch(word):
            word = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
        found.append(word)
    return " ".join(found)


def _key(options: argparse.Namespace) -> SearchKey:
    from .. import search

    keys: list[SearchKey] = [search.raw(_program(options.program))] if options.program else []
    for name, function in (("from", search.from_), ("to", search.to), ("subject", search.subject)):
        if getattr(options, name) is not None:
            keys.append(function(getattr(options, name)))
    keys += [search.text(options.text)] if options.text is not None else []
    keys += [search.unseen] if options.unseen else []
    keys += [search.flagged] if options.flagged else []
    keys += [search.since(options.since)] if options.since else []
    keys += [search.before(options.before)] if options.before else []
    keys += [search.larger(options.min_size - 1)] if options.min_size else []
    keys += [search.smaller(options.max_size + 1)] if options.max_size is not None else []
    return search.all_of(keys) if keys else search.all_


def _tell_failed(name: str, why: Failed, show: Show) -> None:
    if show.as_json:
        show.line("error", mailbox=name, error=readable(why.__cause__ or why))
    else:
        say(why)


def _tell(client: Client, name: str, found: UIDSet, options: argparse.Namespace, show: Show) -> None:
    from ..model.sequence_set import UIDSet

    if options.uids:
        if options.json:
            show.line("found", mailbox=name, uids=str(found))
        elif found:
            print(readable(f"{name} {found}") if options.everywhere or options.mailbox else found)
        return
    uids = list(found)
    listed = uids if options.all else uids[-(options.limit or 100) :]
    rows = {row.uid: row for row in client.fetch(UIDSet(listed), "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE")}
    for uid in reversed(listed):
        if uid in rows:
            _message(name, rows[uid], show)
    if len(listed) < len(uids) and not options.json and not options.quiet:
        say(f"{name}: {len(listed):,} of {len(uids):,} found; --all lists them")


def _message(name: str, row: FetchedMessage, show: Show) -> None:
    envelope = row.envelope
    sender = envelope.author if envelope is not None else None
    subject = (envelope.subject or "") if envelope is not None else ""
    date = row.internal_date
    if show.as_json:
        show.line(
            "message",
            mailbox=name,
            uid=row.uid,
            date=None if date is None else date.isoformat(),
            size=row.size,
            flags=sorted(row.flags or ()),
            **{"from": None if sender is None else sender.email},
            subject=subject,
            message_id=None if envelope is None else envelope.message_id,
        )
        return
    who = "" if sender is None else sender.name or sender.email or ""
    when = f"{date:%Y-%m-%d %H:%M}" if date is not None else " " * 16
    print(readable(f"{name} {row.uid:>7}  {when} {row.size or 0:>10,}  {who[:24]:<24}  {subject}").rstrip())
