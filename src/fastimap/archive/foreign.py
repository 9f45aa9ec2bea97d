"""The directories of another program: which mailbox each may be, and the files in it, whatever a reader renames."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..model.mailbox_name import folded
from .system import O_CLOEXEC, sync_directory

__all__ = ["Directory", "Folder", "ForeignFile", "Tree", "take_away"]

_PARTS = ("new", "cur")
_INFO = re.compile(r"[:;!]2,[^/]*\Z")
"""What a reader changes of a name; mbsync has other delimiters where ":" can't be."""
_UID = re.compile(r",U=([0-9]+)(,FMD5=[0-9a-fA-F]{32})?\Z")
_OURS = re.compile(r"[0-9]+\.[0-9a-f]{16}\.fastimap,S=")
_TRIES = 4
"""So often a file is looked for whose name a reader changes all the time."""
_STATE, _UIDVALIDITY = ".mbsyncstate", ".uidvalidity"
_KEPT = ".uidvalidity.before-fastimap"
_NO_MORE = b"fastimap has this mail now; what mbsync had here is in .uidvalidity.before-fastimap\n"
"""Under 128 octets, no number: mbsync then says that it can't read the UIDVALIDITY, and leaves the mailbox alone. Where
that is only another one, it can go on: where it finds no message any more, or the same under the same numbers."""


class Directory(NamedTuple):
    """A Maildir."""

    path: str
    relative: str
    """Below the directory that was given."""


class Tree:
    """The Maildirs below a directory; symbolic links are followed, each directory is looked at once.

    :param root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable: dict[str, str] = {}
        """Directories that can't be read, and why."""
        self._levels: dict[tuple[str, ...], list[Directory]] = defaultdict(list)
        self._all: list[Directory] = []
        seen: dict[tuple[int, int], Directory | None] = {}
        left: list[tuple[str, ...]] = [()]
        while left:
            parts = left.pop()
            path = os.path.join(root, *parts)
            try:
                status = os.stat(path)
                with os.scandir(path) as entries:
                    names = [entry.name for entry in entries if os.path.isdir(entry.path)]
            except OSError as exc:
                self.unreadable[path] = exc.strerror or str(exc)
                continue
            key = status.st_dev, status.st_ino
            directory = seen.get(key)
            if key not in seen:
                if "cur" in names:
                    directory = Directory(path, os.path.join(*parts) if parts else ".")
                    self._all.append(directory)
                seen[key] = directory
                left += [(*parts, name) for name in sorted(names, reverse=True) if name not in ("cur", "new", "tmp")]
            if directory is not None:
                self._levels[_levels(*parts)].append(directory)

    def with_mail(self) -> list[Directory]:
        """Return the directories that have mail of another program."""
        return [each for each in self._all if self._has_mail(each)]

    def _has_mail(self, directory: Directory) -> bool:
        try:
            return next(_listed(directory.path), None) is not None
        except OSError as exc:
            self.unreadable[directory.path] = exc.strerror or str(exc)
            return False

    def named(self, name: str, delimiter: str | None, octets: bytes = b"") -> list[Directory]:
        """Return the directories with mail of another program that may be a mailbox.

        :param name: the mailbox's name.
        :param octets: the name as the server sent it.
        """
        found: dict[str, Directory] = {}
        for each in (name, octets.decode("ascii", "replace")):
            for directory in self._levels.get(_levels(each.replace(delimiter, "/") if delimiter else each), ()):
                found[directory.path] = directory
        return [each for each in found.values() if self._has_mail(each)]

    def other_roots(self) -> Iterator[Path]:
        """Yield the directories that may have been meant instead of this one: those in between, and the one above."""
        between = {parent for each in self.with_mail() for parent in Path(each.relative).parents} - {Path(".")}
        yield from (self.root / each for each in sorted(between, key=lambda path: len(path.parts)))
        yield self.root.parent

    def shut_mbsync_out(self) -> None:
        """Have mbsync refuse the directories that it has pulled into."""
        for directory in self._all:
            path = os.path.join(directory.path, _UIDVALIDITY)
            before = _content(path)
            if before not in (b"", _NO_MORE):
                _write(os.path.join(directory.path, _KEPT), before)
                _write(path, _NO_MORE)


class ForeignFile:
    """A message of another program's."""

    __slots__ = ("assigned", "folder", "gone", "key", "name", "taken")

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder: Folder = folder
        self.name: str = name
        """With the part: ``cur/...``."""
        self.gone: bool = False
        self.key: bytes | None = None
        """What its header and its length are known by."""
        self.assigned: bool = False
        """Whether it is known which UID it has, so that it is no other message."""
        self.taken: bool = False

    @property
    def relative(self) -> str:
        """Its path below the directory that was given."""
        return os.path.join(self.folder.directory.relative, self.name)


