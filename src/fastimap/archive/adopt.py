"""Mail that another program has pulled before: matched with what the server has, instead of fetched again.

mbsync names messages ``...,U=<uid>:2,...``, where the UID is its own; ``.mbsyncstate`` beside them has the server's,
and its UIDVALIDITY. Without it a message is known by its Message-ID and size: OfflineIMAP's names have the server's UID
(``...,U=<uid>,FMD5=...:2,...``), but nothing beside them says of which UIDVALIDITY. Where that means several whose
octets differ, or none, the message is fetched, and its octets say which it was.

Both keep messages with line ends of their own, and mbsync may add a header field: what is taken is what the server has,
octet by octet as far as RFC822.SIZE tells.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ..clients.blocking import Client
from ..model.headers import Headers
from ..model.message import has_uid
from ..model.responses import MailboxInfo
from ..model.sequence_set import UIDSet
from .messages import extra_of, flags_of, items_about
from .stores.base import Message

__all__ = ["Adopted", "Adoption"]

_UID = re.compile(r",U=([0-9]+)(?:,FMD5=[0-9a-fA-F]{32})?(?::2,[A-Za-z]*)?\Z")
_OURS = re.compile(r"[0-9]+\.[0-9a-f]{16}\.fastimap,S=")
_TUID = re.compile(rb"^X-TUID: [^\r\n]{12}\r?\n", re.MULTILINE)
_BARE = re.compile(rb"(?<!\r)\n")
_CHUNK = 1000
_HEADER = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"


class Adopted(NamedTuple):
    """A message of the server's that is here already."""

    message: Message
    file: Path


class _Mailbox:
    """A Maildir, and what its names and its state say of UIDs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[Path] = []
        self.by_own_uid: dict[int, Path] = {}
        for part in ("new", "cur"):
            with contextlib.suppress(FileNotFoundError):
                for entry in os.scandir(path / part):
                    if _OURS.match(entry.name) or not entry.is_file(follow_symlinks=False):
                        continue
                    self.files.append(Path(entry.path))
                    if found := _UID.search(entry.name):
                        self.by_own_uid[int(found[1])] = self.files[-1]

    def by_uid(self, uid_validity: int) -> dict[int, Path]:
        """Return the files by the server's UID, as far as anything says so."""
        state = self.path / ".mbsyncstate"
        if not state.exists():
            return {}
        head, _, rows = state.read_text("ascii", "replace").partition("\n\n")
        values = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
        if values.get("FarUidValidity", values.get("MasterUidValidity")) != str(uid_validity):
            return {}
        found = {}
        for row in rows.splitlines():
            words = row.split()
            if len(words) >= 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]) in self.by_own_uid:
                found[int(words[0])] = self.by_own_uid[int(words[1])]
        return found


