"""A SQLite database that is changed in transactions begun by hand."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

from .errors import StoreError

__all__ = ["Transactions"]


def _raised_here(traceback: TracebackType | None) -> bool:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = "" if traceback is None else traceback.tb_frame.f_globals.get("__name__", "")
    return str(where).startswith(f"{__package__}.")


class Transactions:
    """What the state of a store and the ledger of a move have in common."""

    db: sqlite3.Connection
    _begun = False
    _taken_back = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it. What can't be read of it was damaged after it was opened, or far from its beginning."""
        self.close()
        # Those of its classes are no damage; and what a caller's function raises is of another database.
        if type(error) is sqlite3.DatabaseError and _raised_here(traceback):
            raise StoreError(self.damaged(error)) from error

    def damaged(self, exc: Exception) -> str:
        """Return what to say where it can't be read."""
        raise NotImplementedError

    @property
    def taken_back(self) -> int:
        """How many transactions the database has taken back by itself, as it does where the disk is full."""
        if self._begun and not self.db.in_transaction:
            self._begun = False
            self._taken_back += 1
        return self._taken_back

    def close(self) -> None:
        """Close it; what was not committed is taken back."""
        self.rollback()
        self.db.close()

    def begin(self) -> None:
        """Begin a transaction, unless there is one."""
        if not self.db.in_transaction:
            _ = self.taken_back  # it counts
            self.db.execute("BEGIN IMMEDIATE")
            self._begun = True

    def commit(self) -> None:
        """Make durable what was changed."""
        if self.db.in_transaction:
            self.db.execute("COMMIT")
            self._begun = False

    def rollback(self) -> None:
        """Take back what was changed and not committed."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
            self._begun = False
