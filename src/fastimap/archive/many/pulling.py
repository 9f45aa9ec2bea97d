"""Pull many accounts, here or on many machines."""

from __future__ import annotations

import pickle
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ...search import SearchKey
from ...sessions.retry import Retry
from ...settings import Account
from ..budgets import GivenBudget
from ..errors import WorkersLost
from ..options import Deleted, check_number
from ..report import Progress
from ..stores.maildir import Maildir
from .accounts import GivenAccounts, GivenStore, named, sendable, stores
from .report import AccountReport, ManyProgress, together
from .tasks import UIDS_PER_TASK, Plan, Task, task_of, work

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from distributed import Client

    from .executors import Crew

__all__ = ["PullOptions", "pull_many", "pull_tasks"]

_TICK = 0.5
_ATTEMPTS = 4
"""So often a task is given out, where the scheduler forgets it."""


class PullOptions(TypedDict, total=False):
    """The options of `pull` that many accounts can have together."""

    mailboxes: Iterable[str] | None
    exclude: Iterable[str]
    since: date | None
    before: date | None
    min_size: int | None
    max_size: int | None
    search: SearchKey | str | None
    limit: int | None
    newest_first: bool
    connections: int
    deleted: Deleted
    max_delete: str | int | None
    resume: bool
    dry_run: bool
    wait: float | None
    bwlimit: int | None
    budget: GivenBudget | None
    max_octets: int | None
    adopt: bool
    retry: Retry | None


def pull_many(
    accounts: GivenAccounts,
    store: GivenStore,
    *,
    executor: Executor | Client | None = None,
    per_host: int = 10,
    uids_per_task: int = UIDS_PER_TASK,
    progress: Callable[[ManyProgress], object] | None = None,
    stopping: Callable[[], bool] | None = None,
    **options: Unpack[PullOptions],
) -> Generator[AccountReport, None, None]:
    """Pull many accounts; yield what came of each as it ends. One that fails is reported so, and stops no other.

    Each account has a store and a state of its own, or a part of the store, so that any process may work on any of
    them. What is cut short, by a worker that is lost too, goes on with the next attempt or the next run, and no message
    is there twice. No mail and no secret goes through the executor: accounts hold `FromCommand`, `FromFile`,
    `FromEnvironment`, or a function of a module, which the workers call. Leaving the loop cancels what has not begun.

    :param accounts: whose mail: accounts or their URLs, or a mapping from names to them. Without one, an account is
        called user@host.
    :param store: a store, below whose root each account has one like it, in a directory of its name; or a `Parquet`
        store, which they share; or a directory, for Maildirs; or a function that returns the store of an account by its
        name.
    :param executor: who does it: a pool of `concurrent.futures`, or a `distributed.Client` of Dask (it comes with
        ``fastimap[dask]``), whose workers see the stores at the same paths; None: this thread, one after the other.
    :param per_host: connections to one host at once, at most, those of all workers together. With Dask this holds for
        all programs of one scheduler that give the same number.
    :param uids_per_task: a mailbox of more UIDs is cut into ranges of so many, which are tasks of their own, where the
        store can be written in ranges (`Parquet`), none of `limit`, `budget`, `bwlimit` and `max_octets` is given, and
        what is gone is not to be marked (`deleted`).
    :param progress: called now and then, in the thread of the loop.
    :param stopping: asked now and then, in the thread of the loop; True ends what runs in this process, cancels what
        has not begun, and the reports of those accounts say so (`Report.stopped`).
    :param options: those of `pull`, for each account; `budget`, `bwlimit` and `max_octets` are of each one.

    Raises ValueError and TypeError at once for what makes no sense, and for accounts that can't be sent to other
    processes; in the loop, WorkersLost where the executor is broken, or the scheduler gone for good.
    """
    accounts = named(accounts)
    unknown = options.keys() - PullOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"pull_many() has no option {min(unknown)!r}")
    made = stores(accounts, store)
    check_number("uids_per_task", uids_per_task, least=1)
    tasks = [task_of(name, account, made[name], dict(options), uids_per_task) for name, account in accounts.items()]
    if not tasks:
        task_of("", Account("localhost"), Maildir("."), dict(options))  # a mistake is one without accounts too
    return pull_tasks(tasks, executor=executor, per_host=per_host, progress=progress, stopping=stopping)


