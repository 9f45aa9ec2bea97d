"""What is new, gone and changed in a mailbox since the last run: by QRESYNC, by CONDSTORE, or by comparing all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .. import search
from ..clients.blocking import Client
from ..commands.select import QResync, SelectedMailbox
from ..errors import FastimapError
from ..model._shown import Record, fresh
from ..model.message import FetchedMessage, has_uid
from ..model.responses import MailboxName, MailboxStatus
from ..model.sequence_set import UIDSet
from .messages import extra_of, flags_of, items_about
from .options import Options
from .state import Mark, Place, State

__all__ = ["Change", "Comparison", "compare", "flag_changes", "newest", "unchanged"]

_FEW = 20_000
"""Messages that may have come since the last run for QRESYNC to list them: it does so in one answer."""
_MANY = 100_000
"""Messages of a mailbox for QRESYNC to list those that changed, where the server can list all UIDs in short."""
_TRIES = 5


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
    excluded: dict[str, int] = fresh(factory=dict)
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


def unchanged(place: Place, status: MailboxStatus, state: State, rules: str) -> bool:
    """Whether a mailbox is as it was when all of it was accounted for."""
    mark = place.mark
    return (
        mark is not None
        and mark.mod_sequence is not None
        and mark.rules == rules
        and (status.uid_validity, status.messages, status.uid_next, status.highest_mod_sequence)
        == (place.uid_validity, mark.exists, mark.uid_next, mark.mod_sequence)
        and not state.parked(place)
        and mark.exists == state.count(place) + sum(mark.excluded.values())
    )


def compare(
    client: Client,
    name: MailboxName,
    place: Place | None,
    state: State,
    options: Options,
    status: MailboxStatus | None = None,
) -> Comparison:
    """Examine a mailbox and say what there is to do."""
    rules = options.rules_text()
    mark = place.mark if place is not None and options.resume else None
    whole = options.store.uids is None and not rules
    if place is not None and mark is not None and mark.mod_sequence is not None and whole and not mark.rules:
        quick = _by_qresync(client, name, place, mark, state, status)
        if quick is not None:
            return quick
    condstore = client.session.has("CONDSTORE") or client.session.has("QRESYNC")
    selected = client.select(name, read_only=True, condstore=condstore)
    there = _listed(client, selected)
    if options.store.uids is not None:
        there &= options.store.uids
    if place is not None and place.uid_validity != selected.uid_validity:
        place = mark = None
    found = Comparison(selected, found=len(there), way="all UIDs")
    known = state.uids(place) if place is not None else UIDSet()
    found.gone = known - there
    known &= there
    found.present = len(known)
    found.new = _filtered(client, there - known, known, options, found.excluded)
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
    if selected.uid_validity != place.uid_validity or selected.highest_mod_sequence is None:
        return None
    known = state.count(place)
    rows = {row.uid: row for row in selected.changed if has_uid(row)}
    ours = {entry.uid: entry for entry in state.some(place, UIDSet(rows)) if not entry.gone}
    gone = UIDSet(entry.uid for entry in state.some(place, selected.vanished) if not entry.gone)
    found = Comparison(selected, found=selected.exists, gone=gone, way="QRESYNC")
    found.new = UIDSet(uid for uid in rows if uid not in ours) | (UIDSet(state.parked(place)) - selected.vanished)
    found.present = known - len(gone)
    if found.present + len(found.new) != selected.exists:
        return None  # what the server says does not add up, or something came meanwhile: compare all
    items = items_about(client)
    rows = {uid: row for uid, row in rows.items() if uid in ours}
    if items and rows:
        rows = {row.uid: row for row in client.fetch_iter(UIDSet(rows), "FLAGS", *items) if has_uid(row)}
    for uid, row in rows.items():
        flags, extra = flags_of(row), extra_of(row)
        if row.flags is not None and (flags, extra) != (ours[uid].flags, ours[uid].extra):
            found.changes.append(Change(uid, flags, extra))
    found.mark = _mark(selected, selected.exists, "", {})
    return found


def _listed(client: Client, selected: SelectedMailbox) -> UIDSet:
    """Return the UIDs of all messages; as many as the server says that there are."""
    exists: int | None = selected.exists
    for _ in range(_TRIES):
        if not exists:
            return UIDSet()
        uids = client.search(search.all_).uids
        exists = client.session.exists
        if len(uids) == exists:
            return uids
        client.noop()
        exists = client.session.exists
        if len(uids) == exists:
            return uids
    raise FastimapError(f"the server says that there are {exists} messages, and lists {len(uids)}")


def _filtered(client: Client, new: UIDSet, known: UIDSet, options: Options, excluded: dict[str, int]) -> UIDSet:
    """Return those of the new messages that the rules want; count the others by rule."""
    for rule in options.rules():
        if not new:
            break
        wanted = new & client.search(rule.key).uids
        if len(wanted) != len(new):
            excluded[rule.name] = len(new) - len(wanted)
        new = wanted
    if options.limit is not None and new:
        wanted = newest(new | known, options.limit)
        if len(wanted & new) != len(new):
            excluded["limit"] = len(new) - len(wanted & new)
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
                flags, extra = flags_of(row), extra_of(row)
                if (flags, extra) != (entry.flags, entry.extra):
                    yield Change(entry.uid, flags, extra)