class Adoption:
    """The Maildirs below a directory, and which mailbox each is.

    :param root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._paths: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        for directory, names, _ in os.walk(root):
            if "cur" in names:
                path = Path(directory)
                for levels in _readings(path.relative_to(root)):
                    self._paths[levels].append(path)
            names[:] = [name for name in names if name not in ("cur", "new", "tmp")]
        self.doubts: dict[bytes, list[Path]] = {}
        """Files of the mailbox in work that may be messages which have to be fetched to know, by digest."""

    def mailbox(self, info: MailboxInfo) -> _Mailbox | None:
        """Return the Maildir of a mailbox; None where none fits, or several do."""
        found: set[Path] = set()
        for name in (info.name, info.octets.decode("ascii", "replace")):
            levels = tuple(name.split(info.delimiter)) if info.delimiter else (name,)
            found.update(self._paths.get(levels, ()))
        return _Mailbox(found.pop()) if len(found) == 1 else None

    def matches(self, client: Client, mailbox: _Mailbox, uid_validity: int, uids: UIDSet) -> Iterator[Adopted]:
        """Yield those of the messages of the selected mailbox that are here."""
        by_uid = mailbox.by_uid(uid_validity)
        rest: dict[tuple[str, int], list[Path]] | None = None
        taken: set[Path] = set()
        for chunk in uids.chunks(_CHUNK):
            items = ("FLAGS", "RFC822.SIZE", "INTERNALDATE", _HEADER, *items_about(client))
            for row in list(client.fetch_iter(chunk, *items)):
                if not has_uid(row) or row.size is None:
                    continue
                name = (row.headers.get("message-id") or "").strip()
                file = by_uid.get(row.uid)
                octets = None if file is None or file in taken else _fitting(file, row.size, name)
                if octets is None:
                    if rest is None:
                        rest = self._indexed(mailbox.files)
                    file, octets = self._one(rest.get((name, row.size), []), taken, row.size, name)
                if octets is None or file is None:
                    continue
                taken.add(file)
                date = None if row.internal_date is None else int(row.internal_date.timestamp())
                digest = sha256(octets, usedforsecurity=False).digest()
                yield Adopted(Message(row.uid, octets, date, flags_of(row), digest, extra_of(row)), file)

    def _one(self, files: list[Path], taken: set[Path], size: int, name: str) -> tuple[Path | None, bytes | None]:
        """Return the file that is meant, if it is clear which; else note those that may be."""
        fitting = [(file, octets) for file in files if file not in taken and (octets := _fitting(file, size, name))]
        digests = {sha256(octets, usedforsecurity=False).digest() for _, octets in fitting}
        if len(digests) == 1:
            return fitting[0]
        for file, octets in fitting:
            self._doubt(file, octets)
        return None, None

    def _doubt(self, file: Path, octets: bytes) -> None:
        noted = self.doubts.setdefault(sha256(octets, usedforsecurity=False).digest(), [])
        if file not in noted:
            noted.append(file)

    def _indexed(self, files: list[Path]) -> dict[tuple[str, int], list[Path]]:
        """Return files by Message-ID and size; those without a Message-ID are doubts."""
        found = defaultdict(list)
        for file in files:
            with contextlib.suppress(OSError):
                octets = file.read_bytes()
                name = _message_id(octets)
                for version in _versions(octets):
                    if name:
                        found[name, len(version)].append(file)
                    else:
                        self._doubt(file, version)
        return found

    def was(self, digest: bytes) -> Path | None:
        """Return the file that a message was which had to be fetched."""
        files = self.doubts.get(digest)
        return files.pop() if files else None


def _readings(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the levels of the mailbox's name that a directory may stand for: by mbsync's styles, and OfflineIMAP's."""
    parts = path.parts
    if not parts:
        yield ("INBOX",)  # Maildir++
        return
    readings = {parts, tuple(part.removeprefix(".") for part in parts)}
    if len(parts) == 1:
        readings.add(tuple(parts[0].removeprefix(".").split(".")))
    for levels in readings:
        yield ("INBOX", *levels[1:]) if levels[0].upper() == "INBOX" else levels


def _versions(octets: bytes) -> Iterator[bytes]:
    """Yield what the server may have: with CRLF, and without what mbsync has added.

    Never as it is with line ends of Unix: such a message and what mbsync has added may be as long as another with CRLF.
    """
    lines = _BARE.sub(b"\r\n", octets)
    yield lines
    header, end, body = lines.partition(b"\r\n\r\n")
    without = _TUID.sub(b"", header + b"\r\n", count=1)[:-2]
    if without != header:
        yield without + end + body


def _fitting(file: Path, size: int, name: str) -> bytes | None:
    """Return the octets of a file that has such a size and Message-ID as the server says."""
    try:
        octets = file.read_bytes()
    except OSError:
        return None
    for version in _versions(octets):
        if len(version) == size and _message_id(version) == name:
            return version
    return None


def _message_id(octets: bytes) -> str:
    header, end, _ = octets.partition(b"\r\n\r\n")
    if not end:
        header, end, _ = octets.partition(b"\n\n")
    return (Headers(header + end).get("message-id") or "").strip()
