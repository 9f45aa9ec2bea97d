"""The connections of a run, and how much comes through them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..clients.blocking import Client
from ..sessions.pool import Pool
from .budgets import Meter

__all__ = ["Line"]


class Line:
    """The connections of a run, and how much came through them."""

    def __init__(self, pool: Pool, meter: Meter) -> None:
        self.pool: Pool = pool
        self.received: int = 0
        self._meter = meter

    @contextlib.contextmanager
    def lent(self) -> Iterator[Client]:
        """Lend a connection."""
        with self.pool.client(timeout=None) as client:
            try:
                yield client
            finally:
                self.count()

    def count(self) -> None:
        """Count what all connections have received since the last time."""
        before, self.received = self.received, self.pool.stats().octets_in
        self._meter.add(self.received - before)
