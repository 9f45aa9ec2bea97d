"""A directory of .eml files, one a message, in a directory a mailbox."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from ...model._digest import sha256
from ...model.sequence_set import UIDSet
from ..state import Entry, Place
from ..system import O_BINARY, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, make_directories
from .base import Message, Store, make_durable, raise_if_elsewhere

__all__ = ["EmlDirectory"]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_BINARY


class EmlDirectory(Store):
    """Files ``<uid>.<key>.eml``, with the server's octets and INTERNALDATE; flags are in the state alone.

    :param root: the directory.
    """

    kind: ClassVar[str] = "eml"
    removes: ClassVar[bool] = True
    flags_at_once: ClassVar[bool] = False

    def __init__(self, root: str | os.PathLike[str]) -> None:
        super().__init__(root)
        self._written: dict[str, list[str]] = {}

    def on_disk(self) -> Iterable[str]:
        for directory, _, _ in os.walk(self.root):
            yield os.path.relpath(directory, self.root).replace(os.sep, "/")

    def begin(self, place: Place, uids: UIDSet) -> dict[int, Entry]:
        directory = self._directory(place)
        make_directories(Path(directory))
        with os.scandir(directory) as files:
            left = [file.path for file in files if file.name.endswith(f".{place.key}.tmp")]
        for path in left:
            os.unlink(path)
        return {}

    def unnoted(self, place: Place) -> Iterator[Entry]:
        noted = self.state.noted(place)
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._directory(place)):
                number, _, rest = name.partition(".")
                if rest != f"{place.key}.eml" or not number.isdecimal() or int(number) in noted:
                    continue
                with contextlib.suppress(OSError), open(self._path(place, int(number)), "rb") as file:
                    octets, date = file.read(), int(os.fstat(file.fileno()).st_mtime)
                    yield Entry(int(number), len(octets), date, "", sha256(octets), None, None)

    def _directory(self, place: Place) -> str:
        return os.path.join(self.root, place.path)

    def _path(self, place: Place, uid: int) -> str:
        return os.path.join(self.root, place.path, f"{uid}.{place.key}.eml")

    def write(self, place: Place, messages: Sequence[Message]) -> list[int | None]:
        directory = self._directory(place)
        names = self._written.setdefault(directory, [])
        for message in messages:
            path = self._path(place, message.uid)
            temporary = path.removesuffix("eml") + "tmp"
            file = os.open(temporary, _NEW_FILE, 0o600)
            try:
                view = memoryview(message.octets)
                while view:
                    view = view[os.write(file, view) :]
                if message.date is not None:
                    os.utime(file, (message.date, message.date))
            except BaseException:
                os.unlink(temporary)
                raise
            finally:
                os.close(file)
            os.rename(temporary, path)
            names.append(os.path.basename(path))
        return [None] * len(messages)

    def sync(self) -> None:
        for directory, names in self._written.items():
            try:
                opened = os.open(directory, os.O_RDONLY | O_DIRECTORY)
            except FileNotFoundError:  # a person took it out
                continue
            try:
                make_durable(
                    opened, [name for name in names if os.path.exists(os.path.join(directory, name))], (opened,)
                )
            finally:
                os.close(opened)
        self._written = {}

    def read(self, place: Place, entry: Entry) -> bytes:
        try:
            with open(self._path(place, entry.uid), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise LookupError(f"{place.path}: no file of UID {entry.uid}") from None

    def remove(self, place: Place, entries: Sequence[Entry]) -> None:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(place, entry.uid))
        self._written.setdefault(self._directory(place), [])

    def move(self, source: Place, entry: Entry, target: Place, uid: int) -> int | None:
        path = self._path(target, uid)
        make_directories(Path(path).parent)
        try:
            os.rename(self._path(source, entry.uid), path)
        except FileNotFoundError:
            if not os.path.exists(path):  # else a run that was cut short did it
                raise LookupError(f"{source.path}: no file of UID {entry.uid}") from None
        except OSError as exc:
            raise_if_elsewhere(exc)
            raise
        for place in (source, target):
            self._written.setdefault(self._directory(place), [])
        return None
