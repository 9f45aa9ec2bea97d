"""One SQLite file: messages, their text to search, and the state, all in one transaction."""

from __future__ import annotations

import email
import email.policy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from ...model.headers import Headers
from ..names import levels_of
from ..state import Entry, Place, State
from .base import Message, Store

__all__ = ["SQLite"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS body (
    mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, octets BLOB NOT NULL, PRIMARY KEY (mailbox, uid)
);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (subject, addresses, text, content='', contentless_delete=1);
CREATE VIEW IF NOT EXISTS mail AS
    SELECT mailbox.account, mailbox.name AS mailbox, message.uid, message.date, message.flags, message.size,
           message.gone, body.octets, body.rowid AS number
    FROM body JOIN message USING (mailbox, uid) JOIN mailbox ON mailbox.id = message.mailbox;
"""
_SEARCHED = 1_000_000
"""Characters of a message's text that can be searched."""


class SQLite(Store):
    """A file of SQLite. Its view ``mail`` has the messages, its table ``words`` (FTS5) what can be searched.

    :param root: the file; a name without suffix, or a directory, means ``mail.sqlite`` in it.
    """

    kind: ClassVar[str] = "sqlite"
    removes: ClassVar[bool] = True
    flags_at_once: ClassVar[bool] = False
    in_state: ClassVar[bool] = True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        path = Path(os.path.expanduser(root)).absolute()
        self._file = path if path.suffix in (".sqlite", ".db", ".sqlite3") else path / "mail.sqlite"
        super().__init__(self._file)

    @property
    def state_path(self) -> Path:
        return self._file

    def of_account(self, name: str) -> Self:
        return type(self)(self._file.parent / levels_of(name, None)[0] / self._file.name)

    def make(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def open(self, state: State) -> None:
        super().open(state)
        import sqlite3

        schema = _SCHEMA
        if sqlite3.sqlite_version_info < (3, 43):  # it has no contentless_delete
            schema = schema.replace(", content='', contentless_delete=1", "")
        for statement in schema.split(";\n"):
            if statement.strip():
                state.db.execute(statement)

    def write(self, place: Place, messages: Sequence[Message]) -> list[int | None]:
        self.state.begin()
        for message in messages:
            self._forget(place, message.uid)
            cursor = self.state.db.execute(
                "INSERT INTO body (mailbox, uid, octets) VALUES (?, ?, ?)", (place.id, message.uid, message.octets)
            )
            self.state.db.execute(
                # Where a person took a message out of `body`, its number is given again, and `words` has it still.
                "INSERT OR REPLACE INTO words (rowid, subject, addresses, text) VALUES (?, ?, ?, ?)",
                (cursor.lastrowid, *_words(message.octets)),
            )
        return [None] * len(messages)

    def _forget(self, place: Place, uid: int) -> None:
        row = self.state.db.execute("SELECT rowid FROM body WHERE mailbox = ? AND uid = ?", (place.id, uid)).fetchone()
        if row is not None:
            self.state.db.execute("DELETE FROM words WHERE rowid = ?", row)
            self.state.db.execute("DELETE FROM body WHERE rowid = ?", row)

    def read(self, place: Place, entry: Entry) -> bytes:
        row = self.state.db.execute(
            "SELECT octets FROM body WHERE mailbox = ? AND uid = ?", (place.id, entry.uid)
        ).fetchone()
        if row is None:
            raise LookupError(f"{place.name}: no message of UID {entry.uid}")
        octets: bytes = row[0]
        return octets

    def remove(self, place: Place, entries: Sequence[Entry]) -> None:
        self.state.begin()
        for entry in entries:
            self._forget(place, entry.uid)

    def move(self, source: Place, entry: Entry, target: Place, uid: int) -> int | None:
        self.state.begin()
        self._forget(target, uid)
        self.state.db.execute(
            "UPDATE body SET mailbox = ?, uid = ? WHERE mailbox = ? AND uid = ?", (target.id, uid, source.id, entry.uid)
        )
        return None


def _words(octets: bytes) -> tuple[str, str, str]:
    """Return what can be searched: subject, addresses, and the text that a reader sees."""
    headers = Headers(octets)
    addresses = " ".join(headers.get(name, "") for name in ("from", "to", "cc", "reply-to"))
    try:
        part = email.message_from_bytes(octets, policy=email.policy.default).get_body(("plain", "html"))
        content: Any = b"" if part is None else part.get_payload(decode=True) or b""
        text = _decoded(content, str(part.get_content_charset() or "utf-8") if part is not None else "utf-8")
    except Exception:  # it is mail, and the standard library's parser raises anything: such text is not searched
        text = ""
    values = (headers.get("subject", ""), addresses, text[:_SEARCHED])
    subject, addresses, text = (value.encode("utf-8", "replace").decode() for value in values)
    return subject, addresses, text


def _decoded(octets: bytes, charset: str) -> str:
    for name in (charset, "utf-8"):
        try:
            return octets.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return octets.decode("windows-1252", "replace")
