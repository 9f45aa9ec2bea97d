"""mbox: a file a mailbox, as mboxrd has it, under the locks that other programs know."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from ..errors import StoreError
from ..state import Entry, Place
from ..system import O_CLOEXEC
from .appending import AppendingStore
from .base import Message

if sys.platform != "win32":
    import fcntl

__all__ = ["Mbox"]

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_PATIENCE = 30.0
"""Seconds to wait for another program's lock."""


class Mbox(AppendingStore):
    """Files ``<mailbox>.mbox``; lines that begin with ``From`` get a ``>`` (mboxrd), all else is as the server has it.

    Nothing is rewritten. fcntl and dot locks are held while it appends.

    :param root: the directory.
    """

    kind: ClassVar[str] = "mbox"
    suffix: ClassVar[str] = ".mbox"
    replaces: ClassVar[bool] = False

    def write(self, place: Place, messages: Sequence[Message]) -> list[int | None]:
        name = self.file_of(place)
        return [self.append(name, _entry(message)) for message in messages]

    def read(self, place: Place, entry: Entry) -> bytes:
        held = b"".join(self._until(place, entry))
        _, end, rest = held.partition(b"\n")
        octets = _QUOTED.sub(rb"\1", rest)[: entry.size]
        if not end or not held.startswith(b"From ") or len(octets) != entry.size:
            raise LookupError(f"{place.path}: no message of UID {entry.uid}")
        return octets

    def _until(self, place: Place, entry: Entry) -> Iterator[bytes]:
        """Yield so many octets that the message is in them, quoted as it may be."""
        had = quoted = 0
        for piece in self.piece(place, entry):
            yield piece
            had += len(piece)
            quoted += piece.count(b">")
            if had > entry.size + quoted + 200:
                return

    def move(self, source: Place, entry: Entry, target: Place, uid: int) -> int | None:
        octets = self.read(source, entry)
        if self.file_of(source) == self.file_of(target):  # of a mailbox with a new UIDVALIDITY: it would be there twice
            return entry.place
        (where,) = self.write(target, [Message(uid, octets, entry.date, entry.flags, entry.digest, entry.extra)])
        return where

    @contextlib.contextmanager
    def locked(self, path: Path, file: int) -> Iterator[None]:
        with _dot_lock(path):
            if sys.platform != "win32":
                until = time.monotonic() + _PATIENCE
                while True:
                    try:
                        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except OSError:
                        if time.monotonic() > until:
                            raise StoreError(f"{path} is locked by another program") from None
                        time.sleep(0.1)
            yield


def _entry(message: Message) -> bytes:
    when = time.asctime(time.gmtime(message.date or 0))  # in English in any locale, as RFC 4155 wants it
    octets = _FROM.sub(rb">\1", message.octets)
    end = b"\n" if octets.endswith(b"\n") else b"\n\n"
    return b"From MAILER-DAEMON " + when.encode("ascii") + b"\n" + octets + end


@contextlib.contextmanager
def _dot_lock(path: Path) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")
    made = path.with_name(path.name + ".lock.fastimap")
    until = time.monotonic() + _PATIENCE
    made.unlink(missing_ok=True)  # it may be the lock of a run that was killed
    _write_owner(made)
    try:
        while True:
            try:
                _link(made, lock)
                break
            except FileExistsError:
                if _is_stale(lock):
                    lock.unlink(missing_ok=True)
                elif time.monotonic() > until:
                    raise StoreError(f"{lock} is there: another program has locked the file") from None
                else:
                    time.sleep(0.1)
    finally:
        made.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _link(made: Path, lock: Path) -> None:
    """Have the lock there with its owner in it, or not at all: one that says nothing would stay when its owner dies."""
    try:
        os.link(made, lock)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        _write_owner(lock)


def _write_owner(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_CLOEXEC, 0o600)
    try:
        os.write(file, b"%d\n" % os.getpid())
    finally:
        os.close(file)


def _is_stale(lock: Path) -> bool:
    """Whether the process that made a lock has died."""
    if sys.platform == "win32":  # there signal 0 asks nothing, but is a Ctrl-C
        return False
    try:
        owner = int(lock.read_text("ascii"))
        os.kill(owner, 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False
