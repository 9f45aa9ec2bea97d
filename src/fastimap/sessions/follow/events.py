"""What a follower reports besides messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ActionDropped",
    "ActionFailed",
    "FlagsChanged",
    "FollowEvent",
    "FollowState",
    "LateMessages",
    "MailboxGone",
    "MailboxReset",
    "MessageParked",
    "MessagesGone",
    "StateName",
]

StateName = Literal["connecting", "catching up", "waiting", "throttled", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class FollowState:
    """How a follower is. It is an event too, when its name changes, or its error, or which mailboxes are gone."""

    name: StateName
    """``"connecting"``: also between attempts; ``"catching up"``: at work on what is there; ``"waiting"``: for what
    comes; ``"throttled"``: the server asked to wait; ``"failed"``: it ended by an error; ``"stopped"``."""
    until: float | None = None
    """When the next attempt is, in seconds since 1970."""
    error: str = ""
    """Why it is not connected, from the first failure on; or why it ended."""
    lag: int = 0
    """Messages that were there at the last look, and are not done."""
    parked: int = 0
    age: float = 0.0
    """Seconds since the server last said something, or since the beginning; of several connections the most."""
    owed: int = 0
    """Messages that are done and were not marked, or moved, because the server refused it; it is tried again."""
    gone: tuple[str, ...] = ()
    """Mailboxes that were deleted, or renamed, and did not come back."""


@dataclass(frozen=True, slots=True)
class MessageParked:
    """A message is not delivered any more: it was too often in vain. See `parked` and `retry_parked`."""

    mailbox: str
    uid: int
    deliveries: int
    reason: str


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """The server refused to mark, or to move, messages that are done. It is tried again at each look."""

    mailbox: str
    verb: str
    """``"mark"`` or ``"move"``."""
    argument: str
    """The flag, or the mailbox."""
    uids: tuple[int, ...]
    """Those of which it was not said before."""
    reason: str


@dataclass(frozen=True, slots=True)
class ActionDropped:
    """Messages that are done will not be marked, or moved, any more, though it was to be done."""

    mailbox: str
    verb: str
    argument: str
    uids: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class LateMessages:
    """An audit found messages where all had been looked at: they are delivered now."""

    mailbox: str
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MailboxGone:
    """A mailbox was deleted, or renamed. It is looked for from time to time."""

    mailbox: str
    reason: str


@dataclass(frozen=True, slots=True)
class MailboxReset:
    """A mailbox was made anew: its UIDs mean other messages, and it was begun anew as `on_reset` says."""

    mailbox: str
    before: int
    now: int


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """The flags of a message are others."""

    mailbox: str
    uid: int
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class MessagesGone:
    """Messages were expunged; how many, and which ones if the server says so (QRESYNC)."""

    mailbox: str
    count: int
    uids: tuple[int, ...] = ()


FollowEvent = (
    FollowState
    | MessageParked
    | ActionFailed
    | ActionDropped
    | LateMessages
    | MailboxGone
    | MailboxReset
    | FlagsChanged
    | MessagesGone
)
