"""A fast IMAP client: ``fastimap.Client``, ``fastimap.AsyncClient``, and ``from fastimap import imaplib``.

The last is the standard library's module on a parser in C; the first two are typed, pipelined and streaming. What their
methods take and return is here too; search keys are in ``fastimap.search``, what servers say besides in
``fastimap.types``, SASL mechanisms in ``fastimap.sasl``, and errors in ``fastimap.errors``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors, imaplib, sasl, search, types
    from .clients.asyncio import AsyncClient
    from .clients.blocking import Client
    from .clients.pipeline import Pipeline
    from .commands import (
        Action,
        AppendMessage,
        AppendResult,
        CopyResult,
        EventGroup,
        ExpungeResult,
        FetchResult,
        MailboxFilter,
        MailboxQuota,
        MailboxSearchResult,
        MessageData,
        MetadataResult,
        MultiAppendResult,
        NotifyEvent,
        QResync,
        SearchResult,
        SelectedMailbox,
        SortResult,
        StoreResult,
    )
    from .commands.base import Command, Flow, Session, State
    from .conversation.events import Reconnected
    from .conversation.protocol import Counters, Event, Pending
    from .errors import FastimapError
    from .imaplib import IMAP4, IMAP4_SSL, IMAP4_stream
    from .limits import Limits
    from .model.message import (
        Address,
        BodyStructure,
        Defect,
        Disposition,
        Envelope,
        FetchedMessage,
        Flag,
        Parameters,
        Streamed,
    )
    from .model.sequence_set import SAVED, Messages, MessageSet, SavedResult, SequenceSet, UIDSet
    from .parser import IMPLEMENTATION
    from .sessions.pool import AsyncPool, Pool, PoolStats, Result
    from .sessions.retry import Retry
    from .settings import Account, Timeouts

__all__ = [
    "IMAP4",
    "IMAP4_SSL",
    "IMPLEMENTATION",
    "SAVED",
    "Account",
    "Action",
    "Address",
    "AppendMessage",
    "AppendResult",
    "AsyncClient",
    "AsyncPool",
    "BodyStructure",
    "Client",
    "Command",
    "CopyResult",
    "Counters",
    "Defect",
    "Disposition",
    "Envelope",
    "Event",
    "EventGroup",
    "ExpungeResult",
    "FastimapError",
    "FetchResult",
    "FetchedMessage",
    "Flag",
    "Flow",
    "IMAP4_stream",
    "Limits",
    "MailboxFilter",
    "MailboxQuota",
    "MailboxSearchResult",
    "MessageData",
    "MessageSet",
    "Messages",
    "MetadataResult",
    "MultiAppendResult",
    "NotifyEvent",
    "Parameters",
    "Pending",
    "Pipeline",
    "Pool",
    "PoolStats",
    "QResync",
    "Reconnected",
    "Result",
    "Retry",
    "SavedResult",
    "SearchResult",
    "SelectedMailbox",
    "SequenceSet",
    "Session",
    "SortResult",
    "State",
    "StoreResult",
    "Streamed",
    "Timeouts",
    "UIDSet",
    "__version__",
    "errors",
    "imaplib",
    "sasl",
    "search",
    "types",
]

__version__ = "0.2.0"

# Imported when asked for: who uses the drop-in alone does not pay for the clients, nor for asyncio.
_HOMES = {
    "IMAP4": "imaplib",
    "IMAP4_SSL": "imaplib",
    "IMPLEMENTATION": "parser",
    "SAVED": "model.sequence_set",
    "Account": "settings",
    "Action": "commands",
    "Address": "model.message",
    "AppendMessage": "commands",
    "AppendResult": "commands",
    "AsyncClient": "clients.asyncio",
    "AsyncPool": "sessions.pool",
    "BodyStructure": "model.message",
    "Client": "clients.blocking",
    "Command": "commands.base",
    "CopyResult": "commands",
    "Counters": "conversation.protocol",
    "Defect": "model.message",
    "Disposition": "model.message",
    "Envelope": "model.message",
    "Event": "conversation.protocol",
    "EventGroup": "commands",
    "ExpungeResult": "commands",
    "FetchResult": "commands",
    "FastimapError": "errors",
    "FetchedMessage": "model.message",
    "Flag": "model.message",
    "Flow": "commands.base",
    "IMAP4_stream": "imaplib",
    "Limits": "limits",
    "MailboxFilter": "commands",
    "MailboxQuota": "commands",
    "MailboxSearchResult": "commands",
    "MessageData": "commands",
    "MessageSet": "model.sequence_set",
    "Messages": "model.sequence_set",
    "MetadataResult": "commands",
    "MultiAppendResult": "commands",
    "NotifyEvent": "commands",
    "Parameters": "model.message",
    "Pending": "conversation.protocol",
    "Pipeline": "clients.pipeline",
    "Pool": "sessions.pool",
    "PoolStats": "sessions.pool",
    "QResync": "commands",
    "Reconnected": "conversation.events",
    "Result": "sessions.pool",
    "Retry": "sessions.retry",
    "SavedResult": "model.sequence_set",
    "SearchResult": "commands",
    "SelectedMailbox": "commands",
    "SequenceSet": "model.sequence_set",
    "Session": "commands.base",
    "SortResult": "commands",
    "State": "commands.base",
    "StoreResult": "commands",
    "Streamed": "model.message",
    "Timeouts": "settings",
    "UIDSet": "model.sequence_set",
}
_MODULES = frozenset({"errors", "imaplib", "sasl", "search", "types"})


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
