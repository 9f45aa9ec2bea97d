"""Who does the work: a pool of `concurrent.futures`, or the workers of Dask."""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from ..errors import WorkersLost
from ..report import Progress
from .gauges import Gauge, Gauges
from .tasks import Outcome, Task, work, work_by_lease, work_on

__all__ = ["Again", "Crew", "crew_of"]

_LOOK = 0.2
_OVERLAP = 30.0
"""Seconds for which a worker that was taken for lost may hold a store that another has been given meanwhile."""


class Again(Exception):
    """The task was not done, and can be given out once more; alone, where it may be what its workers die of."""

    def __init__(self, alone: bool = False) -> None:
        super().__init__()
        self.alone = alone


Note: TypeAlias = Callable[[str, int, int], object]
"""Takes the key of a task, and the messages and octets that it has written."""


class Crew(Protocol):
    """What does tasks."""

    sends: bool
    """Whether tasks leave this process."""

    def submit(self, task: Task) -> Any:
        """Give out a task; return its future, which has `add_done_callback`."""

    def outcome(self, task: Task, future: Any) -> Outcome:
        """Return what a future has that is done. Raises Again and WorkersLost."""

    def cancel(self, futures: Iterable[Any]) -> None:
        """Have those not done that have not begun."""

    def look(self) -> None:
        """Have it noted how far the tasks are that are out, where they don't say so themselves. Raises WorkersLost."""

    def close(self) -> None:
        """End: nobody waits for a task any more."""


class Pool:
    """A pool of threads or processes."""

    def __init__(self, executor: Executor, stopping: Callable[[], bool], note: Note) -> None:
        self.executor = executor
        # Its descendant of Python 3.14 has interpreters of their own, where nothing of this one is.
        self.sends: bool = not isinstance(executor, ThreadPoolExecutor) or "Interpreter" in type(executor).__name__
        self._stopping = stopping
        self._note = note
        self._gauges = Gauges()
        self._out: dict[Any, tuple[str, Gauge]] = {}

    def submit(self, task: Task) -> Any:
        try:
            if self.sends:
                gauge = self._gauges.new()
                future = self.executor.submit(work_on, pickle.dumps(task), gauge)
                if gauge is not None:
                    self._out[future] = task.key, gauge
                return future
            return self.executor.submit(work, task, self._stopping, self._noting(task.key))
        except BrokenExecutor as exc:
            raise self._lost(exc) from exc
        except (RuntimeError, OSError) as exc:  # OSError: it broke in this very moment
            if broken := self._broken():
                raise self._lost(broken) from exc
            raise WorkersLost(f"the executor takes no more work: {exc}") from exc

    def _noting(self, key: str) -> Callable[[Progress], object]:
        return lambda now: self._note(key, now.all_done, now.all_octets)

    def look(self) -> None:
        if broken := self._broken():  # what was given out in that very moment gets no answer
            raise self._lost(broken)
        for key, gauge in self._out.values():
            self._note(key, *self._gauges.read(gauge))

    def close(self) -> None:
        self._gauges.close()

    def outcome(self, task: Task, future: Any) -> Outcome:
        self._out.pop(future, None)
        try:
            made: Outcome = future.result(timeout=0)
        except BrokenExecutor as exc:
            raise self._lost(exc) from exc
        except CancelledError:
            if self._stopping():
                raise Again from None
            raise WorkersLost("the executor was shut down before all was done") from None
        except Exception as exc:  # what came back can't be read
            return task.failed(exc)
        return made

    def cancel(self, futures: Iterable[Any]) -> None:
        for future in futures:
            future.cancel()

    def _broken(self) -> object:
        """Return why it takes no more work, as CPython has it; what is false where it does."""
        return getattr(self.executor, "_broken", None)

    def _lost(self, why: object) -> WorkersLost:
        """Return the error. CPython 3.11 forgets a process that was just being started, and would wait for its end."""
        for process in [*(getattr(self.executor, "_processes", None) or {}).values()]:
            process.terminate()
        return WorkersLost(
            f"a process of the pool died, and the pool with it ({why}); "
            "what was done stays done: run it again, with a new pool"
        )


class Dask:
    """The workers of a cluster."""

    sends = True

    def __init__(self, client: Any, per_host: int, note: Note) -> None:
        if client.asynchronous:
            raise TypeError("a distributed.Client with asynchronous=True can't be waited for here: make one without")
        self.client = client
        self.per_host = per_host
        self._run = f"fastimap-pull-{uuid.uuid4().hex}"
        """In the names of the tasks; and the topic of the events that say how far they are."""
        self._note = note
        self._listens = False
        self._suspects: set[str] = set()
        self._address = getattr(client.scheduler, "address", "?")

    def submit(self, task: Task) -> Any:
        wait = task.options.get("wait", 0)
        options = task.options | {"wait": None if wait is None else max(wait, _OVERLAP)}
        sent = replace(task, options=options)
        # The number of leases is part of the name: a semaphore can't have another one.
        lease = f"fastimap {task.host} {self.per_host}"
        self._wait_for_scheduler()
        if not self._listens:
            self.client.subscribe_topic(self._run, lambda event: self._note(*event[1]))
            self._listens = True
        return self.client.submit(
            work_by_lease,
            pickle.dumps(sent),
            lease,
            self.per_host,
            self._run,
            key=f"{self._run}-{uuid.uuid4().hex}",
            pure=False,
        )

    def outcome(self, task: Task, future: Any) -> Outcome:
        from distributed import KilledWorker

        if future.status == "cancelled":  # not by us: the scheduler was restarted, or is not to be reached
            raise Again
        try:
            made: Outcome = future.result(timeout=_OVERLAP)
        except (CancelledError, TimeoutError):
            raise Again from None
        except KilledWorker as exc:
            if task.key not in self._suspects:  # it was on workers that died, of another task perhaps
                self._suspects.add(task.key)
                raise Again(alone=True) from None
            return task.failed(exc, "worker")
        except Exception as exc:  # the worker has no fastimap, or another one
            return task.failed(exc)
        return made

    def cancel(self, futures: Iterable[Any]) -> None:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self.client.cancel(list(futures))

    def look(self) -> None:
        """Nothing: the workers say it, by events of the scheduler's."""

    def close(self) -> None:
        if self._listens:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                self.client.unsubscribe_topic(self._run)

    def _wait_for_scheduler(self) -> None:
        """Wait while the client tries to reach its scheduler again, which it does for its own `timeout`."""
        while self.client.status == "connecting":
            time.sleep(_LOOK)
        if self.client.status != "running":
            raise WorkersLost(
                f"Dask's scheduler at {self._address} is not to be reached any more; what was done stays done: "
                "run it again, with a new client"
            )


def crew_of(executor: Any, per_host: int, stopping: Callable[[], bool], note: Note) -> Crew:
    """Return what does tasks by an executor. Raises TypeError for what is none."""
    if isinstance(executor, Executor):
        return Pool(executor, stopping, note)
    distributed = sys.modules.get("distributed")
    if distributed is not None and isinstance(executor, distributed.Client):
        return Dask(executor, per_host, note)
    raise TypeError(
        f"executor is a concurrent.futures.Executor, a distributed.Client or None, not {type(executor).__name__}"
    )
