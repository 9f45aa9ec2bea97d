"""Which mailboxes of an account a pull is about, and which is one that was known by another name."""

from __future__ import annotations

from collections.abc import Sequence

from ..clients.blocking import Client
from ..model.responses import MailboxInfo, MailboxStatus
from .compare import newest
from .options import Options
from .report import MailboxReport, Report
from .state import Place, State

__all__ = ["chosen", "fits", "folded", "is_another", "named"]

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


def named(name: str, options: Options) -> bool:
    """Whether a pull is about a mailbox of this name, which the server does not have now."""
    if folded(name) in map(folded, options.exclude):
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
    """Whether a mailbox can be the one that `place` was: UIDVALIDITY, MAILBOXID, and what its messages are like."""
    if status.uid_validity != place.uid_validity:
        return False
    selected = client.select(info, read_only=True)
    if place.mailbox_id is not None and selected.mailbox_id is not None:
        return place.mailbox_id == selected.mailbox_id
    return _alike(client, place, state) is True


def is_another(client: Client, place: Place, info: MailboxInfo, state: State) -> bool:
    """Whether a mailbox of the name and UIDVALIDITY of one that the store has is not that: it has other messages."""
    selected = client.select(info, read_only=True)
    return selected.uid_validity == place.uid_validity and _alike(client, place, state) is False


def _alike(client: Client, place: Place, state: State) -> bool | None:
    """Whether the last messages of `place` are those of the selected mailbox; None where there are none to tell by."""
    last = newest(state.uids(place), 50)
    entries = {entry.uid: entry for entry in state.some(place, last) if not entry.gone}
    if not entries:
        return None
    for row in client.fetch(last, "RFC822.SIZE", "INTERNALDATE"):
        entry = entries[row.uid or 0]
        if row.size != entry.size or (row.internal_date and int(row.internal_date.timestamp()) != entry.date):
            return False
    return True
