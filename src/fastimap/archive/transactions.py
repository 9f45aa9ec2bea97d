"""A SQLite database that is changed in transactions begun by hand."""

from __future__ import annotations

import sqlite3

__all__ = ["Transactions"]


class Transactions:
    """What the state of a store and the ledger of a move have in common."""

    db: sqlite3.Connection
    transactions: int = 0
    """How many were begun."""

    def close(self) -> None:
        """Close it; what was not committed is taken back."""
        self.rollback()
        self.db.close()

    def begin(self) -> None:
        """Begin a transaction, unless there is one."""
        if not self.db.in_transaction:
            self.db.execute("BEGIN IMMEDIATE")
            self.transactions += 1

    def commit(self) -> None:
        """Make durable what was changed."""
        if self.db.in_transaction:
            self.db.execute("COMMIT")

    def rollback(self) -> None:
        """Take back what was changed and not committed."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
