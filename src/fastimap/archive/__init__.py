"""Mail at volume: pull an account into a store, exactly once, with every message accounted for.

::

    from fastimap import Account, archive

    report = archive.pull(Account("imap.example.org", user="ann", password=password), "~/Mail")
    if not report.complete:
        print(report.failed, report.parked)

`pull` blocks; `fastimap.archive.aio.pull` is awaited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy
from ._homes import HOMES

if TYPE_CHECKING:  # tools/generate_methods.py makes _homes.py of these lines
    from . import aio
    from ._compact import Compaction, compact
    from ._migrate import migrate
    from ._pull import pull
    from ._push import push
    from ._read import read
    from ._verify import Difference, Verification, verify
    from .budgets import Budget
    from .credentials import FromCommand, FromEnvironment, FromFile
    from .errors import ArchiveError, SecretError, StoreError, StoreInUse, WorkersLost
    from .many import AccountReport, ManyProgress, pull_many
    from .report import MailboxReport, Progress, Report
    from .state import Entry, Place, State
    from .stores.base import Message, Store
    from .stores.eml import EmlDirectory
    from .stores.jsonlines import JSONLines, JSONLinesZstd, read_jsonlines
    from .stores.maildir import Maildir
    from .stores.mbox import Mbox
    from .stores.parquet import Parquet
    from .stores.sqlite import SQLite
else:  # a pull does not pay for what moves mail, nor for asyncio
    __getattr__, __dir__ = lazy(__name__, HOMES)

__all__ = [
    "AccountReport",
    "ArchiveError",
    "Budget",
    "Compaction",
    "Difference",
    "EmlDirectory",
    "Entry",
    "FromCommand",
    "FromEnvironment",
    "FromFile",
    "JSONLines",
    "JSONLinesZstd",
    "MailboxReport",
    "Maildir",
    "ManyProgress",
    "Mbox",
    "Message",
    "Parquet",
    "Place",
    "Progress",
    "Report",
    "SQLite",
    "SecretError",
    "State",
    "Store",
    "StoreError",
    "StoreInUse",
    "Verification",
    "WorkersLost",
    "aio",
    "compact",
    "migrate",
    "pull",
    "pull_many",
    "push",
    "read",
    "read_jsonlines",
    "verify",
]
