"""Mail that another program has pulled before: matched with what the server has, instead of fetched again.

A file can be a message of the server's only if it has the same header, octet by octet, and as much after it as
RFC822.SIZE says. Other programs keep lines with ends of their own, and mbsync adds the field X-TUID, here or there: so
what is taken is the server's header, and the rest of the file with CRLF.

Which message it is: mbsync names files ``...,U=<uid>:2,...``, where the UID is its own; ``.mbsyncstate`` beside them
has the server's, and both UIDVALIDITYs. OfflineIMAP's names have the server's UID (``...,U=<uid>,FMD5=...:2,...``), but
nothing says of which UIDVALIDITY: they are believed where one of them fits. Otherwise a message is known by header and
size, if no other of its mailbox has these. A draft may have been changed and keep both; and a message without a
Message-ID may be as long as another with the same header. Such messages, and all that are not clear, are fetched, and
their octets say which files they were.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..clients.blocking import Client
from ..model._digest import sha256
from ..model.responses import MailboxInfo
from ..model.row import FetchedMessage, has_uid
from ..model.sequence_set import UIDSet
from ..search import all_
from .errors import StoreError
from .foreign import Folder, ForeignFile, Tree
from .messages import date_of, extra_of, flags_of, items_about
from .stores.base import Message

if TYPE_CHECKING:
    from .stores.base import Store

__all__ = ["Adopted", "Adoption", "directory_to_adopt"]

_TUID = re.compile(rb"^X-TUID: [^\n]*\n", re.MULTILINE)
_ID = re.compile(rb"^message-id[ \t]*:(?:[ \t]|\r\n[ \t])*[^\s]", re.MULTILINE | re.IGNORECASE)
_BARE = re.compile(rb"(?<!\r)\n")
_CHUNK = 500
_HEADER = 16
"""Octets of a key that stand for the header; the others are the length of what follows it."""
_NAMED = 10
"""So many directories are named in a sentence."""


def directory_to_adopt(adopt: bool | str | os.PathLike[str], store: Store) -> Path:
    """Return the directory that is to be adopted; the store's own as the store names it.

    Raises TypeError and ValueError where there is nothing to adopt.
    """
    if not isinstance(adopt, (bool, str, os.PathLike)):
        raise TypeError(f"adopt is True, False or a directory, not {adopt!r}")
    if not store.adopts:
        raise ValueError(f"adopt: a store of kind {store.kind} takes nothing that other programs have pulled")
    if adopt == "":
        raise ValueError("adopt: name the directory that another program has pulled into")
    home = store.state_path.parent
    root = home if isinstance(adopt, bool) else Path(adopt).expanduser().absolute()
    if not root.is_dir():
        raise ValueError(f"adopt: {root} is no directory")
    if is_same(root, home):
        root = home
        if store.exists():
            return root
    tree = Tree(root)
    if not tree.with_mail():
        why = "".join(f"; {path} can't be read: {reason}" for path, reason in tree.unreadable.items())
        raise ValueError(f"adopt: {root} has no mail of another program, in no Maildir below it{why}")
    return root


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one directory."""
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return one == other


class Adopted(NamedTuple):
    """A message of the server's that is here already."""

    message: Message
    file: ForeignFile


