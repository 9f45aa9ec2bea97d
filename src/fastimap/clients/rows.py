"""What `fetch_iter` and `fetch_batches` return: iterators that can say what is missing, and what is still owed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..model.row import FetchedMessage
from ..model.sequence_set import SequenceSet, UIDSet

if TYPE_CHECKING:
    from ..conversation.streams import FetchStream

__all__ = ["AsyncBatches", "AsyncRows", "Batches", "Rows"]

T = TypeVar("T")


class _Reports:
    """What iterators over a stream of messages report."""

    _stream: FetchStream

    @property
    def missing(self) -> UIDSet | SequenceSet:
        """The messages that the server left out of its answers so far: expunged meanwhile, or never there."""
        return self._stream.missing

    @property
    def owed(self) -> UIDSet | SequenceSet | None:
        """The messages that are still to come: those that a program that stops here has not seen.

        None before the first of them, where the set is an open one (``1:*``).
        """
        return self._stream.owed


class _Iterator(_Reports, Iterator[T]):
    """A generator that can be asked; leaving its loop, or `close()`, gives up the rest."""

    def __init__(self, stream: FetchStream, values: Generator[T, None, None]) -> None:
        self._stream = stream
        self._values = values

    def __iter__(self) -> Generator[T, None, None]:
        return self._values

    def __next__(self) -> T:
        return next(self._values)

    def close(self) -> None:
        """Give up the rest; what is in flight is drained."""
        self._values.close()


class Rows(_Iterator[FetchedMessage]):
    """The messages of `Client.fetch_iter`, one by one."""


class Batches(_Iterator[list[FetchedMessage]]):
    """The messages of `Client.fetch_batches`, as they arrive together."""


class _AsyncIterator(_Reports, AsyncIterator[T], Generic[T]):
    """Leaving its loop, or `aclose()`, gives up the rest."""

    def __init__(self, client: Any, stream: FetchStream) -> None:
        self._stream = stream
        self._client = client
        self._link: Any = None
        self._attempts = client._attempts()
        self._ended = False

    async def _batch(self) -> list[FetchedMessage]:
        """Return the rows that arrived, at least one; StopAsyncIteration after the last."""
        stream = self._stream
        try:
            if self._link is None:
                if self._ended:
                    raise StopAsyncIteration
                await self._client.connect()
                self._link = self._client._linked()
            while True:
                try:
                    rows = stream.take()
                    if not rows and not stream.done:
                        await self._link.moved(None, lambda: stream.ready)
                        continue
                except Exception as exc:
                    self._link.release()
                    await self._client._go_on(self._attempts, stream.protocol, exc)
                    self._link = self._client._linked()
                    stream.go_on(self._client._protocol)
                    continue
                if not rows:
                    raise StopAsyncIteration
                if self._attempts is not None:
                    self._attempts.progress()
                self._link.flush()
                self._link.hold()
                return rows
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._ended = True
        self._stream.close()
        link, self._link = self._link, None
        if link is not None:
            link.release()

    async def aclose(self) -> None:
        """Give up the rest; what is in flight is drained."""
        self._end()

    def __del__(self) -> None:
        if getattr(self, "_link", None) is not None:
            self._end()


class AsyncRows(_AsyncIterator[FetchedMessage]):
    """The messages of `AsyncClient.fetch_iter`, one by one."""

    def __init__(self, client: Any, stream: FetchStream) -> None:
        super().__init__(client, stream)
        self._rows: Iterator[FetchedMessage] = iter(())

    async def __anext__(self) -> FetchedMessage:
        for row in self._rows:
            return row
        self._rows = iter(await self._batch())
        return next(self._rows)

    async def aclose(self) -> None:
        """Give up the rest; what is in flight is drained."""
        self._rows = iter(())
        self._end()


class AsyncBatches(_AsyncIterator[list[FetchedMessage]]):
    """The messages of `AsyncClient.fetch_batches`, as they arrive together."""

    async def __anext__(self) -> list[FetchedMessage]:
        return await self._batch()
