"""What a run is about: mailboxes, and what of the store is theirs no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..model._shown import Record
from ..model.responses import MailboxInfo, MailboxStatus
from ..model.sequence_set import UIDSet
from .report import MailboxReport
from .state import Place

if TYPE_CHECKING:
    from .compare import Comparison

__all__ = ["Gone", "Job"]


class Job(Record):
    """A mailbox of this run."""

    name: str
    info: MailboxInfo
    report: MailboxReport
    place: Place | None = None
    status: MailboxStatus | None = None
    comparison: Comparison | None = None
    done: bool = False
    cuts: int = 0
    """Messages at which the connection ended."""
    refused: int = 0
    """Messages that were refused since one came."""


class Gone(Record):
    """Messages of the store that the server has no more where they were."""

    place: Place
    uids: UIDSet
    why: Literal["expunged", "new UIDVALIDITY", "no such mailbox"]
    job: Job | None = None
