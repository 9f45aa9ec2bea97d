"""Which mailboxes of an account a pull is about, and which is one that was known by another name."""

from __future__ import annotations

from collections.abc import Sequence

from ..clients.blocking import Client
from ..errors import CommandError
from ..model.message import FetchedMessage
from ..model.responses import MailboxInfo, MailboxStatus
from ..model.sequence_set import UIDSet
from .compare import newest
from .options import Options
from .report import MailboxReport, Report
from .state import Entry, Place, State

__all__ = ["Scope", "another_server", "chosen", "fits", "folded"]

_GMAIL_USES = ("\\All", "\\Trash", "\\Junk")


def chosen(client: Client, infos: Sequence[MailboxInfo], options: Options, report: Report) -> list[MailboxInfo]:
    """Return the mailboxes to pull, INBOX first; `report` gets those that are left out, or are not there."""
    selectable = {info.name: info for info in infos if info.is_selectable}
    found: dict[str, MailboxInfo] = {}
    if options.mailboxes is not None:
        for name in options.mailboxes:
            info = _named(client, selectable, name)
            if info is None:
                report.mailboxes[name] = MailboxReport(name, error="there is no such mailbox")
            else:
                found[info.name] = info
    else:
        found = dict(selectable)
        uses = [info for info in infos if not info.special_use.isdisjoint(_GMAIL_USES) and info.is_selectable]
        if client.session.has("X-GM-EXT-1") and any("\\All" in info.special_use for info in uses):
            found = {info.name: info for info in uses}
            for name in selectable.keys() - found.keys():
                report.excluded[name] = "a label: its messages are in All Mail, labels are kept with them"
    for name in options.exclude:
        info = _named(client, selectable, name)
        if info is not None and found.pop(info.name, None) is not None:
            report.excluded[info.name] = "exclude"
    return sorted(found.values(), key=lambda info: (info.name != "INBOX", info.name))


class Scope:
    """Which mailboxes a run is about, those too that the server does not have now.

    :param wanted: of those that it has.
    """

    def __init__(
        self, client: Client, infos: Sequence[MailboxInfo], wanted: Sequence[MailboxInfo], options: Options
    ) -> None:
        selectable = {info.name: info for info in infos if info.is_selectable}
        self._there = {info.name for info in infos}
        self._wanted = {info.name for info in wanted}
        self._options = options
        # A special use that no mailbox has: which one had it before, nobody knows.
        self.unclear: bool = any(
            name.startswith("\\") and _named(client, selectable, name) is None for name in options.exclude
        )

    def __contains__(self, name: str) -> bool:
        if name in self._there:
            return name in self._wanted
        options = self._options
        if self.unclear or folded(name) in map(folded, options.exclude):
            return False
        return options.mailboxes is None or folded(name) in map(folded, options.mailboxes)


def folded(name: str) -> str:
    """Return the name of a mailbox as the server has it: INBOX may be written in any case (RFC 9051, section 5.1)."""
    return "INBOX" if name.upper() == "INBOX" else name


def _named(client: Client, selectable: dict[str, MailboxInfo], name: str) -> MailboxInfo | None:
    if name.startswith("\\"):
        found = client.special_mailbox(name)
        return found if found is not None and found.name in selectable else None
    return selectable.get(folded(name))


def fits(client: Client, place: Place, info: MailboxInfo, status: MailboxStatus, state: State) -> bool:
    """Whether a mailbox can be the one that `place` was: UIDVALIDITY, MAILBOXID, and what its messages are like.

    Raises CommandError where the server does not let it be looked at.
    """
    if status.uid_validity != place.uid_validity:
        return False
    selected = client.select(info, read_only=True)
    if place.mailbox_id is not None and selected.mailbox_id is not None:
        return place.mailbox_id == selected.mailbox_id
    last, entries = _last(place, state)
    if not entries:
        return False
    rows = _rows(client, last)
    return bool(rows) and all(
        row.size == entries[row.uid].size and date in (None, entries[row.uid].date) for row, date in rows
    )


def another_server(client: Client, known: Sequence[tuple[Place, MailboxInfo]], state: State) -> str | None:
    """Return why a server may not be the one that mailboxes of the store are from; None: it is.

    :param known: those of the server whose names the store has.
    """
    found = {place.name: _is_the_same(client, place, info, state) for place, info in known if state.count(place)}
    for name, same in found.items():
        if same is False:
            return f"{name} has other messages under the same UIDs"
    return "no message that is known is there" if found and True not in found.values() else None


def _is_the_same(client: Client, place: Place, info: MailboxInfo, state: State) -> bool | None:
    """Whether a mailbox of the name of one that the store has is that: half of its last messages are as they were.

    A server's sizes may be wrong, somewhat, and dates of files may. None where nothing is to tell by.
    """
    try:
        selected = client.select(info, read_only=True)
        if selected.uid_validity != place.uid_validity:
            return None
        last, entries = _last(place, state)
        rows = _rows(client, last) if entries else []
    except CommandError:
        return None
    if not rows:
        return None
    alike = 0
    for row, date in rows:
        entry, size = entries[row.uid], row.size or 0
        alike += size == entry.size or (date == entry.date and abs(size - entry.size) <= entry.size // 10)
    return 2 * alike >= len(rows)


def _last(place: Place, state: State) -> tuple[UIDSet, dict[int, Entry]]:
    last = newest(state.uids(place), 50)
    return last, {entry.uid: entry for entry in state.some(place, last) if not entry.gone}


def _rows(client: Client, uids: UIDSet) -> list[tuple[FetchedMessage, int | None]]:
    return [
        (row, None if row.internal_date is None else int(row.internal_date.timestamp()))
        for row in client.fetch(uids, "RFC822.SIZE", "INTERNALDATE")
        if row.uid in uids
    ]
