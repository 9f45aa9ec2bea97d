"""What a follower reports besides messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
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
    """How a follower is. It is an event too, when its name changes."""

    name: StateName
    """``"connecting"``: also between attempts; ``"catching up"``: at work on what is there; ``"waiting"``: for what
    comes; ``"throttled"``: the server asked to wait; ``"failed"``: it ended by an error; ``"stopped"``."""
    until: float | None = None
    """When the next attempt is, in seconds since 1970."""
    error: str = ""
    """Why it is not connected."""
    lag: int = 0
    """Messages that were there at the last look, and are not done."""
    parked: int = 0
    age: float = 0.0
    """Seconds since the server last said something, or since the beginning; of several connections the most."""


@dataclass(frozen=True, slots=True)
class MessageParked:
    """A message is not delivered any more: it was too often in vain. See `parked` and `retry_parked`."""

    mailbox: str
    uid: int
    deliveries: int
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


FollowEvent = FollowState | MessageParked | LateMessages | MailboxGone | MailboxReset | FlagsChanged | MessagesGone
