"""``fastimap demo``: the same mail by imaplib and by fastimap."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from dataclasses import replace

from ..demo import report
from ..demo.account import parse_url
from ..demo.comparison import Comparison, compare_mailbox, compare_synthetic
from ..demo.errors import DemoError, UsageError
from ..demo.progress import Progress
from . import exits

PASSWORD_VARIABLE = "FASTIMAP_PASSWORD"
DESCRIPTION = (
    "Fetch the same mail with the standard library's imaplib, with fastimap.imaplib and with fastimap.Client "
    "in turn, check that the octets are equal, and print what each took. Without a URL, the mail is made up, "
    "on a server of the package's own; then it is pulled into a Maildir, by a run that is interrupted half way and "
    "one that goes on. With a URL, it is yours, and is not changed; the password is read from "
    f"{PASSWORD_VARIABLE}, or asked for."
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    parser.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="imaps://user@host/mailbox, or imap:// for STARTTLS; other characters in names percent-encoded",
    )
    parser.add_argument(
        "--messages", type=_positive, metavar="N", help="how many made-up messages, without a URL (2000)"
    )
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help="with a URL: how many of the newest messages (500)"
    )
    parser.add_argument("--rounds", type=_positive, metavar="N", help="how often each fetches all (7; with a URL 3)")
    parser.add_argument("--insecure", action="store_true", help="with an imap:// URL: send the password without TLS")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999999")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    try:
        _demo(options)
    except DemoError as exc:
        # What a server says may hold line ends and worse.
        raise exits.Failed(str(exc), exits.USAGE if isinstance(exc, UsageError) else exits.FAILED) from None
    return exits.DONE


def _demo(options: argparse.Namespace) -> None:
    comparison = _compare(options)
    print(report.environment())
    print(report.summary(comparison))
    for items, measures in comparison.measures.items():
        print(f"\nFETCH {items}\n{report.table(measures)}")
    if comparison.pulled is not None:
        print(f"\n{report.story(comparison.pulled)}")


def _compare(options: argparse.Namespace) -> Comparison:
    if options.url is None:
        if options.limit is not None or options.insecure:
            raise UsageError("--limit and --insecure need a URL")
        with Progress() as progress:
            return compare_synthetic(options.messages or 2000, options.rounds or 7, progress)
    if options.messages is not None:
        raise UsageError("--messages is for the demo without a URL; with one, use --limit")
    account = parse_url(options.url)
    if options.insecure and account.tls:
        raise UsageError("--insecure needs an imap:// URL: imaps:// is TLS")
    account = replace(account, password=_password(account.user, account.host))
    with Progress() as progress:
        return compare_mailbox(account, options.limit or 500, options.rounds or 3, progress, insecure=options.insecure)


def _password(user: str, host: str) -> str:
    if (password := os.environ.get(PASSWORD_VARIABLE)) is not None:
        return password
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to ask for the password: set {PASSWORD_VARIABLE}")
    try:
        return getpass.getpass(f"Password of {user} at {host}: ")
    except EOFError:
        raise UsageError("no password was given") from None
