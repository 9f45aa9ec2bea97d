"""The command line: ``fastimap``, or ``python -m fastimap``."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from dataclasses import replace
from typing import NoReturn

from . import __version__
from .demo import report
from .demo.account import parse_url
from .demo.comparison import Comparison, compare_mailbox, compare_synthetic
from .demo.errors import DemoError, UsageError
from .demo.progress import Progress

PASSWORD_VARIABLE = "FASTIMAP_PASSWORD"


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the program with `arguments` (None: the process's own) and return its exit status.

    0 is success, 1 a demo that failed, 2 a mistake in the arguments, 130 an interrupt.
    """
    options = _parser().parse_args(arguments)
    try:
        _demo(options)
    except DemoError as exc:
        # What a server says may hold line ends and worse.
        text = "".join(letter if letter.isprintable() else " " for letter in str(exc))
        print(f"fastimap demo: {text}", file=sys.stderr)
        return 2 if isinstance(exc, UsageError) else 1
    except KeyboardInterrupt:
        print("fastimap demo: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastimap", description="A fast IMAP client for Python.")
    parser.add_argument("--version", action="version", version=f"fastimap {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    demo = commands.add_parser(
        "demo",
        help="fetch the same mail with imaplib and with fastimap, and compare",
        description=(
            "Fetch the same mail with the standard library's imaplib, with fastimap.imaplib and with fastimap.Client "
            "in turn, check that the octets are equal, and print what each took. Without a URL, the mail is synthetic, "
            "on a server of the package's own. With one, it is yours, and is not changed; the password is read from "
            f"{PASSWORD_VARIABLE}, or asked for."
        ),
    )
    demo.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="imaps://user@host/mailbox, or imap:// for STARTTLS; other characters in names percent-encoded",
    )
    demo.add_argument(
        "--messages", type=_positive, metavar="N", help="how many synthetic messages, without a URL (2000)"
    )
    demo.add_argument("--limit", type=_positive, metavar="N", help="with a URL: how many of the newest messages (500)")
    demo.add_argument("--rounds", type=_positive, metavar="N", help="how often each fetches all (7; with a URL 3)")
    demo.add_argument("--insecure", action="store_true", help="with an imap:// URL: send the password without TLS")
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999999")
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    comparison = _compare(options)
    print(report.environment())
    print(report.summary(comparison))
    for items, measures in comparison.measures.items():
        print(f"\nFETCH {items}\n{report.table(measures)}")


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
