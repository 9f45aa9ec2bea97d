"""What a store is: a few methods, so that a program can have one of its own."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from ...errors import FastimapError
from ...model._digest import sha256
from ...model.row import FetchedMessage
from ...model.sequence_set import UIDSet
from ..errors import StoreError
from ..locks import locked
from ..messages import ITEMS, date_of, extra_of, flags_of, items_about
from ..names import levels_of
from ..state import STATE_FILE, Entry, Place, State
from ..system import O_CLOEXEC

if TYPE_CHECKING:
    from ...clients.blocking import Client

__all__ = ["Message", "Store", "made_message", "make_durable", "raise_if_elsewhere"]


class Message(NamedTuple):
    """A message on its way into a store."""

    uid: int
    octets: bytes
    """The whole message, as the server has it; empty where the store does not keep it."""
    date: int | None
    """INTERNALDATE, in seconds since 1970."""
    flags: str
    """Sorted, divided by spaces."""
    digest: bytes
    """SHA-256 of the octets; empty without them."""
    extra: str | None = None
    """JSON: Gmail's labels, and the server's identifiers of the message."""
    row: FetchedMessage | None = None
    """What the server sent of it."""

    @property
    def size(self) -> int:
        """Octets, as the server has them."""
        return len(self.octets) if self.row is None or self.octets else self.row.size or 0


def made_message(row: FetchedMessage, octets: bytes, digest: bytes) -> Message:
    """Return a message that was fetched."""
    fields = (row.uid, octets, date_of(row), flags_of(row), digest, extra_of(row), row)
    return tuple.__new__(Message, fields)  # half the time of Message(*fields)


def unlike(octets: bytes, entry: Entry) -> tuple[str, str] | None:
    """Return what `Store.check` does of octets that are there."""
    if sha256(octets) != entry.digest:
        return "octets", f"{len(octets)} octets that are not those that were pulled ({entry.size})"
    return None


class Store:
    """Where a pull puts mail. Subclasses say how; what was written is noted in the state that lies beside it.

    The calls come in this order, from one thread: `open`; `begin` for each mailbox that is written to; `write`, any
    number of times; `sync`, after which all of that must be durable; then the state is committed, and `committed`
    called; `close`. After a crash the messages that were written and not committed come again.

    :param root: the directory that it is in; the state is there too.
    """

    kind: ClassVar[str]
    """Its name on the command line and in the state."""
    removes: ClassVar[bool] = False
    """Whether single messages can be taken out of it."""
    shared: ClassVar[bool] = False
    """Whether accounts share it, and runs on ranges of a mailbox's UIDs can go on at once: see `shard`."""
    adopts: ClassVar[bool] = True
    """Whether it takes what other programs have pulled."""
    moves_together: ClassVar[int] = 100
    """So many messages that are in another mailbox by now are moved, and made durable, together;"""
    flags_together: ClassVar[int] = 1000
    """and so many that have other flags follow."""
    flags_at_once: ClassVar[bool] = True
    """Whether other flags are in it at once, also where the run dies before the state is committed."""
    replaces: ClassVar[bool] = True
    """Whether a message that is written again takes the place of the one before, for whoever reads it."""
    only_grows: ClassVar[bool] = False
    """Whether what was damaged stays where it is, beside what is written again."""
    in_state: ClassVar[bool] = False
    """Whether messages are in the state's own database, in one transaction with what is noted of them."""
    commit_messages: ClassVar[int] = 1000
    """So many messages are made durable together,"""
    commit_octets: ClassVar[int] = 32 * 1024 * 1024
    """or so many octets,"""
    commit_seconds: ClassVar[float] = 5.0
    """or what came in so many seconds."""
    uids: UIDSet | None = None
    """Of a mailbox only these UIDs, where another run has the others; None: all."""

    @property
    def whole(self) -> bool:
        """Whether it keeps whole messages, as `read` returns them."""
        return True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root: Path = Path(os.path.expanduser(root)).absolute()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "state"}  # that is open here alone

    def shard(self, account: str, mailbox: str | None = None, uids: UIDSet | range | None = None) -> Self:
        """Return the store as one of several workers has it, where accounts share it."""
        raise StoreError(f"a store of kind {self.kind} is not written in parts")

    def ranges(self, account: str) -> Mapping[str, list[tuple[int, int | None]]]:
        """Return the ranges of UIDs that were written of an account's mailboxes, by their names; None: open."""
        return {}

    @property
    def state_path(self) -> Path:
        """The file that its state is in."""
        return self.root / STATE_FILE

    @property
    def where(self) -> str:
        """Where it is, for reports."""
        return str(self.root)

    def exists(self) -> bool:
        """Whether there is such a store already."""
        return self.state_path.exists()

    def of_account(self, name: str) -> Self:
        """Return the store of one of many accounts: one like this, in a directory of the account's name below the root.

        No two accounts share one, so that any process may work on any of them.
        """
        return type(self)(self.root / levels_of(name, None)[0])

    def look(self) -> State:
        """Return the state, to read."""
        return State(self.state_path, self.kind, read_only=True)

    def make(self) -> None:
        """Make the directory, if it is not there."""
        self.root.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def held(self, account: str | None, wait: float | None) -> Iterator[None]:
        """Make it, and keep other runs from it while the block runs.

        :param account: the account that the run is about; None: all.
        :param wait: seconds to wait for another run to end; None: any time. Raises StoreInUse after that.
        """
        self.make()
        with locked(self.state_path.parent, wait):
            yield

    def load(self, account: str | None) -> State:
        """Return the state of the store; it may be that of one account alone, the one that the run is about."""
        return State(self.state_path, self.kind)

    def attach(self, state: State) -> None:
        """Have the state, and what it says of the store as a whole; nothing is changed."""
        self.state = state

    def open(self, state: State) -> None:
        """Begin; put in order what a crash has left."""
        self.attach(state)

    def on_disk(self) -> Iterable[str]:
        """Return the paths of mailboxes that are there: a state that was lost finds its mailboxes by them."""
        return ()

    def foreign(self) -> str | None:
        """Return the path of a message that another program has put where this store would be; None: there is none."""
        return None

    # What is fetched.

    @property
    def together(self) -> bool:
        """Whether several connections can fetch the messages of one mailbox, by `items`."""
        return True

    def items(self, client: Client) -> tuple[str, ...]:
        """Return the data items to fetch of each message."""
        return (*ITEMS, *items_about(client))

    def fetch(self, client: Client, uids: UIDSet) -> Iterable[list[FetchedMessage]]:
        """Yield messages of the selected mailbox, as they arrive."""
        return client.fetch_batches(uids, *self.items(client))

    def message(self, row: FetchedMessage) -> Message | None:
        """Return a message that was fetched; None where it lacks what the store keeps."""
        octets = row.body
        return None if octets is None else made_message(row, octets, sha256(octets))

    # Writing and reading.

    def begin(self, place: Place, uids: UIDSet) -> dict[int, Entry]:
        """Prepare to write to a mailbox. Return those of `uids` that are there already, whole, if names can tell."""
        return {}

    def unnoted(self, place: Place) -> Iterator[Entry]:
        """Yield the messages of a mailbox that are there, whole by what names say, and that the state does not have."""
        return iter(())

    def write(self, place: Place, messages: Sequence[Message]) -> list[int | None]:
        """Write messages; return for each what `read` needs to find it (`Entry.place`)."""
        raise NotImplementedError

    def weight(self, message: Message) -> int:
        """Return the octets that a server makes the store take by a message, for the limit of a run."""
        return len(message.octets) + len(message.flags) + len(message.extra or "")

    def due(self) -> bool:
        """Whether it holds so much that it is to be made durable."""
        return False

    def damage(self, place: Place | None = None) -> Iterable[tuple[str, str]]:
        """Return what is missing of the store as a whole, or of one mailbox: mailboxes, and what of them."""
        return ()

    def unnamed(self, account: str | None) -> Iterable[tuple[str, str]]:
        """Return what is there of mail, of an account or of all, that the state does not have: of what, and where.

        Raises StoreInUse while another run is at work, which may be yet to note it.
        """
        return ()

    def unreadable(self, place: Place) -> Iterable[tuple[str, str]]:
        """Return what `damage` does; from now on that is also what `check` found bad, and can't be read in full."""
        return self.damage(place)

    def check_whole(self, place: Place) -> None:
        """Raise FastimapError where a part of a mailbox is missing: what is new and what is gone can't be told then."""
        if found := [what for _, what in self.damage(place)]:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise FastimapError(
                f"not all of it can be read, so nothing is done: {found[0]}{more}. Put that back; if it is lost, "
                "verify --repair (repair=True) has the store do without it"
            )

    def do_without(self, place: Place) -> None:
        """Have it that what `damage` names of a mailbox is in the store no more; the state is committed after that."""

    def sync(self) -> None:
        """Make durable what was written."""

    def committed(self) -> None:
        """Note that the state says so too."""

    def read(self, place: Place, entry: Entry) -> bytes:
        """Return a message's octets; raises LookupError where it is not there any more."""
        raise NotImplementedError

    def message_id(self, place: Place, entry: Entry) -> str | None:
        """Return a message's Message-ID; raises LookupError where the message is not there any more."""
        from ...model.headers import Headers  # not needed where nothing is compared

        header, end, _ = self.read(place, entry).partition(b"\r\n\r\n")
        return Headers(header + end).get("message-id")

    def check(self, place: Place, entry: Entry) -> tuple[str, str] | None:
        """Return what is wrong with a message in the store, as `Difference.what` and `detail`; None: nothing."""
        try:
            octets = self.read(place, entry)
        except (LookupError, OSError) as exc:
            return "missing", str(exc).strip("'\"")
        return unlike(octets, entry)

    def set_flags(self, place: Place, changes: Sequence[tuple[Entry, str, str | None]]) -> None:
        """Have messages with other flags, and another `extra`."""

    def set_dates(self, place: Place, changes: Sequence[tuple[Entry, int]]) -> None:
        """Have messages that `begin` found with another date: the server's, in seconds since 1970."""

    def mark(self, place: Place, entries: Sequence[Entry]) -> None:
        """Show of messages that the server has deleted them."""

    def remove(self, place: Place, entries: Sequence[Entry]) -> None:
        """Take messages out."""
        raise StoreError(f"nothing can be taken out of a store of kind {self.kind}")

    def move(self, source: Place, entry: Entry, target: Place, uid: int) -> int | None:
        """Have a message in another mailbox, or under another UID; return its `Entry.place`. Twice is like once.

        Raises LookupError where it can't be had there: then it is fetched, as a new one.
        """
        raise LookupError(f"a store of kind {self.kind} moves nothing")

    def rename(self, place: Place, name: str, path: str) -> tuple[str, str]:
        """Have a mailbox under another name, at another path or where it is; return path and key. Twice is like once.

        The key is what the names of messages have in common: `fastimap.archive.names.file_key`, or as it was.
        """
        return place.path, place.key

    def close(self) -> None:
        """End."""


