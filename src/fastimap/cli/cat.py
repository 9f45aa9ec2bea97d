"""``fastimap cat``."""

from __future__ import annotations

import argparse
import base64
import sys
from typing import TYPE_CHECKING

from . import accounts, exits
from .arguments import shown
from .exits import Failed, UsageError, readable
from .mailboxes import connected, look_into, named
from .running import explained, talk
from .show import Show

if TYPE_CHECKING:
    from ..model.row import FetchedMessage

__all__ = ["add", "run"]

DESCRIPTION = (
    "Print messages as the server has them, octet by octet, or the part of them that people read. Nothing is changed "
    "on the server."
)
EPILOG = "Exit code: 1 where there is no such message; else as for pull."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="a URL, imaps://user@host, or a configured name")
    parser.add_argument("mailbox", nargs="?", metavar="MAILBOX", help=r"a name, or a special use (\Sent)")
    parser.add_argument("uids", nargs="?", metavar="UIDS", help="a UID, or a set of them: 1:4,9")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--headers", action="store_true", help="the header alone")
    what.add_argument("--readable", action="store_true", help="the text, decoded, after sender, date and subject")
    shown(parser)
    accounts.add(parser)


def _as_json(octets: bytes) -> dict[str, str]:
    try:
        return {"message": octets.decode("utf-8")}
    except UnicodeDecodeError:
        return {"message_base64": base64.b64encode(octets).decode("ascii")}


def _text(row: FetchedMessage) -> str:
    """Return a message as people read it."""
    names = ("From", "To", "Cc", "Date", "Subject")
    lines = [f"{name}: {row.headers[name]}" for name in names if name in row.headers]
    lines += [f"Attachment: {each.name or each.media_type}" for each in row.attachments or ()]
    body = (row.text or row.html or "").replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(readable(part) for part in line.split("\t")) for line in [*lines, "", *body])


def run(options: argparse.Namespace) -> int:
    """Print them."""
    if options.account is not None:
        if options.uids is not None:
            raise UsageError("with --account, MAILBOX and UIDS alone are to be named")
        options.source, options.mailbox, options.uids = None, options.source, options.mailbox
    if options.json and options.readable:
        raise UsageError("--json has the octets, --readable is for people: give one of them")
    if options.uids is None:
        raise UsageError("which message? Name a mailbox and a UID; fastimap search finds them")
    talk(options)
    with Show(as_json=options.json, quiet=True) as show, explained(options, show):
        from ..model.sequence_set import UIDSet

        uids = UIDSet(options.uids)
        with connected(options) as client:
            look_into(client, named(client, options.mailbox))
            found = []
            for row in client.fetch_iter(uids, "BODY.PEEK[HEADER]" if options.headers else "BODY.PEEK[]"):
                found.append(row.uid)
                octets = row.section("HEADER") if options.headers else row.body
                if octets is None:
                    raise Failed(f"UID {row.uid}: the server does not give it")
                if options.json:
                    show.line("message", mailbox=options.mailbox, uid=row.uid, **_as_json(octets))
                elif options.readable:
                    print(_text(row))
                else:
                    sys.stdout.buffer.write(octets)
                    sys.stdout.buffer.flush()
    is_a_range = any(letter in options.uids for letter in ":*")
    if not found or not is_a_range:
        missing = options.uids if is_a_range else uids - UIDSet(found)
        if missing:
            raise Failed(f"{options.mailbox} has no message with UID {missing}")
    return exits.DONE
