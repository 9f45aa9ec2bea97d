"""A command on its way, and what was counted on it."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from ..commands.base import Command
from ..errors import StateError, TooManyAnswers
from ..limits import Limits
from .log import logger

__all__ = ["Pending"]

R = TypeVar("R")


class Pending(Generic[R]):
    """A command on its way; `result()` once it is `done`."""

    # What most commands never change stands on the class: there is one of these a command.
    spans: tuple[tuple[int, int], ...] = ()
    answers: int = 0
    answers_octets: int = 0
    challenges: int = 0
    heard: tuple[int, int] = (0, 0)
    """Responses and octets that had been received when it was sent."""
    expunged_at: array[int] | None = None
    """For each expunge that the command claimed: how many events there were before it."""
    done: bool = False
    file_error: BaseException | None = None
    """What went wrong with its file, where that is read or written elsewhere."""
    defect: str | None = None
    error: Exception | None = None
    on_done: Callable[[], None] | None = None
    drive: Callable[[Pending[Any]], object] | None = None
    """Of a pipeline's: how its client waits for an answer."""
    wait: Callable[[Pending[Any]], Awaitable[object]] | None = None
    on_detach: Callable[[], None] | None = None

    def __init__(self, command: Command[R]) -> None:
        self.command: Command[R] = command
        self.value: R | None = None

    def __repr__(self) -> str:
        state = "in flight" if not self.done else "done" if self.error is None else f"failed: {self.error}"
        return f"<Pending {self.command.name}: {state}>"

    def result(self) -> R:
        """Return the command's result, or raise its error; of a `Client`'s pipeline, wait for it.

        Of an `AsyncClient`'s it is awaited (``await pending``), and there is a StateError before it has an answer.
        """
        if not self.done and self.drive is not None:
            self.drive(self)
        if not self.done:
            raise StateError(f"{self.command.name} has not been answered yet: await it, or ask after the block")
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # it is done, so there is one

    def __await__(self) -> Generator[Any, None, R]:
        if not self.done and self.wait is not None:
            yield from self.wait(self).__await__()
        return self.result()

    def detach(self) -> None:
        """Stop waiting: it is not sent if it has not been begun, else its answer is drained."""
        self.command.abandoned = True
        self.on_done = None
        if self.on_detach is not None:
            self.on_detach()

    def count_answers(self, number: int, octets: int, limits: Limits) -> None:
        """Count responses that the command claimed.

        Raises:
            TooManyAnswers: That was one too many.
        """
        self.answers += number
        self.answers_octets += octets
        if self.answers > limits.answers or self.answers_octets > limits.answers_octets:
            raise TooManyAnswers(
                f"more than {limits.answers} responses to one {self.command.name}, "
                f"or more than {limits.answers_octets} octets of them"
            )

    def expunged(self, events: int) -> None:
        """Note that the command claimed an expunge after so many events."""
        if self.expunged_at is None:
            self.expunged_at = array("Q")
        self.expunged_at.append(events)

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Set the result, once, and report it to `on_done`."""
        if self.done:
            return
        self.value = value
        # What a caller's own function raises may be a CancelledError; nobody but the caller meets that.
        self.error = error  # type: ignore[assignment]
        self.done = True
        if self.on_done is not None:
            self.on_done()


class PipelinePending(Pending[R]):
    """That of a pipeline: an error that nobody asks for is logged, once if it is that of several commands."""

    asked_for: bool = False

    def __del__(self) -> None:
        if not self.asked_for and self.error is not None and _is_news(self.error):
            logger().warning("an error of a pipeline that nobody asked for: %s", self.error)

    def result(self) -> R:
        result = super().result
        self.asked_for = self.asked_for or self.done or self.drive is not None
        try:
            return result()
        except Exception as exc:
            _is_news(exc)
            raise


def _is_news(error: Exception) -> bool:
    """Return whether this is asked of `error` for the first time: the end of a connection is that of all in flight."""
    known = "_known" in vars(error)
    vars(error)["_known"] = True
    return not known
