"""What the methods return, and what servers say, as values: results, responses, response codes, parts of a message."""

from __future__ import annotations

from .._lazy import lazy
from ..model import message as _message
from ..model import response_codes as _response_codes
from ..model import responses as _responses
from ..model.message import *  # noqa: F403
from ..model.response_codes import *  # noqa: F403
from ..model.responses import *  # noqa: F403
from ._homes import HOMES

TYPE_CHECKING = False
if TYPE_CHECKING:  # tools/generate_methods.py makes _homes.py of these lines
    from ..clients.pipeline import Pipeline
    from ..clients.rows import AsyncBatches, AsyncRows, Batches, Rows
    from ..commands import (
        AppendResult,
        CopyResult,
        ExpungeResult,
        FetchResult,
        MailboxQuota,
        MailboxSearchResult,
        MetadataResult,
        MultiAppendResult,
        SearchResult,
        SelectedMailbox,
        SortResult,
        StoreResult,
    )
    from ..conversation.events import Event, Reconnected
    from ..conversation.pending import Pending
    from ..conversation.protocol import Counters
    from ..model.codes import Code
    from ..model.content import Attachment
    from ..model.headers import Headers
    from ..model.sequence_set import Messages, MessageSet, SavedResult
    from ..sessions.cursor import Cursor, SQLiteCursor
    from ..sessions.follow import (
        ActionDropped,
        ActionFailed,
        AsyncBatch,
        AsyncMessage,
        Batch,
        FlagsChanged,
        Follow,
        FollowState,
        LateMessages,
        MailboxGone,
        MailboxReset,
        Message,
        MessageParked,
        MessagesGone,
    )
    from ..sessions.pool import PoolStats, Result
else:  # who handles messages pays neither for what follows mailboxes, with its database, nor for asyncio
    __getattr__, __dir__ = lazy(__name__, HOMES)

__all__: list[str] = [
    "ActionDropped",
    "ActionFailed",
    "AppendResult",
    "AsyncBatch",
    "AsyncBatches",
    "AsyncMessage",
    "AsyncRows",
    "Attachment",
    "Batch",
    "Batches",
    "Code",
    "CopyResult",
    "Counters",
    "Cursor",
    "Event",
    "ExpungeResult",
    "FetchResult",
    "FlagsChanged",
    "Follow",
    "FollowState",
    "Headers",
    "LateMessages",
    "MailboxGone",
    "MailboxQuota",
    "MailboxReset",
    "MailboxSearchResult",
    "Message",
    "MessageParked",
    "MessageSet",
    "Messages",
    "MessagesGone",
    "MetadataResult",
    "MultiAppendResult",
    "Pending",
    "Pipeline",
    "PoolStats",
    "Reconnected",
    "Result",
    "Rows",
    "SQLiteCursor",
    "SavedResult",
    "SearchResult",
    "SelectedMailbox",
    "SortResult",
    "StoreResult",
]
__all__ += _message.__all__
__all__ += _responses.__all__
__all__ += _response_codes.__all__
