"""A piece of work, and what does it: in this process, or in another, on another machine."""

from __future__ import annotations

import pickle
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...settings import Account
from .._pull import pull
from ..errors import WorkersLost
from ..options import Options
from ..report import Progress, Report
from ..stores.base import Store
from .report import AccountReport, Failure, failure_of, what_is_missing

__all__ = ["Task", "task_of", "work", "work_by_lease", "work_on"]

_PATIENCE = 5.0
"""Seconds for which a lease is waited for, where others are held meanwhile."""


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

    @property
    def connections(self) -> int:
        """How many it uses at once."""
        connections: int = self.options.get("connections", 1)
        return connections

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


def task_of(name: str, account: Account, store: Store, options: dict[str, Any]) -> Task:
    """Return the task of an account. Raises ValueError and TypeError for options that make no sense."""
    for each in ("mailboxes", "exclude"):
        if options.get(each) is not None and not isinstance(options[each], str):
            options[each] = tuple(options[each])
    if not isinstance(options.get("adopt", False), bool):
        raise TypeError("adopt is True or False: each account's own directory is adopted")
    Options(store=store, **{name: value for name, value in options.items() if name not in ("adopt", "retry")})
    return Task(name, account, store, options)


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


def work_by_lease(pickled: bytes, name: str, per_host: int) -> AccountReport:
    """Do a task on a worker of Dask's, under leases of the semaphore `name`: one for each connection.

    Those of a worker that was lost end in time: distributed.scheduler.locks.lease-timeout.
    """
    from distributed import Semaphore

    task: Task = pickle.loads(pickled)
    semaphore = Semaphore(max_leases=per_host, name=name)
    held = 0
    try:
        while held < task.connections:
            if semaphore.acquire(timeout=_PATIENCE if held else None):
                held += 1
            else:  # another program may hold what is missing, and wait for what is held here
                while held:
                    semaphore.release()
                    held -= 1
                time.sleep(random.uniform(0, _PATIENCE))
        return work(task)
    finally:
        for _ in range(held):
            semaphore.release()
