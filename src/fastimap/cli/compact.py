"""``fastimap compact``."""

from __future__ import annotations

import argparse

from .. import archive
from ..archive.stores import kind_of
from . import exits
from .arguments import patience, shown
from .exits import UsageError
from .running import explained, talk
from .show import Show

__all__ = ["add", "run"]

DESCRIPTION = (
    "Have the mail of a Parquet store in few files again: each run adds some. What has changed since is written into "
    "them. Wherever this is cut short, all is there once."
)
EPILOG = "Exit code: 0 done; 1 failed; 2 a mistake in the arguments; 11 the store is in use."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("store", metavar="STORE", help="the store's directory, or s3://bucket")
    parser.add_argument("--of", action="append", metavar="USER@HOST", help="only the mail of this account; repeatable")
    parser.add_argument("--remove-expunged", action="store_true", help="remove for good what the server has no more")
    parser.add_argument("--wait", type=patience, metavar="SECONDS", default=0, help="for a run on the store to end")
    shown(parser)


def run(options: argparse.Namespace) -> int:
    """Compact."""
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        kind = kind_of(options.store)
        if kind != "parquet":
            found = f"it is of format {kind}" if kind else "there is none"
            raise UsageError(f"{options.store} is no Parquet store: {found}")
        done = archive.compact(
            options.store, accounts=options.of, expunged=not options.remove_expunged, wait=options.wait
        )
    if options.json:
        values = {"files_before": done.files_before, "files": done.files, "rows_removed": done.rows_removed}
        orphans = {"orphans_removed": done.orphans_removed, "orphans_kept": done.orphans_kept}
        show.line("summary", code=exits.DONE, **values, **orphans)
    elif not options.quiet:
        removed = (
            f"; {done.orphans_removed:,} files of runs that were cut short removed" if done.orphans_removed else ""
        )
        print(f"{done.files_before:,} files became {done.files:,}; {done.rows_removed:,} rows removed{removed}")
        for name in done.orphans_kept:
            print(f"{name} is kept: no manifest names it, and it has mail that no other file has")
    return exits.DONE