class Adoption:
    """The mail of another program below a directory, one mailbox at a time.

    :param root: the directory.
    :param own: whether it is the store's: then files are taken away that are in the store by now.
    """

    def __init__(self, root: Path, *, own: bool) -> None:
        self.root = root
        self.own = own
        self._tree = Tree(root)
        self._folders: list[Folder] = []
        self._doubts: dict[bytes, list[ForeignFile]] = {}

    # Directories and mailboxes.

    def look_again(self) -> None:
        """Find the directories anew, where mailboxes were renamed."""
        self._tree = Tree(self.root)

    def check(self, infos: Iterable[MailboxInfo]) -> None:
        """Raise StoreError where no directory that has mail fits a mailbox of the account."""
        selectable = [info for info in infos if info.is_selectable]
        if _fits(self._tree, selectable):
            return
        names = _named(each.relative for each in self._tree.with_mail())
        better = next((path for path in self._tree.other_roots() if _fits(Tree(path), selectable)), None)
        what = "the directory that the account's mailboxes are in" if better is None else f"{better}"
        raise StoreError(f"adopt: {self.root} has mail in {names}, and the account no such mailbox: give {what}")

    def notes(self, infos: Iterable[MailboxInfo]) -> Iterator[str]:
        """Yield what to know of directories that none of these mailboxes fits, and of those that can't be read."""
        fitting = {each for info in infos for each in self._tree.named(info.name, info.delimiter, info.octets)}
        if others := [each.relative for each in self._tree.with_mail() if each not in fitting]:
            yield f"adopt: no mailbox fits {_named(others)} in {self.root}: what is there stays as it is"
        for path, reason in self._tree.unreadable.items():
            yield f"adopt: {path} can't be read: {reason}; nothing of it is adopted"

    def shut_mbsync_out(self) -> None:
        """Have mbsync refuse the directories: what it does not find there any more it would delete on the server."""
        self._tree.shut_mbsync_out()

    def enter(self, name: str, delimiter: str | None = None, octets: bytes = b"") -> bool:
        """Begin with a mailbox; return whether there are files that may be its messages."""
        self._doubts.clear()
        self._folders = [Folder(each) for each in self._tree.named(name, delimiter, octets)]
        return any(folder.files for folder in self._folders)

    def left(self) -> Iterator[str]:
        """Yield what to know of those files of the mailbox that were not adopted; that ends with it."""
        for folder in self._folders:
            if any(not file.taken for file in folder.files):
                folder.list_anew()
            count = sum(not file.taken and not file.gone for file in folder.files)
            if count == 1:
                yield f"1 message in {folder.path} was not recognised as the server's, and stays as it is"
            elif count:
                yield f"{count:,} messages in {folder.path} were not recognised as the server's, and stay as they are"
        self._folders = []
        self._doubts.clear()

    # Messages.

    def matches(
        self, client: Client, info: MailboxInfo, uid_validity: int, uids: UIDSet, check: Callable[[], object]
    ) -> Iterator[Adopted]:
        """Yield those of the messages of the selected mailbox that are here.

        :param check: called now and then; what it raises ends the run.
        """
        for folder in self._folders:
            folder.look_up(uid_validity)
        items = ("FLAGS", "INTERNALDATE", *items_about(client))
        counts: Counter[bytes] = Counter()
        unclear: dict[int, bytes] = {}
        adopted = 0
        for row, header, key in _rows(client, uids, items, check):
            counts[key] += 1
            found = None
            for folder in self._folders:
                if found is None and (file := folder.known.get(row.uid)) is not None:
                    found = _taken(file, row, header, key)
                    folder.compare(file, key[:_HEADER], key)
            if found is None:
                unclear[row.uid] = key
            else:
                adopted += 1
                yield found
        chosen = self._by_header(client, info, uids, unclear, counts, check) if unclear else {}
        for row, header, key in _rows(client, UIDSet(chosen), items, check):
            if "\\Draft" not in (row.flags or ()) and (found := _taken(chosen[row.uid], row, header, key)):
                adopted += 1
                yield found
        if adopted < len(uids):
            self.doubt()

    def _by_header(
        self,
        client: Client,
        info: MailboxInfo,
        uids: UIDSet,
        unclear: dict[int, bytes],
        counts: Counter[bytes],
        check: Callable[[], object],
    ) -> dict[int, ForeignFile]:
        """Return the files of messages whose UIDs say nothing, where header and size do.

        :param unclear: their keys, by UID.
        :param counts: how many messages of `uids` have each key.
        """
        by_key: dict[bytes, list[ForeignFile]] = defaultdict(list)
        for folder in self._folders:
            for number, file in enumerate(folder.files):
                if not number % _CHUNK:
                    check()
                parts = None if file.taken or file.assigned else _parts(file)
                if parts is not None and _ID.search(parts[0]):
                    by_key[file.key or b""].append(file)
        fitting = {uid: key for uid, key in unclear.items() if key in by_key}
        drafts = client.special_mailbox("\\Drafts") if fitting else None
        if not fitting or "\\Drafts" in info.special_use or (drafts is not None and drafts.name == info.name):
            return {}
        for row, _, key in _rows(client, client.search(all_).uids - uids, (), check):
            counts[key] += 1
            for folder in self._folders:
                if (known := folder.known.get(row.uid)) is not None:
                    folder.compare(known, key[:_HEADER], key)
        chosen = {}
        for uid, key in fitting.items():
            files = [file for file in by_key[key] if not file.assigned and not file.folder.is_in_doubt]
            is_known = any(folder.is_believed and uid in folder.known for folder in self._folders)
            is_one = len(files) == 1 or len({_parts(file) for file in files}) == 1
            if files and is_one and not is_known and counts[key] == 1:
                chosen[uid] = files[0]
        return chosen

    # What had to be fetched.

    def doubt(self) -> None:
        """Have the octets of the files that are left, to know them among what is fetched."""
        for folder in self._folders:
            if any(file.gone for file in folder.files):
                folder.list_anew()
            for file in folder.files:
                if not file.taken and (octets := folder.read(file)) is not None:
                    self._doubts.setdefault(_whole(octets), []).append(file)

    def was(self, octets: bytes) -> ForeignFile | None:
        """Return the file that a message was which had to be fetched."""
        if self._doubts:
            for version in (octets, octets.replace(b"\r", b"")):  # mbsync keeps none
                if files := self._doubts.get(_whole(version)):
                    file = files.pop()
                    file.taken = True
                    return file
        return None


