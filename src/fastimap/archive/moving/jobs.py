"""A mailbox of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...clients.blocking import Client
from ...commands.select import SelectedMailbox
from ...errors import FastimapError, UIDValidityChanged
from ...model.responses import MailboxInfo
from ...model.sequence_set import UIDSet
from ...wire import encode
from ..compare import all_listed
from ..report import MailboxReport
from .ledger import Pair
from .sources import Box

__all__ = ["Job"]


@dataclass(slots=True)
class Job:
    """A mailbox of this run."""

    box: Box
    name: str
    """At the destination."""
    there: MailboxInfo | None
    report: MailboxReport
    pair: Pair | None = None
    selected: SelectedMailbox | None = None
    uid_next: int = 1
    uids: UIDSet = field(default_factory=UIDSet)
    """Of the source."""
    gone: UIDSet = field(default_factory=UIDSet)
    left_out: Counter[str] = field(default_factory=Counter)
    mended: int = 0
    refused: int = 0
    """In a row."""

    @property
    def known(self) -> Pair:
        """What the ledger has of it."""
        assert self.pair is not None
        return self.pair

    def uids_there(self, client: Client) -> UIDSet:
        """Return the UIDs that the destination's mailbox has now. Raises FastimapError where it lists too few."""
        if client.session.mailbox == self.name:
            client.noop()
        else:
            client.select(self.name)
        if client.session.uid_validity != self.known.uid_validity:
            raise UIDValidityChanged(self.name, self.known.uid_validity, client.session.uid_validity)
        before = client.session.exists or 0
        there, exists = all_listed(client, before)
        if len(there) < min(before, exists):  # more may have come meanwhile, by another connection
            raise FastimapError(f"the destination says that there are {exists} messages, and lists {len(there)}")
        return there

    def allowed(self, flags: Iterable[str], *, keywords: bool = True) -> list[str]:
        """Return the flags that the destination's mailbox keeps."""
        assert self.selected is not None
        permanent = self.selected.permanent_flags
        kept = None if permanent is None else {flag.lower() for flag in permanent}
        allowed = []
        for flag in flags:
            new = not flag.startswith("\\")
            if kept is not None and flag.lower() not in kept and not (new and "\\*" in kept):
                continue
            if new and not keywords:
                continue
            try:
                encode.flag(flag)
            except (ValueError, TypeError):
                continue
            allowed.append(flag)
        return allowed

    def note(self) -> None:
        """Have it in the report what the destination does not take."""
        for flag, count in sorted(self.left_out.items()):
            self.report.notes.append(f"{flag}: not taken by the destination, left out of {count}")
        if self.mended:
            self.report.notes.append(f"{self.mended} dates were not taken by the destination, and left out")