def pull_tasks(
    tasks: Sequence[Task],
    *,
    executor: Executor | Client | None = None,
    per_host: int = 10,
    progress: Callable[[ManyProgress], object] | None = None,
    stopping: Callable[[], bool] | None = None,
) -> Generator[AccountReport, None, None]:
    """Do what `pull_many` does, of accounts with options of their own."""
    check_number("per_host", per_host, least=1)
    for task in tasks:
        if task.connections > per_host:
            raise ValueError(f"{task.name}: connections={task.connections}, but per_host={per_host}")
    run = _Run(tasks, progress, stopping)
    if executor is None:
        return run.here()
    from .executors import crew_of

    crew = crew_of(executor, per_host, run.stops, run.note)
    if crew.sends:
        for task in tasks:
            sendable(task.name, task.account, task.store)
            try:
                pickle.dumps(task)
            except Exception as exc:  # whatever the objects of the program raise
                raise ValueError(f"{task.name}: its store, or an option, can't be sent: {exc}") from None
    return run.given_out(crew, per_host)


@dataclass(slots=True)
class _Given:
    """A task that is given out, perhaps again."""

    task: Task
    future: Any = None
    attempts: int = 0


class _Run:
    """The work on all accounts, and how far it is."""

    def __init__(
        self,
        tasks: Sequence[Task],
        progress: Callable[[ManyProgress], object] | None,
        stopping: Callable[[], bool] | None,
    ) -> None:
        self.tasks = tasks
        self.progress = progress
        self.stopping = stopping
        self.began = time.monotonic()
        self.closed = False
        self.ended = self.failed = self.messages = self.octets = 0
        self.running: dict[str, tuple[int, int]] = {}
        """Messages and octets that tasks have written which have not ended."""
        self.out: set[str] = set()
        """The tasks that are worked on."""
        self.parts: dict[str, tuple[int, list[tuple[str, AccountReport]]]] = {}
        """Of accounts that were cut: how many parts are still to come, and those that came."""

    def stops(self) -> bool:
        """Whether work that goes on in this process is to end."""
        return self.closed

    def _asked_to_stop(self) -> bool:
        if not self.closed and self.stopping is not None and self.stopping():
            self.closed = True
        return self.closed

    def note(self, key: str, messages: int, octets: int) -> None:
        """Note how far a task is."""
        if key in self.out:  # word of one that has ended may come late
            self.running[key] = messages, octets

    def _tell(self) -> None:
        if self.progress is not None:
            running = [written for key, written in [*self.running.items()] if key in self.out]
            self.progress(
                ManyProgress(
                    len(self.tasks),
                    self.ended,
                    self.failed,
                    self.messages + sum(messages for messages, _ in running),
                    self.octets + sum(octets for _, octets in running),
                    time.monotonic() - self.began,
                )
            )

    def _forget(self, task: Task) -> None:
        self.out.discard(task.key)
        self.running.pop(task.key, None)

    def _end(self, task: Task, report: AccountReport) -> Iterator[AccountReport]:
        """Count what came of a task, and yield what came of its account, if that was all of it."""
        self._forget(task)
        self.messages += report.added
        self.octets += report.report.octets
        if task.part:
            left, parts = self.parts[task.name]
            parts.append((task.part, report))
            self.parts[task.name] = left - 1, parts
            if left > 1:
                return
            del self.parts[task.name]
            report = together(task.name, parts)
        self.ended += 1
        self.failed += report.error is not None
        self._tell()
        yield report

    def here(self) -> Generator[AccountReport, None, None]:
        """Work in the caller's thread, on one account after the other."""

        def note(now: Progress) -> None:
            self.note(task.key, now.all_done, now.all_octets)
            self._tell()

        self._tell()
        waiting = deque(self.tasks)
        while waiting:
            task = waiting.popleft()
            self.out.add(task.key)
            stopped = self._asked_to_stop()
            outcome = task.not_begun() if stopped else work(task, self._asked_to_stop, note)
            if isinstance(outcome, Plan):
                self._cut(task, outcome)
                waiting.extendleft(reversed(outcome.tasks))
            else:
                yield from self._end(task, outcome)

    def _cut(self, task: Task, plan: Plan) -> None:
        self._forget(task)
        self.parts[task.name] = len(plan.tasks), []

    def given_out(self, crew: Crew, per_host: int) -> Generator[AccountReport, None, None]:
        """Give tasks out, never more than `per_host` connections to one host at once, and yield what comes back."""
        from .executors import Again

        waiting = _Waiting(per_host)
        for task in self.tasks:
            waiting.add(_Given(task))
        out: dict[int, _Given] = {}
        done: queue.SimpleQueue[int] = queue.SimpleQueue()
        number = 0
        try:
            self._tell()
            while out or waiting:
                if not self.closed and self._asked_to_stop():
                    crew.cancel(each.future for each in out.values())
                if self.closed and waiting:  # parts too, of an account that was being cut meanwhile
                    for task in waiting.drained():
                        yield from self._end(task, task.not_begun())
                    continue
                for given in waiting.due():
                    self.out.add(given.task.key)
                    given.future = crew.submit(given.task)
                    number += 1
                    out[number] = given
                    given.future.add_done_callback(lambda _, number=number: done.put(number))
                try:
                    given = out.pop(done.get(timeout=_TICK))
                except queue.Empty:
                    crew.look()
                    self._tell()
                    continue
                waiting.ended(given)
                try:
                    outcome = crew.outcome(given.task, given.future)
                except Again as again:
                    self._forget(given.task)
                    if not self.closed and given.attempts < _ATTEMPTS:
                        waiting.add(given, alone=again.alone)
                        continue
                    outcome = given.task.not_begun() if self.closed else given.task.forgotten()
                if isinstance(outcome, Plan):
                    self._cut(given.task, outcome)
                    for task in outcome.tasks:
                        waiting.add(_Given(task))
                else:
                    yield from self._end(given.task, outcome)
        except WorkersLost as lost:
            lost.accounts = tuple(dict.fromkeys(key.partition("\0")[0] for key in sorted(self.out)))
            raise
        finally:
            self.closed = True
            crew.cancel(each.future for each in out.values())
            crew.close()


