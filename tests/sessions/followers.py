"""Follow and AsyncFollow behind one face, so that one body of tests runs for both."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Iterator
from typing import Any

from fastimap import AsyncFollow, follow

COLOURS = ("blocking", "asyncio")


class Blocking:
    """A Follow, and what a program does besides."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.mail: Any = follow(*args, **options)

    def events(self) -> Iterator[Any]:
        return iter(self.mail.events())

    def batches(self, size: int, *, seconds: float) -> Iterator[Any]:
        return iter(self.mail.batches(size, seconds=seconds))

    def messages(self) -> Iterator[Any]:
        return iter(self.mail)

    def do(self, result: Any) -> Any:
        """Return what a method of a message, or of the follower, gives."""
        return result

    def work(self, seconds: float) -> None:
        """Be at work, so that nobody takes messages."""
        time.sleep(seconds)

    def close(self, error: BaseException | None) -> None:
        self.mail.__exit__(type(error) if error is not None else None, error, None)


class Awaited(Blocking):
    """An AsyncFollow without await: its loop runs while something is asked for, or the program is at work."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.mail = AsyncFollow(*args, **options)
        self._loop = asyncio.new_event_loop()

    def events(self) -> Iterator[Any]:
        return self._each(self.mail.events())

    def batches(self, size: int, *, seconds: float) -> Iterator[Any]:
        return self._each(self.mail.batches(size, seconds=seconds))

    def messages(self) -> Iterator[Any]:
        return self._each(aiter(self.mail))

    def _each(self, found: Any) -> Iterator[Any]:
        try:
            with contextlib.suppress(StopAsyncIteration):
                while True:
                    yield self._loop.run_until_complete(anext(found))
        finally:
            if not self._loop.is_closed():
                self._loop.run_until_complete(found.aclose())

    def do(self, result: Any) -> Any:
        return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def work(self, seconds: float) -> None:
        self._loop.run_until_complete(asyncio.sleep(seconds))

    def close(self, error: BaseException | None) -> None:
        self.do(self.mail.__aexit__(type(error) if error is not None else None, error, None))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@contextlib.contextmanager
def followed(colour: str, *args: Any, **options: Any) -> Iterator[Any]:
    """Give a follower of a colour; close it as `with` would."""
    one = Blocking(*args, **options) if colour == "blocking" else Awaited(*args, **options)
    try:
        yield one
    except BaseException as exc:
        one.close(exc)
        raise
    one.close(None)
