"""What is new, gone and changed in a mailbox since the last run: by QRESYNC, by CONDSTORE, or by comparing all."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import NamedTuple

from .. import search
from ..clients.blocking import Client
from ..commands.select import QResync, SelectedMailbox
from ..errors import FastimapError
from ..model._digest import sha256
from ..model._shown import Record, fresh
from ..model.responses import MailboxName, MailboxStatus
from ..model.row import FetchedMessage, has_uid
from ..model.sequence_set import UIDSet
from .messages import date_of, extra_now, flags_of, has_condstore, items_about
from .options import Options
from .state import Mark, Place, State

__all__ = [
    "Change",
    "Comparison",
    "all_listed",
    "compare",
    "expunged_of",
    "flag_changes",
    "listed",
    "newest",
]

_FEW = 20_000
"""Messages that may have come since the last run for QRESYNC to list them: it does so in one answer."""
_MANY = 100_000
"""Messages of a mailbox for QRESYNC to list those that changed, where the server can list all UIDs in short."""
_TRIES = 5
_CHUNK = 2000
_LAST = 20
"""Messages of which the octets are compared."""


class Change(NamedTuple):
    """Other flags, or labels."""

    uid: int
    flags: str
    extra: str | None


class Comparison(Record):
    """A mailbox of the server beside the one in the store."""

    selected: SelectedMailbox
    found: int = 0
    new: UIDSet = fresh(factory=UIDSet)
    """To be fetched, those too that could not be had before."""
    present: int = 0
    gone: UIDSet = fresh(factory=UIDSet)
    left_out: dict[str, UIDSet] = fresh(factory=dict)
    """Not to be fetched, by which rule."""
    changes: list[Change] = fresh(factory=list)
    """Other flags and labels, as far as they are known already;"""
    unsure: UIDSet = fresh(factory=UIDSet)
    """and the messages that the server is to be asked for them (`flag_changes`):"""
    since: int | None = None
    """by what changed after this mod-sequence; None: by comparing all."""
    mark: Mark = fresh(factory=Mark)
    """What it is like now."""
    way: str = ""
    """How it was compared."""

    @property
    def excluded(self) -> dict[str, int]:
        """How many are left out, by which rule."""
        return {rule: len(uids) for rule, uids in self.left_out.items() if uids}

    @property
    def unknown(self) -> UIDSet:
        """What the server has and the store does not, whether it is to be fetched or not."""
        return functools.reduce(operator.or_, self.left_out.values(), self.new)

    def recognised(self, uids: UIDSet) -> None:
        """Note that messages are in the store, so that none of them is to be fetched, nor left out."""
        self.new -= uids
        self.left_out = {rule: left - uids for rule, left in self.left_out.items()}


def compare(
    client: Client,
    name: MailboxName,
    place: Place | None,
    state: State,
    options: Options,
    status: MailboxStatus | None = None,
) -> Comparison:
    """Examine a mailbox and say what there is to do. Raises FastimapError, where not all of it can be read too."""
    if place is not None:
        options.store.check_whole(place)
    rules = options.rules_text()
    mark = place.mark if place is not None and options.resume else None
    whole = options.store.uids is None and not rules
    if place is not None and mark is not None and mark.mod_sequence is not None and whole and not mark.rules:
        quick = _by_qresync(client, name, place, mark, state, status)
        if quick is not None:
            return quick
    selected = client.select(name, read_only=True, condstore=has_condstore(client))
    odd = place is not None and place.uid_validity == selected.uid_validity and _is_odd(place, selected)
    there, exists = all_listed(client, selected.exists)
    unlisted = exists - len(there)
    if options.store.uids is not None:
        there &= options.store.uids
    if place is not None and place.uid_validity != selected.uid_validity:
        place = mark = None
    # Where the server lists others than it has, what it lists is pulled, and the sum says that it is not all.
    found = Comparison(selected, found=len(there) + unlisted, way="all UIDs")
    known = state.uids(place) if place is not None else UIDSet()
    found.gone = UIDSet() if unlisted else known - there
    known &= there
    if place is not None:
        away = state.uids(place, gone=True) & there
        _check_same(client, place, (known | away) if odd else away, away, state)
        mark = None if odd else mark
    found.present = len(known)
    found.new = _filtered(client, there - known, known, options, found.left_out)
    found.mark = _mark(selected, len(there), rules, found.excluded)
    if place is not None and known:
        since = mark.mod_sequence if mark is not None else None
        if since is not None and selected.highest_mod_sequence is not None:
            found.way = "CONDSTORE"
            found.since = since
            found.unsure = known if selected.highest_mod_sequence != since else UIDSet()
        else:
            found.way = "UIDs and flags"
            found.unsure = known
    return found


def _is_odd(place: Place, selected: SelectedMailbox) -> bool:
    """Whether a mailbox has gone back, or is another one under its UIDVALIDITY: by a backup, or a server's fault."""
    mark = place.mark or Mark()
    numbers = ((mark.uid_next, selected.uid_next), (mark.mod_sequence, selected.highest_mod_sequence))
    ids = (place.mailbox_id, selected.mailbox_id)
    return any((before or 0) > now for before, now in numbers if now is not None) or (
        None not in ids and ids[0] != ids[1]
    )


