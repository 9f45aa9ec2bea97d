"""A program at work on a cursor, to be killed: ``python -m tests.sessions.worker CURSOR EFFECTS MESSAGES``.

It leases messages and handles each by a row in the table of effects; by a transaction of its own where EFFECTS is
another file, in one with the cursor's where it is the same.
"""

from __future__ import annotations

import sqlite3
import sys

from fastimap.errors import LeaseLost
from fastimap.sessions.cursor import Place, SQLiteCursor

PLACE = Place("ann@imap.example.org", "INBOX")
VALIDITY = 7


def main(path: str, effects: str, messages: int) -> None:
    cursor = SQLiteCursor(path)
    db = sqlite3.connect(effects, timeout=30)
    print("at work", flush=True)
    while True:
        leases = cursor.lease(PLACE, VALIDITY, range(1, messages + 1), 3, 0.2)
        if not leases and cursor.unfinished(PLACE)[0] == 0:
            return
        for lease in leases:
            try:
                cursor.delivering(lease)
                with db:
                    db.execute("INSERT INTO effects (uid) VALUES (?)", (lease.uid,))
                    if effects == path:
                        cursor.done([lease], db=db)
                if effects != path:
                    cursor.done([lease])
                    print(lease.uid, flush=True)
            except LeaseLost:
                continue


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