class _Waiting:
    """Tasks that are to be given out: the hosts take turns, and none has more connections than it may."""

    def __init__(self, per_host: int) -> None:
        self.per_host = per_host
        self.by_host: dict[str, deque[_Given]] = {}
        self.alone: deque[_Given] = deque()
        """What may be the end of its worker; so nothing else is done meanwhile."""
        self.busy: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self.alone) or any(self.by_host.values())

    def add(self, given: _Given, alone: bool = False) -> None:
        (self.alone if alone else self.by_host.setdefault(given.task.host, deque())).append(given)

    def due(self) -> Iterator[_Given]:
        """Yield what is to be given out now."""
        more = True
        while more:
            more = False
            for host, tasks in self.by_host.items():
                if tasks and self.busy[host] + tasks[0].task.connections <= self.per_host:
                    more = True
                    yield self._begun(tasks.popleft())
        if self.alone and not self.busy.total() and not any(self.by_host.values()):
            yield self._begun(self.alone.popleft())

    def _begun(self, given: _Given) -> _Given:
        given.attempts += 1
        self.busy[given.task.host] += given.task.connections
        return given

    def ended(self, given: _Given) -> None:
        """Note that it is not with its worker any more."""
        self.busy[given.task.host] -= given.task.connections

    def drained(self) -> Iterator[Task]:
        """Yield all of them, which are then not waiting any more."""
        for tasks in (*self.by_host.values(), self.alone):
            while tasks:
                yield tasks.popleft().task