def _check_same(client: Client, place: Place, known: UIDSet, away: UIDSet, state: State) -> None:
    """Raise FastimapError where UIDs of the selected mailbox mean other messages than the store has under them.

    :param away: those of them that were not on the server for a while.
    """
    unlike: list[int] = []
    for chunk in known.chunks(_CHUNK):
        entries = {entry.uid: entry for entry in state.some(place, chunk)}
        for row in client.fetch_iter(chunk, "RFC822.SIZE", "INTERNALDATE"):
            entry = entries.get(row.uid or 0)
            if entry is not None and (row.size, date_of(row)) != (entry.size, entry.date):
                unlike.append(entry.uid)
    # A server's sizes and dates may be wrong, and messages of one size come at one time: the octets tell.
    last = newest(UIDSet(unlike), _LAST) | newest(away, _LAST)
    digests = {entry.uid: entry.digest for entry in state.some(place, last)}
    others = [
        row.uid
        for row in (client.fetch_iter(last, "BODY.PEEK[]") if last else ())
        if has_uid(row) and row.body is not None and digests.get(row.uid)
        if sha256(row.body) != digests[row.uid]
    ]
    if others:
        raise FastimapError(
            f"its UIDs mean other messages now than those in the store ({UIDSet(others)}), as after a backup: pull it "
            "into another store, or under another name (name=, --name), so that what is there is kept"
        )


def _mark(selected: SelectedMailbox, exists: int, rules: str, excluded: dict[str, int]) -> Mark:
    return Mark(exists, selected.uid_next, selected.highest_mod_sequence, rules, dict(excluded))


def _by_qresync(
    client: Client, name: MailboxName, place: Place, mark: Mark, state: State, status: MailboxStatus | None
) -> Comparison | None:
    assert mark.mod_sequence is not None
    if not client.session.has("QRESYNC") or mark.uid_next is None:
        return None
    if status is None or status.uid_next is None or status.uid_next - mark.uid_next > _FEW:
        return None
    if (status.messages or 0) > _MANY and client.session.has("ESEARCH"):
        return None  # all of them may have changed, and would come in one answer; their UIDs are a short one
    if "QRESYNC" not in client.session.enabled:
        if client.session.mailbox is not None:  # then ENABLE is not allowed
            if not client.session.has("UNSELECT"):
                return None
            client.unselect()
        client.enable("QRESYNC")
    selected = client.select(name, read_only=True, qresync=QResync(place.uid_validity, mark.mod_sequence))
    if selected.uid_validity != place.uid_validity or selected.highest_mod_sequence is None or _is_odd(place, selected):
        return None
    known = state.count(place)
    rows = {row.uid: row for row in selected.changed if has_uid(row)}
    ours = {entry.uid: entry for entry in state.some(place, UIDSet(rows)) if not entry.gone}
    gone = UIDSet(entry.uid for entry in state.some(place, selected.vanished) if not entry.gone)
    found = Comparison(selected, found=selected.exists, gone=gone, way="QRESYNC")
    found.new = UIDSet(uid for uid in rows if uid not in ours) | (UIDSet(state.parked(place)) - selected.vanished)
    found.present = known - len(gone)
    away = state.uids(place, gone=True) & found.new
    if away or found.present + len(found.new) != selected.exists:
        return None  # what the server says does not add up, or something came meanwhile: compare all
    items = items_about(client)
    rows = {uid: row for uid, row in rows.items() if uid in ours}
    if items and rows:
        rows = {row.uid: row for row in client.fetch_iter(UIDSet(rows), "FLAGS", *items) if has_uid(row)}
    for uid, row in rows.items():
        flags, extra = flags_of(row), extra_now(row, ours[uid].extra)
        if row.flags is not None and (flags, extra) != (ours[uid].flags, ours[uid].extra):
            found.changes.append(Change(uid, flags, extra))
    found.mark = _mark(selected, selected.exists, "", {})
    return found


