"""A piece of work, and what does it: in this process, or in another, on another machine."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...settings import Account
from .._pull import pull
from ..errors import WorkersLost
from ..report import Progress, Report
from ..stores.base import Store
from .report import AccountReport, Failure, failure_of, what_is_missing

__all__ = ["Task", "work", "work_by_lease", "work_on"]


@dataclass(frozen=True, slots=True)
class Task:
    """One account to pull."""

    name: str
    account: Account
    store: Store
    options: dict[str, Any] = field(default_factory=dict)
    """Of `pull`."""

    @property
    def host(self) -> str:
        return self.account.host.lower().rstrip(".")

    def failed(self, exc: Exception, failure: Failure | None = None) -> AccountReport:
        """Return what is reported where the run ended with an error."""
        text = str(exc) or type(exc).__name__
        report = Report(self.name, self.store.where)
        return AccountReport(self.name, report.store, report, text, failure or failure_of(exc))

    def forgotten(self) -> AccountReport:
        """Return what is reported where the scheduler loses it each time."""
        return self.failed(WorkersLost("the scheduler was restarted again and again"), "worker")

    def not_begun(self) -> AccountReport:
        """Return what is reported where the run was stopped before."""
        report = Report(self.name, self.store.where, stopped="asked to stop")
        return AccountReport(self.name, report.store, report)


def work(
    task: Task,
    stopping: Callable[[], bool] | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> AccountReport:
    """Pull an account; whatever goes wrong is reported, so that it stops no other."""
    try:
        report = pull(task.account, task.store, stopping=stopping, progress=progress, **task.options)
    except Exception as exc:
        return task.failed(exc)
    error = what_is_missing(report)
    return AccountReport(task.name, task.store.where, report, error, None if error is None else "incomplete")


def work_on(pickled: bytes) -> AccountReport:
    """Do a task that came from another process."""
    task: Task = pickle.loads(pickled)
    return work(task)


def work_by_lease(pickled: bytes, name: str, leases: int) -> AccountReport:
    """Do a task on a worker of Dask's, under a lease of the semaphore `name`.

    The leases of a worker that was lost end by themselves: distributed.scheduler.locks.lease-timeout.
    """
    from distributed import Semaphore

    with Semaphore(max_leases=leases, name=name):
        return work_on(pickled)
