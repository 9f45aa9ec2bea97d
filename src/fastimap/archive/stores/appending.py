"""Files that only grow: what is appended is journaled first, so that a crash leaves nothing that is not known.

The journal holds the file, the offset, and the very octets that are about to be appended. After a crash the file's tail
is cut only if it is a beginning of those; anything else is another program's, and the file is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from ...model._digest import sha256
from ..errors import StoreError
from ..state import Entry, Place, State
from ..system import O_BINARY, O_CLOEXEC, O_NOFOLLOW, make_directories, sync_directory
from .base import Store

__all__ = ["AppendingStore"]

_JOURNAL = ".fastimap.journal"
_HEADER = 65536
"""Octets that the journal's first line may have."""


class AppendingStore(Store):
    """A store of files that grow, one a mailbox."""

    suffix: ClassVar[str]
    flags_at_once: ClassVar[bool] = False
    only_grows: ClassVar[bool] = True

    def open(self, state: State) -> None:
        super().open(state)
        self._pending: dict[str, bytearray] = {}
        self._appended: list[str] = []
        self._recover()

    def file_of(self, place: Place) -> str:
        """Return the path of a mailbox's file, below the root."""
        return place.path + self.suffix

    @contextmanager
    def locked(self, path: Path, file: int) -> Iterator[None]:
        """Keep other programs from the file while the block runs."""
        yield

    # Writing.

    def offset(self, name: str) -> int:
        """Return where the next octets of a file will be."""
        return self.state.length(name) + len(self._pending.get(name, b""))

    def append(self, name: str, octets: bytes) -> int:
        """Have octets at the end of a file, at the next `sync`; return where."""
        where = self.offset(name)
        self._pending.setdefault(name, bytearray()).extend(octets)
        return where

    def sync(self) -> None:
        for name in [*self._pending]:
            self._append(name, bytes(self._pending[name]))
            del self._pending[name]

    def _append(self, name: str, octets: bytes) -> None:
        path = self.root / name
        make_directories(path.parent)
        offset = self.state.length(name)
        file = os.open(path, os.O_RDWR | os.O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_BINARY, 0o600)
        try:
            with self.locked(path, file):
                size = os.fstat(file).st_size
                if size != offset:
                    raise StoreError(
                        f"{path} has {size} octets, and {offset} were written: another program has changed it, or the "
                        "state of the store was lost; pull into another directory"
                    )
                self._journal(name, offset, octets)
                try:
                    os.lseek(file, offset, os.SEEK_SET)
                    view = memoryview(octets)
                    while view:
                        view = view[os.write(file, view) :]
                    os.fsync(file)
                except BaseException:
                    self._cut(file, offset)
                    raise
        finally:
            os.close(file)
        if not offset:
            sync_directory(path.parent)
        self.state.set_length(name, offset + len(octets))
        # One journal stands for one file: what was appended is committed before the next.
        self._appended.append(name)

    def _cut(self, file: int, offset: int) -> None:
        try:
            os.ftruncate(file, offset)
        except OSError:
            return  # the journal is there, and the next run does it

    def _journal(self, name: str, offset: int, octets: bytes) -> None:
        path = self.root / _JOURNAL
        header = json.dumps({"file": name, "offset": offset, "length": len(octets), "digest": sha256(octets).hex()})
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | O_CLOEXEC | O_BINARY, 0o600)
        try:
            before = os.fstat(file).st_size
            try:
                view = memoryview(header.encode() + b"\n" + octets)
                while view:
                    view = view[os.write(file, view) :]
                os.fsync(file)
            except BaseException:
                os.ftruncate(file, before)
                raise
        finally:
            os.close(file)

    def committed(self) -> None:
        if self._appended:
            self._appended = []
            (self.root / _JOURNAL).unlink(missing_ok=True)

    # After a crash.

    def _recover(self) -> None:
        path = self.root / _JOURNAL
        for name, offset, octets in _entries(path):
            file_path = self.root / name
            if self.state.length(name) >= offset + len(octets) or not file_path.exists():
                continue  # it was committed, or nothing of it was written
            file = os.open(file_path, os.O_RDWR | O_CLOEXEC | O_BINARY)
            try:
                with self.locked(file_path, file):
                    size = os.fstat(file).st_size
                    os.lseek(file, offset, os.SEEK_SET)
                    tail = os.read(file, max(0, size - offset))
                    if size < offset or not octets.startswith(tail):
                        raise StoreError(f"{file_path} does not end with what a run before was writing: refused")
                    os.ftruncate(file, offset)
                    os.fsync(file)
            finally:
                os.close(file)
        if path.exists():  # on a disk that is read-only it can't be taken away, nor be there
            path.unlink()
        for name, length in self.state.lengths().items():
            file_path = self.root / name
            size = file_path.stat().st_size if file_path.exists() else 0
            if size != length:
                raise StoreError(
                    f"{file_path} has {size} octets, and {length} were written: another program has changed it"
                )

    def piece(self, place: Place, entry: Entry) -> Iterator[bytes]:
        """Yield a file's octets from where a message is on."""
        path = self.root / self.file_of(place)
        if not path.exists():
            raise LookupError(f"{path} is not there")
        with open(path, "rb") as file:
            file.seek(entry.place or 0)
            while octets := file.read(64 * 1024):
                yield octets


def _entries(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yield what a journal has, as far as it is whole: what follows had not begun to be appended."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        while line := file.readline(_HEADER):
            try:
                header = json.loads(line)
                octets = file.read(header["length"])
            except (ValueError, KeyError, TypeError):
                return
            if sha256(octets).hex() != header["digest"]:
                return
            yield header["file"], header["offset"], octets
