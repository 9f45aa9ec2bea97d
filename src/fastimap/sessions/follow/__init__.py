"""Mail as it comes, for programs that run for ever."""

from __future__ import annotations

from .asyncio import AsyncFollow
from .blocking import Follow, follow
from .events import (
    ActionDropped,
    ActionFailed,
    FlagsChanged,
    FollowEvent,
    FollowState,
    LateMessages,
    MailboxGone,
    MailboxReset,
    MessageParked,
    MessagesGone,
)
from .message import AsyncBatch, AsyncMessage, Batch, Message

__all__ = [
    "ActionDropped",
    "ActionFailed",
    "AsyncBatch",
    "AsyncFollow",
    "AsyncMessage",
    "Batch",
    "FlagsChanged",
    "Follow",
    "FollowEvent",
    "FollowState",
    "LateMessages",
    "MailboxGone",
    "MailboxReset",
    "Message",
    "MessageParked",
    "MessagesGone",
    "follow",
]
