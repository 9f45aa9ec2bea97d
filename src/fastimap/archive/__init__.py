"""Mail at volume: pull an account into a store, exactly once, with every message accounted for.

::

    from fastimap import Account, archive

    report = archive.pull(Account("imap.example.org", user="ann", password=password), "~/Mail")
    if not report.complete:
        print(report.failed, report.parked)

`pull` blocks; `fastimap.archive.aio.pull` is awaited.
"""

from __future__ import annotations

from . import aio
from ._pull import pull
from .errors import ArchiveError, StoreError, StoreInUse
from .report import MailboxReport, Progress, Report
from .state import Entry, Place, State
from .stores.base import Message, Store
from .stores.maildir import Maildir

__all__ = [
    "ArchiveError",
    "Entry",
    "MailboxReport",
    "Maildir",
    "Message",
    "Place",
    "Progress",
    "Report",
    "State",
    "Store",
    "StoreError",
    "StoreInUse",
    "aio",
    "pull",
]
