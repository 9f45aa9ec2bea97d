"""Pipeline: commands that are sent without waiting for each answer; made by ``client.pipeline()``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..commands.base import Command, R
from ..conversation.pending import Pending, PipelinePending
from ..conversation.protocol import Protocol
from ..errors import StateError
from . import _pipeline_methods as methods

__all__ = ["Pipeline"]


class Pipeline(methods.Pipeline):
    """Commands that are sent without waiting for each answer; made by ``client.pipeline()``.

    The methods have the names, arguments and results of the clients' methods, each result in a `Pending`. Two are the
    command alone, where the client's may send several: `search` (no other charset is tried) and `move` (no COPY).
    """

    def __init__(
        self,
        protocol: Protocol,
        flush: Callable[[], object] = lambda: None,
        *,
        drive: Callable[[Pending[Any]], object] | None = None,
        wait: Callable[[Pending[Any]], Awaitable[object]] | None = None,
    ) -> None:
        self._protocol = protocol
        self._flush = flush
        self._drive = drive
        self._wait = wait
        self.pending: list[Pending[Any]] = []
        self.ended = False

    def run(self, command: Command[R]) -> Pending[R]:
        """Send any command, also one that is no method here (`fastimap.commands`)."""
        if self.ended:
            raise StateError(f"the pipeline's block has ended: nobody would send {command.name}")
        pending = self._protocol.submit(command, PipelinePending)
        pending.drive = self._drive
        pending.wait = self._wait
        self.pending.append(pending)
        self._flush()
        return pending