class Folder:
    """The messages of a directory, and what its names and its state say of UIDs."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.path: str = directory.path
        self.files: list[ForeignFile] = []
        self.known: dict[int, ForeignFile] = {}
        """Files by the server's UID, as far as anything says so."""
        self.is_believed: bool = False
        """Whether that is to be believed: of OfflineIMAP's names where one of the files has been seen to fit."""
        self._is_by_offlineimap = False
        self._is_of_others = False
        self._own: dict[int, ForeignFile | None] = {}
        with contextlib.suppress(OSError):  # `Tree.unreadable` has it
            for name in _listed_surely(self.path):
                file = ForeignFile(self, name)
                self.files.append(file)
                if found := _UID.search(_key(name)):
                    uid = int(found[1])
                    self._own[uid] = None if uid in self._own else file
                    self._is_by_offlineimap |= found[2] is not None

    def look_up(self, uid_validity: int) -> None:
        """Find out which UIDs the files have in a mailbox of this UIDVALIDITY."""
        own = {uid: file for uid, file in self._own.items() if file is not None}
        head, _, rows = _content(os.path.join(self.path, _STATE)).decode("ascii", "replace").partition("\n\n")
        values = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
        far = values.get("FarUidValidity", values.get("MasterUidValidity"))
        near = values.get("NearUidValidity", values.get("SlaveUidValidity"))
        if far == str(uid_validity) and self._near() in (None, near):
            for row in rows.splitlines():
                words = row.split()
                if len(words) >= 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]) in own:
                    self.known[int(words[0])] = own[int(words[1])]
            self._believe()
        elif self._is_by_offlineimap:
            self.known = own

    def _near(self) -> str | None:
        """Return the UIDVALIDITY that mbsync's own UIDs are of."""
        for name in (_KEPT, _UIDVALIDITY):
            if content := _content(os.path.join(self.path, name)):
                return content.split(b"\n", 1)[0].strip().decode("ascii", "replace")
        return None

    def _believe(self) -> None:
        """Have the files be those messages, and no others, whose UIDs they have."""
        self.is_believed = True
        for file in self.known.values():
            file.assigned = True

    def compare(self, file: ForeignFile, header: bytes, key: bytes) -> None:
        """Learn from the message that has a file's UID whether the UIDs are of this mailbox's UIDVALIDITY.

        :param header: what stands for the header in its key.
        """
        if file.key == key:
            if not self.is_believed:
                self._believe()
        elif file.key is not None and not file.key.startswith(header):
            self._is_of_others = True

    @property
    def is_in_doubt(self) -> bool:
        """Whether the names have UIDs, and nothing says of which UIDVALIDITY: it may be this one, with others gone."""
        return self._is_by_offlineimap and not self.is_believed and not self._is_of_others

    def read(self, file: ForeignFile) -> bytes | None:
        """Return a file's octets; None where it is not there any more, or can't be read."""
        for _ in range(_TRIES):
            if file.gone:
                return None
            try:
                with open(os.path.join(self.path, file.name), "rb") as opened:
                    return opened.read()
            except FileNotFoundError:
                self.list_anew()
            except OSError:
                return None
        return None

    def list_anew(self) -> None:
        """Have the names that a reader has given to files meanwhile."""
        missing = [file for file in self.files if not file.taken]
        for _ in range(_TRIES):  # a file that is renamed while its directory is listed may not be listed
            there = set(_listed(self.path))
            others = {_key(name): name for name in there.difference([file.name for file in self.files])}
            for file in missing:
                if file.name not in there:
                    file.name = others.pop(_key(file.name), file.name)
                file.gone = file.name not in there
            missing = [file for file in missing if file.gone]
            if not missing:
                return


def take_away(root: Path, paths: Iterable[str]) -> None:
    """Remove files, whatever a reader has renamed them to, and make that durable.

    :param root: what the paths are below.
    """
    left = []
    for path in paths:
        folder, name = os.path.split(path)
        folder, part = os.path.split(folder)
        left.append((os.path.join(root, folder), f"{part}/{name}"))
    folders = {folder for folder, _ in left}
    for _ in range(_TRIES):
        missing = []
        for folder, name in left:
            try:
                os.unlink(os.path.join(folder, name))
            except FileNotFoundError:
                missing.append((folder, name))
        listed = {
            folder: {_key(name): name for name in _listed(folder)} for folder in {folder for folder, _ in missing}
        }
        left = [(folder, listed[folder].get(_key(name), name)) for folder, name in missing]
    for folder in folders:
        for part in _PARTS:
            with contextlib.suppress(FileNotFoundError):
                sync_directory(os.path.join(folder, part))


def _key(name: str) -> str:
    """Return of a file's name what no reader changes."""
    return _INFO.sub("", os.path.basename(name))


def _listed(path: str) -> Iterator[str]:
    """Yield the names of messages that are not fastimap's, with their part. Raises OSError."""
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(os.path.join(path, part)) as found:
            for entry in found:
                if entry.name[0] != "." and not _OURS.match(entry.name) and _is_file(entry):
                    yield f"{part}/{entry.name}"


def _listed_surely(path: str) -> Iterator[str]:
    """Yield the same of a directory where files are renamed meanwhile: each may be listed under both names, or none."""
    names = list(_listed(path))
    counts = Counter(map(_key, names))
    names += [name for name in _listed(path) if not counts[_key(name)]]
    for name in names:
        if counts[_key(name)] < 2 or os.path.lexists(os.path.join(path, name)):
            yield name


def _is_file(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):  # a symbolic link to itself
        return entry.is_file()
    return False


def _levels(*parts: str) -> tuple[str, ...]:
    """Return what a directory and a mailbox have in common, whether levels are directories, have dots, or begin so.

    INBOX is in front of the others, or not; with Maildir++ it is the root.
    """
    levels = [level for level in re.split(r"[./]", unicodedata.normalize("NFC", "/".join(parts))) if level]
    if levels and folded(levels[0]) == "INBOX":
        del levels[0]
    return tuple(levels)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _write(path: str, content: bytes) -> None:
    """Write a file in the place of another, at once and durably."""
    temporary = f"{path}.tmp"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | O_CLOEXEC, 0o600)
    try:
        os.write(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(temporary, path)
    sync_directory(os.path.dirname(path))
