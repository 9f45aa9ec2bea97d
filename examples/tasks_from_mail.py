"""Make each mail of some mailboxes a task in a SQLite database, exactly once, for ever.

FASTIMAP_PASSWORD=... python examples/tasks_from_mail.py imaps://me@imap.example.org tasks.sqlite INBOX Support

A task and the note that its mail was handled are one transaction: kill the program whenever you like.
"""

import os
import signal
import sqlite3
import sys

from fastimap import Account, follow
from fastimap.types import Message

TABLE = "CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, sender TEXT, subject TEXT, body TEXT)"


def add_task(db: sqlite3.Connection, message: Message) -> None:
    envelope = message.envelope
    sender = envelope.author.email if envelope and envelope.author else ""
    subject = envelope.subject if envelope else ""
    body = message.text or message.html  # much mail has HTML alone
    db.execute("INSERT INTO tasks (sender, subject, body) VALUES (?, ?, ?)", (sender, subject, body))


def main(url: str, file: str, *mailboxes: str) -> None:
    account = Account.from_url(url, password=os.environ["FASTIMAP_PASSWORD"])
    db = sqlite3.connect(file)
    db.execute(TABLE)
    with follow(account, mailboxes or ("INBOX",), cursor=file, start="all") as mail:
        signal.signal(signal.SIGTERM, lambda number, frame: mail.stop())
        for message in mail:
            try:
                with db:
                    add_task(db, message)
                    message.done(db)
            except sqlite3.Error as error:
                print("not now:", error, file=sys.stderr)
                message.retry(after=60)  # after five times in vain it is parked, and the others go on
            else:
                print("task:", message.envelope and message.envelope.subject, flush=True)
    db.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
