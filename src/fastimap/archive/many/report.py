"""What came of each of many accounts, and how far all of them are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from ...errors import Advice, AuthenticationFailed, ConnectionLost, FastimapError
from ..errors import SecretError, StoreInUse
from ..report import MailboxReport, Report

__all__ = ["AccountReport", "Failure", "ManyProgress", "failure_of", "together", "what_is_missing"]

Failure: TypeAlias = Literal["connection", "credentials", "in use", "worker", "incomplete", "other"]


@dataclass(slots=True)
class AccountReport:
    """What came of one account."""

    account: str
    """Its name, as it was given, or user@host."""
    store: str = ""
    report: Report = field(default_factory=Report)
    """All that there is to know of its run; empty where nothing was done."""
    error: str | None = None
    """Why not all of its mail is there: what ended the run, mailboxes that failed, messages that could not be had.

    None where all is well, and where the run stopped at a limit (`Report.stopped`).
    """
    failure: Failure | None = None
    """Of which kind `error` is: no ``"connection"``, the ``"credentials"`` were refused or can't be had, the store is
    ``"in use"`` by another run, the ``"worker"`` was lost again and again, the run ended and is ``"incomplete"``, or
    ``"other"``."""

    @property
    def added(self) -> int:
        """Messages that this run has put into the store."""
        return self.report.written

    @property
    def complete(self) -> bool:
        """Whether every message that the server has is in the store, or was left out by a rule that was given."""
        return self.error is None and self.report.complete

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        more = {"account": self.account, "complete": self.complete, "error": self.error, "failure": self.failure}
        return self.report.as_dict() | {"store": self.store} | more


@dataclass(frozen=True, slots=True)
class ManyProgress:
    """How far a run over many accounts is; given to `progress` now and then."""

    accounts: int
    """That there are."""
    ended: int
    """Of these, that are done or failed."""
    failed: int
    """Of those, that did not end well."""
    messages: int
    """Written so far, by all workers together."""
    octets: int
    seconds: float
    """Since the beginning of the run."""


def failure_of(exc: BaseException) -> Failure:
    """Return of which kind an error is that ended the run of an account."""
    if isinstance(exc, StoreInUse):
        return "in use"
    if isinstance(exc, (SecretError, AuthenticationFailed)):
        return "credentials"
    if isinstance(exc, FastimapError) and exc.advice is Advice.REAUTHENTICATE:
        return "credentials"
    return "connection" if isinstance(exc, ConnectionLost) else "other"


def what_is_missing(report: Report) -> str | None:
    """Return why a run that ended did not get all; None where it did, or stopped at a limit."""
    found = []
    if report.failed:
        name, error = next(iter(report.failed.items()))
        found.append(f"{len(report.failed)} of {len(report.mailboxes)} mailboxes failed: {name}: {error}")
    if report.parked:
        found.append(f"{report.parked} messages could not be had")
    if report.held_back:
        found.append(report.held_back)
    return "; ".join(found) or None


def together(name: str, parts: Sequence[tuple[str, AccountReport]]) -> AccountReport:
    """Return what came of an account, of what came of its parts; each with what it is called."""
    report = Report(name, parts[0][1].store)
    errors: list[str] = []
    failures: list[Failure] = []
    for part, one in parts:
        if one.error is not None and one.failure is not None:
            errors.append(f"{part}: {one.error}")
            failures.append(one.failure)
        _add(report, one.report)
    failure = next((each for each in failures if each != "incomplete"), failures[0] if failures else None)
    return AccountReport(name, report.store, report, "; ".join(errors) or None, failure)


def _add(whole: Report, part: Report) -> None:
    for name, reason in part.excluded.items():
        if name not in whole.mailboxes:
            whole.excluded[name] = reason
    for name, each in part.mailboxes.items():
        whole.excluded.pop(name, None)  # of the part that has the other mailboxes
        if name in whole.mailboxes:
            _add_mailbox(whole.mailboxes[name], each)
        else:
            whole.mailboxes[name] = replace(each)
    whole.deleted += part.deleted
    whole.octets_received += part.octets_received
    whole.held_back = whole.held_back or part.held_back
    whole.stopped = whole.stopped or part.stopped
    whole.go_on_at = whole.go_on_at or part.go_on_at
    whole.dry_run = whole.dry_run or part.dry_run
    whole.notes = [*whole.notes, *(note for note in part.notes if note not in whole.notes)]


def _add_mailbox(whole: MailboxReport, part: MailboxReport) -> None:
    for name in ("found", "written", "present", "octets", "flags", "gone", "moved", "adopted"):
        setattr(whole, name, getattr(whole, name) + getattr(part, name))
    whole.excluded = dict(Counter(whole.excluded) + Counter(part.excluded))
    whole.parked = whole.parked | part.parked
    whole.written_uids |= part.written_uids
    whole.renamed_from = whole.renamed_from or part.renamed_from
    whole.error = whole.error or part.error
    whole.notes = [*whole.notes, *(note for note in part.notes if note not in whole.notes)]
