"""Which mailboxes of an account a pull is about."""

from __future__ import annotations

from collections.abc import Sequence

from ..clients.blocking import Client
from ..model.responses import MailboxInfo
from .options import Options
from .report import MailboxReport, Report

__all__ = ["Scope", "chosen"]

_GMAIL_USES = ("\\All", "\\Trash", "\\Junk")
_LABEL = "a label: its messages are in All Mail, labels are kept with them"


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
        if client.session.has("X-GM-EXT-1"):
            found = _of_gmail(selectable, [_named(client, selectable, name) for name in options.exclude], report)
    for name in options.exclude:
        info = _named(client, selectable, name)
        if info is None:
            report.notes.append(f"exclude: there is no mailbox {name}")
        elif found.pop(info.name, None) is not None:
            report.excluded[info.name] = "exclude"
        elif report.excluded.get(info.name) == _LABEL:
            report.notes.append(
                f"exclude: {info.name} is a label: its messages are in All Mail, and are pulled from there"
            )
    return sorted(found.values(), key=lambda info: (info.name != "INBOX", info.name))


def _of_gmail(
    selectable: dict[str, MailboxInfo], exclude: Sequence[MailboxInfo | None], report: Report
) -> dict[str, MailboxInfo]:
    """Return the mailboxes by which each message is had once; all, where All Mail is not there or not wanted."""
    all_mail = [info for info in selectable.values() if "\\All" in info.special_use]
    if not all_mail:
        report.notes.append(
            "Gmail shows no All Mail (its settings have that under Labels, Show in IMAP): messages without a label are "
            "not there to be pulled, and those with several labels are pulled once for each"
        )
    if not all_mail or any(info in exclude for info in all_mail):
        return dict(selectable)
    uses = {name: info for name, info in selectable.items() if not info.special_use.isdisjoint(_GMAIL_USES)}
    report.excluded |= dict.fromkeys(sorted(selectable.keys() - uses.keys()), _LABEL)
    return uses


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
        if self.unclear or name in options.exclude:
            return False
        return options.mailboxes is None or name in options.mailboxes


def _named(client: Client, selectable: dict[str, MailboxInfo], name: str) -> MailboxInfo | None:
    if name.startswith("\\"):
        found = client.special_mailbox(name)
        return found if found is not None and found.name in selectable else None
    return selectable.get(name)
