"""Which mailboxes of an account a pull is about."""

from __future__ import annotations

from collections.abc import Sequence

from ..clients.blocking import Client
from ..model.mailbox_name import folded
from ..model.responses import MailboxInfo
from .options import Options
from .report import MailboxReport, Report

__all__ = ["Scope", "chosen"]

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
        self._there = selectable.keys()
        self._wanted = {info.name for info in wanted}
        self._options = options
        # A special use that no mailbox has now: it may have been any of the store's.
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


def _named(client: Client, selectable: dict[str, MailboxInfo], name: str) -> MailboxInfo | None:
    if name.startswith("\\"):
        found = client.special_mailbox(name)
        return found if found is not None and found.name in selectable else None
    return selectable.get(folded(name))
