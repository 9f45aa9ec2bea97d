"""What the server keeps: accounts, their mailboxes, the messages, and each session's view of its mailbox.

Nothing here is synchronised: whoever calls holds the server's lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from .content import Content
from .grammar import Bad, No, SequenceRange, write_flags

DELIMITER = "/"
"""The hierarchy delimiter."""

SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")

_uid_of = attrgetter("uid")


@dataclass(slots=True, eq=False)
class Message:
    """One message in one mailbox; a copy of it elsewhere shares its `content`."""

    uid: int
    content: Content
    internal_date: datetime
    flags: frozenset[str]


class Mailbox:
    """The messages of one mailbox, in ascending order of UID, and the views that must hear of changes."""

    def __init__(self, uid_validity: int) -> None:
        self.uid_validity = uid_validity
        self.uid_next: int = 1
        self.messages: list[Message] = []
        self.recent: set[Message] = set()
        """Messages that no session has been told of as ``\\Recent``."""
        self.views: list[View] = []

    def add(self, content: Content, flags: frozenset[str], internal_date: datetime) -> Message:
        message = Message(self.uid_next, content, internal_date, flags)
        self.uid_next += 1
        self.messages.append(message)
        self.recent.add(message)
        for view in self.views:
            view.added(message)
        return message

    def expunge(self, messages: Iterable[Message]) -> None:
        """Remove those of `messages` that are still there."""
        gone = set(messages).intersection(self.messages)
        if not gone:
            return
        self.messages = [message for message in self.messages if message not in gone]
        self.recent -= gone
        for view in self.views:
            view.expunged(gone)

    def set_flags(self, message: Message, flags: frozenset[str], by: View | None = None) -> None:
        """Set the flags of `message` and tell every view but `by`, whose session answers for itself."""
        if flags == message.flags:
            return
        message.flags = flags
        for view in self.views:
            if view is not by:
                view.changed(message)

    def keywords(self) -> set[str]:
        """The flags in use that are not system flags."""
        used = set().union(*(message.flags for message in self.messages))
        return used.difference(SYSTEM_FLAGS)


class View:
    """A mailbox as one session knows it: the server may change it, the session hears of that when it may.

    `wake` is called at each change: it ends the session's wait in IDLE.
    """

    def __init__(self, mailbox: Mailbox, *, read_only: bool, wake: Callable[[], None]) -> None:
        self.mailbox = mailbox
        self.read_only = read_only
        self.messages: list[Message] = list(mailbox.messages)
        self.recent: set[Message] = set(mailbox.recent)
        self._wake = wake
        self._expunged: set[Message] = set()
        self._changed: dict[Message, None] = {}
        self._reported = len(self.messages)
        if not read_only:
            mailbox.recent.clear()
        mailbox.views.append(self)

    def close(self) -> None:
        """Hear of no more changes."""
        self.mailbox.views.remove(self)

    def added(self, message: Message) -> None:
        self.messages.append(message)
        if message in self.mailbox.recent:
            self.recent.add(message)
            if not self.read_only:
                self.mailbox.recent.remove(message)
        self._wake()

    def expunged(self, messages: set[Message]) -> None:
        self._expunged |= messages
        self._wake()

    def changed(self, message: Message) -> None:
        self._changed[message] = None
        self._wake()

    def updates(self, *, expunge: bool) -> Iterator[bytes]:
        """Yield the untagged responses that tell of the changes, without EXPUNGE unless it is allowed now."""
        if expunge and self._expunged:
            yield from self._report_expunged()
        if len(self.messages) != self._reported:
            self._reported = len(self.messages)
            yield b"%d EXISTS" % self._reported
            yield b"%d RECENT" % len(self.recent)
        changed, self._changed = self._changed, {}
        for message in changed:
            if message not in self._expunged and (number := self.sequence_number(message)):
                yield b"%d FETCH (FLAGS %b)" % (number, self.flags(message))

    def _report_expunged(self) -> Iterator[bytes]:
        # A message that came and went unheard of has no sequence number that could be told as expunged.
        kept: list[Message] = []
        removed_before = 0
        for index, message in enumerate(self.messages):
            if message not in self._expunged:
                kept.append(message)
            elif index < self._reported:
                yield b"%d EXPUNGE" % (index + 1 - removed_before)
                removed_before += 1
        self.messages = kept
        self.recent -= self._expunged
        self._reported -= removed_before
        self._expunged = set()

    def known(self) -> list[tuple[int, Message]]:
        """The messages that the session has heard of, each with its sequence number."""
        return list(enumerate(self.messages[: self._reported], start=1))

    def sequence_number(self, message: Message) -> int | None:
        """The sequence number of `message`, or None if it has none any more."""
        index = bisect_left(self.messages, message.uid, key=_uid_of)
        if index < len(self.messages) and self.messages[index] is message:
            return index + 1
        return None

    def flags(self, message: Message) -> bytes:
        """The value of FLAGS, ``\\Recent`` included."""
        return write_flags(message.flags | {"\\Recent"} if message in self.recent else message.flags)

    def select(self, ranges: Iterable[SequenceRange], *, uid: bool) -> list[tuple[int, Message]]:
        """Return the messages of a sequence set, each with its sequence number, in ascending order.

        Only messages count that the session has heard of (EXISTS).
        Raises Bad for a sequence number without a message; a UID without one selects nothing.
        """
        indexes: set[int] = set()
        for first, last in ranges:
            indexes.update(self._uid_indexes(first, last) if uid else self._number_indexes(first, last))
        return [(index + 1, self.messages[index]) for index in sorted(indexes)]

    def _number_indexes(self, first: int | None, last: int | None) -> range:
        count = self._reported
        low, high = sorted((count if first is None else first, count if last is None else last))
        if not 1 <= low <= high <= count:
            raise Bad(f"No such sequence number: the mailbox holds {count} messages")
        return range(low - 1, high)

    def _uid_indexes(self, first: int | None, last: int | None) -> range:
        highest = self.messages[self._reported - 1].uid if self._reported else 0
        low, high = sorted((highest if first is None else first, highest if last is None else last))
        start = bisect_left(self.messages, low, hi=self._reported, key=_uid_of)
        return range(start, bisect_left(self.messages, high + 1, lo=start, hi=self._reported, key=_uid_of))


@dataclass(slots=True)
class Account:
    """A user: the password, the mailboxes by name, and the names subscribed to."""

    password: str
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)
    _last_uid_validity: int = 0

    def __post_init__(self) -> None:
        self.create("INBOX")

    def mailbox(self, name: str, *, code: str = "NONEXISTENT") -> Mailbox:
        """The mailbox called `name`; raises No with the response code `code` (RFC 5530) if there is none."""
        try:
            return self.mailboxes[canonical_name(name)]
        except KeyError:
            raise No(f"[{code}] No mailbox of that name") from None

    def create(self, name: str) -> Mailbox:
        # A trailing delimiter announces names below this one, and is no part of it (section 6.3.3).
        name = self._new_name(name.removesuffix(DELIMITER))
        self._last_uid_validity += 1
        mailbox = self.mailboxes[name] = Mailbox(self._last_uid_validity)
        return mailbox

    def delete(self, name: str) -> None:
        self.mailbox(name)
        if canonical_name(name) == "INBOX":
            raise No("[CANNOT] INBOX can't be deleted")
        del self.mailboxes[canonical_name(name)]

    def rename(self, old: str, new: str) -> None:
        """Rename a mailbox and those below it; of INBOX, move the messages (RFC 3501, section 6.3.5)."""
        old, new = canonical_name(old), canonical_name(new)
        if old == "INBOX":
            inbox, target = self.mailbox(old), self.create(new)
            for message in inbox.messages:
                target.add(message.content, message.flags, message.internal_date)
            inbox.expunge(inbox.messages)
            return
        below = old + DELIMITER
        moved = [name for name in self.mailboxes if name == old or name.startswith(below)]
        if not moved:
            raise No("[NONEXISTENT] No mailbox of that name")
        if new.startswith(below):
            raise No("[CANNOT] A mailbox can't be put below itself")
        new = self._new_name(new)
        if any(name.startswith(new + DELIMITER) for name in self.mailboxes):
            raise No("[ALREADYEXISTS] There are mailboxes below that name")
        for name in moved:
            self.mailboxes[new + name.removeprefix(old)] = self.mailboxes.pop(name)

    def _new_name(self, name: str) -> str:
        """Return the canonical form of `name`; raises No where no mailbox can be made of that name."""
        name = canonical_name(name)
        if "" in name.split(DELIMITER) or "*" in name or "%" in name:
            raise No("[CANNOT] A mailbox can't have that name")
        if name in self.mailboxes:
            raise No("[ALREADYEXISTS] There is a mailbox of that name")
        return name


def canonical_name(name: str) -> str:
    """`name`, with INBOX in capitals however it was written."""
    first, delimiter, rest = name.partition(DELIMITER)
    return f"INBOX{delimiter}{rest}" if first.lower() == "inbox" else name