def _fits(tree: Tree, infos: Collection[MailboxInfo]) -> bool:
    return any(tree.named(info.name, info.delimiter, info.octets) for info in infos)


def _named(paths: Iterable[str]) -> str:
    names = sorted(paths)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _rows(
    client: Client, uids: UIDSet, items: tuple[str, ...], check: Callable[[], object]
) -> Iterator[tuple[FetchedMessage, bytes, bytes]]:
    """Yield messages that the server says enough of: with the header, but for its end, and the key."""
    for chunk in uids.chunks(_CHUNK):
        check()
        for row in list(client.fetch_iter(chunk, *items, "RFC822.SIZE", "BODY.PEEK[HEADER]")):
            header = row.header_octets
            if has_uid(row) and row.size is not None and header is not None:
                header = header.rstrip(b"\r\n")
                yield row, header, _key(header, row.size - len(header))


def _key(header: bytes, rest: int) -> bytes:
    """Return what a message is known by: its header without X-TUID, and the length of what follows."""
    digest = sha256(_without_tuid(header + b"\r\n").rstrip(b"\r\n"))
    return digest[:_HEADER] + rest.to_bytes(8, "big", signed=True)


def _without_tuid(header: bytes) -> bytes:
    return _TUID.sub(b"", header) if b"X-TUID: " in header else header


def _parts(file: ForeignFile) -> tuple[bytes, bytes] | None:
    """Return a file's header without X-TUID and the end of its last line, and the rest; note its key."""
    octets = file.folder.read(file)
    if octets is None:
        return None
    lines = _BARE.sub(b"\r\n", octets)
    end = 0 if lines.startswith(b"\r\n") else lines.find(b"\r\n\r\n")
    header = (lines if end < 0 else lines[:end]).rstrip(b"\r\n")
    rest = lines[len(header) :]
    file.key = _key(header, len(rest))
    return _without_tuid(header + b"\r\n").rstrip(b"\r\n"), rest


def _taken(file: ForeignFile, row: FetchedMessage, header: bytes, key: bytes) -> Adopted | None:
    """Return a message as the server has it, if the file can be it."""
    parts = None if file.taken else _parts(file)
    if parts is None or file.key != key or not _ID.search(header):
        return None
    octets = header + parts[1]
    file.taken = True
    return Adopted(Message(row.uid, octets, date_of(row), flags_of(row), sha256(octets), extra_of(row)), file)


def _whole(octets: bytes) -> bytes:
    """Return a digest of a message that does not depend on line ends, and on what mbsync adds."""
    header, end, rest = octets.replace(b"\r\n", b"\n").partition(b"\n\n")
    return sha256(_without_tuid(header + b"\n") + end + rest)
