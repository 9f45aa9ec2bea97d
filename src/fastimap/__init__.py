"""A fast IMAP client: ``fastimap.Client``, ``fastimap.AsyncClient``, and ``from fastimap import imaplib``.

The last is the standard library's module on a parser in C; the first two are typed, pipelined and streaming.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors, imaplib, sasl, search, types
    from .aio import AsyncClient
    from .client import Client, Pipeline
    from .errors import FastimapError
    from .imaplib import IMAP4, IMAP4_SSL, IMAP4_stream
    from .limits import Limits
    from .message import Address, BodyStructure, Defect, Envelope, FetchedMessage, Flag
    from .parser import IMPLEMENTATION
    from .sequence_set import SAVED, SequenceSet, UIDSet
    from .settings import Timeouts

__all__ = [
    "IMAP4",
    "IMAP4_SSL",
    "IMPLEMENTATION",
    "SAVED",
    "Address",
    "AsyncClient",
    "BodyStructure",
    "Client",
    "Defect",
    "Envelope",
    "FastimapError",
    "FetchedMessage",
    "Flag",
    "IMAP4_stream",
    "Limits",
    "Pipeline",
    "SequenceSet",
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
    "SAVED": "sequence_set",
    "Address": "message",
    "AsyncClient": "aio",
    "BodyStructure": "message",
    "Client": "client",
    "Defect": "message",
    "Envelope": "message",
    "FastimapError": "errors",
    "FetchedMessage": "message",
    "Flag": "message",
    "IMAP4_stream": "imaplib",
    "Limits": "limits",
    "Pipeline": "client",
    "SequenceSet": "sequence_set",
    "Timeouts": "settings",
    "UIDSet": "sequence_set",
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
    return sorted({*globals(), *__all__})
