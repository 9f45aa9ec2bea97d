"""What came of each of many accounts, and how far all of them are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ...errors import Advice, AuthenticationFailed, ConnectionLost, FastimapError
from ..errors import SecretError, StoreInUse
from ..report import Report

__all__ = ["AccountReport", "Failure", "ManyProgress", "failure_of", "what_is_missing"]

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
    """Written; those of an account that another process works on count when it has ended."""
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
