"""Maildir: a file a message, in a directory a mailbox. Any mail program reads it; flags are in the names.

A name is ``<uid>.<key>.fastimap,S=<octets>,U=<uid>:2,<flags>``; the key stands for account, mailbox and UIDVALIDITY. So
a message that was written and not committed is found again, and written over.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

from ...model._digest import sha256
from ...model._patterns import pattern
from ...model.mailbox_name import decode, encode
from ...model.sequence_set import UIDSet
from ..names import file_key
from ..state import Entry, Place, State
from ..system import O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, make_directories, sync_directory
from .base import Message, Store, make_durable, raise_if_elsewhere

__all__ = ["Maildir"]

_FLAGS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T", "$Forwarded": "P"}
_LETTERS = {letter: flag for flag, letter in _FLAGS.items()}
_NAME = pattern(r"([0-9]+)\.([0-9a-f]{16})\.fastimap,S=([0-9]+),U=\1(?::2,([A-Za-z]*))?")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | O_NOFOLLOW | O_CLOEXEC
_MODE = 0o600
_TICK = 50_000_000
"""Nanoseconds for which a directory's time may stay the same while it changes."""
_LONGEST = 230
"""Octets of a name of Maildir++; file systems take 255."""


class _Directory:
    """An open mailbox."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.made = not os.path.isdir(path)
        """Whether the directory itself is not durable yet."""
        for part in ("tmp", "new", "cur"):
            make_directories(Path(path, part))
        flags = os.O_RDONLY | O_DIRECTORY | O_CLOEXEC
        self.descriptors: list[int] = []
        try:
            for part in ("tmp", "new", "cur"):
                self.descriptors.append(os.open(os.path.join(path, part), flags))
        except BaseException:
            self.close()
            raise
        self.tmp, self.new, self.cur = self.descriptors
        self.strays: dict[int, tuple[int, str]] = {}
        """Messages that are there and may be written anew, by UID: which directory, and the name."""
        self.listed: dict[tuple[str, int], tuple[int, str]] | None = None
        self.listed_as: tuple[int, ...] = ()
        """The times of `new` and `cur` when they were listed; none where a change since then may not show in them."""
        self.written: list[str] = []
        self.changed = False

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []

    def listing(self) -> dict[tuple[str, int], tuple[int, str]]:
        """Return all messages that are ours: by key and UID, which directory and the name."""
        if self.listed is None:
            self.listed = {}
            times = self._times()
            self.listed_as = times if time.time_ns() - max(times) > _TICK else ()
            for descriptor in (self.new, self.cur):
                for name in os.listdir(descriptor):
                    if found := _NAME.fullmatch(name):
                        self.listed[found[2], int(found[1])] = descriptor, name
        return self.listed

    def _times(self) -> tuple[int, ...]:
        return tuple(os.stat(descriptor).st_mtime_ns for descriptor in (self.new, self.cur))

    def some(self, key: str, wanted: Callable[[int], bool]) -> dict[int, tuple[int, str]]:
        """Return those messages of a mailbox that are there, by UID: which directory and the name."""
        there = {}
        for descriptor in (self.new, self.cur):
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    found = _NAME.fullmatch(entry.name)
                    if found and found[2] == key and wanted(uid := int(found[1])):
                        there[uid] = descriptor, entry.name
        return there

    def note(self, key: str, uid: int, where: tuple[int, str] | None) -> None:
        """Have it listed that a message is elsewhere now, or nowhere."""
        if self.listed is None:
            return
        if where is None:
            self.listed.pop((key, uid), None)
        else:
            self.listed[key, uid] = where

    def find(self, place: Place, entry: Entry) -> tuple[int, str]:
        """Return where a message is; raises LookupError where it is not."""
        for _, descriptor, name in self.found(place, [entry]):
            return descriptor, name
        raise LookupError(f"{place.path}: no file of UID {entry.uid}")

    def found(self, place: Place, entries: Sequence[Entry]) -> list[tuple[Entry, int, str]]:
        """Return which directory messages are in, and their names; not those that a person took out.

        The directory is listed once for all that are not where they were, and once more if it may have changed since.
        """
        there: list[tuple[Entry, int, str]] = []
        missing = entries
        for again in (False, True):
            if again:
                if not missing or (self.listed_as and self.listed_as == self._times()):
                    break
                self.listed = None
            looked_for, missing = missing, []
            for entry in looked_for:
                where = self._look(place, entry)
                if where is None:
                    missing.append(entry)
                else:
                    there.append((entry, *where))
        return there

    def _look(self, place: Place, entry: Entry) -> tuple[int, str] | None:
        name = _unique(place.key, entry.uid, entry.size) + _info(entry.flags)
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=self.cur, follow_symlinks=False)
            return self.cur, name
        found = self.listing().get((place.key, entry.uid))
        if found is not None:
            with contextlib.suppress(FileNotFoundError):
                os.stat(found[1], dir_fd=found[0], follow_symlinks=False)
                return found
        return None


class Maildir(Store):
    """A tree of Maildirs below a directory, one for each mailbox, named after it.

    The octets are those of the server, with CRLF line ends; a file's time is its INTERNALDATE.

    :param root: the directory.
    :param plus_plus: have the levels of names in one, with dots, below the root (Maildir++: ``.Lists.python``), in
        modified UTF-7, and INBOX in the root itself, as Courier and Dovecot do.
    """

    kind: ClassVar[str] = "maildir"
    removes: ClassVar[bool] = True

    def __init__(self, root: str | os.PathLike[str], *, plus_plus: bool = False) -> None:
        super().__init__(root)
        self.plus_plus: bool = plus_plus
        self._directories: dict[str, _Directory] = {}
        self._infos: dict[str, str] = {}

    def of_account(self, name: str) -> Self:
        made = super().of_account(name)
        made.plus_plus = self.plus_plus
        return made

    def attach(self, state: State) -> None:
        super().attach(state)
        if (kept := state.about("plus_plus")) is not None:
            self.plus_plus = bool(kept)

    def open(self, state: State) -> None:
        super().open(state)
        if not state.read_only and not state.places(former=True):
            state.set_about("plus_plus", self.plus_plus)

    def on_disk(self) -> Iterable[str]:
        for directory in self._walk():
            path = os.path.relpath(directory, self.root).replace(os.sep, "/")
            if not self.plus_plus:
                yield path
            elif path[1:].isascii():
                with contextlib.suppress(ValueError):  # it is not ours
                    yield decode(path[1:].encode()).replace(".", "/").replace("%2E", ".")

    def _walk(self) -> Iterator[str]:
        for directory, names, _ in os.walk(self.root):
            if "cur" in names:
                yield directory
            names[:] = [name for name in names if name not in ("cur", "new", "tmp")]

    def foreign(self) -> str | None:
        for directory in self._walk():
            for part in ("new", "cur"):
                with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(directory, part)) as entries:
                    for entry in entries:
                        if not entry.name.startswith(".") and entry.is_file() and not _NAME.fullmatch(entry.name):
                            return entry.path
        return None

    def directory_of(self, path: str) -> str:
        """Return the directory of a mailbox."""
        if not self.plus_plus:
            return os.path.join(self.root, path)
        if path.casefold() == "inbox":
            return str(self.root)
        text = path.replace(".", "%2E").replace("/", ".")
        end = len(text)
        while len(name := encode(text[:end]).decode()) > _LONGEST:
            end -= 1
        if end < len(text):
            name = f"{name.rstrip('.')}~{sha256(path.encode()).hex()[:16]}"
        return os.path.join(self.root, "." + name)

    def _directory(self, place: Place) -> _Directory:
        directory = self._directories.get(place.path)
        if directory is None:
            if len(self._directories) >= 50:
                self._close_idle()
            directory = self._directories[place.path] = _Directory(self.directory_of(place.path))
        return directory

    def _close_idle(self) -> None:
        for path, directory in [*self._directories.items()]:
            if not directory.written and not directory.changed and not directory.strays:
                directory.close()
                del self._directories[path]

    def begin(self, place: Place, uids: UIDSet) -> dict[int, Entry]:
        directory = self._directory(place)
        for name in os.listdir(directory.tmp):
            if _unfinished(place.key) in name:
                os.unlink(name, dir_fd=directory.tmp)
        directory.strays = directory.some(place.key, uids.__contains__)
        directory.listed = None
        if place.dirty:  # of a run that did not end: what it wrote last may not be durable
            return {}
        there = {entry.uid: entry for entry in _entries(directory.strays)}
        for uid in there:
            del directory.strays[uid]
        return there

    def unnoted(self, place: Place) -> Iterator[Entry]:
        if os.path.isdir(self.directory_of(place.path)):
            noted = self.state.noted(place)
            yield from _entries(self._directory(place).some(place.key, lambda uid: uid not in noted))

    def write(self, place: Place, messages: Sequence[Message]) -> list[int | None]:
        directory = self._directory(place)
        tmp, cur, strays, infos = directory.tmp, directory.cur, directory.strays, self._infos
        middle = f".{place.key}.fastimap,S="
        unfinished = _unfinished(place.key)
        to_open, to_write, to_rename = os.open, os.write, os.rename
        note = directory.written.append
        for uid, octets, date, flags, _, _, _ in messages:
            size = len(octets)
            info = infos.get(flags)
            if info is None:
                info = infos[flags] = _info(flags)
            name = f"{uid}{middle}{size},U={uid}{info}"
            if strays and (stray := strays.pop(uid, None)) is not None and stray != (cur, name):
                with contextlib.suppress(FileNotFoundError):  # what is written takes its place: there are never two
                    to_rename(stray[1], name, src_dir_fd=stray[0], dst_dir_fd=cur)
            file = to_open(unfinished, _NEW_FILE, _MODE, dir_fd=tmp)
            try:
                written = to_write(file, octets)
                while written < size:
                    written += to_write(file, memoryview(octets)[written:])
                if date is not None:
                    os.utime(file, (date, date))
            except BaseException:
                os.unlink(unfinished, dir_fd=tmp)
                raise
            finally:
                os.close(file)
            to_rename(unfinished, name, src_dir_fd=tmp, dst_dir_fd=cur)
            note(name)
        directory.listed = None
        return [None] * len(messages)

    def sync(self) -> None:
        for directory in self._directories.values():
            if directory.written or directory.changed:
                make_durable(directory.cur, directory.written, (directory.cur, directory.new))
                if directory.made:
                    path = Path(directory.path)
                    for each in (path, *itertools.takewhile(self.root.parent.__ne__, path.parents)):
                        sync_directory(each)
                    directory.made = False
                directory.written = []
                directory.changed = False

    def read(self, place: Place, entry: Entry) -> bytes:
        if place.path not in self._directories and not os.path.isdir(self.directory_of(place.path)):
            raise LookupError(f"{place.path}: no such directory")  # else it would be made
        return _read(*self._directory(place).find(place, entry))

    def set_flags(self, place: Place, changes: Sequence[tuple[Entry, str, str | None]]) -> None:
        directory = self._directory(place)
        wanted = {entry.uid: flags for entry, flags, _ in changes}
        for entry, descriptor, name in directory.found(place, [entry for entry, *_ in changes]):
            new_name = _unique(place.key, entry.uid, entry.size) + _info(wanted[entry.uid])
            if (descriptor, name) == (directory.cur, new_name):
                continue
            try:
                os.rename(name, new_name, src_dir_fd=descriptor, dst_dir_fd=directory.cur)
            except FileNotFoundError:  # a reader renamed it meanwhile, or took it out
                with contextlib.suppress(LookupError, FileNotFoundError):
                    descriptor, name = directory.find(place, entry)
                    os.rename(name, new_name, src_dir_fd=descriptor, dst_dir_fd=directory.cur)
            directory.changed = True
            directory.note(place.key, entry.uid, (directory.cur, new_name))

    def set_dates(self, place: Place, changes: Sequence[tuple[Entry, int]]) -> None:
        directory = self._directory(place)
        dates = {entry.uid: date for entry, date in changes}
        for entry, descriptor, name in directory.found(place, [entry for entry, _ in changes]):
            with contextlib.suppress(FileNotFoundError):
                os.utime(name, (dates[entry.uid], dates[entry.uid]), dir_fd=descriptor)

    def mark(self, place: Place, entries: Sequence[Entry]) -> None:
        changes = [(entry, " ".join(sorted({*entry.flags.split(), "\\Deleted"})), entry.extra) for entry in entries]
        self.set_flags(place, changes)

    def remove(self, place: Place, entries: Sequence[Entry]) -> None:
        directory = self._directory(place)
        for entry, descriptor, name in directory.found(place, entries):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=descriptor)
                directory.changed = True
            directory.note(place.key, entry.uid, None)

    def move(self, source: Place, entry: Entry, target: Place, uid: int) -> int | None:
        ours, theirs = self._directory(source), self._directory(target)
        name = _unique(target.key, uid, entry.size) + _info(entry.flags)
        try:
            descriptor, old = ours.find(source, entry)
        except LookupError:
            theirs.find(target, entry._replace(uid=uid))  # a run that was cut short did it
            return None
        try:
            os.rename(old, name, src_dir_fd=descriptor, dst_dir_fd=theirs.cur)
        except OSError as exc:
            raise_if_elsewhere(exc)
            raise
        ours.changed = theirs.changed = True
        ours.note(source.key, entry.uid, None)
        theirs.note(target.key, uid, (theirs.cur, name))
        return None

    def rename(self, place: Place, name: str, path: str) -> tuple[str, str]:
        key = file_key(place.account, name, place.uid_validity)  # by which they are found should the state be lost
        if (open_one := self._directories.pop(place.path, None)) is not None:
            open_one.close()
        before = self.directory_of(place.path)
        directory = self._directories[path] = self._directories.get(path) or _Directory(self.directory_of(path))
        directory.changed, directory.listed = True, None
        for part in ("tmp", "new", "cur"):
            source, target = os.path.join(before, part), os.path.join(directory.path, part)
            with contextlib.suppress(FileNotFoundError):
                for file in os.listdir(source):
                    found = _NAME.fullmatch(file)
                    if not found or found[2] == place.key:  # else of a former mailbox of this name
                        new = file.replace(place.key, key, 1)
                        os.rename(os.path.join(source, file), os.path.join(target, new))
            with contextlib.suppress(OSError):
                os.rmdir(source)
        with contextlib.suppress(OSError):
            os.rmdir(before)
        return path, key

    def close(self) -> None:
        for directory in self._directories.values():
            directory.close()
        self._directories.clear()


def _unique(key: str, uid: int, size: int) -> str:
    return f"{uid}.{key}.fastimap,S={size},U={uid}"


def _unfinished(key: str) -> str:
    """Return the name of a file in `tmp`; one is there at a time. A short name is the cheaper one for Linux."""
    return f"{key}.fastimap"


def _info(flags: str) -> str:
    return ":2," + "".join(sorted(_FLAGS[flag] for flag in flags.split() if flag in _FLAGS))


def _entries(files: dict[int, tuple[int, str]]) -> Iterator[Entry]:
    """Yield what files say of their messages, as far as they can be read, and are as long as their names say."""
    for uid, (descriptor, name) in files.items():
        found = _NAME.fullmatch(name)
        assert found is not None
        try:
            octets = _read(descriptor, name)
            date = int(os.stat(name, dir_fd=descriptor).st_mtime)
        except OSError:  # a mail program has renamed it meanwhile, or it is another user's
            continue
        if len(octets) == int(found[3]):
            flags = " ".join(sorted(_LETTERS[letter] for letter in found[4] or "" if letter in _LETTERS))
            yield Entry(uid, len(octets), date, flags, sha256(octets), None, None)


def _read(descriptor: int, name: str) -> bytes:
    file = os.open(name, os.O_RDONLY | O_CLOEXEC | O_NOFOLLOW, dir_fd=descriptor)
    with os.fdopen(file, "rb") as opened:
        return opened.read()
