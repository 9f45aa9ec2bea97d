"""``fastimap status``."""

from __future__ import annotations

import argparse

from ..archive.state import State
from ..archive.stores import kind_of, store_at
from . import exits
from .exits import UsageError, counted, readable
from .running import explained
from .show import Show

__all__ = ["add", "run"]

DESCRIPTION = "Say what a store holds, mailbox by mailbox, and how far its last run came. Nothing is asked of a server."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("store", metavar="STORE", help="the store's directory")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each mailbox")
    parser.set_defaults(verbose=0)


def run(options: argparse.Namespace) -> int:
    """Say it."""
    with Show(as_json=options.json) as show, explained(options, show):
        if kind_of(options.store) is None:
            raise UsageError(f"{options.store} is no store of fastimap")
        with store_at(options.store).look() as state:
            whole = _tell(state, options, show)
    return exits.DONE if whole else exits.NOT_ALL


def _tell(state: State, options: argparse.Namespace, show: Show) -> bool:
    """Say what there is; return whether all is there of what the last runs were to pull."""
    places = state.places(former=True)
    left = state.to_come()
    whole = bool(places) and not left
    if not places and not options.json:
        print("nothing was ever pulled into it")
    for place in places:
        messages, gone, parked = state.count(place), state.count(place, gone=True), state.parked(place)
        done = not place.current or (state.has_ended(place) and not parked)
        whole = whole and done
        if options.json:
            show.line(
                "mailbox",
                account=place.account,
                mailbox=place.name,
                uid_validity=place.uid_validity,
                current=place.current,
                messages=messages,
                gone=gone,
                parked={str(uid): reason for uid, reason in parked.items()},
                complete=done,
                path=place.path,
            )
            continue
        more = [f"{gone:,} gone on the server"] if gone else []
        more += [f"{len(parked):,} parked"] if parked else []
        more += ["the server has it no more"] if not place.current else []
        more += ["its last run did not end"] if not done and not parked else []
        print(readable(f"{place.account} {place.name}: {', '.join([counted(messages, 'message'), *more])}"))
    for account, mailbox in left:
        if options.json:
            show.line(
                "mailbox",
                account=account,
                mailbox=mailbox,
                uid_validity=None,
                current=True,
                messages=0,
                gone=0,
                parked={},
                complete=False,
                path=None,
            )
        else:
            print(readable(f"{account} {mailbox}: nothing of it has been pulled yet"))
    return whole
