"""A piece of work, and what does it: in this process, or in another, on another machine."""

from __future__ import annotations

import pickle
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ...settings import Account
from .._pull import pull
from ..errors import WorkersLost
from ..options import Options, as_names
from ..report import Progress, Report
from ..stores.base import Store
from .gauges import Gauge
from .report import AccountReport, Failure, failure_of, what_is_missing

__all__ = ["UIDS_PER_TASK", "Outcome", "Plan", "Task", "task_of", "work", "work_by_lease", "work_on"]

UIDS_PER_TASK: Final = 50_000
_OF_THE_WHOLE = ("limit", "budget", "bwlimit", "max_octets")
"""Limits of an account, or of a whole mailbox: with one of these nothing is cut."""
_TICK = 0.5
"""Seconds between two events of a task."""
_PATIENCE = 5.0
"""Seconds for which a lease is waited for, where others are held meanwhile."""


@dataclass(frozen=True, slots=True)
class Task:
    """An account to pull, or a part of it."""

    name: str
    account: Account
    store: Store
    options: dict[str, Any] = field(default_factory=dict)
    """Of `pull`."""
    uids: int | None = None
    """So many UIDs of a large mailbox are a task of their own; None: it is not to be cut."""
    part: str = ""
    """What of the account it is, where that was cut."""

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.name}\0{self.part}"

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
        if isinstance(exc, OSError) and exc.filename and exc.strerror:
            text = f"{exc.filename}: {exc.strerror}"
        report = Report(self.name, self.store.where)
        return AccountReport(self.name, report.store, report, text, failure or failure_of(exc))

    def forgotten(self) -> AccountReport:
        """Return what is reported where the scheduler loses it each time."""
        return self.failed(WorkersLost("the scheduler was restarted again and again"), "worker")

    def not_begun(self) -> AccountReport:
        """Return what is reported where the run was stopped before."""
        report = Report(self.name, self.store.where, stopped="asked to stop")
        return AccountReport(self.name, report.store, report)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account was cut into."""

    tasks: list[Task]


Outcome: TypeAlias = AccountReport | Plan


def task_of(name: str, account: Account, store: Store, options: dict[str, Any], uids: int | None = None) -> Task:
    """Return the task of an account. Raises ValueError and TypeError for options that make no sense."""
    for each in ("mailboxes", "exclude"):
        if options.get(each) is not None:
            options[each] = as_names(options[each])
    if not isinstance(options.get("adopt", False), bool):
        raise TypeError("adopt is True or False: each account's own directory is adopted")
    Options(store=store, **{name: value for name, value in options.items() if name not in ("adopt", "retry")})
    guarded = options.get("deleted", "keep") != "keep"  # the guards look at the whole account
    if not store.shared or guarded or any(options.get(each) is not None for each in _OF_THE_WHOLE):
        uids = None
    return Task(name, account, store, options, uids)


def work(
    task: Task,
    stopping: Callable[[], bool] | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Outcome:
    """Pull an account, or say what it is to be cut into. Whatever goes wrong is reported, so that it stops no other."""
    try:
        if task.uids is not None:
            from .cutting import cut

            tasks = cut(task, task.uids)
            if tasks:
                return Plan(tasks)
        name = task.name if task.store.shared else None
        report = pull(task.account, task.store, name=name, stopping=stopping, progress=progress, **task.options)
    except Exception as exc:
        return task.failed(exc)
    error = what_is_missing(report)
    return AccountReport(task.name, task.store.where, report, error, None if error is None else "incomplete")


def work_on(pickled: bytes, gauge: Gauge | None = None) -> Outcome:
    """Do a task that came from another process, and note how far it is."""
    task: Task = pickle.loads(pickled)
    return work(task, progress=None if gauge is None else gauge.noting())


def work_by_lease(pickled: bytes, name: str, per_host: int, topic: str) -> Outcome:
    """Do a task on a worker of Dask's, under leases of the semaphore `name`: one for each connection.

    Those of a worker that was lost end in time: distributed.scheduler.locks.lease-timeout.

    :param topic: of the events that say how far it is.
    """
    from distributed import Semaphore, get_worker

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
        return work(task, progress=_telling(get_worker(), topic, task.key))
    finally:
        for _ in range(held):
            semaphore.release()


def _telling(worker: Any, topic: str, key: str) -> Callable[[Progress], object]:
    """Return a function that has the scheduler pass on how far a task is."""
    told = [0.0]

    def tell(now: Progress) -> None:
        if now.all_done and time.monotonic() - told[0] >= _TICK:
            told[0] = time.monotonic()
            worker.log_event(topic, [key, now.all_done, now.all_octets])

    return tell