@functools.cache
def _syncfs() -> Callable[[int], int] | None:
    """Return what makes a whole file system durable: 0, or the number of an error; None where there is nothing."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # a run with nothing new does without

    try:
        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return lambda descriptor: ctypes.get_errno() if function(descriptor) else 0


_FEW = 16
"""So many files are made durable one by one; more of them at once, where the system can."""


def make_durable(directory: int, names: Sequence[str], directories: Iterable[int]) -> None:
    """Make files durable, and then their directories.

    :param directory: a descriptor of the one that the names are in.
    :param directories: descriptors of those that have changed.
    """
    if len(names) > _FEW and (syncfs := _syncfs()) is not None:
        number = syncfs(directory)
        if not number:
            return
        if number not in (errno.ENOSYS, errno.EPERM):
            raise OSError(number, os.strerror(number))
    for name in names:
        try:
            file = os.open(name, os.O_RDONLY | O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:  # a mail reader has renamed it meanwhile, or taken it out
            if hasattr(os, "sync"):
                os.sync()
            continue
        try:
            os.fsync(file)
        finally:
            os.close(file)
    for each in directories:
        os.fsync(each)


def raise_if_elsewhere(exc: OSError) -> None:
    """Raise LookupError where a directory is on another file system: then a message is fetched instead of moved."""
    if exc.errno == errno.EXDEV:
        raise LookupError("it is on another file system") from exc
