"""What came of a run: every message of every mailbox is accounted for, or the report says that it is not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..model._shown import Record, Value, fresh
from ..model.sequence_set import UIDSet

__all__ = ["MailboxReport", "Progress", "Report"]


class MailboxReport(Record):
    """What came of one mailbox."""

    name: str
    found: int = 0
    """Messages that the server has in it."""
    written: int = 0
    """Of these, written by this run."""
    present: int = 0
    """There already; those too that were moved here, have new UIDs, or were adopted, and so recognised."""
    excluded: dict[str, int] = fresh(factory=dict)
    """Left out, by which rule: ``"since"``, ``"limit"``, ..., and ``"expunged meanwhile"``."""
    parked: dict[int, str] = fresh(factory=dict)
    """Could not be had, by UID, and why; the next run tries them again."""
    written_uids: UIDSet = fresh(factory=UIDSet)
    octets: int = 0
    """That were written."""
    flags: int = 0
    """Messages whose flags or labels followed those of the server."""
    gone: int = 0
    """Messages that the server has no more."""
    moved: int = 0
    """Messages that were recognised, and so not fetched."""
    adopted: int = 0
    """Messages that another program had pulled, and so were not fetched."""
    renamed_from: str | None = None
    error: str | None = None
    """What ended it before its end."""
    notes: list[str] = fresh(factory=list)

    @property
    def accounted(self) -> int:
        """written + present + excluded + parked: equal to `found`, where nothing is lost."""
        return self.written + self.present + sum(self.excluded.values()) + len(self.parked)

    @property
    def complete(self) -> bool:
        """Whether all is accounted for, and nothing is parked."""
        return self.error is None and not self.parked and self.accounted == self.found


class Report(Record):
    """What came of a run."""

    account: str = ""
    """Whose mail: ``user@host``."""
    store: str = ""
    """Where it was written."""
    mailboxes: dict[str, MailboxReport] = fresh(factory=dict)
    """What came of each, by its name."""
    excluded: dict[str, str] = fresh(factory=dict)
    """Mailboxes that were left out, and why."""
    deleted: int = 0
    """Messages that were taken out of the store, or marked, since the server has them no more."""
    held_back: str | None = None
    """Why nothing was deleted, where that was asked for and looked wrong."""
    stopped: str | None = None
    """At which limit it stopped; the next run goes on."""
    go_on_at: datetime | None = None
    """When that may be."""
    octets_received: int = 0
    """From the server, whatever of it was written."""
    notes: list[str] = fresh(factory=list)
    """What a person should know, in sentences."""
    dry_run: bool = False
    """Whether nothing was written, and this is what would have been."""

    @property
    def found(self) -> int:
        """Messages that the server has in these mailboxes."""
        return sum(each.found for each in self.mailboxes.values())

    @property
    def written(self) -> int:
        """Messages that this run has written."""
        return sum(each.written for each in self.mailboxes.values())

    @property
    def present(self) -> int:
        """Messages that were there already, or were recognised."""
        return sum(each.present for each in self.mailboxes.values())

    @property
    def adopted(self) -> int:
        """Messages that another program had pulled, and so were not fetched."""
        return sum(each.adopted for each in self.mailboxes.values())

    @property
    def excluded_messages(self) -> int:
        """Messages that were left out by a rule."""
        return sum(sum(each.excluded.values()) for each in self.mailboxes.values())

    @property
    def parked(self) -> int:
        """Messages that could not be had; the next run tries them again."""
        return sum(len(each.parked) for each in self.mailboxes.values())

    @property
    def flags(self) -> int:
        """Messages whose flags or labels followed those of the server."""
        return sum(each.flags for each in self.mailboxes.values())

    @property
    def octets(self) -> int:
        """Octets that were written."""
        return sum(each.octets for each in self.mailboxes.values())

    @property
    def failed(self) -> dict[str, str]:
        """The mailboxes that could not be done, and why."""
        return {name: each.error for name, each in self.mailboxes.items() if each.error is not None}

    @property
    def complete(self) -> bool:
        """Whether every message that the server has is in the store, or was left out by a rule that was given.

        Never of a dry run: `dry_run` is the reason, and nothing else has to be wrong.
        """
        return (
            self.stopped is None
            and self.held_back is None
            and not self.dry_run
            and all(each.complete for each in self.mailboxes.values())
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "account": self.account,
            "store": self.store,
            "complete": self.complete,
            "found": self.found,
            "written": self.written,
            "present": self.present,
            "adopted": self.adopted,
            "excluded": self.excluded_messages,
            "parked": self.parked,
            "octets": self.octets,
            "octets_received": self.octets_received,
            "flags": self.flags,
            "deleted": self.deleted,
            "held_back": self.held_back,
            "stopped": self.stopped,
            "go_on_at": self.go_on_at.isoformat() if self.go_on_at else None,
            "notes": self.notes,
            "dry_run": self.dry_run,
            "excluded_mailboxes": self.excluded,
            "mailboxes": [
                {
                    "mailbox": each.name,
                    "found": each.found,
                    "written": each.written,
                    "present": each.present,
                    "excluded": each.excluded,
                    "parked": {str(uid): reason for uid, reason in each.parked.items()},
                    "octets": each.octets,
                    "flags": each.flags,
                    "gone": each.gone,
                    "moved": each.moved,
                    "adopted": each.adopted,
                    "renamed_from": each.renamed_from,
                    "error": each.error,
                    "notes": each.notes,
                    "complete": each.complete,
                }
                for each in self.mailboxes.values()
            ],
        }


class Progress(Value):
    """How far a run is; given to `progress` now and then."""

    mailbox: str
    """What is worked on now."""
    done: int
    """Messages of it that are done."""
    total: int
    """Messages of it that there are to do."""
    octets: int
    """Of it, that have arrived."""
    all_done: int
    """Messages of the run that are done."""
    all_octets: int
    seconds: float
    """Since the beginning of the run."""
    waiting: str | None = None
    """Why it waits, and for how long."""
