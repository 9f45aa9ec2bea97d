"""The two typed clients behind one face, so that one body of tests runs for both."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from fastimap import AsyncClient, Client

Interface = Callable[..., Any]


def public(interface: type) -> set[str]:
    """Return the names that a class gives its users, inherited ones included."""
    return {name for name in dir(interface) if not name.startswith("_") and hasattr(interface, name)}


class Awaited:
    """An AsyncClient whose methods can be called without await, each run to its end in one event loop.

    They are as one task's: all run in one context.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *args: Any, **kwargs: Any) -> None:
        self._loop = loop
        self._context = contextvars.copy_context()
        self.client = AsyncClient(*args, **kwargs)

    def _run(self, awaitable: Any) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return self._loop.run_until_complete(self._loop.create_task(awaited(), context=self._context))

    def __enter__(self) -> Awaited:
        self._run(self.client.__aenter__())
        return self

    def __exit__(self, *exc: Any) -> None:
        self._run(self.client.__aexit__(*exc))

    def __repr__(self) -> str:
        return repr(self.client)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            result = value(*args, **kwargs)
            if inspect.isawaitable(result):
                return self._run(result)
            if hasattr(result, "__anext__"):
                return Iterated(self._run, result)
            if hasattr(result, "__aenter__"):
                return self._entered(result)
            return result

        return call

    @contextlib.contextmanager
    def _entered(self, manager: Any) -> Iterator[Any]:
        value = self._run(manager.__aenter__())
        try:
            yield value
        except BaseException as exc:
            if not self._run(manager.__aexit__(type(exc), exc, exc.__traceback__)):
                raise
        else:
            self._run(manager.__aexit__(None, None, None))


class Iterated:
    """An asynchronous iterator that can be iterated without await; left, it is closed."""

    def __init__(self, run: Callable[[Any], Any], iterator: Any) -> None:
        self._iterator = iterator
        self._values = _iterated(run, iterator)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)

    def __iter__(self) -> Iterator[Any]:
        return self._values

    def __next__(self) -> Any:
        return next(self._values)

    def close(self) -> None:
        self._values.close()


def _iterated(run: Callable[[Any], Any], iterator: Any) -> Generator[Any, None, None]:
    try:
        while True:
            try:
                yield run(anext(iterator))
            except StopAsyncIteration:
                return
    finally:
        run(iterator.aclose())


@contextlib.contextmanager
def opened(name: str) -> Iterator[Interface]:
    """Give a function that makes a client: ``"blocking"`` or ``"asyncio"``; all are closed at the end."""
    with contextlib.ExitStack() as stack:
        if name == "blocking":

            def make(*args: Any, **kwargs: Any) -> Any:
                client = Client(*args, **kwargs)
                stack.callback(client.close)
                return client
        else:
            loop = asyncio.new_event_loop()
            stack.callback(loop.close)
            stack.callback(lambda: loop.run_until_complete(loop.shutdown_asyncgens()))

            def make(*args: Any, **kwargs: Any) -> Any:
                client = Awaited(loop, *args, **kwargs)
                stack.callback(lambda: loop.run_until_complete(client.client.close()))
                return client

        yield make


def passes(client: Any, seconds: float) -> None:
    """Let time pass in which the program does something else; under asyncio the loop runs."""
    loop = getattr(client, "_loop", None)
    if loop is None:
        time.sleep(seconds)
    else:
        loop.run_until_complete(asyncio.sleep(seconds))
