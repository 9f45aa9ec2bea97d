"""Where the public names are at home. Made of `fastimap/__init__.py` by tools/generate_methods.py."""

from typing import Final

HOMES: Final = {
    "archive": ".archive",
    "commands": ".commands",
    "errors": ".errors",
    "imaplib": ".imaplib",
    "sasl": ".sasl",
    "search": ".search",
    "types": ".types",
    "AsyncClient": ".clients.asyncio",
    "Client": ".clients.blocking",
    "FastimapError": ".errors",
    "IMAP4": ".imaplib",
    "IMAP4_SSL": ".imaplib",
    "IMAP4_stream": ".imaplib",
    "Limits": ".limits",
    "Flag": ".model.message",
    "SAVED": ".model.sequence_set",
    "SequenceSet": ".model.sequence_set",
    "UIDSet": ".model.sequence_set",
    "IMPLEMENTATION": ".parser",
    "AsyncFollow": ".sessions.follow",
    "follow": ".sessions.follow",
    "AsyncPool": ".sessions.pool",
    "Pool": ".sessions.pool",
    "Retry": ".sessions.retry",
    "Account": ".settings",
    "Timeouts": ".settings",
}
