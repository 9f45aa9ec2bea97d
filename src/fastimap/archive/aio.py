"""The archive under asyncio. Files and SQLite would hold the loop up, so a run has a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from ._migrate import migrate as _migrate
from ._pull import pull as _pull
from ._push import push as _push
from ._verify import verify as _verify

__all__ = ["migrate", "pull", "push", "verify"]

P = ParamSpec("P")
R = TypeVar("R")


def _awaited(function: Callable[P, R]) -> Callable[[Callable[..., Any]], Callable[P, Coroutine[Any, Any, R]]]:
    """Return a decorator: what it decorates becomes `function`, awaited, and keeps its name and its docstring."""

    def made(named: Callable[..., Any]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(named)
        async def run(*arguments: P.args, **options: P.kwargs) -> R:
            loop = asyncio.get_running_loop()
            stop = threading.Event()
            asked: Any = options.get("stopping")
            options["stopping"] = lambda: stop.is_set() or (asked is not None and asked())
            progress: Any = options.get("progress")
            if progress is not None:
                options["progress"] = lambda *what: loop.call_soon_threadsafe(progress, *what)
            task = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **options))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                stop.set()  # what was done stays done
                await asyncio.wait([task])
                raise

        run.__wrapped__ = function  # whose signature it has
        return run

    return made


@_awaited(_pull)
def pull(*arguments: Any, **options: Any) -> Any:
    """`fastimap.archive.pull`, awaited. `progress` is called in the loop; a task that is cancelled ends the run."""


@_awaited(_push)
def push(*arguments: Any, **options: Any) -> Any:
    """`fastimap.archive.push`, awaited, as `pull` is."""


@_awaited(_migrate)
def migrate(*arguments: Any, **options: Any) -> Any:
    """`fastimap.archive.migrate`, awaited, as `pull` is."""


@_awaited(_verify)
def verify(*arguments: Any, **options: Any) -> Any:
    """`fastimap.archive.verify`, awaited, as `pull` is."""