def listed(client: Client, exists: int | None) -> UIDSet:
    """Return the UIDs of all messages of the selected mailbox; as many as the server says that there are.

    Raises FastimapError where it lists others.
    """
    uids, exists = all_listed(client, exists)
    if len(uids) != exists:
        raise FastimapError(f"the server says that there are {exists} messages, and lists {len(uids)}")
    return uids


def expunged_of(client: Client, uids: UIDSet) -> UIDSet:
    """Return those of `uids` that the selected mailbox has no more.

    None where the server lists fewer messages than it says that there are: what it leaves out may be one of these.
    """
    there, exists = all_listed(client, client.session.exists)
    return uids - there if len(there) == exists else UIDSet()


def all_listed(client: Client, exists: int | None) -> tuple[UIDSet, int]:
    """Return the UIDs that the server lists, and how many messages it says that there are."""
    uids = UIDSet()
    for _ in range(_TRIES):
        if not exists:
            return UIDSet(), 0
        uids = client.search(search.all_).uids
        exists = client.session.exists
        if len(uids) == exists:
            break
        client.noop()
        exists = client.session.exists
        if len(uids) == exists:
            break
    return uids, exists or 0


def _filtered(client: Client, new: UIDSet, known: UIDSet, options: Options, left_out: dict[str, UIDSet]) -> UIDSet:
    """Return those of the new messages that the rules want; `left_out` gets the others by rule."""
    for rule in options.rules():
        if not new:
            break
        wanted = new & client.search(rule.key).uids
        if len(wanted) != len(new):
            left_out[rule.name] = new - wanted
        new = wanted
    if options.limit is not None and new:
        wanted = newest(new | known, options.limit)
        if len(wanted & new) != len(new):
            left_out["limit"] = new - wanted
        new &= wanted
    return new


def newest(uids: UIDSet, count: int) -> UIDSet:
    """Return the last so many of a set."""
    ranges: list[tuple[int, int]] = []
    for low, high in reversed(uids.ranges):
        if count <= 0:
            break
        ranges.append((max(low, high - count + 1), high))
        count -= high - low + 1
    return UIDSet.from_ranges(tuple(reversed(ranges)))


def flag_changes(client: Client, place: Place, known: UIDSet, state: State, since: int | None) -> Iterator[Change]:
    """Yield the messages of the selected mailbox that have other flags or labels than the store knows."""
    for rows in client.fetch_batches(known, "FLAGS", *items_about(client), changed_since=since):
        by_uid: dict[int, FetchedMessage] = {row.uid: row for row in rows if has_uid(row) and row.flags is not None}
        if not by_uid:
            continue
        if max(by_uid) - min(by_uid) < 10 * len(by_uid) + 100:
            entries = state.some(place, UIDSet([range(min(by_uid), max(by_uid) + 1)]))
        else:
            entries = state.some(place, UIDSet(by_uid))
        for entry in entries:
            row = by_uid.get(entry.uid)
            if row is not None and not entry.gone:
                flags, extra = flags_of(row), extra_now(row, entry.extra)
                if (flags, extra) != (entry.flags, entry.extra):
                    yield Change(entry.uid, flags, extra)
